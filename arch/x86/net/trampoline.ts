// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trampolines of x86-64 (arch/x86/net/bpf_jit_comp.c: arch_prepare_bpf_trampoline and what it is made
 * of): code that runs the programs attached to a function before it, around it or instead of it. And the
 * dispatcher, which turns an indirect call of a program into a search for a direct one.
 *
 * Accounting of call depth (retbleed=stuff) is not ported; a kernel that does not mitigate so has none.
 */
import {
	BPF_TRAMP_F_CALL_ORIG,
	BPF_TRAMP_F_INDIRECT,
	BPF_TRAMP_F_IP_ARG,
	BPF_TRAMP_F_ORIG_STACK,
	BPF_TRAMP_F_RESTORE_REGS,
	BPF_TRAMP_F_RET_FENTRY_RET,
	BPF_TRAMP_F_SKIP_FRAME,
	BPF_TRAMP_F_TAIL_CALL_CTX,
	BTF_FMODEL_STRUCT_ARG,
	MAX_BPF_FUNC_ARGS,
} from "../../../include/linux/bpf.ts";
import { EFAULT, EINVAL, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_DW,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_3,
	BPF_REG_6,
	BPF_REG_10,
} from "../../../include/uapi/linux/bpf.ts";
import { u64_to_addr } from "../../../lib/addr.ts";
import type { JitKernel, TrampImage, TrampProg, TrampRequest } from "../../jit.ts";
import { X86_PATCH_SIZE, type X86Jit } from "./bpf_jit_comp.ts";
import { add_1mod, add_1reg, Emitter, is_imm8, is_simm32, JitError, X86_REG_R9 } from "./emit.ts";

const X86_JE = 0x74;
const X86_JNE = 0x75;
const X86_JG = 0x7f;
const ENDBR_INSN_SIZE = 4;
/** Bytes kept free behind code, in case one instruction more is written. */
const BPF_INSN_SAFETY = 64;
const BPF_REG_FP = BPF_REG_10;

type Model = TrampRequest["model"];

/** Registers' worth of an argument. */
function arg_regs_of(m: Model, i: number): number {
	return Math.floor((m.arg_size[i]! + 7) / 8);
}

/** arch/x86/net/bpf_jit_comp.c: get_nr_used_regs: how many of the six registers the arguments take */
export function get_nr_used_regs(m: Model): number {
	let nr_used_regs = 0;
	for (let i = 0; i < Math.min(m.nr_args, MAX_BPF_FUNC_ARGS); i++) {
		const arg_regs = arg_regs_of(m, i);
		if (nr_used_regs + arg_regs <= 6) nr_used_regs += arg_regs;
		if (nr_used_regs >= 6) break;
	}
	return nr_used_regs;
}

/** emit_mov_imm64() of a 64-bit value */
function mov_imm64(e: Emitter, reg: number, v: bigint): void {
	e.mov_imm64(reg, Number(BigInt.asIntN(32, v >> 32n)), Number(BigInt.asIntN(32, v)));
}

/** lea reg, [rbp + off]: `modrm` is that with an 8-bit displacement. */
function lea_rbp(e: Emitter, modrm: number, off: number): void {
	if (is_imm8(off)) e.e4(0x48, 0x8d, modrm, off);
	else e.e3_off32(0x48, 0x8d, modrm + 0x40, off);
}

/** emit_align() */
function emit_align(e: Emitter, align: number): void {
	const pad = (align - (e.n % align)) % align;
	if (pad) e.nops(pad);
}

/** One trampoline being made. */
class Trampoline {
	private readonly jit: X86Jit;
	private readonly kernel: JitKernel;
	private readonly req: TrampRequest;
	private readonly e: Emitter;
	private readonly image: number;

	constructor(jit: X86Jit, kernel: JitKernel, req: TrampRequest) {
		this.jit = jit;
		this.kernel = kernel;
		this.req = req;
		this.e = new Emitter(Math.max(req.room, 0x2000));
		this.image = u64_to_addr(req.image);
	}

	/** Where the next byte will run. */
	private get ip(): number {
		return this.image + this.e.n;
	}

	/** emit_rsb_call(), without call depth tracking */
	private call(func: bigint): void {
		this.jit.emit_patch(this.e, u64_to_addr(func), this.ip, 0xe8);
	}

	private call_symbol(name: string): void {
		const addr = this.kernel.symbol(name);
		if (addr === undefined) throw new JitError(`bpf_jit: no symbol ${name}`);
		this.call(addr);
	}

