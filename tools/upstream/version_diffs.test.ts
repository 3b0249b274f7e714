// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import {
	explain_by_version,
	has_change,
	log_as_of_6_12,
	VERSION_DIFFS,
	version_diff_of_test,
	version_diffs,
} from "./version_diffs.ts";

const of_log = (release: string, ours: string, theirs: string, level = "log"): string[] | null =>
	explain_by_version(release, { level, ours: { err: 0, log: ours }, theirs: { err: 0, log: theirs } })?.map(
		(d) => d.id,
	) ?? null;

it("releases are compared as numbers", () => {
	expect(has_change("6.18.44-x", "6.13")).toBe(true);
	expect(has_change("6.9", "6.13")).toBe(false);
	expect(has_change("7.0.1", "6.18")).toBe(true);
	expect(has_change("6.12.95+deb12-amd64", "6.13")).toBe(false);
	expect(has_change(undefined, "6.13")).toBe(false);
});

it("every known difference names its commit, and comes after 6.12", () => {
	for (const d of VERSION_DIFFS) {
		expect(d.commit).toMatch(/^[0-9a-f]{12} \S+/);
		expect(has_change(d.since, "6.13")).toBe(true);
	}
	expect(new Set(VERSION_DIFFS.map((d) => d.id)).size).toBe(VERSION_DIFFS.length);
});

it("marks of liveness are no difference against 6.18, and one against 6.12", () => {
	const ours =
		"0: (b7) r0 = 0   ; R0_w=0 R10=fp0\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 1\n";
	const theirs =
		"Live regs before insn:\n      0: .......... (b7) r0 = 0\n0: (b7) r0 = 0   ; R0=0\nprocessed 1 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0\n";
	expect(of_log("6.18.1", ours, theirs)).toEqual(["live-registers", "no-register-liveness"]);
	expect(of_log("6.15.1", ours, theirs)).toBeNull();
	expect(of_log("6.12.95", ours, theirs)).toBeNull();
	expect(of_log("6.18.1", ours, theirs.replace("R0=0", "R0=1"))).toBeNull();
});

it("where logs part tells why what follows differs", () => {
	const ours =
		"6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1,map=m,ks=4,vs=8)\n7: more\n";
	const theirs = "6: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value(map=m,ks=4,vs=8)\n7: less\n";
	expect(of_log("6.14.0", ours, theirs)).toEqual(["lookup-not-null"]);
	expect(of_log("6.14.0", ours, theirs, "xlated")).toEqual(["lookup-not-null"]);
	expect(of_log("6.13.0", ours, theirs)).toBeNull();
	// two logs that agree explain nothing of an image
	expect(of_log("6.14.0", ours, ours, "jited")).toBeNull();
});

interface LogCase {
	readonly id: string;
	/** A release before, which says what 6.12 does. */
	readonly not: string;
	readonly at: string;
	readonly ours: readonly string[];
	readonly theirs: readonly string[];
	/** A defect beside it: a text in the newer log and what it becomes. */
	readonly planted: readonly (readonly [from: string | RegExp, to: string])[];
}

