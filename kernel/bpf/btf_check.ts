// SPDX-License-Identifier: GPL-2.0-only
/**
 * The checks of a BTF that user space loads: header, strings, each type's own record (CHECK_META), then what
 * types refer to (CHECK_TYPE) (kernel/bpf/btf.c: btf_check_meta() and btf_resolve() with the operations of
 * each kind, btf_parse_hdr(), btf_check_type_tags()).
 */
import { BPF_LOG_KERNEL } from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EEXIST, EINVAL, ELOOP, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_INT_BOOL,
	BTF_INT_CHAR,
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_CONST,
	BTF_KIND_DATASEC,
	BTF_KIND_DECL_TAG,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
	BTF_KIND_FLOAT,
	BTF_KIND_FUNC,
	BTF_KIND_FUNC_PROTO,
	BTF_KIND_FWD,
	BTF_KIND_INT,
	BTF_KIND_MAX,
	BTF_KIND_PTR,
	BTF_KIND_RESTRICT,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPE_TAG,
	BTF_KIND_TYPEDEF,
	BTF_KIND_UNION,
	BTF_KIND_UNKN,
	BTF_KIND_VAR,
	BTF_KIND_VOLATILE,
	BTF_MAGIC,
	BTF_MAX_NAME_OFFSET,
	BTF_MAX_TYPE,
	BTF_VAR_GLOBAL_ALLOCATED,
	BTF_VAR_STATIC,
	BTF_VERSION,
} from "../../include/uapi/linux/btf.ts";
import {
	__btf_member_bit_offset,
	__btf_name_by_offset,
	BITS_ROUNDDOWN_BYTES,
	BITS_ROUNDUP_BYTES,
	BTF_HEADER_SIZE,
	BTF_INFO_KIND,
	BTF_INT_BITS,
	BTF_INT_ENCODING,
	BTF_INT_OFFSET,
	BTF_MEMBER_BIT_OFFSET,
	BTF_MEMBER_BITFIELD_SIZE,
	BTF_TYPE_SIZE,
	btf_enum64_value,
	btf_kind,
	btf_name_by_offset,
	btf_name_offset_valid,
	btf_nr_types,
	type btf_obj,
	btf_params,
	btf_resolved_type_id,
	btf_set_sections,
	btf_str_by_offset,
	btf_type_array,
	btf_type_by_id,
	btf_type_decl_tag,
	btf_type_enum,
	btf_type_enum64,
	btf_type_id_resolve,
	btf_type_id_size,
	btf_type_int,
	btf_type_int_is_regular,
	btf_type_is_array,
	btf_type_is_datasec,
	btf_type_is_decl_tag,
	btf_type_is_decl_tag_target,
	btf_type_is_func,
	btf_type_is_func_proto,
	btf_type_is_fwd,
	btf_type_is_int,
	btf_type_is_modifier,
	btf_type_is_ptr,
	btf_type_is_resolve_source_only,
	btf_type_is_struct,
	btf_type_is_type_tag,
	btf_type_is_typedef,
	btf_type_is_var,
	btf_type_is_void,
	btf_type_kflag,
	btf_type_member,
	btf_type_needs_resolve,
	btf_type_nosize,
	btf_type_rec,
	btf_type_var,
	btf_type_var_secinfo,
	btf_type_vlen,
	KSYM_NAME_LEN,
	MAX_RESOLVE_DEPTH,
	read_btf_header,
} from "./btf_obj.ts";
import type { btf, btf_member, btf_type } from "./btf_types.ts";
import {
	type btf_verifier_env,
	btf_verifier_log,
	btf_verifier_log_basic,
	btf_verifier_log_hdr,
	btf_verifier_log_member,
	btf_verifier_log_type,
	btf_verifier_log_vsi,
	CHECK_TYPE,
	env_stack_pop_resolved,
	env_stack_push,
	env_stack_set_next_member,
	env_type_is_resolve_sink,
	env_type_is_resolved,
	RESOLVE_TBD,
	type resolve_vertex,
} from "./btf_verify.ts";

const BITS_PER_U128 = 128;
const BTF_INFO_MASK = 0x9f00ffff;
const BTF_INT_MASK = 0x0fffffff;
const U32_MAX = 0xffffffff;

/** struct btf_kind_operations, less `show` (btf_show.ts) */
interface btf_kind_operations {
	/** Bytes that the type takes after its header, or a negative errno. */
	check_meta(env: btf_verifier_env, t: btf_type, meta_left: number): number;
	resolve(env: btf_verifier_env, v: resolve_vertex): number;
	check_member(env: btf_verifier_env, s: btf_type, m: btf_member, mt: btf_type): number;
	check_kflag_member(env: btf_verifier_env, s: btf_type, m: btf_member, mt: btf_type): number;
	log_details(env: btf_verifier_env, t: btf_type): void;
}

function type_id_valid(id: number): boolean {
	return id <= BTF_MAX_TYPE;
}

function bad_type(env: btf_verifier_env, t: btf_type, text: string): number {
	btf_verifier_log_type(env, t, text);
	return -EINVAL;
}
function bad_basic(env: btf_verifier_env, t: btf_type, text: string): number {
	btf_verifier_log_basic(env, t, text);
	return -EINVAL;
}
function bad_member(env: btf_verifier_env, s: btf_type, m: btf_member, text: string): number {
	btf_verifier_log_member(env, s, m, text);
	return -EINVAL;
}
function short_meta(env: btf_verifier_env, t: btf_type, left: number, needed: number): number {
	return bad_basic(env, t, `meta_left:${left} meta_needed:${needed}`);
}

// --- names (the kernel's isalpha() and isprint() know Latin-1) ---

function isalpha(c: number): boolean {
	const l = c | 0x20;
	if (l >= 0x61 && l <= 0x7a && c < 0x80) return true;
	return c >= 0xc0 && c !== 0xd7 && c !== 0xf7;
}
function isdigit(c: number): boolean {
	return c >= 0x30 && c <= 0x39;
}
function isprint(c: number): boolean {
	return (c >= 0x20 && c <= 0x7e) || c >= 0xa0;
}
function name_char_ok(c: number, first: boolean): boolean {
	return isalpha(c) || (!first && isdigit(c)) || c === 0x5f || c === 0x2e;
}

