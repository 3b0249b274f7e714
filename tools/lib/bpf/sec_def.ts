// SPDX-License-Identifier: GPL-2.0-only
/** What the name of an ELF section says of the programs in it: tools/lib/bpf/libbpf.c: section_defs. */
import {
	BPF_CGROUP_DEVICE,
	BPF_CGROUP_GETSOCKOPT,
	BPF_CGROUP_INET_EGRESS,
	BPF_CGROUP_INET_INGRESS,
	BPF_CGROUP_INET_SOCK_CREATE,
	BPF_CGROUP_INET_SOCK_RELEASE,
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET4_POST_BIND,
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_INET6_POST_BIND,
	BPF_CGROUP_SETSOCKOPT,
	BPF_CGROUP_SOCK_OPS,
	BPF_CGROUP_SYSCTL,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UDP6_SENDMSG,
	BPF_CGROUP_UNIX_CONNECT,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_CGROUP_UNIX_SENDMSG,
	BPF_FLOW_DISSECTOR,
	BPF_LIRC_MODE2,
	BPF_LSM_CGROUP,
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_NETFILTER,
	BPF_NETKIT_PEER,
	BPF_NETKIT_PRIMARY,
	BPF_PROG_TYPE_CGROUP_DEVICE,
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_CGROUP_SYSCTL,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_FLOW_DISSECTOR,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LIRC_MODE2,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_LWT_IN,
	BPF_PROG_TYPE_LWT_OUT,
	BPF_PROG_TYPE_LWT_SEG6LOCAL,
	BPF_PROG_TYPE_LWT_XMIT,
	BPF_PROG_TYPE_NETFILTER,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_LOOKUP,
	BPF_PROG_TYPE_SK_MSG,
	BPF_PROG_TYPE_SK_REUSEPORT,
	BPF_PROG_TYPE_SK_SKB,
	BPF_PROG_TYPE_SOCK_OPS,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_XDP,
	BPF_SK_LOOKUP,
	BPF_SK_MSG_VERDICT,
	BPF_SK_REUSEPORT_SELECT,
	BPF_SK_REUSEPORT_SELECT_OR_MIGRATE,
	BPF_SK_SKB_STREAM_PARSER,
	BPF_SK_SKB_STREAM_VERDICT,
	BPF_SK_SKB_VERDICT,
	BPF_TCX_EGRESS,
	BPF_TCX_INGRESS,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_KPROBE_MULTI,
	BPF_TRACE_KPROBE_SESSION,
	BPF_TRACE_RAW_TP,
	BPF_TRACE_UPROBE_MULTI,
	BPF_XDP,
	BPF_XDP_CPUMAP,
	BPF_XDP_DEVMAP,
} from "../../../include/uapi/linux/bpf.ts";

// tools/lib/bpf/libbpf.c: enum sec_def_flags
export const SEC_NONE = 0;
/** expected_attach_type is optional: 0 on a kernel that does not know it */
export const SEC_EXP_ATTACH_OPT = 1;
export const SEC_ATTACHABLE = 2;
export const SEC_ATTACHABLE_OPT = SEC_ATTACHABLE | SEC_EXP_ATTACH_OPT;
/** the attach target is a BTF id of the kernel */
export const SEC_ATTACH_BTF = 4;
export const SEC_SLEEPABLE = 8;
export const SEC_XDP_FRAGS = 16;
export const SEC_USDT = 32;

/** How bpf_program__attach() attaches programs of a section. */
export type attach_kind =
	| "kprobe"
	| "uprobe"
	| "ksyscall"
	| "usdt"
	| "tp"
	| "raw_tp"
	| "trace"
	| "kprobe_multi"
	| "kprobe_session"
	| "uprobe_multi"
	| "lsm"
	| "iter";

/** struct bpf_sec_def */
export interface bpf_sec_def {
	/** A name; with `+` at its end, the name or `name/…`. */
	readonly sec: string;
	readonly prog_type: number;
	readonly expected_attach_type: number;
	/** enum sec_def_flags */
	readonly cookie: number;
	readonly attach: attach_kind | null;
}

const def = (
	sec: string,
	prog_type: number,
	expected_attach_type: number,
	cookie: number,
	attach: attach_kind | null = null,
): bpf_sec_def => ({ sec, prog_type, expected_attach_type, cookie, attach });

