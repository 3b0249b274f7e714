// SPDX-License-Identifier: GPL-2.0-only
/** Calls of global functions by their BTF, and dynptrs of packets with what moves the packet. */
import { beforeAll, describe, expect, it } from "vitest";
import { EACCES, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import * as bpf from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_JEQ, BPF_JMP, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn } from "./bpf_types.ts";
import {
	BPF_ALU64_IMM,
	BPF_CALL_REL,
	BPF_EXIT_INSN,
	BPF_JMP_IMM,
	BPF_LD_MAP_FD,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
} from "./insn_macros.ts";
import { BtfWriter, subprog_starts, TestKernel } from "./test_kernel.ts";

const { BPF_DW } = bpf;
const [R0, R1, R2, R3, R4, R6, R7, R10] = [0, 1, 2, 3, 4, 6, 7, 10] as const;
const mov = BPF_MOV64_IMM;
const movr = BPF_MOV64_REG;
const exit = BPF_EXIT_INSN;
const add = (dst: number, v: number): bpf_insn => BPF_ALU64_IMM(BPF_ADD, dst, v);
const fp = (dst: number, off: number): bpf_insn[] => [movr(dst, R10), add(dst, off)];
const call = (id: number): bpf_insn => BPF_RAW_INSN(BPF_JMP | bpf.BPF_CALL, 0, 0, 0, id);
const ret0 = [mov(R0, 0), exit()];

/** What the one argument of the global function is. */
type Arg = "long" | "ctx" | "mem" | "nonnull" | "dynptr" | "untagged";

let t: TestKernel;
beforeAll(() => {
	t = new TestKernel();
});

/** The program's BTF: main, and `f` of one argument of a kind. */
function func_btf(arg: Arg, linkage: number): { fd: number; main: number; f: number } {
	const b = new BtfWriter();
	const int = b.int("int", 4, true);
	const long = b.int("long", 8, true);
	const type = {
		long: () => long,
		ctx: () => b.ptr(b.struct("__sk_buff", 4, [["len", int, 0]])),
		mem: () => b.ptr(int),
		nonnull: () => b.ptr(int),
		dynptr: () => b.ptr(b.struct("bpf_dynptr", 16, [["__opaque", b.array(long, int, 2), 0]])),
		untagged: () => b.ptr(0),
	}[arg]();
	const f = b.func("f", int, [["a", type]], linkage);
	if (arg === "nonnull") b.decl_tag("arg:nonnull", f, 0);
	const main = b.func("main", int, [["c", b.ptr(0)]], linkage);
	return { fd: t.btf_load(b), main, f };
}

interface Case {
	name: string;
	arg: Arg;
	/** The call's argument in R1; the context is in R1 before. */
	set: () => bpf_insn[];
	body?: bpf_insn[];
	linkage?: number;
	err?: number;
	log?: string;
}

function run(cases: Case[]): void {
	for (const c of cases)
		it(c.name, () => {
			const insns = [...c.set(), BPF_CALL_REL(2), ...ret0, ...(c.body ?? ret0)];
			const { fd, main, f } = func_btf(c.arg, c.linkage ?? 1);
			const r = t.load({
				type: bpf.BPF_PROG_TYPE_SCHED_CLS,
				insns,
				btf_fd: fd,
				func_info: subprog_starts(insns).map((off) => [off, off === 0 ? main : f]),
			});
			if (c.log !== undefined) expect(r.log).toContain(c.log);
			expect([r.err, r.err ? r.log : ""]).toEqual([c.err ? -c.err : 0, c.err ? r.log : ""]);
		});
}

const value = (): bpf_insn[] => [
	BPF_ST_MEM(BPF_W, R10, -4, 0),
	...fp(R2, -4),
	...BPF_LD_MAP_FD(R1, t.map("m", { type: bpf.BPF_MAP_TYPE_ARRAY, key: 4, value: 8, max: 1 })),
	call(bpf.BPF_FUNC_map_lookup_elem),
	movr(R1, R0),
];

