// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs several threads of control of one kernel in any order, a step at a time: programs on CPUs, interrupts
 * of them, and user space. A step is one access of memory that others can see, or one operation on a lock,
 * an interrupt flag or a queue; what lies between two steps no one else can notice.
 *
 * The memory is sequentially consistent: what one step wrote the next one sees, whoever makes it. Orders that
 * only a weaker memory shows (store buffers, reads that overtake reads) are not explored.
 *
 * A function is left at a step by throwing, and gone on with by calling it again: steps that it has made answer
 * from a list. So nothing has to be a generator, and nothing costs anything while no one explores. Every change
 * is kept with its opposite, so that a step can be taken back.
 */
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { irq_work } from "../irq_work.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { Kmem } from "../kmem.ts";
import type { Preemption, SharedMemory } from "../preempt.ts";
import type { raw_spinlock } from "../spinlock.ts";
import { Hash, mix_mem } from "./hash.ts";
import { RingRecords } from "./records.ts";
import type { Thread } from "./threads.ts";

/** Thrown to leave a function at a step. */
export const SUSPEND: unique symbol = Symbol("suspended");

/** A program does what cannot be taken back. */
export class NotExplorable extends Error {}

/** What a thread does next. */
export interface Op {
	readonly what: string;
	/** Address it is about; 0: none. */
	readonly addr: number;
	/** It can be done now; else the thread waits. */
	readonly enabled: (() => boolean) | null;
	/** No other CPU can see it. */
	readonly local?: boolean;
}

/** What is wrong. */
export interface Finding {
	readonly kind: "lost" | "torn" | "misordered" | "duplicate" | "deadlock" | "crash" | "assertion";
	readonly text: string;
}

/** The steps that a function has made, so that it can be called again. */
export class Fiber {
	log: unknown[] = [];
	cursor = 0;
	readonly hash = new Hash();
	clear(): void {
		this.log = [];
		this.cursor = 0;
		this.hash.reset();
	}
	push(v: unknown): void {
		this.log.push(v);
		this.cursor = this.log.length;
		this.hash.add_value(v);
	}
	save(): Fiber {
		const f = new Fiber();
		f.log = this.log.slice();
		f.hash.copy(this.hash);
		return f;
	}
}

/** Bodies that are taken apart at their accesses. */
const STEPPED =
	/^bpf_(ringbuf_(reserve|submit|discard|output|query|(reserve|submit|discard)_dynptr)|user_ringbuf_drain|loop|spin_lock|spin_unlock)$/;
/** Bodies that change nothing but memory, and are one step. */
const ONE_STEP =
	/^(bpf_(get_smp_processor_id|get_numa_node_id|get_current_(pid_tgid|uid_gid|comm|task|task_btf)|map_lookup_elem|per_cpu_ptr|this_cpu_ptr|probe_read_kernel|dynptr_(read|write|data|from_mem|slice|slice_rdwr|adjust|size|is_null|is_rdonly|clone)|get_attach_cookie\w*|rcu_read_(lock|unlock)|strncmp)|__htab_map_lookup_elem|(percpu_)?array_map_lookup_elem|array_map_update_elem|htab_map_lookup_elem|array_of_map_lookup_elem|htab_of_map_lookup_elem)$/;
const WRITERS = ["w8", "w16", "w32", "w64", "wptr", "write", "copy", "fill"] as const;

