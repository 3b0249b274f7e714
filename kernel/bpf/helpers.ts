// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bodies of the basic helpers (kernel/bpf/helpers.c, kernel/trace/bpf_trace.c): maps, time, the
 * current task, memory that may fault, strings, printf, dynptrs, loops. Map types' own functions are
 * called by their symbols too, since the verifier replaces the generic helpers by them.
 */
import {
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
	BPF_DYNPTR_TYPE_SKB,
	BPF_DYNPTR_TYPE_XDP,
	BPF_MAX_LOOPS,
} from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EFAULT,
	EINVAL,
	ENOENT,
	EOPNOTSUPP,
	EPERM,
	ERANGE,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { MAX_ERRNO } from "../../lib/err.ts";
import { register_filter_helpers } from "../../net/core/filter_helpers.ts";
import { register_packet_helpers } from "../../net/core/packet_helpers.ts";
import { KERNEL_BPFPTR } from "../bpfptr.ts";
import { close_fd } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { bpf_dump_raw_ok } from "../security.ts";
import { task_image } from "../task_image.ts";
import { register_trace_helpers } from "../trace/bpf_trace_bodies.ts";
import { register_arena_kfuncs } from "./arena.ts";
import { register_seq_helpers } from "./bpf_iter.ts";
import { bpf_bprintf, MAX_BPRINTF_BUF, MAX_BPRINTF_VARARGS, read_format, store_string } from "./bprintf.ts";
import { bpf_find_btf_id } from "./btf_find.ts";
import type { btf } from "./btf_types.ts";
import { register_cpumask } from "./cpumask.ts";
import {
	bpf_dynptr_check_off_len,
	bpf_dynptr_check_size,
	bpf_dynptr_init,
	bpf_dynptr_read_kern,
	bpf_dynptr_set_null,
} from "./dynptr.ts";
import type { HelperBody } from "./helper_types.ts";
import { register_kfuncs } from "./kfunc_bodies.ts";
import { register_local_objects } from "./local_objects.ts";
import { guest_spin_lock, guest_spin_unlock, type map_ops } from "./map.ts";
import { all_map_ops } from "./map_types.ts";
import { register_ringbuf_helpers } from "./ringbuf.ts";
import { __sys_bpf } from "./syscall.ts";
import { register_timers } from "./timer.ts";
import { register_trampoline } from "./trampoline.ts";

const err = (e: number): bigint => BigInt(-e);
const lo = (v: bigint): number => Number(v & 0xffffffffn);

/** Hang the bodies on the kernel, by kernel symbol. */
export function register_helpers(kernel: KernelImpl): void {
	register_maps(kernel);
	register_misc(kernel);
	register_probe(kernel);
	register_strings(kernel);
	register_dynptrs(kernel);
	register_loops(kernel);
	register_syscalls(kernel);
	register_ringbuf_helpers(kernel);
	register_seq_helpers(kernel);
	register_arena_kfuncs(kernel);
	register_timers(kernel);
	register_trampoline(kernel);
	register_trace_helpers(kernel);
	register_local_objects(kernel);
	register_packet_helpers(kernel);
	register_filter_helpers(kernel);
	register_cpumask(kernel);
	register_kfuncs(kernel);
}

