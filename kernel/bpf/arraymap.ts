// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/arraymap.c: array, per-CPU array, and the arrays of file descriptors: programs, perf
 * events, cgroups and maps. The guest's struct bpf_array holds the elements, so that inlined lookups
 * and tail calls read what is written here.
 */
import {
	BPF_F_ACCESS_MASK,
	BPF_POKE_REASON_TAIL_CALL,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WORKQUEUE,
} from "../../include/linux/bpf.ts";
import {
	E2BIG,
	EBADF,
	EBUSY,
	EEXIST,
	EINVAL,
	ENOENT,
	ENOMEM,
	ENOTSUPP,
	EOPNOTSUPP,
} from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ANY,
	BPF_DW,
	BPF_EXIST,
	BPF_F_INNER_MAP,
	BPF_F_LOCK,
	BPF_F_MMAPABLE,
	BPF_F_NUMA_NODE,
	BPF_F_PRESERVE_ELEMS,
	BPF_F_RDONLY_PROG,
	BPF_F_WRONLY_PROG,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_NOEXIST,
	BPF_PROG_TYPE_EXT,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_LSH,
	BPF_MUL,
	BPF_W,
} from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_DATASEC, BTF_KIND_INT } from "../../include/uapi/linux/btf.ts";
import type { Ref } from "../../lib/err.ts";
import { perf_event_get, perf_get_event } from "../events/core.ts";
import type { perf_event } from "../events/perf_event.ts";
import { type file, fput } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import type { vm_area_struct } from "../kmem.ts";
import { bpf_bypass_spec_v1 } from "../security.ts";
import { bpf_insn, bpf_map, type bpf_prog, type bpf_prog_aux } from "./bpf_types.ts";
import { BTF_INFO_KIND, BTF_INT_BITS, BTF_INT_OFFSET, btf_type_int, btf_type_is_void } from "./btf.ts";
import type { btf, btf_type } from "./btf_types.ts";
import { bpf_prog_map_compatible } from "./core.ts";
import { map_set_for_each_callback_args } from "./func_call.ts";
import {
	BPF_ALU32_IMM,
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_JMP_IMM,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_PERCPU_REG,
} from "./insn_macros.ts";
import { bpf_jit_supports_percpu_insn } from "./jit_caps.ts";
import { koffsetof, ksizeof } from "./layout.ts";
import {
	bpf_map_area_alloc,
	bpf_map_area_free,
	bpf_map_area_mmapable_alloc,
	bpf_map_attr_numa_node,
	bpf_map_flags_access_ok,
	bpf_map_init_from_attr,
	bpf_obj_free_fields,
	btf_record_has_field,
	check_and_init_map_value,
	copy_map_value,
	copy_map_value_locked,
	copy_map_value_long,
	IS_ERR_VALUE,
	kmem_of,
	map_image_add,
	map_image_del,
	type map_ops,
	ops_of,
	PAGE_ALIGN,
	PAGE_SIZE,
	remap_vmalloc_range,
	round_up,
} from "./map.ts";
import { bpf_map_inc, bpf_map_put, map_check_no_btf } from "./map_create.ts";
import {
	bpf_map_fd_get_ptr,
	bpf_map_fd_put_ptr,
	bpf_map_fd_sys_lookup_elem,
	bpf_map_meta_alloc,
	bpf_map_meta_equal,
	bpf_map_meta_free,
} from "./map_in_map.ts";
import { generic_map_lookup_batch, generic_map_update_batch } from "./map_syscall.ts";
import { bpf_prog_get, bpf_prog_put, prog_image } from "./prog.ts";

const ARRAY_CREATE_FLAG_MASK =
	BPF_F_NUMA_NODE | BPF_F_MMAPABLE | BPF_F_ACCESS_MASK | BPF_F_PRESERVE_ELEMS | BPF_F_INNER_MAP;
const PCPU_MIN_UNIT_SIZE = 32 << 10;

/** struct bpf_array */
export class bpf_array extends bpf_map {
	elem_size = 0;
	index_mask = 0;
	/** Guest address of value[], ptrs[] or pptrs[]. */
	value = 0;
	/** What the allocator gave: the array itself, or the pages before a mappable one. */
	area = 0;
	/** pptrs[] */
	pptrs: number[] = [];
	/** struct bpf_array_aux: programs whose direct tail calls follow this map */
	poke_progs: bpf_prog_aux[] = [];
	/** What the pointers of perf event and cgroup arrays stand for. */
	readonly entries: Map<number, bpf_event_entry> = new Map();
}

/** struct bpf_event_entry */
export interface bpf_event_entry {
	perf_file: file;
	map_file: file;
}

function arr(map: bpf_map): bpf_array {
	return map as bpf_array;
}

function elem_ptr(a: bpf_array, index: number): number {
	return a.value + a.elem_size * index;
}

