// SPDX-License-Identifier: GPL-2.0-only
import { beforeEach, describe, expect, it } from "vitest";
import { BPF_CALL_ARGS } from "../../include/linux/filter.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_B,
	BPF_DIV,
	BPF_JA,
	BPF_JEQ,
	BPF_JMP,
	BPF_MOD,
	BPF_W,
} from "../../include/uapi/linux/bpf_common.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN } from "../task.ts";
import type { bpf_insn } from "./bpf_types.ts";
import * as I from "./insn_macros.ts";
import { TestKernel } from "./test_kernel.ts";

let t: TestKernel;
beforeEach(() => {
	t = new TestKernel();
});

/** The instructions of a socket filter after the verifier's rewrites. */
function rewritten(insns: bpf_insn[], type = U.BPF_PROG_TYPE_SOCKET_FILTER): bpf_insn[] {
	const { err, log } = t.load({ type, insns });
	if (err) throw new Error(`${err}\n${log}`);
	return [...t.kernel.bpf.progs.values()].at(-1)!.insnsi;
}

const shape = (insns: readonly bpf_insn[]): number[][] =>
	insns.map((i) => [i.code, i.dst_reg, i.src_reg, i.off, i.imm]);

const exit = (): bpf_insn[] => [I.BPF_MOV64_IMM(0, 0), I.BPF_EXIT_INSN()];

describe("divisions", () => {
	it("give 0 for a divisor of 0, and their dividend for a remainder", () => {
		const div = I.BPF_ALU64_REG(BPF_DIV, 0, 1);
		const mod = I.BPF_ALU32_REG(BPF_MOD, 0, 1);
		const head = [I.BPF_MOV64_IMM(0, 7), I.BPF_MOV64_IMM(1, 0)];
		expect(shape(rewritten([...head, div, mod, I.BPF_EXIT_INSN()]))).toEqual(
			shape([
				...head,
				I.BPF_JMP_IMM(U.BPF_JNE, 1, 0, 2),
				I.BPF_ALU32_REG(0xa0, 0, 0),
				I.BPF_JMP_A(1),
				div,
				I.BPF_JMP32_IMM(BPF_JEQ, 1, 0, 2),
				mod,
				I.BPF_JMP_A(1),
				I.BPF_MOV32_REG(0, 0),
				I.BPF_EXIT_INSN(),
			]),
		);
	});

	it("by -1 are a negation, and leave no remainder", () => {
		const body = rewritten([
			I.BPF_MOV64_IMM(0, 7),
			I.BPF_ALU64_IMM_OFF(BPF_DIV, 0, -1, 1),
			I.BPF_ALU32_IMM_OFF(BPF_MOD, 0, -1, 1),
			I.BPF_EXIT_INSN(),
		]);
		expect(shape(body.slice(1, 3))).toEqual(shape([I.BPF_ALU64_IMM(0x80, 0, 0), I.BPF_MOV32_IMM(0, 0)]));
	});
});

describe("dead code", () => {
	const program = (): bpf_insn[] => [
		I.BPF_MOV64_IMM(0, 0),
		I.BPF_JMP_IMM(BPF_JEQ, 0, 0, 1),
		I.BPF_MOV64_IMM(0, 1),
		I.BPF_EXIT_INSN(),
	];

	it("goes, with the branch around it", () => {
		expect(shape(rewritten(program()))).toEqual(shape(exit()));
	});

	it("of the unprivileged becomes a trap", () => {
		for (const c of [CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_SYS_ADMIN]) t.kernel.task.caps.delete(c);
		const want = program();
		want[2] = I.BPF_RAW_INSN(BPF_JMP | BPF_JA, 0, 0, -1, 0);
		// what mitigates speculation may add instructions, but not here
		expect(shape(rewritten(program()))).toEqual(shape(want));
	});
});

