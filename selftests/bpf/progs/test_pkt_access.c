// SPDX-License-Identifier: GPL-2.0-only
/* Direct packet access by a tc program, and what a test run shows of it. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct ethhdr {
	__u8 dst[6];
	__u8 src[6];
	__u16 proto;
};

__u32 seen_proto = 0;
__u32 seen_len = 0;

SEC("tc")
int test_pkt_access(struct __sk_buff *skb)
{
	void *data_end = (void *)(long)skb->data_end;
	void *data = (void *)(long)skb->data;
	struct ethhdr *eth = data;

	seen_len = skb->len;
	if (eth + 1 > (struct ethhdr *)data_end)
		return 2;
	seen_proto = __builtin_bswap16(eth->proto);
	skb->cb[0] += 1;
	skb->priority = 6;
	skb->mark = 10;
	if (eth->proto == __builtin_bswap16(0x0800))
		return 0;
	return 1;
}
