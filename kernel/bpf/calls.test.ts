// SPDX-License-Identifier: GPL-2.0-only
/** Calls of helpers, kfuncs and callbacks: what the verifier accepts, and what it says when it does not. */
import { beforeAll, describe, expect, it } from "vitest";
import { E2BIG, EACCES, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import * as bpf from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_B, BPF_JMP, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn } from "./bpf_types.ts";
import {
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_CALL_REL,
	BPF_EXIT_INSN,
	BPF_JMP_A,
	BPF_JMP_IMM,
	BPF_LD_IMM64_RAW,
	BPF_LD_MAP_FD,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
	BPF_STX_MEM,
} from "./insn_macros.ts";
import { BtfWriter, TestKernel } from "./test_kernel.ts";

const { BPF_DW, BPF_CALL, BPF_JEQ, BPF_JNE, BPF_PSEUDO_FUNC, BPF_PSEUDO_MAP_VALUE } = {
	...bpf,
	BPF_JEQ: 0x10,
};
const [R0, R1, R2, R3, R4, R5, R6, R7, R10] = [0, 1, 2, 3, 4, 5, 6, 7, 10] as const;

const call = (id: number): bpf_insn => BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, id);
const exit = BPF_EXIT_INSN;
const mov = (dst: number, v: number): bpf_insn => BPF_MOV64_IMM(dst, v);
const movr = BPF_MOV64_REG;
const add = (dst: number, v: number): bpf_insn => BPF_ALU64_IMM(BPF_ADD, dst, v);
/** dst = fp + off */
const fp = (dst: number, off: number): bpf_insn[] => [movr(dst, R10), add(dst, off)];
const ret0 = [mov(R0, 0), exit()];
/** dst = address of the function `off` instructions behind this pair */
const func = (dst: number, off: number): bpf_insn[] => [...BPF_LD_IMM64_RAW(dst, BPF_PSEUDO_FUNC, off + 1)];
const null_out = (off: number): bpf_insn => BPF_JMP_IMM(BPF_JEQ, R0, 0, off);

/** One program. `err` is positive; `log` must be in the log, as a whole line where it ends in a newline. */
interface Case {
	name: string;
	type?: number;
	attach?: number;
	attach_func?: string;
	sleepable?: boolean;
	license?: string;
	err?: number;
	log?: string | string[];
	insns: (t: TestKernel) => bpf_insn[];
}

let t: TestKernel;
beforeAll(() => {
	t = new TestKernel();
});

function run(cases: Case[]): void {
	for (const c of cases)
		it(c.name, () => {
			const r = t.load({
				type: c.type ?? bpf.BPF_PROG_TYPE_SOCKET_FILTER,
				insns: c.insns(t),
				license: c.license ?? "GPL",
				expected_attach_type: c.attach ?? 0,
				attach_func: c.attach_func,
				flags: c.sleepable ? bpf.BPF_F_SLEEPABLE : 0,
			});
			for (const want of typeof c.log === "string" ? [c.log] : (c.log ?? [])) expect(r.log).toContain(want);
			expect([r.err, r.err ? r.log : ""]).toEqual([c.err ? -c.err : 0, c.err ? r.log : ""]);
		});
}

const hash = (): number => t.map("hash", { type: bpf.BPF_MAP_TYPE_HASH, key: 8, value: 48, max: 4 });
const array = (): number => t.map("array", { type: bpf.BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 4 });
const data = (): number => t.map("data", { type: bpf.BPF_MAP_TYPE_ARRAY, key: 4, value: 48, max: 1 });
const ringbuf = (): number =>
	t.map("ringbuf", { type: bpf.BPF_MAP_TYPE_RINGBUF, key: 0, value: 0, max: 4096 });

const lookup = (fd: number): bpf_insn[] => [
	BPF_ST_MEM(BPF_DW, R10, -8, 0),
	...fp(R2, -8),
	...BPF_LD_MAP_FD(R1, fd),
	call(bpf.BPF_FUNC_map_lookup_elem),
];

