// SPDX-License-Identifier: GPL-2.0-only
/* Tail calls: through the array, past empty slots, and up to the limit. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u32);
} jmp_table SEC(".maps");

int count = 0;
int which = 0;

SEC("tc")
int classifier_0(struct __sk_buff *skb)
{
	count++;
	bpf_tail_call(skb, &jmp_table, 0);
	return 1;
}

SEC("tc")
int classifier_1(struct __sk_buff *skb)
{
	return skb->len * 2;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	/* a constant slot: the JIT makes a direct jump of it */
	bpf_tail_call(skb, &jmp_table, 0);
	return 3;
}

SEC("tc")
int entry_var(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jmp_table, which);
	return 4;
}
