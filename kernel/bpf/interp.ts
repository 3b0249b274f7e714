// SPDX-License-Identifier: GPL-2.0-only
/** The interpreter: the reference that both JITs are held against (kernel/bpf/core.c: ___bpf_prog_run). */
import { MAX_TAIL_CALL_CNT } from "../../include/linux/bpf.ts";
import {
	BPF_CALL_ARGS,
	BPF_NOSPEC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEMSX,
	BPF_TAIL_CALL,
	MAX_BPF_EXT_REG,
	MAX_BPF_STACK,
} from "../../include/linux/filter.ts";
import {
	BPF_ALU64,
	BPF_ARSH,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_CMPXCHG,
	BPF_DW,
	BPF_END,
	BPF_EXIT,
	BPF_FETCH,
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
	BPF_XCHG,
} from "../../include/uapi/linux/bpf.ts";
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
} from "../../include/uapi/linux/bpf_common.ts";
import { GuestFault, type GuestMemory } from "../../mm/guest_memory.ts";
import type { bpf_insn, bpf_prog } from "./bpf_types.ts";

/** What a run of the interpreter needs of the kernel around it. */
export interface InterpHost {
	readonly mem: Pick<GuestMemory, "r8" | "r16" | "r32" | "r64" | "w8" | "w16" | "w32" | "w64">;
	/** Do what may not be divided, where others could come in between; its result. */
	indivisible?(addr: number, fn: () => bigint): bigint;
	/** Call the kernel function at `__bpf_call_base + imm`. */
	call(imm: number, r1: bigint, r2: bigint, r3: bigint, r4: bigint, r5: bigint): bigint;
	/** The program in a slot of the prog array that `map` points at; null when empty or out of range. */
	tail_call_target(map: bigint, index: number): bpf_prog | null;
	/** Guest memory for one frame's stack, and giving it back. */
	stack_alloc(size: number): number;
	stack_free(addr: number): void;
}

/** An instruction that the interpreter does not have (the JIT alone runs arenas and per-CPU addresses). */
export class InterpBug extends Error {}

/** A run used up its budget of instructions. */
export class InterpStall extends Error {}

const U64 = (v: bigint): bigint => BigInt.asUintN(64, v);
const S64 = (v: bigint): bigint => BigInt.asIntN(64, v);
const lo32 = (v: bigint): number => Number(BigInt.asUintN(32, v));

function addr_of(base: bigint, off: number): number {
	return Number(S64(base + BigInt(off)));
}

function div_s64(a: bigint, b: bigint): bigint {
	return b === 0n ? 0n : S64(a) / S64(b);
}

/** 32-bit ALU operations on unsigned operands. */
function alu32(op: number, d: number, s: number): number {
	switch (op) {
		case BPF_ADD:
			return (d + s) >>> 0;
		case BPF_SUB:
			return (d - s) >>> 0;
		case BPF_AND:
			return (d & s) >>> 0;
		case BPF_OR:
			return (d | s) >>> 0;
		case BPF_XOR:
			return (d ^ s) >>> 0;
		case BPF_MUL:
			return Math.imul(d, s) >>> 0;
		case BPF_LSH:
			return (d << (s & 31)) >>> 0;
		case BPF_RSH:
			return d >>> (s & 31);
		default:
			return ((d | 0) >> (s & 31)) >>> 0;
	}
}

function alu64(op: number, d: bigint, s: bigint): bigint {
	switch (op) {
		case BPF_ADD:
			return U64(d + s);
		case BPF_SUB:
			return U64(d - s);
		case BPF_AND:
			return d & s;
		case BPF_OR:
			return d | s;
		case BPF_XOR:
			return d ^ s;
		case BPF_MUL:
			return U64(d * s);
		case BPF_LSH:
			return U64(d << (s & 63n));
		case BPF_RSH:
			return d >> (s & 63n);
		default:
			return U64(S64(d) >> (s & 63n));
	}
}

/**
 * Division and remainder. The verifier has put the checks for 0 (and for -1, signed) before them; without them
 * this answers as those checks do, where the kernel would trap.
 */
