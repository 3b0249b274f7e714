// SPDX-License-Identifier: GPL-2.0-only
/**
 * JITing for arm64 with a record's own addresses. An address is made by a row of moves there, as many as it
 * needs; so addresses are read off the record one after another, and the
 * program is compiled again with each.
 */
import type {
	ImageAlloc,
	Jit,
	JitImage,
	JitInsn,
	JitProgram,
	TrampImage,
	TrampRequest,
} from "../arch/jit.ts";
import { ENOTSUPP } from "../include/uapi/asm-generic/errno.ts";
import { MOVK, moved_value, row_from, wide_move } from "../tools/upstream/arm64_moves.ts";
import type { RecordImage, StandIns } from "./record_jit.ts";

const LDIMM64 = 0x18;
const CALL = 0x85;
const MOV64 = 0xbf;
const PSEUDO_CALL = 1;
const PSEUDO_FUNC = 4;
const ADDR_SPACE_CAST = 1;
const KERNEL = 0xff00_0000_0000_0000n;
/** How many addresses a program may have. */
const ROUNDS = 1000;

/** Whether code is the same from one place to another, but for how far branches go. */
export function same_but_branches(a: Buffer, b: Buffer, from: number, to: number): boolean {
	for (let at = from; at + 4 <= to; at += 4) {
		if (at + 4 > a.length || at + 4 > b.length) return false;
		const x = a.readUInt32LE(at);
		const y = b.readUInt32LE(at);
		if (x !== y && branch_kind(x) !== branch_kind(y)) return false;
		if (x !== y && branch_kind(x) === null) return false;
	}
	return true;
}

/** A branch without its distance (b, bl, b.cond, cbz, cbnz, tbz, tbnz); null for what is none. */
function branch_kind(word: number): number | null {
	const op = word >>> 24;
	if (op >= 0x14 && op <= 0x17) return 0x14;
	if (op >= 0x94 && op <= 0x97) return 0x94;
	if (op === 0x54) return (op << 4) | (word & 15);
	if ((op & 0x7e) === 0x34) return (op << 8) | (word & 31);
	if ((op & 0x7e) === 0x36) return (op << 16) | (word & 31);
	return null;
}

/** Our and their addresses of a program, and where they were read. */
export class Arm64RecordCompiler implements Jit {
	private readonly jit: Jit;
	images: RecordImage[] = [];
	readonly learned = new Map<bigint, bigint>();
	private arena: { arena_vm_start?: bigint; user_vm_start?: bigint } = {};
	private readonly call_base: bigint;
	private readonly stand_ins: StandIns;
	constructor(jit: Jit, call_base: bigint, stand_ins: StandIns) {
		this.jit = jit;
		this.call_base = call_base;
		this.stand_ins = stand_ins;
	}

	forget(): void {
		this.learned.clear();
		this.arena = {};
	}

