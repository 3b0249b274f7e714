// SPDX-License-Identifier: GPL-2.0-only
/* Producers and consumers of ring buffers that bpf-mirror explore interleaves. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} user_ring SEC(".maps");

/* 2040: no other record fits beside it */
const volatile __u32 rec_size = 16;

/* what the drains saw */
__u64 drained = 0;
__u64 drained_sum = 0;

struct rec {
	__u64 tag;
	__u64 check;
};

static __always_inline void fill(struct rec *r)
{
	r->tag = bpf_get_current_pid_tgid();
	r->check = ~r->tag;
}

SEC("raw_tp/sys_enter")
int produce(void *ctx)
{
	struct rec *r = bpf_ringbuf_reserve(&ring, rec_size, 0);

	if (!r)
		return 1;
	fill(r);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

/* who sleeps is not told */
SEC("raw_tp/sys_enter")
int silent(void *ctx)
{
	struct rec *r = bpf_ringbuf_reserve(&ring, rec_size, 0);

	if (!r)
		return 1;
	fill(r);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

/* the same program under another event */
SEC("raw_tp/sys_exit")
int interrupt(void *ctx)
{
	struct rec *r = bpf_ringbuf_reserve(&ring, rec_size, 0);

	if (!r)
		return 1;
	fill(r);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int nmi_event(void *ctx)
{
	struct rec *r = bpf_ringbuf_reserve(&ring, rec_size, 0);

	if (!r)
		return 1;
	fill(r);
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int output(void *ctx)
{
	struct rec r;

	fill(&r);
	return bpf_ringbuf_output(&ring, &r, sizeof(r), 0) ? 1 : 0;
}

SEC("raw_tp/sys_enter")
int discard(void *ctx)
{
	struct rec *r = bpf_ringbuf_reserve(&ring, rec_size, 0);

	if (!r)
		return 1;
	r->tag = 1;
	bpf_ringbuf_discard(r, 0);
	return 0;
}

/* the later of two is finished first */
SEC("raw_tp/sys_enter")
int reverse(void *ctx)
{
	struct rec *a, *b;

	a = bpf_ringbuf_reserve(&ring, sizeof(*a), 0);
	if (!a)
		return 2;
	b = bpf_ringbuf_reserve(&ring, sizeof(*b), 0);
	if (b) {
		fill(b);
		bpf_ringbuf_submit(b, 0);
	}
	fill(a);
	bpf_ringbuf_submit(a, 0);
	return b ? 0 : 1;
}

struct value {
	struct bpf_spin_lock lock;
	__u64 sum;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

/* what came of it */
__u64 locked_sum = 0;
__u64 atomic_sum = 0;
__u64 plain_sum = 0;

SEC("syscall")
int locked(void *ctx)
{
	__u32 key = 0;
	struct value *v = bpf_map_lookup_elem(&values, &key);

	if (!v)
		return 1;
	bpf_spin_lock(&v->lock);
	v->sum++;
	locked_sum = v->sum;
	bpf_spin_unlock(&v->lock);
	return 0;
}

SEC("syscall")
int atomic(void *ctx)
{
	__sync_fetch_and_add(&atomic_sum, 1);
	return 0;
}

/* loses one of two that come together */
SEC("syscall")
int plain(void *ctx)
{
	plain_sum++;
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} table SEC(".maps");

/* what the explorer cannot take back */
SEC("syscall")
int update(void *ctx)
{
	__u32 key = 1;

	return bpf_map_update_elem(&table, &key, &key, BPF_ANY);
}

static long take(struct bpf_dynptr *ptr, void *ctx)
{
	__u64 *v = bpf_dynptr_data(ptr, 0, 8);

	if (!v)
		return 1;
	__sync_fetch_and_add(&drained, 1);
	__sync_fetch_and_add(&drained_sum, *v);
	return 0;
}

SEC("raw_tp/sys_enter")
int drain(void *ctx)
{
	return bpf_user_ringbuf_drain(&user_ring, take, NULL, 0);
}
