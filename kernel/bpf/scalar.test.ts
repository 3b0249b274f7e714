// SPDX-License-Identifier: GPL-2.0-only
/** The arithmetic in WebAssembly against concrete values, and against the same on bigints. */
import { describe, expect, test } from "vitest";
import { VerifierHeap } from "./heap.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import * as layout from "./reg_state.ts";
import { bigint_add, bigint_sync, read_scalar, write_scalar } from "./scalar_bigint.ts";
import {
	type tnum,
	tnum_add,
	tnum_and,
	tnum_arshift,
	tnum_in,
	tnum_intersect,
	tnum_lshift,
	tnum_mul,
	tnum_or,
	tnum_overlap,
	tnum_range,
	tnum_rshift,
	tnum_sub,
	tnum_xor,
} from "./tnum.ts";

const heap = new VerifierHeap();
const x = heap.x;
const u64 = (v: bigint) => BigInt.asUintN(64, v);
const s64 = (v: bigint) => BigInt.asIntN(64, v);

/** xorshift64*, seeded: the same numbers every run. */
function generator(seed: bigint) {
	let s = seed;
	const next = () => {
		s ^= s >> 12n;
		s = u64(s ^ (s << 25n));
		s ^= s >> 27n;
		return u64(s * 0x2545f4914f6cdd1dn);
	};
	const below = (n: number) => Number(next() % BigInt(n));
	/** Values that verifiers meet: small, of few bits, at the edges of 32 and 64 bits, any. */
	const value = () => {
		const v = next();
		switch (below(7)) {
			case 0:
				return v & 0xffn;
			case 1:
				return u64(-(v & 0xffn));
			case 2:
				return u64((1n << BigInt(below(64))) + BigInt(below(5)) - 2n);
			case 3:
				return u64(0x7ffffffen + BigInt(below(4)));
			case 4:
				return u64(0xfffffffen + BigInt(below(4)));
			case 5:
				return v & 0xffffffffn;
			default:
				return v;
		}
	};
	return { next, below, value };
}

/** A state that holds `v`, and knows more or less of it. */
function state_around(g: ReturnType<typeof generator>, r: bpf_reg_state, v: bigint): void {
	x.mark_reg_unknown_imprecise(r.p);
	const width = () => g.next() >> BigInt(g.below(64));
	if (g.below(2)) {
		const mask = g.below(2) ? g.next() & g.next() : width();
		r.var_off_value = v & ~mask & ((1n << 64n) - 1n);
		r.var_off_mask = mask;
	}
	if (g.below(2)) {
		const lo = v - width();
		const hi = v + width();
		r.umin_value = lo < 0n ? 0n : lo;
		r.umax_value = hi >> 64n ? (1n << 64n) - 1n : hi;
	}
	if (g.below(2)) {
		const lo = s64(v) - width();
		const hi = s64(v) + width();
		r.smin_value = lo < -(1n << 63n) ? -(1n << 63n) : lo;
		r.smax_value = hi >= 1n << 63n ? (1n << 63n) - 1n : hi;
	}
	const w32 = () => Number(BigInt.asUintN(32, g.next()) >> BigInt(g.below(32)));
	if (g.below(3) === 0) {
		const lo = Number(BigInt.asIntN(32, v));
		r.s32_min_value = Math.max(lo - w32(), -2147483648);
		r.s32_max_value = Math.min(lo + w32(), 2147483647);
	}
	if (g.below(3) === 0) {
		const lo = Number(BigInt.asUintN(32, v));
		r.u32_min_value = Math.max(lo - w32(), 0);
		r.u32_max_value = Math.min(lo + w32(), 4294967295);
	}
}

