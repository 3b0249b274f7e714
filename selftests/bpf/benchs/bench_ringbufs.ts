// SPDX-License-Identifier: GPL-2.0-only
/**
 * Ring buffer against perf buffer, each through libbpf and through a consumer of its own
 * (benchs/bench_ringbufs.c).
 */
import type { Sys } from "../../../include/sys.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import { BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_HDR_SZ } from "../../../include/uapi/linux/bpf.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_map__fd,
	bpf_map__set_max_entries,
	bpf_program__attach,
	LIBBPF_PERF_EVENT_CONT,
	LIBBPF_PERF_EVENT_ERROR,
	type perf_buffer,
	perf_buffer__buffer,
	perf_buffer__buffer_cnt,
	perf_buffer__epoll_fd,
	perf_buffer__free,
	perf_buffer__new_raw,
	perf_buffer__poll,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__poll,
} from "../../../tools/lib/bpf/libbpf.ts";
import {
	type Bench,
	type BenchEnv,
	BenchError,
	type BenchInstance,
	type BenchRun,
	type RingbufArgs,
} from "../bench.ts";
import { eventAttr } from "../perf.ts";
import { Skel } from "../skel.ts";

const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CLOEXEC = 0o2000000;

/**
 * Records that a producer makes before others get their turn. On a kernel the consumer runs beside it; here a
 * switch of tasks costs as much as some records, so that a small batch alone would measure switches.
 */
const RECORDS_A_TURN = 500;

/** struct counter */
interface Counter {
	value: number;
}

function bufs_validate(env: BenchEnv, args: RingbufArgs): void {
	if (env.consumer_cnt !== 1) throw new BenchError("rb-libbpf benchmark needs one consumer!");
	if (args.back2back && env.producer_cnt > 1)
		throw new BenchError("back-to-back mode makes sense only for single-producer case!");
}

function bufs_trigger_batch(sys: Sys): void {
	sys.getpgid(0);
}

async function bufs_sample_producer(run: BenchRun, sys: Sys): Promise<void> {
	if (run.args.back2back) {
		// something to begin with
		bufs_trigger_batch(sys);
		return;
	}
	while (!run.done) {
		for (let n = 0; n < RECORDS_A_TURN; n += Math.max(run.args.batch_cnt, 1)) bufs_trigger_batch(sys);
		await sys.yieldCpu();
	}
}

/** A consumer that triggers batches itself never waits: it has to let the clock be looked at now and then. */
class Turns {
	private n = 0;
	async next(sys: Sys): Promise<void> {
		if ((++this.n & 63) === 0) await sys.yieldCpu();
	}
}

/** The skeleton, loaded and attached, and what is counted of it. */
interface Setup {
	readonly skel: Skel;
	readonly hits: Counter;
	measure(): { hits: number; drops: number };
}

function counted(skel: Skel): Setup {
	const hits = { value: 0 };
	return {
		skel,
		hits,
		measure() {
			const res = { hits: hits.value, drops: Number(skel.get("dropped")) };
			hits.value = 0;
			skel.set("dropped", 0);
			return res;
		},
	};
}

function ringbuf_setup_skeleton(run: BenchRun): Setup {
	const { args, lib } = run;
	const skel = Skel.openFor(lib, "ringbuf_bench");
	if (typeof skel === "number") throw new BenchError("failed to open skeleton");
	skel.set("batch_cnt", args.batch_cnt);
	skel.set("use_output", args.ringbuf_use_output ? 1 : 0);
	// a record and its header take 16 bytes
	if (args.sampled) skel.set("wakeup_data_size", args.sample_rate * 16);
	bpf_map__set_max_entries(skel.map("ringbuf"), args.ringbuf_sz);
	if (skel.load()) throw new BenchError("failed to load skeleton");
	return counted(skel);
}

function attach(skel: Skel, prog: string): bpf_link {
	const link = bpf_program__attach(skel.prog(prog));
	if (typeof link === "number") throw new BenchError("failed to attach program!");
	return link;
}

