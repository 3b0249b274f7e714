// SPDX-License-Identifier: GPL-2.0-only
/**
 * Storage of maps in tasks, sockets, inodes and cgroups (kernel/bpf/bpf_local_storage.c with bpf_task_storage.c,
 * bpf_inode_storage.c, bpf_cgrp_storage.c, net/core/bpf_sk_storage.c). Elements lie in guest memory, which list
 * they are in is kept here, by map and by the owner's address. There are no pidfds, sockets and cgroup files that
 * user space could name an owner by; of inodes there is the one behind anonymous files.
 *
 * An element as in struct bpf_local_storage_elem:
 *   map_node 0, snode 16, local_storage 32, rcu or free node 40, padding 56, smap 64, data 72
 */
import { BPF_SPIN_LOCK } from "../../include/linux/bpf.ts";
import { EBADF, EEXIST, EINVAL, ENOENT, ENOMEM, ENOTSOCK } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_EXIST,
	BPF_F_LOCK,
	BPF_LOCAL_STORAGE_GET_F_CREATE,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_NOEXIST,
} from "../../include/uapi/linux/bpf.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import { fdget } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { impl } from "../kernel_impl.ts";
import type { bpf_map } from "./bpf_types.ts";
import { try_offsetof } from "./layout.ts";
import {
	bpf_obj_free_fields,
	btf_record_has_field,
	copy_map_value,
	copy_map_value_locked,
	IS_ERR_VALUE,
	round_up,
} from "./map.ts";

const SELEM_SMAP = 64;
const SELEM_DATA = 72;
const LOCK = BigInt(BPF_F_LOCK);
const CREATE = BigInt(BPF_LOCAL_STORAGE_GET_F_CREATE);
/** net.core.optmem_max */
const OPTMEM_MAX = 131072;
/** Stands for the inode of anonymous files, which has no struct here. */
const ANON_INODE = 8;

/** All elements of a kernel: of each map its owners' (addresses of elements by the owner's address). */
export class LocalStorages {
	private readonly maps: Map<bpf_map, Map<number, number>> = new Map();
	/** sk->sk_omem_alloc, by socket */
	readonly omem: Map<number, number> = new Map();

	/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_lookup: address of the data, or 0 */
	lookup(map: bpf_map, owner: number): number {
		const selem = this.maps.get(map)?.get(owner);
		return selem === undefined ? 0 : selem + SELEM_DATA;
	}

	/** bpf_selem_link_storage_nolock(), bpf_selem_link_map() */
	link(map: bpf_map, owner: number, selem: number): void {
		let of_map = this.maps.get(map);
		if (!of_map) {
			of_map = new Map();
			this.maps.set(map, of_map);
		}
		of_map.set(owner, selem);
	}

	/** kernel/bpf/bpf_local_storage.c: bpf_selem_unlink: from map and owner; its memory goes after a grace period. */
	unlink(map: bpf_map, owner: number): boolean {
		const of_map = this.maps.get(map);
		const selem = of_map?.get(owner);
		if (!of_map || selem === undefined) return false;
		of_map.delete(owner);
		if (of_map.size === 0) this.maps.delete(map);
		free_selem(map, selem);
		const charged = this.omem.get(owner);
		if (charged !== undefined) this.omem.set(owner, charged - elem_size(map));
		return true;
	}

	/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_destroy: the owner is gone. */
	owner_gone(owner: number): void {
		for (const map of [...this.maps.keys()]) this.unlink(map, owner);
		this.omem.delete(owner);
	}

	/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_map_free */
	map_gone(map: bpf_map): void {
		for (const owner of [...(this.maps.get(map)?.keys() ?? [])]) this.unlink(map, owner);
	}
}

/** smap->elem_size */
function elem_size(map: bpf_map): number {
	return SELEM_DATA + round_up(map.value_size, 8);
}

