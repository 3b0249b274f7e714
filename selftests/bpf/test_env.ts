// SPDX-License-Identifier: GPL-2.0-only
/** What a selftest is given: a process on a kernel, subtests, and the checks of test_progs.h with their lines. */
import type { Sys } from "../../include/sys.ts";
import { version_diff_of_test } from "../../tools/upstream/version_diffs.ts";

const BPF_LOG_STATS = 4;

/** A kernel that tests run on. */
export interface TestKernel {
	/** Name for people: `mirror x86_64`. */
	readonly name: string;
	/** A new process with all capabilities. */
	newProcess(): Sys;
	/** End a process: its descriptors and memory are given back. */
	endProcess(sys: Sys): Promise<void>;
	/**
	 * What is left behind when nothing should be: pages, objects, descriptors; a line each.
	 * Kernels that cannot tell return none.
	 */
	leaks(): Promise<string[]>;
	/** Kernel log lines since the last call. */
	dmesg(): string[];
	readonly isMirror: boolean;
	/** Its release, as uname(2) has it; without one it is the 6.12 that the tests are written for. */
	readonly release?: string;
	/** Why nothing can be attached there. */
	readonly noAttach?: string;
	/** Its processes are one real process: what one has mapped, all have. */
	readonly oneProcess?: boolean;
	/** Whether a module is loaded, and its BTF there; without this function all of the tests' are. */
	hasModule?(name: string): boolean;
	/** Whether it was built with an option (`FUNCTION_ERROR_INJECTION`); without this function with all that tests need. */
	hasConfig?(option: string): boolean;
	/** Gives back what the kernel as a whole took (a machine that was booted for it). */
	close?(): Promise<void>;
}

/** struct subtest_state */
export class SubtestState {
	readonly name: string;
	error_cnt = 0;
	skipped = false;
	filtered = false;
	log = "";
	constructor(name: string) {
		this.name = name;
	}
}

/** struct test_state */
export class TestState {
	tested = false;
	error_cnt = 0;
	skip_cnt = 0;
	sub_succ_cnt = 0;
	force_log = false;
	log = "";
	readonly subtests: SubtestState[] = [];
}

/** How a running test reaches the runner. */
export interface TestSink {
	/** Output of the test: kept, or shown at once when verbose. */
	print(text: string): void;
	startSubtest(name: string): boolean;
	endSubtest(): void;
}

type Num = number | bigint;

/** A running test. The checks print a line and return whether they held, as the ASSERT_* macros do. */
export class TestEnv {
	readonly kernel: TestKernel;
	/** The test's process. */
	readonly sys: Sys;
	readonly testName: string;
	private readonly state: TestState;
	private readonly sink: TestSink;
	private current: SubtestState | null = null;
	/** Flags that objects are loaded with. */
	private readonly flags: { readonly verbosity: number; readonly verifierStats: boolean };

	constructor(
		kernel: TestKernel,
		sys: Sys,
		testName: string,
		state: TestState,
		sink: TestSink,
		flags: { readonly verbosity: number; readonly verifierStats: boolean },
	) {
		this.flags = flags;
		this.kernel = kernel;
		this.sys = sys;
		this.testName = testName;
		this.state = state;
		this.sink = sink;
	}

	/** Log level that programs are loaded at: the statistics with -s, 1 with -vv, 2 with -vvv. */
	get logLevel(): number {
		return Math.max(0, this.flags.verbosity - 1) | (this.flags.verifierStats ? BPF_LOG_STATS : 0);
	}

	/** Shows the log of a program that was loaded at logLevel; of the statistics alone only their line. */
	verifierLog(log: string): void {
		if (this.flags.verbosity > 1) this.printf(log);
		if (!this.flags.verifierStats) return;
		this.forceLog();
		if (this.flags.verbosity <= 1) this.printf(log.slice(Math.max(0, log.indexOf("processed "))));
	}

	/** test__force_log() */
	forceLog(): void {
		this.state.force_log = true;
	}

	/** test__start_subtest(): false when that subtest is not to run. */
	startSubtest(name: string): boolean {
		this.endSubtest();
		const run = this.sink.startSubtest(name);
		this.current = run ? this.state.subtests[this.state.subtests.length - 1]! : null;
		const newer = run ? this.newer(`${this.testName}/${name}`) : null;
		if (newer === null) return run;
		this.skip(newer);
		this.endSubtest();
		return false;
	}

	/** Why a test or subtest has another outcome on this kernel's release than on 6.12; null when it has not. */
	newer(test: string): string | null {
		const diff = version_diff_of_test(this.kernel.release, test);
		return diff ? `other since ${diff.since}: ${diff.what} (${diff.commit})` : null;
	}

	/** Ends the running subtest, if there is one. */
	endSubtest(): void {
		if (!this.current) return;
		this.sink.endSubtest();
		this.current = null;
	}

