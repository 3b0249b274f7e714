// SPDX-License-Identifier: GPL-2.0-only
/* Global variables need an arena to be in. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} array SEC(".maps");

int __arena variable = 1;

SEC("syscall")
int prog(void *ctx)
{
	return variable;
}
