// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of further packet helpers (net/core/filter.c): checksums, hashes, sizes of packets, and routes,
 * of which there are none: the loopback device is the only one.
 */
import {
	E2BIG,
	EACCES,
	EAFNOSUPPORT,
	EAGAIN,
	EALREADY,
	EFAULT,
	EINVAL,
	ENODEV,
	ENOENT,
	ENOMEM,
	ENOTSUPP,
	EOPNOTSUPP,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ADJ_ROOM_ENCAP_L2_MASK,
	BPF_ADJ_ROOM_ENCAP_L2_SHIFT,
	BPF_ADJ_ROOM_MAC,
	BPF_ADJ_ROOM_NET,
	BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
	BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
	BPF_F_ADJ_ROOM_ENCAP_L2_ETH,
	BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
	BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
	BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
	BPF_F_ADJ_ROOM_ENCAP_L4_UDP,
	BPF_F_ADJ_ROOM_FIXED_GSO,
	BPF_F_ADJ_ROOM_NO_CSUM_RESET,
	BPF_F_IPV6,
	BPF_F_MARK_ENFORCE,
	BPF_F_MARK_MANGLED_0,
	BPF_F_PSEUDO_HDR,
} from "../../include/uapi/linux/bpf.ts";
import type { KernelImpl } from "../../kernel/kernel_impl.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { jhash } from "../../lib/jhash.ts";
import { ETH_HLEN, GuestStruct, loopback_dev, shinfo_size, sk_buff, xdp_buff } from "./skb.ts";

const CHECKSUM_NONE = 0;
const CHECKSUM_UNNECESSARY = 1;
const CHECKSUM_COMPLETE = 2;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const BPF_F_HDR_FIELD_MASK = 0xfn;
const BPF_FIB_LOOKUP_MASK = 0x3fn;
const BPF_FIB_LKUP_RET_FWD_DISABLED = 5n;
const FIB_LOOKUP_SIZE = 64n;
const SZ_2 = 2n;
/** sizeof(struct bpf_redir_neigh) */
const REDIR_NEIGH_SIZE = 20;

const err = (e: number): bigint => BigInt(-e);
const lo = (v: bigint): number => Number(v & 0xffffffffn);

// ---- include/net/checksum.h

function csum_fold(sum: number): number {
	let s = (sum & 0xffff) + (sum >>> 16);
	s = (s & 0xffff) + (s >>> 16);
	return ~s & 0xffff;
}
function csum_add(a: number, b: number): number {
	const s = a + b;
	return s > 0xffffffff ? s - 0xffffffff : s;
}
function csum_sub(a: number, b: number): number {
	return csum_add(a, ~b >>> 0);
}
/** csum_replace4(): what the 16-bit sum becomes */
function csum_replace4(sum: number, from: number, to: number): number {
	return csum_fold(csum_add(csum_sub(~sum >>> 0, from), to));
}
function csum_replace_by_diff(sum: number, diff: number): number {
	return csum_fold(csum_add(diff, ~sum >>> 0));
}
function csum16_add(a: number, b: number): number {
	const s = a + b;
	return (s & 0xffff) + (s >>> 16);
}
function csum_replace2(sum: number, from: number, to: number): number {
	return ~csum16_add(csum16_add(~sum & 0xffff, ~from & 0xffff), to) & 0xffff;
}

/** Give the packet a bigger buffer: pskb_expand_head(). */
function expand(k: KernelImpl, skb: sk_buff, nhead: number, ntail: number): boolean {
	const { kmem } = k;
	const old = skb.head;
	const size = skb.u32("end");
	const head = kmem.kzalloc(size + nhead + ntail + shinfo_size(k));
	if (!head) return false;
	kmem.copy(head + nhead, old, size);
	kmem.copy(head + nhead + ntail + size, old + size, shinfo_size(k));
	const data = skb.data - old;
	skb.setptr("head", head);
	skb.data = head + nhead + data;
	skb.set32("tail", skb.u32("tail") + nhead);
	skb.set32("end", size + nhead + ntail);
	for (const f of ["mac_header", "network_header", "transport_header"])
		if (skb.has(f) && skb.u16(f) !== 0xffff) skb.set16(f, skb.u16(f) + nhead);
	kmem.kfree(old);
	return true;
}