/** Memory whose accesses are steps. */
class StepMemory implements SharedMemory {
	private readonly x: Explorer;
	private readonly mem: Kmem;
	constructor(x: Explorer) {
		this.x = x;
		this.mem = x.kernel.kmem;
	}
	private access<T>(what: string, va: number, fn: () => T): T {
		return this.x.is_private(va) ? fn() : this.x.step(what, va, fn);
	}
	r8(va: number): number {
		return this.access("read", va, () => this.mem.r8(va));
	}
	r16(va: number): number {
		return this.access("read", va, () => this.mem.r16(va));
	}
	r32(va: number): number {
		return this.access("read", va, () => this.mem.r32(va));
	}
	r64(va: number): bigint {
		return this.access("read", va, () => this.mem.r64(va));
	}
	w8(va: number, v: number): void {
		this.access("write", va, () => this.mem.w8(va, v));
	}
	w16(va: number, v: number): void {
		this.access("write", va, () => this.mem.w16(va, v));
	}
	w32(va: number, v: number): void {
		this.access(`write ${v >>> 0}`, va, () => this.mem.w32(va, v));
	}
	w64(va: number, v: bigint): void {
		this.access(`write ${v}`, va, () => this.mem.w64(va, v));
	}
	rptr(va: number): number {
		return this.access("read", va, () => this.mem.rptr(va));
	}
	wptr(va: number, v: number): void {
		this.access(`write ${v}`, va, () => this.mem.wptr(va, v));
	}
	cmpxchg32(va: number, old: number, v: number): number {
		return this.access(`compare with ${old}, exchange ${v}`, va, () => this.mem.cmpxchg32(va, old, v));
	}
	/** Eight bytes at a time. */
	copy(dst: number, src: number, len: number): void {
		for (let at = 0; at < len; at += 8) {
			const n = Math.min(8, len - at);
			const bytes = this.access("copy from", src + at, () => this.mem.read(src + at, n));
			this.access("copy to", dst + at, () => this.mem.write(dst + at, bytes));
		}
	}
}

export class Explorer implements Preemption {
	readonly kernel: KernelImpl;
	readonly threads: Thread[] = [];
	readonly memory: StepMemory;
	/** What reached the rings and what came out. */
	readonly records: RingRecords;
	/** The thread that is being advanced, and the function of it that runs. */
	current: Thread | null = null;
	fiber: Fiber | null = null;
	/** Whether the next step may be made. */
	budget = 0;
	/** Interrupts may also come before instructions that touch nothing shared (machine code only). */
	every_instruction = false;
	/** Set when something is found to be wrong. */
	finding: Finding | null = null;
	/** How to take back the step that is being made; null: none is. */
	private undo: (() => void)[] | null = null;
	private in_step = 0;
	private tracking = false;
	/** What the last step gave, for those who want to see. */
	last_result: unknown = undefined;
	/** Of all memory that was changed and all flags that are set. */
	private mem1 = 0;
	private mem2 = 0;
	/** Numbers that belong to the state besides. */
	readonly extra: (() => number)[] = [];
	private readonly work_ids: Map<irq_work, number> = new Map();
	private readonly lock_ids: Map<raw_spinlock, number> = new Map();
	private readonly before_step: (() => void)[] = [];
	/** Someone runs queued work; else queueing it has no effect. */
	runs_irq_work = false;
	/** Work queued by CPU, in order. */
	readonly irq_works: irq_work[][] = [];
	/** Where pages lie that are mapped at several addresses: page → the page they stand for. */
	private readonly aliases: Map<number, number> = new Map();
	private readonly names: { start: number; end: number; name: (off: number) => string }[] = [];
	/** Thread that holds a lock or a flag, for reports. */
	private readonly holders: Map<unknown, string> = new Map();

	constructor(kernel: KernelImpl) {
		if (kernel.explore) throw new Error("someone explores this kernel already");
		this.kernel = kernel;
		this.memory = new StepMemory(this);
		this.records = new RingRecords(this);
		for (let cpu = 0; cpu < kernel.config.cpus; cpu++) this.irq_works.push([]);
	}

	/** From now on the kernel's preemption points come here; close() ends it. */
	open(): void {
		this.kernel.explore = this;
		this.kernel.shared = this.memory;
		this.watch_writes();
	}

	close(): void {
		const { kernel } = this;
		kernel.explore = null;
		kernel.shared = kernel.kmem;
		kernel.in_nmi = false;
		kernel.irqs_disabled = 0;
		for (const name of WRITERS) Reflect.deleteProperty(kernel.kmem, name);
		for (const t of this.threads) t.release();
	}

