// SPDX-License-Identifier: GPL-2.0-only
/** net/bpf/test_run.c: BPF_PROG_TEST_RUN of each program type, on packets and contexts in guest memory. */
import { MAX_BPF_FUNC_ARGS } from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EFAULT,
	EINVAL,
	ENODEV,
	ENOMEM,
	ENXIO,
	EOPNOTSUPP,
	EPROTO,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { ATTR_OFF, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import { koffsetof, ksizeof, member_size } from "../../kernel/bpf/layout.ts";
import { bpf_prog_run } from "../../kernel/bpf/prog.ts";
import { u64_to_user_ptr } from "../../kernel/bpfptr.ts";
import { impl, type KernelImpl } from "../../kernel/kernel_impl.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import {
	build_skb,
	ETH_HLEN,
	eth_type_trans,
	GuestStruct,
	loopback_dev,
	MAX_SKB_FRAGS,
	NET_SKB_PAD,
	shinfo_size,
	type sk_buff,
	xdp_buff,
} from "../core/skb.ts";
import { bpf_struct_ops_test_run } from "./bpf_dummy_struct_ops.ts";
import {
	bpf_ctx_finish,
	bpf_ctx_init,
	bpf_test_finish,
	bpf_test_init,
	bpf_test_run,
	failed,
	finish,
	memdup_user,
	PAGE_SIZE,
} from "./test_run_common.ts";
import { bpf_prog_test_run_flow_dissector, bpf_prog_test_run_sk_lookup } from "./test_run_lookup.ts";

const XDP_PACKET_HEADROOM = 256;
const TEST_XDP_MAX_BATCH = 256;
const GSO_LEGACY_MAX_SIZE = 65536;
const GSO_MAX_SEGS = 65535;

/** bpf_prog_ops.test_run */
export type test_run_fn = (prog: bpf_prog, attr: bpf_attr, uattr: number) => number;

/** The test_run of a program type; undefined: -ENOTSUPP. */
export function test_run_of(prog_type: number): test_run_fn | undefined {
	switch (prog_type) {
		case U.BPF_PROG_TYPE_SOCKET_FILTER:
		case U.BPF_PROG_TYPE_SCHED_CLS:
		case U.BPF_PROG_TYPE_SCHED_ACT:
		case U.BPF_PROG_TYPE_CGROUP_SKB:
		case U.BPF_PROG_TYPE_LWT_IN:
		case U.BPF_PROG_TYPE_LWT_OUT:
		case U.BPF_PROG_TYPE_LWT_XMIT:
			return bpf_prog_test_run_skb;
		case U.BPF_PROG_TYPE_XDP:
			return bpf_prog_test_run_xdp;
		case U.BPF_PROG_TYPE_RAW_TRACEPOINT:
			return bpf_prog_test_run_raw_tp;
		case U.BPF_PROG_TYPE_TRACING:
			return bpf_prog_test_run_tracing;
		case U.BPF_PROG_TYPE_SYSCALL:
			return bpf_prog_test_run_syscall;
		case U.BPF_PROG_TYPE_NETFILTER:
			return bpf_prog_test_run_nf;
		case U.BPF_PROG_TYPE_STRUCT_OPS:
			return bpf_struct_ops_test_run;
		case U.BPF_PROG_TYPE_FLOW_DISSECTOR:
			return bpf_prog_test_run_flow_dissector;
		case U.BPF_PROG_TYPE_SK_LOOKUP:
			return bpf_prog_test_run_sk_lookup;
		default:
			return undefined;
	}
}

/** include/net/dropreason-core.h */
const SKB_DROP_REASON_NOT_SPECIFIED = 2n;

