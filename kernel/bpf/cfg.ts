// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: the control flow graph: check_cfg() walks it once, finds unreachable code and
 * (for the unprivileged) loops, marks where states are compared, and mark_fastcall_patterns() finds the
 * spills around calls that may be removed.
 */
import { abi_of } from "../../arch/abis.ts";
import { ARG_DONTCARE, RET_VOID } from "../../include/linux/bpf.ts";
import { BPF_REG_SIZE } from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CALL,
	BPF_DW,
	BPF_EXIT,
	BPF_FUNC_get_smp_processor_id,
	BPF_JMP32,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_KFUNC_CALL,
	BPF_REG_10,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_JA, BPF_JMP, BPF_K, BPF_LDX, BPF_MEM, BPF_STX } from "../../include/uapi/linux/bpf_common.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import { bpf_helper_changes_pkt_data } from "../../net/core/filter.ts";
import { mark_jmp_point } from "./backtrack.ts";
import type { bpf_func_proto, bpf_insn } from "./bpf_types.ts";
import { btf_type_by_id, btf_type_is_void, btf_type_vlen } from "./btf.ts";
import { get_helper_proto } from "./helper_call.ts";
import { BPF_CLASS, BPF_OP, BPF_SRC, bpf_is_ldimm64, bpf_pseudo_func } from "./insn_macros.ts";
import { is_iter_next_kfunc } from "./iterators.ts";
import { bpf_jit_inlines_helper_call, bpf_jit_supports_percpu_insn } from "./jit_caps.ts";
import { fetch_kfunc_meta } from "./kfunc.ts";
import { verbose, verbose_linfo } from "./log.ts";
import {
	bpf_helper_call,
	bpf_pseudo_kfunc_call,
	btf_vmlinux,
	is_async_callback_calling_insn,
	is_may_goto_insn,
	is_sync_callback_calling_insn,
	special_kfunc_list,
} from "./predicates.ts";
import { find_containing_subprog } from "./subprogs.ts";
import type { bpf_kfunc_call_arg_meta, bpf_subprog_info, bpf_verifier_env } from "./verifier_types.ts";

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

const DONE_EXPLORING = 0;
const KEEP_EXPLORING = 1;

/** kernel/bpf/verifier.c: mark_subprog_changes_pkt_data */
export function mark_subprog_changes_pkt_data(env: bpf_verifier_env, off: number): void {
	find_containing_subprog(env, off)!.changes_pkt_data = true;
}

/** kernel/bpf/verifier.c: merge_callee_effects: `t` calls what starts at `w`, which is explored by the time that counts. */
export function merge_callee_effects(env: bpf_verifier_env, t: number, w: number): void {
	const caller = find_containing_subprog(env, t)!;
	const callee = find_containing_subprog(env, w)!;
	caller.changes_pkt_data ||= callee.changes_pkt_data;
}

/** kernel/bpf/verifier.c: mark_prune_point; past the end the kernel writes to memory that nobody reads. */
export function mark_prune_point(env: bpf_verifier_env, idx: number): void {
	const aux = env.insn_aux_data[idx];
	if (aux) aux.prune_point = true;
}

/** kernel/bpf/verifier.c: is_prune_point */
export function is_prune_point(env: bpf_verifier_env, insn_idx: number): boolean {
	return env.insn_aux_data[insn_idx]!.prune_point;
}

/** kernel/bpf/verifier.c: mark_force_checkpoint */
export function mark_force_checkpoint(env: bpf_verifier_env, idx: number): void {
	env.insn_aux_data[idx]!.force_checkpoint = true;
}

/** kernel/bpf/verifier.c: is_force_checkpoint */
export function is_force_checkpoint(env: bpf_verifier_env, insn_idx: number): boolean {
	return env.insn_aux_data[insn_idx]!.force_checkpoint;
}

/** kernel/bpf/verifier.c: mark_calls_callback */
export function mark_calls_callback(env: bpf_verifier_env, idx: number): void {
	env.insn_aux_data[idx]!.calls_callback = true;
}

/** kernel/bpf/verifier.c: calls_callback */
export function calls_callback(env: bpf_verifier_env, insn_idx: number): boolean {
	return env.insn_aux_data[insn_idx]!.calls_callback;
}

