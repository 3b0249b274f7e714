// SPDX-License-Identifier: GPL-2.0-only
/**
 * What all maps share: the operations that only the system calls use, the guest's image of a map, and
 * copying of values around their special fields (include/linux/bpf.h, the map part of kernel/bpf/syscall.c).
 */

import {
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_KPTR_UNREF,
	BPF_LIST_HEAD,
	BPF_LIST_NODE,
	BPF_RB_NODE,
	BPF_RB_ROOT,
	BPF_REFCOUNT,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WORKQUEUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_F_NUMA_NODE,
	BPF_F_RDONLY,
	BPF_F_RDONLY_PROG,
	BPF_F_WRONLY,
	BPF_F_WRONLY_PROG,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { VM_DONTDUMP, VM_DONTEXPAND } from "../../mm/mm_types.ts";
import type { file, poll_table } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { type Kmem, PAGE_SHIFT, PAGE_SIZE, type vm_area_struct } from "../kmem.ts";
import { bpf_bypass_spec_v1 } from "../security.ts";
import { bpf_map, type bpf_map_ops } from "./bpf_types.ts";
import type { btf_field, btf_record } from "./btf_types.ts";
import { koffsetof, ksizeof, try_offsetof } from "./layout.ts";
import { bpf_obj_free_field } from "./obj_fields.ts";

/** struct bpf_map_ops in full: with what only bpf(2) calls. */
export interface map_ops extends bpf_map_ops {
	map_alloc_check?(kernel: Kernel, attr: bpf_attr): number;
	/** The map, or a negative errno; `ops` is what to give it. */
	map_alloc?(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number;
	map_release?(map: bpf_map, map_file: file): void;
	map_release_uref?(map: bpf_map): void;
	map_lookup_elem_sys_only?(map: bpf_map, key: number): number;
	map_lookup_and_delete_elem?(map: bpf_map, key: number, value: number, flags: bigint): number;
	map_lookup_batch?(map: bpf_map, attr: bpf_attr, uattr: number): number;
	map_lookup_and_delete_batch?(map: bpf_map, attr: bpf_attr, uattr: number): number;
	map_update_batch?(map: bpf_map, map_file: file, attr: bpf_attr, uattr: number): number;
	map_delete_batch?(map: bpf_map, attr: bpf_attr, uattr: number): number;
	/** The pointer to store, or a negative errno between -4095 and -1. */
	map_fd_get_ptr?(map: bpf_map, map_file: file, ufd: number): number;
	map_fd_put_ptr?(map: bpf_map, ptr: number, need_defer: boolean): void;
	map_fd_sys_lookup_elem?(map: bpf_map, ptr: number): number;
	map_poke_run?(map: bpf_map, key: number, old_ptr: number, new_ptr: number): void;
	map_mmap?(map: bpf_map, vma: vm_area_struct): number;
	map_poll?(map: bpf_map, f: file, pt: poll_table | null): number;
	map_get_unmapped_area?(f: file, addr: number, len: number, pgoff: number, flags: number): number;
}

/** The operations of a map, as bpf(2) sees them. */
export function ops_of(map: bpf_map): map_ops {
	return map.ops as map_ops;
}

/** True for a value of map_lookup_elem() and the like that is an ERR_PTR. */
export function IS_ERR_VALUE(ptr: number): boolean {
	return ptr < 0 && ptr >= -4095;
}

export function round_up(v: number, to: number): number {
	return Math.ceil(v / to) * to;
}

export function PAGE_ALIGN(v: number): number {
	return Math.ceil(v / PAGE_SIZE) * PAGE_SIZE;
}

export function kmem_of(map: bpf_map): Kmem {
	return impl(map.kernel).kmem;
}

/** include/linux/bpf.h: bpf_map_attr_numa_node: the signed node, -1 when none is asked for. */
export function bpf_map_attr_numa_node(attr: bpf_attr): number {
	return attr.map_flags & BPF_F_NUMA_NODE ? attr.numa_node | 0 : -1;
}

/** include/linux/bpf.h: bpf_map_flags_access_ok */
export function bpf_map_flags_access_ok(flags: number): boolean {
	const both = BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;
	return (flags & both) !== both;
}

/** kernel/bpf/syscall.c: bpf_map_init_from_attr */
export function bpf_map_init_from_attr(map: bpf_map, attr: bpf_attr): void {
	map.map_type = attr.map_type;
	map.key_size = attr.key_size;
	map.value_size = attr.value_size;
	map.max_entries = attr.max_entries;
	map.map_flags = (attr.map_flags & ~(BPF_F_RDONLY | BPF_F_WRONLY)) >>> 0;
	map.numa_node = bpf_map_attr_numa_node(attr);
	map.map_extra = attr.map_extra;
}

/** kernel/bpf/syscall.c: bpf_map_area_alloc: zeroed; 0 when there is no memory. */
export function bpf_map_area_alloc(kernel: Kernel, size: number): number {
	const kmem = impl(kernel).kmem;
	if (size > Number.MAX_SAFE_INTEGER) return 0;
	if (size <= PAGE_SIZE << 3) {
		const area = kmem.kzalloc(size);
		if (area) return area;
	}
	return kmem.vzalloc(size);
}

/** kernel/bpf/syscall.c: bpf_map_area_mmapable_alloc */
export function bpf_map_area_mmapable_alloc(kernel: Kernel, size: number): number {
	return impl(kernel).kmem.vzalloc(size);
}

/** kernel/bpf/syscall.c: bpf_map_area_free (kvfree) */
export function bpf_map_area_free(kernel: Kernel, area: number): void {
	kvfree(kernel, area);
}

/** mm/util.c: kvfree */
export function kvfree(kernel: Kernel, area: number): void {
	const kmem = impl(kernel).kmem;
	if (kmem.is_vmalloc_addr(area)) kmem.vfree(area);
	else kmem.kfree(area);
}

/** mm/util.c: kvzalloc */
export function kvzalloc(kernel: Kernel, size: number): number {
	return bpf_map_area_alloc(kernel, size);
}

/** The guest's struct of a map at `addr`: remember it, so that pointers to it are known. */
export function map_image_add(map: bpf_map, addr: number): void {
	map.addr = addr;
	impl(map.kernel).bpf.map_by_addr.set(addr, map);
}

/** The guest's struct goes away; the memory is the map type's to free. */
export function map_image_del(map: bpf_map): void {
	const { bpf } = impl(map.kernel);
	bpf.map_by_addr.delete(map.addr);
	bpf.last_map = null;
}

/** Write the fields of struct bpf_map that programs read through BTF. */
export function map_image_sync(map: bpf_map): void {
	if (map.addr === 0) return;
	const k = map.kernel;
	const kmem = impl(k).kmem;
	const at = (f: string): number => map.addr + koffsetof(k, "bpf_map", f);
	kmem.w32(at("map_type"), map.map_type);
	kmem.w32(at("key_size"), map.key_size);
	kmem.w32(at("value_size"), map.value_size);
	kmem.w32(at("max_entries"), map.max_entries);
	kmem.w64(at("map_extra"), map.map_extra);
	kmem.w32(at("map_flags"), map.map_flags);
	kmem.w32(at("id"), map.id);
	kmem.w32(at("numa_node"), map.numa_node);
	kmem.w32(at("btf_key_type_id"), map.btf_key_type_id);
	kmem.w32(at("btf_value_type_id"), map.btf_value_type_id);
	kmem.w32(at("btf_vmlinux_value_type_id"), map.btf_vmlinux_value_type_id);
	kmem.w64(at("refcnt"), BigInt(map.refcnt));
	kmem.w64(at("usercnt"), BigInt(map.usercnt));
	const name = new Uint8Array(16);
	for (let i = 0; i < map.name.length && i < 15; i++) name[i] = map.name.charCodeAt(i);
	kmem.write(at("name"), name);
	const b = try_offsetof(k, "bpf_map", "bypass_spec_v1");
	if (b >= 0) kmem.w8(map.addr + b, map.bypass_spec_v1 ? 1 : 0);
	const f = try_offsetof(k, "bpf_map", "frozen");
	if (f >= 0) kmem.w8(map.addr + f, map.frozen ? 1 : 0);
}

/** A map whose guest image is a struct of its own, with no elements behind it. */
export function map_alloc_plain(
	kernel: Kernel,
	attr: bpf_attr,
	ops: map_ops,
	struct: string,
): bpf_map | number {
	const map = new bpf_map(kernel, ops);
	const size = try_sizeof(kernel, struct) ?? ksizeof(kernel, "bpf_map");
	const addr = bpf_map_area_alloc(kernel, size);
	if (addr === 0) return -12;
	bpf_map_init_from_attr(map, attr);
	map.bypass_spec_v1 = bpf_bypass_spec_v1(kernel);
	map_image_add(map, addr);
	return map;
}

function try_sizeof(kernel: Kernel, struct: string): number | null {
	try {
		return ksizeof(kernel, struct);
	} catch {
		return null;
	}
}

/** include/linux/bpf.h: btf_record_has_field */
export function btf_record_has_field(rec: btf_record | null, type: number): boolean {
	return rec !== null && (rec.field_mask & type) !== 0;
}

/** include/linux/bpf.h: bpf_obj_init_field */
export function bpf_obj_init_field(kmem: Kmem, field: btf_field, addr: number): void {
	kmem.fill(addr, field.size, 0);
	switch (field.type) {
		case BPF_REFCOUNT:
			kmem.w32(addr, 1);
			break;
		case BPF_RB_NODE:
			kmem.wptr(addr, addr); // RB_CLEAR_NODE: its own parent
			break;
		case BPF_LIST_HEAD:
		case BPF_LIST_NODE:
			kmem.wptr(addr, addr);
			kmem.wptr(addr + 8, addr);
			break;
		case BPF_RB_ROOT:
		case BPF_SPIN_LOCK:
		case BPF_TIMER:
		case BPF_WORKQUEUE:
		case BPF_KPTR_UNREF:
		case BPF_KPTR_REF:
		case BPF_KPTR_PERCPU:
			break;
	}
}

/** include/linux/bpf.h: bpf_obj_init */
export function bpf_obj_init(kmem: Kmem, rec: btf_record | null, obj: number): void {
	if (!rec) return;
	for (let i = 0; i < rec.cnt; i++) bpf_obj_init_field(kmem, rec.fields[i]!, obj + rec.fields[i]!.offset);
}

/** include/linux/bpf.h: check_and_init_map_value */
export function check_and_init_map_value(map: bpf_map, dst: number): void {
	bpf_obj_init(kmem_of(map), map.record, dst);
}

/** include/linux/bpf.h: bpf_obj_memcpy: everything but the special fields. */
export function bpf_obj_memcpy(
	kmem: Kmem,
	rec: btf_record | null,
	dst: number,
	src: number,
	size: number,
	long_memcpy: boolean,
): void {
	if (!rec) {
		kmem.copy(dst, src, long_memcpy ? round_up(size, 8) : size);
		return;
	}
	let curr_off = 0;
	for (let i = 0; i < rec.cnt; i++) {
		const f = rec.fields[i]!;
		const sz = f.offset - curr_off;
		if (sz > 0) kmem.copy(dst + curr_off, src + curr_off, sz);
		curr_off += f.size + sz;
	}
	if (size > curr_off) kmem.copy(dst + curr_off, src + curr_off, size - curr_off);
}

/** include/linux/bpf.h: copy_map_value */
export function copy_map_value(map: bpf_map, dst: number, src: number): void {
	bpf_obj_memcpy(kmem_of(map), map.record, dst, src, map.value_size, false);
}

/** include/linux/bpf.h: copy_map_value_long */
export function copy_map_value_long(map: bpf_map, dst: number, src: number): void {
	bpf_obj_memcpy(kmem_of(map), map.record, dst, src, map.value_size, true);
}

/** include/linux/bpf.h: zero_map_value */
export function zero_map_value(map: bpf_map, dst: number): void {
	const kmem = kmem_of(map);
	const rec = map.record;
	let curr_off = 0;
	if (rec) {
		for (let i = 0; i < rec.cnt; i++) {
			const f = rec.fields[i]!;
			const sz = f.offset - curr_off;
			if (sz > 0) kmem.fill(dst + curr_off, sz, 0);
			curr_off += f.size + sz;
		}
	}
	if (map.value_size > curr_off) kmem.fill(dst + curr_off, map.value_size - curr_off, 0);
}

/** kernel/bpf/helpers.c: copy_map_value_locked: under the value's own spin lock. */
export function copy_map_value_locked(map: bpf_map, dst: number, src: number, lock_src: boolean): void {
	const lock = (lock_src ? src : dst) + map.record!.spin_lock_off;
	guest_spin_lock(map.kernel, lock);
	copy_map_value(map, dst, src);
	guest_spin_unlock(map.kernel, lock);
}

/** Take a spin lock that lies in guest memory (its word: 0 free, 1 taken). */
export function guest_spin_lock(kernel: Kernel, addr: number): void {
	const k = impl(kernel);
	if (k.explore) {
		k.explore.guest_lock(addr);
		return;
	}
	if (k.kmem.r32(addr) !== 0) k.deadlock(`spin lock at 0x${BigInt.asUintN(64, BigInt(addr)).toString(16)}`);
	k.kmem.w32(addr, 1);
}

/** Give it back. */
export function guest_spin_unlock(kernel: Kernel, addr: number): void {
	impl(kernel).shared.w32(addr, 0);
}

/** kernel/bpf/syscall.c: bpf_obj_free_fields */
export function bpf_obj_free_fields(kernel: Kernel, rec: btf_record | null, obj: number): void {
	if (!rec) return;
	for (let i = 0; i < rec.cnt; i++) bpf_obj_free_field(kernel, rec, rec.fields[i]!, obj);
}

/** mm/vmalloc.c: remap_vmalloc_range: map pages of a vmalloc area into a vma, from page `pgoff` on. */
export function remap_vmalloc_range(
	kernel: Kernel,
	vma: vm_area_struct,
	addr: number,
	pgoff: number,
): number {
	const kmem = impl(kernel).kmem;
	let kaddr = addr + pgoff * PAGE_SIZE;
	for (let u = vma.vm_start; u < vma.vm_end; u += PAGE_SIZE) {
		const pfn = kmem.virt_to_pfn(kaddr);
		if (pfn < 0) return -22;
		const err = vma.vm_mm.insert_page(vma, u, pfn);
		if (err < 0) return err;
		kaddr += PAGE_SIZE;
	}
	vma.vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
	return 0;
}

export { PAGE_SHIFT, PAGE_SIZE };
