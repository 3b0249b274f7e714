// SPDX-License-Identifier: GPL-2.0-only
/* Global functions and their arguments, callbacks, dynptrs. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

struct val { __u64 a, b; };
struct big { __u64 a[4]; };

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct val); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ringbuf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } user_ringbuf SEC(".maps");
#define LOOKUP() int key = 0; struct val *v = bpf_map_lookup_elem(&array, &key); if (!v) return 0

/* --- arguments of global functions --- */
__noinline __weak int g_mem(struct val *v) { return v ? v->a : 0; }
__noinline __weak int g_nonnull(struct val *v __arg_nonnull) { return v->a; }
__noinline __weak int g_ctx(struct __sk_buff *skb) { return skb->len; }
__noinline __weak int g_void_ctx(void *ctx __arg_ctx) { return ((struct __sk_buff *)ctx)->len; }
__noinline __weak int g_scalar(int x) { return x; }
__noinline __weak int g_dynptr(const struct bpf_dynptr *d) { return bpf_dynptr_size(d); }
ACCEPT("tc") __retval(0) int global_ok(struct __sk_buff *skb) { struct val v = {}; return g_mem(&v) + g_mem(NULL) + g_nonnull(&v) + g_scalar(0); }
ACCEPT("tc") int global_ctx(struct __sk_buff *skb) { return g_ctx(skb) - g_void_ctx(skb); }
REJECT("tc", "arg#0 expects pointer to ctx")
int global_ctx_bad(struct __sk_buff *skb) { struct val v = {}; return g_ctx((void *)&v); }
REJECT("tc", "R1 type=ctx expected=fp")
int global_nonnull(struct __sk_buff *skb) { return g_nonnull((void *)skb); }
REJECT("tc", "R1 is not a scalar")
__naked int global_scalar(void) { asm volatile("r1 = r10; call g_scalar; exit;" ::: __clobber_all); }
__noinline __weak int g_float(struct val v) { return v.a; }
__noinline __weak void *g_ptr(int x) { return (void *)(long)x; }
REJECT("tc", "Global function g_ptr() doesn't return scalar. Only those are supported.")
int global_ptr(struct __sk_buff *skb) { return g_ptr(1) == NULL; }
REJECT("tc", "Arg#0 type STRUCT in g_float() is not supported yet.")
int global_struct(struct __sk_buff *skb) { struct val v = {}; return g_float(v); }
__noinline __weak int g_tag(int x __arg_nonnull) { return x; }
REJECT("tc", "arg#0 has pointer tag, but is not a pointer type")
int global_tag(struct __sk_buff *skb) { return g_tag(1); }
__noinline __weak int g_unknown(struct val *v __attribute__((btf_decl_tag("arg:nonsense")))) { return 0; }
REJECT("tc", "arg#0 has unsupported set of tags")
int global_unknown(struct __sk_buff *skb) { return g_unknown(NULL); }
__noinline __weak int g_two(struct val *v __arg_trusted __arg_nonnull) { return 0; }
REJECT("tc", "arg#0 has invalid combination of tags")
int global_two(struct __sk_buff *skb) { return g_two(NULL); }
__noinline __weak int g_arena(void *v __arg_arena __arg_nonnull) { return 0; }
REJECT("tc", "arg#0 arena cannot be combined with any other tags")
int global_arena_two(struct __sk_buff *skb) { return g_arena(NULL); }
__noinline __weak int g_arena1(void *v __arg_arena) { return 0; }
REJECT("tc", "R1 is not a pointer to arena or scalar.")
int global_arena(struct __sk_buff *skb) { struct val v = {}; return g_arena1(&v); }
__noinline __weak int g_ctx_tag(struct val *v __arg_ctx) { return 0; }
REJECT("tc", "arg#0 should be `struct __sk_buff *`")
int global_ctx_tag(struct __sk_buff *skb) { return g_ctx_tag((void *)skb); }
__noinline __weak int g_ctx_int(int v __arg_ctx) { return 0; }
REJECT("tc", "arg#0 has pointer tag, but is not a pointer type")
int global_ctx_int(struct __sk_buff *skb) { return g_ctx_int(1); }
__noinline __weak int g_ctx_pp(void **v __arg_ctx) { return 0; }
REJECT("tc", "arg#0 type doesn't have a name")
int global_ctx_pp(struct __sk_buff *skb) { return g_ctx_pp((void *)skb); }
struct unsized;
__noinline __weak int g_fwd(struct unsized *v) { barrier_var(v); return v != NULL; }
REJECT("tc", "arg#0 reference type('FWD unsized') size cannot be determined: -22")
int global_fwd(struct __sk_buff *skb) { return g_fwd((void *)skb); }
__noinline __weak int g_untype(struct val *v __arg_trusted) { return 0; }
REJECT("tc", "arg#0 reference type('STRUCT val') has no matches")
int global_untype(struct __sk_buff *skb) { return g_untype(NULL); }
__noinline __weak int g_task(struct task_struct *t __arg_trusted) { return t->pid; }
ACCEPT("tp_btf/sched_wakeup") int global_task(__u64 *ctx) { return g_task((void *)ctx[0]); }
REJECT("tp_btf/sched_wakeup", "R1 type=fp expected=")
int global_task_bad(__u64 *ctx) { struct val v = {}; return g_task((void *)&v); }
static __noinline int s_tag(struct val *v __arg_nonnull) { return v->a; }
REJECT("tc", "R1 invalid mem access 'scalar'")
int static_tag(struct __sk_buff *skb) { asm volatile("" : : "r"(skb)); return s_tag((void *)(long)skb->len); }
__noinline __weak int g_leaks(struct __sk_buff *skb) { bpf_rcu_read_lock(); return 0; }
REJECT("tc", "bpf_rcu_read_unlock is missing")
int global_leaks(struct __sk_buff *skb) { return g_leaks(skb); }
__noinline __weak long g_stack(int x) { char a[400]; a[x & 255] = 1; barrier_var(x); return *(volatile char *)&a[x & 127]; }
REJECT("tc", "combined stack size of 2 calls is")
int global_stack(struct __sk_buff *skb) { volatile char a[300]; a[skb->len & 255] = 1; return g_stack(skb->len) + a[skb->len & 127]; }
__noinline __weak __naked int g_returns_ctx(void) { asm volatile("r0 = r10; exit;" ::: __clobber_all); }
REJECT("tc", "At subprogram exit the register R0 is not a scalar value (fp)")
int global_returns(struct __sk_buff *skb) { return g_returns_ctx(); }

