// SPDX-License-Identifier: GPL-2.0-only
/* References to tasks, and storage of tasks and sockets (progs/task_kfunc_success.c, task_local_storage.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

enum { BPF_MAP_TYPE_INODE_STORAGE = 28, BPF_MAP_TYPE_TASK_STORAGE = 29 };
enum { CREATE = 1 };

static void *(*const bpf_task_storage_get)(void *map, struct task_struct *task, void *value, __u64 flags) = (void *)156;
static long (*const bpf_task_storage_delete)(void *map, struct task_struct *task) = (void *)157;
struct bpf_sock;
static struct bpf_sock *(*const bpf_sk_fullsock)(struct bpf_sock *sk) = (void *)95;
static void *(*const bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)107;
static long (*const bpf_sk_storage_delete)(void *map, void *sk) = (void *)108;

struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, long); } tasks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_SK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, long); } socks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_INODE_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, long); } inodes SEC(".maps");
struct slot { struct task_struct __kptr *task; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct slot); } slots SEC(".maps");

SEC("syscall") __success __retval(0)
int from_pid(void *ctx)
{
	struct task_struct *t = bpf_task_from_pid((int)bpf_get_current_pid_tgid()), *again;
	int pid, ret = 0;

	if (!t) return __LINE__;
	pid = t->pid;
	again = bpf_task_acquire(t);
	bpf_task_release(t);
	if (!again) return __LINE__;
	if (again->pid != pid || pid != (int)bpf_get_current_pid_tgid()) ret = __LINE__;
	bpf_task_release(again);
	t = bpf_task_from_pid(-1);
	if (t) {
		bpf_task_release(t);
		return __LINE__;
	}
	return ret;
}

SEC("syscall") __success __retval(0)
int kept(void *ctx)
{
	struct task_struct *t = bpf_task_acquire(bpf_get_current_task_btf());
	struct slot *slot;
	int key = 0;

	if (!t) return __LINE__;
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		bpf_task_release(t);
		return __LINE__;
	}
	t = bpf_kptr_xchg(&slot->task, t);
	if (t) {
		bpf_task_release(t);
		return __LINE__;
	}
	t = bpf_kptr_xchg(&slot->task, NULL);
	if (!t) return __LINE__;
	key = t->pid;
	bpf_task_release(t);
	return key == (int)bpf_get_current_pid_tgid() ? 0 : __LINE__;
}

SEC("syscall") __success __retval(0)
int task_storage(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	long init = 41, *v;

	if (bpf_task_storage_get(&tasks, t, 0, 0)) return __LINE__;
	if (bpf_task_storage_delete(&tasks, t) != -2) return __LINE__;
	v = bpf_task_storage_get(&tasks, t, &init, CREATE);
	if (!v || *v != 41) return __LINE__;
	*v += 1;
	v = bpf_task_storage_get(&tasks, t, 0, 0);
	if (!v || *v != 42) return __LINE__;
	/* what is there is not made again */
	v = bpf_task_storage_get(&tasks, t, &init, CREATE);
	if (!v || *v != 42) return __LINE__;
	if (bpf_task_storage_delete(&tasks, t)) return __LINE__;
	v = bpf_task_storage_get(&tasks, t, 0, CREATE);
	if (!v || *v != 0) return __LINE__;
	return 0;
}

SEC("syscall") __success __retval(0)
int bad_flags(void *ctx)
{
	return bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 2) ? __LINE__ : 0;
}

SEC("tc") __success __retval(0)
int sk_storage(struct __sk_buff *skb)
{
	/* __sk_buff.sk */
	struct bpf_sock *sk = *(struct bpf_sock **)((void *)skb + 168);
	long init = 7, *v;

	if (!sk) return __LINE__;
	sk = bpf_sk_fullsock(sk);
	if (!sk) return __LINE__;
	if (bpf_sk_storage_get(&socks, sk, 0, 0)) return __LINE__;
	if (bpf_sk_storage_delete(&socks, sk) != -2) return __LINE__;
	v = bpf_sk_storage_get(&socks, sk, &init, CREATE);
	if (!v || *v != 7) return __LINE__;
	*v = 8;
	v = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!v || *v != 8) return __LINE__;
	/* the socket takes it along when it goes */
	return 0;
}