/** kernel/bpf/btf.c: btf_name_valid_identifier: a C identifier, dots allowed (sections), not too long */
export function btf_name_valid_identifier(b: btf, offset: number): boolean {
	const s = btf_str_by_offset(b, offset) ?? "";
	if (s === "" || !name_char_ok(s.charCodeAt(0), true)) return false;
	const n = Math.min(s.length, KSYM_NAME_LEN);
	for (let i = 1; i < n; i++) if (!name_char_ok(s.charCodeAt(i), false)) return false;
	return s.length <= KSYM_NAME_LEN;
}

/** kernel/bpf/btf.c: btf_name_valid_section: printable */
function btf_name_valid_section(b: btf, offset: number): boolean {
	const s = btf_str_by_offset(b, offset) ?? "";
	if (s === "") return false;
	const n = Math.min(s.length, KSYM_NAME_LEN);
	for (let i = 0; i < n; i++) if (!isprint(s.charCodeAt(i))) return false;
	return s.length <= KSYM_NAME_LEN;
}

// --- defaults ---

const df: Pick<btf_kind_operations, "resolve" | "check_member" | "check_kflag_member"> = {
	resolve: (env, v) => bad_basic(env, v.t, "Unsupported resolve"),
	check_member: (env, s) => bad_basic(env, s, "Unsupported check_member"),
	check_kflag_member: (env, s) => bad_basic(env, s, "Unsupported check_kflag_member"),
};

/** kernel/bpf/btf.c: btf_generic_check_kflag_member: no bitfields of such types */
function btf_generic_check_kflag_member(
	env: btf_verifier_env,
	s: btf_type,
	m: btf_member,
	mt: btf_type,
): number {
	if (BTF_MEMBER_BITFIELD_SIZE(m.offset)) return bad_member(env, s, m, "Invalid member bitfield_size");
	// the offset word's bitfield size is 0, so it is the offset itself
	return type_ops(mt).check_member(env, s, m, mt);
}

/** A member of whole bytes that must lie within the struct. */
function check_byte_member(env: btf_verifier_env, s: btf_type, m: btf_member, size: number): number {
	if (m.offset & 7) return bad_member(env, s, m, "Member is not byte aligned");
	// unsigned, as the kernel subtracts
	if ((s.size - BITS_ROUNDDOWN_BYTES(m.offset)) >>> 0 < size)
		return bad_member(env, s, m, "Member exceeds struct_size");
	return 0;
}

// --- INT ---

function int_copy_fits(
	env: btf_verifier_env,
	s: btf_type,
	m: btf_member,
	bits_off: number,
	nr_bits: number,
): number {
	const bytes_offset = BITS_ROUNDDOWN_BYTES(bits_off);
	const nr_copy_bits = nr_bits + (bits_off & 7);
	if (nr_copy_bits > BITS_PER_U128) return bad_member(env, s, m, "nr_copy_bits exceeds 128");
	if (s.size < bytes_offset || s.size - bytes_offset < BITS_ROUNDUP_BYTES(nr_copy_bits))
		return bad_member(env, s, m, "Member exceeds struct_size");
	return 0;
}

function btf_int_encoding_str(encoding: number): string {
	switch (encoding) {
		case 0:
			return "(none)";
		case BTF_INT_SIGNED:
			return "SIGNED";
		case BTF_INT_CHAR:
			return "CHAR";
		case BTF_INT_BOOL:
			return "BOOL";
		default:
			return "UNKN";
	}
}

const int_ops: btf_kind_operations = {
	resolve: df.resolve,
	/** kernel/bpf/btf.c: btf_int_check_meta */
	check_meta(env, t, meta_left) {
		if (meta_left < 4) return short_meta(env, t, meta_left, 4);
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		const int_data = btf_type_int(t);
		if ((int_data & ~BTF_INT_MASK) !== 0)
			return bad_basic(env, t, `Invalid int_data:${int_data.toString(16)}`);
		const nr_bits = BTF_INT_BITS(int_data) + BTF_INT_OFFSET(int_data);
		if (nr_bits > BITS_PER_U128) return bad_type(env, t, `nr_bits exceeds ${BITS_PER_U128}`);
		if (BITS_ROUNDUP_BYTES(nr_bits) > t.size) return bad_type(env, t, "nr_bits exceeds type_size");
		// one encoding at most
		const encoding = BTF_INT_ENCODING(int_data);
		if (encoding && encoding !== BTF_INT_SIGNED && encoding !== BTF_INT_CHAR && encoding !== BTF_INT_BOOL) {
			btf_verifier_log_type(env, t, "Unsupported encoding");
			return -ENOTSUPP;
		}
		btf_verifier_log_type(env, t, null);
		return 4;
	},
	/** kernel/bpf/btf.c: btf_int_check_member */
	check_member(env, s, m, mt) {
		const int_data = btf_type_int(mt);
		if (U32_MAX - m.offset < BTF_INT_OFFSET(int_data))
			return bad_member(env, s, m, "bits_offset exceeds U32_MAX");
		return int_copy_fits(env, s, m, m.offset + BTF_INT_OFFSET(int_data), BTF_INT_BITS(int_data));
	},
	/** kernel/bpf/btf.c: btf_int_check_kflag_member */
	check_kflag_member(env, s, m, mt) {
		// the size of a bitfield is the member's: its type must be an ordinary int
		if (!btf_type_int_is_regular(mt)) return bad_member(env, s, m, "Invalid member base type");
		let nr_bits = BTF_MEMBER_BITFIELD_SIZE(m.offset);
		const bits_off = BTF_MEMBER_BIT_OFFSET(m.offset);
		const nr_int_data_bits = BTF_INT_BITS(btf_type_int(mt));
		if (!nr_bits) {
			if (bits_off & 7) return bad_member(env, s, m, "Invalid member offset");
			nr_bits = nr_int_data_bits;
		} else if (nr_bits > nr_int_data_bits) {
			return bad_member(env, s, m, "Invalid member bitfield_size");
		}
		return int_copy_fits(env, s, m, bits_off, nr_bits);
	},
	log_details(env, t) {
		const d = btf_type_int(t);
		btf_verifier_log(
			env,
			`size=${t.size} bits_offset=${BTF_INT_OFFSET(d)} nr_bits=${BTF_INT_BITS(d)} encoding=${btf_int_encoding_str(BTF_INT_ENCODING(d))}`,
		);
	},
};

