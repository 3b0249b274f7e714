// SPDX-License-Identifier: GPL-2.0-only
/** What the explorer runs a step at a time: programs as machine code or interpreted, interrupts' work, user space. */
import { abi_of } from "../../arch/abis.ts";
import type { SteppedCpu } from "../../arch/arch.ts";
import {
	BPF_NOSPEC,
	BPF_PROBE_ATOMIC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEM32,
	BPF_PROBE_MEMSX,
} from "../../include/linux/filter.ts";
import {
	BPF_ATOMIC,
	BPF_DW,
	BPF_MEMSX,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_B,
	BPF_H,
	BPF_LDX,
	BPF_MEM,
	BPF_ST,
	BPF_STX,
	BPF_W,
} from "../../include/uapi/linux/bpf_common.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { alloc_thread_stack, free_thread_stack } from "../../mm/machine.ts";
import type { bpf_insn, bpf_prog } from "../bpf/bpf_types.ts";
import { Interpreter } from "../bpf/interp.ts";
import { BodyCaller } from "../bpf/run.ts";
import type { Task } from "../kernel_impl.ts";
import { TaskSys } from "../sys.ts";
import { type Explorer, Fiber, NotExplorable, type Op, SUSPEND } from "./explorer.ts";
import { Hash } from "./hash.ts";

/** In which context a thread runs: a task's, or an interrupt that comes between any two steps of those below it. */
export type Flavour = "task" | "irq" | "nmi" | "user";

/** Thrown to leave a body that calls code of the guest. */
const DESCEND: unique symbol = Symbol("a call of the guest");
const STACK_TOP_SLACK = 64;
const FRAME = 512;
const MAX_FRAMES = 8;
const CTX_SIZE = 1024;
/** Instructions between two steps. */
const MAX_LOCAL = 1_000_000;
/** Registers of the architectures that the JITs use for R0 to R10 and AX. */
const REGS = {
	x86_64: [0, 7, 6, 2, 1, 8, 3, 13, 14, 15, 5, 10],
	arm64: [7, 0, 1, 2, 3, 4, 19, 20, 21, 22, 25, 9],
} as const;

export interface Saved {
	readonly done: boolean;
	readonly started: boolean;
	readonly pending: Op | null;
	readonly irqs_disabled: number;
	readonly base_irqs: number;
	readonly mark: readonly [number, number] | null;
	readonly inner: unknown;
}

export abstract class Thread {
	readonly x: Explorer;
	readonly id: number;
	readonly name: string;
	/** The CPU that it runs on; -1: one of its own. */
	readonly on_cpu: number;
	readonly flavour: Flavour;
	readonly task: Task;
	/** Ranges of memory that no one else touches. */
	readonly own: (readonly [number, number])[] = [];
	/** Others run on its CPU: switching interrupts off and on are steps, and so are its begin and end. */
	interruptible = false;
	/** It may wait for ever once everyone else has ended. */
	may_wait = false;
	done = false;
	started = false;
	pending: Op | null = null;
	irqs_disabled = 0;
	/** Where the function that is under way found them. */
	base_irqs = 0;
	/** Fingerprint of its own state, until it changes. */
	mark: readonly [number, number] | null = null;

	constructor(x: Explorer, name: string, on_cpu: number, flavour: Flavour, task: Task) {
		this.x = x;
		this.id = x.threads.length;
		this.name = name;
		this.on_cpu = on_cpu;
		this.flavour = flavour;
		this.task = task;
	}
	/** The CPU as the kernel sees it. */
	get cpu(): number {
		return Math.max(this.on_cpu, 0);
	}
	/** It is under way on its CPU: those below it wait. */
	abstract get active(): boolean;
	/** Make one step if the explorer's budget has one, and run to the next. */
	abstract advance(): void;
	protected abstract save_inner(): unknown;
	protected abstract restore_inner(s: unknown): void;
	protected abstract hash_inner(h: Hash): void;
	/** Give back what it holds. */
	abstract release(): void;
	/** A body calls code of the guest. */
	call(_addr: number, _args: readonly bigint[]): bigint {
		throw new NotExplorable(`${this.name}: a callback outside of machine code`);
	}
	save(): Saved {
		const { done, started, pending, irqs_disabled, base_irqs, mark } = this;
		return { done, started, pending, irqs_disabled, base_irqs, mark, inner: this.save_inner() };
	}
	restore(s: Saved): void {
		this.done = s.done;
		this.started = s.started;
		this.pending = s.pending;
		this.irqs_disabled = s.irqs_disabled;
		this.base_irqs = s.base_irqs;
		this.mark = s.mark;
		this.restore_inner(s.inner);
	}
	add_state(h: Hash): void {
		if (!this.mark) {
			const own = new Hash();
			own.add((this.done ? 1 : 0) + (this.started ? 2 : 0) + this.irqs_disabled * 4);
			this.hash_inner(own);
			this.mark = [own.a, own.b];
		}
		h.add(this.mark[0]);
		h.add(this.mark[1]);
	}
	/** Suspend before a step, or make it: true. */
	protected take_step(what: string, addr: number, local = false): boolean {
		if (this.x.budget === 0) {
			this.pending = { what, addr, enabled: null, local };
			return false;
		}
		this.x.budget = 0;
		return true;
	}
}

