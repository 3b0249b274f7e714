// SPDX-License-Identifier: GPL-2.0-only
/** Which tests run: names, patterns and numbers as test_progs takes them (testing_helpers.c, test_progs.c). */
import { readFileSync } from "node:fs";

/** A test's pattern and those of its subtests. */
interface TestFilter {
	readonly name: string;
	readonly subtests: string[];
}

/** testing_helpers.c: glob_match: `*` stands for any characters. */
export function globMatch(str: string, pat: string): boolean {
	const re = pat
		.split("*")
		.map((s) => s.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
		.join(".*");
	return new RegExp(`^${re}$`, "s").test(str);
}

/** testing_helpers.c: parse_num_list: `1,3-5`; null where that is no list. */
export function parseNumList(s: string): Set<number> | null {
	const set = new Set<number>();
	for (const part of s.split(",")) {
		const m = /^(\d+)(?:-(\d+))?$/.exec(part);
		if (!m) return null;
		const start = Number(m[1]);
		const end = m[2] === undefined ? start : Number(m[2]);
		if (start > end || end > 1_000_000) return null;
		for (let i = start; i <= end; i++) set.add(i);
	}
	return set;
}

/** struct test_filter_set */
export class FilterSet {
	readonly tests: TestFilter[] = [];

	/** testing_helpers.c: insert_test: `test` or `test/subtest`; names that are no patterns match anywhere. */
	insert(spec: string, glob: boolean): void {
		const wrap = (s: string) => (glob ? s : `*${s}*`);
		const slash = spec.indexOf("/");
		const name = wrap(slash < 0 ? spec : spec.slice(0, slash));
		let test = this.tests.find((t) => t.name === name);
		if (!test) {
			test = { name, subtests: [] };
			this.tests.push(test);
		}
		if (slash < 0) return;
		const subtest = wrap(spec.slice(slash + 1));
		if (!test.subtests.includes(subtest)) test.subtests.push(subtest);
	}

	/** A list separated by commas, or the lines of a file (`@file`, `#` begins a comment). */
	parse(arg: string, glob: boolean): void {
		const specs = arg.startsWith("@")
			? readFileSync(arg.slice(1), "utf8")
					.split("\n")
					.map((l) => l.replace(/#.*/, "").trim())
			: arg.split(",");
		for (const spec of specs) if (spec !== "") this.insert(spec, glob);
	}

	/** match_subtest() */
	matchSubtest(test: string, subtest: string): boolean {
		return this.tests.some(
			(t) =>
				globMatch(test, t.name) && (t.subtests.length === 0 || t.subtests.some((s) => globMatch(subtest, s))),
		);
	}
}

/** struct test_selector, for tests and for the subtests of those chosen by number. */
export class Selector {
	readonly whitelist = new FilterSet();
	readonly blacklist = new FilterSet();
	numbers: Set<number> | null = null;
	subtestNumbers: Set<number> | null = null;

	/** test_progs.c: should_run */
	shouldRun(num: number, name: string): boolean {
		if (this.blacklist.tests.some((t) => t.subtests.length === 0 && globMatch(name, t.name))) return false;
		if (this.whitelist.tests.some((t) => globMatch(name, t.name))) return true;
		if (this.whitelist.tests.length === 0 && !this.numbers) return true;
		return this.numbers?.has(num) ?? false;
	}

	/** test_progs.c: should_run_subtest */
	shouldRunSubtest(num: number, test: string, subtest: string): boolean {
		if (this.blacklist.matchSubtest(test, subtest)) return false;
		if (this.whitelist.matchSubtest(test, subtest)) return true;
		if (this.whitelist.tests.length === 0 && !this.subtestNumbers) return true;
		return this.subtestNumbers?.has(num) ?? false;
	}
}
