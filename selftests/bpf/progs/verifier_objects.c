// SPDX-License-Identifier: GPL-2.0-only
/* Objects that programs allocate: lists, trees, reference counts, kptrs; the locks, timers and work queues of maps. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

struct foo { int data; struct bpf_list_node list; struct bpf_list_node list2; };
struct node { long key; struct bpf_rb_node rb; struct bpf_refcount ref; };
struct plain { __u64 a, b; };
struct other { struct bpf_list_node list; int x; };
struct huge { __u64 a[200]; };
struct pointers { __u64 a; void *p; };
struct holder { struct bpf_list_node list; struct task_struct __kptr *t; };

struct locked { struct bpf_spin_lock lock; int x; struct bpf_timer timer; struct bpf_wq wq; };
struct kptrs {
	struct task_struct __kptr *ref;
	struct task_struct __kptr_untrusted *unref;
	struct plain __kptr *local;
	struct plain __percpu_kptr *pc;
	__u64 x;
};
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct locked); } locks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct locked); } locks2 SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct kptrs); } kptrs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct plain); } plains SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } jmp SEC(".maps");

private(A) struct bpf_spin_lock glock;
private(A) struct bpf_list_head ghead __contains(foo, list);
private(A) struct bpf_rb_root groot __contains(node, rb);
private(B) struct bpf_spin_lock block;
private(B) struct bpf_list_head bhead __contains(foo, list2);

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return container_of(a, struct node, rb)->key < container_of(b, struct node, rb)->key;
}
#define LOOKUP(type, map) int key = 0; type *v = bpf_map_lookup_elem(&map, &key); if (!v) return 0

/* --- allocation --- */
ACCEPT("tc") int new_drop(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (f) bpf_obj_drop(f); return 0; }
REJECT("tc", "Unreleased reference")
int new_leak(void *ctx) { bpf_obj_new(struct foo); return 0; }
REJECT("tc", "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct")
int new_int(void *ctx) { bpf_obj_new_impl(bpf_core_type_id_local(int), NULL); return 0; }
REJECT("tc", "local type ID argument must be in range [0, U32_MAX]")
int new_large(void *ctx) { bpf_obj_new_impl(~0ULL, NULL); return 0; }
REJECT("tc", "arg#0 expected for bpf_obj_drop_impl()")
int drop_wrong(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (f) bpf_percpu_obj_drop(f); return 0; }
REJECT("tc", "arg#0 expected for bpf_percpu_obj_drop_impl()")
int drop_wrong2(void *ctx) { struct plain *f = (void *)bpf_percpu_obj_new(struct plain); if (f) bpf_obj_drop(f); return 0; }
REJECT("tc", "R1 must be referenced or trusted")
int drop_value(void *ctx) { LOOKUP(struct plain, plains); bpf_obj_drop(v); return 0; }
ACCEPT("tc") int percpu_new(void *ctx) { struct plain *f = (void *)bpf_percpu_obj_new(struct plain); if (f) bpf_percpu_obj_drop(f); return 0; }
REJECT("tc", "bpf_percpu_obj_new type size (1600) is greater than 512")
int percpu_huge(void *ctx) { void *f = (void *)bpf_percpu_obj_new(struct huge); if (f) bpf_percpu_obj_drop(f); return 0; }
REJECT("tc", "bpf_percpu_obj_new type ID argument must be of a struct of scalars")
int percpu_pointers(void *ctx) { void *f = (void *)bpf_percpu_obj_new(struct pointers); if (f) bpf_percpu_obj_drop(f); return 0; }
REJECT("tc", "R{{[0-9]}} is ptr_foo invalid negative access: off=-8")
int obj_before(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (!f) return 0; int x = *(volatile int *)((char *)f - 8); bpf_obj_drop(f); return x; }
REJECT("tc", "access beyond struct foo at off 1000 size 4")
int obj_beyond(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (!f) return 0; int x = *(volatile int *)((char *)f + 1000); bpf_obj_drop(f); return x; }
REJECT("tc", "direct access to bpf_list_node is disallowed")
int obj_node(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (!f) return 0; __u64 x = *(volatile __u64 *)&f->list; bpf_obj_drop(f); return x; }

