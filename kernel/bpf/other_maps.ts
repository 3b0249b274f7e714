// SPDX-License-Identifier: GPL-2.0-only
/**
 * Map types that exist for verification only: creation checks, types and the operations' names as the
 * kernel's (stackmap.c, devmap.c, cpumap.c, sock_map.c, xskmap.c, reuseport_array.c, local_storage.c,
 * bpf_local_storage.c and its users, bpf_struct_ops.c). Their elements are not ported and say so.
 */
import { BPF_F_ACCESS_MASK } from "../../include/linux/bpf.ts";
import { E2BIG, EINVAL, ENOTSUPP, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_DW,
	BPF_F_BROADCAST,
	BPF_F_CLONE,
	BPF_F_EXCLUDE_INGRESS,
	BPF_F_NO_PREALLOC,
	BPF_F_NUMA_NODE,
	BPF_F_RDONLY,
	BPF_F_RDONLY_PROG,
	BPF_F_STACK_BUILD_ID,
	BPF_F_WRONLY,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	XDP_ABORTED,
	XDP_DROP,
	XDP_PASS,
	XDP_REDIRECT,
	XDP_TX,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BPF_ADD, BPF_JA, BPF_JEQ, BPF_JGE, BPF_LSH, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_INT, BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { array_map_alloc_check } from "./arraymap.ts";
import {
	bpf_local_storage_map_free,
	type owner_kind,
	storage_delete_elem,
	storage_lookup_elem,
	storage_update_elem,
} from "./bpf_local_storage.ts";
import type { bpf_insn, bpf_map } from "./bpf_types.ts";
import {
	BTF_INFO_KIND,
	BTF_INFO_VLEN,
	BTF_INT_BITS,
	BTF_INT_OFFSET,
	btf_member_is_reg_int,
	btf_type_int,
	btf_type_member,
} from "./btf.ts";
import type { btf, btf_type } from "./btf_types.ts";
import { BPF_ALU64_IMM, BPF_ALU64_REG, BPF_JMP_IMM, BPF_LDX_MEM, BPF_MOV64_IMM } from "./insn_macros.ts";
import { koffsetof } from "./layout.ts";
import {
	bpf_map_area_free,
	bpf_map_flags_access_ok,
	map_alloc_plain,
	map_image_del,
	type map_ops,
} from "./map.ts";
import { map_check_no_btf } from "./map_create.ts";
import { bpf_map_meta_equal } from "./map_in_map.ts";

const MAX_BPF_STACK = 512;
const NR_CPUS = 128;
const PERF_MAX_STACK_DEPTH = 127;
const PCPU_MIN_UNIT_SIZE = 32 << 10;
/** KMALLOC_MAX_SIZE less the stack and the element's header, bounded by what sdata's u16 offsets reach */
const BPF_LOCAL_STORAGE_MAX_VALUE_SIZE = 65535 - 128;

function no(map: bpf_map, op: string): number {
	impl(map.kernel).bpf.not_ported(`${op} of map type ${map.map_type}`);
	return -EOPNOTSUPP;
}

function free_plain(map: bpf_map): void {
	map_image_del(map);
	bpf_map_area_free(map.kernel, map.addr);
}

function alloc(struct: string, check?: (attr: bpf_attr) => number): NonNullable<map_ops["map_alloc"]> {
	return (kernel, attr, ops) => {
		const err = check?.(attr) ?? 0;
		return err || map_alloc_plain(kernel, attr, ops, struct);
	};
}

/** Operations whose bodies are missing; `names` are the kernel's functions. */
function elements(names: { lookup: string; update: string; del: string }): map_ops {
	return {
		symbols: {
			map_lookup_elem: names.lookup,
			map_update_elem: names.update,
			map_delete_elem: names.del,
		},
		map_free: free_plain,
		map_get_next_key: (m) => no(m, "get_next_key"),
		map_lookup_elem: (m) => no(m, "lookup"),
		map_update_elem: (m) => no(m, "update"),
		map_delete_elem: (m) => no(m, "delete"),
		map_mem_usage: () => 0n,
	};
}

/**
 * include/linux/filter.h: __bpf_xdp_redirect_map: no element is ever there, so it is a failed lookup, unless it
 * goes to all elements.
 */
function redirect_nothing(flags: bigint, flag_mask: bigint): number {
	const action_mask = BigInt(XDP_ABORTED | XDP_DROP | XDP_PASS | XDP_TX);
	if (flags & ~(action_mask | flag_mask)) return XDP_ABORTED;
	return flags & flag_mask & BigInt(BPF_F_BROADCAST) ? XDP_REDIRECT : Number(flags & action_mask);
}

const DEV_MAP_FLAGS = BigInt(BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);

const IO_FLAGS = BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY;

/** kernel/bpf/stackmap.c: stack_map_alloc */
function stack_map_check(attr: bpf_attr): number {
	const { value_size } = attr;
	if (attr.map_flags & ~(IO_FLAGS | BPF_F_STACK_BUILD_ID)) return -EINVAL;
	if (attr.max_entries === 0 || attr.key_size !== 4 || value_size < 8 || value_size % 8) return -EINVAL;
	if (attr.map_flags & BPF_F_STACK_BUILD_ID) {
		if (value_size % 32 || value_size / 32 > PERF_MAX_STACK_DEPTH) return -EINVAL;
	} else if (value_size / 8 > PERF_MAX_STACK_DEPTH) return -EINVAL;
	return attr.max_entries > 2 ** 31 ? -E2BIG : 0;
}

export const stack_trace_map_ops: map_ops = {
	...elements({
		lookup: "stack_map_lookup_elem",
		update: "stack_map_update_elem",
		del: "stack_map_delete_elem",
	}),
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: alloc("bpf_stack_map", stack_map_check),
	map_check_btf: map_check_no_btf,
	map_btf_name: "bpf_stack_map",
};

/** kernel/bpf/devmap.c: dev_map_alloc_check */
function dev_map_alloc_check(_kernel: Kernel, attr: bpf_attr): number {
	if (
		attr.max_entries === 0 ||
		attr.key_size !== 4 ||
		(attr.value_size !== 4 && attr.value_size !== 8) ||
		attr.map_flags & ~IO_FLAGS
	)
		return -EINVAL;
	return attr.map_type === BPF_MAP_TYPE_DEVMAP_HASH && attr.max_entries > 2 ** 31 ? -EINVAL : 0;
}

function dev_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	attr.map_flags = (attr.map_flags | BPF_F_RDONLY_PROG) >>> 0;
	return map_alloc_plain(kernel, attr, ops, "bpf_dtab");
}

