// SPDX-License-Identifier: GPL-2.0-only
/** Lines of verifier logs: what newer kernels print otherwise in them than 6.12. */
import { type LineAt, type Parting, type Rewrite, with_state } from "./version_log.ts";

/** What a newer kernel says while it marks what must be precise. */
export const MARKS = "(?:mark_precise: .*\\n)+";
/** The state after an instruction, on a line of its own. */
export const STATE = "\\d+:((?: frame\\d+:)?(?: (?:R\\d+_?\\w*|fp-\\d+\\w*)=.*| refs=.*| cb)?)$";

/** What a log says instead of going on, at a state that was seen before. */
export const SAFE = /^(?:\d+|from \d+ to \d+(?: \(speculative execution\))?): safe$/;

/** An instruction and, on the next line that is left, its state: 6.12 has them on one line. */
export const joined: Rewrite = (_line, insn, state) => with_state(insn!, state!);

/** An instruction's line without the state behind it. */
export const insn_of = (line: string | undefined): string => (line ?? "").replace(/ +;.*$/, "");

/** Whether logs part at the state after one instruction of a kind. */
export const parts_after =
	(insn: RegExp) =>
	({ ours, theirs }: Parting): boolean =>
		insn.test(insn_of(ours[0])) && insn_of(ours[0]) === insn_of(theirs[0]);

/** What a register or stack slot is said to be in a line; undefined when it is not in it. */
export function value_in(line: string, name: string): string | undefined {
	return new RegExp(` ${name}(?:_[rwD]+)?=((?:[^ (]|\\((?:[^()]|\\([^()]*\\))*\\))*)`).exec(line)?.[1];
}

/** Whether of two slots of the stack one is the other with bytes of any value over it. */
function bytes_over(ours: string, theirs: string): boolean {
	if (/^(?:dynptr|iter|irq)_/.test(theirs)) return false;
	if (/^[m?0]{8}$/.test(ours)) return ours.includes("m");
	// above a smaller spill, of which both print the value
	const [x, y] = [/^([m?0]{4})(.+)$/.exec(ours), /^([m?0]{4})(.+)$/.exec(theirs)];
	return x !== null && y !== null && x[2] === y[2] && [...x[1]!].every((c, k) => c === "m" || c === y[1]![k]);
}

/** kernel/bpf/verifier.c of 6.12: helpers that only read a slot leave bytes of any value in it. */
export function clobbered(ours: string, theirs: string): string {
	return ours.replace(
		/ (fp-\d+)(_[rwD]+)?=([m?0]+\S*)(?= |$)/g,
		(all, slot: string, mark: string, is: string) => {
			const value = value_in(theirs, slot);
			return value !== undefined && bytes_over(is, value) ? ` ${slot}${mark ?? ""}=${value}` : all;
		},
	);
}
/** A line without the bounds of scalars that are another one and a constant. */
export const without_deltas = (line: string): string =>
	line.replace(/\(id=(\d+[-+]\d+),(?:[^()]|\([^()]*\))*\)/g, "(id=$1)");

/** Whether behind its first line a log goes on with a state that was seen before. */
export function pruned_after(lines: readonly string[]): boolean {
	const next = lines.slice(1).find((l) => !/^(?:mark_precise: |frame \d+: propagating |$)/.test(l));
	return SAFE.test(next ?? "");
}

/** A newer log's depth of stacks, without the eight bytes more that may_goto takes in a function. */
export function timed_stack(ours: string, theirs: string): string {
	const [x, y] = [ours, theirs].map((line) => /^stack depth (\d+(?:\+\d+)*)$/.exec(line)?.[1]?.split("+"));
	if (!x || !y || x.length !== y.length) return theirs;
	return x.every((n, i) => y[i] === n || (n !== "0" && Number(y[i]) === Number(n) + 8)) ? ours : theirs;
}

/** Registers that a newer log says are live before an instruction; null where it does not say. */
function live_before(log: string, insn: string): string | null {
	return new RegExp(`^ *(?:\\d+ +)?${insn}: ([.\\d]{10}) `, "m").exec(log)?.[1] ?? null;
}

