// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kernel code asks of memory: allocators over the guest's RAM, mappings of the kernel half, and
 * a process's address space. The emulated machine's memory (mm/) and the plain one without a CPU
 * (soft_mem.ts) both serve it.
 */
import type { GuestMemory } from "../mm/guest_memory.ts";
import type { mm_struct, vm_area_struct } from "../mm/mm_types.ts";

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

export {
	type mm_struct,
	VM_DONTCOPY,
	VM_DONTEXPAND,
	VM_EXEC,
	VM_MAYEXEC,
	VM_MAYREAD,
	VM_MAYWRITE,
	VM_MIXEDMAP,
	VM_PFNMAP,
	VM_READ,
	VM_SHARED,
	VM_WRITE,
	type vm_area_struct,
	type vm_operations_struct,
} from "../mm/mm_types.ts";

/** Allocators of the kernel half. 0 means: no memory. */
export interface Kmem extends GuestMemory {
	/** atomic_cmpxchg(): what stood there. */
	cmpxchg32(va: number, old: number, v: number): number;
	kmalloc(size: number): number;
	kzalloc(size: number): number;
	kfree(va: number): void;
	/** vmalloc(): page-aligned, zeroed. */
	vzalloc(size: number): number;
	/** vfree() of vzalloc() or vmap() areas; the pages of a vmap() stay. */
	vfree(va: number): void;
	/** Map page frames one after the other. */
	vmap(pfns: readonly number[]): number;
	vunmap(va: number): void;
	is_vmalloc_addr(va: number): boolean;
	/** get_vm_area() of a VM_SPARSE area: addresses only, to be filled page by page. */
	get_vm_area(size: number): number;
	/** free_vm_area(): what is still mapped is unmapped, not freed. */
	free_vm_area(va: number): void;
	/** vm_area_map_pages(): frames one after the other from `start` on; 0 or -ENOMEM. */
	vm_area_map_pages(area: number, start: number, pfns: readonly number[]): number;
	/** vm_area_unmap_pages(): the frames that were mapped, by address; they are not freed. */
	vm_area_unmap_pages(area: number, start: number, end: number): number[];
	/** A zeroed page frame, or -1. */
	alloc_page(): number;
	/** Take a further reference on a frame. */
	get_page(pfn: number): void;
	/** References on a frame. */
	page_count(pfn: number): number;
	/** Drop a reference; the last frees the frame. */
	put_page(pfn: number): void;
	page_address(pfn: number): number;
	/** The frame behind a kernel address; -1 when unmapped. */
	virt_to_pfn(va: number): number;
	/** A per-CPU object, as the pointer that per_cpu_ptr() takes; zeroed. */
	alloc_percpu(size: number, align: number): number;
	free_percpu(ptr: number): void;
	per_cpu_ptr(ptr: number, cpu: number): number;
	/** The instance of the CPU that runs. */
	this_cpu_ptr(ptr: number): number;
	/** Page frames in use, for leak checks. */
	readonly pages_in_use: number;
	/** Live kmalloc() objects, for leak checks. */
	readonly objects_in_use: number;
	new_mm(): mm_struct;
	/** mm/vmalloc.c: remap_vmalloc_range: show a vmalloc area's pages to user space, from page `pgoff` on. */
	remap_vmalloc_range?(vma: vm_area_struct, addr: number, pgoff: number): number;
	/** Kernel stacks, images and so on may not be read through here; true where a read would fault. */
	readable(va: number, len: number): boolean;
}
