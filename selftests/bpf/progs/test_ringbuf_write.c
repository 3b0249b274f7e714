// SPDX-License-Identifier: GPL-2.0-only
/* Two reservations that do not fit together, whatever user space says it has consumed. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#ifdef __TARGET_ARCH_arm64
#define SYS_PREFIX "__arm64_"
#else
#define SYS_PREFIX "__x64_"
#endif

#define THREE_QUARTERS 0x30000

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} ringbuf SEC(".maps");

int pid = 0;
long passed = 0;
long discarded = 0;

SEC("fentry/" SYS_PREFIX "sys_getpgid")
int overlap(void *ctx)
{
	char *first, *second;

	if ((int)(bpf_get_current_pid_tgid() >> 32) != pid)
		return 0;
	first = bpf_ringbuf_reserve(&ringbuf, THREE_QUARTERS, 0);
	if (!first)
		return 0;
	second = bpf_ringbuf_reserve(&ringbuf, THREE_QUARTERS, 0);
	if (second) {
		__sync_fetch_and_add(&passed, 1);
		/* over the header of the first */
		*(int *)(second + 4084) = 256;
		bpf_ringbuf_discard(second, 0);
	} else {
		__sync_fetch_and_add(&discarded, 1);
	}
	bpf_ringbuf_discard(first, 0);
	return 0;
}
