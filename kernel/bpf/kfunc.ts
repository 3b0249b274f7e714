// SPDX-License-Identifier: GPL-2.0-only
/**
 * Calls of kfuncs (kernel/bpf/verifier.c: mark_btf_func_reg_size, ref_set_non_owning,
 * ref_convert_owning_non_owning, fetch_kfunc_meta, check_kfunc_call).
 */
import {
	BPF_WRITE,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_RDONLY,
	NON_OWN_REF,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TO_MEM,
	PTR_TRUSTED,
	PTR_UNTRUSTED,
} from "../../include/linux/bpf.ts";
import {
	REG_LIVE_READ32,
	REG_LIVE_READ64,
	REG_LIVE_WRITTEN,
	STACK_ITER,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_REG_0, BPF_REG_1, BPF_REG_2 } from "../../include/uapi/linux/bpf.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import { CAP_SYS_BOOT, capable } from "../task.ts";
import type { bpf_insn } from "./bpf_types.ts";
import {
	__btf_type_is_struct,
	btf_find_struct_meta,
	btf_kfunc_id_set_contains,
	btf_name_by_offset,
	btf_params,
	btf_resolve_size,
	btf_type_by_id,
	btf_type_is_ptr,
	btf_type_is_scalar,
	btf_type_is_struct,
	btf_type_is_struct_ptr,
	btf_type_is_void,
	btf_type_skip_modifiers,
	btf_type_str,
	btf_type_vlen,
} from "./btf.ts";
import { check_return_code } from "./check_ld.ts";
import { may_access_direct_pkt_data } from "./check_mem.ts";
import {
	in_rbtree_lock_required_cb,
	push_callback_call,
	release_reference,
	set_rbtree_add_callback_state,
	set_timer_callback_state,
} from "./func_call.ts";
import { get_iter_from_state, is_iter_next_kfunc, process_iter_next_call } from "./iterators.ts";
import { bpf_jit_supports_exceptions } from "./jit_caps.ts";
import {
	__btf_type_is_scalar_struct,
	check_kfunc_args,
	is_kfunc_acquire,
	is_kfunc_destructive,
	is_kfunc_ret_null,
	is_kfunc_sleepable,
} from "./kfunc_args.ts";
import { CALLER_SAVED_REGS, caller_saved, mark_insn_zext, mark_reg_read } from "./liveness.ts";
import { verbose } from "./log.ts";
import {
	btf_vmlinux,
	cur_func,
	cur_regs,
	in_sleepable,
	is_bpf_wq_set_callback_impl_kfunc,
	reg_btf_record,
	reg_may_point_to_spin_lock,
	special_kfunc_list,
	type_flag,
	verifier_btf_ids,
} from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import {
	DEF_NOT_SUBREG,
	mark_reg_graph_node,
	mark_reg_known_zero,
	mark_reg_not_init,
	mark_reg_unknown,
} from "./regs.ts";
import {
	bpf_for_each_reg_in_vstate,
	bpf_for_each_reg_in_vstate_mask,
	get_dynptr_type_flag,
} from "./stack_objs.ts";
import { acquire_reference_state } from "./states.ts";
import { find_kfunc_desc_btf } from "./subprogs.ts";
import type { bpf_kfunc_call_arg_meta, bpf_verifier_env } from "./verifier_types.ts";

export * from "./kfunc_args.ts";

/** kernel/bpf/verifier.c: BPF_GLOBAL_PERCPU_MA_MAX_SIZE */
const BPF_GLOBAL_PERCPU_MA_MAX_SIZE = 512;

/** kernel/bpf/verifier.c: mark_btf_func_reg_size */
export function mark_btf_func_reg_size(env: bpf_verifier_env, regno: number, reg_size: number): void {
	const reg = cur_regs(env)[regno]!;

	if (regno === BPF_REG_0) {
		reg.live |= REG_LIVE_WRITTEN;
		reg.subreg_def = reg_size === 8 ? DEF_NOT_SUBREG : env.insn_idx + 1;
	} else if (reg_size === 8) {
		mark_insn_zext(env, reg);
		mark_reg_read(env, reg, reg.parent, REG_LIVE_READ64);
	} else {
		mark_reg_read(env, reg, reg.parent, REG_LIVE_READ32);
	}
}

