// SPDX-License-Identifier: GPL-2.0-only
/**
 * Links (kernel/bpf/syscall.c): what keeps a program attached. Raw tracepoints, trampolines and perf events are
 * here in full; the other attachments answer "not ported" after the checks that come before them.
 */
import { EAGAIN, EFAULT, EINVAL, ENOENT, EOPNOTSUPP, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, type bpf_attr, type bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { u64_to_user_ptr } from "../bpfptr.ts";
import {
	bpf_get_perf_event_info,
	perf_event_free_bpf_prog,
	perf_event_get,
	type perf_event_info,
	perf_event_set_bpf_prog,
	perf_get_event,
} from "../events/core.ts";
import type { perf_event } from "../events/perf_event.ts";
import { anon_inode_getfd, type file, fput, O_CLOEXEC } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_dump_raw_ok, bpf_token_capable } from "../security.ts";
import { CAP_NET_ADMIN, CAP_SYS_ADMIN, capable } from "../task.ts";
import { bpf_kprobe_multi_link_attach } from "../trace/bpf_kprobe_multi.ts";
import type { raw_tracepoint } from "../trace/tracepoint.ts";
import { bpf_check_attach_target } from "./attach.ts";
import { attr_tail_nonzero } from "./attr.ts";
import { bpf_iter_link_attach } from "./bpf_iter.ts";
import {
	bpf_copy_to_user,
	bpf_link,
	bpf_link_cleanup,
	bpf_link_get_from_fd,
	type bpf_link_ops,
	bpf_link_prime,
	bpf_link_put_direct,
	bpf_link_settle,
	bpf_tramp_link,
	link_fops,
} from "./bpf_link.ts";
import { bpf_struct_ops_link_create } from "./bpf_struct_ops_map.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { bpf_map_get, bpf_map_put } from "./map_create.ts";
import { bpf_prog_get, bpf_prog_inc, bpf_prog_put } from "./prog.ts";
import {
	type bpf_attach_target_info,
	type bpf_trampoline,
	bpf_trampoline_compute_key,
	bpf_trampoline_get,
	bpf_trampoline_link_prog,
	bpf_trampoline_put,
	bpf_trampoline_unlink_prog,
	bpf_trampoline_unpack_key,
} from "./trampoline.ts";

/** struct bpf_raw_tp_link */
export class bpf_raw_tp_link extends bpf_link {
	readonly btp: raw_tracepoint;
	constructor(kernel: Kernel, prog: bpf_prog, btp: raw_tracepoint) {
		super(kernel, U.BPF_LINK_TYPE_RAW_TRACEPOINT, bpf_raw_tp_link_lops, prog);
		this.btp = btp;
	}
}

const bpf_raw_tp_link_lops: bpf_link_ops = {
	release(link: bpf_link): void {
		const raw_tp = link as bpf_raw_tp_link;
		impl(link.kernel).tracepoints.unregister(raw_tp.btp, raw_tp);
	},
	dealloc_deferred(): void {},
	show_fdinfo: (link: bpf_link) => `tp_name:\t${(link as bpf_raw_tp_link).btp.name}\n`,
	/** kernel/bpf/syscall.c: bpf_raw_tp_link_fill_link_info */
	fill_link_info(link: bpf_link, info: bpf_link_info): number {
		const { name } = (link as bpf_raw_tp_link).btp;
		const ubuf = info.raw_tracepoint_tp_name;
		const ulen = info.raw_tracepoint_tp_name_len;
		if ((ulen === 0) !== (ubuf === 0n)) return -EINVAL;
		info.raw_tracepoint_tp_name_len = name.length + 1;
		if (ubuf === 0n) return 0;
		return bpf_copy_to_user(link.kernel, u64_to_user_ptr(ubuf), name, ulen);
	},
};

function not_ported(kernel: Kernel, what: string): number {
	impl(kernel).bpf.not_ported(what);
	return -EOPNOTSUPP;
}

/** struct bpf_tracing_link */
export class bpf_tracing_link extends bpf_tramp_link {
	readonly attach_type: number;
	trampoline: bpf_trampoline | null = null;
	tgt_prog: bpf_prog | null = null;
	constructor(kernel: Kernel, prog: bpf_prog) {
		super(kernel, U.BPF_LINK_TYPE_TRACING, bpf_tracing_link_lops, prog);
		this.attach_type = prog.expected_attach_type;
	}
}