/** net/bpf/test_run.c: bpf_prog_test_run_raw_tp */
function bpf_prog_test_run_raw_tp(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const ctx_size_in = attr.test_ctx_size_in;
	const cpu = attr.test_cpu | 0;
	const on_cpu = (attr.test_flags & U.BPF_F_TEST_RUN_ON_CPU) !== 0;
	if (
		attr.test_data_in ||
		attr.test_data_out ||
		attr.test_ctx_out ||
		attr.test_duration ||
		attr.test_repeat ||
		attr.test_batch_size
	)
		return -EINVAL;
	if (ctx_size_in < prog.aux.max_ctx_offset || ctx_size_in > MAX_BPF_FUNC_ARGS * 8) return -EINVAL;
	if (!on_cpu && cpu !== 0) return -EINVAL;
	let ctx = 0;
	if (ctx_size_in) {
		ctx = memdup_user(k, u64_to_user_ptr(attr.test_ctx_in), ctx_size_in);
		if (failed(ctx)) return ctx;
	}
	const before = k.cpu;
	try {
		if (on_cpu && cpu !== before) {
			if (cpu < 0 || cpu >= k.config.cpus) return -ENXIO;
			k.cpu = cpu;
		}
		const run = bpf_test_run(prog, ctx, 1);
		if (typeof run === "number") return run;
		const { retval } = run;
		return k.put_user32(uattr + ATTR_OFF.test_retval, retval) ? 0 : -EFAULT;
	} finally {
		k.cpu = before;
		if (ctx) k.kmem.kfree(ctx);
	}
}

const s32 = (v: bigint): bigint => BigInt.asIntN(32, v);
const s16 = (v: bigint): bigint => BigInt.asIntN(16, v);
const s8 = (v: bigint): bigint => BigInt.asIntN(8, v);

/** net/bpf/test_run.c: bpf_fentry_test1 and its kin: functions to attach to, that only add up what they are given */
const fentry_tests: Readonly<Record<string, (k: KernelImpl, a: readonly bigint[]) => bigint>> = {
	bpf_fentry_test1: (_k, a) => s32(a[0]!) + 1n,
	bpf_fentry_test2: (_k, a) => s32(a[0]!) + a[1]!,
	bpf_fentry_test3: (_k, a) => s8(a[0]!) + s32(a[1]!) + a[2]!,
	bpf_fentry_test4: (_k, a) => a[0]! + s8(a[1]!) + s32(a[2]!) + a[3]!,
	bpf_fentry_test5: (_k, a) => a[0]! + a[1]! + s16(a[2]!) + s32(a[3]!) + a[4]!,
	bpf_fentry_test6: (_k, a) => a[0]! + a[1]! + s16(a[2]!) + s32(a[3]!) + a[4]! + a[5]!,
	bpf_fentry_test7: (_k, a) => a[0]!,
	bpf_fentry_test8: (k, a) => k.kmem.r64(u64_to_addr(a[0]!)),
	bpf_fentry_test9: (k, a) => BigInt(k.kmem.r32(u64_to_addr(a[0]!))),
	bpf_modify_return_test(k, a) {
		const b = u64_to_addr(a[1]!);
		k.kmem.w32(b, k.kmem.r32(b) + 1);
		return s32(a[0]!) + BigInt(k.kmem.r32(b));
	},
	bpf_modify_return_test2(k, a) {
		const b = u64_to_addr(a[1]!);
		k.kmem.w32(b, k.kmem.r32(b) + 1);
		return s32(a[0]!) + BigInt(k.kmem.r32(b)) + s16(a[2]!) + s32(a[3]!) + a[4]! + s8(a[5]!) + s32(a[6]!);
	},
};

/** Call one of them by its entry, as the kernel does: the int that it returns. */
function call_fentry_test(k: KernelImpl, name: string, args: readonly (bigint | number)[]): number {
	const body = fentry_tests[name]!;
	return Number(s32(k.ftrace.call(name, args, (a) => s32(body(k, a)))));
}

