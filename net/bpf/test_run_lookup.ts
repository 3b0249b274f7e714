// SPDX-License-Identifier: GPL-2.0-only
/** net/bpf/test_run.c: test runs of the programs that take packets apart and that choose sockets. */
import { EAFNOSUPPORT, EINVAL, ENOMEM, EOPNOTSUPP, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import { koffsetof, ksizeof, member_size } from "../../kernel/bpf/layout.ts";
import { impl, type KernelImpl } from "../../kernel/kernel_impl.ts";
import { ETH_HLEN, GuestStruct } from "../core/skb.ts";
import {
	bpf_ctx_finish,
	bpf_ctx_init,
	bpf_test_finish,
	bpf_test_init,
	bpf_test_run,
} from "./test_run_common.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const U16_MAX = 0xffff;
/** enum sk_action */
const SK_DROP = 0;
const SK_PASS = 1;

const zero = (bytes: Uint8Array, from: number, to: number): boolean =>
	bytes.subarray(from, to).every((b) => b === 0);

/** The fields of a structure of the interface in a context's bytes. */
class UserContext {
	readonly k: KernelImpl;
	readonly name: string;
	readonly bytes: Uint8Array;
	private readonly view: DataView;
	constructor(k: KernelImpl, name: string, bytes: Uint8Array) {
		this.k = k;
		this.name = name;
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	}
	off(field: string): number {
		return koffsetof(this.k, this.name, field);
	}
	end(field: string): number {
		return this.off(field) + member_size(this.k, this.name, field);
	}
	u16(field: string): number {
		return this.view.getUint16(this.off(field), true);
	}
	u32(field: string): number {
		return this.view.getUint32(this.off(field), true);
	}
	u64(field: string): bigint {
		return this.view.getBigUint64(this.off(field), true);
	}
	set64(field: string, v: bigint): void {
		this.view.setBigUint64(this.off(field), v, true);
	}
}

/** Frees what was allocated for a run, and hands its result on. */
class Allocated {
	private readonly k: KernelImpl;
	private readonly at: number[] = [];
	constructor(k: KernelImpl) {
		this.k = k;
	}
	add(addr: number): void {
		this.at.push(addr);
	}
	/** A zeroed structure; null without memory. */
	struct(name: string): GuestStruct | null {
		const at = this.k.kmem.kzalloc(ksizeof(this.k, name));
		if (!at) return null;
		this.at.push(at);
		return new GuestStruct(this.k, name, at);
	}
	free(): void {
		for (const at of this.at) this.k.kmem.kfree(at);
	}
}

const clamp = (v: number, lo: number, hi: number): number =>
	Math.min(Math.max(v, lo & U16_MAX), hi & U16_MAX);

/** net/bpf/test_run.c: bpf_prog_test_run_flow_dissector */
export function bpf_prog_test_run_flow_dissector(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const { kmem } = k;
	const size = attr.test_data_size_in;
	if (attr.test_flags || attr.test_cpu || attr.test_batch_size) return -EINVAL;
	if (size < ETH_HLEN) return -EINVAL;
	const buf = bpf_test_init(k, attr, size, size, 0, 0);
	if (typeof buf === "number") return buf;
	const mine = new Allocated(k);
	mine.add(buf.data);
	try {
		const user = bpf_ctx_init(k, attr, ksizeof(k, "bpf_flow_keys"));
		if (typeof user === "number") return user;
		let flags = 0;
		if (user) {
			const u = new UserContext(k, "bpf_flow_keys", user);
			if (!zero(user, 0, u.off("flags")) || !zero(user, u.end("flags"), user.length)) return -EINVAL;
			flags = u.u32("flags");
		}
		const keys = mine.struct("bpf_flow_keys");
		const ctx = mine.struct("bpf_flow_dissector");
		if (!keys || !ctx) return -ENOMEM;
		ctx.setptr("flow_keys", keys.addr);
		ctx.setptr("data", buf.data);
		ctx.setptr("data_end", buf.data + size);
		const keys_size = ksizeof(k, "bpf_flow_keys");
		const n_proto = kmem.r16(buf.data + 12);
		// net/core/flow_dissector.c: bpf_flow_dissect
		const before = (): void => {
			kmem.fill(keys.addr, keys_size, 0);
			keys.set16("n_proto", n_proto);
			keys.set16("nhoff", ETH_HLEN);
			keys.set16("thoff", ETH_HLEN);
			keys.set32("flags", flags);
		};
		const run = bpf_test_run(prog, ctx.addr, attr.test_repeat, before);
		if (typeof run === "number") return run;
		keys.set16("nhoff", clamp(keys.u16("nhoff"), ETH_HLEN, size));
		keys.set16("thoff", clamp(keys.u16("thoff"), keys.u16("nhoff"), size));
		const ret = bpf_test_finish(k, attr, uattr, keys.addr, [], keys_size, run);
		return ret || bpf_ctx_finish(k, attr, uattr, user);
	} finally {
		mine.free();
	}
}

/** net/bpf/test_run.c: bpf_prog_test_run_sk_lookup */
export function bpf_prog_test_run_sk_lookup(prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(prog.kernel);
	const { kmem } = k;
	if (attr.test_flags || attr.test_cpu || attr.test_batch_size) return -EINVAL;
	if (attr.test_data_in || attr.test_data_size_in || attr.test_data_out || attr.test_data_size_out)
		return -EINVAL;
	const user = bpf_ctx_init(k, attr, ksizeof(k, "bpf_sk_lookup"));
	if (typeof user === "number") return user;
	if (!user) return -EINVAL;
	const u = new UserContext(k, "bpf_sk_lookup", user);
	if (u.u64("sk")) return -EINVAL;
	if (!zero(user, u.end("local_port"), user.length)) return -EINVAL;
	if (u.u32("local_port") > U16_MAX) return -ERANGE;
	const family = u.u16("family");
	if (family !== AF_INET && family !== AF_INET6) return -EAFNOSUPPORT;
	const mine = new Allocated(k);
	try {
		const ctx = mine.struct("bpf_sk_lookup_kern");
		// local_ip6, then remote_ip6, where the context points to
		const v6 = kmem.kzalloc(32);
		if (v6) mine.add(v6);
		if (!ctx || !v6) return -ENOMEM;
		ctx.set16("family", family);
		ctx.set16("protocol", u.u16("protocol"));
		ctx.set16("dport", u.u16("local_port"));
		ctx.set16("sport", u.u16("remote_port"));
		if (family === AF_INET) {
			ctx.set32("v4.daddr", u.u32("local_ip4"));
			ctx.set32("v4.saddr", u.u32("remote_ip4"));
		} else {
			const ip = (field: string): Uint8Array => user.subarray(u.off(field), u.off(field) + 16);
			kmem.write(v6, ip("local_ip6"));
			kmem.write(v6 + 16, ip("remote_ip6"));
			ctx.setptr("v6.daddr", v6);
			ctx.setptr("v6.saddr", v6 + 16);
		}
		const run = bpf_test_run(prog, ctx.addr, attr.test_repeat, () => ctx.setptr("selected_sk", 0));
		if (typeof run === "number") return run;
		// include/linux/filter.h: BPF_PROG_SK_LOOKUP_RUN_ARRAY of one program: only SK_PASS selects
		const selected = run.retval === SK_PASS ? ctx.ptr("selected_sk") : 0;
		run.retval = run.retval === SK_DROP ? SK_DROP : SK_PASS;
		// bpf_sk_assign() takes none of the mirror's sockets
		if (selected) {
			k.bpf.not_ported("test runs that select a socket");
			return -EOPNOTSUPP;
		}
		u.set64("cookie", 0n);
		const ret = bpf_test_finish(k, attr, uattr, 0, [], 0, run);
		return ret || bpf_ctx_finish(k, attr, uattr, user);
	} finally {
		mine.free();
	}
}
