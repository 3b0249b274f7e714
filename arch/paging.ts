// SPDX-License-Identifier: GPL-2.0-only
/**
 * Page tables of four levels with 4 KiB pages and 48-bit addresses, as x86-64 and arm64 both have
 * them; what the bits of an entry mean comes from the architecture's `PteFormat`.
 */
import { ENOMEM } from "../include/uapi/asm-generic/errno.ts";
import { RAM_CHUNK, type Ram } from "../virt/ram.ts";
import {
	type PageTable,
	type Prot,
	type TablePages,
	WALK_EXEC,
	WALK_LARGE,
	WALK_USER,
	WALK_WRITE,
	type Walk,
} from "./arch.ts";

/** The bits of an entry, as its two halves. */
export interface PteFormat {
	/** lower bits of an entry that points to a table */
	readonly table: number;
	/** lower and upper bits of an entry for a page, or for 2 MiB */
	leaf_lo(prot: Prot, large: boolean): number;
	leaf_hi(prot: Prot): number;
	/** an entry above the last level is a page, not a table */
	is_large(lo: number): boolean;
	/** WALK_WRITE | WALK_USER | WALK_EXEC of a page's entry */
	rights(lo: number, hi: number): number;
	/** user tables contain the kernel's half (one root for both); else each root has 48 bits of its own */
	readonly shared_root: boolean;
}

/** an entry that counts, of either architecture */
const PRESENT = 1;
const TWO32 = 0x100000000;
/** bytes that an entry of each level covers: 1 (last) to 4 (top) */
const SPAN = [0, 0x1000, 0x200000, 0x40000000, 0x8000000000];

/** index into the table of a level (4: top … 1: last) */
function index(va: number, level: number): number {
	if (level === 1) return (va >>> 12) & 511;
	if (level === 2) return (va >>> 21) & 511;
	const v = va < 0 ? va + 0x1000000000000 : va;
	return Math.floor(v / (level === 3 ? 0x40000000 : 0x8000000000)) & 511;
}

export class FourLevelTable implements PageTable {
	readonly root: number;
	private readonly ram: Ram;
	private readonly pages: TablePages;
	private readonly fmt: PteFormat;
	private readonly u0: Uint32Array;
	/** addresses that these tables translate at all */
	private readonly min: number;
	private readonly end: number;
	walk_flags = 0;
	/** table pages in use, the root included */
	nr_tables = 0;

	/** `kernel`: the tables of the kernel's half. `share`: tables whose kernel half (the upper 256 entries) the new ones get. */
	constructor(ram: Ram, pages: TablePages, fmt: PteFormat, kernel: boolean, share: FourLevelTable | null) {
		if (fmt.shared_root) {
			this.min = -(2 ** 47);
			this.end = 2 ** 47;
		} else {
			this.min = kernel ? -(2 ** 48) : 0;
			this.end = kernel ? 0 : 2 ** 48;
		}
		this.fmt = fmt;
		this.ram = ram;
		this.pages = pages;
		this.u0 = ram.u32s[0]!;
		const pfn = pages.alloc_table();
		if (pfn < 0) throw new RangeError("no memory for a page table");
		this.nr_tables = 1;
		this.root = pfn * 4096;
		if (share)
			for (let i = 256; i < 512; i++) {
				this.put(this.root + i * 8, share.get(share.root + i * 8), share.get(share.root + i * 8 + 4));
			}
	}

	private get(pa: number): number {
		return pa < RAM_CHUNK ? this.u0[pa >>> 2]! : this.ram.r32(pa);
	}

	private put(pa: number, lo: number, hi: number): void {
		if (pa < RAM_CHUNK) {
			this.u0[pa >>> 2] = lo;
			this.u0[(pa >>> 2) + 1] = hi;
		} else {
			this.ram.w32(pa, lo);
			this.ram.w32(pa + 4, hi);
		}
	}

	/** Table that entry at `pa` points to. */
	private frame(pa: number): number {
		// 48 bits of physical address: upper attributes of either architecture lie above
		return ((this.get(pa) & ~0xfff) >>> 0) + (this.get(pa + 4) & 0xffff) * TWO32;
	}