// --- modifiers, pointers ---

/** kernel/bpf/btf.c: btf_ref_type_check_meta */
function btf_ref_type_check_meta(env: btf_verifier_env, t: btf_type): number {
	if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
	if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
	if (!type_id_valid(t.type)) return bad_type(env, t, "Invalid type_id");
	const kind = btf_kind(t);
	if (kind === BTF_KIND_TYPEDEF) {
		if (!t.name_off || !btf_name_valid_identifier(env.btf, t.name_off))
			return bad_type(env, t, "Invalid name");
	} else if (kind === BTF_KIND_TYPE_TAG) {
		if (!btf_name_by_offset(env.btf, t.name_off)) return bad_type(env, t, "Invalid name");
	} else if (t.name_off) {
		return bad_type(env, t, "Invalid name");
	}
	btf_verifier_log_type(env, t, null);
	return 0;
}

function btf_ref_type_log(env: btf_verifier_env, t: btf_type): void {
	btf_verifier_log(env, `type_id=${t.type}`);
}

/** What a reference without a size may still stand for: void, a forward declaration, a function. */
function unsized_ok(t: btf_type): boolean {
	return btf_type_is_void(t) || btf_type_is_fwd(t) || btf_type_is_func_proto(t);
}

/** kernel/bpf/btf.c: btf_modifier_resolve */
function btf_modifier_resolve(env: btf_verifier_env, v: resolve_vertex): number {
	const b = env.btf;
	const id = { val: v.t.type };
	let next = btf_type_by_id(b, id.val);
	if (!next || btf_type_is_resolve_source_only(next)) return bad_type(env, v.t, "Invalid type_id");
	if (!env_type_is_resolve_sink(env, next) && !env_type_is_resolved(env, id.val))
		return env_stack_push(env, next, id.val);
	// e.g. a typedef of void is fine
	if (!btf_type_id_size(b, id)) {
		if (env_type_is_resolved(env, id.val)) next = btf_type_id_resolve(b, id);
		if (!unsized_ok(next)) return bad_type(env, v.t, "Invalid type_id");
	}
	env_stack_pop_resolved(env, id.val, 0);
	return 0;
}

/** kernel/bpf/btf.c: btf_var_resolve, btf_ptr_resolve: they differ in whether void is enough */
function resolve_reference(env: btf_verifier_env, v: resolve_vertex, may_be_unsized: boolean): number {
	const b = env.btf;
	const id = { val: v.t.type };
	let next = btf_type_by_id(b, id.val);
	if (!next || btf_type_is_resolve_source_only(next)) return bad_type(env, v.t, "Invalid type_id");
	if (!env_type_is_resolve_sink(env, next) && !env_type_is_resolved(env, id.val))
		return env_stack_push(env, next, id.val);
	// a modifier was resolved in a struct's mode, up to a pointer: that pointer must be resolved too
	if (btf_type_is_modifier(next)) {
		const rid = { val: id.val };
		const resolved = btf_type_id_resolve(b, rid);
		if (
			btf_type_is_ptr(resolved) &&
			!env_type_is_resolve_sink(env, resolved) &&
			!env_type_is_resolved(env, rid.val)
		)
			return env_stack_push(env, resolved, rid.val);
	}
	if (!btf_type_id_size(b, id)) {
		if (!may_be_unsized) return bad_type(env, v.t, "Invalid type_id");
		if (env_type_is_resolved(env, id.val)) next = btf_type_id_resolve(b, id);
		if (!unsized_ok(next)) return bad_type(env, v.t, "Invalid type_id");
	}
	env_stack_pop_resolved(env, id.val, 0);
	return 0;
}

/** A member of a modifier's type is checked as the type behind it. */
function modifier_member(
	env: btf_verifier_env,
	s: btf_type,
	m: btf_member,
	which: "check_member" | "check_kflag_member",
): number {
	const id = { val: m.type };
	const resolved = btf_type_id_size(env.btf, id);
	if (!resolved) return bad_member(env, s, m, "Invalid member");
	return type_ops(resolved)[which](env, s, { ...m, type: id.val }, resolved);
}

const modifier_ops: btf_kind_operations = {
	check_meta: btf_ref_type_check_meta,
	resolve: btf_modifier_resolve,
	check_member: (env, s, m) => modifier_member(env, s, m, "check_member"),
	check_kflag_member: (env, s, m) => modifier_member(env, s, m, "check_kflag_member"),
	log_details: btf_ref_type_log,
};

const ptr_ops: btf_kind_operations = {
	check_meta: btf_ref_type_check_meta,
	resolve: (env, v) => resolve_reference(env, v, true),
	check_member: (env, s, m) => check_byte_member(env, s, m, 8),
	check_kflag_member: btf_generic_check_kflag_member,
	log_details: btf_ref_type_log,
};

const fwd_ops: btf_kind_operations = {
	...df,
	/** kernel/bpf/btf.c: btf_fwd_check_meta */
	check_meta(env, t) {
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (t.type) return bad_type(env, t, "type != 0");
		// a forward declaration must have a name
		if (!t.name_off || !btf_name_valid_identifier(env.btf, t.name_off))
			return bad_type(env, t, "Invalid name");
		btf_verifier_log_type(env, t, null);
		return 0;
	},
	log_details: (env, t) => btf_verifier_log(env, btf_type_kflag(t) ? "union" : "struct"),
};

// --- ARRAY ---

