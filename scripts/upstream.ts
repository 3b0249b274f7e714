// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run upstream -- [--records DIR] [--only REGEX] …`: upstream's own selftest programs, each loaded alone
 * into the mirror, held against what a real 6.12.95 said of them.
 */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { colours } from "../tools/colours.ts";
import { find_sets, outline } from "../tools/upstream/records.ts";
import {
	first_failure,
	type Job,
	type JobOptions,
	LEVELS,
	type ProgScore,
	render_causes,
	render_table,
	score_name,
	totals,
	type WorkerMessage,
} from "../tools/upstream/score.ts";
import { BuildError, build_upstream } from "./build_upstream.ts";
import { cacheDir, rootDir, upstreamCache } from "./paths.ts";
import { scoreRawLive } from "./upstream_raw_live.ts";

/** Seconds after which a program is given up. */
const GIVE_UP = 150;
/** Cost (instructions processed, roughly) of a piece of work that is worth splitting. */
const PIECE = 150_000;

async function main(argv: string[]): Promise<number> {
	const args = await yargs(argv)
		.scriptName("npm run upstream --")
		.usage(
			"$0 [test_verifier|build] [options]\n\nUpstream's selftest programs against the records of a real kernel; " +
				"test_verifier: its raw programs only; build: build the objects that are not there, and nothing else.",
		)
		.option("arch", {
			choices: ["x86", "arm64"] as const,
			default: "x86" as const,
			describe: "Architecture of kernel, objects and records",
		})
		.option("records", {
			type: "string",
			describe: "Folder of the records: ARCH/*.tar.zst, or unpacked sets",
		})
		.option("with", {
			type: "string",
			requiresArg: true,
			describe:
				"A real kernel in place of the records: vm:x86_64, vm:arm64 or host (--only is OBJECT/PROGRAM then)",
		})
		.option("objects", { type: "string", describe: "Folder of the built objects" })
		.option("only", { type: "string", describe: "Regular expression on SET/OBJECT/PROGRAM" })
		.option("flavor", {
			choices: ["default", "cpuv4", "no_alu32"] as const,
			default: "default" as const,
			describe: "build: for which instruction set",
		})
		.option("force", { type: "boolean", default: false, describe: "build: also what is there" })
		.option("priv", { type: "boolean", default: true, describe: "The privileged loads" })
		.option("unpriv", { type: "boolean", default: true, describe: "The loads without capabilities" })
		.option("log", {
			type: "boolean",
			default: true,
			describe: "Compare whole logs (--no-log: statistics only)",
		})
		.option("jit", { type: "boolean", default: true, describe: "Compare JIT images" })
		.option("run", { type: "boolean", default: true, describe: "Run programs and compare" })
		.option("expect", {
			type: "boolean",
			default: true,
			describe: "Hold programs against their annotations, as test_loader does",
		})
		.option("show", { type: "boolean", default: false, describe: "Show first differences at length" })
		.option("dump", { type: "string", describe: "Write both logs of each program into this folder" })
		.option("list", { type: "boolean", default: false, describe: "A line for each program that differs" })
		.option("causes", { type: "number", default: 25, describe: "How many causes to show" })
		.option("files", { type: "boolean", default: true, describe: "A line for each file that differs" })
		.option("jobs", { type: "number", default: availableParallelism(), describe: "Processes" })
		.option("timeout", { type: "number", default: GIVE_UP, describe: "Seconds for one program" })
		.option("json", {
			type: "boolean",
			default: false,
			describe: "Totals by level and every score, as one JSON object",
		})
		.strictOptions()
		.help()
		.alias("h", "help")
		.version(false)
		.parse();

	const say = (line: string): void => {
		process.stderr.write(`${line}\n`);
	};
	const what = args._[0] === undefined ? "all" : String(args._[0]);
	if (!["all", "build", "test_verifier"].includes(what) || args._.length > 1) {
		say(`There is nothing called ${args._.join(" ")} here: test_verifier and build are all there is.`);
		return 2;
	}
	if (args.with !== undefined && what === "test_verifier") return liveRaw(args.with, args, say);
	if (args.with !== undefined) return live(args.with, args, say);
	const { arch, jobs, force } = args;
	const build = { arch, only: /./, jobs, force, records: args.records };
	if (what === "build") {
		const only = new RegExp(args.only ?? "");
		return (await build_upstream({ ...build, flavors: [args.flavor], only }, say)) > 0 ? 1 : 0;
	}
	const records = args.records ?? join(upstreamCache(), "records");
	const objects = args.objects ?? join(upstreamCache(), "objs", args.arch, "default");
	if (!existsSync(records)) {
		say(`There are no records in ${records}: give their folder with --records DIR.`);
		return 2;
	}
	if (what === "all" && args.objects === undefined && !existsSync(objects))
		await build_upstream({ ...build, flavors: ["default"] }, say);
	if (what === "all" && !existsSync(objects)) {
		say(`There are no objects in ${objects}.`);
		return 2;
	}
	const only = new RegExp(args.only ?? "");
	const options: JobOptions = {
		arch: args.arch === "x86" ? "x86_64" : "arm64",
		objects,
		priv: args.priv,
		unpriv: args.unpriv,
		log: args.log,
		jit: args.jit,
		run: args.run,
		expect: args.expect,
		show: args.show,
		dump: args.dump ?? null,
	};
	const work: { job: Job; cost: number }[] = [];
	for (const set of find_sets(records, args.arch, join(cacheDir(), "records"), say)) {
		if (what === "test_verifier" && !set.raw) continue;
		for (const obj of set.objects) {
			const progs = outline(set, obj).filter(([prog]) => only.test(`${set.name}/${obj}/${prog}`));
			let piece: string[] = [];
			let cost = 0;
			const flush = (): void => {
				if (piece.length > 0) work.push({ job: { set, obj, progs: piece, options }, cost });
				piece = [];
				cost = 0;
			};
			for (const [prog, c] of progs) {
				piece.push(prog);
				cost += c + 300;
				if (cost > PIECE) flush();
			}
			flush();
		}
	}
	work.sort((a, b) => b.cost - a.cost);
	const start = Date.now();
	const scores = await run_all(
		work.map((w) => w.job),
		Math.max(1, args.jobs),
		args.timeout,
		say,
	);
	const seconds = (Date.now() - start) / 1000;
	if (args.json) {
		const total = totals(scores);
		process.stdout.write(`${JSON.stringify({ arch, seconds, loads: scores.length, total, scores })}\n`);
	} else {
		report(scores, args, seconds);
	}
	return scores.length > 0 && scores.every((s) => s.findings.length === 0) ? 0 : 1;
}

