// SPDX-License-Identifier: GPL-2.0-only
/** An emulated CPU, whatever its architecture: start it, and learn why it stopped. */

/**
 * It ran `hlt` (x86) or `wfi` (arm64) and pc is after the instruction; or the watchdog's tick or
 * the instruction count ended this start, and pc is where to go on. Nothing is run from the address
 * after a `hlt` that matters, so pc tells the two apart (arch/ resumes elsewhere).
 */
export const EV_HALT = 0;
/** An exception: `vector` says which; pc is where the architecture would report it. */
export const EV_EXCEPTION = 1;
/** x86 `syscall`: pc is after the instruction. (arm64 `svc` comes as an exception.) */
export const EV_SYSCALL = 2;
/** The engine failed: `error` says how. */
export const EV_ERROR = 3;

export interface Vcpu {
	/** General registers in the architecture's encoding order: the engine's own, live. */
	readonly gpr: BigInt64Array;
	/** The same as halves: register n is 2n (low) and 2n + 1 (high). */
	readonly gpr32: Int32Array;
	/** After EV_EXCEPTION */
	vector: number;
	/** After EV_ERROR: libunicorn's error number */
	error: number;
	/** Current instruction pointer. */
	pc: number;
	/** Run from `pc` until something happens: an EV_* value. `count` > 0 ends it after so many instructions (slow). */
	start(pc: number, count: number): number;
	/** Instructions that the last start(pc, count) executed; count > 0. */
	executed(count: number): number;
	/** Address that the last memory fault was about. */
	fault_addr(): number;
	/** x86: page-fault error code; arm64: ESR. */
	fault_code(): number;
	/** The exception was seen to: the engine must forget it. */
	fault_done(): void;
	/** Translations were taken away: look at the page tables again. */
	flush_tlb(): void;
	/** Code at [start, end) was written by the host; it must be mapped. */
	flush_code(start: number, end: number): void;
	/** Drop all translated code. */
	flush_all_code(): void;
	/** Root of the page tables (x86: CR3, arm64: TTBR0). Flushes the TLB. */
	set_root(pa: number): void;
	/** Call `fn` before every instruction; null: no longer. Free when off. */
	set_trace(fn: ((pc: number) => void) | null): void;
	/**
	 * A run begins: when it has not ended after about `limit_ms`, its start ends early. Not before: the
	 * engine may then stand behind a load or store whose instruction would be executed again.
	 */
	arm(limit_ms: number): void;
	/** A start that ended early did so for the limit (and not for a stop that came late). */
	readonly overdue: boolean;
	close(): void;
}

/** Registers of a fault or trap in bytes of the engine's memory, found by calibration, were not where expected. */
export class UnknownEngine extends Error {
	constructor(version: string, what: string) {
		super(
			`Unicorn ${version}: ${what}. This build keeps its CPU state in a way that is not known here; ` +
				"use a 2.1.x of Debian's libunicorn2t64, or report it.",
		);
		this.name = "UnknownEngine";
	}
}
