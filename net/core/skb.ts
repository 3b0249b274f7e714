// SPDX-License-Identifier: GPL-2.0-only
/**
 * Packets in guest memory: struct sk_buff and struct xdp_buff laid out by the vmlinux BTF, as far as
 * test runs and the packet helpers need them (net/core/skbuff.c, net/ethernet/eth.c, include/net/xdp.h).
 */

import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { btf_find_by_name_kind, btf_type_by_id } from "../../kernel/bpf/btf.ts";
import { btf_find_member, type member_at } from "../../kernel/bpf/btf_ids.ts";
import { koffsetof, ksizeof, try_offsetof } from "../../kernel/bpf/layout.ts";
import type { KernelImpl } from "../../kernel/kernel_impl.ts";

export const ETH_HLEN = 14;
export const NET_SKB_PAD = 64;
export const MAX_SKB_FRAGS = 17;
const SMP_CACHE_BYTES = 64;

/** include/linux/skbuff.h: SKB_DATA_ALIGN */
export function SKB_DATA_ALIGN(n: number): number {
	return Math.ceil(n / SMP_CACHE_BYTES) * SMP_CACHE_BYTES;
}

/** sizeof(struct skb_shared_info) rounded up, the tail room of a packet */
export function shinfo_size(k: KernelImpl): number {
	return SKB_DATA_ALIGN(ksizeof(k, "skb_shared_info"));
}

/** A struct of the guest by field names. */
export class GuestStruct {
	readonly k: KernelImpl;
	readonly name: string;
	readonly addr: number;
	constructor(k: KernelImpl, name: string, addr: number) {
		this.k = k;
		this.name = name;
		this.addr = addr;
	}
	at(field: string): number {
		return this.addr + koffsetof(this.k, this.name, field);
	}
	has(field: string): boolean {
		return try_offsetof(this.k, this.name, field) >= 0;
	}
	u8(field: string): number {
		return this.k.kmem.r8(this.at(field));
	}
	u16(field: string): number {
		return this.k.kmem.r16(this.at(field));
	}
	u32(field: string): number {
		return this.k.kmem.r32(this.at(field));
	}
	u64(field: string): bigint {
		return this.k.kmem.r64(this.at(field));
	}
	ptr(field: string): number {
		return this.k.kmem.rptr(this.at(field));
	}
	set8(field: string, v: number): void {
		this.k.kmem.w8(this.at(field), v);
	}
	set16(field: string, v: number): void {
		this.k.kmem.w16(this.at(field), v);
	}
	set32(field: string, v: number): void {
		this.k.kmem.w32(this.at(field), v);
	}
	set64(field: string, v: bigint): void {
		this.k.kmem.w64(this.at(field), v);
	}
	setptr(field: string, v: number): void {
		this.k.kmem.wptr(this.at(field), v);
	}
	private member(field: string): member_at | null {
		const b = this.k.bpf.bpf_get_btf_vmlinux();
		if (typeof b === "number") return null;
		const id = btf_find_by_name_kind(b, this.name, BTF_KIND_STRUCT);
		return id > 0 ? btf_find_member(b, btf_type_by_id(b, id)!, field) : null;
	}
	/** A bitfield of at most 8 bits within one byte. */
	bits(field: string): number {
		const m = this.member(field);
		if (!m) return 0;
		const byte = this.k.kmem.r8(this.addr + (m.bit_offset >>> 3));
		return (byte >>> (m.bit_offset & 7)) & ((1 << (m.bitfield_size || 8)) - 1);
	}
	set_bits(field: string, v: number): void {
		const m = this.member(field);
		if (!m) return;
		const at = this.addr + (m.bit_offset >>> 3);
		const mask = ((1 << (m.bitfield_size || 8)) - 1) << (m.bit_offset & 7);
		const byte = this.k.kmem.r8(at);
		this.k.kmem.w8(at, (byte & ~mask) | ((v << (m.bit_offset & 7)) & mask));
	}
}

/** struct sk_buff with a linear packet */
export class sk_buff extends GuestStruct {
	constructor(k: KernelImpl, addr: number) {
		super(k, "sk_buff", addr);
	}
	get head(): number {
		return this.ptr("head");
	}
	get data(): number {
		return this.ptr("data");
	}
	set data(v: number) {
		this.setptr("data", v);
	}
	get len(): number {
		return this.u32("len");
	}
	set len(v: number) {
		this.set32("len", v);
	}
	/** skb_headlen() */
	get headlen(): number {
		return this.len - this.u32("data_len");
	}
	/** skb_tail_pointer() */
	get tail(): number {
		return this.head + this.u32("tail");
	}
	get shinfo(): GuestStruct {
		return new GuestStruct(this.k, "skb_shared_info", this.head + this.u32("end"));
	}
	get headroom(): number {
		return this.data - this.head;
	}
	/** skb_push() */
	push(n: number): void {
		this.data -= n;
		this.len += n;
	}
	/** skb_pull() */
	pull(n: number): void {
		this.data += n;
		this.len -= n;
	}
	/** bpf_compute_data_pointers() */
	compute_data_pointers(): void {
		const cb = this.at("cb");
		this.k.kmem.wptr(cb + koffsetof(this.k, "bpf_skb_data_end", "data_meta"), this.data);
		this.k.kmem.wptr(cb + koffsetof(this.k, "bpf_skb_data_end", "data_end"), this.data + this.headlen);
	}
}

