// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/lpm_trie.c: longest prefix match. Nodes are objects; the value that a lookup returns lies
 * in the guest, behind the node's head and data as in the kernel.
 */
import { BPF_F_ACCESS_MASK } from "../../include/linux/bpf.ts";
import { EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_EXIST, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_NOEXIST } from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_map } from "./bpf_types.ts";
import { BTF_INFO_KIND } from "./btf.ts";
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
import {
	generic_map_delete_batch,
	generic_map_lookup_batch,
	generic_map_update_batch,
} from "./map_syscall.ts";

const KMALLOC_MAX_SIZE = 4 << 20;
/** sizeof(struct lpm_trie_node) without its data */
const NODE_SIZE = 40;
const LPM_DATA_SIZE_MAX = 256;
const LPM_VAL_SIZE_MAX = KMALLOC_MAX_SIZE - LPM_DATA_SIZE_MAX - NODE_SIZE;
const LPM_CREATE_FLAG_MASK = BPF_F_NO_PREALLOC | BPF_F_NUMA_NODE | BPF_F_ACCESS_MASK;

/** struct lpm_trie_node */
interface lpm_trie_node {
	readonly child: [lpm_trie_node | null, lpm_trie_node | null];
	prefixlen: number;
	intermediate: boolean;
	data: Uint8Array;
	/** guest address of the node */
	addr: number;
}

/** struct lpm_trie */
class lpm_trie extends bpf_map {
	root: lpm_trie_node | null = null;
	n_entries = 0;
	max_prefixlen = 0;
	data_size = 0;
}

interface lpm_key {
	prefixlen: number;
	data: Uint8Array;
}

function read_key(trie: lpm_trie, key: number): lpm_key {
	const kmem = kmem_of(trie);
	return { prefixlen: kmem.r32(key), data: kmem.read(key + 4, trie.data_size) };
}

/** kernel/bpf/lpm_trie.c: extract_bit: bit `index` from the most significant end. */
function extract_bit(data: Uint8Array, index: number): 0 | 1 {
	return data[index >> 3]! & (1 << (7 - (index & 7))) ? 1 : 0;
}

/** kernel/bpf/lpm_trie.c: longest_prefix_match */
function longest_prefix_match(node: lpm_trie_node, key: lpm_key): number {
	const limit = Math.min(node.prefixlen, key.prefixlen);
	let len = 0;
	for (let i = 0; i < key.data.length && len < limit; i++) {
		const x = node.data[i]! ^ key.data[i]!;
		if (x !== 0) {
			len += Math.clz32(x) - 24;
			break;
		}
		len += 8;
	}
	return Math.min(len, limit);
}

/** kernel/bpf/lpm_trie.c: trie_lookup_elem */
function trie_lookup_elem(map: bpf_map, key_addr: number): number {
	const trie = map as lpm_trie;
	const key = read_key(trie, key_addr);
	if (key.prefixlen > trie.max_prefixlen) return 0;
	let found: lpm_trie_node | null = null;
	for (let node = trie.root; node; ) {
		const matchlen = longest_prefix_match(node, key);
		if (matchlen === trie.max_prefixlen) {
			found = node;
			break;
		}
		if (matchlen < node.prefixlen) break;
		if (!node.intermediate) found = node;
		node = node.child[extract_bit(key.data, node.prefixlen)];
	}
	return found ? found.addr + NODE_SIZE + trie.data_size : 0;
}

/** kernel/bpf/lpm_trie.c: lpm_trie_node_alloc; `value` 0 makes an intermediate node. */
function node_alloc(
	trie: lpm_trie,
	prefixlen: number,
	data: Uint8Array,
	value: number,
): lpm_trie_node | null {
	const kmem = kmem_of(trie);
	const addr = kmem.kmalloc(NODE_SIZE + trie.data_size + (value ? trie.value_size : 0));
	if (!addr) return null;
	kmem.fill(addr, NODE_SIZE, 0);
	kmem.w32(addr + 32, prefixlen);
	kmem.w32(addr + 36, value ? 0 : 1);
	kmem.write(addr + NODE_SIZE, data);
	if (value) kmem.copy(addr + NODE_SIZE + trie.data_size, value, trie.value_size);
	return { child: [null, null], prefixlen, intermediate: value === 0, data, addr };
}

function free_rcu(trie: lpm_trie, node: lpm_trie_node | null): void {
	if (node) impl(trie.kernel).rcu.call(() => kmem_of(trie).kfree(node.addr));
}