	/** Address of the entry for `va` at `level`; -1 when a table above is missing, -2 when out of memory. */
	private entry(va: number, level: number, alloc: boolean): number {
		let table = this.root;
		for (let l = 4; l > level; l--) {
			const e = table + index(va, l) * 8;
			const lo = this.get(e);
			if (!(lo & PRESENT)) {
				if (!alloc) return -1;
				const pfn = this.pages.alloc_table();
				if (pfn < 0) return -2;
				this.nr_tables++;
				const pa = pfn * 4096;
				this.put(e, (pa % TWO32) | this.fmt.table, Math.floor(pa / TWO32));
				table = pa;
				continue;
			}
			if (this.fmt.is_large(lo)) throw new Error("BUG: a large page where a table is expected");
			table = this.frame(e);
		}
		return table + index(va, level) * 8;
	}

	private set(e: number, pa: number, prot: Prot, large: boolean): void {
		this.put(
			e,
			(pa % TWO32) | this.fmt.leaf_lo(prot, large),
			Math.floor(pa / TWO32) + this.fmt.leaf_hi(prot),
		);
	}

	map(va: number, pa: number, prot: Prot): number {
		const e = this.entry(va, 1, true);
		if (e < 0) return -ENOMEM;
		this.set(e, pa, prot, false);
		return 0;
	}

	/** A page of 2 MiB; for the direct map. */
	map_large(va: number, pa: number, prot: Prot): number {
		const e = this.entry(va, 2, true);
		if (e < 0) return -ENOMEM;
		this.set(e, pa, prot, true);
		return 0;
	}

	/** Make the third-level table of an address exist, so that it can be shared. */
	populate_top(va: number): void {
		if (this.entry(va, 3, true) < 0) throw new RangeError("no memory for a page table");
	}

	unmap(va: number): number {
		const e = this.entry(va, 1, false);
		if (e < 0 || !(this.get(e) & PRESENT)) return -1;
		const pa = this.frame(e);
		this.put(e, 0, 0);
		return pa;
	}

	protect(va: number, prot: Prot): boolean {
		const e = this.entry(va, 1, false);
		if (e < 0 || !(this.get(e) & PRESENT)) return false;
		this.set(e, this.frame(e), prot, false);
		return true;
	}

	walk_pa(va: number): number {
		if (va < this.min || va >= this.end) return -1;
		let table = this.root;
		for (let l = 4; ; l--) {
			const e = table + index(va, l) * 8;
			const lo = this.get(e);
			if (!(lo & PRESENT)) return -1;
			if (l > 1 && !this.fmt.is_large(lo)) {
				table = this.frame(e);
				continue;
			}
			this.walk_flags = this.fmt.rights(lo, this.get(e + 4)) | (l > 1 ? WALK_LARGE : 0);
			// below 2 MiB the offset fits in 32-bit arithmetic
			return this.frame(e) + (l === 1 ? va & 0xfff : va & (SPAN[l]! - 1));
		}
	}

	walk(va: number): Walk | null {
		const pa = this.walk_pa(va);
		if (pa < 0) return null;
		const f = this.walk_flags;
		return {
			pa,
			size: f & WALK_LARGE ? SPAN[2]! : SPAN[1]!,
			write: (f & WALK_WRITE) !== 0,
			user: (f & WALK_USER) !== 0,
			exec: (f & WALK_EXEC) !== 0,
		};
	}

	next_mapped(va: number, end: number): number {
		let at = va;
		while (at < end) {
			let table = this.root;
			let span = 0;
			for (let l = 4; l > 1; l--) {
				const e = table + index(at, l) * 8;
				const lo = this.get(e);
				if (lo & PRESENT && this.fmt.is_large(lo)) return at;
				if (!(lo & PRESENT)) {
					span = SPAN[l]!;
					break;
				}
				table = this.frame(e);
			}
			if (span) {
				at = (Math.floor(at / span) + 1) * span;
				continue;
			}
			for (let i = index(at, 1); i < 512 && at < end; i++, at += 4096)
				if (this.get(table + i * 8) & PRESENT) return at;
		}
		return end;
	}

	destroy(): void {
		const drop = (table: number, level: number, entries: number): void => {
			if (level > 1)
				for (let i = 0; i < entries; i++) {
					const e = table + i * 8;
					const lo = this.get(e);
					if (lo & PRESENT && !this.fmt.is_large(lo)) drop(this.frame(e), level - 1, 512);
				}
			this.pages.free_table(table / 4096);
			this.nr_tables--;
		};
		drop(this.root, 4, this.fmt.shared_root ? 256 : 512);
	}
}
