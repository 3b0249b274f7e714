// SPDX-License-Identifier: GPL-2.0-only
/**
 * Special fields of map values and allocated objects: spin locks, timers, kptrs, list and tree roots and
 * nodes (kernel/bpf/btf.c: btf_find_field() to btf_check_and_fixup_fields(), btf_parse_struct_metas();
 * kernel/bpf/syscall.c: btf_record_*; include/linux/bpf.h: btf_field_type_*).
 */

import {
	BPF_GRAPH_NODE,
	BPF_GRAPH_ROOT,
	BPF_KPTR,
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
	BTF_FIELDS_MAX,
} from "../../include/linux/bpf.ts";
import { E2BIG, EEXIST, EFAULT, EINVAL, ELOOP, ENOENT, ENXIO } from "../../include/uapi/asm-generic/errno.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { IS_ERR } from "../../lib/err.ts";
import { bpf_find_btf_id } from "./btf_find.ts";
import { btf_find_dtor_kfunc, btf_try_get_module } from "./btf_kfunc.ts";
import {
	__btf_member_bit_offset,
	__btf_name_by_offset,
	__btf_type_is_struct,
	btf_find_by_name_kind,
	btf_get,
	btf_impl,
	btf_is_kernel,
	btf_is_module,
	btf_kind,
	btf_nr_types,
	btf_put,
	btf_type_array,
	btf_type_by_id,
	btf_type_decl_tag,
	btf_type_is_array,
	btf_type_is_datasec,
	btf_type_is_ptr,
	btf_type_is_type_tag,
	btf_type_is_volatile,
	btf_type_member,
	btf_type_skip_modifiers,
	btf_type_var_secinfo,
	MAX_RESOLVE_DEPTH,
} from "./btf_obj.ts";
import type { btf, btf_field, btf_record, btf_struct_meta, btf_type, kmodule } from "./btf_types.ts";

/** include/linux/bpf.h: btf_field_type_name */
export function btf_field_type_name(type: number): string {
	switch (type) {
		case BPF_SPIN_LOCK:
			return "bpf_spin_lock";
		case BPF_TIMER:
			return "bpf_timer";
		case BPF_WORKQUEUE:
			return "bpf_wq";
		case BPF_KPTR_UNREF:
		case BPF_KPTR_REF:
			return "kptr";
		case BPF_KPTR_PERCPU:
			return "percpu_kptr";
		case BPF_LIST_HEAD:
			return "bpf_list_head";
		case BPF_LIST_NODE:
			return "bpf_list_node";
		case BPF_RB_ROOT:
			return "bpf_rb_root";
		case BPF_RB_NODE:
			return "bpf_rb_node";
		case BPF_REFCOUNT:
			return "bpf_refcount";
		default:
			return "unknown";
	}
}

/** include/linux/bpf.h: btf_field_type_size */
export function btf_field_type_size(type: number): number {
	switch (type) {
		case BPF_SPIN_LOCK:
		case BPF_REFCOUNT:
			return 4;
		case BPF_TIMER:
		case BPF_WORKQUEUE:
		case BPF_LIST_HEAD:
		case BPF_RB_ROOT:
			return 16;
		case BPF_KPTR_UNREF:
		case BPF_KPTR_REF:
		case BPF_KPTR_PERCPU:
			return 8;
		case BPF_LIST_NODE:
			return 24;
		case BPF_RB_NODE:
			return 32;
		default:
			return 0;
	}
}

/** include/linux/bpf.h: btf_field_type_align */
export function btf_field_type_align(type: number): number {
	return type === BPF_SPIN_LOCK || type === BPF_REFCOUNT ? 4 : 8;
}

const BTF_FIELD_IGNORE = 0;
const BTF_FIELD_FOUND = 1;

/** struct btf_field_info */
interface btf_field_info {
	type: number;
	off: number;
	/** kptr.type_id */
	type_id: number;
	/** graph_root */
	node_name: string;
	value_btf_id: number;
}

function new_info(): btf_field_info {
	return { type: 0, off: 0, type_id: 0, node_name: "", value_btf_id: 0 };
}

