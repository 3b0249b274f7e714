// SPDX-License-Identifier: GPL-2.0-only
/**
 * Calls of helpers (kernel/bpf/verifier.c: do_refine_retval_range to check_helper_call, less
 * check_reference_leak).
 */
import {
	ARG_PTR_TO_CTX,
	BPF_DYNPTR_TYPE_INVALID,
	BPF_DYNPTR_TYPE_SKB,
	BPF_KPTR_PERCPU,
	BPF_SPIN_LOCK,
	BPF_WRITE,
	CONST_PTR_TO_DYNPTR,
	MAX_BPF_FUNC_REG_ARGS,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_RDONLY,
	NOT_INIT,
	PTR_TO_BTF_ID,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_TCP_SOCK,
	RET_INTEGER,
	RET_PTR_TO_BTF_ID,
	RET_PTR_TO_MAP_VALUE,
	RET_PTR_TO_MEM,
	RET_PTR_TO_MEM_OR_BTF_ID,
	RET_PTR_TO_SOCK_COMMON,
	RET_PTR_TO_SOCKET,
	RET_PTR_TO_TCP_SOCK,
	RET_VOID,
} from "../../include/linux/bpf.ts";
import { BPF_LOG_LEVEL2 } from "../../include/linux/bpf_verifier.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import {
	__BPF_FUNC_MAX_ID,
	BPF_F_RDONLY_PROG,
	BPF_FUNC_dynptr_data,
	BPF_FUNC_dynptr_from_mem,
	BPF_FUNC_dynptr_write,
	BPF_FUNC_find_vma,
	BPF_FUNC_for_each_map_elem,
	BPF_FUNC_get_func_ip,
	BPF_FUNC_get_local_storage,
	BPF_FUNC_get_smp_processor_id,
	BPF_FUNC_get_stack,
	BPF_FUNC_get_stackid,
	BPF_FUNC_get_task_stack,
	BPF_FUNC_kptr_xchg,
	BPF_FUNC_loop,
	BPF_FUNC_map_delete_elem,
	BPF_FUNC_map_lookup_elem,
	BPF_FUNC_map_lookup_percpu_elem,
	BPF_FUNC_map_peek_elem,
	BPF_FUNC_map_pop_elem,
	BPF_FUNC_map_push_elem,
	BPF_FUNC_map_update_elem,
	BPF_FUNC_per_cpu_ptr,
	BPF_FUNC_probe_read_kernel_str,
	BPF_FUNC_probe_read_str,
	BPF_FUNC_probe_read_user_str,
	BPF_FUNC_redirect_map,
	BPF_FUNC_set_retval,
	BPF_FUNC_snprintf,
	BPF_FUNC_tail_call,
	BPF_FUNC_this_cpu_ptr,
	BPF_FUNC_timer_set_callback,
	BPF_FUNC_user_ringbuf_drain,
	BPF_LSM_CGROUP,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_TRACING,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_3,
	BPF_REG_4,
	BPF_REG_5,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_B } from "../../include/uapi/linux/bpf_common.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import { bpf_helper_changes_pkt_data } from "../../net/core/filter.ts";
