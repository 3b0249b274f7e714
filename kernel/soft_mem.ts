// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory without a machine: RAM in one ArrayBuffer, the kernel half mapped by a table of page frames.
 * Kernels that only verify programs, and those that stand in for a real kernel of a record, live on it.
 */
import { EACCES, EBADF, EINVAL, ENODEV, ENOMEM } from "../include/uapi/asm-generic/errno.ts";
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_FIXED_NOREPLACE,
	MAP_PRIVATE,
	MAP_SHARED,
	MAP_SHARED_VALIDATE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../include/uapi/asm-generic/mman.ts";
import { GuestFault } from "../mm/guest_memory.ts";
import type { file } from "./file.ts";
import { FMODE_READ, FMODE_WRITE, fput } from "./file.ts";
import {
	type Kmem,
	type mm_struct,
	PAGE_SHIFT,
	PAGE_SIZE,
	VM_EXEC,
	VM_MAYEXEC,
	VM_MAYREAD,
	VM_MAYWRITE,
	VM_READ,
	VM_SHARED,
	VM_WRITE,
	type vm_area_struct,
	type vm_operations_struct,
} from "./kmem.ts";

const DIRECT_MAP = -0x778000000000; // 0xffff888000000000
const VMALLOC_START = -0x370000000000; // 0xffffc90000000000

/** RAM, its allocators, and the kernel half's page table. */
export class SoftMem implements Kmem {
	readonly ram: Uint8Array;
	private readonly dv: DataView;
	private readonly nr_pages: number;
	private readonly refs: Uint16Array;
	private readonly dirty: Uint8Array;
	private next_page = 1;
	private free_pages: number[] = [];
	private in_use = 0;
	/** vmalloc area: virtual page → frame */
	private readonly vmap_pages: Map<number, number> = new Map();
	private readonly vm_areas: Map<number, { pages: number; own: boolean }> = new Map();
	/** areas that are filled page by page, and the virtual pages that are */
	private readonly sparse: Map<number, Set<number>> = new Map();
	private vmalloc_next = VMALLOC_START;
	/** kmalloc: free lists a size class, and the class of each live object */
	private readonly slabs: Map<number, number[]> = new Map();
	private readonly objects: Map<number, number> = new Map();
	private readonly percpu: Map<number, { size: number; base: number }> = new Map();
	private readonly cpus: number;
	private readonly cur_cpu: () => number;

	/** The end of user addresses. */
	readonly task_size: number;

	constructor(bytes: number, cpus: number, cur_cpu: () => number, task_size: number) {
		this.task_size = task_size;
		this.ram = new Uint8Array(bytes);
		this.dv = new DataView(this.ram.buffer);
		this.nr_pages = bytes >>> PAGE_SHIFT;
		this.refs = new Uint16Array(this.nr_pages);
		this.dirty = new Uint8Array(this.nr_pages);
		this.cpus = cpus;
		this.cur_cpu = cur_cpu;
	}

