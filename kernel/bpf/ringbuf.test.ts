// SPDX-License-Identifier: GPL-2.0-only
/** What programs do not reach of the ring buffer: hostile positions, large rings, records over the ring's end, accounting. */
import { afterEach, describe, expect, it } from "vitest";
import { EAGAIN, EINVAL, ENOMEM, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { boot } from "../boot.ts";
import { fdget } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { TaskSys } from "../sys.ts";
import type { bpf_ringbuf_map } from "./ringbuf.ts";

const PAGE = 4096;
const RW = 3;
const MAP_SHARED = 1;
const HDR = 8;

/** A process with a ring: programs' side by the helpers' bodies, its own by mappings. */
class Ring {
	readonly kernel: KernelImpl;
	readonly sys: TaskSys;
	readonly fd: number;
	readonly size: number;
	cons = 0;
	prod = 0;
	constructor(
		kernel: KernelImpl,
		size: number,
		type = U.BPF_MAP_TYPE_RINGBUF,
		set: (a: bpf_attr) => void = () => {},
	) {
		this.kernel = kernel;
		this.size = size;
		this.sys = new TaskSys(kernel, kernel.new_task());
		const mem = this.sys.mmap(0, PAGE, RW, 0x22, -1, 0);
		const attr = new bpf_attr();
		attr.map_type = type;
		attr.max_entries = size;
		set(attr);
		this.sys.store(mem, attr.bytes);
		this.fd = this.sys.bpf(U.BPF_MAP_CREATE, mem, attr.bytes.length);
	}
	map(): this {
		this.cons = this.sys.mmap(0, PAGE, RW, MAP_SHARED, this.fd, 0);
		this.prod = this.sys.mmap(0, PAGE + 2 * this.size, 1, MAP_SHARED, this.fd, PAGE);
		return this;
	}
	private get addr(): bigint {
		this.kernel.current = this.sys.task;
		return addr_to_u64((fdget(this.kernel, this.fd)!.private_data as bpf_ringbuf_map).addr);
	}
	call(name: string, ...args: (bigint | number)[]): bigint {
		const a = [0, 1, 2, 3, 4].map((i) => BigInt.asUintN(64, BigInt(args[i] ?? 0)));
		const cx = { kernel: this.kernel, cpu: 0, call: () => 0n };
		return BigInt.asIntN(64, this.kernel.bpf.bodies.get(name)!(cx, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!));
	}
	reserve(size: bigint | number): number {
		return u64_to_addr(BigInt.asUintN(64, this.call("bpf_ringbuf_reserve", this.addr, size, 0)));
	}
	submit(rec: number): void {
		this.call("bpf_ringbuf_submit", addr_to_u64(rec), 0);
	}
	discard(rec: number): void {
		this.call("bpf_ringbuf_discard", addr_to_u64(rec), 0);
	}
	query(what: number): bigint {
		return this.call("bpf_ringbuf_query", this.addr, what);
	}
	output(data: number, size: bigint | number, flags = 0): bigint {
		return this.call("bpf_ringbuf_output", this.addr, addr_to_u64(data), size, flags);
	}
	/** The consumer's side: the next record's bytes; null when there is none, "" of a discarded one. */
	consume(): Uint8Array | null {
		const { sys } = this;
		const at = Number(sys.load64(this.cons));
		if (at >= Number(sys.load64(this.prod))) return null;
		const data = this.prod + PAGE;
		const len = sys.load32(data + (at % this.size));
		if (len & U.BPF_RINGBUF_BUSY_BIT) return null;
		const n = len & ~U.BPF_RINGBUF_DISCARD_BIT;
		// a record that wraps lies in one piece in the double mapping
		const rec =
			len & U.BPF_RINGBUF_DISCARD_BIT ? new Uint8Array(0) : sys.load(data + (at % this.size) + HDR, n);
		sys.store64(this.cons, BigInt(at + Math.ceil((n + HDR) / 8) * 8));
		return rec;
	}
	end(): void {
		this.kernel.exit_task(this.sys.task);
		this.kernel.settle();
	}
}

describe.each(["unicorn", "none"] as const)("ring buffer, cpu: %s", (cpu) => {
	const kernels: KernelImpl[] = [];
	const booted = (memory = 64 << 20): KernelImpl => {
		const kernel = boot({ cpu, cpus: 1, memory });
		kernels.push(kernel);
		kernel.bpf.bpf_get_btf_vmlinux();
		new Ring(kernel, PAGE).end();
		return kernel;
	};
	const used = (k: KernelImpl): unknown => {
		k.settle();
		return { pages: k.kmem.pages_in_use, objects: k.kmem.objects_in_use };
	};
	afterEach(() => {
		for (const k of kernels.splice(0)) k.machine?.close();
	});

	it("is not made of odd sizes", () => {
		const kernel = booted();
		const before = used(kernel);
		for (const size of [0, 1, 2048, 3 * PAGE, PAGE + 1]) {
			const r = new Ring(kernel, size);
			expect(r.fd, String(size)).toBe(-EINVAL);
			r.end();
		}
		const sets: ((a: bpf_attr) => void)[] = [
			(a) => {
				a.key_size = 4;
			},
			(a) => {
				a.value_size = 4;
			},
			(a) => {
				a.map_flags = U.BPF_F_NO_PREALLOC;
			},
		];
		for (const set of sets) {
			const r = new Ring(kernel, PAGE, U.BPF_MAP_TYPE_RINGBUF, set);
			expect(r.fd).toBe(-EINVAL);
			r.end();
		}
		// more than there is memory: all of it comes back
		const huge = new Ring(kernel, 128 << 20);
		expect(huge.fd).toBe(-ENOMEM);
		huge.end();
		expect(used(kernel)).toEqual(before);
	});

	it("keeps order and bytes over its end, whatever the sizes", () => {
		const kernel = booted();
		const before = used(kernel);
		const r = new Ring(kernel, PAGE).map();
		let seed = 7;
		const rnd = (n: number): number => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return (seed >>> 8) % n;
		};
		const want: Uint8Array[] = [];
		let wrapped = 0;
		for (let i = 0; i < 5000; i++) {
			const size = rnd(rnd(10) === 0 ? 3000 : 100);
			const rec = r.reserve(size);
			if (rec) {
				if (Number(r.query(U.BPF_RB_PROD_POS)) % PAGE < size) wrapped++;
				const bytes = new Uint8Array(size).map((_, j) => (i * 31 + j) & 255);
				kernel.kmem.write(rec, bytes);
				if (rnd(7) === 0) {
					r.discard(rec);
					want.push(new Uint8Array(0));
				} else {
					r.submit(rec);
					want.push(bytes);
				}
			}
			while (want.length > 0 && (!rec || rnd(3) === 0)) expect(r.consume()).toEqual(want.shift());
		}
		while (want.length > 0) expect(r.consume()).toEqual(want.shift());
		expect(r.consume()).toBeNull();
		expect(wrapped).toBeGreaterThan(100);
		r.end();
		expect(used(kernel)).toEqual(before);
	});

	it("holds records back behind one that is not finished", () => {
		const r = new Ring(booted(), PAGE).map();
		const [a, b] = [r.reserve(8), r.reserve(8)];
		r.kernel.kmem.w64(b, 2n);
		r.submit(b);
		expect(r.consume()).toBeNull();
		r.kernel.kmem.w64(a, 1n);
		r.submit(a);
		expect(r.consume()![0]).toBe(1);
		expect(r.consume()![0]).toBe(2);
		// the oldest unfinished record is not overtaken, though the consumer claims to be far ahead
		const open = r.reserve(8);
		r.sys.store64(r.cons, r.sys.load64(r.prod));
		expect(r.reserve(PAGE - 24)).toBe(0);
		expect(r.reserve(PAGE - 32)).not.toBe(0);
		r.submit(open);
	});

	it("survives any position that user space writes", () => {
		const kernel = booted();
		const r = new Ring(kernel, PAGE).map();
		const { sys } = r;
		for (let i = 0; i < 3; i++) r.submit(r.reserve(16));
		for (const pos of [1n, 73n, 0x7fffffffffffffffn, 0xffffffffffffffffn, 1n << 40n, 0xfffffffffffff000n]) {
			sys.store64(r.cons, pos);
			// the distance is what counts: too far behind or ahead means there is no room
			const room = BigInt.asUintN(64, 72n + 24n - pos) <= BigInt(PAGE - 1);
			const rec = r.reserve(16);
			expect(rec !== 0, pos.toString(16)).toBe(room);
			if (!rec) continue;
			r.discard(rec);
			break;
		}
		expect(r.query(U.BPF_RB_CONS_POS)).toBe(sys.load64(r.cons));
		expect(r.query(U.BPF_RB_RING_SIZE)).toBe(BigInt(PAGE));
		expect(r.query(99)).toBe(0n);
		// the producer's page is not user space's to write, nor is anything behind it
		expect(sys.mmap(0, PAGE, RW, MAP_SHARED, r.fd, PAGE)).toBe(-EPERM);
		expect(sys.mmap(0, 2 * PAGE, RW, MAP_SHARED, r.fd, 0)).toBe(-EPERM);
		r.end();
	});

	it("refuses sizes beyond the ring, beyond a record and beyond 32 bits", () => {
		const kernel = booted();
		const r = new Ring(kernel, 2 * PAGE).map();
		const src = kernel.kmem.kzalloc(64);
		for (const size of [2 * PAGE, 2 * PAGE - 7, 0x40000000, 1n << 32n, (1n << 64n) - 8n])
			expect(r.reserve(size), String(size)).toBe(0);
		// all but one byte is room at most
		expect(r.reserve(2 * PAGE - 8)).toBe(0);
		expect(r.reserve(2 * PAGE - 16)).not.toBe(0);
		expect(r.output(src, 64)).toBe(BigInt(-EAGAIN));
		expect(r.output(src, 64, 4)).toBe(BigInt(-EINVAL));
		kernel.kmem.kfree(src);
		r.end();
	});
});

