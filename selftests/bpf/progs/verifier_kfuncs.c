// SPDX-License-Identifier: GPL-2.0-only
/* Arguments and results of kernel functions, sections without sleep or preemption, iterators, exceptions. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

struct map_value { __u64 v; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct map_value); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ringbuf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 4); } jmp SEC(".maps");

/* Calls from assembly alone leave no BTF of the function: it is never called itself. */
void btf_root(void)
{
	bpf_rcu_read_lock();
	bpf_preempt_disable();
	bpf_cgroup_from_id(0);
	bpf_map_sum_elem_count(NULL);
	bpf_iter_num_new(NULL, 0, 0);
	bpf_iter_num_destroy(NULL);
}

/* --- RCU and preemption --- */
ACCEPT("tc") int rcu_ok(void *ctx) { bpf_rcu_read_lock(); bpf_rcu_read_unlock(); return 0; }
REJECT("tc", "nested rcu read lock (kernel function bpf_rcu_read_lock)")
int rcu_nested(void *ctx) { bpf_rcu_read_lock(); bpf_rcu_read_lock(); bpf_rcu_read_unlock(); return 0; }
REJECT("tc", "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)")
int rcu_unmatched(void *ctx) { bpf_rcu_read_unlock(); return 0; }
REJECT("tc", "bpf_rcu_read_unlock is missing")
int rcu_left(void *ctx) { bpf_rcu_read_lock(); return 0; }
ACCEPT("tc") int preempt_ok(void *ctx) { bpf_preempt_disable(); bpf_preempt_disable(); bpf_preempt_enable(); bpf_preempt_enable(); return 0; }
REJECT("tc", "unmatched attempt to enable preemption (kernel function bpf_preempt_enable)")
int preempt_unmatched(void *ctx) { bpf_preempt_enable(); return 0; }
REJECT("tc", "1 bpf_preempt_enable is missing")
int preempt_left(void *ctx) { bpf_preempt_disable(); return 0; }
REJECT("?lsm.s/bpf", "sleepable helper bpf_copy_from_user#148 in rcu_read_lock region")
int rcu_sleeps(void *ctx) { int x; bpf_rcu_read_lock(); bpf_copy_from_user(&x, 4, NULL); bpf_rcu_read_unlock(); return 0; }
REJECT("?lsm.s/bpf", "sleepable helper bpf_copy_from_user#148 in non-preemptible region")
int preempt_sleeps(void *ctx) { int x; bpf_preempt_disable(); bpf_copy_from_user(&x, 4, NULL); bpf_preempt_enable(); return 0; }
REJECT("?lsm.s/bpf", "kernel func bpf_copy_from_user_str is sleepable within rcu_read_lock region")
int rcu_kfunc_sleeps(void *ctx) { char x[4]; bpf_rcu_read_lock(); bpf_copy_from_user_str(x, 4, NULL, 0); bpf_rcu_read_unlock(); return 0; }
REJECT("?lsm.s/bpf", "kernel func bpf_copy_from_user_str is sleepable within non-preemptible region")
int preempt_kfunc_sleeps(void *ctx) { char x[4]; bpf_preempt_disable(); bpf_copy_from_user_str(x, 4, NULL, 0); bpf_preempt_enable(); return 0; }
REJECT("?fentry/bpf_fentry_test1", "program must be sleepable to call sleepable kfunc bpf_copy_from_user_str")
int kfunc_sleeps(void *ctx) { char x[4]; bpf_copy_from_user_str(x, 4, NULL, 0); return 0; }
REJECT("tc", "BPF_LD_[ABS|IND] cannot be used inside bpf_rcu_read_lock-ed region")
__naked int rcu_ld_abs(void) { asm volatile("r6 = r1; call %[lock]; r0 = *(u8 *)skb[0]; exit;" :: [lock] "i"(bpf_rcu_read_lock) : __clobber_all); }
REJECT("tc", "BPF_LD_[ABS|IND] cannot be used inside bpf_preempt_disable-ed region")
__naked int preempt_ld_abs(void) { asm volatile("r6 = r1; call %[lock]; r0 = *(u8 *)skb[0]; exit;" :: [lock] "i"(bpf_preempt_disable) : __clobber_all); }
REJECT("tc", "tail_call cannot be used inside bpf_rcu_read_lock-ed region")
int rcu_tail_call(void *ctx) { bpf_rcu_read_lock(); bpf_tail_call(ctx, &jmp, 0); bpf_rcu_read_unlock(); return 0; }
REJECT("tc", "tail_call cannot be used inside bpf_preempt_disable-ed region")
int preempt_tail_call(void *ctx) { bpf_preempt_disable(); bpf_tail_call(ctx, &jmp, 0); bpf_preempt_enable(); return 0; }
__noinline __weak int global_sub(int x) { return x; }
REJECT("tc", "global function calls are not allowed with preemption disabled,")
int preempt_global(void *ctx) { bpf_preempt_disable(); global_sub(1); bpf_preempt_enable(); return 0; }
static __noinline int leaves_rcu(void) { bpf_rcu_read_lock(); return 0; }
ACCEPT("tc") int rcu_in_static(void *ctx) { leaves_rcu(); bpf_rcu_read_unlock(); return 0; }

