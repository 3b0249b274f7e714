// SPDX-License-Identifier: GPL-2.0-only
/** The test runner: selection, lines, logs, summary and JSON as test_progs prints them (test_progs.c). */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { SysRefused } from "../../include/sys.ts";
import type { Selector } from "./filter.ts";
import {
	type ProgTest,
	SubtestState,
	TestEnv,
	type TestKernel,
	type TestSink,
	TestState,
	why_not,
} from "./test_env.ts";

export const EXIT_NO_TEST = 2;
export const EXIT_ERR_SETUP_INFRA = 3;

/** What the flags say. */
export interface TestProgsOptions {
	readonly selector: Selector;
	/** 0, 1 (-v), 2 (-vv), 3 (-vvv) */
	readonly verbosity: number;
	readonly count: boolean;
	readonly list: boolean;
	readonly json: string | null;
	/** -s: print what the verifier says of its work. */
	readonly verifierStats: boolean;
	/** In a worker nothing is printed: all is in the logs. */
	readonly worker?: boolean;
	/** Where lines go. */
	readonly out: (text: string) => void;
}

interface Def {
	readonly test: ProgTest;
	readonly num: number;
	readonly state: TestState;
}

const TEST_NUM_WIDTH = 7;

function testResult(failed: boolean, skipped: boolean): string {
	return failed ? "FAIL" : skipped ? "SKIP" : "OK";
}

/** `#12      ringbuf:OK` */
export function testLine(num: number, name: string, state: TestState): string {
	const n = state.subtests.length;
	const result = state.error_cnt
		? "FAIL"
		: !state.skip_cnt
			? "OK"
			: state.skip_cnt === n || n === 0
				? "SKIP"
				: `OK (SKIP: ${state.skip_cnt}/${n})`;
	return `#${String(num).padEnd(TEST_NUM_WIDTH)} ${name}:${result}\n`;
}

/** `#12/3    arena_list/arena_list_1:OK` */
export function subtestLine(num: number, subNum: number, test: string, sub: SubtestState): string {
	const result = testResult(sub.error_cnt > 0, sub.skipped);
	return `#${`${num}/${subNum}`.padEnd(TEST_NUM_WIDTH)} ${test}/${sub.name}:${result}\n`;
}

function withNewline(log: string): string {
	return log === "" || log.endsWith("\n") ? log : `${log}\n`;
}

interface JsonTest {
	name: string;
	number: number;
	message: string;
	failed: boolean;
	subtests: { name: string; number: number; message: string; failed: boolean }[];
}

/** A finished test, as a worker sends it. */
export type TestStateData = Pick<
	TestState,
	"error_cnt" | "skip_cnt" | "sub_succ_cnt" | "force_log" | "log"
> & {
	readonly subtests: readonly Pick<SubtestState, "name" | "error_cnt" | "skipped" | "filtered" | "log">[];
};

/** Another kernel that takes tests by number (-j). */
export interface TestWorker {
	run(num: number): Promise<TestStateData>;
	end(): Promise<void>;
}

/** Runs tests on a kernel; the exit status of test_progs. */
export class TestProgs {
	private readonly options: TestProgsOptions;
	private readonly defs: Def[];

	constructor(tests: readonly ProgTest[], options: TestProgsOptions) {
		this.options = options;
		this.defs = tests.map((test, i) => ({ test, num: i + 1, state: new TestState() }));
	}

	private get verbose(): boolean {
		return this.options.verbosity > 0;
	}

	/** Whether lines come out while a test runs. */
	private get live(): boolean {
		return this.verbose && !this.options.worker;
	}

	private get selected(): Def[] {
		return this.defs.filter((d) => this.options.selector.shouldRun(d.num, d.test.name));
	}

	/** -c and -l: no kernel is needed. */
	describe(): number {
		const { out, count } = this.options;
		const defs = this.selected;
		if (count) out(`${defs.length}\n`);
		else for (const d of defs) out(`${d.test.name}\n`);
		return defs.length ? 0 : EXIT_NO_TEST;
	}

	async run(kernel: TestKernel): Promise<number> {
		if (!this.openJson()) return EXIT_ERR_SETUP_INFRA;
		for (const d of this.selected) await this.runOne(d, kernel);
		return this.summary();
	}

	/** Each test on the worker that is free next; they are shown as they end. */
	async runParallel(workers: readonly TestWorker[]): Promise<number> {
		if (!this.openJson()) return EXIT_ERR_SETUP_INFRA;
		const left = this.selected;
		const work = async (worker: TestWorker): Promise<void> => {
			for (let d = left.shift(); d; d = left.shift()) {
				Object.assign(d.state, await worker.run(d.num), { tested: true });
				this.dump(d, false, null);
			}
			await worker.end();
		};
		await Promise.all(workers.map(work));
		return this.summary();
	}

