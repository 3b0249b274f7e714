// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/arena.c: memory shared between programs and user space at one range of 4 GiB at most. */
import { E2BIG, EINVAL, ENOMEM, EOPNOTSUPP, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_F_MMAPABLE, BPF_F_NO_USER_CONV, BPF_F_SEGV_ON_FAULT } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { Ref } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { PAGE_SIZE } from "../kmem.ts";
import { bpf_map } from "./bpf_types.ts";
import { ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_init_from_attr,
	map_image_add,
	map_image_del,
	type map_ops,
} from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

/** The guard on each side of the kernel's 4 GiB, so that any s16 offset stays inside: GUARD_SZ. */
const GUARD_SZ = 65536;
const SZ_4G = 2 ** 32;

/** struct bpf_arena */
export class bpf_arena extends bpf_map {
	kern_vm_start = 0n;
	user_vm_start = 0n;
	user_vm_end = 0n;
}

/** kernel/bpf/arena.c: bpf_arena_get_user_vm_start */
export function bpf_arena_get_user_vm_start(map: bpf_map | null): bigint {
	return map ? (map as bpf_arena).user_vm_start : 0n;
}

/** kernel/bpf/arena.c: bpf_arena_get_kern_vm_start */
export function bpf_arena_get_kern_vm_start(map: bpf_map | null): bigint {
	return map ? (map as bpf_arena).kern_vm_start : 0n;
}

/** kernel/bpf/arena.c: arena_map_alloc */
function arena_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	if (
		attr.key_size ||
		attr.value_size ||
		attr.max_entries === 0 ||
		!(attr.map_flags & BPF_F_MMAPABLE) ||
		attr.map_flags & ~(BPF_F_SEGV_ON_FAULT | BPF_F_MMAPABLE | BPF_F_NO_USER_CONV)
	)
		return -EINVAL;
	if (attr.map_extra & BigInt(PAGE_SIZE - 1)) return -EINVAL;
	const vm_range = attr.max_entries * PAGE_SIZE;
	if (vm_range > SZ_4G) return -E2BIG;
	if (attr.map_extra >> 32n !== BigInt.asUintN(64, attr.map_extra + BigInt(vm_range) - 1n) >> 32n)
		return -ERANGE;
	const addr = bpf_map_area_alloc(kernel, ksizeof(kernel, "bpf_arena"));
	if (addr === 0) return -ENOMEM;
	const arena = new bpf_arena(kernel, ops);
	bpf_map_init_from_attr(arena, attr);
	arena.user_vm_start = attr.map_extra;
	if (arena.user_vm_start) arena.user_vm_end = arena.user_vm_start + BigInt(vm_range);
	map_image_add(arena, addr);
	return arena;
}

function arena_map_free(map: bpf_map): void {
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

function arena_map_direct_value_addr(map: bpf_map, imm: Ref<bigint>, off: number): number {
	const arena = map as bpf_arena;
	if (BigInt(off) > arena.user_vm_end - arena.user_vm_start) return -ERANGE;
	imm.val = arena.user_vm_start;
	return 0;
}

export const arena_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "arena_map_lookup_elem",
		map_update_elem: "arena_map_update_elem",
		map_delete_elem: "arena_map_delete_elem",
		map_push_elem: "arena_map_push_elem",
		map_pop_elem: "arena_map_pop_elem",
		map_peek_elem: "arena_map_peek_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: arena_map_alloc,
	map_free: arena_map_free,
	map_direct_value_addr: arena_map_direct_value_addr,
	map_get_next_key: () => -EOPNOTSUPP,
	map_push_elem: () => -EOPNOTSUPP,
	map_peek_elem: () => -EOPNOTSUPP,
	map_pop_elem: () => -EOPNOTSUPP,
	map_lookup_elem: () => -EINVAL,
	map_update_elem: () => -EOPNOTSUPP,
	map_delete_elem: () => -EOPNOTSUPP,
	map_check_btf: () => 0,
	map_mem_usage: () => 0n,
	map_btf_name: "bpf_arena",
};
export { GUARD_SZ, impl };
