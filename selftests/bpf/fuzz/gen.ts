// SPDX-License-Identifier: GPL-2.0-only
/**
 * Makes random programs that mostly pass the verifier: it follows what each register holds, roughly, and
 * writes statements that fit. Every result that a run shows (R0, maps, the packet) is made of scalars that
 * do not depend on addresses, so that two engines have to agree on it.
 *
 * Registers: R6 keeps the context, R7 to R9 live across calls, R0 to R5 are scratch.
 * Stack of a frame: `slots` words of scalars at the top, all written first; below them words for pointers
 * and loop counters.
 */
import * as U from "../../../include/uapi/linux/bpf.ts";
import { Asm, type Label } from "./asm.ts";
import { Rng } from "./rng.ts";

/** Maps that programs use, by their place in the table of descriptors. */
export const MAP_ARRAY = 0;
export const MAP_HASH = 1;
export const MAP_PERCPU = 2;
export const MAP_RINGBUF = 3;
/** An array of one value, the kind that has addresses for programs. */
export const MAP_SINGLE = 4;
/** Arrays of programs, one a program type (in the order of TYPES): a plain target at 0, one that calls itself at 2. */
export const MAP_TAIL = 5;
export const TAIL_ENTRIES = 4;
export const TAIL_PLAIN = 0;
export const TAIL_AGAIN = 2;
export const ARRAY_VALUE = 64;
export const ARRAY_ENTRIES = 4;
export const HASH_VALUE = 48;
export const HASH_ENTRIES = 8;
export const PERCPU_VALUE = 32;
export const PERCPU_ENTRIES = 2;

/** Whose program it is: with all capabilities, without CAP_PERFMON, or without any. */
export type Privilege = "root" | "bpf" | "none";

export interface FuzzProgram {
	type: number;
	privilege: Privilege;
	insns: Uint8Array;
	/** bit i: map i is used */
	maps: number;
	/** Packet, or context of a raw tracepoint. */
	input: Uint8Array;
	/** Results may hold addresses or garbage: runs are not compared. */
	wild: boolean;
}

const ALU = 4;
const ALU64 = 7;
const JMP = 5;
const JMP32 = 6;
const LDX = 1;
const ST = 2;
const STX = 3;
const X = 8;
const MEM = 0x60;
const MEMSX = 0x80;
const ATOMIC = 0xc0;
const W = 0x00;
const H = 0x08;
const B = 0x10;
const DW = 0x18;
const CALL = 0x85;
const EXIT = 0x95;

const SIZES = [
	{ code: B, bytes: 1 },
	{ code: H, bytes: 2 },
	{ code: W, bytes: 4 },
	{ code: DW, bytes: 8 },
] as const;

const ALU_OPS = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xb0, 0xc0];
const COND_OPS = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const ATOMIC_OPS = [0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1];

const NONE = 0;
const SCALAR = 1;
const CTX = 2;
/** Memory of which `size` bytes from the pointer on may be read and written. */
const MEMORY = 3;
const PACKET = 4;
const LOCKED = 5;
/** Memory on a stack: every access is aligned. */
const STACK = 6;

interface Frame {
	kind: Uint8Array;
	size: Int32Array;
}

interface Func {
	label: Label;
	/** Kinds of the arguments, and bytes behind those that are memory. */
	args: { kind: number; size: number }[];
}

export const TYPES = [
	U.BPF_PROG_TYPE_SOCKET_FILTER,
	U.BPF_PROG_TYPE_SCHED_CLS,
	U.BPF_PROG_TYPE_XDP,
	U.BPF_PROG_TYPE_RAW_TRACEPOINT,
] as const;

/** Words of the context that any program may read, and those it may write. */
const CTX_READ: Record<number, readonly number[]> = {
	[U.BPF_PROG_TYPE_SOCKET_FILTER]: [0, 4, 8, 12, 16, 20, 48, 52, 56, 60, 64],
	[U.BPF_PROG_TYPE_SCHED_CLS]: [0, 4, 8, 12, 16, 20, 32, 40, 44, 48, 52, 56, 60, 64],
	[U.BPF_PROG_TYPE_XDP]: [12, 16],
	[U.BPF_PROG_TYPE_RAW_TRACEPOINT]: [0, 8, 16, 24],
};
const CTX_WRITE: Record<number, readonly number[]> = {
	[U.BPF_PROG_TYPE_SOCKET_FILTER]: [48, 52, 56, 60, 64],
	[U.BPF_PROG_TYPE_SCHED_CLS]: [8, 32, 44, 48, 52, 56, 60, 64],
};

class Generator {
	readonly rng: Rng;
	private readonly a = new Asm();
	private readonly fds: readonly number[];
	private readonly type: number;
	private readonly privilege: Privilege;
	private f: Frame = { kind: new Uint8Array(11), size: new Int32Array(11) };
	private slots = 0;
	/** Next free word below the scalars. */
	private low = 0;
	private in_loop = 0;
	private depth = 0;
	/** Budget of statements. */
	private left = 0;
	private readonly funcs: Func[] = [];
	private pending: Func[] = [];
	private in_func = false;
	private no_exit = 0;
	private maps = 0;
	private tail_calls = false;

	private readonly arm64: boolean;

	constructor(rng: Rng, fds: readonly number[], type: number, privilege: Privilege, arm64: boolean) {
		this.rng = rng;
		this.fds = fds;
		this.type = type;
		this.privilege = privilege;
		this.arm64 = arm64;
	}

	// ---- registers

