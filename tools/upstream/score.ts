// SPDX-License-Identifier: GPL-2.0-only
/** What `npm run upstream` counts, and how it is shown. */
import Table from "cli-table3";
import { colours } from "../colours.ts";
import type { RecordSet } from "./records.ts";

/** In the order in which a program goes through them. `before` is none: the real kernel's verifier was not reached. */
export const LEVELS = ["insns", "verdict", "stats", "log", "xlated", "jited", "run", "expect"] as const;
export type Level = (typeof LEVELS)[number];

export interface Finding {
	level: Level;
	/** What many programs may have in common. */
	cause: string;
	/** The first difference. */
	text: string;
}

/** What became of one load of one program. */
export interface ProgScore {
	set?: string;
	obj: string;
	prog: string;
	unpriv: boolean;
	levels: Partial<Record<Level | "before", boolean>>;
	findings: Finding[];
	ms: number;
}

export interface JobOptions {
	arch: "x86_64" | "arm64";
	objects: string;
	priv: boolean;
	unpriv: boolean;
	log: boolean;
	jit: boolean;
	run: boolean;
	expect: boolean;
	show: boolean;
	/** Folder for both logs of every program. */
	dump: string | null;
}

/** Programs of one object for a worker. */
export interface Job {
	set: RecordSet;
	obj: string;
	progs: string[];
	options: JobOptions;
}

export type WorkerMessage = { begin: string } | { score: ProgScore } | { done: true; error?: string };

interface Count {
	good: number;
	all: number;
}

function count(scores: readonly ProgScore[], level: Level): Count {
	const c = { good: 0, all: 0 };
	for (const s of scores) {
		const ok = s.levels[level];
		if (ok === undefined || s.levels.before) continue;
		c.all++;
		if (ok) c.good++;
	}
	return c;
}

/** How many loads equal the real kernel's at each level, of those that reach it. */
export function totals(scores: readonly ProgScore[]): Record<Level, { equal: number; total: number }> {
	const of = (level: Level): { equal: number; total: number } => {
		const { good, all } = count(scores, level);
		return { equal: good, total: all };
	};
	return Object.fromEntries(LEVELS.map((l) => [l, of(l)])) as Record<Level, ReturnType<typeof of>>;
}

const cell = (c: Count): string =>
	c.all === 0
		? colours.dim("-")
		: c.good === c.all
			? colours.green(`${c.good}`)
			: colours.yellow(`${c.good}/${c.all}`);

/** The first level that does not hold. */
export function first_failure(s: ProgScore): Finding | null {
	for (const level of LEVELS) {
		const f = s.findings.find((x) => x.level === level);
		if (f) return f;
	}
	return null;
}

export const score_name = (s: ProgScore): string => `${s.obj}/${s.prog}${s.unpriv ? " (unprivileged)" : ""}`;

/** Totals by set; with `files`, also a line for each file that is not whole. */
export function render_table(scores: readonly ProgScore[], files: boolean): string {
	const table = new Table({
		head: ["", "loads", ...LEVELS],
		style: { head: [], border: [], compact: true },
		colAligns: ["left", "right", ...LEVELS.map(() => "right" as const)],
	});
	const row = (name: string, of: readonly ProgScore[]): void => {
		table.push([name, String(of.length), ...LEVELS.map((l) => cell(count(of, l)))]);
	};
	const sets = [...new Set(scores.map((s) => s.set ?? ""))];
	if (files) {
		for (const set of sets) {
			const in_set = scores.filter((s) => s.set === set);
			for (const obj of [...new Set(in_set.map((s) => s.obj))].sort()) {
				const of = in_set.filter((s) => s.obj === obj);
				if (of.some((s) => s.findings.length > 0)) row(`${set}/${obj}`, of);
			}
		}
	}
	for (const set of sets) {
		for (const unpriv of [false, true]) {
			const of = scores.filter((s) => s.set === set && s.unpriv === unpriv);
			if (of.length > 0) row(colours.bold(unpriv ? `${set} (unprivileged)` : set), of);
		}
	}
	row(colours.bold("all"), scores);
	return table.toString();
}

/** First differences, the most frequent cause first. */
export function render_causes(scores: readonly ProgScore[], max: number): string {
	const causes = new Map<string, { finding: Finding; who: string[] }>();
	for (const s of scores) {
		const f = first_failure(s);
		if (!f) continue;
		const key = `${f.level}: ${f.cause}`;
		const c = causes.get(key);
		if (c) c.who.push(score_name(s));
		else causes.set(key, { finding: f, who: [score_name(s)] });
	}
	const sorted = [...causes].sort((a, b) => b[1].who.length - a[1].who.length);
	const lines = sorted.slice(0, max).map(([key, c]) => {
		const more = c.who.length > 3 ? `, … (--only '^(${c.who.slice(0, 2).join("|")})')` : "";
		return `${colours.bold(String(c.who.length).padStart(4))}  ${key}\n        ${colours.dim(c.who.slice(0, 3).join(", ") + more)}`;
	});
	if (sorted.length > max) lines.push(`      … and ${sorted.length - max} more causes (--causes N)`);
	return lines.join("\n");
}
