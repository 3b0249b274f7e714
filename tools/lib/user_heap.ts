// SPDX-License-Identifier: GPL-2.0-only
/**
 * Memory of a process for what it hands to system calls: attributes, keys, instructions, logs.
 *
 * Small blocks come in power-of-two classes from chunks that were mapped once; large ones are
 * mappings of their own, kept for the next user of the same size. What `alloc` returns is not
 * cleared; `zalloc` is.
 */
import type { Sys } from "../../include/sys.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../../include/uapi/asm-generic/mman.ts";

const CHUNK = 1 << 20;
const MIN_SHIFT = 4;
const MAX_SHIFT = 16;

/** The process could not get memory: mmap(2) failed with this errno. */
export class OutOfUserMemory extends Error {
	readonly errno: number;
	constructor(errno: number) {
		super(`mmap of user memory failed: ${errno}`);
		this.name = "OutOfUserMemory";
		this.errno = errno;
	}
}

/** Hands out blocks within one call and takes all of them back at its end. */
export class HeapScope {
	readonly heap: UserHeap;
	private readonly blocks: number[] = [];
	constructor(heap: UserHeap) {
		this.heap = heap;
	}
	alloc(size: number): number {
		const addr = this.heap.alloc(size);
		this.blocks.push(addr);
		return addr;
	}
	zalloc(size: number): number {
		const addr = this.heap.zalloc(size);
		this.blocks.push(addr);
		return addr;
	}
	/** A copy of bytes in the process. */
	bytes(data: Uint8Array): number {
		const addr = this.alloc(Math.max(data.length, 1));
		if (data.length > 0) this.heap.sys.store(addr, data);
		return addr;
	}
	/** A NUL-terminated string in the process. */
	cstr(text: string): number {
		return this.bytes(new TextEncoder().encode(`${text}\0`));
	}
	u32(value: number): number {
		const addr = this.alloc(4);
		this.heap.sys.store32(addr, value >>> 0);
		return addr;
	}
	u64(value: bigint): number {
		const addr = this.alloc(8);
		this.heap.sys.store64(addr, BigInt.asUintN(64, value));
		return addr;
	}
	release(): void {
		for (const addr of this.blocks) this.heap.free(addr);
		this.blocks.length = 0;
	}
}

/** malloc(3) of one process. */
export class UserHeap {
	readonly sys: Sys;
	private readonly free_lists: number[][] = [];
	private readonly sizes = new Map<number, number>();
	private readonly large_free = new Map<number, number[]>();
	private chunk = 0;
	private chunk_left = 0;

	constructor(sys: Sys) {
		this.sys = sys;
		for (let i = 0; i <= MAX_SHIFT; i++) this.free_lists.push([]);
	}

	private map(len: number): number {
		const addr = this.sys.mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (addr < 0) throw new OutOfUserMemory(addr);
		return addr;
	}

	/** A block of at least `size` bytes, aligned to 16 (large ones to a page); contents undefined. */
	alloc(size: number): number {
		if (size > 1 << MAX_SHIFT) {
			const page = this.sys.pageSize;
			const len = Math.ceil(size / page) * page;
			const addr = this.large_free.get(len)?.pop() ?? this.map(len);
			this.sizes.set(addr, -len);
			return addr;
		}
		let shift = MIN_SHIFT;
		while (1 << shift < size) shift++;
		let addr = this.free_lists[shift]!.pop();
		if (addr === undefined) {
			const len = 1 << shift;
			if (this.chunk_left < len) {
				this.chunk = this.map(CHUNK);
				this.chunk_left = CHUNK;
			}
			addr = this.chunk;
			this.chunk += len;
			this.chunk_left -= len;
		}
		this.sizes.set(addr, shift);
		return addr;
	}

	/** Like alloc(), all zero bytes. */
	zalloc(size: number): number {
		const addr = this.alloc(size);
		this.sys.store(addr, new Uint8Array(size));
		return addr;
	}

	/** Takes a block back; an address that alloc() did not give is an error of the caller. */
	free(addr: number): void {
		const size = this.sizes.get(addr);
		if (size === undefined) throw new Error(`free of 0x${addr.toString(16)}, which is no block of this heap`);
		this.sizes.delete(addr);
		if (size < 0) {
			const list = this.large_free.get(-size);
			if (list) list.push(addr);
			else this.large_free.set(-size, [addr]);
		} else {
			this.free_lists[size]!.push(addr);
		}
	}

	/** Runs `fn` with blocks that live until it returns. */
	scope<T>(fn: (s: HeapScope) => T): T {
		const s = new HeapScope(this);
		try {
			return fn(s);
		} finally {
			s.release();
		}
	}
}
