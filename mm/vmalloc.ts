// SPDX-License-Identifier: GPL-2.0-only
/**
 * mm/vmalloc.c: areas of virtually contiguous pages with a guard page after each; vmalloc(),
 * vmap(), and the sparse areas of the arena. An instance serves one region: the vmalloc area or
 * the modules area.
 */

import type { Arch, Prot } from "../arch/arch.ts";
import { PROT_KERNEL } from "../arch/arch.ts";
import { ENOMEM } from "../include/uapi/asm-generic/errno.ts";
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_KERNEL } from "./gfp.ts";
import type { KernelMemory } from "./memory.ts";
import { PAGE_ALIGN, type PageAllocator } from "./page_alloc.ts";
import { VaRange } from "./va_range.ts";

export const VM_ALLOC = 0x2;
export const VM_MAP = 0x4;
export const VM_USERMAP = 0x8;
export const VM_SPARSE = 0x1000;

/** include/linux/vmalloc.h: struct vm_struct */
export interface vm_struct {
	readonly addr: number;
	/** bytes that can be used, without the guard page */
	readonly size: number;
	flags: number;
	/** page frames of VM_ALLOC and VM_MAP areas */
	pages: Int32Array;
	/** rights the pages were mapped with */
	prot: Prot;
}

export class Vmalloc {
	private readonly arch: Arch;
	private readonly pages: PageAllocator;
	private readonly mem: KernelMemory;
	private readonly range: VaRange;
	private readonly areas = new Map<number, vm_struct>();
	readonly start: number;
	readonly end: number;
	/** pages held by VM_ALLOC areas */
	nr_pages = 0;
	/** asked before every allocation; true makes it fail (fault injection of tests) */
	should_fail: ((size: number, gfp: number) => boolean) | null = null;

	constructor(arch: Arch, pages: PageAllocator, mem: KernelMemory, start: number, end: number) {
		this.arch = arch;
		this.pages = pages;
		this.mem = mem;
		this.start = start;
		this.end = end;
		this.range = new VaRange(start, end);
	}

	/** Number of areas that exist. */
	get nr_areas(): number {
		return this.areas.size;
	}

	/** is_vmalloc_addr() */
	is_vmalloc_addr(va: number): boolean {
		return va >= this.start && va < this.end;
	}

	/** get_vm_area(): addresses only; null when there are none left. */
	get_vm_area(size: number, flags: number, align = PAGE_SIZE): vm_struct | null {
		const bytes = PAGE_ALIGN(size);
		if (bytes === 0) return null;
		const addr = this.range.alloc(bytes + PAGE_SIZE, align);
		if (addr === null) return null;
		const area: vm_struct = { addr, size: bytes, flags, pages: new Int32Array(0), prot: PROT_KERNEL };
		this.areas.set(addr, area);
		return area;
	}

	/** free_vm_area() / remove_vm_area(): unmap what is mapped and forget the addresses. */
	free_vm_area(area: vm_struct): void {
		this.vm_area_unmap_pages(area, area.addr, area.addr + area.size);
		if (!this.areas.delete(area.addr)) throw new Error("BUG: vm area freed twice");
		this.range.free(area.addr, area.size + PAGE_SIZE);
	}

	/** find_vm_area(): the area that starts at an address */
	find_vm_area(addr: number): vm_struct | null {
		return this.areas.get(addr) ?? null;
	}

	private map_pages(addr: number, pfns: ArrayLike<number>, prot: Prot): number {
		for (let i = 0; i < pfns.length; i++) {
			const err = this.arch.kernel_table.map(addr + i * PAGE_SIZE, pfns[i]! * PAGE_SIZE, prot);
			if (err) {
				for (let j = 0; j < i; j++) this.arch.kernel_table.unmap(addr + j * PAGE_SIZE);
				return err;
			}
		}
		return 0;
	}

