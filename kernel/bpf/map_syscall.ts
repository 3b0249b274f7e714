// SPDX-License-Identifier: GPL-2.0-only
/**
 * The element commands of bpf(2) (kernel/bpf/syscall.c): lookup, update, delete, get next key, lookup
 * and delete, freeze, and the batch commands with their generic bodies.
 */
import { BPF_SPIN_LOCK } from "../../include/linux/bpf.ts";
import {
	EBUSY,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOMEM,
	ENOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_LOCK,
	BPF_MAP_LOOKUP_AND_DELETE_BATCH,
	BPF_MAP_LOOKUP_BATCH,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_UPDATE_BATCH,
} from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, ATTR_OFF, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { type bpfptr_t, copy_from_bpfptr, make_bpfptr, u64_to_user_ptr } from "../bpfptr.ts";
import { FMODE_CAN_READ, FMODE_CAN_WRITE, fdget, type file } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import {
	bpf_fd_array_map_lookup_elem,
	bpf_fd_array_map_update_elem,
	bpf_percpu_array_copy,
	bpf_percpu_array_update,
} from "./arraymap.ts";
import { attr_tail_nonzero } from "./attr.ts";
import { bpf_struct_ops_map_sys_lookup_elem } from "./bpf_struct_ops_map.ts";
import type { bpf_map } from "./bpf_types.ts";
import {
	bpf_fd_htab_map_lookup_elem,
	bpf_fd_htab_map_update_elem,
	bpf_percpu_hash_copy,
	bpf_percpu_hash_update,
} from "./hashtab.ts";
import {
	btf_record_has_field,
	check_and_init_map_value,
	copy_map_value,
	copy_map_value_locked,
	IS_ERR_VALUE,
	kmem_of,
	kvfree,
	kvzalloc,
	ops_of,
	round_up,
} from "./map.ts";
import { __bpf_map_get, bpf_map_write_active, map_get_sys_perms } from "./map_create.ts";

const FD_ARRAYS = new Set([
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
]);
function IS_FD_ARRAY(map: bpf_map): boolean {
	return FD_ARRAYS.has(map.map_type);
}
function IS_FD_PROG_ARRAY(map: bpf_map): boolean {
	return map.map_type === BPF_MAP_TYPE_PROG_ARRAY;
}
function IS_FD_HASH(map: bpf_map): boolean {
	return map.map_type === BPF_MAP_TYPE_HASH_OF_MAPS;
}
function IS_FD_MAP(map: bpf_map): boolean {
	return IS_FD_ARRAY(map) || IS_FD_PROG_ARRAY(map) || IS_FD_HASH(map);
}

const LOCK = BigInt(BPF_F_LOCK);

/** kernel/bpf/syscall.c: bpf_map_value_size: bytes of a value as user space passes it. */
export function bpf_map_value_size(map: bpf_map): number {
	switch (map.map_type) {
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		case BPF_MAP_TYPE_PERCPU_ARRAY:
		case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
			return round_up(map.value_size, 8) * map.kernel.config.cpus;
		default:
			return IS_FD_MAP(map) ? 4 : map.value_size;
	}
}

function maybe_wait_bpf_programs(map: bpf_map): void {
	if (map.map_type === BPF_MAP_TYPE_HASH_OF_MAPS || map.map_type === BPF_MAP_TYPE_ARRAY_OF_MAPS)
		impl(map.kernel).rcu.synchronize();
}

/** A map type or operation without a body here. */
function no_body(map: bpf_map, op: string): number {
	impl(map.kernel).bpf.not_ported(`${op} of map type ${map.map_type}`);
	return -ENOTSUPP;
}

/** map->ops->op(): by the entry of the function behind it, where something may be attached. */
function call_map_op(
	map: bpf_map,
	op: "map_lookup_elem" | "map_update_elem" | "map_delete_elem",
	args: readonly (number | bigint)[],
	body: () => number,
): number {
	const { ftrace } = impl(map.kernel);
	const symbol = ftrace.any ? map.ops.symbols[op] : undefined;
	if (symbol === undefined || !ftrace.is_entered(symbol)) return body();
	const ret = ftrace.call(symbol, [map.kaddr, ...args], body);
	// an int, or a pointer
	return op === "map_lookup_elem" ? u64_to_addr(ret) : Number(BigInt.asIntN(32, ret));
}

