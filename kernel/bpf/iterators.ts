// SPDX-License-Identifier: GPL-2.0-only
/**
 * Open-coded iterators and the widening of loop states (kernel/bpf/verifier.c: is_iter_kfunc to
 * process_iter_next_call).
 *
 * A call of an iterator's next forks the state: here it returned NULL and is drained, in the queued
 * state it is still active one level deeper. What a loop turned out not to need exactly is widened
 * to an unknown scalar on re-entry, so that loops converge.
 */
import { BPF_WRITE, PTR_TO_STACK, SCALAR_VALUE } from "../../include/linux/bpf.ts";
import {
	BPF_ITER_STATE_ACTIVE,
	BPF_ITER_STATE_DRAINED,
	BPF_REG_SIZE,
} from "../../include/linux/bpf_verifier.ts";
import { KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT } from "../../include/linux/btf.ts";
import { EFAULT, EINVAL, ENOMEM, EPROTO } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_DW, BPF_REG_0, MAX_BPF_REG } from "../../include/uapi/linux/bpf.ts";
import { btf_check_iter_arg, btf_param_match_suffix, btf_type_by_id } from "./btf.ts";
import type { btf_param } from "./btf_types.ts";
import { check_mem_access } from "./check_mem.ts";
import { mark_iter_read } from "./liveness.ts";
import { iter_state_str, iter_type_str, verbose } from "./log.ts";
import { cur_regs } from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import { __mark_reg_const_zero, __mark_reg_unknown, mark_ptr_not_null_reg } from "./regs.ts";
import { is_spilled_reg } from "./stack.ts";
import {
	is_iter_reg_valid_init,
	is_iter_reg_valid_uninit,
	iter_get_spi,
	iter_ref_obj_id,
	mark_stack_slots_iter,
	unmark_stack_slots_iter,
} from "./stack_objs.ts";
import { explored_state, push_stack, regs_exact, reset_idmap_scratch, same_callsites } from "./states.ts";
import type { bpf_kfunc_call_arg_meta, bpf_verifier_env, bpf_verifier_state } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: is_iter_kfunc */
export function is_iter_kfunc(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY)) !== 0;
}

/** kernel/bpf/verifier.c: is_iter_new_kfunc */
export function is_iter_new_kfunc(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_ITER_NEW) !== 0;
}

/** kernel/bpf/verifier.c: is_iter_next_kfunc */
export function is_iter_next_kfunc(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_ITER_NEXT) !== 0;
}

/** kernel/bpf/verifier.c: is_iter_destroy_kfunc */
export function is_iter_destroy_kfunc(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_ITER_DESTROY) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_arg_iter */
export function is_kfunc_arg_iter(meta: bpf_kfunc_call_arg_meta, arg_idx: number, arg: btf_param): boolean {
	/* An iterator's own kfuncs take its state first, as checked at registration. */
	if (is_iter_kfunc(meta)) return arg_idx === 0;

	return btf_param_match_suffix(meta.btf, arg, "__iter");
}

/** kernel/bpf/verifier.c: process_iter_arg */
export function process_iter_arg(
	env: bpf_verifier_env,
	regno: number,
	insn_idx: number,
	meta: bpf_kfunc_call_arg_meta,
): number {
	const reg = cur_regs(env)[regno]!;

	if (reg.type !== PTR_TO_STACK) {
		verbose(env, `arg#${regno - 1} expected pointer to an iterator on stack\n`);
		return -EINVAL;
	}

	/* Any kfunc may take an "__iter" argument, so the struct is looked at here too. */
	const btf_id = btf_check_iter_arg(meta.btf, meta.func_proto, regno - 1);
	if (btf_id < 0) {
		verbose(env, `expected valid iter pointer as arg #${regno - 1}\n`);
		return -EINVAL;
	}
	const t = btf_type_by_id(meta.btf, btf_id)!;
	const nr_slots = Math.trunc(t.size / BPF_REG_SIZE);

	if (is_iter_new_kfunc(meta)) {
		if (!is_iter_reg_valid_uninit(env, reg, nr_slots)) {
			verbose(env, `expected uninitialized iter_${iter_type_str(meta.btf, btf_id)} as arg #${regno - 1}\n`);
			return -EINVAL;
		}

		for (let i = 0; i < nr_slots * 8; i += BPF_REG_SIZE) {
			const err = check_mem_access(env, insn_idx, regno, i, BPF_DW, BPF_WRITE, -1, false, false);
			if (err) return err;
		}

		return mark_stack_slots_iter(env, meta, reg, insn_idx, meta.btf, btf_id, nr_slots);
	}

	let err = is_iter_reg_valid_init(env, reg, meta.btf, btf_id, nr_slots);
	switch (err) {
		case 0:
			break;
		case -EINVAL:
			verbose(env, `expected an initialized iter_${iter_type_str(meta.btf, btf_id)} as arg #${regno - 1}\n`);
			return err;
		case -EPROTO:
			verbose(env, `expected an RCU CS when using ${meta.func_name}\n`);
			return err;
		default:
			return err;
	}

	const spi = iter_get_spi(env, reg, nr_slots);
	if (spi < 0) return spi;

	err = mark_iter_read(env, reg, spi, nr_slots);
	if (err) return err;

	/* For process_iter_next_call(). */
	meta.iter.spi = spi;
	meta.iter.frameno = reg.frameno;
	meta.ref_obj_id = iter_ref_obj_id(env, reg, spi);

	if (is_iter_destroy_kfunc(meta)) {
		err = unmark_stack_slots_iter(env, reg, nr_slots);
		if (err) return err;
	}

	return 0;
}

