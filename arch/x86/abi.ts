// SPDX-License-Identifier: GPL-2.0-only
/** x86-64's answers (arch/x86/include/asm/ptrace.h, syscall_wrapper.h; arch/x86/net/bpf_jit_comp.c). */
import { ENOSYS, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_FETCH } from "../../include/uapi/linux/bpf.ts";
import { BPF_AND, BPF_OR, BPF_XOR } from "../../include/uapi/linux/bpf_common.ts";
import type { ArchAbi, RegValues } from "../abi.ts";
import { X86_LAYOUT } from "./layout.ts";

const KERNEL_CS = 0x10n;
const USER_CS = 0x33n;
const KERNEL_DS = 0x18n;
/** Interrupts on, and the bit that is always set. */
const FLAGS = 0x202n;
/** arch/x86/include/uapi/asm/vsyscall.h */
const VSYSCALL_ADDR = -0xa00000;
const ENDBR_SIZE = 4;

export const X86_ABI: ArchAbi = {
	syscall_prefix: "__x64_sys_",
	epoll_wait: "epoll_wait",
	arg_regs: 6,
	stack_closes_regs: false,
	call_pushes: 8,
	throw_args: [7, 6, 2],
	walk_has_sp: true,
	bpf_regs: [0, 7, 6, 2, 1, 8, 3, 13, 14, 15, 5],
	task_size: X86_LAYOUT.task_size,
	user: { args: [7, 6, 2, 1, 8, 9], syscall: [7, 6, 2, 10, 8, 9], result: 0, sp: 4, link: null },
	kprobe_offset: (config) => (config.x86.ibt ? ENDBR_SIZE : 0),
	kprobe_passed: 1,
	// user space, the vsyscall page, what is not canonical
	nofault_refused: (addr) =>
		addr >= 0 || (addr >= VSYSCALL_ADDR && addr < VSYSCALL_ADDR + 4096) || addr < -0x800000000000
			? -ERANGE
			: 0,
	sizeof_pt_regs: 168,
	user_pt_regs: "pt_regs",
	sizeof_user_pt_regs: 168,
	syscall_regs: (nr, args) => [
		...["di", "si", "dx", "r10", "r8", "r9"].map((r, i) => [r, 0, BigInt(Math.trunc(args[i] ?? 0))] as const),
		["orig_ax", 0, BigInt(nr)],
		["ax", 0, BigInt(-ENOSYS)],
	],
	function_regs(cpu, ip, ret): RegValues {
		const names = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
		return [
			...Array.from({ length: 16 }, (_, i) => [names[i] ?? `r${i}`, 0, cpu.reg(i)] as const),
			["sp", 0, BigInt(cpu.sp + (ret === null ? 0 : this.call_pushes))],
			["ip", 0, ip],
			["cs", 0, KERNEL_CS],
			["ss", 0, KERNEL_DS],
			["flags", 0, FLAGS],
			["orig_ax", 0, -1n],
			...(ret === null ? [] : [["ax", 0, ret] as const]),
		];
	},
	mode_regs: (user) => [
		["cs", 0, user ? USER_CS : KERNEL_CS],
		["flags", 0, FLAGS],
	],
	modules_vaddr: (config) =>
		config.kconfig.get("CONFIG_RANDOMIZE_BASE") === "y" ? 0xffffffffc0000000n : 0xffffffffa0000000n,
	uaddress_limit: () => 0n,
	jit_inlines: () => false,
	verifier_inlines_cpu_id: true,
	arena_atomic: (_config, imm) =>
		!(imm === (BPF_AND | BPF_FETCH) || imm === (BPF_OR | BPF_FETCH) || imm === (BPF_XOR | BPF_FETCH)),
	exceptions: (config) => config.kconfig.get("CONFIG_UNWINDER_ORC") === "y",
};
