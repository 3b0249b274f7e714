// SPDX-License-Identifier: GPL-2.0-only
/**
 * What newer kernels do otherwise than 6.12, each with the commit that made it so. The comparison with a
 * newer kernel tells these from defects by the rules here, and tests expect the newer outcome to be there.
 */
import { BPF_PROG_TYPE_SYSCALL } from "../../include/uapi/linux/bpf.ts";
import { calls_of_6_12, cpu_number_of_6_12, may_goto_of_6_12, type Rewritten } from "./version_insns.ts";
import {
	clobbered,
	direct_access,
	insn_of,
	joined,
	literal,
	MARKS,
	more_states,
	parts_after,
	pruned_after,
	refs_in_order,
	SAFE,
	STATE,
	timed_stack,
	value_in,
	without_deltas,
	without_lock,
	without_refs,
	without_unlinked,
} from "./version_lines.ts";
import { type LogRule, type Walk, walk_logs } from "./version_log.ts";

/** One known difference. */
export interface VersionDiff extends LogRule {
	readonly id: string;
	/** First release that has it. */
	readonly since: string;
	/** Stable series before it that took it over at some time: any release of theirs may have it. */
	readonly backported?: readonly string[];
	/** The commit: its number's beginning and its title. */
	readonly commit: string;
	/** What it is, for people. */
	readonly what: string;
	/** Tests and subtests whose outcome it changes. */
	readonly tests?: readonly string[];
	/** Rewritten instructions without it; null when it is none of these. */
	readonly xlated?: (both: Rewritten, d: Differing) => Rewritten | null;
	/** Whether it is what makes two loads differ, at a level other than their logs and instructions. */
	readonly explains?: (d: Differing) => boolean;
}

/** What a kernel made of a load. */
export interface Made {
	readonly err: number;
	readonly log: string;
	/** Rewritten instructions, where they can be had. */
	readonly xlated?: Uint8Array | undefined;
}