/* --- iterators --- */
ACCEPT("tc") __retval(10) int iter_ok(void *ctx)
{
	struct bpf_iter_num it; int *p, sum = 0;
	bpf_iter_num_new(&it, 0, 5);
	while ((p = bpf_iter_num_next(&it)))
		sum += *p;
	bpf_iter_num_destroy(&it);
	return sum;
}
REJECT("tc", "expected an initialized iter_num as arg #0")
int iter_next_raw(void *ctx)
{
	struct bpf_iter_num it;
	bpf_iter_num_next(&it);
	return 0;
}
REJECT("tc", "expected uninitialized iter_num as arg #0")
int iter_twice(void *ctx)
{
	struct bpf_iter_num it;
	bpf_iter_num_new(&it, 0, 5);
	bpf_iter_num_new(&it, 0, 5);
	bpf_iter_num_destroy(&it);
	return 0;
}
REJECT("tc", "Unreleased reference id=1 alloc_insn=")
int iter_left(void *ctx)
{
	struct bpf_iter_num it;
	bpf_iter_num_new(&it, 0, 5);
	return 0;
}
REJECT("tc", "arg#0 expected pointer to an iterator on stack")
int iter_in_map(void *ctx)
{
	int key = 0;
	void *p = bpf_map_lookup_elem(&array, &key);
	if (p)
		bpf_iter_num_new(p, 0, 5);
	return 0;
}
REJECT("tc", "iter has to be at a constant offset")
__naked int iter_var_off(void)
{
	asm volatile("r6 = *(u32 *)(r1 + 0); r6 &= 8; r1 = r10; r1 += -64; r1 += r6; r2 = 0; r3 = 5; call %[n]; r0 = 0; exit;" :: [n] "i"(bpf_iter_num_new) : __clobber_all);
}
REJECT("tc", "cannot pass in iter at an offset=-12")
__naked int iter_off(void)
{
	asm volatile("r1 = r10; r1 += -12; r2 = 0; r3 = 5; call %[n]; r0 = 0; exit;" :: [n] "i"(bpf_iter_num_new) : __clobber_all);
}
REJECT("tc", "invalid read from stack off -8+0 size 8")
__naked int iter_read(void)
{
	asm volatile("r1 = r10; r1 += -8; r2 = 0; r3 = 5; call %[n]; r0 = *(u64 *)(r10 - 8); r1 = r10; r1 += -8; call %[d]; r0 = 0; exit;" :: [n] "i"(bpf_iter_num_new), [d] "i"(bpf_iter_num_destroy) : __clobber_all);
}
REJECT("?lsm.s/bpf", "expected an RCU CS when using bpf_iter_task_next")
int iter_task_no_rcu(void *ctx)
{
	struct bpf_iter_task it;
	bpf_iter_task_new(&it, NULL, 0);
	bpf_iter_task_next(&it);
	bpf_iter_task_destroy(&it);
	return 0;
}
REJECT("?fentry/bpf_fentry_test1", "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs")
int iter_css(void *ctx)
{
	struct bpf_iter_css_task it;
	bpf_iter_css_task_new(&it, (void *)bpf_get_current_task_btf(), 0);
	return 0;
}

