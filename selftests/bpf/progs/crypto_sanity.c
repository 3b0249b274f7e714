// SPDX-License-Identifier: GPL-2.0-only
/* Ciphers of programs: a context made once, kept in a map, used on packets (progs/crypto_sanity.c, crypto_basic.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

struct bpf_crypto_params {
	char type[14];
	__u8 reserved[2];
	char algo[128];
	__u8 key[256];
	__u32 key_len;
	__u32 authsize;
};
struct bpf_crypto_ctx { int __mirror; };

extern struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params, __u32 params__sz, int *err) __ksym;
extern struct bpf_crypto_ctx *bpf_crypto_ctx_acquire(struct bpf_crypto_ctx *ctx) __ksym;
extern void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx) __ksym;
extern int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst,
			      const struct bpf_dynptr *iv) __ksym;
extern int bpf_crypto_decrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst,
			      const struct bpf_dynptr *iv) __ksym;

struct slot { struct bpf_crypto_ctx __kptr *ctx; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, struct slot); } slots SEC(".maps");

struct bpf_crypto_params params = {};
__u32 params_size = sizeof(struct bpf_crypto_params);
char dst[64] = {};
char iv[16] = {};
__u32 dst_len = 16;
__u32 iv_len = 0;
int status = 0;

SEC("syscall")
int setup(void *unused)
{
	struct bpf_crypto_ctx *ctx;
	struct slot *slot;
	int key = 0, err = 0;

	status = 0;
	ctx = bpf_crypto_ctx_create(&params, params_size == sizeof(params) ? sizeof(params) : 8, &err);
	if (!ctx) {
		status = err;
		return 0;
	}
	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot) {
		bpf_crypto_ctx_release(ctx);
		status = -1;
		return 0;
	}
	ctx = bpf_kptr_xchg(&slot->ctx, ctx);
	if (ctx)
		bpf_crypto_ctx_release(ctx);
	return 0;
}

static __always_inline int crypt(struct __sk_buff *skb, bool decrypt)
{
	struct bpf_dynptr in, out, vec;
	struct bpf_crypto_ctx *ctx;
	struct slot *slot;
	int key = 0;

	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot)
		return -1;
	ctx = slot->ctx;
	if (!ctx)
		return -2;
	bpf_dynptr_from_skb(skb, 0, &in);
	bpf_dynptr_adjust(&in, 16, 16 + (skb->len & 0x3f));
	bpf_dynptr_from_mem(dst, sizeof(dst), 0, &out);
	bpf_dynptr_adjust(&out, 0, dst_len);
	bpf_dynptr_from_mem(iv, sizeof(iv), 0, &vec);
	bpf_dynptr_adjust(&vec, 0, iv_len);
	return decrypt ? bpf_crypto_decrypt(ctx, &in, &out, &vec) : bpf_crypto_encrypt(ctx, &in, &out, &vec);
}

/* 64 + n bytes of packet: n are the text, after 16 of header. */
SEC("tc")
int encrypt(struct __sk_buff *skb)
{
	status = crypt(skb, false);
	return 0;
}

SEC("tc")
int decrypt(struct __sk_buff *skb)
{
	status = crypt(skb, true);
	return 0;
}