/** kernel/bpf/syscall.c: bpf_map_update_value */
export function bpf_map_update_value(
	map: bpf_map,
	map_file: file,
	key: number,
	value: number,
	flags: bigint,
): number {
	const ops = ops_of(map);
	const k = impl(map.kernel);
	switch (map.map_type) {
		case BPF_MAP_TYPE_CPUMAP:
		case BPF_MAP_TYPE_ARENA:
		case BPF_MAP_TYPE_STRUCT_OPS:
			return ops.map_update_elem?.(map, key, value, flags) ?? no_body(map, "update");
		case BPF_MAP_TYPE_SOCKHASH:
		case BPF_MAP_TYPE_SOCKMAP:
		case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
			return no_body(map, "update");
		case BPF_MAP_TYPE_PROG_ARRAY:
			return bpf_fd_array_map_update_elem(map, map_file, key, value, flags);
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_LRU_PERCPU_HASH:
			return bpf_percpu_hash_update(map, key, value, flags);
		case BPF_MAP_TYPE_PERCPU_ARRAY:
			return bpf_percpu_array_update(map, key, value, flags);
		case BPF_MAP_TYPE_HASH_OF_MAPS:
			return bpf_fd_htab_map_update_elem(map, map_file, key, value, flags);
		case BPF_MAP_TYPE_QUEUE:
		case BPF_MAP_TYPE_STACK:
		case BPF_MAP_TYPE_BLOOM_FILTER:
			return ops.map_push_elem!(map, value, flags);
		default:
			if (IS_FD_ARRAY(map)) return bpf_fd_array_map_update_elem(map, map_file, key, value, flags);
			if (!ops.map_update_elem) return no_body(map, "update");
			k.rcu.read_lock();
			try {
				const update = ops.map_update_elem;
				return call_map_op(map, "map_update_elem", [key, value, flags], () => update(map, key, value, flags));
			} finally {
				k.rcu.read_unlock();
			}
	}
}

/** kernel/bpf/syscall.c: bpf_map_copy_value */
function bpf_map_copy_value(map: bpf_map, key: number, value: number, flags: bigint): number {
	const ops = ops_of(map);
	const k = impl(map.kernel);
	switch (map.map_type) {
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_LRU_PERCPU_HASH:
			return bpf_percpu_hash_copy(map, key, value);
		case BPF_MAP_TYPE_PERCPU_ARRAY:
			return bpf_percpu_array_copy(map, key, value);
		case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		case BPF_MAP_TYPE_STACK_TRACE:
		case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
			return no_body(map, "lookup");
		case BPF_MAP_TYPE_STRUCT_OPS:
			return bpf_struct_ops_map_sys_lookup_elem(map, key, value);
		case BPF_MAP_TYPE_QUEUE:
		case BPF_MAP_TYPE_STACK:
		case BPF_MAP_TYPE_BLOOM_FILTER:
			return ops.map_peek_elem!(map, value);
	}
	if (IS_FD_ARRAY(map) || IS_FD_PROG_ARRAY(map)) return bpf_fd_array_map_lookup_elem(map, key, value);
	if (IS_FD_HASH(map)) return bpf_fd_htab_map_lookup_elem(map, key, value);
	const lookup = ops.map_lookup_elem_sys_only ?? ops.map_lookup_elem;
	if (!lookup) return no_body(map, "lookup");
	k.rcu.read_lock();
	try {
		const ptr = ops.map_lookup_elem_sys_only
			? lookup(map, key)
			: call_map_op(map, "map_lookup_elem", [key], () => lookup(map, key));
		if (IS_ERR_VALUE(ptr)) return ptr;
		if (!ptr) return -ENOENT;
		if (flags & LOCK) copy_map_value_locked(map, value, ptr, true);
		else copy_map_value(map, value, ptr);
		check_and_init_map_value(map, value);
		return 0;
	} finally {
		k.rcu.read_unlock();
	}
}

