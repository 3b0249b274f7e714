// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/ringbuf.c: a ring of records of any size that programs fill and user space reads through
 * its own mapping; and the other way round, the user ring buffer.
 *
 *   | struct bpf_ringbuf | consumer page | producer page | data pages | the same data pages |
 *
 * The data pages are mapped twice, so a record that wraps is contiguous for both sides. A record's
 * header: length with the busy and discard bits, and how many pages after the struct it begins, so
 * that submit finds the ring from the record alone.
 */
import {
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
	BPF_MAX_USER_RINGBUF_SAMPLES,
} from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EAGAIN,
	EBUSY,
	EINVAL,
	ENODATA,
	ENOMEM,
	ENOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_NUMA_NODE,
	BPF_RB_AVAIL_DATA,
	BPF_RB_CONS_POS,
	BPF_RB_FORCE_WAKEUP,
	BPF_RB_NO_WAKEUP,
	BPF_RB_PROD_POS,
	BPF_RB_RING_SIZE,
	BPF_RINGBUF_BUSY_BIT,
	BPF_RINGBUF_DISCARD_BIT,
	BPF_RINGBUF_HDR_SZ,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { EPOLLIN, EPOLLOUT, EPOLLRDNORM, EPOLLWRNORM, type file, type poll_table } from "../file.ts";
import { irq_work } from "../irq_work.ts";
import type { Kernel } from "../kernel.ts";
import { impl, type KernelImpl } from "../kernel_impl.ts";
import { PAGE_SHIFT, PAGE_SIZE, VM_WRITE, type vm_area_struct } from "../kmem.ts";
import { raw_spinlock } from "../spinlock.ts";
import { wait_queue_head } from "../wait.ts";
import { bpf_map } from "./bpf_types.ts";
import { bpf_dynptr_check_size, bpf_dynptr_init, bpf_dynptr_set_null } from "./dynptr.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_init_from_attr,
	map_image_add,
	map_image_del,
	type map_ops,
	remap_vmalloc_range,
} from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

const RINGBUF_CREATE_FLAG_MASK = BPF_F_NUMA_NODE;
const RINGBUF_POS_PAGES = 2;
/** UINT_MAX / 4 */
const RINGBUF_MAX_RECORD_SZ = 0x3fffffff;
const FORCE_WAKEUP = BigInt(BPF_RB_FORCE_WAKEUP);
const NO_WAKEUP = BigInt(BPF_RB_NO_WAKEUP);
const U64 = (v: bigint): bigint => BigInt.asUintN(64, v);

/** struct bpf_ringbuf: what the kernel keeps beside the shared pages; `addr` is the guest's struct. */
export class bpf_ringbuf {
	readonly kernel: KernelImpl;
	readonly addr: number;
	readonly mask: number;
	readonly pages: readonly number[];
	/** The array of page pointers that the kernel allocates too. */
	readonly pages_area: number;
	readonly pgoff: number;
	readonly waitq = new wait_queue_head();
	/** bpf_ringbuf_notify() */
	readonly work = new irq_work(() => this.waitq.wake_up_all());
	readonly spinlock: raw_spinlock;
	/** Addresses of fields of the struct. */
	readonly busy: number;
	readonly cons: number;
	readonly prod: number;
	readonly pend: number;
	readonly data: number;
	/** The dynptr that a drain hands to its callback; one drain at a time has it. */
	dynptr = 0;

	constructor(
		kernel: KernelImpl,
		addr: number,
		data_sz: number,
		pages: readonly number[],
		pages_area: number,
	) {
		this.kernel = kernel;
		this.addr = addr;
		this.mask = data_sz - 1;
		this.pages = pages;
		this.pages_area = pages_area;
		this.spinlock = new raw_spinlock(kernel, "bpf_ringbuf.spinlock");
		this.busy = addr + koffsetof(kernel, "bpf_ringbuf", "busy");
		this.cons = addr + koffsetof(kernel, "bpf_ringbuf", "consumer_pos");
		this.prod = addr + koffsetof(kernel, "bpf_ringbuf", "producer_pos");
		this.pend = addr + koffsetof(kernel, "bpf_ringbuf", "pending_pos");
		this.data = addr + koffsetof(kernel, "bpf_ringbuf", "data");
		this.pgoff = ringbuf_pgoff(kernel);
	}
	get consumer_pos(): bigint {
		return this.kernel.shared.r64(this.cons);
	}
	set consumer_pos(v: bigint) {
		this.kernel.shared.w64(this.cons, v);
	}
	get producer_pos(): bigint {
		return this.kernel.shared.r64(this.prod);
	}
	set producer_pos(v: bigint) {
		this.kernel.shared.w64(this.prod, v);
	}
	get pending_pos(): bigint {
		return this.kernel.shared.r64(this.pend);
	}
	set pending_pos(v: bigint) {
		this.kernel.shared.w64(this.pend, v);
	}
	/** Address of the byte at a position. */
	at(pos: bigint): number {
		return this.data + Number(pos & BigInt(this.mask));
	}

