// SPDX-License-Identifier: GPL-2.0-only
/** The benchmark runner: upstream's lines, and every benchmark in both modes, for a moment. */
import { describe, expect, test } from "vitest";
import { parseNumList } from "../../tools/cmd_bench.ts";
import { bootMirror } from "../../tools/mirror.ts";
import {
	BenchError,
	benchs,
	defaultEnv,
	defaultRingbufArgs,
	hits_drops_report_final,
	hits_drops_report_progress,
	runBench,
} from "./bench.ts";

const env = { ...defaultEnv, consumer_cnt: 1, duration_sec: 2, second_ms: 60 };

describe("lines", () => {
	test("of a second", () => {
		const text = hits_drops_report_progress(
			{ ...defaultEnv, producer_cnt: 2 },
			3,
			{ hits: 2_500_000, drops: 1000 },
			1_000_123_456,
		);
		expect(text).toBe(
			"Iter   3 (123.456us): hits    2.500M/s (  1.250M/prod), drops    0.001M/s, total operations    2.501M/s\n",
		);
	});
	test("of the end", () => {
		const res = [
			{ hits: 1_000_000, drops: 0 },
			{ hits: 3_000_000, drops: 0 },
		];
		expect(hits_drops_report_final(defaultEnv, res)).toBe(
			"Summary: hits    2.000 ± 1.414M/s (  2.000M/prod), drops    0.000 ± 0.000M/s, total operations    2.000 ± 1.414M/s\n",
		);
	});
	test("one second has no deviation", () => {
		expect(hits_drops_report_final(defaultEnv, [{ hits: 1e6, drops: 5e5 }])).toBe(
			"Summary: hits    1.000 ± 0.000M/s (  1.000M/prod), drops    0.500 ± 0.000M/s, total operations    1.500 ± 0.000M/s\n",
		);
	});
});

describe("lists of CPUs", () => {
	test.each([
		["0", [0]],
		["0,2-4", [0, 2, 3, 4]],
		["3,1", [1, 3]],
		["4-2", null],
		["a", null],
		["", null],
	])("%s", (text, list) => {
		expect(parseNumList(text)).toEqual(list);
	});
});

describe.each(["x86_64", "arm64"] as const)("on %s", (arch) => {
	test.each(
		benchs.flatMap((b) => [
			{ name: b.name, mode: "parallel", args: {} },
			{ name: b.name, mode: "sampled", args: { sampled: true } },
			{ name: b.name, mode: "back-to-back", args: { back2back: true } },
			{ name: b.name, mode: "output", args: { ringbuf_use_output: true } },
		]),
	)("$name, $mode", async ({ name, args }) => {
		const mirror = bootMirror({ arch, cpus: 2 });
		const sys = mirror.newProcess();
		const lines: string[] = [];
		const bench = benchs.find((b) => b.name === name)!;
		const res = await runBench(sys, bench, env, { ...defaultRingbufArgs, ...args }, (t) => lines.push(t));
		expect(lines[0]).toBe(`Setting up benchmark '${name}'...\n`);
		expect(lines[1]).toBe(`Benchmark '${name}' started.\n`);
		expect(lines.length).toBe(2 + 4 + 1);
		expect(res.length).toBe(4);
		expect(res.reduce((n, r) => n + r.hits, 0)).toBeGreaterThan(1000);
		expect(res.reduce((n, r) => n + r.drops, 0)).toBe(0);
		await mirror.endProcess(sys);
		expect(mirror.leaks()).toEqual([]);
	});

	test("several producers share a ring", async () => {
		const mirror = bootMirror({ arch, cpus: 4 });
		const res = await runBench(
			mirror.newProcess(),
			benchs[0]!,
			{ ...env, producer_cnt: 3, affinity: true },
			defaultRingbufArgs,
			() => {},
		);
		expect(res.reduce((n, r) => n + r.hits, 0)).toBeGreaterThan(1000);
	});
});

describe("what cannot be run", () => {
	const run = (
		e: Partial<typeof env>,
		args: Partial<typeof defaultRingbufArgs>,
		which = 0,
	): Promise<unknown> =>
		runBench(
			bootMirror({ cpus: 2 }).newProcess(),
			benchs[which]!,
			{ ...env, ...e },
			{ ...defaultRingbufArgs, ...args },
			() => {},
		);
	test.each([
		["rb-libbpf benchmark needs one consumer!", { consumer_cnt: 0 }, {}, 0],
		["rb-libbpf benchmark needs one consumer!", { consumer_cnt: 2 }, {}, 3],
		[
			"back-to-back mode makes sense only for single-producer case!",
			{ producer_cnt: 2 },
			{ back2back: true },
			1,
		],
		["sample rate 500 is too high for given batch count 10", {}, { batch_cnt: 10 }, 2],
		[
			"Not enough CPUs specified, need CPU #1 or higher.",
			{ affinity: true, prod_cpus: [0], producer_cnt: 2 },
			{},
			0,
		],
	])("%s", async (message, e, args, which) => {
		await expect(run(e, args, which)).rejects.toThrow(new BenchError(message));
	});
});
