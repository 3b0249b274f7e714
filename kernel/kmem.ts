// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kernel code asks of memory: allocators over the guest's RAM, mappings of the kernel half, and
 * a process's address space. The emulated machine's memory (mm/) and the plain one without a CPU
 * (soft_mem.ts) both serve it.
 */
import type { GuestMemory } from "../mm/guest_memory.ts";
import type { file } from "./file.ts";

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
export const VM_PFNMAP = 0x400;
export const VM_DONTCOPY = 0x20000;
export const VM_DONTEXPAND = 0x40000;
export const VM_MIXEDMAP = 0x10000000;

/** struct vm_operations_struct */
export interface vm_operations_struct {
	open?(vma: vm_area_struct): void;
	close?(vma: vm_area_struct): void;
	/** A negative errno refuses a split. */
	may_split?(vma: vm_area_struct, addr: number): number;
	mremap?(vma: vm_area_struct): number;
	/** The page for an address: its pfn (the caller takes a reference), or a negative number for SIGBUS/SIGSEGV. */
	fault?(vma: vm_area_struct, addr: number, write: boolean): number;
}

/** struct vm_area_struct */
export interface vm_area_struct {
	vm_start: number;
	vm_end: number;
	vm_flags: number;
	vm_pgoff: number;
	vm_file: file | null;
	vm_ops: vm_operations_struct | null;
	vm_private_data: unknown;
	readonly vm_mm: mm_struct;
}

/** struct mm_struct: a process's address space. Addresses are user addresses; errors negative errnos. */
export interface mm_struct {
	mmap(addr: number, len: number, prot: number, flags: number, file: file | null, off: number): number;
	munmap(addr: number, len: number): number;
	mprotect(addr: number, len: number, prot: number): number;
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr: number): number;
	/** vm_insert_page() and its kin: map one page frame at an address of the vma. */
	insert_page(vma: vm_area_struct, addr: number, pfn: number): number;
	/** zap_page_range(): forget the pages of a range; a later access faults again. */
	zap(addr: number, len: number): void;
	/** The bytes, or null where user space may not be read. Handles faults. */
	read(addr: number, len: number): Uint8Array | null;
	/** False where user space may not be written. */
	write(addr: number, bytes: Uint8Array): boolean;
	/** copy_from_kernel_nofault-like access without handling faults: only what is present. */
	read_nofault(addr: number, len: number): Uint8Array | null;
	write_nofault(addr: number, bytes: Uint8Array): boolean;
	/** User space's own load and store: null and false are a signal. */
	readonly fault_signal: "SIGSEGV" | "SIGBUS";
	readonly fault_addr: number;
	/** exit_mmap(): unmap everything. */
	exit(): void;
}

/** Allocators of the kernel half. 0 means: no memory. */
export interface Kmem extends GuestMemory {
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
	/** A zeroed page frame, or -1. */
	alloc_page(): number;
	/** Take a further reference on a frame. */
	get_page(pfn: number): void;
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
	/** Kernel stacks, images and so on may not be read through here; true where a read would fault. */
	readable(va: number, len: number): boolean;
}
