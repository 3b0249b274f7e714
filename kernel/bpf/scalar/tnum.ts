// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/tnum.c: tracked numbers. A bit of `mask` that is set is unknown; a bit of `value` is
 * known to be set. Results of functions are left in (tv, tm), since a function returns one value.
 */

/** value and mask of the last result */
export let tv: u64 = 0;
export let tm: u64 = 0;

// @ts-ignore: decorator
@inline
function ret(v: u64, m: u64): void {
	tv = v;
	tm = m;
}

/** Bits that differ somewhere in [min, max], as a mask of the low bits. */
export function range_mask(min: u64, max: u64): u64 {
	const chi = min ^ max;
	return chi == 0 ? 0 : u64.MAX_VALUE >> clz(chi);
}

export function tnum_range(min: u64, max: u64): void {
	const delta = range_mask(min, max);
	ret(min & ~delta, delta);
}

export function tnum_arshift(value: u64, mask: u64, shift: u64, bits: i32): void {
	if (bits == 32) ret(<u64>(<u32>(<i32>value >> <i32>shift)), <u64>(<u32>(<i32>mask >> <i32>shift)));
	else ret(<u64>(<i64>value >> <i64>shift), <u64>(<i64>mask >> <i64>shift));
}

export function tnum_add(av: u64, am: u64, bv: u64, bm: u64): void {
	const sm = am + bm;
	const sv = av + bv;
	const mu = ((sm + sv) ^ sv) | am | bm;
	ret(sv & ~mu, mu);
}

export function tnum_sub(av: u64, am: u64, bv: u64, bm: u64): void {
	const dv = av - bv;
	const mu = ((dv + am) ^ (dv - bm)) | am | bm;
	ret(dv & ~mu, mu);
}

export function tnum_and(av: u64, am: u64, bv: u64, bm: u64): void {
	const v = av & bv;
	ret(v, (av | am) & (bv | bm) & ~v);
}

export function tnum_or(av: u64, am: u64, bv: u64, bm: u64): void {
	const v = av | bv;
	ret(v, (am | bm) & ~v);
}

export function tnum_xor(av: u64, am: u64, bv: u64, bm: u64): void {
	const mu = am | bm;
	ret((av ^ bv) & ~mu, mu);
}

/** Sums the certain and the uncertain parts of the partial products apart (arxiv.org/abs/2105.05398). */
export function tnum_mul(av: u64, am: u64, bv: u64, bm: u64): void {
	const acc_v = av * bv;
	tv = 0;
	tm = 0;
	while (av | am) {
		if (av & 1) tnum_add(tv, tm, 0, bm);
		else if (am & 1) tnum_add(tv, tm, 0, bv | bm);
		av >>= 1;
		am >>= 1;
		bv <<= 1;
		bm <<= 1;
	}
	tnum_add(acc_v, 0, tv, tm);
}

export function tnum_intersect(av: u64, am: u64, bv: u64, bm: u64): void {
	const mu = am & bm;
	ret((av | bv) & ~mu, mu);
}

export function tnum_overlap(av: u64, am: u64, bv: u64, bm: u64): bool {
	return ((av ^ bv) & ~am & ~bm) == 0;
}

/** Is every value of b one of a? */
export function tnum_in(av: u64, am: u64, bv: u64, bm: u64): bool {
	return (bm & ~am) == 0 && av == (bv & ~am);
}
