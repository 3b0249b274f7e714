// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a helper may be given and which prototypes are sound (kernel/bpf/verifier.c: may_update_sockmap
 * to check_func_proto).
 */
import {
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_SPIN_LOCK,
	MEM_FIXED_SIZE,
} from "../../include/linux/bpf.ts";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_FUNC_cgrp_storage_delete,
	BPF_FUNC_cgrp_storage_get,
	BPF_FUNC_current_task_under_cgroup,
	BPF_FUNC_get_local_storage,
	BPF_FUNC_get_stackid,
	BPF_FUNC_inode_storage_delete,
	BPF_FUNC_inode_storage_get,
	BPF_FUNC_kptr_xchg,
	BPF_FUNC_map_delete_elem,
	BPF_FUNC_map_lookup_elem,
	BPF_FUNC_map_lookup_percpu_elem,
	BPF_FUNC_map_peek_elem,
	BPF_FUNC_map_pop_elem,
	BPF_FUNC_map_push_elem,
	BPF_FUNC_map_update_elem,
	BPF_FUNC_msg_redirect_hash,
	BPF_FUNC_msg_redirect_map,
	BPF_FUNC_perf_event_output,
	BPF_FUNC_perf_event_read,
	BPF_FUNC_perf_event_read_value,
	BPF_FUNC_redirect_map,
	BPF_FUNC_ringbuf_discard_dynptr,
	BPF_FUNC_ringbuf_output,
	BPF_FUNC_ringbuf_query,
	BPF_FUNC_ringbuf_reserve,
	BPF_FUNC_ringbuf_reserve_dynptr,
	BPF_FUNC_ringbuf_submit_dynptr,
	BPF_FUNC_sk_redirect_hash,
	BPF_FUNC_sk_redirect_map,
	BPF_FUNC_sk_select_reuseport,
	BPF_FUNC_sk_storage_delete,
	BPF_FUNC_sk_storage_get,
	BPF_FUNC_skb_output,
	BPF_FUNC_skb_under_cgroup,
	BPF_FUNC_sock_hash_update,
	BPF_FUNC_sock_map_update,
	BPF_FUNC_tail_call,
	BPF_FUNC_task_storage_delete,
	BPF_FUNC_task_storage_get,
	BPF_FUNC_user_ringbuf_drain,
	BPF_FUNC_xdp_output,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MAP_TYPE_XSKMAP,
	BPF_PROG_TYPE_FLOW_DISSECTOR,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_LOOKUP,
	BPF_PROG_TYPE_SK_REUSEPORT,
	BPF_PROG_TYPE_SOCK_OPS,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_XDP,
	BPF_TRACE_ITER,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_PTR_POISON, type bpf_func_proto, type bpf_map } from "./bpf_types.ts";
import { func_id_name } from "./disasm.ts";
import { arg_type_is_mem_size, arg_type_is_raw_mem } from "./func_arg.ts";
import { bpf_jit_supports_subprog_tailcalls } from "./jit_caps.ts";
import { verbose } from "./log.ts";
import { base_type, resolve_prog_type } from "./predicates.ts";
import type { bpf_verifier_env } from "./verifier_types.ts";

/** Arguments of a prototype: ARRAY_SIZE(fn->arg_type). */
const NR_ARGS = 5;

/** kernel/bpf/verifier.c: may_update_sockmap */
function may_update_sockmap(env: bpf_verifier_env, func_id: number): boolean {
	const eatype = env.prog.expected_attach_type;

	if (func_id !== BPF_FUNC_map_update_elem && func_id !== BPF_FUNC_map_delete_elem) return false;

	/* In these contexts no locked struct sock can be at hand. */
	switch (resolve_prog_type(env.prog)) {
		case BPF_PROG_TYPE_TRACING:
			if (eatype === BPF_TRACE_ITER) return true;
			break;
		case BPF_PROG_TYPE_SOCK_OPS:
			/* Updates go through helpers of their own, which check the event. */
			if (func_id === BPF_FUNC_map_delete_elem) return true;
			break;
		case BPF_PROG_TYPE_SOCKET_FILTER:
		case BPF_PROG_TYPE_SCHED_CLS:
		case BPF_PROG_TYPE_SCHED_ACT:
		case BPF_PROG_TYPE_XDP:
		case BPF_PROG_TYPE_SK_REUSEPORT:
		case BPF_PROG_TYPE_FLOW_DISSECTOR:
		case BPF_PROG_TYPE_SK_LOOKUP:
			return true;
		default:
			break;
	}

	verbose(env, "cannot update sockmap in this context\n");
	return false;
}