	// The same as numbers. Those of the kernel are exact: no ring lives to see 2^53 bytes. What user space
	// wrote for the consumer is read as a signed number, exact where it matters: near the producer's.
	get consumer(): number {
		return this.kernel.shared.rptr(this.cons);
	}
	get producer(): number {
		return this.kernel.shared.rptr(this.prod);
	}
	set producer(v: number) {
		this.kernel.shared.wptr(this.prod, v);
	}
	get pending(): number {
		return this.kernel.shared.rptr(this.pend);
	}
	set pending(v: number) {
		this.kernel.shared.wptr(this.pend, v);
	}
	/** Address of the byte at a position that is a number. */
	place(pos: number): number {
		return this.data + (pos & this.mask);
	}
	/** irq_work_queue(&rb->work) */
	queue_notify(): void {
		this.kernel.irq_work_queue(this.work);
	}
}

/** struct bpf_ringbuf_map */
export class bpf_ringbuf_map extends bpf_map {
	rb!: bpf_ringbuf;
}

/** RINGBUF_PGOFF: pages of the struct that user space does not map. */
function ringbuf_pgoff(kernel: Kernel): number {
	return koffsetof(kernel, "bpf_ringbuf", "consumer_pos") >> PAGE_SHIFT;
}

function rb_of(map: bpf_map): bpf_ringbuf {
	return (map as bpf_ringbuf_map).rb;
}

/** kernel/bpf/ringbuf.c: bpf_ringbuf_area_alloc and bpf_ringbuf_alloc */
function bpf_ringbuf_alloc(kernel: Kernel, data_sz: number): bpf_ringbuf | null {
	const k = impl(kernel);
	const { kmem } = k;
	const nr_meta_pages = ringbuf_pgoff(kernel) + RINGBUF_POS_PAGES;
	const nr_data_pages = data_sz / PAGE_SIZE;
	const nr_pages = nr_meta_pages + nr_data_pages;
	const area = bpf_map_area_alloc(kernel, (nr_meta_pages + 2 * nr_data_pages) * 8);
	if (area === 0) return null;
	const pages: number[] = [];
	const fail = (): null => {
		for (const p of pages) kmem.put_page(p);
		bpf_map_area_free(kernel, area);
		return null;
	};
	for (let i = 0; i < nr_pages; i++) {
		const pfn = kmem.alloc_page();
		if (pfn < 0) return fail();
		pages.push(pfn);
	}
	const addr = kmem.vmap([...pages, ...pages.slice(nr_meta_pages)]);
	if (addr === 0) return fail();
	kmem.w64(addr + koffsetof(kernel, "bpf_ringbuf", "mask"), BigInt(data_sz - 1));
	kmem.wptr(addr + koffsetof(kernel, "bpf_ringbuf", "pages"), area);
	kmem.w32(addr + koffsetof(kernel, "bpf_ringbuf", "nr_pages"), nr_pages);
	const rb = new bpf_ringbuf(k, addr, data_sz, pages, area);
	k.bpf.ringbufs.set(addr, rb);
	return rb;
}

/** kernel/bpf/ringbuf.c: ringbuf_map_alloc */
function ringbuf_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	if (attr.map_flags & ~RINGBUF_CREATE_FLAG_MASK) return -EINVAL;
	const n = attr.max_entries;
	if (attr.key_size || attr.value_size || n === 0 || (n & (n - 1)) !== 0 || n % PAGE_SIZE !== 0)
		return -EINVAL;
	const addr = bpf_map_area_alloc(kernel, ksizeof(kernel, "bpf_ringbuf_map"));
	if (addr === 0) return -ENOMEM;
	const rb = bpf_ringbuf_alloc(kernel, n);
	if (!rb) {
		bpf_map_area_free(kernel, addr);
		return -ENOMEM;
	}
	rb.dynptr = impl(kernel).kmem.kzalloc(16);
	if (rb.dynptr === 0) {
		bpf_ringbuf_free(rb);
		bpf_map_area_free(kernel, addr);
		return -ENOMEM;
	}
	const map = new bpf_ringbuf_map(kernel, ops);
	bpf_map_init_from_attr(map, attr);
	map.rb = rb;
	impl(kernel).kmem.wptr(addr + koffsetof(kernel, "bpf_ringbuf_map", "rb"), rb.addr);
	map_image_add(map, addr);
	return map;
}