/** What both kernels made of a load in which they differ at a level. */
export interface Differing {
	readonly level: string;
	/** The first difference, as it is shown. */
	readonly text?: string;
	/** BPF_PROG_TYPE_* */
	readonly type?: number;
	readonly ours: Made;
	readonly theirs: Made;
	/** What is left of two rewritten programs' differences: null when nothing is. */
	readonly compare_xlated?: (both: Rewritten) => string | null;
	/** Name of the function that a call's immediate stands for. */
	readonly called?: (imm: number) => string | undefined;
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
			[/^(?:BPF_EXIT instruction in main prog|bpf_throw) would lead to reference leak\n/gm, ""],
			[
				/^BPF_LD_\[ABS\|IND\] would lead to reference leak$/gm,
				"BPF_LD_[ABS|IND] cannot be mixed with socket references",
			],
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
		log_of_6_12: [
			// it does not say how many
			[/^\d+ bpf_preempt_enable\(s\) are missing$/gm, "1 bpf_preempt_enable is missing"],
		],
	},
	{
		id: "callback-references",
		since: "6.13",
		commit: "ae6e3a273f59 bpf: Drop special callback reference handling",
		what: "references that a callback keeps are missed where the program ends, not where the callback does",
		parts: ({ ours, theirs, before }) =>
			/^Unreleased reference id=\d+ alloc_insn=\d+$/.test(ours[0] ?? "") &&
			/^(?:mark_precise: frame[1-9]|returning from callee:$)/.test(theirs[0] ?? "") &&
			/^\d+: \(95\) exit$/.test(before.at(-1) ?? "") &&
			/ cb$/.test(before.at(-2) ?? ""),
	},
	{
		id: "private-stack",
		since: "6.13",
		commit: "7d1cd70d4b16 bpf, x86: Support private stack in jit",
		what: "tracing programs with more than 64 bytes of stack have it elsewhere, and their images load its address into r9",
		explains: (d) =>
			d.level === "jited" &&
			d.compare_xlated?.({
				ours: Buffer.from(d.ours.xlated ?? []),
				theirs: Buffer.from(d.theirs.xlated ?? []),
			}) === null &&
			/^jited func \d+ byte \d+ .*\[4881ec[0-9a-f]*\], real \[(?:53|415[4567])*49b9[0-9a-f]{10,16}(?:65[0-9a-f]*)?\]$/m.test(
				d.text ?? "",
			),
	},
	{
		id: "locks-are-references",
		since: "6.14",
		commit: "1995edc5f908 bpf: Consolidate locks and reference state in verifier state",
		what: "locks are references too, and where one was taken first none is printed; references are not of a frame",
		line: (ours, theirs, at) => {
			if (!/ refs=/.test(theirs)) return [without_refs(ours, theirs), theirs];
			if (/ parent state /.test(theirs)) return [ours, without_refs(theirs, ours)];
			return [ours, /call bpf_spin_lock#/.test(at.theirs) ? without_lock(theirs, ours) : theirs];
		},
	},
	{
		id: "references-in-order",
		since: "6.14",
		commit: "c8e2ee1f3df0 bpf: Introduce support for bpf_local_irq_{save,restore}",
		what: "references stay in the order in which they were taken when one is released",
		line: (ours, theirs) => [refs_in_order(ours), refs_in_order(theirs)],
	},
	{
		id: "dynptr-in-state",
		since: "6.14",
		commit: "b79f5f54e1dc bpf: Refactor mark_{dynptr,iter}_read",
		what: "a dynptr that a call reads is in the state after the call",
		line: (ours, theirs, at) => [
			ours,
			// it is the one that was there before
			theirs.replace(/ (fp-\d+)(?:_[rwD]+)?(=dynptr_\w+\([^)]*\))/g, (all, slot: string, is: string) =>
				value_in(ours, slot) === undefined && new RegExp(` ${slot}(?:_[rwD]+)?${literal(is)}`).test(at.ours)
					? ""
					: all,
			),
		],
	},
	{
		id: "access-types",
		since: "6.14",
		commit: "37cce22dbd51 bpf: verifier: Refactor helper access type tracking",
		what: "what helpers do to the stack is called a read or a write, not indirect, and reads leave what is known of the slots",
		tests: [
			"dynptr_fail/add_dynptr_to_map1",
			"dynptr_fail/add_dynptr_to_map2",
			"dynptr_fail/invalid_helper1",
		],
		log_of_6_12: [[/^invalid indirect read from stack/gm, "invalid read from stack"]],
		line: (ours, theirs) =>
			direct_access(ours, theirs) ? [theirs, theirs] : [clobbered(ours, theirs), theirs],
		// what is read from such a slot is known in the newer kernel only
		parts: ({ ours, theirs, raw }) =>
			/^\d+: \((?:61|69|71|79|81|89|91)\) /.test(ours[0] ?? "") &&
			insn_of(ours[0]) === insn_of(theirs[0]) &&
			clobbered(raw.ours, raw.theirs) !== raw.ours,
	},
	{
		id: "lookup-not-null",
		since: "6.14",
		commit: "d2102f2f5d75 bpf: verifier: Support eliding map lookup nullness",
		what: "a lookup in an array by a known index within its bounds does not give NULL",
		log: [
			[
				new RegExp(
					`^(\\d+: \\(85\\) call bpf_map_(?:lookup|lookup_percpu|update|delete)_elem#\\d+)\\n${MARKS}${STATE}`,
					"gm",
				),
				joined,
			],
		],
		parts: ({ ours, theirs }) =>
			/call bpf_map_lookup(?:_percpu)?_elem#\d+ .*R0(?:_w)?=map_value_or_null\(/.test(ours[0] ?? "") &&
			/call bpf_map_lookup(?:_percpu)?_elem#\d+ .*R0(?:_w)?=map_value\(/.test(theirs[0] ?? ""),
		explains: (d) =>
			d.level === "verdict" &&
			d.theirs.err === 0 &&
			/call bpf_map_lookup(?:_percpu)?_elem#\d+ .*R0(?:_w)?=map_value_or_null\(/.test(d.ours.log) &&
			/call bpf_map_lookup(?:_percpu)?_elem#\d+\nmark_precise: /.test(d.theirs.log) &&
			/^R\d invalid mem access 'map_value_or_null'$/m.test(d.ours.log),
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
		line: (ours, theirs, at) =>
			/ may_goto pc/.test(at.theirs) ? [ours, timed_stack(ours, theirs)] : [ours, theirs],
		xlated: may_goto_of_6_12,
	},
	{
		id: "cpu-number",
		since: "6.15",
		commit: "18cdd90aba79 x86/bpf: Fix BPF percpu accesses",
		what: "the CPU's number is loaded by an address with a sign (pcpu_hot is gone: 01c7bc5198e9 x86/smp: Move cpu number to percpu hot section)",
		xlated: cpu_number_of_6_12,
	},
	{
		id: "no-register-liveness",
		since: "6.18",
		commit: "107e16979905 bpf: disable and remove registers chain based liveness",
		what: "registers have no read and write marks, states are counted and pruned by other liveness",
		log: [
			[/^\([\d,]+\) live stack update done in \d+ iterations\n/gm, ""],
			[/^\([\d,]+\) frame \d+ insn \d+ (?:[-+](?:live|written)(?: [-\d,]+)? ?)+\n/gm, ""],
			[/ mark_read 0$/gm, ""],
			[/ R10=fp0(?= |$)/gm, ""],
		],
		log_of_6_12: [
			[/ mark_read \d+$/gm, ""],
			[/\b(R\d+|fp-\d+)_r?w?D?=/g, "$1="],
			[/ R10=fp0(?= |$)/gm, ""],
		],
		parts: ({ ours, theirs }) =>
			SAFE.test(ours[0] ?? "") !== SAFE.test(theirs[0] ?? "") ||
			(/^frame \d+: propagating /.test(theirs[0] ?? "") &&
				ours[0] === "" &&
				pruned_after(theirs) &&
				!pruned_after(ours)) ||
			(insn_of(ours[0]) === insn_of(theirs[0]) && pruned_after(ours) !== pruned_after(theirs)),
		// without logs nothing shows where they part
		explains: (d) => d.level === "stats" && d.ours.err === d.theirs.err && d.theirs.log === "",
	},
	{
		id: "sleepable-subprogs",
		since: "6.15",
		commit: "e2d8f560d178 bpf: Summarize sleepable global subprogs",
		what: "global functions that do not sleep may be called with preemption disabled, a lock or RCU held",
		tests: ["verifier_kfuncs/preempt_global"],
		parts: ({ ours, theirs }) =>
			/^global function calls are not allowed (?:with preemption disabled|while holding a lock),$/.test(
				ours[0] ?? "",
			) && /^Func#\d+ \('\w+'\) is global and assumed valid\.$/.test(theirs[0] ?? ""),
		explains: (d) =>
			d.level === "verdict" &&
			d.theirs.err === 0 &&
			/^global function calls are not allowed .*,\nuse static function instead$/m.test(d.ours.log),
	},
	{
		id: "rbtree-names",
		since: "6.16",
		commit: "9e3e66c553f7 bpf: Add bpf_rbtree_{root,left,right} kfunc",
		what: "messages about bpf_rbtree_remove() begin with its whole name",
		log: [[/^bpf_(rbtree_remove (?:node input must be non-owning ref|not allowed in rbtree cb))$/gm, "$1"]],
	},
	{
		id: "rbtree-refcounted",
		since: "6.16",
		commit: "2ddef1783c43 bpf: Allow refcounted bpf_rb_node used in bpf_rbtree_{remove,left,right}",
		what: "bpf_rbtree_remove() takes an owning reference too",
		tests: ["verifier_objects/tree_remove_owned"],
		parts: (at) =>
			parts_after(/\(85\) call bpf_rbtree_remove#/)(at) &&
			/^rbtree_remove (?:node input must be non-owning ref|not allowed in rbtree cb)$/.test(at.ours[1] ?? ""),
		log: [
			[
				/^bpf_rbtree_remove can only take non-owning or refcounted bpf_rb_node pointer$/gm,
				"rbtree_remove node input must be non-owning ref",
			],
		],
	},
	{
		id: "program-argument",
		since: "6.16",
		commit: "bc049387b41f bpf: Add support for __prog argument suffix to pass in prog->aux",
		what: "the last argument of bpf_wq_set_callback_impl() is named aux__prog in the BTF, which tells 6.12 nothing",
		parts: (at) =>
			parts_after(/\(85\) call bpf_wq_set_callback_impl#/)(at) &&
			/^arg#3 pointer type UNKNOWN {2}must point to scalar, or struct with scalar$/.test(at.ours[1] ?? ""),
		explains: (d) =>
			d.level === "verdict" &&
			d.theirs.err === 0 &&
			/\(85\) call bpf_wq_set_callback_impl#\d+ *\narg#3 pointer type UNKNOWN {2}must point to scalar/.test(
				d.ours.log,
			),
	},
	{
		id: "exception-cb-newline",
		since: "6.16",
		commit: "1cb0f56d9618 bpf: WARN_ONCE on verifier bugs",
		what: "the message about calls of exception callbacks does not end its line",
		log: [[/^(insn \d+ cannot call exception cb directly)(?=\S)/gm, "$1\n"]],
	},
	{
		id: "negated-bounds",
		since: "6.17",
		commit: "aced132599b3 bpf: Add range tracking for BPF_NEG",
		what: "what is known of a register is known of its negative too",
		parts: parts_after(/^\d+: \((?:84|87)\) ([rw]\d+) = -\1$/),
	},
	{
		id: "backedges",
		since: "6.17",
		commit: "c9e31900b54c bpf: propagate read/precision marks over state graph backedges",
		what: "loops are verified by strongly connected components, whose entries, exits and back edges the log shows, and which keep states longer",
		log: [
			[
				new RegExp(`^(\\d+: \\([0-9a-f]{2}\\) [^;\\n]*)\\n(?:SCC enter \\([\\d,]+\\)\\n)+${STATE}`, "gm"),
				joined,
			],
			// marks are of the loop where no state follows that was seen before, to which they would belong
			[
				/^SCC exit \([\d,]+\)\n(?:(?:frame \d+: propagating|mark_precise:) .*\n)*(?=verification time |\n(?!.*: safe$))/gm,
				"",
			],
			[/^SCC exit \([\d,]+\)\n(?:mark_precise: .*\n)*/gm, ""],
			[/^SCC (?:enter|backedge) \([\d,]+\)\n/gm, ""],
		],
		line: (ours, theirs, at) =>
			/^SCC enter /m.test(at.theirs) && more_states(ours, theirs) ? [ours, ours] : [ours, theirs],
	},
	{
		id: "cast-to-void",
		since: "6.17",
		commit: "f2362a57aeff bpf: allow void* cast using bpf_rdonly_cast()",
		what: "bpf_rdonly_cast() takes type 0 too, and says so",
		log: [[/^(kfunc bpf_rdonly_cast type ID argument must be of a struct) or void$/gm, "$1"]],
	},
	{
		id: "memory-argument-ids",
		since: "6.17",
		commit: "c4aa454c64ae bpf: support for void/primitive __arg_untrusted global func params",
		what: "memory that a global function gets has an id only where it may be NULL",
		line: (ours, theirs) => [
			ours.replace(
				/ (R\d)((?:_[rwD]+)?=mem\()id=\d+,(sz=\d+)\)/g,
				(all, reg: string, is: string, size: string) =>
					value_in(theirs, reg) === `mem(${size})` ? ` ${reg}${is}${size})` : all,
			),
			theirs,
		],
	},
	{
		id: "syscall-not-recursive",
		since: "6.18",
		commit: "86de56487e5f bpf: Allow syscall bpf programs to call non-recur helpers",
		what: "syscall programs call local storage's helpers as they are, not those that watch for recursion",
		xlated: (both, d) =>
			d.type === BPF_PROG_TYPE_SYSCALL
				? calls_of_6_12(both, (ours, theirs) => {
						const name = d.called?.(theirs) ?? "";
						return /^bpf_task_storage_(?:get|delete)$/.test(name) && d.called?.(ours) === `${name}_recur`;
					})
				: null,
	},
	{
		id: "swapped-bounds",
		since: "7.0",
		backported: ["6.18"],
		commit: "9d2119984224 bpf: Add bitwise tracking for BPF_END",
		what: "what is known of a register's bits is known of them in another order too",
		parts: parts_after(/^\d+: \((?:d4|dc|d7)\) (r\d+) = (?:be|le|bswap)(?:16|32|64) \1$/),
	},
	{
		id: "linked-registers",
		since: "7.0",
		backported: ["6.18"],
		commit: "7a433e519364 bpf: Support negative offsets, BPF_SUB, and alu32 for linked register tracking",
		what: "registers stay linked over more additions and subtractions of constants",
		parts: ({ ours, theirs }) => {
			const [x, y] = [ours[0] ?? "", theirs[0] ?? ""];
			const linked = /^\d+: \((?:04|0c|14|1c|07|0f|17|1f)\) .*; .*\(id=\d+[-+]\d+,/.test(y);
			return (linked && y.replace(/\(id=\d+[-+]\d+,/g, "(") === x) || without_deltas(x) === without_deltas(y);
		},
	},
	{
		id: "linked-live-registers",
		since: "7.0",
		backported: ["6.18"],
		commit: "2658a1720a19 bpf: collect only live registers in linked regs",
		what: "registers that are not used any more learn nothing from those that they are linked with",
		line: (ours, theirs, at) => without_unlinked(ours, theirs, at),
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
	const series = release === undefined ? "" : numbers(release).join(".");
	return VERSION_DIFFS.filter((d) => has_change(release, d.since) || d.backported?.includes(series));
}

/** The difference that changes the outcome of a test on a kernel, or null. */
export function version_diff_of_test(release: string | undefined, test: string): VersionDiff | null {
	return version_diffs(release).find((d) => d.tests?.includes(test)) ?? null;
}

/** A newer kernel's log in the words of 6.12. */
export function log_as_of_6_12(release: string | undefined, log: string): string {
	let text = log;
	for (const d of version_diffs(release))
		for (const [newer, old] of d.log ?? []) text = text.replace(newer, old as string);
	return text;
}

/** Two logs held against each other with what is known to differ between 6.12 and a release. */
export function walk_known(release: string, ours: string, theirs: string): Walk<VersionDiff> {
	return walk_logs(version_diffs(release), ours, theirs);
}

/** The known differences that make two programs' rewritten instructions differ; null when others do too. */
function explain_xlated(known: readonly VersionDiff[], d: Differing): VersionDiff[] | null {
	if (!d.ours.xlated || !d.theirs.xlated || !d.compare_xlated) return null;
	let both: Rewritten = { ours: Buffer.from(d.ours.xlated), theirs: Buffer.from(d.theirs.xlated) };
	const used: VersionDiff[] = [];
	for (const k of known) {
		const next = k.xlated?.(both, d);
		if (!next || (next.ours.equals(both.ours) && next.theirs.equals(both.theirs))) continue;
		used.push(k);
		both = next;
	}
	return used.length && d.compare_xlated(both) === null ? used : null;
}

/** Levels that follow from the way that the verifier took. */
const PARTED_LEVELS: ReadonlySet<string> = new Set(["stats", "xlated"]);

/** The known differences between 6.12 and a release that make a load differ at a level; null when it is none. */
export function explain_by_version(release: string, d: Differing): VersionDiff[] | null {
	const known = version_diffs(release);
	if (known.length === 0) return null;
	const one = known.find((k) => k.explains?.(d));
	if (one) return [one];
	const by_insns = d.level === "xlated" ? explain_xlated(known, d) : null;
	if (by_insns) return by_insns;
	const { used, at, parting } = walk_logs(known, d.ours.log, d.theirs.log);
	if (d.level === "log") return at && !parting ? null : [...used, ...(parting ? [parting] : [])];
	// what the verifier took another way it also counted and rewrote in another way
	return parting && PARTED_LEVELS.has(d.level) ? [parting] : null;
}