	/** __vmalloc(): address, or 0. */
	__vmalloc(size: number, gfp: number, prot: Prot = PROT_KERNEL, flags = 0, align = PAGE_SIZE): number {
		const n = PAGE_ALIGN(size) / PAGE_SIZE;
		if (n === 0 || n > this.pages.nr_free || this.should_fail?.(size, gfp)) return 0;
		const area = this.get_vm_area(size, VM_ALLOC | flags, align);
		if (!area) return 0;
		const pfns = new Int32Array(n);
		let got = 0;
		for (; got < n; got++) {
			const pfn = this.pages.alloc_page(gfp);
			if (pfn < 0) break;
			pfns[got] = pfn;
		}
		if (got < n || this.map_pages(area.addr, pfns, prot)) {
			for (let i = 0; i < got; i++) this.pages.__free_page(pfns[i]!);
			this.free_vm_area(area);
			return 0;
		}
		area.pages = pfns;
		area.prot = prot;
		this.nr_pages += n;
		return area.addr;
	}

	/** vmalloc() */
	vmalloc(size: number): number {
		return this.__vmalloc(size, GFP_KERNEL);
	}

	/** vzalloc() */
	vzalloc(size: number): number {
		return this.__vmalloc(size, GFP_KERNEL | __GFP_ZERO);
	}

	/** vmalloc_user(): zeroed, and may be given to user space by remap_vmalloc_range() */
	vmalloc_user(size: number, gfp = GFP_KERNEL): number {
		return this.__vmalloc(size, gfp | __GFP_ZERO, PROT_KERNEL, VM_USERMAP);
	}

	/** vfree() */
	vfree(addr: number): void {
		if (addr === 0) return;
		const area = this.areas.get(addr);
		if (!area || !(area.flags & VM_ALLOC)) throw new Error(`BUG: vfree of 0x${hex(addr)}, which is no area`);
		this.free_vm_area(area);
		for (const pfn of area.pages) this.pages.put_page(pfn);
		this.nr_pages -= area.pages.length;
	}

	/** vmap(): the pages given, side by side; they stay the caller's. Address, or 0. */
	vmap(pfns: ArrayLike<number>, flags = VM_MAP, prot: Prot = PROT_KERNEL): number {
		const area = this.get_vm_area(pfns.length * PAGE_SIZE, flags | VM_MAP);
		if (!area) return 0;
		if (this.map_pages(area.addr, pfns, prot)) {
			this.free_vm_area(area);
			return 0;
		}
		area.pages = Int32Array.from(pfns);
		area.prot = prot;
		return area.addr;
	}

	/** vunmap() */
	vunmap(addr: number): void {
		if (addr === 0) return;
		const area = this.areas.get(addr);
		if (!area) throw new Error(`BUG: vunmap of 0x${hex(addr)}, which is no area`);
		this.free_vm_area(area);
	}

	/**
	 * vm_area_map_pages(): of a VM_SPARSE area; 0 or -ENOMEM. Where page tables run out the kernel leaves the pages
	 * before mapped, although its callers free them; here they are unmapped again.
	 */
	vm_area_map_pages(_area: vm_struct, start: number, end: number, pfns: ArrayLike<number>): number {
		if ((end - start) / PAGE_SIZE !== pfns.length) return -ENOMEM;
		return this.map_pages(start, pfns, PROT_KERNEL);
	}

	/** vm_area_unmap_pages(); the pages unmapped are not freed. Returns how many there were. */
	vm_area_unmap_pages(_area: vm_struct, start: number, end: number): number {
		const table = this.arch.kernel_table;
		let n = 0;
		// a sparse area is mostly holes
		for (let va = table.next_mapped(start, end); va < end; va = table.next_mapped(va + PAGE_SIZE, end)) {
			table.unmap(va);
			this.mem.flush_page(va);
			n++;
		}
		if (n) this.arch.flush_tlb();
		return n;
	}

	/** vmalloc_to_page(): pfn of a mapped address of the region, or -1 */
	vmalloc_to_page(va: number): number {
		const pa = this.arch.kernel_table.walk_pa(va);
		return pa < 0 ? -1 : Math.floor(pa / PAGE_SIZE);
	}

	/** set_memory_ro() / _rox() / _rw() of whole pages; false when one is not mapped */
	set_memory(addr: number, nr: number, prot: Prot): boolean {
		let all = true;
		for (let i = 0; i < nr; i++) {
			if (!this.arch.kernel_table.protect(addr + i * PAGE_SIZE, prot)) all = false;
			this.mem.flush_page(addr + i * PAGE_SIZE);
		}
		this.arch.flush_tlb();
		return all;
	}
}

function hex(va: number): string {
	return BigInt.asUintN(64, BigInt(va)).toString(16);
}
