// SPDX-License-Identifier: GPL-2.0-only
/**
 * A CPU of any architecture: calls into machine code in one flat loop that never nests engine
 * starts. A kernel function written in TypeScript is reached by the stop instruction of its stub
 * and may run machine code itself.
 */
import { EV_EXCEPTION, EV_HALT, EV_SYSCALL, type Vcpu } from "../virt/vcpu.ts";
import {
	Asleep,
	type Fault,
	KernelOops,
	type PageTable,
	Stall,
	type SteppedCpu,
	type UserExit,
	type UserRegs,
} from "./arch.ts";
import type { BaseArch } from "./base_arch.ts";
import { STUB_BYTES } from "./text.ts";

export const TWO32 = 0x100000000;
/** calls of TypeScript between looks at the clock */
const CLOCK_CALLS = 0x4000;

/** Which registers the architecture's calling convention uses, by encoding order. */
export interface Convention {
	readonly args: readonly number[];
	readonly ret: number;
	readonly sp: number;
	readonly fp: number;
	/** number of general registers; the instruction pointer follows them */
	readonly n_regs: number;
	/** bytes of the instruction that stops the CPU */
	readonly stop_size: number;
}

export abstract class BaseCpu<V extends Vcpu> implements SteppedCpu {
	readonly id: number;
	protected readonly arch: BaseArch;
	readonly vcpu: V;
	protected readonly g: BigInt64Array;
	protected readonly w: Int32Array;
	protected readonly conv: Convention;
	private readonly args: readonly number[];
	private readonly ret: number;
	/** halves of the text's start, moved by the size of the stop instruction */
	private readonly text_lo: number;
	private readonly text_hi: number;
	private readonly pc_word: number;
	/** words that a nested run saves: all registers and the instruction pointer */
	private readonly n_saved: number;
	stall_ms: number;
	insn_budget = Number.POSITIVE_INFINITY;
	/** kernel stack that outermost runs begin on */
	stack_top = 0;
	protected depth = 0;
	private calls = 0;
	private clock = 0;
	root = 0;
	protected tlb_gen = -1;
	private resume = 0;
	private sleeping = false;
	/** registers of the runs below, one after the other */
	private saved: Int32Array;
	private trace_fn: ((pc: number) => void) | null = null;
	/** last stack page written: its address and where it lies */
	private stack_page = Number.NaN;
	private stack_pa = 0;
	callee = 0;

	constructor(arch: BaseArch, id: number, vcpu: V, stall_ms: number, conv: Convention) {
		this.arch = arch;
		this.id = id;
		this.vcpu = vcpu;
		this.g = vcpu.gpr;
		this.w = vcpu.gpr32;
		this.conv = conv;
		this.args = conv.args;
		this.ret = conv.ret;
		const text = arch.layout.text_start + conv.stop_size;
		this.text_lo = text >>> 0;
		this.text_hi = Math.floor(text / TWO32);
		this.pc_word = conv.n_regs * 2;
		this.n_saved = this.pc_word + 2;
		this.saved = new Int32Array(this.n_saved * 16);
		this.stall_ms = stall_ms;
	}

	/** An outermost run begins: kernel mode, its flags, its percpu base. */
	protected abstract enter_kernel(): void;
	/** Make a call of machine code return to the return stub: the stack pointer to enter with. */
	protected abstract set_return(sp: number): number;
	/** Where a stub's caller goes on. */
	protected abstract return_address(): number;
	/** The engine's exception as a fault. */
	protected abstract take_fault(): Fault;
	/** A fault the engine did not raise: an exception of another sort, or the call of address 0. */
	protected abstract other_fault(pc: number, null_call: boolean, user: boolean): Fault;
	/** The first line of the kernel's report. */
	protected abstract describe_fault(f: Fault): string;
	abstract run_user(table: PageTable, regs: UserRegs): UserExit;
	abstract set_table(table: PageTable | null): void;
	abstract readonly caller: number;

