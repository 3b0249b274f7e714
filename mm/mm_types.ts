// SPDX-License-Identifier: GPL-2.0-only
/**
 * include/linux/mm_types.h, include/linux/mm.h, include/uapi/asm-generic/mman-common.h: address
 * spaces and their areas. The kernel's struct file is seen through `MmFile` only.
 */
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_GROWSDOWN,
	MAP_LOCKED,
	MAP_NORESERVE,
	MAP_POPULATE,
	MAP_PRIVATE,
	MAP_SHARED,
} from "../include/uapi/asm-generic/mman.ts";
import type { GuestMemory } from "./guest_memory.ts";

export const MAP_TYPE = 0x0f;
/** include/linux/mman.h: LEGACY_MAP_MASK */
export const LEGACY_MAP_MASK =
	MAP_SHARED |
	MAP_PRIVATE |
	MAP_FIXED |
	MAP_ANONYMOUS |
	MAP_GROWSDOWN |
	0x0800 | // MAP_DENYWRITE
	0x1000 | // MAP_EXECUTABLE
	MAP_LOCKED |
	MAP_NORESERVE |
	MAP_POPULATE |
	0x10000 | // MAP_NONBLOCK
	0x20000 | // MAP_STACK
	0x40000; // MAP_HUGETLB

export const VM_READ = 0x1;
export const VM_WRITE = 0x2;
export const VM_EXEC = 0x4;
export const VM_SHARED = 0x8;
export const VM_MAYREAD = 0x10;
export const VM_MAYWRITE = 0x20;
export const VM_MAYEXEC = 0x40;
export const VM_MAYSHARE = 0x80;
export const VM_GROWSDOWN = 0x100;
export const VM_PFNMAP = 0x400;
export const VM_LOCKED = 0x2000;
export const VM_IO = 0x4000;
export const VM_DONTCOPY = 0x20000;
export const VM_DONTEXPAND = 0x40000;
export const VM_ACCOUNT = 0x100000;
export const VM_DONTDUMP = 0x4000000;
export const VM_MIXEDMAP = 0x10000000;
export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC;

export const FMODE_READ = 0x1;
export const FMODE_WRITE = 0x2;

/** What a vm_ops.fault returns when there is no page: the signal to raise. */
export const VM_FAULT_SIGBUS = -1;
export const VM_FAULT_SIGSEGV = -2;
/** fault: the handler mapped the page itself */
export const VM_FAULT_NOPAGE = -3;

/** The part of struct file that mappings need. */
export interface MmFile {
	readonly f_mode: number;
	f_count: number;
	readonly f_op: {
		mmap?(file: MmFile, vma: vm_area_struct): number;
		get_unmapped_area?(file: MmFile, addr: number, len: number, pgoff: number, flags: number): number;
		release?(file: MmFile): void;
	};
}

export interface vm_operations_struct {
	open?(vma: vm_area_struct): void;
	close?(vma: vm_area_struct): void;
	/** A negative errno refuses a split at `addr`. */
	may_split?(vma: vm_area_struct, addr: number): number;
	mremap?(vma: vm_area_struct): number;
	/** The page for an address: its pfn with a reference for the caller, or VM_FAULT_*. */
	fault?(vma: vm_area_struct, addr: number, write: boolean): number;
	/** The first write to a page of a shared mapping, which faults in read-only where this is given: false refuses it. */
	page_mkwrite?(vma: vm_area_struct, addr: number): boolean;
}

export interface vm_area_struct {
	vm_start: number;
	vm_end: number;
	vm_flags: number;
	vm_pgoff: number;
	vm_file: MmFile | null;
	vm_ops: vm_operations_struct | null;
	vm_private_data: unknown;
	readonly vm_mm: mm_struct;
}

/** A process's address space. Addresses are user addresses; errors negative errnos. */
export interface mm_struct {
	mmap(addr: number, len: number, prot: number, flags: number, file: MmFile | null, off: number): number;
	munmap(addr: number, len: number): number;
	mprotect(addr: number, len: number, prot: number): number;
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr: number): number;
	/** mm_get_unmapped_area(): for a file's own get_unmapped_area */
	find_unmapped_area(addr: number, len: number, flags: number): number;
	insert_page(vma: vm_area_struct, addr: number, pfn: number): number;
	zap(addr: number, len: number): void;
	read(addr: number, len: number): Uint8Array | null;
	write(addr: number, bytes: Uint8Array): boolean;
	read_nofault(addr: number, len: number): Uint8Array | null;
	write_nofault(addr: number, bytes: Uint8Array): boolean;
	/** Loads and stores with the user's rights, faulting pages in: GuestFault, and fault_signal says which. */
	readonly user?: GuestMemory;
	readonly fault_signal: "SIGSEGV" | "SIGBUS";
	readonly fault_addr: number;
	/** All areas, in order of address. */
	areas(): readonly vm_area_struct[];
	exit(): void;
}
