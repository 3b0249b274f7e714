// SPDX-License-Identifier: GPL-2.0-only
/** The ring buffer: samples to a mapped consumer, notifications, what may be mapped and how (prog_tests/ringbuf.c). */
import { EACCES, EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import {
	MAP_SHARED,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../../../include/uapi/asm-generic/mman.ts";
import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map__set_max_entries,
	ring__avail_data_size,
	ring__consumer_pos,
	ring__map_fd,
	ring__producer_pos,
	ring__size,
	type ring_buffer,
	ring_buffer__consume,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__poll,
	ring_buffer__ring,
} from "../../../tools/lib/bpf/libbpf.ts";
import { nrGetpgid, read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";
import { ringbufMapKey, ringbufN, ringbufWrite } from "../upstream_objects/ringbuf.ts";

const SAMPLE_SIZE = 32;
const HEADER = 8;

/** Checks one sample: { int pid, seq; long value; char comm[16]; } */
function checkSample(t: TestEnv, skel: Skel, addr: number, size: number): number {
	const s = t.sys.load(addr, size);
	t.ASSERT_EQ(size, SAMPLE_SIZE, "sample_size");
	const seq = read32(s, 4);
	t.ASSERT_EQ(read32(s, 0), skel.get("pid"), "pid");
	switch (seq) {
		case 0:
			t.ASSERT_EQ(read64(s, 8), 333, "sample1_value");
			break;
		case 1:
			t.ASSERT_EQ(read64(s, 8), 777, "sample2_value");
			break;
		default:
			break;
	}
	return 0;
}

/** Which parts of a ring a process may map, and how. */
function mapping(t: TestEnv, fd: number, ringSize: number): void {
	const { sys } = t;
	const page = sys.pageSize;
	const rw = PROT_READ | PROT_WRITE;

	// The consumer's page is the first; nothing else of it may be written.
	let p = sys.mmap(0, page, rw, MAP_SHARED, fd, 0);
	if (!t.ASSERT_GT(p, 0, "rw_cons_pos")) return;
	t.ASSERT_EQ(sys.munmap(p, page), 0, "unmap_rw");
	p = sys.mmap(0, page, PROT_READ, MAP_SHARED, fd, 0);
	t.ASSERT_GT(p, 0, "ro_cons_pos");
	// A mapping that began read only stays so.
	t.ASSERT_EQ(sys.mprotect(p, page, rw), -EACCES, "protect_writable");
	t.ASSERT_EQ(sys.munmap(p, page), 0, "unmap_ro");

	// The producer's page and the data are read only, and stay so.
	t.ASSERT_EQ(sys.mmap(0, page, rw, MAP_SHARED, fd, page), -EPERM, "write_prod_pos");
	t.ASSERT_EQ(sys.mmap(0, ringSize * 2, rw, MAP_SHARED, fd, 2 * page), -EPERM, "write_data");
	p = sys.mmap(0, page + 2 * ringSize, PROT_READ, MAP_SHARED, fd, page);
	if (!t.ASSERT_GT(p, 0, "ro_prod_and_data")) return;
	t.ASSERT_ERR(sys.mprotect(p, page, PROT_WRITE), "write_protect");
	t.ASSERT_ERR(sys.mprotect(p, page, PROT_EXEC | PROT_READ), "exec_protect");
	t.ASSERT_ERR(sys.mremap(p, 0, 3 * page, MREMAP_MAYMOVE), "ro_remap");
	t.ASSERT_EQ(sys.munmap(p, page + 2 * ringSize), 0, "unmap_ro_data");
	// Beyond both copies of the data there is nothing.
	t.ASSERT_ERR(sys.mmap(0, page, PROT_READ, MAP_SHARED, fd, 2 * page + 2 * ringSize), "beyond");
}

async function samples(t: TestEnv, skel: Skel, rb: ring_buffer, seen: { n: number }): Promise<void> {
	const { sys } = t;
	const trigger = () => sys.getpgid(0);
	skel.set("pid", sys.getpid());
	skel.set("syscall_nr", nrGetpgid(sys.arch));
	if (!t.ASSERT_OK(skel.attach(), "skel_attach")) return;

	skel.set("value", 333);
	trigger();
	skel.set("value", 777);
	trigger();
	// One sample submitted; of the second the copy comes out, its reservation was discarded.
	t.ASSERT_EQ(skel.get("total"), 2, "total");
	t.ASSERT_EQ(skel.get("discarded"), 1, "discarded");
	t.ASSERT_EQ(skel.get("dropped"), 0, "dropped");
	const rec = SAMPLE_SIZE + HEADER;
	t.ASSERT_EQ(skel.get("avail_data"), 3 * rec, "avail_size");
	t.ASSERT_EQ(skel.get("ring_size"), sys.pageSize, "ring_size");
	t.ASSERT_EQ(skel.get("cons_pos"), 0, "cons_pos");
	t.ASSERT_EQ(skel.get("prod_pos"), 3 * rec, "prod_pos");

	const ring = ring_buffer__ring(rb, 0)!;
	t.ASSERT_EQ(ring__avail_data_size(ring), 3 * rec, "ring_avail_size");
	t.ASSERT_EQ(ring__consumer_pos(ring), 0, "ring_cons_pos");
	t.ASSERT_EQ(ring__producer_pos(ring), 3 * rec, "ring_prod_pos");
	t.ASSERT_EQ(ring__size(ring), sys.pageSize, "ring_ring_size");
	t.ASSERT_EQ(ring__map_fd(ring), bpf_map__fd(skel.map("ringbuf")), "ring_map_fd");

	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 2, "poll_res");
	t.ASSERT_EQ(seen.n, 2, "samples_seen");
	t.ASSERT_EQ(ring__consumer_pos(ring), 3 * rec, "ring_cons_pos_after");

	// The level-triggered ring leaves epoll's ready list only when it is found empty.
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "poll_empty");
	// Nothing is announced that the producer does not want announced.
	skel.set("flags", BPF_RB_NO_WAKEUP);
	trigger();
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "poll_silent");
	t.ASSERT_EQ(ring_buffer__consume(rb), 1, "consume_silent");
	// A forced announcement comes at once, whatever lies there already.
	trigger();
	skel.set("flags", BPF_RB_FORCE_WAKEUP);
	trigger();
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 2, "poll_forced");
	// Without flags: when the consumer has caught up, not before.
	skel.set("flags", 0);
	trigger();
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 1, "poll_adaptive");
}

