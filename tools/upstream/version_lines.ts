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

/** kernel/bpf/verifier.c of 6.12: helpers that only read a slot leave bytes of any value in it. */
export function clobbered(ours: string, theirs: string): string {
	return ours.replace(
		/ (fp-\d+)(_[rwD]+)?=([m?0]{8})(?= |$)/g,
		(all, slot: string, mark: string, bytes: string) => {
			const value = value_in(theirs, slot);
			const kept = value !== undefined && !/^(?:dynptr|iter|irq)_/.test(value);
			return bytes.includes("m") && kept ? ` ${slot}${mark ?? ""}=${value}` : all;
		},
	);
}

/** A line without the bounds of scalars that are another one and a constant. */
export const without_deltas = (line: string): string =>
	line.replace(/\(id=(\d+[-+]\d+),(?:[^()]|\([^()]*\))*\)/g, "(id=$1)");

/** Whether behind its first line, an instruction, a log goes on with a state that was seen before. */
export function pruned_after(lines: readonly string[]): boolean {
	const next = lines.slice(1).find((l) => !/^(?:mark_precise: |frame \d+: propagating )/.test(l));
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

/** A state's line without scalars in registers that are not used any more, by what the newer log says is. */
export function live_scalars(line: string, other: string, at: LineAt): string {
	// a state is printed before an instruction, or where marks go back over one, which the last line names
	const insn = line.startsWith("mark_precise: ")
		? / (?:before|first_idx) (\d+)[: ]/.exec(at.last)?.[1]
		: /^(?:from \d+ to )?(\d+):(?= frame\d+:| [Rf])/.exec(line)?.[1];
	const live = insn === undefined ? null : live_before(at.log, insn);
	if (live === null) return line;
	const marked = / regs=([r\d,]*) stack=.* before \d+: /;
	if (marked.test(line)) {
		const theirs = marked.exec(other)?.[1]?.split(",") ?? [];
		const left = (regs: string): string =>
			regs
				.split(",")
				.filter((r) => theirs.includes(r) || live.includes(r.slice(1)))
				.join(",");
		return line.replace(/ regs=([r\d,]*)/, (_all, regs: string) => ` regs=${left(regs)}`);
	}
	return line.replace(/ R(\d)=(?:-?\w+|scalar\((?:[^()]|\([^()]*\))*\))(?= |$)/g, (all, reg: string) => {
		const value = value_in(other, `R${reg}`) ?? "";
		return !live.includes(reg) && /^(?:-?\w+$|scalar\()/.test(value) ? "" : all;
	});
}
