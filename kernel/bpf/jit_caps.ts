// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the architecture's JIT can do: the bpf_jit_supports_*() of arch/x86/net/bpf_jit_comp.c and
 * arch/arm64/net/bpf_jit_comp.c, and the weak defaults of kernel/bpf/core.c.
 */
import { abi_of } from "../../arch/abis.ts";
import { BPF_ATOMIC, BPF_DW } from "../../include/uapi/linux/bpf.ts";
import { BPF_STX, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_insn } from "./bpf_types.ts";

/** kernel/bpf/core.c: bpf_jit_needs_zext (neither architecture asks for it) */
export function bpf_jit_needs_zext(_kernel: Kernel): boolean {
	return false;
}

/** bpf_jit_inlines_helper_call */
export function bpf_jit_inlines_helper_call(kernel: Kernel, imm: number): boolean {
	return abi_of(kernel.config.arch).jit_inlines(imm);
}

/** bpf_jit_supports_subprog_tailcalls */
export function bpf_jit_supports_subprog_tailcalls(_kernel: Kernel): boolean {
	return true;
}

/** bpf_jit_supports_percpu_insn */
export function bpf_jit_supports_percpu_insn(_kernel: Kernel): boolean {
	return true;
}

/** bpf_jit_supports_kfunc_call */
export function bpf_jit_supports_kfunc_call(_kernel: Kernel): boolean {
	return true;
}

/** kernel/bpf/core.c: bpf_jit_supports_far_kfunc_call (s390 alone has it) */
export function bpf_jit_supports_far_kfunc_call(_kernel: Kernel): boolean {
	return false;
}

/** bpf_jit_supports_arena */
export function bpf_jit_supports_arena(_kernel: Kernel): boolean {
	return true;
}

/** bpf_jit_supports_insn: x86 has no fetching AND, OR, XOR on arena memory; arm64 needs LSE atomics there. */
export function bpf_jit_supports_insn(kernel: Kernel, insn: bpf_insn, in_arena: boolean): boolean {
	if (!in_arena) return true;
	if (insn.code !== (BPF_STX | BPF_ATOMIC | BPF_W) && insn.code !== (BPF_STX | BPF_ATOMIC | BPF_DW))
		return true;
	return abi_of(kernel.config.arch).arena_atomic(kernel.config, insn.imm);
}

/** bpf_jit_supports_ptr_xchg */
export function bpf_jit_supports_ptr_xchg(_kernel: Kernel): boolean {
	return true;
}

/** bpf_jit_supports_exceptions: x86 needs the ORC unwinder for it. */
export function bpf_jit_supports_exceptions(kernel: Kernel): boolean {
	return abi_of(kernel.config.arch).exceptions(kernel.config);
}

/** kernel/bpf/core.c: bpf_jit_supports_private_stack (no architecture of v6.12 has it) */
export function bpf_jit_supports_private_stack(_kernel: Kernel): boolean {
	return false;
}
