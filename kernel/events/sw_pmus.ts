// SPDX-License-Identifier: GPL-2.0-only
/**
 * The PMUs of software (kernel/events/core.c): counted events, the CPU's clock, the task's clock, tracepoints,
 * kprobes. There is no hardware PMU, as in a virtual machine without one: those events do not exist (-ENOENT).
 *
 * A clock's timer runs on virtual time, which system calls move: a sample falls into the system call that
 * the clock ran out in, and shows user mode (there is no instruction pointer to show: it is 0).
 */
import { EACCES, ENOENT, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import * as P from "../../include/uapi/linux/perf_event.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { perfmon_capable } from "../task.ts";
import { perf_kprobe_init } from "../trace/trace_kprobe.ts";
import { PERF_EVENT_STATE_ACTIVE, type perf_event, perf_sample_data, type pmu } from "./perf_event.ts";

/** Types of the PMUs that have no fixed one, in the order of their registration. */
export const PERF_TYPE_CPU_CLOCK = 6;
export const PERF_TYPE_TASK_CLOCK = 7;
export const PERF_TYPE_KPROBE = 8;
export const PERF_TYPE_UPROBE = 9;

const NSEC_PER_SEC = 1_000_000_000n;
/** A clock does not tick faster than this, ns. */
const MIN_PERIOD = 10_000n;

function has_branch_stack(event: perf_event): boolean {
	return (Number(event.attr.sample_type) & P.PERF_SAMPLE_BRANCH_STACK) !== 0;
}

/** kernel/events/core.c: perf_swevent_set_period: how many periods are over. */
export function perf_swevent_set_period(event: perf_event): bigint {
	const period = event.last_period;
	event.last_period = event.sample_period;
	const val = event.period_left;
	if (val < 0n) return 0n;
	const nr = (period + val) / period;
	event.period_left = val - nr * period;
	return nr;
}

function start_period(event: perf_event): void {
	if (!event.sampling) return;
	event.last_period = event.sample_period;
	perf_swevent_set_period(event);
}

/** What is counted where it happens: the kernel's code calls k.perf.sw_event(). */
function perf_swevent(k: KernelImpl): pmu {
	return {
		name: "software",
		type: P.PERF_TYPE_SOFTWARE,
		tracing: false,
		event_init(event) {
			if (event.attr.type !== P.PERF_TYPE_SOFTWARE) return -ENOENT;
			if (has_branch_stack(event)) return -EOPNOTSUPP;
			switch (Number(event.attr.config)) {
				case P.PERF_COUNT_SW_CPU_CLOCK:
					event.attr.type = PERF_TYPE_CPU_CLOCK;
					return -ENOENT;
				case P.PERF_COUNT_SW_TASK_CLOCK:
					event.attr.type = PERF_TYPE_TASK_CLOCK;
					return -ENOENT;
				case P.PERF_COUNT_SW_PAGE_FAULTS:
				case P.PERF_COUNT_SW_PAGE_FAULTS_MIN:
				case P.PERF_COUNT_SW_PAGE_FAULTS_MAJ:
				case P.PERF_COUNT_SW_CGROUP_SWITCHES:
					k.bpf.not_ported(`software event ${event.attr.config}`);
					return -EOPNOTSUPP;
			}
			return event.attr.config >= BigInt(P.PERF_COUNT_SW_MAX) ? -ENOENT : 0;
		},
		add(event) {
			start_period(event);
			k.perf.sw_active.unshift(event);
		},
		del(event) {
			k.perf.sw_active.splice(k.perf.sw_active.indexOf(event), 1);
		},
		read() {},
	};
}

/** A PMU whose counter is a clock: perf_cpu_clock and perf_task_clock. */
function clock_pmu(k: KernelImpl, name: string, type: number, config: number): pmu {
	const update = (event: perf_event): void => {
		const { now } = k.time;
		event.count += now - event.prev_count;
		event.prev_count = now;
	};
	/** kernel/events/core.c: perf_swevent_hrtimer */
	const expired = (event: perf_event): void => {
		event.timer = null;
		if (event.state !== PERF_EVENT_STATE_ACTIVE) return;
		update(event);
		const data = new perf_sample_data(0n, event.last_period);
		const idle = k.idle_task;
		let go_on = true;
		if (!(event.attr.bit("exclude_idle") && idle)) {
			const user = !idle;
			const exclude = user ? event.attr.bit("exclude_user") : event.attr.bit("exclude_kernel");
			if (!exclude)
				k.perf.with_regs(user, (regs) => {
					if (k.perf.overflow(event, data, regs)) go_on = false;
				});
		}
		if (!go_on || event.state !== PERF_EVENT_STATE_ACTIVE) return;
		start(event, event.sample_period > MIN_PERIOD ? event.sample_period : MIN_PERIOD);
	};
	const start = (event: perf_event, period: bigint): void => {
		event.timer = k.time.start(k.time.now + period, () => expired(event));
	};
	return {
		name,
		type,
		tracing: false,
		event_init(event) {
			if (event.attr.type !== type || event.attr.config !== BigInt(config)) return -ENOENT;
			if (has_branch_stack(event)) return -EOPNOTSUPP;
			// perf_swevent_init_hrtimer(): a fixed rate needs no feedback
			if (event.sampling && event.attr.bit("freq")) {
				const period = NSEC_PER_SEC / event.attr.sample_period;
				event.attr.sample_period = period;
				event.sample_period = period;
				event.period_left = period;
				event.last_period = period;
				event.attr.set_bit("freq", false);
			}
			return 0;
		},
		add(event) {
			event.prev_count = k.time.now;
			if (!event.sampling) return;
			let period = event.period_left;
			if (period) {
				if (period < 0n) period = MIN_PERIOD;
				event.period_left = 0n;
			} else period = event.sample_period > MIN_PERIOD ? event.sample_period : MIN_PERIOD;
			start(event, period);
		},
		del(event) {
			if (event.timer) {
				event.period_left = event.timer.expires - k.time.now;
				k.time.cancel(event.timer);
				event.timer = null;
			}
			update(event);
		},
		read: update,
	};
}

/** perf_tracepoint and perf_kprobe: events of k.trace_events. */
function tracing_pmu(k: KernelImpl, name: string, type: number, init: (event: perf_event) => number): pmu {
	return {
		name,
		type,
		tracing: true,
		event_init: (event) => (event.attr.type !== type ? -ENOENT : init(event)),
		add(event) {
			start_period(event);
			event.tp_event!.perf_events.unshift(event);
			k.trace_events.recount();
		},
		del(event) {
			const list = event.tp_event!.perf_events;
			list.splice(list.indexOf(event), 1);
			k.trace_events.recount();
		},
		read() {},
	};
}

/** The PMUs of a kernel, in the order of their registration. */
export function software_pmus(k: KernelImpl): pmu[] {
	const tracepoint = (event: perf_event): number => {
		if (has_branch_stack(event)) return -EOPNOTSUPP;
		const err = k.trace_events.perf_trace_init(event);
		if (!err) event.destroy = (e) => k.trace_events.perf_trace_destroy(e);
		return err;
	};
	const kprobe = (event: perf_event): number => {
		if (!perfmon_capable(k.current)) return -EACCES;
		if (has_branch_stack(event)) return -EOPNOTSUPP;
		return perf_kprobe_init(k, event, (event.attr.config & 1n) !== 0n);
	};
	return [
		perf_swevent(k),
		clock_pmu(k, "cpu_clock", PERF_TYPE_CPU_CLOCK, P.PERF_COUNT_SW_CPU_CLOCK),
		clock_pmu(k, "task_clock", PERF_TYPE_TASK_CLOCK, P.PERF_COUNT_SW_TASK_CLOCK),
		tracing_pmu(k, "tracepoint", P.PERF_TYPE_TRACEPOINT, tracepoint),
		tracing_pmu(k, "kprobe", PERF_TYPE_KPROBE, kprobe),
	];
}