/** Bytes that a packet may have: SKB_MAX_ALLOC */
function skb_max_len(k: KernelImpl): number {
	return 16384 - shinfo_size(k);
}

/** net/core/flow_dissector.c: __skb_get_hash: of addresses, ports and protocol, the same for both directions. */
function flow_hash(k: KernelImpl, skb: sk_buff): number {
	const net = skb.head + skb.u16("network_header");
	const room = skb.tail - net;
	const read = (at: number, n: number): Uint8Array => k.kmem.read(net + at, n);
	const proto = skb.u16("protocol");
	let keys: Uint8Array[] = [];
	let l4 = -1;
	let ip_proto = 0;
	if (proto === 0x0008 && room >= 20) {
		const h = read(0, 20);
		ip_proto = h[9]!;
		keys = [h.slice(12, 16), h.slice(16, 20)];
		// a fragment has no ports
		if ((((h[6]! << 8) | h[7]!) & 0x3fff) === 0) l4 = (h[0]! & 15) * 4;
	} else if (proto === 0xdd86 && room >= 40) {
		const h = read(0, 40);
		ip_proto = h[6]!;
		keys = [h.slice(8, 24), h.slice(24, 40)];
		l4 = 40;
	} else return 1;
	let ports: Uint8Array[] = [new Uint8Array(2), new Uint8Array(2)];
	if (l4 >= 0 && (ip_proto === IPPROTO_TCP || ip_proto === IPPROTO_UDP) && room >= l4 + 4)
		ports = [read(l4, 2), read(l4 + 2, 2)];
	const order = Buffer.compare(keys[1]!, keys[0]!) || Buffer.compare(ports[1]!, ports[0]!);
	if (order < 0) {
		keys.reverse();
		ports.reverse();
	}
	const flow = Buffer.concat([...keys, ...ports, Uint8Array.of(ip_proto, proto & 255, proto >> 8, 0)]);
	return jhash(flow, k.config.seed >>> 0) || 1;
}

/** Hang the bodies on the kernel. */
export function register_filter_helpers(k: KernelImpl): void {
	register_checksums(k);
	register_sizes(k);
	register_rooms(k);
	register_mtu(k);
}

