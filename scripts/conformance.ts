// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run conformance -- --suite DIR`: the public bpf_conformance suite, run as its own runner runs it, with its
 * options. DIR is a checkout of it, or its folder of tests; BPF_CONFORMANCE may name it instead.
 *
 *     --arch x86_64,arm64 --cpu_version v1,v4 --engine jit,interpret     which of the twelve runs (all of them)
 *     --xdp_prolog --exclude_groups callx --exclude_regex '(imm|intmin)-'   as the suite's Linux job has it (default)
 *
 * Programs go to the plugin in this process; every `--spawn N`-th test also to a process of its own, by argv and stdin
 * as the runner does it.
 */
import yargs from "yargs";
import { ARCHES, parseArches } from "../tools/arches.ts";
import { type RunReport, runSuite, SUITE_ENV, testFiles } from "../tools/conformance/runner.ts";
import { GROUPS, type Group } from "../tools/conformance/suite.ts";
import { setup } from "./setup.ts";

const argv = await yargs(process.argv.slice(2))
	.scriptName("npm run conformance --")
	.strict()
	.option("suite", {
		type: "string",
		default: process.env[SUITE_ENV] ?? "",
		describe: "Its checkout, or its folder of tests",
	})
	.option("arch", { type: "string", default: ARCHES.join(), describe: "Architectures, with a comma between" })
	.option("engine", { type: "string", default: "interpret,jit", describe: "interpret, jit or both" })
	.option("cpu_version", { type: "string", default: "v1,v2,v3,v4", describe: "Instruction set versions" })
	.option("xdp_prolog", { type: "boolean", default: true, describe: "Memory is an XDP program's packet" })
	.option("include_groups", { type: "string", array: true, describe: "Conformance groups to run" })
	.option("exclude_groups", {
		type: "string",
		array: true,
		default: ["callx"],
		describe: "Conformance groups to leave out",
	})
	.option("include_regex", { type: "string", describe: "Only files of such names" })
	.option("exclude_regex", { type: "string", default: "(imm|intmin)-", describe: "No files of such names" })
	.option("spawn", {
		type: "number",
		default: 40,
		describe: "Every so many tests one in a process of its own; 0: none",
	})
	.option("verbose", { alias: "v", type: "boolean", default: false, describe: "A line for each test" })
	.parse();

function fail(line: string): never {
	process.stderr.write(`conformance: ${line}\n`);
	process.exit(2);
}

function groups(given: readonly string[]): Group[] {
	return given
		.flatMap((g) => g.split(","))
		.map(
			(g) => GROUPS.find((x) => x === g) ?? fail(`there is no group ${g}; there are ${GROUPS.join(", ")}`),
		);
}

if (argv.suite === "") fail(`where is the suite? --suite DIR or ${SUITE_ENV}=DIR`);
const files = testFiles(argv.suite);
if (typeof files === "string") fail(files);
const arches = parseArches(argv.arch);
if (typeof arches === "string") fail(arches);
const engines = argv.engine.split(",");
if (engines.some((e) => e !== "jit" && e !== "interpret"))
	fail(`--engine takes jit, interpret or both, not ${argv.engine}`);
const versions = argv.cpu_version
	.split(",")
	.map((v) => (/^v[1-4]$/.test(v) ? Number(v[1]) : fail(`there is no CPU version ${v}`)));
const out = groups(argv.exclude_groups);
const within = argv.include_groups ? groups(argv.include_groups) : GROUPS;

if (!(await setup())) process.exit(1);
let failed = false;
for (const arch of arches)
	for (const engine of engines) {
		for (const version of versions) {
			const r: RunReport = runSuite(files, {
				arch,
				jit: engine === "jit",
				version,
				groups: within.filter((g) => !out.includes(g)),
				includeRegex: argv.include_regex === undefined ? null : new RegExp(argv.include_regex),
				excludeRegex: argv.exclude_regex === "" ? null : new RegExp(argv.exclude_regex),
				xdpProlog: argv.xdp_prolog,
				spawn: argv.spawn,
			});
			for (const t of r.tests)
				if (argv.verbose || t.result === "FAIL" || t.result === "ERROR")
					process.stdout.write(`${t.result}: ${t.name}${t.message ? ` ${t.message}` : ""}\n`);
			const skipped = r.tests.filter((t) => t.result === "SKIP").length;
			process.stdout.write(
				`${arch}, ${engine}, v${version}: Passed ${r.passed} out of ${r.run} tests, ${skipped} skipped, ${r.spawned} of them in a process too.\n`,
			);
			failed ||= r.passed !== r.run;
		}
	}
process.exitCode = failed ? 1 : 0;
