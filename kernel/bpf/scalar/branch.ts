// SPDX-License-Identifier: GPL-2.0-only
/** What is known of a comparison, and what it teaches (kernel/bpf/verifier.c). */
import { sync, unbounded32, unbounded64, violation } from "./bounds";
import { R, Reg, SCALAR_VALUE } from "./layout";
import { tm, tnum_and, tnum_intersect, tnum_or, tnum_overlap, tv } from "./tnum";

const BPF_JEQ: i32 = 0x10;
const BPF_JGT: i32 = 0x20;
const BPF_JGE: i32 = 0x30;
const BPF_JSET: i32 = 0x40;
const BPF_JNE: i32 = 0x50;
const BPF_JSGT: i32 = 0x60;
const BPF_JSGE: i32 = 0x70;
const BPF_JLT: i32 = 0xa0;
const BPF_JLE: i32 = 0xb0;
const BPF_JSLT: i32 = 0xc0;
const BPF_JSLE: i32 = 0xd0;
/** BPF_JSET | BPF_X: the reverse of BPF_JSET (rev_opcode) */
const BPF_NOT_JSET: i32 = 0x48;

// @ts-ignore: decorator
@inline
function is_const(r: Reg, is_jmp32: bool): bool {
	return r.type == SCALAR_VALUE && (is_jmp32 ? <u32>r.mask == 0 : r.mask == 0);
}
// @ts-ignore: decorator
@inline
function const_value(r: Reg, is_jmp32: bool): u64 {
	return is_jmp32 ? <u64>(<u32>r.value) : r.value;
}

/** Can r1 == r2 be ruled out? 1: yes; 0: both are constants, and equal; -1: unknown. */
function differ(r1: Reg, r2: Reg, is_jmp32: bool): i32 {
	const cut: u64 = is_jmp32 ? 0xffffffff : u64.MAX_VALUE;
	const v1 = r1.value & cut;
	const m1 = r1.mask & cut;
	const v2 = r2.value & cut;
	const m2 = r2.mask & cut;
	if ((m1 | m2) == 0) return v1 != v2 ? 1 : 0;
	if (!tnum_overlap(v1, m1, v2, m2)) return 1;
	if (!is_jmp32) {
		if (r1.umin > r2.umax || r1.umax < r2.umin) return 1;
		if (r1.smin > r2.smax || r1.smax < r2.smin) return 1;
	}
	// For 64 bits these may still decide where the wide ranges did not.
	if (r1.u32_min > r2.u32_max || r1.u32_max < r2.u32_min) return 1;
	if (r1.s32_min > r2.s32_max || r1.s32_max < r2.s32_min) return 1;
	return -1;
}

export function is_scalar_branch_taken(p1: i32, p2: i32, opcode: i32, jmp32: i32): i32 {
	let r1 = R(p1);
	let r2 = R(p2);
	const is_jmp32 = jmp32 != 0;
	switch (opcode) {
		case BPF_JEQ: {
			const d = differ(r1, r2, is_jmp32);
			return d < 0 ? -1 : 1 - d;
		}
		case BPF_JNE:
			return differ(r1, r2, is_jmp32);
		case BPF_JSET: {
			if (!is_const(r2, is_jmp32)) {
				const t = r1;
				r1 = r2;
				r2 = t;
			}
			if (!is_const(r2, is_jmp32)) return -1;
			const cut: u64 = is_jmp32 ? 0xffffffff : u64.MAX_VALUE;
			const v1 = r1.value & cut;
			const m1 = r1.mask & cut;
			const v2 = r2.value & cut;
			if (~m1 & v1 & v2) return 1;
			if (((m1 | v1) & v2) == 0) return 0;
			return -1;
		}
		default:
			break;
	}
	const umin1 = is_jmp32 ? <u64>r1.u32_min : r1.umin;
	const umax1 = is_jmp32 ? <u64>r1.u32_max : r1.umax;
	const smin1 = is_jmp32 ? <i64>r1.s32_min : r1.smin;
	const smax1 = is_jmp32 ? <i64>r1.s32_max : r1.smax;
	const umin2 = is_jmp32 ? <u64>r2.u32_min : r2.umin;
	const umax2 = is_jmp32 ? <u64>r2.u32_max : r2.umax;
	const smin2 = is_jmp32 ? <i64>r2.s32_min : r2.smin;
	const smax2 = is_jmp32 ? <i64>r2.s32_max : r2.smax;
	switch (opcode) {
		case BPF_JGT: return umin1 > umax2 ? 1 : umax1 <= umin2 ? 0 : -1;
		case BPF_JSGT: return smin1 > smax2 ? 1 : smax1 <= smin2 ? 0 : -1;
		case BPF_JLT: return umax1 < umin2 ? 1 : umin1 >= umax2 ? 0 : -1;
		case BPF_JSLT: return smax1 < smin2 ? 1 : smin1 >= smax2 ? 0 : -1;
		case BPF_JGE: return umin1 >= umax2 ? 1 : umax1 < umin2 ? 0 : -1;
		case BPF_JSGE: return smin1 >= smax2 ? 1 : smax1 < smin2 ? 0 : -1;
		case BPF_JLE: return umax1 <= umin2 ? 1 : umin1 > umax2 ? 0 : -1;
		case BPF_JSLE: return smax1 <= smin2 ? 1 : smin1 > smax2 ? 0 : -1;
		default: return -1;
	}
}

