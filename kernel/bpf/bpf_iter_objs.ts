// SPDX-License-Identifier: GPL-2.0-only
/**
 * What BPF iterators go over: maps, programs, links (kernel/bpf/map_iter.c, prog_iter.c, link_iter.c), tasks and
 * their areas of memory (kernel/bpf/task_iter.c) and a map's elements (map_elem_iter.ts). The others are named, and not ported.
 */
import { EBADF, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import type { bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl, type Task } from "../kernel_impl.ts";
import type { vm_area_struct } from "../kmem.ts";
import { task_image } from "../task_image.ts";
import { find_vma, with_vma_image } from "../vma_image.ts";
import {
	type bpf_iter_aux_info,
	type bpf_iter_link_info,
	type bpf_iter_reg,
	type bpf_iter_seq_info,
	bpf_iter_show,
} from "./bpf_iter_run.ts";
import { type bpf_link, bpf_link_put } from "./bpf_link.ts";
import type { Idr } from "./bpf_state.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import { map_image_sync } from "./map.ts";
import { bpf_map_inc, bpf_map_put } from "./map_create.ts";
import { bpf_map_elem_reg } from "./map_elem_iter.ts";
import { bpf_prog_inc, bpf_prog_put, prog_image } from "./prog.ts";

/** What has an id. */
interface WithIds<V> {
	readonly member: string;
	idr(k: KernelImpl): Idr<V>;
	/** bpf_*_inc_not_zero(): false when the last reference is gone */
	get(v: V): boolean;
	put(v: V): void;
	/** The guest's struct, and what is done when the program has seen it. */
	image(v: V): number;
	image_put?(k: KernelImpl, addr: number): void;
}

/** struct bpf_iter_seq_map_info, …_prog_info, …_link_info */
interface Position {
	id: number;
}

/** kernel/bpf/map_iter.c, prog_iter.c, link_iter.c: the same but for the type */
function by_id<V>(target: string, how: WithIds<V>): bpf_iter_reg {
	/** bpf_map_get_curr_or_next(), bpf_prog_get_curr_or_next(), bpf_link_get_curr_or_next() */
	const curr_or_next = (kernel: Kernel, info: Position): V | null => {
		for (;;) {
			const found = how.idr(impl(kernel)).get_next(info.id);
			if (!found) return null;
			info.id = found.id;
			if (how.get(found.entry)) return found.entry;
			info.id++;
		}
	};
	const seq_info: bpf_iter_seq_info<Position, V> = {
		init_seq_private: () => ({ id: 0 }),
		seq_ops: {
			start(seq): V | null {
				const v = curr_or_next(seq.kernel, seq.priv.target_private);
				if (v && seq.index === 0) seq.index++;
				return v;
			},
			next(seq, v): V | null {
				const info = seq.priv.target_private;
				seq.index++;
				info.id++;
				how.put(v);
				return curr_or_next(seq.kernel, info);
			},
			show(seq, v): number {
				const addr = how.image(v);
				try {
					return bpf_iter_show(seq, false, () => ({ [how.member]: addr }));
				} finally {
					how.image_put?.(impl(seq.kernel), addr);
				}
			},
			stop(seq, v): void {
				if (v) how.put(v);
				else bpf_iter_show(seq, true, () => ({}));
			},
		},
	};
	return { target, resched: false, seq_info: () => seq_info as bpf_iter_seq_info };
}

/** The guest's struct bpf_link, for as long as a program looks at it. */
function link_image(link: bpf_link): number {
	const { kernel } = link;
	const { kmem } = impl(kernel);
	const addr = kmem.kzalloc(ksizeof(kernel, "bpf_link"));
	const at = (field: string): number => addr + koffsetof(kernel, "bpf_link", field);
	kmem.w64(at("refcnt"), BigInt(link.refcnt));
	kmem.w32(at("id"), link.id);
	kmem.w32(at("type"), link.type);
	if (link.prog) kmem.wptr(at("prog"), prog_image(link.prog));
	return addr;
}

// ---- tasks

// enum bpf_iter_task_type
const BPF_TASK_ITER_ALL = 0;
const BPF_TASK_ITER_TID = 1;
const BPF_TASK_ITER_TGID = 2;
const iter_task_type_names = ["ALL", "TID", "PID"];

/** struct bpf_iter_seq_task_info */
interface TaskPosition {
	readonly type: number;
	readonly pid: number;
	pid_visiting: number;
	tid: number;
}

/** A thread that has its descriptors from its process. */
function dup_files(k: KernelImpl, task: Task): boolean {
	return task.pid !== task.tgid && task.files === k.tasks.get(task.tgid)?.files;
}

/** kernel/bpf/task_iter.c: task_group_seq_get_next */
function task_group_seq_get_next(k: KernelImpl, info: TaskPosition, skip_dup_files: boolean): Task | null {
	const leader = (pid: number): Task | null => {
		const t = k.tasks.get(pid);
		return t && t.pid === t.tgid ? t : null;
	};
	if (!info.tid) {
		const task = leader(info.pid);
		if (!task) return null;
		info.tid = info.pid;
		info.pid_visiting = info.pid;
		return task;
	}
	// user space comes back: the task that was not shown to the end
	if (info.tid === info.pid_visiting) return k.tasks.get(info.pid_visiting) ?? null;
	const task = k.tasks.get(info.pid_visiting);
	if (!task) return null;
	// __next_thread(): the leader first, then as they came
	const threads = [...k.tasks.values()].filter((t) => t.tgid === task.tgid);
	threads.sort((a, b) => Number(b.pid === b.tgid) - Number(a.pid === a.tgid));
	const next = threads.slice(threads.indexOf(task) + 1).find((t) => !(skip_dup_files && dup_files(k, t)));
	if (!next) return null;
	info.pid_visiting = next.pid;
	info.tid = next.pid;
	return next;
}

/** kernel/bpf/task_iter.c: task_seq_get_next */
function task_seq_get_next(kernel: Kernel, info: TaskPosition, skip_dup_files = false): Task | null {
	const k = impl(kernel);
	if (info.type === BPF_TASK_ITER_TID) {
		if (info.tid && info.tid !== info.pid) return null;
		const task = k.tasks.get(info.pid);
		if (!task) return null;
		info.tid = info.pid;
		return task;
	}
	if (info.type === BPF_TASK_ITER_TGID) return task_group_seq_get_next(k, info, skip_dup_files);
	// find_ge_pid()
	let best: Task | null = null;
	for (const t of k.tasks.values()) {
		if (t.pid < info.tid || (best && t.pid > best.pid)) continue;
		if (!(skip_dup_files && dup_files(k, t))) best = t;
	}
	if (best) info.tid = best.pid;
	return best;
}

const task_seq_info: bpf_iter_seq_info<TaskPosition, Task> = {
	init_seq_private: (_kernel, aux) => ({ type: aux.task.type, pid: aux.task.pid, pid_visiting: 0, tid: 0 }),
	seq_ops: {
		start(seq): Task | null {
			const task = task_seq_get_next(seq.kernel, seq.priv.target_private);
			if (task && seq.index === 0) seq.index++;
			return task;
		},
		next(seq): Task | null {
			const info = seq.priv.target_private;
			seq.index++;
			info.tid++;
			return task_seq_get_next(seq.kernel, info);
		},
		show: (seq, task) => bpf_iter_show(seq, false, () => ({ task: task_image(impl(seq.kernel), task) })),
		stop(seq, task): void {
			if (!task) bpf_iter_show(seq, true, () => ({}));
		},
	},
};

/** struct bpf_iter_seq_task_vma_info */
interface VmaPosition extends TaskPosition {
	task: Task | null;
	vma: vm_area_struct | null;
	prev_vm_start: number;
	prev_vm_end: number;
}

/** kernel/bpf/task_iter.c: task_vma_seq_get_next: nobody else wants the lock of the address space meanwhile */
function task_vma_seq_get_next(kernel: Kernel, info: VmaPosition): vm_area_struct | null {
	const saved_tid = info.tid;
	let task = info.task;
	let vma = task ? find_vma(task.mm, info.vma!.vm_end) : null;
	for (;;) {
		if (!task) {
			task = task_seq_get_next(kernel, info, true);
			if (!task) {
				info.tid++;
				break;
			}
			if (saved_tid !== info.tid) vma = find_vma(task.mm, 0);
			else {
				// User space comes back: on from where it was; 0 - 1 is the last address there is. Of one thread, the
				// kernel too gives the last areas again and again when they are read in pieces.
				vma = info.prev_vm_end ? find_vma(task.mm, info.prev_vm_end - 1) : null;
				if (vma && vma.vm_start === info.prev_vm_start && vma.vm_end === info.prev_vm_end)
					vma = find_vma(task.mm, vma.vm_end);
			}
		}
		if (vma) {
			info.task = task;
			info.vma = vma;
			return vma;
		}
		if (info.type === BPF_TASK_ITER_TID) break;
		task = null;
		info.tid++;
	}
	info.task = null;
	info.vma = null;
	return null;
}

const task_vma_seq_info: bpf_iter_seq_info<VmaPosition, vm_area_struct> = {
	init_seq_private: (_kernel, aux) => ({
		type: aux.task.type,
		pid: aux.task.pid,
		pid_visiting: 0,
		tid: 0,
		task: null,
		vma: null,
		prev_vm_start: 0,
		prev_vm_end: 0,
	}),
	seq_ops: {
		start(seq): vm_area_struct | null {
			const vma = task_vma_seq_get_next(seq.kernel, seq.priv.target_private);
			if (vma && seq.index === 0) seq.index++;
			return vma;
		},
		next(seq): vm_area_struct | null {
			seq.index++;
			return task_vma_seq_get_next(seq.kernel, seq.priv.target_private);
		},
		show(seq, vma): number {
			const k = impl(seq.kernel);
			const { task } = seq.priv.target_private;
			return with_vma_image(k, vma, (addr) =>
				bpf_iter_show(seq, false, () => ({ task: task_image(k, task!), vma: addr })),
			);
		},
		stop(seq, vma): void {
			const info = seq.priv.target_private;
			if (!vma) {
				bpf_iter_show(seq, true, () => ({}));
				return;
			}
			// the program has not seen this one: it comes again
			info.prev_vm_start = -1;
			info.prev_vm_end = vma.vm_end;
			info.task = null;
		},
	},
};

/** kernel/bpf/task_iter.c: bpf_iter_attach_task */
function bpf_iter_attach_task(_prog: bpf_prog, linfo: bpf_iter_link_info, aux: bpf_iter_aux_info): number {
	const { tid, pid, pid_fd } = linfo;
	if (Number(tid !== 0) + Number(pid !== 0) + Number(pid_fd !== 0) > 1) return -EINVAL;
	aux.task = { type: BPF_TASK_ITER_ALL, pid: 0 };
	if (tid) aux.task = { type: BPF_TASK_ITER_TID, pid: tid };
	if (pid) aux.task = { type: BPF_TASK_ITER_TGID, pid };
	return pid_fd ? -EBADF : 0; // no descriptor here is a process's
}

/** kernel/bpf/task_iter.c: bpf_iter_fill_link_info */
function bpf_iter_fill_link_info(aux: bpf_iter_aux_info, info: bpf_link_info): number {
	if (aux.task.type === BPF_TASK_ITER_TID) info.iter_task_tid = aux.task.pid;
	else if (aux.task.type === BPF_TASK_ITER_TGID) info.iter_task_pid = aux.task.pid;
	return 0;
}

/** kernel/bpf/task_iter.c: bpf_iter_task_show_fdinfo */
function bpf_iter_task_show_fdinfo(aux: bpf_iter_aux_info): string {
	const { type, pid } = aux.task;
	let s = `task_type:\t${iter_task_type_names[type]}\n`;
	if (type === BPF_TASK_ITER_TID) s += `tid:\t${pid}\n`;
	else if (type === BPF_TASK_ITER_TGID) s += `pid:\t${pid}\n`;
	return s;
}

/** task_reg_info, task_file_reg_info, task_vma_reg_info */
function over_tasks(target: string, seq_info: bpf_iter_seq_info | null): bpf_iter_reg {
	return {
		target,
		resched: true,
		attach_target: bpf_iter_attach_task,
		show_fdinfo: bpf_iter_task_show_fdinfo,
		fill_link_info: bpf_iter_fill_link_info,
		seq_info: () => seq_info,
	};
}

function not_ported(target: string, resched: boolean): bpf_iter_reg {
	return { target, resched, seq_info: () => null };
}

const regs: readonly bpf_iter_reg[] = [
	by_id<bpf_map>("bpf_map", {
		member: "map",
		idr: (k) => k.bpf.map_idr,
		get(map): boolean {
			if (map.refcnt === 0) return false;
			bpf_map_inc(map);
			return true;
		},
		put: bpf_map_put,
		image(map): number {
			map_image_sync(map);
			return map.addr;
		},
	}),
	by_id<bpf_prog>("bpf_prog", {
		member: "prog",
		idr: (k) => k.bpf.prog_idr,
		get(prog): boolean {
			if (prog.aux.refcnt === 0) return false;
			bpf_prog_inc(prog);
			return true;
		},
		put: bpf_prog_put,
		image: prog_image,
	}),
	by_id<bpf_link>("bpf_link", {
		member: "link",
		idr: (k) => k.bpf.link_idr,
		get(link): boolean {
			if (link.refcnt === 0) return false;
			link.refcnt++;
			return true;
		},
		put: bpf_link_put,
		image: link_image,
		image_put: (k, addr) => k.kmem.kfree(addr),
	}),
	bpf_map_elem_reg,
	over_tasks("task", task_seq_info as bpf_iter_seq_info),
	over_tasks("task_vma", task_vma_seq_info as bpf_iter_seq_info),
	over_tasks("task_file", null),
	...["cgroup", "ksym"].map((target) => not_ported(target, true)),
	...["netlink", "ipv6_route", "sockmap", "bpf_sk_storage_map", "unix", "tcp", "udp"].map((target) =>
		not_ported(target, false),
	),
];

/** By the target's name. */
export const bpf_iter_regs: ReadonlyMap<string, bpf_iter_reg> = new Map(regs.map((r) => [r.target, r]));
