// SPDX-License-Identifier: GPL-2.0-only
/** Bodies of the packet helpers that test runs reach (net/core/filter.c): loads, stores, and moving of XDP's ends. */
import { EACCES, EFAULT, EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_INVALIDATE_HASH,
	BPF_F_RECOMPUTE_CSUM,
	BPF_HDR_START_MAC,
	BPF_HDR_START_NET,
	XDP_ABORTED,
	XDP_REDIRECT,
	XDP_TX,
} from "../../include/uapi/linux/bpf.ts";
import { ksizeof } from "../../kernel/bpf/layout.ts";
import type { KernelImpl } from "../../kernel/kernel_impl.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { ETH_HLEN, GuestStruct, sk_buff, xdp_buff } from "./skb.ts";

const err = (e: number): bigint => BigInt(-e);
const lo = (v: bigint): number => Number(v & 0xffffffffn);
const s32 = (v: bigint): number => Number(BigInt.asIntN(32, v));

/** include/linux/skbuff.h: skb_header_pointer on linear packets: null outside. */
function skb_bytes(k: KernelImpl, skb: sk_buff, offset: number, len: number): Uint8Array | null {
	if (offset > 0x7fffffff || offset + len > skb.headlen) return null;
	return k.kmem.read(skb.data + offset, len);
}

/** net/core/filter.c: bpf_skb_load_helper_convert_offset: offsets relative to the headers */
function skb_neg_offset(skb: sk_buff, offset: number): number {
	if (offset >= 0) return offset;
	// SKF_NET_OFF, SKF_LL_OFF
	if (offset >= -0x100000) return skb.head + skb.u16("network_header") + (offset + 0x100000) - skb.data;
	if (offset >= -0x200000 && skb.u16("mac_header") !== 0xffff)
		return skb.head + skb.u16("mac_header") + (offset + 0x200000) - skb.data;
	return Number.NaN;
}

/** lib/checksum.c: csum_partial over 16-bit words, folded to 32 bits as the kernel's sum wraps. */
function csum_partial(bytes: Uint8Array, seed: number): number {
	let sum = seed;
	for (let i = 0; i < bytes.length; i += 4) {
		const w = (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)) >>> 0;
		sum += w;
		if (sum > 0xffffffff) sum = (sum % 0x100000000) + 1;
	}
	return sum >>> 0;
}

