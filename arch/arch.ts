// SPDX-License-Identifier: GPL-2.0-only
/**
 * What an architecture gives to the kernel above it: page tables, CPUs that run machine code in
 * kernel and user mode, a kernel text with a stub for each function that TypeScript implements,
 * and the exception tables. arch/x86/x86.ts implements it.
 *
 * Addresses are signed canonical numbers (lib/addr.ts); registers are bigints or, where that is
 * exact, numbers.
 */
import type { Ram } from "../virt/ram.ts";

/** Where the regions of the kernel's half lie; values as in the real kernel's memory map. */
export interface KernelLayout {
	/** PAGE_OFFSET: all of RAM, one after the other */
	readonly direct_map: number;
	readonly vmalloc_start: number;
	readonly vmalloc_end: number;
	/** units of the percpu allocator: cpu n's copies lie at percpu_base + n * percpu_unit */
	readonly percpu_base: number;
	readonly percpu_unit: number;
	readonly text_start: number;
	readonly text_end: number;
	/** where images of programs and trampolines go (x86: the module area; arm64: vmalloc near the text) */
	readonly modules_start: number;
	readonly modules_end: number;
	/** first address past user space */
	readonly task_size: number;
	/** where mmap(2) searches downwards from */
	readonly mmap_base: number;
}

/** Rights of a mapping, for page tables of any architecture. */
export interface Prot {
	readonly write: boolean;
	readonly exec: boolean;
	readonly user: boolean;
}

export const PROT_KERNEL: Prot = { write: true, exec: false, user: false };
export const PROT_KERNEL_RO: Prot = { write: false, exec: false, user: false };
export const PROT_KERNEL_ROX: Prot = { write: false, exec: true, user: false };

/** What a page-table walk finds. */
export interface Walk extends Prot {
	/** physical address of the byte walked to */
	readonly pa: number;
	/** size of the page: 4 KiB or 2 MiB */
	readonly size: number;
}

/** Where page-table pages come from and go to: mm's page allocator. */
export interface TablePages {
	/** page frame number of a zeroed page, or -1 */
	alloc_table(): number;
	free_table(pfn: number): void;
}

/** One set of page tables: the kernel's, or a user address space's (which shares the kernel's half). */
export interface PageTable {
	/** physical address of the top level */
	readonly root: number;
	/** 0, or -ENOMEM when a table page could not be had. An existing mapping is replaced. */
	map(va: number, pa: number, prot: Prot): number;
	/** Physical address that was mapped (page aligned), or -1. */
	unmap(va: number): number;
	/** Change rights of one mapped page; false when nothing is mapped there. */
	protect(va: number, prot: Prot): boolean;
	/** Software walk; null when not present. */
	walk(va: number): Walk | null;
	/** The same without an object: physical address with the rights in `walk_flags`, or -1. */
	walk_pa(va: number): number;
	/** The first mapped page at or after `va` (page aligned) and below `end`; `end` when there is none. Skips holes by whole tables. */
	next_mapped(va: number, end: number): number;
	/** Rights that the last walk_pa() found: WALK_* bits. */
	readonly walk_flags: number;
	/** Free the tables of the user half and the root (user address spaces only). */
	destroy(): void;
}

export const WALK_WRITE = 1;
export const WALK_USER = 2;
export const WALK_EXEC = 4;
export const WALK_LARGE = 8;

/**
 * A kernel function that is implemented in TypeScript. It reads its arguments from the CPU's
 * argument registers and returns what goes to the return register (nothing: the register keeps
 * its value). Numbers must be integers with at most 53 significant bits; negative ones sign-extend.
 */
export type CallHandler = (cpu: Cpu) => bigint | number | undefined;

/** One emulated CPU as kernel code sees it. */
export interface Cpu {
	readonly id: number;
	/** Argument i (0–5) of the kernel function just entered: the full 64 bits. */
	arg(i: number): bigint;
	/** Argument i as an address or a signed number; exact to 53 bits. */
	argp(i: number): number;
	/** Low half of argument i, unsigned / signed. */
	arg32(i: number): number;
	args32(i: number): number;
	/** Stack pointer at entry of the function (x86: the return address lies there). */
	readonly sp: number;
	/** Address the function returns to. */
	readonly caller: number;
	/** Frame pointer register (x86: rbp) at entry. */
	readonly fp: number;
	/** Root of the page tables in use (PageTable.root). */
	readonly root: number;
	/** Entry address of the stub called. */
	readonly callee: number;
	/** Any general register by the architecture's number (x86: encoding order rax, rcx, rdx, rbx, rsp, …). */
	reg(n: number): bigint;
	set_reg(n: number, v: bigint): void;
	/** Go on at `pc` when the handler returns, instead of returning to the caller (set registers with set_reg). */
	jump(pc: number): void;
	/** The handler's task goes to sleep: the run ends with Asleep once the handler returns. Outermost runs only. */
	sleep(): void;
	/** True while machine code of this CPU is under way (a handler runs below it). */
	readonly busy: boolean;
	/** Time in machine code after which a run counts as stalled, in ms. */
	stall_ms: number;
	/** When > 0: number of instructions that machine code may still execute; counted down exactly (slower by 3 or more). At 0 the run ends as a Stall; Infinity switches it off. */
	insn_budget: number;
	/** Called for every instruction when set (slow). */
	trace: ((pc: number) => void) | null;
}

