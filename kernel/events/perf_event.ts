// SPDX-License-Identifier: GPL-2.0-only
/** struct perf_event and what belongs to it (include/linux/perf_event.h), and the samples that events write. */
import type { perf_event_attr } from "../../include/uapi/linux/perf_event.ts";
import * as P from "../../include/uapi/linux/perf_event.ts";
import type { bpf_prog } from "../bpf/bpf_types.ts";
import { irq_work } from "../irq_work.ts";
import type { KernelImpl, Task } from "../kernel_impl.ts";
import type { hrtimer } from "../time.ts";
import type { trace_event_call } from "../trace/trace_events.ts";
import { wait_queue_head } from "../wait.ts";
import type { perf_buffer, perf_output_handle } from "./ring_buffer.ts";

export const PERF_EVENT_STATE_DEAD = -4;
export const PERF_EVENT_STATE_EXIT = -3;
export const PERF_EVENT_STATE_OFF = -1;
export const PERF_EVENT_STATE_INACTIVE = 0;
export const PERF_EVENT_STATE_ACTIVE = 1;

/** struct pmu: what counts. Errors are negative errnos. */
export interface pmu {
	readonly name: string;
	readonly type: number;
	/** perf_tracepoint, perf_kprobe: programs hang on the event's trace_event_call. */
	readonly tracing: boolean;
	event_init(event: perf_event): number;
	/** The event begins to count on the CPU that runs. */
	add(event: perf_event): void;
	del(event: perf_event): void;
	/** Bring event.count up to date. */
	read(event: perf_event): void;
}

/** What interrupted or called: a struct pt_regs in guest memory (0: none was made). */
export interface sample_regs {
	readonly addr: number;
	readonly ip: bigint;
	/** user_mode(regs) */
	readonly user: boolean;
}

/** Bytes of a PERF_SAMPLE_RAW record: kernel memory, then what kernel code holds (a packet). */
export interface perf_raw_record {
	readonly data: number;
	readonly size: number;
	readonly tail: Uint8Array | null;
}

/** struct perf_sample_data */
export class perf_sample_data {
	period: bigint;
	addr: bigint;
	raw: perf_raw_record | null = null;
	time = 0n;
	ip = 0n;
	constructor(addr: bigint, period: bigint) {
		this.addr = addr;
		this.period = period;
	}
	/** raw->size of perf_sample_save_raw_data(): padded so that the next field is aligned. */
	get raw_size(): number {
		const { raw } = this;
		if (!raw) return 0;
		const sum = raw.size + (raw.tail?.length ?? 0);
		return Math.ceil((sum + 4) / 8) * 8 - 4;
	}
}

/** Bits of sample_type that records of this mirror may hold. */
export const SAMPLE_TYPES_PORTED =
	P.PERF_SAMPLE_IP |
	P.PERF_SAMPLE_TID |
	P.PERF_SAMPLE_TIME |
	P.PERF_SAMPLE_ADDR |
	P.PERF_SAMPLE_READ |
	P.PERF_SAMPLE_ID |
	P.PERF_SAMPLE_CPU |
	P.PERF_SAMPLE_PERIOD |
	P.PERF_SAMPLE_STREAM_ID |
	P.PERF_SAMPLE_RAW |
	P.PERF_SAMPLE_BRANCH_STACK |
	P.PERF_SAMPLE_WEIGHT |
	P.PERF_SAMPLE_WEIGHT_STRUCT |
	P.PERF_SAMPLE_DATA_SRC |
	P.PERF_SAMPLE_IDENTIFIER |
	P.PERF_SAMPLE_TRANSACTION;

/** struct perf_event, with the parts of struct hw_perf_event that software events use. */
export class perf_event {
	readonly kernel: KernelImpl;
	readonly attr: perf_event_attr;
	/** -1: on whatever CPU the task runs */
	readonly cpu: number;
	/** hw.target: the task whose event it is; null: of a CPU */
	readonly target: Task | null;
	readonly id: number;
	group_leader: perf_event;
	readonly siblings: perf_event[] = [];
	pmu!: pmu;
	state: number;
	/** The CPU it counts on now; -1. */
	oncpu = -1;
	count = 0n;
	lost_samples = 0;
	sample_period: bigint;
	last_period: bigint;
	period_left: bigint;
	prev_count = 0n;
	timer: hrtimer | null = null;
	/** Overflows until it disables itself; 0: for ever (PERF_EVENT_IOC_REFRESH). */
	event_limit = 0;
	rb: perf_buffer | null = null;
	mmap_count = 0;
	readonly waitq = new wait_queue_head();
	pending_wakeup = false;
	prog: bpf_prog | null = null;
	bpf_cookie = 0n;
	tp_event: trace_event_call | null = null;
	destroy: ((event: perf_event) => void) | null = null;
	/** Times that it was enabled and counting, in ns, up to `tstamp`. */
	private enabled_ns = 0n;
	private running_ns = 0n;
	private tstamp: bigint;
	/** attr.sample_type: what a record holds */
	readonly sample_type: number;
	/** attr.wakeup_events; 0 with a watermark */
	private readonly wakeup_events: number;
	readonly sample_id_all: boolean;
	readonly write_backward: boolean;
	/** PERF_COUNT_SW_BPF_OUTPUT: programs write its records */
	readonly bpf_output: boolean;
	/** Bytes of the parts of a record whose size is fixed. */
	read_size = 0;
	header_size = 0;
	id_header_size = 0;
	/** perf_pending_irq(): perf_event_wakeup() wakes who waits for the buffer. */
	private readonly pending_irq = new irq_work(() => {
		if (!this.pending_wakeup) return;
		this.pending_wakeup = false;
		if (this.rb) for (const e of this.rb.event_list) e.waitq.wake_up_all();
	});

