// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a callback of bpf_user_ringbuf_drain() may not do with its dynptr and its context, under the names upstream
 * gives it.
 */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"
#include "bpf_misc.h"

char _license[] SEC("license") = "GPL";

struct { __uint(type, BPF_MAP_TYPE_USER_RINGBUF); __uint(max_entries, 4096); } samples SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 2); } records SEC(".maps");

static int word;

/* A program that drains the ring with a callback, in which p is the dynptr and c the context. */
#define DRAINS(name, message, ...)                                                                                     \
	static long name##_cb(struct bpf_dynptr *p, void *c)                                                           \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
		return 0;                                                                                              \
	}                                                                                                              \
	SEC("?raw_tp")                                                                                                 \
	__failure __msg(message) int user_ringbuf_callback_##name(void *ctx)                                           \
	{                                                                                                              \
		bpf_user_ringbuf_drain(&samples, name##_cb, NULL, 0);                                                  \
		return 0;                                                                                              \
	}

/* a dynptr is only what the kernel handed over: nothing before it, nothing behind it, no byte of it */
DRAINS(bad_access1, "negative offset dynptr_ptr ptr", bpf_dynptr_data(p - 1, 0, 32))
DRAINS(bad_access2, "dereference of modified dynptr_ptr ptr", bpf_dynptr_data(p + 1, 0, 32))
DRAINS(write_forbidden, "invalid mem access 'dynptr_ptr'", *(volatile long *)p = 0)

/* no context was given, and the verifier knows it */
DRAINS(null_context_write, "invalid mem access 'scalar'", *(volatile __u64 *)c = 0)
DRAINS(null_context_read, "invalid mem access 'scalar'", return *(volatile __u64 *)c & 1)

/* the sample belongs to the ring: it is not the callback's to give back */
DRAINS(discard_dynptr, "cannot release unowned const bpf_dynptr", bpf_ringbuf_discard_dynptr(p, 0))
DRAINS(submit_dynptr, "cannot release unowned const bpf_dynptr", bpf_ringbuf_submit_dynptr(p, 0))

/* 0: go on, 1: enough; there is no third answer */
DRAINS(invalid_return, "At callback return the register R0 has ", return 2)

/* it is made already */
DRAINS(reinit_dynptr_mem, "Dynptr has to be an uninitialized dynptr", bpf_dynptr_from_mem(&word, 4, 0, p))
DRAINS(reinit_dynptr_ringbuf, "Dynptr has to be an uninitialized dynptr", bpf_ringbuf_reserve_dynptr(&records, 8, 0, p))

__noinline long takes_dynptr(struct bpf_dynptr *p)
{
	bpf_dynptr_data(p, 10, 10);
	return 0;
}

/* a global function's dynptr argument is checked where it is called */
DRAINS(const_ptr_to_dynptr_reg_off, "dereference of modified dynptr_ptr ptr R1 off=16384 disallowed", takes_dynptr(p + 1024))
