// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/queue_stack_maps.c: first in first out, and last in first out. */
import { BPF_F_ACCESS_MASK } from "../../include/linux/bpf.ts";
import { E2BIG, EINVAL, ENOENT, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_EXIST, BPF_F_NUMA_NODE, BPF_NOEXIST } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { Kernel } from "../kernel.ts";
import { raw_spinlock } from "../spinlock.ts";
import { bpf_map } from "./bpf_types.ts";
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
} from "./map.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

const KMALLOC_MAX_SIZE = 4 << 20;
const CREATE_FLAG_MASK = BPF_F_NUMA_NODE | BPF_F_ACCESS_MASK;

/** struct bpf_queue_stack */
class bpf_queue_stack extends bpf_map {
	head = 0;
	tail = 0;
	size = 0;
	elements = 0;
	readonly lock: raw_spinlock;
	constructor(kernel: Kernel, ops: map_ops) {
		super(kernel, ops);
		this.lock = new raw_spinlock(kernel, "bpf_queue_stack.lock");
	}
}

/** kernel/bpf/queue_stack_maps.c: queue_stack_map_alloc_check */
function queue_stack_map_alloc_check(_kernel: Kernel, attr: bpf_attr): number {
	if (
		attr.max_entries === 0 ||
		attr.key_size !== 0 ||
		attr.value_size === 0 ||
		attr.map_flags & ~CREATE_FLAG_MASK ||
		!bpf_map_flags_access_ok(attr.map_flags)
	)
		return -EINVAL;
	return attr.value_size > KMALLOC_MAX_SIZE ? -E2BIG : 0;
}

/** kernel/bpf/queue_stack_maps.c: queue_stack_map_alloc */
function queue_stack_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	const size = attr.max_entries + 1;
	const head = ksizeof(kernel, "bpf_queue_stack");
	const addr = bpf_map_area_alloc(kernel, head + size * attr.value_size);
	if (addr === 0) return -ENOMEM;
	const qs = new bpf_queue_stack(kernel, ops);
	bpf_map_init_from_attr(qs, attr);
	qs.size = size >>> 0;
	qs.elements = addr + head;
	map_image_add(qs, addr);
	return qs;
}

function queue_stack_map_free(map: bpf_map): void {
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

/** Take one element out, or only look: `index` says which, `take` moves on. */
function get(
	map: bpf_map,
	value: number,
	index: (qs: bpf_queue_stack) => number,
	take: ((qs: bpf_queue_stack, i: number) => void) | null,
): number {
	const qs = map as bpf_queue_stack;
	const kmem = kmem_of(map);
	qs.lock.lock();
	try {
		if (qs.head === qs.tail) {
			kmem.fill(value, map.value_size, 0);
			return -ENOENT;
		}
		const i = index(qs);
		kmem.copy(value, qs.elements + i * map.value_size, map.value_size);
		take?.(qs, i);
		return 0;
	} finally {
		qs.lock.unlock();
	}
}

const oldest = (qs: bpf_queue_stack): number => qs.tail;
const newest = (qs: bpf_queue_stack): number => (qs.head === 0 ? qs.size - 1 : qs.head - 1);
function next(qs: bpf_queue_stack, i: number): number {
	return i + 1 >= qs.size ? 0 : i + 1;
}

const queue_map_peek_elem = (map: bpf_map, value: number): number => get(map, value, oldest, null);
const queue_map_pop_elem = (map: bpf_map, value: number): number =>
	get(map, value, oldest, (qs, i) => {
		qs.tail = next(qs, i);
	});
const stack_map_peek_elem = (map: bpf_map, value: number): number => get(map, value, newest, null);
const stack_map_pop_elem = (map: bpf_map, value: number): number =>
	get(map, value, newest, (qs, i) => {
		qs.head = i;
	});

/** kernel/bpf/queue_stack_maps.c: queue_stack_map_push_elem */
function queue_stack_map_push_elem(map: bpf_map, value: number, flags: bigint): number {
	const qs = map as bpf_queue_stack;
	if (flags & BigInt(BPF_NOEXIST) || flags > BigInt(BPF_EXIST)) return -EINVAL;
	const replace = (flags & BigInt(BPF_EXIST)) !== 0n;
	qs.lock.lock();
	try {
		if (next(qs, qs.head) === qs.tail) {
			if (!replace) return -E2BIG;
			qs.tail = next(qs, qs.tail);
		}
		kmem_of(map).copy(qs.elements + qs.head * map.value_size, value, map.value_size);
		qs.head = next(qs, qs.head);
		return 0;
	} finally {
		qs.lock.unlock();
	}
}

function queue_stack_map_mem_usage(map: bpf_map): bigint {
	return BigInt(ksizeof(map.kernel, "bpf_queue_stack") + (map.max_entries + 1) * map.value_size);
}

const common = {
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: queue_stack_map_alloc_check,
	map_alloc: queue_stack_map_alloc,
	map_free: queue_stack_map_free,
	map_lookup_elem: () => 0,
	map_update_elem: () => -EINVAL,
	map_delete_elem: () => -EINVAL,
	map_push_elem: queue_stack_map_push_elem,
	map_get_next_key: () => -EINVAL,
	map_mem_usage: queue_stack_map_mem_usage,
	map_btf_name: "bpf_queue_stack",
};

const common_symbols = {
	map_lookup_elem: "queue_stack_map_lookup_elem",
	map_update_elem: "queue_stack_map_update_elem",
	map_delete_elem: "queue_stack_map_delete_elem",
	map_push_elem: "queue_stack_map_push_elem",
};

export const queue_map_ops: map_ops = {
	...common,
	symbols: {
		...common_symbols,
		map_pop_elem: "queue_map_pop_elem",
		map_peek_elem: "queue_map_peek_elem",
	},
	map_pop_elem: queue_map_pop_elem,
	map_peek_elem: queue_map_peek_elem,
};

export const stack_map_ops: map_ops = {
	...common,
	symbols: {
		...common_symbols,
		map_pop_elem: "stack_map_pop_elem",
		map_peek_elem: "stack_map_peek_elem",
	},
	map_pop_elem: stack_map_pop_elem,
	map_peek_elem: stack_map_peek_elem,
};
