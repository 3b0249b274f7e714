// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/arena.c: memory shared between programs and user space at one range of 4 GiB at most.
 *
 *   kernel: | GUARD_SZ / 2 | 4 GiB, a page at the low 32 bits of its user address | GUARD_SZ / 2 |
 *   user:                    user_vm_start ......... user_vm_end
 *
 * Neither side is populated at first. A page comes by a user's fault, which maps it into both, or by
 * bpf_arena_alloc_pages(), which maps it for the kernel only; user space then faults it in.
 */
import {
	E2BIG,
	EBUSY,
	EFAULT,
	EINVAL,
	ENOMEM,
	EOPNOTSUPP,
	ERANGE,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_MMAPABLE,
	BPF_F_NO_USER_CONV,
	BPF_F_SEGV_ON_FAULT,
	BPF_MAP_TYPE_ARENA,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { Ref } from "../../lib/err.ts";
import { maple_tree } from "../../lib/maple_tree.ts";
import { VM_FAULT_SIGSEGV } from "../../mm/mm_types.ts";
import type { file } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl } from "../kernel_impl.ts";
import {
	PAGE_SIZE,
	VM_DONTCOPY,
	VM_DONTEXPAND,
	type vm_area_struct,
	type vm_operations_struct,
} from "../kmem.ts";
import { type ArenaEvent, calling_prog } from "./arena_watch.ts";
import { bpf_map } from "./bpf_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_init_from_attr,
	kmem_of,
	map_image_add,
	map_image_del,
	type map_ops,
} from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

/** What an instruction's 16-bit offset can reach, half of it on either side. */
const GUARD_SZ = 65536;
const SZ_4G = 2 ** 32;
const KERN_VM_SZ = SZ_4G + GUARD_SZ;
const NUMA_NO_NODE = -1;

/** struct vma_list */
interface vma_list {
	vma: vm_area_struct;
	mmap_count: number;
}

/** struct bpf_arena */
export class bpf_arena extends bpf_map {
	/** arena->kern_vm->addr */
	kern_vm = 0;
	readonly mt = new maple_tree();
	readonly vma_list: vma_list[] = [];
	private user_start = 0n;
	private user_end = 0n;

	get kern_vm_start(): bigint {
		return addr_to_u64(this.kern_base);
	}
	/** The kernel's address of the page whose user address has 0 in its low half. */
	get kern_base(): number {
		return this.kern_vm + GUARD_SZ / 2;
	}
	get user_vm_start(): bigint {
		return this.user_start;
	}
	get user_vm_end(): bigint {
		return this.user_end;
	}
	set_user_vm(start: bigint, end: bigint): void {
		this.user_start = start;
		this.user_end = end;
		const kmem = kmem_of(this);
		kmem.w64(this.addr + koffsetof(this.kernel, "bpf_arena", "user_vm_start"), start);
		kmem.w64(this.addr + koffsetof(this.kernel, "bpf_arena", "user_vm_end"), end);
	}
}

type Bare<E> = E extends ArenaEvent ? Omit<E, "id" | "name"> : never;

/** Tell who watches. */
function note(arena: bpf_arena, event: (k: KernelImpl) => Bare<ArenaEvent>): void {
	const k = impl(arena.kernel);
	k.bpf.arena_watch?.({ id: arena.id, name: arena.name, ...event(k) } as ArenaEvent);
}

/** kernel/bpf/arena.c: bpf_arena_get_user_vm_start */
export function bpf_arena_get_user_vm_start(map: bpf_map | null): bigint {
	return map ? (map as bpf_arena).user_vm_start : 0n;
}

/** kernel/bpf/arena.c: bpf_arena_get_kern_vm_start */
export function bpf_arena_get_kern_vm_start(map: bpf_map | null): bigint {
	return map ? (map as bpf_arena).kern_vm_start : 0n;
}

/** (u32)addr of a user address */
function lo32(addr: number): number {
	return addr % SZ_4G;
}

