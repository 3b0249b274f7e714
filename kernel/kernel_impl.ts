// SPDX-License-Identifier: GPL-2.0-only
/**
 * The kernel object: all mutable state of one emulated kernel. Files of kernel/ get it from the plain
 * `Kernel` of the shared types through `impl()`.
 */

import { abi_of } from "../arch/abis.ts";
import { EFAULT } from "../include/uapi/asm-generic/errno.ts";
import { openMessageTap } from "../lib/message_tap.ts";
import { GuestFault } from "../mm/guest_memory.ts";
import type { Machine } from "../mm/machine.ts";
import type { BpfState } from "./bpf/bpf_state.ts";
import type { bpf_prog } from "./bpf/bpf_types.ts";
import { ksizeof } from "./bpf/layout.ts";
import { Perf } from "./events/perf.ts";
import { close_files, files_struct, open_stdio } from "./file.ts";
import type { irq_work } from "./irq_work.ts";
import type { Kernel, KernelConfig, SymbolTable } from "./kernel.ts";
import type { Kmem, mm_struct } from "./kmem.ts";
import { Kprobes } from "./kprobes.ts";
import type { Preemption, SharedMemory } from "./preempt.ts";
import { put_regs } from "./pt_regs.ts";
import { Random } from "./random.ts";
import { Rcu } from "./rcu.ts";
import { KernelDeadlock } from "./spinlock.ts";
import type { task_struct } from "./task.ts";
import { task_image_free } from "./task_image.ts";
import { VirtualTime } from "./time.ts";
import { Ftrace } from "./trace/ftrace.ts";
import { TraceEvents } from "./trace/trace_events.ts";
import type { RawTracepoints } from "./trace/tracepoint.ts";

/** A task: struct task_struct with what the emulated system calls need. */
export class Task implements task_struct {
	readonly pid: number;
	readonly tgid: number;
	pgid: number;
	comm = "test_progs";
	readonly caps: Set<number>;
	/** What the effective ones may become again. */
	readonly permitted: Set<number>;
	/** A wait that is under way ends with -EINTR. */
	exiting = false;
	/** It waits in a system call; another task, or none, has its CPU. */
	asleep = false;
	uid = 0;
	gid = 0;
	cpu = 0;
	mm: mm_struct;
	files: files_struct;
	/** current->bpf_ctx: the struct bpf_run_ctx of the program that runs */
	bpf_ctx = 0n;
	/** Guest address of the struct task_struct; 0 until something asks for it. */
	addr = 0;
	/** Nanoseconds since boot at which it began. */
	readonly start_time: bigint;
	constructor(
		pid: number,
		tgid: number,
		mm: mm_struct,
		files: files_struct,
		caps: Iterable<number>,
		now: bigint,
	) {
		this.pid = pid;
		this.tgid = tgid;
		this.pgid = tgid;
		this.mm = mm;
		this.files = files;
		this.caps = new Set(caps);
		this.permitted = new Set(this.caps);
		this.start_time = now;
	}
}

/** How programs and their callbacks are run: the machine's CPUs, or the interpreter. */
export interface ProgRunner {
	/** bpf_prog_run(): R0 of the program with R1 = ctx, on the current CPU. */
	run(prog: bpf_prog, ctx: bigint): bigint;
	/** Call a function of a program (a callback) by the address that the program passed. */
	call(addr: bigint, args: readonly bigint[]): bigint;
	/** Show the interpreter's instructions, each before it runs; null: no more. */
	trace_interp?(fn: ((prog: bpf_prog, idx: number, regs: BigUint64Array) => void) | null): void;
}

/** CAP_LAST_CAP of v6.12 is CAP_CHECKPOINT_RESTORE. */
export const CAP_LAST_CAP = 40;

/** Turns of the event loop without a system call before time jumps to the next timer. */
const IDLE_ROUNDS = 4;

/** Kernel log lines kept at most. */
const LOG_MAX = 10000;

