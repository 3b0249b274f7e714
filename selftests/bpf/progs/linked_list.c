// SPDX-License-Identifier: GPL-2.0-only
/* Objects of programs in lists and trees, with references (progs/linked_list.c, rbtree.c, refcounted_kptr.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

struct node {
	long key;
	struct bpf_list_node list;
	struct bpf_rb_node rb;
	struct bpf_refcount ref;
};

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(node, list);
private(A) struct bpf_rb_root root __contains(node, rb);

#define bpf_list_push_back(head, node) bpf_list_push_back_impl(head, node, NULL, 0)

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct node, rb)->key < container_of(b, struct node, rb)->key;
}

static __noinline int push(long key, bool back)
{
	struct node *n = bpf_obj_new(typeof(*n));

	if (!n)
		return 1;
	n->key = key;
	bpf_spin_lock(&lock);
	if (back)
		bpf_list_push_back(&head, &n->list);
	else
		bpf_list_push_front(&head, &n->list);
	bpf_spin_unlock(&lock);
	return 0;
}

/* The key of what was popped, or -1. */
static __noinline long pop(bool back)
{
	struct bpf_list_node *l;
	struct node *n;
	long key;

	bpf_spin_lock(&lock);
	l = back ? bpf_list_pop_back(&head) : bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	if (!l)
		return -1;
	n = container_of(l, struct node, list);
	key = n->key;
	bpf_obj_drop(n);
	return key;
}

SEC("tc") __success __retval(0)
int list(struct __sk_buff *skb)
{
	if (pop(false) != -1 || pop(true) != -1) return __LINE__;
	if (push(2, true) || push(3, true) || push(1, false)) return __LINE__;
	if (pop(true) != 3) return __LINE__;
	if (pop(false) != 1) return __LINE__;
	if (pop(false) != 2) return __LINE__;
	if (pop(false) != -1) return __LINE__;
	/* these go with the map */
	if (push(5, true) || push(6, true)) return __LINE__;
	return 0;
}

static __noinline int add(long key)
{
	struct node *n = bpf_obj_new(typeof(*n));

	if (!n)
		return 1;
	n->key = key;
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->rb, less);
	bpf_spin_unlock(&lock);
	return 0;
}

/* Takes the first one out: its key, or -1. */
static __noinline long first(void)
{
	struct bpf_rb_node *r;
	struct node *n;
	long key;

	bpf_spin_lock(&lock);
	r = bpf_rbtree_first(&root);
	if (!r) {
		bpf_spin_unlock(&lock);
		return -1;
	}
	r = bpf_rbtree_remove(&root, r);
	bpf_spin_unlock(&lock);
	if (!r)
		return -2;
	n = container_of(r, struct node, rb);
	key = n->key;
	bpf_obj_drop(n);
	return key;
}

SEC("tc") __success __retval(0)
int tree(struct __sk_buff *skb)
{
	if (first() != -1) return __LINE__;
	if (add(5) || add(1) || add(9) || add(3) || add(7) || add(2)) return __LINE__;
	if (first() != 1 || first() != 2 || first() != 3) return __LINE__;
	if (add(4)) return __LINE__;
	if (first() != 4 || first() != 5 || first() != 7) return __LINE__;
	/* 9 goes with the map */
	return 0;
}

/* One node in the list and in the tree at once. */
SEC("tc") __success __retval(0)
int both(struct __sk_buff *skb)
{
	struct node *n = bpf_obj_new(typeof(*n)), *m;

	if (!n)
		return __LINE__;
	n->key = 77;
	m = bpf_refcount_acquire(n);
	bpf_spin_lock(&lock);
	bpf_rbtree_add(&root, &n->rb, less);
	bpf_list_push_front(&head, &m->list);
	bpf_spin_unlock(&lock);
	if (first() != 77) return __LINE__;
	if (pop(false) != 77) return __LINE__;
	return 0;
}
