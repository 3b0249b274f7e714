// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use of an arena (3): a heap of the program's own. User space needs no pointers of it, so that
 * BPF_F_NO_USER_CONV saves the conversion at each store of one: what is stored is the low half of an address.
 *
 * An XDP program counts packets and bytes by source address. It cannot allocate pages, since that may sleep:
 * a program that can cuts pages into objects before. When there are no more, the flow that was longest quiet
 * makes room.
 */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

enum { BPF_F_NO_USER_CONV = 1 << 18 };

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE | BPF_F_NO_USER_CONV);
	__uint(max_entries, 64);
} arena SEC(".maps");

#define BUCKETS 256

struct flow {
	struct flow __arena *chain;
	struct flow __arena *newer;
	struct flow __arena *older;
	__u64 packets;
	__u64 bytes;
	__u32 src;
	__u32 pad[5];
};

/* A page begins with this; the rest of it is flows. An object at the very beginning of 4 GiB would be NULL. */
struct page {
	struct page __arena *next;
	__u64 pad[7];
};

/* In the arena too: a store through a pointer that may be to either is one that the verifier refuses. */
struct flow __arena *__arena bucket[BUCKETS];
struct page __arena *__arena pages;
struct flow __arena *__arena spare;
struct flow __arena *__arena newest;
struct flow __arena *__arena oldest;

__u64 live, evicted, dropped;

__u32 grow_by;
__u32 query_src;
__u64 query_packets, query_bytes;
__u32 zero;

/*
 * Pointers as this program holds them, and as they are stored. Each stored one is an instruction, which
 * BPF_F_NO_USER_CONV makes a move of 32 bits.
 */
#define flow_at(p) ((struct flow *)(p))
#define stored(p) ((typeof(*(p)) __arena *)(p))

static __u32 hash(__u32 src)
{
	return (src * 0x9e3779b1u) >> 24;
}

SEC("syscall")
int heap_grow(void *ctx)
{
	struct page *p;
	struct flow *f;
	__u32 i, n;

	for (n = zero; n < grow_by && can_loop; n++) {
		p = (struct page *)bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
		if (!p)
			return 1;
		p->next = pages;
		pages = stored(p);
		f = (struct flow *)(p + 1);
		for (i = zero; i < ARENA_PAGE / sizeof(*f) - 1 && can_loop; i++, f++) {
			f->chain = spare;
			spare = stored(f);
		}
	}
	return 0;
}

/* Everything goes back at once; nobody has to walk the flows. */
SEC("syscall")
int heap_drop(void *ctx)
{
	struct page __arena *p, *next;
	__u32 i;

	for (p = pages; p && can_loop; p = next) {
		next = p->next;
		bpf_arena_free_pages(&arena, p, 1);
	}
	pages = NULL;
	spare = NULL;
	newest = NULL;
	oldest = NULL;
	live = 0;
	for (i = zero; i < BUCKETS && can_loop; i++)
		bucket[i] = NULL;
	return 0;
}

static __noinline struct flow *find(__u32 src)
{
	struct flow *f;

	for (f = flow_at(bucket[hash(src)]); f && can_loop; f = flow_at(f->chain))
		if (f->src == src)
			break;
	return f;
}

static __noinline int lru_del(struct flow *f)
{
	struct flow *newer = flow_at(f->newer);
	struct flow *older = flow_at(f->older);

	if (newer)
		newer->older = stored(older);
	else
		newest = stored(older);
	if (older)
		older->newer = stored(newer);
	else
		oldest = stored(newer);
	return 0;
}

static __noinline int lru_add(struct flow *f)
{
	struct flow *first = flow_at(newest);

	f->newer = NULL;
	f->older = stored(first);
	if (first)
		first->newer = stored(f);
	else
		oldest = stored(f);
	newest = stored(f);
	return 0;
}

static __noinline int evict(void)
{
	struct flow *f = flow_at(oldest);
	struct flow *at;
	__u32 b;

	if (!f)
		return -1;
	lru_del(f);
	b = hash(f->src);
	at = flow_at(bucket[b]);
	if (at == f) {
		bucket[b] = f->chain;
	} else {
		while (at && flow_at(at->chain) != f && can_loop)
			at = flow_at(at->chain);
		if (at)
			at->chain = f->chain;
	}
	f->chain = spare;
	spare = stored(f);
	evicted++;
	live--;
	return 0;
}

SEC("xdp")
int heap_count(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	struct flow *f;
	__u32 src, b;

	uses_arena(arena);
	if (data + 34 > (__u8 *)(long)ctx->data_end)
		return XDP_PASS;
	src = *(__u32 *)(data + 26);
	f = find(src);
	if (f) {
		lru_del(f);
	} else {
		if (!spare && evict()) {
			dropped++;
			return XDP_PASS;
		}
		f = flow_at(spare);
		spare = f->chain;
		b = hash(src);
		f->src = src;
		f->packets = 0;
		f->bytes = 0;
		f->chain = bucket[b];
		bucket[b] = stored(f);
		live++;
	}
	f->packets++;
	f->bytes += ctx->data_end - ctx->data;
	lru_add(f);
	return XDP_PASS;
}

SEC("syscall")
int heap_query(void *ctx)
{
	struct flow *f;

	uses_arena(arena);
	f = find(query_src);
	query_packets = f ? f->packets : 0;
	query_bytes = f ? f->bytes : 0;
	return 0;
}
