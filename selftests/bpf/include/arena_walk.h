/* SPDX-License-Identifier: GPL-2.0-only */
/* What a program builds in its arena and native code of user space walks: one layout, one kind of pointer. */
#ifndef BPF_MIRROR_ARENA_WALK_H
#define BPF_MIRROR_ARENA_WALK_H

#ifdef __bpf__
#include "bpf_arena.h"
#else
#define __arena
#define NULL ((void *)0)
typedef unsigned long long __u64;
#endif

struct node {
	struct node __arena *next;
	__u64 value;
};

struct entry {
	struct entry __arena *next;
	__u64 key;
	__u64 value;
};

struct leaf {
	struct leaf __arena *left;
	struct leaf __arena *right;
	struct leaf __arena *parent;
	__u64 key;
	__u64 value;
};

struct root {
	struct node __arena *list;
	struct entry __arena *__arena *buckets;
	__u64 nr_buckets;
	struct leaf __arena *tree;
};

static inline __u64 bucket_of(__u64 key, __u64 nr_buckets)
{
	return (key ^ (key >> 29)) & (nr_buckets - 1);
}

#endif
