// SPDX-License-Identifier: GPL-2.0-only
/** How bodies of helpers and kfuncs written in TypeScript are called. */
import type { Kernel } from "../kernel.ts";

/** What a body sees of the vCPU that called it. */
export interface HelperContext {
	readonly kernel: Kernel;
	/** Index of the CPU. */
	readonly cpu: number;
	/** Run guest code (a callback) on this CPU and return its R0/x0; nests freely. */
	call(addr: bigint, args: readonly bigint[]): bigint;
}

/**
 * A helper's body: R1 to R5 as unsigned 64-bit values in, R0 out (any bigint; its low 64 bits count).
 * Errors are negative errnos as bigint, as the helper's own C function returns them.
 */
export type HelperBody = (
	ctx: HelperContext,
	r1: bigint,
	r2: bigint,
	r3: bigint,
	r4: bigint,
	r5: bigint,
) => bigint;