const bpf_tracing_link_lops: bpf_link_ops = {
	/** kernel/bpf/syscall.c: bpf_tracing_link_release */
	release(link: bpf_link): void {
		const { kernel, trampoline, tgt_prog } = link as bpf_tracing_link;
		const err = bpf_trampoline_unlink_prog(link as bpf_tracing_link, trampoline!, tgt_prog);
		if (err) kernel.printk(`WARNING: kernel/bpf/syscall.c: bpf_tracing_link_release: ${err}`);
		bpf_trampoline_put(kernel, trampoline!);
		if (tgt_prog) bpf_prog_put(tgt_prog);
	},
	dealloc(): void {},
	/** kernel/bpf/syscall.c: bpf_tracing_link_show_fdinfo */
	show_fdinfo(link: bpf_link): string {
		const { attach_type, trampoline } = link as bpf_tracing_link;
		const { obj_id, btf_id } = bpf_trampoline_unpack_key(trampoline!.key);
		return `attach_type:\t${attach_type}\ntarget_obj_id:\t${obj_id}\ntarget_btf_id:\t${btf_id}\n`;
	},
	/** kernel/bpf/syscall.c: bpf_tracing_link_fill_link_info */
	fill_link_info(link: bpf_link, info: bpf_link_info): number {
		const { attach_type, trampoline } = link as bpf_tracing_link;
		const { obj_id, btf_id } = bpf_trampoline_unpack_key(trampoline!.key);
		info.tracing_attach_type = attach_type;
		info.tracing_target_obj_id = obj_id;
		info.tracing_target_btf_id = btf_id;
		return 0;
	},
};

/** kernel/bpf/syscall.c: bpf_tracing_prog_attach: takes the reference on prog when it succeeds. */
function bpf_tracing_prog_attach(
	prog: bpf_prog,
	tgt_prog_fd: number,
	btf_id: number,
	bpf_cookie: bigint,
): number {
	const { kernel, aux } = prog;
	switch (prog.type) {
		case U.BPF_PROG_TYPE_TRACING:
			if (
				prog.expected_attach_type !== U.BPF_TRACE_FENTRY &&
				prog.expected_attach_type !== U.BPF_TRACE_FEXIT &&
				prog.expected_attach_type !== U.BPF_MODIFY_RETURN
			)
				return -EINVAL;
			break;
		case U.BPF_PROG_TYPE_EXT:
			if (prog.expected_attach_type !== 0) return -EINVAL;
			break;
		case U.BPF_PROG_TYPE_LSM:
			if (prog.expected_attach_type !== U.BPF_LSM_MAC) return -EINVAL;
			break;
		default:
			return -EINVAL;
	}
	if ((tgt_prog_fd !== 0) !== (btf_id !== 0)) return -EINVAL;
	let tgt_prog: bpf_prog | null = null;
	let key = 0n;
	if (tgt_prog_fd) {
		if (prog.type !== U.BPF_PROG_TYPE_EXT) return -EINVAL;
		const tgt = bpf_prog_get(kernel, tgt_prog_fd);
		if (typeof tgt === "number") return tgt;
		tgt_prog = tgt;
		key = bpf_trampoline_compute_key(tgt_prog, null, btf_id);
	}
	const link = new bpf_tracing_link(kernel, prog);
	link.cookie = bpf_cookie;

	let tr: bpf_trampoline | null = null;
	const fail = (err: number): number => {
		if (tr && tr !== aux.dst_trampoline) bpf_trampoline_put(kernel, tr);
		if (tgt_prog_fd && tgt_prog) bpf_prog_put(tgt_prog);
		return err;
	};
	if (!aux.dst_trampoline && !tgt_prog) {
		// attached once already: again only to what its BTF names
		if (prog.type !== U.BPF_PROG_TYPE_TRACING && prog.type !== U.BPF_PROG_TYPE_LSM) return fail(-EINVAL);
		if (!aux.attach_btf) return fail(-EINVAL);
		btf_id = aux.attach_btf_id;
		key = bpf_trampoline_compute_key(null, aux.attach_btf, btf_id);
	}
	if (!aux.dst_trampoline || (key && key !== aux.dst_trampoline.key)) {
		const tgt_info: bpf_attach_target_info = {
			fmodel: { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] },
			tgt_addr: 0n,
			tgt_mod: null,
			tgt_name: "",
			tgt_type: null,
		};
		const err = bpf_check_attach_target(null, prog, tgt_prog, btf_id, tgt_info);
		if (err) return fail(err);
		if (tgt_info.tgt_mod) aux.mod = tgt_info.tgt_mod;
		tr = bpf_trampoline_get(kernel, key, tgt_info);
	} else {
		// the target of its loading, with the references that were taken then
		tr = aux.dst_trampoline;
		tgt_prog = aux.dst_prog;
	}
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return fail(primer);
	const err = bpf_trampoline_link_prog(link, tr, tgt_prog);
	if (err) {
		bpf_link_cleanup(primer);
		return fail(err);
	}
	link.tgt_prog = tgt_prog;
	link.trampoline = tr;
	if (aux.dst_prog && (tgt_prog_fd || tr !== aux.dst_trampoline)) bpf_prog_put(aux.dst_prog);
	if (aux.dst_trampoline && tr !== aux.dst_trampoline) bpf_trampoline_put(kernel, aux.dst_trampoline);
	aux.dst_prog = null;
	aux.dst_trampoline = null;
	return bpf_link_settle(primer);
}

