// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use of an arena (1): a process keeps a key/value store in it, and this XDP program answers look-ups that come
 * as UDP packets, without waking the process.
 *
 * The process alone writes. A slot's sequence is odd while it does; a table is replaced by one store of a
 * pointer. What the program does not find, or finds being written, it leaves to the process (XDP_PASS).
 */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
} arena SEC(".maps");

#define VALUE_MAX 40

struct slot {
	__u64 key;
	__u32 seq;
	/* bytes of the value plus one; 0: never used, which ends a search; -1: deleted */
	__u32 state;
	__u8 value[VALUE_MAX];
	__u64 hits;
};

struct table {
	__u64 mask;
	struct slot __arena *slots;
};

/* In the arena's first page, where the process finds it. */
struct table __arena *__arena kv_table;
__u64 __arena kv_hits;
__u64 __arena kv_misses;
__u64 __arena kv_busy;

struct ethhdr {
	__u8 dst[6];
	__u8 src[6];
	__u16 proto;
} __attribute__((packed));

struct iphdr {
	__u8 version_ihl;
	__u8 tos;
	__u16 tot_len;
	__u16 id;
	__u16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__u32 saddr;
	__u32 daddr;
} __attribute__((packed));

struct udphdr {
	__u16 source;
	__u16 dest;
	__u16 len;
	__u16 check;
} __attribute__((packed));

struct request {
	__u32 magic;
	__u64 key;
} __attribute__((packed));

struct reply {
	struct request req;
	__u32 len;
	__u8 value[VALUE_MAX];
} __attribute__((packed));

struct query {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct request req;
} __attribute__((packed));

struct answer {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct reply rep;
} __attribute__((packed));

#define bswap16(v) __builtin_bswap16(v)
#define PORT 11222
#define KV_GET 0x5447564bu /* "KVGT" */
#define KV_OK 0x4b4f564bu  /* "KVOK" */

/* A value on its way from the arena to the packet. */
struct found {
	__u64 value[VALUE_MAX / 8];
	__u32 len;
};

static __noinline int find(__u64 key, struct found *out)
{
	struct table __arena *t = kv_table;
	struct slot __arena *s;
	__u64 i, at;
	__u32 seq, state, w;

	if (!t || !out)
		return -1;
	at = (key * 0x9e3779b97f4a7c15ull) >> 32;
	for (i = 0; i <= t->mask && can_loop; i++, at++) {
		s = &t->slots[at & t->mask];
		seq = *(volatile __u32 __arena *)&s->seq;
		state = *(volatile __u32 __arena *)&s->state;
		if (seq & 1)
			return -2;
		if (state == 0)
			return -1;
		if (state > VALUE_MAX + 1 || s->key != key)
			continue;
		for (w = 0; w < VALUE_MAX / 8; w++)
			out->value[w] = ((volatile __u64 __arena *)s->value)[w];
		out->len = state - 1;
		/* written meanwhile: what was copied may be half of each */
		if (*(volatile __u32 __arena *)&s->seq != seq)
			return -2;
		__sync_fetch_and_add(&s->hits, 1);
		return 0;
	}
	return -1;
}

static __always_inline __u16 ip_checksum(struct iphdr *ip)
{
	__u16 *w = (__u16 *)ip;
	__u32 sum = 0;
	int i;

	for (i = 0; i < 10; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static long (*const xdp_adjust_tail)(struct xdp_md *ctx, int delta) = (void *)65;

SEC("xdp")
int kv_lookup(struct xdp_md *ctx)
{
	struct query *q = (void *)(long)ctx->data;
	struct found f = {};
	struct answer *a;
	__u8 mac[6];
	__u32 addr;
	__u16 port;
	__u64 key;
	int err;

	if ((void *)(q + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (q->eth.proto != bswap16(0x0800) || q->ip.version_ihl != 0x45 || q->ip.protocol != 17)
		return XDP_PASS;
	if (q->udp.dest != bswap16(PORT) || q->req.magic != KV_GET)
		return XDP_PASS;
	key = q->req.key;
	err = find(key, &f);
	if (err) {
		__sync_fetch_and_add(err == -2 ? &kv_busy : &kv_misses, 1);
		return XDP_PASS;
	}
	__sync_fetch_and_add(&kv_hits, 1);

	if (xdp_adjust_tail(ctx, (int)(sizeof(*a) - (ctx->data_end - ctx->data))))
		return XDP_ABORTED;
	a = (void *)(long)ctx->data;
	if ((void *)(a + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	/* back to where it came from */
	__builtin_memcpy(mac, a->eth.dst, 6);
	__builtin_memcpy(a->eth.dst, a->eth.src, 6);
	__builtin_memcpy(a->eth.src, mac, 6);
	addr = a->ip.saddr;
	a->ip.saddr = a->ip.daddr;
	a->ip.daddr = addr;
	port = a->udp.source;
	a->udp.source = a->udp.dest;
	a->udp.dest = port;
	a->ip.tot_len = bswap16(sizeof(*a) - sizeof(a->eth));
	a->ip.check = 0;
	a->ip.check = ip_checksum(&a->ip);
	a->udp.len = bswap16(sizeof(a->udp) + sizeof(a->rep));
	a->udp.check = 0;
	a->rep.req.magic = KV_OK;
	a->rep.len = f.len;
	__builtin_memcpy(a->rep.value, f.value, VALUE_MAX);
	return XDP_TX;
}

/* Pages that the process does not need any more: it cannot give them back itself. */
__u64 release_addr;
__u32 release_pages;

SEC("syscall")
int kv_release(void *ctx)
{
	bpf_arena_free_pages(&arena, (void __arena *)release_addr, release_pages);
	return 0;
}
