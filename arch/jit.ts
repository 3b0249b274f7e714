// SPDX-License-Identifier: GPL-2.0-only
/**
 * What an architecture's JIT takes and gives. kernel/bpf/arch_jit.ts stands between this and programs:
 * it knows of maps, blinding and images in memory; the JIT knows of instructions and registers.
 */

/** An instruction, decoded (struct bpf_insn). */
export interface JitInsn {
	readonly code: number;
	readonly dst_reg: number;
	readonly src_reg: number;
	readonly off: number;
	readonly imm: number;
}

/** A direct tail call (struct bpf_jit_poke_descriptor); the JIT fills in the addresses. */
export interface JitPoke {
	tailcall_target: bigint;
	tailcall_bypass: bigint;
	bypass_addr: bigint;
	adj_off: number;
	/** Index of the call in the whole program, where the architecture reports it. */
	insn_idx: number;
}

/** Facts about the kernel that code is made for: layouts, addresses, features. */
export interface JitKernel {
	/** Address of a kernel symbol (text, or an offset for per-CPU data); undefined when there is none. */
	symbol(name: string): bigint | undefined;
	/** offsetof(struct, member) */
	offsetof(struct: string, member: string): number;
	/** CONFIG_name is y or m. */
	kconfig(name: string): boolean;
	/** pr_err */
	printk(line: string): void;
}

/** One program (or subprogram) to be compiled. */
export interface JitProgram {
	readonly insns: readonly JitInsn[];
	readonly stack_depth: number;
	readonly tail_call_reachable: boolean;
	/** A function of a program with several. */
	readonly is_func: boolean;
	/** bpf_is_subprog(): a function other than the first. */
	readonly is_subprog: boolean;
	readonly exception_cb: boolean;
	readonly exception_boundary: boolean;
	/** Converted from classic BPF. */
	readonly was_classic: boolean;
	/** The loader has CAP_SYS_ADMIN. */
	readonly sys_admin: boolean;
	/** bpf_arena_get_kern_vm_start(), bpf_arena_get_user_vm_start(); 0n without an arena. */
	readonly arena_vm_start: bigint;
	readonly user_vm_start: bigint;
	/** Loads and stores that need an exception table entry. */
	readonly num_exentries: number;
	readonly pokes: readonly JitPoke[];
	/** bpf_jit_get_func_addr(): where a call goes; 0n: not known before the extra pass; null: nowhere. */
	func_addr(insn: JitInsn, extra_pass: boolean): bigint | null;
}

/** An entry of the exception table: where the access stands in the image and what the handler needs. */
export interface JitExtable {
	/** Byte offset of the access in the image. */
	readonly insn_off: number;
	/** The architecture's `fixup` word. */
	readonly fixup: number;
}

/** A finished image. */
export interface JitImage {
	/** Its address. */
	readonly addr: bigint;
	readonly code: Uint8Array;
	/** Data behind the code that is no part of the program's length (arm64's PLT target). */
	readonly trailer?: Uint8Array;
	/** Byte offset of the end of each instruction; index 0 is the end of the prologue. */
	readonly addrs: Int32Array;
	readonly extable: readonly JitExtable[];
	/** What a further pass over the same program needs, opaque to all but the JIT. */
	readonly state: unknown;
}

/** A program that a trampoline calls. */
export interface TrampProg {
	/** Address of its struct bpf_prog. */
	readonly prog: bigint;
	/** Its image. */
	readonly bpf_func: bigint;
	readonly cookie: bigint;
	/** bpf_trampoline_enter(), bpf_trampoline_exit() */
	readonly enter: bigint;
	readonly exit: bigint;
}

/** What arch_prepare_bpf_trampoline() is told. */
export interface TrampRequest {
	/** Address of the struct bpf_tramp_image. */
	readonly im: bigint;
	/** struct btf_func_model */
	readonly model: {
		readonly nr_args: number;
		readonly arg_size: readonly number[];
		readonly arg_flags: readonly number[];
		readonly ret_size: number;
		readonly ret_flags: number;
	};
	/** BPF_TRAMP_F_* */
	readonly flags: number;
	readonly fentry: readonly TrampProg[];
	readonly fexit: readonly TrampProg[];
	readonly fmod_ret: readonly TrampProg[];
	readonly func_addr: bigint;
	/** The function begins with endbr64. */
	readonly endbr: boolean;
	/** Address of the trampoline, and how much room there is. */
	readonly image: bigint;
	readonly room: number;
	/** Only the size is asked for (arch_bpf_trampoline_size). */
	readonly sizing: boolean;
}

/** A trampoline's code. */
export interface TrampImage {
	readonly code: Uint8Array;
	/** Bytes that it needs: the code, and what the kernel keeps behind it. */
	readonly size: number;
	/** 0n where the original function is not called. */
	readonly ip_after_call: bigint;
	readonly ip_epilogue: bigint;
}

/** Gives memory for an image of `size` bytes: its address, or null when there is none. */
export type ImageAlloc = (size: number) => bigint | null;

/** An architecture's compiler. */
export interface Jit {
	/**
	 * Compile a program; null on failure (the reason went to printk).
	 * @param prev the image of the first compilation, when callees moved: same address and size.
	 */
	compile(prog: JitProgram, alloc: ImageAlloc, prev?: JitImage): JitImage | null;
	/** Bytes of the jump or call that text poking writes, and how to make them; null when out of range. */
	patch(ip: bigint, target: bigint | null, call: boolean): Uint8Array | null;
	/**
	 * arm64: distance of the patchable NOP from a program's entry; entries reach far targets through the PLT
	 * whose target is the image's trailer. Absent: the entry itself is patched, behind an endbr64.
	 */
	readonly poke_offset?: number;
	/** arch_prepare_bpf_trampoline(): the code, or a negative errno; without it, there are no trampolines. */
	trampoline?(request: TrampRequest): TrampImage | number;
}
