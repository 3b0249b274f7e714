// SPDX-License-Identifier: GPL-2.0-only
/**
 * User space's side of the ring buffers, through its own mapping of them: tools/lib/bpf/ringbuf.c.
 *
 * A mapping of BPF_MAP_TYPE_RINGBUF:   consumer page (read and write) | producer page | data | data again
 * A record in the data:                u32 length with BUSY and DISCARD bits | u32 | sample, to 8 bytes
 */

import type { EpollEvent } from "../../../include/sys.ts";
import { E2BIG, EINVAL, ENOSPC } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import {
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_RINGBUF_BUSY_BIT,
	BPF_RINGBUF_DISCARD_BIT,
	BPF_RINGBUF_HDR_SZ,
} from "../../../include/uapi/linux/bpf.ts";
import { bpf_map_get_info_by_fd } from "./bpf.ts";
import type { Libbpf } from "./libbpf_internal.ts";

const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0o2000000;
const INT_MAX = 0x7fffffff;

/**
 * Called for each sample: its address in the mapping and its length. A negative return ends the
 * consumption with it, the sample being consumed.
 */
export type ring_buffer_sample_fn = (sample: number, size: number) => number;

/** struct ring */
export interface ring {
	readonly lib: Libbpf;
	readonly sample_cb: ring_buffer_sample_fn;
	data: number;
	consumer_pos: number;
	producer_pos: number;
	mask: number;
	readonly map_fd: number;
}

/** struct ring_buffer: several rings polled together. */
export interface ring_buffer {
	readonly lib: Libbpf;
	readonly rings: ring[];
	readonly page_size: number;
	epoll_fd: number;
}

function ringbuf_free_ring(rb: ring_buffer, r: ring): void {
	if (r.consumer_pos) rb.lib.sys.munmap(r.consumer_pos, rb.page_size);
	if (r.producer_pos) rb.lib.sys.munmap(r.producer_pos, rb.page_size + 2 * (r.mask + 1));
	r.consumer_pos = 0;
	r.producer_pos = 0;
}