/** kernel/bpf/syscall.c: bpf_raw_tp_link_attach: takes the reference on prog when it succeeds. */
function bpf_raw_tp_link_attach(prog: bpf_prog, user_tp_name: number, cookie: bigint): number {
	const { kernel } = prog;
	const k = impl(kernel);
	let tp_name: string;
	switch (prog.type) {
		case U.BPF_PROG_TYPE_TRACING:
		case U.BPF_PROG_TYPE_EXT:
		case U.BPF_PROG_TYPE_LSM:
			if (user_tp_name) return -EINVAL;
			if (prog.type === U.BPF_PROG_TYPE_TRACING && prog.expected_attach_type === U.BPF_TRACE_RAW_TP) {
				tp_name = prog.aux.attach_func_name ?? "";
				break;
			}
			// the cookie of BPF_RAW_TRACEPOINT_OPEN is for raw tracepoints only
			return bpf_tracing_prog_attach(prog, 0, 0, 0n);
		case U.BPF_PROG_TYPE_RAW_TRACEPOINT:
		case U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: {
			const bytes = k.strncpy_from_user(user_tp_name, 127);
			if (!bytes) return -EFAULT;
			tp_name = String.fromCharCode(...bytes);
			break;
		}
		default:
			return -EINVAL;
	}
	const btp = k.tracepoints.get(tp_name);
	if (!btp) return -ENOENT;
	const link = new bpf_raw_tp_link(kernel, prog, btp);
	link.cookie = cookie;
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return primer;
	const err = k.tracepoints.register(btp, link);
	if (err) {
		bpf_link_cleanup(primer);
		return err;
	}
	return bpf_link_settle(primer);
}

/** kernel/bpf/syscall.c: bpf_raw_tracepoint_open */
export function bpf_raw_tracepoint_open(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_RAW_TRACEPOINT_OPEN)) return -EINVAL;
	const prog = bpf_prog_get(kernel, attr.raw_tracepoint_prog_fd);
	if (typeof prog === "number") return prog;
	const fd = bpf_raw_tp_link_attach(
		prog,
		u64_to_user_ptr(attr.raw_tracepoint_name),
		attr.raw_tracepoint_cookie,
	);
	if (fd < 0) bpf_prog_put(prog);
	return fd;
}

