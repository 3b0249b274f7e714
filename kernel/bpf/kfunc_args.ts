// SPDX-License-Identifier: GPL-2.0-only
/**
 * Arguments of kfuncs (kernel/bpf/verifier.c: is_kfunc_acquire to check_kfunc_args).
 *
 * What an argument is follows from the kfunc's BTF: its type, and suffixes of its name.
 */
import {
	ARG_DONTCARE,
	ARG_PTR_TO_DYNPTR,
	BPF_DYNPTR_TYPE_INVALID,
	BPF_LIST_HEAD,
	BPF_LIST_NODE,
	BPF_RB_NODE,
	BPF_RB_ROOT,
	CONST_PTR_TO_DYNPTR,
	CONST_PTR_TO_MAP,
	DYNPTR_TYPE_SKB,
	DYNPTR_TYPE_XDP,
	MAX_BPF_FUNC_REG_ARGS,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RDONLY,
	MEM_UNINIT,
	OBJ_RELEASE,
	PTR_TO_BTF_ID,
	PTR_TO_CTX,
	PTR_TO_FUNC,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_REG_TRUSTED_MODIFIERS } from "../../include/linux/bpf_verifier.ts";
import {
	KF_ACQUIRE,
	KF_DESTRUCTIVE,
	KF_RCU,
	KF_RELEASE,
	KF_RET_NULL,
	KF_SLEEPABLE,
	KF_TRUSTED_ARGS,
} from "../../include/linux/btf.ts";
import { EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER } from "../../include/uapi/linux/bpf.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import { mark_chain_precision } from "./backtrack.ts";
import {
	btf_array,
	btf_field_type_name,
	btf_is_prog_ctx_type,
	btf_is_projection_of,
	btf_name_by_offset,
	btf_param_match_suffix,
	btf_params,
	btf_record_find,
	btf_resolve_size,
	btf_struct_ids_match,
	btf_type_by_id,
	btf_type_ids_nocast_alias,
	btf_type_is_array,
	btf_type_is_ptr,
	btf_type_is_scalar,
	btf_type_is_struct,
	btf_type_is_void,
	btf_type_member,
	btf_type_resolve_func_ptr,
	btf_type_skip_modifiers,
	btf_type_str,
	btf_type_vlen,
	btf_types_are_same,
	get_kern_ctx_btf_id,
} from "./btf.ts";
import { btf_id_of } from "./btf_ids.ts";
import type { btf, btf_field, btf_param, btf_type } from "./btf_types.ts";
import { is_rcu_reg, is_trusted_reg, reg2btf_ids } from "./check_mem.ts";
import {
	check_func_arg_reg_off,
	check_kfunc_mem_size_reg,
	check_mem_reg,
	check_reg_const_str,
	process_dynptr_func,
	process_wq_func,
	reg_find_field_offset,
} from "./func_arg.ts";
import { in_rbtree_lock_required_cb } from "./func_call.ts";
import { is_kfunc_arg_iter, process_iter_arg } from "./iterators.ts";
import { reg_type_str, verbose } from "./log.ts";
import {
	base_type,
	bpf_type_has_unsafe_modifiers,
	btf_vmlinux,
	cur_regs,
	in_sleepable,
	reg_btf_record,
	resolve_prog_type,
	special_kfunc_list,
	type_flag,
	type_is_non_owning_ref,
	type_is_ptr_alloc_obj,
	type_may_be_null,
} from "./predicates.ts";
import { type bpf_reg_state, R_RAW1, R_RAW1_HI } from "./reg_state.ts";
import { register_is_null } from "./regs.ts";
import {
	dynptr_get_type,
	dynptr_id,
	dynptr_ref_obj_id,
	dynptr_type_refcounted,
	get_dynptr_type_flag,
	reg_const_off,
} from "./stack_objs.ts";
import type { bpf_kfunc_call_arg_meta, bpf_verifier_env } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: is_kfunc_acquire */
export function is_kfunc_acquire(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_ACQUIRE) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_release */
export function is_kfunc_release(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_RELEASE) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_trusted_args */
export function is_kfunc_trusted_args(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_TRUSTED_ARGS) !== 0 || is_kfunc_release(meta);
}

/** kernel/bpf/verifier.c: is_kfunc_sleepable */
export function is_kfunc_sleepable(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_SLEEPABLE) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_destructive */
export function is_kfunc_destructive(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_DESTRUCTIVE) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_rcu */
export function is_kfunc_rcu(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_RCU) !== 0;
}

/** kernel/bpf/verifier.c: is_kfunc_ret_null */
export function is_kfunc_ret_null(env: bpf_verifier_env, meta: bpf_kfunc_call_arg_meta): boolean {
	if (meta.func_id === special_kfunc_list(env).bpf_refcount_acquire_impl && meta.arg_owning_ref) return false;

	return (meta.kfunc_flags & KF_RET_NULL) !== 0;
}

function is_scalar_arg(btf: btf, arg: btf_param, reg: bpf_reg_state): boolean {
	const t = btf_type_skip_modifiers(btf, arg.type, null)!;
	return btf_type_is_scalar(t) && reg.type === SCALAR_VALUE;
}

