// SPDX-License-Identifier: GPL-2.0-only
/**
 * Links (kernel/bpf/syscall.c): what keeps a program attached. Raw tracepoints and trampolines are here
 * in full; the other attachments answer "not ported" after the checks that come before them.
 */
import {
	EAGAIN,
	EBADF,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOSPC,
	EOPNOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, type bpf_attr, type bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { u64_to_user_ptr } from "../bpfptr.ts";
import {
	anon_inode_getfd,
	anon_inode_getfile,
	fd_install,
	fdget,
	type file,
	type file_operations,
	fput,
	get_unused_fd_flags,
	O_CLOEXEC,
	type poll_table,
	put_unused_fd,
} from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_token_capable } from "../security.ts";
import { CAP_NET_ADMIN, CAP_SYS_ADMIN, capable } from "../task.ts";
import type { raw_tracepoint } from "../trace/tracepoint.ts";
import { bpf_check_attach_target } from "./attach.ts";
import { attr_tail_nonzero } from "./attr.ts";
import { bpf_struct_ops_link_create } from "./bpf_struct_ops_map.ts";
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { bpf_map_get, bpf_map_put } from "./map_create.ts";
import { bpf_prog_get, bpf_prog_put, tag_hex } from "./prog.ts";
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

/** struct bpf_link_ops */
export interface bpf_link_ops {
	release(link: bpf_link): void;
	dealloc?(link: bpf_link): void;
	dealloc_deferred?(link: bpf_link): void;
	detach?(link: bpf_link): number;
	update_prog?(link: bpf_link, new_prog: bpf_prog, old_prog: bpf_prog | null): number;
	update_map?(link: bpf_link, new_map: bpf_map, old_map: bpf_map | null): number;
	show_fdinfo?(link: bpf_link): string;
	fill_link_info?(link: bpf_link, info: bpf_link_info): number;
	poll?(f: file, pt: poll_table | null): number;
}

/** struct bpf_link */
export class bpf_link {
	readonly kernel: Kernel;
	refcnt = 1;
	id = 0;
	readonly type: number;
	readonly ops: bpf_link_ops;
	prog: bpf_prog | null;
	/** bpf_get_attach_cookie() */
	cookie = 0n;
	constructor(kernel: Kernel, type: number, ops: bpf_link_ops, prog: bpf_prog | null) {
		this.kernel = kernel;
		this.type = type;
		this.ops = ops;
		this.prog = prog;
	}
}

/** struct bpf_raw_tp_link */
export class bpf_raw_tp_link extends bpf_link {
	readonly btp: raw_tracepoint;
	constructor(kernel: Kernel, prog: bpf_prog, btp: raw_tracepoint) {
		super(kernel, U.BPF_LINK_TYPE_RAW_TRACEPOINT, bpf_raw_tp_link_lops, prog);
		this.btp = btp;
	}
}

const LINK_TYPE_NAMES: Readonly<Record<number, string>> = {
	[U.BPF_LINK_TYPE_RAW_TRACEPOINT]: "raw_tracepoint",
	[U.BPF_LINK_TYPE_TRACING]: "tracing",
	[U.BPF_LINK_TYPE_CGROUP]: "cgroup",
	[U.BPF_LINK_TYPE_ITER]: "iter",
	[U.BPF_LINK_TYPE_NETNS]: "netns",
	[U.BPF_LINK_TYPE_XDP]: "xdp",
	[U.BPF_LINK_TYPE_PERF_EVENT]: "perf",
	[U.BPF_LINK_TYPE_KPROBE_MULTI]: "kprobe_multi",
	[U.BPF_LINK_TYPE_STRUCT_OPS]: "struct_ops",
	[U.BPF_LINK_TYPE_NETFILTER]: "netfilter",
	[U.BPF_LINK_TYPE_TCX]: "tcx",
	[U.BPF_LINK_TYPE_UPROBE_MULTI]: "uprobe_multi",
	[U.BPF_LINK_TYPE_NETKIT]: "netkit",
	[U.BPF_LINK_TYPE_SOCKMAP]: "sockmap",
};

/** kernel/bpf/syscall.c: bpf_link_fops */
export const bpf_link_fops: file_operations = {
	name: "bpf_link",
	show_fdinfo(f: file): string {
		const link = f.private_data as bpf_link;
		let s = `link_type:\t${LINK_TYPE_NAMES[link.type] ?? `<${link.type}>`}\nlink_id:\t${link.id}\n`;
		if (link.prog) s += `prog_tag:\t${tag_hex(link.prog)}\nprog_id:\t${link.prog.aux.id}\n`;
		return s + (link.ops.show_fdinfo?.(link) ?? "");
	},
	release: (f: file) => bpf_link_put_direct(f.private_data as bpf_link),
	read: () => -EINVAL,
	write: () => -EINVAL,
};

