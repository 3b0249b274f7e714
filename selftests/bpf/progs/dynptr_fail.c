// SPDX-License-Identifier: GPL-2.0-only
/* What may not be done with dynptrs, under the names upstream gives it. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

struct ethhdr { __u8 h_dest[6], h_source[6]; __u16 h_proto; } __attribute__((packed));
struct sample { int pid; long value; char comm[16]; };
struct holder { int x; struct bpf_dynptr ptr; };

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ringbuf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64[2]); } dynptrs SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64[3]); } holders SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } words SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } longs SEC(".maps");

int val;

extern bool bpf_dynptr_is_null(const struct bpf_dynptr *p) __ksym;
extern bool bpf_dynptr_is_rdonly(const struct bpf_dynptr *p) __ksym;
static long (*const skb_pull_data)(struct __sk_buff *skb, __u32 len) = (void *)39;
static long (*const xdp_adjust_head)(struct xdp_md *xdp, int delta) = (void *)44;

#define RESERVE(p, n) bpf_ringbuf_reserve_dynptr(&ringbuf, n, 0, &(p))
#define SUBMIT(p) bpf_ringbuf_submit_dynptr(&(p), 0)
#define DISCARD(p) bpf_ringbuf_discard_dynptr(&(p), 0)
#define BYTE(p) (*(volatile __u8 *)(p))

/* A dynptr of a map's value; nonzero when there is none. */
static __always_inline int of_value(struct bpf_dynptr *ptr)
{
	__u32 key = 0, *v = bpf_map_lookup_elem(&words, &key);

	if (!v)
		return -2;
	bpf_dynptr_from_mem(v, sizeof(*v), 0, ptr);
	return 0;
}
#define OF_VALUE(p) if (of_value(&(p))) return 0

/* --- records that are not given back, or twice --- */
REJECT("?raw_tp", "Unreleased reference id=2")
int ringbuf_missing_release1(void *ctx) { struct bpf_dynptr p; RESERVE(p, val); return 0; }

REJECT("?raw_tp", "Unreleased reference id=4")
int ringbuf_missing_release2(void *ctx)
{
	struct bpf_dynptr first, second;

	RESERVE(first, 32);
	RESERVE(second, 32);
	if (bpf_dynptr_data(&first, 0, 32)) {
		SUBMIT(first);
		return 0;
	}
	DISCARD(first);
	DISCARD(second);
	return 0;
}

static int keeps(__u32 i, void *data) { struct bpf_dynptr p; RESERVE(p, val); return 0; }
REJECT("?raw_tp", "Unreleased reference id")
int ringbuf_missing_release_callback(void *ctx) { bpf_loop(10, keeps, NULL, 0); return 0; }

REJECT("?raw_tp", "arg 1 is an unacquired reference")
int ringbuf_release_uninit_dynptr(void *ctx) { struct bpf_dynptr p; SUBMIT(p); return 0; }

REJECT("?raw_tp", "arg 1 is an unacquired reference")
int release_twice(void *ctx) { struct bpf_dynptr p; RESERVE(p, 16); DISCARD(p); DISCARD(p); return 0; }

static int releases(__u32 i, void *data) { bpf_ringbuf_discard_dynptr(data, 0); return 0; }
REJECT("?raw_tp", "arg 1 is an unacquired reference")
int release_twice_callback(void *ctx)
{
	struct bpf_dynptr p;

	RESERVE(p, 32);
	DISCARD(p);
	bpf_loop(10, releases, &p, 0);
	return 0;
}

REJECT("?raw_tp", "Expected an initialized dynptr as arg #2")
int use_after_invalid(void *ctx)
{
	struct bpf_dynptr p;
	char buf[64];

	RESERVE(p, 64);
	SUBMIT(p);
	bpf_dynptr_read(buf, sizeof(buf), &p, 0, 0);
	return 0;
}

