// SPDX-License-Identifier: GPL-2.0-only
/** Ring buffers in maps of maps, polled together (prog_tests/ringbuf_multi.c). */
import type { Sys } from "../../../include/sys.ts";
import { BPF_MAP_TYPE_RINGBUF } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map__set_inner_map_fd,
	bpf_map__set_max_entries,
	bpf_map_create,
	type ring_buffer,
	ring_buffer__add,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__poll,
} from "../../../tools/lib/bpf/libbpf.ts";
import { nrGetpgid, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** A ring for each CPU, then one for each half of the tasks. */
async function sharded(t: TestEnv, skel: Skel, rb: ring_buffer, seen: bigint[]): Promise<void> {
	const sample = async (slot: number, sys: Sys): Promise<void> => {
		skel.set("value", slot === 0 ? 333 : 777);
		sys.getpgid(0);
	};
	seen.length = 0;
	skel.set("by", 1);
	const order = t.sys.nrCpus > 1 ? [1, 0, 1] : [0, 0, 0];
	for (const cpu of order) {
		if (!t.ASSERT_OK(t.sys.setCpu(cpu), "setCpu")) return;
		await sample(cpu, t.sys);
	}
	t.sys.setCpu(0);
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 3, "by CPU");
	const cpus = order.map((cpu) => (cpu === 0 ? "333" : "777"));
	t.ASSERT_STREQ(seen.map(String).sort().join(), cpus.sort().join(), "rings of the CPUs");
	seen.length = 0;
	skel.set("by", 2);
	const tids = [];
	for (let i = 0; i < 4; i++)
		tids.push(
			await t.sys.thread(async (sys) => {
				const tid = sys.gettid();
				await sample(tid % 2, sys);
				return tid;
			}),
		);
	t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 4, "by task");
	const want = tids.map((tid) => (tid % 2 === 0 ? "333" : "777"));
	t.ASSERT_STREQ(seen.map(String).sort().join(), want.sort().join(), "rings of the tasks");
	t.ASSERT_EQ(skel.get("skipped"), 1, "skipped");
}

export const ringbufMulti: ProgTest = {
	name: "ringbuf_multi",
	attaches: true,
	async run(t) {
		const skel = Skel.open(t, "test_ringbuf_multi");
		if (!skel) return;
		const { sys } = t;
		const page = sys.pageSize;
		for (const name of ["ringbuf1", "ringbuf2"])
			t.ASSERT_OK(bpf_map__set_max_entries(skel.map(name), page), `${name}_size`);
		// The inner map's size is a template's: rings of other sizes do not go in.
		const proto = bpf_map_create(skel.lib, BPF_MAP_TYPE_RINGBUF, null, 0, 0, page);
		if (!t.ASSERT_OK_FD(proto, "bpf_map_create")) return skel.destroy();
		t.ASSERT_OK(bpf_map__set_inner_map_fd(skel.map("ringbuf_hash"), proto), "bpf_map__set_inner_map_fd");
		const loaded = t.ASSERT_OK(skel.load(), "skel_load");
		sys.close(proto);
		if (!loaded) return skel.destroy();

		const seen: bigint[] = [];
		const collect = (ring: number) => (addr: number, size: number) => {
			t.ASSERT_EQ(size, 32, "sample_size");
			const value = read64(sys.load(addr, size), 8);
			t.ASSERT_EQ(value, ring === 1 ? 333n : 777n, `ring${ring}_value`);
			seen.push(value);
			return 0;
		};
		const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("ringbuf1")), collect(1));
		if (!t.ASSERT_OK_PTR(rb, "ringbuf_create") || typeof rb === "number") return skel.destroy();
		t.ASSERT_OK(ring_buffer__add(rb, bpf_map__fd(skel.map("ringbuf2")), collect(2)), "ringbuf_add");

		skel.set("pid", sys.getpid());
		skel.set("syscall_nr", nrGetpgid(sys.arch));
		if (t.ASSERT_OK(skel.attach(), "skel_attach")) {
			skel.set("target_ring", 0);
			skel.set("value", 333);
			sys.getpgid(0);
			// An empty slot of the array.
			skel.set("target_ring", 1);
			sys.getpgid(0);
			skel.set("target_ring", 2);
			skel.set("value", 777);
			sys.getpgid(0);
			t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 2, "poll_res");
			t.ASSERT_EQ(seen.length, 2, "seen");
			t.ASSERT_EQ(skel.get("dropped"), 0, "dropped");
			t.ASSERT_EQ(skel.get("skipped"), 1, "skipped");
			t.ASSERT_EQ(skel.get("total"), 2, "total");
			await sharded(t, skel, rb, seen);
		}
		ring_buffer__free(rb);
		skel.destroy();
	},
};