/** A key of user space in kernel memory; `addr` 0 when the map has no keys. */
function copy_key(kernel: Kernel, ukey: bpfptr_t, key_size: number): { addr: number } | number {
	if (!key_size) return ukey.addr ? -EINVAL : { addr: 0 };
	return copy_in(kernel, ukey, key_size);
}

/** kvmemdup_bpfptr() into kernel memory. */
function copy_in(kernel: Kernel, src: bpfptr_t, size: number): { addr: number } | number {
	// as the kernel's kvmemdup: no memory comes first, then the fault
	const addr = kvzalloc(kernel, Math.max(size, 1));
	if (!addr) return -ENOMEM;
	const bytes = copy_from_bpfptr(kernel, src, size);
	if (typeof bytes === "number") {
		kvfree(kernel, addr);
		return bytes;
	}
	impl(kernel).kmem.write(addr, bytes);
	return { addr };
}

/** kernel/bpf/syscall.c: map_lookup_elem */
export function map_lookup_elem(kernel: Kernel, attr: bpf_attr): number {
	const k = impl(kernel);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_LOOKUP_ELEM)) return -EINVAL;
	if (attr.flags & ~LOCK) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	if (!(map_get_sys_perms(map, fdget(kernel, attr.map_fd)!) & FMODE_CAN_READ)) return -EPERM;
	if (attr.flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
	const uvalue = u64_to_user_ptr(attr.value);
	const key = copy_key(kernel, make_bpfptr(attr.key, false), map.key_size);
	if (typeof key === "number") return key;
	const value_size = bpf_map_value_size(map);
	const value = kvzalloc(kernel, Math.max(value_size, 1));
	try {
		if (!value) return -ENOMEM;
		if (map.map_type === BPF_MAP_TYPE_BLOOM_FILTER) {
			const bytes = k.copy_from_user(uvalue, value_size);
			if (!bytes) return -EFAULT;
			k.kmem.write(value, bytes);
			return bpf_map_copy_value(map, key.addr, value, attr.flags);
		}
		const err = bpf_map_copy_value(map, key.addr, value, attr.flags);
		if (err) return err;
		return k.copy_to_user(uvalue, k.kmem.read(value, value_size)) ? 0 : -EFAULT;
	} finally {
		if (value) kvfree(kernel, value);
		if (key.addr) kvfree(kernel, key.addr);
	}
}

/** kernel/bpf/syscall.c: map_update_elem */
export function map_update_elem(kernel: Kernel, attr: bpf_attr, uattr: bpfptr_t): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_UPDATE_ELEM)) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	const f = fdget(kernel, attr.map_fd)!;
	map.writecnt++;
	let key: { addr: number } | number = 0;
	let value: { addr: number } | number = 0;
	try {
		if (!(map_get_sys_perms(map, f) & FMODE_CAN_WRITE)) return -EPERM;
		if (attr.flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
		key = copy_key(kernel, make_bpfptr(attr.key, uattr.is_kernel), map.key_size);
		if (typeof key === "number") return key;
		value = copy_in(kernel, make_bpfptr(attr.value, uattr.is_kernel), bpf_map_value_size(map));
		if (typeof value === "number") return value;
		const err = bpf_map_update_value(map, f, key.addr, value.addr, attr.flags);
		if (!err) maybe_wait_bpf_programs(map);
		return err;
	} finally {
		if (typeof value !== "number") kvfree(kernel, value.addr);
		if (typeof key !== "number" && key.addr) kvfree(kernel, key.addr);
		map.writecnt--;
	}
}

