// SPDX-License-Identifier: GPL-2.0-only
/** Objects that programs allocate: lists, trees, reference counts, kernel pointers to them, and RCU sections. */
import { beforeAll, describe, expect, it } from "vitest";
import { EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import * as bpf from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_JEQ, BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn } from "./bpf_types.ts";
import {
	BPF_ALU64_IMM,
	BPF_EXIT_INSN,
	BPF_JMP_IMM,
	BPF_LD_IMM64_RAW,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
} from "./insn_macros.ts";
import { BtfWriter, subprog_starts, TestKernel } from "./test_kernel.ts";

const { BPF_CALL, BPF_DW, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_VALUE } = bpf;
const [R0, R1, R2, R3, R4, R5, R6, R7, R8] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const mov = BPF_MOV64_IMM;
const movr = BPF_MOV64_REG;
const exit = BPF_EXIT_INSN;
const add = (dst: number, v: number): bpf_insn => BPF_ALU64_IMM(BPF_ADD, dst, v);
const call = (id: number): bpf_insn => BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id);
const k = (name: string): bpf_insn => t.kfunc(name);
const ret0 = [mov(R0, 0), exit()];

/** Offsets in struct node: long key; bpf_list_node l; bpf_rb_node r; bpf_refcount ref */
const L = 8;
const R = 32;
/** Offsets in struct val: bpf_spin_lock lock; bpf_list_head head; bpf_rb_root root; struct plain __kptr *stash */
const LOCK = 0;
const HEAD = 8;
const ROOT = 24;
const STASH = 40;

let t: TestKernel;
let btf_fd: number;
let map_fd: number;
let node: number;
let plain: number;
let long: number;
let fn: number;

beforeAll(() => {
	t = new TestKernel();
	const b = new BtfWriter();
	long = b.int("long", 8, true);
	const u32 = b.int("__u32", 4, false);
	const u64 = b.int("__u64", 8, false);
	const opaque = (name: string, n: number): number =>
		b.struct(name, n * 8, [["__opaque", b.array(u64, u32, n), 0]]);
	const lock = b.struct("bpf_spin_lock", 4, [["val", u32, 0]]);
	const refcount = b.struct("bpf_refcount", 4, [["__opaque", b.array(u32, u32, 1), 0]]);
	const list_head = opaque("bpf_list_head", 2);
	const list_node = opaque("bpf_list_node", 3);
	const rb_root = opaque("bpf_rb_root", 2);
	const rb_node = opaque("bpf_rb_node", 4);
	node = b.struct("node", 72, [
		["key", long, 0],
		["l", list_node, L * 8],
		["r", rb_node, R * 8],
		["ref", refcount, 64 * 8],
	]);
	plain = b.struct("plain", 16, [
		["a", long, 0],
		["b", long, 64],
	]);
	const value = b.struct("val", 48, [
		["lock", lock, LOCK],
		["head", list_head, HEAD * 8],
		["root", rb_root, ROOT * 8],
		["stash", b.ptr(b.tag("kptr", plain)), STASH * 8],
	]);
	b.decl_tag("contains:node:l", value, 1);
	b.decl_tag("contains:node:r", value, 2);
	fn = b.func("prog", long, [["ctx", long]], 0);
	btf_fd = t.btf_load(b);
	map_fd = t.map("objs", {
		type: bpf.BPF_MAP_TYPE_ARRAY,
		key: 4,
		value: 48,
		max: 1,
		btf: { fd: btf_fd, key: u32, value },
	});
});

/** r7 = the map's value */
const value = (): bpf_insn[] => [...BPF_LD_IMM64_RAW(R7, BPF_PSEUDO_MAP_VALUE, map_fd)];
/** r6 = a new object of type `id`; leaves the program when there is none */
const obj_new = (id: number): bpf_insn[] => [
	mov(R1, id),
	mov(R2, 0),
	k("bpf_obj_new_impl"),
	BPF_JMP_IMM(0x50, R0, 0, 1),
	exit(),
	movr(R6, R0),
];
const drop = (reg: number): bpf_insn[] => [movr(R1, reg), mov(R2, 0), k("bpf_obj_drop_impl")];
const lock = (): bpf_insn[] => [movr(R1, R7), call(bpf.BPF_FUNC_spin_lock)];
const unlock = (): bpf_insn[] => [movr(R1, R7), call(bpf.BPF_FUNC_spin_unlock)];
const push = (off = L): bpf_insn[] => [
	movr(R1, R7),
	add(R1, HEAD),
	movr(R2, R6),
	add(R2, off),
	mov(R3, 0),
	mov(R4, 0),
	k("bpf_list_push_front_impl"),
];
const pop = (): bpf_insn[] => [movr(R1, R7), add(R1, HEAD), k("bpf_list_pop_front")];
/** bpf_rbtree_add() of r6 with the callback `behind` instructions behind the end of this */
const rb_add = (behind: number): bpf_insn[] => [
	movr(R1, R7),
	add(R1, ROOT),
	movr(R2, R6),
	add(R2, R),
	...BPF_LD_IMM64_RAW(R3, BPF_PSEUDO_FUNC, 4 + behind),
	mov(R4, 0),
	mov(R5, 0),
	k("bpf_rbtree_add_impl"),
];
const rb_first = (): bpf_insn[] => [movr(R1, R7), add(R1, ROOT), k("bpf_rbtree_first")];

