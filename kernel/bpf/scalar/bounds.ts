// SPDX-License-Identifier: GPL-2.0-only
/** Marking of registers and the agreement of their bounds (kernel/bpf/verifier.c). */
import {
	bpf_capable,
	NOT_INIT,
	R,
	Reg,
	S32_MAX,
	S32_MIN,
	S64_MAX,
	S64_MIN,
	SCALAR_VALUE,
	U32_MAX,
	U64_MAX,
	UNBOUND_REG,
} from "./layout";
import { range_mask, tnum_range, tm, tv } from "./tnum";

export function set_known(r: Reg, imm: u64): void {
	r.value = imm;
	r.mask = 0;
	r.smin = <i64>imm;
	r.smax = <i64>imm;
	r.umin = imm;
	r.umax = imm;
	r.s32_min = <i32>imm;
	r.s32_max = <i32>imm;
	r.u32_min = <u32>imm;
	r.u32_max = <u32>imm;
}

/** __mark_reg_known */
export function known(r: Reg, imm: u64): void {
	r.off = 0;
	r.raw1 = 0;
	r.raw2 = 0;
	r.id = 0;
	r.ref_obj_id = 0;
	set_known(r, imm);
}

// @ts-ignore: decorator
@inline
export function known32(r: Reg, imm: u32): void {
	r.value = (r.value & 0xffffffff00000000) | <u64>imm;
	r.mask = r.mask & 0xffffffff00000000;
	r.s32_min = <i32>imm;
	r.s32_max = <i32>imm;
	r.u32_min = imm;
	r.u32_max = imm;
}

export function unbounded64(r: Reg): void {
	r.smin = S64_MIN;
	r.smax = S64_MAX;
	r.umin = 0;
	r.umax = U64_MAX;
}

export function unbounded32(r: Reg): void {
	r.s32_min = S32_MIN;
	r.s32_max = S32_MAX;
	r.u32_min = 0;
	r.u32_max = U32_MAX;
}

/** __mark_reg_unknown_imprecise */
export function unknown(r: Reg): void {
	r.type = SCALAR_VALUE;
	r.off = 0;
	r.raw1 = 0;
	r.raw2 = 0;
	r.id = 0;
	r.ref_obj_id = 0;
	r.value = 0;
	r.mask = U64_MAX;
	r.frameno = 0;
	r.precise = 0;
	unbounded64(r);
	unbounded32(r);
}

export function not_init(r: Reg): void {
	unknown(r);
	r.precise = bpf_capable ? 0 : 1;
	r.type = NOT_INIT;
}

/** The register that a fully MISC stack slot loads as (unbound_reg). */
export function unbound_reg(): Reg {
	const r = R(UNBOUND_REG);
	unknown(r);
	r.live = 3; // REG_LIVE_READ
	return r;
}

export function mark_reg_known(p: i32, lo: i32, hi: i32): void {
	known(R(p), (<u64>(<u32>hi) << 32) | <u64>(<u32>lo));
}
export function mark_reg_known_keep(p: i32, lo: i32, hi: i32): void {
	set_known(R(p), (<u64>(<u32>hi) << 32) | <u64>(<u32>lo));
}
export function mark_reg32_known(p: i32, imm: i32): void {
	known32(R(p), <u32>imm);
}
export function mark_reg_unbounded(p: i32): void {
	unbounded64(R(p));
	unbounded32(R(p));
}
export function mark_reg64_unbounded(p: i32): void {
	unbounded64(R(p));
}
export function mark_reg32_unbounded(p: i32): void {
	unbounded32(R(p));
}
export function mark_reg_unknown_imprecise(p: i32): void {
	unknown(R(p));
}
export function mark_reg_unknown(p: i32): void {
	unknown(R(p));
	R(p).precise = bpf_capable ? 0 : 1;
}
export function mark_reg_not_init(p: i32): void {
	not_init(R(p));
}

/** __update_reg32_bounds */
export function update32(r: Reg): void {
	const v = <u32>r.value;
	const m = <u32>r.mask;
	r.s32_min = max(r.s32_min, <i32>(v | (m & 0x80000000)));
	r.s32_max = min(r.s32_max, <i32>(v | (m & 0x7fffffff)));
	r.u32_min = max(r.u32_min, v);
	r.u32_max = min(r.u32_max, v | m);
}

