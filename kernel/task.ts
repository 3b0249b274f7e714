// SPDX-License-Identifier: GPL-2.0-only
/** Tasks and their credentials (include/linux/sched.h, include/linux/cred.h), as far as BPF asks for them. */

export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_BOOT = 22;
export const CAP_SYS_RESOURCE = 24;
export const CAP_PERFMON = 38;
export const CAP_BPF = 39;

/** The part of struct task_struct that the verifier and bpf(2) look at. */
export interface task_struct {
	readonly pid: number;
	readonly tgid: number;
	comm: string;
	/** Effective capabilities, by number. */
	readonly caps: Set<number>;
	uid: number;
	gid: number;
}

/** include/linux/capability.h: capable() in the initial user namespace. */
export function capable(task: task_struct, cap: number): boolean {
	return task.caps.has(cap);
}

/** include/linux/capability.h: bpf_capable() */
export function bpf_capable(task: task_struct): boolean {
	return capable(task, CAP_BPF) || capable(task, CAP_SYS_ADMIN);
}

/** include/linux/capability.h: perfmon_capable() */
export function perfmon_capable(task: task_struct): boolean {
	return capable(task, CAP_PERFMON) || capable(task, CAP_SYS_ADMIN);
}