	/** In a worker: run one test and hand over what it left. */
	async runNumber(num: number, kernel: TestKernel): Promise<TestStateData> {
		const d = this.defs[num - 1]!;
		await this.runOne(d, kernel);
		return structuredClone({ ...d.state });
	}

	private openJson(): boolean {
		if (this.options.json === null) return true;
		try {
			closeSync(openSync(this.options.json, "w"));
			return true;
		} catch (e) {
			process.stderr.write(`Failed to open json summary file: ${(e as Error).message}\n`);
			return false;
		}
	}

	private async runOne(d: Def, kernel: TestKernel): Promise<void> {
		const { test, num, state } = d;
		let sub: SubtestState | null = null;
		const sink: TestSink = {
			print: (text) => {
				if (this.live) this.options.out(text);
				else if (sub) sub.log += text;
				else state.log += text;
			},
			startSubtest: (name) => {
				const s = new SubtestState(name);
				state.subtests.push(s);
				if (!this.options.selector.shouldRunSubtest(state.subtests.length, test.name, name)) {
					s.filtered = true;
					return false;
				}
				sub = s;
				return true;
			},
			endSubtest: () => {
				const s = sub;
				if (!s) return;
				if (s.error_cnt) state.error_cnt++;
				else if (s.skipped) state.skip_cnt++;
				else state.sub_succ_cnt++;
				if (this.live) this.options.out(subtestLine(num, state.subtests.length, test.name, s));
				sub = null;
			},
		};
		const sys = kernel.newProcess();
		const env = new TestEnv(kernel, sys, test.name, state, sink, this.options);
		try {
			const why = why_not(test, kernel) ?? env.newer(test.name);
			if (why !== null) env.skip(why);
			else await test.run(env);
		} catch (e) {
			if (e instanceof SysRefused) env.skip(e.message);
			else env.fail();
			if (!(e instanceof SysRefused))
				env.printf(
					`${test.name}:FAIL:exception ${e instanceof Error ? (e.stack ?? e.message) : String(e)}\n`,
				);
		}
		env.endSubtest();
		await kernel.endProcess(sys);
		const leaks = await kernel.leaks();
		for (const line of leaks) env.printFail(`left behind: ${line}\n`);
		if (state.error_cnt) for (const line of kernel.dmesg()) sink.print(`[kernel] ${line}\n`);
		else kernel.dmesg();
		state.tested = true;
		if (this.live) this.options.out(testLine(num, test.name, state));
		else if (!this.options.worker) this.dump(d, false, null);
	}

	/** dump_test_log() */
	private dump(d: Def, skipOkSubtests: boolean, json: JsonTest[] | null): void {
		const { out } = this.options;
		const { state, test, num } = d;
		const failed = state.error_cnt > 0;
		const printTest = this.verbose || state.force_log || failed;
		if (printTest) out(withNewline(state.log));
		const entry: JsonTest = { name: test.name, number: num, message: state.log, failed, subtests: [] };
		for (const [i, sub] of state.subtests.entries()) {
			if (sub.filtered || (skipOkSubtests && !sub.error_cnt)) continue;
			const printSub = this.verbose || state.force_log || sub.error_cnt > 0;
			if (printSub) out(withNewline(sub.log));
			out(subtestLine(num, i + 1, test.name, sub));
			if (printSub)
				entry.subtests.push({
					name: sub.name,
					number: i + 1,
					message: sub.log,
					failed: sub.error_cnt > 0,
				});
		}
		if (printTest) json?.push(entry);
		out(testLine(num, test.name, state));
	}

	/** calculate_summary_and_print_errors() */
	private summary(): number {
		const { out, json } = this.options;
		const tested = this.defs.filter((d) => d.state.tested);
		const failed = tested.filter((d) => d.state.error_cnt > 0);
		const succ = tested.length - failed.length;
		const subSucc = tested.reduce((n, d) => n + d.state.sub_succ_cnt, 0);
		const skipped = tested.reduce((n, d) => n + d.state.skip_cnt, 0);
		const results: JsonTest[] = [];
		if (!this.verbose && failed.length) {
			out("\nAll error logs:\n");
			for (const d of failed) this.dump(d, true, results);
		}
		if (json !== null)
			writeFileSync(
				json,
				JSON.stringify({ success: succ, success_subtest: subSucc, skipped, failed: failed.length, results }),
			);
		out(`Summary: ${succ}/${subSucc} PASSED, ${skipped} SKIPPED, ${failed.length} FAILED\n`);
		if (succ + failed.length + skipped === 0) return EXIT_NO_TEST;
		return failed.length ? 1 : 0;
	}
}