	constructor(kernel: KernelImpl, attr: perf_event_attr, cpu: number, target: Task | null, id: number) {
		this.kernel = kernel;
		this.attr = attr;
		this.cpu = cpu;
		this.target = target;
		this.id = id;
		this.group_leader = this;
		this.sample_type = Number(attr.sample_type);
		this.wakeup_events = attr.bit("watermark") ? 0 : attr.wakeup_events;
		this.sample_id_all = attr.bit("sample_id_all");
		this.write_backward = attr.bit("write_backward");
		this.bpf_output =
			attr.type === P.PERF_TYPE_SOFTWARE && attr.config === BigInt(P.PERF_COUNT_SW_BPF_OUTPUT);
		this.state = attr.bit("disabled") ? PERF_EVENT_STATE_OFF : PERF_EVENT_STATE_INACTIVE;
		this.sample_period = attr.bit("freq") && attr.sample_period ? 1n : attr.sample_period;
		this.last_period = this.sample_period;
		this.period_left = this.sample_period;
		this.tstamp = kernel.time.now;
	}

	/** is_sampling_event() */
	get sampling(): boolean {
		return this.attr.sample_period !== 0n;
	}

	/** perf_event_update_time(): time passes for the state that it was in. */
	update_time(): void {
		const { now } = this.kernel.time;
		const delta = now - this.tstamp;
		this.tstamp = now;
		const leader_on = this.group_leader.state >= PERF_EVENT_STATE_INACTIVE || this.group_leader === this;
		if (this.state >= PERF_EVENT_STATE_INACTIVE && leader_on) this.enabled_ns += delta;
		if (this.state >= PERF_EVENT_STATE_ACTIVE) this.running_ns += delta;
	}

	/** perf_event_set_state() */
	set_state(state: number): void {
		if (this.state === state) return;
		this.update_time();
		this.state = state;
	}

	/** calc_timer_values(): nanoseconds enabled and counting, until now. */
	times(): { enabled: bigint; running: bigint } {
		this.update_time();
		return { enabled: this.enabled_ns, running: this.running_ns };
	}

	/** perf_event__header_size(), perf_event__id_header_size() */
	set_sizes(): void {
		const fmt = Number(this.attr.read_format);
		this.read_size = perf_event_read_size(fmt, this.group_leader.siblings.length);
		const type = this.sample_type;
		let n = 0;
		for (const bit of [
			P.PERF_SAMPLE_IP,
			P.PERF_SAMPLE_ADDR,
			P.PERF_SAMPLE_PERIOD,
			P.PERF_SAMPLE_WEIGHT | P.PERF_SAMPLE_WEIGHT_STRUCT,
			P.PERF_SAMPLE_DATA_SRC,
			P.PERF_SAMPLE_TRANSACTION,
		])
			if (type & bit) n += 8;
		if (type & P.PERF_SAMPLE_READ) n += this.read_size;
		this.header_size = n;
		n = 0;
		for (const bit of [
			P.PERF_SAMPLE_TID,
			P.PERF_SAMPLE_TIME,
			P.PERF_SAMPLE_IDENTIFIER,
			P.PERF_SAMPLE_ID,
			P.PERF_SAMPLE_STREAM_ID,
			P.PERF_SAMPLE_CPU,
		])
			if (type & bit) n += 8;
		this.id_header_size = n;
	}

	private put_tid(handle: perf_output_handle): void {
		handle.put32(this.kernel.task.tgid);
		handle.put32(this.kernel.task.pid);
	}

	private put_cpu(handle: perf_output_handle): void {
		handle.put32(this.kernel.cpu);
		handle.put32(0);
	}

	/** kernel/events/core.c: __perf_event__output_id_sample: the tail of records other than samples. */
	output_id_sample(handle: perf_output_handle, data: perf_sample_data): void {
		const type = this.sample_type;
		if (type & P.PERF_SAMPLE_TID) this.put_tid(handle);
		if (type & P.PERF_SAMPLE_TIME) handle.put64(data.time);
		if (type & P.PERF_SAMPLE_ID) handle.put64(BigInt(this.id));
		if (type & P.PERF_SAMPLE_STREAM_ID) handle.put64(BigInt(this.id));
		if (type & P.PERF_SAMPLE_CPU) this.put_cpu(handle);
		if (type & P.PERF_SAMPLE_IDENTIFIER) handle.put64(BigInt(this.id));
	}

