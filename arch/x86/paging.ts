// SPDX-License-Identifier: GPL-2.0-only
/**
 * Four-level page tables (Intel SDM volume 3, 4.5; arch/x86/include/asm/pgtable_types.h):
 *
 *     63 NX | 51:12 frame | 8 global | 7 large page | 6 dirty | 5 accessed | 2 user | 1 write | 0 present
 *
 * Accessed and dirty are set from the start, so that the CPU has nothing to write.
 */
import { ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { RAM_CHUNK, type Ram } from "../../virt/ram.ts";
import {
	type PageTable,
	type Prot,
	type TablePages,
	WALK_EXEC,
	WALK_LARGE,
	WALK_USER,
	WALK_WRITE,
	type Walk,
} from "../arch.ts";

const PRESENT = 1;
const RW = 2;
const USER = 4;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const LARGE = 0x80;
/** NX, in the upper half of an entry */
const NX_HI = 0x80000000;
const TABLE = PRESENT | RW | USER | ACCESSED | DIRTY;
const TWO32 = 0x100000000;
/** bytes that an entry of each level covers: 1 (page table) to 4 (PGD) */
const SPAN = [0, 0x1000, 0x200000, 0x40000000, 0x8000000000];

/** index into the table of a level (4: PGD … 1: page table) */
function index(va: number, level: number): number {
	if (level === 1) return (va >>> 12) & 511;
	if (level === 2) return (va >>> 21) & 511;
	const v = va < 0 ? va + 0x1000000000000 : va;
	return Math.floor(v / (level === 3 ? 0x40000000 : 0x8000000000)) & 511;
}

function leaf_bits(prot: Prot): number {
	return PRESENT | ACCESSED | DIRTY | (prot.write ? RW : 0) | (prot.user ? USER : 0);
}

export class X86PageTable implements PageTable {
	readonly root: number;
	private readonly ram: Ram;
	private readonly pages: TablePages;
	private readonly u0: Uint32Array;
	walk_flags = 0;
	/** table pages in use, the root included */
	nr_tables = 0;

	/** `share`: tables whose kernel half (the upper 256 entries) the new ones get. */
	constructor(ram: Ram, pages: TablePages, share: X86PageTable | null) {
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
		return ((this.get(pa) & ~0xfff) >>> 0) + (this.get(pa + 4) & 0xfffff) * TWO32;
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
				this.put(e, (pa % TWO32) | TABLE, Math.floor(pa / TWO32));
				table = pa;
				continue;
			}
			if (lo & LARGE) throw new Error("BUG: a large page where a table is expected");
			table = this.frame(e);
		}
		return table + index(va, level) * 8;
	}

	private set(e: number, pa: number, prot: Prot, more: number): void {
		this.put(e, (pa % TWO32) | leaf_bits(prot) | more, Math.floor(pa / TWO32) + (prot.exec ? 0 : NX_HI));
	}

	map(va: number, pa: number, prot: Prot): number {
		const e = this.entry(va, 1, true);
		if (e < 0) return -ENOMEM;
		this.set(e, pa, prot, 0);
		return 0;
	}

	/** A page of 2 MiB; for the direct map. */
	map_large(va: number, pa: number, prot: Prot): number {
		const e = this.entry(va, 2, true);
		if (e < 0) return -ENOMEM;
		this.set(e, pa, prot, LARGE);
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
		this.set(e, this.frame(e), prot, 0);
		return true;
	}

	walk_pa(va: number): number {
		let table = this.root;
		for (let l = 4; ; l--) {
			const e = table + index(va, l) * 8;
			const lo = this.get(e);
			if (!(lo & PRESENT)) return -1;
			if (l > 1 && !(lo & LARGE)) {
				table = this.frame(e);
				continue;
			}
			this.walk_flags =
				(lo & RW ? WALK_WRITE : 0) |
				(lo & USER ? WALK_USER : 0) |
				(this.get(e + 4) & NX_HI ? 0 : WALK_EXEC) |
				(l > 1 ? WALK_LARGE : 0);
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
				if (lo & PRESENT && lo & LARGE) return at;
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
					if (lo & PRESENT && !(lo & LARGE)) drop(this.frame(e), level - 1, 512);
				}
			this.pages.free_table(table / 4096);
			this.nr_tables--;
		};
		drop(this.root, 4, 256);
	}
}
