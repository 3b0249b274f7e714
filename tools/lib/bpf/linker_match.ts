// SPDX-License-Identifier: GPL-2.0-only
/**
 * Whether two objects mean the same by a name: types of global variables and functions, definitions of maps
 * (tools/lib/bpf/linker.c: glob_sym_btf_matches, map_defs_match).
 */
import * as K from "../../../include/uapi/linux/btf.ts";
import {
	type Btf,
	btf_array,
	btf_func_linkage,
	btf_is_fwd,
	btf_is_struct,
	btf_is_union,
	btf_is_var,
	btf_kflag,
	btf_kind,
	btf_kind_str,
	btf_members,
	btf_params,
	btf_var_linkage,
	btf_vlen,
} from "./btf.ts";
import {
	type btf_map_def,
	MAP_DEF_INNER_MAP,
	MAP_DEF_KEY_TYPE,
	MAP_DEF_VALUE_TYPE,
	new_def,
	parse_btf_map_def,
} from "./init_maps.ts";
import type { LibbpfPrinter } from "./libbpf_internal.ts";

/** tools/lib/bpf/linker.c: glob_sym_btf_matches: says what differs; `exact`: structs member by member */
export function glob_sym_btf_matches(
	pr: LibbpfPrinter,
	sym_name: string,
	exact: boolean,
	btf1: Btf,
	start1: number,
	btf2: Btf,
	start2: number,
): boolean {
	let id1 = start1;
	let id2 = start2;
	let whole = exact;
	const no = (text: string): false => {
		pr.pr_warn(`global '${sym_name}': ${text}\n`);
		return false;
	};
	for (;;) {
		const t1 = btf1.skip_mods_and_typedefs(id1);
		const t2 = btf2.skip_mods_and_typedefs(id2);
		const n1 = btf1.name(t1.name_off);
		const n2 = btf2.name(t2.name_off);
		if (!whole && btf_is_fwd(t1) !== btf_is_fwd(t2)) {
			if (n1 !== n2) return no(`incompatible forward declaration names '${n1}' and '${n2}'`);
			const [fwd, real] = btf_is_fwd(t1) ? [t1, t2] : [t2, t1];
			if (btf_kflag(fwd) ? btf_is_union(real) : btf_is_struct(real)) return true;
			const kind = btf_kflag(fwd) ? "union" : "struct";
			return no(`incompatible ${kind} forward declaration and concrete kind ${btf_kind_str(real)}`);
		}
		const kind = btf_kind(t1);
		const what = btf_kind_str(t1);
		if (kind !== btf_kind(t2)) return no(`incompatible BTF kinds ${what} and ${btf_kind_str(t2)}`);
		switch (kind) {
			case K.BTF_KIND_STRUCT:
			case K.BTF_KIND_UNION:
			case K.BTF_KIND_ENUM:
			case K.BTF_KIND_ENUM64:
			case K.BTF_KIND_FWD:
			case K.BTF_KIND_FUNC:
			case K.BTF_KIND_VAR:
				if (n1 !== n2) return no(`incompatible ${what} names '${n1}' and '${n2}'`);
		}
		switch (kind) {
			case K.BTF_KIND_UNKN:
			case K.BTF_KIND_FWD:
				return true;
			case K.BTF_KIND_INT:
			case K.BTF_KIND_FLOAT:
			case K.BTF_KIND_ENUM:
			case K.BTF_KIND_ENUM64: {
				if (t1.size === t2.size) return true;
				// only enums' names have been fetched by then
				const named = kind === K.BTF_KIND_ENUM || kind === K.BTF_KIND_ENUM64 ? n1 : "(null)";
				return no(`incompatible ${what} '${named}' size ${t1.size} and ${t2.size}`);
			}
			case K.BTF_KIND_PTR:
				whole = false;
				id1 = t1.type;
				id2 = t2.type;
				continue;
			case K.BTF_KIND_ARRAY:
				id1 = btf_array(t1).type;
				id2 = btf_array(t2).type;
				continue;
			case K.BTF_KIND_FUNC:
				if ((btf_func_linkage(t1) === K.BTF_FUNC_STATIC) !== (btf_func_linkage(t2) === K.BTF_FUNC_STATIC))
					return no(`incompatible func '${n1}' linkage`);
				id1 = t1.type;
				id2 = t2.type;
				continue;
			case K.BTF_KIND_VAR:
				if ((btf_var_linkage(t1) === K.BTF_VAR_STATIC) !== (btf_var_linkage(t2) === K.BTF_VAR_STATIC))
					return no(`incompatible var '${n1}' linkage`);
				id1 = t1.type;
				id2 = t2.type;
				continue;
			case K.BTF_KIND_STRUCT:
			case K.BTF_KIND_UNION: {
				if (!whole) return true;
				if (btf_vlen(t1) !== btf_vlen(t2))
					return no(`incompatible number of ${what} fields ${btf_vlen(t1)} and ${btf_vlen(t2)}`);
				const other = btf_members(t2);
				for (const [i, m1] of btf_members(t1).entries()) {
					const m2 = other[i]!;
					const f1 = btf1.name(m1.name_off);
					const f2 = btf2.name(m2.name_off);
					if (f1 !== f2) return no(`incompatible field #${i} names '${f1}' and '${f2}'`);
					if (m1.offset !== m2.offset) return no(`incompatible field #${i} ('${f1}') offsets`);
					if (!glob_sym_btf_matches(pr, sym_name, whole, btf1, m1.type, btf2, m2.type)) return false;
				}
				return true;
			}
			case K.BTF_KIND_FUNC_PROTO: {
				if (btf_vlen(t1) !== btf_vlen(t2))
					return no(`incompatible number of ${what} params ${btf_vlen(t1)} and ${btf_vlen(t2)}`);
				const other = btf_params(t2);
				for (const [i, p] of btf_params(t1).entries())
					if (!glob_sym_btf_matches(pr, sym_name, whole, btf1, p.type, btf2, other[i]!.type)) return false;
				id1 = t1.type;
				id2 = t2.type;
				continue;
			}
			default:
				return no(`unsupported BTF kind ${what}`);
		}
	}
}