import { mark_chain_precision } from "./backtrack.ts";
import { bpf_prog_has_trampoline } from "./base_proto.ts";
import { BPF_PTR_POISON, type bpf_func_proto, type bpf_insn } from "./bpf_types.ts";
import { bpf_bprintf_check } from "./bprintf_check.ts";
import {
	btf_is_kernel,
	btf_name_by_offset,
	btf_resolve_size,
	btf_type_by_id,
	btf_type_is_struct,
	btf_type_skip_modifiers,
} from "./btf.ts";
import { btf_id_of } from "./btf_ids.ts";
import type { btf } from "./btf_types.ts";
import { check_mem_access } from "./check_mem.ts";
import { func_id_name } from "./disasm.ts";
import { arg_type_is_dynptr, check_func_arg, map_value_bytes, new_call_arg_meta } from "./func_arg.ts";
import {
	check_reference_leak,
	clear_all_pkt_pointers,
	push_callback_call,
	release_reference,
	set_find_vma_callback_state,
	set_loop_callback_state,
	set_map_elem_callback_state,
	set_timer_callback_state,
	set_user_ringbuf_callback_state,
} from "./func_call.ts";
import { check_func_proto, check_map_func_compatibility } from "./func_proto.ts";
import { CALLER_SAVED_REGS, caller_saved, check_reg_arg, DST_OP_NO_MARK } from "./liveness.ts";
import { reg_type_str, verbose } from "./log.ts";
import {
	BPF_MAP_KEY_POISON,
	base_type,
	bpf_map_key_immediate,
	bpf_map_key_poisoned,
	bpf_map_key_store,
	bpf_map_key_unseen,
	bpf_map_ptr_store,
	btf_record_has_field,
	btf_vmlinux,
	cur_func,
	cur_regs,
	helper_multiple_ref_obj_use,
	in_rcu_cs,
	in_sleepable,
	is_acquire_function,
	is_dynptr_ref_function,
	is_ptr_cast_function,
	is_storage_get_function,
	resolve_prog_type,
	type_flag,
	type_may_be_null,
} from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import {
	DEF_NOT_SUBREG,
	is_reg_const,
	mark_reg_known_zero,
	mark_reg_not_init,
	mark_reg_unknown,
	reg_bounds_sanity_check,
	reg_bounds_sync,
	register_is_null,
} from "./regs.ts";
import {
	bpf_for_each_reg_in_vstate,
	dynptr_get_type,
	dynptr_id,
	dynptr_ref_obj_id,
	get_dynptr_arg_reg,
	mark_reg_invalid,
	reg_const_off,
	unmark_stack_slots_dynptr,
} from "./stack_objs.ts";
import { acquire_reference_state, release_reference_state } from "./states.ts";
import type { bpf_call_arg_meta, bpf_insn_aux_data, bpf_verifier_env } from "./verifier_types.ts";

/** include/linux/err.h: MAX_ERRNO */
const MAX_ERRNO = 4095;

function do_refine_retval_range(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	ret_type: number,
	func_id: number,
	meta: bpf_call_arg_meta,
): number {
	const ret_reg = regs[BPF_REG_0]!;

	if (ret_type !== RET_INTEGER) return 0;

	switch (func_id) {
		case BPF_FUNC_get_stack:
		case BPF_FUNC_get_task_stack:
		case BPF_FUNC_probe_read_str:
		case BPF_FUNC_probe_read_kernel_str:
		case BPF_FUNC_probe_read_user_str:
			ret_reg.smax_value = BigInt.asIntN(64, meta.msize_max_value);
			ret_reg.s32_max_value = Number(BigInt.asIntN(32, meta.msize_max_value));
			ret_reg.smin_value = BigInt(-MAX_ERRNO);
			ret_reg.s32_min_value = -MAX_ERRNO;
			reg_bounds_sync(ret_reg);
			break;
		case BPF_FUNC_get_smp_processor_id: {
			const last = env.kernel.config.cpus - 1;
			ret_reg.umax_value = BigInt(last);
			ret_reg.u32_max_value = last;
			ret_reg.smax_value = BigInt(last);
			ret_reg.s32_max_value = last;
			ret_reg.umin_value = 0n;
			ret_reg.u32_min_value = 0;
			ret_reg.smin_value = 0n;
			ret_reg.s32_min_value = 0;
			reg_bounds_sync(ret_reg);
			break;
		}
		default:
			break;
	}

	return reg_bounds_sanity_check(env, ret_reg, "retval");
}

const FUNCS_RECORDING_MAP: ReadonlySet<number> = new Set([
	BPF_FUNC_tail_call,
	BPF_FUNC_map_lookup_elem,
	BPF_FUNC_map_update_elem,
	BPF_FUNC_map_delete_elem,
	BPF_FUNC_map_push_elem,
	BPF_FUNC_map_pop_elem,
	BPF_FUNC_map_peek_elem,
	BPF_FUNC_for_each_map_elem,
	BPF_FUNC_redirect_map,
	BPF_FUNC_map_lookup_percpu_elem,
]);

