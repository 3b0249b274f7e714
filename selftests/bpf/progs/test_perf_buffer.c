// SPDX-License-Identifier: GPL-2.0-only
/* Samples of the CPU that a system call runs on, to that CPU's perf buffer; and of any size, to any slot. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, int);
	__type(value, int);
} perf_buf_map SEC(".maps");

int my_pid = 0;
__u64 flags = BPF_F_CURRENT_CPU;
__u32 size = 4;
long ret = 0;
__u8 data[512] = {};

#ifdef __TARGET_ARCH_arm64
#define NR_nanosleep 101
#define NR_getpgid 155
#else
#define NR_nanosleep 35
#define NR_getpgid 121
#endif

/* struct trace_event_raw_sys_enter */
struct sys_enter {
	__u64 common;
	long id;
};

/* of the calls that the test makes on purpose: a process makes others to be told what to do */
SEC("tp/raw_syscalls/sys_enter")
int handle_sys_enter(struct sys_enter *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 != my_pid)
		return 1;
	if (ctx->id != NR_nanosleep && ctx->id != NR_getpgid)
		return 1;
	*(int *)data = bpf_get_smp_processor_id();
	ret = bpf_perf_event_output(ctx, &perf_buf_map, flags, data, size & 511);
	return 1;
}

SEC("xdp")
int packet(struct xdp_md *ctx)
{
	__u32 meta = 0x1234;

	/* the program's four bytes, then so many of the packet */
	ret = bpf_perf_event_output(ctx, &perf_buf_map, flags, &meta, sizeof(meta));
	return XDP_PASS;
}