/** kernel/bpf/lpm_trie.c: trie_check_add_elem */
function trie_check_add_elem(trie: lpm_trie, flags: bigint): number {
	if (flags === BigInt(BPF_EXIST)) return -ENOENT;
	if (trie.n_entries === trie.max_entries) return -ENOSPC;
	trie.n_entries++;
	return 0;
}

/** Where a node hangs: the root, or a child of another. */
interface slot_t {
	get(): lpm_trie_node | null;
	set(n: lpm_trie_node | null): void;
}

function root_slot(trie: lpm_trie): slot_t {
	return {
		get: () => trie.root,
		set: (n) => {
			trie.root = n;
		},
	};
}

function child_slot(node: lpm_trie_node, bit: 0 | 1): slot_t {
	return {
		get: () => node.child[bit],
		set: (n) => {
			node.child[bit] = n;
		},
	};
}

/** kernel/bpf/lpm_trie.c: trie_update_elem */
function trie_update_elem(map: bpf_map, key_addr: number, value: number, flags: bigint): number {
	const trie = map as lpm_trie;
	if (flags > BigInt(BPF_EXIST)) return -EINVAL;
	const key = read_key(trie, key_addr);
	if (key.prefixlen > trie.max_prefixlen) return -EINVAL;
	const new_node = node_alloc(trie, key.prefixlen, key.data, value);
	if (!new_node) return -ENOMEM;
	const fail = (err: number): number => {
		kmem_of(trie).kfree(new_node.addr);
		return err;
	};
	let slot = root_slot(trie);
	let matchlen = 0;
	let node = slot.get();
	while (node) {
		matchlen = longest_prefix_match(node, key);
		if (
			node.prefixlen !== matchlen ||
			node.prefixlen === key.prefixlen ||
			node.prefixlen === trie.max_prefixlen
		)
			break;
		slot = child_slot(node, extract_bit(key.data, node.prefixlen));
		node = slot.get();
	}
	if (!node) {
		const ret = trie_check_add_elem(trie, flags);
		if (ret) return fail(ret);
		slot.set(new_node);
		return 0;
	}
	if (node.prefixlen === matchlen) {
		if (!node.intermediate) {
			if (flags === BigInt(BPF_NOEXIST)) return fail(-EEXIST);
		} else {
			const ret = trie_check_add_elem(trie, flags);
			if (ret) return fail(ret);
		}
		new_node.child[0] = node.child[0];
		new_node.child[1] = node.child[1];
		slot.set(new_node);
		free_rcu(trie, node);
		return 0;
	}
	const ret = trie_check_add_elem(trie, flags);
	if (ret) return fail(ret);
	if (matchlen === key.prefixlen) {
		new_node.child[extract_bit(node.data, matchlen)] = node;
		slot.set(new_node);
		return 0;
	}
	const im = node_alloc(trie, matchlen, node.data, 0);
	if (!im) {
		trie.n_entries--;
		return fail(-ENOMEM);
	}
	const bit = extract_bit(key.data, matchlen);
	im.child[bit] = new_node;
	im.child[bit ? 0 : 1] = node;
	slot.set(im);
	return 0;
}

/** kernel/bpf/lpm_trie.c: trie_delete_elem */
function trie_delete_elem(map: bpf_map, key_addr: number): number {
	const trie = map as lpm_trie;
	const key = read_key(trie, key_addr);
	if (key.prefixlen > trie.max_prefixlen) return -EINVAL;
	let trim = root_slot(trie);
	let trim2 = trim;
	let parent: lpm_trie_node | null = null;
	let matchlen = 0;
	let node = trim.get();
	while (node) {
		matchlen = longest_prefix_match(node, key);
		if (node.prefixlen !== matchlen || node.prefixlen === key.prefixlen) break;
		parent = node;
		trim2 = trim;
		trim = child_slot(node, extract_bit(key.data, node.prefixlen));
		node = trim.get();
	}
	if (!node || node.prefixlen !== key.prefixlen || node.prefixlen !== matchlen || node.intermediate)
		return -ENOENT;
	trie.n_entries--;
	if (node.child[0] && node.child[1]) {
		node.intermediate = true;
		kmem_of(trie).w32(node.addr + 36, 1);
		return 0;
	}
	if (parent?.intermediate && !node.child[0] && !node.child[1]) {
		trim2.set(node === parent.child[0] ? parent.child[1] : parent.child[0]);
		free_rcu(trie, parent);
		free_rcu(trie, node);
		return 0;
	}
	trim.set(node.child[0] ?? node.child[1]);
	free_rcu(trie, node);
	return 0;
}

