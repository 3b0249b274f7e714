// SPDX-License-Identifier: GPL-2.0-only
/**
 * Looking into a running kernel: its memory through /proc/kcore, and the code that it makes at run time through
 * perf's ksymbol records. For a kernel in a virtual machine: the machine's own is left alone.
 */

import type { Sys } from "../../include/sys.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../include/uapi/asm-generic/mman.ts";
import { PERF_COUNT_SW_DUMMY, PERF_TYPE_SOFTWARE } from "../../include/uapi/linux/perf_event.ts";
import type { UserHeap } from "../lib/user_heap.ts";
import { SYSCALL_NR } from "./syscall_nr.ts";

/** The kernel does not let itself be looked into; the message is why. */
export class NotToBeSeen extends Error {}

const AT_FDCWD = -100;
const PAGE = 4096;
const PT_LOAD = 1;

/** A piece of the kernel's address space in /proc/kcore (a program header). */
interface Segment {
	readonly vaddr: bigint;
	readonly size: bigint;
	readonly offset: bigint;
}

/** The memory of a kernel. */
export class KernelMemory {
	private readonly sys: Sys;
	private readonly fd: number;
	private readonly buf: number;
	private readonly segments: readonly Segment[];

	/** Throws NotToBeSeen where /proc/kcore is not to be read. */
	constructor(sys: Sys, heap: UserHeap) {
		this.sys = sys;
		this.buf = heap.alloc(2 * PAGE);
		sys.store(this.buf, new TextEncoder().encode("/proc/kcore\0"));
		this.fd = sys.syscall(SYSCALL_NR[sys.arch].openat, AT_FDCWD, this.buf, 0, 0);
		if (this.fd < 0) throw new NotToBeSeen(`/proc/kcore does not open: ${this.fd}`);
		const head = this.page(0n);
		if (head?.readUInt32BE(0) !== 0x7f454c46) throw new NotToBeSeen("/proc/kcore is no ELF file");
		// Elf64_Ehdr: e_phoff, e_phentsize, e_phnum; the headers are within the first page
		const at = Number(head.readBigUInt64LE(32));
		const [each, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
		const segments: Segment[] = [];
		for (let i = 0; i < count && at + (i + 1) * each <= PAGE; i++) {
			const ph = head.subarray(at + i * each);
			if (ph.readUInt32LE(0) !== PT_LOAD) continue;
			segments.push({
				offset: ph.readBigUInt64LE(8),
				vaddr: ph.readBigUInt64LE(16),
				size: ph.readBigUInt64LE(32),
			});
		}
		this.segments = segments;
	}

	/** A page of the file; null where there is none. Offsets are whole pages: a number holds them exactly. */
	private page(offset: bigint): Buffer | null {
		const n = this.sys.syscall(SYSCALL_NR[this.sys.arch].pread64, this.fd, this.buf, PAGE, Number(offset));
		return n === PAGE ? Buffer.from(this.sys.load(this.buf, PAGE)) : null;
	}

	/** Bytes at an address; null where the kernel has nothing there that it shows. */
	read(addr: bigint, len: number): Buffer | null {
		const first = addr - (addr % BigInt(PAGE));
		const pages: Buffer[] = [];
		for (let at = first; at < addr + BigInt(len); at += BigInt(PAGE)) {
			const seg = this.segments.find((s) => at >= s.vaddr && at < s.vaddr + s.size);
			const page = seg ? this.page(seg.offset + (at - seg.vaddr)) : null;
			if (!page) return null;
			pages.push(page);
		}
		const from = Number(addr - first);
		return Buffer.concat(pages).subarray(from, from + len);
	}

	close(): void {
		this.sys.close(this.fd);
	}
}

// include/uapi/linux/perf_event.h
const ATTR_SIZE = 128;
const ATTR_KSYMBOL = 1n << 29n;
const PERF_RECORD_KSYMBOL = 17;
const PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER = 1;
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const DATA_PAGES = 16;

/** Code that the kernel has made: its name and where it is. */
export interface Ksymbol {
	readonly name: string;
	readonly addr: bigint;
}

/** What this process makes the kernel add to its symbols, as perf tells of it. */
export class KsymbolEvents {
	private readonly sys: Sys;
	private readonly fd: number;
	private readonly ring: number;
	private tail = 0n;

	/** Throws NotToBeSeen where there are no such events. */
	constructor(sys: Sys, heap: UserHeap) {
		this.sys = sys;
		const attr = heap.zalloc(ATTR_SIZE);
		sys.store32(attr, PERF_TYPE_SOFTWARE);
		sys.store32(attr + 4, ATTR_SIZE);
		sys.store64(attr + 8, BigInt(PERF_COUNT_SW_DUMMY));
		sys.store64(attr + 40, ATTR_KSYMBOL);
		this.fd = sys.perfEventOpen(attr, 0, -1, -1, 0);
		heap.free(attr);
		if (this.fd < 0) throw new NotToBeSeen(`perf tells of no symbols: ${this.fd}`);
		this.ring = sys.mmap(0, (1 + DATA_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, this.fd, 0);
		if (this.ring < 0)
			throw new NotToBeSeen(`perf tells of no symbols: its ring is not mapped: ${this.ring}`);
	}

	/** Symbols added since the last call, in order. */
	added(): Ksymbol[] {
		const { sys, ring } = this;
		const size = DATA_PAGES * PAGE;
		const head = sys.load64(ring + DATA_HEAD);
		const out: Ksymbol[] = [];
		const bytes = (at: bigint, len: number): Buffer => {
			const off = Number(at % BigInt(size));
			const first = Math.min(len, size - off);
			const parts = [sys.load(ring + PAGE + off, first)];
			if (first < len) parts.push(sys.load(ring + PAGE, len - first));
			return Buffer.concat(parts);
		};
		while (this.tail < head) {
			// struct perf_event_header; then addr, len, ksym_type, flags, name
			const header = bytes(this.tail, 8);
			const len = header.readUInt16LE(6);
			if (len < 8) break;
			const rec = bytes(this.tail, len);
			this.tail += BigInt(len);
			if (rec.readUInt32LE(0) !== PERF_RECORD_KSYMBOL || len < 32) continue;
			if (rec.readUInt16LE(22) & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER) continue;
			const name = rec.toString("latin1", 24);
			out.push({ name: name.slice(0, name.indexOf("\0")), addr: rec.readBigUInt64LE(8) });
		}
		sys.store64(ring + DATA_TAIL, head);
		return out;
	}

	close(): void {
		this.sys.munmap(this.ring, (1 + DATA_PAGES) * PAGE);
		this.sys.close(this.fd);
	}
}
