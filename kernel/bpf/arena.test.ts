// SPDX-License-Identifier: GPL-2.0-only
/** What programs do not reach of the arena: memory that runs out, races of mappings, page accounting, addresses at 4 GiB bounds. */
import { afterEach, describe, expect, it } from "vitest";
import { UserFault } from "../../include/sys.ts";
import { EBUSY, EFAULT, EINVAL, ENOMEM, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { MAP_FIXED, MAP_SHARED } from "../../include/uapi/asm-generic/mman.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { addr_to_u64 } from "../../lib/addr.ts";
import { MmStruct } from "../../mm/mmap.ts";
import { boot } from "../boot.ts";
import { fdget } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { vm_area_struct } from "../kmem.ts";
import { TaskSys } from "../sys.ts";
import type { bpf_arena } from "./arena.ts";
import { arena_map_ops } from "./arena.ts";

const PAGE = 4096;
const SZ_4G = 2 ** 32;
const RW = 3;

/** A process with an arena. */
class Process {
	readonly kernel: KernelImpl;
	readonly sys: TaskSys;
	private readonly mem: number;
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.sys = new TaskSys(kernel, kernel.new_task());
		this.mem = this.sys.mmap(0, PAGE, RW, 0x22, -1, 0);
	}
	create(entries: number, map_extra = 0n): number {
		const attr = new bpf_attr();
		attr.map_type = U.BPF_MAP_TYPE_ARENA;
		attr.max_entries = entries;
		attr.map_flags = U.BPF_F_MMAPABLE;
		attr.map_extra = map_extra;
		this.sys.store(this.mem, attr.bytes);
		return this.sys.bpf(U.BPF_MAP_CREATE, this.mem, attr.bytes.length);
	}
	arena(fd: number): bpf_arena {
		this.kernel.current = this.sys.task;
		return fdget(this.kernel, fd)!.private_data as bpf_arena;
	}
	map(fd: number, pages: number, addr = 0): number {
		return this.sys.mmap(addr, pages * PAGE, RW, addr ? MAP_SHARED | MAP_FIXED : MAP_SHARED, fd, 0);
	}
	private body(name: string, ...args: (bigint | number)[]): bigint {
		const a = [0, 1, 2, 3, 4].map((i) => BigInt.asUintN(64, BigInt(args[i] ?? 0)));
		const cx = { kernel: this.kernel, cpu: 0, call: () => 0n };
		return this.kernel.bpf.bodies.get(name)!(cx, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!);
	}
	alloc(arena: bpf_arena, addr: number, pages: number): number {
		return Number(this.body("bpf_arena_alloc_pages", addr_to_u64(arena.addr), addr, pages, -1, 0));
	}
	free(arena: bpf_arena, addr: number, pages: number): void {
		this.body("bpf_arena_free_pages", addr_to_u64(arena.addr), addr, pages);
	}
	signal(addr: number): string {
		try {
			this.sys.load8(addr);
			return "";
		} catch (e) {
			if (e instanceof UserFault) return e.signal;
			throw e;
		}
	}
	end(): void {
		this.kernel.exit_task(this.sys.task);
		this.kernel.settle();
	}
}

