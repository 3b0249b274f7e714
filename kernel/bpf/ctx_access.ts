// SPDX-License-Identifier: GPL-2.0-only
/** What the context-access code of all program types shares: ranges of fields and a small emitter. */

import { BPF_ALU64, BPF_DW, BPF_JMP32, BPF_MOV, BPF_REG_9 } from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ALU,
	BPF_B,
	BPF_H,
	BPF_JA,
	BPF_JMP,
	BPF_K,
	BPF_LDX,
	BPF_MEM,
	BPF_STX,
	BPF_W,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import { bpf_insn, type bpf_prog } from "./bpf_types.ts";
import { offsetof, sizeof_field } from "./btf_ids.ts";

/** A member of a context: offset and size in bytes. */
export type CtxField = readonly [number, number];

/** bpf_ctx_range(): whether an offset lies within a member. */
export function in_range(off: number, f: CtxField): boolean {
	return off >= f[0] && off < f[0] + f[1];
}

/** bpf_ctx_range_till(): whether an offset lies from one member's start to another's end. */
export function in_range_till(off: number, first: CtxField, last: CtxField): boolean {
	return off >= first[0] && off < last[0] + last[1];
}

/** include/linux/filter.h: bpf_ctx_narrow_access_ok */
export function narrow_access_ok(size: number, size_default: number): boolean {
	return size <= size_default && (size & (size - 1)) === 0;
}

/** include/linux/filter.h: bpf_ctx_wide_access_ok */
export function wide_access_ok(off: number, size: number, f: CtxField): boolean {
	return size === 8 && off >= f[0] && off + 8 <= f[0] + f[1] && off % 8 === 0;
}

/** include/linux/filter.h: bytes_to_bpf_size; -1 for a size that no instruction has. */
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
			return -1;
	}
}

/** Collects the instructions that stand for one context access. Struct layouts come from the kernel's BTF. */
export class CtxEmitter {
	readonly insns: bpf_insn[] = [];
	/** BPF_SIZE and BPF_CLASS of the access. */
	readonly size: number;
	readonly cls: number;
	private readonly prog: bpf_prog;
	private readonly si: bpf_insn;
	private readonly target_size: Ref<number>;

	constructor(prog: bpf_prog, si: bpf_insn, target_size: Ref<number>) {
		this.prog = prog;
		this.si = si;
		this.target_size = target_size;
		this.size = si.code & 0x18;
		this.cls = si.code & 7;
	}

	off(struct: string, member: string): number {
		return offsetof(this.prog.kernel, struct, member);
	}

	/** BPF_FIELD_SIZEOF() */
	field_size(struct: string, member: string): number {
		return bytes_to_bpf_size(sizeof_field(this.prog.kernel, struct, member));
	}

	/** bpf_target_off(): the member's offset; its size becomes the access's target size. */
	target_off(struct: string, member: string, size?: number): number {
		this.target_size.val = size ?? sizeof_field(this.prog.kernel, struct, member);
		return this.off(struct, member);
	}

	raw(code: number, dst: number, src: number, off: number, imm: number): void {
		this.insns.push(new bpf_insn(code, dst, src, off, imm));
	}

	ldx(size: number, dst: number, src: number, off: number): void {
		this.raw(BPF_LDX | size | BPF_MEM, dst, src, off, 0);
	}

	stx(size: number, dst: number, src: number, off: number): void {
		this.raw(BPF_STX | size | BPF_MEM, dst, src, off, 0);
	}

	/** Load a whole member of a kernel struct. */
	ldx_field(dst: number, src: number, struct: string, member: string): void {
		this.ldx(this.field_size(struct, member), dst, src, this.off(struct, member));
	}

	/** BPF_EMIT_STORE(): the access's own store, of a size, at an offset. */
	store(size: number, off: number): void {
		const si = this.si;
		this.raw(this.cls | size | BPF_MEM, si.dst_reg, si.src_reg, off, si.imm);
	}

	/** The store or the load of the access, of a size, at an offset. */
	access(write: boolean, size: number, off: number): void {
		if (write) this.store(size, off);
		else this.ldx(size, this.si.dst_reg, this.si.src_reg, off);
	}

	alu32_imm(op: number, dst: number, imm: number): void {
		this.raw(BPF_ALU | op | BPF_K, dst, 0, 0, imm);
	}

	alu64_reg(op: number, dst: number, src: number): void {
		this.raw(BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
	}

	mov64_imm(dst: number, imm: number): void {
		this.raw(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm);
	}

	mov64_reg(dst: number, src: number): void {
		this.raw(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
	}

	jmp_imm(op: number, dst: number, imm: number, off: number): void {
		this.raw(BPF_JMP | op | BPF_K, dst, 0, off, imm);
	}

	jmp32_imm(op: number, dst: number, imm: number, off: number): void {
		this.raw(BPF_JMP32 | op | BPF_K, dst, 0, off, imm);
	}

	ja(off: number): void {
		this.raw(BPF_JMP | BPF_JA, 0, 0, off, 0);
	}

	/** A register that the access does not use, counted down from R9. */
	spare_reg(from: number = BPF_REG_9): number {
		let reg = from;
		const { src_reg, dst_reg } = this.si;
		if (src_reg === reg || dst_reg === reg) reg--;
		if (src_reg === reg || dst_reg === reg) reg--;
		return reg;
	}
}
