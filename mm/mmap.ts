// SPDX-License-Identifier: GPL-2.0-only
/**
 * mm/mmap.c, mm/mprotect.c, mm/mremap.c, mm/memory.c, kernel/fork.c (dup_mmap): a user address
 * space on real page tables, its areas, and page faults.
 */

import type { Arch, PageTable, Prot } from "../arch/arch.ts";
import { WALK_WRITE } from "../arch/arch.ts";
import {
	EACCES,
	EBUSY,
	EEXIST,
	EFAULT,
	EINVAL,
	ENODEV,
	ENOMEM,
	EOPNOTSUPP,
	EOVERFLOW,
} from "../include/uapi/asm-generic/errno.ts";
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_FIXED_NOREPLACE,
	MAP_GROWSDOWN,
	MAP_LOCKED,
	MAP_POPULATE,
	MAP_PRIVATE,
	MAP_SHARED,
	MAP_SHARED_VALIDATE,
	MREMAP_DONTUNMAP,
	MREMAP_FIXED,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../include/uapi/asm-generic/mman.ts";
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_USER } from "./gfp.ts";
import { GuestFault } from "./guest_memory.ts";
import { KernelMemory } from "./memory.ts";
import {
	FMODE_READ,
	FMODE_WRITE,
	LEGACY_MAP_MASK,
	MAP_TYPE,
	type MmFile,
	type mm_struct,
	VM_ACCESS_FLAGS,
	VM_DONTCOPY,
	VM_DONTEXPAND,
	VM_EXEC,
	VM_FAULT_NOPAGE,
	VM_FAULT_SIGSEGV,
	VM_GROWSDOWN,
	VM_IO,
	VM_LOCKED,
	VM_MAYEXEC,
	VM_MAYREAD,
	VM_MAYSHARE,
	VM_MAYWRITE,
	VM_MIXEDMAP,
	VM_PFNMAP,
	VM_READ,
	VM_SHARED,
	VM_WRITE,
	type vm_area_struct,
	type vm_operations_struct,
} from "./mm_types.ts";
import { PAGE_ALIGN, type PageAllocator } from "./page_alloc.ts";

/** include/linux/mm.h: areas whose pages are no one's to lock, merge or grow */
const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;
/** sysctl vm.max_map_count */
const MAX_MAP_COUNT = 65530;
/** vm.mmap_min_addr */
const MMAP_MIN_ADDR = 65536;

/** What address spaces share: made once for a machine. */
export interface MmContext {
	readonly arch: Arch;
	readonly pages: PageAllocator;
	/** drop a reference to a file that a mapping held */
	fput(file: MmFile): void;
	/** address spaces by the root of their page tables */
	readonly by_root: Map<number, MmStruct>;
}

/** Pages of a shared anonymous mapping (mm/shmem.c), common to all areas that show it. */
class Shmem {
	readonly pfns = new Map<number, number>();
	users = 1;
}

/** vm_get_page_prot(): rights of a page that is mapped for an area. Private areas get write access page by page. */
function page_prot(flags: number, write: boolean): Prot {
	return { user: true, write: write && (flags & VM_WRITE) !== 0, exec: (flags & VM_EXEC) !== 0 };
}

function prot_flags(prot: number): number {
	return (
		(prot & PROT_READ ? VM_READ : 0) | (prot & PROT_WRITE ? VM_WRITE : 0) | (prot & PROT_EXEC ? VM_EXEC : 0)
	);
}

export class MmStruct implements mm_struct {
	private readonly cx: MmContext;
	private readonly arch: Arch;
	private readonly pages: PageAllocator;
	readonly table: PageTable;
	/** User space's own loads and stores: with the user's rights, faulting pages in; throws GuestFault. */
	readonly user: KernelMemory;
	/** in order of address */
	private vmas: vm_area_struct[] = [];
	fault_signal: "SIGSEGV" | "SIGBUS" = "SIGSEGV";
	fault_addr = 0;
	/** pages mapped */
	rss = 0;
	/** counts what brings code into the address space: whoever runs it looks whether it is what it was */
	exec_gen = 0;
	private nofault = false;
	private dead = false;

	/** Use new_mm(): it says when memory is out. */
	constructor(cx: MmContext, table: PageTable) {
		this.cx = cx;
		this.arch = cx.arch;
		this.pages = cx.pages;
		this.table = table;
		this.user = new KernelMemory(cx.arch.ram, table, Number.NaN, true);
		this.user.on_fault = (va, write) => !this.nofault && this.handle_mm_fault(va, write, false);
		cx.by_root.set(table.root, this);
	}

