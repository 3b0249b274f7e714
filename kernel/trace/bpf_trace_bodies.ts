// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of the helpers of tracing programs (kernel/trace/bpf_trace.c), and of those that write to perf events
 * from packets (net/core/filter.c).
 */
import { E2BIG, EBUSY, EFAULT, EINVAL, ENOENT, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_F_CURRENT_CPU, BPF_F_INDEX_MASK } from "../../include/uapi/linux/bpf.ts";
import { PERF_SAMPLE_RAW } from "../../include/uapi/linux/perf_event.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { perf_event_of_map } from "../bpf/arraymap.ts";
import type { bpf_map } from "../bpf/bpf_types.ts";
import { koffsetof } from "../bpf/layout.ts";
import { perf_event_read_local } from "../events/core.ts";
import { KERNEL_REGS } from "../events/perf.ts";
import { type perf_event, perf_sample_data } from "../events/perf_event.ts";
import type { KernelImpl } from "../kernel_impl.ts";

const INDEX_MASK = BigInt(BPF_F_INDEX_MASK);
const BPF_F_GET_BRANCH_RECORDS_SIZE = 1n;
const CTXLEN_MASK = 0xfffffn << 32n;
/** Programs that interrupt each other on a CPU: task, interrupt, NMI. */
const NEST_MAX = 3;
const SIZEOF_PERF_EVENT_VALUE = 24;

/** The event of an array's element, or a negative errno; `index` as programs give it. */
function event_at(k: KernelImpl, map: bpf_map, index: number): perf_event | number {
	const i = index === BPF_F_CURRENT_CPU ? k.cpu : index;
	if (i >= map.max_entries) return -E2BIG;
	return perf_event_of_map(map, i) ?? -ENOENT;
}

/** kernel/trace/bpf_trace.c: __bpf_perf_event_output, without room for more levels than the kernel has. */
class Output {
	private readonly k: KernelImpl;
	private readonly nest: Int32Array;
	constructor(k: KernelImpl) {
		this.k = k;
		this.nest = new Int32Array(k.config.cpus);
	}
	write(map: bpf_map, index: number, data: number, size: number, tail: Uint8Array | null): number {
		const { k, nest } = this;
		const { cpu } = k;
		// the kernel's per-CPU sample data are three
		if (++nest[cpu]! > NEST_MAX) {
			nest[cpu]!--;
			return -EBUSY;
		}
		try {
			const event = event_at(k, map, index);
			if (typeof event === "number") return event;
			if (!event.bpf_output) return -EINVAL;
			if (event.oncpu !== cpu) return -EOPNOTSUPP;
			const sd = new perf_sample_data(0n, 0n);
			if (event.sample_type & PERF_SAMPLE_RAW) sd.raw = { data, size, tail };
			return k.perf.output(event, sd, KERNEL_REGS);
		} finally {
			nest[cpu]!--;
		}
	}
}

