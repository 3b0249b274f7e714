// SPDX-License-Identifier: GPL-2.0-only
/** Dynptrs of map values, ring buffers and packets (prog_tests/dynptr.c). */
import {
	bpf_link__destroy,
	bpf_map__fd,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	ring__avail_data_size,
	ring_buffer__consume,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__ring,
} from "../../../tools/lib/bpf/libbpf.ts";
import { read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const HEADER = 8;

function run(t: TestEnv, skel: Skel, prog: string, retval = 0, data: Uint8Array | null = null): Uint8Array {
	const out = new Uint8Array(128);
	const opts = data ? { data_in: data, data_out: out, repeat: 1, retval: -1 } : { retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), "test_run");
	t.ASSERT_EQ(opts.retval, retval, "retval");
	t.ASSERT_EQ(skel.get("err"), 0, "line of a failed check");
	skel.set("err", 0);
	return out;
}

/** Records of a dynptr arrive as others do, with the size that was asked for at run time. */
function ring(t: TestEnv, skel: Skel): void {
	const sizes: number[] = [];
	const values: bigint[] = [];
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("ringbuf")), (addr, size) => {
		const rec = t.sys.load(addr, size);
		t.ASSERT_EQ(read32(rec, 0), t.sys.getpid(), "pid");
		sizes.push(size);
		values.push(read64(rec, 8));
		return 0;
	});
	if (!t.ASSERT_OK_PTR(rb, "ringbuf_create") || typeof rb === "number") return;
	// what other subtests discarded
	t.ASSERT_EQ(ring_buffer__consume(rb), 0, "discarded records");
	for (const more of [0, 1, 700]) {
		skel.set("size", more);
		run(t, skel, "ring");
	}
	t.ASSERT_EQ(
		ring__avail_data_size(ring_buffer__ring(rb, 0)!),
		3 * HEADER + 16 + 24 + 720,
		"rounded to 8 bytes",
	);
	t.ASSERT_EQ(ring_buffer__consume(rb), 3, "consume");
	t.ASSERT_STREQ(sizes.join(), "16,17,716", "sizes");
	t.ASSERT_STREQ(values.join(), "0,1,700", "values");
	ring_buffer__free(rb);
}

export const dynptr: ProgTest = {
	name: "dynptr",
	run(t) {
		const skel = Skel.openAndLoad(t, "dynptr");
		if (!skel) return;
		const pkt = new Uint8Array(64).map((_, i) => i);
		pkt.set([0x08, 0x00], 12);
		const want = pkt.slice();
		want.set([0x61, 0x62, 0x63], 40);
		if (t.startSubtest("ring_refused")) run(t, skel, "ring_refused");
		for (const prog of ["read_write", "data", "clone"]) if (t.startSubtest(prog)) run(t, skel, prog);
		if (t.startSubtest("ring")) ring(t, skel);
		if (t.startSubtest("adjust")) run(t, skel, "adjust");
		if (t.startSubtest("skb")) t.ASSERT_BYTES(run(t, skel, "skb", 0, pkt).subarray(0, 64), want, "packet");
		if (t.startSubtest("skb_rdonly")) run(t, skel, "skb_rdonly", 1, pkt);
		if (t.startSubtest("skb_no_buffer")) run(t, skel, "skb_no_buffer", 1, pkt);
		if (t.startSubtest("skb_freed")) {
			const link = bpf_program__attach(skel.prog("skb_freed"));
			if (t.ASSERT_OK_PTR(link, "attach") && typeof link !== "number") {
				run(t, skel, "skb", 0, pkt);
				bpf_link__destroy(link);
				run(t, skel, "skb", 0, pkt);
				t.ASSERT_EQ(skel.get("freed"), 1, "packets freed while attached");
			}
		}
		if (t.startSubtest("xdp"))
			t.ASSERT_BYTES(run(t, skel, "xdp_packet", 2, pkt).subarray(0, 64), want, "packet");
		t.endSubtest();
		skel.destroy();
	},
};
