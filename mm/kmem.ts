// SPDX-License-Identifier: GPL-2.0-only
/**
 * The machine's memory behind one object, as kernel/ asks for it (kernel/kmem.ts: Kmem): loads and
 * stores, the allocators, and address spaces.
 */
import { EINVAL } from "../include/uapi/asm-generic/errno.ts";
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_KERNEL, GFP_USER } from "./gfp.ts";
import { GuestFault, type GuestMemory } from "./guest_memory.ts";
import type { Machine } from "./machine.ts";
import type { KernelMemory } from "./memory.ts";
import { type MmFile, VM_DONTDUMP, VM_DONTEXPAND, type vm_area_struct } from "./mm_types.ts";
import type { MmContext, MmStruct } from "./mmap.ts";
import { new_mm } from "./mmap.ts";
import { PAGE_ALIGN } from "./page_alloc.ts";
import { VM_SPARSE, VM_USERMAP, type vm_struct } from "./vmalloc.ts";

export interface MachineKmemOptions {
	/** the CPU that runs kernel code now */
	cur_cpu(): number;
	/** drop a reference to a file that a mapping held; without it the file's count is lowered and release called at 0 */
	fput?(file: MmFile): void;
}

export class MachineKmem implements GuestMemory {
	readonly machine: Machine;
	private readonly mem: KernelMemory;
	private readonly cur_cpu: () => number;
	private readonly cx: MmContext;

	constructor(machine: Machine, opts: MachineKmemOptions) {
		this.machine = machine;
		this.mem = machine.mem;
		this.cur_cpu = opts.cur_cpu;
		const by_root = new Map<number, MmStruct>();
		this.cx = {
			arch: machine.arch,
			pages: machine.pages,
			by_root,
			fput:
				opts.fput ??
				((file) => {
					if (--file.f_count === 0) file.f_op.release?.(file);
				}),
		};
		machine.arch.on_fault = (cpu, f) => {
			// kernel code never touches user pages directly (SMAP)
			if (!f.user) return false;
			return by_root.get(cpu.root)?.handle_mm_fault(f.addr, f.write, f.exec) ?? false;
		};
	}

	r8(va: number): number {
		return this.mem.r8(va);
	}
	r16(va: number): number {
		return this.mem.r16(va);
	}
	r32(va: number): number {
		return this.mem.r32(va);
	}
	rs32(va: number): number {
		return this.mem.r32(va) | 0;
	}
	r64(va: number): bigint {
		return this.mem.r64(va);
	}
	rptr(va: number): number {
		return this.mem.rptr(va);
	}
	w8(va: number, v: number): void {
		this.mem.w8(va, v);
	}
	w16(va: number, v: number): void {
		this.mem.w16(va, v);
	}
	w32(va: number, v: number): void {
		this.mem.w32(va, v);
	}
	w64(va: number, v: bigint): void {
		this.mem.w64(va, v);
	}
	cmpxchg32(va: number, old: number, v: number): number {
		const was = this.r32(va);
		if (was === old) this.w32(va, v);
		return was;
	}
	wptr(va: number, v: number): void {
		this.mem.wptr(va, v);
	}
	read(va: number, len: number): Uint8Array {
		return this.mem.read(va, len);
	}
	write(va: number, bytes: Uint8Array): void {
		this.mem.write(va, bytes);
	}
	copy(dst: number, src: number, len: number): void {
		this.mem.copy(dst, src, len);
	}
	fill(va: number, len: number, byte: number): void {
		this.mem.fill(va, len, byte);
	}
	compare(a: number, b: number, len: number): number {
		return this.mem.compare(a, b, len);
	}
	cstring(va: number, max: number): string {
		return this.mem.cstring(va, max);
	}
	readable(va: number, len: number): boolean {
		try {
			for (let at = va; at < va + len; at += PAGE_SIZE) this.mem.r8(at);
			if (len > 0) this.mem.r8(va + len - 1);
			return true;
		} catch (e) {
			if (e instanceof GuestFault) return false;
			throw e;
		}
	}

