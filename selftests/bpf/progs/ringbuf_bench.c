// SPDX-License-Identifier: GPL-2.0-only
/* A batch of samples of 8 bytes into a ring buffer at each getpgid(2), with a say in who is woken up when. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#ifdef __TARGET_ARCH_arm64
#define SYS_PREFIX "__arm64_"
#else
#define SYS_PREFIX "__x64_"
#endif

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} ringbuf SEC(".maps");

const volatile int batch_cnt = 0;
const volatile long use_output = 0;
/* bytes in the ring at which the consumer is woken up; 0: when it has caught up */
const volatile long wakeup_data_size = 0;

long sample_val = 42;
long dropped __attribute__((aligned(128))) = 0;

static __always_inline long wakeup_flags(void)
{
	if (!wakeup_data_size)
		return 0;
	if (bpf_ringbuf_query(&ringbuf, BPF_RB_AVAIL_DATA) < wakeup_data_size)
		return BPF_RB_NO_WAKEUP;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void drop(void)
{
	__sync_add_and_fetch(&dropped, 1);
}

SEC("fentry/" SYS_PREFIX "sys_getpgid")
int bench_ringbuf(void *ctx)
{
	int i;

	if (use_output) {
		for (i = 0; i < batch_cnt; i++)
			if (bpf_ringbuf_output(&ringbuf, &sample_val, sizeof(sample_val), wakeup_flags()))
				drop();
		return 0;
	}
	for (i = 0; i < batch_cnt; i++) {
		long *sample = bpf_ringbuf_reserve(&ringbuf, sizeof(sample_val), 0);

		if (!sample) {
			drop();
			continue;
		}
		*sample = sample_val;
		bpf_ringbuf_submit(sample, wakeup_flags());
	}
	return 0;
}