/** kernel/bpf/btf.c: btf_find_struct */
function btf_find_struct(
	t: btf_type,
	off: number,
	sz: number,
	field_type: number,
	info: btf_field_info,
): number {
	if (!__btf_type_is_struct(t)) return BTF_FIELD_IGNORE;
	if (t.size !== sz) return BTF_FIELD_IGNORE;
	info.type = field_type;
	info.off = off;
	return BTF_FIELD_FOUND;
}

/** kernel/bpf/btf.c: btf_find_kptr */
function btf_find_kptr(b: btf, t: btf_type, off: number, info: btf_field_info): number {
	// PTR -> TYPE_TAG, possibly behind one volatile
	if (btf_type_is_volatile(t)) t = btf_type_by_id(b, t.type)!;
	if (!btf_type_is_ptr(t)) return BTF_FIELD_IGNORE;
	t = btf_type_by_id(b, t.type)!;
	if (!btf_type_is_type_tag(t)) return BTF_FIELD_IGNORE;
	// more than one tag: none of them may be a kptr
	if (btf_type_is_type_tag(btf_type_by_id(b, t.type)!)) return -EINVAL;
	let type: number;
	switch (__btf_name_by_offset(b, t.name_off)) {
		case "kptr_untrusted":
			type = BPF_KPTR_UNREF;
			break;
		case "kptr":
			type = BPF_KPTR_REF;
			break;
		case "percpu_kptr":
			type = BPF_KPTR_PERCPU;
			break;
		default:
			return -EINVAL;
	}
	const res_id = { val: 0 };
	t = btf_type_skip_modifiers(b, t.type, res_id);
	if (!__btf_type_is_struct(t)) return -EINVAL;
	info.type = type;
	info.off = off;
	info.type_id = res_id.val;
	return BTF_FIELD_FOUND;
}

/** kernel/bpf/btf.c: btf_find_next_decl_tag: the id of the next tag after `last_id`; -ENOENT */
export function btf_find_next_decl_tag(
	b: btf,
	pt: btf_type,
	comp_idx: number,
	tag_key: string,
	last_id: number,
): number {
	const chain: btf[] = [];
	for (let p: btf | null = b; p; p = p.base_btf) chain.unshift(p);
	for (const o of chain) {
		for (const id of btf_impl(o).decl_tags(pt.id)) {
			if (id <= last_id) continue;
			const t = btf_type_by_id(b, id)!;
			// the target by identity: a split BTF's id may stand for another type elsewhere
			if (pt !== btf_type_by_id(b, t.type)) continue;
			if (btf_type_decl_tag(t).component_idx !== comp_idx) continue;
			if (!__btf_name_by_offset(b, t.name_off).startsWith(tag_key)) continue;
			return id;
		}
	}
	return -ENOENT;
}

/** kernel/bpf/btf.c: btf_find_decl_tag_value: what follows the key; -ENOENT, or -EEXIST when there are two */
export function btf_find_decl_tag_value(
	b: btf,
	pt: btf_type,
	comp_idx: number,
	tag_key: string,
): string | number {
	const id = btf_find_next_decl_tag(b, pt, comp_idx, tag_key, 0);
	if (id < 0) return id;
	const value = __btf_name_by_offset(b, btf_type_by_id(b, id)!.name_off).slice(tag_key.length);
	if (btf_find_next_decl_tag(b, pt, comp_idx, tag_key, id) >= 0) return -EEXIST;
	return value;
}

/** kernel/bpf/btf.c: btf_find_graph_root: a list head or tree root with its "contains:TYPE:NODE" tag */
function btf_find_graph_root(
	b: btf,
	pt: btf_type,
	t: btf_type,
	comp_idx: number,
	off: number,
	sz: number,
	info: btf_field_info,
	head_type: number,
): number {
	if (!__btf_type_is_struct(t)) return BTF_FIELD_IGNORE;
	if (t.size !== sz) return BTF_FIELD_IGNORE;
	const value = btf_find_decl_tag_value(b, pt, comp_idx, "contains:");
	if (typeof value === "number") return -EINVAL;
	const colon = value.indexOf(":");
	if (colon < 0) return -EINVAL;
	const id = btf_find_by_name_kind(b, value.slice(0, colon), BTF_KIND_STRUCT);
	if (id < 0) return id;
	const node_name = value.slice(colon + 1);
	if (node_name === "") return -EINVAL;
	info.type = head_type;
	info.off = off;
	info.value_btf_id = id;
	info.node_name = node_name;
	return BTF_FIELD_FOUND;
}

