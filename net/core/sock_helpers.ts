// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of the helpers on sockets (net/core/filter.c). The one socket that there is belongs to a test run's
 * packet; nothing listens and nothing is connected, so lookups find nothing, as in a network without sockets.
 */
import { EFAULT, EINVAL, EOPNOTSUPP, ESOCKTNOSUPPORT } from "../../include/uapi/asm-generic/errno.ts";
import type { KernelImpl } from "../../kernel/kernel_impl.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { GuestStruct, sk_buff } from "./skb.ts";

/** BPF_SK_LOOKUP_F_REPLACE and this one */
const BPF_SK_LOOKUP_FLAGS = 3n;
const BPF_SK_LOOKUP_F_NO_REUSEPORT = 2n;
const TCP_TIME_WAIT = 6;
const TCP_LISTEN = 10;
const TCP_NEW_SYN_RECV = 12;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const SOCK_DGRAM = 2;
const AF_UNIX = 1;
const AF_INET6 = 10;
/** kernel.overflowuid */
const OVERFLOWUID = 65534n;
/** init_net.net_cookie: the first that is given out */
const INIT_NET_COOKIE = 1n;
/** The root of the cgroup hierarchy, where every socket of the mirror is. */
const ROOT_CGROUP_ID = 1n;

/** Hang the bodies on the kernel. */
export function register_sock_helpers(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const lo = (v: bigint): number => Number(v & 0xffffffffn);
	const sock = (sk: bigint): GuestStruct => new GuestStruct(k, "sock", p(sk));
	const state = (sk: bigint): number => sock(sk).u8("__sk_common.skc_state");
	const family = (sk: bigint): number => sock(sk).u16("__sk_common.skc_family");
	const protocol = (sk: bigint): number => sock(sk).u16("sk_protocol");
	/** include/net/sock.h: sk_fullsock */
	const sk_fullsock = (sk: bigint): boolean => {
		const s = state(sk);
		return s !== TCP_TIME_WAIT && s !== TCP_NEW_SYN_RECV;
	};
	const sk_of = (skb: bigint): bigint => addr_to_u64(new sk_buff(k, p(skb)).ptr("sk"));
	const when = (sk: bigint, cond: boolean): bigint => (cond ? sk : 0n);

	bodies.set("bpf_sk_fullsock", (_c, sk) => when(sk, sk_fullsock(sk)));
	bodies.set("bpf_tcp_sock", (_c, sk) => when(sk, sk_fullsock(sk) && protocol(sk) === IPPROTO_TCP));
	// such a socket has SOCK_RCU_FREE; there are none
	bodies.set("bpf_get_listener_sock", (_c, sk) => when(sk, state(sk) === TCP_LISTEN));
	bodies.set("bpf_skc_to_tcp_sock", (_c, sk) =>
		when(sk, sk !== 0n && sk_fullsock(sk) && protocol(sk) === IPPROTO_TCP),
	);
	bodies.set("bpf_skc_to_tcp6_sock", (_c, sk) =>
		when(sk, sk !== 0n && sk_fullsock(sk) && protocol(sk) === IPPROTO_TCP && family(sk) === AF_INET6),
	);
	bodies.set("bpf_skc_to_udp6_sock", (_c, sk) =>
		when(
			sk,
			sk !== 0n &&
				sk_fullsock(sk) &&
				protocol(sk) === IPPROTO_UDP &&
				sock(sk).u16("sk_type") === SOCK_DGRAM &&
				family(sk) === AF_INET6,
		),
	);
	bodies.set("bpf_skc_to_unix_sock", (_c, sk) =>
		when(sk, sk !== 0n && sk_fullsock(sk) && family(sk) === AF_UNIX),
	);
	// their sk_prot is tcp_prot or tcpv6_prot, or they are subflows: no socket here is
	for (const name of ["tcp_timewait_sock", "tcp_request_sock", "mptcp_sock"])
		bodies.set(`bpf_skc_to_${name}`, () => 0n);
	bodies.set("bpf_sock_from_file", () => 0n);
	for (const name of [
		"bpf_skc_lookup_tcp",
		"bpf_sk_lookup_tcp",
		"bpf_sk_lookup_udp",
		"bpf_tc_skc_lookup_tcp",
		"bpf_tc_sk_lookup_tcp",
		"bpf_tc_sk_lookup_udp",
		"bpf_xdp_skc_lookup_tcp",
		"bpf_xdp_sk_lookup_tcp",
		"bpf_xdp_sk_lookup_udp",
		"bpf_sock_addr_skc_lookup_tcp",
		"bpf_sock_addr_sk_lookup_tcp",
		"bpf_sock_addr_sk_lookup_udp",
	])
		bodies.set(name, () => 0n);
	bodies.set("bpf_sk_release", (_c, sk) => {
		if (!sk) return 0n;
		const at = sock(sk).at("__sk_common.skc_refcnt");
		k.kmem.w32(at, k.kmem.r32(at) - 1);
		return 0n;
	});
	// the socket listens, or this is how they answer
	bodies.set("bpf_tcp_check_syncookie", () => BigInt(-EINVAL));
	bodies.set("bpf_tcp_gen_syncookie", () => BigInt(-EINVAL));
	// no packet here is at the ingress of a device
	bodies.set("bpf_sk_assign", (_c, _skb, sk, flags) => BigInt(!sk || flags ? -EINVAL : -EOPNOTSUPP));

	// what is there to be selected is freed by RCU: no socket here is
	bodies.set("bpf_sk_lookup_assign", (_c, ctx, sk, flags) => {
		if (flags & ~BPF_SK_LOOKUP_FLAGS) return BigInt(-EINVAL);
		if (sk) return BigInt(-ESOCKTNOSUPPORT);
		const kern = new GuestStruct(k, "bpf_sk_lookup_kern", p(ctx));
		kern.setptr("selected_sk", 0);
		if (kern.has("no_reuseport")) kern.set8("no_reuseport", flags & BPF_SK_LOOKUP_F_NO_REUSEPORT ? 1 : 0);
		return 0n;
	});
	// it reads a packet in the flow dissector of the stack: test runs have bytes only
	bodies.set("bpf_flow_dissector_load_bytes", (_c, _ctx, _offset, to, len) => {
		k.kmem.fill(p(to), lo(len), 0);
		return BigInt(-EFAULT);
	});

	/** net/core/sock_diag.c: __sock_gen_cookie; the first one is 1 */
	let last_cookie = 0n;
	const cookie = (sk: bigint): bigint => {
		const s = sock(sk);
		const had = s.u64("__sk_common.skc_cookie");
		if (had) return had;
		s.set64("__sk_common.skc_cookie", ++last_cookie);
		return last_cookie;
	};
	bodies.set("bpf_get_socket_cookie", (_c, skb) => {
		const sk = sk_of(skb);
		return sk ? cookie(sk) : 0n;
	});
	bodies.set("bpf_get_socket_ptr_cookie", (_c, sk) => (sk ? cookie(sk) : 0n));
	bodies.set("bpf_get_socket_cookie_sock", (_c, sk) => cookie(sk));
	for (const name of ["sock", "sock_addr", "sock_ops", "sk_msg"])
		bodies.set(`bpf_get_netns_cookie_${name}`, () => INIT_NET_COOKIE);
	bodies.set("bpf_get_socket_uid", (_c, skb) => {
		const sk = sk_of(skb);
		if (!sk || !sk_fullsock(sk)) return OVERFLOWUID;
		return sock(sk).has("sk_uid") ? BigInt(sock(sk).u32("sk_uid")) : 0n;
	});
	const cgroup_id = (sk: bigint): bigint => (sk && sk_fullsock(sk) ? ROOT_CGROUP_ID : 0n);
	bodies.set("bpf_sk_cgroup_id", (_c, sk) => cgroup_id(sk));
	bodies.set("bpf_skb_cgroup_id", (_c, skb) => cgroup_id(sk_of(skb)));
	bodies.set("bpf_sk_ancestor_cgroup_id", (_c, sk, level) => (lo(level) === 0 ? cgroup_id(sk) : 0n));
	bodies.set("bpf_skb_ancestor_cgroup_id", (_c, skb, level) =>
		lo(level) === 0 ? cgroup_id(sk_of(skb)) : 0n,
	);
	// net_cls.classid is 0 in the root group; packets of test runs have no route
	for (const name of [
		"bpf_get_cgroup_classid",
		"bpf_get_cgroup_classid_curr",
		"bpf_skb_cgroup_classid",
		"bpf_get_route_realm",
	])
		bodies.set(name, () => 0n);
}
