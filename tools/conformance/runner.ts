// SPDX-License-Identifier: GPL-2.0-only
/** The runner of the bpf_conformance suite: selects tests, hands them to the plugin, compares. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ConformancePlugin, xdpProlog } from "../cmd_conformance.ts";
import type { MirrorArch } from "../mirror.ts";
import { type Group, needs, parseSuiteTest, SuiteError, suiteBytes } from "./suite.ts";

/** Names the suite's folder for the tests and for `npm run conformance`. */
export const SUITE_ENV = "BPF_CONFORMANCE";

export interface RunOptions {
	readonly arch: MirrorArch;
	readonly jit: boolean;
	/** Instruction set version, 1 to 4. */
	readonly version: number;
	/** The groups that a test may use. */
	readonly groups: readonly Group[];
	readonly includeRegex: RegExp | null;
	readonly excludeRegex: RegExp | null;
	readonly xdpProlog: boolean;
	/** Every so many of the tests that run, one goes to a process of its own too; 0: none. */
	readonly spawn: number;
}

export interface TestReport {
	readonly name: string;
	readonly result: "PASS" | "FAIL" | "ERROR" | "SKIP";
	readonly message: string;
}

export interface RunReport {
	readonly tests: readonly TestReport[];
	readonly passed: number;
	readonly run: number;
	readonly spawned: number;
}

/** The test files of a checkout or of a folder of tests, in order; or why there are none. */
export function testFiles(dir: string): string[] | string {
	const root = existsSync(join(dir, "tests")) ? join(dir, "tests") : dir;
	let names: string[];
	try {
		names = readdirSync(root);
	} catch (e) {
		return (e as Error).message;
	}
	const files = names.filter((n) => n.endsWith(".data")).sort();
	return files.length ? files.map((n) => join(root, n)) : `${root} has no test of the suite (*.data)`;
}

const spaced = (bytes: Uint8Array): string =>
	Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join(" ");

/** The plugin as the runner starts it: what it prints, or on stderr says. */
function spawnPlugin(
	o: RunOptions,
	program: Uint8Array,
	memory: Uint8Array,
): { status: number; text: string } {
	const plugin = join(import.meta.dirname, "../../scripts/bpf-mirror.mjs");
	const args = ["conformance", ...(memory.length ? [`${spaced(memory)} `] : [])];
	const r = spawnSync(
		process.execPath,
		[plugin, ...args, o.jit ? "--jit" : "--interpret", "--arch", o.arch],
		{
			input: `${spaced(program)} \n`,
			encoding: "utf8",
		},
	);
	return { status: r.status ?? -1, text: (r.stdout || r.stderr).replaceAll("\n", "") };
}

/** One run over all test files. */
export function runSuite(files: readonly string[], o: RunOptions): RunReport {
	const plugin = new ConformancePlugin(o.arch, o.jit);
	const tests: TestReport[] = [];
	let run = 0;
	let passed = 0;
	let executed = 0;
	let spawned = 0;
	for (const file of files) {
		const name = basename(file);
		const skip = (message: string): number => tests.push({ name, result: "SKIP", message });
		let test: ReturnType<typeof parseSuiteTest>;
		try {
			test = parseSuiteTest(readFileSync(file, "utf8"));
		} catch (e) {
			if (!(e instanceof SuiteError)) throw e;
			tests.push({ name, result: "ERROR", message: e.message });
			run++;
			continue;
		}
		if (typeof test === "string") {
			skip(test);
			continue;
		}
		if (o.includeRegex?.test(name) === false) {
			skip("Skipped by include regex.");
			continue;
		}
		if (o.excludeRegex?.test(name)) {
			skip("Skipped by exclude regex.");
			continue;
		}
		let unsupported = false;
		for (let i = 0; i < test.insns.length; i++) {
			const { version, group } = needs(test.insns[i]!);
			unsupported ||= version > o.version || !o.groups.includes(group);
			if (test.insns[i]!.opcode === 0x18) i++;
		}
		if (unsupported) {
			skip("Test file contains unsupported instructions.");
			continue;
		}
		const program = Buffer.concat([
			o.xdpProlog && test.memory.length ? xdpProlog(test.memory.length) : new Uint8Array(),
			suiteBytes(test.insns),
		]);
		run++;
		const { result, error } = test;
		const judge = (status: number, text: string): TestReport => {
			if (status !== 0) {
				if (error === "")
					return {
						name,
						result: "ERROR",
						message: `Plugin returned error code ${status} and output ${text}`,
					};
				return error === text
					? { name, result: "PASS", message: "" }
					: {
							name,
							result: "FAIL",
							message: `Plugin returned error code ${status} and output ${text} but expected ${error}`,
						};
			}
			return BigInt(`0x${text}`) === result
				? { name, result: "PASS", message: "" }
				: {
						name,
						result: "FAIL",
						message: `Plugin returned incorrect return value ${text} expected ${result}`,
					};
		};
		const r0 = plugin.run(program, test.memory, false);
		let report = typeof r0 === "string" ? judge(1, r0) : judge(0, r0.toString(16));
		if (o.spawn && executed++ % o.spawn === 0) {
			spawned++;
			const { status, text } = spawnPlugin(o, program, test.memory);
			if (report.result === "PASS") report = judge(status, text);
		}
		tests.push(report);
		if (report.result === "PASS") passed++;
	}
	return { tests, passed, run, spawned };
}
