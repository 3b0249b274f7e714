// SPDX-License-Identifier: GPL-2.0-only
/**
 * epoll (fs/eventpoll.c): interest list, ready list in the order of wake-ups, level and edge trigger,
 * one-shot, exclusive wake-up, nested epoll files, and waits that block as promises.
 */

import type { EpollEvent } from "../include/sys.ts";
import {
	EBADF,
	EEXIST,
	EFAULT,
	EINTR,
	EINVAL,
	ELOOP,
	ENOENT,
	EPERM,
} from "../include/uapi/asm-generic/errno.ts";
import {
	anon_inode_getfd,
	EPOLLERR,
	EPOLLHUP,
	EPOLLIN,
	EPOLLRDNORM,
	fdget,
	type file,
	type file_operations,
	O_CLOEXEC,
	O_RDWR,
	type poll_table,
} from "./file.ts";
import type { Kernel } from "./kernel.ts";
import { impl } from "./kernel_impl.ts";
import { wait_queue_head } from "./wait.ts";

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLLEXCLUSIVE = 0x10000000;
export const EPOLLWAKEUP = 0x20000000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;
const EP_PRIVATE_BITS = (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE) >>> 0;
const EPOLLEXCLUSIVE_OK_BITS =
	(EPOLLIN |
		4 |
		EPOLLERR |
		EPOLLHUP |
		EPOLLRDNORM |
		EPOLLWAKEUP |
		EPOLLET |
		EPOLLEXCLUSIVE |
		0x100 |
		0x80 |
		0x200 |
		0x2 |
		0x400) >>>
	0;
const EP_MAX_EVENTS = Math.floor(0x7fffffff / 12);
const EP_MAX_NESTS = 4;

/** struct epitem */
class epitem {
	readonly ep: eventpoll;
	readonly file: file;
	readonly fd: number;
	events: number;
	data: bigint;
	private queues: { head: wait_queue_head; entry: { func(key: number): void } }[] = [];
	constructor(ep: eventpoll, f: file, fd: number, events: number, data: bigint) {
		this.ep = ep;
		this.file = f;
		this.fd = fd;
		this.events = events;
		this.data = data;
	}
	/** ep_ptable_queue_proc(): hang on a wait queue of the file. */
	hook(head: wait_queue_head): void {
		const entry = { func: (key: number): void => this.ep.poll_callback(this, key) };
		head.add(entry);
		this.queues.push({ head, entry });
	}
	/** ep_item_poll(): what of the interest is there now. */
	poll(pt: poll_table | null): number {
		const f = this.file;
		const mask = f.f_op.poll ? f.f_op.poll(f, pt) : EPOLLIN | 4 | EPOLLRDNORM | 0x100;
		return (mask & (this.events & ~EP_PRIVATE_BITS)) >>> 0;
	}
	/** ep_remove() */
	remove(): void {
		for (const { head, entry } of this.queues) head.remove(entry);
		this.queues = [];
		this.file.f_ep.delete(this);
		this.ep.forget(this);
	}
}

/** struct eventpoll */
export class eventpoll {
	readonly items: Map<string, epitem> = new Map();
	/** rdllist */
	ready: epitem[] = [];
	/** tasks in epoll_wait() */
	readonly wq = new wait_queue_head();
	/** polls of this epoll file itself */
	readonly poll_wait = new wait_queue_head();
	private readonly ids = new Map<file, number>();
	private next_id = 0;

	key(f: file, fd: number): string {
		let id = this.ids.get(f);
		if (id === undefined) {
			id = this.next_id++;
			this.ids.set(f, id);
		}
		return `${id} ${fd}`;
	}
	/** fs/eventpoll.c: ep_poll_callback */
	poll_callback(epi: epitem, key: number): void {
		if (!(epi.events & ~EP_PRIVATE_BITS)) return;
		if (key && !(key & epi.events)) return;
		if (!this.ready.includes(epi)) this.ready.push(epi);
		this.wake();
	}
	wake(): void {
		this.wq.wake_up_all();
		this.poll_wait.wake_up_all(EPOLLIN | EPOLLRDNORM);
	}
	forget(epi: epitem): void {
		this.items.delete(this.key(epi.file, epi.fd));
		this.ready = this.ready.filter((e) => e !== epi);
		if (![...this.items.values()].some((e) => e.file === epi.file)) this.ids.delete(epi.file);
	}
	/** fs/eventpoll.c: ep_send_events */
	send_events(max: number): EpollEvent[] {
		const out: EpollEvent[] = [];
		const txlist = this.ready;
		this.ready = [];
		const keep: epitem[] = [];
		while (txlist.length > 0 && out.length < max) {
			const epi = txlist.shift()!;
			const revents = epi.poll(null);
			if (!revents) continue;
			out.push({ events: revents, data: epi.data });
			if (epi.events & EPOLLONESHOT) epi.events = (epi.events & EP_PRIVATE_BITS) >>> 0;
			else if (!(epi.events & EPOLLET)) keep.push(epi);
		}
		// what was not reached comes first, then level-triggered ones again; wake-ups meanwhile are behind
		this.ready = [...txlist, ...keep, ...this.ready.filter((e) => !txlist.includes(e) && !keep.includes(e))];
		return out;
	}
	release(): void {
		for (const epi of [...this.items.values()]) epi.remove();
	}
	/** Something would be reported. */
	readable(): boolean {
		const live: epitem[] = [];
		for (const epi of this.ready) if (epi.poll(null)) live.push(epi);
		this.ready = live;
		return live.length > 0;
	}
}

