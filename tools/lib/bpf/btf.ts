// SPDX-License-Identifier: GPL-2.0-only
/**
 * BTF as user space has it: parsed from a file, an ELF section or the kernel, searched, changed in
 * place and added to. Mirrors tools/lib/bpf/btf.c (no foreign byte order); btf_dedup.ts is its deduplication.
 *
 * A `BtfType` is a window on the bytes, like the C pointer it stands for: what is written through it
 * is what the kernel gets.
 */
import {
	E2BIG,
	EEXIST,
	EINVAL,
	ENOENT,
	EOPNOTSUPP as ENOTSUP,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
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
	BTF_VERSION,
} from "../../../include/uapi/linux/btf.ts";
import { bpf_core_essential_name_len } from "../../../lib/relo_core.ts";
import type { LibbpfPrinter } from "./libbpf_internal.ts";

const HDR_LEN = 24;
const TYPE_SZ = 12;
const MAX_RESOLVE_DEPTH = 32;

/** struct btf_type where it lies. */
export class BtfType {
	readonly btf: Btf;
	readonly id: number;
	/** Byte offset within the types of its BTF; -1 for void. */
	readonly off: number;
	constructor(btf: Btf, id: number, off: number) {
		this.btf = btf;
		this.id = id;
		this.off = off;
	}
	get name_off(): number {
		return this.off < 0 ? 0 : this.btf.dv.getUint32(this.off, true);
	}
	set name_off(v: number) {
		this.btf.dv.setUint32(this.off, v, true);
	}
	get info(): number {
		return this.off < 0 ? 0 : this.btf.dv.getUint32(this.off + 4, true);
	}
	set info(v: number) {
		this.btf.dv.setUint32(this.off + 4, v, true);
	}
	get size(): number {
		return this.off < 0 ? 0 : this.btf.dv.getUint32(this.off + 8, true);
	}
	set size(v: number) {
		this.btf.dv.setUint32(this.off + 8, v, true);
	}
	get type(): number {
		return this.size;
	}
	set type(v: number) {
		this.size = v;
	}
	/** The word at an index after the header. */
	word(i: number): number {
		return this.btf.dv.getUint32(this.off + TYPE_SZ + i * 4, true);
	}
	set_word(i: number, v: number): void {
		this.btf.dv.setUint32(this.off + TYPE_SZ + i * 4, v, true);
	}
}

export interface btf_member {
	readonly name_off: number;
	readonly type: number;
	readonly offset: number;
}
export interface btf_param {
	readonly name_off: number;
	readonly type: number;
}
export interface btf_array_info {
	readonly type: number;
	readonly index_type: number;
	readonly nelems: number;
}
export interface btf_var_secinfo {
	readonly type: number;
	readonly offset: number;
	readonly size: number;
}

export const btf_kind = (t: BtfType): number => (t.info >>> 24) & 0x1f;
export const btf_vlen = (t: BtfType): number => t.info & 0xffff;
export const btf_kflag = (t: BtfType): boolean => t.info >>> 31 !== 0;
export const btf_type_info = (kind: number, vlen: number, kflag: boolean): number =>
	(((kflag ? 1 : 0) << 31) | (kind << 24) | (vlen & 0xffff)) >>> 0;
export const btf_is_void = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_UNKN;
export const btf_is_int = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_INT;
export const btf_is_ptr = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_PTR;
export const btf_is_array = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_ARRAY;
export const btf_is_struct = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_STRUCT;
export const btf_is_union = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_UNION;
export const btf_is_enum = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_ENUM;
export const btf_is_enum64 = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_ENUM64;
export const btf_is_fwd = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_FWD;
export const btf_is_typedef = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_TYPEDEF;
export const btf_is_func = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_FUNC;
export const btf_is_func_proto = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_FUNC_PROTO;
export const btf_is_var = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_VAR;
export const btf_is_datasec = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_DATASEC;
export const btf_is_float = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_FLOAT;
export const btf_is_decl_tag = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_DECL_TAG;
export const btf_is_type_tag = (t: BtfType): boolean => btf_kind(t) === BTF_KIND_TYPE_TAG;
export function btf_is_mod(t: BtfType): boolean {
	const kind = btf_kind(t);
	return (
		kind === BTF_KIND_VOLATILE ||
		kind === BTF_KIND_CONST ||
		kind === BTF_KIND_RESTRICT ||
		kind === BTF_KIND_TYPE_TAG
	);
}
export function btf_is_composite(t: BtfType): boolean {
	return btf_is_struct(t) || btf_is_union(t);
}

export const btf_func_linkage = (t: BtfType): number => btf_vlen(t);
export const btf_int_encoding = (t: BtfType): number => (t.word(0) >>> 24) & 0xf;
export const btf_int_offset = (t: BtfType): number => (t.word(0) >>> 16) & 0xff;
export const btf_int_bits = (t: BtfType): number => t.word(0) & 0xff;
export const btf_var_linkage = (t: BtfType): number => t.word(0);
export const btf_decl_tag_component_idx = (t: BtfType): number => t.word(0) | 0;

