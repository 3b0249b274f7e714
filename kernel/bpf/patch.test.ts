// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import type { Kernel } from "../kernel.ts";
import { Random } from "../random.ts";
import { type bpf_insn, type bpf_line_info, bpf_prog } from "./bpf_types.ts";
import * as I from "./insn_macros.ts";
import { adjust_jmp_off, bpf_patch_insn_data, PatchSweep, verifier_remove_ranges } from "./patch.ts";
import { bpf_insn_aux_data, bpf_subprog_info, type bpf_verifier_env } from "./verifier_types.ts";

const random = new Random(11);

/** As much of an env as patching touches. */
function env_of(n: number, starts: readonly number[], linfo: readonly number[]): bpf_verifier_env {
	const prog = new bpf_prog({} as Kernel);
	prog.insnsi = Array.from({ length: n }, (_, i) => I.BPF_MOV64_IMM(0, i));
	prog.aux.func_info = starts.map((s) => ({ insn_off: s, type_id: s }));
	prog.aux.linfo = linfo.map((off) => ({ insn_off: off, file_name_off: off, line_off: 0, line_col: 0 }));
	const subprog_info = [...starts, n].map((start) => {
		const info = new bpf_subprog_info();
		info.start = start;
		info.linfo_idx = linfo.indexOf(start);
		return info;
	});
	subprog_info.at(-1)!.linfo_idx = 0;
	const insn_aux_data = prog.insnsi.map((_, i) => {
		const aux = new bpf_insn_aux_data();
		aux.orig_idx = i;
		aux.seen = i + 1;
		return aux;
	});
	return { prog, subprog_info, subprog_cnt: starts.length, insn_aux_data } as unknown as bpf_verifier_env;
}

/** verifier_remove_insns() for one range, as the kernel's arrays have it. */
function kernel_remove(env: bpf_verifier_env, off: number, cnt: number): void {
	const { aux } = env.prog;
	env.prog.insnsi.splice(off, cnt);
	const info = env.subprog_info;
	let i = 0;
	let j: number;
	for (; i < env.subprog_cnt; i++) if (info[i]!.start >= off) break;
	for (j = i; j < env.subprog_cnt; j++) if (info[j]!.start >= off + cnt) break;
	if (info[j]!.start !== off + cnt) j--;
	if (j > i) {
		info.splice(i, j - i);
		env.subprog_cnt -= j - i;
		aux.func_info.splice(i, j - i);
	} else if (info[i]!.start === off) i++;
	for (; i <= env.subprog_cnt; i++) info[i]!.start -= cnt;

	const linfo: bpf_line_info[] = aux.linfo;
	for (i = 0; i < linfo.length; i++) if (linfo[i]!.insn_off >= off) break;
	const l_off = i;
	let l_cnt = 0;
	for (; i < linfo.length; i++) {
		if (linfo[i]!.insn_off < off + cnt) l_cnt++;
		else break;
	}
	if (env.prog.len !== off && l_cnt && (i === linfo.length || linfo[i]!.insn_off !== off + cnt)) {
		l_cnt--;
		linfo[--i]!.insn_off = off + cnt;
	}
	linfo.splice(l_off, l_cnt);
	for (i = l_off; i < linfo.length; i++) linfo[i]!.insn_off -= cnt;
	for (i = 0; i <= env.subprog_cnt; i++)
		if (info[i]!.linfo_idx > l_off) {
			if (info[i]!.linfo_idx >= l_off + l_cnt) info[i]!.linfo_idx -= l_cnt;
			else info[i]!.linfo_idx = l_off;
		}
	env.insn_aux_data.splice(off, cnt);
}

const shown = (env: bpf_verifier_env) => ({
	insns: env.prog.insnsi.map((i: bpf_insn) => i.imm),
	aux: env.insn_aux_data.map((a) => a.orig_idx),
	cnt: env.subprog_cnt,
	starts: env.subprog_info.slice(0, env.subprog_cnt + 1).map((s) => [s.start, s.linfo_idx]),
	func_info: env.prog.aux.func_info.map((f) => f.type_id),
	linfo: env.prog.aux.linfo.map((l) => [l.insn_off, l.file_name_off]),
});

