// SPDX-License-Identifier: GPL-2.0-only
/** How accesses to the contexts of networking programs become accesses to the kernel's own structs (net/core/filter.c: *_convert_ctx_access). */
import { BPF_WRITE } from "../../include/linux/bpf.ts";
import { BPF_REG_AX } from "../../include/linux/filter.ts";
import { BPF_DW, BPF_JNE, BPF_MOV } from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_B,
	BPF_H,
	BPF_JEQ,
	BPF_JGE,
	BPF_JSET,
	BPF_LSH,
	BPF_MEM,
	BPF_ST,
	BPF_STX,
	BPF_SUB,
	BPF_W,
} from "../../include/uapi/linux/bpf_common.ts";
import {
	__sk_buff,
	bpf_sk_lookup,
	bpf_sock,
	bpf_sock_addr,
	bpf_sock_ops,
	bpf_tcp_sock,
	bpf_xdp_sock,
	sk_msg_md,
	sk_reuseport_md,
	xdp_md,
} from "../../include/uapi/linux/bpf_ctx.ts";
import type { bpf_insn, bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import { bytes_to_bpf_size, CtxEmitter, in_range } from "../../kernel/bpf/ctx_access.ts";
import type { Ref } from "../../lib/err.ts";

type Convert = (type: number, si: bpf_insn, prog: bpf_prog, target_size: Ref<number>) => bpf_insn[];

const PKT_TYPE_MAX = 7;
const SKB_TSTAMP_TYPE_MASK = 3;
const TC_AT_INGRESS_MASK = 1 << 2;
const NO_QUEUE_MAPPING = 0xffff;

const skb = __sk_buff;

/** dst = skb_shinfo(skb): head plus the offset `end`. */
function shinfo(e: CtxEmitter, dst: number, from: number): void {
	e.ldx_field(BPF_REG_AX, from, "sk_buff", "end");
	e.ldx_field(dst, from, "sk_buff", "head");
	e.alu64_reg(BPF_ADD, dst, BPF_REG_AX);
}

/** Reading tstamp gives 0 for a delivery time at ingress, unless the program knows of tstamp_type. */
function tstamp_read(e: CtxEmitter, prog: bpf_prog, si: bpf_insn): void {
	if (!prog.tstamp_type_access) {
		e.ldx(BPF_B, BPF_REG_AX, si.src_reg, e.off("sk_buff", "__mono_tc_offset"));
		e.jmp32_imm(BPF_JSET, BPF_REG_AX, TC_AT_INGRESS_MASK, 1);
		e.ja(4);
		e.jmp32_imm(BPF_JSET, BPF_REG_AX, SKB_TSTAMP_TYPE_MASK, 1);
		e.ja(2);
		e.mov64_imm(si.dst_reg, 0);
		e.ja(1);
	}
	e.ldx(BPF_DW, si.dst_reg, si.src_reg, e.off("sk_buff", "tstamp"));
}

/** Writing tstamp at ingress clears tstamp_type, unless the program knows of it. */
function tstamp_write(e: CtxEmitter, prog: bpf_prog, si: bpf_insn): void {
	if (!prog.tstamp_type_access) {
		const mono = e.off("sk_buff", "__mono_tc_offset");
		e.ldx(BPF_B, BPF_REG_AX, si.dst_reg, mono);
		e.jmp32_imm(BPF_JSET, BPF_REG_AX, TC_AT_INGRESS_MASK, 1);
		e.ja(2);
		e.alu32_imm(BPF_AND, BPF_REG_AX, ~SKB_TSTAMP_TYPE_MASK);
		e.stx(BPF_B, si.dst_reg, BPF_REG_AX, mono);
	}
	e.raw(e.cls | BPF_DW | BPF_MEM, si.dst_reg, si.src_reg, e.off("sk_buff", "tstamp"), si.imm);
}

/** net/core/filter.c: bpf_convert_ctx_access: struct __sk_buff to struct sk_buff. */
export const bpf_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const write = type === BPF_WRITE;
	const { dst_reg: dst, src_reg: src } = si;
	const skb_load = (size: number, member: string, bytes: number) =>
		e.ldx(size, dst, src, e.target_off("sk_buff", member, bytes));
	const sk = () => e.ldx_field(dst, src, "sk_buff", "sk");

	if (in_range(si.off, skb.cb)) {
		prog.cb_access = true;
		const off = si.off - skb.cb[0] + e.off("sk_buff", "cb") + e.off("qdisc_skb_cb", "data");
		e.access(write, e.size, off);
		return e.insns;
	}
	if (si.off >= skb.remote_ip6[0] && si.off <= skb.remote_ip6[0] + 12) {
		sk();
		e.ldx(BPF_W, dst, dst, e.off("sock_common", "skc_v6_daddr") + si.off - skb.remote_ip6[0]);
		return e.insns;
	}
	if (si.off >= skb.local_ip6[0] && si.off <= skb.local_ip6[0] + 12) {
		sk();
		e.ldx(BPF_W, dst, dst, e.off("sock_common", "skc_v6_rcv_saddr") + si.off - skb.local_ip6[0]);
		return e.insns;
	}

	switch (si.off) {
		case skb.len[0]:
			skb_load(BPF_W, "len", 4);
			break;
		case skb.protocol[0]:
			skb_load(BPF_H, "protocol", 2);
			break;
		case skb.vlan_proto[0]:
			skb_load(BPF_H, "vlan_proto", 2);
			break;
		case skb.priority[0]:
			e.access(write, BPF_W, e.target_off("sk_buff", "priority", 4));
			break;
		case skb.ingress_ifindex[0]:
			skb_load(BPF_W, "skb_iif", 4);
			break;
		case skb.ifindex[0]:
			e.ldx_field(dst, src, "sk_buff", "dev");
			e.jmp_imm(BPF_JEQ, dst, 0, 1);
			e.ldx(BPF_W, dst, dst, e.target_off("net_device", "ifindex", 4));
			break;
		case skb.hash[0]:
			skb_load(BPF_W, "hash", 4);
			break;
		case skb.mark[0]:
			e.access(write, BPF_W, e.target_off("sk_buff", "mark", 4));
			break;
		case skb.pkt_type[0]:
			target_size.val = 1;
			e.ldx(BPF_B, dst, src, e.off("sk_buff", "__pkt_type_offset"));
			e.alu32_imm(BPF_AND, dst, PKT_TYPE_MAX);
			break;
		case skb.queue_mapping[0]:
			if (write) {
				const off = e.target_off("sk_buff", "queue_mapping", 2);
				// si.imm is signed, NO_QUEUE_MAPPING an unsigned short: C compares as int.
				if (e.cls === BPF_ST && si.imm >= NO_QUEUE_MAPPING) {
					e.ja(0);
					break;
				}
				if (e.cls === BPF_STX) e.jmp_imm(BPF_JGE, src, NO_QUEUE_MAPPING, 1);
				e.store(BPF_H, off);
			} else {
				skb_load(BPF_H, "queue_mapping", 2);
			}
			break;
		case skb.vlan_present[0]:
			skb_load(BPF_W, "vlan_all", 4);
			e.jmp_imm(BPF_JEQ, dst, 0, 1);
			e.alu32_imm(BPF_MOV, dst, 1);
			break;
		case skb.vlan_tci[0]:
			skb_load(BPF_H, "vlan_tci", 2);
			break;
		case skb.tc_classid[0]:
			target_size.val = 2;
			e.access(write, BPF_H, e.off("sk_buff", "cb") + e.off("qdisc_skb_cb", "tc_classid"));
			break;
		case skb.data[0]:
			e.ldx_field(dst, src, "sk_buff", "data");
			break;
		case skb.data_meta[0]:
			e.ldx(BPF_DW, dst, src, e.off("sk_buff", "cb") + e.off("bpf_skb_data_end", "data_meta"));
			break;
		case skb.data_end[0]:
			e.ldx(BPF_DW, dst, src, e.off("sk_buff", "cb") + e.off("bpf_skb_data_end", "data_end"));
			break;
		case skb.tc_index[0]:
			e.access(write, BPF_H, e.target_off("sk_buff", "tc_index", 2));
			break;
		case skb.napi_id[0]: {
			const nr_cpus = Number(prog.kernel.config.kconfig.get("CONFIG_NR_CPUS") ?? "64");
			skb_load(BPF_W, "napi_id", 4);
			e.jmp_imm(BPF_JGE, dst, nr_cpus + 1, 1);
			e.mov64_imm(dst, 0);
			break;
		}
		case skb.family[0]:
			sk();
			e.ldx(BPF_H, dst, dst, e.target_off("sock_common", "skc_family", 2));
			break;
		case skb.remote_ip4[0]:
			sk();
			e.ldx(BPF_W, dst, dst, e.target_off("sock_common", "skc_daddr", 4));
			break;
		case skb.local_ip4[0]:
			sk();
			e.ldx(BPF_W, dst, dst, e.target_off("sock_common", "skc_rcv_saddr", 4));
			break;
		case skb.remote_port[0]:
			sk();
			e.ldx(BPF_H, dst, dst, e.target_off("sock_common", "skc_dport", 2));
			e.alu32_imm(BPF_LSH, dst, 16);
			break;
		case skb.local_port[0]:
			sk();
			e.ldx(BPF_H, dst, dst, e.target_off("sock_common", "skc_num", 2));
			break;
		case skb.tstamp[0]:
			if (write) tstamp_write(e, prog, si);
			else tstamp_read(e, prog, si);
			break;
		case skb.tstamp_type[0]:
			e.ldx(BPF_B, dst, src, e.off("sk_buff", "__mono_tc_offset"));
			e.alu32_imm(BPF_AND, dst, SKB_TSTAMP_TYPE_MASK);
			break;
		case skb.gso_segs[0]:
			shinfo(e, dst, src);
			e.ldx(BPF_H, dst, dst, e.target_off("skb_shared_info", "gso_segs", 2));
			break;
		case skb.gso_size[0]:
			shinfo(e, dst, src);
			e.ldx(BPF_H, dst, dst, e.target_off("skb_shared_info", "gso_size", 2));
			break;
		case skb.wire_len[0]:
			target_size.val = 4;
			e.ldx(BPF_W, dst, src, e.off("sk_buff", "cb") + e.off("qdisc_skb_cb", "pkt_len"));
			break;
		case skb.sk[0]:
			sk();
			break;
		case skb.hwtstamp[0]:
			shinfo(e, dst, src);
			e.ldx(BPF_DW, dst, dst, e.target_off("skb_shared_info", "hwtstamps", 8));
			break;
	}
	return e.insns;
};