/** kernel/bpf/verifier.c: ref_set_non_owning */
export function ref_set_non_owning(env: bpf_verifier_env, reg: bpf_reg_state): number {
	const rec = reg_btf_record(reg);

	if (!env.cur_state!.active_lock.ptr) {
		verbose(env, "verifier internal error: ref_set_non_owning w/o active lock\n");
		return -EFAULT;
	}

	if (type_flag(reg.type) & NON_OWN_REF) {
		verbose(env, "verifier internal error: NON_OWN_REF already set\n");
		return -EFAULT;
	}

	reg.type |= NON_OWN_REF;
	if (rec && rec.refcount_off >= 0) reg.type |= MEM_RCU;

	return 0;
}

function ref_convert_owning_non_owning(env: bpf_verifier_env, ref_obj_id: number): number {
	const state = cur_func(env);

	if (!ref_obj_id) {
		verbose(env, "verifier internal error: ref_obj_id is zero for owning -> non-owning conversion\n");
		return -EFAULT;
	}

	for (const ref of state.refs) {
		if (ref.id !== ref_obj_id) continue;

		/* Without its ref_obj_id release_reference() lets the register be. */
		bpf_for_each_reg_in_vstate(env.cur_state!, (reg) => {
			if (reg.ref_obj_id !== ref_obj_id) return;
			reg.ref_obj_id = 0;
			ref_set_non_owning(env, reg);
		});
		return 0;
	}

	verbose(env, "verifier internal error: ref state missing for ref_obj_id\n");
	return -EFAULT;
}

/** kernel/bpf/verifier.c: fetch_kfunc_meta; `kfunc_name` is set as soon as the kfunc is known, errors or not */
export function fetch_kfunc_meta(
	env: bpf_verifier_env,
	insn: bpf_insn,
	kfunc_name: Ref<string | null> | null,
): bpf_kfunc_call_arg_meta | number {
	if (kfunc_name) kfunc_name.val = null;

	if (!insn.imm) return -EINVAL;

	const desc_btf = find_kfunc_desc_btf(env, insn.off);
	if (IS_ERR(desc_btf)) return desc_btf;

	const func_id = insn.imm;
	const func = btf_type_by_id(desc_btf, func_id)!;
	const func_name = btf_name_by_offset(desc_btf, func.name_off)!;
	if (kfunc_name) kfunc_name.val = func_name;
	const func_proto = btf_type_by_id(desc_btf, func.type)!;

	const kfunc_flags = btf_kfunc_id_set_contains(desc_btf, func_id, env.prog);
	if (kfunc_flags === null) return -EACCES;

	return {
		btf: desc_btf,
		func_id,
		kfunc_flags,
		func_proto,
		func_name,
		ref_obj_id: 0,
		release_regno: 0,
		r0_rdonly: false,
		ret_btf_id: 0,
		r0_size: 0n,
		subprogno: 0,
		arg_constant: { value: 0n, found: false },
		arg_btf: null,
		arg_btf_id: 0,
		arg_owning_ref: false,
		arg_list_head: { field: null },
		arg_rbtree_root: { field: null },
		initialized_dynptr: { type: 0, id: 0, ref_obj_id: 0 },
		iter: { spi: 0, frameno: 0 },
		map: { ptr: null, uid: 0 },
		mem_size: 0n,
	};
}

