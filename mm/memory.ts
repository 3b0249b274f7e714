// SPDX-License-Identifier: GPL-2.0-only
/**
 * Kernel code's loads and stores by virtual address: `GuestMemory` over the guest's RAM, with the
 * direct map computed and everything else looked up in the page tables through a software TLB.
 */
import type { PageTable } from "../arch/arch.ts";
import { WALK_USER, WALK_WRITE } from "../arch/arch.ts";
import { PAGE_SIZE, RAM_CHUNK, type Ram } from "../virt/ram.ts";
import { GuestFault, type GuestMemory } from "./guest_memory.ts";

const TLB_SIZE = 4096;
const TLB_MASK = TLB_SIZE - 1;

/**
 * Loads and stores through one set of page tables. `user` picks whose rights count: the kernel's
 * (user pages are out of reach, as SMAP has it) or the user's.
 */
export class KernelMemory implements GuestMemory {
	private readonly ram: Ram;
	private readonly table: PageTable;
	private readonly direct: number;
	private readonly size: number;
	private readonly user: boolean;
	private readonly dv0: DataView;
	private readonly u80: Uint8Array;
	/** page address whose translation a slot holds (NaN: none), for reading and for writing */
	private readonly rkey = new Float64Array(TLB_SIZE).fill(Number.NaN);
	private readonly wkey = new Float64Array(TLB_SIZE).fill(Number.NaN);
	private readonly rpa = new Float64Array(TLB_SIZE);
	private readonly wpa = new Float64Array(TLB_SIZE);
	/** Asked when the tables do not allow an access: true means mended, try again. */
	on_fault: ((va: number, write: boolean) => boolean) | null = null;

	/** `direct_map` is NaN for tables without one (a user address space). */
	constructor(ram: Ram, table: PageTable, direct_map: number, user = false) {
		this.ram = ram;
		this.table = table;
		this.direct = direct_map;
		this.size = ram.size;
		this.user = user;
		this.dv0 = ram.dvs[0]!;
		this.u80 = ram.u8s[0]!;
	}

	/** Forget all translations (mappings were taken away or narrowed). */
	flush(): void {
		this.rkey.fill(Number.NaN);
		this.wkey.fill(Number.NaN);
	}

	/** Forget one page's. */
	flush_page(va: number): void {
		const slot = (va / PAGE_SIZE) & TLB_MASK;
		this.rkey[slot] = Number.NaN;
		this.wkey[slot] = Number.NaN;
	}

	/** Physical address for reading. */
	private rd(va: number): number {
		const d = va - this.direct;
		if (d >= 0 && d < this.size) return d;
		const off = va & (PAGE_SIZE - 1);
		const page = va - off;
		const slot = (page / PAGE_SIZE) & TLB_MASK;
		if (this.rkey[slot] === page) return this.rpa[slot]! + off;
		return this.miss(va, page, off, slot, false);
	}

	/** Physical address for writing. */
	private wr(va: number): number {
		const d = va - this.direct;
		if (d >= 0 && d < this.size) return d;
		const off = va & (PAGE_SIZE - 1);
		const page = va - off;
		const slot = (page / PAGE_SIZE) & TLB_MASK;
		if (this.wkey[slot] === page) return this.wpa[slot]! + off;
		return this.miss(va, page, off, slot, true);
	}

	private miss(va: number, page: number, off: number, slot: number, write: boolean): number {
		for (let tries = 0; ; tries++) {
			const pa = this.table.walk_pa(page);
			const flags = this.table.walk_flags;
			const right = pa >= 0 && ((flags & WALK_USER) !== 0) === this.user && (!write || flags & WALK_WRITE);
			if (right && pa + PAGE_SIZE <= this.size) {
				(write ? this.wkey : this.rkey)[slot] = page;
				(write ? this.wpa : this.rpa)[slot] = pa;
				return pa + off;
			}
			if (tries > 2 || !this.on_fault?.(va, write))
				throw new GuestFault(va, write, pa < 0 ? "page not present" : "protection fault");
		}
	}

	/** Physical address of a kernel address, or -1: does not throw. */
	virt_to_phys(va: number): number {
		const d = va - this.direct;
		if (d >= 0 && d < this.size) return d;
		return this.table.walk_pa(va);
	}

	r8(va: number): number {
		const pa = this.rd(va);
		return pa < RAM_CHUNK ? this.u80[pa]! : this.ram.u8s[(pa / RAM_CHUNK) | 0]![pa % RAM_CHUNK]!;
	}

