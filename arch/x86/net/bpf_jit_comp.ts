// SPDX-License-Identifier: GPL-2.0-only
/** The x86-64 JIT: BPF to machine code, the kernel's own bytes (arch/x86/net/bpf_jit_comp.c). */
import { MAX_TAIL_CALL_CNT } from "../../../include/linux/bpf.ts";
import {
	BPF_NOSPEC,
	BPF_PROBE_ATOMIC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEM32,
	BPF_PROBE_MEMSX,
	BPF_REG_AX,
	BPF_TAIL_CALL,
} from "../../../include/linux/filter.ts";
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
	BPF_FROM_BE,
	BPF_JLE,
	BPF_JLT,
	BPF_JMP32,
	BPF_JNE,
	BPF_JSGE,
	BPF_JSGT,
	BPF_JSLE,
	BPF_JSLT,
	BPF_MEMSX,
	BPF_MOV,
	BPF_REG_0,
	BPF_REG_3,
	BPF_REG_4,
	BPF_REG_6,
	BPF_REG_7,
	BPF_REG_8,
	BPF_REG_9,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_B,
	BPF_DIV,
	BPF_H,
	BPF_IMM,
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
} from "../../../include/uapi/linux/bpf_common.ts";
import { u64_to_addr } from "../../../lib/addr.ts";
import type {
	ImageAlloc,
	Jit,
	JitExtable,
	JitImage,
	JitInsn,
	JitKernel,
	JitPoke,
	JitProgram,
	TrampImage,
	TrampRequest,
} from "../../jit.ts";
import {
	AUX_REG,
	add_1mod,
	add_1reg,
	add_2reg,
	bpf_size_to_x86_bytes,
	Emitter,
	is_ereg,
	is_imm8,
	is_imm8_jmp_offset,
	is_simm32,
	JitError,
	reg2pt_regs,
	simple_alu_opcode,
	X86_REG_R12,
} from "./emit.ts";
import { arch_prepare_bpf_trampoline } from "./trampoline.ts";

const X86_JB = 0x72;
const X86_JAE = 0x73;
const X86_JE = 0x74;
const X86_JNE = 0x75;
const X86_JBE = 0x76;
const X86_JA = 0x77;
const X86_JL = 0x7c;
const X86_JGE = 0x7d;
const X86_JLE = 0x7e;
const X86_JG = 0x7f;

const MAX_PASSES = 20;
const PADDING_PASSES = MAX_PASSES - 5;
const BPF_MAX_INSN_SIZE = 128;
/** Bytes of a patchable call or jump. */
export const X86_PATCH_SIZE = 5;
/** ex->fixup's register field where no register is cleared. */
export const DONT_CLEAR = 1;
/** sizeof(struct exception_table_entry) */
const EXTABLE_ENTRY_SIZE = 12;
const VSYSCALL_ADDR = BigInt.asUintN(64, -10n << 20n);

/** Choices of the kernel and the CPU that show in the code. */
export interface X86JitConfig {
	/** CONFIG_X86_KERNEL_IBT: endbr64 at entries. */
	readonly ibt: boolean;
	/** How indirect jumps go: plain, through a retpoline, or behind an lfence. */
	readonly retpoline: "off" | "thunk" | "lfence";
	/** Returns jump to the return thunk. */
	readonly rethunk: boolean;
	/** int3 after returns and indirect jumps (CONFIG_MITIGATION_SLS). */
	readonly sls: boolean;
	readonly bmi2: boolean;
	readonly pgtable_levels: 4 | 5;
	/** X86_FEATURE_CLEAR_BHB_LOOP: classic programs of the unprivileged clear branch history. */
	readonly clear_bhb: boolean;
}

interface Context {
	cleanup_addr: number;
	tail_call_direct_label: number;
	tail_call_indirect_label: number;
}

interface State {
	readonly ctx: Context;
	readonly addrs: Int32Array;
}

function round_up8(n: number): number {
	return (n + 7) & ~7;
}

/** BPF_TAIL_CALL_CNT_PTR_STACK_OFF */
function tcc_ptr_off(stack_depth: number): number {
	return -16 - round_up8(stack_depth);
}

/** The compiler for one kernel. */
export class X86Jit implements Jit {
	private readonly kernel: JitKernel;
	private readonly config: X86JitConfig;
	private readonly call_base: number;

	constructor(kernel: JitKernel, config: X86JitConfig) {
		this.kernel = kernel;
		this.config = config;
		this.call_base = this.symbol("__bpf_call_base");
	}

	private symbol(name: string): number {
		return u64_to_addr(this.kernel.symbol(name) ?? 0n);
	}

	/** ENDBR_INSN_SIZE */
	private get endbr_size(): number {
		return this.config.ibt ? 4 : 0;
	}

	/** X86_TAIL_CALL_OFFSET: what a tail call skips of the next program's prologue. */
	get tail_call_offset(): number {
		return 12 + this.endbr_size;
	}