/* --- reference counts --- */
ACCEPT("tc") int refcount(void *ctx) { struct node *n = bpf_obj_new(struct node), *m; if (!n) return 0; m = bpf_refcount_acquire(n); bpf_obj_drop(n); if (m) bpf_obj_drop(m); return 0; }
REJECT("tc", "arg#0 doesn't point to a type with bpf_refcount field")
int refcount_none(void *ctx) { struct foo *n = bpf_obj_new(struct foo), *m; if (!n) return 0; m = bpf_refcount_acquire(n); bpf_obj_drop(n); if (m) bpf_obj_drop(m); return 0; }
REJECT("tc", "arg#0 is neither owning or non-owning ref")
int refcount_value(void *ctx) { LOOKUP(struct plain, plains); bpf_refcount_acquire(v); return 0; }

/* --- lists --- */
ACCEPT("tc") int list_ok(void *ctx)
{
	struct foo *f = bpf_obj_new(struct foo); struct bpf_list_node *n;
	if (!f)
		return 0;
	bpf_spin_lock(&glock); bpf_list_push_front(&ghead, &f->list); n = bpf_list_pop_back(&ghead); bpf_spin_unlock(&glock);
	if (n)
		bpf_obj_drop(container_of(n, struct foo, list));
	return 0;
}
REJECT("tc", "bpf_spin_lock at off=0 must be held for bpf_list_head")
int list_nolock(void *ctx) { bpf_list_pop_front(&ghead); return 0; }
REJECT("tc", "held lock and object are not in the same allocation")
int list_wronglock(void *ctx) { bpf_spin_lock(&block); bpf_list_pop_front(&ghead); bpf_spin_unlock(&block); return 0; }
REJECT("tc", "bpf_list_head not found at offset=0")
int list_nohead(void *ctx) { bpf_spin_lock(&glock); bpf_list_pop_front((void *)&glock); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "bpf_list_node not found at offset=0")
int list_nonode(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (!f) return 0; bpf_spin_lock(&glock); bpf_list_push_front(&ghead, (void *)f); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "arg#1 offset=32, but expected bpf_list_node at offset=8 in struct foo")
int list_wrongnode(void *ctx) { struct foo *f = bpf_obj_new(struct foo); if (!f) return 0; bpf_spin_lock(&glock); bpf_list_push_front(&ghead, &f->list2); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "operation on bpf_list_head expects arg#1 bpf_list_node at offset=8 in struct foo, but arg is at offset=0 in struct other")
int list_wrongstruct(void *ctx) { struct other *f = bpf_obj_new(struct other); if (!f) return 0; bpf_spin_lock(&glock); bpf_list_push_front(&ghead, &f->list); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "arg#1 expected pointer to allocated object")
int list_valuenode(void *ctx) { LOOKUP(struct plain, plains); bpf_spin_lock(&glock); bpf_list_push_front(&ghead, (void *)v); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "arg#0 expected pointer to map value or allocated object")
int list_stackhead(void *ctx) { struct bpf_list_head h = {}; bpf_list_pop_front(&h); return 0; }
REJECT("tc", "bpf_list_head has to be at the constant offset")
__naked int list_varoff(void)
{
	asm volatile("r6 = *(u32 *)(r1 + 0); r6 &= 8; r1 = %[ghead] ll; r1 += r6; call %[f]; r0 = 0; exit;" :: [f] "i"(bpf_list_pop_front), __imm_addr(ghead) : __clobber_all);
}
REJECT("tc", "function calls are not allowed while holding a lock")
int list_helper(void *ctx) { bpf_spin_lock(&glock); bpf_get_prandom_u32(); bpf_spin_unlock(&glock); return 0; }