describe("global functions", () => {
	run([
		{
			name: "assumes them valid and verifies them on their own",
			arg: "long",
			set: () => [mov(R1, 1)],
			log: "Func#1 ('f') is global and assumed valid.\n",
		},
		{
			name: "rejects one that is wrong on its own",
			arg: "long",
			set: () => [mov(R1, 1)],
			body: [BPF_LDX_MEM(BPF_DW, R0, R1, 0), exit()],
			err: EACCES,
			log: "R1 invalid mem access 'scalar'\n",
		},
		{
			name: "verifies static ones at each call",
			arg: "long",
			linkage: 0,
			set: () => [BPF_ST_MEM(BPF_DW, R10, -8, 1), ...fp(R1, -8)],
			body: [BPF_LDX_MEM(BPF_DW, R0, R1, 0), ...ret0],
			log: "callee:\n",
		},
		{
			name: "rejects a pointer for a number",
			arg: "long",
			set: () => [...fp(R1, -8)],
			err: EINVAL,
			log: "R1 is not a scalar\nCaller passes invalid args into func#1 ('f')\n",
		},
		{ name: "accepts the context", arg: "ctx", set: () => [] },
		{
			name: "rejects something else for the context",
			arg: "ctx",
			set: () => [...fp(R1, -8)],
			err: EINVAL,
			log: "arg#0 expects pointer to ctx\n",
		},
		{
			name: "rejects a context that was moved",
			arg: "ctx",
			set: () => [add(R1, 4)],
			err: EACCES,
			log: "dereference of modified ctx ptr R1 off=4 disallowed\n",
		},
		{
			name: "accepts memory",
			arg: "mem",
			set: () => [BPF_ST_MEM(BPF_DW, R10, -8, 0), ...fp(R1, -8)],
			body: [BPF_JMP_IMM(BPF_JEQ, R1, 0, 1), BPF_LDX_MEM(BPF_W, R0, R1, 0), ...ret0],
		},
		{ name: "accepts NULL for memory", arg: "mem", set: () => [mov(R1, 0)] },
		{
			name: "takes memory to be NULL perhaps inside",
			arg: "mem",
			set: () => [mov(R1, 0)],
			body: [BPF_LDX_MEM(BPF_W, R0, R1, 0), ...ret0],
			err: EACCES,
			log: "R1 invalid mem access 'mem_or_null'\n",
		},
		{
			name: "rejects memory that is too short",
			arg: "mem",
			set: () => [BPF_ST_MEM(BPF_DW, R10, -8, 0), ...fp(R1, -2)],
			err: EINVAL,
			log: "invalid indirect access to stack R1 off=-2 size=4\n",
		},
		{
			name: "rejects memory that may be NULL for one that must not be",
			arg: "nonnull",
			set: () => value(),
			err: EINVAL,
			log: "arg#0 is expected to be non-NULL\n",
		},
		{
			name: "takes such memory as it is inside",
			arg: "nonnull",
			set: () => [BPF_ST_MEM(BPF_DW, R10, -8, 0), ...fp(R1, -8)],
			body: [BPF_LDX_MEM(BPF_W, R0, R1, 0), ...ret0],
		},
		{
			name: "rejects what is no dynptr",
			arg: "dynptr",
			set: () => [BPF_ST_MEM(BPF_DW, R10, -8, 0), BPF_ST_MEM(BPF_DW, R10, -16, 0), ...fp(R1, -16)],
			err: EINVAL,
			log: "Expected an initialized dynptr as arg #0\n",
		},
		{
			name: "accepts a dynptr",
			arg: "dynptr",
			set: () => [mov(R2, 0), ...fp(R3, -16), t.kfunc("bpf_dynptr_from_skb"), ...fp(R1, -16)],
		},
		{
			name: "rejects arguments of no type",
			arg: "untagged",
			set: () => [mov(R1, 0)],
			err: EINVAL,
			log: "arg#0 reference type('UNKNOWN ') size cannot be determined: -22\n",
		},
	]);
});

/** A dynptr of the packet at fp-16; the context stays in r6. */
const from_skb = (): bpf_insn[] => [movr(R6, R1), mov(R2, 0), ...fp(R3, -16), t.kfunc("bpf_dynptr_from_skb")];
/** r0 = bpf_dynptr_slice(fp-16, 0, fp-32, 8) */
const slice = (name = "bpf_dynptr_slice"): bpf_insn[] => [
	...fp(R1, -16),
	mov(R2, 0),
	...fp(R3, -32),
	mov(R4, 8),
	t.kfunc(name),
];