REJECT("?raw_tp", "type=mem expected=ringbuf_mem")
int ringbuf_invalid_api(void *ctx)
{
	struct bpf_dynptr p;
	int *data;

	RESERVE(p, 16);
	data = bpf_dynptr_data(&p, 0, 16);
	if (data)
		bpf_ringbuf_submit(data, 0);
	DISCARD(p);
	return 0;
}

/* --- where dynptrs may not go --- */
REJECT("?raw_tp", "invalid indirect read from stack")
int add_dynptr_to_map1(void *ctx)
{
	struct bpf_dynptr p;
	int key = 0;

	RESERVE(p, val);
	bpf_map_update_elem(&dynptrs, &key, &p, 0);
	SUBMIT(p);
	return 0;
}

REJECT("?raw_tp", "invalid indirect read from stack")
int add_dynptr_to_map2(void *ctx)
{
	struct holder h;
	int key = 0;

	RESERVE(h.ptr, val);
	bpf_map_update_elem(&holders, &key, &h, 0);
	SUBMIT(h.ptr);
	return 0;
}

struct bpf_dynptr global_dynptr;
REJECT("?raw_tp", "type=map_value expected=fp")
int global(void *ctx) { RESERVE(global_dynptr, 16); DISCARD(global_dynptr); return 0; }

REJECT("?raw_tp", "invalid indirect read from stack")
int invalid_helper1(void *ctx) { struct bpf_dynptr p; OF_VALUE(p); bpf_strncmp((const char *)&p, sizeof(p), "hello!"); return 0; }

REJECT("?raw_tp", "cannot pass in dynptr at an offset=-8")
int invalid_helper2(void *ctx) { struct bpf_dynptr p; char buf[64]; OF_VALUE(p); bpf_dynptr_read(buf, 64, (void *)&p + 8, 0, 0); return 0; }

REJECT("?raw_tp", "cannot pass in dynptr at an offset=0")
int invalid_offset(void *ctx) { struct bpf_dynptr p; RESERVE(*(&p + 1), 64); DISCARD(p); return 0; }

REJECT("?raw_tp", "Unsupported reg type fp for bpf_dynptr_from_mem data")
int dynptr_from_mem_invalid_api(void *ctx) { struct bpf_dynptr p; int x = 0; bpf_dynptr_from_mem(&x, sizeof(x), 0, &p); return 0; }

__noinline long takes_dynptr(const struct bpf_dynptr *dynptr) { long ret = 0; barrier_var(ret); return ret; }
REJECT("?raw_tp", "arg#0 expected pointer to stack or const struct bpf_dynptr")
int test_dynptr_reg_type(void *ctx) { takes_dynptr((const struct bpf_dynptr *)NULL); return 0; }

/* --- bytes of dynptrs read and written --- */
REJECT("?raw_tp", "Expected an initialized dynptr as arg #0")
int invalid_write1(void *ctx) { struct bpf_dynptr p; OF_VALUE(p); BYTE(&p) = 0; bpf_dynptr_data(&p, 0, 1); return 0; }

REJECT("?raw_tp", "cannot overwrite referenced dynptr")
int invalid_write2(void *ctx) { struct bpf_dynptr p; RESERVE(p, 64); BYTE((void *)&p + 8) = 0; SUBMIT(p); return 0; }

REJECT("?raw_tp", "cannot overwrite referenced dynptr")
int invalid_write3(void *ctx) { struct bpf_dynptr p; RESERVE(p, 8); BYTE((void *)&p + (val & 15)) = 0; SUBMIT(p); return 0; }

static int writes(__u32 i, void *data) { *(volatile __u32 *)data = 123; return 0; }
REJECT("?raw_tp", "cannot overwrite referenced dynptr")
int invalid_write4(void *ctx) { struct bpf_dynptr p; RESERVE(p, 64); bpf_loop(10, writes, &p, 0); SUBMIT(p); return 0; }

REJECT("?raw_tp", "invalid read from stack")
int invalid_read1(void *ctx) { struct bpf_dynptr p; RESERVE(p, 64); val = *(volatile int *)&p; DISCARD(p); return 0; }

