// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records for bpf-mirror ring: numbered for each CPU, of several lengths, each with a checksum of itself; every other
 * one reserved and submitted, the rest copied in with a length that is not known before.
 */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#define MAX_CPUS 8
#define MAX_WORDS 8

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} ring SEC(".maps");

int pid = 0;
long syscall_nr = 0;
/* records at most for each system call, and how many of all that a consumer is told of: one of so many */
__u32 batch = 0;
__u32 sample_rate = 1;

/* the number of each CPU's next record */
__u64 next_seq[MAX_CPUS];
__u64 full = 0;

static __always_inline __u64 words_of(__u64 seq)
{
	return 3 + ((seq >> 1) & 3);
}

/* number, CPU and length, filling, checksum: the last word makes the exclusive or of all of them zero */
static __always_inline void fill(__u64 *w, __u64 n, __u64 seq, __u64 cpu)
{
	__u64 sum, i;

	w[0] = seq;
	w[1] = cpu | n << 32;
	sum = w[0] ^ w[1];
	for (i = 2; i < MAX_WORDS; i++) {
		if (i >= n - 1)
			break;
		w[i] = (seq + i) * 0x9e3779b97f4a7c15ULL;
		sum ^= w[i];
	}
	w[(n - 1) & (MAX_WORDS - 1)] = sum;
}

static long produce(__u32 i, __u32 *at)
{
	__u32 cpu = *at & (MAX_CPUS - 1);
	__u64 seq = next_seq[cpu], flags, *rec;
	__u64 copy[MAX_WORDS];

	flags = seq % sample_rate ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
	if (seq & 1) {
		rec = bpf_ringbuf_reserve(&ring, 3 * 8, 0);
		if (!rec)
			goto no_room;
		rec[0] = seq;
		rec[1] = cpu | 3ULL << 32;
		rec[2] = rec[0] ^ rec[1];
		bpf_ringbuf_submit(rec, flags);
	} else {
		__u64 n = words_of(seq);

		fill(copy, n, seq, cpu);
		if (bpf_ringbuf_output(&ring, copy, n * 8, flags))
			goto no_room;
	}
	next_seq[cpu] = seq + 1;
	return 0;

no_room:
	__sync_fetch_and_add(&full, 1);
	return 1;
}

SEC("raw_tp/sys_enter")
int records(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 cpu;

	if ((int)(bpf_get_current_pid_tgid() >> 32) != pid || ctx->args[1] != syscall_nr)
		return 0;
	cpu = bpf_get_smp_processor_id();
	bpf_loop(batch, produce, &cpu, 0);
	return 0;
}
