// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's side of progs/arena_walk.c: machine code of the process, at user privilege. It follows the pointers
 * that the program wrote, and where a page is not mapped here yet, the fault brings it in.
 */
#include "arena_walk.h"

#define ENTRY __attribute__((used)) 

ENTRY __u64 list_sum(struct root *root)
{
	__u64 sum = 0;

	for (struct node *l = root->list; l; l = l->next)
		sum += l->value;
	return sum;
}

ENTRY __u64 htab_sum(struct root *root)
{
	__u64 sum = 0;

	for (__u64 b = 0; b < root->nr_buckets; b++)
		for (struct entry *e = root->buckets[b]; e; e = e->next)
			sum += e->value;
	return sum;
}

ENTRY __u64 htab_find(struct root *root, __u64 key)
{
	for (struct entry *e = root->buckets[bucket_of(key, root->nr_buckets)]; e; e = e->next)
		if (e->key == key)
			return e->value;
	return -1ull;
}

/* In order of the keys; all ones when they are in none. */
ENTRY __u64 tree_sum(struct root *root)
{
	struct leaf *at = root->tree;
	__u64 sum = 0, last = 0;

	while (at && at->left)
		at = at->left;
	while (at) {
		if (at->key < last)
			return -1ull;
		last = at->key;
		sum += at->value;
		if (at->right) {
			for (at = at->right; at->left;)
				at = at->left;
			continue;
		}
		struct leaf *up = at->parent;
		while (up && up->right == at) {
			at = up;
			up = at->parent;
		}
		at = up;
	}
	return sum;
}

ENTRY __u64 tree_find(struct root *root, __u64 key)
{
	struct leaf *at = root->tree;

	while (at && at->key != key)
		at = key < at->key ? at->left : at->right;
	return at ? at->value : -1ull;
}

/* What it writes, the program reads. */
ENTRY __u64 list_add_to_each(struct root *root, __u64 by)
{
	__u64 n = 0;

	for (struct node *l = root->list; l; l = l->next, n++)
		l->value += by;
	return n;
}

/* A system call on the way, with its number from outside: it differs between architectures. */
ENTRY long system_call(long nr, long a0)
{
#ifdef __x86_64__
	long ret;

	asm volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a0) : "rcx", "r11", "memory");
	return ret;
#else
	register long x8 asm("x8") = nr;
	register long x0 asm("x0") = a0;

	asm volatile("svc #0" : "+r"(x0) : "r"(x8) : "memory");
	return x0;
#endif
}