	private of_kind(kind: number): number[] {
		const out: number[] = [];
		for (let r = 0; r < 10; r++) if (this.f.kind[r] === kind) out.push(r);
		return out;
	}
	private set(r: number, kind: number, size = 0): void {
		this.f.kind[r] = kind;
		this.f.size[r] = size;
	}
	/** A register that may become something else. */
	private target(not = -1): number {
		const fit: number[] = [];
		for (let r = 0; r < 10; r++) {
			if (r === not || this.f.kind[r] === LOCKED || this.f.kind[r] === CTX) continue;
			if (r >= 6 && this.in_loop) continue;
			if (r >= 6 && this.f.kind[r] === MEMORY && !this.rng.chance(20)) continue;
			fit.push(r);
		}
		return this.rng.pick(fit);
	}
	/** A register to write a scalar to. */
	private scalar_target(): number {
		const s = this.of_kind(SCALAR);
		return s.length && this.rng.chance(60) ? this.rng.pick(s) : this.target();
	}
	/** A register that holds a scalar; makes one if there is none. */
	private scalar(not = -1): number {
		const s = this.of_kind(SCALAR).filter((r) => r !== not);
		if (s.length) return this.rng.pick(s);
		const r = this.target(not);
		this.constant(r);
		return r;
	}
	private mov(dst: number, src: number): void {
		this.a.insn(ALU64 | 0xb0 | X, dst, src, 0, 0);
		this.set(dst, this.f.kind[src]!, this.f.size[src]!);
	}
	private constant(r: number): void {
		const { rng } = this;
		if (rng.chance(25)) {
			const v = rng.imm64();
			this.a.ld_imm64(r, 0, Number(v & 0xffffffffn) | 0, Number(v >> 32n) | 0);
		} else this.a.insn((rng.chance(70) ? ALU64 : ALU) | 0xb0, r, 0, 0, rng.imm32());
		this.set(r, SCALAR);
	}
	private movi(r: number, v: number): void {
		this.a.insn(ALU64 | 0xb0, r, 0, 0, v);
		this.set(r, SCALAR);
	}
	private save(): Frame {
		return { kind: this.f.kind.slice(), size: this.f.size.slice() };
	}
	/** What holds on both ways. */
	private join(o: Frame): void {
		for (let r = 0; r < 10; r++) {
			if (this.f.kind[r] !== o.kind[r]) this.set(r, NONE);
			else this.f.size[r] = Math.min(this.f.size[r]!, o.size[r]!);
		}
	}
	private after_call(): void {
		for (let r = 0; r < 6; r++) this.set(r, NONE);
		this.set(0, SCALAR);
	}
	private map_fd(r: number, map: number): void {
		this.a.ld_imm64(r, U.BPF_PSEUDO_MAP_FD, this.fds[map]!, 0);
		this.maps |= 1 << map;
	}

	// ---- statements

	private alu(): void {
		const { rng, a } = this;
		const cls = rng.chance(60) ? ALU64 : ALU;
		const kind = rng.below(20);
		if (kind === 0) {
			const r = this.scalar();
			a.insn(cls | 0x80, r, 0, 0, 0);
			return;
		}
		if (kind === 1) {
			const r = this.scalar();
			const code = rng.pick([ALU | 0xd0, ALU | 0xd8, ALU64 | 0xd0]);
			a.insn(code, r, 0, 0, rng.pick([16, 32, 64]));
			return;
		}
		if (kind === 2) {
			const s = this.scalar();
			const d = this.scalar_target();
			a.insn(cls | 0xb0 | X, d, s, rng.pick(cls === ALU ? [8, 16] : [8, 16, 32]), 0);
			this.set(d, SCALAR);
			return;
		}
		if (kind === 3) {
			this.constant(this.scalar_target());
			return;
		}
		const op = rng.pick(ALU_OPS);
		if (op === 0xb0) {
			const s = this.scalar();
			const d = this.scalar_target();
			a.insn(cls | 0xb0 | X, d, s, 0, 0);
			this.set(d, SCALAR);
			return;
		}
		const d = this.scalar();
		const is_div = op === 0x30 || op === 0x90;
		const off = is_div && rng.chance(50) ? 1 : 0;
		const bits = cls === ALU64 ? 64 : 32;
		const is_shift = op === 0x60 || op === 0x70 || op === 0xc0;
		if (rng.chance(55)) {
			let imm = rng.imm32();
			if (is_shift) imm = rng.below(bits);
			if (is_div && imm === 0) imm = 7;
			a.insn(cls | op, d, 0, off, imm);
			return;
		}
		const s = this.scalar();
		// without it the result of a shift is unspecified, though the verifier accepts it
		if (is_shift && s !== d && rng.chance(50)) a.insn(ALU64 | 0x50, s, 0, 0, bits - 1);
		a.insn(cls | op | X, d, s, off, 0);
	}

	/** Load or store `ptr + off`, of which `size` bytes are there. */
	private access(
		ptr: number,
		base: number,
		size: number,
		opt: { load?: boolean; aligned?: boolean } = {},
	): void {
		const { rng, a } = this;
		const fit = SIZES.filter((s) => s.bytes <= size);
		if (fit.length === 0) return;
		const sz = rng.pick(fit);
		const room = size - sz.bytes;
		let off = rng.range(0, room);
		if (opt.aligned || rng.chance(60)) off -= off % sz.bytes;
		// now and then one too many
		if (rng.below(150) === 0) off += size;
		off += base;
		if (opt.load ?? rng.chance(50)) {
			const d = this.scalar_target();
			if (d === ptr && this.f.kind[d] !== SCALAR && this.in_loop && d >= 6) return;
			const sx = sz.bytes < 8 && rng.chance(15);
			a.insn(LDX | (sx ? MEMSX : MEM) | sz.code, d, ptr, off, 0);
			this.set(d, SCALAR);
		} else if (rng.chance(30)) {
			a.insn(ST | MEM | sz.code, ptr, 0, off, rng.imm32());
		} else {
			const s = this.scalar(ptr);
			if (s === ptr) return;
			a.insn(STX | MEM | sz.code, ptr, s, off, 0);
		}
	}

	private stack_access(): void {
		this.access(10, -8 * this.slots, 8 * this.slots, { aligned: true });
	}

