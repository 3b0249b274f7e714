// SPDX-License-Identifier: GPL-2.0-only
/* A sample for each getpgid, to be consumed so many at a time. */
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

struct sample {
	int pid;
	long value;
	char comm[16];
};

int pid = 0;
long value = 0;

SEC("fentry/" SYS_PREFIX "sys_getpgid")
int produce(void *ctx)
{
	struct sample *s;

	if ((int)(bpf_get_current_pid_tgid() >> 32) != pid)
		return 0;
	s = bpf_ringbuf_reserve(&ringbuf, sizeof(*s), 0);
	if (!s)
		return 0;
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	s->value = value;
	s->pid = pid;
	bpf_ringbuf_submit(s, 0);
	return 0;
}
