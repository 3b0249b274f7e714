// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs on perf events, tracepoints, kprobes and system calls: tools/lib/bpf/libbpf.c from
 * bpf_program__attach_perf_event_opts() on. Old kernels' way of making kprobes through tracefs needs files that
 * can be written, and is not here; nor are uprobes.
 */
import { EINVAL, ENOENT, EOPNOTSUPP, EPROTO } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_KPROBE_MULTI_RETURN,
	BPF_PERF_EVENT,
	BPF_TRACE_KPROBE_MULTI,
	BPF_TRACE_KPROBE_SESSION,
} from "../../../include/uapi/linux/bpf.ts";
import {
	PERF_ATTR_SIZE,
	PERF_EVENT_IOC_DISABLE,
	PERF_EVENT_IOC_ENABLE,
	PERF_EVENT_IOC_SET_BPF,
	PERF_FLAG_FD_CLOEXEC,
	PERF_TYPE_TRACEPOINT,
	perf_event_attr,
} from "../../../include/uapi/linux/perf_event.ts";
import { bpf_link_create } from "./bpf.ts";
import { kernel_supports } from "./features.ts";
import { FEAT_PERF_LINK, FEAT_SYSCALL_WRAPPER, type Libbpf, libbpf_strerror_r } from "./libbpf_internal.ts";
import type { bpf_program } from "./libbpf_types.ts";
import { type bpf_link, new_link } from "./link.ts";

/** What a program finds with bpf_get_attach_cookie(), and whether it is attached without a link of the kernel's. */
export interface bpf_perf_event_opts {
	readonly bpf_cookie?: bigint;
	readonly force_ioctl_attach?: boolean;
}

export type probe_attach_mode = "default" | "legacy" | "perf" | "link";

export interface bpf_kprobe_opts {
	readonly bpf_cookie?: bigint;
	readonly offset?: number;
	readonly retprobe?: boolean;
	readonly attach_mode?: probe_attach_mode;
}

export interface bpf_kprobe_multi_opts {
	readonly syms?: readonly string[];
	readonly addrs?: readonly bigint[];
	readonly cookies?: readonly bigint[];
	readonly retprobe?: boolean;
	readonly session?: boolean;
}