/** The raw programs of test_verifier on the mirror and on a kernel that runs now. */
async function liveRaw(
	kernel: string,
	args: Parameters<typeof report>[1] & { records?: string | undefined; json: boolean },
	say: (line: string) => void,
): Promise<number> {
	const arch = kernel.endsWith(":arm64") || (kernel === "host" && process.arch === "arm64") ? "arm64" : "x86";
	const records = args.records ?? join(upstreamCache(), "records");
	if (!existsSync(records)) {
		say(
			`The instructions of test_verifier are in records, of which there are none in ${records}: --records DIR.`,
		);
		return 2;
	}
	const start = Date.now();
	const cache = join(cacheDir(), "records");
	const only = new RegExp(args.only ?? "");
	const found = await scoreRawLive(kernel, { records, cache, arch, only }, say);
	if (typeof found === "string") {
		say(found);
		return 2;
	}
	const { scores, skipped } = found;
	const seconds = (Date.now() - start) / 1000;
	if (args.json) {
		const total = totals(scores);
		process.stdout.write(
			`${JSON.stringify({ with: kernel, seconds, loads: scores.length, total, scores, skipped })}\n`,
		);
	} else {
		for (const why of skipped) process.stdout.write(`not compared: ${why}\n`);
		report(scores, args, seconds);
	}
	return scores.length > 0 && scores.every((s) => s.findings.length === 0) ? 0 : 1;
}

/** Each program on the mirror and on a kernel that runs now, as bpf-mirror compare does it. */
async function live(
	kernel: string,
	args: {
		objects?: string | undefined;
		only?: string | undefined;
		jobs: number;
		json: boolean;
		list: boolean;
	},
	say: (line: string) => void,
): Promise<number> {
	const arch = kernel.endsWith(":arm64") || (kernel === "host" && process.arch === "arm64") ? "arm64" : "x86";
	const dir = args.objects ?? join(upstreamCache(), "objs", arch, "default");
	if (!existsSync(dir))
		await build_upstream(
			{ arch, only: /./, jobs: args.jobs, force: false, records: undefined, flavors: ["default"] },
			say,
		);
	// the beginning of the expression says which objects are opened at all
	const [obj] = (args.only ?? "").split("/", 1);
	const named = new RegExp(obj ?? "");
	const objects = readdirSync(dir)
		.filter(
			(f) =>
				f.endsWith(".bpf.o") &&
				!/\.linked[123]?\.bpf\.o$/.test(f) &&
				named.test(f.slice(0, -".bpf.o".length)),
		)
		.map((f) => join(dir, f));
	if (!objects.length) {
		say(`There are no such objects in ${dir}.`);
		return 2;
	}
	const { main: tools } = await import("../tools/cli.ts");
	const flags = [...(args.json ? ["--json"] : []), ...(args.list ? ["--verbose"] : [])];
	if (args.only?.includes("/")) flags.push("--only", args.only);
	return tools(["compare", ...objects, "--with", kernel, ...flags]);
}

