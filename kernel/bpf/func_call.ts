// SPDX-License-Identifier: GPL-2.0-only
/**
 * Calls of subprograms and callbacks, their returns, and the release of references
 * (kernel/bpf/verifier.c: clear_all_pkt_pointers to prepare_func_exit, check_reference_leak).
 */
import {
	ARG_ANYTHING,
	ARG_DONTCARE,
	ARG_PTR_TO_ARENA,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_DYNPTR,
	ARG_PTR_TO_MEM,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_RB_ROOT,
	CONST_PTR_TO_MAP,
	MEM_RDONLY,
	PTR_MAYBE_NULL,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_CTX,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_PACKET,
	PTR_TO_STACK,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_LOG_LEVEL, MAX_CALL_FRAMES, REG_LIVE_READ64 } from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EACCES, EFAULT, EINVAL, ENOMEM, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_3,
	BPF_REG_4,
	BPF_REG_5,
} from "../../include/uapi/linux/bpf.ts";
import type { Ref } from "../../lib/err.ts";
import { mark_chain_precision } from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { btf_prepare_func_args } from "./btf.ts";
import { btf_id_of } from "./btf_ids.ts";
import { calls_callback } from "./cfg.ts";
import { func_id_name } from "./disasm.ts";
import {
	check_func_arg_reg_off,
	check_mem_reg,
	check_reg_type,
	new_call_arg_meta,
	process_dynptr_func,
	reg_find_field_offset,
} from "./func_arg.ts";
import { find_prev_entry, widen_imprecise_scalars } from "./iterators.ts";
import { is_rbtree_lock_required_kfunc, ref_set_non_owning } from "./kfunc.ts";
import {
	__check_reg_arg,
	CALLER_SAVED_REGS,
	caller_saved,
	DST_OP_NO_MARK,
	mark_reg_read,
} from "./liveness.ts";
import { bpf_log, print_verifier_state, verbose } from "./log.ts";
import {
	base_type,
	bpf_pseudo_kfunc_call,
	btf_vmlinux,
	cur_func,
	is_async_callback_calling_insn,
	is_bpf_wq_set_callback_impl_kfunc,
	is_callback_calling_function,
	is_callback_calling_kfunc,
	subprog_aux,
	subprog_info,
	subprog_is_global,
	subprog_name,
	type_is_non_owning_ref,
	type_may_be_null,
	verbose_invalid_scalar,
} from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import {
	__mark_reg_known_zero,
	__mark_reg_not_init,
	DEF_NOT_SUBREG,
	mark_reg_graph_node,
	mark_reg_not_init,
	mark_reg_unknown,
	reg_is_dynptr_slice_pkt,
	reg_is_pkt_pointer_any,
	register_is_null,
} from "./regs.ts";
import { bpf_for_each_reg_in_vstate, mark_dynptr_cb_reg, mark_reg_invalid } from "./stack_objs.ts";
import {
	alloc_func_state,
	copy_reference_state,
	free_func_state,
	init_func_state,
	push_async_cb,
	push_stack,
	release_reference_state,
	retval_range,
} from "./states.ts";
import { find_subprog } from "./subprogs.ts";
import type {
	bpf_func_state,
	bpf_retval_range,
	bpf_verifier_env,
	bpf_verifier_state,
} from "./verifier_types.ts";

/** bpf_reg_state.range of a packet pointer found at or beyond the end (kernel/bpf/verifier.c). */
export const AT_PKT_END = -1;
export const BEYOND_PKT_END = -2;

/** kernel/bpf/verifier.c: clear_all_pkt_pointers; slices of skb and xdp dynptrs point there too */
export function clear_all_pkt_pointers(env: bpf_verifier_env): void {
	bpf_for_each_reg_in_vstate(env.cur_state!, (reg) => {
		if (reg_is_pkt_pointer_any(reg) || reg_is_dynptr_slice_pkt(reg)) mark_reg_invalid(env, reg);
	});
}

/** kernel/bpf/verifier.c: mark_pkt_end */
export function mark_pkt_end(vstate: bpf_verifier_state, regn: number, range_open: boolean): void {
	const reg = vstate.frame[vstate.curframe]!.regs[regn]!;

	if (reg.type !== PTR_TO_PACKET) return;

	/* pkt > pkt_end is at least a byte beyond; pkt >= pkt_end may be the end itself. */
	reg.range = range_open ? BEYOND_PKT_END : AT_PKT_END;
}

