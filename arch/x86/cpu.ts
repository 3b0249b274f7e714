// SPDX-License-Identifier: GPL-2.0-only
/**
 * One x86-64 CPU: calls into machine code in kernel mode and user mode, in one flat loop that never
 * nests engine starts. A kernel function written in TypeScript is reached by the `hlt` of its stub
 * and may run machine code itself.
 */
import { EV_ERROR, EV_EXCEPTION, EV_HALT, EV_SYSCALL } from "../../virt/vcpu.ts";
import { X86_BP, X86_PF, type X86Vcpu } from "../../virt/x86_vcpu.ts";
import {
	type Cpu,
	type Fault,
	KernelOops,
	type PageTable,
	Stall,
	type UserExit,
	type UserRegs,
} from "../arch.ts";
import { TEXT_START } from "./layout.ts";
import { STUB_BYTES } from "./text.ts";
import type { X86Arch } from "./x86.ts";

const TWO32 = 0x100000000;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
const R8 = 8;
const R9 = 9;
const R11 = 11;
/** System V: registers of the first six arguments */
const ARG_REGS = [RDI, RSI, RDX, RCX, R8, R9] as const;
const FS = 4;
const GS = 5;
/** interrupts on, and the bit that is always 1 */
const KERNEL_FLAGS = 0x202;
/** flags that user mode may choose: arithmetic, DF, AC, ID */
const USER_FLAGS = 0x240cd5;
/** page-fault error code (arch/x86/include/asm/trap_pf.h) */
const PF_PROT = 1;
const PF_WRITE = 2;
const PF_USER = 4;
const PF_INSTR = 16;

/** words that a nested run saves: sixteen registers and the instruction pointer */
const SAVED = 34;

const TEXT_LO = (TEXT_START >>> 0) + 1;
/** calls of TypeScript between looks at the clock */
const CLOCK_CALLS = 0x4000;

export class X86UserRegs implements UserRegs {
	readonly gpr = new BigInt64Array(16);
	pc = 0;
	flags = 0x202;
	tls = 0;
}

export class X86Cpu implements Cpu {
	readonly id: number;
	private readonly arch: X86Arch;
	readonly vcpu: X86Vcpu;
	private readonly g: BigInt64Array;
	private readonly w: Int32Array;
	stall_ms: number;
	insn_budget = Number.POSITIVE_INFINITY;
	/** kernel stack that outermost runs begin on */
	stack_top = 0;
	private depth = 0;
	private ticks = 0;
	private calls = 0;
	private clock = 0;
	root = 0;
	private tlb_gen = -1;
	private resume = 0;
	/** registers of the runs below, one after the other */
	private saved = new Int32Array(SAVED * 16);
	private trace_fn: ((pc: number) => void) | null = null;
	/** last stack page written: its address and where it lies */
	private stack_page = Number.NaN;
	private stack_pa = 0;
	callee = 0;

	constructor(arch: X86Arch, id: number, vcpu: X86Vcpu, stall_ms: number) {
		this.arch = arch;
		this.id = id;
		this.vcpu = vcpu;
		this.g = vcpu.gpr;
		this.w = vcpu.gpr32;
		this.stall_ms = stall_ms;
		this.root = arch.kernel_table.root;
		vcpu.set_seg_base(GS, arch.per_cpu_offset(id));
	}

