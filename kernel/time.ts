// SPDX-License-Identifier: GPL-2.0-only
/**
 * Virtual time (kernel/time/hrtimer.c): the clock moves by a fixed amount a system call, and when
 * every task sleeps it jumps to the next timer. So a run is the same each time, and waiting costs nothing.
 */

export interface hrtimer {
	expires: bigint;
	readonly func: () => void;
	/** Order among equal times. */
	readonly seq: number;
	active: boolean;
}

/** The clock and the pending timers. */
export class VirtualTime {
	private ns: bigint;
	private readonly timers: hrtimer[] = [];
	private seq = 0;
	/** How a timer's function is called. */
	enter: (func: () => void) => void = (func) => func();
	constructor(start: bigint) {
		this.ns = start;
	}

	/** ktime_get_ns() */
	get now(): bigint {
		return this.ns;
	}

	/** Put the clock to a time when no timer is pending, so that a run can be repeated exactly; false otherwise. */
	rewind(ns: bigint): boolean {
		if (this.timers.length) return false;
		this.ns = ns;
		return true;
	}

	/** A look at the clock from inside a program: it moves a little, timers wait. */
	tick(): bigint {
		this.ns += 20n;
		return this.ns;
	}

	/** Time passes; timers that expire in it run, each at its own moment. */
	advance(ns: bigint): void {
		const end = this.ns + ns;
		for (;;) {
			const t = this.timers[0];
			if (!t || t.expires > end) break;
			this.timers.shift();
			t.active = false;
			if (t.expires > this.ns) this.ns = t.expires;
			this.enter(t.func);
		}
		if (end > this.ns) this.ns = end;
	}

	/** hrtimer_start(): `func` runs once the clock reaches `expires`. */
	start(expires: bigint, func: () => void): hrtimer {
		const t: hrtimer = { expires, func, seq: this.seq++, active: true };
		let i = this.timers.length;
		while (i > 0 && this.timers[i - 1]!.expires > expires) i--;
		this.timers.splice(i, 0, t);
		return t;
	}

	/** hrtimer_cancel(): true when it was pending. */
	cancel(t: hrtimer): boolean {
		const i = this.timers.indexOf(t);
		if (i < 0) return false;
		this.timers.splice(i, 1);
		t.active = false;
		return true;
	}

	/** Jump to the next timer and run it; false when there is none. */
	jump(): boolean {
		const t = this.timers[0];
		if (!t) return false;
		this.advance(t.expires > this.ns ? t.expires - this.ns : 0n);
		return true;
	}

	get pending(): number {
		return this.timers.length;
	}
}
