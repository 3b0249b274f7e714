// SPDX-License-Identifier: GPL-2.0-only
/** One emulated kernel: everything that is mutable hangs off it. */
import type { ArchName } from "../arch/abis.ts";
import type { MessageTap } from "../lib/message_tap.ts";
import type { GuestMemory } from "../mm/guest_memory.ts";
import type { BpfSubsystem } from "./bpf/subsystem.ts";
import type { Preemption } from "./preempt.ts";
import type { task_struct } from "./task.ts";

export type { ArchName };

/** What changes results: sysctls, mitigations, CPU features, kernel configuration. */
export interface KernelConfig {
	arch: ArchName;
	cpus: number;
	/** Bytes of RAM. */
	memory: number;
	/** Seed of everything random. */
	seed: number;
	/** net.core.bpf_jit_enable */
	bpf_jit_enable: boolean;
	/** CONFIG_BPF_JIT_ALWAYS_ON: without a JIT image a program does not load. */
	bpf_jit_always_on: boolean;
	/** net.core.bpf_jit_harden: 0, 1, 2 */
	bpf_jit_harden: number;
	/** kernel.unprivileged_bpf_disabled: 0, 1, 2 */
	unprivileged_bpf_disabled: number;
	/** kernel.kptr_restrict and kernel.perf_event_paranoid matter to bpf_dump_raw_ok() and the like. */
	kptr_restrict: number;
	/** mitigations=off / cpu_mitigations_off() */
	mitigations_off: boolean;
	/** x86: spectre_v2 indirect thunks, SLS, endbr (CONFIG_X86_KERNEL_IBT), retpolines and call depth tracking. */
	x86: {
		ibt: boolean;
		retpoline: "off" | "thunk" | "lfence";
		rethunk: boolean;
		sls: boolean;
		/** CPU has BMI2 (shlx, sarx, shrx) */
		bmi2: boolean;
		/** TASK_SIZE_MAX and vsyscall address as the JIT's PROBE_MEM check sees them: page-table levels 4 or 5. */
		pgtable_levels: 4 | 5;
		/** clear_bhb sequence before exit of unprivileged programs */
		clear_bhb: boolean;
	};
	arm64: {
		lse_atomics: boolean;
		bti: boolean;
		pac: boolean;
		va_bits: 48 | 52;
	};
	/** Hold what programs do against the verifier's states (kernel/bpf/embed.ts); slow, for tests. */
	state_embedding?: boolean;
	/** Keep where the instructions of programs went (kernel/bpf/insn_map.ts). */
	insn_maps?: boolean;
	/** CONFIG_* of the kernel mirrored, as libbpf's kconfig externs see them (values as in /proc/config.gz). */
	kconfig: ReadonlyMap<string, string>;
}

/** Kernel text and data symbols: the mirror's own, or a real kernel's kallsyms plugged in. */
export interface SymbolTable {
	/** Address of a symbol; undefined when there is none. */
	addr(name: string): bigint | undefined;
	/** The symbol at or below an address: name and offset; undefined when outside all. */
	lookup(addr: bigint): { name: string; offset: bigint } | undefined;
}

export interface Kernel {
	readonly config: KernelConfig;
	/** Virtual memory of the kernel half. */
	readonly mem: GuestMemory;
	readonly symbols: SymbolTable;
	/** State of kernel/bpf: ids, BTF, tables of operations. */
	readonly bpf: BpfSubsystem;
	/** The task that is in the kernel now. */
	current: task_struct;
	/** Nanoseconds since boot, virtual. */
	ktime_get_ns(): bigint;
	/** drivers/char/random.c: get_random_u32, seeded */
	get_random_u32(): number;
	/** One line for the kernel log (pr_warn, WARN_ON): "not ported" and internal inconsistencies land here too. */
	printk(line: string): void;
	/** Runs other CPUs at the preemption points, while someone explores. */
	readonly explore?: Preemption | null;
	/** Sees every text of the verifier's logs, where that is on. */
	readonly message_tap?: MessageTap | undefined;
}