/** kernel/bpf/verifier.c: allow_tail_call_in_subprogs */
export function allow_tail_call_in_subprogs(env: bpf_verifier_env): boolean {
	return env.prog.jit_requested && bpf_jit_supports_subprog_tailcalls(env.kernel);
}

/** Helpers that a map of a type may be given to; types that are not here go anywhere. */
const funcs_of_map: Readonly<Record<number, readonly number[]>> = {
	[BPF_MAP_TYPE_PROG_ARRAY]: [BPF_FUNC_tail_call],
	[BPF_MAP_TYPE_PERF_EVENT_ARRAY]: [
		BPF_FUNC_perf_event_read,
		BPF_FUNC_perf_event_output,
		BPF_FUNC_skb_output,
		BPF_FUNC_perf_event_read_value,
		BPF_FUNC_xdp_output,
	],
	[BPF_MAP_TYPE_RINGBUF]: [
		BPF_FUNC_ringbuf_output,
		BPF_FUNC_ringbuf_reserve,
		BPF_FUNC_ringbuf_query,
		BPF_FUNC_ringbuf_reserve_dynptr,
		BPF_FUNC_ringbuf_submit_dynptr,
		BPF_FUNC_ringbuf_discard_dynptr,
	],
	[BPF_MAP_TYPE_USER_RINGBUF]: [BPF_FUNC_user_ringbuf_drain],
	[BPF_MAP_TYPE_STACK_TRACE]: [BPF_FUNC_get_stackid],
	[BPF_MAP_TYPE_CGROUP_ARRAY]: [BPF_FUNC_skb_under_cgroup, BPF_FUNC_current_task_under_cgroup],
	[BPF_MAP_TYPE_CGROUP_STORAGE]: [BPF_FUNC_get_local_storage],
	[BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE]: [BPF_FUNC_get_local_storage],
	[BPF_MAP_TYPE_DEVMAP]: [BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem],
	[BPF_MAP_TYPE_DEVMAP_HASH]: [BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem],
	[BPF_MAP_TYPE_CPUMAP]: [BPF_FUNC_redirect_map],
	[BPF_MAP_TYPE_XSKMAP]: [BPF_FUNC_redirect_map, BPF_FUNC_map_lookup_elem],
	[BPF_MAP_TYPE_ARRAY_OF_MAPS]: [BPF_FUNC_map_lookup_elem],
	[BPF_MAP_TYPE_HASH_OF_MAPS]: [BPF_FUNC_map_lookup_elem],
	[BPF_MAP_TYPE_SOCKMAP]: [
		BPF_FUNC_sk_redirect_map,
		BPF_FUNC_sock_map_update,
		BPF_FUNC_msg_redirect_map,
		BPF_FUNC_sk_select_reuseport,
		BPF_FUNC_map_lookup_elem,
	],
	[BPF_MAP_TYPE_SOCKHASH]: [
		BPF_FUNC_sk_redirect_hash,
		BPF_FUNC_sock_hash_update,
		BPF_FUNC_msg_redirect_hash,
		BPF_FUNC_sk_select_reuseport,
		BPF_FUNC_map_lookup_elem,
	],
	[BPF_MAP_TYPE_REUSEPORT_SOCKARRAY]: [BPF_FUNC_sk_select_reuseport],
	[BPF_MAP_TYPE_QUEUE]: [BPF_FUNC_map_peek_elem, BPF_FUNC_map_pop_elem, BPF_FUNC_map_push_elem],
	[BPF_MAP_TYPE_STACK]: [BPF_FUNC_map_peek_elem, BPF_FUNC_map_pop_elem, BPF_FUNC_map_push_elem],
	[BPF_MAP_TYPE_SK_STORAGE]: [BPF_FUNC_sk_storage_get, BPF_FUNC_sk_storage_delete, BPF_FUNC_kptr_xchg],
	[BPF_MAP_TYPE_INODE_STORAGE]: [
		BPF_FUNC_inode_storage_get,
		BPF_FUNC_inode_storage_delete,
		BPF_FUNC_kptr_xchg,
	],
	[BPF_MAP_TYPE_TASK_STORAGE]: [BPF_FUNC_task_storage_get, BPF_FUNC_task_storage_delete, BPF_FUNC_kptr_xchg],
	[BPF_MAP_TYPE_CGRP_STORAGE]: [BPF_FUNC_cgrp_storage_get, BPF_FUNC_cgrp_storage_delete, BPF_FUNC_kptr_xchg],
	[BPF_MAP_TYPE_BLOOM_FILTER]: [BPF_FUNC_map_peek_elem, BPF_FUNC_map_push_elem],
};

