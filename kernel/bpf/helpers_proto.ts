// SPDX-License-Identifier: GPL-2.0-only
/**
 * Prototypes of helpers, as the verifier sees them, of:
 * kernel/bpf/helpers.c, kernel/bpf/core.c, kernel/bpf/ringbuf.c, kernel/bpf/stackmap.c, kernel/bpf/task_iter.c, kernel/bpf/bpf_iter.c, kernel/bpf/bpf_inode_storage.c, kernel/bpf/bpf_cgrp_storage.c, kernel/bpf/bpf_task_storage.c, kernel/bpf/bpf_lsm.c, kernel/bpf/syscall.c, kernel/bpf/btf.c, kernel/bpf/cgroup.c
 */
import {
	ARG_ANYTHING,
	ARG_CONST_ALLOC_SIZE_OR_ZERO,
	ARG_CONST_MAP_PTR,
	ARG_CONST_SIZE,
	ARG_CONST_SIZE_OR_ZERO,
	ARG_KPTR_XCHG_DEST,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_BTF_ID_OR_NULL,
	ARG_PTR_TO_CONST_STR,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_CTX_OR_NULL,
	ARG_PTR_TO_DYNPTR,
	ARG_PTR_TO_FIXED_SIZE_MEM,
	ARG_PTR_TO_FUNC,
	ARG_PTR_TO_MAP_KEY,
	ARG_PTR_TO_MAP_VALUE,
	ARG_PTR_TO_MAP_VALUE_OR_NULL,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_MEM_OR_NULL,
	ARG_PTR_TO_PERCPU_BTF_ID,
	ARG_PTR_TO_RINGBUF_MEM,
	ARG_PTR_TO_SPIN_LOCK,
	ARG_PTR_TO_STACK_OR_NULL,
	ARG_PTR_TO_TIMER,
	ARG_PTR_TO_UNINIT_MEM,
	DYNPTR_TYPE_LOCAL,
	DYNPTR_TYPE_RINGBUF,
	MEM_ALIGNED,
	MEM_RDONLY,
	MEM_UNINIT,
	MEM_WRITE,
	OBJ_RELEASE,
	PTR_MAYBE_NULL,
	RET_INTEGER,
	RET_PTR_TO_BTF_ID_OR_NULL,
	RET_PTR_TO_DYNPTR_MEM_OR_NULL,
	RET_PTR_TO_MAP_VALUE,
	RET_PTR_TO_MAP_VALUE_OR_NULL,
	RET_PTR_TO_MEM_OR_BTF_ID,
	RET_PTR_TO_RINGBUF_MEM_OR_NULL,
	RET_VOID,
} from "../../include/linux/bpf.ts";
import { bpf_ima_inode_hash_allowed } from "./bpf_lsm_allowed.ts";
import type { bpf_func_proto } from "./bpf_types.ts";
import { BPF_PTR_POISON } from "./bpf_types.ts";