	/** arch/x86/net/bpf_jit_comp.c: bpf_int_jit_compile, less what concerns programs rather than code. */
	compile(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null {
		const n = prog.insns.length;
		let ctx: Context;
		let addrs: Int32Array;
		let image: { addr: number; code: Uint8Array } | null = null;
		let oldproglen = 0;
		let padding = false;
		if (prev) {
			const state = prev.state as State;
			ctx = { ...state.ctx };
			addrs = state.addrs;
			oldproglen = prev.code.length;
			image = { addr: u64_to_addr(prev.addr), code: new Uint8Array(oldproglen) };
			padding = true;
		} else {
			addrs = new Int32Array(n + 1);
			for (let i = 0; i <= n; i++) addrs[i] = 64 * (i + 1);
			ctx = { cleanup_addr: addrs[n]!, tail_call_direct_label: 0, tail_call_indirect_label: 0 };
		}

		try {
			for (let pass = 0; pass < MAX_PASSES || image; pass++) {
				if (!padding && pass >= PADDING_PASSES) padding = true;
				const run = new DoJit(this, prog, addrs, image, oldproglen, ctx, padding);
				const proglen = run.run();
				if (image) {
					if (proglen !== oldproglen)
						throw new JitError(`bpf_jit: proglen=${proglen} != oldproglen=${oldproglen}`);
					return {
						addr: BigInt.asUintN(64, BigInt(image.addr)),
						code: image.code,
						addrs,
						extable: run.extable,
						state: { ctx, addrs } satisfies State,
					};
				}
				if (proglen === oldproglen) {
					const align = 4;
					const size = Math.ceil(proglen / align) * align + prog.num_exentries * EXTABLE_ENTRY_SIZE;
					const addr = alloc(size);
					if (addr === null) return null;
					image = { addr: u64_to_addr(addr), code: new Uint8Array(proglen) };
				}
				oldproglen = proglen;
			}
			return null;
		} catch (e) {
			if (!(e instanceof JitError)) throw e;
			this.kernel.printk(e.message);
			return null;
		}
	}

	/** emit_call() or emit_jump() at an address; the five-byte NOP without a target. */
	patch(ip: bigint, target: bigint | null, call: boolean): Uint8Array | null {
		const e = new Emitter();
		if (target === null) e.nops(X86_PATCH_SIZE);
		else {
			const off = u64_to_addr(target) - (u64_to_addr(ip) + X86_PATCH_SIZE);
			if (!is_simm32(off)) return null;
			e.e1_off32(call ? 0xe8 : 0xe9, off);
		}
		return e.buf.slice(0, e.n);
	}

	trampoline(request: TrampRequest): TrampImage | number {
		return arch_prepare_bpf_trampoline(this, this.kernel, request);
	}

	endbr(e: Emitter): void {
		if (this.config.ibt) e.e4(0xf3, 0x0f, 0x1e, 0xfa);
	}

	/** emit_patch(): a call or jump from `ip`. */
	emit_patch(e: Emitter, func: number, ip: number, opcode: number): void {
		const offset = func - (ip + X86_PATCH_SIZE);
		if (!is_simm32(offset)) throw new JitError(`Target call ${func.toString(16)} is out of range`);
		e.e1_off32(opcode, offset);
	}

	emit_indirect_jump(e: Emitter, reg: number, ip: number): void {
		const { retpoline, sls } = this.config;
		if (retpoline === "lfence") {
			e.e3(0x0f, 0xae, 0xe8);
			e.e2(0xff, 0xe0 + reg);
		} else if (retpoline === "thunk") {
			const names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"];
			this.emit_patch(e, this.symbol(`__x86_indirect_thunk_${names[reg]}`), ip, 0xe9);
		} else {
			e.e2(0xff, 0xe0 + reg);
			if (sls || this.kernel.kconfig("MITIGATION_RETPOLINE")) e.e1(0xcc);
		}
	}

	emit_return(e: Emitter, ip: number): void {
		if (this.config.rethunk) {
			this.emit_patch(e, this.symbol("__x86_return_thunk"), ip, 0xe9);
		} else {
			e.e1(0xc3);
			if (this.config.sls) e.e1(0xcc);
		}
	}

	emit_spectre_bhb_barrier(e: Emitter, ip: number): void {
		if (!this.config.clear_bhb) return;
		e.e1(0x50);
		e.e1(0x51);
		this.emit_patch(e, this.symbol("clear_bhb_loop"), ip + 2, 0xe8);
		e.e1(0x59);
		e.e1(0x58);
	}

	emit_prologue(e: Emitter, prog: JitProgram): void {
		this.endbr(e);
		// Room for the trampoline's call.
		e.nops(X86_PATCH_SIZE);
		if (!prog.was_classic) {
			if (prog.tail_call_reachable && !prog.is_subprog) e.e3(0x48, 0x31, 0xc0);
			else e.nops(3);
		}
		if (prog.exception_cb) {
			// An exception callback takes over the frame of the program that threw.
			e.e3(0x48, 0x89, 0xf4);
			e.e3(0x48, 0x89, 0xd5);
			pop_callee_regs(e, all_callee_regs_used);
			pop_r12(e);
			e.e3(0x48, 0x89, 0xec);
		} else {
			e.e1(0x55);
			e.e3(0x48, 0x89, 0xe5);
		}
		// Tail calls enter here.
		this.endbr(e);
		if (prog.stack_depth) e.e3_off32(0x48, 0x81, 0xec, round_up8(prog.stack_depth));
		if (!prog.tail_call_reachable) return;
		if (prog.is_subprog) {
			// rax is the pointer to the counter.
			e.e2(0x50, 0x50);
			return;
		}
		// rax is the counter (entry, or a tail call of the main program) or the pointer to it.
		e.e4(0x48, 0x83, 0xf8, MAX_TAIL_CALL_CNT);
		e.e2(X86_JA, 6);
		e.e1(0x50);
		e.e3(0x48, 0x89, 0xe0);
		e.e2(0xeb, 1);
		e.e1(0x50);
		e.e1(0x50);
	}

	/** Pops what the prologue pushed, before leaving through a tail call. */
	private tail_call_pops(e: Emitter, prog: JitProgram, used: readonly boolean[]): void {
		if (prog.exception_boundary) {
			pop_callee_regs(e, all_callee_regs_used);
			pop_r12(e);
		} else {
			pop_callee_regs(e, used);
			if (prog.arena_vm_start) pop_r12(e);
		}
		e.e2(0x58, 0x58);
		if (prog.stack_depth) e.e3_off32(0x48, 0x81, 0xc4, round_up8(prog.stack_depth));
	}

	/** rdi: context, rsi: struct bpf_array, rdx: index. */
	emit_tail_call_indirect(
		e: Emitter,
		prog: JitProgram,
		used: readonly boolean[],
		ip: number,
		ctx: Context,
	): void {
		const out = () => ctx.tail_call_indirect_label - (e.n + 2);
		const { kernel } = this;
		e.e2(0x89, 0xd2);
		e.e3(0x39, 0x56, kernel.offsetof("bpf_array", "map.max_entries"));
		e.e2(X86_JBE, out());
		e.e3_off32(0x48, 0x8b, 0x85, tcc_ptr_off(prog.stack_depth));
		e.e4(0x48, 0x83, 0x38, MAX_TAIL_CALL_CNT);
		e.e2(X86_JAE, out());
		e.e4_off32(0x48, 0x8b, 0x8c, 0xd6, kernel.offsetof("bpf_array", "ptrs"));
		e.e3(0x48, 0x85, 0xc9);
		e.e2(X86_JE, out());
		e.e4(0x48, 0x83, 0x00, 0x01);
		this.tail_call_pops(e, prog, used);
		e.e4(0x48, 0x8b, 0x49, kernel.offsetof("bpf_prog", "bpf_func"));
		e.e4(0x48, 0x83, 0xc1, this.tail_call_offset);
		this.emit_indirect_jump(e, 1, ip + e.n);
		ctx.tail_call_indirect_label = e.n;
	}

	emit_tail_call_direct(
		e: Emitter,
		prog: JitProgram,
		poke: JitPoke,
		ip: number,
		used: readonly boolean[],
		ctx: Context,
	): void {
		e.e3_off32(0x48, 0x8b, 0x85, tcc_ptr_off(prog.stack_depth));
		e.e4(0x48, 0x83, 0x38, MAX_TAIL_CALL_CNT);
		e.e2(X86_JAE, ctx.tail_call_direct_label - (e.n + 2));

		const bypass = ip + e.n;
		const target = ip + ctx.tail_call_direct_label - X86_PATCH_SIZE;
		poke.tailcall_bypass = BigInt.asUintN(64, BigInt(bypass));
		poke.adj_off = this.tail_call_offset;
		poke.tailcall_target = BigInt.asUintN(64, BigInt(target));
		poke.bypass_addr = BigInt.asUintN(64, BigInt(target + X86_PATCH_SIZE));
		this.emit_patch(e, target + X86_PATCH_SIZE, bypass, 0xe9);

		e.e4(0x48, 0x83, 0x00, 0x01);
		this.tail_call_pops(e, prog, used);
		e.nops(X86_PATCH_SIZE);
		ctx.tail_call_direct_label = e.n;
	}

	get facts(): { config: X86JitConfig; kernel: JitKernel; call_base: number } {
		return { config: this.config, kernel: this.kernel, call_base: this.call_base };
	}
}

const all_callee_regs_used: readonly boolean[] = [true, true, true, true];

function push_r12(e: Emitter): void {
	e.e2(0x41, 0x54);
}

function pop_r12(e: Emitter): void {
	e.e2(0x41, 0x5c);
}

/** rbx, r13, r14, r15 */
function push_callee_regs(e: Emitter, used: readonly boolean[]): void {
	if (used[0]) e.e1(0x53);
	if (used[1]) e.e2(0x41, 0x55);
	if (used[2]) e.e2(0x41, 0x56);
	if (used[3]) e.e2(0x41, 0x57);
}

function pop_callee_regs(e: Emitter, used: readonly boolean[]): void {
	if (used[3]) e.e2(0x41, 0x5f);
	if (used[2]) e.e2(0x41, 0x5e);
	if (used[1]) e.e2(0x41, 0x5d);
	if (used[0]) e.e1(0x5b);
}

function detect_reg_usage(insns: readonly JitInsn[]): boolean[] {
	const used = [false, false, false, false];
	for (const { dst_reg, src_reg } of insns) {
		if (dst_reg === BPF_REG_6 || src_reg === BPF_REG_6) used[0] = true;
		if (dst_reg === BPF_REG_7 || src_reg === BPF_REG_7) used[1] = true;
		if (dst_reg === BPF_REG_8 || src_reg === BPF_REG_8) used[2] = true;
		if (dst_reg === BPF_REG_9 || src_reg === BPF_REG_9) used[3] = true;
	}
	return used;
}

/** The short conditional jump of a BPF condition. */
function jmp_cond_of(op: number): number {
	switch (op) {
		case BPF_JEQ:
			return X86_JE;
		case BPF_JSET:
		case BPF_JNE:
			return X86_JNE;
		case BPF_JGT:
			return X86_JA;
		case BPF_JLT:
			return X86_JB;
		case BPF_JGE:
			return X86_JAE;
		case BPF_JLE:
			return X86_JBE;
		case BPF_JSGT:
			return X86_JG;
		case BPF_JSLT:
			return X86_JL;
		case BPF_JSGE:
			return X86_JGE;
		default:
			return X86_JLE;
	}
}

/** One pass over a program (do_jit). */
class DoJit {
	readonly extable: JitExtable[] = [];
	private readonly jit: X86Jit;
	private readonly prog: JitProgram;
	private readonly addrs: Int32Array;
	private readonly image: { addr: number; code: Uint8Array } | null;
	private readonly oldproglen: number;
	private readonly ctx: Context;
	private readonly padding: boolean;
	private readonly e = new Emitter();
	private readonly used: boolean[];
	private readonly image_addr: number;
	/** Index of the instruction, from 1; LD_IMM64 moves it on. */
	private i = 0;
	private proglen = 0;
	private seen_exit = false;

