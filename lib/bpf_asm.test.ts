// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "vitest";
import { AsmError, assemble } from "./bpf_asm.ts";

const hex = (s: string) => Buffer.from(assemble(s).bytes).toString("hex");

/** Encodings written down from RFC 9669. */
const table: readonly (readonly [string, string])[] = [
	["exit", "9500000000000000"],
	["r0 = 5", "b700000005000000"],
	["w0 = -1", "b4000000ffffffff"],
	["r1 = r2", "bf21000000000000"],
	["r1 = 0x1122334455667788 ll", "18010000887766550000000044332211"],
	["r1 += 4", "0701000004000000"],
	["w3 s/= w4", "3c43010000000000"],
	["r3 s%= 7", "9703010007000000"],
	["r5 s>>= r6", "cf65000000000000"],
	["r1 = -r1", "8701000000000000"],
	["r1 = be16 r1", "dc01000010000000"],
	["r1 = le64 r1", "d401000040000000"],
	["r1 = bswap32 r1", "d701000020000000"],
	["r1 = (s8)r2", "bf21080000000000"],
	["w1 = (s16)w2", "bc21100000000000"],
	["r1 = *(u8 *)(r2 + 4)", "7121040000000000"],
	["r1 = *(s32 *)(r2 - 4)", "8121fcff00000000"],
	["*(u64 *)(r10 - 8) = 5", "7a0af8ff05000000"],
	["*(u16 *)(r1 + 2) = r3", "6b31020000000000"],
	["lock *(u64 *)(r10 - 8) += r1", "db1af8ff00000000"],
	["r2 = atomic_fetch_xor((u32 *)(r1 + 0), r2)", "c3210000a1000000"],
	["r2 = xchg((u64 *)(r1 + 0), r2)", "db210000e1000000"],
	["r0 = cmpxchg((u64 *)(r1 + 0), r0, r2)", "db210000f1000000"],
	["goto +1", "0500010000000000"],
	["gotol -1", "06000000ffffffff"],
	["if r1 s> -5 goto +2", "65010200fbffffff"],
	["if w1 & w2 goto +0", "4e21000000000000"],
	["call bpf_ktime_get_ns", "8500000005000000"],
	["r0 = *(u16 *)skb[12]", "280000000c000000"],
];

test.each(table)("%s", (text, bytes) => {
	expect(hex(text)).toBe(bytes);
});

test("labels count instructions, two for a wide load", () => {
	expect(hex("top: r1 = 1 ll\nif r1 != 0 goto out\ngoto top\nout: exit")).toBe(
		"1801000001000000000000000000000055010100000000000500fcff000000009500000000000000",
	);
});

test("maps and functions stay open or are linked", () => {
	const p = assemble("r1 = map[1] ll\nr2 = func[f] ll\nexit\nf: exit");
	expect(p.relocs).toEqual([{ insn: 0, kind: "map", index: 1 }]);
	expect(new DataView(p.bytes.buffer).getInt32(2 * 8 + 4, true)).toBe(2);
});

test.each([
	["r11 = 1", /line 1: no such instruction/],
	["\nr1 = w2", /line 2: registers of different width/],
	["goto nowhere", /line 1: no label nowhere/],
	["r1 = 0x1ffffffff", /does not fit 32 bits/],
	["call bpf_no_such", /no helper bpf_no_such/],
])("%s is refused", (text, message) => {
	expect(() => assemble(text)).toThrowError(AsmError);
	expect(() => assemble(text)).toThrowError(message);
});