function rev_opcode(opcode: i32): i32 {
	switch (opcode) {
		case BPF_JEQ: return BPF_JNE;
		case BPF_JNE: return BPF_JEQ;
		case BPF_JSET: return BPF_NOT_JSET;
		case BPF_NOT_JSET: return BPF_JSET;
		case BPF_JGE: return BPF_JLT;
		case BPF_JGT: return BPF_JLE;
		case BPF_JLE: return BPF_JGT;
		case BPF_JLT: return BPF_JGE;
		case BPF_JSGE: return BPF_JSLT;
		case BPF_JSGT: return BPF_JSLE;
		case BPF_JSLE: return BPF_JSGT;
		case BPF_JSLT: return BPF_JSGE;
		default: return 0;
	}
}

/** Replace the lower half of var_off by (v; m): tnum_with_subreg */
// @ts-ignore: decorator
@inline
function with_subreg(r: Reg, v: u64, m: u64): void {
	r.value = (r.value & 0xffffffff00000000) | (v & 0xffffffff);
	r.mask = ((r.mask & 0xffffffff00000000) | (m & 0xffffffff)) & ~r.value;
}

function refine(a: Reg, b: Reg, op: i32, is_jmp32: bool): void {
	let r1 = a;
	let r2 = b;
	// greater-than is less-than the other way round
	if (op == BPF_JGE || op == BPF_JGT || op == BPF_JSGE || op == BPF_JSGT) {
		op = op == BPF_JGE ? BPF_JLE : op == BPF_JGT ? BPF_JLT : op == BPF_JSGE ? BPF_JSLE : BPF_JSLT;
		r1 = b;
		r2 = a;
	}
	switch (op) {
		case BPF_JEQ:
			if (is_jmp32) {
				r1.u32_min = max(r1.u32_min, r2.u32_min);
				r1.u32_max = min(r1.u32_max, r2.u32_max);
				r1.s32_min = max(r1.s32_min, r2.s32_min);
				r1.s32_max = min(r1.s32_max, r2.s32_max);
				r2.u32_min = r1.u32_min;
				r2.u32_max = r1.u32_max;
				r2.s32_min = r1.s32_min;
				r2.s32_max = r1.s32_max;
				tnum_intersect(r1.value & 0xffffffff, r1.mask & 0xffffffff, r2.value & 0xffffffff, r2.mask & 0xffffffff);
				with_subreg(r1, tv, tm);
				with_subreg(r2, tv, tm);
			} else {
				r1.umin = max(r1.umin, r2.umin);
				r1.umax = min(r1.umax, r2.umax);
				r1.smin = max(r1.smin, r2.smin);
				r1.smax = min(r1.smax, r2.smax);
				r2.umin = r1.umin;
				r2.umax = r1.umax;
				r2.smin = r1.smin;
				r2.smax = r1.smax;
				tnum_intersect(r1.value, r1.mask, r2.value, r2.mask);
				r1.value = tv;
				r1.mask = tm;
				r2.value = tv;
				r2.mask = tm;
			}
			return;
		case BPF_JNE:
		case BPF_JSET:
		case BPF_NOT_JSET:
			break;
		case BPF_JLE:
			if (is_jmp32) {
				r1.u32_max = min(r1.u32_max, r2.u32_max);
				r2.u32_min = max(r1.u32_min, r2.u32_min);
			} else {
				r1.umax = min(r1.umax, r2.umax);
				r2.umin = max(r1.umin, r2.umin);
			}
			return;
		case BPF_JLT:
			if (is_jmp32) {
				r1.u32_max = min(r1.u32_max, r2.u32_max - 1);
				r2.u32_min = max(r1.u32_min + 1, r2.u32_min);
			} else {
				r1.umax = min(r1.umax, r2.umax - 1);
				r2.umin = max(r1.umin + 1, r2.umin);
			}
			return;
		case BPF_JSLE:
			if (is_jmp32) {
				r1.s32_max = min(r1.s32_max, r2.s32_max);
				r2.s32_min = max(r1.s32_min, r2.s32_min);
			} else {
				r1.smax = min(r1.smax, r2.smax);
				r2.smin = max(r1.smin, r2.smin);
			}
			return;
		case BPF_JSLT:
			if (is_jmp32) {
				r1.s32_max = min(r1.s32_max, r2.s32_max - 1);
				r2.s32_min = max(r1.s32_min + 1, r2.s32_min);
			} else {
				r1.smax = min(r1.smax, r2.smax - 1);
				r2.smin = max(r1.smin + 1, r2.smin);
			}
			return;
		default:
			return;
	}
	// The rest needs a constant on one side.
	if (!is_const(r2, is_jmp32)) {
		const t = r1;
		r1 = r2;
		r2 = t;
	}
	if (!is_const(r2, is_jmp32)) return;
	const val = const_value(r2, is_jmp32);
	switch (op) {
		case BPF_JNE:
			// A constant at the edge of the range moves the edge.
			if (is_jmp32) {
				if (r1.u32_min == <u32>val) r1.u32_min++;
				if (r1.u32_max == <u32>val) r1.u32_max--;
				if (r1.s32_min == <i32>val) r1.s32_min++;
				if (r1.s32_max == <i32>val) r1.s32_max--;
			} else {
				if (r1.umin == val) r1.umin++;
				if (r1.umax == val) r1.umax--;
				if (r1.smin == <i64>val) r1.smin++;
				if (r1.smax == <i64>val) r1.smax--;
			}
			return;
		case BPF_JSET:
			// Which of several bits is set stays unknown.
			if (val == 0 || (val & (val - 1)) != 0) return;
			if (is_jmp32) {
				tnum_or(r1.value & 0xffffffff, r1.mask & 0xffffffff, val, 0);
				with_subreg(r1, tv, tm);
			} else {
				tnum_or(r1.value, r1.mask, val, 0);
				r1.value = tv;
				r1.mask = tm;
			}
			return;
		default:
			// BPF_NOT_JSET. On a dead branch the old ranges would contradict the new var_off.
			unbounded64(r1);
			unbounded32(r1);
			if (is_jmp32) {
				tnum_and(r1.value & 0xffffffff, r1.mask & 0xffffffff, ~val, 0);
				with_subreg(r1, tv, tm);
			} else {
				tnum_and(r1.value, r1.mask, ~val, 0);
				r1.value = tv;
				r1.mask = tm;
			}
			return;
	}
}

export function regs_refine_cond_op(p1: i32, p2: i32, opcode: i32, jmp32: i32): void {
	refine(R(p1), R(p2), opcode, jmp32 != 0);
}

/** A bit for each of true1, true2, false1, false2 whose bounds are impossible now. */
export function reg_set_min_max(t1: i32, t2: i32, f1: i32, f2: i32, opcode: i32, jmp32: i32): i32 {
	const is_jmp32 = jmp32 != 0;
	refine(R(f1), R(f2), rev_opcode(opcode), is_jmp32);
	sync(R(f1));
	sync(R(f2));
	refine(R(t1), R(t2), opcode, is_jmp32);
	sync(R(t1));
	sync(R(t2));
	return (
		(violation(R(t1)) ? 1 : 0) |
		(violation(R(t2)) ? 2 : 0) |
		(violation(R(f1)) ? 4 : 0) |
		(violation(R(f2)) ? 8 : 0)
	);
}