	arg(i: number): bigint {
		return BigInt.asUintN(64, this.g[ARG_REGS[i]!]!);
	}
	argp(i: number): number {
		const r = ARG_REGS[i]! * 2;
		return (this.w[r]! >>> 0) + this.w[r + 1]! * TWO32;
	}
	arg32(i: number): number {
		return this.w[ARG_REGS[i]! * 2]! >>> 0;
	}
	args32(i: number): number {
		return this.w[ARG_REGS[i]! * 2]!;
	}
	private regp(n: number): number {
		return (this.w[n * 2]! >>> 0) + this.w[n * 2 + 1]! * TWO32;
	}
	get sp(): number {
		return this.regp(RSP);
	}
	get fp(): number {
		return this.regp(RBP);
	}
	get caller(): number {
		const pa = this.arch.kernel_table.walk_pa(this.sp);
		if (pa < 0) return 0;
		return this.arch.ram.r32(pa) + (this.arch.ram.r32(pa + 4) | 0) * TWO32;
	}
	reg(n: number): bigint {
		return BigInt.asUintN(64, this.g[n]!);
	}
	set_reg(n: number, v: bigint): void {
		this.g[n] = v;
	}
	jump(pc: number): void {
		this.resume = pc;
	}
	get busy(): boolean {
		return this.depth > 0;
	}
	get trace(): ((pc: number) => void) | null {
		return this.trace_fn;
	}
	set trace(fn: ((pc: number) => void) | null) {
		this.trace_fn = fn;
		this.vcpu.set_trace(fn);
	}

	/** Numbers with a fraction or beyond 2^53 are a mistake of the caller, and a number is not checked here. */
	private set_num(n: number, v: number): void {
		const r = n * 2;
		this.w[r] = v;
		this.w[r + 1] = Math.floor(v / TWO32);
	}

	private set_value(n: number, v: bigint | number): void {
		if (typeof v === "number") {
			if ((v | 0) === v) {
				this.w[n * 2] = v;
				this.w[n * 2 + 1] = v >> 31;
			} else this.set_num(n, v);
		} else this.g[n] = v;
	}

	/** Write a return address; kernel stacks are mapped for good, so one page's place is kept. */
	private push(sp: number, value: number): void {
		const off = sp & 0xfff;
		if (sp - off !== this.stack_page) {
			const pa = this.arch.kernel_table.walk_pa(sp - off);
			if (pa < 0) throw new Error(`BUG: no kernel stack at ${hex(sp)}`);
			this.stack_page = sp - off;
			this.stack_pa = pa;
		}
		this.arch.ram.w32(this.stack_pa + off, value);
		this.arch.ram.w32(this.stack_pa + off + 4, Math.floor(value / TWO32));
	}

	/** The kernel stack was freed or replaced. */
	forget_stack(): void {
		this.stack_page = Number.NaN;
	}

	set_table(table: PageTable | null): void {
		const root = (table ?? this.arch.kernel_table).root;
		if (root === this.root) return;
		this.root = root;
		this.vcpu.set_root(root);
	}

	/** Call machine code in kernel mode. */
	run(addr: number, args: readonly (bigint | number)[]): bigint {
		const { w, vcpu } = this;
		const outer = this.depth++;
		const at = outer * SAVED;
		let sp = this.stack_top;
		if (outer) {
			// a handler runs machine code: below the frame of its caller, whose registers must survive
			if (at + SAVED > this.saved.length) this.grow_saved();
			for (let i = 0; i < SAVED; i++) this.saved[at + i] = w[i]!;
			sp = this.sp - 128;
			sp -= sp & 15;
		} else {
			this.ticks = 0;
			this.calls = 0;
			this.clock = 0;
			vcpu.arm();
			vcpu.flags = KERNEL_FLAGS;
		}
		const callee = this.callee;
		try {
			sp -= 8;
			this.push(sp, this.arch.return_stub);
			this.set_num(RSP, sp);
			for (let i = 0; i < args.length; i++) this.set_value(ARG_REGS[i]!, args[i]!);
			this.loop(addr);
			return BigInt.asUintN(64, this.g[RAX]!);
		} finally {
			this.depth--;
			if (outer) {
				this.callee = callee;
				for (let i = 0; i < SAVED; i++) w[i] = this.saved[at + i]!;
			}
		}
	}

	private grow_saved(): void {
		const more = new Int32Array(this.saved.length * 2);
		more.set(this.saved);
		this.saved = more;
	}

