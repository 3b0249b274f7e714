// SPDX-License-Identifier: GPL-2.0-only
/** What every link is (kernel/bpf/syscall.c: struct bpf_link, its file, its id, its release). */
import { EBADF, EFAULT, EINVAL, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import type { bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import {
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
import type { bpf_map, bpf_prog } from "./bpf_types.ts";
import { bpf_prog_put, tag_hex } from "./prog.ts";

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

/** struct bpf_tramp_link: a program on a trampoline */
export class bpf_tramp_link extends bpf_link {
	/** It stands in the list of its trampoline. */
	hashed = false;
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

export function link_fops(link: bpf_link): file_operations {
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
export function bpf_copy_to_user(kernel: Kernel, ubuf: number, text: string, ulen: number): number {
	const k = impl(kernel);
	const bytes = Uint8Array.from(`${text}\0`, (c) => c.charCodeAt(0));
	if (ulen >= bytes.length) return k.copy_to_user(ubuf, bytes) ? 0 : -EFAULT;
	if (!k.copy_to_user(ubuf, bytes.subarray(0, ulen - 1))) return -EFAULT;
	if (!k.copy_to_user(ubuf + ulen - 1, Uint8Array.of(0))) return -EFAULT;
	return -ENOSPC;
}