describe("a ring of 512 MiB", () => {
	it("works with little of it touched, and is given back", () => {
		const kernel = boot({ cpu: "unicorn", cpus: 1, memory: 1 << 30 });
		new Ring(kernel, PAGE).end();
		kernel.settle();
		const before = kernel.kmem.pages_in_use;
		const size = 512 << 20;
		const r = new Ring(kernel, size);
		expect(r.fd).toBeGreaterThanOrEqual(0);
		expect(kernel.kmem.pages_in_use - before).toBeGreaterThan(size / PAGE);
		r.cons = r.sys.mmap(0, PAGE, RW, MAP_SHARED, r.fd, 0);
		const prod = r.sys.mmap(0, PAGE, 1, MAP_SHARED, r.fd, PAGE);
		// records of 256 MiB less a header: the second does not fit beside the first
		const big = (size >> 1) - HDR;
		const rec = r.reserve(big);
		kernel.kmem.w64(rec + big - 8, 5n);
		r.submit(rec);
		expect(r.reserve(big)).toBe(0);
		r.sys.store64(r.cons, r.sys.load64(prod));
		const second = r.reserve(big);
		expect(second - rec).toBe(size >> 1);
		r.submit(second);
		r.sys.store64(r.cons, r.sys.load64(prod));
		expect(r.reserve(big)).toBe(rec);
		r.end();
		expect(kernel.kmem.pages_in_use).toBe(before);
		kernel.machine!.close();
	});
});
