// SPDX-License-Identifier: GPL-2.0-only
/**
 * reg_bounds_sync() and scalar addition (kernel/bpf/verifier.c) on bigints in object fields: plain and
 * slow. Tests hold scalar/ against it, and scripts/bench_scalar.ts measures it.
 */
import type { bpf_reg_state } from "./reg_state.ts";
import {
	type tnum,
	tnum_add,
	tnum_clear_subreg,
	tnum_intersect,
	tnum_or,
	tnum_range,
	tnum_subreg,
} from "./tnum.ts";

export interface BigintScalar {
	var_off: tnum;
	smin: bigint;
	smax: bigint;
	umin: bigint;
	umax: bigint;
	s32_min: bigint;
	s32_max: bigint;
	u32_min: bigint;
	u32_max: bigint;
}

const u64 = (v: bigint) => BigInt.asUintN(64, v);
const s64 = (v: bigint) => BigInt.asIntN(64, v);
const u32 = (v: bigint) => BigInt.asUintN(32, v);
const s32 = (v: bigint) => BigInt.asIntN(32, v);
const max = (a: bigint, b: bigint) => (a > b ? a : b);
const min = (a: bigint, b: bigint) => (a < b ? a : b);
const S32_MIN = -(1n << 31n);
const S32_MAX = (1n << 31n) - 1n;
const U32_MAX = (1n << 32n) - 1n;
const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;
const U64_MAX = (1n << 64n) - 1n;

export function read_scalar(r: bpf_reg_state): BigintScalar {
	return {
		var_off: { value: r.var_off_value, mask: r.var_off_mask },
		smin: r.smin_value,
		smax: r.smax_value,
		umin: r.umin_value,
		umax: r.umax_value,
		s32_min: BigInt(r.s32_min_value),
		s32_max: BigInt(r.s32_max_value),
		u32_min: BigInt(r.u32_min_value),
		u32_max: BigInt(r.u32_max_value),
	};
}

export function write_scalar(r: bpf_reg_state, s: BigintScalar): void {
	r.var_off_value = s.var_off.value;
	r.var_off_mask = s.var_off.mask;
	r.smin_value = s.smin;
	r.smax_value = s.smax;
	r.umin_value = s.umin;
	r.umax_value = s.umax;
	r.s32_min_value = Number(s.s32_min);
	r.s32_max_value = Number(s.s32_max);
	r.u32_min_value = Number(s.u32_min);
	r.u32_max_value = Number(s.u32_max);
}

/** kernel/bpf/verifier.c: __update_reg_bounds */
function update(r: BigintScalar): void {
	const { value, mask } = r.var_off;
	const v = u32(value);
	const m = u32(mask);
	r.s32_min = max(r.s32_min, s32(v | (m & (1n << 31n))));
	r.s32_max = min(r.s32_max, s32(v | (m & S32_MAX)));
	r.u32_min = max(r.u32_min, v);
	r.u32_max = min(r.u32_max, v | m);
	r.smin = max(r.smin, s64(value | (mask & (1n << 63n))));
	r.smax = min(r.smax, s64(value | (mask & S64_MAX)));
	r.umin = max(r.umin, value);
	r.umax = min(r.umax, value | mask);
}

/** kernel/bpf/verifier.c: __reg32_deduce_bounds */
function deduce32(r: BigintScalar): void {
	const take_u32 = (lo: bigint, hi: bigint) => {
		r.u32_min = max(r.u32_min, u32(lo));
		r.u32_max = min(r.u32_max, u32(hi));
	};
	const take_s32 = (lo: bigint, hi: bigint) => {
		r.s32_min = max(r.s32_min, s32(lo));
		r.s32_max = min(r.s32_max, s32(hi));
	};
	if (r.umin >> 32n === r.umax >> 32n) {
		take_u32(r.umin, r.umax);
		if (s32(r.umin) <= s32(r.umax)) take_s32(r.umin, r.umax);
	}
	if (r.smin >> 32n === r.smax >> 32n) {
		if (u32(r.smin) <= u32(r.smax)) take_u32(r.smin, r.smax);
		if (s32(r.smin) <= s32(r.smax)) take_s32(r.smin, r.smax);
	}
	if (u32((r.umin >> 32n) + 1n) === u32(r.umax >> 32n) && s32(r.umin) < 0n && s32(r.umax) >= 0n)
		take_s32(r.umin, r.umax);
	if (u32((r.smin >> 32n) + 1n) === u32(r.smax >> 32n) && s32(r.smin) < 0n && s32(r.smax) >= 0n)
		take_s32(r.smin, r.smax);
	if (s32(r.u32_min) <= s32(r.u32_max)) take_s32(r.u32_min, r.u32_max);
	if (u32(r.s32_min) <= u32(r.s32_max)) {
		take_u32(r.s32_min, r.s32_max);
	} else if (r.u32_max < u32(r.s32_min)) {
		r.s32_min = s32(r.u32_min);
		r.u32_max = min(r.u32_max, u32(r.s32_max));
	} else if (u32(r.s32_max) < r.u32_min) {
		r.s32_max = s32(r.u32_max);
		r.u32_min = max(r.u32_min, u32(r.s32_min));
	}
}