// kernel/bpf/helpers.c
export const bpf_map_lookup_elem_proto: bpf_func_proto = {
	func: "bpf_map_lookup_elem",
	pkt_access: true,
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY],
};
export const bpf_map_update_elem_proto: bpf_func_proto = {
	func: "bpf_map_update_elem",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_PTR_TO_MAP_VALUE, ARG_ANYTHING],
};
export const bpf_map_delete_elem_proto: bpf_func_proto = {
	func: "bpf_map_delete_elem",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY],
};
export const bpf_map_push_elem_proto: bpf_func_proto = {
	func: "bpf_map_push_elem",
	pkt_access: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_VALUE, ARG_ANYTHING],
};
export const bpf_map_pop_elem_proto: bpf_func_proto = {
	func: "bpf_map_pop_elem",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_VALUE | MEM_UNINIT | MEM_WRITE],
};
export const bpf_map_peek_elem_proto: bpf_func_proto = {
	func: "bpf_map_peek_elem",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_VALUE | MEM_UNINIT | MEM_WRITE],
};
export const bpf_map_lookup_percpu_elem_proto: bpf_func_proto = {
	func: "bpf_map_lookup_percpu_elem",
	pkt_access: true,
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MAP_KEY, ARG_ANYTHING],
};
export const bpf_get_prandom_u32_proto: bpf_func_proto = {
	func: "bpf_user_rnd_u32",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_smp_processor_id_proto: bpf_func_proto = {
	func: "bpf_get_smp_processor_id",
	allow_fastcall: true,
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_numa_node_id_proto: bpf_func_proto = {
	func: "bpf_get_numa_node_id",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_ktime_get_ns_proto: bpf_func_proto = {
	func: "bpf_ktime_get_ns",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_ktime_get_boot_ns_proto: bpf_func_proto = {
	func: "bpf_ktime_get_boot_ns",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_ktime_get_coarse_ns_proto: bpf_func_proto = {
	func: "bpf_ktime_get_coarse_ns",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_ktime_get_tai_ns_proto: bpf_func_proto = {
	func: "bpf_ktime_get_tai_ns",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_pid_tgid_proto: bpf_func_proto = {
	func: "bpf_get_current_pid_tgid",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_uid_gid_proto: bpf_func_proto = {
	func: "bpf_get_current_uid_gid",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_comm_proto: bpf_func_proto = {
	func: "bpf_get_current_comm",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_spin_lock_proto: bpf_func_proto = {
	func: "bpf_spin_lock",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_SPIN_LOCK],
	arg_btf_id: { 0: BPF_PTR_POISON },
};
export const bpf_spin_unlock_proto: bpf_func_proto = {
	func: "bpf_spin_unlock",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_SPIN_LOCK],
	arg_btf_id: { 0: BPF_PTR_POISON },
};
export const bpf_jiffies64_proto: bpf_func_proto = {
	func: "bpf_jiffies64",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_get_current_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_ancestor_cgroup_id_proto: bpf_func_proto = {
	func: "bpf_get_current_ancestor_cgroup_id",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING],
};
export const bpf_strtol_proto: bpf_func_proto = {
	func: "bpf_strtol",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_ANYTHING,
		ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED,
	],
	arg_size: { 3: 8 },
};
export const bpf_strtoul_proto: bpf_func_proto = {
	func: "bpf_strtoul",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_ANYTHING,
		ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED,
	],
	arg_size: { 3: 8 },
};
export const bpf_strncmp_proto: bpf_func_proto = {
	func: "bpf_strncmp",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_PTR_TO_CONST_STR],
};
export const bpf_get_ns_current_pid_tgid_proto: bpf_func_proto = {
	func: "bpf_get_ns_current_pid_tgid",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_get_raw_smp_processor_id_proto: bpf_func_proto = {
	func: "bpf_get_raw_cpu_id",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_event_output_data_proto: bpf_func_proto = {
	func: "bpf_event_output_data",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_copy_from_user_proto: bpf_func_proto = {
	func: "bpf_copy_from_user",
	might_sleep: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_copy_from_user_task_proto: bpf_func_proto = {
	func: "bpf_copy_from_user_task",
	gpl_only: true,
	might_sleep: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING, ARG_PTR_TO_BTF_ID, ARG_ANYTHING],
	arg_btf_id: { 3: { kind: "struct", name: "task_struct" } },
};
export const bpf_per_cpu_ptr_proto: bpf_func_proto = {
	func: "bpf_per_cpu_ptr",
	ret_type: RET_PTR_TO_MEM_OR_BTF_ID | PTR_MAYBE_NULL | MEM_RDONLY,
	arg_type: [ARG_PTR_TO_PERCPU_BTF_ID, ARG_ANYTHING],
};
export const bpf_this_cpu_ptr_proto: bpf_func_proto = {
	func: "bpf_this_cpu_ptr",
	ret_type: RET_PTR_TO_MEM_OR_BTF_ID | MEM_RDONLY,
	arg_type: [ARG_PTR_TO_PERCPU_BTF_ID],
};
export const bpf_snprintf_proto: bpf_func_proto = {
	func: "bpf_snprintf",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM_OR_NULL,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_PTR_TO_CONST_STR,
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_timer_init_proto: bpf_func_proto = {
	func: "bpf_timer_init",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_TIMER, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_timer_set_callback_proto: bpf_func_proto = {
	func: "bpf_timer_set_callback",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_TIMER, ARG_PTR_TO_FUNC],
};
export const bpf_timer_start_proto: bpf_func_proto = {
	func: "bpf_timer_start",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_TIMER, ARG_ANYTHING, ARG_ANYTHING],
};
export const bpf_timer_cancel_proto: bpf_func_proto = {
	func: "bpf_timer_cancel",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_TIMER],
};
export const bpf_kptr_xchg_proto: bpf_func_proto = {
	func: "bpf_kptr_xchg",
	ret_type: RET_PTR_TO_BTF_ID_OR_NULL,
	arg_type: [ARG_KPTR_XCHG_DEST, ARG_PTR_TO_BTF_ID_OR_NULL | OBJ_RELEASE],
	arg_btf_id: { 1: BPF_PTR_POISON },
	ret_btf_id: BPF_PTR_POISON,
};
export const bpf_dynptr_from_mem_proto: bpf_func_proto = {
	func: "bpf_dynptr_from_mem",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_UNINIT_MEM,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_ANYTHING,
		ARG_PTR_TO_DYNPTR | DYNPTR_TYPE_LOCAL | MEM_UNINIT | MEM_WRITE,
	],
};
export const bpf_dynptr_read_proto: bpf_func_proto = {
	func: "bpf_dynptr_read",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_UNINIT_MEM,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_PTR_TO_DYNPTR | MEM_RDONLY,
		ARG_ANYTHING,
		ARG_ANYTHING,
	],
};
export const bpf_dynptr_write_proto: bpf_func_proto = {
	func: "bpf_dynptr_write",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_DYNPTR | MEM_RDONLY,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_ANYTHING,
	],
};
export const bpf_dynptr_data_proto: bpf_func_proto = {
	func: "bpf_dynptr_data",
	ret_type: RET_PTR_TO_DYNPTR_MEM_OR_NULL,
	arg_type: [ARG_PTR_TO_DYNPTR | MEM_RDONLY, ARG_ANYTHING, ARG_CONST_ALLOC_SIZE_OR_ZERO],
};
export const bpf_current_task_under_cgroup_proto: bpf_func_proto = {
	func: "bpf_current_task_under_cgroup",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING],
};

// kernel/bpf/core.c
export const bpf_tail_call_proto: bpf_func_proto = {
	func: "BPF_PTR_POISON",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};

// kernel/bpf/ringbuf.c
export const bpf_ringbuf_reserve_proto: bpf_func_proto = {
	func: "bpf_ringbuf_reserve",
	ret_type: RET_PTR_TO_RINGBUF_MEM_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_CONST_ALLOC_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_ringbuf_submit_proto: bpf_func_proto = {
	func: "bpf_ringbuf_submit",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_RINGBUF_MEM | OBJ_RELEASE, ARG_ANYTHING],
};
export const bpf_ringbuf_discard_proto: bpf_func_proto = {
	func: "bpf_ringbuf_discard",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_RINGBUF_MEM | OBJ_RELEASE, ARG_ANYTHING],
};
export const bpf_ringbuf_output_proto: bpf_func_proto = {
	func: "bpf_ringbuf_output",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_ringbuf_query_proto: bpf_func_proto = {
	func: "bpf_ringbuf_query",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_ringbuf_reserve_dynptr_proto: bpf_func_proto = {
	func: "bpf_ringbuf_reserve_dynptr",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_ANYTHING,
		ARG_PTR_TO_DYNPTR | DYNPTR_TYPE_RINGBUF | MEM_UNINIT | MEM_WRITE,
	],
};
export const bpf_ringbuf_submit_dynptr_proto: bpf_func_proto = {
	func: "bpf_ringbuf_submit_dynptr",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_DYNPTR | DYNPTR_TYPE_RINGBUF | OBJ_RELEASE, ARG_ANYTHING],
};
export const bpf_ringbuf_discard_dynptr_proto: bpf_func_proto = {
	func: "bpf_ringbuf_discard_dynptr",
	ret_type: RET_VOID,
	arg_type: [ARG_PTR_TO_DYNPTR | DYNPTR_TYPE_RINGBUF | OBJ_RELEASE, ARG_ANYTHING],
};
export const bpf_user_ringbuf_drain_proto: bpf_func_proto = {
	func: "bpf_user_ringbuf_drain",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_FUNC, ARG_PTR_TO_STACK_OR_NULL, ARG_ANYTHING],
};

// kernel/bpf/stackmap.c
export const bpf_get_stackid_proto: bpf_func_proto = {
	func: "bpf_get_stackid",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_get_stackid_proto_pe: bpf_func_proto = {
	func: "bpf_get_stackid_pe",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_get_stack_proto: bpf_func_proto = {
	func: "bpf_get_stack",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_get_stack_sleepable_proto: bpf_func_proto = {
	func: "bpf_get_stack_sleepable",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_get_task_stack_proto: bpf_func_proto = {
	func: "bpf_get_task_stack",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "task_struct" } },
};
export const bpf_get_task_stack_sleepable_proto: bpf_func_proto = {
	func: "bpf_get_task_stack_sleepable",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "task_struct" } },
};
export const bpf_get_stack_proto_pe: bpf_func_proto = {
	func: "bpf_get_stack_pe",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};

// kernel/bpf/task_iter.c
export const bpf_find_vma_proto: bpf_func_proto = {
	func: "bpf_find_vma",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_ANYTHING, ARG_PTR_TO_FUNC, ARG_PTR_TO_STACK_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "task_struct" } },
};