	private atomic(ptr: number, base: number, size: number): void {
		const { rng, a } = this;
		const bytes = rng.chance(60) && size >= 8 ? 8 : 4;
		if (size < bytes) return;
		const off = base + rng.below(Math.floor(size / bytes)) * bytes;
		const imm = rng.pick(ATOMIC_OPS);
		const s = this.scalar(ptr);
		if (imm === 0xf1) {
			if (ptr === 0 || s === 0) return;
			if (this.f.kind[0] !== SCALAR) this.constant(0);
			a.insn(STX | ATOMIC | (bytes === 8 ? DW : W), ptr, s, off, imm);
			return;
		}
		a.insn(STX | ATOMIC | (bytes === 8 ? DW : W), ptr, s, off, imm);
	}

	/** A scalar between 0 and `max`, in a register of its own. */
	private bounded(max: number, out: Label, not: number): number {
		const { rng, a } = this;
		const t = this.target(not);
		const s = this.scalar(not);
		if (t === s) return -1;
		this.mov(t, s);
		switch (rng.below(5)) {
			case 0: {
				const mask = (1 << Math.floor(Math.log2(max + 1))) - 1;
				a.insn((rng.chance(70) ? ALU64 : ALU) | 0x50, t, 0, 0, mask);
				break;
			}
			case 1:
				// of a remainder nothing is known
				a.insn(ALU64 | 0x90, t, 0, 0, max + 1);
				a.jump(JMP | 0x30, t, 0, max + 1, out);
				break;
			case 2:
				a.jump(JMP | 0x20, t, 0, max, out);
				break;
			case 3:
				a.jump(JMP | 0xc0, t, 0, 0, out);
				a.jump(JMP | 0x60, t, 0, max, out);
				break;
			default: {
				const bits = Math.floor(Math.log2(max + 1));
				if (bits === 0) this.movi(t, 0);
				else a.insn(ALU64 | 0x70, t, 0, 0, 64 - bits);
			}
		}
		return t;
	}

	/** Through a pointer plus a variable. */
	private var_access(ptr: number, base: number, size: number): void {
		const { rng, a } = this;
		const sz = rng.pick(SIZES);
		if (size <= sz.bytes) return;
		const out = a.label();
		const before = this.save();
		const t = this.bounded(size - sz.bytes, out, ptr);
		if (t < 0) {
			a.bind(out);
			return;
		}
		if (ptr === 10) {
			const p = this.target(t);
			if (p === t) return;
			if (sz.bytes > 1) a.insn(ALU64 | 0x50, t, 0, 0, -sz.bytes);
			a.insn(ALU64 | 0xb0 | X, p, 10, 0, 0);
			a.insn(ALU64, p, 0, 0, base);
			a.insn(ALU64 | X, p, t, 0, 0);
			this.set(p, NONE);
			this.do_var(p, sz);
		} else if (rng.chance(50)) {
			// ptr on the right
			const s = this.rng.chance(50);
			if (s) {
				a.insn(ALU64 | X, t, ptr, 0, 0);
				this.set(t, NONE);
				this.do_var(t, sz);
			} else {
				const p = this.target(t);
				if (p === ptr || p === t) {
					a.bind(out);
					this.join(before);
					return;
				}
				this.mov(p, ptr);
				a.insn(ALU64 | X, p, t, 0, 0);
				this.set(p, NONE);
				this.do_var(p, sz);
			}
		} else {
			const p = this.target(t);
			if (p !== ptr && p !== t) {
				this.mov(p, ptr);
				const minus = rng.chance(20);
				if (minus) {
					a.insn(ALU64, p, 0, 0, size - sz.bytes);
					a.insn(ALU64 | 0x10 | X, p, t, 0, 0);
				} else a.insn(ALU64 | X, p, t, 0, 0);
				this.set(p, NONE);
				this.do_var(p, sz);
			}
		}
		a.bind(out);
		this.join(before);
	}
	private do_var(p: number, sz: (typeof SIZES)[number]): void {
		const { rng, a } = this;
		if (rng.chance(50)) {
			const d = this.scalar_target();
			a.insn(LDX | MEM | sz.code, d, p, 0, 0);
			this.set(d, SCALAR);
		} else {
			const s = this.of_kind(SCALAR).filter((r) => r !== p);
			if (s.length) a.insn(STX | MEM | sz.code, p, rng.pick(s), 0, 0);
			else a.insn(ST | MEM | sz.code, p, 0, 0, rng.imm32());
		}
	}

	private memory(): void {
		const { rng } = this;
		const list = [...this.of_kind(MEMORY), ...this.of_kind(PACKET), ...this.of_kind(STACK)];
		if (list.length === 0) {
			if (this.privilege !== "none" && rng.chance(40)) this.stack_access();
			else this.lookup();
			return;
		}
		const p = rng.pick(list);
		const size = this.f.size[p]!;
		const k = rng.below(10);
		const readonly = this.f.kind[p] === PACKET && this.type === U.BPF_PROG_TYPE_SOCKET_FILTER;
		// atomics and unprivileged programs want it
		const aligned = this.f.kind[p] === STACK;
		if (k < 5 || (aligned && k > 6)) this.access(p, 0, size, readonly ? { load: true } : { aligned });
		else if (k < 7 && this.f.kind[p] !== PACKET) this.atomic(p, 0, size);
		else this.var_access(p, 0, size);
	}

