// SPDX-License-Identifier: GPL-2.0-only
/**
 * Spin locks (kernel/locking/spinlock.c) of an emulated machine whose CPUs take turns at known
 * points: a lock found taken will never be given back, because its holder is below us on the stack.
 * So a second taking is a deadlock, and is reported as lockdep would. Who explores has the CPUs take turns
 * elsewhere too (preempt.ts), and decides itself who waits.
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
	readonly name: string;
	/** Changed by the functions here and by who explores. */
	held = false;
	constructor(kernel: Kernel, name: string) {
		this.kernel = kernel;
		this.name = name;
	}
	lock(): void {
		const { explore } = this.kernel;
		if (explore) {
			explore.lock(this);
			return;
		}
		if (this.held) {
			const e = new KernelDeadlock(this.name);
			this.kernel.printk(e.message);
			throw e;
		}
		this.held = true;
	}
	trylock(): boolean {
		const { explore } = this.kernel;
		if (explore) return explore.trylock(this);
		if (this.held) return false;
		this.held = true;
		return true;
	}
	unlock(): void {
		const { explore } = this.kernel;
		if (explore) {
			explore.unlock(this);
			return;
		}
		if (!this.held) this.kernel.printk(`BUG: spinlock already unlocked: ${this.name}`);
		this.held = false;
	}
	get is_locked(): boolean {
		return this.held;
	}
}