#define CHAIN(n, next) __noinline __weak int n(int x) { return next(x) + 1; }
__noinline __weak int c9(int x) { return x; }
CHAIN(c8, c9)
CHAIN(c7, c8)
CHAIN(c6, c7)
CHAIN(c5, c6)
CHAIN(c4, c5)
CHAIN(c3, c4)
CHAIN(c2, c3)
CHAIN(c1, c2)
REJECT("tc", "the call stack of 8 frames is too deep !")
int global_chain(struct __sk_buff *skb) { return c1(skb->len); }
REJECT("fentry/bpf_fentry_test1", "arg#0 should be void pointer")
int fentry_ctx_tag(void *ctx) { return g_ctx_tag(ctx); }
__noinline __weak int g_xattr(struct file *f __arg_trusted, const struct bpf_dynptr *d) { static const char name[] = "user.x"; bpf_get_file_xattr(f, name, (struct bpf_dynptr *)d); return 0; }
ACCEPT("?lsm.s/file_open")
int const_dynptr(__u64 *ctx) { struct bpf_dynptr d; LOOKUP(); bpf_dynptr_from_mem(v, 16, 0, &d); g_xattr((void *)ctx[0], &d); return 0; }

/* --- callbacks --- */
static int cb_ok(__u32 i, void *ctx) { return 0; }
static int cb_2(__u32 i, void *ctx) { return 2; }
__noinline int cb_global(__u32 i, void *ctx) { return 0; }
static int cb_inc(__u32 i, void *ctx) { (*(__u64 *)ctx)++; return 0; }
ACCEPT("tc") __msg("bpf_loop iteration limit reached") __log_level(2)
int loop_limit(struct __sk_buff *skb) { __u64 x = 0; LOOKUP(); bpf_loop(2, cb_inc, &x, 0); return ((volatile char *)v)[x]; }
ACCEPT("tc") __log_level(2) int loop_ok(struct __sk_buff *skb) { return bpf_loop(2, cb_ok, NULL, 0) != 2; }
REJECT("tc", "At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]")
int loop_ret(struct __sk_buff *skb) { bpf_loop(2, cb_2, NULL, 0); return 0; }
REJECT("tc", "callback function not static")
int loop_global(struct __sk_buff *skb) { bpf_loop(2, cb_global, NULL, 0); return 0; }
static __noinline __naked int cb_ptr(void) { asm volatile("r0 = r10; exit;" ::: __clobber_all); }
REJECT("tc", "cannot return stack pointer to the caller")
int loop_ptr(struct __sk_buff *skb) { bpf_loop(2, cb_ptr, NULL, 0); return 0; }
static __noinline __naked int cb_ctx(void) { asm volatile("r0 = r1; exit;" ::: __clobber_all); }
REJECT("tc", "R0 not a scalar value")
int loop_ctx(struct __sk_buff *skb) { bpf_for_each_map_elem(&array, cb_ctx, NULL, 0); return 0; }
static int each_ok(void *map, int *key, struct val *v, void *ctx) { v->a = *key; return 0; }
static int each_key(void *map, int *key, struct val *v, void *ctx) { *key = 1; return 0; }
static int each_beyond(void *map, int *key, struct val *v, void *ctx) { return *(volatile int *)((char *)key + 4) & 1; }
ACCEPT("tc") int for_each(struct __sk_buff *skb) { bpf_for_each_map_elem(&array, each_ok, NULL, 0); return 0; }
REJECT("tc", "write to change key R{{[0-9]}} not allowed")
int for_each_key(struct __sk_buff *skb) { bpf_for_each_map_elem(&array, each_key, NULL, 0); return 0; }
REJECT("tc", "invalid access to map key, key_size=4 off=4 size=4")
int for_each_beyond(struct __sk_buff *skb) { bpf_for_each_map_elem(&array, each_beyond, NULL, 0); return 0; }
static long user_cb(struct bpf_dynptr *d, void *ctx) { __u64 *p = bpf_dynptr_data(d, 0, 8); return p ? *p & 1 : 0; }
static long user_cb_submit(struct bpf_dynptr *d, void *ctx) { bpf_ringbuf_submit_dynptr(d, 0); return 0; }
ACCEPT("tc") int drain(struct __sk_buff *skb) { bpf_user_ringbuf_drain(&user_ringbuf, user_cb, NULL, 0); return 0; }
REJECT("tc", "cannot release unowned const bpf_dynptr")
int drain_submit(struct __sk_buff *skb) { bpf_user_ringbuf_drain(&user_ringbuf, user_cb_submit, NULL, 0); return 0; }
static long user_cb_init(struct bpf_dynptr *d, void *ctx) { bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, d); return 0; }
REJECT("tc", "Dynptr has to be an uninitialized dynptr")
int drain_init(struct __sk_buff *skb) { bpf_user_ringbuf_drain(&user_ringbuf, user_cb_init, NULL, 0); return 0; }
static long user_cb_adjust(struct bpf_dynptr *d, void *ctx) { struct bpf_dynptr c; bpf_dynptr_clone(d, &c); return bpf_dynptr_adjust(d, 1, 2) & 1; }
ACCEPT("tc") int drain_clone(struct __sk_buff *skb) { bpf_user_ringbuf_drain(&user_ringbuf, user_cb_adjust, NULL, 0); return 0; }

