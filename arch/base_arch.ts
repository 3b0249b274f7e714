// SPDX-License-Identifier: GPL-2.0-only
/** What machines of every architecture share: CPUs made when needed, exception tables, text. */
import { PAGE_SIZE, type Ram } from "../virt/ram.ts";
import { load_unicorn, type UnicornApi } from "../virt/unicorn.ts";
import type { Vcpu } from "../virt/vcpu.ts";
import {
	type Arch,
	type Asleep,
	type Cpu,
	type ExceptionEntry,
	type Fault,
	type FaultHandler,
	type KernelLayout,
	type PageTable,
	PROT_KERNEL,
	type SteppedCpu,
	type TablePages,
	type UserExit,
	type UserRegs,
} from "./arch.ts";
import type { BaseCpu } from "./cpu.ts";
import { FourLevelTable, type PteFormat } from "./paging.ts";
import { StubText, type TextLayout } from "./text.ts";

/** what one entry of the top level covers */
const PGD_SPAN = 0x8000000000;
/** entries of the vmalloc region that are there from the start, and so in every address space */
export const VMALLOC_PGDS = 4;

export interface ArchOptions {
	cpus: number;
	/** path of libunicorn when it is not to be searched for */
	unicorn?: string;
	stall_ms?: number;
}

type AnyCpu = BaseCpu<Vcpu>;

/** The percpu areas as an architecture lays out its own variables in them. */
export interface PercpuAreas {
	/** Offset of a variable in each CPU's area. */
	define_static(name: string, size: number, align?: number): number;
	per_cpu_ptr(offset: number, cpu: number): number;
	w32(va: number, v: number): void;
	wptr(va: number, v: number): void;
}

export abstract class BaseArch implements Arch {
	abstract readonly name: "x86_64" | "arm64";
	readonly ram: Ram;
	readonly layout: KernelLayout;
	readonly kernel_table: FourLevelTable;
	readonly text: StubText;
	protected readonly pages: TablePages;
	protected readonly api: UnicornApi;
	protected readonly opts: ArchOptions;
	private readonly format: PteFormat;
	private readonly made: (AnyCpu | null)[];
	private all: readonly AnyCpu[] | null = null;
	private readonly stacks: number[];
	private readonly currents: number[];
	/** counts the times that mappings were narrowed; a CPU behind it flushes before it runs */
	tlb_gen = 0;
	/** address that a call of machine code returns to: the first stub */
	readonly return_stub: number;
	on_fault: FaultHandler | null = null;
	on_trap: ((cpu: Cpu, fault: Fault) => number | null) | null = null;
	on_call: ((cpu: Cpu, addr: number) => bigint | number | undefined) | null = null;
	private readonly extable = new Map<number, ExceptionEntry>();
	private readonly extable_owners = new Map<object, readonly ExceptionEntry[]>();

	constructor(
		ram: Ram,
		pages: TablePages,
		opts: ArchOptions,
		layout: KernelLayout,
		format: PteFormat,
		text: TextLayout,
	) {
		this.ram = ram;
		this.pages = pages;
		this.opts = opts;
		this.layout = layout;
		this.format = format;
		this.api = load_unicorn(opts.unicorn);
		this.kernel_table = new FourLevelTable(ram, pages, format, true, null);
		this.made = new Array<AnyCpu | null>(opts.cpus).fill(null);
		this.stacks = new Array<number>(opts.cpus).fill(0);
		this.currents = new Array<number>(opts.cpus).fill(0);
		for (let pa = 0; pa < ram.size; pa += 2 << 20)
			if (this.kernel_table.map_large(layout.direct_map + pa, pa, PROT_KERNEL))
				throw new RangeError("RAM too small");
		// what is shared with user tables must be there before the first of them
		for (let i = 0; i < VMALLOC_PGDS; i++)
			this.kernel_table.populate_top(layout.vmalloc_start + i * PGD_SPAN);
		for (let cpu = 0; cpu < opts.cpus; cpu++) this.kernel_table.populate_top(this.per_cpu_offset(cpu));
		this.kernel_table.populate_top(layout.text_start);
		this.kernel_table.populate_top(layout.modules_end - PAGE_SIZE);
		this.text = new StubText(ram, this.kernel_table, pages, text);
		// stub 0: the run loop knows it by its number
		this.return_stub = this.text.define("__bpf_mirror_return");
		// not among the stubs: helpers must lie further from it than their numbers reach, or dumps take one for the other
		this.text.define_code("__bpf_call_base", Uint8Array.from(text.stop));
		this.text.on_write = (start, end) => this.flush_icache(start, end);
	}

	/** An engine with its CPU around it. */
	protected abstract make_cpu(id: number): AnyCpu;
	abstract bpf_extable_entry(insn: number, fixup: number): ExceptionEntry;
	abstract new_user_regs(): UserRegs;
	/** Make the CPU's `current` known to machine code. */
	protected abstract load_current(cpu: AnyCpu, task: number): void;

	/** Percpu variables that machine code of the architecture itself reads; `tops`: each CPU's kernel stack. */
	setup_percpu(_areas: PercpuAreas, _tops: readonly number[]): void {}

	/** Machine code reads `current` from a register, which has to be set before each run. */
	get current_in_register(): boolean {
		return false;
	}

	/** Engines are made when first used. */
	cpu(id: number): AnyCpu {
		const had = this.made[id];
		if (had) return had;
		if (had === undefined) throw new Error(`no CPU ${id}`);
		const cpu = this.make_cpu(id);
		cpu.stack_top = this.stacks[id]!;
		this.made[id] = cpu;
		this.load_current(cpu, this.currents[id]!);
		return cpu;
	}

	stepped(id: number): SteppedCpu {
		return this.cpu(id);
	}

	get cpus(): readonly Cpu[] {
		this.all ??= this.made.map((_c, id) => this.cpu(id));
		return this.all;
	}

	per_cpu_offset(cpu: number): number {
		return this.layout.percpu_base + cpu * this.layout.percpu_unit;
	}

	new_user_table(): PageTable | null {
		try {
			const share = this.format.shared_root ? this.kernel_table : null;
			return new FourLevelTable(this.ram, this.pages, this.format, false, share);
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

	set_current(cpu: number, task: number): void {
		if (this.currents[cpu] === task) return;
		this.currents[cpu] = task;
		const c = this.made[cpu];
		if (c) this.load_current(c, task);
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

	run_on(cpu: number, stack: number, addr: number, args: readonly (bigint | number)[]): bigint {
		return this.cpu(cpu).run_on(stack, addr, args);
	}

	wake(cpu: number, sleeper: Asleep, ret: bigint): bigint {
		return this.cpu(cpu).wake(sleeper, ret);
	}

	forget_stacks(): void {
		for (const c of this.made) c?.forget_stack();
	}

	run_user(cpu: number, table: PageTable, regs: UserRegs): UserExit {
		return this.cpu(cpu).run_user(table, regs);
	}

	/** A stub without a handler was called. */
	unhandled(cpu: AnyCpu): bigint | number | undefined {
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
		this.all = null;
	}
}
