// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { BPF_REG_AX } from "../../include/linux/filter.ts";
import {
	BPF_ALU64,
	BPF_CALL,
	BPF_DW,
	BPF_EXIT,
	BPF_JMP32,
	BPF_JNE,
	BPF_MOV,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_MAP_FD,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_ALU,
	BPF_IMM,
	BPF_JA,
	BPF_JEQ,
	BPF_JMP,
	BPF_K,
	BPF_LD,
	BPF_MEM,
	BPF_ST,
	BPF_W,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Kernel } from "../kernel.ts";
import { Random } from "../random.ts";
import { type bpf_insn, bpf_prog } from "./bpf_types.ts";
import {
	bpf_jit_blind_constants,
	bpf_jit_blind_insn,
	bpf_patch_insn_single,
	bpf_patch_insns,
	bpf_prog_calc_tag,
	bpf_remove_insn_ranges,
} from "./core.ts";
import * as I from "./insn_macros.ts";

const random = new Random(7);
const kernel = { get_random_u32: () => random.u32() } as unknown as Kernel;

function program(insns: readonly bpf_insn[]): bpf_prog {
	const prog = new bpf_prog(kernel);
	prog.insnsi = insns.map((i) => i.clone());
	prog.aux.linfo = insns.map((_, i) => ({ insn_off: i, file_name_off: 0, line_off: 0, line_col: 0 }));
	return prog;
}

const text = (p: bpf_prog): string =>
	p.insnsi.map((i) => [i.code, i.dst_reg, i.src_reg, i.off, i.imm].join(" ")).join("\n");
const lines = (p: bpf_prog): number[] => p.aux.linfo.map((l) => l.insn_off);

/** One patch as core.c does it: move, copy, then adjust every jump that crosses the seam. */
function kernel_patch(prog: bpf_prog, pos: number, patch: readonly bpf_insn[]): void {
	const delta = patch.length - 1;
	prog.insnsi.splice(pos, 1, ...patch.map((p) => p.clone()));
	if (!delta) return;
	kernel_adjust(prog, pos, pos + 1, pos + patch.length);
	for (const l of prog.aux.linfo) if (l.insn_off > pos) l.insn_off += delta;
}

/** bpf_adj_branches() */
function kernel_adjust(prog: bpf_prog, pos: number, end_old: number, end_new: number): void {
	const delta = end_new - end_old;
	const moved = (curr: number, dist: number): number => {
		if (curr < pos && curr + dist + 1 >= end_old) return dist + delta;
		if (curr >= end_new && curr + dist + 1 < end_new) return dist - delta;
		return dist;
	};
	prog.insnsi.forEach((insn, i) => {
		const cls = I.BPF_CLASS(insn.code);
		const op = I.BPF_OP(insn.code);
		if (I.bpf_pseudo_func(insn)) insn.imm = moved(i, insn.imm);
		else if ((cls !== BPF_JMP && cls !== BPF_JMP32) || op === BPF_EXIT) return;
		else if (op === BPF_CALL) {
			if (insn.src_reg === BPF_PSEUDO_CALL) insn.imm = moved(i, insn.imm);
		} else if (insn.code === (BPF_JMP32 | BPF_JA)) insn.imm = moved(i, insn.imm);
		else insn.off = moved(i, insn.off);
	});
}

/** A program of random jumps, calls and function pointers, all within it. */
function random_insns(n: number): bpf_insn[] {
	const out: bpf_insn[] = [];
	for (let i = 0; i < n; i++) {
		const dist = (random.u32() % n) - i - 1;
		switch (random.u32() % 7) {
			case 0:
				out.push(I.BPF_JMP_A(dist));
				break;
			case 1:
				out.push(I.BPF_JMP_IMM(BPF_JEQ, 1, 5, dist));
				break;
			case 2:
				out.push(I.BPF_JMP32_A(dist));
				break;
			case 3:
				out.push(I.BPF_CALL_REL(dist));
				break;
			case 4:
				out.push(I.BPF_RAW_INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_FUNC, 0, dist));
				break;
			default:
				out.push(I.BPF_MOV64_IMM(random.u32() % 10, i));
		}
	}
	return out;
}

