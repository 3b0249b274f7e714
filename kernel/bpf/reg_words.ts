// SPDX-License-Identifier: GPL-2.0-only
/**
 * 64-bit fields of a register state as doubles and word halves, for the checks that run on every
 * instruction (kernel/bpf/verifier.c compares them as s64 and u64).
 *
 * A double holds such a field exactly up to 2^53 and rounds monotonically beyond, so comparing it with
 * a bound below 2^53 gives the exact answer.
 */

import { tnum_strn } from "./log.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import { R_SMAX, R_SMIN, R_UMAX, R_VAR_MASK, R_VAR_VALUE, REG_WORDS } from "./reg_state.ts";

const TWO32 = 4294967296;

/** smin_value as a double. */
export function smin_num(reg: bpf_reg_state): number {
	const { h, p } = reg;
	return h.i32[p + R_SMIN + 1]! * TWO32 + h.u32[p + R_SMIN]!;
}

/** smax_value as a double. */
export function smax_num(reg: bpf_reg_state): number {
	const { h, p } = reg;
	return h.i32[p + R_SMAX + 1]! * TWO32 + h.u32[p + R_SMAX]!;
}

/** umax_value as a double. */
export function umax_num(reg: bpf_reg_state): number {
	const { h, p } = reg;
	return h.u32[p + R_UMAX + 1]! * TWO32 + h.u32[p + R_UMAX]!;
}

/** var_off.value, read as s64, as a double. */
export function var_value_num(reg: bpf_reg_state): number {
	const { h, p } = reg;
	return h.i32[p + R_VAR_VALUE + 1]! * TWO32 + h.u32[p + R_VAR_VALUE]!;
}

/** The low word of smin_value: what an `int` keeps of it. */
export function smin_int(reg: bpf_reg_state): number {
	return reg.h.i32[reg.p + R_SMIN]!;
}

/** The low word of smax_value. */
export function smax_int(reg: bpf_reg_state): number {
	return reg.h.i32[reg.p + R_SMAX]!;
}

/** The low word of umax_value. */
export function umax_int(reg: bpf_reg_state): number {
	return reg.h.i32[reg.p + R_UMAX]!;
}

/** The low word of var_off.value. */
export function var_value_int(reg: bpf_reg_state): number {
	return reg.h.i32[reg.p + R_VAR_VALUE]!;
}

/** tnum_is_const(reg->var_off) */
export function var_off_is_const(reg: bpf_reg_state): boolean {
	const i = reg.p + R_VAR_MASK;
	return (reg.h.i32[i]! | reg.h.i32[i + 1]!) === 0;
}

/** tnum_equals_const(reg->var_off, 0) */
export function var_off_is_zero(reg: bpf_reg_state): boolean {
	const { h, p } = reg;
	const i32 = h.i32;
	return (
		(i32[p + R_VAR_MASK]! | i32[p + R_VAR_MASK + 1]! | i32[p + R_VAR_VALUE]! | i32[p + R_VAR_VALUE + 1]!) ===
		0
	);
}

/** fls64(reg->umax_value): how many low bits the value needs at most. */
export function get_reg_width(reg: bpf_reg_state): number {
	const { h, p } = reg;
	const hi = h.i32[p + R_UMAX + 1]!;
	return hi !== 0 ? 64 - Math.clz32(hi) : 32 - Math.clz32(h.i32[p + R_UMAX]!);
}

/** memset(reg, 0, sizeof(*reg)) */
export function zero_reg(reg: bpf_reg_state): void {
	reg.h.i32.fill(0, reg.p, reg.p + REG_WORDS);
}

/** tnum_strn() of reg->var_off */
export function var_off_str(reg: bpf_reg_state): string {
	return tnum_strn(reg.var_off_value, reg.var_off_mask);
}
