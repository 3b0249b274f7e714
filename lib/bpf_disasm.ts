// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/disasm.c: the text of an instruction. The kernel's log and bpftool share it. */
import * as uapi from "../include/uapi/linux/bpf.ts";
import {
	BPF_ADDR_SPACE_CAST,
	BPF_ALU64,
	BPF_ARSH,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_CMPXCHG,
	BPF_DW,
	BPF_END,
	BPF_EXIT,
	BPF_FETCH,
	BPF_JCOND,
	BPF_JLE,
	BPF_JLT,
	BPF_JMP32,
	BPF_JNE,
	BPF_JSGE,
	BPF_JSGT,
	BPF_JSLE,
	BPF_JSLT,
	BPF_MAY_GOTO,
	BPF_MEMSX,
	BPF_MOV,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_KFUNC_CALL,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_VALUE,
	BPF_TO_BE,
	BPF_XCHG,
} from "../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_B,
	BPF_DIV,
	BPF_H,
	BPF_IMM,
	BPF_IND,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_JGT,
	BPF_JMP,
	BPF_JSET,
	BPF_LD,
	BPF_LDX,
	BPF_LSH,
	BPF_MEM,
	BPF_MOD,
	BPF_MUL,
	BPF_NEG,
	BPF_OR,
	BPF_RSH,
	BPF_ST,
	BPF_STX,
	BPF_SUB,
	BPF_W,
	BPF_X,
	BPF_XOR,
} from "../include/uapi/linux/bpf_common.ts";

/** The fields of an instruction that its text needs. */
export interface DisasmInsn {
	readonly code: number;
	readonly dst_reg: number;
	readonly src_reg: number;
	readonly off: number;
	readonly imm: number;
}

/** struct bpf_insn_cbs */
export interface bpf_insn_cbs<T, I extends DisasmInsn = DisasmInsn> {
	cb_print(private_data: T, text: string): void;
	/** The name of what a call calls; null: the default. */
	cb_call?(private_data: T, insn: I): string | null;
	/** The text of a 64-bit immediate. */
	cb_imm?(private_data: T, insn: I, full_imm: bigint): string;
	private_data: T;
}

/** Names of helper functions by id. */
const func_id_str: readonly string[] = (() => {
	const t: string[] = [];
	for (const [k, v] of Object.entries(uapi))
		if (k.startsWith("BPF_FUNC_") && typeof v === "number") t[v] = `bpf_${k.slice("BPF_FUNC_".length)}`;
	return t;
})();

/** kernel/bpf/disasm.c: func_id_name */
export function func_id_name(id: number): string {
	return func_id_str[id] ?? "unknown";
}

export const bpf_class_string: readonly string[] = ["ld", "ldx", "st", "stx", "alu", "jmp", "jmp32", "alu64"];

function by_opcode(entries: readonly (readonly [number, string])[]): readonly string[] {
	const t: string[] = [];
	for (const [op, s] of entries) t[op >> 4] = s;
	return t;
}

export const bpf_alu_string = by_opcode([
	[BPF_ADD, "+="],
	[BPF_SUB, "-="],
	[BPF_MUL, "*="],
	[BPF_DIV, "/="],
	[BPF_OR, "|="],
	[BPF_AND, "&="],
	[BPF_LSH, "<<="],
	[BPF_RSH, ">>="],
	[BPF_NEG, "neg"],
	[BPF_MOD, "%="],
	[BPF_XOR, "^="],
	[BPF_MOV, "="],
	[BPF_ARSH, "s>>="],
	[BPF_END, "endian"],
]);
const bpf_alu_sign_string = by_opcode([
	[BPF_DIV, "s/="],
	[BPF_MOD, "s%="],
]);
const bpf_atomic_alu_string = by_opcode([
	[BPF_ADD, "add"],
	[BPF_AND, "and"],
	[BPF_OR, "or"],
	[BPF_XOR, "xor"],
]);
const bpf_jmp_string = by_opcode([
	[BPF_JA, "jmp"],
	[BPF_JEQ, "=="],
	[BPF_JGT, ">"],
	[BPF_JLT, "<"],
	[BPF_JGE, ">="],
	[BPF_JLE, "<="],
	[BPF_JSET, "&"],
	[BPF_JNE, "!="],
	[BPF_JSGT, "s>"],
	[BPF_JSLT, "s<"],
	[BPF_JSGE, "s>="],
	[BPF_JSLE, "s<="],
	[BPF_CALL, "call"],
	[BPF_EXIT, "exit"],
]);

