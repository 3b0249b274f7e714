// SPDX-License-Identifier: GPL-2.0-only
/** include/linux/bpf_types.h: the operations of each map type. */
import * as U from "../../include/uapi/linux/bpf.ts";
import { arena_map_ops } from "./arena.ts";
import {
	array_map_ops,
	array_of_maps_map_ops,
	cgroup_array_map_ops,
	percpu_array_map_ops,
	perf_event_array_map_ops,
	prog_array_map_ops,
} from "./arraymap.ts";
import { bloom_filter_map_ops } from "./bloom_filter.ts";
import { bpf_struct_ops_map_ops } from "./bpf_struct_ops_map.ts";
import {
	htab_lru_map_ops,
	htab_lru_percpu_map_ops,
	htab_map_ops,
	htab_of_maps_map_ops,
	htab_percpu_map_ops,
} from "./hashtab.ts";
import { trie_map_ops } from "./lpm_trie.ts";
import type { map_ops } from "./map.ts";
import {
	cgroup_storage_map_ops,
	cgrp_storage_map_ops,
	cpu_map_ops,
	dev_map_hash_ops,
	dev_map_ops,
	inode_storage_map_ops,
	reuseport_array_ops,
	sk_storage_map_ops,
	sock_hash_ops,
	sock_map_ops,
	stack_trace_map_ops,
	task_storage_map_ops,
	xsk_map_ops,
} from "./other_maps.ts";
import { queue_map_ops, stack_map_ops } from "./queue_stack_maps.ts";
import { ringbuf_map_ops, user_ringbuf_map_ops } from "./ringbuf.ts";

/** bpf_map_types[type]; undefined when there is no such type. */
export function bpf_map_type_ops(type: number): map_ops | undefined {
	switch (type) {
		case U.BPF_MAP_TYPE_ARRAY:
			return array_map_ops;
		case U.BPF_MAP_TYPE_PERCPU_ARRAY:
			return percpu_array_map_ops;
		case U.BPF_MAP_TYPE_PROG_ARRAY:
			return prog_array_map_ops;
		case U.BPF_MAP_TYPE_PERF_EVENT_ARRAY:
			return perf_event_array_map_ops;
		case U.BPF_MAP_TYPE_CGROUP_ARRAY:
			return cgroup_array_map_ops;
		case U.BPF_MAP_TYPE_CGRP_STORAGE:
			return cgrp_storage_map_ops;
		case U.BPF_MAP_TYPE_CGROUP_STORAGE:
		case U.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
			return cgroup_storage_map_ops;
		case U.BPF_MAP_TYPE_HASH:
			return htab_map_ops;
		case U.BPF_MAP_TYPE_PERCPU_HASH:
			return htab_percpu_map_ops;
		case U.BPF_MAP_TYPE_LRU_HASH:
			return htab_lru_map_ops;
		case U.BPF_MAP_TYPE_LRU_PERCPU_HASH:
			return htab_lru_percpu_map_ops;
		case U.BPF_MAP_TYPE_LPM_TRIE:
			return trie_map_ops;
		case U.BPF_MAP_TYPE_STACK_TRACE:
			return stack_trace_map_ops;
		case U.BPF_MAP_TYPE_ARRAY_OF_MAPS:
			return array_of_maps_map_ops;
		case U.BPF_MAP_TYPE_HASH_OF_MAPS:
			return htab_of_maps_map_ops;
		case U.BPF_MAP_TYPE_INODE_STORAGE:
			return inode_storage_map_ops;
		case U.BPF_MAP_TYPE_TASK_STORAGE:
			return task_storage_map_ops;
		case U.BPF_MAP_TYPE_DEVMAP:
			return dev_map_ops;
		case U.BPF_MAP_TYPE_DEVMAP_HASH:
			return dev_map_hash_ops;
		case U.BPF_MAP_TYPE_SK_STORAGE:
			return sk_storage_map_ops;
		case U.BPF_MAP_TYPE_CPUMAP:
			return cpu_map_ops;
		case U.BPF_MAP_TYPE_XSKMAP:
			return xsk_map_ops;
		case U.BPF_MAP_TYPE_SOCKMAP:
			return sock_map_ops;
		case U.BPF_MAP_TYPE_SOCKHASH:
			return sock_hash_ops;
		case U.BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
			return reuseport_array_ops;
		case U.BPF_MAP_TYPE_QUEUE:
			return queue_map_ops;
		case U.BPF_MAP_TYPE_STACK:
			return stack_map_ops;
		case U.BPF_MAP_TYPE_STRUCT_OPS:
			return bpf_struct_ops_map_ops;
		case U.BPF_MAP_TYPE_RINGBUF:
			return ringbuf_map_ops;
		case U.BPF_MAP_TYPE_BLOOM_FILTER:
			return bloom_filter_map_ops;
		case U.BPF_MAP_TYPE_USER_RINGBUF:
			return user_ringbuf_map_ops;
		case U.BPF_MAP_TYPE_ARENA:
			return arena_map_ops;
		default:
			return undefined;
	}
}

/** All operations there are, for the symbols of their functions. */
export function all_map_ops(): map_ops[] {
	const out: map_ops[] = [];
	for (let t = 1; t < U.__MAX_BPF_MAP_TYPE; t++) {
		const ops = bpf_map_type_ops(t);
		if (ops && !out.includes(ops)) out.push(ops);
	}
	return out;
}
