// SPDX-License-Identifier: GPL-2.0-only
/* Dynptrs of map values, ring buffers and packets: what they read, write and refuse. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

extern bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, char[256]);
} array SEC(".maps");

#define EINVAL 22
#define E2BIG 7
#define ERANGE 34

/* the line of the first check that failed */
int err = 0;
__u32 size = 0;
int freed = 0;

#define CHECK(cond)                                                                                 \
	({                                                                                          \
		bool __ok = (cond);                                                                 \
		if (!__ok && !err)                                                                  \
			err = __LINE__;                                                             \
		__ok;                                                                               \
	})

SEC("syscall")
int read_write(void *ctx)
{
	char data[16] = "hello there you";
	char back[16] = {};
	struct bpf_dynptr ptr;

	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, sizeof(data), 0, &ptr) == 0);
	CHECK(bpf_dynptr_write(&ptr, 0, data, sizeof(data), 0) == 0);
	CHECK(bpf_dynptr_read(back, sizeof(back), &ptr, 0, 0) == 0);
	CHECK(bpf_strncmp(back, sizeof(back), "hello there you") == 0);
	CHECK(bpf_dynptr_read(back, 5, &ptr, 6, 0) == 0);
	CHECK(back[0] == 't' && back[4] == 'e');
	/* up to the end, and one byte beyond */
	CHECK(bpf_dynptr_read(back, 4, &ptr, 12, 0) == 0);
	CHECK(bpf_dynptr_read(back, 5, &ptr, 12, 0) == -E2BIG);
	CHECK(bpf_dynptr_write(&ptr, 13, data, 4, 0) == -E2BIG);
	CHECK(bpf_dynptr_read(back, 1, &ptr, 0xffffffff, 0) == -E2BIG);
	CHECK(bpf_dynptr_read(back, 1, &ptr, 0, 1) == -EINVAL);
	CHECK(bpf_dynptr_write(&ptr, 0, data, 1, 1) == -EINVAL);
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	return 0;
}

SEC("syscall")
int data(void *ctx)
{
	struct bpf_dynptr ptr;
	__u32 key = 0;
	char *value, *slice, c = 0;

	value = bpf_map_lookup_elem(&array, &key);
	if (!CHECK(value))
		return 0;
	CHECK(bpf_dynptr_from_mem(value, 200, 0, &ptr) == 0);
	CHECK(!bpf_dynptr_is_null(&ptr) && !bpf_dynptr_is_rdonly(&ptr));
	CHECK(bpf_dynptr_size(&ptr) == 200);
	slice = bpf_dynptr_data(&ptr, 100, 50);
	if (!CHECK(slice))
		return 0;
	slice[7] = 42;
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 107, 0) == 0);
	CHECK(c == 42);
	CHECK(bpf_probe_read_kernel(&c, 1, slice + 7) == 0 && c == 42);
	CHECK(bpf_dynptr_data(&ptr, 150, 50) != NULL);
	CHECK(bpf_dynptr_data(&ptr, 151, 50) == NULL);
	CHECK(bpf_dynptr_from_mem(value, 200, 1, &ptr) == -EINVAL);
	CHECK(bpf_dynptr_is_null(&ptr));
	CHECK(bpf_dynptr_size(&ptr) == (__u32)-EINVAL);
	CHECK(bpf_dynptr_data(&ptr, 0, 1) == NULL);
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 0, 0) == -EINVAL);
	return 0;
}

struct rec {
	int pid;
	int seq;
	__u64 value;
};

SEC("syscall")
int ring(void *ctx)
{
	struct bpf_dynptr ptr;
	struct rec *rec;

	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, sizeof(*rec) + size, 0, &ptr) == 0);
	rec = bpf_dynptr_data(&ptr, 0, sizeof(*rec));
	if (CHECK(rec)) {
		rec->pid = bpf_get_current_pid_tgid() >> 32;
		rec->seq = 5;
		rec->value = size;
	}
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}