/** kernel/bpf/syscall.c: map_delete_elem */
export function map_delete_elem(kernel: Kernel, attr: bpf_attr, uattr: bpfptr_t): number {
	const k = impl(kernel);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_DELETE_ELEM)) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	const f = fdget(kernel, attr.map_fd)!;
	map.writecnt++;
	let key: { addr: number } | number = 0;
	try {
		if (!(map_get_sys_perms(map, f) & FMODE_CAN_WRITE)) return -EPERM;
		key = copy_key(kernel, make_bpfptr(attr.key, uattr.is_kernel), map.key_size);
		if (typeof key === "number") return key;
		const del = map.ops.map_delete_elem;
		if (!del) return no_body(map, "delete");
		if (IS_FD_PROG_ARRAY(map) || map.map_type === BPF_MAP_TYPE_STRUCT_OPS) return del(map, key.addr);
		k.rcu.read_lock();
		let err: number;
		try {
			const at = key.addr;
			err = call_map_op(map, "map_delete_elem", [at], () => del(map, at));
		} finally {
			k.rcu.read_unlock();
		}
		if (!err) maybe_wait_bpf_programs(map);
		return err;
	} finally {
		if (typeof key !== "number" && key.addr) kvfree(kernel, key.addr);
		map.writecnt--;
	}
}

/** kernel/bpf/syscall.c: map_get_next_key */
export function map_get_next_key(kernel: Kernel, attr: bpf_attr): number {
	const k = impl(kernel);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_GET_NEXT_KEY)) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	if (!(map_get_sys_perms(map, fdget(kernel, attr.map_fd)!) & FMODE_CAN_READ)) return -EPERM;
	let key: { addr: number } | number = { addr: 0 };
	if (attr.key !== 0n) {
		key = copy_key(kernel, make_bpfptr(attr.key, false), map.key_size);
		if (typeof key === "number") return key;
	}
	const next_key = kvzalloc(kernel, Math.max(map.key_size, 1));
	try {
		if (!next_key) return -ENOMEM;
		if (!map.ops.map_get_next_key) return no_body(map, "get_next_key");
		k.rcu.read_lock();
		let err: number;
		try {
			err = map.ops.map_get_next_key(map, key.addr, next_key);
		} finally {
			k.rcu.read_unlock();
		}
		if (err) return err;
		const unext = u64_to_user_ptr(attr.next_key);
		return k.copy_to_user(unext, k.kmem.read(next_key, map.key_size)) ? 0 : -EFAULT;
	} finally {
		if (next_key) kvfree(kernel, next_key);
		if (key.addr) kvfree(kernel, key.addr);
	}
}

/** kernel/bpf/syscall.c: map_lookup_and_delete_elem */
export function map_lookup_and_delete_elem(kernel: Kernel, attr: bpf_attr): number {
	const k = impl(kernel);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_LOOKUP_AND_DELETE_ELEM)) return -EINVAL;
	if (attr.flags & ~LOCK) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	const f = fdget(kernel, attr.map_fd)!;
	const ops = ops_of(map);
	map.writecnt++;
	let key: { addr: number } | number = 0;
	let value = 0;
	try {
		const perms = map_get_sys_perms(map, f);
		if (!(perms & FMODE_CAN_READ) || !(perms & FMODE_CAN_WRITE)) return -EPERM;
		const queue = map.map_type === BPF_MAP_TYPE_QUEUE || map.map_type === BPF_MAP_TYPE_STACK;
		if (attr.flags && queue) return -EINVAL;
		if (attr.flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
		key = copy_key(kernel, make_bpfptr(attr.key, false), map.key_size);
		if (typeof key === "number") return key;
		const value_size = bpf_map_value_size(map);
		value = kvzalloc(kernel, Math.max(value_size, 1));
		if (!value) return -ENOMEM;
		let err = -ENOTSUPP;
		if (queue) err = ops.map_pop_elem!(map, value);
		else if (
			map.map_type === BPF_MAP_TYPE_HASH ||
			map.map_type === BPF_MAP_TYPE_PERCPU_HASH ||
			map.map_type === BPF_MAP_TYPE_LRU_HASH ||
			map.map_type === BPF_MAP_TYPE_LRU_PERCPU_HASH
		) {
			k.rcu.read_lock();
			try {
				err = ops.map_lookup_and_delete_elem!(map, key.addr, value, attr.flags);
			} finally {
				k.rcu.read_unlock();
			}
		}
		if (err) return err;
		return k.copy_to_user(u64_to_user_ptr(attr.value), k.kmem.read(value, value_size)) ? 0 : -EFAULT;
	} finally {
		if (value) kvfree(kernel, value);
		if (typeof key !== "number" && key.addr) kvfree(kernel, key.addr);
		map.writecnt--;
	}
}

