// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { object_bytes } from "../../tools/lib/bpf/testing.ts";
import { FakeSys } from "../../tools/upstream/fake_sys.ts";
import {
	fixed2,
	glob_matches,
	parse_filter,
	Veristat,
	VeristatError,
	type VeristatOptions,
} from "./veristat.ts";

const DEFAULTS: VeristatOptions = {
	files: [],
	verbose: false,
	debug: false,
	quiet: false,
	log_level: 0,
	log_fixed: false,
	log_size: 0,
	top_n: 0,
	emit: [],
	sort: [],
	output_format: "table",
	compare: false,
	replay: false,
	filters: [],
	test_states: false,
	test_reg_invariants: false,
};

let dir = "";
beforeAll(() => {
	dir = mkdtempSync(join(tmpdir(), "veristat-"));
	const header = "file_name,prog_name,verdict,duration,total_insns,total_states\n";
	writeFileSync(
		join(dir, "a.csv"),
		`${header}x.o,one,success,10,100,5\nx.o,two,failure,7,0,1\ny.o,three,success,1,50,2\n`,
	);
	writeFileSync(
		join(dir, "b.csv"),
		`${header}x.o,one,success,10,150,5\nx.o,two,success,7,9,1\nz.o,four,success,3,4,5\n`,
	);
	writeFileSync(join(dir, "short.csv"), `${header}x.o,one,success\n`);
	writeFileSync(join(dir, "filters"), "# a comment\n\nx.o/one\n!two\n");
	writeFileSync(join(dir, "prog.bpf.o"), object_bytes("test_libbpf"));
	writeFileSync(join(dir, "text.o"), "no object\n");
});
afterAll(() => rmSync(dir, { recursive: true }));

function run(o: Partial<VeristatOptions>): string[] {
	let text = "";
	const sys = new FakeSys();
	const io = { out: (t: string) => (text += t), err: (t: string) => (text += t) };
	const files = (o.files ?? []).map((f) => join(dir, f));
	const filters = (o.filters ?? []).map((f) => f.replace("@", `@${dir}/`));
	expect(
		new Veristat({ ...DEFAULTS, ...o, files, filters }, sys, {
			out: (t) => void io.out(t),
			err: (t) => void io.err(t),
		}).run(),
	).toBe(0);
	return text.split("\n").slice(0, -1);
}

describe("a table of results", () => {
	it("has aligned columns, underlines and a last line", () => {
		expect(run({ files: ["a.csv"], replay: true })).toEqual([
			"File  Program  Verdict  Duration (us)  Insns  States  Peak states",
			"----  -------  -------  -------------  -----  ------  -----------",
			"x.o   one      success             10    100       5            0",
			"x.o   two      failure              7      0       1            0",
			"y.o   three    success              1     50       2            0",
			"----  -------  -------  -------------  -----  ------  -----------",
			"Done. Processed 0 files, 0 programs. Skipped 0 files, 0 programs.",
		]);
	});

	it("is sorted and has the columns as asked; --top-n cuts it without an end", () => {
		expect(run({ files: ["a.csv"], replay: true, emit: ["prog,insns"], sort: ["insns"], top_n: 2 })).toEqual([
			"Program  Insns",
			"-------  -----",
			"one        100",
			"three       50",
		]);
		expect(
			run({ files: ["a.csv"], replay: true, emit: ["prog"], sort: ["insns^"], output_format: "csv" }),
		).toEqual(["prog_name", "two", "three", "one"]);
	});

	it("is filtered by names, stats and files of filters", () => {
		const names = (filters: string[]): string[] =>
			run({ files: ["a.csv"], replay: true, emit: ["prog"], output_format: "csv", filters }).slice(1);
		expect(names(["x.o"])).toEqual(["one", "two"]);
		expect(names(["x.o/t*"])).toEqual(["two"]);
		expect(names(["!x.o"])).toEqual(["three"]);
		expect(names(["insns>=50"])).toEqual(["one", "three"]);
		expect(names(["verdict=fail"])).toEqual(["two"]);
		expect(names(["!insns<60"])).toEqual(["one"]);
		expect(names(["@filters"])).toEqual(["one"]);
	});
});