/** kernel/bpf/syscall.c: attach_type_to_prog_type */
export function attach_type_to_prog_type(attach_type: number): number {
	switch (attach_type) {
		case U.BPF_CGROUP_INET_INGRESS:
		case U.BPF_CGROUP_INET_EGRESS:
			return U.BPF_PROG_TYPE_CGROUP_SKB;
		case U.BPF_CGROUP_INET_SOCK_CREATE:
		case U.BPF_CGROUP_INET_SOCK_RELEASE:
		case U.BPF_CGROUP_INET4_POST_BIND:
		case U.BPF_CGROUP_INET6_POST_BIND:
			return U.BPF_PROG_TYPE_CGROUP_SOCK;
		case U.BPF_CGROUP_INET4_BIND:
		case U.BPF_CGROUP_INET6_BIND:
		case U.BPF_CGROUP_INET4_CONNECT:
		case U.BPF_CGROUP_INET6_CONNECT:
		case U.BPF_CGROUP_UNIX_CONNECT:
		case U.BPF_CGROUP_INET4_GETPEERNAME:
		case U.BPF_CGROUP_INET6_GETPEERNAME:
		case U.BPF_CGROUP_UNIX_GETPEERNAME:
		case U.BPF_CGROUP_INET4_GETSOCKNAME:
		case U.BPF_CGROUP_INET6_GETSOCKNAME:
		case U.BPF_CGROUP_UNIX_GETSOCKNAME:
		case U.BPF_CGROUP_UDP4_SENDMSG:
		case U.BPF_CGROUP_UDP6_SENDMSG:
		case U.BPF_CGROUP_UNIX_SENDMSG:
		case U.BPF_CGROUP_UDP4_RECVMSG:
		case U.BPF_CGROUP_UDP6_RECVMSG:
		case U.BPF_CGROUP_UNIX_RECVMSG:
			return U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR;
		case U.BPF_CGROUP_SOCK_OPS:
			return U.BPF_PROG_TYPE_SOCK_OPS;
		case U.BPF_CGROUP_DEVICE:
			return U.BPF_PROG_TYPE_CGROUP_DEVICE;
		case U.BPF_SK_MSG_VERDICT:
			return U.BPF_PROG_TYPE_SK_MSG;
		case U.BPF_SK_SKB_STREAM_PARSER:
		case U.BPF_SK_SKB_STREAM_VERDICT:
		case U.BPF_SK_SKB_VERDICT:
			return U.BPF_PROG_TYPE_SK_SKB;
		case U.BPF_LIRC_MODE2:
			return U.BPF_PROG_TYPE_LIRC_MODE2;
		case U.BPF_FLOW_DISSECTOR:
			return U.BPF_PROG_TYPE_FLOW_DISSECTOR;
		case U.BPF_CGROUP_SYSCTL:
			return U.BPF_PROG_TYPE_CGROUP_SYSCTL;
		case U.BPF_CGROUP_GETSOCKOPT:
		case U.BPF_CGROUP_SETSOCKOPT:
			return U.BPF_PROG_TYPE_CGROUP_SOCKOPT;
		case U.BPF_TRACE_ITER:
		case U.BPF_TRACE_RAW_TP:
		case U.BPF_TRACE_FENTRY:
		case U.BPF_TRACE_FEXIT:
		case U.BPF_MODIFY_RETURN:
			return U.BPF_PROG_TYPE_TRACING;
		case U.BPF_LSM_MAC:
		case U.BPF_LSM_CGROUP:
			return U.BPF_PROG_TYPE_LSM;
		case U.BPF_SK_LOOKUP:
			return U.BPF_PROG_TYPE_SK_LOOKUP;
		case U.BPF_XDP:
			return U.BPF_PROG_TYPE_XDP;
		case U.BPF_TCX_INGRESS:
		case U.BPF_TCX_EGRESS:
		case U.BPF_NETKIT_PRIMARY:
		case U.BPF_NETKIT_PEER:
			return U.BPF_PROG_TYPE_SCHED_CLS;
		default:
			return U.BPF_PROG_TYPE_UNSPEC;
	}
}