/** Each known difference in logs, and defects beside it that must be found. */
const LOGS: readonly LogCase[] = [
	{
		id: "resource-leaks",
		not: "6.12.95",
		at: "6.13.0",
		ours: [
			"Unreleased reference id=2 alloc_insn=4",
			"BPF_LD_[ABS|IND] cannot be mixed with socket references",
			"2 bpf_preempt_enable(s) are missing",
		],
		theirs: [
			"Unreleased reference id=2 alloc_insn=4",
			"bpf_throw would lead to reference leak",
			"BPF_LD_[ABS|IND] would lead to reference leak",
			"BPF_EXIT instruction in main prog cannot be used inside bpf_preempt_disable-ed region",
		],
		planted: [
			["id=2", "id=3"],
			["bpf_throw", "tail_call"],
		],
	},
	{
		id: "callback-references",
		not: "6.12.95",
		at: "6.13.0",
		ours: [
			"17: (b4) w0 = 0                       ; frame1: R0=0 refs=2 cb",
			"18: (95) exit",
			"Unreleased reference id=2 alloc_insn=16",
		],
		theirs: [
			"17: (b4) w0 = 0                       ; frame1: R0=0 refs=2 cb",
			"18: (95) exit",
			"mark_precise: frame1: last_idx 18 first_idx 17 subseq_idx -1 ",
			"returning from callee:",
		],
		planted: [
			["R0=0 refs", "R0=1 refs"],
			["mark_precise: frame1", "mark_precise: frame0"],
			["mark_precise: frame1: last_idx 18 first_idx 17 subseq_idx -1 ", "from 5 to 8: safe"],
		],
	},
	{
		id: "references-in-order",
		not: "6.13.0",
		at: "6.14.0",
		ours: ["8: R0=scalar() refs=6,4", "9: (b7) r0 = 0    ; R0=0"],
		theirs: ["8: R0=scalar() refs=4,6", "9: (b7) r0 = 0    ; R0=0"],
		planted: [
			["R0=scalar() refs", "R0=0 refs"],
			["refs=4,6", "refs=4,5"],
			["refs=4,6", "refs=2,4,6"],
			["refs=4,6", "refs=4"],
			["; R0=0", "; R0=1"],
		],
	},
	{
		id: "locks-are-references",
		not: "6.13.0",
		at: "6.14.0",
		ours: [
			"8: (b7) r1 = 1    ; R1=1 refs=2",
			"9: R0=0 refs=2",
			"mark_precise: frame0: parent state regs= stack=:  R6=64",
			"25: (85) call bpf_spin_lock#93        ; refs=2,4",
		],
		theirs: [
			"8: (b7) r1 = 1    ; R1=1",
			"9: R0=0 refs=2",
			"mark_precise: frame0: parent state regs= stack=:  R6=64 refs=8",
			"25: (85) call bpf_spin_lock#93        ; refs=2,2,4",
		],
		planted: [
			["; R1=1", "; R1=2"],
			["R6=64 refs", "R6=65 refs"],
			["refs=2,2,4", "refs=2,2,5"],
			["refs=2,2,4", "refs=2,2,2,4"],
			["bpf_spin_lock#93", "bpf_spin_lock#94"],
			["; R1=1", "; R1=1 refs=3"],
			["R0=0 refs=2", "R0=0 refs=3"],
		],
	},
	{
		id: "dynptr-in-state",
		not: "6.13.0",
		at: "6.14.0",
		ours: [
			"30: R0=scalar() fp-48=dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1) refs=2",
			"33: R0=scalar() refs=2",
			"34: R0=0 fp-16=dynptr_local(id=3,dynptr_id=1)",
		],
		theirs: [
			"30: R0=scalar() fp-48=dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1) refs=2",
			"33: R0=scalar() fp-48=dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1) refs=2",
			"34: R0=0 fp-16=dynptr_local(id=3,dynptr_id=1)",
		],
		planted: [
			["R0=scalar() ", "R0=1 "],
			// it must be the one that there was before
			["33: R0=scalar() fp-48=dynptr_ringbuf(id=1", "33: R0=scalar() fp-48=dynptr_ringbuf(id=2"],
			["33: R0=scalar() fp-48", "33: R0=scalar() fp-64"],
			// one that both logs have is compared
			["dynptr_local(id=3", "dynptr_local(id=4"],
			["33: R0=scalar() fp-48=dynptr_ringbuf(id=1,ref_id=2,dynptr_id=1)", "33: R0=scalar() fp-48=7"],
		],
	},
	{
		id: "access-types",
		not: "6.13.0",
		at: "6.14.0",
		ours: ["58: R0=1 fp-8=mmmmmmmm fp-16=00000000", "59: R0=2 fp-24=mmmmmmmm fp-32=mmmm0"],
		theirs: [
			"58: R0=1 fp-8=scalar(id=5,smin=0,var_off=(0x0; 0xff)) fp-16=00000000",
			"59: R0=2 fp-24=mmmm2 fp-32=00000",
		],
		planted: [
			["R0=1", "R0=2"],
			["fp-16=00000000", "fp-16=5"],
			["fp-32=00000", "fp-32=00001"],
			["fp-32=00000", "fp-32=5"],
			["fp-8=scalar(id=5,smin=0,var_off=(0x0; 0xff))", "fp-8=iter_num(ref_id=1,state=active,depth=0)"],
			[" fp-8=scalar(id=5,smin=0,var_off=(0x0; 0xff))", ""],
		],
	},
	{
		id: "access-types",
		not: "6.13.0",
		at: "6.14.0",
		// what is read from such a slot
		ours: ["104: (71) r5 = *(u8 *)(r5 +0)    ; R5=scalar() fp-64=mmmmmmmm", "105: R5=scalar()"],
		theirs: ["104: (71) r5 = *(u8 *)(r5 +0)    ; R5=97 fp-64=0x7420747865742061", "105: R5=97"],
		planted: [
			["fp-64=0x7420747865742061", "fp-64=mmmmmmmm"],
			["(71) r5 = *(u8 *)(r5 +0)", "(71) r5 = *(u8 *)(r6 +0)"],
		],
	},
	{
		id: "access-types",
		not: "6.13.0",
		at: "6.14.0",
		ours: [
			"invalid indirect access to stack R1 off=-64 size=65",
			"invalid unbounded variable-offset indirect access to stack R4",
		],
		theirs: [
			"invalid write to stack R1 off=-64 size=65",
			"invalid unbounded variable-offset read from stack R4",
		],
		planted: [
			["size=65", "size=64"],
			["stack R4", "stack R5"],
			["unbounded ", ""],
		],
	},
	{
		id: "lookup-not-null",
		not: "6.13.0",
		at: "6.14.0",
		ours: ["6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=m)", "7: R0=0"],
		theirs: [
			"6: (85) call bpf_map_lookup_elem#1",
			"mark_precise: frame0: last_idx 6 first_idx 0 subseq_idx -1 ",
			"mark_precise: frame0: regs= stack=-80 before 4: (18) r1 = 0xff",
			"7: R0=map_value_or_null(id=1,map=m)",
			"7: R0=0",
		],
		planted: [
			["map_value_or_null(id=1", "map_value_or_null(id=2"],
			["bpf_map_lookup_elem#1", "bpf_map_pop_elem#88"],
			["\n7: R0=0", "\n7: R0=1"],
		],
	},
	{
		id: "lookup-not-null",
		not: "6.13.0",
		at: "6.14.0",
		ours: ["6: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=m)", "7: R0=0"],
		theirs: [
			"6: (85) call bpf_map_lookup_elem#1",
			"mark_precise: frame0: last_idx 6 first_idx 0 subseq_idx -1 ",
			"7: R0=map_value(map=m)",
			"7: something else",
		],
		planted: [
			["R0=map_value(map=m)", "R0=scalar()"],
			["6: (85) call bpf_map_lookup_elem#1", "6: (85) call bpf_map_peek_elem#89"],
		],
	},
	{
		id: "timed-may-goto",
		not: "6.14.0",
		at: "6.15.0",
		ours: ["5: (e5) may_goto pc+8", "stack depth 8+32+0"],
		theirs: ["5: (e5) may_goto pc+8", "stack depth 16+40+0"],
		planted: [
			["16+40+0", "16+40+8"],
			["16+40+0", "24+40+0"],
			["16+40+0", "16+40"],
			["may_goto pc+8", "goto pc+8"],
		],
	},
	{
		id: "sleepable-subprogs",
		not: "6.14.0",
		at: "6.15.0",
		ours: ["global function calls are not allowed with preemption disabled,", "use static function instead"],
		theirs: ["Func#1 ('global_sub') is global and assumed valid.", "3: R0=scalar()"],
		planted: [["Func#1 ('global_sub') is global and assumed valid.", "3: R0=scalar()"]],
	},
	{
		id: "rbtree-names",
		not: "6.15.0",
		at: "6.16.0",
		ours: ["26: (85) call bpf_rbtree_remove#65475", "rbtree_remove not allowed in rbtree cb"],
		theirs: ["26: (85) call bpf_rbtree_remove#65475", "bpf_rbtree_remove not allowed in rbtree cb"],
		planted: [
			["26: ", "27: "],
			["not allowed in rbtree cb", "not allowed"],
		],
	},
	{
		id: "rbtree-refcounted",
		not: "6.15.0",
		at: "6.16.0",
		ours: ["13: (85) call bpf_rbtree_remove#65475", "rbtree_remove node input must be non-owning ref"],
		theirs: ["13: (85) call bpf_rbtree_remove#65475      ; R0=ptr_or_null_node(id=4)", "14: R1=0"],
		planted: [
			["13: (85) call bpf_rbtree_remove", "13: (85) call bpf_rbtree_first"],
			["13: (85)", "12: (85)"],
		],
	},
	{
		id: "program-argument",
		not: "6.15.0",
		at: "6.16.0",
		ours: [
			"36: (85) call bpf_wq_set_callback_impl#66115",
			"arg#3 pointer type UNKNOWN  must point to scalar, or struct with scalar",
		],
		theirs: ["36: (85) call bpf_wq_set_callback_impl#66115          ; R0=scalar()", "37: R1=0"],
		planted: [["call bpf_wq_set_callback_impl", "call bpf_wq_start"]],
	},
	{
		id: "exception-cb-newline",
		not: "6.15.0",
		at: "6.16.0",
		ours: ["insn 7 cannot call exception cb directly", "verification time 1 usec"],
		theirs: ["insn 7 cannot call exception cb directlyverification time 2 usec"],
		planted: [
			["insn 7", "insn 8"],
			["verification time", "stack depth"],
		],
	},
	{
		id: "negated-bounds",
		not: "6.16.0",
		at: "6.17.0",
		ours: ["7: (87) r1 = -r1                      ; R1=scalar()", "8: R1=scalar()"],
		theirs: ["7: (87) r1 = -r1                      ; R1=-2", "8: R1=-2"],
		planted: [
			["(87) r1 = -r1", "(87) r2 = -r2"],
			["7: (87) r1 = -r1 ", "7: (b7) r1 = 1 "],
		],
	},
	{
		id: "backedges",
		not: "6.16.0",
		at: "6.17.0",
		ours: [
			"22: (b4) w0 = 1                       ; R0=1",
			"23: (bf) r1 = r10                     ; R1=fp0 R10=fp0",
			"58: (07) r1 += -8                     ; frame1: R1=fp-8 refs=1",
			"23: safe",
			"from 7 to 9: R0=2",
			"frame 1: propagating r0",
			"",
			"from 9 to 12: safe",
			"verification time 5 usec",
			"processed 36 insns (limit 1000000) max_states_per_insn 1 total_states 4 peak_states 4 mark_read 3",
		],
		theirs: [
			"22: (b4) w0 = 1",
			"SCC enter (1)",
			"23: R0=1",
			"23: (bf) r1 = r10                     ; R1=fp0 R10=fp0",
			"58: (07) r1 += -8",
			"SCC enter (2,1)",
			"59: frame1: R1=fp-8 refs=1",
			"SCC backedge (1)",
			"23: safe",
			"SCC exit (1)",
			"mark_precise: frame0: last_idx 40 first_idx 30 subseq_idx -1 ",
			"from 7 to 9: R0=2",
			"SCC exit (2,1)",
			"frame 1: propagating r0",
			"",
			"from 9 to 12: safe",
			"SCC exit (3)",
			"frame 0: propagating r7",
			"mark_precise: frame0: last_idx 14 first_idx 12 subseq_idx -1 ",
			"verification time 7 usec",
			"processed 36 insns (limit 1000000) max_states_per_insn 1 total_states 4 peak_states 6 mark_read 3",
		],
		planted: [
			["processed 36", "processed 37"],
			["frame 1: propagating r0", "frame 1: propagating r1"],
			["from 9 to 12: safe", "from 9 to 13: safe"],
			["total_states 4", "total_states 5"],
			["peak_states 6", "peak_states 3"],
			["23: R0=1", "23: R0=2"],
			["w0 = 1", "w0 = 2"],
			["frame1: R1=fp-8", "frame1: R1=fp-16"],
			["23: safe", "24: safe"],
			["SCC backedge (1)", "mark_precise: frame0: last_idx 40 first_idx 30 subseq_idx -1 "],
			["from 7 to 9: R0=2", "from 7 to 9: R0=3"],
		],
	},
	{
		id: "cast-to-void",
		not: "6.16.0",
		at: "6.17.0",
		ours: ["kfunc bpf_rdonly_cast type ID argument must be of a struct"],
		theirs: ["kfunc bpf_rdonly_cast type ID argument must be of a struct or void"],
		planted: [["bpf_rdonly_cast", "bpf_obj_new"]],
	},
	{
		id: "memory-argument-ids",
		not: "6.16.0",
		at: "6.17.0",
		ours: ["21: R1=mem(id=3,sz=16) R2=0"],
		theirs: ["21: R1=mem(sz=16) R2=0"],
		planted: [
			["sz=16", "sz=8"],
			["R2=0", "R2=1"],
			["R1=mem(sz=16)", "R1=mem_or_null(sz=16)"],
		],
	},
	{
		id: "no-register-liveness",
		not: "6.17.0",
		at: "6.18.0",
		ours: ["31: (b4) w6 = 0                       ; R6_w=0", "32: (e5) may_goto pc-4", "33: R0=1"],
		theirs: ["31: (b4) w6 = 0", "32: safe"],
		planted: [
			["w6 = 0", "w6 = 1"],
			["32: safe", "32: R6=1"],
		],
	},
	{
		id: "no-register-liveness",
		not: "6.17.0",
		at: "6.18.0",
		ours: ["14: (95) exit", "", "from 12 to 4: R1_w=2", "4: R1_w=2"],
		theirs: [
			"14: (95) exit",
			"(0) frame 0 insn 6 -live -8",
			"frame 0: propagating r1",
			"mark_precise: frame0: last_idx 4 first_idx 12 subseq_idx -1 ",
			"",
			"from 12 to 4: safe",
		],
		planted: [
			["14: (95) exit", "13: (95) exit"],
			["from 12 to 4: safe", "from 12 to 4: R1=1"],
			["frame 0: propagating r1", "frame 0: something"],
		],
	},
	{
		id: "swapped-bounds",
		not: "6.17.0",
		at: "6.18.44",
		ours: ["12: (dc) r3 = be16 r3                 ; R3=scalar()", "13: R3=scalar()"],
		theirs: ["12: (dc) r3 = be16 r3                 ; R3=scalar(smin=0,smax=65535)", "13: R3=scalar()"],
		planted: [["(dc) r3 = be16 r3", "(dc) r3 = be32 r3"]],
	},
	{
		id: "linked-registers",
		not: "6.17.0",
		at: "7.0.0",
		ours: ["126: (04) w2 += -4081    ; R2=scalar(smin=0,var_off=(0x0; 0xff))", "127: R1=1"],
		theirs: ["126: (04) w2 += -4081    ; R2=scalar(id=2-4081,smin=0,var_off=(0x0; 0xff))", "127: R1=2"],
		planted: [
			["smin=0", "smin=1"],
			["w2 += -4081", "w2 += -4080"],
			["id=2-4081", "id=2"],
		],
	},
	{
		id: "linked-registers",
		not: "6.17.0",
		at: "6.18.44",
		ours: ["from 7 to 8: R1=scalar(id=3+1,smin=1,var_off=(0x0; 0x3fff)) R8=scalar(id=3)", "8: R1=0"],
		theirs: ["from 7 to 8: R1=scalar(id=3+1,smin=1,var_off=(0x0; 0x1fff)) R8=scalar(id=3)", "8: R1=0"],
		planted: [
			["R8=scalar(id=3)", "R8=scalar(id=3,smin=2)"],
			["id=3+1", "id=3+2"],
		],
	},
	{
		id: "linked-live-registers",
		not: "6.17.0",
		at: "6.18.44",
		ours: [
			"from 62 to 63: R0=0 R1=-2 R6=7",
			"mark_precise: frame0: regs=r1 stack= before 62: (e5) may_goto pc+3",
			"mark_precise: frame0: parent state regs=r0,r1 stack=:  R0=Pscalar(id=7,smin=1) R1=P-2",
			"mark_precise: frame0: last_idx 61 first_idx 61 subseq_idx 62 ",
			"mark_precise: frame0: regs=r0,r6 stack= before 61: (bc) w6 = w0",
		],
		theirs: [
			"Live regs before insn:",
			"     61: 0......... (bc) w6 = w0",
			" 1   62: .12...6... (e5) may_goto pc+3",
			"     63: .12...6... (07) r1 += 2",
			"from 62 to 63: R0=scalar(id=7,smin=0,var_off=(0x0; 0xff)) R1=-2 R6=7",
			"mark_precise: frame0: regs=r1 stack= before 62: (e5) may_goto pc+3",
			"mark_precise: frame0: parent state regs=r1 stack=:  R0=scalar(id=7) R1=P-2",
			"mark_precise: frame0: last_idx 61 first_idx 61 subseq_idx 62 ",
			"mark_precise: frame0: regs=r6 stack= before 61: (bc) w6 = w0",
		],
		planted: [
			["R1=-2 R6=7", "R1=-2 R6=8"],
			["R0=scalar(id=7,smin=0,var_off=(0x0; 0xff))", "R0=ctx()"],
			["R0=scalar(id=7,smin=0,var_off=(0x0; 0xff))", "R0=1"],
			["R1=P-2", "R1=-2"],
			// where it is used, it is compared
			[" 1   62: .12...6...", " 1   62: 012...6..."],
			["     63: .12...6...", "     63: 012...6..."],
			["regs=r6 stack= before 61", "regs=r8 stack= before 61"],
			["regs=r6 stack= before 61", "regs=r0,r6,r8 stack= before 61"],
		],
	},
];

