// SPDX-License-Identifier: GPL-2.0-only
/* Hash, LRU, per-CPU, queue and stack maps worked by a program; the results lie in globals. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct value {
	__u64 n;
	__u32 tag;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct value);
} hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct value);
} hash_noprealloc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} percpu_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 3);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 3);
	__type(value, __u32);
} stack SEC(".maps");

long update_errs[6] = {};
long delete_errs[2] = {};
__u64 hash_n = 0;
__u32 queue_out[3] = {};
__u32 stack_out[3] = {};
long queue_full = 0, queue_empty = 0, stack_peek = 0;

SEC("raw_tp/sys_enter")
int hash_ops(void *ctx)
{
	struct value v = { .n = 5, .tag = 0x11223344 }, *p;
	__u32 key = 1, other = 2;
	__u64 wide = 77, one = 1, *q;

	update_errs[0] = bpf_map_update_elem(&hash, &key, &v, BPF_EXIST);
	update_errs[1] = bpf_map_update_elem(&hash, &key, &v, BPF_NOEXIST);
	update_errs[2] = bpf_map_update_elem(&hash, &key, &v, BPF_NOEXIST);
	p = bpf_map_lookup_elem(&hash, &key);
	if (p) {
		p->n += 10;
		hash_n = p->n;
	}
	update_errs[3] = bpf_map_update_elem(&hash_noprealloc, &wide, &v, BPF_ANY);
	delete_errs[0] = bpf_map_delete_elem(&hash, &other);
	delete_errs[1] = bpf_map_delete_elem(&hash_noprealloc, &wide);
	update_errs[4] = bpf_map_update_elem(&percpu_hash, &key, &one, BPF_ANY);
	q = bpf_map_lookup_elem(&percpu_hash, &key);
	if (q)
		*q += 41;
	return 0;
}

SEC("raw_tp/sys_enter")
int queue_stack_ops(void *ctx)
{
	__u32 v;
	int i;

	for (i = 0; i < 3; i++) {
		v = 100 + i;
		bpf_map_push_elem(&queue, &v, 0);
		bpf_map_push_elem(&stack, &v, 0);
	}
	v = 0;
	queue_full = bpf_map_push_elem(&queue, &v, 0);
	stack_peek = bpf_map_peek_elem(&stack, &v);
	for (i = 0; i < 3; i++) {
		if (bpf_map_pop_elem(&queue, &v) == 0)
			queue_out[i] = v;
		if (bpf_map_pop_elem(&stack, &v) == 0)
			stack_out[i] = v;
	}
	queue_empty = bpf_map_pop_elem(&queue, &v);
	return 0;
}