/** net/core/skbuff.c: slab_build_skb: a packet over a kmalloc() buffer of `size` bytes. */
export function build_skb(k: KernelImpl, data: number, size: number): sk_buff | null {
	const addr = k.kmem.kzalloc(ksizeof(k, "sk_buff"));
	if (!addr) return null;
	const skb = new sk_buff(k, addr);
	skb.setptr("head", data);
	skb.setptr("data", data);
	skb.set32("tail", 0);
	skb.set32("end", size - shinfo_size(k));
	if (skb.has("truesize")) skb.set32("truesize", size + SKB_DATA_ALIGN(ksizeof(k, "sk_buff")));
	if (skb.has("mac_header")) skb.set16("mac_header", 0xffff);
	if (skb.has("transport_header")) skb.set16("transport_header", 0xffff);
	if (skb.has("users")) skb.set32("users", 1);
	return skb;
}

/** net/ethernet/eth.c: eth_type_trans: the header comes off; returns the protocol in network order. */
export function eth_type_trans(k: KernelImpl, skb: sk_buff, dev: number): number {
	skb.setptr("dev", dev);
	skb.set16("mac_header", skb.data - skb.head);
	const eth = k.kmem.read(skb.data, ETH_HLEN);
	skb.pull(ETH_HLEN);
	const dest = eth.subarray(0, 6);
	if (dest.some((b) => b !== 0)) {
		// the loopback device's own address is all zeroes
		if (dest[0]! & 1) skb.set_bits("pkt_type", dest.every((b) => b === 255) ? 1 : 2);
		else skb.set_bits("pkt_type", 3);
	}
	const proto = (eth[12]! << 8) | eth[13]!;
	if (proto >= 0x600) return eth[12]! | (eth[13]! << 8);
	const first = k.kmem.r16(skb.data);
	return skb.len >= 2 && first === 0xffff ? 0x0100 : 0x0400;
}

/** The loopback device, made at first use. */
export function loopback_dev(k: KernelImpl): { dev: number; rxq: number } {
	if (k.net) return k.net;
	const dev = k.kmem.kzalloc(ksizeof(k, "net_device"));
	const d = new GuestStruct(k, "net_device", dev);
	if (d.has("ifindex")) d.set32("ifindex", 1);
	if (d.has("mtu")) d.set32("mtu", 65536);
	if (d.has("name")) k.kmem.write(d.at("name"), Uint8Array.of(0x6c, 0x6f, 0));
	// init_net, the first namespace that got a number of /proc
	let init_net = 0;
	if (d.has("nd_net.net") && try_offsetof(k, "net", "ns.inum") >= 0) {
		init_net = k.kmem.kzalloc(ksizeof(k, "net"));
		new GuestStruct(k, "net", init_net).set32("ns.inum", 0xf0000000);
		d.setptr("nd_net.net", init_net);
	}
	const rxq = k.kmem.kzalloc(ksizeof(k, "xdp_rxq_info"));
	const r = new GuestStruct(k, "xdp_rxq_info", rxq);
	r.setptr("dev", dev);
	if (r.has("frag_size")) r.set32("frag_size", 4096);
	k.net = { dev, rxq, init_net };
	return k.net;
}

/** Give the loopback device back, so that what is left is a leak. */
export function net_release(k: KernelImpl): void {
	if (!k.net) return;
	k.kmem.kfree(k.net.dev);
	k.kmem.kfree(k.net.rxq);
	if (k.net.init_net) k.kmem.kfree(k.net.init_net);
	k.net = null;
}

/** struct xdp_buff with fragments */
export class xdp_buff extends GuestStruct {
	constructor(k: KernelImpl, addr: number) {
		super(k, "xdp_buff", addr);
	}
	/** xdp_data_hard_end() */
	get hard_end(): number {
		return this.ptr("data_hard_start") + this.u32("frame_sz") - shinfo_size(this.k);
	}
	get sinfo(): GuestStruct {
		return new GuestStruct(this.k, "skb_shared_info", this.hard_end);
	}
	get has_frags(): boolean {
		return (this.u32("flags") & 1) !== 0;
	}
	get nr_frags(): number {
		return this.has_frags ? this.sinfo.u8("nr_frags") : 0;
	}
	/** xdp_get_buff_len() */
	get buff_len(): number {
		const linear = this.ptr("data_end") - this.ptr("data");
		return linear + (this.has_frags ? this.sinfo.u32("xdp_frags_size") : 0);
	}
	/** The guest has no struct page: a fragment's netmem holds the address of its bytes. */
	frag_at(i: number): GuestStruct {
		return new GuestStruct(this.k, "skb_frag", this.sinfo.at("frags") + i * ksizeof(this.k, "skb_frag"));
	}
	/** Where the bytes of fragment `i` lie, and how many. */
	frag(i: number): { addr: number; size: number } {
		const f = this.frag_at(i);
		return { addr: f.ptr("netmem") + f.u32("offset"), size: f.u32("len") };
	}
	/** Where `len` bytes at `offset` lie, piece by piece. */
	pieces(offset: number, len: number): { addr: number; n: number }[] {
		const out: { addr: number; n: number }[] = [];
		let off = offset;
		let left = len;
		const take = (addr: number, size: number): void => {
			if (left === 0) return;
			if (off >= size) {
				off -= size;
				return;
			}
			const n = Math.min(size - off, left);
			out.push({ addr: addr + off, n });
			left -= n;
			off = 0;
		};
		take(this.ptr("data"), this.ptr("data_end") - this.ptr("data"));
		for (let i = 0; i < this.nr_frags; i++) {
			const f = this.frag(i);
			take(f.addr, f.size);
		}
		return out;
	}
}