function is_kfunc_arg_mem_size(btf: btf, arg: btf_param, reg: bpf_reg_state): boolean {
	return is_scalar_arg(btf, arg, reg) && btf_param_match_suffix(btf, arg, "__sz");
}

function is_kfunc_arg_const_mem_size(btf: btf, arg: btf_param, reg: bpf_reg_state): boolean {
	return is_scalar_arg(btf, arg, reg) && btf_param_match_suffix(btf, arg, "__szk");
}

function is_kfunc_arg_scalar_with_name(btf: btf, arg: btf_param, name: string): boolean {
	return btf_name_by_offset(btf, arg.name_off) === name;
}

function __is_kfunc_ptr_arg_type(env: bpf_verifier_env, btf: btf, arg: btf_param, name: string): boolean {
	let t = btf_type_skip_modifiers(btf, arg.type, null);
	if (!t) return false;
	if (!btf_type_is_ptr(t)) return false;
	const res_id: Ref<number> = { val: 0 };
	t = btf_type_skip_modifiers(btf, t.type, res_id);
	if (!t) return false;
	return btf_types_are_same(
		btf,
		res_id.val,
		btf_vmlinux(env),
		btf_id_of(env.kernel, { kind: "struct", name }),
	);
}

/** kernel/bpf/verifier.c: __btf_type_is_scalar_struct: nothing but scalars, nested four deep at most */
export function __btf_type_is_scalar_struct(
	env: bpf_verifier_env,
	btf: btf,
	t: btf_type,
	rec: number,
): boolean {
	if (!btf_type_is_struct(t)) return false;

	for (const member of btf_type_member(t)) {
		let member_type = btf_type_skip_modifiers(btf, member.type, null)!;
		if (btf_type_is_struct(member_type)) {
			if (rec >= 3) {
				verbose(env, "max struct nesting depth exceeded\n");
				return false;
			}
			if (!__btf_type_is_scalar_struct(env, btf, member_type, rec + 1)) return false;
			continue;
		}
		if (btf_type_is_array(member_type)) {
			const array = btf_array(member_type);
			if (!array.nelems) return false;
			member_type = btf_type_skip_modifiers(btf, array.type, null)!;
			if (!btf_type_is_scalar(member_type)) return false;
			continue;
		}
		if (!btf_type_is_scalar(member_type)) return false;
	}
	return true;
}

/* enum kfunc_ptr_arg_type */
const KF_ARG_PTR_TO_CTX = 0;
/** An allocated object. */
const KF_ARG_PTR_TO_ALLOC_BTF_ID = 1;
const KF_ARG_PTR_TO_REFCOUNTED_KPTR = 2;
const KF_ARG_PTR_TO_DYNPTR = 3;
const KF_ARG_PTR_TO_ITER = 4;
const KF_ARG_PTR_TO_LIST_HEAD = 5;
const KF_ARG_PTR_TO_LIST_NODE = 6;
/** Also what reg2btf_ids stands for. */
const KF_ARG_PTR_TO_BTF_ID = 7;
const KF_ARG_PTR_TO_MEM = 8;
/** The next argument is its size. */
const KF_ARG_PTR_TO_MEM_SIZE = 9;
const KF_ARG_PTR_TO_CALLBACK = 10;
const KF_ARG_PTR_TO_RB_ROOT = 11;
const KF_ARG_PTR_TO_RB_NODE = 12;
const KF_ARG_PTR_TO_NULL = 13;
const KF_ARG_PTR_TO_CONST_STR = 14;
const KF_ARG_PTR_TO_MAP = 15;
const KF_ARG_PTR_TO_WORKQUEUE = 16;

