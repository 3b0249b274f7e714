// SPDX-License-Identifier: GPL-2.0-only
/* Programs on security hooks: of bpf(2) itself, and one that refuses. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

int monitored_pid = 0;
int bpf_count = 0;
int map_count = 0;
int prog_count = 0;
int deny_cmd = -1;
int deny_maps = 0;

SEC("lsm/bpf")
int on_bpf(__u64 *ctx)
{
	int cmd = (int)ctx[0], ret = (int)ctx[3];

	if (ret != 0 || bpf_get_current_pid_tgid() >> 32 != monitored_pid)
		return ret;
	bpf_count++;
	return cmd == deny_cmd ? -1 : 0;
}

SEC("lsm/bpf_map")
int on_bpf_map(__u64 *ctx)
{
	int ret = (int)ctx[2];

	if (ret != 0 || bpf_get_current_pid_tgid() >> 32 != monitored_pid)
		return ret;
	map_count++;
	return deny_maps ? -13 : 0;
}

SEC("lsm/bpf_prog")
int on_bpf_prog(__u64 *ctx)
{
	int ret = (int)ctx[1];

	if (ret != 0 || bpf_get_current_pid_tgid() >> 32 != monitored_pid)
		return ret;
	prog_count++;
	return 0;
}

#ifdef __TARGET_ARCH_arm64
#define SYS_PREFIX "__arm64_"
#define PARM1(regs) ((regs)->regs[0])
#define PARM2(regs) ((regs)->regs[1])
#else
#define SYS_PREFIX "__x64_"
#define PARM1(regs) ((regs)->di)
#define PARM2(regs) ((regs)->si)
#endif

static long (*const bpf_copy_from_user)(void *dst, __u32 size, const void *user) = (void *)148;

int copy_test = 0;

/* A program that may sleep reads what the call was given, where that is there. */
SEC("fentry.s/" SYS_PREFIX "sys_setdomainname")
int test_sys_setdomainname(__u64 *ctx)
{
	struct pt_regs *regs = (void *)ctx[0];
	void *ptr = (void *)PARM1(regs);
	int len = PARM2(regs);
	int buf = 0;
	long ret;

	ret = bpf_copy_from_user(&buf, sizeof(buf), ptr);
	if (len == -2 && ret == 0 && buf == 1234)
		copy_test++;
	if (len == -3 && ret == -14)
		copy_test++;
	if (len == -4 && ret == -14)
		copy_test++;
	return 0;
}

SEC("?lsm/file_open")
int never_called(__u64 *ctx)
{
	return 0;
}