export const dev_map_ops: map_ops = {
	...elements({ lookup: "dev_map_lookup_elem", update: "dev_map_update_elem", del: "dev_map_delete_elem" }),
	symbols: {
		map_lookup_elem: "dev_map_lookup_elem",
		map_update_elem: "dev_map_update_elem",
		map_delete_elem: "dev_map_delete_elem",
		map_redirect: "dev_map_redirect",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: dev_map_alloc_check,
	map_alloc: dev_map_alloc,
	map_check_btf: map_check_no_btf,
	map_btf_name: "bpf_dtab",
	map_redirect: (_m, _key, flags) => redirect_nothing(flags, DEV_MAP_FLAGS),
};

export const dev_map_hash_ops: map_ops = {
	...dev_map_ops,
	symbols: {
		map_lookup_elem: "dev_map_hash_lookup_elem",
		map_update_elem: "dev_map_hash_update_elem",
		map_delete_elem: "dev_map_hash_delete_elem",
		map_redirect: "dev_hash_map_redirect",
	},
};

export const cpu_map_ops: map_ops = {
	...elements({ lookup: "cpu_map_lookup_elem", update: "cpu_map_update_elem", del: "cpu_map_delete_elem" }),
	symbols: {
		map_lookup_elem: "cpu_map_lookup_elem",
		map_update_elem: "cpu_map_update_elem",
		map_delete_elem: "cpu_map_delete_elem",
		map_redirect: "cpu_map_redirect",
	},
	map_meta_equal: bpf_map_meta_equal,
	/** kernel/bpf/cpumap.c: cpu_map_alloc */
	map_alloc: alloc("bpf_cpu_map", (attr) => {
		if (
			attr.max_entries === 0 ||
			attr.key_size !== 4 ||
			(attr.value_size !== 4 && attr.value_size !== 8) ||
			attr.map_flags & ~BPF_F_NUMA_NODE
		)
			return -EINVAL;
		return attr.max_entries > NR_CPUS ? -E2BIG : 0;
	}),
	map_check_btf: map_check_no_btf,
	map_btf_name: "bpf_cpu_map",
	map_redirect: (_m, _key, flags) => redirect_nothing(flags, 0n),
};

/** net/core/sock_map.c: sock_map_alloc */
export const sock_map_ops: map_ops = {
	...elements({ lookup: "sock_map_lookup", update: "sock_map_update_elem", del: "sock_map_delete_elem" }),
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: alloc("bpf_stab", (attr) =>
		attr.max_entries === 0 ||
		attr.key_size !== 4 ||
		(attr.value_size !== 4 && attr.value_size !== 8) ||
		attr.map_flags & ~IO_FLAGS
			? -EINVAL
			: 0,
	),
	map_lookup_elem_sys_only: (m) => no(m, "lookup"),
	map_check_btf: map_check_no_btf,
	map_btf_name: "bpf_stab",
};

/** net/core/sock_map.c: sock_hash_alloc */
export const sock_hash_ops: map_ops = {
	...elements({ lookup: "sock_hash_lookup", update: "sock_map_update_elem", del: "sock_hash_delete_elem" }),
	map_meta_equal: bpf_map_meta_equal,
	map_alloc: alloc("bpf_shtab", (attr) => {
		if (
			attr.max_entries === 0 ||
			attr.key_size === 0 ||
			(attr.value_size !== 4 && attr.value_size !== 8) ||
			attr.map_flags & ~IO_FLAGS
		)
			return -EINVAL;
		if (attr.key_size > MAX_BPF_STACK) return -E2BIG;
		return attr.max_entries > 2 ** 28 ? -EINVAL : 0;
	}),
	map_lookup_elem_sys_only: (m) => no(m, "lookup"),
	map_check_btf: map_check_no_btf,
	map_btf_name: "bpf_shtab",
};

/** net/xdp/xskmap.c: xsk_map_gen_lookup */
function xsk_map_gen_lookup(map: bpf_map): bpf_insn[] {
	const [ret, mp, index] = [BPF_REG_0, BPF_REG_1, BPF_REG_2];
	return [
		BPF_LDX_MEM(BPF_W, ret, index, 0),
		BPF_JMP_IMM(BPF_JGE, ret, map.max_entries | 0, 5),
		BPF_ALU64_IMM(BPF_LSH, ret, 3),
		BPF_ALU64_IMM(BPF_ADD, mp, koffsetof(map.kernel, "xsk_map", "xsk_map")),
		BPF_ALU64_REG(BPF_ADD, ret, mp),
		BPF_LDX_MEM(BPF_DW, ret, ret, 0),
		BPF_JMP_IMM(BPF_JA, 0, 0, 1),
		BPF_MOV64_IMM(ret, 0),
	];
}

export const xsk_map_ops: map_ops = {
	...elements({ lookup: "xsk_map_lookup_elem", update: "xsk_map_update_elem", del: "xsk_map_delete_elem" }),
	symbols: {
		map_lookup_elem: "xsk_map_lookup_elem",
		map_update_elem: "xsk_map_update_elem",
		map_delete_elem: "xsk_map_delete_elem",
		map_redirect: "xsk_map_redirect",
	},
	map_meta_equal: (a, b) => a.max_entries === b.max_entries && bpf_map_meta_equal(a, b),
	map_alloc: alloc("xsk_map", (attr) =>
		attr.max_entries === 0 || attr.key_size !== 4 || attr.value_size !== 4 || attr.map_flags & ~IO_FLAGS
			? -EINVAL
			: 0,
	),
	map_gen_lookup: xsk_map_gen_lookup,
	map_lookup_elem_sys_only: () => -EOPNOTSUPP,
	map_check_btf: map_check_no_btf,
	map_btf_name: "xsk_map",
	map_redirect: (_m, _key, flags) => redirect_nothing(flags, 0n),
};

export const reuseport_array_ops: map_ops = {
	...elements({
		lookup: "reuseport_array_lookup_elem",
		update: "bpf_map_update_elem",
		del: "reuseport_array_delete_elem",
	}),
	map_update_elem: undefined,
	symbols: {
		map_lookup_elem: "reuseport_array_lookup_elem",
		map_delete_elem: "reuseport_array_delete_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: (kernel, attr) =>
		attr.value_size !== 4 && attr.value_size !== 8 ? -EINVAL : array_map_alloc_check(kernel, attr),
	map_alloc: alloc("reuseport_array"),
	map_btf_name: "reuseport_array",
};

// ---- storage of cgroups, sockets, inodes and tasks

/** kernel/bpf/local_storage.c: cgroup_storage_map_alloc */
function cgroup_storage_check(attr: bpf_attr): number {
	const max =
		attr.map_type === BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE
			? PCPU_MIN_UNIT_SIZE
			: BPF_LOCAL_STORAGE_MAX_VALUE_SIZE;
	if (attr.key_size !== 16 && attr.key_size !== 8) return -EINVAL;
	if (attr.value_size === 0) return -EINVAL;
	if (attr.value_size > max) return -E2BIG;
	if (attr.map_flags & ~(BPF_F_NUMA_NODE | BPF_F_ACCESS_MASK) || !bpf_map_flags_access_ok(attr.map_flags))
		return -EINVAL;
	return attr.max_entries ? -EINVAL : 0;
}

/** kernel/bpf/local_storage.c: cgroup_storage_check_btf */
function cgroup_storage_check_btf(map: bpf_map, b: btf, key_type: btf_type, _value: btf_type): number {
	if (map.key_size === 16) {
		if (BTF_INFO_KIND(key_type.info) !== BTF_KIND_STRUCT || BTF_INFO_VLEN(key_type.info) !== 2)
			return -EINVAL;
		const m = btf_type_member(key_type);
		if (!btf_member_is_reg_int(b, key_type, m[0]!, 0, 8)) return -EINVAL;
		if (!btf_member_is_reg_int(b, key_type, m[1]!, 8, 4)) return -EINVAL;
		return 0;
	}
	return int_key(key_type, 64);
}

function int_key(key_type: btf_type, bits: number): number {
	if (BTF_INFO_KIND(key_type.info) !== BTF_KIND_INT) return -EINVAL;
	const int_data = btf_type_int(key_type);
	return BTF_INT_BITS(int_data) !== bits || BTF_INT_OFFSET(int_data) ? -EINVAL : 0;
}

export const cgroup_storage_map_ops: map_ops = {
	...elements({
		lookup: "cgroup_storage_lookup_elem",
		update: "cgroup_storage_update_elem",
		del: "cgroup_storage_delete_elem",
	}),
	map_alloc: alloc("bpf_cgroup_storage_map", cgroup_storage_check),
	map_check_btf: cgroup_storage_check_btf,
	map_btf_name: "bpf_cgroup_storage_map",
};

/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_map_alloc_check */
function bpf_local_storage_map_alloc_check(_kernel: Kernel, attr: bpf_attr): number {
	if (
		attr.map_flags & ~(BPF_F_NO_PREALLOC | BPF_F_CLONE) ||
		!(attr.map_flags & BPF_F_NO_PREALLOC) ||
		attr.max_entries ||
		attr.key_size !== 4 ||
		!attr.value_size ||
		!attr.btf_key_type_id ||
		!attr.btf_value_type_id
	)
		return -EINVAL;
	return attr.value_size > BPF_LOCAL_STORAGE_MAX_VALUE_SIZE ? -E2BIG : 0;
}

function local_storage(owner: owner_kind, names: { lookup: string; update: string; del: string }): map_ops {
	return {
		...elements(names),
		map_lookup_elem: (m, key) => storage_lookup_elem(owner, m, key),
		map_update_elem: (m, key, value, flags) => storage_update_elem(owner, m, key, value, flags),
		map_delete_elem: (m, key) => storage_delete_elem(owner, m, key),
		map_free: (m) => bpf_local_storage_map_free(m, free_plain),
		map_meta_equal: bpf_map_meta_equal,
		map_alloc_check: bpf_local_storage_map_alloc_check,
		map_alloc: alloc("bpf_local_storage_map"),
		map_get_next_key: () => -ENOTSUPP,
		map_check_btf: (_map, _b, key_type) => int_key(key_type, 32),
		map_btf_name: "bpf_local_storage_map",
	};
}

export const cgrp_storage_map_ops: map_ops = local_storage("cgrp", {
	lookup: "bpf_cgrp_storage_lookup_elem",
	update: "bpf_cgrp_storage_update_elem",
	del: "bpf_cgrp_storage_delete_elem",
});
export const task_storage_map_ops: map_ops = local_storage("task", {
	lookup: "bpf_pid_task_storage_lookup_elem",
	update: "bpf_pid_task_storage_update_elem",
	del: "bpf_pid_task_storage_delete_elem",
});
export const inode_storage_map_ops: map_ops = local_storage("inode", {
	lookup: "bpf_fd_inode_storage_lookup_elem",
	update: "bpf_fd_inode_storage_update_elem",
	del: "bpf_fd_inode_storage_delete_elem",
});
export const sk_storage_map_ops: map_ops = local_storage("sk", {
	lookup: "bpf_fd_sk_storage_lookup_elem",
	update: "bpf_fd_sk_storage_update_elem",
	del: "bpf_fd_sk_storage_delete_elem",
});

export { BPF_JEQ };