/** Programs that a run of theirs on the same CPU keeps from running: which counter counts them. */
function recursion_counter(prog: bpf_prog, cpu: number): string | null {
	switch (prog.type) {
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
		case BPF_PROG_TYPE_TRACING:
			return `prog ${addr_to_u64(prog.aux.addr)} ${prog.aux.name} on ${cpu}`;
		case BPF_PROG_TYPE_KPROBE:
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_PERF_EVENT:
			return `bpf_prog_active on ${cpu}`;
		default:
			return null;
	}
}

/** A program that an event runs, several times one after the other. */
export abstract class ProgThread extends Thread {
	readonly prog: bpf_prog;
	protected readonly ctx: number;
	private readonly runs: number;
	private readonly counter: string | null;
	private readonly counters: Map<string, number>;
	/** 0: before a run, 1: in it, 2: behind it */
	private phase = 0;
	private run_nr = 0;
	/** What the runs returned; null: not run, since another was under way on the CPU. */
	results: (bigint | null)[] = [];

	constructor(
		x: Explorer,
		name: string,
		on_cpu: number,
		flavour: Flavour,
		task: Task,
		prog: bpf_prog,
		runs: number,
		counters: Map<string, number>,
	) {
		super(x, name, on_cpu, flavour, task);
		this.prog = prog;
		this.runs = runs;
		this.counters = counters;
		this.counter = recursion_counter(prog, on_cpu);
		const { kmem } = x.kernel;
		this.ctx = kmem.kzalloc(CTX_SIZE);
		this.own.push([this.ctx, this.ctx + CTX_SIZE]);
		// struct bpf_perf_event_data_kern: registers, sample, event
		if (prog.type === BPF_PROG_TYPE_PERF_EVENT)
			for (const i of [0, 1, 2]) kmem.wptr(this.ctx + 8 * i, this.ctx + 64);
	}
	get active(): boolean {
		return this.phase !== 0;
	}
	protected abstract begin(): void;
	/** Run to the next step, or to the end: true. */
	protected abstract go_on(): boolean;

	private enter(): boolean {
		if (this.counter === null) return true;
		const n = this.counters.get(this.counter) ?? 0;
		if (n > 0) return false;
		this.count(n + 1);
		return true;
	}
	private count(n: number): void {
		const was = this.counters.get(this.counter!) ?? 0;
		this.counters.set(this.counter!, n);
		this.x.on_undo(() => this.counters.set(this.counter!, was));
	}
	advance(): void {
		for (;;) {
			if (this.phase === 0) {
				const alone = this.flavour === "task" && !this.interruptible;
				if (!alone && !this.take_step("begin", 0, true)) return;
				if (!this.enter()) {
					this.results.push(null);
					if (++this.run_nr === this.runs) {
						this.done = true;
						return;
					}
					continue;
				}
				this.begin();
				this.phase = 1;
			}
			if (this.phase === 1) {
				if (!this.go_on()) return;
				this.phase = 2;
			}
			if (this.interruptible && !this.take_step("end", 0, true)) return;
			if (this.counter !== null) this.count((this.counters.get(this.counter) ?? 1) - 1);
			this.phase = 0;
			if (++this.run_nr === this.runs) {
				this.done = true;
				return;
			}
		}
	}
	protected abstract save_code(): unknown;
	protected abstract restore_code(s: unknown): void;
	protected abstract hash_code(h: Hash): void;
	protected save_inner(): unknown {
		return [this.phase, this.run_nr, this.results.slice(), this.phase === 1 ? this.save_code() : null];
	}
	protected restore_inner(s: unknown): void {
		const [phase, run_nr, results, code] = s as [number, number, (bigint | null)[], unknown];
		this.phase = phase;
		this.run_nr = run_nr;
		this.results = results;
		if (phase === 1) this.restore_code(code);
	}
	protected hash_inner(h: Hash): void {
		h.add(this.phase + 4 * this.run_nr);
		h.add_value(this.results);
		if (this.phase === 1) this.hash_code(h);
	}
	release(): void {
		this.x.kernel.kmem.kfree(this.ctx);
	}
}