REJECT("?raw_tp", "cannot pass in dynptr at an offset")
int invalid_read2(void *ctx) { struct bpf_dynptr p; char buf[64]; OF_VALUE(p); bpf_dynptr_read(buf, 64, (void *)&p + 1, 0, 0); return 0; }

REJECT("?raw_tp", "invalid read from stack")
int invalid_read3(void *ctx)
{
	struct bpf_dynptr first, second;

	RESERVE(first, 16);
	RESERVE(second, 16);
	val = *(volatile int *)((void *)&first + 8);
	DISCARD(first);
	DISCARD(second);
	return 0;
}

static int reads(__u32 i, void *data) { val = *(volatile __u32 *)data; return 0; }
REJECT("?raw_tp", "invalid read from stack")
int invalid_read4(void *ctx) { struct bpf_dynptr p; RESERVE(p, 64); bpf_loop(10, reads, &p, 0); SUBMIT(p); return 0; }

REJECT("?raw_tp", "potential write to dynptr at off=-16")
int dynptr_read_into_slot(void *ctx)
{
	struct { char pad[48]; struct bpf_dynptr ptr; } data;

	RESERVE(data.ptr, 64);
	bpf_dynptr_read(&data, sizeof(data), &data.ptr, 0, 0);
	return 0;
}

REJECT("?raw_tp", "potential write to dynptr at off=-16")
int uninit_write_into_slot(void *ctx)
{
	struct { char buf[64]; struct bpf_dynptr ptr; } data;

	RESERVE(data.ptr, 80);
	bpf_get_current_comm(&data, sizeof(data));
	return 0;
}

ACCEPT("?raw_tp")
int dynptr_overwrite_unref(void *ctx) { struct bpf_dynptr p; OF_VALUE(p); OF_VALUE(p); OF_VALUE(p); return 0; }

REJECT("?raw_tp", "cannot overwrite referenced dynptr")
int dynptr_overwrite_ref(void *ctx) { struct bpf_dynptr p; RESERVE(p, 64); if (of_value(&p)) DISCARD(p); return 0; }

#define ASM(text) asm volatile(text :: [ringbuf] "i"(&ringbuf), [longs] "i"(&longs) : __clobber_all)
/* reserves into the slot at fp + off, with the map in r6 */
#define ASM_RESERVE(off) "r1 = r6; r2 = 8; r3 = 0; r4 = r10; r4 += " #off "; call 198;"
#define ASM_DISCARD(off) "r1 = r10; r1 += " #off "; r2 = 0; call 200;"
/* r7: value of longs, through the slot at fp - 8 */
#define ASM_VALUE "r9 = 0; *(u64 *)(r10 - 8) = r9; r1 = %[longs] ll; r2 = r10; r2 += -8; call 1; if r0 == 0 goto 9f; r7 = r0;"

REJECT("?tc", "cannot overwrite referenced dynptr") __log_level(2)
__naked int dynptr_pruning_overwrite(void)
{
	ASM("r9 = 0xeb9f; r6 = %[ringbuf] ll;" ASM_RESERVE(-16)
	    "if r0 != 0 goto 1f; *(u64 *)(r10 - 16) = r9; 1:" ASM_DISCARD(-16) "r0 = 0; exit;");
}

ACCEPT("?tc") __msg("11: safe") __log_level(2)
__naked int dynptr_pruning_stacksafe(void)
{
	ASM("r9 = 0xeb9f; r6 = %[ringbuf] ll;" ASM_RESERVE(-16)
	    "if r0 != 0 goto 1f; r9 = r9; 1:" ASM_DISCARD(-16) "r0 = 0; exit;");
}