/** kernel/bpf/syscall.c: map_freeze */
export function map_freeze(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_FREEZE)) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.map_fd);
	if (typeof map === "number") return map;
	if (map.map_type === BPF_MAP_TYPE_STRUCT_OPS || map.record) return -ENOTSUPP;
	if (!(map_get_sys_perms(map, fdget(kernel, attr.map_fd)!) & FMODE_CAN_WRITE)) return -EPERM;
	if (bpf_map_write_active(map)) return -EBUSY;
	if (map.frozen) return -EBUSY;
	map.frozen = true;
	return 0;
}

// ---- batches

/** Checks that begin each generic batch: a negative errno, or 0. */
function batch_flags(map: bpf_map, attr: bpf_attr): number {
	if (attr.batch_elem_flags & ~LOCK) return -EINVAL;
	if (attr.batch_elem_flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
	return 0;
}

/** kernel/bpf/syscall.c: generic_map_delete_batch */
export function generic_map_delete_batch(map: bpf_map, attr: bpf_attr, uattr: number): number {
	const { kernel } = map;
	const k = impl(kernel);
	const bad = batch_flags(map, attr);
	if (bad) return bad;
	const keys = u64_to_user_ptr(attr.batch_keys);
	const max_count = attr.batch_count;
	if (!max_count) return 0;
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, 0)) return -EFAULT;
	const key = kvzalloc(kernel, map.key_size);
	if (!key) return -ENOMEM;
	let err = 0;
	let cp = 0;
	for (; cp < max_count; cp++) {
		const bytes = k.copy_from_user(keys + cp * map.key_size, map.key_size);
		err = -EFAULT;
		if (!bytes) break;
		k.kmem.write(key, bytes);
		err = map.ops.map_delete_elem!(map, key);
		if (err) break;
	}
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, cp)) err = -EFAULT;
	kvfree(kernel, key);
	return err;
}

/** kernel/bpf/syscall.c: generic_map_update_batch */
export function generic_map_update_batch(
	map: bpf_map,
	map_file: file,
	attr: bpf_attr,
	uattr: number,
): number {
	const { kernel } = map;
	const k = impl(kernel);
	const bad = batch_flags(map, attr);
	if (bad) return bad;
	const keys = u64_to_user_ptr(attr.batch_keys);
	const values = u64_to_user_ptr(attr.batch_values);
	const value_size = bpf_map_value_size(map);
	const max_count = attr.batch_count;
	if (!max_count) return 0;
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, 0)) return -EFAULT;
	const key = kvzalloc(kernel, map.key_size);
	if (!key) return -ENOMEM;
	const value = kvzalloc(kernel, value_size);
	if (!value) {
		kvfree(kernel, key);
		return -ENOMEM;
	}
	let err = 0;
	let cp = 0;
	for (; cp < max_count; cp++) {
		err = -EFAULT;
		const kb = k.copy_from_user(keys + cp * map.key_size, map.key_size);
		if (!kb) break;
		const vb = k.copy_from_user(values + cp * value_size, value_size);
		if (!vb) break;
		k.kmem.write(key, kb);
		k.kmem.write(value, vb);
		err = bpf_map_update_value(map, map_file, key, value, attr.batch_elem_flags);
		if (err) break;
	}
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, cp)) err = -EFAULT;
	kvfree(kernel, value);
	kvfree(kernel, key);
	return err;
}