	/** Run until the return stub is reached. */
	private loop(start: number): void {
		const { w, vcpu, arch } = this;
		const handlers = arch.text.handlers;
		const ret = arch.ret_code;
		let pc = start;
		for (;;) {
			if (this.tlb_gen !== arch.tlb_gen) this.flush_tlb();
			const count = this.insn_budget === Number.POSITIVE_INFINITY ? 0 : this.budget(pc);
			const ev = vcpu.start(pc, count);
			if (count) this.insn_budget -= vcpu.executed(count);
			if (ev === EV_HALT) {
				const off = (w[32]! >>> 0) - TEXT_LO;
				if (w[33] === -1 && off >= 0 && off < STUB_BYTES && (off & 15) === 0) {
					const n = off >>> 4;
					if (n === 0) return;
					if ((++this.calls & (CLOCK_CALLS - 1)) === 0) this.look_at_clock(pc);
					this.resume = ret;
					this.callee = TEXT_START + off;
					const handler = handlers[n];
					const r = handler ? handler(this) : arch.unhandled(this);
					if (r !== undefined) this.set_value(RAX, r);
					pc = this.resume;
					continue;
				}
				pc = vcpu.pc;
				if (pc === 0) {
					// address 0 is where every start would stop: a call of NULL
					pc = this.exception(this.make_fault(X86_PF, 0, 0, PF_INSTR));
					continue;
				}
				this.tick(pc, count);
				continue;
			}
			if (ev === EV_EXCEPTION) {
				pc = this.exception(this.take_fault());
				continue;
			}
			if (ev === EV_SYSCALL)
				throw this.oops("syscall instruction in kernel mode", this.make_fault(6, 0, vcpu.pc, 0));
			throw this.oops(`the engine stopped with error ${vcpu.error}`, this.make_fault(-1, 0, vcpu.pc, 0));
		}
	}

	private flush_tlb(): void {
		this.tlb_gen = this.arch.tlb_gen;
		this.vcpu.flush_tlb();
	}

	/** The stop came from the watchdog's timer or from the end of the budget. */
	private tick(pc: number, count: number): void {
		if (count && this.insn_budget <= 0) throw this.stall(pc, "instruction budget spent");
		this.ticks++;
		if (this.ticks * this.vcpu.tick_ms >= this.stall_ms)
			throw this.stall(pc, `stuck for ${this.stall_ms} ms`);
	}

	private budget(pc: number): number {
		if (this.insn_budget <= 0) throw this.stall(pc, "instruction budget spent");
		return Math.min(this.insn_budget, 0x40000000);
	}

	/** A loop whose time goes into TypeScript seldom meets the timer. */
	private look_at_clock(pc: number): void {
		const now = performance.now();
		if (this.clock === 0) this.clock = now;
		else if (now - this.clock >= this.stall_ms) throw this.stall(pc, `stuck for ${this.stall_ms} ms`);
	}

	private stall(pc: number, why: string): Stall {
		return new Stall(
			`watchdog: BUG: soft lockup - CPU#${this.id} ${why}; RIP: ${this.arch.describe(pc)}`,
			this.id,
			pc,
		);
	}

	private make_fault(vector: number, addr: number, pc: number, code: number): Fault {
		return {
			vector,
			addr,
			pc,
			write: (code & PF_WRITE) !== 0,
			exec: (code & PF_INSTR) !== 0,
			user: (code & PF_USER) !== 0,
			present: (code & PF_PROT) !== 0,
			error_code: code,
		};
	}

	/** The engine's exception as a fault. */
	private take_fault(): Fault {
		const { vcpu } = this;
		const vector = vcpu.vector;
		const code = vector === X86_PF ? vcpu.fault_code() : 0;
		const f = this.make_fault(vector, vector === X86_PF ? vcpu.fault_addr() : 0, vcpu.pc, code);
		vcpu.fault_done();
		return f;
	}

	/** exc_page_fault() and its kin: where to go on, or an oops. */
	private exception(f: Fault): number {
		const { arch } = this;
		if (f.vector === X86_PF && arch.on_fault?.(this, f)) return f.pc;
		// fixup_exception()
		const entry = arch.search_extable(f.pc);
		if (entry) {
			const to = entry.fixup(this, f);
			if (to !== null) return to;
		}
		const to = arch.on_trap?.(this, f);
		if (to !== undefined && to !== null) return to;
		throw this.oops(describe_fault(f), f);
	}