/** kernel/bpf/verifier.c: __reg64_deduce_bounds */
function deduce64(r: BigintScalar): void {
	if (s64(r.umin) <= s64(r.umax)) {
		r.smin = max(r.smin, s64(r.umin));
		r.smax = min(r.smax, s64(r.umax));
	}
	if (u64(r.smin) <= u64(r.smax)) {
		r.umin = max(r.umin, u64(r.smin));
		r.umax = min(r.umax, u64(r.smax));
	} else if (r.umax < u64(r.smin)) {
		r.smin = s64(r.umin);
		r.umax = min(r.umax, u64(r.smax));
	} else if (u64(r.smax) < r.umin) {
		r.smax = s64(r.umax);
		r.umin = max(r.umin, u64(r.smin));
	}
}

/** kernel/bpf/verifier.c: __reg_deduce_mixed_bounds */
function deduce_mixed(r: BigintScalar): void {
	const top = (v: bigint) => u64(v) & ~U32_MAX;
	const take = (lo: bigint, hi: bigint) => {
		r.umin = max(r.umin, top(r.umin) | lo);
		r.umax = min(r.umax, top(r.umax) | hi);
		r.smin = max(r.smin, s64(top(r.smin) | lo));
		r.smax = min(r.smax, s64(top(r.smax) | hi));
	};
	take(r.u32_min, r.u32_max);
	if (u32(r.s32_min) <= u32(r.s32_max)) take(u32(r.s32_min), u32(r.s32_max));
	if (r.s32_min >= 0n && r.smin >= S32_MIN && r.smax <= S32_MAX) {
		r.smin = r.s32_min;
		r.smax = r.s32_max;
		r.umin = u64(r.s32_min);
		r.umax = u64(r.s32_max);
		r.var_off = tnum_intersect(r.var_off, tnum_range(u64(r.smin), u64(r.smax)));
	}
}

/** kernel/bpf/verifier.c: reg_bounds_sync */
export function bigint_sync(r: BigintScalar): void {
	update(r);
	for (let i = 0; i < 3; i++) {
		deduce32(r);
		deduce64(r);
		deduce_mixed(r);
	}
	const var64 = tnum_intersect(r.var_off, tnum_range(r.umin, r.umax));
	const var32 = tnum_intersect(tnum_subreg(var64), tnum_range(r.u32_min, r.u32_max));
	r.var_off = tnum_or(tnum_clear_subreg(var64), var32);
	update(r);
}

/** dst += src, as adjust_scalar_min_max_vals() does it for 64 bits */
export function bigint_add(d: BigintScalar, s: BigintScalar): void {
	const s32_lo = d.s32_min + s.s32_min;
	const s32_hi = d.s32_max + s.s32_max;
	const s32_fits = s32_lo >= S32_MIN && s32_lo <= S32_MAX && s32_hi >= S32_MIN && s32_hi <= S32_MAX;
	d.s32_min = s32_fits ? s32_lo : S32_MIN;
	d.s32_max = s32_fits ? s32_hi : S32_MAX;
	const u32_lo = d.u32_min + s.u32_min;
	const u32_hi = d.u32_max + s.u32_max;
	const u32_fits = u32_lo <= U32_MAX && u32_hi <= U32_MAX;
	d.u32_min = u32_fits ? u32_lo : 0n;
	d.u32_max = u32_fits ? u32_hi : U32_MAX;
	const s_lo = d.smin + s.smin;
	const s_hi = d.smax + s.smax;
	const s_fits = s_lo >= S64_MIN && s_lo <= S64_MAX && s_hi >= S64_MIN && s_hi <= S64_MAX;
	d.smin = s_fits ? s_lo : S64_MIN;
	d.smax = s_fits ? s_hi : S64_MAX;
	const u_lo = d.umin + s.umin;
	const u_hi = d.umax + s.umax;
	const u_fits = u_lo <= U64_MAX && u_hi <= U64_MAX;
	d.umin = u_fits ? u_lo : 0n;
	d.umax = u_fits ? u_hi : U64_MAX;
	d.var_off = tnum_add(d.var_off, s.var_off);
	bigint_sync(d);
}