/** A definition of a map and of its inner map. */
interface ParsedDef {
	btf: Btf;
	def: btf_map_def;
	inner: btf_map_def | null;
}

/** tools/lib/bpf/linker.c: map_defs_match */
function map_defs_match(pr: LibbpfPrinter, sym_name: string, main: ParsedDef, extra: ParsedDef): boolean {
	const mismatch = (reason: string): false => {
		pr.pr_warn(`global '${sym_name}': map ${reason} mismatch\n`);
		return false;
	};
	const a = main.def;
	const b = extra.def;
	const same_type = (id1: number, id2: number): boolean =>
		glob_sym_btf_matches(pr, sym_name, true, main.btf, id1, extra.btf, id2);
	if (a.map_type !== b.map_type) return mismatch("type");
	if (a.key_size !== b.key_size) return mismatch("key_size");
	if (!a.key_type_id !== !b.key_type_id) return mismatch("key type");
	if (a.parts & MAP_DEF_KEY_TYPE && !same_type(a.key_type_id, b.key_type_id)) return mismatch("key type");
	if (a.value_size !== b.value_size) return mismatch("value_size");
	if (!a.value_type_id !== !b.value_type_id) return mismatch("value type");
	if (a.parts & MAP_DEF_VALUE_TYPE && !same_type(a.value_type_id, b.value_type_id))
		return mismatch("key type");
	if (a.max_entries !== b.max_entries) return mismatch("max_entries");
	if (a.map_flags !== b.map_flags) return mismatch("map_flags");
	if (a.numa_node !== b.numa_node) return mismatch("numa_node");
	if (a.pinning !== b.pinning) return mismatch("pinning");
	if ((a.parts & MAP_DEF_INNER_MAP) !== (b.parts & MAP_DEF_INNER_MAP)) return mismatch("inner map");
	if (!(a.parts & MAP_DEF_INNER_MAP)) return true;
	return map_defs_match(
		pr,
		`${sym_name}.inner`.slice(0, 127),
		{ btf: main.btf, def: main.inner!, inner: null },
		{ btf: extra.btf, def: extra.inner!, inner: null },
	);
}

function parse_def(pr: LibbpfPrinter, sym_name: string, btf: Btf, var_id: number): ParsedDef | null {
	const t = btf.skip_mods_and_typedefs(btf.type_by_id(var_id)!.type);
	const parsed: ParsedDef = { btf, def: new_def(), inner: new_def() };
	return parse_btf_map_def(pr, sym_name, btf, t, true, parsed.def, parsed.inner) ? null : parsed;
}

/** tools/lib/bpf/linker.c: glob_map_defs_match: a declaration must say all that the definition says */
export function glob_map_defs_match(
	pr: LibbpfPrinter,
	sym_name: string,
	dst_btf: Btf,
	dst_id: number,
	src_btf: Btf,
	src_id: number,
): boolean {
	if (!btf_is_var(src_btf.type_by_id(src_id)!)) {
		pr.pr_warn(`global '${sym_name}': invalid map definition type [${src_id}]\n`);
		return false;
	}
	const src = parse_def(pr, sym_name, src_btf, src_id);
	if (!src) {
		pr.pr_warn(`global '${sym_name}': invalid map definition\n`);
		return false;
	}
	const dst = parse_def(pr, sym_name, dst_btf, dst_id);
	if (!dst) {
		pr.pr_warn(`global '${sym_name}': invalid dst map definition\n`);
		return false;
	}
	return map_defs_match(pr, sym_name, dst, src);
}
