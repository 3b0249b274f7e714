// SPDX-License-Identifier: GPL-2.0-only
/** The emulated machine with its memory management set up: what a Kernel is booted on. */
import type { Arch, CallHandler, Cpu, KernelText } from "../arch/arch.ts";
import type { KernelMemory } from "./memory.ts";
import type { PageAllocator } from "./page_alloc.ts";
import type { Percpu } from "./percpu.ts";
import type { Slab } from "./slab.ts";
import type { Vmalloc } from "./vmalloc.ts";

export interface MachineConfig {
	arch: "x86_64" | "arm64";
	cpus: number;
	/** bytes of RAM; a multiple of 4 MiB */
	memory: number;
	/** path of libunicorn when it is not to be searched for */
	unicorn?: string;
	/** wall time in ms after which a run of machine code counts as stalled */
	stall_ms?: number;
}

export interface Machine {
	readonly arch: Arch;
	/** kernel addresses: loads and stores of kernel code */
	readonly mem: KernelMemory;
	readonly pages: PageAllocator;
	readonly slab: Slab;
	readonly vmalloc: Vmalloc;
	/** executable memory for images (module_alloc, bpf_prog_pack): read-only and executable for the guest */
	readonly modules: Vmalloc;
	readonly percpu: Percpu;
	/** kernel text: `text.define(name, handler)` registers what a helper, kfunc or kernel function does */
	readonly text: KernelText;
	/** Called for a stub that has no handler of its own: the address called, the CPU with the arguments. */
	on_call: ((addr: number, cpu: Cpu) => ReturnType<CallHandler>) | null;
	/** Call machine code in kernel mode: its return value, or KernelOops / Stall thrown. */
	run(cpu: number, addr: number, args: readonly (bigint | number)[]): bigint;
	/** Pages in use now, less those of the kernel's own page tables: equal before and after when nothing leaks. */
	pages_in_use(): number;
	close(): void;
}