/** One member of a struct or union. */
export function btf_member_at(t: BtfType, i: number): btf_member {
	return { name_off: t.word(i * 3), type: t.word(i * 3 + 1), offset: t.word(i * 3 + 2) };
}
export function btf_members(t: BtfType): btf_member[] {
	return Array.from({ length: btf_vlen(t) }, (_, i) => btf_member_at(t, i));
}
export function btf_member_bit_offset(t: BtfType, i: number): number {
	const offset = t.word(i * 3 + 2);
	return btf_kflag(t) ? offset & 0xffffff : offset;
}
export function btf_member_bitfield_size(t: BtfType, i: number): number {
	return btf_kflag(t) ? t.word(i * 3 + 2) >>> 24 : 0;
}
export function btf_array(t: BtfType): btf_array_info {
	return { type: t.word(0), index_type: t.word(1), nelems: t.word(2) };
}
export function btf_params(t: BtfType): btf_param[] {
	return Array.from({ length: btf_vlen(t) }, (_, i) => ({
		name_off: t.word(i * 2),
		type: t.word(i * 2 + 1),
	}));
}
export function btf_var_secinfo_at(t: BtfType, i: number): btf_var_secinfo {
	return { type: t.word(i * 3), offset: t.word(i * 3 + 1), size: t.word(i * 3 + 2) };
}
export function btf_var_secinfos(t: BtfType): btf_var_secinfo[] {
	return Array.from({ length: btf_vlen(t) }, (_, i) => btf_var_secinfo_at(t, i));
}
export function set_btf_var_secinfo(t: BtfType, i: number, v: btf_var_secinfo): void {
	t.set_word(i * 3, v.type);
	t.set_word(i * 3 + 1, v.offset);
	t.set_word(i * 3 + 2, v.size);
}
/** The value of an enumerator, sign or zero extended as the enum says. */
export function btf_enum_value(t: BtfType, i: number): bigint {
	if (btf_is_enum(t)) {
		const v = t.word(i * 2 + 1);
		return btf_kflag(t) ? BigInt(v | 0) : BigInt(v);
	}
	const v = (BigInt(t.word(i * 3 + 2)) << 32n) | BigInt(t.word(i * 3 + 1));
	return btf_kflag(t) ? BigInt.asIntN(64, v) : v;
}

const KIND_STR = [
	"void",
	"int",
	"ptr",
	"array",
	"struct",
	"union",
	"enum",
	"fwd",
	"typedef",
	"volatile",
	"const",
	"restrict",
	"func",
	"func_proto",
	"var",
	"datasec",
	"float",
	"decl_tag",
	"type_tag",
	"enum64",
];

/** tools/lib/bpf/libbpf.c: __btf_kind_str */
export function btf_kind_name(kind: number): string {
	return KIND_STR[kind] ?? "unknown";
}
/** tools/lib/bpf/libbpf.c: btf_kind_str */
export function btf_kind_str(t: BtfType): string {
	return btf_kind_name(btf_kind(t));
}

const LONG_ALIASES = new Set([
	"long",
	"long int",
	"int long",
	"unsigned long",
	"long unsigned",
	"unsigned long int",
	"unsigned int long",
	"long unsigned int",
	"long int unsigned",
	"int unsigned long",
	"int long unsigned",
]);

/** struct btf of tools/lib/bpf/btf.c */
export class Btf {
	readonly base_btf: Btf | null;
	/** Id of the first type. */
	readonly start_id: number;
	readonly start_str_off: number;
	fd = -1;
	ptr_sz = 8;
	nr_types = 0;
	/** The types, with room at the end once something was added. */
	types: Uint8Array;
	dv: DataView;
	types_len: number;
	strs: Uint8Array;
	strs_len: number;
	/** Offset of each type in `types`. */
	offs: Int32Array;
	/** The file as it came, while nothing was added. */
	raw: Uint8Array | null;
	private readonly names = new Map<number, string>();
	private readonly added_strs = new Map<string, number>();
	private by_name: Map<string, number[]> | null = null;
	private by_essential: Map<string, number[]> | null = null;
	private strs_indexed = false;
	/** Each string is there once, and something refers to it or did. */
	strs_deduped: boolean;

	constructor(base: Btf | null) {
		this.base_btf = base;
		this.start_id = base ? base.start_id + base.nr_types : 1;
		this.start_str_off = base ? base.start_str_off + base.strs_len : 0;
		this.types = new Uint8Array(0);
		this.dv = new DataView(this.types.buffer);
		this.types_len = 0;
		this.strs = new Uint8Array(base ? 0 : 1);
		this.strs_len = this.strs.length;
		this.offs = new Int32Array(0);
		this.raw = null;
		this.strs_deduped = true;
	}