describe("helper arguments", () => {
	run([
		{ name: "accepts a lookup", insns: () => [...lookup(hash()), ...ret0] },
		{
			name: "rejects a helper that does not exist",
			insns: () => [call(7777), exit()],
			err: EINVAL,
			log: "invalid func unknown#7777\n",
		},
		{
			name: "rejects a helper of other program types",
			insns: () => [call(bpf.BPF_FUNC_xdp_adjust_head), exit()],
			err: EINVAL,
			log: "program of this type cannot use helper bpf_xdp_adjust_head#44\n",
		},
		{
			name: "rejects a GPL helper for a program of another license",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			license: "Proprietary",
			insns: () => [mov(R1, 0), call(bpf.BPF_FUNC_probe_read), exit()],
			err: EINVAL,
			log: "cannot call GPL-restricted function from non-GPL compatible program\n",
		},
		{
			name: "rejects an argument that was never set",
			insns: () => [...BPF_LD_MAP_FD(R1, hash()), call(bpf.BPF_FUNC_map_lookup_elem), exit()],
			err: EACCES,
			log: "R2 !read_ok\n",
		},
		{
			name: "rejects a number where a map is wanted",
			insns: () => [mov(R1, 0), ...fp(R2, -8), call(bpf.BPF_FUNC_map_lookup_elem), exit()],
			err: EACCES,
			log: "R1 type=scalar expected=map_ptr\n",
		},
		{
			name: "rejects the context where a key is wanted",
			insns: () => [movr(R2, R1), ...BPF_LD_MAP_FD(R1, hash()), call(bpf.BPF_FUNC_map_lookup_elem), exit()],
			err: EACCES,
			log: "R2 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_\n",
		},
		{
			name: "rejects a key beyond the stack",
			insns: () => [...fp(R2, 0), ...BPF_LD_MAP_FD(R1, hash()), call(bpf.BPF_FUNC_map_lookup_elem), exit()],
			err: EACCES,
			log: "invalid indirect access to stack R2 off=0 size=8\n",
		},
		{
			name: "rejects the value of a lookup without a check for NULL as the value of an update",
			insns: () => [
				...lookup(hash()),
				movr(R3, R0),
				...fp(R2, -8),
				...BPF_LD_MAP_FD(R1, hash()),
				mov(R4, 0),
				call(bpf.BPF_FUNC_map_update_elem),
				...ret0,
			],
			err: EACCES,
			log: "R3 type=map_value_or_null expected=fp",
		},
		{
			name: "rejects memory of no size",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [...fp(R1, -8), mov(R2, 0), mov(R3, 0), call(bpf.BPF_FUNC_get_current_comm), ...ret0],
			err: EACCES,
			log: "R2 invalid zero-sized read: u64=[0,0]\n",
		},
		{
			name: "rejects memory of a negative size",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [...fp(R1, -8), mov(R2, -1), call(bpf.BPF_FUNC_get_current_comm), ...ret0],
			err: EACCES,
			log: "R2 min value is negative, either use unsigned or 'var &= const'\n",
		},
		{
			name: "rejects memory of an unbounded size",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [
				call(bpf.BPF_FUNC_ktime_get_ns),
				movr(R2, R0),
				BPF_ALU64_IMM(0x70, R2, 1),
				BPF_ALU64_IMM(0x40, R2, 1),
				...fp(R1, -8),
				call(bpf.BPF_FUNC_get_current_comm),
				...ret0,
			],
			err: EACCES,
			log: "R2 unbounded memory access, use 'var &= const' or 'if (var < const)'\n",
		},
		{
			name: "accepts a buffer that the helper fills",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [
				...fp(R1, -16),
				mov(R2, 16),
				call(bpf.BPF_FUNC_get_current_comm),
				BPF_LDX_MEM(BPF_DW, R0, R10, -16),
				...ret0,
			],
		},
		{
			name: "rejects a map of the wrong type",
			insns: () => [
				...BPF_LD_MAP_FD(R1, t.map("progs", { type: bpf.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 })),
				...fp(R2, -8),
				BPF_ST_MEM(BPF_DW, R10, -8, 0),
				call(bpf.BPF_FUNC_map_lookup_elem),
				...ret0,
			],
			err: EINVAL,
			log: "cannot pass map_type 3 into func bpf_map_lookup_elem#1\n",
		},
		{
			name: "rejects a helper that wants another map",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [
				...BPF_LD_MAP_FD(R1, array()),
				mov(R2, 8),
				mov(R3, 0),
				call(bpf.BPF_FUNC_ringbuf_reserve),
				...ret0,
			],
			err: EINVAL,
			log: "cannot pass map_type 2 into func bpf_ringbuf_reserve#131\n",
		},
		{
			name: "clears the argument registers",
			insns: () => [...lookup(hash()), movr(R0, R1), exit()],
			err: EACCES,
			log: "R1 !read_ok\n",
		},
		{
			name: "bounds what a string read returns",
			type: bpf.BPF_PROG_TYPE_TRACEPOINT,
			insns: () => [
				...fp(R1, -64),
				mov(R2, 64),
				mov(R3, 0),
				call(bpf.BPF_FUNC_probe_read_kernel_str),
				...ret0,
			],
			log: "R0_w=scalar(smin=smin32=-4095,smax=smax32=64)",
		},
		{
			name: "rejects format strings that do not fit their arguments",
			insns: () => [
				...fp(R1, -8),
				mov(R2, 8),
				...BPF_LD_IMM64_RAW(R3, BPF_PSEUDO_MAP_VALUE, t.rodata("%d %d\0")),
				...fp(R4, -16),
				BPF_ST_MEM(BPF_DW, R10, -16, 0),
				mov(R5, 8),
				call(bpf.BPF_FUNC_snprintf),
				...ret0,
			],
			err: EINVAL,
			log: "Invalid format string\n",
		},
		{
			name: "accepts a format string with its arguments",
			insns: () => [
				...fp(R1, -8),
				mov(R2, 8),
				...BPF_LD_IMM64_RAW(R3, BPF_PSEUDO_MAP_VALUE, t.rodata("%d\0")),
				...fp(R4, -16),
				BPF_ST_MEM(BPF_DW, R10, -16, 0),
				mov(R5, 8),
				call(bpf.BPF_FUNC_snprintf),
				...ret0,
			],
		},
		{
			name: "rejects a format string that can be written",
			insns: () => [
				...fp(R1, -8),
				mov(R2, 8),
				...BPF_LD_IMM64_RAW(R3, BPF_PSEUDO_MAP_VALUE, data()),
				mov(R4, 0),
				mov(R5, 0),
				call(bpf.BPF_FUNC_snprintf),
				...ret0,
			],
			err: EACCES,
			log: "R3 does not point to a readonly map'\n",
		},
	]);
});

