// SPDX-License-Identifier: GPL-2.0-only
/** Pruning, loops, the limits of exploration and precision tracking, on programs of a few instructions. */
import { describe, expect, test } from "vitest";
import { EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CALL,
	BPF_DW,
	BPF_F_TEST_STATE_FREQ,
	BPF_FUNC_get_prandom_u32,
	BPF_JLT,
	BPF_PROG_TYPE_SOCKET_FILTER,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_AND, BPF_B, BPF_JEQ, BPF_JGT, BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import {
	fmt_stack_mask,
	type linked_regs,
	linked_regs_pack,
	linked_regs_push,
	linked_regs_unpack,
} from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import {
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_CALL_REL,
	BPF_EXIT_INSN,
	BPF_JMP_A,
	BPF_JMP_IMM,
	BPF_LD_ABS,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_STX_MEM,
} from "./insn_macros.ts";
import { TestKernel } from "./test_kernel.ts";

const k = new TestKernel();
const random = () => BPF_RAW_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_prandom_u32);

function load(insns: bpf_insn[], flags = 0, log_level = 2) {
	const r = k.load({ type: BPF_PROG_TYPE_SOCKET_FILTER, insns, flags, log_level });
	const m = /processed (\d+) insns .* max_states_per_insn (\d+) total_states (\d+) peak_states (\d+)/.exec(
		r.log,
	);
	const [, processed, max_states, total, peak] = (m ?? []).map(Number);
	return { ...r, lines: r.log.split("\n"), processed, max_states, total, peak };
}

describe("pruning", () => {
	// r6 is random; both branches meet at 5
	const diamond = (after: bpf_insn[]) => [
		random(),
		BPF_MOV64_REG(6, 0),
		BPF_MOV64_IMM(7, 1),
		BPF_JMP_IMM(BPF_JEQ, 6, 0, 1),
		BPF_MOV64_IMM(7, 2),
		...after,
		BPF_MOV64_IMM(0, 0),
		BPF_EXIT_INSN(),
	];
	test("a difference that nobody reads does not keep branches apart", () => {
		const r = load(diamond([]), BPF_F_TEST_STATE_FREQ);
		expect(r.err).toBe(0);
		expect(r.lines).toContain("from 3 to 5: safe");
		expect(r.processed).toBe(8);
	});
	test("nor does one whose exact value is not needed", () => {
		const r = load(diamond([BPF_MOV64_REG(8, 7)]), BPF_F_TEST_STATE_FREQ);
		expect(r.lines).toContain("from 3 to 5: safe");
	});
	test("a value that an address is made of does", () => {
		const after = [
			BPF_MOV64_REG(1, 10),
			BPF_ALU64_REG(BPF_ADD, 1, 7),
			BPF_ALU64_IMM(BPF_ADD, 1, -16),
			BPF_MOV64_IMM(2, 0),
			BPF_RAW_INSN(0x73, 1, 2, 0, 0),
		];
		const r = load(diamond(after), BPF_F_TEST_STATE_FREQ);
		expect(r.err).toBe(0);
		expect(r.lines).not.toContain("from 3 to 5: safe");
		expect(r.log).toContain("mark_precise: frame0: parent state regs=r7 stack=:");
		// 0 … 11, and 5 … 11 once more
		expect(r.processed).toBe(12 + 7);
	});
	test("states are counted", () => {
		const r = load(diamond([]), BPF_F_TEST_STATE_FREQ);
		expect([r.max_states, r.total, r.peak]).toEqual([0, 3, 3]);
	});
});

describe("loops", () => {
	test("an endless one is found", () => {
		const r = load([BPF_MOV64_IMM(0, 0), BPF_JMP_A(-1), BPF_EXIT_INSN()]);
		// the exit cannot be reached at all
		expect(r.err).toBe(-EINVAL);
		expect(r.log).toContain("unreachable insn 2");

		const loop = load([
			BPF_MOV64_IMM(0, 0),
			BPF_MOV64_IMM(1, 0),
			BPF_JMP_IMM(BPF_JEQ, 1, 1, 1),
			BPF_JMP_A(-2),
			BPF_EXIT_INSN(),
		]);
		expect(loop.err).toBe(-EINVAL);
		expect(loop.log).toMatch(
			/infinite loop detected at insn 2\ncur state: R0=0 R1=.*\nold state: R0_w=0 R1_rw=P0/,
		);
	});
	test("a bounded one is walked through", () => {
		const r = load([
			BPF_MOV64_IMM(0, 0),
			BPF_ALU64_IMM(BPF_ADD, 0, 1),
			BPF_JMP_IMM(BPF_JLT, 0, 100, -2),
			BPF_EXIT_INSN(),
		]);
		expect(r.err).toBe(0);
		expect(r.processed).toBe(202);
	});
});

test("too many branches to explore are refused", () => {
	// each comparison leaves a branch that is to be explored after all others
	const n = 8193;
	const insns = [random(), BPF_MOV64_REG(6, 0)];
	for (let i = 0; i < n; i++) insns.push(BPF_JMP_IMM(BPF_JEQ, 6, i, n - 1 - i));
	insns.push(BPF_MOV64_IMM(0, 0), BPF_EXIT_INSN());
	const r = load(insns, 0, 1);
	expect(r.err).toBe(-EFAULT);
	expect(r.log).toContain("The sequence of 8193 jumps is too complex.\n");
});