/** this_cpu_ptr(array->pptrs[i]) */
function this_cpu(a: bpf_array, i: number): number {
	return kmem_of(a).this_cpu_ptr(a.pptrs[i]!);
}

function cpus(map: bpf_map): number {
	return map.kernel.config.cpus;
}

/** kernel/bpf/arraymap.c: array_map_alloc_check */
export function array_map_alloc_check(_kernel: Kernel, attr: bpf_attr): number {
	const percpu = attr.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	const numa_node = bpf_map_attr_numa_node(attr);
	if (
		attr.max_entries === 0 ||
		attr.key_size !== 4 ||
		attr.value_size === 0 ||
		attr.map_flags & ~ARRAY_CREATE_FLAG_MASK ||
		!bpf_map_flags_access_ok(attr.map_flags) ||
		(percpu && numa_node !== -1)
	)
		return -EINVAL;
	if (attr.map_type !== BPF_MAP_TYPE_ARRAY && attr.map_flags & (BPF_F_MMAPABLE | BPF_F_INNER_MAP))
		return -EINVAL;
	if (attr.map_type !== BPF_MAP_TYPE_PERF_EVENT_ARRAY && attr.map_flags & BPF_F_PRESERVE_ELEMS)
		return -EINVAL;
	if (attr.value_size > 0x7fffffff) return -E2BIG;
	if (percpu && round_up(attr.value_size, 8) > PCPU_MIN_UNIT_SIZE) return -E2BIG;
	return 0;
}

/** kernel/bpf/arraymap.c: array_map_alloc */
function array_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	const kmem = impl(kernel).kmem;
	const percpu = attr.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	const bypass_spec_v1 = bpf_bypass_spec_v1(kernel);
	const elem_size = round_up(attr.value_size, 8);
	let max_entries = attr.max_entries;
	const bits = max_entries === 1 ? 0 : 32 - Math.clz32(max_entries - 1);
	const index_mask = 2 ** bits - 1;
	if (!bypass_spec_v1) {
		max_entries = (index_mask + 1) >>> 0;
		if (max_entries < attr.max_entries) return -E2BIG;
	}
	const head = ksizeof(kernel, "bpf_array");
	const value_off = koffsetof(kernel, "bpf_array", "value");
	let array_size = head;
	if (percpu) array_size += max_entries * 8;
	else if (attr.map_flags & BPF_F_MMAPABLE)
		array_size = PAGE_ALIGN(array_size) + PAGE_ALIGN(max_entries * elem_size);
	else array_size += max_entries * elem_size;

	let addr: number;
	let area: number;
	if (attr.map_flags & BPF_F_MMAPABLE) {
		area = bpf_map_area_mmapable_alloc(kernel, array_size);
		if (area === 0) return -ENOMEM;
		addr = area + PAGE_ALIGN(head) - value_off;
	} else {
		area = bpf_map_area_alloc(kernel, array_size);
		if (area === 0) return -ENOMEM;
		addr = area;
	}
	const a = new bpf_array(kernel, ops);
	a.area = area;
	a.value = addr + value_off;
	a.index_mask = index_mask >>> 0;
	a.bypass_spec_v1 = bypass_spec_v1;
	bpf_map_init_from_attr(a, attr);
	a.elem_size = elem_size;
	kmem.w32(addr + koffsetof(kernel, "bpf_array", "elem_size"), elem_size);
	kmem.w32(addr + koffsetof(kernel, "bpf_array", "index_mask"), a.index_mask);
	if (percpu) {
		for (let i = 0; i < a.max_entries; i++) {
			const p = kmem.alloc_percpu(elem_size, 8);
			if (p === 0) {
				for (const q of a.pptrs) kmem.free_percpu(q);
				bpf_map_area_free(kernel, area);
				return -ENOMEM;
			}
			a.pptrs.push(p);
			kmem.wptr(a.value + 8 * i, p);
		}
	}
	map_image_add(a, addr);
	return a;
}

/** kernel/bpf/arraymap.c: array_map_lookup_elem */
export function array_map_lookup_elem(map: bpf_map, key: number): number {
	const a = arr(map);
	const index = kmem_of(map).r32(key);
	if (index >= a.max_entries) return 0;
	return elem_ptr(a, (index & a.index_mask) >>> 0);
}

function array_map_direct_value_addr(map: bpf_map, imm: Ref<bigint>, off: number): number {
	const a = arr(map);
	if (map.max_entries !== 1) return -ENOTSUPP;
	if (off >= map.value_size) return -EINVAL;
	imm.val = value_kaddr(a);
	return 0;
}

/** The address of value[] that instructions embed: another kernel's, when the map has one. */
function value_kaddr(a: bpf_array): bigint {
	if (a.foreign_addr !== null)
		return BigInt.asUintN(64, a.foreign_addr + BigInt(koffsetof(a.kernel, "bpf_array", "value")));
	return BigInt.asUintN(64, BigInt(a.value));
}