/** Fields that occur at most once: seen_mask says which did. */
const UNIQUE_FIELDS: readonly (readonly [number, string])[] = [
	[BPF_SPIN_LOCK, "bpf_spin_lock"],
	[BPF_TIMER, "bpf_timer"],
	[BPF_WORKQUEUE, "bpf_wq"],
];
const NAMED_FIELDS: readonly (readonly [number, string])[] = [
	[BPF_LIST_HEAD, "bpf_list_head"],
	[BPF_LIST_NODE, "bpf_list_node"],
	[BPF_RB_ROOT, "bpf_rb_root"],
	[BPF_RB_NODE, "bpf_rb_node"],
	[BPF_REFCOUNT, "bpf_refcount"],
];

/** kernel/bpf/btf.c: btf_get_field_type: the kind of field by the name of its type; 0: none */
function btf_get_field_type(b: btf, var_type: btf_type, field_mask: number, seen: { mask: number }): number {
	const name = __btf_name_by_offset(b, var_type.name_off);
	for (const [type, tname] of UNIQUE_FIELDS) {
		if (field_mask & type && name === tname) {
			if (seen.mask & type) return -E2BIG;
			seen.mask |= type;
			return type;
		}
	}
	for (const [type, tname] of NAMED_FIELDS) if (field_mask & type && name === tname) return type;
	// whether it is a kptr, and which, only its tag says
	if (field_mask & BPF_KPTR && !__btf_type_is_struct(var_type)) return BPF_KPTR_REF;
	return 0;
}

/** kernel/bpf/btf.c: btf_repeat_fields: the fields of one element, again for each further one */
function btf_repeat_fields(
	info: btf_field_info[],
	at: number,
	info_cnt: number,
	field_cnt: number,
	repeat_cnt: number,
	elem_size: number,
): number {
	for (let i = 0; i < field_cnt; i++) {
		switch (info[at + i]!.type) {
			case BPF_KPTR_UNREF:
			case BPF_KPTR_REF:
			case BPF_KPTR_PERCPU:
			case BPF_LIST_HEAD:
			case BPF_RB_ROOT:
				break;
			default:
				return -EINVAL;
		}
	}
	// u32 arithmetic, as the kernel's
	if (Math.imul(field_cnt, repeat_cnt + 1) >>> 0 > info_cnt) return -E2BIG;
	let cur = at + field_cnt;
	for (let i = 0; i < repeat_cnt; i++)
		for (let j = 0; j < field_cnt; j++) {
			const from = info[at + j]!;
			info[cur++] = { ...from, off: from.off + (i + 1) * elem_size };
		}
	return 0;
}

/** kernel/bpf/btf.c: btf_find_nested_struct */
function btf_find_nested_struct(
	b: btf,
	t: btf_type,
	off: number,
	nelems: number,
	field_mask: number,
	info: btf_field_info[],
	at: number,
	info_cnt: number,
	level: number,
): number {
	level++;
	if (level >= MAX_RESOLVE_DEPTH) return -E2BIG;
	const ret = btf_find_struct_field(b, t, field_mask, info, at, info_cnt, level);
	if (ret <= 0) return ret;
	for (let i = 0; i < ret; i++) info[at + i]!.off += off;
	if (nelems > 1) {
		const err = btf_repeat_fields(info, at, info_cnt, ret, nelems - 1, t.size);
		return err === 0 ? ret * nelems : err;
	}
	return ret;
}

