// SPDX-License-Identifier: GPL-2.0-only
/**
 * mm/slub.c, include/linux/slab.h: kmalloc() and kfree() in size classes. An object of a power of
 * two is aligned to its size, as in the kernel. `SlabCore` also serves the percpu allocator.
 */
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO } from "./gfp.ts";
import type { KernelMemory } from "./memory.ts";
import { get_order, type PageAllocator } from "./page_alloc.ts";

/** kmalloc_info[]: sizes of the caches, and the order of pages of one slab */
const CLASSES = [8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192] as const;
const CLASS_ORDER = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 3] as const;
export const KMALLOC_MAX_CACHE_SIZE = 8192;
/** KMALLOC_MAX_SIZE: MAX_PAGE_ORDER pages */
export const KMALLOC_MAX_SIZE = 4 << 20;

/** class index of sizes up to 8192, by (size + 7) / 8 */
const CLASS_OF = (() => {
	const t = new Uint8Array(1025);
	for (let i = 0, c = 0; i <= 1024; i++) {
		while (CLASSES[c]! < i * 8) c++;
		t[i] = c;
	}
	return t;
})();

/** kmalloc_size_roundup(): the size that an allocation really gets. */
export function kmalloc_size_roundup(size: number): number {
	if (size === 0) return 0;
	if (size <= KMALLOC_MAX_CACHE_SIZE) return CLASSES[CLASS_OF[(size + 7) >>> 3]!]!;
	return PAGE_SIZE << get_order(size);
}

/** Where slabs get their runs of pages: by address, 0 when out of memory. */
export interface RunSource {
	alloc_run(order: number, gfp: number): number;
	free_run(addr: number, order: number): void;
}

class SlabPage {
	readonly base: number;
	readonly cls: number;
	readonly size: number;
	readonly total: number;
	/** stack of free object indices */
	readonly free: Uint16Array;
	nfree: number;
	/** one bit per object: handed out */
	readonly used: Uint8Array;
	next: SlabPage | null = null;
	prev: SlabPage | null = null;
	listed = false;

	constructor(base: number, cls: number) {
		this.base = base;
		this.cls = cls;
		this.size = CLASSES[cls]!;
		this.total = Math.floor((PAGE_SIZE << CLASS_ORDER[cls]!) / this.size);
		this.free = new Uint16Array(this.total);
		for (let i = 0; i < this.total; i++) this.free[i] = this.total - 1 - i;
		this.nfree = this.total;
		this.used = new Uint8Array(this.total);
	}
}

/** Size classes over runs of pages; knows nothing of what the memory holds. */
export class SlabCore {
	private readonly src: RunSource;
	private readonly base: number;
	private readonly partial: (SlabPage | null)[] = CLASSES.map(() => null);
	/** empty slabs kept, at most one of each class */
	private readonly spare: (SlabPage | null)[] = CLASSES.map(() => null);
	private readonly by_page = new Map<number, SlabPage>();
	/** large allocations: page index → order */
	private readonly large = new Map<number, number>();
	/** objects handed out and not freed */
	objects = 0;
	/** bytes of them, rounded up to their classes */
	bytes = 0;

	constructor(src: RunSource, base: number) {
		this.src = src;
		this.base = base;
	}

	private index(addr: number): number {
		return Math.floor((addr - this.base) / PAGE_SIZE);
	}

	private link(s: SlabPage): void {
		const head = this.partial[s.cls]!;
		s.next = head;
		s.prev = null;
		if (head) head.prev = s;
		this.partial[s.cls] = s;
		s.listed = true;
	}

	private unlink(s: SlabPage): void {
		if (s.prev) s.prev.next = s.next;
		else this.partial[s.cls] = s.next;
		if (s.next) s.next.prev = s.prev;
		s.next = null;
		s.prev = null;
		s.listed = false;
	}

	/** Address of an object of at least `size` bytes, or 0. Its bytes are whatever was there. */
	alloc(size: number, gfp: number): number {
		if (size > KMALLOC_MAX_CACHE_SIZE) {
			const order = get_order(size);
			const addr = this.src.alloc_run(order, gfp & ~__GFP_ZERO);
			if (addr === 0) return 0;
			this.large.set(this.index(addr), order);
			this.objects++;
			this.bytes += PAGE_SIZE << order;
			return addr;
		}
		const cls = CLASS_OF[(size + 7) >>> 3]!;
		let s = this.partial[cls]!;
		if (!s) {
			s = this.spare[cls]!;
			if (s) this.spare[cls] = null;
			else {
				const order = CLASS_ORDER[cls]!;
				const run = this.src.alloc_run(order, gfp & ~__GFP_ZERO);
				if (run === 0) return 0;
				s = new SlabPage(run, cls);
				const at = this.index(run);
				for (let i = 0; i < 1 << order; i++) this.by_page.set(at + i, s);
			}
			this.link(s);
		}
		const i = s.free[--s.nfree]!;
		s.used[i] = 1;
		if (s.nfree === 0) this.unlink(s);
		this.objects++;
		this.bytes += s.size;
		return s.base + i * s.size;
	}

