// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { calls_of_6_12, cpu_number_of_6_12, may_goto_of_6_12, type Rewritten } from "./version_insns.ts";

/** An instruction: code, registers, offset, immediate. */
type Insn = readonly [code: number, dst: number, src: number, off: number, imm: number];

function insns(list: readonly Insn[]): Buffer {
	const out = Buffer.alloc(list.length * 8);
	for (const [i, [code, dst, src, off, imm]] of list.entries()) {
		out[i * 8] = code;
		out[i * 8 + 1] = (src << 4) | dst;
		out.writeInt16LE(off, i * 8 + 2);
		out.writeInt32LE(imm, i * 8 + 4);
	}
	return out;
}

const both = (ours: readonly Insn[], theirs: readonly Insn[]): Rewritten => ({
	ours: insns(ours),
	theirs: insns(theirs),
});
const equal = (r: Rewritten | null): boolean => r?.ours.equals(r.theirs) ?? false;

const EXIT: Insn = [0x95, 0, 0, 0, 0];
const number = (code: number): Insn[] => [
	[code, 0, 0, 0, 0x2ec0c],
	[0xbf, 0, 0, -1, 0],
	[0x61, 0, 0, 0, 0],
	EXIT,
];

it("the load of the CPU's number may be one of 64 bits, and no other load of a constant", () => {
	expect(equal(cpu_number_of_6_12(both(number(0xb4), number(0xb7))))).toBe(true);
	// its address is no part of the difference
	expect(equal(cpu_number_of_6_12(both(number(0xb4), [[0xb7, 0, 0, 0, 5], ...number(0xb7).slice(1)])))).toBe(
		false,
	);
	expect(equal(cpu_number_of_6_12(both([[0xb4, 0, 0, 0, 1], EXIT], [[0xb7, 0, 0, 0, 1], EXIT])))).toBe(false);
});

it("a helper may be called by its other function, and by none else", () => {
	const call = (imm: number): Insn[] => [[0x85, 0, 0, 0, imm], EXIT];
	const same = (ours: number, theirs: number): boolean => ours === 10 && theirs === 20;
	expect(equal(calls_of_6_12(both(call(10), call(20)), same))).toBe(true);
	expect(equal(calls_of_6_12(both(call(10), call(30)), same))).toBe(false);
	// a call of a function of the program
	expect(equal(calls_of_6_12(both([[0x85, 0, 1, 0, 10]], [[0x85, 0, 1, 0, 20]]), same))).toBe(false);
	// halves of a constant that look like calls
	const wide = (imm: number): Insn[] => [
		[0x18, 1, 0, 0, 0],
		[0x85, 0, 0, 0, imm],
	];
	expect(equal(calls_of_6_12(both(wide(10), wide(20)), same))).toBe(false);
});

/** r1 = 0; a loop of r1 += step with may_goto, while r1 < 100; exit */
function loop(timed: boolean, step = 1): Insn[] {
	const body = (back: number): Insn[] => [[0x07, 1, 0, 0, step], [0xa5, 1, 0, back, 100], EXIT];
	if (!timed)
		return [
			[0x7a, 10, 0, -8, 8388608],
			[0xb7, 1, 0, 0, 0],
			[0x79, 11, 10, -8, 0],
			[0x15, 11, 0, 4, 0],
			[0x17, 11, 0, 0, 1],
			[0x7b, 10, 11, -8, 0],
			...body(-6),
		];
	return [
		[0x7a, 10, 0, -16, 65535],
		[0x7a, 10, 0, -8, 0],
		[0xb7, 1, 0, 0, 0],
		[0x79, 11, 10, -16, 0],
		[0x15, 11, 0, 7, 0],
		[0x17, 11, 0, 0, 1],
		[0x55, 11, 0, 2, 0],
		[0xb7, 11, 0, 0, -16],
		[0x85, 0, 0, 0, 777],
		[0x7b, 10, 11, -16, 0],
		...body(-9),
	];
}

const changed = (list: Insn[], i: number, insn: Insn): Insn[] => list.map((x, k) => (k === i ? insn : x));

it("loops with may_goto are the same but for their bounds", () => {
	expect(equal(may_goto_of_6_12(both(loop(false), loop(true))))).toBe(true);
	expect(equal(may_goto_of_6_12(both(loop(false), loop(true, 2))))).toBe(false);
	// one may_goto more, or none at all
	expect(equal(may_goto_of_6_12(both(loop(false), [...loop(true), ...loop(true)])))).toBe(false);
	expect(may_goto_of_6_12(both([EXIT], [EXIT]))).toBeNull();
	// a counter that begins with something else is an instruction like others
	const other = changed(loop(true), 0, [0x7a, 10, 0, -16, 65534]);
	expect(equal(may_goto_of_6_12(both(loop(false), other)))).toBe(false);
});

it("jumps over loops with may_goto go to the same instructions, and so does may_goto itself", () => {
	const elsewhere = changed(loop(true), 11, [0xa5, 1, 0, -2, 100]);
	expect(equal(may_goto_of_6_12(both(loop(false), elsewhere)))).toBe(false);
	const limit = changed(loop(true), 11, [0xa5, 1, 0, -9, 101]);
	expect(equal(may_goto_of_6_12(both(loop(false), limit)))).toBe(false);
	const out = changed(loop(true), 4, [0x15, 11, 0, 6, 0]);
	expect(equal(may_goto_of_6_12(both(loop(false), out)))).toBe(false);
	// a call over the loop: the function behind it
	const call = (list: Insn[], distance: number): Insn[] => [[0x85, 0, 1, distance, 1], ...list, EXIT];
	const right = both(call(loop(false), 9), call(loop(true), 13));
	expect(equal(may_goto_of_6_12(right))).toBe(true);
	expect(equal(may_goto_of_6_12(both(call(loop(false), 9), call(loop(true), 12))))).toBe(false);
});
