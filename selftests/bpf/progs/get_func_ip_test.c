// SPDX-License-Identifier: GPL-2.0-only
/* bpf_get_func_ip() and bpf_get_attach_cookie() of programs on trampolines. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

extern const void bpf_fentry_test1 __ksym;
extern const void bpf_fentry_test2 __ksym;
extern const void bpf_modify_return_test __ksym;

__u64 test1_result = 0;
__u64 test2_result = 0;
__u64 test5_result = 0;
__u64 fentry_cookie = 0;
__u64 fexit_cookie = 0;
__u64 fmod_ret_cookie = 0;

SEC("fentry/bpf_fentry_test1")
int test1(__u64 *ctx)
{
	test1_result = (const void *)bpf_get_func_ip(ctx) == &bpf_fentry_test1;
	fentry_cookie = bpf_get_attach_cookie(ctx);
	return 0;
}

SEC("fexit/bpf_fentry_test2")
int test2(__u64 *ctx)
{
	test2_result = (const void *)bpf_get_func_ip(ctx) == &bpf_fentry_test2;
	fexit_cookie = bpf_get_attach_cookie(ctx);
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test")
int test5(__u64 *ctx)
{
	test5_result = (const void *)bpf_get_func_ip(ctx) == &bpf_modify_return_test;
	fmod_ret_cookie = bpf_get_attach_cookie(ctx);
	return (int)ctx[2];
}