/** net/bpf/test_run.c: bpf_prog_test_run_tracing */
function bpf_prog_test_run_tracing(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	if (attr.test_flags || attr.test_cpu || attr.test_batch_size) return -EINVAL;
	let side_effect = 0;
	let ret = 0;
	// the function's variables that are passed by address: arg, retval, b
	const vars = k.kmem.kzalloc(16);
	if (!vars) return -ENOMEM;
	const [arg, retval, b] = [vars, vars + 8, vars + 12];
	const test = (n: number, ...args: number[]): number => call_fentry_test(k, `bpf_fentry_test${n}`, args);
	try {
		switch (prog.expected_attach_type) {
			case U.BPF_TRACE_FENTRY:
			case U.BPF_TRACE_FEXIT:
				if (
					test(1, 1) !== 2 ||
					test(2, 2, 3) !== 5 ||
					test(3, 4, 5, 6) !== 15 ||
					test(4, 7, 8, 9, 10) !== 34 ||
					test(5, 11, 12, 13, 14, 15) !== 65 ||
					test(6, 16, 17, 18, 19, 20, 21) !== 111 ||
					test(7, 0) !== 0 ||
					test(8, arg) !== 0 ||
					test(9, retval) !== 0
				)
					return finish(k, -EFAULT);
				break;
			case U.BPF_MODIFY_RETURN:
				k.kmem.w32(b, 2);
				ret = call_fentry_test(k, "bpf_modify_return_test", [1, b]) & 0xffff;
				if (k.kmem.r32(b) !== 2) side_effect++;
				k.kmem.w32(b, 2);
				ret = (ret + call_fentry_test(k, "bpf_modify_return_test2", [1, b, 3, 4, 5, 6, 7])) & 0xffff;
				if (k.kmem.r32(b) !== 2) side_effect++;
				break;
			default:
				return finish(k, -EFAULT);
		}
	} finally {
		k.kmem.kfree(vars);
	}
	const out = ((side_effect << 16) | ret) >>> 0;
	return finish(k, k.put_user32(uattr + ATTR_OFF.test_retval, out) ? 0 : -EFAULT);
}

/** net/bpf/test_run.c: bpf_prog_test_run_syscall */
function bpf_prog_test_run_syscall(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const ctx_size_in = attr.test_ctx_size_in;
	if (
		attr.test_data_in ||
		attr.test_data_out ||
		attr.test_ctx_out ||
		attr.test_duration ||
		attr.test_repeat ||
		attr.test_flags ||
		attr.test_batch_size
	)
		return -EINVAL;
	if (ctx_size_in < prog.aux.max_ctx_offset || ctx_size_in > 0xffff) return -EINVAL;
	const ctx_in = u64_to_user_ptr(attr.test_ctx_in);
	let ctx = 0;
	if (ctx_size_in) {
		ctx = memdup_user(k, ctx_in, ctx_size_in);
		if (failed(ctx)) return ctx;
	}
	try {
		k.rcu_tasks_trace.read_lock();
		let retval: number;
		try {
			retval = Number(bpf_prog_run(prog, ctx) & 0xffffffffn);
		} finally {
			k.rcu_tasks_trace.read_unlock();
		}
		if (!k.put_user32(uattr + ATTR_OFF.test_retval, retval)) return -EFAULT;
		if (ctx_size_in && !k.copy_to_user(ctx_in, k.kmem.read(ctx, ctx_size_in))) return -EFAULT;
		return 0;
	} finally {
		if (ctx) k.kmem.kfree(ctx);
	}
}

// ---- packets

/** A field of struct __sk_buff in the context's bytes. */
function __skb(k: KernelImpl, ctx: Uint8Array): (field: string) => number {
	const dv = new DataView(ctx.buffer, ctx.byteOffset);
	return (field) => dv.getUint32(koffsetof(k, "__sk_buff", field), true);
}

/** net/bpf/test_run.c: convert___skb_to_skb */
function convert___skb_to_skb(k: KernelImpl, skb: sk_buff, ctx: Uint8Array | null): number {
	if (!ctx) return 0;
	const off = (f: string): number => koffsetof(k, "__sk_buff", f);
	const end = (f: string): number => off(f) + member_size(k, "__sk_buff", f);
	const zero = (from: number, to: number): boolean => ctx.subarray(from, to).every((b) => b === 0);
	if (
		!zero(0, off("mark")) ||
		!zero(end("mark"), off("priority")) ||
		!zero(end("ifindex"), off("cb")) ||
		!zero(end("cb"), off("tstamp")) ||
		!zero(end("gso_segs"), off("gso_size")) ||
		!zero(end("gso_size"), off("hwtstamp")) ||
		!zero(end("hwtstamp"), ctx.length)
	)
		return -EINVAL;
	const dv = new DataView(ctx.buffer, ctx.byteOffset);
	const f = __skb(k, ctx);
	skb.set32("mark", f("mark"));
	skb.set32("priority", f("priority"));
	skb.set32("skb_iif", f("ingress_ifindex"));
	skb.set64("tstamp", dv.getBigUint64(off("tstamp"), true));
	const cb = new GuestStruct(k, "qdisc_skb_cb", skb.at("cb"));
	k.kmem.write(cb.at("data"), ctx.subarray(off("cb"), off("cb") + 20));
	const wire_len = f("wire_len");
	if (wire_len === 0) cb.set32("pkt_len", skb.len);
	else {
		if (wire_len < skb.len || wire_len > GSO_LEGACY_MAX_SIZE) return -EINVAL;
		cb.set32("pkt_len", wire_len);
	}
	if (f("gso_segs") > GSO_MAX_SEGS) return -EINVAL;
	skb.shinfo.set16("gso_segs", f("gso_segs"));
	skb.shinfo.set16("gso_size", f("gso_size") & 0xffff);
	skb.shinfo.set64("hwtstamps.hwtstamp", dv.getBigUint64(off("hwtstamp"), true));
	return 0;
}

