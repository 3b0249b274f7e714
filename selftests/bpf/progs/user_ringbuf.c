// SPDX-License-Identifier: GPL-2.0-only
/* User space produces, the program drains: samples, and a protocol of messages in both directions. */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
} user_ringbuf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
} kernel_ringbuf SEC(".maps");

struct sample {
	int pid;
	int seq;
	long value;
	char comm[16];
};

enum msg_op { INC64, INC32, MUL64, MUL32, NR_OPS };

struct msg {
	int op;
	int pad;
	union {
		__s64 operand_64;
		__s32 operand_32;
	};
};

int pid = 0;
/* what a drain is called on, and the protocol's step */
long drain_nr = -1;
long msg_nr = -1;
__u64 flags = 0;

long read = 0;
long ret = 0;
long err = 0;
long last_seq = -1;
long value_sum = 0;
long kern_mutated = 0;
/* the callback ends the drain at the sample of this number */
long stop_at = -1;
/* the callback drains the ring itself */
int nested = 0;
long nested_ret = 0;

static long never(struct bpf_dynptr *dynptr, void *context)
{
	err = 1;
	return 1;
}

static long record_sample(struct bpf_dynptr *dynptr, void *context)
{
	const struct sample *sample;
	struct sample copy;
	long e;

	if (nested)
		nested_ret = bpf_user_ringbuf_drain(&user_ringbuf, never, NULL, 0);
	read++;
	/* every other sample through a slice, the rest through a copy */
	if (read & 1) {
		e = bpf_dynptr_read(&copy, sizeof(copy), dynptr, 0, 0);
		if (e) {
			/* shorter than a sample: a token of the discard and the blocking test */
			return 0;
		}
		sample = &copy;
	} else {
		sample = bpf_dynptr_data(dynptr, 0, sizeof(*sample));
		if (!sample)
			return 0;
	}
	last_seq = sample->seq;
	value_sum += sample->value;
	return read == stop_at;
}

SEC("raw_tp/sys_enter")
int drain(struct bpf_raw_tracepoint_args *ctx)
{
	if ((bpf_get_current_pid_tgid() >> 32) != pid || ctx->args[1] != drain_nr)
		return 0;
	ret = bpf_user_ringbuf_drain(&user_ringbuf, record_sample, NULL, flags);
	return 0;
}

static long read_msg(struct bpf_dynptr *dynptr, void *context)
{
	const struct msg *msg = bpf_dynptr_data(dynptr, 0, sizeof(*msg));

	if (!msg) {
		err = 2;
		return 0;
	}
	switch (msg->op) {
	case INC64:
		kern_mutated += msg->operand_64;
		return 0;
	case INC32:
		kern_mutated += msg->operand_32;
		return 0;
	case MUL64:
		kern_mutated *= msg->operand_64;
		return 0;
	case MUL32:
		kern_mutated *= msg->operand_32;
		return 0;
	}
	err = 3;
	return 0;
}

static long publish(__u32 i, void *context)
{
	struct msg *msg = bpf_ringbuf_reserve(&kernel_ringbuf, sizeof(*msg), 0);

	if (!msg) {
		err = 4;
		return 1;
	}
	msg->op = i % NR_OPS;
	msg->pad = 0;
	msg->operand_64 = msg->op == INC64 || msg->op == MUL64 ? 4 : 2;
	bpf_ringbuf_submit(msg, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int messages(struct bpf_raw_tracepoint_args *ctx)
{
	if ((bpf_get_current_pid_tgid() >> 32) != pid || ctx->args[1] != msg_nr)
		return 0;
	ret = bpf_user_ringbuf_drain(&user_ringbuf, read_msg, NULL, 0);
	bpf_loop(8, publish, NULL, 0);
	return 0;
}