SEC("syscall")
int ring_refused(void *ctx)
{
	struct bpf_dynptr ptr;

	/* larger than a dynptr may be */
	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, 1 << 24, 0, &ptr) == -E2BIG);
	CHECK(bpf_dynptr_data(&ptr, 0, 1) == NULL);
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	/* larger than the ring */
	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, 4096, 0, &ptr) == -EINVAL);
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 4, &ptr) == -EINVAL);
	bpf_ringbuf_discard_dynptr(&ptr, 0);
	/* nothing of it was taken */
	CHECK(bpf_ringbuf_query(&ringbuf, BPF_RB_AVAIL_DATA) == 0);
	return 0;
}

SEC("syscall")
int adjust(void *ctx)
{
	struct bpf_dynptr ptr;
	char c = 0;

	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, 100, 0, &ptr) == 0);
	CHECK(bpf_dynptr_write(&ptr, 25, "x", 1, 0) == 0);
	CHECK(bpf_dynptr_adjust(&ptr, 101, 101) == -ERANGE);
	CHECK(bpf_dynptr_adjust(&ptr, 0, 101) == -ERANGE);
	CHECK(bpf_dynptr_adjust(&ptr, 2, 1) == -EINVAL);
	CHECK(bpf_dynptr_size(&ptr) == 100);
	/* 10 to 90, then 15 to 70 of that */
	CHECK(bpf_dynptr_adjust(&ptr, 10, 90) == 0);
	CHECK(bpf_dynptr_size(&ptr) == 80);
	CHECK(bpf_dynptr_adjust(&ptr, 15, 70) == 0);
	CHECK(bpf_dynptr_size(&ptr) == 55);
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 0, 0) == 0);
	CHECK(c == 'x');
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 55, 0) == -E2BIG);
	/* nothing left: no byte to read, none to read of it */
	CHECK(bpf_dynptr_adjust(&ptr, 55, 55) == 0);
	CHECK(bpf_dynptr_size(&ptr) == 0);
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 0, 0) == -E2BIG);
	CHECK(bpf_dynptr_write(&ptr, 0, &c, 1, 0) == -E2BIG);
	CHECK(bpf_dynptr_read(&c, 0, &ptr, 0, 0) == 0);
	CHECK(bpf_dynptr_write(&ptr, 0, &c, 0, 0) == 0);
	/* the record is still the whole one */
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return 0;
}

SEC("syscall")
int clone(void *ctx)
{
	struct bpf_dynptr ptr, copy;
	__u32 key = 0;
	char *value, c = 0;

	value = bpf_map_lookup_elem(&array, &key);
	if (!CHECK(value))
		return 0;
	CHECK(bpf_dynptr_from_mem(value, 100, 0, &ptr) == 0);
	CHECK(bpf_dynptr_adjust(&ptr, 10, 60) == 0);
	CHECK(bpf_dynptr_clone(&ptr, &copy) == 0);
	CHECK(bpf_dynptr_size(&copy) == 50);
	/* one memory, two views */
	CHECK(bpf_dynptr_adjust(&copy, 5, 6) == 0);
	CHECK(bpf_dynptr_size(&ptr) == 50);
	CHECK(bpf_dynptr_write(&copy, 0, "y", 1, 0) == 0);
	CHECK(bpf_dynptr_read(&c, 1, &ptr, 5, 0) == 0);
	CHECK(c == 'y' && value[15] == 'y');
	return 0;
}

SEC("tc")
int skb(struct __sk_buff *ctx)
{
	char buf[8] = {}, *slice;
	struct bpf_dynptr ptr;

	CHECK(bpf_dynptr_from_skb(ctx, 1, &ptr) == -EINVAL);
	CHECK(bpf_dynptr_is_null(&ptr));
	CHECK(bpf_dynptr_from_skb(ctx, 0, &ptr) == 0);
	CHECK(bpf_dynptr_size(&ptr) == ctx->len);
	CHECK(!bpf_dynptr_is_rdonly(&ptr));
	/* byte i of the packet is i */
	CHECK(bpf_dynptr_read(buf, 8, &ptr, 20, 0) == 0);
	CHECK(buf[0] == 20 && buf[7] == 27);
	CHECK(bpf_dynptr_read(buf, 8, &ptr, ctx->len - 7, 0) == -E2BIG);
	slice = bpf_dynptr_slice(&ptr, 30, buf, 8);
	CHECK(slice && slice[0] == 30);
	/* no plain pointers into packets */
	CHECK(bpf_dynptr_data(&ptr, 0, 1) == NULL);
	CHECK(bpf_dynptr_write(&ptr, 40, "ab", 2, 0) == 0);
	slice = bpf_dynptr_slice_rdwr(&ptr, 40, buf, 8);
	if (CHECK(slice)) {
		CHECK(slice[0] == 'a' && slice[1] == 'b' && slice[2] == 42);
		slice[2] = 'c';
	}
	CHECK(bpf_dynptr_adjust(&ptr, 42, 44) == 0);
	CHECK(bpf_dynptr_read(buf, 2, &ptr, 0, 0) == 0);
	CHECK(buf[0] == 'c' && buf[1] == 43);
	return 0;
}

