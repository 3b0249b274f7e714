// SPDX-License-Identifier: GPL-2.0-only
/** Arithmetic on scalars whose value is known in part (kernel/bpf/verifier.c: scalar_min_max_*). */
import { assign_32_into_64, known, known32, sync, unbounded32, unbounded64, update32, update64, update_bounds, zext } from "./bounds";
import { R, Reg, S32_MAX, S32_MIN, S64_MAX, S64_MIN, U32_MAX, U64_MAX } from "./layout";
import {
	tm,
	tnum_add,
	tnum_and,
	tnum_arshift,
	tnum_in,
	tnum_intersect,
	tnum_mul,
	tnum_or,
	tnum_overlap,
	tnum_range,
	tnum_sub,
	tnum_xor,
	tv,
} from "./tnum";

const BPF_ADD: i32 = 0x00;
const BPF_SUB: i32 = 0x10;
const BPF_MUL: i32 = 0x20;
const BPF_OR: i32 = 0x40;
const BPF_AND: i32 = 0x50;
const BPF_LSH: i32 = 0x60;
const BPF_RSH: i32 = 0x70;
const BPF_XOR: i32 = 0xa0;
const BPF_ARSH: i32 = 0xc0;

// @ts-ignore: decorator
@inline
function sadd_overflows(a: i64, b: i64, sum: i64): bool {
	return ((a ^ sum) & (b ^ sum)) < 0;
}
// @ts-ignore: decorator
@inline
function ssub_overflows(a: i64, b: i64, diff: i64): bool {
	return ((a ^ b) & (a ^ diff)) < 0;
}

/** Signed 32-bit bounds of dst, given as 64-bit numbers, if both fit. */
// @ts-ignore: decorator
@inline
function set_s32(d: Reg, lo: i64, hi: i64): void {
	if (lo != <i64>(<i32>lo) || hi != <i64>(<i32>hi)) {
		d.s32_min = S32_MIN;
		d.s32_max = S32_MAX;
	} else {
		d.s32_min = <i32>lo;
		d.s32_max = <i32>hi;
	}
}

function min_max_add(d: Reg, s: Reg): void {
	set_s32(d, <i64>d.s32_min + <i64>s.s32_min, <i64>d.s32_max + <i64>s.s32_max);
	const lo32 = <u64>d.u32_min + <u64>s.u32_min;
	const hi32 = <u64>d.u32_max + <u64>s.u32_max;
	if ((lo32 | hi32) >> 32) {
		d.u32_min = 0;
		d.u32_max = U32_MAX;
	} else {
		d.u32_min = <u32>lo32;
		d.u32_max = <u32>hi32;
	}
	add64(d, d, s);
}

/** 64-bit bounds of d = a + b */
function add64(d: Reg, a: Reg, b: Reg): void {
	const smin = a.smin + b.smin;
	const smax = a.smax + b.smax;
	const umin = a.umin + b.umin;
	const umax = a.umax + b.umax;
	const s_bad = sadd_overflows(a.smin, b.smin, smin) || sadd_overflows(a.smax, b.smax, smax);
	const u_bad = umin < a.umin || umax < a.umax;
	d.smin = s_bad ? S64_MIN : smin;
	d.smax = s_bad ? S64_MAX : smax;
	d.umin = u_bad ? 0 : umin;
	d.umax = u_bad ? U64_MAX : umax;
}

/** 64-bit bounds of d = a - b */
function sub64(d: Reg, a: Reg, b: Reg): void {
	const smin = a.smin - b.smax;
	const smax = a.smax - b.smin;
	const s_bad = ssub_overflows(a.smin, b.smax, smin) || ssub_overflows(a.smax, b.smin, smax);
	const u_bad = a.umin < b.umax;
	const umin = a.umin - b.umax;
	const umax = a.umax - b.umin;
	d.smin = s_bad ? S64_MIN : smin;
	d.smax = s_bad ? S64_MAX : smax;
	d.umin = u_bad ? 0 : umin;
	d.umax = u_bad ? U64_MAX : umax;
}

