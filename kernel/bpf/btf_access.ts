// SPDX-License-Identifier: GPL-2.0-only
/**
 * Accesses through pointers with a BTF type: which field is touched, what a loaded pointer points at
 * (kernel/bpf/btf.c: btf_struct_walk() to btf_struct_ids_match(), btf_nested_type_is_trusted() …).
 */
import {
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_USER,
	PTR_TO_BTF_ID,
	PTR_UNTRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { BTF_KIND_UNION } from "../../include/uapi/linux/btf.ts";
import type { Ref } from "../../lib/err.ts";
import { btf_field_type_name, btf_find_struct_meta } from "./btf_fields.ts";
import {
	__btf_member_bit_offset,
	__btf_member_bitfield_size,
	__btf_name_by_offset,
	__btf_resolve_size,
	BITS_ROUNDUP_BYTES,
	btf_find_by_name_kind,
	btf_kind,
	btf_name_by_offset,
	btf_tname,
	btf_type_array,
	btf_type_by_id,
	btf_type_is_array,
	btf_type_is_int,
	btf_type_is_modifier,
	btf_type_is_ptr,
	btf_type_is_struct,
	btf_type_is_type_tag,
	btf_type_member,
	btf_type_skip_modifiers,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_param, btf_type } from "./btf_types.ts";
import { bpf_log } from "./log.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

// enum bpf_struct_walk_result; negative errnos are errors
const WALK_SCALAR = 0;
const WALK_PTR = 1;
const WALK_STRUCT = 2;

/** kernel/bpf/btf.c: btf_struct_walk: what lies at an offset of a struct */
function btf_struct_walk(
	log: bpf_verifier_log,
	b: btf,
	t: btf_type,
	off: number,
	size: number,
	next_btf_id: Ref<number>,
	flag: Ref<number>,
	field_name: Ref<string | null> | null,
): number {
	// each round goes into a nested struct or a flexible array's element
	again: for (;;) {
		if (btf_type_is_modifier(t)) t = btf_type_skip_modifiers(b, t.type);
		const tname = __btf_name_by_offset(b, t.name_off);
		if (!btf_type_is_struct(t)) {
			bpf_log(log, `Type '${tname}' is not a struct\n`);
			return -EINVAL;
		}
		const members = btf_type_member(t);
		const vlen = members.length;
		// which arm of a union is live is not known; a union of one member is __bpf_md_ptr and the like
		if (btf_kind(t) === BTF_KIND_UNION && vlen !== 1 && !(flag.val & PTR_UNTRUSTED))
			flag.val |= PTR_UNTRUSTED;

		if (off + size > t.size) {
			const next = flexible_array(b, t, off);
			if (next === WALK_SCALAR) return WALK_SCALAR;
			if (next === null) {
				bpf_log(log, `access beyond struct ${tname} at off ${off} size ${size}\n`);
				return -EACCES;
			}
			t = next.t;
			off = next.off;
			continue;
		}

		for (let i = 0; i < vlen; i++) {
			const member = members[i]!;
			const bit_off = __btf_member_bit_offset(t, member);
			let moff = Math.floor(bit_off / 8);
			// members are sorted by offset: past it
			if (off + size <= moff) break;
			const bitfield_size = __btf_member_bitfield_size(t, member);
			if (bitfield_size) {
				// may cover several bitfields at once, but never a part of one
				if (off <= moff && BITS_ROUNDUP_BYTES(bit_off + bitfield_size) <= off + size) return WALK_SCALAR;
				continue;
			}
			if (off < moff) break;

			let mtype = btf_type_by_id(b, member.type)!;
			const mname = __btf_name_by_offset(b, member.name_off);
			const r = __btf_resolve_size(b, mtype);
			if (typeof r === "number") {
				bpf_log(log, `field ${mname} doesn't have size\n`);
				return -EFAULT;
			}
			let mid = r.type_id ?? member.type;
			let msize = r.size;
			mtype = r.type;
			const mtrue_end = moff + msize;
			if (off >= mtrue_end) continue;

			if (btf_type_is_array(mtype)) {
				// an array of no elements, or of elements of no size
				if (moff === mtrue_end) continue;
				msize = Math.floor(msize / r.total_nelems);
				moff += Math.floor((off - moff) / msize) * msize;
				mtype = r.elem_type;
				mid = r.elem_id;
			}
			if (btf_type_is_struct(mtype)) {
				t = mtype;
				// at the very start the caller may want the nested struct itself
				if (off === moff) {
					next_btf_id.val = mid;
					return WALK_STRUCT;
				}
				off -= moff;
				continue again;
			}
			if (btf_type_is_ptr(mtype)) {
				if (msize !== size || off !== moff) {
					bpf_log(
						log,
						`cannot access ptr member ${mname} with moff ${moff} in struct ${tname} with off ${off} size ${size}\n`,
					);
					return -EACCES;
				}
				let tmp_flag = 0;
				const tag = btf_type_by_id(b, mtype.type)!;
				if (btf_type_is_type_tag(tag)) tmp_flag = pointer_tag_flag(__btf_name_by_offset(b, tag.name_off));
				const id = { val: 0 };
				const stype = btf_type_skip_modifiers(b, mtype.type, id);
				if (btf_type_is_struct(stype)) {
					next_btf_id.val = id.val;
					flag.val |= tmp_flag;
					if (field_name) field_name.val = mname;
					return WALK_PTR;
				}
			}
			// may read a scalar array in larger steps, or a part of an int, but not beyond the member
			if (off + size > mtrue_end && !(flag.val & PTR_UNTRUSTED)) {
				bpf_log(
					log,
					`access beyond the end of member ${mname} (mend:${mtrue_end}) in struct ${tname} with off ${off} size ${size}\n`,
				);
				return -EACCES;
			}
			return WALK_SCALAR;
		}
		bpf_log(log, `struct ${tname} doesn't have field at offset ${off}\n`);
		return -EINVAL;
	}
}

function pointer_tag_flag(tag: string): number {
	switch (tag) {
		case "user":
			return MEM_USER;
		case "percpu":
			return MEM_PERCPU;
		case "rcu":
			return MEM_RCU;
	}
	return 0;
}

/** An access past a struct's end may be of its trailing array without a size; null when it is not. */
function flexible_array(b: btf, t: btf_type, off: number): { t: btf_type; off: number } | 0 | null {
	const vlen = btf_type_vlen(t);
	if (vlen === 0) return null;
	const member = btf_type_member(t)[vlen - 1]!;
	const mtype = btf_type_skip_modifiers(b, member.type);
	if (!btf_type_is_array(mtype)) return null;
	const array = btf_type_array(mtype);
	if (array.nelems !== 0) return null;
	const moff = Math.floor(__btf_member_bit_offset(t, member) / 8);
	if (off < moff) return null;
	const elem = btf_type_skip_modifiers(b, array.type);
	if (btf_type_is_int(elem)) return WALK_SCALAR;
	if (!btf_type_is_struct(elem)) return null;
	return { t: elem, off: (off - moff) % elem.size };
}

/**
 * kernel/bpf/btf.c: btf_struct_access: SCALAR_VALUE, PTR_TO_BTF_ID (then next_btf_id, flag and field_name say
 * of what) or a negative errno
 */
export function btf_struct_access(
	log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
	_atype: number,
	next_btf_id: Ref<number>,
	flag: Ref<number>,
	field_name: Ref<string | null> | null,
): number {
	const b = reg.btf!;
	const id = { val: reg.btf_id };
	const tmp_flag = { val: 0 };
	const alloc = (reg.type & MEM_ALLOC) !== 0;
	if (alloc) {
		const meta = btf_find_struct_meta(b, id.val);
		if (meta) {
			for (const field of meta.record.fields) {
				const { offset } = field;
				if (off < offset + field.size && offset < off + size) {
					bpf_log(log, `direct access to ${btf_field_type_name(field.type)} is disallowed\n`);
					return -EACCES;
				}
			}
		}
	}
	let t = btf_type_by_id(b, id.val);
	while (t) {
		const err = btf_struct_walk(log, b, t, off, size, id, tmp_flag, field_name);
		switch (err) {
			case WALK_PTR:
				// pointers in allocated objects are of the program's own making
				if (alloc) return SCALAR_VALUE;
				next_btf_id.val = id.val;
				flag.val = tmp_flag.val;
				return PTR_TO_BTF_ID;
			case WALK_SCALAR:
				return SCALAR_VALUE;
			case WALK_STRUCT:
				// a nested struct at the offset: go on in it
				t = btf_type_by_id(b, id.val);
				off = 0;
				break;
			default:
				return err;
		}
	}
	return -EINVAL;
}

/** kernel/bpf/btf.c: btf_types_are_same */
export function btf_types_are_same(btf1: btf, id1: number, btf2: btf, id2: number): boolean {
	if (id1 !== id2) return false;
	if (btf1 === btf2) return true;
	return btf_type_by_id(btf1, id1) === btf_type_by_id(btf2, id2);
}

/** kernel/bpf/btf.c: btf_struct_ids_match: is the needed type at an offset of a type (unless strict: at any depth)? */
export function btf_struct_ids_match(
	log: bpf_verifier_log,
	b: btf,
	id: number,
	off: number,
	need_btf: btf,
	need_type_id: number,
	strict: boolean,
): boolean {
	if (off === 0 && btf_types_are_same(b, id, need_btf, need_type_id)) return true;
	if (strict) return false;
	const at = { val: id };
	const flag = { val: 0 };
	for (;;) {
		const type = btf_type_by_id(b, at.val);
		if (!type) return false;
		const err = btf_struct_walk(log, b, type, off, 1, at, flag, null);
		if (err !== WALK_STRUCT) return false;
		// the nested struct at its start may have the needed one at its own start
		if (btf_types_are_same(b, at.val, need_btf, need_type_id)) return true;
		off = 0;
	}
}

/** kernel/bpf/btf.c: btf_nested_type_is_trusted: does `struct NAME<suffix>` list the field with that type? */
export function btf_nested_type_is_trusted(
	_log: bpf_verifier_log,
	reg: bpf_reg_state,
	field_name: string,
	btf_id: number,
	suffix: string,
): boolean {
	const b = reg.btf!;
	const walk_type = btf_type_by_id(b, reg.btf_id);
	if (!walk_type) return false;
	const safe_tname = btf_tname(b, walk_type) + suffix;
	if (safe_tname.length >= 64) return false;
	const safe_id = btf_find_by_name_kind(b, safe_tname, btf_kind(walk_type));
	if (safe_id < 0) return false;
	const safe_type = btf_type_by_id(b, safe_id);
	if (!safe_type) return false;
	for (const member of btf_type_member(safe_type)) {
		const mtype = btf_type_by_id(b, member.type)!;
		if (!btf_type_is_ptr(mtype)) continue;
		const id = { val: 0 };
		btf_type_skip_modifiers(b, mtype.type, id);
		if (btf_id === id.val && field_name === __btf_name_by_offset(b, member.name_off)) return true;
	}
	return false;
}

const NOCAST_ALIAS_SUFFIX = "___init";

/** kernel/bpf/btf.c: btf_type_ids_nocast_alias: are the names alike but for one's "___init"? */
export function btf_type_ids_nocast_alias(
	_log: bpf_verifier_log,
	reg_btf: btf,
	reg_id: number,
	arg_btf: btf,
	arg_id: number,
): boolean {
	const reg_type = btf_type_by_id(reg_btf, reg_id);
	if (!reg_type) return false;
	const arg_type = btf_type_by_id(arg_btf, arg_id);
	if (!arg_type) return false;
	const reg_name = btf_tname(reg_btf, reg_type);
	const arg_name = btf_tname(arg_btf, arg_type);
	const [short, long] = reg_name.length < arg_name.length ? [reg_name, arg_name] : [arg_name, reg_name];
	if (long.length !== short.length + NOCAST_ALIAS_SUFFIX.length) return false;
	// the first "___init" must be the end
	if (long.indexOf(NOCAST_ALIAS_SUFFIX) !== short.length) return false;
	return long.startsWith(short);
}

/** kernel/bpf/btf.c: btf_param_match_suffix */
export function btf_param_match_suffix(b: btf, arg: btf_param, suffix: string): boolean {
	const name = btf_name_by_offset(b, arg.name_off);
	if (!name || name.length <= suffix.length) return false;
	return name.endsWith(suffix);
}