function divmod32(is_mod: boolean, is_signed: boolean, d: number, s: number): number {
	if (s === 0) return is_mod ? d : 0;
	if (!is_signed) return is_mod ? d % s : Math.floor(d / s);
	const a = d | 0;
	const b = s | 0;
	return (is_mod ? a % b : Math.trunc(a / b)) >>> 0;
}

function divmod64(is_mod: boolean, is_signed: boolean, d: bigint, s: bigint): bigint {
	if (s === 0n) return is_mod ? d : 0n;
	if (!is_signed) return is_mod ? d % s : d / s;
	const q = div_s64(d, s);
	return U64(is_mod ? S64(d) - q * S64(s) : q);
}

function swab(v: bigint, bits: number): bigint {
	let out = 0n;
	for (let i = 0; i < bits; i += 8) out = (out << 8n) | ((v >> BigInt(i)) & 0xffn);
	return out;
}

function taken(op: number, d: bigint, s: bigint, bits: 32 | 64): boolean {
	const sd = BigInt.asIntN(bits, d);
	const ss = BigInt.asIntN(bits, s);
	switch (op) {
		case BPF_JEQ:
			return d === s;
		case BPF_JNE:
			return d !== s;
		case BPF_JGT:
			return d > s;
		case BPF_JGE:
			return d >= s;
		case BPF_JLT:
			return d < s;
		case BPF_JLE:
			return d <= s;
		case BPF_JSGT:
			return sd > ss;
		case BPF_JSGE:
			return sd >= ss;
		case BPF_JSLT:
			return sd < ss;
		case BPF_JSLE:
			return sd <= ss;
		default:
			return (d & s) !== 0n;
	}
}

/** Runs programs of one kernel. `trace`, when set, sees each instruction before it runs. */
export class Interpreter {
	private readonly host: InterpHost;
	/** Instructions that may still run; Infinity: no limit. */
	budget = Number.POSITIVE_INFINITY;
	trace: ((prog: bpf_prog, idx: number, regs: BigUint64Array) => void) | null = null;

	constructor(host: InterpHost) {
		this.host = host;
	}

	/** Run a program on a context; R0 at its exit, 64 bits. */
	run(prog: bpf_prog, ctx: bigint): bigint {
		return this.frame(prog, 0, [ctx]);
	}

	private frame(prog: bpf_prog, start: number, args: readonly bigint[]): bigint {
		const size = MAX_BPF_STACK;
		const stack = this.host.stack_alloc(size);
		try {
			const regs = new BigUint64Array(MAX_BPF_EXT_REG);
			regs[10] = BigInt(stack + size);
			args.forEach((v, i) => {
				regs[i + 1] = v;
			});
			return this.loop(prog, start, regs);
		} finally {
			this.host.stack_free(stack);
		}
	}

	private load(size: number, addr: number): bigint {
		const { mem } = this.host;
		switch (size) {
			case BPF_B:
				return BigInt(mem.r8(addr));
			case BPF_H:
				return BigInt(mem.r16(addr));
			case BPF_W:
				return BigInt(mem.r32(addr));
			default:
				return mem.r64(addr);
		}
	}

	private store(size: number, addr: number, v: bigint): void {
		const { mem } = this.host;
		switch (size) {
			case BPF_B:
				mem.w8(addr, Number(v & 0xffn));
				break;
			case BPF_H:
				mem.w16(addr, Number(v & 0xffffn));
				break;
			case BPF_W:
				mem.w32(addr, lo32(v));
				break;
			default:
				mem.w64(addr, U64(v));
		}
	}