const array_ops: btf_kind_operations = {
	/** kernel/bpf/btf.c: btf_array_check_meta */
	check_meta(env, t, meta_left) {
		if (meta_left < 12) return short_meta(env, t, meta_left, 12);
		if (t.name_off) return bad_type(env, t, "Invalid name");
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		if (t.size) return bad_type(env, t, "size != 0");
		const array = btf_type_array(t);
		if (!array.type || !type_id_valid(array.type)) return bad_type(env, t, "Invalid elem");
		if (!array.index_type || !type_id_valid(array.index_type)) return bad_type(env, t, "Invalid index");
		btf_verifier_log_type(env, t, null);
		return 12;
	},
	/** kernel/bpf/btf.c: btf_array_resolve */
	resolve(env, v) {
		const b = env.btf;
		const array = btf_type_array(v.t);
		const index_id = { val: array.index_type };
		let index = btf_type_by_id(b, index_id.val);
		if (!index || btf_type_nosize(index) || btf_type_is_resolve_source_only(index))
			return bad_type(env, v.t, "Invalid index");
		if (!env_type_is_resolve_sink(env, index) && !env_type_is_resolved(env, index_id.val))
			return env_stack_push(env, index, index_id.val);
		index = btf_type_id_size(b, index_id);
		if (!index || !btf_type_is_int(index) || !btf_type_int_is_regular(index))
			return bad_type(env, v.t, "Invalid index");

		const elem_id = { val: array.type };
		let elem = btf_type_by_id(b, elem_id.val);
		if (!elem || btf_type_nosize(elem) || btf_type_is_resolve_source_only(elem))
			return bad_type(env, v.t, "Invalid elem");
		if (!env_type_is_resolve_sink(env, elem) && !env_type_is_resolved(env, elem_id.val))
			return env_stack_push(env, elem, elem_id.val);
		const elem_size = { val: 0 };
		elem = btf_type_id_size(b, elem_id, elem_size);
		if (!elem) return bad_type(env, v.t, "Invalid elem");
		if (btf_type_is_int(elem) && !btf_type_int_is_regular(elem))
			return bad_type(env, v.t, "Invalid array of int");
		if (array.nelems && elem_size.val > Math.floor(U32_MAX / array.nelems))
			return bad_type(env, v.t, "Array size overflows U32_MAX");
		env_stack_pop_resolved(env, elem_id.val, elem_size.val * array.nelems);
		return 0;
	},
	/** kernel/bpf/btf.c: btf_array_check_member */
	check_member(env, s, m) {
		const size = { val: 0 };
		if (!(m.offset & 7)) btf_type_id_size(env.btf, { val: m.type }, size);
		return check_byte_member(env, s, m, size.val);
	},
	check_kflag_member: btf_generic_check_kflag_member,
	log_details(env, t) {
		const a = btf_type_array(t);
		btf_verifier_log(env, `type_id=${a.type} index_type_id=${a.index_type} nr_elems=${a.nelems}`);
	},
};

// --- STRUCT, UNION ---

function log_size_vlen(env: btf_verifier_env, t: btf_type): void {
	btf_verifier_log(env, `size=${t.size} vlen=${btf_type_vlen(t)}`);
}

const struct_ops: btf_kind_operations = {
	/** kernel/bpf/btf.c: btf_struct_check_meta */
	check_meta(env, t, meta_left) {
		const b = env.btf;
		const is_union = btf_kind(t) === BTF_KIND_UNION;
		const needed = btf_type_vlen(t) * 12;
		if (meta_left < needed) return short_meta(env, t, meta_left, needed);
		// a struct may be anonymous
		if (t.name_off && !btf_name_valid_identifier(b, t.name_off)) return bad_type(env, t, "Invalid name");
		btf_verifier_log_type(env, t, null);
		let last_offset = 0;
		for (const m of btf_type_member(t)) {
			if (!btf_name_offset_valid(b, m.name_off))
				return bad_member(env, t, m, `Invalid member name_offset:${m.name_off}`);
			if (m.name_off && !btf_name_valid_identifier(b, m.name_off))
				return bad_member(env, t, m, "Invalid name");
			// void is no member type
			if (!m.type || !type_id_valid(m.type)) return bad_member(env, t, m, "Invalid type_id");
			const offset = __btf_member_bit_offset(t, m);
			if (is_union && offset) return bad_member(env, t, m, "Invalid member bits_offset");
			// kptrs and the like count on members in the order of their offsets
			if (last_offset > offset) return bad_member(env, t, m, "Invalid member bits_offset");
			if (BITS_ROUNDUP_BYTES(offset) > t.size)
				return bad_member(env, t, m, "Member bits_offset exceeds its struct size");
			btf_verifier_log_member(env, t, m, null);
			last_offset = offset;
		}
		return needed;
	},
	/** kernel/bpf/btf.c: btf_struct_resolve */
	resolve(env, v) {
		const members = btf_type_member(v.t);
		const check = (m: btf_member, mt: btf_type): number =>
			btf_type_kflag(v.t)
				? type_ops(mt).check_kflag_member(env, v.t, m, mt)
				: type_ops(mt).check_member(env, v.t, m, mt);
		// the member whose type was pushed the last time is resolved now
		if (v.next_member) {
			const last = members[v.next_member - 1]!;
			if (!env_type_is_resolved(env, last.type)) return -EINVAL;
			const err = check(last, btf_type_by_id(env.btf, last.type)!);
			if (err) return err;
		}
		for (let i = v.next_member; i < members.length; i++) {
			const m = members[i]!;
			const mt = btf_type_by_id(env.btf, m.type);
			if (!mt || btf_type_nosize(mt) || btf_type_is_resolve_source_only(mt))
				return bad_member(env, v.t, m, "Invalid member");
			if (!env_type_is_resolve_sink(env, mt) && !env_type_is_resolved(env, m.type)) {
				env_stack_set_next_member(env, i + 1);
				return env_stack_push(env, mt, m.type);
			}
			const err = check(m, mt);
			if (err) return err;
		}
		env_stack_pop_resolved(env, 0, 0);
		return 0;
	},
	check_member: (env, s, m, mt) => check_byte_member(env, s, m, mt.size),
	check_kflag_member: btf_generic_check_kflag_member,
	log_details: log_size_vlen,
};

// --- ENUM, ENUM64 ---

/** kernel/bpf/btf.c: btf_enum_check_kflag_member */
function btf_enum_check_kflag_member(env: btf_verifier_env, s: btf_type, m: btf_member): number {
	const bits_off = BTF_MEMBER_BIT_OFFSET(m.offset);
	let nr_bits = BTF_MEMBER_BITFIELD_SIZE(m.offset);
	if (!nr_bits) {
		if (bits_off & 7) return bad_member(env, s, m, "Member is not byte aligned");
		nr_bits = 32;
	} else if (nr_bits > 32) {
		return bad_member(env, s, m, "Invalid member bitfield_size");
	}
	if (s.size < BITS_ROUNDUP_BYTES(bits_off + nr_bits))
		return bad_member(env, s, m, "Member exceeds struct_size");
	return 0;
}