	compile(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null {
		let image = this.jit.compile(this.with_learned(prog), alloc, prev);
		const record = this.images.find((x) => x.addr === image?.addr);
		for (let round = 0; image && record && round < ROUNDS; round++) {
			const { addr } = image;
			if (!this.learn(prog, image, record.code)) break;
			image = this.jit.compile(this.with_learned(prog), () => addr, prev);
		}
		return image;
	}

	patch(ip: bigint, target: bigint | null, call: boolean): Uint8Array | null {
		return this.jit.patch(ip, target, call);
	}

	trampoline(request: TrampRequest): TrampImage | number {
		return this.jit.trampoline?.(request) ?? -ENOTSUPP;
	}

	private with_learned(prog: JitProgram): JitProgram {
		const insns = [...prog.insns];
		for (const [i, lo] of insns.entries()) {
			const ours = this.address(insns, i);
			const to = ours === null ? undefined : this.learned.get(ours);
			if (to === undefined) continue;
			if (lo.code === CALL) {
				insns[i] = { ...lo, imm: Number(BigInt.asIntN(32, to - this.call_base)) };
			} else {
				insns[i] = { ...lo, imm: Number(BigInt.asIntN(32, to)) };
				insns[i + 1] = { ...insns[i + 1]!, imm: Number(BigInt.asIntN(32, to >> 32n)) };
			}
		}
		const arena = prog.arena_vm_start ? this.arena : {};
		return { ...prog, ...arena, insns };
	}

	/** The address in an instruction that the record's kernel had elsewhere. */
	private address(insns: readonly JitInsn[], i: number): bigint | null {
		const lo = insns[i]!;
		if (lo.code === CALL && lo.src_reg !== PSEUDO_CALL) {
			const to = this.call_base + BigInt(lo.imm);
			return to >= this.stand_ins.from && to < this.stand_ins.to ? to : null;
		}
		const hi = insns[i + 1];
		if (lo.code !== LDIMM64 || lo.src_reg === PSEUDO_FUNC || !hi) return null;
		const value = (BigInt(hi.imm >>> 0) << 32n) | BigInt(lo.imm >>> 0);
		return value >= KERNEL ? value : null;
	}

	/** Where the images differ, reads an address off the record's; whether there was something to read. */
	private learn(prog: JitProgram, image: JitImage, code: Buffer): boolean {
		const ours = Buffer.from(image.code.buffer, image.code.byteOffset, image.code.length);
		let at = 0;
		while (at < ours.length && at < code.length && ours.readUInt32LE(at) === code.readUInt32LE(at)) at += 4;
		if (at >= ours.length || at >= code.length) return false;
		const { addrs } = image;
		if (at < addrs[0]!) {
			// the base of the arena, in the prologue
			const row = this.row_with(ours, at);
			const value = row < 0 ? null : moved_value(code, row);
			if (value === null || !prog.arena_vm_start || this.arena.arena_vm_start === value) return false;
			this.arena.arena_vm_start = value;
			return true;
		}
		let i = 0;
		while (i + 1 < prog.insns.length && addrs[i + 1]! <= at) i++;
		const insn = prog.insns[i]!;
		if (insn.code === MOV64 && insn.off === ADDR_SPACE_CAST && prog.arena_vm_start) {
			const row = row_from(code, addrs[i]!, addrs[i]! + 32);
			const high = row < 0 ? null : moved_value(code, row);
			if (high === null) return false;
			const value = high << 32n;
			if (this.arena.user_vm_start === value) return false;
			this.arena.user_vm_start = value;
			return true;
		}
		// Up to the first address that is not known yet both are of one length; a branch over it is not alike.
		for (const j of prog.insns.keys()) {
			const address = this.address(prog.insns, j);
			if (address === null || this.learned.has(address)) continue;
			// a call to a function that has no address yet is of another length: it gets one in the next pass
			if (!same_but_branches(ours, code, at, addrs[j]!)) return false;
			const row = row_from(code, addrs[j]!, addrs[j]! + 8);
			const value = row < 0 ? null : moved_value(code, row);
			if (value === null || value < KERNEL) return false;
			this.learned.set(address, value);
			return true;
		}
		return false;
	}

	/** Where the row of moves begins that a place is in. */
	private row_with(code: Buffer, at: number): number {
		for (let pos = at; pos >= 0 && pos > at - 16; pos -= 4) {
			const move = wide_move(code.readUInt32LE(pos));
			if (!move) return -1;
			if (move.op !== MOVK) return pos;
		}
		return -1;
	}
}

const BL = 0x9400_0000;
/** mov x9, x30; nop: how every function begins. */
const FUNC_START = Buffer.from([0xc9, 0x03, 0x00, 0x91, 0x1f, 0x20, 0x03, 0xd5]);

/** Lengths of the functions in an image. */
export function function_lengths(code: Buffer): number[] {
	const starts: number[] = [];
	for (let at = code.indexOf(FUNC_START); at >= 0; at = code.indexOf(FUNC_START, at + 4))
		if (at % 4 === 0) starts.push(at);
	if (starts[0] !== 0) return [code.length];
	return starts.map((at, i) => (starts[i + 1] ?? code.length) - at);
}

/**
 * Images of which it is not known where they were: numbers of moves are not compared, and calls within a function
 * must go to the same other place when they go to the same.
 */
export function compare_moved_arm64(
	ours: Uint8Array,
	theirs: Uint8Array,
	lens: readonly number[],
): string | null {
	const a = Buffer.from(ours.buffer, ours.byteOffset, ours.length);
	const b = Buffer.from(theirs.buffer, theirs.byteOffset, theirs.length);
	if (a.length !== b.length) return `jited ${a.length} bytes, real ${b.length}`;
	const calls = new Map<string, number>();
	let func = 0;
	let end = lens[0] ?? a.length;
	for (let at = 0; at < a.length; at += 4) {
		while (at >= end && func < lens.length) end += lens[++func] ?? a.length;
		const x = a.readUInt32LE(at);
		const y = b.readUInt32LE(at);
		if (x === y) continue;
		const one = wide_move(x);
		const other = wide_move(y);
		if (one && other && one.op === other.op && one.rd === other.rd && one.shift === other.shift) continue;
		const target = (word: number): number => ((word << 6) >> 6) * 4 + at;
		if ((x & 0xfc00_0000) >>> 0 === BL && (y & 0xfc00_0000) >>> 0 === BL) {
			const key = `${func} ${target(x)}`;
			const before = calls.get(key);
			calls.set(key, target(y));
			if (before === undefined || before === target(y)) continue;
		}
		return `jited byte ${at}: ${x.toString(16)}, real ${y.toString(16)}`;
	}
	return null;
}
