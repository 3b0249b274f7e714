// SPDX-License-Identifier: GPL-2.0-only
/* A list in the arena: a program builds it, user space walks it, a program takes it apart. */
#include "bpf_arena.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 100);
} arena SEC(".maps");

ARENA_ALLOCATOR(arena)

struct node {
	struct node __arena *next;
	struct node __arena *__arena *pprev;
	__u64 value;
};

struct node __arena *first;

/* In the arena itself: user space and programs see the same variables. */
long __arena arena_sum;
int __arena test_val = 1;

int cnt;
int list_sum;
int zero;

SEC("syscall")
int arena_list_add(void *ctx)
{
	__u64 i;

	for (i = zero; i < cnt && can_loop; i++) {
		struct node __arena *n = heap_alloc(sizeof(*n));

		if (!n)
			return 1;
		n->value = i;
		n->next = first;
		n->pprev = NULL;
		if (first)
			first->pprev = &n->next;
		first = n;
		test_val++;
		arena_sum += i;
	}
	return 0;
}

SEC("syscall")
int arena_list_del(void *ctx)
{
	struct node __arena *n;
	struct node __arena *next;
	int sum = 0;

	arena_sum = 0;
	for (n = first; n && can_loop; n = next) {
		next = n->next;
		sum += n->value;
		arena_sum += n->value;
		heap_free(n);
	}
	first = NULL;
	list_sum = sum;
	return 0;
}
