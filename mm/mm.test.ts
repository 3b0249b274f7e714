// SPDX-License-Identifier: GPL-2.0-only

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assembler } from "../arch/testing.ts";
import { EACCES, EBUSY, EEXIST, EFAULT, EINVAL, ENODEV, ENOMEM } from "../include/uapi/asm-generic/errno.ts";
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_FIXED_NOREPLACE,
	MAP_PRIVATE,
	MAP_SHARED,
	MREMAP_FIXED,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_NONE,
	PROT_READ,
	PROT_WRITE,
} from "../include/uapi/asm-generic/mman.ts";
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_KERNEL } from "./gfp.ts";
import { GuestFault } from "./guest_memory.ts";
import { MachineKmem } from "./kmem.ts";
import { create_machine, type Machine } from "./machine.ts";
import { type MmFile, VM_MAYWRITE, type vm_area_struct, type vm_operations_struct } from "./mm_types.ts";
import type { MmStruct } from "./mmap.ts";
import { kmalloc_size_roundup } from "./slab.ts";

const x86 = await assembler("x86_64");
const asm = (text: string): Uint8Array => Uint8Array.from(x86(text));

let m: Machine;
let k: MachineKmem;
let base: number;
const ANON = MAP_PRIVATE | MAP_ANONYMOUS;
const RW = PROT_READ | PROT_WRITE;

