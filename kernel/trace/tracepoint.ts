// SPDX-License-Identifier: GPL-2.0-only
/**
 * Raw tracepoints (kernel/tracepoint.c, kernel/trace/bpf_trace.c): what a BPF program of type
 * RAW_TRACEPOINT or TRACING (tp_btf) hangs on. The task's own system calls fire sys_enter and sys_exit.
 */

import { EEXIST, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE } from "../../include/uapi/linux/bpf.ts";
import type { bpf_raw_tp_link } from "../bpf/link.ts";
import { bpf_prog_inc_misses_counter, bpf_prog_run } from "../bpf/prog.ts";
import type { KernelImpl } from "../kernel_impl.ts";

/** struct bpf_raw_event_map and the struct tracepoint behind it */
export interface raw_tracepoint {
	readonly name: string;
	readonly num_args: number;
	/** bytes of its writable argument; 0 when it has none */
	readonly writable_size: number;
	links: bpf_raw_tp_link[];
}

/** Names and arguments of the tracepoints that a program may attach to; only those with a body are ever fired. */
const TRACEPOINTS: readonly [name: string, num_args: number, writable?: number][] = [
	["sys_enter", 2],
	["sys_exit", 2],
	["sched_switch", 4],
	["sched_process_exec", 3],
	["sched_process_fork", 2],
	["sched_process_exit", 1],
	["sched_wakeup", 1],
	["sched_wakeup_new", 1],
	["sched_pi_setprio", 2],
	["task_newtask", 2],
	["task_rename", 2],
	["contention_begin", 2],
	["contention_end", 2],
	["kfree_skb", 4],
	["consume_skb", 2],
	["netif_receive_skb", 1],
	["xdp_exception", 3],
	["bpf_trigger_tp", 1],
	["bpf_test_finish", 1],
	["bpf_test_finish_user_mem", 1],
	["mm_page_alloc", 4],
	["bpf_testmod_test_read", 2],
	["bpf_testmod_test_write_bare", 2],
	["bpf_testmod_test_writable_bare", 1, 8],
	["bpf_testmod_test_nullable_bare", 1],
	["nbd_send_request", 3, 32],
];

/** The tracepoints of one kernel. */
export class RawTracepoints {
	private readonly kernel: KernelImpl;
	private readonly all: Map<string, raw_tracepoint> = new Map();
	/** bpf_prog_active: a program that a program's own work would fire is missed, per program */
	private readonly active: Set<object> = new Set();
	/** Something hangs on sys_enter or sys_exit. */
	syscalls = false;

	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		for (const [name, num_args, writable_size = 0] of TRACEPOINTS)
			this.all.set(name, { name, num_args, writable_size, links: [] });
	}

	/** kernel/trace/bpf_trace.c: bpf_get_raw_tracepoint */
	get(name: string): raw_tracepoint | undefined {
		return this.all.get(name);
	}

	/** kernel/trace/bpf_trace.c: bpf_probe_register */
	register(btp: raw_tracepoint, link: bpf_raw_tp_link): number {
		const prog = link.prog!;
		if (prog.aux.max_ctx_offset > btp.num_args * 8) return -EINVAL;
		if (prog.aux.max_tp_access > btp.writable_size) return -EINVAL;
		if (prog.type !== BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE && prog.aux.max_tp_access) return -EINVAL;
		if (btp.links.includes(link)) return -EEXIST;
		btp.links = [...btp.links, link];
		this.look();
		return 0;
	}

	/** kernel/trace/bpf_trace.c: bpf_probe_unregister */
	unregister(btp: raw_tracepoint, link: bpf_raw_tp_link): void {
		btp.links = btp.links.filter((l) => l !== link);
		this.look();
	}

	private look(): void {
		this.syscalls = this.enabled("sys_enter") || this.enabled("sys_exit");
	}

	/** True when firing has an effect, so that arguments need not be made for nothing. */
	enabled(name: string): boolean {
		return (this.all.get(name)?.links.length ?? 0) > 0;
	}

	/** kernel/trace/bpf_trace.c: __bpf_trace_run: each program with the tracepoint's arguments. */
	fire(name: string, args: readonly bigint[]): void {
		const tp = this.all.get(name);
		if (!tp || tp.links.length === 0) return;
		const { kmem } = this.kernel;
		for (const link of tp.links) {
			const { prog } = link;
			if (!prog) continue;
			if (this.active.has(prog)) {
				bpf_prog_inc_misses_counter(prog);
				continue;
			}
			const ctx = kmem.kzalloc(Math.max(8 * args.length, 8));
			for (const [i, a] of args.entries()) kmem.w64(ctx + 8 * i, a);
			this.active.add(prog);
			this.kernel.rcu.read_lock();
			const cookie = this.kernel.bpf_cookie;
			this.kernel.bpf_cookie = link.cookie;
			try {
				bpf_prog_run(prog, ctx);
			} finally {
				this.kernel.bpf_cookie = cookie;
				this.kernel.rcu.read_unlock();
				this.active.delete(prog);
				kmem.kfree(ctx);
			}
		}
	}
}