/** r0 = ringbuf_reserve(ringbuf, size, 0) */
const reserve = (size = 8): bpf_insn[] => [
	...BPF_LD_MAP_FD(R1, ringbuf()),
	mov(R2, size),
	mov(R3, 0),
	call(bpf.BPF_FUNC_ringbuf_reserve),
];
const submit = (reg: number): bpf_insn[] => [movr(R1, reg), mov(R2, 0), call(bpf.BPF_FUNC_ringbuf_submit)];

describe("references", () => {
	run([
		{
			name: "accepts a reservation that is submitted",
			insns: () => [...reserve(), null_out(4), BPF_ST_MEM(BPF_DW, R0, 0, 1), ...submit(R0), ...ret0],
		},
		{
			name: "rejects a reservation that is not given back",
			insns: () => [...reserve(), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=2 alloc_insn=4\n",
		},
		{
			name: "rejects giving back what may be NULL",
			insns: () => [...reserve(), ...submit(R0), ...ret0],
			err: EACCES,
			log: "R1 type=ringbuf_mem_or_null expected=ringbuf_mem\n",
		},
		{
			name: "rejects giving back twice",
			insns: () => [...reserve(), movr(R6, R0), null_out(6), ...submit(R6), ...submit(R6), ...ret0],
			err: EACCES,
			log: "R1 type=scalar expected=ringbuf_mem\n",
		},
		{
			name: "rejects use after it was given back",
			insns: () => [
				...reserve(),
				movr(R6, R0),
				null_out(4),
				...submit(R6),
				BPF_LDX_MEM(BPF_DW, R0, R6, 0),
				...ret0,
			],
			err: EACCES,
			log: "R6 invalid mem access 'scalar'\n",
		},
		{
			name: "rejects a pointer into the middle",
			insns: () => [...reserve(), null_out(4), add(R0, 4), ...submit(R0), ...ret0],
			err: EINVAL,
			log: "R1 must have zero offset when passed to release func or trusted arg to kfunc\n",
		},
		{
			name: "rejects a size that is not constant",
			insns: () => [
				call(bpf.BPF_FUNC_ktime_get_ns),
				movr(R2, R0),
				...BPF_LD_MAP_FD(R1, ringbuf()),
				mov(R3, 0),
				call(bpf.BPF_FUNC_ringbuf_reserve),
				...ret0,
			],
			err: EACCES,
			log: "R2 is not a known constant'\n",
		},
		{
			name: "rejects a write behind the reservation",
			insns: () => [...reserve(8), null_out(4), BPF_ST_MEM(BPF_DW, R0, 4, 1), ...submit(R0), ...ret0],
			err: EACCES,
			log: "invalid access to memory, mem_size=8 off=4 size=8\n",
		},
		{
			name: "rejects a tail call that would leave a reference behind",
			insns: () => [
				movr(R6, R1),
				...reserve(),
				movr(R7, R0),
				BPF_JMP_IMM(BPF_JEQ, R7, 0, 5),
				movr(R1, R6),
				...BPF_LD_MAP_FD(R2, t.map("progs", { type: bpf.BPF_MAP_TYPE_PROG_ARRAY, key: 4, value: 4, max: 1 })),
				mov(R3, 0),
				call(bpf.BPF_FUNC_tail_call),
				...ret0,
			],
			err: EINVAL,
			log: "tail_call would lead to reference leak\n",
		},
		{
			name: "follows a reference into a subprogram and back",
			insns: () => [
				...reserve(),
				null_out(2),
				movr(R1, R0),
				BPF_CALL_REL(2),
				...ret0,
				mov(R2, 0),
				call(bpf.BPF_FUNC_ringbuf_submit),
				...ret0,
			],
		},
	]);
});

/** An initialized dynptr of ring buffer memory at fp-16. */
const reserve_dynptr = (): bpf_insn[] => [
	...BPF_LD_MAP_FD(R1, ringbuf()),
	mov(R2, 8),
	mov(R3, 0),
	...fp(R4, -16),
	call(bpf.BPF_FUNC_ringbuf_reserve_dynptr),
];
const discard_dynptr = [...fp(R1, -16), mov(R2, 0), call(bpf.BPF_FUNC_ringbuf_discard_dynptr)];

describe("dynptrs", () => {
	run([
		{ name: "accepts one that is discarded", insns: () => [...reserve_dynptr(), ...discard_dynptr, ...ret0] },
		{
			name: "rejects one that is left",
			insns: () => [...reserve_dynptr(), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=2 alloc_insn=6\n",
		},
		{
			name: "rejects overwriting a referenced one",
			insns: () => [...reserve_dynptr(), BPF_ST_MEM(BPF_DW, R10, -8, 0), ...discard_dynptr, ...ret0],
			err: EINVAL,
			log: "cannot overwrite referenced dynptr\n",
		},
		{
			name: "rejects one that was never made",
			insns: () => [
				BPF_ST_MEM(BPF_DW, R10, -16, 0),
				BPF_ST_MEM(BPF_DW, R10, -8, 0),
				...discard_dynptr,
				...ret0,
			],
			err: EINVAL,
			log: "arg 1 is an unacquired reference\n",
		},
		{
			name: "rejects one at an odd place",
			insns: () => [
				...BPF_LD_MAP_FD(R1, ringbuf()),
				mov(R2, 8),
				mov(R3, 0),
				...fp(R4, -20),
				call(bpf.BPF_FUNC_ringbuf_reserve_dynptr),
				...ret0,
			],
			err: EINVAL,
			log: ["cannot pass in dynptr at an offset=-20\n", "Dynptr has to be an uninitialized dynptr\n"],
		},
		{
			name: "rejects one that does not fit",
			insns: () => [
				...BPF_LD_MAP_FD(R1, ringbuf()),
				mov(R2, 8),
				mov(R3, 0),
				...fp(R4, -8),
				call(bpf.BPF_FUNC_ringbuf_reserve_dynptr),
				...ret0,
			],
			err: EINVAL,
			log: "cannot pass in dynptr at an offset=-8\n",
		},
		{
			name: "rejects one that is not on the stack",
			insns: () => [
				...lookup(array()),
				null_out(6),
				movr(R4, R0),
				...BPF_LD_MAP_FD(R1, ringbuf()),
				mov(R2, 8),
				mov(R3, 0),
				call(bpf.BPF_FUNC_ringbuf_reserve_dynptr),
				...ret0,
			],
			err: EACCES,
			log: "R4 type=map_value expected=fp, dynptr_ptr\n",
		},
		{
			name: "invalidates slices with the dynptr",
			insns: () => [
				...reserve_dynptr(),
				...fp(R1, -16),
				mov(R2, 0),
				mov(R3, 8),
				call(bpf.BPF_FUNC_dynptr_data),
				movr(R6, R0),
				...discard_dynptr,
				BPF_JMP_IMM(BPF_JEQ, R6, 0, 1),
				BPF_LDX_MEM(BPF_B, R0, R6, 0),
				...ret0,
			],
			err: EACCES,
		},
		{
			name: "accepts a slice while the dynptr is there",
			insns: () => [
				...reserve_dynptr(),
				...fp(R1, -16),
				mov(R2, 0),
				mov(R3, 8),
				call(bpf.BPF_FUNC_dynptr_data),
				null_out(1),
				BPF_ST_MEM(BPF_DW, R0, 0, 1),
				...discard_dynptr,
				...ret0,
			],
		},
		{
			name: "rejects reading the dynptr itself",
			insns: () => [...reserve_dynptr(), BPF_LDX_MEM(BPF_DW, R0, R10, -16), ...discard_dynptr, ...ret0],
			err: EACCES,
			log: "invalid read from stack off -16+0 size 8\n",
		},
		{
			name: "rejects memory of the stack for bpf_dynptr_from_mem",
			insns: () => [
				BPF_ST_MEM(BPF_DW, R10, -24, 0),
				...fp(R1, -24),
				mov(R2, 8),
				mov(R3, 0),
				...fp(R4, -16),
				call(bpf.BPF_FUNC_dynptr_from_mem),
				...ret0,
			],
			err: EACCES,
			log: "Unsupported reg type fp for bpf_dynptr_from_mem data\n",
		},
		{
			name: "accepts a map value for bpf_dynptr_from_mem, which needs no release",
			insns: () => [
				...lookup(array()),
				null_out(6),
				movr(R1, R0),
				mov(R2, 8),
				mov(R3, 0),
				...fp(R4, -24),
				call(bpf.BPF_FUNC_dynptr_from_mem),
				...ret0,
			],
		},
	]);
});

/** bpf_iter_num_new(fp-8, 0, end) */
const num_new = (end = 10): bpf_insn[] => [
	...fp(R1, -8),
	mov(R2, 0),
	mov(R3, end),
	t.kfunc("bpf_iter_num_new"),
];
const num_next = (): bpf_insn[] => [...fp(R1, -8), t.kfunc("bpf_iter_num_next")];
const num_destroy = (): bpf_insn[] => [...fp(R1, -8), t.kfunc("bpf_iter_num_destroy")];

describe("iterators", () => {
	run([
		{
			name: "accepts a loop that counts",
			insns: () => [
				mov(R6, 0),
				...num_new(),
				...num_next(),
				null_out(3),
				BPF_LDX_MEM(BPF_W, R1, R0, 0),
				BPF_ALU64_REG(BPF_ADD, R6, R1),
				BPF_JMP_A(-7),
				...num_destroy(),
				...ret0,
			],
		},
		{
			name: "rejects one that is not destroyed",
			insns: () => [...num_new(), ...ret0],
			err: EINVAL,
			log: "Unreleased reference id=1 alloc_insn=4\n",
		},
		{
			name: "rejects next before new",
			insns: () => [BPF_ST_MEM(BPF_DW, R10, -8, 0), ...num_next(), ...ret0],
			err: EINVAL,
			log: "expected an initialized iter_num as arg #0\n",
		},
		{
			name: "rejects new over one that is alive",
			insns: () => [...num_new(), ...num_new(), ...num_destroy(), ...ret0],
			err: EINVAL,
			log: "expected uninitialized iter_num as arg #0\n",
		},
		{
			name: "rejects destroying twice",
			insns: () => [...num_new(), ...num_destroy(), ...num_destroy(), ...ret0],
			err: EINVAL,
			log: "expected an initialized iter_num as arg #0\n",
		},
		{
			name: "rejects a direct write to its state",
			insns: () => [...num_new(), BPF_ST_MEM(BPF_DW, R10, -8, 0), ...num_destroy(), ...ret0],
			err: EINVAL,
			log: "expected an initialized iter_num as arg #0\n",
		},
		{
			name: "rejects the element without a check for NULL",
			insns: () => [...num_new(), ...num_next(), BPF_LDX_MEM(BPF_W, R6, R0, 0), ...num_destroy(), ...ret0],
			err: EACCES,
			log: "R0 invalid mem access 'scalar'\n",
		},
		{
			name: "rejects an iterator that is not on the stack",
			insns: () => [mov(R1, 0), mov(R2, 0), mov(R3, 1), t.kfunc("bpf_iter_num_new"), ...ret0],
			err: EINVAL,
			log: "arg#0 expected pointer to an iterator on stack\n",
		},
		{
			name: "rejects a kfunc that the program type may not call",
			type: bpf.BPF_PROG_TYPE_SOCKET_FILTER,
			insns: () => [mov(R1, 0), t.kfunc("bpf_cpumask_create"), ...ret0],
			err: EACCES,
			log: "calling kernel function bpf_cpumask_create is not allowed\n",
		},
	]);
});

describe("callbacks", () => {
	/** bpf_loop(n, cb, fp-8, 0), then `after`; `cb` follows. */
	const loop = (n: number, after: bpf_insn[], cb: bpf_insn[]): bpf_insn[] => [
		BPF_ST_MEM(BPF_DW, R10, -8, 0),
		mov(R1, n),
		...func(R2, 4 + after.length),
		...fp(R3, -8),
		mov(R4, 0),
		call(bpf.BPF_FUNC_loop),
		...after,
		...cb,
	];
	run([
		{ name: "accepts a loop", insns: () => loop(10, ret0, ret0) },
		{
			name: "rejects a callback that returns what it may not",
			insns: () => loop(10, ret0, [mov(R0, 2), exit()]),
			err: EINVAL,
			log: "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]\n",
		},
		{
			name: "rejects a callback that returns a pointer",
			insns: () => loop(10, ret0, [movr(R0, R2), exit()]),
			err: EINVAL,
			log: "cannot return stack pointer to the caller\n",
		},
		{
			name: "rejects a callback that keeps a reference",
			insns: () => loop(10, ret0, [...reserve(), ...ret0]),
			err: EINVAL,
			log: "Unreleased reference id=",
		},
		{
			name: "rejects a callback that releases its caller's reference",
			insns: () => [
				...reserve(),
				movr(R6, R0),
				BPF_JMP_IMM(BPF_JNE, R6, 0, 2),
				...ret0,
				BPF_STX_MEM(BPF_DW, R10, R6, -8),
				mov(R1, 2),
				...func(R2, 9),
				...fp(R3, -8),
				mov(R4, 0),
				call(bpf.BPF_FUNC_loop),
				...submit(R6),
				...ret0,
				BPF_LDX_MEM(BPF_DW, R1, R2, 0),
				mov(R2, 0),
				call(bpf.BPF_FUNC_ringbuf_submit),
				...ret0,
			],
			err: EINVAL,
			log: "func bpf_ringbuf_submit#132 reference has not been acquired before\n",
		},
		{
			name: "follows what a callback does to its context",
			insns: () =>
				loop(
					3,
					[
						BPF_LDX_MEM(BPF_DW, R1, R10, -8),
						...fp(R0, -8),
						BPF_ALU64_REG(BPF_ADD, R0, R1),
						BPF_LDX_MEM(BPF_DW, R0, R0, 0),
						...ret0,
					],
					[BPF_LDX_MEM(BPF_DW, R3, R2, 0), add(R3, 1), BPF_STX_MEM(BPF_DW, R2, R3, 0), ...ret0],
				),
			err: EACCES,
		},
		{
			name: "accepts bpf_for_each_map_elem",
			insns: () => [
				...BPF_LD_MAP_FD(R1, hash()),
				...func(R2, 5),
				mov(R3, 0),
				mov(R4, 0),
				call(bpf.BPF_FUNC_for_each_map_elem),
				...ret0,
				BPF_LDX_MEM(BPF_DW, R0, R3, 40),
				BPF_LDX_MEM(BPF_DW, R0, R2, 0),
				...ret0,
			],
		},
		{
			name: "rejects a write to the key in bpf_for_each_map_elem",
			insns: () => [
				...BPF_LD_MAP_FD(R1, hash()),
				...func(R2, 5),
				mov(R3, 0),
				mov(R4, 0),
				call(bpf.BPF_FUNC_for_each_map_elem),
				...ret0,
				BPF_ST_MEM(BPF_DW, R2, 0, 1),
				...ret0,
			],
			err: EACCES,
			log: "write to change key R2 not allowed\n",
		},
		{
			name: "rejects bpf_for_each_map_elem on a map without it",
			insns: () => [
				...BPF_LD_MAP_FD(R1, ringbuf()),
				...func(R2, 5),
				mov(R3, 0),
				mov(R4, 0),
				call(bpf.BPF_FUNC_for_each_map_elem),
				...ret0,
				...ret0,
			],
			err: 524,
			log: "callback function not allowed for map\n",
		},
		{
			name: "rejects calls nested too deep",
			insns: () => {
				const out: bpf_insn[] = [];
				for (let i = 0; i < 9; i++) out.push(BPF_CALL_REL(1), exit());
				return [...out, ...ret0];
			},
			err: E2BIG,
			log: "the call stack of 9 frames is too deep",
		},
		{
			name: "rejects a pointer to its stack as a subprogram's result",
			insns: () => [BPF_CALL_REL(1), exit(), movr(R0, R10), exit()],
			err: EINVAL,
			log: "cannot return stack pointer to the caller\n",
		},
	]);
});

describe("spin locks, timers and kernel pointers", () => {
	/** struct val { int cnt; struct bpf_spin_lock l; struct bpf_timer t; } at 0, 4, 8 */
	const locked = (): number => {
		const b = new BtfWriter();
		const int = b.int("int", 4, true);
		const u64 = b.int("__u64", 8, false);
		const lock = b.struct("bpf_spin_lock", 4, [["val", int, 0]]);
		const timer = b.struct("bpf_timer", 16, [["__opaque", b.array(u64, int, 2), 0]]);
		const value = b.struct("val", 24, [
			["cnt", int, 0],
			["l", lock, 32],
			["t", timer, 64],
		]);
		const btf = { fd: t.btf_load(b), key: int, value };
		return t.map("locked", { type: bpf.BPF_MAP_TYPE_ARRAY, key: 4, value: 24, max: 1, btf });
	};
	const at = (reg: number, off: number, helper: number): bpf_insn[] => [
		movr(R1, reg),
		add(R1, off),
		call(helper),
	];
	const lock = (reg: number, off = 4): bpf_insn[] => at(reg, off, bpf.BPF_FUNC_spin_lock);
	const unlock = (reg: number, off = 4): bpf_insn[] => at(reg, off, bpf.BPF_FUNC_spin_unlock);
	const get = (fd = locked()): bpf_insn[] => [
		...lookup(fd),
		BPF_JMP_IMM(BPF_JNE, R0, 0, 1),
		exit(),
		movr(R6, R0),
	];
	const type = bpf.BPF_PROG_TYPE_CGROUP_SKB;
	run([
		{
			name: "accepts lock and unlock",
			type,
			insns: () => [...get(), ...lock(R6), BPF_ST_MEM(BPF_W, R6, 0, 1), ...unlock(R6), ...ret0],
		},
		{
			name: "rejects leaving with the lock held",
			type,
			insns: () => [...get(), ...lock(R6), ...ret0],
			err: EINVAL,
			log: "bpf_spin_unlock is missing",
		},
		{
			name: "rejects taking it twice",
			type,
			insns: () => [...get(), ...lock(R6), ...lock(R6), ...unlock(R6), ...ret0],
			err: EINVAL,
			log: "function calls are not allowed while holding a lock\n",
		},
		{
			name: "rejects releasing what is not held",
			type,
			insns: () => [...get(), ...unlock(R6), ...ret0],
			err: EINVAL,
			log: "bpf_spin_unlock without taking a lock\n",
		},
		{
			name: "rejects a wrong place",
			type,
			insns: () => [...get(), ...lock(R6, 0), ...unlock(R6, 0), ...ret0],
			err: EINVAL,
			log: "off 0 doesn't point to 'struct bpf_spin_lock' that is at 4\n",
		},
		{
			name: "rejects the lock of another element",
			type,
			insns: () => [
				...get(),
				...lookup(locked()),
				BPF_JMP_IMM(BPF_JNE, R0, 0, 1),
				exit(),
				movr(R7, R0),
				...lock(R6),
				...unlock(R7),
				...ret0,
			],
			err: EINVAL,
			log: "bpf_spin_unlock of different lock\n",
		},
		{
			name: "rejects helpers under the lock",
			type,
			insns: () => [...get(), ...lock(R6), call(bpf.BPF_FUNC_ktime_get_ns), ...unlock(R6), ...ret0],
			err: EINVAL,
			log: "function calls are not allowed while holding a lock\n",
		},
		{
			name: "rejects touching the lock itself",
			type,
			insns: () => [...get(), BPF_ST_MEM(BPF_W, R6, 4, 1), ...ret0],
			err: EACCES,
			log: "bpf_spin_lock cannot be accessed directly by load/store\n",
		},
		{
			name: "rejects a lock in a map without BTF",
			type,
			insns: () => [...lookup(array()), BPF_JMP_IMM(BPF_JNE, R0, 0, 1), exit(), ...lock(R0), ...ret0],
			err: EINVAL,
			log: "map 'array' has to have BTF in order to use bpf_spin_lock\n",
		},
		{
			name: "rejects a timer at the wrong place",
			type,
			insns: () => [
				...get(),
				movr(R1, R6),
				add(R1, 16),
				...BPF_LD_MAP_FD(R2, locked()),
				mov(R3, 1),
				call(bpf.BPF_FUNC_timer_init),
				...ret0,
			],
			err: EINVAL,
			log: "off 16 doesn't point to 'struct bpf_timer' that is at 8\n",
		},
		{
			name: "accepts a timer with its map",
			type,
			insns: () => {
				const fd = locked();
				return [
					...get(fd),
					movr(R1, R6),
					add(R1, 8),
					...BPF_LD_MAP_FD(R2, fd),
					mov(R3, 1),
					call(bpf.BPF_FUNC_timer_init),
					...ret0,
				];
			},
		},
		{
			name: "rejects a timer with another map",
			type,
			insns: () => [
				...get(),
				movr(R1, R6),
				add(R1, 8),
				...BPF_LD_MAP_FD(R2, array()),
				mov(R3, 1),
				call(bpf.BPF_FUNC_timer_init),
				...ret0,
			],
			err: EINVAL,
			log: "timer pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0\n",
		},
		{
			name: "verifies a timer's callback on its own",
			type,
			insns: () => [
				...get(),
				movr(R1, R6),
				add(R1, 8),
				...func(R2, 3),
				call(bpf.BPF_FUNC_timer_set_callback),
				...ret0,
				mov(R0, 7),
				exit(),
			],
			err: EINVAL,
			log: "At async callback return the register R0 has smin=7 smax=7 should have been in [0, 0]\n",
		},
		{
			name: "rejects bpf_kptr_xchg on a map without kptrs",
			type,
			insns: () => [...get(), movr(R1, R6), mov(R2, 0), call(bpf.BPF_FUNC_kptr_xchg), ...ret0],
			err: EINVAL,
			log: "R1 has no valid kptr\n",
		},
	]);
});
