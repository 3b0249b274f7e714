// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/core.c, what concerns programs as such: patching instructions, the tag, constant
 * blinding, the choice between JIT and interpreter, tail call compatibility. The interpreter itself is
 * in interp.ts.
 *
 * A program is patched in sweeps here: many replacements (or removals) at once, in one pass over the
 * instructions, with the result that the kernel reaches by patching one after the other.
 */
import { createHash } from "node:crypto";
import {
	BPF_CGROUP_STORAGE_PERCPU,
	BPF_CGROUP_STORAGE_SHARED,
	BPF_POKE_REASON_TAIL_CALL,
} from "../../include/linux/bpf.ts";
import { BPF_CALL_ARGS, BPF_PROBE_MEM32, BPF_REG_AX } from "../../include/linux/filter.ts";
import { EINVAL, ENOSPC, ENOTSUPP, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_ARSH,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_DW,
	BPF_END,
	BPF_EXIT,
	BPF_JCOND,
	BPF_JLE,
	BPF_JLT,
	BPF_JMP32,
	BPF_JNE,
	BPF_JSGE,
	BPF_JSGT,
	BPF_JSLE,
	BPF_JSLT,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MEMSX,
	BPF_MOV,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_TRACING,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_KFUNC_CALL,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_VALUE,
	BPF_TAG_SIZE,
	BPF_TO_BE,
	BPF_TO_LE,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_B,
	BPF_DIV,
	BPF_H,
	BPF_IMM,
	BPF_IND,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_JGT,
	BPF_JMP,
	BPF_JSET,
	BPF_K,
	BPF_LD,
	BPF_LDX,
	BPF_LSH,
	BPF_MEM,
	BPF_MOD,
	BPF_MUL,
	BPF_NEG,
	BPF_OR,
	BPF_RSH,
	BPF_ST,
	BPF_STX,
	BPF_SUB,
	BPF_W,
	BPF_X,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import { bpf_token_capable } from "../security.ts";
import { CAP_BPF } from "../task.ts";
import {
	type bpf_insn,
	type bpf_jit_poke_descriptor,
	type bpf_map,
	bpf_prog,
	encode_insns,
} from "./bpf_types.ts";
import { btf_name_by_offset, btf_put, btf_type_by_id } from "./btf.ts";
import type { btf_mod_pair } from "./btf_types.ts";
import {
	BPF_ALU32_IMM,
	BPF_ALU32_REG_OFF,
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_ALU64_REG_OFF,
	BPF_CALL_IMM,
	BPF_CLASS,
	BPF_JMP_REG,
	BPF_JMP32_REG,
	BPF_OP,
	BPF_RAW_INSN,
	BPF_SIZE,
	BPF_STX_MEM,
	BPF_ZEXT_REG,
	bpf_is_ldimm64,
	bpf_pseudo_func,
} from "./insn_macros.ts";
import { bpf_int_jit_compile, bpf_jit_free, ebpf_jit_enabled } from "./jit.ts";
import { bpf_jit_supports_far_kfunc_call } from "./jit_caps.ts";
import { resolve_prog_type } from "./predicates.ts";

const S16_MAX = 0x7fff;
const S16_MIN = -0x8000;
const S32_MAX = 0x7fffffff;
const S32_MIN = -0x80000000;
const MAX_POKE_TAB = 1024;

/** include/linux/filter.h: bpf_jit_blinding_enabled */
export function bpf_jit_blinding_enabled(prog: bpf_prog): boolean {
	const { kernel } = prog;
	if (!prog.jit_requested) return false;
	if (!kernel.config.bpf_jit_harden) return false;
	if (kernel.config.bpf_jit_harden === 1 && bpf_token_capable(kernel, CAP_BPF)) return false;
	return true;
}

/** kernel/bpf/core.c: bpf_prog_alloc (and bpf_prog_alloc_no_stats) */
export function bpf_prog_alloc(kernel: Kernel): bpf_prog {
	const fp = new bpf_prog(kernel);
	fp.jit_requested = ebpf_jit_enabled(kernel);
	fp.blinding_requested = bpf_jit_blinding_enabled(fp);
	return fp;
}

/** kernel/bpf/core.c: bpf_prog_alloc_jited_linfo */
export function bpf_prog_alloc_jited_linfo(prog: bpf_prog): number {
	if (!prog.aux.linfo.length || !prog.jit_requested) return 0;
	prog.aux.jited_linfo = new Array<bigint>(prog.aux.linfo.length).fill(0n);
	return 0;
}

/** kernel/bpf/core.c: bpf_prog_jit_attempt_done */
export function bpf_prog_jit_attempt_done(prog: bpf_prog): void {
	if (prog.aux.jited_linfo && (!prog.jited || !prog.aux.jited_linfo[0])) prog.aux.jited_linfo = null;
	prog.aux.kfunc_tab = null;
}

/** kernel/bpf/core.c: bpf_prog_fill_jited_linfo: `insn_to_jit_off[i]` is where the code of instruction i ends. */
export function bpf_prog_fill_jited_linfo(prog: bpf_prog, insn_to_jit_off: ArrayLike<number>): void {
	const { aux } = prog;
	if (!aux.jited_linfo || aux.func_idx > aux.func_cnt) return;
	const base = aux.linfo_idx;
	const insn_start = aux.linfo[base]!.insn_off;
	const insn_end = insn_start + prog.len;
	aux.jited_linfo[base] = prog.bpf_func;
	for (let i = base + 1; i < aux.linfo.length && aux.linfo[i]!.insn_off < insn_end; i++)
		aux.jited_linfo[i] = prog.bpf_func + BigInt(insn_to_jit_off[aux.linfo[i]!.insn_off - insn_start - 1]!);
}

/** kernel/bpf/core.c: bpf_prog_calc_tag: SHA-1 of the instructions, map descriptors taken out. */
export function bpf_prog_calc_tag(fp: bpf_prog): number {
	const bytes = encode_insns(fp.insnsi);
	let was_ld_map = false;
	for (let i = 0; i < fp.insnsi.length; i++) {
		const insn = fp.insnsi[i]!;
		if (
			!was_ld_map &&
			bpf_is_ldimm64(insn) &&
			(insn.src_reg === BPF_PSEUDO_MAP_FD || insn.src_reg === BPF_PSEUDO_MAP_VALUE)
		) {
			was_ld_map = true;
			bytes.fill(0, i * 8 + 4, i * 8 + 8);
		} else if (was_ld_map && insn.code === 0 && insn.dst_reg === 0 && insn.src_reg === 0 && insn.off === 0) {
			was_ld_map = false;
			bytes.fill(0, i * 8 + 4, i * 8 + 8);
		} else {
			was_ld_map = false;
		}
	}
	fp.tag = new Uint8Array(createHash("sha1").update(bytes).digest().subarray(0, BPF_TAG_SIZE));
	return 0;
}

/** One replacement: instruction `off` becomes `insns` (which the program takes over). */
export interface insn_patch {
	readonly off: number;
	readonly insns: bpf_insn[];
}

/** Replacements of one pass, in ascending order, before they are put in. */
export class InsnPatches {
	readonly list: insn_patch[] = [];
	/** Instructions added by the replacements up to the one of the same index. */
	private readonly added: number[] = [];
	/** Instructions that all replacements so far add. */
	delta = 0;

	push(off: number, insns: bpf_insn[]): void {
		this.list.push({ off, insns });
		this.delta += insns.length - 1;
		this.added.push(this.delta);
	}

	/**
	 * The distance that a jump of instruction `i` has once the replacements so far are in: further back
	 * when it goes backwards. A replacement that keeps such a jump has to start from this distance.
	 */
	dist(i: number, dist: number): number {
		if (dist >= 0) return dist;
		const to = i + 1 + dist;
		let l = 0;
		let r = this.list.length;
		while (l < r) {
			const m = (l + r) >> 1;
			if (this.list[m]!.off < to) l = m + 1;
			else r = m;
		}
		return dist - (this.delta - (l > 0 ? this.added[l - 1]! : 0));
	}
}

/** Where the instructions of a program went: start[i] is the new index of old instruction i; one more for the end. */
export interface insn_moves {
	readonly start: Int32Array;
	/** Index into the patches of the first one that cannot be done for the 16 bits of a jump; -1: all done. */
	readonly failed: number;
}

/** Which field of an instruction holds a distance to another one, if any. */
const NO_TARGET = 0;
const TARGET_OFF = 1;
const TARGET_IMM = 2;
function jump_kind(insn: bpf_insn): number {
	const code = insn.code;
	if (bpf_pseudo_func(insn)) return TARGET_IMM;
	const cls = BPF_CLASS(code);
	if ((cls !== BPF_JMP && cls !== BPF_JMP32) || BPF_OP(code) === BPF_EXIT) return NO_TARGET;
	if (BPF_OP(code) === BPF_CALL) return insn.src_reg === BPF_PSEUDO_CALL ? TARGET_IMM : NO_TARGET;
	return code === (BPF_JMP32 | BPF_JA) ? TARGET_IMM : TARGET_OFF;
}

/**
 * The first of `patches` at which the jump from old instruction `from` (distance `dist`, limits of the
 * field) leaves its range, when `at` patches have been done already.
 */
function first_overflow(
	patches: readonly insn_patch[],
	at: number,
	from: number,
	to: number,
	dist: number,
	min: number,
	max: number,
): number {
	for (let k = at; k < patches.length; k++) {
		const pos = patches[k]!.off;
		const delta = patches[k]!.insns.length - 1;
		if (from < pos && to > pos) dist += delta;
		else if (from > pos && to <= pos) dist -= delta;
		if (dist < min || dist > max) return k;
	}
	return -1;
}

/**
 * kernel/bpf/core.c: bpf_patch_insn_single, for many patches in ascending order. Jumps inside a patch
 * are meant as they stand when that patch is put in, after all patches before it and before all behind.
 * Without room in a jump's field for one of the patches nothing is done, and `failed` tells which.
 */
export function bpf_patch_insns(prog: bpf_prog, patches: readonly insn_patch[]): insn_moves {
	const old = prog.insnsi;
	const n = old.length;
	const start = new Int32Array(n + 1);
	let total = 0;
	for (let i = 0, k = 0; i <= n; i++) {
		start[i] = i + total;
		if (k < patches.length && patches[k]!.off === i) total += patches[k++]!.insns.length - 1;
	}
	const out = new Array<bpf_insn>(n + total);
	const new_dist = new Int32Array(n + total);
	const kinds = new Uint8Array(n + total);
	let failed = -1;
	let w = 0;
	let delta = 0;
	for (let i = 0, k = 0; i < n; i++) {
		const patch = k < patches.length && patches[k]!.off === i ? patches[k]! : null;
		const group = patch ? patch.insns : null;
		const len = group ? group.length : 1;
		if (group) k++;
		for (let j = 0; j < len; j++, w++) {
			const insn = group ? group[j]! : old[i]!;
			out[w] = insn;
			const kind = jump_kind(insn);
			if (kind === NO_TARGET) continue;
			const dist = kind === TARGET_IMM ? insn.imm : insn.off;
			let to: number;
			let from = i;
			let moved: number;
			if (!group) {
				to = i + 1 + dist;
				moved = (to < 0 ? to : to > n ? to + total : start[to]!) - w - 1;
			} else {
				// coordinates of the moment: start[i] + j; what lies behind the patch has not moved yet
				const t = i + delta + j + 1 + dist;
				if (t < i + delta + len) {
					continue;
				}
				to = t - delta - len + 1;
				from = i;
				moved = (to > n ? to + total : start[to]!) - w - 1;
			}
			if (moved === dist) continue;
			const min = kind === TARGET_IMM ? S32_MIN : S16_MIN;
			const max = kind === TARGET_IMM ? S32_MAX : S16_MAX;
			if (moved < min || moved > max) {
				const f = first_overflow(patches, group ? k : 0, from, to, dist, min, max);
				if (f >= 0 && (failed < 0 || f < failed)) failed = f;
			}
			new_dist[w] = moved;
			kinds[w] = kind;
		}
		delta += len - 1;
	}
	if (failed >= 0) return { start, failed };
	for (let i = 0; i < out.length; i++) {
		if (kinds[i] === TARGET_OFF) out[i]!.off = new_dist[i]!;
		else if (kinds[i] === TARGET_IMM) out[i]!.imm = new_dist[i]!;
	}
	prog.insnsi = out;
	// bpf_adj_linfo()
	if (total)
		for (const l of prog.aux.linfo) l.insn_off = l.insn_off <= n ? start[l.insn_off]! : l.insn_off + total;
	return { start, failed };
}

/** kernel/bpf/core.c: bpf_patch_insn_single */
export function bpf_patch_insn_single(
	prog: bpf_prog,
	off: number,
	patch: readonly bpf_insn[],
): bpf_prog | number {
	const insns = patch.map((p) => p.clone());
	if (insns.length === 1) {
		prog.insnsi[off] = insns[0]!;
		return prog;
	}
	const { failed } = bpf_patch_insns(prog, [{ off, insns }]);
	return failed >= 0 ? -ERANGE : prog;
}

/**
 * kernel/bpf/core.c: bpf_remove_insns, for many ranges [off, end) in ascending order that do not
 * overlap. A jump into a removed range keeps its target's index, as the kernel's arithmetic has it.
 */
export function bpf_remove_insn_ranges(prog: bpf_prog, ranges: readonly (readonly [number, number])[]): void {
	const old = prog.insnsi;
	const n = old.length;
	/** old index → new index for instructions that stay; for removed ones, that of the jump target they are. */
	const start = new Int32Array(n + 1);
	const gone = new Uint8Array(n + 1);
	let removed = 0;
	for (let i = 0, k = 0; i <= n; ) {
		if (k < ranges.length && ranges[k]![0] === i) {
			const end = ranges[k++]![1];
			gone.fill(1, i, end);
			removed += end - i;
			i = end;
			continue;
		}
		start[i] = i - removed;
		i++;
	}
	const target = (t: number): number => {
		if (t < 0) return t;
		for (const [a, b] of ranges) if (t >= a && t < b) t += b - a;
		return t > n ? t - removed : start[t]!;
	};
	const out = new Array<bpf_insn>(n - removed);
	for (let i = 0, w = 0; i < n; i++) {
		if (gone[i]) continue;
		const insn = old[i]!;
		out[w] = insn;
		const kind = jump_kind(insn);
		if (kind !== NO_TARGET) {
			const t = i + 1 + (kind === TARGET_IMM ? insn.imm : insn.off);
			const moved = (t >= 0 && t <= n && !gone[t] ? start[t]! : target(t)) - w - 1;
			if (kind === TARGET_IMM) insn.imm = moved;
			else insn.off = moved;
		}
		w++;
	}
	prog.insnsi = out;
}

/** kernel/bpf/core.c: bpf_prog_ksym_set_name */
function bpf_prog_ksym_set_name(prog: bpf_prog): string {
	const { aux } = prog;
	let sym = `bpf_prog_${Buffer.from(prog.tag).toString("hex")}`;
	if (aux.func_info.length && aux.func_idx < aux.func_info.length) {
		const type = btf_type_by_id(aux.btf!, aux.func_info[aux.func_idx]!.type_id)!;
		sym += `_${btf_name_by_offset(aux.btf!, type.name_off)}`;
	} else if (aux.name) {
		sym += `_${aux.name}`;
	}
	return sym.slice(0, 511);
}

/** kernel/bpf/core.c: bpf_prog_kallsyms_add */
export function bpf_prog_kallsyms_add(fp: bpf_prog): void {
	if (!fp.jited || !bpf_token_capable(fp.kernel, CAP_BPF)) return;
	fp.aux.ksym = {
		name: bpf_prog_ksym_set_name(fp),
		start: fp.bpf_func,
		end: fp.bpf_func + BigInt(fp.jited_len),
	};
	fp.kernel.bpf.ksyms?.add(fp);
}

/** kernel/bpf/core.c: bpf_prog_kallsyms_del_all */
export function bpf_prog_kallsyms_del_all(fp: bpf_prog): void {
	for (const f of fp.aux.func ?? []) fp.kernel.bpf.ksyms?.delete(f);
	fp.kernel.bpf.ksyms?.delete(fp);
}

/** kernel/bpf/core.c: bpf_jit_add_poke_descriptor: its slot or a negative errno */
export function bpf_jit_add_poke_descriptor(prog: bpf_prog, poke: bpf_jit_poke_descriptor): number {
	const slot = prog.aux.poke_tab.length;
	if (slot + 1 > MAX_POKE_TAB) return -ENOSPC;
	if (poke.tailcall_target || poke.tailcall_target_stable) return -EINVAL;
	if (poke.tailcall_bypass || poke.adj_off || poke.bypass_addr) return -EINVAL;
	if (poke.reason !== BPF_POKE_REASON_TAIL_CALL || !poke.tail_call.map) return -EINVAL;
	prog.aux.poke_tab.push(poke);
	return slot;
}

/**
 * kernel/bpf/core.c: bpf_jit_get_func_addr: the address that a call instruction goes to (0n: not known
 * before the extra pass) and whether it is final; a negative errno when there is none.
 */
export function bpf_jit_get_func_addr(
	prog: bpf_prog,
	insn: bpf_insn,
	extra_pass: boolean,
): { addr: bigint; fixed: boolean } | number {
	const fixed = insn.src_reg !== BPF_PSEUDO_CALL;
	if (!fixed) {
		if (!extra_pass) return { addr: 0n, fixed };
		const func = prog.aux.func;
		if (!func || insn.off < 0 || insn.off >= prog.aux.real_func_cnt) return -EINVAL;
		return { addr: func[insn.off]!.bpf_func, fixed };
	}
	if (insn.src_reg === BPF_PSEUDO_KFUNC_CALL && bpf_jit_supports_far_kfunc_call(prog.kernel)) {
		const desc = prog.aux.kfunc_tab?.find((d) => d.func_id === insn.imm && d.offset === (insn.off & 0xffff));
		return desc ? { addr: desc.addr, fixed } : -EINVAL;
	}
	const base = prog.kernel.symbols.addr("__bpf_call_base") ?? 0n;
	return { addr: BigInt.asUintN(64, base + BigInt(insn.imm)), fixed };
}

const BLIND_ALU = new Set(
	[BPF_ADD, BPF_SUB, BPF_AND, BPF_OR, BPF_XOR, BPF_MUL, BPF_MOV, BPF_DIV, BPF_MOD].map((op) => op | BPF_K),
);
const JCC_OPS = [
	BPF_JEQ,
	BPF_JNE,
	BPF_JGT,
	BPF_JLT,
	BPF_JGE,
	BPF_JLE,
	BPF_JSGT,
	BPF_JSLT,
	BPF_JSGE,
	BPF_JSLE,
	BPF_JSET,
];
const BLIND_JMP = new Set(JCC_OPS.map((op) => op | BPF_K));

/**
 * kernel/bpf/core.c: bpf_jit_blind_insn: the instructions that replace one with an immediate; none when
 * it stays. `aux` are both halves of the last 64-bit load seen.
 */
export function bpf_jit_blind_insn(
	kernel: Kernel,
	from: bpf_insn,
	aux: readonly bpf_insn[],
	emit_zext: boolean,
): bpf_insn[] {
	const imm_rnd = kernel.get_random_u32();
	if (from.dst_reg === BPF_REG_AX || from.src_reg === BPF_REG_AX) return [];
	const cls = BPF_CLASS(from.code);
	const op = from.code & ~7;
	if (from.imm === 0 && (cls === BPF_ALU || cls === BPF_ALU64) && op === (BPF_MOV | BPF_K))
		return [BPF_ALU64_REG(BPF_XOR, from.dst_reg, from.dst_reg)];

	const alu64 = (imm: number): bpf_insn[] => [
		BPF_ALU64_IMM(BPF_MOV, BPF_REG_AX, imm_rnd ^ imm),
		BPF_ALU64_IMM(BPF_XOR, BPF_REG_AX, imm_rnd),
	];
	const alu32 = (imm: number): bpf_insn[] => [
		BPF_ALU32_IMM(BPF_MOV, BPF_REG_AX, imm_rnd ^ imm),
		BPF_ALU32_IMM(BPF_XOR, BPF_REG_AX, imm_rnd),
	];
	// a jump backwards has the two new instructions in its way
	const off = from.off < 0 ? from.off - 2 : from.off;
	if (cls === BPF_ALU && BLIND_ALU.has(op))
		return [...alu32(from.imm), BPF_ALU32_REG_OFF(from.code, from.dst_reg, BPF_REG_AX, from.off)];
	if (cls === BPF_ALU64 && BLIND_ALU.has(op))
		return [...alu64(from.imm), BPF_ALU64_REG_OFF(from.code, from.dst_reg, BPF_REG_AX, from.off)];
	if (cls === BPF_JMP && BLIND_JMP.has(op))
		return [...alu64(from.imm), BPF_JMP_REG(from.code, from.dst_reg, BPF_REG_AX, off)];
	if (cls === BPF_JMP32 && BLIND_JMP.has(op))
		return [...alu32(from.imm), BPF_JMP32_REG(from.code, from.dst_reg, BPF_REG_AX, off)];
	if (bpf_is_ldimm64(from))
		return [
			...alu64(aux[1]!.imm),
			BPF_ALU64_IMM(BPF_LSH, BPF_REG_AX, 32),
			BPF_ALU64_REG(BPF_MOV, aux[0]!.dst_reg, BPF_REG_AX),
		];
	if (from.code === 0) {
		const to = alu32(aux[0]!.imm);
		if (emit_zext) to.push(BPF_ZEXT_REG(BPF_REG_AX));
		to.push(BPF_ALU64_REG(BPF_OR, aux[0]!.dst_reg, BPF_REG_AX));
		return to;
	}
	if (cls === BPF_ST && (from.code & 0xe0) === BPF_MEM)
		return [...alu64(from.imm), BPF_STX_MEM(from.code, from.dst_reg, BPF_REG_AX, from.off)];
	if (cls === BPF_ST && (from.code & 0xe0) === BPF_PROBE_MEM32)
		return [
			...alu64(from.imm),
			BPF_RAW_INSN(BPF_STX | BPF_PROBE_MEM32 | BPF_SIZE(from.code), from.dst_reg, BPF_REG_AX, from.off, 0),
		];
	return [];
}

/** kernel/bpf/core.c: bpf_prog_clone_create: a copy that shares aux with the original */
export function bpf_prog_clone_create(fp_other: bpf_prog): bpf_prog {
	const fp = Object.assign(new bpf_prog(fp_other.kernel), fp_other);
	fp.insnsi = fp_other.insnsi.map((i) => i.clone());
	return fp;
}

/** kernel/bpf/core.c: bpf_jit_prog_release_other */
export function bpf_jit_prog_release_other(fp: bpf_prog, _fp_other: bpf_prog): void {
	fp.aux.prog = fp;
}

/** kernel/bpf/core.c: bpf_jit_blind_constants: the program itself, a blinded clone, or a negative errno */
export function bpf_jit_blind_constants(prog: bpf_prog): bpf_prog | number {
	if (!prog.blinding_requested || prog.blinded) return prog;
	const clone = bpf_prog_clone_create(prog);
	const insns = clone.insnsi;
	const patches = new InsnPatches();
	let aux: bpf_insn[] = [];
	for (let i = 0; i < insns.length; i++) {
		let insn = insns[i]!;
		if (bpf_pseudo_func(insn)) {
			i++;
			continue;
		}
		if (insn.off < 0 && jump_kind(insn) === TARGET_OFF) {
			insn = insn.clone();
			insn.off = patches.dist(i, insn.off);
		}
		if (bpf_is_ldimm64(insn) && insns[i + 1]?.code === 0) aux = [insn.clone(), insns[i + 1]!.clone()];
		const rewritten = bpf_jit_blind_insn(prog.kernel, insn, aux, clone.aux.verifier_zext);
		if (rewritten.length) patches.push(i, rewritten);
	}
	if (bpf_patch_insns(clone, patches.list).failed >= 0) {
		bpf_jit_prog_release_other(prog, clone);
		return -ERANGE;
	}
	clone.blinded = true;
	return clone;
}

function opcode_table(): Uint8Array {
	const t = new Uint8Array(256);
	const alu = [
		BPF_ADD,
		BPF_SUB,
		BPF_AND,
		BPF_OR,
		BPF_LSH,
		BPF_RSH,
		BPF_XOR,
		BPF_MUL,
		BPF_MOV,
		BPF_ARSH,
		BPF_DIV,
		BPF_MOD,
	];
	for (const cls of [BPF_ALU, BPF_ALU64]) {
		for (const op of alu) t[cls | op | BPF_X] = t[cls | op | BPF_K] = 1;
		t[cls | BPF_NEG] = 1;
		t[cls | BPF_END | BPF_TO_LE] = 1;
	}
	t[BPF_ALU | BPF_END | BPF_TO_BE] = 1;
	t[BPF_JMP | BPF_CALL] = t[BPF_JMP | BPF_EXIT] = 1;
	for (const cls of [BPF_JMP, BPF_JMP32]) {
		for (const op of JCC_OPS) t[cls | op | BPF_X] = t[cls | op | BPF_K] = 1;
		t[cls | BPF_JA] = 1;
	}
	for (const size of [BPF_B, BPF_H, BPF_W, BPF_DW]) {
		t[BPF_STX | BPF_MEM | size] = t[BPF_ST | BPF_MEM | size] = t[BPF_LDX | BPF_MEM | size] = 1;
		if (size !== BPF_DW) {
			t[BPF_LDX | BPF_MEMSX | size] = 1;
			t[BPF_LD | BPF_ABS | size] = t[BPF_LD | BPF_IND | size] = 1;
		}
	}
	t[BPF_STX | BPF_ATOMIC | BPF_W] = t[BPF_STX | BPF_ATOMIC | BPF_DW] = 1;
	t[BPF_LD | BPF_IMM | BPF_DW] = 1;
	t[BPF_JMP | BPF_JCOND] = 1;
	return t;
}
const public_insntable = opcode_table();

/** kernel/bpf/core.c: bpf_opcode_in_insntable */
export function bpf_opcode_in_insntable(code: number): boolean {
	return public_insntable[code & 0xff] !== 0;
}

/** kernel/bpf/core.c: bpf_patch_call_args: a call of a subprogram as the interpreter does it */
export function bpf_patch_call_args(kernel: Kernel, insn: bpf_insn, stack_depth: number): void {
	const depth = Math.ceil(Math.max(stack_depth, 1) / 32) * 32;
	insn.off = (insn.imm << 16) >> 16;
	const func = kernel.symbols.addr(`__bpf_prog_run_args${depth}`);
	// relative to __bpf_call_base_args, which is __bpf_call_base; without such symbols: the stack's size
	insn.imm = func === undefined ? depth : BPF_CALL_IMM(kernel, func);
	insn.code = BPF_JMP | BPF_CALL_ARGS;
}

/** include/linux/bpf.h: map_type_contains_progs */
function map_type_contains_progs(map: bpf_map): boolean {
	return (
		map.map_type === BPF_MAP_TYPE_PROG_ARRAY ||
		map.map_type === BPF_MAP_TYPE_DEVMAP ||
		map.map_type === BPF_MAP_TYPE_DEVMAP_HASH ||
		map.map_type === BPF_MAP_TYPE_CPUMAP
	);
}

/** kernel/bpf/core.c: bpf_prog_map_compatible (programs bound to a device are not ported) */
export function bpf_prog_map_compatible(map: bpf_map, fp: bpf_prog): boolean {
	if (fp.aux.dev_bound) return false;
	return __bpf_prog_map_compatible(map, fp);
}

/** kernel/bpf/core.c: __bpf_prog_map_compatible: the first program to come sets what the map takes. */
export function __bpf_prog_map_compatible(map: bpf_map, fp: bpf_prog): boolean {
	const prog_type = resolve_prog_type(fp);
	const { aux } = fp;
	const storages = [BPF_CGROUP_STORAGE_SHARED, BPF_CGROUP_STORAGE_PERCPU];
	if (fp.kprobe_override) return false;
	if (!map.owner) {
		map.owner = {
			type: prog_type,
			jited: fp.jited,
			xdp_has_frags: aux.xdp_has_frags,
			expected_attach_type: fp.expected_attach_type,
			attach_func_proto: aux.attach_func_proto,
			storage_cookie: storages.map((i) => aux.cgroup_storage[i]?.cookie ?? 0n),
		};
		return true;
	}
	const owner = map.owner;
	if (owner.type !== prog_type || owner.jited !== fp.jited || owner.xdp_has_frags !== aux.xdp_has_frags)
		return false;
	if (map.map_type === BPF_MAP_TYPE_PROG_ARRAY && owner.expected_attach_type !== fp.expected_attach_type)
		return false;
	for (const i of storages) {
		const cookie = aux.cgroup_storage[i]?.cookie ?? 0n;
		if (owner.storage_cookie[i] !== cookie && cookie) return false;
	}
	if (owner.attach_func_proto !== aux.attach_func_proto) {
		switch (prog_type) {
			case BPF_PROG_TYPE_TRACING:
			case BPF_PROG_TYPE_LSM:
			case BPF_PROG_TYPE_EXT:
			case BPF_PROG_TYPE_STRUCT_OPS:
				return false;
		}
	}
	return true;
}

/** kernel/bpf/core.c: bpf_check_tail_call */
function bpf_check_tail_call(fp: bpf_prog): number {
	for (const map of fp.aux.used_maps) {
		if (!map_type_contains_progs(map)) continue;
		if (!__bpf_prog_map_compatible(map, fp)) return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/core.c: bpf_prog_select_interpreter: false when only a JIT can run the program */
function bpf_prog_select_interpreter(fp: bpf_prog): boolean {
	if (fp.kernel.config.bpf_jit_always_on) return false;
	return Math.ceil(Math.max(fp.aux.stack_depth, 1) / 32) - 1 < 16;
}

/** kernel/bpf/verifier.c: bpf_prog_has_kfunc_call */
export function bpf_prog_has_kfunc_call(prog: bpf_prog): boolean {
	return prog.aux.kfunc_tab !== null;
}

/**
 * kernel/bpf/core.c: bpf_prog_select_runtime: JIT the program, or leave it to the interpreter (then
 * bpf_func stays 0). Programs that the verifier JITed with their subprograms are done already.
 */
export function bpf_prog_select_runtime(fp: bpf_prog, err: Ref<number>): bpf_prog {
	if (!fp.bpf_func) {
		let jit_needed = fp.kernel.config.bpf_jit_always_on || bpf_prog_has_kfunc_call(fp);
		if (!bpf_prog_select_interpreter(fp)) jit_needed = true;
		err.val = bpf_prog_alloc_jited_linfo(fp);
		if (err.val) return fp;
		fp = bpf_int_jit_compile(fp);
		bpf_prog_jit_attempt_done(fp);
		if (!fp.jited && jit_needed) {
			err.val = -ENOTSUPP;
			return fp;
		}
	}
	err.val = bpf_check_tail_call(fp);
	return fp;
}

/** kernel/bpf/core.c: __bpf_free_used_btfs */
export function __bpf_free_used_btfs(used_btfs: readonly btf_mod_pair[]): void {
	for (const mod of used_btfs) btf_put(mod.btf);
}

/** kernel/bpf/core.c: bpf_prog_free_deferred, what is left of it once nothing points at the program */
export function bpf_prog_free_jit(fp: bpf_prog): void {
	if (fp.aux.real_func_cnt) {
		for (const f of fp.aux.func ?? []) {
			f.aux.poke_tab = [];
			bpf_jit_free(f);
		}
	} else {
		bpf_jit_free(fp);
	}
}
