// SPDX-License-Identifier: GPL-2.0-only
/** Program types and their verifier operations (include/linux/bpf_types.h). */
import * as T from "../../include/uapi/linux/bpf.ts";
import * as net from "../../net/core/filter.ts";
import { CAP_PERFMON } from "../task.ts";
import * as trace from "../trace/bpf_trace.ts";
import { bpf_prog_capable } from "./base_proto.ts";
import { lsm_verifier_ops } from "./bpf_lsm.ts";
import type { bpf_verifier_ops } from "./bpf_types.ts";
import { cg_dev_verifier_ops, cg_sockopt_verifier_ops, cg_sysctl_verifier_ops } from "./cgroup_proto.ts";
import { syscall_prog_helpers } from "./helper_sets.ts";
import { bpf_sys_bpf_proto } from "./helpers_proto.ts";

/** A program type: its operations, and the types of the context as programs and as the kernel see it. */
export interface ProgType {
	readonly name: string;
	readonly ops: bpf_verifier_ops;
	/** bpf_ctx_convert: the program's context type and the kernel's own. */
	readonly prog_ctx: string;
	readonly kern_ctx: string;
}

/** kernel/bpf/syscall.c: bpf_syscall_verifier_ops */
const bpf_syscall_verifier_ops: bpf_verifier_ops = {
	get_func_proto(func_id, prog) {
		if (func_id === T.BPF_FUNC_sys_bpf) return bpf_prog_capable(prog, CAP_PERFMON) ? bpf_sys_bpf_proto : null;
		return syscall_prog_helpers.get(func_id) ?? trace.tracing_prog_func_proto(func_id, prog);
	},
	is_valid_access: (off, size) => off >= 0 && off < 0xffff && off % size === 0,
};

/** Ops of types whose rules come from what they attach to (struct_ops, freplace). */
const empty_ops: bpf_verifier_ops = {};

function type(name: string, ops: bpf_verifier_ops, prog_ctx: string, kern_ctx: string): ProgType {
	return { name, ops, prog_ctx, kern_ctx };
}

/** include/linux/bpf_types.h, in its order: bpf_ctx_convert is laid out so. */
export const prog_types: ReadonlyMap<number, ProgType> = new Map([
	[T.BPF_PROG_TYPE_SOCKET_FILTER, type("sk_filter", net.sk_filter_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_SCHED_CLS, type("tc_cls_act", net.tc_cls_act_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_SCHED_ACT, type("tc_cls_act", net.tc_cls_act_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_XDP, type("xdp", net.xdp_verifier_ops, "xdp_md", "xdp_buff")],
	[T.BPF_PROG_TYPE_CGROUP_SKB, type("cg_skb", net.cg_skb_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_CGROUP_SOCK, type("cg_sock", net.cg_sock_verifier_ops, "bpf_sock", "sock")],
	[
		T.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		type("cg_sock_addr", net.cg_sock_addr_verifier_ops, "bpf_sock_addr", "bpf_sock_addr_kern"),
	],
	[T.BPF_PROG_TYPE_LWT_IN, type("lwt_in", net.lwt_in_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_LWT_OUT, type("lwt_out", net.lwt_out_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_LWT_XMIT, type("lwt_xmit", net.lwt_xmit_verifier_ops, "__sk_buff", "sk_buff")],
	[
		T.BPF_PROG_TYPE_LWT_SEG6LOCAL,
		type("lwt_seg6local", net.lwt_seg6local_verifier_ops, "__sk_buff", "sk_buff"),
	],
	[
		T.BPF_PROG_TYPE_SOCK_OPS,
		type("sock_ops", net.sock_ops_verifier_ops, "bpf_sock_ops", "bpf_sock_ops_kern"),
	],
	[T.BPF_PROG_TYPE_SK_SKB, type("sk_skb", net.sk_skb_verifier_ops, "__sk_buff", "sk_buff")],
	[T.BPF_PROG_TYPE_SK_MSG, type("sk_msg", net.sk_msg_verifier_ops, "sk_msg_md", "sk_msg")],
	[
		T.BPF_PROG_TYPE_FLOW_DISSECTOR,
		type("flow_dissector", net.flow_dissector_verifier_ops, "__sk_buff", "bpf_flow_dissector"),
	],
	[T.BPF_PROG_TYPE_KPROBE, type("kprobe", trace.kprobe_verifier_ops, "bpf_user_pt_regs_t", "pt_regs")],
	[T.BPF_PROG_TYPE_TRACEPOINT, type("tracepoint", trace.tracepoint_verifier_ops, "__u64", "u64")],
	[
		T.BPF_PROG_TYPE_PERF_EVENT,
		type("perf_event", trace.perf_event_verifier_ops, "bpf_perf_event_data", "bpf_perf_event_data_kern"),
	],
	[
		T.BPF_PROG_TYPE_RAW_TRACEPOINT,
		type("raw_tracepoint", trace.raw_tracepoint_verifier_ops, "bpf_raw_tracepoint_args", "u64"),
	],
	[
		T.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
		type(
			"raw_tracepoint_writable",
			trace.raw_tracepoint_writable_verifier_ops,
			"bpf_raw_tracepoint_args",
			"u64",
		),
	],
	[T.BPF_PROG_TYPE_TRACING, type("tracing", trace.tracing_verifier_ops, "void *", "void *")],
	[
		T.BPF_PROG_TYPE_CGROUP_DEVICE,
		type("cg_dev", cg_dev_verifier_ops, "bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx"),
	],
	[T.BPF_PROG_TYPE_CGROUP_SYSCTL, type("cg_sysctl", cg_sysctl_verifier_ops, "bpf_sysctl", "bpf_sysctl_kern")],
	[
		T.BPF_PROG_TYPE_CGROUP_SOCKOPT,
		type("cg_sockopt", cg_sockopt_verifier_ops, "bpf_sockopt", "bpf_sockopt_kern"),
	],
	[T.BPF_PROG_TYPE_LIRC_MODE2, type("lirc_mode2", net.lirc_mode2_verifier_ops, "__u32", "u32")],
	[
		T.BPF_PROG_TYPE_SK_REUSEPORT,
		type("sk_reuseport", net.sk_reuseport_verifier_ops, "sk_reuseport_md", "sk_reuseport_kern"),
	],
	[
		T.BPF_PROG_TYPE_SK_LOOKUP,
		type("sk_lookup", net.sk_lookup_verifier_ops, "bpf_sk_lookup", "bpf_sk_lookup_kern"),
	],
	[T.BPF_PROG_TYPE_STRUCT_OPS, type("bpf_struct_ops", empty_ops, "void *", "void *")],
	[T.BPF_PROG_TYPE_EXT, type("bpf_extension", empty_ops, "void *", "void *")],
	[T.BPF_PROG_TYPE_LSM, type("lsm", lsm_verifier_ops, "void *", "void *")],
	[T.BPF_PROG_TYPE_SYSCALL, type("bpf_syscall", bpf_syscall_verifier_ops, "void *", "void *")],
	[T.BPF_PROG_TYPE_NETFILTER, type("netfilter", net.netfilter_verifier_ops, "bpf_nf_ctx", "bpf_nf_ctx")],
]);

/** bpf_verifier_ops[type] of kernel/bpf/verifier.c; undefined for a type that the kernel does not know. */
export function verifier_ops_of(prog_type: number): bpf_verifier_ops | undefined {
	return prog_types.get(prog_type)?.ops;
}