/** kernel/bpf/verifier.c: push_insn: follow edge `e` from `t` to `w`. */
function push_insn(t: number, w: number, e: number, env: bpf_verifier_env): number {
	const { insn_stack, insn_state } = env.cfg;

	if (e === FALLTHROUGH && insn_state[t]! >= (DISCOVERED | FALLTHROUGH)) return DONE_EXPLORING;
	if (e === BRANCH && insn_state[t]! >= (DISCOVERED | BRANCH)) return DONE_EXPLORING;

	if (w < 0 || w >= env.prog.len) {
		verbose_linfo(env, t, `${t}: `);
		verbose(env, `jump out of range from insn ${t} to ${w}\n`);
		return -EINVAL;
	}

	if (e === BRANCH) {
		mark_prune_point(env, w);
		mark_jmp_point(env, w);
	}

	if (insn_state[w] === 0) {
		// tree edge
		insn_state[t] = DISCOVERED | e;
		insn_state[w] = DISCOVERED;
		if (env.cfg.cur_stack >= env.prog.len) return -E2BIG;
		insn_stack[env.cfg.cur_stack++] = w;
		return KEEP_EXPLORING;
	} else if ((insn_state[w]! & 0xf0) === DISCOVERED) {
		if (env.bpf_capable) return DONE_EXPLORING;
		verbose_linfo(env, t, `${t}: `);
		verbose_linfo(env, w, `${w}: `);
		verbose(env, `back-edge from insn ${t} to ${w}\n`);
		return -EINVAL;
	} else if (insn_state[w] === EXPLORED) {
		// forward or cross edge
		insn_state[t] = DISCOVERED | e;
	} else {
		verbose(env, "insn state internal bug\n");
		return -EFAULT;
	}
	return DONE_EXPLORING;
}

/** kernel/bpf/verifier.c: visit_func_call_insn */
function visit_func_call_insn(
	t: number,
	insns: readonly bpf_insn[],
	env: bpf_verifier_env,
	visit_callee: boolean,
): number {
	const insn_sz = bpf_is_ldimm64(insns[t]!) ? 2 : 1;
	let ret = push_insn(t, t + insn_sz, FALLTHROUGH, env);
	if (ret) return ret;

	mark_prune_point(env, t + insn_sz);
	mark_jmp_point(env, t + insn_sz);

	if (visit_callee) {
		const w = t + insns[t]!.imm + 1;
		mark_prune_point(env, t);
		merge_callee_effects(env, t, w);
		ret = push_insn(t, w, BRANCH, env);
	}
	return ret;
}

const CALLER_SAVED_REGS = 6;
const ALL_CALLER_SAVED_REGS = (1 << CALLER_SAVED_REGS) - 1;

/** kernel/bpf/verifier.c: helper_fastcall_clobber_mask */
function helper_fastcall_clobber_mask(fn: bpf_func_proto): number {
	let mask = 0;
	if (fn.ret_type !== RET_VOID) mask |= 1;
	for (let i = 0; i < fn.arg_type.length; i++) if (fn.arg_type[i] !== ARG_DONTCARE) mask |= 1 << (1 + i);
	return mask;
}

/** kernel/bpf/verifier.c: verifier_inlines_helper_call */
export function verifier_inlines_helper_call(env: bpf_verifier_env, imm: number): boolean {
	return (
		abi_of(env.kernel.config.arch).verifier_inlines_cpu_id &&
		imm === BPF_FUNC_get_smp_processor_id &&
		env.prog.jit_requested &&
		bpf_jit_supports_percpu_insn(env.kernel)
	);
}

/** kernel/bpf/verifier.c: kfunc_fastcall_clobber_mask */
function kfunc_fastcall_clobber_mask(meta: bpf_kfunc_call_arg_meta): number {
	const vlen = btf_type_vlen(meta.func_proto);
	let mask = 0;
	if (!btf_type_is_void(btf_type_by_id(meta.btf, meta.func_proto.type)!)) mask |= 1;
	for (let i = 0; i < vlen; i++) mask |= 1 << (1 + i);
	return mask;
}

/** kernel/bpf/verifier.c: is_fastcall_kfunc_call */
function is_fastcall_kfunc_call(env: bpf_verifier_env, meta: bpf_kfunc_call_arg_meta): boolean {
	if (meta.btf !== btf_vmlinux(env)) return false;
	const special = special_kfunc_list(env);
	return meta.func_id === special.bpf_cast_to_kern_ctx || meta.func_id === special.bpf_rdonly_cast;
}