/** printf("%s") of an entry that a table lacks. */
const NULL_STR = "(null)";

function ldst(size: number): string {
	return size === BPF_W ? "u32" : size === BPF_H ? "u16" : size === BPF_B ? "u8" : "u64";
}
function ldsx(size: number): string {
	return size === BPF_W ? "s32" : size === BPF_H ? "s16" : size === BPF_B ? "s8" : NULL_STR;
}
function plus(v: number): string {
	return v < 0 ? `${v}` : `+${v}`;
}

function func_name<T, I extends DisasmInsn>(cbs: bpf_insn_cbs<T, I>, insn: I, dflt: string): string {
	if (insn.src_reg === 0 && func_id_str[insn.imm] !== undefined) return func_id_str[insn.imm]!;
	const res = cbs.cb_call?.(cbs.private_data, insn);
	if (res !== null && res !== undefined) return res;
	if (insn.src_reg === BPF_PSEUDO_CALL) return plus(insn.imm);
	if (insn.src_reg === BPF_PSEUDO_KFUNC_CALL) return "kernel-function";
	return dflt;
}

function alu_str(insn: DisasmInsn, cls: number): string {
	const op = insn.code & 0xf0;
	const r = cls === BPF_ALU ? "w" : "r";
	const { dst_reg: dst, src_reg: src, off, imm } = insn;

	if (op === BPF_END) {
		if (cls === BPF_ALU64) return `r${dst} = bswap${imm} r${dst}`;
		return `r${dst} = ${(insn.code & 8) === BPF_TO_BE ? "be" : "le"}${imm} r${dst}`;
	}
	if (op === BPF_NEG) return `${r}${dst} = -${r}${dst}`;
	if (insn.code === (BPF_ALU64 | BPF_MOV | BPF_X)) {
		if (off === BPF_ADDR_SPACE_CAST)
			return `r${dst} = addr_space_cast(r${src}, ${imm >>> 16}, ${imm & 0xffff})`;
		if (off === -1) return `r${dst} = &(void __percpu *)(r${src})`;
	}
	const is_signed = (op === BPF_DIV || op === BPF_MOD) && off === 1;
	const name = (is_signed ? bpf_alu_sign_string : bpf_alu_string)[op >> 4] ?? NULL_STR;
	if (insn.code & BPF_X) {
		const sx = op === BPF_MOV && (off === 8 || off === 16 || off === 32) ? `(s${off})` : "";
		return `${r}${dst} ${name} ${sx}${r}${src}`;
	}
	return `${r}${dst} ${name} ${imm}`;
}

function stx_str(insn: DisasmInsn): string | null {
	const mode = insn.code & 0xe0;
	const size = insn.code & 0x18;
	const { src_reg: src, imm } = insn;
	const at = `*)(r${insn.dst_reg} ${plus(insn.off)})`;
	const wide = size === BPF_DW ? "64" : "";

	if (mode === BPF_MEM) return `*(${ldst(size)} ${at} = r${src}`;
	if (mode !== BPF_ATOMIC) return null;
	switch (imm) {
		case BPF_ADD:
		case BPF_AND:
		case BPF_OR:
		case BPF_XOR:
			return `lock *(${ldst(size)} ${at} ${bpf_alu_string[imm >> 4]} r${src}`;
		case BPF_ADD | BPF_FETCH:
		case BPF_AND | BPF_FETCH:
		case BPF_OR | BPF_FETCH:
		case BPF_XOR | BPF_FETCH:
			return `r${src} = atomic${wide}_fetch_${bpf_atomic_alu_string[imm >> 4]}((${ldst(size)} ${at}, r${src})`;
		case BPF_CMPXCHG:
			return `r0 = atomic${wide}_cmpxchg((${ldst(size)} ${at}, r0, r${src})`;
		case BPF_XCHG:
			return `r${src} = atomic${wide}_xchg((${ldst(size)} ${at}, r${src})`;
		default:
			return null;
	}
}