describe("dynptrs of packets", () => {
	const cases: { name: string; insns: () => bpf_insn[]; type?: number; err?: number; log?: string }[] = [
		{
			name: "accepts reading a slice",
			insns: () => [
				...from_skb(),
				...slice(),
				BPF_JMP_IMM(BPF_JEQ, R0, 0, 1),
				BPF_LDX_MEM(BPF_DW, R7, R0, 0),
				...ret0,
			],
		},
		{
			name: "rejects reading a slice that may not be there",
			insns: () => [...from_skb(), ...slice(), BPF_LDX_MEM(BPF_DW, R7, R0, 0), ...ret0],
			err: EACCES,
			log: "R0 invalid mem access 'rdonly_mem_or_null'\n",
		},
		{
			name: "rejects writing to a slice for reading",
			insns: () => [
				...from_skb(),
				...slice(),
				BPF_JMP_IMM(BPF_JEQ, R0, 0, 1),
				BPF_ST_MEM(BPF_DW, R0, 0, 0),
				...ret0,
			],
			err: EACCES,
			log: "R0 cannot write into rdonly_mem\n",
		},
		{
			name: "accepts writing to a slice for writing",
			insns: () => [
				...from_skb(),
				...slice("bpf_dynptr_slice_rdwr"),
				BPF_JMP_IMM(BPF_JEQ, R0, 0, 1),
				BPF_ST_MEM(BPF_DW, R0, 0, 0),
				...ret0,
			],
		},
		{
			name: "rejects slices for writing where packets may not be written",
			type: bpf.BPF_PROG_TYPE_SOCKET_FILTER,
			insns: () => [...from_skb(), ...slice("bpf_dynptr_slice_rdwr"), ...ret0],
			err: EINVAL,
			log: "the prog does not allow writes to packet data\n",
		},
		{
			name: "rejects a slice of unknown length",
			insns: () => [
				...from_skb(),
				BPF_LDX_MEM(BPF_W, R7, R6, 0),
				...fp(R1, -16),
				mov(R2, 0),
				mov(R3, 0),
				movr(R4, R7),
				t.kfunc("bpf_dynptr_slice"),
				...ret0,
			],
			err: EINVAL,
			log: "R4 must be a known constant\n",
		},
		{
			name: "rejects a buffer shorter than the slice",
			insns: () => [
				...from_skb(),
				...fp(R1, -16),
				mov(R2, 0),
				...fp(R3, -4),
				mov(R4, 8),
				t.kfunc("bpf_dynptr_slice"),
				...ret0,
			],
			err: EINVAL,
			log: "arg#2 arg#3 memory, len pair leads to invalid memory access\n",
		},
		{
			name: "forgets slices when the packet moves",
			insns: () => [
				...from_skb(),
				...slice(),
				movr(R7, R0),
				movr(R1, R6),
				mov(R2, 0),
				call(bpf.BPF_FUNC_skb_pull_data),
				BPF_JMP_IMM(BPF_JEQ, R7, 0, 1),
				BPF_LDX_MEM(BPF_DW, R0, R7, 0),
				...ret0,
			],
			err: EACCES,
			log: "R7 invalid mem access 'scalar'\n",
		},
		{
			name: "accepts a clone of a dynptr",
			insns: () => [...from_skb(), ...fp(R1, -16), ...fp(R2, -48), t.kfunc("bpf_dynptr_clone"), ...ret0],
		},
		{
			name: "rejects a clone of what is none",
			insns: () => [
				BPF_ST_MEM(BPF_DW, R10, -8, 0),
				BPF_ST_MEM(BPF_DW, R10, -16, 0),
				...fp(R1, -16),
				...fp(R2, -48),
				t.kfunc("bpf_dynptr_clone"),
				...ret0,
			],
			err: EINVAL,
			log: "Expected an initialized dynptr as arg #0\n",
		},
	];
	for (const c of cases)
		it(c.name, () => {
			const r = t.load({ type: c.type ?? bpf.BPF_PROG_TYPE_SCHED_CLS, insns: c.insns() });
			if (c.log !== undefined) expect(r.log).toContain(c.log);
			expect([r.err, r.err ? r.log : ""]).toEqual([c.err ? -c.err : 0, c.err ? r.log : ""]);
		});
});