const eventpoll_fops: file_operations = {
	name: "[eventpoll]",
	poll(f: file, pt: poll_table | null): number {
		const ep = f.private_data as eventpoll;
		pt?.wait(f, ep.poll_wait);
		return ep.readable() ? EPOLLIN | EPOLLRDNORM : 0;
	},
	release: (f) => (f.private_data as eventpoll).release(),
};

/** The struct behind a descriptor; null when it is another file. */
export function epoll_of(kernel: Kernel, epfd: number): eventpoll | null {
	const f = fdget(kernel, epfd);
	return f?.f_op === eventpoll_fops ? (f.private_data as eventpoll) : null;
}

/** epoll_create1(2) */
export function do_epoll_create(kernel: Kernel, flags: number): number {
	if (flags & ~O_CLOEXEC) return -EINVAL;
	return anon_inode_getfd(
		kernel,
		"[eventpoll]",
		eventpoll_fops,
		new eventpoll(),
		O_RDWR | (flags & O_CLOEXEC),
	);
}

/** Depth of epoll files below a file, -1 when `loop` is among them. */
function nesting(f: file, loop: file): number {
	if (f === loop) return -1;
	if (f.f_op !== eventpoll_fops) return 0;
	let depth = 0;
	for (const epi of (f.private_data as eventpoll).items.values()) {
		const d = nesting(epi.file, loop);
		if (d < 0) return -1;
		if (epi.file.f_op === eventpoll_fops) depth = Math.max(depth, d + 1);
	}
	return depth;
}

/** epoll_ctl(2): fs/eventpoll.c: do_epoll_ctl */
export function do_epoll_ctl(
	kernel: Kernel,
	epfd: number,
	op: number,
	fd: number,
	event: EpollEvent | null,
): number {
	if (op !== EPOLL_CTL_DEL && !event) return -EFAULT;
	const f = fdget(kernel, epfd);
	if (!f) return -EBADF;
	const tf = fdget(kernel, fd);
	if (!tf) return -EBADF;
	if (!tf.f_op.poll) return -EPERM;
	let events = (event?.events ?? 0) >>> 0;
	if (f === tf || f.f_op !== eventpoll_fops) return -EINVAL;
	if (op !== EPOLL_CTL_DEL && events & EPOLLEXCLUSIVE) {
		if (op === EPOLL_CTL_MOD) return -EINVAL;
		if (op === EPOLL_CTL_ADD && (tf.f_op === eventpoll_fops || events & ~EPOLLEXCLUSIVE_OK_BITS))
			return -EINVAL;
	}
	const ep = f.private_data as eventpoll;
	if (op === EPOLL_CTL_ADD && tf.f_op === eventpoll_fops) {
		const d = nesting(tf, f);
		if (d < 0 || d > EP_MAX_NESTS) return -ELOOP;
	}
	const epi = ep.items.get(ep.key(tf, fd));
	events = (events | EPOLLERR | EPOLLHUP) >>> 0;
	switch (op) {
		case EPOLL_CTL_ADD: {
			if (epi) return -EEXIST;
			const item = new epitem(ep, tf, fd, events, event!.data);
			ep.items.set(ep.key(tf, fd), item);
			tf.f_ep.add(item);
			const revents = item.poll({ wait: (_f, head) => item.hook(head) });
			if (revents && !ep.ready.includes(item)) {
				ep.ready.push(item);
				ep.wake();
			}
			return 0;
		}
		case EPOLL_CTL_DEL:
			if (!epi) return -ENOENT;
			epi.remove();
			return 0;
		case EPOLL_CTL_MOD: {
			if (!epi) return -ENOENT;
			if (epi.events & EPOLLEXCLUSIVE) return 0;
			epi.events = events;
			epi.data = event!.data;
			if (epi.poll(null) && !ep.ready.includes(epi)) {
				ep.ready.push(epi);
				ep.wake();
			}
			return 0;
		}
		default:
			return -EINVAL;
	}
}

/** epoll_wait(2): fs/eventpoll.c: ep_poll. `timeout` in milliseconds, negative waits for ever. */
export async function do_epoll_wait(
	kernel: Kernel,
	epfd: number,
	maxevents: number,
	timeout: number,
): Promise<EpollEvent[] | number> {
	const k = impl(kernel);
	if (maxevents <= 0 || maxevents > EP_MAX_EVENTS) return -EINVAL;
	const f = fdget(kernel, epfd);
	if (!f) return -EBADF;
	if (f.f_op !== eventpoll_fops) return -EINVAL;
	const ep = f.private_data as eventpoll;
	const task = k.task;
	f.f_count++;
	const sleep = timeout > 0 ? k.sleep_until(k.time.now + BigInt(timeout) * 1_000_000n) : null;
	let timed_out = timeout === 0;
	void sleep?.done.then(() => {
		timed_out = true;
	});
	try {
		for (;;) {
			k.current = task;
			const got = ep.ready.length > 0 ? ep.send_events(maxevents) : [];
			if (got.length > 0) return got;
			if (timed_out) return [];
			if (task.exiting) return -EINTR;
			let entry: { func(): void } | null = null;
			const woken = new Promise<void>((resolve) => {
				entry = { func: resolve };
				ep.wq.add(entry);
			});
			await (sleep ? Promise.race([woken, sleep.done]) : woken);
			if (entry) ep.wq.remove(entry);
		}
	} finally {
		sleep?.cancel();
		k.current = task;
		if (--f.f_count === 0) f.f_op.release?.(f);
	}
}
