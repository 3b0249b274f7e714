// SPDX-License-Identifier: GPL-2.0-only
/** A program on a function that it calls itself (prog_tests/recursion.c). */
import { bpf_map__fd, bpf_map_delete_elem, bpf_prog_get_info_by_fd } from "../../../tools/lib/bpf/libbpf.ts";
import { key32, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

export const recursion: ProgTest = {
	name: "recursion",
	attaches: true,
	run(t) {
		const skel = Skel.openAndLoad(t, "recursion");
		if (!skel) return;
		if (t.ASSERT_OK(skel.attach(), "attach")) {
			for (const n of [1, 2]) {
				const fd = bpf_map__fd(skel.map(`hash${n}`));
				t.ASSERT_EQ(skel.get(`pass${n}`), 0, `pass${n} == 0`);
				bpf_map_delete_elem(skel.lib, fd, key32(0));
				t.ASSERT_EQ(skel.get(`pass${n}`), 1, `pass${n} == 1`);
				bpf_map_delete_elem(skel.lib, fd, key32(0));
				t.ASSERT_EQ(skel.get(`pass${n}`), 2, `pass${n} == 2`);
			}
			const info = bpf_prog_get_info_by_fd(skel.lib, skel.prog("on_delete").fd);
			if (t.ASSERT_OK_PTR(info, "get_prog_info") && typeof info !== "number")
				t.ASSERT_EQ(info.recursion_misses, 2, "recursion_misses");
		}
		skel.destroy();
	},
};