/** kernel/bpf/btf.c: btf_find_field_one */
function btf_find_field_one(
	b: btf,
	pt: btf_type,
	var_type: btf_type,
	var_idx: number,
	off: number,
	expected_size: number,
	field_mask: number,
	seen: { mask: number },
	info: btf_field_info[],
	at: number,
	info_cnt: number,
	level: number,
): number {
	let nelems = 1;
	let i = 0;
	for (; i < MAX_RESOLVE_DEPTH && btf_type_is_array(var_type); i++) {
		const array = btf_type_array(var_type);
		nelems = Math.imul(nelems, array.nelems) >>> 0;
		var_type = btf_type_by_id(b, array.type)!;
	}
	if (i === MAX_RESOLVE_DEPTH) return -E2BIG;
	if (nelems === 0) return 0;

	const field_type = btf_get_field_type(b, var_type, field_mask, seen);
	// a struct that is no field itself may hold some
	if (!field_type && __btf_type_is_struct(var_type)) {
		if (expected_size && expected_size !== Math.imul(var_type.size, nelems) >>> 0) return 0;
		return btf_find_nested_struct(b, var_type, off, nelems, field_mask, info, at, info_cnt, level);
	}
	if (field_type === 0) return 0;
	if (field_type < 0) return field_type;

	const sz = btf_field_type_size(field_type);
	if (expected_size && expected_size !== Math.imul(sz, nelems) >>> 0) return 0;
	if (off % btf_field_type_align(field_type)) return 0;

	const slot = new_info();
	let ret: number;
	switch (field_type) {
		case BPF_SPIN_LOCK:
		case BPF_TIMER:
		case BPF_WORKQUEUE:
		case BPF_LIST_NODE:
		case BPF_RB_NODE:
		case BPF_REFCOUNT:
			ret = btf_find_struct(var_type, off, sz, field_type, slot);
			break;
		case BPF_KPTR_UNREF:
		case BPF_KPTR_REF:
		case BPF_KPTR_PERCPU:
			ret = btf_find_kptr(b, var_type, off, slot);
			break;
		case BPF_LIST_HEAD:
		case BPF_RB_ROOT:
			ret = btf_find_graph_root(b, pt, var_type, var_idx, off, sz, slot, field_type);
			break;
		default:
			return -EFAULT;
	}
	if (ret < 0) return ret;
	if (ret === BTF_FIELD_IGNORE) return 0;
	if (!info_cnt) return -E2BIG;
	info[at] = slot;
	if (nelems > 1) {
		ret = btf_repeat_fields(info, at, info_cnt, 1, nelems - 1, sz);
		if (ret < 0) return ret;
	}
	return nelems;
}

/** kernel/bpf/btf.c: btf_find_struct_field */
function btf_find_struct_field(
	b: btf,
	t: btf_type,
	field_mask: number,
	info: btf_field_info[],
	at: number,
	info_cnt: number,
	level: number,
): number {
	const seen = { mask: 0 };
	let idx = 0;
	const members = btf_type_member(t);
	for (let i = 0; i < members.length; i++) {
		const member = members[i]!;
		const member_type = btf_type_by_id(b, member.type)!;
		const bits = __btf_member_bit_offset(t, member);
		// a bitfield anywhere: no special fields in this struct
		if (bits % 8) return -EINVAL;
		const ret = btf_find_field_one(
			b,
			t,
			member_type,
			i,
			bits / 8,
			0,
			field_mask,
			seen,
			info,
			at + idx,
			info_cnt - idx,
			level,
		);
		if (ret < 0) return ret;
		idx += ret;
	}
	return idx;
}

/** kernel/bpf/btf.c: btf_find_datasec_var */
function btf_find_datasec_var(b: btf, t: btf_type, field_mask: number, info: btf_field_info[]): number {
	const seen = { mask: 0 };
	let idx = 0;
	for (const vsi of btf_type_var_secinfo(t)) {
		const v = btf_type_by_id(b, vsi.type)!;
		const var_type = btf_type_by_id(b, v.type)!;
		const ret = btf_find_field_one(
			b,
			v,
			var_type,
			-1,
			vsi.offset,
			vsi.size,
			field_mask,
			seen,
			info,
			idx,
			BTF_FIELDS_MAX - idx,
			0,
		);
		if (ret < 0) return ret;
		idx += ret;
	}
	return idx;
}

