// SPDX-License-Identifier: GPL-2.0-only
/** Which members of their contexts networking programs may touch (net/core/filter.c: *_is_valid_access). */
import {
	BPF_READ,
	BPF_WRITE,
	PTR_TO_FLOW_KEYS,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON_OR_NULL,
	PTR_TO_SOCKET,
	PTR_TO_SOCKET_OR_NULL,
} from "../../include/linux/bpf.ts";
import {
	BPF_CGROUP_INET_SOCK_CREATE,
	BPF_CGROUP_INET_SOCK_RELEASE,
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET4_POST_BIND,
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_INET6_POST_BIND,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UDP6_SENDMSG,
	BPF_XDP_DEVMAP,
} from "../../include/uapi/linux/bpf.ts";
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
import { bpf_prog_capable } from "../../kernel/bpf/base_proto.ts";
import type { bpf_insn_access_aux, bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import {
	type CtxField,
	in_range,
	in_range_till,
	narrow_access_ok,
	wide_access_ok,
} from "../../kernel/bpf/ctx_access.ts";
import { CAP_BPF } from "../../kernel/task.ts";

type Access = (off: number, size: number, type: number, prog: bpf_prog, info: bpf_insn_access_aux) => boolean;

const skb = __sk_buff;

function in_any(off: number, fields: readonly CtxField[]): boolean {
	return fields.some((f) => in_range(off, f));
}

/** Offsets from `family` to `local_port`: what a program sees of the socket. */
function in_skb_socket(off: number): boolean {
	return in_range_till(off, skb.family, skb.local_port);
}

/** Marks loads of data, data_meta and data_end as the packet pointers that they are. */
function packet_pointers(off: number, info: bpf_insn_access_aux, meta: boolean): void {
	if (in_range(off, skb.data)) info.reg_type = PTR_TO_PACKET;
	else if (meta && in_range(off, skb.data_meta)) info.reg_type = PTR_TO_PACKET_META;
	else if (in_range(off, skb.data_end)) info.reg_type = PTR_TO_PACKET_END;
}

/** net/core/filter.c: bpf_skb_is_valid_access: the rules of struct __sk_buff that all its users share. */
const bpf_skb_is_valid_access: Access = (off, size, type, _prog, info) => {
	if (off < 0 || off >= skb.sizeof) return false;
	if (off % size !== 0) return false;

	if (in_range(off, skb.cb)) return off + size <= skb.cb[0] + skb.cb[1];
	if (in_any(off, [skb.data, skb.data_meta, skb.data_end])) return !info.is_ldsx && size === 4;
	if (in_any(off, [skb.remote_ip6, skb.local_ip6, skb.remote_ip4, skb.local_ip4])) return size === 4;
	if (in_range(off, skb.flow_keys)) return false;
	if (in_range(off, skb.hwtstamp)) return type !== BPF_WRITE && size === 8;
	if (in_range(off, skb.tstamp)) return size === 8;
	if (in_range(off, skb.sk)) {
		if (type === BPF_WRITE || size !== 8) return false;
		info.reg_type = PTR_TO_SOCK_COMMON_OR_NULL;
		return true;
	}
	// tstamp_type is for tc programs alone; behind it lies padding.
	if (off >= skb.tstamp_type[0] && off < skb.hwtstamp[0]) return false;
	if (type === BPF_WRITE) return size === 4;
	info.ctx_field_size = 4;
	return narrow_access_ok(size, 4);
};

export const sk_filter_is_valid_access: Access = (off, size, type, prog, info) => {
	if (in_any(off, [skb.tc_classid, skb.data, skb.data_meta, skb.data_end])) return false;
	if (in_skb_socket(off) || in_any(off, [skb.tstamp, skb.wire_len, skb.hwtstamp])) return false;
	if (type === BPF_WRITE && !in_range(off, skb.cb)) return false;
	return bpf_skb_is_valid_access(off, size, type, prog, info);
};

export const cg_skb_is_valid_access: Access = (off, size, type, prog, info) => {
	if (in_any(off, [skb.tc_classid, skb.data_meta, skb.wire_len])) return false;
	if (in_any(off, [skb.data, skb.data_end]) && !bpf_prog_capable(prog, CAP_BPF)) return false;
	if (type === BPF_WRITE) {
		if (in_range(off, skb.tstamp)) {
			if (!bpf_prog_capable(prog, CAP_BPF)) return false;
		} else if (!in_any(off, [skb.mark, skb.priority, skb.cb])) {
			return false;
		}
	}
	packet_pointers(off, info, false);
	return bpf_skb_is_valid_access(off, size, type, prog, info);
};

export const lwt_is_valid_access: Access = (off, size, type, prog, info) => {
	if (in_range(off, skb.tc_classid) || in_skb_socket(off)) return false;
	if (in_any(off, [skb.data_meta, skb.tstamp, skb.wire_len, skb.hwtstamp])) return false;
	if (type === BPF_WRITE && !in_any(off, [skb.mark, skb.priority, skb.cb])) return false;
	packet_pointers(off, info, false);
	return bpf_skb_is_valid_access(off, size, type, prog, info);
};

const tc_writable: readonly CtxField[] = [
	skb.mark,
	skb.tc_index,
	skb.priority,
	skb.tc_classid,
	skb.cb,
	skb.tstamp,
	skb.queue_mapping,
];

export const tc_cls_act_is_valid_access: Access = (off, size, type, prog, info) => {
	if (type === BPF_WRITE && !in_any(off, tc_writable)) return false;
	packet_pointers(off, info, true);
	if (in_skb_socket(off)) return false;
	if (off === skb.tstamp_type[0]) {
		// How tstamp is read and written depends on whether the program knows of tstamp_type.
		prog.tstamp_type_access = true;
		return size === 1;
	}
	return bpf_skb_is_valid_access(off, size, type, prog, info);
};

export const sk_skb_is_valid_access: Access = (off, size, type, prog, info) => {
	if (in_any(off, [skb.tc_classid, skb.data_meta, skb.tstamp, skb.wire_len, skb.hwtstamp])) return false;
	if (type === BPF_WRITE && !in_any(off, [skb.tc_index, skb.priority])) return false;
	if (in_range(off, skb.mark)) return false;
	packet_pointers(off, info, false);
	return bpf_skb_is_valid_access(off, size, type, prog, info);
};

export const flow_dissector_is_valid_access: Access = (off, size, type, _prog, info) => {
	if (off < 0 || off >= skb.sizeof) return false;
	if (off % size !== 0) return false;
	if (type === BPF_WRITE) return false;
	if (in_any(off, [skb.data, skb.data_end])) {
		if (info.is_ldsx || size !== 4) return false;
		packet_pointers(off, info, false);
		return true;
	}
	if (in_range(off, skb.flow_keys)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_FLOW_KEYS;
		return true;
	}
	return false;
};

/** net/core/filter.c: bpf_sock_is_valid_access */
export function bpf_sock_is_valid_access(
	off: number,
	size: number,
	_type: number,
	info: bpf_insn_access_aux,
): boolean {
	const s = bpf_sock;
	if (off < 0 || off >= s.sizeof) return false;
	if (off % size !== 0) return false;

	const at_start = [s.state, s.family, s.type, s.protocol, s.src_port, s.rx_queue_mapping];
	if (at_start.some((f) => off === f[0]) || in_any(off, [s.src_ip4, s.src_ip6, s.dst_ip4, s.dst_ip6])) {
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	if (in_range(off, s.dst_port)) {
		// A 4-byte load of this 2-byte field stays allowed for old programs.
		const field_size = size === 4 ? 4 : s.dst_port[1];
		info.ctx_field_size = field_size;
		return narrow_access_ok(size, field_size);
	}
	if (off >= s.dst_port[0] + s.dst_port[1] && off < s.dst_ip4[0]) return false;
	return size === 4;
}

/** net/core/filter.c: bpf_sock_common_is_valid_access */
export function bpf_sock_common_is_valid_access(
	off: number,
	size: number,
	type: number,
	info: bpf_insn_access_aux,
): boolean {
	if (in_range_till(off, bpf_sock.type, bpf_sock.priority)) return false;
	return bpf_sock_is_valid_access(off, size, type, info);
}

/** net/core/filter.c: bpf_tcp_sock_is_valid_access */
export function bpf_tcp_sock_is_valid_access(off: number, size: number): boolean {
	const end = bpf_tcp_sock.icsk_retransmits[0] + bpf_tcp_sock.icsk_retransmits[1];
	if (off < 0 || off >= end) return false;
	if (off % size !== 0) return false;
	if (off === bpf_tcp_sock.bytes_received[0] || off === bpf_tcp_sock.bytes_acked[0]) return size === 8;
	return size === 4;
}

/** net/core/filter.c: bpf_xdp_sock_is_valid_access */
export function bpf_xdp_sock_is_valid_access(off: number, size: number): boolean {
	if (off < 0 || off >= bpf_xdp_sock.queue_id[0] + bpf_xdp_sock.queue_id[1]) return false;
	return off % size === 0 && size === 4;
}

export const sock_filter_is_valid_access: Access = (off, size, type, prog, info) => {
	if (!bpf_sock_is_valid_access(off, size, type, info)) return false;
	const attach = prog.expected_attach_type;
	const post_bind4 = attach === BPF_CGROUP_INET4_POST_BIND;
	const post_bind6 = attach === BPF_CGROUP_INET6_POST_BIND;
	switch (off) {
		case bpf_sock.bound_dev_if[0]:
		case bpf_sock.mark[0]:
		case bpf_sock.priority[0]:
			return attach === BPF_CGROUP_INET_SOCK_CREATE || attach === BPF_CGROUP_INET_SOCK_RELEASE;
	}
	if (in_range(off, bpf_sock.src_ip4)) {
		if (!post_bind4) return false;
	} else if (in_range(off, bpf_sock.src_ip6)) {
		if (!post_bind6) return false;
	} else if (in_range(off, bpf_sock.src_port)) {
		if (!post_bind4 && !post_bind6) return false;
	}
	return type === BPF_READ;
};

function is_valid_xdp_access(off: number, size: number): boolean {
	if (off < 0 || off >= xdp_md.sizeof) return false;
	return off % size === 0 && size === 4;
}

export const xdp_is_valid_access: Access = (off, size, type, prog, info) => {
	if (prog.expected_attach_type !== BPF_XDP_DEVMAP && off === xdp_md.egress_ifindex[0]) return false;
	if (type === BPF_WRITE) {
		if (prog.aux.offload_requested && off === xdp_md.rx_queue_index[0]) return is_valid_xdp_access(off, size);
		return false;
	}
	switch (off) {
		case xdp_md.data[0]:
			if (info.is_ldsx) return false;
			info.reg_type = PTR_TO_PACKET;
			break;
		case xdp_md.data_meta[0]:
			if (info.is_ldsx) return false;
			info.reg_type = PTR_TO_PACKET_META;
			break;
		case xdp_md.data_end[0]:
			if (info.is_ldsx) return false;
			info.reg_type = PTR_TO_PACKET_END;
			break;
	}
	return is_valid_xdp_access(off, size);
};

const user_ip4_types: ReadonlySet<number> = new Set([
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_CONNECT,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_UDP4_SENDMSG,
	BPF_CGROUP_UDP4_RECVMSG,
]);

const user_ip6_types: ReadonlySet<number> = new Set([
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET6_CONNECT,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_UDP6_SENDMSG,
	BPF_CGROUP_UDP6_RECVMSG,
]);

export const sock_addr_is_valid_access: Access = (off, size, type, prog, info) => {
	const a = bpf_sock_addr;
	if (off < 0 || off >= a.sizeof) return false;
	if (off % size !== 0) return false;

	const attach = prog.expected_attach_type;
	if (in_range(off, a.user_ip4)) {
		if (!user_ip4_types.has(attach)) return false;
	} else if (in_range(off, a.user_ip6)) {
		if (!user_ip6_types.has(attach)) return false;
	} else if (in_range(off, a.msg_src_ip4)) {
		if (attach !== BPF_CGROUP_UDP4_SENDMSG) return false;
	} else if (in_range(off, a.msg_src_ip6)) {
		if (attach !== BPF_CGROUP_UDP6_SENDMSG) return false;
	}

	if (in_any(off, [a.user_ip4, a.user_ip6, a.msg_src_ip4, a.msg_src_ip6, a.user_port])) {
		if (type === BPF_READ) info.ctx_field_size = 4;
		if (wide_access_ok(off, size, a.user_ip6) || wide_access_ok(off, size, a.msg_src_ip6)) return true;
		return type === BPF_READ ? narrow_access_ok(size, 4) : size === 4;
	}
	if (in_range(off, a.sk)) {
		if (type !== BPF_READ || size !== 8) return false;
		info.reg_type = PTR_TO_SOCKET;
		return true;
	}
	if (in_any(off, [a.user_family, a.family, a.type, a.protocol])) return type === BPF_READ && size === 4;
	return false;
};

export const sock_ops_is_valid_access: Access = (off, size, type, _prog, info) => {
	const s = bpf_sock_ops;
	if (off < 0 || off >= s.sizeof) return false;
	if (off % size !== 0) return false;

	if (type === BPF_WRITE) return (off === s.reply[0] || off === s.sk_txhash[0]) && size === 4;

	if (in_range_till(off, s.bytes_received, s.bytes_acked)) return size === 8;
	if (in_range(off, s.sk)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_SOCKET_OR_NULL;
		return true;
	}
	if (in_range(off, s.skb_data)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_PACKET;
		return true;
	}
	if (in_range(off, s.skb_data_end)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_PACKET_END;
		return true;
	}
	if (off === s.skb_tcp_flags[0]) {
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	if (in_range(off, s.skb_hwtstamp)) return size === 8;
	return size === 4;
};

export const sk_msg_is_valid_access: Access = (off, size, type, _prog, info) => {
	const m = sk_msg_md;
	if (type === BPF_WRITE) return false;
	if (off % size !== 0) return false;
	if (in_range(off, m.data)) {
		info.reg_type = PTR_TO_PACKET;
		return size === 8;
	}
	if (in_range(off, m.data_end)) {
		info.reg_type = PTR_TO_PACKET_END;
		return size === 8;
	}
	if (in_range(off, m.sk)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_SOCKET;
		return true;
	}
	const words = [
		m.family,
		m.remote_ip4,
		m.local_ip4,
		m.remote_ip6,
		m.local_ip6,
		m.remote_port,
		m.local_port,
		m.size,
	];
	return in_any(off, words) && size === 4;
};

export const sk_reuseport_is_valid_access: Access = (off, size, type, _prog, info) => {
	const r = sk_reuseport_md;
	if (off < 0 || off >= r.sizeof || off % size || type !== BPF_READ) return false;
	switch (off) {
		case r.data[0]:
			info.reg_type = PTR_TO_PACKET;
			return size === 8;
		case r.data_end[0]:
			info.reg_type = PTR_TO_PACKET_END;
			return size === 8;
		case r.hash[0]:
			return size === 4;
		case r.sk[0]:
			info.reg_type = PTR_TO_SOCKET;
			return size === 8;
		case r.migrating_sk[0]:
			info.reg_type = PTR_TO_SOCK_COMMON_OR_NULL;
			return size === 8;
	}
	if (in_range(off, r.eth_protocol) && size < 2) return false;
	if (!in_any(off, [r.eth_protocol, r.ip_protocol, r.bind_inany, r.len])) return false;
	info.ctx_field_size = 4;
	return narrow_access_ok(size, 4);
};

export const sk_lookup_is_valid_access: Access = (off, size, type, _prog, info) => {
	const l = bpf_sk_lookup;
	if (off < 0 || off >= l.sizeof) return false;
	if (off % size !== 0) return false;
	if (type !== BPF_READ) return false;

	if (in_range(off, l.sk)) {
		info.reg_type = PTR_TO_SOCKET_OR_NULL;
		return size === 8;
	}
	const words = [
		l.family,
		l.protocol,
		l.remote_ip4,
		l.local_ip4,
		l.remote_ip6,
		l.local_ip6,
		l.local_port,
		l.ingress_ifindex,
	];
	if (in_any(off, words)) {
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	if (in_range(off, l.remote_port) && size === 4) return true;
	// remote_port, or the zero padding behind it.
	if (off >= l.remote_port[0] && off < l.local_ip4[0]) {
		info.ctx_field_size = 2;
		return narrow_access_ok(size, 2);
	}
	return false;
};