/** kernel/bpf/syscall.c: generic_map_lookup_batch */
export function generic_map_lookup_batch(map: bpf_map, attr: bpf_attr, uattr: number): number {
	const { kernel } = map;
	const k = impl(kernel);
	const bad = batch_flags(map, attr);
	if (bad) return bad;
	const uobatch = u64_to_user_ptr(attr.batch_out_batch);
	const ubatch = u64_to_user_ptr(attr.batch_in_batch);
	const values = u64_to_user_ptr(attr.batch_values);
	const keys = u64_to_user_ptr(attr.batch_keys);
	const value_size = bpf_map_value_size(map);
	const max_count = attr.batch_count;
	if (!max_count) return 0;
	if (!k.put_user32(uattr + ATTR_OFF.batch_count, 0)) return -EFAULT;
	const prevkey = kvzalloc(kernel, map.key_size);
	if (!prevkey) return -ENOMEM;
	const buf = kvzalloc(kernel, map.key_size + value_size);
	if (!buf) {
		kvfree(kernel, prevkey);
		return -ENOMEM;
	}
	try {
		let prev_key = 0;
		let key = buf;
		const value = buf + map.key_size;
		if (ubatch) {
			const b = k.copy_from_user(ubatch, map.key_size);
			if (!b) return -EFAULT;
			k.kmem.write(prevkey, b);
			prev_key = prevkey;
		}
		let err = 0;
		let cp = 0;
		while (cp < max_count) {
			err = map.ops.map_get_next_key!(map, prev_key, key);
			if (err) break;
			err = bpf_map_copy_value(map, key, value, attr.batch_elem_flags);
			if (err && err !== -ENOENT) return err;
			if (!err) {
				if (!k.copy_to_user(keys + cp * map.key_size, k.kmem.read(key, map.key_size))) return -EFAULT;
				if (!k.copy_to_user(values + cp * value_size, k.kmem.read(value, value_size))) return -EFAULT;
				cp++;
			}
			if (!prev_key) prev_key = prevkey;
			[prev_key, key] = [key, prev_key];
		}
		if (err === -EFAULT) return err;
		if (
			!k.put_user32(uattr + ATTR_OFF.batch_count, cp) ||
			(cp && !k.copy_to_user(uobatch, k.kmem.read(prev_key, map.key_size)))
		)
			err = -EFAULT;
		return err;
	} finally {
		kvfree(kernel, prevkey);
		kvfree(kernel, buf);
	}
}

/** kernel/bpf/syscall.c: bpf_map_do_batch */
export function bpf_map_do_batch(kernel: Kernel, attr: bpf_attr, uattr: number, cmd: number): number {
	const has_read = cmd === BPF_MAP_LOOKUP_BATCH || cmd === BPF_MAP_LOOKUP_AND_DELETE_BATCH;
	const has_write = cmd !== BPF_MAP_LOOKUP_BATCH;
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_BATCH)) return -EINVAL;
	const map = __bpf_map_get(kernel, attr.batch_map_fd);
	if (typeof map === "number") return map;
	const f = fdget(kernel, attr.batch_map_fd)!;
	const ops = ops_of(map);
	if (has_write) map.writecnt++;
	try {
		const perms = map_get_sys_perms(map, f);
		if (has_read && !(perms & FMODE_CAN_READ)) return -EPERM;
		if (has_write && !(perms & FMODE_CAN_WRITE)) return -EPERM;
		if (cmd === BPF_MAP_LOOKUP_BATCH) return ops.map_lookup_batch?.(map, attr, uattr) ?? -ENOTSUPP;
		if (cmd === BPF_MAP_LOOKUP_AND_DELETE_BATCH)
			return ops.map_lookup_and_delete_batch?.(map, attr, uattr) ?? -ENOTSUPP;
		if (cmd === BPF_MAP_UPDATE_BATCH) return ops.map_update_batch?.(map, f, attr, uattr) ?? -ENOTSUPP;
		return ops.map_delete_batch?.(map, attr, uattr) ?? -ENOTSUPP;
	} finally {
		if (has_write) {
			maybe_wait_bpf_programs(map);
			map.writecnt--;
		}
	}
}

export { kmem_of };
