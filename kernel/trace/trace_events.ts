// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trace events (kernel/trace/trace_events.c, trace_event_perf.c, trace_syscalls.c): what tracefs shows under
 * events/, what perf events of type PERF_TYPE_TRACEPOINT name by id, and what programs of type TRACEPOINT and
 * KPROBE run on. Events of system calls and of the scheduler are fired; a kprobe brings an event of its own.
 */
import { E2BIG, EEXIST, EINVAL, ENOENT, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import { PERF_SAMPLE_RAW } from "../../include/uapi/linux/perf_event.ts";
import type { bpf_prog } from "../bpf/bpf_types.ts";
import { ksizeof } from "../bpf/layout.ts";
import { bpf_prog_inc_misses_counter, bpf_prog_run } from "../bpf/prog.ts";
import type { perf_event } from "../events/perf_event.ts";
import { type KernelImpl, Task } from "../kernel_impl.ts";
import { NR, SYSCALL_ARGS, type SyscallName } from "../syscall_nr.ts";
import { CAP_PERFMON, CAP_SYS_ADMIN } from "../task.ts";
import { task_image, task_image_free } from "../task_image.ts";

/** include/linux/trace_events.h: programs on one event at most */
export const BPF_TRACE_MAX_PROGS = 64;

/** struct bpf_prog_array_item */
interface prog_item {
	readonly prog: bpf_prog;
	readonly bpf_cookie: bigint;
}

export type trace_event_kind = "tracepoint" | "syscall" | "kprobe";

/** struct trace_event_call */
export class trace_event_call {
	/** event.type: the id that tracefs shows; 0 for a local kprobe */
	readonly id: number;
	readonly system: string;
	readonly name: string;
	readonly kind: trace_event_kind;
	/** trace_event_get_offsets(): where its last field ends */
	readonly size: number;
	prog_array: readonly prog_item[] = [];
	/** Perf events that count it now, the newest first. */
	perf_events: perf_event[] = [];
	/** Perf events that exist for it. */
	perf_refcount = 0;
	/** The first perf event came, or the last went (class->reg). */
	reg: ((on: boolean) => void) | null = null;
	/** What bpf_get_kprobe_info() tells of a kprobe's event. */
	kprobe: {
		readonly is_return: boolean;
		readonly symbol: string | null;
		readonly offset: number;
		readonly addr: bigint;
		missed: number;
	} | null = null;

	constructor(id: number, system: string, name: string, kind: trace_event_kind, size: number) {
		this.id = id;
		this.system = system;
		this.name = name;
		this.kind = kind;
		this.size = size;
	}
	/** Something would see it: a program, or a perf event that counts. */
	get live(): boolean {
		return this.prog_array.length > 0 || this.perf_events.length > 0;
	}
}

/** Fields of the events besides system calls that are fired: name and size of a field; it is aligned by its size, text by 1. */
const STATIC_EVENTS: readonly [system: string, name: string, size: number][] = [
	["raw_syscalls", "sys_enter", 64],
	["raw_syscalls", "sys_exit", 24],
	["sched", "sched_switch", 64],
];

/** TRACE_EVENT_TYPE_MAX of the events that tracing itself has */
const FIRST_ID = 20;

/** The trace events of one kernel. */
export class TraceEvents {
	private readonly kernel: KernelImpl;
	readonly all: trace_event_call[] = [];
	private readonly by_nr: Map<number, { enter: trace_event_call; exit: trace_event_call }> = new Map();
	readonly sys_enter: trace_event_call;
	readonly sys_exit: trace_event_call;
	readonly sched_switch: trace_event_call;
	/** Events that have a program or a counter: 0 lets system calls pass by quickly. */
	private live = 0;
	private next_id = FIRST_ID;
	/** bpf_prog_active: programs of events, kprobes and perf events under way, by CPU */
	readonly active: Int32Array;
	/** The regs of perf_trace_buf_alloc(), for programs that ask for them. */
	private regs = 0;

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.active = new Int32Array(kernel.config.cpus);
		const made = STATIC_EVENTS.map(([system, name, size]) => this.add(system, name, "tracepoint", size));
		[this.sys_enter, this.sys_exit, this.sched_switch] = made as [
			trace_event_call,
			trace_event_call,
			trace_event_call,
		];
		for (const [name, nr] of Object.entries(NR[kernel.config.arch])) {
			if (nr < 0) continue;
			const args = SYSCALL_ARGS[name as SyscallName];
			const enter = this.add("syscalls", `sys_enter_${name}`, "syscall", 16 + 8 * args);
			const exit = this.add("syscalls", `sys_exit_${name}`, "syscall", 24);
			this.by_nr.set(nr, { enter, exit });
		}
	}

	/** trace_add_event_call() */
	add(system: string, name: string, kind: trace_event_kind, size: number): trace_event_call {
		const call = new trace_event_call(this.next_id++, system, name, kind, size);
		this.all.push(call);
		return call;
	}
	remove(call: trace_event_call): void {
		const i = this.all.indexOf(call);
		if (i >= 0) this.all.splice(i, 1);
	}

	/** A file below events/ of tracefs: the id; null when there is no such event. */
	file(system: string, name: string, file: string): string | null {
		const call = this.all.find((c) => c.system === system && c.name === name);
		return call && file === "id" ? `${call.id}\n` : null;
	}

	/** To be called when programs or counters of an event came or went. */
	recount(): void {
		this.live = 0;
		for (const c of this.all) if (c.live) this.live++;
	}

	/** Some event of a system call may have to be fired. */
	get enabled(): boolean {
		return this.live > 0;
	}

	/** kernel/trace/trace_event_perf.c: perf_trace_event_perm */
	private perm(event: perf_event): number {
		if (!(Number(event.attr.sample_type) & PERF_SAMPLE_RAW)) return 0;
		// perf_allow_tracepoint(): sysctl_perf_event_paranoid is 2
		const { caps } = this.kernel.current;
		return caps.has(CAP_PERFMON) || caps.has(CAP_SYS_ADMIN) ? 0 : -EPERM;
	}

	/** kernel/trace/trace_event_perf.c: perf_trace_event_init */
	perf_trace_event_init(call: trace_event_call, event: perf_event): number {
		const err = this.perm(event);
		if (err) return err;
		event.tp_event = call;
		if (call.perf_refcount++ === 0) call.reg?.(true);
		return 0;
	}

	/** kernel/trace/trace_event_perf.c: perf_trace_init */
	perf_trace_init(event: perf_event): number {
		const { config } = event.attr;
		const call = this.all.find((c) => BigInt(c.id) === config);
		return call ? this.perf_trace_event_init(call, event) : -EINVAL;
	}

	/** kernel/trace/trace_event_perf.c: perf_trace_destroy */
	perf_trace_destroy(event: perf_event): void {
		const call = event.tp_event!;
		if (--call.perf_refcount === 0) call.reg?.(false);
	}

	/** kernel/bpf/core.c: bpf_prog_array_copy for one more program */
	attach(call: trace_event_call, prog: bpf_prog, bpf_cookie: bigint): number {
		if (call.prog_array.length >= BPF_TRACE_MAX_PROGS) return -E2BIG;
		if (call.prog_array.some((i) => i.prog === prog)) return -EEXIST;
		call.prog_array = [...call.prog_array, { prog, bpf_cookie }];
		this.recount();
		return 0;
	}
	detach(call: trace_event_call, prog: bpf_prog): number {
		if (!call.prog_array.some((i) => i.prog === prog)) return -ENOENT;
		call.prog_array = call.prog_array.filter((i) => i.prog !== prog);
		this.recount();
		return 0;
	}

	/** kernel/trace/bpf_trace.c: trace_call_bpf: 0 when a program filters the event out. */
	trace_call_bpf(call: trace_event_call, ctx: number): number {
		const k = this.kernel;
		const { cpu } = k;
		let ret = 1;
		if (++this.active[cpu]! !== 1) {
			for (const { prog } of call.prog_array) bpf_prog_inc_misses_counter(prog);
			ret = 0;
		} else {
			k.rcu.read_lock();
			const cookie = k.bpf_cookie;
			try {
				for (const item of call.prog_array) {
					k.bpf_cookie = item.bpf_cookie;
					ret &= Number(bpf_prog_run(item.prog, ctx) & 0xffffffffn);
				}
			} finally {
				k.bpf_cookie = cookie;
				k.rcu.read_unlock();
			}
		}
		this.active[cpu]!--;
		return ret;
	}

	/**
	 * kernel/events/core.c: perf_trace_run_bpf_submit: programs first, then the counters. `words` are what
	 * programs and records see behind the first eight bytes; `size` that of the record.
	 */
	submit(call: trace_event_call, words: readonly bigint[], size: number, rec_first32 = -1): void {
		const k = this.kernel;
		const { kmem } = k;
		const ctx = kmem.kzalloc(Math.max(8 + 8 * words.length, size));
		try {
			for (const [i, w] of words.entries()) kmem.w64(ctx + 8 + 8 * i, BigInt.asUintN(64, w));
			if (call.prog_array.length) {
				this.regs ||= kmem.kzalloc(ksizeof(k, "pt_regs"));
				kmem.wptr(ctx, this.regs);
				if (!this.trace_call_bpf(call, ctx)) return;
			}
			if (!call.perf_events.length) return;
			// struct trace_entry: type, flags, preempt_count, pid
			kmem.w32(ctx, call.id);
			kmem.w32(ctx + 4, k.task.pid);
			if (rec_first32 >= 0) kmem.w32(ctx + 8, rec_first32);
			k.perf.tp_event(call, ctx, size);
		} finally {
			kmem.kfree(ctx);
		}
	}

	/** What programs' regs were kept in is given back, so that nothing seems to leak. */
	release(): void {
		if (this.regs) this.kernel.kmem.kfree(this.regs);
		this.regs = 0;
	}

	/** The scheduler switches from a task to its CPU's idle task, or back: sched:sched_switch, and the raw tracepoint. */
	fire_sched_switch(task: Task, wakes: boolean): void {
		const k = this.kernel;
		const raw = k.tracepoints.enabled("sched_switch");
		if (!this.sched_switch.live && !raw) return;
		// it borrows the address space of the task before
		const idle = new Task(0, 0, task.mm, task.files, [], 0n);
		idle.comm = `swapper/${k.cpu}`;
		idle.cpu = task.cpu;
		const [prev, next] = wakes ? [idle, task] : [task, idle];
		// a task that gives up its CPU sleeps interruptibly; the idle task runs on
		const state = wakes ? 0n : 1n;
		const current = k.task;
		k.task = prev;
		try {
			if (raw) {
				const [from, to] = [prev, next].map((t) => BigInt.asUintN(64, BigInt(task_image(k, t))));
				k.tracepoints.fire("sched_switch", [0n, from!, to!, state]);
			}
			const comm = (t: Task): bigint[] => {
				const b = new Uint8Array(16);
				for (let i = 0; i < Math.min(t.comm.length, 15); i++) b[i] = t.comm.charCodeAt(i);
				return [...new BigUint64Array(b.buffer)];
			};
			// the priority of an ordinary task, and of the idle task
			const pid_prio = (t: Task): bigint => BigInt(t.pid) | (120n << 32n);
			const words = [...comm(prev), pid_prio(prev), state, ...comm(next), pid_prio(next)];
			if (this.sched_switch.live) this.submit(this.sched_switch, words, 68);
		} finally {
			k.task = current;
			task_image_free(k, idle);
		}
	}

	/** A system call begins: raw_syscalls:sys_enter and syscalls:sys_enter_NAME (trace_syscalls.c: perf_syscall_enter). */
	syscall_enter(nr: number, args: readonly number[]): void {
		const arg = (i: number): bigint => BigInt.asUintN(64, BigInt(Math.trunc(args[i] ?? 0)));
		if (this.sys_enter.live)
			this.submit(this.sys_enter, [BigInt(nr), arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)], 68);
		const own = this.by_nr.get(nr)?.enter;
		if (!own?.live) return;
		const n = (own.size - 16) / 8;
		const words = [BigInt(nr)];
		for (let i = 0; i < n; i++) words.push(arg(i));
		this.submit(own, words, Math.ceil((own.size + 4) / 8) * 8 - 4, nr);
	}

	/** A system call ends. */
	syscall_exit(nr: number, ret: number): void {
		const words = [BigInt(nr), BigInt(ret)];
		if (this.sys_exit.live) this.submit(this.sys_exit, words, 28);
		const own = this.by_nr.get(nr)?.exit;
		if (own?.live) this.submit(own, words, 28, nr);
	}
}
