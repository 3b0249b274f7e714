// SPDX-License-Identifier: GPL-2.0-only
/**
 * The state-embedding check: whatever a program holds when it runs must lie within a state that the verifier
 * recorded for the same instruction (the idea of "Validating the eBPF verifier via state embedding", OSDI 2024;
 * the kernel has nothing like it). With the kernel's option `state_embedding` do_check() notes, at each
 * instruction that it visits outside of speculation, the registers that the instruction reads and the stack
 * slot that it loads; each executed instruction, interpreted or JITed, is then held against these notes.
 *
 * Why only what the instruction reads: the verifier prunes a path when an explored state covers it, and that
 * comparison leaves out what is not read any more. It also leaves out scalars whose exact value did not matter;
 * in this mode it does not (`all_precise` in scalar/states.ts), so that what is read lies within a note always.
 * So verdicts may cost more instructions, and a program near the limits may be rejected in this mode only.
 *
 *   verifier      do_check() → VerifierNotes.record()          notes by original instruction
 *   rewriting     insn_aux_data[].orig_idx → finish()          first xlated instruction of each original one
 *   interpreter   Interpreter.trace → insn()
 *   JIT           Cpu.trace → pc() → JitImage.addrs → insn()
 *
 * What is not checked: arguments of calls of subprograms and kfuncs; pointers whose base is not known here
 * (BTF pointers, elements of hash tables, other frames' stacks: only NULL where it may not be); programs whose
 * constants were blinded, or whose upper halves BPF_F_TEST_RND_HI32 made random.
 */