	private loop(first: bpf_prog, start: number, regs: BigUint64Array): bigint {
		let prog = first;
		let insns = prog.insnsi;
		let tail_call_cnt = 0;
		for (let pc = start; ; pc++) {
			const insn = insns[pc];
			if (!insn) throw new InterpBug(`BPF interpreter: fell off the program at ${pc}`);
			if (this.budget-- <= 0) throw new InterpStall(`stall: budget of instructions used up at ${pc}`);
			this.trace?.(prog, pc, regs);
			switch (insn.code & 7) {
				case BPF_ALU:
					this.alu(insn, regs, false);
					break;
				case BPF_ALU64:
					this.alu(insn, regs, true);
					break;
				case BPF_LD:
					if (insn.code !== (BPF_LD | BPF_IMM | BPF_DW)) this.unknown(insn);
					regs[insn.dst_reg] = BigInt(insn.imm >>> 0) | (BigInt(insns[pc + 1]!.imm >>> 0) << 32n);
					pc++;
					break;
				case BPF_LDX:
					this.ldx(insn, regs);
					break;
				case BPF_ST:
					if (insn.code === (BPF_ST | BPF_NOSPEC)) break;
					if ((insn.code & 0xe0) !== BPF_MEM) this.unknown(insn);
					this.store(insn.code & 0x18, addr_of(regs[insn.dst_reg]!, insn.off), BigInt(insn.imm));
					break;
				case BPF_STX:
					if ((insn.code & 0xe0) === BPF_ATOMIC) this.atomic(insn, regs);
					else if ((insn.code & 0xe0) === BPF_MEM)
						this.store(insn.code & 0x18, addr_of(regs[insn.dst_reg]!, insn.off), regs[insn.src_reg]!);
					else this.unknown(insn);
					break;
				default:
					switch (insn.code) {
						case BPF_JMP | BPF_JA:
							pc += insn.off;
							break;
						case BPF_JMP32 | BPF_JA:
							pc += insn.imm;
							break;
						case BPF_JMP | BPF_EXIT:
							return regs[0]!;
						case BPF_JMP | BPF_CALL:
							regs[0] = U64(this.host.call(insn.imm, regs[1]!, regs[2]!, regs[3]!, regs[4]!, regs[5]!));
							break;
						case BPF_JMP | BPF_CALL_ARGS:
							regs[0] = this.frame(prog, pc + insn.off + 1, [
								regs[1]!,
								regs[2]!,
								regs[3]!,
								regs[4]!,
								regs[5]!,
							]);
							break;
						case BPF_JMP | BPF_TAIL_CALL: {
							if (tail_call_cnt >= MAX_TAIL_CALL_CNT) break;
							const target = this.host.tail_call_target(regs[2]!, lo32(regs[3]!));
							if (!target) break;
							tail_call_cnt++;
							prog = target;
							insns = prog.insnsi;
							pc = -1;
							break;
						}
						default:
							if (this.jump(insn, regs)) pc += insn.off;
					}
			}
		}
	}

	private unknown(insn: bpf_insn): never {
		throw new InterpBug(
			`BPF interpreter: unknown opcode ${insn.code.toString(16).padStart(2, "0")} (imm: 0x${(insn.imm >>> 0).toString(16)})`,
		);
	}

	private jump(insn: bpf_insn, regs: BigUint64Array): boolean {
		const op = insn.code & 0xf0;
		if (op === BPF_JA || op === BPF_CALL || op === BPF_EXIT || op > BPF_JSLE) this.unknown(insn);
		const by_reg = (insn.code & 8) === BPF_X;
		if ((insn.code & 7) === BPF_JMP) {
			const s = by_reg ? regs[insn.src_reg]! : U64(BigInt(insn.imm));
			return taken(op, regs[insn.dst_reg]!, s, 64);
		}
		const s = by_reg ? BigInt.asUintN(32, regs[insn.src_reg]!) : BigInt(insn.imm >>> 0);
		return taken(op, BigInt.asUintN(32, regs[insn.dst_reg]!), s, 32);
	}

	private alu(insn: bpf_insn, regs: BigUint64Array, is64: boolean): void {
		const op = insn.code & 0xf0;
		const by_reg = (insn.code & 8) === BPF_X;
		const dst = insn.dst_reg;
		const d = regs[dst]!;
		switch (op) {
			case BPF_NEG:
				regs[dst] = is64 ? U64(-d) : BigInt.asUintN(32, -d);
				return;
			case BPF_END:
				this.end(insn, regs, is64);
				return;
			case BPF_MOV:
				this.mov(insn, regs, is64, by_reg);
				return;
			case BPF_DIV:
			case BPF_MOD: {
				const is_signed = insn.off === 1;
				if (is64) {
					const s = by_reg ? regs[insn.src_reg]! : U64(BigInt(insn.imm));
					regs[dst] = divmod64(op === BPF_MOD, is_signed, d, s);
				} else {
					const s = by_reg ? lo32(regs[insn.src_reg]!) : insn.imm >>> 0;
					regs[dst] = BigInt(divmod32(op === BPF_MOD, is_signed, lo32(d), s));
				}
				return;
			}
			case BPF_ADD:
			case BPF_SUB:
			case BPF_AND:
			case BPF_OR:
			case BPF_XOR:
			case BPF_MUL:
			case BPF_LSH:
			case BPF_RSH:
			case BPF_ARSH:
				if (is64) regs[dst] = alu64(op, d, by_reg ? regs[insn.src_reg]! : U64(BigInt(insn.imm)));
				else regs[dst] = BigInt(alu32(op, lo32(d), by_reg ? lo32(regs[insn.src_reg]!) : insn.imm >>> 0));
				return;
			default:
				this.unknown(insn);
		}
	}