/** State of a fault, as the kernel's handlers want it. */
export interface Fault {
	/** the exception: x86's vector (14 #PF, 13 #GP, …), arm64's exception class (ESR_ELx.EC) */
	readonly vector: number;
	readonly page_fault: boolean;
	readonly addr: number;
	readonly pc: number;
	readonly write: boolean;
	readonly exec: boolean;
	/** the access came from user mode */
	readonly user: boolean;
	/** the page was present: a matter of rights */
	readonly present: boolean;
	readonly error_code: number;
}

/** Kernel mode did something that nothing provides for: what a real kernel reports as an oops. */
export class KernelOops extends Error {
	readonly cpu: number;
	readonly fault: Fault;
	/** registers in encoding order, and the name of the code at pc if known */
	readonly regs: readonly bigint[];
	constructor(message: string, cpu: number, fault: Fault, regs: readonly bigint[]) {
		super(message);
		this.name = "KernelOops";
		this.cpu = cpu;
		this.fault = fault;
		this.regs = regs;
	}
}

/** A run spent its time or its instructions: the watchdog's soft lockup. */
export class Stall extends Error {
	readonly cpu: number;
	readonly pc: number;
	constructor(message: string, cpu: number, pc: number) {
		super(message);
		this.name = "Stall";
		this.cpu = cpu;
		this.pc = pc;
	}
}

/** Thrown out of a run whose kernel function sleeps (Cpu.sleep): what wake() needs to go on with it. */
export class Asleep extends Error {
	readonly words: Int32Array;
	readonly pc: number;
	constructor(words: Int32Array, pc: number) {
		super("asleep in a kernel function");
		this.name = "Asleep";
		this.words = words;
		this.pc = pc;
	}
}

/** Why user mode came back to the kernel. */
export type UserExit =
	| { readonly kind: "syscall"; readonly nr: number }
	| { readonly kind: "fault"; readonly fault: Fault }
	| { readonly kind: "trap"; readonly vector: number; readonly pc: number };

/** Registers of a task in user mode; kept across exits. */
export interface UserRegs {
	/** general registers in encoding order */
	readonly gpr: BigInt64Array;
	pc: number;
	flags: number;
	/** thread pointer */
	tls: number;
}

/** Called for a page fault before the exception table is looked at; true: mended, run on. */
export type FaultHandler = (cpu: Cpu, fault: Fault) => boolean;

export interface ExceptionEntry {
	/** address of the instruction that may fault */
	readonly insn: number;
	/** changes registers and gives the address to go on at; null: not handled */
	fixup(cpu: Cpu, fault: Fault): number | null;
}

/** Symbols of the kernel's text and data (kernel/kernel.ts: SymbolTable, and what fills it). */
export interface KernelText {
	addr(name: string): bigint | undefined;
	lookup(addr: bigint): { name: string; offset: bigint } | undefined;
	/** Signed canonical address of a symbol; throws when there is none. */
	va(name: string): number;
	/** Give a kernel function an address; `handler` runs when machine code calls it. Again with the same name: sets the handler. */
	define(name: string, handler?: CallHandler): number;
	/** Give a stub the entry of a function that may be traced (x86: endbr64, nop5), once; its address. */
	make_traceable(name: string): number;
	/** Put machine code into the kernel text (thunks, trampolines). */
	define_code(name: string, code: Uint8Array): number;
	/** Room for a variable in the kernel's data, zeroed. */
	define_data(name: string, size: number, align?: number): number;
	/** Name an address that something else owns (a program's image, a module's). */
	add(name: string, addr: number, size: number): void;
	remove(addr: number): void;
	/** All symbols in order of address. */
	entries(): { name: string; addr: number; size: number }[];
}