/** BPF_NOSPEC: a mode of BPF_ST inside the kernel only. */
const MODE_NOSPEC = 0xc0;

/** The line of an instruction: see print_bpf_insn(). */
function insn_str<T, I extends DisasmInsn>(
	cbs: bpf_insn_cbs<T, I>,
	insn: I,
	allow_ptr_leaks: boolean,
	next: I | undefined,
): string {
	const { code, dst_reg: dst, src_reg: src, off, imm } = insn;
	const cls = code & 7;
	const op = code & 0xf0;
	const mode = code & 0xe0;
	const size = code & 0x18;
	const hex2 = code.toString(16).padStart(2, "0");
	const head = `(${hex2}) `;

	switch (cls) {
		case BPF_ALU:
		case BPF_ALU64:
			return head + alu_str(insn, cls);
		case BPF_STX: {
			const s = stx_str(insn);
			return s === null ? `BUG_${hex2}` : head + s;
		}
		case BPF_ST:
			if (mode === BPF_MEM) return `${head}*(${ldst(size)} *)(r${dst} ${plus(off)}) = ${imm}`;
			return mode === MODE_NOSPEC ? `${head}nospec` : `BUG_st_${hex2}`;
		case BPF_LDX:
			if (mode !== BPF_MEM && mode !== BPF_MEMSX) return `BUG_ldx_${hex2}`;
			return `${head}r${dst} = *(${mode === BPF_MEM ? ldst(size) : ldsx(size)} *)(r${src} ${plus(off)})`;
		case BPF_LD: {
			if (mode === BPF_ABS) return `${head}r0 = *(${ldst(size)} *)skb[${imm}]`;
			if (mode === BPF_IND) return `${head}r0 = *(${ldst(size)} *)skb[r${src} + ${imm}]`;
			if (mode !== BPF_IMM || size !== BPF_DW) return `BUG_ld_${hex2}`;
			const is_ptr = src === BPF_PSEUDO_MAP_FD || src === BPF_PSEUDO_MAP_VALUE;
			let full = (BigInt((next?.imm ?? 0) >>> 0) << 32n) | BigInt(imm >>> 0);
			if (is_ptr && !allow_ptr_leaks) full = 0n;
			const shown = cbs.cb_imm ? cbs.cb_imm(cbs.private_data, insn, full) : `0x${full.toString(16)}`;
			return `${head}r${dst} = ${shown}`;
		}
		default:
			break;
	}
	// BPF_JMP, BPF_JMP32
	if (op === BPF_CALL) {
		if (src === BPF_PSEUDO_CALL) return `${head}call pc${func_name(cbs, insn, "")}`;
		return `${head}call ${func_name(cbs, insn, "unknown")}#${imm}`;
	}
	if (code === (BPF_JMP | BPF_JA)) return `${head}goto pc${plus(off)}`;
	if (code === (BPF_JMP | BPF_JCOND) && src === BPF_MAY_GOTO) return `${head}may_goto pc${plus(off)}`;
	if (code === (BPF_JMP32 | BPF_JA)) return `${head}gotol pc${plus(imm)}`;
	if (code === (BPF_JMP | BPF_EXIT)) return `${head}exit`;
	const r = cls === BPF_JMP32 ? "w" : "r";
	const cond = bpf_jmp_string[op >> 4] ?? NULL_STR;
	const right = code & BPF_X ? `${r}${src}` : `0x${(imm >>> 0).toString(16)}`;
	return `${head}if ${r}${dst} ${cond} ${right} goto pc${plus(off)}`;
}

/**
 * kernel/bpf/disasm.c: print_bpf_insn
 *
 * `next` is the instruction that follows: the second half of a 64-bit immediate.
 */
export function print_bpf_insn<T, I extends DisasmInsn>(
	cbs: bpf_insn_cbs<T, I>,
	insn: I,
	allow_ptr_leaks: boolean,
	next: I | undefined,
): void {
	cbs.cb_print(cbs.private_data, `${insn_str(cbs, insn, allow_ptr_leaks, next)}\n`);
}