	// ---- steps
	/** One step of the function that runs: made if it may, else the function is left. */
	step<T>(what: string, addr: number, fn: () => T, enabled: (() => boolean) | null = null, local = false): T {
		const f = this.fiber;
		if (!f || this.in_step > 0) return fn();
		if (f.cursor < f.log.length) return f.log[f.cursor++] as T;
		if (this.budget === 0) {
			this.current!.pending = { what, addr, enabled, local };
			throw SUSPEND;
		}
		this.budget = 0;
		const r = this.perform(f, fn);
		this.last_result = r;
		return r;
	}

	/** Something that no one else can see, but that must not happen again when the function is called again. */
	local<T>(fn: () => T): T {
		const f = this.fiber;
		if (!f || this.in_step > 0) return fn();
		if (f.cursor < f.log.length) return f.log[f.cursor++] as T;
		return this.perform(f, fn);
	}

	private perform<T>(f: Fiber, fn: () => T): T {
		this.in_step++;
		try {
			for (const hook of this.before_step) hook();
			const r = fn();
			f.push(r);
			return r;
		} finally {
			this.in_step--;
		}
	}

	/** A step that is an instruction of the guest: `fn` runs it; memory at `addr` may change. */
	guest_access(addr: number, len: number, write: boolean, fn: () => void): void {
		this.in_step++;
		try {
			if (write) this.tracked(addr, len, fn);
			else fn();
		} finally {
			this.in_step--;
		}
	}

	/** Called before each step, to keep what it may change. */
	around_steps(hook: () => void): void {
		this.before_step.push(hook);
	}

	/** How to take back what the step that is being made does. */
	on_undo(fn: () => void): void {
		this.undo?.push(fn);
	}

	fail(kind: Finding["kind"], text: string): void {
		this.finding ??= { kind, text };
	}

	/** Advance a thread by a step; the answer takes it back. */
	advance(t: Thread): () => void {
		const saved = t.save();
		const { mem1, mem2 } = this;
		const undo: (() => void)[] = [];
		this.undo = undo;
		this.enter(t);
		this.budget = 1;
		this.last_result = undefined;
		try {
			t.started = true;
			t.advance();
		} catch (e) {
			if (e instanceof NotExplorable) throw e;
			t.done = true;
			this.fail("crash", `${t.name}: ${e instanceof Error ? e.message : String(e)}`);
		}
		t.irqs_disabled = this.kernel.irqs_disabled;
		t.mark = null;
		this.leave();
		return () => {
			for (let i = undo.length - 1; i >= 0; i--) undo[i]!();
			this.mem1 = mem1;
			this.mem2 = mem2;
			t.restore(saved);
			this.finding = null;
		};
	}

	/** Run a new thread to its first step. */
	prepare(t: Thread): void {
		this.undo = [];
		this.enter(t);
		this.budget = 0;
		t.advance();
		t.irqs_disabled = this.kernel.irqs_disabled;
		t.mark = null;
		this.leave();
	}

	private enter(t: Thread): void {
		const k = this.kernel;
		this.current = t;
		k.task = t.task;
		k.cpu = t.cpu;
		k.in_nmi = t.flavour === "nmi";
		k.irqs_disabled = t.base_irqs;
	}

	private leave(): void {
		this.current = null;
		this.fiber = null;
		this.undo = null;
		this.budget = 0;
		this.kernel.in_nmi = false;
		this.kernel.irqs_disabled = 0;
	}

	// ---- memory
	/** The place that stands for an address, whatever mapping it is reached through. */
	canonical(va: number): number {
		const page = Math.floor(va / 4096);
		const other = this.aliases.get(page);
		return other === undefined ? va : other * 4096 + (va - page * 4096);
	}

	/** `len` bytes at `va` are the same memory as those at `to`. */
	alias(va: number, to: number, len: number): void {
		for (let at = 0; at < len; at += 4096) this.aliases.set((va + at) / 4096, (to + at) / 4096);
	}

	/** User space reaches it at an address that alias() knows. */
	is_shared(va: number): boolean {
		return this.aliases.has(Math.floor(va / 4096));
	}