	constructor(
		jit: X86Jit,
		prog: JitProgram,
		addrs: Int32Array,
		image: { addr: number; code: Uint8Array } | null,
		oldproglen: number,
		ctx: Context,
		padding: boolean,
	) {
		this.jit = jit;
		this.prog = prog;
		this.addrs = addrs;
		this.image = image;
		this.oldproglen = oldproglen;
		this.ctx = ctx;
		this.padding = padding;
		this.used = detect_reg_usage(prog.insns);
		this.image_addr = image ? image.addr : 0;
	}

	/** Bytes by which the instruction was longer in the last pass (INSN_SZ_DIFF). */
	private get size_diff(): number {
		return this.addrs[this.i]! - this.addrs[this.i - 1]! - this.e.n;
	}

	run(): number {
		const { prog, e, addrs } = this;
		this.jit.emit_prologue(e, prog);
		if (prog.exception_boundary) {
			push_r12(e);
			push_callee_regs(e, all_callee_regs_used);
		} else {
			if (prog.arena_vm_start) push_r12(e);
			push_callee_regs(e, this.used);
		}
		if (prog.arena_vm_start)
			e.mov_imm64(X86_REG_R12, Number(prog.arena_vm_start >> 32n), Number(prog.arena_vm_start & 0xffffffffn));
		this.image?.code.set(e.buf.subarray(0, e.n), 0);
		this.proglen = e.n;
		addrs[0] = this.proglen;
		e.n = 0;

		const n = prog.insns.length;
		for (this.i = 1; this.i <= n; this.i++) {
			this.insn(prog.insns[this.i - 1]!);
			const ilen = e.n;
			if (ilen > BPF_MAX_INSN_SIZE) throw new JitError("bpf_jit: fatal insn size error");
			if (this.image) {
				if (this.proglen + ilen > this.oldproglen || this.proglen + ilen !== addrs[this.i])
					throw new JitError("bpf_jit: fatal error");
				this.image.code.set(e.buf.subarray(0, ilen), this.proglen);
			}
			this.proglen += ilen;
			addrs[this.i] = this.proglen;
			e.n = 0;
		}
		if (this.image && this.extable.length !== prog.num_exentries)
			throw new JitError("extable is not populated");
		return this.proglen;
	}