/** Before which instruction the registers of a line are what it says; undefined where it does not tell. */
function insn_before(line: string, last: string): string | undefined {
	if (!line.startsWith("mark_precise: "))
		return /^(?:from \d+ to )?(\d+):(?= frame\d+:| [Rf])/.exec(line)?.[1];
	const first_idx = / (?:before|first_idx) (\d+)[: ]/.exec(last)?.[1];
	if (/ parent state /.test(line)) return first_idx;
	// marks are printed for what is needed behind an instruction
	const begin = / last_idx (\d+) first_idx \d+ subseq_idx (-?\d+) /.exec(last);
	if (begin) return begin[2] === "-1" ? begin[1] : begin[2];
	return / before (\d+): /.exec(last)?.[1];
}

/**
 * Two lines without registers that are not used any more, by the newer log's own words, and that were linked
 * with others: the newer kernel does not learn of those any more.
 */
export function without_unlinked(
	ours: string,
	theirs: string,
	at: LineAt,
): readonly [ours: string, theirs: string] {
	const insn = insn_before(theirs, at.last);
	const live = insn === undefined ? null : live_before(at.theirs, insn);
	if (live === null) return [ours, theirs];
	let [x, y] = [ours, theirs];
	const marked = /^(mark_precise: frame\d+: (?:parent state )?regs=)([r\d,]*)(?= stack=)/;
	const theirs_has = marked.exec(theirs)?.[2]?.split(",");
	if (theirs_has)
		x = x.replace(marked, (_all, head: string, regs: string) => {
			const left = regs.split(",").filter((r) => theirs_has.includes(r) || live.includes(r.slice(1)));
			return `${head}${left.join(",")}`;
		});
	for (let reg = 0; reg < 10; reg++) {
		const [a, b] = [value_in(ours, `R${reg}`), value_in(theirs, `R${reg}`)];
		if (a === undefined || b === undefined || a === b || live.includes(String(reg))) continue;
		const id = /^scalar\((id=\d+)[,)]/.exec(b)?.[1];
		if (id === undefined || !(/^-?\w+$/.test(a) || a.replace(/^P/, "").startsWith(`scalar(${id}`))) continue;
		x = x.replace(` R${reg}=${a}`, "");
		y = y.replace(` R${reg}=${b}`, "");
	}
	return [x, y];
}

/** A text for a regular expression that matches it. */
export const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A line with references in the order of their numbers. */
export const refs_in_order = (line: string): string =>
	line.replace(
		/ refs=([\d,]+)/,
		(_all, refs: string) =>
			` refs=${refs
				.split(",")
				.sort((a, b) => Number(a) - Number(b))
				.join(",")}`,
	);

/**
 * A newer line without the lock among its references: it has the id of what it is in. As it is where it is not
 * another line with one reference more.
 */
export function without_lock(line: string, other: string): string {
	const refs = (of: string): string[] => / refs=([\d,]+)/.exec(of)?.[1]?.split(",") ?? [];
	const [x, y] = [refs(other), refs(line)];
	const lock = y.find(
		(_r, k) => [...y.slice(0, k), ...y.slice(k + 1)].sort().join() === [...x].sort().join(),
	);
	const rest = (of: string): string => of.replace(/ refs=[\d,]+/, "");
	return lock !== undefined && rest(line) === rest(other) ? other : line;
}

/** A line without references, where it is another one then; else as it is. */
export function without_refs(line: string, other: string): string {
	const without = line.replace(/ +; refs=[\d,]+$| refs=[\d,]+/, "");
	return without === other ? without : line;
}

/** Whether statistics differ by more states that were kept at a time. */
export function more_states(ours: string, theirs: string): boolean {
	const peak = / peak_states (\d+)/;
	const [x, y] = [peak.exec(ours)?.[1], peak.exec(theirs)?.[1]];
	return x !== undefined && Number(y) > Number(x) && theirs.replace(peak, ` peak_states ${x}`) === ours;
}

/** Whether two messages are one about the stack, which a newer kernel words by what a helper does to it. */
export const direct_access = (ours: string, theirs: string): boolean =>
	/^invalid .*indirect access to stack /.test(ours) &&
	/ (?:read from|write to) stack /.test(theirs) &&
	theirs.replace(/(?:read from|write to) stack /, "indirect access to stack ") === ours;