function array_map_direct_value_meta(map: bpf_map, imm: bigint, off: Ref<number>): number {
	const a = arr(map);
	const base = value_kaddr(a);
	if (map.max_entries !== 1) return -ENOTSUPP;
	if (imm < base || imm >= base + BigInt(a.elem_size)) return -ENOENT;
	off.val = Number(imm - base);
	return 0;
}

function is_power_of_2(n: number): boolean {
	return n !== 0 && (n & (n - 1)) === 0;
}

/** kernel/bpf/arraymap.c: array_map_gen_lookup */
function array_map_gen_lookup(map: bpf_map): bpf_insn[] | number {
	const a = arr(map);
	const [ret, map_ptr, index] = [BPF_REG_0, BPF_REG_1, BPF_REG_2];
	if (map.map_flags & BPF_F_INNER_MAP) return -EOPNOTSUPP;
	const out: bpf_insn[] = [
		BPF_ALU64_IMM(BPF_ADD, map_ptr, koffsetof(map.kernel, "bpf_array", "value")),
		BPF_LDX_MEM(BPF_W, ret, index, 0),
	];
	if (!map.bypass_spec_v1) {
		out.push(BPF_JMP_IMM(BPF_JGE, ret, map.max_entries | 0, 4));
		out.push(BPF_ALU32_IMM(BPF_AND, ret, a.index_mask | 0));
	} else out.push(BPF_JMP_IMM(BPF_JGE, ret, map.max_entries | 0, 3));
	if (is_power_of_2(a.elem_size)) out.push(BPF_ALU64_IMM(BPF_LSH, ret, 31 - Math.clz32(a.elem_size)));
	else out.push(BPF_ALU64_IMM(BPF_MUL, ret, a.elem_size | 0));
	out.push(BPF_ALU64_REG(BPF_ADD, ret, map_ptr), BPF_JMP_IMM(BPF_JA, 0, 0, 1), BPF_MOV64_IMM(ret, 0));
	return out;
}

/** kernel/bpf/arraymap.c: percpu_array_map_lookup_elem */
function percpu_array_map_lookup_elem(map: bpf_map, key: number): number {
	const a = arr(map);
	const index = kmem_of(map).r32(key);
	if (index >= a.max_entries) return 0;
	return this_cpu(a, (index & a.index_mask) >>> 0);
}

/** kernel/bpf/arraymap.c: percpu_array_map_gen_lookup */
function percpu_array_map_gen_lookup(map: bpf_map): bpf_insn[] | number {
	const a = arr(map);
	if (!bpf_jit_supports_percpu_insn(map.kernel)) return -EOPNOTSUPP;
	if (map.map_flags & BPF_F_INNER_MAP) return -EOPNOTSUPP;
	const out: bpf_insn[] = [
		BPF_ALU64_IMM(BPF_ADD, BPF_REG_1, koffsetof(map.kernel, "bpf_array", "pptrs")),
		BPF_LDX_MEM(BPF_W, BPF_REG_0, BPF_REG_2, 0),
	];
	if (!map.bypass_spec_v1) {
		out.push(BPF_JMP_IMM(BPF_JGE, BPF_REG_0, map.max_entries | 0, 6));
		out.push(BPF_ALU32_IMM(BPF_AND, BPF_REG_0, a.index_mask | 0));
	} else out.push(BPF_JMP_IMM(BPF_JGE, BPF_REG_0, map.max_entries | 0, 5));
	out.push(
		BPF_ALU64_IMM(BPF_LSH, BPF_REG_0, 3),
		BPF_ALU64_REG(BPF_ADD, BPF_REG_0, BPF_REG_1),
		BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_0, 0),
		BPF_MOV64_PERCPU_REG(BPF_REG_0, BPF_REG_0),
		BPF_JMP_IMM(BPF_JA, 0, 0, 1),
		BPF_MOV64_IMM(BPF_REG_0, 0),
	);
	return out;
}

function percpu_array_map_lookup_percpu_elem(map: bpf_map, key: number, cpu: number): number {
	const a = arr(map);
	if (cpu >= cpus(map)) return 0;
	const index = kmem_of(map).r32(key);
	if (index >= a.max_entries) return 0;
	return kmem_of(map).per_cpu_ptr(a.pptrs[(index & a.index_mask) >>> 0]!, cpu);
}

/** kernel/bpf/arraymap.c: bpf_percpu_array_copy */
export function bpf_percpu_array_copy(map: bpf_map, key: number, value: number): number {
	const a = arr(map);
	const kmem = kmem_of(map);
	const index = kmem.r32(key);
	if (index >= a.max_entries) return -ENOENT;
	const pptr = a.pptrs[(index & a.index_mask) >>> 0]!;
	let off = 0;
	for (let cpu = 0; cpu < cpus(map); cpu++) {
		copy_map_value_long(map, value + off, kmem.per_cpu_ptr(pptr, cpu));
		check_and_init_map_value(map, value + off);
		off += a.elem_size;
	}
	return 0;
}

