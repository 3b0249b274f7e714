// SPDX-License-Identifier: GPL-2.0-only
/* libbpf takes one arena an object. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} first SEC(".maps"), second SEC(".maps");

SEC("syscall")
int prog(void *ctx)
{
	return 0;
}