/** kernel/bpf/arena.c: compute_pgoff */
function compute_pgoff(arena: bpf_arena, uaddr: number): number {
	const start = Number(BigInt.asUintN(32, arena.user_vm_start));
	return ((lo32(uaddr) - start) >>> 0) / PAGE_SIZE;
}

/** kernel/bpf/arena.c: arena_map_alloc */
function arena_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	if (
		attr.key_size ||
		attr.value_size ||
		attr.max_entries === 0 ||
		!(attr.map_flags & BPF_F_MMAPABLE) ||
		attr.map_flags & ~(BPF_F_SEGV_ON_FAULT | BPF_F_MMAPABLE | BPF_F_NO_USER_CONV)
	)
		return -EINVAL;
	if (attr.map_extra & BigInt(PAGE_SIZE - 1)) return -EINVAL;
	const vm_range = attr.max_entries * PAGE_SIZE;
	if (vm_range > SZ_4G) return -E2BIG;
	if (attr.map_extra >> 32n !== BigInt.asUintN(64, attr.map_extra + BigInt(vm_range) - 1n) >> 32n)
		return -ERANGE;
	const { kmem } = impl(kernel);
	const kern_vm = kmem.get_vm_area(KERN_VM_SZ);
	if (kern_vm === 0) return -ENOMEM;
	const addr = bpf_map_area_alloc(kernel, ksizeof(kernel, "bpf_arena"));
	if (addr === 0) {
		kmem.free_vm_area(kern_vm);
		return -ENOMEM;
	}
	const arena = new bpf_arena(kernel, ops);
	arena.kern_vm = kern_vm;
	bpf_map_init_from_attr(arena, attr);
	map_image_add(arena, addr);
	const start = attr.map_extra;
	arena.set_user_vm(start, start ? start + BigInt(vm_range) : 0n);
	return arena;
}

/** WARN_ON_ONCE(), without the "once". */
function warn_on(arena: bpf_arena, where: string): void {
	impl(arena.kernel).printk(`WARNING: kernel/bpf/arena.c: ${where}`);
}