it.each(LOGS)("$id: logs of $at are told from defects", ({ id, not, at, ours, theirs, planted }) => {
	const [a, b] = [`0: R1=ctx()\n${ours.join("\n")}\n`, `0: R1=ctx()\n${theirs.join("\n")}\n`];
	expect(of_log(at, a, b)).toContain(id);
	expect(of_log(not, a, b)).toBeNull();
	// a line before it
	expect(of_log(at, a, b.replace("R1=ctx()", "R1=pkt()"))).toBeNull();
	for (const [from, to] of planted) {
		const wrong = b.replace(from, to);
		expect(wrong).not.toBe(b);
		expect(of_log(at, a, wrong), `${from} as ${to}`).toBeNull();
	}
});

it("after two logs have parted, only what follows from the way is explained", () => {
	const ours = "7: (87) r1 = -r1      ; R1=scalar()\n";
	const theirs = "7: (87) r1 = -r1      ; R1=-2\n";
	expect(of_log("6.17.0", ours, theirs, "stats")).toEqual(["negated-bounds"]);
	expect(of_log("6.17.0", ours, theirs, "xlated")).toEqual(["negated-bounds"]);
	for (const level of ["insns", "verdict", "jited", "run", "maps"])
		expect(of_log("6.17.0", ours, theirs, level)).toBeNull();
	// states are counted by another liveness, but not where the logs show the same way
	expect(of_log("6.18.0", ours, ours, "stats")).toBeNull();
});