function register_checksums(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const skb_of = (ctx: bigint): sk_buff => new sk_buff(k, u64_to_addr(ctx));

	/** A 16-bit checksum field of the packet: where it lies, or a negative errno. */
	const field = (skb: sk_buff, offset: number): number => {
		if (offset > 0xffff || offset & 1) return -EFAULT;
		if (offset + 2 > skb.headlen) return -EFAULT;
		return skb.data + offset;
	};
	const bad = (at: number): boolean => at > -4096 && at < 0;
	bodies.set("bpf_l3_csum_replace", (_c, ctx, offset, from64, to64, flags) => {
		const skb = skb_of(ctx);
		const [from, to] = [lo(from64), lo(to64)];
		if (flags & ~BPF_F_HDR_FIELD_MASK) return err(EINVAL);
		const at = field(skb, lo(offset));
		if (bad(at)) return BigInt(at);
		skb.compute_data_pointers();
		const sum = kmem.r16(at);
		switch (flags & BPF_F_HDR_FIELD_MASK) {
			case 0n:
				if (from64 !== 0n) return err(EINVAL);
				kmem.w16(at, csum_replace_by_diff(sum, to));
				return 0n;
			case SZ_2:
				kmem.w16(at, csum_replace2(sum, from & 0xffff, to & 0xffff));
				return 0n;
			case 4n:
				kmem.w16(at, csum_replace4(sum, from, to));
				return 0n;
			default:
				return err(EINVAL);
		}
	});
	bodies.set("bpf_l4_csum_replace", (_c, ctx, offset, from64, to64, flags) => {
		const skb = skb_of(ctx);
		const [from, to] = [lo(from64), lo(to64)];
		const mmzero = (flags & BigInt(BPF_F_MARK_MANGLED_0)) !== 0n;
		const known = BigInt(BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_IPV6);
		if (flags & ~(known | BPF_F_HDR_FIELD_MASK)) return err(EINVAL);
		const at = field(skb, lo(offset));
		if (bad(at)) return BigInt(at);
		skb.compute_data_pointers();
		const sum = kmem.r16(at);
		if (mmzero && !(flags & BigInt(BPF_F_MARK_ENFORCE)) && sum === 0) return 0n;
		let to_sum: number;
		switch (flags & BPF_F_HDR_FIELD_MASK) {
			case 0n:
				if (from64 !== 0n) return err(EINVAL);
				to_sum = csum_replace_by_diff(sum, to);
				break;
			case SZ_2:
				to_sum = csum_replace4(sum, from & 0xffff, to & 0xffff);
				break;
			case 4n:
				to_sum = csum_replace4(sum, from, to);
				break;
			default:
				return err(EINVAL);
		}
		if (mmzero && to_sum === 0) to_sum = 0xffff;
		kmem.w16(at, to_sum);
		return 0n;
	});
	bodies.set("bpf_csum_update", (_c, ctx, csum) => {
		const skb = skb_of(ctx);
		if (skb.bits("ip_summed") !== CHECKSUM_COMPLETE) return err(ENOTSUPP);
		skb.set32("csum", csum_add(skb.u32("csum"), lo(csum)));
		return BigInt(skb.u32("csum"));
	});
	bodies.set("bpf_csum_level", (_c, ctx, level) => {
		const skb = skb_of(ctx);
		const summed = skb.bits("ip_summed");
		switch (level) {
			case 0n: // BPF_CSUM_LEVEL_QUERY
				return summed === CHECKSUM_UNNECESSARY ? BigInt(skb.bits("csum_level")) : err(EACCES);
			case 1n: // BPF_CSUM_LEVEL_INC
				if (summed === CHECKSUM_UNNECESSARY) {
					if (skb.bits("csum_level") < 3) skb.set_bits("csum_level", skb.bits("csum_level") + 1);
				} else if (summed === CHECKSUM_NONE) {
					skb.set_bits("ip_summed", CHECKSUM_UNNECESSARY);
					skb.set_bits("csum_level", 0);
				}
				return 0n;
			case SZ_2: // BPF_CSUM_LEVEL_DEC
				if (summed === CHECKSUM_UNNECESSARY) {
					if (skb.bits("csum_level") === 0) skb.set_bits("ip_summed", CHECKSUM_NONE);
					else skb.set_bits("csum_level", skb.bits("csum_level") - 1);
				}
				return 0n;
			case 3n: // BPF_CSUM_LEVEL_RESET
				if (summed === CHECKSUM_UNNECESSARY) {
					skb.set_bits("ip_summed", CHECKSUM_NONE);
					skb.set_bits("csum_level", 0);
				}
				return 0n;
			default:
				return err(EINVAL);
		}
	});
	bodies.set("bpf_get_hash_recalc", (_c, ctx) => {
		const skb = skb_of(ctx);
		if (!skb.bits("l4_hash") && !skb.bits("sw_hash")) {
			skb.set32("hash", flow_hash(k, skb));
			skb.set_bits("sw_hash", 1);
		}
		return BigInt(skb.u32("hash"));
	});
	bodies.set("bpf_set_hash_invalid", (_c, ctx) => {
		const skb = skb_of(ctx);
		skb.set32("hash", 0);
		skb.set_bits("sw_hash", 0);
		skb.set_bits("l4_hash", 0);
		return 0n;
	});
	bodies.set("bpf_set_hash", (_c, ctx, hash) => {
		const skb = skb_of(ctx);
		skb.set32("hash", lo(hash));
		skb.set_bits("sw_hash", 1);
		skb.set_bits("l4_hash", 1);
		return 0n;
	});
}

