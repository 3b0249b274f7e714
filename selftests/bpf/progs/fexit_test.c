// SPDX-License-Identifier: GPL-2.0-only
/* Programs at the exit of the functions that a test run of a tracing program calls. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

__u64 test1_result = 0;
SEC("fexit/bpf_fentry_test1")
int test1(__u64 *ctx)
{
	int a = (int)ctx[0], ret = (int)ctx[1];

	test1_result = a == 1 && ret == 2;
	return 0;
}

__u64 test2_result = 0;
SEC("fexit/bpf_fentry_test2")
int test2(__u64 *ctx)
{
	test2_result = (int)ctx[0] == 2 && ctx[1] == 3 && (int)ctx[2] == 5;
	return 0;
}

__u64 test3_result = 0;
SEC("fexit/bpf_fentry_test3")
int test3(__u64 *ctx)
{
	test3_result = (char)ctx[0] == 4 && (int)ctx[1] == 5 && ctx[2] == 6 && (int)ctx[3] == 15;
	return 0;
}

__u64 test4_result = 0;
SEC("fexit/bpf_fentry_test4")
int test4(__u64 *ctx)
{
	test4_result = ctx[0] == 7 && (char)ctx[1] == 8 && (int)ctx[2] == 9 && ctx[3] == 10 &&
		       (int)ctx[4] == 34;
	return 0;
}

__u64 test5_result = 0;
SEC("fexit/bpf_fentry_test5")
int test5(__u64 *ctx)
{
	test5_result = ctx[0] == 11 && ctx[1] == 12 && (short)ctx[2] == 13 && (int)ctx[3] == 14 && ctx[4] == 15 &&
		       (int)ctx[5] == 65;
	return 0;
}

__u64 test6_result = 0;
SEC("fexit/bpf_fentry_test6")
int test6(__u64 *ctx)
{
	test6_result = ctx[0] == 16 && ctx[1] == 17 && (short)ctx[2] == 18 && (int)ctx[3] == 19 &&
		       ctx[4] == 20 && ctx[5] == 21 && (int)ctx[6] == 111;
	return 0;
}

struct bpf_fentry_test_t {
	struct bpf_fentry_test_t *a;
};

__u64 test7_result = 0;
SEC("fexit/bpf_fentry_test7")
int test7(__u64 *ctx)
{
	struct bpf_fentry_test_t *arg = (void *)ctx[0];

	if (!arg && (int)ctx[1] == 0)
		test7_result = 1;
	return 0;
}

__u64 test8_result = 0;
SEC("fexit/bpf_fentry_test8")
int test8(__u64 *ctx)
{
	struct bpf_fentry_test_t *arg = (void *)ctx[0];

	/* what lies at a typed pointer may be read */
	if (arg->a == 0 && (int)ctx[1] == 0)
		test8_result = 1;
	return 0;
}

__u64 test9_result = 0;
SEC("fexit/bpf_fentry_test9")
int test9(__u64 *ctx)
{
	/* a pointer to a plain integer is a number to the verifier */
	if (ctx[0] && (__u32)ctx[1] == 0)
		test9_result = 1;
	return 0;
}
