// SPDX-License-Identifier: GPL-2.0-only
/* Kprobes and kretprobes, by hand, by section, on many functions, and one that replaces the function's result. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

extern const void bpf_fentry_test1 __ksym;
extern const void bpf_modify_return_test __ksym;

int my_tid = 0;
int kprobe_res = 0;
int kretprobe_res = 0;
int kprobe2_res = 0;
int kretprobe2_res = 0;
long arg = 0;
long rc = 0;
__u64 func_ip = 0;
__u64 ret_ip = 0;

static int mine(void)
{
	return my_tid == (int)bpf_get_current_pid_tgid();
}

SEC("kprobe")
int handle_kprobe(struct pt_regs *ctx)
{
	if (mine())
		kprobe_res++;
	return 0;
}

SEC("kretprobe")
int handle_kretprobe(struct pt_regs *ctx)
{
	if (mine()) {
		kretprobe_res++;
		rc = PT_REGS_RC(ctx);
	}
	return 0;
}

SEC("ksyscall/nanosleep")
int handle_kprobe_auto(struct pt_regs *ctx)
{
	if (mine())
		kprobe2_res = 11;
	return 0;
}

SEC("kretsyscall/nanosleep")
int handle_kretprobe_auto(struct pt_regs *ctx)
{
	if (mine())
		kretprobe2_res = 22;
	return 0;
}

SEC("kprobe/bpf_fentry_test1")
int entry(struct pt_regs *ctx)
{
	arg = (int)PT_REGS_PARM1(ctx);
	func_ip = (const void *)bpf_get_func_ip(ctx) == &bpf_fentry_test1;
	return 0;
}

SEC("kretprobe/bpf_fentry_test1")
int leave(struct pt_regs *ctx)
{
	rc = (int)PT_REGS_RC(ctx);
	ret_ip = (const void *)bpf_get_func_ip(ctx) == &bpf_fentry_test1;
	return 0;
}

/* not in every kernel: CONFIG_BPF_KPROBE_OVERRIDE */
SEC("?kprobe")
int replace(struct pt_regs *ctx)
{
	if (mine())
		bpf_override_return(ctx, 1234);
	return 0;
}

int multi_entries = 0;
int multi_returns = 0;
__u64 multi_cookies = 0;
__u64 multi_ip = 0;

SEC("kprobe.multi/bpf_fentry_test?")
int multi(struct pt_regs *ctx)
{
	multi_entries++;
	multi_cookies |= bpf_get_attach_cookie(ctx);
	if ((const void *)bpf_get_func_ip(ctx) == &bpf_fentry_test1)
		multi_ip++;
	return 0;
}

SEC("kretprobe.multi/bpf_fentry_test[")
int multi_bad(struct pt_regs *ctx)
{
	return 0;
}

SEC("kretprobe.multi")
int multi_ret(struct pt_regs *ctx)
{
	multi_returns++;
	rc = (int)PT_REGS_RC(ctx);
	return 0;
}

extern bool bpf_session_is_return(void) __ksym;
extern __u64 *bpf_session_cookie(void) __ksym;

int session_entries = 0;
int session_returns = 0;
__u64 session_sum = 0;

/* every second call is not to come back; the others carry their number over */
SEC("kprobe.session/bpf_fentry_test*")
int session(struct pt_regs *ctx)
{
	__u64 *cookie = bpf_session_cookie();

	if (bpf_session_is_return()) {
		session_returns++;
		session_sum += *cookie;
		return 0;
	}
	*cookie = ++session_entries;
	return session_entries & 1;
}

SEC("fentry/bpf_fentry_test1")
int trigger(void *ctx)
{
	return 0;
}