SEC("cgroup_skb/egress")
int skb_rdonly(struct __sk_buff *ctx)
{
	struct bpf_dynptr ptr;
	char buf[2] = {}, *slice;

	CHECK(bpf_dynptr_from_skb(ctx, 0, &ptr) == 0);
	CHECK(bpf_dynptr_is_rdonly(&ptr));
	CHECK(bpf_dynptr_write(&ptr, 0, buf, 2, 0) == -EINVAL);
	CHECK(bpf_dynptr_read(buf, 2, &ptr, 0, 0) == 0);
	slice = bpf_dynptr_slice(&ptr, 1, buf, 2);
	CHECK(slice != NULL);
	CHECK(bpf_dynptr_slice(&ptr, ctx->len - 1, buf, 2) == NULL);
	return 1;
}

/* without a buffer a slice is a pointer into the packet, or none */
SEC("cgroup_skb/egress")
int skb_no_buffer(struct __sk_buff *ctx)
{
	struct bpf_dynptr ptr;
	char *slice;

	CHECK(bpf_dynptr_from_skb(ctx, 0, &ptr) == 0);
	slice = bpf_dynptr_slice(&ptr, 0, NULL, 10);
	if (CHECK(slice))
		CHECK(bpf_strncmp(slice, 10, "foo") != 0);
	CHECK(bpf_dynptr_slice(&ptr, ctx->len, NULL, 1) == NULL);
	return 1;
}

struct sk_buff;

/* the packet of another program's run, as it is freed */
SEC("tp_btf/kfree_skb")
int skb_freed(__u64 *ctx)
{
	struct sk_buff *skb = (void *)ctx[0];
	struct bpf_dynptr ptr;
	char byte = 0;

	freed++;
	CHECK(bpf_dynptr_from_skb((void *)skb, 0, &ptr) == 0);
	CHECK(bpf_dynptr_is_rdonly(&ptr));
	CHECK(bpf_dynptr_write(&ptr, 0, &byte, 1, 0) == -EINVAL);
	return 0;
}

SEC("xdp")
int xdp_packet(struct xdp_md *ctx)
{
	char buf[8] = {}, *slice;
	struct bpf_dynptr ptr;

	CHECK(bpf_dynptr_from_xdp(ctx, 1, &ptr) == -EINVAL);
	CHECK(bpf_dynptr_from_xdp(ctx, 0, &ptr) == 0);
	CHECK(bpf_dynptr_size(&ptr) == ctx->data_end - ctx->data);
	CHECK(bpf_dynptr_read(buf, 8, &ptr, 20, 0) == 0);
	CHECK(buf[0] == 20 && buf[7] == 27);
	CHECK(bpf_dynptr_write(&ptr, 40, "ab", 2, 0) == 0);
	CHECK(bpf_dynptr_write(&ptr, 40, "ab", 2, 1) == -EINVAL);
	slice = bpf_dynptr_slice_rdwr(&ptr, 40, buf, 8);
	if (CHECK(slice)) {
		CHECK(slice[0] == 'a' && slice[2] == 42);
		slice[2] = 'c';
	}
	CHECK(bpf_dynptr_slice(&ptr, bpf_dynptr_size(&ptr) - 1, buf, 2) == NULL);
	return XDP_PASS;
}
