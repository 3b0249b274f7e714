// SPDX-License-Identifier: GPL-2.0-only
/* Global variables of an arena in an object without any map. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

int __arena variable = 1;

SEC("syscall")
int prog(void *ctx)
{
	return variable;
}