/** One emulated kernel. */
export class KernelImpl implements Kernel {
	readonly config: KernelConfig;
	readonly kmem: Kmem;
	readonly symbols: SymbolTable;
	/** Set by boot(): the subsystem needs the kernel and the other way round. */
	bpf!: BpfState;
	tracepoints!: RawTracepoints;
	runner: ProgRunner | null = null;
	/** The emulated machine; null on a kernel that only verifies and interprets. */
	machine: Machine | null = null;
	/** Functions that may be traced at their entry. */
	readonly ftrace: Ftrace;
	/** Probes at functions' entries and returns. */
	readonly kprobes: Kprobes;
	readonly trace_events: TraceEvents;
	readonly perf: Perf;
	/** The timer that runs now woke the CPU from idling. */
	idle_task = false;
	/** struct bpf_session_run_ctx of the kprobe session program that runs */
	session: { readonly is_return: boolean; readonly data: number } = { is_return: false, data: 0 };
	/** bpf_get_attach_cookie() of the program that runs, and of those it interrupted */
	bpf_cookie = 0n;
	readonly cookies: bigint[] = [];
	readonly random: Random;
	readonly message_tap = openMessageTap();
	readonly time: VirtualTime;
	readonly rcu: Rcu;
	readonly rcu_tasks_trace: Rcu;
	task: Task;
	readonly tasks: Map<number, Task> = new Map();
	private next_pid = 101;
	/** dmesg */
	readonly log: string[] = [];
	/** trace_pipe: what bpf_trace_printk() wrote */
	readonly trace_log: string[] = [];
	/** CLOCK_REALTIME less CLOCK_MONOTONIC. */
	readonly wall_offset = 1_750_000_000_000_000_000n;
	/** ptr_key: what %p hashes pointers with */
	readonly ptr_key: number;
	/** The CPU that runs, its interrupt and preemption state. */
	cpu = 0;
	irqs_disabled = 0;
	/** in_nmi(): the CPU is in a non-maskable interrupt, where no lock may be waited for. */
	in_nmi = false;
	/** Memory that other CPUs and user space touch at the same time (preempt.ts). */
	shared: SharedMemory;
	explore: Preemption | null = null;
	private works: (() => void)[] = [];
	private irq_works: (() => void)[] = [];
	private in_work = false;
	private idle_scheduled = false;
	/** The loopback device and its receive queue, once a packet was made. */
	net: { dev: number; rxq: number; init_net: number } | null = null;
	/** Files under /sys and /proc that user space may read. */
	readonly pseudo_files: Map<string, () => Uint8Array> = new Map();
	/** Files of modules in sysfs: what reading them does and gives. */
	readonly module_files: Map<string, () => Uint8Array | number> = new Map();
	/** Also print the kernel log to stderr. */
	verbose = false;

	constructor(config: KernelConfig, kmem: Kmem, symbols: SymbolTable) {
		this.config = config;
		this.kmem = kmem;
		this.shared = kmem;
		this.symbols = symbols;
		this.random = new Random(config.seed);
		this.ptr_key = this.random.u32();
		this.time = new VirtualTime(10_000_000_000n);
		this.rcu = new Rcu(this, "rcu", () => this.random.u32());
		this.rcu_tasks_trace = new Rcu(this, "rcu_tasks_trace", () => this.random.u32());
		this.time.enter = (func) => this.guarded("timer", func);
		this.rcu.enter = (func) => this.guarded("rcu callback", func);
		this.rcu_tasks_trace.enter = this.rcu.enter;
		this.ftrace = new Ftrace(this);
		this.kprobes = new Kprobes(this);
		this.trace_events = new TraceEvents(this);
		this.perf = new Perf(this);
		this.task = this.new_task();
	}

	get mem(): Kmem {
		return this.kmem;
	}
	get current(): task_struct {
		return this.task;
	}
	set current(t: task_struct) {
		const same = this.task === t;
		this.task = t as Task;
		this.cpu = this.task.cpu;
		if (!same) this.perf.task_switch();
	}
	ktime_get_ns(): bigint {
		return this.time.now;
	}
	/** jiffies_64: from INITIAL_JIFFIES on */
	get jiffies(): bigint {
		const hz = BigInt(this.config.kconfig.get("CONFIG_HZ") ?? "1000");
		return BigInt.asUintN(32, -300n * hz) + (this.time.now * hz) / 1_000_000_000n;
	}
	get_random_u32(): number {
		return this.random.u32();
	}
	printk(line: string): void {
		const text = line.endsWith("\n") ? line.slice(0, -1) : line;
		if (this.log.length >= LOG_MAX) this.log.splice(0, LOG_MAX / 2);
		this.log.push(text);
		if (this.verbose) console.error(`[kernel] ${text}`);
	}

	/** A lock that will never be given back: the kernel would hang here. */
	deadlock(what: string): never {
		const e = new KernelDeadlock(what);
		this.printk(e.message);
		throw e;
	}