/** kernel/bpf/helpers.c: bpf_map_*_elem, and the maps' own functions under their names */
function register_maps(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const u = addr_to_u64;
	// An operation that is not ported has said so; nothing can have been put into its map.
	const found = (v: number): bigint => (v < 0 && v >= -MAX_ERRNO ? 0n : u(v));
	type Call = (ops: map_ops) => HelperBody;
	const map = (r: bigint) => k.bpf.map_of(r);
	const generic: Readonly<Record<string, HelperBody>> = {
		map_lookup_elem: (_c, m, key) => found(map(m).ops.map_lookup_elem!(map(m), p(key))),
		map_update_elem: (_c, m, key, value, flags) =>
			BigInt(map(m).ops.map_update_elem!(map(m), p(key), p(value), flags)),
		map_delete_elem: (_c, m, key) => BigInt(map(m).ops.map_delete_elem!(map(m), p(key))),
		map_push_elem: (_c, m, value, flags) => BigInt(map(m).ops.map_push_elem!(map(m), p(value), flags)),
		map_pop_elem: (_c, m, value) => BigInt(map(m).ops.map_pop_elem!(map(m), p(value))),
		map_peek_elem: (_c, m, value) => BigInt(map(m).ops.map_peek_elem!(map(m), p(value))),
		map_lookup_percpu_elem: (_c, m, key, cpu) =>
			u(map(m).ops.map_lookup_percpu_elem!(map(m), p(key), lo(cpu))),
		map_for_each_callback: (_c, m, cb, ctx, flags) =>
			BigInt(map(m).ops.map_for_each_callback!(map(m), cb, ctx, flags)),
		map_redirect: (_c, m, key, flags) => BigInt(map(m).ops.map_redirect!(map(m), key, flags)),
	};
	for (const [op, body] of Object.entries(generic)) if (op !== "map_redirect") bodies.set(`bpf_${op}`, body);
	bodies.set("bpf_for_each_map_elem", (_c, m, cb, ctx, flags) => {
		const ops = map(m).ops;
		return ops.map_for_each_callback
			? BigInt(ops.map_for_each_callback(map(m), cb, ctx, flags))
			: err(EINVAL);
	});
	bodies.delete("bpf_map_for_each_callback");
	const own: Readonly<Record<string, Call>> = {
		map_lookup_elem: (o) => (_c, m, key) => found(o.map_lookup_elem!(map(m), p(key))),
		map_update_elem: (o) => (_c, m, key, value, flags) =>
			BigInt(o.map_update_elem!(map(m), p(key), p(value), flags)),
		map_delete_elem: (o) => (_c, m, key) => BigInt(o.map_delete_elem!(map(m), p(key))),
		map_push_elem: (o) => (_c, m, value, flags) => BigInt(o.map_push_elem!(map(m), p(value), flags)),
		map_pop_elem: (o) => (_c, m, value) => BigInt(o.map_pop_elem!(map(m), p(value))),
		map_peek_elem: (o) => (_c, m, value) => BigInt(o.map_peek_elem!(map(m), p(value))),
		map_lookup_percpu_elem: (o) => (_c, m, key, cpu) => u(o.map_lookup_percpu_elem!(map(m), p(key), lo(cpu))),
		map_for_each_callback: (o) => (_c, m, cb, ctx, flags) =>
			BigInt(o.map_for_each_callback!(map(m), cb, ctx, flags)),
		map_redirect: (o) => (_c, m, key, flags) => BigInt(o.map_redirect!(map(m), key, flags)),
	};
	for (const ops of all_map_ops())
		for (const [op, symbol] of Object.entries(ops.symbols)) {
			const make = own[op];
			if (make && !bodies.has(symbol)) bodies.set(symbol, make(ops));
		}
	// the inlined lookups of hash maps
	bodies.set("__htab_map_lookup_elem", (_c, m, key) => u(k.bpf.htab_lookup(map(m), p(key))));
}

