// SPDX-License-Identifier: GPL-2.0-only
/* Programs on functions of another program: before, after and instead of them. Targets: test_subprogs_target. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

__u64 entered = 0;
__u64 entry_arg = 0;
__u64 exit_arg = 0;
__u64 exit_ret = 0;

SEC("?fentry/sub")
int on_entry(__u64 *ctx)
{
	entered++;
	entry_arg = (__u32)ctx[1];
	return 0;
}

SEC("?fexit/sub")
int on_exit(__u64 *ctx)
{
	exit_arg = (__u32)ctx[1];
	exit_ret = (__u32)ctx[2];
	return 0;
}

SEC("?fexit/main_prog")
int on_main_exit(__u64 *ctx)
{
	exit_ret = (__u32)ctx[1];
	return 0;
}

SEC("?freplace/sub")
int instead(struct __sk_buff *skb, int x)
{
	return x * 100;
}