	/** An exception table entry for the access that began at byte `start` of the instruction. */
	private add_extable(start: number, clear: number): void {
		if (!this.image) return;
		if (this.extable.length >= this.prog.num_exentries) throw new JitError("ex gen bug");
		this.extable.push({ insn_off: this.proglen + start, fixup: (this.e.n - start) | (clear << 8) });
	}

	private insn(insn: JitInsn): void {
		switch (insn.code & 7) {
			case BPF_ALU:
			case BPF_ALU64:
				this.alu(insn);
				break;
			case BPF_LD:
				if (insn.code !== (BPF_LD | BPF_IMM | BPF_DW)) this.unknown(insn);
				this.e.mov_imm64(insn.dst_reg, this.prog.insns[this.i]!.imm, insn.imm);
				this.i++;
				break;
			case BPF_LDX:
				this.load(insn);
				break;
			case BPF_ST:
				this.store_imm(insn);
				break;
			case BPF_STX:
				this.store_reg(insn);
				break;
			case BPF_JMP:
			case BPF_JMP32:
				this.jump(insn);
				break;
		}
	}

	private unknown(insn: JitInsn): never {
		throw new JitError(`bpf_jit: unknown opcode ${insn.code.toString(16).padStart(2, "0")}`);
	}

	private alu(insn: JitInsn): void {
		const { e } = this;
		const is64 = (insn.code & 7) === BPF_ALU64;
		const by_reg = (insn.code & 8) === BPF_X;
		const { dst_reg: dst, src_reg: src, imm } = insn;
		const op = insn.code & 0xf0;
		switch (op) {
			case BPF_ADD:
			case BPF_SUB:
			case BPF_AND:
			case BPF_OR:
			case BPF_XOR:
				if (by_reg) {
					e.maybe_mod(dst, src, is64);
					e.e2(simple_alu_opcode(op), add_2reg(0xc0, dst, src));
				} else {
					this.alu_imm(op, is64, dst, imm);
				}
				break;
			case BPF_MOV:
				if (by_reg) this.mov(insn, is64);
				else e.mov_imm32(is64, dst, imm);
				break;
			case BPF_NEG:
				if (by_reg) this.unknown(insn);
				e.maybe_1mod(dst, is64);
				e.e2(0xf7, add_1reg(0xd8, dst));
				break;
			case BPF_DIV:
			case BPF_MOD:
				this.div(insn, is64, by_reg);
				break;
			case BPF_MUL:
				if (by_reg) {
					e.maybe_mod(src, dst, is64);
					e.e3(0x0f, 0xaf, add_2reg(0xc0, src, dst));
				} else {
					e.maybe_mod(dst, dst, is64);
					if (is_imm8(imm)) e.e3(0x6b, add_2reg(0xc0, dst, dst), imm);
					else e.e2_off32(0x69, add_2reg(0xc0, dst, dst), imm);
				}
				break;
			case BPF_LSH:
			case BPF_RSH:
			case BPF_ARSH:
				this.shift(insn, is64, by_reg);
				break;
			case BPF_END:
				this.end(insn, is64, by_reg);
				break;
			default:
				this.unknown(insn);
		}
	}

