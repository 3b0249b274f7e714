// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which thread makes the next step: all possibilities, or some at random, or those of a schedule that is given.
 *
 * The search through all goes over states, not schedules: what was reached before by another way is not gone
 * into again. Two states are taken for one when 64 bits of fingerprint agree.
 */
import type { Explorer, Finding } from "./explorer.ts";
import { Hash, StateGraph, StateSet } from "./hash.ts";
import type { Thread } from "./threads.ts";

/** One step of a schedule, for reports. */
export interface TraceStep {
	readonly thread: string;
	readonly what: string;
	readonly where: string;
	readonly result: string;
}

export interface Progress {
	readonly states: number;
	readonly steps: number;
	readonly schedules: number;
	readonly bound: number;
}

export interface SearchOptions {
	/** Changes of thread at a point where the one before could have gone on; Infinity: any number. */
	readonly preemptions?: number;
	/** States at most; the search is incomplete where it reaches them. */
	readonly maxStates?: number;
	/** Steps of one random schedule at most: one that is longer is taken for a livelock. */
	readonly maxSteps?: number;
	/** What a run came to, where the scenario tells several ends apart. */
	readonly outcome?: () => string;
	/** Called at the end of a run: what is wrong with it, or null. */
	readonly check?: () => string | null;
	readonly progress?: (p: Progress) => void;
}

export interface SearchResult {
	readonly finding: Finding | null;
	/** Thread numbers, step by step, up to what was found. */
	readonly schedule: readonly number[];
	/** Seed of the random schedule that found it. */
	readonly seed: number | null;
	/** Different states (all schedules), steps made, runs that came to an end. */
	readonly states: number;
	readonly steps: number;
	readonly schedules: number;
	readonly longest: number;
	/** All schedules: nothing was left out within the bound. Of a replay: every step could be made. */
	readonly complete: boolean;
	readonly outcomes: ReadonlyMap<string, number>;
}

const RANK = { task: 0, user: 0, irq: 1, nmi: 2 } as const;
const PROGRESS_STEPS = 20_000;