REJECT("?tc", "cannot overwrite referenced dynptr") __log_level(2)
__naked int dynptr_pruning_type_confusion(void)
{
	ASM("r6 = %[ringbuf] ll;" ASM_VALUE ASM_RESERVE(-16)
	    "if r0 == 0 goto 1f; goto 2f; 1: *(u64 *)(r10 - 16) = r9; *(u64 *)(r10 - 8) = r9;"
	    "r1 = r7; r2 = 0; r3 = 0; r4 = r10; r4 += -16; call 197; 2:" ASM_DISCARD(-16) "9: r0 = 0; exit;");
}

REJECT("?tc", "dynptr has to be at a constant offset") __log_level(2)
__naked int dynptr_var_off_overwrite(void)
{
	ASM("r9 = 16; *(u32 *)(r10 - 4) = r9; r8 = *(u32 *)(r10 - 4); r8 &= 16; r6 = %[ringbuf] ll;"
	    "r1 = r6; r2 = 8; r3 = 0; r4 = r10; r4 += -32; r4 += r8; call 198; r0 = 0; exit;");
}

REJECT("?tc", "cannot overwrite referenced dynptr") __log_level(2)
__naked int dynptr_partial_slot_invalidate(void)
{
	ASM("r6 = %[ringbuf] ll;" ASM_VALUE ASM_RESERVE(-24)
	    "*(u64 *)(r10 - 16) = r9; r1 = r7; r2 = 8; r3 = 0; r4 = r10; r4 += -16; call 197;"
	    ASM_DISCARD(-24) "9: r0 = 0; exit;");
}

/* --- slices --- */
REJECT("?raw_tp", "value is outside of the allowed memory range")
int data_slice_out_of_bounds_ringbuf(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	RESERVE(p, 8);
	data = bpf_dynptr_data(&p, 0, 8);
	if (data)
		val = BYTE(data + 8);
	SUBMIT(p);
	return 0;
}

REJECT("?raw_tp", "value is outside of the allowed memory range")
int data_slice_out_of_bounds_map_value(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	OF_VALUE(p);
	data = bpf_dynptr_data(&p, 0, 4);
	if (data)
		val = BYTE(data + 5);
	return 0;
}

REJECT("?tc", "value is outside of the allowed memory range")
int data_slice_out_of_bounds_skb(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[14] = {}, *hdr;

	bpf_dynptr_from_skb(skb, 0, &p);
	hdr = bpf_dynptr_slice_rdwr(&p, 0, buf, sizeof(buf));
	if (hdr)
		BYTE(hdr + 14) = 1;
	return 0;
}

REJECT("?raw_tp", "invalid mem access 'scalar'")
int data_slice_use_after_release1(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	RESERVE(p, 32);
	data = bpf_dynptr_data(&p, 0, 32);
	if (!data) {
		DISCARD(p);
		return 0;
	}
	SUBMIT(p);
	val = BYTE(data);
	return 0;
}

/* the released one is not at the top of the stack */
REJECT("?raw_tp", "invalid mem access 'scalar'")
int data_slice_use_after_release2(void *ctx)
{
	struct bpf_dynptr first, second;
	char *data;

	RESERVE(first, 64);
	RESERVE(second, 32);
	data = bpf_dynptr_data(&second, 0, 32);
	if (!data) {
		DISCARD(second);
		DISCARD(first);
		return 0;
	}
	SUBMIT(second);
	BYTE(data) = 23;
	SUBMIT(first);
	return 0;
}

REJECT("?raw_tp", "invalid mem access 'mem_or_null'")
int data_slice_missing_null_check1(void *ctx) { struct bpf_dynptr p; RESERVE(p, 8); BYTE(bpf_dynptr_data(&p, 0, 8)) = 3; SUBMIT(p); return 0; }

REJECT("?raw_tp", "invalid mem access 'mem_or_null'")
int data_slice_missing_null_check2(void *ctx)
{
	struct bpf_dynptr p;
	char *checked, *other;

	RESERVE(p, 16);
	checked = bpf_dynptr_data(&p, 0, 8);
	other = bpf_dynptr_data(&p, 0, 8);
	if (checked)
		BYTE(other) = 3;
	DISCARD(p);
	return 0;
}