	private ctx(): void {
		const { rng, a } = this;
		const c = this.of_kind(CTX);
		if (c.length === 0) {
			this.alu();
			return;
		}
		const writes = CTX_WRITE[this.type];
		if (writes && rng.chance(30)) {
			if (rng.chance(30) && this.privilege === "root")
				a.insn(ST | MEM | W, c[0]!, 0, rng.pick(writes), rng.imm32());
			else {
				const s = this.scalar();
				a.insn(STX | MEM | W, c[0]!, s, rng.pick(writes), 0);
			}
			return;
		}
		const d = this.scalar_target();
		const off = rng.pick(CTX_READ[this.type]!);
		if (this.type === U.BPF_PROG_TYPE_RAW_TRACEPOINT) a.insn(LDX | MEM | DW, d, c[0]!, off, 0);
		else if (rng.chance(20) && this.type !== U.BPF_PROG_TYPE_XDP) {
			const sz = rng.pick([SIZES[0], SIZES[1]]);
			a.insn(LDX | MEM | sz.code, d, c[0]!, off + rng.below(4 / sz.bytes) * sz.bytes, 0);
		} else a.insn(LDX | MEM | W, d, c[0]!, off, 0);
		this.set(d, SCALAR);
	}

	private cond(to: Label): void {
		const { rng, a } = this;
		const op = rng.pick(COND_OPS);
		const cls = rng.chance(65) ? JMP : JMP32;
		const d = this.scalar();
		if (rng.chance(60)) a.jump(cls | op, d, 0, rng.imm32(), to);
		else a.jump(cls | op | X, d, this.scalar(), 0, to);
	}

	private if_else(): void {
		const { rng, a } = this;
		if (this.depth > 4) {
			this.alu();
			return;
		}
		this.depth++;
		const other = a.label();
		this.cond(other);
		const before = this.save();
		this.block(rng.range(1, 4));
		if (rng.chance(50)) {
			const end = a.label();
			const wide = rng.chance(20);
			a.jump(wide ? 0x06 : 0x05, 0, 0, 0, end, wide);
			a.bind(other);
			const one = this.f;
			this.f = before;
			this.block(rng.range(1, 4));
			this.join(one);
			a.bind(end);
		} else {
			a.bind(other);
			this.join(before);
		}
		this.depth--;
	}

	/** A register of those that live across calls, to be kept; -1: none is free. */
	private keep(): number {
		if (this.in_loop) {
			const free = [7, 8, 9].filter((r) => this.f.kind[r] === NONE);
			return free.length ? this.rng.pick(free) : -1;
		}
		const free = [7, 8, 9].filter((r) => this.f.kind[r] === NONE || this.f.kind[r] === SCALAR);
		return free.length ? this.rng.pick(free) : -1;
	}

	private loop(): void {
		const { rng, a } = this;
		if (
			this.depth > 2 ||
			this.in_loop > 1 ||
			(this.in_loop > 0 && rng.chance(70)) ||
			this.low + 1 > 40 ||
			// the speculative turns look like an endless loop
			(this.privilege === "bpf" && rng.chance(85))
		) {
			this.if_else();
			return;
		}
		const times = this.in_loop ? rng.range(1, 2) : rng.range(1, 5);
		// under speculation a counter in memory goes on without end
		const how = rng.below(this.privilege === "root" ? 3 : 1);
		const r = how === 0 ? this.keep() : -1;
		const start = a.label();
		if (r < 0 && how === 0) {
			this.if_else();
			return;
		}
		const slot = how === 1 ? -8 * (this.slots + ++this.low) : 0;
		if (how === 0) this.movi(r, 0);
		else if (how === 1) a.insn(ST | MEM | DW, 10, 0, slot, 0);
		const outer = r >= 0 ? this.f.kind[r]! : 0;
		if (r >= 0) this.set(r, LOCKED);
		for (let i = 0; i < 6; i++) this.set(i, NONE);
		const before = this.save();
		this.in_loop++;
		this.depth++;
		const end = a.label();
		a.bind(start);
		// may_goto
		if (how === 2) a.jump(0xe5, 0, 0, 0, end);
		this.block(rng.range(1, 3));
		this.depth--;
		this.in_loop--;
		this.join(before);
		if (how === 0) {
			a.insn(ALU64, r, 0, 0, 1);
			a.jump(JMP | 0xa0, r, 0, times, start);
		} else if (how === 1) {
			const t = rng.range(0, 5);
			a.insn(LDX | MEM | DW, t, 10, slot, 0);
			a.insn(ALU64, t, 0, 0, 1);
			a.insn(STX | MEM | DW, 10, t, slot, 0);
			a.jump(JMP | 0xa0, t, 0, times, start);
			this.set(t, SCALAR);
		} else {
			// an unknown number ends it early: eight million turns would take a while
			a.insn(CALL, 0, 0, 0, U.BPF_FUNC_get_prandom_u32);
			this.after_call();
			a.jump(JMP32 | 0x20, 0, 0, 0x10000000 * times, end);
			a.jump(0x05, 0, 0, 0, start);
		}
		a.bind(end);
		if (how === 2) for (let i = 0; i < 6; i++) this.set(i, NONE);
		if (r >= 0) this.set(r, outer);
	}
	private lookup(): void {
		const { rng, a } = this;
		const map = rng.pick([MAP_ARRAY, MAP_ARRAY, MAP_HASH, MAP_PERCPU]);
		const key = -8 * (this.slots + this.low + 1);
		if (map === MAP_HASH) a.insn(ST | MEM | DW, 10, 0, key, rng.below(6));
		else
			a.insn(ST | MEM | W, 10, 0, key, rng.below(map === MAP_ARRAY ? ARRAY_ENTRIES + 1 : PERCPU_ENTRIES + 1));
		a.insn(ALU64 | 0xb0 | X, 2, 10, 0, 0);
		a.insn(ALU64, 2, 0, 0, key);
		const k = rng.below(10);
		this.map_fd(1, map);
		if (k < 2) {
			// update: the value is the scalars of the stack, or a map value
			const need = map === MAP_ARRAY ? ARRAY_VALUE : map === MAP_HASH ? HASH_VALUE : PERCPU_VALUE;
			if (8 * this.slots < need) {
				a.insn(CALL, 0, 0, 0, U.BPF_FUNC_map_delete_elem);
			} else {
				a.insn(ALU64 | 0xb0 | X, 3, 10, 0, 0);
				a.insn(ALU64, 3, 0, 0, -8 * this.slots);
				a.insn(ALU64 | 0xb0, 4, 0, 0, rng.pick([0, 0, 0, 1, 2]));
				a.insn(CALL, 0, 0, 0, U.BPF_FUNC_map_update_elem);
			}
			this.after_call();
			return;
		}
		if (k < 3) {
			a.insn(CALL, 0, 0, 0, U.BPF_FUNC_map_delete_elem);
			this.after_call();
			return;
		}
		a.insn(CALL, 0, 0, 0, U.BPF_FUNC_map_lookup_elem);
		this.after_call();
		this.set(0, NONE);
		const out = a.label();
		const size = map === MAP_ARRAY ? ARRAY_VALUE : map === MAP_HASH ? HASH_VALUE : PERCPU_VALUE;
		if (rng.chance(60) && !this.in_func && !this.in_loop && !this.no_exit) {
			// the program ends when there is none: the pointer lives on
			const go = a.label();
			a.jump(JMP | 0x50, 0, 0, 0, go);
			a.insn(ALU64 | 0xb0, 0, 0, 0, rng.imm32());
			a.insn(EXIT, 0, 0, 0, 0);
			a.bind(go);
			this.set(0, MEMORY, size);
			const r = this.keep();
			if (r >= 0) this.mov(r, 0);
			return;
		}
		a.jump(JMP | 0x10, 0, 0, 0, out);
		const before = this.save();
		this.set(0, MEMORY, size);
		this.depth++;
		this.block(rng.range(1, 3));
		this.depth--;
		this.join(before);
		this.set(0, NONE);
		a.bind(out);
	}

