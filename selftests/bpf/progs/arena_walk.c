// SPDX-License-Identifier: GPL-2.0-only
/* A list, a hash table and a tree in the arena, for native code of user space to walk (native/arena_walk.c). */
#include "arena_walk.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1000);
} arena SEC(".maps");

ARENA_ALLOCATOR(arena)

struct root __arena *root;
int n;
__u64 seed;
__u64 zero;

__u64 list_sum, htab_sum, tree_sum;

static __u64 mix(__u64 v)
{
	v += 0x9e3779b97f4a7c15ull;
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
	return v ^ (v >> 31);
}

static __noinline int list_add(__u64 value)
{
	struct node __arena *e = heap_alloc(sizeof(*e));

	if (!e)
		return -12;
	e->value = value;
	e->next = root->list;
	root->list = e;
	return 0;
}

static __noinline int htab_add(__u64 key, __u64 value)
{
	struct entry __arena *e = heap_alloc(sizeof(*e));
	__u64 b;

	if (!e)
		return -12;
	b = bucket_of(key, root->nr_buckets);
	e->key = key;
	e->value = value;
	e->next = root->buckets[b];
	root->buckets[b] = e;
	return 0;
}

static __noinline int tree_add(__u64 key, __u64 value)
{
	struct leaf __arena *e = heap_alloc(sizeof(*e));
	struct leaf __arena *at;
	struct leaf __arena *parent = NULL;

	if (!e)
		return -12;
	e->key = key;
	e->value = value;
	/* as one 16-byte memset() the compiler forgets the address space */
	*(struct leaf __arena *volatile __arena *)&e->left = NULL;
	*(struct leaf __arena *volatile __arena *)&e->right = NULL;
	for (at = root->tree; at && can_loop; at = key < at->key ? at->left : at->right)
		parent = at;
	e->parent = parent;
	if (!parent)
		root->tree = e;
	else if (key < parent->key)
		parent->left = e;
	else
		parent->right = e;
	return 0;
}

SEC("syscall")
int build(void *ctx)
{
	__u64 i, key;

	root = heap_alloc(sizeof(*root));
	if (!root)
		return 1;
	root->list = NULL;
	root->tree = NULL;
	root->buckets = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	root->nr_buckets = ARENA_PAGE / sizeof(*root->buckets);
	if (!root->buckets)
		return 2;
	for (i = zero; i < n && can_loop; i++) {
		key = mix(seed + i);
		if (list_add(i) || htab_add(key, i) || tree_add(key, i))
			return 3;
	}
	return 0;
}

/* The same walks on this side. */
SEC("syscall")
int walk(void *ctx)
{
	struct leaf __arena *at;
	struct leaf __arena *up;
	struct entry __arena *e;
	struct node __arena *l;
	__u64 b;

	uses_arena(arena);
	list_sum = htab_sum = tree_sum = 0;
	if (!root)
		return 1;
	for (l = root->list; l && can_loop; l = l->next)
		list_sum += l->value;
	for (b = zero; b < root->nr_buckets && can_loop; b++)
		for (e = root->buckets[b]; e && can_loop; e = e->next)
			htab_sum += e->value;
	/* down to the left, and from each leaf to the next one up */
	for (at = root->tree; at && at->left && can_loop;)
		at = at->left;
	while (at && can_loop) {
		tree_sum += at->value;
		if (at->right) {
			at = at->right;
			while (at->left && can_loop)
				at = at->left;
			continue;
		}
		for (up = at->parent; up && up->right == at && can_loop; up = at->parent)
			at = up;
		at = up;
	}
	return 0;
}