/** kernel/bpf/btf.c: btf_find_field */
function btf_find_field(b: btf, t: btf_type, field_mask: number, info: btf_field_info[]): number {
	if (__btf_type_is_struct(t)) return btf_find_struct_field(b, t, field_mask, info, 0, BTF_FIELDS_MAX, 0);
	if (btf_type_is_datasec(t)) return btf_find_datasec_var(b, t, field_mask, info);
	return -EINVAL;
}

/** kernel/bpf/btf.c: btf_parse_kptr: find the kernel's type of the pointee and how it is released */
function btf_parse_kptr(b: btf, field: btf_field, info: btf_field_info): number {
	const kernel = btf_impl(b).kernel;
	const t = btf_type_by_id(b, info.type_id)!;
	const kptr_btf: { val: btf | null } = { val: null };
	let id = kernel
		? bpf_find_btf_id(kernel, __btf_name_by_offset(b, t.name_off), btf_kind(t), kptr_btf)
		: -EINVAL;
	if (id === -ENOENT) {
		// a type of the program's own: it was allocated with bpf_obj_new(), and needs no destructor
		id = info.type_id;
		field.kptr = { btf: b, module: null, dtor: null, btf_id: id };
		return 0;
	}
	if (id < 0) return id;
	const kb = kptr_btf.val!;
	let mod: kmodule | null = null;
	let dtor: string | null = null;
	// an unreferenced or per-CPU kptr is not released through a destructor
	if (info.type === BPF_KPTR_REF) {
		const dtor_btf_id = btf_find_dtor_kfunc(kb, id);
		if (dtor_btf_id < 0) {
			btf_put(kb);
			return dtor_btf_id;
		}
		const dtor_func = btf_type_by_id(kb, dtor_btf_id);
		if (!dtor_func) {
			btf_put(kb);
			return -ENOENT;
		}
		if (btf_is_module(kb)) {
			mod = btf_try_get_module(kb);
			if (!mod) {
				btf_put(kb);
				return -ENXIO;
			}
		}
		dtor = __btf_name_by_offset(kb, dtor_func.name_off);
		if (kernel!.symbols.addr(dtor) === undefined) {
			btf_put(kb);
			return -EINVAL;
		}
	}
	field.kptr = { btf: kb, module: mod, dtor, btf_id: id };
	return 0;
}

/** kernel/bpf/btf.c: btf_parse_graph_root: find the node member in the value type */
function btf_parse_graph_root(
	b: btf,
	field: btf_field,
	info: btf_field_info,
	node_type_name: string,
	node_type_align: number,
): number {
	const t = btf_type_by_id(b, info.value_btf_id)!;
	let found = false;
	for (const member of btf_type_member(t)) {
		if (info.node_name !== __btf_name_by_offset(b, member.name_off)) continue;
		// a name stands for one member
		if (found) return -EINVAL;
		const n = btf_type_by_id(b, member.type)!;
		if (!__btf_type_is_struct(n)) return -EINVAL;
		if (node_type_name !== __btf_name_by_offset(b, n.name_off)) return -EINVAL;
		const bits = __btf_member_bit_offset(n, member);
		if (bits % 8) return -EINVAL;
		if ((bits / 8) % node_type_align) return -EINVAL;
		found = true;
		field.graph_root = {
			btf: b,
			value_btf_id: info.value_btf_id,
			node_offset: bits / 8,
			value_rec: null,
		};
	}
	return found ? 0 : -ENOENT;
}