	/** A value of the array by address. */
	private direct(): void {
		const { rng, a } = this;
		const r = this.target();
		const off = rng.below(ARRAY_VALUE - 7);
		a.ld_imm64(r, U.BPF_PSEUDO_MAP_VALUE, this.fds[MAP_SINGLE]!, off);
		this.maps |= 1 << MAP_SINGLE;
		this.set(r, MEMORY, ARRAY_VALUE - off);
	}

	private helper(): void {
		const { rng, a } = this;
		const k = rng.below(8);
		const c = this.of_kind(CTX);
		if (k === 0) {
			a.insn(CALL, 0, 0, 0, U.BPF_FUNC_ktime_get_ns);
			this.after_call();
		} else if (k === 1) {
			a.insn(CALL, 0, 0, 0, U.BPF_FUNC_get_prandom_u32);
			this.after_call();
		} else if (k === 2 && !this.arm64) {
			// arm64's verifier leaves this call to the JIT, whether there is one or not
			a.insn(CALL, 0, 0, 0, U.BPF_FUNC_get_smp_processor_id);
			this.after_call();
		} else if (k === 3 && c.length && this.type <= U.BPF_PROG_TYPE_SCHED_CLS && this.slots > 0) {
			const len = rng.range(1, Math.min(16, 8 * this.slots));
			this.mov(2, this.scalar_or(0));
			if (rng.chance(60)) a.insn(ALU64 | 0x50, 2, 0, 0, 63);
			if (c[0] !== 1) this.mov(1, c[0]!);
			a.insn(ALU64 | 0xb0 | X, 3, 10, 0, 0);
			a.insn(ALU64, 3, 0, 0, -8 * this.slots);
			a.insn(ALU64 | 0xb0, 4, 0, 0, len);
			const store = this.type === U.BPF_PROG_TYPE_SCHED_CLS && !this.in_func && rng.chance(40);
			if (store) a.insn(ALU64 | 0xb0, 5, 0, 0, 0);
			a.insn(CALL, 0, 0, 0, store ? U.BPF_FUNC_skb_store_bytes : U.BPF_FUNC_skb_load_bytes);
			this.after_call();
			if (store) for (const p of this.of_kind(PACKET)) this.set(p, NONE);
			if (c[0]! >= 1 && c[0]! <= 5) this.set(c[0]!, NONE);
		} else if (k === 4) this.ringbuf();
		else if (
			k === 5 &&
			c.includes(6) &&
			this.type <= U.BPF_PROG_TYPE_SCHED_CLS &&
			!this.in_func &&
			!this.no_exit
		) {
			// legacy packet loads end the program when out of bounds
			const sz = rng.pick([B, H, W]);
			if (rng.chance(50)) a.insn(0x20 | sz, 0, 0, 0, rng.below(70));
			else {
				const s = this.scalar(0);
				a.insn(ALU64 | 0x50, s, 0, 0, 127);
				a.insn(0x40 | sz, 0, s, 0, rng.below(10));
			}
			this.after_call();
		} else this.direct();
	}
	private scalar_or(r: number): number {
		const s = this.of_kind(SCALAR);
		if (s.length) return this.rng.pick(s);
		this.constant(r);
		return r;
	}

	private ringbuf(): void {
		const { rng, a } = this;
		const r = this.keep();
		if (r < 0 || this.depth > 3 || this.privilege === "none") {
			this.direct();
			return;
		}
		const words = rng.range(1, 4);
		this.map_fd(1, MAP_RINGBUF);
		this.movi(2, words * 8);
		this.movi(3, 0);
		a.insn(CALL, 0, 0, 0, U.BPF_FUNC_ringbuf_reserve);
		this.after_call();
		const out = a.label();
		const was = this.f.kind[r]!;
		const locked = this.f.size[r]!;
		a.insn(ALU64 | 0xb0 | X, r, 0, 0, 0);
		a.jump(JMP | 0x10, 0, 0, 0, out);
		for (let i = 0; i < words; i++) a.insn(ST | MEM | DW, r, 0, i * 8, rng.imm32());
		this.set(0, NONE);
		this.set(r, NONE);
		const before = this.save();
		this.set(r, MEMORY, words * 8);
		this.depth++;
		this.no_exit++;
		this.in_loop++;
		this.block(rng.range(1, 3));
		this.in_loop--;
		this.no_exit--;
		this.depth--;
		this.join(before);
		a.insn(ALU64 | 0xb0 | X, 1, r, 0, 0);
		a.insn(ALU64 | 0xb0, 2, 0, 0, rng.pick([0, 1, 2]));
		a.insn(CALL, 0, 0, 0, rng.chance(75) ? U.BPF_FUNC_ringbuf_submit : U.BPF_FUNC_ringbuf_discard);
		for (let i = 0; i < 6; i++) this.set(i, NONE);
		a.bind(out);
		this.set(r, NONE);
		if (was === SCALAR) this.constant(r);
		else this.set(r, was, locked);
	}

