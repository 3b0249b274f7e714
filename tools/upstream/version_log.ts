// SPDX-License-Identifier: GPL-2.0-only
/** Logs of two releases side by side: lines that known differences account for, and where the logs part. */
import { canonical_log } from "./compare.ts";

/** Where two logs part: the first lines that differ, each with those after it, and what came before. */
export interface Parting {
	readonly ours: readonly string[];
	readonly theirs: readonly string[];
	readonly before: readonly string[];
	/** The lines themselves, before what is known of them was taken out. */
	readonly raw: { readonly ours: string; readonly theirs: string };
}

/** Where a line of a newer log is. */
export interface LineAt {
	/** Both logs, as they were printed. */
	readonly ours: string;
	readonly theirs: string;
	/** The line before it. */
	readonly last: string;
}

/** What of a known difference concerns logs. */
export interface LogRule {
	/** Lines of a newer log, and what 6.12 says in their place. */
	readonly log?: readonly (readonly [newer: RegExp, of_6_12: string | Rewrite])[];
	/** What is left out of a log of 6.12 that is held against a newer one. */
	readonly log_of_6_12?: readonly (readonly [of_6_12: RegExp, newer: string])[];
	/** Two lines that differ, with this difference taken out of both; it may leave others. */
	readonly line?: (ours: string, theirs: string, at: LineAt) => readonly [ours: string, theirs: string];
	/** Whether it is what makes two logs part; all that follows, it explains too. */
	readonly parts?: (at: Parting) => boolean;
}

/** What a match of a regular expression becomes. */
export type Rewrite = (match: string, ...groups: string[]) => string;

/** kernel/bpf/log.c: vlog_alignment, behind a line of a length */
function alignment(length: number): number {
	const pos = length + 1;
	return Math.ceil(Math.max(pos + 4, 40) / 8) * 8 - pos - 1;
}

/** An instruction, and the state after it on the same line. */
export function with_state(insn: string, state: string): string {
	return `${insn}${" ".repeat(alignment(insn.length))};${state}`;
}

/** What walking two logs found. */
export interface Walk<R> {
	/** Rules that account for lines, in the order of the list. */
	readonly used: R[];
	/** The first lines that no rule accounts for, if any. */
	readonly at: Parting | null;
	/** The rule that explains why the logs part there. */
	readonly parting: R | null;
	/** Line number, from 1, in both logs as they were compared. */
	readonly line: number;
}

const BEFORE = 3;

/** Two logs without what is to be rewritten in either, and the rules that did so. */
export function rewritten<R extends LogRule>(
	rules: readonly R[],
	ours: string,
	theirs: string,
): { ours: string; theirs: string; used: Set<R> } {
	let a = ours;
	let b = theirs;
	const used = new Set<R>();
	for (const r of rules) {
		const [was_a, was_b] = [a, b];
		for (const [from, to] of r.log_of_6_12 ?? []) a = a.replace(from, to);
		for (const [from, to] of r.log ?? []) b = b.replace(from, to as string);
		if (a !== was_a || b !== was_b) used.add(r);
	}
	return { ours: canonical_log(a), theirs: canonical_log(b), used };
}

/** Goes through two logs line by line, until they part. */
export function walk_logs<R extends LogRule>(rules: readonly R[], ours: string, theirs: string): Walk<R> {
	const text = rewritten(rules, ours, theirs);
	const { used } = text;
	const in_order = (): R[] => rules.filter((r) => used.has(r));
	const a = text.ours.split("\n");
	const b = text.theirs.split("\n");
	let i = 0;
	for (; i < Math.max(a.length, b.length); i++) {
		let [x, y] = [a[i], b[i]];
		if (x === y) continue;
		const by: R[] = [];
		if (x !== undefined && y !== undefined) {
			for (const r of rules) {
				if (!r.line || x === y) continue;
				const [p, q]: readonly [string, string] = r.line(x, y, { ours, theirs, last: b[i - 1] ?? "" });
				if (p !== x || q !== y) by.push(r);
				[x, y] = [p, q];
			}
			if (x === y) {
				for (const r of by) used.add(r);
				continue;
			}
		}
		// what is left after those that account for a part of the lines
		const at: Parting = {
			ours: x === undefined ? [] : [x, ...a.slice(i + 1)],
			theirs: y === undefined ? [] : [y, ...b.slice(i + 1)],
			before: a.slice(Math.max(0, i - BEFORE), i),
			raw: { ours: a[i] ?? "", theirs: b[i] ?? "" },
		};
		const parting = rules.find((r) => r.parts?.(at)) ?? null;
		return { used: in_order(), at, parting, line: i + 1 };
	}
	return { used: in_order(), at: null, parting: null, line: i };
}
