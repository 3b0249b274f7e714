// SPDX-License-Identifier: GPL-2.0-only
/**
 * What happens to arenas, for people who want to see (`bpf-mirror arena`); the kernel has nothing like it. With
 * nobody watching, all that is left of it is a look at BpfState.arena_watch where something happens.
 */
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { MmStruct } from "../../mm/mmap.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { impl } from "../kernel_impl.ts";
import { PAGE_SIZE, VM_WRITE } from "../kmem.ts";
import type { bpf_arena } from "./arena.ts";
import type { bpf_prog } from "./bpf_types.ts";

const LD_IMM64 = 0x18;

/** Which arena. */
export interface ArenaId {
	readonly id: number;
	readonly name: string;
}

/** A page is counted from the user's beginning of the arena (pgoff). */
export type ArenaEvent = ArenaId &
	(
		| { readonly kind: "release" }
		| { readonly kind: "map" | "unmap"; readonly pid: number; readonly start: number; readonly end: number }
		/** A page fault of user space. `how`: the page was there, is new, or cannot be had, which is a signal. */
		| {
				readonly kind: "fault";
				readonly pid: number;
				readonly addr: number;
				readonly page: number;
				readonly write: boolean;
				readonly how: "present" | "new" | "SIGSEGV";
				readonly why?: string;
		  }
		/** bpf_arena_alloc_pages(); `page` is -1 when there are none, for the reason given. */
		| {
				readonly kind: "alloc";
				readonly prog: string;
				readonly pages: number;
				readonly page: number;
				readonly addr: number;
				readonly why?: string;
		  }
		/** bpf_arena_free_pages(), cut at the arena's end; `freed` of the pages were there. */
		| {
				readonly kind: "free";
				readonly prog: string;
				readonly page: number;
				readonly pages: number;
				readonly freed: number;
		  }
		/** A program's access to a page that is not there (-1: outside): a load reads 0, a store or an atomic is lost. */
		| {
				readonly kind: "miss";
				readonly prog: string;
				readonly insn: number;
				readonly page: number;
				readonly write: boolean;
		  }
	);

/** An arena as it is. */
export interface ArenaState extends ArenaId {
	readonly max_entries: number;
	readonly map_flags: number;
	readonly map_extra: bigint;
	readonly user_vm_start: bigint;
	readonly user_vm_end: bigint;
	/** Where the kernel has the page whose user address has 0 in its low half; behind it lie 4 GiB, guards around them. */
	readonly kern_vm_start: bigint;
	/** Pages that are there, in order: number, references, processes that map it. */
	readonly pages: readonly {
		readonly page: number;
		readonly refs: number;
		readonly pids: readonly number[];
	}[];
	/** Page numbers that are taken in the tree and have no page. */
	readonly holes: readonly number[];
	readonly mappings: readonly {
		readonly pid: number;
		readonly comm: string;
		readonly start: number;
		readonly end: number;
		readonly writable: boolean;
		/** Pages that its page tables map. */
		readonly resident: number;
	}[];
}

/** The program that an address of machine code belongs to. */
function prog_at(kernel: KernelImpl, pc: number): bpf_prog | null {
	const at = BigInt.asUintN(64, BigInt(pc));
	for (const p of kernel.bpf.ksyms) if (at >= p.aux.ksym.start && at < p.aux.ksym.end) return p;
	return null;
}

/** Name of a program or of one of its functions, without the tag. */
function name_of(prog: bpf_prog | null): string {
	return prog ? prog.aux.ksym.name.replace(/^bpf_prog_[0-9a-f]{16}_/, "") : "?";
}

/** The program whose machine code called the kernel function that runs. */
export function calling_prog(kernel: KernelImpl): string {
	const cpu = kernel.machine?.arch.cpus[kernel.cpu];
	return name_of(cpu?.busy ? prog_at(kernel, cpu.caller) : null);
}

/** The arena that an address of the kernel's lies in, guards included. */
function arena_at(kernel: KernelImpl, addr: number): bpf_arena | null {
	const is_arena = (m: object): m is bpf_arena => "kern_vm" in m;
	for (const m of kernel.bpf.maps.values())
		if (is_arena(m) && addr >= m.kern_vm && addr < m.kern_base + 2 ** 32 + 32768) return m;
	return null;
}