/* --- trees --- */
ACCEPT("tc") int tree_ok(void *ctx)
{
	struct node *n = bpf_obj_new(struct node); struct bpf_rb_node *r;
	if (!n)
		return 0;
	bpf_spin_lock(&glock);
	bpf_rbtree_add(&groot, &n->rb, less);
	r = bpf_rbtree_first(&groot);
	if (r)
		r = bpf_rbtree_remove(&groot, r);
	bpf_spin_unlock(&glock);
	if (r)
		bpf_obj_drop(container_of(r, struct node, rb));
	return 0;
}
REJECT("tc", "rbtree_remove node input must be non-owning ref")
int tree_remove_owned(void *ctx) { struct node *n = bpf_obj_new(struct node); if (!n) return 0; bpf_spin_lock(&glock); bpf_rbtree_remove(&groot, &n->rb); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "arg#1 expected pointer to allocated object")
int tree_add_twice(void *ctx) { struct node *n = bpf_obj_new(struct node); if (!n) return 0; bpf_spin_lock(&glock); bpf_rbtree_add(&groot, &n->rb, less); bpf_rbtree_add(&groot, &n->rb, less); bpf_spin_unlock(&glock); return 0; }
static bool less_locks(struct bpf_rb_node *a, const struct bpf_rb_node *b) { bpf_spin_unlock(&glock); return false; }
REJECT("tc", "can't spin_{lock,unlock} in rbtree cb")
int tree_cb_locks(void *ctx) { struct node *n = bpf_obj_new(struct node); if (!n) return 0; bpf_spin_lock(&glock); bpf_rbtree_add(&groot, &n->rb, less_locks); bpf_spin_unlock(&glock); return 0; }
static bool less_removes(struct bpf_rb_node *a, const struct bpf_rb_node *b) { bpf_rbtree_remove(&groot, a); return false; }
REJECT("tc", "rbtree_remove not allowed in rbtree cb")
int tree_cb_removes(void *ctx) { struct node *n = bpf_obj_new(struct node); if (!n) return 0; bpf_spin_lock(&glock); bpf_rbtree_add(&groot, &n->rb, less_removes); bpf_spin_unlock(&glock); return 0; }
static bool less_rcu(struct bpf_rb_node *a, const struct bpf_rb_node *b) { bpf_rcu_read_unlock(); return false; }
REJECT("tc", "function calls are not allowed while holding a lock")
int tree_cb_rcu(void *ctx) { struct node *n = bpf_obj_new(struct node); if (!n) return 0; bpf_rcu_read_lock(); bpf_spin_lock(&glock); bpf_rbtree_add(&groot, &n->rb, less_rcu); bpf_spin_unlock(&glock); bpf_rcu_read_unlock(); return 0; }

/* --- locks --- */
ACCEPT("tc") int lock_ok(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); v->x++; bpf_spin_unlock(&v->lock); return 0; }
REJECT("tc", "function calls are not allowed while holding a lock")
int lock_twice(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); bpf_spin_lock(&v->lock); return 0; }
REJECT("tc", "bpf_spin_unlock without taking a lock")
int unlock_only(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_unlock(&v->lock); return 0; }
REJECT("tc", "bpf_spin_unlock of different lock")
int unlock_other(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); bpf_spin_unlock(&glock); return 0; }
REJECT("tc", "bpf_spin_unlock is missing")
int lock_left(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); return 0; }
REJECT("tc", "off 4 doesn't point to 'struct bpf_spin_lock' that is at 0")
int lock_off(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock((void *)&v->x); return 0; }
REJECT("tc", "map 'plains' has no valid bpf_spin_lock")
int lock_none(void *ctx) { LOOKUP(struct plain, plains); bpf_spin_lock((void *)v); return 0; }
REJECT("tc", "bpf_spin_lock cannot be accessed directly by load/store")
int lock_read(void *ctx) { LOOKUP(struct locked, locks); return *(volatile int *)&v->lock; }
REJECT("tc", "BPF_LD_[ABS|IND] cannot be used inside bpf_spin_lock-ed region")
__naked int lock_ld_abs(void)
{
	asm volatile("r6 = r1; r1 = %[glock] ll; call 93; r0 = *(u8 *)skb[0]; exit;" :: __imm_addr(glock) : __clobber_all);
}
REJECT("tracepoint/syscalls/sys_enter_x", "tracing progs cannot use bpf_spin_lock yet")
int lock_tracing(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); bpf_spin_unlock(&v->lock); return 0; }
REJECT("socket", "socket filter progs cannot use bpf_spin_lock yet")
int lock_socket(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); bpf_spin_unlock(&v->lock); return 0; }
REJECT("tracepoint/syscalls/sys_enter_y", "tracing progs cannot use bpf_{list_head,rb_root} yet")
int list_tracing(void *ctx) { bpf_list_pop_front(&ghead); return 0; }
__noinline __weak int global_fn(int x) { return x; }
REJECT("tc", "global function calls are not allowed while holding a lock")
int lock_global(void *ctx) { LOOKUP(struct locked, locks); bpf_spin_lock(&v->lock); global_fn(1); bpf_spin_unlock(&v->lock); return 0; }

