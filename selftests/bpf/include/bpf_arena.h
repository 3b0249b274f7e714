/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory shared with user space, and what programs build in it. */
#ifndef BPF_MIRROR_BPF_ARENA_H
#define BPF_MIRROR_BPF_ARENA_H

#include "bpf_helpers.h"
#include "bpf_may_goto.h"

#ifndef __BPF_FEATURE_ADDR_SPACE_CAST
#error "the compiler must know address spaces"
#endif

/* A pointer into the arena: the compiler casts where the address space changes. */
#define __arena __attribute__((address_space(1)))

#define ARENA_PAGE 4096
#define NUMA_NO_NODE (-1)

/* Name the arena in a program that only follows pointers into it. */
#define uses_arena(map) asm volatile("" ::"r"(&map))

#define offsetof(type, member) __builtin_offsetof(type, member)

void __arena *bpf_arena_alloc_pages(void *map, void __arena *addr, __u32 page_cnt, int node_id,
				    __u64 flags) __ksym __weak;
void bpf_arena_free_pages(void *map, void __arena *ptr, __u32 page_cnt) __ksym __weak;

/* CPUs that have a page of their own; more of them share. */
#define HEAP_CPUS 8

/*
 * Objects from whole pages, one after the other, each CPU from its own page. A page's first word counts what lives
 * in it, whoever frees it; the page is given back with the last.
 */
#define ARENA_ALLOCATOR(map)                                                                        \
	static void __arena *heap_page[HEAP_CPUS];                                                  \
	static __u32 heap_off[HEAP_CPUS];                                                           \
                                                                                                    \
	static __noinline void __arena *heap_alloc(__u32 size)                                      \
	{                                                                                           \
		__u32 cpu = bpf_get_smp_processor_id() & (HEAP_CPUS - 1);                           \
		void __arena *page = heap_page[cpu];                                                \
		__u32 off = heap_off[cpu];                                                          \
		__u64 __arena *live;                                                                \
                                                                                                    \
		size = (size + 7) & ~7;                                                             \
		if (size > ARENA_PAGE - 8)                                                          \
			return NULL;                                                                \
		if (!page || off + size > ARENA_PAGE) {                                             \
			page = bpf_arena_alloc_pages(&map, NULL, 1, NUMA_NO_NODE, 0);               \
			if (!page)                                                                  \
				return NULL;                                                        \
			heap_page[cpu] = page;                                                      \
			off = 8;                                                                    \
		}                                                                                   \
		live = page;                                                                        \
		__sync_fetch_and_add(live, 1);                                                      \
		heap_off[cpu] = off + size;                                                         \
		return page + off;                                                                  \
	}                                                                                           \
                                                                                                    \
	static __attribute__((unused)) __noinline void heap_free(void __arena *p)                   \
	{                                                                                           \
		__u64 __arena *live = (__u64 __arena *)((long)p & ~(ARENA_PAGE - 1L));              \
		__u32 cpu;                                                                          \
                                                                                                    \
		if (__sync_fetch_and_add(live, -1) != 1)                                            \
			return;                                                                     \
		for (cpu = 0; cpu < HEAP_CPUS; cpu++)                                               \
			if ((void __arena *)live == heap_page[cpu])                                 \
				heap_page[cpu] = NULL;                                              \
		bpf_arena_free_pages(&map, live, 1);                                                \
	}

#endif
