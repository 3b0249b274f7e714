// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run fuzz -- --count 100000 --seed N`: made-up programs on the interpreter and on both JITs.
 *
 *     --mode gen|mutate|noise   valid-looking programs, those with bits flipped, or noise
 *     --index I                 only this program of the seed (with its log and instructions)
 *     --embedding N             every N-th accepted program runs with the state-embedding check
 *     --interpret               without the JIT
 *     --arch arm64              that architecture's JIT alone, not both
 *     --jobs N                  so many processes at once, a share of the programs each
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import cliProgress from "cli-progress";
import yargs from "yargs";
import { build_scalar } from "../kernel/bpf/scalar_module.ts";
import { addReport, emptyReport, type FuzzReport, fuzz } from "../selftests/bpf/fuzz/fuzz.ts";
import { search_unicorn } from "../virt/library.ts";
import { ensure_unicorn } from "./unicorn.ts";

const argv = await yargs(process.argv.slice(2))
	.scriptName("npm run fuzz --")
	.strict()
	.option("count", { type: "number", default: 10000, describe: "How many programs" })
	.option("seed", { type: "number", default: 1, describe: "Seed of all of them" })
	.option("first", { type: "number", default: 0, describe: "Index of the first" })
	.option("index", { type: "number", describe: "Replay this one only" })
	.option("mode", { choices: ["gen", "mutate", "noise"] as const, default: "gen" as const })
	.option("embedding", {
		type: "number",
		default: 20,
		describe: "Check states of every N-th accepted program",
	})
	.option("interpret", { type: "boolean", default: false, describe: "Run on the interpreter alone" })
	.option("arch", { choices: ["x86_64", "arm64", "both"] as const, default: "both" as const })
	.option("jobs", { type: "number", default: 1, describe: "Processes that share the work" })
	.option("share", { type: "boolean", hidden: true, default: false })
	.option("findings", { type: "number", default: 20, describe: "Stop after so many findings" })
	.parse();

function share(n: number, of: number): string {
	return of ? `${((100 * n) / of).toFixed(1)} %` : "-";
}

function show(r: FuzzReport): void {
	const out = (s: string): boolean => process.stdout.write(`${s}\n`);
	out(
		`seed ${argv.seed}, ${argv.mode}: ${r.done} programs in ${r.seconds.toFixed(1)} s, ${Math.round(r.done / r.seconds)} a second`,
	);
	out(
		`accepted ${r.accepted} (${share(r.accepted, r.done)}), compared ${r.compared}, states checked ${r.embedded}`,
	);
	const causes = [...r.causes].sort((a, b) => b[1] - a[1]);
	for (const [what, n] of causes.slice(0, 40)) out(`${String(n).padStart(7)} ${what}`);
	if (causes.length > 40) out(`        and ${causes.length - 40} causes more`);
	for (const f of r.findings) {
		out(`\n${f.what}\n  replay: npm run fuzz -- --seed ${argv.seed} --mode ${f.mode} --index ${f.index}`);
		if (f.detail) out(f.detail.replace(/^/gm, "  "));
	}
	out(r.findings.length ? `\n${r.findings.length} findings` : "\nno findings");
}

/** A report as a line of text, from one of several processes. */
function encode(r: FuzzReport): string {
	return JSON.stringify({ ...r, causes: [...r.causes] });
}

/** Several processes, each with a share of the indices; their reports added up. */
async function shared(jobs: number, progress: (done: number) => void): Promise<FuzzReport> {
	const total = emptyReport();
	const done = new Array<number>(jobs).fill(0);
	const start = performance.now();
	const each = Math.ceil(argv.count / jobs);
	const run = async (job: number): Promise<void> => {
		const first = argv.first + job * each;
		const count = Math.min(each, argv.first + argv.count - first);
		if (count <= 0) return;
		const own = process.argv.slice(2).filter((a, i, all) => {
			const of = a.startsWith("--") ? a : (all[i - 1] ?? "");
			return !/^--(jobs|count|first)/.test(of);
		});
		const args = [...own, "--share", "--first", `${first}`, "--count", `${count}`];
		const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...args], {
			stdio: ["ignore", "pipe", "inherit"],
		});
		let reported = false;
		for await (const line of createInterface({ input: child.stdout })) {
			if (line.startsWith("done ")) {
				done[job] = Number(line.slice(5));
				progress(done.reduce((a, b) => a + b, 0));
			} else if (line.startsWith("{")) {
				reported = true;
				const r = JSON.parse(line) as Omit<FuzzReport, "causes"> & { causes: [string, number][] };
				addReport(total, { ...r, causes: new Map(r.causes) });
			}
		}
		if (!reported)
			total.findings.push({
				mode: argv.mode,
				index: first,
				what: `the process from index ${first} ended early`,
				detail: "",
			});
	};
	await Promise.all(Array.from({ length: jobs }, (_, job) => run(job)));
	total.seconds = (performance.now() - start) / 1000;
	return total;
}

function alone(progress: (done: number) => void): FuzzReport {
	const one = argv.index !== undefined;
	return fuzz({
		seed: argv.seed,
		first: argv.index ?? argv.first,
		count: one ? 1 : argv.count,
		mode: argv.mode,
		embedding: one ? 1 : argv.embedding,
		arch: argv.arch,
		interpretOnly: argv.interpret,
		maxFindings: argv.findings,
		progress,
	});
}

if (argv.share) {
	const r = alone((done) => process.stdout.write(`done ${done}\n`));
	process.stdout.write(`${encode(r)}\n`);
} else {
	// no C is compiled here: an engine and the verifier's arithmetic are all that is needed
	build_scalar();
	if (!argv.interpret && !search_unicorn().library) ensure_unicorn();
	const bar =
		argv.index === undefined && process.stderr.isTTY
			? new cliProgress.SingleBar({ stream: process.stderr })
			: null;
	bar?.start(argv.count, 0);
	const progress = (done: number): void => bar?.update(done);
	const report =
		argv.jobs > 1 && argv.index === undefined ? await shared(argv.jobs, progress) : alone(progress);
	bar?.stop();
	show(report);
	process.exitCode = report.findings.length ? 1 : 0;
}
