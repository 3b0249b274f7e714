// SPDX-License-Identifier: GPL-2.0-only
/** Maps through bpf(2) against simple models, on plain memory and on the machine's. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as E from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { jhash, jhash2 } from "../../lib/jhash.ts";
import { Random } from "../random.ts";
import { booted, le32, le64, Process } from "../testing.ts";

const bytes = (s: string): Uint8Array => new TextEncoder().encode(s);
const word = (b: Uint8Array | number): number =>
	typeof b === "number" ? b : new DataView(b.buffer).getUint32(0, true);

describe("jhash", () => {
	it("is Bob Jenkins's lookup3", () => {
		const text = bytes("Four score and seven years ago");
		// the kernel adds the length to the initial value, as hashlittle() does
		expect(jhash(new Uint8Array(0), 0)).toBe(0xdeadbeef);
		expect(jhash(new Uint8Array(0), 0xdeadbeef)).toBe(0xbd5b7dde);
		expect(jhash(text, 0)).toBe(0x17770551);
		expect(jhash(text, 1)).toBe(0xcd628161);
	});
	it("agrees with itself over words", () => {
		const rnd = new Random(3);
		for (let n = 1; n < 12; n++) {
			const key = le32(...Array.from({ length: n }, () => rnd.u32()));
			expect(jhash2(key, 7)).toBe(jhash(key, 7));
		}
	});
});

describe.each([
	["x86_64", "none"],
	["x86_64", "unicorn"],
	["arm64", "unicorn"],
] as const)("maps, %s, CPU %s", (arch, cpu) => {
	let p: Process;
	let left: () => string[];
	beforeEach(() => {
		const k = booted({ arch, cpu });
		left = k.left;
		p = new Process(k.kernel);
	});
	afterEach(() => {
		p.end();
		expect(left()).toEqual([]);
	});

	it.each([
		["prealloc", 0],
		["no prealloc", U.BPF_F_NO_PREALLOC],
	] as const)("a hash table (%s) does what a Map does", (_name, flags) => {
		const MAX = 50;
		const fd = p.map(U.BPF_MAP_TYPE_HASH, 8, 8, MAX, flags);
		const model = new Map<number, bigint>();
		const rnd = new Random(11);
		for (let i = 0; i < 3000; i++) {
			const k = rnd.u32() % 80;
			const key = le32(k, 0x55);
			switch (rnd.u32() % 4) {
				case 0:
				case 1: {
					const how = rnd.u32() % 3;
					const v = rnd.u64();
					const has = model.has(k);
					const ret = p.update(fd, key, le64(v), BigInt(how));
					if (how === U.BPF_NOEXIST && has) expect(ret).toBe(-E.EEXIST);
					else if (how === U.BPF_EXIST && !has) expect(ret).toBe(-E.ENOENT);
					else if (!has && model.size === MAX) expect(ret).toBe(-E.E2BIG);
					else {
						expect(ret).toBe(0);
						model.set(k, v);
					}
					break;
				}
				case 2: {
					const got = p.lookup(fd, key, 8);
					expect(got).toEqual(model.has(k) ? le64(model.get(k)!) : -E.ENOENT);
					break;
				}
				default:
					expect(p.delete(fd, key)).toBe(model.delete(k) ? 0 : -E.ENOENT);
			}
		}
		expect(p.keys(fd, 8).map(word).sort()).toEqual([...model.keys()].sort());
		expect(p.update(fd, le32(1, 1), le64(0n), 8n)).toBe(-E.EINVAL);
		expect(p.update(fd, le32(1, 1), le64(0n), 4n)).toBe(-E.EINVAL);
		const some = [...model][0]!;
		expect(p.lookup(fd, le32(some[0], 0x55), 8, U.BPF_MAP_LOOKUP_AND_DELETE_ELEM)).toEqual(le64(some[1]));
		expect(p.lookup(fd, le32(some[0], 0x55), 8)).toBe(-E.ENOENT);
	});

	it("a hash table is walked bucket by bucket, the newest first", () => {
		const fd = p.map(U.BPF_MAP_TYPE_HASH, 4, 4, 100, U.BPF_F_ZERO_SEED);
		const buckets: number[][] = Array.from({ length: 128 }, () => []);
		for (let k = 0; k < 100; k++) {
			expect(p.update(fd, le32(k * 7), le32(k))).toBe(0);
			buckets[jhash2(le32(k * 7), 0) & 127]!.unshift(k * 7);
		}
		expect(p.keys(fd, 4).map(word)).toEqual(buckets.flat());
		// a key that is gone starts the walk again
		expect(word(p.next_key(fd, le32(1), 4))).toBe(buckets.flat()[0]);
	});

	it.each([U.BPF_MAP_TYPE_PERCPU_HASH, U.BPF_MAP_TYPE_PERCPU_ARRAY, U.BPF_MAP_TYPE_LRU_PERCPU_HASH])(
		"type %i holds a value for each CPU, in steps of 8 bytes",
		(type) => {
			const fd = p.map(type, 4, 4, 8);
			const value = le64(0x1111111122222222n, 0x3333333344444444n);
			expect(p.update(fd, le32(3), value)).toBe(0);
			// copied in whole words, as bpf_long_memcpy() does
			expect(p.lookup(fd, le32(3), 16)).toEqual(value);
		},
	);

	it("an LRU table makes room", () => {
		const fd = p.map(U.BPF_MAP_TYPE_LRU_HASH, 4, 8, 200);
		for (let k = 0; k < 2000; k++) {
			expect(p.update(fd, le32(k), le64(BigInt(k)))).toBe(0);
			expect(p.lookup(fd, le32(k), 8)).toEqual(le64(BigInt(k)));
		}
		const keys = p.keys(fd, 4);
		expect(keys.length).toBeLessThanOrEqual(200);
		expect(keys.length).toBeGreaterThan(50);
		for (const k of keys) expect(p.lookup(fd, k, 8)).toEqual(le64(BigInt(word(k))));
	});

	it("an array has all its elements, always", () => {
		const fd = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 12, 5);
		expect(p.lookup(fd, le32(4), 12)).toEqual(new Uint8Array(12));
		expect(p.lookup(fd, le32(5), 12)).toBe(-E.ENOENT);
		expect(p.update(fd, le32(4), le32(1, 2, 3))).toBe(0);
		expect(p.lookup(fd, le32(4), 12)).toEqual(le32(1, 2, 3));
		expect(p.update(fd, le32(5), le32(1, 2, 3))).toBe(-E.E2BIG);
		expect(p.update(fd, le32(0), le32(1, 2, 3), BigInt(U.BPF_NOEXIST))).toBe(-E.EEXIST);
		expect(p.delete(fd, le32(0))).toBe(-E.EINVAL);
		expect(p.keys(fd, 4).map(word)).toEqual([0, 1, 2, 3, 4]);
		expect(word(p.next_key(fd, le32(77), 4))).toBe(0);
	});

	it("a prefix tree finds the longest match", () => {
		const fd = p.map(U.BPF_MAP_TYPE_LPM_TRIE, 8, 4, 200, U.BPF_F_NO_PREALLOC);
		const rnd = new Random(5);
		const model = new Map<string, { len: number; addr: number; value: number }>();
		const key = (len: number, addr: number): Uint8Array =>
			Uint8Array.of(...le32(len), addr >>> 24, (addr >>> 16) & 255, (addr >>> 8) & 255, addr & 255);
		const cut = (addr: number, len: number): number => (len === 0 ? 0 : (addr & (-1 << (32 - len))) >>> 0);
		for (let i = 0; i < 600; i++) {
			const len = rnd.u32() % 33;
			const addr = cut((rnd.u32() & 0x0f0f0303) >>> 0, len);
			const name = `${len}/${addr}`;
			if (rnd.u32() % 3 === 0) expect(p.delete(fd, key(len, addr))).toBe(model.delete(name) ? 0 : -E.ENOENT);
			else if (model.size < 200 || model.has(name)) {
				expect(p.update(fd, key(len, addr), le32(i))).toBe(0);
				model.set(name, { len, addr, value: i });
			}
			const at = (rnd.u32() & 0x0f0f0303) >>> 0;
			const best = [...model.values()]
				.filter((e) => cut(at, e.len) === e.addr)
				.sort((a, b) => b.len - a.len)[0];
			expect(p.lookup(fd, key(32, at), 4)).toEqual(best ? le32(best.value) : -E.ENOENT);
		}
		expect(p.keys(fd, 8).length).toBe(model.size);
		expect(p.update(fd, key(33, 0), le32(0))).toBe(-E.EINVAL);
		expect(p.update(fd, key(1, 0), le32(0), 3n)).toBe(-E.EINVAL);
	});

	it("queues and stacks keep their order", () => {
		for (const type of [U.BPF_MAP_TYPE_QUEUE, U.BPF_MAP_TYPE_STACK]) {
			const fd = p.map(type, 0, 4, 4);
			const lifo = type === U.BPF_MAP_TYPE_STACK;
			expect(p.pop(fd, 4)).toBe(-E.ENOENT);
			for (let i = 1; i <= 4; i++) expect(p.update(fd, null, le32(i))).toBe(0);
			expect(p.update(fd, null, le32(5))).toBe(-E.E2BIG);
			expect(p.update(fd, null, le32(5), BigInt(U.BPF_NOEXIST))).toBe(-E.EINVAL);
			// BPF_EXIST pushes the oldest out of a full one
			expect(p.update(fd, null, le32(5), BigInt(U.BPF_EXIST))).toBe(0);
			expect(p.lookup(fd, null, 4)).toEqual(le32(lifo ? 5 : 2));
			const out = [1, 2, 3, 4].map(() => word(p.pop(fd, 4)));
			expect(out).toEqual(lifo ? [5, 4, 3, 2] : [2, 3, 4, 5]);
			expect(p.lookup(fd, null, 4)).toBe(-E.ENOENT);
		}
	});

	it("a bloom filter knows what it was given", () => {
		const fd = p.map(U.BPF_MAP_TYPE_BLOOM_FILTER, 0, 8, 100);
		for (let i = 0; i < 100; i++) expect(p.update(fd, null, le64(BigInt(i * i)))).toBe(0);
		const has = (v: bigint): number => {
			p.sys.store(p.mem + 0x9000, le64(v));
			return p.bpf(U.BPF_MAP_LOOKUP_ELEM, (a) => {
				a.map_fd = fd;
				a.value = BigInt(p.mem + 0x9000);
			});
		};
		for (let i = 0; i < 100; i++) expect(has(BigInt(i * i))).toBe(0);
		let wrong = 0;
		for (let i = 0; i < 1000; i++) if (has(BigInt(1_000_000 + i)) === 0) wrong++;
		expect(wrong).toBeLessThan(100);
	});

	it("a map of maps takes maps of its kind, and holds them", () => {
		const inner = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4, 2);
		const other = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 8, 2);
		for (const type of [U.BPF_MAP_TYPE_ARRAY_OF_MAPS, U.BPF_MAP_TYPE_HASH_OF_MAPS]) {
			const outer = p.map(type, 4, 4, 3, 0, (a) => {
				a.inner_map_fd = inner;
			});
			expect(outer).toBeGreaterThan(0);
			expect(p.update(outer, le32(1), le32(inner))).toBe(0);
			expect(p.update(outer, le32(2), le32(other))).toBe(-E.EINVAL);
			expect(p.update(outer, le32(2), le32(99))).toBe(-E.EBADF);
			expect(p.lookup(outer, le32(2), 4)).toBe(-E.ENOENT);
			const id = word(p.lookup(outer, le32(1), 4));
			p.sys.close(p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4, 1));
			expect([...p.kernel.bpf.maps.values()].some((m) => m.id === id)).toBe(true);
			expect(p.delete(outer, le32(1))).toBe(0);
			// maps of maps of maps are too many
			expect(
				p.map(type, 4, 4, 1, 0, (a) => {
					a.inner_map_fd = outer;
				}),
			).toBe(-E.EINVAL);
		}
	});

	it("does many at once", () => {
		const fd = p.map(U.BPF_MAP_TYPE_HASH, 4, 4, 64);
		const [keys, values, token] = [p.mem + 0xa000, p.mem + 0xb000, p.mem + 0xc000];
		const n = 40;
		p.sys.store(keys, le32(...Array.from({ length: n }, (_, i) => i)));
		p.sys.store(values, le32(...Array.from({ length: n }, (_, i) => i * 3)));
		const batch = (cmd: number, count: number, from = 0): number =>
			p.bpf(cmd, (a) => {
				a.batch_map_fd = fd;
				a.batch_keys = BigInt(keys);
				a.batch_values = BigInt(values);
				a.batch_count = count;
				a.batch_in_batch = from ? BigInt(from) : 0n;
				a.batch_out_batch = BigInt(token);
			});
		expect(batch(U.BPF_MAP_UPDATE_BATCH, n)).toBe(0);
		expect(p.attr.batch_count).toBe(n);
		p.sys.store(keys, new Uint8Array(4 * n));
		const seen = new Map<number, number>();
		let from = 0;
		for (let i = 0; i < 20; i++) {
			const ret = batch(U.BPF_MAP_LOOKUP_BATCH, 16, from);
			const got = p.attr.batch_count;
			for (let j = 0; j < got; j++) seen.set(p.sys.load32(keys + 4 * j), p.sys.load32(values + 4 * j));
			from = token;
			if (ret === -E.ENOENT) break;
			expect(ret).toBe(0);
		}
		expect(seen.size).toBe(n);
		for (const [k, v] of seen) expect(v).toBe(3 * k);
		expect(batch(U.BPF_MAP_LOOKUP_AND_DELETE_BATCH, n)).toBe(-E.ENOENT);
		expect(p.attr.batch_count).toBe(n);
		expect(p.keys(fd, 4)).toEqual([]);
	});
});