/** __update_reg64_bounds */
export function update64(r: Reg): void {
	const v = r.value;
	const m = r.mask;
	r.smin = max(r.smin, <i64>(v | (m & 0x8000000000000000)));
	r.smax = min(r.smax, <i64>(v | (m & 0x7fffffffffffffff)));
	r.umin = max(r.umin, v);
	r.umax = min(r.umax, v | m);
}

export function update_bounds(r: Reg): void {
	update32(r);
	update64(r);
}

/** reg_bounds_sync, with everything in locals: the hottest function of the verifier. */
export function sync(r: Reg): void {
	let value = r.value;
	let mask = r.mask;
	let smin = r.smin;
	let smax = r.smax;
	let umin = r.umin;
	let umax = r.umax;
	let s32_min = r.s32_min;
	let s32_max = r.s32_max;
	let u32_min = r.u32_min;
	let u32_max = r.u32_max;

	if (mask == 0) {
		// A constant that all bounds agree on has nothing to learn.
		if (
			umin == value && umax == value && smin == <i64>value && smax == <i64>value &&
			u32_min == <u32>value && u32_max == <u32>value && s32_min == <i32>value && s32_max == <i32>value
		)
			return;
	} else if (
		mask == U64_MAX && umin == 0 && umax == U64_MAX && smin == S64_MIN && smax == S64_MAX &&
		u32_min == 0 && u32_max == U32_MAX && s32_min == S32_MIN && s32_max == S32_MAX
	)
		return;

	// __update_reg_bounds
	let v32 = <u32>value;
	let m32 = <u32>mask;
	s32_min = max(s32_min, <i32>(v32 | (m32 & 0x80000000)));
	s32_max = min(s32_max, <i32>(v32 | (m32 & 0x7fffffff)));
	u32_min = max(u32_min, v32);
	u32_max = min(u32_max, v32 | m32);
	smin = max(smin, <i64>(value | (mask & 0x8000000000000000)));
	smax = min(smax, <i64>(value | (mask & 0x7fffffffffffffff)));
	umin = max(umin, value);
	umax = min(umax, value | mask);

	for (let round = 0; round < 3; round++) {
		// __reg32_deduce_bounds: from the 64-bit ranges whose upper halves stay the same …
		const ulo = <u32>umin;
		const uhi = <u32>umax;
		const slo = <u32>smin;
		const shi = <u32>smax;
		const utop = <u32>(umin >> 32);
		const utop_max = <u32>(umax >> 32);
		const stop = <u32>(<u64>smin >> 32);
		const stop_max = <u32>(<u64>smax >> 32);
		if (utop == utop_max) {
			u32_min = max(u32_min, ulo);
			u32_max = min(u32_max, uhi);
			if (<i32>ulo <= <i32>uhi) {
				s32_min = max(s32_min, <i32>ulo);
				s32_max = min(s32_max, <i32>uhi);
			}
		}
		if (stop == stop_max) {
			if (slo <= shi) {
				u32_min = max(u32_min, slo);
				u32_max = min(u32_max, shi);
			}
			if (<i32>slo <= <i32>shi) {
				s32_min = max(s32_min, <i32>slo);
				s32_max = min(s32_max, <i32>shi);
			}
		}
		// … or step by one while the lower half goes from negative to positive
		if (<u32>(utop + 1) == utop_max && <i32>ulo < 0 && <i32>uhi >= 0) {
			s32_min = max(s32_min, <i32>ulo);
			s32_max = min(s32_max, <i32>uhi);
		}
		if (<u32>(stop + 1) == stop_max && <i32>slo < 0 && <i32>shi >= 0) {
			s32_min = max(s32_min, <i32>slo);
			s32_max = min(s32_max, <i32>shi);
		}
		// signed from unsigned when the sign bit is the same, and the other way
		if (<i32>u32_min <= <i32>u32_max) {
			s32_min = max(s32_min, <i32>u32_min);
			s32_max = min(s32_max, <i32>u32_max);
		}
		if (<u32>s32_min <= <u32>s32_max) {
			u32_min = max(<u32>s32_min, u32_min);
			u32_max = min(<u32>s32_max, u32_max);
		} else if (u32_max < <u32>s32_min) {
			// the signed range is split: only its positive part meets the unsigned one
			s32_min = <i32>u32_min;
			u32_max = min(u32_max, <u32>s32_max);
		} else if (<u32>s32_max < u32_min) {
			s32_max = <i32>u32_max;
			u32_min = max(u32_min, <u32>s32_min);
		}

		// __reg64_deduce_bounds: the same for 64 bits
		if (<i64>umin <= <i64>umax) {
			smin = max(smin, <i64>umin);
			smax = min(smax, <i64>umax);
		}
		if (<u64>smin <= <u64>smax) {
			umin = max(<u64>smin, umin);
			umax = min(<u64>smax, umax);
		} else if (umax < <u64>smin) {
			smin = <i64>umin;
			umax = min(umax, <u64>smax);
		} else if (<u64>smax < umin) {
			smax = <i64>umax;
			umin = max(umin, <u64>smin);
		}

		// __reg_deduce_mixed_bounds: the 32-bit bounds as lower halves of the 64-bit ones
		umin = max(umin, (umin & 0xffffffff00000000) | <u64>u32_min);
		umax = min(umax, (umax & 0xffffffff00000000) | <u64>u32_max);
		smin = max(smin, <i64>((<u64>smin & 0xffffffff00000000) | <u64>u32_min));
		smax = min(smax, <i64>((<u64>smax & 0xffffffff00000000) | <u64>u32_max));
		if (<u32>s32_min <= <u32>s32_max) {
			const lo = <u64>(<u32>s32_min);
			const hi = <u64>(<u32>s32_max);
			umin = max(umin, (umin & 0xffffffff00000000) | lo);
			umax = min(umax, (umax & 0xffffffff00000000) | hi);
			smin = max(smin, <i64>((<u64>smin & 0xffffffff00000000) | lo));
			smax = min(smax, <i64>((<u64>smax & 0xffffffff00000000) | hi));
		}
		// after a sign-extending load: a value that is an s32 and whose lower half is not negative
		if (s32_min >= 0 && smin >= <i64>S32_MIN && smax <= <i64>S32_MAX) {
			smin = <i64>s32_min;
			smax = <i64>s32_max;
			umin = <u64>smin;
			umax = <u64>smax;
			const rm = range_mask(umin, umax);
			const mu = mask & rm;
			value = (value | (umin & ~rm)) & ~mu;
			mask = mu;
		}
	}

	// __reg_bound_offset
	let rm = range_mask(umin, umax);
	const m64 = mask & rm;
	const v64 = (value | (umin & ~rm)) & ~m64;
	rm = range_mask(<u64>u32_min, <u64>u32_max);
	const mlo = m64 & 0xffffffff & rm;
	const vlo = ((v64 & 0xffffffff) | (<u64>u32_min & ~rm)) & ~mlo;
	// tnum_or() of disjoint halves; a bit known twice stays known
	value = (v64 & 0xffffffff00000000) | vlo;
	mask = ((m64 & 0xffffffff00000000) | mlo) & ~value;

	// __update_reg_bounds
	v32 = <u32>value;
	m32 = <u32>mask;
	r.s32_min = max(s32_min, <i32>(v32 | (m32 & 0x80000000)));
	r.s32_max = min(s32_max, <i32>(v32 | (m32 & 0x7fffffff)));
	r.u32_min = max(u32_min, v32);
	r.u32_max = min(u32_max, v32 | m32);
	r.smin = max(smin, <i64>(value | (mask & 0x8000000000000000)));
	r.smax = min(smax, <i64>(value | (mask & 0x7fffffffffffffff)));
	r.umin = max(umin, value);
	r.umax = min(umax, value | mask);
	r.value = value;
	r.mask = mask;
}