	/** A new process with all capabilities, or a thread of one. */
	new_task(of?: Task): Task {
		const pid = this.next_pid++;
		const caps: number[] = [];
		for (let i = 0; i <= CAP_LAST_CAP; i++) caps.push(i);
		const t = of
			? new Task(pid, of.tgid, of.mm, of.files, of.caps, this.time.now)
			: new Task(pid, pid, this.kmem.new_mm(), new files_struct(), caps, this.time.now);
		if (of) {
			of.files.refcnt++;
			t.comm = of.comm;
			t.pgid = of.pgid;
			t.uid = of.uid;
			t.gid = of.gid;
			t.cpu = of.cpu;
		} else open_stdio(this, t.files);
		this.tasks.set(pid, t);
		return t;
	}

	/** do_exit(): descriptors, address space, the task itself. */
	exit_task(t: Task): void {
		const before = this.task;
		this.current = t;
		if (--t.files.refcnt === 0) {
			close_files(t.files);
			t.mm.exit();
		}
		this.perf.exit_task(t);
		task_image_free(this, t);
		this.tasks.delete(t.pid);
		this.current = before === t ? t : before;
		this.settle();
	}

	/** kernel/workqueue.c: queue_work(): runs at the end of the system call. */
	queue_work(func: () => void): void {
		this.works.push(func);
		this.kick();
	}

	private run_works(): void {
		while (this.works.length > 0) this.guarded("work", this.works.shift()!);
	}

	/** Deferred code has no caller that could be told: what would be an oops goes to the kernel log. */
	guarded(what: string, func: () => void): void {
		try {
			func();
		} catch (e) {
			this.printk(`BUG: ${what}: ${e instanceof Error ? (e.stack ?? e.message) : String(e)}`);
		}
	}

	/** kernel/irq_work.c: irq_work_queue(): at once when interrupts are on, else when they come on. */
	irq_work_queue(work: irq_work): void {
		if (this.explore) {
			this.explore.irq_work_queue(work);
			return;
		}
		if (work.pending) return;
		if (this.irqs_disabled === 0) {
			this.guarded("irq_work", work.func);
			return;
		}
		work.pending = true;
		this.irq_works.push(() => {
			work.pending = false;
			work.func();
		});
	}

	local_irq_save(): void {
		this.explore?.irq_save();
		this.irqs_disabled++;
	}
	local_irq_restore(): void {
		this.explore?.irq_restore();
		if (--this.irqs_disabled > 0) return;
		while (this.irq_works.length > 0) this.guarded("irq_work", this.irq_works.shift()!);
	}

	/** What the end of a system call does: work queues run, RCU sees a quiescent state. */
	syscall_exit(): void {
		this.idle_rounds = 0;
		if (this.in_work) return;
		this.in_work = true;
		try {
			this.run_works();
			this.rcu.quiescent();
			this.rcu_tasks_trace.quiescent();
			this.run_works();
		} finally {
			this.in_work = false;
		}
		if (this.rcu.pending + this.rcu_tasks_trace.pending > 0) this.kick();
	}

	/** Let everything deferred happen: work, grace periods, and what they queue (not timers). */
	settle(): void {
		for (let i = 0; i < 1000; i++) {
			if (this.works.length + this.rcu.pending + this.rcu_tasks_trace.pending === 0) return;
			this.syscall_exit();
			this.rcu_tasks_trace.barrier();
			this.rcu.barrier();
		}
	}

	/** See to it that deferred work happens and time goes on once every task sleeps. */
	kick(): void {
		if (this.idle_scheduled) return;
		this.idle_scheduled = true;
		setImmediate(() => {
			this.idle_scheduled = false;
			this.idle();
		});
	}

	/** The idle loop: all tasks wait for something. */
	private idle(): void {
		const rounds = this.idle_rounds;
		this.syscall_exit();
		this.idle_rounds = rounds;
		if (this.time.pending === 0 || this.sleepers === 0) return;
		// a task that gave up its turn, or that user space has not let run yet, comes before time does
		if (this.yielding > 0 || this.idle_rounds++ < IDLE_ROUNDS) {
			this.kick();
			return;
		}
		this.idle_rounds = 0;
		this.idle_task = true;
		try {
			this.time.jump();
		} finally {
			this.idle_task = false;
		}
		if (this.time.pending > 0) this.kick();
	}