/** kernel/bpf/arraymap.c: array_map_get_next_key */
export function array_map_get_next_key(map: bpf_map, key: number, next_key: number): number {
	const kmem = kmem_of(map);
	const index = key ? kmem.r32(key) : 0xffffffff;
	if (index >= map.max_entries) {
		kmem.w32(next_key, 0);
		return 0;
	}
	if (index === map.max_entries - 1) return -ENOENT;
	kmem.w32(next_key, index + 1);
	return 0;
}

/** kernel/bpf/arraymap.c: array_map_update_elem */
function array_map_update_elem(map: bpf_map, key: number, value: number, map_flags: bigint): number {
	const a = arr(map);
	const index = kmem_of(map).r32(key);
	if (BigInt.asUintN(64, map_flags & ~BigInt(BPF_F_LOCK)) > BigInt(BPF_EXIST)) return -EINVAL;
	if (index >= a.max_entries) return -E2BIG;
	if (map_flags & BigInt(BPF_NOEXIST)) return -EEXIST;
	const lock = (map_flags & BigInt(BPF_F_LOCK)) !== 0n;
	if (lock && !btf_record_has_field(map.record, BPF_SPIN_LOCK)) return -EINVAL;
	const i = (index & a.index_mask) >>> 0;
	const val = a.map_type === BPF_MAP_TYPE_PERCPU_ARRAY ? this_cpu(a, i) : elem_ptr(a, i);
	if (a.map_type !== BPF_MAP_TYPE_PERCPU_ARRAY && lock) copy_map_value_locked(map, val, value, false);
	else copy_map_value(map, val, value);
	bpf_obj_free_fields(map.kernel, map.record, val);
	return 0;
}

/** kernel/bpf/arraymap.c: bpf_percpu_array_update */
export function bpf_percpu_array_update(map: bpf_map, key: number, value: number, map_flags: bigint): number {
	const a = arr(map);
	const kmem = kmem_of(map);
	const index = kmem.r32(key);
	if (map_flags > BigInt(BPF_EXIST)) return -EINVAL;
	if (index >= a.max_entries) return -E2BIG;
	if (map_flags === BigInt(BPF_NOEXIST)) return -EEXIST;
	const pptr = a.pptrs[(index & a.index_mask) >>> 0]!;
	let off = 0;
	for (let cpu = 0; cpu < cpus(map); cpu++) {
		const p = kmem.per_cpu_ptr(pptr, cpu);
		copy_map_value_long(map, p, value + off);
		bpf_obj_free_fields(map.kernel, map.record, p);
		off += a.elem_size;
	}
	return 0;
}

function array_map_delete_elem(_map: bpf_map, _key: number): number {
	return -EINVAL;
}

/** kernel/bpf/arraymap.c: array_map_free_timers_wq: when no user holds the map any more. */
function array_map_free_timers_wq(map: bpf_map): void {
	const a = arr(map);
	if (!btf_record_has_field(map.record, BPF_TIMER | BPF_WORKQUEUE)) return;
	const free = impl(map.kernel).bpf.field_free;
	for (let i = 0; i < a.max_entries; i++)
		for (const f of map.record!.fields)
			if (f.type === BPF_TIMER || f.type === BPF_WORKQUEUE)
				free.get(f.type)?.(map.kernel, map.record!, f, elem_ptr(a, i));
}

/** kernel/bpf/arraymap.c: array_map_free */
function array_map_free(map: bpf_map): void {
	const a = arr(map);
	const kmem = kmem_of(map);
	const percpu = a.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	if (map.record) {
		for (let i = 0; i < a.max_entries; i++) {
			if (!percpu) bpf_obj_free_fields(map.kernel, map.record, elem_ptr(a, i));
			else
				for (let cpu = 0; cpu < cpus(map); cpu++)
					bpf_obj_free_fields(map.kernel, map.record, kmem.per_cpu_ptr(a.pptrs[i]!, cpu));
		}
	}
	for (const p of a.pptrs) kmem.free_percpu(p);
	map_image_del(map);
	bpf_map_area_free(map.kernel, a.area);
}

/** kernel/bpf/arraymap.c: array_map_check_btf */
function array_map_check_btf(map: bpf_map, _btf: btf, key_type: btf_type, value_type: btf_type): number {
	if (btf_type_is_void(key_type)) {
		if (map.map_type !== BPF_MAP_TYPE_ARRAY || map.max_entries !== 1) return -EINVAL;
		if (BTF_INFO_KIND(value_type.info) !== BTF_KIND_DATASEC) return -EINVAL;
		return 0;
	}
	if (BTF_INFO_KIND(key_type.info) !== BTF_KIND_INT) return -EINVAL;
	const int_data = btf_type_int(key_type);
	if (BTF_INT_BITS(int_data) !== 32 || BTF_INT_OFFSET(int_data)) return -EINVAL;
	return 0;
}

