// SPDX-License-Identifier: GPL-2.0-only
/** Instructions as a newer kernel rewrote them, without what is known to be other than in 6.12. */

/** Rewritten instructions of both kernels; functions here return changed copies. */
export interface Rewritten {
	readonly ours: Buffer;
	readonly theirs: Buffer;
}

const SIZE = 8;
const ST_DW = 0x7a;
const LDX_DW = 0x79;
const STX_DW = 0x7b;
const LDX_W = 0x61;
const MOV32_IMM = 0xb4;
const MOV64_IMM = 0xb7;
const MOV64_REG = 0xbf;
const SUB64_IMM = 0x17;
const JEQ_IMM = 0x15;
const JNE_IMM = 0x55;
const CALL = 0x85;
const EXIT = 0x95;
/** A jump whose distance is the immediate. */
const JA32 = 0x06;
const JCOND = 0xe5;
const LDIMM64 = 0x18;
const PSEUDO_CALL = 1;
const FP = 10;
const AX = 11;
/** Offset of a move that makes a per-CPU address of what it moves. */
const PERCPU = -1;
/** What the counter of a loop with may_goto begins with. */
const BPF_MAX_LOOPS = 8 * 1024 * 1024;
const BPF_MAX_TIMED_LOOPS = 0xffff;

class Insns {
	readonly bytes: Buffer;
	constructor(bytes: Buffer) {
		this.bytes = bytes;
	}
	get count(): number {
		return this.bytes.length / SIZE;
	}
	code(i: number): number {
		return this.bytes[i * SIZE] ?? -1;
	}
	dst(i: number): number {
		return this.bytes[i * SIZE + 1]! & 15;
	}
	src(i: number): number {
		return this.bytes[i * SIZE + 1]! >> 4;
	}
	off(i: number): number {
		return this.bytes.readInt16LE(i * SIZE + 2);
	}
	imm(i: number): number {
		return this.bytes.readInt32LE(i * SIZE + 4);
	}
}

/** The CPU's number is loaded by an address with its sign: a move of 64 bits, which was one of 32. */
export function cpu_number_of_6_12({ ours, theirs }: Rewritten): Rewritten {
	const to = Buffer.from(theirs);
	const x = new Insns(to);
	const y = new Insns(ours);
	for (let i = 0; i + 2 < Math.min(x.count, y.count); i++)
		if (
			x.code(i) === MOV64_IMM &&
			y.code(i) === MOV32_IMM &&
			x.code(i + 1) === MOV64_REG &&
			x.off(i + 1) === PERCPU &&
			x.dst(i + 1) === x.dst(i) &&
			x.code(i + 2) === LDX_W &&
			x.src(i + 2) === x.dst(i)
		)
			to[i * SIZE] = MOV32_IMM;
	return { ours, theirs: to };
}

/**
 * Helpers that one kernel calls by another function: `same` says whether two immediates are two functions of
 * one helper.
 */
export function calls_of_6_12(
	{ ours, theirs }: Rewritten,
	same: (ours: number, theirs: number) => boolean,
): Rewritten {
	const to = Buffer.from(theirs);
	const x = new Insns(to);
	const y = new Insns(ours);
	for (let i = 0; i < Math.min(x.count, y.count); i++) {
		if (x.code(i) === LDIMM64) i++;
		else if (x.code(i) === CALL && y.code(i) === CALL && x.src(i) !== PSEUDO_CALL && same(y.imm(i), x.imm(i)))
			to.writeInt32LE(y.imm(i), i * SIZE + 4);
	}
	return { ours, theirs: to };
}

/** Whether instructions from `i` on take one from a counter on the stack, and go elsewhere where it is 0. */
const counts_down = (x: Insns, i: number): boolean =>
	x.code(i) === LDX_DW &&
	x.dst(i) === AX &&
	x.src(i) === FP &&
	x.code(i + 1) === JEQ_IMM &&
	x.dst(i + 1) === AX &&
	x.code(i + 2) === SUB64_IMM &&
	x.dst(i + 2) === AX;