	/** btf__type_cnt: one more than the last id. */
	type_cnt(): number {
		return this.start_id + this.nr_types;
	}

	/** btf__type_by_id; null beyond the last id. */
	type_by_id(id: number): BtfType | null {
		if (id === 0) return new BtfType(this, 0, -1);
		if (id < this.start_id) return this.base_btf ? this.base_btf.type_by_id(id) : null;
		if (id >= this.start_id + this.nr_types) return null;
		return new BtfType(this, id, this.offs[id - this.start_id]!);
	}

	/** What lib/relo_core.ts asks of a BTF. */
	core_type(id: number): BtfType | null {
		return this.type_by_id(id);
	}
	core_name(offset: number): string | null {
		return this.str_by_offset(offset);
	}

	/** The kind of a type without an object for it. */
	kind_of(id: number): number {
		if (id === 0) return BTF_KIND_UNKN;
		if (id < this.start_id) return this.base_btf ? this.base_btf.kind_of(id) : BTF_KIND_UNKN;
		return this.dv.getUint8(this.offs[id - this.start_id]! + 7) & 0x1f;
	}

	/** btf__str_by_offset; null when the offset is not of this BTF. */
	str_by_offset(offset: number): string | null {
		if (offset < this.start_str_off) return this.base_btf ? this.base_btf.str_by_offset(offset) : null;
		const at = offset - this.start_str_off;
		if (at >= this.strs_len) return null;
		let s = this.names.get(at);
		if (s === undefined) {
			let end = at;
			let text = "";
			for (let c = this.strs[end]!; c !== 0; c = this.strs[++end]!) {
				if (c > 127) {
					end = this.strs.indexOf(0, at);
					text = Buffer.from(this.strs.buffer, this.strs.byteOffset + at, end - at).toString("utf8");
					break;
				}
				text += String.fromCharCode(c);
			}
			s = text;
			this.names.set(at, s);
		}
		return s;
	}

	/** btf__name_by_offset, "" where libbpf would read nothing sensible. */
	name(offset: number): string {
		return this.str_by_offset(offset) ?? "";
	}

	/** Ids of this BTF's own types by name, in order. */
	private index(): Map<string, number[]> {
		if (!this.by_name) {
			const map = new Map<string, number[]>();
			for (let i = 0; i < this.nr_types; i++) {
				const name_off = this.dv.getUint32(this.offs[i]!, true);
				if (name_off === 0) continue;
				const name = this.name(name_off);
				const ids = map.get(name);
				if (ids) ids.push(this.start_id + i);
				else map.set(name, [this.start_id + i]);
			}
			this.by_name = map;
		}
		return this.by_name;
	}

	/** Ids of this BTF's own types by name without flavour (`x` of `x___y`), in order. */
	ids_by_essential_name(name: string): readonly number[] {
		if (!this.by_essential) {
			const map = new Map<string, number[]>();
			for (const [full, ids] of this.index()) {
				const key = full.slice(0, bpf_core_essential_name_len(full));
				const all = map.get(key);
				if (all) {
					all.push(...ids);
					all.sort((a, b) => a - b);
				} else {
					map.set(key, [...ids]);
				}
			}
			this.by_essential = map;
		}
		return this.by_essential.get(name) ?? [];
	}

	/** Ids of this BTF's own types of a name, in order. */
	ids_by_name(name: string): readonly number[] {
		return this.index().get(name) ?? [];
	}

	/** btf__find_by_name: an id or -ENOENT. */
	find_by_name(name: string): number {
		if (name === "void") return 0;
		if (this.base_btf) {
			const id = this.base_btf.find_by_name(name);
			if (id > 0) return id;
		}
		return this.index().get(name)?.[0] ?? -ENOENT;
	}

	/** btf__find_by_name_kind_own */
	find_by_name_kind_own(name: string, kind: number): number {
		if (kind === BTF_KIND_UNKN || name === "void") return 0;
		for (const id of this.index().get(name) ?? []) if (this.kind_of(id) === kind) return id;
		return -ENOENT;
	}

	/** btf__find_by_name_kind: an id or -ENOENT. */
	find_by_name_kind(name: string, kind: number): number {
		if (this.base_btf) {
			const id = this.base_btf.find_by_name_kind(name, kind);
			if (id >= 0) return id;
		}
		return this.find_by_name_kind_own(name, kind);
	}

	/** What changes names or kinds in place must say so. */
	invalidate_index(): void {
		this.by_name = null;
		this.by_essential = null;
	}

