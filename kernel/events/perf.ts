// SPDX-License-Identifier: GPL-2.0-only
/**
 * The perf events of one kernel (kernel/events/core.c): when an event counts, what an overflow does, and the
 * records that are written. An event of a CPU counts as long as it is enabled, one of a task while the task runs.
 */
import { abi_of } from "../../arch/abis.ts";
import { BPF_PROG_TYPE_PERF_EVENT } from "../../include/uapi/linux/bpf.ts";
import * as P from "../../include/uapi/linux/perf_event.ts";
import { addr_to_u64 } from "../../lib/addr.ts";
import { koffsetof, ksizeof, try_offsetof } from "../bpf/layout.ts";
import { bpf_prog_run } from "../bpf/prog.ts";
import type { KernelImpl, Task } from "../kernel_impl.ts";
import { put_regs } from "../pt_regs.ts";
import type { trace_event_call } from "../trace/trace_events.ts";
import {
	PERF_EVENT_STATE_ACTIVE,
	PERF_EVENT_STATE_EXIT,
	PERF_EVENT_STATE_INACTIVE,
	PERF_EVENT_STATE_OFF,
	type perf_event,
	perf_sample_data,
	type pmu,
	type sample_regs,
} from "./perf_event.ts";
import { perf_output_handle } from "./ring_buffer.ts";
import { perf_swevent_set_period, software_pmus } from "./sw_pmus.ts";

/** perf_event_output() of a program has no registers but those of the kernel's own call. */
export const KERNEL_REGS: sample_regs = { addr: 0, ip: 0n, user: false };

