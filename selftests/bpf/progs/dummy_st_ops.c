// SPDX-License-Identifier: GPL-2.0-only
/* Programs of bpf_dummy_ops, which only test runs call. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct bpf_dummy_ops_state { int val; } __attribute__((preserve_access_index));
struct bpf_dummy_ops {
	int (*test_1)(struct bpf_dummy_ops_state *);
	int (*test_2)(struct bpf_dummy_ops_state *, int, unsigned short, char, unsigned long);
	int (*test_sleepable)(struct bpf_dummy_ops_state *);
};

__u64 args[5] = {};

SEC("struct_ops")
int test_1(__u64 *ctx)
{
	struct bpf_dummy_ops_state *state = (void *)ctx[0];
	int was;

	if (!state)
		return 0x12345;
	was = state->val;
	state->val = 90;
	return was;
}

SEC("struct_ops")
int test_2(__u64 *ctx)
{
	struct bpf_dummy_ops_state *state = (void *)ctx[0];

	args[0] = state->val;
	args[1] = ctx[1];
	args[2] = ctx[2];
	args[3] = ctx[3];
	args[4] = ctx[4];
	return 0;
}

SEC("struct_ops.s")
int test_sleepable(__u64 *ctx)
{
	return 5;
}

SEC(".struct_ops")
struct bpf_dummy_ops dummy = {
	.test_1 = (void *)test_1,
	.test_2 = (void *)test_2,
	.test_sleepable = (void *)test_sleepable,
};
