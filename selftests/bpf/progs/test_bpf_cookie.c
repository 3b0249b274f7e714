// SPDX-License-Identifier: GPL-2.0-only
/* Which of its attachments a program runs for. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

int my_tid = 0;
__u64 kprobe_res = 0;
__u64 kretprobe_res = 0;
__u64 tp_res = 0;
__u64 pe_res = 0;
__u64 raw_tp_res = 0;
__u64 tp_btf_res = 0;
__u64 fentry_res = 0;
__u64 fexit_res = 0;

#define UPDATE(res)                                              \
	do {                                                     \
		if (my_tid == (int)bpf_get_current_pid_tgid())   \
			res |= bpf_get_attach_cookie(ctx);       \
	} while (0)

SEC("kprobe")
int handle_kprobe(struct pt_regs *ctx)
{
	UPDATE(kprobe_res);
	return 0;
}

SEC("kretprobe")
int handle_kretprobe(struct pt_regs *ctx)
{
	UPDATE(kretprobe_res);
	return 0;
}

/* a program stands on an event once at most */
SEC("tp/syscalls/sys_enter_nanosleep")
int handle_tp1(void *ctx)
{
	UPDATE(tp_res);
	return 0;
}

SEC("tp/syscalls/sys_enter_nanosleep")
int handle_tp2(void *ctx)
{
	UPDATE(tp_res);
	return 0;
}

SEC("tp/syscalls/sys_enter_nanosleep")
int handle_tp3(void *ctx)
{
	UPDATE(tp_res);
	return 1;
}

SEC("perf_event")
int handle_pe(void *ctx)
{
	UPDATE(pe_res);
	return 0;
}

SEC("raw_tp/sys_enter")
int handle_raw_tp(void *ctx)
{
	UPDATE(raw_tp_res);
	return 0;
}

SEC("tp_btf/sys_enter")
int handle_tp_btf(void *ctx)
{
	UPDATE(tp_btf_res);
	return 0;
}

SEC("fentry/bpf_fentry_test1")
int fentry_test1(void *ctx)
{
	UPDATE(fentry_res);
	return 0;
}

SEC("fexit/bpf_fentry_test1")
int fexit_test1(void *ctx)
{
	UPDATE(fexit_res);
	return 0;
}
