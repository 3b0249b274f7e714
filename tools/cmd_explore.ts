// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror explore`: programs on several CPUs, and interrupts of them, in every order or in many. */
import { readFileSync } from "node:fs";

import type { CommandModule } from "yargs";
import { readProg } from "../selftests/bpf/skel.ts";
import { colours } from "./colours.ts";
import { type Scenario, ScenarioError, ScenarioRun, type ThreadSpec } from "./explore/scenario.ts";
import { SCENARIOS, scenarioByName } from "./explore/scenarios.ts";
import {
	type MirrorArch,
	NotExplorable,
	parse_schedule,
	type SearchProgress,
	type SearchResult,
	schedule_text,
	type TraceStep,
} from "./mirror.ts";

interface Args {
	scenario?: string[];
	list: boolean;
	object: string | undefined;
	task?: string[];
	irq?: string[];
	nmi?: string[];
	consumer: string;
	"user-samples": number;
	set?: string[];
	expect?: string[];
	random: number | undefined;
	seed: number;
	preemptions: string | undefined;
	"max-states": number | undefined;
	"max-steps": number | undefined;
	replay: string | undefined;
	arch: string;
	interpret: boolean;
	"every-instruction": boolean;
	json: boolean;
}

/** What was found is looked for again with few preemptions: that is shorter, and says more. */
const SMALL_BOUNDS = [0, 1, 2, 3];
const TELL_MS = 2000;
const SC =
	"Memory is sequentially consistent here: orders that only a weaker memory shows are not among those explored.";

/** What one scenario came to, also as JSON. */
interface Report {
	readonly scenario: string;
	readonly arch: string;
	readonly engine: "jit" | "interpreter";
	readonly search: "all" | "random" | "replay";
	/** Preemptions that the search was limited to; null: no limit. */
	readonly preemptions: number | null;
	/** All schedules within the limit were covered. */
	readonly complete: boolean;
	readonly states: number;
	readonly steps: number;
	readonly schedules: number;
	readonly longest: number;
	readonly outcomes: Readonly<Record<string, number>>;
	readonly finding: { kind: string; text: string; replay: string; trace: readonly TraceStep[] } | null;
	readonly memory: "sequentially consistent";
}

export function exploreCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "explore [scenario..]",
		describe: "Run programs on several CPUs, and interrupts of them, in every order or in many",
		builder: (y) =>
			y
				.positional("scenario", {
					type: "string",
					array: true,
					describe: "Scenarios by name (all when none)",
				})
				.option("list", { type: "boolean", default: false, describe: "Name the scenarios" })
				.option("object", {
					type: "string",
					requiresArg: true,
					describe: "An object of your own (or a C file)",
				})
				.option("task", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "A program of it on a CPU, so many times: PROG[@CPU][*RUNS]",
				})
				.option("irq", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "A program that interrupts what runs on its CPU, where interrupts are on",
				})
				.option("nmi", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "A program that interrupts what runs on its CPU, anywhere",
				})
				.option("consumer", {
					type: "string",
					choices: ["poll", "epoll", "none"],
					default: "poll",
					describe: "How its ring buffer is read: again and again, woken by epoll, or not",
				})
				.option("user-samples", {
					type: "number",
					default: 0,
					describe: "Samples put into its user ring buffer",
				})
				.option("set", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "NAME=NUMBER: a const volatile variable of 32 bits",
				})
				.option("expect", {
					type: "string",
					array: true,
					requiresArg: true,
					describe: "NAME=NUMBER: what a variable must be in the end",
				})
				.option("random", {
					type: "number",
					requiresArg: true,
					describe: "So many random schedules, not all",
				})
				.option("seed", { type: "number", default: 1, describe: "Seed of the first of them" })
				.option("preemptions", {
					type: "string",
					requiresArg: true,
					describe: "All schedules with at most so many preemptions; none: any number",
				})
				.option("max-states", { type: "number", requiresArg: true, describe: "Give up after so many states" })
				.option("max-steps", {
					type: "number",
					requiresArg: true,
					describe: "A random schedule that is longer is taken for a livelock (20000)",
				})
				.option("replay", {
					type: "string",
					requiresArg: true,
					describe: "One schedule again, step by step: a seed, or what a finding names",
				})
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				})
				.option("interpret", { type: "boolean", default: false, describe: "Interpret the programs" })
				.option("every-instruction", {
					type: "boolean",
					default: false,
					describe:
						"Let interrupts come before every BPF instruction, not only where something shared is touched",
				})
				.option("json", { type: "boolean", default: false, describe: "As JSON, a line a scenario" }),
		handler: (args) => done(explore(args)),
	};
}