REJECT("?raw_tp", "invalid mem access 'scalar'")
int dynptr_invalidate_slice_reinit(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	OF_VALUE(p);
	data = bpf_dynptr_data(&p, 0, 1);
	if (!data)
		return 0;
	OF_VALUE(p);
	return BYTE(data);
}

REJECT("?raw_tp", "R{{[0-9]+}} type=scalar expected=percpu_ptr_")
int dynptr_invalidate_slice_or_null(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	OF_VALUE(p);
	data = bpf_dynptr_data(&p, 0, 1);
	BYTE(&p) = 0;
	bpf_this_cpu_ptr(data);
	return 0;
}

/* two dynptrs of values with a slice each, of which the first is destroyed */
#define TWO_SLICES(use)                                                                            \
	struct bpf_dynptr first, second;                                                           \
	char *a, *b;                                                                               \
	OF_VALUE(first);                                                                           \
	OF_VALUE(second);                                                                          \
	a = bpf_dynptr_data(&first, 0, 1);                                                         \
	if (!a)                                                                                    \
		return 0;                                                                          \
	b = bpf_dynptr_data(&second, 0, 1);                                                        \
	if (!b)                                                                                    \
		return 0;                                                                          \
	BYTE(&first) = 0;                                                                          \
	return BYTE(use)
REJECT("?raw_tp", "R{{[0-9]+}} invalid mem access 'scalar'")
int dynptr_invalidate_slice_failure(void *ctx) { TWO_SLICES(a); }
ACCEPT("?raw_tp")
int dynptr_invalidate_slice_success(void *ctx) { TWO_SLICES(b); }

REJECT("?raw_tp", "invalid mem access 'scalar'")
int invalid_data_slices(void *ctx)
{
	struct bpf_dynptr p;
	char *data;

	OF_VALUE(p);
	data = bpf_dynptr_data(&p, 0, 4);
	if (!data)
		return 0;
	bpf_loop(10, writes, &p, 0);
	BYTE(data) = 1;
	return 0;
}

/* --- packets --- */
REJECT("?tc", "R{{[0-9]+}} cannot write into rdonly_mem")
int skb_invalid_slice_write(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[14] = {}, *hdr;

	bpf_dynptr_from_skb(skb, 0, &p);
	hdr = bpf_dynptr_slice(&p, 0, buf, sizeof(buf));
	if (hdr)
		BYTE(hdr) = 1;
	return 0;
}

/* a slice of the packet that is used before and after something is done to the packet */
#define SLICE_ACROSS(from, slice, use, change)                                                     \
	struct bpf_dynptr p;                                                                       \
	char buf[14] = {}, *hdr;                                                                   \
	from(ctx, 0, &p);                                                                          \
	hdr = slice(&p, 0, buf, sizeof(buf));                                                      \
	if (!hdr)                                                                                  \
		return 0;                                                                          \
	use;                                                                                       \
	if (change)                                                                                \
		return 0;                                                                          \
	use;                                                                                       \
	return 1
#define GET val = BYTE(hdr)
#define PUT BYTE(hdr) = 9
#define WRITE ({ char data[64] = "hello there"; bpf_dynptr_write(&p, 0, data, sizeof(data), 0); })
REJECT("?tc", "invalid mem access 'scalar'")
int skb_invalid_data_slice1(struct __sk_buff *ctx) { SLICE_ACROSS(bpf_dynptr_from_skb, bpf_dynptr_slice, GET, skb_pull_data(ctx, ctx->len)); }
REJECT("?tc", "invalid mem access 'scalar'")
int skb_invalid_data_slice2(struct __sk_buff *ctx) { SLICE_ACROSS(bpf_dynptr_from_skb, bpf_dynptr_slice_rdwr, PUT, skb_pull_data(ctx, ctx->len)); }
REJECT("?tc", "invalid mem access 'scalar'")
int skb_invalid_data_slice3(struct __sk_buff *ctx) { SLICE_ACROSS(bpf_dynptr_from_skb, bpf_dynptr_slice, GET, WRITE); }
REJECT("?tc", "invalid mem access 'scalar'")
int skb_invalid_data_slice4(struct __sk_buff *ctx) { SLICE_ACROSS(bpf_dynptr_from_skb, bpf_dynptr_slice_rdwr, PUT, WRITE); }
REJECT("?xdp", "invalid mem access 'scalar'")
int xdp_invalid_data_slice1(struct xdp_md *ctx) { SLICE_ACROSS(bpf_dynptr_from_xdp, bpf_dynptr_slice, GET, xdp_adjust_head(ctx, -14)); }
REJECT("?xdp", "invalid mem access 'scalar'")
int xdp_invalid_data_slice2(struct xdp_md *ctx) { SLICE_ACROSS(bpf_dynptr_from_xdp, bpf_dynptr_slice_rdwr, PUT, xdp_adjust_head(ctx, -14)); }