/** A replacement that may jump within itself, behind itself, and before itself. */
function random_patch(before: number, behind: number): bpf_insn[] {
	const len = 1 + (random.u32() % 5);
	return Array.from({ length: len }, (_, j) => {
		switch (random.u32() % 4) {
			case 0:
				return I.BPF_JMP_A((random.u32() % len) - j - 1);
			case 1:
				return I.BPF_JMP_IMM(BPF_JNE, 2, 1, len - 1 - j + (random.u32() % (behind + 1)));
			case 2:
				return I.BPF_JMP32_A(-j - 1 - (random.u32() % (before + 1)));
			default:
				return I.BPF_MOV64_REG(3, j);
		}
	});
}

describe("bpf_patch_insns", () => {
	it("gives what patching one by one gives", () => {
		for (let round = 0; round < 400; round++) {
			const n = 1 + (random.u32() % 40);
			const insns = random_insns(n);
			const expected = program(insns);
			const patches: { off: number; insns: bpf_insn[] }[] = [];
			let delta = 0;
			for (let off = 0; off < n; off++) {
				if (random.u32() % 3) continue;
				const patch = random_patch(off + delta, n - 1 - off);
				patches.push({ off, insns: patch.map((p) => p.clone()) });
				kernel_patch(expected, off + delta, patch);
				delta += patch.length - 1;
			}
			const prog = program(insns);
			const { start, failed } = bpf_patch_insns(prog, patches);
			expect(failed).toBe(-1);
			expect(text(prog)).toBe(text(expected));
			expect(lines(prog)).toEqual(lines(expected));
			expect(start[n]).toBe(prog.len);
		}
	});

	it("refuses the first patch that a jump cannot span, and changes nothing", () => {
		const nop = I.BPF_MOV64_IMM(0, 0);
		const insns = [I.BPF_JMP_A(32766), ...Array.from({ length: 32766 }, () => nop), I.BPF_EXIT_INSN()];
		const two = [nop.clone(), nop.clone()];
		const prog = program(insns);
		const before = text(prog);
		expect(bpf_patch_insns(prog, [{ off: 5, insns: two.map((i) => i.clone()) }]).failed).toBe(-1);
		expect(prog.insnsi[0]!.off).toBe(32767);
		const again = program(insns);
		const patches = [7, 9, 11].map((off) => ({ off, insns: two.map((i) => i.clone()) }));
		expect(bpf_patch_insns(again, patches).failed).toBe(1);
		expect(text(again)).toBe(before);
	});

	it("replaces one by one without touching jumps", () => {
		const prog = program([I.BPF_JMP_A(1), I.BPF_MOV64_IMM(0, 1), I.BPF_EXIT_INSN()]);
		bpf_patch_insn_single(prog, 1, [I.BPF_MOV64_IMM(0, 2)]);
		expect(prog.insnsi.map((i) => i.imm)).toEqual([0, 2, 0]);
		expect(prog.insnsi[0]!.off).toBe(1);
	});
});

describe("bpf_remove_insn_ranges", () => {
	it("gives what removing one by one gives", () => {
		for (let round = 0; round < 400; round++) {
			const n = 2 + (random.u32() % 40);
			const insns = random_insns(n);
			const expected = program(insns);
			const ranges: [number, number][] = [];
			let gone = 0;
			for (let a = 0; a < n; ) {
				const len = random.u32() % 4;
				const b = Math.min(a + len, n);
				if (b > a && random.u32() % 2) {
					ranges.push([a, b]);
					expected.insnsi.splice(a - gone, b - a);
					kernel_adjust(expected, a - gone, b - gone, a - gone);
					gone += b - a;
				}
				a = b + 1;
			}
			const prog = program(insns);
			bpf_remove_insn_ranges(prog, ranges);
			expect(text(prog)).toBe(text(expected));
		}
	});
});

