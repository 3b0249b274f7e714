// SPDX-License-Identifier: GPL-2.0-only
/**
 * What newer kernels do otherwise than 6.12, each with the commit that made it so. The comparison with a
 * newer kernel tells these from defects by the rules here, and tests expect the newer outcome to be there.
 */
import { canonical_log, first_line_diff } from "./compare.ts";

/** One known difference. */
export interface VersionDiff {
	readonly id: string;
	/** First release that has it. */
	readonly since: string;
	/** The commit: its number's beginning and its title. */
	readonly commit: string;
	/** What it is, for people. */
	readonly what: string;
	/** Tests and subtests whose outcome it changes. */
	readonly tests?: readonly string[];
	/** Lines of a newer log, and what 6.12 says in their place. */
	readonly log?: readonly (readonly [newer: RegExp, of_6_12: string])[];
	/** What is left out of a log of 6.12 that is held against a newer one. */
	readonly log_of_6_12?: readonly (readonly [of_6_12: RegExp, newer: string])[];
	/** Whether it is what makes two loads differ, at a level other than their logs. */
	readonly explains?: (d: Differing) => boolean;
	/** Whether it is what makes the first lines differ in which two logs part; all that follows, it explains too. */
	readonly parts?: (ours: string, theirs: string) => boolean;
}

/** What both kernels made of a load in which they differ at a level. */
export interface Differing {
	readonly level: string;
	/** The first difference, as it is shown. */
	readonly text?: string;
	readonly ours: { readonly err: number; readonly log: string };
	readonly theirs: { readonly err: number; readonly log: string };
}

export const VERSION_DIFFS: readonly VersionDiff[] = [
	{
		id: "arena-range-tree",
		since: "6.13",
		commit: "b795379757eb bpf: Introduce range_tree data structure and use it in bpf arena",
		what: "free pages of an arena are found by size, not lowest first",
		tests: ["arena_pages/allocation", "arena_pages/inside"],
	},
	{
		id: "resource-leaks",
		since: "6.13",
		commit: "d402755ced2e bpf: Unify resource leak checks",
		what: "leaving with a lock, RCU or preemption section names the place, not the missing call",
		log: [
			[/^BPF_EXIT instruction in main prog would lead to reference leak\n/gm, ""],
			[
				/^(?:BPF_EXIT instruction in main prog|bpf_throw) cannot be used inside bpf_spin_lock-ed region$/gm,
				"bpf_spin_unlock is missing",
			],
			[
				/^(?:BPF_EXIT instruction in main prog|bpf_throw) cannot be used inside bpf_rcu_read_lock-ed region$/gm,
				"bpf_rcu_read_unlock is missing",
			],
			[
				/^(?:BPF_EXIT instruction in main prog|bpf_throw) cannot be used inside bpf_preempt_disable-ed region$/gm,
				"1 bpf_preempt_enable is missing",
			],
		],
	},
	{
		id: "references-in-order",
		since: "6.14",
		commit: "1995edc5f908 bpf: Consolidate locks and reference state in verifier state",
		what: "locks are references too, and refs= is printed where these change",
		parts: (ours, theirs) => ours.replace(/ refs=[\d,]+/g, "") === theirs.replace(/ refs=[\d,]+/g, ""),
	},
	{
		id: "access-types",
		since: "6.14",
		commit: "37cce22dbd51 bpf: verifier: Refactor helper access type tracking",
		what: "a read of the stack by a helper is not called indirect any more",
		tests: [
			"dynptr_fail/add_dynptr_to_map1",
			"dynptr_fail/add_dynptr_to_map2",
			"dynptr_fail/invalid_helper1",
		],
		log_of_6_12: [[/^invalid indirect read from stack/gm, "invalid read from stack"]],
	},
	{
		id: "lookup-not-null",
		since: "6.14",
		commit: "d2102f2f5d75 bpf: verifier: Support eliding map lookup nullness",
		what: "a lookup in an array by a known index within its bounds does not give NULL",
		parts: (ours, theirs) =>
			/call bpf_map_lookup_elem#1 .*=map_value_or_null\(/.test(ours) &&
			/call bpf_map_lookup_elem#1 .*=map_value\(/.test(theirs),
	},
	{
		id: "live-registers",
		since: "6.15",
		commit: "14c8552db644 bpf: simple DFA-based live registers analysis",
		what: "a log of level 2 begins with the registers that are live before each instruction",
		log: [[/^Live regs before insn:\n(?: *(?:\d+ +)?\d+: [.\d]{10} .*\n)+/gm, ""]],
	},
	{
		id: "timed-may-goto",
		since: "6.15",
		commit: "e723608bf428 bpf: Add verifier support for timed may_goto",
		what: "loops with may_goto are bounded by time, and begin with another count",
		explains: (d) =>
			d.level === "xlated" &&
			/code=7a \S+ \S+ \S+ imm=8388608 .*real code=7a .* imm=65535 /.test(d.text ?? ""),
	},
	{
		id: "no-register-liveness",
		since: "6.18",
		commit: "107e16979905 bpf: disable and remove registers chain based liveness",
		what: "registers have no read and write marks, states are counted and pruned by other liveness",
		log: [
			[/^\([\d,]+\) live stack update done in \d+ iterations\n/gm, ""],
			[/^\([\d,]+\) frame \d+ insn \d+ (?:\+(?:live|written)(?: [-\d,]+)? ?)+\n/gm, ""],
			[/ max_states_per_insn \d+ total_states \d+ peak_states \d+ mark_read \d+$/gm, ""],
			[/ R10=fp0(?= |$)/gm, ""],
		],
		log_of_6_12: [
			[/ max_states_per_insn \d+ total_states \d+ peak_states \d+ mark_read \d+$/gm, ""],
			[/\b(R\d+|fp-\d+)_r?w?D?=/g, "$1="],
			[/ R10=fp0(?= |$)/gm, ""],
		],
		explains: (d) => d.level === "stats" && d.ours.err === d.theirs.err,
	},
	{
		id: "sleepable-subprogs",
		since: "6.15",
		commit: "e2d8f560d178 bpf: Summarize sleepable global subprogs",
		what: "global functions that do not sleep may be called with preemption disabled, a lock or RCU held",
		tests: ["verifier_kfuncs/preempt_global"],
	},
	{
		id: "rbtree-refcounted",
		since: "6.16",
		commit: "2ddef1783c43 bpf: Allow refcounted bpf_rb_node used in bpf_rbtree_{remove,left,right}",
		what: "bpf_rbtree_remove() takes an owning reference too",
		tests: ["verifier_objects/tree_remove_owned"],
		parts: (ours) =>
			/^rbtree_remove (?:node input must be non-owning ref|not allowed in rbtree cb)/m.test(ours),
	},
	{
		id: "anon-inode-noexec",
		since: "6.16",
		commit: "1ed95281c0c7 anon_inode: raise SB_I_NODEV and SB_I_NOEXEC",
		what: "maps cannot be mapped executable",
		tests: ["arena_mmap/area"],
	},
	{
		id: "css-rstat",
		since: "6.16",
		commit: "a97915559f5c cgroup: change rstat function signatures from cgroup-based to css-based",
		what: "cgroup_rstat_updated() is gone: css_rstat_updated() took its place",
		tests: ["verifier_kfuncs/arg_untrusted_struct"],
	},
];

