// SPDX-License-Identifier: GPL-2.0-only
/* Structures of functions that programs implement: bpf_testmod's, with and without a link. */
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

struct task_struct;
struct bpf_testmod_ops {
	int (*test_1)(void);
	void (*test_2)(int, int);
	int (*test_maybe_null)(int, struct task_struct *);
	char onebyte;
	int data;
};
struct st_ops_args { __u64 a; };
struct bpf_testmod_st_ops {
	int (*test_prologue)(struct st_ops_args *);
	int (*test_epilogue)(struct st_ops_args *);
	int (*test_pro_epilogue)(struct st_ops_args *);
};
extern int bpf_kfunc_st_ops_test_prologue(struct st_ops_args *args) __ksym;
extern int bpf_kfunc_st_ops_test_epilogue(struct st_ops_args *args) __ksym;
extern int bpf_kfunc_st_ops_test_pro_epilogue(struct st_ops_args *args) __ksym;

int test_1_calls = 0;
long test_2_sum = 0;

SEC("struct_ops")
int test_1(__u64 *ctx)
{
	test_1_calls++;
	return 0;
}

SEC("struct_ops")
void test_2(__u64 *ctx)
{
	test_2_sum = (int)ctx[0] + (int)ctx[1];
}

/* Not in any structure until user space puts it there. */
SEC("?struct_ops")
void test_2_product(__u64 *ctx)
{
	test_2_sum = (int)ctx[0] * (int)ctx[1];
}

SEC(".struct_ops")
struct bpf_testmod_ops plain = { .test_1 = (void *)test_1, .test_2 = (void *)test_2, .data = 7 };

SEC(".struct_ops.link")
struct bpf_testmod_ops linked = { .test_1 = (void *)test_1, .data = 9 };

SEC(".struct_ops.link")
struct bpf_testmod_ops other = { .test_1 = (void *)test_1 };

SEC("struct_ops")
int prologue(__u64 *ctx)
{
	struct st_ops_args *args = (void *)ctx[0];

	args->a += 1;
	return args->a;
}

SEC("struct_ops")
int epilogue(__u64 *ctx)
{
	struct st_ops_args *args = (void *)ctx[0];

	args->a += 2;
	return args->a;
}

SEC("struct_ops")
int pro_epilogue(__u64 *ctx)
{
	struct st_ops_args *args = (void *)ctx[0];

	args->a += 3;
	return args->a;
}

SEC(".struct_ops.link")
struct bpf_testmod_st_ops st_ops = {
	.test_prologue = (void *)prologue,
	.test_epilogue = (void *)epilogue,
	.test_pro_epilogue = (void *)pro_epilogue,
};

SEC(".struct_ops.link")
struct bpf_testmod_st_ops st_ops_2 = { .test_prologue = (void *)prologue };

#define CALL(what)						\
	SEC("syscall") int call_##what(struct st_ops_args *args)	\
	{							\
		return bpf_kfunc_st_ops_test_##what(args);	\
	}
CALL(prologue)
CALL(epilogue)
CALL(pro_epilogue)
