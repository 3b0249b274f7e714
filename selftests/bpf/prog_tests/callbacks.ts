// SPDX-License-Identifier: GPL-2.0-only
/** Functions called by helpers: bpf_loop() and bpf_for_each_map_elem() (prog_tests/bpf_loop.c, for_each.c). */
import { E2BIG, EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_map__fd, bpf_map_update_elem, bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { key32, Skel, val64 } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

export const bpfLoop: ProgTest = {
	name: "bpf_loop",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_callbacks");
		if (!skel) return;
		const loop = (nr: number, stop: number): void => {
			skel.set("nr_loops", nr);
			skel.set("stop_at", stop);
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("loop").fd, {}), "run");
		};
		if (t.startSubtest("check_nr_loops")) {
			loop(0, -1);
			t.ASSERT_EQ(skel.get("loop_ret"), 0, "0 loops");
			loop(500, -1);
			t.ASSERT_EQ(skel.get("loop_ret"), 500, "500 loops");
			t.ASSERT_EQ(skel.get("loop_sum"), (500 * 499) / 2, "sum");
			loop(1 << 24, -1);
			t.ASSERT_EQ(skel.get("loop_ret"), -E2BIG, "over max limit");
		}
		if (t.startSubtest("check_callback_fn_stop")) {
			loop(400, 7);
			t.ASSERT_EQ(skel.get("loop_ret"), 8, "loops until stopped");
			t.ASSERT_EQ(skel.get("loop_sum"), 21, "sum until stopped");
		}
		if (t.startSubtest("check_invalid_flags")) {
			skel.set("flags", 1);
			loop(10, -1);
			t.ASSERT_EQ(skel.get("loop_ret"), -EINVAL, "err");
			skel.set("flags", 0);
		}
		t.endSubtest();
		skel.destroy();
	},
};

function fill(t: TestEnv, skel: Skel): void {
	for (let i = 0; i < 5; i++)
		t.ASSERT_OK(
			bpf_map_update_elem(skel.lib, bpf_map__fd(skel.map("arraymap")), key32(i), val64(i + 1)),
			"array_fill",
		);
	for (let i = 0; i < 3; i++)
		t.ASSERT_OK(
			bpf_map_update_elem(skel.lib, bpf_map__fd(skel.map("hashmap")), key32(i * 7), val64(100 + i)),
			"hash_fill",
		);
}

export const forEach: ProgTest = {
	name: "for_each",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_callbacks");
		if (!skel) return;
		fill(t, skel);
		const opts = { data_in: new Uint8Array(64), repeat: 1, retval: 1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("for_each").fd, opts), "run");
		t.ASSERT_EQ(skel.get("array_sum"), 15, "array_sum");
		t.ASSERT_EQ(skel.get("hash_sum"), 303, "hash_sum");
		t.ASSERT_EQ(skel.get("hash_ret"), 3, "hash_ret");
		// The last walk stops at the third element.
		t.ASSERT_EQ(skel.get("array_ret"), 3, "stopped");
		skel.destroy();
	},
};