/** Why `v` is not in the state, or "". */
function outside(r: bpf_reg_state, v: bigint): string {
	const u = u64(v);
	const s = s64(v);
	const lo = Number(u & 0xffffffffn);
	if ((u & ~r.var_off_mask) !== r.var_off_value) return "var_off";
	if (u < r.umin_value || u > r.umax_value) return "u64";
	if (s < r.smin_value || s > r.smax_value) return "s64";
	if (lo < r.u32_min_value || lo > r.u32_max_value) return "u32";
	if ((lo | 0) < r.s32_min_value || (lo | 0) > r.s32_max_value) return "s32";
	return "";
}

function show(r: bpf_reg_state): string {
	const s = read_scalar(r);
	return `u64=[${s.umin},${s.umax}] s64=[${s.smin},${s.smax}] u32=[${s.u32_min},${s.u32_max}] s32=[${s.s32_min},${s.s32_max}] var_off=(${s.var_off.value.toString(16)};${s.var_off.mask.toString(16)})`;
}

test("the layout of the WebAssembly module is reg_state.ts's", () => {
	const words = [
		layout.R_TYPE,
		layout.R_OFF,
		layout.R_RAW1,
		layout.R_RAW2,
		layout.R_VAR_VALUE,
		layout.R_VAR_MASK,
		layout.R_SMIN,
		layout.R_SMAX,
		layout.R_UMIN,
		layout.R_UMAX,
		layout.R_S32_MIN,
		layout.R_S32_MAX,
		layout.R_U32_MIN,
		layout.R_U32_MAX,
		layout.R_ID,
		layout.R_REF_OBJ_ID,
		layout.R_PARENT,
		layout.R_FRAMENO,
		layout.R_SUBREG_DEF,
		layout.R_LIVE,
		layout.R_PRECISE,
		layout.REG_WORDS,
		layout.SLOT_TYPE,
		layout.STACK_WORDS,
	];
	expect(words.map((_, i) => x.layout(i))).toEqual(words.map((w) => w * 4));
});

describe("tnum, exhaustive over 4 bits", () => {
	const all: tnum[] = [];
	for (let mask = 0n; mask < 16n; mask++)
		for (let value = 0n; value < 16n; value++) if (!(value & mask)) all.push({ value, mask });
	const members = (t: tnum) => {
		const out: bigint[] = [];
		for (let v = 0n; v < 16n; v++) if ((v & ~t.mask) === t.value) out.push(v);
		return out;
	};
	const sets = all.map(members);
	const has = (t: tnum, v: bigint) => (v & ~t.mask & ((1n << 64n) - 1n)) === t.value;

	const ops: [string, (a: tnum, b: tnum) => tnum, (a: bigint, b: bigint) => bigint][] = [
		["add", tnum_add, (a, b) => u64(a + b)],
		["sub", tnum_sub, (a, b) => u64(a - b)],
		["mul", tnum_mul, (a, b) => u64(a * b)],
		["and", tnum_and, (a, b) => a & b],
		["or", tnum_or, (a, b) => a | b],
		["xor", tnum_xor, (a, b) => a ^ b],
	];
	test.each(ops)("%s holds every result", (_name, op, concrete) => {
		for (let i = 0; i < all.length; i++)
			for (let j = 0; j < all.length; j++) {
				const t = op(all[i]!, all[j]!);
				for (const a of sets[i]!)
					for (const b of sets[j]!)
						if (!has(t, concrete(a, b))) expect.fail(`${a} ${b} not in ${t.value}/${t.mask}`);
				expect(t.value & t.mask).toBe(0n);
			}
	});
	test("in, overlap and intersect are those of the sets", () => {
		for (let i = 0; i < all.length; i++)
			for (let j = 0; j < all.length; j++) {
				const common = sets[i]!.filter((v) => sets[j]!.includes(v));
				expect(tnum_in(all[i]!, all[j]!)).toBe(common.length === sets[j]!.length);
				expect(tnum_overlap(all[i]!, all[j]!)).toBe(common.length > 0);
				if (common.length) expect(members(tnum_intersect(all[i]!, all[j]!))).toEqual(common);
			}
	});
	test("range is the smallest tnum around the range", () => {
		for (let lo = 0n; lo < 16n; lo++)
			for (let hi = lo; hi < 16n; hi++) {
				const t = tnum_range(lo, hi);
				for (let v = lo; v <= hi; v++) expect(has(t, v)).toBe(true);
				expect(t.mask === 0n || t.mask < 2n * (lo ^ hi)).toBe(true);
			}
	});
});

