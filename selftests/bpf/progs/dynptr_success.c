// SPDX-License-Identifier: GPL-2.0-only
/* What dynptrs do from a tracepoint and on packets, under the names upstream gives it. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

extern bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ringbuf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } array_map SEC(".maps");

#define EINVAL 22
#define E2BIG 7
#define ERANGE 34

int pid = 0;
/* the line of the first check that failed */
int err = 0;
int checks = 0;

#define CHECK(cond)                                                                                \
	({                                                                                         \
		bool __ok = (cond);                                                                \
		checks++;                                                                          \
		if (!__ok && !err)                                                                 \
			err = __LINE__;                                                            \
		__ok;                                                                              \
	})
#define ON_SLEEP SEC("?tp/syscalls/sys_enter_nanosleep")
#define ON_PACKET SEC("?cgroup_skb/egress")
#define ONLY_MINE() if (bpf_get_current_pid_tgid() >> 32 != pid) return 0
#define RESERVE(p, n) bpf_ringbuf_reserve_dynptr(&ringbuf, n, 0, &(p))
#define DISCARD(p) bpf_ringbuf_discard_dynptr(&(p), 0)

ON_SLEEP int test_read_write(void *ctx)
{
	char out[64] = "a text that goes into the ring and comes back", in[64] = {};
	struct bpf_dynptr p;
	int i;

	ONLY_MINE();
	RESERVE(p, sizeof(out));
	CHECK(bpf_dynptr_write(&p, 0, out, sizeof(out), 0) == 0);
	CHECK(bpf_dynptr_read(in, sizeof(in), &p, 0, 0) == 0);
	for (i = 0; i < sizeof(in); i++)
		CHECK(in[i] == out[i]);
	DISCARD(p);
	return 0;
}

ON_SLEEP int test_dynptr_data(void *ctx)
{
	__u32 key = 0, value = 235, *v, *data;
	struct bpf_dynptr p;

	ONLY_MINE();
	bpf_map_update_elem(&array_map, &key, &value, 0);
	v = bpf_map_lookup_elem(&array_map, &key);
	if (!CHECK(v))
		return 0;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, &p);
	CHECK(!bpf_dynptr_data(&p, sizeof(*v) + 1, 1));
	CHECK(!bpf_dynptr_data(&p, 0, sizeof(*v) + 1));
	data = bpf_dynptr_data(&p, 0, sizeof(*v));
	if (!CHECK(data))
		return 0;
	CHECK(*data == 235);
	*data = 999;
	CHECK(bpf_probe_read_kernel(&value, sizeof(value), data) == 0);
	CHECK(value == 999);
	return 0;
}

static int adds(__u32 i, void *ptr)
{
	int *n = bpf_dynptr_data(ptr, 0, sizeof(*n));

	if (CHECK(n))
		*n += i;
	return 0;
}

int size = 100;
ON_SLEEP int test_ringbuf(void *ctx)
{
	struct bpf_dynptr p;
	int *n;

	ONLY_MINE();
	CHECK(RESERVE(p, size) == 0);
	n = bpf_dynptr_data(&p, 0, sizeof(*n));
	if (CHECK(n)) {
		*n = 10;
		bpf_loop(10, adds, &p, 0);
		CHECK(*n == 55);
	}
	DISCARD(p);
	return 0;
}

ON_SLEEP int test_adjust(void *ctx)
{
	struct bpf_dynptr p;

	ONLY_MINE();
	CHECK(RESERVE(p, 64) == 0);
	CHECK(bpf_dynptr_size(&p) == 64);
	CHECK(bpf_dynptr_adjust(&p, 10, bpf_dynptr_size(&p)) == 0);
	CHECK(bpf_dynptr_size(&p) == 54);
	CHECK(bpf_dynptr_adjust(&p, 10, 15) == 0);
	CHECK(bpf_dynptr_size(&p) == 5);
	DISCARD(p);
	return 0;
}

ON_SLEEP int test_adjust_err(void *ctx)
{
	char data[45] = {};
	struct bpf_dynptr p;

	ONLY_MINE();
	CHECK(RESERVE(p, 64) == 0);
	CHECK(bpf_dynptr_adjust(&p, 5, 1) == -EINVAL);
	CHECK(bpf_dynptr_adjust(&p, 65, 65) == -ERANGE);
	CHECK(bpf_dynptr_adjust(&p, 0, 65) == -ERANGE);
	CHECK(bpf_dynptr_adjust(&p, 20, 64) == 0);
	CHECK(bpf_dynptr_write(&p, 0, data, sizeof(data), 0) == -E2BIG);
	CHECK(bpf_dynptr_write(&p, 0, data, 44, 0) == 0);
	bpf_ringbuf_submit_dynptr(&p, 0);
	return 0;
}

