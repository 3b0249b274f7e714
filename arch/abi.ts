// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the kernel above has to know of an architecture besides its machine (arch.ts) and its JIT (jit.ts): calling
 * convention, struct pt_regs, what its bpf_jit_supports_*() answer. ARCH/abi.ts fills it in; arches.ts lists them.
 */
import type { Cpu } from "./arch.ts";

/** The part of the kernel's configuration that these answers depend on. */
export interface AbiConfig {
	readonly x86: { readonly ibt: boolean };
	readonly arm64: { readonly lse_atomics: boolean; readonly va_bits: number };
	/** CONFIG_* */
	readonly kconfig: ReadonlyMap<string, string>;
}

/** Values of members of struct pt_regs; index counts words within a member that is an array. */
export type RegValues = readonly (readonly [member: string, index: number, value: bigint])[];

/** Numbers of registers as user space's C and system calls use them. */
export interface UserAbi {
	readonly args: readonly number[];
	readonly syscall: readonly number[];
	readonly result: number;
	readonly sp: number;
	/** Where a function returns to; null: that lies on the stack. */
	readonly link: number | null;
}

export interface ArchAbi {
	// ---- calls
	/** What the functions behind system calls begin with (SYSCALL_DEFINEx). */
	readonly syscall_prefix: string;
	/** The system call that libc makes for epoll_wait(). */
	readonly epoll_wait: "epoll_wait" | "epoll_pwait";
	/** Arguments that go into registers. */
	readonly arg_regs: number;
	/** A structure that the registers left do not hold closes them to what comes after it. */
	readonly stack_closes_regs: boolean;
	/** Bytes that a call puts on the stack: what lies between the stack pointer and arguments at a function's entry. */
	readonly call_pushes: number;
	/** Numbers (Cpu.reg) of the first three argument registers. */
	readonly throw_args: readonly [number, number, number];
	/** arch_bpf_stack_walk() hands out stack pointers, not frame pointers alone. */
	readonly walk_has_sp: boolean;
	/** Numbers (Cpu.reg) of the registers that the JIT keeps R0 to R10 in. */
	readonly bpf_regs: readonly number[];

	/** First address past user space. */
	readonly task_size: number;
	/** Registers of user code by their numbers (UserRegs.gpr). */
	readonly user: UserAbi;

	// ---- tracing
	/** Bytes at a function's entry that a kprobe on it stands behind. */
	kprobe_offset(config: AbiConfig): number;
	/** Bytes of the breakpoint that have been passed when its handler looks. */
	readonly kprobe_passed: number;

	/** copy_from_kernel_nofault() of an address: 0, or the errno where it reads nothing (copy_from_kernel_nofault_allowed). */
	nofault_refused(addr: number): number;

	// ---- struct pt_regs
	readonly sizeof_pt_regs: number;
	/** bpf_user_pt_regs_t: what it is, and its size. */
	readonly user_pt_regs: string;
	readonly sizeof_user_pt_regs: number;
	/** At a system call. */
	syscall_regs(nr: number, args: readonly number[]): RegValues;
	/** At a function's entry, or at its return when `ret` is given. */
	function_regs(cpu: Cpu, ip: bigint, ret: bigint | null): RegValues;
	/** Of somebody in user or kernel mode of whom nothing else is known. */
	mode_regs(user: boolean): RegValues;

	// ---- the JIT and its verifier
	/** An address near the images, in a pointer to a subprogram that has none yet (MODULES_VADDR). */
	modules_vaddr(config: AbiConfig): bigint;
	/** bpf_arch_uaddress_limit(): 0 where the JIT itself checks for user addresses. */
	uaddress_limit(config: AbiConfig): bigint;
	/** bpf_jit_inlines_helper_call() */
	jit_inlines(helper: number): boolean;
	/** The verifier writes bpf_get_smp_processor_id() out as instructions (CONFIG_X86_64 in verifier.c). */
	readonly verifier_inlines_cpu_id: boolean;
	/** bpf_jit_supports_insn() of an atomic on arena memory, by its `imm`. */
	arena_atomic(config: AbiConfig, imm: number): boolean;
	/** bpf_jit_supports_exceptions() */
	exceptions(config: AbiConfig): boolean;
}
