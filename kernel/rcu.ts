// SPDX-License-Identifier: GPL-2.0-only
/**
 * Read-copy-update (kernel/rcu/): callbacks run after a grace period. A grace period ends when every
 * CPU has passed a quiescent state since it began; here that is the end of a system call or an idle
 * moment, and a seeded number of them, so that code which frees too early is seen to.
 */
import type { Kernel } from "./kernel.ts";

interface rcu_head {
	func: () => void;
	/** Quiescent states still to pass. */
	left: number;
}

/** One flavour of RCU: the normal one, or tasks-trace. */
export class Rcu {
	private readonly kernel: Kernel;
	private readonly name: string;
	private readonly random: () => number;
	private callbacks: rcu_head[] = [];
	private nesting = 0;
	private running = false;
	/** How a callback is called. */
	enter: (func: () => void) => void = (func) => func();
	/** Grace periods ended so far. */
	gp_seq = 0;

	constructor(kernel: Kernel, name: string, random: () => number) {
		this.kernel = kernel;
		this.name = name;
		this.random = random;
	}

	read_lock(): void {
		this.nesting++;
	}

	read_unlock(): void {
		if (this.nesting === 0) {
			this.kernel.printk(`WARNING: bad unlock balance detected: ${this.name}_read_unlock`);
			return;
		}
		this.nesting--;
	}

	get read_lock_held(): boolean {
		return this.nesting > 0;
	}

	/** call_rcu(): run `func` after a grace period. */
	call(func: () => void): void {
		this.callbacks.push({ func, left: 1 + (this.random() % 3) });
	}

	/** A quiescent state of all CPUs: called between system calls and when idle. */
	quiescent(): void {
		if (this.nesting > 0 || this.running || this.callbacks.length === 0) return;
		for (const cb of this.callbacks) cb.left--;
		this.run((cb) => cb.left <= 0);
	}

	/** synchronize_rcu(): wait for a grace period. Inside a read-side section it would wait for itself. */
	synchronize(): boolean {
		if (this.nesting > 0) {
			this.kernel.printk(`BUG: synchronize_${this.name}() in ${this.name} read-side critical section`);
			return false;
		}
		this.gp_seq++;
		return true;
	}

	/** rcu_barrier(): run everything queued up to now (and what that queues in turn stays). */
	barrier(): boolean {
		if (this.nesting > 0) {
			this.kernel.printk(`BUG: ${this.name}_barrier() in ${this.name} read-side critical section`);
			return false;
		}
		this.run(() => true);
		return true;
	}

	get pending(): number {
		return this.callbacks.length;
	}

	private run(ready: (cb: rcu_head) => boolean): void {
		const now: rcu_head[] = [];
		const later: rcu_head[] = [];
		for (const cb of this.callbacks) (ready(cb) ? now : later).push(cb);
		if (now.length === 0) return;
		this.callbacks = later;
		this.gp_seq++;
		this.running = true;
		try {
			for (const cb of now) this.enter(cb.func);
		} finally {
			this.running = false;
		}
	}
}