/** Whether an instruction puts the counter back. */
const stores_counter = (x: Insns, i: number, slot: number): boolean =>
	x.code(i) === STX_DW && x.src(i) === AX && x.off(i) === slot;

/** How many instructions from `i` on are a may_goto of 6.12, whose counter is on the stack; 0 when none are. */
const counted_may_goto = (x: Insns, i: number): number =>
	counts_down(x, i) && stores_counter(x, i + 3, x.off(i)) ? 4 : 0;

/** The same of a newer kernel, which asks for the time when its counter is used up. */
function timed_may_goto(x: Insns, i: number): number {
	const slot = x.off(i);
	const asks =
		x.code(i + 3) === JNE_IMM &&
		x.dst(i + 3) === AX &&
		x.code(i + 4) === MOV64_IMM &&
		x.dst(i + 4) === AX &&
		x.imm(i + 4) === slot &&
		x.code(i + 5) === CALL;
	return counts_down(x, i) && asks && stores_counter(x, i + 6, slot) ? 7 : 0;
}

/** Where a jump, or a call of a function of the program, goes; null for other instructions. */
function target(x: Insns, i: number): number | null {
	const code = x.code(i);
	if (code === CALL ? x.src(i) !== PSEUDO_CALL : code === EXIT || ((code & 7) !== 5 && (code & 7) !== 6))
		return null;
	return i + 1 + (code === JA32 ? x.imm(i) : x.off(i));
}

/**
 * Instructions with each may_goto in one piece again and without the first values of counters: jumps and calls
 * go to the same instructions as before.
 */
function with_may_goto(
	bytes: Buffer,
	may_goto: (x: Insns, i: number) => number,
	first: readonly number[],
): { insns: Buffer; found: number } {
	const x = new Insns(bytes);
	/** Instructions that are left, and that of each that says where it goes. */
	const left: { at: number; jump: number; may_goto: boolean }[] = [];
	/** Where each instruction, or what comes after it, is now. */
	const now: number[] = [];
	let found = 0;
	const at_start = (i: number): boolean => x.code(i) === ST_DW && x.dst(i) === FP;
	for (let i = 0; i < x.count; ) {
		let len = first.every((v, k) => at_start(i + k) && x.imm(i + k) === v) ? first.length : 0;
		if (len) for (let k = 0; k < len; k++) now[i + k] = left.length;
		else {
			len = may_goto(x, i);
			if (len) found++;
			left.push({ at: i, jump: len ? i + 1 : i, may_goto: len > 0 });
			len ||= x.code(i) === LDIMM64 ? 2 : 1;
			now[i] = left.length - 1;
			for (let k = 1; k < len; k++) now[i + k] = left.length;
		}
		i += len;
	}
	now[x.count] = left.length;
	const insns = left.map(({ at, jump, may_goto: one }, k) => {
		const wide = x.code(at) === LDIMM64 ? 2 : 1;
		const insn = one
			? Buffer.from([JCOND, 0, 0, 0, 0, 0, 0, 0])
			: Buffer.from(bytes.subarray(at * SIZE, (at + wide) * SIZE));
		const to = target(x, jump);
		if (to === null) return insn;
		const distance = (now[to] ?? -1) - (k + 1);
		if (x.code(jump) === JA32) insn.writeInt32LE(distance, 4);
		else insn.writeInt16LE(distance, 2);
		return insn;
	});
	return { insns: Buffer.concat(insns), found };
}

/** Programs of both kernels with may_goto in the place of what it became; null when there is none to be found. */
export function may_goto_of_6_12({ ours, theirs }: Rewritten): Rewritten | null {
	const a = with_may_goto(ours, counted_may_goto, [BPF_MAX_LOOPS]);
	const b = with_may_goto(theirs, timed_may_goto, [BPF_MAX_TIMED_LOOPS, 0]);
	return a.found && b.found ? { ours: a.insns, theirs: b.insns } : null;
}
