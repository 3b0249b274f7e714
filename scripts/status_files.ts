// SPDX-License-Identifier: GPL-2.0-only
/** What of the kernel's files is mirrored: what kernel/bpf/Makefile builds, and the rest of the tree that the mirror needs. */

export interface KernelFile {
	/** The kernel's file. */
	readonly file: string;
	/** Files here that mirror it. */
	readonly here: readonly string[];
	/** What is not ported of it; empty: whole. */
	readonly missing?: string;
}

const whole = (file: string, ...here: string[]): KernelFile => ({ file, here });
const partly = (file: string, missing: string, ...here: string[]): KernelFile => ({ file, here, missing });
const not = (file: string, missing = "all of it"): KernelFile => ({ file, here: [], missing });

const bpf = (...names: string[]): string[] => names.map((n) => `kernel/bpf/${n}.ts`);

export const kernelFiles: readonly KernelFile[] = [
	whole("kernel/bpf/arena.c", ...bpf("arena")),
	partly("kernel/bpf/arraymap.c", "cgroup elements", ...bpf("arraymap")),
	whole("kernel/bpf/bloom_filter.c", ...bpf("bloom_filter")),
	partly("kernel/bpf/bpf_cgrp_storage.c", "cgroups that user space could name", ...bpf("bpf_local_storage")),
	partly(
		"kernel/bpf/bpf_inode_storage.c",
		"inodes other than that of anonymous files",
		...bpf("bpf_local_storage"),
	),
	partly(
		"kernel/bpf/bpf_iter.c",
		"iterators over files, cgroups, symbols and sockets",
		...bpf("bpf_iter", "bpf_iter_run", "bpf_iter_targets", "seq_file"),
	),
	partly(
		"kernel/bpf/bpf_local_storage.c",
		"its cache and buckets: lists are kept outside of the guest",
		...bpf("bpf_local_storage"),
	),
	whole("kernel/bpf/bpf_lru_list.c", ...bpf("bpf_lru_list")),
	partly(
		"kernel/bpf/bpf_lsm.c",
		"attaching to cgroups, and to hooks other than bpf, bpf_map and bpf_prog",
		...bpf("bpf_lsm", "bpf_lsm_allowed", "bpf_lsm_hooks"),
		"kernel/security.ts",
	),
	partly(
		"kernel/bpf/bpf_struct_ops.c",
		"registering what has no subsystem here (tcp_congestion_ops, sched_ext_ops, hid_bpf_ops), users of modules",
		...bpf("bpf_struct_ops", "bpf_struct_ops_map", "struct_ops_tables"),
	),
	partly("kernel/bpf/bpf_task_storage.c", "pidfds", ...bpf("bpf_local_storage")),
	whole(
		"kernel/bpf/btf.c",
		...bpf("btf", "btf_load", "btf_check", "btf_obj", "btf_fields", "btf_func", "btf_ctx", "btf_access"),
		...bpf("btf_find", "btf_kfunc", "btf_show", "btf_verify", "btf_core", "btf_ids", "kfunc_sets"),
	),
	whole("kernel/bpf/btf_relocate.c", ...bpf("btf_relocate")),
	partly(
		"kernel/bpf/cgroup.c",
		"attaching, running, storage (prototypes and context access are ported)",
		...bpf("cgroup_proto"),
	),
	not("kernel/bpf/cgroup_iter.c", "running (verification is ported)"),
	partly(
		"kernel/bpf/core.c",
		"programs offloaded to a device",
		...bpf("core", "interp", "prog", "arch_jit", "jit"),
	),
	not("kernel/bpf/cpumap.c", "elements (creation and verification are ported)"),
	whole("kernel/bpf/cpumask.c", ...bpf("cpumask")),
	partly("kernel/bpf/crypto.c", "ciphers other than ecb(aes) and cbc(aes)", ...bpf("crypto")),
	not("kernel/bpf/devmap.c", "elements (creation and verification are ported)"),
	whole("kernel/bpf/disasm.c", ...bpf("disasm")),
	not("kernel/bpf/dispatcher.c"),
	whole("kernel/bpf/hashtab.c", ...bpf("hashtab")),
	partly(
		"kernel/bpf/helpers.c",
		"the bodies that the list below names",
		...bpf(
			"helpers",
			"helpers_proto",
			"bprintf",
			"timer",
			"local_objects",
			"dynptr",
			"throw",
			"kfunc_bodies",
		),
	),
	not("kernel/bpf/inode.c", "pinning and the bpf file system"),
	whole("kernel/bpf/link_iter.c", ...bpf("bpf_iter_objs")),
	partly(
		"kernel/bpf/local_storage.c",
		"storage beyond a test run",
		"net/bpf/test_run.ts",
		"kernel/bpf/other_maps.ts",
	),
	whole("kernel/bpf/log.c", ...bpf("log")),
	whole("kernel/bpf/lpm_trie.c", ...bpf("lpm_trie")),
	whole("kernel/bpf/map_in_map.c", ...bpf("map_in_map")),
	whole("kernel/bpf/map_iter.c", ...bpf("bpf_iter_objs", "map_elem_iter")),
	partly("kernel/bpf/memalloc.c", "its caches: objects come straight from kmalloc", "mm/slab.ts"),
	not("kernel/bpf/mprog.c"),
	not("kernel/bpf/net_namespace.c", "attaching to a network namespace"),
	partly(
		"kernel/bpf/offload.c",
		"programs and maps of a device (loading answers as a kernel without such devices)",
		...bpf("prog_load"),
	),
	whole("kernel/bpf/percpu_freelist.c", ...bpf("hashtab")),
	whole("kernel/bpf/prog_iter.c", ...bpf("bpf_iter_objs")),
	whole("kernel/bpf/queue_stack_maps.c", ...bpf("queue_stack_maps")),
	whole("kernel/bpf/relo_core.c", "lib/relo_core.ts"),
	not("kernel/bpf/reuseport_array.c", "elements (creation and verification are ported)"),
	whole("kernel/bpf/ringbuf.c", ...bpf("ringbuf", "dynptr")),
	not("kernel/bpf/stackmap.c", "stack traces (creation and verification are ported)"),
	partly(
		"kernel/bpf/syscall.c",
		"the commands and attachments that the list below names",
		...bpf("syscall", "map_create", "map_syscall", "prog_load", "link", "bpf_link", "obj_info"),
	),
	whole("kernel/bpf/sysfs_btf.c", ...bpf("vmlinux_btf")),
	partly("kernel/bpf/task_iter.c", "files, tasks of a cgroup", ...bpf("task_iter", "bpf_iter_objs")),
	not("kernel/bpf/tcx.c"),
	whole("kernel/bpf/tnum.c", ...bpf("tnum"), "kernel/bpf/scalar/tnum.ts"),
	partly("kernel/bpf/token.c", "creation of tokens", ...bpf("attr")),
	partly(
		"kernel/bpf/trampoline.c",
		"shims of LSM programs on cgroups",
		...bpf("trampoline"),
		"kernel/trace/ftrace.ts",
	),
	whole(
		"kernel/bpf/verifier.c",
		...bpf("verifier", "states", "regs", "liveness", "backtrack", "check_mem", "stack", "stack_depth", "alu"),
		...bpf("cond_jmp", "check_ld", "predicates", "stack_objs", "func_arg", "iterators", "func_proto"),
		...bpf("func_call", "helper_call", "kfunc", "kfunc_args", "cfg", "check_btf", "subprogs", "resolve"),
		...bpf("attach", "patch", "fixups", "misc_fixups", "jit_subprogs"),
	),
	partly(
		"kernel/trace/bpf_trace.c",
		"uprobe_multi, stack traces, branch records",
		"kernel/trace/bpf_trace.ts",
		"kernel/trace/bpf_trace_bodies.ts",
		"kernel/trace/bpf_kprobe_multi.ts",
	),
	partly(
		"kernel/trace/trace_kprobe.c",
		"probes made through tracefs, fetching of arguments",
		"kernel/trace/trace_kprobe.ts",
	),
	partly(
		"kernel/trace/trace_event_perf.c",
		"events besides system calls' and sched_switch",
		"kernel/trace/trace_events.ts",
	),
	partly(
		"kernel/kprobes.c",
		"probes within functions: those at entry and return fire, no instruction is replaced",
		"kernel/kprobes.ts",
	),
	partly(
		"kernel/events/core.c",
		"hardware, breakpoints, inheritance, call chains, filters, AUX areas",
		"kernel/events/core.ts",
		"kernel/events/perf.ts",
		"kernel/events/perf_event.ts",
		"kernel/events/sw_pmus.ts",
	),
	partly("kernel/events/ring_buffer.c", "AUX areas", "kernel/events/ring_buffer.ts"),
	partly(
		"net/core/filter.c",
		"the bodies that the list below names",
		"net/core/filter.ts",
		"net/core/filter_access.ts",
		"net/core/filter_convert.ts",
	),
	whole("net/bpf/bpf_dummy_struct_ops.c", "net/bpf/bpf_dummy_struct_ops.ts"),
	partly("net/bpf/test_run.c", "live frames", "net/bpf/test_run.ts"),
	partly(
		"arch/x86/net/bpf_jit_comp.c",
		"use of dispatchers (they are made), accounting of call depth",
		"arch/x86/net/bpf_jit_comp.ts",
		"arch/x86/net/trampoline.ts",
		"arch/x86/net/emit.ts",
	),
	whole(
		"arch/arm64/net/bpf_jit_comp.c",
		"arch/arm64/net/bpf_jit_comp.ts",
		"arch/arm64/net/code.ts",
		"arch/arm64/net/trampoline.ts",
	),
	whole("arch/arm64/lib/insn.c", "arch/arm64/lib/insn.ts"),
	partly("lib/maple_tree.c", "what the arena does not ask for: entries have no values", "lib/maple_tree.ts"),
	partly(
		"fs/proc/task_mmu.c",
		"maps and smaps of other processes; sharing, swap and huge pages in smaps",
		"fs/proc/task_mmu.ts",
	),
];