	/** Offset in RAM of a kernel address; the frame's rest is contiguous only to the page's end. */
	private at(va: number, write: boolean): number {
		const d = va - DIRECT_MAP;
		if (d >= PAGE_SIZE && d < this.nr_pages * PAGE_SIZE) {
			if (this.refs[Math.floor(d / PAGE_SIZE)] === 0) throw new GuestFault(va, write, "use of a free page");
			return d;
		}
		const vpn = Math.floor(va / PAGE_SIZE);
		const pfn = this.vmap_pages.get(vpn);
		if (pfn === undefined) throw new GuestFault(va, write);
		return pfn * PAGE_SIZE + (va - vpn * PAGE_SIZE);
	}
	private fits(va: number, len: number): boolean {
		return (((va % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE) + len <= PAGE_SIZE;
	}
	r8(va: number): number {
		return this.ram[this.at(va, false)]!;
	}
	r16(va: number): number {
		if (this.fits(va, 2)) return this.dv.getUint16(this.at(va, false), true);
		return this.r8(va) | (this.r8(va + 1) << 8);
	}
	r32(va: number): number {
		if (this.fits(va, 4)) return this.dv.getUint32(this.at(va, false), true);
		return (this.r16(va) | (this.r16(va + 2) << 16)) >>> 0;
	}
	rs32(va: number): number {
		return this.r32(va) | 0;
	}
	r64(va: number): bigint {
		if (this.fits(va, 8)) return this.dv.getBigUint64(this.at(va, false), true);
		return BigInt(this.r32(va)) | (BigInt(this.r32(va + 4)) << 32n);
	}
	rptr(va: number): number {
		return Number(BigInt.asIntN(64, this.r64(va)));
	}
	w8(va: number, v: number): void {
		this.ram[this.at(va, true)] = v;
	}
	w16(va: number, v: number): void {
		if (this.fits(va, 2)) this.dv.setUint16(this.at(va, true), v, true);
		else this.write(va, Uint8Array.of(v & 255, (v >> 8) & 255));
	}
	w32(va: number, v: number): void {
		if (this.fits(va, 4)) this.dv.setUint32(this.at(va, true), v >>> 0, true);
		else {
			this.w16(va, v & 0xffff);
			this.w16(va + 2, v >>> 16);
		}
	}
	w64(va: number, v: bigint): void {
		if (this.fits(va, 8)) this.dv.setBigUint64(this.at(va, true), BigInt.asUintN(64, v), true);
		else {
			this.w32(va, Number(v & 0xffffffffn));
			this.w32(va + 4, Number(BigInt.asUintN(32, v >> 32n)));
		}
	}
	cmpxchg32(va: number, old: number, v: number): number {
		const was = this.r32(va);
		if (was === old) this.w32(va, v);
		return was;
	}
	wptr(va: number, v: number): void {
		this.w64(va, BigInt.asUintN(64, BigInt(v)));
	}
	read(va: number, len: number): Uint8Array {
		const out = new Uint8Array(len);
		for (let done = 0; done < len; ) {
			const off = (((va + done) % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
			const n = Math.min(len - done, PAGE_SIZE - off);
			const p = this.at(va + done, false);
			out.set(this.ram.subarray(p, p + n), done);
			done += n;
		}
		return out;
	}
	write(va: number, bytes: Uint8Array): void {
		for (let done = 0; done < bytes.length; ) {
			const off = (((va + done) % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
			const n = Math.min(bytes.length - done, PAGE_SIZE - off);
			this.ram.set(bytes.subarray(done, done + n), this.at(va + done, true));
			done += n;
		}
	}
	copy(dst: number, src: number, len: number): void {
		this.write(dst, this.read(src, len));
	}
	fill(va: number, len: number, byte: number): void {
		for (let done = 0; done < len; ) {
			const off = (((va + done) % PAGE_SIZE) + PAGE_SIZE) % PAGE_SIZE;
			const n = Math.min(len - done, PAGE_SIZE - off);
			const p = this.at(va + done, true);
			this.ram.fill(byte, p, p + n);
			done += n;
		}
	}
	compare(a: number, b: number, len: number): number {
		const x = this.read(a, len);
		const y = this.read(b, len);
		for (let i = 0; i < len; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
		return 0;
	}
	cstring(va: number, max: number): string {
		let s = "";
		for (let i = 0; i < max; i++) {
			const c = this.r8(va + i);
			if (c === 0) break;
			s += String.fromCharCode(c);
		}
		return s;
	}
	readable(va: number, len: number): boolean {
		try {
			this.read(va, len);
			return true;
		} catch (e) {
			if (e instanceof GuestFault) return false;
			throw e;
		}
	}

	// ---- pages
	get pages_in_use(): number {
		return this.in_use;
	}
	alloc_page(): number {
		const pfn = this.free_pages.pop() ?? (this.next_page < this.nr_pages ? this.next_page++ : -1);
		if (pfn < 0) return -1;
		this.got(pfn);
		return pfn;
	}
	private got(pfn: number): void {
		this.refs[pfn] = 1;
		this.in_use++;
		if (this.dirty[pfn]) this.ram.fill(0, pfn * PAGE_SIZE, (pfn + 1) * PAGE_SIZE);
		this.dirty[pfn] = 1;
	}
	/** Frames in a row: the first, or -1. */
	private alloc_contig(n: number): number {
		if (n === 1) return this.alloc_page();
		if (this.next_page + n > this.nr_pages) return -1;
		const pfn = this.next_page;
		this.next_page += n;
		for (let i = 0; i < n; i++) this.got(pfn + i);
		return pfn;
	}
	get_page(pfn: number): void {
		this.refs[pfn]!++;
	}
	page_count(pfn: number): number {
		return this.refs[pfn]!;
	}
	put_page(pfn: number): void {
		if (--this.refs[pfn]! === 0) {
			this.in_use--;
			this.free_pages.push(pfn);
		}
	}
	page_address(pfn: number): number {
		return DIRECT_MAP + pfn * PAGE_SIZE;
	}
	virt_to_pfn(va: number): number {
		const d = va - DIRECT_MAP;
		if (d >= PAGE_SIZE && d < this.nr_pages * PAGE_SIZE) return Math.floor(d / PAGE_SIZE);
		return this.vmap_pages.get(Math.floor(va / PAGE_SIZE)) ?? -1;
	}

	// ---- kmalloc
	get objects_in_use(): number {
		return this.objects.size;
	}
	kmalloc(size: number): number {
		if (size === 0) return 16; // ZERO_SIZE_PTR
		if (size > 2048) {
			const pages = Math.ceil(size / PAGE_SIZE);
			const list = this.slabs.get(pages * PAGE_SIZE);
			const old = list?.pop();
			if (old !== undefined) {
				this.objects.set(old, pages * PAGE_SIZE);
				for (let i = 0; i < pages; i++) this.got(Math.floor((old - DIRECT_MAP) / PAGE_SIZE) + i);
				return old;
			}
			const pfn = this.alloc_contig(pages);
			if (pfn < 0) return 0;
			const va = this.page_address(pfn);
			this.objects.set(va, pages * PAGE_SIZE);
			return va;
		}
		let cls = 8;
		while (cls < size) cls *= 2;
		let list = this.slabs.get(cls);
		if (!list) {
			list = [];
			this.slabs.set(cls, list);
		}
		let va = list.pop();
		if (va === undefined) {
			const pfn = this.alloc_page();
			if (pfn < 0) return 0;
			this.in_use--; // a slab page is not a leak
			for (let o = PAGE_SIZE - cls; o > 0; o -= cls) list.push(this.page_address(pfn) + o);
			va = this.page_address(pfn);
		}
		this.objects.set(va, cls);
		return va;
	}
	kzalloc(size: number): number {
		const va = this.kmalloc(size);
		if (va !== 0 && size) this.fill(va, size, 0);
		return va;
	}
	kfree(va: number): void {
		if (va === 0 || va === 16) return;
		const cls = this.objects.get(va);
		if (cls === undefined) throw new Error(`kfree of 0x${va.toString(16)}, which is no object`);
		this.objects.delete(va);
		if (cls >= PAGE_SIZE) {
			for (let i = 0; i < cls / PAGE_SIZE; i++) {
				this.refs[Math.floor((va - DIRECT_MAP) / PAGE_SIZE) + i] = 0;
				this.in_use--;
			}
			let list = this.slabs.get(cls);
			if (!list) {
				list = [];
				this.slabs.set(cls, list);
			}
			list.push(va);
			return;
		}
		this.slabs.get(cls)!.push(va);
	}

	// ---- vmalloc
	vzalloc(size: number): number {
		const n = Math.ceil(size / PAGE_SIZE);
		const pfns: number[] = [];
		for (let i = 0; i < n; i++) {
			const pfn = this.alloc_page();
			if (pfn < 0) {
				for (const p of pfns) this.put_page(p);
				return 0;
			}
			pfns.push(pfn);
		}
		return this.map_area(pfns, true);
	}
	vmap(pfns: readonly number[]): number {
		return this.map_area(pfns, false);
	}
	private map_area(pfns: readonly number[], own: boolean): number {
		const va = this.vmalloc_next;
		this.vmalloc_next += (pfns.length + 1) * PAGE_SIZE; // a guard page between areas
		for (const [i, pfn] of pfns.entries()) this.vmap_pages.set(va / PAGE_SIZE + i, pfn);
		this.vm_areas.set(va, { pages: pfns.length, own });
		return va;
	}
	vfree(va: number): void {
		if (va === 0) return;
		const area = this.vm_areas.get(va);
		if (!area) throw new Error(`vfree of 0x${va.toString(16)}, which is no area`);
		this.vm_areas.delete(va);
		for (let i = 0; i < area.pages; i++) {
			const vpn = va / PAGE_SIZE + i;
			if (area.own) this.put_page(this.vmap_pages.get(vpn)!);
			this.vmap_pages.delete(vpn);
		}
	}
	get_vm_area(size: number): number {
		const va = this.vmalloc_next;
		this.vmalloc_next += size + PAGE_SIZE;
		this.sparse.set(va, new Set());
		return va;
	}
	free_vm_area(va: number): void {
		for (const vpn of this.sparse.get(va)!) this.vmap_pages.delete(vpn);
		this.sparse.delete(va);
	}
	vm_area_map_pages(area: number, start: number, pfns: readonly number[]): number {
		for (const [i, pfn] of pfns.entries()) {
			this.vmap_pages.set(start / PAGE_SIZE + i, pfn);
			this.sparse.get(area)!.add(start / PAGE_SIZE + i);
		}
		return 0;
	}
	vm_area_unmap_pages(area: number, start: number, end: number): number[] {
		const set = this.sparse.get(area)!;
		const gone: number[] = [];
		if (end - start <= set.size * PAGE_SIZE) {
			for (let vpn = start / PAGE_SIZE; vpn < end / PAGE_SIZE; vpn++) if (set.has(vpn)) gone.push(vpn);
		} else for (const vpn of set) if (vpn >= start / PAGE_SIZE && vpn < end / PAGE_SIZE) gone.push(vpn);
		return gone
			.sort((a, b) => a - b)
			.map((vpn) => {
				const pfn = this.vmap_pages.get(vpn)!;
				this.vmap_pages.delete(vpn);
				set.delete(vpn);
				return pfn;
			});
	}
	is_vmalloc_addr(va: number): boolean {
		return this.vm_areas.has(va);
	}
	vunmap(va: number): void {
		this.vfree(va);
	}

	// ---- per-CPU objects: one area holds all CPUs' instances, 64-byte aligned
	alloc_percpu(size: number, align: number): number {
		const unit = Math.ceil(size / Math.max(align, 8)) * Math.max(align, 8);
		const base = unit * this.cpus > 2048 ? this.vzalloc(unit * this.cpus) : this.kzalloc(unit * this.cpus);
		if (base === 0) return 0;
		this.percpu.set(base, { size: unit, base });
		return base;
	}
	free_percpu(ptr: number): void {
		if (ptr === 0) return;
		const p = this.percpu.get(ptr);
		if (!p) throw new Error("free_percpu of no per-CPU object");
		this.percpu.delete(ptr);
		if (this.vm_areas.has(ptr)) this.vfree(ptr);
		else this.kfree(ptr);
	}
	per_cpu_ptr(ptr: number, cpu: number): number {
		const p = this.percpu.get(ptr);
		if (!p) throw new Error("per_cpu_ptr of no per-CPU object");
		return ptr + cpu * p.size;
	}
	this_cpu_ptr(ptr: number): number {
		return this.per_cpu_ptr(ptr, this.cur_cpu());
	}

	new_mm(): mm_struct {
		return new SoftMm(this);
	}
}

interface Pte {
	pfn: number;
	write: boolean;
}

/** An address space over SoftMem. */
class SoftMm implements mm_struct {
	private readonly mem: SoftMem;
	private readonly ptes: Map<number, Pte> = new Map();
	private vmas: vm_area_struct[] = [];
	fault_signal: "SIGSEGV" | "SIGBUS" = "SIGSEGV";
	fault_addr = 0;
	constructor(mem: SoftMem) {
		this.mem = mem;
	}

	private find(addr: number): vm_area_struct | undefined {
		return this.vmas.find((v) => addr >= v.vm_start && addr < v.vm_end);
	}

	private free_area(len: number, hint: number): number {
		if (hint && hint + len <= this.mem.task_size && !this.overlaps(hint, len)) return hint;
		let top = 0x7ffff7fff000;
		const sorted = [...this.vmas].sort((a, b) => b.vm_start - a.vm_start);
		for (const v of sorted) {
			if (v.vm_end <= top - len) break;
			if (v.vm_start < top) top = v.vm_start;
		}
		return top - len;
	}
	private overlaps(addr: number, len: number): boolean {
		return this.vmas.some((v) => addr < v.vm_end && addr + len > v.vm_start);
	}

	areas(): readonly vm_area_struct[] {
		return [...this.vmas].sort((a, b) => a.vm_start - b.vm_start);
	}

	find_unmapped_area(addr: number, len: number, flags: number): number {
		return flags & MAP_FIXED ? addr : this.free_area(len, addr);
	}

	mmap(addr: number, len: number, prot: number, flags: number, f: file | null, off: number): number {
		if (len <= 0) return -EINVAL;
		if (!(flags & MAP_ANONYMOUS) && !f) return -EBADF;
		const size = Math.ceil(len / PAGE_SIZE) * PAGE_SIZE;
		if (size > this.mem.task_size) return -ENOMEM;
		if (off % PAGE_SIZE) return -EINVAL;
		const type = flags & 0xf;
		if (type !== MAP_SHARED && type !== MAP_PRIVATE && type !== MAP_SHARED_VALIDATE) return -EINVAL;
		let at: number;
		if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
			if (addr % PAGE_SIZE) return -EINVAL;
			if (addr < 0x1000 || addr + size > this.mem.task_size) return -ENOMEM;
			at = addr;
		} else at = this.free_area(size, Math.floor(addr / PAGE_SIZE) * PAGE_SIZE);
		if (f && !(flags & MAP_ANONYMOUS) && f.f_op.get_unmapped_area) {
			const got = f.f_op.get_unmapped_area(f, addr, size, off / PAGE_SIZE, flags);
			if (got < 0) return got;
			if (got > 0) at = got;
		}
		let vm_flags = VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
		if (prot & PROT_READ) vm_flags |= VM_READ;
		if (prot & PROT_WRITE) vm_flags |= VM_WRITE;
		if (prot & PROT_EXEC) vm_flags |= VM_EXEC;
		const file_map = f && !(flags & MAP_ANONYMOUS) ? f : null;
		if (type !== MAP_PRIVATE) {
			vm_flags |= VM_SHARED;
			if (file_map) {
				if (prot & PROT_WRITE && !(file_map.f_mode & FMODE_WRITE)) return -EACCES;
				if (!(file_map.f_mode & FMODE_WRITE)) vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
			}
		}
		if (file_map) {
			if (!(file_map.f_mode & FMODE_READ)) return -EACCES;
			if (!file_map.f_op.mmap) return -ENODEV;
		}
		if (flags & MAP_FIXED_NOREPLACE && this.overlaps(at, size)) return -17;
		if (flags & MAP_FIXED && this.overlaps(at, size)) this.munmap(at, size);
		const vma: vm_area_struct = {
			vm_start: at,
			vm_end: at + size,
			vm_flags,
			vm_pgoff: off / PAGE_SIZE,
			vm_file: file_map,
			vm_ops: null,
			vm_private_data: null,
			vm_mm: this,
		};
		if (file_map) {
			file_map.f_count++;
			const err = file_map.f_op.mmap!(file_map, vma);
			if (err < 0) {
				this.zap(at, size);
				file_map.f_count--;
				return err;
			}
		}
		this.vmas.push(vma);
		return at;
	}

	private split(vma: vm_area_struct, at: number): number {
		const err = vma.vm_ops?.may_split?.(vma, at) ?? 0;
		if (err < 0) return err;
		const tail: vm_area_struct = {
			...vma,
			vm_start: at,
			vm_pgoff: vma.vm_pgoff + (at - vma.vm_start) / PAGE_SIZE,
		};
		vma.vm_end = at;
		if (tail.vm_file) tail.vm_file.f_count++;
		this.vmas.push(tail);
		tail.vm_ops?.open?.(tail);
		return 0;
	}

	private isolate(addr: number, end: number): number {
		for (const v of [...this.vmas]) {
			let w = v;
			if (w.vm_start < addr && w.vm_end > addr) {
				const err = this.split(w, addr);
				if (err) return err;
				w = this.find(addr)!;
			}
			if (w.vm_start < end && w.vm_end > end) {
				const err = this.split(w, end);
				if (err) return err;
			}
		}
		return 0;
	}

	munmap(addr: number, len: number): number {
		if (addr % PAGE_SIZE || len <= 0 || addr < 0 || addr + len > this.mem.task_size) return -EINVAL;
		const end = addr + Math.ceil(len / PAGE_SIZE) * PAGE_SIZE;
		const err = this.isolate(addr, end);
		if (err) return err;
		for (const v of this.vmas.filter((x) => x.vm_start >= addr && x.vm_end <= end)) this.remove(v);
		return 0;
	}
	private remove(v: vm_area_struct): void {
		this.vmas = this.vmas.filter((x) => x !== v);
		this.zap(v.vm_start, v.vm_end - v.vm_start);
		v.vm_ops?.close?.(v);
		const f = v.vm_file;
		if (f) {
			v.vm_file = null;
			fput(f as unknown as file);
		}
	}
	mprotect(addr: number, len: number, prot: number): number {
		if (addr % PAGE_SIZE || addr < 0) return -EINVAL;
		const end = addr + Math.ceil(len / PAGE_SIZE) * PAGE_SIZE;
		for (let a = addr; a < end; ) {
			const v = this.find(a);
			if (!v) return -ENOMEM;
			a = v.vm_end;
		}
		let bits = 0;
		if (prot & PROT_READ) bits |= VM_READ;
		if (prot & PROT_WRITE) bits |= VM_WRITE;
		if (prot & PROT_EXEC) bits |= VM_EXEC;
		const inside = this.vmas.filter((v) => v.vm_start < end && v.vm_end > addr);
		for (const v of inside) if (bits & ~(v.vm_flags >> 4) & 7) return -EACCES;
		const err = this.isolate(addr, end);
		if (err) return err;
		for (const v of this.vmas.filter((x) => x.vm_start >= addr && x.vm_end <= end)) {
			v.vm_flags = (v.vm_flags & ~7) | bits;
			for (let a = v.vm_start; a < v.vm_end; a += PAGE_SIZE) {
				const pte = this.ptes.get(a / PAGE_SIZE);
				if (pte) pte.write = (bits & VM_WRITE) !== 0;
			}
		}
		return 0;
	}
	mremap(_addr: number, _oldLen: number, _newLen: number, _flags: number, _newAddr: number): number {
		return -EINVAL;
	}
	insert_page(vma: vm_area_struct, addr: number, pfn: number): number {
		if (addr < vma.vm_start || addr >= vma.vm_end) return -14;
		if (this.ptes.has(addr / PAGE_SIZE)) return -16;
		this.mem.get_page(pfn);
		this.ptes.set(addr / PAGE_SIZE, { pfn, write: (vma.vm_flags & VM_WRITE) !== 0 });
		return 0;
	}
	zap(addr: number, len: number): void {
		for (let a = addr; a < addr + len; a += PAGE_SIZE) {
			const pte = this.ptes.get(a / PAGE_SIZE);
			if (!pte) continue;
			this.ptes.delete(a / PAGE_SIZE);
			this.mem.put_page(pte.pfn);
		}
	}

	/** The frame for an access, faulting it in; -1 is a signal. */
	private fault(addr: number, write: boolean): number {
		const vpn = Math.floor(addr / PAGE_SIZE);
		const pte = this.ptes.get(vpn);
		const v = this.find(addr);
		const bad = (sig: "SIGSEGV" | "SIGBUS"): number => {
			this.fault_signal = sig;
			this.fault_addr = addr;
			return -1;
		};
		if (!v || !(v.vm_flags & (write ? VM_WRITE : VM_READ | VM_WRITE | VM_EXEC))) return bad("SIGSEGV");
		if (pte && (!write || pte.write)) return pte.pfn;
		const mkwrite = v.vm_ops?.page_mkwrite;
		if (write && mkwrite && !mkwrite(v, vpn * PAGE_SIZE)) return bad("SIGBUS");
		if (pte && mkwrite) {
			pte.write = true;
			return pte.pfn;
		}
		let pfn: number;
		if (v.vm_ops?.fault) {
			pfn = v.vm_ops.fault(v, vpn * PAGE_SIZE, write);
			if (pfn < 0) return bad(pfn === -2 ? "SIGSEGV" : "SIGBUS");
		} else {
			if (v.vm_file) return bad("SIGBUS");
			pfn = this.mem.alloc_page();
			if (pfn < 0) return bad("SIGBUS");
		}
		this.ptes.set(vpn, { pfn, write: (v.vm_flags & VM_WRITE) !== 0 && (write || !mkwrite) });
		return pfn;
	}
	private range(addr: number, len: number): boolean {
		return addr >= 0 && addr + len <= this.mem.task_size;
	}
	read(addr: number, len: number): Uint8Array | null {
		if (!this.range(addr, len)) {
			this.fault_addr = addr;
			this.fault_signal = "SIGSEGV";
			return null;
		}
		const out = new Uint8Array(len);
		for (let done = 0; done < len; ) {
			const off = (addr + done) % PAGE_SIZE;
			const n = Math.min(len - done, PAGE_SIZE - off);
			const pfn = this.fault(addr + done, false);
			if (pfn < 0) return null;
			const p = pfn * PAGE_SIZE + off;
			out.set(this.mem.ram.subarray(p, p + n), done);
			done += n;
		}
		return out;
	}
	write(addr: number, bytes: Uint8Array): boolean {
		if (!this.range(addr, bytes.length)) {
			this.fault_addr = addr;
			this.fault_signal = "SIGSEGV";
			return false;
		}
		for (let done = 0; done < bytes.length; ) {
			const off = (addr + done) % PAGE_SIZE;
			const n = Math.min(bytes.length - done, PAGE_SIZE - off);
			const pfn = this.fault(addr + done, true);
			if (pfn < 0) return false;
			this.mem.ram.set(bytes.subarray(done, done + n), pfn * PAGE_SIZE + off);
			done += n;
		}
		return true;
	}
	read_nofault(addr: number, len: number): Uint8Array | null {
		for (let a = Math.floor(addr / PAGE_SIZE); a * PAGE_SIZE < addr + len; a++)
			if (!this.ptes.has(a)) return null;
		return this.read(addr, len);
	}
	write_nofault(addr: number, bytes: Uint8Array): boolean {
		for (let a = Math.floor(addr / PAGE_SIZE); a * PAGE_SIZE < addr + bytes.length; a++)
			if (!this.ptes.get(a)?.write) return false;
		return this.write(addr, bytes);
	}
	exit(): void {
		for (const v of [...this.vmas]) this.remove(v);
	}
}

export type { vm_operations_struct };