	private alu_imm(op: number, is64: boolean, dst: number, imm: number): void {
		const { e } = this;
		// The /r field of the general form, and the opcode of the short form on (r)ax.
		const [b3, b2] =
			op === BPF_ADD
				? [0xc0, 0x05]
				: op === BPF_SUB
					? [0xe8, 0x2d]
					: op === BPF_AND
						? [0xe0, 0x25]
						: op === BPF_OR
							? [0xc8, 0x0d]
							: [0xf0, 0x35];
		e.maybe_1mod(dst, is64);
		if (is_imm8(imm)) e.e3(0x83, add_1reg(b3!, dst), imm);
		else if (dst === BPF_REG_0) e.e1_off32(b2!, imm);
		else e.e2_off32(0x81, add_1reg(b3!, dst), imm);
	}

	private mov(insn: JitInsn, is64: boolean): void {
		const { e } = this;
		const { dst_reg: dst, src_reg: src } = insn;
		if (is64 && insn.off === BPF_ADDR_SPACE_CAST && insn.imm === 1 << 16) {
			this.cast_user(dst, src);
		} else if (is64 && insn.off === -1) {
			// mov dst, src; add dst, gs:[this_cpu_off]
			e.mov(dst, src);
			if (this.jit.facts.kernel.kconfig("SMP")) {
				e.e2(0x65, add_1mod(0x48, dst));
				e.e3(0x03, add_2reg(0x04, 0, dst), 0x25);
				e.imm(Number(BigInt.asIntN(32, this.jit.facts.kernel.symbol("this_cpu_off") ?? 0n)), 4);
			}
		} else if (insn.off === 0) {
			e.mov_reg(is64, dst, src);
		} else {
			e.movsx_reg(insn.off, is64, dst, src);
		}
	}

	/** addr_space_cast to user space: the arena's user address, or 0 where the low half is 0. */
	private cast_user(dst: number, src: number): void {
		const { e } = this;
		const hi = Number(BigInt.asIntN(32, this.prog.user_vm_start >> 32n));
		if (dst !== src) e.mov_reg(false, dst, src);
		e.maybe_1mod(dst, true);
		e.e3(0xc1, add_1reg(0xe0, dst), 32);
		e.maybe_1mod(dst, true);
		if (dst === BPF_REG_0) e.e1_off32(0x0d, hi);
		else e.e2_off32(0x81, add_1reg(0xc8, dst), hi);
		e.maybe_1mod(dst, true);
		e.e3(0xc1, add_1reg(0xc0, dst), 32);
		e.e3(0x4d, 0x31, 0xdb);
		e.maybe_mod(dst, dst, false);
		e.e2(0x85, add_2reg(0xc0, dst, dst));
		// cmovcc has its operands the other way round.
		e.maybe_mod(AUX_REG, dst, true);
		e.e3(0x0f, 0x44, add_2reg(0xc0, AUX_REG, dst));
	}