/** Map types that a helper takes; helpers that are not here take any. */
const maps_of_func: Readonly<Record<number, readonly number[]>> = {
	[BPF_FUNC_tail_call]: [BPF_MAP_TYPE_PROG_ARRAY],
	[BPF_FUNC_perf_event_read]: [BPF_MAP_TYPE_PERF_EVENT_ARRAY],
	[BPF_FUNC_perf_event_output]: [BPF_MAP_TYPE_PERF_EVENT_ARRAY],
	[BPF_FUNC_perf_event_read_value]: [BPF_MAP_TYPE_PERF_EVENT_ARRAY],
	[BPF_FUNC_skb_output]: [BPF_MAP_TYPE_PERF_EVENT_ARRAY],
	[BPF_FUNC_xdp_output]: [BPF_MAP_TYPE_PERF_EVENT_ARRAY],
	[BPF_FUNC_ringbuf_output]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_ringbuf_reserve]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_ringbuf_query]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_ringbuf_reserve_dynptr]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_ringbuf_submit_dynptr]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_ringbuf_discard_dynptr]: [BPF_MAP_TYPE_RINGBUF],
	[BPF_FUNC_user_ringbuf_drain]: [BPF_MAP_TYPE_USER_RINGBUF],
	[BPF_FUNC_get_stackid]: [BPF_MAP_TYPE_STACK_TRACE],
	[BPF_FUNC_current_task_under_cgroup]: [BPF_MAP_TYPE_CGROUP_ARRAY],
	[BPF_FUNC_skb_under_cgroup]: [BPF_MAP_TYPE_CGROUP_ARRAY],
	[BPF_FUNC_redirect_map]: [
		BPF_MAP_TYPE_DEVMAP,
		BPF_MAP_TYPE_DEVMAP_HASH,
		BPF_MAP_TYPE_CPUMAP,
		BPF_MAP_TYPE_XSKMAP,
	],
	[BPF_FUNC_sk_redirect_map]: [BPF_MAP_TYPE_SOCKMAP],
	[BPF_FUNC_msg_redirect_map]: [BPF_MAP_TYPE_SOCKMAP],
	[BPF_FUNC_sock_map_update]: [BPF_MAP_TYPE_SOCKMAP],
	[BPF_FUNC_sk_redirect_hash]: [BPF_MAP_TYPE_SOCKHASH],
	[BPF_FUNC_msg_redirect_hash]: [BPF_MAP_TYPE_SOCKHASH],
	[BPF_FUNC_sock_hash_update]: [BPF_MAP_TYPE_SOCKHASH],
	[BPF_FUNC_get_local_storage]: [BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE],
	[BPF_FUNC_sk_select_reuseport]: [
		BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
		BPF_MAP_TYPE_SOCKMAP,
		BPF_MAP_TYPE_SOCKHASH,
	],
	[BPF_FUNC_map_pop_elem]: [BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK],
	[BPF_FUNC_map_peek_elem]: [BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_BLOOM_FILTER],
	[BPF_FUNC_map_push_elem]: [BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_BLOOM_FILTER],
	[BPF_FUNC_map_lookup_percpu_elem]: [
		BPF_MAP_TYPE_PERCPU_ARRAY,
		BPF_MAP_TYPE_PERCPU_HASH,
		BPF_MAP_TYPE_LRU_PERCPU_HASH,
	],
	[BPF_FUNC_sk_storage_get]: [BPF_MAP_TYPE_SK_STORAGE],
	[BPF_FUNC_sk_storage_delete]: [BPF_MAP_TYPE_SK_STORAGE],
	[BPF_FUNC_inode_storage_get]: [BPF_MAP_TYPE_INODE_STORAGE],
	[BPF_FUNC_inode_storage_delete]: [BPF_MAP_TYPE_INODE_STORAGE],
	[BPF_FUNC_task_storage_get]: [BPF_MAP_TYPE_TASK_STORAGE],
	[BPF_FUNC_task_storage_delete]: [BPF_MAP_TYPE_TASK_STORAGE],
	[BPF_FUNC_cgrp_storage_get]: [BPF_MAP_TYPE_CGRP_STORAGE],
	[BPF_FUNC_cgrp_storage_delete]: [BPF_MAP_TYPE_CGRP_STORAGE],
};

