// SPDX-License-Identifier: GPL-2.0-only
/* An arena of two pages whose last byte is the last one below a multiple of 4 GiB; what programs may do with its pointers. */
#include "bpf_arena.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

#ifdef __TARGET_ARCH_arm64
#define QUARTER (1ull << 32)
#else
#define QUARTER (1ull << 44)
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2);
	__ulong(map_extra, QUARTER + (1ull << 32) - 2 * ARENA_PAGE);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} hash SEC(".maps");

#define alloc(n) bpf_arena_alloc_pages(&arena, NULL, n, NUMA_NO_NODE, 0)
#define free(p, n) bpf_arena_free_pages(&arena, (void __arena *)(p), n)

/* --- pages --- */
SEC("syscall") __success __retval(0)
int one_by_one(void *ctx)
{
	volatile int __arena *a, *b, *c;

	a = alloc(1);
	if (!a)
		return 1;
	*a = 10;
	b = alloc(1);
	if (!b)
		return 2;
	*b = 20;
	if ((char __arena *)b != (char __arena *)a + ARENA_PAGE)
		return 3;
	if (alloc(1))
		return 4;
	free(b, 1);
	if (*a != 10 || *b != 0)
		return 5;
	/* lost: the page is not there */
	*b = 21;
	c = alloc(1);
	if (c != b)
		return 6;
	if (*c != 0)
		return 7;
	*c = 30;
	if (*b != 30 || *a != 10)
		return 8;
	return 0;
}

SEC("syscall") __success __retval(0)
int beyond_both_ends(void *ctx)
{
	volatile char __arena *p = alloc(2);

	if (!p)
		return 1;
	p[0] = 1;
	p[ARENA_PAGE] = 2;
	/* the low half of the address goes on at 0, where no page is either */
	p[2 * ARENA_PAGE] = 3;
	p[-ARENA_PAGE] = 4;
	if (p[0] != 1 || p[ARENA_PAGE] != 2)
		return 2;
	if (p[2 * ARENA_PAGE] || p[-ARENA_PAGE])
		return 3;
	free(p, 2);
	if (p[0] || p[ARENA_PAGE])
		return 4;
	return 0;
}

SEC("syscall") __success __retval(0)
int at_an_address(void *ctx)
{
	char __arena *base = alloc(1);
	char __arena *last = base + ARENA_PAGE;

	if (bpf_arena_alloc_pages(&arena, base, 1, NUMA_NO_NODE, 0))
		return 1;
	if (bpf_arena_alloc_pages(&arena, last, 2, NUMA_NO_NODE, 0))
		return 2;
	if (bpf_arena_alloc_pages(&arena, last + 1, 1, NUMA_NO_NODE, 0))
		return 3;
	if (bpf_arena_alloc_pages(&arena, last + ARENA_PAGE, 1, NUMA_NO_NODE, 0))
		return 4;
	if (bpf_arena_alloc_pages(&arena, last, 1, NUMA_NO_NODE, 1))
		return 5;
	if (bpf_arena_alloc_pages(&arena, last, 1, 1000, 0))
		return 6;
	if (bpf_arena_alloc_pages(&arena, last, 0, NUMA_NO_NODE, 0))
		return 7;
	if (bpf_arena_alloc_pages(&arena, last, 1, 0, 0) != last)
		return 8;
	/* to the end and not further, whatever the count */
	bpf_arena_free_pages(&arena, last, 0x7fffffff);
	if (bpf_arena_alloc_pages(&arena, NULL, 1, 0, 0) != last)
		return 9;
	bpf_arena_free_pages(&arena, NULL, 2);
	if (alloc(1))
		return 10;
	return 0;
}

/* The kernel's own struct says how many there are. */
struct bpf_map {
	__u32 max_entries;
	struct bpf_map *inner_map_meta;
} __attribute__((preserve_access_index));
struct bpf_arena {
	struct bpf_map map;
} __attribute__((preserve_access_index));

SEC("syscall") __success __retval(0)
int as_many_as_the_map_has(void *ctx)
{
	struct bpf_arena *ar = (struct bpf_arena *)&arena;

	return bpf_arena_alloc_pages(&ar->map, NULL, ar->map.max_entries, NUMA_NO_NODE, 0) ? 0 : 1;
}

/* --- which map --- */
struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));
struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
} __attribute__((preserve_access_index));