/** bpf_link_perf_detach(): the event stops; its descriptor goes, and the link's. */
function link_perf_detach(pfd: number): (link: bpf_link) => number {
	return (link) => {
		const { sys } = link.lib;
		const err = Math.min(sys.ioctl(pfd, PERF_EVENT_IOC_DISABLE, 0), 0);
		if (pfd !== link.fd) sys.close(pfd);
		sys.close(link.fd);
		return err;
	};
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_perf_event_opts */
export function bpf_program__attach_perf_event_opts(
	prog: bpf_program,
	pfd: number,
	opts: bpf_perf_event_opts = {},
): bpf_link | number {
	const { lib } = prog.obj;
	const { sys } = lib;
	const bpf_cookie = opts.bpf_cookie ?? 0n;
	if (pfd < 0) {
		lib.pr_warn(`prog '${prog.name}': invalid perf event FD ${pfd}\n`);
		return -EINVAL;
	}
	if (prog.fd < 0) {
		lib.pr_warn(`prog '${prog.name}': can't attach BPF program without FD (was it loaded?)\n`);
		return -EINVAL;
	}
	let fd = pfd;
	if (kernel_supports(lib, FEAT_PERF_LINK) && !opts.force_ioctl_attach) {
		fd = bpf_link_create(lib, prog.fd, pfd, BPF_PERF_EVENT, { perf_event: { bpf_cookie } });
		if (fd < 0) {
			lib.pr_warn(
				`prog '${prog.name}': failed to create BPF link for perf_event FD ${pfd}: ${fd} (${libbpf_strerror_r(fd)})\n`,
			);
			return fd;
		}
	} else {
		if (bpf_cookie) {
			lib.pr_warn(`prog '${prog.name}': user context value is not supported\n`);
			return -EOPNOTSUPP;
		}
		const err = sys.ioctl(pfd, PERF_EVENT_IOC_SET_BPF, prog.fd);
		if (err < 0) {
			lib.pr_warn(
				`prog '${prog.name}': failed to attach to perf_event FD ${pfd}: ${libbpf_strerror_r(err)}\n`,
			);
			if (err === -EPROTO)
				lib.pr_warn(
					`prog '${prog.name}': try add PERF_SAMPLE_CALLCHAIN to or remove exclude_callchain_[kernel|user] from pfd ${pfd}\n`,
				);
			return err;
		}
	}
	const err = sys.ioctl(pfd, PERF_EVENT_IOC_ENABLE, 0);
	if (err < 0) {
		lib.pr_warn(`prog '${prog.name}': failed to enable perf_event FD ${pfd}: ${libbpf_strerror_r(err)}\n`);
		if (fd !== pfd) sys.close(fd);
		return err;
	}
	return new_link(lib, fd, link_perf_detach(pfd));
}

export function bpf_program__attach_perf_event(prog: bpf_program, pfd: number): bpf_link | number {
	return bpf_program__attach_perf_event_opts(prog, pfd);
}

/** perf_event_open(2) of attributes. */
function perf_event_open(lib: Libbpf, attr: perf_event_attr, pid: number, cpu: number): number {
	attr.size = PERF_ATTR_SIZE;
	return lib.heap.scope((s) =>
		lib.sys.perfEventOpen(s.bytes(attr.bytes), pid, cpu, -1, PERF_FLAG_FD_CLOEXEC),
	);
}

/** tools/lib/bpf/libbpf.c: parse_uint_from_file: the number that follows `prefix`, or a negative errno. */
function parse_uint_from_file(lib: Libbpf, file: string, prefix = ""): number {
	const bytes = lib.sys.readFile(file);
	if (typeof bytes === "number") {
		lib.pr_debug(() => `failed to open '${file}': ${libbpf_strerror_r(bytes)}\n`);
		return bytes;
	}
	const text = new TextDecoder().decode(bytes);
	const n = text.startsWith(prefix) ? Number.parseInt(text.slice(prefix.length), 10) : Number.NaN;
	if (Number.isInteger(n)) return n;
	lib.pr_debug(() => `failed to parse '${file}': ${libbpf_strerror_r(0)}\n`);
	return -EINVAL;
}

const KPROBE_PMU = "/sys/bus/event_source/devices/kprobe";

function determine_kprobe_perf_type(lib: Libbpf): number {
	return parse_uint_from_file(lib, `${KPROBE_PMU}/type`);
}

/** tools/lib/bpf/libbpf.c: perf_event_open_probe, for kprobes */
function perf_event_open_kprobe(lib: Libbpf, retprobe: boolean, name: string, offset: number): number {
	const type = determine_kprobe_perf_type(lib);
	if (type < 0) {
		lib.pr_warn(`failed to determine kprobe perf type: ${libbpf_strerror_r(type)}\n`);
		return type;
	}
	const attr = new perf_event_attr();
	if (retprobe) {
		const bit = parse_uint_from_file(lib, `${KPROBE_PMU}/format/retprobe`, "config:");
		if (bit < 0) {
			lib.pr_warn(`failed to determine kprobe retprobe bit: ${libbpf_strerror_r(bit)}\n`);
			return bit;
		}
		attr.config = 1n << BigInt(bit);
	}
	attr.type = type;
	attr.config2 = BigInt.asUintN(64, BigInt(offset));
	return lib.heap.scope((s) => {
		attr.config1 = BigInt(s.cstr(name));
		return perf_event_open(lib, attr, -1, 0);
	});
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_kprobe_opts */
export function bpf_program__attach_kprobe_opts(
	prog: bpf_program,
	func_name: string,
	opts: bpf_kprobe_opts = {},
): bpf_link | number {
	const { lib } = prog.obj;
	const retprobe = opts.retprobe ?? false;
	const offset = opts.offset ?? 0;
	const mode = opts.attach_mode ?? "default";
	const what = `${retprobe ? "kretprobe" : "kprobe"} '${func_name}+0x${offset.toString(16)}'`;
	const legacy = determine_kprobe_perf_type(lib) < 0;
	if (mode === "perf" && legacy) return -EOPNOTSUPP;
	if (mode === "link" && (legacy || !kernel_supports(lib, FEAT_PERF_LINK))) return -EOPNOTSUPP;
	if (mode === "legacy" || legacy) {
		lib.pr_warn(`prog '${prog.name}': not ported: ${what} through tracefs\n`);
		return -EOPNOTSUPP;
	}
	const pfd = perf_event_open_kprobe(lib, retprobe, func_name, offset);
	if (pfd < 0) {
		lib.pr_warn(`prog '${prog.name}': failed to create ${what} perf event: ${libbpf_strerror_r(pfd)}\n`);
		return pfd;
	}
	const link = bpf_program__attach_perf_event_opts(prog, pfd, {
		bpf_cookie: opts.bpf_cookie ?? 0n,
		force_ioctl_attach: mode === "perf",
	});
	if (typeof link === "number") {
		lib.sys.close(pfd);
		lib.pr_warn(`prog '${prog.name}': failed to attach to ${what}: ${libbpf_strerror_r(link)}\n`);
	}
	return link;
}

export function bpf_program__attach_kprobe(
	prog: bpf_program,
	retprobe: boolean,
	func_name: string,
): bpf_link | number {
	return bpf_program__attach_kprobe_opts(prog, func_name, { retprobe });
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_ksyscall */
export function bpf_program__attach_ksyscall(
	prog: bpf_program,
	syscall_name: string,
	opts: Pick<bpf_kprobe_opts, "bpf_cookie" | "retprobe"> = {},
): bpf_link | number {
	const { lib } = prog.obj;
	const arch = lib.sys.arch === "arm64" ? "arm64" : "x64";
	const prefix = kernel_supports(lib, FEAT_SYSCALL_WRAPPER) ? `__${arch}_sys_` : "__se_sys_";
	return bpf_program__attach_kprobe_opts(prog, prefix + syscall_name, opts);
}

/** SEC("kprobe/FUNC+OFF"), SEC("kretprobe/FUNC"): attach_kprobe(); null when the section leaves it open. */
export function attach_kprobe(prog: bpf_program): bpf_link | number | null {
	const { lib } = prog.obj;
	const m = /^(kprobe|kretprobe)(?:\/(.*))?$/.exec(prog.sec_name);
	if (!m || m[2] === undefined) return null;
	const retprobe = m[1] === "kretprobe";
	const t = /^([a-zA-Z0-9_.]+)([+-]?(?:0[xX][0-9a-fA-F]+|\d+))?/.exec(m[2]);
	if (!t) {
		lib.pr_warn(`kprobe name is invalid: ${m[2]}\n`);
		return -EINVAL;
	}
	const offset = t[2] === undefined ? 0 : Number(t[2].replace("+", ""));
	if (retprobe && offset !== 0) {
		lib.pr_warn("kretprobes do not support offset specification\n");
		return -EINVAL;
	}
	return bpf_program__attach_kprobe_opts(prog, t[1]!, { retprobe, offset });
}

/** SEC("ksyscall/NAME"), SEC("kretsyscall/NAME"): attach_ksyscall() */
export function attach_ksyscall(prog: bpf_program): bpf_link | number | null {
	const m = /^(ksyscall|kretsyscall)(?:\/(.*))?$/.exec(prog.sec_name);
	if (!m || m[2] === undefined) return null;
	return bpf_program__attach_ksyscall(prog, m[2], { retprobe: m[1] === "kretsyscall" });
}

/** tools/lib/bpf/libbpf.c: glob_match */
export function glob_match(str: string, pat: string): boolean {
	const re = pat.replace(/[.]/g, "\\.").replace(/\*+/g, ".*").replace(/\?/g, ".");
	return new RegExp(`^${re}$`).test(str);
}

/** tools/lib/bpf/libbpf.c: libbpf_available_kprobes_parse: addresses of the functions that a pattern names. */
function available_kprobes(lib: Libbpf, pattern: string): bigint[] | number {
	const file = "/sys/kernel/tracing/available_filter_functions_addrs";
	const bytes = lib.sys.readFile(file);
	if (typeof bytes === "number") {
		lib.pr_warn(`failed to open ${file}: ${libbpf_strerror_r(bytes)}\n`);
		return bytes;
	}
	const out: bigint[] = [];
	for (const line of new TextDecoder().decode(bytes).split("\n")) {
		const [addr, name] = line.split(" ");
		if (addr && name && glob_match(name, pattern)) out.push(BigInt(`0x${addr}`));
	}
	return out.length ? out : -ENOENT;
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_kprobe_multi_opts */
export function bpf_program__attach_kprobe_multi_opts(
	prog: bpf_program,
	pattern: string | null,
	opts: bpf_kprobe_multi_opts = {},
): bpf_link | number {
	const { lib } = prog.obj;
	if (prog.fd < 0) {
		lib.pr_warn(`prog '${prog.name}': can't attach BPF program without FD (was it loaded?)\n`);
		return -EINVAL;
	}
	const { syms, cookies, retprobe, session } = opts;
	let { addrs } = opts;
	const cnt = syms?.length ?? addrs?.length ?? 0;
	if (pattern === null && !addrs && !syms) return -EINVAL;
	if (pattern !== null && (addrs || syms || cookies)) return -EINVAL;
	if (pattern === null && !cnt) return -EINVAL;
	if (addrs && syms) return -EINVAL;
	if (pattern !== null) {
		const found = available_kprobes(lib, pattern);
		if (typeof found === "number") return found;
		addrs = found;
	}
	if (retprobe && session) return -EINVAL;
	const type = session ? BPF_TRACE_KPROBE_SESSION : BPF_TRACE_KPROBE_MULTI;
	const flags = retprobe ? BPF_F_KPROBE_MULTI_RETURN : 0;
	const fd = bpf_link_create(lib, prog.fd, 0, type, { kprobe_multi: { flags, syms, addrs, cookies } });
	if (fd < 0) {
		lib.pr_warn(`prog '${prog.name}': failed to attach: ${libbpf_strerror_r(fd)}\n`);
		return fd;
	}
	return new_link(lib, fd);
}

/** SEC("kprobe.multi/PATTERN") and its kin: attach_kprobe_multi(), attach_kprobe_session() */
export function attach_kprobe_multi(prog: bpf_program): bpf_link | number | null {
	const { lib } = prog.obj;
	const m = /^(kprobe\.multi|kretprobe\.multi|kprobe\.session)(?:\/(.*))?$/.exec(prog.sec_name);
	if (!m || m[2] === undefined) return null;
	const session = m[1] === "kprobe.session";
	const pattern = /^[a-zA-Z0-9_.*?]+/.exec(m[2])?.[0];
	if (pattern === undefined) {
		lib.pr_warn(`kprobe ${session ? "session" : "multi"} pattern is invalid: ${m[2]}\n`);
		return -EINVAL;
	}
	return bpf_program__attach_kprobe_multi_opts(prog, pattern, {
		retprobe: m[1] === "kretprobe.multi",
		session,
	});
}

/** Where tracefs is. */
const TRACEFS = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing"];

/** tools/lib/bpf/libbpf.c: determine_tracepoint_id */
function determine_tracepoint_id(lib: Libbpf, category: string, name: string): number {
	let id = -ENOENT;
	for (const root of TRACEFS) {
		id = parse_uint_from_file(lib, `${root}/events/${category}/${name}/id`);
		if (id >= 0) break;
	}
	return id;
}

/** tools/lib/bpf/libbpf.c: perf_event_open_tracepoint */
function perf_event_open_tracepoint(lib: Libbpf, category: string, name: string): number {
	const id = determine_tracepoint_id(lib, category, name);
	if (id < 0) {
		lib.pr_warn(
			`failed to determine tracepoint '${category}/${name}' perf event ID: ${libbpf_strerror_r(id)}\n`,
		);
		return id;
	}
	const attr = new perf_event_attr();
	attr.type = PERF_TYPE_TRACEPOINT;
	attr.config = BigInt(id);
	const pfd = perf_event_open(lib, attr, -1, 0);
	if (pfd < 0)
		lib.pr_warn(`tracepoint '${category}/${name}' perf_event_open() failed: ${libbpf_strerror_r(pfd)}\n`);
	return pfd;
}

/** tools/lib/bpf/libbpf.c: bpf_program__attach_tracepoint_opts: `category` and `name` as tracefs has them. */
export function bpf_program__attach_tracepoint_opts(
	prog: bpf_program,
	category: string,
	name: string,
	opts: { readonly bpf_cookie?: bigint } = {},
): bpf_link | number {
	const { lib } = prog.obj;
	const pfd = perf_event_open_tracepoint(lib, category, name);
	if (pfd < 0) {
		lib.pr_warn(
			`prog '${prog.name}': failed to create tracepoint '${category}/${name}' perf event: ${libbpf_strerror_r(pfd)}\n`,
		);
		return pfd;
	}
	const link = bpf_program__attach_perf_event_opts(prog, pfd, opts);
	if (typeof link === "number") {
		lib.sys.close(pfd);
		lib.pr_warn(
			`prog '${prog.name}': failed to attach to tracepoint '${category}/${name}': ${libbpf_strerror_r(link)}\n`,
		);
	}
	return link;
}

export function bpf_program__attach_tracepoint(
	prog: bpf_program,
	category: string,
	name: string,
): bpf_link | number {
	return bpf_program__attach_tracepoint_opts(prog, category, name);
}

/** SEC("tp/CATEGORY/NAME"): attach_tp() */
export function attach_tp(prog: bpf_program): bpf_link | number | null {
	const m = /^(?:tp|tracepoint)(?:\/(.*))?$/.exec(prog.sec_name);
	if (!m || m[1] === undefined) return null;
	const sep = m[1].indexOf("/");
	if (sep < 0) return -EINVAL;
	return bpf_program__attach_tracepoint(prog, m[1].slice(0, sep), m[1].slice(sep + 1));
}