it("verdicts differ by what the last lines say, and by nothing else", () => {
	const refused =
		"36: (85) call bpf_wq_set_callback_impl#66115\narg#3 pointer type UNKNOWN  must point to scalar, or struct with scalar\n";
	const verdict = (err: number, log: string, real: number): string[] | null =>
		explain_by_version("6.16.0", {
			level: "verdict",
			ours: { err, log },
			theirs: { err: real, log: "" },
		})?.map((d) => d.id) ?? null;
	expect(verdict(-22, refused, 0)).toEqual(["program-argument"]);
	expect(verdict(-22, refused, -13)).toBeNull();
	expect(verdict(-22, refused.replace("wq_set_callback_impl", "other"), 0)).toBeNull();
	const locked = "global function calls are not allowed while holding a lock,\nuse static function instead\n";
	expect(verdict(-22, locked, 0)).toEqual(["sleepable-subprogs"]);
	expect(verdict(-22, "R0 !read_ok\n", 0)).toBeNull();
	const lookup = (real: string): string[] | null =>
		explain_by_version("6.14.0", {
			level: "verdict",
			ours: {
				err: -13,
				log: "5: (85) call bpf_map_lookup_elem#1 ; R0_w=map_value_or_null(id=1)\nR0 invalid mem access 'map_value_or_null'\n",
			},
			theirs: { err: 0, log: real },
		})?.map((d) => d.id) ?? null;
	expect(lookup("5: (85) call bpf_map_lookup_elem#1\nmark_precise: …\n5: R0=map_value()\n")).toEqual([
		"lookup-not-null",
	]);
	expect(lookup("5: (85) call bpf_map_lookup_elem#1 ; R0_w=map_value_or_null(id=1)\n")).toBeNull();
});