REJECT("tc", "invalid read from stack R2 var_off ")
__naked int iter_read_var(void)
{
	asm volatile("r6 = *(u32 *)(r1 + 0); r6 &= 8; r1 = r10; r1 += -8; r2 = 0; r3 = 5; call %[n]; *(u64 *)(r10 - 16) = 0; r2 = r10; r2 += -16; r2 += r6; r0 = *(u64 *)(r2 + 0); exit;" :: [n] "i"(bpf_iter_num_new) : __clobber_all);
}

/* --- arguments --- */
REJECT("tp_btf/sched_wakeup", "Possibly NULL pointer passed to trusted arg0")
int arg_null(void *ctx)
{
	bpf_task_release(bpf_task_from_pid(1));
	return 0;
}
REJECT("?lsm.s/file_open", "R1 must be referenced or trusted")
int arg_untrusted(__u64 *ctx)
{
	struct file *f = bpf_get_task_exe_file(bpf_get_current_task_btf()->parent);
	if (f)
		bpf_put_file(f);
	return 0;
}
REJECT("tp_btf/sched_wakeup", "release kernel function bpf_task_release expects refcounted PTR_TO_BTF_ID")
int arg_unreferenced(__u64 *ctx)
{
	bpf_task_release((void *)ctx[0]);
	return 0;
}
REJECT("tp_btf/sched_wakeup", "kernel function bpf_cpumask_test_cpu args#1 expected pointer to STRUCT cpumask but R2 has a pointer to STRUCT task_struct")
int arg_struct(__u64 *ctx)
{
	bpf_cpumask_test_cpu(0, (void *)ctx[0]);
	return 0;
}
REJECT("tp_btf/sched_wakeup", "arg#0 pointer type STRUCT task_struct must point to scalar, or struct with scalar")
int arg_stack(__u64 *ctx)
{
	__u64 x[8] = {};
	bpf_task_acquire((void *)x);
	return 0;
}
REJECT("tp_btf/sched_wakeup", "R1 must be a rcu pointer")
int arg_rcu(__u64 *ctx)
{
	struct task_struct *t = (void *)ctx[0];
	t = bpf_task_acquire(t->parent);
	if (t)
		bpf_task_release(t);
	return 0;
}
REJECT("tp_btf/sched_wakeup", "Unreleased reference")
int acquired(__u64 *ctx)
{
	bpf_task_acquire((void *)ctx[0]);
	return 0;
}
ACCEPT("tp_btf/sched_wakeup") int acquire_release(__u64 *ctx)
{
	struct task_struct *t = bpf_task_acquire((void *)ctx[0]);
	if (t)
		bpf_task_release(t);
	return 0;
}
REJECT("tc", "R1 is not a scalar")
__naked int arg_scalar(void)
{
	asm volatile("r1 = r10; call %[f]; r0 = 0; exit;" :: [f] "i"(bpf_cgroup_from_id) : __clobber_all);
}
REJECT("tc", "R2 must be a known constant")
int arg_const(struct __sk_buff *skb)
{
	bpf_rdonly_cast(NULL, skb->len);
	return 0;
}
REJECT("tc", "kfunc bpf_rdonly_cast type ID argument must be of a struct")
int rdonly_cast_int(struct __sk_buff *skb)
{
	bpf_rdonly_cast(skb, 1);
	return 0;
}
ACCEPT("tc") int kern_ctx(struct __sk_buff *skb)
{
	struct sk_buff *s = bpf_cast_to_kern_ctx(skb);
	return s->len == 1;
}
REJECT("tc", "arg#0 expected pointer to ctx, but got fp")
int arg_ctx(struct __sk_buff *skb)
{
	struct bpf_dynptr d; __u64 x = 0;
	bpf_dynptr_from_skb((void *)&x, 0, &d);
	return 0;
}
ACCEPT("tc") int sum_elems(struct __sk_buff *skb) { return bpf_map_sum_elem_count((void *)&array) & 1; }
REJECT("?lsm.s/file_open", "arg#1 doesn't point to a const string")
int const_str_stack(__u64 *ctx)
{
	struct bpf_dynptr d; char name[8] = {}; int key = 0;
	struct map_value *v = bpf_map_lookup_elem(&array, &key);
	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, 8, 0, &d);
	bpf_get_file_xattr((void *)ctx[0], name, &d);
	return 0;
}
REJECT("?lsm.s/file_open", "does not point to a readonly map'")
int const_str_map(__u64 *ctx)
{
	struct bpf_dynptr d; int key = 0;
	struct map_value *v = bpf_map_lookup_elem(&array, &key);
	if (!v)
		return 0;
	bpf_dynptr_from_mem(v, 8, 0, &d);
	bpf_get_file_xattr((void *)ctx[0], (void *)v, &d);
	return 0;
}
REJECT("?lsm.s/bpf", "arg#0 arg#1 memory, len pair leads to invalid memory access")
int mem_len(void *ctx)
{
	char x[4];
	bpf_copy_from_user_str(x, 40, NULL, 0);
	return 0;
}

