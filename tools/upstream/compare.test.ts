// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { compare_insns, compare_moved, compare_xlated, first_line_diff, mask_log } from "./compare.ts";

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replace(/ /g, ""), "hex"));
const never = (): boolean => false;

const LD_MAP_5 = "1811000005000000 0000000000000000";
const LD_MAP_9 = "1811000009000000 0000000000000000";
const EXIT = "9500000000000000";

it("descriptors of maps are compared by the maps' names", () => {
	const maps = [{ name: "array", fd: 9 }];
	const ours = hex(LD_MAP_5 + EXIT);
	const theirs = hex(LD_MAP_9 + EXIT);
	expect(compare_insns(ours, theirs, () => "array", maps)).toBeNull();
	expect(compare_insns(ours, theirs, () => "other", maps)).toBe("insn 0: map other, real array");
	expect(compare_insns(ours, theirs, () => undefined, maps)).toBe("insn 0: map undefined, real array");
	expect(compare_insns(ours, hex(LD_MAP_9), () => "array", maps)).toBe("3 insns, real 2");
	expect(compare_insns(hex("b700000000000000"), hex("b700000001000000"), () => "", [])).toBe(
		"insn 0: b700000000000000, real b700000001000000",
	);
});

it("map ids and addresses of rewritten instructions stand for the same things throughout", () => {
	const ld = (imm: string, hi = "00000000"): string => `18110000${imm}00000000${hi}`;
	expect(
		compare_xlated(hex(ld("01000000") + ld("02000000")), hex(ld("07000000") + ld("08000000")), never),
	).toBeNull();
	expect(
		compare_xlated(hex(ld("01000000") + ld("01000000")), hex(ld("07000000") + ld("08000000")), never),
	).toMatch(/^insn 2: /);
	expect(
		compare_xlated(hex(ld("01000000") + ld("02000000")), hex(ld("07000000") + ld("07000000")), never),
	).toMatch(/^insn 2: /);
	const addr = (imm: string, hi: string): string => `18010000${imm}00000000${hi}`;
	expect(
		compare_xlated(hex(addr("00000001", "ffffffff")), hex(addr("00000002", "001100ff")), never),
	).toBeNull();
	expect(
		compare_xlated(hex(addr("00000001", "00000000")), hex(addr("00000002", "00000000")), never),
	).not.toBeNull();
});

it("calls must be the same, but for functions that only have stand-ins", () => {
	const call = (imm: string): Uint8Array => hex(`85200000${imm}`);
	expect(compare_xlated(call("01000000"), call("02000000"), never)).toMatch(/^insn 0: code=85/);
	expect(compare_xlated(call("01000000"), call("02000000"), (imm) => imm === 1)).toBeNull();
	expect(compare_xlated(call("01000000"), hex(""), never)).toBe(
		"insn 0: code=85 dst=r0 src=r2 off=0 imm=1 (0x1), real nothing",
	);
});

it("logs are compared without addresses and times", () => {
	const ours = "0: (18) r1 = 0xffff888004a2c000\nverification time 12 usec\nprocessed 1 insns";
	const real = "0: (18) r1 = 0xff11000102525200\nverification time 9000 usec\nprocessed 1 insns";
	expect(mask_log(ours)).toBe(mask_log(real));
	expect(mask_log("r1 = 0xff11")).toBe("r1 = 0xff11");
});

it("the first line that differs is shown with those before it", () => {
	expect(first_line_diff("a\nb\nc", "a\nb\nc")).toBeNull();
	expect(first_line_diff("a\nb\nc\nd", "a\nb\nx\nd", 1, 1)).toEqual({
		line: 3,
		before: ["b"],
		ours: ["c"],
		theirs: ["x"],
	});
	expect(first_line_diff("a", "a\nb", 3, 2)).toEqual({ line: 2, before: ["a"], ours: [], theirs: ["b"] });
});

it("images of unknown place may differ in addresses, the same way throughout a function", () => {
	const call = (rel: string): string => `e8${rel}`;
	const load = (imm: string): string => `48bf${imm}`;
	const moved = (a: string, b: string, lens?: number[]): string | null =>
		compare_moved(hex(a), hex(b), lens ?? [a.length / 2]);
	// two calls of one function: the second is five bytes nearer
	expect(moved(call("10000000") + call("0b000000"), call("20000000") + call("1b000000"))).toBeNull();
	expect(moved(call("10000000") + call("0b000000"), call("20000000") + call("1c000000"))).toMatch(/^jited/);
	// each function calls from a place of its own
	expect(moved(call("10000000") + call("0b000000"), call("20000000") + call("1c000000"), [5, 5])).toBeNull();
	expect(moved(load("0010203040001bff"), load("00aa203040001bff"))).toBeNull();
	expect(moved("48c7c700100080", "48c7c700200080")).toBeNull();
	expect(moved("b801000000", "b802000000")).toMatch(/^jited byte 1: b8\[01000000\], real \[02000000\]/);
	expect(moved("c3", "c3c3")).toBe("jited 1 bytes, real 2");
});
