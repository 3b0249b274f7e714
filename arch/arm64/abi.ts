// SPDX-License-Identifier: GPL-2.0-only
/** arm64's answers (arch/arm64/include/asm/ptrace.h, memory.h, syscall_wrapper.h; arch/arm64/net/bpf_jit_comp.c). */
import { EFAULT } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_FUNC_get_current_task,
	BPF_FUNC_get_current_task_btf,
	BPF_FUNC_get_smp_processor_id,
} from "../../include/uapi/linux/bpf.ts";
import type { ArchAbi } from "../abi.ts";
import { ARM64_LAYOUT } from "./layout.ts";

/** PSR_MODE_EL1h */
const KERNEL_PSTATE = 5n;
/** Where a system call's number is. */
const X8 = 8;

export const ARM64_ABI: ArchAbi = {
	syscall_prefix: "__arm64_sys_",
	epoll_wait: "epoll_pwait",
	arg_regs: 8,
	stack_closes_regs: true,
	call_pushes: 0,
	throw_args: [0, 1, 2],
	walk_has_sp: false,
	bpf_regs: [7, 0, 1, 2, 3, 4, 19, 20, 21, 22, 25],
	task_size: ARM64_LAYOUT.task_size,
	user: { args: [0, 1, 2, 3, 4, 5], syscall: [0, 1, 2, 3, 4, 5], result: 0, sp: 31, link: 30 },
	kprobe_offset: () => 0,
	kprobe_passed: 0,
	// what is in the user half faults, since no user space is there for the kernel
	nofault_refused: (addr) => (addr >= 0 ? -EFAULT : 0),
	sizeof_pt_regs: 336,
	user_pt_regs: "user_pt_regs",
	sizeof_user_pt_regs: 272,
	syscall_regs: (nr, args) => [
		...args.map((a, i) => ["regs", i, BigInt(Math.trunc(a))] as const),
		["regs", X8, BigInt(nr)],
		["orig_x0", 0, BigInt(Math.trunc(args[0] ?? 0))],
		["syscallno", 0, BigInt(nr)],
	],
	function_regs: (cpu, ip, ret) => [
		...Array.from({ length: 31 }, (_, i) => ["regs", i, cpu.reg(i)] as const),
		["sp", 0, BigInt(cpu.sp)],
		["pc", 0, ip],
		["pstate", 0, KERNEL_PSTATE],
		...(ret === null ? [] : [["regs", 0, ret] as const]),
	],
	mode_regs: (user) => [["pstate", 0, user ? 0n : KERNEL_PSTATE]],
	modules_vaddr: () => 0xffff800000000000n,
	uaddress_limit: (config) => 1n << BigInt(config.arm64.va_bits),
	jit_inlines: (helper) =>
		helper === BPF_FUNC_get_smp_processor_id ||
		helper === BPF_FUNC_get_current_task ||
		helper === BPF_FUNC_get_current_task_btf,
	verifier_inlines_cpu_id: false,
	arena_atomic: (config) => config.arm64.lse_atomics,
	exceptions: () => true,
};