/** kernel/bpf/btf.c: btf_enum_check_meta, btf_enum64_check_meta */
function enum_check_meta(env: btf_verifier_env, t: btf_type, meta_left: number, wide: boolean): number {
	const b = env.btf;
	const needed = btf_type_vlen(t) * (wide ? 12 : 8);
	if (meta_left < needed) return short_meta(env, t, meta_left, needed);
	if (t.size > 8 || t.size === 0 || t.size & (t.size - 1)) return bad_type(env, t, "Unexpected size");
	if (t.name_off && !btf_name_valid_identifier(b, t.name_off)) return bad_type(env, t, "Invalid name");
	btf_verifier_log_type(env, t, null);
	const signed = btf_type_kflag(t);
	const entries = wide
		? btf_type_enum64(t).map((e) => {
				const v = btf_enum64_value(e);
				return { name_off: e.name_off, text: String(signed ? BigInt.asIntN(64, v) : v) };
			})
		: btf_type_enum(t).map((e) => ({
				name_off: e.name_off,
				text: String(signed ? e.val : e.val >>> 0),
			}));
	for (const e of entries) {
		if (!btf_name_offset_valid(b, e.name_off)) {
			btf_verifier_log(env, `\tInvalid name_offset:${e.name_off}`);
			return -EINVAL;
		}
		if (!e.name_off || !btf_name_valid_identifier(b, e.name_off)) return bad_type(env, t, "Invalid name");
		if (env.log.level === BPF_LOG_KERNEL) continue;
		btf_verifier_log(env, `\t${__btf_name_by_offset(b, e.name_off)} val=${e.text}\n`);
	}
	return needed;
}

const enum_common: Omit<btf_kind_operations, "check_meta"> = {
	resolve: df.resolve,
	check_member: (env, s, m, mt) => check_byte_member(env, s, m, mt.size),
	check_kflag_member: btf_enum_check_kflag_member,
	log_details: log_size_vlen,
};
const enum_ops: btf_kind_operations = {
	...enum_common,
	check_meta: (env, t, left) => enum_check_meta(env, t, left, false),
};
const enum64_ops: btf_kind_operations = {
	...enum_common,
	check_meta: (env, t, left) => enum_check_meta(env, t, left, true),
};

// --- FUNC_PROTO, FUNC ---

const func_proto_ops: btf_kind_operations = {
	...df,
	/** kernel/bpf/btf.c: btf_func_proto_check_meta */
	check_meta(env, t, meta_left) {
		const needed = btf_type_vlen(t) * 8;
		if (meta_left < needed) return short_meta(env, t, meta_left, needed);
		if (t.name_off) return bad_type(env, t, "Invalid name");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		btf_verifier_log_type(env, t, null);
		return needed;
	},
	/** kernel/bpf/btf.c: btf_func_proto_log */
	log_details(env, t) {
		const args = btf_params(t);
		let s = `return=${t.type} args=(`;
		if (args.length === 0) s += "void";
		else if (args.length === 1 && !args[0]!.type) s += "vararg";
		else
			s += args
				.map((a, i) =>
					i > 0 && i === args.length - 1 && !a.type
						? "vararg"
						: `${a.type} ${__btf_name_by_offset(env.btf, a.name_off)}`,
				)
				.join(", ");
		btf_verifier_log(env, `${s})`);
	},
};

/** kernel/bpf/btf.c: btf_func_check: its prototype names all arguments */
function btf_func_check(env: btf_verifier_env, t: btf_type): number {
	const proto = btf_type_by_id(env.btf, t.type);
	if (!proto || !btf_type_is_func_proto(proto)) return bad_type(env, t, "Invalid type_id");
	const args = btf_params(proto);
	for (let i = 0; i < args.length; i++)
		if (!args[i]!.name_off && args[i]!.type) return bad_type(env, t, `Invalid arg#${i + 1}`);
	return 0;
}

const func_ops: btf_kind_operations = {
	check_member: df.check_member,
	check_kflag_member: df.check_kflag_member,
	/** kernel/bpf/btf.c: btf_func_check_meta */
	check_meta(env, t) {
		if (!t.name_off || !btf_name_valid_identifier(env.btf, t.name_off))
			return bad_type(env, t, "Invalid name");
		if (btf_type_vlen(t) > BTF_FUNC_GLOBAL) return bad_type(env, t, "Invalid func linkage");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		btf_verifier_log_type(env, t, null);
		return 0;
	},
	/** kernel/bpf/btf.c: btf_func_resolve */
	resolve(env, v) {
		const err = btf_func_check(env, v.t);
		if (err) return err;
		env_stack_pop_resolved(env, v.t.type, 0);
		return 0;
	},
	log_details: btf_ref_type_log,
};

// --- VAR, DATASEC ---

const var_ops: btf_kind_operations = {
	check_member: df.check_member,
	check_kflag_member: df.check_kflag_member,
	/** kernel/bpf/btf.c: btf_var_check_meta */
	check_meta(env, t, meta_left) {
		if (meta_left < 4) return short_meta(env, t, meta_left, 4);
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		if (!t.name_off || !btf_name_valid_identifier(env.btf, t.name_off))
			return bad_type(env, t, "Invalid name");
		// a variable cannot be void
		if (!t.type || !type_id_valid(t.type)) return bad_type(env, t, "Invalid type_id");
		const { linkage } = btf_type_var(t);
		if (linkage !== BTF_VAR_STATIC && linkage !== BTF_VAR_GLOBAL_ALLOCATED)
			return bad_type(env, t, "Linkage not supported");
		btf_verifier_log_type(env, t, null);
		return 4;
	},
	resolve: (env, v) => resolve_reference(env, v, false),
	log_details: (env, t) => btf_verifier_log(env, `type_id=${t.type} linkage=${btf_type_var(t).linkage}`),
};