/** tools/lib/bpf/ringbuf.c: ring_buffer__add */
export function ring_buffer__add(rb: ring_buffer, map_fd: number, sample_cb: ring_buffer_sample_fn): number {
	const { lib } = rb;
	const { sys } = lib;
	const info = bpf_map_get_info_by_fd(lib, map_fd);
	if (typeof info === "number") {
		lib.pr_warn(`ringbuf: failed to get map info for fd=${map_fd}: ${info}\n`);
		return info;
	}
	if (info.type !== BPF_MAP_TYPE_RINGBUF) {
		lib.pr_warn(`ringbuf: map fd=${map_fd} is not BPF_MAP_TYPE_RINGBUF\n`);
		return -EINVAL;
	}
	const r: ring = {
		lib,
		sample_cb,
		data: 0,
		consumer_pos: 0,
		producer_pos: 0,
		mask: info.max_entries - 1,
		map_fd,
	};
	let addr = sys.mmap(0, rb.page_size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (addr < 0) {
		lib.pr_warn(`ringbuf: failed to mmap consumer page for map fd=${map_fd}: ${addr}\n`);
		return addr;
	}
	r.consumer_pos = addr;
	addr = sys.mmap(0, rb.page_size + 2 * info.max_entries, PROT_READ, MAP_SHARED, map_fd, rb.page_size);
	if (addr < 0) {
		lib.pr_warn(`ringbuf: failed to mmap data pages for map fd=${map_fd}: ${addr}\n`);
		ringbuf_free_ring(rb, r);
		return addr;
	}
	r.producer_pos = addr;
	r.data = addr + rb.page_size;
	const err = sys.epollCtl(rb.epoll_fd, EPOLL_CTL_ADD, map_fd, {
		events: EPOLLIN,
		data: BigInt(rb.rings.length),
	});
	if (err < 0) {
		lib.pr_warn(`ringbuf: failed to epoll add map fd=${map_fd}: ${err}\n`);
		ringbuf_free_ring(rb, r);
		return err;
	}
	rb.rings.push(r);
	return 0;
}

export function ring_buffer__free(rb: ring_buffer | null): void {
	if (!rb) return;
	for (const r of rb.rings) ringbuf_free_ring(rb, r);
	rb.rings.length = 0;
	if (rb.epoll_fd >= 0) rb.lib.sys.close(rb.epoll_fd);
	rb.epoll_fd = -1;
}

/** tools/lib/bpf/ringbuf.c: ring_buffer__new: a negative errno where libbpf gives NULL. */
export function ring_buffer__new(
	lib: Libbpf,
	map_fd: number,
	sample_cb: ring_buffer_sample_fn,
): ring_buffer | number {
	const rb: ring_buffer = {
		lib,
		rings: [],
		page_size: lib.sys.pageSize,
		epoll_fd: lib.sys.epollCreate1(EPOLL_CLOEXEC),
	};
	if (rb.epoll_fd < 0) {
		lib.pr_warn(`ringbuf: failed to create epoll instance: ${rb.epoll_fd}\n`);
		return rb.epoll_fd;
	}
	const err = ring_buffer__add(rb, map_fd, sample_cb);
	if (err) {
		ring_buffer__free(rb);
		return err;
	}
	return rb;
}

/** Bytes that a record takes, by its length word. */
function roundup_len(len: number): number {
	return Math.floor(((len & 0x3fffffff) + BPF_RINGBUF_HDR_SZ + 7) / 8) * 8;
}

/** Offset of a position in the data; positions run on past 2^32. */
function at(pos: number, mask: number): number {
	return pos % (mask + 1);
}

/** tools/lib/bpf/ringbuf.c: ringbuf_process_ring */
function ringbuf_process_ring(r: ring, n: number): number {
	const { sys } = r.lib;
	let cnt = 0;
	let cons_pos = Number(sys.load64(r.consumer_pos));
	let got_new_data: boolean;
	do {
		got_new_data = false;
		const prod_pos = Number(sys.load64(r.producer_pos));
		while (cons_pos < prod_pos) {
			const len_ptr = r.data + at(cons_pos, r.mask);
			const len = sys.load32(len_ptr);
			// Not committed yet: the rest has to wait.
			if (len >= BPF_RINGBUF_BUSY_BIT) return cnt;
			got_new_data = true;
			cons_pos += roundup_len(len);
			if ((len & BPF_RINGBUF_DISCARD_BIT) === 0) {
				const err = r.sample_cb(len_ptr + BPF_RINGBUF_HDR_SZ, len);
				if (err < 0) {
					sys.store64(r.consumer_pos, BigInt(cons_pos));
					return err;
				}
				cnt++;
			}
			sys.store64(r.consumer_pos, BigInt(cons_pos));
			if (cnt >= n) return cnt;
		}
	} while (got_new_data);
	return cnt;
}

/** At most `n` samples of all rings together; how many, or what a callback said. */
export function ring_buffer__consume_n(rb: ring_buffer, n: number): number {
	let res = 0;
	let left = n;
	for (const r of rb.rings) {
		const err = ringbuf_process_ring(r, left);
		if (err < 0) return err;
		res += err;
		left -= err;
		// a size_t: taking more than was asked for (one, when it was none) makes it huge
		if (left < 0) left = Number.POSITIVE_INFINITY;
		if (left === 0) break;
	}
	return Math.min(res, INT_MAX);
}

export function ring_buffer__consume(rb: ring_buffer): number {
	let res = 0;
	for (const r of rb.rings) {
		const err = ringbuf_process_ring(r, INT_MAX);
		if (err < 0) return err;
		res += err;
		if (res > INT_MAX) return INT_MAX;
	}
	return res;
}

/** Waits for data for at most `timeout_ms` (-1: for ever), then consumes the rings that have some. */
export async function ring_buffer__poll(rb: ring_buffer, timeout_ms: number): Promise<number> {
	const events = await rb.lib.sys.epollWait(rb.epoll_fd, rb.rings.length, timeout_ms);
	if (typeof events === "number") return events;
	return consume_events(rb, events);
}

/** What ring_buffer__poll() does with the events it got. */
export function consume_events(rb: ring_buffer, events: readonly Pick<EpollEvent, "data">[]): number {
	let res = 0;
	for (const e of events) {
		const err = ringbuf_process_ring(rb.rings[Number(e.data)]!, INT_MAX);
		if (err < 0) return err;
		res += err;
	}
	return Math.min(res, INT_MAX);
}

export const ring_buffer__epoll_fd = (rb: ring_buffer): number => rb.epoll_fd;
/** The ring at an index; null beyond the last. */
export const ring_buffer__ring = (rb: ring_buffer, idx: number): ring | null => rb.rings[idx] ?? null;
export const ring__consumer_pos = (r: ring): number => Number(r.lib.sys.load64(r.consumer_pos));
export const ring__producer_pos = (r: ring): number => Number(r.lib.sys.load64(r.producer_pos));
export const ring__avail_data_size = (r: ring): number => ring__producer_pos(r) - ring__consumer_pos(r);
export const ring__size = (r: ring): number => r.mask + 1;
export const ring__map_fd = (r: ring): number => r.map_fd;
export const ring__consume_n = (r: ring, n: number): number => Math.min(ringbuf_process_ring(r, n), INT_MAX);
export const ring__consume = (r: ring): number => ring__consume_n(r, INT_MAX);

/** struct user_ring_buffer: user space produces, the kernel consumes. */
export interface user_ring_buffer {
	readonly lib: Libbpf;
	consumer_pos: number;
	producer_pos: number;
	data: number;
	mask: number;
	readonly page_size: number;
	map_fd: number;
	epoll_fd: number;
}

export function user_ring_buffer__free(rb: user_ring_buffer | null): void {
	if (!rb) return;
	const { sys } = rb.lib;
	if (rb.consumer_pos) sys.munmap(rb.consumer_pos, rb.page_size);
	if (rb.producer_pos) sys.munmap(rb.producer_pos, rb.page_size + 2 * (rb.mask + 1));
	rb.consumer_pos = 0;
	rb.producer_pos = 0;
	if (rb.epoll_fd >= 0) sys.close(rb.epoll_fd);
	rb.epoll_fd = -1;
}

/** tools/lib/bpf/ringbuf.c: user_ringbuf_map */
function user_ringbuf_map(rb: user_ring_buffer, map_fd: number): number {
	const { lib } = rb;
	const { sys } = lib;
	const info = bpf_map_get_info_by_fd(lib, map_fd);
	if (typeof info === "number") {
		lib.pr_warn(`user ringbuf: failed to get map info for fd=${map_fd}: ${info}\n`);
		return info;
	}
	if (info.type !== BPF_MAP_TYPE_USER_RINGBUF) {
		lib.pr_warn(`user ringbuf: map fd=${map_fd} is not BPF_MAP_TYPE_USER_RINGBUF\n`);
		return -EINVAL;
	}
	rb.map_fd = map_fd;
	rb.mask = info.max_entries - 1;
	let addr = sys.mmap(0, rb.page_size, PROT_READ, MAP_SHARED, map_fd, 0);
	if (addr < 0) {
		lib.pr_warn(`user ringbuf: failed to mmap consumer page for map fd=${map_fd}: ${addr}\n`);
		return addr;
	}
	rb.consumer_pos = addr;
	const size = rb.page_size + 2 * info.max_entries;
	addr = sys.mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, rb.page_size);
	if (addr < 0) {
		lib.pr_warn(`user ringbuf: failed to mmap data pages for map fd=${map_fd}: ${addr}\n`);
		return addr;
	}
	rb.producer_pos = addr;
	rb.data = addr + rb.page_size;
	const err = sys.epollCtl(rb.epoll_fd, EPOLL_CTL_ADD, map_fd, { events: EPOLLOUT, data: 0n });
	if (err < 0) {
		lib.pr_warn(`user ringbuf: failed to epoll add map fd=${map_fd}: ${err}\n`);
		return err;
	}
	return 0;
}

