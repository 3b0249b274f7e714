// SPDX-License-Identifier: GPL-2.0-only
/* Timers and work queues of map values (progs/timer.c, wq.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

struct elem { int seen; struct bpf_timer timer; };
struct work { int seen; struct bpf_wq wq; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, int); __type(value, struct elem); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int); __type(value, struct elem); } hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, int); __type(value, struct work); } works SEC(".maps");

static long (*const bpf_timer_cancel)(struct bpf_timer *timer) = (void *)172;

int ticks = 0, last_key = -1, hash_key = -1, work_key = -1;
__u64 fired_at = 0;
long err_twice = 0, err_clock = 0, err_unset = 0, cancelled = -100, err_self = 0, err_missing = 0;

/* Starts itself again until it ran five times. */
static int tick(void *map, int *key, struct elem *e)
{
	last_key = *key;
	fired_at = bpf_ktime_get_ns();
	if (++ticks < 5)
		bpf_timer_start(&e->timer, 1000000, 0);
	else
		err_self = bpf_timer_cancel(&e->timer);
	return 0;
}

static int once(void *map, int *key, struct elem *e)
{
	hash_key = *key;
	/* the element goes, its timer with it */
	bpf_map_delete_elem(map, key);
	return 0;
}

SEC("syscall")
int start(void *ctx)
{
	struct elem *e, init = {};
	int key = 2;

	e = bpf_map_lookup_elem(&array, &key);
	if (!e)
		return 1;
	err_missing = bpf_timer_start(&e->timer, 1, 0);
	err_clock = bpf_timer_init(&e->timer, &array, 3);
	if (bpf_timer_init(&e->timer, &array, 1))
		return 2;
	err_twice = bpf_timer_init(&e->timer, &array, 1);
	err_unset = bpf_timer_start(&e->timer, 1, 0);
	if (bpf_timer_set_callback(&e->timer, tick) || bpf_timer_start(&e->timer, 1000000, 0))
		return 3;
	key = 77;
	bpf_map_update_elem(&hash, &key, &init, 0);
	e = bpf_map_lookup_elem(&hash, &key);
	if (!e)
		return 4;
	if (bpf_timer_init(&e->timer, &hash, 1) || bpf_timer_set_callback(&e->timer, once) ||
	    bpf_timer_start(&e->timer, 2000000, 0))
		return 5;
	return 0;
}

/* A timer that is taken back before it goes off. */
SEC("syscall")
int cancel(void *ctx)
{
	struct elem *e;
	int key = 0;

	e = bpf_map_lookup_elem(&array, &key);
	if (!e)
		return 1;
	if (bpf_timer_init(&e->timer, &array, 1) || bpf_timer_set_callback(&e->timer, tick) ||
	    bpf_timer_start(&e->timer, 1000000000, 0))
		return 2;
	cancelled = bpf_timer_cancel(&e->timer);
	return 0;
}

static int work_cb(void *map, int *key, void *value)
{
	struct work *w = value;

	w->seen = 1;
	work_key = *key;
	return 0;
}

SEC("syscall")
int queue(void *ctx)
{
	struct work *w, init = {};
	int key = 9;

	bpf_map_update_elem(&works, &key, &init, 0);
	w = bpf_map_lookup_elem(&works, &key);
	if (!w)
		return 1;
	if (bpf_wq_init(&w->wq, &works, 0) || bpf_wq_set_callback_impl(&w->wq, work_cb, 0, NULL) ||
	    bpf_wq_start(&w->wq, 0))
		return 2;
	return 0;
}
