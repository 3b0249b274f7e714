// SPDX-License-Identifier: GPL-2.0-only
/* Exceptions: thrown in the main program and below it, with the callbacks that there may be (progs/exceptions.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

/* What programs must not reach after a throw. */
int reached = 0;

__noinline int cb_plus_10(__u64 cookie)
{
	return cookie + 10;
}

__noinline int cb_nested(__u64 cookie)
{
	volatile __u64 room[8] = { cookie };

	return cb_plus_10(room[0]) * 2;
}

static __noinline int low(struct __sk_buff *ctx, int deep)
{
	volatile __u64 room[16] = {};

	room[deep & 15] = deep;
	if (ctx->len)
		bpf_throw(deep);
	return room[3];
}

static __noinline int middle(struct __sk_buff *ctx, int deep)
{
	volatile __u64 room[7] = {};

	room[deep & 3] = low(ctx, deep + 1);
	reached = 1;
	return room[1];
}

__noinline int global_throw(struct __sk_buff *ctx)
{
	volatile int ret = middle(ctx, 30);

	reached = 1;
	return ret;
}

__noinline int global_quiet(struct __sk_buff *ctx)
{
	if (!ctx->len)
		bpf_throw(1);
	return 21;
}

SEC("tc") __success __retval(0)
int throw_default(struct __sk_buff *ctx)
{
	bpf_throw(0);
	return 1;
}

SEC("tc") __success __retval(5)
int throw_default_value(struct __sk_buff *ctx)
{
	bpf_throw(5);
	return 1;
}

SEC("tc") __success __retval(15) __exception_cb(cb_plus_10)
int throw_callback(struct __sk_buff *ctx)
{
	bpf_throw(5);
	return 1;
}

SEC("tc") __success __retval(34) __exception_cb(cb_nested)
int throw_callback_calls(struct __sk_buff *ctx)
{
	bpf_throw(7);
	return 1;
}

SEC("tc") __success __retval(41)
int throw_below(struct __sk_buff *ctx)
{
	volatile __u64 room[9] = { 1, 2, 3 };

	room[4] = middle(ctx, 40);
	reached = 1;
	return room[4] + room[1];
}

SEC("tc") __success __retval(41) __exception_cb(cb_plus_10)
int throw_below_global(struct __sk_buff *ctx)
{
	int ret = global_throw(ctx);

	reached = 1;
	return ret;
}

SEC("tc") __success __retval(42)
int throw_not(struct __sk_buff *ctx)
{
	return global_quiet(ctx) * 2;
}

SEC("tc") __success __retval(64)
int throw_if(struct __sk_buff *ctx)
{
	if (ctx->len > 1000)
		bpf_throw(-1);
	return ctx->len;
}
