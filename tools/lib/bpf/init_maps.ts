// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which maps an object has: those declared in `.maps`, those made of data sections, the Kconfig map and
 * struct_ops variables. tools/lib/bpf/libbpf.c: bpf_object__init_maps and what it calls.
 */
import {
	E2BIG,
	EINVAL,
	ENAMETOOLONG,
	ENOENT,
	EOPNOTSUPP as ENOTSUP,
	EOPNOTSUPP,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_LINK,
	BPF_F_MMAPABLE,
	BPF_F_RDONLY_PROG,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_TYPE_UNSPEC,
	BPF_MAP_TYPE_USER_RINGBUF,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_KIND_DATASEC,
	BTF_VAR_GLOBAL_ALLOCATED,
	BTF_VAR_GLOBAL_EXTERN,
	BTF_VAR_STATIC,
} from "../../../include/uapi/linux/btf.ts";
import {
	type Btf,
	type BtfType,
	btf_array,
	btf_enum_value,
	btf_is_array,
	btf_is_datasec,
	btf_is_enum,
	btf_is_enum64,
	btf_is_func_proto,
	btf_is_ptr,
	btf_is_struct,
	btf_is_var,
	btf_kind_str,
	type btf_member,
	btf_member_at,
	btf_var_linkage,
	btf_var_secinfo_at,
	btf_var_secinfos,
	btf_vlen,
} from "./btf.ts";
import type { Elf_Data } from "./elf.ts";
import {
	BPF_FS_DEFAULT_PATH,
	BPF_OBJ_NAME_LEN,
	LIBBPF_ERRNO__FORMAT,
	type Libbpf,
	type LibbpfPrinter,
	roundup,
} from "./libbpf_internal.ts";
import {
	type bpf_map,
	type bpf_object,
	EXT_KCFG,
	type extern_desc,
	LIBBPF_MAP_BSS,
	LIBBPF_MAP_DATA,
	LIBBPF_MAP_KCONFIG,
	LIBBPF_MAP_RODATA,
	LIBBPF_MAP_UNSPEC,
	SEC_BSS,
	SEC_DATA,
	SEC_RODATA,
	SEC_ST_OPS,
} from "./libbpf_types.ts";
import {
	ARENA_SEC,
	type bpf_object_open_opts,
	DATA_SEC,
	elf_sec_data,
	elf_sec_hdr,
	elf_sec_name,
	MAPS_ELF_SEC,
	RODATA_SEC,
	STRUCT_OPS_LINK_SEC,
} from "./open.ts";

const PATH_MAX = 4096;
const LIBBPF_PIN_NONE = 0;
const LIBBPF_PIN_BY_NAME = 1;

// enum map_def_parts
const MAP_DEF_MAP_TYPE = 0x001;
export const MAP_DEF_KEY_TYPE = 0x002;
const MAP_DEF_KEY_SIZE = 0x004;
export const MAP_DEF_VALUE_TYPE = 0x008;
const MAP_DEF_VALUE_SIZE = 0x010;
const MAP_DEF_MAX_ENTRIES = 0x020;
const MAP_DEF_MAP_FLAGS = 0x040;
const MAP_DEF_NUMA_NODE = 0x080;
const MAP_DEF_PINNING = 0x100;
export const MAP_DEF_INNER_MAP = 0x200;
const MAP_DEF_MAP_EXTRA = 0x400;

/** struct btf_map_def */
export interface btf_map_def {
	parts: number;
	map_type: number;
	key_type_id: number;
	key_size: number;
	value_type_id: number;
	value_size: number;
	max_entries: number;
	map_flags: number;
	numa_node: number;
	pinning: number;
	map_extra: bigint;
}

export const new_def = (): btf_map_def => ({
	parts: 0,
	map_type: 0,
	key_type_id: 0,
	key_size: 0,
	value_type_id: 0,
	value_size: 0,
	max_entries: 0,
	map_flags: 0,
	numa_node: 0,
	pinning: 0,
	map_extra: 0n,
});