SEC("iter.s/bpf_map") __success
int any_map(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		bpf_arena_alloc_pages(map, NULL, map->max_entries, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map") __failure __msg("expected pointer to STRUCT bpf_map")
int no_map(struct bpf_iter__bpf_map *ctx)
{
	bpf_arena_alloc_pages((void *)ctx->meta->seq, NULL, 1, 0, 0);
	return 0;
}

SEC("iter.s/bpf_map") __failure __msg("untrusted_ptr_bpf_map")
int a_map_of_doubtful_life(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		bpf_arena_alloc_pages(map->inner_map_meta, NULL, 1, 0, 0);
	return 0;
}

/* --- who may sleep --- */
SEC("tc") __failure __msg("program must be sleepable to call sleepable kfunc bpf_arena_alloc_pages")
int alloc_must_sleep(void *ctx)
{
	return alloc(1) ? 0 : 1;
}

SEC("tc") __failure __msg("program must be sleepable to call sleepable kfunc bpf_arena_free_pages")
int free_must_sleep(void *ctx)
{
	bpf_arena_free_pages(&arena, (void __arena *)ARENA_PAGE, 1);
	return 0;
}

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;
void bpf_preempt_disable(void) __ksym;
void bpf_preempt_enable(void) __ksym;

SEC("syscall") __failure __msg("kernel func bpf_arena_alloc_pages is sleepable within rcu_read_lock region")
int alloc_under_rcu(void *ctx)
{
	bpf_rcu_read_lock();
	bpf_arena_alloc_pages(&arena, NULL, 1, NUMA_NO_NODE, 0);
	bpf_rcu_read_unlock();
	return 0;
}

SEC("syscall")
__failure __msg("kernel func bpf_arena_free_pages is sleepable within non-preemptible region")
int free_without_preemption(void *ctx)
{
	bpf_preempt_disable();
	bpf_arena_free_pages(&arena, (void __arena *)ARENA_PAGE, 1);
	bpf_preempt_enable();
	return 0;
}

/* What is there can be used where nothing may sleep. */
SEC("syscall") __success __retval(5)
int access_without_preemption(void *ctx)
{
	int __arena *p = alloc(1);
	int v;

	bpf_preempt_disable();
	*(volatile int __arena *)p = 5;
	v = *(volatile int __arena *)p;
	bpf_preempt_enable();
	return v;
}

/* --- pointers --- */
__noinline __weak int by_arena(int __arena *p __arg_arena)
{
	return *p;
}

SEC("syscall") __success __retval(42)
int argument(void *ctx)
{
	int __arena *p = alloc(1);

	*p = 42;
	return by_arena(p);
}

SEC("syscall") __failure __msg("R1 is not a pointer to arena or scalar.")
__naked int argument_of_the_stack(void)
{
	asm volatile("r1 = %[arena] ll; r1 = r10; r1 += -8; call by_arena; r0 = 0; exit;" ::__imm_addr(arena)
		     : __clobber_all);
}

SEC("tc") __failure __msg("R2 type=arena expected=fp")
__naked int key_of_a_map(void)
{
	asm volatile("r1 = %[arena] ll; r2 = 4096; r2 = addr_space_cast(r2, 0, 1);"
		     "r1 = %[hash] ll; call 1; r0 = 0; exit;" ::__imm_addr(arena), __imm_addr(hash)
		     : __clobber_all);
}

SEC("tc") __failure __msg("R2 invalid mem access 'scalar'")
__naked int pointer_of_user_space(void)
{
	asm volatile("r1 = %[arena] ll; r2 = 4096; r2 = addr_space_cast(r2, 0, 1);"
		     "r2 = addr_space_cast(r2, 1, 0); r0 = *(u64 *)(r2 + 0); exit;" ::__imm_addr(arena)
		     : __clobber_all);
}

/* Any arithmetic: what comes out is a pointer into the arena. */
SEC("tc") __success __retval(0)
__naked int arithmetic(void)
{
	asm volatile("r1 = %[arena] ll; r2 = 4096; r2 = addr_space_cast(r2, 0, 1);"
		     "r2 *= 3; r2 <<= 2; w2 ^= 1; r3 = 5; r3 -= r2;"
		     "r0 = *(u64 *)(r2 + 8); r4 = *(u32 *)(r3 - 8); r0 += r4; exit;" ::__imm_addr(arena)
		     : __clobber_all);
}

/* A negation is none of them. */
SEC("tc") __failure __msg("R2 invalid mem access 'scalar'")
__naked int negation(void)
{
	asm volatile("r1 = %[arena] ll; r2 = 4096; r2 = addr_space_cast(r2, 0, 1); r2 = -r2;"
		     "r0 = *(u64 *)(r2 + 0); exit;" ::__imm_addr(arena)
		     : __clobber_all);
}

/* --- atomics --- */
#define ATOMIC(op)                                                                                  \
	asm volatile("r1 = %[arena] ll; r2 = 4096; r2 = addr_space_cast(r2, 0, 1); r0 = 1;"         \
		     "r0 = " op ", r0); r0 = 0; exit;" ::__imm_addr(arena)          \
		     : __clobber_all)

/* x86's JIT has no fetching AND, OR and XOR on arena memory; arm64 has them in instructions of LSE. */
#ifdef __TARGET_ARCH_arm64
#define IN_LSE __success __retval(0)
#else
#define IN_LSE __failure __msg("BPF_ATOMIC stores into R2 arena is not allowed")
#endif

SEC("tc") IN_LSE
__naked int fetch_and(void) { ATOMIC("atomic_fetch_and((u64 *)(r2 + 0)"); }
SEC("tc") IN_LSE
__naked int fetch_or(void) { ATOMIC("atomic_fetch_or((u64 *)(r2 + 0)"); }
SEC("tc") IN_LSE
__naked int fetch_xor(void) { ATOMIC("atomic_fetch_xor((u64 *)(r2 + 0)"); }
SEC("tc") __success __retval(0)
__naked int fetch_add(void) { ATOMIC("atomic_fetch_add((u64 *)(r2 + 0)"); }
SEC("tc") __success __retval(0)
__naked int exchange(void) { ATOMIC("xchg_64(r2 + 0"); }