/** kernel/bpf/verifier.c: release_reference: every copy of the pointer goes with the reference */
export function release_reference(env: bpf_verifier_env, ref_obj_id: number): number {
	const err = release_reference_state(cur_func(env), ref_obj_id);
	if (err) return err;

	bpf_for_each_reg_in_vstate(env.cur_state!, (reg) => {
		if (reg.ref_obj_id === ref_obj_id) mark_reg_invalid(env, reg);
	});

	return 0;
}

/** kernel/bpf/verifier.c: invalidate_non_owning_refs */
export function invalidate_non_owning_refs(env: bpf_verifier_env): void {
	bpf_for_each_reg_in_vstate(env.cur_state!, (reg) => {
		if (type_is_non_owning_ref(reg.type)) mark_reg_invalid(env, reg);
	});
}

/** kernel/bpf/verifier.c: clear_caller_saved_regs */
export function clear_caller_saved_regs(env: bpf_verifier_env, regs: readonly bpf_reg_state[]): void {
	for (let i = 0; i < CALLER_SAVED_REGS; i++) {
		mark_reg_not_init(env, regs, caller_saved[i]!);
		__check_reg_arg(env, regs, caller_saved[i]!, DST_OP_NO_MARK);
	}
}

type set_callee_state_fn = (
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	insn_idx: number,
) => number;

function setup_func_entry(
	env: bpf_verifier_env,
	subprog: number,
	callsite: number,
	set_callee_state_cb: set_callee_state_fn,
	state: bpf_verifier_state,
): number {
	if (state.curframe + 1 >= MAX_CALL_FRAMES) {
		verbose(env, `the call stack of ${state.curframe + 2} frames is too deep\n`);
		return -E2BIG;
	}

	if (state.frame[state.curframe + 1]) {
		verbose(env, `verifier bug. Frame ${state.curframe + 1} already allocated\n`);
		return -EFAULT;
	}

	const caller = state.frame[state.curframe]!;
	const callee = alloc_func_state(env);
	state.frame[state.curframe + 1] = callee;

	init_func_state(env, callee, callsite, state.curframe + 1, subprog);
	/* The callee holds the caller's references from here on. */
	const err = copy_reference_state(callee, caller) || set_callee_state_cb(env, caller, callee, callsite);
	if (err) {
		free_func_state(env, callee);
		state.frame[state.curframe + 1] = null;
		return err;
	}

	state.curframe++;

	return 0;
}

function btf_check_func_arg_match(
	env: bpf_verifier_env,
	subprog: number,
	regs: readonly bpf_reg_state[],
): number {
	const sub = subprog_info(env, subprog);
	const log = env.log;

	let ret = btf_prepare_func_args(env, subprog);
	if (ret) return ret;

	for (let i = 0; i < sub.arg_cnt; i++) {
		const regno = i + 1;
		const reg = regs[regno]!;
		const arg = sub.args[i]!;

		if (arg.arg_type === ARG_ANYTHING) {
			if (reg.type !== SCALAR_VALUE) {
				bpf_log(log, `R${regno} is not a scalar\n`);
				return -EINVAL;
			}
		} else if (arg.arg_type === ARG_PTR_TO_CTX) {
			ret = check_func_arg_reg_off(env, reg, regno, ARG_DONTCARE);
			if (ret < 0) return ret;
			if (reg.type !== PTR_TO_CTX) {
				bpf_log(log, `arg#${i} expects pointer to ctx\n`);
				return -EINVAL;
			}
		} else if (base_type(arg.arg_type) === ARG_PTR_TO_MEM) {
			ret = check_func_arg_reg_off(env, reg, regno, ARG_DONTCARE);
			if (ret < 0) return ret;
			if (check_mem_reg(env, reg, regno, arg.mem_size)) return -EINVAL;
			if (!(arg.arg_type & PTR_MAYBE_NULL) && reg.type & PTR_MAYBE_NULL) {
				bpf_log(log, `arg#${i} is expected to be non-NULL\n`);
				return -EINVAL;
			}
		} else if (base_type(arg.arg_type) === ARG_PTR_TO_ARENA) {
			/* Nothing could crash the kernel here, but only these make sense. */
			if (reg.type !== PTR_TO_ARENA && reg.type !== SCALAR_VALUE) {
				bpf_log(log, `R${regno} is not a pointer to arena or scalar.\n`);
				return -EINVAL;
			}
		} else if (arg.arg_type === (ARG_PTR_TO_DYNPTR | MEM_RDONLY)) {
			ret = check_func_arg_reg_off(env, reg, regno, ARG_PTR_TO_DYNPTR);
			if (ret) return ret;

			ret = process_dynptr_func(env, regno, -1, arg.arg_type, 0);
			if (ret) return ret;
		} else if (base_type(arg.arg_type) === ARG_PTR_TO_BTF_ID) {
			if (register_is_null(reg) && type_may_be_null(arg.arg_type)) continue;

			/* func_id stays zero. */
			const meta = new_call_arg_meta();
			const err =
				check_reg_type(env, regno, arg.arg_type, arg.btf_id, meta) ||
				check_func_arg_reg_off(env, reg, regno, arg.arg_type);
			if (err) return err;
		} else {
			bpf_log(log, `verifier bug: unrecognized arg#${i} type ${arg.arg_type}\n`);
			return -EFAULT;
		}
	}

	return 0;
}

