// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/task_iter.c: the open-coded iterator over tasks. The idle task, which the kernel's walk begins
 * with, is none of the mirror's tasks.
 */
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { KernelImpl, Task } from "../kernel_impl.ts";
import { task_image } from "../task_image.ts";

const BPF_TASK_ITER_ALL_PROCS = 0;
const BPF_TASK_ITER_ALL_THREADS = 1;
const BPF_TASK_ITER_PROC_THREADS = 2;

// struct bpf_iter_task_kern
const ITER_TASK = 0;
const ITER_POS = 8;
const ITER_FLAGS = 16;

/** Hang the bodies on the kernel. */
export function register_task_iter(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const at = (addr: number): Task | undefined => [...k.tasks.values()].find((t) => t.addr === addr);
	const addr_of = (t: Task | undefined): number => (t ? task_image(k, t) : 0);
	/** Leaders in the order in which they came, as the list of tasks is. */
	const leaders = (): Task[] => [...k.tasks.values()].filter((t) => t.pid === t.tgid);
	/** next_task(): 0 after the last one */
	const next_task = (addr: number): number => {
		const list = leaders();
		const i = list.findIndex((t) => t.addr === addr);
		return i < 0 ? 0 : addr_of(list[i + 1]);
	};
	/** include/linux/sched/signal.h: __next_thread() */
	const next_thread = (addr: number): number => {
		const of = at(addr);
		if (!of) return 0;
		const threads = [...k.tasks.values()]
			.filter((t) => t.tgid === of.tgid)
			.sort((a, b) => Number(b.pid === b.tgid) - Number(a.pid === a.tgid));
		return addr_of(threads[threads.indexOf(of) + 1]);
	};

	bodies.set("bpf_iter_task_new", (_c, it, task, flags64) => {
		const flags = Number(flags64 & 0xffffffffn);
		kmem.w64(p(it) + ITER_POS, 0n);
		switch (flags) {
			case BPF_TASK_ITER_ALL_THREADS:
			case BPF_TASK_ITER_ALL_PROCS:
				break;
			case BPF_TASK_ITER_PROC_THREADS:
				if (!task) return BigInt(-EINVAL);
				break;
			default:
				return BigInt(-EINVAL);
		}
		const first = flags === BPF_TASK_ITER_PROC_THREADS ? p(task) : addr_of(leaders()[0]);
		kmem.wptr(p(it) + ITER_TASK, first);
		kmem.wptr(p(it) + ITER_POS, first);
		kmem.w32(p(it) + ITER_FLAGS, flags);
		return 0n;
	});
	bodies.set("bpf_iter_task_next", (_c, it) => {
		const pos = kmem.rptr(p(it) + ITER_POS);
		const flags = kmem.r32(p(it) + ITER_FLAGS);
		if (!pos) return 0n;
		if (flags !== BPF_TASK_ITER_ALL_PROCS) {
			const thread = next_thread(pos);
			kmem.wptr(p(it) + ITER_POS, thread);
			if (thread || flags === BPF_TASK_ITER_PROC_THREADS) return addr_to_u64(pos);
		}
		const task = next_task(kmem.rptr(p(it) + ITER_TASK));
		kmem.wptr(p(it) + ITER_TASK, task);
		kmem.wptr(p(it) + ITER_POS, task);
		return addr_to_u64(pos);
	});
	bodies.set("bpf_iter_task_destroy", () => 0n);
}
