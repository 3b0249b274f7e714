// SPDX-License-Identifier: GPL-2.0-only
/* Functions that helpers call: bpf_loop() and bpf_for_each_map_elem(). */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} arraymap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, __u64);
} hashmap SEC(".maps");

struct loop_ctx {
	__u64 sum;
	__u32 stop;
};

__u32 nr_loops = 0;
__u32 stop_at = 0xffffffff;
__u64 loop_sum = 0;
long loop_ret = 0;
long array_ret = 0, hash_ret = 0;
__u64 array_sum = 0, hash_sum = 0;
__u64 flags = 0;

static int add_index(__u32 index, struct loop_ctx *c)
{
	if (index == c->stop)
		return 1;
	c->sum += index;
	return 0;
}

SEC("raw_tp/sys_enter")
int loop(void *ctx)
{
	struct loop_ctx c = { .sum = 0, .stop = stop_at };

	loop_ret = bpf_loop(nr_loops, add_index, &c, flags);
	loop_sum = c.sum;
	return 0;
}

static int add_array(void *map, __u32 *key, __u64 *val, __u64 *sum)
{
	*sum += *val;
	return 0;
}

static int add_until(void *map, __u32 *key, __u64 *val, __u64 *sum)
{
	*sum += *val;
	return *val == 3;
}

SEC("tc")
int for_each(struct __sk_buff *skb)
{
	__u64 sum = 0;

	array_ret = bpf_for_each_map_elem(&arraymap, add_array, &sum, 0);
	array_sum = sum;
	sum = 0;
	hash_ret = bpf_for_each_map_elem(&hashmap, add_array, &sum, 0);
	hash_sum = sum;
	sum = 0;
	array_ret = bpf_for_each_map_elem(&arraymap, add_until, &sum, 0);
	return 0;
}