	private oops(what: string, f: Fault): KernelOops {
		const regs: bigint[] = [];
		for (let i = 0; i < 16; i++) regs.push(this.reg(i));
		return new KernelOops(`${what}; CPU: ${this.id}; RIP: ${this.arch.describe(f.pc)}`, this.id, f, regs);
	}

	/** Run user code until it needs the kernel. */
	run_user(table: PageTable, regs: UserRegs): UserExit {
		if (this.depth) throw new Error("BUG: user mode entered from within the kernel");
		const { vcpu, arch } = this;
		this.set_table(table);
		this.ticks = 0;
		vcpu.arm();
		if (!vcpu.enter_user_mode()) {
			// the first time: let the engine itself go to user mode, and keep how that looks
			this.set_num(RCX, regs.pc);
			this.set_num(R11, 0x202);
			vcpu.start(arch.sysret_code, 1);
			vcpu.learn_user_mode();
			if (vcpu.cpl !== 3) throw new Error("BUG: sysretq did not enter user mode");
		}
		vcpu.set_seg_base(FS, regs.tls);
		vcpu.set_seg_base(GS, 0);
		this.g.set(regs.gpr);
		vcpu.flags = (regs.flags & USER_FLAGS) | 0x202;
		let pc = regs.pc;
		let exit: UserExit | null = null;
		try {
			while (!exit) {
				if (this.tlb_gen !== arch.tlb_gen) this.flush_tlb();
				const count = this.insn_budget === Number.POSITIVE_INFINITY ? 0 : this.budget(pc);
				// a syscall leaves its mark where an exception would: the next fault must not count as a double one
				vcpu.fault_done();
				const ev = vcpu.start(pc, count);
				if (count) this.insn_budget -= vcpu.executed(count);
				pc = vcpu.pc;
				if (ev === EV_SYSCALL) {
					exit = { kind: "syscall", nr: this.w[RAX * 2]! };
				} else if (ev === EV_EXCEPTION) {
					const f = this.take_fault();
					if (f.vector === X86_PF) {
						if (!arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
					} else if (f.vector === X86_BP) exit = { kind: "trap", vector: f.vector, pc };
					else exit = { kind: "fault", fault: f };
				} else if (ev === EV_ERROR) {
					exit = { kind: "fault", fault: this.make_fault(-1, 0, pc, PF_USER) };
				} else if (pc === 0) {
					const f = this.make_fault(X86_PF, 0, 0, PF_INSTR | PF_USER);
					if (!arch.on_fault?.(this, f)) exit = { kind: "fault", fault: f };
				} else this.tick(pc, count);
			}
			return exit;
		} finally {
			regs.gpr.set(this.g.subarray(0, 16));
			regs.pc = pc;
			regs.flags = vcpu.flags;
			regs.tls = vcpu.seg_base(FS);
			vcpu.enter_kernel_mode();
			vcpu.set_seg_base(GS, arch.per_cpu_offset(this.id));
		}
	}
}

function hex(va: number): string {
	return BigInt.asUintN(64, BigInt(va)).toString(16).padStart(16, "0");
}

/** The first line of the kernel's report (arch/x86/mm/fault.c: show_fault_oops, arch/x86/kernel/traps.c). */
function describe_fault(f: Fault): string {
	switch (f.vector) {
		case X86_PF:
			if (f.addr >= 0 && f.addr < 4096)
				return `BUG: kernel NULL pointer dereference, address: ${hex(f.addr)}`;
			return (
				`BUG: unable to handle page fault for address: ${hex(f.addr)} (supervisor ` +
				`${f.exec ? "instruction fetch" : f.write ? "write access" : "read access"} in kernel mode, ` +
				`error_code(0x${f.error_code.toString(16).padStart(4, "0")}) - ${f.present ? "permissions violation" : "not-present page"})`
			);
		case 13:
			return "Oops: general protection fault, probably for non-canonical address";
		case 6:
			return "Oops: invalid opcode";
		case 3:
			return "Oops: int3";
		case 0:
			return "Oops: divide error";
		default:
			return `Oops: exception ${f.vector}`;
	}
}