/** tools/lib/bpf/libbpf.c: bpf_object__add_map, without putting it into the object. */
export function new_map(obj: bpf_object, name: string): bpf_map {
	return {
		obj,
		name,
		real_name: null,
		fd: -1,
		sec_idx: 0,
		sec_offset: 0,
		map_ifindex: 0,
		inner_map_fd: -1,
		def: { type: 0, key_size: 0, value_size: 0, max_entries: 0, map_flags: 0 },
		numa_node: 0,
		btf_var_idx: 0,
		mod_btf_fd: 0,
		btf_key_type_id: 0,
		btf_value_type_id: 0,
		btf_vmlinux_value_type_id: 0,
		libbpf_type: LIBBPF_MAP_UNSPEC,
		init_data: null,
		mmaped: 0,
		st_ops: null,
		inner_map: null,
		init_slots: [],
		pin_path: null,
		pinned: false,
		reused: false,
		autocreate: true,
		autoattach: false,
		map_extra: 0n,
	};
}

export function bpf_map_type__is_map_in_map(type: number): boolean {
	return type === BPF_MAP_TYPE_ARRAY_OF_MAPS || type === BPF_MAP_TYPE_HASH_OF_MAPS;
}

export function bpf_map__is_struct_ops(map: bpf_map): boolean {
	return map.def.type === BPF_MAP_TYPE_STRUCT_OPS;
}

export function map_is_ringbuf(map: bpf_map): boolean {
	return map.def.type === BPF_MAP_TYPE_RINGBUF || map.def.type === BPF_MAP_TYPE_USER_RINGBUF;
}

/** tools/lib/bpf/libbpf.c: map_uses_real_name: `.data.x` and `.rodata.x` go by the section's name. */
function map_uses_real_name(map: bpf_map): boolean {
	if (map.libbpf_type === LIBBPF_MAP_DATA && map.real_name !== DATA_SEC) return true;
	return map.libbpf_type === LIBBPF_MAP_RODATA && map.real_name !== RODATA_SEC;
}

/** tools/lib/bpf/libbpf.c: bpf_map__name */
export function bpf_map__name(map: bpf_map): string {
	return map_uses_real_name(map) ? map.real_name! : map.name;
}

/** tools/lib/bpf/libbpf.c: bpf_object__find_map_by_name; null when there is none. */
export function bpf_object__find_map_by_name(obj: bpf_object, name: string): bpf_map | null {
	for (const pos of obj.maps) {
		if (name.startsWith(".")) {
			if (pos.real_name === name) return pos;
			continue;
		}
		if (map_uses_real_name(pos)) {
			if (pos.real_name === name) return pos;
			continue;
		}
		if (pos.name === name) return pos;
	}
	return null;
}

/** Bytes of a mapping of an array map. */
export function array_map_mmap_sz(lib: Libbpf, value_sz: number, max_entries: number): number {
	return roundup(roundup(value_sz, 8) * max_entries, lib.sys.pageSize);
}

/** tools/lib/bpf/libbpf.c: bpf_map_mmap_sz */
export function bpf_map_mmap_sz(map: bpf_map): number {
	switch (map.def.type) {
		case BPF_MAP_TYPE_ARRAY:
			return array_map_mmap_sz(map.obj.lib, map.def.value_size, map.def.max_entries);
		case BPF_MAP_TYPE_ARENA:
			return map.obj.lib.sys.pageSize * map.def.max_entries;
		default:
			return 0;
	}
}

/** tools/lib/bpf/libbpf.c: adjust_ringbuf_sz: up to a power of two of pages. */
export function adjust_ringbuf_sz(lib: Libbpf, sz: number): number {
	const page = lib.sys.pageSize;
	if (sz === 0) return 0;
	const pages = sz / page;
	if (sz % page === 0 && 2 ** Math.round(Math.log2(pages)) === pages) return sz;
	for (let mul = 1; mul <= Math.floor(0xffffffff / page); mul *= 2) if (mul * page > sz) return mul * page;
	return sz;
}

function internal_map_name(obj: bpf_object, real_name: string): string {
	let sfx_len = Math.max(7, real_name.length);
	if (sfx_len >= BPF_OBJ_NAME_LEN) sfx_len = BPF_OBJ_NAME_LEN - 1;
	const pfx_len =
		real_name.indexOf(".", 1) >= 0 ? 0 : Math.min(BPF_OBJ_NAME_LEN - sfx_len - 1, obj.name.length);
	const name = obj.name.slice(0, pfx_len) + real_name.slice(0, sfx_len);
	return name.replace(/[^A-Za-z0-9_.]/g, "_");
}

