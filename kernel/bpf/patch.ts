// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: bpf_patch_insn_data(), verifier_remove_insns() and their kin: rewriting the
 * program together with all that the verifier keeps about its instructions.
 *
 * A pass over the program that replaces many instructions gathers the replacements in a PatchSweep and
 * applies them at its end, in one go: the result is that of the kernel, which patches one by one. Within
 * such a pass instructions keep the indices they had at its start.
 */
import { ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_CALL, BPF_EXIT, BPF_JMP32 } from "../../include/uapi/linux/bpf.ts";
import { BPF_JA, BPF_JMP } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn, bpf_line_info, bpf_prog } from "./bpf_types.ts";
import { bpf_patch_insns, bpf_remove_insn_ranges, InsnPatches, type insn_patch } from "./core.ts";
import { BPF_CLASS, BPF_OP } from "./insn_macros.ts";
import { insn_has_def32 } from "./liveness.ts";
import { verbose } from "./log.ts";
import { bpf_insn_aux_data, bpf_subprog_info, type bpf_verifier_env } from "./verifier_types.ts";

/** Replacements of one pass over a program, applied together. */
export class PatchSweep {
	private readonly env: bpf_verifier_env;
	private readonly patches = new InsnPatches();
	constructor(env: bpf_verifier_env) {
		this.env = env;
	}

	/**
	 * Replace instruction `off` (index at the start of the pass; ascending, each at most once). The
	 * instructions given become the program's own. Returns the last of them.
	 */
	replace(off: number, insns: bpf_insn[]): bpf_insn {
		this.patches.push(off, insns);
		return insns[insns.length - 1]!;
	}

	/** Instructions that the replacements so far have added. */
	get delta(): number {
		return this.patches.delta;
	}

	/** The distance of a jump of instruction `off` with the replacements so far put in. */
	dist(off: number, dist: number): number {
		return this.patches.dist(off, dist);
	}

	/** Put everything in; 0, or -ENOMEM (said in the log) when a jump cannot reach its target any more. */
	apply(): number {
		const { env } = this;
		const patches = this.patches.list;
		if (!patches.length) return 0;
		const old_data = env.insn_aux_data;
		const { start, failed } = bpf_patch_insns(env.prog, patches);
		if (failed >= 0) {
			verbose(
				env,
				`insn ${old_data[patches[failed]!.off]!.orig_idx} cannot be patched due to 16-bit range\n`,
			);
			return -ENOMEM;
		}
		adjust_insn_aux_data(env, patches);
		if (this.delta) {
			// adjust_subprog_starts(), the end's too; adjust_poke_descs()
			for (let i = 0; i <= env.subprog_cnt; i++) {
				const info = env.subprog_info[i]!;
				info.start = start[info.start]!;
			}
			for (const desc of env.prog.aux.poke_tab) desc.insn_idx = start[desc.insn_idx]!;
		}
		return 0;
	}
}

/**
 * kernel/bpf/verifier.c: adjust_insn_aux_data: the old data goes with the last instruction of a patch,
 * the ones before it start empty.
 */
function adjust_insn_aux_data(env: bpf_verifier_env, patches: readonly insn_patch[]): void {
	const old_data = env.insn_aux_data;
	let grown = 0;
	for (const p of patches) {
		old_data[p.off]!.zext_dst = insn_has_def32(env, p.insns[p.insns.length - 1]!);
		grown += p.insns.length - 1;
	}
	if (!grown) return;
	const new_data = new Array<bpf_insn_aux_data>(old_data.length + grown);
	for (let i = 0, k = 0, w = 0; i < old_data.length; i++) {
		if (k < patches.length && patches[k]!.off === i) {
			const { insns } = patches[k++]!;
			for (let j = 0; j < insns.length - 1; j++) {
				const aux = new bpf_insn_aux_data();
				aux.patched_in = true;
				aux.seen = old_data[i]!.seen;
				aux.zext_dst = insn_has_def32(env, insns[j]!);
				new_data[w++] = aux;
			}
		}
		new_data[w++] = old_data[i]!;
	}
	env.insn_aux_data = new_data;
}

/** kernel/bpf/verifier.c: bpf_patch_insn_data: the program, or null when it cannot be done. */
export function bpf_patch_insn_data(
	env: bpf_verifier_env,
	off: number,
	patch: readonly bpf_insn[],
): bpf_prog | null {
	const sweep = new PatchSweep(env);
	sweep.replace(
		off,
		patch.map((p) => p.clone()),
	);
	return sweep.apply() ? null : env.prog;
}