/** bpf_rcu_read_lock() and its kin: what they do to the state, and where they may not be called. */
function check_kfunc_regions(
	env: bpf_verifier_env,
	meta: bpf_kfunc_call_arg_meta,
	func_name: string,
	sleepable: boolean,
): number {
	const special = special_kfunc_list(env);
	const state = env.cur_state!;
	const rcu_lock = meta.func_id === special.bpf_rcu_read_lock;
	const rcu_unlock = meta.func_id === special.bpf_rcu_read_unlock;
	const preempt_disable = meta.func_id === special.bpf_preempt_disable;
	const preempt_enable = meta.func_id === special.bpf_preempt_enable;

	if (state.active_rcu_lock) {
		if (in_rbtree_lock_required_cb(env) && (rcu_lock || rcu_unlock)) {
			verbose(env, "Calling bpf_rcu_read_{lock,unlock} in unnecessary rbtree callback\n");
			return -EACCES;
		}

		if (rcu_lock) {
			verbose(env, `nested rcu read lock (kernel function ${func_name})\n`);
			return -EINVAL;
		} else if (rcu_unlock) {
			bpf_for_each_reg_in_vstate_mask(state, (1 << STACK_SPILL) | (1 << STACK_ITER), (reg) => {
				if (reg.type & MEM_RCU) {
					reg.type &= ~(MEM_RCU | PTR_MAYBE_NULL);
					reg.type |= PTR_UNTRUSTED;
				}
			});
			state.active_rcu_lock = false;
		} else if (sleepable) {
			verbose(env, `kernel func ${func_name} is sleepable within rcu_read_lock region\n`);
			return -EACCES;
		}
	} else if (rcu_lock) {
		state.active_rcu_lock = true;
	} else if (rcu_unlock) {
		verbose(env, `unmatched rcu read unlock (kernel function ${func_name})\n`);
		return -EINVAL;
	}

	if (state.active_preempt_lock) {
		if (preempt_disable) {
			state.active_preempt_lock++;
		} else if (preempt_enable) {
			state.active_preempt_lock--;
		} else if (sleepable) {
			verbose(env, `kernel func ${func_name} is sleepable within non-preemptible region\n`);
			return -EACCES;
		}
	} else if (preempt_disable) {
		state.active_preempt_lock++;
	} else if (preempt_enable) {
		verbose(env, `unmatched attempt to enable preemption (kernel function ${func_name})\n`);
		return -EINVAL;
	}

	return 0;
}

