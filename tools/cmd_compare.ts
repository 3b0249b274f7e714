// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror compare`: what the mirror makes of programs, held against a real kernel or a record of one. */
import { existsSync, readFileSync } from "node:fs";
import type { CommandModule } from "yargs";
import { openTestKernel } from "./kernels/open_kernel.ts";
import {
	handled,
	inputOf,
	OBJECTS,
	ownObjects,
	PROGRAM_OPTIONS,
	type ProgramArgs,
	realKernel,
	TEST_MODULES,
	trampolineReader,
	wantedOf,
} from "./other_kernel.ts";
import { Progress } from "./progress.ts";
import {
	COMPARE_LEVELS,
	comparison_lines,
	comparison_table,
	explanation,
	has_difference,
	lacking,
	type ProgComparison,
	type Skipped,
} from "./upstream/comparison.ts";
import { runLive } from "./upstream/live.ts";
import { object_name } from "./upstream/load_case.ts";
import { loader_of } from "./upstream/loader.ts";
import { kernel_files } from "./upstream/machine_facts.ts";
import { type RecordFile, read_record } from "./upstream/record_file.ts";
import { type ObjectFile, take_object } from "./upstream/take_record.ts";

interface Args extends ProgramArgs {
	with: string | undefined;
	arch: string | undefined;
	verbose: boolean;
	json: boolean;
	explain: boolean;
}

/** Everything that a comparison found. */
interface Outcome {
	with: string;
	release: string;
	programs: ProgComparison[];
	skipped: Skipped[];
	/** ms in the real kernel (and on the way to it), and in the mirror. */
	ms?: { real: number; mirror: number };
}

/** How the outcome grows, for who waits for it. */
type Seen = (c: ProgComparison) => void;

const readObject = (path: string): ObjectFile => ({ path, bytes: new Uint8Array(readFileSync(path)) });

/** Objects that were named; else those that the record brings, else the project's own. */
function objectsFor(args: Args, record: RecordFile): ObjectFile[] {
	if (args.objects?.length) return args.objects.map(readObject);
	if (record.elf.size) return [...record.elf].map(([name, bytes]) => ({ path: `${name}.bpf.o`, bytes }));
	return ownObjects(record.files.facts.arch).map(readObject);
}

async function againstRecord(path: string, args: Args, seen: Seen): Promise<Outcome> {
	const { comparer_of } = await import("../scripts/compare.ts");
	const arch = args.arch === "arm64" ? "arm64" : "x86_64";
	const record = read_record(path, arch);
	const { facts } = record.files;
	const comparer = await comparer_of(record.files);
	const outcome: Outcome = { with: path, release: facts.release, programs: [], skipped: [] };
	const want = wantedOf(args);
	for (const object of objectsFor(args, record)) {
		const obj = object_name(object.path);
		const progs = record.objects.get(obj);
		if (!progs) outcome.skipped.push({ obj, prog: "", why: "the record has no such object" });
		for (const rec of progs ?? []) {
			if (rec.prog === undefined || !want(obj, rec.prog)) continue;
			for (const c of comparer.compare(object, rec)) {
				outcome.programs.push(c);
				if (c.lacks) outcome.skipped.push(lacking(c));
				seen(c);
			}
		}
	}
	return outcome;
}

async function againstKernel(
	spec: NonNullable<ReturnType<typeof realKernel>>,
	args: Args,
	seen: Seen,
	progress: Progress,
): Promise<Outcome> {
	const { comparer_of } = await import("../scripts/compare.ts");
	const input = inputOf(args);
	let paths: string[] = args.objects ?? [];
	return runLive(
		{
			open: () => openTestKernel(spec),
			filesOf: (sys) => kernel_files(sys, TEST_MODULES),
			comparerOf: comparer_of,
			take: (kernel, files, sys, object, only, attaching) => {
				const l = loader_of(sys);
				return take_object(l, object, {
					unpriv: files.facts.unprivileged_bpf_disabled === 0,
					input,
					only,
					trampolines: trampolineReader(kernel, l, files, attaching),
				});
			},
			wanted: wantedOf(args),
			seen,
			progress: (at) =>
				progress.at(() => `object ${at.objects + 1} of ${paths.length}, ${at.loads} loads: ${at.name}`),
			say: (line) => {
				progress.clear();
				process.stderr.write(`${line}\n`);
			},
		},
		function* (arch) {
			if (!paths.length) paths = ownObjects(arch);
			for (const path of paths) yield readObject(path);
		},
	);
}

