// SPDX-License-Identifier: GPL-2.0-only
/**
 * A64 instructions as words, in the order of the manual's encoding groups (Arm ARM, C4.1;
 * arch/arm64/lib/insn.c and arch/arm64/net/bpf_jit.h of the kernel). Registers are numbers 0 to 30; 31 is SP or ZR.
 * `sf` is the width: 1 for 64 bits, 0 for 32.
 */

export const FP = 29;
export const LR = 30;
export const SP = 31;
export const ZR = 31;

/** brk #0x100: no instruction of a program; stands for "cannot be encoded" as in the kernel. */
export const AARCH64_BREAK_FAULT = 0xd4202000;

/** Conditions of b.cond. */
export const COND = {
	EQ: 0,
	NE: 1,
	CS: 2,
	CC: 3,
	MI: 4,
	PL: 5,
	VS: 6,
	VC: 7,
	HI: 8,
	LS: 9,
	GE: 10,
	LT: 11,
	GT: 12,
	LE: 13,
} as const;

const u = (v: number): number => v >>> 0;

function field(v: number, bits: number): number {
	return v & ((1 << bits) - 1);
}

/** Data processing, immediate: sf op S 100010 sh imm12 Rn Rd. Immediates of 12 bits, or of 12 shifted by 12. */
function addsub_imm(sf: number, op: number, s: number, rd: number, rn: number, imm: number): number {
	let sh = 0;
	if (imm & ~0xfff) {
		if (imm & ~0xfff000) return AARCH64_BREAK_FAULT;
		imm >>>= 12;
		sh = 1;
	}
	return u((sf << 31) | (op << 30) | (s << 29) | (0x22 << 23) | (sh << 22) | (imm << 10) | (rn << 5) | rd);
}

export const add_i = (sf: number, rd: number, rn: number, imm: number): number =>
	addsub_imm(sf, 0, 0, rd, rn, imm);
export const adds_i = (sf: number, rd: number, rn: number, imm: number): number =>
	addsub_imm(sf, 0, 1, rd, rn, imm);
export const sub_i = (sf: number, rd: number, rn: number, imm: number): number =>
	addsub_imm(sf, 1, 0, rd, rn, imm);
export const subs_i = (sf: number, rd: number, rn: number, imm: number): number =>
	addsub_imm(sf, 1, 1, rd, rn, imm);
export const cmp_i = (sf: number, rn: number, imm: number): number => subs_i(sf, ZR, rn, imm);
export const cmn_i = (sf: number, rn: number, imm: number): number => adds_i(sf, ZR, rn, imm);
/** The kernel moves by `add rd, rn, #0`, which knows SP. */
export const mov = (sf: number, rd: number, rn: number): number => add_i(sf, rd, rn, 0);

/** Ones in one run, wherever it begins. */
function range_of_ones(v: bigint): boolean {
	let x = v;
	while (x !== 0n && (x & 1n) === 0n) x >>= 1n;
	return x !== 0n && ((x + 1n) & x) === 0n;
}

/**
 * Logical immediate: sf opc 100100 N immr imms Rn Rd, where N:imms:immr tell the size of a repeated
 * element, its ones, and their rotation (arch/arm64/lib/insn.c: aarch64_encode_immediate).
 */
function logical_imm(opc: number, sf: number, rd: number, rn: number, imm64: bigint): number {
	let esz = sf ? 64 : 32;
	let mask = (1n << BigInt(esz)) - 1n;
	let imm = imm64;
	if (imm === 0n || imm === mask || imm & ~mask) return AARCH64_BREAK_FAULT;
	for (let tmp = esz / 2; tmp >= 2; tmp /= 2) {
		const emask = (1n << BigInt(tmp)) - 1n;
		if ((imm & emask) !== ((imm >> BigInt(tmp)) & emask)) break;
		esz = tmp;
		mask = emask;
	}
	const n = esz === 64 ? 1 : 0;
	imm &= mask;
	let ones = 0;
	for (let x = imm; x; x &= x - 1n) ones++;
	const imms = field((ones - 1) | (0xf << (Math.log2(esz) + 1)), 6);
	let ror: number;
	if (range_of_ones(imm)) {
		ror = 0;
		while (!((imm >> BigInt(ror)) & 1n)) ror++;
	} else {
		const inverse = BigInt.asUintN(64, ~(imm | ~mask));
		if (!range_of_ones(inverse)) return AARCH64_BREAK_FAULT;
		ror = inverse.toString(2).length;
	}
	const immr = (esz - ror) % esz;
	return u(
		(sf << 31) | (opc << 29) | (0x24 << 23) | (n << 22) | (immr << 16) | (imms << 10) | (rn << 5) | rd,
	);
}