/**
 * A CPU whose machine code is taken an instruction at a time by who decides what runs next (kernel/explore/).
 * Registers may be put aside and loaded again where no arithmetic flag is live.
 */
export interface SteppedCpu extends Cpu {
	/** Begin a call of machine code: its registers are set up for a stack whose top is given. It begins at `addr`. */
	enter(stack: number, addr: number, args: readonly (bigint | number)[]): void;
	/** Run the instruction at `pc`; where to go on. Faults are served; what is an oops is thrown. */
	step(pc: number): number;
	/** The function implemented in TypeScript that begins at `pc`: its number; 0: the call that enter() began returned; -1: none. */
	stub_at(pc: number): number;
	/** Run that function: where to go on. Thrown out of, it may be called again. */
	call_stub(n: number): number;
	/** What the call returned. */
	readonly result: bigint;
	/** A copy of all general registers, and loading one. */
	save_words(): Int32Array;
	load_words(words: Int32Array): void;
}

/** One architecture's machine: engines, page tables, text. */
export interface Arch {
	readonly name: "x86_64" | "arm64";
	readonly ram: Ram;
	readonly layout: KernelLayout;
	readonly kernel_table: PageTable;
	readonly text: KernelText;
	readonly cpus: readonly Cpu[];
	/**
	 * The entry of the function at `func` calls `to` (null: nothing), through a stub of its own: where a trampoline may
	 * be out of reach of a branch. Absent: the entry itself is patched (Jit.patch).
	 */
	direct_call?(func: number, to: bigint | null): void;
	/** A CPU to be taken step by step. */
	stepped(cpu: number): SteppedCpu;
	/** __per_cpu_offset[cpu] */
	per_cpu_offset(cpu: number): number;

	/** A user address space's tables, with the kernel's half in them; null when memory is out. */
	new_user_table(): PageTable | null;
	/** Make a CPU use these tables (null: the kernel's own). */
	switch_table(cpu: number, table: PageTable | null): void;
	/** The tables go away: no CPU may use them any longer. */
	drop_table(table: PageTable): void;
	/** Mappings were taken away or narrowed: all CPUs must look again. */
	flush_tlb(): void;
	/** Code in [start, end) was written; it must be mapped now. */
	flush_icache(start: number, end: number): void;
	/** Code was written somewhere, through other addresses than it runs at. */
	flush_icache_all(): void;

	/** Stubs without a handler of their own come here. */
	on_call: ((cpu: Cpu, addr: number) => bigint | number | undefined) | null;
	/** Machine code reads `current` from a register, which has to be set before each run. */
	readonly current_in_register: boolean;
	/** `current` as machine code sees it (x86: pcpu_hot.current_task, arm64: sp_el0). */
	set_current(cpu: number, task: number): void;
	/** The kernel stack a CPU enters machine code on: its top. Nested runs go on below. */
	set_stack(cpu: number, top: number): void;
	/** Call machine code at `addr` in kernel mode with up to six arguments; its return value. */
	run(cpu: number, addr: number, args: readonly (bigint | number)[]): bigint;
	/** The same on a stack of its own (its top), so that the run may sleep: Asleep is thrown then. */
	run_on(cpu: number, stack: number, addr: number, args: readonly (bigint | number)[]): bigint;
	/** Go on with a run that slept; `ret` is what the function it slept in returns. */
	wake(cpu: number, sleeper: Asleep, ret: bigint): bigint;
	/** A stack was freed: no CPU may keep where it lay. */
	forget_stacks(): void;
	/** Run user code until it needs the kernel. */
	run_user(cpu: number, table: PageTable, regs: UserRegs): UserExit;
	new_user_regs(): UserRegs;

	/** Faults that memory management may mend (demand paging); set by mm. */
	on_fault: FaultHandler | null;
	/** Other exceptions in kernel mode (int3, ud2, …): where to go on, or null for an oops. */
	on_trap: ((cpu: Cpu, fault: Fault) => number | null) | null;
	/** An entry of a BPF image's table: where the access is, and the architecture's `fixup` word. */
	bpf_extable_entry(insn: number, fixup: number): ExceptionEntry;
	/** Exception tables, by owner (a program's image); replaced as one. */
	add_extable(owner: object, entries: readonly ExceptionEntry[]): void;
	remove_extable(owner: object): void;
	/** Search of all tables. */
	search_extable(pc: number): ExceptionEntry | null;

	/** Counters of page-table pages of the kernel's half (they are kept). */
	readonly kernel_table_pages: number;
	close(): void;
}