/** kernel/bpf/bpf_local_storage.c: bpf_selem_free: its special fields at once, its memory after a grace period. */
function free_selem(map: bpf_map, selem: number): void {
	const k = impl(map.kernel);
	bpf_obj_free_fields(map.kernel, map.record, selem + SELEM_DATA);
	k.rcu_tasks_trace.call(() => k.kmem.kfree(selem));
}

/** kernel/bpf/bpf_local_storage.c: check_flags */
function check_flags(old_sdata: number, map_flags: bigint): number {
	const flags = map_flags & ~LOCK;
	if (old_sdata && flags === BigInt(BPF_NOEXIST)) return -EEXIST;
	if (!old_sdata && flags === BigInt(BPF_EXIST)) return -ENOENT;
	return 0;
}

/** kernel/bpf/bpf_local_storage.c: bpf_selem_alloc; `value` 0: zeroed. A negative errno when there is no room. */
function bpf_selem_alloc(map: bpf_map, owner: number, value: number, charge: boolean): number {
	const k = impl(map.kernel);
	const size = elem_size(map);
	if (charge) {
		const now = k.bpf.local_storage.omem.get(owner) ?? 0;
		if (size > OPTMEM_MAX || now + size >= OPTMEM_MAX) return -ENOMEM;
		k.bpf.local_storage.omem.set(owner, now + size);
	}
	const selem = k.kmem.kzalloc(size);
	if (!selem) return -ENOMEM;
	k.kmem.w64(selem + SELEM_SMAP, map.kaddr);
	if (value) copy_map_value(map, selem + SELEM_DATA, value);
	return selem;
}

/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_update: address of the data, or a negative errno */
export function bpf_local_storage_update(
	map: bpf_map,
	owner: number,
	value: number,
	map_flags: bigint,
	charge = false,
): number {
	if (
		(map_flags & ~LOCK) > BigInt(BPF_EXIST) ||
		(map_flags & LOCK && !btf_record_has_field(map.record, BPF_SPIN_LOCK))
	)
		return -EINVAL;
	const storages = impl(map.kernel).bpf.local_storage;
	const old_sdata = storages.lookup(map, owner);
	const err = check_flags(old_sdata, map_flags);
	if (err) return err;
	if (old_sdata && map_flags & LOCK) {
		copy_map_value_locked(map, old_sdata, value, false);
		return old_sdata;
	}
	const selem = bpf_selem_alloc(map, owner, value, charge);
	if (IS_ERR_VALUE(selem)) return selem;
	if (old_sdata) storages.unlink(map, owner);
	storages.link(map, owner, selem);
	return selem + SELEM_DATA;
}

/** What a map stores in. */
export type owner_kind = "task" | "cgrp" | "sk" | "inode";

/** The owner that a system call's key, a descriptor, stands for: its address, or a negative errno. */
function owner_of_fd(k: KernelImpl, kind: owner_kind, fd: number): number {
	const open = fdget(k, fd) !== null;
	switch (kind) {
		case "sk":
			return open ? -ENOTSOCK : -EBADF;
		case "inode":
			return open ? ANON_INODE : -EBADF;
		default:
			return -EBADF;
	}
}

/** bpf_*_storage_lookup_elem of a descriptor */
export function storage_lookup_elem(kind: owner_kind, map: bpf_map, key: number): number {
	const k = impl(map.kernel);
	const owner = owner_of_fd(k, kind, k.kmem.rs32(key));
	return IS_ERR_VALUE(owner) ? owner : k.bpf.local_storage.lookup(map, owner);
}

/** bpf_*_storage_update_elem of a descriptor */
export function storage_update_elem(
	kind: owner_kind,
	map: bpf_map,
	key: number,
	value: number,
	flags: bigint,
): number {
	const k = impl(map.kernel);
	const owner = owner_of_fd(k, kind, k.kmem.rs32(key));
	if (IS_ERR_VALUE(owner)) return owner;
	const sdata = bpf_local_storage_update(map, owner, value, flags);
	return IS_ERR_VALUE(sdata) ? sdata : 0;
}