	private div(insn: JitInsn, is64: boolean, by_reg: boolean): void {
		const { e } = this;
		const { dst_reg: dst } = insn;
		let src = insn.src_reg;
		if (dst !== BPF_REG_0) e.e1(0x50);
		if (dst !== BPF_REG_3) e.e1(0x52);
		if (!by_reg) {
			e.e3_off32(0x49, 0xc7, 0xc3, insn.imm);
			src = AUX_REG;
		} else if (src === BPF_REG_0 || src === BPF_REG_3) {
			e.mov(AUX_REG, src);
			src = AUX_REG;
		}
		if (dst !== BPF_REG_0) e.mov_reg(is64, BPF_REG_0, dst);
		if (insn.off === 0) {
			e.e2(0x31, 0xd2);
			e.maybe_1mod(src, is64);
			e.e2(0xf7, add_1reg(0xf0, src));
		} else {
			if (is64) e.e2(0x48, 0x99);
			else e.e1(0x99);
			e.maybe_1mod(src, is64);
			e.e2(0xf7, add_1reg(0xf8, src));
		}
		const op = insn.code & 0xf0;
		if (op === BPF_MOD && dst !== BPF_REG_3) e.mov_reg(is64, dst, BPF_REG_3);
		else if (op === BPF_DIV && dst !== BPF_REG_0) e.mov_reg(is64, dst, BPF_REG_0);
		if (dst !== BPF_REG_3) e.e1(0x5a);
		if (dst !== BPF_REG_0) e.e1(0x58);
	}

	private shift(insn: JitInsn, is64: boolean, by_reg: boolean): void {
		const { e } = this;
		const { src_reg: src } = insn;
		const op = insn.code & 0xf0;
		const b3 = simple_alu_opcode(op);
		if (!by_reg) {
			e.maybe_1mod(insn.dst_reg, is64);
			if (insn.imm === 1) e.e2(0xd1, add_1reg(b3, insn.dst_reg));
			else e.e3(0xc1, add_1reg(b3, insn.dst_reg), insn.imm);
			return;
		}
		if (this.jit.facts.config.bmi2 && src !== BPF_REG_4) {
			e.shiftx(insn.dst_reg, src, is64, op === BPF_LSH ? 1 : op === BPF_RSH ? 3 : 2);
			return;
		}
		let dst = insn.dst_reg;
		if (src !== BPF_REG_4) {
			if (dst === BPF_REG_4) {
				e.mov(AUX_REG, dst);
				dst = AUX_REG;
			} else {
				e.e1(0x51);
			}
			e.mov(BPF_REG_4, src);
		}
		e.maybe_1mod(dst, is64);
		e.e2(0xd3, add_1reg(b3, dst));
		if (src !== BPF_REG_4) {
			if (insn.dst_reg === BPF_REG_4) e.mov(insn.dst_reg, AUX_REG);
			else e.e1(0x59);
		}
	}

	private end(insn: JitInsn, is64: boolean, by_reg: boolean): void {
		const { e } = this;
		const { dst_reg: dst, imm } = insn;
		const ereg = is_ereg(dst);
		const movzx16 = () => {
			if (ereg) e.e3(0x45, 0x0f, 0xb7);
			else e.e2(0x0f, 0xb7);
			e.e1(add_2reg(0xc0, dst, dst));
		};
		const swap = is64 || (insn.code & 8) === BPF_FROM_BE;
		if (is64 && by_reg) this.unknown(insn);
		if (!swap) {
			if (imm === 16) movzx16();
			else if (imm === 32) {
				if (ereg) e.e1(0x45);
				e.e2(0x89, add_2reg(0xc0, dst, dst));
			}
			return;
		}
		if (imm === 16) {
			e.e1(0x66);
			if (ereg) e.e1(0x41);
			e.e3(0xc1, add_1reg(0xc8, dst), 8);
			movzx16();
		} else if (imm === 32) {
			if (ereg) e.e2(0x41, 0x0f);
			else e.e1(0x0f);
			e.e1(add_1reg(0xc8, dst));
		} else if (imm === 64) {
			e.e3(add_1mod(0x48, dst), 0x0f, add_1reg(0xc8, dst));
		}
	}

	private load(insn: JitInsn): void {
		const { e } = this;
		const size = insn.code & 0x18;
		const mode = insn.code & 0xe0;
		const { dst_reg: dst, src_reg: src, off } = insn;
		if (mode === BPF_PROBE_MEM32) {
			e.ldx_r12(size, dst, src, off);
			this.add_extable(0, reg2pt_regs[dst]!);
			return;
		}
		const sign = mode === BPF_MEMSX || mode === BPF_PROBE_MEMSX;
		const probe = mode === BPF_PROBE_MEM || mode === BPF_PROBE_MEMSX;
		if ((mode !== BPF_MEM && !sign && !probe) || (sign && size === BPF_DW)) this.unknown(insn);
		let start = 0;
		if (probe) {
			this.probe_check(dst, src, off);
			start = e.n;
		}
		if (sign) e.ldsx(size, dst, src, off);
		else e.ldx(size, dst, src, off);
		if (probe) {
			e.buf[start - 1] = e.n - start;
			if (this.image && dst > BPF_REG_9) throw new JitError("verifier error");
			this.add_extable(start, reg2pt_regs[dst]!);
		}
	}