export function update_reg_bounds(p: i32): void {
	update_bounds(R(p));
}
export function reg_bounds_sync(p: i32): void {
	sync(R(p));
}

export function mark_reg_s32_range(p: i32, lo: i32, hi: i32): void {
	const r = R(p);
	r.s32_min = max(r.s32_min, lo);
	r.s32_max = min(r.s32_max, hi);
	r.smin = max(r.smin, <i64>lo);
	r.smax = min(r.smax, <i64>hi);
	sync(r);
}

/** What reg_bounds_sanity_check() complains of: 0 nothing, 1 ranges, 2 constant, 3 constant lower half. */
export function violation(r: Reg): i32 {
	if (r.umin > r.umax || r.smin > r.smax || r.u32_min > r.u32_max || r.s32_min > r.s32_max) return 1;
	if (r.mask == 0) {
		const v = r.value;
		if (r.umin != v || r.umax != v || r.smin != <i64>v || r.smax != <i64>v) return 2;
	}
	if (<u32>r.mask == 0) {
		const v = <u32>r.value;
		if (r.u32_min != v || r.u32_max != v || r.s32_min != <i32>v || r.s32_max != <i32>v) return 3;
	}
	return 0;
}

export function bounds_violation(p: i32): i32 {
	return violation(R(p));
}

