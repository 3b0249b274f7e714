// SPDX-License-Identifier: GPL-2.0-only
/* Half of a program: linked_1.c is the other. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct shared { int a; long b; };
struct hidden_there { int x; };

static volatile int own = 200;
static __noinline int helper(int x) { return x + 2 * own; }

int seen_2 = 0;
int there_bss = 0;
const long there_rodata = 40000;
struct shared there_struct = { .a = 1, .b = 500000 };
extern int there_data;

int from_2(int x, struct hidden_there *p) { return helper(x) + (p ? p->x : 0); }
/* Strong, so this one it is. */
int both(int x) { return x + 7000000; }
extern int from_1(int x);

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, int);
	__type(value, struct shared);
	__uint(max_entries, 16);
} counts __attribute__((section(".maps")));

extern unsigned LINUX_KERNEL_VERSION __kconfig;

SEC("tc")
int prog_2(void *ctx)
{
	int key = 1;
	struct shared *v = bpf_map_lookup_elem(&counts, &key);

	seen_2 = helper(1) + (LINUX_KERNEL_VERSION > 0);
	return v ? v->a + from_1(3) + there_data + there_bss : -1;
}
