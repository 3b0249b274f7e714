// SPDX-License-Identifier: GPL-2.0-only
/** Under way. */

import type { file } from "../file.ts";
import type { bpf_map } from "./bpf_types.ts";
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
export const htab_lru_map_ops: map_ops = mk("bpf_htab");
export const htab_lru_percpu_map_ops: map_ops = mk("bpf_htab");
export const htab_map_ops: map_ops = mk("bpf_htab");
export const htab_of_maps_map_ops: map_ops = mk("bpf_htab");
export const htab_percpu_map_ops: map_ops = mk("bpf_htab");
export function bpf_percpu_hash_copy(_m: bpf_map, _k: number, _v: number): number {
	return -95;
}
export function bpf_percpu_hash_update(_m: bpf_map, _k: number, _v: number, _f: bigint): number {
	return -95;
}
export function bpf_fd_htab_map_lookup_elem(_m: bpf_map, _k: number, _v: number): number {
	return -95;
}
export function bpf_fd_htab_map_update_elem(
	_m: bpf_map,
	_f: file,
	_k: number,
	_v: number,
	_fl: bigint,
): number {
	return -95;
}