/** net/core/filter.c: tc_cls_act_convert_ctx_access: at tc a packet always has its device. */
export const tc_cls_act_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	if (si.off !== skb.ifindex[0]) return bpf_convert_ctx_access(type, si, prog, target_size);
	const e = new CtxEmitter(prog, si, target_size);
	e.ldx_field(si.dst_reg, si.src_reg, "sk_buff", "dev");
	e.ldx(BPF_W, si.dst_reg, si.dst_reg, e.target_off("net_device", "ifindex", 4));
	return e.insns;
};

/** net/core/filter.c: bpf_sock_convert_ctx_access: struct bpf_sock to struct sock. */
export const bpf_sock_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const s = bpf_sock;
	const write = type === BPF_WRITE;
	const { dst_reg: dst, src_reg: src } = si;
	const whole = (struct: string, member: string) =>
		e.ldx(e.field_size(struct, member), dst, src, e.target_off(struct, member));
	const as_accessed = (member: string) => e.ldx(e.size, dst, src, e.target_off("sock_common", member, 4));

	if (in_range(si.off, s.src_ip6)) {
		e.ldx(e.size, dst, src, e.target_off("sock_common", "skc_v6_rcv_saddr", 4) + si.off - s.src_ip6[0]);
		return e.insns;
	}
	if (in_range(si.off, s.dst_ip6)) {
		e.ldx(e.size, dst, src, e.target_off("sock_common", "skc_v6_daddr", 4) + si.off - s.dst_ip6[0]);
		return e.insns;
	}
	switch (si.off) {
		case s.bound_dev_if[0]:
			e.access(write, BPF_W, e.off("sock_common", "skc_bound_dev_if"));
			break;
		case s.mark[0]:
			e.access(write, BPF_W, e.off("sock", "sk_mark"));
			break;
		case s.priority[0]:
			e.access(write, BPF_W, e.off("sock", "sk_priority"));
			break;
		case s.family[0]:
			whole("sock_common", "skc_family");
			break;
		case s.type[0]:
			whole("sock", "sk_type");
			break;
		case s.protocol[0]:
			whole("sock", "sk_protocol");
			break;
		case s.src_ip4[0]:
			as_accessed("skc_rcv_saddr");
			break;
		case s.dst_ip4[0]:
			as_accessed("skc_daddr");
			break;
		case s.src_port[0]:
			whole("sock_common", "skc_num");
			break;
		case s.dst_port[0]:
			whole("sock_common", "skc_dport");
			break;
		case s.state[0]:
			whole("sock_common", "skc_state");
			break;
		case s.rx_queue_mapping[0]:
			whole("sock_common", "skc_rx_queue_mapping");
			e.jmp_imm(BPF_JNE, dst, NO_QUEUE_MAPPING, 1);
			e.mov64_imm(dst, -1);
			break;
	}
	return e.insns;
};