	/**
	 * clean_stack_garbage(): a caller that stores its only stack argument of four bytes or less may leave
	 * the upper half as it was.
	 */
	private clean_stack_garbage(nr_stack_slots: number, stack_size: number): void {
		const { e } = this;
		const m = this.req.model;
		if (nr_stack_slots !== 1 || m.arg_size[m.nr_args - 1]! > 4) return;
		const off = -(stack_size - 4);
		if (is_imm8(off)) e.e3(0xc7, 0x45, off);
		else e.e2_off32(0xc7, 0x85, off);
		e.imm(0, 4);
	}

	/** save_args(): arguments to the frame; for the call of the function itself only those on the stack */
	private save_args(stack_size: number, for_call_origin: boolean): void {
		const { e } = this;
		const m = this.req.model;
		let first_off = 0;
		let nr_regs = 0;
		let nr_stack_slots = 0;
		for (let i = 0; i < Math.min(m.nr_args, MAX_BPF_FUNC_ARGS); i++) {
			const arg_regs = arg_regs_of(m, i);
			if (nr_regs + arg_regs > 6) {
				// above rbp: rbp, the return into the function, the return to its caller
				for (let j = 0; j < arg_regs; j++) {
					e.ldx(BPF_DW, BPF_REG_0, BPF_REG_FP, nr_stack_slots * 8 + 0x18);
					e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -stack_size);
					if (!nr_stack_slots) first_off = stack_size;
					stack_size -= 8;
					nr_stack_slots++;
				}
			} else if (for_call_origin) {
				nr_regs += arg_regs;
			} else {
				for (let j = 0; j < arg_regs; j++) {
					e.stx(BPF_DW, BPF_REG_FP, nr_regs === 5 ? X86_REG_R9 : BPF_REG_1 + nr_regs, -stack_size);
					stack_size -= 8;
					nr_regs++;
				}
			}
		}
		this.clean_stack_garbage(nr_stack_slots, first_off);
	}

	/** restore_regs() */
	private restore_regs(stack_size: number): void {
		const { e } = this;
		const m = this.req.model;
		let nr_regs = 0;
		for (let i = 0; i < Math.min(m.nr_args, MAX_BPF_FUNC_ARGS); i++) {
			const arg_regs = arg_regs_of(m, i);
			if (nr_regs + arg_regs <= 6) {
				for (let j = 0; j < arg_regs; j++) {
					e.ldx(BPF_DW, nr_regs === 5 ? X86_REG_R9 : BPF_REG_1 + nr_regs, BPF_REG_FP, -stack_size);
					stack_size -= 8;
					nr_regs++;
				}
			} else {
				stack_size -= 8 * arg_regs;
			}
			if (nr_regs >= 6) break;
		}
	}

	/** invoke_bpf_prog() */
	private invoke_bpf_prog(p: TrampProg, stack_size: number, run_ctx_off: number, save_ret: boolean): void {
		const { e } = this;
		const ctx_cookie_off = this.kernel.offsetof("bpf_tramp_run_ctx", "bpf_cookie");
		mov_imm64(e, BPF_REG_1, p.cookie);
		e.stx(BPF_DW, BPF_REG_FP, BPF_REG_1, -run_ctx_off + ctx_cookie_off);
		// __bpf_prog_enter(prog, &run_ctx)
		mov_imm64(e, BPF_REG_1, p.prog);
		lea_rbp(e, 0x75, -run_ctx_off);
		this.call(p.enter);
		e.mov_reg(true, BPF_REG_6, BPF_REG_0);
		// 0: the program is not to run
		e.e3(0x48, 0x85, 0xc0);
		const jmp_insn = e.n;
		e.nops(2);
		lea_rbp(e, 0x7d, -stack_size);
		this.call(p.bpf_func);
		if (save_ret) e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -8);
		e.buf[jmp_insn] = X86_JE;
		e.buf[jmp_insn + 1] = e.n - jmp_insn - 2;
		// __bpf_prog_exit(prog, start, &run_ctx)
		mov_imm64(e, BPF_REG_1, p.prog);
		e.mov_reg(true, BPF_REG_2, BPF_REG_6);
		lea_rbp(e, 0x55, -run_ctx_off);
		this.call(p.exit);
	}

	/** invoke_bpf_mod_ret(): the places of the branches that leave once a program returned something */
	private invoke_bpf_mod_ret(stack_size: number, run_ctx_off: number): number[] {
		const { e } = this;
		const branches: number[] = [];
		e.mov_imm32(false, BPF_REG_0, 0);
		e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -8);
		for (const p of this.req.fmod_ret) {
			this.invoke_bpf_prog(p, stack_size, run_ctx_off, true);
			// cmp qword [rbp - 8], 0; jne do_fexit
			e.e4(0x48, 0x83, 0x7d, 0xf8);
			e.e1(0);
			branches.push(e.n);
			e.nops(6);
		}
		return branches;
	}

	/** LOAD_TRAMP_TAIL_CALL_CNT_PTR() */
	private load_tail_call_cnt_ptr(stack_size: number): void {
		this.e.e3_off32(0x48, 0x8b, 0x85, -((stack_size + 7) & ~7) - 8);
	}

	/** __arch_prepare_bpf_trampoline() */
	prepare(): TrampImage | number {
		const { e, jit, req } = this;
		const { flags, model: m, fentry, fexit, fmod_ret } = req;
		let nr_regs = m.nr_args;
		for (let i = 0; i < m.nr_args; i++)
			if (m.arg_flags[i]! & BTF_FMODEL_STRUCT_ARG) nr_regs += arg_regs_of(m, i) - 1;
		if (nr_regs > MAX_BPF_FUNC_ARGS) return -ENOTSUPP;

		// The frame, downwards from rbp: the return value, the arguments, their number, the function's
		// address, rbx, struct bpf_tramp_run_ctx, the stack arguments of the function called.
		let stack_size = 0;
		const save_ret = (flags & (BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_RET_FENTRY_RET)) !== 0;
		if (save_ret) stack_size += 8;
		stack_size += nr_regs * 8;
		const regs_off = stack_size;
		stack_size += 8;
		const nregs_off = stack_size;
		if (flags & BPF_TRAMP_F_IP_ARG) stack_size += 8;
		const ip_off = stack_size;
		stack_size += 8;
		const rbx_off = stack_size;
		// sizeof(struct bpf_tramp_run_ctx): the saved context is its last member
		stack_size += this.kernel.offsetof("bpf_tramp_run_ctx", "saved_run_ctx") + 8;
		const run_ctx_off = stack_size;
		if (nr_regs > 6 && flags & BPF_TRAMP_F_CALL_ORIG) {
			stack_size += (nr_regs - get_nr_used_regs(m)) * 8;
			// with rbp and two return addresses above it, the stack is aligned so
			stack_size += stack_size % 16 ? 0 : 8;
		}
		const arg_stack_off = stack_size;

		let orig_call = req.func_addr;
		if (flags & BPF_TRAMP_F_SKIP_FRAME) {
			if (req.endbr) orig_call += BigInt(ENDBR_INSN_SIZE);
			orig_call += BigInt(X86_PATCH_SIZE);
		}

		// emit_cfi() of a kernel without CFI
		if (flags & BPF_TRAMP_F_INDIRECT) jit.endbr(e);
		e.e1(0x55);
		e.e3(0x48, 0x89, 0xe5);
		if (is_imm8(stack_size)) e.e4(0x48, 0x83, 0xec, stack_size);
		else e.e3_off32(0x48, 0x81, 0xec, stack_size);
		if (flags & BPF_TRAMP_F_TAIL_CALL_CTX) e.e1(0x50);
		e.stx(BPF_DW, BPF_REG_FP, BPF_REG_6, -rbx_off);
		e.mov_imm64(BPF_REG_0, 0, nr_regs);
		e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -nregs_off);
		if (flags & BPF_TRAMP_F_IP_ARG) {
			mov_imm64(e, BPF_REG_0, req.func_addr);
			e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -ip_off);
		}
		this.save_args(regs_off, false);

		if (flags & BPF_TRAMP_F_CALL_ORIG) {
			mov_imm64(e, BPF_REG_1, req.im);
			this.call_symbol("__bpf_tramp_enter");
		}
		for (const p of fentry)
			this.invoke_bpf_prog(p, regs_off, run_ctx_off, (flags & BPF_TRAMP_F_RET_FENTRY_RET) !== 0);
		const branches = fmod_ret.length ? this.invoke_bpf_mod_ret(regs_off, run_ctx_off) : [];

		let ip_after_call = 0;
		let ip_epilogue = 0;
		if (flags & BPF_TRAMP_F_CALL_ORIG) {
			this.restore_regs(regs_off);
			this.save_args(arg_stack_off, true);
			if (flags & BPF_TRAMP_F_TAIL_CALL_CTX) this.load_tail_call_cnt_ptr(stack_size);
			if (flags & BPF_TRAMP_F_ORIG_STACK) {
				e.ldx(BPF_DW, BPF_REG_6, BPF_REG_FP, 8);
				e.e2(0xff, 0xd3);
			} else {
				this.call(orig_call);
			}
			e.stx(BPF_DW, BPF_REG_FP, BPF_REG_0, -8);
			ip_after_call = this.ip;
			e.nops(X86_PATCH_SIZE);
		}
		if (fmod_ret.length) {
			emit_align(e, 16);
			for (const at of branches) {
				e.buf[at] = 0x0f;
				e.buf[at + 1] = X86_JNE + 0x10;
				const rel = e.n - (at + 6);
				for (let i = 0; i < 4; i++) e.buf[at + 2 + i] = rel >> (8 * i);
			}
		}
		for (const p of fexit) this.invoke_bpf_prog(p, regs_off, run_ctx_off, false);
		if (flags & BPF_TRAMP_F_RESTORE_REGS) this.restore_regs(regs_off);

		if (flags & BPF_TRAMP_F_CALL_ORIG) {
			ip_epilogue = this.ip;
			mov_imm64(e, BPF_REG_1, req.im);
			this.call_symbol("__bpf_tramp_exit");
		} else if (flags & BPF_TRAMP_F_TAIL_CALL_CTX) {
			this.load_tail_call_cnt_ptr(stack_size);
		}
		if (save_ret) e.ldx(BPF_DW, BPF_REG_0, BPF_REG_FP, -8);
		e.ldx(BPF_DW, BPF_REG_6, BPF_REG_FP, -rbx_off);
		e.e1(0xc9);
		// past the return into the function: to its caller
		if (flags & BPF_TRAMP_F_SKIP_FRAME) e.e4(0x48, 0x83, 0xc4, 8);
		jit.emit_return(e, this.ip);
		if (e.n > req.room - BPF_INSN_SAFETY) return -EFAULT;
		const u64 = (v: number): bigint => BigInt.asUintN(64, BigInt(v));
		return {
			code: e.buf.slice(0, e.n),
			size: e.n + BPF_INSN_SAFETY,
			ip_after_call: u64(ip_after_call),
			ip_epilogue: u64(ip_epilogue),
		};
	}
}

