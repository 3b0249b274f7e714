// SPDX-License-Identifier: GPL-2.0-only
/* Global variables must fit the arena. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
} arena SEC(".maps");

char __arena large[2 * ARENA_PAGE + 1] = {1};

SEC("syscall")
int prog(void *ctx)
{
	return large[0];
}
