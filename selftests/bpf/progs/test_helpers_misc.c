// SPDX-License-Identifier: GPL-2.0-only
/* Small helpers: identity of the task, time, strings, memory that may not be there, spin locks. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct locked {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked);
} locks SEC(".maps");

__u64 pid_tgid = 0;
__u64 uid_gid = 0;
__u64 t0 = 0, t1 = 0;
__u32 cpu = 99;
char comm[16] = {};
long strncmp_same = 1, strncmp_less = 1;
long probe_bad = 0, probe_good = 1;
__u64 probe_src = 0x1122334455667788ULL;
__u64 probe_dst = 0;
char word[8] = "abcdefg";
const char same[] = "abcdefg";
const char more[] = "abcdefz";

SEC("raw_tp/sys_enter")
int misc(void *ctx)
{
	t0 = bpf_ktime_get_ns();
	pid_tgid = bpf_get_current_pid_tgid();
	uid_gid = bpf_get_current_uid_gid();
	bpf_get_current_comm(comm, sizeof(comm));
	cpu = bpf_get_smp_processor_id();
	strncmp_same = bpf_strncmp(word, sizeof(word), same);
	strncmp_less = bpf_strncmp(word, sizeof(word), more);
	probe_bad = bpf_probe_read_kernel(&probe_dst, 8, (void *)0x10);
	probe_good = bpf_probe_read_kernel(&probe_dst, 8, &probe_src);
	t1 = bpf_ktime_get_ns();
	return 0;
}

SEC("tc")
int spin(struct __sk_buff *skb)
{
	struct locked *l;
	__u32 key = 0;

	l = bpf_map_lookup_elem(&locks, &key);
	if (l) {
		bpf_spin_lock(&l->lock);
		l->count += 1;
		bpf_spin_unlock(&l->lock);
	}
	return 0;
}