test("tnum operations in WebAssembly are those on bigints", () => {
	const g = generator(7n);
	const a = heap.alloc_reg();
	const b = heap.alloc_reg();
	const ops = [tnum_add, tnum_sub, tnum_mul, tnum_and, tnum_or, tnum_xor, tnum_intersect];
	const of = (r: bpf_reg_state): tnum => ({ value: r.var_off_value, mask: r.var_off_mask });
	const set = (r: bpf_reg_state) => {
		const mask = g.value();
		r.var_off_mask = mask;
		r.var_off_value = u64(g.value() & ~mask);
	};
	for (let n = 0; n < 4000; n++) {
		set(a);
		set(b);
		const ta = of(a);
		const tb = of(b);
		expect(x.tnum_in_regs(a.p, b.p) !== 0).toBe(tnum_in(ta, tb));
		expect(x.tnum_overlap_regs(a.p, b.p) !== 0).toBe(tnum_overlap(ta, tb));
		const k = n % ops.length;
		x.tnum_op(k, a.p, b.p);
		expect(of(a)).toEqual(ops[k]!(ta, tb));

		const t = of(b);
		const shift = g.below(32);
		const kind = n % 4;
		x.tnum_shift(Math.min(kind, 2), b.p, shift, kind === 3 ? 32 : 64);
		expect(of(b)).toEqual(
			kind === 0
				? tnum_lshift(t, shift)
				: kind === 1
					? tnum_rshift(t, shift)
					: tnum_arshift(t, shift, kind === 3 ? 32 : 64),
		);
		a.umin_value = g.value();
		a.umax_value = g.value();
		x.tnum_range_of(a.p);
		expect(of(a)).toEqual(tnum_range(a.umin_value, a.umax_value));
	}
});

test("reg_bounds_sync and addition give what the same on bigints gives", () => {
	const g = generator(11n);
	const a = heap.alloc_reg();
	const b = heap.alloc_reg();
	for (let n = 0; n < 20000; n++) {
		const v = g.value();
		const w = g.value();
		state_around(g, a, v);
		state_around(g, b, w);
		const ra = read_scalar(a);
		const rb = read_scalar(b);
		bigint_sync(ra);
		bigint_sync(rb);
		x.reg_bounds_sync(a.p);
		x.reg_bounds_sync(b.p);
		expect(read_scalar(a)).toEqual(ra);
		expect(read_scalar(b)).toEqual(rb);
		expect(outside(a, v)).toBe("");
		bigint_add(ra, rb);
		x.scalar_alu(0, 0, a.p, b.p);
		expect(read_scalar(a)).toEqual(ra);
	}
});

test("reg_bounds_sync of impossible bounds gives what the same on bigints gives", () => {
	const g = generator(13n);
	const a = heap.alloc_reg();
	for (let n = 0; n < 10000; n++) {
		state_around(g, a, g.value());
		const other = heap.scratch_reg;
		state_around(g, other, g.value());
		if (g.below(2)) a.umin_value = other.umin_value;
		if (g.below(2)) a.smax_value = other.smax_value;
		if (g.below(2)) a.u32_max_value = other.u32_max_value;
		const r = read_scalar(a);
		bigint_sync(r);
		x.reg_bounds_sync(a.p);
		const got = read_scalar(a);
		// Impossible bounds may leave numbers out of their type's normal form: compare the words.
		write_scalar(other, r);
		expect(got).toEqual(read_scalar(other));
	}
});