/**
 * kernel/bpf/verifier.c: adjust_jmp_off: jumps that go to `tgt_idx` go `delta` further, but for those
 * within [tgt_idx, tgt_idx + delta). -ERANGE cannot come up: the patch before it had room.
 */
export function adjust_jmp_off(prog: bpf_prog, tgt_idx: number, delta: number): number {
	const insns = prog.insnsi;
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		if (tgt_idx <= i && i < tgt_idx + delta) continue;
		const cls = BPF_CLASS(insn.code);
		const op = BPF_OP(insn.code);
		if ((cls !== BPF_JMP && cls !== BPF_JMP32) || op === BPF_CALL || op === BPF_EXIT) continue;
		if (insn.code === (BPF_JMP32 | BPF_JA)) {
			if (i + 1 + insn.imm === tgt_idx) insn.imm += delta;
		} else if (i + 1 + insn.off === tgt_idx) {
			insn.off += delta;
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: adjust_subprog_starts_after_remove */
function adjust_subprog_starts_after_remove(env: bpf_verifier_env, off: number, cnt: number): void {
	const info = env.subprog_info;
	let i = 0;
	while (i < env.subprog_cnt && info[i]!.start < off) i++;
	let j = i;
	while (j < env.subprog_cnt && info[j]!.start < off + cnt) j++;
	// the last one found loses only its front unless the next starts just behind the removed part
	if (info[j]!.start !== off + cnt) j--;
	if (j > i) {
		info.splice(i, j - i);
		for (let k = i; k < j; k++) info.push(new bpf_subprog_info());
		env.subprog_cnt -= j - i;
		env.prog.aux.func_info.splice(i, j - i);
	} else if (info[i]!.start === off) {
		i++;
	}
	for (; i <= env.subprog_cnt; i++) info[i]!.start -= cnt;
}

/**
 * Remove many ranges [off, end) of instructions, ascending, not overlapping: what
 * kernel/bpf/verifier.c: verifier_remove_insns does when called for one after the other.
 */
export function verifier_remove_ranges(
	env: bpf_verifier_env,
	ranges: readonly (readonly [number, number])[],
): number {
	if (!ranges.length) return 0;
	const { aux } = env.prog;
	const n = env.prog.len;
	bpf_remove_insn_ranges(env.prog, ranges);

	// bpf_adj_linfo_after_remove(), range by range: `kept` are lines before the range, `next` the first behind
	const lines = aux.linfo;
	const kept: bpf_line_info[] = [];
	let next = 0;
	let removed = 0;
	for (const [a, b] of ranges) {
		const cnt = b - a;
		adjust_subprog_starts_after_remove(env, a - removed, cnt);
		if (lines.length) {
			while (next < lines.length && lines[next]!.insn_off < a) {
				const l = lines[next++]!;
				l.insn_off -= removed;
				kept.push(l);
			}
			const l_off = kept.length;
			let l_cnt = 0;
			while (next < lines.length && lines[next]!.insn_off < b) {
				l_cnt++;
				next++;
			}
			// the first instruction behind inherits the last removed line when it has none itself
			if (n !== b && l_cnt && (next === lines.length || lines[next]!.insn_off !== b)) {
				l_cnt--;
				lines[--next]!.insn_off = b;
			}
			if (l_cnt)
				for (let i = 0; i <= env.subprog_cnt; i++) {
					const info = env.subprog_info[i]!;
					if (info.linfo_idx <= l_off) continue;
					if (info.linfo_idx >= l_off + l_cnt) info.linfo_idx -= l_cnt;
					else info.linfo_idx = l_off;
				}
		}
		removed += cnt;
	}
	for (; next < lines.length; next++) {
		const l = lines[next]!;
		l.insn_off -= removed;
		kept.push(l);
	}
	aux.linfo = kept;

	const data: bpf_insn_aux_data[] = [];
	let from = 0;
	for (const [a, b] of ranges) {
		for (; from < a; from++) data.push(env.insn_aux_data[from]!);
		from = b;
	}
	for (; from < env.insn_aux_data.length; from++) data.push(env.insn_aux_data[from]!);
	env.insn_aux_data = data;
	return 0;
}

/** kernel/bpf/verifier.c: verifier_remove_insns */
export function verifier_remove_insns(env: bpf_verifier_env, off: number, cnt: number): number {
	return verifier_remove_ranges(env, [[off, off + cnt]]);
}