/** Members of struct bpf_tcp_sock that stand in struct tcp_sock under the same name. */
const tcp_sock_members = [
	"snd_cwnd",
	"srtt_us",
	"snd_ssthresh",
	"rcv_nxt",
	"snd_nxt",
	"snd_una",
	"mss_cache",
	"ecn_flags",
	"rate_delivered",
	"rate_interval_us",
	"packets_out",
	"retrans_out",
	"total_retrans",
	"segs_in",
	"data_segs_in",
	"segs_out",
	"data_segs_out",
	"lost_out",
	"sacked_out",
	"bytes_received",
	"bytes_acked",
] as const;

/** net/core/filter.c: bpf_tcp_sock_convert_ctx_access */
export const bpf_tcp_sock_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const t = bpf_tcp_sock;
	const { dst_reg: dst, src_reg: src } = si;
	if (si.off === t.rtt_min[0]) {
		e.ldx(BPF_W, dst, src, e.off("tcp_sock", "rtt_min") + e.off("minmax_sample", "v"));
		return e.insns;
	}
	if (si.off === t.icsk_retransmits[0]) {
		e.ldx_field(dst, src, "inet_connection_sock", "icsk_retransmits");
		return e.insns;
	}
	for (const member of [...tcp_sock_members, "dsack_dups", "delivered", "delivered_ce"] as const)
		if (si.off === t[member][0]) e.ldx_field(dst, src, "tcp_sock", member);
	return e.insns;
};