/**
 * kernel/bpf/verifier.c: mark_fastcall_pattern_for_call: a call that clobbers only some registers may
 * stand between spills and fills of the others (compilers write them for kernels that do not know);
 * mark those pairs, so that they can go if their stack slots are used for nothing else.
 */
function mark_fastcall_pattern_for_call(
	env: bpf_verifier_env,
	subprog: bpf_subprog_info,
	insn_idx: number,
	lowest_off: number,
): void {
	const insns = env.prog.insnsi;
	const call = insns[insn_idx]!;
	let clobbered_regs_mask = ALL_CALLER_SAVED_REGS;
	let can_be_inlined = false;

	if (bpf_helper_call(call)) {
		const ref: Ref<bpf_func_proto | null> = { val: null };
		if (get_helper_proto(env, call.imm, ref) < 0) return;
		const fn = ref.val!;
		clobbered_regs_mask = helper_fastcall_clobber_mask(fn);
		can_be_inlined =
			(fn.allow_fastcall ?? false) &&
			(verifier_inlines_helper_call(env, call.imm) || bpf_jit_inlines_helper_call(env.kernel, call.imm));
	}

	if (bpf_pseudo_kfunc_call(call)) {
		const meta = fetch_kfunc_meta(env, call, null);
		if (IS_ERR(meta)) return;
		clobbered_regs_mask = kfunc_fastcall_clobber_mask(meta);
		can_be_inlined = is_fastcall_kfunc_call(env, meta);
	}

	if (clobbered_regs_mask === ALL_CALLER_SAVED_REGS) return;

	let expected_regs_mask = ~clobbered_regs_mask & ALL_CALLER_SAVED_REGS;
	let off = lowest_off;
	let i: number;
	for (i = 1; i <= CALLER_SAVED_REGS; ++i, off += BPF_REG_SIZE) {
		if (insn_idx - i < 0 || insn_idx + i >= env.prog.len) break;
		const stx = insns[insn_idx - i]!;
		const ldx = insns[insn_idx + i]!;
		if (
			stx.code !== (BPF_STX | BPF_MEM | BPF_DW) ||
			ldx.code !== (BPF_LDX | BPF_MEM | BPF_DW) ||
			stx.dst_reg !== BPF_REG_10 ||
			ldx.src_reg !== BPF_REG_10
		)
			break;
		if (stx.src_reg !== ldx.dst_reg) break;
		if (((1 << stx.src_reg) & expected_regs_mask) === 0) break;
		if (stx.off !== off || ldx.off !== off) break;
		expected_regs_mask &= ~(1 << stx.src_reg);
		env.insn_aux_data[insn_idx - i]!.fastcall_pattern = 1;
		env.insn_aux_data[insn_idx + i]!.fastcall_pattern = 1;
	}
	if (i === 1) return;

	// a call that this kernel does not inline still counts as a pattern, but keeps its spills
	if (can_be_inlined) env.insn_aux_data[insn_idx]!.fastcall_spills_num = i - 1;
	else subprog.keep_fastcall_stack = true;
	subprog.fastcall_stack_off = Math.min(subprog.fastcall_stack_off, off);
}