/** kernel/bpf/arraymap.c: array_map_mmap */
function array_map_mmap(map: bpf_map, vma: vm_area_struct): number {
	const a = arr(map);
	const pgoff = PAGE_ALIGN(ksizeof(map.kernel, "bpf_array")) / PAGE_SIZE;
	if (!(map.map_flags & BPF_F_MMAPABLE)) return -EINVAL;
	if (vma.vm_pgoff * PAGE_SIZE + (vma.vm_end - vma.vm_start) > PAGE_ALIGN(a.max_entries * a.elem_size))
		return -EINVAL;
	return remap_vmalloc_range(map.kernel, vma, a.area, vma.vm_pgoff + pgoff);
}

function array_map_meta_equal(meta0: bpf_map, meta1: bpf_map): boolean {
	if (!bpf_map_meta_equal(meta0, meta1)) return false;
	return meta0.map_flags & BPF_F_INNER_MAP ? true : meta0.max_entries === meta1.max_entries;
}

/** kernel/bpf/arraymap.c: bpf_for_each_array_elem */
function bpf_for_each_array_elem(
	map: bpf_map,
	callback_fn: bigint,
	callback_ctx: bigint,
	flags: bigint,
): number {
	const a = arr(map);
	const k = impl(map.kernel);
	if (flags !== 0n) return -EINVAL;
	const percpu = map.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	let num_elems = 0;
	const key = k.kmem.kmalloc(4);
	try {
		for (let i = 0; i < map.max_entries; i++) {
			const val = percpu ? this_cpu(a, i) : elem_ptr(a, i);
			num_elems++;
			k.kmem.w32(key, i);
			const ret = k.call_guest(callback_fn, [
				map.kaddr,
				BigInt.asUintN(64, BigInt(key)),
				BigInt.asUintN(64, BigInt(val)),
				callback_ctx,
				0n,
			]);
			if (ret !== 0n) break;
		}
	} finally {
		k.kmem.kfree(key);
	}
	return num_elems;
}

/** kernel/bpf/arraymap.c: array_map_mem_usage */
function array_map_mem_usage(map: bpf_map): bigint {
	const a = arr(map);
	const entries = map.max_entries;
	let usage = ksizeof(map.kernel, "bpf_array");
	if (map.map_type === BPF_MAP_TYPE_PERCPU_ARRAY) usage += entries * 8 + entries * a.elem_size * cpus(map);
	else if (map.map_flags & BPF_F_MMAPABLE) usage = PAGE_ALIGN(usage) + PAGE_ALIGN(entries * a.elem_size);
	else usage += entries * a.elem_size;
	return BigInt(usage);
}

export const array_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "array_map_lookup_elem",
		map_update_elem: "array_map_update_elem",
		map_delete_elem: "array_map_delete_elem",
		map_for_each_callback: "bpf_for_each_array_elem",
	},
	map_meta_equal: array_map_meta_equal,
	map_alloc_check: array_map_alloc_check,
	map_alloc: array_map_alloc,
	map_free: array_map_free,
	map_get_next_key: array_map_get_next_key,
	map_release_uref: array_map_free_timers_wq,
	map_lookup_elem: array_map_lookup_elem,
	map_update_elem: array_map_update_elem,
	map_delete_elem: array_map_delete_elem,
	map_gen_lookup: array_map_gen_lookup,
	map_direct_value_addr: array_map_direct_value_addr,
	map_direct_value_meta: array_map_direct_value_meta,
	map_mmap: array_map_mmap,
	map_check_btf: array_map_check_btf,
	map_lookup_batch: generic_map_lookup_batch,
	map_update_batch: generic_map_update_batch,
	map_set_for_each_callback_args,
	map_for_each_callback: bpf_for_each_array_elem,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

export const percpu_array_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "percpu_array_map_lookup_elem",
		map_update_elem: "array_map_update_elem",
		map_delete_elem: "array_map_delete_elem",
		map_lookup_percpu_elem: "percpu_array_map_lookup_percpu_elem",
		map_for_each_callback: "bpf_for_each_array_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: array_map_alloc_check,
	map_alloc: array_map_alloc,
	map_free: array_map_free,
	map_get_next_key: array_map_get_next_key,
	map_lookup_elem: percpu_array_map_lookup_elem,
	map_gen_lookup: percpu_array_map_gen_lookup,
	map_update_elem: array_map_update_elem,
	map_delete_elem: array_map_delete_elem,
	map_lookup_percpu_elem: percpu_array_map_lookup_percpu_elem,
	map_check_btf: array_map_check_btf,
	map_lookup_batch: generic_map_lookup_batch,
	map_update_batch: generic_map_update_batch,
	map_set_for_each_callback_args,
	map_for_each_callback: bpf_for_each_array_elem,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

// ---- arrays of file descriptors

