// SPDX-License-Identifier: GPL-2.0-only
/* Half of a program: linked_2.c is the other. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct shared { int a; long b; };
struct hidden_there;

/* Here and there: another of the same name. */
static volatile int own = 100;
static __noinline int helper(int x) { return x + own; }

int seen_1 = 0;
int there_data __attribute__((visibility("default"))) = 5;
extern const long there_rodata;
extern int there_bss;
extern struct shared there_struct;

extern int from_2(int x, struct hidden_there *p);
__weak int both(int x) { return x + 1000; }
int from_1(int x) { return helper(x) + 1; }

/* Defined there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, int);
	__type(value, struct shared);
	__uint(max_entries, 16);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, long);
	__uint(max_entries, 1);
} only_1 SEC(".maps");

extern unsigned LINUX_KERNEL_VERSION __kconfig;

SEC("tc")
int prog_1(void *ctx)
{
	int key = 1;
	struct shared v = { .a = 11 };

	bpf_map_update_elem(&counts, &key, &v, 0);
	seen_1 = helper(1);
	there_bss = 77;
	return from_2(2, 0) + both(3) + there_data + there_rodata + there_struct.b + (LINUX_KERNEL_VERSION > 0);
}