/** net/core/filter.c: bpf_xdp_sock_convert_ctx_access */
export const bpf_xdp_sock_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	if (si.off === bpf_xdp_sock.queue_id[0]) e.ldx_field(si.dst_reg, si.src_reg, "xdp_sock", "queue_id");
	return e.insns;
};

/** net/core/filter.c: xdp_convert_ctx_access */
export const xdp_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const { dst_reg: dst, src_reg: src } = si;
	switch (si.off) {
		case xdp_md.data[0]:
			e.ldx_field(dst, src, "xdp_buff", "data");
			break;
		case xdp_md.data_meta[0]:
			e.ldx_field(dst, src, "xdp_buff", "data_meta");
			break;
		case xdp_md.data_end[0]:
			e.ldx_field(dst, src, "xdp_buff", "data_end");
			break;
		case xdp_md.ingress_ifindex[0]:
			e.ldx_field(dst, src, "xdp_buff", "rxq");
			e.ldx_field(dst, dst, "xdp_rxq_info", "dev");
			e.ldx(BPF_W, dst, dst, e.off("net_device", "ifindex"));
			break;
		case xdp_md.rx_queue_index[0]:
			e.ldx_field(dst, src, "xdp_buff", "rxq");
			e.ldx(BPF_W, dst, dst, e.off("xdp_rxq_info", "queue_index"));
			break;
		case xdp_md.egress_ifindex[0]:
			e.ldx_field(dst, src, "xdp_buff", "txq");
			e.ldx_field(dst, dst, "xdp_txq_info", "dev");
			e.ldx(BPF_W, dst, dst, e.off("net_device", "ifindex"));
			break;
	}
	return e.insns;
};

