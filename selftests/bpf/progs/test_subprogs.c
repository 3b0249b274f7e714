// SPDX-License-Identifier: GPL-2.0-only
/* Calls between functions: static and global ones, deep and shared. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

__noinline int sub1(int x)
{
	int key = 0;

	bpf_map_lookup_elem(&array, &key);
	return x + 1;
}

static __noinline int sub5(int v);

__noinline int sub2(int y)
{
	return sub5(y + 2);
}

static __noinline int sub3(int z)
{
	return z + 3 + sub1(4);
}

static __noinline int sub4(int w)
{
	int key = 0;

	bpf_map_lookup_elem(&array, &key);
	return w + sub3(5) + sub1(6);
}

/* sub5() is shared by sub2() and prog1 */
static __noinline int sub5(int v)
{
	return sub1(v) - 1;
}

__noinline int get_task_tgid(__u64 id)
{
	return id >> 32;
}

int res1 = 0;
int res2 = 0;
int res3 = 0;
int tgid = 0;

SEC("raw_tp/sys_enter")
int prog1(void *ctx)
{
	res1 = sub1(1) + sub3(2); /* (1 + 1) + (2 + 3 + (4 + 1)) = 12 */
	return 0;
}

SEC("raw_tp/sys_exit")
int prog2(void *ctx)
{
	res2 = sub2(3) + sub3(4); /* (3 + 2) + (4 + 3 + (4 + 1)) = 17 */
	return 0;
}

SEC("raw_tp/sys_enter")
int prog3(void *ctx)
{
	res3 = sub3(5) + sub4(6); /* (5 + 3 + 5) + (6 + (5 + 3 + 5) + (6 + 1)) = 39 */
	tgid = get_task_tgid(bpf_get_current_pid_tgid());
	return 0;
}
