// SPDX-License-Identifier: GPL-2.0-only
/** Random allocations, frees, faults and mappings by two processes, held against a model of an arena's pages. */
import { describe, expect, it } from "vitest";
import { UserFault } from "../../include/sys.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { addr_to_u64 } from "../../lib/addr.ts";
import { boot } from "../boot.ts";
import { fdget } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { TaskSys } from "../sys.ts";
import type { bpf_arena } from "./arena.ts";

const PAGE = 4096;
const N = 64;
const STEPS = 4000;

function random(seed: number): (n: number) => number {
	let s = seed;
	return (n) => {
		s ^= s << 13;
		s ^= s >>> 17;
		s ^= s << 5;
		return (s >>> 0) % n;
	};
}

/** Two processes that map one arena at one address. */
class World {
	readonly kernel: KernelImpl;
	readonly procs: TaskSys[];
	readonly arena: bpf_arena;
	readonly base: number;
	private readonly fds: number[];

	constructor(kernel: KernelImpl, start: number, flags: number) {
		this.kernel = kernel;
		this.procs = [0, 1].map(() => new TaskSys(kernel, kernel.new_task()));
		const [first, second] = this.procs as [TaskSys, TaskSys];
		const bpf = (sys: TaskSys, cmd: number, set: (a: bpf_attr) => void): number => {
			const mem = sys.mmap(0, PAGE, 3, 0x22, -1, 0);
			const attr = new bpf_attr();
			set(attr);
			sys.store(mem, attr.bytes);
			const ret = sys.bpf(cmd, mem, attr.bytes.length);
			sys.munmap(mem, PAGE);
			return ret;
		};
		const fd = bpf(first, U.BPF_MAP_CREATE, (a) => {
			a.map_type = U.BPF_MAP_TYPE_ARENA;
			a.max_entries = N;
			a.map_flags = U.BPF_F_MMAPABLE | flags;
			a.map_extra = BigInt(start);
		});
		kernel.current = first.task;
		this.arena = fdget(kernel, fd)!.private_data as bpf_arena;
		const other = bpf(second, U.BPF_MAP_GET_FD_BY_ID, (a) => {
			a.map_id = this.arena.id;
		});
		this.fds = [fd, other];
		this.base = start;
	}
	map(p: number): number {
		return this.procs[p]!.mmap(this.base, N * PAGE, 3, 0x11, this.fds[p]!, 0);
	}
	unmap(p: number): number {
		return this.procs[p]!.munmap(this.base, N * PAGE);
	}
	private body(name: string, ...args: (bigint | number)[]): bigint {
		const a = [0, 1, 2, 3, 4].map((i) => BigInt.asUintN(64, BigInt(args[i] ?? 0)));
		const cx = { kernel: this.kernel, cpu: 0, call: () => 0n };
		return this.kernel.bpf.bodies.get(name)!(cx, a[0]!, a[1]!, a[2]!, a[3]!, a[4]!);
	}
	alloc(addr: number, pages: number): number {
		return Number(this.body("bpf_arena_alloc_pages", addr_to_u64(this.arena.addr), addr, pages, -1, 0));
	}
	free(addr: number, pages: number): void {
		this.body("bpf_arena_free_pages", addr_to_u64(this.arena.addr), addr, pages);
	}
	/** A store of user space; false when it is a signal. */
	store(p: number, page: number, v: number): boolean {
		return this.user(() => this.procs[p]!.store32(this.base + page * PAGE, v)) !== null;
	}
	load(p: number, page: number): number | null {
		return this.user(() => this.procs[p]!.load32(this.base + page * PAGE));
	}
	private user<T>(access: () => T): T | null {
		try {
			return access();
		} catch (e) {
			if (e instanceof UserFault && e.signal === "SIGSEGV") return null;
			throw e;
		}
	}
	end(): void {
		for (const p of this.procs) this.kernel.exit_task(p.task);
		this.kernel.settle();
	}
}