/** kernel/bpf/verifier.c: check_map_func_compatibility */
export function check_map_func_compatibility(
	env: bpf_verifier_env,
	map: bpf_map | null,
	func_id: number,
): number {
	if (!map) return 0;

	let ok = true;

	const funcs = funcs_of_map[map.map_type];
	if (funcs && !funcs.includes(func_id)) {
		ok =
			(map.map_type === BPF_MAP_TYPE_SOCKMAP || map.map_type === BPF_MAP_TYPE_SOCKHASH) &&
			may_update_sockmap(env, func_id);
	}

	if (ok) {
		const maps = maps_of_func[func_id];
		if (maps && !maps.includes(map.map_type)) ok = false;
	}

	if (!ok) {
		verbose(env, `cannot pass map_type ${map.map_type} into func ${func_id_name(func_id)}#${func_id}\n`);
		return -EINVAL;
	}

	if (func_id === BPF_FUNC_tail_call && env.subprog_cnt > 1 && !allow_tail_call_in_subprogs(env)) {
		verbose(env, "tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls\n");
		return -EINVAL;
	}

	return 0;
}

function check_raw_mode_ok(fn: bpf_func_proto): boolean {
	let count = 0;
	for (let i = 0; i < NR_ARGS; i++) if (arg_type_is_raw_mem(fn.arg_type[i] ?? 0)) count++;

	/* meta.raw_mode is one flag: one such argument it is. */
	return count <= 1;
}

function check_args_pair_invalid(fn: bpf_func_proto, arg: number): boolean {
	const type = fn.arg_type[arg] ?? 0;
	const is_fixed = (type & MEM_FIXED_SIZE) !== 0;
	const has_size = arg_size_or_btf_id(fn, arg);
	let is_next_size = false;

	if (arg + 1 < NR_ARGS) is_next_size = arg_type_is_mem_size(fn.arg_type[arg + 1] ?? 0);

	if (base_type(type) !== ARG_PTR_TO_MEM) return is_next_size;

	return has_size === is_next_size || is_next_size === is_fixed;
}

/** Whether the union of arg_size and arg_btf_id is set. */
function arg_size_or_btf_id(fn: bpf_func_proto, arg: number): boolean {
	return (fn.arg_size?.[arg] ?? 0) !== 0 || fn.arg_btf_id?.[arg] !== undefined;
}

function check_arg_pair_ok(fn: bpf_func_proto): boolean {
	if (arg_type_is_mem_size(fn.arg_type[0] ?? 0)) return false;
	for (let i = 0; i < NR_ARGS; i++) if (check_args_pair_invalid(fn, i)) return false;
	return true;
}

function check_btf_id_ok(fn: bpf_func_proto): boolean {
	for (let i = 0; i < NR_ARGS; i++) {
		const type = fn.arg_type[i] ?? 0;
		if (base_type(type) === ARG_PTR_TO_BTF_ID) return fn.arg_btf_id?.[i] !== undefined;
		if (base_type(type) === ARG_PTR_TO_SPIN_LOCK) return fn.arg_btf_id?.[i] === BPF_PTR_POISON;
		if (
			arg_size_or_btf_id(fn, i) &&
			/* arg_btf_id and arg_size are a union there. */
			(base_type(type) !== ARG_PTR_TO_MEM || !(type & MEM_FIXED_SIZE))
		)
			return false;
	}

	return true;
}

/** kernel/bpf/verifier.c: check_func_proto */
export function check_func_proto(fn: bpf_func_proto, _func_id: number): number {
	return check_raw_mode_ok(fn) && check_arg_pair_ok(fn) && check_btf_id_ok(fn) ? 0 : -EINVAL;
}