/** The immediate of a BPF instruction as A64_LOGIC_IMM() widens it. */
function widen(sf: number, imm: number): bigint {
	return sf ? BigInt.asUintN(64, BigInt(imm)) : BigInt(imm >>> 0);
}

export const and_i = (sf: number, rd: number, rn: number, imm: number): number =>
	logical_imm(0, sf, rd, rn, widen(sf, imm));
export const orr_i = (sf: number, rd: number, rn: number, imm: number): number =>
	logical_imm(1, sf, rd, rn, widen(sf, imm));
export const eor_i = (sf: number, rd: number, rn: number, imm: number): number =>
	logical_imm(2, sf, rd, rn, widen(sf, imm));
export const tst_i = (sf: number, rn: number, imm: number): number =>
	logical_imm(3, sf, ZR, rn, widen(sf, imm));

/** Move wide: sf opc 100101 hw imm16 Rd. */
function movewide(opc: number, sf: number, rd: number, imm16: number, shift: number): number {
	return u((sf << 31) | (opc << 29) | (0x25 << 23) | ((shift >> 4) << 21) | (field(imm16, 16) << 5) | rd);
}

export const movn = (sf: number, rd: number, imm16: number, shift: number): number =>
	movewide(0, sf, rd, imm16, shift);
export const movz = (sf: number, rd: number, imm16: number, shift: number): number =>
	movewide(2, sf, rd, imm16, shift);
export const movk = (sf: number, rd: number, imm16: number, shift: number): number =>
	movewide(3, sf, rd, imm16, shift);

/** Bitfield: sf opc 100110 N immr imms Rn Rd. */
function bitfield(opc: number, sf: number, rd: number, rn: number, immr: number, imms: number): number {
	return u(
		(sf << 31) |
			(opc << 29) |
			(0x26 << 23) |
			(sf << 22) |
			(field(immr, 6) << 16) |
			(field(imms, 6) << 10) |
			(rn << 5) |
			rd,
	);
}

export const sbfm = (sf: number, rd: number, rn: number, r: number, s: number): number =>
	bitfield(0, sf, rd, rn, r, s);
export const ubfm = (sf: number, rd: number, rn: number, r: number, s: number): number =>
	bitfield(2, sf, rd, rn, r, s);
export function lsl(sf: number, rd: number, rn: number, shift: number): number {
	const sz = sf ? 64 : 32;
	return ubfm(sf, rd, rn, (-shift >>> 0) % sz, sz - 1 - shift);
}
export const lsr = (sf: number, rd: number, rn: number, shift: number): number =>
	ubfm(sf, rd, rn, shift, sf ? 63 : 31);
export const asr = (sf: number, rd: number, rn: number, shift: number): number =>
	sbfm(sf, rd, rn, shift, sf ? 63 : 31);
export const uxth = (sf: number, rd: number, rn: number): number => ubfm(sf, rd, rn, 0, 15);
export const uxtw = (sf: number, rd: number, rn: number): number => ubfm(sf, rd, rn, 0, 31);
export const sxtb = (sf: number, rd: number, rn: number): number => sbfm(sf, rd, rn, 0, 7);
export const sxth = (sf: number, rd: number, rn: number): number => sbfm(sf, rd, rn, 0, 15);
export const sxtw = (sf: number, rd: number, rn: number): number => sbfm(sf, rd, rn, 0, 31);

/** Branches; distances are in instructions. */
export const b_cond = (cond: number, d: number): number => u((0x54 << 24) | (field(d, 19) << 5) | cond);
export const b = (d: number): number => u((0x05 << 26) | field(d, 26));
export const bl = (d: number): number => u((0x25 << 26) | field(d, 26));
export const cbz = (sf: number, rt: number, d: number): number =>
	u((sf << 31) | (0x34 << 24) | (field(d, 19) << 5) | rt);
export const cbnz = (sf: number, rt: number, d: number): number =>
	u((sf << 31) | (0x35 << 24) | (field(d, 19) << 5) | rt);
/** Address `d` bytes from here. */
export const adr = (rd: number, d: number): number =>
	u((0x10 << 24) | ((d & 3) << 29) | (field(d >> 2, 19) << 5) | rd);
export const br = (rn: number): number => u(0xd61f0000 | (rn << 5));
export const blr = (rn: number): number => u(0xd63f0000 | (rn << 5));
export const ret = (rn: number): number => u(0xd65f0000 | (rn << 5));

