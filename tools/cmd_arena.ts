// SPDX-License-Identifier: GPL-2.0-only
/**
 * `bpf-mirror arena`: shows arenas while something happens to them: one of three examples, or steps with any object.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { CommandModule } from "yargs";
import { Selector } from "../selftests/bpf/filter.ts";
import { arenaHeap } from "../selftests/bpf/prog_tests/arena_heap.ts";
import { arenaKv } from "../selftests/bpf/prog_tests/arena_kv.ts";
import { arenaWalk } from "../selftests/bpf/prog_tests/arena_walk.ts";
import { type ProgTest, SAY } from "../selftests/bpf/test_env.ts";
import { TestProgs } from "../selftests/bpf/test_progs.ts";
import { ARCHES } from "./arches.ts";
import { arenaSteps, FORMS, parseStep, type Step } from "./arena_steps.ts";
import { eventLines, LEGEND, Owners, picture } from "./arena_view.ts";
import { colours } from "./colours.ts";
import { type ArenaEvent, type ArenaState, bootMirror, type MirrorArch, testKernelOf } from "./mirror.ts";

const EXAMPLES: Readonly<Record<string, { test: ProgTest; what: string }>> = {
	kv: { test: arenaKv, what: "a process keeps a key/value store, an XDP program answers look-ups from it" },
	walk: {
		test: arenaWalk,
		what: "a program builds a list, a hash table and a tree; machine code of user space walks them",
	},
	heap: { test: arenaHeap, what: "a program's own heap, without pointers of user space" },
};

interface Args {
	what: string;
	steps: string[] | undefined;
	arch: string;
	json: boolean;
	delay: number;
	verbose: boolean;
}

const exampleLines = Object.entries(EXAMPLES)
	.map(([name, e]) => `  ${name.padEnd(5)} ${e.what}`)
	.join("\n");

export function arenaCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "arena <what> [steps..]",
		describe: "Show an arena live: its pages, who brought them in, mappings and faults",
		builder: (y) =>
			y
				.positional("what", {
					type: "string",
					demandOption: true,
					describe: `An example (kv, walk, heap), or an object with an arena`,
				})
				.positional("steps", {
					type: "string",
					array: true,
					describe: `With an object: ${FORMS}; default: every program once`,
				})
				.option("arch", {
					type: "string",
					choices: ARCHES,
					default: "x86_64",
					describe: "Architecture of the kernel",
				})
				.option("json", { type: "boolean", default: false, describe: "One JSON object a line" })
				.option("delay", {
					type: "number",
					default: 0,
					requiresArg: true,
					describe: "On a terminal: redraw in place, and wait so many ms after each step",
				})
				.option("verbose", {
					alias: "v",
					type: "boolean",
					default: false,
					describe: "Show every check of the example too",
				})
				.epilogue(`Examples:\n${exampleLines}\n\n${LEGEND}`),
		handler: async (args) => {
			const test = testOf(args);
			if (typeof test === "string") {
				process.stderr.write(`${test}\n`);
				return done(1);
			}
			done(await new Show(args).run(test));
		},
	};
}

/** What is to be shown, or what is wrong with the arguments. */
function testOf(args: Args): ProgTest | string {
	const example = Object.hasOwn(EXAMPLES, args.what) ? EXAMPLES[args.what] : undefined;
	if (example) return args.steps?.length ? `${args.what} is an example: it takes no steps` : example.test;
	const steps: Step[] = [];
	for (const text of args.steps ?? []) {
		const step = parseStep(text);
		if (typeof step === "string") return step;
		steps.push(step);
	}
	try {
		return arenaSteps(basename(args.what).replace(/\.bpf\.o$|\.o$/, ""), readFileSync(args.what), steps);
	} catch (e) {
		return `${(e as Error).message}; the examples are ${Object.keys(EXAMPLES).join(", ")}`;
	}
}

/** A run, and what is shown of it. */
class Show {
	private readonly args: Args;
	private readonly owners = new Owners();
	private pending: ArenaEvent[] = [];
	private states: () => ArenaState[] = () => [];

	constructor(args: Args) {
		this.args = args;
	}

	private print(text: string): void {
		process.stdout.write(`${text}\n`);
	}
	private json(value: object): void {
		const text = (_k: string, v: unknown): unknown => (typeof v === "bigint" ? `0x${v.toString(16)}` : v);
		this.print(JSON.stringify(value, text));
	}

	/** Something happened. What goes away is shown as it was before. */
	private event(e: ArenaEvent): void {
		if (e.kind === "release" && this.pending.some((p) => p.kind !== "unmap")) this.flush();
		this.owners.see(e);
		if (this.args.json) this.json({ type: "event", ...e });
		this.pending.push(e);
	}

	/** Events since the last picture, and how the arenas are now. */
	private flush(): void {
		if (this.pending.length === 0) return;
		const lines = eventLines(this.pending);
		this.pending = [];
		const states = this.states();
		if (this.args.json) {
			for (const s of states) this.json({ type: "state", ...s, owners: [...this.owners.of(s.id)] });
			return;
		}
		for (const l of lines) this.print(`    ${l}`);
		for (const s of states) {
			const [head, ...rest] = picture(s, this.owners.of(s.id), this.args.arch as MirrorArch);
			this.print(colours.bold(head!));
			for (const l of rest) this.print(l);
		}
		this.print("");
		this.wait();
	}

	private wait(): void {
		const { delay } = this.args;
		if (delay > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delay);
	}

	/** A line of the test. */
	private line(text: string): void {
		if (text === "") return;
		if (text.startsWith(SAY)) {
			this.flush();
			const said = text.slice(SAY.length);
			if (this.args.json) this.json({ type: "say", text: said });
			else {
				if (this.args.delay > 0 && process.stdout.isTTY) process.stdout.write("\x1b[H\x1b[2J");
				this.print(colours.cyan(said));
			}
		} else if (/^#\d+/.test(text)) this.flush();
		else if (/:FAIL|:SKIP|exception|^\[kernel\]|left behind|^libbpf|^ {4}at /.test(text)) {
			this.flush();
			if (this.args.json) this.json({ type: "problem", text });
			else this.print(colours.red(text));
		} else if (this.args.verbose && !this.args.json && text.includes(":PASS:")) this.print(colours.dim(text));
	}

	async run(test: ProgTest): Promise<number> {
		const mirror = bootMirror({ arch: this.args.arch as MirrorArch, cpus: 2 });
		const watch = mirror.watchArenas((e) => this.event(e));
		this.states = watch.states;
		let rest = "";
		const progs = new TestProgs([test], {
			selector: new Selector(),
			verbosity: 1,
			count: false,
			list: false,
			json: null,
			verifierStats: false,
			out: (text) => {
				const lines = (rest + text).split("\n");
				rest = lines.pop()!;
				for (const l of lines) if (!l.startsWith("Summary:") && l !== "All error logs:") this.line(l);
			},
		});
		const code = await progs.run(testKernelOf(mirror));
		this.flush();
		watch.stop();
		return code;
	}
}