/**
 * An access to a member of the struct that a member of the context points at
 * (SOCK_ADDR_LOAD_OR_STORE_NESTED_FIELD_SIZE_OFF).
 * @param ptr member of `kern` that holds the pointer
 * @param nested [struct, member, bytes of the member]
 * @param tmp member of `kern` that keeps a borrowed register during a store; undefined: loads only
 */
function nested_access(
	e: CtxEmitter,
	type: number,
	si: bpf_insn,
	kern: string,
	ptr: string,
	nested: readonly [string, string, number],
	size: number,
	off: number,
	tmp?: string,
): void {
	const [struct, member, bytes] = nested;
	if (type === BPF_WRITE && tmp !== undefined) {
		const reg = e.spare_reg();
		e.stx(BPF_DW, si.dst_reg, reg, e.off(kern, tmp));
		e.ldx_field(reg, si.dst_reg, kern, ptr);
		e.raw(size | BPF_MEM | e.cls, reg, si.src_reg, e.target_off(struct, member, bytes) + off, si.imm);
		e.ldx(BPF_DW, reg, si.dst_reg, e.off(kern, tmp));
	} else {
		e.ldx_field(si.dst_reg, si.src_reg, kern, ptr);
		e.ldx(size, si.dst_reg, si.dst_reg, e.target_off(struct, member, bytes) + off);
	}
}

/** net/core/filter.c: sock_addr_convert_ctx_access */
export const sock_addr_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const a = bpf_sock_addr;
	const kern = "bpf_sock_addr_kern";
	const load = (ptr: string, struct: string, member: string, size: number, bytes: number) =>
		nested_access(e, type, si, kern, ptr, [struct, member, bytes], size, 0);
	const both = (ptr: string, nested: readonly [string, string, number], size: number, off: number) =>
		nested_access(e, type, si, kern, ptr, nested, size, off, "tmp_reg");

	if (in_range(si.off, a.user_ip6)) {
		both("uaddr", ["sockaddr_in6", "sin6_addr", 4], e.size, si.off - a.user_ip6[0]);
		return e.insns;
	}
	if (in_range(si.off, a.msg_src_ip6)) {
		both("t_ctx", ["in6_addr", "in6_u", 4], e.size, si.off - a.msg_src_ip6[0]);
		return e.insns;
	}
	switch (si.off) {
		case a.user_family[0]:
			load("uaddr", "sockaddr", "sa_family", BPF_H, 2);
			break;
		case a.user_ip4[0]:
			both("uaddr", ["sockaddr_in", "sin_addr", 4], e.size, 0);
			break;
		case a.user_port[0]: {
			// The port stands at the same place in both families' addresses.
			const bytes = Math.min(2, e.size === BPF_B ? 1 : 2);
			both("uaddr", ["sockaddr_in6", "sin6_port", 2], bytes_to_bpf_size(bytes), 0);
			break;
		}
		case a.family[0]:
			load("sk", "sock_common", "skc_family", BPF_H, 2);
			break;
		case a.type[0]:
			load("sk", "sock", "sk_type", BPF_H, 2);
			break;
		case a.protocol[0]:
			load("sk", "sock", "sk_protocol", BPF_H, 2);
			break;
		case a.msg_src_ip4[0]:
			both("t_ctx", ["in_addr", "s_addr", 4], e.size, 0);
			break;
		case a.sk[0]:
			e.ldx_field(si.dst_reg, si.src_reg, kern, "sk");
			break;
	}
	return e.insns;
};

const sock_ops_kern = "bpf_sock_ops_kern";

/** Load a member behind ctx->sk, or the socket itself (`member` null), where it is a full socket; else 0. */
function sock_ops_get(e: CtxEmitter, si: bpf_insn, struct: string | null, member: string | null): void {
	const same = si.dst_reg === si.src_reg;
	const reg = e.spare_reg();
	const temp = e.off(sock_ops_kern, "temp");
	let fullsock_reg = si.dst_reg;
	let jmp = member === null ? 1 : 2;
	if (same) {
		e.stx(BPF_DW, si.src_reg, reg, temp);
		fullsock_reg = reg;
		jmp += 2;
	}
	e.ldx_field(fullsock_reg, si.src_reg, sock_ops_kern, "is_fullsock");
	e.jmp_imm(BPF_JEQ, fullsock_reg, 0, jmp);
	if (same) e.ldx(BPF_DW, reg, si.src_reg, temp);
	e.ldx_field(si.dst_reg, si.src_reg, sock_ops_kern, "sk");
	if (struct !== null && member !== null) e.ldx_field(si.dst_reg, si.dst_reg, struct, member);
	if (same) {
		e.ja(1);
		e.ldx(BPF_DW, reg, si.src_reg, temp);
	}
}