	/** Name a piece of memory for reports. */
	name_memory(start: number, len: number, name: (off: number) => string): void {
		this.names.push({ start, end: start + len, name });
	}

	describe(va: number): string {
		if (va === 0) return "";
		const at = this.canonical(va);
		for (const n of this.names) if (at >= n.start && at < n.end) return n.name(at - n.start);
		return `0x${addr_to_u64(at).toString(16)}`;
	}

	is_private(va: number): boolean {
		for (const [start, end] of this.current?.own ?? []) if (va >= start && va < end) return true;
		return false;
	}

	/** Run what writes `len` bytes at `va`: it can be taken back, and counts in the state. */
	tracked(va: number, len: number, fn: () => void): void {
		const { undo } = this;
		if (!undo || this.tracking || len === 0 || this.is_private(va)) {
			fn();
			return;
		}
		const { kmem } = this.kernel;
		const start = Math.floor(va / 4) * 4;
		const before = kmem.read(start, Math.ceil((va + len - start) / 4) * 4);
		this.tracking = true;
		try {
			fn();
		} finally {
			this.tracking = false;
		}
		const after = kmem.read(start, before.length);
		const old = new Uint32Array(before.buffer, before.byteOffset, before.length / 4);
		const now = new Uint32Array(after.buffer, after.byteOffset, after.length / 4);
		let changed = false;
		for (let i = 0; i < old.length; i++) {
			if (old[i] === now[i]) continue;
			changed = true;
			const at = this.canonical(start + 4 * i);
			this.mem1 ^= mix_mem(at, old[i]!, 1) ^ mix_mem(at, now[i]!, 1);
			this.mem2 ^= mix_mem(at, old[i]!, 2) ^ mix_mem(at, now[i]!, 2);
		}
		if (!changed) return;
		const write = Object.getPrototypeOf(kmem).write as (va: number, bytes: Uint8Array) => void;
		undo.push(() => write.call(kmem, start, before));
	}

	/** A flag of the state is changed. */
	private toggle(id: number): void {
		this.mem1 ^= mix_mem(id, 1, 3);
		this.mem2 ^= mix_mem(id, 1, 4);
	}

	private watch_writes(): void {
		const { kmem } = this.kernel;
		const proto = Object.getPrototypeOf(kmem) as Kmem;
		const t = (va: number, len: number, fn: () => void): void => this.tracked(va, len, fn);
		Object.assign(kmem, {
			w8: (va: number, v: number) => t(va, 1, () => proto.w8.call(kmem, va, v)),
			w16: (va: number, v: number) => t(va, 2, () => proto.w16.call(kmem, va, v)),
			w32: (va: number, v: number) => t(va, 4, () => proto.w32.call(kmem, va, v)),
			w64: (va: number, v: bigint) => t(va, 8, () => proto.w64.call(kmem, va, v)),
			wptr: (va: number, v: number) => t(va, 8, () => proto.wptr.call(kmem, va, v)),
			write: (va: number, b: Uint8Array) => t(va, b.length, () => proto.write.call(kmem, va, b)),
			copy: (d: number, s: number, n: number) => t(d, n, () => proto.copy.call(kmem, d, s, n)),
			fill: (va: number, n: number, b: number) => t(va, n, () => proto.fill.call(kmem, va, n, b)),
		} satisfies Pick<Kmem, (typeof WRITERS)[number]>);
	}