import { type ArchName, abi_of } from "../../arch/abis.ts";
import type { Cpu } from "../../arch/arch.ts";
import {
	ARG_DONTCARE,
	PTR_MAYBE_NULL,
	PTR_TO_CTX,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_STACK,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { STACK_SPILL, STACK_ZERO } from "../../include/linux/bpf_verifier.ts";
import {
	BPF_ALU64,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_CMPXCHG,
	BPF_DW,
	BPF_EXIT,
	BPF_F_TEST_RND_HI32,
	BPF_JMP32,
	BPF_MAP_TYPE_ARRAY,
	BPF_MOV,
	BPF_PROG_TYPE_XDP,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ALU,
	BPF_JA,
	BPF_JMP,
	BPF_LD,
	BPF_LDX,
	BPF_MEM,
	BPF_ST,
	BPF_STX,
	BPF_W,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import { impl } from "../kernel_impl.ts";
import type { bpf_array } from "./arraymap.ts";
import type { bpf_func_proto, bpf_insn, bpf_map, bpf_prog, bpf_prog_aux } from "./bpf_types.ts";
import { get_helper_proto } from "./helper_call.ts";
import { koffsetof } from "./layout.ts";
import { type bpf_reg_state, R_RAW1, R_RAW2, R_U32_MAX, R_VAR_VALUE } from "./reg_state.ts";
import type { bpf_prog_load_attr, bpf_verifier_env, bpf_verifier_state } from "./verifier_types.ts";

const FP = 10;
const S64 = (v: bigint): bigint => BigInt.asIntN(64, v);

/** What was known of one register, or of a slot of the stack. */
interface Known {
	/** Register; -1: the stack at `at`. */
	readonly regno: number;
	/** Stack: offset from the frame pointer, and bytes loaded. */
	readonly at: number;
	readonly size: number;
	readonly type: number;
	readonly off: number;
	readonly value: bigint;
	readonly mask: bigint;
	readonly smin: bigint;
	readonly smax: bigint;
	readonly umin: bigint;
	readonly umax: bigint;
	readonly s32_min: number;
	readonly s32_max: number;
	readonly u32_min: number;
	readonly u32_max: number;
	/** PTR_TO_STACK: of this frame. */
	readonly own_frame: boolean;
	readonly map: bpf_map | null;
}

/** All that was recorded for one original instruction. */
interface Notes {
	readonly states: Known[][];
	readonly seen: Set<string>;
	/** The state that fitted last: it often fits again. */
	last: number;
}

function known_of(reg: bpf_reg_state, regno: number, at: number, size: number, frameno: number): Known {
	const base = reg.type & 0xff;
	return {
		regno,
		at,
		size,
		type: reg.type,
		off: reg.off,
		value: reg.var_off_value,
		mask: reg.var_off_mask,
		smin: reg.smin_value,
		smax: reg.smax_value,
		umin: reg.umin_value,
		umax: reg.umax_value,
		s32_min: reg.s32_min_value,
		s32_max: reg.s32_max_value,
		u32_min: reg.u32_min_value,
		u32_max: reg.u32_max_value,
		own_frame: base === PTR_TO_STACK && reg.frameno === frameno,
		map: base === PTR_TO_MAP_VALUE && !reg.map_uid ? reg.map_ptr : null,
	};
}

/** Zero bytes of the stack, as a scalar. */
function zero_at(at: number, size: number): Known {
	const z = 0n;
	return {
		regno: -1,
		at,
		size,
		type: SCALAR_VALUE,
		off: 0,
		value: z,
		mask: z,
		smin: z,
		smax: z,
		umin: z,
		umax: z,
		s32_min: 0,
		s32_max: 0,
		u32_min: 0,
		u32_max: 0,
		own_frame: false,
		map: null,
	};
}

/** Bits 0–9: registers that an instruction reads, those of a call by its helper's prototype. */
function reads(env: bpf_verifier_env, insn: bpf_insn, in_main: boolean): number {
	const { code } = insn;
	const dst = 1 << insn.dst_reg;
	const src = 1 << insn.src_reg;
	switch (code & 7) {
		case BPF_ALU:
		case BPF_ALU64: {
			const op = code & 0xf0;
			// BPF_END has its direction where others have the kind of operand
			const by_reg = (code & 8) === BPF_X && op !== 0xd0;
			return (op === BPF_MOV ? 0 : dst) | (by_reg ? src : 0);
		}
		case BPF_LDX:
			return src;
		case BPF_ST:
			return dst;
		case BPF_STX:
			return dst | src | ((code & 0xe0) === BPF_ATOMIC && insn.imm === BPF_CMPXCHG ? 1 : 0);
		case BPF_JMP:
		case BPF_JMP32: {
			const op = code & 0xf0;
			if (op === BPF_JA || op === 0xe0) return 0;
			if (op === BPF_EXIT) return in_main ? 1 : 0;
			if (op !== BPF_CALL) return dst | ((code & 8) === BPF_X ? src : 0);
			if (insn.src_reg !== 0) return 0;
			const proto: Ref<bpf_func_proto | null> = { val: null };
			if (get_helper_proto(env, insn.imm, proto) < 0) return 0;
			const p = proto.val!;
			const args = p.arg_type;
			let mask = 0;
			for (let i = 0; i < 5; i++) if ((args[i] ?? ARG_DONTCARE) !== ARG_DONTCARE) mask |= 2 << i;
			return mask;
		}
		case BPF_LD:
			// legacy packet loads: the context, and an index
			return (code & 0xe0) === 0x20 ? 1 << 6 : (code & 0xe0) === 0x40 ? (1 << 6) | src : 0;
		default:
			return 0;
	}
}

/** What one verification records. */
export class VerifierNotes {
	readonly notes: (Notes | undefined)[];
	readonly visited: Uint8Array;
	/** The program as it was loaded, for reports. */
	readonly insns: readonly bpf_insn[];
	private readonly owner: StateEmbedding;
	private readonly usable: boolean;

	constructor(owner: StateEmbedding, prog: bpf_prog, attr: bpf_prog_load_attr) {
		this.owner = owner;
		this.insns = prog.insnsi.map((insn) => insn.clone());
		this.notes = new Array<Notes | undefined>(this.insns.length);
		this.visited = new Uint8Array(this.insns.length);
		this.usable = (attr.prog_flags & BPF_F_TEST_RND_HI32) === 0;
	}

	/** do_check() is about to look at an instruction. */
	record(env: bpf_verifier_env, state: bpf_verifier_state, insn: bpf_insn, idx: number): void {
		if (state.speculative || !this.usable) return;
		this.visited[idx] = 1;
		const frame = state.frame[state.curframe]!;
		let mask = reads(env, insn, state.curframe === 0 && frame.subprogno === 0);
		mask &= 0x3ff;
		const slot = this.stack_slot(env, state, insn);
		// a load of which nothing is known is a state too
		if (mask === 0 && (insn.code & 7) !== BPF_LDX) return;
		const { i32 } = env.heap;
		let key = slot ? `s${slot.key}` : "";
		for (let r = 0; r < FP; r++) {
			if (!((mask >> r) & 1)) continue;
			const { p } = frame.regs[r]!;
			key += `r${i32[p]},${i32[p + 1]},${i32[p + R_RAW1]},${i32[p + R_RAW2]},${frame.regs[r]!.frameno}`;
			for (let w = p + R_VAR_VALUE; w <= p + R_U32_MAX; w++) key += `,${i32[w]}`;
		}
		let notes = this.notes[idx];
		if (!notes) {
			notes = { states: [], seen: new Set(), last: 0 };
			this.notes[idx] = notes;
		}
		if (notes.seen.has(key)) return;
		notes.seen.add(key);
		const known: Known[] = [];
		for (let r = 0; r < FP; r++)
			if ((mask >> r) & 1) known.push(known_of(frame.regs[r]!, r, 0, 8, frame.frameno));
		if (slot) known.push(slot.known);
		notes.states.push(known);
	}

	/** The slot that a load through a pointer to this frame's stack reads, when something is known of it. */
	private stack_slot(
		env: bpf_verifier_env,
		state: bpf_verifier_state,
		insn: bpf_insn,
	): { key: string; known: Known } | null {
		const { code } = insn;
		if ((code & 7) !== BPF_LDX || (code & 0xe0) !== BPF_MEM) return null;
		const frame = state.frame[state.curframe]!;
		const reg = frame.regs[insn.src_reg]!;
		if (reg.type !== PTR_TO_STACK || reg.frameno !== frame.frameno || !reg.var_off_is_const) return null;
		const at = reg.off + insn.off + reg.var_off_s32;
		if (at < -frame.allocated_stack || at >= 0) return null;
		const size = (code & 0x18) === BPF_DW ? 8 : (code & 0x18) === BPF_W ? 4 : 0;
		if (size === 0 || at & (size - 1)) return null;
		const slot = frame.stack((-at - 1) >> 3);
		// bytes of a slot are counted from its upper end
		const first = (-at - 1) & 7;
		const types = new Set<number>();
		for (let i = 0; i < size; i++) types.add(slot.slot_type((first - i) & 7));
		if (types.size !== 1) return null;
		if (types.has(STACK_ZERO)) return { key: `${at},${size},z`, known: zero_at(at, size) };
		if (!types.has(STACK_SPILL) || (at & 7) !== 0 || slot.spilled_ptr.type !== SCALAR_VALUE) return null;
		const { p } = slot.spilled_ptr;
		const { i32 } = env.heap;
		let key = `${at},${size}`;
		for (let w = p + R_VAR_VALUE; w <= p + R_U32_MAX; w++) key += `,${i32[w]}`;
		return { key, known: known_of(slot.spilled_ptr, -1, at, size, frame.frameno) };
	}

	/** bpf_check() accepted and rewrote the program: where did the instructions go? */
	finish(env: bpf_verifier_env): void {
		if (!this.usable) return;
		const { insn_aux_data } = env;
		const origin = new Int32Array(insn_aux_data.length).fill(-1);
		let start = 0;
		for (let i = 0; i < insn_aux_data.length; i++) {
			// what a patch puts before an instruction belongs to it: the first of all stands for them
			if (insn_aux_data[i]!.patched_in) continue;
			origin[start] = insn_aux_data[i]!.orig_idx;
			start = i + 1;
		}
		this.owner.programs.set(env.prog.aux, { notes: this, origin });
	}
}

interface Program {
	readonly notes: VerifierNotes;
	/** Original instruction whose work begins at an xlated one; -1: none. */
	readonly origin: Int32Array;
}

/** An address of an image: the start of an instruction of a (sub)program. */
interface ImagePoint {
	readonly prog: bpf_prog;
	readonly idx: number;
}

/** The check of one kernel: what was recorded, what runs, and what did not fit. */
export class StateEmbedding {
	readonly programs: WeakMap<bpf_prog_aux, Program> = new WeakMap();
	/** Functions of a JITed program: whose they are, and where they begin in it. */
	private readonly funcs: WeakMap<bpf_prog, { aux: bpf_prog_aux; start: number }> = new WeakMap();
	private readonly points: Map<number, ImagePoint> = new Map();
	private readonly images: Map<bpf_prog, number[]> = new Map();
	private readonly found: string[] = [];
	private ctx = 0n;
	/** Executed instructions that were held against a state. */
	checked = 0;

	/** bpf_check() begins. */
	begin(prog: bpf_prog, attr: bpf_prog_load_attr): VerifierNotes {
		return new VerifierNotes(this, prog, attr);
	}

	/** Violations since the last call: program, instruction, register, value, nearest recorded state. */
	take(): string[] {
		return this.found.splice(0);
	}

	/** jit_subprogs(): `func` is what begins at instruction `start` of the program with `aux`. */
	subprog(func: bpf_prog, aux: bpf_prog_aux, start: number): void {
		this.funcs.set(func, { aux, start });
	}

	/** An image was made, or made again at the same place. */
	image_added(prog: bpf_prog, addr: bigint, addrs: Int32Array): void {
		this.image_removed(prog);
		const base = Number(S64(addr));
		const at: number[] = [];
		// instructions without code share their address with the next: the last one counts
		for (let i = 0; i < prog.insnsi.length; i++) {
			const { code } = prog.insnsi[i]!;
			// second halves are none; all exits go through the first one's code
			if (code === 0 || code === (BPF_JMP | BPF_EXIT)) continue;
			const pc = base + addrs[i]!;
			this.points.set(pc, { prog, idx: i });
			at.push(pc);
		}
		this.images.set(prog, at);
	}

	image_removed(prog: bpf_prog): void {
		for (const pc of this.images.get(prog) ?? [])
			if (this.points.get(pc)?.prog === prog) this.points.delete(pc);
		this.images.delete(prog);
	}

	/** Watch a CPU: every instruction of machine code comes by here. */
	watch(cpu: Cpu, arch: ArchName): void {
		const map = abi_of(arch).bpf_regs;
		const reg = (r: number): bigint => cpu.reg(map[r]!);
		cpu.trace = (pc) => {
			const point = this.points.get(pc);
			if (!point) return;
			const { prog, idx } = point;
			const func = this.funcs.get(prog);
			this.insn(prog, func?.aux ?? prog.aux, idx + (func?.start ?? 0), reg);
		};
	}

	/** Instruction `idx` of the rewritten program is about to run. */
	insn(prog: bpf_prog, aux: bpf_prog_aux, idx: number, reg: (r: number) => bigint): void {
		const program = this.programs.get(aux);
		if (!program) return;
		if (idx === 0) this.ctx = reg(1);
		const orig = program.origin[idx] ?? -1;
		if (orig < 0) return;
		const notes = program.notes.notes[orig];
		if (!notes) {
			// those that read nothing have no notes
			if (!program.notes.visited[orig]) this.report(prog, program, orig, "runs, and was never visited");
			return;
		}
		this.checked++;
		const { states } = notes;
		if (this.fits(prog, states[notes.last]!, reg) < 0) return;
		let best = 0;
		let best_fit = -1;
		for (let i = 0; i < states.length; i++) {
			const misfit = this.fits(prog, states[i]!, reg);
			if (misfit < 0) {
				notes.last = i;
				return;
			}
			if (misfit > best_fit) {
				best_fit = misfit;
				best = i;
			}
		}
		const state = states[best]!;
		const bad = state[best_fit]!;
		const where = bad.regno < 0 ? `fp${bad.at}` : `R${bad.regno}`;
		const value = bad.regno < 0 ? this.stack_value(prog, bad, reg) : reg(bad.regno);
		this.report(
			prog,
			program,
			orig,
			`${where} is 0x${value.toString(16)}, and none of ${states.length} recorded states has that; nearest: ` +
				state.map(show).join(" "),
		);
	}

	private report(prog: bpf_prog, program: Program, orig: number, what: string): void {
		const insn = program.notes.insns[orig]!;
		const line =
			`state embedding: program '${prog.aux.name}' insn ${orig} ` +
			`(code 0x${insn.code.toString(16)} dst ${insn.dst_reg} src ${insn.src_reg} off ${insn.off} imm ${insn.imm}): ${what}`;
		if (this.found.length < 100) this.found.push(line);
		prog.kernel.printk(`BUG: ${line}`);
	}

	/** -1: all of the state fits; else how many of it did before one did not. */
	private fits(prog: bpf_prog, state: readonly Known[], reg: (r: number) => bigint): number {
		for (let i = 0; i < state.length; i++) {
			const k = state[i]!;
			const v = k.regno < 0 ? this.stack_value(prog, k, reg) : reg(k.regno);
			if (!this.holds(prog, k, v, reg)) return i;
		}
		return -1;
	}

	private stack_value(prog: bpf_prog, k: Known, reg: (r: number) => bigint): bigint {
		const { kmem } = impl(prog.kernel);
		const addr = Number(S64(reg(FP))) + k.at;
		return k.size === 8 ? kmem.r64(addr) : BigInt(kmem.r32(addr));
	}

	/** Does a value lie within what was known? */
	private holds(prog: bpf_prog, k: Known, v: bigint, reg: (r: number) => bigint): boolean {
		const base = k.type & 0xff;
		if (base === SCALAR_VALUE) return k.size === 4 ? in_bounds32(k, v) : in_bounds(k, v);
		if (v === 0n && k.type & PTR_MAYBE_NULL) return true;
		switch (base) {
			case PTR_TO_STACK:
				return !k.own_frame || in_offset(k, v - reg(FP));
			case PTR_TO_CTX:
				return this.ctx === 0n || in_offset(k, v - this.ctx);
			case PTR_TO_MAP_VALUE:
				return in_map_value(k, v);
			case PTR_TO_PACKET:
				return in_packet(prog, k, v, this.ctx);
			case PTR_TO_MEM:
				return v !== 0n;
			default:
				return true;
		}
	}
}

function in_bounds32(k: Known, v: bigint): boolean {
	const u = Number(BigInt.asUintN(32, v));
	const s = u | 0;
	if (u < k.u32_min || u > k.u32_max || s < k.s32_min || s > k.s32_max) return false;
	return BigInt.asUintN(32, v & ~k.mask) === BigInt.asUintN(32, k.value);
}

function in_bounds(k: Known, v: bigint): boolean {
	if (v < k.umin || v > k.umax) return false;
	const s = S64(v);
	if (s < k.smin || s > k.smax) return false;
	if (BigInt.asUintN(64, v & ~k.mask) !== k.value) return false;
	return in_bounds32(k, v);
}

/** The distance from a pointer's base: the fixed part, then the variable one, whose bounds the register has. */
function in_offset(k: Known, distance: bigint): boolean {
	const v = BigInt.asUintN(64, distance - BigInt(k.off));
	const s = S64(v);
	return v >= k.umin && v <= k.umax && s >= k.smin && s <= k.smax && (v & ~k.mask) === k.value;
}

/** Arrays lie in one piece: some element has to be the base. */
function in_map_value(k: Known, v: bigint): boolean {
	if (v === 0n) return false;
	const { map } = k;
	if (map?.map_type !== BPF_MAP_TYPE_ARRAY || map.max_entries > 1024) return true;
	const array = map as bpf_array;
	const from = v - BigInt.asUintN(64, BigInt(array.value));
	for (let i = 0; i < map.max_entries; i++) if (in_offset(k, from - BigInt(i * array.elem_size))) return true;
	return false;
}

/** Packets begin where the context says. */
function in_packet(prog: bpf_prog, k: Known, v: bigint, ctx: bigint): boolean {
	if (v === 0n || ctx === 0n) return v !== 0n;
	const kernel = impl(prog.kernel);
	const struct = prog.type === BPF_PROG_TYPE_XDP ? "xdp_buff" : "sk_buff";
	const at = Number(S64(ctx)) + koffsetof(kernel, struct, "data");
	return in_offset(k, v - kernel.kmem.r64(at));
}

function show(k: Known): string {
	const where = k.regno < 0 ? `fp${k.at}` : `R${k.regno}`;
	const var_off = `var_off=(0x${k.value.toString(16)}; 0x${k.mask.toString(16)})`;
	return (
		`${where}=type ${k.type}(off=${k.off},smin=${k.smin},smax=${k.smax},umin=${k.umin},umax=${k.umax},` +
		`smin32=${k.s32_min},smax32=${k.s32_max},umin32=${k.u32_min},umax32=${k.u32_max},${var_off})`
	);
}
