// SPDX-License-Identifier: GPL-2.0-only
/* One program of each kind for one function: as many as a trampoline takes. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

SEC("fentry/bpf_modify_return_test")
int fentry_test(void *ctx)
{
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test")
int fmod_ret_test(void *ctx)
{
	return 0;
}

SEC("fexit/bpf_modify_return_test")
int fexit_test(void *ctx)
{
	return 0;
}