describe("precision", () => {
	test("goes back through arithmetic, spills and fills", () => {
		const r = load([
			random(),
			BPF_ALU64_IMM(BPF_AND, 0, 7),
			BPF_STX_MEM(BPF_DW, 10, 0, -8),
			BPF_MOV64_IMM(0, 0),
			BPF_LDX_MEM(BPF_DW, 6, 10, -8),
			BPF_MOV64_REG(1, 10),
			BPF_ALU64_REG(BPF_ADD, 1, 6),
			BPF_RAW_INSN(0x73, 1, 0, -16, 0),
			BPF_EXIT_INSN(),
		]);
		expect(r.err).toBe(0);
		const marks = r.lines.filter((l) => l.startsWith("mark_precise"));
		expect(marks).toEqual([
			"mark_precise: frame0: last_idx 6 first_idx 0 subseq_idx -1 ",
			"mark_precise: frame0: regs=r6 stack= before 5: (bf) r1 = r10",
			"mark_precise: frame0: regs=r6 stack= before 4: (79) r6 = *(u64 *)(r10 -8)",
			"mark_precise: frame0: regs= stack=-8 before 3: (b7) r0 = 0",
			"mark_precise: frame0: regs= stack=-8 before 2: (7b) *(u64 *)(r10 -8) = r0",
			"mark_precise: frame0: regs=r0 stack= before 1: (57) r0 &= 7",
			"mark_precise: frame0: regs=r0 stack= before 0: (85) call bpf_get_prandom_u32#7",
		]);
	});
	test("crosses a call, from the result to the callee and from its argument to the caller", () => {
		const r = load([
			BPF_MOV64_IMM(1, 3),
			BPF_CALL_REL(4),
			BPF_MOV64_REG(1, 10),
			BPF_ALU64_REG(BPF_ADD, 1, 0),
			BPF_RAW_INSN(0x72, 1, 0, -16, 0),
			BPF_EXIT_INSN(),
			BPF_MOV64_REG(0, 1),
			BPF_EXIT_INSN(),
		]);
		expect(r.err).toBe(0);
		const marks = r.lines.filter((l) => l.startsWith("mark_precise")).slice(0, 6);
		expect(marks).toEqual([
			"mark_precise: frame0: last_idx 3 first_idx 0 subseq_idx -1 ",
			"mark_precise: frame0: regs=r0 stack= before 2: (bf) r1 = r10",
			"mark_precise: frame0: regs=r0 stack= before 7: (95) exit",
			"mark_precise: frame1: regs=r0 stack= before 6: (bf) r0 = r1",
			"mark_precise: frame1: regs=r1 stack= before 1: (85) call pc+4",
			"mark_precise: frame0: regs=r1 stack= before 0: (b7) r1 = 3",
		]);
	});
	test("takes linked registers along", () => {
		const r = load([
			random(),
			BPF_MOV64_REG(6, 0),
			BPF_JMP_IMM(BPF_JGT, 0, 7, 4),
			BPF_MOV64_REG(1, 10),
			BPF_ALU64_REG(BPF_ADD, 1, 6),
			BPF_MOV64_IMM(2, 0),
			BPF_RAW_INSN(0x73, 1, 2, -16, 0),
			BPF_MOV64_IMM(0, 0),
			BPF_EXIT_INSN(),
		]);
		expect(r.err).toBe(0);
		// the range of r6 came from the comparison of r0
		expect(r.lines).toContain("mark_precise: frame0: regs=r6 stack= before 2: (25) if r0 > 0x7 goto pc+4");
		expect(r.lines).toContain("mark_precise: frame0: regs=r0,r6 stack= before 1: (bf) r6 = r0");
	});
	test("where the way of a value cannot be followed, all scalars become precise", () => {
		const r = load(
			[
				BPF_MOV64_REG(6, 1),
				random(),
				BPF_MOV64_IMM(7, 1),
				BPF_JMP_IMM(BPF_JEQ, 0, 0, 0),
				BPF_LD_ABS(BPF_B, 0),
				BPF_ALU64_IMM(BPF_AND, 0, 7),
				BPF_MOV64_REG(1, 10),
				BPF_ALU64_REG(BPF_ADD, 1, 0),
				BPF_RAW_INSN(0x72, 1, 0, -16, 0),
				BPF_EXIT_INSN(),
			],
			BPF_F_TEST_STATE_FREQ,
		);
		expect(r.err).toBe(0);
		expect(r.lines).toContain("mark_precise: frame0: falling back to forcing all scalars precise");
		expect(r.lines).toContain("force_precise: frame0: forcing r7 to be precise");
	});
});

test("linked registers are packed into 64 bits and come out last first", () => {
	const s: linked_regs = { cnt: 0, entries: [] };
	for (let i = 0; i < 6; i++) {
		const e = linked_regs_push(s)!;
		e.frameno = 7 - i;
		e.spi = i === 0 ? 63 : i;
		e.is_reg = i % 2 === 1;
	}
	expect(linked_regs_push(s)).toBeNull();
	const packed = linked_regs_pack(s);
	expect(packed >> 64n).toBe(0n);
	expect(packed & 15n).toBe(6n);
	const back = linked_regs_unpack(packed);
	expect(back.entries.reverse()).toEqual(s.entries);
	expect(linked_regs_pack({ cnt: 0, entries: [] })).toBe(0n);
});

test("masks of stack slots are shown as offsets", () => {
	expect(fmt_stack_mask(0x15, 0)).toBe("-8,-24,-40");
	expect(fmt_stack_mask(0, -0x80000000)).toBe("-512");
	expect(fmt_stack_mask(0, 0)).toBe("");
});
