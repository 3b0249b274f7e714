// SPDX-License-Identifier: GPL-2.0-only
/** The emulated machine with its memory management set up: what a Kernel is booted on. */

import type { ArchName } from "../arch/abis.ts";
import { type Arch, type KernelText, PROT_KERNEL } from "../arch/arch.ts";
import { ARCHES } from "../arch/arches.ts";
import { VMALLOC_PGDS } from "../arch/base_arch.ts";
import { PAGE_SIZE, Ram } from "../virt/ram.ts";
import { __GFP_ZERO, GFP_KERNEL } from "./gfp.ts";
import { GuestFault } from "./guest_memory.ts";
import { KernelMemory } from "./memory.ts";
import { PageAllocator } from "./page_alloc.ts";
import { Percpu } from "./percpu.ts";
import { Slab } from "./slab.ts";
import { Vmalloc } from "./vmalloc.ts";

export interface MachineConfig {
	arch: ArchName;
	cpus: number;
	/** bytes of RAM; a multiple of 4 MiB */
	memory: number;
	/** path of libunicorn when it is not to be searched for */
	unicorn?: string;
	/** wall time in ms after which a run of machine code counts as stalled */
	stall_ms?: number;
}

export interface Machine {
	readonly arch: Arch;
	/** kernel addresses: loads and stores of kernel code */
	readonly mem: KernelMemory;
	readonly pages: PageAllocator;
	readonly slab: Slab;
	readonly vmalloc: Vmalloc;
	/** executable memory for images (module_alloc, bpf_prog_pack): read-only and executable for the guest */
	readonly modules: Vmalloc;
	readonly percpu: Percpu;
	/** kernel text: `text.define(name, handler)` registers what a helper, kfunc or kernel function does */
	readonly text: KernelText;
	/** Each CPU's stack, by its top. */
	readonly stacks: readonly number[];
	/** Call machine code in kernel mode: its return value, or KernelOops / Stall thrown. */
	run(cpu: number, addr: number, args: readonly (bigint | number)[]): bigint;
	/** text_poke(): write code whatever its pages' rights, and make every CPU see it */
	text_poke(va: number, code: Uint8Array): void;
	/** Pages in use now, less those of the kernel's own page tables: equal before and after when nothing leaks. */
	pages_in_use(): number;
	close(): void;
}

/** arch/x86/include/asm/page_64_types.h: THREAD_SIZE */
const THREAD_PAGES = 4;

/** A kernel stack of 16 KiB with unmapped pages below and above (VMAP_STACK): its top, or 0. */
export function alloc_thread_stack(m: { vmalloc: Vmalloc; pages: PageAllocator; arch: Arch }): number {
	// the lowest page of the area stays unmapped: an overflow faults instead of running into a neighbour
	const area = m.vmalloc.get_vm_area((THREAD_PAGES + 1) * PAGE_SIZE, 0);
	if (!area) return 0;
	const pfns = new Int32Array(THREAD_PAGES);
	for (let i = 0; i < THREAD_PAGES; i++) {
		const pfn = m.pages.alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (pfn < 0 || m.arch.kernel_table.map(area.addr + (i + 1) * PAGE_SIZE, pfn * PAGE_SIZE, PROT_KERNEL)) {
			if (pfn >= 0) m.pages.__free_page(pfn);
			for (let j = 0; j < i; j++) m.pages.__free_page(pfns[j]!);
			m.vmalloc.free_vm_area(area);
			return 0;
		}
		pfns[i] = pfn;
	}
	area.pages = pfns;
	return area.addr + (THREAD_PAGES + 1) * PAGE_SIZE;
}

/** Give a stack back by its top. */
export function free_thread_stack(m: { vmalloc: Vmalloc; pages: PageAllocator }, top: number): void {
	const area = m.vmalloc.find_vm_area(top - (THREAD_PAGES + 1) * PAGE_SIZE);
	if (!area) throw new Error("BUG: no such kernel stack");
	m.vmalloc.free_vm_area(area);
	for (const pfn of area.pages) m.pages.__free_page(pfn);
}

/** Set up a machine: RAM, page tables with the direct map, allocators, percpu areas, a stack for each CPU. */
export function create_machine(config: MachineConfig): Machine {
	const ram = new Ram(config.memory);
	const { layout, machine } = ARCHES[config.arch];
	const pages = new PageAllocator(ram, layout.direct_map);
	const tables = {
		alloc_table: () => pages.alloc_page(GFP_KERNEL | __GFP_ZERO),
		free_table: (pfn: number) => pages.__free_page(pfn),
	};
	const opts = { cpus: config.cpus, unicorn: config.unicorn, stall_ms: config.stall_ms };
	const arch = machine(ram, tables, opts);
	const mem = new KernelMemory(ram, arch.kernel_table, layout.direct_map);
	const slab = new Slab(pages, mem);
	// only addresses below these top-level entries are in every address space
	const vmalloc_end = layout.vmalloc_start + VMALLOC_PGDS * 0x8000000000;
	const vmalloc = new Vmalloc(arch, pages, mem, layout.vmalloc_start, vmalloc_end);
	const modules = new Vmalloc(arch, pages, mem, layout.modules_start, layout.modules_end);
	const percpu = new Percpu(arch, pages, mem, config.cpus);

	const m = { vmalloc, pages, arch };
	const tops: number[] = [];
	for (let cpu = 0; cpu < config.cpus; cpu++) {
		const top = alloc_thread_stack(m);
		if (top === 0) throw new RangeError("RAM too small");
		arch.set_stack(cpu, top);
		tops.push(top);
	}
	arch.setup_percpu(
		{
			define_static: (name, size, align) => percpu.define_static(name, size, align),
			per_cpu_ptr: (offset, cpu) => percpu.per_cpu_ptr(offset, cpu),
			w32: (va, v) => mem.w32(va, v),
			wptr: (va, v) => mem.wptr(va, v),
		},
		tops,
	);

	return {
		arch,
		mem,
		pages,
		slab,
		vmalloc,
		modules,
		percpu,
		text: arch.text,
		stacks: tops,
		run: (cpu, addr, args) => arch.run(cpu, addr, args),
		pages_in_use() {
			slab.shrink();
			percpu.shrink();
			return pages.in_use - arch.kernel_table_pages;
		},
		text_poke(va, code) {
			for (let at = 0; at < code.length; ) {
				const pa = arch.kernel_table.walk_pa(va + at);
				if (pa < 0) throw new GuestFault(va + at, true, "text_poke of an unmapped page");
				const n = Math.min(code.length - at, PAGE_SIZE - (pa % PAGE_SIZE));
				mem.write(layout.direct_map + pa, code.subarray(at, at + n));
				at += n;
			}
			arch.flush_icache(va, va + code.length);
		},
		close() {
			arch.close();
			ram.close();
		},
	};
}