// kernel/bpf/bpf_iter.c
export const bpf_for_each_map_elem_proto: bpf_func_proto = {
	func: "bpf_for_each_map_elem",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_FUNC, ARG_PTR_TO_STACK_OR_NULL, ARG_ANYTHING],
};
export const bpf_loop_proto: bpf_func_proto = {
	func: "bpf_loop",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_PTR_TO_FUNC, ARG_PTR_TO_STACK_OR_NULL, ARG_ANYTHING],
};

// kernel/bpf/bpf_inode_storage.c
export const bpf_inode_storage_get_proto: bpf_func_proto = {
	func: "bpf_inode_storage_get",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 1: { kind: "struct", name: "inode" } },
};
export const bpf_inode_storage_delete_proto: bpf_func_proto = {
	func: "bpf_inode_storage_delete",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL],
	arg_btf_id: { 1: { kind: "struct", name: "inode" } },
};

// kernel/bpf/bpf_cgrp_storage.c
export const bpf_cgrp_storage_get_proto: bpf_func_proto = {
	func: "bpf_cgrp_storage_get",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 1: { kind: "struct", name: "cgroup" } },
};
export const bpf_cgrp_storage_delete_proto: bpf_func_proto = {
	func: "bpf_cgrp_storage_delete",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL],
	arg_btf_id: { 1: { kind: "struct", name: "cgroup" } },
};