/** kernel/bpf/arraymap.c: fd_array_map_alloc_check */
function fd_array_map_alloc_check(kernel: Kernel, attr: bpf_attr): number {
	if (attr.value_size !== 4) return -EINVAL;
	if (attr.map_flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) return -EINVAL;
	return array_map_alloc_check(kernel, attr);
}

function fd_array_map_free(map: bpf_map): void {
	const a = arr(map);
	const kmem = kmem_of(map);
	for (let i = 0; i < a.max_entries; i++)
		if (kmem.rptr(a.value + 8 * i) !== 0) map.kernel.printk(`BUG: fd array freed with entry ${i} in use`);
	map_image_del(map);
	bpf_map_area_free(map.kernel, a.area);
}

function fd_array_map_lookup_elem(_map: bpf_map, _key: number): number {
	return -EOPNOTSUPP;
}

/** kernel/bpf/arraymap.c: bpf_fd_array_map_lookup_elem */
export function bpf_fd_array_map_lookup_elem(map: bpf_map, key: number, value: number): number {
	const ops = ops_of(map);
	const kmem = kmem_of(map);
	if (!ops.map_fd_sys_lookup_elem) return -ENOTSUPP;
	const elem = array_map_lookup_elem(map, key);
	const ptr = elem ? kmem.rptr(elem) : 0;
	if (!ptr) return -ENOENT;
	kmem.w32(value, ops.map_fd_sys_lookup_elem(map, ptr));
	return 0;
}

/** xchg(array->ptrs + index, ptr) */
function xchg_ptr(a: bpf_array, index: number, ptr: number): number {
	const kmem = kmem_of(a);
	const old = kmem.rptr(a.value + 8 * index);
	kmem.wptr(a.value + 8 * index, ptr);
	return old;
}

/** kernel/bpf/arraymap.c: bpf_fd_array_map_update_elem */
export function bpf_fd_array_map_update_elem(
	map: bpf_map,
	map_file: file,
	key: number,
	value: number,
	map_flags: bigint,
): number {
	const a = arr(map);
	const ops = ops_of(map);
	const kmem = kmem_of(map);
	if (map_flags !== BigInt(BPF_ANY)) return -EINVAL;
	const index = kmem.r32(key);
	if (index >= a.max_entries) return -E2BIG;
	const ufd = kmem.r32(value);
	const new_ptr = ops.map_fd_get_ptr!(map, map_file, ufd);
	if (IS_ERR_VALUE(new_ptr)) return new_ptr;
	const old_ptr = xchg_ptr(a, index, new_ptr);
	ops.map_poke_run?.(map, index, old_ptr, new_ptr);
	if (old_ptr) ops.map_fd_put_ptr!(map, old_ptr, true);
	return 0;
}

function __fd_array_map_delete_elem(map: bpf_map, index: number, need_defer: boolean): number {
	const a = arr(map);
	const ops = ops_of(map);
	if (index >= a.max_entries) return -E2BIG;
	const old_ptr = xchg_ptr(a, index, 0);
	ops.map_poke_run?.(map, index, old_ptr, 0);
	if (!old_ptr) return -ENOENT;
	ops.map_fd_put_ptr!(map, old_ptr, need_defer);
	return 0;
}

function fd_array_map_delete_elem(map: bpf_map, key: number): number {
	return __fd_array_map_delete_elem(map, kmem_of(map).r32(key), true);
}

function prog_at(map: bpf_map, ptr: number): bpf_prog {
	return impl(map.kernel).bpf.prog_by_addr.get(ptr)!;
}

/** kernel/bpf/arraymap.c: prog_fd_array_get_ptr */
function prog_fd_array_get_ptr(map: bpf_map, _map_file: file, fd: number): number {
	const prog = bpf_prog_get(map.kernel, fd);
	if (typeof prog === "number") return prog;
	if (prog.type === BPF_PROG_TYPE_EXT || !bpf_prog_map_compatible(map, prog)) {
		bpf_prog_put(prog);
		return -EINVAL;
	}
	if (prog.aux.is_extended) {
		bpf_prog_put(prog);
		return -EBUSY;
	}
	prog.aux.prog_array_member_cnt++;
	return prog_image(prog);
}

function prog_fd_array_put_ptr(map: bpf_map, ptr: number, _need_defer: boolean): void {
	const prog = prog_at(map, ptr);
	prog.aux.prog_array_member_cnt--;
	bpf_prog_put(prog);
}

function prog_fd_array_sys_lookup_elem(map: bpf_map, ptr: number): number {
	return prog_at(map, ptr).aux.id;
}

function bpf_fd_array_map_clear(map: bpf_map, need_defer: boolean): void {
	for (let i = 0; i < map.max_entries; i++) __fd_array_map_delete_elem(map, i, need_defer);
}

function prog_array_map_poke_track(map: bpf_map, prog_aux: bpf_prog_aux): number {
	const a = arr(map);
	if (!a.poke_progs.includes(prog_aux)) a.poke_progs.push(prog_aux);
	return 0;
}