interface Case {
	name: string;
	err?: number;
	log?: string;
	type?: number;
	insns: () => bpf_insn[];
}

function run(cases: Case[]): void {
	for (const c of cases)
		it(c.name, () => {
			const insns = c.insns();
			const r = t.load({
				type: c.type ?? bpf.BPF_PROG_TYPE_SCHED_CLS,
				insns,
				btf_fd,
				func_info: subprog_starts(insns).map((off) => [off, fn]),
			});
			if (c.log !== undefined) expect(r.log).toContain(c.log);
			expect([r.err, r.err ? r.log : ""]).toEqual([c.err ? -c.err : 0, c.err ? r.log : ""]);
		});
}

describe("allocated objects", () => {
	run([
		{ name: "accepts one that is dropped", insns: () => [...obj_new(plain), ...drop(R6), ...ret0] },
		{
			name: "accepts reads and writes of one",
			insns: () => [
				...obj_new(plain),
				BPF_ST_MEM(BPF_DW, R6, 8, 7),
				BPF_LDX_MEM(BPF_DW, R8, R6, 8),
				...drop(R6),
				...ret0,
			],
		},
		{
			name: "rejects one that is not dropped",
			insns: () => [...obj_new(plain), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=2 alloc_insn=2\n",
		},
		{
			name: "rejects use after the drop",
			insns: () => [...obj_new(plain), ...drop(R6), BPF_LDX_MEM(BPF_DW, R0, R6, 0), ...ret0],
			err: EACCES,
			log: "R6 invalid mem access 'scalar'\n",
		},
		{
			name: "rejects dropping it twice",
			insns: () => [...obj_new(plain), ...drop(R6), ...drop(R6), ...ret0],
			err: EINVAL,
			log: "R1 must be referenced or trusted\n",
		},
		{
			name: "rejects dropping the middle of it",
			insns: () => [...obj_new(plain), add(R6, 8), ...drop(R6), ...ret0],
			err: EINVAL,
			log: "R1 must have zero offset when passed to release func or trusted arg to kfunc\n",
		},
		{
			name: "rejects dropping what may be NULL",
			insns: () => [mov(R1, plain), mov(R2, 0), k("bpf_obj_new_impl"), ...drop(R0), ...ret0],
			err: EACCES,
			log: "Possibly NULL pointer passed to trusted arg0\n",
		},
		{
			name: "rejects a write behind its end",
			insns: () => [...obj_new(plain), BPF_ST_MEM(BPF_DW, R6, 16, 0), ...drop(R6), ...ret0],
			err: EACCES,
			log: "access beyond struct plain at off 16 size 8\n",
		},
		{
			name: "rejects an object of a type that is no struct",
			insns: () => [...obj_new(long), ...drop(R6), ...ret0],
			err: EINVAL,
			log: "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct\n",
		},
		{
			name: "rejects an object of a type that is not known",
			insns: () => [
				mov(R2, 0),
				movr(R1, R2),
				call(bpf.BPF_FUNC_ktime_get_ns),
				movr(R1, R0),
				mov(R2, 0),
				k("bpf_obj_new_impl"),
				...ret0,
			],
			err: EINVAL,
			log: "R1 must be a known constant\n",
		},
		{
			name: "rejects a type id of more than 32 bits",
			insns: () => [mov(R1, -1), mov(R2, 0), k("bpf_obj_new_impl"), ...ret0],
			err: EINVAL,
			log: "local type ID argument must be in range [0, U32_MAX]\n",
		},
		{
			name: "rejects touching a special field",
			insns: () => [...obj_new(node), BPF_ST_MEM(BPF_DW, R6, L, 0), ...drop(R6), ...ret0],
			err: EACCES,
			log: "direct access to bpf_list_node is disallowed\n",
		},
		{
			name: "rejects special fields in per-CPU objects",
			insns: () => [mov(R1, node), mov(R2, 0), k("bpf_percpu_obj_new_impl"), ...ret0],
			err: EINVAL,
			log: "bpf_percpu_obj_new type ID argument must not contain special fields\n",
		},
		{
			name: "rejects the kfuncs in program types without them",
			type: bpf.BPF_PROG_TYPE_SOCKET_FILTER,
			insns: () => [...obj_new(plain), ...drop(R6), ...ret0],
			err: EACCES,
			log: "calling kernel function bpf_obj_new_impl is not allowed\n",
		},
	]);
});

describe("lists", () => {
	run([
		{
			name: "accepts pushing under the lock",
			insns: () => [...value(), ...obj_new(node), ...lock(), ...push(), ...unlock(), ...ret0],
		},
		{
			name: "rejects pushing without the lock",
			insns: () => [...value(), ...obj_new(node), ...push(), ...ret0],
			err: EINVAL,
			log: "bpf_spin_lock at off=0 must be held for bpf_list_head\n",
		},
		{
			name: "rejects a node at the wrong offset",
			insns: () => [...value(), ...obj_new(node), ...lock(), ...push(0), ...unlock(), ...ret0],
			err: EINVAL,
			log: "bpf_list_node not found at offset=0\n",
		},
		{
			name: "rejects a node of another kind",
			insns: () => [...value(), ...obj_new(node), ...lock(), ...push(R), ...unlock(), ...ret0],
			err: EINVAL,
			log: "bpf_list_node not found at offset=32\n",
		},
		{
			name: "rejects pushing twice",
			insns: () => [...value(), ...obj_new(node), ...lock(), ...push(), ...push(), ...unlock(), ...ret0],
			err: EINVAL,
			log: "arg#1 expected pointer to allocated object\n",
		},
		{
			name: "accepts reading what was pushed while the lock is held",
			insns: () => [
				...value(),
				...obj_new(node),
				...lock(),
				...push(),
				BPF_LDX_MEM(BPF_DW, R8, R6, 0),
				...unlock(),
				...ret0,
			],
		},
		{
			name: "rejects reading what was pushed after the unlock",
			insns: () => [
				...value(),
				...obj_new(node),
				...lock(),
				...push(),
				...unlock(),
				BPF_LDX_MEM(BPF_DW, R8, R6, 0),
				...ret0,
			],
			err: EACCES,
			log: "R6 invalid mem access 'scalar'\n",
		},
		{
			name: "rejects another list head offset",
			insns: () => [
				...value(),
				...lock(),
				movr(R1, R7),
				add(R1, 16),
				k("bpf_list_pop_front"),
				...unlock(),
				...ret0,
			],
			err: EINVAL,
			log: "bpf_list_head not found at offset=16\n",
		},
		{
			name: "accepts popping and dropping",
			insns: () => [
				...value(),
				...lock(),
				...pop(),
				movr(R6, R0),
				...unlock(),
				BPF_JMP_IMM(BPF_JEQ, R6, 0, 4),
				add(R6, -L),
				...drop(R6),
				...ret0,
			],
		},
		{
			name: "rejects dropping what was popped without going back to its begin",
			insns: () => [
				...value(),
				...lock(),
				...pop(),
				movr(R6, R0),
				...unlock(),
				BPF_JMP_IMM(BPF_JEQ, R6, 0, 3),
				...drop(R6),
				...ret0,
			],
			err: EINVAL,
			log: "R1 must have zero offset when passed to release func or trusted arg to kfunc\n",
		},
		{
			name: "rejects forgetting what was popped",
			insns: () => [...value(), ...lock(), ...pop(), ...unlock(), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=",
		},
	]);
});

/** less(a, b): by key */
const less = [
	BPF_LDX_MEM(BPF_DW, R3, R1, -R),
	BPF_LDX_MEM(BPF_DW, R4, R2, -R),
	mov(R0, 0),
	BPF_RAW_INSN(BPF_JMP | 0xa0 | 8, R4, R3, 1, 0),
	mov(R0, 1),
	exit(),
];

describe("trees", () => {
	run([
		{
			name: "accepts adding under the lock",
			insns: () => {
				const after = [...unlock(), ...ret0];
				return [...value(), ...obj_new(node), ...lock(), ...rb_add(after.length), ...after, ...less];
			},
		},
		{
			name: "rejects adding without the lock",
			insns: () => [...value(), ...obj_new(node), ...rb_add(2), ...ret0, ...less],
			err: EINVAL,
			log: "bpf_spin_lock at off=0 must be held for bpf_rb_root\n",
		},
		{
			name: "rejects adding twice",
			insns: () => {
				const second = [...rb_add(4), ...unlock(), ...ret0];
				return [...value(), ...obj_new(node), ...lock(), ...rb_add(second.length), ...second, ...less];
			},
			err: EINVAL,
			log: "arg#1 expected pointer to allocated object\n",
		},
		{
			name: "rejects a callback that unlocks",
			insns: () => {
				const after = [...unlock(), ...ret0];
				return [
					...value(),
					...obj_new(node),
					...lock(),
					...rb_add(after.length),
					...after,
					...BPF_LD_IMM64_RAW(R1, BPF_PSEUDO_MAP_VALUE, map_fd),
					call(bpf.BPF_FUNC_spin_unlock),
					...ret0,
				];
			},
			err: EACCES,
			log: "can't spin_{lock,unlock} in rbtree cb\n",
		},
		{
			name: "rejects a callback that returns more than a truth value",
			insns: () => {
				const after = [...unlock(), ...ret0];
				return [
					...value(),
					...obj_new(node),
					...lock(),
					...rb_add(after.length),
					...after,
					mov(R0, 2),
					exit(),
				];
			},
			err: EINVAL,
			log: "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]\n",
		},
		{
			name: "accepts the first node while the lock is held",
			insns: () => [
				...value(),
				...lock(),
				...rb_first(),
				BPF_JMP_IMM(BPF_JEQ, R0, 0, 1),
				BPF_LDX_MEM(BPF_DW, R8, R0, -R),
				...unlock(),
				...ret0,
			],
		},
		{
			name: "rejects the first node after the unlock",
			insns: () => [
				...value(),
				...lock(),
				...rb_first(),
				movr(R6, R0),
				...unlock(),
				BPF_JMP_IMM(BPF_JEQ, R6, 0, 1),
				BPF_LDX_MEM(BPF_DW, R8, R6, -R),
				...ret0,
			],
			err: EACCES,
			log: "R6 invalid mem access 'scalar'\n",
		},
		{
			name: "accepts removing the first node and dropping it",
			insns: () => [
				...value(),
				...lock(),
				...rb_first(),
				BPF_JMP_IMM(0x50, R0, 0, 4),
				...unlock(),
				...ret0,
				movr(R2, R0),
				movr(R1, R7),
				add(R1, ROOT),
				k("bpf_rbtree_remove"),
				movr(R6, R0),
				...unlock(),
				BPF_JMP_IMM(BPF_JEQ, R6, 0, 4),
				add(R6, -R),
				...drop(R6),
				...ret0,
			],
		},
		{
			name: "rejects removing a node that is owned",
			insns: () => [
				...value(),
				...obj_new(node),
				...lock(),
				movr(R1, R7),
				add(R1, ROOT),
				movr(R2, R6),
				add(R2, R),
				k("bpf_rbtree_remove"),
				...unlock(),
				...ret0,
			],
			err: EINVAL,
			log: "rbtree_remove node input must be non-owning ref\n",
		},
	]);
});

describe("reference counts", () => {
	run([
		{
			name: "accepts a second reference that is dropped, too",
			insns: () => [
				...obj_new(node),
				movr(R1, R6),
				mov(R2, 0),
				k("bpf_refcount_acquire_impl"),
				movr(R8, R0),
				...drop(R6),
				...drop(R8),
				...ret0,
			],
		},
		{
			name: "rejects a second reference that is left",
			insns: () => [
				...obj_new(node),
				movr(R1, R6),
				mov(R2, 0),
				k("bpf_refcount_acquire_impl"),
				...drop(R6),
				...ret0,
			],
			err: EINVAL,
			log: "Unreleased reference id=3 alloc_insn=8\n",
		},
		{
			name: "rejects an object that is not counted",
			insns: () => [...obj_new(plain), movr(R1, R6), mov(R2, 0), k("bpf_refcount_acquire_impl"), ...ret0],
			err: EFAULT,
			log: "verifier internal error: Couldn't find btf_record\n",
		},
		{
			name: "rejects what is no object",
			insns: () => [...value(), movr(R1, R7), mov(R2, 0), k("bpf_refcount_acquire_impl"), ...ret0],
			err: EINVAL,
			log: "arg#0 is neither owning or non-owning ref\n",
		},
	]);
});

/** r0 = bpf_kptr_xchg(r7 + STASH, r2) */
const xchg = (off = STASH): bpf_insn[] => [movr(R1, R7), add(R1, off), call(bpf.BPF_FUNC_kptr_xchg)];

describe("kernel pointers to objects", () => {
	run([
		{
			name: "accepts exchanging, and dropping what was there",
			insns: () => [
				...value(),
				...obj_new(plain),
				movr(R2, R6),
				...xchg(),
				BPF_JMP_IMM(BPF_JEQ, R0, 0, 3),
				...drop(R0),
				...ret0,
			],
		},
		{
			name: "rejects leaving what was there",
			insns: () => [...value(), ...obj_new(plain), movr(R2, R6), ...xchg(), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=",
		},
		{
			name: "rejects an object of another type",
			insns: () => [...value(), ...obj_new(node), movr(R2, R6), ...xchg(), ...ret0],
			err: EACCES,
			log: "invalid kptr access, R2 type=ptr_node expected=ptr_plain",
		},
		{
			name: "rejects a place without a pointer",
			insns: () => [...value(), mov(R2, 0), ...xchg(HEAD), ...ret0],
			err: EACCES,
			log: "off=8 doesn't point to kptr\n",
		},
		{
			name: "rejects a store to it",
			insns: () => [...value(), mov(R1, 1), BPF_RAW_INSN(0x7b, R7, R1, STASH, 0), ...ret0],
			err: EACCES,
			log: "store to referenced kptr disallowed\n",
		},
		{
			name: "rejects what may be NULL",
			insns: () => [
				...value(),
				mov(R1, plain),
				mov(R2, 0),
				k("bpf_obj_new_impl"),
				movr(R2, R0),
				...xchg(),
				...ret0,
			],
			err: EFAULT,
			log: "verifier internal error: invalid PTR_TO_BTF_ID register for type match\n",
		},
	]);
});

describe("sections", () => {
	run([
		{
			name: "accepts an RCU section",
			insns: () => [k("bpf_rcu_read_lock"), k("bpf_rcu_read_unlock"), ...ret0],
		},
		{
			name: "rejects an RCU section that does not end",
			insns: () => [k("bpf_rcu_read_lock"), ...ret0],
			err: EINVAL,
			log: "bpf_rcu_read_unlock is missing\n",
		},
		{
			name: "rejects an RCU section in another",
			insns: () => [k("bpf_rcu_read_lock"), k("bpf_rcu_read_lock"), ...ret0],
			err: EINVAL,
			log: "nested rcu read lock (kernel function bpf_rcu_read_lock)\n",
		},
		{
			name: "rejects the end of an RCU section that did not begin",
			insns: () => [k("bpf_rcu_read_unlock"), ...ret0],
			err: EINVAL,
			log: "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)\n",
		},
		{
			name: "counts sections without preemption",
			insns: () => [
				k("bpf_preempt_disable"),
				k("bpf_preempt_disable"),
				k("bpf_preempt_enable"),
				k("bpf_preempt_enable"),
				...ret0,
			],
		},
		{
			name: "rejects a section without preemption that does not end",
			insns: () => [k("bpf_preempt_disable"), k("bpf_preempt_disable"), k("bpf_preempt_enable"), ...ret0],
			err: EINVAL,
			log: "1 bpf_preempt_enable is missing\n",
		},
		{
			name: "rejects the end of a section without preemption that did not begin",
			insns: () => [k("bpf_preempt_enable"), ...ret0],
			err: EINVAL,
			log: "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)\n",
		},
		{
			name: "rejects a tail call in an RCU section",
			insns: () => [
				movr(R6, R1),
				k("bpf_rcu_read_lock"),
				movr(R1, R6),
				...BPF_LD_IMM64_RAW(
					R2,
					bpf.BPF_PSEUDO_MAP_FD,
					t.map("progs", { type: bpf.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 }),
				),
				mov(R3, 0),
				call(bpf.BPF_FUNC_tail_call),
				k("bpf_rcu_read_unlock"),
				...ret0,
			],
			err: EINVAL,
			log: "tail_call cannot be used inside bpf_rcu_read_lock-ed region\n",
		},
	]);
});