describe("verifier_remove_ranges", () => {
	it("gives what removing one range after the other gives", () => {
		for (let round = 0; round < 500; round++) {
			const n = 3 + (random.u32() % 30);
			const starts = [0];
			const linfo = [0];
			for (let i = 1; i < n; i++) {
				if (random.u32() % 5 === 0) {
					starts.push(i);
					linfo.push(i);
				} else if (random.u32() % 2) linfo.push(i);
			}
			const a = env_of(n, starts, linfo);
			const b = env_of(n, starts, linfo);
			const ranges: [number, number][] = [];
			let gone = 0;
			// the main program's first instruction is never dead
			for (let i = 1; i < n; ) {
				const end = Math.min(n, i + 1 + (random.u32() % 4));
				if (random.u32() % 3 === 0) {
					ranges.push([i, end]);
					kernel_remove(b, i - gone, end - i);
					gone += end - i;
				}
				// adjacent ranges come up too: no-ops next to one another
				i = end + (random.u32() % 2);
			}
			expect(verifier_remove_ranges(a, ranges)).toBe(0);
			expect(shown(a)).toEqual(shown(b));
		}
	});
});

describe("PatchSweep", () => {
	it("leaves the old data with the last instruction of a patch and counts the others as seen", () => {
		const env = env_of(4, [0, 2], [0, 2, 3]);
		env.prog.aux.poke_tab.push(
			{ insn_idx: 1 } as (typeof env.prog.aux.poke_tab)[0],
			{ insn_idx: 3 } as (typeof env.prog.aux.poke_tab)[0],
		);
		const sweep = new PatchSweep(env);
		sweep.replace(1, [I.BPF_MOV32_IMM(1, 10), I.BPF_MOV64_IMM(1, 11), I.BPF_MOV64_IMM(1, 12)]);
		const last = sweep.replace(3, [I.BPF_MOV64_IMM(1, 30), I.BPF_MOV32_IMM(1, 31)]);
		last.imm = 99;
		expect(sweep.delta).toBe(3);
		expect(sweep.apply()).toBe(0);
		expect(env.prog.insnsi.map((i) => i.imm)).toEqual([0, 10, 11, 12, 2, 30, 99]);
		expect(env.insn_aux_data.map((a) => a.orig_idx)).toEqual([0, 0, 0, 1, 2, 0, 3]);
		expect(env.insn_aux_data.map((a) => a.seen)).toEqual([1, 2, 2, 2, 3, 4, 4]);
		expect(env.insn_aux_data.map((a) => a.zext_dst)).toEqual([false, true, false, false, false, false, true]);
		expect(env.subprog_info.map((s) => s.start)).toEqual([0, 4, 7]);
		expect(env.prog.aux.linfo.map((l) => l.insn_off)).toEqual([0, 4, 5]);
		expect(env.prog.aux.poke_tab.map((p) => p.insn_idx)).toEqual([1, 5]);
	});

	it("does not take over the instructions given to bpf_patch_insn_data()", () => {
		const env = env_of(2, [0], [0]);
		const first = env.prog.insnsi[0]!;
		bpf_patch_insn_data(env, 0, [I.BPF_MOV64_IMM(1, 5), first]);
		expect(env.prog.insnsi[1]).not.toBe(first);
		expect(env.prog.insnsi.map((i) => i.imm)).toEqual([5, 0, 1]);
	});
});

describe("adjust_jmp_off", () => {
	it("moves the targets of jumps, not of calls, and not those of the new instructions", () => {
		const env = env_of(1, [0], []);
		env.prog.insnsi = [
			I.BPF_JMP_A(-1),
			I.BPF_MOV64_IMM(0, 0),
			I.BPF_JMP_A(-3),
			I.BPF_JMP32_A(-4),
			I.BPF_CALL_REL(-5),
		];
		adjust_jmp_off(env.prog, 0, 1);
		expect(env.prog.insnsi.map((i) => i.off)).toEqual([-1, 0, -2, 0, 0]);
		expect(env.prog.insnsi.map((i) => i.imm)).toEqual([0, 0, 0, -3, -5]);
	});
});
