// SPDX-License-Identifier: GPL-2.0-only
/**
 * Spin locks (kernel/locking/spinlock.c) of an emulated machine whose CPUs take turns at known
 * points: a lock found taken will never be given back, because its holder is below us on the stack.
 * So a second taking is a deadlock, and is reported as lockdep would.
 */
import type { Kernel } from "./kernel.ts";

/** The kernel would spin for ever. */
export class KernelDeadlock extends Error {
	constructor(what: string) {
		super(`BUG: spinlock recursion on ${what}`);
		this.name = "KernelDeadlock";
	}
}

/** raw_spinlock_t */
export class raw_spinlock {
	private readonly kernel: Kernel;
	private readonly name: string;
	private held = false;
	constructor(kernel: Kernel, name: string) {
		this.kernel = kernel;
		this.name = name;
	}
	lock(): void {
		if (this.held) {
			const e = new KernelDeadlock(this.name);
			this.kernel.printk(e.message);
			throw e;
		}
		this.held = true;
	}
	trylock(): boolean {
		if (this.held) return false;
		this.held = true;
		return true;
	}
	unlock(): void {
		if (!this.held) this.kernel.printk(`BUG: spinlock already unlocked: ${this.name}`);
		this.held = false;
	}
	get is_locked(): boolean {
		return this.held;
	}
}
