// SPDX-License-Identifier: GPL-2.0-only
/* Functions whose arguments do not all go into registers, before and after they run. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

__u64 test1_result = 0;
SEC("fentry/bpf_testmod_fentry_test7")
int test1(__u64 *ctx)
{
	test1_result = ctx[0] == 16 && ctx[1] == 17 && (short)ctx[2] == 18 && (int)ctx[3] == 19 &&
		       ctx[4] == 20 && (char)ctx[5] == 21 && (int)ctx[6] == 22;
	return 0;
}

__u64 test2_result = 0;
SEC("fentry/bpf_testmod_fentry_test11")
int test2(__u64 *ctx)
{
	test2_result = ctx[0] == 16 && ctx[1] == 17 && (short)ctx[2] == 18 && (int)ctx[3] == 19 &&
		       ctx[4] == 20 && (char)ctx[5] == 21 && (int)ctx[6] == 22 && (__u32)ctx[7] == 23 &&
		       ctx[8] == 24 && ctx[9] == 25 && ctx[10] == 26;
	return 0;
}

__u64 test3_result = 0;
SEC("fexit/bpf_testmod_fentry_test11")
int test3(__u64 *ctx)
{
	__u64 arg = 0, ret = 0;

	test3_result = bpf_get_func_arg_cnt(ctx) == 11 && bpf_get_func_arg(ctx, 10, &arg) == 0 && arg == 26 &&
		       bpf_get_func_ret(ctx, &ret) == 0 && (int)ret == 231;
	return 0;
}
