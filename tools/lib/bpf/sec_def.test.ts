// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import * as U from "../../../include/uapi/linux/bpf.ts";
import {
	find_sec_def,
	SEC_ATTACH_BTF,
	SEC_SLEEPABLE,
	SEC_USDT,
	SEC_XDP_FRAGS,
	section_defs,
} from "./sec_def.ts";

/** Names as tests write them, and what a program there is. */
const known: readonly (readonly [string, number, number, number?])[] = [
	["socket", U.BPF_PROG_TYPE_SOCKET_FILTER, 0],
	["kprobe/do_sys_open", U.BPF_PROG_TYPE_KPROBE, 0],
	["uprobe.s", U.BPF_PROG_TYPE_KPROBE, 0, SEC_SLEEPABLE],
	["kprobe.multi/x*", U.BPF_PROG_TYPE_KPROBE, U.BPF_TRACE_KPROBE_MULTI],
	["kprobe.session", U.BPF_PROG_TYPE_KPROBE, U.BPF_TRACE_KPROBE_SESSION],
	["uretprobe.multi.s/a:b", U.BPF_PROG_TYPE_KPROBE, U.BPF_TRACE_UPROBE_MULTI, SEC_SLEEPABLE],
	["usdt", U.BPF_PROG_TYPE_KPROBE, 0, SEC_USDT],
	["tc", U.BPF_PROG_TYPE_SCHED_CLS, 0],
	["tc/ingress", U.BPF_PROG_TYPE_SCHED_CLS, U.BPF_TCX_INGRESS],
	["netkit/peer", U.BPF_PROG_TYPE_SCHED_CLS, U.BPF_NETKIT_PEER],
	["tp/syscalls/sys_enter_getpid", U.BPF_PROG_TYPE_TRACEPOINT, 0],
	["raw_tp/sys_enter", U.BPF_PROG_TYPE_RAW_TRACEPOINT, 0],
	["raw_tp.w", U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, 0],
	["tp_btf/sched_switch", U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_RAW_TP, SEC_ATTACH_BTF],
	["fentry/x", U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FENTRY, SEC_ATTACH_BTF],
	["fexit.s/x", U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_FEXIT, SEC_ATTACH_BTF | SEC_SLEEPABLE],
	["fmod_ret/x", U.BPF_PROG_TYPE_TRACING, U.BPF_MODIFY_RETURN, SEC_ATTACH_BTF],
	["freplace/x", U.BPF_PROG_TYPE_EXT, 0, SEC_ATTACH_BTF],
	["lsm/file_open", U.BPF_PROG_TYPE_LSM, U.BPF_LSM_MAC, SEC_ATTACH_BTF],
	["lsm_cgroup/socket_bind", U.BPF_PROG_TYPE_LSM, U.BPF_LSM_CGROUP, SEC_ATTACH_BTF],
	["iter.s/task", U.BPF_PROG_TYPE_TRACING, U.BPF_TRACE_ITER, SEC_ATTACH_BTF | SEC_SLEEPABLE],
	["syscall", U.BPF_PROG_TYPE_SYSCALL, 0, SEC_SLEEPABLE],
	["xdp", U.BPF_PROG_TYPE_XDP, U.BPF_XDP],
	["xdp.frags/cpumap", U.BPF_PROG_TYPE_XDP, U.BPF_XDP_CPUMAP, SEC_XDP_FRAGS],
	["sk_skb", U.BPF_PROG_TYPE_SK_SKB, 0],
	["sk_skb/stream_verdict", U.BPF_PROG_TYPE_SK_SKB, U.BPF_SK_SKB_STREAM_VERDICT],
	["cgroup_skb/egress", U.BPF_PROG_TYPE_CGROUP_SKB, U.BPF_CGROUP_INET_EGRESS],
	["cgroup/sendmsg_unix", U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR, U.BPF_CGROUP_UNIX_SENDMSG],
	["struct_ops.s/test_1", U.BPF_PROG_TYPE_STRUCT_OPS, 0, SEC_SLEEPABLE],
	["netfilter", U.BPF_PROG_TYPE_NETFILTER, U.BPF_NETFILTER],
];

for (const [name, type, attach_type, flags = 0] of known) {
	it(name, () => {
		const def = find_sec_def(name)!;
		expect(def.prog_type).toBe(type);
		expect(def.expected_attach_type).toBe(attach_type);
		const asked = SEC_ATTACH_BTF | SEC_SLEEPABLE | SEC_XDP_FRAGS | SEC_USDT;
		expect(def.cookie & asked).toBe(flags);
	});
}

it("names match whole, or up to a slash where more may follow", () => {
	for (const name of [
		"xdpx",
		"tcx",
		"socket/x",
		"kprobex",
		"tp_btfx/y",
		"raw_tp.wx",
		"syscall/x",
		"",
		"maps",
	])
		expect(find_sec_def(name), name).toBeNull();
	expect(find_sec_def("kprobe")!.sec).toBe("kprobe+");
	expect(find_sec_def("kprobe.multi")!.sec).toBe("kprobe.multi+");
});

it("has libbpf's 101 sections, each found by its own name", () => {
	expect(section_defs.length).toBe(101);
	for (const def of section_defs) {
		const name = def.sec.replace(/\+$/, "");
		expect(find_sec_def(name)).toBe(def);
		if (def.sec.endsWith("+")) expect(find_sec_def(`${name}/x`)).toBe(def);
	}
});