describe("bpf_prog_calc_tag", () => {
	const tag = (insns: readonly bpf_insn[]): string => {
		const prog = program(insns);
		bpf_prog_calc_tag(prog);
		return Buffer.from(prog.tag).toString("hex");
	};

	it("is the tag that every kernel gives these programs", () => {
		expect(tag([I.BPF_MOV64_IMM(0, 0), I.BPF_EXIT_INSN()])).toBe("a04f5eef06a7f555");
		expect(tag([I.BPF_MOV64_IMM(0, 1), I.BPF_EXIT_INSN()])).toBe("57cd311f2e27366b");
	});

	it("does not depend on map descriptors, but on everything else", () => {
		const load = (fd: number, src: number) => [
			...I.BPF_LD_IMM64_RAW(1, src, fd),
			I.BPF_MOV64_IMM(0, 0),
			I.BPF_EXIT_INSN(),
		];
		expect(tag(load(3, BPF_PSEUDO_MAP_FD))).toBe(tag(load(77, BPF_PSEUDO_MAP_FD)));
		expect(tag(load(3, 0))).not.toBe(tag(load(77, 0)));
	});
});

describe("constant blinding", () => {
	it("hides every immediate and means the same", () => {
		const secret = 0x12345678;
		for (const insn of [
			I.BPF_ALU64_IMM(BPF_ADD, 1, secret),
			I.BPF_ALU32_IMM(BPF_ADD, 1, secret),
			I.BPF_JMP_IMM(BPF_JEQ, 1, secret, 3),
			I.BPF_JMP32_IMM(BPF_JEQ, 1, secret, 3),
			I.BPF_ST_MEM(BPF_W, 10, -4, secret),
		]) {
			const [mov, xor, use] = bpf_jit_blind_insn(kernel, insn, [], false);
			expect(mov!.dst_reg).toBe(BPF_REG_AX);
			expect([I.BPF_OP(mov!.code), I.BPF_OP(xor!.code)]).toEqual([BPF_MOV, BPF_XOR]);
			expect(mov!.imm ^ xor!.imm).toBe(secret);
			expect([mov!.imm, xor!.imm, use!.imm]).not.toContain(secret);
			expect(use!.src_reg).toBe(BPF_REG_AX);
			expect(use!.off).toBe(insn.off);
		}
	});

	it("leaves alone what has no immediate of the user", () => {
		expect(bpf_jit_blind_insn(kernel, I.BPF_MOV64_REG(1, 2), [], false)).toEqual([]);
		expect(bpf_jit_blind_insn(kernel, I.BPF_ALU64_IMM(BPF_ADD, BPF_REG_AX, 1), [], false)).toEqual([]);
		const [zero] = bpf_jit_blind_insn(kernel, I.BPF_MOV64_IMM(3, 0), [], false);
		expect(zero).toEqual(I.BPF_ALU64_REG(BPF_XOR, 3, 3));
	});

	it("blinds a clone, with both halves of a 64-bit load and jumps over it mended", () => {
		const prog = program([
			I.BPF_JMP_IMM(BPF_JEQ, 1, 0x77777777, 2),
			...I.BPF_LD_IMM64(2, 0x1122334455667788n),
			I.BPF_JMP_IMM(BPF_JEQ, 1, 9, -4),
			I.BPF_EXIT_INSN(),
		]);
		prog.blinding_requested = true;
		const clone = bpf_jit_blind_constants(prog) as bpf_prog;
		expect(prog.len).toBe(5);
		expect(clone.blinded).toBe(true);
		// 3 for each jump, 4 for the first half of the load, 3 for the second
		expect(clone.len).toBe(3 + 4 + 3 + 3 + 1);
		const jump = clone.insnsi[2]!;
		expect(2 + 1 + jump.off).toBe(10);
		const back = clone.insnsi[12]!;
		expect(12 + 1 + back.off).toBe(0);
		// the upper half is shifted into place, the lower one or-ed in
		const upper = clone.insnsi[3]!.imm ^ clone.insnsi[4]!.imm;
		const lower = clone.insnsi[7]!.imm ^ clone.insnsi[8]!.imm;
		expect([upper >>> 0, lower >>> 0]).toEqual([0x11223344, 0x55667788]);
		expect(bpf_jit_blind_constants(clone)).toBe(clone);
		const codes = new Set(clone.insnsi.map((i) => i.code));
		expect(codes.has(BPF_ALU64 | BPF_MOV | BPF_K)).toBe(true);
		expect(codes.has(BPF_ALU | BPF_MOV | BPF_K)).toBe(true);
		expect(codes.has(BPF_ST | BPF_MEM | BPF_W)).toBe(false);
	});
});