/* --- timers and work queues --- */
static int timer_cb(void *map, int *key, void *value) { return 0; }
static int timer_cb1(void *map, int *key, void *value) { return 1; }
ACCEPT("tc") int timer_ok(void *ctx) { LOOKUP(struct locked, locks); bpf_timer_init(&v->timer, &locks, 1); bpf_timer_set_callback(&v->timer, timer_cb); bpf_timer_start(&v->timer, 0, 0); return 0; }
REJECT("tc", "At async callback return the register R0 has smin=1 smax=1 should have been in [0, 0]")
int timer_ret(void *ctx) { LOOKUP(struct locked, locks); bpf_timer_set_callback(&v->timer, timer_cb1); return 0; }
REJECT("tc", "timer pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0")
int timer_map(void *ctx) { LOOKUP(struct locked, locks); bpf_timer_init(&v->timer, &locks2, 1); return 0; }
REJECT("tc", "off 4 doesn't point to 'struct bpf_timer' that is at 8")
int timer_off(void *ctx) { LOOKUP(struct locked, locks); bpf_timer_init((void *)&v->x, &locks, 1); return 0; }
REJECT("tc", "map 'plains' has no valid bpf_timer")
int timer_none(void *ctx) { LOOKUP(struct plain, plains); bpf_timer_init((void *)v, &plains, 1); return 0; }
REJECT("tc", "bpf_timer cannot be accessed directly by load/store")
int timer_read(void *ctx) { LOOKUP(struct locked, locks); return *(volatile int *)&v->timer; }
ACCEPT("tc") int wq_ok(void *ctx) { LOOKUP(struct locked, locks); bpf_wq_init(&v->wq, &locks, 0); bpf_wq_set_callback_impl(&v->wq, timer_cb, 0, NULL); bpf_wq_start(&v->wq, 0); return 0; }
REJECT("tc", "workqueue pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0")
int wq_map(void *ctx) { LOOKUP(struct locked, locks); bpf_wq_init(&v->wq, &locks2, 0); return 0; }
REJECT("tc", "pointer in R2 isn't map pointer")
int wq_nomap(void *ctx) { LOOKUP(struct locked, locks); bpf_wq_init(&v->wq, NULL, 0); return 0; }
REJECT("tc", "doesn't point to 'struct bpf_wq' that is at 24")
int wq_off(void *ctx) { LOOKUP(struct locked, locks); bpf_wq_init((void *)&v->x, &locks, 0); return 0; }
REJECT("tc", "arg#0 doesn't point to a map value")
int wq_stack(void *ctx) { struct bpf_wq w = {}; bpf_wq_init(&w, &locks, 0); return 0; }
REJECT("tc", "bpf_wq cannot be accessed directly by load/store")
int wq_read(void *ctx) { LOOKUP(struct locked, locks); return *(volatile int *)&v->wq; }

struct timed { struct bpf_timer timer; };
struct worked { struct bpf_wq wq; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct timed); } timed SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct worked); } worked SEC(".maps");
REJECT("tracepoint/syscalls/sys_enter_z", "tracing progs cannot use bpf_timer yet")
int timer_tracing(void *ctx) { LOOKUP(struct timed, timed); return v != NULL; }
REJECT("tracepoint/syscalls/sys_enter_w", "tracing progs cannot use bpf_wq yet")
int wq_tracing(void *ctx) { LOOKUP(struct worked, worked); return v != NULL; }
void btf_root(void) { bpf_wq_set_callback_impl(NULL, timer_cb, 0, NULL); bpf_list_pop_front(NULL); }
REJECT("tc", "arg1 expected pointer to func")
__naked int wq_nocb(void)
{
	asm volatile("*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = %[worked] ll; call 1; if r0 == 0 goto 1f; r1 = r0; r2 = 0; r3 = 0; r4 = 0; call %[f]; 1: r0 = 0; exit;" :: [f] "i"(bpf_wq_set_callback_impl), __imm_addr(worked) : __clobber_all);
}