/** In libbpf's order: the first that matches counts. */
export const section_defs: readonly bpf_sec_def[] = [
	def("socket", BPF_PROG_TYPE_SOCKET_FILTER, 0, SEC_NONE),
	def("sk_reuseport/migrate", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE, SEC_ATTACHABLE),
	def("sk_reuseport", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT, SEC_ATTACHABLE),
	def("kprobe+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "kprobe"),
	def("uprobe+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "uprobe"),
	def("uprobe.s+", BPF_PROG_TYPE_KPROBE, 0, SEC_SLEEPABLE, "uprobe"),
	def("kretprobe+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "kprobe"),
	def("uretprobe+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "uprobe"),
	def("uretprobe.s+", BPF_PROG_TYPE_KPROBE, 0, SEC_SLEEPABLE, "uprobe"),
	def("kprobe.multi+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, SEC_NONE, "kprobe_multi"),
	def("kretprobe.multi+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI, SEC_NONE, "kprobe_multi"),
	def("kprobe.session+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_SESSION, SEC_NONE, "kprobe_session"),
	def("uprobe.multi+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SEC_NONE, "uprobe_multi"),
	def("uretprobe.multi+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SEC_NONE, "uprobe_multi"),
	def("uprobe.multi.s+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SEC_SLEEPABLE, "uprobe_multi"),
	def("uretprobe.multi.s+", BPF_PROG_TYPE_KPROBE, BPF_TRACE_UPROBE_MULTI, SEC_SLEEPABLE, "uprobe_multi"),
	def("ksyscall+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "ksyscall"),
	def("kretsyscall+", BPF_PROG_TYPE_KPROBE, 0, SEC_NONE, "ksyscall"),
	def("usdt+", BPF_PROG_TYPE_KPROBE, 0, SEC_USDT, "usdt"),
	def("usdt.s+", BPF_PROG_TYPE_KPROBE, 0, SEC_USDT | SEC_SLEEPABLE, "usdt"),
	def("tc/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS, SEC_NONE),
	def("tc/egress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, SEC_NONE),
	def("tcx/ingress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_INGRESS, SEC_NONE),
	def("tcx/egress", BPF_PROG_TYPE_SCHED_CLS, BPF_TCX_EGRESS, SEC_NONE),
	def("tc", BPF_PROG_TYPE_SCHED_CLS, 0, SEC_NONE),
	def("classifier", BPF_PROG_TYPE_SCHED_CLS, 0, SEC_NONE),
	def("action", BPF_PROG_TYPE_SCHED_ACT, 0, SEC_NONE),
	def("netkit/primary", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PRIMARY, SEC_NONE),
	def("netkit/peer", BPF_PROG_TYPE_SCHED_CLS, BPF_NETKIT_PEER, SEC_NONE),
	def("tracepoint+", BPF_PROG_TYPE_TRACEPOINT, 0, SEC_NONE, "tp"),
	def("tp+", BPF_PROG_TYPE_TRACEPOINT, 0, SEC_NONE, "tp"),
	def("raw_tracepoint+", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, SEC_NONE, "raw_tp"),
	def("raw_tp+", BPF_PROG_TYPE_RAW_TRACEPOINT, 0, SEC_NONE, "raw_tp"),
	def("raw_tracepoint.w+", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, SEC_NONE, "raw_tp"),
	def("raw_tp.w+", BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0, SEC_NONE, "raw_tp"),
	def("tp_btf+", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, SEC_ATTACH_BTF, "trace"),
	def("fentry+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, SEC_ATTACH_BTF, "trace"),
	def("fmod_ret+", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, SEC_ATTACH_BTF, "trace"),
	def("fexit+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, SEC_ATTACH_BTF, "trace"),
	def("fentry.s+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, SEC_ATTACH_BTF | SEC_SLEEPABLE, "trace"),
	def("fmod_ret.s+", BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, SEC_ATTACH_BTF | SEC_SLEEPABLE, "trace"),
	def("fexit.s+", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, SEC_ATTACH_BTF | SEC_SLEEPABLE, "trace"),
	def("freplace+", BPF_PROG_TYPE_EXT, 0, SEC_ATTACH_BTF, "trace"),
	def("lsm+", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, SEC_ATTACH_BTF, "lsm"),
	def("lsm.s+", BPF_PROG_TYPE_LSM, BPF_LSM_MAC, SEC_ATTACH_BTF | SEC_SLEEPABLE, "lsm"),
	def("lsm_cgroup+", BPF_PROG_TYPE_LSM, BPF_LSM_CGROUP, SEC_ATTACH_BTF),
	def("iter+", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, SEC_ATTACH_BTF, "iter"),
	def("iter.s+", BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, SEC_ATTACH_BTF | SEC_SLEEPABLE, "iter"),
	def("syscall", BPF_PROG_TYPE_SYSCALL, 0, SEC_SLEEPABLE),
	def("xdp.frags/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, SEC_XDP_FRAGS),
	def("xdp/devmap", BPF_PROG_TYPE_XDP, BPF_XDP_DEVMAP, SEC_ATTACHABLE),
	def("xdp.frags/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, SEC_XDP_FRAGS),
	def("xdp/cpumap", BPF_PROG_TYPE_XDP, BPF_XDP_CPUMAP, SEC_ATTACHABLE),
	def("xdp.frags", BPF_PROG_TYPE_XDP, BPF_XDP, SEC_XDP_FRAGS),
	def("xdp", BPF_PROG_TYPE_XDP, BPF_XDP, SEC_ATTACHABLE_OPT),
	def("perf_event", BPF_PROG_TYPE_PERF_EVENT, 0, SEC_NONE),
	def("lwt_in", BPF_PROG_TYPE_LWT_IN, 0, SEC_NONE),
	def("lwt_out", BPF_PROG_TYPE_LWT_OUT, 0, SEC_NONE),
	def("lwt_xmit", BPF_PROG_TYPE_LWT_XMIT, 0, SEC_NONE),
	def("lwt_seg6local", BPF_PROG_TYPE_LWT_SEG6LOCAL, 0, SEC_NONE),
	def("sockops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, SEC_ATTACHABLE_OPT),
	def("sk_skb/stream_parser", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_PARSER, SEC_ATTACHABLE_OPT),
	def("sk_skb/stream_verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, SEC_ATTACHABLE_OPT),
	def("sk_skb/verdict", BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT, SEC_ATTACHABLE_OPT),
	def("sk_skb", BPF_PROG_TYPE_SK_SKB, 0, SEC_NONE),
	def("sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, SEC_ATTACHABLE_OPT),
	def("lirc_mode2", BPF_PROG_TYPE_LIRC_MODE2, BPF_LIRC_MODE2, SEC_ATTACHABLE_OPT),
	def("flow_dissector", BPF_PROG_TYPE_FLOW_DISSECTOR, BPF_FLOW_DISSECTOR, SEC_ATTACHABLE_OPT),
	def("cgroup_skb/ingress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_INGRESS, SEC_ATTACHABLE_OPT),
	def("cgroup_skb/egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, SEC_ATTACHABLE_OPT),
	def("cgroup/skb", BPF_PROG_TYPE_CGROUP_SKB, 0, SEC_NONE),
	def("cgroup/sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, SEC_ATTACHABLE),
	def("cgroup/sock_release", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_RELEASE, SEC_ATTACHABLE),
	def("cgroup/sock", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, SEC_ATTACHABLE_OPT),
	def("cgroup/post_bind4", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, SEC_ATTACHABLE),
	def("cgroup/post_bind6", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET6_POST_BIND, SEC_ATTACHABLE),
	def("cgroup/bind4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND, SEC_ATTACHABLE),
	def("cgroup/bind6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_BIND, SEC_ATTACHABLE),
	def("cgroup/connect4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, SEC_ATTACHABLE),
	def("cgroup/connect6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, SEC_ATTACHABLE),
	def("cgroup/connect_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_CONNECT, SEC_ATTACHABLE),
	def("cgroup/sendmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, SEC_ATTACHABLE),
	def("cgroup/sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, SEC_ATTACHABLE),
	def("cgroup/sendmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_SENDMSG, SEC_ATTACHABLE),
	def("cgroup/recvmsg4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_RECVMSG, SEC_ATTACHABLE),
	def("cgroup/recvmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_RECVMSG, SEC_ATTACHABLE),
	def("cgroup/recvmsg_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_RECVMSG, SEC_ATTACHABLE),
	def("cgroup/getpeername4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME, SEC_ATTACHABLE),
	def("cgroup/getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME, SEC_ATTACHABLE),
	def("cgroup/getpeername_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETPEERNAME, SEC_ATTACHABLE),
	def("cgroup/getsockname4", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETSOCKNAME, SEC_ATTACHABLE),
	def("cgroup/getsockname6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETSOCKNAME, SEC_ATTACHABLE),
	def("cgroup/getsockname_unix", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UNIX_GETSOCKNAME, SEC_ATTACHABLE),
	def("cgroup/sysctl", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL, SEC_ATTACHABLE),
	def("cgroup/getsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_GETSOCKOPT, SEC_ATTACHABLE),
	def("cgroup/setsockopt", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, SEC_ATTACHABLE),
	def("cgroup/dev", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, SEC_ATTACHABLE_OPT),
	def("struct_ops+", BPF_PROG_TYPE_STRUCT_OPS, 0, SEC_NONE),
	def("struct_ops.s+", BPF_PROG_TYPE_STRUCT_OPS, 0, SEC_SLEEPABLE),
	def("sk_lookup", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, SEC_ATTACHABLE),
	def("netfilter", BPF_PROG_TYPE_NETFILTER, BPF_NETFILTER, SEC_NONE),
];

/** tools/lib/bpf/libbpf.c: sec_def_matches */
export function sec_def_matches(sec_def: bpf_sec_def, sec_name: string): boolean {
	const { sec } = sec_def;
	if (sec.endsWith("/")) return sec_name.startsWith(sec);
	if (sec.endsWith("+")) {
		const name = sec.slice(0, -1);
		return sec_name === name || sec_name.startsWith(`${name}/`);
	}
	return sec_name === sec;
}

/** tools/lib/bpf/libbpf.c: find_sec_def; null when libbpf does not know the section. */
export function find_sec_def(sec_name: string): bpf_sec_def | null {
	return section_defs.find((d) => sec_def_matches(d, sec_name)) ?? null;
}
