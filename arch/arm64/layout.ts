// SPDX-License-Identifier: GPL-2.0-only
/**
 * Documentation/arch/arm64/memory.rst, arch/arm64/include/asm/memory.h: the kernel's half with
 * 4 KiB pages and 48-bit addresses.
 *
 *     ffff000000000000  linear map of RAM
 *     ffff800000000000  modules (2 GiB)
 *     ffff800080000000  vmalloc, which begins with the kernel image: stubs, then code; data 64 MiB further up
 *     ffff800085000000  BPF images: vmalloc too (arch/arm64/mm/init.c: EXECMEM_BPF), near enough to the text for `bl`
 *     ffff800090000000  the rest of vmalloc
 *     fffffd0000000000  percpu units
 */
import type { KernelLayout } from "../arch.ts";

/** Signed canonical address of the low 48 bits. */
function kva(high: number, low: number): number {
	return (high - 0x10000) * 0x100000000 + low;
}

export const PAGE_OFFSET = kva(0, 0);
export const KIMAGE_VADDR = kva(0x8000, 0x80000000);
export const DATA_START = KIMAGE_VADDR + 0x4000000;
export const DATA_END = KIMAGE_VADDR + 0x5000000;
const VMALLOC_START = kva(0x8000, 0x90000000);

export const ARM64_LAYOUT: KernelLayout = {
	direct_map: PAGE_OFFSET,
	vmalloc_start: VMALLOC_START,
	vmalloc_end: kva(0xfcff, 0xffffffff),
	percpu_base: kva(0xfd00, 0),
	percpu_unit: 0x10000000,
	text_start: KIMAGE_VADDR,
	text_end: DATA_START,
	modules_start: DATA_END,
	modules_end: VMALLOC_START,
	task_size: 0x1000000000000,
	mmap_base: 0xfffff7fff000,
};