/** A BPF instruction of an image that touches memory. */
interface MemInsn {
	readonly start: number;
	readonly end: number;
	readonly reg: number;
	readonly off: number;
	readonly len: number;
	readonly write: boolean;
	readonly what: string;
}

function size_of(code: number): number {
	switch (code & 0x18) {
		case BPF_B:
			return 1;
		case BPF_H:
			return 2;
		case BPF_W:
			return 4;
		default:
			return (code & 0x18) === BPF_DW ? 8 : 0;
	}
}

/** The access of an instruction; null: none, or one of the program's own stack. */
function access_of(insn: bpf_insn): { reg: number; write: boolean; what: string } | null {
	const mode = insn.code & 0xe0;
	let reg: number;
	let write = true;
	let what = "store";
	switch (insn.code & 7) {
		case BPF_LDX:
			if (![BPF_MEM, BPF_MEMSX, BPF_PROBE_MEM, BPF_PROBE_MEMSX, BPF_PROBE_MEM32].includes(mode)) return null;
			reg = insn.src_reg;
			write = false;
			what = "load";
			break;
		case BPF_ST:
			if (insn.code === (BPF_ST | BPF_NOSPEC)) return null;
			reg = insn.dst_reg;
			break;
		case BPF_STX:
			reg = insn.dst_reg;
			if (mode === BPF_ATOMIC || mode === BPF_PROBE_ATOMIC) what = "atomic operation";
			break;
		default:
			return null;
	}
	if (mode === BPF_PROBE_MEM32 || mode === BPF_PROBE_ATOMIC)
		throw new NotExplorable("arena memory cannot be explored");
	return reg === 10 ? null : { reg, write, what };
}

/** The accesses of the programs' images by the address of their code. */
export class ImageMap {
	private readonly at: Map<number, MemInsn> = new Map();
	/** Where BPF instructions begin: no flag of the CPU is live there. */
	private readonly begins: Set<number> = new Set();
	constructor(x: Explorer) {
		const k = x.kernel;
		for (const prog of k.bpf.ksyms) {
			const ends = k.bpf.jit?.insn_ends?.(prog);
			if (!ends || !prog.image) continue;
			const start = u64_to_addr(prog.bpf_func);
			for (const [i, insn] of prog.insnsi.entries()) {
				if (ends[i + 1]! > ends[i]!) this.begins.add(start + ends[i]!);
				const acc = access_of(insn);
				if (!acc) continue;
				this.at.set(start + ends[i]!, {
					start: start + ends[i]!,
					end: start + ends[i + 1]!,
					reg: REGS[k.config.arch][acc.reg]!,
					off: insn.off,
					len: size_of(insn.code),
					write: acc.write,
					what: acc.what,
				});
			}
		}
	}
	get(pc: number): MemInsn | undefined {
		return this.at.get(pc);
	}
	begins_at(pc: number): boolean {
		return this.begins.has(pc);
	}
}

/** One run of machine code of a thread, and those that bodies it called have begun. */
interface Level {
	words: Int32Array;
	pc: number;
	/** Of the body that it is in. */
	fiber: Fiber;
}

/** A program as machine code. */
export class MachineThread extends ProgThread {
	private readonly images: ImageMap;
	private readonly stack: number;
	private levels: Level[] = [];
	private wanted: { addr: number; args: readonly bigint[] } | null = null;

