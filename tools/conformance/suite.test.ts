// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { assemble } from "../../lib/bpf_asm.ts";
import { ARCHES } from "../arches.ts";
import { type RunOptions, runSuite, SUITE_ENV, testFiles } from "./runner.ts";
import {
	assembleSuite,
	GROUPS,
	needs,
	parseSuiteTest,
	SuiteError,
	type SuiteTest,
	suiteBytes,
} from "./suite.ts";

const suite = (lines: string): string =>
	Buffer.from(suiteBytes(assembleSuite(lines.split("\n")))).toString("hex");

test("the suite's assembly makes what ours makes of the same instructions", () => {
	const pairs: readonly (readonly [string, string])[] = [
		["mov %r1, -2", "r1 = -2"],
		["mov32 r2, r3", "w2 = w3"],
		["add64 %r1, %r2", "r1 += r2"],
		["sub32 %r1, 0x7f", "w1 -= 127"],
		["sdiv %r1, %r2", "r1 s/= r2"],
		["smod32 %r1, -3", "w1 s%= -3"],
		["neg %r4", "r4 = -r4"],
		["neg32 %r4", "w4 = -w4"],
		["arsh32 %r4, 3", "w4 s>>= 3"],
		["movsx832 %r1, %r2", "w1 = (s8)w2"],
		["movsx3264 %r1, %r2", "r1 = (s32)r2"],
		["le16 %r1", "r1 = le16 r1"],
		["be64 %r1", "r1 = be64 r1"],
		["swap32 %r1\nbswap32 %r1", "r1 = bswap32 r1; r1 = bswap32 r1"],
		["lddw %r3, 0x8899aabbccddeeff", "r3 = 0x8899aabbccddeeff ll"],
		["ldxb %r1, [%r2]", "r1 = *(u8 *)(r2 + 0)"],
		["ldxdw %r1, [%r10-8]", "r1 = *(u64 *)(r10 - 8)"],
		["ldxsh %r1, [%r2+6]", "r1 = *(s16 *)(r2 + 6)"],
		["sth [%r10-2], 0x8001", "*(u16 *)(r10 - 2) = 0x8001"],
		["stxw [%r1+4], %r2", "*(u32 *)(r1 + 4) = r2"],
		["lock add32 [%r10-8], %r1", "lock *(u32 *)(r10 - 8) += w1"],
		["lock fetch xor [%r10-8], %r1", "r1 = atomic_fetch_xor((u64 *)(r10 - 8), r1)"],
		["lock cmpxchg [%r10-8], %r1", "r0 = cmpxchg((u64 *)(r10 - 8), r0, r1)"],
		["lock xchg32 [%r10-8], %r1", "w1 = xchg((u32 *)(r10 - 8), w1)"],
		[
			"jeq %r1, 5, +1\nja32 +0\njslt32 %r1, %r2, -2\nexit",
			"if r1 == 5 goto +1; gotol +0; if w1 s< w2 goto -2; exit",
		],
		["call 7\ncall local f\nexit\nf:\nexit", "call 7; call f; exit; f: exit"],
	];
	for (const [theirs, ours] of pairs)
		expect(suite(theirs), theirs).toBe(
			Buffer.from(assemble(ours.replaceAll("; ", "\n")).bytes).toString("hex"),
		);
});

test("the first exit is a label; other labels and raw words", () => {
	expect(assembleSuite(["jne %r1, 0, exit", "ja L", "exit", "L:", "exit"]).map((i) => i.offset)).toEqual([
		1, 1, 0, 0,
	]);
	const raw = parseSuiteTest("-- raw\n0x00008001fffe0a6a 0x95\n-- result\n0x1\n") as SuiteTest;
	expect(raw.insns[0]).toEqual({ opcode: 0x6a, dst: 10, src: 0, offset: -2, imm: 0x8001 });
	expect(raw.insns).toHaveLength(2);
});

test("what the runner skips and what it cannot read", () => {
	expect(parseSuiteTest("-- asm\nexit\n")).toBe("No result or error");
	expect(parseSuiteTest("-- map\nx\n")).toBe("Unknown directive -- map");
	expect(parseSuiteTest("-- asm\n# nothing\n-- result\n1\n")).toBe("No instructions");
	for (const bad of [
		"mov %r16, 1",
		"frob %r1",
		"mov %r1",
		"ja nowhere",
		"ldxw %r1, %r2",
		"lock nand [%r1], %r2",
		"mov %r1, x",
	])
		expect(() => assembleSuite([bad]), bad).toThrow(SuiteError);
	expect(() => assembleSuite(["L:", "L:"])).toThrow("Duplicate label (L)");
});