	kmalloc(size: number): number {
		return this.machine.slab.kmalloc(size, GFP_KERNEL);
	}
	kzalloc(size: number): number {
		return this.machine.slab.kzalloc(size, GFP_KERNEL);
	}
	kfree(va: number): void {
		this.machine.slab.kfree(va);
	}
	vzalloc(size: number): number {
		// what the map code allocates may be mapped by user space (bpf_map_area_mmapable_alloc)
		return this.machine.vmalloc.vmalloc_user(size);
	}
	vfree(va: number): void {
		const v = this.machine.vmalloc;
		if (va !== 0 && v.find_vm_area(va)?.flags === VM_MAP_AREA) v.vunmap(va);
		else v.vfree(va);
	}
	vmap(pfns: readonly number[]): number {
		return this.machine.vmalloc.vmap(pfns, VM_MAP_AREA);
	}
	vunmap(va: number): void {
		this.machine.vmalloc.vunmap(va);
	}
	is_vmalloc_addr(va: number): boolean {
		return this.machine.vmalloc.is_vmalloc_addr(va);
	}
	get_vm_area(size: number): number {
		return this.machine.vmalloc.get_vm_area(size, VM_SPARSE | VM_USERMAP)?.addr ?? 0;
	}
	free_vm_area(va: number): void {
		this.machine.vmalloc.free_vm_area(this.area(va));
	}
	vm_area_map_pages(area: number, start: number, pfns: readonly number[]): number {
		const end = start + pfns.length * PAGE_SIZE;
		return this.machine.vmalloc.vm_area_map_pages(this.area(area), start, end, pfns);
	}
	vm_area_unmap_pages(area: number, start: number, end: number): number[] {
		const table = this.machine.arch.kernel_table;
		const pfns: number[] = [];
		for (let va = table.next_mapped(start, end); va < end; va = table.next_mapped(va + PAGE_SIZE, end))
			pfns.push(table.walk_pa(va) / PAGE_SIZE);
		if (pfns.length > 0) this.machine.vmalloc.vm_area_unmap_pages(this.area(area), start, end);
		return pfns;
	}
	private area(va: number): vm_struct {
		const area = this.machine.vmalloc.find_vm_area(va);
		if (!area) throw new Error("BUG: no such vm area");
		return area;
	}
	alloc_page(): number {
		return this.machine.pages.alloc_page(GFP_USER | __GFP_ZERO);
	}
	get_page(pfn: number): void {
		this.machine.pages.get_page(pfn);
	}
	page_count(pfn: number): number {
		return this.machine.pages.page_count(pfn);
	}
	put_page(pfn: number): void {
		this.machine.pages.put_page(pfn);
	}
	page_address(pfn: number): number {
		return this.machine.pages.page_to_virt(pfn);
	}
	virt_to_pfn(va: number): number {
		const pa = this.mem.virt_to_phys(va);
		return pa < 0 ? -1 : Math.floor(pa / PAGE_SIZE);
	}
	alloc_percpu(size: number, align: number): number {
		return this.machine.percpu.alloc_percpu(size, align);
	}
	free_percpu(ptr: number): void {
		this.machine.percpu.free_percpu(ptr);
	}
	per_cpu_ptr(ptr: number, cpu: number): number {
		return this.machine.percpu.per_cpu_ptr(ptr, cpu);
	}
	this_cpu_ptr(ptr: number): number {
		return this.machine.percpu.per_cpu_ptr(ptr, this.cur_cpu());
	}
	get pages_in_use(): number {
		return this.machine.pages_in_use();
	}
	get objects_in_use(): number {
		return this.machine.slab.objects;
	}
	new_mm(): MmStruct {
		const mm = new_mm(this.cx);
		if (!mm) throw new RangeError("no memory for an address space");
		return mm;
	}

	/** mm/vmalloc.c: remap_vmalloc_range: give a vmalloc_user() area to user space, from page `pgoff` on. */
	remap_vmalloc_range(vma: vm_area_struct, addr: number, pgoff: number): number {
		const area = this.machine.vmalloc.find_vm_area(addr);
		const size = PAGE_ALIGN(vma.vm_end - vma.vm_start);
		if (!area || !(area.flags & VM_USERMAP)) return -EINVAL;
		const off = pgoff * PAGE_SIZE;
		if (off + size > area.size) return -EINVAL;
		for (let at = 0; at < size; at += PAGE_SIZE) {
			const err = vma.vm_mm.insert_page(vma, vma.vm_start + at, area.pages[(off + at) / PAGE_SIZE]!);
			if (err) return err;
		}
		vma.vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
		return 0;
	}
}

/** Flags of an area that vmap() made (VM_MAP). */
const VM_MAP_AREA = 0x4;