/** kernel/bpf/arena.c: arena_map_free */
function arena_map_free(map: bpf_map): void {
	const arena = map as bpf_arena;
	const k = impl(map.kernel);
	// a mapping holds the file, and that the map
	if (arena.vma_list.length > 0) {
		warn_on(arena, "arena_map_free");
		return;
	}
	note(arena, () => ({ kind: "release" }));
	const base = arena.kern_base;
	for (const pfn of k.kmem.vm_area_unmap_pages(arena.kern_vm, base, base + KERN_VM_SZ - GUARD_SZ))
		k.kmem.put_page(pfn);
	k.kmem.free_vm_area(arena.kern_vm);
	arena.mt.mtree_destroy();
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

// ---- user space's side

function arena_of_vma(vma: vm_area_struct): bpf_arena {
	return (vma.vm_file as unknown as file).private_data as bpf_arena;
}

/** kernel/bpf/arena.c: remember_vma */
function remember_vma(arena: bpf_arena, vma: vm_area_struct): void {
	const vml: vma_list = { vma, mmap_count: 1 };
	vma.vm_private_data = vml;
	arena.vma_list.unshift(vml);
}

const arena_vm_ops: vm_operations_struct = {
	/** kernel/bpf/arena.c: arena_vm_open */
	open(vma) {
		(vma.vm_private_data as vma_list).mmap_count++;
	},
	/** kernel/bpf/arena.c: arena_vm_may_split */
	may_split: () => -EINVAL,
	/** kernel/bpf/arena.c: arena_vm_mremap */
	mremap: () => -EINVAL,
	/** kernel/bpf/arena.c: arena_vm_close */
	close(vma) {
		const vml = vma.vm_private_data as vma_list;
		if (--vml.mmap_count > 0) return;
		const arena = arena_of_vma(vma);
		arena.vma_list.splice(arena.vma_list.indexOf(vml), 1);
		vma.vm_private_data = null;
		note(arena, (k) => ({ kind: "unmap", pid: k.task.tgid, start: vma.vm_start, end: vma.vm_end }));
	},
	fault: arena_vm_fault,
};

/** kernel/bpf/arena.c: arena_vm_fault: the page, with a reference for the mapping. */
function arena_vm_fault(vma: vm_area_struct, addr: number, write: boolean): number {
	const arena = arena_of_vma(vma);
	const kmem = kmem_of(arena);
	const pgoff = (addr - vma.vm_start) / PAGE_SIZE + vma.vm_pgoff;
	const kaddr = arena.kern_base + lo32(addr);
	const told = (how: "present" | "new" | "SIGSEGV", why?: string): void =>
		note(arena, (k) => ({
			kind: "fault",
			pid: k.task.tgid,
			addr,
			page: pgoff,
			write,
			how,
			...(why ? { why } : {}),
		}));
	const sigsegv = (why: string): number => {
		told("SIGSEGV", why);
		return VM_FAULT_SIGSEGV;
	};
	let pfn = kmem.virt_to_pfn(kaddr);
	const present = pfn >= 0;
	if (!present) {
		if (arena.map_flags & BPF_F_SEGV_ON_FAULT) return sigsegv("BPF_F_SEGV_ON_FAULT");
		if (arena.mt.mtree_insert(pgoff)) return sigsegv("its number is taken");
		pfn = kmem.alloc_page();
		if (pfn < 0) {
			arena.mt.mtree_erase(pgoff);
			return sigsegv("no memory");
		}
		if (kmem.vm_area_map_pages(arena.kern_vm, kaddr, [pfn])) {
			arena.mt.mtree_erase(pgoff);
			kmem.put_page(pfn);
			return sigsegv("no memory for page tables");
		}
	}
	kmem.get_page(pfn);
	told(present ? "present" : "new");
	return pfn;
}

/** kernel/bpf/arena.c: arena_get_unmapped_area */
function arena_get_unmapped_area(f: file, addr: number, len: number, pgoff: number, flags: number): number {
	const arena = f.private_data as bpf_arena;
	if (pgoff) return -EINVAL;
	if (len > SZ_4G) return -E2BIG;
	if (arena.user_vm_start) {
		const size = arena.user_vm_end - arena.user_vm_start;
		if (BigInt(len) > size) return -E2BIG;
		if (BigInt(len) !== size) return -EINVAL;
		if (addr_to_u64(addr) !== arena.user_vm_start) return -EINVAL;
	}
	const { mm } = impl(arena.kernel).task;
	// twice the length, so that there is room to step over a 4 GiB boundary
	const ret = mm.find_unmapped_area(addr, len * 2, flags);
	if (ret < 0) return ret;
	if (Math.floor(ret / SZ_4G) === Math.floor((ret + len - 1) / SZ_4G)) return ret;
	if (arena.user_vm_start) {
		warn_on(arena, "arena_get_unmapped_area");
		return -EFAULT;
	}
	return Math.ceil(ret / SZ_4G) * SZ_4G;
}

/** kernel/bpf/arena.c: arena_map_mmap */
function arena_map_mmap(map: bpf_map, vma: vm_area_struct): number {
	const arena = map as bpf_arena;
	const start = addr_to_u64(vma.vm_start);
	const end = addr_to_u64(vma.vm_end);
	// the first mapping fixes the address, unless map_extra did; all others are at the same
	if (arena.user_vm_start && arena.user_vm_start !== start) return -EBUSY;
	if (arena.user_vm_end && arena.user_vm_end !== end) return -EBUSY;
	if (vma.vm_end - vma.vm_start > SZ_4G || vma.vm_pgoff) {
		warn_on(arena, "arena_map_mmap");
		return -EFAULT;
	}
	remember_vma(arena, vma);
	arena.set_user_vm(start, end);
	vma.vm_flags |= VM_DONTEXPAND | VM_DONTCOPY;
	vma.vm_ops = arena_vm_ops;
	note(arena, (k) => ({ kind: "map", pid: k.task.tgid, start: vma.vm_start, end: vma.vm_end }));
	return 0;
}

/** kernel/bpf/arena.c: arena_map_direct_value_addr */
function arena_map_direct_value_addr(map: bpf_map, imm: Ref<bigint>, off: number): number {
	const arena = map as bpf_arena;
	if (BigInt(off) > arena.user_vm_end - arena.user_vm_start) return -ERANGE;
	imm.val = arena.user_vm_start;
	return 0;
}

export const arena_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "arena_map_lookup_elem",
		map_update_elem: "arena_map_update_elem",
		map_delete_elem: "arena_map_delete_elem",
		map_push_elem: "arena_map_push_elem",
		map_pop_elem: "arena_map_pop_elem",
		map_peek_elem: "arena_map_peek_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: arena_map_alloc,
	map_free: arena_map_free,
	map_direct_value_addr: arena_map_direct_value_addr,
	map_mmap: arena_map_mmap,
	map_get_unmapped_area: arena_get_unmapped_area,
	map_get_next_key: () => -EOPNOTSUPP,
	map_push_elem: () => -EOPNOTSUPP,
	map_peek_elem: () => -EOPNOTSUPP,
	map_pop_elem: () => -EOPNOTSUPP,
	map_lookup_elem: () => -EINVAL,
	map_update_elem: () => -EOPNOTSUPP,
	map_delete_elem: () => -EOPNOTSUPP,
	map_check_btf: () => 0,
	map_mem_usage: () => 0n,
	map_btf_name: "bpf_arena",
};

