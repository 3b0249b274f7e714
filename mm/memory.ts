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
	private readonly dv: DataView;
	private readonly u8: Uint8Array;
	/**
	 * The software TLB, for reading and for writing: the page address that a slot holds (NaN: none)
	 * and the page's physical address. Pages past the first 2 GiB of RAM never get in: the hot paths
	 * know one view only.
	 */
	private readonly rkey = new Float64Array(TLB_SIZE).fill(Number.NaN);
	private readonly wkey = new Float64Array(TLB_SIZE).fill(Number.NaN);
	private readonly rpa = new Int32Array(TLB_SIZE);
	private readonly wpa = new Int32Array(TLB_SIZE);
	/** Asked when the tables do not allow an access: true means mended, try again. */
	on_fault: ((va: number, write: boolean) => boolean) | null = null;

	/** `direct_map` is NaN for tables without one (a user address space). */
	constructor(ram: Ram, table: PageTable, direct_map: number, user = false) {
		this.ram = ram;
		this.table = table;
		this.direct = direct_map;
		this.size = ram.size;
		this.user = user;
		this.dv = ram.dvs[0]!;
		this.u8 = ram.u8s[0]!;
	}

	/** Forget all translations (mappings were taken away or narrowed). */
	flush(): void {
		this.rkey.fill(Number.NaN);
		this.wkey.fill(Number.NaN);
	}

	/** Forget one page's. */
	flush_page(va: number): void {
		const slot = (va >>> 12) & TLB_MASK;
		this.rkey[slot] = Number.NaN;
		this.wkey[slot] = Number.NaN;
	}

	/** Physical address of an access; fills the TLB. */
	private translate(va: number, write: boolean): number {
		const off = va & (PAGE_SIZE - 1);
		const page = va - off;
		const slot = (va >>> 12) & TLB_MASK;
		if ((write ? this.wkey : this.rkey)[slot] === page) return (write ? this.wpa : this.rpa)[slot]! + off;
		for (let tries = 0; ; tries++) {
			const d = page - this.direct;
			let pa: number;
			if (d >= 0 && d < this.size) pa = d;
			else {
				pa = this.table.walk_pa(page);
				const flags = this.table.walk_flags;
				const right = pa >= 0 && ((flags & WALK_USER) !== 0) === this.user && (!write || flags & WALK_WRITE);
				if (!right || pa + PAGE_SIZE > this.size) {
					if (tries > 2 || !this.on_fault?.(va, write))
						throw new GuestFault(va, write, pa < 0 ? "page not present" : "protection fault");
					continue;
				}
			}
			if (pa < RAM_CHUNK) {
				(write ? this.wkey : this.rkey)[slot] = page;
				(write ? this.wpa : this.rpa)[slot] = pa;
			}
			return pa + off;
		}
	}

	/** Physical address of a kernel address, or -1: does not throw. */
	virt_to_phys(va: number): number {
		const d = va - this.direct;
		if (d >= 0 && d < this.size) return d;
		return this.table.walk_pa(va);
	}

	/** A byte off the hot path. */
	private slow_r8(va: number): number {
		const pa = this.translate(va, false);
		return this.ram.u8s[(pa / RAM_CHUNK) | 0]![pa % RAM_CHUNK]!;
	}

	/** Bytes of an access that crosses a page or is not in the TLB, little-endian. */
	private slow_read(va: number, n: number): DataView {
		const out = new DataView(new ArrayBuffer(8));
		for (let i = 0; i < n; i++) out.setUint8(i, this.slow_r8(va + i));
		return out;
	}

	private slow_write(va: number, v: DataView, n: number): void {
		// look at both pages before anything is written
		if ((va & (PAGE_SIZE - 1)) + n > PAGE_SIZE) this.translate(va + n - 1, true);
		for (let i = 0; i < n; i++) {
			const pa = this.translate(va + i, true);
			this.ram.u8s[(pa / RAM_CHUNK) | 0]![pa % RAM_CHUNK] = v.getUint8(i);
		}
	}

	r8(va: number): number {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off) return this.u8[this.rpa[slot]! | off]!;
		return this.slow_r8(va);
	}

	r16(va: number): number {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off <= 4094) return this.dv.getUint16(this.rpa[slot]! | off, true);
		return this.slow_read(va, 2).getUint16(0, true);
	}

	r32(va: number): number {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off <= 4092) return this.dv.getUint32(this.rpa[slot]! | off, true);
		return this.slow_read(va, 4).getUint32(0, true);
	}

	rs32(va: number): number {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off <= 4092) return this.dv.getInt32(this.rpa[slot]! | off, true);
		return this.slow_read(va, 4).getInt32(0, true);
	}

	r64(va: number): bigint {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off <= 4088) return this.dv.getBigUint64(this.rpa[slot]! | off, true);
		return this.slow_read(va, 8).getBigUint64(0, true);
	}

	rptr(va: number): number {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off <= 4088) {
			const at = this.rpa[slot]! | off;
			return this.dv.getUint32(at, true) + this.dv.getInt32(at + 4, true) * 0x100000000;
		}
		const v = this.slow_read(va, 8);
		return v.getUint32(0, true) + v.getInt32(4, true) * 0x100000000;
	}

	w8(va: number, v: number): void {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.wkey[slot] === va - off) {
			this.u8[this.wpa[slot]! | off] = v;
			return;
		}
		const pa = this.translate(va, true);
		this.ram.u8s[(pa / RAM_CHUNK) | 0]![pa % RAM_CHUNK] = v;
	}

	w16(va: number, v: number): void {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.wkey[slot] === va - off && off <= 4094) {
			this.dv.setUint16(this.wpa[slot]! | off, v, true);
			return;
		}
		const b = new DataView(new ArrayBuffer(8));
		b.setUint16(0, v, true);
		this.slow_write(va, b, 2);
	}

	w32(va: number, v: number): void {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.wkey[slot] === va - off && off <= 4092) {
			this.dv.setUint32(this.wpa[slot]! | off, v, true);
			return;
		}
		const b = new DataView(new ArrayBuffer(8));
		b.setUint32(0, v, true);
		this.slow_write(va, b, 4);
	}

	w64(va: number, v: bigint): void {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		if (this.wkey[slot] === va - off && off <= 4088) {
			this.dv.setBigUint64(this.wpa[slot]! | off, v, true);
			return;
		}
		const b = new DataView(new ArrayBuffer(8));
		b.setBigUint64(0, v, true);
		this.slow_write(va, b, 8);
	}

	wptr(va: number, v: number): void {
		const lo = va | 0;
		const off = lo & 0xfff;
		const slot = (lo >>> 12) & TLB_MASK;
		const hi = Math.floor(v / 0x100000000);
		if (this.wkey[slot] === va - off && off <= 4088) {
			const at = this.wpa[slot]! | off;
			this.dv.setUint32(at, v, true);
			this.dv.setInt32(at + 4, hi, true);
			return;
		}
		const b = new DataView(new ArrayBuffer(8));
		b.setUint32(0, v, true);
		b.setInt32(4, hi, true);
		this.slow_write(va, b, 8);
	}

	/**
	 * The bytes at `va` themselves, not a copy, as far as they lie in one page (or in the direct
	 * map): at most `len`. Short-lived use only.
	 */
	view(va: number, len: number, write: boolean): Uint8Array {
		const pa = this.translate(va, write);
		const d = va - this.direct;
		const off = pa % RAM_CHUNK;
		const room =
			d >= 0 && d < this.size
				? Math.min(RAM_CHUNK - off, this.size - pa)
				: PAGE_SIZE - (va & (PAGE_SIZE - 1));
		return this.ram.u8s[(pa / RAM_CHUNK) | 0]!.subarray(off, off + Math.min(len, room));
	}

	read(va: number, len: number): Uint8Array {
		const off = va & (PAGE_SIZE - 1);
		const slot = (va >>> 12) & TLB_MASK;
		if (this.rkey[slot] === va - off && off + len <= PAGE_SIZE) {
			const at = this.rpa[slot]! | off;
			return this.u8.slice(at, at + len);
		}
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
		const off = va & (PAGE_SIZE - 1);
		const slot = (va >>> 12) & TLB_MASK;
		if (this.wkey[slot] === va - off && off + bytes.length <= PAGE_SIZE) {
			this.u8.set(bytes, this.wpa[slot]! | off);
			return;
		}
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
		const soff = src & (PAGE_SIZE - 1);
		const doff = dst & (PAGE_SIZE - 1);
		if (soff + len <= PAGE_SIZE && doff + len <= PAGE_SIZE) {
			const s = this.translate(src, false);
			const d = this.translate(dst, true);
			if (s < RAM_CHUNK && d < RAM_CHUNK) {
				this.u8.copyWithin(d, s, s + len);
				return;
			}
		}
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
		if (len > 0 && (va & (PAGE_SIZE - 1)) + len <= PAGE_SIZE) {
			const at = this.translate(va, true);
			if (at < RAM_CHUNK) {
				this.u8.fill(byte, at, at + len);
				return;
			}
		}
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
