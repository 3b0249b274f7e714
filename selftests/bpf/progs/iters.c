// SPDX-License-Identifier: GPL-2.0-only
/* Open-coded iterators: numbers, bits, tasks (progs/iters.c, verifier_bits_iter.c, iters_task.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

struct bpf_iter_bits { __u64 __opaque[2]; } __attribute__((aligned(8)));
extern int bpf_iter_bits_new(struct bpf_iter_bits *it, const __u64 *unsafe_ptr__ign, __u32 nr_words) __ksym;
extern int *bpf_iter_bits_next(struct bpf_iter_bits *it) __ksym;
extern void bpf_iter_bits_destroy(struct bpf_iter_bits *it) __ksym;

#define CHECK(c) do { if (!(c)) return __LINE__; } while (0)

static __noinline int sum_of(int from, int to)
{
	struct bpf_iter_num it;
	int *v, sum = 0;

	bpf_iter_num_new(&it, from, to);
	while ((v = bpf_iter_num_next(&it)))
		sum += *v;
	bpf_iter_num_destroy(&it);
	return sum;
}

SEC("syscall") __success __retval(0)
int num(void *ctx)
{
	CHECK(sum_of(0, 10) == 45);
	CHECK(sum_of(-3, 3) == -3);
	CHECK(sum_of(7, 7) == 0);
	CHECK(sum_of(0x7fffffff - 2, 0x7fffffff) == -5);
	CHECK(sum_of(-0x7fffffff - 1, -0x7fffffff + 1) == 1);
	/* what -EINVAL and -E2BIG leave behind is empty */
	CHECK(sum_of(3, 2) == 0);
	CHECK(sum_of(0, 8 * 1024 * 1024 + 1) == 0);
	return 0;
}

SEC("syscall") __success __retval(0)
int num_errors(void *ctx)
{
	struct bpf_iter_num a, b, c;
	int ra = bpf_iter_num_new(&a, 3, 2);
	int rb = bpf_iter_num_new(&b, 0, 8 * 1024 * 1024 + 1);
	int rc = bpf_iter_num_new(&c, 0, 8 * 1024 * 1024);

	bpf_iter_num_destroy(&a);
	bpf_iter_num_destroy(&b);
	bpf_iter_num_destroy(&c);
	CHECK(ra == -22);
	CHECK(rb == -7);
	CHECK(rc == 0);
	return 0;
}

SEC("syscall") __success __retval(1275)
int num_nested(void *ctx)
{
	struct bpf_iter_num it, in;
	int *v, *w, sum = 0;

	bpf_iter_num_new(&it, 0, 50);
	while ((v = bpf_iter_num_next(&it))) {
		int n = *v;

		bpf_iter_num_new(&in, 0, n + 1);
		while ((w = bpf_iter_num_next(&in)))
			sum += 1;
		bpf_iter_num_destroy(&in);
	}
	bpf_iter_num_destroy(&it);
	return sum;
}

__u64 words[511] = {};

static __noinline int bits_of(int nr_words)
{
	struct bpf_iter_bits it;
	int *bit, sum = 0;

	bpf_iter_bits_new(&it, words, nr_words);
	while ((bit = bpf_iter_bits_next(&it)))
		sum += 1 + *bit;
	bpf_iter_bits_destroy(&it);
	return sum;
}

SEC("syscall") __success __retval(0)
int bits(void *ctx)
{
	struct bpf_iter_bits it, none, big;
	int r, r0, r512;

	words[0] = 0x8000000000000001ULL;
	words[1] = 0x10;
	words[510] = 2;
	CHECK(bits_of(1) == 1 + 64);
	CHECK(bits_of(2) == 1 + 64 + 64 + 5);
	CHECK(bits_of(511) == 1 + 64 + 64 + 5 + 510 * 64 + 2);
	CHECK(bits_of(0) == 0);
	CHECK(bits_of(512) == 0);
	r = bpf_iter_bits_new(&it, (void *)0x10, 1);
	r0 = bpf_iter_bits_new(&none, words, 0);
	r512 = bpf_iter_bits_new(&big, words, 512);
	bpf_iter_bits_destroy(&it);
	bpf_iter_bits_destroy(&none);
	bpf_iter_bits_destroy(&big);
	CHECK(r == -14);
	CHECK(r0 == -22);
	CHECK(r512 == -7);
	return 0;
}

/* Counted in memory, which the verifier does not follow. */
int me = 0, mine = 0, others = 0;

SEC("syscall") __success __retval(0)
int task(void *ctx)
{
	struct task_struct *cur = bpf_get_current_task_btf(), *pos;
	struct bpf_iter_task procs, threads, bad;
	int err;

	bpf_rcu_read_lock();
	bpf_iter_task_new(&procs, NULL, 0);
	while ((pos = bpf_iter_task_next(&procs)))
		if (pos->pid == cur->tgid)
			me++;
	bpf_iter_task_destroy(&procs);
	bpf_iter_task_new(&threads, cur, 2);
	while ((pos = bpf_iter_task_next(&threads)))
		if (pos->tgid == cur->tgid)
			mine++;
		else
			others++;
	bpf_iter_task_destroy(&threads);
	err = bpf_iter_task_new(&bad, NULL, 3);
	bpf_iter_task_destroy(&bad);
	bpf_rcu_read_unlock();
	CHECK(me == 1);
	CHECK(mine >= 1 && others == 0);
	CHECK(err == -22);
	return 0;
}