/** Hints, barriers, system registers. */
export const hint = (op: number): number => u(0xd503201f | (op << 5));
export const NOP = hint(0);
export const PACIASP = hint(25);
export const AUTIASP = hint(29);
export const BTI_C = hint(34);
export const BTI_J = hint(36);
export const BTI_JC = hint(38);
export const DMB_ISH = 0xd5033bbf;
export const mrs_tpidr_el1 = (rt: number): number => u(0xd538d080 | rt);
export const mrs_tpidr_el2 = (rt: number): number => u(0xd53cd040 | rt);
export const mrs_sp_el0 = (rt: number): number => u(0xd5384100 | rt);

/** Load/store pair, 64 bits: opc 101 0 mode L imm7 Rt2 Rn Rt. */
function pair(mode: number, load: number, rt: number, rt2: number, rn: number, offset: number): number {
	return u(
		(2 << 30) |
			(0x28 << 24) |
			(mode << 23) |
			(load << 22) |
			(field(offset >> 3, 7) << 15) |
			(rt2 << 10) |
			(rn << 5) |
			rt,
	);
}

/** stp rt, rt2, [rn, #-16]! */
export const push = (rt: number, rt2: number, rn: number): number => u(pair(3, 0, rt, rt2, rn, -16));
/** ldp rt, rt2, [rn], #16 */
export const pop = (rt: number, rt2: number, rn: number): number => u(pair(1, 1, rt, rt2, rn, 16));

/** Size field of loads and stores: 0, 1, 2, 3 for 1, 2, 4, 8 bytes. */
export type Size = 0 | 1 | 2 | 3;

/** Register offset: size 111 0 00 opc 1 Rm 011 0 10 Rn Rt. */
function ls_reg(size: Size, opc: number, rt: number, rn: number, rm: number): number {
	return u(
		(size << 30) | (0x38 << 24) | (opc << 22) | (1 << 21) | (rm << 16) | (0x1a << 10) | (rn << 5) | rt,
	);
}

/** Unsigned immediate offset: size 111 0 01 opc imm12 Rn Rt, the offset in units of the size. */
function ls_imm(size: Size, opc: number, rt: number, rn: number, off: number): number {
	return u((size << 30) | (0x39 << 24) | (opc << 22) | (field(off >> size, 12) << 10) | (rn << 5) | rt);
}

export const str_reg = (size: Size, rt: number, rn: number, rm: number): number =>
	ls_reg(size, 0, rt, rn, rm);
export const ldr_reg = (size: Size, rt: number, rn: number, rm: number): number =>
	ls_reg(size, 1, rt, rn, rm);
export const ldrs_reg = (size: Size, rt: number, rn: number, rm: number): number =>
	ls_reg(size, 2, rt, rn, rm);
export const str_imm = (size: Size, rt: number, rn: number, off: number): number =>
	ls_imm(size, 0, rt, rn, off);
export const ldr_imm = (size: Size, rt: number, rn: number, off: number): number =>
	ls_imm(size, 1, rt, rn, off);
export const ldrs_imm = (size: Size, rt: number, rn: number, off: number): number =>
	ls_imm(size, 2, rt, rn, off);
/** ldr rt, <label>, 64 bits; the distance in instructions. */
export const ldr64_lit = (rt: number, d: number): number => u((0x58 << 24) | (field(d, 19) << 5) | rt);

/** Exclusive: size 001000 0 L 0 Rs o0 11111 Rn Rt. */
function exclusive(sf: number, load: number, release: number, rt: number, rn: number, rs: number): number {
	return u(
		((2 | sf) << 30) |
			(0x08 << 24) |
			(load << 22) |
			(rs << 16) |
			(release << 15) |
			(0x1f << 10) |
			(rn << 5) |
			rt,
	);
}

export const ldxr = (sf: number, rt: number, rn: number): number => exclusive(sf, 1, 0, rt, rn, ZR);
export const stxr = (sf: number, rt: number, rn: number, rs: number): number =>
	exclusive(sf, 0, 0, rt, rn, rs);
export const stlxr = (sf: number, rt: number, rn: number, rs: number): number =>
	exclusive(sf, 0, 1, rt, rn, rs);

/** LSE: size 111000 A R 1 Rs o3 opc 00 Rn Rt. */
function atomic_ld_op(sf: number, order: number, o3opc: number, rt: number, rn: number, rs: number): number {
	return u(
		((2 | sf) << 30) | (0x38 << 24) | (order << 22) | (1 << 21) | (rs << 16) | (o3opc << 12) | (rn << 5) | rt,
	);
}

/** Operations of atomic_ld_op(): o3 and opc. */
export const LSE = { ADD: 0, CLR: 1, EOR: 2, SET: 3, SWP: 8 } as const;
/** st<op> rs, [rn]: nothing fetched, no order. */
export const st_op = (sf: number, op: number, rn: number, rs: number): number =>
	atomic_ld_op(sf, 0, op, ZR, rn, rs);