describe("random histories of an arena", () => {
	it.each([
		["x86_64", 0x20 * 2 ** 32 + 0x7fff0000, 0, 1],
		["arm64", 0x20 * 2 ** 32, 0, 2],
		["x86_64", 0x21 * 2 ** 32 - N * PAGE, U.BPF_F_SEGV_ON_FAULT, 3],
		["arm64", 0x20 * 2 ** 32 + PAGE, U.BPF_F_SEGV_ON_FAULT, 4],
	] as const)("%s at 0x%i, flags %i, seed %i", (arch, start, flags, seed) => {
		const kernel = boot({ arch, cpu: "unicorn", cpus: 1, memory: 64 << 20 });
		kernel.bpf.bpf_get_btf_vmlinux();
		new World(kernel, start, flags).end();
		const before = [kernel.kmem.pages_in_use, kernel.kmem.objects_in_use];
		const w = new World(kernel, start, flags);
		const rnd = random(seed);
		// the model: what is in a page's first word, -1: no page; numbers that are taken; who has a mapping
		const word = new Int32Array(N).fill(-1);
		const taken = new Uint8Array(N);
		const mapped = [false, false];
		const gap = (n: number): number => {
			for (let at = 0; at + n <= N; at++) if (!taken.subarray(at, at + n).some((v) => v)) return at;
			return -1;
		};
		for (let step = 0; step < STEPS; step++) {
			const what = `step ${step}`;
			const p = rnd(2);
			const page = rnd(N);
			const n = 1 + rnd(rnd(4) === 0 ? 20 : 3);
			switch (rnd(8)) {
				case 0: {
					const at = gap(n);
					expect(w.alloc(0, n), what).toBe(at < 0 ? 0 : start + at * PAGE);
					if (at >= 0) {
						taken.fill(1, at, at + n);
						word.fill(0, at, at + n);
					}
					break;
				}
				case 1: {
					const free = page + n <= N && !taken.subarray(page, page + n).some((v) => v);
					// any 4 GiB will do
					const addr = start + page * PAGE + rnd(3) * 2 ** 32;
					expect(w.alloc(addr, n), what).toBe(free ? start + page * PAGE : 0);
					if (free) {
						taken.fill(1, page, page + n);
						word.fill(0, page, page + n);
					}
					break;
				}
				case 2:
				case 3: {
					w.free(start + page * PAGE + rnd(PAGE - 1) + 1, n);
					taken.fill(0, page, page + n);
					word.fill(-1, page, page + n);
					break;
				}
				case 4:
				case 5: {
					const ok = mapped[p]! && (word[page]! >= 0 || !flags);
					expect(w.store(p, page, step), what).toBe(ok);
					if (ok) {
						word[page] = step;
						taken[page] = 1;
					}
					break;
				}
				case 6: {
					const ok = mapped[p]! && (word[page]! >= 0 || !flags);
					expect(w.load(p, page), what).toBe(ok ? Math.max(word[page]!, 0) : null);
					if (ok && word[page] === -1) {
						word[page] = 0;
						taken[page] = 1;
					}
					break;
				}
				default:
					if (rnd(4)) break;
					// over itself, too
					if (rnd(3) === 0) {
						expect(w.unmap(p), what).toBe(0);
						mapped[p] = false;
					} else {
						expect(w.map(p), what).toBe(start);
						mapped[p] = true;
					}
			}
			if (step % 100 === 0)
				for (let i = 0; i < N; i++) {
					const kaddr = w.arena.kern_base + ((start + i * PAGE) % 2 ** 32);
					const there = kernel.kmem.virt_to_pfn(kaddr) >= 0;
					expect(there ? kernel.kmem.r32(kaddr) : -1, `${what}: page ${i}`).toBe(word[i]);
					expect(w.arena.mt.mtree_load(i), `${what}: number ${i}`).toBe(taken[i] === 1);
				}
		}
		w.end();
		expect([kernel.kmem.pages_in_use, kernel.kmem.objects_in_use]).toEqual(before);
		expect(kernel.log.filter((l) => /BUG|WARN/.test(l))).toEqual([]);
		kernel.machine!.close();
	});
});
