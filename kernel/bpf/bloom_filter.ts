// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/bloom_filter.c: a set that may say yes too often, never no. */
import { BPF_F_ACCESS_MASK } from "../../include/linux/bpf.ts";
import { E2BIG, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_ANY, BPF_F_NUMA_NODE, BPF_F_ZERO_SEED } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { jhash, jhash2 } from "../../lib/jhash.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_map } from "./bpf_types.ts";
import { btf_type_is_void } from "./btf.ts";
import { ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_flags_access_ok,
	bpf_map_init_from_attr,
	kmem_of,
	map_image_add,
	map_image_del,
	type map_ops,
	round_up,
} from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

const KMALLOC_MAX_SIZE = 4 << 20;
const BLOOM_CREATE_FLAG_MASK = BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | BPF_F_ACCESS_MASK;
const U32_MAX = 0xffffffff;

/** struct bpf_bloom_filter */
class bpf_bloom_filter extends bpf_map {
	bitset_mask = 0;
	hash_seed = 0;
	nr_hash_funcs = 0;
	bitset = 0;
}

function hash(bloom: bpf_bloom_filter, value: Uint8Array, index: number): number {
	const seed = (bloom.hash_seed + index) | 0;
	const h = value.length % 4 === 0 ? jhash2(value, seed) : jhash(value, seed);
	return (h & bloom.bitset_mask) >>> 0;
}

/** kernel/bpf/bloom_filter.c: bloom_map_peek_elem */
function bloom_map_peek_elem(map: bpf_map, value: number): number {
	const bloom = map as bpf_bloom_filter;
	const kmem = kmem_of(map);
	const bytes = kmem.read(value, map.value_size);
	for (let i = 0; i < bloom.nr_hash_funcs; i++) {
		const h = hash(bloom, bytes, i);
		if (!(kmem.r8(bloom.bitset + (h >>> 3)) & (1 << (h & 7)))) return -ENOENT;
	}
	return 0;
}

/** kernel/bpf/bloom_filter.c: bloom_map_push_elem */
function bloom_map_push_elem(map: bpf_map, value: number, flags: bigint): number {
	const bloom = map as bpf_bloom_filter;
	const kmem = kmem_of(map);
	if (flags !== BigInt(BPF_ANY)) return -EINVAL;
	const bytes = kmem.read(value, map.value_size);
	for (let i = 0; i < bloom.nr_hash_funcs; i++) {
		const h = hash(bloom, bytes, i);
		const at = bloom.bitset + (h >>> 3);
		kmem.w8(at, kmem.r8(at) | (1 << (h & 7)));
	}
	return 0;
}

/** kernel/bpf/bloom_filter.c: bloom_map_alloc */
function bloom_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	if (
		attr.key_size !== 0 ||
		attr.value_size === 0 ||
		attr.max_entries === 0 ||
		attr.map_flags & ~BLOOM_CREATE_FLAG_MASK ||
		!bpf_map_flags_access_ok(attr.map_flags) ||
		attr.map_extra & ~0xfn
	)
		return -EINVAL;
	const nr_hash_funcs = Number(attr.map_extra) || 5;
	let nr_bits = attr.max_entries * nr_hash_funcs;
	let over = nr_bits > U32_MAX;
	nr_bits = Math.floor(nr_bits / 5) * 7;
	over ||= nr_bits > U32_MAX || nr_bits > 2 ** 31;
	let bitset_bytes: number;
	let bitset_mask: number;
	if (over) {
		bitset_bytes = Math.ceil(U32_MAX / 8);
		bitset_mask = U32_MAX;
	} else {
		nr_bits = nr_bits <= 64 ? 64 : 2 ** Math.ceil(Math.log2(nr_bits));
		bitset_bytes = nr_bits / 8;
		bitset_mask = nr_bits - 1;
	}
	bitset_bytes = round_up(bitset_bytes, 8);
	const head = ksizeof(kernel, "bpf_bloom_filter");
	const addr = bpf_map_area_alloc(kernel, head + bitset_bytes);
	if (addr === 0) return -ENOMEM;
	const bloom = new bpf_bloom_filter(kernel, ops);
	bpf_map_init_from_attr(bloom, attr);
	bloom.nr_hash_funcs = nr_hash_funcs;
	bloom.bitset_mask = bitset_mask;
	bloom.bitset = addr + head;
	if (!(attr.map_flags & BPF_F_ZERO_SEED)) bloom.hash_seed = impl(kernel).random.u32();
	map_image_add(bloom, addr);
	return bloom;
}

export const bloom_filter_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "bloom_map_lookup_elem",
		map_update_elem: "bloom_map_update_elem",
		map_delete_elem: "bloom_map_delete_elem",
		map_push_elem: "bloom_map_push_elem",
		map_pop_elem: "bloom_map_pop_elem",
		map_peek_elem: "bloom_map_peek_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: (_kernel, attr) => (attr.value_size > KMALLOC_MAX_SIZE ? -E2BIG : 0),
	map_alloc: bloom_map_alloc,
	map_free: (map) => {
		map_image_del(map);
		bpf_map_area_free(map.kernel, map.addr);
	},
	map_get_next_key: () => -EOPNOTSUPP,
	map_push_elem: bloom_map_push_elem,
	map_peek_elem: bloom_map_peek_elem,
	map_pop_elem: () => -EOPNOTSUPP,
	map_lookup_elem: () => -EINVAL,
	map_update_elem: () => -EINVAL,
	map_delete_elem: () => -EOPNOTSUPP,
	map_check_btf: (_map, _b, key_type) => (btf_type_is_void(key_type) ? 0 : -EINVAL),
	map_mem_usage: (map) =>
		BigInt(
			ksizeof(map.kernel, "bpf_bloom_filter") +
				round_up(Math.ceil(((map as bpf_bloom_filter).bitset_mask + 1) / 8), 8),
		),
	map_btf_name: "bpf_bloom_filter",
};
