// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { code_difference, Disassembler, first_byte_diff } from "./code_diff.ts";

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(" ", ""), "hex"));

it("finds the first byte that differs, or the length of the shorter", () => {
	expect(first_byte_diff(bytes("010203"), bytes("010203"))).toBe(-1);
	expect(first_byte_diff(bytes("010203"), bytes("010403"))).toBe(1);
	expect(first_byte_diff(bytes("0102"), bytes("010203"))).toBe(2);
	expect(first_byte_diff(bytes("010203"), bytes(""))).toBe(0);
});

it("shows bytes alone where nothing disassembles", () => {
	const text = code_difference(bytes("5589e5"), bytes("5589e6"), 2, 0n, { disasm: null, symbol: () => null });
	expect(text).toBe("5589[e5], real [e6]");
});

it("shows the instructions around a difference, calls by their names", async () => {
	const disasm = await Disassembler.load("x86_64");
	// push rbp; mov rbp, rsp; call +0 / call +16; leave; ret
	const ours = bytes("55 4889e5 e800000000 c9 c3");
	const theirs = bytes("55 4889e5 e810000000 c9 c3");
	const addr = 0xffffffffc0001000n;
	const symbol = (a: bigint): string | null => (a === addr + 9n + 16n ? "there" : null);
	expect(code_difference(ours, theirs, 5, addr, { disasm, symbol }).split("\n")).toEqual([
		"554889e5e8[00000000c9c3], real [10000000c9c3]",
		"          0: push rbp",
		"          1: mov rbp, rsp",
		"  real    4: call 0xffffffffc0001019 <there>",
		"  real    9: leave",
		"  real    a: ret",
		"  ours    4: call 0xffffffffc0001009",
		"  ours    9: leave",
		"  ours    a: ret",
	]);
});

it("knows arm64's branches", async () => {
	const disasm = await Disassembler.load("arm64");
	const at = 0xffff800082200000n;
	const [nop, bl, cbz] = disasm.insns(bytes("1f2003d5 02000094 400000b4"), at);
	expect([nop!.text, nop!.target]).toEqual(["nop", null]);
	expect([bl!.at, bl!.target]).toEqual([4, at + 12n]);
	expect([cbz!.at, cbz!.target]).toEqual([8, at + 16n]);
});