/** kernel/bpf/lpm_trie.c: trie_alloc */
function trie_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	if (
		attr.max_entries === 0 ||
		!(attr.map_flags & BPF_F_NO_PREALLOC) ||
		attr.map_flags & ~LPM_CREATE_FLAG_MASK ||
		!bpf_map_flags_access_ok(attr.map_flags) ||
		attr.key_size < 5 ||
		attr.key_size > 4 + LPM_DATA_SIZE_MAX ||
		attr.value_size < 1 ||
		attr.value_size > LPM_VAL_SIZE_MAX
	)
		return -EINVAL;
	const addr = bpf_map_area_alloc(kernel, ksizeof(kernel, "lpm_trie"));
	if (!addr) return -ENOMEM;
	const trie = new lpm_trie(kernel, ops);
	bpf_map_init_from_attr(trie, attr);
	trie.data_size = attr.key_size - 4;
	trie.max_prefixlen = trie.data_size * 8;
	map_image_add(trie, addr);
	return trie;
}

function trie_free(map: bpf_map): void {
	const trie = map as lpm_trie;
	const todo: lpm_trie_node[] = trie.root ? [trie.root] : [];
	for (let node = todo.pop(); node; node = todo.pop()) {
		for (const c of node.child) if (c) todo.push(c);
		kmem_of(trie).kfree(node.addr);
	}
	trie.root = null;
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

/** The first node in postorder that is no intermediate one. */
function leftmost(root: lpm_trie_node): lpm_trie_node {
	let found = root;
	for (let node: lpm_trie_node | null = root; node; ) {
		if (node.intermediate) node = node.child[0];
		else {
			found = node;
			node = node.child[0] ?? node.child[1];
		}
	}
	return found;
}

/** The key that comes after a given one (null: the first), in postorder; null at the end. */
function next_node(trie: lpm_trie, key: lpm_key | null): lpm_trie_node | null {
	if (!trie.root) return null;
	if (!key || key.prefixlen > trie.max_prefixlen) return leftmost(trie.root);
	const stack: lpm_trie_node[] = [];
	let matchlen = 0;
	let node: lpm_trie_node | null = trie.root;
	while (node) {
		stack.push(node);
		matchlen = longest_prefix_match(node, key);
		if (node.prefixlen !== matchlen || node.prefixlen === key.prefixlen) break;
		node = node.child[extract_bit(key.data, node.prefixlen)];
	}
	if (!node || node.prefixlen !== matchlen || node.intermediate) return leftmost(trie.root);
	for (let i = stack.length - 1; i > 0; i--) {
		const parent = stack[i - 1]!;
		if (parent.child[0] === stack[i] && parent.child[1]) return leftmost(parent.child[1]);
		if (!parent.intermediate) return parent;
	}
	return null;
}

/** kernel/bpf/lpm_trie.c: trie_get_next_key */
function trie_get_next_key(map: bpf_map, key_addr: number, next_key: number): number {
	const trie = map as lpm_trie;
	const next = next_node(trie, key_addr ? read_key(trie, key_addr) : null);
	if (!next) return -ENOENT;
	const kmem = kmem_of(map);
	kmem.w32(next_key, next.prefixlen);
	kmem.write(next_key + 4, next.data);
	return 0;
}

export const trie_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "trie_lookup_elem",
		map_update_elem: "trie_update_elem",
		map_delete_elem: "trie_delete_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: trie_alloc,
	map_free: trie_free,
	map_get_next_key: trie_get_next_key,
	map_lookup_elem: trie_lookup_elem,
	map_update_elem: trie_update_elem,
	map_delete_elem: trie_delete_elem,
	map_lookup_batch: generic_map_lookup_batch,
	map_update_batch: generic_map_update_batch,
	map_delete_batch: generic_map_delete_batch,
	map_check_btf: (_map, _b, key_type) => (BTF_INFO_KIND(key_type.info) !== BTF_KIND_STRUCT ? -EINVAL : 0),
	map_mem_usage: (map) => {
		const trie = map as lpm_trie;
		return BigInt((NODE_SIZE + trie.data_size + map.value_size) * trie.n_entries);
	},
	map_btf_name: "lpm_trie",
};
