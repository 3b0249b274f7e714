// SPDX-License-Identifier: GPL-2.0-only
/**
 * The door to the architecture's JIT: bpf_int_jit_compile() and what goes with it
 * (kernel/bpf/core.c, the weak functions that arch/<arch>/net/bpf_jit_comp.c overrides). What the JITs
 * can do is in jit_caps.ts, since the verifier asks for it without a JIT too.
 */
import { abi_of } from "../../arch/abis.ts";
import type { TrampImage, TrampRequest } from "../../arch/jit.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_jit_poke_descriptor, bpf_prog } from "./bpf_types.ts";

/** A trampoline to be made, apart from where it will lie. */
export type TrampSpec = Omit<TrampRequest, "image" | "room" | "endbr" | "sizing">;

/** What arch/<arch>/net/bpf_jit_comp.ts implements; boot hangs it off kernel.bpf.jit. */
export interface ArchJit {
	/**
	 * bpf_int_jit_compile(): on success sets jited, bpf_func, jited_len and image of the program, and
	 * aux.extable; on failure returns the program as it came (not jited). Called a second time on the
	 * same program (subprograms), it is the extra pass and must keep bpf_func.
	 */
	bpf_int_jit_compile(prog: bpf_prog): bpf_prog;
	/** The first `len` bytes of a program's code as they are now: direct tail calls and trampolines poke into it. */
	live_image(prog: bpf_prog, len: number): Uint8Array;
	/** Byte offsets in a program's image of the end of each instruction, the prologue first. */
	insn_ends?(prog: bpf_prog): Int32Array | null;
	/** bpf_jit_free(): give the image back; programs that are not jited are passed too. */
	bpf_jit_free?(prog: bpf_prog): void;
	/** bpf_arch_poke_desc_update(): direct tail calls follow the prog array. */
	bpf_arch_poke_desc_update?(
		poke: bpf_jit_poke_descriptor,
		new_prog: bpf_prog | null,
		old_prog: bpf_prog | null,
	): void;
	/** arch_alloc_bpf_trampoline(): 0n when there is no memory. */
	arch_alloc_bpf_trampoline?(size: number): bigint;
	arch_free_bpf_trampoline?(image: bigint): void;
	/** arch_bpf_trampoline_size(): bytes that a trampoline needs, or a negative errno. */
	arch_bpf_trampoline_size?(t: TrampSpec): number;
	/** arch_prepare_bpf_trampoline(): writes it to `image`; a negative errno. */
	arch_prepare_bpf_trampoline?(image: bigint, size: number, t: TrampSpec): TrampImage | number;
	/** bpf_arch_text_poke(): `type` is BPF_MOD_CALL or BPF_MOD_JUMP; a negative errno. */
	bpf_arch_text_poke?(ip: bigint, type: number, old_addr: bigint | null, new_addr: bigint | null): number;
}

/** kernel/bpf/core.c: bpf_int_jit_compile */
export function bpf_int_jit_compile(prog: bpf_prog): bpf_prog {
	const jit = prog.kernel.bpf.jit;
	return jit ? jit.bpf_int_jit_compile(prog) : prog;
}

/** kernel/bpf/core.c: bpf_jit_free */
export function bpf_jit_free(prog: bpf_prog): void {
	prog.kernel.bpf.jit?.bpf_jit_free?.(prog);
}

/** include/linux/filter.h: ebpf_jit_enabled */
export function ebpf_jit_enabled(kernel: Kernel): boolean {
	return kernel.config.bpf_jit_enable;
}

/**
 * An address near the JIT's images, put into a pointer to a subprogram before its image exists:
 * MODULES_VADDR (arch/x86/include/asm/pgtable_64_types.h, arch/arm64/include/asm/memory.h).
 */
export function jit_placeholder_addr(kernel: Kernel): bigint {
	return abi_of(kernel.config.arch).modules_vaddr(kernel.config);
}

/** kernel/bpf/core.c: bpf_arch_uaddress_limit; arm64's TASK_SIZE, x86's own JIT checks for itself. */
export function bpf_arch_uaddress_limit(kernel: Kernel): bigint {
	return abi_of(kernel.config.arch).uaddress_limit(kernel.config);
}