export function user_ring_buffer__new(lib: Libbpf, map_fd: number): user_ring_buffer | number {
	const rb: user_ring_buffer = {
		lib,
		consumer_pos: 0,
		producer_pos: 0,
		data: 0,
		mask: 0,
		page_size: lib.sys.pageSize,
		map_fd: -1,
		epoll_fd: lib.sys.epollCreate1(EPOLL_CLOEXEC),
	};
	if (rb.epoll_fd < 0) {
		lib.pr_warn(`user ringbuf: failed to create epoll instance: ${rb.epoll_fd}\n`);
		return rb.epoll_fd;
	}
	const err = user_ringbuf_map(rb, map_fd);
	if (err) {
		user_ring_buffer__free(rb);
		return err;
	}
	return rb;
}

function user_ringbuf_commit(rb: user_ring_buffer, sample: number, discard: boolean): void {
	const { sys } = rb.lib;
	// Through the first of the two mappings of the data: the sample may lie in the second.
	const hdr = rb.data + at(rb.mask + 1 + (sample - rb.data) - BPF_RINGBUF_HDR_SZ, rb.mask);
	let len = sys.load32(hdr) & ~BPF_RINGBUF_BUSY_BIT;
	if (discard) len |= BPF_RINGBUF_DISCARD_BIT;
	sys.store32(hdr, len >>> 0);
}
export const user_ring_buffer__discard = (rb: user_ring_buffer, sample: number): void =>
	user_ringbuf_commit(rb, sample, true);