function sock_ops_set(e: CtxEmitter, si: bpf_insn, struct: string, member: string): void {
	const reg = e.spare_reg();
	const temp = e.off(sock_ops_kern, "temp");
	e.stx(BPF_DW, si.dst_reg, reg, temp);
	e.ldx_field(reg, si.dst_reg, sock_ops_kern, "is_fullsock");
	e.jmp_imm(BPF_JEQ, reg, 0, 2);
	e.ldx_field(reg, si.dst_reg, sock_ops_kern, "sk");
	e.raw(e.field_size(struct, member) | BPF_MEM | e.cls, reg, si.src_reg, e.off(struct, member), si.imm);
	e.ldx(BPF_DW, reg, si.dst_reg, temp);
}

/** net/core/filter.c: sock_ops_convert_ctx_access */
export const sock_ops_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const s = bpf_sock_ops;
	const { dst_reg: dst, src_reg: src } = si;
	const kern = (member: string) => e.ldx_field(dst, src, sock_ops_kern, member);
	/** A member of sock_common, behind ctx->sk. */
	const common = (size: number, member: string, off = 0) => {
		kern("sk");
		e.ldx(size, dst, dst, e.off("sock_common", member) + off);
	};

	if (in_range(si.off, s.replylong)) {
		e.access(type === BPF_WRITE, BPF_W, si.off - s.replylong[0] + e.off(sock_ops_kern, "replylong"));
		return e.insns;
	}
	if (si.off >= s.remote_ip6[0] && si.off <= s.remote_ip6[0] + 12) {
		common(BPF_W, "skc_v6_daddr", si.off - s.remote_ip6[0]);
		return e.insns;
	}
	if (si.off >= s.local_ip6[0] && si.off <= s.local_ip6[0] + 12) {
		common(BPF_W, "skc_v6_rcv_saddr", si.off - s.local_ip6[0]);
		return e.insns;
	}
	for (const member of tcp_sock_members) {
		if (si.off === s[member][0]) {
			sock_ops_get(e, si, "tcp_sock", member);
			return e.insns;
		}
	}
	switch (si.off) {
		case s.op[0]:
			kern("op");
			break;
		case s.family[0]:
			common(BPF_H, "skc_family");
			break;
		case s.remote_ip4[0]:
			common(BPF_W, "skc_daddr");
			break;
		case s.local_ip4[0]:
			common(BPF_W, "skc_rcv_saddr");
			break;
		case s.remote_port[0]:
			common(BPF_H, "skc_dport");
			e.alu32_imm(BPF_LSH, dst, 16);
			break;
		case s.local_port[0]:
			common(BPF_H, "skc_num");
			break;
		case s.is_fullsock[0]:
			kern("is_fullsock");
			break;
		case s.state[0]:
			common(BPF_B, "skc_state");
			break;
		case s.rtt_min[0]:
			kern("sk");
			// The kernel adds the size of minmax_sample.t, which is the offset of .v behind it.
			e.ldx(BPF_W, dst, dst, e.off("tcp_sock", "rtt_min") + 4);
			break;
		case s.bpf_sock_ops_cb_flags[0]:
			sock_ops_get(e, si, "tcp_sock", "bpf_sock_ops_cb_flags");
			break;
		case s.sk_txhash[0]:
			if (type === BPF_WRITE) sock_ops_set(e, si, "sock", "sk_txhash");
			else sock_ops_get(e, si, "sock", "sk_txhash");
			break;
		case s.sk[0]:
			sock_ops_get(e, si, null, null);
			break;
		case s.skb_data_end[0]:
			kern("skb_data_end");
			break;
		case s.skb_data[0]:
			kern("skb");
			e.jmp_imm(BPF_JEQ, dst, 0, 1);
			e.ldx_field(dst, dst, "sk_buff", "data");
			break;
		case s.skb_len[0]:
			kern("skb");
			e.jmp_imm(BPF_JEQ, dst, 0, 1);
			e.ldx_field(dst, dst, "sk_buff", "len");
			break;
		case s.skb_tcp_flags[0]: {
			const off = e.off("sk_buff", "cb") + e.target_off("tcp_skb_cb", "tcp_flags");
			kern("skb");
			e.jmp_imm(BPF_JEQ, dst, 0, 1);
			e.ldx(e.field_size("tcp_skb_cb", "tcp_flags"), dst, dst, off);
			break;
		}
		case s.skb_hwtstamp[0]:
			kern("skb");
			e.jmp_imm(BPF_JEQ, dst, 0, 4);
			shinfo(e, dst, dst);
			e.ldx(BPF_DW, dst, dst, e.target_off("skb_shared_info", "hwtstamps", 8));
			break;
	}
	return e.insns;
};