function ringbuf_libbpf_setup(run: BenchRun): BenchInstance {
	const s = ringbuf_setup_skeleton(run);
	const rb = ring_buffer__new(run.lib, bpf_map__fd(s.skel.map("ringbuf")), () => {
		s.hits.value++;
		return 0;
	});
	if (typeof rb === "number") throw new BenchError("failed to create ringbuf");
	const link = attach(s.skel, "bench_ringbuf");
	return {
		producer: (sys) => bufs_sample_producer(run, sys),
		async consumer(sys) {
			const turns = new Turns();
			while ((await ring_buffer__poll(rb, -1)) >= 0) {
				if (run.done) return;
				if (run.args.back2back) {
					bufs_trigger_batch(sys);
					await turns.next(sys);
				}
			}
			if (!run.done) throw new BenchError("ringbuf polling failed!");
		},
		trigger: bufs_trigger_batch,
		measure: s.measure,
		destroy() {
			bpf_link__destroy(link);
			ring_buffer__free(rb);
			s.skel.destroy();
		},
	};
}

/** Bytes that a record takes, header and padding included. */
function roundup_len(len: number): number {
	return (((len & 0x3fffffff) + BPF_RINGBUF_HDR_SZ + 7) >>> 3) << 3;
}

function ringbuf_custom_setup(run: BenchRun): BenchInstance {
	const s = ringbuf_setup_skeleton(run);
	const { sys, args } = run;
	const page = sys.pageSize;
	const map_fd = bpf_map__fd(s.skel.map("ringbuf"));
	const epoll_fd = sys.epollCreate1(EPOLL_CLOEXEC);
	if (epoll_fd < 0) throw new BenchError(`failed to create epoll fd: ${epoll_fd}`);
	const consumer_pos = sys.mmap(0, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (consumer_pos < 0) throw new BenchError(`failed to mmap consumer page: ${consumer_pos}`);
	const size = page + 2 * args.ringbuf_sz;
	const producer_pos = sys.mmap(0, size, PROT_READ, MAP_SHARED, map_fd, page);
	if (producer_pos < 0) throw new BenchError(`failed to mmap data pages: ${producer_pos}`);
	const data = producer_pos + page;
	const mask = args.ringbuf_sz - 1;
	const err = sys.epollCtl(epoll_fd, EPOLL_CTL_ADD, map_fd, { events: EPOLLIN, data: 0n });
	if (err < 0) throw new BenchError(`failed to epoll add ringbuf: ${err}`);
	const link = attach(s.skel, "bench_ringbuf");
	const process_ring = (own: Sys): void => {
		let cons_pos = Number(own.load64(consumer_pos));
		for (;;) {
			let got_new_data = false;
			const prod_pos = Number(own.load64(producer_pos));
			while (cons_pos < prod_pos) {
				const len = own.load32(data + (cons_pos & mask));
				// not committed yet
				if (len >= BPF_RINGBUF_BUSY_BIT) return;
				got_new_data = true;
				cons_pos += roundup_len(len);
				s.hits.value++;
			}
			if (!got_new_data) return;
			own.store64(consumer_pos, BigInt(cons_pos));
		}
	};
	return {
		producer: (own) => bufs_sample_producer(run, own),
		async consumer(own) {
			const turns = new Turns();
			for (;;) {
				if (run.args.back2back) bufs_trigger_batch(own);
				const cnt = await own.epollWait(epoll_fd, 1, -1);
				if (run.done) return;
				if (typeof cnt === "number") throw new BenchError("ringbuf polling failed!");
				if (cnt.length > 0) process_ring(own);
				if (run.args.back2back) await turns.next(own);
			}
		},
		trigger: bufs_trigger_batch,
		measure: s.measure,
		destroy() {
			bpf_link__destroy(link);
			sys.munmap(consumer_pos, page);
			sys.munmap(producer_pos, size);
			sys.close(epoll_fd);
			s.skel.destroy();
		},
	};
}

/** perfbuf_libbpf_setup(), which both consumers of perf buffers share */
function perfbuf_setup(
	run: BenchRun,
	consumer: (s: Setup, pb: perf_buffer, sys: Sys) => Promise<void>,
): BenchInstance {
	const { args, lib } = run;
	const skel = Skel.openFor(lib, "perfbuf_bench");
	if (typeof skel === "number") throw new BenchError("failed to open skeleton");
	skel.set("batch_cnt", args.batch_cnt);
	if (skel.load()) throw new BenchError("failed to load skeleton");
	const s = counted(skel);
	const rate = args.sampled ? args.sample_rate : 1;
	const attr = eventAttr({
		type: P.PERF_TYPE_SOFTWARE,
		config: P.PERF_COUNT_SW_BPF_OUTPUT,
		sample_type: P.PERF_SAMPLE_RAW,
		period: rate,
		wakeup_events: rate,
	});
	if (args.sample_rate > args.batch_cnt)
		throw new BenchError(
			`sample rate ${args.sample_rate} is too high for given batch count ${args.batch_cnt}`,
		);
	const pb = perf_buffer__new_raw(lib, bpf_map__fd(skel.map("perfbuf")), args.perfbuf_sz, attr, (_cpu, e) => {
		switch (e[0]! | (e[1]! << 8)) {
			case P.PERF_RECORD_SAMPLE:
				s.hits.value++;
				return LIBBPF_PERF_EVENT_CONT;
			case P.PERF_RECORD_LOST:
				return LIBBPF_PERF_EVENT_CONT;
			default:
				return LIBBPF_PERF_EVENT_ERROR;
		}
	});
	if (typeof pb === "number") throw new BenchError("failed to create perfbuf");
	const link = attach(skel, "bench_perfbuf");
	return {
		producer: (sys) => bufs_sample_producer(run, sys),
		consumer: (sys) => consumer(s, pb, sys),
		trigger: bufs_trigger_batch,
		measure: s.measure,
		destroy() {
			bpf_link__destroy(link);
			perf_buffer__free(pb);
			skel.destroy();
		},
	};
}

function perfbuf_libbpf_setup(run: BenchRun): BenchInstance {
	return perfbuf_setup(run, async (_s, pb, sys) => {
		const turns = new Turns();
		while ((await perf_buffer__poll(pb, -1)) >= 0) {
			if (run.done) return;
			if (run.args.back2back) {
				bufs_trigger_batch(sys);
				await turns.next(sys);
			}
		}
		if (!run.done) throw new BenchError("perfbuf polling failed!");
	});
}

function perfbuf_custom_setup(run: BenchRun): BenchInstance {
	return perfbuf_setup(run, async (s, pb, sys) => {
		const turns = new Turns();
		const n = perf_buffer__buffer_cnt(pb);
		const bases: number[] = [];
		for (let i = 0; i < n; i++) {
			const b = perf_buffer__buffer(pb, i);
			bases.push(typeof b === "number" ? 0 : b.buf);
		}
		const mask = pb.mmap_size - 1;
		for (;;) {
			if (run.args.back2back) bufs_trigger_batch(sys);
			const events = await sys.epollWait(perf_buffer__epoll_fd(pb), n, -1);
			if (run.done) return;
			if (typeof events === "number" || events.length === 0)
				throw new BenchError(`perf epoll failed: ${typeof events === "number" ? events : 0}`);
			for (const e of events) {
				const header = bases[Number(e.data)]!;
				const base = header + pb.page_size;
				const data_head = Number(sys.load64(header + P.PERF_MMAP.data_head));
				let data_tail = Number(sys.load64(header + P.PERF_MMAP.data_tail));
				while (data_head !== data_tail) {
					const at = base + (data_tail & mask);
					if (sys.load32(at) === P.PERF_RECORD_SAMPLE) s.hits.value++;
					data_tail += sys.load32(at + 4) >>> 16;
				}
				sys.store64(header + P.PERF_MMAP.data_tail, BigInt(data_tail));
			}
			if (run.args.back2back) await turns.next(sys);
		}
	});
}

export const benchRbLibbpf: Bench = {
	name: "rb-libbpf",
	validate: bufs_validate,
	setup: ringbuf_libbpf_setup,
};
export const benchRbCustom: Bench = {
	name: "rb-custom",
	validate: bufs_validate,
	setup: ringbuf_custom_setup,
};
export const benchPbLibbpf: Bench = {
	name: "pb-libbpf",
	validate: bufs_validate,
	setup: perfbuf_libbpf_setup,
};
export const benchPbCustom: Bench = {
	name: "pb-custom",
	validate: bufs_validate,
	setup: perfbuf_custom_setup,
};
