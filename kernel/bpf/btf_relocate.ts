// SPDX-License-Identifier: GPL-2.0-only
/**
 * Moving a split BTF from the distilled base that came with it to the real base (tools/lib/bpf/btf_relocate.c):
 * a module built apart from its kernel brings names and sizes of the kernel's types it uses (.BTF.base); they
 * are looked up in the running kernel, and ids and strings of the module are rewritten.
 */
import { EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import {
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
	BTF_KIND_PTR,
	BTF_KIND_RESTRICT,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPE_TAG,
	BTF_KIND_TYPEDEF,
	BTF_KIND_UNION,
	BTF_KIND_VAR,
	BTF_KIND_VOLATILE,
} from "../../include/uapi/linux/btf.ts";
import {
	btf_impl,
	btf_int_encoding,
	btf_kind,
	btf_nr_types,
	type btf_obj,
	btf_set_base_btf,
	btf_tname,
	btf_type_by_id,
	btf_type_is_struct,
	btf_type_kflag,
	type btf_type_rec,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_type } from "./btf_types.ts";

/** Words of a type that hold ids (or string offsets), from the header on (tools/lib/bpf/btf_iter.c). */
function id_words(t: btf_type): number[] {
	const n = btf_type_vlen(t);
	const each = (first: number, step: number): number[] =>
		Array.from({ length: n }, (_, i) => first + i * step);
	switch (btf_kind(t)) {
		case BTF_KIND_CONST:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_PTR:
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_FUNC:
		case BTF_KIND_VAR:
		case BTF_KIND_DECL_TAG:
		case BTF_KIND_TYPE_TAG:
			return [2];
		case BTF_KIND_ARRAY:
			return [3, 4];
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			return each(4, 3);
		case BTF_KIND_FUNC_PROTO:
			return [2, ...each(4, 2)];
		case BTF_KIND_DATASEC:
			return each(3, 3);
		default:
			return [];
	}
}
function str_words(t: btf_type): number[] {
	const n = btf_type_vlen(t);
	const each = (first: number, step: number): number[] =>
		Array.from({ length: n }, (_, i) => first + i * step);
	switch (btf_kind(t)) {
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM64:
			return [0, ...each(3, 3)];
		case BTF_KIND_ENUM:
		case BTF_KIND_FUNC_PROTO:
			return [0, ...each(3, 2)];
		default:
			return [0];
	}
}

/** Marks a distilled type that a struct of the module holds by value: its size must be the same. */
const BTF_IS_EMBEDDED = 0xffffffff;

function warn(b: btf_obj, text: string): void {
	b.kernel?.printk(text);
}

/** kernel: btf_relocate_validate_distilled_base */
function validate_distilled_base(dist: btf_obj, mod: btf_obj): number {
	for (let i = 1; i < dist.nr_types; i++) {
		const t = dist.local_type(i);
		switch (btf_kind(t)) {
			case BTF_KIND_INT:
			case BTF_KIND_FLOAT:
			case BTF_KIND_ENUM:
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
			case BTF_KIND_FWD:
				if (t.name_off) break;
				warn(mod, `type [${i}], kind [${btf_kind(t)}] is invalid for distilled base BTF; it is anonymous`);
				return -EINVAL;
			default:
				warn(mod, `type [${i}] in distilled based BTF has unexpected kind [${btf_kind(t)}]`);
				return -EINVAL;
		}
	}
	return 0;
}

/** kernel: btf_mark_embedded_composite_type_ids */
function mark_embedded(mod: btf_obj, t: btf_type, id_map: Uint32Array, nr_dist: number): void {
	if (!btf_type_is_struct(t)) return;
	for (const w of id_words(t)) {
		let id = mod.words[(t as btf_type_rec).w + w]!;
		while (id) {
			const m = btf_type_by_id(mod, id) as btf_type_rec;
			switch (btf_kind(m)) {
				case BTF_KIND_CONST:
				case BTF_KIND_RESTRICT:
				case BTF_KIND_VOLATILE:
				case BTF_KIND_TYPEDEF:
				case BTF_KIND_TYPE_TAG:
					id = m.type;
					break;
				case BTF_KIND_ARRAY:
					id = m.word(0);
					break;
				case BTF_KIND_STRUCT:
				case BTF_KIND_UNION:
					if (id < nr_dist) id_map[id] = BTF_IS_EMBEDDED;
					id = 0;
					break;
				default:
					id = 0;
			}
		}
	}
}

/** May the base's type stand for the distilled one? */
function kinds_match(dist: btf_type, base: btf_type, embedded: boolean): boolean {
	const bk = btf_kind(base);
	switch (btf_kind(dist)) {
		case BTF_KIND_FWD:
			switch (bk) {
				case BTF_KIND_FWD:
					return btf_type_kflag(dist) === btf_type_kflag(base);
				// the kernel asks the flag of the base here, which for a struct speaks of bitfields
				case BTF_KIND_STRUCT:
					return !btf_type_kflag(base);
				case BTF_KIND_UNION:
					return btf_type_kflag(base);
				default:
					return false;
			}
		case BTF_KIND_INT:
			return bk === BTF_KIND_INT && btf_int_encoding(base) === btf_int_encoding(dist);
		case BTF_KIND_FLOAT:
			return bk === BTF_KIND_FLOAT;
		case BTF_KIND_ENUM:
			return bk === BTF_KIND_ENUM || bk === BTF_KIND_ENUM64;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			return !(embedded && base.size !== dist.size);
		default:
			return false;
	}
}

/** kernel: btf_relocate_map_distilled_base */
function map_distilled_base(
	mod: btf_obj,
	dist: btf_obj,
	base: btf_obj,
	id_map: Uint32Array,
	str_map: Uint32Array,
): number {
	const nr_types = btf_nr_types(mod);
	for (let id = dist.nr_types; id < nr_types; id++)
		mark_embedded(mod, btf_type_by_id(mod, id)!, id_map, dist.nr_types);

	for (let d = 1; d < dist.nr_types; d++) {
		const dist_t = dist.local_type(d);
		const name = btf_tname(dist, dist_t);
		const named = [...base.bucket(name)]
			.map((i) => base.local_type(i))
			.filter((t) => btf_tname(base, t) === name);
		const composites = named.filter(btf_type_is_struct).length;
		for (const base_t of named) {
			let needs_size: boolean;
			switch (btf_kind(base_t)) {
				case BTF_KIND_INT:
				case BTF_KIND_FLOAT:
				case BTF_KIND_ENUM:
				case BTF_KIND_ENUM64:
					needs_size = true;
					break;
				case BTF_KIND_FWD:
					needs_size = false;
					break;
				case BTF_KIND_STRUCT:
				case BTF_KIND_UNION:
					// of several of a name, the one of that size
					needs_size = composites > 1;
					break;
				default:
					continue;
			}
			if (needs_size && base_t.size !== dist_t.size) continue;
			const have = id_map[d]!;
			if (!kinds_match(dist_t, base_t, have === BTF_IS_EMBEDDED)) continue;
			if (have && have !== BTF_IS_EMBEDDED) {
				warn(
					mod,
					`distilled base BTF type '${name}' [${d}], size ${base_t.size} has multiple candidates of the same size (ids [${base_t.id}, ${have}]) in base BTF`,
				);
				return -EINVAL;
			}
			id_map[d] = base_t.id;
			str_map[dist_t.name_off] = base_t.name_off;
		}
	}
	for (let d = 1; d < dist.nr_types; d++) {
		if (id_map[d] && id_map[d] !== BTF_IS_EMBEDDED) continue;
		warn(
			mod,
			`distilled base BTF type '${btf_tname(dist, dist.local_type(d))}' [${d}] is not mapped to base BTF id`,
		);
		return -EINVAL;
	}
	return 0;
}

/**
 * tools/lib/bpf/btf_relocate.c: btf_relocate: put a split BTF that was opened on its distilled base onto the real
 * one. Returns 0 or a negative errno. The kernel keeps the map of ids for tables that were compiled with the old
 * ones; here tables go by name, and look into the BTF as it is afterwards.
 */
export function btf_relocate(b: btf, base_btf: btf): number {
	const mod = btf_impl(b);
	const dist = mod.base_btf;
	const base = btf_impl(base_btf);
	if (!dist || dist === base) return -EINVAL;
	const nr_types = btf_nr_types(mod);
	const nr_base = btf_nr_types(base);
	const id_map = new Uint32Array(nr_types);
	const str_map = new Uint32Array(dist.hdr.str_len);
	let err = validate_distilled_base(dist, mod);
	if (err) return err;
	for (let id = dist.nr_types; id < nr_types; id++) id_map[id] = id + nr_base - dist.nr_types;
	err = map_distilled_base(mod, dist, base, id_map, str_map);
	if (err) return err;

	const dist_str_len = dist.hdr.str_len;
	for (let i = 0; i < mod.nr_types; i++) {
		const t = mod.local_type(i);
		for (const w of id_words(t)) mod.words[t.w + w] = id_map[mod.words[t.w + w]!]!;
		for (const w of str_words(t)) {
			const off = mod.words[t.w + w]!;
			if (!off) continue;
			if (off >= dist_str_len) {
				mod.words[t.w + w] = off + base.hdr.str_len - dist_str_len;
			} else {
				const to = str_map[off]!;
				if (!to) {
					warn(mod, `string [offset ${off}] is not mapped to base BTF`);
					return -ENOENT;
				}
				mod.words[t.w + w] = to;
			}
		}
	}
	btf_set_base_btf(mod, base);
	mod.drop_caches();
	// what BPF_OBJ_GET_INFO_BY_FD hands out are the rewritten types
	const at = mod.hdr.hdr_len + mod.hdr.type_off;
	const data = mod.data.slice();
	data.set(new Uint8Array(mod.words.buffer, 0, mod.hdr.type_len), at);
	mod.data = data;
	return 0;
}