// kernel/bpf/bpf_task_storage.c
export const bpf_task_storage_get_recur_proto: bpf_func_proto = {
	func: "bpf_task_storage_get_recur",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 1: { kind: "struct", name: "task_struct" } },
};
export const bpf_task_storage_get_proto: bpf_func_proto = {
	func: "bpf_task_storage_get",
	ret_type: RET_PTR_TO_MAP_VALUE_OR_NULL,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL, ARG_PTR_TO_MAP_VALUE_OR_NULL, ARG_ANYTHING],
	arg_btf_id: { 1: { kind: "struct", name: "task_struct" } },
};
export const bpf_task_storage_delete_recur_proto: bpf_func_proto = {
	func: "bpf_task_storage_delete_recur",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL],
	arg_btf_id: { 1: { kind: "struct", name: "task_struct" } },
};
export const bpf_task_storage_delete_proto: bpf_func_proto = {
	func: "bpf_task_storage_delete",
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_PTR_TO_BTF_ID_OR_NULL],
	arg_btf_id: { 1: { kind: "struct", name: "task_struct" } },
};

// kernel/bpf/bpf_lsm.c
export const bpf_bprm_opts_set_proto: bpf_func_proto = {
	func: "bpf_bprm_opts_set",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "linux_binprm" } },
};
export const bpf_ima_inode_hash_proto: bpf_func_proto = {
	func: "bpf_ima_inode_hash",
	might_sleep: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
	arg_btf_id: { 0: { kind: "struct", name: "inode" } },
	allowed: bpf_ima_inode_hash_allowed,
};
export const bpf_ima_file_hash_proto: bpf_func_proto = {
	func: "bpf_ima_file_hash",
	might_sleep: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
	arg_btf_id: { 0: { kind: "struct", name: "file" } },
	allowed: bpf_ima_inode_hash_allowed,
};
export const bpf_get_attach_cookie_proto: bpf_func_proto = {
	func: "bpf_get_attach_cookie",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};

// kernel/bpf/syscall.c
export const bpf_sys_bpf_proto: bpf_func_proto = {
	func: "bpf_sys_bpf",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_sys_close_proto: bpf_func_proto = {
	func: "bpf_sys_close",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING],
};
export const bpf_kallsyms_lookup_name_proto: bpf_func_proto = {
	func: "bpf_kallsyms_lookup_name",
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM,
		ARG_CONST_SIZE_OR_ZERO,
		ARG_ANYTHING,
		ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED,
	],
	arg_size: { 3: 8 },
};

// kernel/bpf/btf.c
export const bpf_btf_find_by_name_kind_proto: bpf_func_proto = {
	func: "bpf_btf_find_by_name_kind",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_ANYTHING, ARG_ANYTHING],
};

// kernel/bpf/cgroup.c
export const bpf_get_local_storage_proto: bpf_func_proto = {
	func: "bpf_get_local_storage",
	ret_type: RET_PTR_TO_MAP_VALUE,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_get_retval_proto: bpf_func_proto = {
	func: "bpf_get_retval",
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_set_retval_proto: bpf_func_proto = {
	func: "bpf_set_retval",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING],
};
export const bpf_sysctl_get_name_proto: bpf_func_proto = {
	func: "bpf_sysctl_get_name",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_sysctl_get_current_value_proto: bpf_func_proto = {
	func: "bpf_sysctl_get_current_value",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_sysctl_get_new_value_proto: bpf_func_proto = {
	func: "bpf_sysctl_get_new_value",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_sysctl_set_new_value_proto: bpf_func_proto = {
	func: "bpf_sysctl_set_new_value",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_get_netns_cookie_sockopt_proto: bpf_func_proto = {
	func: "bpf_get_netns_cookie_sockopt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX_OR_NULL],
};