	/** test__skip(), with the reason. */
	skip(why: string): void {
		this.printf(`${this.testName}:SKIP:${why}\n`);
		if (this.current) this.current.skipped = true;
		else this.state.skip_cnt++;
	}

	fail(): void {
		if (this.current) this.current.error_cnt++;
		else this.state.error_cnt++;
	}

	printf(text: string): void {
		this.sink.print(text);
	}

	/** PRINT_FAIL() */
	printFail(text: string): void {
		this.fail();
		this.printf(`${this.testName}:FAIL: ${text}`);
	}

	private check(ok: boolean, tag: string, why: () => string): boolean {
		if (ok) {
			this.printf(`${this.testName}:PASS:${tag} 0 nsec\n`);
		} else {
			this.fail();
			this.printf(`${this.testName}:FAIL:${tag} ${why()}\n`);
		}
		return ok;
	}

	ASSERT_TRUE(actual: boolean, name: string): boolean {
		return this.check(actual, name, () => `unexpected ${name}: got FALSE`);
	}
	ASSERT_FALSE(actual: boolean, name: string): boolean {
		return this.check(!actual, name, () => `unexpected ${name}: got TRUE`);
	}
	ASSERT_EQ(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) === BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} != expected ${expected}`,
		);
	}
	ASSERT_NEQ(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) !== BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} == expected ${expected}`,
		);
	}
	ASSERT_LT(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) < BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} >= expected ${expected}`,
		);
	}
	ASSERT_LE(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) <= BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} > expected ${expected}`,
		);
	}
	ASSERT_GT(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) > BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} <= expected ${expected}`,
		);
	}
	ASSERT_GE(actual: Num, expected: Num, name: string): boolean {
		return this.check(
			BigInt(actual) >= BigInt(expected),
			name,
			() => `unexpected ${name}: actual ${actual} < expected ${expected}`,
		);
	}
	ASSERT_STREQ(actual: string, expected: string, name: string): boolean {
		return this.check(
			actual === expected,
			name,
			() => `unexpected ${name}: actual '${actual}' != expected '${expected}'`,
		);
	}
	ASSERT_HAS_SUBSTR(str: string, substr: string, name: string): boolean {
		return this.check(
			str.includes(substr),
			name,
			() => `unexpected ${name}: '${substr}' is not a substring of '${str}'`,
		);
	}
	/** The result is 0. */
	ASSERT_OK(res: number, name: string): boolean {
		return this.check(res === 0, name, () => `unexpected error: ${res} (errno ${res < 0 ? -res : 0})`);
	}
	/** The result is negative. */
	ASSERT_ERR(res: number, name: string): boolean {
		return this.check(res < 0, name, () => `unexpected success: ${res}`);
	}
	ASSERT_OK_FD(fd: number, name: string): boolean {
		return this.check(fd >= 0, name, () => `unexpected fd: ${fd} (errno ${fd < 0 ? -fd : 0})`);
	}
	/** A pointer or ERR_PTR: an object, not a negative errno or null. */
	ASSERT_OK_PTR<T>(ptr: T | number | null, name: string): ptr is T {
		const err = ptr === null ? -22 : typeof ptr === "number" && ptr < 0 ? ptr : 0;
		return this.check(err === 0, name, () => `unexpected error: ${err}`);
	}
	ASSERT_ERR_PTR<T>(ptr: T | number | null, name: string): boolean {
		return this.check(
			ptr === null || (typeof ptr === "number" && ptr < 0),
			name,
			() => `unexpected pointer: ${String(ptr)}`,
		);
	}
	ASSERT_BYTES(actual: Uint8Array, expected: Uint8Array, name: string): boolean {
		const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");
		return this.check(
			Buffer.compare(actual, expected) === 0,
			name,
			() => `unexpected ${name}: actual ${hex(actual)} != expected ${hex(expected)}`,
		);
	}
}

/** Why a test does not run on a kernel, or null. */
export function why_not(test: ProgTest, kernel: TestKernel): string | null {
	if (test.mirrorOnly !== undefined && !kernel.isMirror) return `needs the emulator: ${test.mirrorOnly}`;
	if (test.attaches && kernel.noAttach !== undefined) return kernel.noAttach;
	if (test.needs !== undefined && kernel.hasModule?.(test.needs) === false)
		return `needs module ${test.needs}`;
	return null;
}

/** A test of the suite: its upstream name, and what it does. */
export interface ProgTest {
	readonly name: string;
	/** Why it does not run on kernels other than the mirror (deterministic races, fault injection). */
	readonly mirrorOnly?: string;
	/** It attaches programs, all of it. */
	readonly attaches?: boolean;
	/** Module whose types and functions it is about. */
	readonly needs?: string;
	run(t: TestEnv): Promise<void> | void;
}

/** What a test that is an example too does next, for people: in its output, and shown by `bpf-mirror arena`. */
export function say(t: TestEnv, text: string): void {
	t.printf(`${SAY}${text}\n`);
}
/** How such a line begins. */
export const SAY = "# ";
