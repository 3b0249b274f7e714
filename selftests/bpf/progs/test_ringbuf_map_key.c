// SPDX-License-Identifier: GPL-2.0-only
/* Memory of a ring buffer's record as the key, and as the value, of a map. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

#ifdef __TARGET_ARCH_arm64
#define SYS_PREFIX "__arm64_"
#else
#define SYS_PREFIX "__x64_"
#endif

struct sample {
	int pid;
	int seq;
	long value;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct sample);
	__type(value, int);
} hash_map SEC(".maps");

int pid = 0;
long seq = 0;
/* a second look-up found what the update before it stored */
int found = 0;

SEC("fentry/" SYS_PREFIX "sys_getpgid")
int keys(void *ctx)
{
	struct sample *s, copy;
	int *value;

	if ((int)(bpf_get_current_pid_tgid() >> 32) != pid)
		return 0;
	s = bpf_ringbuf_reserve(&ringbuf, sizeof(*s), 0);
	if (!s)
		return 0;
	s->pid = pid;
	s->seq = ++seq;
	s->value = 42;
	bpf_get_current_comm(s->comm, sizeof(s->comm));
	if (bpf_map_lookup_elem(&hash_map, s))
		found = -1;
	/* one referenced argument in a call is all the verifier takes */
	copy = *s;
	bpf_map_update_elem(&hash_map, &copy, &s->seq, BPF_ANY);
	value = bpf_map_lookup_elem(&hash_map, s);
	if (value && *value == s->seq && !found)
		found = 1;
	bpf_ringbuf_submit(s, 0);
	return 0;
}
