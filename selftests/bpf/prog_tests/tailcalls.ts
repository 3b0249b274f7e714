// SPDX-License-Identifier: GPL-2.0-only
/** Tail calls: direct and indirect, empty slots, and the limit of 33 (prog_tests/tailcalls.c). */
import { ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import {
	bpf_map__fd,
	bpf_map_delete_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

export const tailcalls: ProgTest = {
	name: "tailcalls",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_tailcall");
		if (!skel) return;
		const table = bpf_map__fd(skel.map("jmp_table"));
		const pkt = new Uint8Array(54);
		const run = (prog: string): number => {
			const opts = { data_in: pkt, repeat: 1, retval: -1 };
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), `run ${prog}`);
			return opts.retval;
		};
		const set = (slot: number, prog: string) =>
			t.ASSERT_OK(
				bpf_map_update_elem(skel.lib, table, key32(slot), key32(skel.prog(prog).fd)),
				`set ${slot}`,
			);

		if (t.startSubtest("empty")) {
			t.ASSERT_EQ(run("entry"), 3, "fall through");
			t.ASSERT_EQ(run("entry_var"), 4, "fall through, variable");
		}
		if (t.startSubtest("direct")) {
			set(0, "classifier_1");
			t.ASSERT_EQ(run("entry"), 108, "taken");
			t.ASSERT_OK(bpf_map_delete_elem(skel.lib, table, key32(0)), "delete");
			t.ASSERT_EQ(run("entry"), 3, "gone");
			t.ASSERT_EQ(bpf_map_delete_elem(skel.lib, table, key32(0)), -ENOENT, "delete again");
		}
		if (t.startSubtest("indirect")) {
			set(2, "classifier_1");
			skel.set("which", 2);
			t.ASSERT_EQ(run("entry_var"), 108, "taken");
			skel.set("which", 7);
			t.ASSERT_EQ(run("entry_var"), 4, "index out of range");
		}
		if (t.startSubtest("limit")) {
			set(0, "classifier_0");
			skel.set("count", 0);
			t.ASSERT_EQ(run("entry"), 1, "retval");
			// One entry, and 33 tail calls.
			t.ASSERT_EQ(skel.get("count"), 33, "count");
			t.ASSERT_OK(bpf_map_delete_elem(skel.lib, table, key32(0)), "delete");
		}
		t.endSubtest();
		skel.destroy();
	},
};