it("images differ by the private stack only where the instructions are the same", () => {
	const image = (text: string, xlated: string | null): string[] | null =>
		explain_by_version("6.13.0", {
			level: "jited",
			text,
			ours: { err: 0, log: "" },
			theirs: { err: 0, log: "" },
			compare_xlated: () => xlated,
		})?.map((d) => d.id) ?? null;
	const text =
		"jited func 0 byte 12 (501 bytes, real 533): 000f1f00554889e5[4881ec90000000534155415648bf2062], real [534155415649b958e0b05b7960000065]";
	expect(image(text, null)).toEqual(["private-stack"]);
	// the instructions may be shown behind it
	expect(image(`${text}\n          8: push rbp\n  real    c: push rbx`, null)).toEqual(["private-stack"]);
	expect(image(text, "insn 3: …")).toBeNull();
	expect(image(text.replace("49b9", "49ba"), null)).toBeNull();
});

it("rewritten instructions differ by what is known of them only", () => {
	const call = (imm: number): Buffer => {
		const b = Buffer.from("8500000000000000", "hex");
		b.writeInt32LE(imm, 4);
		return b;
	};
	const xlated = (ours: Buffer, theirs: Buffer, type: number): string[] | null =>
		explain_by_version("6.18.0", {
			level: "xlated",
			type,
			ours: { err: 0, log: "", xlated: ours },
			theirs: { err: 0, log: "", xlated: theirs },
			compare_xlated: (both) => (both.ours.equals(both.theirs) ? null : "different"),
			called: (imm) => ["", "bpf_task_storage_get", "bpf_task_storage_get_recur", "bpf_loop"][imm],
		})?.map((d) => d.id) ?? null;
	const SYSCALL = 31;
	expect(xlated(call(2), call(1), SYSCALL)).toEqual(["syscall-not-recursive"]);
	expect(xlated(call(2), call(1), 1)).toBeNull();
	expect(xlated(call(1), call(2), SYSCALL)).toBeNull();
	expect(xlated(call(2), call(3), SYSCALL)).toBeNull();
	expect(xlated(Buffer.concat([call(2), call(3)]), Buffer.concat([call(1), call(4)]), SYSCALL)).toBeNull();
});

it("what a stable series took over later, all its releases may show, and no earlier series", () => {
	expect(version_diffs("6.18.2").map((d) => d.id)).toContain("swapped-bounds");
	expect(version_diffs("6.19.2").map((d) => d.id)).not.toContain("swapped-bounds");
	expect(version_diffs("7.0.0").map((d) => d.id)).toContain("swapped-bounds");
});

it("annotations written for 6.12 find its words in a newer log", () => {
	const newer =
		"BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region\nprocessed 1\n";
	expect(log_as_of_6_12("6.18.0", newer)).toBe("bpf_spin_unlock is missing\nprocessed 1\n");
	expect(log_as_of_6_12("6.12.1", newer)).toBe(newer);
	expect(version_diff_of_test("6.18.0", "arena_pages/allocation")?.id).toBe("arena-range-tree");
	expect(version_diff_of_test("6.12.0", "arena_pages/allocation")).toBeNull();
});