function min_max_sub(d: Reg, s: Reg): void {
	set_s32(d, <i64>d.s32_min - <i64>s.s32_max, <i64>d.s32_max - <i64>s.s32_min);
	if (d.u32_min < s.u32_max) {
		d.u32_min = 0;
		d.u32_max = U32_MAX;
	} else {
		d.u32_min -= s.u32_max;
		d.u32_max -= s.u32_min;
	}
	sub64(d, d, s);
}

function min_max_mul32(d: Reg, s: Reg): void {
	if (s.s32_min < 0 || d.s32_min < 0 || s.u32_max > 0xffff || d.u32_max > 0xffff) {
		unbounded32(d);
		return;
	}
	d.u32_min *= s.u32_min;
	d.u32_max *= s.u32_max;
	if (d.u32_max > <u32>S32_MAX) {
		d.s32_min = S32_MIN;
		d.s32_max = S32_MAX;
	} else {
		d.s32_min = <i32>d.u32_min;
		d.s32_max = <i32>d.u32_max;
	}
}

function min_max_mul64(d: Reg, s: Reg): void {
	if (s.smin < 0 || d.smin < 0 || s.umax > <u64>U32_MAX || d.umax > <u64>U32_MAX) {
		unbounded64(d);
		return;
	}
	d.umin *= s.umin;
	d.umax *= s.umax;
	if (d.umax > <u64>S64_MAX) {
		d.smin = S64_MIN;
		d.smax = S64_MAX;
	} else {
		d.smin = <i64>d.umin;
		d.smax = <i64>d.umax;
	}
}

/** s32 bounds from u32 bounds that do not cross the sign. */
// @ts-ignore: decorator
@inline
function s32_from_u32(d: Reg): void {
	if (<i32>d.u32_min <= <i32>d.u32_max) {
		d.s32_min = <i32>d.u32_min;
		d.s32_max = <i32>d.u32_max;
	} else {
		d.s32_min = S32_MIN;
		d.s32_max = S32_MAX;
	}
}
// @ts-ignore: decorator
@inline
function s64_from_u64(d: Reg): void {
	if (<i64>d.umin <= <i64>d.umax) {
		d.smin = <i64>d.umin;
		d.smax = <i64>d.umax;
	} else {
		d.smin = S64_MIN;
		d.smax = S64_MAX;
	}
}

// and, or, xor: d.var_off is that of the result already.
function min_max_and(d: Reg, s: Reg): void {
	if (<u32>s.mask == 0 && <u32>d.mask == 0) known32(d, <u32>d.value);
	else {
		d.u32_min = <u32>d.value;
		d.u32_max = min(d.u32_max, s.u32_max);
		s32_from_u32(d);
	}
	if (s.mask == 0 && d.mask == 0) {
		known(d, d.value);
		return;
	}
	d.umin = d.value;
	d.umax = min(d.umax, s.umax);
	s64_from_u64(d);
	update_bounds(d);
}

function min_max_or(d: Reg, s: Reg): void {
	if (<u32>s.mask == 0 && <u32>d.mask == 0) known32(d, <u32>d.value);
	else {
		d.u32_min = max(d.u32_min, s.u32_min);
		d.u32_max = <u32>d.value | <u32>d.mask;
		s32_from_u32(d);
	}
	if (s.mask == 0 && d.mask == 0) {
		known(d, d.value);
		return;
	}
	d.umin = max(d.umin, s.umin);
	d.umax = d.value | d.mask;
	s64_from_u64(d);
	update_bounds(d);
}

function min_max_xor(d: Reg, s: Reg): void {
	if (<u32>s.mask == 0 && <u32>d.mask == 0) known32(d, <u32>d.value);
	else {
		d.u32_min = <u32>d.value;
		d.u32_max = <u32>d.value | <u32>d.mask;
		s32_from_u32(d);
	}
	if (s.mask == 0 && d.mask == 0) {
		known(d, d.value);
		return;
	}
	d.umin = d.value;
	d.umax = d.value | d.mask;
	s64_from_u64(d);
	update_bounds(d);
}

