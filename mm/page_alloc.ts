// SPDX-License-Identifier: GPL-2.0-only
/**
 * mm/page_alloc.c: the buddy allocator, with counters by which a test finds a leak.
 *
 * A page is its frame number (pfn). Every page has a reference count as struct page has
 * (include/linux/page_ref.h). Memory that was never handed out is known to be zero, since the
 * host maps it so, and is not written for __GFP_ZERO.
 */
import { PAGE_SIZE, type Ram } from "../virt/ram.ts";
import { __GFP_ZERO } from "./gfp.ts";

export const MAX_PAGE_ORDER = 10;
const NIL = -1;

/** get_order(): the smallest order of pages that holds `size` bytes. */
export function get_order(size: number): number {
	let order = 0;
	for (let n = Math.ceil(size / PAGE_SIZE); n > 1; n = Math.ceil(n / 2)) order++;
	return order;
}

/** PAGE_ALIGN() */
export function PAGE_ALIGN(size: number): number {
	return Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
}

export class PageAllocator {
	readonly ram: Ram;
	/** virtual address of page 0 in the direct map */
	readonly direct_map: number;
	/** head of the free list of each order */
	private readonly heads = new Int32Array(MAX_PAGE_ORDER + 1).fill(NIL);
	private readonly next: Int32Array;
	private readonly prev: Int32Array;
	/** order + 1 of a free block at its first page, else 0 */
	private readonly free_order: Uint8Array;
	/** page was handed out once: no longer known to be zero */
	private readonly dirty: Uint8Array;
	private readonly refs: Int32Array;
	/** pages free */
	nr_free: number;
	/** blocks handed out and not yet back, by order */
	readonly blocks_in_use = new Int32Array(MAX_PAGE_ORDER + 1);
	/** asked before every allocation; true makes it fail (fault injection of tests) */
	should_fail: ((order: number, gfp: number) => boolean) | null = null;

	constructor(ram: Ram, direct_map: number) {
		this.ram = ram;
		this.direct_map = direct_map;
		const n = ram.pages;
		this.next = new Int32Array(n);
		this.prev = new Int32Array(n);
		this.free_order = new Uint8Array(n);
		this.dirty = new Uint8Array(n);
		this.refs = new Int32Array(n);
		this.nr_free = 0;
		// page 0 stays unused: a physical address of 0 is never valid
		for (let pfn = n - (1 << MAX_PAGE_ORDER); pfn > 0; pfn -= 1 << MAX_PAGE_ORDER)
			this.seed(pfn, MAX_PAGE_ORDER);
		for (let order = MAX_PAGE_ORDER - 1; order >= 0; order--) this.seed(1 << order, order);
	}

	private seed(pfn: number, order: number): void {
		this.push(pfn, order);
		this.nr_free += 1 << order;
	}

	private push(pfn: number, order: number): void {
		const head = this.heads[order]!;
		this.next[pfn] = head;
		this.prev[pfn] = NIL;
		if (head !== NIL) this.prev[head] = pfn;
		this.heads[order] = pfn;
		this.free_order[pfn] = order + 1;
	}

	private unlink(pfn: number, order: number): void {
		const n = this.next[pfn]!;
		const p = this.prev[pfn]!;
		if (p === NIL) this.heads[order] = n;
		else this.next[p] = n;
		if (n !== NIL) this.prev[n] = p;
		this.free_order[pfn] = 0;
	}

	/** Pages that are not free. */
	get in_use(): number {
		return this.ram.pages - 1 - this.nr_free;
	}

	/** alloc_pages(): first pfn of 2^order pages, or -1. Each page has one reference on its first page only. */
	alloc_pages(gfp: number, order: number): number {
		if (order > MAX_PAGE_ORDER) return NIL;
		if (this.should_fail?.(order, gfp)) return NIL;
		let o = order;
		while (o <= MAX_PAGE_ORDER && this.heads[o] === NIL) o++;
		if (o > MAX_PAGE_ORDER) return NIL;
		const pfn = this.heads[o]!;
		this.unlink(pfn, o);
		while (o > order) {
			o--;
			this.push(pfn + (1 << o), o);
		}
		const n = 1 << order;
		this.nr_free -= n;
		this.blocks_in_use[order]!++;
		this.refs[pfn] = 1;
		if (gfp & __GFP_ZERO) {
			for (let i = pfn; i < pfn + n; i++) if (this.dirty[i]) this.ram.zero(i * PAGE_SIZE, PAGE_SIZE);
		}
		this.dirty.fill(1, pfn, pfn + n);
		return pfn;
	}

	/** alloc_page() */
	alloc_page(gfp: number): number {
		return this.alloc_pages(gfp, 0);
	}

	/** __free_pages(): drop the allocation's reference; the block is freed when it was the last. */
	__free_pages(pfn: number, order: number): void {
		if (this.refs[pfn]! <= 0 || this.free_order[pfn])
			throw new Error(`BUG: bad page state: freeing free page ${pfn} order ${order}`);
		if (--this.refs[pfn]! > 0) return;
		this.release(pfn, order);
	}

	private release(pfn0: number, order0: number): void {
		let pfn = pfn0;
		let order = order0;
		this.nr_free += 1 << order;
		this.blocks_in_use[order]!--;
		while (order < MAX_PAGE_ORDER) {
			const buddy = pfn ^ (1 << order);
			if (buddy === 0 || this.free_order[buddy] !== order + 1) break;
			this.unlink(buddy, order);
			pfn &= ~(1 << order);
			order++;
			if (pfn === 0) throw new Error("BUG: page 0 was freed");
		}
		this.push(pfn, order);
	}

	/** __free_page() */
	__free_page(pfn: number): void {
		this.__free_pages(pfn, 0);
	}

	/** get_page() */
	get_page(pfn: number): void {
		if (this.refs[pfn]! <= 0) throw new Error(`BUG: get_page of free page ${pfn}`);
		this.refs[pfn]!++;
	}

	/** put_page() of an order-0 page */
	put_page(pfn: number): void {
		this.__free_pages(pfn, 0);
	}

	/** page_ref_count() */
	page_count(pfn: number): number {
		return this.refs[pfn]!;
	}

	/** page_to_virt(): address in the direct map */
	page_to_virt(pfn: number): number {
		return this.direct_map + pfn * PAGE_SIZE;
	}

	/** virt_to_page(): of a direct map address */
	virt_to_page(va: number): number {
		return Math.floor((va - this.direct_map) / PAGE_SIZE);
	}

	/** virt_addr_valid() */
	virt_addr_valid(va: number): boolean {
		const d = va - this.direct_map;
		return d >= PAGE_SIZE && d < this.ram.size;
	}

	/** __get_free_pages(): direct map address, or 0 */
	__get_free_pages(gfp: number, order: number): number {
		const pfn = this.alloc_pages(gfp, order);
		return pfn < 0 ? 0 : this.page_to_virt(pfn);
	}

	/** free_pages(): by direct map address */
	free_pages(va: number, order: number): void {
		if (va !== 0) this.__free_pages(this.virt_to_page(va), order);
	}
}