function record_func_map(
	env: bpf_verifier_env,
	meta: bpf_call_arg_meta,
	func_id: number,
	insn_idx: number,
): number {
	const aux = env.insn_aux_data[insn_idx]!;
	const map = meta.map_ptr;

	if (!FUNCS_RECORDING_MAP.has(func_id)) return 0;

	if (map === null) {
		verbose(env, "kernel subsystem misconfigured verifier\n");
		return -EINVAL;
	}

	if (
		map.map_flags & BPF_F_RDONLY_PROG &&
		(func_id === BPF_FUNC_map_delete_elem ||
			func_id === BPF_FUNC_map_update_elem ||
			func_id === BPF_FUNC_map_push_elem ||
			func_id === BPF_FUNC_map_pop_elem)
	) {
		verbose(env, "write into map forbidden\n");
		return -EACCES;
	}

	if (!aux.map_ptr_state.map_ptr) bpf_map_ptr_store(aux, map, !map.bypass_spec_v1, false);
	else if (aux.map_ptr_state.map_ptr !== map) bpf_map_ptr_store(aux, map, !map.bypass_spec_v1, true);
	return 0;
}

function record_func_key(
	env: bpf_verifier_env,
	meta: bpf_call_arg_meta,
	func_id: number,
	insn_idx: number,
): number {
	const aux = env.insn_aux_data[insn_idx]!;
	const map = meta.map_ptr;

	if (func_id !== BPF_FUNC_tail_call) return 0;
	if (!map || map.map_type !== BPF_MAP_TYPE_PROG_ARRAY) {
		verbose(env, "kernel subsystem misconfigured verifier\n");
		return -EINVAL;
	}

	const reg = cur_regs(env)[BPF_REG_3]!;
	const val = reg.var_off_value;
	const max = BigInt(map.max_entries);

	if (!(is_reg_const(reg, false) && val < max)) {
		bpf_map_key_store(aux, BPF_MAP_KEY_POISON);
		return 0;
	}

	const err = mark_chain_precision(env, BPF_REG_3);
	if (err) return err;
	if (bpf_map_key_unseen(aux)) bpf_map_key_store(aux, val);
	else if (!bpf_map_key_poisoned(aux) && bpf_map_key_immediate(aux) !== val)
		bpf_map_key_store(aux, BPF_MAP_KEY_POISON);
	return 0;
}

function check_bpf_snprintf_call(env: bpf_verifier_env, regs: readonly bpf_reg_state[]): number {
	const fmt_reg = regs[BPF_REG_3]!;
	const data_len_reg = regs[BPF_REG_5]!;
	const fmt_map = fmt_reg.map_ptr!;

	/* The data is an array of u64. */
	if (data_len_reg.var_off_value % 8n) return -EINVAL;
	const num_args = Number(BigInt.asIntN(32, data_len_reg.var_off_value / 8n));

	/* check_reg_const_str() has seen to the offset, the map and the terminating zero. */
	const fmt_map_off = reg_const_off(fmt_reg);
	const fmt_addr: Ref<bigint> = { val: 0n };
	if (fmt_map.ops.map_direct_value_addr!(fmt_map, fmt_addr, fmt_map_off)) {
		verbose(env, "verifier bug\n");
		return -EFAULT;
	}
	const fmt = map_value_bytes(env, fmt_map, fmt_addr.val, fmt_map_off);

	const err = bpf_bprintf_check(fmt, num_args >>> 0);
	if (err < 0) verbose(env, "Invalid format string\n");

	return err;
}

function check_get_func_ip(env: bpf_verifier_env): number {
	const type = resolve_prog_type(env.prog);
	const func_id = BPF_FUNC_get_func_ip;

	if (type === BPF_PROG_TYPE_TRACING) {
		if (!bpf_prog_has_trampoline(env.prog)) {
			verbose(
				env,
				`func ${func_id_name(func_id)}#${func_id} supported only for fentry/fexit/fmod_ret programs\n`,
			);
			return -ENOTSUPP;
		}
		return 0;
	}
	if (type === BPF_PROG_TYPE_KPROBE) return 0;

	verbose(env, `func ${func_id_name(func_id)}#${func_id} not supported for program type ${type}\n`);
	return -ENOTSUPP;
}

/** kernel/bpf/verifier.c: cur_aux */
export function cur_aux(env: bpf_verifier_env): bpf_insn_aux_data {
	return env.insn_aux_data[env.insn_idx]!;
}

function loop_flag_is_zero(env: bpf_verifier_env): boolean {
	const reg_is_null = register_is_null(cur_regs(env)[BPF_REG_4]!);

	if (reg_is_null) mark_chain_precision(env, BPF_REG_4);

	return reg_is_null;
}

