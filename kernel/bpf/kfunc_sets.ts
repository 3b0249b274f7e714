// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's sets of kfuncs (BTF_KFUNCS_START … of kernel/, net/, fs/, drivers/hid and of bpf_testmod): names,
 * flags, and the program types they are registered for. When a BTF of the kernel or of a module is opened, the
 * names are looked up in it; functions that it lacks (other configuration) are left out.
 */
import {
	KF_ACQUIRE,
	KF_DESTRUCTIVE,
	KF_ITER_DESTROY,
	KF_ITER_NEW,
	KF_ITER_NEXT,
	KF_RCU,
	KF_RCU_PROTECTED,
	KF_RELEASE,
	KF_RET_NULL,
	KF_SLEEPABLE,
	KF_TRUSTED_ARGS,
} from "../../include/linux/btf.ts";
import { EACCES } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_LWT_IN,
	BPF_PROG_TYPE_LWT_OUT,
	BPF_PROG_TYPE_LWT_SEG6LOCAL,
	BPF_PROG_TYPE_LWT_XMIT,
	BPF_PROG_TYPE_NETFILTER,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_SKB,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_UNSPEC,
	BPF_PROG_TYPE_XDP,
	BPF_TRACE_ITER,
	BPF_TRACE_KPROBE_SESSION,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC, BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import type { bpf_prog } from "./bpf_types.ts";
import {
	BTF_KFUNC_HOOK_FMODRET,
	bpf_prog_type_to_kfunc_hook,
	type btf_id_dtor,
	type btf_kfunc_filter,
	btf_register_dtors,
	btf_register_kfuncs,
} from "./btf_kfunc.ts";
import { btf_find_by_name_kind, btf_impl, btf_is_module } from "./btf_obj.ts";
import type { btf } from "./btf_types.ts";

/** May a program have a kfunc of the set that the filter came with? */
type SetFilter = (prog: bpf_prog) => boolean;

/** fs/bpf_fs_kfuncs.c: bpf_fs_kfuncs_filter; fs/verity/measure.c: bpf_get_fsverity_digest_filter */
const lsm_only: SetFilter = (prog) => prog.type === BPF_PROG_TYPE_LSM;
/** kernel/trace/bpf_trace.c: bpf_kprobe_multi_filter */
const kprobe_session_only: SetFilter = (prog) => prog.expected_attach_type === BPF_TRACE_KPROBE_SESSION;
/** net/core/filter.c: tracing_iter_filter */
const trace_iter_only: SetFilter = (prog) => prog.expected_attach_type === BPF_TRACE_ITER;

/** One BTF_KFUNCS_START … BTF_KFUNCS_END, with its registrations. */
export interface KfuncSet {
	name: string;
	file: string;
	/** Program types (BPF_PROG_TYPE_UNSPEC: all), or functions that fmod_ret programs may attach to. */
	for: readonly number[] | "fmodret";
	/** Filters hold for the whole hook, and pass what is not of their set. */
	filter?: SetFilter;
	/** A selftest module's set: looked for in that module only. */
	module?: string;
	/** KF_* by name. */
	kfuncs: Readonly<Record<string, number>>;
}