	private packet(): void {
		const { rng, a } = this;
		const c = this.of_kind(CTX);
		const xdp = this.type === U.BPF_PROG_TYPE_XDP;
		if (c.length === 0 || (!xdp && this.type !== U.BPF_PROG_TYPE_SCHED_CLS) || this.depth > 3) {
			this.memory();
			return;
		}
		const kept = this.keep();
		const p = kept >= 0 ? kept : this.target(c[0]);
		const was = this.f.kind[p]!;
		if (p === c[0]) return;
		const e = rng.range(0, 5);
		if (e === p || e === c[0]) return;
		const t = [0, 1, 2, 3, 4, 5].find((x) => x !== e && x !== p && x !== c[0])!;
		a.insn(LDX | MEM | W, p, c[0]!, xdp ? 0 : 76, 0);
		a.insn(LDX | MEM | W, e, c[0]!, xdp ? 4 : 80, 0);
		this.set(e, NONE);
		this.set(t, NONE);
		this.set(p, NONE);
		const n = rng.range(1, 40);
		const out = a.label();
		const go = a.label();
		if (rng.chance(25)) {
			// a variable piece further in
			const s = this.of_kind(SCALAR);
			if (s.length) {
				a.insn(ALU64 | 0xb0 | X, t, rng.pick(s), 0, 0);
				a.insn(ALU64 | 0x50, t, 0, 0, rng.pick([7, 15, 31]));
				a.insn(ALU64 | X, p, t, 0, 0);
			}
		}
		a.insn(ALU64 | 0xb0 | X, t, p, 0, 0);
		a.insn(ALU64, t, 0, 0, n);
		switch (rng.below(4)) {
			case 0:
				a.jump(JMP | 0x20 | X, t, e, 0, out);
				break;
			case 1:
				a.jump(JMP | 0xa0 | X, e, t, 0, out);
				break;
			case 2:
				a.jump(JMP | 0xb0 | X, t, e, 0, go);
				a.jump(0x05, 0, 0, 0, out);
				break;
			default:
				a.jump(JMP | 0x30 | X, e, t, 0, go);
				a.jump(0x05, 0, 0, 0, out);
		}
		a.bind(go);
		const before = this.save();
		this.set(p, PACKET, n);
		this.depth++;
		this.in_loop++;
		this.block(rng.range(1, 4));
		this.in_loop--;
		this.depth--;
		this.join(before);
		a.bind(out);
		this.set(p, NONE);
		if (p >= 7 && was === SCALAR) this.constant(p);
	}

	private spill(): void {
		const { rng, a } = this;
		const list = [...this.of_kind(MEMORY), ...this.of_kind(CTX), ...this.of_kind(SCALAR)];
		if (list.length === 0 || this.in_loop || this.low > 30) {
			this.stack_access();
			return;
		}
		const r = rng.pick(list);
		const off = -8 * (this.slots + ++this.low);
		a.insn(STX | MEM | DW, 10, r, off, 0);
		const kind = this.f.kind[r]!;
		const size = this.f.size[r]!;
		this.block(rng.range(0, 2));
		const d = this.target();
		a.insn(LDX | MEM | DW, d, 10, off, 0);
		this.set(d, kind, size);
	}

	private call(): void {
		const { rng, a } = this;
		// the interpreter has tail calls and subprograms, but not both in one program
		if (this.privilege === "none" || this.depth > 3 || this.tail_calls) {
			this.alu();
			return;
		}
		let fn: Func;
		if (this.pending.length && (this.funcs.length >= 4 || rng.chance(30))) fn = rng.pick(this.pending);
		else if (this.funcs.length < 4) {
			const n = rng.below(5);
			const args: Func["args"] = [];
			for (let i = 0; i < n; i++) {
				const k = rng.below(10);
				if (k < 1 && this.of_kind(CTX).length) args.push({ kind: CTX, size: 0 });
				else if (k < 4 && rng.chance(50)) args.push({ kind: STACK, size: 8 * this.slots });
				else if (k < 4) {
					const m = this.of_kind(MEMORY).filter((r) => r >= 6);
					if (m.length) args.push({ kind: MEMORY, size: this.f.size[rng.pick(m)]! });
					else args.push({ kind: SCALAR, size: 0 });
				} else args.push({ kind: SCALAR, size: 0 });
			}
			fn = { label: a.label(), args };
			this.funcs.push(fn);
			this.pending.push(fn);
		} else {
			this.alu();
			return;
		}
		// can its arguments be had here?
		const from: number[] = [];
		for (const arg of fn.args) {
			if (arg.kind === CTX) {
				const c = this.of_kind(CTX).filter((r) => r >= 6);
				if (c.length === 0) return;
				from.push(c[0]!);
			} else if (arg.kind === MEMORY) {
				const m = this.of_kind(MEMORY).filter((r) => r >= 6 && this.f.size[r]! >= arg.size);
				if (m.length) from.push(rng.pick(m));
				else return;
			} else if (arg.kind === STACK) {
				if (8 * this.slots < arg.size) return;
				from.push(10);
			} else {
				const s = this.of_kind(SCALAR).filter((r) => r >= 6);
				from.push(s.length ? rng.pick(s) : -1);
			}
		}
		from.forEach((r, i) => {
			if (r < 0) this.constant(i + 1);
			else {
				a.insn(ALU64 | 0xb0 | X, i + 1, r, 0, 0);
				if (r === 10) a.insn(ALU64, i + 1, 0, 0, -8 * this.slots);
			}
		});
		a.jump(CALL, 0, U.BPF_PSEUDO_CALL, 0, fn.label, true);
		this.after_call();
	}

