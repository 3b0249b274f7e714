// SPDX-License-Identifier: GPL-2.0-only
/* A program that makes bpf(2) calls: loads types, a map, a program; fills an outer map; and sleeps on a page. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

static long (*const bpf_sys_bpf)(__u32 cmd, void *attr, __u32 attr_size) = (void *)166;
static long (*const bpf_sys_close)(__u32 fd) = (void *)168;
static long (*const bpf_copy_from_user)(void *dst, __u32 size, const void *user_ptr) = (void *)148;

enum { MAP_CREATE = 0, MAP_UPDATE_ELEM = 2, MAP_DELETE_ELEM = 3, PROG_LOAD = 5, MAP_GET_FD_BY_ID = 14, BTF_LOAD = 18 };

struct args {
	__u64 log_buf;
	__u32 log_size;
	int max_entries;
	int map_fd;
	int prog_fd;
	int btf_fd;
};

struct attr { __u64 words[18]; };
#define U32(a, at) (*(__u32 *)((char *)(a) + (at)))
#define U64(a, at) (*(__u64 *)((char *)(a) + (at)))
#define PTR(p) ((__u64)(unsigned long)(p))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct attr);
} attrs SEC(".maps");

struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } inner_map SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
	__array(values, struct inner);
} outer_array_map SEC(".maps") = { .values = { &inner_map } };

struct bpf_map { int id; } __attribute__((preserve_access_index));

/* header, `long` and `unsigned long`, an empty string */
static __u32 btf[] = {
	0x0001eb9f, 24, 0, 32, 32, 1,
	0, 1 << 24, 8, (1 << 24) | 64,
	0, 1 << 24, 8, 64,
	0,
};
/* a lookup of 0 in the map, whose descriptor goes into insns[6..7], then: return 0 */
static __u64 insns[] = {
	0x00000000fff80a7aULL, 0x000000000000a2bfULL, 0xfffffff800000207ULL,
	0x0000000000001118ULL, 0, 0x0000000100000085ULL, 0x00000000000000b7ULL, 0x95,
};
static char gpl[] = "GPL";
static struct attr attr;
static __u64 key = 12, value = 34;

static __always_inline void clear(struct attr *a)
{
	int i;

	for (i = 0; i < 18; i++)
		a->words[i] = 0;
}

SEC("syscall")
int load_prog(struct args *ctx)
{
	int fd;

	clear(&attr);
	U64(&attr, 0) = PTR(btf);
	U32(&attr, 16) = 24 + 32 + 1;
	fd = bpf_sys_bpf(BTF_LOAD, &attr, sizeof(attr));
	if (fd <= 0)
		return fd;
	ctx->btf_fd = fd;

	clear(&attr);
	U32(&attr, 0) = BPF_MAP_TYPE_HASH;
	U32(&attr, 4) = 8;
	U32(&attr, 8) = 8;
	U32(&attr, 12) = ctx->max_entries;
	U32(&attr, 48) = fd;
	U32(&attr, 52) = 1;
	U32(&attr, 56) = 2;
	fd = bpf_sys_bpf(MAP_CREATE, &attr, sizeof(attr));
	if (fd <= 0)
		return fd;
	ctx->map_fd = fd;
	insns[3] = 0x1118 | ((__u64)fd << 32);

	clear(&attr);
	U32(&attr, 0) = fd;
	U64(&attr, 8) = PTR(&key);
	U64(&attr, 16) = PTR(&value);
	fd = bpf_sys_bpf(MAP_UPDATE_ELEM, &attr, sizeof(attr));
	if (fd < 0)
		return fd;

	clear(&attr);
	U32(&attr, 0) = 6; /* BPF_PROG_TYPE_XDP */
	U32(&attr, 4) = sizeof(insns) / 8;
	U64(&attr, 8) = PTR(insns);
	U64(&attr, 16) = PTR(gpl);
	U32(&attr, 24) = 1;
	U32(&attr, 28) = ctx->log_size;
	U64(&attr, 32) = ctx->log_buf;
	fd = bpf_sys_bpf(PROG_LOAD, &attr, sizeof(attr));
	if (fd <= 0)
		return fd;
	ctx->prog_fd = fd;
	return 1;
}

SEC("syscall")
int update_outer_map(void *ctx)
{
	int zero = 0, outer = -1, fd = -1, ret = 0;
	struct attr *a;

	a = bpf_map_lookup_elem(&attrs, &zero);
	if (!a)
		return 0;
	clear(a);
	U32(a, 0) = ((struct bpf_map *)&outer_array_map)->id;
	outer = bpf_sys_bpf(MAP_GET_FD_BY_ID, a, sizeof(*a));
	if (outer < 0)
		return outer;

	clear(a);
	U32(a, 0) = BPF_MAP_TYPE_ARRAY;
	U32(a, 4) = 4;
	U32(a, 8) = 4;
	U32(a, 12) = 1;
	fd = bpf_sys_bpf(MAP_CREATE, a, sizeof(*a));
	if (fd >= 0) {
		clear(a);
		U32(a, 0) = outer;
		U64(a, 8) = PTR(&zero);
		U64(a, 16) = PTR(&fd);
		ret = bpf_sys_bpf(MAP_UPDATE_ELEM, a, sizeof(*a)) == 0;
		clear(a);
		U32(a, 0) = outer;
		U64(a, 8) = PTR(&zero);
		ret = ret && bpf_sys_bpf(MAP_DELETE_ELEM, a, sizeof(*a)) == 0;
		bpf_sys_close(fd);
	}
	bpf_sys_close(outer);
	return ret;
}

/* reads a word of the caller's memory, which may have to be brought in; the context comes back changed */
SEC("syscall")
int copies(struct args *ctx)
{
	int word = 0, err;

	err = bpf_copy_from_user(&word, sizeof(word), (void *)ctx->log_buf);
	ctx->max_entries = word;
	return err;
}