function register_misc(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	bodies.set("bpf_user_rnd_u32", () => BigInt(k.random.u32()));
	bodies.set("bpf_get_smp_processor_id", () => BigInt(k.cpu));
	bodies.set("bpf_get_raw_cpu_id", () => BigInt(k.cpu));
	bodies.set("bpf_get_numa_node_id", () => 0n);
	for (const name of ["bpf_ktime_get_ns", "bpf_ktime_get_boot_ns", "bpf_ktime_get_coarse_ns"])
		bodies.set(name, () => k.time.tick());
	bodies.set("bpf_ktime_get_tai_ns", () => k.time.tick() + k.wall_offset + 37_000_000_000n);
	bodies.set("bpf_jiffies64", () => k.jiffies);
	bodies.set("bpf_get_current_pid_tgid", () => (BigInt(k.task.tgid) << 32n) | BigInt(k.task.pid));
	bodies.set("bpf_get_current_uid_gid", () => (BigInt(k.task.gid) << 32n) | BigInt(k.task.uid));
	bodies.set("bpf_get_current_comm", (_c, buf, size64) => {
		const size = lo(size64);
		const bytes = new Uint8Array(size);
		// strscpy_pad() of 16 bytes of comm
		for (let i = 0; i < Math.min(size - 1, 15, k.task.comm.length); i++) bytes[i] = k.task.comm.charCodeAt(i);
		k.kmem.write(p(buf), bytes);
		return 0n;
	});
	bodies.set("bpf_get_current_task", () => addr_to_u64(task_image(k, k.task)));
	bodies.set("bpf_get_current_task_btf", () => addr_to_u64(task_image(k, k.task)));
	bodies.set("bpf_get_current_cgroup_id", () => 1n);
	bodies.set("bpf_get_current_ancestor_cgroup_id", (_c, level) => (lo(level) === 0 ? 1n : 0n));
	bodies.set("bpf_get_attach_cookie", () => k.bpf_cookie);
	for (const kind of ["trace", "pe", "tracing", "kprobe_multi", "uprobe_multi"])
		bodies.set(`bpf_get_attach_cookie_${kind}`, () => k.bpf_cookie);
	bodies.set("bpf_get_ns_current_pid_tgid", (_c, _dev, _ino, data, size) => {
		// no pid namespace has an inode that a program could name
		k.kmem.fill(p(data), lo(size), 0);
		return err(EINVAL);
	});
	bodies.set("bpf_spin_lock", (_c, lock) => {
		k.local_irq_save();
		guest_spin_lock(k, p(lock));
		return 0n;
	});
	bodies.set("bpf_spin_unlock", (_c, lock) => {
		guest_spin_unlock(k, p(lock));
		k.local_irq_restore();
		return 0n;
	});
	bodies.set("bpf_per_cpu_ptr", (_c, ptr, cpu) =>
		lo(cpu) >= k.config.cpus ? 0n : addr_to_u64(k.kmem.per_cpu_ptr(p(ptr), lo(cpu))),
	);
	bodies.set("bpf_this_cpu_ptr", (_c, ptr) => addr_to_u64(k.kmem.this_cpu_ptr(p(ptr))));
	bodies.set("bpf_kptr_xchg", (_c, dst, ptr) => {
		const old = k.kmem.r64(p(dst));
		k.kmem.w64(p(dst), ptr);
		return old;
	});
	bodies.set("bpf_map_sum_elem_count", (_c, m) => BigInt((k.bpf.map_of(m) as { count?: number }).count ?? 0));
}

/** Memory that may not be there (kernel/trace/bpf_trace.c: bpf_probe_read_*). */
function register_probe(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	/** copy_from_user_nofault() */
	const user = (addr: number, size: number): Uint8Array | number =>
		addr < 0 ? -EFAULT : (k.task.mm.read_nofault(addr, size) ?? -EFAULT);
	const kern = (addr: number, size: number): Uint8Array | number => k.copy_from_kernel_nofault(addr, size);
	const read =
		(get: (addr: number, size: number) => Uint8Array | number): HelperBody =>
		(_c, dst, size64, src) => {
			const size = lo(size64);
			if (size === 0) return 0n;
			const got = get(p(src), size);
			if (typeof got === "number") {
				k.kmem.fill(p(dst), size, 0);
				return BigInt(got);
			}
			k.kmem.write(p(dst), got);
			return 0n;
		};
	/** strncpy_from_*_nofault(): with its zero the length; cut short it still ends with one. */
	const read_str =
		(get: (addr: number, size: number) => Uint8Array | number): HelperBody =>
		(_c, dst, size64, src) => {
			const size = lo(size64);
			if (size === 0) return 0n;
			const out: number[] = [];
			while (out.length < size) {
				const b = get(p(src) + out.length, 1);
				if (typeof b === "number") {
					k.kmem.fill(p(dst), size, 0);
					return BigInt(b);
				}
				out.push(b[0]!);
				if (b[0] === 0) break;
			}
			if (out.length === size) out[size - 1] = 0;
			k.kmem.write(p(dst), Uint8Array.from(out));
			return BigInt(out.length);
		};
	const compat = (addr: number, size: number): Uint8Array | number =>
		addr >= 0 ? user(addr, size) : kern(addr, size);
	bodies.set("bpf_probe_read_user", read(user));
	bodies.set("bpf_probe_read_kernel", read(kern));
	bodies.set("bpf_probe_read_compat", read(compat));
	bodies.set("bpf_probe_read_user_str", read_str(user));
	bodies.set("bpf_probe_read_kernel_str", read_str(kern));
	bodies.set("bpf_probe_read_compat_str", read_str(compat));
	bodies.set("bpf_probe_write_user", (_c, dst, src, size) =>
		p(dst) >= 0 && k.task.mm.write_nofault(p(dst), k.kmem.read(p(src), lo(size))) ? 0n : err(EFAULT),
	);
	const copy_user = (dst: bigint, size: number, src: bigint): bigint => {
		const got = size === 0 ? new Uint8Array(0) : p(src) < 0 ? null : k.copy_from_user(p(src), size);
		if (got) {
			k.kmem.write(p(dst), got);
			return 0n;
		}
		k.kmem.fill(p(dst), size, 0);
		return err(EFAULT);
	};
	bodies.set("bpf_copy_from_user", (_c, dst, size, src) => copy_user(dst, lo(size), src));
	bodies.set("bpf_copy_from_user_task", (_c, dst, size, src, _task, flags) => {
		if (flags) return err(EINVAL);
		return lo(size) === 0 ? 0n : copy_user(dst, lo(size), src);
	});
}

