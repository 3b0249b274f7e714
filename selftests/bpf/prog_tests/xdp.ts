// SPDX-License-Identifier: GPL-2.0-only
/** An XDP program's verdicts, its changes to the packet, and per-CPU counters (prog_tests/xdp.c). */
import { bpf_map__fd, bpf_map_lookup_elem, bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read64, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;

export const xdp: ProgTest = {
	name: "xdp",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_xdp");
		if (!skel) return;
		const { fd } = skel.prog("swap_macs");
		const pkt = new Uint8Array(60).map((_, i) => i);
		pkt.set([0x08, 0x00], 12);
		const opts = { data_in: pkt, data_out: new Uint8Array(128), repeat: 1, retval: 0, data_size_out: 128 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, opts), "ipv4");
		t.ASSERT_EQ(opts.retval, XDP_TX, "ipv4 retval");
		t.ASSERT_EQ(opts.data_size_out, 60, "ipv4 size");
		const want = pkt.slice();
		want.set(pkt.subarray(6, 12), 0);
		want.set(pkt.subarray(0, 6), 6);
		t.ASSERT_BYTES(opts.data_out.subarray(0, 60), want, "ipv4 packet");

		const other = { data_in: pkt.map((b, i) => (i === 12 ? 9 : b)), repeat: 5, retval: 0 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, other), "other");
		t.ASSERT_EQ(other.retval, XDP_PASS, "other retval");

		const nr = t.sys.nrCpus;
		const counts = (verdict: number): bigint => {
			const value = new Uint8Array(8 * nr);
			t.ASSERT_OK(
				bpf_map_lookup_elem(skel.lib, bpf_map__fd(skel.map("verdicts")), key32(verdict), value),
				"verdicts",
			);
			let n = 0n;
			for (let cpu = 0; cpu < nr; cpu++) n += read64(value, 8 * cpu);
			return n;
		};
		t.ASSERT_EQ(counts(XDP_DROP), 0, "dropped");
		t.ASSERT_EQ(counts(XDP_PASS), 5, "passed");
		t.ASSERT_EQ(counts(XDP_TX), 1, "sent back");
		skel.destroy();
	},
};