ON_SLEEP int test_zero_size_dynptr(void *ctx)
{
	struct bpf_dynptr p;
	char c = 'x';

	ONLY_MINE();
	CHECK(RESERVE(p, 64) == 0);
	CHECK(bpf_dynptr_adjust(&p, 64, 64) == 0);
	CHECK(bpf_dynptr_read(&c, 1, &p, 0, 0) == -E2BIG);
	CHECK(bpf_dynptr_write(&p, 0, &c, 1, 0) == -E2BIG);
	CHECK(bpf_dynptr_read(&c, 0, &p, 0, 0) == 0);
	CHECK(bpf_dynptr_write(&p, 0, &c, 0, 0) == 0);
	DISCARD(p);
	return 0;
}

ON_SLEEP int test_dynptr_is_null(void *ctx)
{
	struct bpf_dynptr none, some;

	ONLY_MINE();
	CHECK(bpf_ringbuf_reserve_dynptr(&ringbuf, 4, 123, &none) == -EINVAL);
	CHECK(bpf_dynptr_is_null(&none));
	CHECK(RESERVE(some, 4) == 0);
	CHECK(!bpf_dynptr_is_null(&some));
	DISCARD(some);
	DISCARD(none);
	return 0;
}

ON_PACKET int test_skb_readonly(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char data[2] = { 1, 2 };

	CHECK(bpf_dynptr_from_skb(skb, 0, &p) == 0);
	CHECK(bpf_dynptr_write(&p, 0, data, sizeof(data), 0) == -EINVAL);
	return 1;
}

/* only slices show a packet's bytes */
ON_PACKET int test_dynptr_skb_data(struct __sk_buff *skb)
{
	struct bpf_dynptr p;

	CHECK(bpf_dynptr_from_skb(skb, 0, &p) == 0);
	CHECK(!bpf_dynptr_data(&p, 0, 1));
	return 1;
}

ON_PACKET int test_dynptr_is_rdonly(struct __sk_buff *skb)
{
	struct bpf_dynptr none, packet, record;

	CHECK(bpf_dynptr_from_skb(skb, 123, &none) == -EINVAL);
	CHECK(!bpf_dynptr_is_rdonly(&none));
	CHECK(bpf_dynptr_from_skb(skb, 0, &packet) == 0);
	CHECK(bpf_dynptr_is_rdonly(&packet));
	CHECK(RESERVE(record, 64) == 0);
	CHECK(!bpf_dynptr_is_rdonly(&record));
	DISCARD(record);
	return 0;
}

ON_PACKET int test_dynptr_clone(struct __sk_buff *skb)
{
	struct bpf_dynptr p, copy;
	__u32 len;

	CHECK(bpf_dynptr_from_skb(skb, 0, &p) == 0);
	CHECK(bpf_dynptr_adjust(&p, 2, bpf_dynptr_size(&p)) == 0);
	len = bpf_dynptr_size(&p);
	CHECK(len == skb->len - 2);
	CHECK(bpf_dynptr_clone(&p, &copy) == 0);
	CHECK(bpf_dynptr_size(&copy) == len);
	CHECK(bpf_dynptr_is_rdonly(&copy));
	CHECK(bpf_dynptr_adjust(&p, 5, 5) == 0);
	CHECK(bpf_dynptr_size(&p) == 0);
	CHECK(bpf_dynptr_size(&copy) == len);
	return 0;
}

ON_PACKET int test_dynptr_skb_no_buff(struct __sk_buff *skb)
{
	struct bpf_dynptr p;

	CHECK(bpf_dynptr_from_skb(skb, 0, &p) == 0);
	return bpf_dynptr_slice(&p, 0, NULL, 1) != NULL;
}

ON_PACKET int test_dynptr_skb_strcmp(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char *data;

	CHECK(bpf_dynptr_from_skb(skb, 0, &p) == 0);
	data = bpf_dynptr_slice(&p, 0, NULL, 10);
	if (data)
		CHECK(bpf_strncmp(data, 10, "foo") != 0);
	return 1;
}

SEC("?tp_btf/kfree_skb")
int test_dynptr_skb_tp_btf(__u64 *ctx)
{
	struct bpf_dynptr p;
	char data[2] = { 1, 2 };

	CHECK(bpf_dynptr_from_skb((void *)ctx[0], 0, &p) == 0);
	CHECK(bpf_dynptr_write(&p, 0, data, sizeof(data), 0) == -EINVAL);
	return 1;
}
