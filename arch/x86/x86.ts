// SPDX-License-Identifier: GPL-2.0-only
/** The x86-64 machine: page tables, text, CPUs and exception tables in one object. */
import { PAGE_SIZE, type Ram } from "../../virt/ram.ts";
import { load_unicorn, type UnicornApi } from "../../virt/unicorn.ts";
import { X86Vcpu } from "../../virt/x86_vcpu.ts";
import {
	type Arch,
	type Cpu,
	type ExceptionEntry,
	type Fault,
	type FaultHandler,
	type KernelLayout,
	type PageTable,
	PROT_KERNEL,
	type TablePages,
	type UserExit,
	type UserRegs,
} from "../arch.ts";
import { X86Cpu, X86UserRegs } from "./cpu.ts";
import { PAGE_OFFSET, PERCPU_BASE, PERCPU_UNIT, VMALLOC_START, X86_LAYOUT } from "./layout.ts";
import { X86PageTable } from "./paging.ts";
import { X86Text } from "./text.ts";

/** what one entry of the top level covers */
const PGD_SPAN = 0x8000000000;
/** entries of the vmalloc region that are there from the start, and so in every address space */
export const VMALLOC_PGDS = 4;

export interface X86Options {
	cpus: number;
	/** path of libunicorn when it is not to be searched for */
	unicorn?: string;
	stall_ms?: number;
	tick_ms?: number;
}

export class X86Arch implements Arch {
	readonly name = "x86_64" as const;
	readonly ram: Ram;
	readonly layout: KernelLayout = X86_LAYOUT;
	readonly kernel_table: X86PageTable;
	readonly text: X86Text;
	private readonly pages: TablePages;
	private readonly api: UnicornApi;
	private readonly made: (X86Cpu | null)[];
	private readonly opts: X86Options;
	private readonly stacks: number[];
	/** counts the times that mappings were narrowed; a CPU behind it flushes before it runs */
	tlb_gen = 0;
	/** address a call returns to, and that of a bare `ret` and a bare `sysretq` */
	readonly return_stub: number;
	readonly ret_code: number;
	readonly sysret_code: number;
	on_fault: FaultHandler | null = null;
	on_trap: ((cpu: Cpu, fault: Fault) => number | null) | null = null;
	on_call: ((cpu: Cpu, addr: number) => bigint | number | undefined) | null = null;
	private readonly extable = new Map<number, ExceptionEntry>();
	private readonly extable_owners = new Map<object, readonly ExceptionEntry[]>();

	constructor(ram: Ram, pages: TablePages, opts: X86Options) {
		this.ram = ram;
		this.pages = pages;
		this.opts = opts;
		this.api = load_unicorn(opts.unicorn);
		this.kernel_table = new X86PageTable(ram, pages, null);
		this.made = new Array<X86Cpu | null>(opts.cpus).fill(null);
		this.stacks = new Array<number>(opts.cpus).fill(0);
		for (let pa = 0; pa < ram.size; pa += 2 << 20)
			if (this.kernel_table.map_large(PAGE_OFFSET + pa, pa, PROT_KERNEL))
				throw new RangeError("RAM too small");
		for (let i = 0; i < VMALLOC_PGDS; i++) this.kernel_table.populate_top(VMALLOC_START + i * PGD_SPAN);
		for (let cpu = 0; cpu < opts.cpus; cpu++) this.kernel_table.populate_top(PERCPU_BASE + cpu * PERCPU_UNIT);
		this.kernel_table.populate_top(-PAGE_SIZE);
		this.text = new X86Text(ram, this.kernel_table, pages);
		// stub 0: the run loop knows it by its number
		this.return_stub = this.text.define("__bpf_mirror_return");
		this.ret_code = this.text.define_code("__bpf_mirror_ret", Uint8Array.of(0xc3));
		this.sysret_code = this.text.define_code("__bpf_mirror_sysret", Uint8Array.of(0x48, 0x0f, 0x07));
		this.text.on_write = (start, end) => this.flush_icache(start, end);
		this.text.define("__bpf_call_base");
	}

	/** Engines are made when first used. */
	cpu(id: number): X86Cpu {
		const had = this.made[id];
		if (had) return had;
		if (had === undefined) throw new Error(`no CPU ${id}`);
		const vcpu = new X86Vcpu(this.api, this.ram, this.kernel_table.root, this.opts.tick_ms);
		const cpu = new X86Cpu(this, id, vcpu, this.opts.stall_ms ?? 10_000);
		cpu.stack_top = this.stacks[id]!;
		this.made[id] = cpu;
		return cpu;
	}

	get cpus(): readonly Cpu[] {
		return this.made.map((_c, id) => this.cpu(id));
	}

	per_cpu_offset(cpu: number): number {
		return PERCPU_BASE + cpu * PERCPU_UNIT;
	}

	new_user_table(): PageTable | null {
		try {
			return new X86PageTable(this.ram, this.pages, this.kernel_table);
		} catch (e) {
			if (e instanceof RangeError) return null;
			throw e;
		}
	}

	switch_table(cpu: number, table: PageTable | null): void {
		this.cpu(cpu).set_table(table);
	}

	drop_table(table: PageTable): void {
		for (const c of this.made) if (c?.root === table.root) c.set_table(null);
	}

	flush_tlb(): void {
		this.tlb_gen++;
	}

	flush_icache(start: number, end: number): void {
		for (const c of this.made) {
			if (!c) continue;
			c.vcpu.flush_tlb();
			c.vcpu.flush_code(start, end);
		}
	}

	flush_icache_all(): void {
		for (const c of this.made) c?.vcpu.flush_all_code();
	}

	set_stack(cpu: number, top: number): void {
		this.stacks[cpu] = top;
		const c = this.made[cpu];
		if (!c) return;
		c.stack_top = top;
		c.forget_stack();
	}

	run(cpu: number, addr: number, args: readonly (bigint | number)[]): bigint {
		return this.cpu(cpu).run(addr, args);
	}

	run_user(cpu: number, table: PageTable, regs: UserRegs): UserExit {
		return this.cpu(cpu).run_user(table, regs);
	}

	new_user_regs(): UserRegs {
		return new X86UserRegs();
	}

	/** A stub without a handler was called. */
	unhandled(cpu: X86Cpu): bigint | number | undefined {
		if (this.on_call) return this.on_call(cpu, cpu.callee);
		throw new Error(`not ported: kernel function ${this.describe(cpu.callee)} was called by machine code`);
	}

	add_extable(owner: object, entries: readonly ExceptionEntry[]): void {
		this.remove_extable(owner);
		this.extable_owners.set(owner, entries);
		for (const e of entries) this.extable.set(e.insn, e);
	}

	remove_extable(owner: object): void {
		for (const e of this.extable_owners.get(owner) ?? [])
			if (this.extable.get(e.insn) === e) this.extable.delete(e.insn);
		this.extable_owners.delete(owner);
	}

	search_extable(pc: number): ExceptionEntry | null {
		return this.extable.get(pc) ?? null;
	}

	/** An address as the kernel prints it: symbol+offset, or the number. */
	describe(pc: number): string {
		const u = BigInt.asUintN(64, BigInt(pc));
		const s = this.text.lookup(u);
		return s ? `${s.name}+0x${s.offset.toString(16)}` : `0x${u.toString(16)}`;
	}

	get kernel_table_pages(): number {
		return this.kernel_table.nr_tables + this.text.nr_pages;
	}

	close(): void {
		for (const c of this.made) c?.vcpu.close();
		this.made.fill(null);
	}
}