	arg(i: number): bigint {
		return BigInt.asUintN(64, this.g[this.args[i]!]!);
	}
	argp(i: number): number {
		const r = this.args[i]! * 2;
		return (this.w[r]! >>> 0) + this.w[r + 1]! * TWO32;
	}
	arg32(i: number): number {
		return this.w[this.args[i]! * 2]! >>> 0;
	}
	args32(i: number): number {
		return this.w[this.args[i]! * 2]!;
	}
	protected regp(n: number): number {
		return (this.w[n * 2]! >>> 0) + this.w[n * 2 + 1]! * TWO32;
	}
	get sp(): number {
		return this.regp(this.conv.sp);
	}
	get fp(): number {
		return this.regp(this.conv.fp);
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
	protected set_num(n: number, v: number): void {
		const r = n * 2;
		this.w[r] = v;
		this.w[r + 1] = Math.floor(v / TWO32);
	}

	protected set_value(n: number, v: bigint | number): void {
		if (typeof v === "number") {
			if ((v | 0) === v) {
				this.w[n * 2] = v;
				this.w[n * 2 + 1] = v >> 31;
			} else this.set_num(n, v);
		} else this.g[n] = v;
	}

	/** Write a return address; kernel stacks are mapped for good, so one page's place is kept. */
	protected push(sp: number, value: number): void {
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

	/** Call machine code in kernel mode. */
	run(addr: number, args: readonly (bigint | number)[]): bigint {
		const { w, vcpu } = this;
		const outer = this.depth++;
		const at = outer * this.n_saved;
		let sp = this.stack_top;
		if (outer) {
			// a handler runs machine code: below the frame of its caller, whose registers must survive
			if (at + this.n_saved > this.saved.length) this.grow_saved();
			for (let i = 0; i < this.n_saved; i++) this.saved[at + i] = w[i]!;
			sp = this.sp - 128;
			sp -= sp & 15;
		} else {
			this.calls = 0;
			this.clock = 0;
			vcpu.arm(this.stall_ms);
			this.enter_kernel();
		}
		const { callee, resume } = this;
		try {
			const in_regs = Math.min(args.length, this.args.length);
			if (args.length > in_regs) sp = this.push_args(sp, args.slice(in_regs));
			this.set_num(this.conv.sp, this.set_return(sp));
			for (let i = 0; i < in_regs; i++) this.set_value(this.args[i]!, args[i]!);
			this.loop(addr);
			return BigInt.asUintN(64, this.g[this.ret]!);
		} finally {
			this.depth--;
			if (outer) {
				this.callee = callee;
				this.resume = resume;
				for (let i = 0; i < this.n_saved; i++) w[i] = this.saved[at + i]!;
			}
		}
	}

	/** Call machine code on a stack of its own. */
	run_on(stack: number, addr: number, args: readonly (bigint | number)[]): bigint {
		const top = this.stack_top;
		this.stack_top = stack;
		try {
			return this.run(addr, args);
		} finally {
			this.stack_top = top;
		}
	}

	sleep(): void {
		if (this.depth !== 1) throw new Error("BUG: scheduling while atomic");
		this.sleeping = true;
	}

	wake(sleeper: Asleep, ret: bigint): bigint {
		if (this.depth) throw new Error("BUG: a sleeper wakes inside another run");
		this.depth++;
		this.calls = 0;
		this.clock = 0;
		this.vcpu.arm(this.stall_ms);
		this.enter_kernel();
		try {
			this.w.set(sleeper.words);
			this.set_value(this.ret, ret);
			this.loop(sleeper.pc);
			return BigInt.asUintN(64, this.g[this.ret]!);
		} finally {
			this.depth--;
		}
	}

	enter(stack: number, addr: number, args: readonly (bigint | number)[]): void {
		this.enter_kernel();
		// what another left in them must not make a difference
		this.w.fill(0, 0, this.pc_word);
		this.set_num(this.conv.sp, this.set_return(stack - (stack & 15)));
		for (const [i, a] of args.entries()) this.set_value(this.args[i]!, a);
		this.vcpu.pc = addr;
	}

	step(pc: number): number {
		if (this.tlb_gen !== this.arch.tlb_gen) this.flush_tlb();
		// every start would stop at address 0: a call of NULL
		if (pc === 0) return this.exception(this.other_fault(0, true, false));
		const ev = this.vcpu.start(pc, 1);
		if (ev === EV_HALT) return this.vcpu.pc;
		if (ev === EV_EXCEPTION) return this.exception(this.take_fault());
		const f = this.other_fault(this.vcpu.pc, false, false);
		throw this.oops(
			ev === EV_SYSCALL
				? "syscall instruction in kernel mode"
				: `the engine stopped with error ${this.vcpu.error}`,
			f,
		);
	}

	stub_at(pc: number): number {
		const off = pc - this.arch.layout.text_start;
		return off >= 0 && off < STUB_BYTES && off % 16 === 0 ? off / 16 : -1;
	}

	call_stub(n: number): number {
		const { arch } = this;
		this.resume = this.return_address();
		this.callee = arch.layout.text_start + n * 16;
		const handler = arch.text.handlers[n];
		const r = handler ? handler(this) : arch.unhandled(this);
		if (r !== undefined) this.set_value(this.ret, r);
		return this.resume;
	}

	get result(): bigint {
		return BigInt.asUintN(64, this.g[this.ret]!);
	}

	save_words(): Int32Array {
		return this.w.slice(0, this.pc_word);
	}

	load_words(words: Int32Array): void {
		this.w.set(words);
	}

	/** Arguments beyond those in registers: where the function finds them on the stack. */
	private push_args(sp: number, args: readonly (bigint | number)[]): number {
		sp -= 8 * args.length;
		sp -= sp & 15;
		for (const [i, a] of args.entries()) {
			const v = BigInt.asUintN(64, BigInt(a));
			this.push(sp + 8 * i, Number(v & 0xffffffffn) + Number(v >> 32n) * TWO32);
			this.arch.ram.w32(this.stack_pa + ((sp + 8 * i) & 0xfff) + 4, Number(v >> 32n));
		}
		return sp;
	}

	private grow_saved(): void {
		const more = new Int32Array(this.saved.length * 2);
		more.set(this.saved);
		this.saved = more;
	}

	/** Run until the return stub is reached. */
	private loop(start: number): void {
		const { w, vcpu, arch, ret, pc_word, text_lo, text_hi } = this;
		const handlers = arch.text.handlers;
		const text_start = arch.layout.text_start;
		const { stop_at } = arch.text;
		let pc = start;
		for (;;) {
			if (this.tlb_gen !== arch.tlb_gen) this.flush_tlb();
			const count = this.insn_budget === Number.POSITIVE_INFINITY ? 0 : this.budget(pc);
			const ev = vcpu.start(pc, count);
			if (count) this.insn_budget -= vcpu.executed(count);
			if (ev === EV_HALT) {
				const off = (w[pc_word]! >>> 0) - text_lo;
				const at = off & 15;
				if (w[pc_word + 1] === text_hi && off >= 0 && off < STUB_BYTES && at === stop_at[off >>> 4]) {
					const n = off >>> 4;
					if (n === 0) return;
					if ((++this.calls & (CLOCK_CALLS - 1)) === 0) this.look_at_clock(pc);
					this.resume = this.return_address();
					this.callee = text_start + off - at;
					const handler = handlers[n];
					const r = handler ? handler(this) : arch.unhandled(this);
					if (r !== undefined) this.set_value(ret, r);
					if (this.sleeping) {
						this.sleeping = false;
						throw new Asleep(w.slice(0, this.n_saved), this.resume);
					}
					pc = this.resume;
					continue;
				}
				pc = vcpu.pc;
				if (pc === 0) {
					// address 0 is where every start would stop: a call of NULL
					pc = this.exception(this.other_fault(0, true, false));
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
				throw this.oops("syscall instruction in kernel mode", this.other_fault(vcpu.pc, false, false));
			throw this.oops(`the engine stopped with error ${vcpu.error}`, this.other_fault(vcpu.pc, false, false));
		}
	}

	protected flush_tlb(): void {
		this.tlb_gen = this.arch.tlb_gen;
		this.vcpu.flush_tlb();
	}

	/** The stop came from the watchdog's timer or from the end of the budget. */
	protected tick(pc: number, count: number): void {
		if (count && this.insn_budget <= 0) throw this.stall(pc, "instruction budget spent");
		if (this.vcpu.overdue) throw this.stall(pc, `stuck for ${this.stall_ms} ms`);
	}

	protected budget(pc: number): number {
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
			`watchdog: BUG: soft lockup - CPU#${this.id} ${why}; pc: ${this.arch.describe(pc)}`,
			this.id,
			pc,
		);
	}

	/** exc_page_fault() and its kin: where to go on, or an oops. */
	private exception(f: Fault): number {
		const { arch } = this;
		if (f.page_fault && arch.on_fault?.(this, f)) return f.pc;
		// fixup_exception()
		const entry = arch.search_extable(f.pc);
		if (entry) {
			const to = entry.fixup(this, f);
			if (to !== null) return to;
		}
		const to = arch.on_trap?.(this, f);
		if (to !== undefined && to !== null) return to;
		throw this.oops(this.describe_fault(f), f);
	}

	private oops(what: string, f: Fault): KernelOops {
		const regs: bigint[] = [];
		for (let i = 0; i < this.conv.n_regs; i++) regs.push(this.reg(i));
		return new KernelOops(`${what}; CPU: ${this.id}; pc: ${this.arch.describe(f.pc)}`, this.id, f, regs);
	}
}

/** An address as reports print it. */
export function hex(va: number): string {
	return BigInt.asUintN(64, BigInt(va)).toString(16).padStart(16, "0");
}