	/** Into another program; back here when there is none, or after too many. */
	private tail_call(): void {
		const { rng, a } = this;
		const c = this.of_kind(CTX);
		if (c.length === 0 || this.funcs.length || this.in_func || this.in_loop || this.no_exit) {
			this.alu();
			return;
		}
		this.tail_calls = true;
		this.maps |= 1 << MAP_ARRAY;
		if (rng.chance(60)) this.movi(3, rng.pick([TAIL_PLAIN, TAIL_AGAIN, 1, 3, 9]));
		else {
			const s = this.scalar(c[0]);
			a.insn(ALU64 | 0xb0 | X, 3, s, 0, 0);
			a.insn(ALU64 | 0x50, 3, 0, 0, 7);
		}
		if (c[0] !== 1) a.insn(ALU64 | 0xb0 | X, 1, c.includes(6) ? 6 : c[0]!, 0, 0);
		a.ld_imm64(
			2,
			U.BPF_PSEUDO_MAP_FD,
			this.fds[MAP_TAIL + TYPES.indexOf(this.type as (typeof TYPES)[number])]!,
			0,
		);
		a.insn(CALL, 0, 0, 0, U.BPF_FUNC_tail_call);
		// what r0 holds after a tail call that failed is nobody's promise
		for (let r = 0; r < 6; r++) this.set(r, NONE);
	}

	private statement(): void {
		const k = this.rng.below(100);
		if (k < 38) this.alu();
		else if (k < 50) this.stack_access();
		else if (k < 53) this.atomic(10, -8 * this.slots, 8 * this.slots);
		else if (k < 55 && this.privilege === "root") this.var_access(10, -8 * this.slots, 8 * this.slots);
		else if (k < 63) this.memory();
		else if (k < 67) this.ctx();
		else if (k < 77) this.if_else();
		else if (k < 80 && this.privilege !== "none") this.loop();
		else if (k < 85) this.lookup();
		else if (k < 90) this.helper();
		else if (k < 94) this.packet();
		else if (k < 96) this.spill();
		else if (k < 98) this.call();
		else if (k < 99) this.tail_call();
		else if (this.rng.chance(10)) this.wild();
		else this.alu();
	}
	/** Any instruction at all. */
	private wild(): void {
		const { rng, a } = this;
		a.insn(rng.below(256), rng.below(11), rng.below(11), rng.range(-8, 8), rng.imm32());
	}

	private block(n: number): void {
		for (let i = 0; i < n && this.left > 0; i++) {
			this.left--;
			this.statement();
		}
	}

	/** The words of scalars, all written. */
	private prologue(min: number): void {
		const { rng, a } = this;
		this.slots = rng.range(min, 8);
		this.low = 0;
		for (let i = 1; i <= this.slots; i++) {
			const s = this.of_kind(SCALAR);
			if (s.length && rng.chance(30)) a.insn(STX | MEM | DW, 10, rng.pick(s), -8 * i, 0);
			else a.insn(ST | MEM | DW, 10, 0, -8 * i, rng.imm32());
		}
	}
	private epilogue(): void {
		const s = this.of_kind(SCALAR);
		if (this.f.kind[0] !== SCALAR) {
			if (s.length) this.mov(0, this.rng.pick(s));
			else this.constant(0);
		}
		// fold what lives into what is seen
		for (const r of s) if (r !== 0 && this.rng.chance(70)) this.a.insn(ALU64 | 0xa0 | X, 0, r, 0, 0);
		if (this.rng.chance(40)) {
			this.a.insn(LDX | MEM | DW, 1, 10, -8 * this.rng.range(1, this.slots), 0);
			this.a.insn(ALU64 | 0xa0 | X, 0, 1, 0, 0);
		}
		if (this.rng.chance(50)) {
			// the upper half too
			this.a.insn(ALU64 | 0xb0 | X, 1, 0, 0, 0);
			this.a.insn(ALU64 | 0x70, 1, 0, 0, 32);
			this.a.insn(ALU64 | 0xa0 | X, 0, 1, 0, 0);
		}
		this.a.insn(EXIT, 0, 0, 0, 0);
	}

	program(): FuzzProgram {
		const { rng, a } = this;
		this.set(1, CTX);
		this.mov(6, 1);
		for (const r of [7, 8, 9]) if (rng.chance(50)) this.constant(r);
		this.prologue(1);
		this.left = rng.range(4, 40);
		this.block(100);
		this.epilogue();
		this.in_func = true;
		while (this.pending.length) {
			const fn = this.pending.shift()!;
			this.f = { kind: new Uint8Array(11), size: new Int32Array(11) };
			fn.args.forEach((arg, i) => {
				this.set(i + 1, arg.kind, arg.size);
			});
			a.bind(fn.label);
			this.in_loop = 0;
			this.depth = 0;
			this.prologue(1);
			for (const [i, arg] of fn.args.entries())
				if (rng.chance(60) && i < 3) {
					this.mov(6 + i, i + 1);
					this.set(6 + i, arg.kind, arg.size);
				}
			this.left = rng.range(1, 12);
			this.block(100);
			this.epilogue();
		}
		const input = this.type === U.BPF_PROG_TYPE_RAW_TRACEPOINT ? rng.bytes(96) : packet_bytes(rng);
		return {
			type: this.type,
			privilege: this.privilege,
			insns: a.bytes(),
			maps: this.maps,
			input,
			wild: false,
		};
	}
}

