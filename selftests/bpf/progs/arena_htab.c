// SPDX-License-Identifier: GPL-2.0-only
/* A hash table in the arena, which programs and user space both fill and search. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 100);
} arena SEC(".maps");

ARENA_ALLOCATOR(arena)

struct elem {
	struct elem __arena *next;
	int key;
	int value;
};

struct htab {
	struct elem __arena *__arena *buckets;
	int n_buckets;
};

struct htab __arena *htab_for_user;
int zero;

int lookup_key;
int lookup_value;

static __u32 hash(__u32 key)
{
	return key * 0x9e3779b1u;
}

static struct elem __arena *find(struct htab __arena *htab, int key)
{
	__u32 b = hash(key) & (htab->n_buckets - 1);
	struct elem __arena *e;

	for (e = htab->buckets[b]; e && can_loop; e = e->next)
		if (e->key == key)
			return e;
	return NULL;
}

static int update(struct htab __arena *htab, int key, int value)
{
	struct elem __arena *e = find(htab, key);
	__u32 b;

	if (e) {
		e->value = value;
		return 0;
	}
	e = heap_alloc(sizeof(*e));
	if (!e)
		return -12;
	b = hash(key) & (htab->n_buckets - 1);
	e->key = key;
	e->value = value;
	e->next = htab->buckets[b];
	htab->buckets[b] = e;
	return 0;
}

SEC("syscall")
int arena_htab(void *ctx)
{
	struct htab __arena *htab;
	__u64 i;

	htab = heap_alloc(sizeof(*htab));
	if (!htab)
		return 1;
	/* a page of buckets, as a table of its own */
	htab->buckets = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	if (!htab->buckets)
		return 2;
	htab->n_buckets = ARENA_PAGE / sizeof(*htab->buckets);
	for (i = zero; i < 1000 && can_loop; i++)
		if (update(htab, i, i))
			return 3;
	/* every fourth gets another value */
	for (i = zero; i < 1000 && can_loop; i += 4)
		if (update(htab, i, i + 1000000))
			return 4;
	htab_for_user = htab;
	return 0;
}

/* Look up what user space may have put there. */
SEC("syscall")
int arena_lookup(void *ctx)
{
	struct elem __arena *e;

	uses_arena(arena);
	if (!htab_for_user)
		return 1;
	e = find(htab_for_user, lookup_key);
	if (!e)
		return 2;
	lookup_value = e->value;
	return 0;
}

/* The same on behalf of a packet: its first four bytes are the key, the answer goes over them. */
SEC("xdp")
int arena_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct elem __arena *e;
	int *key = data;

	uses_arena(arena);
	if (data + 4 > end || !htab_for_user)
		return XDP_ABORTED;
	e = find(htab_for_user, *key);
	if (!e)
		return XDP_DROP;
	*key = e->value;
	return XDP_TX;
}