	/** Tasks that wait with a timeout: virtual time may jump. */
	sleepers = 0;
	/** Tasks in sched_yield() */
	yielding = 0;
	private idle_rounds = 0;

	/** Sleep of a task: resolves at the given virtual time, or when `cancel` was called before. */
	sleep_until(expires: bigint): { done: Promise<void>; cancel(): void } {
		let finish: () => void = () => {};
		this.sleepers++;
		const timer = this.time.start(expires, () => finish());
		const done = new Promise<void>((resolve) => {
			let over = false;
			finish = () => {
				if (over) return;
				over = true;
				this.sleepers--;
				resolve();
			};
		});
		this.kick();
		return {
			done,
			cancel: () => {
				this.time.cancel(timer);
				finish();
			},
		};
	}

	/** bpf_prog_run() on the current CPU. */
	run_prog(prog: bpf_prog, ctx: bigint): bigint {
		if (!this.runner) throw new Error("not ported: running programs on this kernel");
		return this.runner.run(prog, ctx);
	}
	/** Call guest code: a callback that a program handed to a helper. */
	call_guest(addr: bigint, args: readonly bigint[]): bigint {
		if (this.explore) return this.explore.call_guest(addr, args);
		if (!this.runner) throw new Error("not ported: running programs on this kernel");
		return this.runner.call(addr, args);
	}

	/** The struct pt_regs of a system call, as tracepoint programs read it. */
	pt_regs(nr: number, args: readonly number[]): number {
		const at = this.kmem.kzalloc(ksizeof(this, "pt_regs"));
		put_regs(this, at, abi_of(this.config.arch).syscall_regs(nr, args));
		return at;
	}
	pt_regs_free(at: number): void {
		this.kmem.kfree(at);
	}

	// ---- uaccess (arch/x86/include/asm/uaccess.h): of the current task's address space
	/** copy_from_user(): null when it faults. */
	copy_from_user(addr: number, len: number): Uint8Array | null {
		if (len === 0) return new Uint8Array(0);
		return this.task.mm.read(addr, len);
	}
	/** copy_to_user(): false when it faults. */
	copy_to_user(addr: number, bytes: Uint8Array): boolean {
		if (bytes.length === 0) return true;
		return this.task.mm.write(addr, bytes);
	}
	/** put_user() of 32 bits. */
	put_user32(addr: number, v: number): boolean {
		return this.copy_to_user(addr, Uint8Array.of(v & 255, (v >> 8) & 255, (v >> 16) & 255, v >>> 24));
	}
	put_user64(addr: number, v: bigint): boolean {
		const b = new Uint8Array(8);
		new DataView(b.buffer).setBigUint64(0, BigInt.asUintN(64, v), true);
		return this.copy_to_user(addr, b);
	}
	/** lib/strncpy_from_user.c: the bytes before NUL, at most `count`; null when it faults. */
	strncpy_from_user(addr: number, count: number): Uint8Array | null {
		const out: number[] = [];
		for (let i = 0; i < count; i++) {
			const b = this.copy_from_user(addr + i, 1);
			if (!b) return null;
			if (b[0] === 0) break;
			out.push(b[0]!);
		}
		return Uint8Array.from(out);
	}
	/** mm/maccess.c: copy_from_kernel_nofault(): -ERANGE where it does not even try, -EFAULT when it faults. */
	copy_from_kernel_nofault(addr: number, len: number): Uint8Array | number {
		const refused = abi_of(this.config.arch).nofault_refused(addr);
		if (refused) return refused;
		try {
			return this.kmem.read(addr, len);
		} catch (e) {
			if (e instanceof GuestFault) return -EFAULT;
			throw e;
		}
	}
	/** Call the body of a kernel function by its symbol. */
	call_body(name: string, args: readonly bigint[]): bigint {
		const body = this.bpf.bodies.get(name);
		if (!body) {
			this.bpf.not_ported(name);
			return 0n;
		}
		const call = (addr: bigint, a: readonly bigint[]): bigint => this.call_guest(addr, a);
		const ctx = { kernel: this, cpu: this.cpu, call };
		const a = (i: number): bigint => args[i] ?? 0n;
		return body(ctx, a(0), a(1), a(2), a(3), a(4));
	}
}

/** The kernel behind the shared interface. */
export function impl(kernel: Kernel): KernelImpl {
	return kernel as KernelImpl;
}