/** kernel/bpf/syscall.c: bpf_link_fops_poll: of links that say when they are detached */
const bpf_link_fops_poll: file_operations = {
	...bpf_link_fops,
	poll: (f: file, pt: poll_table | null) => (f.private_data as bpf_link).ops.poll!(f, pt),
};

/** Whether a file is a link of either kind. */
export function is_link_file(f: file): boolean {
	return f.f_op === bpf_link_fops || f.f_op === bpf_link_fops_poll;
}

function link_fops(link: bpf_link): file_operations {
	return link.ops.poll ? bpf_link_fops_poll : bpf_link_fops;
}

function bpf_link_free_id(kernel: Kernel, id: number): void {
	if (id) impl(kernel).bpf.link_idr.remove(id);
}

/** struct bpf_link_primer */
export interface bpf_link_primer {
	link: bpf_link;
	file: file;
	fd: number;
	id: number;
}

/** kernel/bpf/syscall.c: bpf_link_prime */
export function bpf_link_prime(link: bpf_link): bpf_link_primer | number {
	const { kernel } = link;
	const fd = get_unused_fd_flags(kernel, O_CLOEXEC);
	if (fd < 0) return fd;
	const id = impl(kernel).bpf.link_idr.alloc_cyclic(link);
	if (id < 0) {
		put_unused_fd(kernel, fd);
		return id;
	}
	return { link, file: anon_inode_getfile(kernel, "bpf_link", link_fops(link), link, O_CLOEXEC), fd, id };
}

/** kernel/bpf/syscall.c: bpf_link_cleanup */
export function bpf_link_cleanup(primer: bpf_link_primer): void {
	primer.link.prog = null;
	bpf_link_free_id(primer.link.kernel, primer.id);
	fput(primer.file);
	put_unused_fd(primer.link.kernel, primer.fd);
}

/** kernel/bpf/syscall.c: bpf_link_settle */
export function bpf_link_settle(primer: bpf_link_primer): number {
	primer.link.id = primer.id;
	fd_install(primer.link.kernel, primer.fd, primer.file);
	return primer.fd;
}

function bpf_link_dealloc(link: bpf_link): void {
	if (link.prog) bpf_prog_put(link.prog);
	(link.ops.dealloc_deferred ?? link.ops.dealloc)?.(link);
}

/** kernel/bpf/syscall.c: bpf_link_free */
function bpf_link_free(link: bpf_link): void {
	const k = impl(link.kernel);
	bpf_link_free_id(link.kernel, link.id);
	let sleepable = false;
	if (link.prog) {
		sleepable = link.prog.sleepable;
		link.ops.release(link);
	}
	if (link.ops.dealloc_deferred) {
		if (sleepable) k.rcu_tasks_trace.call(() => k.rcu.call(() => bpf_link_dealloc(link)));
		else k.rcu.call(() => bpf_link_dealloc(link));
	} else if (link.ops.dealloc) bpf_link_dealloc(link);
}

/** kernel/bpf/syscall.c: bpf_link_put_direct */
export function bpf_link_put_direct(link: bpf_link): void {
	if (--link.refcnt === 0) bpf_link_free(link);
}

/** kernel/bpf/syscall.c: bpf_link_put */
export function bpf_link_put(link: bpf_link): void {
	if (--link.refcnt === 0) impl(link.kernel).queue_work(() => bpf_link_free(link));
}

/** kernel/bpf/syscall.c: bpf_link_get_from_fd */
export function bpf_link_get_from_fd(kernel: Kernel, ufd: number): bpf_link | number {
	const f = fdget(kernel, ufd);
	if (!f) return -EBADF;
	if (!is_link_file(f)) return -EINVAL;
	const link = f.private_data as bpf_link;
	link.refcnt++;
	return link;
}

/** kernel/bpf/syscall.c: bpf_copy_to_user: a name into a buffer of `ulen` bytes. */
function bpf_copy_to_user(kernel: Kernel, ubuf: number, text: string, ulen: number): number {
	const k = impl(kernel);
	const bytes = Uint8Array.from(`${text}\0`, (c) => c.charCodeAt(0));
	if (ulen >= bytes.length) return k.copy_to_user(ubuf, bytes) ? 0 : -EFAULT;
	if (!k.copy_to_user(ubuf, bytes.subarray(0, ulen - 1))) return -EFAULT;
	if (!k.copy_to_user(ubuf + ulen - 1, Uint8Array.of(0))) return -EFAULT;
	return -ENOSPC;
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

/** struct bpf_tramp_link: a program on a trampoline */
export class bpf_tramp_link extends bpf_link {
	/** It stands in the list of its trampoline. */
	hashed = false;
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
			return bpf_tracing_prog_attach(prog, 0, 0, cookie);
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

/** kernel/bpf/syscall.c: link_create */
export function link_create(kernel: Kernel, attr: bpf_attr): number {
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
				else if (prog.expected_attach_type === U.BPF_TRACE_ITER) ret = not_ported(kernel, "BPF iterators");
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
				ret = not_ported(kernel, "attaching to perf events, kprobes and uprobes");
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
