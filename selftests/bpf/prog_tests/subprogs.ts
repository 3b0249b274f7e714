// SPDX-License-Identifier: GPL-2.0-only
/** Calls between functions (prog_tests/subprogs.c). */
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

export const subprogs: ProgTest = {
	name: "subprogs",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_subprogs");
		if (!skel) return;
		for (const name of ["prog1", "prog2", "prog3"])
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(name).fd, {}), name);
		t.ASSERT_EQ(skel.get("res1"), 12, "res1");
		t.ASSERT_EQ(skel.get("res2"), 17, "res2");
		t.ASSERT_EQ(skel.get("res3"), 39, "res3");
		t.ASSERT_EQ(skel.get("tgid"), t.sys.getpid(), "tgid");
		skel.destroy();
	},
};
