// SPDX-License-Identifier: GPL-2.0-only
/**
 * The instruction macros of include/linux/filter.h, and the fields of an opcode
 * (include/uapi/linux/bpf_common.h), as functions. Every BPF_* maker returns a fresh instruction.
 */

import { BPF_ADDR_PERCPU, BPF_NOSPEC } from "../../include/linux/filter.ts";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ADDR_SPACE_CAST,
	BPF_ALU64,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_DW,
	BPF_END,
	BPF_EXIT,
	BPF_JMP32,
	BPF_MEMSX,
	BPF_MOV,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_MAP_FD,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ADD,
	BPF_ALU,
	BPF_B,
	BPF_H,
	BPF_IMM,
	BPF_IND,
	BPF_JA,
	BPF_JMP,
	BPF_K,
	BPF_LD,
	BPF_LDX,
	BPF_MEM,
	BPF_OP,
	BPF_SIZE,
	BPF_SRC,
	BPF_ST,
	BPF_STX,
	BPF_W,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Kernel } from "../kernel.ts";
import { bpf_insn } from "./bpf_types.ts";

export { BPF_CLASS, BPF_MODE, BPF_OP, BPF_SIZE, BPF_SRC } from "../../include/uapi/linux/bpf_common.ts";

/** An instruction from any numbers, cut to the fields' widths as C's initialisers do. */
export function BPF_RAW_INSN(code: number, dst: number, src: number, off: number, imm: number): bpf_insn {
	return new bpf_insn(code & 0xff, dst & 15, src & 15, (off << 16) >> 16, imm | 0);
}

