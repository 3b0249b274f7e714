// SPDX-License-Identifier: GPL-2.0-only
/** Timers and work queues of map values (prog_tests/timer.c, wq.c). */
import { EBUSY, EDEADLK, EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_map__fd, bpf_map_lookup_elem, bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read32, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

function run(t: TestEnv, skel: Skel, prog: string): void {
	const opts = { retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), prog);
	t.ASSERT_EQ(opts.retval, 0, `${prog} retval`);
}

export const timer: ProgTest = {
	name: "timer",
	async run(t) {
		const skel = Skel.openAndLoad(t, "timer");
		if (!skel) return;
		run(t, skel, "start");
		t.ASSERT_EQ(skel.get("err_missing"), -EINVAL, "start before init");
		t.ASSERT_EQ(skel.get("err_clock"), -EINVAL, "a clock that is none");
		t.ASSERT_EQ(skel.get("err_twice"), -EBUSY, "init twice");
		t.ASSERT_EQ(skel.get("err_unset"), -EINVAL, "no callback");
		await t.sys.nanosleep(50_000_000);
		t.ASSERT_EQ(skel.get("ticks"), 5, "ticks");
		t.ASSERT_EQ(skel.get("last_key"), 2, "key of the array");
		t.ASSERT_EQ(skel.get("err_self"), -EDEADLK, "cancel in its own callback");
		t.ASSERT_GT(skel.get("fired_at"), 0, "time");
		t.ASSERT_EQ(skel.get("hash_key"), 77, "key of the hash");
		const value = new Uint8Array(24);
		const hash = bpf_map__fd(skel.map("hash"));
		t.ASSERT_EQ(bpf_map_lookup_elem(skel.lib, hash, key32(77), value), -ENOENT, "deleted itself");

		run(t, skel, "cancel");
		t.ASSERT_EQ(skel.get("cancelled"), 1, "was pending");
		await t.sys.nanosleep(10_000_000);
		t.ASSERT_EQ(skel.get("ticks"), 5, "did not go off");
		skel.destroy();
	},
};

export const wq: ProgTest = {
	name: "wq",
	async run(t) {
		const skel = Skel.openAndLoad(t, "timer");
		if (!skel) return;
		run(t, skel, "queue");
		await t.sys.nanosleep(10_000_000);
		t.ASSERT_EQ(skel.get("work_key"), 9, "key");
		const value = new Uint8Array(24);
		t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, bpf_map__fd(skel.map("works")), key32(9), value), "lookup");
		t.ASSERT_EQ(read32(value, 0), 1, "value");
		skel.destroy();
	},
};