const datasec_ops: btf_kind_operations = {
	check_member: df.check_member,
	check_kflag_member: df.check_kflag_member,
	/** kernel/bpf/btf.c: btf_datasec_check_meta */
	check_meta(env, t, meta_left) {
		const needed = btf_type_vlen(t) * 12;
		if (meta_left < needed) return short_meta(env, t, meta_left, needed);
		if (!t.size) return bad_type(env, t, "size == 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		if (!t.name_off || !btf_name_valid_section(env.btf, t.name_off)) return bad_type(env, t, "Invalid name");
		btf_verifier_log_type(env, t, null);
		let last_end = 0;
		let sum = 0;
		for (const vsi of btf_type_var_secinfo(t)) {
			const bad = (text: string): number => {
				btf_verifier_log_vsi(env, t, vsi, text);
				return -EINVAL;
			};
			if (!vsi.type || !type_id_valid(vsi.type)) return bad("Invalid type_id");
			if (vsi.offset < last_end || vsi.offset >= t.size) return bad("Invalid offset");
			if (!vsi.size || vsi.size > t.size) return bad("Invalid size");
			last_end = (vsi.offset + vsi.size) >>> 0;
			if (last_end > t.size) return bad("Invalid offset+size");
			btf_verifier_log_vsi(env, t, vsi, null);
			sum += vsi.size;
		}
		if (t.size < sum) return bad_type(env, t, "Invalid btf_info size");
		return needed;
	},
	/** kernel/bpf/btf.c: btf_datasec_resolve */
	resolve(env, v) {
		const vsis = btf_type_var_secinfo(v.t);
		env.resolve_mode = RESOLVE_TBD;
		for (let i = v.next_member; i < vsis.length; i++) {
			const vsi = vsis[i]!;
			const bad = (text: string): number => {
				btf_verifier_log_vsi(env, v.t, vsi, text);
				return -EINVAL;
			};
			const var_type = btf_type_by_id(env.btf, vsi.type);
			if (!var_type || !btf_type_is_var(var_type)) return bad("Not a VAR kind member");
			if (!env_type_is_resolve_sink(env, var_type) && !env_type_is_resolved(env, vsi.type)) {
				env_stack_set_next_member(env, i + 1);
				return env_stack_push(env, var_type, vsi.type);
			}
			const size = { val: 0 };
			if (!btf_type_id_size(env.btf, { val: var_type.type }, size)) return bad("Invalid type");
			if (vsi.size < size.val) return bad("Invalid size");
		}
		env_stack_pop_resolved(env, 0, 0);
		return 0;
	},
	log_details: log_size_vlen,
};

// --- FLOAT, DECL_TAG ---

const float_ops: btf_kind_operations = {
	resolve: df.resolve,
	/** kernel/bpf/btf.c: btf_float_check_meta */
	check_meta(env, t) {
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		if (![2, 4, 8, 12, 16].includes(t.size)) return bad_type(env, t, "Invalid type_size");
		btf_verifier_log_type(env, t, null);
		return 0;
	},
	/** kernel/bpf/btf.c: btf_float_check_member: aligned to its size, or to a register (long double) */
	check_member(env, s, m, mt) {
		const align_bits = Math.min(8, mt.size) * 8;
		if (m.offset % align_bits) return bad_member(env, s, m, "Member is not properly aligned");
		if (Math.floor(m.offset / 8) + mt.size > s.size)
			return bad_member(env, s, m, "Member exceeds struct_size");
		return 0;
	},
	check_kflag_member: btf_generic_check_kflag_member,
	log_details: (env, t) => btf_verifier_log(env, `size=${t.size}`),
};

const decl_tag_ops: btf_kind_operations = {
	check_member: df.check_member,
	check_kflag_member: df.check_kflag_member,
	/** kernel/bpf/btf.c: btf_decl_tag_check_meta */
	check_meta(env, t, meta_left) {
		if (meta_left < 4) return short_meta(env, t, meta_left, 4);
		if (!btf_name_by_offset(env.btf, t.name_off)) return bad_type(env, t, "Invalid value");
		if (btf_type_vlen(t)) return bad_type(env, t, "vlen != 0");
		if (btf_type_kflag(t)) return bad_type(env, t, "Invalid btf_info kind_flag");
		if (btf_type_decl_tag(t).component_idx < -1) return bad_type(env, t, "Invalid component_idx");
		btf_verifier_log_type(env, t, null);
		return 4;
	},
	/** kernel/bpf/btf.c: btf_decl_tag_resolve */
	resolve(env, v) {
		const b = env.btf;
		const { type: next_type_id } = v.t;
		let next = btf_type_by_id(b, next_type_id);
		if (!next || !btf_type_is_decl_tag_target(next)) return bad_type(env, v.t, "Invalid type_id");
		if (!env_type_is_resolve_sink(env, next) && !env_type_is_resolved(env, next_type_id))
			return env_stack_push(env, next, next_type_id);
		const { component_idx } = btf_type_decl_tag(v.t);
		if (component_idx !== -1) {
			if (btf_type_is_var(next) || btf_type_is_typedef(next))
				return bad_type(env, v.t, "Invalid component_idx");
			// a member, or an argument of a function
			if (!btf_type_is_struct(next)) next = btf_type_by_id(b, next.type)!;
			if (component_idx >>> 0 >= btf_type_vlen(next)) return bad_type(env, v.t, "Invalid component_idx");
		}
		env_stack_pop_resolved(env, next_type_id, 0);
		return 0;
	},
	log_details: (env, t) =>
		btf_verifier_log(env, `type=${t.type} component_idx=${btf_type_decl_tag(t).component_idx}`),
};

const kind_ops: Readonly<Record<number, btf_kind_operations>> = {
	[BTF_KIND_INT]: int_ops,
	[BTF_KIND_PTR]: ptr_ops,
	[BTF_KIND_ARRAY]: array_ops,
	[BTF_KIND_STRUCT]: struct_ops,
	[BTF_KIND_UNION]: struct_ops,
	[BTF_KIND_ENUM]: enum_ops,
	[BTF_KIND_FWD]: fwd_ops,
	[BTF_KIND_TYPEDEF]: modifier_ops,
	[BTF_KIND_VOLATILE]: modifier_ops,
	[BTF_KIND_CONST]: modifier_ops,
	[BTF_KIND_RESTRICT]: modifier_ops,
	[BTF_KIND_FUNC]: func_ops,
	[BTF_KIND_FUNC_PROTO]: func_proto_ops,
	[BTF_KIND_VAR]: var_ops,
	[BTF_KIND_DATASEC]: datasec_ops,
	[BTF_KIND_FLOAT]: float_ops,
	[BTF_KIND_DECL_TAG]: decl_tag_ops,
	[BTF_KIND_TYPE_TAG]: modifier_ops,
	[BTF_KIND_ENUM64]: enum64_ops,
};

function type_ops(t: btf_type): btf_kind_operations {
	return kind_ops[btf_kind(t)]!;
}

/** The details of a type in a line of the log. */
export function btf_log_details(env: btf_verifier_env, t: btf_type): void {
	type_ops(t).log_details(env, t);
}

/** kernel/bpf/btf.c: btf_func_proto_check */
function btf_func_proto_check(env: btf_verifier_env, t: btf_type): number {
	const b = env.btf;
	if (t.type) {
		const ret = btf_type_by_id(b, t.type);
		if (!ret || btf_type_is_resolve_source_only(ret)) return bad_type(env, t, "Invalid return type");
		if (btf_type_needs_resolve(ret) && !env_type_is_resolved(env, t.type)) {
			const err = btf_resolve(env, ret, t.type);
			if (err) return err;
		}
		// void is there by id 0 only
		if (!btf_type_id_size(b, { val: t.type })) return bad_type(env, t, "Invalid return type");
	}
	const args = btf_params(t);
	let nr_args = args.length;
	if (!nr_args) return 0;
	// "..." is the last, and has neither type nor name
	const last = args[nr_args - 1]!;
	if (!last.type) {
		if (last.name_off) return bad_type(env, t, `Invalid arg#${nr_args}`);
		nr_args--;
	}
	for (let i = 0; i < nr_args; i++) {
		const arg = args[i]!;
		const bad = (): number => bad_type(env, t, `Invalid arg#${i + 1}`);
		const arg_type = btf_type_by_id(b, arg.type);
		if (!arg_type || btf_type_is_resolve_source_only(arg_type)) return bad();
		if (
			arg.name_off &&
			(!btf_name_offset_valid(b, arg.name_off) || !btf_name_valid_identifier(b, arg.name_off))
		)
			return bad();
		if (btf_type_needs_resolve(arg_type) && !env_type_is_resolved(env, arg.type)) {
			const err = btf_resolve(env, arg_type, arg.type);
			if (err) return err;
		}
		if (!btf_type_id_size(b, { val: arg.type })) return bad();
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_check_meta: one type's record at a word; its bytes, or a negative errno */
function btf_check_meta(env: btf_verifier_env, w: number, meta_left: number): number {
	if (meta_left < BTF_TYPE_SIZE) {
		btf_verifier_log(env, `[${env.log_type_id}] meta_left:${meta_left} meta_needed:${BTF_TYPE_SIZE}`);
		return -EINVAL;
	}
	const t = new btf_type_rec(env.btf, env.log_type_id, w);
	meta_left -= BTF_TYPE_SIZE;
	if (t.info & ~BTF_INFO_MASK) {
		btf_verifier_log(env, `[${env.log_type_id}] Invalid btf_info:${t.info.toString(16)}`);
		return -EINVAL;
	}
	const kind = BTF_INFO_KIND(t.info);
	if (kind > BTF_KIND_MAX || kind === BTF_KIND_UNKN) {
		btf_verifier_log(env, `[${env.log_type_id}] Invalid kind:${kind}`);
		return -EINVAL;
	}
	if (!btf_name_offset_valid(env.btf, t.name_off)) {
		btf_verifier_log(env, `[${env.log_type_id}] Invalid name_offset:${t.name_off}`);
		return -EINVAL;
	}
	const var_meta_size = type_ops(t).check_meta(env, t, meta_left);
	return var_meta_size < 0 ? var_meta_size : BTF_TYPE_SIZE + var_meta_size;
}

/** kernel/bpf/btf.c: btf_check_all_metas */
export function btf_check_all_metas(env: btf_verifier_env): number {
	const b = env.btf;
	if (!b.base_btf) b.add_type(-1);
	env.log_type_id = b.base_btf ? b.start_id : 1;
	const end = b.hdr.type_len;
	for (let cur = 0; cur < end; ) {
		const size = btf_check_meta(env, cur >>> 2, end - cur);
		if (size < 0) return size;
		// the kernel says so and goes on without the type
		if (b.start_id + b.nr_types >= BTF_MAX_TYPE) btf_verifier_log(env, "Exceeded max num of types");
		else b.add_type(cur >>> 2);
		cur += size;
		env.log_type_id++;
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_resolve_valid: what resolving left must make sense */
function btf_resolve_valid(env: btf_verifier_env, t: btf_type, type_id: number): boolean {
	const b = env.btf;
	if (!env_type_is_resolved(env, type_id)) return false;
	const size = b.resolved_sizes![type_id - b.start_id]!;
	if (btf_type_is_struct(t) || btf_type_is_datasec(t)) return !btf_resolved_type_id(b, type_id) && !size;
	if (btf_type_is_decl_tag(t) || btf_type_is_func(t)) return !!btf_resolved_type_id(b, type_id) && !size;
	if (btf_type_is_modifier(t) || btf_type_is_ptr(t) || btf_type_is_var(t)) {
		const r = btf_type_id_resolve(b, { val: type_id });
		return !!r && !btf_type_is_modifier(r) && !btf_type_is_var(r) && !btf_type_is_datasec(r);
	}
	if (btf_type_is_array(t)) {
		const array = btf_type_array(t);
		const elem_size = { val: 0 };
		const elem = btf_type_id_size(b, { val: array.type }, elem_size);
		return !!elem && !btf_type_is_modifier(elem) && Math.imul(array.nelems, elem_size.val) >>> 0 === size;
	}
	return false;
}

/** kernel/bpf/btf.c: btf_resolve: depth first over what the type refers to, with a stack of 32 */
function btf_resolve(env: btf_verifier_env, t: btf_type, type_id: number): number {
	const save_log_type_id = env.log_type_id;
	let err = 0;
	env.resolve_mode = RESOLVE_TBD;
	env_stack_push(env, t, type_id);
	while (!err && env.stack.length > 0) {
		const v = env.stack[env.stack.length - 1]!;
		env.log_type_id = v.type_id;
		err = type_ops(v.t).resolve(env, v);
	}
	env.log_type_id = type_id;
	if (err === -E2BIG) btf_verifier_log_type(env, t, `Exceeded max resolving depth:${MAX_RESOLVE_DEPTH}`);
	else if (err === -EEXIST) btf_verifier_log_type(env, t, "Loop detected");
	// a final check against surprises
	if (!err && !btf_resolve_valid(env, t, type_id)) {
		btf_verifier_log_type(env, t, "Invalid resolve state");
		err = -EINVAL;
	}
	env.log_type_id = save_log_type_id;
	return err;
}

/** kernel/bpf/btf.c: btf_check_all_types */
function btf_check_all_types(env: btf_verifier_env): number {
	const b = env.btf;
	b.resolved_sizes = new Uint32Array(b.nr_types);
	b.resolved_ids = new Uint32Array(b.nr_types);
	env.visit_states = new Uint8Array(b.nr_types);
	env.phase = CHECK_TYPE;
	for (let i = b.base_btf ? 0 : 1; i < b.nr_types; i++) {
		const type_id = b.start_id + i;
		const t = b.local_type(i);
		env.log_type_id = type_id;
		if (btf_type_needs_resolve(t) && !env_type_is_resolved(env, type_id)) {
			const err = btf_resolve(env, t, type_id);
			if (err) return err;
		}
		if (btf_type_is_func_proto(t)) {
			const err = btf_func_proto_check(env, t);
			if (err) return err;
		}
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_parse_type_sec */
export function btf_parse_type_sec(env: btf_verifier_env): number {
	const { hdr } = env.btf;
	if (hdr.type_off & 3) {
		btf_verifier_log(env, "Unaligned type_off");
		return -EINVAL;
	}
	if (!env.btf.base_btf && !hdr.type_len) {
		btf_verifier_log(env, "No type found");
		return -EINVAL;
	}
	return btf_check_all_metas(env) || btf_check_all_types(env);
}

/** kernel/bpf/btf.c: btf_parse_str_sec */
export function btf_parse_str_sec(env: btf_verifier_env): number {
	const b = env.btf;
	const { hdr, data } = b;
	const start = hdr.hdr_len + hdr.str_off;
	if (start + hdr.str_len !== data.length) {
		btf_verifier_log(env, "String section is not at the end");
		return -EINVAL;
	}
	btf_set_sections(b);
	if (b.base_btf && !hdr.str_len) return 0;
	if (!hdr.str_len || hdr.str_len - 1 > BTF_MAX_NAME_OFFSET || data[data.length - 1]) {
		btf_verifier_log(env, "Invalid string section");
		return -EINVAL;
	}
	if (!b.base_btf && data[start]) {
		btf_verifier_log(env, "Invalid string section");
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_check_sec_info: two sections, next to each other, that fill the blob */
function btf_check_sec_info(env: btf_verifier_env, btf_data_size: number): number {
	const { hdr } = env.btf;
	const fail = (text: string): number => {
		btf_verifier_log(env, text);
		return -EINVAL;
	};
	const secs = [
		{ off: hdr.type_off, len: hdr.type_len },
		{ off: hdr.str_off, len: hdr.str_len },
	].sort((x, y) => (x.off - y.off) | 0 || (x.len - y.len) | 0);
	let total = 0;
	const expected_total = (btf_data_size - hdr.hdr_len) >>> 0;
	for (const s of secs) {
		if (expected_total < s.off) return fail("Invalid section offset");
		if (total < s.off) return fail("Unsupported section found");
		if (total > s.off) return fail("Section overlap found");
		if (expected_total - total < s.len) return fail("Total section length too long");
		total += s.len;
	}
	if (expected_total !== total) return fail("Unsupported section found");
	return 0;
}

/** kernel/bpf/btf.c: btf_parse_hdr */
export function btf_parse_hdr(env: btf_verifier_env): number {
	const b = env.btf;
	const { data } = b;
	const size = data.length;
	const fail = (text: string, err: number): number => {
		btf_verifier_log(env, text);
		return -err;
	};
	if (size < 8) return fail("hdr_len not found", EINVAL);
	const { hdr_len } = read_btf_header(data);
	if (size < hdr_len) return fail("btf_header not found", EINVAL);
	// a longer header of a later format may only hold zeroes
	for (let i = BTF_HEADER_SIZE; i < hdr_len; i++) if (data[i]) return fail("Unsupported btf_header", E2BIG);
	b.hdr = read_btf_header(data.subarray(0, Math.min(hdr_len, BTF_HEADER_SIZE)));
	btf_verifier_log_hdr(env, size);
	if (b.hdr.magic !== BTF_MAGIC) return fail("Invalid magic", EINVAL);
	if (b.hdr.version !== BTF_VERSION) return fail("Unsupported version", ENOTSUPP);
	if (b.hdr.flags) return fail("Unsupported flags", ENOTSUPP);
	if (!b.base_btf && size === b.hdr.hdr_len) return fail("No data", EINVAL);
	return btf_check_sec_info(env, size);
}

/** kernel/bpf/btf.c: btf_check_type_tags: tags come before other modifiers, chains end */
export function btf_check_type_tags(env: btf_verifier_env, b: btf_obj, start_id: number): number {
	let good_id = start_id - 1;
	const n = btf_nr_types(b);
	for (let i = start_id; i < n; i++) {
		let chain_limit = 32;
		let cur_id = i;
		let t = btf_type_by_id(b, i);
		if (!t) return -EINVAL;
		if (!btf_type_is_modifier(t)) continue;
		let in_tags = btf_type_is_type_tag(t);
		while (btf_type_is_modifier(t)) {
			if (!chain_limit--) {
				btf_verifier_log(env, "Max chain length or cycle detected");
				return -ELOOP;
			}
			if (btf_type_is_type_tag(t)) {
				if (!in_tags) {
					btf_verifier_log(env, "Type tags don't precede modifiers");
					return -EINVAL;
				}
			} else if (in_tags) {
				in_tags = false;
			}
			if (cur_id <= good_id) break;
			cur_id = t.type;
			t = btf_type_by_id(b, cur_id);
			if (!t) return -EINVAL;
		}
		good_id = i;
	}
	return 0;
}