describe("context accesses", () => {
	it("of part of a field load it whole and mask", () => {
		const body = rewritten([I.BPF_LDX_MEM(BPF_B, 0, 1, 1), I.BPF_EXIT_INSN()]);
		const load = body[0]!;
		expect(I.BPF_CLASS(load.code)).toBe(1);
		expect(I.BPF_SIZE(load.code)).toBe(BPF_W);
		// the second byte of skb->len
		expect(shape(body.slice(1))).toEqual(
			shape([I.BPF_ALU32_IMM(0x70, 0, 8), I.BPF_ALU32_IMM(0x50, 0, 0xff), I.BPF_EXIT_INSN()]),
		);
	});
});

describe("calls of helpers", () => {
	it("go to addresses, and bpf_get_smp_processor_id() to a per-CPU load without spills", () => {
		const call = (id: number): bpf_insn => I.BPF_RAW_INSN(BPF_JMP | U.BPF_CALL, 0, 0, 0, id);
		const spill = I.BPF_STX_MEM(U.BPF_DW, 10, 1, -8);
		const fill = I.BPF_LDX_MEM(U.BPF_DW, 1, 10, -8);
		const body = rewritten(
			[spill, call(U.BPF_FUNC_get_smp_processor_id), fill, call(U.BPF_FUNC_ktime_get_ns), I.BPF_EXIT_INSN()],
			U.BPF_PROG_TYPE_RAW_TRACEPOINT,
		);
		expect(body).toHaveLength(5);
		expect(I.insn_is_mov_percpu_addr(body[1]!)).toBe(true);
		expect(shape([body[2]!])).toEqual(shape([I.BPF_LDX_MEM(BPF_W, 0, 0, 0)]));
		expect(body[3]!.imm).toBe(I.BPF_CALL_IMM(t.kernel, "bpf_ktime_get_ns"));
	});
});

describe("may_goto", () => {
	it("counts down on the stack, from a start before the first jump", () => {
		const body = rewritten([I.BPF_RAW_INSN(BPF_JMP | U.BPF_JCOND, 0, 0, 1, 0), I.BPF_JMP_A(-2), ...exit()]);
		expect(shape(body)).toEqual(
			shape([
				I.BPF_ST_MEM(U.BPF_DW, 10, -8, 8388608),
				I.BPF_LDX_MEM(U.BPF_DW, 11, 10, -8),
				I.BPF_JMP_IMM(BPF_JEQ, 11, 0, 3),
				I.BPF_ALU64_IMM(0x10, 11, 1),
				I.BPF_STX_MEM(U.BPF_DW, 10, 11, -8),
				I.BPF_JMP_A(-5),
				...exit(),
			]),
		);
	});
});

describe("subprograms", () => {
	const program = (): bpf_insn[] => [
		I.BPF_CALL_REL(1),
		I.BPF_EXIT_INSN(),
		I.BPF_MOV64_IMM(0, 3),
		I.BPF_ALU64_IMM(BPF_ADD, 0, 1),
		I.BPF_EXIT_INSN(),
	];

	it("that are JITed show their number and their distance", () => {
		const body = rewritten(program());
		expect([body[0]!.imm, body[0]!.off]).toEqual([1, 1]);
		const prog = [...t.kernel.bpf.progs.values()].at(-1)!;
		expect(prog.aux.func!.map((f) => f.len)).toEqual([2, 3]);
		expect(prog.aux.func_cnt).toBe(2);
	});

	it("are for the interpreter where no JIT takes them", () => {
		t.kernel.bpf.jit = null;
		t.kernel.config.bpf_jit_always_on = false;
		const body = rewritten(program());
		expect([body[0]!.code, body[0]!.off]).toEqual([BPF_JMP | BPF_CALL_ARGS, 1]);
		const prog = [...t.kernel.bpf.progs.values()].at(-1)!;
		expect([prog.jited, prog.bpf_func]).toEqual([false, 0n]);
	});

	it("are refused without a JIT where the kernel has no interpreter", () => {
		t.kernel.bpf.jit = null;
		t.kernel.config.bpf_jit_always_on = true;
		expect(t.load({ type: U.BPF_PROG_TYPE_SOCKET_FILTER, insns: program() }).err).toBe(-524);
	});
});
