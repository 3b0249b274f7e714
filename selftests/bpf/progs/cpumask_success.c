// SPDX-License-Identifier: GPL-2.0-only
/* CPU masks: bits, set operations, references (progs/cpumask_success.c). Programs answer 0, or a line. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

extern struct bpf_cpumask *bpf_cpumask_acquire(struct bpf_cpumask *cpumask) __ksym;
extern __u32 bpf_cpumask_first(const struct cpumask *cpumask) __ksym;
extern __u32 bpf_cpumask_first_zero(const struct cpumask *cpumask) __ksym;
extern __u32 bpf_cpumask_first_and(const struct cpumask *src1, const struct cpumask *src2) __ksym;
extern void bpf_cpumask_set_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_clear_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern bool bpf_cpumask_test_and_set_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern bool bpf_cpumask_test_and_clear_cpu(__u32 cpu, struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_setall(struct bpf_cpumask *cpumask) __ksym;
extern void bpf_cpumask_clear(struct bpf_cpumask *cpumask) __ksym;
extern bool bpf_cpumask_and(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b) __ksym;
extern void bpf_cpumask_or(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b) __ksym;
extern void bpf_cpumask_xor(struct bpf_cpumask *dst, const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_equal(const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_intersects(const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_subset(const struct cpumask *a, const struct cpumask *b) __ksym;
extern bool bpf_cpumask_empty(const struct cpumask *cpumask) __ksym;
extern bool bpf_cpumask_full(const struct cpumask *cpumask) __ksym;
extern void bpf_cpumask_copy(struct bpf_cpumask *dst, const struct cpumask *src) __ksym;
extern __u32 bpf_cpumask_any_distribute(const struct cpumask *src) __ksym;
extern __u32 bpf_cpumask_any_and_distribute(const struct cpumask *a, const struct cpumask *b) __ksym;
extern __u32 bpf_cpumask_weight(const struct cpumask *cpumask) __ksym;

#define C(mask) ((const struct cpumask *)(mask))

struct slot { struct bpf_cpumask __kptr *mask; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct slot); } slots SEC(".maps");

static __always_inline int bits(struct bpf_cpumask *m)
{
	if (!bpf_cpumask_empty(C(m)) || bpf_cpumask_first_zero(C(m)) != 0) return __LINE__;
	/* of 64 possible CPUs, or of those that there are */
	if (bpf_cpumask_first(C(m)) < 1) return __LINE__;
	bpf_cpumask_set_cpu(0, m);
	if (!bpf_cpumask_test_cpu(0, C(m)) || bpf_cpumask_first(C(m)) != 0) return __LINE__;
	if (bpf_cpumask_weight(C(m)) != 1 || bpf_cpumask_empty(C(m))) return __LINE__;
	if (bpf_cpumask_first_zero(C(m)) != 1) return __LINE__;
	/* no such CPU */
	bpf_cpumask_set_cpu(1 << 20, m);
	if (bpf_cpumask_test_cpu(1 << 20, C(m)) || bpf_cpumask_weight(C(m)) != 1) return __LINE__;
	if (bpf_cpumask_test_and_set_cpu(1 << 20, m)) return __LINE__;
	if (!bpf_cpumask_test_and_set_cpu(0, m)) return __LINE__;
	if (!bpf_cpumask_test_and_clear_cpu(0, m)) return __LINE__;
	if (bpf_cpumask_test_and_clear_cpu(0, m) || bpf_cpumask_test_and_set_cpu(0, m)) return __LINE__;
	bpf_cpumask_clear_cpu(0, m);
	if (!bpf_cpumask_empty(C(m))) return __LINE__;
	bpf_cpumask_setall(m);
	if (bpf_cpumask_empty(C(m)) || !bpf_cpumask_test_cpu(0, C(m))) return __LINE__;
	bpf_cpumask_clear(m);
	return bpf_cpumask_empty(C(m)) ? 0 : __LINE__;
}

SEC("syscall") __success __retval(0)
int one(void *ctx)
{
	struct bpf_cpumask *m = bpf_cpumask_create();
	int ret;

	if (!m) return __LINE__;
	ret = bits(m);
	bpf_cpumask_release(m);
	return ret;
}

static __always_inline int sets(struct bpf_cpumask *a, struct bpf_cpumask *b, struct bpf_cpumask *d)
{
	bpf_cpumask_set_cpu(0, a);
	if (bpf_cpumask_equal(C(a), C(b)) || bpf_cpumask_intersects(C(a), C(b))) return __LINE__;
	if (!bpf_cpumask_subset(C(b), C(a)) || bpf_cpumask_subset(C(a), C(b))) return __LINE__;
	if (bpf_cpumask_and(d, C(a), C(b)) || !bpf_cpumask_empty(C(d))) return __LINE__;
	bpf_cpumask_or(d, C(a), C(b));
	if (!bpf_cpumask_equal(C(d), C(a))) return __LINE__;
	bpf_cpumask_xor(d, C(a), C(a));
	if (!bpf_cpumask_empty(C(d))) return __LINE__;
	bpf_cpumask_copy(b, C(a));
	if (!bpf_cpumask_equal(C(a), C(b)) || !bpf_cpumask_intersects(C(a), C(b))) return __LINE__;
	if (!bpf_cpumask_and(d, C(a), C(b)) || !bpf_cpumask_equal(C(d), C(a))) return __LINE__;
	if (bpf_cpumask_first_and(C(a), C(b)) != 0) return __LINE__;
	if (bpf_cpumask_any_distribute(C(a)) != 0 || bpf_cpumask_any_distribute(C(a)) != 0) return __LINE__;
	if (bpf_cpumask_any_and_distribute(C(a), C(b)) != 0) return __LINE__;
	bpf_cpumask_clear(b);
	return bpf_cpumask_any_and_distribute(C(a), C(b)) == 0 ? __LINE__ : 0;
}

SEC("syscall") __success __retval(0)
int three(void *ctx)
{
	struct bpf_cpumask *a = bpf_cpumask_create(), *b, *d;
	int ret;

	if (!a) return __LINE__;
	b = bpf_cpumask_create();
	if (!b) {
		bpf_cpumask_release(a);
		return __LINE__;
	}
	d = bpf_cpumask_create();
	if (!d) {
		bpf_cpumask_release(a);
		bpf_cpumask_release(b);
		return __LINE__;
	}
	ret = sets(a, b, d);
	bpf_cpumask_release(a);
	bpf_cpumask_release(b);
	bpf_cpumask_release(d);
	return ret;
}

/* A reference goes into a map and comes out again. */
SEC("syscall") __success __retval(0)
int kept(void *ctx)
{
	struct bpf_cpumask *m = bpf_cpumask_create(), *second;
	struct slot *slot;
	int key = 0, ret = 0;

	if (!m) return __LINE__;
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		bpf_cpumask_release(m);
		return __LINE__;
	}
	bpf_cpumask_set_cpu(0, m);
	second = bpf_cpumask_acquire(m);
	m = bpf_kptr_xchg(&slot->mask, m);
	if (m) {
		bpf_cpumask_release(m);
		bpf_cpumask_release(second);
		return __LINE__;
	}
	bpf_cpumask_release(second);
	bpf_rcu_read_lock();
	m = slot->mask;
	if (!m || !bpf_cpumask_test_cpu(0, C(m)))
		ret = __LINE__;
	bpf_rcu_read_unlock();
	return ret;
}