export const user_ring_buffer__submit = (rb: user_ring_buffer, sample: number): void =>
	user_ringbuf_commit(rb, sample, false);

function modulo(v: number, n: number): number {
	return ((v % n) + n) % n;
}

/** tools/lib/bpf/ringbuf.c: user_ring_buffer__reserve: address of the sample, or -E2BIG, -ENOSPC. */
export function user_ring_buffer__reserve(rb: user_ring_buffer, size: number): number {
	const { sys } = rb.lib;
	if (size >= BPF_RINGBUF_DISCARD_BIT) return -E2BIG;
	const cons_pos = Number(sys.load64(rb.consumer_pos));
	const prod_pos = Number(sys.load64(rb.producer_pos));
	const max_size = rb.mask + 1;
	// a u32: positions further apart than the ring is large leave a large rest
	const avail_size = modulo(max_size - (prod_pos - cons_pos), 2 ** 32);
	const total_size = Math.floor((size + BPF_RINGBUF_HDR_SZ + 7) / 8) * 8;
	if (total_size > max_size) return -E2BIG;
	if (avail_size < total_size) return -ENOSPC;
	const hdr = rb.data + at(prod_pos, rb.mask);
	sys.store32(hdr, (size | BPF_RINGBUF_BUSY_BIT) >>> 0);
	sys.store32(hdr + 4, 0);
	sys.store64(rb.producer_pos, BigInt(prod_pos + total_size));
	return rb.data + at(prod_pos + BPF_RINGBUF_HDR_SZ, rb.mask);
}

/** Waits for room for at most `timeout_ms` (-1: for ever). */
export async function user_ring_buffer__reserve_blocking(
	rb: user_ring_buffer,
	size: number,
	timeout_ms: number,
): Promise<number> {
	if (timeout_ms < 0 && timeout_ms !== -1) return -EINVAL;
	const { sys } = rb.lib;
	const start = timeout_ms === -1 ? 0n : sys.clockMonotonic();
	let ms_remaining = timeout_ms;
	do {
		const sample = user_ring_buffer__reserve(rb, size);
		if (sample >= 0 || sample !== -ENOSPC) return sample;
		// The kernel says EPOLLOUT when it has consumed something, not when there is room for this sample.
		const events = await sys.epollWait(rb.epoll_fd, 1, ms_remaining);
		if (typeof events === "number") return events;
		if (timeout_ms === -1) continue;
		ms_remaining = timeout_ms - Number((sys.clockMonotonic() - start) / 1_000_000n);
	} while (timeout_ms === -1 || ms_remaining > 0);
	return user_ring_buffer__reserve(rb, size);
}