/** kernel/bpf/btf.c: btf_parse_fields: the record of a type's special fields; null when it has none */
export function btf_parse_fields(
	b: btf,
	t: btf_type,
	field_mask: number,
	value_size: number,
): btf_record | null | number {
	const infos: btf_field_info[] = [];
	const cnt = btf_find_field(b, t, field_mask, infos);
	if (cnt < 0) return cnt;
	if (!cnt) return null;

	const rec: btf_record = {
		cnt: 0,
		field_mask: 0,
		spin_lock_off: -EINVAL,
		timer_off: -EINVAL,
		wq_off: -EINVAL,
		refcount_off: -EINVAL,
		fields: [],
	};
	const fail = (err: number): number => {
		btf_record_free(rec);
		return err;
	};
	let next_off = 0;
	for (let i = 0; i < cnt; i++) {
		const info = infos[i]!;
		const size = btf_field_type_size(info.type);
		if (info.off + size > value_size) {
			btf_impl(b).kernel?.printk(`verifier bug off ${info.off} size ${value_size}`);
			return fail(-EFAULT);
		}
		if (info.off < next_off) return fail(-EEXIST);
		next_off = info.off + size;
		rec.field_mask |= info.type;
		const field: btf_field = { offset: info.off, size, type: info.type, kptr: null, graph_root: null };
		rec.fields[i] = field;
		let ret = 0;
		switch (info.type) {
			case BPF_SPIN_LOCK:
				rec.spin_lock_off = info.off;
				break;
			case BPF_TIMER:
				rec.timer_off = info.off;
				break;
			case BPF_WORKQUEUE:
				rec.wq_off = info.off;
				break;
			case BPF_REFCOUNT:
				rec.refcount_off = info.off;
				break;
			case BPF_KPTR_UNREF:
			case BPF_KPTR_REF:
			case BPF_KPTR_PERCPU:
				ret = btf_parse_kptr(b, field, info);
				break;
			case BPF_LIST_HEAD:
				ret = btf_parse_graph_root(b, field, info, "bpf_list_node", 8);
				break;
			case BPF_RB_ROOT:
				ret = btf_parse_graph_root(b, field, info, "bpf_rb_node", 8);
				break;
			case BPF_LIST_NODE:
			case BPF_RB_NODE:
				break;
			default:
				ret = -EFAULT;
		}
		if (ret < 0) return fail(ret);
		rec.cnt++;
	}
	// a list or tree is guarded by the lock of the same object
	if (rec.field_mask & BPF_GRAPH_ROOT && rec.spin_lock_off < 0) return fail(-EINVAL);
	// an object that can be in a list and in a tree at once has shared ownership
	if (rec.refcount_off < 0 && rec.field_mask & BPF_LIST_NODE && rec.field_mask & BPF_RB_NODE)
		return fail(-EINVAL);
	rec.fields.sort((x, y) => x.offset - y.offset);
	return rec;
}

/** kernel/bpf/btf.c: btf_check_and_fixup_fields: link roots with the records of what they hold */
export function btf_check_and_fixup_fields(b: btf, rec: btf_record | number | null): number {
	if (rec === null || IS_ERR(rec) || !(rec.field_mask & BPF_GRAPH_ROOT)) return 0;
	for (const field of rec.fields) {
		if (!(field.type & BPF_GRAPH_ROOT)) continue;
		const root = field.graph_root!;
		const meta = btf_find_struct_meta(b, root.value_btf_id);
		if (!meta) return -EFAULT;
		root.value_rec = meta.record;
		// who is in a graph may own no node that owns further ones: freeing would recurse without bound
		if (!(rec.field_mask & BPF_GRAPH_NODE)) continue;
		if (meta.record.field_mask & BPF_GRAPH_ROOT) return -ELOOP;
	}
	return 0;
}

const alloc_obj_fields = [
	"bpf_spin_lock",
	"bpf_list_head",
	"bpf_list_node",
	"bpf_rb_root",
	"bpf_rb_node",
	"bpf_refcount",
] as const;

/** kernel/bpf/btf.c: btf_parse_struct_metas: records of all structs that have special members, by id */
export function btf_parse_struct_metas(b: btf): btf_struct_meta[] | null | number {
	const aof = new Set<number>();
	for (const name of alloc_obj_fields) {
		const id = btf_find_by_name_kind(b, name, BTF_KIND_STRUCT);
		if (id >= 0) aof.add(id);
	}
	const n = btf_nr_types(b);
	for (let i = 1; i < n; i++) {
		const t = btf_type_by_id(b, i);
		if (!t) return -EINVAL;
		if (btf_find_kptr(b, t, 0, new_info()) === BTF_FIELD_FOUND) aof.add(i);
	}
	if (aof.size === 0) return null;

	const tab: btf_struct_meta[] = [];
	for (let i = 1; i < n; i++) {
		const t = btf_type_by_id(b, i)!;
		if (!__btf_type_is_struct(t)) continue;
		if (!btf_type_member(t).some((m) => aof.has(m.type))) continue;
		const record = btf_parse_fields(
			b,
			t,
			BPF_SPIN_LOCK | BPF_LIST_HEAD | BPF_LIST_NODE | BPF_RB_ROOT | BPF_RB_NODE | BPF_REFCOUNT | BPF_KPTR,
			t.size,
		);
		// a struct that has such a member but no field of it is malformed (a bad size, say)
		if (record === null) return -EFAULT;
		if (typeof record === "number") return record;
		tab.push({ btf_id: i, record });
	}
	return tab;
}