/** Hang the bodies on the kernel. */
export function register_trace_helpers(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const out = new Output(k);
	// No CPU here records branches: perf_snapshot_branch_stack() stays what it is at first.
	bodies.set("__static_call_return0", () => 0n);
	bodies.set("bpf_get_branch_snapshot", (_c, _buf, _size, flags) => BigInt(flags ? -EINVAL : -ENOENT));
	bodies.set("bpf_read_branch_records", (_c, _ctx, _buf, _size, flags) =>
		BigInt(flags & ~BPF_F_GET_BRANCH_RECORDS_SIZE ? -EINVAL : -ENOENT),
	);
	for (const name of [
		"bpf_perf_event_output",
		"bpf_perf_event_output_tp",
		"bpf_perf_event_output_raw_tp",
		"bpf_event_output_data",
	]) {
		bodies.set(name, (_c, _ctx, m, flags, data, size) =>
			flags & ~INDEX_MASK
				? BigInt(-EINVAL)
				: BigInt(out.write(k.bpf.map_of(m), Number(flags), p(data), Number(size), null)),
		);
		k.bpf.direct.set(name, (cpu) => {
			const flags = cpu.argp(2);
			if (flags < 0 || flags > BPF_F_INDEX_MASK) return -EINVAL;
			return out.write(k.bpf.map_at(cpu.argp(1)), flags, cpu.argp(3), cpu.argp(4), null);
		});
	}
	/** bpf_event_output(): the program's data, then so many bytes of its packet. */
	const packet_output = (
		name: string,
		len: (ctx: bigint) => number,
		read: (ctx: bigint, to: number, n: number) => void,
	): void => {
		bodies.set(name, (_c, ctx, m, flags, meta, meta_size) => {
			const n = Number((flags & CTXLEN_MASK) >> 32n);
			if (flags & ~(CTXLEN_MASK | INDEX_MASK)) return BigInt(-EINVAL);
			if (n > len(ctx)) return BigInt(-EFAULT);
			let tail: Uint8Array | null = null;
			if (n) {
				const at = k.kmem.kzalloc(n);
				read(ctx, at, n);
				tail = k.kmem.read(at, n);
				k.kmem.kfree(at);
			}
			const index = Number(flags & INDEX_MASK);
			return BigInt(out.write(k.bpf.map_of(m), index, p(meta), Number(meta_size), tail));
		});
	};
	packet_output(
		"bpf_skb_event_output",
		(ctx) => k.kmem.r32(p(ctx) + koffsetof(k, "sk_buff", "len")),
		(ctx, to, n) => k.bpf.skb_load_bytes?.(p(ctx), 0, to, n),
	);
	packet_output(
		"bpf_xdp_event_output",
		(ctx) => Number(k.call_body("bpf_xdp_get_buff_len", [ctx])),
		(ctx, to, n) => k.bpf.xdp_load_bytes?.(p(ctx), 0, to, n),
	);

	const read_counter = (m: bigint, flags: bigint): ReturnType<typeof perf_event_read_local> => {
		if (flags & ~INDEX_MASK) return -EINVAL;
		const event = event_at(k, k.bpf.map_of(m), Number(flags));
		return typeof event === "number" ? event : perf_event_read_local(event);
	};
	bodies.set("bpf_perf_event_read", (_c, m, flags) => {
		const got = read_counter(m, flags);
		return typeof got === "number" ? BigInt(got) : got.value;
	});
	/** struct bpf_perf_event_value into a program's memory: zeros when it fails. */
	const value_into = (
		buf: number,
		size: number,
		read: () => ReturnType<typeof perf_event_read_local>,
	): bigint => {
		const got = size === SIZEOF_PERF_EVENT_VALUE ? read() : -EINVAL;
		if (typeof got === "number") {
			k.kmem.fill(buf, size, 0);
			return BigInt(got);
		}
		k.kmem.w64(buf, BigInt.asUintN(64, got.value));
		k.kmem.w64(buf + 8, got.enabled);
		k.kmem.w64(buf + 16, got.running);
		return 0n;
	};
	bodies.set("bpf_perf_event_read_value", (_c, m, flags, buf, size) =>
		value_into(p(buf), Number(size & 0xffffffffn), () => read_counter(m, flags)),
	);
	bodies.set("bpf_perf_prog_read_value", (_c, _ctx, buf, size) =>
		value_into(p(buf), Number(size & 0xffffffffn), () => {
			const event = k.perf.running.at(-1);
			return event ? perf_event_read_local(event) : -EINVAL;
		}),
	);

	for (const name of ["bpf_get_func_ip_kprobe", "bpf_get_func_ip_kprobe_multi"])
		bodies.set(name, () => k.kprobes.running_ip());
	bodies.set("bpf_override_return", (_c, _regs, rc) => {
		k.kprobes.override = rc;
		return 0n;
	});
	bodies.set("bpf_session_is_return", () => (k.session.is_return ? 1n : 0n));
	bodies.set("bpf_session_cookie", () => addr_to_u64(k.session.data));
}
