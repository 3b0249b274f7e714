// SPDX-License-Identifier: GPL-2.0-only
/* What libbpf has to do for an object: subprograms, externs, CO-RE, maps of maps, data. */
#include "bpf_helpers.h"

#define __preserve __attribute__((preserve_access_index))

struct inner_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner_map);
} outer SEC(".maps") = {
	.values = { [0] = &first, [2] = &second },
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 5000);
} rb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 7);
	__uint(key_size, 12);
	__uint(value_size, 20);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(numa_node, 1);
	__uint(map_extra, 9);
} sized SEC(".maps");

const volatile __u32 limit = 5;
__u64 counter;
__u32 initial = 77;
static __u32 quiet;

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern int CONFIG_HZ __kconfig __weak;
extern int CONFIG_NOT_THERE __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[8] __kconfig __weak;
extern const void some_symbol __ksym;
extern const void missing_symbol __ksym __weak;
extern int known_kfunc(int x) __ksym;
extern int missing_kfunc(int x) __ksym __weak;

/* The kernel's has `pid` further back, and no `gone`. */
struct task___here {
	int pid;
	int flags;
} __preserve;

struct task___old {
	int gone;
} __preserve;

enum color___here {
	RED___here,
	GREEN___here,
};

static __noinline int leaf(int x)
{
	barrier_var(x);
	return x + initial;
}

__noinline int middle(int x)
{
	quiet++;
	return leaf(x) + leaf(x + 1);
}

__hidden __noinline int hidden(int x)
{
	barrier_var(x);
	return middle(x) * 3;
}

static long callback(__u32 i, void *ctx)
{
	counter += leaf(i);
	return 0;
}

SEC("raw_tp/sys_enter")
int calls(void *ctx)
{
	return hidden(limit) + leaf(1) + middle(2);
}

SEC("?tc")
int callbacks(struct __sk_buff *skb)
{
	bpf_loop(3, callback, NULL, 0);
	return 0;
}

SEC("?syscall")
int externs(void *ctx)
{
	if (CONFIG_BPF_SYSCALL && CONFIG_HZ > 100 && !CONFIG_NOT_THERE && CONFIG_DEFAULT_HOSTNAME[0])
		counter += LINUX_KERNEL_VERSION;
	counter += (__u64)&some_symbol;
	if (&missing_symbol)
		counter++;
	counter += known_kfunc(1);
	if (missing_kfunc)
		counter += missing_kfunc(2);
	return 0;
}

SEC("?raw_tp")
int core(struct task___here *t)
{
	return t->pid + t->flags + __builtin_preserve_enum_value(*(enum color___here *)GREEN___here, 1);
}

SEC("?raw_tp")
int core_gone(struct task___old *t)
{
	return t->gone;
}

SEC("?xdp.frags")
int uses_maps(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 *v;
	void *inner = bpf_map_lookup_elem(&outer, &key);

	if (inner)
		return XDP_DROP;
	v = bpf_map_lookup_elem(&first, &key);
	return v ? XDP_PASS : XDP_TX;
}

char LICENSE[] SEC("license") = "GPL";