/** Skipped programs, those of one reason together. */
function skippedLines(skipped: readonly Skipped[]): string {
	const by = new Map<string, string[]>();
	for (const s of skipped) by.set(s.why, [...(by.get(s.why) ?? []), s.prog ? `${s.obj}/${s.prog}` : s.obj]);
	return [...by]
		.map(([why, who]) => `not compared (${who.length}), ${why.trim()}: ${who.join(", ")}\n`)
		.join("");
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;

/** How many loads are equal at each level. */
function totals(
	programs: readonly ProgComparison[],
): Record<string, { equal: number; version: number; total: number }> {
	return Object.fromEntries(
		COMPARE_LEVELS.map((level) => {
			const of = programs.map((p) => p.levels[level]).filter((r) => r !== undefined);
			return [
				level,
				{
					equal: of.filter((r) => r === "equal").length,
					version: of.filter((r) => r === "version").length,
					total: of.length,
				},
			];
		}),
	);
}

async function compare(args: Args): Promise<number> {
	if (args.explain) {
		process.stdout.write(explanation());
		return 0;
	}
	const other = args.with;
	if (other === undefined) throw new Error("compare with what? --with host, vm:x86_64, vm:arm64 or a record");
	const progress = new Progress();
	const seen: Seen = (c) => {
		progress.clear();
		if (!args.json && (args.verbose || c.findings.some((f) => f.version === undefined)))
			process.stdout.write(comparison_lines(c));
	};
	const spec = realKernel(other);
	if (!spec && !existsSync(other))
		throw new Error(
			`there is no kernel and no record ${other}: host, vm:x86_64, vm:arm64, or a file that bpf-mirror record wrote`,
		);
	const outcome = spec
		? await againstKernel(spec, args, seen, progress)
		: await againstRecord(other, args, seen);
	progress.clear();
	const different = has_difference(outcome.programs);
	if (args.json) process.stdout.write(`${JSON.stringify({ ...outcome, total: totals(outcome.programs) })}\n`);
	else {
		process.stdout.write(skippedLines(outcome.skipped));
		if (outcome.programs.length === 0) {
			process.stderr.write(`nothing was compared with ${outcome.with} (${outcome.release})\n`);
			return 2;
		}
		process.stdout.write(`${comparison_table(outcome.programs)}\n`);
		const n = outcome.programs.filter((c) => c.findings.some((f) => f.version === undefined)).length;
		const known = new Set(outcome.programs.flatMap((c) => c.findings.flatMap((f) => f.version ?? [])));
		process.stdout.write(
			`${outcome.programs.length} loads against ${outcome.with} (${outcome.release}): ${n ? `${n} differ` : "no difference"}` +
				`${known.size ? `; known version differences: ${[...known].join(", ")} (--explain)` : ""}` +
				`${outcome.ms ? `; ${seconds(outcome.ms.real)} in the real kernel, ${seconds(outcome.ms.mirror)} in the mirror` : ""}\n`,
		);
	}
	if (outcome.programs.length === 0) return 2;
	return different ? 1 : 0;
}

export function compareCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "compare [objects..]",
		describe:
			"Hold what the mirror makes of programs against a real kernel, or a record of one. " +
			"Exit status: 0 no difference, 1 a difference, 2 nothing was compared",
		builder: (y) =>
			y
				.positional("objects", OBJECTS)
				.option("with", {
					type: "string",
					requiresArg: true,
					describe: "host (the machine's own kernel), vm:x86_64, vm:arm64 (6.12 under QEMU), or a record",
				})
				.options(PROGRAM_OPTIONS)
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					describe: "Of a record that does not say",
				})
				.option("verbose", {
					alias: "v",
					type: "boolean",
					default: false,
					describe: "A line for equal programs too",
				})
				.option("json", { type: "boolean", default: false, describe: "Everything as one JSON object" })
				.option("explain", {
					type: "boolean",
					default: false,
					describe: "What is compared, what is normalised, and which version differences are known",
				}),
		handler: handled(compare, done),
	};
}