/** kernel/bpf/syscall.c: bpf_prog_attach_check_attach_type */
function bpf_prog_attach_check_attach_type(prog: bpf_prog, attach_type: number): number {
	switch (prog.type) {
		case U.BPF_PROG_TYPE_CGROUP_SOCK:
		case U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
		case U.BPF_PROG_TYPE_CGROUP_SOCKOPT:
		case U.BPF_PROG_TYPE_SK_LOOKUP:
			return attach_type === prog.expected_attach_type ? 0 : -EINVAL;
		case U.BPF_PROG_TYPE_CGROUP_SKB:
			if (!bpf_token_capable(prog.kernel, CAP_NET_ADMIN)) return -EPERM;
			if (prog.type !== attach_type_to_prog_type(attach_type)) return -EINVAL;
			return prog.enforce_expected_attach_type && prog.expected_attach_type !== attach_type ? -EINVAL : 0;
		case U.BPF_PROG_TYPE_EXT:
			return 0;
		case U.BPF_PROG_TYPE_NETFILTER:
			return attach_type !== U.BPF_NETFILTER ? -EINVAL : 0;
		case U.BPF_PROG_TYPE_PERF_EVENT:
		case U.BPF_PROG_TYPE_TRACEPOINT:
			return attach_type !== U.BPF_PERF_EVENT ? -EINVAL : 0;
		case U.BPF_PROG_TYPE_KPROBE:
			for (const t of [U.BPF_TRACE_KPROBE_MULTI, U.BPF_TRACE_KPROBE_SESSION, U.BPF_TRACE_UPROBE_MULTI])
				if (prog.expected_attach_type === t && attach_type !== t) return -EINVAL;
			return attach_type !== U.BPF_PERF_EVENT &&
				attach_type !== U.BPF_TRACE_KPROBE_MULTI &&
				attach_type !== U.BPF_TRACE_KPROBE_SESSION &&
				attach_type !== U.BPF_TRACE_UPROBE_MULTI
				? -EINVAL
				: 0;
		case U.BPF_PROG_TYPE_SCHED_CLS:
			return attach_type !== U.BPF_TCX_INGRESS &&
				attach_type !== U.BPF_TCX_EGRESS &&
				attach_type !== U.BPF_NETKIT_PRIMARY &&
				attach_type !== U.BPF_NETKIT_PEER
				? -EINVAL
				: 0;
		default: {
			const ptype = attach_type_to_prog_type(attach_type);
			return ptype === U.BPF_PROG_TYPE_UNSPEC || ptype !== prog.type ? -EINVAL : 0;
		}
	}
}

/** struct bpf_perf_link */
export class bpf_perf_link extends bpf_link {
	readonly perf_file: file;
	constructor(kernel: Kernel, prog: bpf_prog, perf_file: file) {
		super(kernel, U.BPF_LINK_TYPE_PERF_EVENT, bpf_perf_link_lops, prog);
		this.perf_file = perf_file;
	}
	get event(): perf_event {
		return perf_get_event(this.perf_file)!;
	}
}

/** kernel/bpf/syscall.c: bpf_perf_link_fill_common: the name into user memory; what else is known of the event. */
function bpf_perf_link_fill_common(
	link: bpf_perf_link,
	uname: number,
	ulen: number,
): { info: perf_event_info; len: number } | number {
	const k = impl(link.kernel);
	if ((ulen === 0) !== (uname === 0)) return -EINVAL;
	const info = bpf_get_perf_event_info(link.event);
	if (typeof info === "number") return info;
	const len = (info.buf?.length ?? 0) + 1;
	if (uname) {
		if (info.buf !== null) {
			const err = bpf_copy_to_user(link.kernel, uname, info.buf, ulen);
			if (err) return err;
		} else if (!k.copy_to_user(uname, Uint8Array.of(0))) return -EFAULT;
	}
	return { info, len };
}

/** Offsets of the parts of struct bpf_link_info that describe a perf event. */
const LINK_PERF = {
	type: 16,
	name: 24,
	name_len: 32,
	kprobe_offset: 36,
	kprobe_addr: 40,
	missed: 48,
} as const;