function get_kfunc_ptr_arg_type(
	env: bpf_verifier_env,
	meta: bpf_kfunc_call_arg_meta,
	t: btf_type,
	ref_t: btf_type,
	ref_tname: string,
	args: readonly btf_param[],
	argno: number,
	nargs: number,
): number {
	const regno = argno + 1;
	const regs = cur_regs(env);
	const reg = regs[regno]!;
	const arg = args[argno]!;
	const btf = meta.btf;

	if (meta.func_id === special_kfunc_list(env).bpf_cast_to_kern_ctx) return KF_ARG_PTR_TO_CTX;

	/* The BTF alone decides up to here; how the register fits is the caller's question. */
	if (btf_is_prog_ctx_type(env.log, btf, t, resolve_prog_type(env.prog), argno)) return KF_ARG_PTR_TO_CTX;

	if (btf_param_match_suffix(btf, arg, "__nullable") && register_is_null(reg)) return KF_ARG_PTR_TO_NULL;

	if (btf_param_match_suffix(btf, arg, "__alloc")) return KF_ARG_PTR_TO_ALLOC_BTF_ID;

	if (btf_param_match_suffix(btf, arg, "__refcounted_kptr")) return KF_ARG_PTR_TO_REFCOUNTED_KPTR;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_dynptr")) return KF_ARG_PTR_TO_DYNPTR;

	if (is_kfunc_arg_iter(meta, argno, arg)) return KF_ARG_PTR_TO_ITER;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_list_head")) return KF_ARG_PTR_TO_LIST_HEAD;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_list_node")) return KF_ARG_PTR_TO_LIST_NODE;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_rb_root")) return KF_ARG_PTR_TO_RB_ROOT;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_rb_node")) return KF_ARG_PTR_TO_RB_NODE;

	if (btf_param_match_suffix(btf, arg, "__str")) return KF_ARG_PTR_TO_CONST_STR;

	if (btf_param_match_suffix(btf, arg, "__map")) return KF_ARG_PTR_TO_MAP;

	if (__is_kfunc_ptr_arg_type(env, btf, arg, "bpf_wq")) return KF_ARG_PTR_TO_WORKQUEUE;

	if (base_type(reg.type) === PTR_TO_BTF_ID || reg2btf_ids[base_type(reg.type)]) {
		if (!btf_type_is_struct(ref_t)) {
			verbose(
				env,
				`kernel function ${meta.func_name} args#${argno} pointer type ${btf_type_str(ref_t)} ${ref_tname} is not supported\n`,
			);
			return -EINVAL;
		}
		return KF_ARG_PTR_TO_BTF_ID;
	}

	if (btf_type_resolve_func_ptr(btf, arg.type, null)) return KF_ARG_PTR_TO_CALLBACK;

	const arg_mem_size =
		argno + 1 < nargs &&
		(is_kfunc_arg_mem_size(btf, args[argno + 1]!, regs[regno + 1]!) ||
			is_kfunc_arg_const_mem_size(btf, args[argno + 1]!, regs[regno + 1]!));

	/* Memory: scalars, structs of scalars, and with a size also void. */
	if (
		!btf_type_is_scalar(ref_t) &&
		!__btf_type_is_scalar_struct(env, btf, ref_t, 0) &&
		(arg_mem_size ? !btf_type_is_void(ref_t) : true)
	) {
		verbose(
			env,
			`arg#${argno} pointer type ${btf_type_str(ref_t)} ${ref_tname} must point to ${arg_mem_size ? "void, " : ""}scalar, or struct with scalar\n`,
		);
		return -EINVAL;
	}
	return arg_mem_size ? KF_ARG_PTR_TO_MEM_SIZE : KF_ARG_PTR_TO_MEM;
}

function process_kf_arg_ptr_to_btf_id(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	ref_t: btf_type,
	ref_tname: string,
	ref_id: number,
	meta: bpf_kfunc_call_arg_meta,
	argno: number,
): number {
	let reg_btf: btf;
	const reg_ref_id: Ref<number> = { val: 0 };

	if (base_type(reg.type) === PTR_TO_BTF_ID) {
		reg_btf = reg.btf!;
		reg_ref_id.val = reg.btf_id;
	} else {
		reg_btf = btf_vmlinux(env);
		reg_ref_id.val = btf_id_of(env.kernel, reg2btf_ids[base_type(reg.type)]!);
	}

	/*
	 * Acquiring, releasing and types that are no aliases of each other want the very type; elsewhere
	 * a struct that begins with the wanted one will do.
	 */
	const strict_type_match =
		(is_kfunc_release(meta) && reg.ref_obj_id !== 0) ||
		btf_type_ids_nocast_alias(env.log, reg_btf, reg_ref_id.val, meta.btf, ref_id);

	const reg_ref_t = btf_type_skip_modifiers(reg_btf, reg_ref_id.val, reg_ref_id)!;
	const reg_ref_tname = btf_name_by_offset(reg_btf, reg_ref_t.name_off)!;
	const struct_same = btf_struct_ids_match(
		env.log,
		reg_btf,
		reg_ref_id.val,
		reg.off,
		meta.btf,
		ref_id,
		strict_type_match,
	);
	/* A kfunc that takes a projection (__sk_buff) gets what is behind it. */
	const taking_projection = btf_is_projection_of(ref_tname, reg_ref_tname);
	if (!taking_projection && !struct_same) {
		verbose(
			env,
			`kernel function ${meta.func_name} args#${argno} expected pointer to ${btf_type_str(ref_t)} ${ref_tname} but R${argno + 1} has a pointer to ${btf_type_str(reg_ref_t)} ${reg_ref_tname}\n`,
		);
		return -EINVAL;
	}
	return 0;
}

/**
 * kernel/bpf/verifier.c: check_reg_allocation_locked: the lock held must lie in the allocation that
 * the register points to: same map or BTF, same id.
 */
