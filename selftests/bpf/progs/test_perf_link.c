// SPDX-License-Identifier: GPL-2.0-only
/* Samples of clocks and counters: how often, with what period, and what the counter shows. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#if defined(__TARGET_ARCH_arm64)
struct user_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};
#else
struct user_regs {
	struct pt_regs r;
};
#endif

struct bpf_perf_event_data {
	struct user_regs regs;
	__u64 sample_period;
	__u64 addr;
};

int run_cnt = 0;
__u64 period = 0;
__u64 keep = 0;
long value_err = 0;
struct bpf_perf_event_value value = {};

SEC("perf_event")
int handler(struct bpf_perf_event_data *ctx)
{
	__sync_fetch_and_add(&run_cnt, 1);
	period = ctx->sample_period;
	value_err = bpf_perf_prog_read_value(ctx, &value, sizeof(value));
	return keep;
}

SEC("perf_event")
int other(struct bpf_perf_event_data *ctx)
{
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, int);
	__type(value, int);
} counters SEC(".maps");

long counter = 0;
long read_err = 0;
__u64 cpu_index = BPF_F_CURRENT_CPU;
struct bpf_perf_event_value read_value = {};

SEC("raw_tp/sys_enter")
int read_counter(void *ctx)
{
	counter = bpf_perf_event_read(&counters, cpu_index);
	read_err = bpf_perf_event_read_value(&counters, cpu_index, &read_value, sizeof(read_value));
	return 0;
}
