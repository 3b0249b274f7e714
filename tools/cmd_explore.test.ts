// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "./run_cli.ts";

const object = join(import.meta.dirname, "../.cache/progs/x86/explore.bpf.o");

const explore = (...args: string[]) => runCli("explore", ...args);

test("names its scenarios", async () => {
	const { out, code } = await explore("--list");
	expect(code).toBe(0);
	for (const name of ["rb+1p1c+bounded", "rb+1p1c+unbound", "rb+2p1c+bounded", "rb+2p1c+unbound"])
		expect(out).toContain(`${name} `);
});

test("says what it covered, under which memory, and what schedules ended in", async () => {
	const { out, code } = await explore("nmi");
	expect(code).toBe(0);
	expect(out).toMatch(/^ {2}all schedules: \d+ states, \d+ steps, the longest schedule \d+$/m);
	expect(out).toContain("1 received, 1 dropped; returned 0 1 (1 end)");
	expect(out).toContain("sequentially consistent");
});

test("a limit on preemptions or states is said", async () => {
	expect((await explore("irq", "--preemptions", "1")).out).toContain(
		"all schedules with at most 1 preemptions: ",
	);
	expect((await explore("irq", "--max-states", "200")).out).toContain("not complete: stopped at 200 states");
});

test("random schedules, as JSON", async () => {
	const { out, code } = await explore("discard", "--random", "50", "--seed", "7", "--json");
	expect(code).toBe(0);
	const r = JSON.parse(out) as Record<string, unknown>;
	expect(r).toMatchObject({
		scenario: "discard",
		search: "random",
		schedules: 50,
		complete: false,
		finding: null,
	});
	expect(r.outcomes).toEqual({ "1 received, 0 dropped; returned 0 0": 50 });
});

test("what is wrong with an object of one's own is found, shown step by step, and found again", async () => {
	const own = ["--object", object, "--task", "silent@0", "--task", "produce@1", "--consumer", "epoll"];
	const first = await explore(...own);
	expect(first.code).toBe(1);
	expect(first.out).toMatch(/^ {2}lost: the record that silent\/cpu0 submitted at data\+\d+ never came out/m);
	expect(first.out).toMatch(/^ {2}silent\/cpu0 +write \d+ producer_pos$/m);
	const again = / --replay (\S+)$/m.exec(first.out)![1]!;
	const second = await explore(...own, "--replay", again);
	expect(second.code).toBe(1);
	const finding = (s: string) => /^ {2}lost: .*$/m.exec(s)?.[0];
	expect(finding(second.out)).toBe(finding(first.out));
	// and by the seed of a random schedule
	const random = await explore(...own, "--random", "1000", "--json");
	expect(random.code).toBe(1);
	const { replay } = (JSON.parse(random.out) as { finding: { replay: string } }).finding;
	expect((await explore(...own, "--replay", replay)).code).toBe(1);
	expect((await explore(...own, "--replay", "0*3,9")).err).toMatch(
		/^the schedule does not fit explore: step \d+/,
	);
});

test("what a variable must be in the end is held against every end", async () => {
	const two = (prog: string) => ["--object", object, "--task", `${prog}@0`, "--task", `${prog}@1`];
	const lost = await explore(...two("plain"), "--expect", "plain_sum=2");
	expect(lost.code).toBe(1);
	expect(lost.out).toMatch(/^ {2}assertion: plain_sum is 1, not 2$/m);
	expect(lost.out).toMatch(/ --expect plain_sum=2 --consumer poll --replay \S+$/m);
	expect((await explore(...two("atomic"), "--expect", "atomic_sum=2")).code).toBe(0);
	expect((await explore(...two("plain"), "--expect", "nothing=2")).err).toBe(
		"explore has no variable nothing\n",
	);
});

test("a program that cannot be taken back is named", async () => {
	const { err, code } = await explore("--object", object, "--task", "update");
	expect(err).toBe("update/cpu0 calls htab_map_update_elem, which cannot be taken back\n");
	expect(code).toBe(1);
});

test("a mistake is one line", async () => {
	const cases: [string[], RegExp][] = [
		[["nothing"], /^there is no scenario nothing \(--list names them\)\n$/],
		[["user-ring", "--interpret"], /^user-ring has callbacks, which the interpreter does not run\n$/],
		[["irq", "--replay", "x"], /^--replay x: a seed, or a schedule as a finding names it\n$/],
		[["irq", "--preemptions", "x"], /^--preemptions x: a number, or none\n$/],
		[["--object", "/nowhere.o", "--task", "a"], /^ENOENT: .*\n$/],
		[["--object", object], /^no program to run: --task, --irq or --nmi\n$/],
		[["--object", object, "--task", "produce@x"], /^produce@x is not PROG\[@CPU\]\[\*RUNS\]\n$/],
		[["--object", object, "--task", "none"], /^the object has no program none\n$/],
		[["--object", object, "--task", "produce", "--set", "a=1"], /^the object has no constant a\n$/],
	];
	for (const [args, line] of cases) {
		const { err, code } = await explore(...args);
		expect(err).toMatch(line);
		expect(code).toBe(1);
	}
});