/** An Ethernet frame, sometimes of IP. */
function packet_bytes(rng: Rng): Uint8Array {
	const out = rng.bytes(rng.range(34, 120));
	if (rng.chance(50)) {
		out[12] = 8;
		out[13] = 0;
		out[14] = 0x45;
	}
	return out;
}

function pick_type(rng: Rng): { type: number; privilege: Privilege } {
	const p = rng.below(100);
	if (p < 12) return { type: U.BPF_PROG_TYPE_SOCKET_FILTER, privilege: "none" };
	const type = rng.pick(TYPES);
	// raw tracepoints need CAP_PERFMON
	return { type, privilege: p < 37 && type !== U.BPF_PROG_TYPE_RAW_TRACEPOINT ? "bpf" : "root" };
}

/** The programs behind tail calls of a type: `again` calls itself through its array. */
export function tail_target(type: number, fds: readonly number[], again: boolean): FuzzProgram {
	const a = new Asm();
	a.insn(ALU64 | 0xb0 | X, 6, 1, 0, 0);
	a.insn(ST | MEM | W, 10, 0, -4, 1);
	a.insn(ALU64 | 0xb0 | X, 2, 10, 0, 0);
	a.insn(ALU64, 2, 0, 0, -4);
	a.ld_imm64(1, U.BPF_PSEUDO_MAP_FD, fds[MAP_ARRAY]!, 0);
	a.insn(CALL, 0, 0, 0, U.BPF_FUNC_map_lookup_elem);
	const none = a.label();
	a.jump(JMP | 0x10, 0, 0, 0, none);
	a.insn(ALU64 | 0xb0, 1, 0, 0, 1);
	a.insn(STX | ATOMIC | DW, 0, 1, 8, 0);
	a.bind(none);
	if (again) {
		a.insn(ALU64 | 0xb0 | X, 1, 6, 0, 0);
		a.ld_imm64(2, U.BPF_PSEUDO_MAP_FD, fds[MAP_TAIL + TYPES.indexOf(type as (typeof TYPES)[number])]!, 0);
		a.insn(ALU64 | 0xb0, 3, 0, 0, TAIL_AGAIN);
		a.insn(CALL, 0, 0, 0, U.BPF_FUNC_tail_call);
	}
	a.insn(ALU64 | 0xb0, 0, 0, 0, again ? 33 : 77);
	a.insn(EXIT, 0, 0, 0, 0);
	return { type, privilege: "root", insns: a.bytes(), maps: 0, input: new Uint8Array(0), wild: false };
}

/** Program `index` of a seed; `fds` are the descriptors of the maps. */
export function generate(seed: number, index: number, fds: readonly number[], arm64 = false): FuzzProgram {
	const rng = new Rng(seed, index);
	const { type, privilege } = pick_type(rng);
	return new Generator(rng, fds, type, privilege, arm64).program();
}

/** A program of `generate()` with a few bits flipped, fields replaced, instructions moved or doubled. */
export function mutate(seed: number, index: number, fds: readonly number[], arm64 = false): FuzzProgram {
	const prog = generate(seed, index, fds, arm64);
	const rng = new Rng(seed ^ 0x5bd1e995, index);
	let insns = prog.insns;
	for (let i = rng.range(1, 4); i > 0; i--) {
		const n = insns.length / 8;
		const at = rng.below(n) * 8;
		const k = rng.below(6);
		if (k < 3) insns[at + rng.below(8)]! ^= 1 << rng.below(8);
		else if (k === 3) new DataView(insns.buffer).setInt32(at + 4, rng.imm32(), true);
		else if (k === 4) insns.copyWithin(at, rng.below(n) * 8, at + 8);
		else {
			const from = rng.below(n) * 8;
			const more = new Uint8Array(insns.length + 8);
			more.set(insns.subarray(0, at));
			more.set(insns.subarray(from, from + 8), at);
			more.set(insns.subarray(at), at + 8);
			insns = more;
		}
	}
	return { ...prog, insns, maps: 31, wild: true };
}

const COMMON = [
	0xb7, 0xbf, 0x07, 0x0f, 0x61, 0x63, 0x79, 0x7b, 0x7a, 0x15, 0x1d, 0x85, 0x95, 0x05, 0x18, 0xdb, 0x57, 0x67,
	0xb4, 0xbc, 0x04, 0x16,
];

/** Instructions out of thin air: mostly real opcodes and small fields. */
export function noise(seed: number, index: number, _fds: readonly number[]): FuzzProgram {
	const rng = new Rng(seed ^ 0x2545f491, index);
	const { type, privilege } = pick_type(rng);
	const a = new Asm();
	const n = rng.range(1, 16);
	for (let i = 0; i < n; i++) {
		const code = rng.chance(30) ? rng.below(256) : rng.pick(COMMON);
		const dst = rng.below(rng.chance(90) ? 3 : 12);
		if (code === 0x18) {
			a.ld_imm64(dst, rng.chance(80) ? 0 : rng.below(8), rng.imm32(), rng.imm32());
			continue;
		}
		const is_x = (code & 8) !== 0 || (code & 7) === LDX || (code & 7) === STX;
		const src = is_x ? rng.pick([0, 1, 10, rng.below(12)]) : rng.chance(95) ? 0 : rng.below(12);
		const is_jmp = (code & 7) === JMP || (code & 7) === JMP32;
		const off = is_jmp
			? rng.range(0, Math.max(0, n - i - 2))
			: is_x || rng.chance(5)
				? -8 * rng.range(0, 4)
				: 0;
		a.insn(code, dst, src, off, code === CALL ? rng.below(215) : is_x && rng.chance(95) ? 0 : rng.imm32());
	}
	if (rng.chance(80)) {
		a.insn(0xb7, 0, 0, 0, 0);
		a.insn(EXIT, 0, 0, 0, 0);
	}
	return { type, privilege, insns: a.bytes(), maps: 31, input: packet_bytes(rng), wild: true };
}