const ALU: [string, number, (a: bigint, b: bigint, bits: number) => bigint][] = [
	["+", 0x00, (a, b) => a + b],
	["-", 0x10, (a, b) => a - b],
	["*", 0x20, (a, b) => a * b],
	["|", 0x40, (a, b) => a | b],
	["&", 0x50, (a, b) => a & b],
	["<<", 0x60, (a, b) => a << b],
	[">>", 0x70, (a, b) => a >> b],
	["^", 0xa0, (a, b) => a ^ b],
	["s>>", 0xc0, (a, b, bits) => BigInt.asIntN(bits, a) >> b],
];
const JMP: [string, number, (a: bigint, b: bigint, bits: number) => boolean][] = [
	["==", 0x10, (a, b) => a === b],
	[">", 0x20, (a, b) => a > b],
	[">=", 0x30, (a, b) => a >= b],
	["&", 0x40, (a, b) => (a & b) !== 0n],
	["!=", 0x50, (a, b) => a !== b],
	["s>", 0x60, (a, b, n) => BigInt.asIntN(n, a) > BigInt.asIntN(n, b)],
	["s>=", 0x70, (a, b, n) => BigInt.asIntN(n, a) >= BigInt.asIntN(n, b)],
	["<", 0xa0, (a, b) => a < b],
	["<=", 0xb0, (a, b) => a <= b],
	["s<", 0xc0, (a, b, n) => BigInt.asIntN(n, a) < BigInt.asIntN(n, b)],
	["s<=", 0xd0, (a, b, n) => BigInt.asIntN(n, a) <= BigInt.asIntN(n, b)],
];