function register_sizes(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const skb_of = (ctx: bigint): sk_buff => new sk_buff(k, u64_to_addr(ctx));

	const min_len = (skb: sk_buff): number => {
		let min = 0;
		for (const f of ["network_header", "transport_header"]) {
			if (!skb.has(f) || skb.u16(f) === 0xffff) continue;
			const offset = skb.head + skb.u16(f) - skb.data;
			if (offset > 0) min = offset;
		}
		return min;
	};
	const change_tail = (skb: sk_buff, new_len: number, flags: bigint): number => {
		if (flags || new_len > skb_max_len(k) || new_len < min_len(skb)) return -EINVAL;
		const { len } = skb;
		const more = new_len - len;
		if (more > 0) {
			const room = skb.u32("end") - skb.u32("tail");
			if (more > room && !expand(k, skb, 0, more - room)) return -ENOMEM;
			kmem.fill(skb.data + len, more, 0);
		}
		skb.len = new_len;
		skb.set32("tail", skb.data - skb.head + new_len);
		return 0;
	};
	const change_head = (skb: sk_buff, room: number, flags: bigint): number => {
		if (flags || room > 0x7fffffff || skb.len + room > skb_max_len(k)) return -EINVAL;
		if (room > skb.headroom && !expand(k, skb, room - skb.headroom, 0)) return -ENOMEM;
		skb.push(room);
		kmem.fill(skb.data, room, 0);
		if (skb.has("mac_header")) skb.set16("mac_header", skb.data - skb.head);
		if (skb.has("mac_len")) skb.set16("mac_len", skb.u16("network_header") - skb.u16("mac_header"));
		return 0;
	};
	for (const prefix of ["bpf", "sk"]) {
		bodies.set(`${prefix}_skb_change_tail`, (_c, ctx, len, flags) => {
			const skb = skb_of(ctx);
			const ret = change_tail(skb, lo(len), flags);
			skb.compute_data_pointers();
			return BigInt(ret);
		});
		bodies.set(`${prefix}_skb_change_head`, (_c, ctx, room, flags) => {
			const skb = skb_of(ctx);
			const ret = change_head(skb, lo(room), flags);
			skb.compute_data_pointers();
			return BigInt(ret);
		});
	}
	bodies.set("bpf_skb_change_type", (_c, ctx, type64) => {
		const skb = skb_of(ctx);
		const type = lo(type64);
		// PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST
		if (skb.bits("pkt_type") > 3 || type > 3) return err(EINVAL);
		skb.set_bits("pkt_type", type);
		return 0n;
	});
	const fib_lookup = (_c: unknown, _ctx: bigint, params: bigint, plen: bigint, flags: bigint): bigint => {
		if ((plen & 0xffffffffn) < FIB_LOOKUP_SIZE) return err(EINVAL);
		if (flags & 0xffffffffn & ~BPF_FIB_LOOKUP_MASK) return err(EINVAL);
		// struct bpf_fib_lookup: family 0, ifindex 8
		const family = kmem.r8(u64_to_addr(params));
		if (family !== 2 && family !== 10) return err(EAFNOSUPPORT);
		return kmem.r32(u64_to_addr(params) + 8) === 1 ? BPF_FIB_LKUP_RET_FWD_DISABLED : err(ENODEV);
	};
	bodies.set("bpf_skb_fib_lookup", fib_lookup);
	bodies.set("bpf_xdp_fib_lookup", fib_lookup);
}

// ---- room between the headers

