// SPDX-License-Identifier: GPL-2.0-only
/** Links of one program to the entries or returns of many functions (kernel/trace/bpf_trace.c: kprobe_multi). */
import {
	E2BIG,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOSPC,
	EOPNOTSUPP,
	ESRCH,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr, bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { within_error_injection_list } from "../bpf/attach.ts";
import {
	bpf_link,
	bpf_link_cleanup,
	type bpf_link_ops,
	bpf_link_prime,
	bpf_link_settle,
} from "../bpf/bpf_link.ts";
import type { bpf_prog } from "../bpf/bpf_types.ts";
import { bpf_prog_inc_misses_counter, bpf_prog_run } from "../bpf/prog.ts";
import { u64_to_user_ptr } from "../bpfptr.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import type { probe } from "../kprobes.ts";
import { bpf_dump_raw_ok } from "../security.ts";

const MAX_KPROBE_MULTI_CNT = 1 << 20;
const KSYM_NAME_LEN = 512;

/** One function of a link. */
interface target {
	readonly addr: bigint;
	readonly func: string;
	readonly cookie: bigint;
}

/** struct bpf_kprobe_multi_link */
export class bpf_kprobe_multi_link extends bpf_link {
	/** In the order of addresses when there are cookies, else as they were given. */
	readonly targets: readonly target[];
	readonly flags: number;
	readonly has_cookies: boolean;
	readonly p: probe;
	private readonly cookies: Map<string, bigint>;

	constructor(
		kernel: Kernel,
		prog: bpf_prog,
		targets: readonly target[],
		flags: number,
		has_cookies: boolean,
	) {
		super(kernel, U.BPF_LINK_TYPE_KPROBE_MULTI, bpf_kprobe_multi_link_lops, prog);
		this.targets = targets;
		this.flags = flags;
		this.has_cookies = has_cookies;
		this.cookies = new Map(targets.map((t) => [t.func, t.cookie]));
		const session = prog.expected_attach_type === U.BPF_TRACE_KPROBE_SESSION;
		const on_return = (flags & U.BPF_F_KPROBE_MULTI_RETURN) !== 0;
		const run = (func: string, regs: number, is_return: boolean, data: number): number =>
			this.prog_run(func, regs, is_return, data);
		this.p = {
			data_size: session ? 8 : 0,
			entry: on_return
				? undefined
				: (func, regs, data) => {
						const ret = run(func, regs, false, data);
						return session && ret !== 0;
					},
			exit: on_return || session ? (func, regs, data) => void run(func, regs, true, data) : undefined,
		};
	}

	/** kernel/trace/bpf_trace.c: kprobe_multi_link_prog_run */
	private prog_run(func: string, regs: number, is_return: boolean, data: number): number {
		const k = impl(this.kernel);
		const { active } = k.trace_events;
		const { cpu } = k;
		let ret = 0;
		if (++active[cpu]! !== 1) bpf_prog_inc_misses_counter(this.prog!);
		else {
			const cookie = k.bpf_cookie;
			const { session } = k;
			k.bpf_cookie = this.cookies.get(func) ?? 0n;
			k.session = { is_return, data };
			k.rcu.read_lock();
			try {
				ret = Number(BigInt.asIntN(32, bpf_prog_run(this.prog!, regs)));
			} finally {
				k.rcu.read_unlock();
				k.session = session;
				k.bpf_cookie = cookie;
			}
		}
		active[cpu]!--;
		return ret;
	}
}

const bpf_kprobe_multi_link_lops: bpf_link_ops = {
	release(link) {
		const { targets, p, kernel } = link as bpf_kprobe_multi_link;
		for (const t of targets) impl(kernel).kprobes.unregister(t.func, p);
	},
	dealloc_deferred() {},
	/** kernel/trace/bpf_trace.c: bpf_kprobe_multi_link_fill_link_info */
	fill_link_info(link, info: bpf_link_info) {
		const { targets, flags, kernel } = link as bpf_kprobe_multi_link;
		const k = impl(kernel);
		const uaddrs = u64_to_user_ptr(info.ru64(16));
		const ucookies = u64_to_user_ptr(info.ru64(40));
		let ucount = info.ru32(24);
		if ((uaddrs === 0) !== (ucount === 0)) return -EINVAL;
		if (ucookies && !ucount) return -EINVAL;
		info.wu32(24, targets.length);
		info.wu32(28, flags);
		info.wu64(32, 0n);
		if (!uaddrs) return 0;
		let err = 0;
		if (ucount < targets.length) err = -ENOSPC;
		else ucount = targets.length;
		const put = (at: number, values: readonly bigint[]): boolean =>
			k.copy_to_user(at, new Uint8Array(BigUint64Array.from(values.slice(0, ucount)).buffer));
		if (
			ucookies &&
			!put(
				ucookies,
				targets.map((t) => t.cookie),
			)
		)
			return -EFAULT;
		const shown = bpf_dump_raw_ok(kernel);
		if (
			!put(
				uaddrs,
				targets.map((t) => (shown ? k.kprobes.entry_addr(t.func) : 0n)),
			)
		)
			return -EFAULT;
		return err;
	},
};

/** kernel/trace/bpf_trace.c: bpf_kprobe_multi_link_attach: takes the reference on prog when it succeeds. */
export function bpf_kprobe_multi_link_attach(kernel: Kernel, attr: bpf_attr, prog: bpf_prog): number {
	const k = impl(kernel);
	// fprobes are built on rethook, which arm64 has not
	if (!k.config.kconfig.has("CONFIG_FPROBE")) return -EOPNOTSUPP;
	if (attr.link_create_flags) return -EINVAL;
	const type = prog.expected_attach_type;
	if (type !== U.BPF_TRACE_KPROBE_MULTI && type !== U.BPF_TRACE_KPROBE_SESSION) return -EINVAL;
	if (prog.sleepable) return -EINVAL;
	const flags = attr.ru32(16);
	if (flags & ~U.BPF_F_KPROBE_MULTI_RETURN) return -EINVAL;
	const cnt = attr.ru32(20);
	const usyms = u64_to_user_ptr(attr.ru64(24));
	const uaddrs = u64_to_user_ptr(attr.ru64(32));
	const ucookies = u64_to_user_ptr(attr.ru64(40));
	if ((uaddrs !== 0) === (usyms !== 0)) return -EINVAL;
	if (!cnt) return -EINVAL;
	if (cnt > MAX_KPROBE_MULTI_CNT) return -E2BIG;
	const words = (at: number): BigUint64Array | null => {
		const b = k.copy_from_user(at, 8 * cnt);
		return b ? new BigUint64Array(b.slice().buffer) : null;
	};
	const cookies = ucookies ? words(ucookies) : null;
	if (ucookies && !cookies) return -EFAULT;
	const ptrs = words(uaddrs || usyms);
	if (!ptrs) return -EFAULT;
	const targets: target[] = [];
	for (let i = 0; i < cnt; i++) {
		const cookie = cookies?.[i] ?? 0n;
		if (uaddrs) {
			// the address of the call to ftrace, or the function's
			const at = k.kprobes.function_of(ptrs[i]!);
			targets.push({ addr: ptrs[i]!, func: at && at.offset <= 4 ? at.func : "", cookie });
			continue;
		}
		const name = k.strncpy_from_user(u64_to_user_ptr(ptrs[i]!), KSYM_NAME_LEN);
		if (!name) return -EFAULT;
		if (name.length >= KSYM_NAME_LEN) return -E2BIG;
		targets.push({ addr: 0n, func: String.fromCharCode(...name), cookie });
	}
	if (usyms)
		for (const [i, t] of targets.entries()) {
			const addr = k.symbols.addr(t.func);
			if (addr === undefined) return -ESRCH;
			targets[i] = { ...t, addr };
		}
	if (prog.kprobe_override && targets.some((t) => !within_error_injection_list(kernel, t.func)))
		return -EINVAL;
	if (cookies) targets.sort((a, b) => (a.addr < b.addr ? -1 : a.addr > b.addr ? 1 : 0));
	const link = new bpf_kprobe_multi_link(kernel, prog, targets, flags, cookies !== null);
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return primer;
	// register_fprobe_ips()
	for (const t of targets) {
		const err = t.func === "" ? -ENOENT : k.kprobes.check(t.func);
		if (err) {
			bpf_link_cleanup(primer);
			return err;
		}
	}
	for (const t of targets) k.kprobes.register(t.func, link.p);
	return bpf_link_settle(primer);
}