/** What kfuncs of special_kfunc_set return a pointer to: known to the verifier alone. */
function set_special_return(
	env: bpf_verifier_env,
	meta: bpf_kfunc_call_arg_meta,
	regs: readonly bpf_reg_state[],
	insn_idx: number,
): number {
	const special = special_kfunc_list(env);
	const insn_aux = env.insn_aux_data[insn_idx]!;
	const r0 = regs[BPF_REG_0]!;
	const desc_btf = meta.btf;
	const func_id = meta.func_id;

	if (func_id === special.bpf_obj_new_impl || func_id === special.bpf_percpu_obj_new_impl) {
		const percpu = func_id === special.bpf_percpu_obj_new_impl;

		if (BigInt.asUintN(32, meta.arg_constant.value) !== meta.arg_constant.value) {
			verbose(env, "local type ID argument must be in range [0, U32_MAX]\n");
			return -EINVAL;
		}

		const ret_btf = env.prog.aux.btf;
		const ret_btf_id = Number(meta.arg_constant.value);

		if (!ret_btf) {
			verbose(env, "bpf_obj_new/bpf_percpu_obj_new requires prog BTF\n");
			return -EINVAL;
		}

		const ret_t = btf_type_by_id(ret_btf, ret_btf_id);
		if (!ret_t || !__btf_type_is_struct(ret_t)) {
			verbose(env, "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct\n");
			return -EINVAL;
		}

		if (percpu) {
			if (ret_t.size > BPF_GLOBAL_PERCPU_MA_MAX_SIZE) {
				verbose(
					env,
					`bpf_percpu_obj_new type size (${ret_t.size}) is greater than ${BPF_GLOBAL_PERCPU_MA_MAX_SIZE}\n`,
				);
				return -EINVAL;
			}
			/* bpf_mem_alloc_percpu_unit_init() has no cache for objects of no size. */
			if (ret_t.size === 0) return -EINVAL;
		}

		const struct_meta = btf_find_struct_meta(ret_btf, ret_btf_id);
		if (percpu) {
			if (!__btf_type_is_scalar_struct(env, ret_btf, ret_t, 0)) {
				verbose(env, "bpf_percpu_obj_new type ID argument must be of a struct of scalars\n");
				return -EINVAL;
			}

			if (struct_meta) {
				verbose(env, "bpf_percpu_obj_new type ID argument must not contain special fields\n");
				return -EINVAL;
			}
		}

		mark_reg_known_zero(env, regs, BPF_REG_0);
		r0.type = PTR_TO_BTF_ID | MEM_ALLOC;
		r0.btf = ret_btf;
		r0.btf_id = ret_btf_id;
		if (percpu) r0.type |= MEM_PERCPU;

		insn_aux.obj_new_size = BigInt(ret_t.size);
		insn_aux.kptr_struct_meta = struct_meta;
	} else if (func_id === special.bpf_refcount_acquire_impl) {
		mark_reg_known_zero(env, regs, BPF_REG_0);
		r0.type = PTR_TO_BTF_ID | MEM_ALLOC;
		r0.btf = meta.arg_btf;
		r0.btf_id = meta.arg_btf_id;

		insn_aux.kptr_struct_meta = btf_find_struct_meta(meta.arg_btf!, meta.arg_btf_id);
	} else if (func_id === special.bpf_list_pop_front || func_id === special.bpf_list_pop_back) {
		mark_reg_graph_node(regs, BPF_REG_0, meta.arg_list_head.field!.graph_root!);
	} else if (func_id === special.bpf_rbtree_remove || func_id === special.bpf_rbtree_first) {
		mark_reg_graph_node(regs, BPF_REG_0, meta.arg_rbtree_root.field!.graph_root!);
	} else if (func_id === special.bpf_cast_to_kern_ctx) {
		mark_reg_known_zero(env, regs, BPF_REG_0);
		r0.type = PTR_TO_BTF_ID | PTR_TRUSTED;
		r0.btf = desc_btf;
		r0.btf_id = meta.ret_btf_id;
	} else if (func_id === special.bpf_rdonly_cast) {
		const id = Number(BigInt.asUintN(32, meta.arg_constant.value));
		const ret_t = btf_type_by_id(desc_btf, id);
		if (!ret_t || !btf_type_is_struct(ret_t)) {
			verbose(env, "kfunc bpf_rdonly_cast type ID argument must be of a struct\n");
			return -EINVAL;
		}

		mark_reg_known_zero(env, regs, BPF_REG_0);
		r0.type = PTR_TO_BTF_ID | PTR_UNTRUSTED;
		r0.btf = desc_btf;
		r0.btf_id = id;
	} else if (func_id === special.bpf_dynptr_slice || func_id === special.bpf_dynptr_slice_rdwr) {
		const dynptr_flag = get_dynptr_type_flag(meta.initialized_dynptr.type);

		mark_reg_known_zero(env, regs, BPF_REG_0);

		if (!meta.arg_constant.found) {
			verbose(env, "verifier internal error: bpf_dynptr_slice(_rdwr) no constant size\n");
			return -EFAULT;
		}

		r0.mem_size = Number(BigInt.asUintN(32, meta.arg_constant.value));

		/* PTR_MAYBE_NULL comes with KF_RET_NULL. */
		r0.type = PTR_TO_MEM | dynptr_flag;

		if (func_id === special.bpf_dynptr_slice) {
			r0.type |= MEM_RDONLY;
		} else if (!may_access_direct_pkt_data(env, null, BPF_WRITE)) {
			/* Were it allowed, env.seen_direct_write would be set now. */
			verbose(env, "the prog does not allow writes to packet data\n");
			return -EINVAL;
		}

		if (!meta.initialized_dynptr.id) {
			verbose(env, "verifier internal error: no dynptr id\n");
			return -EFAULT;
		}
		/* Packet slices hold no reference, so no ref_obj_id. */
		r0.dynptr_id = meta.initialized_dynptr.id;
	} else {
		verbose(env, `kernel function ${meta.func_name} unhandled dynamic return type\n`);
		return -EFAULT;
	}

	return 0;
}