	constructor(images: ImageMap, ...rest: ConstructorParameters<typeof ProgThread>) {
		super(...rest);
		this.images = images;
		const stack = alloc_thread_stack(this.x.kernel.machine!);
		if (stack === 0) throw new Error("no memory for a kernel stack");
		this.stack = stack;
		this.own.push([stack - 4 * 4096, stack]);
	}
	private get engine(): SteppedCpu {
		return this.x.kernel.machine!.arch.stepped(this.cpu);
	}
	private push_level(stack: number, addr: number, args: readonly bigint[]): void {
		this.engine.enter(stack, addr, args);
		this.levels.push({ words: this.engine.save_words(), pc: addr, fiber: new Fiber() });
	}
	protected begin(): void {
		this.x.kernel.machine!.arch.forget_stacks();
		this.levels = [];
		this.push_level(this.stack - STACK_TOP_SLACK, u64_to_addr(this.prog.bpf_func), [addr_to_u64(this.ctx)]);
	}
	override call(addr: number, args: readonly bigint[]): bigint {
		this.wanted = { addr, args };
		throw DESCEND;
	}
	protected go_on(): boolean {
		const { x } = this;
		const k = x.kernel;
		const { engine } = this;
		k.machine!.arch.set_current(this.cpu, this.task.addr);
		let level = this.levels.at(-1)!;
		engine.load_words(level.words);
		let { pc } = level;
		const put_aside = (): void => {
			level.words = engine.save_words();
			level.pc = pc;
		};
		for (let n = 0; n < MAX_LOCAL; n++) {
			const stub = engine.stub_at(pc);
			if (stub === 0) {
				const { result } = engine;
				this.levels.pop();
				const below = this.levels.at(-1);
				if (!below) {
					this.results.push(result);
					return true;
				}
				level = below;
				level.fiber.push(result);
				engine.load_words(level.words);
				({ pc } = level);
				continue;
			}
			if (stub > 0) {
				x.fiber = level.fiber;
				level.fiber.cursor = 0;
				k.irqs_disabled = this.base_irqs;
				try {
					pc = engine.call_stub(stub);
					level.fiber.clear();
					this.base_irqs = k.irqs_disabled;
				} catch (e) {
					if (e !== SUSPEND && e !== DESCEND) throw e;
					put_aside();
					if (e === SUSPEND) return false;
					const { addr, args } = this.wanted!;
					const sp = engine.sp - 128;
					this.push_level(sp, addr, args);
					level = this.levels.at(-1)!;
					pc = addr;
				} finally {
					x.fiber = null;
				}
				continue;
			}
			const m = this.images.get(pc);
			const addr = m ? u64_to_addr(engine.reg(m.reg)) + m.off : 0;
			if (!m || x.is_private(addr)) {
				const between = x.every_instruction && this.interruptible && this.images.begins_at(pc);
				if (between && !this.take_step("instruction", pc, true)) {
					put_aside();
					return false;
				}
				pc = engine.step(pc);
				continue;
			}
			if (!this.take_step(m.what, addr)) {
				put_aside();
				return false;
			}
			x.guest_access(addr, m.len, m.write, () => {
				do pc = engine.step(pc);
				while (pc >= m.start && pc < m.end);
			});
		}
		throw new Error(`no step in ${MAX_LOCAL} instructions`);
	}
	private get sp(): number {
		const { words } = this.levels[0]!;
		const at = abi_of(this.x.kernel.config.arch).user.sp * 2;
		const top = this.levels.at(-1)!.words;
		const of = (w: Int32Array): number => (w[at]! >>> 0) + w[at + 1]! * 0x100000000;
		return Math.min(of(words), of(top));
	}
	protected save_code(): unknown {
		const { sp } = this;
		return {
			levels: this.levels.map((l) => ({ words: l.words, pc: l.pc, fiber: l.fiber.save() })),
			sp,
			stack: this.x.kernel.kmem.read(sp, this.stack - sp),
		};
	}
	protected restore_code(s: unknown): void {
		const { levels, sp, stack } = s as { levels: Level[]; sp: number; stack: Uint8Array };
		this.levels = levels;
		this.x.kernel.kmem.write(sp, stack);
	}
	protected hash_code(h: Hash): void {
		for (const l of this.levels) {
			h.add_number(l.pc);
			h.add(l.fiber.hash.a);
			h.add(l.fiber.hash.b);
			for (const w of l.words) h.add(w);
		}
		const { sp } = this;
		const bytes = this.x.kernel.kmem.read(sp, this.stack - sp);
		for (const w of new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)) h.add(w);
	}
	override release(): void {
		super.release();
		const m = this.x.kernel.machine!;
		free_thread_stack(m, this.stack);
		m.arch.forget_stacks();
	}
}

/** A program on the interpreter. */
export class InterpThread extends ProgThread {
	private readonly interp: Interpreter;
	private readonly stack: number;
	private depth = 0;
	private fiber = new Fiber();