/** __scalar32_min_max_lsh */
function lsh32(d: Reg, umin: u64, umax: u64): void {
	d.s32_min = S32_MIN;
	d.s32_max = S32_MAX;
	// A bit that might be shifted out leaves nothing known.
	if (umax > 31 || <u64>d.u32_max > <u64>1 << (31 - umax)) {
		d.u32_min = 0;
		d.u32_max = U32_MAX;
	} else {
		d.u32_min <<= <u32>umin;
		d.u32_max <<= <u32>umax;
	}
}

function min_max_lsh32(d: Reg, s: Reg): void {
	const umin = <u64>s.u32_min;
	lsh32(d, umin, <u64>s.u32_max);
	d.value = ((d.value & 0xffffffff) << umin) & 0xffffffff;
	d.mask = ((d.mask & 0xffffffff) << umin) & 0xffffffff;
	unbounded64(d);
	update32(d);
}

function min_max_lsh64(d: Reg, s: Reg): void {
	const umin = s.umin;
	const umax = s.umax;
	// << 32 keeps the sign of the lower half: compilers sign-extend by << 32, s>> 32
	if (umin == 32 && umax == 32) {
		d.smax = <i64>d.s32_max << 32;
		d.smin = <i64>d.s32_min << 32;
	} else {
		d.smax = S64_MAX;
		d.smin = S64_MIN;
	}
	if (d.umax > <u64>1 << (63 - umax)) {
		d.umin = 0;
		d.umax = U64_MAX;
	} else {
		d.umin <<= umin;
		d.umax <<= umax;
	}
	lsh32(d, umin, umax);
	d.value <<= umin;
	d.mask <<= umin;
	update_bounds(d);
}

function min_max_rsh32(d: Reg, s: Reg): void {
	const umin = s.u32_min;
	const umax = s.u32_max;
	d.s32_min = S32_MIN;
	d.s32_max = S32_MAX;
	d.value = (d.value & 0xffffffff) >> <u64>umin;
	d.mask = (d.mask & 0xffffffff) >> <u64>umin;
	d.u32_min >>= umax;
	d.u32_max >>= umin;
	unbounded64(d);
	update32(d);
}

function min_max_rsh64(d: Reg, s: Reg): void {
	const umin = s.umin;
	const umax = s.umax;
	d.smin = S64_MIN;
	d.smax = S64_MAX;
	d.value >>= umin;
	d.mask >>= umin;
	d.umin >>= umax;
	d.umax >>= umin;
	unbounded32(d);
	update_bounds(d);
}

function min_max_arsh32(d: Reg, s: Reg): void {
	const shift = s.u32_min;
	d.s32_min >>= <i32>shift;
	d.s32_max >>= <i32>shift;
	tnum_arshift(d.value & 0xffffffff, d.mask & 0xffffffff, <u64>shift, 32);
	d.value = tv;
	d.mask = tm;
	d.u32_min = 0;
	d.u32_max = U32_MAX;
	unbounded64(d);
	update32(d);
}

function min_max_arsh64(d: Reg, s: Reg): void {
	const shift = s.umin;
	d.smin >>= <i64>shift;
	d.smax >>= <i64>shift;
	tnum_arshift(d.value, d.mask, shift, 64);
	d.value = tv;
	d.mask = tm;
	d.umin = 0;
	d.umax = U64_MAX;
	unbounded32(d);
	update_bounds(d);
}

// @ts-ignore: decorator
@inline
function take(d: Reg): void {
	d.value = tv;
	d.mask = tm;
}

/** Only shifts by a known amount below the width have a result that can be computed. */
export function is_safe_to_compute_dst_reg_range(opcode: i32, alu32: i32, src: i32): i32 {
	const s = R(src);
	switch (opcode) {
		case BPF_ADD:
		case BPF_SUB:
		case BPF_AND:
		case BPF_XOR:
		case BPF_OR:
		case BPF_MUL:
			return 1;
		case BPF_LSH:
		case BPF_RSH:
		case BPF_ARSH: {
			const is_const = alu32
				? <u32>s.mask == 0 && s.s32_min == s.s32_max && s.u32_min == s.u32_max
				: s.mask == 0 && s.smin == s.smax && s.umin == s.umax;
			return is_const && s.umax < <u64>(alu32 ? 32 : 64) ? 1 : 0;
		}
		default:
			return 0;
	}
}