extern void cgroup_rstat_updated(struct cgroup *cgrp, int cpu) __ksym __weak;
REJECT("tp_btf/sched_wakeup", "arg#0 is untrusted_ptr_ expected ptr_ or socket")
int arg_untrusted_struct(__u64 *ctx)
{
	cgroup_rstat_updated(bpf_rdonly_cast(NULL, bpf_core_type_id_kernel(struct cgroup)), 0);
	return 0;
}
REJECT("?lsm.s/bpf", "kernel function bpf_copy_from_user_str args#0 pointer type UNKNOWN  is not supported")
int arg_void(void *ctx)
{
	bpf_copy_from_user_str(bpf_get_current_task_btf(), 8, NULL, 0);
	return 0;
}

/* --- exceptions --- */
REJECT("tc", "bpf_throw kfunc (insn ")
int throw_cb_user(struct __sk_buff *skb);
static __noinline int throwing_cb(__u32 i, void *ctx) { bpf_throw(i); return 0; }
int throw_cb_user(struct __sk_buff *skb) { bpf_loop(5, throwing_cb, NULL, 0); return 0; }
ACCEPT("tc") int throws(struct __sk_buff *skb) { if (skb->len > 5) bpf_throw(3); return 1; }
REJECT("tc", "Unreleased reference")
int throw_with_ref(struct __sk_buff *skb)
{
	__u64 *p = bpf_ringbuf_reserve(&ringbuf, 8, 0);
	if (!p)
		return 0;
	bpf_throw(0);
	bpf_ringbuf_submit(p, 0);
	return 0;
}
REJECT("tc", "bpf_rcu_read_unlock is missing")
int throw_in_rcu(struct __sk_buff *skb) { bpf_rcu_read_lock(); bpf_throw(0); bpf_rcu_read_unlock(); return 0; }
__noinline int exc_cb(__u64 cookie) { return cookie == 5; }
ACCEPT("tc") __exception_cb(exc_cb) int throws_to_cb(struct __sk_buff *skb) { bpf_throw(5); return 0; }
__noinline int exc_cb2(__u64 cookie, __u64 x) { return 0; }
REJECT("tc", "exception cb only supports single integer argument")
__exception_cb(exc_cb2)
int throws_to_cb2(struct __sk_buff *skb) { bpf_throw(5); return 0; }
REJECT("tc", "insn {{[0-9]+}} cannot call exception cb directly")
__exception_cb(exc_cb)
int calls_cb(struct __sk_buff *skb) { if (skb->len) bpf_throw(5); return exc_cb(skb->len); }
REJECT("tc", "multiple exception callback tags for main subprog")
__exception_cb(exc_cb) __exception_cb(exc_cb2)
int two_cbs(struct __sk_buff *skb) { bpf_throw(5); return 0; }
__noinline int exc_tail(__u64 cookie) { bpf_tail_call((void *)cookie, &jmp, 0); return 0; }
REJECT("fentry/bpf_fentry_test1", "At program exit the register R1 has smin=64 smax=64 should have been in [0, 0]")
int throws_value(void *ctx) { bpf_throw(64); return 0; }

char _license[] SEC("license") = "GPL";