REJECT("?raw_tp", "calling kernel function bpf_dynptr_from_skb is not allowed")
int skb_invalid_ctx(void *ctx) { struct bpf_dynptr p; bpf_dynptr_from_skb(ctx, 0, &p); return 0; }
REJECT("?raw_tp", "calling kernel function bpf_dynptr_from_xdp is not allowed")
int xdp_invalid_ctx(void *ctx) { struct bpf_dynptr p; bpf_dynptr_from_xdp(ctx, 0, &p); return 0; }
REJECT("fentry/skb_tx_error", "must be referenced or trusted")
int skb_invalid_ctx_fentry(__u64 *ctx) { struct bpf_dynptr p; bpf_dynptr_from_skb((void *)ctx[0], 0, &p); return 0; }
REJECT("fexit/skb_tx_error", "must be referenced or trusted")
int skb_invalid_ctx_fexit(__u64 *ctx) { struct bpf_dynptr p; bpf_dynptr_from_skb((void *)ctx[0], 0, &p); return 0; }

__u32 hdr_size = 14;
REJECT("?tc", "unbounded memory access")
int dynptr_slice_var_len1(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[14] = {};

	bpf_dynptr_from_skb(skb, 0, &p);
	return bpf_dynptr_slice(&p, 0, buf, hdr_size) != NULL;
}

REJECT("?tc", "must be a known constant")
int dynptr_slice_var_len2(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[14] = {};
	__u32 len = hdr_size;

	bpf_dynptr_from_skb(skb, 0, &p);
	barrier_var(len);
	return len <= sizeof(buf) && bpf_dynptr_slice_rdwr(&p, 0, buf, len) != NULL;
}

REJECT("cgroup_skb/ingress", "the prog does not allow writes to packet data")
int invalid_slice_rdwr_rdonly(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[14] = {};

	bpf_dynptr_from_skb(skb, 0, &p);
	return bpf_dynptr_slice_rdwr(&p, 0, buf, sizeof(buf)) != NULL;
}

REJECT("?cgroup_skb/egress", "memory, len pair leads to invalid memory access")
int test_dynptr_skb_small_buff(struct __sk_buff *skb)
{
	struct bpf_dynptr p;
	char buf[8] = {};

	if (bpf_dynptr_from_skb(skb, 0, &p))
		return 1;
	return bpf_dynptr_slice(&p, 0, buf, 9) != NULL;
}

/* --- kernel functions on what is no dynptr yet --- */
#define NOT_YET "Expected an initialized dynptr as arg #0"
REJECT("?raw_tp", NOT_YET) int dynptr_adjust_invalid(void *ctx) { struct bpf_dynptr p = {}; bpf_dynptr_adjust(&p, 1, 2); return 0; }
REJECT("?raw_tp", NOT_YET) int dynptr_is_null_invalid(void *ctx) { struct bpf_dynptr p = {}; bpf_dynptr_is_null(&p); return 0; }
REJECT("?raw_tp", NOT_YET) int dynptr_is_rdonly_invalid(void *ctx) { struct bpf_dynptr p = {}; bpf_dynptr_is_rdonly(&p); return 0; }
REJECT("?raw_tp", NOT_YET) int dynptr_size_invalid(void *ctx) { struct bpf_dynptr p = {}; bpf_dynptr_size(&p); return 0; }

