// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel's text and data as machine code sees them. A function that TypeScript implements is
 * a stub of 16 bytes that begins with an instruction that stops the CPU (x86: hlt, arm64: wfi).
 * Its address is the function's address; the run loop (cpu.ts) takes the stop as the call. Real
 * code (thunks, trampolines) stands further up.
 *
 * Keystone assembles these few instructions at set-up (stubs.ts); the JITs have encoders of their own.
 */
import { PAGE_SIZE, type Ram } from "../virt/ram.ts";
import {
	type CallHandler,
	type KernelText,
	type PageTable,
	PROT_KERNEL,
	PROT_KERNEL_ROX,
	type TablePages,
} from "./arch.ts";

const STUB_SIZE = 16;
/** room for stubs at the start of the text */
export const STUB_BYTES = 0x200000;

/** Where text and data lie, and the architecture's instructions for them. */
export interface TextLayout {
	readonly start: number;
	/** end of text, start of data */
	readonly data: number;
	readonly data_end: number;
	/** the instruction that stops the CPU */
	readonly stop: readonly number[];
	/** What stands before it where a function may be traced: the place that tracing patches. */
	readonly hook: readonly number[];
	/** an instruction that traps, to fill with */
	readonly fill: readonly number[];
}

interface Symbol {
	name: string;
	addr: number;
	size: number;
}

function hex(va: number): string {
	return `0x${BigInt.asUintN(64, BigInt(va)).toString(16)}`;
}

export class StubText implements KernelText {
	private readonly ram: Ram;
	private readonly table: PageTable;
	private readonly pages: TablePages;
	private readonly names = new Map<string, Symbol>();
	/** in order of address once `sorted` */
	private list: Symbol[] = [];
	private sorted = true;
	/** by stub number: (address - start of text) / 16 */
	readonly handlers: (CallHandler | null)[] = [];
	/** offset in each stub of the instruction that stops */
	readonly stop_at: number[] = [];
	private readonly where: TextLayout;
	private next_code: number;
	private next_data: number;
	/** pages of text and data; they stay */
	nr_pages = 0;
	/** code was written where code may have run before */
	on_write: ((start: number, end: number) => void) | null = null;

	constructor(ram: Ram, table: PageTable, pages: TablePages, where: TextLayout) {
		this.where = where;
		this.next_code = where.start + STUB_BYTES;
		this.next_data = where.data;
		this.ram = ram;
		this.table = table;
		this.pages = pages;
	}

	/** Bytes at a text or data address, mapping its page first if need be; within one page. */
	private bytes(va: number, len: number, exec: boolean): Uint8Array {
		const page = Math.floor(va / PAGE_SIZE) * PAGE_SIZE;
		let pa = this.table.walk_pa(page);
		if (pa < 0) {
			const pfn = this.pages.alloc_table();
			if (pfn < 0) throw new RangeError("no memory for kernel text");
			pa = pfn * PAGE_SIZE;
			if (this.table.map(page, pa, exec ? PROT_KERNEL_ROX : PROT_KERNEL)) throw new RangeError("no memory");
			if (exec) {
				const bytes = this.ram.page(pfn);
				for (let i = 0; i < PAGE_SIZE; i++) bytes[i] = this.where.fill[i % this.where.fill.length]!;
			}
			this.nr_pages++;
		}
		const off = va - page;
		return this.ram.page(pa / PAGE_SIZE).subarray(off, off + len);
	}

	private put(va: number, code: Uint8Array): void {
		for (let at = 0; at < code.length; ) {
			const n = Math.min(code.length - at, PAGE_SIZE - ((va + at) & (PAGE_SIZE - 1)));
			this.bytes(va + at, n, true).set(code.subarray(at, at + n));
			at += n;
		}
		this.on_write?.(va, va + code.length);
	}

	add(name: string, addr: number, size: number): void {
		const s = { name, addr, size };
		this.names.set(name, s);
		this.list.push(s);
		this.sorted = false;
	}