/** kernel/bpf/ringbuf.c: bpf_ringbuf_free */
function bpf_ringbuf_free(rb: bpf_ringbuf): void {
	const k = rb.kernel;
	k.bpf.ringbufs.delete(rb.addr);
	k.bpf.last_ringbuf = null;
	k.kmem.kfree(rb.dynptr);
	k.kmem.vunmap(rb.addr);
	for (const p of rb.pages) k.kmem.put_page(p);
	bpf_map_area_free(k, rb.pages_area);
}

/** kernel/bpf/ringbuf.c: ringbuf_map_free */
function ringbuf_map_free(map: bpf_map): void {
	bpf_ringbuf_free(rb_of(map));
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

/** kernel/bpf/ringbuf.c: ringbuf_map_mmap_kern: only the consumer's position may be written. */
function ringbuf_map_mmap_kern(map: bpf_map, vma: vm_area_struct): number {
	const rb = rb_of(map);
	if (vma.vm_flags & VM_WRITE && (vma.vm_pgoff !== 0 || vma.vm_end - vma.vm_start !== PAGE_SIZE))
		return -EPERM;
	return ringbuf_remap(rb, vma);
}

/** kernel/bpf/ringbuf.c: ringbuf_map_mmap_user: all but the consumer's position may be written. */
function ringbuf_map_mmap_user(map: bpf_map, vma: vm_area_struct): number {
	if (vma.vm_flags & VM_WRITE && vma.vm_pgoff === 0) return -EPERM;
	return ringbuf_remap(rb_of(map), vma);
}

/** remap_vmalloc_range() of the ring, which checks offset and size. */
function ringbuf_remap(rb: bpf_ringbuf, vma: vm_area_struct): number {
	const total = rb.pages.length + (rb.mask + 1) / PAGE_SIZE;
	const pgoff = vma.vm_pgoff + rb.pgoff;
	if (pgoff + (vma.vm_end - vma.vm_start) / PAGE_SIZE > total) return -EINVAL;
	return remap_vmalloc_range(rb.kernel, vma, rb.addr, pgoff);
}

function ringbuf_avail_data_sz(rb: bpf_ringbuf): bigint {
	return U64(rb.producer_pos - rb.consumer_pos);
}

function ringbuf_total_data_sz(rb: bpf_ringbuf): number {
	return rb.mask + 1;
}

function ringbuf_map_poll_kern(map: bpf_map, f: file, pt: poll_table | null): number {
	const rb = rb_of(map);
	pt?.wait(f, rb.waitq);
	return ringbuf_avail_data_sz(rb) ? EPOLLIN | EPOLLRDNORM : 0;
}

function ringbuf_map_poll_user(map: bpf_map, f: file, pt: poll_table | null): number {
	const rb = rb_of(map);
	pt?.wait(f, rb.waitq);
	return ringbuf_avail_data_sz(rb) < BigInt(ringbuf_total_data_sz(rb)) ? EPOLLOUT | EPOLLWRNORM : 0;
}

/** kernel/bpf/ringbuf.c: ringbuf_map_mem_usage */
function ringbuf_map_mem_usage(map: bpf_map): bigint {
	const rb = rb_of(map);
	const nr_meta_pages = rb.pgoff + RINGBUF_POS_PAGES;
	const nr_data_pages = map.max_entries / PAGE_SIZE;
	return BigInt(
		ksizeof(map.kernel, "bpf_ringbuf_map") +
			rb.pages.length * PAGE_SIZE +
			(nr_meta_pages + 2 * nr_data_pages) * 8,
	);
}

const common = {
	symbols: {
		map_lookup_elem: "ringbuf_map_lookup_elem",
		map_update_elem: "ringbuf_map_update_elem",
		map_delete_elem: "ringbuf_map_delete_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: ringbuf_map_alloc,
	map_free: ringbuf_map_free,
	map_lookup_elem: () => -ENOTSUPP,
	map_update_elem: () => -ENOTSUPP,
	map_delete_elem: () => -ENOTSUPP,
	map_get_next_key: () => -ENOTSUPP,
	map_mem_usage: ringbuf_map_mem_usage,
	map_btf_name: "bpf_ringbuf_map",
};

export const ringbuf_map_ops: map_ops = {
	...common,
	map_mmap: ringbuf_map_mmap_kern,
	map_poll: ringbuf_map_poll_kern,
};

export const user_ringbuf_map_ops: map_ops = {
	...common,
	map_mmap: ringbuf_map_mmap_user,
	map_poll: ringbuf_map_poll_user,
};

/** Bytes that a record of `len` takes. */
function record_size(len: number): number {
	return Math.ceil((len + BPF_RINGBUF_HDR_SZ) / 8) * 8;
}

/** raw_spin_lock_irqsave() of the ring; in an NMI it is only tried. */
function ringbuf_lock(rb: bpf_ringbuf): boolean {
	const k = rb.kernel;
	k.local_irq_save();
	if (!k.in_nmi) {
		rb.spinlock.lock();
		return true;
	}
	if (rb.spinlock.trylock()) return true;
	k.local_irq_restore();
	return false;
}

function ringbuf_unlock(rb: bpf_ringbuf): void {
	rb.spinlock.unlock();
	rb.kernel.local_irq_restore();
}

/** kernel/bpf/ringbuf.c: __bpf_ringbuf_reserve: the record's address, or 0. */
export function __bpf_ringbuf_reserve(rb: bpf_ringbuf, size: number): number {
	const { mask } = rb;
	const { shared } = rb.kernel;
	if (size > RINGBUF_MAX_RECORD_SZ) return 0;
	const len = record_size(size);
	if (len > mask + 1) return 0;
	const cons_pos = rb.consumer;

	if (!ringbuf_lock(rb)) return 0;
	let pend_pos = rb.pending;
	const prod_pos = rb.producer;
	const new_prod_pos = prod_pos + len;
	while (pend_pos < prod_pos) {
		const hdr_len = shared.r32(rb.place(pend_pos));
		if (hdr_len & BPF_RINGBUF_BUSY_BIT) break;
		pend_pos += record_size(hdr_len & ~BPF_RINGBUF_DISCARD_BIT);
	}
	rb.pending = pend_pos;
	// neither the consumer nor the oldest record that is still busy may be overtaken; in 64 bits without sign
	// a consumer ahead of the producer is far behind it
	const used = new_prod_pos - cons_pos;
	if (used < 0 || used > mask || new_prod_pos - pend_pos > mask) {
		ringbuf_unlock(rb);
		return 0;
	}
	const hdr = rb.place(prod_pos);
	shared.w32(hdr, (size | BPF_RINGBUF_BUSY_BIT) >>> 0);
	shared.w32(hdr + 4, Math.floor((hdr - rb.addr) / PAGE_SIZE));
	rb.producer = new_prod_pos;
	ringbuf_unlock(rb);
	return hdr + BPF_RINGBUF_HDR_SZ;
}

/** kernel/bpf/ringbuf.c: bpf_ringbuf_restore_from_rec */
function bpf_ringbuf_restore_from_rec(k: KernelImpl, hdr: number): bpf_ringbuf {
	const addr = hdr - (hdr & (PAGE_SIZE - 1)) - k.shared.r32(hdr + 4) * PAGE_SIZE;
	const { bpf } = k;
	if (bpf.last_ringbuf?.addr === addr) return bpf.last_ringbuf;
	const rb = bpf.ringbufs.get(addr);
	if (!rb) throw new Error(`no ring buffer at 0x${addr_to_u64(addr).toString(16)}`);
	bpf.last_ringbuf = rb;
	return rb;
}

/** kernel/bpf/ringbuf.c: bpf_ringbuf_commit */
export function bpf_ringbuf_commit(k: KernelImpl, sample: number, flags: number, discard: boolean): void {
	const hdr = sample - BPF_RINGBUF_HDR_SZ;
	const rb = bpf_ringbuf_restore_from_rec(k, hdr);
	let new_len = k.shared.r32(hdr) ^ BPF_RINGBUF_BUSY_BIT;
	if (discard) new_len |= BPF_RINGBUF_DISCARD_BIT;
	k.shared.w32(hdr, new_len >>> 0);
	// the consumer caught up with this very record and sleeps
	const rec_pos = hdr - rb.data;
	// the mask has no more bits, and a position that user space made up may have more than a number holds
	const cons_pos = k.shared.r32(rb.cons) & rb.mask;
	if (flags & BPF_RB_FORCE_WAKEUP) rb.queue_notify();
	else if (cons_pos === rec_pos && !(flags & BPF_RB_NO_WAKEUP)) rb.queue_notify();
}

/** A number of 64 bits as a helper got it, for comparison: what is not exact is large anyway. */
function size_of(size: bigint): number {
	return size > 0xffffffffn ? Number.POSITIVE_INFINITY : Number(size);
}

/** The same of a register read as a signed number. */
function large(size: number): number {
	return size < 0 ? Number.POSITIVE_INFINITY : size;
}

/** kernel/bpf/ringbuf.c: bpf_ringbuf_output: 0 or a negative errno. */
function bpf_ringbuf_output(
	k: KernelImpl,
	rb: bpf_ringbuf,
	data: number,
	size: number,
	flags: number,
): number {
	const rec = __bpf_ringbuf_reserve(rb, size);
	if (!rec) return -EAGAIN;
	k.shared.copy(rec, data, size);
	bpf_ringbuf_commit(k, rec, flags, false);
	return 0;
}

/** kernel/bpf/ringbuf.c: __bpf_user_ringbuf_peek */
function __bpf_user_ringbuf_peek(rb: bpf_ringbuf): { sample: number; size: number } | number {
	const prod_pos = rb.producer_pos;
	if (prod_pos % 8n) return -EINVAL;
	const cons_pos = rb.consumer_pos;
	if (cons_pos >= prod_pos) return -ENODATA;
	const hdr_len = rb.kernel.shared.r32(rb.at(cons_pos));
	const sample_len = (hdr_len & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)) >>> 0;
	const total_len = record_size(sample_len);
	if (BigInt(total_len) > prod_pos - cons_pos) return -EINVAL;
	if (total_len > ringbuf_total_data_sz(rb)) return -E2BIG;
	if (bpf_dynptr_check_size(sample_len)) return -E2BIG;
	if (hdr_len & BPF_RINGBUF_DISCARD_BIT) {
		rb.consumer_pos = U64(cons_pos + BigInt(total_len));
		return -EAGAIN;
	}
	if (hdr_len & BPF_RINGBUF_BUSY_BIT) return -ENODATA;
	return { sample: rb.at(cons_pos + BigInt(BPF_RINGBUF_HDR_SZ)), size: sample_len };
}

/** kernel/bpf/ringbuf.c: bpf_user_ringbuf_drain */
function bpf_user_ringbuf_drain(
	k: KernelImpl,
	rb: bpf_ringbuf,
	callback: bigint,
	callback_ctx: bigint,
	flags: bigint,
): number {
	if (flags & ~(NO_WAKEUP | FORCE_WAKEUP)) return -EINVAL;
	if (k.shared.cmpxchg32(rb.busy, 0, 1) !== 0) return -EBUSY;
	let samples = 0;
	let discarded_samples = 0;
	let ret = 0;
	let failed = false;
	for (; samples < BPF_MAX_USER_RINGBUF_SAMPLES && ret === 0; samples++) {
		const s = __bpf_user_ringbuf_peek(rb);
		if (typeof s === "number") {
			if (s === -ENODATA) break;
			if (s === -EAGAIN) {
				discarded_samples++;
				continue;
			}
			ret = s;
			failed = true;
			break;
		}
		bpf_dynptr_init(k.kmem, rb.dynptr, s.sample, BPF_DYNPTR_TYPE_LOCAL, 0, s.size);
		ret = k.call_guest(callback, [addr_to_u64(rb.dynptr), callback_ctx, 0n, 0n, 0n]) === 0n ? 0 : 1;
		// __bpf_user_ringbuf_sample_release()
		rb.consumer_pos = U64(rb.consumer_pos + BigInt(record_size(s.size)));
	}
	if (!failed) ret = samples - discarded_samples;
	k.shared.w32(rb.busy, 0);
	if (flags & FORCE_WAKEUP) rb.queue_notify();
	else if (!(flags & NO_WAKEUP) && samples > 0) rb.queue_notify();
	return ret;
}

/** The helpers' bodies. */
export function register_ringbuf_helpers(k: KernelImpl): void {
	const { bodies } = k.bpf;
	const ring = (map: bigint): bpf_ringbuf => rb_of(k.bpf.map_of(map));
	const u = (va: number): bigint => addr_to_u64(va);
	const WAKEUPS = BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP;
	bodies.set("bpf_ringbuf_reserve", (_c, map, size, flags) =>
		flags ? 0n : u(__bpf_ringbuf_reserve(ring(map), size_of(size))),
	);
	for (const [name, discard] of [
		["bpf_ringbuf_submit", false],
		["bpf_ringbuf_discard", true],
	] as const) {
		bodies.set(name, (_c, sample, flags) => {
			bpf_ringbuf_commit(k, u64_to_addr(sample), Number(flags & 3n), discard);
			return 0n;
		});
		k.bpf.direct.set(name, (cpu) => {
			bpf_ringbuf_commit(k, cpu.argp(0), cpu.arg32(1), discard);
			return 0;
		});
	}
	bodies.set("bpf_ringbuf_output", (_c, map, data, size, flags) =>
		flags & ~BigInt(WAKEUPS)
			? BigInt(-EINVAL)
			: BigInt(bpf_ringbuf_output(k, ring(map), u64_to_addr(data), size_of(size), Number(flags))),
	);
	// the two that programs call for every record, without the detour through wide integers
	k.bpf.direct.set("bpf_ringbuf_reserve", (cpu) =>
		cpu.argp(2) ? 0 : __bpf_ringbuf_reserve(rb_of(k.bpf.map_at(cpu.argp(0))), large(cpu.argp(1))),
	);
	k.bpf.direct.set("bpf_ringbuf_output", (cpu) => {
		const flags = cpu.argp(3);
		if (flags < 0 || flags > WAKEUPS) return -EINVAL;
		return bpf_ringbuf_output(k, rb_of(k.bpf.map_at(cpu.argp(0))), cpu.argp(1), large(cpu.argp(2)), flags);
	});
	const query = (rb: bpf_ringbuf, flags: bigint): bigint => {
		switch (flags) {
			case BigInt(BPF_RB_AVAIL_DATA):
				return ringbuf_avail_data_sz(rb);
			case BigInt(BPF_RB_RING_SIZE):
				return BigInt(ringbuf_total_data_sz(rb));
			case BigInt(BPF_RB_CONS_POS):
				return rb.consumer_pos;
			case BigInt(BPF_RB_PROD_POS):
				return rb.producer_pos;
			default:
				return 0n;
		}
	};
	bodies.set("bpf_ringbuf_query", (_c, map, flags) => query(ring(map), flags));
	k.bpf.direct.set("bpf_ringbuf_query", (cpu) => {
		const rb = rb_of(k.bpf.map_at(cpu.argp(0)));
		const cons = rb.consumer;
		if (cpu.argp(1) === BPF_RB_AVAIL_DATA && Number.isSafeInteger(cons)) return rb.producer - cons;
		return query(rb, cpu.arg(1));
	});
	bodies.set("bpf_ringbuf_reserve_dynptr", (_c, map, size64, flags, ptr64) => {
		const ptr = u64_to_addr(ptr64);
		const size = Number(size64 & 0xffffffffn);
		const null_with = (err: number): bigint => {
			bpf_dynptr_set_null(k.kmem, ptr);
			return BigInt(err);
		};
		if (flags) return null_with(-EINVAL);
		const err = bpf_dynptr_check_size(size);
		if (err) return null_with(err);
		const sample = __bpf_ringbuf_reserve(ring(map), size);
		if (!sample) return null_with(-EINVAL);
		bpf_dynptr_init(k.kmem, ptr, sample, BPF_DYNPTR_TYPE_RINGBUF, 0, size);
		return 0n;
	});
	for (const [name, discard] of [
		["bpf_ringbuf_submit_dynptr", false],
		["bpf_ringbuf_discard_dynptr", true],
	] as const)
		bodies.set(name, (_c, ptr64, flags) => {
			const ptr = u64_to_addr(ptr64);
			const data = k.kmem.rptr(ptr);
			if (!data) return 0n;
			bpf_ringbuf_commit(k, data, Number(flags & 3n), discard);
			bpf_dynptr_set_null(k.kmem, ptr);
			return 0n;
		});
	bodies.set("bpf_user_ringbuf_drain", (_c, map, callback, ctx, flags) =>
		BigInt(bpf_user_ringbuf_drain(k, ring(map), callback, ctx, flags)),
	);
}