/* --- kptrs --- */
REJECT("tp_btf/sched_wakeup", "Possibly NULL pointer passed to helper arg2")
int kptr_maybe_null(__u64 *ctx) { LOOKUP(struct kptrs, kptrs); struct task_struct *t = bpf_task_acquire((void *)ctx[0]); t = bpf_kptr_xchg(&v->ref, t); if (t) bpf_task_release(t); return 0; }
REJECT("tp_btf/sched_wakeup", "arg#0 expected pointer to allocated object")
int drop_task(__u64 *ctx) { struct task_struct *t = bpf_task_acquire((void *)ctx[0]); if (t) bpf_obj_drop(t); return 0; }
ACCEPT("tc") int kptr_xchg(void *ctx) { LOOKUP(struct kptrs, kptrs); struct task_struct *t = bpf_kptr_xchg(&v->ref, NULL); if (t) bpf_task_release(t); return 0; }
REJECT("tc", "Unreleased reference")
int kptr_leak(void *ctx) { LOOKUP(struct kptrs, kptrs); bpf_kptr_xchg(&v->ref, NULL); return 0; }
ACCEPT("tc") int kptr_local(void *ctx) { LOOKUP(struct kptrs, kptrs); struct plain *p = bpf_obj_new(struct plain); if (!p) return 0; p = bpf_kptr_xchg(&v->local, p); if (p) bpf_obj_drop(p); return 0; }
REJECT("tc", "off=8 kptr isn't referenced kptr")
int kptr_unref(void *ctx) { LOOKUP(struct kptrs, kptrs); bpf_kptr_xchg(&v->unref, NULL); return 0; }
REJECT("tc", "off=32 doesn't point to kptr")
int kptr_none(void *ctx) { LOOKUP(struct kptrs, kptrs); bpf_kptr_xchg(&v->x, NULL); return 0; }
REJECT("tc", "R1 has no valid kptr")
int kptr_nomap(void *ctx) { LOOKUP(struct plain, plains); bpf_kptr_xchg(v, NULL); return 0; }
REJECT("tc", "R1 doesn't have constant offset. kptr has to be at the constant offset")
int kptr_varoff(struct __sk_buff *skb) { LOOKUP(struct kptrs, kptrs); bpf_kptr_xchg((void *)v + (skb->len & 8), NULL); return 0; }
REJECT("tc", "kptr access size must be BPF_DW")
int kptr_half(void *ctx) { LOOKUP(struct kptrs, kptrs); return *(volatile int *)&v->unref; }
REJECT("tc", "kptr access misaligned expected=8 off=12")
int kptr_misaligned(void *ctx) { LOOKUP(struct kptrs, kptrs); return *(volatile __u64 *)((void *)v + 12); }
REJECT("tc", "kptr access cannot have variable offset")
int kptr_var(struct __sk_buff *skb) { LOOKUP(struct kptrs, kptrs); return *(volatile __u64 *)((void *)v + (skb->len & 8)); }
REJECT("tc", "kptr cannot be accessed indirectly by helper")
int kptr_helper(struct __sk_buff *skb) { LOOKUP(struct kptrs, kptrs); bpf_skb_load_bytes(skb, 0, v, 16); return 0; }
REJECT("tc", "BPF_ST imm must be 0 when storing to kptr at off=8")
__naked int kptr_imm(void)
{
	asm volatile("*(u32 *)(r10 - 4) = 0; r2 = r10; r2 += -4; r1 = %[kptrs] ll; call 1; if r0 == 0 goto 1f; .8byte 0x000000050008007a; 1: r0 = 0; exit;" :: __imm_addr(kptrs) : __clobber_all);
}
REJECT("tc", "store to referenced kptr disallowed")
int kptr_store(void *ctx) { LOOKUP(struct kptrs, kptrs); *(struct task_struct *volatile *)&v->ref = NULL; return 0; }
ACCEPT("tc") int kptr_store_null(void *ctx) { LOOKUP(struct kptrs, kptrs); *(struct task_struct *volatile *)&v->unref = NULL; return 0; }
REJECT("tc", "kptr in map can only be accessed using BPF_MEM instruction mode")
int kptr_atomic(void *ctx) { LOOKUP(struct kptrs, kptrs); __sync_fetch_and_add((__u64 *)&v->unref, 1); return 0; }
REJECT("tc", "R{{[0-9]}} invalid mem access 'untrusted_ptr_or_null_'")
int kptr_deref(void *ctx) { LOOKUP(struct kptrs, kptrs); struct task_struct *t = (void *)v->unref; return *(volatile int *)((void *)t); }
REJECT("tc", "invalid kptr access, R2 type=ptr_plain expected=ptr_task_struct")
int kptr_type(void *ctx) { LOOKUP(struct kptrs, kptrs); struct plain *p = bpf_obj_new(struct plain); if (!p) return 0; bpf_kptr_xchg(&v->ref, p); return 0; }

char _license[] SEC("license") = "GPL";