/** Waits in poll until another thread has made the program say something. */
async function background(t: TestEnv, skel: Skel, rb: ring_buffer): Promise<void> {
	skel.set("flags", 0);
	const trigger = t.sys.thread(async (sys) => {
		await sys.yieldCpu();
		return sys.getpgid(0);
	});
	t.ASSERT_EQ(await ring_buffer__poll(rb, 10000), 1, "bg_poll");
	await trigger;
	// Silent samples wake no one, and who is behind is not woken by others either; a forced one is told of at once.
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "drained");
	let back = false;
	const seen: boolean[] = [];
	const producer = t.sys.thread(async (sys) => {
		for (const flags of [BPF_RB_NO_WAKEUP, 0, BPF_RB_FORCE_WAKEUP]) {
			await sys.yieldCpu();
			seen.push(back);
			skel.set("flags", flags, sys);
			sys.getpgid(0);
		}
	});
	t.ASSERT_EQ(await ring_buffer__poll(rb, 10000), 3, "bg_poll_forced");
	back = true;
	await producer;
	t.ASSERT_STREQ(seen.join(), "false,false,false", "blocked until then");
}

/** The ring fills up: what does not fit is dropped, and counted. */
function overflow(t: TestEnv, skel: Skel, rb: ring_buffer): void {
	ring_buffer__consume(rb);
	skel.set("dropped", 0);
	skel.set("total", 0);
	skel.set("flags", BPF_RB_NO_WAKEUP);
	const before = skel.get("total");
	for (let i = 0; i < 300; i++) t.sys.getpgid(0);
	t.ASSERT_GT(skel.get("dropped"), 0, "dropped_some");
	t.ASSERT_GT(skel.get("total") - before, 0, "kept_some");
	t.ASSERT_EQ(skel.get("total") + skel.get("dropped"), 300, "all_accounted");
}

export const ringbuf: ProgTest = {
	name: "ringbuf",
	async run(t) {
		if (t.startSubtest("ringbuf_n")) ringbufN(t);
		if (t.startSubtest("ringbuf_map_key")) await ringbufMapKey(t);
		if (t.startSubtest("ringbuf_write")) ringbufWrite(t);
		t.endSubtest();
		const skel = Skel.open(t, "test_ringbuf");
		if (!skel) return;
		bpf_map__set_max_entries(skel.map("ringbuf"), t.sys.pageSize);
		if (t.ASSERT_OK(skel.load(), "skel_load")) {
			const fd = bpf_map__fd(skel.map("ringbuf"));
			if (t.startSubtest("mapping")) mapping(t, fd, t.sys.pageSize);
			const seen = { n: 0 };
			const rb = ring_buffer__new(skel.lib, fd, (addr, size) => {
				seen.n++;
				return checkSample(t, skel, addr, size);
			});
			if (t.ASSERT_OK_PTR(rb, "ringbuf_create") && typeof rb !== "number") {
				if (t.startSubtest("samples")) await samples(t, skel, rb, seen);
				if (t.startSubtest("background")) await background(t, skel, rb);
				if (t.startSubtest("overflow")) overflow(t, skel, rb);
				t.endSubtest();
				ring_buffer__free(rb);
			}
		}
		skel.destroy();
	},
};
