// SPDX-License-Identifier: GPL-2.0-only
/* What fexit_bpf2bpf.c attaches to. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";


__noinline int sub(struct __sk_buff *skb, int x)
{
	volatile int y = x;

	return y + 5;
}

SEC("tc")
int main_prog(struct __sk_buff *skb)
{
	return sub(skb, 7) + 1;
}