	/** btf__raw_data: the bytes as the kernel takes them. */
	raw_data(): Uint8Array {
		if (this.raw) return this.raw;
		const out = new Uint8Array(HDR_LEN + this.types_len + this.strs_len);
		const dv = new DataView(out.buffer);
		dv.setUint16(0, BTF_MAGIC, true);
		dv.setUint8(2, BTF_VERSION);
		dv.setUint32(4, HDR_LEN, true);
		dv.setUint32(12, this.types_len, true);
		dv.setUint32(16, this.types_len, true);
		dv.setUint32(20, this.strs_len, true);
		out.set(this.types.subarray(0, this.types_len), HDR_LEN);
		out.set(this.strs.subarray(0, this.strs_len), HDR_LEN + this.types_len);
		return out;
	}

	/** btf_ensure_modifiable(): types and strings of its own, no longer those of the file. */
	ensure_modifiable(): void {
		if (this.raw) this.grow_types(0);
	}

	/** Strings that take the place of all there were; their offsets have been rewritten. */
	replace_strs(bytes: Uint8Array): void {
		this.ensure_modifiable();
		this.strs = bytes;
		this.strs_len = bytes.length;
		this.names.clear();
		this.added_strs.clear();
		this.strs_indexed = false;
		this.strs_deduped = true;
		this.invalidate_index();
	}

	/** Only these of its types, in this order, which begin anew. */
	keep_types(ids: readonly number[]): void {
		const parts = ids.map((id) => {
			const t = this.type_by_id(id)!;
			return this.types.subarray(t.off, t.off + type_size(btf_kind(t), btf_vlen(t)));
		});
		this.types = new Uint8Array(Buffer.concat(parts));
		this.dv = new DataView(this.types.buffer);
		this.types_len = this.types.length;
		this.offs = new Int32Array(ids.length);
		let at = 0;
		for (const [i, part] of parts.entries()) {
			this.offs[i] = at;
			at += part.length;
		}
		this.nr_types = ids.length;
		this.invalidate_index();
	}

	private grow_types(add: number): number {
		const at = this.types_len;
		if (at + add > this.types.length || this.raw) {
			const bigger = new Uint8Array(Math.max(at + add, Math.ceil(at * 1.25), 256));
			bigger.set(this.types.subarray(0, at));
			this.types = bigger;
			this.dv = new DataView(bigger.buffer);
			this.raw = null;
		}
		this.types_len = at + add;
		return at;
	}

	/** btf__add_str: the offset of a string, added when it is new. */
	add_str(text: string): number {
		if (text === "") return 0;
		if (this.base_btf) {
			const off = this.base_btf.find_str(text);
			if (off >= 0) return off;
		}
		const known = this.find_str(text);
		if (known >= 0) return known;
		const bytes = new TextEncoder().encode(`${text}\0`);
		const at = this.strs_len;
		if (at + bytes.length > this.strs.length || this.raw) {
			const bigger = new Uint8Array(Math.max(at + bytes.length, Math.ceil(at * 1.25), 256));
			bigger.set(this.strs.subarray(0, at));
			this.strs = bigger;
			if (this.raw) this.grow_types(0);
		}
		this.strs.set(bytes, at);
		this.strs_len = at + bytes.length;
		this.added_strs.set(text, at + this.start_str_off);
		return at + this.start_str_off;
	}

	/** btf__find_str: the offset of a string or -ENOENT. */
	find_str(text: string): number {
		if (text === "") return 0;
		if (!this.strs_indexed) {
			this.strs_indexed = true;
			for (let at = this.base_btf ? 0 : 1; at < this.strs_len; ) {
				const s = this.name(at + this.start_str_off);
				if (!this.added_strs.has(s)) this.added_strs.set(s, at + this.start_str_off);
				at = this.strs.indexOf(0, at) + 1;
			}
		}
		return this.added_strs.get(text) ?? -ENOENT;
	}

	/** Adds a type of a header and the words after it; returns its id. */
	add_type(name: string, info: number, size_or_type: number, words: readonly number[] = []): number {
		const name_off = this.add_str(name);
		const at = this.grow_types(TYPE_SZ + words.length * 4);
		this.dv.setUint32(at, name_off, true);
		this.dv.setUint32(at + 4, info >>> 0, true);
		this.dv.setUint32(at + 8, size_or_type >>> 0, true);
		words.forEach((w, i) => {
			this.dv.setUint32(at + TYPE_SZ + i * 4, w >>> 0, true);
		});
		if (this.nr_types === this.offs.length) {
			const bigger = new Int32Array(Math.max(16, Math.ceil(this.nr_types * 1.25) + 1));
			bigger.set(this.offs);
			this.offs = bigger;
		}
		this.offs[this.nr_types++] = at;
		this.invalidate_index();
		return this.start_id + this.nr_types - 1;
	}

	/** Adds words at the end of the last type and counts them as `n` more entries. */
	private extend_last(words: readonly number[], n = 1): number {
		if (this.nr_types === 0) return -EINVAL;
		const at = this.grow_types(words.length * 4);
		words.forEach((w, i) => {
			this.dv.setUint32(at + i * 4, w >>> 0, true);
		});
		const t = this.type_by_id(this.type_cnt() - 1)!;
		t.info = btf_type_info(btf_kind(t), btf_vlen(t) + n, btf_kflag(t));
		return 0;
	}