/** data_end = skb->data + skb_headlen(), with at most one borrowed register. */
function data_end(e: CtxEmitter, si: bpf_insn): void {
	const same = si.src_reg === si.dst_reg;
	const temp = e.off("sk_buff", "cb") + e.off("sk_skb_cb", "temp_reg");
	const reg = same ? e.spare_reg() : si.dst_reg;
	if (same) e.stx(BPF_DW, si.src_reg, reg, temp);
	e.ldx_field(reg, si.src_reg, "sk_buff", "data");
	e.ldx_field(BPF_REG_AX, si.src_reg, "sk_buff", "len");
	e.alu64_reg(BPF_ADD, reg, BPF_REG_AX);
	e.ldx_field(BPF_REG_AX, si.src_reg, "sk_buff", "data_len");
	e.alu64_reg(BPF_SUB, reg, BPF_REG_AX);
	if (same) {
		e.mov64_reg(BPF_REG_AX, si.src_reg);
		e.mov64_reg(si.dst_reg, reg);
		e.ldx(BPF_DW, reg, BPF_REG_AX, temp);
	}
}

/** net/core/filter.c: sk_skb_convert_ctx_access */
export const sk_skb_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	if (si.off === skb.data_end[0]) {
		data_end(e, si);
		return e.insns;
	}
	if (in_range(si.off, skb.cb)) {
		prog.cb_access = true;
		e.access(
			type === BPF_WRITE,
			e.size,
			si.off - skb.cb[0] + e.off("sk_buff", "cb") + e.off("sk_skb_cb", "data"),
		);
		return e.insns;
	}
	return bpf_convert_ctx_access(type, si, prog, target_size);
};

/** net/core/filter.c: sk_msg_convert_ctx_access */
export const sk_msg_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const m = sk_msg_md;
	const { dst_reg: dst, src_reg: src } = si;
	const common = (size: number, member: string, off = 0) => {
		e.ldx_field(dst, src, "sk_msg", "sk");
		e.ldx(size, dst, dst, e.off("sock_common", member) + off);
	};
	if (si.off >= m.remote_ip6[0] && si.off <= m.remote_ip6[0] + 12) {
		common(BPF_W, "skc_v6_daddr", si.off - m.remote_ip6[0]);
		return e.insns;
	}
	if (si.off >= m.local_ip6[0] && si.off <= m.local_ip6[0] + 12) {
		common(BPF_W, "skc_v6_rcv_saddr", si.off - m.local_ip6[0]);
		return e.insns;
	}
	switch (si.off) {
		case m.data[0]:
			e.ldx_field(dst, src, "sk_msg", "data");
			break;
		case m.data_end[0]:
			e.ldx_field(dst, src, "sk_msg", "data_end");
			break;
		case m.family[0]:
			common(BPF_H, "skc_family");
			break;
		case m.remote_ip4[0]:
			common(BPF_W, "skc_daddr");
			break;
		case m.local_ip4[0]:
			common(BPF_W, "skc_rcv_saddr");
			break;
		case m.remote_port[0]:
			common(BPF_H, "skc_dport");
			e.alu32_imm(BPF_LSH, dst, 16);
			break;
		case m.local_port[0]:
			common(BPF_H, "skc_num");
			break;
		case m.size[0]:
			e.ldx_field(dst, src, "sk_msg_sg", "size");
			break;
		case m.sk[0]:
			e.ldx_field(dst, src, "sk_msg", "sk");
			break;
	}
	return e.insns;
};

