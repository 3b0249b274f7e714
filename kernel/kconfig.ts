// SPDX-License-Identifier: GPL-2.0-only
/** The configuration that the mirror answers with: what upstream's selftests ask their kernel for, and what shows in results. */
import type { ArchName } from "./kernel.ts";

const COMMON = `64BIT BPF BPF_EVENTS BPF_JIT BPF_JIT_ALWAYS_ON BPF_JIT_DEFAULT_ON BPF_KPROBE_OVERRIDE BPF_LIRC_MODE2
 BPF_LSM BPF_STREAM_PARSER BPF_SYSCALL BONDING CGROUPS CGROUP_BPF DEBUG_INFO_BTF DEBUG_INFO_BTF_MODULES DYNAMIC_FTRACE
 FTRACE FTRACE_SYSCALLS FUNCTION_ERROR_INJECTION FUNCTION_TRACER HAVE_EFFICIENT_UNALIGNED_ACCESS INET IPV6 KALLSYMS KALLSYMS_ALL KPROBES
 LIRC MEMCG MODULES NET
 NETFILTER_BPF_LINK PAGE_SIZE_4KB PERF_EVENTS PREEMPT PREEMPT_BUILD PREEMPT_COUNT PREEMPT_DYNAMIC PREEMPTION PREEMPT_RCU
 PROC_FS SECURITY SMP SYSCTL TCP_CONG_CUBIC XDP_SOCKETS`;

const OF_ARCH: Readonly<Record<ArchName, readonly [string, string][]>> = {
	x86_64: [
		["X86", "y"],
		["X86_64", "y"],
		["X86_KERNEL_IBT", "y"],
		["HAVE_RETHOOK", "y"],
		["FPROBE", "y"],
		["UNWINDER_ORC", "y"],
		["HZ", "1000"],
		["NR_CPUS", "128"],
	],
	arm64: [
		["ARM64", "y"],
		["ARM64_VA_BITS", "48"],
		["ARM64_LSE_ATOMICS", "y"],
		["HZ", "100"],
		["NR_CPUS", "256"],
	],
};

/** CONFIG_* and their values, as /proc/config.gz has them. */
export function default_kconfig(arch: ArchName): Map<string, string> {
	const out = new Map<string, string>();
	for (const name of COMMON.split(/\s+/)) out.set(`CONFIG_${name}`, "y");
	for (const [name, value] of OF_ARCH[arch]) out.set(`CONFIG_${name}`, value);
	out.set("CONFIG_DEFAULT_HOSTNAME", '"(none)"');
	return out;
}
