// SPDX-License-Identifier: GPL-2.0-only
/** BPF instruction classes, sizes and modes shared with classic BPF (include/uapi/linux/bpf_common.h). */

// macros of include/uapi/linux/bpf_common.h
export const BPF_LD = 0;
export const BPF_LDX = 1;
export const BPF_ST = 2;
export const BPF_STX = 3;
export const BPF_ALU = 4;
export const BPF_JMP = 5;
export const BPF_RET = 6;
export const BPF_MISC = 7;
export const BPF_W = 0;
export const BPF_H = 8;
export const BPF_B = 16;
export const BPF_IMM = 0;
export const BPF_ABS = 32;
export const BPF_IND = 64;
export const BPF_MEM = 96;
export const BPF_LEN = 128;
export const BPF_MSH = 160;
export const BPF_ADD = 0;
export const BPF_SUB = 16;
export const BPF_MUL = 32;
export const BPF_DIV = 48;
export const BPF_OR = 64;
export const BPF_AND = 80;
export const BPF_LSH = 96;
export const BPF_RSH = 112;
export const BPF_NEG = 128;
export const BPF_MOD = 144;
export const BPF_XOR = 160;
export const BPF_JA = 0;
export const BPF_JEQ = 16;
export const BPF_JGT = 32;
export const BPF_JGE = 48;
export const BPF_JSET = 64;
export const BPF_K = 0;
export const BPF_X = 8;
export const BPF_MAXINSNS = 4096;

/** Instruction class: the low 3 bits of the opcode. */
export function BPF_CLASS(code: number): number {
	return code & 0x07;
}
/** Size of a load or store. */
export function BPF_SIZE(code: number): number {
	return code & 0x18;
}
/** Addressing mode of a load or store. */
export function BPF_MODE(code: number): number {
	return code & 0xe0;
}
/** Operation of an ALU or jump instruction. */
export function BPF_OP(code: number): number {
	return code & 0xf0;
}
/** BPF_K or BPF_X: whether the second operand is the immediate or src_reg. */
export function BPF_SRC(code: number): number {
	return code & 0x08;
}
