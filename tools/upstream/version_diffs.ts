// SPDX-License-Identifier: GPL-2.0-only
/**
 * What newer kernels do otherwise than 6.12, each with the commit that made it so. The comparison with a
 * newer kernel tells these from defects by the rules here, and tests expect the newer outcome to be there.
 */

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
	/** Whether it is what makes two loads differ. */
	readonly explains?: (d: Differing) => boolean;
}

/** What both kernels made of a load in which they differ at a level. */
export interface Differing {
	readonly level: string;
	readonly ours: { readonly err: number; readonly log: string };
	readonly theirs: { readonly err: number; readonly log: string };
}

export const VERSION_DIFFS: readonly VersionDiff[] = [
	{
		id: "arena-range-tree",
		since: "6.13",
		commit: "b795379757eb bpf: Introduce range_tree data structure and use it in bpf arena",
		what: "free pages of an arena are found by size, not lowest first",
		tests: ["arena_pages/allocation"],
	},
	{
		id: "resource-leaks",
		since: "6.13",
		commit: "d402755ced2e bpf: Unify resource leak checks",
		what: "leaving with a lock, RCU or preemption section names the place, not the missing call",
		log: [
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

/** The known difference between 6.12 and a release that makes a load differ at a level; null when it is none. */
export function explain_by_version(
	release: string,
	level: string,
	ours: { readonly err: number; readonly log: string },
	brief: { readonly err: number },
	full: { readonly log?: string },
): VersionDiff | null {
	const known = version_diffs(release);
	if (known.length === 0) return null;
	const theirs = { err: brief.err, log: full.log ?? "" };
	return known.find((d) => d.explains?.({ level, ours, theirs })) ?? null;
}
