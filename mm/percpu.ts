// SPDX-License-Identifier: GPL-2.0-only
/**
 * mm/percpu.c: a percpu pointer is an offset that is the same on every CPU; a CPU's own copy lies
 * at __per_cpu_offset[cpu] + offset (x86 reaches it through gs). Low offsets hold the kernel's
 * static percpu variables.
 */
import type { Arch } from "../arch/arch.ts";
import { PROT_KERNEL } from "../arch/arch.ts";
import { PAGE_SIZE } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_KERNEL } from "./gfp.ts";
import type { KernelMemory } from "./memory.ts";
import type { PageAllocator } from "./page_alloc.ts";
import { SlabCore } from "./slab.ts";
import { VaRange } from "./va_range.ts";

/** include/linux/percpu.h: PCPU_MIN_UNIT_SIZE, the largest allocation */
export const PCPU_MIN_UNIT_SIZE = 32 << 10;
/** room for static variables, mapped at boot */
const STATIC_SIZE = 64 << 10;

export class Percpu {
	private readonly arch: Arch;
	private readonly pages: PageAllocator;
	private readonly mem: KernelMemory;
	private readonly nr_cpus: number;
	private readonly range: VaRange;
	private readonly core: SlabCore;
	private readonly statics = new Map<string, number>();
	private static_end = 64;
	/** asked before every allocation; true makes it fail (fault injection of tests) */
	should_fail: ((size: number, gfp: number) => boolean) | null = null;

	constructor(arch: Arch, pages: PageAllocator, mem: KernelMemory, nr_cpus: number) {
		this.arch = arch;
		this.pages = pages;
		this.mem = mem;
		this.nr_cpus = nr_cpus;
		this.range = new VaRange(STATIC_SIZE, arch.layout.percpu_unit);
		this.core = new SlabCore(
			{
				alloc_run: (order, gfp) => this.populate(order, gfp),
				free_run: (off, order) => this.depopulate(off, order),
			},
			0,
		);
		for (let cpu = 0; cpu < nr_cpus; cpu++)
			for (let off = 0; off < STATIC_SIZE; off += PAGE_SIZE)
				if (!this.map_page(cpu, off, GFP_KERNEL)) throw new Error("out of memory at boot");
	}

	private map_page(cpu: number, off: number, gfp: number): boolean {
		const pfn = this.pages.alloc_page(gfp | __GFP_ZERO);
		if (pfn < 0) return false;
		if (this.arch.kernel_table.map(this.per_cpu_ptr(off, cpu), pfn * PAGE_SIZE, PROT_KERNEL) === 0)
			return true;
		this.pages.__free_page(pfn);
		return false;
	}

	private unmap_page(cpu: number, off: number): void {
		const va = this.per_cpu_ptr(off, cpu);
		const pa = this.arch.kernel_table.unmap(va);
		this.mem.flush_page(va);
		if (pa >= 0) this.pages.__free_page(pa / PAGE_SIZE);
	}

	private populate(order: number, gfp: number): number {
		const size = PAGE_SIZE << order;
		const off = this.range.alloc(size, size);
		if (off === null) return 0;
		for (let cpu = 0; cpu < this.nr_cpus; cpu++) {
			for (let at = 0; at < size; at += PAGE_SIZE) {
				if (this.map_page(cpu, off + at, gfp)) continue;
				// take back what was mapped so far
				for (let c = 0; c <= cpu; c++)
					for (let a = 0; a < (c < cpu ? size : at); a += PAGE_SIZE) this.unmap_page(c, off + a);
				this.arch.flush_tlb();
				this.range.free(off, size);
				return 0;
			}
		}
		return off;
	}

	private depopulate(off: number, order: number): void {
		const size = PAGE_SIZE << order;
		for (let cpu = 0; cpu < this.nr_cpus; cpu++)
			for (let at = 0; at < size; at += PAGE_SIZE) this.unmap_page(cpu, off + at);
		this.arch.flush_tlb();
		this.range.free(off, size);
	}

	/** per_cpu_ptr(): address of a CPU's own copy */
	per_cpu_ptr(p: number, cpu: number): number {
		return p + this.arch.per_cpu_offset(cpu);
	}

	/** __alloc_percpu_gfp(): percpu pointer of zeroed memory, or 0 */
	alloc_percpu_gfp(size: number, align: number, gfp: number): number {
		if (size <= 0 || size > PCPU_MIN_UNIT_SIZE || align > PAGE_SIZE || this.should_fail?.(size, gfp))
			return 0;
		// sizes that are not a power of two are aligned to 8 only
		const want = align > 8 ? 1 << Math.ceil(Math.log2(Math.max(size, align))) : size;
		const p = this.core.alloc(want, gfp);
		if (p === 0) return 0;
		for (let cpu = 0; cpu < this.nr_cpus; cpu++) this.mem.fill(this.per_cpu_ptr(p, cpu), size, 0);
		return p;
	}

	/** __alloc_percpu() */
	alloc_percpu(size: number, align = 8): number {
		return this.alloc_percpu_gfp(size, align, GFP_KERNEL);
	}

	/** free_percpu() */
	free_percpu(p: number): void {
		if (p !== 0) this.core.free(p);
	}

	/** Bytes of an allocation rounded up; 0 when none starts there. */
	size_of(p: number): number {
		return this.core.size_of(p);
	}

	/** DEFINE_PER_CPU(): offset of a static variable; the same name gives the same offset. */
	define_static(name: string, size: number, align = 8): number {
		const had = this.statics.get(name);
		if (had !== undefined) return had;
		const off = Math.ceil(this.static_end / align) * align;
		if (off + size > STATIC_SIZE) throw new Error(`no room for the percpu variable ${name}`);
		this.static_end = off + size;
		this.statics.set(name, off);
		return off;
	}

	/** Offset of a static variable, or undefined. */
	static_offset(name: string): number | undefined {
		return this.statics.get(name);
	}

	/** Objects handed out and not freed. */
	get objects(): number {
		return this.core.objects;
	}

	shrink(): void {
		this.core.shrink();
	}
}