	// ---- areas

	/** find_vma(): the first area that ends after an address; its index. */
	private index_after(addr: number): number {
		let lo = 0;
		let hi = this.vmas.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.vmas[mid]!.vm_end <= addr) lo = mid + 1;
			else hi = mid;
		}
		return lo;
	}

	/** vma_lookup(): the area an address lies in */
	vma_lookup(addr: number): vm_area_struct | null {
		const v = this.vmas[this.index_after(addr)];
		return v && v.vm_start <= addr ? v : null;
	}

	private intersects(start: number, end: number): boolean {
		const v = this.vmas[this.index_after(start)];
		return v !== undefined && v.vm_start < end;
	}

	/** All areas, in order of address. */
	areas(): readonly vm_area_struct[] {
		return this.vmas;
	}

	private link(v: vm_area_struct): void {
		this.vmas.splice(this.index_after(v.vm_start), 0, v);
	}

	/** generic_get_unmapped_area_topdown(): an address, or a negative errno */
	private unmapped_area(addr: number, len: number): number {
		const top = this.arch.layout.task_size;
		if (len > top - MMAP_MIN_ADDR) return -ENOMEM;
		const hint = PAGE_ALIGN(addr);
		if (hint && top - len >= hint && hint >= MMAP_MIN_ADDR && !this.intersects(hint, hint + len)) return hint;
		let end = this.arch.layout.mmap_base;
		for (let i = this.index_after(end - 1); i >= 0; i--) {
			const v = this.vmas[i];
			if (!v || v.vm_start >= end) continue;
			if (v.vm_end <= end - len) break;
			end = v.vm_start;
		}
		return end - len < MMAP_MIN_ADDR ? -ENOMEM : end - len;
	}

	/** mm/mmap.c: get_unmapped_area */
	private get_unmapped_area(
		file: MmFile | null,
		addr: number,
		len: number,
		pgoff: number,
		flags: number,
	): number {
		const task_size = this.arch.layout.task_size;
		if (len > task_size) return -ENOMEM;
		let at: number;
		if (file?.f_op.get_unmapped_area) {
			at = file.f_op.get_unmapped_area(file, addr, len, pgoff, flags);
			// a file may leave the search to the address space
			if (at === 0) at = flags & MAP_FIXED ? addr : this.unmapped_area(addr, len);
		} else if (flags & MAP_FIXED) at = addr;
		else at = this.unmapped_area(addr, len);
		if (at < 0) return at;
		if (at > task_size - len) return -ENOMEM;
		if (at % PAGE_SIZE) return -EINVAL;
		return at;
	}

	/** mm_get_unmapped_area(): for a file's own get_unmapped_area */
	find_unmapped_area(addr: number, len: number, flags = 0): number {
		return flags & MAP_FIXED ? addr : this.unmapped_area(addr, len);
	}

	/** mm/mmap.c: do_mmap (and ksys_mmap_pgoff): address, or a negative errno */
	mmap(addr0: number, len0: number, prot: number, flags0: number, file0: MmFile | null, off: number): number {
		let flags = flags0;
		let addr = addr0;
		if (off % PAGE_SIZE) return -EINVAL;
		const file = flags & MAP_ANONYMOUS ? null : file0;
		if (!len0) return -EINVAL;
		if (flags & MAP_FIXED_NOREPLACE) flags |= MAP_FIXED;
		if (!(flags & MAP_FIXED)) {
			// round_hint_to_min()
			addr = Math.floor(addr / PAGE_SIZE) * PAGE_SIZE;
			if (addr !== 0 && addr < MMAP_MIN_ADDR) addr = MMAP_MIN_ADDR;
		}
		const len = PAGE_ALIGN(len0);
		if (len <= 0 || len >= 2 ** 63) return -ENOMEM;
		let pgoff = off / PAGE_SIZE;
		if (pgoff + len / PAGE_SIZE >= 2 ** 52) return -EOVERFLOW;
		if (this.vmas.length > MAX_MAP_COUNT) return -ENOMEM;
		addr = this.get_unmapped_area(file, addr, len, pgoff, flags);
		if (addr < 0) return addr;
		if (flags & MAP_FIXED_NOREPLACE && this.intersects(addr, addr + len)) return -EEXIST;

		let vm_flags = prot_flags(prot) | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC;
		if (flags & MAP_GROWSDOWN) vm_flags |= VM_GROWSDOWN;
		if (flags & MAP_LOCKED) vm_flags |= VM_LOCKED;
		const type = flags & MAP_TYPE;
		if (file) {
			if (type === MAP_SHARED || type === MAP_SHARED_VALIDATE) {
				if (type === MAP_SHARED_VALIDATE && flags & ~LEGACY_MAP_MASK) return -EOPNOTSUPP;
				if (prot & PROT_WRITE && !(file.f_mode & FMODE_WRITE)) return -EACCES;
				vm_flags |= VM_SHARED | VM_MAYSHARE;
				if (!(file.f_mode & FMODE_WRITE)) vm_flags &= ~(VM_MAYWRITE | VM_SHARED);
			} else if (type !== MAP_PRIVATE) return -EINVAL;
			if (!(file.f_mode & FMODE_READ)) return -EACCES;
			if (!file.f_op.mmap) return -ENODEV;
			if (vm_flags & VM_GROWSDOWN) return -EINVAL;
		} else if (type === MAP_SHARED) {
			if (vm_flags & VM_GROWSDOWN) return -EINVAL;
			pgoff = 0;
			vm_flags |= VM_SHARED | VM_MAYSHARE;
		} else if (type === MAP_PRIVATE) pgoff = addr / PAGE_SIZE;
		else return -EINVAL;
		// security_mmap_addr()
		if (addr < MMAP_MIN_ADDR) return -EACCES;
		const at = this.mmap_region(file, addr, len, vm_flags, pgoff);
		if (at >= 0 && flags & (MAP_POPULATE | MAP_LOCKED)) this.populate(at, len);
		return at;
	}

	/** mm/mmap.c: mmap_region */
	private mmap_region(
		file: MmFile | null,
		addr: number,
		len: number,
		vm_flags: number,
		pgoff: number,
	): number {
		const err = this.do_munmap(addr, addr + len);
		if (err) return err;
		if (vm_flags & VM_EXEC) this.exec_gen++;
		const vma: vm_area_struct = {
			vm_start: addr,
			vm_end: addr + len,
			vm_flags,
			vm_pgoff: pgoff,
			vm_file: file,
			vm_ops: null,
			vm_private_data: null,
			vm_mm: this,
		};
		if (file) {
			file.f_count++;
			// the file may insert pages right away, so it can be found by address
			this.link(vma);
			const ret = file.f_op.mmap!(file, vma);
			if (ret) {
				this.vmas.splice(this.vmas.indexOf(vma), 1);
				this.zap_vma(addr, addr + len);
				this.cx.fput(file);
				return ret;
			}
			// vma_supports_mlock()
			if (vma.vm_flags & VM_SPECIAL) vma.vm_flags &= ~VM_LOCKED;
			return addr;
		}
		if (vm_flags & VM_SHARED) {
			vma.vm_ops = this.shmem_ops();
			vma.vm_private_data = new Shmem();
			this.link(vma);
			return addr;
		}
		this.link(vma);
		this.merge_anon(vma);
		return addr;
	}

	/** vma_merge(), for private anonymous areas: neighbours with the same flags become one. */
	private merge_anon(v: vm_area_struct): void {
		const plain = (x: vm_area_struct | undefined): x is vm_area_struct =>
			x !== undefined && !x.vm_file && !x.vm_ops && x.vm_flags === v.vm_flags;
		if (!plain(v)) return;
		let i = this.vmas.indexOf(v);
		const joins = (a: vm_area_struct, b: vm_area_struct): boolean =>
			a.vm_end === b.vm_start && a.vm_pgoff + (a.vm_end - a.vm_start) / PAGE_SIZE === b.vm_pgoff;
		const prev = this.vmas[i - 1];
		if (plain(prev) && joins(prev, v)) {
			prev.vm_end = v.vm_end;
			this.vmas.splice(i, 1);
			i--;
		}
		const cur = this.vmas[i]!;
		const next = this.vmas[i + 1];
		if (plain(next) && joins(cur, next)) {
			cur.vm_end = next.vm_end;
			this.vmas.splice(i + 1, 1);
		}
	}

	/** mm/gup.c: __mm_populate */
	private populate(start: number, len: number): void {
		// a private writable area is written to, so that its pages are its own
		const write = ((this.vma_lookup(start)?.vm_flags ?? 0) & (VM_WRITE | VM_SHARED)) === VM_WRITE;
		for (let at = start; at < start + len; at += PAGE_SIZE)
			if (!this.handle_mm_fault(at, write, false)) break;
	}

	/** __split_vma(): the part from `addr` on becomes an area of its own. 0 or a negative errno. */
	private split_vma(v: vm_area_struct, addr: number): number {
		const err = v.vm_ops?.may_split?.(v, addr) ?? 0;
		if (err) return err;
		const tail: vm_area_struct = {
			...v,
			vm_start: addr,
			vm_pgoff: v.vm_pgoff + (addr - v.vm_start) / PAGE_SIZE,
		};
		if (tail.vm_file) tail.vm_file.f_count++;
		tail.vm_ops?.open?.(tail);
		v.vm_end = addr;
		this.link(tail);
		return 0;
	}

	/** mm/mmap.c: __vm_munmap */
	munmap(addr: number, len0: number): number {
		const task_size = this.arch.layout.task_size;
		if (addr % PAGE_SIZE || addr < 0 || addr > task_size || len0 < 0 || len0 > task_size - addr)
			return -EINVAL;
		const len = PAGE_ALIGN(len0);
		if (len === 0) return -EINVAL;
		return this.do_munmap(addr, addr + len);
	}

	/** do_vmi_align_munmap() */
	private do_munmap(start: number, end: number): number {
		const first = this.vmas[this.index_after(start)];
		if (!first || first.vm_start >= end) return 0;
		if (start > first.vm_start) {
			if (end < first.vm_end && this.vmas.length >= MAX_MAP_COUNT) return -ENOMEM;
			const err = this.split_vma(first, start);
			if (err) return err;
		}
		const last = this.vma_lookup(end - 1);
		if (last && last.vm_end > end) {
			const err = this.split_vma(last, end);
			if (err) return err;
		}
		const i = this.index_after(start);
		let n = 0;
		while (i + n < this.vmas.length && this.vmas[i + n]!.vm_start < end) n++;
		const gone = this.vmas.splice(i, n);
		for (const v of gone) this.remove_vma(v);
		return 0;
	}

	private remove_vma(v: vm_area_struct): void {
		this.zap_vma(v.vm_start, v.vm_end);
		v.vm_ops?.close?.(v);
		if (v.vm_file) this.cx.fput(v.vm_file);
		v.vm_file = null;
	}

	/** mm/mprotect.c: do_mprotect_pkey */
	mprotect(start: number, len0: number, prot: number): number {
		if (start % PAGE_SIZE || start < 0) return -EINVAL;
		if (!len0) return 0;
		const end = start + PAGE_ALIGN(len0);
		if (end <= start || end > this.arch.layout.task_size) return -ENOMEM;
		let at = start;
		const bits = prot_flags(prot);
		while (at < end) {
			const v = this.vma_lookup(at);
			if (!v) return -ENOMEM;
			const newflags = bits | (v.vm_flags & ~VM_ACCESS_FLAGS);
			// a right that VM_MAY* does not grant
			if (newflags & ~(newflags >> 4) & VM_ACCESS_FLAGS) return -EACCES;
			const stop = Math.min(v.vm_end, end);
			if (newflags !== v.vm_flags) {
				let part = v;
				if (at > v.vm_start) {
					const err = this.split_vma(v, at);
					if (err) return err;
					part = this.vma_lookup(at)!;
				}
				if (stop < part.vm_end) {
					const err = this.split_vma(part, stop);
					if (err) return err;
				}
				part.vm_flags = newflags;
				this.change_protection(part);
				this.merge_anon(part);
			}
			at = stop;
		}
		return 0;
	}

	private change_protection(v: vm_area_struct): void {
		const { table } = this;
		if (v.vm_flags & VM_EXEC) this.exec_gen++;
		const accessible = (v.vm_flags & VM_ACCESS_FLAGS) !== 0;
		const shared = (v.vm_flags & VM_SHARED) !== 0;
		for (
			let va = table.next_mapped(v.vm_start, v.vm_end);
			va < v.vm_end;
			va = table.next_mapped(va + PAGE_SIZE, v.vm_end)
		) {
			if (accessible) {
				const pa = table.walk_pa(va);
				// a private page that others share stays read-only: the write fault copies it
				const own = shared ? !v.vm_ops?.page_mkwrite : this.pages.page_count(pa / PAGE_SIZE) === 1;
				table.protect(va, page_prot(v.vm_flags, own));
			} else table.protect(va, { user: false, write: false, exec: false });
		}
		this.flush(v.vm_start, v.vm_end);
	}

	private flush(start: number, end: number): void {
		if (end - start <= 16 * PAGE_SIZE)
			for (let va = start; va < end; va += PAGE_SIZE) this.user.flush_page(va);
		else this.user.flush();
		this.arch.flush_tlb();
	}

	/** mm/mremap.c: mremap(2) */
	mremap(addr: number, old_len0: number, new_len0: number, flags: number, new_addr: number): number {
		if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) return -EINVAL;
		if (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE)) return -EINVAL;
		if (flags & MREMAP_DONTUNMAP && (!(flags & MREMAP_MAYMOVE) || old_len0 !== new_len0)) return -EINVAL;
		if (addr % PAGE_SIZE) return -EINVAL;
		const old_len = PAGE_ALIGN(old_len0);
		const new_len = PAGE_ALIGN(new_len0);
		if (!new_len) return -EINVAL;
		let vma = this.vma_lookup(addr);
		if (!vma) return -EFAULT;
		if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
			return this.mremap_to(addr, old_len, new_addr, new_len, flags);
		if (old_len >= new_len) {
			if (old_len > new_len) {
				const err = this.do_munmap(addr + new_len, addr + old_len);
				if (err) return err;
			}
			return addr;
		}
		const ok = this.vma_to_resize(addr, old_len, new_len, flags);
		if (typeof ok === "number") return ok;
		vma = ok;
		if (old_len === vma.vm_end - addr) {
			// vma_expandable()
			const end = vma.vm_end + (new_len - old_len);
			if (end <= this.arch.layout.task_size && !this.intersects(vma.vm_end, end)) {
				vma.vm_end = end;
				return addr;
			}
		}
		if (!(flags & MREMAP_MAYMOVE)) return -ENOMEM;
		const to = this.get_unmapped_area(
			vma.vm_file,
			0,
			new_len,
			vma.vm_pgoff + (addr - vma.vm_start) / PAGE_SIZE,
			vma.vm_flags & VM_MAYSHARE ? MAP_SHARED : 0,
		);
		if (to < 0) return to;
		return this.move_vma(vma, addr, old_len, new_len, to, flags);
	}

	private vma_to_resize(
		addr: number,
		old_len: number,
		new_len: number,
		flags: number,
	): vm_area_struct | number {
		const vma = this.vma_lookup(addr);
		if (!vma) return -EFAULT;
		if (!old_len && !(vma.vm_flags & (VM_SHARED | VM_MAYSHARE))) return -EINVAL;
		if (flags & MREMAP_DONTUNMAP && vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) return -EINVAL;
		if (old_len > vma.vm_end - addr) return -EFAULT;
		if (new_len === old_len) return vma;
		if (vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)) return -EFAULT;
		return vma;
	}

	private mremap_to(
		addr: number,
		old_len0: number,
		new_addr: number,
		new_len: number,
		flags: number,
	): number {
		const task_size = this.arch.layout.task_size;
		let old_len = old_len0;
		if (new_addr % PAGE_SIZE) return -EINVAL;
		if (new_len > task_size || new_addr > task_size - new_len) return -EINVAL;
		if (addr + old_len > new_addr && new_addr + new_len > addr) return -EINVAL;
		if (this.vmas.length + 2 >= MAX_MAP_COUNT - 3) return -ENOMEM;
		if (flags & MREMAP_FIXED) {
			const err = this.do_munmap(new_addr, new_addr + new_len);
			if (err) return err;
		}
		if (old_len > new_len) {
			const err = this.do_munmap(addr + new_len, addr + old_len);
			if (err) return err;
			old_len = new_len;
		}
		const vma = this.vma_to_resize(addr, old_len, new_len, flags);
		if (typeof vma === "number") return vma;
		let map_flags = flags & MREMAP_FIXED ? MAP_FIXED : 0;
		if (vma.vm_flags & VM_MAYSHARE) map_flags |= MAP_SHARED;
		const to = this.get_unmapped_area(
			vma.vm_file,
			new_addr,
			new_len,
			vma.vm_pgoff + (addr - vma.vm_start) / PAGE_SIZE,
			map_flags,
		);
		if (to < 0) return to;
		return this.move_vma(vma, addr, old_len, new_len, flags & MREMAP_FIXED ? new_addr : to, flags);
	}

	private move_vma(
		vma: vm_area_struct,
		old_addr: number,
		old_len: number,
		new_len: number,
		new_addr: number,
		flags: number,
	): number {
		if (this.vmas.length >= MAX_MAP_COUNT - 3) return -ENOMEM;
		if (vma.vm_ops?.may_split) {
			let err = 0;
			if (vma.vm_start !== old_addr) err = vma.vm_ops.may_split(vma, old_addr);
			if (!err && vma.vm_end !== old_addr + old_len) err = vma.vm_ops.may_split(vma, old_addr + old_len);
			if (err) return err;
		}
		const copy: vm_area_struct = {
			...vma,
			vm_start: new_addr,
			vm_end: new_addr + new_len,
			vm_pgoff: vma.vm_pgoff + (old_addr - vma.vm_start) / PAGE_SIZE,
		};
		if (copy.vm_file) copy.vm_file.f_count++;
		copy.vm_ops?.open?.(copy);
		this.link(copy);
		const move = (from: number, to: number): boolean => {
			const { table } = this;
			const end = from + old_len;
			for (let va = table.next_mapped(from, end); va < end; va = table.next_mapped(va + PAGE_SIZE, end)) {
				const w = table.walk(va)!;
				if (table.map(to + (va - from), w.pa, w)) return false;
				table.unmap(va);
			}
			return true;
		};
		let err = move(old_addr, new_addr) ? 0 : -ENOMEM;
		if (!err && vma.vm_ops?.mremap) err = vma.vm_ops.mremap(copy);
		this.user.flush();
		this.arch.flush_tlb();
		if (err) {
			move(new_addr, old_addr);
			this.vmas.splice(this.vmas.indexOf(copy), 1);
			this.remove_vma(copy);
			return err;
		}
		if (!(flags & MREMAP_DONTUNMAP) && old_len) this.do_munmap(old_addr, old_addr + old_len);
		return new_addr;
	}

	// ---- pages

	/** vm_insert_page(): map one page of the kernel's; takes a reference. */
	insert_page(vma: vm_area_struct, addr: number, pfn: number): number {
		if (addr < vma.vm_start || addr >= vma.vm_end) return -EFAULT;
		if (this.pages.page_count(pfn) <= 0) return -EINVAL;
		if (this.table.walk_pa(addr) >= 0) return -EBUSY;
		if (this.table.map(addr, pfn * PAGE_SIZE, page_prot(vma.vm_flags, true))) return -ENOMEM;
		vma.vm_flags |= VM_MIXEDMAP;
		this.pages.get_page(pfn);
		this.rss++;
		return 0;
	}

	/** zap_page_range_single(): forget the pages of a range; a later access faults again. */
	zap(addr: number, len: number): void {
		this.zap_vma(addr, addr + len);
	}

	private zap_vma(start: number, end: number): void {
		const { table } = this;
		let n = 0;
		const gone: number[] = [];
		for (let va = table.next_mapped(start, end); va < end; va = table.next_mapped(va + PAGE_SIZE, end)) {
			gone.push(table.unmap(va) / PAGE_SIZE);
			n++;
		}
		if (n === 0) return;
		this.rss -= n;
		this.flush(start, end);
		for (const pfn of gone) this.pages.put_page(pfn);
	}

	/** mm/memory.c: handle_mm_fault; true when the access can be tried again, else fault_signal says why not. */
	handle_mm_fault(addr: number, write: boolean, exec: boolean): boolean {
		const bad = (signal: "SIGSEGV" | "SIGBUS"): boolean => {
			this.fault_signal = signal;
			this.fault_addr = addr;
			return false;
		};
		const v = this.vma_lookup(addr);
		if (!v) return bad("SIGSEGV");
		const need = write ? VM_WRITE : exec ? VM_EXEC : VM_ACCESS_FLAGS;
		if (!(v.vm_flags & need)) return bad("SIGSEGV");
		const page = Math.floor(addr / PAGE_SIZE) * PAGE_SIZE;
		const shared = (v.vm_flags & VM_SHARED) !== 0;
		const { table, pages } = this;
		const pa = table.walk_pa(page);
		if (pa >= 0) {
			const writable = (table.walk_flags & WALK_WRITE) !== 0;
			if (!write || writable) {
				// another CPU or an mprotect() was quicker
				table.protect(page, page_prot(v.vm_flags, writable || (shared && !v.vm_ops?.page_mkwrite)));
				return true;
			}
			if (shared) {
				if (v.vm_ops?.page_mkwrite && !v.vm_ops.page_mkwrite(v, page)) return bad("SIGBUS");
				table.protect(page, page_prot(v.vm_flags, true));
				return true;
			}
			return this.do_wp_page(v, page, pa / PAGE_SIZE) || bad("SIGBUS");
		}
		let pfn: number;
		let own = true;
		if (v.vm_ops?.fault) {
			const r = v.vm_ops.fault(v, page, write);
			if (r === VM_FAULT_NOPAGE) return true;
			if (r < 0) return bad(r === VM_FAULT_SIGSEGV ? "SIGSEGV" : "SIGBUS");
			pfn = r;
			if (!shared) {
				own = false;
				if (write) {
					// do_cow_fault()
					const copy = this.copy_page(pfn);
					pages.put_page(pfn);
					if (copy < 0) return bad("SIGBUS");
					pfn = copy;
					own = true;
				}
			}
		} else if (v.vm_file) return bad("SIGBUS");
		else {
			pfn = pages.alloc_page(GFP_USER | __GFP_ZERO);
			if (pfn < 0) return bad("SIGBUS");
		}
		if (shared && v.vm_ops?.page_mkwrite && !(write && v.vm_ops.page_mkwrite(v, page))) own = false;
		else own ||= shared;
		if (table.map(page, pfn * PAGE_SIZE, page_prot(v.vm_flags, own))) {
			pages.put_page(pfn);
			return bad("SIGBUS");
		}
		this.rss++;
		return true;
	}

	private copy_page(pfn: number): number {
		const copy = this.pages.alloc_page(GFP_USER);
		if (copy >= 0) this.arch.ram.page(copy).set(this.arch.ram.page(pfn));
		return copy;
	}

	/** A write to a private page that is mapped read-only: our own by now, or copied. */
	private do_wp_page(v: vm_area_struct, page: number, pfn: number): boolean {
		if (this.pages.page_count(pfn) > 1) {
			const copy = this.copy_page(pfn);
			if (copy < 0) return false;
			this.table.map(page, copy * PAGE_SIZE, page_prot(v.vm_flags, true));
			this.pages.put_page(pfn);
		} else this.table.protect(page, page_prot(v.vm_flags, true));
		this.flush(page, page + PAGE_SIZE);
		return true;
	}

	/** Shared anonymous memory: pages live in an object that all its areas show. */
	private shmem_ops(): vm_operations_struct {
		const { pages } = this;
		return {
			open(v) {
				(v.vm_private_data as Shmem).users++;
			},
			close(v) {
				const s = v.vm_private_data as Shmem;
				if (--s.users === 0) for (const pfn of s.pfns.values()) pages.put_page(pfn);
			},
			fault(v, addr) {
				const s = v.vm_private_data as Shmem;
				const at = v.vm_pgoff + (addr - v.vm_start) / PAGE_SIZE;
				let pfn = s.pfns.get(at);
				if (pfn === undefined) {
					pfn = pages.alloc_page(GFP_USER | __GFP_ZERO);
					if (pfn < 0) return -1;
					s.pfns.set(at, pfn);
				}
				pages.get_page(pfn);
				return pfn;
			},
		};
	}

	// ---- fork, exit

	/** kernel/fork.c: dup_mmap; null when memory is out */
	fork(): MmStruct | null {
		const child = new_mm(this.cx);
		if (!child) return null;
		const { table, pages } = this;
		for (const v of this.vmas) {
			if (v.vm_flags & VM_DONTCOPY) continue;
			const copy: vm_area_struct = { ...v, vm_flags: v.vm_flags & ~VM_LOCKED, vm_mm: child };
			if (copy.vm_file) copy.vm_file.f_count++;
			copy.vm_ops?.open?.(copy);
			child.link(copy);
			const shared = (v.vm_flags & VM_SHARED) !== 0;
			// vma_needs_copy(): what a fault can bring back is left to it
			if (shared && !(v.vm_flags & (VM_PFNMAP | VM_MIXEDMAP))) continue;
			for (
				let va = table.next_mapped(v.vm_start, v.vm_end);
				va < v.vm_end;
				va = table.next_mapped(va + PAGE_SIZE, v.vm_end)
			) {
				const pa = table.walk_pa(va);
				const prot = page_prot(v.vm_flags, shared);
				if (child.table.map(va, pa, prot)) {
					child.exit();
					return null;
				}
				pages.get_page(pa / PAGE_SIZE);
				child.rss++;
				if (!shared) table.protect(va, prot);
			}
		}
		this.user.flush();
		this.arch.flush_tlb();
		return child;
	}

	/** exit_mmap(): unmap everything and free the page tables. */
	exit(): void {
		if (this.dead) return;
		this.dead = true;
		for (const v of this.vmas.splice(0)) this.remove_vma(v);
		this.arch.drop_table(this.table);
		this.cx.by_root.delete(this.table.root);
		this.user.flush();
		this.table.destroy();
	}

	// ---- copies between kernel and user space (lib/usercopy.c)

	private ok(addr: number, len: number): boolean {
		if (addr >= 0 && len >= 0 && addr + len <= this.arch.layout.task_size) return true;
		this.fault_signal = "SIGSEGV";
		this.fault_addr = addr;
		return false;
	}

	/** Run an access; a fault gives `otherwise`. */
	private attempt<T>(access: () => T, otherwise: T): T {
		try {
			return access();
		} catch (e) {
			if (e instanceof GuestFault) return otherwise;
			throw e;
		}
	}

	/** copy_from_user() as a whole: the bytes, or null when any cannot be read. */
	read(addr: number, len: number): Uint8Array | null {
		if (!this.ok(addr, len)) return null;
		return this.attempt<Uint8Array | null>(() => this.user.read(addr, len), null);
	}

	/** copy_to_user(): false when any byte cannot be written (those before it are). */
	write(addr: number, bytes: Uint8Array): boolean {
		if (!this.ok(addr, bytes.length)) return false;
		return this.attempt(() => {
			this.user.write(addr, bytes);
			return true;
		}, false);
	}

	private without_faults<T>(access: () => T): T {
		this.nofault = true;
		try {
			return access();
		} finally {
			this.nofault = false;
		}
	}

	/** copy_from_user_nofault(): only what is mapped already. */
	read_nofault(addr: number, len: number): Uint8Array | null {
		return this.without_faults(() => this.read(addr, len));
	}

	/** copy_to_user_nofault() */
	write_nofault(addr: number, bytes: Uint8Array): boolean {
		return this.without_faults(() => this.write(addr, bytes));
	}

	/**
	 * strncpy_from_user(): the string without its NUL; at most `max` bytes (then there was no NUL);
	 * -EFAULT.
	 */
	strncpy_from_user(addr: number, max: number): Uint8Array | number {
		if (!this.ok(addr, 0)) return -EFAULT;
		return this.attempt<Uint8Array | number>(() => {
			const out: number[] = [];
			while (out.length < max) {
				const c = this.user.r8(addr + out.length);
				if (c === 0) break;
				out.push(c);
			}
			return Uint8Array.from(out);
		}, -EFAULT);
	}

	/** clear_user(): 0 or -EFAULT */
	clear_user(addr: number, len: number): number {
		if (!this.ok(addr, len)) return -EFAULT;
		return this.attempt(() => {
			this.user.fill(addr, len, 0);
			return 0;
		}, -EFAULT);
	}

	/** put_user() of 4 and 8 bytes: 0 or -EFAULT */
	put_user32(addr: number, v: number): number {
		if (!this.ok(addr, 4)) return -EFAULT;
		return this.attempt(() => {
			this.user.w32(addr, v);
			return 0;
		}, -EFAULT);
	}

	put_user64(addr: number, v: bigint): number {
		if (!this.ok(addr, 8)) return -EFAULT;
		return this.attempt(() => {
			this.user.w64(addr, v);
			return 0;
		}, -EFAULT);
	}

	/** get_user() of 4 and 8 bytes: the value, or null for -EFAULT */
	get_user32(addr: number): number | null {
		if (!this.ok(addr, 4)) return null;
		return this.attempt<number | null>(() => this.user.r32(addr), null);
	}

	get_user64(addr: number): bigint | null {
		if (!this.ok(addr, 8)) return null;
		return this.attempt<bigint | null>(() => this.user.r64(addr), null);
	}
}

/** mm_alloc(): an empty address space; null when memory is out. */
export function new_mm(cx: MmContext): MmStruct | null {
	const table = cx.arch.new_user_table();
	return table ? new MmStruct(cx, table) : null;
}