/**
 * kernel/bpf/verifier.c: btf_check_subprog_call. -EFAULT: a verifier bug; another error: the arguments
 * do not fit the BTF, which only global functions mind.
 */
function btf_check_subprog_call(
	env: bpf_verifier_env,
	subprog: number,
	regs: readonly bpf_reg_state[],
): number {
	const aux = env.prog.aux;

	if (aux.func_info.length === 0) return -EINVAL;

	const btf_id = aux.func_info[subprog]?.type_id ?? 0;
	if (!btf_id) return -EFAULT;

	const info = aux.func_info_aux[subprog]!;
	if (info.unreliable) return -EINVAL;

	const err = btf_check_func_arg_match(env, subprog, regs);
	/* Compilers drop arguments of static functions: their BTF is then not to be relied on. */
	if (err) info.unreliable = true;
	return err;
}

/** kernel/bpf/verifier.c: push_callback_call */
export function push_callback_call(
	env: bpf_verifier_env,
	insn: bpf_insn,
	insn_idx: number,
	subprog: number,
	set_callee_state_cb: set_callee_state_fn,
): number {
	const state = env.cur_state!;
	const caller = state.frame[state.curframe]!;
	const info = subprog_info(env, subprog);

	let err = btf_check_subprog_call(env, subprog, caller.regs);
	if (err === -EFAULT) return err;

	info.is_cb = true;
	if (bpf_pseudo_kfunc_call(insn) && !is_callback_calling_kfunc(env, insn.imm)) {
		verbose(
			env,
			`verifier bug: kfunc ${func_id_name(insn.imm)}#${insn.imm} not marked as callback-calling\n`,
		);
		return -EFAULT;
	} else if (!bpf_pseudo_kfunc_call(insn) && !is_callback_calling_function(insn.imm)) {
		verbose(
			env,
			`verifier bug: helper ${func_id_name(insn.imm)}#${insn.imm} not marked as callback-calling\n`,
		);
		return -EFAULT;
	}

	if (is_async_callback_calling_insn(env, insn)) {
		/* Timers and workqueues call later: that is no recursion. */
		info.is_async_cb = true;
		const async_cb = push_async_cb(
			env,
			info.start,
			insn_idx,
			subprog,
			is_bpf_wq_set_callback_impl_kfunc(env, insn.imm),
		);
		if (!async_cb) return -EFAULT;
		const callee = async_cb.frame[0]!;
		callee.async_entry_cnt = caller.async_entry_cnt + 1;

		err = set_callee_state_cb(env, caller, callee, insn_idx);
		if (err) return err;

		return 0;
	}

	/* The callback is verified from a queued state; this frame goes on after the call. */
	const callback_state = push_stack(env, info.start, insn_idx, false);
	if (!callback_state) return -ENOMEM;

	err = setup_func_entry(env, subprog, insn_idx, set_callee_state_cb, callback_state);
	if (err) return err;

	callback_state.callback_unroll_depth++;
	callback_state.frame[callback_state.curframe - 1]!.callback_depth++;
	caller.callback_depth = 0;
	return 0;
}

