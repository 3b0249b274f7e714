// SPDX-License-Identifier: GPL-2.0-only
/* Data printed by the kernel's types (progs/netif_receive_skb.c). */
#include "bpf_helpers.h"
#include "bpf_kfuncs.h"

char _license[] SEC("license") = "GPL";

enum bpf_cmd { BPF_MAP_CREATE, BPF_CMD_SIX = 6 };
struct bpf_insn {
	__u8 code;
	__u8 dst_reg : 4;
	__u8 src_reg : 4;
	__s16 off;
	__s32 imm;
} __CORE;
struct list_head { struct list_head *next, *prev; } __CORE;
struct btf_ptr { void *ptr; __u32 type_id; __u32 flags; };
static long (*const bpf_snprintf_btf)(char *str, __u32 size, struct btf_ptr *ptr, __u32 btf_ptr_size, __u64 flags) = (void *)149;

char text[256] = {};
__u32 which = 0;
__u32 size = 256;
__u32 id_off = 0;
__u32 ptr_size = sizeof(struct btf_ptr);
__u64 flags = 0;
__u64 data[2] = {};
__u64 address = 0;
long ret = 0;

SEC("syscall")
int show(void *ctx)
{
	struct btf_ptr p = {};
	__u32 n = size;

	p.ptr = address ? (void *)address : data;
	p.type_id = which == 0 ? bpf_core_type_id_kernel(int) :
		    which == 1 ? bpf_core_type_id_kernel(enum bpf_cmd) :
		    which == 2 ? bpf_core_type_id_kernel(struct bpf_insn) :
		    which == 3 ? bpf_core_type_id_kernel(struct list_head) : id_off;
	if (n > sizeof(text))
		return 1;
	if (n == 0)
		return 2;
	ret = bpf_snprintf_btf(text, n, &p, ptr_size == sizeof(p) ? sizeof(p) : 8, flags);
	return 0;
}