	/** kernel/events/core.c: perf_output_sample */
	output_sample(handle: perf_output_handle, data: perf_sample_data): void {
		const type = this.sample_type;
		const id = (): void => handle.put64(BigInt(this.id));
		if (type & P.PERF_SAMPLE_IDENTIFIER) id();
		if (type & P.PERF_SAMPLE_IP) handle.put64(data.ip);
		if (type & P.PERF_SAMPLE_TID) this.put_tid(handle);
		if (type & P.PERF_SAMPLE_TIME) handle.put64(data.time);
		if (type & P.PERF_SAMPLE_ADDR) handle.put64(data.addr);
		if (type & P.PERF_SAMPLE_ID) id();
		if (type & P.PERF_SAMPLE_STREAM_ID) id();
		if (type & P.PERF_SAMPLE_CPU) this.put_cpu(handle);
		if (type & P.PERF_SAMPLE_PERIOD) handle.put64(data.period);
		if (type & P.PERF_SAMPLE_READ) for (const v of perf_read_values(this)) handle.put64(v);
		if (type & P.PERF_SAMPLE_RAW) {
			const { raw } = data;
			if (raw) {
				handle.put32(data.raw_size);
				handle.copy(raw.data, raw.size);
				if (raw.tail) handle.bytes(raw.tail);
				handle.skip(data.raw_size - raw.size - (raw.tail?.length ?? 0));
			} else {
				handle.put32(4);
				handle.put32(0);
			}
		}
		if (type & (P.PERF_SAMPLE_WEIGHT | P.PERF_SAMPLE_WEIGHT_STRUCT)) handle.put64(0n);
		if (type & P.PERF_SAMPLE_DATA_SRC) handle.put64(PERF_MEM_NA);
		if (type & P.PERF_SAMPLE_TRANSACTION) handle.put64(0n);
		const { wakeup_events } = this;
		if (!wakeup_events) return;
		const { rb } = handle;
		if (++rb.events >= wakeup_events) {
			rb.events -= wakeup_events;
			rb.wakeup++;
		}
	}

	/** perf_sample_data_size() */
	sample_size(data: perf_sample_data): number {
		const raw = this.sample_type & P.PERF_SAMPLE_RAW ? (data.raw ? data.raw_size + 4 : 8) : 0;
		return 8 + this.header_size + this.id_header_size + raw;
	}

	/** irq_work_queue(&event->pending_irq) */
	queue_pending_irq(): void {
		this.kernel.irq_work_queue(this.pending_irq);
	}
}

/** PERF_MEM_NA: nothing is known of where data came from. */
const PERF_MEM_NA = 1n | (1n << 5n) | (1n << 19n) | (1n << 24n) | (1n << 26n) | (0xfn << 33n);

/** kernel/events/core.c: __perf_event_read_size */
export function perf_event_read_size(read_format: number, nr_siblings: number): number {
	let entry = 8;
	let size = 0;
	let nr = 1;
	if (read_format & P.PERF_FORMAT_TOTAL_TIME_ENABLED) size += 8;
	if (read_format & P.PERF_FORMAT_TOTAL_TIME_RUNNING) size += 8;
	if (read_format & P.PERF_FORMAT_ID) entry += 8;
	if (read_format & P.PERF_FORMAT_LOST) entry += 8;
	if (read_format & P.PERF_FORMAT_GROUP) {
		nr += nr_siblings;
		size += 8;
	}
	return size + nr * entry;
}

/** kernel/events/core.c: perf_read_one, perf_read_group: what read(2) and PERF_SAMPLE_READ give. */
export function perf_read_values(event: perf_event): bigint[] {
	const fmt = Number(event.attr.read_format);
	const values: bigint[] = [];
	const one = (e: perf_event): bigint[] => {
		if (e.state === PERF_EVENT_STATE_ACTIVE) e.pmu.read(e);
		const out = [e.count];
		if (fmt & P.PERF_FORMAT_ID) out.push(BigInt(e.id));
		if (fmt & P.PERF_FORMAT_LOST) out.push(BigInt(e.lost_samples));
		return out;
	};
	const group = (fmt & P.PERF_FORMAT_GROUP) !== 0;
	const leader = group ? event.group_leader : event;
	const { enabled, running } = leader.times();
	const first = one(leader);
	if (group) values.push(BigInt(1 + leader.siblings.length));
	else values.push(first.shift()!);
	if (fmt & P.PERF_FORMAT_TOTAL_TIME_ENABLED) values.push(enabled);
	if (fmt & P.PERF_FORMAT_TOTAL_TIME_RUNNING) values.push(running);
	values.push(...first);
	if (group) for (const sub of leader.siblings) values.push(...one(sub));
	return values;
}
