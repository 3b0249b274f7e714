// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Sys } from "../../include/sys.ts";
import { parseNumList, Selector } from "./filter.ts";
import type { ProgTest, TestKernel } from "./test_env.ts";
import { EXIT_NO_TEST, TestProgs, type TestWorker } from "./test_progs.ts";

const dir = mkdtempSync(join(tmpdir(), "test_progs-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** A kernel that leaves behind what it is told to. */
function kernel(leaks: string[][] = []): TestKernel {
	return {
		name: "none",
		isMirror: true,
		newProcess: () => ({}) as Sys,
		endProcess: async () => {},
		leaks: async () => leaks.shift() ?? [],
		dmesg: () => [],
	};
}

const good: ProgTest = { name: "good", run: (t) => void t.ASSERT_EQ(1, 1n, "one") };
const bad: ProgTest = { name: "bad", run: (t) => void t.ASSERT_OK(-22, "call") };
const skipped: ProgTest = { name: "skipped", run: (t) => t.skip("no such thing") };
const subs: ProgTest = {
	name: "subs",
	run(t) {
		for (const name of ["first", "second", "third"]) {
			if (!t.startSubtest(name)) continue;
			if (name === "second") t.skip("not here");
			else t.ASSERT_STREQ(name, "first", "name");
		}
	},
};

async function run(
	tests: ProgTest[],
	more: {
		selector?: Selector;
		verbosity?: number;
		json?: string;
		kernel?: TestKernel;
		workers?: TestWorker[];
	} = {},
): Promise<{ out: string; code: number }> {
	let out = "";
	const progs = new TestProgs(tests, {
		selector: more.selector ?? new Selector(),
		verbosity: more.verbosity ?? 0,
		verifierStats: false,
		count: false,
		list: false,
		json: more.json ?? null,
		out: (text) => {
			out += text;
		},
	});
	const code = more.workers
		? await progs.runParallel(more.workers)
		: await progs.run(more.kernel ?? kernel());
	return { out, code };
}

describe("lines and exit codes", () => {
	test("a test that passes", async () => {
		expect(await run([good])).toEqual({
			out: "#1       good:OK\nSummary: 1/0 PASSED, 0 SKIPPED, 0 FAILED\n",
			code: 0,
		});
	});

	test("a failed test shows its log at once and again at the end", async () => {
		const { out, code } = await run([good, bad]);
		const log = "bad:FAIL:call unexpected error: -22 (errno 22)\n#2       bad:FAIL\n";
		expect(out).toBe(
			`#1       good:OK\n${log}\nAll error logs:\n${log}Summary: 1/0 PASSED, 0 SKIPPED, 1 FAILED\n`,
		);
		expect(code).toBe(1);
	});

	test("subtests have numbers of their own, and skips are counted", async () => {
		const { out, code } = await run([subs]);
		expect(out).toContain("#1/1     subs/first:OK\n#1/2     subs/second:SKIP\n");
		expect(out).toContain("#1/3     subs/third:FAIL\n#1       subs:FAIL\n");
		expect(out).toMatch(/Summary: 0\/1 PASSED, 1 SKIPPED, 1 FAILED\n$/);
		expect(code).toBe(1);
	});

	test("a skipped test", async () => {
		expect(await run([skipped])).toEqual({
			out: "#1       skipped:SKIP\nSummary: 1/0 PASSED, 1 SKIPPED, 0 FAILED\n",
			code: 0,
		});
	});

	test("no test selected", async () => {
		const selector = new Selector();
		selector.whitelist.parse("nothing", false);
		expect(await run([good], { selector })).toEqual({
			out: "Summary: 0/0 PASSED, 0 SKIPPED, 0 FAILED\n",
			code: EXIT_NO_TEST,
		});
	});

	test("what a test leaves behind fails it", async () => {
		const { out, code } = await run([good, good], { kernel: kernel([["pages: 1 more than before"]]) });
		expect(out).toContain(
			"good:FAIL: left behind: pages: 1 more than before\n#1       good:FAIL\n#2       good:OK\n",
		);
		expect(code).toBe(1);
	});

	test("an exception fails the test alone", async () => {
		const wild: ProgTest = {
			name: "wild",
			run() {
				throw new Error("lost");
			},
		};
		const { out } = await run([wild, good]);
		expect(out).toContain("wild:FAIL:exception Error: lost");
		expect(out).toContain("#2       good:OK");
	});

	test("-v prints checks as they are made, and no log twice", async () => {
		const { out } = await run([bad], { verbosity: 1 });
		expect(out).toBe(
			"bad:FAIL:call unexpected error: -22 (errno 22)\n#1       bad:FAIL\n" +
				"Summary: 0/0 PASSED, 0 SKIPPED, 1 FAILED\n",
		);
	});
});

describe("selection", () => {
	const names = async (set: (s: Selector) => void): Promise<string> => {
		const selector = new Selector();
		set(selector);
		return (await run([good, bad, subs], { selector })).out.split("\nAll error logs")[0]!;
	};
	test("-t matches parts of names, -a whole ones", async () => {
		expect(await names((s) => s.whitelist.parse("goo", false))).toContain("good:OK");
		expect(await names((s) => s.whitelist.parse("goo", true))).not.toContain("good");
		expect(await names((s) => s.whitelist.parse("g*d", true))).toContain("good:OK");
	});
	test("subtests by name and by number", async () => {
		const byName = await names((s) => s.whitelist.parse("subs/first", false));
		expect(byName).toContain("#3/1     subs/first:OK\n#3       subs:OK");
		const byNumber = await names((s) => {
			s.numbers = parseNumList("3");
			s.subtestNumbers = parseNumList("2-2");
		});
		expect(byNumber).toContain("#3/2     subs/second:SKIP\n#3       subs:OK (SKIP: 1/3)");
	});
	test("lists of numbers", () => {
		expect(parseNumList("1,3-5")).toEqual(new Set([1, 3, 4, 5]));
		for (const s of ["", "5-3", "x", "1,,2", "-1"]) expect(parseNumList(s)).toBeNull();
	});
});

test("the JSON summary is test_progs' own", async () => {
	const json = join(dir, "out.json");
	await run([good, bad, subs], { json });
	const got = JSON.parse(readFileSync(json, "utf8"));
	expect({ ...got, results: undefined }).toEqual({ success: 1, success_subtest: 1, skipped: 1, failed: 2 });
	expect(got.results[0]).toEqual({
		name: "bad",
		number: 2,
		message: "bad:FAIL:call unexpected error: -22 (errno 22)\n",
		failed: true,
		subtests: [],
	});
	expect(got.results[1].subtests).toEqual([
		{
			name: "third",
			number: 3,
			message: "subs:FAIL:name unexpected name: actual 'third' != expected 'first'\n",
			failed: true,
		},
	]);
});

test("a summary that cannot be written is said at once", async () => {
	expect((await run([good], { json: join(dir, "no/such/folder.json") })).code).toBe(3);
});

test("with workers every test runs once", async () => {
	const ran: number[] = [];
	const worker = (): TestWorker => ({
		run: async (num) => {
			ran.push(num);
			return { error_cnt: 0, skip_cnt: 0, sub_succ_cnt: 0, force_log: false, log: "", subtests: [] };
		},
		end: async () => {},
	});
	const { out, code } = await run([good, skipped, subs], { workers: [worker(), worker()] });
	expect(ran.sort()).toEqual([1, 2, 3]);
	expect(out).toMatch(/Summary: 3\/0 PASSED, 0 SKIPPED, 0 FAILED\n$/);
	expect(code).toBe(0);
});