function prog_array_map_poke_untrack(map: bpf_map, prog_aux: bpf_prog_aux): void {
	const a = arr(map);
	const i = a.poke_progs.indexOf(prog_aux);
	if (i >= 0) a.poke_progs.splice(i, 1);
}

/** kernel/bpf/arraymap.c: prog_array_map_poke_run */
function prog_array_map_poke_run(map: bpf_map, key: number, old_ptr: number, new_ptr: number): void {
	const a = arr(map);
	const new_prog = new_ptr ? prog_at(map, new_ptr) : null;
	const old_prog = old_ptr ? prog_at(map, old_ptr) : null;
	for (const aux of a.poke_progs) {
		for (const poke of aux.poke_tab) {
			if (!poke.tailcall_target_stable) continue;
			if (poke.reason !== BPF_POKE_REASON_TAIL_CALL) continue;
			if (poke.tail_call.map !== map || poke.tail_call.key !== key) continue;
			map.kernel.bpf.jit?.bpf_arch_poke_desc_update?.(poke, new_prog, old_prog);
		}
	}
}

/** kernel/bpf/arraymap.c: prog_array_map_clear: no user is left, so programs must not keep each other. */
function prog_array_map_clear(map: bpf_map): void {
	bpf_map_inc(map);
	impl(map.kernel).queue_work(() => {
		bpf_fd_array_map_clear(map, true);
		bpf_map_put(map);
	});
}

function prog_array_map_free(map: bpf_map): void {
	arr(map).poke_progs = [];
	fd_array_map_free(map);
}

export const prog_array_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "fd_array_map_lookup_elem",
		map_delete_elem: "fd_array_map_delete_elem",
	},
	map_alloc_check: fd_array_map_alloc_check,
	map_alloc: array_map_alloc,
	map_free: prog_array_map_free,
	map_poke_track: prog_array_map_poke_track,
	map_poke_untrack: prog_array_map_poke_untrack,
	map_poke_run: prog_array_map_poke_run,
	prog_at: (map, key) => {
		const ptr = key < map.max_entries ? kmem_of(map).rptr(arr(map).value + 8 * key) : 0;
		return ptr ? prog_at(map, ptr) : null;
	},
	map_get_next_key: array_map_get_next_key,
	map_lookup_elem: fd_array_map_lookup_elem,
	map_delete_elem: fd_array_map_delete_elem,
	map_fd_get_ptr: prog_fd_array_get_ptr,
	map_fd_put_ptr: prog_fd_array_put_ptr,
	map_fd_sys_lookup_elem: prog_fd_array_sys_lookup_elem,
	map_release_uref: prog_array_map_clear,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

/** kernel/bpf/arraymap.c: perf_event_fd_array_get_ptr. The guest's bpf_event_entry is an opaque object. */
function perf_event_fd_array_get_ptr(map: bpf_map, map_file: file, fd: number): number {
	const perf_file = perf_event_get(map.kernel, fd);
	if (typeof perf_file === "number") return perf_file;
	const ee = kmem_of(map).kzalloc(32);
	if (!ee) {
		fput(perf_file);
		return -ENOMEM;
	}
	arr(map).entries.set(ee, { perf_file, map_file });
	return ee;
}

/** The event in an element of a perf event array; null when it is empty. */
export function perf_event_of_map(map: bpf_map, index: number): perf_event | null {
	const ee = arr(map).entries.get(kmem_of(map).rptr(arr(map).value + 8 * index));
	return ee ? perf_get_event(ee.perf_file) : null;
}

function perf_event_fd_array_put_ptr(map: bpf_map, ptr: number, _need_defer: boolean): void {
	const k = impl(map.kernel);
	k.rcu.call(() => {
		const ee = arr(map).entries.get(ptr);
		arr(map).entries.delete(ptr);
		if (ee) fput(ee.perf_file);
		k.kmem.kfree(ptr);
	});
}

function perf_event_fd_array_release(map: bpf_map, map_file: file): void {
	const a = arr(map);
	if (map.map_flags & BPF_F_PRESERVE_ELEMS) return;
	for (let i = 0; i < a.max_entries; i++) {
		const ptr = kmem_of(map).rptr(a.value + 8 * i);
		if (ptr && a.entries.get(ptr)?.map_file === map_file) __fd_array_map_delete_elem(map, i, true);
	}
}

function perf_event_fd_array_map_free(map: bpf_map): void {
	if (map.map_flags & BPF_F_PRESERVE_ELEMS) bpf_fd_array_map_clear(map, false);
	fd_array_map_free(map);
}