function register_strings(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const isspace = (c: number): boolean => (c >= 9 && c <= 13) || c === 32 || c === 160;
	/** kernel/bpf/helpers.c: __bpf_strtoull */
	const strtoull = (
		buf: number,
		buf_len: bigint,
		flags: bigint,
	): { res: bigint; negative: boolean; consumed: number } | number => {
		let base = Number(flags & 0x1fn);
		if (!buf || !buf_len) return -EINVAL;
		if (base !== 0 && base !== 8 && base !== 10 && base !== 16) return -EINVAL;
		if (flags & ~0x1fn) return -EINVAL;
		const len = Number(buf_len);
		let at = 0;
		while (at < len && isspace(k.kmem.r8(buf + at))) at++;
		const negative = at < len && k.kmem.r8(buf + at) === 0x2d;
		if (negative) at++;
		if (at >= len) return -EINVAL;
		const n = Math.min(len - at, 63);
		let str = "";
		for (let i = 0; i < n; i++) {
			const c = k.kmem.r8(buf + at + i);
			if (c === 0) break;
			str += String.fromCharCode(c);
		}
		let i = 0;
		if (base === 0) {
			if (str[0] === "0") base = /^0x[0-9a-f]/i.test(str) ? 16 : 8;
			else base = 10;
		}
		if (base === 16 && /^0x/i.test(str)) i = 2;
		const start = i;
		let res = 0n;
		let overflow = false;
		for (; i < str.length; i++) {
			const d = Number.parseInt(str[i]!, 36);
			if (Number.isNaN(d) || d >= base || !/[0-9a-f]/i.test(str[i]!)) break;
			res = res * BigInt(base) + BigInt(d);
			if (res > 0xffffffffffffffffn) overflow = true;
			res = BigInt.asUintN(64, res);
		}
		if (overflow) return -ERANGE;
		if (i === start) return -EINVAL;
		return { res, negative, consumed: at + i };
	};
	bodies.set("bpf_strtoul", (_c, buf, len, flags, res) => {
		k.kmem.w64(p(res), 0n);
		const r = strtoull(p(buf), len, flags);
		if (typeof r === "number") return BigInt(r);
		if (r.negative) return err(EINVAL);
		k.kmem.w64(p(res), r.res);
		return BigInt(r.consumed);
	});
	bodies.set("bpf_strtol", (_c, buf, len, flags, res) => {
		k.kmem.w64(p(res), 0n);
		const r = strtoull(p(buf), len, flags);
		if (typeof r === "number") return BigInt(r);
		const v = BigInt.asIntN(64, r.negative ? -r.res : r.res);
		if (r.negative ? v > 0n : v < 0n) return err(ERANGE);
		k.kmem.w64(p(res), BigInt.asUintN(64, v));
		return BigInt(r.consumed);
	});
	bodies.set("bpf_strncmp", (_c, s1, size, s2) => {
		const n = lo(size);
		for (let i = 0; i < n; i++) {
			const a = k.kmem.r8(p(s1) + i);
			const b = k.kmem.r8(p(s2) + i);
			if (a !== b) return a < b ? -1n : 1n;
			if (a === 0) break;
		}
		return 0n;
	});
	const raw_args = (args: bigint, len: number): bigint[] => {
		const out: bigint[] = [];
		for (let i = 0; i < len; i += 8) out.push(k.kmem.r64(p(args) + i));
		return out;
	};
	bodies.set("bpf_snprintf", (_c, str, size, fmt, args, data_len64) => {
		const data_len = lo(data_len64);
		if (data_len % 8 || data_len > MAX_BPRINTF_VARARGS * 8 || (data_len && !args)) return err(EINVAL);
		const text = bpf_bprintf(k, read_format(k, p(fmt), 0x10000), raw_args(args, data_len));
		if (typeof text === "number") return BigInt(text);
		return BigInt(store_string(k, p(str), lo(size), text) + 1);
	});
	const trace = (text: string): bigint => {
		// the event's buffer holds what fits with its zero; the pipe shows a line
		const shown = text.slice(0, MAX_BPRINTF_BUF - 1);
		const t = k.time.now;
		const stamp = `${t / 1_000_000_000n}.${String((t % 1_000_000_000n) / 1000n).padStart(6, "0")}`;
		const head = `${k.task.comm.slice(0, 15).padStart(16)}-${String(k.task.pid).padEnd(7)} [${String(k.cpu).padStart(3, "0")}] ...11 ${stamp.padStart(12)}: bpf_trace_printk: `;
		k.trace_log.push(`${head}${shown}${shown.endsWith("\n") ? "" : "\n"}`);
		return BigInt(text.length);
	};
	bodies.set("bpf_trace_printk", (_c, fmt, fmt_size, a1, a2, a3) => {
		const text = bpf_bprintf(k, read_format(k, p(fmt), lo(fmt_size)), [a1, a2, a3]);
		return typeof text === "number" ? BigInt(text) : trace(text);
	});
	bodies.set("bpf_trace_vprintk", (_c, fmt, fmt_size, args, data_len64) => {
		const data_len = lo(data_len64);
		if (data_len & 7 || data_len > MAX_BPRINTF_VARARGS * 8 || (data_len && !args)) return err(EINVAL);
		const text = bpf_bprintf(k, read_format(k, p(fmt), lo(fmt_size)), raw_args(args, data_len));
		return typeof text === "number" ? BigInt(text) : trace(text);
	});
}