// ---- the programs' side

/** kernel/bpf/syscall.c: bpf_map_alloc_pages: zeroed pages; null when there are not as many. */
function bpf_map_alloc_pages(map: bpf_map, nr_pages: number): number[] | null {
	const kmem = kmem_of(map);
	const pages: number[] = [];
	for (let i = 0; i < nr_pages; i++) {
		const pfn = kmem.alloc_page();
		if (pfn < 0) {
			for (const p of pages) kmem.put_page(p);
			return null;
		}
		pages.push(pfn);
	}
	return pages;
}

/** user_vm_start with the low half cleared, as an address */
function user_base(arena: bpf_arena): number {
	return u64_to_addr((arena.user_vm_start >> 32n) << 32n);
}

/** kernel/bpf/arena.c: arena_alloc_pages: the user's address of the first page, or 0. */
function arena_alloc_pages(arena: bpf_arena, uaddr: bigint, page_cnt: number, node_id: number): number {
	const page_cnt_max = Number(arena.user_vm_end - arena.user_vm_start) / PAGE_SIZE;
	const kmem = kmem_of(arena);
	const told = (page: number, addr: number, why?: string): number => {
		note(arena, (k) => ({
			kind: "alloc",
			prog: calling_prog(k),
			pages: page_cnt,
			page,
			addr,
			...(why ? { why } : {}),
		}));
		return addr;
	};
	const none = (why: string): number => told(-1, 0, why);
	// one node is online
	if (node_id !== NUMA_NO_NODE && node_id !== 0) return none(`no node ${node_id}`);
	if (page_cnt > page_cnt_max) return none(page_cnt_max ? `only ${page_cnt_max} in all` : "no address yet");
	let pgoff = 0;
	if (uaddr) {
		if (uaddr & BigInt(PAGE_SIZE - 1)) return none("an address inside a page");
		pgoff = compute_pgoff(arena, Number(BigInt.asUintN(32, uaddr)));
		if (pgoff > page_cnt_max - page_cnt) return none("an address outside");
		if (arena.mt.mtree_insert_range(pgoff, pgoff + page_cnt - 1)) return none("taken");
	} else {
		pgoff = arena.mt.mtree_alloc_range(page_cnt, 0, page_cnt_max - 1);
		if (pgoff < 0) return none("no such gap");
	}
	const pages = bpf_map_alloc_pages(arena, page_cnt);
	if (!pages) {
		arena.mt.mtree_erase(pgoff);
		return none("no memory");
	}
	const uaddr32 = (Number(BigInt.asUintN(32, arena.user_vm_start)) + pgoff * PAGE_SIZE) % SZ_4G;
	if (kmem.vm_area_map_pages(arena.kern_vm, arena.kern_base + uaddr32, pages)) {
		for (const pfn of pages) kmem.put_page(pfn);
		arena.mt.mtree_erase(pgoff);
		return none("no memory for page tables");
	}
	return told(pgoff, user_base(arena) + uaddr32);
}