/** Hang the bodies on the kernel. */
export function register_packet_helpers(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	const skb_of = (ctx: bigint): sk_buff => new sk_buff(k, p(ctx));
	const xdp_of = (ctx: bigint): xdp_buff => new xdp_buff(k, p(ctx));

	const skb_load = (skb: sk_buff, offset: number, to: number, len: number): number => {
		const b = skb_bytes(k, skb, offset, len);
		if (!b) {
			kmem.fill(to, len, 0);
			return -EFAULT;
		}
		kmem.write(to, b);
		return 0;
	};
	const skb_store = (skb: sk_buff, offset: number, from: number, len: number, flags: bigint): number => {
		if (flags & ~BigInt(BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH)) return -EINVAL;
		if (offset > 0x7fffffff || offset + len > skb.headlen) return -EFAULT;
		kmem.copy(skb.data + offset, from, len);
		skb.compute_data_pointers();
		return 0;
	};
	k.bpf.skb_load_bytes = (skb, offset, to, len) => skb_load(new sk_buff(k, skb), offset, to, len);
	k.bpf.skb_store_bytes = (skb, offset, from, len, flags) =>
		skb_store(new sk_buff(k, skb), offset, from, len, flags);
	bodies.set("bpf_skb_load_bytes", (_c, ctx, offset, to, len) =>
		BigInt(skb_load(skb_of(ctx), lo(offset), p(to), lo(len))),
	);
	bodies.set("bpf_skb_store_bytes", (_c, ctx, offset, from, len, flags) =>
		BigInt(skb_store(skb_of(ctx), lo(offset), p(from), lo(len), flags)),
	);
	bodies.set("bpf_skb_load_bytes_relative", (_c, ctx, offset, to, len, start_header) => {
		const skb = skb_of(ctx);
		const n = lo(len);
		let start = -1;
		if (lo(offset) <= 0xffff) {
			if (lo(start_header) === BPF_HDR_START_MAC && skb.u16("mac_header") !== 0xffff)
				start = skb.head + skb.u16("mac_header");
			else if (lo(start_header) === BPF_HDR_START_NET) start = skb.head + skb.u16("network_header");
		}
		const ptr = start + lo(offset);
		if (start !== -1 && ptr + n <= skb.tail) {
			kmem.copy(p(to), ptr, n);
			return 0n;
		}
		kmem.fill(p(to), n, 0);
		return err(EFAULT);
	});
	bodies.set("bpf_skb_pull_data", (_c, ctx, len) => {
		const skb = skb_of(ctx);
		const ok = (lo(len) || skb.headlen) <= skb.headlen;
		skb.compute_data_pointers();
		return ok ? 0n : err(12);
	});
	for (const size of [8, 16, 32]) {
		const load = (skb: sk_buff, offset: number): bigint => {
			const at = skb_neg_offset(skb, offset);
			if (Number.isNaN(at)) return err(EFAULT);
			const n = size / 8;
			const from = skb.data + at;
			if (from < skb.head || at + n > skb.headlen) return err(EFAULT);
			let v = 0;
			for (const b of kmem.read(from, n)) v = v * 256 + b;
			return BigInt(v);
		};
		bodies.set(`bpf_skb_load_helper_${size}`, (_c, ctx, _data, _headlen, offset) =>
			load(skb_of(ctx), s32(offset)),
		);
		bodies.set(`bpf_skb_load_helper_${size}_no_cache`, (_c, ctx, offset) => load(skb_of(ctx), s32(offset)));
	}
	bodies.set("bpf_csum_diff", (_c, from, from_size64, to, to_size64, seed) => {
		const from_size = lo(from_size64);
		const to_size = lo(to_size64);
		if ((from_size | to_size) & 3 || from_size + to_size > 512) return err(EINVAL);
		const diff = new Uint8Array(from_size + to_size);
		if (from_size) diff.set(kmem.read(p(from), from_size).map((b) => ~b));
		if (to_size) diff.set(kmem.read(p(to), to_size), from_size);
		return BigInt(csum_partial(diff, lo(seed)));
	});

	// ---- XDP
	const copy_xdp = (xdp: xdp_buff, offset: number, buf: number, len: number, store: boolean): number => {
		if (offset > 0xffff || len > 0xffff) return -EFAULT;
		if (offset + len > xdp.buff_len) return -EINVAL;
		let at = buf;
		for (const { addr, n } of xdp.pieces(offset, len)) {
			if (store) kmem.copy(addr, at, n);
			else kmem.copy(at, addr, n);
			at += n;
		}
		return 0;
	};
	k.bpf.xdp_load_bytes = (xdp, offset, to, len) => copy_xdp(new xdp_buff(k, xdp), offset, to, len, false);
	k.bpf.xdp_store_bytes = (xdp, offset, from, len) => copy_xdp(new xdp_buff(k, xdp), offset, from, len, true);
	bodies.set("bpf_xdp_load_bytes", (_c, ctx, offset, buf, len) =>
		BigInt(copy_xdp(xdp_of(ctx), lo(offset), p(buf), lo(len), false)),
	);
	bodies.set("bpf_xdp_store_bytes", (_c, ctx, offset, buf, len) =>
		BigInt(copy_xdp(xdp_of(ctx), lo(offset), p(buf), lo(len), true)),
	);
	bodies.set("bpf_xdp_get_buff_len", (_c, ctx) => BigInt(xdp_of(ctx).buff_len));
	bodies.set("bpf_xdp_adjust_head", (_c, ctx, offset64) => {
		const xdp = xdp_of(ctx);
		const offset = s32(offset64);
		const meta = xdp.ptr("data_meta");
		const data = xdp.ptr("data");
		const metalen = meta > data ? 0 : data - meta;
		const data_start = xdp.ptr("data_hard_start") + ksizeof(k, "xdp_frame") + metalen;
		const to = data + offset;
		if (to < data_start || to > xdp.ptr("data_end") - ETH_HLEN) return err(EINVAL);
		if (metalen) kmem.copy(meta + offset, meta, metalen);
		xdp.setptr("data_meta", meta + offset);
		xdp.setptr("data", to);
		return 0n;
	});
	/** net/core/filter.c: bpf_xdp_frags_increase_tail */
	const frags_increase_tail = (xdp: xdp_buff, offset: number): number => {
		const { sinfo } = xdp;
		const frag_size = new GuestStruct(k, "xdp_rxq_info", xdp.ptr("rxq")).u32("frag_size");
		if (!frag_size || frag_size > xdp.u32("frame_sz")) return -EOPNOTSUPP;
		const frag = xdp.frag_at(xdp.nr_frags - 1);
		const size = frag.u32("len");
		if (offset > frag_size - size - frag.u32("offset")) return -EINVAL;
		kmem.fill(frag.ptr("netmem") + frag.u32("offset") + size, offset, 0);
		frag.set32("len", size + offset);
		sinfo.set32("xdp_frags_size", sinfo.u32("xdp_frags_size") + offset);
		return 0;
	};
	/** net/core/filter.c: bpf_xdp_frags_shrink_tail; the pages stay with the test run until its end */
	const frags_shrink_tail = (xdp: xdp_buff, by: number): number => {
		const { sinfo } = xdp;
		if (by > xdp.buff_len - ETH_HLEN) return -EINVAL;
		let offset = by;
		let freed = 0;
		const nr = xdp.nr_frags;
		let i = nr - 1;
		for (; i >= 0 && offset > 0; i--) {
			const frag = xdp.frag_at(i);
			const size = frag.u32("len");
			const shrink = Math.min(offset, size);
			freed += shrink;
			offset -= shrink;
			if (shrink < size) {
				frag.set32("len", size - shrink);
				break;
			}
		}
		sinfo.set8("nr_frags", i + 1);
		sinfo.set32("xdp_frags_size", sinfo.u32("xdp_frags_size") - freed);
		if (i + 1 === 0) {
			xdp.set32("flags", xdp.u32("flags") & ~1);
			xdp.setptr("data_end", xdp.ptr("data_end") - offset);
		}
		return 0;
	};
	bodies.set("bpf_xdp_adjust_tail", (_c, ctx, offset64) => {
		const xdp = xdp_of(ctx);
		const offset = s32(offset64);
		if (xdp.has_frags)
			return BigInt(offset < 0 ? frags_shrink_tail(xdp, -offset) : frags_increase_tail(xdp, offset));
		const end = xdp.ptr("data_end");
		if (end + offset > xdp.hard_end || end + offset < xdp.ptr("data") + ETH_HLEN) return err(EINVAL);
		if (offset > 0) kmem.fill(end, offset, 0);
		xdp.setptr("data_end", end + offset);
		return 0n;
	});
	bodies.set("bpf_xdp_adjust_meta", (_c, ctx, offset64) => {
		const xdp = xdp_of(ctx);
		const data = xdp.ptr("data");
		if (xdp.ptr("data_meta") > data) return err(524);
		const meta = xdp.ptr("data_meta") + s32(offset64);
		if (meta < xdp.ptr("data_hard_start") + ksizeof(k, "xdp_frame") || meta > data) return err(EINVAL);
		const metalen = data - meta;
		if (metalen & 3 || metalen > 255) return err(EACCES);
		xdp.setptr("data_meta", meta);
		return 0n;
	});
	bodies.set("bpf_xdp_redirect", (_c, _ifindex, flags) =>
		flags ? BigInt(XDP_ABORTED) : BigInt(XDP_REDIRECT),
	);
	bodies.set("bpf_redirect", (_c, _ifindex, flags) => (flags & ~1n ? 2n : 7n));
	// net/core/filter.c: __bpf_xdp_redirect_map with an entry that is not there
	const redirect_map = (_m: bigint, _key: bigint, flags: bigint): bigint =>
		flags & ~7n ? BigInt(XDP_ABORTED) : flags & 7n;
	bodies.set("bpf_xdp_redirect_map", (_c, m, key, flags) =>
		flags & ~BigInt(3) && flags > BigInt(XDP_TX) ? BigInt(XDP_ABORTED) : redirect_map(m, key, flags),
	);
}
