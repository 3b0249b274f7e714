// SPDX-License-Identifier: GPL-2.0-only
/* The order of programs around a function, and a program that puts its own result in place of the function's. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

__s32 input_retval = 0;

static int sequence = 0;
static int sequence2 = 0;

__u64 fentry_result = 0;
SEC("fentry/bpf_modify_return_test")
int fentry_test(__u64 *ctx)
{
	sequence++;
	fentry_result = sequence == 1;
	return 0;
}

__u64 fmod_ret_result = 0;
SEC("fmod_ret/bpf_modify_return_test")
int fmod_ret_test(__u64 *ctx)
{
	int ret = (int)ctx[2];

	sequence++;
	/* nothing has returned anything yet */
	fmod_ret_result = sequence == 2 && ret == 0;
	return input_retval;
}

__u64 fexit_result = 0;
SEC("fexit/bpf_modify_return_test")
int fexit_test(__u64 *ctx)
{
	int ret = (int)ctx[2];

	sequence++;
	if (input_retval)
		fexit_result = sequence == 3 && ret == input_retval;
	else
		fexit_result = sequence == 3 && ret == 4;
	return 0;
}

__u64 fentry_result2 = 0;
SEC("fentry/bpf_modify_return_test2")
int fentry_test2(__u64 *ctx)
{
	sequence2++;
	/* the seventh argument is on the stack */
	fentry_result2 = sequence2 == 1 && (int)ctx[0] == 1 && (short)ctx[2] == 3 && (int)ctx[3] == 4 &&
			 ctx[4] == 5 && (char)ctx[5] == 6 && (int)ctx[6] == 7;
	return 0;
}

__u64 fmod_ret_result2 = 0;
SEC("fmod_ret/bpf_modify_return_test2")
int fmod_ret_test2(__u64 *ctx)
{
	int ret = (int)ctx[7];

	sequence2++;
	fmod_ret_result2 = sequence2 == 2 && ret == 0;
	return input_retval;
}

__u64 fexit_result2 = 0;
SEC("fexit/bpf_modify_return_test2")
int fexit_test2(__u64 *ctx)
{
	int ret = (int)ctx[7];

	sequence2++;
	if (input_retval)
		fexit_result2 = sequence2 == 3 && ret == input_retval;
	else
		fexit_result2 = sequence2 == 3 && ret == 29;
	return 0;
}
