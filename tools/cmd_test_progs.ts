// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror test_progs`: the ported selftests, or unmodified upstream objects, with upstream's flags. */
import type { CommandModule } from "yargs";
import { parseNumList, Selector } from "../selftests/bpf/filter.ts";
import { progTests } from "../selftests/bpf/prog_tests/index.ts";
import { TestProgs } from "../selftests/bpf/test_progs.ts";
import { bootTestKernel, type MirrorArch } from "./mirror.ts";

interface Args {
	num: string | undefined;
	name: string[] | undefined;
	"name-blacklist": string[] | undefined;
	allow: string[] | undefined;
	deny: string[] | undefined;
	"verifier-stats": boolean;
	verbose: string[] | undefined;
	count: boolean;
	list: boolean;
	workers: string | undefined;
	"json-summary": string | undefined;
	debug: boolean;
	arch: string;
}

/** -v, -vv and -vvv as test_progs.c reads them: -v with an argument of `v`, `vv`. */
export function verbosityOf(given: readonly string[] | undefined): number | null {
	if (!given || given.length === 0) return 0;
	// yargs gives one entry an occurrence: -vv is two of them, --verbose=v one with a value.
	let level = 0;
	for (const v of given) {
		if (v === "") level++;
		else if (/^v+$/.test(v)) level += 1 + v.length;
		else return null;
	}
	return level > 3 ? null : level;
}

export function testProgsCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "test_progs",
		describe: "Run the BPF selftests on an emulated kernel",
		builder: (y) =>
			y
				.option("num", {
					alias: "n",
					type: "string",
					requiresArg: true,
					describe: "Run test number NUM only",
				})
				.option("name", {
					alias: "t",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Run tests with names containing any string from NAMES list",
				})
				.option("name-blacklist", {
					alias: "b",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Don't run tests with names containing any string from NAMES list",
				})
				.option("allow", {
					alias: "a",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Run tests with name matching the pattern (supports '*' wildcard)",
				})
				.option("deny", {
					alias: "d",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Don't run tests with name matching the pattern (supports '*' wildcard)",
				})
				.option("verifier-stats", {
					alias: "s",
					type: "boolean",
					default: false,
					describe: "Output verifier statistics",
				})
				.option("verbose", {
					alias: "v",
					type: "string",
					array: true,
					nargs: 0,
					describe: "Verbose output (use -vv or -vvv for progressively verbose output)",
				})
				.option("count", {
					alias: "c",
					type: "boolean",
					default: false,
					describe: "Get number of selected top-level tests",
				})
				.option("list", {
					alias: "l",
					type: "boolean",
					default: false,
					describe: "List test names that would run (without running them)",
				})
				.option("workers", {
					alias: "j",
					type: "string",
					describe: "Number of workers to run in parallel, default to number of cpus",
				})
				.option("json-summary", {
					alias: "J",
					type: "string",
					requiresArg: true,
					describe: "Write report in json format to this file",
				})
				.option("debug", {
					type: "boolean",
					default: false,
					describe: "print extra debug information for test_progs",
				})
				.option("arch", {
					type: "string",
					choices: ["x86_64"],
					default: "x86_64",
					describe: "Architecture of the emulated kernel",
				}),
		handler: async (args) => {
			const selector = new Selector();
			const bad = (line: string) => {
				process.stderr.write(`${line}\n`);
				done(1);
			};
			try {
				for (const s of args.name ?? []) selector.whitelist.parse(s, false);
				for (const s of args.allow ?? []) selector.whitelist.parse(s, true);
				for (const s of args["name-blacklist"] ?? []) selector.blacklist.parse(s, false);
				for (const s of args.deny ?? []) selector.blacklist.parse(s, true);
			} catch (e) {
				return bad(`Failed to read a list of tests: ${(e as Error).message}`);
			}
			if (args.num !== undefined) {
				const [test, subtest] = args.num.split("/", 2);
				if (subtest !== undefined) {
					selector.subtestNumbers = parseNumList(subtest);
					if (!selector.subtestNumbers) return bad("Failed to parse subtest numbers.");
				}
				selector.numbers = parseNumList(test!);
				if (!selector.numbers) return bad("Failed to parse test numbers.");
			}
			const verbosity = verbosityOf(args.verbose);
			if (verbosity === null)
				return bad(
					`Unrecognized verbosity setting ('${args.verbose?.join("")}'), only -v and -vv are supported`,
				);
			if (args.workers !== undefined && args.workers !== "" && !(Number.parseInt(args.workers, 10) > 0))
				return bad(`Invalid number of worker: ${args.workers}.`);
			const progs = new TestProgs(progTests, {
				selector,
				verbosity,
				count: args.count,
				list: args.list,
				json: args["json-summary"] ?? null,
				out: (text) => process.stdout.write(text),
			});
			if (args.count || args.list) return done(progs.describe());
			const kernel = await bootTestKernel({ arch: args.arch as MirrorArch, verbosity });
			done(await progs.run(kernel));
		},
	};
}