/** net/core/filter.c: flow_dissector_convert_ctx_access */
export const flow_dissector_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const load = (member: string) => e.ldx_field(si.dst_reg, si.src_reg, "bpf_flow_dissector", member);
	if (si.off === skb.data[0]) load("data");
	else if (si.off === skb.data_end[0]) load("data_end");
	else if (si.off === skb.flow_keys[0]) load("flow_keys");
	return e.insns;
};

/** net/core/filter.c: sk_reuseport_convert_ctx_access */
export const sk_reuseport_convert_ctx_access: Convert = (type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const r = sk_reuseport_md;
	const kern = "sk_reuseport_kern";
	const own = (member: string) =>
		e.ldx(e.field_size(kern, member), si.dst_reg, si.src_reg, e.target_off(kern, member));
	const nested = (ptr: string, struct: string, member: string, bytes: number) =>
		nested_access(e, type, si, kern, ptr, [struct, member, bytes], bytes_to_bpf_size(bytes), 0);
	switch (si.off) {
		case r.data[0]:
			nested("skb", "sk_buff", "data", 8);
			break;
		case r.len[0]:
			nested("skb", "sk_buff", "len", 4);
			break;
		case r.eth_protocol[0]:
			nested("skb", "sk_buff", "protocol", 2);
			break;
		case r.ip_protocol[0]:
			nested("sk", "sock", "sk_protocol", 2);
			break;
		case r.data_end[0]:
			own("data_end");
			break;
		case r.hash[0]:
			own("hash");
			break;
		case r.bind_inany[0]:
			own("bind_inany");
			break;
		case r.sk[0]:
			own("sk");
			break;
		case r.migrating_sk[0]:
			own("migrating_sk");
			break;
	}
	return e.insns;
};

/** net/core/filter.c: sk_lookup_convert_ctx_access */
export const sk_lookup_convert_ctx_access: Convert = (_type, si, prog, target_size) => {
	const e = new CtxEmitter(prog, si, target_size);
	const l = bpf_sk_lookup;
	const kern = "bpf_sk_lookup_kern";
	const { dst_reg: dst, src_reg: src } = si;
	const load = (size: number, member: string, bytes: number) =>
		e.ldx(size, dst, src, e.target_off(kern, member, bytes));
	const ip6 = (member: string, off: number) => {
		target_size.val = 4;
		e.ldx(BPF_DW, dst, src, e.off(kern, member));
		e.jmp_imm(BPF_JEQ, dst, 0, 1);
		e.ldx(BPF_W, dst, dst, off);
	};
	if (in_range(si.off, l.remote_ip6)) {
		ip6("v6.saddr", si.off - l.remote_ip6[0]);
		return e.insns;
	}
	if (in_range(si.off, l.local_ip6)) {
		ip6("v6.daddr", si.off - l.local_ip6[0]);
		return e.insns;
	}
	switch (si.off) {
		case l.sk[0]:
			e.ldx(BPF_DW, dst, src, e.off(kern, "selected_sk"));
			break;
		case l.family[0]:
			load(BPF_H, "family", 2);
			break;
		case l.protocol[0]:
			load(BPF_H, "protocol", 2);
			break;
		case l.remote_ip4[0]:
			load(BPF_W, "v4.saddr", 4);
			break;
		case l.local_ip4[0]:
			load(BPF_W, "v4.daddr", 4);
			break;
		case l.remote_port[0]:
			load(BPF_H, "sport", 2);
			break;
		case l.remote_port[0] + l.remote_port[1]:
			target_size.val = 2;
			e.alu32_imm(BPF_MOV, dst, 0);
			break;
		case l.local_port[0]:
			load(BPF_H, "dport", 2);
			break;
		case l.ingress_ifindex[0]:
			load(BPF_W, "ingress_ifindex", 4);
			break;
	}
	return e.insns;
};
