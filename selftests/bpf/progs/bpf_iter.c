// SPDX-License-Identifier: GPL-2.0-only
/* Iterators over maps, programs, links, tasks and a map's elements (progs/bpf_iter_*.c). */
#include "bpf_helpers.h"

#define __CORE __attribute__((preserve_access_index))

char _license[] SEC("license") = "GPL";

struct seq_file { int __mirror; };
struct bpf_map { __u32 id; __u32 max_entries; } __CORE;
struct bpf_prog_aux { __u32 id; } __CORE;
struct bpf_prog { __u32 len; struct bpf_prog_aux *aux; } __CORE;
enum bpf_link_type { BPF_LINK_TYPE_UNSPEC };
struct bpf_link { __u32 id; enum bpf_link_type type; struct bpf_prog *prog; } __CORE;
struct task_struct { int pid; int tgid; } __CORE;
struct bpf_iter_meta { struct seq_file *seq; __u64 session_id; __u64 seq_num; } __CORE;
struct bpf_iter__bpf_map { struct bpf_iter_meta *meta; struct bpf_map *map; } __CORE;
struct bpf_iter__bpf_prog { struct bpf_iter_meta *meta; struct bpf_prog *prog; } __CORE;
struct bpf_iter__bpf_link { struct bpf_iter_meta *meta; struct bpf_link *link; } __CORE;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } __CORE;
struct vm_area_struct { unsigned long vm_start; unsigned long vm_end; const unsigned long vm_flags; unsigned long vm_pgoff; struct file *vm_file; } __CORE;
struct bpf_iter__task_vma { struct bpf_iter_meta *meta; struct task_struct *task; struct vm_area_struct *vma; } __CORE;
struct bpf_iter__ksym { struct bpf_iter_meta *meta; } __CORE;
struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; struct bpf_map *map; void *key; void *value; } __CORE;
struct bpf_insn { __u8 code; __u8 dst_reg : 4; __u8 src_reg : 4; __s16 off; __s32 imm; } __CORE;

struct btf_ptr { void *ptr; __u32 type_id; __u32 flags; };
static long (*const bpf_seq_printf)(struct seq_file *m, const char *fmt, __u32 fmt_size, const void *data, __u32 data_len) = (void *)126;
static long (*const bpf_seq_write)(struct seq_file *m, const void *data, __u32 len) = (void *)127;
static long (*const bpf_seq_printf_btf)(struct seq_file *m, struct btf_ptr *ptr, __u32 ptr_size, __u64 flags) = (void *)150;

static long (*const bpf_find_vma)(struct task_struct *task, __u64 addr, void *callback_fn, void *callback_ctx, __u64 flags) = (void *)180;

struct bpf_iter_task_vma { __u64 __opaque[1]; } __attribute__((aligned(8)));
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;

#define PRINT(seq, fmt, args...) ({								\
	static const char ___fmt[] = fmt;							\
	__u64 ___args[] = { args };								\
	bpf_seq_printf(seq, ___fmt, sizeof(___fmt), ___args, sizeof(___args));			\
})

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 3); __type(key, __u32); __type(value, __u64); } array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u32); } percpu_array SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u32); } percpu_hash SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u32); } narrow SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK); __uint(max_entries, 4); __type(value, __u64); } stack SEC(".maps");

__u64 calls = 0, ends = 0, session = 0, last_num = 0;
__u64 again_at = ~0ULL;
__u32 chunk = 0;
__u64 cpus = 1;
__u64 insn = 0;
__u32 btf_ptr_size = sizeof(struct btf_ptr);
__u64 btf_flags = 0;
long ret = 0;
char big[16384] = {};

/* What every program does: count, and say whether an object is there. */
static bool seen(struct bpf_iter_meta *meta, void *obj)
{
	calls++;
	session = meta->session_id;
	last_num = meta->seq_num;
	if (obj)
		return true;
	ends++;
	return false;
}

SEC("iter/bpf_map")
int maps(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (!seen(ctx->meta, map)) {
		PRINT(ctx->meta->seq, "end %d\n", ctx->meta->seq_num);
		return 0;
	}
	PRINT(ctx->meta->seq, "%d: map %u of %u\n", ctx->meta->seq_num, map->id, map->max_entries);
	return ctx->meta->seq_num == again_at;
}

SEC("iter/bpf_map")
int maps_too(struct bpf_iter__bpf_map *ctx)
{
	if (seen(ctx->meta, ctx->map))
		bpf_seq_write(ctx->meta->seq, "x", 1);
	return 0;
}