/** The arithmetic of adjust_scalar_min_max_vals(); dst and src are different registers. */
export function scalar_alu(opcode: i32, alu32: i32, dst: i32, src: i32): void {
	const d = R(dst);
	const s = R(src);
	switch (opcode) {
		case BPF_ADD:
			min_max_add(d, s);
			tnum_add(d.value, d.mask, s.value, s.mask);
			take(d);
			break;
		case BPF_SUB:
			min_max_sub(d, s);
			tnum_sub(d.value, d.mask, s.value, s.mask);
			take(d);
			break;
		case BPF_MUL:
			tnum_mul(d.value, d.mask, s.value, s.mask);
			take(d);
			min_max_mul32(d, s);
			min_max_mul64(d, s);
			break;
		case BPF_AND:
			tnum_and(d.value, d.mask, s.value, s.mask);
			take(d);
			min_max_and(d, s);
			break;
		case BPF_OR:
			tnum_or(d.value, d.mask, s.value, s.mask);
			take(d);
			min_max_or(d, s);
			break;
		case BPF_XOR:
			tnum_xor(d.value, d.mask, s.value, s.mask);
			take(d);
			min_max_xor(d, s);
			break;
		case BPF_LSH:
			if (alu32) min_max_lsh32(d, s);
			else min_max_lsh64(d, s);
			break;
		case BPF_RSH:
			if (alu32) min_max_rsh32(d, s);
			else min_max_rsh64(d, s);
			break;
		case BPF_ARSH:
			if (alu32) min_max_arsh32(d, s);
			else min_max_arsh64(d, s);
			break;
		default:
			break;
	}
	if (alu32) zext(d);
	sync(d);
}

/** 64-bit bounds and var_off of pointer ± scalar (adjust_ptr_min_max_vals); operands may alias dst. */
export function ptr_alu(opcode: i32, dst: i32, ptr: i32, off: i32): void {
	const d = R(dst);
	const a = R(ptr);
	const b = R(off);
	if (opcode == BPF_ADD) tnum_add(a.value, a.mask, b.value, b.mask);
	else tnum_sub(a.value, a.mask, b.value, b.mask);
	const v = tv;
	const m = tm;
	if (opcode == BPF_ADD) add64(d, a, b);
	else sub64(d, a, b);
	d.value = v;
	d.mask = m;
}

// For tests: the tnum functions on the var_off of registers.

export function tnum_op(op: i32, dst: i32, src: i32): void {
	const d = R(dst);
	const s = R(src);
	switch (op) {
		case 0: tnum_add(d.value, d.mask, s.value, s.mask); break;
		case 1: tnum_sub(d.value, d.mask, s.value, s.mask); break;
		case 2: tnum_mul(d.value, d.mask, s.value, s.mask); break;
		case 3: tnum_and(d.value, d.mask, s.value, s.mask); break;
		case 4: tnum_or(d.value, d.mask, s.value, s.mask); break;
		case 5: tnum_xor(d.value, d.mask, s.value, s.mask); break;
		default: tnum_intersect(d.value, d.mask, s.value, s.mask); break;
	}
	take(d);
}

/** op 0: <<, 1: >>, 2: s>> */
export function tnum_shift(op: i32, p: i32, shift: i32, bits: i32): void {
	const d = R(p);
	if (op == 0) {
		d.value <<= <u64>shift;
		d.mask <<= <u64>shift;
	} else if (op == 1) {
		d.value >>= <u64>shift;
		d.mask >>= <u64>shift;
	} else {
		tnum_arshift(d.value, d.mask, <u64>shift, bits);
		take(d);
	}
}

/** var_off of the register becomes tnum_range(umin, umax). */
export function tnum_range_of(p: i32): void {
	const d = R(p);
	tnum_range(d.umin, d.umax);
	take(d);
}
export function tnum_in_regs(a: i32, b: i32): i32 {
	return tnum_in(R(a).value, R(a).mask, R(b).value, R(b).mask) ? 1 : 0;
}
export function tnum_overlap_regs(a: i32, b: i32): i32 {
	return tnum_overlap(R(a).value, R(a).mask, R(b).value, R(b).mask) ? 1 : 0;
}
