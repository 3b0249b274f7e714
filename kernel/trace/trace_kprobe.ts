// SPDX-License-Identifier: GPL-2.0-only
/**
 * Trace events of kprobes (kernel/trace/trace_kprobe.c), local to the perf event that made them:
 * create_local_trace_kprobe() and what runs at a hit.
 */
import { E2BIG, EFAULT, EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { u64_to_user_ptr } from "../bpfptr.ts";
import type { perf_event } from "../events/perf_event.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import type { probe } from "../kprobes.ts";
import { trace_event_call } from "./trace_events.ts";

const KSYM_NAME_LEN = 512;

/** kernel/trace/trace_kprobe.c: kprobe_perf_func, kretprobe_perf_func: programs, then counters. */
function perf_func(k: KernelImpl, call: trace_event_call, regs: number): void {
	if (call.prog_array.length && !k.trace_events.trace_call_bpf(call, regs)) return;
	if (!call.perf_events.length) return;
	// struct kprobe_trace_entry_head behind the struct trace_entry; kretprobes also have where they return to
	const words = call.kprobe!.is_return ? 2 : 1;
	const size = Math.ceil((8 + 8 * words + 4) / 8) * 8 - 4;
	const rec = k.kmem.kzalloc(size + 4);
	k.kmem.w32(rec, call.id);
	k.kmem.w32(rec + 4, k.task.pid);
	k.kmem.w64(rec + 8, BigInt.asUintN(64, call.kprobe!.addr));
	try {
		k.perf.tp_event(call, rec, size);
	} finally {
		k.kmem.kfree(rec);
	}
}

/** kernel/trace/trace_kprobe.c: create_local_trace_kprobe */
function create_local_trace_kprobe(
	k: KernelImpl,
	func: string | null,
	addr: bigint,
	offset: bigint,
	is_return: boolean,
): { call: trace_event_call; target: string; p: probe } | number {
	let target = func;
	let off = Number(BigInt.asIntN(64, offset));
	if (target !== null) {
		// MOD:SYM
		const colon = target.indexOf(":");
		if (colon >= 0) target = target.slice(colon + 1);
	} else {
		// the address stands in place of the offset: probe_offset and kprobe_addr share a word
		const at = k.kprobes.function_of(addr);
		if (!addr) return -EINVAL;
		if (!at) return -ENOENT;
		target = at.func;
		off = at.offset;
	}
	const err = k.kprobes.check(target, off);
	if (err) return err;
	const call = new trace_event_call(0, "kprobes", func ?? "DUMMY_EVENT", "kprobe", 0);
	const kprobe = {
		is_return,
		symbol: func,
		offset: func === null ? 0 : off,
		addr: k.kprobes.entry_addr(target),
		missed: 0,
	};
	call.kprobe = kprobe;
	const missed = (): void => {
		kprobe.missed++;
	};
	const run = (regs: number): void => perf_func(k, call, regs);
	const p: probe = is_return
		? { exit: (_f, regs) => run(regs), missed }
		: {
				entry(_f, regs) {
					run(regs);
					return false;
				},
				missed,
			};
	return { call, target, p };
}

/** kernel/trace/trace_event_perf.c: perf_kprobe_init */
export function perf_kprobe_init(k: KernelImpl, event: perf_event, is_return: boolean): number {
	const { attr } = event;
	let func: string | null = null;
	if (attr.config1) {
		const bytes = k.strncpy_from_user(u64_to_user_ptr(attr.config1), KSYM_NAME_LEN);
		if (!bytes) return -EFAULT;
		if (bytes.length >= KSYM_NAME_LEN) return -E2BIG;
		func = bytes.length ? String.fromCharCode(...bytes) : null;
	}
	const made = create_local_trace_kprobe(k, func, attr.config2, func ? attr.config2 : 0n, is_return);
	if (typeof made === "number") return made;
	const { call, target, p } = made;
	call.reg = (on) => (on ? k.kprobes.register(target, p) : k.kprobes.unregister(target, p));
	const err = k.trace_events.perf_trace_event_init(call, event);
	if (err) return err;
	event.destroy = (e) => k.trace_events.perf_trace_destroy(e);
	return 0;
}