const bpf_perf_link_lops: bpf_link_ops = {
	release(link: bpf_link): void {
		const { event, perf_file } = link as bpf_perf_link;
		perf_event_free_bpf_prog(event);
		fput(perf_file);
	},
	dealloc(): void {},
	/** kernel/bpf/syscall.c: bpf_perf_link_fill_link_info */
	fill_link_info(l: bpf_link, info: bpf_link_info): number {
		const link = l as bpf_perf_link;
		const { event } = link;
		if (!event.pmu.tracing) {
			info.wu64(LINK_PERF.name, event.attr.config);
			info.wu32(LINK_PERF.name_len, event.attr.type);
			info.wu64(40, event.bpf_cookie);
			info.wu32(LINK_PERF.type, U.BPF_PERF_EVENT_EVENT);
			return 0;
		}
		const uname = u64_to_user_ptr(info.ru64(LINK_PERF.name));
		const got = bpf_perf_link_fill_common(link, uname, info.ru32(LINK_PERF.name_len));
		if (typeof got === "number") return got;
		info.wu32(LINK_PERF.name_len, got.len);
		if (!event.tp_event!.kprobe) {
			info.wu32(LINK_PERF.type, U.BPF_PERF_EVENT_TRACEPOINT);
			info.wu64(40, event.bpf_cookie);
			return 0;
		}
		const is_return = got.info.fd_type === U.BPF_FD_TYPE_KRETPROBE;
		info.wu32(LINK_PERF.type, is_return ? U.BPF_PERF_EVENT_KRETPROBE : U.BPF_PERF_EVENT_KPROBE);
		info.wu32(LINK_PERF.kprobe_offset, Number(got.info.probe_offset));
		info.wu64(LINK_PERF.missed, BigInt(got.info.missed));
		info.wu64(LINK_PERF.kprobe_addr, bpf_dump_raw_ok(link.kernel) ? got.info.probe_addr : 0n);
		info.wu64(56, event.bpf_cookie);
		return 0;
	},
};

/** kernel/bpf/syscall.c: bpf_perf_link_attach: takes the reference on prog when it succeeds. */
function bpf_perf_link_attach(prog: bpf_prog, attr: bpf_attr): number {
	const { kernel } = prog;
	if (attr.link_create_flags) return -EINVAL;
	const perf_file = perf_event_get(kernel, attr.link_create_target_fd);
	if (typeof perf_file === "number") return perf_file;
	const link = new bpf_perf_link(kernel, prog, perf_file);
	const fail = (err: number): number => {
		fput(perf_file);
		return err;
	};
	const primer = bpf_link_prime(link);
	if (typeof primer === "number") return fail(primer);
	const err = perf_event_set_bpf_prog(link.event, prog, attr.link_create_perf_event_bpf_cookie);
	if (err) {
		bpf_link_cleanup(primer);
		return fail(err);
	}
	// the event has a reference of its own
	bpf_prog_inc(prog);
	return bpf_link_settle(primer);
}

/** kernel/bpf/syscall.c: link_create, for programs of perf events, tracepoints and probes */
function link_create_probe(prog: bpf_prog, attr: bpf_attr): number {
	if (prog.type !== U.BPF_PROG_TYPE_KPROBE) return bpf_perf_link_attach(prog, attr);
	switch (attr.link_create_attach_type) {
		case U.BPF_PERF_EVENT:
			return bpf_perf_link_attach(prog, attr);
		case U.BPF_TRACE_KPROBE_MULTI:
		case U.BPF_TRACE_KPROBE_SESSION:
			return bpf_kprobe_multi_link_attach(prog.kernel, attr, prog);
		default:
			return not_ported(prog.kernel, "attaching to uprobes");
	}
}