	r16(va: number): number {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 2) return this.r8(va) | (this.r8(va + 1) << 8);
		const pa = this.rd(va);
		if (pa < RAM_CHUNK) return this.dv0.getUint16(pa, true);
		return this.ram.dvs[(pa / RAM_CHUNK) | 0]!.getUint16(pa % RAM_CHUNK, true);
	}

	r32(va: number): number {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 4) return (this.r16(va) | (this.r16(va + 2) << 16)) >>> 0;
		const pa = this.rd(va);
		if (pa < RAM_CHUNK) return this.dv0.getUint32(pa, true);
		return this.ram.dvs[(pa / RAM_CHUNK) | 0]!.getUint32(pa % RAM_CHUNK, true);
	}

	rs32(va: number): number {
		return this.r32(va) | 0;
	}

	r64(va: number): bigint {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 8)
			return BigInt(this.r32(va)) | (BigInt(this.r32(va + 4)) << 32n);
		const pa = this.rd(va);
		if (pa < RAM_CHUNK) return this.dv0.getBigUint64(pa, true);
		return this.ram.dvs[(pa / RAM_CHUNK) | 0]!.getBigUint64(pa % RAM_CHUNK, true);
	}

	rptr(va: number): number {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 8) return this.r32(va) + this.rs32(va + 4) * 0x100000000;
		const pa = this.rd(va);
		if (pa < RAM_CHUNK) return this.dv0.getUint32(pa, true) + this.dv0.getInt32(pa + 4, true) * 0x100000000;
		const dv = this.ram.dvs[(pa / RAM_CHUNK) | 0]!;
		return dv.getUint32(pa % RAM_CHUNK, true) + dv.getInt32((pa + 4) % RAM_CHUNK, true) * 0x100000000;
	}

	w8(va: number, v: number): void {
		const pa = this.wr(va);
		if (pa < RAM_CHUNK) this.u80[pa] = v;
		else this.ram.u8s[(pa / RAM_CHUNK) | 0]![pa % RAM_CHUNK] = v;
	}

	w16(va: number, v: number): void {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 2) {
			// look at both pages before anything is written
			this.wr(va + 1);
			this.w8(va, v & 255);
			this.w8(va + 1, (v >> 8) & 255);
			return;
		}
		const pa = this.wr(va);
		if (pa < RAM_CHUNK) this.dv0.setUint16(pa, v, true);
		else this.ram.dvs[(pa / RAM_CHUNK) | 0]!.setUint16(pa % RAM_CHUNK, v, true);
	}

	w32(va: number, v: number): void {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 4) {
			this.wr(va + 3);
			this.w16(va, v & 0xffff);
			this.w16(va + 2, v >>> 16);
			return;
		}
		const pa = this.wr(va);
		if (pa < RAM_CHUNK) this.dv0.setUint32(pa, v, true);
		else this.ram.dvs[(pa / RAM_CHUNK) | 0]!.setUint32(pa % RAM_CHUNK, v, true);
	}

	w64(va: number, v: bigint): void {
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 8) {
			this.wr(va + 7);
			this.w32(va, Number(v & 0xffffffffn));
			this.w32(va + 4, Number((v >> 32n) & 0xffffffffn));
			return;
		}
		const pa = this.wr(va);
		if (pa < RAM_CHUNK) this.dv0.setBigUint64(pa, v, true);
		else this.ram.dvs[(pa / RAM_CHUNK) | 0]!.setBigUint64(pa % RAM_CHUNK, v, true);
	}

	wptr(va: number, v: number): void {
		const hi = Math.floor(v / 0x100000000);
		if ((va & (PAGE_SIZE - 1)) > PAGE_SIZE - 8) {
			this.wr(va + 7);
			this.w32(va, v >>> 0);
			this.w32(va + 4, hi);
			return;
		}
		const pa = this.wr(va);
		const dv = pa < RAM_CHUNK ? this.dv0 : this.ram.dvs[(pa / RAM_CHUNK) | 0]!;
		dv.setUint32(pa % RAM_CHUNK, v >>> 0, true);
		dv.setInt32((pa % RAM_CHUNK) + 4, hi, true);
	}

	/**
	 * The bytes at `va` themselves, not a copy, as far as they lie in one page (or in the direct
	 * map): at most `len`. Short-lived use only.
	 */
	view(va: number, len: number, write: boolean): Uint8Array {
		const pa = write ? this.wr(va) : this.rd(va);
		const d = va - this.direct;
		const off = pa % RAM_CHUNK;
		const room = d >= 0 && d < this.size ? RAM_CHUNK - off : PAGE_SIZE - (va & (PAGE_SIZE - 1));
		return this.ram.u8s[(pa / RAM_CHUNK) | 0]!.subarray(off, off + Math.min(len, room));
	}

	read(va: number, len: number): Uint8Array {
		const out = new Uint8Array(len);
		for (let at = 0; at < len; ) {
			const v = this.view(va + at, len - at, false);
			out.set(v, at);
			at += v.length;
			if (v.length === 0) throw new GuestFault(va + at, false);
		}
		return out;
	}

	write(va: number, bytes: Uint8Array): void {
		for (let at = 0; at < bytes.length; ) {
			const v = this.view(va + at, bytes.length - at, true);
			if (v.length === 0) throw new GuestFault(va + at, true);
			v.set(at === 0 && v.length === bytes.length ? bytes : bytes.subarray(at, at + v.length));
			at += v.length;
		}
	}

	/** memmove(): overlapping ranges come out right. */
	copy(dst: number, src: number, len: number): void {
		if (len <= 0) return;
		if (dst > src && dst < src + len) {
			this.write(dst, this.read(src, len));
			return;
		}
		for (let at = 0; at < len; ) {
			const s = this.view(src + at, len - at, false);
			const d = this.view(dst + at, s.length, true);
			if (d.length === 0) throw new GuestFault(dst + at, true);
			d.set(s.length === d.length ? s : s.subarray(0, d.length));
			at += d.length;
		}
	}

	fill(va: number, len: number, byte: number): void {
		for (let at = 0; at < len; ) {
			const v = this.view(va + at, len - at, true);
			if (v.length === 0) throw new GuestFault(va + at, true);
			v.fill(byte);
			at += v.length;
		}
	}

	compare(a: number, b: number, len: number): number {
		let at = 0;
		for (; at + 4 <= len; at += 4) if (this.r32(a + at) !== this.r32(b + at)) break;
		for (; at < len; at++) {
			const d = this.r8(a + at) - this.r8(b + at);
			if (d !== 0) return d;
		}
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

	/** strnlen() */
	strnlen(va: number, max: number): number {
		let n = 0;
		while (n < max && this.r8(va + n) !== 0) n++;
		return n;
	}

	/** Like copy_from_kernel_nofault(): the bytes, or null when any is out of reach. */
	read_nofault(va: number, len: number): Uint8Array | null {
		try {
			return this.read(va, len);
		} catch (e) {
			if (e instanceof GuestFault) return null;
			throw e;
		}
	}
}
