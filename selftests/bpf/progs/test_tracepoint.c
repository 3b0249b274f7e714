// SPDX-License-Identifier: GPL-2.0-only
/* Trace events: the scheduler's, system calls', and a program that reads too far. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct sched_switch_args {
	__u64 pad;
	char prev_comm[16];
	int prev_pid;
	int prev_prio;
	long prev_state;
	char next_comm[16];
	int next_pid;
	int next_prio;
};

struct sys_enter_args {
	__u64 pad;
	long nr;
	unsigned long args[3];
};

struct sys_exit_args {
	__u64 pad;
	long nr;
	long ret;
};

int my_pid = 0;
int switches = 0;
int prev_pid = 0;
int next_pid = -1;
long enter_nr = 0;
long enter_arg = 0;
long exit_ret = 0;

SEC("tracepoint/sched/sched_switch")
int oncpu(struct sched_switch_args *ctx)
{
	if (ctx->prev_pid == my_pid) {
		switches++;
		prev_pid = ctx->prev_pid;
		next_pid = ctx->next_pid;
	}
	return 0;
}

struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

int raw_away = 0;
int raw_back = 0;
int raw_wrong = 0;

/* the same as it is: current is the task that goes, be it the idle one */
SEC("tp_btf/sched_switch")
int raw_switch(__u64 *ctx)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];

	if (prev->pid != my_pid && next->pid != my_pid)
		return 0;
	if ((__u32)bpf_get_current_pid_tgid() != prev->pid)
		raw_wrong++;
	if (prev->pid == my_pid)
		raw_away++;
	else
		raw_back++;
	return 0;
}

SEC("tp/syscalls/sys_enter_getpgid")
int enter(struct sys_enter_args *ctx)
{
	enter_nr = ctx->nr;
	enter_arg = ctx->args[0];
	return 0;
}

SEC("tp/syscalls/sys_exit_getpgid")
int leave(struct sys_exit_args *ctx)
{
	exit_ret = ctx->ret;
	return 0;
}

/* getpgid(2) has one argument */
SEC("?tp/syscalls/sys_enter_getpgid")
int too_far(struct sys_enter_args *ctx)
{
	enter_arg = ctx->args[1];
	return 0;
}