/** dst op= src (64 bits) */
export function BPF_ALU64_REG_OFF(op: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_OP(op) | BPF_X, dst, src, off, 0);
}
export function BPF_ALU64_REG(op: number, dst: number, src: number): bpf_insn {
	return BPF_ALU64_REG_OFF(op, dst, src, 0);
}
/** dst op= src (32 bits) */
export function BPF_ALU32_REG_OFF(op: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_OP(op) | BPF_X, dst, src, off, 0);
}
export function BPF_ALU32_REG(op: number, dst: number, src: number): bpf_insn {
	return BPF_ALU32_REG_OFF(op, dst, src, 0);
}
/** dst op= imm (64 bits) */
export function BPF_ALU64_IMM_OFF(op: number, dst: number, imm: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_OP(op) | BPF_K, dst, 0, off, imm);
}
export function BPF_ALU64_IMM(op: number, dst: number, imm: number): bpf_insn {
	return BPF_ALU64_IMM_OFF(op, dst, imm, 0);
}
/** dst op= imm (32 bits) */
export function BPF_ALU32_IMM_OFF(op: number, dst: number, imm: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_OP(op) | BPF_K, dst, 0, off, imm);
}
export function BPF_ALU32_IMM(op: number, dst: number, imm: number): bpf_insn {
	return BPF_ALU32_IMM_OFF(op, dst, imm, 0);
}
/** Byte order conversion; `type` is BPF_TO_LE or BPF_TO_BE. */
export function BPF_ENDIAN(type: number, dst: number, len: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_END | BPF_SRC(type), dst, 0, 0, len);
}
export function BPF_BSWAP(dst: number, len: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_END, dst, 0, 0, len);
}
export function BPF_MOV64_REG(dst: number, src: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
export function BPF_MOV32_REG(dst: number, src: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_MOV | BPF_X, dst, src, 0, 0);
}
/** dst = src + this CPU's per-CPU offset (internal to the kernel). */
export function BPF_MOV64_PERCPU_REG(dst: number, src: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, BPF_ADDR_PERCPU, 0);
}
/** include/linux/filter.h: insn_is_mov_percpu_addr */
export function insn_is_mov_percpu_addr(insn: bpf_insn): boolean {
	return insn.code === (BPF_ALU64 | BPF_MOV | BPF_X) && insn.off === BPF_ADDR_PERCPU;
}
export function BPF_MOV64_IMM(dst: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
}
export function BPF_MOV32_IMM(dst: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_MOV | BPF_K, dst, 0, 0, imm);
}
/** dst = sign extension of src's low `off` bits */
export function BPF_MOVSX64_REG(dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, off, 0);
}
export function BPF_MOVSX32_REG(dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_MOV | BPF_X, dst, src, off, 0);
}
/** The move that the verifier adds to clear the upper half of a register. */
export function BPF_ZEXT_REG(dst: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_MOV | BPF_X, dst, dst, 0, 1);
}
/** include/linux/filter.h: insn_is_zext */
export function insn_is_zext(insn: bpf_insn): boolean {
	return insn.code === (BPF_ALU | BPF_MOV | BPF_X) && insn.imm === 1;
}
/** include/linux/filter.h: insn_is_cast_user */
export function insn_is_cast_user(insn: bpf_insn): boolean {
	return (
		insn.code === (BPF_ALU64 | BPF_MOV | BPF_X) && insn.off === BPF_ADDR_SPACE_CAST && insn.imm === 1 << 16
	);
}
/** Two instructions: dst = imm (64 bits), with src_reg saying what the immediate means. */
export function BPF_LD_IMM64_RAW(dst: number, src: number, imm: bigint | number): [bpf_insn, bpf_insn] {
	const v = BigInt.asUintN(64, BigInt(imm));
	return [
		BPF_RAW_INSN(BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, Number(BigInt.asIntN(32, v))),
		BPF_RAW_INSN(0, 0, 0, 0, Number(BigInt.asIntN(32, v >> 32n))),
	];
}
export function BPF_LD_IMM64(dst: number, imm: bigint | number): [bpf_insn, bpf_insn] {
	return BPF_LD_IMM64_RAW(dst, 0, imm);
}
export function BPF_LD_MAP_FD(dst: number, map_fd: number): [bpf_insn, bpf_insn] {
	return BPF_LD_IMM64_RAW(dst, BPF_PSEUDO_MAP_FD, map_fd);
}
export function BPF_MOV64_RAW(type: number, dst: number, src: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_SRC(type), dst, src, 0, imm);
}
export function BPF_MOV32_RAW(type: number, dst: number, src: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ALU | BPF_MOV | BPF_SRC(type), dst, src, 0, imm);
}
/** R0 = packet[imm] */
export function BPF_LD_ABS(size: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_LD | BPF_SIZE(size) | BPF_ABS, 0, 0, 0, imm);
}
/** R0 = packet[src + imm] */
export function BPF_LD_IND(size: number, src: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_LD | BPF_SIZE(size) | BPF_IND, 0, src, 0, imm);
}
/** dst = *(size *)(src + off) */
export function BPF_LDX_MEM(size: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_LDX | BPF_SIZE(size) | BPF_MEM, dst, src, off, 0);
}
/** dst = *(signed size *)(src + off) */
export function BPF_LDX_MEMSX(size: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_LDX | BPF_SIZE(size) | BPF_MEMSX, dst, src, off, 0);
}
/** *(size *)(dst + off) = src */
export function BPF_STX_MEM(size: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_STX | BPF_SIZE(size) | BPF_MEM, dst, src, off, 0);
}
/** An atomic operation on *(size *)(dst + off); `op` is BPF_ADD, …, with BPF_FETCH, BPF_XCHG or BPF_CMPXCHG. */
export function BPF_ATOMIC_OP(size: number, op: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_STX | BPF_SIZE(size) | BPF_ATOMIC, dst, src, off, op);
}
export function BPF_STX_XADD(size: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_ATOMIC_OP(size, BPF_ADD, dst, src, off);
}
/** *(size *)(dst + off) = imm */
export function BPF_ST_MEM(size: number, dst: number, off: number, imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_ST | BPF_SIZE(size) | BPF_MEM, dst, 0, off, imm);
}
/** if (dst op src) goto pc + off */
export function BPF_JMP_REG(op: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_OP(op) | BPF_X, dst, src, off, 0);
}
export function BPF_JMP_IMM(op: number, dst: number, imm: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_OP(op) | BPF_K, dst, 0, off, imm);
}
export function BPF_JMP32_REG(op: number, dst: number, src: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP32 | BPF_OP(op) | BPF_X, dst, src, off, 0);
}
export function BPF_JMP32_IMM(op: number, dst: number, imm: number, off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP32 | BPF_OP(op) | BPF_K, dst, 0, off, imm);
}
export function BPF_JMP_A(off: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_JA, 0, 0, off, 0);
}
/** gotol: a jump with a 32-bit offset */
export function BPF_JMP32_A(imm: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP32 | BPF_JA, 0, 0, 0, imm);
}
export function BPF_CALL_REL(tgt: number): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, tgt);
}
/** Instructions want the address of a symbol that this kernel's table does not have. */
export class MissingSymbol extends Error {
	readonly symbol: string;
	constructor(symbol: string) {
		super(`no address of symbol ${symbol}`);
		this.name = "MissingSymbol";
		this.symbol = symbol;
	}
}
/**
 * The immediate of a call: the distance from __bpf_call_base, cut to 32 bits. A symbol that the
 * kernel's table does not have throws MissingSymbol.
 */
