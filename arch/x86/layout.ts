// SPDX-License-Identifier: GPL-2.0-only
/**
 * Documentation/arch/x86/x86_64/mm.rst, arch/x86/include/asm/pgtable_64_types.h: the kernel's half
 * with four-level page tables and no KASLR.
 *
 *     ffff888000000000  direct map of RAM
 *     ffffc90000000000  vmalloc
 *     ffffe8f000000000  percpu units (within the vmalloc region, as the percpu allocator's are)
 *     ffffffff81000000  kernel text: stubs, then code; data at ffffffff82000000
 *     ffffffffa0000000  modules and BPF images
 */
import type { KernelLayout } from "../arch.ts";

/** Signed canonical address of the low 48 bits. */
function kva(high: number, low: number): number {
	return (high - 0x10000) * 0x100000000 + low;
}

export const PAGE_OFFSET = kva(0x8880, 0);
export const VMALLOC_START = kva(0xc900, 0);
export const VMALLOC_END = kva(0xe8ff, 0xffffffff);
export const PERCPU_BASE = kva(0xe8f0, 0);
export const PERCPU_UNIT = 0x10000000;
export const __START_KERNEL_map = -0x80000000;
export const TEXT_START = -0x7f000000;
export const TEXT_CODE = TEXT_START + 0x200000;
export const DATA_START = -0x7e000000;
export const DATA_END = -0x7d000000;
export const MODULES_VADDR = -0x60000000;
export const MODULES_END = -0x1000000;
/** TASK_SIZE_MAX */
export const TASK_SIZE_MAX = 0x7ffffffff000;

export const X86_LAYOUT: KernelLayout = {
	direct_map: PAGE_OFFSET,
	vmalloc_start: VMALLOC_START,
	vmalloc_end: VMALLOC_END,
	percpu_base: PERCPU_BASE,
	percpu_unit: PERCPU_UNIT,
	text_start: TEXT_START,
	text_end: DATA_START,
	modules_start: MODULES_VADDR,
	modules_end: MODULES_END,
	task_size: TASK_SIZE_MAX,
	mmap_base: 0x7ffff7fff000,
};