function check_reg_allocation_locked(env: bpf_verifier_env, reg: bpf_reg_state): number {
	const lock = env.cur_state!.active_lock;
	let ptr: object | null;

	switch (reg.type) {
		case PTR_TO_MAP_VALUE:
			ptr = reg.map_ptr;
			break;
		case PTR_TO_BTF_ID | MEM_ALLOC:
			ptr = reg.btf;
			break;
		default:
			verbose(env, "verifier internal error: unknown reg type for lock check\n");
			return -EFAULT;
	}

	if (!lock.ptr) return -EINVAL;
	if (lock.ptr !== ptr || lock.id !== reg.id) {
		verbose(env, "held lock and object are not in the same allocation\n");
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/verifier.c: is_bpf_list_api_kfunc */
export function is_bpf_list_api_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	const k = special_kfunc_list(env);
	return (
		btf_id === k.bpf_list_push_front_impl ||
		btf_id === k.bpf_list_push_back_impl ||
		btf_id === k.bpf_list_pop_front ||
		btf_id === k.bpf_list_pop_back
	);
}

/** kernel/bpf/verifier.c: is_bpf_rbtree_api_kfunc */
export function is_bpf_rbtree_api_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	const k = special_kfunc_list(env);
	return btf_id === k.bpf_rbtree_add_impl || btf_id === k.bpf_rbtree_remove || btf_id === k.bpf_rbtree_first;
}

/** kernel/bpf/verifier.c: is_bpf_graph_api_kfunc */
export function is_bpf_graph_api_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return (
		is_bpf_list_api_kfunc(env, btf_id) ||
		is_bpf_rbtree_api_kfunc(env, btf_id) ||
		btf_id === special_kfunc_list(env).bpf_refcount_acquire_impl
	);
}

/** kernel/bpf/verifier.c: is_rbtree_lock_required_kfunc */
export function is_rbtree_lock_required_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return is_bpf_rbtree_api_kfunc(env, btf_id);
}

function check_kfunc_is_graph_root_api(
	env: bpf_verifier_env,
	head_field_type: number,
	kfunc_btf_id: number,
): boolean {
	const type_name = btf_field_type_name(head_field_type);
	let ret: boolean;

	switch (head_field_type) {
		case BPF_LIST_HEAD:
			ret = is_bpf_list_api_kfunc(env, kfunc_btf_id);
			break;
		case BPF_RB_ROOT:
			ret = is_bpf_rbtree_api_kfunc(env, kfunc_btf_id);
			break;
		default:
			verbose(env, `verifier internal error: unexpected graph root argument type ${type_name}\n`);
			return false;
	}

	if (!ret) verbose(env, `verifier internal error: ${type_name} head arg for unknown kfunc\n`);
	return ret;
}

function check_kfunc_is_graph_node_api(
	env: bpf_verifier_env,
	node_field_type: number,
	kfunc_btf_id: number,
): boolean {
	const k = special_kfunc_list(env);
	const type_name = btf_field_type_name(node_field_type);
	let ret: boolean;

	switch (node_field_type) {
		case BPF_LIST_NODE:
			ret = kfunc_btf_id === k.bpf_list_push_front_impl || kfunc_btf_id === k.bpf_list_push_back_impl;
			break;
		case BPF_RB_NODE:
			ret = kfunc_btf_id === k.bpf_rbtree_remove || kfunc_btf_id === k.bpf_rbtree_add_impl;
			break;
		default:
			verbose(env, `verifier internal error: unexpected graph node argument type ${type_name}\n`);
			return false;
	}

	if (!ret) verbose(env, `verifier internal error: ${type_name} node arg for unknown kfunc\n`);
	return ret;
}

function __process_kf_arg_ptr_to_graph_root(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	meta: bpf_kfunc_call_arg_meta,
	head_field_type: number,
	head: { field: btf_field | null },
): number {
	if (meta.btf !== btf_vmlinux(env)) {
		verbose(env, "verifier internal error: unexpected btf mismatch in kfunc call\n");
		return -EFAULT;
	}

	if (!check_kfunc_is_graph_root_api(env, head_field_type, meta.func_id)) return -EFAULT;

	const head_type_name = btf_field_type_name(head_field_type);
	if (!reg.var_off_is_const) {
		verbose(
			env,
			`R${regno} doesn't have constant offset. ${head_type_name} has to be at the constant offset\n`,
		);
		return -EINVAL;
	}

	const rec = reg_btf_record(reg);
	const head_off = reg_const_off(reg) >>> 0;
	const field = rec ? btf_record_find(rec, head_off, head_field_type) : null;
	if (!field) {
		verbose(env, `${head_type_name} not found at offset=${head_off}\n`);
		return -EINVAL;
	}

	if (check_reg_allocation_locked(env, reg)) {
		verbose(env, `bpf_spin_lock at off=${rec!.spin_lock_off} must be held for ${head_type_name}\n`);
		return -EINVAL;
	}

	if (head.field) {
		verbose(env, `verifier internal error: repeating ${head_type_name} arg\n`);
		return -EFAULT;
	}
	head.field = field;
	return 0;
}