function register_dynptrs(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const { kmem } = k;
	const p = u64_to_addr;
	bodies.set("bpf_dynptr_from_mem", (_c, data, size64, flags, ptr) => {
		const size = lo(size64);
		const e = bpf_dynptr_check_size(size) || (flags ? -EINVAL : 0);
		if (e) {
			bpf_dynptr_set_null(kmem, p(ptr));
			return BigInt(e);
		}
		bpf_dynptr_init(kmem, p(ptr), p(data), BPF_DYNPTR_TYPE_LOCAL, 0, size);
		return 0n;
	});
	bodies.set("bpf_dynptr_read", (_c, dst, len, src, offset, flags) => {
		const d = bpf_dynptr_read_kern(kmem, p(src));
		if (!d.data || flags) return err(EINVAL);
		const e = bpf_dynptr_check_off_len(d, offset & 0xffffffffn, len & 0xffffffffn);
		if (e) return BigInt(e);
		switch (d.type) {
			case BPF_DYNPTR_TYPE_LOCAL:
			case BPF_DYNPTR_TYPE_RINGBUF:
				kmem.copy(p(dst), d.data + d.offset + lo(offset), lo(len));
				return 0n;
			case BPF_DYNPTR_TYPE_SKB:
				return BigInt(k.bpf.skb_load_bytes?.(d.data, d.offset + lo(offset), p(dst), lo(len)) ?? -EFAULT);
			case BPF_DYNPTR_TYPE_XDP:
				return BigInt(k.bpf.xdp_load_bytes?.(d.data, d.offset + lo(offset), p(dst), lo(len)) ?? -EFAULT);
			default:
				return err(EFAULT);
		}
	});
	bodies.set("bpf_dynptr_write", (_c, dst, offset, src, len, flags) => {
		const d = bpf_dynptr_read_kern(kmem, p(dst));
		if (!d.data || d.rdonly) return err(EINVAL);
		const e = bpf_dynptr_check_off_len(d, offset & 0xffffffffn, len & 0xffffffffn);
		if (e) return BigInt(e);
		switch (d.type) {
			case BPF_DYNPTR_TYPE_LOCAL:
			case BPF_DYNPTR_TYPE_RINGBUF:
				if (flags) return err(EINVAL);
				kmem.copy(d.data + d.offset + lo(offset), p(src), lo(len));
				return 0n;
			case BPF_DYNPTR_TYPE_SKB:
				return BigInt(
					k.bpf.skb_store_bytes?.(d.data, d.offset + lo(offset), p(src), lo(len), flags) ?? -EFAULT,
				);
			case BPF_DYNPTR_TYPE_XDP:
				if (flags) return err(EINVAL);
				return BigInt(k.bpf.xdp_store_bytes?.(d.data, d.offset + lo(offset), p(src), lo(len)) ?? -EFAULT);
			default:
				return err(EFAULT);
		}
	});
	bodies.set("bpf_dynptr_data", (_c, ptr, offset, len) => {
		const d = bpf_dynptr_read_kern(kmem, p(ptr));
		if (!d.data || bpf_dynptr_check_off_len(d, offset & 0xffffffffn, len & 0xffffffffn) || d.rdonly)
			return 0n;
		if (d.type !== BPF_DYNPTR_TYPE_LOCAL && d.type !== BPF_DYNPTR_TYPE_RINGBUF) return 0n;
		return addr_to_u64(d.data + d.offset + lo(offset));
	});
}

