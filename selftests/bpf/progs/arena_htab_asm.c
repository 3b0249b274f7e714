// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hash table of the arena without the compiler's help: no address space in any type, the casts stand in the
 * source as instructions. The layout is the one that upstream's user side walks.
 */
#include "bpf_may_goto.h"

char _license[] SEC("license") = "GPL";

#define ARENA_PAGE 4096
#define NUMA_NO_NODE (-1)
#define offsetof(type, member) __builtin_offsetof(type, member)

/* from a pointer of user space to one that can be followed here, and back */
#define cast_kern(p) asm volatile("%0 = addr_space_cast(%0, 0, 1)" : "+r"(p))
#define cast_user(p) asm volatile("%0 = addr_space_cast(%0, 1, 0)" : "+r"(p))

void *bpf_arena_alloc_pages(void *map, void *addr, __u32 page_cnt, int node_id, __u64 flags) __ksym
	__weak;
void bpf_arena_free_pages(void *map, void *ptr, __u32 page_cnt) __ksym __weak;

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 100);
} arena SEC(".maps");

struct node {
	struct node *next;
	struct node **pprev;
};

struct elem {
	int hash;
	int key;
	int value;
	struct node node;
};

struct htab {
	struct node **buckets;
	int n_buckets;
};

/* as user space sees it */
struct htab *htab_for_user;
bool skip = false;
int zero = 0;

/* What is not given out yet of the last page, in pointers of user space. */
static char *heap_at;
static __u32 heap_left;

static __noinline void *alloc(__u32 size)
{
	char *p;

	size = (size + 7) & ~7;
	if (size > ARENA_PAGE)
		return NULL;
	if (heap_left < size) {
		p = bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
		if (!p)
			return NULL;
		/* what comes back is a pointer to the arena: user space's is one cast away */
		cast_user(p);
		heap_at = p;
		heap_left = ARENA_PAGE;
	}
	p = heap_at;
	heap_at += size;
	heap_left -= size;
	cast_kern(p);
	return p;
}

static int insert(struct htab *htab, int key, int value)
{
	struct node **bucket = htab->buckets;
	struct node *n, *next;
	struct elem *e;

	cast_kern(bucket);
	bucket += key & (htab->n_buckets - 1);
	for (n = *bucket; n && can_loop; n = next) {
		cast_kern(n);
		next = n->next;
		e = (void *)n - offsetof(struct elem, node);
		if (e->key == key) {
			e->value = value;
			return 0;
		}
	}
	e = alloc(sizeof(*e));
	if (!e)
		return -12;
	e->hash = key;
	e->key = key;
	e->value = value;
	next = *bucket;
	e->node.next = next;
	n = &e->node;
	cast_user(n);
	*bucket = n;
	if (next) {
		struct node **pprev = &e->node.next;

		cast_user(pprev);
		cast_kern(next);
		next->pprev = pprev;
	}
	return 0;
}

SEC("syscall")
int arena_htab_asm(void *ctx)
{
	struct node **buckets;
	struct htab *htab;
	__u64 i;

	htab = alloc(sizeof(*htab));
	if (!htab)
		return 1;
	buckets = bpf_arena_alloc_pages(&arena, NULL, 2, NUMA_NO_NODE, 0);
	if (!buckets)
		return 2;
	cast_user(buckets);
	htab->buckets = buckets;
	htab->n_buckets = 2 * ARENA_PAGE / sizeof(*buckets);
	for (i = zero; i < 5000 && can_loop; i++)
		if (insert(htab, i, i + 1))
			return 3;
	/* the same keys once more: values are replaced */
	for (i = zero; i < 5000 && can_loop; i++)
		if (insert(htab, i, i))
			return 4;
	cast_user(htab);
	htab_for_user = htab;
	return 0;
}