/** arch/x86/net/bpf_jit_comp.c: arch_prepare_bpf_trampoline: the code, or a negative errno */
export function arch_prepare_bpf_trampoline(
	jit: X86Jit,
	kernel: JitKernel,
	req: TrampRequest,
): TrampImage | number {
	try {
		return new Trampoline(jit, kernel, req).prepare();
	} catch (err) {
		if (!(err instanceof JitError)) throw err;
		kernel.printk(err.message);
		return -EINVAL;
	}
}

/** emit_bpf_dispatcher(): a binary search over sorted addresses; rdx holds the one to be called. */
function emit_bpf_dispatcher(
	jit: X86Jit,
	e: Emitter,
	a: number,
	b: number,
	progs: readonly number[],
	image: number,
): void {
	const cmp = (func: number): void => {
		e.e1(add_1mod(0x48, BPF_REG_3));
		if (!is_simm32(func)) throw new JitError("bpf_jit: dispatcher target is out of range");
		e.e2_off32(0x81, add_1reg(0xf8, BPF_REG_3), func);
	};
	if (a === b) {
		cmp(progs[a]!);
		e.e2_off32(0x0f, X86_JE + 0x10, progs[a]! - (image + e.n + 6));
		jit.emit_indirect_jump(e, 2, image + e.n);
		return;
	}
	const pivot = (b - a) >> 1;
	cmp(progs[a + pivot]!);
	let jg_bytes = 1;
	if (pivot > 2) {
		jg_bytes = 4;
		e.e2_off32(0x0f, X86_JG + 0x10, 0);
	} else {
		e.e2(X86_JG, 0);
	}
	const jg_reloc = e.n;
	emit_bpf_dispatcher(jit, e, a, a + pivot, progs, image);
	emit_align(e, 16);
	const jg_offset = e.n - jg_reloc;
	for (let i = 0; i < jg_bytes; i++) e.buf[jg_reloc - jg_bytes + i] = jg_offset >> (8 * i);
	emit_bpf_dispatcher(jit, e, a + pivot + 1, b, progs, image);
}

/** arch/x86/net/bpf_jit_comp.c: arch_prepare_bpf_dispatcher: the code, or a negative errno */
export function arch_prepare_bpf_dispatcher(
	jit: X86Jit,
	image: bigint,
	funcs: readonly bigint[],
): Uint8Array | number {
	const e = new Emitter(0x2000);
	const progs = funcs.map(u64_to_addr).sort((x, y) => x - y);
	try {
		emit_bpf_dispatcher(jit, e, 0, progs.length - 1, progs, u64_to_addr(image));
	} catch (err) {
		if (!(err instanceof JitError)) throw err;
		return -EINVAL;
	}
	return e.buf.slice(0, e.n);
}