/** kernel/bpf/arena.c: zap_pages: take pages out of every mapping of user space. */
function zap_pages(arena: bpf_arena, uaddr: number, page_cnt: number): void {
	for (const { vma } of arena.vma_list) {
		const start = Math.max(uaddr, vma.vm_start);
		const end = Math.min(uaddr + page_cnt * PAGE_SIZE, vma.vm_end);
		if (start < end) vma.vm_mm.zap(start, end - start);
	}
}

/** kernel/bpf/arena.c: arena_free_pages */
function arena_free_pages(arena: bpf_arena, ptr: bigint, page_cnt0: number): void {
	const kmem = kmem_of(arena);
	const off = Number(BigInt.asUintN(32, ptr));
	const uaddr = off - (off % PAGE_SIZE);
	const full_uaddr = user_base(arena) + uaddr;
	const uaddr_end = Math.min(u64_to_addr(arena.user_vm_end), full_uaddr + page_cnt0 * PAGE_SIZE);
	if (full_uaddr >= uaddr_end) return;
	const page_cnt = (uaddr_end - full_uaddr) / PAGE_SIZE;
	const pgoff = compute_pgoff(arena, uaddr);
	arena.mt.mtree_clear_range(pgoff, pgoff + page_cnt - 1);
	const kaddr = arena.kern_base + uaddr;
	if (page_cnt > 1) zap_pages(arena, full_uaddr, page_cnt);
	else {
		// a single page that no process maps needs no walk of the mappings
		const pfn = kmem.virt_to_pfn(kaddr);
		if (pfn >= 0 && kmem.page_count(pfn) > 1) zap_pages(arena, full_uaddr, 1);
	}
	const gone = kmem.vm_area_unmap_pages(arena.kern_vm, kaddr, kaddr + page_cnt * PAGE_SIZE);
	for (const pfn of gone) kmem.put_page(pfn);
	note(arena, (k) => ({
		kind: "free",
		prog: calling_prog(k),
		page: (full_uaddr - u64_to_addr(arena.user_vm_start)) / PAGE_SIZE,
		pages: page_cnt,
		freed: gone.length,
	}));
}

/** The kfuncs' bodies. */
export function register_arena_kfuncs(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const u32 = (v: bigint): number => Number(BigInt.asUintN(32, v));
	/** kernel/bpf/arena.c: bpf_arena_alloc_pages */
	bodies.set("bpf_arena_alloc_pages", (_c, p__map, addr__ign, page_cnt, node_id, flags) => {
		const map = k.bpf.map_of(p__map);
		if (map.map_type !== BPF_MAP_TYPE_ARENA || flags || !u32(page_cnt)) return 0n;
		const node = Number(BigInt.asIntN(32, node_id));
		return addr_to_u64(arena_alloc_pages(map as bpf_arena, addr__ign, u32(page_cnt), node));
	});
	/** kernel/bpf/arena.c: bpf_arena_free_pages */
	bodies.set("bpf_arena_free_pages", (_c, p__map, ptr__ign, page_cnt) => {
		const map = k.bpf.map_of(p__map);
		if (map.map_type !== BPF_MAP_TYPE_ARENA || !u32(page_cnt) || !ptr__ign) return 0n;
		arena_free_pages(map as bpf_arena, ptr__ign, u32(page_cnt));
		return 0n;
	});
}
