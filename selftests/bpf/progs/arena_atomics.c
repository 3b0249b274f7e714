// SPDX-License-Identifier: GPL-2.0-only
/* Atomic operations on the arena, of both widths, with and without the old value. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 10);
#if defined(__TARGET_ARCH_arm64)
	__ulong(map_extra, 0x1ull << 32);
#else
	__ulong(map_extra, 0x1ull << 44);
#endif
} arena SEC(".maps");

__u32 pid = 0;

#define FETCH(name, fn, init, operand)                                                              \
	__u64 __arena name##64_value = init;                                                        \
	__u64 __arena name##64_result = 0;                                                          \
	__u32 __arena name##32_value = init;                                                        \
	__u32 __arena name##32_result = 0;                                                          \
	__u64 __arena name##_noreturn_value = init;                                                 \
	SEC("raw_tp/sys_enter")                                                                     \
	int name(const void *ctx)                                                                   \
	{                                                                                           \
		if (pid != (bpf_get_current_pid_tgid() >> 32))                                      \
			return 0;                                                                   \
		name##64_result = fn(&name##64_value, operand);                                     \
		name##32_result = fn(&name##32_value, operand);                                     \
		fn(&name##_noreturn_value, operand);                                                \
		return 0;                                                                           \
	}

/* The x86 JIT knows these in an arena only where the old value is not wanted. */
#define NO_FETCH(name, fn, init, operand)                                                           \
	__u64 __arena name##64_value = init;                                                        \
	__u32 __arena name##32_value = init;                                                        \
	SEC("raw_tp/sys_enter")                                                                     \
	int name(const void *ctx)                                                                   \
	{                                                                                           \
		if (pid != (bpf_get_current_pid_tgid() >> 32))                                      \
			return 0;                                                                   \
		fn(&name##64_value, operand);                                                       \
		fn(&name##32_value, operand);                                                       \
		return 0;                                                                           \
	}

FETCH(add, __sync_fetch_and_add, 1, 2)
FETCH(sub, __sync_fetch_and_sub, 1, 2)
NO_FETCH(and, __sync_fetch_and_and, 0x110, 0x011)
NO_FETCH(or, __sync_fetch_and_or, 0x110, 0x011)
NO_FETCH(xor, __sync_fetch_and_xor, 0x110, 0x011)

__u64 __arena cmpxchg64_value = 1;
__u64 __arena cmpxchg64_fail = 0;
__u64 __arena cmpxchg64_succeed = 0;
__u32 __arena cmpxchg32_value = 1;
__u32 __arena cmpxchg32_fail = 0;
__u32 __arena cmpxchg32_succeed = 0;

SEC("raw_tp/sys_enter")
int cmpxchg(const void *ctx)
{
	if (pid != (bpf_get_current_pid_tgid() >> 32))
		return 0;
	cmpxchg64_fail = __sync_val_compare_and_swap(&cmpxchg64_value, 0, 3);
	cmpxchg64_succeed = __sync_val_compare_and_swap(&cmpxchg64_value, 1, 2);
	cmpxchg32_fail = __sync_val_compare_and_swap(&cmpxchg32_value, 0, 3);
	cmpxchg32_succeed = __sync_val_compare_and_swap(&cmpxchg32_value, 1, 2);
	return 0;
}

__u64 __arena xchg64_value = 1;
__u64 __arena xchg64_result = 0;
__u32 __arena xchg32_value = 1;
__u32 __arena xchg32_result = 0;

SEC("raw_tp/sys_enter")
int xchg(const void *ctx)
{
	if (pid != (bpf_get_current_pid_tgid() >> 32))
		return 0;
	xchg64_result = __sync_lock_test_and_set(&xchg64_value, 2);
	xchg32_result = __sync_lock_test_and_set(&xchg32_value, 2);
	return 0;
}

/* Operations on a page that was freed do nothing, one after the other. */
__u64 __arena uaf_sink;
int uaf_recovery_fails = 10;

SEC("syscall")
int uaf(const void *ctx)
{
	__u32 __arena *page32;
	__u64 __arena *page64;
	void __arena *page;

	page = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	if (!page)
		return 1;
	bpf_arena_free_pages(&arena, page, 1);
	page32 = page;
	page64 = page;
	__sync_fetch_and_add(page32, 1);
	uaf_recovery_fails -= 1;
	__sync_fetch_and_add(page64, 1);
	uaf_recovery_fails -= 1;
	uaf_sink += __sync_fetch_and_add(page32, 1);
	uaf_recovery_fails -= 1;
	__sync_fetch_and_and(page64, 1);
	uaf_recovery_fails -= 1;
	__sync_fetch_and_or(page32, 1);
	uaf_recovery_fails -= 1;
	__sync_fetch_and_xor(page64, 1);
	uaf_recovery_fails -= 1;
	uaf_sink += __sync_val_compare_and_swap(page32, 0, 1);
	uaf_recovery_fails -= 1;
	uaf_sink += __sync_val_compare_and_swap(page64, 0, 1);
	uaf_recovery_fails -= 1;
	uaf_sink += __sync_lock_test_and_set(page32, 1);
	uaf_recovery_fails -= 1;
	uaf_sink += __sync_lock_test_and_set(page64, 1);
	uaf_recovery_fails -= 1;
	return 0;
}