	add_int(name: string, byte_sz: number, encoding: number): number {
		if (!name || byte_sz < 1 || byte_sz > 16 || (byte_sz & (byte_sz - 1)) !== 0) return -EINVAL;
		return this.add_type(name, btf_type_info(BTF_KIND_INT, 0, false), byte_sz, [
			(encoding << 24) | (byte_sz * 8),
		]);
	}
	add_float(name: string, byte_sz: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_FLOAT, 0, false), byte_sz);
	}
	add_ptr(type: number): number {
		return this.add_type("", btf_type_info(BTF_KIND_PTR, 0, false), type);
	}
	add_array(index_type: number, elem_type: number, nr_elems: number): number {
		return this.add_type("", btf_type_info(BTF_KIND_ARRAY, 0, false), 0, [elem_type, index_type, nr_elems]);
	}
	add_struct(name: string, byte_sz: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_STRUCT, 0, false), byte_sz);
	}
	add_union(name: string, byte_sz: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_UNION, 0, false), byte_sz);
	}
	/** btf__add_field: a member of the struct or union that was added last. */
	add_field(name: string, type: number, bit_offset: number, bit_size = 0): number {
		const t = this.type_by_id(this.type_cnt() - 1);
		if (!t || !btf_is_composite(t)) return -EINVAL;
		const name_off = this.add_str(name);
		const err = this.extend_last([name_off, type, bit_offset | (bit_size << 24)]);
		if (err) return err;
		if (bit_size) {
			const last = this.type_by_id(this.type_cnt() - 1)!;
			last.info = btf_type_info(btf_kind(last), btf_vlen(last), true);
		}
		return 0;
	}
	add_enum(name: string, byte_sz: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_ENUM, 0, false), byte_sz);
	}
	add_enum_value(name: string, value: number): number {
		const t = this.type_by_id(this.type_cnt() - 1);
		if (!t || !btf_is_enum(t)) return -EINVAL;
		const name_off = this.add_str(name);
		const err = this.extend_last([name_off, value]);
		if (!err && value < 0) {
			const last = this.type_by_id(this.type_cnt() - 1)!;
			last.info = btf_type_info(btf_kind(last), btf_vlen(last), true);
		}
		return err;
	}
	add_fwd(name: string, union: boolean): number {
		return this.add_type(name, btf_type_info(BTF_KIND_FWD, 0, union), 0);
	}
	add_typedef(name: string, type: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_TYPEDEF, 0, false), type);
	}
	add_mod(kind: number, type: number): number {
		return this.add_type("", btf_type_info(kind, 0, false), type);
	}
	add_func(name: string, linkage: number, proto: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_FUNC, linkage, false), proto);
	}
	add_func_proto(ret_type: number): number {
		return this.add_type("", btf_type_info(BTF_KIND_FUNC_PROTO, 0, false), ret_type);
	}
	add_func_param(name: string, type: number): number {
		const t = this.type_by_id(this.type_cnt() - 1);
		if (!t || !btf_is_func_proto(t)) return -EINVAL;
		return this.extend_last([this.add_str(name), type]);
	}
	add_var(name: string, linkage: number, type: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_VAR, 0, false), type, [linkage]);
	}
	add_datasec(name: string, byte_sz: number): number {
		return this.add_type(name, btf_type_info(BTF_KIND_DATASEC, 0, false), byte_sz);
	}
	add_datasec_var_info(type: number, offset: number, byte_sz: number): number {
		const t = this.type_by_id(this.type_cnt() - 1);
		if (!t || !btf_is_datasec(t)) return -EINVAL;
		return this.extend_last([type, offset, byte_sz]);
	}
	add_decl_tag(value: string, ref_type: number, component_idx: number): number {
		return this.add_type(value, btf_type_info(BTF_KIND_DECL_TAG, 0, false), ref_type, [component_idx]);
	}
	add_type_tag(value: string, ref_type: number): number {
		return this.add_type(value, btf_type_info(BTF_KIND_TYPE_TAG, 0, false), ref_type);
	}

	/** btf__pointer_size guesses from `long`; objects for BPF have 8. */
	determine_ptr_size(): number {
		if (this.base_btf) return this.base_btf.ptr_sz;
		for (let i = 1; i < this.type_cnt(); i++) {
			if (this.kind_of(i) !== BTF_KIND_INT) continue;
			const t = this.type_by_id(i)!;
			if ((t.size === 4 || t.size === 8) && LONG_ALIASES.has(this.name(t.name_off))) return t.size;
		}
		return 8;
	}

	/** btf__resolve_size: bytes, or a negative errno. */
	resolve_size(type_id: number): number {
		let nelems = 1;
		let size = -1;
		let id = type_id;
		let t = this.type_by_id(id);
		for (let i = 0; i < MAX_RESOLVE_DEPTH && t && !btf_is_void(t) && !btf_is_fwd(t) && size < 0; i++) {
			switch (btf_kind(t)) {
				case BTF_KIND_INT:
				case BTF_KIND_STRUCT:
				case BTF_KIND_UNION:
				case BTF_KIND_ENUM:
				case BTF_KIND_ENUM64:
				case BTF_KIND_DATASEC:
				case BTF_KIND_FLOAT:
					size = t.size;
					break;
				case BTF_KIND_PTR:
					size = this.ptr_sz;
					break;
				case BTF_KIND_TYPEDEF:
				case BTF_KIND_VOLATILE:
				case BTF_KIND_CONST:
				case BTF_KIND_RESTRICT:
				case BTF_KIND_VAR:
				case BTF_KIND_DECL_TAG:
				case BTF_KIND_TYPE_TAG:
					id = t.type;
					t = this.type_by_id(id);
					break;
				case BTF_KIND_ARRAY: {
					const a = btf_array(t);
					if (nelems && a.nelems > Math.floor(0xffffffff / nelems)) return -E2BIG;
					nelems *= a.nelems;
					id = a.type;
					t = this.type_by_id(id);
					break;
				}
				default:
					return -EINVAL;
			}
		}
		if (size < 0) return -EINVAL;
		if (nelems && size > Math.floor(0xffffffff / nelems)) return -E2BIG;
		return nelems * size;
	}

	/** btf__align_of: bytes; 0 or less when it has none. */
	align_of(id: number, depth = 0): number {
		const t = this.type_by_id(id);
		if (!t || depth > MAX_RESOLVE_DEPTH) return 0;
		switch (btf_kind(t)) {
			case BTF_KIND_INT:
			case BTF_KIND_ENUM:
			case BTF_KIND_ENUM64:
			case BTF_KIND_FLOAT:
				return Math.min(this.ptr_sz, t.size);
			case BTF_KIND_PTR:
				return this.ptr_sz;
			case BTF_KIND_TYPEDEF:
			case BTF_KIND_VOLATILE:
			case BTF_KIND_CONST:
			case BTF_KIND_RESTRICT:
			case BTF_KIND_TYPE_TAG:
				return this.align_of(t.type, depth + 1);
			case BTF_KIND_ARRAY:
				return this.align_of(btf_array(t).type, depth + 1);
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION: {
				let max_align = 1;
				for (let i = 0; i < btf_vlen(t); i++) {
					const m = btf_member_at(t, i);
					const align = this.align_of(m.type, depth + 1);
					if (align <= 0) return align;
					max_align = Math.max(max_align, align);
					if (btf_member_bitfield_size(t, i) === 0 && m.offset % (8 * align) !== 0) return 1;
				}
				return t.size % max_align !== 0 ? 1 : max_align;
			}
			default:
				return 0;
		}
	}

	/** btf__resolve_type: the id behind modifiers, typedefs and variables, or -EINVAL. */
	resolve_type(type_id: number): number {
		let id = type_id;
		let depth = 0;
		let t = this.type_by_id(id);
		while (
			depth < MAX_RESOLVE_DEPTH &&
			t &&
			!btf_is_void(t) &&
			!btf_is_fwd(t) &&
			(btf_is_mod(t) || btf_is_typedef(t) || btf_is_var(t))
		) {
			id = t.type;
			t = this.type_by_id(id);
			depth++;
		}
		if (depth === MAX_RESOLVE_DEPTH || !t || btf_is_void(t) || btf_is_fwd(t)) return -EINVAL;
		return id;
	}

	/**
	 * tools/lib/bpf/libbpf.c: skip_mods_and_typedefs. A ring of modifiers, on which libbpf hangs,
	 * ends in void.
	 */
	skip_mods_and_typedefs(id: number): BtfType {
		let t = this.type_by_id(id);
		for (let n = 0; t && (btf_is_mod(t) || btf_is_typedef(t)); n++) {
			if (n > 1000) return new BtfType(this, 0, -1);
			t = this.type_by_id(t.type);
		}
		return t ?? new BtfType(this, 0, -1);
	}
}