/* --- clones --- */
REJECT("?raw_tp", NOT_YET) int clone_invalid1(void *ctx) { struct bpf_dynptr p = {}, copy; bpf_dynptr_clone(&p, &copy); return 0; }

REJECT("?xdp", "cannot overwrite referenced dynptr")
int clone_invalid2(struct xdp_md *xdp)
{
	struct bpf_dynptr p, copy;

	bpf_dynptr_from_xdp(xdp, 0, &p);
	RESERVE(copy, 64);
	bpf_dynptr_clone(&p, &copy);
	SUBMIT(copy);
	return 0;
}

/* of a dynptr and its two clones one is submitted, another read */
#define READ_AFTER(submitted, used)                                                                \
	struct bpf_dynptr p, one, two;                                                             \
	char buf[64];                                                                              \
	RESERVE(p, val);                                                                           \
	bpf_dynptr_clone(&p, &one);                                                                \
	bpf_dynptr_clone(&p, &two);                                                                \
	SUBMIT(submitted);                                                                         \
	bpf_dynptr_read(buf, sizeof(buf), &used, 0, 0);                                            \
	return 0
REJECT("?raw_tp", "Expected an initialized dynptr as arg #2") int clone_invalidate1(void *ctx) { READ_AFTER(p, one); }
REJECT("?raw_tp", "Expected an initialized dynptr as arg #2") int clone_invalidate2(void *ctx) { READ_AFTER(one, p); }
REJECT("?raw_tp", "Expected an initialized dynptr as arg #2") int clone_invalidate3(void *ctx) { READ_AFTER(two, one); }

/* the same with a slice of the other */
#define WRITE_AFTER(submitted, used)                                                               \
	struct bpf_dynptr p, one, two;                                                             \
	char *data;                                                                                \
	RESERVE(p, val);                                                                           \
	bpf_dynptr_clone(&p, &one);                                                                \
	bpf_dynptr_clone(&p, &two);                                                                \
	data = bpf_dynptr_data(&used, 0, 4);                                                       \
	if (!data) {                                                                               \
		DISCARD(p);                                                                        \
		return 0;                                                                          \
	}                                                                                          \
	SUBMIT(submitted);                                                                         \
	BYTE(data) = 123;                                                                          \
	return 0
REJECT("?raw_tp", "invalid mem access 'scalar'") int clone_invalidate4(void *ctx) { WRITE_AFTER(p, one); }
REJECT("?raw_tp", "invalid mem access 'scalar'") int clone_invalidate5(void *ctx) { WRITE_AFTER(one, p); }
REJECT("?raw_tp", "invalid mem access 'scalar'") int clone_invalidate6(void *ctx) { WRITE_AFTER(two, one); }

#define CLONE_ACROSS(from, change)                                                                 \
	struct bpf_dynptr p, copy;                                                                 \
	char buf[4] = {}, *data;                                                                   \
	from(ctx, 0, &p);                                                                          \
	bpf_dynptr_clone(&p, &copy);                                                               \
	data = bpf_dynptr_slice_rdwr(&copy, 0, buf, sizeof(buf));                                  \
	if (!data || change)                                                                       \
		return 0;                                                                          \
	BYTE(data) = 123;                                                                          \
	return 0
REJECT("?tc", "invalid mem access 'scalar'")
int clone_skb_packet_data(struct __sk_buff *ctx) { CLONE_ACROSS(bpf_dynptr_from_skb, skb_pull_data(ctx, ctx->len)); }
REJECT("?xdp", "invalid mem access 'scalar'")
int clone_xdp_packet_data(struct xdp_md *ctx) { CLONE_ACROSS(bpf_dynptr_from_xdp, xdp_adjust_head(ctx, -14)); }
