// SPDX-License-Identifier: GPL-2.0-only
/* Structures passed by value: each of their words is one of the context's. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";


__u64 arg1_words[4] = {};
__u64 arg1_nregs = 0;
__s64 arg1_ret = 0;
__u64 arg4_words[6] = {};
__s64 arg5_ret = 0;
__s64 arg6_ret = 0;

SEC("fexit/bpf_testmod_test_struct_arg_1")
int struct_first(__u64 *ctx)
{
	__u64 ret = 0;

	arg1_nregs = bpf_get_func_arg_cnt(ctx);
	bpf_get_func_arg(ctx, 0, &arg1_words[0]);
	bpf_get_func_arg(ctx, 1, &arg1_words[1]);
	bpf_get_func_arg(ctx, 2, &arg1_words[2]);
	bpf_get_func_arg(ctx, 3, &arg1_words[3]);
	bpf_get_func_ret(ctx, &ret);
	arg1_ret = (int)ret;
	return 0;
}

SEC("fentry/bpf_testmod_test_struct_arg_4")
int two_structs(__u64 *ctx)
{
	bpf_get_func_arg(ctx, 0, &arg4_words[0]);
	bpf_get_func_arg(ctx, 1, &arg4_words[1]);
	bpf_get_func_arg(ctx, 2, &arg4_words[2]);
	bpf_get_func_arg(ctx, 3, &arg4_words[3]);
	bpf_get_func_arg(ctx, 4, &arg4_words[4]);
	bpf_get_func_arg(ctx, 5, &arg4_words[5]);
	return 0;
}

SEC("fexit/bpf_testmod_test_struct_arg_5")
int no_args(__u64 *ctx)
{
	arg5_ret = (int)ctx[0];
	return 0;
}


SEC("fexit/bpf_testmod_test_struct_arg_6")
int struct_pointer(__u64 *ctx)
{
	arg6_ret = (int)ctx[1];
	return 0;
}

/* the structure is on the stack, the argument behind it in the last register */
__u64 arg8_words[8] = {};
__s64 arg8_ret = 0;

SEC("?fexit/bpf_testmod_test_struct_arg_8")
int struct_on_stack(__u64 *ctx)
{
	__u64 ret = 0;

	bpf_get_func_arg(ctx, 4, &arg8_words[4]);
	bpf_get_func_arg(ctx, 5, &arg8_words[5]);
	bpf_get_func_arg(ctx, 6, &arg8_words[6]);
	bpf_get_func_arg(ctx, 7, &arg8_words[7]);
	bpf_get_func_ret(ctx, &ret);
	arg8_ret = (int)ret;
	return 0;
}