function thread(flavour: ThreadSpec["flavour"], text: string): ThreadSpec {
	const m = /^(\w+)(?:@(\d+))?(?:\*(\d+))?$/.exec(text);
	if (!m) throw new ScenarioError(`${text} is not PROG[@CPU][*RUNS]`);
	const cpu = Number(m[2] ?? 0);
	if (cpu > 7) throw new ScenarioError(`${text}: CPUs are 0 to 7`);
	return { prog: m[1]!, cpu, flavour, runs: Math.max(1, Number(m[3] ?? 1)) };
}

function own(args: Args): Scenario {
	const threads = [
		...(args.task ?? []).map((t) => thread("task", t)),
		...(args.irq ?? []).map((t) => thread("irq", t)),
		...(args.nmi ?? []).map((t) => thread("nmi", t)),
	];
	if (threads.length === 0) throw new ScenarioError("no program to run: --task, --irq or --nmi");
	const rodata: Record<string, number> = {};
	for (const [name, v] of assignments(args.set)) rodata[name] = Number(v);
	const expect = Object.fromEntries(assignments(args.expect));
	return {
		name: args.object!.replace(/^.*\//, "").replace(/(\.bpf)?\.o$/, ""),
		about: args.object!,
		threads,
		consumer: args.consumer as Scenario["consumer"],
		userSamples: args["user-samples"],
		rodata,
		expect,
	};
}

/** NAME=NUMBER, several of them. */
function assignments(list: readonly string[] | undefined): [string, bigint][] {
	return (list ?? []).map((s) => {
		const m = /^(\w+)=(-?)(\d+|0x[0-9a-f]+)$/i.exec(s);
		if (!m) throw new ScenarioError(`${s} is not NAME=NUMBER`);
		return [m[1]!, m[2] ? -BigInt(m[3]!) : BigInt(m[3]!)];
	});
}

function chosen(args: Args): Scenario[] {
	if (args.object !== undefined) return [own(args)];
	const names = args.scenario ?? [];
	if (names.length === 0) return SCENARIOS.filter((s) => !(s.jitOnly && args.interpret));
	return names.map((n) => {
		const s = scenarioByName(n);
		if (!s) throw new ScenarioError(`there is no scenario ${n} (--list names them)`);
		if (s.jitOnly && args.interpret)
			throw new ScenarioError(`${n} has callbacks, which the interpreter does not run`);
		return s;
	});
}

/** The limit on preemptions: undefined when none was asked for. */
function limit(args: Args): number | undefined {
	if (args.preemptions === undefined) return undefined;
	if (args.preemptions === "none") return Number.POSITIVE_INFINITY;
	const n = Number(args.preemptions);
	if (!Number.isInteger(n) || n < 0)
		throw new ScenarioError(`--preemptions ${args.preemptions}: a number, or none`);
	return n;
}

function explore(args: Args): number {
	if (args.list) {
		for (const s of SCENARIOS) process.stdout.write(`${s.name.padEnd(18)}${s.about}\n`);
		return 0;
	}
	let found = false;
	try {
		for (const s of chosen(args)) {
			const r = one(s, args);
			if (args.json) process.stdout.write(`${JSON.stringify(r)}\n`);
			else show(s, r, args);
			found ||= r.finding !== null;
		}
	} catch (e) {
		if (!(e instanceof ScenarioError) && !(e instanceof NotExplorable) && !isNoFile(e)) throw e;
		process.stderr.write(`${(e as Error).message.trimEnd()}\n`);
		return 1;
	}
	if (!args.json) process.stdout.write(`${SC}\n`);
	return found ? 1 : 0;
}

function isNoFile(e: unknown): boolean {
	return e instanceof Error && "code" in e && "path" in e;
}

function one(s: Scenario, args: Args): Report {
	const object =
		args.object === undefined ? readProg("explore", args.arch as MirrorArch) : readFileSync(args.object);
	const preemptions = limit(args) ?? s.preemptions ?? Number.POSITIVE_INFINITY;
	const run = new ScenarioRun(object, s, {
		arch: args.arch as MirrorArch,
		interpret: args.interpret,
		everyInstruction: args["every-instruction"],
	});
	const begin = performance.now();
	let told = begin;
	const progress = (p: SearchProgress): void => {
		const now = performance.now();
		if (now - told < TELL_MS) return;
		told = now;
		const what = p.states > 0 ? `${p.states} states` : `${p.schedules} schedules`;
		process.stderr.write(`${s.name}: ${what}, ${p.steps} steps, ${((now - begin) / 1000).toFixed(0)} s\n`);
	};
	const opts = {
		outcome: () => run.outcome(),
		check: () => run.check(),
		maxStates: args["max-states"],
		maxSteps: args["max-steps"],
		progress,
	};
	const search = (n: number) => run.exploration.search({ ...opts, preemptions: n });
	try {
		let r: SearchResult;
		let kind: Report["search"] = "all";
		const trace: TraceStep[] = [];
		if (args.replay !== undefined) {
			kind = "replay";
			const what = /^\d+$/.test(args.replay) ? Number(args.replay) : parse_schedule(args.replay);
			if (what === null)
				throw new ScenarioError(`--replay ${args.replay}: a seed, or a schedule as a finding names it`);
			r = search(preemptions).replay(what, (t) => trace.push(t));
			if (!r.complete)
				throw new ScenarioError(
					`the schedule does not fit ${s.name}: step ${r.schedule.length} cannot be made`,
				);
			if (!args.json) for (const t of trace) process.stdout.write(`${stepLine(t)}\n`);
		} else if (args.random !== undefined) {
			kind = "random";
			r = search(preemptions).random(args.seed, args.random);
		} else {
			r = search(preemptions).exhaustive();
			for (const n of SMALL_BOUNDS) {
				if (!r.finding || n >= preemptions) break;
				const shorter = search(n).exhaustive();
				if (!shorter.finding) continue;
				r = shorter;
				break;
			}
		}
		const { finding } = r;
		if (finding && kind !== "replay") search(preemptions).replay(r.schedule, (t) => trace.push(t));
		return {
			scenario: s.name,
			arch: args.arch,
			engine: args.interpret ? "interpreter" : "jit",
			search: kind,
			preemptions: Number.isFinite(preemptions) ? preemptions : null,
			complete: r.complete && kind === "all",
			states: r.states,
			steps: r.steps,
			schedules: r.schedules,
			longest: r.longest,
			outcomes: Object.fromEntries(r.outcomes),
			finding: finding && {
				...finding,
				replay: r.seed === null ? schedule_text(r.schedule) : String(r.seed),
				trace,
			},
			memory: "sequentially consistent",
		};
	} finally {
		run.close();
	}
}

function stepLine(t: TraceStep): string {
	const result = t.result === "" ? "" : colours.dim(` -> ${t.result}`);
	return `  ${t.thread.padEnd(24)} ${t.what}${t.where ? ` ${t.where}` : ""}${result}`;
}

function covered(r: Report): string {
	if (r.search === "random") return `${r.schedules} random schedules, ${r.steps} steps`;
	if (r.search === "replay") return `one schedule of ${r.steps} steps`;
	const within =
		r.preemptions === null ? "all schedules" : `all schedules with at most ${r.preemptions} preemptions`;
	const how = r.complete
		? within
		: r.finding
			? "up to the finding"
			: `not complete: stopped at ${r.states} states`;
	return `${how}: ${r.states} states, ${r.steps} steps, the longest schedule ${r.longest}`;
}

function show(s: Scenario, r: Report, args: Args): void {
	const out: string[] = [`${colours.bold(s.name)}: ${s.about}`];
	const f = r.finding;
	if (f && r.search !== "replay") for (const t of f.trace) out.push(stepLine(t));
	out.push(`  ${covered(r)}`);
	for (const [text, n] of Object.entries(r.outcomes))
		out.push(`  ${text} (${n} ${n === 1 ? "end" : "ends"})`);
	if (!f) out.push(`  ${colours.green("nothing lost, torn or misordered; no deadlock")}`);
	else {
		out.push(`  ${colours.red(`${f.kind}: ${f.text}`)}`);
		const flags = [
			...(args.arch === "x86_64" ? [] : [` --arch ${args.arch}`]),
			...(args.interpret ? [" --interpret"] : []),
			...(args["every-instruction"] ? [" --every-instruction"] : []),
		].join("");
		const again = args.object === undefined ? ` ${s.name}` : ownFlags(args);
		if (r.search !== "replay") out.push(`  again: bpf-mirror explore${again}${flags} --replay ${f.replay}`);
	}
	process.stdout.write(`${out.join("\n")}\n`);
}

/** The flags that make a scenario of an object of one's own. */
function ownFlags(args: Args): string {
	const list = (flag: string, v: readonly string[] | undefined): string =>
		(v ?? []).map((t) => ` --${flag} ${t}`).join("");
	return (
		` --object ${args.object}${list("task", args.task)}${list("irq", args.irq)}${list("nmi", args.nmi)}` +
		`${list("set", args.set)}${list("expect", args.expect)} --consumer ${args.consumer}` +
		(args["user-samples"] > 0 ? ` --user-samples ${args["user-samples"]}` : "")
	);
}