/** kernel/bpf/verifier.c: mark_fastcall_patterns */
export function mark_fastcall_patterns(env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	for (let s = 0; s < env.subprog_cnt; s++) {
		const subprog = env.subprog_info[s]!;
		const end = env.subprog_info[s + 1]!.start;
		let lowest_off = 0;
		for (let i = subprog.start; i < end; i++) {
			const insn = insns[i]!;
			if (insn.code !== (BPF_STX | BPF_MEM | BPF_DW) || insn.dst_reg !== BPF_REG_10) continue;
			lowest_off = Math.min(lowest_off, insn.off);
		}
		for (let i = subprog.start; i < end; i++) {
			if (insns[i]!.code !== (BPF_JMP | BPF_CALL)) continue;
			mark_fastcall_pattern_for_call(env, subprog, i, lowest_off);
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: visit_insn: an errno, DONE_EXPLORING or KEEP_EXPLORING */
function visit_insn(t: number, env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	const insn = insns[t]!;
	let ret: number;

	if (bpf_pseudo_func(insn)) return visit_func_call_insn(t, insns, env, true);

	const cls = BPF_CLASS(insn.code);
	if (cls !== BPF_JMP && cls !== BPF_JMP32)
		return push_insn(t, t + (bpf_is_ldimm64(insn) ? 2 : 1), FALLTHROUGH, env);

	switch (BPF_OP(insn.code)) {
		case BPF_EXIT:
			return DONE_EXPLORING;

		case BPF_CALL:
			// states are compared before the callback's own state is pushed
			if (is_async_callback_calling_insn(env, insn)) mark_prune_point(env, t);
			// callbacks are visited until nothing new shows: that needs a checkpoint at the call
			if (is_sync_callback_calling_insn(env, insn)) {
				mark_calls_callback(env, t);
				mark_force_checkpoint(env, t);
				mark_prune_point(env, t);
				mark_jmp_point(env, t);
			}
			if (bpf_helper_call(insn) && bpf_helper_changes_pkt_data(insn.imm))
				mark_subprog_changes_pkt_data(env, t);
			if (insn.src_reg === BPF_PSEUDO_KFUNC_CALL) {
				const meta = fetch_kfunc_meta(env, insn, null);
				if (!IS_ERR(meta) && is_iter_next_kfunc(meta)) {
					mark_prune_point(env, t);
					// loops over iterators converge only with a checkpoint at each next()
					mark_force_checkpoint(env, t);
				}
			}
			return visit_func_call_insn(t, insns, env, insn.src_reg === BPF_PSEUDO_CALL);

		case BPF_JA: {
			if (BPF_SRC(insn.code) !== BPF_K) return -EINVAL;
			const off = cls === BPF_JMP ? insn.off : insn.imm;
			ret = push_insn(t, t + off + 1, FALLTHROUGH, env);
			if (ret) return ret;
			mark_prune_point(env, t + off + 1);
			mark_jmp_point(env, t + off + 1);
			return ret;
		}

		default:
			mark_prune_point(env, t);
			if (is_may_goto_insn(insn)) mark_force_checkpoint(env, t);
			ret = push_insn(t, t + 1, FALLTHROUGH, env);
			if (ret) return ret;
			return push_insn(t, t + insn.off + 1, BRANCH, env);
	}
}

/** kernel/bpf/verifier.c: check_cfg: depth-first search without recursion */
export function check_cfg(env: bpf_verifier_env): number {
	const insn_cnt = env.prog.len;
	const insn_state = new Int32Array(insn_cnt);
	const insn_stack = new Int32Array(insn_cnt);
	env.cfg.insn_state = insn_state;
	env.cfg.insn_stack = insn_stack;
	const ret = walk_cfg(env, insn_state, insn_stack, insn_cnt);
	env.cfg.insn_state = env.cfg.insn_stack = new Int32Array(0);
	return ret;
}

function walk_cfg(
	env: bpf_verifier_env,
	insn_state: Int32Array,
	insn_stack: Int32Array,
	insn_cnt: number,
): number {
	let ex_done = false;

	insn_state[0] = DISCOVERED;
	insn_stack[0] = 0;
	env.cfg.cur_stack = 1;

	for (;;) {
		while (env.cfg.cur_stack > 0) {
			const t = insn_stack[env.cfg.cur_stack - 1]!;
			const ret = visit_insn(t, env);
			if (ret === DONE_EXPLORING) {
				insn_state[t] = EXPLORED;
				env.cfg.cur_stack--;
			} else if (ret !== KEEP_EXPLORING) {
				if (ret > 0) {
					verbose(env, "visit_insn internal bug\n");
					return -EFAULT;
				}
				return ret;
			}
		}

		if (env.cfg.cur_stack < 0) {
			verbose(env, "pop stack internal bug\n");
			return -EFAULT;
		}

		if (!env.exception_callback_subprog || ex_done) break;
		// nothing jumps to the exception callback: walk it on its own
		const ex_insn_beg = env.subprog_info[env.exception_callback_subprog]!.start;
		insn_state[ex_insn_beg] = DISCOVERED;
		insn_stack[0] = ex_insn_beg;
		env.cfg.cur_stack = 1;
		ex_done = true;
	}

	for (let i = 0; i < insn_cnt; i++) {
		if (insn_state[i] !== EXPLORED) {
			verbose(env, `unreachable insn ${i}\n`);
			return -EINVAL;
		}
		if (bpf_is_ldimm64(env.prog.insnsi[i]!)) {
			if (insn_state[i + 1] !== 0) {
				verbose(env, `jump into the middle of ldimm64 insn ${i}\n`);
				return -EINVAL;
			}
			i++;
		}
	}
	env.prog.aux.changes_pkt_data = env.subprog_info[0]!.changes_pkt_data;
	return 0;
}