	/** Loads of addresses that are not the kernel's give 0: src + off must lie above user space and below vsyscall. */
	private probe_check(dst: number, src: number, off: number): void {
		const { e } = this;
		const levels = this.jit.facts.config.pgtable_levels;
		const task_size_max_and_page = 1n << (levels === 5 ? 56n : 47n);
		const limit = BigInt.asUintN(64, task_size_max_and_page - VSYSCALL_ADDR);
		e.mov_imm64(BPF_REG_AX, Number(VSYSCALL_ADDR >> 32n), Number(VSYSCALL_ADDR & 0xffffffffn));
		e.mov(AUX_REG, src);
		if (off) {
			e.maybe_1mod(AUX_REG, true);
			e.e2_off32(0x81, add_1reg(0xc0, AUX_REG), off);
		}
		e.maybe_mod(AUX_REG, BPF_REG_AX, true);
		e.e2(0x29, add_2reg(0xc0, AUX_REG, BPF_REG_AX));
		e.mov_imm64(BPF_REG_AX, Number(limit >> 32n), Number(limit & 0xffffffffn));
		e.maybe_mod(AUX_REG, BPF_REG_AX, true);
		e.e2(0x39, add_2reg(0xc0, AUX_REG, BPF_REG_AX));
		e.e2(X86_JA, 0);
		const end_of_jmp = e.n;
		e.mov_imm32(false, dst, 0);
		e.e2(0xeb, 0);
		e.buf[end_of_jmp - 1] = e.n - end_of_jmp;
	}

	private store_imm(insn: JitInsn): void {
		const { e } = this;
		const { dst_reg: dst, off, imm } = insn;
		const size = insn.code & 0x18;
		const ereg = is_ereg(dst);
		if (insn.code === (BPF_ST | BPF_NOSPEC)) {
			e.e3(0x0f, 0xae, 0xe8);
			return;
		}
		if ((insn.code & 0xe0) === BPF_PROBE_MEM32) {
			e.st_r12(size, dst, off, imm);
			this.add_extable(0, DONT_CLEAR);
			return;
		}
		if ((insn.code & 0xe0) !== BPF_MEM) this.unknown(insn);
		switch (size) {
			case BPF_B:
				if (ereg) e.e2(0x41, 0xc6);
				else e.e1(0xc6);
				break;
			case BPF_H:
				if (ereg) e.e3(0x66, 0x41, 0xc7);
				else e.e2(0x66, 0xc7);
				break;
			case BPF_W:
				if (ereg) e.e2(0x41, 0xc7);
				else e.e1(0xc7);
				break;
			case BPF_DW:
				e.e2(add_1mod(0x48, dst), 0xc7);
				break;
		}
		if (is_imm8(off)) e.e2(add_1reg(0x40, dst), off);
		else e.e1_off32(add_1reg(0x80, dst), off);
		e.imm(imm, bpf_size_to_x86_bytes(size));
	}

	private store_reg(insn: JitInsn): void {
		const { e } = this;
		const { dst_reg: dst, src_reg: src, off, imm } = insn;
		const size = insn.code & 0x18;
		switch (insn.code & 0xe0) {
			case BPF_MEM:
				e.stx(size, dst, src, off);
				return;
			case BPF_PROBE_MEM32:
				e.stx_r12(size, dst, src, off);
				this.add_extable(0, DONT_CLEAR);
				return;
			case BPF_ATOMIC:
				if (size !== BPF_W && size !== BPF_DW) this.unknown(insn);
				if (imm === (BPF_AND | BPF_FETCH) || imm === (BPF_OR | BPF_FETCH) || imm === (BPF_XOR | BPF_FETCH))
					this.atomic_fetch_loop(insn);
				else e.atomic(imm, dst, src, off, size);
				return;
			case BPF_PROBE_ATOMIC:
				if (size !== BPF_W && size !== BPF_DW) this.unknown(insn);
				e.atomic_r12(imm, size, dst, src, off);
				this.add_extable(0, DONT_CLEAR);
				return;
			default:
				this.unknown(insn);
		}
	}

	/** and, or and xor that fetch have no instruction of their own: a loop around cmpxchg. */
	private atomic_fetch_loop(insn: JitInsn): void {
		const { e } = this;
		const size = insn.code & 0x18;
		const is64 = size === BPF_DW;
		e.mov_reg(true, BPF_REG_AX, BPF_REG_0);
		const src = insn.src_reg === BPF_REG_0 ? BPF_REG_AX : insn.src_reg;
		const dst = insn.dst_reg === BPF_REG_0 ? BPF_REG_AX : insn.dst_reg;
		const loop = e.n;
		e.ldx(size, BPF_REG_0, dst, insn.off);
		e.mov_reg(is64, AUX_REG, BPF_REG_0);
		e.maybe_mod(AUX_REG, src, is64);
		e.e2(simple_alu_opcode(insn.imm & 0xf0), add_2reg(0xc0, AUX_REG, src));
		e.atomic(BPF_CMPXCHG, dst, AUX_REG, insn.off, size);
		e.e2(X86_JNE, -(e.n - loop) - 2);
		e.mov_reg(is64, src, BPF_REG_0);
		e.mov_reg(true, BPF_REG_0, BPF_REG_AX);
	}

