// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror test_progs`: the ported selftests, or unmodified upstream objects, with upstream's flags. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { basename } from "node:path";
import type { CommandModule } from "yargs";
import { parseNumList, Selector } from "../selftests/bpf/filter.ts";
import { progTests } from "../selftests/bpf/prog_tests/index.ts";
import type { TestKernel } from "../selftests/bpf/test_env.ts";
import { TestProgs } from "../selftests/bpf/test_progs.ts";
import { objectTest } from "../selftests/bpf/upstream_objects/index.ts";
import { fileOfArch, parseArches } from "./arches.ts";
import { colours } from "./colours.ts";
import { openTestKernel, parseKernel } from "./kernels/open_kernel.ts";
import { bootTestKernel } from "./mirror.ts";
import { type PlugArgs, pluggedBtf, plugOptions } from "./plug_btf.ts";
import { startWorkers } from "./test_progs_workers.ts";

interface Args extends PlugArgs {
	num: string | undefined;
	name: string[] | undefined;
	"name-blacklist": string[] | undefined;
	allow: string[] | undefined;
	deny: string[] | undefined;
	"verifier-stats": boolean;
	verbose: number;
	count: boolean;
	list: boolean;
	workers: string | undefined;
	"json-summary": string | undefined;
	object: string[] | undefined;
	debug: boolean;
	arch: string;
	kernel: string;
	"state-embedding": boolean;
}

/** What says which tests run, as a worker gets it too. */
export type SelectArgs = Pick<Args, "num" | "name" | "name-blacklist" | "allow" | "deny">;

/** The tests that the flags select, or what is wrong with them. */
export function selectorOf(args: SelectArgs): Selector | string {
	const selector = new Selector();
	try {
		for (const s of args.name ?? []) selector.whitelist.parse(s, false);
		for (const s of args.allow ?? []) selector.whitelist.parse(s, true);
		for (const s of args["name-blacklist"] ?? []) selector.blacklist.parse(s, false);
		for (const s of args.deny ?? []) selector.blacklist.parse(s, true);
	} catch (e) {
		return `Failed to read a list of tests: ${(e as Error).message}`;
	}
	if (args.num !== undefined) {
		const [test, subtest] = args.num.split("/", 2);
		if (subtest !== undefined) {
			selector.subtestNumbers = parseNumList(subtest);
			if (!selector.subtestNumbers) return "Failed to parse subtest numbers.";
		}
		selector.numbers = parseNumList(test!);
		if (!selector.numbers) return "Failed to parse test numbers.";
	}
	return selector;
}

export function testProgsCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "test_progs",
		describe: "Run the BPF selftests on an emulated kernel",
		builder: (y) =>
			plugOptions(y)
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
					type: "count",
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
					describe:
						"Write report in json format to this file (FILE.ARCH.json each with several architectures)",
				})
				.option("debug", {
					type: "boolean",
					default: false,
					describe: "print extra debug information for test_progs",
				})
				.option("state-embedding", {
					type: "boolean",
					default: false,
					describe: "Hold every executed instruction against the states that the verifier recorded (slow)",
				})
				.option("object", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "Run the annotated programs of these objects instead, as test_loader does",
				})
				.option("kernel", {
					type: "string",
					default: "mirror",
					requiresArg: true,
					describe:
						"Kernel to run on: mirror, host (the machine's own, as root; nothing is attached there), vm:x86_64 or vm:arm64 (a real 6.12 under QEMU)",
				})
				.option("arch", {
					type: "string",
					default: "x86_64",
					describe: "Architecture of the emulated kernel: x86_64, arm64, or both with a comma between",
				}),
		handler: async (args) => {
			const bad = (line: string) => {
				process.stderr.write(`${line}\n`);
				done(1);
			};
			const selector = selectorOf(args);
			if (typeof selector === "string") return bad(selector);
			const spec = parseKernel(args.kernel);
			if (typeof spec === "string") return bad(spec);
			const mirrored = spec.kind === "mirror";
			const named = parseArches(args.arch);
			if (typeof named === "string") return bad(named);
			// a real kernel has one
			const arches = mirrored ? named : named.slice(0, 1);
			const verbosity = args.verbose;
			if (verbosity > 3)
				return bad(
					`Unrecognized verbosity setting ('${"v".repeat(verbosity - 1)}'), only -v and -vv are supported`,
				);
			const workers =
				args.workers === undefined ? 0 : args.workers === "" ? cpus().length : Number(args.workers);
			if (args.workers !== undefined && !(Number.isInteger(workers) && workers > 0))
				return bad(`Invalid number of worker: ${args.workers}.`);
			const plugs = args["vmlinux-btf"] !== undefined || args["module-btf"] || args["state-embedding"];
			if (!mirrored && (plugs || workers))
				return bad("-j, --state-embedding and BTF to plug in are for the emulated kernel only");
			let tests = progTests;
			const plugged = pluggedBtf(args);
			if (typeof plugged === "string") return bad(plugged);
			try {
				if (args.object)
					tests = args.object.map((file) => objectTest(basename(file, ".bpf.o"), readFileSync(file)));
			} catch (e) {
				return bad((e as Error).message);
			}
			if (workers && (args.object || args["vmlinux-btf"] !== undefined || args["module-btf"]))
				return bad("-j goes with the ported tests and the built-in BTF only");
			const { name, num, allow, deny } = args;
			const select: SelectArgs = { name, num, allow, deny, "name-blacklist": args["name-blacklist"] };
			let status = 0;
			for (const arch of arches) {
				const json = args["json-summary"];
				const progs = new TestProgs(tests, {
					selector,
					verbosity,
					count: args.count,
					list: args.list,
					json: json === undefined ? null : arches.length > 1 ? fileOfArch(json, arch) : json,
					verifierStats: args["verifier-stats"],
					out: (text) => process.stdout.write(text),
				});
				if (args.count || args.list) return done(progs.describe());
				// a line of its own: those of test_progs stay as upstream prints them
				if (arches.length > 1) process.stdout.write(colours.bold(`${arch}:\n`));
				const stateEmbedding = args["state-embedding"];
				let code: number;
				if (workers) {
					const options = { select, verbosity, verifierStats: args["verifier-stats"], arch, stateEmbedding };
					code = await progs.runParallel(startWorkers(workers, options));
				} else {
					let kernel: TestKernel;
					try {
						kernel = mirrored
							? await bootTestKernel({ arch, verbosity, stateEmbedding, boot: plugged })
							: await openTestKernel(spec);
					} catch (e) {
						if (mirrored || !(e instanceof Error)) throw e;
						return bad(e.message);
					}
					code = await progs.run(kernel);
					await kernel.close?.();
				}
				status ||= code;
			}
			done(status);
		},
	};
}