describe.each(["x86_64", "arm64"] as const)("%s", (arch) => {
	beforeEach(() => {
		m = create_machine({ arch, cpus: 2, memory: 64 << 20 });
		k = new MachineKmem(m, { cur_cpu: () => 0 });
		base = m.pages_in_use();
	});
	afterEach(() => {
		m.close();
	});

	describe("pages", () => {
		it("come in blocks that are aligned, join again, and are accounted by order", () => {
			const free = m.pages.nr_free;
			const blocks: [number, number][] = [];
			for (const order of [0, 3, 1, 10, 0, 5]) {
				const pfn = m.pages.alloc_pages(GFP_KERNEL, order);
				expect(pfn % (1 << order)).toBe(0);
				blocks.push([pfn, order]);
			}
			expect(m.pages.nr_free).toBe(free - (1 + 8 + 2 + 1024 + 1 + 32));
			expect(m.pages.blocks_in_use[0]).toBeGreaterThanOrEqual(2);
			for (const [pfn, order] of blocks) m.pages.__free_pages(pfn, order);
			expect(m.pages.nr_free).toBe(free);
			// everything in one piece again: the largest order can be had as often as before
			const big: number[] = [];
			for (;;) {
				const pfn = m.pages.alloc_pages(GFP_KERNEL, 10);
				if (pfn < 0) break;
				big.push(pfn);
			}
			expect(big.length).toBeGreaterThanOrEqual(14);
			for (const pfn of big) m.pages.__free_pages(pfn, 10);
		});

		it("are zeroed on request only, run out with -1, and may not be freed twice", () => {
			const a = m.pages.alloc_page(GFP_KERNEL);
			m.mem.w32(m.pages.page_to_virt(a), 0xdead);
			m.pages.__free_page(a);
			const b = m.pages.alloc_page(GFP_KERNEL | __GFP_ZERO);
			expect(b).toBe(a);
			expect(m.mem.r32(m.pages.page_to_virt(b))).toBe(0);
			m.pages.get_page(b);
			m.pages.put_page(b);
			expect(m.pages.page_count(b)).toBe(1);
			m.pages.__free_page(b);
			expect(() => m.pages.__free_page(b)).toThrow(/bad page state/);
			const all: number[] = [];
			for (let p = m.pages.alloc_page(0); p >= 0; p = m.pages.alloc_page(0)) all.push(p);
			expect(m.pages.nr_free).toBe(0);
			expect(m.slab.kmalloc(64, GFP_KERNEL)).toBe(0);
			expect(m.vmalloc.vmalloc(PAGE_SIZE)).toBe(0);
			expect(m.percpu.alloc_percpu(4096)).toBe(0);
			for (const p of all) m.pages.__free_page(p);
			expect(m.pages_in_use()).toBe(base);
		});

		it("fail when a test says so", () => {
			m.pages.should_fail = (order) => order === 0;
			expect(m.vmalloc.vmalloc(8 * PAGE_SIZE)).toBe(0);
			m.pages.should_fail = null;
			// half of the pages of a percpu object
			let left = 1;
			m.pages.should_fail = () => left-- <= 0;
			expect(m.percpu.alloc_percpu(8)).toBe(0);
			m.pages.should_fail = null;
			expect(m.pages_in_use()).toBe(base);
			const p = m.percpu.alloc_percpu(8);
			expect(p).not.toBe(0);
			m.percpu.free_percpu(p);
		});
	});

	describe("kmalloc", () => {
		it("gives aligned objects of the kernel's size classes and takes them back", () => {
			expect([1, 8, 9, 65, 96, 97, 129, 193, 8192, 8193, 20000].map(kmalloc_size_roundup)).toEqual([
				8, 8, 16, 96, 96, 128, 192, 256, 8192, 16384, 32768,
			]);
			const live: number[] = [];
			for (let i = 0; i < 3000; i++) {
				const size = 1 + ((i * 7919) % 9000);
				const p = m.slab.kmalloc(size, GFP_KERNEL);
				const real = m.slab.ksize(p);
				expect(real).toBe(kmalloc_size_roundup(size));
				if ((real & (real - 1)) === 0) expect((p - m.pages.direct_map) % Math.min(real, PAGE_SIZE)).toBe(0);
				m.mem.fill(p, size, i & 255);
				live.push(p);
			}
			expect(new Set(live).size).toBe(live.length);
			expect(m.slab.objects).toBe(3000);
			live.forEach((p, i) => {
				expect(m.mem.r8(p)).toBe(i & 255);
			});
			for (const p of live) m.slab.kfree(p);
			expect(m.slab.objects).toBe(0);
			expect(m.slab.bytes).toBe(0);
			expect(m.pages_in_use()).toBe(base);
		});

		it("notices wrong frees, zeroes on request, and knows no memory beyond 4 MiB", () => {
			const p = m.slab.kmalloc(40, GFP_KERNEL);
			m.mem.fill(p, 64, 0xff);
			expect(() => m.slab.kfree(p + 8)).toThrow(/inside an object/);
			m.slab.kfree(p);
			expect(() => m.slab.kfree(p)).toThrow(/double free|not allocated/);
			const z = m.slab.kzalloc(64, GFP_KERNEL);
			expect(z).toBe(p);
			expect(m.mem.r64(z)).toBe(0n);
			expect(m.slab.find_object(z + 63)).toEqual({ base: z, size: 64 });
			const q = m.slab.krealloc(z, 500, GFP_KERNEL);
			expect(m.slab.ksize(q)).toBe(512);
			m.slab.kfree(q);
			expect(m.slab.kmalloc((4 << 20) + 1, GFP_KERNEL)).toBe(0);
			expect(m.slab.kmalloc(0, GFP_KERNEL)).toBe(16);
			m.slab.kfree(16);
			m.slab.kfree(0);
		});
	});

	describe("percpu", () => {
		it("gives zeroed copies at one offset on every CPU", () => {
			const ps = [8, 16, 100, 4096, 32768].map((size) => m.percpu.alloc_percpu(size));
			for (const p of ps) {
				for (let cpu = 0; cpu < 2; cpu++) {
					expect(m.mem.r64(m.percpu.per_cpu_ptr(p, cpu))).toBe(0n);
					m.mem.w64(m.percpu.per_cpu_ptr(p, cpu), BigInt(p + cpu));
				}
			}
			for (const p of ps)
				for (let cpu = 0; cpu < 2; cpu++)
					expect(m.mem.r64(m.percpu.per_cpu_ptr(p, cpu))).toBe(BigInt(p + cpu));
			expect(m.percpu.alloc_percpu(32769)).toBe(0);
			for (const p of ps) m.percpu.free_percpu(p);
			expect(m.percpu.objects).toBe(0);
			expect(m.pages_in_use()).toBe(base);
			const again = m.percpu.alloc_percpu(8);
			expect(m.mem.r64(m.percpu.per_cpu_ptr(again, 1))).toBe(0n);
			m.percpu.free_percpu(again);
		});
	});

	describe("kernel memory", () => {
		it("reads and writes every width at every place, pages' ends included", () => {
			const va = m.vmalloc.vzalloc(3 * PAGE_SIZE);
			for (const at of [
				va,
				va + 4093,
				va + PAGE_SIZE - 1,
				va + 2 * PAGE_SIZE - 5,
				m.pages.page_to_virt(2000) + 4090,
			]) {
				m.mem.w64(at, 0xf1e2d3c4b5a69788n);
				expect(m.mem.r64(at)).toBe(0xf1e2d3c4b5a69788n);
				expect(m.mem.r32(at)).toBe(0xb5a69788);
				expect(m.mem.rs32(at)).toBe(0xb5a69788 | 0);
				expect(m.mem.r16(at + 2)).toBe(0xb5a6);
				expect(m.mem.r8(at + 7)).toBe(0xf1);
				m.mem.wptr(at, -0x370000000000);
				expect(m.mem.rptr(at)).toBe(-0x370000000000);
				expect(m.mem.r64(at)).toBe(0xffffc90000000000n);
				m.mem.wptr(at, 0x7ffff7fff123);
				expect(m.mem.rptr(at)).toBe(0x7ffff7fff123);
				m.mem.w32(at, 0x89abcdef);
				m.mem.w16(at + 4, 0xfeed);
				m.mem.w8(at + 6, 0x77);
				expect(m.mem.r64(at)).toBe(0x77feed89abcdefn);
			}
			m.vmalloc.vfree(va);
		});

		it("copies, fills and compares across pages; a fault writes nothing of a number", () => {
			const va = m.vmalloc.vzalloc(2 * PAGE_SIZE);
			const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 31) & 255);
			m.mem.write(va + 100, bytes);
			expect(m.mem.read(va + 100, 5000)).toEqual(bytes);
			m.mem.copy(va + 90, va + 100, 5000);
			expect(m.mem.read(va + 90, 5000)).toEqual(bytes);
			m.mem.copy(va + 103, va + 90, 5000);
			expect(m.mem.read(va + 103, 5000)).toEqual(bytes);
			m.mem.fill(va, 200, 0x41);
			m.mem.w8(va + 150, 0);
			expect(m.mem.cstring(va, 1000)).toBe("A".repeat(150));
			expect(m.mem.compare(va, va + 1, 100)).toBe(0);
			expect(m.mem.compare(va + 140, va, 20)).toBe(-0x41);
			const end = va + 2 * PAGE_SIZE;
			m.mem.w32(end - 4, 0x11111111);
			expect(() => m.mem.w64(end - 4, 0n)).toThrow(GuestFault);
			expect(m.mem.r32(end - 4)).toBe(0x11111111);
			expect(m.mem.read_nofault(end - 4, 8)).toBeNull();
			for (const bad of [0x400000, 2 ** 47, 2 ** 50 + 4096, -(2 ** 48) - 4096, -(2 ** 62)])
				expect(() => m.mem.r32(bad), String(bad)).toThrow(GuestFault);
			m.vmalloc.vfree(va);
			expect(m.pages_in_use()).toBe(base);
		});
	});

	describe("more than 2 GiB of RAM", () => {
		it("is reached through every mapping", () => {
			const big = create_machine({ arch, cpus: 1, memory: 3 * 2 ** 30 });
			const blocks: number[] = [];
			for (let p = big.pages.alloc_pages(0, 10); p >= 0; p = big.pages.alloc_pages(0, 10)) blocks.push(p);
			const far = Math.max(...blocks);
			expect(far * PAGE_SIZE).toBeGreaterThan(2 ** 31);
			const near = Math.min(...blocks);
			for (const p of blocks) if (p !== far && p !== near) big.pages.__free_pages(p, 10);
			// a far page between two near ones
			const va = big.vmalloc.vmap([near, far, near + 1]);
			const direct = big.pages.page_to_virt(far);
			const { mem } = big;
			for (const at of [va + PAGE_SIZE, va + PAGE_SIZE - 3, va + 2 * PAGE_SIZE - 5]) {
				mem.w64(at, 0x1122334455667788n);
				expect(mem.r64(at)).toBe(0x1122334455667788n);
				mem.wptr(at, -12345);
				expect(mem.rptr(at)).toBe(-12345);
				mem.w32(at, 7);
				expect([mem.r32(at), mem.rs32(at), mem.r16(at), mem.r8(at)]).toEqual([7, 7, 7, 7]);
			}
			mem.write(direct + 100, Uint8Array.of(1, 2, 3));
			expect(mem.read(va + PAGE_SIZE + 100, 3)).toEqual(Uint8Array.of(1, 2, 3));
			mem.copy(va + 8, direct + 100, 3);
			expect(mem.read(va + 8, 3)).toEqual(Uint8Array.of(1, 2, 3));
			mem.fill(direct, 16, 9);
			expect(mem.r64(va + PAGE_SIZE)).toBe(0x0909090909090909n);
			expect(mem.compare(direct, va + PAGE_SIZE, PAGE_SIZE)).toBe(0);
			if (arch === "x86_64") {
				const load = big.text.define_code("load", asm("mov rax, [rdi]; ret"));
				expect(big.run(0, load, [va + PAGE_SIZE])).toBe(0x0909090909090909n);
				expect(big.run(0, load, [direct])).toBe(0x0909090909090909n);
			}
			big.close();
		});
	});

	/** A file whose mapping has `ops`. */
	function map_file(ops: vm_operations_struct | null, mode = 3, refuse = 0): MmFile & { released: number } {
		const f = {
			f_mode: mode,
			f_count: 1,
			released: 0,
			f_op: {
				mmap(_f: MmFile, vma: vm_area_struct): number {
					vma.vm_ops = ops;
					return refuse;
				},
				release() {
					f.released++;
				},
			},
		};
		return f;
	}

	describe("address spaces", () => {
		let mm: MmStruct;
		beforeEach(() => {
			mm = k.new_mm();
		});
		afterEach(() => {
			mm.exit();
			expect(m.pages_in_use()).toBe(base);
		});

		it("map anonymous memory downwards from the top, zeroed at the first touch", () => {
			const before = m.pages_in_use();
			const a = mm.mmap(0, 100 * PAGE_SIZE, RW, ANON, null, 0);
			expect(a).toBe(m.arch.layout.mmap_base - 100 * PAGE_SIZE);
			expect(m.pages_in_use()).toBe(before);
			const b = mm.mmap(0, PAGE_SIZE, RW, ANON, null, 0);
			expect(b).toBe(a - PAGE_SIZE);
			expect(mm.areas().length).toBe(1);
			expect(mm.user.r64(a + 8)).toBe(0n);
			mm.user.w64(a + PAGE_SIZE - 4, 0x1122334455667788n);
			expect(mm.user.r64(a + PAGE_SIZE - 4)).toBe(0x1122334455667788n);
			expect(mm.rss).toBe(2);
			expect(mm.munmap(a, PAGE_SIZE)).toBe(0);
			expect(mm.rss).toBe(1);
			expect(() => mm.user.r8(a)).toThrow(GuestFault);
			expect(mm.fault_signal).toBe("SIGSEGV");
			expect(mm.mmap(0x10000000, PAGE_SIZE, RW, ANON, null, 0)).toBe(0x10000000);
		});

		it("answer wrong arguments as Linux does", () => {
			expect(mm.mmap(0, 0, RW, ANON, null, 0)).toBe(-EINVAL);
			expect(mm.mmap(0, 4096, RW, MAP_ANONYMOUS, null, 0)).toBe(-EINVAL);
			expect(mm.mmap(0, 4096, RW, ANON, null, 5)).toBe(-EINVAL);
			expect(mm.mmap(0, 2 ** 48, RW, ANON, null, 0)).toBe(-ENOMEM);
			expect(mm.mmap(0x1001, 4096, RW, ANON | MAP_FIXED, null, 0)).toBe(-EINVAL);
			expect(mm.mmap(m.arch.layout.task_size, 4096, RW, ANON | MAP_FIXED, null, 0)).toBe(-ENOMEM);
			const a = mm.mmap(0, 8192, RW, ANON, null, 0);
			expect(mm.mmap(a + 4096, 4096, RW, ANON | MAP_FIXED_NOREPLACE, null, 0)).toBe(-EEXIST);
			expect(mm.munmap(a + 1, 4096)).toBe(-EINVAL);
			expect(mm.munmap(a, 0)).toBe(-EINVAL);
			expect(mm.munmap(0x20000000, 4096)).toBe(0);
			expect(mm.mprotect(a + 1, 4096, PROT_READ)).toBe(-EINVAL);
			expect(mm.mprotect(a, 3 * 4096, PROT_READ)).toBe(-ENOMEM);
			expect(mm.mmap(0, 4096, PROT_READ, MAP_SHARED, map_file(null, 2), 0)).toBe(-EACCES);
			expect(mm.mmap(0, 4096, RW, MAP_SHARED, map_file(null, 1), 0)).toBe(-EACCES);
			const no_mmap = { f_mode: 3, f_count: 1, f_op: {} };
			expect(mm.mmap(0, 4096, RW, MAP_SHARED, no_mmap, 0)).toBe(-ENODEV);
			const refusing = map_file(null, 3, -ENOMEM);
			expect(mm.mmap(0, 4096, RW, MAP_SHARED, refusing, 0)).toBe(-ENOMEM);
			expect(refusing.f_count).toBe(1);
		});

		it("protect: rights of pages that are mapped already change, VM_MAYWRITE is the limit", () => {
			const a = mm.mmap(0, 3 * PAGE_SIZE, RW, ANON, null, 0);
			for (let i = 0; i < 3; i++) mm.user.w32(a + i * PAGE_SIZE, i + 1);
			expect(mm.mprotect(a + PAGE_SIZE, PAGE_SIZE, PROT_READ)).toBe(0);
			expect(mm.areas().length).toBe(3);
			expect(mm.user.r32(a + PAGE_SIZE)).toBe(2);
			expect(() => mm.user.w32(a + PAGE_SIZE, 9)).toThrow(GuestFault);
			expect(mm.write(a + PAGE_SIZE - 2, Uint8Array.of(1, 2, 3, 4))).toBe(false);
			expect(mm.mprotect(a, 3 * PAGE_SIZE, PROT_NONE)).toBe(0);
			expect(() => mm.user.r32(a)).toThrow(GuestFault);
			expect(mm.mprotect(a, 3 * PAGE_SIZE, RW)).toBe(0);
			mm.user.w32(a + PAGE_SIZE, 10);
			expect([0, 1, 2].map((i) => mm.user.r32(a + i * PAGE_SIZE))).toEqual([1, 10, 3]);
			const ro = mm.mmap(
				0,
				PAGE_SIZE,
				PROT_READ,
				MAP_SHARED,
				map_file({ fault: () => m.pages.alloc_page(0) }, 1),
				0,
			);
			expect(mm.vma_lookup(ro)!.vm_flags & VM_MAYWRITE).toBe(0);
			expect(mm.mprotect(ro, PAGE_SIZE, RW)).toBe(-EACCES);
		});

		it("fault pages in through vm_ops, and signal what a handler refuses", () => {
			const pfn = m.pages.alloc_page(GFP_KERNEL | __GFP_ZERO);
			const faults: number[] = [];
			let opens = 0;
			let closes = 0;
			const f = map_file({
				open: () => void opens++,
				close: () => void closes++,
				fault(vma, addr) {
					faults.push((addr - vma.vm_start) / PAGE_SIZE + vma.vm_pgoff);
					if (addr >= vma.vm_start + 2 * PAGE_SIZE) return -1;
					m.pages.get_page(pfn);
					return pfn;
				},
			});
			const a = mm.mmap(0, 4 * PAGE_SIZE, RW, MAP_SHARED, f, PAGE_SIZE);
			expect(f.f_count).toBe(2);
			mm.user.w32(a, 7);
			expect(mm.user.r32(a + PAGE_SIZE)).toBe(7);
			expect(m.mem.r32(m.pages.page_to_virt(pfn))).toBe(7);
			expect(mm.read(a + 2 * PAGE_SIZE, 4)).toBeNull();
			expect(mm.fault_signal).toBe("SIGBUS");
			expect(faults).toEqual([1, 2, 3]);
			expect(m.pages.page_count(pfn)).toBe(3);
			// kernel code without faults sees only what is there
			expect(mm.read_nofault(a, 4)).not.toBeNull();
			mm.zap(a, PAGE_SIZE);
			expect(mm.read_nofault(a, 4)).toBeNull();
			expect(mm.munmap(a + PAGE_SIZE, PAGE_SIZE)).toBe(0);
			expect([opens, closes, f.f_count]).toEqual([2, 1, 3]);
			expect(mm.munmap(a, 4 * PAGE_SIZE)).toBe(0);
			expect([opens, closes, f.f_count, f.released]).toEqual([2, 3, 1, 0]);
			m.pages.put_page(pfn);
		});

		it("let an area refuse to be split", () => {
			const f = map_file({ may_split: () => -EINVAL });
			const a = mm.mmap(0, 2 * PAGE_SIZE, RW, MAP_SHARED, f, 0);
			expect(mm.munmap(a, PAGE_SIZE)).toBe(-EINVAL);
			expect(mm.mprotect(a, PAGE_SIZE, PROT_READ)).toBe(-EINVAL);
			expect(mm.mprotect(a, 2 * PAGE_SIZE, PROT_READ)).toBe(0);
			expect(mm.munmap(a, 2 * PAGE_SIZE)).toBe(0);
		});

		it("show a vmalloc area to user space", () => {
			const va = k.vzalloc(3 * PAGE_SIZE);
			const f: MmFile = {
				f_mode: 3,
				f_count: 1,
				f_op: { mmap: (_f, vma) => k.remap_vmalloc_range(vma, va, vma.vm_pgoff) },
			};
			const a = mm.mmap(0, 2 * PAGE_SIZE, RW, MAP_SHARED, f, PAGE_SIZE);
			mm.user.w32(a + 4, 0xabcd);
			expect(m.mem.r32(va + PAGE_SIZE + 4)).toBe(0xabcd);
			m.mem.w32(va + 2 * PAGE_SIZE, 5);
			expect(mm.user.r32(a + PAGE_SIZE)).toBe(5);
			expect(mm.mmap(0, 3 * PAGE_SIZE, RW, MAP_SHARED, f, PAGE_SIZE)).toBe(-EINVAL);
			expect(mm.mremap(a, 2 * PAGE_SIZE, 3 * PAGE_SIZE, MREMAP_MAYMOVE, 0)).toBe(-EFAULT);
			const vma = mm.vma_lookup(a)!;
			expect(mm.insert_page(vma, a, m.vmalloc.vmalloc_to_page(va))).toBe(-EBUSY);
			expect(mm.insert_page(vma, a - 1, 1)).toBe(-EFAULT);
			// the pages live as long as either side has them
			k.vfree(va);
			expect(mm.user.r32(a + 4)).toBe(0xabcd);
			mm.munmap(a, 2 * PAGE_SIZE);
		});

		it("grow, shrink and move with mremap", () => {
			const a = mm.mmap(0x10000000, 2 * PAGE_SIZE, RW, ANON, null, 0);
			mm.user.w32(a + PAGE_SIZE, 77);
			expect(mm.mremap(a, 2 * PAGE_SIZE, 4 * PAGE_SIZE, 0, 0)).toBe(a);
			mm.mmap(a + 4 * PAGE_SIZE, PAGE_SIZE, PROT_READ, ANON | MAP_FIXED, null, 0);
			expect(mm.mremap(a, 4 * PAGE_SIZE, 5 * PAGE_SIZE, 0, 0)).toBe(-ENOMEM);
			const b = mm.mremap(a, 4 * PAGE_SIZE, 5 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
			expect(b).toBeGreaterThan(a);
			expect(mm.user.r32(b + PAGE_SIZE)).toBe(77);
			expect(() => mm.user.r32(a + PAGE_SIZE)).toThrow(GuestFault);
			expect(mm.mremap(b, 5 * PAGE_SIZE, 5 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, 0x20000000)).toBe(
				0x20000000,
			);
			expect(mm.user.r32(0x20000000 + PAGE_SIZE)).toBe(77);
			expect(mm.mremap(0x20000000, 5 * PAGE_SIZE, PAGE_SIZE, 0, 0)).toBe(0x20000000);
			expect(() => mm.user.r32(0x20000000 + PAGE_SIZE)).toThrow(GuestFault);
			expect(mm.mremap(0x30000000, PAGE_SIZE, PAGE_SIZE, 0, 0)).toBe(-EFAULT);
		});

		it("fork: private pages part at the first write, shared ones stay shared", () => {
			const a = mm.mmap(0, PAGE_SIZE, RW, ANON, null, 0);
			const s = mm.mmap(0, PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, null, 0);
			mm.user.w32(a, 1);
			mm.user.w32(s, 1);
			const child = mm.fork()!;
			expect(child.user.r32(a)).toBe(1);
			child.user.w32(a, 2);
			child.user.w32(s, 2);
			expect(mm.user.r32(a)).toBe(1);
			expect(mm.user.r32(s)).toBe(2);
			mm.user.w32(a, 3);
			expect(child.user.r32(a)).toBe(2);
			child.exit();
			mm.user.w32(a, 4);
			expect(mm.user.r32(a)).toBe(4);
			expect(mm.user.r32(s)).toBe(2);
		});

		it.runIf(arch === "x86_64")("run user code: system calls, faults, stores that demand pages", () => {
			const text = mm.mmap(0, PAGE_SIZE, RW | PROT_EXEC, ANON, null, 0);
			const stack = mm.mmap(0, 4 * PAGE_SIZE, RW, ANON, null, 0);
			mm.write(text, asm("mov eax, 39; syscall; push rax; pop rbx; syscall; int3; mov rax, [0x1234]"));
			const regs = m.arch.new_user_regs();
			regs.pc = text;
			regs.gpr[4] = BigInt(stack + 4 * PAGE_SIZE);
			for (const cpu of [0, 1]) {
				regs.pc = text;
				expect(m.arch.run_user(cpu, mm.table, regs)).toEqual({ kind: "syscall", nr: 39 });
				expect(regs.pc).toBe(text + 7);
				regs.gpr[0] = 4711n;
				// the kernel runs in between, on the same CPU
				expect(m.run(cpu, m.text.va("__bpf_mirror_ret"), [])).toBeDefined();
				expect(m.arch.run_user(cpu, mm.table, regs)).toEqual({ kind: "syscall", nr: 4711 });
				expect(regs.gpr[3]).toBe(4711n);
				expect(m.arch.run_user(cpu, mm.table, regs)).toMatchObject({ kind: "trap", vector: 3 });
				const f = m.arch.run_user(cpu, mm.table, regs);
				expect(f).toMatchObject({ kind: "fault", fault: { vector: 14, addr: 0x1234, user: true } });
				expect(mm.fault_signal).toBe("SIGSEGV");
			}
			// user mode does not see the kernel, nor the kernel the user
			mm.write(text, asm("mov rax, [rdi]"));
			m.arch.flush_icache_all();
			regs.pc = text;
			regs.gpr[7] = BigInt(m.pages.direct_map + PAGE_SIZE);
			expect(m.arch.run_user(0, mm.table, regs)).toMatchObject({
				kind: "fault",
				fault: { user: true, present: true },
			});
			m.arch.switch_table(0, mm.table);
			m.text.define_code("ld", asm("mov rax, [rdi]; ret"));
			expect(() => m.run(0, m.text.va("ld"), [stack])).toThrow(/page fault/); // SMAP
			expect(() => m.run(0, text, [])).toThrow(/instruction fetch/); // SMEP
			expect(() => m.mem.r8(stack + 4 * PAGE_SIZE - 8)).toThrow(GuestFault);
		});

		it.runIf(arch === "x86_64")(
			"fault at the first instruction of a CPU's first user code, atomics included",
			() => {
				const text = mm.mmap(0, PAGE_SIZE, RW | PROT_EXEC, ANON, null, 0);
				const data = mm.mmap(0, 4 * PAGE_SIZE, RW, ANON, null, 0);
				mm.write(text, asm("lock xadd [rdi], rax; syscall"));
				const regs = m.arch.new_user_regs();
				const run = (space: MmStruct, cpu: number, at: number) => {
					regs.pc = text;
					regs.gpr[7] = BigInt(at);
					regs.gpr[0] = 5n;
					return m.arch.run_user(cpu, space.table, regs);
				};
				expect(run(mm, 0, data).kind).toBe("syscall");
				m.arch.cpus[1]!.insn_budget = 100;
				expect(run(mm, 1, data + PAGE_SIZE).kind).toBe("syscall");
				expect(m.arch.cpus[1]!.insn_budget).toBeLessThan(100);
				m.arch.cpus[1]!.insn_budget = Number.POSITIVE_INFINITY;
				expect(run(mm, 1, data + 2 * PAGE_SIZE).kind).toBe("syscall");
				// an atomic on a page that parent and child share is a write
				const child = mm.fork()!;
				expect(run(child, 0, data).kind).toBe("syscall");
				expect([mm.user.r32(data), child.user.r32(data)]).toEqual([5, 10]);
				mm.mprotect(data, PAGE_SIZE, PROT_READ);
				expect(run(mm, 0, data)).toMatchObject({ kind: "fault", fault: { write: true, present: true } });
				child.exit();
			},
		);

		it("copy to and from the kernel with -EFAULT", () => {
			const a = mm.mmap(0, PAGE_SIZE, RW, ANON, null, 0);
			expect(mm.write(a + 4090, Uint8Array.of(104, 105, 0))).toBe(true);
			expect(mm.strncpy_from_user(a + 4090, 10)).toEqual(Uint8Array.of(104, 105));
			expect(mm.strncpy_from_user(a - 1, 10)).toBe(-EFAULT);
			expect(mm.put_user32(a, 5)).toBe(0);
			expect(mm.get_user32(a)).toBe(5);
			expect(mm.put_user64(a + PAGE_SIZE, 5n)).toBe(-EFAULT);
			expect(mm.get_user64(-0x778000000000)).toBeNull();
			expect(mm.clear_user(a, PAGE_SIZE + 1)).toBe(-EFAULT);
			expect(mm.read(a, PAGE_SIZE + 1)).toBeNull();
		});
	});

	describe("everything given back", () => {
		it("leaves no page behind, whatever the order of release", () => {
			const mms = [k.new_mm(), k.new_mm()];
			const vs: number[] = [];
			const ks: number[] = [];
			for (let i = 0; i < 50; i++) {
				vs.push(k.vzalloc((1 + (i % 5)) * PAGE_SIZE));
				ks.push(k.kzalloc(1 + i * 150));
				for (const mm of mms) mm.write(mm.mmap(0, 3 * PAGE_SIZE, RW, ANON, null, 0), new Uint8Array(9000));
			}
			const p = k.alloc_percpu(24, 8);
			expect(m.pages_in_use()).toBeGreaterThan(base + 400);
			vs.reverse();
			for (const v of vs) k.vfree(v);
			for (const o of ks) k.kfree(o);
			k.free_percpu(p);
			for (const mm of mms) mm.exit();
			expect(m.pages_in_use()).toBe(base);
			expect(m.slab.objects).toBe(0);
			expect(m.vmalloc.nr_pages).toBe(0);
		});
	});
});