describe.each(["unicorn", "none"] as const)("arena, cpu: %s", (cpu) => {
	const kernels: KernelImpl[] = [];
	/** A kernel, and what it has in use before anything was done. */
	const booted = (
		memory = 64 << 20,
	): { kernel: KernelImpl; used: () => { pages: number; objects: number } } => {
		const kernel = boot({ cpu, cpus: 1, memory });
		kernels.push(kernel);
		kernel.bpf.bpf_get_btf_vmlinux();
		// layouts that are looked up once, slabs that stay
		const p = new Process(kernel);
		p.create(1);
		p.end();
		return {
			kernel,
			used: () => {
				kernel.settle();
				return { pages: kernel.kmem.pages_in_use, objects: kernel.kmem.objects_in_use };
			},
		};
	};
	afterEach(() => {
		for (const k of kernels.splice(0)) k.machine?.close();
	});

	it("gives every page back when the last mapping and descriptor are gone", () => {
		const { kernel, used } = booted();
		const before = used();
		const p = new Process(kernel);
		const fd = p.create(1000);
		const base = p.map(fd, 1000);
		const arena = p.arena(fd);
		expect(p.alloc(arena, 0, 100)).toBe(base);
		for (let i = 0; i < 1000; i += 7) p.sys.store64(base + i * PAGE, BigInt(i));
		p.free(arena, base + 50 * PAGE, 100);
		// the mapping holds the map
		expect(p.sys.close(fd)).toBe(0);
		kernel.settle();
		expect(p.sys.load64(base + 7 * PAGE)).toBe(7n);
		expect(p.sys.load64(base + 56 * PAGE)).toBe(0n);
		expect(p.sys.munmap(base, 1000 * PAGE)).toBe(0);
		p.end();
		expect(used()).toEqual(before);
	});

	// a million with BPF_MIRROR_LONG=1
	it("leaves no page behind after very many allocations and frees", () => {
		const { kernel, used } = booted();
		const p = new Process(kernel);
		const fd = p.create(1 << 20);
		const base = p.map(fd, 1 << 20);
		const arena = p.arena(fd);
		expect(base % SZ_4G).toBe(0);
		p.free(arena, p.alloc(arena, 0, 1024), 1024);
		const before = used();
		const N = process.env.BPF_MIRROR_LONG ? 1_000_000 : 100_000;
		const round = 5000;
		for (let done = 0; done < N; done += 2 * round) {
			for (let i = 0; i < round; i++) p.alloc(arena, 0, 1);
			p.free(arena, base + 1, round);
			const far = base + ((done * 37) % 900_000) * PAGE;
			expect(p.alloc(arena, far || 1, round)).toBe(far);
			for (let i = 0; i < round; i++) p.free(arena, far + i * PAGE + 1, 1);
		}
		expect(used()).toEqual(before);
		expect(p.alloc(arena, 0, 1)).toBe(base);
		p.end();
	});

	it("has no pages before anything fixed its address", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const fd = p.create(10);
		const arena = p.arena(fd);
		expect(p.alloc(arena, 0, 1)).toBe(0);
		p.free(arena, 4096, 1);
		const imm = { val: 0n };
		expect(arena_map_ops.map_direct_value_addr!(arena, imm, 1)).toBe(-ERANGE);
		expect(arena_map_ops.map_direct_value_addr!(arena, imm, 0)).toBe(0);
		const base = p.map(fd, 10);
		expect(arena_map_ops.map_direct_value_addr!(arena, imm, 10 * PAGE)).toBe(0);
		expect(imm.val).toBe(BigInt(base));
		expect(arena_map_ops.map_direct_value_addr!(arena, imm, 10 * PAGE + 1)).toBe(-ERANGE);
		p.end();
	});

	it("has 4 GiB of the kernel's addresses between guards of 32 KiB, to itself", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const GUARD = 32768;
		const [a, b] = [0, 0].map(() => {
			const fd = p.create(1 << 20);
			const base = p.map(fd, 1 << 20);
			const arena = p.arena(fd);
			// the first page and the last one are there
			p.sys.store64(base, 1n);
			p.sys.store64(base + SZ_4G - 8, 2n);
			return arena;
		}) as [bpf_arena, bpf_arena];
		for (const { kern_base, kern_vm } of [a, b]) {
			expect(kern_base).toBe(kern_vm + GUARD);
			expect(kernel.kmem.r64(kern_base)).toBe(1n);
			expect(kernel.kmem.r64(kern_base + SZ_4G - 8)).toBe(2n);
			expect(kernel.kmem.virt_to_pfn(kern_base - PAGE)).toBe(-1);
			expect(kernel.kmem.virt_to_pfn(kern_base + SZ_4G)).toBe(-1);
		}
		expect(Math.abs(a.kern_vm - b.kern_vm)).toBeGreaterThanOrEqual(SZ_4G + 2 * GUARD);
		p.end();
	});

	it("is not made when the kernel's addresses are out", () => {
		const { kernel, used } = booted();
		const before = used();
		const p = new Process(kernel);
		const get_vm_area = kernel.kmem.get_vm_area.bind(kernel.kmem);
		let left = 2;
		kernel.kmem.get_vm_area = (size) => (left-- > 0 ? get_vm_area(size) : 0);
		expect(p.create(1)).toBeGreaterThan(0);
		expect(p.create(1)).toBeGreaterThan(0);
		expect(p.create(1)).toBe(-ENOMEM);
		kernel.kmem.get_vm_area = get_vm_area;
		p.end();
		expect(used()).toEqual(before);
	});

	it("takes one of two first mappings that race", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const fd = p.create(10);
		const arena = p.arena(fd);
		const f = fdget(kernel, fd)!;
		// both have their address before either is mapped
		const at = arena_map_ops.map_get_unmapped_area!(f, 0, 10 * PAGE, 0, MAP_SHARED);
		const base = p.map(fd, 10);
		const vma = (start: number, pages: number): vm_area_struct => ({
			vm_start: start,
			vm_end: start + pages * PAGE,
			vm_flags: 0,
			vm_pgoff: 0,
			vm_file: f,
			vm_ops: null,
			vm_private_data: null,
			vm_mm: p.sys.task.mm,
		});
		expect(arena_map_ops.map_mmap!(arena, vma(at - 100 * PAGE, 10))).toBe(-EBUSY);
		expect(arena_map_ops.map_mmap!(arena, vma(base, 11))).toBe(-EBUSY);
		expect(arena.vma_list.length).toBe(1);
		p.end();
	});

	it("steps over a 4 GiB boundary that the address space would map across", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const boundary = 0x10 * SZ_4G;
		// a hint is taken where it is free
		const fd = p.create(4);
		expect(p.sys.mmap(boundary - 2 * PAGE, 4 * PAGE, RW, MAP_SHARED, fd, 0)).toBe(boundary);
		const other = p.create(4);
		expect(p.sys.mmap(boundary - 4 * PAGE, 4 * PAGE, RW, MAP_SHARED, other, 0)).not.toBe(boundary);
		const third = p.create(4);
		expect(p.sys.mmap(3 * boundary - 4 * PAGE, 4 * PAGE, RW, MAP_SHARED, third, 0)).toBe(
			3 * boundary - 4 * PAGE,
		);
		p.end();
	});

	it("counts addresses below its start from behind, as the kernel's 32-bit arithmetic does", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const start = 0x20 * SZ_4G + 0x40000000;
		const fd = p.create(16, BigInt(start));
		expect(p.map(fd, 16, start)).toBe(start);
		const arena = p.arena(fd);
		expect(p.alloc(arena, 0, 16)).toBe(start);
		// below: nothing of it is freed, though the range reaches in
		p.sys.store64(start, 1n);
		p.free(arena, start - PAGE, 1);
		expect(p.sys.load64(start)).toBe(1n);
		// an address of another 4 GiB is the same page
		p.free(arena, start + 7 * SZ_4G, 1);
		expect(p.sys.load64(start)).toBe(0n);
		expect(p.alloc(arena, start - PAGE, 1)).toBe(0);
		p.end();
	});

	it("warns when a fixed address leads to one across 4 GiB", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const fd = p.create(1 << 20);
		const base = p.map(fd, 1 << 20);
		// the free addresses below it begin a page off
		expect(p.sys.mmap(base - PAGE, PAGE, RW, 0x32, -1, 0)).toBe(base - PAGE);
		expect(p.sys.mmap(base, SZ_4G, RW, MAP_SHARED, fd, 0)).toBe(-EFAULT);
		expect(kernel.log).toContain("WARNING: kernel/bpf/arena.c: arena_get_unmapped_area");
		p.end();
	});

	it("has pages before it is mapped, once its address is known", () => {
		const { kernel, used } = booted();
		const before = used();
		const p = new Process(kernel);
		const start = 0x30 * SZ_4G;
		const fd = p.create(16, BigInt(start));
		const arena = p.arena(fd);
		expect(p.alloc(arena, 0, 3)).toBe(start);
		kernel.kmem.w64(arena.kern_base + PAGE, 42n);
		p.free(arena, start + 2 * PAGE, 1);
		expect(p.map(fd, 16, start)).toBe(start);
		expect(p.sys.load64(start + PAGE)).toBe(42n);
		expect(p.sys.load64(start + 2 * PAGE)).toBe(0n);
		p.end();
		expect(used()).toEqual(before);
	});

	it("maps where map_extra says and nowhere else", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const start = 0x30 * SZ_4G;
		const fd = p.create(16, BigInt(start));
		expect(p.map(fd, 16)).toBe(-EINVAL);
		expect(p.map(fd, 15, start)).toBe(-EINVAL);
		expect(p.alloc(p.arena(fd), 0, 1)).toBe(start);
		// a hint without MAP_FIXED will do where it is free
		expect(p.sys.mmap(start, 16 * PAGE, RW, MAP_SHARED, fd, 0)).toBe(start);
		p.end();
	});

	it("survives memory that runs out while pages are wanted", () => {
		const { kernel, used } = booted();
		const p = new Process(kernel);
		const fd = p.create(32768);
		const base = p.map(fd, 32768);
		const arena = p.arena(fd);
		const before = used();
		// more than there is: nothing of it stays, in the range tree neither
		expect(p.alloc(arena, 0, 32768)).toBe(0);
		expect(used()).toEqual(before);
		let n = 0;
		while (p.alloc(arena, 0, 16)) n += 16;
		while (p.alloc(arena, 0, 1)) n++;
		expect(n).toBeGreaterThan(1000);
		// user space's fault finds none either
		expect(p.signal(base + 32767 * PAGE)).toBe("SIGSEGV");
		p.free(arena, base + 1, 8);
		expect(p.signal(base + 32767 * PAGE)).toBe("");
		p.free(arena, base + 1, 32768);
		p.sys.munmap(base, 32768 * PAGE);
		p.end();
	});
});