	/** Size of the object at an address, or 0 when none starts there. */
	size_of(addr: number): number {
		const at = this.index(addr);
		const s = this.by_page.get(at);
		if (!s) {
			const order = this.large.get(at);
			return order === undefined || addr % PAGE_SIZE !== 0 ? 0 : PAGE_SIZE << order;
		}
		const i = (addr - s.base) / s.size;
		return Number.isInteger(i) && s.used[i] ? s.size : 0;
	}

	/** Start and size of the object an address lies in; null when none. */
	find(addr: number): { base: number; size: number } | null {
		const s = this.by_page.get(this.index(addr));
		if (s) {
			const i = Math.floor((addr - s.base) / s.size);
			return s.used[i] ? { base: s.base + i * s.size, size: s.size } : null;
		}
		for (const [at, order] of this.large) {
			const base = this.base + at * PAGE_SIZE;
			if (addr >= base && addr < base + (PAGE_SIZE << order)) return { base, size: PAGE_SIZE << order };
		}
		return null;
	}

	free(addr: number): void {
		const at = this.index(addr);
		const s = this.by_page.get(at);
		if (!s) {
			const order = this.large.get(at);
			if (order === undefined || addr % PAGE_SIZE !== 0)
				throw new Error(`BUG: kfree of 0x${addr_hex(addr)}, which was not allocated`);
			this.large.delete(at);
			this.objects--;
			this.bytes -= PAGE_SIZE << order;
			this.src.free_run(addr, order);
			return;
		}
		const i = (addr - s.base) / s.size;
		if (!Number.isInteger(i) || !s.used[i])
			throw new Error(
				`BUG: kfree of 0x${addr_hex(addr)}: ${Number.isInteger(i) ? "double free" : "inside an object"}`,
			);
		s.used[i] = 0;
		s.free[s.nfree++] = i;
		this.objects--;
		this.bytes -= s.size;
		if (s.nfree === s.total) {
			if (s.listed) this.unlink(s);
			if (this.spare[s.cls] === null) this.spare[s.cls] = s;
			else this.drop(s);
		} else if (!s.listed) this.link(s);
	}

	private drop(s: SlabPage): void {
		const order = CLASS_ORDER[s.cls]!;
		const at = this.index(s.base);
		for (let i = 0; i < 1 << order; i++) this.by_page.delete(at + i);
		this.src.free_run(s.base, order);
	}

	/** kmem_cache_shrink(): give back the empty slabs that are kept. */
	shrink(): void {
		for (let c = 0; c < this.spare.length; c++) {
			const s = this.spare[c]!;
			if (s) this.drop(s);
			this.spare[c] = null;
		}
	}
}

function addr_hex(va: number): string {
	return BigInt.asUintN(64, BigInt(va)).toString(16);
}

/** kmalloc() and its kin; addresses lie in the direct map. */
export class Slab {
	private readonly core: SlabCore;
	private readonly mem: KernelMemory;
	/** asked before every allocation; true makes it fail (fault injection of tests) */
	should_fail: ((size: number, gfp: number) => boolean) | null = null;

	constructor(pages: PageAllocator, mem: KernelMemory) {
		this.mem = mem;
		this.core = new SlabCore(
			{
				alloc_run: (order, gfp) => pages.__get_free_pages(gfp, order),
				free_run: (addr, order) => pages.free_pages(addr, order),
			},
			pages.direct_map,
		);
	}

	/** kmalloc(): address, or 0. A size of 0 gives 16 bytes' worth of nothing: ZERO_SIZE_PTR. */
	kmalloc(size: number, gfp: number): number {
		if (size === 0) return 16;
		if (size > KMALLOC_MAX_SIZE || this.should_fail?.(size, gfp)) return 0;
		const addr = this.core.alloc(size, gfp);
		if (addr !== 0 && gfp & __GFP_ZERO) this.mem.fill(addr, size, 0);
		return addr;
	}

	/** kzalloc() */
	kzalloc(size: number, gfp: number): number {
		return this.kmalloc(size, gfp | __GFP_ZERO);
	}

	/** kcalloc() */
	kcalloc(n: number, size: number, gfp: number): number {
		return this.kmalloc(n * size, gfp | __GFP_ZERO);
	}

	/** krealloc() */
	krealloc(p: number, size: number, gfp: number): number {
		if (p === 0 || p === 16) return this.kmalloc(size, gfp);
		const old = this.ksize(p);
		if (size === 0) {
			this.kfree(p);
			return 16;
		}
		if (size <= old) return p;
		const q = this.kmalloc(size, gfp);
		if (q === 0) return 0;
		this.mem.copy(q, p, old);
		this.kfree(p);
		return q;
	}

	/** kfree(): of an address from kmalloc(), or of 0 */
	kfree(p: number): void {
		if (p !== 0 && p !== 16) this.core.free(p);
	}

	/** ksize(): usable bytes of the object that starts at p; 0 when none does */
	ksize(p: number): number {
		return p === 16 ? 0 : this.core.size_of(p);
	}

	/** The object an address lies in, for debugging and bpf_mem_alloc's checks. */
	find_object(addr: number): { base: number; size: number } | null {
		return this.core.find(addr);
	}

	/** Objects handed out and not freed. */
	get objects(): number {
		return this.core.objects;
	}

	/** Bytes of them, rounded up to their size classes. */
	get bytes(): number {
		return this.core.bytes;
	}

	shrink(): void {
		this.core.shrink();
	}
}