/** net/bpf/test_run.c: convert_skb_to___skb */
function convert_skb_to___skb(k: KernelImpl, skb: sk_buff, ctx: Uint8Array | null): void {
	if (!ctx) return;
	const dv = new DataView(ctx.buffer, ctx.byteOffset);
	const off = (f: string): number => koffsetof(k, "__sk_buff", f);
	const cb = new GuestStruct(k, "qdisc_skb_cb", skb.at("cb"));
	dv.setUint32(off("mark"), skb.u32("mark"), true);
	dv.setUint32(off("priority"), skb.u32("priority"), true);
	dv.setUint32(off("ingress_ifindex"), skb.u32("skb_iif"), true);
	dv.setUint32(off("ifindex"), 1, true);
	dv.setBigUint64(off("tstamp"), skb.u64("tstamp"), true);
	ctx.set(k.kmem.read(cb.at("data"), 20), off("cb"));
	dv.setUint32(off("wire_len"), cb.u32("pkt_len"), true);
	dv.setUint32(off("gso_segs"), skb.shinfo.u16("gso_segs"), true);
	dv.setBigUint64(off("hwtstamp"), skb.shinfo.u64("hwtstamps.hwtstamp"), true);
}

/** net/bpf/test_run.c: bpf_prog_test_run_skb */
function bpf_prog_test_run_skb(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const { kmem } = k;
	const size = attr.test_data_size_in;
	if (
		attr.test_flags & ~U.BPF_F_TEST_SKB_CHECKSUM_COMPLETE ||
		attr.test_cpu ||
		attr.test_batch_size ||
		size < ETH_HLEN
	)
		return -EINVAL;
	const buf = bpf_test_init(k, attr, size, size, NET_SKB_PAD, shinfo_size(k));
	if (typeof buf === "number") return buf;
	const ctx = bpf_ctx_init(k, attr, ksizeof(k, "__sk_buff"));
	if (typeof ctx === "number") {
		kmem.kfree(buf.data);
		return ctx;
	}
	let is_l2 = false;
	let is_direct_pkt_access = false;
	switch (prog.type) {
		case U.BPF_PROG_TYPE_SCHED_CLS:
		case U.BPF_PROG_TYPE_SCHED_ACT:
			is_l2 = true;
			is_direct_pkt_access = true;
			break;
		case U.BPF_PROG_TYPE_LWT_IN:
		case U.BPF_PROG_TYPE_LWT_OUT:
		case U.BPF_PROG_TYPE_LWT_XMIT:
			is_direct_pkt_access = true;
			break;
	}
	const sk_addr = kmem.kzalloc(ksizeof(k, "sock"));
	const skb = build_skb(k, buf.data, buf.total);
	const free = (ret: number): number => {
		if (skb) {
			// kfree_skb(): by no reason of its own
			k.tracepoints.fire("kfree_skb", [
				addr_to_u64(skb.addr),
				k.symbols.addr("bpf_prog_test_run_skb") ?? 0n,
				SKB_DROP_REASON_NOT_SPECIFIED,
				0n,
			]);
			kmem.kfree(skb.head);
			kmem.kfree(skb.addr);
		}
		if (sk_addr) {
			k.bpf.local_storage.owner_gone(sk_addr);
			kmem.kfree(sk_addr);
		}
		return ret;
	};
	if (!skb || !sk_addr) return free(-ENOMEM);
	const sk = new GuestStruct(k, "sock", sk_addr);
	// sock_init_data(): TCP_CLOSE, whatever it is
	if (sk.has("__sk_common.skc_state")) sk.set8("__sk_common.skc_state", 7);
	if (sk.has("__sk_common.skc_refcnt")) sk.set32("__sk_common.skc_refcnt", 1);
	skb.setptr("sk", sk_addr);
	// sock_init_data(): TCP_CLOSE, one reference
	if (sk.has("__sk_common.skc_state")) sk.set8("__sk_common.skc_state", 7);
	if (sk.has("__sk_common.skc_refcnt")) sk.set32("__sk_common.skc_refcnt", 1);
	skb.data = buf.data + NET_SKB_PAD;
	skb.set32("tail", NET_SKB_PAD + size);
	skb.len = size;
	const { dev } = loopback_dev(k);
	if (ctx && __skb(k, ctx)("ifindex") > 1) return free(-ENODEV);
	const protocol = eth_type_trans(k, skb, dev);
	skb.set16("protocol", protocol);
	skb.set16("network_header", skb.data - skb.head);
	const family = (v: number): void => {
		if (sk.has("__sk_common.skc_family")) sk.set16("__sk_common.skc_family", v);
	};
	if (protocol === 0x0008) {
		if (skb.headlen < 20) return free(-EINVAL);
		family(2);
		if (sk.has("__sk_common.skc_rcv_saddr")) {
			sk.set32("__sk_common.skc_rcv_saddr", kmem.r32(skb.data + 12));
			sk.set32("__sk_common.skc_daddr", kmem.r32(skb.data + 16));
		}
	} else if (protocol === 0xdd86) {
		if (skb.headlen < 40) return free(-EINVAL);
		family(10);
		if (sk.has("__sk_common.skc_v6_rcv_saddr")) {
			kmem.copy(sk.at("__sk_common.skc_v6_rcv_saddr"), skb.data + 8, 16);
			kmem.copy(sk.at("__sk_common.skc_v6_daddr"), skb.data + 24, 16);
		}
	}
	if (is_l2) skb.push(ETH_HLEN);
	if (is_direct_pkt_access) skb.compute_data_pointers();
	let ret = convert___skb_to_skb(k, skb, ctx);
	if (ret) return free(ret);
	// a socket filter or cgroup program gets its packet's ends from bpf_prog_run_save_cb and its kin
	if (!is_direct_pkt_access && prog.type === U.BPF_PROG_TYPE_CGROUP_SKB) skb.compute_data_pointers();
	let run: { retval: number; duration: number };
	try {
		const done = bpf_test_run(prog, skb.addr, attr.test_repeat);
		if (typeof done === "number") return free(done);
		run = done;
	} catch (e) {
		free(0);
		throw e;
	}
	if (!is_l2) {
		skb.push(ETH_HLEN);
		kmem.fill(skb.data, ETH_HLEN, 0);
	}
	convert_skb_to___skb(k, skb, ctx);
	ret = bpf_test_finish(k, attr, uattr, skb.data, [], skb.headlen, run);
	if (!ret) ret = bpf_ctx_finish(k, attr, uattr, ctx);
	return free(ret);
}