/* Text of as many bytes as are asked for, for each map: more than fits, sometimes. */
SEC("iter/bpf_map")
int maps_big(struct bpf_iter__bpf_map *ctx)
{
	__u32 n = chunk;

	if (!seen(ctx->meta, ctx->map))
		return 0;
	for (int i = 0; i < 3 && n; i++) {
		__u32 part = n > sizeof(big) ? sizeof(big) : n;

		ret = bpf_seq_write(ctx->meta->seq, big, part);
		n -= part;
	}
	return 0;
}

SEC("iter/bpf_prog")
int progs(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;

	if (seen(ctx->meta, prog))
		PRINT(ctx->meta->seq, "prog %u: %u\n", prog->aux->id, prog->len);
	return 0;
}

SEC("iter/bpf_link")
int links(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;

	if (seen(ctx->meta, link))
		PRINT(ctx->meta->seq, "link %u: type %u, prog %u\n", link->id, link->type, link->prog->aux->id);
	return 0;
}

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (seen(ctx->meta, task))
		PRINT(ctx->meta->seq, "%d/%d\n", task->pid, task->tgid);
	return 0;
}

SEC("iter.s/task")
int tasks_sleepable(struct bpf_iter__task *ctx)
{
	if (seen(ctx->meta, ctx->task))
		bpf_seq_write(ctx->meta->seq, "t", 1);
	return 0;
}

SEC("iter.s/bpf_map")
int maps_sleepable(struct bpf_iter__bpf_map *ctx)
{
	return 0;
}

SEC("iter/ksym")
int ksyms(struct bpf_iter__ksym *ctx)
{
	return 0;
}

/* Values are doubled. */
SEC("iter/bpf_map_elem")
int elems(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (!seen(ctx->meta, key) || !value)
		return 0;
	PRINT(ctx->meta->seq, "%u=%llu\n", *key, *value);
	*value *= 2;
	return 0;
}

SEC("iter/bpf_map_elem")
int percpu_elems(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	void *value = ctx->value;

	if (!seen(ctx->meta, key) || !value)
		return 0;
	PRINT(ctx->meta->seq, "%u=%u,%u\n", *key, *(__u32 *)value, *(__u32 *)(value + 8));
	return 0;
}

/* Elements go away while they are looked at. */
SEC("iter/bpf_map_elem")
int emptying(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u32 k;

	if (!seen(ctx->meta, key))
		return 0;
	k = *key;
	ret = bpf_map_delete_elem(&hash, &k);
	return 0;
}

SEC("iter/bpf_map")
int by_type(struct bpf_iter__bpf_map *ctx)
{
	struct btf_ptr p = {};

	if (seen(ctx->meta, ctx->map))
		return 0;
	p.ptr = &insn;
	p.type_id = __builtin_btf_type_id(*(struct bpf_insn *)0, 1);
	ret = bpf_seq_printf_btf(ctx->meta->seq, &p, btf_ptr_size == sizeof(p) ? sizeof(p) : 8, btf_flags);
	return 0;
}

__u64 address = 0;
__u64 find_flags = 0;
__u64 found[3] = {};

SEC("iter/task_vma")
int vmas(struct bpf_iter__task_vma *ctx)
{
	struct vm_area_struct *vma = ctx->vma;
	struct task_struct *task = ctx->task;

	if (!seen(ctx->meta, vma) || !task)
		return 0;
	PRINT(ctx->meta->seq, "%d %llx-%llx %x %d\n", task->pid, vma->vm_start, vma->vm_end, vma->vm_flags & 15,
	      vma->vm_file != NULL);
	return 0;
}

static long note(struct task_struct *task, struct vm_area_struct *vma, void *data)
{
	found[0] = vma->vm_start;
	found[1] = vma->vm_end;
	found[2] = task->pid;
	return 1;
}

/* The area at an address, and all areas from there on. */
SEC("iter/task")
int find(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct bpf_iter_task_vma it;
	struct vm_area_struct *vma;

	if (!seen(ctx->meta, task))
		return 0;
	ret = bpf_find_vma(task, address, note, NULL, find_flags);
	bpf_iter_task_vma_new(&it, task, address);
	while ((vma = bpf_iter_task_vma_next(&it)))
		PRINT(ctx->meta->seq, "%llx-%llx\n", vma->vm_start, vma->vm_end);
	bpf_iter_task_vma_destroy(&it);
	return 0;
}
