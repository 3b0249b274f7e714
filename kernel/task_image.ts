// SPDX-License-Identifier: GPL-2.0-only
/** The guest's struct task_struct of a task, as programs read it through BTF. */
import { koffsetof, ksizeof, try_offsetof } from "./bpf/layout.ts";
import type { KernelImpl, Task } from "./kernel_impl.ts";

/** Address of the struct; made at first use, current at each. */
export function task_image(k: KernelImpl, task: Task): number {
	const { kmem } = k;
	if (!task.addr) task.addr = kmem.kzalloc(ksizeof(k, "task_struct"));
	const at = (field: string): number => task.addr + koffsetof(k, "task_struct", field);
	kmem.w32(at("pid"), task.pid);
	kmem.w32(at("tgid"), task.tgid);
	const comm = new Uint8Array(16);
	for (let i = 0; i < task.comm.length && i < 15; i++) comm[i] = task.comm.charCodeAt(i);
	kmem.write(at("comm"), comm);
	kmem.w64(at("start_time"), task.start_time);
	kmem.w64(at("start_boottime"), task.start_time);
	kmem.w32(at("flags"), 0x400000); // PF_RANDOMIZE
	const leader = k.tasks.get(task.tgid);
	kmem.wptr(at("group_leader"), leader && leader !== task ? task_image(k, leader) : task.addr);
	const cpu = try_offsetof(k, "task_struct", "recent_used_cpu");
	if (cpu >= 0) kmem.w32(task.addr + cpu, task.cpu);
	return task.addr;
}

/** The task is gone. */
export function task_image_free(k: KernelImpl, task: Task): void {
	if (task.addr) {
		// bpf_task_storage_free()
		k.bpf.local_storage.owner_gone(task.addr);
		k.kmem.kfree(task.addr);
	}
	task.addr = 0;
}

/** Give back the structs of the tasks that live on, so that what is left is a leak; they come again when asked for. */
export function task_images_release(k: KernelImpl): void {
	for (const task of k.tasks.values()) task_image_free(k, task);
}