function rng(seed: number): () => number {
	let s = seed >>> 0;
	return () => {
		s = (s + 0x6d2b79f5) >>> 0;
		let t = Math.imul(s ^ (s >>> 15), s | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return (t ^ (t >>> 14)) >>> 0;
	};
}

/** What a step gave, where that is a number. */
function result_text(r: unknown): string {
	if (typeof r === "number" || typeof r === "bigint" || typeof r === "boolean") return String(r);
	if (!(r instanceof Uint8Array) || r.length > 8) return "";
	const bytes = new Uint8Array(8);
	bytes.set(r);
	return String(new DataView(bytes.buffer).getBigUint64(0, true));
}

/** A schedule as text: threads with the number of steps they make, `0*5,1,0*2`. */
export function schedule_text(schedule: readonly number[]): string {
	const out: string[] = [];
	for (let i = 0; i < schedule.length; ) {
		let n = 1;
		while (schedule[i + n] === schedule[i]) n++;
		out.push(n === 1 ? `${schedule[i]}` : `${schedule[i]}*${n}`);
		i += n;
	}
	return out.join(",");
}

/** The schedule that a text stands for; null when it is none. */
export function parse_schedule(text: string): number[] | null {
	const out: number[] = [];
	for (const part of text.split(",")) {
		const m = /^(\d+)(?:\*(\d+))?$/.exec(part.trim());
		if (!m) return null;
		const n = m[2] === undefined ? 1 : Number(m[2]);
		if (n > 1_000_000) return null;
		for (let i = 0; i < n; i++) out.push(Number(m[1]));
	}
	return out;
}

export class Search {
	private readonly x: Explorer;
	private readonly opts: SearchOptions;
	private readonly outcomes: Map<string, number> = new Map();
	private readonly hash = new Hash();
	private steps = 0;
	private schedules = 0;
	private longest = 0;

	constructor(x: Explorer, opts: SearchOptions = {}) {
		this.x = x;
		this.opts = opts;
	}

	private can_begin(t: Thread): boolean {
		let below: Thread | null = null;
		for (const o of this.x.threads) {
			if (o === t || o.on_cpu !== t.on_cpu || !o.active) continue;
			if (RANK[o.flavour] >= RANK[t.flavour]) return false;
			if (!below || RANK[o.flavour] > RANK[below.flavour]) below = o;
		}
		return t.flavour !== "irq" || !below || below.irqs_disabled === 0;
	}

	/** It can make a step now. */
	runnable(t: Thread): boolean {
		if (t.done) return false;
		if (t.pending?.enabled && !t.pending.enabled()) return false;
		if (t.on_cpu < 0) return true;
		if (!t.active) return this.can_begin(t);
		for (const o of this.x.threads)
			if (o !== t && o.on_cpu === t.on_cpu && o.active && RANK[o.flavour] > RANK[t.flavour]) return false;
		return true;
	}

	/**
	 * A thread whose step commutes with whatever else can happen first: no other CPU sees the step, and nothing
	 * more will begin on its own. Such a step is made at once, whoever else could go on.
	 */
	private commutes(t: Thread): boolean {
		if (!t.pending?.local) return false;
		return this.x.threads.every((o) => o === t || o.on_cpu !== t.on_cpu || o.done);
	}

	private all_runnable(): Thread[] {
		const { threads } = this.x;
		const all = threads.filter((t) => this.runnable(t));
		// user space frees no lock of the kernel: if it alone can go on, and others have not ended, those never will
		const kernel_stuck = threads.some((t) => !t.done && !t.may_wait);
		return kernel_stuck && all.every((t) => t.flavour === "user") ? [] : all;
	}

	/** Nobody can go on: is that the end? */
	private end(): void {
		const { x } = this;
		this.schedules++;
		const stuck = x.threads.filter((t) => !t.done && !this.runnable(t) && !(t.may_wait && !t.active));
		if (stuck.length > 0) {
			const waits = stuck.map((t) => {
				const op = t.pending;
				const name = /^lock (.*)/.exec(op?.what ?? "")?.[1];
				const where = op ? x.describe(op.addr) : "";
				const lock = name ? x.lock_named(name) : null;
				const holder = lock ? `, held by ${x.holder(lock)}` : "";
				const how = op?.enabled && !op.enabled() ? "waits" : "is interrupted";
				return `${t.name} ${how}: ${op?.what ?? "?"}${where ? ` ${where}` : ""}${holder}`;
			});
			x.fail("deadlock", waits.join("; "));
			return;
		}
		x.records.check_end();
		const wrong = this.opts.check?.();
		if (wrong) x.fail("assertion", wrong);
		if (x.finding || !this.opts.outcome) return;
		const text = this.opts.outcome();
		this.outcomes.set(text, (this.outcomes.get(text) ?? 0) + 1);
	}

	private tell(states: number): void {
		if (this.steps % PROGRESS_STEPS !== 0) return;
		const bound = this.opts.preemptions ?? Number.POSITIVE_INFINITY;
		this.opts.progress?.({ states, steps: this.steps, schedules: this.schedules, bound });
	}

	private result(
		schedule: readonly number[],
		seed: number | null,
		states: number,
		complete: boolean,
	): SearchResult {
		const { steps, schedules, longest, outcomes } = this;
		const { finding } = this.x;
		return { finding, schedule, seed, states, steps, schedules, longest, complete, outcomes };
	}

	/** All schedules within the bounds, until something is found. */
	exhaustive(): SearchResult {
		const { x, hash } = this;
		const seen = new StateSet();
		const bound = this.opts.preemptions ?? Number.POSITIVE_INFINITY;
		const max = this.opts.maxStates ?? Number.POSITIVE_INFINITY;
		const bounded = bound !== Number.POSITIVE_INFINITY;
		interface Frame {
			readonly todo: Thread[];
			readonly used: number;
			readonly last: Thread | null;
			readonly nr: number;
			undo: (() => void) | null;
		}
		const stack: Frame[] = [];
		const path: number[] = [];
		let complete = true;
		const graph = bounded ? null : new StateGraph();
		/** Go into the present state, unless it is known. */
		const open = (last: Thread | null, used: number): void => {
			const from = stack.at(-1)?.nr ?? -1;
			x.state(hash);
			if (bounded) {
				hash.add(used);
				hash.add(last?.id ?? -1);
			}
			const known = !seen.add(hash.a, hash.b);
			const nr = seen.last;
			if (!known) graph?.state(from, last?.id ?? -1);
			if (from >= 0) graph?.step(from, nr);
			if (known) return;
			const all = this.all_runnable();
			if (all.length === 0) {
				graph?.end(nr);
				this.end();
				return;
			}
			const free = !last || !all.includes(last);
			const alone = bounded ? undefined : all.find((t) => this.commutes(t));
			const todo = alone ? [alone] : free || used < bound ? all : [last];
			// the thread that ran goes on first: short counterexamples, and few switches
			todo.sort((a, b) => (a === last ? 1 : 0) - (b === last ? 1 : 0));
			stack.push({ todo, used, last, nr, undo: null });
		};
		open(null, 0);
		while (stack.length > 0 && !x.finding) {
			const f = stack.at(-1)!;
			if (f.undo) {
				f.undo();
				f.undo = null;
				path.pop();
			}
			const t = f.todo.pop();
			if (!t) {
				stack.pop();
				continue;
			}
			const forced = f.last !== null && f.last !== t && this.runnable(f.last);
			f.undo = x.advance(t);
			path.push(t.id);
			this.steps++;
			this.longest = Math.max(this.longest, path.length);
			this.tell(seen.size);
			if (x.finding) break;
			if (seen.size >= max) {
				complete = false;
				break;
			}
			open(t, f.used + (forced ? 1 : 0));
		}
		const r = this.result(path.slice(), null, seen.size, complete && !x.finding);
		// back to the beginning; what was found is in the answer
		while (stack.length > 0) stack.pop()!.undo?.();
		x.finding = null;
		const endless = graph && r.complete ? graph.first_without_end() : -1;
		return endless < 0 ? r : this.livelock(r, graph!.schedule(endless));
	}

	/** All was covered, but behind a schedule no other comes to an end: who still goes on does so for ever. */
	private livelock(r: SearchResult, schedule: readonly number[]): SearchResult {
		const { x } = this;
		const undos: (() => void)[] = [];
		const path = [...schedule];
		for (const id of path) undos.push(x.advance(x.threads[id]!));
		// those that can end do so first: what is left is the cause
		for (let n = 0; n < PROGRESS_STEPS; n++) {
			const t = this.all_runnable().find((o) => !o.may_wait);
			if (!t) break;
			undos.push(x.advance(t));
			path.push(t.id);
		}
		const left = x.threads.filter((t) => !t.done && !(t.may_wait && !t.active)).map((t) => t.name);
		for (let i = undos.length - 1; i >= 0; i--) undos[i]!();
		const text = `livelock: whatever comes next, ${left.join(" and ")} will not end`;
		return { ...r, finding: { kind: "deadlock", text }, schedule: path, complete: false };
	}

	/** One schedule after the other, chosen by `pick`; the threads it ran. */
	private run(
		pick: (all: Thread[], n: number, last: Thread | null) => Thread | null,
		sink?: (t: TraceStep) => void,
	): number[] {
		const { x } = this;
		const undos: (() => void)[] = [];
		const path: number[] = [];
		const max = this.opts.maxSteps ?? 20_000;
		let last: Thread | null = null;
		for (let n = 0; n < max && !x.finding; n++) {
			const all = this.all_runnable();
			if (all.length === 0) {
				this.end();
				break;
			}
			const t = pick(all, n, last);
			if (!t) break;
			const op = t.pending;
			undos.push(x.advance(t));
			path.push(t.id);
			this.steps++;
			if (sink && op) {
				const shown = result_text(x.last_result);
				sink({ thread: t.name, what: op.what, where: x.describe(op.addr), result: shown });
			}
			last = t;
			this.tell(0);
		}
		if (path.length === max) x.fail("deadlock", `the schedule has not come to an end after ${max} steps`);
		this.longest = Math.max(this.longest, path.length);
		this.found = x.finding;
		for (let i = undos.length - 1; i >= 0; i--) undos[i]!();
		x.finding = this.found;
		return path;
	}
	private found: Finding | null = null;

	/** `runs` random schedules, of the seeds from `seed` on, until something is found. */
	random(seed: number, runs: number): SearchResult {
		const { x } = this;
		for (let i = 0; i < runs; i++) {
			const path = this.one(seed + i);
			if (x.finding) {
				const r = this.result(path, seed + i, 0, false);
				x.finding = null;
				return r;
			}
		}
		return this.result([], null, 0, false);
	}

	private one(seed: number, sink?: (t: TraceStep) => void): number[] {
		const next = rng(seed);
		// how sticky a schedule is differs from one to the next
		const stay = next() % 4;
		return this.run((all, _n, last) => {
			if (last && stay > 0 && all.includes(last) && next() % 4 < stay) return last;
			return all[next() % all.length]!;
		}, sink);
	}

	/** A schedule again: of a seed, or step by step. A thread that cannot run ends it. */
	replay(what: number | readonly number[], sink: (t: TraceStep) => void): SearchResult {
		const { x } = this;
		const path =
			typeof what === "number"
				? this.one(what, sink)
				: this.run((all, n) => all.find((t) => t.id === what[n]) ?? null, sink);
		const fits = typeof what === "number" || path.length === what.length;
		const r = this.result(path, typeof what === "number" ? what : null, 0, fits);
		x.finding = null;
		return r;
	}
}