export class Perf {
	private readonly kernel: KernelImpl;
	readonly pmus: readonly pmu[];
	/** All events, in the order of their creation. */
	readonly events: Set<perf_event> = new Set();
	/** Software events that count now, the newest first. */
	readonly sw_active: perf_event[] = [];
	private last_id = 0;
	/** Events of tasks: without any a switch of tasks need not be looked at. */
	private of_tasks = 0;
	/** Events whose programs run, innermost last. */
	readonly running: perf_event[] = [];

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.pmus = software_pmus(kernel);
	}

	next_id(): number {
		return ++this.last_id;
	}

	// ---- when an event counts

	/** perf_install_in_context() */
	install(event: perf_event): void {
		this.events.add(event);
		if (event.target) this.of_tasks++;
		this.sched(event);
	}

	/** perf_remove_from_context() */
	remove(event: perf_event): void {
		this.sched_out(event);
		if (this.events.delete(event) && event.target) this.of_tasks--;
	}

	private may_run(event: perf_event): boolean {
		if (event.state < PERF_EVENT_STATE_INACTIVE) return false;
		const leader = event.group_leader;
		if (leader !== event && leader.state !== PERF_EVENT_STATE_ACTIVE) return false;
		if (!event.target) return true;
		const { task, cpu } = this.kernel;
		return event.target === task && !task.asleep && (event.cpu === -1 || event.cpu === cpu);
	}

	/** Begin or stop counting, as things are now; the members of its group after it. */
	sched(event: perf_event): void {
		if (this.may_run(event)) {
			if (event.state !== PERF_EVENT_STATE_ACTIVE) {
				event.set_state(PERF_EVENT_STATE_ACTIVE);
				event.oncpu = event.cpu >= 0 ? event.cpu : this.kernel.cpu;
				event.pmu.add(event);
			} else if (event.cpu < 0) event.oncpu = this.kernel.cpu;
		} else this.sched_out(event);
		for (const sub of event.siblings) this.sched(sub);
	}

	private sched_out(event: perf_event): void {
		if (event.state !== PERF_EVENT_STATE_ACTIVE) return;
		event.pmu.del(event);
		event.set_state(PERF_EVENT_STATE_INACTIVE);
		event.oncpu = -1;
	}

	/** Another task runs on, the one that runs begins or ends a sleep, or it moved to another CPU. */
	task_switch(): void {
		if (this.of_tasks === 0) return;
		for (const event of this.events) if (event.target && event.group_leader === event) this.sched(event);
	}

	/** kernel/events/core.c: _perf_event_enable */
	enable(event: perf_event): void {
		if (event.state >= PERF_EVENT_STATE_INACTIVE || event.state <= PERF_EVENT_STATE_EXIT) return;
		event.set_state(PERF_EVENT_STATE_INACTIVE);
		this.sched(event);
	}

	/** kernel/events/core.c: _perf_event_disable */
	disable(event: perf_event): void {
		if (event.state <= PERF_EVENT_STATE_OFF) return;
		this.sched_out(event);
		event.set_state(PERF_EVENT_STATE_OFF);
		for (const sub of event.siblings) this.sched(sub);
	}

	/** kernel/events/core.c: perf_event_exit_task: its events are over, and say so. */
	exit_task(task: Task): void {
		for (const event of this.events) {
			if (event.target !== task) continue;
			this.sched_out(event);
			event.set_state(PERF_EVENT_STATE_EXIT);
			event.pending_wakeup = true;
			event.waitq.wake_up_all();
		}
	}

	// ---- records

	/** kernel/events/core.c: perf_event_output: 0 or a negative errno. */
	output(event: perf_event, data: perf_sample_data, regs: sample_regs): number {
		data.time = this.kernel.time.now;
		data.ip = regs.ip;
		const size = event.sample_size(data);
		// header.size has 16 bits
		const handle = perf_output_handle.begin(data, event, size & 0xffff);
		if (typeof handle === "number") return handle;
		handle.put32(P.PERF_RECORD_SAMPLE);
		const misc = regs.user ? P.PERF_RECORD_MISC_USER : P.PERF_RECORD_MISC_KERNEL;
		handle.put32(misc | (size << 16));
		event.output_sample(handle, data);
		handle.end();
		return 0;
	}

	/** A struct pt_regs for a sample: registers that nobody has, in user or kernel mode. */
	with_regs(user: boolean, body: (regs: sample_regs) => void): void {
		const k = this.kernel;
		const at = k.kmem.kzalloc(ksizeof(k, "pt_regs"));
		put_regs(k, at, abi_of(k.config.arch).mode_regs(user));
		try {
			body({ addr: at, ip: 0n, user });
		} finally {
			k.kmem.kfree(at);
		}
	}

	/** kernel/events/core.c: bpf_overflow_handler: 0 keeps the sample out of the buffer. */
	private bpf_overflow_handler(event: perf_event, data: perf_sample_data, regs: sample_regs): number {
		const k = this.kernel;
		const { active } = k.trace_events;
		const { cpu } = k;
		let ret = 0;
		if (++active[cpu]! === 1) {
			const prog = event.prog!;
			const { kmem } = k;
			const ctx = kmem.kzalloc(ksizeof(k, "bpf_perf_event_data_kern"));
			const sd = kmem.kzalloc(ksizeof(k, "perf_sample_data"));
			const at = (f: string): number => ctx + koffsetof(k, "bpf_perf_event_data_kern", f);
			// arm64's programs see the user_pt_regs that begin the kernel's own
			kmem.wptr(at("regs"), regs.addr);
			kmem.wptr(at("data"), sd);
			const put = (f: string, v: bigint): void => {
				const off = try_offsetof(k, "perf_sample_data", f);
				if (off >= 0) kmem.w64(sd + off, v);
			};
			put("period", data.period);
			put("addr", data.addr);
			put("type", event.attr.sample_type);
			put("id", BigInt(event.id));
			put("ip", regs.ip);
			const cookie = k.bpf_cookie;
			k.bpf_cookie = event.bpf_cookie;
			this.running.push(event);
			k.rcu.read_lock();
			try {
				ret = Number(bpf_prog_run(prog, addr_to_u64(ctx)) & 0xffffffffn);
			} finally {
				k.rcu.read_unlock();
				this.running.pop();
				k.bpf_cookie = cookie;
				kmem.kfree(ctx);
				kmem.kfree(sd);
			}
		}
		active[cpu]!--;
		return ret;
	}

	/** kernel/events/core.c: __perf_event_overflow: true when the event has to stop. */
	overflow(event: perf_event, data: perf_sample_data, regs: sample_regs): boolean {
		if (!event.sampling) return false;
		if (event.prog?.type === BPF_PROG_TYPE_PERF_EVENT && !this.bpf_overflow_handler(event, data, regs))
			return false;
		let stop = false;
		if (event.event_limit && --event.event_limit === 0) {
			stop = true;
			this.disable(event);
		}
		this.output(event, data, regs);
		return stop;
	}

	/** kernel/events/core.c: perf_swevent_event: `nr` more of what the event counts. */
	private swevent(event: perf_event, nr: bigint, data: perf_sample_data, regs: sample_regs): void {
		event.count += nr;
		if (!event.sampling || event.state !== PERF_EVENT_STATE_ACTIVE) return;
		const { attr } = event;
		const each = (n: bigint): void => {
			for (let i = 0n; i < n; i++) if (this.overflow(event, data, regs)) break;
		};
		if (event.sample_type & P.PERF_SAMPLE_PERIOD && !attr.bit("freq")) {
			data.period = nr;
			each(1n);
			return;
		}
		data.period = event.last_period;
		if (nr === 1n && event.sample_period === 1n && !attr.bit("freq")) {
			each(1n);
			return;
		}
		event.period_left += nr;
		if (event.period_left < 0n) return;
		each(perf_swevent_set_period(event));
	}

	private excluded(event: perf_event, regs: sample_regs): boolean {
		return event.attr.bit(regs.user ? "exclude_user" : "exclude_kernel");
	}

	/** kernel/events/core.c: __perf_sw_event: a software event happened on the CPU that runs. */
	sw_event(id: number, nr: bigint): void {
		if (!this.sw_active.length) return;
		const { cpu } = this.kernel;
		for (const event of [...this.sw_active]) {
			if (event.attr.config !== BigInt(id) || event.oncpu !== cpu) continue;
			this.with_regs(false, (regs) => {
				if (!this.excluded(event, regs)) this.swevent(event, nr, new perf_sample_data(0n, 0n), regs);
			});
		}
	}

	/** kernel/events/core.c: perf_tp_event: a trace event's record, for the counters of the CPU that runs. */
	tp_event(call: trace_event_call, record: number, size: number): void {
		const { cpu } = this.kernel;
		for (const event of [...call.perf_events]) {
			if (event.oncpu !== cpu || this.excluded(event, KERNEL_REGS)) continue;
			const data = new perf_sample_data(0n, 0n);
			if (event.sample_type & P.PERF_SAMPLE_RAW) data.raw = { data: record, size, tail: null };
			this.swevent(event, 1n, data, KERNEL_REGS);
		}
	}
}
