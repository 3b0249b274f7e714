// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run fuzz -- --count 100000 --seed N`: made-up programs on interpreter and JIT.
 *
 *     --mode gen|mutate|noise   valid-looking programs, those with bits flipped, or noise
 *     --index I                 only this program of the seed (with its log and instructions)
 *     --embedding N             every N-th accepted program runs with the state-embedding check
 *     --interpret               without the JIT
 */
import cliProgress from "cli-progress";
import yargs from "yargs";
import { type FuzzReport, fuzz } from "../selftests/bpf/fuzz/fuzz.ts";
import { setup } from "./setup.ts";

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

if (!(await setup())) process.exit(1);
const one = argv.index !== undefined;
const bar = one || !process.stderr.isTTY ? null : new cliProgress.SingleBar({ stream: process.stderr });
bar?.start(argv.count, 0);
const report = fuzz({
	seed: argv.seed,
	first: argv.index ?? argv.first,
	count: one ? 1 : argv.count,
	mode: argv.mode,
	embedding: one ? 1 : argv.embedding,
	interpretOnly: argv.interpret,
	maxFindings: argv.findings,
	progress: (done) => bar?.update(done),
});
bar?.stop();
show(report);
process.exitCode = report.findings.length ? 1 : 0;