/** net/bpf/test_run.c: bpf_prog_test_run_xdp */
function bpf_prog_test_run_xdp(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const { kmem } = k;
	const do_live = (attr.test_flags & U.BPF_F_TEST_XDP_LIVE_FRAMES) !== 0;
	const tailroom = shinfo_size(k);
	let headroom = XDP_PACKET_HEADROOM;
	let linear_sz = attr.test_data_size_in;
	if (prog.expected_attach_type === U.BPF_XDP_DEVMAP || prog.expected_attach_type === U.BPF_XDP_CPUMAP)
		return -EINVAL;
	if (attr.test_flags & ~U.BPF_F_TEST_XDP_LIVE_FRAMES) return -EINVAL;
	if (prog.aux.dev_bound) return -EINVAL;
	if (do_live) {
		if (attr.test_batch_size > TEST_XDP_MAX_BATCH) return -E2BIG;
	} else if (attr.test_batch_size) return -EINVAL;
	const ctx = bpf_ctx_init(k, attr, ksizeof(k, "xdp_md"));
	if (typeof ctx === "number") return ctx;
	const md = ctx ? new DataView(ctx.buffer, ctx.byteOffset) : null;
	const mdoff = (f: string): number => koffsetof(k, "xdp_md", f);
	const mdf = (f: string): number => md!.getUint32(mdoff(f), true);
	let meta_sz = 0;
	if (md) {
		if (
			mdf("data_meta") ||
			mdf("data_end") > attr.test_data_size_in ||
			mdf("data") > mdf("data_end") ||
			(do_live && (attr.test_data_out || attr.test_ctx_out))
		)
			return -EINVAL;
		meta_sz = mdf("data");
		if (meta_sz & 3 || meta_sz > 255 || meta_sz > headroom - ksizeof(k, "xdp_frame")) return -EINVAL;
		headroom -= meta_sz;
		linear_sz = mdf("data_end");
	}
	const max_linear_sz = PAGE_SIZE - headroom - tailroom;
	linear_sz = Math.min(linear_sz, max_linear_sz);
	if (do_live && attr.test_data_size_in > linear_sz) return -EINVAL;
	if ((attr.test_data_size_in - meta_sz) >>> 0 < ETH_HLEN) return -EINVAL;
	if (do_live) {
		k.bpf.not_ported("BPF_F_TEST_XDP_LIVE_FRAMES");
		return -EOPNOTSUPP;
	}
	const buf = bpf_test_init(k, attr, linear_sz, max_linear_sz, headroom, tailroom);
	if (typeof buf === "number") return buf;
	const addr = kmem.kzalloc(ksizeof(k, "xdp_buff"));
	const frag_pages: number[] = [];
	const free = (ret: number): number => {
		for (const pfn of frag_pages) kmem.put_page(pfn);
		kmem.kfree(buf.data);
		if (addr) kmem.kfree(addr);
		return ret;
	};
	if (!addr) return free(-ENOMEM);
	const xdp = new xdp_buff(k, addr);
	const { rxq } = loopback_dev(k);
	xdp.set32("frame_sz", PAGE_SIZE);
	xdp.setptr("rxq", rxq);
	xdp.setptr("data_hard_start", buf.data);
	xdp.setptr("data", buf.data + headroom);
	xdp.setptr("data_end", buf.data + headroom + linear_sz);
	xdp.setptr("data_meta", buf.data + headroom);
	if (md) {
		if (mdf("egress_ifindex") !== 0) return free(-EINVAL);
		if (!mdf("ingress_ifindex") && mdf("rx_queue_index")) return free(-EINVAL);
		if (mdf("ingress_ifindex")) {
			if (mdf("ingress_ifindex") !== 1) return free(-ENODEV);
			if (mdf("rx_queue_index") >= 1) return free(-EINVAL);
		}
		xdp.setptr("data", xdp.ptr("data_meta") + meta_sz);
	}
	let size = linear_sz;
	const { sinfo } = xdp;
	let nr_frags = 0;
	while (size < attr.test_data_size_in) {
		if (nr_frags === MAX_SKB_FRAGS) return free(-ENOMEM);
		const pfn = kmem.alloc_page();
		if (pfn < 0) return free(-ENOMEM);
		frag_pages.push(pfn);
		const n = Math.min(attr.test_data_size_in - size, PAGE_SIZE);
		const frag = new GuestStruct(k, "skb_frag", sinfo.at("frags") + nr_frags * ksizeof(k, "skb_frag"));
		frag.setptr("netmem", kmem.page_address(pfn));
		frag.set32("len", n);
		frag.set32("offset", 0);
		sinfo.set8("nr_frags", ++nr_frags);
		const bytes = k.copy_from_user(u64_to_user_ptr(attr.test_data_in) + size, n);
		if (!bytes) return free(-EFAULT);
		kmem.write(kmem.page_address(pfn), bytes);
		sinfo.set32("xdp_frags_size", sinfo.u32("xdp_frags_size") + n);
		size += n;
	}
	if (nr_frags) xdp.set32("flags", xdp.u32("flags") | 1);
	let run: { retval: number; duration: number };
	try {
		const done = bpf_test_run(prog, xdp.addr, attr.test_repeat);
		if (typeof done === "number") return free(done);
		run = done;
	} catch (e) {
		free(0);
		throw e;
	}
	if (md) {
		md.setUint32(mdoff("data"), xdp.ptr("data") - xdp.ptr("data_meta"), true);
		md.setUint32(mdoff("data_end"), xdp.ptr("data_end") - xdp.ptr("data_meta"), true);
	}
	const frags: { addr: number; size: number }[] = [];
	for (let i = 0; i < xdp.nr_frags; i++) frags.push(xdp.frag(i));
	const frags_size = frags.reduce((s, f) => s + f.size, 0);
	size = xdp.ptr("data_end") - xdp.ptr("data_meta") + frags_size;
	let ret = bpf_test_finish(k, attr, uattr, xdp.ptr("data_meta"), frags, size, run);
	if (!ret) ret = bpf_ctx_finish(k, attr, uattr, ctx);
	return free(ret);
}