test("version and group of instructions", () => {
	const of = (line: string) => {
		const { version, group } = needs(assembleSuite([line])[0]!);
		return `v${version} ${group}`;
	};
	expect(of("add %r1, 1")).toBe("v1 base64");
	expect(of("mul32 %r1, 1")).toBe("v1 divmul32");
	expect(of("sdiv %r1, 1")).toBe("v4 divmul64");
	expect(of("movsx864 %r1, %r2")).toBe("v4 base64");
	expect(of("jlt %r1, 1, +0")).toBe("v2 base64");
	expect(of("jeq32 %r1, 1, +0")).toBe("v3 base32");
	expect(of("ja32 +0")).toBe("v4 base32");
	expect(of("call local +0")).toBe("v3 base32");
	expect(of("call %r2")).toBe("v1 callx");
	expect(of("ldxsw %r1, [%r2]")).toBe("v4 base32");
	expect(of("lock add32 [%r1], %r2")).toBe("v3 atomic32");
	expect(of("swap64 %r1")).toBe("v4 base64");
	expect(of("be32 %r1")).toBe("v1 base32");
});

const options = (more: Partial<RunOptions>): RunOptions => ({
	arch: "x86_64",
	jit: true,
	version: 4,
	groups: GROUPS.filter((g) => g !== "callx"),
	includeRegex: null,
	excludeRegex: /(imm|intmin)-/,
	xdpProlog: true,
	spawn: 0,
	...more,
});

describe("a small suite of our own", () => {
	let dir = "";
	beforeAll(() => {
		dir = mkdtempSync(join(tmpdir(), "bpf-mirror-suite-"));
		const put = (name: string, text: string) => writeFileSync(join(dir, `${name}.data`), text);
		put(
			"wide",
			"-- asm\nldxdw %r0, [%r1+2]\nbe64 %r0\nexit\n-- mem\n00 00 80 01\n02 03 04 05 06 07\n-- result\n0x8001020304050607\n",
		);
		put("length", "-- asm\nmov %r0, %r2\nexit\n-- mem\n01 02 03 04\n-- result\n4\n");
		put(
			"callee",
			"-- asm\nmov %r1, 3\ncall local twice\nexit\ntwice:\nmov %r0, %r1\nadd %r0, %r1\nexit\n-- result\n6\n",
		);
		put("wrong", "-- asm\nmov %r0, 1\nexit\n-- result\n2\n");
		put("refused", "-- asm\nldxw %r0, [%r2]\nexit\n-- result\n0\n");
		put("callx", "-- asm\nmov %r2, 5\ncall %r2\nexit\n-- result\n2\n");
		put("add-imm-high", "-- asm\nfrob\n-- result\n2\n");
		put("unread", "-- asm\nfrob\n-- result\n2\n");
	});
	afterAll(() => rmSync(dir, { recursive: true }));

	test.each([
		["x86_64", true],
		["x86_64", false],
		["arm64", true],
	] as const)("on %s, JIT %s", (arch, jit) => {
		const files = testFiles(dir) as string[];
		const r = runSuite(files, options({ arch, jit, spawn: jit && arch === "arm64" ? 100 : 0 }));
		const by = Object.fromEntries(r.tests.map((t) => [t.name.replace(".data", ""), t]));
		expect(Object.entries(by).map(([name, t]) => `${name} ${t.result}`)).toEqual([
			"add-imm-high ERROR",
			"callee PASS",
			"callx SKIP",
			"length PASS",
			"refused ERROR",
			"unread ERROR",
			"wide PASS",
			"wrong FAIL",
		]);
		expect(by.wrong!.message).toBe("Plugin returned incorrect return value 1 expected 2");
		expect(by.refused!.message).toContain("Failed to load program: R2 !read_ok");
		expect([r.passed, r.run, r.spawned]).toEqual([3, 7, jit && arch === "arm64" ? 1 : 0]);
		// v2 knows no calls of functions
		const v2 = runSuite(files, options({ arch, jit, version: 2 })).tests.find(
			(t) => t.name === "callee.data",
		);
		expect(v2).toMatchObject({ result: "SKIP", message: "Test file contains unsupported instructions." });
	});
});

const where = process.env[SUITE_ENV];
describe.skipIf(!where)(
	`the public suite (${where ?? `not run: ${SUITE_ENV} names no folder of it`})`,
	() => {
		const files = where ? testFiles(where) : [];
		for (const arch of ARCHES)
			for (const jit of [false, true])
				test.each([1, 2, 3, 4])(`${arch}, JIT ${jit}, CPU version %i`, (version) => {
					if (typeof files === "string") throw new Error(files);
					const r = runSuite(files, options({ arch, jit, version, spawn: 100 }));
					expect(r.tests.filter((t) => t.result === "FAIL" || t.result === "ERROR")).toEqual([]);
					expect(r.run).toBeGreaterThan(0);
				});
	},
);
