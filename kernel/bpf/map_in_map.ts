// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/map_in_map.c: the template that inner maps must equal, and the pointers to them. */
import { BPF_KPTR_PERCPU, BPF_KPTR_REF, BPF_KPTR_UNREF } from "../../include/linux/bpf.ts";
import { EINVAL, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PERCPU_ARRAY } from "../../include/uapi/linux/bpf.ts";
import type { file } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_array } from "./arraymap.ts";
import { bpf_map } from "./bpf_types.ts";
import { btf_get, btf_is_kernel, btf_put } from "./btf.ts";
import type { btf_field, btf_record } from "./btf_types.ts";
import { __bpf_map_get, bpf_map_free_record, bpf_map_inc, bpf_map_put } from "./map_create.ts";

/** kernel/bpf/syscall.c: btf_record_dup */
export function btf_record_dup(rec: btf_record | null): btf_record | null {
	if (!rec) return null;
	for (const f of rec.fields) {
		if (f.type === BPF_KPTR_UNREF || f.type === BPF_KPTR_REF || f.type === BPF_KPTR_PERCPU) {
			if (f.kptr && btf_is_kernel(f.kptr.btf)) btf_get(f.kptr.btf);
		}
	}
	return { ...rec, fields: rec.fields.map((f) => ({ ...f })) };
}

function field_equal(a: btf_field, b: btf_field): boolean {
	if (a.offset !== b.offset || a.size !== b.size || a.type !== b.type) return false;
	if ((a.kptr === null) !== (b.kptr === null)) return false;
	if (a.kptr && b.kptr) {
		if (a.kptr.btf !== b.kptr.btf || a.kptr.btf_id !== b.kptr.btf_id) return false;
		if (a.kptr.module !== b.kptr.module || a.kptr.dtor !== b.kptr.dtor) return false;
	}
	if ((a.graph_root === null) !== (b.graph_root === null)) return false;
	if (a.graph_root && b.graph_root) {
		const x = a.graph_root;
		const y = b.graph_root;
		if (
			x.btf !== y.btf ||
			x.value_btf_id !== y.value_btf_id ||
			x.node_offset !== y.node_offset ||
			x.value_rec !== y.value_rec
		)
			return false;
	}
	return true;
}

/** kernel/bpf/syscall.c: btf_record_equal: the kernel's memcmp, field by field. */
export function btf_record_equal(a: btf_record | null, b: btf_record | null): boolean {
	if (!a && !b) return true;
	if (!a || !b) return false;
	if (a.cnt !== b.cnt || a.field_mask !== b.field_mask) return false;
	if (
		a.spin_lock_off !== b.spin_lock_off ||
		a.timer_off !== b.timer_off ||
		a.wq_off !== b.wq_off ||
		a.refcount_off !== b.refcount_off
	)
		return false;
	for (let i = 0; i < a.cnt; i++) if (!field_equal(a.fields[i]!, b.fields[i]!)) return false;
	return true;
}

/** kernel/bpf/map_in_map.c: bpf_map_meta_alloc */
export function bpf_map_meta_alloc(kernel: Kernel, inner_map_ufd: number): bpf_map | number {
	const inner_map = __bpf_map_get(kernel, inner_map_ufd);
	if (typeof inner_map === "number") return inner_map;
	if (inner_map.inner_map_meta) return -EINVAL;
	if (!inner_map.ops.map_meta_equal) return -ENOTSUPP;
	const is_array =
		inner_map.map_type === BPF_MAP_TYPE_ARRAY || inner_map.map_type === BPF_MAP_TYPE_PERCPU_ARRAY;
	const meta = is_array ? new bpf_array(kernel, inner_map.ops) : new bpf_map(kernel, inner_map.ops);
	meta.map_type = inner_map.map_type;
	meta.key_size = inner_map.key_size;
	meta.value_size = inner_map.value_size;
	meta.map_flags = inner_map.map_flags;
	meta.max_entries = inner_map.max_entries;
	meta.record = btf_record_dup(inner_map.record);
	if (inner_map.btf) {
		btf_get(inner_map.btf);
		meta.btf = inner_map.btf;
	}
	if (is_array) {
		(meta as bpf_array).index_mask = (inner_map as bpf_array).index_mask;
		(meta as bpf_array).elem_size = (inner_map as bpf_array).elem_size;
		meta.bypass_spec_v1 = inner_map.bypass_spec_v1;
	}
	return meta;
}

/** kernel/bpf/map_in_map.c: bpf_map_meta_free */
export function bpf_map_meta_free(map_meta: bpf_map): void {
	bpf_map_free_record(map_meta);
	btf_put(map_meta.btf);
}

/** kernel/bpf/map_in_map.c: bpf_map_meta_equal */
export function bpf_map_meta_equal(meta0: bpf_map, meta1: bpf_map): boolean {
	return (
		meta0.map_type === meta1.map_type &&
		meta0.key_size === meta1.key_size &&
		meta0.value_size === meta1.value_size &&
		meta0.map_flags === meta1.map_flags &&
		btf_record_equal(meta0.record, meta1.record)
	);
}

/** kernel/bpf/map_in_map.c: bpf_map_fd_get_ptr */
export function bpf_map_fd_get_ptr(map: bpf_map, _map_file: file, ufd: number): number {
	const inner_map = __bpf_map_get(map.kernel, ufd);
	if (typeof inner_map === "number") return inner_map;
	const meta = map.inner_map_meta!;
	if (!meta.ops.map_meta_equal!(meta, inner_map)) return -EINVAL;
	bpf_map_inc(inner_map);
	return inner_map.addr;
}

/** kernel/bpf/map_in_map.c: bpf_map_fd_put_ptr */
export function bpf_map_fd_put_ptr(map: bpf_map, ptr: number, need_defer: boolean): void {
	const inner_map = impl(map.kernel).bpf.map_by_addr.get(ptr);
	if (!inner_map) return;
	if (need_defer) {
		if (map.sleepable_refcnt) inner_map.free_after_mult_rcu_gp = true;
		else inner_map.free_after_rcu_gp = true;
	}
	bpf_map_put(inner_map);
}

/** kernel/bpf/map_in_map.c: bpf_map_fd_sys_lookup_elem */
export function bpf_map_fd_sys_lookup_elem(map: bpf_map, ptr: number): number {
	return impl(map.kernel).bpf.map_by_addr.get(ptr)?.id ?? 0;
}
