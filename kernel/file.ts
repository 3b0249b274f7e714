// SPDX-License-Identifier: GPL-2.0-only
/**
 * Open files and descriptor tables (fs/file.c, fs/file_table.c, fs/anon_inodes.c), as far as the
 * files that bpf(2), epoll and perf_event_open(2) give out need them.
 */
import { EBADF, EMFILE } from "../include/uapi/asm-generic/errno.ts";
import type { Kernel } from "./kernel.ts";
import { impl } from "./kernel_impl.ts";
import type { vm_area_struct } from "./kmem.ts";
import type { wait_queue_head } from "./wait.ts";

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_ACCMODE = 3;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

export const FMODE_READ = 0x1;
export const FMODE_WRITE = 0x2;
export const FMODE_CAN_READ = 0x20000;
export const FMODE_CAN_WRITE = 0x40000;

/** What poll tells apart (include/uapi/linux/eventpoll.h). */
export const EPOLLIN = 0x1;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDNORM = 0x40;
export const EPOLLWRNORM = 0x100;

/** struct poll_table: `wait` gets every wait queue that a poll method hangs on (poll_wait()). */
export interface poll_table {
	wait(file: file, head: wait_queue_head): void;
}

/** struct file_operations. Errors are negative errnos. */
export interface file_operations {
	readonly name: string;
	read?(file: file, buf: number, len: number): number;
	write?(file: file, buf: number, len: number): number;
	mmap?(file: file, vma: vm_area_struct): number;
	poll?(file: file, pt: poll_table | null): number;
	release?(file: file): void;
	show_fdinfo?(file: file): string;
	unlocked_ioctl?(file: file, cmd: number, arg: number): number;
	get_unmapped_area?(file: file, addr: number, len: number, pgoff: number, flags: number): number;
}

/** struct file */
export class file {
	readonly kernel: Kernel;
	readonly f_op: file_operations;
	readonly name: string;
	private_data: unknown;
	f_mode: number;
	f_flags: number;
	f_count = 1;
	/** epoll items that watch this file; eventpoll.ts cleans them up at release. */
	readonly f_ep: Set<{ remove(): void }> = new Set();
	constructor(kernel: Kernel, name: string, f_op: file_operations, private_data: unknown, flags: number) {
		this.kernel = kernel;
		this.name = name;
		this.f_op = f_op;
		this.private_data = private_data;
		this.f_flags = flags & ~O_CLOEXEC;
		// OPEN_FMODE(): O_RDONLY, O_WRONLY, O_RDWR → read, write, both
		let mode = ((flags & O_ACCMODE) + 1) & O_ACCMODE;
		if (mode & FMODE_READ && f_op.read) mode |= FMODE_CAN_READ;
		if (mode & FMODE_WRITE && f_op.write) mode |= FMODE_CAN_WRITE;
		this.f_mode = mode;
	}
}

/** struct files_struct: the descriptors of a process. */
export class files_struct {
	/** null: reserved by get_unused_fd_flags() */
	readonly fd: (file | null | undefined)[] = [];
	readonly rlim_nofile = 1024 * 1024;
	refcnt = 1;
}

/** drivers/char/mem.c: null_fops */
const null_fops: file_operations = { name: "null", read: () => 0, write: (_f, _buf, len) => len };

/** What a process starts with: descriptors 0 to 2 on /dev/null. */
export function open_stdio(kernel: Kernel, files: files_struct): void {
	const f = new file(kernel, "null", null_fops, null, 2);
	f.f_count = 3;
	files.fd.push(f, f, f);
}

/** fs/file.c: fdget(), without a reference: a system call does not outlive the caller's table. */
export function fdget(kernel: Kernel, fd: number): file | null {
	return impl(kernel).task.files.fd[fd >>> 0] ?? null;
}

/** fs/file.c: fget() */
export function fget(kernel: Kernel, fd: number): file | null {
	const f = fdget(kernel, fd);
	if (f) f.f_count++;
	return f;
}

/** fs/file_table.c: fput(): the last reference releases. */
export function fput(f: file): void {
	if (--f.f_count > 0) return;
	for (const epi of [...f.f_ep]) epi.remove();
	f.f_op.release?.(f);
}

/** fs/file.c: get_unused_fd_flags(): the lowest free descriptor, reserved. */
export function get_unused_fd_flags(kernel: Kernel, _flags: number): number {
	const files = impl(kernel).task.files;
	let fd = 0;
	while (files.fd[fd] !== undefined) fd++;
	if (fd >= files.rlim_nofile) return -EMFILE;
	files.fd[fd] = null;
	return fd;
}

/** fs/file.c: put_unused_fd() */
export function put_unused_fd(kernel: Kernel, fd: number): void {
	impl(kernel).task.files.fd[fd] = undefined;
}

/** fs/file.c: fd_install() */
export function fd_install(kernel: Kernel, fd: number, f: file): void {
	impl(kernel).task.files.fd[fd] = f;
}

/** fs/file.c: close_fd() */
export function close_fd(kernel: Kernel, fd: number): number {
	const files = impl(kernel).task.files;
	const f = files.fd[fd >>> 0];
	if (!f) return -EBADF;
	files.fd[fd >>> 0] = undefined;
	fput(f);
	return 0;
}

/** fs/anon_inodes.c: anon_inode_getfile() */
export function anon_inode_getfile(
	kernel: Kernel,
	name: string,
	fops: file_operations,
	priv: unknown,
	flags: number,
): file {
	return new file(kernel, name, fops, priv, flags);
}

/** fs/anon_inodes.c: anon_inode_getfd(): a new descriptor or a negative errno. */
export function anon_inode_getfd(
	kernel: Kernel,
	name: string,
	fops: file_operations,
	priv: unknown,
	flags: number,
): number {
	const fd = get_unused_fd_flags(kernel, flags);
	if (fd < 0) return fd;
	fd_install(kernel, fd, anon_inode_getfile(kernel, name, fops, priv, flags));
	return fd;
}

/** exit_files(): close all descriptors of a process. */
export function close_files(files: files_struct): void {
	for (let fd = 0; fd < files.fd.length; fd++) {
		const f = files.fd[fd];
		files.fd[fd] = undefined;
		if (f) fput(f);
	}
}