function __process_kf_arg_ptr_to_graph_node(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	meta: bpf_kfunc_call_arg_meta,
	head_field_type: number,
	node_field_type: number,
	node: { field: btf_field | null },
): number {
	if (meta.btf !== btf_vmlinux(env)) {
		verbose(env, "verifier internal error: unexpected btf mismatch in kfunc call\n");
		return -EFAULT;
	}

	if (!check_kfunc_is_graph_node_api(env, node_field_type, meta.func_id)) return -EFAULT;

	const node_type_name = btf_field_type_name(node_field_type);
	if (!reg.var_off_is_const) {
		verbose(
			env,
			`R${regno} doesn't have constant offset. ${node_type_name} has to be at the constant offset\n`,
		);
		return -EINVAL;
	}

	const node_off = reg_const_off(reg) >>> 0;
	if (!reg_find_field_offset(reg, node_off, node_field_type)) {
		verbose(env, `${node_type_name} not found at offset=${node_off}\n`);
		return -EINVAL;
	}

	/* What the root says of its nodes, as found with the argument before. */
	const root = node.field!.graph_root!;
	const et = btf_type_by_id(root.btf, root.value_btf_id)!;
	const t = btf_type_by_id(reg.btf!, reg.btf_id)!;
	const et_name = btf_name_by_offset(root.btf, et.name_off);
	if (!btf_struct_ids_match(env.log, reg.btf!, reg.btf_id, 0, root.btf, root.value_btf_id, true)) {
		verbose(
			env,
			`operation on ${btf_field_type_name(head_field_type)} expects arg#1 ${node_type_name} at offset=${root.node_offset} ` +
				`in struct ${et_name}, but arg is at offset=${node_off | 0} in struct ${btf_name_by_offset(reg.btf!, t.name_off)}\n`,
		);
		return -EINVAL;
	}
	meta.arg_btf = reg.btf;
	meta.arg_btf_id = reg.btf_id;

	if (node_off !== root.node_offset >>> 0) {
		verbose(
			env,
			`arg#1 offset=${node_off | 0}, but expected ${node_type_name} at offset=${root.node_offset} in struct ${et_name}\n`,
		);
		return -EINVAL;
	}

	return 0;
}

/** kernel/bpf/verifier.c: check_css_task_iter_allowlist: elsewhere css_set_lock may be held already */
function check_css_task_iter_allowlist(env: bpf_verifier_env): boolean {
	switch (resolve_prog_type(env.prog)) {
		case BPF_PROG_TYPE_LSM:
			return true;
		case BPF_PROG_TYPE_TRACING:
			if (env.prog.expected_attach_type === BPF_TRACE_ITER) return true;
			break;
		default:
			break;
	}
	return in_sleepable(env);
}

/** Whether the union of a register of this type holds a map. */
function has_map_ptr(type: number): boolean {
	const base = base_type(type);
	return base === CONST_PTR_TO_MAP || base === PTR_TO_MAP_VALUE || base === PTR_TO_MAP_KEY;
}

