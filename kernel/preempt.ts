// SPDX-License-Identifier: GPL-2.0-only
/**
 * Preemption points. Kernel code runs a system call or a helper in one go; what it does to memory and locks
 * that other CPUs see goes through `kernel.shared` and the calls below, so that a tool (kernel/explore/) can
 * have other CPUs run in between. While none does, `kernel.shared` is the memory itself and `kernel.explore`
 * is null.
 *
 * Between two such accesses a function must be deterministic and must not change anything that is shared: it
 * may be left there, and is then called again from its beginning with the results it had so far. So it has no
 * `finally` that gives back what it will need again.
 */
import type { irq_work } from "./irq_work.ts";
import type { raw_spinlock } from "./spinlock.ts";

/** Accesses of memory that several CPUs, or user space, touch at the same time: each is one, indivisible. */
export interface SharedMemory {
	r32(va: number): number;
	w32(va: number, v: number): void;
	r64(va: number): bigint;
	w64(va: number, v: bigint): void;
	/** 64 bits as a signed number. */
	rptr(va: number): number;
	wptr(va: number, v: number): void;
	/** atomic_cmpxchg(): what stood there; `v` is stored when that was `old`. */
	cmpxchg32(va: number, old: number, v: number): number;
	/** memcpy(): not indivisible. */
	copy(dst: number, src: number, len: number): void;
}

/** Who runs other CPUs and interrupts at the preemption points. */
export interface Preemption {
	lock(lock: raw_spinlock): void;
	trylock(lock: raw_spinlock): boolean;
	unlock(lock: raw_spinlock): void;
	/** A spin lock that is a word of guest memory: 0 free, 1 taken. */
	guest_lock(va: number): void;
	/** Before interrupts go off, and before they come on. */
	irq_save(): void;
	irq_restore(): void;
	irq_work_queue(work: irq_work): void;
	/** A helper or another body called by a program; `run` is its body. */
	helper(name: string, args: readonly bigint[], run: () => bigint): bigint;
	/** Code of the guest called by a body. */
	call_guest(addr: bigint, args: readonly bigint[]): bigint;
}