/** kernel/bpf/syscall.c: link_create: of user space, or of a program that calls bpf(2) (`is_kernel`) */
export function link_create(kernel: Kernel, attr: bpf_attr, is_kernel: boolean): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_LINK_CREATE)) return -EINVAL;
	const attach_type = attr.link_create_attach_type;
	if (attach_type === U.BPF_STRUCT_OPS) return bpf_struct_ops_link_create(kernel, attr);
	const prog = bpf_prog_get(kernel, attr.link_create_prog_fd);
	if (typeof prog === "number") return prog;
	let ret = bpf_prog_attach_check_attach_type(prog, attach_type);
	if (!ret) {
		switch (prog.type) {
			case U.BPF_PROG_TYPE_EXT:
				ret = bpf_tracing_prog_attach(
					prog,
					attr.link_create_target_fd,
					attr.link_create_target_btf_id,
					attr.link_create_tracing_cookie,
				);
				break;
			case U.BPF_PROG_TYPE_LSM:
			case U.BPF_PROG_TYPE_TRACING:
				if (attach_type !== prog.expected_attach_type) ret = -EINVAL;
				else if (prog.expected_attach_type === U.BPF_TRACE_RAW_TP)
					ret = bpf_raw_tp_link_attach(prog, 0, attr.link_create_tracing_cookie);
				else if (prog.expected_attach_type === U.BPF_TRACE_ITER)
					ret = bpf_iter_link_attach(attr, prog, is_kernel);
				else if (prog.expected_attach_type === U.BPF_LSM_CGROUP)
					ret = not_ported(kernel, "attaching to cgroups");
				else
					ret = bpf_tracing_prog_attach(
						prog,
						attr.link_create_target_fd,
						attr.link_create_target_btf_id,
						attr.link_create_tracing_cookie,
					);
				break;
			case U.BPF_PROG_TYPE_CGROUP_SKB:
			case U.BPF_PROG_TYPE_CGROUP_SOCK:
			case U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
			case U.BPF_PROG_TYPE_SOCK_OPS:
			case U.BPF_PROG_TYPE_CGROUP_DEVICE:
			case U.BPF_PROG_TYPE_CGROUP_SYSCTL:
			case U.BPF_PROG_TYPE_CGROUP_SOCKOPT:
				ret = not_ported(kernel, "attaching to cgroups");
				break;
			case U.BPF_PROG_TYPE_FLOW_DISSECTOR:
			case U.BPF_PROG_TYPE_SK_LOOKUP:
				ret = not_ported(kernel, "attaching to network namespaces");
				break;
			case U.BPF_PROG_TYPE_SK_MSG:
			case U.BPF_PROG_TYPE_SK_SKB:
				ret = not_ported(kernel, "attaching to sockmaps");
				break;
			case U.BPF_PROG_TYPE_XDP:
			case U.BPF_PROG_TYPE_SCHED_CLS:
				ret = not_ported(kernel, "attaching to network devices");
				break;
			case U.BPF_PROG_TYPE_NETFILTER:
				ret = not_ported(kernel, "attaching to netfilter");
				break;
			case U.BPF_PROG_TYPE_PERF_EVENT:
			case U.BPF_PROG_TYPE_TRACEPOINT:
			case U.BPF_PROG_TYPE_KPROBE:
				ret = link_create_probe(prog, attr);
				break;
			default:
				ret = -EINVAL;
		}
	}
	if (ret < 0) bpf_prog_put(prog);
	return ret;
}

/** kernel/bpf/syscall.c: link_update */
export function link_update(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_LINK_UPDATE)) return -EINVAL;
	const flags = attr.link_update_flags;
	if (flags & ~U.BPF_F_REPLACE) return -EINVAL;
	const link = bpf_link_get_from_fd(kernel, attr.link_update_link_fd);
	if (typeof link === "number") return link;
	let ret: number;
	if (link.ops.update_map) {
		ret = link_update_map(link, attr);
		bpf_link_put_direct(link);
		return ret;
	}
	const new_prog = bpf_prog_get(kernel, attr.link_update_new_prog_fd);
	if (typeof new_prog === "number") {
		bpf_link_put_direct(link);
		return new_prog;
	}
	let old_prog: bpf_prog | null = null;
	ret = 0;
	if (flags & U.BPF_F_REPLACE) {
		const p = bpf_prog_get(kernel, attr.link_update_old_prog_fd);
		if (typeof p === "number") ret = p;
		else old_prog = p;
	} else if (attr.link_update_old_prog_fd) ret = -EINVAL;
	if (!ret) ret = link.ops.update_prog?.(link, new_prog, old_prog) ?? -EINVAL;
	if (old_prog) bpf_prog_put(old_prog);
	if (ret) bpf_prog_put(new_prog);
	bpf_link_put_direct(link);
	return ret;
}

function link_update_map(link: bpf_link, attr: bpf_attr): number {
	const { kernel } = link;
	const new_map = bpf_map_get(kernel, attr.link_update_new_prog_fd);
	if (typeof new_map === "number") return new_map;
	let old_map: bpf_map | null = null;
	let ret = 0;
	if (attr.link_update_flags & U.BPF_F_REPLACE) {
		const m = bpf_map_get(kernel, attr.link_update_old_prog_fd);
		if (typeof m === "number") ret = m;
		else old_map = m;
	} else if (attr.link_update_old_prog_fd) ret = -EINVAL;
	if (!ret) ret = link.ops.update_map!(link, new_map, old_map);
	if (old_map) bpf_map_put(old_map);
	bpf_map_put(new_map);
	return ret;
}