	remove(addr: number): void {
		this.sort();
		const i = this.find(addr);
		if (i < 0 || this.list[i]!.addr !== addr) return;
		const [s] = this.list.splice(i, 1);
		if (this.names.get(s!.name) === s) this.names.delete(s!.name);
	}

	private sort(): void {
		if (this.sorted) return;
		this.list.sort((a, b) => a.addr - b.addr);
		this.sorted = true;
	}

	/** Index of the last symbol at or below an address. */
	private find(addr: number): number {
		let lo = 0;
		let hi = this.list.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.list[mid]!.addr <= addr) lo = mid + 1;
			else hi = mid;
		}
		return lo - 1;
	}

	addr(name: string): bigint | undefined {
		const s = this.names.get(name);
		return s ? BigInt.asUintN(64, BigInt(s.addr)) : undefined;
	}

	va(name: string): number {
		const s = this.names.get(name);
		if (!s) throw new Error(`no kernel symbol ${name}`);
		return s.addr;
	}

	lookup(addr: bigint): { name: string; offset: bigint } | undefined {
		this.sort();
		const va = Number(BigInt.asIntN(64, addr));
		const s = this.list[this.find(va)];
		if (!s || va >= s.addr + Math.max(s.size, 1)) return undefined;
		return { name: s.name, offset: BigInt(va - s.addr) };
	}

	define(name: string, handler?: CallHandler): number {
		const had = this.names.get(name);
		if (had) {
			const n = (had.addr - this.where.start) / STUB_SIZE;
			if (n < 0 || n >= this.handlers.length) throw new Error(`${name} is no stub`);
			if (handler) this.handlers[n] = handler;
			return had.addr;
		}
		const n = this.handlers.length;
		const va = this.where.start + n * STUB_SIZE;
		if (va >= this.where.start + STUB_BYTES) throw new RangeError("kernel text is full of stubs");
		this.bytes(va, STUB_SIZE, true).set(this.where.stop);
		this.handlers.push(handler ?? null);
		this.stop_at.push(0);
		this.add(name, va, STUB_SIZE);
		return va;
	}

	make_traceable(name: string): number {
		const va = this.define(name);
		const bytes = this.bytes(va, STUB_SIZE, true);
		const { hook, stop } = this.where;
		if (hook.length === 0 || stop.some((b, i) => bytes[i] !== b)) return va;
		bytes.set(hook);
		bytes.set(stop, hook.length);
		this.stop_at[(va - this.where.start) / STUB_SIZE] = hook.length;
		this.on_write?.(va, va + STUB_SIZE);
		return va;
	}

	define_code(name: string, code: Uint8Array): number {
		if (this.names.has(name)) throw new Error(`symbol ${name} is there already`);
		const va = Math.ceil(this.next_code / STUB_SIZE) * STUB_SIZE;
		if (va + code.length > this.where.data) throw new RangeError("kernel text is full");
		this.next_code = va + code.length;
		this.put(va, code);
		this.add(name, va, code.length);
		return va;
	}

	define_data(name: string, size: number, align = 8): number {
		const had = this.names.get(name);
		if (had) return had.addr;
		const va = Math.ceil(this.next_data / align) * align;
		if (va + size > this.where.data_end) throw new RangeError("kernel data is full");
		this.next_data = va + size;
		for (let page = Math.floor(va / PAGE_SIZE) * PAGE_SIZE; page < va + size; page += PAGE_SIZE)
			this.bytes(page, 1, false);
		this.add(name, va, size);
		return va;
	}

	/** Overwrite code that define_code() placed (text_poke): the CPUs see the new code. */
	patch(va: number, code: Uint8Array): void {
		if (va < this.where.start || va + code.length > this.where.data)
			throw new Error(`${hex(va)} is not kernel text`);
		this.put(va, code);
	}

	entries(): { name: string; addr: number; size: number }[] {
		this.sort();
		return this.list.map((s) => ({ ...s }));
	}
}