/** kernel/bpf/verifier.c: check_func_call */
export function check_func_call(env: bpf_verifier_env, insn: bpf_insn, insn_idx: Ref<number>): number {
	const state = env.cur_state!;

	const target_insn = insn_idx.val + insn.imm + 1;
	const subprog = find_subprog(env, target_insn);
	if (subprog < 0) {
		verbose(env, `verifier bug. No program starts at insn ${target_insn}\n`);
		return -EFAULT;
	}

	const caller = state.frame[state.curframe]!;
	let err = btf_check_subprog_call(env, subprog, caller.regs);
	if (err === -EFAULT) return err;
	if (subprog_is_global(env, subprog)) {
		const sub_name = subprog_name(env, subprog);

		if (state.active_lock.ptr) {
			verbose(
				env,
				"global function calls are not allowed while holding a lock,\nuse static function instead\n",
			);
			return -EINVAL;
		}

		if (state.active_preempt_lock) {
			verbose(
				env,
				"global function calls are not allowed with preemption disabled,\nuse static function instead\n",
			);
			return -EINVAL;
		}

		if (err) {
			verbose(env, `Caller passes invalid args into func#${subprog} ('${sub_name}')\n`);
			return err;
		}

		verbose(env, `Func#${subprog} ('${sub_name}') is global and assumed valid.\n`);
		if (subprog_info(env, subprog).changes_pkt_data) clear_all_pkt_pointers(env);
		/* It is verified on its own after the main program. */
		subprog_aux(env, subprog).called = true;
		clear_caller_saved_regs(env, caller.regs);

		mark_reg_unknown(env, caller.regs, BPF_REG_0);
		caller.regs[BPF_REG_0]!.subreg_def = DEF_NOT_SUBREG;

		return 0;
	}

	err = setup_func_entry(env, subprog, insn_idx.val, set_callee_state, state);
	if (err) return err;

	clear_caller_saved_regs(env, caller.regs);

	insn_idx.val = subprog_info(env, subprog).start - 1;

	if (env.log.level & BPF_LOG_LEVEL) {
		verbose(env, "caller:\n");
		print_verifier_state(env, caller, true);
		verbose(env, "callee:\n");
		print_verifier_state(env, state.frame[state.curframe]!, true);
	}

	return 0;
}

/** kernel/bpf/verifier.c: map_set_for_each_callback_args: callback_fn(map, key, value, callback_ctx) */
export function map_set_for_each_callback_args(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
): number {
	const from = caller.regs;
	const to = callee.regs;
	const map = from[BPF_REG_1]!.map_ptr;

	to[BPF_REG_1]!.assign(from[BPF_REG_1]!);

	to[BPF_REG_2]!.type = PTR_TO_MAP_KEY;
	__mark_reg_known_zero(to[BPF_REG_2]!);
	to[BPF_REG_2]!.map_ptr = map;

	to[BPF_REG_3]!.type = PTR_TO_MAP_VALUE;
	__mark_reg_known_zero(to[BPF_REG_3]!);
	to[BPF_REG_3]!.map_ptr = map;

	/* A pointer to the stack, or NULL. */
	to[BPF_REG_4]!.assign(from[BPF_REG_3]!);

	__mark_reg_not_init(env, to[BPF_REG_5]!);
	return 0;
}

/** kernel/bpf/verifier.c: set_callee_state; parents are copied with the registers */
export function set_callee_state(
	_env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	for (let i = BPF_REG_1; i <= BPF_REG_5; i++) callee.regs[i]!.assign(caller.regs[i]!);
	return 0;
}

