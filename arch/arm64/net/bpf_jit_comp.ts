// SPDX-License-Identifier: GPL-2.0-only
/** The arm64 JIT: BPF to machine code, the kernel's own words (arch/arm64/net/bpf_jit_comp.c). */
import { MAX_TAIL_CALL_CNT } from "../../../include/linux/bpf.ts";
import {
	BPF_NOSPEC,
	BPF_PROBE_ATOMIC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEM32,
	BPF_PROBE_MEMSX,
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
	BPF_FUNC_get_current_task,
	BPF_FUNC_get_current_task_btf,
	BPF_FUNC_get_smp_processor_id,
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
	BPF_PSEUDO_FUNC,
	BPF_XCHG,
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
	JitProgram,
	TrampImage,
	TrampRequest,
} from "../../jit.ts";
import * as A from "../lib/insn.ts";
import { CodeBuf, JitError, SZ_128M, TMP } from "./code.ts";
import { arch_prepare_bpf_trampoline } from "./trampoline.ts";

/** A64 registers: of R0 to R10 and of AX, and the JIT's own. */
const bpf2a64 = [7, 0, 1, 2, 3, 4, 19, 20, 21, 22, 25, 9] as const;
const TMP2 = 11;
const TMP3 = 12;
const TCCNT_PTR = 26;
const ARENA_VM_START = 28;
const R0 = 7;
const BPF_FP = 25;
const AX = 9;

/** sizeof(struct exception_table_entry), and the offset of its `fixup`. */
const EXTABLE_ENTRY_SIZE = 12;
const EXTABLE_FIXUP = 4;
/** Destination of stores in the fixup: a register that BPF has no use for. */
const DONT_CLEAR = 5;
const PLT_TARGET_SIZE = 8;
/** Offset of struct bpf_plt's target, in instructions. */
const PLT_TARGET_INSN = 2;

/** Choices of the kernel and the CPU that show in the code. */
export interface Arm64JitConfig {
	/** ARM64_HAS_LSE_ATOMICS */
	readonly lse_atomics: boolean;
	/** CONFIG_ARM64_BTI_KERNEL */
	readonly bti: boolean;
	/** CONFIG_ARM64_PTR_AUTH_KERNEL */
	readonly pac: boolean;
	/** ARM64_HAS_VIRT_HOST_EXTN: per-CPU offsets in TPIDR_EL2. */
	readonly vhe: boolean;
}

interface State {
	readonly offset: Int32Array;
	readonly idx: number;
	readonly max_idx: number;
}

function is_addsub_imm(imm: number): boolean {
	return !(imm & ~0xfff) || !(imm & ~0xfff000);
}

function is_lsi_offset(offset: number, scale: number): boolean {
	return offset >= 0 && offset <= 0xfff << scale && !(offset & ((1 << scale) - 1));
}

/** log2 of an access's bytes. */
function scale_of(code: number): A.Size {
	switch (code & 0x18) {
		case BPF_B:
			return 0;
		case BPF_H:
			return 1;
		case BPF_W:
			return 2;
		default:
			return 3;
	}
}

/** The compiler for one kernel. */
export class Arm64Jit implements Jit {
	readonly kernel: JitKernel;
	readonly config: Arm64JitConfig;
	readonly call_base: number;

	constructor(kernel: JitKernel, config: Arm64JitConfig) {
		this.kernel = kernel;
		this.config = config;
		this.call_base = u64_to_addr(kernel.symbol("__bpf_call_base") ?? 0n);
	}

	/** PROLOGUE_OFFSET: where tail calls enter, in instructions. */
	get prologue_offset(): number {
		return (this.config.bti ? 1 : 0) + 2 + (this.config.pac ? 1 : 0) + 4;
	}

