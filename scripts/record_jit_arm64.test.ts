// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { moved_value } from "../tools/upstream/arm64_moves.ts";
import { compare_moved_arm64, function_lengths, same_but_branches } from "./record_jit_arm64.ts";

const words = (...list: number[]): Buffer => {
	const out = Buffer.alloc(list.length * 4);
	for (const [i, w] of list.entries()) out.writeUInt32LE(w >>> 0, i * 4);
	return out;
};
const wide = (op: number, rd: number, imm: number, shift: number, sf = 1): number =>
	((sf << 31) | (op << 29) | 0x12800000 | ((shift / 16) << 21) | (imm << 5) | rd) >>> 0;
const [movn, movz, movk] = [0, 2, 3];
const NOP = 0xd503201f;

describe("the value of a row of moves", () => {
	it("is put together from all of them", () => {
		const row = words(wide(movn, 10, 0x2a1f, 0), wide(movk, 10, 0x8009, 16), wide(movk, 10, 0x8000, 32), NOP);
		expect(moved_value(row, 0)).toBe(0xffff80008009d5e0n);
		expect(moved_value(words(wide(movz, 3, 0xff10, 48), wide(movk, 3, 7, 0)), 0)).toBe(0xff10000000000007n);
		expect(moved_value(words(NOP, wide(movz, 3, 5, 16)), 4)).toBe(0x50000n);
	});

	it("has 32 bits where the moves have", () => {
		expect(moved_value(words(wide(movz, 3, 5, 0, 0)), 0)).toBe(5n);
		expect(moved_value(words(wide(movn, 3, 5, 0, 0)), 0)).toBe(0xfffffffan);
	});

	it("ends with the row: another register, another kind", () => {
		expect(moved_value(words(wide(movz, 3, 5, 0), wide(movk, 4, 1, 16)), 0)).toBe(5n);
		expect(moved_value(words(wide(movz, 3, 5, 0), wide(movz, 3, 1, 16)), 0)).toBe(5n);
	});

	it("is none where no row begins", () => {
		expect(moved_value(words(NOP), 0)).toBeNull();
		expect(moved_value(words(wide(movk, 3, 5, 0)), 0)).toBeNull();
		expect(moved_value(words(NOP), 4)).toBeNull();
	});
});

it("images of unknown place differ in the numbers of moves and in where calls go only", () => {
	const a = words(wide(movn, 10, 1, 0), NOP);
	expect(compare_moved_arm64(a, words(wide(movn, 10, 2, 0), NOP), [8])).toBeNull();
	expect(compare_moved_arm64(a, words(wide(movn, 11, 1, 0), NOP), [8])).toMatch(/^jited byte 0: /);
	expect(compare_moved_arm64(a, words(wide(movn, 10, 1, 0), 0), [8])).toMatch(/^jited byte 4: /);
	expect(compare_moved_arm64(a, words(NOP), [8])).toBe("jited 8 bytes, real 4");
	const bl = (at: number, to: number): number => 0x94000000 | ((to - at) & 0x3ffffff);
	const calls = words(bl(0, 100), bl(1, 100), bl(2, 100));
	expect(compare_moved_arm64(calls, words(bl(0, -7), bl(1, -7), bl(2, -7)), [12])).toBeNull();
	expect(compare_moved_arm64(calls, words(bl(0, -7), bl(1, -7), bl(2, -8)), [12])).toMatch(/^jited byte 8: /);
	expect(compare_moved_arm64(calls, words(bl(0, -7), bl(1, -7), bl(2, -8)), [8, 4])).toBeNull();
});

it("functions of an image are told apart by how they begin", () => {
	const start = [0x910003c9, NOP];
	expect(function_lengths(words(...start, 1, 2, ...start, 3))).toEqual([16, 12]);
	expect(function_lengths(words(...start))).toEqual([8]);
	expect(function_lengths(words(1, ...start))).toEqual([12]);
});

it("code is alike up to a place when only branches and calls in it lead elsewhere", () => {
	const b = (to: number): number => 0x14000000 | (to & 0x3ffffff);
	const bl = (to: number): number => 0x94000000 | (to & 0x3ffffff);
	const ours = words(b(2), bl(100), NOP);
	expect(same_but_branches(ours, words(b(5), bl(-7), NOP), 0, 12)).toBe(true);
	expect(same_but_branches(ours, words(b(2), b(100), NOP), 0, 12)).toBe(false);
	expect(same_but_branches(ours, words(b(2), wide(movn, 10, 1, 0), NOP), 0, 12)).toBe(false);
	expect(same_but_branches(ours, words(b(2), wide(movn, 10, 1, 0), NOP), 8, 12)).toBe(true);
	expect(same_but_branches(ours, words(b(2), bl(100)), 0, 12)).toBe(false);
});