/** Sum the values of a list (next, value) from the first argument on; the sum is the number of a system call. */
const WALK = {
	// xor eax,eax; 1: test rdi,rdi; jz 2f; add rax,[rdi+8]; mov rdi,[rdi]; jmp 1b; 2: syscall
	x86_64: Buffer.from("31c04885ff740948034708488b3febf20f05", "hex"),
	// mov x8,0; 1: cbz x0,2f; ldr x1,[x0,8]; add x8,x8,x1; ldr x0,[x0]; b 1b; 2: svc 0
	arm64: Buffer.from("080080d2a00000b4010440f90801018b000040f9fcffff17010000d4", "hex"),
} as const;

describe("arena on the machine", () => {
	it.each(["x86_64", "arm64"] as const)(
		"%s: native user code follows the kernel's pointers, fault by fault",
		(arch) => {
			const kernel = boot({ cpu: "unicorn", cpus: 1, memory: 64 << 20, arch });
			const machine = kernel.machine!;
			const p = new Process(kernel);
			const N = 200;
			const fd = p.create(2 * N);
			const base = p.map(fd, 2 * N);
			const arena = p.arena(fd);
			// as a program does it: through the kernel's addresses, with user space's as pointers; a page each
			let first = 0;
			let sum = 0;
			for (let i = 0; i < N; i++) {
				const node = p.alloc(arena, 0, 1) + 16 * i;
				const at = arena.kern_base + (node % SZ_4G);
				kernel.kmem.w64(at, BigInt(first));
				kernel.kmem.w64(at + 8, BigInt(i));
				first = node;
				sum += i;
			}
			const { mm } = p.sys.task;
			if (!(mm instanceof MmStruct)) throw new Error("no machine");
			const text = p.sys.mmap(0, PAGE, 7, 0x22, -1, 0);
			p.sys.store(text, WALK[arch]);
			const regs = machine.arch.new_user_regs();
			const walk = (): unknown => {
				regs.pc = text;
				regs.gpr[arch === "arm64" ? 0 : 7] = BigInt(first);
				return machine.arch.run_user(0, mm.table, regs);
			};
			const rss = mm.rss;
			expect(walk()).toEqual({ kind: "syscall", nr: sum });
			expect(mm.rss - rss).toBe(N);
			expect(walk()).toEqual({ kind: "syscall", nr: sum });
			expect(mm.rss - rss).toBe(N);
			// a node's page is freed and its pointer becomes 0: the walk ends there
			p.free(arena, base + 100 * PAGE, 1);
			expect(mm.rss - rss).toBe(N - 1);
			expect(walk()).toEqual({ kind: "syscall", nr: sum - (100 * 101) / 2 });
			p.end();
			machine.close();
		},
	);

	it("is not there after fork, and every failing allocation is undone", () => {
		const kernel = boot({ cpu: "unicorn", cpus: 1, memory: 64 << 20 });
		const p = new Process(kernel);
		const fd = p.create(16);
		const base = p.map(fd, 16);
		const arena = p.arena(fd);
		p.sys.store64(base, 1n);
		const { mm } = p.sys.task;
		if (!(mm instanceof MmStruct)) throw new Error("no machine");
		const child = mm.fork()!;
		expect(child.vma_lookup(base)).toBeNull();
		expect(mm.vma_lookup(base)).not.toBeNull();
		child.exit();

		const { pages } = kernel.machine!;
		const failing = (nth: number): void => {
			let left = nth;
			pages.should_fail = () => left-- === 0;
		};
		const before = kernel.kmem.pages_in_use;
		for (let nth = 0; nth < 3; nth++) {
			failing(nth);
			expect(p.alloc(arena, 0, 3), `allocation ${nth}`).toBe(0);
			pages.should_fail = null;
			expect(kernel.kmem.pages_in_use).toBe(before);
		}
		failing(0);
		expect(p.signal(base + PAGE)).toBe("SIGSEGV");
		pages.should_fail = null;
		expect(p.signal(base + PAGE)).toBe("");
		expect(p.alloc(arena, 0, 3)).toBe(base + 2 * PAGE);

		// creation: neither addresses nor the struct stay
		const areas = kernel.machine!.vmalloc.nr_areas;
		const { slab } = kernel.machine!;
		const kzalloc = slab.kzalloc.bind(slab);
		slab.kzalloc = () => 0;
		kernel.machine!.vmalloc.should_fail = () => true;
		expect(p.create(16)).toBe(-ENOMEM);
		slab.kzalloc = kzalloc;
		kernel.machine!.vmalloc.should_fail = null;
		expect(kernel.machine!.vmalloc.nr_areas).toBe(areas);
		p.end();
		kernel.machine!.close();
	});
});