function type_size(kind: number, vlen: number): number {
	switch (kind) {
		case BTF_KIND_FWD:
		case BTF_KIND_CONST:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_PTR:
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_FUNC:
		case BTF_KIND_FLOAT:
		case BTF_KIND_TYPE_TAG:
			return TYPE_SZ;
		case BTF_KIND_INT:
		case BTF_KIND_VAR:
		case BTF_KIND_DECL_TAG:
			return TYPE_SZ + 4;
		case BTF_KIND_ENUM:
		case BTF_KIND_FUNC_PROTO:
			return TYPE_SZ + vlen * 8;
		case BTF_KIND_ENUM64:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_DATASEC:
			return TYPE_SZ + vlen * 12;
		case BTF_KIND_ARRAY:
			return TYPE_SZ + 12;
		default:
			return -EINVAL;
	}
}

/** tools/lib/bpf/btf.c: btf__new, btf__new_split: a copy of the bytes, parsed and checked; a negative errno. */
export function btf__new(lib: LibbpfPrinter, data: Uint8Array, base_btf: Btf | null = null): Btf | number {
	const btf = new Btf(base_btf);
	const raw = new Uint8Array(data);
	const err = parse(lib, btf, raw);
	return err ? err : btf;
}

function parse(lib: LibbpfPrinter, btf: Btf, raw: Uint8Array): number {
	if (raw.length < HDR_LEN) {
		lib.pr_debug(() => "BTF header not found\n");
		return -EINVAL;
	}
	const dv = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
	const magic = dv.getUint16(0, true);
	const hdr_len = dv.getUint32(4, true);
	if (magic === 0x9feb) {
		lib.pr_warn("BTF of the other byte order is not ported\n");
		return -ENOTSUP;
	}
	if (magic !== BTF_MAGIC) {
		lib.pr_debug(() => `Invalid BTF magic: ${magic.toString(16)}\n`);
		return -EINVAL;
	}
	if (raw.length < hdr_len) {
		lib.pr_debug(() => `BTF header len ${hdr_len} larger than data size ${raw.length}\n`);
		return -EINVAL;
	}
	if (hdr_len < HDR_LEN) {
		lib.pr_debug(() => "BTF header not found\n");
		return -EINVAL;
	}
	const type_off = dv.getUint32(8, true);
	const type_len = dv.getUint32(12, true);
	const str_off = dv.getUint32(16, true);
	const str_len = dv.getUint32(20, true);
	if (raw.length - hdr_len < str_off + str_len) {
		lib.pr_debug(() => `Invalid BTF total size: ${raw.length}\n`);
		return -EINVAL;
	}
	if (type_off + type_len > str_off) {
		lib.pr_debug(
			() =>
				`Invalid BTF data sections layout: type data at ${type_off} + ${type_len}, strings data at ${str_off} + ${str_len}\n`,
		);
		return -EINVAL;
	}
	if (type_off % 4) {
		lib.pr_debug(() => "BTF type section is not aligned to 4 bytes\n");
		return -EINVAL;
	}
	btf.raw = raw;
	btf.strs = raw.subarray(hdr_len + str_off, hdr_len + str_off + str_len);
	btf.strs_len = str_len;
	btf.types = raw.subarray(hdr_len + type_off, hdr_len + type_off + type_len);
	btf.types_len = type_len;
	btf.dv = new DataView(btf.types.buffer, btf.types.byteOffset, btf.types.byteLength);
	if (!(btf.base_btf && str_len === 0)) {
		if (!str_len || btf.strs[str_len - 1] !== 0 || (!btf.base_btf && btf.strs[0] !== 0)) {
			lib.pr_debug(() => "Invalid BTF string section\n");
			return -EINVAL;
		}
	}
	btf.strs_deduped = str_len === 0 || (!btf.base_btf && str_len === 1);
	return parse_type_sec(lib, btf) || sanity_check(lib, btf) || no_rings(lib, btf);
}

