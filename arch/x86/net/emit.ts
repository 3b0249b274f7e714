// SPDX-License-Identifier: GPL-2.0-only
/** The byte emitters of the x86-64 JIT: registers, prefixes, operands (arch/x86/net/bpf_jit_comp.c). */
import { BPF_REG_AX, MAX_BPF_JIT_REG } from "../../../include/linux/filter.ts";
import {
	BPF_CMPXCHG,
	BPF_DW,
	BPF_FETCH,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_5,
	BPF_REG_7,
	BPF_REG_8,
	BPF_REG_9,
	BPF_REG_10,
	BPF_XCHG,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_B,
	BPF_H,
	BPF_OR,
	BPF_SUB,
	BPF_W,
	BPF_XOR,
} from "../../../include/uapi/linux/bpf_common.ts";

/** r11, for the JIT's own work. */
export const AUX_REG = MAX_BPF_JIT_REG + 1;
export const X86_REG_R9 = MAX_BPF_JIT_REG + 2;
/** r12, which holds the base of the arena. */
export const X86_REG_R12 = MAX_BPF_JIT_REG + 3;

/** Low three bits of the x86 register of each BPF register: rax rdi rsi rdx rcx r8 rbx r13 r14 r15 rbp r10 - r11 r9 r12. */
const reg2hex = [0, 7, 6, 2, 1, 0, 3, 5, 6, 7, 5, 2, 0, 3, 1, 4];

/** Offset in struct pt_regs of the x86 register of R0 to R9. */
export const reg2pt_regs = [80, 112, 104, 96, 88, 72, 40, 16, 8, 0];

/** BPF registers that live in r8 to r15 and need a REX bit. */
const eregs =
	(1 << BPF_REG_5) |
	(1 << AUX_REG) |
	(1 << BPF_REG_7) |
	(1 << BPF_REG_8) |
	(1 << BPF_REG_9) |
	(1 << X86_REG_R9) |
	(1 << X86_REG_R12) |
	(1 << BPF_REG_AX);

export function is_ereg(reg: number): boolean {
	return ((1 << reg) & eregs) !== 0;
}

/** Whether the register's low byte (dil, sil, bpl, r8b, …) needs a REX prefix. */
function is_ereg_8l(reg: number): boolean {
	return is_ereg(reg) || ((1 << reg) & ((1 << BPF_REG_1) | (1 << BPF_REG_2) | (1 << BPF_REG_10))) !== 0;
}

export function add_1mod(byte: number, reg: number): number {
	return is_ereg(reg) ? byte | 1 : byte;
}

export function add_2mod(byte: number, r1: number, r2: number): number {
	return byte | (is_ereg(r1) ? 1 : 0) | (is_ereg(r2) ? 4 : 0);
}

function add_3mod(byte: number, r1: number, r2: number, index: number): number {
	return byte | (is_ereg(r1) ? 1 : 0) | (is_ereg(index) ? 2 : 0) | (is_ereg(r2) ? 4 : 0);
}

export function add_1reg(byte: number, dst: number): number {
	return byte + reg2hex[dst]!;
}

export function add_2reg(byte: number, dst: number, src: number): number {
	return byte + reg2hex[dst]! + (reg2hex[src]! << 3);
}

/** One-byte opcodes of two-operand ALU operations, and /r fields of shifts, by BPF_OP. */
export function simple_alu_opcode(op: number): number {
	switch (op) {
		case BPF_ADD:
			return 0x01;
		case BPF_SUB:
			return 0x29;
		case BPF_AND:
			return 0x21;
		case BPF_OR:
			return 0x09;
		case BPF_XOR:
			return 0x31;
		case 0x60:
			return 0xe0;
		case 0x70:
			return 0xe8;
		default:
			return 0xf8;
	}
}

export function is_imm8(v: number): boolean {
	return v <= 127 && v >= -128;
}

/** Short forward jumps end at 123 bytes, not 127: so the passes over the program come to rest. */
export function is_imm8_jmp_offset(v: number): boolean {
	return v <= 123 && v >= -128;
}

export function is_simm32(v: number): boolean {
	return v === (v | 0);
}

