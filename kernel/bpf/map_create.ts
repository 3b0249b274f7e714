// SPDX-License-Identifier: GPL-2.0-only
/**
 * The life of maps (kernel/bpf/syscall.c): BPF_MAP_CREATE with every check, references, the map's
 * file, and freeing after the last reference.
 */
import {
	BPF_KPTR,
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_KPTR_UNREF,
	BPF_LIST_HEAD,
	BPF_RB_ROOT,
	BPF_REFCOUNT,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WORKQUEUE,
} from "../../include/linux/bpf.ts";
import {
	EACCES,
	EBADF,
	EINVAL,
	ENOENT,
	ENOTSUPP,
	EOPNOTSUPP,
	EPERM,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_RDONLY,
	BPF_F_RDONLY_PROG,
	BPF_F_TOKEN_FD,
	BPF_F_WRONLY,
	BPF_F_WRONLY_PROG,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
	BPF_MAP_TYPE_CPUMAP,
	BPF_MAP_TYPE_DEVMAP,
	BPF_MAP_TYPE_DEVMAP_HASH,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_LPM_TRIE,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_QUEUE,
	BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_STACK,
	BPF_MAP_TYPE_STACK_TRACE,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_MAP_TYPE_XSKMAP,
} from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import type { Ref } from "../../lib/err.ts";
import {
	anon_inode_getfd,
	EPOLLERR,
	FMODE_CAN_WRITE,
	fdget,
	type file,
	type file_operations,
	O_CLOEXEC,
	O_RDONLY,
	O_RDWR,
	O_WRONLY,
	type poll_table,
} from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { VM_MAYEXEC, VM_MAYWRITE, VM_SHARED, VM_WRITE, type vm_area_struct } from "../kmem.ts";
import { bpf_token_capable, security_bpf_map } from "../security.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN, capable } from "../task.ts";
import { attr_tail_nonzero, bpf_token_get_from_fd } from "./attr.ts";
import type { bpf_map } from "./bpf_types.ts";
import {
	btf_check_and_fixup_fields,
	btf_get_by_fd,
	btf_is_kernel,
	btf_parse_fields,
	btf_put,
	btf_record_free,
	btf_type_by_id,
	btf_type_id_size,
} from "./btf.ts";
import type { btf, btf_type } from "./btf_types.ts";
import { bpf_map_attr_numa_node, map_image_sync, ops_of } from "./map.ts";
import { bpf_map_type_ops } from "./map_types.ts";

/** kernel/bpf/syscall.c: map_check_no_btf */
export function map_check_no_btf(_map: bpf_map, _btf: btf, _key: btf_type, _value: btf_type): number {
	return -ENOTSUPP;
}

/** kernel/bpf/syscall.c: bpf_get_file_flag */
export function bpf_get_file_flag(flags: number): number {
	if (flags & BPF_F_RDONLY && flags & BPF_F_WRONLY) return -EINVAL;
	if (flags & BPF_F_RDONLY) return O_RDONLY;
	if (flags & BPF_F_WRONLY) return O_WRONLY;
	return O_RDWR;
}