/** A chain of modifiers and typedefs must end: libbpf hangs on one that does not, so it is refused here. */
function no_rings(lib: LibbpfPrinter, btf: Btf): number {
	const fine = new Uint8Array(btf.nr_types);
	const mark = new Int32Array(btf.nr_types);
	for (let i = 0; i < btf.nr_types; i++) {
		let at = i;
		while (at >= 0 && at < btf.nr_types && !fine[at]) {
			const kind = btf.kind_of(btf.start_id + at);
			if (
				kind !== BTF_KIND_TYPEDEF &&
				kind !== BTF_KIND_VOLATILE &&
				kind !== BTF_KIND_CONST &&
				kind !== BTF_KIND_RESTRICT &&
				kind !== BTF_KIND_TYPE_TAG
			)
				break;
			if (mark[at] === i + 1) {
				lib.pr_warn(`btf: type [${btf.start_id + i}]: its modifiers lead back to themselves\n`);
				return -EINVAL;
			}
			mark[at] = i + 1;
			at = btf.dv.getUint32(btf.offs[at]! + 8, true) - btf.start_id;
		}
		fine[i] = 1;
	}
	return 0;
}

function parse_type_sec(lib: LibbpfPrinter, btf: Btf): number {
	const end = btf.types_len;
	let offs = new Int32Array(Math.max(16, Math.floor(end / 20)));
	let n = 0;
	let at = 0;
	while (at + TYPE_SZ <= end) {
		const info = btf.dv.getUint32(at + 4, true);
		const kind = (info >>> 24) & 0x1f;
		const size = type_size(kind, info & 0xffff);
		if (size < 0) {
			lib.pr_debug(() => `Unsupported BTF_KIND:${kind}\n`);
			return size;
		}
		if (at + size > end) {
			lib.pr_warn(`BTF type [${btf.start_id + n}] is malformed\n`);
			return -EINVAL;
		}
		if (n === offs.length) {
			const bigger = new Int32Array(n * 2);
			bigger.set(offs);
			offs = bigger;
		}
		offs[n++] = at;
		at += size;
	}
	btf.offs = offs;
	btf.nr_types = n;
	if (at !== end) {
		lib.pr_warn("BTF types data is malformed\n");
		return -EINVAL;
	}
	return 0;
}