	private jump(insn: JitInsn): void {
		const { e, addrs, prog } = this;
		const is64 = (insn.code & 7) === BPF_JMP;
		const { dst_reg: dst, src_reg: src, imm } = insn;
		const ip = this.image_addr + addrs[this.i - 1]!;
		switch (insn.code) {
			case BPF_JMP | BPF_CALL:
				this.call(imm, ip);
				return;
			case BPF_JMP | BPF_TAIL_CALL:
				if (imm) this.jit.emit_tail_call_direct(e, prog, prog.pokes[imm - 1]!, ip, this.used, this.ctx);
				else this.jit.emit_tail_call_indirect(e, prog, this.used, ip, this.ctx);
				return;
			case BPF_JMP | BPF_EXIT:
				this.exit(ip);
				return;
			case BPF_JMP | BPF_JA:
				this.ja(insn.off);
				return;
			case BPF_JMP32 | BPF_JA:
				this.ja(imm);
				return;
		}
		const op = insn.code & 0xf0;
		if (op === BPF_JA || op > BPF_JSLE || op === BPF_CALL || op === BPF_EXIT) this.unknown(insn);
		if ((insn.code & 8) === BPF_X) {
			e.maybe_mod(dst, src, is64);
			e.e2(op === BPF_JSET ? 0x85 : 0x39, add_2reg(0xc0, dst, src));
		} else if (op === BPF_JSET) {
			e.maybe_1mod(dst, is64);
			e.e2_off32(0xf7, add_1reg(0xc0, dst), imm);
		} else if (imm === 0) {
			e.maybe_mod(dst, dst, is64);
			e.e2(0x85, add_2reg(0xc0, dst, dst));
		} else {
			e.maybe_1mod(dst, is64);
			if (is_imm8(imm)) e.e3(0x83, add_1reg(0xf8, dst), imm);
			else e.e2_off32(0x81, add_1reg(0xf8, dst), imm);
		}
		const jmp_cond = jmp_cond_of(op);
		const offset = addrs[this.i + insn.off]! - addrs[this.i]!;
		if (is_imm8_jmp_offset(offset)) {
			if (this.padding) {
				const nops = this.size_diff - 2;
				if (nops !== 0 && nops !== 4) throw new JitError(`unexpected jmp_cond padding: ${nops} bytes`);
				e.nops(nops);
			}
			e.e2(jmp_cond, offset);
		} else {
			e.e2_off32(0x0f, jmp_cond + 0x10, offset);
		}
	}

	private call(imm: number, ip: number): void {
		const { e, prog, jit } = this;
		const func = jit.facts.call_base + imm;
		if (prog.tail_call_reachable) {
			e.e3_off32(0x48, 0x8b, 0x85, tcc_ptr_off(prog.stack_depth));
			ip += 7;
		}
		if (!imm) throw new JitError("bpf_jit: call without a target");
		jit.emit_patch(e, func, ip, 0xe8);
	}

	private ja(off: number): void {
		const { e, addrs } = this;
		// A jump to itself is two bytes back, whatever the passes say.
		const offset = off === -1 ? -2 : addrs[this.i + off]! - addrs[this.i]!;
		if (offset === 0) {
			if (this.padding) {
				const nops = this.size_diff;
				if (nops !== 0 && nops !== 2 && nops !== 5)
					throw new JitError(`unexpected nop jump padding: ${nops} bytes`);
				e.nops(nops);
			}
			return;
		}
		this.emit_jmp(offset);
	}

	private emit_jmp(offset: number): void {
		const { e } = this;
		if (!is_imm8_jmp_offset(offset)) {
			e.e1_off32(0xe9, offset);
			return;
		}
		if (this.padding) {
			const nops = this.size_diff - 2;
			if (nops !== 0 && nops !== 3) throw new JitError(`unexpected jump padding: ${nops} bytes`);
			e.nops(nops);
		}
		e.e2(0xeb, offset);
	}

	private exit(ip: number): void {
		const { e, prog } = this;
		if (this.seen_exit) {
			this.emit_jmp(this.ctx.cleanup_addr - this.addrs[this.i]!);
			return;
		}
		this.seen_exit = true;
		this.ctx.cleanup_addr = this.proglen;
		if (prog.was_classic && !prog.sys_admin) this.jit.emit_spectre_bhb_barrier(e, ip);
		if (prog.exception_boundary) {
			pop_callee_regs(e, all_callee_regs_used);
			pop_r12(e);
		} else {
			pop_callee_regs(e, this.used);
			if (prog.arena_vm_start) pop_r12(e);
		}
		e.e1(0xc9);
		this.jit.emit_return(e, ip + e.n);
	}
}