function register_loops(k: KernelImpl): void {
	/** kernel/bpf/bpf_iter.c: bpf_loop */
	k.bpf.bodies.set("bpf_loop", (_c, nr64, callback, ctx, flags) => {
		const nr = lo(nr64);
		if (flags) return err(EINVAL);
		if (nr > BPF_MAX_LOOPS) return err(E2BIG);
		let i = 0;
		for (; i < nr; i++) {
			if (k.call_guest(callback, [BigInt(i), ctx, 0n, 0n, 0n]) !== 0n) return BigInt(i + 1);
		}
		return BigInt(i);
	});
}

/** Helpers of BPF_PROG_TYPE_SYSCALL (kernel/bpf/syscall.c). */
function register_syscalls(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const p = u64_to_addr;
	const allowed = new Set([
		U.BPF_MAP_CREATE,
		U.BPF_MAP_DELETE_ELEM,
		U.BPF_MAP_UPDATE_ELEM,
		U.BPF_MAP_FREEZE,
		U.BPF_MAP_GET_FD_BY_ID,
		U.BPF_PROG_LOAD,
		U.BPF_BTF_LOAD,
		U.BPF_LINK_CREATE,
		U.BPF_RAW_TRACEPOINT_OPEN,
	]);
	bodies.set("bpf_sys_bpf", (_c, cmd, attr, size) => {
		if (!allowed.has(lo(cmd))) return err(EINVAL);
		return BigInt(__sys_bpf(k, lo(cmd), KERNEL_BPFPTR(p(attr)), lo(size)));
	});
	bodies.set("bpf_sys_close", (_c, fd) => BigInt(close_fd(k, lo(fd))));
	bodies.set("bpf_kallsyms_lookup_name", (_c, name, name_sz64, flags, res) => {
		const name_sz = lo(name_sz64);
		k.kmem.w64(p(res), 0n);
		if (lo(flags)) return err(EINVAL);
		if (name_sz <= 1 || k.kmem.r8(p(name) + name_sz - 1) !== 0) return err(EINVAL);
		if (!bpf_dump_raw_ok(k)) return err(EPERM);
		const at = k.symbols.addr(k.kmem.cstring(p(name), name_sz));
		if (at === undefined) return err(ENOENT);
		k.kmem.w64(p(res), at);
		return 0n;
	});
	/** kernel/bpf/btf.c: bpf_btf_find_by_name_kind */
	bodies.set("bpf_btf_find_by_name_kind", (_c, name, name_sz64, kind, flags) => {
		const name_sz = lo(name_sz64);
		if (lo(flags)) return err(EINVAL);
		if (name_sz <= 1 || k.kmem.r8(p(name) + name_sz - 1) !== 0) return err(EINVAL);
		const found: { val: btf | null } = { val: null };
		const id = bpf_find_btf_id(k, k.kmem.cstring(p(name), name_sz), lo(kind), found);
		if (id <= 0 || !found.val) return BigInt(id);
		if (!found.val.module) return BigInt(id);
		// a module's BTF comes with a descriptor for it, which the caller closes
		const fd = k.bpf.btf_fd?.(found.val) ?? -EOPNOTSUPP;
		return fd < 0 ? BigInt(fd) : BigInt(id) | (BigInt(fd) << 32n);
	});
}
