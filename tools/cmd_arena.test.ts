// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseStep } from "./arena_steps.ts";
import { ranges } from "./arena_view.ts";
import { runCli } from "./run_cli.ts";

/** What the command prints, and its exit status. */
async function arena(...args: string[]): Promise<{ out: string; code: number }> {
	const { all, code } = await runCli("arena", ...args);
	return { out: all, code };
}

const object = (arch: string, name = "arena_pages"): string =>
	join(import.meta.dirname, `../.cache/progs/${arch}/${name}.bpf.o`);

describe("bpf-mirror arena", () => {
	it.each([
		["x86_64", "x86", "r12"],
		["arm64", "arm64", "x28"],
	])("%s: shows who brings pages in, maps, misses and frees them", async (arch, dir, reg) => {
		const steps = [
			...["set:page_cnt=2", "set:addr=0", "run:alloc", "get:val", "read:1", "write:9=0x55"],
			...["other:read:9", "set:addr=@3", "run:peek", "set:addr=@0", "run:release", "unmap", "read:0"],
		];
		const { out, code } = await arena(object(dir), ...steps, "--arch", arch);
		expect(code).toBe(0);
		expect(out).toContain("alloc  alloc() gets 2 pages: 0-1");
		expect(out).toMatch(/fault {2}pid \d+, 1 fault, page 1: already there: only mapped/);
		expect(out).toMatch(/fault {2}pid \d+, 1 fault, page 9: new, zeroed/);
		expect(out).toMatch(/^read page 9 by another process\n(.*\n)+? {2}0x55$/m);
		expect(out).toMatch(
			/miss {3}peek\(\) at instruction \d+, page 3: a load from a page that is not there is 0/,
		);
		expect(out).not.toContain("at instruction 0,");
		expect(out).toContain("free   release() gives back 0-1: 2 had memory");
		expect(out).toMatch(/ {2}SIGSEGV: load from 0x/);
		expect(out).toMatch(new RegExp(`kernel  0x[0-9a-f]+: ${reg} \\(0x[0-9a-f]+\\) \\+ the low half`));
		expect(out).toContain("      0 pP.......U......\n");
		expect(out).toContain("      0 .........U......\n");
	});

	it.each(["kv", "walk", "heap"])("the example %s runs and is told", async (name) => {
		const { out, code } = await arena(name);
		expect(code).toBe(0);
		expect(out).not.toContain("FAIL");
		expect(out.split("\n").filter((l) => l.startsWith("arena arena (map")).length).toBeGreaterThan(3);
	});

	it("says it in JSON, an object a line", async () => {
		const { out, code } = await arena("heap", "--json");
		expect(code).toBe(0);
		const lines = out
			.trimEnd()
			.split("\n")
			.map((l) => JSON.parse(l) as { type: string; kind?: string });
		const kinds = new Set(lines.map((l) => `${l.type} ${l.kind ?? ""}`.trim()));
		for (const k of [
			"say",
			"state",
			"event map",
			"event fault",
			"event alloc",
			"event free",
			"event release",
		])
			expect(kinds).toContain(k);
		const states = lines.filter((l) => l.type === "state") as unknown as {
			user_vm_start: string;
			pages: { page: number; pids: number[] }[];
			owners: [number, { by: string }][];
		}[];
		expect(states[0]!.user_vm_start).toMatch(/^0x7fff/);
		const full = states.reduce((a, b) => (b.pages.length > a.pages.length ? b : a));
		expect(full.owners.filter(([, o]) => o.by === "prog").length).toBeGreaterThan(0);
	});

	it("tells in a line what is wrong", async () => {
		expect(await arena("/no/such.o")).toEqual({
			out: "ENOENT: no such file or directory, open '/no/such.o'; the examples are kv, walk, heap\n",
			code: 1,
		});
		expect((await arena("kv", "run:x")).out).toBe("kv is an example: it takes no steps\n");
		expect((await arena(object("x86"), "jump")).out).toMatch(/^jump is no step: run:PROG, /);
		const none = await arena(object("x86"), "run:nothing");
		expect(none.out).toContain("FAIL: no program nothing; there are alloc, release,");
		expect(none.code).toBe(1);
		expect((await arena(object("x86"), "set:nothing=1")).out).toContain("has no global nothing");
		expect((await arena(object("x86", "test_maps"))).out).toContain("has no arena");
	});

	it("reads steps", () => {
		expect(parseStep("set:a=-5")).toEqual({ op: "set", name: "a", value: -5n, at: false });
		expect(parseStep("set:a=@0x10")).toEqual({ op: "set", name: "a", value: 16n, at: true });
		expect(parseStep("other:write:3=0xff")).toEqual({ op: "write", page: 3, value: 255n, other: true });
		for (const bad of ["", "run:", "read:x", "read:-1", "set:a=", "set:a=zz", "write:1", "read:99999999"])
			expect(parseStep(bad), bad).toMatch(/is no step/);
		expect(ranges([0, 1, 2, 5, 7, 8])).toBe("0-2, 5, 7-8");
		const even = (n: number): number[] => Array.from({ length: n }, (_, i) => 2 * i);
		expect(ranges(even(12))).toBe("0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22");
		expect(ranges(even(50))).toBe("0, 2, 4, 6, 8, 10, 12, 14, 16, 18, …, 98");
	});
});
