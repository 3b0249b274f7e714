// SPDX-License-Identifier: GPL-2.0-only
/** BPF_PROG_TEST_RUN's buffers, sizes and errors (prog_tests/prog_run_opts.c). */
import { EINVAL, ENOSPC } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

/** An Ethernet frame with an IPv4 header. */
function frame(len: number): Uint8Array {
	const out = new Uint8Array(len).map((_, i) => i);
	out.set([0x08, 0x00], 12);
	return out;
}

export const progRunOpts: ProgTest = {
	name: "prog_run_opts",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_pkt_access");
		if (!skel) return;
		const { fd } = skel.prog("test_pkt_access");
		const pkt = frame(54);

		// Too small a buffer: what fits is given, with the size that it would take.
		const small = { data_in: pkt, data_out: new Uint8Array(5), repeat: 1, retval: 1, data_size_out: 5 };
		t.ASSERT_EQ(bpf_prog_test_run_opts(skel.lib, fd, small), -ENOSPC, "test_run errno");
		t.ASSERT_EQ(small.retval, 0, "test_run retval");
		t.ASSERT_EQ(small.data_size_out, pkt.length, "test_run data_size_out");
		t.ASSERT_BYTES(small.data_out, pkt.subarray(0, 5), "test_run data_out");

		// No buffer at all is fine.
		const none = { data_in: pkt, repeat: 1, retval: 1, data_size_out: 0 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, none), "run_no_output");
		t.ASSERT_EQ(none.data_size_out, pkt.length, "run_no_output data_size_out");
		t.ASSERT_EQ(none.retval, 0, "run_no_output retval");

		t.ASSERT_EQ(skel.get("seen_len"), 54, "seen_len");
		t.ASSERT_EQ(skel.get("seen_proto"), 0x0800, "seen_proto");

		// The context goes in and comes out: struct __sk_buff.
		const ctx = new Uint8Array(192);
		new DataView(ctx.buffer).setUint32(48, 5, true);
		const withCtx = { data_in: pkt, ctx_in: ctx, ctx_out: new Uint8Array(192), repeat: 1, retval: 1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, withCtx), "run_ctx");
		const out = new DataView(withCtx.ctx_out.buffer);
		t.ASSERT_EQ(out.getUint32(48, true), 6, "ctx_out cb");
		t.ASSERT_EQ(out.getUint32(32, true), 6, "ctx_out priority");
		t.ASSERT_EQ(out.getUint32(8, true), 10, "ctx_out mark");

		// Fields that a test run cannot set must be zero.
		new DataView(ctx.buffer).setUint32(0, 1, true);
		t.ASSERT_EQ(
			bpf_prog_test_run_opts(skel.lib, fd, { data_in: pkt, ctx_in: ctx }),
			-EINVAL,
			"ctx_len_nonzero",
		);
		t.ASSERT_EQ(
			bpf_prog_test_run_opts(skel.lib, fd, { data_in: frame(14).subarray(0, 13) }),
			-EINVAL,
			"runt",
		);
		t.ASSERT_ERR(bpf_prog_test_run_opts(skel.lib, 12345, { data_in: pkt }), "bad_fd");
		skel.destroy();
	},
};