/** ld<op>al rs, rt, [rn] */
export const ld_op_al = (sf: number, op: number, rt: number, rn: number, rs: number): number =>
	atomic_ld_op(sf, 3, op, rt, rn, rs);
/** casal rs, rt, [rn]: size 001000 1 1 1 Rs 1 11111 Rn Rt. */
export const casal = (sf: number, rt: number, rn: number, rs: number): number =>
	u(((2 | sf) << 30) | (0x08 << 24) | (7 << 21) | (rs << 16) | (1 << 15) | (0x1f << 10) | (rn << 5) | rt);

/** Two sources: sf 0 0 11010110 Rm opcode Rn Rd. */
function data2(sf: number, op: number, rd: number, rn: number, rm: number): number {
	return u((sf << 31) | (0xd6 << 21) | (rm << 16) | (op << 10) | (rn << 5) | rd);
}

export const udiv = (sf: number, rd: number, rn: number, rm: number): number => data2(sf, 2, rd, rn, rm);
export const sdiv = (sf: number, rd: number, rn: number, rm: number): number => data2(sf, 3, rd, rn, rm);
export const lslv = (sf: number, rd: number, rn: number, rm: number): number => data2(sf, 8, rd, rn, rm);
export const lsrv = (sf: number, rd: number, rn: number, rm: number): number => data2(sf, 9, rd, rn, rm);
export const asrv = (sf: number, rd: number, rn: number, rm: number): number => data2(sf, 10, rd, rn, rm);

/** One source: sf 1 0 11010110 00000 opcode Rn Rd. */
function data1(sf: number, op: number, rd: number, rn: number): number {
	return u((sf << 31) | (1 << 30) | (0xd6 << 21) | (op << 10) | (rn << 5) | rd);
}

export const rev16 = (sf: number, rd: number, rn: number): number => data1(sf, 1, rd, rn);
export const rev32 = (sf: number, rd: number, rn: number): number => data1(sf, 2, rd, rn);
export const rev64 = (rd: number, rn: number): number => data1(1, 3, rd, rn);

/** Logical, shifted register: sf opc 01010 shift N Rm imm6 Rn Rd. */
function logical_reg(sf: number, opc: number, n: number, rd: number, rn: number, rm: number): number {
	return u((sf << 31) | (opc << 29) | (0x0a << 24) | (n << 21) | (rm << 16) | (rn << 5) | rd);
}

export const and = (sf: number, rd: number, rn: number, rm: number): number =>
	logical_reg(sf, 0, 0, rd, rn, rm);
export const orr = (sf: number, rd: number, rn: number, rm: number): number =>
	logical_reg(sf, 1, 0, rd, rn, rm);
export const eor = (sf: number, rd: number, rn: number, rm: number): number =>
	logical_reg(sf, 2, 0, rd, rn, rm);
export const tst = (sf: number, rn: number, rm: number): number => logical_reg(sf, 3, 0, ZR, rn, rm);
export const mvn = (sf: number, rd: number, rm: number): number => logical_reg(sf, 1, 1, rd, ZR, rm);

/** Add and subtract, shifted register: sf op S 01011 shift 0 Rm imm6 Rn Rd. */
function addsub_reg(sf: number, op: number, s: number, rd: number, rn: number, rm: number): number {
	return u((sf << 31) | (op << 30) | (s << 29) | (0x0b << 24) | (rm << 16) | (rn << 5) | rd);
}

export const add = (sf: number, rd: number, rn: number, rm: number): number =>
	addsub_reg(sf, 0, 0, rd, rn, rm);
export const sub = (sf: number, rd: number, rn: number, rm: number): number =>
	addsub_reg(sf, 1, 0, rd, rn, rm);
export const cmp = (sf: number, rn: number, rm: number): number => addsub_reg(sf, 1, 1, ZR, rn, rm);
export const neg = (sf: number, rd: number, rm: number): number => sub(sf, rd, ZR, rm);

/** Three sources: sf 00 11011 000 Rm o0 Ra Rn Rd. */
function data3(sf: number, o0: number, rd: number, ra: number, rn: number, rm: number): number {
	return u((sf << 31) | (0x1b << 24) | (rm << 16) | (o0 << 15) | (ra << 10) | (rn << 5) | rd);
}

/** rd = rn * rm */
export const mul = (sf: number, rd: number, rn: number, rm: number): number => data3(sf, 0, rd, ZR, rn, rm);
/** rd = ra - rn * rm */
export const msub = (sf: number, rd: number, ra: number, rn: number, rm: number): number =>
	data3(sf, 1, rd, ra, rn, rm);
