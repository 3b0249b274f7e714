// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where arm64's kernel lays its structs out otherwise than x86-64's, which vmlinux_types.ts and vmlinux_objects.ts
 * declare: sizes, and offsets of members in bytes (with the bit, of a bitfield). Of an arm64 kernel 6.12.95 with 256
 * CPUs at most and the configuration of upstream's selftests.
 */

/** A struct a line, indented lines go on: name, size, then the members that lie elsewhere. */
const LAYOUT = `
cpumask 32
task_struct 8576: cpus_ptr 1240, user_cpus_ptr 1248, cpus_mask 1256, mm 1464, frozen 1520.7, pid 1592, tgid
  1596, real_parent 1608, parent 1616, group_leader 1656, start_time 1880, start_boottime 1888, real_cred 2056,
  comm 2080, fs 2144, nsproxy 2168, pending 2216, task_works 2264, self_exec_id 2312, cgroups 2528, rcu 6760,
  rcu_users 6776, bpf_storage 6856, bpf_ctx 6864
module 1280: taints 864, num_bugs 872, bug_list 880, bug_table 896, kallsyms 904, core_kallsyms 912, sect_attrs
  944, notes_attrs 952, args 960, percpu 968, percpu_size 976, noinstr_text_start 984, noinstr_text_size 992,
  num_tracepoints 996, tracepoints_ptrs 1000, num_srcu_structs 1008, srcu_struct_ptrs 1016, num_bpf_raw_events
  1024, bpf_raw_events 1032, btf_data_size 1040, btf_base_data_size 1044, btf_data 1048, btf_base_data 1056,
  jump_entries 1064, num_jump_entries 1072, num_trace_bprintk_fmt 1076, trace_bprintk_fmt_start 1080, trace_events
  1088, num_trace_events 1096, trace_evals 1104, num_trace_evals 1112, num_ftrace_callsites 1116, ftrace_callsites
  1120, kprobes_text_start 1128, kprobes_text_size 1136, kprobe_blacklist 1144, num_kprobe_blacklist 1152,
  source_list 1160, target_list 1176, exit 1192, refcnt 1200, ei_funcs 1208, num_ei_funcs 1216
exception_table_entry 12: data 10
bpf_cpumask 40: usage 32
net 3904: bpf 2728, xdp 3816
cgroup 1728: root 520, old_dom_cgrp 728, rstat_cpu 736
vm_area_struct 168
pid_namespace 136: user_ns 80, ucounts 88, reboot 96, ns 104, memfd_noexec_scope 128
kmem_cache 320
mod_arch_specific 40
css_set 520: dfl_cgrp 104
thread_info 24: cpu 16
sched_rt_entity 72
mm_struct 1152: flags 1000, ioctx_lock 1008, ioctx_table 1016, owner 1024, user_ns 1032, exe_file 1040,
  tlb_flush_pending 1048, tlb_flush_batched 1052, uprobes_state 1056, hugetlb_usage 1064, async_put_work 1072,
  ksm_merging_pages 1104, ksm_rmap_items 1112, ksm_zero_pages 1120, cpu_bitmap 1152
tcp_sock 2240
device 752
rt_rq 1704
rq 3712: rt 512
tcp_timewait_sock 240
ipv6_pinfo 152
tcp6_sock 2432: inet6 2240
fib6_nh 88: rt6i_pcpu 72, rt6i_exception_bucket 80
netns_ipv6 768
signal_struct 1040
cpu 760
node 768: access_list 752
`;

/** Members of another type, and those that are not there. */
const TYPES: readonly (readonly [string, string])[] = [
	// a bit for each of 256 CPUs
	["\tunsigned long bits[2];\n", "\tunsigned long bits[4];\n"],
	["\tint fixup;\n\tint data;\n", "\tint fixup;\n\tshort type;\n\tshort data;\n"],
	// NODES_SHIFT is 4
	["\tstruct kmem_cache_node *node[64]", "\tstruct kmem_cache_node *node[16]"],
	// no CONFIG_NUMA_BALANCING
	["\t\tunsigned long numa_next_scan @1136;\n", ""],
	["\t\tunsigned long numa_scan_offset @1144;\n", ""],
	["\t\tint numa_scan_seq @1152;\n", ""],
	["\t} @1280;\n\tunsigned long cpu_bitmap", "\t} @1152;\n\tunsigned long cpu_bitmap"],
];

interface StructLayout {
	readonly size: number;
	readonly members: ReadonlyMap<string, string>;
}

function layouts(): Map<string, StructLayout> {
	const out = new Map<string, StructLayout>();
	for (const line of LAYOUT.replaceAll("\n  ", " ").trim().split("\n")) {
		const m = /^(\w+) (\d+)(?:: (.*))?$/.exec(line);
		if (!m) throw new Error(`not a layout: ${line}`);
		const members = (m[3]?.split(", ") ?? []).map((x) => x.split(" ") as [string, string]);
		out.set(m[1]!, { size: Number(m[2]), members: new Map(members) });
	}
	return out;
}

/** The name that a line of a struct declares: `u32 cpu @20;`, `void (*exit)(void);`, `} name[2];` */
const MEMBER = /^\t+(?:.*\(\*(\w+)\)\(.*\)|.*?(\w+)(?:\[\w*\])*(?: : \d+)?)( @[\d.]+)?;$/;

/** The declarations with arm64's offsets and sizes. Throws when a struct or member of the list is not there. */
export function with_arm64_layout(text: string): string {
	const left = layouts();
	let open: { name: string; layout: StructLayout; members: Map<string, string> } | null = null;
	const lines = TYPES.reduce((t, [from, to]) => t.replace(from, to), text)
		.split("\n")
		.map((line) => {
			if (open) {
				if (line.startsWith("}")) {
					const { name, layout, members } = open;
					if (members.size) throw new Error(`struct ${name} has no ${[...members.keys()].join(", ")}`);
					open = null;
					return `} @${layout.size};`;
				}
				const m = MEMBER.exec(line);
				const name = m?.[1] ?? m?.[2] ?? "";
				const at = open.members.get(name);
				if (at === undefined) return line;
				open.members.delete(name);
				return `${line.slice(0, line.length - 1 - (m?.[3]?.length ?? 0))} @${at};`;
			}
			const m = /^struct (\w+) (?:(\{)|@\d+;)$/.exec(line);
			const layout = m ? left.get(m[1]!) : undefined;
			if (!m || !layout) return line;
			left.delete(m[1]!);
			if (!m[2]) return `struct ${m[1]} @${layout.size};`;
			open = { name: m[1]!, layout, members: new Map(layout.members) };
			return line;
		});
	if (left.size) throw new Error(`no struct ${[...left.keys()].join(", ")}`);
	return lines.join("\n");
}