/* --- dynptrs --- */
ACCEPT("tc") int dynptr_ok(struct __sk_buff *skb)
{
	struct bpf_dynptr d; __u64 buf = 0, *p;
	LOOKUP();
	bpf_dynptr_from_mem(v, 16, 0, &d);
	bpf_dynptr_read(&buf, 8, &d, 0, 0);
	bpf_dynptr_write(&d, 8, &buf, 8, 0);
	p = bpf_dynptr_data(&d, 0, 8);
	return p ? *p & 1 : 0;
}
ACCEPT("tc") int dynptr_skb(struct __sk_buff *skb)
{
	struct bpf_dynptr d; char buf[4]; char *p;
	if (bpf_dynptr_from_skb(skb, 0, &d))
		return 0;
	p = bpf_dynptr_slice_rdwr(&d, 0, buf, 4);
	if (p)
		p[0] = 1;
	return 0;
}
REJECT("cgroup_skb/egress", "the prog does not allow writes to packet data")
int slice_rdwr(struct __sk_buff *skb)
{
	struct bpf_dynptr d; char buf[4]; char *p;
	if (bpf_dynptr_from_skb(skb, 0, &d))
		return 1;
	p = bpf_dynptr_slice_rdwr(&d, 0, buf, 4);
	if (p)
		p[0] = 1;
	return 1;
}
REJECT("tc", "R{{[0-9]}} cannot write into rdonly_mem")
int slice_write(struct __sk_buff *skb)
{
	struct bpf_dynptr d; char buf[4]; char *p;
	if (bpf_dynptr_from_skb(skb, 0, &d))
		return 0;
	p = bpf_dynptr_slice(&d, 0, buf, 4);
	if (p)
		*(volatile char *)p = 1;
	return 0;
}
REJECT("tc", "R4 must be a known constant")
int slice_var(struct __sk_buff *skb)
{
	struct bpf_dynptr d; char buf[16];
	if (bpf_dynptr_from_skb(skb, 0, &d))
		return 0;
	return bpf_dynptr_slice(&d, 0, buf, skb->len & 15) != NULL;
}
REJECT("tc", "invalid mem access 'mem_or_null'")
int data_null(struct __sk_buff *skb)
{
	struct bpf_dynptr d;
	LOOKUP();
	bpf_dynptr_from_mem(v, 16, 0, &d);
	return *(volatile char *)bpf_dynptr_data(&d, 0, 8);
}
REJECT("tc", "Unsupported reg type fp for bpf_dynptr_from_mem data")
int from_stack(struct __sk_buff *skb) { struct bpf_dynptr d; __u64 x = 0; bpf_dynptr_from_mem(&x, 8, 0, &d); return 0; }
REJECT("tc", "Unreleased reference")
int ringbuf_left(struct __sk_buff *skb) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &d); return 0; }
ACCEPT("tc") int ringbuf_ok(struct __sk_buff *skb) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &d); bpf_ringbuf_discard_dynptr(&d, 0); return 0; }
REJECT("tc", "Expected an initialized dynptr as arg #0")
int used_after(struct __sk_buff *skb) { struct bpf_dynptr d; bpf_ringbuf_reserve_dynptr(&ringbuf, 8, 0, &d); bpf_ringbuf_discard_dynptr(&d, 0); return bpf_dynptr_size(&d); }
REJECT("tc", "arg 1 is an unacquired reference")
int wrong_type(struct __sk_buff *skb) { struct bpf_dynptr d; if (bpf_dynptr_from_skb(skb, 0, &d)) return 0; bpf_ringbuf_submit_dynptr(&d, 0); return 0; }
REJECT("tc", "arg#0 expected pointer to stack or const struct bpf_dynptr")
int in_map(struct __sk_buff *skb) { LOOKUP(); return bpf_dynptr_size((void *)v); }
REJECT("?raw_tp", "cannot pass in dynptr at an offset=")
int dynptr_off(void *ctx) { char b[32] = {}; struct bpf_dynptr *d = (void *)(b + 4); LOOKUP(); bpf_dynptr_from_mem(v, 16, 0, d); return 0; }

char _license[] SEC("license") = "GPL";