	/** arch/arm64/net/bpf_jit_comp.c: bpf_int_jit_compile, less what concerns programs rather than code. */
	compile(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null {
		try {
			return this.build(prog, alloc, prev);
		} catch (e) {
			if (!(e instanceof JitError)) throw e;
			this.kernel.printk(e.message);
			return null;
		}
	}

	private build(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null {
		const extra_pass = prev !== undefined;
		let ctx: Ctx;
		let addr: number;
		let max_idx: number;
		if (prev) {
			const state = prev.state as State;
			addr = u64_to_addr(prev.addr);
			max_idx = state.max_idx;
			ctx = new Ctx(this, prog, state.offset, extra_pass);
		} else {
			ctx = new Ctx(this, prog, new Int32Array(prog.insns.length + 1), extra_pass);
			// How large it can become: calls of unknown targets are the long ones.
			ctx.prologue();
			ctx.body();
			ctx.epilogue_offset = ctx.idx;
			ctx.epilogue();
			ctx.plt();
			max_idx = ctx.idx;
			const size = Math.ceil((4 * max_idx + PLT_TARGET_SIZE) / 4) * 4;
			const a = alloc(size + prog.num_exentries * EXTABLE_ENTRY_SIZE);
			if (a === null) return null;
			addr = u64_to_addr(a);
		}
		ctx.start(addr, max_idx);
		ctx.prologue();
		const body_idx = ctx.idx;
		ctx.write = false;
		ctx.body();
		ctx.epilogue_offset = ctx.idx;
		ctx.idx = body_idx;
		ctx.extable.length = 0;
		ctx.write = true;
		ctx.body();
		if (ctx.idx !== ctx.epilogue_offset) throw new JitError("bpf_jit: the passes disagree");
		ctx.epilogue();
		ctx.plt();
		if (ctx.words.subarray(0, ctx.idx).includes(A.AARCH64_BREAK_FAULT))
			throw new JitError("bpf_jit: an instruction cannot be encoded");
		if (ctx.extable.length !== prog.num_exentries) throw new JitError("bpf_jit: extable is not populated");
		if (prev && ctx.idx > (prev.state as State).idx)
			throw new JitError(`bpf_jit: multi-func JIT bug ${ctx.idx} > ${(prev.state as State).idx}`);
		const code = new Uint8Array(ctx.words.buffer.slice(0, 4 * ctx.idx));
		const trailer = new Uint8Array(PLT_TARGET_SIZE);
		new DataView(trailer.buffer).setBigUint64(0, this.kernel.symbol("dummy_tramp") ?? 0n, true);
		return {
			addr: BigInt.asUintN(64, BigInt(addr)),
			code,
			trailer,
			addrs: ctx.offset.map((n) => 4 * n),
			extable: ctx.extable,
			state: { offset: ctx.offset, idx: ctx.idx, max_idx } satisfies State,
		};
	}

	trampoline(request: TrampRequest): TrampImage | number {
		return arch_prepare_bpf_trampoline(this, request);
	}

	/** POKE_OFFSET, in bytes: the NOP in a program's prologue that a trampoline takes. */
	get poke_offset(): number {
		return this.config.bti ? 8 : 4;
	}

	/** A branch or a branch with link at an address; a NOP without a target. */
	patch(ip: bigint, target: bigint | null, call: boolean): Uint8Array | null {
		let word = A.NOP;
		if (target !== null) {
			const d = u64_to_addr(target) - u64_to_addr(ip);
			if (d < -SZ_128M || d >= SZ_128M) return null;
			word = call ? A.bl(d / 4) : A.b(d / 4);
		}
		const out = new Uint8Array(4);
		new DataView(out.buffer).setUint32(0, word, true);
		return out;
	}
}

/** struct jit_ctx: one program at work. */
class Ctx extends CodeBuf {
	readonly offset: Int32Array;
	readonly extable: JitExtable[] = [];
	epilogue_offset = 0;
	private readonly jit: Arm64Jit;
	private readonly prog: JitProgram;
	private readonly extra_pass: boolean;
	private max_idx = 0;
	private stack_size = 0;
	private fp_used = false;
	private used: number[] = [];

	constructor(jit: Arm64Jit, prog: JitProgram, offset: Int32Array, extra_pass: boolean) {
		super();
		this.jit = jit;
		this.prog = prog;
		this.offset = offset;
		this.extra_pass = extra_pass;
	}

	/** The passes that write, into an image of `max_idx` words at `addr`. */
	start(addr: number, max_idx: number): void {
		this.words = new Uint32Array(max_idx + PLT_TARGET_INSN);
		this.image = true;
		this.addr = addr;
		this.max_idx = max_idx;
		this.idx = 0;
	}

	private find_used_callee_regs(): void {
		const seen = new Set<number>();
		for (const { dst_reg, src_reg } of this.prog.insns) {
			seen.add(dst_reg);
			seen.add(src_reg);
		}
		this.used = [6, 7, 8, 9, 10].filter((r) => seen.has(r)).map((r) => bpf2a64[r]!);
		if (seen.has(10)) this.fp_used = true;
		if (this.prog.arena_vm_start) this.used.push(ARENA_VM_START);
	}

	private push_callee_regs(): void {
		if (this.prog.exception_boundary) {
			for (const r of [19, 21, 23, 25, 27]) this.emit(A.push(r, r + 1, A.SP));
			this.fp_used = true;
			return;
		}
		this.find_used_callee_regs();
		let i = 0;
		for (; i + 1 < this.used.length; i += 2) this.emit(A.push(this.used[i]!, this.used[i + 1]!, A.SP));
		if (i < this.used.length) this.emit(A.push(this.used[i]!, A.ZR, A.SP));
	}

	private pop_callee_regs(): void {
		if (this.prog.exception_boundary || this.prog.exception_cb) {
			for (const r of [27, 25, 23, 21, 19]) this.emit(A.pop(r, r + 1, A.SP));
			return;
		}
		let i = this.used.length - 1;
		if (this.used.length % 2 !== 0) this.emit(A.pop(this.used[i--]!, A.ZR, A.SP));
		for (; i > 0; i -= 2) this.emit(A.pop(this.used[i - 1]!, this.used[i]!, A.SP));
	}

	prologue(): void {
		const { prog } = this;
		const { bti, pac } = this.jit.config;
		if (bti) this.emit(A.BTI_JC);
		this.emit(A.mov(1, 9, A.LR));
		this.emit(A.NOP);
		if (!prog.exception_cb) {
			if (pac) this.emit(A.PACIASP);
			this.emit(A.push(A.FP, A.LR, A.SP));
			this.emit(A.mov(1, A.FP, A.SP));
			// The main program keeps the count of tail calls; the others hand on the pointer to it.
			if (prog.is_subprog) {
				this.emit(A.push(TCCNT_PTR, TCCNT_PTR, A.SP));
			} else {
				this.emit(A.push(A.ZR, TCCNT_PTR, A.SP));
				this.emit(A.mov(1, TCCNT_PTR, A.SP));
			}
			// Tail calls land here.
			if (!prog.was_classic && !prog.is_subprog && bti) this.emit(A.BTI_J);
			this.push_callee_regs();
		} else {
			// An exception callback takes over the main program's frame: 12 registers lie on its stack.
			this.emit(A.mov(1, A.FP, 2));
			this.emit(A.sub_i(1, A.SP, A.FP, 96));
		}
		if (this.fp_used) this.emit(A.mov(1, BPF_FP, A.SP));
		this.stack_size = (prog.stack_depth + 15) & ~15;
		if (this.stack_size) this.emit(A.sub_i(1, A.SP, A.SP, this.stack_size));
		if (prog.arena_vm_start) this.mov_i64(ARENA_VM_START, prog.arena_vm_start);
	}

	epilogue(): void {
		if (this.stack_size) this.emit(A.add_i(1, A.SP, A.SP, this.stack_size));
		this.pop_callee_regs();
		this.emit(A.pop(A.ZR, TCCNT_PTR, A.SP));
		this.emit(A.pop(A.FP, A.LR, A.SP));
		this.emit(A.mov(1, 0, R0));
		if (this.jit.config.pac) this.emit(A.AUTIASP);
		this.emit(A.ret(A.LR));
	}

	/** Behind the code: a jump through a 64-bit target, which a trampoline sets. */
	plt(): void {
		if ((this.idx + PLT_TARGET_INSN) % 2) this.emit(A.NOP);
		this.emit(A.ldr64_lit(TMP, PLT_TARGET_INSN));
		this.emit(A.br(TMP));
	}

	body(): void {
		const { insns } = this.prog;
		let i = 0;
		for (; i < insns.length; i++) {
			this.offset[i] = this.idx;
			if (this.insn(insns[i]!, i)) {
				i++;
				this.offset[i] = this.idx;
			}
		}
		this.offset[i] = this.idx;
	}

	private branch_distance(i: number, off: number): number {
		const next = i + 1;
		return this.offset[next + off]! - (this.offset[next]! - 1);
	}

	private check_imm(bits: number, imm: number): number {
		if (imm >> (bits - 1) !== 0 && imm >> (bits - 1) !== -1)
			throw new JitError(`bpf_jit: imm=${imm}(0x${(imm >>> 0).toString(16)}) out of range`);
		return imm;
	}

	private unknown(insn: JitInsn): never {
		throw new JitError(`bpf_jit: unknown opcode ${insn.code.toString(16).padStart(2, "0")}`);
	}

	/** One instruction; true when it took two slots. */
	private insn(insn: JitInsn, i: number): boolean {
		switch (insn.code & 7) {
			case BPF_ALU:
			case BPF_ALU64:
				this.alu(insn);
				return false;
			case BPF_LD: {
				if (insn.code !== (BPF_LD | BPF_IMM | BPF_DW)) this.unknown(insn);
				const imm64 = (BigInt(this.prog.insns[i + 1]!.imm >>> 0) << 32n) | BigInt(insn.imm >>> 0);
				if (insn.src_reg === BPF_PSEUDO_FUNC) this.addr_mov_i64(bpf2a64[insn.dst_reg]!, imm64);
				else this.mov_i64(bpf2a64[insn.dst_reg]!, imm64);
				return true;
			}
			case BPF_LDX:
				this.load(insn);
				return false;
			case BPF_ST:
				if (insn.code === (BPF_ST | BPF_NOSPEC)) return false;
				this.store(insn, true);
				return false;
			case BPF_STX:
				if ((insn.code & 0xe0) === BPF_ATOMIC || (insn.code & 0xe0) === BPF_PROBE_ATOMIC) this.atomic(insn);
				else this.store(insn, false);
				return false;
			default:
				this.jump(insn, i);
				return false;
		}
	}

	private alu(insn: JitInsn): void {
		const sf = (insn.code & 7) === BPF_ALU64 ? 1 : 0;
		const dst = bpf2a64[insn.dst_reg]!;
		const { imm } = insn;
		const op = insn.code & 0xf0;
		if (op === BPF_NEG) {
			this.emit(A.neg(sf, dst, dst));
			return;
		}
		if (op === BPF_END) {
			this.end(insn, sf, dst);
			return;
		}
		if ((insn.code & 8) === BPF_X) {
			this.alu_reg(insn, op, sf, dst, bpf2a64[insn.src_reg]!);
			return;
		}
		switch (op) {
			case BPF_MOV:
				this.mov_i(sf, dst, imm);
				break;
			case BPF_ADD:
			case BPF_SUB: {
				const [plus, minus, reg] = op === BPF_ADD ? [A.add_i, A.sub_i, A.add] : [A.sub_i, A.add_i, A.sub];
				if (is_addsub_imm(imm)) this.emit(plus(sf, dst, dst, imm));
				else if (is_addsub_imm(-imm | 0)) this.emit(minus(sf, dst, dst, -imm));
				else {
					this.mov_i(sf, TMP, imm);
					this.emit(reg(sf, dst, dst, TMP));
				}
				break;
			}
			case BPF_AND:
			case BPF_OR:
			case BPF_XOR: {
				const [by_imm, by_reg] =
					op === BPF_AND ? [A.and_i, A.and] : op === BPF_OR ? [A.orr_i, A.orr] : [A.eor_i, A.eor];
				const word = by_imm(sf, dst, dst, imm);
				if (word !== A.AARCH64_BREAK_FAULT) this.emit(word);
				else {
					this.mov_i(sf, TMP, imm);
					this.emit(by_reg(sf, dst, dst, TMP));
				}
				break;
			}
			case BPF_MUL:
				this.mov_i(sf, TMP, imm);
				this.emit(A.mul(sf, dst, dst, TMP));
				break;
			case BPF_DIV:
				this.mov_i(sf, TMP, imm);
				this.emit((insn.off ? A.sdiv : A.udiv)(sf, dst, dst, TMP));
				break;
			case BPF_MOD:
				this.mov_i(sf, TMP2, imm);
				this.emit((insn.off ? A.sdiv : A.udiv)(sf, TMP, dst, TMP2));
				this.emit(A.msub(sf, dst, dst, TMP, TMP2));
				break;
			case BPF_LSH:
				this.emit(A.lsl(sf, dst, dst, imm));
				break;
			case BPF_RSH:
				this.emit(A.lsr(sf, dst, dst, imm));
				break;
			case BPF_ARSH:
				this.emit(A.asr(sf, dst, dst, imm));
				break;
			default:
				this.unknown(insn);
		}
	}

	private alu_reg(insn: JitInsn, op: number, sf: number, dst: number, src: number): void {
		switch (op) {
			case BPF_MOV:
				this.mov(insn, sf, dst, src);
				break;
			case BPF_ADD:
				this.emit(A.add(sf, dst, dst, src));
				break;
			case BPF_SUB:
				this.emit(A.sub(sf, dst, dst, src));
				break;
			case BPF_AND:
				this.emit(A.and(sf, dst, dst, src));
				break;
			case BPF_OR:
				this.emit(A.orr(sf, dst, dst, src));
				break;
			case BPF_XOR:
				this.emit(A.eor(sf, dst, dst, src));
				break;
			case BPF_MUL:
				this.emit(A.mul(sf, dst, dst, src));
				break;
			case BPF_DIV:
				this.emit((insn.off ? A.sdiv : A.udiv)(sf, dst, dst, src));
				break;
			case BPF_MOD:
				this.emit((insn.off ? A.sdiv : A.udiv)(sf, TMP, dst, src));
				this.emit(A.msub(sf, dst, dst, TMP, src));
				break;
			case BPF_LSH:
				this.emit(A.lslv(sf, dst, dst, src));
				break;
			case BPF_RSH:
				this.emit(A.lsrv(sf, dst, dst, src));
				break;
			case BPF_ARSH:
				this.emit(A.asrv(sf, dst, dst, src));
				break;
			default:
				this.unknown(insn);
		}
	}

	private mov(insn: JitInsn, sf: number, dst: number, src: number): void {
		if (sf && insn.off === BPF_ADDR_SPACE_CAST && insn.imm === 1 << 16) {
			// addr_space_cast to user space: 0 stays 0.
			this.emit(A.mov(0, TMP, src));
			this.mov_i(0, dst, Number(BigInt.asIntN(32, this.prog.user_vm_start >> 32n)));
			this.emit(A.lsl(1, dst, dst, 32));
			this.emit(A.cbz(1, TMP, 2));
			this.emit(A.orr(1, TMP, dst, TMP));
			this.emit(A.mov(1, dst, TMP));
			return;
		}
		if (sf && insn.off === -1) {
			if (dst !== src) this.emit(A.mov(1, dst, src));
			this.emit(this.jit.config.vhe ? A.mrs_tpidr_el2(TMP) : A.mrs_tpidr_el1(TMP));
			this.emit(A.add(1, dst, dst, TMP));
			return;
		}
		switch (insn.off) {
			case 0:
				this.emit(A.mov(sf, dst, src));
				break;
			case 8:
				this.emit(A.sxtb(sf, dst, src));
				break;
			case 16:
				this.emit(A.sxth(sf, dst, src));
				break;
			case 32:
				this.emit(A.sxtw(sf, dst, src));
				break;
		}
	}

	private end(insn: JitInsn, sf: number, dst: number): void {
		const swap = sf === 1 || (insn.code & 8) !== 0;
		if (sf === 1 && (insn.code & 8) !== 0) this.unknown(insn);
		switch (insn.imm) {
			case 16:
				if (swap) this.emit(A.rev16(sf, dst, dst));
				this.emit(A.uxth(sf, dst, dst));
				break;
			case 32:
				if (swap) this.emit(A.rev32(0, dst, dst));
				else this.emit(A.uxtw(sf, dst, dst));
				break;
			case 64:
				if (swap) this.emit(A.rev64(dst, dst));
				break;
		}
	}

	/** An entry for the instruction just made, where its mode asks for one. */
	private add_exception_handler(insn: JitInsn, dst: number): void {
		if (!this.image) return;
		const mode = insn.code & 0xe0;
		if (
			mode !== BPF_PROBE_MEM &&
			mode !== BPF_PROBE_MEMSX &&
			mode !== BPF_PROBE_MEM32 &&
			mode !== BPF_PROBE_ATOMIC
		)
			return;
		const n = this.extable.length;
		if (n >= this.prog.num_exentries) throw new JitError("bpf_jit: too few exception table entries");
		const table = Math.ceil((4 * this.max_idx + PLT_TARGET_SIZE) / 4) * 4;
		const pc = 4 * (this.idx - 1);
		const fixup_offset = table + n * EXTABLE_ENTRY_SIZE + EXTABLE_FIXUP - (pc + 4);
		const reg = (insn.code & 7) === BPF_LDX ? dst : DONT_CLEAR;
		this.extable.push({ insn_off: pc, fixup: ((reg << 27) | fixup_offset) >>> 0 });
	}

	/** BPF stack accesses go through SP, whose offsets are positive. */
	private adjust(reg: number, off: number): [number, number] {
		return reg === BPF_FP ? [A.SP, off + this.stack_size] : [reg, off];
	}

	private load(insn: JitInsn): void {
		const mode = insn.code & 0xe0;
		const sign = mode === BPF_MEMSX || mode === BPF_PROBE_MEMSX;
		const scale = scale_of(insn.code);
		if (mode !== BPF_MEM && !sign && mode !== BPF_PROBE_MEM && mode !== BPF_PROBE_MEM32) this.unknown(insn);
		if (sign && scale === 3) this.unknown(insn);
		const dst = bpf2a64[insn.dst_reg]!;
		let src: number = bpf2a64[insn.src_reg]!;
		if (mode === BPF_PROBE_MEM32) {
			this.emit(A.add(1, TMP2, src, ARENA_VM_START));
			src = TMP2;
		}
		const [base, off] = this.adjust(src, insn.off);
		if (is_lsi_offset(off, scale)) {
			this.emit((sign ? A.ldrs_imm : A.ldr_imm)(scale, dst, base, off));
		} else {
			this.mov_i(1, TMP, insn.off);
			this.emit((sign ? A.ldrs_reg : A.ldr_reg)(scale, dst, src, TMP));
		}
		this.add_exception_handler(insn, dst);
	}

	private store(insn: JitInsn, by_imm: boolean): void {
		const mode = insn.code & 0xe0;
		if (mode !== BPF_MEM && mode !== BPF_PROBE_MEM32) this.unknown(insn);
		const scale = scale_of(insn.code);
		let dst: number = bpf2a64[insn.dst_reg]!;
		if (mode === BPF_PROBE_MEM32) {
			this.emit(A.add(1, TMP2, dst, ARENA_VM_START));
			dst = TMP2;
		}
		const [base, off] = this.adjust(dst, insn.off);
		const value = by_imm ? TMP : bpf2a64[insn.src_reg]!;
		const index = by_imm ? TMP2 : TMP;
		if (by_imm) this.mov_i(1, TMP, insn.imm);
		if (is_lsi_offset(off, scale)) {
			this.emit(A.str_imm(scale, value, base, off));
		} else {
			this.mov_i(1, index, insn.off);
			this.emit(A.str_reg(scale, value, dst, index));
		}
		this.add_exception_handler(insn, dst);
	}

	private atomic(insn: JitInsn): void {
		const size = insn.code & 0x18;
		if (size !== BPF_W && size !== BPF_DW) this.unknown(insn);
		if (this.jit.config.lse_atomics) this.lse_atomic(insn);
		else this.ll_sc_atomic(insn);
		this.add_exception_handler(insn, bpf2a64[insn.dst_reg]!);
	}

	private bad_atomic(insn: JitInsn): never {
		throw new JitError(`bpf_jit: unknown atomic op code ${(insn.imm >>> 0).toString(16).padStart(2, "0")}`);
	}

	private lse_atomic(insn: JitInsn): void {
		const sf = (insn.code & 0x18) === BPF_DW ? 1 : 0;
		const src = bpf2a64[insn.src_reg]!;
		let reg: number = bpf2a64[insn.dst_reg]!;
		if (insn.off) {
			this.mov_i(1, TMP, insn.off);
			this.emit(A.add(1, TMP, TMP, reg));
			reg = TMP;
		}
		if ((insn.code & 0xe0) === BPF_PROBE_ATOMIC) {
			this.emit(A.add(1, TMP, reg, ARENA_VM_START));
			reg = TMP;
		}
		switch (insn.imm) {
			case BPF_ADD:
				this.emit(A.st_op(sf, A.LSE.ADD, reg, src));
				break;
			case BPF_AND:
				this.emit(A.mvn(sf, TMP2, src));
				this.emit(A.st_op(sf, A.LSE.CLR, reg, TMP2));
				break;
			case BPF_OR:
				this.emit(A.st_op(sf, A.LSE.SET, reg, src));
				break;
			case BPF_XOR:
				this.emit(A.st_op(sf, A.LSE.EOR, reg, src));
				break;
			case BPF_ADD | BPF_FETCH:
				this.emit(A.ld_op_al(sf, A.LSE.ADD, src, reg, src));
				break;
			case BPF_AND | BPF_FETCH:
				this.emit(A.mvn(sf, TMP2, src));
				this.emit(A.ld_op_al(sf, A.LSE.CLR, src, reg, TMP2));
				break;
			case BPF_OR | BPF_FETCH:
				this.emit(A.ld_op_al(sf, A.LSE.SET, src, reg, src));
				break;
			case BPF_XOR | BPF_FETCH:
				this.emit(A.ld_op_al(sf, A.LSE.EOR, src, reg, src));
				break;
			case BPF_XCHG:
				this.emit(A.ld_op_al(sf, A.LSE.SWP, src, reg, src));
				break;
			case BPF_CMPXCHG:
				this.emit(A.casal(sf, src, reg, R0));
				break;
			default:
				this.bad_atomic(insn);
		}
	}

	/** Without LSE: loops of exclusive loads and stores. */
	private ll_sc_atomic(insn: JitInsn): void {
		if ((insn.code & 0xe0) === BPF_PROBE_ATOMIC) this.unknown(insn);
		const sf = (insn.code & 0x18) === BPF_DW ? 1 : 0;
		const src = bpf2a64[insn.src_reg]!;
		let reg: number = bpf2a64[insn.dst_reg]!;
		if (insn.off) {
			this.mov_i(1, TMP, insn.off);
			this.emit(A.add(1, TMP, TMP, reg));
			reg = TMP;
		}
		const op_of = (imm: number) => {
			switch (imm) {
				case BPF_ADD:
					return A.add;
				case BPF_AND:
					return A.and;
				case BPF_OR:
					return A.orr;
				case BPF_XOR:
					return A.eor;
				default:
					return null;
			}
		};
		const plain = op_of(insn.imm);
		const fetch = insn.imm & BPF_FETCH ? op_of(insn.imm & ~BPF_FETCH) : null;
		if (plain) {
			this.emit(A.ldxr(sf, TMP2, reg));
			this.emit(plain(sf, TMP2, TMP2, src));
			this.emit(A.stxr(sf, TMP2, reg, TMP3));
			this.emit(A.cbnz(0, TMP3, -3));
		} else if (insn.imm === BPF_XCHG) {
			this.emit(A.mov(sf, TMP2, src));
			this.emit(A.ldxr(sf, src, reg));
			this.emit(A.stlxr(sf, TMP2, reg, TMP3));
			this.emit(A.cbnz(0, TMP3, -2));
			this.emit(A.DMB_ISH);
		} else if (insn.imm === BPF_CMPXCHG) {
			this.emit(A.mov(sf, TMP2, R0));
			this.emit(A.ldxr(sf, R0, reg));
			this.emit(A.eor(sf, TMP3, R0, TMP2));
			this.emit(A.cbnz(sf, TMP3, 4));
			this.emit(A.stlxr(sf, src, reg, TMP3));
			this.emit(A.cbnz(0, TMP3, -4));
			this.emit(A.DMB_ISH);
		} else if (fetch) {
			this.emit(A.mov(sf, AX, src));
			this.emit(A.ldxr(sf, src, reg));
			this.emit(fetch(sf, TMP2, src, AX));
			this.emit(A.stlxr(sf, TMP2, reg, TMP3));
			this.emit(A.cbnz(0, TMP3, -3));
			this.emit(A.DMB_ISH);
		} else {
			this.bad_atomic(insn);
		}
	}

	private jump(insn: JitInsn, i: number): void {
		const op = insn.code & 0xf0;
		switch (insn.code) {
			case BPF_JMP | BPF_JA:
				this.emit(A.b(this.check_imm(26, this.branch_distance(i, insn.off))));
				return;
			case BPF_JMP32 | BPF_JA:
				this.emit(A.b(this.check_imm(26, this.branch_distance(i, insn.imm))));
				return;
			case BPF_JMP | BPF_CALL:
				this.call(insn);
				return;
			case BPF_JMP | BPF_TAIL_CALL:
				this.tail_call();
				return;
			case BPF_JMP | BPF_EXIT:
				// The last exit falls into the epilogue.
				if (i !== this.prog.insns.length - 1)
					this.emit(A.b(this.check_imm(26, this.epilogue_offset - this.idx)));
				return;
		}
		if (op === BPF_JA || op === BPF_CALL || op === BPF_EXIT || op > BPF_JSLE) this.unknown(insn);
		const sf = (insn.code & 7) === BPF_JMP ? 1 : 0;
		const dst = bpf2a64[insn.dst_reg]!;
		const { imm } = insn;
		if ((insn.code & 8) === BPF_X) {
			const src = bpf2a64[insn.src_reg]!;
			this.emit(op === BPF_JSET ? A.tst(sf, dst, src) : A.cmp(sf, dst, src));
		} else if (op === BPF_JSET) {
			const word = A.tst_i(sf, dst, imm);
			if (word !== A.AARCH64_BREAK_FAULT) this.emit(word);
			else {
				this.mov_i(sf, TMP, imm);
				this.emit(A.tst(sf, dst, TMP));
			}
		} else if (is_addsub_imm(imm)) {
			this.emit(A.cmp_i(sf, dst, imm));
		} else if (is_addsub_imm(-imm | 0)) {
			this.emit(A.cmn_i(sf, dst, -imm));
		} else {
			this.mov_i(sf, TMP, imm);
			this.emit(A.cmp(sf, dst, TMP));
		}
		this.emit(A.b_cond(cond_of(op), this.check_imm(19, this.branch_distance(i, insn.off))));
	}

	private call(insn: JitInsn): void {
		const { kernel } = this.jit;
		if (insn.src_reg === 0 && insn.imm === BPF_FUNC_get_smp_processor_id) {
			const off = kernel.offsetof("thread_info", "cpu");
			this.emit(A.mrs_sp_el0(TMP));
			if (is_lsi_offset(off, 2)) this.emit(A.ldr_imm(2, R0, TMP, off));
			else {
				this.mov_i(1, TMP2, off);
				this.emit(A.ldr_reg(2, R0, TMP, TMP2));
			}
			return;
		}
		if (
			insn.src_reg === 0 &&
			(insn.imm === BPF_FUNC_get_current_task || insn.imm === BPF_FUNC_get_current_task_btf)
		) {
			this.emit(A.mrs_sp_el0(R0));
			return;
		}
		const func = this.prog.func_addr(insn, this.extra_pass);
		if (func === null) throw new JitError("bpf_jit: call without a target");
		this.emit_call(u64_to_addr(func));
		this.emit(A.mov(1, R0, 0));
	}

	/** x0: context, x1: struct bpf_array, x2: index. */
	private tail_call(): void {
		const { kernel } = this.jit;
		const r2 = bpf2a64[2];
		const r3 = bpf2a64[3];
		this.mov_i64(TMP, BigInt(kernel.offsetof("bpf_array", "map.max_entries")));
		this.emit(A.ldr_reg(2, TMP, r2, TMP));
		this.emit(A.mov(0, r3, r3));
		this.emit(A.cmp(0, r3, TMP));
		const branch1 = this.idx;
		this.emit(A.NOP);
		this.mov_i64(TMP, BigInt(MAX_TAIL_CALL_CNT));
		this.emit(A.ldr_imm(3, TMP3, TCCNT_PTR, 0));
		this.emit(A.cmp(1, TMP3, TMP));
		const branch2 = this.idx;
		this.emit(A.NOP);
		this.emit(A.add_i(1, TMP3, TMP3, 1));
		this.mov_i64(TMP, BigInt(kernel.offsetof("bpf_array", "ptrs")));
		this.emit(A.add(1, TMP, r2, TMP));
		this.emit(A.lsl(1, TMP2, r3, 3));
		this.emit(A.ldr_reg(3, TMP2, TMP, TMP2));
		const branch3 = this.idx;
		this.emit(A.NOP);
		this.emit(A.str_imm(3, TMP3, TCCNT_PTR, 0));
		if (this.stack_size) this.emit(A.add_i(1, A.SP, A.SP, this.stack_size));
		this.pop_callee_regs();
		this.mov_i64(TMP, BigInt(kernel.offsetof("bpf_prog", "bpf_func")));
		this.emit(A.ldr_reg(3, TMP, TMP2, TMP));
		this.emit(A.add_i(1, TMP, TMP, 4 * this.jit.prologue_offset));
		this.emit(A.br(TMP));
		if (!this.image) return;
		// Patched in the image even by the pass that does not write, as the kernel does.
		this.words[branch1] = A.b_cond(A.COND.CS, this.idx - branch1);
		this.words[branch2] = A.b_cond(A.COND.CS, this.idx - branch2);
		this.words[branch3] = A.cbz(1, TMP2, this.idx - branch3);
	}
}

function cond_of(op: number): number {
	switch (op) {
		case BPF_JEQ:
			return A.COND.EQ;
		case BPF_JGT:
			return A.COND.HI;
		case BPF_JLT:
			return A.COND.CC;
		case BPF_JGE:
			return A.COND.CS;
		case BPF_JLE:
			return A.COND.LS;
		case BPF_JSET:
		case BPF_JNE:
			return A.COND.NE;
		case BPF_JSGT:
			return A.COND.GT;
		case BPF_JSLT:
			return A.COND.LT;
		case BPF_JSGE:
			return A.COND.GE;
		default:
			return A.COND.LE;
	}
}