export function BPF_CALL_IMM(kernel: Kernel, func: string | bigint): number {
	const base = kernel.symbols.addr("__bpf_call_base");
	const addr = typeof func === "bigint" ? func : kernel.symbols.addr(func);
	if (base === undefined) throw new MissingSymbol("__bpf_call_base");
	if (addr === undefined) throw new MissingSymbol(String(func));
	return Number(BigInt.asIntN(32, addr - base));
}
/** A call of a kernel function by symbol (or by address). */
export function BPF_EMIT_CALL(kernel: Kernel, func: string | bigint): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_CALL_IMM(kernel, func));
}
export function BPF_EXIT_INSN(): bpf_insn {
	return BPF_RAW_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}
/** The speculation barrier. */
export function BPF_ST_NOSPEC(): bpf_insn {
	return BPF_RAW_INSN(BPF_ST | BPF_NOSPEC, 0, 0, 0, 0);
}

/** include/linux/filter.h: bytes_to_bpf_size; -EINVAL for other sizes */
export function bytes_to_bpf_size(bytes: number): number {
	switch (bytes) {
		case 1:
			return BPF_B;
		case 2:
			return BPF_H;
		case 4:
			return BPF_W;
		case 8:
			return BPF_DW;
		default:
			return -EINVAL;
	}
}
/** include/linux/filter.h: bpf_size_to_bytes; -EINVAL for other codes */
export function bpf_size_to_bytes(bpf_size: number): number {
	switch (bpf_size) {
		case BPF_B:
			return 1;
		case BPF_H:
			return 2;
		case BPF_W:
			return 4;
		case BPF_DW:
			return 8;
		default:
			return -EINVAL;
	}
}
/** include/linux/filter.h: BPF_LDST_BYTES */
export function BPF_LDST_BYTES(insn: bpf_insn): number {
	return bpf_size_to_bytes(BPF_SIZE(insn.code));
}

/** include/linux/bpf.h: bpf_is_ldimm64 */
export function bpf_is_ldimm64(insn: bpf_insn): boolean {
	return insn.code === (BPF_LD | BPF_IMM | BPF_DW);
}
/** include/linux/bpf.h: bpf_pseudo_func */
export function bpf_pseudo_func(insn: bpf_insn): boolean {
	return bpf_is_ldimm64(insn) && insn.src_reg === BPF_PSEUDO_FUNC;
}

/** include/linux/filter.h: bpf_ctx_off_adjust_machine */
export function bpf_ctx_off_adjust_machine(size: number): number {
	const size_machine = 8;
	if (size > size_machine && size % size_machine === 0) size = size_machine;
	return size;
}
/** include/linux/filter.h: bpf_ctx_narrow_access_offset (little endian) */
export function bpf_ctx_narrow_access_offset(off: number, _size: number, size_default: number): number {
	return off & (size_default - 1);
}