/** kernel/bpf/btf.c: btf_find_struct_meta */
export function btf_find_struct_meta(b: btf, btf_id: number): btf_struct_meta | null {
	const tab = btf_impl(b).struct_meta_tab;
	if (!tab) return null;
	let lo = 0;
	let hi = tab.length;
	while (lo < hi) {
		const mid = (lo + hi) >> 1;
		if (tab[mid]!.btf_id < btf_id) lo = mid + 1;
		else hi = mid;
	}
	const meta = tab[lo];
	return meta && meta.btf_id === btf_id ? meta : null;
}

/** kernel/bpf/syscall.c: btf_record_find */
export function btf_record_find(
	rec: btf_record | number | null,
	offset: number,
	field_mask: number,
): btf_field | null {
	if (rec === null || IS_ERR(rec) || !(rec.field_mask & field_mask)) return null;
	for (const field of rec.fields) {
		if (field.offset === offset) return field.type & field_mask ? field : null;
		if (field.offset > offset) break;
	}
	return null;
}

/** kernel/bpf/syscall.c: btf_record_free */
export function btf_record_free(rec: btf_record | number | null): void {
	if (rec === null || IS_ERR(rec)) return;
	for (let i = 0; i < rec.cnt; i++) {
		const { kptr } = rec.fields[i]!;
		if (kptr && btf_is_kernel(kptr.btf)) btf_put(kptr.btf);
	}
}

/** kernel/bpf/syscall.c: btf_record_dup */
export function btf_record_dup(rec: btf_record | number | null): btf_record | null | number {
	if (rec === null || IS_ERR(rec)) return null;
	const fields = rec.fields.map((f) => ({
		...f,
		kptr: f.kptr ? { ...f.kptr } : null,
		graph_root: f.graph_root ? { ...f.graph_root } : null,
	}));
	const dup: btf_record = { ...rec, cnt: 0, fields };
	for (const { kptr } of fields) {
		if (kptr) {
			if (btf_is_kernel(kptr.btf)) btf_get(kptr.btf);
			if (kptr.module && !btf_try_get_module(kptr.btf)) {
				btf_record_free(dup);
				return -ENXIO;
			}
		}
		dup.cnt++;
	}
	return dup;
}

/** kernel/bpf/syscall.c: btf_record_equal: the records are the same, pointers and all */
export function btf_record_equal(a: btf_record | number | null, b: btf_record | number | null): boolean {
	const a_has = a !== null && !IS_ERR(a);
	const b_has = b !== null && !IS_ERR(b);
	if (!a_has && !b_has) return true;
	if (!a_has || !b_has) return false;
	if (
		a.cnt !== b.cnt ||
		a.field_mask !== b.field_mask ||
		a.spin_lock_off !== b.spin_lock_off ||
		a.timer_off !== b.timer_off ||
		a.wq_off !== b.wq_off ||
		a.refcount_off !== b.refcount_off
	)
		return false;
	return a.fields.every((x, i) => {
		const y = b.fields[i]!;
		if (x.offset !== y.offset || x.size !== y.size || x.type !== y.type) return false;
		if (
			x.kptr?.btf !== y.kptr?.btf ||
			x.kptr?.btf_id !== y.kptr?.btf_id ||
			x.kptr?.module !== y.kptr?.module ||
			x.kptr?.dtor !== y.kptr?.dtor
		)
			return false;
		return (
			x.graph_root?.btf === y.graph_root?.btf &&
			x.graph_root?.value_btf_id === y.graph_root?.value_btf_id &&
			x.graph_root?.node_offset === y.graph_root?.node_offset &&
			x.graph_root?.value_rec === y.graph_root?.value_rec
		);
	});
}