function report(
	scores: ProgScore[],
	args: { show: boolean; list: boolean; causes: number; files: boolean; only?: string | undefined },
	seconds: number,
): void {
	const out = (text: string): void => {
		process.stdout.write(`${text}\n`);
	};
	if (args.show || (args.only !== undefined && scores.length <= 3)) {
		for (const s of scores) {
			const verdict = s.findings.length === 0 ? colours.green("equal") : colours.red("differs");
			const held = LEVELS.map((l) =>
				s.levels[l] === undefined ? "" : s.levels[l] ? colours.green(l) : colours.red(l),
			);
			out(
				`${colours.bold(score_name(s))}: ${verdict} [${held.filter((x) => x).join(" ")}] ${s.ms.toFixed(0)} ms`,
			);
			for (const f of s.findings) out(`${colours.red(f.level)}: ${f.text}\n`);
		}
	}
	if (args.list) {
		for (const s of scores) {
			const f = first_failure(s);
			if (f) out(`${score_name(s)}: ${f.level}: ${f.cause}`);
		}
	}
	out(render_table(scores, args.files && scores.length > 3));
	const causes = render_causes(scores, args.causes);
	if (causes) out(`\nFirst differences, by cause:\n${causes}`);
	const slow = [...scores].sort((a, b) => b.ms - a.ms).slice(0, 5);
	out(
		colours.dim(
			`${scores.length} loads in ${seconds.toFixed(0)} s; slowest: ${slow.map((s) => `${score_name(s)} ${(s.ms / 1000).toFixed(1)} s`).join(", ")}`,
		),
	);
}

/** Hands the jobs out to processes; one that dies or hangs costs the program it was at. */
function run_all(
	jobs: Job[],
	count: number,
	timeout: number,
	say: (line: string) => void,
): Promise<ProgScore[]> {
	const scores: ProgScore[] = [];
	const queue = [...jobs];
	const total = jobs.reduce((n, j) => n + j.progs.length, 0);
	const tty = process.stderr.isTTY;
	let told = 0;
	const progress = (): void => {
		if (!tty || Date.now() - told < 100) return;
		told = Date.now();
		process.stderr.write(`\r\x1b[K${scores.length} loads of about ${total} programs`);
	};
	return new Promise((resolve) => {
		let alive = 0;
		let stillborn = 0;
		const spawn = (): void => {
			alive++;
			const child: ChildProcess = fork(join(rootDir(), "scripts/upstream_worker.ts"), [], {
				execArgv: ["--import", "tsx", "--max-old-space-size=6000"],
				serialization: "advanced",
			});
			let job: Job | null = null;
			let ready = false;
			let at = "";
			let timer: NodeJS.Timeout | null = null;
			const lost = (why: string): void => {
				if (!job) return;
				const m = /^[^/]*\/(\S*)( \(unpriv)?/.exec(at);
				const prog = m?.[1] ?? "";
				scores.push({
					set: job.set.name,
					obj: job.obj,
					prog,
					unpriv: m?.[2] !== undefined,
					levels: { verdict: false },
					findings: [{ level: "verdict", cause: why, text: why }],
					ms: 0,
				});
				const rest = job.progs.slice(job.progs.indexOf(prog) + 1);
				if (rest.length > 0) queue.unshift({ ...job, progs: rest });
				job = null;
			};
			const arm = (): void => {
				if (timer) clearTimeout(timer);
				timer = setTimeout(() => {
					lost(`no end after ${timeout} s`);
					child.kill("SIGKILL");
				}, timeout * 1000);
			};
			child.on("message", (msg: WorkerMessage) => {
				arm();
				ready = true;
				if ("begin" in msg) {
					at = msg.begin;
				} else if ("score" in msg) {
					if (job) scores.push({ set: job.set.name, ...msg.score });
					progress();
				} else {
					if (msg.error) say(`worker: ${msg.error}`);
					job = queue.shift() ?? null;
					at = "";
					if (job) child.send(job);
					else child.disconnect();
				}
			});
			child.on("exit", (code, signal) => {
				if (timer) clearTimeout(timer);
				lost(`process ended (${signal ?? code})`);
				alive--;
				if (!ready && ++stillborn >= 2) {
					say("The processes do not come up: see their messages above.");
					queue.length = 0;
				}
				if (queue.length > 0) spawn();
				else if (alive === 0) {
					if (tty) process.stderr.write("\r\x1b[K");
					resolve(scores);
				}
			});
		};
		for (let i = 0; i < Math.min(count, queue.length); i++) spawn();
		if (queue.length === 0) resolve(scores);
	});
}

try {
	process.exitCode = await main(process.argv.slice(2));
} catch (e) {
	if (!(e instanceof BuildError)) throw e;
	process.stderr.write(`${e.message}\n`);
	process.exitCode = 2;
}