/** kernel/bpf/verifier.c: check_kfunc_args */
export function check_kfunc_args(
	env: bpf_verifier_env,
	meta: bpf_kfunc_call_arg_meta,
	insn_idx: number,
): number {
	const func_name = meta.func_name;
	const btf = meta.btf;
	const special = special_kfunc_list(env);

	const args = btf_params(meta.func_proto);
	const nargs = btf_type_vlen(meta.func_proto);
	if (nargs > MAX_BPF_FUNC_REG_ARGS) {
		verbose(env, `Function ${func_name} has ${nargs} > ${MAX_BPF_FUNC_REG_ARGS} args\n`);
		return -EINVAL;
	}

	for (let i = 0; i < nargs; i++) {
		const regs = cur_regs(env);
		const regno = i + 1;
		const reg = regs[regno]!;
		const arg = args[i]!;
		let arg_type = ARG_DONTCARE;
		let is_ret_buf_sz = false;
		let ret: number;

		const t = btf_type_skip_modifiers(btf, arg.type, null)!;

		if (btf_param_match_suffix(btf, arg, "__ign")) continue;

		if (btf_type_is_scalar(t)) {
			if (reg.type !== SCALAR_VALUE) {
				verbose(env, `R${regno} is not a scalar\n`);
				return -EINVAL;
			}

			if (btf_param_match_suffix(btf, arg, "__k")) {
				if (meta.arg_constant.found) {
					verbose(env, "verifier internal error: only one constant argument permitted\n");
					return -EFAULT;
				}
				if (!reg.var_off_is_const) {
					verbose(env, `R${regno} must be a known constant\n`);
					return -EINVAL;
				}
				ret = mark_chain_precision(env, regno);
				if (ret < 0) return ret;
				meta.arg_constant.found = true;
				meta.arg_constant.value = reg.var_off_value;
			} else if (is_kfunc_arg_scalar_with_name(btf, arg, "rdonly_buf_size")) {
				meta.r0_rdonly = true;
				is_ret_buf_sz = true;
			} else if (is_kfunc_arg_scalar_with_name(btf, arg, "rdwr_buf_size")) {
				is_ret_buf_sz = true;
			}

			if (is_ret_buf_sz) {
				if (meta.r0_size) {
					verbose(env, "2 or more rdonly/rdwr_buf_size parameters for kfunc");
					return -EINVAL;
				}

				if (!reg.var_off_is_const) {
					verbose(env, `R${regno} is not a const\n`);
					return -EINVAL;
				}

				meta.r0_size = reg.var_off_value;
				ret = mark_chain_precision(env, regno);
				if (ret) return ret;
			}
			continue;
		}

		if (!btf_type_is_ptr(t)) {
			verbose(env, `Unrecognized arg#${i} type ${btf_type_str(t)}\n`);
			return -EINVAL;
		}

		if (
			(is_kfunc_trusted_args(meta) || is_kfunc_rcu(meta)) &&
			(register_is_null(reg) || type_may_be_null(reg.type)) &&
			!btf_param_match_suffix(btf, arg, "__nullable")
		) {
			verbose(env, `Possibly NULL pointer passed to trusted arg${i}\n`);
			return -EACCES;
		}

		if (reg.ref_obj_id) {
			if (is_kfunc_release(meta) && meta.ref_obj_id) {
				verbose(
					env,
					`verifier internal error: more than one arg with ref_obj_id R${regno} ${reg.ref_obj_id} ${meta.ref_obj_id}\n`,
				);
				return -EFAULT;
			}
			meta.ref_obj_id = reg.ref_obj_id;
			if (is_kfunc_release(meta)) meta.release_regno = regno;
		}

		const ref_id_out: Ref<number> = { val: 0 };
		let ref_t = btf_type_skip_modifiers(btf, t.type, ref_id_out)!;
		let ref_id = ref_id_out.val;
		let ref_tname = btf_name_by_offset(btf, ref_t.name_off) ?? "";

		const kf_arg_type = get_kfunc_ptr_arg_type(env, meta, t, ref_t, ref_tname, args, i, nargs);
		if (kf_arg_type < 0) return kf_arg_type;

		switch (kf_arg_type) {
			case KF_ARG_PTR_TO_NULL:
				continue;
			case KF_ARG_PTR_TO_MAP:
			case KF_ARG_PTR_TO_ALLOC_BTF_ID:
			case KF_ARG_PTR_TO_BTF_ID:
				if (kf_arg_type === KF_ARG_PTR_TO_MAP) {
					/* The union member map_ptr is not NULL, whatever the register is. */
					if (!(reg.h.i32[reg.p + R_RAW1]! | reg.h.i32[reg.p + R_RAW1_HI]!)) {
						verbose(env, `pointer in R${regno} isn't map pointer\n`);
						return -EINVAL;
					}
					const map_ptr = has_map_ptr(reg.type) ? reg.map_ptr : null;
					if (meta.map.ptr && map_ptr && (map_ptr.record?.wq_off ?? -EINVAL) >= 0) {
						/* map_uid tells inner maps of one outer map apart. */
						if (meta.map.ptr !== map_ptr || meta.map.uid !== reg.map_uid) {
							verbose(
								env,
								`workqueue pointer in R1 map_uid=${meta.map.uid} doesn't match map pointer in R2 map_uid=${reg.map_uid}\n`,
							);
							return -EINVAL;
						}
					}
					meta.map.ptr = map_ptr;
					meta.map.uid = reg.map_uid;
				}

				if (!is_kfunc_trusted_args(meta) && !is_kfunc_rcu(meta)) break;

				if (!is_trusted_reg(reg)) {
					if (!is_kfunc_rcu(meta)) {
						verbose(env, `R${regno} must be referenced or trusted\n`);
						return -EINVAL;
					}
					if (!is_rcu_reg(reg)) {
						verbose(env, `R${regno} must be a rcu pointer\n`);
						return -EINVAL;
					}
				}
				break;
			default:
				break;
		}

		if (is_kfunc_release(meta) && reg.ref_obj_id) arg_type |= OBJ_RELEASE;
		ret = check_func_arg_reg_off(env, reg, regno, arg_type);
		if (ret < 0) return ret;

		switch (kf_arg_type) {
			case KF_ARG_PTR_TO_CTX:
				if (reg.type !== PTR_TO_CTX) {
					verbose(env, `arg#${i} expected pointer to ctx, but got ${reg_type_str(env, reg.type)}\n`);
					return -EINVAL;
				}

				if (meta.func_id === special.bpf_cast_to_kern_ctx) {
					ret = get_kern_ctx_btf_id(env.kernel, env.log, resolve_prog_type(env.prog));
					if (ret < 0) return -EINVAL;
					meta.ret_btf_id = ret;
				}
				break;
			case KF_ARG_PTR_TO_ALLOC_BTF_ID:
				if (reg.type === (PTR_TO_BTF_ID | MEM_ALLOC)) {
					if (meta.func_id !== special.bpf_obj_drop_impl) {
						verbose(env, `arg#${i} expected for bpf_obj_drop_impl()\n`);
						return -EINVAL;
					}
				} else if (reg.type === (PTR_TO_BTF_ID | MEM_ALLOC | MEM_PERCPU)) {
					if (meta.func_id !== special.bpf_percpu_obj_drop_impl) {
						verbose(env, `arg#${i} expected for bpf_percpu_obj_drop_impl()\n`);
						return -EINVAL;
					}
				} else {
					verbose(env, `arg#${i} expected pointer to allocated object\n`);
					return -EINVAL;
				}
				if (!reg.ref_obj_id) {
					verbose(env, "allocated object must be referenced\n");
					return -EINVAL;
				}
				if (meta.btf === btf_vmlinux(env)) {
					meta.arg_btf = reg.btf;
					meta.arg_btf_id = reg.btf_id;
				}
				break;
			case KF_ARG_PTR_TO_DYNPTR: {
				let dynptr_arg_type = ARG_PTR_TO_DYNPTR;
				let clone_ref_obj_id = 0;

				if (reg.type === CONST_PTR_TO_DYNPTR) dynptr_arg_type |= MEM_RDONLY;

				if (btf_param_match_suffix(btf, arg, "__uninit")) dynptr_arg_type |= MEM_UNINIT;

				if (meta.func_id === special.bpf_dynptr_from_skb) {
					dynptr_arg_type |= DYNPTR_TYPE_SKB;
				} else if (meta.func_id === special.bpf_dynptr_from_xdp) {
					dynptr_arg_type |= DYNPTR_TYPE_XDP;
				} else if (meta.func_id === special.bpf_dynptr_clone && dynptr_arg_type & MEM_UNINIT) {
					const parent_type = meta.initialized_dynptr.type;

					if (parent_type === BPF_DYNPTR_TYPE_INVALID) {
						verbose(env, "verifier internal error: no dynptr type for parent of clone\n");
						return -EFAULT;
					}

					dynptr_arg_type |= get_dynptr_type_flag(parent_type);
					clone_ref_obj_id = meta.initialized_dynptr.ref_obj_id;
					if (dynptr_type_refcounted(parent_type) && !clone_ref_obj_id) {
						verbose(env, "verifier internal error: missing ref obj id for parent of clone\n");
						return -EFAULT;
					}
				}

				ret = process_dynptr_func(env, regno, insn_idx, dynptr_arg_type, clone_ref_obj_id);
				if (ret < 0) return ret;

				if (!(dynptr_arg_type & MEM_UNINIT)) {
					const id = dynptr_id(env, reg);

					if (id < 0) {
						verbose(env, "verifier internal error: failed to obtain dynptr id\n");
						return id;
					}
					meta.initialized_dynptr.id = id;
					meta.initialized_dynptr.type = dynptr_get_type(env, reg);
					meta.initialized_dynptr.ref_obj_id = dynptr_ref_obj_id(env, reg);
				}

				break;
			}
			case KF_ARG_PTR_TO_ITER:
				if (meta.func_id === special.bpf_iter_css_task_new) {
					if (!check_css_task_iter_allowlist(env)) {
						verbose(env, "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs\n");
						return -EINVAL;
					}
				}
				ret = process_iter_arg(env, regno, insn_idx, meta);
				if (ret < 0) return ret;
				break;
			case KF_ARG_PTR_TO_LIST_HEAD:
			case KF_ARG_PTR_TO_RB_ROOT:
				if (reg.type !== PTR_TO_MAP_VALUE && reg.type !== (PTR_TO_BTF_ID | MEM_ALLOC)) {
					verbose(env, `arg#${i} expected pointer to map value or allocated object\n`);
					return -EINVAL;
				}
				if (reg.type === (PTR_TO_BTF_ID | MEM_ALLOC) && !reg.ref_obj_id) {
					verbose(env, "allocated object must be referenced\n");
					return -EINVAL;
				}
				if (kf_arg_type === KF_ARG_PTR_TO_LIST_HEAD)
					ret = __process_kf_arg_ptr_to_graph_root(env, reg, regno, meta, BPF_LIST_HEAD, meta.arg_list_head);
				else
					ret = __process_kf_arg_ptr_to_graph_root(env, reg, regno, meta, BPF_RB_ROOT, meta.arg_rbtree_root);
				if (ret < 0) return ret;
				break;
			case KF_ARG_PTR_TO_LIST_NODE:
				if (reg.type !== (PTR_TO_BTF_ID | MEM_ALLOC)) {
					verbose(env, `arg#${i} expected pointer to allocated object\n`);
					return -EINVAL;
				}
				if (!reg.ref_obj_id) {
					verbose(env, "allocated object must be referenced\n");
					return -EINVAL;
				}
				ret = __process_kf_arg_ptr_to_graph_node(
					env,
					reg,
					regno,
					meta,
					BPF_LIST_HEAD,
					BPF_LIST_NODE,
					meta.arg_list_head,
				);
				if (ret < 0) return ret;
				break;
			case KF_ARG_PTR_TO_RB_NODE:
				if (meta.func_id === special.bpf_rbtree_remove) {
					if (!type_is_non_owning_ref(reg.type) || reg.ref_obj_id) {
						verbose(env, "rbtree_remove node input must be non-owning ref\n");
						return -EINVAL;
					}
					if (in_rbtree_lock_required_cb(env)) {
						verbose(env, "rbtree_remove not allowed in rbtree cb\n");
						return -EINVAL;
					}
				} else {
					if (reg.type !== (PTR_TO_BTF_ID | MEM_ALLOC)) {
						verbose(env, `arg#${i} expected pointer to allocated object\n`);
						return -EINVAL;
					}
					if (!reg.ref_obj_id) {
						verbose(env, "allocated object must be referenced\n");
						return -EINVAL;
					}
				}

				ret = __process_kf_arg_ptr_to_graph_node(
					env,
					reg,
					regno,
					meta,
					BPF_RB_ROOT,
					BPF_RB_NODE,
					meta.arg_rbtree_root,
				);
				if (ret < 0) return ret;
				break;
			case KF_ARG_PTR_TO_MAP:
			case KF_ARG_PTR_TO_BTF_ID:
				if (kf_arg_type === KF_ARG_PTR_TO_MAP) {
					/* "__map" stands for struct bpf_map *, whatever the prototype says. */
					ref_id = btf_id_of(env.kernel, reg2btf_ids[CONST_PTR_TO_MAP]!);
					ref_t = btf_type_by_id(btf_vmlinux(env), ref_id)!;
					ref_tname = btf_name_by_offset(btf, ref_t.name_off) ?? "";
				}
				/* So far only the base type was looked at. */
				if (
					(base_type(reg.type) !== PTR_TO_BTF_ID ||
						(bpf_type_has_unsafe_modifiers(reg.type) && !is_rcu_reg(reg))) &&
					!reg2btf_ids[base_type(reg.type)]
				) {
					verbose(env, `arg#${i} is ${reg_type_str(env, reg.type)} `);
					verbose(
						env,
						`expected ${reg_type_str(env, base_type(reg.type) | (type_flag(reg.type) & BPF_REG_TRUSTED_MODIFIERS))} or socket\n`,
					);
					return -EINVAL;
				}
				ret = process_kf_arg_ptr_to_btf_id(env, reg, ref_t, ref_tname, ref_id, meta, i);
				if (ret < 0) return ret;
				break;
			case KF_ARG_PTR_TO_MEM: {
				const type_size: Ref<number> = { val: 0 };
				const resolve_ret = btf_resolve_size(btf, ref_t, type_size);
				if (IS_ERR(resolve_ret)) {
					verbose(
						env,
						`arg#${i} reference type('${btf_type_str(ref_t)} ${ref_tname}') size cannot be determined: ${resolve_ret}\n`,
					);
					return -EINVAL;
				}
				ret = check_mem_reg(env, reg, regno, type_size.val);
				if (ret < 0) return ret;
				break;
			}
			case KF_ARG_PTR_TO_MEM_SIZE: {
				const size_reg = regs[regno + 1]!;
				const size_arg = args[i + 1]!;

				if (!register_is_null(reg) || !btf_param_match_suffix(btf, arg, "__opt")) {
					ret = check_kfunc_mem_size_reg(env, size_reg, regno + 1);
					if (ret < 0) {
						verbose(env, `arg#${i} arg#${i + 1} memory, len pair leads to invalid memory access\n`);
						return ret;
					}
				}

				if (is_kfunc_arg_const_mem_size(btf, size_arg, size_reg)) {
					if (meta.arg_constant.found) {
						verbose(env, "verifier internal error: only one constant argument permitted\n");
						return -EFAULT;
					}
					if (!size_reg.var_off_is_const) {
						verbose(env, `R${regno + 1} must be a known constant\n`);
						return -EINVAL;
					}
					meta.arg_constant.found = true;
					meta.arg_constant.value = size_reg.var_off_value;
				}

				/* The size is done with, too. */
				i++;
				break;
			}
			case KF_ARG_PTR_TO_CALLBACK:
				if (reg.type !== PTR_TO_FUNC) {
					verbose(env, `arg${i} expected pointer to func\n`);
					return -EINVAL;
				}
				meta.subprogno = reg.subprogno;
				break;
			case KF_ARG_PTR_TO_REFCOUNTED_KPTR: {
				if (!type_is_ptr_alloc_obj(reg.type)) {
					verbose(env, `arg#${i} is neither owning or non-owning ref\n`);
					return -EINVAL;
				}
				if (!type_is_non_owning_ref(reg.type)) meta.arg_owning_ref = true;

				const rec = reg_btf_record(reg);
				if (!rec) {
					verbose(env, "verifier internal error: Couldn't find btf_record\n");
					return -EFAULT;
				}

				if (rec.refcount_off < 0) {
					verbose(env, `arg#${i} doesn't point to a type with bpf_refcount field\n`);
					return -EINVAL;
				}

				meta.arg_btf = reg.btf;
				meta.arg_btf_id = reg.btf_id;
				break;
			}
			case KF_ARG_PTR_TO_CONST_STR:
				if (reg.type !== PTR_TO_MAP_VALUE) {
					verbose(env, `arg#${i} doesn't point to a const string\n`);
					return -EINVAL;
				}
				ret = check_reg_const_str(env, reg, regno);
				if (ret) return ret;
				break;
			case KF_ARG_PTR_TO_WORKQUEUE:
				if (reg.type !== PTR_TO_MAP_VALUE) {
					verbose(env, `arg#${i} doesn't point to a map value\n`);
					return -EINVAL;
				}
				ret = process_wq_func(env, regno, meta);
				if (ret < 0) return ret;
				break;
			default:
				break;
		}
	}

	if (is_kfunc_release(meta) && !meta.release_regno) {
		verbose(env, `release kernel function ${func_name} expects refcounted PTR_TO_BTF_ID\n`);
		return -EINVAL;
	}

	return 0;
}
