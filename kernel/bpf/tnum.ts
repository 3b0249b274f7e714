// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/tnum.c on bigints, for logs and slow paths; registers in the hot path use scalar/tnum.ts.
 *
 * A bit of `mask` that is set is unknown; of the others `value` has the bit.
 */

/** struct tnum; both words are u64. */
export interface tnum {
	readonly value: bigint;
	readonly mask: bigint;
}

const U64 = (1n << 64n) - 1n;
const u64 = (v: bigint) => BigInt.asUintN(64, v);

function TNUM(value: bigint, mask: bigint): tnum {
	return { value: u64(value), mask: u64(mask) };
}

/** kernel/bpf/tnum.c: tnum_unknown */
export const tnum_unknown: tnum = { value: 0n, mask: U64 };

/** kernel/bpf/tnum.c: tnum_const */
export function tnum_const(value: bigint): tnum {
	return TNUM(value, 0n);
}

/** kernel/bpf/tnum.c: tnum_range */
export function tnum_range(min: bigint, max: bigint): tnum {
	const chi = u64(min) ^ u64(max);
	const bits = chi === 0n ? 0 : chi.toString(2).length;
	if (bits > 63) return tnum_unknown;
	const delta = (1n << BigInt(bits)) - 1n;
	return TNUM(u64(min) & ~delta, delta);
}

/** kernel/bpf/tnum.c: tnum_lshift */
export function tnum_lshift(a: tnum, shift: number): tnum {
	return TNUM(a.value << BigInt(shift), a.mask << BigInt(shift));
}

/** kernel/bpf/tnum.c: tnum_rshift */
export function tnum_rshift(a: tnum, shift: number): tnum {
	return TNUM(a.value >> BigInt(shift), a.mask >> BigInt(shift));
}

/** kernel/bpf/tnum.c: tnum_arshift */
export function tnum_arshift(a: tnum, min_shift: number, insn_bitness: number): tnum {
	const s = BigInt(min_shift);
	const v = BigInt.asIntN(insn_bitness, a.value) >> s;
	const m = BigInt.asIntN(insn_bitness, a.mask) >> s;
	if (insn_bitness === 32) return TNUM(BigInt.asUintN(32, v), BigInt.asUintN(32, m));
	return TNUM(v, m);
}

/** kernel/bpf/tnum.c: tnum_add */
export function tnum_add(a: tnum, b: tnum): tnum {
	const sv = a.value + b.value;
	const sigma = a.mask + b.mask + sv;
	const mu = (sigma ^ sv) | a.mask | b.mask;
	return TNUM(sv & ~mu, mu);
}

/** kernel/bpf/tnum.c: tnum_sub */
export function tnum_sub(a: tnum, b: tnum): tnum {
	const dv = a.value - b.value;
	const mu = ((dv + a.mask) ^ (dv - b.mask)) | a.mask | b.mask;
	return TNUM(dv & ~mu, mu);
}

/** kernel/bpf/tnum.c: tnum_and */
export function tnum_and(a: tnum, b: tnum): tnum {
	const v = a.value & b.value;
	return TNUM(v, (a.value | a.mask) & (b.value | b.mask) & ~v);
}

/** kernel/bpf/tnum.c: tnum_or */
export function tnum_or(a: tnum, b: tnum): tnum {
	const v = a.value | b.value;
	return TNUM(v, (a.mask | b.mask) & ~v);
}

/** kernel/bpf/tnum.c: tnum_xor */
export function tnum_xor(a: tnum, b: tnum): tnum {
	const mu = a.mask | b.mask;
	return TNUM((a.value ^ b.value) & ~mu, mu);
}

/** kernel/bpf/tnum.c: tnum_mul */
export function tnum_mul(a: tnum, b: tnum): tnum {
	const acc_v = tnum_const(a.value * b.value);
	let acc_m = tnum_const(0n);
	let { value, mask } = a;
	let mult = b;
	while (value !== 0n || mask !== 0n) {
		if (value & 1n) acc_m = tnum_add(acc_m, TNUM(0n, mult.mask));
		else if (mask & 1n) acc_m = tnum_add(acc_m, TNUM(0n, mult.value | mult.mask));
		value >>= 1n;
		mask >>= 1n;
		mult = tnum_lshift(mult, 1);
	}
	return tnum_add(acc_v, acc_m);
}

/** kernel/bpf/tnum.c: tnum_overlap */
export function tnum_overlap(a: tnum, b: tnum): boolean {
	return ((a.value ^ b.value) & ~a.mask & ~b.mask) === 0n;
}

/** kernel/bpf/tnum.c: tnum_intersect */
export function tnum_intersect(a: tnum, b: tnum): tnum {
	const mu = a.mask & b.mask;
	return TNUM((a.value | b.value) & ~mu, mu);
}

/** kernel/bpf/tnum.c: tnum_cast */
export function tnum_cast(a: tnum, size: number): tnum {
	return { value: BigInt.asUintN(size * 8, a.value), mask: BigInt.asUintN(size * 8, a.mask) };
}

/** kernel/bpf/tnum.c: tnum_is_aligned */
export function tnum_is_aligned(a: tnum, size: bigint): boolean {
	return size === 0n || ((a.value | a.mask) & (size - 1n)) === 0n;
}

/** kernel/bpf/tnum.c: tnum_in; is every value of b one of a? */
export function tnum_in(a: tnum, b: tnum): boolean {
	return (b.mask & ~a.mask) === 0n && a.value === (b.value & ~a.mask);
}

/** include/linux/tnum.h: tnum_is_const */
export function tnum_is_const(a: tnum): boolean {
	return a.mask === 0n;
}

/** include/linux/tnum.h: tnum_equals_const */
export function tnum_equals_const(a: tnum, b: bigint): boolean {
	return a.mask === 0n && a.value === b;
}

/** include/linux/tnum.h: tnum_is_unknown */
export function tnum_is_unknown(a: tnum): boolean {
	return a.mask === U64;
}

/** kernel/bpf/tnum.c: tnum_subreg */
export function tnum_subreg(a: tnum): tnum {
	return tnum_cast(a, 4);
}

/** kernel/bpf/tnum.c: tnum_clear_subreg */
export function tnum_clear_subreg(a: tnum): tnum {
	return tnum_lshift(tnum_rshift(a, 32), 32);
}

/** kernel/bpf/tnum.c: tnum_with_subreg */
export function tnum_with_subreg(reg: tnum, subreg: tnum): tnum {
	return tnum_or(tnum_clear_subreg(reg), tnum_subreg(subreg));
}

/** include/linux/tnum.h: tnum_subreg_is_const */
export function tnum_subreg_is_const(a: tnum): boolean {
	return BigInt.asUintN(32, a.mask) === 0n;
}

/** kernel/bpf/tnum.c: tnum_sbin; 64 characters of 0, 1 and x */
export function tnum_sbin(a: tnum): string {
	let s = "";
	for (let i = 63n; i >= 0n; i--) s += (a.mask >> i) & 1n ? "x" : (a.value >> i) & 1n ? "1" : "0";
	return s;
}

function shown(v: bigint): string {
	return v <= 65535n ? v.toString() : `0x${v.toString(16)}`;
}
function hex(v: bigint): string {
	return `0x${v.toString(16)}`;
}

/** kernel/bpf/log.c: tnum_strn */
export function tnum_strn(a: tnum): string {
	return a.mask === 0n ? shown(a.value) : `(${hex(a.value)}; ${hex(a.mask)})`;
}
