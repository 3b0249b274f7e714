// SPDX-License-Identifier: GPL-2.0-only
/* An XDP program that swaps the addresses of Ethernet frames and counts verdicts. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

static __always_inline int count(__u32 verdict)
{
	__u64 *n = bpf_map_lookup_elem(&verdicts, &verdict);

	if (n)
		*n += 1;
	return verdict;
}

SEC("xdp")
int swap_macs(struct xdp_md *ctx)
{
	__u8 *data_end = (void *)(long)ctx->data_end;
	__u8 *data = (void *)(long)ctx->data;
	int i;

	if (data + 14 > data_end)
		return count(XDP_DROP);
	if (data[12] != 0x08 || data[13] != 0x00)
		return count(XDP_PASS);
	for (i = 0; i < 6; i++) {
		__u8 t = data[i];

		data[i] = data[6 + i];
		data[6 + i] = t;
	}
	return count(XDP_TX);
}
