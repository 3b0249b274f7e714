// SPDX-License-Identifier: GPL-2.0-only
/** Under way. */
import { bpf_map_area_free, map_alloc_plain, map_image_del, type map_ops } from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

function mk(struct: string): map_ops {
	return {
		symbols: {},
		map_meta_equal: bpf_map_meta_equal,
		map_alloc: (k, a, o) => map_alloc_plain(k, a, o, struct),
		map_free: (m) => {
			map_image_del(m);
			bpf_map_area_free(m.kernel, m.addr);
		},
		map_mem_usage: () => 0n,
		map_check_btf: () => 0,
		map_btf_name: struct,
	};
}
export const ringbuf_map_ops: map_ops = mk("bpf_ringbuf_map");
export const user_ringbuf_map_ops: map_ops = mk("bpf_ringbuf_map");