const NFPROTO_IPV4 = 2;
const NFPROTO_IPV6 = 10;
const NF_INET_LOCAL_OUT = 3;

/** net/bpf/test_run.c: verify_and_copy_hook_state; `state` has the default ones */
function verify_and_copy_hook_state(state: GuestStruct, user: Uint8Array, dev: number): number {
	const { k } = state;
	const dv = new DataView(user.buffer, user.byteOffset);
	const off = (f: string): number => koffsetof(k, "nf_hook_state", f);
	for (const f of ["in", "out", "net", "sk", "okfn"]) if (dv.getBigUint64(off(f), true)) return -EINVAL;
	const pf = user[off("pf")]!;
	if (pf !== NFPROTO_IPV4 && pf !== NFPROTO_IPV6) return -EINVAL;
	// by the hook that was there before: local output
	state.setptr("out", dev);
	state.set8("pf", pf);
	state.set8("hook", user[off("hook")]!);
	return 0;
}

/** net/bpf/test_run.c: bpf_prog_test_run_nf */
function bpf_prog_test_run_nf(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const { kmem } = k;
	const size = attr.test_data_size_in;
	if (attr.test_flags || attr.test_cpu || attr.test_batch_size) return -EINVAL;
	if (size < 20) return -EINVAL;
	const headroom = NET_SKB_PAD;
	const buf = bpf_test_init(k, attr, size, size, headroom, shinfo_size(k));
	if (typeof buf === "number") return buf;
	const objects = [buf.data];
	const free = (ret: number): number => {
		for (const at of objects) kmem.kfree(at);
		return ret;
	};
	const user = bpf_ctx_init(k, attr, ksizeof(k, "nf_hook_state"));
	if (typeof user === "number") return free(user);
	const alloc = (struct: string): GuestStruct | null => {
		const at = kmem.kzalloc(ksizeof(k, struct));
		if (!at) return null;
		objects.push(at);
		return new GuestStruct(k, struct, at);
	};
	const state = alloc("nf_hook_state");
	const ctx = alloc("bpf_nf_ctx");
	if (!state || !ctx) return free(-ENOMEM);
	const { dev } = loopback_dev(k);
	state.set8("pf", NFPROTO_IPV4);
	state.set8("hook", NF_INET_LOCAL_OUT);
	if (user) {
		const err = verify_and_copy_hook_state(state, user, dev);
		if (err) return free(err);
	}
	const skb = build_skb(k, buf.data, buf.total);
	if (!skb) return free(-ENOMEM);
	objects[0] = skb.addr;
	const done = (ret: number): number => {
		kmem.kfree(skb.head);
		return free(ret);
	};
	skb.data = buf.data + headroom;
	skb.set32("tail", headroom + size);
	skb.len = size;
	const ipv4 = state.u8("pf") === NFPROTO_IPV4;
	if (state.u8("hook") === NF_INET_LOCAL_OUT) skb.set16("protocol", ipv4 ? 0x0008 : 0xdd86);
	else {
		if (size < ETH_HLEN + 20) return done(-EINVAL);
		const protocol = eth_type_trans(k, skb, dev);
		skb.set16("protocol", protocol);
		if (protocol === 0x0008) {
			if (!ipv4) return done(-EINVAL);
		} else if (protocol === 0xdd86) {
			if (size < ETH_HLEN + 40 || ipv4) return done(-EINVAL);
		} else return done(-EPROTO);
		skb.set16("network_header", skb.data - skb.head);
	}
	ctx.setptr("state", state.addr);
	ctx.setptr("skb", skb.addr);
	let run: ReturnType<typeof bpf_test_run>;
	try {
		run = bpf_test_run(prog, ctx.addr, attr.test_repeat);
	} catch (e) {
		done(0);
		throw e;
	}
	if (typeof run === "number") return done(run);
	return done(bpf_test_finish(k, attr, uattr, 0, [], 0, run));
}