/** kernel/bpf/syscall.c: link_detach */
export function link_detach(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_LINK_DETACH)) return -EINVAL;
	const link = bpf_link_get_from_fd(kernel, attr.link_detach_link_fd);
	if (typeof link === "number") return link;
	const ret = link.ops.detach?.(link) ?? -EOPNOTSUPP;
	bpf_link_put_direct(link);
	return ret;
}

/** kernel/bpf/syscall.c: bpf_link_by_id */
export function bpf_link_by_id(kernel: Kernel, id: number): bpf_link | number {
	if (!id) return -ENOENT;
	const link = impl(kernel).bpf.link_idr.find(id);
	if (!link) return -ENOENT;
	if (!link.id) return -EAGAIN;
	if (link.refcnt === 0) return -ENOENT;
	link.refcnt++;
	return link;
}

/** kernel/bpf/syscall.c: bpf_link_get_fd_by_id */
export function bpf_link_get_fd_by_id(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_LINK_GET_FD_BY_ID)) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	const link = bpf_link_by_id(kernel, attr.link_id);
	if (typeof link === "number") return link;
	const fd = anon_inode_getfd(kernel, "bpf-link", link_fops(link), link, O_CLOEXEC);
	if (fd < 0) bpf_link_put_direct(link);
	return fd;
}

/** bpf_mprog_supported(): SCHED_CLS programs stand in lists. */
function bpf_mprog_supported(ptype: number): boolean {
	return ptype === U.BPF_PROG_TYPE_SCHED_CLS;
}

const ATTACH_MASK_BASE = U.BPF_F_ALLOW_OVERRIDE | U.BPF_F_ALLOW_MULTI | U.BPF_F_REPLACE | U.BPF_F_PREORDER;
const ATTACH_MASK_MPROG = U.BPF_F_REPLACE | U.BPF_F_BEFORE | U.BPF_F_AFTER | U.BPF_F_ID | U.BPF_F_LINK;

/** kernel/bpf/syscall.c: bpf_prog_attach: its checks; what it would attach to is not there. */
export function bpf_prog_attach(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_ATTACH)) return -EINVAL;
	const ptype = attach_type_to_prog_type(attr.attach_type);
	if (ptype === U.BPF_PROG_TYPE_UNSPEC) return -EINVAL;
	if (bpf_mprog_supported(ptype)) {
		if (attr.attach_flags & ~ATTACH_MASK_MPROG) return -EINVAL;
	} else {
		if (attr.attach_flags & ~ATTACH_MASK_BASE) return -EINVAL;
		if (attr.relative_fd || attr.expected_revision) return -EINVAL;
	}
	const prog = bpf_prog_get(kernel, attr.attach_bpf_fd);
	if (typeof prog === "number") return prog;
	const bad = prog.type !== ptype || bpf_prog_attach_check_attach_type(prog, attr.attach_type);
	bpf_prog_put(prog);
	if (bad) return -EINVAL;
	switch (ptype) {
		case U.BPF_PROG_TYPE_TRACING:
		case U.BPF_PROG_TYPE_XDP:
		case U.BPF_PROG_TYPE_SK_LOOKUP:
			return -EINVAL;
		case U.BPF_PROG_TYPE_LSM:
			if (prog.expected_attach_type !== U.BPF_LSM_CGROUP) return -EINVAL;
	}
	return not_ported(kernel, `BPF_PROG_ATTACH of attach type ${attr.attach_type}`);
}

/** kernel/bpf/syscall.c: bpf_prog_detach: its checks */
export function bpf_prog_detach(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_DETACH)) return -EINVAL;
	const ptype = attach_type_to_prog_type(attr.attach_type);
	if (bpf_mprog_supported(ptype)) {
		if (attr.attach_flags & ~ATTACH_MASK_MPROG) return -EINVAL;
	} else if (attr.attach_flags || attr.relative_fd || attr.expected_revision) return -EINVAL;
	switch (ptype) {
		case U.BPF_PROG_TYPE_UNSPEC:
		case U.BPF_PROG_TYPE_TRACING:
		case U.BPF_PROG_TYPE_XDP:
		case U.BPF_PROG_TYPE_SK_LOOKUP:
			return -EINVAL;
	}
	return not_ported(kernel, `BPF_PROG_DETACH of attach type ${attr.attach_type}`);
}