	// ---- Preemption
	private lock_id(lock: raw_spinlock): number {
		let id = this.lock_ids.get(lock);
		if (id === undefined) {
			id = this.lock_ids.size + 1;
			this.lock_ids.set(lock, id);
		}
		return id;
	}
	private set_lock(lock: raw_spinlock, held: boolean): void {
		const was = lock.held;
		const holder = this.holders.get(lock);
		lock.held = held;
		if (held) this.holders.set(lock, this.current!.name);
		this.toggle(this.lock_id(lock));
		this.on_undo(() => {
			lock.held = was;
			if (holder) this.holders.set(lock, holder);
		});
	}
	lock_named(name: string): raw_spinlock | null {
		for (const lock of this.lock_ids.keys()) if (lock.name === name && lock.held) return lock;
		return null;
	}
	/** Who holds a lock now. */
	holder(lock: unknown): string | undefined {
		return this.holders.get(lock);
	}
	lock(lock: raw_spinlock): void {
		this.step(
			`lock ${lock.name}`,
			0,
			() => this.set_lock(lock, true),
			() => !lock.held,
		);
	}
	trylock(lock: raw_spinlock): boolean {
		return this.step(`try to lock ${lock.name}`, 0, () => {
			if (lock.held) return false;
			this.set_lock(lock, true);
			return true;
		});
	}
	unlock(lock: raw_spinlock): void {
		this.step(`unlock ${lock.name}`, 0, () => {
			if (!lock.held) this.fail("assertion", `${lock.name} is unlocked, which no one has locked`);
			else this.set_lock(lock, false);
		});
	}
	guest_lock(va: number): void {
		const { kmem } = this.kernel;
		this.step(
			"spin lock",
			va,
			() => kmem.w32(va, 1),
			() => kmem.r32(va) === 0,
		);
	}
	irq_save(): void {
		if (this.current?.interruptible) this.step("interrupts off", 0, () => undefined, null, true);
	}
	irq_restore(): void {
		if (this.current?.interruptible) this.step("interrupts on", 0, () => undefined, null, true);
	}
	irq_work_queue(work: irq_work): void {
		this.step("irq_work_queue", 0, () => {
			if (work.pending || !this.runs_irq_work) return;
			const queue = this.irq_works[this.kernel.cpu]!;
			work.pending = true;
			queue.push(work);
			this.on_undo(() => {
				queue.pop();
				work.pending = false;
			});
		});
	}
	private work_id(work: irq_work): number {
		let id = this.work_ids.get(work);
		if (id === undefined) {
			id = this.work_ids.size + 1;
			this.work_ids.set(work, id);
		}
		return id;
	}
	/** irq_work_single(): the oldest work of a CPU. */
	take_irq_work(cpu: number): irq_work {
		const queue = this.irq_works[cpu]!;
		const work = queue.shift()!;
		work.pending = false;
		this.on_undo(() => {
			queue.unshift(work);
			work.pending = true;
		});
		return work;
	}
	helper(name: string, args: readonly bigint[], run: () => bigint): bigint {
		if (!this.fiber || this.in_step > 0) return run();
		if (STEPPED.test(name)) {
			this.records.before(name, args);
			const r = run();
			this.records.after(name, args, r);
			return r;
		}
		if (name.startsWith("bpf_ktime_get_")) return this.kernel.time.now;
		if (name === "bpf_jiffies64") return this.kernel.jiffies;
		if (name === "bpf_trace_printk" || name === "bpf_trace_vprintk")
			return this.step(name, 0, () => {
				const { trace_log } = this.kernel;
				const n = trace_log.length;
				this.on_undo(() => {
					trace_log.length = n;
				});
				return run();
			});
		if (!ONE_STEP.test(name))
			throw new NotExplorable(`${this.current!.name} calls ${name}, which cannot be taken back`);
		return this.step(name, 0, run);
	}
	call_guest(addr: bigint, args: readonly bigint[]): bigint {
		const f = this.fiber;
		if (!f || this.in_step > 0) throw new NotExplorable("a callback from within one step");
		if (f.cursor < f.log.length) return f.log[f.cursor++] as bigint;
		return this.current!.call(u64_to_addr(addr), args);
	}

	// ---- the state
	/** Two numbers of 32 bits that tell the state from others. */
	state(h: Hash): void {
		h.reset();
		h.add(this.mem1);
		h.add(this.mem2);
		for (const t of this.threads) t.add_state(h);
		for (const queue of this.irq_works) {
			h.add(queue.length);
			for (const work of queue) h.add(this.work_id(work));
		}
		for (const fn of this.extra) h.add(fn());
		this.records.add_state(h);
	}
}