	private mov(insn: bpf_insn, regs: BigUint64Array, is64: boolean, by_reg: boolean): void {
		const { dst_reg: dst, off } = insn;
		if (!by_reg) {
			regs[dst] = is64 ? U64(BigInt(insn.imm)) : BigInt(insn.imm >>> 0);
			return;
		}
		if (off !== 0 && off !== 8 && off !== 16 && off !== 32) this.unknown(insn);
		const s = regs[insn.src_reg]!;
		const v = off === 0 ? s : BigInt.asIntN(off, s);
		regs[dst] = is64 ? U64(v) : BigInt.asUintN(32, v);
	}

	private end(insn: bpf_insn, regs: BigUint64Array, is64: boolean): void {
		const bits = insn.imm;
		const v = BigInt.asUintN(bits, regs[insn.dst_reg]!);
		regs[insn.dst_reg] = is64 || (insn.code & 8) === BPF_X ? swab(v, bits) : v;
	}

	private ldx(insn: bpf_insn, regs: BigUint64Array): void {
		const size = insn.code & 0x18;
		const mode = insn.code & 0xe0;
		const sign = mode === BPF_MEMSX || mode === BPF_PROBE_MEMSX;
		const probe = mode === BPF_PROBE_MEM || mode === BPF_PROBE_MEMSX;
		if (mode !== BPF_MEM && !sign && !probe) this.unknown(insn);
		const addr = addr_of(regs[insn.src_reg]!, insn.off);
		let v: bigint;
		try {
			v = this.load(size, addr);
		} catch (e) {
			// bpf_probe_read_kernel_common(): memory that is not there reads as 0.
			if (!probe || !(e instanceof GuestFault)) throw e;
			v = 0n;
		}
		if (sign) v = U64(BigInt.asIntN(size === BPF_B ? 8 : size === BPF_H ? 16 : 32, v));
		regs[insn.dst_reg] = v;
	}

	private atomic(insn: bpf_insn, regs: BigUint64Array): void {
		const size = insn.code & 0x18;
		if (size !== BPF_W && size !== BPF_DW) this.unknown(insn);
		const bits = size === BPF_DW ? 64 : 32;
		const addr = addr_of(regs[insn.dst_reg]!, insn.off);
		const src = BigInt.asUintN(bits, regs[insn.src_reg]!);
		const rmw = (): bigint => {
			const old = this.load(size, addr);
			const to = this.atomic_result(insn, old, src, BigInt.asUintN(bits, regs[0]!));
			if (to !== null) this.store(size, addr, BigInt.asUintN(bits, to));
			return old;
		};
		const old = this.host.indivisible ? this.host.indivisible(addr, rmw) : rmw();
		if (insn.imm === BPF_CMPXCHG) regs[0] = old;
		else if (insn.imm & BPF_FETCH) regs[insn.src_reg] = old;
	}

	/** What an atomic operation stores; null: nothing. */
	private atomic_result(insn: bpf_insn, old: bigint, src: bigint, r0: bigint): bigint | null {
		if (insn.imm === BPF_XCHG) return src;
		if (insn.imm === BPF_CMPXCHG) return old === r0 ? src : null;
		const op = insn.imm & ~BPF_FETCH;
		if (op !== BPF_ADD && op !== BPF_AND && op !== BPF_OR && op !== BPF_XOR) this.unknown(insn);
		return alu64(op, old, src);
	}
}
