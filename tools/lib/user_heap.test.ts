// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { FakeSys } from "../upstream/fake_sys.ts";
import { UserHeap } from "./user_heap.ts";

it("blocks do not overlap, are aligned, and come back", () => {
	const heap = new UserHeap(new FakeSys());
	const sizes = [1, 16, 17, 100, 4096, 65536, 65537, 1 << 20];
	const blocks = sizes.flatMap((size) => [0, 1, 2].map(() => ({ at: heap.alloc(size), size })));
	blocks.sort((a, b) => a.at - b.at);
	for (const [i, b] of blocks.entries()) {
		expect(b.at % 16).toBe(0);
		if (i > 0) expect(b.at).toBeGreaterThanOrEqual(blocks[i - 1]!.at + blocks[i - 1]!.size);
	}
	for (const b of blocks) heap.free(b.at);
	const again = new Set(sizes.map((size) => heap.alloc(size)));
	for (const at of again) expect(blocks.some((b) => b.at === at)).toBe(true);
});

it("zalloc clears what a block held before", () => {
	const sys = new FakeSys();
	const heap = new UserHeap(sys);
	const at = heap.alloc(40);
	sys.store(at, new Uint8Array(40).fill(0xaa));
	heap.free(at);
	expect(heap.zalloc(40)).toBe(at);
	expect(sys.load(at, 40)).toEqual(new Uint8Array(40));
});

it("a scope gives back what was taken in it, also when it throws", () => {
	const sys = new FakeSys();
	const heap = new UserHeap(sys);
	let inside = 0;
	expect(
		heap.scope((s) => {
			inside = s.cstr("text");
			expect(sys.load(inside, 5)).toEqual(new TextEncoder().encode("text\0"));
			return s.u64(1n << 63n);
		}),
	).not.toBe(inside);
	expect(() =>
		heap.scope((s) => {
			s.alloc(10);
			throw new Error("out");
		}),
	).toThrow("out");
	expect([1, 2, 3].map(() => heap.alloc(5))).toContain(inside);
	expect(() => heap.free(12345)).toThrow(/no block of this heap/);
});
