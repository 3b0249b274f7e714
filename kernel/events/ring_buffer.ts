// SPDX-License-Identifier: GPL-2.0-only
/**
 * The buffer of a perf event (kernel/events/ring_buffer.c): a control page that user space shares and
 * pages of records, which wrap. User space moves data_tail; the kernel never trusts more of it than its
 * low bits. The data pages are mapped twice for kernel code, so that a record is seldom cut.
 *
 * AUX areas belong to hardware that is not there.
 */
import { ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { PERF_MMAP, PERF_RECORD_LOST } from "../../include/uapi/linux/perf_event.ts";
import { EPOLLIN, EPOLLRDNORM } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { PAGE_SIZE } from "../kmem.ts";
import type { perf_event, perf_sample_data } from "./perf_event.ts";

export const RING_BUFFER_WRITABLE = 1;

/** struct perf_buffer */
export class perf_buffer {
	readonly kernel: KernelImpl;
	/** Address of the control page (user_page); the data follow it. */
	readonly addr: number;
	readonly pages: readonly number[];
	readonly nr_pages: number;
	/** Bytes written since the beginning; a buffer that is written backward counts down. */
	head = 0;
	watermark: number;
	/** Bytes at which the last wake-up was due. */
	wakeup = 0;
	/** Samples since the last wake-up. */
	events = 0;
	lost = 0;
	/** What poll() finds. */
	poll = 0;
	nest = 0;
	readonly overwrite: boolean;
	paused: boolean;
	mmap_count = 0;
	refcount = 1;
	readonly event_list: Set<perf_event> = new Set();

	constructor(
		kernel: KernelImpl,
		addr: number,
		pages: readonly number[],
		nr_pages: number,
		watermark: number,
		flags: number,
	) {
		this.kernel = kernel;
		this.addr = addr;
		this.pages = pages;
		this.nr_pages = nr_pages;
		const max_size = nr_pages * PAGE_SIZE;
		this.watermark = watermark ? Math.min(max_size, watermark) : 0;
		if (!this.watermark) this.watermark = max_size / 2;
		this.overwrite = !(flags & RING_BUFFER_WRITABLE);
		this.paused = nr_pages === 0;
	}

	/** perf_data_size() */
	get data_size(): number {
		return this.nr_pages * PAGE_SIZE;
	}
}

/** kernel/events/ring_buffer.c: rb_alloc; null when memory is out. */
export function rb_alloc(
	k: KernelImpl,
	nr_pages: number,
	watermark: number,
	flags: number,
): perf_buffer | null {
	const { kmem } = k;
	const pages: number[] = [];
	const fail = (): null => {
		for (const p of pages) kmem.put_page(p);
		return null;
	};
	for (let i = 0; i <= nr_pages; i++) {
		const pfn = kmem.alloc_page();
		if (pfn < 0) return fail();
		pages.push(pfn);
	}
	const addr = kmem.vmap([...pages, ...pages.slice(1)]);
	if (addr === 0) return fail();
	return new perf_buffer(k, addr, pages, nr_pages, watermark, flags);
}

/** kernel/events/core.c: ring_buffer_put, rb_free: the pages go after a grace period. */
export function ring_buffer_put(rb: perf_buffer): void {
	if (--rb.refcount > 0) return;
	const k = rb.kernel;
	k.rcu.call(() => {
		k.kmem.vunmap(rb.addr);
		for (const p of rb.pages) k.kmem.put_page(p);
	});
}

/** kernel/events/ring_buffer.c: perf_output_wakeup */
function perf_output_wakeup(rb: perf_buffer, event: perf_event): void {
	rb.poll = EPOLLIN | EPOLLRDNORM;
	event.pending_wakeup = true;
	event.queue_pending_irq();
}

/** struct perf_output_handle: where a record is being written. */
export class perf_output_handle {
	readonly rb: perf_buffer;
	readonly event: perf_event;
	/** rb->wakeup when the record was begun */
	private readonly wakeup: number;
	private readonly data: number;
	private readonly mask: number;
	private pos: number;

	private constructor(rb: perf_buffer, event: perf_event) {
		this.rb = rb;
		this.event = event;
		this.data = rb.addr + PAGE_SIZE;
		this.mask = rb.data_size - 1;
		this.pos = 0;
		rb.nest++;
		this.wakeup = rb.wakeup;
	}

	/** kernel/events/ring_buffer.c: __perf_output_begin: room for `size` bytes, or -ENOSPC. */
	static begin(data: perf_sample_data, event: perf_event, size0: number): perf_output_handle | number {
		const { rb } = event;
		if (!rb) return -ENOSPC;
		if (rb.paused) {
			if (rb.nr_pages) {
				rb.lost++;
				event.lost_samples++;
			}
			return -ENOSPC;
		}
		const have_lost = rb.lost > 0;
		let size = size0;
		if (have_lost) {
			size += 24;
			if (event.sample_id_all) size += event.id_header_size;
		}
		const handle = new perf_output_handle(rb, event);
		const backward = event.write_backward;
		const { kmem } = rb.kernel;
		let head = rb.head;
		if (!rb.overwrite) {
			const tail = kmem.r32(rb.addr + PERF_MMAP.data_tail);
			const space = backward ? (head - (tail + 1)) & handle.mask : (tail - (head + 1)) & handle.mask;
			if (space < size) {
				rb.lost++;
				event.lost_samples++;
				handle.put();
				return -ENOSPC;
			}
		}
		let offset = head;
		head = backward ? head - size : head + size;
		rb.head = head;
		if (backward) {
			offset = head;
			head = -head;
		}
		if (head - rb.wakeup > rb.watermark) rb.wakeup += rb.watermark;
		handle.pos = offset;
		if (have_lost) {
			handle.put32(PERF_RECORD_LOST);
			handle.put32(size - size0 === 24 ? 24 << 16 : (24 + event.id_header_size) << 16);
			handle.put64(BigInt(event.id));
			handle.put64(BigInt(rb.lost));
			rb.lost = 0;
			if (event.sample_id_all) event.output_id_sample(handle, data);
		}
		return handle;
	}

	/** kernel/events/ring_buffer.c: perf_output_put_handle: the outermost record shows what was written. */
	private put(): void {
		const { rb } = this;
		if (rb.nest > 1) {
			rb.nest--;
			return;
		}
		const { kmem } = rb.kernel;
		const at = rb.addr + PERF_MMAP.data_head;
		kmem.w32(at, rb.head >>> 0);
		kmem.w32(at + 4, Math.floor(rb.head / 0x100000000));
		rb.nest = 0;
		if (this.wakeup !== rb.wakeup) perf_output_wakeup(rb, this.event);
	}

	/** perf_output_end() */
	end(): void {
		this.put();
	}

	private place(len: number): number {
		const at = this.data + (this.pos & this.mask);
		this.pos += len;
		return at;
	}
	put32(v: number): void {
		this.rb.kernel.kmem.w32(this.place(4), v >>> 0);
	}
	put64(v: bigint): void {
		this.rb.kernel.kmem.w64(this.place(8), BigInt.asUintN(64, v));
	}
	/** perf_output_copy() of bytes that kernel code holds. */
	bytes(b: Uint8Array): void {
		for (let at = 0; at < b.length; ) {
			const n = Math.min(b.length - at, this.mask + 1);
			this.rb.kernel.kmem.write(this.place(n), b.subarray(at, at + n));
			at += n;
		}
	}
	/** The same of kernel memory. */
	copy(src: number, len: number): void {
		for (let at = 0; at < len; ) {
			const n = Math.min(len - at, this.mask + 1);
			this.rb.kernel.kmem.copy(this.place(n), src + at, n);
			at += n;
		}
	}
	/** perf_output_skip(): what lay there stays. */
	skip(len: number): void {
		this.pos += len;
	}
}
