// SPDX-License-Identifier: GPL-2.0-only
/* Samples of 8 bytes, a batch for each system call: what `npm run bench` counts (upstream's ringbuf_bench). */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} ringbuf SEC(".maps");

const volatile int batch_cnt = 500;
const volatile int use_output = 0;
const volatile int nr = 0;

long sample_val = 42;
long dropped = 0;

SEC("raw_tp/sys_enter")
int produce(__u64 *ctx)
{
	int i;

	if (ctx[1] != nr)
		return 0;
	for (i = 0; i < batch_cnt; i++) {
		if (use_output) {
			if (bpf_ringbuf_output(&ringbuf, &sample_val, sizeof(sample_val), 0))
				__sync_add_and_fetch(&dropped, 1);
			continue;
		}
		long *sample = bpf_ringbuf_reserve(&ringbuf, sizeof(sample_val), 0);

		if (!sample) {
			__sync_add_and_fetch(&dropped, 1);
			continue;
		}
		*sample = sample_val;
		bpf_ringbuf_submit(sample, 0);
	}
	return 0;
}