/** 6.18.44-… as [6, 18]. */
function numbers(release: string): [number, number] {
	const [major, minor] = release.split(".", 2);
	return [Number.parseInt(major ?? "", 10) || 0, Number.parseInt(minor ?? "", 10) || 0];
}

/** Whether a kernel of a release has what a release brought. */
export function has_change(release: string | undefined, since: string): boolean {
	if (release === undefined) return false;
	const [major, minor] = numbers(release);
	const [m, n] = numbers(since);
	return major > m || (major === m && minor >= n);
}

/** Those that a kernel of a release shows. */
export function version_diffs(release: string | undefined): VersionDiff[] {
	return VERSION_DIFFS.filter((d) => has_change(release, d.since));
}

/** The difference that changes the outcome of a test on a kernel, or null. */
export function version_diff_of_test(release: string | undefined, test: string): VersionDiff | null {
	return version_diffs(release).find((d) => d.tests?.includes(test)) ?? null;
}

/** A newer kernel's log in the words of 6.12. */
export function log_as_of_6_12(release: string | undefined, log: string): string {
	let text = log;
	for (const d of version_diffs(release))
		for (const [newer, old] of d.log ?? []) text = text.replace(newer, old);
	return text;
}

/** Two logs without what known differences make of them, and those differences. */
export function logs_without_known(
	release: string,
	ours: string,
	theirs: string,
): { ours: string; theirs: string; used: VersionDiff[] } {
	let a = ours;
	let b = theirs;
	const used: VersionDiff[] = [];
	for (const d of version_diffs(release)) {
		const [was_a, was_b] = [a, b];
		for (const [from, to] of d.log_of_6_12 ?? []) a = a.replace(from, to);
		for (const [from, to] of d.log ?? []) b = b.replace(from, to);
		if (a !== was_a || b !== was_b) used.push(d);
	}
	return { ours: canonical_log(a), theirs: canonical_log(b), used };
}

/** The known differences between 6.12 and a release that make a load differ at a level; null when it is none. */
export function explain_by_version(release: string, d: Differing): VersionDiff[] | null {
	const known = version_diffs(release);
	if (known.length === 0) return null;
	const one = known.find((k) => k.explains?.(d));
	if (one) return [one];
	const { ours, theirs, used } = logs_without_known(release, d.ours.log, d.theirs.log);
	const diff = first_line_diff(ours, theirs, 0, 1);
	if (!diff) return d.level === "log" ? used : null;
	// what the verifier took another way it also rewrote, and the JIT compiled, in another way
	const parting = known.find((k) => k.parts?.(diff.ours[0] ?? "", diff.theirs[0] ?? ""));
	if (!parting) return null;
	return d.level === "log" ? [...used, parting] : [parting];
}
