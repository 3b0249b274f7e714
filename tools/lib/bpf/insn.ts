// SPDX-License-Identifier: GPL-2.0-only
/**
 * Instructions in an array of bytes, eight each (include/uapi/linux/bpf.h: struct bpf_insn):
 *
 *   byte 0   1 (low nibble)  1 (high)  2-3   4-7
 *        code  dst_reg        src_reg   off   imm
 */

import { BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from "../../../include/uapi/linux/bpf.ts";
import type { CoreInsn } from "../../../lib/relo_core.ts";

/** BPF_JMP | BPF_CALL */
export const CALL = 0x85;
/** BPF_LD | BPF_IMM | BPF_DW */
export const LDIMM64 = 0x18;

export function insn_code(insns: Uint8Array, i: number): number {
	return insns[i * 8]!;
}
export function insn_dst(insns: Uint8Array, i: number): number {
	return insns[i * 8 + 1]! & 0xf;
}
export function insn_src(insns: Uint8Array, i: number): number {
	return insns[i * 8 + 1]! >> 4;
}
export function insn_off(insns: Uint8Array, i: number): number {
	return ((insns[i * 8 + 2]! | (insns[i * 8 + 3]! << 8)) << 16) >> 16;
}
export function insn_imm(insns: Uint8Array, i: number): number {
	const at = i * 8 + 4;
	return insns[at]! | (insns[at + 1]! << 8) | (insns[at + 2]! << 16) | (insns[at + 3]! << 24);
}
export function set_src(insns: Uint8Array, i: number, src: number): void {
	insns[i * 8 + 1] = (insns[i * 8 + 1]! & 0xf) | (src << 4);
}
export function set_off(insns: Uint8Array, i: number, off: number): void {
	insns[i * 8 + 2] = off & 0xff;
	insns[i * 8 + 3] = (off >> 8) & 0xff;
}
export function set_imm(insns: Uint8Array, i: number, imm: number): void {
	const at = i * 8 + 4;
	insns[at] = imm & 0xff;
	insns[at + 1] = (imm >> 8) & 0xff;
	insns[at + 2] = (imm >> 16) & 0xff;
	insns[at + 3] = (imm >> 24) & 0xff;
}
/** A whole instruction. */
export function set_insn(insns: Uint8Array, i: number, insn: CoreInsn): void {
	insns[i * 8] = insn.code;
	insns[i * 8 + 1] = insn.dst_reg | (insn.src_reg << 4);
	set_off(insns, i, insn.off);
	set_imm(insns, i, insn.imm);
}
export function get_insn(insns: Uint8Array, i: number): CoreInsn {
	return {
		code: insn_code(insns, i),
		dst_reg: insn_dst(insns, i),
		src_reg: insn_src(insns, i),
		off: insn_off(insns, i),
		imm: insn_imm(insns, i),
	};
}

export function is_call_insn(insns: Uint8Array, i: number): boolean {
	return insn_code(insns, i) === CALL;
}
export function is_ldimm64_insn(insns: Uint8Array, i: number): boolean {
	return insn_code(insns, i) === LDIMM64;
}
export function insn_is_subprog_call(insns: Uint8Array, i: number): boolean {
	return (
		is_call_insn(insns, i) &&
		insn_src(insns, i) === BPF_PSEUDO_CALL &&
		insn_dst(insns, i) === 0 &&
		insn_off(insns, i) === 0
	);
}
export function insn_is_pseudo_func(insns: Uint8Array, i: number): boolean {
	return is_ldimm64_insn(insns, i) && insn_src(insns, i) === BPF_PSEUDO_FUNC;
}
/** Helper id of a helper call, -1 for everything else. */
export function insn_helper(insns: Uint8Array, i: number): number {
	return is_call_insn(insns, i) && insns[i * 8 + 1] === 0 ? insn_imm(insns, i) : -1;
}
