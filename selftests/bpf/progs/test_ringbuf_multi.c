// SPDX-License-Identifier: GPL-2.0-only
/* Ring buffers behind a map of maps: the slot that user space asks for gets the sample. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct sample {
	int pid;
	int seq;
	long value;
	char comm[16];
};

struct ringbuf_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 12);
} ringbuf1 SEC(".maps"), ringbuf2 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, int);
	__array(values, struct ringbuf_map);
} ringbuf_arr SEC(".maps") = {
	.values = {
		[0] = &ringbuf1,
		[2] = &ringbuf2,
	},
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, int);
	__array(values, struct ringbuf_map);
} ringbuf_hash SEC(".maps") = {
	.values = {
		[0] = &ringbuf1,
	},
};

int pid = 0;
long syscall_nr = 121;
int target_ring = 0;
/* whose ring it is: 0, the one asked for; 1, the CPU's; 2, that of the task's number */
int by = 0;
long value = 0;

int total = 0;
int dropped = 0;
int skipped = 0;

SEC("raw_tp/sys_enter")
int test_ringbuf_multi(struct bpf_raw_tracepoint_args *ctx)
{
	int cur_pid = bpf_get_current_pid_tgid() >> 32;
	struct sample *sample;
	int slot = target_ring;
	void *rb;

	if (cur_pid != pid || ctx->args[1] != syscall_nr)
		return 0;

	/* rings lie in slots 0 and 2 */
	if (by == 1)
		slot = bpf_get_smp_processor_id() << 1;
	else if (by == 2)
		slot = (__u32)bpf_get_current_pid_tgid() % 2 << 1;
	rb = bpf_map_lookup_elem(&ringbuf_arr, &slot);
	if (!rb) {
		skipped += 1;
		return 1;
	}

	sample = bpf_ringbuf_reserve(rb, sizeof(*sample), 0);
	if (!sample) {
		dropped += 1;
		return 1;
	}

	sample->pid = pid;
	bpf_get_current_comm(sample->comm, sizeof(sample->comm));
	sample->value = value;
	sample->seq = total;
	total += 1;
	bpf_ringbuf_submit(sample, 0);
	return 0;
}