/** kernel/bpf/syscall.c: bpf_obj_name_cpy: the name, or -EINVAL. */
export function bpf_obj_name_cpy(src: Uint8Array): string | number {
	let name = "";
	for (let i = 0; i < src.length; i++) {
		const c = src[i]!;
		if (c === 0) return name;
		const alnum = (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
		if (!alnum && c !== 0x5f && c !== 0x2e) return -EINVAL;
		name += String.fromCharCode(c);
	}
	return -EINVAL;
}

// ---- references

/** kernel/bpf/syscall.c: bpf_map_inc */
export function bpf_map_inc(map: bpf_map): void {
	map.refcnt++;
}

/** kernel/bpf/syscall.c: bpf_map_inc_with_uref */
export function bpf_map_inc_with_uref(map: bpf_map): void {
	map.refcnt++;
	map.usercnt++;
}

/** kernel/bpf/syscall.c: __bpf_map_inc_not_zero */
export function __bpf_map_inc_not_zero(map: bpf_map, uref: boolean): bpf_map | number {
	if (map.refcnt === 0) return -ENOENT;
	map.refcnt++;
	if (uref) map.usercnt++;
	return map;
}

/** kernel/bpf/syscall.c: __bpf_map_get */
export function __bpf_map_get(kernel: Kernel, ufd: number): bpf_map | number {
	const f = fdget(kernel, ufd);
	if (!f) return -EBADF;
	if (f.f_op !== bpf_map_fops) return -EINVAL;
	return f.private_data as bpf_map;
}

/** kernel/bpf/syscall.c: bpf_map_get */
export function bpf_map_get(kernel: Kernel, ufd: number): bpf_map | number {
	const map = __bpf_map_get(kernel, ufd);
	if (typeof map !== "number") bpf_map_inc(map);
	return map;
}

/** kernel/bpf/syscall.c: bpf_map_get_with_uref */
export function bpf_map_get_with_uref(kernel: Kernel, ufd: number): bpf_map | number {
	const map = __bpf_map_get(kernel, ufd);
	if (typeof map !== "number") bpf_map_inc_with_uref(map);
	return map;
}

function bpf_map_alloc_id(map: bpf_map): number {
	const id = impl(map.kernel).bpf.map_idr.alloc_cyclic(map);
	if (id < 0) return id;
	map.id = id;
	return 0;
}

function bpf_map_free_id(map: bpf_map): void {
	if (!map.id) return;
	impl(map.kernel).bpf.map_idr.remove(map.id);
	map.id = 0;
}

/** kernel/bpf/syscall.c: bpf_map_free_record */
export function bpf_map_free_record(map: bpf_map): void {
	if (map.record) btf_record_free(map.record);
	map.record = null;
}

/** kernel/bpf/syscall.c: bpf_map_free */
function bpf_map_free(map: bpf_map): void {
	const { record, btf } = map;
	map.ops.map_free?.(map);
	if (record) btf_record_free(record);
	btf_put(btf);
}

function bpf_map_free_in_work(map: bpf_map): void {
	impl(map.kernel).queue_work(() => {
		map.owner = null;
		bpf_map_free(map);
	});
}

function bpf_map_put_uref(map: bpf_map): void {
	if (--map.usercnt === 0) ops_of(map).map_release_uref?.(map);
}

/** kernel/bpf/syscall.c: bpf_map_put: the last reference frees, after the grace periods it needs. */
export function bpf_map_put(map: bpf_map): void {
	if (--map.refcnt !== 0) return;
	const k = impl(map.kernel);
	bpf_map_free_id(map);
	if (map.sleepable_refcnt) k.printk("WARNING: bpf_map_put: sleepable_refcnt is not 0");
	if (map.free_after_mult_rcu_gp) k.rcu_tasks_trace.call(() => k.rcu.call(() => bpf_map_free_in_work(map)));
	else if (map.free_after_rcu_gp) k.rcu.call(() => bpf_map_free_in_work(map));
	else bpf_map_free_in_work(map);
}

/** kernel/bpf/syscall.c: bpf_map_put_with_uref */
export function bpf_map_put_with_uref(map: bpf_map): void {
	bpf_map_put_uref(map);
	bpf_map_put(map);
}

/** kernel/bpf/syscall.c: bpf_map_write_active */
export function bpf_map_write_active(map: bpf_map): boolean {
	return map.writecnt !== 0;
}

/** kernel/bpf/syscall.c: map_get_sys_perms */
export function map_get_sys_perms(map: bpf_map, f: file): number {
	return map.frozen ? f.f_mode & ~FMODE_CAN_WRITE : f.f_mode;
}

// ---- the map's file

const map_vm_ops = {
	open(vma: vm_area_struct): void {
		if (vma.vm_flags & VM_MAYWRITE) (vma.vm_private_data as bpf_map).writecnt++;
	},
	close(vma: vm_area_struct): void {
		if (vma.vm_flags & VM_MAYWRITE) (vma.vm_private_data as bpf_map).writecnt--;
	},
};

/** kernel/bpf/syscall.c: bpf_map_mmap */
function bpf_map_mmap(f: file, vma: vm_area_struct): number {
	const map = f.private_data as bpf_map;
	const ops = ops_of(map);
	if (!ops.map_mmap || map.record) return -ENOTSUPP;
	if (!(vma.vm_flags & VM_SHARED)) return -EINVAL;
	if (vma.vm_flags & VM_WRITE) {
		if (map.frozen) return -EPERM;
		if (map.map_flags & BPF_F_RDONLY_PROG) return -EACCES;
		map.writecnt++;
	}
	vma.vm_ops = map_vm_ops;
	vma.vm_private_data = map;
	vma.vm_flags &= ~VM_MAYEXEC;
	if (!(vma.vm_flags & VM_WRITE)) vma.vm_flags &= ~VM_MAYWRITE;
	const err = ops.map_mmap(map, vma);
	if (err && vma.vm_flags & VM_WRITE) map.writecnt--;
	return err;
}

/** kernel/bpf/syscall.c: bpf_map_show_fdinfo */
function bpf_map_show_fdinfo(f: file): string {
	const map = f.private_data as bpf_map;
	const hex = (v: bigint): string => (v === 0n ? "0" : `0x${v.toString(16)}`);
	let s =
		`map_type:\t${map.map_type}\nkey_size:\t${map.key_size}\nvalue_size:\t${map.value_size}\n` +
		`max_entries:\t${map.max_entries}\nmap_flags:\t${hex(BigInt(map.map_flags))}\n` +
		`map_extra:\t${hex(map.map_extra)}\nmemlock:\t${map.ops.map_mem_usage?.(map) ?? 0n}\n` +
		`map_id:\t${map.id}\nfrozen:\t${map.frozen ? 1 : 0}\n`;
	if (map.owner?.type) s += `owner_prog_type:\t${map.owner.type}\nowner_jited:\t${map.owner.jited ? 1 : 0}\n`;
	return s;
}

/** kernel/bpf/syscall.c: bpf_map_fops */
export const bpf_map_fops: file_operations = {
	name: "bpf-map",
	show_fdinfo: bpf_map_show_fdinfo,
	release(f: file): void {
		const map = f.private_data as bpf_map;
		ops_of(map).map_release?.(map, f);
		bpf_map_put_with_uref(map);
	},
	read: () => -EINVAL,
	write: () => -EINVAL,
	mmap: bpf_map_mmap,
	poll(f: file, pt: poll_table | null): number {
		const map = f.private_data as bpf_map;
		return ops_of(map).map_poll?.(map, f, pt) ?? EPOLLERR;
	},
	get_unmapped_area(f: file, addr: number, len: number, pgoff: number, flags: number): number {
		const map = f.private_data as bpf_map;
		return ops_of(map).map_get_unmapped_area?.(f, addr, len, pgoff, flags) ?? 0;
	},
};

/** kernel/bpf/syscall.c: bpf_map_new_fd */
export function bpf_map_new_fd(map: bpf_map, flags: number): number {
	const denied = security_bpf_map(map, (flags + 1) & 3);
	if (denied < 0) return denied;
	return anon_inode_getfd(map.kernel, "bpf-map", bpf_map_fops, map, flags | O_CLOEXEC);
}

// ---- BPF_MAP_CREATE

const SPIN_LOCK_MAPS = new Set([
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
]);
const TIMER_MAPS = new Set([BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_ARRAY]);
const KPTR_MAPS = new Set([
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_LRU_HASH,
	BPF_MAP_TYPE_LRU_PERCPU_HASH,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_MAP_TYPE_CGRP_STORAGE,
]);
const FIELD_MAPS: ReadonlyMap<number, ReadonlySet<number>> = new Map([
	[BPF_SPIN_LOCK, SPIN_LOCK_MAPS],
	[BPF_TIMER, TIMER_MAPS],
	[BPF_WORKQUEUE, TIMER_MAPS],
	[BPF_KPTR_UNREF, KPTR_MAPS],
	[BPF_KPTR_REF, KPTR_MAPS],
	[BPF_KPTR_PERCPU, KPTR_MAPS],
	[BPF_REFCOUNT, KPTR_MAPS],
	[BPF_LIST_HEAD, TIMER_MAPS],
	[BPF_RB_ROOT, TIMER_MAPS],
]);

/** kernel/bpf/syscall.c: map_check_btf */
function map_check_btf(
	kernel: Kernel,
	map: bpf_map,
	b: btf,
	btf_key_id: number,
	btf_value_id: number,
): number {
	let key_type: btf_type | null;
	const key_id: Ref<number> = { val: btf_key_id };
	const key_size: Ref<number> = { val: 0 };
	if (btf_key_id) {
		key_type = btf_type_id_size(b, key_id, key_size);
		if (!key_type || key_size.val !== map.key_size) return -EINVAL;
	} else {
		key_type = btf_type_by_id(b, 0);
		if (!map.ops.map_check_btf) return -EINVAL;
	}
	const value_id: Ref<number> = { val: btf_value_id };
	const value_size: Ref<number> = { val: 0 };
	const value_type = btf_type_id_size(b, value_id, value_size);
	if (!value_type || value_size.val !== map.value_size) return -EINVAL;

	const rec = btf_parse_fields(
		b,
		value_type,
		BPF_SPIN_LOCK | BPF_TIMER | BPF_KPTR | BPF_LIST_HEAD | BPF_RB_ROOT | BPF_REFCOUNT | BPF_WORKQUEUE,
		map.value_size,
	);
	// An ERR_PTR record stays in the kernel's map and counts as none, up to btf_check_and_fixup_fields().
	map.record = typeof rec === "number" ? null : rec;
	const fail = (err: number): number => {
		bpf_map_free_record(map);
		return err;
	};
	if (map.record) {
		if (!bpf_token_capable(kernel, CAP_BPF)) return fail(-EPERM);
		if (map.map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) return fail(-EACCES);
		for (let i = 0; i < 32; i++) {
			const bit = map.record.field_mask & (1 << i);
			if (!bit) continue;
			if (!FIELD_MAPS.get(bit)?.has(map.map_type)) return fail(-EOPNOTSUPP);
		}
	}
	let ret = map.record ? btf_check_and_fixup_fields(b, map.record) : 0;
	if (ret < 0) return fail(ret);
	if (map.ops.map_check_btf) {
		ret = map.ops.map_check_btf(map, b, key_type!, value_type);
		if (ret < 0) return fail(ret);
	}
	return ret;
}

/** kernel/bpf/syscall.c: map_create */
export function map_create(kernel: Kernel, attr: bpf_attr): number {
	const k = impl(kernel);
	const numa_node = bpf_map_attr_numa_node(attr);
	if (attr_tail_nonzero(attr, ATTR_END.BPF_MAP_CREATE)) return -EINVAL;

	const token_flag = attr.map_flags & BPF_F_TOKEN_FD;
	attr.map_flags = (attr.map_flags & ~BPF_F_TOKEN_FD) >>> 0;

	if (attr.btf_vmlinux_value_type_id) {
		if (attr.map_type !== BPF_MAP_TYPE_STRUCT_OPS || attr.btf_key_type_id || attr.btf_value_type_id)
			return -EINVAL;
	} else if (attr.btf_key_type_id && !attr.btf_value_type_id) return -EINVAL;

	if (
		attr.map_type !== BPF_MAP_TYPE_BLOOM_FILTER &&
		attr.map_type !== BPF_MAP_TYPE_ARENA &&
		attr.map_extra !== 0n
	)
		return -EINVAL;

	const f_flags = bpf_get_file_flag(attr.map_flags);
	if (f_flags < 0) return f_flags;

	// one NUMA node, which is online
	if (numa_node !== -1 && numa_node !== 0) return -EINVAL;

	const map_type = attr.map_type;
	const ops = bpf_map_type_ops(map_type);
	if (!ops) return -EINVAL;
	if (ops.map_alloc_check) {
		const err = ops.map_alloc_check(kernel, attr);
		if (err) return err;
	}
	if (!attr.map_ifindex && !ops.map_mem_usage) return -EINVAL;

	if (token_flag) {
		const token = bpf_token_get_from_fd(kernel, attr.map_token_fd);
		if (token < 0) return token;
	}
	if (kernel.config.unprivileged_bpf_disabled && !bpf_token_capable(kernel, CAP_BPF)) return -EPERM;

	switch (map_type) {
		case BPF_MAP_TYPE_ARRAY:
		case BPF_MAP_TYPE_PERCPU_ARRAY:
		case BPF_MAP_TYPE_PROG_ARRAY:
		case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
		case BPF_MAP_TYPE_CGROUP_ARRAY:
		case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_HASH_OF_MAPS:
		case BPF_MAP_TYPE_RINGBUF:
		case BPF_MAP_TYPE_USER_RINGBUF:
		case BPF_MAP_TYPE_CGROUP_STORAGE:
		case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
			break;
		case BPF_MAP_TYPE_SK_STORAGE:
		case BPF_MAP_TYPE_INODE_STORAGE:
		case BPF_MAP_TYPE_TASK_STORAGE:
		case BPF_MAP_TYPE_CGRP_STORAGE:
		case BPF_MAP_TYPE_BLOOM_FILTER:
		case BPF_MAP_TYPE_LPM_TRIE:
		case BPF_MAP_TYPE_REUSEPORT_SOCKARRAY:
		case BPF_MAP_TYPE_STACK_TRACE:
		case BPF_MAP_TYPE_QUEUE:
		case BPF_MAP_TYPE_STACK:
		case BPF_MAP_TYPE_LRU_HASH:
		case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		case BPF_MAP_TYPE_STRUCT_OPS:
		case BPF_MAP_TYPE_CPUMAP:
		case BPF_MAP_TYPE_ARENA:
			if (!bpf_token_capable(kernel, CAP_BPF)) return -EPERM;
			break;
		case BPF_MAP_TYPE_SOCKMAP:
		case BPF_MAP_TYPE_SOCKHASH:
		case BPF_MAP_TYPE_DEVMAP:
		case BPF_MAP_TYPE_DEVMAP_HASH:
		case BPF_MAP_TYPE_XSKMAP:
			if (!bpf_token_capable(kernel, CAP_NET_ADMIN)) return -EPERM;
			break;
		default:
			kernel.printk(`WARNING: unsupported map type ${map_type}`);
			return -EPERM;
	}

	// bpf_map_offload_map_alloc(): no device here can take a map
	if (attr.map_ifindex) return capable(kernel.current, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
	const map = ops.map_alloc!(kernel, attr, ops);
	if (typeof map === "number") return map;
	map.ops = ops;
	map.map_type = map_type;

	const free_map = (err: number): number => {
		bpf_map_free(map);
		return err;
	};
	const name = bpf_obj_name_cpy(attr.map_name);
	if (typeof name === "number") return free_map(name);
	map.name = name;
	map.cookie = ++k.bpf.map_cookie;
	if (k.bpf.foreign_map_addr) map.foreign_addr = k.bpf.foreign_map_addr(name, k.bpf.maps_created) ?? null;
	k.bpf.maps_created++;
	map.refcnt = 1;
	map.usercnt = 1;

	if (attr.btf_key_type_id || attr.btf_value_type_id || attr.btf_vmlinux_value_type_id) {
		const b = btf_get_by_fd(kernel, attr.btf_fd);
		if (typeof b === "number") return free_map(b);
		if (btf_is_kernel(b)) {
			btf_put(b);
			return free_map(-EACCES);
		}
		map.btf = b;
		if (attr.btf_value_type_id) {
			const err = map_check_btf(kernel, map, b, attr.btf_key_type_id, attr.btf_value_type_id);
			if (err) return free_map(err);
		}
		map.btf_key_type_id = attr.btf_key_type_id;
		map.btf_value_type_id = attr.btf_value_type_id;
		map.btf_vmlinux_value_type_id = attr.btf_vmlinux_value_type_id;
	}
	const err = bpf_map_alloc_id(map);
	if (err) return free_map(err);
	map_image_sync(map);

	const fd = bpf_map_new_fd(map, f_flags);
	if (fd < 0) bpf_map_put_with_uref(map);
	return fd;
}