function sanity_check(lib: LibbpfPrinter, btf: Btf): number {
	const cnt = btf.type_cnt();
	const str_end = btf.start_str_off + btf.strs_len;
	const bad_str = (off: number, what: string, id: number): boolean => {
		if (off < str_end) return false;
		lib.pr_warn(`btf: type [${id}]: invalid ${what} (string offset ${off})\n`);
		return true;
	};
	const bad_id = (ref: number, id: number): boolean => {
		if (ref < cnt) return false;
		lib.pr_warn(`btf: type [${id}]: invalid referenced type ID ${ref}\n`);
		return true;
	};
	const dv = btf.dv;
	for (let i = 0; i < btf.nr_types; i++) {
		const id = btf.start_id + i;
		const at = btf.offs[i]!;
		const info = dv.getUint32(at + 4, true);
		const kind = (info >>> 24) & 0x1f;
		const vlen = info & 0xffff;
		const ref = dv.getUint32(at + 8, true);
		const rest = at + TYPE_SZ;
		if (bad_str(dv.getUint32(at, true), "type name", id)) return -EINVAL;
		switch (kind) {
			case BTF_KIND_INT:
			case BTF_KIND_FWD:
			case BTF_KIND_FLOAT:
				break;
			case BTF_KIND_PTR:
			case BTF_KIND_TYPEDEF:
			case BTF_KIND_VOLATILE:
			case BTF_KIND_CONST:
			case BTF_KIND_RESTRICT:
			case BTF_KIND_VAR:
			case BTF_KIND_DECL_TAG:
			case BTF_KIND_TYPE_TAG:
				if (bad_id(ref, id)) return -EINVAL;
				break;
			case BTF_KIND_ARRAY:
				if (bad_id(dv.getUint32(rest, true), id) || bad_id(dv.getUint32(rest + 4, true), id)) return -EINVAL;
				break;
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
				for (let m = 0; m < vlen; m++) {
					if (bad_str(dv.getUint32(rest + m * 12, true), "field name", id)) return -EINVAL;
					if (bad_id(dv.getUint32(rest + m * 12 + 4, true), id)) return -EINVAL;
				}
				break;
			case BTF_KIND_ENUM:
				for (let m = 0; m < vlen; m++)
					if (bad_str(dv.getUint32(rest + m * 8, true), "enum name", id)) return -EINVAL;
				break;
			case BTF_KIND_ENUM64:
				for (let m = 0; m < vlen; m++)
					if (bad_str(dv.getUint32(rest + m * 12, true), "enum name", id)) return -EINVAL;
				break;
			case BTF_KIND_FUNC:
				if (bad_id(ref, id)) return -EINVAL;
				if (btf.kind_of(ref) !== BTF_KIND_FUNC_PROTO) {
					lib.pr_warn(`btf: type [${id}]: referenced type [${ref}] is not FUNC_PROTO\n`);
					return -EINVAL;
				}
				break;
			case BTF_KIND_FUNC_PROTO:
				for (let m = 0; m < vlen; m++) {
					if (bad_str(dv.getUint32(rest + m * 8, true), "param name", id)) return -EINVAL;
					if (bad_id(dv.getUint32(rest + m * 8 + 4, true), id)) return -EINVAL;
				}
				break;
			case BTF_KIND_DATASEC:
				for (let m = 0; m < vlen; m++) if (bad_id(dv.getUint32(rest + m * 12, true), id)) return -EINVAL;
				break;
			default:
				lib.pr_warn(`btf: type [${id}]: unrecognized kind ${kind}\n`);
				return -EINVAL;
		}
	}
	return 0;
}

/** Bytes of a type with its members. */
export function btf_type_size(t: BtfType): number {
	return type_size(btf_kind(t), btf_vlen(t));
}

/** Whether a failed load may be tried again: the BTF has no descriptor yet. */
export function btf__claim(btf: Btf): number {
	return btf.fd >= 0 ? -EEXIST : 0;
}

/** Whether an int is signed. */
export function btf_int_signed(t: BtfType): boolean {
	return (btf_int_encoding(t) & BTF_INT_SIGNED) !== 0;
}