function update_loop_inline_state(env: bpf_verifier_env, subprogno: number): void {
	const state = cur_aux(env).loop_inline_state;

	if (!state.initialized) {
		state.initialized = true;
		state.fit_for_inline = loop_flag_is_zero(env);
		state.callback_subprogno = subprogno;
		return;
	}

	if (!state.fit_for_inline) return;

	state.fit_for_inline = loop_flag_is_zero(env) && state.callback_subprogno === subprogno;
}

/** kernel/bpf/verifier.c: get_helper_proto */
export function get_helper_proto(
	env: bpf_verifier_env,
	func_id: number,
	ptr: Ref<bpf_func_proto | null>,
): number {
	if (func_id < 0 || func_id >= __BPF_FUNC_MAX_ID) return -ERANGE;

	if (!env.ops.get_func_proto) return -EINVAL;

	ptr.val = env.ops.get_func_proto(func_id, env.prog);
	return ptr.val?.func ? 0 : -EINVAL;
}

/** kernel/bpf/verifier.c: check_helper_call */
export function check_helper_call(env: bpf_verifier_env, insn: bpf_insn, insn_idx_p: Ref<number>): number {
	const prog_type = resolve_prog_type(env.prog);
	const insn_idx = insn_idx_p.val;
	const cur_state = env.cur_state!;
	let returns_cpu_specific_alloc_ptr = false;

	const func_id = insn.imm;
	const name = (): string => `${func_id_name(func_id)}#${func_id}`;
	const proto: Ref<bpf_func_proto | null> = { val: null };
	let err = get_helper_proto(env, insn.imm, proto);
	if (err === -ERANGE) {
		verbose(env, `invalid func ${name()}\n`);
		return -EINVAL;
	}

	if (err) {
		verbose(env, `program of this type cannot use helper ${name()}\n`);
		return err;
	}
	const fn = proto.val!;

	if (!env.prog.gpl_compatible && fn.gpl_only) {
		verbose(env, "cannot call GPL-restricted function from non-GPL compatible program\n");
		return -EINVAL;
	}

	if (fn.allowed && !fn.allowed(env.prog)) {
		verbose(env, "helper call is not allowed in probe\n");
		return -EINVAL;
	}

	if (!in_sleepable(env) && fn.might_sleep) {
		verbose(env, "helper call might sleep in a non-sleepable prog\n");
		return -EINVAL;
	}

	/* Such helpers take the context first: JITs reload packet pointers from it. */
	let changes_data = bpf_helper_changes_pkt_data(func_id);
	if (changes_data && fn.arg_type[0] !== ARG_PTR_TO_CTX) {
		verbose(env, `kernel subsystem misconfigured func ${name()}: r1 != ctx\n`);
		return -EINVAL;
	}

	const meta = new_call_arg_meta();
	meta.pkt_access = fn.pkt_access ?? false;

	err = check_func_proto(fn, func_id);
	if (err) {
		verbose(env, `kernel subsystem misconfigured func ${name()}\n`);
		return err;
	}

	if (cur_state.active_rcu_lock) {
		if (fn.might_sleep) {
			verbose(env, `sleepable helper ${name()} in rcu_read_lock region\n`);
			return -EINVAL;
		}

		if (in_sleepable(env) && is_storage_get_function(func_id))
			env.insn_aux_data[insn_idx]!.storage_get_func_atomic = true;
	}

	if (cur_state.active_preempt_lock) {
		if (fn.might_sleep) {
			verbose(env, `sleepable helper ${name()} in non-preemptible region\n`);
			return -EINVAL;
		}

		if (in_sleepable(env) && is_storage_get_function(func_id))
			env.insn_aux_data[insn_idx]!.storage_get_func_atomic = true;
	}

	meta.func_id = func_id;
	for (let i = 0; i < MAX_BPF_FUNC_REG_ARGS; i++) {
		err = check_func_arg(env, i, meta, fn, insn_idx);
		if (err) return err;
	}

	err = record_func_map(env, meta, func_id, insn_idx);
	if (err) return err;

	err = record_func_key(env, meta, func_id, insn_idx);
	if (err) return err;

	/* Raw mode: the helper fills the stack bytes in. */
	for (let i = 0; i < meta.access_size; i++) {
		err = check_mem_access(env, insn_idx, meta.regno, i, BPF_B, BPF_WRITE, -1, false, false);
		if (err) return err;
	}

	const regs = cur_regs(env);

	if (meta.release_regno) {
		const release_reg = regs[meta.release_regno]!;
		err = -EINVAL;
		if (arg_type_is_dynptr(fn.arg_type[meta.release_regno - BPF_REG_1] ?? 0)) {
			if (release_reg.type === CONST_PTR_TO_DYNPTR) {
				verbose(env, "verifier internal error: CONST_PTR_TO_DYNPTR cannot be released\n");
				return -EFAULT;
			}
			err = unmark_stack_slots_dynptr(env, release_reg);
		} else if (func_id === BPF_FUNC_kptr_xchg && meta.ref_obj_id) {
			const ref_obj_id = meta.ref_obj_id;
			const in_rcu = in_rcu_cs(env);

			err = release_reference_state(cur_func(env), ref_obj_id);
			if (!err) {
				bpf_for_each_reg_in_vstate(cur_state, (reg) => {
					if (reg.ref_obj_id !== ref_obj_id) return;
					if (in_rcu && reg.type & MEM_ALLOC && reg.type & MEM_PERCPU) {
						reg.ref_obj_id = 0;
						reg.type &= ~MEM_ALLOC;
						reg.type |= MEM_RCU;
					} else {
						mark_reg_invalid(env, reg);
					}
				});
			}
		} else if (meta.ref_obj_id) {
			err = release_reference(env, meta.ref_obj_id);
		} else if (register_is_null(release_reg)) {
			/* NULL holds no reference. */
			err = 0;
		}
		if (err) {
			verbose(env, `func ${name()} reference has not been acquired before\n`);
			return err;
		}
	}

	switch (func_id) {
		case BPF_FUNC_tail_call:
			if (cur_state.active_lock.ptr) {
				verbose(env, "tail_call cannot be used inside bpf_spin_lock-ed region\n");
				return -EINVAL;
			}

			err = check_reference_leak(env, false);
			if (err) {
				verbose(env, "tail_call would lead to reference leak\n");
				return err;
			}

			if (cur_state.active_rcu_lock) {
				verbose(env, "tail_call cannot be used inside bpf_rcu_read_lock-ed region\n");
				return -EINVAL;
			}

			if (cur_state.active_preempt_lock) {
				verbose(env, "tail_call cannot be used inside bpf_preempt_disable-ed region\n");
				return -EINVAL;
			}
			break;
		case BPF_FUNC_get_local_storage:
			/* It cannot return an error, so the flags must be right here. */
			if (!register_is_null(regs[BPF_REG_2]!)) {
				verbose(env, "get_local_storage() doesn't support non-zero flags\n");
				return -EINVAL;
			}
			break;
		case BPF_FUNC_for_each_map_elem:
			err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_map_elem_callback_state);
			break;
		case BPF_FUNC_timer_set_callback:
			err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_timer_callback_state);
			break;
		case BPF_FUNC_find_vma:
			err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_find_vma_callback_state);
			break;
		case BPF_FUNC_snprintf:
			err = check_bpf_snprintf_call(env, regs);
			break;
		case BPF_FUNC_loop:
			update_loop_inline_state(env, meta.subprogno);
			/* R1 decides whether the loop is over. */
			err = mark_chain_precision(env, BPF_REG_1);
			if (err) return err;
			if (BigInt(cur_func(env).callback_depth) < regs[BPF_REG_1]!.umax_value) {
				err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_loop_callback_state);
			} else {
				cur_func(env).callback_depth = 0;
				if (env.log.level & BPF_LOG_LEVEL2)
					verbose(env, `frame${cur_state.curframe} bpf_loop iteration limit reached\n`);
			}
			break;
		case BPF_FUNC_dynptr_from_mem:
			if (regs[BPF_REG_1]!.type !== PTR_TO_MAP_VALUE) {
				verbose(
					env,
					`Unsupported reg type ${reg_type_str(env, regs[BPF_REG_1]!.type)} for bpf_dynptr_from_mem data\n`,
				);
				return -EACCES;
			}
			break;
		case BPF_FUNC_set_retval:
			if (prog_type === BPF_PROG_TYPE_LSM && env.prog.expected_attach_type === BPF_LSM_CGROUP) {
				if (!env.prog.aux.attach_func_proto!.type) {
					verbose(env, "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
					return -EINVAL;
				}
			}
			break;
		case BPF_FUNC_dynptr_data: {
			const reg = get_dynptr_arg_reg(env, fn, regs);
			if (!reg) return -EFAULT;

			if (meta.dynptr_id) {
				verbose(env, "verifier internal error: meta.dynptr_id already set\n");
				return -EFAULT;
			}
			if (meta.ref_obj_id) {
				verbose(env, "verifier internal error: meta.ref_obj_id already set\n");
				return -EFAULT;
			}

			const id = dynptr_id(env, reg);
			if (id < 0) {
				verbose(env, "verifier internal error: failed to obtain dynptr id\n");
				return id;
			}

			const ref_obj_id = dynptr_ref_obj_id(env, reg);
			if (ref_obj_id < 0) {
				verbose(env, "verifier internal error: failed to obtain dynptr ref_obj_id\n");
				return ref_obj_id;
			}

			meta.dynptr_id = id;
			meta.ref_obj_id = ref_obj_id;

			break;
		}
		case BPF_FUNC_dynptr_write: {
			const reg = get_dynptr_arg_reg(env, fn, regs);
			if (!reg) return -EFAULT;

			const dynptr_type = dynptr_get_type(env, reg);
			if (dynptr_type === BPF_DYNPTR_TYPE_INVALID) return -EFAULT;

			/* Slices of the skb go with its packet pointers. */
			if (dynptr_type === BPF_DYNPTR_TYPE_SKB) changes_data = true;

			break;
		}
		case BPF_FUNC_per_cpu_ptr:
		case BPF_FUNC_this_cpu_ptr: {
			const reg = regs[BPF_REG_1]!;

			if (reg.type & MEM_RCU) {
				const type = btf_type_by_id(reg.btf!, reg.btf_id);
				if (!type || !btf_type_is_struct(type)) {
					verbose(env, "Helper has invalid btf/btf_id in R1\n");
					return -EFAULT;
				}
				returns_cpu_specific_alloc_ptr = true;
				env.insn_aux_data[insn_idx]!.call_with_percpu_alloc_ptr = true;
			}
			break;
		}
		case BPF_FUNC_user_ringbuf_drain:
			err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_user_ringbuf_callback_state);
			break;
		default:
			break;
	}

	if (err) return err;

	for (let i = 0; i < CALLER_SAVED_REGS; i++) {
		mark_reg_not_init(env, regs, caller_saved[i]!);
		check_reg_arg(env, caller_saved[i]!, DST_OP_NO_MARK);
	}

	/* Helpers return 64 bits. */
	const r0 = regs[BPF_REG_0]!;
	r0.subreg_def = DEF_NOT_SUBREG;

	/* R0 is marked as written already. */
	const ret_type = fn.ret_type;
	let ret_flag = type_flag(ret_type);

	switch (base_type(ret_type)) {
		case RET_INTEGER:
			mark_reg_unknown(env, regs, BPF_REG_0);
			break;
		case RET_VOID:
			r0.type = NOT_INIT;
			break;
		case RET_PTR_TO_MAP_VALUE:
			mark_reg_known_zero(env, regs, BPF_REG_0);
			if (meta.map_ptr === null) {
				verbose(env, "kernel subsystem misconfigured verifier\n");
				return -EINVAL;
			}
			r0.map_ptr = meta.map_ptr;
			r0.map_uid = meta.map_uid;
			r0.type = PTR_TO_MAP_VALUE | ret_flag;
			if (!type_may_be_null(ret_type) && btf_record_has_field(meta.map_ptr.record, BPF_SPIN_LOCK)) {
				r0.id = ++env.id_gen;
			}
			break;
		case RET_PTR_TO_SOCKET:
			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_SOCKET | ret_flag;
			break;
		case RET_PTR_TO_SOCK_COMMON:
			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_SOCK_COMMON | ret_flag;
			break;
		case RET_PTR_TO_TCP_SOCK:
			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_TCP_SOCK | ret_flag;
			break;
		case RET_PTR_TO_MEM:
			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_MEM | ret_flag;
			r0.mem_size = meta.mem_size;
			break;
		case RET_PTR_TO_MEM_OR_BTF_ID: {
			mark_reg_known_zero(env, regs, BPF_REG_0);
			const ret_btf = meta.ret_btf!;
			const t = btf_type_skip_modifiers(ret_btf, meta.ret_btf_id, null)!;
			if (!btf_type_is_struct(t)) {
				const tsize: Ref<number> = { val: 0 };
				const ret = btf_resolve_size(ret_btf, t, tsize);
				if (IS_ERR(ret)) {
					const tname = btf_name_by_offset(ret_btf, t.name_off);
					verbose(env, `unable to resolve the size of type '${tname}': ${ret}\n`);
					return -EINVAL;
				}
				r0.type = PTR_TO_MEM | ret_flag;
				r0.mem_size = tsize.val;
			} else {
				if (returns_cpu_specific_alloc_ptr) {
					r0.type = PTR_TO_BTF_ID | MEM_ALLOC | MEM_RCU;
				} else {
					/* Read-only memory is no notion of PTR_TO_BTF_ID. */
					ret_flag &= ~MEM_RDONLY;
					r0.type = PTR_TO_BTF_ID | ret_flag;
				}

				r0.btf = ret_btf;
				r0.btf_id = meta.ret_btf_id;
			}
			break;
		}
		case RET_PTR_TO_BTF_ID: {
			let ret_btf: btf;
			let ret_btf_id: number;

			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_BTF_ID | ret_flag;
			if (func_id === BPF_FUNC_kptr_xchg) {
				const field = meta.kptr_field!;
				ret_btf = field.kptr!.btf;
				ret_btf_id = field.kptr!.btf_id;
				if (!btf_is_kernel(ret_btf)) {
					r0.type |= MEM_ALLOC;
					if (field.type === BPF_KPTR_PERCPU) r0.type |= MEM_PERCPU;
				}
			} else {
				const ref = fn.ret_btf_id;
				if (ref === undefined || ref === BPF_PTR_POISON) {
					verbose(env, "verifier internal error:");
					verbose(env, `func ${func_id_name(func_id)} has non-overwritten BPF_PTR_POISON return type\n`);
					return -EINVAL;
				}
				ret_btf = btf_vmlinux(env);
				ret_btf_id = btf_id_of(env.kernel, ref);
			}
			if (ret_btf_id <= 0) {
				verbose(env, `invalid return type ${base_type(ret_type)} of func ${name()}\n`);
				return -EINVAL;
			}
			r0.btf = ret_btf;
			r0.btf_id = ret_btf_id;
			break;
		}
		default:
			verbose(env, `unknown return type ${base_type(ret_type)} of func ${name()}\n`);
			return -EINVAL;
	}

	if (type_may_be_null(r0.type)) r0.id = ++env.id_gen;

	if (helper_multiple_ref_obj_use(func_id, meta.map_ptr)) {
		verbose(env, `verifier internal error: func ${name()} sets ref_obj_id more than once\n`);
		return -EFAULT;
	}

	if (is_dynptr_ref_function(func_id)) r0.dynptr_id = meta.dynptr_id;

	if (is_ptr_cast_function(func_id) || is_dynptr_ref_function(func_id)) {
		/* For release_reference(). */
		r0.ref_obj_id = meta.ref_obj_id;
	} else if (is_acquire_function(func_id, meta.map_ptr)) {
		const id = acquire_reference_state(env, insn_idx);

		if (id < 0) return id;
		/* For mark_ptr_or_null_reg() and release_reference(). */
		r0.id = id;
		r0.ref_obj_id = id;
	}

	err = do_refine_retval_range(env, regs, fn.ret_type, func_id, meta);
	if (err) return err;

	err = check_map_func_compatibility(env, meta.map_ptr, func_id);
	if (err) return err;

	/* get_callchain_buffers() allocates the kernel's buffers of stack traces; it does not fail here. */
	if ((func_id === BPF_FUNC_get_stack || func_id === BPF_FUNC_get_task_stack) && !env.prog.has_callchain_buf)
		env.prog.has_callchain_buf = true;

	if (func_id === BPF_FUNC_get_stackid || func_id === BPF_FUNC_get_stack) env.prog.call_get_stack = true;

	if (func_id === BPF_FUNC_get_func_ip) {
		if (check_get_func_ip(env)) return -ENOTSUPP;
		env.prog.call_get_func_ip = true;
	}

	if (changes_data) clear_all_pkt_pointers(env);
	return 0;
}