describe("a comparison", () => {
	it("shows both and the difference", () => {
		expect(run({ files: ["a.csv", "b.csv"], compare: true, emit: ["prog,verdict,insns"] })).toEqual([
			"Program  Verdict (A)  Verdict (B)  Verdict (DIFF)  Insns (A)  Insns (B)  Insns  (DIFF)",
			"-------  -----------  -----------  --------------  ---------  ---------  -------------",
			"one      success      success      MATCH                 100        150  +50 (+50.00%)",
			"two      failure      success      MISMATCH                0          9  +9 (+100.00%)",
			"three    success      N/A          N/A                    50        N/A            N/A",
			"four     N/A          success      N/A                   N/A          4            N/A",
		]);
	});

	it("is filtered and sorted by differences", () => {
		const o = { files: ["a.csv", "b.csv"], compare: true, emit: ["prog"], output_format: "csv" };
		// what is on one side only counts as a huge difference
		expect(run({ ...o, filters: ["insns_pct>60"] }).slice(1)).toEqual(["two", "three", "four"]);
		expect(run({ ...o, filters: ["insns_diff=50"] }).slice(1)).toEqual(["one"]);
		expect(run({ ...o, filters: ["verdict_diff=mismatch"] }).slice(1)).toEqual(["two"]);
		expect(run({ ...o, filters: ["insns_diff<40", "!insns_pct>1000"] }).slice(1)).toEqual(["two"]);
	});
});

describe("objects", () => {
	it("are loaded program by program", () => {
		const lines = run({ files: ["prog.bpf.o", "text.o"], filters: ["*/c*"] });
		expect(lines[0]).toBe("Processing 'prog.bpf.o'...");
		expect(lines.filter((l) => l.startsWith("prog.bpf.o")).length).toBe(4);
		expect(lines.at(-1)).toBe("Done. Processed 1 files, 4 programs. Skipped 1 files, 2 programs.");
	});
});

describe("what makes no sense", () => {
	/** What is said, without the usage, and the exit status. */
	const refused = (o: Partial<VeristatOptions>): [string, number] => {
		try {
			run(o);
		} catch (e) {
			expect(e).toBeInstanceOf(VeristatError);
			const { message, status } = e as VeristatError;
			return [message.replaceAll(`${dir}/`, ""), status];
		}
		throw new Error("went through");
	};
	it("is refused in veristat's words, with its exit status", () => {
		const misused = (o: Partial<VeristatOptions>): [string, number] => {
			const [text, status] = refused(o);
			const [said, usage] = text.split("\n\n");
			expect(usage).toMatch(/^Usage: veristat \[-CdqrRtvV\] .*\n.*\[--compare\]/);
			return [said!, status];
		};
		expect(misused({})).toEqual(["Please provide path to BPF object file!", 22]);
		expect(misused({ verbose: true, quiet: true })).toEqual([
			"Verbose and quiet modes are incompatible, please specify just one or neither!",
			1,
		]);
		expect(misused({ compare: true, replay: true })).toEqual([
			"Can't specify replay and comparison mode at the same time!",
			1,
		]);
		expect(misused({ compare: true, files: ["a.csv"] })).toEqual([
			"Comparison mode expects exactly two input CSV files!",
			22,
		]);
		expect(misused({ replay: true })).toEqual(["Replay mode expects exactly one input CSV file!", 22]);
		expect(refused({ emit: ["nonsense"] })).toEqual(["Unrecognized stat name 'nonsense'", 1]);
		expect(refused({ output_format: "xml" })).toEqual(["Unrecognized output format 'xml'", 1]);
		const csv = (file: string): [string, number] => refused({ replay: true, files: [file] });
		expect(csv("short.csv")).toEqual([
			"Not enough columns in row #1 in 'short.csv'\nFailed to parse stats from 'short.csv': -22",
			22,
		]);
		expect(csv("none.csv")).toEqual([
			"Failed to open 'none.csv': -2\nFailed to parse stats from 'none.csv': -2",
			2,
		]);
		const filter = (text: string): [string, number] => refused({ filters: [text] });
		const collect = "\nFailed to collect program filter expressions: ";
		expect(filter("file=3")).toEqual([`Non-integer stat is specified in 'file=3'!${collect}-22`, 1]);
		expect(filter("insns=many")).toEqual([`Invalid integer value in 'insns=many'!${collect}-22`, 1]);
		expect(filter("@none")).toEqual([`Failed to open filters in 'none': -2${collect}-2`, 1]);
	});
});

it("percentages are rounded as printf does", () => {
	// halves that a double holds go to the even digit; those it does not hold are none
	expect([-90.625, 90.625, 90.875, 0.125, -0.375].map(fixed2)).toEqual([
		"-90.62",
		"90.62",
		"90.88",
		"0.12",
		"-0.38",
	]);
	expect([1.005, 2.675, 33.333333, 0, -100, 0.135].map(fixed2)).toEqual([
		"1.00",
		"2.67",
		"33.33",
		"0.00",
		"-100.00",
		"0.14",
	]);
});

it("globs know only the star", () => {
	for (const [str, pat, want] of [
		["abc", "abc", true],
		["abc", "a*", true],
		["abc", "*c", true],
		["abc", "a*b*c", true],
		["abc", "b", false],
		["abc", "a?c", false],
		["", "*", true],
		["abc", "ab", false],
	] as const)
		expect(glob_matches(str, pat), `${str} ${pat}`).toBe(want);
	expect(parse_filter("a/")).toEqual({ kind: "name", any: null, file: "a", prog: null });
});