export const perf_event_array_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "fd_array_map_lookup_elem",
		map_delete_elem: "fd_array_map_delete_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: fd_array_map_alloc_check,
	map_alloc: array_map_alloc,
	map_free: perf_event_fd_array_map_free,
	map_get_next_key: array_map_get_next_key,
	map_lookup_elem: fd_array_map_lookup_elem,
	map_delete_elem: fd_array_map_delete_elem,
	map_fd_get_ptr: perf_event_fd_array_get_ptr,
	map_fd_put_ptr: perf_event_fd_array_put_ptr,
	map_release: perf_event_fd_array_release,
	map_check_btf: map_check_no_btf,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

/** cgroup_get_from_fd(): there are no cgroup directories here, so no descriptor is one. */
function cgroup_fd_array_get_ptr(_map: bpf_map, _map_file: file, _fd: number): number {
	return -EBADF;
}

export const cgroup_array_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "fd_array_map_lookup_elem",
		map_delete_elem: "fd_array_map_delete_elem",
	},
	map_meta_equal: bpf_map_meta_equal,
	map_alloc_check: fd_array_map_alloc_check,
	map_alloc: array_map_alloc,
	map_free: fd_array_map_free,
	map_get_next_key: array_map_get_next_key,
	map_lookup_elem: fd_array_map_lookup_elem,
	map_delete_elem: fd_array_map_delete_elem,
	map_fd_get_ptr: cgroup_fd_array_get_ptr,
	map_fd_put_ptr: () => {},
	map_check_btf: map_check_no_btf,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

/** kernel/bpf/arraymap.c: array_of_map_alloc */
function array_of_map_alloc(kernel: Kernel, attr: bpf_attr, ops: map_ops): bpf_map | number {
	const inner_map_meta = bpf_map_meta_alloc(kernel, attr.inner_map_fd);
	if (typeof inner_map_meta === "number") return inner_map_meta;
	const map = array_map_alloc(kernel, attr, ops);
	if (typeof map === "number") {
		bpf_map_meta_free(inner_map_meta);
		return map;
	}
	map.inner_map_meta = inner_map_meta;
	return map;
}

function array_of_map_free(map: bpf_map): void {
	bpf_map_meta_free(map.inner_map_meta!);
	bpf_fd_array_map_clear(map, false);
	fd_array_map_free(map);
}

function array_of_map_lookup_elem(map: bpf_map, key: number): number {
	const inner_map = array_map_lookup_elem(map, key);
	return inner_map ? kmem_of(map).rptr(inner_map) : 0;
}

/** kernel/bpf/arraymap.c: array_of_map_gen_lookup */
function array_of_map_gen_lookup(map: bpf_map): bpf_insn[] | number {
	const a = arr(map);
	const [ret, map_ptr, index] = [BPF_REG_0, BPF_REG_1, BPF_REG_2];
	const out: bpf_insn[] = [
		BPF_ALU64_IMM(BPF_ADD, map_ptr, koffsetof(map.kernel, "bpf_array", "value")),
		BPF_LDX_MEM(BPF_W, ret, index, 0),
	];
	if (!map.bypass_spec_v1) {
		out.push(BPF_JMP_IMM(BPF_JGE, ret, map.max_entries | 0, 6));
		out.push(BPF_ALU32_IMM(BPF_AND, ret, a.index_mask | 0));
	} else out.push(BPF_JMP_IMM(BPF_JGE, ret, map.max_entries | 0, 5));
	if (is_power_of_2(a.elem_size)) out.push(BPF_ALU64_IMM(BPF_LSH, ret, 31 - Math.clz32(a.elem_size)));
	else out.push(BPF_ALU64_IMM(BPF_MUL, ret, a.elem_size));
	out.push(
		BPF_ALU64_REG(BPF_ADD, ret, map_ptr),
		BPF_LDX_MEM(BPF_DW, ret, ret, 0),
		BPF_JMP_IMM(BPF_JEQ, ret, 0, 1),
		BPF_JMP_IMM(BPF_JA, 0, 0, 1),
		BPF_MOV64_IMM(ret, 0),
	);
	return out;
}

export const array_of_maps_map_ops: map_ops = {
	symbols: {
		map_lookup_elem: "array_of_map_lookup_elem",
		map_delete_elem: "fd_array_map_delete_elem",
	},
	map_alloc_check: fd_array_map_alloc_check,
	map_alloc: array_of_map_alloc,
	map_free: array_of_map_free,
	map_get_next_key: array_map_get_next_key,
	map_lookup_elem: array_of_map_lookup_elem,
	map_delete_elem: fd_array_map_delete_elem,
	map_fd_get_ptr: bpf_map_fd_get_ptr,
	map_fd_put_ptr: bpf_map_fd_put_ptr,
	map_fd_sys_lookup_elem: bpf_map_fd_sys_lookup_elem,
	map_gen_lookup: array_of_map_gen_lookup,
	map_lookup_batch: generic_map_lookup_batch,
	map_update_batch: generic_map_update_batch,
	map_check_btf: map_check_no_btf,
	map_mem_usage: array_map_mem_usage,
	map_btf_name: "bpf_array",
};

export { bpf_insn };