/** tools/lib/bpf/libbpf.c: map_fill_btf_type_info */
function map_fill_btf_type_info(obj: bpf_object, map: bpf_map): number {
	if (!obj.btf) return -ENOENT;
	if (map.sec_idx === obj.efile.btf_maps_shndx || bpf_map__is_struct_ops(map)) return 0;
	if (map.libbpf_type === LIBBPF_MAP_UNSPEC) return -ENOENT;
	const id = obj.btf.find_by_name(map.real_name!);
	if (id < 0) return id;
	map.btf_key_type_id = 0;
	map.btf_value_type_id = id;
	return 0;
}

/** A data map can be mapped when it holds at least one variable that is not static. */
function map_is_mmapable(obj: bpf_object, map: bpf_map): boolean {
	if (!map.btf_value_type_id || !obj.btf) return false;
	const { btf } = obj;
	const t = btf.type_by_id(map.btf_value_type_id);
	if (!t || !btf_is_datasec(t)) return false;
	return btf_var_secinfos(t).some((vsi) => {
		const vt = btf.type_by_id(vsi.type);
		return vt !== null && btf_is_var(vt) && btf_var_linkage(vt) !== BTF_VAR_STATIC;
	});
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_internal_map */
function bpf_object__init_internal_map(
	obj: bpf_object,
	type: number,
	real_name: string,
	sec_idx: number,
	data: Uint8Array | null,
	data_sz: number,
): number {
	const map = new_map(obj, internal_map_name(obj, real_name));
	obj.maps.push(map);
	map.libbpf_type = type;
	map.sec_idx = sec_idx;
	map.real_name = real_name;
	map.def.type = BPF_MAP_TYPE_ARRAY;
	map.def.key_size = 4;
	map.def.value_size = data_sz;
	map.def.max_entries = 1;
	map.def.map_flags = type === LIBBPF_MAP_RODATA || type === LIBBPF_MAP_KCONFIG ? BPF_F_RDONLY_PROG : 0;
	map_fill_btf_type_info(obj, map);
	if (map_is_mmapable(obj, map)) map.def.map_flags |= BPF_F_MMAPABLE;
	obj.lib.pr_debug(
		() =>
			`map '${map.name}' (global data): at sec_idx ${map.sec_idx}, offset ${map.sec_offset}, flags ${map.def.map_flags.toString(16)}.\n`,
	);
	if (data_sz > 0x7fffffff) {
		obj.lib.pr_warn(`failed to alloc map '${map.name}' content buffer: ${-E2BIG}\n`);
		return -E2BIG;
	}
	map.init_data = new Uint8Array(data_sz);
	if (data) map.init_data.set(data);
	obj.lib.pr_debug(() => `map ${obj.maps.length - 1} is "${map.name}"\n`);
	return 0;
}

function bpf_object__init_global_data_maps(obj: bpf_object): number {
	for (let sec_idx = 1; sec_idx < obj.efile.secs.length; sec_idx++) {
		const desc = obj.efile.secs[sec_idx]!;
		if (!desc.data || desc.data.d_size === 0) continue;
		let type: number;
		switch (desc.sec_type) {
			case SEC_DATA:
				type = LIBBPF_MAP_DATA;
				break;
			case SEC_RODATA:
				obj.has_rodata = true;
				type = LIBBPF_MAP_RODATA;
				break;
			case SEC_BSS:
				type = LIBBPF_MAP_BSS;
				break;
			default:
				continue;
		}
		const name = elf_sec_name(obj, elf_sec_hdr(obj, sec_idx));
		if (name === null) return -LIBBPF_ERRNO__FORMAT;
		const err = bpf_object__init_internal_map(
			obj,
			type,
			name,
			sec_idx,
			type === LIBBPF_MAP_BSS ? null : desc.data.d_buf,
			desc.data.d_size,
		);
		if (err) return err;
	}
	return 0;
}

function bpf_object__init_kconfig_map(obj: bpf_object): number {
	let last: extern_desc | null = null;
	for (const ext of obj.externs) if (ext.type === EXT_KCFG) last = ext;
	if (!last) return 0;
	const err = bpf_object__init_internal_map(
		obj,
		LIBBPF_MAP_KCONFIG,
		".kconfig",
		obj.efile.symbols_shndx,
		null,
		last.kcfg.data_off + last.kcfg.sz,
	);
	if (err) return err;
	obj.kconfig_map_idx = obj.maps.length - 1;
	return 0;
}

/** A number that a map declaration carries as the length of an array; null (and a message) otherwise. */
function get_map_field_int(lib: LibbpfPrinter, map_name: string, btf: Btf, m: btf_member): number | null {
	const t = btf.skip_mods_and_typedefs(m.type);
	const name = btf.name(m.name_off);
	if (!btf_is_ptr(t)) {
		lib.pr_warn(`map '${map_name}': attr '${name}': expected PTR, got ${btf_kind_str(t)}.\n`);
		return null;
	}
	const arr_t = btf.type_by_id(t.type);
	if (!arr_t) {
		lib.pr_warn(`map '${map_name}': attr '${name}': type [${t.type}] not found.\n`);
		return null;
	}
	if (!btf_is_array(arr_t)) {
		lib.pr_warn(`map '${map_name}': attr '${name}': expected ARRAY, got ${btf_kind_str(arr_t)}.\n`);
		return null;
	}
	return btf_array(arr_t).nelems;
}

/** A 64-bit number: the same, or the one enumerator of an enum (__ulong). */
function get_map_field_long(lib: LibbpfPrinter, map_name: string, btf: Btf, m: btf_member): bigint | null {
	const t = btf.skip_mods_and_typedefs(m.type);
	const name = btf.name(m.name_off);
	if (btf_is_ptr(t)) {
		const res = get_map_field_int(lib, map_name, btf, m);
		return res === null ? null : BigInt(res);
	}
	if (!btf_is_enum(t) && !btf_is_enum64(t)) {
		lib.pr_warn(`map '${map_name}': attr '${name}': expected ENUM or ENUM64, got ${btf_kind_str(t)}.\n`);
		return null;
	}
	if (btf_vlen(t) !== 1) {
		lib.pr_warn(`map '${map_name}': attr '${name}': invalid __ulong\n`);
		return null;
	}
	if (btf_is_enum(t)) return BigInt.asUintN(64, BigInt(t.word(1) | 0));
	return BigInt.asUintN(64, btf_enum_value(t, 0));
}

/** tools/lib/bpf/libbpf.c: parse_btf_map_def */
export function parse_btf_map_def(
	lib: LibbpfPrinter,
	map_name: string,
	btf: Btf,
	def_t: BtfType,
	strict: boolean,
	map_def: btf_map_def,
	inner_def: btf_map_def | null,
): number {
	const vlen = btf_vlen(def_t);
	for (let i = 0; i < vlen; i++) {
		const m = btf_member_at(def_t, i);
		const name = btf.name(m.name_off);
		const int = (): number | null => get_map_field_int(lib, map_name, btf, m);
		switch (name) {
			case "type": {
				const v = int();
				if (v === null) return -EINVAL;
				map_def.map_type = v;
				map_def.parts |= MAP_DEF_MAP_TYPE;
				break;
			}
			case "max_entries": {
				const v = int();
				if (v === null) return -EINVAL;
				map_def.max_entries = v;
				map_def.parts |= MAP_DEF_MAX_ENTRIES;
				break;
			}
			case "map_flags": {
				const v = int();
				if (v === null) return -EINVAL;
				map_def.map_flags = v;
				map_def.parts |= MAP_DEF_MAP_FLAGS;
				break;
			}
			case "numa_node": {
				const v = int();
				if (v === null) return -EINVAL;
				map_def.numa_node = v;
				map_def.parts |= MAP_DEF_NUMA_NODE;
				break;
			}
			case "key_size":
			case "value_size": {
				const key = name === "key_size";
				const sz = int();
				if (sz === null) return -EINVAL;
				const old = key ? map_def.key_size : map_def.value_size;
				if (old && old !== sz) {
					lib.pr_warn(`map '${map_name}': conflicting ${key ? "key" : "value"} size ${old} != ${sz}.\n`);
					return -EINVAL;
				}
				if (key) map_def.key_size = sz;
				else map_def.value_size = sz;
				map_def.parts |= key ? MAP_DEF_KEY_SIZE : MAP_DEF_VALUE_SIZE;
				break;
			}
			case "key":
			case "value": {
				const key = name === "key";
				const t = btf.type_by_id(m.type);
				if (!t) {
					lib.pr_warn(`map '${map_name}': ${name} type [${m.type}] not found.\n`);
					return -EINVAL;
				}
				if (!btf_is_ptr(t)) {
					lib.pr_warn(`map '${map_name}': ${name} spec is not PTR: ${btf_kind_str(t)}.\n`);
					return -EINVAL;
				}
				const sz = btf.resolve_size(t.type);
				if (sz < 0) {
					lib.pr_warn(`map '${map_name}': can't determine ${name} size for type [${t.type}]: ${sz}.\n`);
					return sz;
				}
				const old = key ? map_def.key_size : map_def.value_size;
				if (old && old !== sz) {
					lib.pr_warn(`map '${map_name}': conflicting ${name} size ${old} != ${sz}.\n`);
					return -EINVAL;
				}
				if (key) {
					map_def.key_size = sz;
					map_def.key_type_id = t.type;
					map_def.parts |= MAP_DEF_KEY_SIZE | MAP_DEF_KEY_TYPE;
				} else {
					map_def.value_size = sz;
					map_def.value_type_id = t.type;
					map_def.parts |= MAP_DEF_VALUE_SIZE | MAP_DEF_VALUE_TYPE;
				}
				break;
			}
			case "values": {
				const is_map_in_map = bpf_map_type__is_map_in_map(map_def.map_type);
				const is_prog_array = map_def.map_type === BPF_MAP_TYPE_PROG_ARRAY;
				const desc = is_map_in_map ? "map-in-map inner" : "prog-array value";
				if (inner_def === null) {
					lib.pr_warn(`map '${map_name}': multi-level inner maps not supported.\n`);
					return -ENOTSUP;
				}
				if (i !== vlen - 1) {
					lib.pr_warn(`map '${map_name}': '${name}' member should be last.\n`);
					return -EINVAL;
				}
				if (!is_map_in_map && !is_prog_array) {
					lib.pr_warn(`map '${map_name}': should be map-in-map or prog-array.\n`);
					return -ENOTSUP;
				}
				if (map_def.value_size && map_def.value_size !== 4) {
					lib.pr_warn(`map '${map_name}': conflicting value size ${map_def.value_size} != 4.\n`);
					return -EINVAL;
				}
				map_def.value_size = 4;
				let t = btf.type_by_id(m.type);
				if (!t) {
					lib.pr_warn(`map '${map_name}': ${desc} type [${m.type}] not found.\n`);
					return -EINVAL;
				}
				if (!btf_is_array(t) || btf_array(t).nelems) {
					lib.pr_warn(`map '${map_name}': ${desc} spec is not a zero-sized array.\n`);
					return -EINVAL;
				}
				t = btf.skip_mods_and_typedefs(btf_array(t).type);
				if (!btf_is_ptr(t)) {
					lib.pr_warn(`map '${map_name}': ${desc} def is of unexpected kind ${btf_kind_str(t)}.\n`);
					return -EINVAL;
				}
				t = btf.skip_mods_and_typedefs(t.type);
				if (is_prog_array) {
					if (!btf_is_func_proto(t)) {
						lib.pr_warn(
							`map '${map_name}': prog-array value def is of unexpected kind ${btf_kind_str(t)}.\n`,
						);
						return -EINVAL;
					}
					break;
				}
				if (!btf_is_struct(t)) {
					lib.pr_warn(`map '${map_name}': map-in-map inner def is of unexpected kind ${btf_kind_str(t)}.\n`);
					return -EINVAL;
				}
				const err = parse_btf_map_def(
					lib,
					`${map_name}.inner`.slice(0, 127),
					btf,
					t,
					strict,
					inner_def,
					null,
				);
				if (err) return err;
				map_def.parts |= MAP_DEF_INNER_MAP;
				break;
			}
			case "pinning": {
				if (inner_def === null) {
					lib.pr_warn(`map '${map_name}': inner def can't be pinned.\n`);
					return -EINVAL;
				}
				const v = int();
				if (v === null) return -EINVAL;
				if (v !== LIBBPF_PIN_NONE && v !== LIBBPF_PIN_BY_NAME) {
					lib.pr_warn(`map '${map_name}': invalid pinning value ${v}.\n`);
					return -EINVAL;
				}
				map_def.pinning = v;
				map_def.parts |= MAP_DEF_PINNING;
				break;
			}
			case "map_extra": {
				const v = get_map_field_long(lib, map_name, btf, m);
				if (v === null) return -EINVAL;
				map_def.map_extra = v;
				map_def.parts |= MAP_DEF_MAP_EXTRA;
				break;
			}
			default:
				if (strict) {
					lib.pr_warn(`map '${map_name}': unknown field '${name}'.\n`);
					return -ENOTSUP;
				}
				lib.pr_debug(() => `map '${map_name}': ignoring unknown field '${name}'.\n`);
		}
	}
	if (map_def.map_type === BPF_MAP_TYPE_UNSPEC) {
		lib.pr_warn(`map '${map_name}': map type isn't specified.\n`);
		return -EINVAL;
	}
	return 0;
}

function fill_map_from_def(map: bpf_map, def: btf_map_def): void {
	const { lib } = map.obj;
	map.def.type = def.map_type;
	map.def.key_size = def.key_size;
	map.def.value_size = def.value_size;
	map.def.max_entries = def.max_entries;
	map.def.map_flags = def.map_flags;
	map.map_extra = def.map_extra;
	map.numa_node = def.numa_node;
	map.btf_key_type_id = def.key_type_id;
	map.btf_value_type_id = def.value_type_id;
	if (map_is_ringbuf(map)) map.def.max_entries = adjust_ringbuf_sz(lib, map.def.max_entries);
	const found = (part: number, text: string): void => {
		if (def.parts & part) lib.pr_debug(() => `map '${map.name}': found ${text}.\n`);
	};
	found(MAP_DEF_MAP_TYPE, `type = ${def.map_type}`);
	if (def.parts & MAP_DEF_KEY_TYPE) found(MAP_DEF_KEY_TYPE, `key [${def.key_type_id}], sz = ${def.key_size}`);
	else found(MAP_DEF_KEY_SIZE, `key_size = ${def.key_size}`);
	if (def.parts & MAP_DEF_VALUE_TYPE)
		found(MAP_DEF_VALUE_TYPE, `value [${def.value_type_id}], sz = ${def.value_size}`);
	else found(MAP_DEF_VALUE_SIZE, `value_size = ${def.value_size}`);
	found(MAP_DEF_MAX_ENTRIES, `max_entries = ${def.max_entries}`);
	found(MAP_DEF_MAP_FLAGS, `map_flags = 0x${def.map_flags.toString(16)}`);
	found(MAP_DEF_MAP_EXTRA, `map_extra = 0x${def.map_extra.toString(16)}`);
	found(MAP_DEF_PINNING, `pinning = ${def.pinning}`);
	found(MAP_DEF_NUMA_NODE, `numa_node = ${def.numa_node}`);
	found(MAP_DEF_INNER_MAP, "inner map definition");
}

function btf_var_linkage_str(linkage: number): string {
	switch (linkage) {
		case BTF_VAR_STATIC:
			return "static";
		case BTF_VAR_GLOBAL_ALLOCATED:
			return "global";
		case BTF_VAR_GLOBAL_EXTERN:
			return "extern";
		default:
			return "unknown";
	}
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_user_btf_map */
function bpf_object__init_user_btf_map(
	obj: bpf_object,
	btf: Btf,
	sec: BtfType,
	var_idx: number,
	data: Elf_Data,
	strict: boolean,
	pin_root_path: string | undefined,
): number {
	const { lib } = obj;
	const vi = btf_var_secinfo_at(sec, var_idx);
	const v = btf.type_by_id(vi.type)!;
	const map_name = btf.name(v.name_off);
	if (map_name === "") {
		lib.pr_warn(`map #${var_idx}: empty name.\n`);
		return -EINVAL;
	}
	if (vi.offset + vi.size > data.d_size) {
		lib.pr_warn(`map '${map_name}' BTF data is corrupted.\n`);
		return -EINVAL;
	}
	if (!btf_is_var(v)) {
		lib.pr_warn(`map '${map_name}': unexpected var kind ${btf_kind_str(v)}.\n`);
		return -EINVAL;
	}
	if (btf_var_linkage(v) !== BTF_VAR_GLOBAL_ALLOCATED) {
		lib.pr_warn(`map '${map_name}': unsupported map linkage ${btf_var_linkage_str(btf_var_linkage(v))}.\n`);
		return -EOPNOTSUPP;
	}
	const def = btf.skip_mods_and_typedefs(v.type);
	if (!btf_is_struct(def)) {
		lib.pr_warn(`map '${map_name}': unexpected def kind ${btf_kind_str(v)}.\n`);
		return -EINVAL;
	}
	if (def.size > vi.size) {
		lib.pr_warn(`map '${map_name}': invalid def size.\n`);
		return -EINVAL;
	}
	const map = new_map(obj, map_name);
	obj.maps.push(map);
	map.def.type = BPF_MAP_TYPE_UNSPEC;
	map.sec_idx = obj.efile.btf_maps_shndx;
	map.sec_offset = vi.offset;
	map.btf_var_idx = var_idx;
	lib.pr_debug(() => `map '${map_name}': at sec_idx ${map.sec_idx}, offset ${map.sec_offset}.\n`);
	const map_def = new_def();
	const inner_def = new_def();
	const err = parse_btf_map_def(lib, map_name, btf, def, strict, map_def, inner_def);
	if (err) return err;
	fill_map_from_def(map, map_def);
	if (map_def.pinning === LIBBPF_PIN_BY_NAME) {
		const path = `${pin_root_path ?? BPF_FS_DEFAULT_PATH}/${bpf_map__name(map)}`;
		if (path.length >= PATH_MAX) {
			lib.pr_warn(`map '${map.name}': couldn't build pin path.\n`);
			return -ENAMETOOLONG;
		}
		map.pin_path = path;
	}
	if (map_def.parts & MAP_DEF_INNER_MAP) {
		map.inner_map = new_map(obj, `${map_name}.inner`);
		map.inner_map.sec_idx = obj.efile.btf_maps_shndx;
		fill_map_from_def(map.inner_map, inner_def);
	}
	return map_fill_btf_type_info(obj, map);
}

function bpf_object__init_user_btf_maps(obj: bpf_object, opts: bpf_object_open_opts): number {
	const { lib, efile, btf } = obj;
	if (efile.btf_maps_shndx < 0) return 0;
	const data = elf_sec_data(obj, elf_sec_hdr(obj, efile.btf_maps_shndx));
	if (!data) {
		lib.pr_warn(`elf: failed to get ${MAPS_ELF_SEC} map definitions for ${obj.path}\n`);
		return -EINVAL;
	}
	const sec_id = btf ? btf.find_by_name_kind(MAPS_ELF_SEC, BTF_KIND_DATASEC) : -ENOENT;
	if (sec_id < 0 || !btf) {
		lib.pr_warn(`DATASEC '${MAPS_ELF_SEC}' not found.\n`);
		return -ENOENT;
	}
	efile.btf_maps_sec_btf_id = sec_id;
	const sec = btf.type_by_id(sec_id)!;
	for (let i = 0; i < btf_vlen(sec); i++) {
		const err = bpf_object__init_user_btf_map(obj, btf, sec, i, data, !opts.relaxed_maps, opts.pin_root_path);
		if (err) return err;
	}
	for (const [i, map] of obj.maps.entries()) {
		if (map.def.type !== BPF_MAP_TYPE_ARENA) continue;
		if (obj.arena_map_idx >= 0) {
			lib.pr_warn(
				`map '${map.name}': only single ARENA map is supported (map '${obj.maps[obj.arena_map_idx]!.name}' is also ARENA)\n`,
			);
			return -EINVAL;
		}
		obj.arena_map_idx = i;
		const arena = efile.arena_data;
		if (!arena) continue;
		const mmap_sz = bpf_map_mmap_sz(map);
		if (roundup(arena.d_size, lib.sys.pageSize) > mmap_sz) {
			lib.pr_warn(
				`elf: sec '${ARENA_SEC}': declared ARENA map size (${mmap_sz}) is too small to hold global __arena variables of size ${arena.d_size}\n`,
			);
			return -E2BIG;
		}
		obj.arena_data = arena.d_buf ? arena.d_buf.slice() : new Uint8Array(arena.d_size);
		map.init_data = obj.arena_data;
	}
	if (efile.arena_data && obj.arena_map_idx < 0) {
		lib.pr_warn(
			`elf: sec '${ARENA_SEC}': to use global __arena variables the ARENA map should be explicitly declared in SEC(".maps")\n`,
		);
		return -ENOENT;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: init_struct_ops_maps */
function init_struct_ops_maps(obj: bpf_object, name: string, shndx: number, data: Elf_Data): number {
	const { lib, btf } = obj;
	const datasec_id = btf ? btf.find_by_name_kind(name, BTF_KIND_DATASEC) : -ENOENT;
	if (datasec_id < 0 || !btf) {
		lib.pr_warn(`struct_ops init: DATASEC ${name} not found\n`);
		return -EINVAL;
	}
	// A '?' before the name is read off it for the first variable and stays off: libbpf does so too.
	let sec_name = name;
	for (const vsi of btf_var_secinfos(btf.type_by_id(datasec_id)!)) {
		const v = btf.type_by_id(vsi.type)!;
		const var_name = btf.name(v.name_off);
		const type_id = btf.resolve_type(vsi.type);
		if (type_id < 0) {
			lib.pr_warn(`struct_ops init: Cannot resolve var type_id ${vsi.type} in DATASEC ${sec_name}\n`);
			return -EINVAL;
		}
		const type = btf.type_by_id(type_id)!;
		const tname = btf.name(type.name_off);
		if (!tname) {
			lib.pr_warn("struct_ops init: anonymous type is not supported\n");
			return -ENOTSUP;
		}
		if (!btf_is_struct(type)) {
			lib.pr_warn(`struct_ops init: ${tname} is not a struct\n`);
			return -EINVAL;
		}
		const map = new_map(obj, var_name);
		obj.maps.push(map);
		map.sec_idx = shndx;
		map.sec_offset = vsi.offset;
		map.btf_value_type_id = type_id;
		if (sec_name.startsWith("?")) {
			map.autocreate = false;
			sec_name = sec_name.slice(1);
		}
		map.def.type = BPF_MAP_TYPE_STRUCT_OPS;
		map.def.key_size = 4;
		map.def.value_size = type.size;
		map.def.max_entries = 1;
		map.def.map_flags = sec_name === STRUCT_OPS_LINK_SEC ? BPF_F_LINK : 0;
		map.autoattach = true;
		if (vsi.offset + type.size > data.d_size || !data.d_buf) {
			lib.pr_warn(`struct_ops init: var ${var_name} is beyond the end of DATASEC ${sec_name}\n`);
			return -EINVAL;
		}
		map.st_ops = {
			progs: new Array(btf_vlen(type)).fill(null),
			kern_func_off: new Array(btf_vlen(type)).fill(0),
			data: data.d_buf.slice(vsi.offset, vsi.offset + type.size),
			data_progs: new Map(),
			kern_vdata: null,
			type_id,
		};
		lib.pr_debug(
			() =>
				`struct_ops init: struct ${tname}(type_id=${type_id}) ${var_name} found at offset ${vsi.offset}\n`,
		);
	}
	return 0;
}

function bpf_object_init_struct_ops(obj: bpf_object): number {
	for (const [sec_idx, desc] of obj.efile.secs.entries()) {
		if (desc.sec_type !== SEC_ST_OPS) continue;
		const sec_name = elf_sec_name(obj, elf_sec_hdr(obj, sec_idx));
		if (sec_name === null) return -LIBBPF_ERRNO__FORMAT;
		const err = init_struct_ops_maps(obj, sec_name, sec_idx, desc.data!);
		if (err) return err;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_maps */
export function bpf_object__init_maps(obj: bpf_object, opts: bpf_object_open_opts): number {
	return (
		bpf_object__init_user_btf_maps(obj, opts) ||
		bpf_object__init_global_data_maps(obj) ||
		bpf_object__init_kconfig_map(obj) ||
		bpf_object_init_struct_ops(obj)
	);
}
