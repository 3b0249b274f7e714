// SPDX-License-Identifier: GPL-2.0-only
/* Globals of every section: read and written by the program, seen by user space. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct foo {
	__u8 a;
	__u32 b;
	__u64 c;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 11);
	__type(key, __u32);
	__type(value, __u64);
} result_number SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	const char (*value)[32];
} result_string SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 5);
	__type(key, __u32);
	__type(value, struct foo);
} result_struct SEC(".maps");

volatile __u64 num0 = 0;
volatile __u32 num1 = 42;
const volatile __u64 num2 = 0xabcdef0123456789ULL;
static volatile __u64 num3 = 0;
static volatile __u16 num4 = 0xfedc;

static const char str0[32] = "read-only text";
static char str1[32] = "text that changes";
static char str2[32];

static const struct foo struct0 = { .a = 7, .b = 0x01020304, .c = 0x1122334455667788ULL };
static struct foo struct1 = { .a = 9, .b = 5, .c = 6 };
static struct foo struct2;

#define put(map, idx, var)							\
	do {									\
		__u32 key = idx;						\
		bpf_map_update_elem(&result_##map, &key, var, 0);		\
	} while (0)

SEC("tc")
int load_static_data(struct __sk_buff *skb)
{
	__u64 v;

	v = num0; put(number, 0, &v);
	v = num1; put(number, 1, &v);
	v = num2; put(number, 2, &v);
	num0 = 4321;
	v = num0; put(number, 3, &v);
	num1 += 8;
	v = num1; put(number, 4, &v);
	num3 = skb->len;
	v = num3; put(number, 5, &v);
	v = num4; put(number, 6, &v);
	num4 = 0x1234;
	v = num4; put(number, 7, &v);

	put(string, 0, str0);
	put(string, 1, str1);
	put(string, 2, str2);
	str1[5] = 'x';
	__builtin_memcpy(&str2[2], "hello", 6);
	put(string, 3, str1);
	put(string, 4, str2);

	put(struct, 0, &struct0);
	put(struct, 1, &struct1);
	put(struct, 2, &struct2);
	struct1.b = 16;
	put(struct, 3, &struct1);
	struct2.c = 1;
	put(struct, 4, &struct2);
	return 0;
}