const BE_IP = 0x0008;
const BE_IPV6 = 0xdd86;
const DECAP_MASK = BigInt(BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_DECAP_L3_IPV6);
const ENCAP_MASK = BigInt(BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
const L4_MASK = BigInt(BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP);
const L2_LEN = BigInt(BPF_ADJ_ROOM_ENCAP_L2_MASK) << BigInt(BPF_ADJ_ROOM_ENCAP_L2_SHIFT);
const ADJ_ROOM_MASK =
	BigInt(BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L2_ETH) | ENCAP_MASK | DECAP_MASK | L4_MASK | L2_LEN;
const NO_CSUM_RESET = BigInt(BPF_F_ADJ_ROOM_NO_CSUM_RESET);

/** Move mac and network header by `by`; the transport header stays with the network header where it was there. */
function move_headers(skb: sk_buff, by: number): void {
	const same = skb.has("transport_header") && skb.u16("transport_header") === skb.u16("network_header");
	skb.set16("mac_header", skb.u16("mac_header") + by);
	skb.set16("network_header", skb.u16("network_header") + by);
	if (same) skb.set16("transport_header", skb.u16("network_header"));
}

/** net/core/filter.c: bpf_skb_net_hdr_push: `len` zeroes behind the first `off` bytes */
function net_hdr_push(k: KernelImpl, skb: sk_buff, off: number, len: number): number {
	if (len > skb.headroom && !expand(k, skb, len - skb.headroom, 0)) return -ENOMEM;
	skb.push(len);
	k.kmem.copy(skb.data, skb.data + len, off);
	k.kmem.fill(skb.data + off, len, 0);
	move_headers(skb, -len);
	return 0;
}

/** net/core/filter.c: bpf_skb_net_hdr_pop */
function net_hdr_pop(k: KernelImpl, skb: sk_buff, off: number, len: number): number {
	if (off + len > skb.headlen) return -ENOMEM;
	const head = k.kmem.read(skb.data, off);
	skb.pull(len);
	k.kmem.write(skb.data, head);
	move_headers(skb, len);
	return 0;
}

function net_base_len(skb: sk_buff): number {
	const proto = skb.u16("protocol");
	return proto === BE_IP ? 20 : proto === BE_IPV6 ? 40 : 0xffffffff;
}

/** bpf_skb_change_protocol() */
function change_protocol(skb: sk_buff, proto: number): void {
	skb.set16("protocol", proto);
}

/** net/core/filter.c: bpf_skb_net_grow */
function net_grow(k: KernelImpl, skb: sk_buff, off: number, len: number, flags: bigint): number {
	const has = (f: number): boolean => (flags & BigInt(f)) !== 0n;
	const encap = (flags & ENCAP_MASK) !== 0n;
	const inner_mac_len = Number((flags & L2_LEN) >> BigInt(BPF_ADJ_ROOM_ENCAP_L2_SHIFT));
	if (encap) {
		const proto = skb.u16("protocol");
		if (proto !== BE_IP && proto !== BE_IPV6) return -ENOTSUPP;
		if ((flags & ENCAP_MASK) === ENCAP_MASK || (flags & L4_MASK) === L4_MASK) return -EINVAL;
		if (has(BPF_F_ADJ_ROOM_ENCAP_L2_ETH) && inner_mac_len < 14) return -EINVAL;
		if (skb.bits("encapsulation")) return -EALREADY;
		if (inner_mac_len > len) return -EINVAL;
	}
	const inner_net = skb.u16("network_header");
	const mac_len = inner_net - skb.u16("mac_header");
	const inner_trans = skb.has("transport_header") ? skb.u16("transport_header") : 0xffff;
	const err = net_hdr_push(k, skb, off, len);
	if (err || !encap) return err;
	const set = (f: string, v: number): void => {
		if (skb.has(f)) skb.set16(f, v);
	};
	set("inner_mac_header", inner_net - inner_mac_len);
	set("inner_network_header", inner_net);
	set("inner_transport_header", inner_trans);
	set("inner_protocol", has(BPF_F_ADJ_ROOM_ENCAP_L2_ETH) ? 0x5865 : skb.u16("protocol"));
	skb.set_bits("encapsulation", 1);
	const network = skb.data - skb.head + mac_len;
	skb.set16("network_header", network);
	if (flags & L4_MASK) set("transport_header", network + (has(BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) ? 40 : 20));
	if (skb.u16("protocol") === BE_IP && has(BPF_F_ADJ_ROOM_ENCAP_L3_IPV6)) change_protocol(skb, BE_IPV6);
	else if (skb.u16("protocol") === BE_IPV6 && has(BPF_F_ADJ_ROOM_ENCAP_L3_IPV4)) change_protocol(skb, BE_IP);
	return 0;
}

/** net/core/filter.c: bpf_skb_net_shrink */
function net_shrink(k: KernelImpl, skb: sk_buff, off: number, len: number, flags: bigint): number {
	if (flags & ~(BigInt(BPF_F_ADJ_ROOM_FIXED_GSO) | DECAP_MASK | NO_CSUM_RESET)) return -EINVAL;
	const err = net_hdr_pop(k, skb, off, len);
	if (err) return err;
	if (skb.u16("protocol") === BE_IP && flags & BigInt(BPF_F_ADJ_ROOM_DECAP_L3_IPV6))
		change_protocol(skb, BE_IPV6);
	else if (skb.u16("protocol") === BE_IPV6 && flags & BigInt(BPF_F_ADJ_ROOM_DECAP_L3_IPV4))
		change_protocol(skb, BE_IP);
	return 0;
}

function adjust_room(k: KernelImpl, skb: sk_buff, diff: number, mode: number, flags: bigint): number {
	const len = Math.abs(diff);
	const shrink = diff < 0;
	if (flags & ~(ADJ_ROOM_MASK | NO_CSUM_RESET)) return -EINVAL;
	if (len > 0xfff) return -EFAULT;
	let len_min = net_base_len(skb);
	if (len_min === 0xffffffff) return -ENOTSUPP;
	let off = skb.u16("network_header") - skb.u16("mac_header");
	if (mode === BPF_ADJ_ROOM_NET) off += len_min;
	else if (mode !== BPF_ADJ_ROOM_MAC) return -ENOTSUPP;
	if (flags & DECAP_MASK) {
		if (!shrink || (flags & DECAP_MASK) === DECAP_MASK) return -EINVAL;
		len_min = flags & BigInt(BPF_F_ADJ_ROOM_DECAP_L3_IPV4) ? 20 : 40;
	}
	const cur = skb.len - (skb.head + skb.u16("network_header") - skb.data);
	if ((shrink && (len >= cur || cur - len < len_min)) || (!shrink && skb.len + len > skb_max_len(k)))
		return -ENOTSUPP;
	return shrink ? net_shrink(k, skb, off, len, flags) : net_grow(k, skb, off, len, flags);
}

function register_rooms(k: KernelImpl): void {
	const { bodies } = k.bpf;
	bodies.set("bpf_skb_adjust_room", (_c, ctx, diff, mode, flags) => {
		const skb = new sk_buff(k, u64_to_addr(ctx));
		const ret = adjust_room(k, skb, Number(BigInt.asIntN(32, diff)), lo(mode), flags);
		skb.compute_data_pointers();
		return BigInt(ret);
	});
	bodies.set("bpf_skb_change_proto", (_c, ctx, proto64, flags) => {
		if (flags) return err(EINVAL);
		const skb = new sk_buff(k, u64_to_addr(ctx));
		const [from, to] = [skb.u16("protocol"), lo(proto64) & 0xffff];
		const off = skb.u16("network_header") - skb.u16("mac_header");
		let ret = -ENOTSUPP;
		if (from === BE_IP && to === BE_IPV6) ret = net_hdr_push(k, skb, off, 20);
		else if (from === BE_IPV6 && to === BE_IP) ret = net_hdr_pop(k, skb, off, 20);
		if (ret === 0) {
			change_protocol(skb, to);
			skb.set32("hash", 0);
			skb.set_bits("sw_hash", 0);
			skb.set_bits("l4_hash", 0);
		}
		skb.compute_data_pointers();
		return BigInt(ret);
	});
	// TC_ACT_SHOT and TC_ACT_REDIRECT
	bodies.set("bpf_redirect_peer", (_c, _ifindex, flags) => (flags ? 2n : 7n));
	bodies.set("bpf_redirect_neigh", (_c, _ifindex, _params, plen, flags) =>
		flags || (lo(plen) && lo(plen) < REDIR_NEIGH_SIZE) ? 2n : 7n,
	);
	bodies.set("bpf_clone_redirect", (_c, _ctx, ifindex, flags) =>
		flags & ~1n || lo(ifindex) !== 1 ? err(EINVAL) : 0n,
	);
}

/** BPF_MTU_CHK_RET_SUCCESS and _FRAG_NEEDED of the loopback device; `mtu_len` comes in and goes out. */
function check_mtu(k: KernelImpl, len: number, ifindex: number, mtu_len: number, len_diff: number): number {
	if (ifindex > 1) return -ENODEV;
	const { kmem } = k;
	const dev = new GuestStruct(k, "net_device", loopback_dev(k).dev);
	const mtu = dev.has("mtu") ? dev.u32("mtu") : 65536;
	const asked = kmem.r32(mtu_len);
	const size = (asked ? asked + ETH_HLEN : len) + len_diff;
	kmem.w32(mtu_len, mtu);
	return size > mtu + ETH_HLEN ? 1 : 0;
}

function register_mtu(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const s32 = (v: bigint): number => Number(BigInt.asIntN(32, v));
	bodies.set("bpf_skb_check_mtu", (_c, ctx, ifindex, mtu_len, len_diff, flags) => {
		if (flags & ~1n) return err(EINVAL);
		if (flags && (s32(len_diff) || kmem.r32(p(mtu_len)))) return err(EINVAL);
		return BigInt(check_mtu(k, new sk_buff(k, p(ctx)).len, lo(ifindex), p(mtu_len), s32(len_diff)));
	});
	bodies.set("bpf_xdp_check_mtu", (_c, ctx, ifindex, mtu_len, len_diff, flags) => {
		if (flags) return err(EINVAL);
		const xdp = new xdp_buff(k, p(ctx));
		const len = xdp.ptr("data_end") - xdp.ptr("data");
		return BigInt(check_mtu(k, len, lo(ifindex), p(mtu_len), s32(len_diff)));
	});
	bodies.set("bpf_skb_set_tstamp", (_c, ctx, tstamp, tstamp_type) => {
		const skb = new sk_buff(k, p(ctx));
		const proto = skb.u16("protocol");
		if (proto !== BE_IP && proto !== BE_IPV6) return err(EOPNOTSUPP);
		const type = lo(tstamp_type);
		// SKB_CLOCK_REALTIME, SKB_CLOCK_MONOTONIC, SKB_CLOCK_TAI
		if (type > 2 || (type !== 0 && !tstamp)) return err(EINVAL);
		skb.set64("tstamp", tstamp);
		skb.set_bits("tstamp_type", type);
		return 0n;
	});
	// No packet here came through a transformation or out of a tunnel.
	bodies.set("bpf_skb_get_xfrm_state", (_c, _ctx, _index, to, size) => {
		kmem.fill(p(to), lo(size), 0);
		return err(EINVAL);
	});
	bodies.set("bpf_skb_get_tunnel_key", (_c, _ctx, to, size) => {
		kmem.fill(p(to), lo(size), 0);
		return err(EINVAL);
	});
	bodies.set("bpf_skb_get_tunnel_opt", (_c, _ctx, to, size) => {
		kmem.fill(p(to), lo(size), 0);
		return err(ENOENT);
	});
	// Nor can a cgroup be in an array of them.
	bodies.set("bpf_skb_under_cgroup", (_c, ctx, map, idx) => {
		if (!new sk_buff(k, p(ctx)).ptr("sk")) return err(ENOENT);
		return err(lo(idx) >= k.bpf.map_of(map).max_entries ? E2BIG : EAGAIN);
	});
	bodies.set("bpf_current_task_under_cgroup", (_c, map, idx) =>
		err(lo(idx) >= k.bpf.map_of(map).max_entries ? E2BIG : EAGAIN),
	);
	/** include/net/inet_ecn.h: INET_ECN_set_ce */
	bodies.set("bpf_skb_ecn_set_ce", (_c, ctx) => {
		const skb = new sk_buff(k, p(ctx));
		const at = skb.head + skb.u16("network_header");
		const room = skb.tail - at;
		const proto = skb.u16("protocol");
		if (proto === BE_IP && room >= 20) {
			const tos = kmem.r8(at + 1);
			if ((tos & 3) === 0) return 0n;
			const before = kmem.r16(at);
			kmem.w8(at + 1, tos | 3);
			kmem.w16(at + 10, csum_replace2(kmem.r16(at + 10), before, kmem.r16(at)));
			return 1n;
		}
		if (proto === BE_IPV6 && room >= 40) {
			// the traffic class lies across the first two bytes
			const second = kmem.r8(at + 1);
			if (((second >>> 4) & 3) === 0) return 0n;
			kmem.w8(at + 1, second | 0x30);
			return 1n;
		}
		return 0n;
	});
}
