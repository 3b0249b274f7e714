// SPDX-License-Identifier: GPL-2.0-only
/* A function that sleeps between its entry and its exit. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

int pid = 0;
int fentry_cnt = 0;
int fexit_cnt = 0;

#ifdef __TARGET_ARCH_arm64
#define SYS_PREFIX "__arm64_"
#else
#define SYS_PREFIX "__x64_"
#endif

SEC("fentry/" SYS_PREFIX "sys_nanosleep")
int nanosleep_fentry(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == pid)
		fentry_cnt++;
	return 0;
}

SEC("fexit/" SYS_PREFIX "sys_nanosleep")
int nanosleep_fexit(void *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == pid)
		fexit_cnt++;
	return 0;
}

__u64 pgid_ret = 0;

SEC("fexit/" SYS_PREFIX "sys_getpgid")
int getpgid_fexit(__u64 *ctx)
{
	if (bpf_get_current_pid_tgid() >> 32 == pid)
		pgid_ret = ctx[1];
	return 0;
}