/** A program's access faulted, and its exception table takes care of it. */
export function note_missing(kernel: KernelImpl, pc: number, addr: number, write: boolean): void {
	const sink = kernel.bpf.arena_watch;
	if (!sink) return;
	const arena = arena_at(kernel, addr);
	if (!arena) return;
	const prog = prog_at(kernel, pc);
	const page = Math.floor(
		(addr - arena.kern_base - Number(BigInt.asUintN(32, arena.user_vm_start))) / PAGE_SIZE,
	);
	const nr = Number(arena.user_vm_end - arena.user_vm_start) / PAGE_SIZE;
	sink({
		kind: "miss",
		id: arena.id,
		name: arena.name,
		prog: name_of(prog),
		insn: prog ? insn_of(kernel, prog, pc) : -1,
		page: page >= 0 && page < nr ? page : -1,
		write,
	});
}

/** Number of the BPF instruction that machine code belongs to; -1 when that is not known. */
function insn_of(kernel: KernelImpl, prog: bpf_prog, pc: number): number {
	const ends = kernel.bpf.jit?.insn_ends?.(prog);
	if (!ends) return -1;
	const off = pc - u64_to_addr(prog.bpf_func);
	// a 64-bit load has its end at its second half
	for (let i = 0; i < prog.insnsi.length; i++) {
		const first = i;
		if (prog.insnsi[i]!.code === LD_IMM64) i++;
		if (off < (ends[i + 1] ?? 0)) return first;
	}
	return -1;
}

/** What an arena is now. Walks its page tables, which skips what was never touched. */
export function arena_state(arena: bpf_arena): ArenaState {
	const k = impl(arena.kernel);
	const { kmem } = k;
	const start = u64_to_addr(arena.user_vm_start);
	const nr = Number(arena.user_vm_end - arena.user_vm_start) / PAGE_SIZE;
	const low = Number(BigInt.asUintN(32, arena.user_vm_start));
	const views = arena.vma_list.map(({ vma }) => {
		const task = [...k.tasks.values()].find((t) => t.mm === vma.vm_mm && t.pid === t.tgid);
		const { vm_mm: mm } = vma;
		const mapped = new Set<number>();
		if (mm instanceof MmStruct) {
			const { table } = mm;
			let va = table.next_mapped(vma.vm_start, vma.vm_end);
			for (; va < vma.vm_end; va = table.next_mapped(va + PAGE_SIZE, vma.vm_end))
				mapped.add((va - vma.vm_start) / PAGE_SIZE);
		}
		return { vma, pid: task?.pid ?? 0, comm: task?.comm ?? "", mapped };
	});
	const pages: { page: number; refs: number; pids: number[] }[] = [];
	const seen = new Set<number>();
	const table = k.machine?.arch.kernel_table;
	const base = arena.kern_base;
	const end = base + low + nr * PAGE_SIZE;
	const next = (va: number): number => (table ? table.next_mapped(va, end) : va);
	for (let va = next(base + low); va < end; va = next(va + PAGE_SIZE)) {
		const pfn = kmem.virt_to_pfn(va);
		if (pfn < 0) continue;
		const page = (va - base - low) / PAGE_SIZE;
		seen.add(page);
		const pids = views.filter((v) => v.mapped.has(page)).map((v) => v.pid);
		pages.push({ page, refs: kmem.page_count(pfn), pids });
	}
	const holes: number[] = [];
	for (let i = 0; i < nr; i++) if (!seen.has(i) && arena.mt.mtree_load(i)) holes.push(i);
	return {
		id: arena.id,
		name: arena.name,
		max_entries: arena.max_entries,
		map_flags: arena.map_flags,
		map_extra: arena.map_extra,
		user_vm_start: addr_to_u64(start),
		user_vm_end: arena.user_vm_end,
		kern_vm_start: arena.kern_vm_start,
		pages,
		holes,
		mappings: views.map(({ vma, pid, comm, mapped }) => ({
			pid,
			comm,
			start: vma.vm_start,
			end: vma.vm_end,
			writable: (vma.vm_flags & VM_WRITE) !== 0,
			resident: mapped.size,
		})),
	};
}

/** All arenas that there are. */
export function arena_states(kernel: KernelImpl): ArenaState[] {
	const is_arena = (m: object): m is bpf_arena => "kern_vm" in m;
	return [...kernel.bpf.maps.values()].filter((m) => is_arena(m)).map((m) => arena_state(m));
}