export const kfunc_sets: readonly KfuncSet[] = [
	{
		name: "arena_kfuncs",
		file: "kernel/bpf/arena.c",
		for: [BPF_PROG_TYPE_UNSPEC],
		kfuncs: {
			bpf_arena_alloc_pages: KF_TRUSTED_ARGS | KF_SLEEPABLE,
			bpf_arena_free_pages: KF_TRUSTED_ARGS | KF_SLEEPABLE,
		},
	},
	{
		name: "cpumask_kfunc_btf_ids",
		file: "kernel/bpf/cpumask.c",
		for: [BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			bpf_cpumask_create: KF_ACQUIRE | KF_RET_NULL,
			bpf_cpumask_release: KF_RELEASE,
			bpf_cpumask_acquire: KF_ACQUIRE | KF_TRUSTED_ARGS,
			bpf_cpumask_first: KF_RCU,
			bpf_cpumask_first_zero: KF_RCU,
			bpf_cpumask_first_and: KF_RCU,
			bpf_cpumask_set_cpu: KF_RCU,
			bpf_cpumask_clear_cpu: KF_RCU,
			bpf_cpumask_test_cpu: KF_RCU,
			bpf_cpumask_test_and_set_cpu: KF_RCU,
			bpf_cpumask_test_and_clear_cpu: KF_RCU,
			bpf_cpumask_setall: KF_RCU,
			bpf_cpumask_clear: KF_RCU,
			bpf_cpumask_and: KF_RCU,
			bpf_cpumask_or: KF_RCU,
			bpf_cpumask_xor: KF_RCU,
			bpf_cpumask_equal: KF_RCU,
			bpf_cpumask_intersects: KF_RCU,
			bpf_cpumask_subset: KF_RCU,
			bpf_cpumask_empty: KF_RCU,
			bpf_cpumask_full: KF_RCU,
			bpf_cpumask_copy: KF_RCU,
			bpf_cpumask_any_distribute: KF_RCU,
			bpf_cpumask_any_and_distribute: KF_RCU,
			bpf_cpumask_weight: KF_RCU,
		},
	},
	{
		name: "crypt_init_kfunc_btf_ids",
		file: "kernel/bpf/crypto.c",
		for: [BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			bpf_crypto_ctx_create: KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE,
			bpf_crypto_ctx_release: KF_RELEASE,
			bpf_crypto_ctx_acquire: KF_ACQUIRE | KF_RCU | KF_RET_NULL,
		},
	},
	{
		name: "crypt_kfunc_btf_ids",
		file: "kernel/bpf/crypto.c",
		for: [BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SCHED_ACT, BPF_PROG_TYPE_XDP],
		kfuncs: {
			bpf_crypto_decrypt: KF_RCU,
			bpf_crypto_encrypt: KF_RCU,
		},
	},
	{
		name: "generic_btf_ids",
		file: "kernel/bpf/helpers.c",
		for: [
			BPF_PROG_TYPE_TRACING,
			BPF_PROG_TYPE_SCHED_CLS,
			BPF_PROG_TYPE_XDP,
			BPF_PROG_TYPE_STRUCT_OPS,
			BPF_PROG_TYPE_SYSCALL,
			BPF_PROG_TYPE_CGROUP_SKB,
		],
		kfuncs: {
			crash_kexec: KF_DESTRUCTIVE,
			bpf_obj_new_impl: KF_ACQUIRE | KF_RET_NULL,
			bpf_percpu_obj_new_impl: KF_ACQUIRE | KF_RET_NULL,
			bpf_obj_drop_impl: KF_RELEASE,
			bpf_percpu_obj_drop_impl: KF_RELEASE,
			bpf_refcount_acquire_impl: KF_ACQUIRE | KF_RET_NULL | KF_RCU,
			bpf_list_push_front_impl: 0,
			bpf_list_push_back_impl: 0,
			bpf_list_pop_front: KF_ACQUIRE | KF_RET_NULL,
			bpf_list_pop_back: KF_ACQUIRE | KF_RET_NULL,
			bpf_task_acquire: KF_ACQUIRE | KF_RCU | KF_RET_NULL,
			bpf_task_release: KF_RELEASE,
			bpf_rbtree_remove: KF_ACQUIRE | KF_RET_NULL,
			bpf_rbtree_add_impl: 0,
			bpf_rbtree_first: KF_RET_NULL,
			bpf_cgroup_acquire: KF_ACQUIRE | KF_RCU | KF_RET_NULL,
			bpf_cgroup_release: KF_RELEASE,
			bpf_cgroup_ancestor: KF_ACQUIRE | KF_RCU | KF_RET_NULL,
			bpf_cgroup_from_id: KF_ACQUIRE | KF_RET_NULL,
			bpf_task_under_cgroup: KF_RCU,
			bpf_task_get_cgroup1: KF_ACQUIRE | KF_RCU | KF_RET_NULL,
			bpf_task_from_pid: KF_ACQUIRE | KF_RET_NULL,
			bpf_throw: 0,
		},
	},
	{
		name: "common_btf_ids",
		file: "kernel/bpf/helpers.c",
		for: [BPF_PROG_TYPE_UNSPEC],
		kfuncs: {
			bpf_cast_to_kern_ctx: 0,
			bpf_rdonly_cast: 0,
			bpf_rcu_read_lock: 0,
			bpf_rcu_read_unlock: 0,
			bpf_dynptr_slice: KF_RET_NULL,
			bpf_dynptr_slice_rdwr: KF_RET_NULL,
			bpf_iter_num_new: KF_ITER_NEW,
			bpf_iter_num_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_num_destroy: KF_ITER_DESTROY,
			bpf_iter_task_vma_new: KF_ITER_NEW | KF_RCU,
			bpf_iter_task_vma_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_task_vma_destroy: KF_ITER_DESTROY,
			bpf_iter_css_task_new: KF_ITER_NEW | KF_TRUSTED_ARGS,
			bpf_iter_css_task_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_css_task_destroy: KF_ITER_DESTROY,
			bpf_iter_css_new: KF_ITER_NEW | KF_TRUSTED_ARGS | KF_RCU_PROTECTED,
			bpf_iter_css_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_css_destroy: KF_ITER_DESTROY,
			bpf_iter_task_new: KF_ITER_NEW | KF_TRUSTED_ARGS | KF_RCU_PROTECTED,
			bpf_iter_task_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_task_destroy: KF_ITER_DESTROY,
			bpf_dynptr_adjust: 0,
			bpf_dynptr_is_null: 0,
			bpf_dynptr_is_rdonly: 0,
			bpf_dynptr_size: 0,
			bpf_dynptr_clone: 0,
			bpf_modify_return_test_tp: 0,
			bpf_wq_init: 0,
			bpf_wq_set_callback_impl: 0,
			bpf_wq_start: 0,
			bpf_preempt_disable: 0,
			bpf_preempt_enable: 0,
			bpf_iter_bits_new: KF_ITER_NEW,
			bpf_iter_bits_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_bits_destroy: KF_ITER_DESTROY,
			bpf_copy_from_user_str: KF_SLEEPABLE,
		},
	},
	{
		name: "bpf_map_iter_kfunc_ids",
		file: "kernel/bpf/map_iter.c",
		for: [BPF_PROG_TYPE_UNSPEC],
		kfuncs: {
			bpf_map_sum_elem_count: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "key_sig_kfunc_set",
		file: "kernel/trace/bpf_trace.c",
		for: [BPF_PROG_TYPE_TRACING],
		kfuncs: {
			bpf_lookup_user_key: KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE,
			bpf_lookup_system_key: KF_ACQUIRE | KF_RET_NULL,
			bpf_key_put: KF_RELEASE,
			bpf_verify_pkcs7_signature: KF_SLEEPABLE,
		},
	},
	{
		name: "kprobe_multi_kfunc_set_ids",
		file: "kernel/trace/bpf_trace.c",
		for: [BPF_PROG_TYPE_KPROBE],
		filter: kprobe_session_only,
		kfuncs: {
			bpf_session_is_return: 0,
			bpf_session_cookie: 0,
		},
	},
	{
		name: "bpf_rstat_kfunc_ids",
		file: "kernel/cgroup/rstat.c",
		for: [BPF_PROG_TYPE_TRACING],
		kfuncs: {
			cgroup_rstat_updated: 0,
			cgroup_rstat_flush: KF_SLEEPABLE,
		},
	},
	{
		name: "scx_kfunc_ids_select_cpu",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			scx_bpf_select_cpu_dfl: KF_RCU,
		},
	},
	{
		name: "scx_kfunc_ids_enqueue_dispatch",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			scx_bpf_dispatch: KF_RCU,
			scx_bpf_dispatch_vtime: KF_RCU,
		},
	},
	{
		name: "scx_kfunc_ids_dispatch",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			scx_bpf_dispatch_nr_slots: 0,
			scx_bpf_dispatch_cancel: 0,
			scx_bpf_consume: 0,
			scx_bpf_dispatch_from_dsq_set_slice: KF_RCU,
			scx_bpf_dispatch_from_dsq_set_vtime: KF_RCU,
			scx_bpf_dispatch_from_dsq: KF_RCU,
			scx_bpf_dispatch_vtime_from_dsq: KF_RCU,
		},
	},
	{
		name: "scx_kfunc_ids_cpu_release",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			scx_bpf_reenqueue_local: 0,
		},
	},
	{
		name: "scx_kfunc_ids_unlocked",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			scx_bpf_create_dsq: KF_SLEEPABLE,
			scx_bpf_dispatch_from_dsq_set_slice: KF_RCU,
			scx_bpf_dispatch_from_dsq_set_vtime: KF_RCU,
			scx_bpf_dispatch_from_dsq: KF_RCU,
			scx_bpf_dispatch_vtime_from_dsq: KF_RCU,
		},
	},
	{
		name: "scx_kfunc_ids_any",
		file: "kernel/sched/ext.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS, BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			scx_bpf_kick_cpu: 0,
			scx_bpf_dsq_nr_queued: 0,
			scx_bpf_destroy_dsq: 0,
			bpf_iter_scx_dsq_new: KF_ITER_NEW | KF_RCU_PROTECTED,
			bpf_iter_scx_dsq_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_scx_dsq_destroy: KF_ITER_DESTROY,
			scx_bpf_exit_bstr: KF_TRUSTED_ARGS,
			scx_bpf_error_bstr: KF_TRUSTED_ARGS,
			scx_bpf_dump_bstr: KF_TRUSTED_ARGS,
			scx_bpf_cpuperf_cap: 0,
			scx_bpf_cpuperf_cur: 0,
			scx_bpf_cpuperf_set: 0,
			scx_bpf_nr_cpu_ids: 0,
			scx_bpf_get_possible_cpumask: KF_ACQUIRE,
			scx_bpf_get_online_cpumask: KF_ACQUIRE,
			scx_bpf_put_cpumask: KF_RELEASE,
			scx_bpf_get_idle_cpumask: KF_ACQUIRE,
			scx_bpf_get_idle_smtmask: KF_ACQUIRE,
			scx_bpf_put_idle_cpumask: KF_RELEASE,
			scx_bpf_test_and_clear_cpu_idle: 0,
			scx_bpf_pick_idle_cpu: KF_RCU,
			scx_bpf_pick_any_cpu: KF_RCU,
			scx_bpf_task_running: KF_RCU,
			scx_bpf_task_cpu: KF_RCU,
			scx_bpf_cpu_rq: 0,
			scx_bpf_task_cgroup: KF_RCU | KF_ACQUIRE,
		},
	},
	{
		name: "bpf_test_modify_return_ids",
		file: "net/bpf/test_run.c",
		for: "fmodret",
		kfuncs: {
			bpf_modify_return_test: 0,
			bpf_modify_return_test2: 0,
			bpf_modify_return_test_tp: 0,
			bpf_fentry_test1: KF_SLEEPABLE,
		},
	},
	{
		name: "test_sk_check_kfunc_ids",
		file: "net/bpf/test_run.c",
		for: [BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			bpf_kfunc_call_test_release: KF_RELEASE,
			bpf_kfunc_call_memb_release: KF_RELEASE,
		},
	},
	{
		name: "bpf_kfunc_check_set_skb",
		file: "net/core/filter.c",
		for: [
			BPF_PROG_TYPE_SCHED_CLS,
			BPF_PROG_TYPE_SCHED_ACT,
			BPF_PROG_TYPE_SK_SKB,
			BPF_PROG_TYPE_SOCKET_FILTER,
			BPF_PROG_TYPE_CGROUP_SKB,
			BPF_PROG_TYPE_LWT_OUT,
			BPF_PROG_TYPE_LWT_IN,
			BPF_PROG_TYPE_LWT_XMIT,
			BPF_PROG_TYPE_LWT_SEG6LOCAL,
			BPF_PROG_TYPE_NETFILTER,
			BPF_PROG_TYPE_TRACING,
		],
		kfuncs: {
			bpf_dynptr_from_skb: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "bpf_kfunc_check_set_xdp",
		file: "net/core/filter.c",
		for: [BPF_PROG_TYPE_XDP],
		kfuncs: {
			bpf_dynptr_from_xdp: 0,
		},
	},
	{
		name: "bpf_kfunc_check_set_sock_addr",
		file: "net/core/filter.c",
		for: [BPF_PROG_TYPE_CGROUP_SOCK_ADDR],
		kfuncs: {
			bpf_sock_addr_set_sun_path: 0,
		},
	},
	{
		name: "bpf_kfunc_check_set_tcp_reqsk",
		file: "net/core/filter.c",
		for: [BPF_PROG_TYPE_SCHED_CLS],
		kfuncs: {
			bpf_sk_assign_tcp_reqsk: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "bpf_sk_iter_kfunc_ids",
		file: "net/core/filter.c",
		for: [BPF_PROG_TYPE_TRACING],
		filter: trace_iter_only,
		kfuncs: {
			bpf_sock_destroy: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "xdp_metadata_kfunc_ids",
		file: "net/core/xdp.c",
		for: [BPF_PROG_TYPE_XDP],
		kfuncs: {
			bpf_xdp_metadata_rx_timestamp: KF_TRUSTED_ARGS,
			bpf_xdp_metadata_rx_hash: KF_TRUSTED_ARGS,
			bpf_xdp_metadata_rx_vlan_tag: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "bpf_tcp_ca_check_kfunc_ids",
		file: "net/ipv4/bpf_tcp_ca.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			tcp_reno_ssthresh: 0,
			tcp_reno_cong_avoid: 0,
			tcp_reno_undo_cwnd: 0,
			tcp_slow_start: 0,
			tcp_cong_avoid_ai: 0,
		},
	},
	{
		name: "fou_kfunc_set",
		file: "net/ipv4/fou_bpf.c",
		for: [BPF_PROG_TYPE_SCHED_CLS],
		kfuncs: {
			bpf_skb_set_fou_encap: 0,
			bpf_skb_get_fou_encap: 0,
		},
	},
	{
		name: "tcp_bbr_check_kfunc_ids",
		file: "net/ipv4/tcp_bbr.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			bbr_init: 0,
			bbr_main: 0,
			bbr_sndbuf_expand: 0,
			bbr_undo_cwnd: 0,
			bbr_cwnd_event: 0,
			bbr_ssthresh: 0,
			bbr_min_tso_segs: 0,
			bbr_set_state: 0,
		},
	},
	{
		name: "tcp_cubic_check_kfunc_ids",
		file: "net/ipv4/tcp_cubic.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			cubictcp_init: 0,
			cubictcp_recalc_ssthresh: 0,
			cubictcp_cong_avoid: 0,
			cubictcp_state: 0,
			cubictcp_cwnd_event: 0,
			cubictcp_acked: 0,
		},
	},
	{
		name: "tcp_dctcp_check_kfunc_ids",
		file: "net/ipv4/tcp_dctcp.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			dctcp_init: 0,
			dctcp_update_alpha: 0,
			dctcp_cwnd_event: 0,
			dctcp_ssthresh: 0,
			dctcp_cwnd_undo: 0,
			dctcp_state: 0,
		},
	},
	{
		name: "bpf_mptcp_fmodret_ids",
		file: "net/mptcp/bpf.c",
		for: "fmodret",
		kfuncs: {
			update_socket_protocol: 0,
		},
	},
	{
		name: "nf_ct_kfunc_set",
		file: "net/netfilter/nf_conntrack_bpf.c",
		for: [BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS],
		kfuncs: {
			bpf_xdp_ct_alloc: KF_ACQUIRE | KF_RET_NULL,
			bpf_xdp_ct_lookup: KF_ACQUIRE | KF_RET_NULL,
			bpf_skb_ct_alloc: KF_ACQUIRE | KF_RET_NULL,
			bpf_skb_ct_lookup: KF_ACQUIRE | KF_RET_NULL,
			bpf_ct_insert_entry: KF_ACQUIRE | KF_RET_NULL | KF_RELEASE,
			bpf_ct_release: KF_RELEASE,
			bpf_ct_set_timeout: KF_TRUSTED_ARGS,
			bpf_ct_change_timeout: KF_TRUSTED_ARGS,
			bpf_ct_set_status: KF_TRUSTED_ARGS,
			bpf_ct_change_status: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "nf_ft_kfunc_set",
		file: "net/netfilter/nf_flow_table_bpf.c",
		for: [BPF_PROG_TYPE_XDP],
		kfuncs: {
			bpf_xdp_flow_lookup: KF_TRUSTED_ARGS | KF_RET_NULL,
		},
	},
	{
		name: "nf_nat_kfunc_set",
		file: "net/netfilter/nf_nat_bpf.c",
		for: [BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_SCHED_CLS],
		kfuncs: {
			bpf_ct_set_nat_info: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "xfrm_ifc_kfunc_set",
		file: "net/xfrm/xfrm_interface_bpf.c",
		for: [BPF_PROG_TYPE_SCHED_CLS],
		kfuncs: {
			bpf_skb_get_xfrm_info: 0,
			bpf_skb_set_xfrm_info: 0,
		},
	},
	{
		name: "xfrm_state_kfunc_set",
		file: "net/xfrm/xfrm_state_bpf.c",
		for: [BPF_PROG_TYPE_XDP],
		kfuncs: {
			bpf_xdp_get_xfrm_state: KF_RET_NULL | KF_ACQUIRE,
			bpf_xdp_xfrm_state_release: KF_RELEASE,
		},
	},
	{
		name: "bpf_fs_kfunc_set_ids",
		file: "fs/bpf_fs_kfuncs.c",
		for: [BPF_PROG_TYPE_LSM],
		filter: lsm_only,
		kfuncs: {
			bpf_get_task_exe_file: KF_ACQUIRE | KF_TRUSTED_ARGS | KF_RET_NULL,
			bpf_put_file: KF_RELEASE,
			bpf_path_d_path: KF_TRUSTED_ARGS,
			bpf_get_dentry_xattr: KF_SLEEPABLE | KF_TRUSTED_ARGS,
			bpf_get_file_xattr: KF_SLEEPABLE | KF_TRUSTED_ARGS,
		},
	},
	{
		name: "fsverity_set_ids",
		file: "fs/verity/measure.c",
		for: [BPF_PROG_TYPE_LSM],
		filter: lsm_only,
		kfuncs: {
			bpf_get_fsverity_digest: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "hid_bpf_kfunc_ids",
		file: "drivers/hid/bpf/hid_bpf_dispatch.c",
		for: [BPF_PROG_TYPE_STRUCT_OPS],
		kfuncs: {
			hid_bpf_get_data: KF_RET_NULL,
			hid_bpf_allocate_context: KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE,
			hid_bpf_release_context: KF_RELEASE | KF_SLEEPABLE,
			hid_bpf_hw_request: KF_SLEEPABLE,
			hid_bpf_hw_output_report: KF_SLEEPABLE,
			hid_bpf_input_report: KF_SLEEPABLE,
			hid_bpf_try_input_report: 0,
		},
	},
	{
		name: "hid_bpf_syscall_kfunc_ids",
		file: "drivers/hid/bpf/hid_bpf_dispatch.c",
		for: [BPF_PROG_TYPE_SYSCALL],
		kfuncs: {
			hid_bpf_allocate_context: KF_ACQUIRE | KF_RET_NULL,
			hid_bpf_release_context: KF_RELEASE,
			hid_bpf_hw_request: 0,
			hid_bpf_hw_output_report: 0,
			hid_bpf_input_report: 0,
		},
	},
	{
		name: "bpf_testmod_common_kfunc_ids",
		file: "bpf_testmod/bpf_testmod.c",
		for: [BPF_PROG_TYPE_UNSPEC],
		module: "bpf_testmod",
		kfuncs: {
			bpf_iter_testmod_seq_new: KF_ITER_NEW,
			bpf_iter_testmod_seq_next: KF_ITER_NEXT | KF_RET_NULL,
			bpf_iter_testmod_seq_destroy: KF_ITER_DESTROY,
			bpf_iter_testmod_seq_value: 0,
			bpf_kfunc_common_test: 0,
			bpf_kfunc_dynptr_test: 0,
			bpf_kfunc_nested_acquire_nonzero_offset_test: KF_ACQUIRE,
			bpf_kfunc_nested_acquire_zero_offset_test: KF_ACQUIRE,
			bpf_kfunc_nested_release_test: KF_RELEASE,
			bpf_kfunc_trusted_vma_test: KF_TRUSTED_ARGS,
			bpf_kfunc_trusted_task_test: KF_TRUSTED_ARGS,
			bpf_kfunc_trusted_num_test: KF_TRUSTED_ARGS,
			bpf_kfunc_rcu_task_test: KF_RCU,
			bpf_testmod_ctx_create: KF_ACQUIRE | KF_RET_NULL,
			bpf_testmod_ctx_release: KF_RELEASE,
		},
	},
	{
		name: "bpf_testmod_check_kfunc_ids",
		file: "bpf_testmod/bpf_testmod.c",
		for: [BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL, BPF_PROG_TYPE_STRUCT_OPS],
		module: "bpf_testmod",
		kfuncs: {
			bpf_testmod_test_mod_kfunc: 0,
			bpf_kfunc_call_test1: 0,
			bpf_kfunc_call_test2: 0,
			bpf_kfunc_call_test3: 0,
			bpf_kfunc_call_test4: 0,
			bpf_kfunc_call_test_mem_len_pass1: 0,
			bpf_kfunc_call_test_mem_len_fail1: 0,
			bpf_kfunc_call_test_mem_len_fail2: 0,
			bpf_kfunc_call_test_acquire: KF_ACQUIRE | KF_RET_NULL,
			bpf_kfunc_call_memb_acquire: KF_ACQUIRE | KF_RET_NULL,
			bpf_kfunc_call_memb1_release: KF_RELEASE,
			bpf_kfunc_call_test_get_rdwr_mem: KF_RET_NULL,
			bpf_kfunc_call_test_get_rdonly_mem: KF_RET_NULL,
			bpf_kfunc_call_test_acq_rdonly_mem: KF_ACQUIRE | KF_RET_NULL,
			bpf_kfunc_call_int_mem_release: KF_RELEASE,
			bpf_kfunc_call_test_pass_ctx: 0,
			bpf_kfunc_call_test_pass1: 0,
			bpf_kfunc_call_test_pass2: 0,
			bpf_kfunc_call_test_fail1: 0,
			bpf_kfunc_call_test_fail2: 0,
			bpf_kfunc_call_test_fail3: 0,
			bpf_kfunc_call_test_ref: KF_TRUSTED_ARGS | KF_RCU,
			bpf_kfunc_call_test_destructive: KF_DESTRUCTIVE,
			bpf_kfunc_call_test_static_unused_arg: 0,
			bpf_kfunc_call_test_offset: 0,
			bpf_kfunc_call_test_sleepable: KF_SLEEPABLE,
			bpf_kfunc_init_sock: KF_SLEEPABLE,
			bpf_kfunc_close_sock: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_connect: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_bind: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_listen: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_sendmsg: KF_SLEEPABLE,
			bpf_kfunc_call_sock_sendmsg: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_getsockname: KF_SLEEPABLE,
			bpf_kfunc_call_kernel_getpeername: KF_SLEEPABLE,
			bpf_kfunc_st_ops_test_prologue: KF_TRUSTED_ARGS | KF_SLEEPABLE,
			bpf_kfunc_st_ops_test_epilogue: KF_TRUSTED_ARGS | KF_SLEEPABLE,
			bpf_kfunc_st_ops_test_pro_epilogue: KF_TRUSTED_ARGS | KF_SLEEPABLE,
			bpf_kfunc_st_ops_inc10: KF_TRUSTED_ARGS,
		},
	},
	{
		name: "bpf_test_modorder_x_kfunc_x_ids",
		file: "bpf_test_modorder_x/bpf_test_modorder_x.c",
		for: [BPF_PROG_TYPE_SCHED_CLS],
		module: "bpf_test_modorder_x",
		kfuncs: { bpf_test_modorder_retx: 0 },
	},
	{
		name: "bpf_test_modorder_y_kfunc_x_ids",
		file: "bpf_test_modorder_y/bpf_test_modorder_y.c",
		for: [BPF_PROG_TYPE_SCHED_CLS],
		module: "bpf_test_modorder_y",
		kfuncs: { bpf_test_modorder_rety: 0 },
	},
];

/** Destructors of kptrs: struct and function, by the module that registers them (null: the kernel). */
export const kfunc_dtors: readonly (readonly [string, string, string | null])[] = [
	["task_struct", "bpf_task_release_dtor", null],
	["cgroup", "bpf_cgroup_release_dtor", null],
	["bpf_cpumask", "bpf_cpumask_release_dtor", null],
	["bpf_crypto_ctx", "bpf_crypto_ctx_release_dtor", null],
	["prog_test_ref_kfunc", "bpf_kfunc_call_test_release_dtor", null],
	["prog_test_member", "bpf_kfunc_call_memb_release_dtor", null],
	["bpf_testmod_ctx", "bpf_testmod_ctx_release", "bpf_testmod"],
];

/** Is the type of this very BTF, and not of its base? */
function own(b: btf, name: string, kind: number): number {
	const id = btf_find_by_name_kind(b, name, kind);
	return id >= b.start_id && id > 0 ? id : -1;
}

/** Register all sets and destructors that concern a BTF just opened (vmlinux or a module). */
export function btf_register_tables(b: btf): void {
	const module = btf_is_module(b) ? b.name : null;
	const o = btf_impl(b);
	for (const s of kfunc_sets) {
		if (s.module !== undefined && s.module !== module) continue;
		const set = Object.entries(s.kfuncs)
			.map(([name, flags]) => ({ id: own(b, name, BTF_KIND_FUNC), flags }))
			.filter((e) => e.id > 0);
		if (set.length === 0) continue;
		const ids = new Set(set.map((e) => e.id));
		const { filter: allowed } = s;
		const filter: btf_kfunc_filter | null = allowed
			? (prog, id) => (ids.has(id) && !allowed(prog) ? -EACCES : 0)
			: null;
		const hooks = s.for === "fmodret" ? [BTF_KFUNC_HOOK_FMODRET] : s.for.map(bpf_prog_type_to_kfunc_hook);
		for (const hook of hooks) {
			const err = btf_register_kfuncs(b, hook, { owner: o.module, set, filter });
			if (err) o.kernel?.printk(`${s.name}: kfuncs of ${b.name} not registered: ${err}`);
		}
	}
	const dtors: btf_id_dtor[] = [];
	for (const [struct, func, mod] of kfunc_dtors) {
		if (mod !== module) continue;
		const btf_id = own(b, struct, BTF_KIND_STRUCT);
		const kfunc_btf_id = own(b, func, BTF_KIND_FUNC);
		if (btf_id > 0 && kfunc_btf_id > 0) dtors.push({ btf_id, kfunc_btf_id });
	}
	if (dtors.length > 0) {
		const err = btf_register_dtors(b, dtors);
		if (err) o.kernel?.printk(`destructors of ${b.name} not registered: ${err}`);
	}
}