/** kernel/bpf/verifier.c: check_kfunc_call */
export function check_kfunc_call(env: bpf_verifier_env, insn: bpf_insn, insn_idx_p: Ref<number>): number {
	const regs = cur_regs(env);
	const insn_idx = insn_idx_p.val;

	/* Dead code may hold one without an id; fixup_kfunc_call() objects if it is alive. */
	if (!insn.imm) return 0;

	const name: Ref<string | null> = { val: null };
	const meta = fetch_kfunc_meta(env, insn, name);
	if (meta === -EACCES && name.val) verbose(env, `calling kernel function ${name.val} is not allowed\n`);
	if (IS_ERR(meta)) return meta;
	let err: number;
	const func_name = meta.func_name;
	const desc_btf = meta.btf;
	const insn_aux = env.insn_aux_data[insn_idx]!;
	const special = special_kfunc_list(env);
	const is_vmlinux = meta.btf === btf_vmlinux(env);
	const is_special = is_vmlinux && verifier_btf_ids(env).special_set.has(meta.func_id);

	insn_aux.is_iter_next = is_iter_next_kfunc(meta);

	if (is_kfunc_destructive(meta) && !capable(env.kernel.current, CAP_SYS_BOOT)) {
		verbose(env, "destructive kfunc calls require CAP_SYS_BOOT capability\n");
		return -EACCES;
	}

	const sleepable = is_kfunc_sleepable(meta);
	if (sleepable && !in_sleepable(env)) {
		verbose(env, `program must be sleepable to call sleepable kfunc ${func_name}\n`);
		return -EACCES;
	}

	err = check_kfunc_args(env, meta, insn_idx);
	if (err < 0) return err;

	if (meta.func_id === special.bpf_rbtree_add_impl) {
		err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_rbtree_add_callback_state);
		if (err) {
			verbose(env, `kfunc ${func_name}#${meta.func_id} failed callback verification\n`);
			return err;
		}
	}

	if (meta.func_id === special.bpf_session_cookie) {
		meta.r0_size = 8n;
		meta.r0_rdonly = false;
	}

	if (is_bpf_wq_set_callback_impl_kfunc(env, meta.func_id)) {
		err = push_callback_call(env, insn, insn_idx, meta.subprogno, set_timer_callback_state);
		if (err) {
			verbose(env, `kfunc ${func_name}#${meta.func_id} failed callback verification\n`);
			return err;
		}
	}

	err = check_kfunc_regions(env, meta, func_name, sleepable);
	if (err) return err;

	if (meta.release_regno) {
		err = release_reference(env, regs[meta.release_regno]!.ref_obj_id);
		if (err) {
			verbose(env, `kfunc ${func_name}#${meta.func_id} reference has not been acquired before\n`);
			return err;
		}
	}

	if (
		meta.func_id === special.bpf_list_push_front_impl ||
		meta.func_id === special.bpf_list_push_back_impl ||
		meta.func_id === special.bpf_rbtree_add_impl
	) {
		const r2 = regs[BPF_REG_2]!;
		const release_ref_obj_id = r2.ref_obj_id;
		insn_aux.insert_off = BigInt.asUintN(64, BigInt(r2.off));
		insn_aux.kptr_struct_meta = btf_find_struct_meta(meta.arg_btf!, meta.arg_btf_id);
		err = ref_convert_owning_non_owning(env, release_ref_obj_id);
		if (err) {
			verbose(env, `kfunc ${func_name}#${meta.func_id} conversion of owning ref to non-owning failed\n`);
			return err;
		}

		err = release_reference(env, release_ref_obj_id);
		if (err) {
			verbose(env, `kfunc ${func_name}#${meta.func_id} reference has not been acquired before\n`);
			return err;
		}
	}

	if (meta.func_id === special.bpf_throw) {
		if (!bpf_jit_supports_exceptions(env.kernel)) {
			verbose(env, `JIT does not support calling kfunc ${func_name}#${meta.func_id}\n`);
			return -ENOTSUPP;
		}
		env.seen_exception = true;

		/* Without a callback of its own the program returns the cookie. */
		if (!env.exception_callback_subprog) {
			err = check_return_code(env, BPF_REG_1, "R1");
			if (err < 0) return err;
		}
	}

	for (let i = 0; i < CALLER_SAVED_REGS; i++) mark_reg_not_init(env, regs, caller_saved[i]!);

	const t = btf_type_skip_modifiers(desc_btf, meta.func_proto.type, null)!;

	if (is_kfunc_acquire(meta) && !btf_type_is_struct_ptr(meta.btf, t)) {
		/* Only those whose type the verifier makes up may look otherwise. */
		if (
			!is_vmlinux ||
			(meta.func_id !== special.bpf_obj_new_impl &&
				meta.func_id !== special.bpf_percpu_obj_new_impl &&
				meta.func_id !== special.bpf_refcount_acquire_impl)
		) {
			verbose(env, "acquire kernel function does not return PTR_TO_BTF_ID\n");
			return -EINVAL;
		}
	}

	const r0 = regs[BPF_REG_0]!;
	if (btf_type_is_scalar(t)) {
		mark_reg_unknown(env, regs, BPF_REG_0);
		mark_btf_func_reg_size(env, BPF_REG_0, t.size);
	} else if (btf_type_is_ptr(t)) {
		const ptr_type_id: Ref<number> = { val: 0 };
		const ptr_type = btf_type_skip_modifiers(desc_btf, t.type, ptr_type_id)!;

		if (is_special) {
			err = set_special_return(env, meta, regs, insn_idx);
			if (err) return err;
		} else if (btf_type_is_void(ptr_type)) {
			/* void * is as good as a scalar. */
			mark_reg_unknown(env, regs, BPF_REG_0);
		} else if (!__btf_type_is_struct(ptr_type)) {
			if (!meta.r0_size) {
				const sz: Ref<number> = { val: 0 };

				if (!IS_ERR(btf_resolve_size(desc_btf, ptr_type, sz))) {
					meta.r0_size = BigInt(sz.val);
					meta.r0_rdonly = true;
				}
			}
			if (!meta.r0_size) {
				const ptr_type_name = btf_name_by_offset(desc_btf, ptr_type.name_off);
				verbose(
					env,
					`kernel function ${func_name} returns pointer type ${btf_type_str(ptr_type)} ${ptr_type_name} is not supported\n`,
				);
				return -EINVAL;
			}

			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.type = PTR_TO_MEM;
			r0.mem_size = Number(BigInt.asUintN(32, meta.r0_size));

			if (meta.r0_rdonly) r0.type |= MEM_RDONLY;

			/* The memory goes with the reference it came from. */
			if (meta.ref_obj_id) r0.ref_obj_id = meta.ref_obj_id;
		} else {
			mark_reg_known_zero(env, regs, BPF_REG_0);
			r0.btf = desc_btf;
			r0.type = PTR_TO_BTF_ID;
			r0.btf_id = ptr_type_id.val;

			if (is_iter_next_kfunc(meta)) {
				const cur_iter = get_iter_from_state(env.cur_state!, meta);

				/* MEM_RCU: KF_RCU_PROTECTED */
				if (cur_iter.type & MEM_RCU) r0.type |= MEM_RCU;
				else r0.type |= PTR_TRUSTED;
			}
		}

		if (is_kfunc_ret_null(env, meta)) {
			r0.type |= PTR_MAYBE_NULL;
			r0.id = ++env.id_gen;
		}
		mark_btf_func_reg_size(env, BPF_REG_0, 8);
		if (is_kfunc_acquire(meta)) {
			const id = acquire_reference_state(env, insn_idx);

			if (id < 0) return id;
			if (is_kfunc_ret_null(env, meta)) r0.id = id;
			r0.ref_obj_id = id;
		} else if (meta.func_id === special.bpf_rbtree_first) {
			ref_set_non_owning(env, r0);
		}

		if (reg_may_point_to_spin_lock(r0) && !r0.id) r0.id = ++env.id_gen;
	} else if (btf_type_is_void(t)) {
		if (
			is_special &&
			(meta.func_id === special.bpf_obj_drop_impl || meta.func_id === special.bpf_percpu_obj_drop_impl)
		)
			insn_aux.kptr_struct_meta = btf_find_struct_meta(meta.arg_btf!, meta.arg_btf_id);
	}

	const nargs = btf_type_vlen(meta.func_proto);
	const args = btf_params(meta.func_proto);
	for (let i = 0; i < nargs; i++) {
		const at = btf_type_skip_modifiers(desc_btf, args[i]!.type, null)!;
		if (btf_type_is_ptr(at)) mark_btf_func_reg_size(env, i + 1, 8);
		/* A scalar, as check_kfunc_args() made sure. */ else mark_btf_func_reg_size(env, i + 1, at.size);
	}

	if (is_iter_next_kfunc(meta)) {
		err = process_iter_next_call(env, insn_idx, meta);
		if (err) return err;
	}

	return 0;
}