/**
 * kernel/bpf/verifier.c: find_prev_entry: the nearest state of the current path that stopped at
 * insn_idx with the same call sites.
 */
export function find_prev_entry(
	env: bpf_verifier_env,
	cur: bpf_verifier_state,
	insn_idx: number,
): bpf_verifier_state | null {
	for (const sl of explored_state(env, insn_idx)) {
		const st = sl.state;
		if (st.insn_idx === insn_idx && st.branches && same_callsites(st, cur) && st.dfs_depth < cur.dfs_depth)
			return st;
	}

	return null;
}

function maybe_widen_reg(env: bpf_verifier_env, rold: bpf_reg_state, rcur: bpf_reg_state): void {
	if (rold.type !== SCALAR_VALUE) return;
	if (rold.type !== rcur.type) return;
	if (rold.precise || rcur.precise || regs_exact(env, rold, rcur)) return;
	__mark_reg_unknown(env, rcur);
}

/** kernel/bpf/verifier.c: widen_imprecise_scalars */
export function widen_imprecise_scalars(
	env: bpf_verifier_env,
	old: bpf_verifier_state,
	cur: bpf_verifier_state,
): number {
	reset_idmap_scratch(env);
	for (let fr = old.curframe; fr >= 0; fr--) {
		const fold = old.frame[fr]!;
		const fcur = cur.frame[fr]!;

		for (let i = 0; i < MAX_BPF_REG; i++) maybe_widen_reg(env, fold.regs[i]!, fcur.regs[i]!);

		const num_slots = Math.min(fold.allocated_stack / BPF_REG_SIZE, fcur.allocated_stack / BPF_REG_SIZE);
		for (let i = 0; i < num_slots; i++) {
			const sold = fold.stack(i);
			const scur = fcur.stack(i);
			if (!is_spilled_reg(sold) || !is_spilled_reg(scur)) continue;

			maybe_widen_reg(env, sold.spilled_ptr, scur.spilled_ptr);
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: get_iter_from_state */
export function get_iter_from_state(
	cur_st: bpf_verifier_state,
	meta: bpf_kfunc_call_arg_meta,
): bpf_reg_state {
	return cur_st.frame[meta.iter.frameno]!.stack(meta.iter.spi).spilled_ptr;
}

/** kernel/bpf/verifier.c: process_iter_next_call */
export function process_iter_next_call(
	env: bpf_verifier_env,
	insn_idx: number,
	meta: bpf_kfunc_call_arg_meta,
): number {
	const cur_st = env.cur_state!;
	const cur_fr = cur_st.frame[cur_st.curframe]!;
	const cur_iter = get_iter_from_state(cur_st, meta);

	if (cur_iter.iter_state !== BPF_ITER_STATE_ACTIVE && cur_iter.iter_state !== BPF_ITER_STATE_DRAINED) {
		verbose(
			env,
			`verifier internal error: unexpected iterator state ${cur_iter.iter_state} (${iter_state_str(cur_iter.iter_state)})\n`,
		);
		return -EFAULT;
	}

	if (cur_iter.iter_state === BPF_ITER_STATE_ACTIVE) {
		/* The call is a checkpoint: is_state_visited() has just made cur_st's parent here. */
		if (!cur_st.parent || cur_st.parent.insn_idx !== insn_idx || !same_callsites(cur_st.parent, cur_st)) {
			verbose(env, "bug: bad parent state for iter next call");
			return -EFAULT;
		}
		/* From the parent, to pass over that very checkpoint. */
		const prev_st = find_prev_entry(env, cur_st.parent, insn_idx);
		const queued_st = push_stack(env, insn_idx + 1, insn_idx, false);
		if (!queued_st) return -ENOMEM;

		const queued_iter = get_iter_from_state(queued_st, meta);
		queued_iter.iter_state = BPF_ITER_STATE_ACTIVE;
		queued_iter.iter_depth++;
		if (prev_st) widen_imprecise_scalars(env, prev_st, queued_st);

		const queued_fr = queued_st.frame[queued_st.curframe]!;
		mark_ptr_not_null_reg(queued_fr.regs[BPF_REG_0]!);
	}

	cur_iter.iter_state = BPF_ITER_STATE_DRAINED;
	__mark_reg_const_zero(env, cur_fr.regs[BPF_REG_0]!);

	return 0;
}