/** kernel/bpf/verifier.c: set_map_elem_callback_state */
export function set_map_elem_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	insn_idx: number,
): number {
	const map = env.insn_aux_data[insn_idx]!.map_ptr_state.map_ptr!;

	if (!map.ops.map_set_for_each_callback_args || !map.ops.map_for_each_callback) {
		verbose(env, "callback function not allowed for map\n");
		return -ENOTSUPP;
	}

	const err = map.ops.map_set_for_each_callback_args(env, caller, callee);
	if (err) return err;

	callee.in_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/** kernel/bpf/verifier.c: set_loop_callback_state: callback_fn(index, callback_ctx) */
export function set_loop_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	const to = callee.regs;

	to[BPF_REG_1]!.type = SCALAR_VALUE;
	to[BPF_REG_2]!.assign(caller.regs[BPF_REG_3]!);

	__mark_reg_not_init(env, to[BPF_REG_3]!);
	__mark_reg_not_init(env, to[BPF_REG_4]!);
	__mark_reg_not_init(env, to[BPF_REG_5]!);

	callee.in_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/** kernel/bpf/verifier.c: set_timer_callback_state: callback_fn(map, key, value) */
export function set_timer_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	const map_ptr = caller.regs[BPF_REG_1]!.map_ptr;
	const to = callee.regs;

	to[BPF_REG_1]!.type = CONST_PTR_TO_MAP;
	__mark_reg_known_zero(to[BPF_REG_1]!);
	to[BPF_REG_1]!.map_ptr = map_ptr;

	to[BPF_REG_2]!.type = PTR_TO_MAP_KEY;
	__mark_reg_known_zero(to[BPF_REG_2]!);
	to[BPF_REG_2]!.map_ptr = map_ptr;

	to[BPF_REG_3]!.type = PTR_TO_MAP_VALUE;
	__mark_reg_known_zero(to[BPF_REG_3]!);
	to[BPF_REG_3]!.map_ptr = map_ptr;

	__mark_reg_not_init(env, to[BPF_REG_4]!);
	__mark_reg_not_init(env, to[BPF_REG_5]!);
	callee.in_async_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/** kernel/bpf/verifier.c: set_find_vma_callback_state: callback_fn(task, vma, callback_ctx) */
export function set_find_vma_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	const to = callee.regs;

	to[BPF_REG_1]!.assign(caller.regs[BPF_REG_1]!);

	to[BPF_REG_2]!.type = PTR_TO_BTF_ID;
	__mark_reg_known_zero(to[BPF_REG_2]!);
	to[BPF_REG_2]!.btf = btf_vmlinux(env);
	to[BPF_REG_2]!.btf_id = btf_id_of(env.kernel, { kind: "struct", name: "vm_area_struct" });

	/* A pointer to the stack, or NULL. */
	to[BPF_REG_3]!.assign(caller.regs[BPF_REG_4]!);

	__mark_reg_not_init(env, to[BPF_REG_4]!);
	__mark_reg_not_init(env, to[BPF_REG_5]!);
	callee.in_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/** kernel/bpf/verifier.c: set_user_ringbuf_callback_state: callback_fn(dynptr, callback_ctx) */
export function set_user_ringbuf_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	const to = callee.regs;

	__mark_reg_not_init(env, to[BPF_REG_0]!);
	mark_dynptr_cb_reg(env, to[BPF_REG_1]!, BPF_DYNPTR_TYPE_LOCAL);
	to[BPF_REG_2]!.assign(caller.regs[BPF_REG_3]!);

	__mark_reg_not_init(env, to[BPF_REG_3]!);
	__mark_reg_not_init(env, to[BPF_REG_4]!);
	__mark_reg_not_init(env, to[BPF_REG_5]!);

	callee.in_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/** kernel/bpf/verifier.c: set_rbtree_add_callback_state: less(a, b), both non-owning nodes of the tree */
export function set_rbtree_add_callback_state(
	env: bpf_verifier_env,
	caller: bpf_func_state,
	callee: bpf_func_state,
	_insn_idx: number,
): number {
	/* The node argument is released by now; the root tells the type. */
	const root = caller.regs[BPF_REG_1]!;
	const field = reg_find_field_offset(root, root.off, BPF_RB_ROOT);
	if (!field?.graph_root?.value_btf_id) return -EFAULT;

	const to = callee.regs;
	mark_reg_graph_node(to, BPF_REG_1, field.graph_root);
	ref_set_non_owning(env, to[BPF_REG_1]!);
	mark_reg_graph_node(to, BPF_REG_2, field.graph_root);
	ref_set_non_owning(env, to[BPF_REG_2]!);

	__mark_reg_not_init(env, to[BPF_REG_3]!);
	__mark_reg_not_init(env, to[BPF_REG_4]!);
	__mark_reg_not_init(env, to[BPF_REG_5]!);
	callee.in_callback_fn = true;
	callee.callback_ret_range = retval_range(0, 1);
	return 0;
}

/**
 * kernel/bpf/verifier.c: in_rbtree_lock_required_cb: in a callback of an rbtree kfunc the lock is the
 * caller's to release.
 */
export function in_rbtree_lock_required_cb(env: bpf_verifier_env): boolean {
	const state = env.cur_state!;

	if (!state.curframe) return false;

	const callee = state.frame[state.curframe]!;

	if (!callee.in_callback_fn) return false;

	return is_rbtree_lock_required_kfunc(env, env.prog.insnsi[callee.callsite]!.imm);
}

/** kernel/bpf/verifier.c: retval_range_within */
export function retval_range_within(
	range: bpf_retval_range,
	reg: bpf_reg_state,
	return_32bit: boolean,
): boolean {
	if (return_32bit) return range.minval <= reg.s32_min_value && reg.s32_max_value <= range.maxval;
	return BigInt(range.minval) <= reg.smin_value && reg.smax_value <= BigInt(range.maxval);
}

/** kernel/bpf/verifier.c: prepare_func_exit */
export function prepare_func_exit(env: bpf_verifier_env, insn_idx: Ref<number>): number {
	const state = env.cur_state!;
	const callee = state.frame[state.curframe]!;
	const r0 = callee.regs[BPF_REG_0]!;
	let err = 0;

	if (r0.type === PTR_TO_STACK) {
		/* A caller's stack would be fine, but telling which is not worth it. */
		verbose(env, "cannot return stack pointer to the caller\n");
		return -EINVAL;
	}

	const caller = state.frame[state.curframe - 1]!;
	if (callee.in_callback_fn) {
		if (r0.type !== SCALAR_VALUE) {
			verbose(env, "R0 not a scalar value\n");
			return -EACCES;
		}

		/* Its value decides below, so it must be precise. */
		err = mark_reg_read(env, r0, r0.parent, REG_LIVE_READ64) || mark_chain_precision(env, BPF_REG_0);
		if (err) return err;

		/* bpf_callback_t returns 64 bits. */
		if (!retval_range_within(callee.callback_ret_range, r0, false)) {
			verbose_invalid_scalar(env, r0, callee.callback_ret_range, "At callback return", "R0");
			return -EINVAL;
		}
		if (!calls_callback(env, callee.callsite)) {
			verbose(env, `BUG: in callback at ${insn_idx.val}, callsite ${callee.callsite} !calls_callback\n`);
			return -EFAULT;
		}
	} else {
		caller.regs[BPF_REG_0]!.assign(r0);
	}

	/* A callback has released what it took (check_reference_leak()), so the caller's references stand. */
	if (!callee.in_callback_fn) {
		err = copy_reference_state(caller, callee);
		if (err) return err;
	}

	/* Back to the call of a helper that may call again: is_state_visited() ends that. */
	const in_callback_fn = callee.in_callback_fn;
	if (in_callback_fn) insn_idx.val = callee.callsite;
	else insn_idx.val = callee.callsite + 1;

	if (env.log.level & BPF_LOG_LEVEL) {
		verbose(env, "returning from callee:\n");
		print_verifier_state(env, callee, true);
		verbose(env, `to caller at ${insn_idx.val}:\n`);
		print_verifier_state(env, caller, true);
	}
	free_func_state(env, callee);
	state.frame[state.curframe--] = null;

	/* As with iterators: what the callback's loop does not need exactly becomes unknown. */
	const prev_st = in_callback_fn ? find_prev_entry(env, state, insn_idx.val) : null;
	if (prev_st) {
		err = widen_imprecise_scalars(env, prev_st, state);
		if (err) return err;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_reference_leak */
export function check_reference_leak(env: bpf_verifier_env, exception_exit: boolean): number {
	const state = cur_func(env);
	let refs_lingering = false;

	if (!exception_exit && state.frameno && !state.in_callback_fn) return 0;

	for (const ref of state.refs) {
		if (!exception_exit && state.in_callback_fn && ref.callback_ref !== state.frameno) continue;
		verbose(env, `Unreleased reference id=${ref.id} alloc_insn=${ref.insn_idx}\n`);
		refs_lingering = true;
	}
	return refs_lingering ? -EINVAL : 0;
}
