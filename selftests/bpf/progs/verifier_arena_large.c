// SPDX-License-Identifier: GPL-2.0-only
/* An arena of 4 GiB: its first and last pages, and in which order pages are given out. */
#include "bpf_arena.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

#define PAGES (1u << 20)

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PAGES);
} arena SEC(".maps");

#define CNT 100
#define alloc(n) bpf_arena_alloc_pages(&arena, NULL, n, NUMA_NO_NODE, 0)
#define free(p, n) bpf_arena_free_pages(&arena, (void __arena *)(p), n)

/* Globals of the arena lie in its first page. */
unsigned char __arena *__arena page[CNT];
unsigned char __arena *base;

SEC("syscall") __success __retval(0)
int ends(void *ctx)
{
	volatile char __arena *first, *last, *p;
	void __arena *begin;

	/* page 0 is taken by the globals; the last 4 KiB of 4 GiB are as far from page 1 as can be */
	first = begin = alloc(1);
	if (!first)
		return 1;
	*first = 1;
	last = bpf_arena_alloc_pages(&arena, begin + (1ull << 32) - 2 * ARENA_PAGE, 1, NUMA_NO_NODE, 0);
	if (!last)
		return 2;
	*last = 2;
	/* one page further the low half is 0 again: the globals' */
	p = bpf_arena_alloc_pages(&arena, begin + (1ull << 32) - ARENA_PAGE, 1, NUMA_NO_NODE, 0);
	if (p)
		return 3;
	if (*first != 1 || *last != 2)
		return 4;
	free(first, 1);
	if (*last != 2 || *first != 0)
		return 5;
	p = alloc(1);
	if (p != first)
		return 6;
	*p = 3;
	if (*last != 2)
		return 7;
	if (first[ARENA_PAGE] || last[-ARENA_PAGE] || last[ARENA_PAGE] != 0)
		return 8;
	if (alloc(PAGES) || alloc(PAGES - 1))
		return 9;
	return 0;
}

/* One after the other, then the gaps. */
static __noinline int fill(int n, int pages, bool in_order, int step)
{
	unsigned char __arena *p;
	int i, at;

	for (i = 0; i < n; i++) {
		p = alloc(pages);
		if (!p)
			return step;
		at = (unsigned long)(p - base) / ARENA_PAGE;
		if (in_order ? at != i : at >= CNT || (at & 1))
			return step + 100 + at;
		*p = at;
		/* `at` has been held against CNT, which the verifier forgets at the store */
		if (at >= 0 && at < CNT)
			page[at] = p;
		cond_break;
	}
	return 0;
}

static __noinline int drop(int stride, int pages, int step)
{
	int i;

	for (i = 0; i < CNT; i += stride) {
		unsigned char __arena *p = page[i];

		if (!p || *p != i)
			return step;
		free(p, pages);
		page[i] = NULL;
		cond_break;
	}
	return 0;
}

SEC("syscall") __success __retval(0)
int gaps(void *ctx)
{
	unsigned char __arena *p;
	int err, i;

	base = alloc(1);
	if (!base)
		return 1;
	free(base, 1);
	err = fill(CNT, 1, true, 2) ?: drop(2, 1, 3) ?: fill(CNT / 2, 1, false, 4);
	if (err)
		return err;
	/* pairs from a multiple of four on */
	err = drop(4, 2, 5) ?: fill(CNT / 4, 2, false, 6);
	if (err)
		return err;
	for (i = 0; i < CNT; i += 2) {
		p = page[i];
		if (!p || *p != i)
			return 7;
		cond_break;
	}
	p = alloc(1);
	if (!p || (unsigned long)(p - base) / ARENA_PAGE != CNT)
		return 8;
	return 0;
}
