// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/task_iter.c: the open-coded iterators over tasks and a task's areas of memory, and bpf_find_vma(). The
 * idle task, which the kernel's walk begins
 * with, is none of the mirror's tasks.
 */
import { EBUSY, EINVAL, ENOENT, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { irq_work } from "../irq_work.ts";
import type { KernelImpl, Task } from "../kernel_impl.ts";
import type { mm_struct } from "../kmem.ts";
import { task_image } from "../task_image.ts";
import { find_vma, vma_image_fill, vma_image_reset, vma_image_size, with_vma_image } from "../vma_image.ts";

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

	/** DEFINE_PER_CPU(struct mmap_unlock_irq_work, mmap_unlock_work) */
	const unlock_work = Array.from({ length: k.config.cpus }, () => new irq_work(() => {}));
	bodies.set("bpf_find_vma", (c, task, start, callback_fn, callback_ctx, flags) => {
		if (flags) return BigInt(-EINVAL);
		const mm = at(p(task))?.mm;
		if (!mm) return BigInt(-ENOENT);
		const work = k.irqs_disabled ? unlock_work[k.cpu]! : null;
		if (work?.pending) return BigInt(-EBUSY);
		const vma = find_vma(mm, p(start));
		let ret = -ENOENT;
		if (vma && vma.vm_start <= p(start)) {
			with_vma_image(k, vma, (addr) => c.call(callback_fn, [task, addr_to_u64(addr), callback_ctx, 0n, 0n]));
			ret = 0;
		}
		if (work) k.irq_work_queue(work);
		return BigInt(ret);
	});

	/** struct bpf_iter_task_vma_kern_data by the address of its snapshot */
	const vma_iters = new Map<number, { readonly mm: mm_struct; next_addr: number }>();
	bodies.set("bpf_iter_task_vma_new", (_c, it, task, addr) => {
		kmem.wptr(p(it), 0);
		if (k.irqs_disabled) return BigInt(-EBUSY);
		const mm = at(p(task))?.mm;
		if (!mm) return BigInt(-ENOENT);
		const data = kmem.kzalloc(vma_image_size(k));
		if (!data) return BigInt(-ENOMEM);
		vma_iters.set(data, { mm, next_addr: p(addr) });
		kmem.wptr(p(it), data);
		return 0n;
	});
	bodies.set("bpf_iter_task_vma_next", (_c, it) => {
		const data = kmem.rptr(p(it));
		const iter = vma_iters.get(data);
		if (!iter) return 0n;
		vma_image_reset(k, data);
		// an address in the upper half of 64 bits is behind all areas
		const vma = iter.next_addr < 0 ? null : find_vma(iter.mm, iter.next_addr);
		if (!vma) return 0n;
		vma_image_fill(k, data, vma);
		iter.next_addr = vma.vm_end;
		return addr_to_u64(data);
	});
	bodies.set("bpf_iter_task_vma_destroy", (_c, it) => {
		const data = kmem.rptr(p(it));
		if (!vma_iters.delete(data)) return 0n;
		vma_image_reset(k, data);
		kmem.kfree(data);
		return 0n;
	});
}
