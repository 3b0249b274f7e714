// SPDX-License-Identifier: GPL-2.0-only
/** Timers of the host whose threads call C functions, for what must happen while machine code runs. */
import koffi from "koffi";

const SIGEV_THREAD = 2;
const CLOCK_MONOTONIC = 1;
const RTLD_LAZY = 1;
const CLOCK_TICK_MS = 250;

export interface ThreadTimer {
	/** The first call after `first` ms, the next ones `every` ms apart. */
	arm(first: number, every: number): void;
	disarm(): void;
	remove(): void;
}

interface Timers {
	/** Calls `fn(arg)`, a C function. */
	timer(fn: bigint, arg: bigint): ThreadTimer;
	symbol(file: string, name: string): bigint;
}

let bound: Timers | null = null;

function bind(): Timers {
	const libc = koffi.load("libc.so.6");
	const dlopen = libc.func("uint64_t dlopen(const char *f, int flags)");
	const dlsym = libc.func("uint64_t dlsym(uint64_t h, const char *name)");
	const timer_create = libc.func("int timer_create(int clock, void *sev, _Out_ uint64_t *id)");
	const timer_settime = libc.func("int timer_settime(uint64_t id, int flags, void *spec, void *old)");
	const timer_delete = libc.func("int timer_delete(uint64_t id)");
	const put = (spec: Buffer, at: number, ms: number) => {
		spec.writeBigInt64LE(BigInt(Math.floor(ms / 1000)), at);
		spec.writeBigInt64LE(BigInt(Math.floor((ms % 1000) * 1e6)), at + 8);
	};
	return {
		timer(fn, arg) {
			// struct sigevent: value, signo, notify, function
			const sev = Buffer.alloc(64);
			sev.writeBigUInt64LE(arg, 0);
			sev.writeInt32LE(SIGEV_THREAD, 12);
			sev.writeBigUInt64LE(fn, 16);
			const out: (number | bigint)[] = [0];
			if (timer_create(CLOCK_MONOTONIC, sev, out)) throw new Error("timer_create failed");
			const id = BigInt(out[0]!);
			const set = (first: number, every: number) => {
				const spec = Buffer.alloc(32);
				put(spec, 0, every);
				put(spec, 16, first);
				timer_settime(id, 0, spec, null);
			};
			return { arm: set, disarm: () => set(0, 0), remove: () => void timer_delete(id) };
		},
		symbol: (file, name) => BigInt(dlsym(dlopen(file, RTLD_LAZY), name) as number | bigint),
	};
}

/** A timer that calls `name` of the library `file` with one argument. */
export function thread_timer(file: string, name: string, arg: bigint): ThreadTimer {
	bound ??= bind();
	return bound.timer(bound.symbol(file, name), arg);
}

/**
 * Seconds, kept up to date by a thread while in use: reading it is a load, where a real clock takes as long
 * as a short run of machine code.
 */
export class CoarseClock {
	private readonly second: Int32Array;
	private readonly timer: ThreadTimer;
	private running = false;
	/** how often it was started */
	private starts = 0;

	constructor() {
		// time() writes here, from whichever thread: memory that is never freed
		const at = koffi.alloc("int64_t", 1);
		this.second = new Int32Array(koffi.view(at, 8));
		this.timer = thread_timer("libc.so.6", "time", koffi.address(at));
	}

	/** A number that changes within CLOCK_LAG_MS of the last call, or stays for as long as no time to speak of passes. */
	now(): number {
		if (!this.running) this.start();
		return this.second[0]! + this.starts;
	}

	private start(): void {
		this.running = true;
		this.starts += 1e10;
		this.timer.arm(CLOCK_TICK_MS, CLOCK_TICK_MS);
		// reached only when nothing runs, since runs are synchronous: no ticks in an idle process
		setTimeout(() => {
			this.running = false;
			this.timer.disarm();
		}, 1000).unref();
	}
}

/** Time that may pass before CoarseClock shows it. */
export const CLOCK_LAG_MS = 1000 + 2 * CLOCK_TICK_MS;
