// SPDX-License-Identifier: GPL-2.0-only
/* bpf_get_func_arg(), bpf_get_func_ret(), bpf_get_func_arg_cnt() at every kind of attachment. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#define EINVAL 22
#define EOPNOTSUPP 95

__u64 test1_result = 0;
SEC("fentry/bpf_fentry_test1")
int test1(__u64 *ctx)
{
	__u64 cnt = bpf_get_func_arg_cnt(ctx);
	__u64 a = 0, z = 0, ret = 0;
	__s64 err;

	test1_result = cnt == 1;
	err = bpf_get_func_arg(ctx, 0, &a);
	test1_result &= err == 0 && ((int)a == 1);
	/* beyond the last one */
	err = bpf_get_func_arg(ctx, 1, &z);
	test1_result &= err == -EINVAL;
	/* before the function has run it has returned nothing */
	err = bpf_get_func_ret(ctx, &ret);
	test1_result &= err == -EOPNOTSUPP;
	return 0;
}

__u64 test2_result = 0;
SEC("fexit/bpf_fentry_test2")
int test2(__u64 *ctx)
{
	__u64 cnt = bpf_get_func_arg_cnt(ctx);
	__u64 a = 0, b = 0, z = 0, ret = 0;
	__s64 err;

	test2_result = cnt == 2;
	err = bpf_get_func_arg(ctx, 0, &a);
	test2_result &= err == 0 && (int)a == 2;
	err = bpf_get_func_arg(ctx, 1, &b);
	test2_result &= err == 0 && b == 3;
	err = bpf_get_func_arg(ctx, 2, &z);
	test2_result &= err == -EINVAL;
	err = bpf_get_func_ret(ctx, &ret);
	test2_result &= err == 0 && (int)ret == 5;
	return 0;
}

__u64 test3_result = 0;
SEC("fmod_ret/bpf_modify_return_test")
int fmod_ret_test(__u64 *ctx)
{
	__u64 cnt = bpf_get_func_arg_cnt(ctx);
	__u64 a = 0, b = 0, z = 0, ret = 0;
	__s64 err;

	test3_result = cnt == 2;
	err = bpf_get_func_arg(ctx, 0, &a);
	test3_result &= err == 0 && (int)a == 1;
	err = bpf_get_func_arg(ctx, 1, &b);
	test3_result &= err == 0 && b != 0;
	err = bpf_get_func_arg(ctx, 2, &z);
	test3_result &= err == -EINVAL;
	err = bpf_get_func_ret(ctx, &ret);
	test3_result &= err == 0 && ret == 0;
	return 1234;
}

__u64 test4_result = 0;
SEC("fexit/bpf_modify_return_test")
int fexit_test(__u64 *ctx)
{
	__u64 cnt = bpf_get_func_arg_cnt(ctx);
	__u64 a = 0, b = 0, z = 0, ret = 0;
	__s64 err;

	test4_result = cnt == 2;
	err = bpf_get_func_arg(ctx, 0, &a);
	test4_result &= err == 0 && (int)a == 1;
	err = bpf_get_func_arg(ctx, 1, &b);
	test4_result &= err == 0 && b != 0;
	err = bpf_get_func_arg(ctx, 2, &z);
	test4_result &= err == -EINVAL;
	err = bpf_get_func_ret(ctx, &ret);
	test4_result &= err == 0 && (int)ret == 1234;
	return 0;
}
