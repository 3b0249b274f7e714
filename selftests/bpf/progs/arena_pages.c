// SPDX-License-Identifier: GPL-2.0-only
/* Single steps on an arena's pages, told by user space what to do. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 16);
} arena SEC(".maps");

/* a user address, as a number */
__u64 addr = 0;
__u64 val = 0;
__u64 flags = 0;
__u32 page_cnt = 0;
int node = -1;

static void __arena *ptr(void)
{
	/* 0 casts to 0: what is a number becomes a pointer to the arena */
	return (void __arena *)addr;
}

SEC("syscall")
int alloc(void *ctx)
{
	void __arena *p = bpf_arena_alloc_pages(&arena, (void __arena *)addr, page_cnt, node, flags);

	val = (__u64)p;
	return 0;
}

SEC("syscall")
int release(void *ctx)
{
	bpf_arena_free_pages(&arena, (void __arena *)addr, page_cnt);
	return 0;
}

SEC("syscall")
int peek(void *ctx)
{
	uses_arena(arena);
	val = *(volatile __u64 __arena *)ptr();
	return 0;
}

SEC("syscall")
int peek_sizes(void *ctx)
{
	uses_arena(arena);
	__u64 v = *(volatile __u8 __arena *)ptr();

	v |= (__u64)*(volatile __u16 __arena *)(ptr() + 2) << 16;
	v |= (__u64)*(volatile __u32 __arena *)(ptr() + 4) << 32;
	val = v;
	return 0;
}

SEC("syscall")
int poke(void *ctx)
{
	uses_arena(arena);
	*(volatile __u64 __arena *)ptr() = val;
	return 0;
}

/* A constant, by an offset that an instruction of arm64 does not hold. */
SEC("syscall")
int poke_imm(void *ctx)
{
	uses_arena(arena);
	asm volatile("r1 = %[p]; r1 = addr_space_cast(r1, 0, 1); *(u64 *)(r1 - 40) = 77;"
		     "*(u64 *)(r1 + 8) = 78;" ::[p] "r"(addr)
		     : "r1", "memory");
	return 0;
}

static long (*const bpf_copy_from_user)(void *dst, __u32 size, const void *user_ptr) = (void *)148;
long copied = 0;

/* By the user's address, as of any memory of the process. */
SEC("syscall")
int copy_in(void *ctx)
{
	__u64 v = 0;

	copied = bpf_copy_from_user(&v, sizeof(v), (void *)addr);
	val = v;
	return 0;
}

/* To the kernel's address space and back. */
SEC("syscall")
int cast(void *ctx)
{
	void *kern = (void *)ptr();

	uses_arena(arena);
	barrier_var(kern);
	val = (__u64)(void __arena *)kern;
	return 0;
}

/* The farthest that an instruction's offset reaches on either side, into the guards. */
SEC("syscall")
int peek_far(void *ctx)
{
	uses_arena(arena);
	__u64 below = *(volatile __u64 __arena *)(ptr() - 32768);
	__u64 above = *(volatile __u64 __arena *)(ptr() + 32760);

	val = below | above;
	return 0;
}

/* Page after page until there is none, then all of them back. */
__u64 allocated = 0;

SEC("syscall")
int exhaust(void *ctx)
{
	void __arena *p;

	allocated = 0;
	while (can_loop) {
		p = bpf_arena_alloc_pages(&arena, NULL, page_cnt, NUMA_NO_NODE, 0);
		if (!p)
			break;
		*(__u64 __arena *)p = ++allocated;
	}
	return 0;
}