/** __reg_assign_32_into_64 */
export function assign_32_into_64(r: Reg): void {
	r.umin = <u64>r.u32_min;
	r.umax = <u64>r.u32_max;
	if (r.s32_min >= 0 && r.s32_max >= 0) {
		r.smin = <i64>r.s32_min;
		r.smax = <i64>r.s32_max;
	} else {
		r.smin = 0;
		r.smax = <i64>U32_MAX;
	}
}

export function reg_assign_32_into_64(p: i32): void {
	assign_32_into_64(R(p));
}

export function zext(r: Reg): void {
	r.value = r.value & 0xffffffff;
	r.mask = r.mask & 0xffffffff;
	assign_32_into_64(r);
}

export function zext_32_to_64(p: i32): void {
	zext(R(p));
}

export function coerce_reg_to_size(p: i32, size: i32): void {
	const r = R(p);
	const mask: u64 = (<u64>1 << (<u64>size * 8)) - 1;
	r.value = r.value & mask;
	r.mask = r.mask & mask;
	if ((r.umin & ~mask) == (r.umax & ~mask)) {
		r.umin = r.umin & mask;
		r.umax = r.umax & mask;
	} else {
		r.umin = 0;
		r.umax = mask;
	}
	r.smin = <i64>r.umin;
	r.smax = <i64>r.umax;
	if (size < 4) unbounded32(r);
	sync(r);
}

/** Sign-extend the low `size` bytes. */
// @ts-ignore: decorator
@inline
function sext(v: u64, size: i32): i64 {
	return size == 1 ? <i64>(<i8>v) : size == 2 ? <i64>(<i16>v) : <i64>(<i32>v);
}

export function coerce_reg_to_size_sx(p: i32, size: i32): void {
	const r = R(p);
	if (r.mask == 0) {
		set_known(r, <u64>sext(r.value, size));
		return;
	}
	const bits = <u64>size * 8;
	if (<u64>r.smax >> bits == <u64>r.smin >> bits) {
		const a = sext(<u64>r.smax, size);
		const b = sext(<u64>r.smin, size);
		const hi = max(a, b);
		const lo = min(a, b);
		if ((hi >= 0) == (lo >= 0)) {
			r.smin = lo;
			r.smax = hi;
			r.s32_min = <i32>lo;
			r.s32_max = <i32>hi;
			r.umin = <u64>lo;
			r.umax = <u64>hi;
			r.u32_min = <u32>lo;
			r.u32_max = <u32>hi;
			tnum_range(<u64>lo, <u64>hi);
			r.value = tv;
			r.mask = tm;
			return;
		}
	}
	// set_sext64_default_val
	const top: i64 = (<i64>1 << (<i64>bits - 1)) - 1;
	r.smin = -top - 1;
	r.smax = top;
	r.s32_min = <i32>(-top - 1);
	r.s32_max = <i32>top;
	r.umin = 0;
	r.u32_min = 0;
	r.umax = U64_MAX;
	r.u32_max = U32_MAX;
	r.value = 0;
	r.mask = U64_MAX;
}

export function coerce_subreg_to_size_sx(p: i32, size: i32): void {
	const r = R(p);
	if (r.mask == 0) {
		r.value = <u64>sext(<u64>(<u32>r.value), size);
		const v = <u32>r.value;
		r.s32_min = <i32>v;
		r.s32_max = <i32>v;
		r.u32_min = v;
		r.u32_max = v;
		return;
	}
	const bits = <u32>size * 8;
	if (<u32>r.s32_max >> bits == <u32>r.s32_min >> bits) {
		const a = <i32>sext(<u64>(<u32>r.s32_max), size);
		const b = <i32>sext(<u64>(<u32>r.s32_min), size);
		const hi = max(a, b);
		const lo = min(a, b);
		if ((hi >= 0) == (lo >= 0)) {
			r.s32_min = lo;
			r.s32_max = hi;
			r.u32_min = <u32>lo;
			r.u32_max = <u32>hi;
			tnum_range(<u64>(<i64>lo), <u64>(<i64>hi));
			r.value = tv & 0xffffffff;
			r.mask = tm & 0xffffffff;
			return;
		}
	}
	// set_sext32_default_val
	r.s32_min = size == 1 ? -128 : -32768;
	r.s32_max = size == 1 ? 127 : 32767;
	r.u32_min = 0;
	r.u32_max = U32_MAX;
	r.value = 0;
	r.mask = 0xffffffff;
}