/** bpf_*_storage_delete_elem of a descriptor */
export function storage_delete_elem(kind: owner_kind, map: bpf_map, key: number): number {
	const k = impl(map.kernel);
	const owner = owner_of_fd(k, kind, k.kmem.rs32(key));
	if (IS_ERR_VALUE(owner)) return owner;
	return k.bpf.local_storage.unlink(map, owner) ? 0 : -ENOENT;
}

/** kernel/bpf/bpf_local_storage.c: bpf_local_storage_map_free, then the map itself by `free` */
export function bpf_local_storage_map_free(map: bpf_map, free: (map: bpf_map) => void): void {
	impl(map.kernel).bpf.local_storage.map_gone(map);
	free(map);
}

/** The helpers of programs. */
export function register_local_storage(k: KernelImpl): void {
	const { bodies, local_storage } = k.bpf;
	const p = u64_to_addr;
	const get = (m: bigint, owner: number, value: bigint, flags: bigint, may: boolean, charge: boolean) => {
		const map = k.bpf.map_of(m);
		const had = local_storage.lookup(map, owner);
		if (had) return addr_to_u64(had);
		if (!(flags & CREATE) || !may) return 0n;
		const sdata = bpf_local_storage_update(map, owner, p(value), BigInt(BPF_NOEXIST), charge);
		return IS_ERR_VALUE(sdata) ? 0n : addr_to_u64(sdata);
	};
	const del = (m: bigint, owner: number): bigint =>
		local_storage.unlink(k.bpf.map_of(m), owner) ? 0n : BigInt(-ENOENT);

	const is_task = (addr: number): boolean => [...k.tasks.values()].some((t) => t.addr === addr);
	for (const suffix of ["", "_recur"]) {
		bodies.set(`bpf_task_storage_get${suffix}`, (_c, m, task, value, flags) => {
			if (flags & ~CREATE || !task) return 0n;
			return get(m, p(task), value, flags, is_task(p(task)), false);
		});
		bodies.set(`bpf_task_storage_delete${suffix}`, (_c, m, task) =>
			task ? del(m, p(task)) : BigInt(-EINVAL),
		);
	}
	for (const kind of ["inode", "cgrp"]) {
		bodies.set(`bpf_${kind}_storage_get`, (_c, m, owner, value, flags) =>
			flags & ~CREATE || !owner ? 0n : get(m, p(owner), value, flags, true, false),
		);
		bodies.set(`bpf_${kind}_storage_delete`, (_c, m, owner) => (owner ? del(m, p(owner)) : BigInt(-EINVAL)));
	}
	/** include/net/sock.h: sk_fullsock: neither TCP_TIME_WAIT nor TCP_NEW_SYN_RECV */
	const sk_fullsock = (sk: bigint): boolean => {
		const off = try_offsetof(k, "sock", "__sk_common.skc_state");
		const state = off < 0 ? 0 : k.kmem.r8(p(sk) + off);
		return state !== 6 && state !== 12;
	};
	for (const suffix of ["", "_tracing"]) {
		bodies.set(`bpf_sk_storage_get${suffix}`, (_c, m, sk, value, flags) => {
			if (!sk || !sk_fullsock(sk) || flags > CREATE) return 0n;
			return get(m, p(sk), value, flags, true, true);
		});
		bodies.set(`bpf_sk_storage_delete${suffix}`, (_c, m, sk) =>
			!sk || !sk_fullsock(sk) ? BigInt(-EINVAL) : del(m, p(sk)),
		);
	}
	// kernel/bpf/cgroup.c: what the run at hand brought with it
	bodies.set("bpf_get_local_storage", (_c, m) => {
		const [shared, percpu] = k.bpf.cgroup_storage;
		return addr_to_u64(
			k.bpf.map_of(m).map_type === BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE ? k.kmem.this_cpu_ptr(percpu) : shared,
		);
	});
}
