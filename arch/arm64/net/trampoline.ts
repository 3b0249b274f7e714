// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trampolines of arm64 (arch/arm64/net/bpf_jit_comp.c: prepare_trampoline and what it is made of).
 *
 *     function or program:  mov x9, lr; bl trampoline     x9: return to the caller, lr: into the function
 */
import {
	BPF_TRAMP_F_CALL_ORIG,
	BPF_TRAMP_F_INDIRECT,
	BPF_TRAMP_F_IP_ARG,
	BPF_TRAMP_F_RESTORE_REGS,
	BPF_TRAMP_F_RET_FENTRY_RET,
	BPF_TRAMP_F_SKIP_FRAME,
	BTF_FMODEL_STRUCT_ARG,
} from "../../../include/linux/bpf.ts";
import { EINVAL, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import { u64_to_addr } from "../../../lib/addr.ts";
import type { TrampImage, TrampProg, TrampRequest } from "../../jit.ts";
import * as A from "../lib/insn.ts";
import type { Arm64Jit } from "./bpf_jit_comp.ts";
import { CodeBuf } from "./code.ts";

const DW = 3;

/** btf_func_model_nregs() */
function btf_func_model_nregs(m: TrampRequest["model"]): number {
	let nregs = m.nr_args;
	for (let i = 0; i < m.nr_args; i++)
		if (m.arg_flags[i]! & BTF_FMODEL_STRUCT_ARG) nregs += Math.floor((m.arg_size[i]! + 7) / 8) - 1;
	return nregs;
}

/** Offsets from sp in a trampoline's frame. */
interface Frame {
	args_off: number;
	retval_off: number;
	run_ctx_off: number;
}

class Trampoline extends CodeBuf {
	private readonly jit: Arm64Jit;
	private readonly req: TrampRequest;

	constructor(jit: Arm64Jit, req: TrampRequest) {
		super();
		this.jit = jit;
		this.req = req;
		if (req.sizing) return;
		this.image = true;
		this.addr = u64_to_addr(req.image);
		this.words = new Uint32Array(req.room / 4).fill(A.AARCH64_BREAK_FAULT);
	}

	private str(rt: number, off: number): void {
		this.emit(A.str_imm(DW, rt, A.SP, off));
	}

	private ldr(rt: number, off: number): void {
		this.emit(A.ldr_imm(DW, rt, A.SP, off));
	}

	private call(func: bigint): void {
		this.emit_call(u64_to_addr(func));
	}

	/** A symbol and the trampoline's own struct as its argument. */
	private call_with_im(name: string): void {
		// whatever the address, four instructions do
		if (!this.image) this.idx += 4;
		else this.mov_i64(0, this.req.im);
		this.call(this.jit.kernel.symbol(name) ?? 0n);
	}

	/** Put in an instruction where a NOP held its place. */
	private fix(at: number, word: number): void {
		if (this.image) this.words[at] = word;
	}

	/** invoke_bpf_prog() */
	private invoke_bpf_prog(p: TrampProg, f: Frame, save_ret: boolean): void {
		const cookie_off = this.jit.kernel.offsetof("bpf_tramp_run_ctx", "bpf_cookie");
		if (p.cookie === 0n) {
			this.str(A.ZR, f.run_ctx_off + cookie_off);
		} else {
			this.mov_i64(10, p.cookie);
			this.str(10, f.run_ctx_off + cookie_off);
		}
		this.addr_mov_i64(19, p.prog);
		this.emit(A.mov(1, 0, 19));
		this.emit(A.add_i(1, 1, A.SP, f.run_ctx_off));
		this.call(p.enter);
		this.emit(A.mov(1, 20, 0));
		const branch = this.idx;
		this.emit(A.NOP);
		this.emit(A.add_i(1, 0, A.SP, f.args_off));
		this.call(p.bpf_func);
		if (save_ret) this.str(0, f.retval_off);
		this.fix(branch, A.cbz(1, 0, this.idx - branch));
		this.emit(A.mov(1, 0, 19));
		this.emit(A.mov(1, 1, 20));
		this.emit(A.add_i(1, 2, A.SP, f.run_ctx_off));
		this.call(p.exit);
	}

	/** invoke_bpf_mod_ret(): the places of the branches that leave once a program returned something */
	private invoke_bpf_mod_ret(f: Frame): number[] {
		const branches: number[] = [];
		this.str(A.ZR, f.retval_off);
		for (const p of this.req.fmod_ret) {
			this.invoke_bpf_prog(p, f, true);
			this.ldr(10, f.retval_off);
			branches.push(this.idx);
			this.emit(A.NOP);
		}
		return branches;
	}

	/** prepare_trampoline() */
	prepare(nregs: number): TrampImage {
		const { req } = this;
		const { flags } = req;
		const is_struct_ops = (flags & BPF_TRAMP_F_INDIRECT) !== 0;
		const save_ret = (flags & (BPF_TRAMP_F_CALL_ORIG | BPF_TRAMP_F_RET_FENTRY_RET)) !== 0;

		// The frame, upwards from sp: struct bpf_tramp_run_ctx, the function's address, the number of
		// arguments, the arguments, the return value, x19 and x20.
		const run_ctx_off = 0;
		let stack_size = this.jit.kernel.offsetof("bpf_tramp_run_ctx", "saved_run_ctx") + 8;
		const ip_off = stack_size;
		if (flags & BPF_TRAMP_F_IP_ARG) stack_size += 8;
		const nregs_off = stack_size;
		stack_size += 8;
		const args_off = stack_size;
		stack_size += nregs * 8;
		const retval_off = stack_size;
		if (save_ret) stack_size += 8;
		const regs_off = stack_size;
		stack_size += 16;
		stack_size = (stack_size + 15) & ~15;
		const retaddr_off = stack_size + 8;
		const f: Frame = { args_off, retval_off, run_ctx_off };

		if (this.jit.config.bti) this.emit(A.BTI_JC);
		if (!is_struct_ops) {
			// as if the caller had called us: a frame for it
			this.emit(A.push(A.FP, 9, A.SP));
			this.emit(A.mov(1, A.FP, A.SP));
		}
		this.emit(A.push(A.FP, A.LR, A.SP));
		this.emit(A.mov(1, A.FP, A.SP));
		this.emit(A.sub_i(1, A.SP, A.SP, stack_size));
		if (flags & BPF_TRAMP_F_IP_ARG) {
			this.addr_mov_i64(10, req.func_addr);
			this.str(10, ip_off);
		}
		this.emit(A.movz(1, 10, nregs, 0));
		this.str(10, nregs_off);
		for (let i = 0; i < nregs; i++) this.str(i, args_off + 8 * i);
		this.str(19, regs_off);
		this.str(20, regs_off + 8);

		if (flags & BPF_TRAMP_F_CALL_ORIG) this.call_with_im("__bpf_tramp_enter");
		for (const p of req.fentry) this.invoke_bpf_prog(p, f, (flags & BPF_TRAMP_F_RET_FENTRY_RET) !== 0);
		const branches = req.fmod_ret.length ? this.invoke_bpf_mod_ret(f) : [];

		const here = (): bigint => BigInt.asUintN(64, BigInt(this.addr + 4 * this.idx));
		let ip_after_call = 0n;
		let ip_epilogue = 0n;
		if (flags & BPF_TRAMP_F_CALL_ORIG) {
			for (let i = 0; i < nregs; i++) this.ldr(i, args_off + 8 * i);
			this.ldr(10, retaddr_off);
			this.emit(A.adr(A.LR, 8));
			this.emit(A.ret(10));
			this.str(0, retval_off);
			ip_after_call = here();
			this.emit(A.NOP);
		}
		for (const at of branches) this.fix(at, A.cbnz(1, 10, this.idx - at));
		for (const p of req.fexit) this.invoke_bpf_prog(p, f, false);
		if (flags & BPF_TRAMP_F_CALL_ORIG) {
			ip_epilogue = here();
			this.call_with_im("__bpf_tramp_exit");
		}
		if (flags & BPF_TRAMP_F_RESTORE_REGS) for (let i = 0; i < nregs; i++) this.ldr(i, args_off + 8 * i);
		this.ldr(19, regs_off);
		this.ldr(20, regs_off + 8);
		if (save_ret) this.ldr(0, retval_off);
		this.emit(A.mov(1, A.SP, A.FP));
		this.emit(A.pop(A.FP, A.LR, A.SP));
		if (is_struct_ops) {
			this.emit(A.ret(A.LR));
		} else {
			this.emit(A.pop(A.FP, 9, A.SP));
			if (flags & BPF_TRAMP_F_SKIP_FRAME) {
				this.emit(A.mov(1, A.LR, 9));
				this.emit(A.ret(9));
			} else {
				this.emit(A.mov(1, 10, A.LR));
				this.emit(A.mov(1, A.LR, 9));
				this.emit(A.ret(10));
			}
		}
		const size = this.image ? req.room : 4 * this.idx;
		const code = new Uint8Array(size);
		const dv = new DataView(code.buffer);
		for (const [i, word] of this.words.entries()) dv.setUint32(4 * i, word, true);
		return { code, size, ip_after_call, ip_epilogue };
	}

	/** The code outgrew its room. */
	get overflowed(): boolean {
		return this.image && this.idx > this.words.length;
	}
}

/** arch/arm64/net/bpf_jit_comp.c: arch_prepare_bpf_trampoline, arch_bpf_trampoline_size */
export function arch_prepare_bpf_trampoline(jit: Arm64Jit, req: TrampRequest): TrampImage | number {
	const nregs = btf_func_model_nregs(req.model);
	// the first eight registers are all that is passed on
	if (nregs > 8) return -ENOTSUPP;
	const t = new Trampoline(jit, req);
	const made = t.prepare(nregs);
	return t.overflowed ? -EINVAL : made;
}