	constructor(...rest: ConstructorParameters<typeof ProgThread>) {
		super(...rest);
		const { x } = this;
		const k = x.kernel;
		this.stack = k.kmem.kzalloc(FRAME * MAX_FRAMES);
		this.own.push([this.stack, this.stack + FRAME * MAX_FRAMES]);
		const bodies = new BodyCaller(k);
		const base = k.symbols.addr("__bpf_call_base") ?? 0n;
		this.interp = new Interpreter({
			mem: x.memory,
			indivisible: (addr, fn) => (x.is_private(addr) ? fn() : x.step("atomic operation", addr, fn)),
			call: (imm, r1, r2, r3, r4, r5) => {
				const name = k.symbols.lookup(BigInt.asUintN(64, base + BigInt(imm)))?.name ?? "?";
				return bodies.call(name, r1, r2, r3, r4, r5);
			},
			tail_call_target: () => {
				throw new NotExplorable(`${this.name}: a tail call on the interpreter`);
			},
			stack_alloc: (size) => {
				const at = this.stack + FRAME * this.depth++;
				k.kmem.fill(at, size, 0);
				return at;
			},
			stack_free: () => {
				this.depth--;
			},
		});
	}
	protected begin(): void {
		this.fiber.clear();
	}
	protected go_on(): boolean {
		const { x } = this;
		x.fiber = this.fiber;
		this.fiber.cursor = 0;
		x.kernel.irqs_disabled = 0;
		try {
			this.results.push(BigInt.asUintN(64, this.interp.run(this.prog, addr_to_u64(this.ctx))));
			this.fiber.clear();
			return true;
		} catch (e) {
			if (e !== SUSPEND) throw e;
			return false;
		} finally {
			x.fiber = null;
		}
	}
	protected save_code(): unknown {
		return this.fiber.save();
	}
	protected restore_code(s: unknown): void {
		this.fiber = s as Fiber;
	}
	protected hash_code(h: Hash): void {
		h.add(this.fiber.hash.a);
		h.add(this.fiber.hash.b);
	}
	override release(): void {
		super.release();
		this.x.kernel.kmem.kfree(this.stack);
	}
}

/** A function that is called again and again until it says that it has ended. */
export class LoopThread extends Thread {
	private readonly round: () => boolean;
	private fiber = new Fiber();

	/** `round`: one round of it, all in steps; true: it was the last. */
	constructor(x: Explorer, name: string, on_cpu: number, flavour: Flavour, task: Task, round: () => boolean) {
		super(x, name, on_cpu, flavour, task);
		this.round = round;
	}
	get active(): boolean {
		return this.fiber.log.length > 0;
	}
	advance(): void {
		const { x } = this;
		for (;;) {
			x.fiber = this.fiber;
			this.fiber.cursor = 0;
			x.kernel.irqs_disabled = 0;
			try {
				const last = this.round();
				this.fiber.clear();
				if (last) {
					this.done = true;
					return;
				}
			} catch (e) {
				if (e !== SUSPEND) throw e;
				return;
			} finally {
				x.fiber = null;
			}
		}
	}
	protected save_inner(): unknown {
		return this.fiber.save();
	}
	protected restore_inner(s: unknown): void {
		this.fiber = s as Fiber;
	}
	protected hash_inner(h: Hash): void {
		h.add(this.fiber.hash.a);
		h.add(this.fiber.hash.b);
	}
	release(): void {
		// it holds nothing
	}
}

/** A process whose loads and stores of what the kernel shares with it are steps. */
export class StepSys extends TaskSys {
	private readonly x: Explorer;
	constructor(x: Explorer, task: Task) {
		super(x.kernel, task);
		this.x = x;
	}
	override load(addr: number, len: number): Uint8Array {
		const { x } = this;
		if (!x.is_shared(addr)) return super.load(addr, len);
		const out = new Uint8Array(len);
		for (let at = 0; at < len; at += 8) {
			const n = Math.min(8, len - at);
			out.set(
				x.step("load", x.canonical(addr + at), () => super.load(addr + at, n)),
				at,
			);
		}
		return out;
	}
	override store(addr: number, bytes: Uint8Array): void {
		const { x } = this;
		if (!x.is_shared(addr)) {
			super.store(addr, bytes);
			return;
		}
		for (let at = 0; at < bytes.length; at += 8) {
			const part = bytes.slice(at, at + 8);
			const to = x.canonical(addr + at);
			x.step("store", to, () => x.tracked(to, part.length, () => super.store(addr + at, part)));
		}
	}
	override load8(addr: number): number {
		return this.load(addr, 1)[0]!;
	}
	override load32(addr: number): number {
		return new DataView(this.load(addr, 4).buffer).getUint32(0, true);
	}
	override load64(addr: number): bigint {
		return new DataView(this.load(addr, 8).buffer).getBigUint64(0, true);
	}
	override store8(addr: number, v: number): void {
		this.store(addr, Uint8Array.of(v));
	}
	override store32(addr: number, v: number): void {
		this.store(addr, new Uint8Array(Uint32Array.of(v).buffer));
	}
	override store64(addr: number, v: bigint): void {
		this.store(addr, new Uint8Array(BigUint64Array.of(BigInt.asUintN(64, v)).buffer));
	}
}