/** arch/x86/include/asm/nops.h: the multi-byte NOPs of up to 11 bytes. */
const x86_nops: readonly (readonly number[])[] = [
	[],
	[0x90],
	[0x66, 0x90],
	[0x0f, 0x1f, 0x00],
	[0x0f, 0x1f, 0x40, 0x00],
	[0x0f, 0x1f, 0x44, 0x00, 0x00],
	[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
	[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
	[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
	[0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
	[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
	[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/** Raised where the kernel's JIT gives up on a program (it prints and returns an error). */
export class JitError extends Error {}

/** Collects the bytes of one instruction. */
export class Emitter {
	readonly buf: Uint8Array;
	n = 0;

	constructor(size = 512) {
		this.buf = new Uint8Array(size);
	}

	e1(a: number): void {
		this.buf[this.n++] = a;
	}
	e2(a: number, b: number): void {
		this.buf[this.n++] = a;
		this.buf[this.n++] = b;
	}
	e3(a: number, b: number, c: number): void {
		this.e2(a, b);
		this.buf[this.n++] = c;
	}
	e4(a: number, b: number, c: number, d: number): void {
		this.e2(a, b);
		this.e2(c, d);
	}
	/** The low `len` bytes of a value, little endian. */
	imm(v: number, len: number): void {
		for (let i = 0; i < len; i++) this.buf[this.n++] = v >> (8 * i);
	}
	e1_off32(a: number, v: number): void {
		this.e1(a);
		this.imm(v, 4);
	}
	e2_off32(a: number, b: number, v: number): void {
		this.e2(a, b);
		this.imm(v, 4);
	}
	e3_off32(a: number, b: number, c: number, v: number): void {
		this.e3(a, b, c);
		this.imm(v, 4);
	}
	e4_off32(a: number, b: number, c: number, d: number, v: number): void {
		this.e4(a, b, c, d);
		this.imm(v, 4);
	}

	nops(len: number): void {
		while (len > 0) {
			const n = Math.min(len, x86_nops.length - 1);
			for (const b of x86_nops[n]!) this.e1(b);
			len -= n;
		}
	}

	/** EMIT_mov(): mov dst, src, unless they are the same. */
	mov(dst: number, src: number): void {
		if (dst !== src) this.e3(add_2mod(0x48, dst, src), 0x89, add_2reg(0xc0, dst, src));
	}

	mov_imm32(sign_propagate: boolean, dst: number, imm: number): void {
		if (sign_propagate && imm < 0) {
			this.e3_off32(add_1mod(0x48, dst), 0xc7, add_1reg(0xc0, dst), imm);
			return;
		}
		if (imm === 0) {
			if (is_ereg(dst)) this.e1(add_2mod(0x40, dst, dst));
			this.e2(0x31, add_2reg(0xc0, dst, dst));
			return;
		}
		if (is_ereg(dst)) this.e1(add_1mod(0x40, dst));
		this.e1_off32(add_1reg(0xb8, dst), imm);
	}

	mov_imm64(dst: number, hi: number, lo: number): void {
		hi |= 0;
		lo |= 0;
		if (hi === 0) this.mov_imm32(false, dst, lo);
		else if (hi === lo >> 31) this.mov_imm32(true, dst, lo);
		else {
			this.e2(add_1mod(0x48, dst), add_1reg(0xb8, dst));
			this.imm(lo, 4);
			this.imm(hi, 4);
		}
	}

	mov_reg(is64: boolean, dst: number, src: number): void {
		if (is64) {
			this.mov(dst, src);
			return;
		}
		if (is_ereg(dst) || is_ereg(src)) this.e1(add_2mod(0x40, dst, src));
		this.e2(0x89, add_2reg(0xc0, dst, src));
	}

	movsx_reg(bits: number, is64: boolean, dst: number, src: number): void {
		if (is64) {
			if (bits === 8) this.e4(add_2mod(0x48, src, dst), 0x0f, 0xbe, add_2reg(0xc0, src, dst));
			else if (bits === 16) this.e4(add_2mod(0x48, src, dst), 0x0f, 0xbf, add_2reg(0xc0, src, dst));
			else if (bits === 32) this.e3(add_2mod(0x48, src, dst), 0x63, add_2reg(0xc0, src, dst));
		} else if (bits === 8) {
			this.e4(add_2mod(0x40, src, dst), 0x0f, 0xbe, add_2reg(0xc0, src, dst));
		} else if (bits === 16) {
			if (is_ereg(dst) || is_ereg(src)) this.e1(add_2mod(0x40, src, dst));
			// The kernel runs the escape byte through the REX helper too, which sets bits in 0x0f that are set.
			this.e3(add_2mod(0x0f, src, dst), 0xbf, add_2reg(0xc0, src, dst));
		}
	}

	/** ModR/M and displacement of *(ptr + off) with a register. */
	suffix(ptr: number, val: number, off: number): void {
		if (is_imm8(off)) this.e2(add_2reg(0x40, ptr, val), off);
		else this.e1_off32(add_2reg(0x80, ptr, val), off);
	}

	/** ModR/M, SIB and displacement of *(ptr + index + off). */
	suffix_sib(ptr: number, val: number, index: number, off: number): void {
		if (is_imm8(off)) this.e3(add_2reg(0x44, BPF_REG_0, val), add_2reg(0, ptr, index), off);
		else this.e2_off32(add_2reg(0x84, BPF_REG_0, val), add_2reg(0, ptr, index), off);
	}

	/** REX for two registers, if one is needed. */
	maybe_mod(dst: number, src: number, is64: boolean): void {
		if (is64) this.e1(add_2mod(0x48, dst, src));
		else if (is_ereg(dst) || is_ereg(src)) this.e1(add_2mod(0x40, dst, src));
	}

	maybe_1mod(reg: number, is64: boolean): void {
		if (is64) this.e1(add_1mod(0x48, reg));
		else if (is_ereg(reg)) this.e1(add_1mod(0x40, reg));
	}

	ldx(size: number, dst: number, src: number, off: number): void {
		switch (size) {
			case BPF_B:
				this.e3(add_2mod(0x48, src, dst), 0x0f, 0xb6);
				break;
			case BPF_H:
				this.e3(add_2mod(0x48, src, dst), 0x0f, 0xb7);
				break;
			case BPF_W:
				if (is_ereg(dst) || is_ereg(src)) this.e2(add_2mod(0x40, src, dst), 0x8b);
				else this.e1(0x8b);
				break;
			case BPF_DW:
				this.e2(add_2mod(0x48, src, dst), 0x8b);
				break;
		}
		this.suffix(src, dst, off);
	}

	ldsx(size: number, dst: number, src: number, off: number): void {
		switch (size) {
			case BPF_B:
				this.e3(add_2mod(0x48, src, dst), 0x0f, 0xbe);
				break;
			case BPF_H:
				this.e3(add_2mod(0x48, src, dst), 0x0f, 0xbf);
				break;
			case BPF_W:
				this.e2(add_2mod(0x48, src, dst), 0x63);
				break;
		}
		this.suffix(src, dst, off);
	}

	ldx_r12(size: number, dst: number, src: number, off: number): void {
		const index = X86_REG_R12;
		switch (size) {
			case BPF_B:
				this.e3(add_3mod(0x40, src, dst, index), 0x0f, 0xb6);
				break;
			case BPF_H:
				this.e3(add_3mod(0x40, src, dst, index), 0x0f, 0xb7);
				break;
			case BPF_W:
				this.e2(add_3mod(0x40, src, dst, index), 0x8b);
				break;
			case BPF_DW:
				this.e2(add_3mod(0x48, src, dst, index), 0x8b);
				break;
		}
		this.suffix_sib(src, dst, index, off);
	}

	stx(size: number, dst: number, src: number, off: number): void {
		switch (size) {
			case BPF_B:
				if (is_ereg(dst) || is_ereg_8l(src)) this.e2(add_2mod(0x40, dst, src), 0x88);
				else this.e1(0x88);
				break;
			case BPF_H:
				if (is_ereg(dst) || is_ereg(src)) this.e3(0x66, add_2mod(0x40, dst, src), 0x89);
				else this.e2(0x66, 0x89);
				break;
			case BPF_W:
				if (is_ereg(dst) || is_ereg(src)) this.e2(add_2mod(0x40, dst, src), 0x89);
				else this.e1(0x89);
				break;
			case BPF_DW:
				this.e2(add_2mod(0x48, dst, src), 0x89);
				break;
		}
		this.suffix(dst, src, off);
	}

	stx_r12(size: number, dst: number, src: number, off: number): void {
		const index = X86_REG_R12;
		switch (size) {
			case BPF_B:
				this.e2(add_3mod(0x40, dst, src, index), 0x88);
				break;
			case BPF_H:
				this.e3(0x66, add_3mod(0x40, dst, src, index), 0x89);
				break;
			case BPF_W:
				this.e2(add_3mod(0x40, dst, src, index), 0x89);
				break;
			case BPF_DW:
				this.e2(add_3mod(0x48, dst, src, index), 0x89);
				break;
		}
		this.suffix_sib(dst, src, index, off);
	}

	st_r12(size: number, dst: number, off: number, imm: number): void {
		const index = X86_REG_R12;
		switch (size) {
			case BPF_B:
				this.e2(add_3mod(0x40, dst, 0, index), 0xc6);
				break;
			case BPF_H:
				this.e3(0x66, add_3mod(0x40, dst, 0, index), 0xc7);
				break;
			case BPF_W:
				this.e2(add_3mod(0x40, dst, 0, index), 0xc7);
				break;
			case BPF_DW:
				this.e2(add_3mod(0x48, dst, 0, index), 0xc7);
				break;
		}
		this.suffix_sib(dst, 0, index, off);
		this.imm(imm, bpf_size_to_x86_bytes(size));
	}

	private atomic_opcode(op: number): void {
		switch (op) {
			case BPF_ADD:
			case BPF_AND:
			case BPF_OR:
			case BPF_XOR:
				this.e1(simple_alu_opcode(op));
				break;
			case BPF_ADD | BPF_FETCH:
				this.e2(0x0f, 0xc1);
				break;
			case BPF_XCHG:
				this.e1(0x87);
				break;
			case BPF_CMPXCHG:
				this.e2(0x0f, 0xb1);
				break;
			default:
				throw new JitError(`bpf_jit: unknown atomic opcode ${(op & 0xff).toString(16).padStart(2, "0")}`);
		}
	}

	/** A locked operation on *(dst + off). */
	atomic(op: number, dst: number, src: number, off: number, size: number): void {
		this.e1(0xf0);
		this.maybe_mod(dst, src, size === BPF_DW);
		this.atomic_opcode(op);
		this.suffix(dst, src, off);
	}

	/** A locked operation on *(dst + r12 + off). */
	atomic_r12(op: number, size: number, dst: number, src: number, off: number): void {
		this.e1(0xf0);
		this.e1(add_3mod(size === BPF_DW ? 0x48 : 0x40, dst, src, X86_REG_R12));
		this.atomic_opcode(op);
		this.suffix_sib(dst, src, X86_REG_R12, off);
	}

	/**
	 * BMI2's shlx, shrx, sarx dst, dst, src, behind a 3-byte VEX prefix:
	 *
	 *     byte 1                    byte 2
	 *     ~R ~X ~B  mmmmm           W  ~vvvv  L  pp
	 */
	shiftx(dst: number, src: number, is64: boolean, pp: number): void {
		const r = is_ereg(dst);
		const vvvv = reg2hex[src]! | (is_ereg(src) ? 8 : 0);
		const b1 = (r ? 0 : 0x80) | 0x40 | (r ? 0 : 0x20) | 2;
		const b2 = (is64 ? 0x80 : 0) | ((~vvvv & 0xf) << 3) | pp;
		this.e3(0xc4, b1, b2);
		this.e2(0xf7, add_2reg(0xc0, dst, dst));
	}
}

/** Bytes of the immediate that a store of a size carries. */
export function bpf_size_to_x86_bytes(size: number): number {
	return size === BPF_H ? 2 : size === BPF_B ? 1 : 4;
}
