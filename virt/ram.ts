// SPDX-License-Identifier: GPL-2.0-only
/**
 * The RAM of an emulated machine: one anonymous mapping that the engines and TypeScript share
 * without a copy. It is cut into views of 2 GiB because a typed array on Node 20 ends at 4 GiB.
 */
import koffi from "koffi";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
/** Size of one view. */
export const RAM_CHUNK = 0x80000000;

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MADV_DONTNEED = 4;

function libc() {
	const lib = koffi.load("libc.so.6");
	return {
		mmap: lib.func("uint64_t mmap(uint64_t a, uint64_t n, int prot, int flags, int fd, int64_t off)"),
		madvise: lib.func("int madvise(uint64_t a, uint64_t n, int advice)"),
	};
}

/** Host memory from mmap(2) that takes no space until touched: its address and an ArrayBuffer over (the first 2 GiB of) it. */
export function host_map(size: number): { ptr: bigint; buffer: ArrayBuffer; release(): void } {
	const { mmap, madvise } = libc();
	const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	const ptr = BigInt.asUintN(64, BigInt(mmap(0n, BigInt(size), PROT_READ | PROT_WRITE, flags, -1, 0n)));
	if (ptr === 0xffffffffffffffffn) throw new Error(`mmap of ${size} bytes failed`);
	const buffer = koffi.view(ptr, Math.min(size, RAM_CHUNK));
	return { ptr, buffer, release: () => void madvise(ptr, BigInt(size), MADV_DONTNEED) };
}

/** Guest RAM, physical addresses 0 to size. */
export class Ram {
	readonly size: number;
	readonly pages: number;
	/** host address */
	readonly ptr: bigint;
	/** views, one for each 2 GiB */
	readonly u8s: readonly Uint8Array[];
	readonly u32s: readonly Uint32Array[];
	readonly dvs: readonly DataView[];
	private closer: (() => void) | null;

	constructor(size: number) {
		if (size % (2 << 20) !== 0 || size <= 0) throw new Error(`RAM size ${size} is not a multiple of 2 MiB`);
		this.size = size;
		this.pages = size / PAGE_SIZE;
		const m = host_map(size);
		this.ptr = m.ptr;
		this.closer = m.release;
		const u8s: Uint8Array[] = [];
		const u32s: Uint32Array[] = [];
		const dvs: DataView[] = [];
		for (let off = 0; off < size; off += RAM_CHUNK) {
			const len = Math.min(RAM_CHUNK, size - off);
			const ab = off === 0 ? m.buffer : koffi.view(m.ptr + BigInt(off), len);
			u8s.push(new Uint8Array(ab));
			u32s.push(new Uint32Array(ab));
			dvs.push(new DataView(ab));
		}
		this.u8s = u8s;
		this.u32s = u32s;
		this.dvs = dvs;
	}

	/** Bytes of one page as a view. */
	page(pfn: number): Uint8Array {
		const pa = pfn * PAGE_SIZE;
		const off = pa % RAM_CHUNK;
		return this.u8s[(pa / RAM_CHUNK) | 0]!.subarray(off, off + PAGE_SIZE);
	}

	r32(pa: number): number {
		return this.u32s[(pa / RAM_CHUNK) | 0]![(pa % RAM_CHUNK) >>> 2]!;
	}

	w32(pa: number, v: number): void {
		this.u32s[(pa / RAM_CHUNK) | 0]![(pa % RAM_CHUNK) >>> 2] = v;
	}

	/** Zero whole bytes of physical memory; must not cross a view. */
	zero(pa: number, len: number): void {
		const off = pa % RAM_CHUNK;
		this.u8s[(pa / RAM_CHUNK) | 0]!.fill(0, off, off + len);
	}

	/**
	 * Give the memory back to the host. The addresses stay mapped and read as zero, so that a view
	 * somebody still holds cannot end the process.
	 */
	close(): void {
		this.closer?.();
		this.closer = null;
	}
}