describe.each([64, 32])("%i bits", (bits) => {
	const alu32 = bits === 32 ? 1 : 0;
	const cut = (v: bigint) => BigInt.asUintN(bits, v);
	const [d, s, t1, t2, f1, f2] = Array.from({ length: 6 }, () => heap.alloc_reg()) as [
		bpf_reg_state,
		bpf_reg_state,
		bpf_reg_state,
		bpf_reg_state,
		bpf_reg_state,
		bpf_reg_state,
	];

	test.each(ALU)("dst %s src holds the concrete result", (name, op, concrete) => {
		const g = generator(BigInt(op + bits));
		let computed = 0;
		for (let n = 0; n < 8000; n++) {
			const a = g.value();
			const shift = name.includes("<<") || name.includes(">>");
			const b = shift ? BigInt(g.below(bits)) : g.value();
			state_around(g, d, a);
			x.reg_bounds_sync(d.p);
			if (shift) x.mark_reg_known(s.p, Number(b), 0);
			else state_around(g, s, b);
			x.reg_bounds_sync(s.p);
			if (!x.is_safe_to_compute_dst_reg_range(op, alu32, s.p)) continue;
			computed++;
			const before = show(d);
			x.scalar_alu(op, alu32, d.p, s.p);
			const want = cut(concrete(cut(a), cut(b), bits));
			const why = outside(d, want);
			if (why)
				expect.fail(`${a} ${name} ${b} = ${want} not in ${why}: ${before} with ${show(s)} gives ${show(d)}`);
			expect(x.bounds_violation(d.p)).toBe(0);
		}
		expect(computed).toBe(8000);
	});

	test.each(ALU)("dst %s src, exhaustive over small ranges", (name, op, concrete) => {
		const shift = name.includes("<<") || name.includes(">>");
		const at = BigInt(bits);
		for (let lo1 = -3n; lo1 <= 3n; lo1++)
			for (let hi1 = lo1; hi1 <= 3n; hi1++)
				for (let lo2 = shift ? 0n : -3n; lo2 <= 3n; lo2++)
					for (let hi2 = lo2; hi2 <= (shift ? lo2 : 3n); hi2++) {
						for (const [r, lo, hi] of [
							[d, lo1, hi1],
							[s, lo2, hi2],
						] as const) {
							x.mark_reg_unknown_imprecise(r.p);
							r.smin_value = lo;
							r.smax_value = hi;
							x.reg_bounds_sync(r.p);
						}
						x.scalar_alu(op, alu32, d.p, s.p);
						for (let a = lo1; a <= hi1; a++)
							for (let b = lo2; b <= hi2; b++) {
								const want = BigInt.asUintN(Number(at), concrete(cut(a), cut(b), bits));
								const why = outside(d, want);
								if (why) expect.fail(`${a} ${name} ${b} = ${want} not in ${why} of ${show(d)}`);
							}
					}
	});

	test("a shift by an unknown or too large amount is not computed", () => {
		x.mark_reg_known(s.p, bits, 0);
		expect(x.is_safe_to_compute_dst_reg_range(0x60, alu32, s.p)).toBe(0);
		x.mark_reg_known(s.p, bits - 1, 0);
		expect(x.is_safe_to_compute_dst_reg_range(0x60, alu32, s.p)).toBe(1);
		s.umin_value = 0n;
		s.u32_min_value = 0;
		expect(x.is_safe_to_compute_dst_reg_range(0x60, alu32, s.p)).toBe(0);
	});

	test.each(JMP)("if dst %s src: predictions hold and refined states keep the values", (name, op, holds) => {
		const g = generator(BigInt(op * 3 + bits));
		let predicted = 0;
		for (let n = 0; n < 8000; n++) {
			const a = g.value();
			const b = g.below(3) ? g.value() : u64(a + BigInt(g.below(3)) - 1n);
			state_around(g, d, a);
			state_around(g, s, b);
			if (g.below(2))
				x.mark_reg_known(s.p, Number(BigInt.asIntN(32, b)), Number(BigInt.asIntN(32, b >> 32n)));
			s.type = 1;
			x.reg_bounds_sync(d.p);
			x.reg_bounds_sync(s.p);
			const taken = x.is_scalar_branch_taken(d.p, s.p, op, alu32);
			const truth = holds(cut(a), cut(b), bits);
			if (taken >= 0) {
				predicted++;
				if ((taken === 1) !== truth)
					expect.fail(`${a} ${name} ${b} is ${truth}, not ${taken}: ${show(d)} ${show(s)}`);
				continue;
			}
			for (const [r, from] of [
				[t1, d],
				[t2, s],
				[f1, d],
				[f2, s],
			] as const)
				r.assign(from);
			x.reg_set_min_max(t1.p, t2.p, f1.p, f2.p, op, alu32);
			const [r1, r2] = truth ? [t1, t2] : [f1, f2];
			const why = outside(r1, a) || outside(r2, b);
			if (why)
				expect.fail(
					`${a} ${name} ${b} is ${truth}: not in ${why}: ${show(d)} ${show(s)} become ${show(r1)} ${show(r2)}`,
				);
		}
		expect(predicted).toBeGreaterThan(500);
	});

	test("narrowing keeps the value", () => {
		const g = generator(17n);
		for (let n = 0; n < 12000; n++) {
			const v = g.value();
			const size = [1, 2, 4][g.below(3)]!;
			state_around(g, d, v);
			x.reg_bounds_sync(d.p);
			const before = show(d);
			let want: bigint;
			if (alu32) {
				if (g.below(2) || size === 4) {
					x.zext_32_to_64(d.p);
					x.reg_bounds_sync(d.p);
					want = BigInt.asUintN(32, v);
				} else {
					x.coerce_subreg_to_size_sx(d.p, size);
					x.zext_32_to_64(d.p);
					x.reg_bounds_sync(d.p);
					want = BigInt.asUintN(32, BigInt.asIntN(size * 8, v));
				}
			} else if (g.below(2)) {
				x.coerce_reg_to_size(d.p, size);
				want = BigInt.asUintN(size * 8, v);
			} else {
				x.coerce_reg_to_size_sx(d.p, size);
				want = BigInt.asIntN(size * 8, v);
			}
			const why = outside(d, want);
			if (why) expect.fail(`${v} to ${want}: not in ${why}: ${before} became ${show(d)}`);
		}
	});
});
