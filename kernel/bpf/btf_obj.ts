// SPDX-License-Identifier: GPL-2.0-only
/**
 * The BTF object and the accessors of its types (kernel/bpf/btf.c, include/linux/btf.h).
 *
 * Types are found through typed arrays: `offs[id - start_id]` is the word at which a type's header stands in
 * `words`, so that opening a vmlinux BTF of 130,000 types touches each header once and makes no object. A
 * `btf_type` is made when it is first asked for and kept, so types may be compared with `===`.
 */

import { EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
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
	BTF_MAX_NAME_OFFSET,
} from "../../include/uapi/linux/btf.ts";
import type { Ref } from "../../lib/err.ts";
import type { CoreBtf, CoreType } from "../../lib/relo_core.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_struct_ops_desc } from "./bpf_struct_ops.ts";
import type { bpf_cand_cache } from "./btf_core.ts";
import type { btf_id_dtor, btf_kfunc_set_tab } from "./btf_kfunc.ts";
import type {
	btf,
	btf_array,
	btf_enum,
	btf_enum64,
	btf_member,
	btf_param,
	btf_struct_meta,
	btf_type,
	btf_var_secinfo,
	kmodule,
} from "./btf_types.ts";

/** Bytes of struct btf_header, btf_type and of what follows a type. */
export const BTF_HEADER_SIZE = 24;
export const BTF_TYPE_SIZE = 12;
export const MAX_RESOLVE_DEPTH = 32;
export const KSYM_NAME_LEN = 512;

/** Words that follow the header of a type: fixed part and words for each of vlen, by kind; -1: no such kind. */
const EXTRA_FIXED = [-1, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0];
const EXTRA_VLEN = [0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3];

/** Words that a type takes, header included. */
export function btf_type_words(info: number): number {
	const kind = (info >>> 24) & 0x1f;
	if (kind === BTF_KIND_UNKN || kind > BTF_KIND_MAX) return -1;
	return 3 + EXTRA_FIXED[kind]! + EXTRA_VLEN[kind]! * (info & 0xffff);
}

/** struct btf_header */
export interface btf_header {
	magic: number;
	version: number;
	flags: number;
	hdr_len: number;
	type_off: number;
	type_len: number;
	str_off: number;
	str_len: number;
}

/** A type, with what follows it decoded once. */
export class btf_type_rec implements btf_type, CoreType {
	readonly name_off: number;
	readonly info: number;
	readonly size: number;
	readonly btf: btf_obj;
	readonly id: number;
	/** Word index of the header. */
	readonly w: number;
	members: btf_member[] | null = null;
	params: btf_param[] | null = null;
	constructor(b: btf_obj, id: number, w: number) {
		this.btf = b;
		this.id = id;
		this.w = w;
		this.name_off = w < 0 ? 0 : b.words[w]!;
		this.info = w < 0 ? 0 : b.words[w + 1]!;
		this.size = w < 0 ? 0 : b.words[w + 2]!;
	}
	get type(): number {
		return this.size;
	}
	get off(): number {
		return this.w * 4;
	}
	/** The i-th u32 after struct btf_type. */
	word(i: number): number {
		return this.btf.words[this.w + 3 + i]!;
	}
}

/** struct btf */
export class btf_obj implements btf, CoreBtf {
	readonly kernel: Kernel | null;
	/** The whole blob: header, types, strings. */
	data: Uint8Array;
	hdr: btf_header = {
		magic: 0,
		version: 0,
		flags: 0,
		hdr_len: 0,
		type_off: 0,
		type_len: 0,
		str_off: 0,
		str_len: 0,
	};
	base_btf: btf_obj | null = null;
	start_id = 0;
	start_str_off = 0;
	nr_types = 0;
	/** The types section as words. */
	words: Uint32Array = new Uint32Array(0);
	/** Word index of each type of this object; for a base BTF entry 0 (void) is -1. */
	offs: Int32Array = new Int32Array(16);
	/** Byte at which the strings start in `data`. */
	str_pos = 0;
	id = 0;
	refcnt = 1;
	name = "";
	kernel_btf = false;
	module: kmodule | null = null;
	/** Set while the module is live (btf_module.flags & BTF_MODULE_F_LIVE). */
	module_live = false;
	resolved_ids: Uint32Array | null = null;
	resolved_sizes: Uint32Array | null = null;
	kfunc_set_tab: btf_kfunc_set_tab | null = null;
	dtor_kfunc_tab: btf_id_dtor[] | null = null;
	struct_meta_tab: btf_struct_meta[] | null = null;
	struct_ops_tab: bpf_struct_ops_desc[] | null = null;
	base_id_map: Uint32Array | null = null;
	/** vmlinux: candidates found for CO-RE, vmlinux_cand_cache and module_cand_cache. */
	cand_cache: { vmlinux: (bpf_cand_cache | null)[]; module: (bpf_cand_cache | null)[] } | null = null;
	/** vmlinux: struct bpf_ctx_convert. */
	ctx_convert: btf_type | null = null;
	/** Ids, offsets and sizes that btf_ids.ts looked up. */
	readonly id_cache = new Map<string, number>();
	private readonly types: (btf_type_rec | undefined)[] = [];
	private readonly strs = new Map<number, string>();
	/** Hash of essential names: heads by bucket, next by local index; both hold local index + 1. */
	private heads: Int32Array | null = null;
	private nexts: Int32Array | null = null;
	private tags: Map<number, number[]> | null = null;

	constructor(data: Uint8Array, kernel: Kernel | null = null) {
		this.data = data;
		this.kernel = kernel;
	}

	/** CoreBtf: a type of this BTF or its bases. */
	core_type(id: number): btf_type_rec | null {
		return btf_type_by_id(this, id) as btf_type_rec | null;
	}
	core_name(off: number): string | null {
		return btf_str_by_offset(this, off);
	}

	/** Adds a type at word `w`; the caller checked it. */
	add_type(w: number): void {
		if (this.nr_types === this.offs.length) {
			const grown = new Int32Array(this.offs.length * 2);
			grown.set(this.offs);
			this.offs = grown;
		}
		this.offs[this.nr_types++] = w;
	}

	/** A type of this very object by local index. */
	local_type(i: number): btf_type_rec {
		let t = this.types[i];
		if (t === undefined) {
			t = new btf_type_rec(this, this.start_id + i, this.offs[i]!);
			this.types[i] = t;
		}
		return t;
	}

	/** The string at an offset of this object's own section. */
	local_str(off: number): string {
		let s = this.strs.get(off);
		if (s === undefined) {
			const at = this.str_pos + off;
			const end = this.data.indexOf(0, at);
			s = latin1(this.data, at, end < 0 ? this.data.length : end);
			this.strs.set(off, s);
		}
		return s;
	}

	/** Word `i` of what follows type `t`. */
	extra(t: btf_type_rec, i: number): number {
		return this.words[t.w + 3 + i]!;
	}

	/** Local indices of types whose essential name (up to a "___flavor") hashes like `name`'s, ascending. */
	*bucket(name: string): Generator<number> {
		if (this.heads === null) this.build_names();
		const heads = this.heads!;
		const nexts = this.nexts!;
		for (let i = heads[hash_str(essential(name)) & (heads.length - 1)]!; i !== 0; i = nexts[i - 1]!)
			yield i - 1;
	}

	private build_names(): void {
		let buckets = 64;
		while (buckets < this.nr_types) buckets *= 2;
		const heads = new Int32Array(buckets);
		const nexts = new Int32Array(this.nr_types);
		const first = this.base_btf ? 0 : 1;
		for (let i = this.nr_types - 1; i >= first; i--) {
			const name_off = this.words[this.offs[i]!]!;
			if (name_off === 0) continue;
			let owner: btf_obj = this;
			while (name_off < owner.start_str_off) owner = owner.base_btf!;
			const h = hash_bytes(owner.data, owner.str_pos + name_off - owner.start_str_off) & (buckets - 1);
			nexts[i] = heads[h]!;
			heads[h] = i + 1;
		}
		this.heads = heads;
		this.nexts = nexts;
	}

	/** Ids of the decl tags of this object that are on type `target`. */
	decl_tags(target: number): readonly number[] {
		if (this.tags === null) {
			this.tags = new Map();
			for (let i = this.base_btf ? 0 : 1; i < this.nr_types; i++) {
				const w = this.offs[i]!;
				if (((this.words[w + 1]! >>> 24) & 0x1f) !== BTF_KIND_DECL_TAG) continue;
				const on = this.words[w + 2]!;
				const list = this.tags.get(on);
				if (list) list.push(this.start_id + i);
				else this.tags.set(on, [this.start_id + i]);
			}
		}
		return this.tags.get(target) ?? [];
	}

	/** Forget what was derived from words and strings (a relocated module's ids change in place). */
	drop_caches(): void {
		this.types.length = 0;
		this.strs.clear();
		this.heads = null;
		this.nexts = null;
		this.tags = null;
	}
}

/** Bytes as Latin-1, as the kernel's char is. */
export function latin1(data: Uint8Array, from: number, to: number): string {
	return Buffer.from(data.buffer, data.byteOffset + from, to - from).toString("latin1");
}

/** FNV-1a over the essential part of a NUL-terminated name. */
function hash_bytes(data: Uint8Array, at: number): number {
	let h = 0x811c9dc5;
	for (let p = at; ; p++) {
		const c = data[p];
		if (c === 0 || c === undefined) break;
		if (c === 0x5f && p > at && data[p + 1] === 0x5f && data[p + 2] === 0x5f) {
			if (flavor_at(data, p)) break;
		}
		h = Math.imul(h ^ c, 0x01000193);
	}
	return h >>> 0;
}

/** Is "___" at `p` the separator of a flavor: x___y with neither x nor y an underscore? */
function flavor_at(data: Uint8Array, p: number): boolean {
	const before = data[p - 1];
	const after = data[p + 3];
	return before !== 0x5f && after !== 0x5f && after !== 0 && after !== undefined;
}

function hash_str(s: string): number {
	let h = 0x811c9dc5;
	for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193);
	return h >>> 0;
}

function essential(s: string): string {
	const m = /[^_]___[^_]/.exec(s);
	return m ? s.slice(0, m.index + 1) : s;
}

function impl(b: btf): btf_obj {
	return b as btf_obj;
}

/** The object behind the interface: fields that only kernel/bpf/btf*.ts use. */
export function btf_impl(b: btf): btf_obj {
	return b as btf_obj;
}

function rec(t: btf_type): btf_type_rec {
	return t as btf_type_rec;
}

// --- include/linux/btf.h, include/uapi/linux/btf.h: words and kinds ---

export function BTF_INFO_KIND(info: number): number {
	return (info >>> 24) & 0x1f;
}
export function BTF_INFO_VLEN(info: number): number {
	return info & 0xffff;
}
export function BTF_INFO_KFLAG(info: number): boolean {
	return info >>> 31 !== 0;
}
export function BTF_INT_ENCODING(val: number): number {
	return (val & 0x0f000000) >>> 24;
}
export function BTF_INT_OFFSET(val: number): number {
	return (val & 0x00ff0000) >>> 16;
}
export function BTF_INT_BITS(val: number): number {
	return val & 0xff;
}
export function BTF_MEMBER_BITFIELD_SIZE(val: number): number {
	return val >>> 24;
}
export function BTF_MEMBER_BIT_OFFSET(val: number): number {
	return val & 0xffffff;
}
export function BITS_ROUNDDOWN_BYTES(bits: number): number {
	return bits >>> 3;
}
export function BITS_ROUNDUP_BYTES(bits: number): number {
	return (bits >>> 3) + (bits & 7 ? 1 : 0);
}

/** include/linux/btf.h: btf_kind */
export function btf_kind(t: btf_type): number {
	return (t.info >>> 24) & 0x1f;
}
/** include/linux/btf.h: btf_type_vlen */
export function btf_type_vlen(t: btf_type): number {
	return t.info & 0xffff;
}
export const btf_vlen: (t: btf_type) => number = btf_type_vlen;
/** include/linux/btf.h: btf_func_linkage */
export function btf_func_linkage(t: btf_type): number {
	return t.info & 0xffff;
}
/** include/linux/btf.h: btf_type_kflag */
export function btf_type_kflag(t: btf_type): boolean {
	return t.info >>> 31 !== 0;
}

export function btf_type_is_ptr(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_PTR;
}
export function btf_type_is_int(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_INT;
}
export function btf_type_is_small_int(t: btf_type): boolean {
	return btf_type_is_int(t) && t.size <= 8;
}
export function btf_int_encoding(t: btf_type): number {
	return BTF_INT_ENCODING(btf_type_int(t));
}
export function btf_int_offset(t: btf_type): number {
	return BTF_INT_OFFSET(btf_type_int(t));
}
export function btf_int_bits(t: btf_type): number {
	return BTF_INT_BITS(btf_type_int(t));
}
export function btf_type_is_signed_int(t: btf_type): boolean {
	return btf_type_is_int(t) && (btf_int_encoding(t) & BTF_INT_SIGNED) !== 0;
}
export function btf_type_is_enum(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_ENUM;
}
export function btf_is_any_enum(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_ENUM || btf_kind(t) === BTF_KIND_ENUM64;
}
export function btf_kind_core_compat(t1: btf_type, t2: btf_type): boolean {
	return btf_kind(t1) === btf_kind(t2) || (btf_is_any_enum(t1) && btf_is_any_enum(t2));
}
/** include/linux/btf.h: btf_type_is_scalar */
export function btf_type_is_scalar(t: btf_type): boolean {
	return btf_type_is_int(t) || btf_type_is_enum(t);
}
export function btf_type_is_fwd(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_FWD;
}
export function btf_type_is_typedef(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_TYPEDEF;
}
export function btf_type_is_volatile(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_VOLATILE;
}
export function btf_type_is_func(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_FUNC;
}
export function btf_type_is_func_proto(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_FUNC_PROTO;
}
export function btf_type_is_var(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_VAR;
}
export function btf_type_is_type_tag(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_TYPE_TAG;
}
/** Struct or union. */
export function btf_type_is_struct(t: btf_type): boolean {
	const kind = btf_kind(t);
	return kind === BTF_KIND_STRUCT || kind === BTF_KIND_UNION;
}
/** Struct, not union. */
export function __btf_type_is_struct(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_STRUCT;
}
export function btf_type_is_array(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_ARRAY;
}
export function btf_type_is_datasec(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_DATASEC;
}
export function btf_type_is_decl_tag(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_DECL_TAG;
}
export function btf_type_is_float(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_FLOAT;
}
/** kernel/bpf/btf.c: btf_type_is_modifier */
export function btf_type_is_modifier(t: btf_type): boolean {
	switch (btf_kind(t)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			return true;
	}
	return false;
}
/** kernel/bpf/btf.c: btf_type_is_void */
export function btf_type_is_void(t: btf_type): boolean {
	return rec(t).w < 0;
}
export function btf_type_nosize(t: btf_type): boolean {
	return (
		btf_type_is_void(t) ||
		btf_type_is_fwd(t) ||
		btf_type_is_func(t) ||
		btf_type_is_func_proto(t) ||
		btf_type_is_decl_tag(t)
	);
}
export function btf_type_nosize_or_null(t: btf_type | null): boolean {
	return !t || btf_type_nosize(t);
}
export function btf_type_is_decl_tag_target(t: btf_type): boolean {
	return btf_type_is_func(t) || btf_type_is_struct(t) || btf_type_is_var(t) || btf_type_is_typedef(t);
}
export function btf_type_is_resolve_source_only(t: btf_type): boolean {
	return btf_type_is_var(t) || btf_type_is_decl_tag(t) || btf_type_is_datasec(t);
}
export function btf_type_needs_resolve(t: btf_type): boolean {
	return (
		btf_type_is_modifier(t) ||
		btf_type_is_ptr(t) ||
		btf_type_is_struct(t) ||
		btf_type_is_array(t) ||
		btf_type_is_var(t) ||
		btf_type_is_func(t) ||
		btf_type_is_decl_tag(t) ||
		btf_type_is_datasec(t)
	);
}
/** kernel/bpf/btf.c: btf_type_has_size: t.size is a size */
export function btf_type_has_size(t: btf_type): boolean {
	switch (btf_kind(t)) {
		case BTF_KIND_INT:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM:
		case BTF_KIND_DATASEC:
		case BTF_KIND_FLOAT:
		case BTF_KIND_ENUM64:
			return true;
	}
	return false;
}

/** The UAPI names libbpf uses, too. */
export const btf_is_enum: (t: btf_type) => boolean = btf_type_is_enum;
export function btf_is_enum64(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_ENUM64;
}
export const btf_is_composite: (t: btf_type) => boolean = btf_type_is_struct;
export const btf_is_array: (t: btf_type) => boolean = btf_type_is_array;
export const btf_is_int: (t: btf_type) => boolean = btf_type_is_int;
export const btf_is_ptr: (t: btf_type) => boolean = btf_type_is_ptr;
export function btf_is_typedef(t: btf_type): boolean {
	return btf_kind(t) === BTF_KIND_TYPEDEF;
}

const btf_kind_str = [
	"UNKNOWN",
	"INT",
	"PTR",
	"ARRAY",
	"STRUCT",
	"UNION",
	"ENUM",
	"FWD",
	"TYPEDEF",
	"VOLATILE",
	"CONST",
	"RESTRICT",
	"FUNC",
	"FUNC_PROTO",
	"VAR",
	"DATASEC",
	"FLOAT",
	"DECL_TAG",
	"TYPE_TAG",
	"ENUM64",
] as const;

/** kernel/bpf/btf.c: btf_type_str: name of a type's kind */
export function btf_type_str(t: btf_type): string {
	return btf_kind_str[btf_kind(t)] ?? "(null)";
}

// --- what follows a type ---

/** kernel/bpf/btf.c: btf_type_int: the word after an INT */
export function btf_type_int(t: btf_type): number {
	const r = rec(t);
	return r.btf.extra(r, 0);
}
/** kernel/bpf/btf.c: btf_type_array */
export function btf_type_array(t: btf_type): btf_array {
	const r = rec(t);
	const w = r.btf.words;
	return { type: w[r.w + 3]!, index_type: w[r.w + 4]!, nelems: w[r.w + 5]! };
}
export const btf_array_of: (t: btf_type) => btf_array = btf_type_array;
/** include/linux/btf.h: btf_array() */
export { btf_type_array as btf_array };

/** include/linux/btf.h: btf_type_member: the members of a struct or union */
export function btf_type_member(t: btf_type): readonly btf_member[] {
	const r = rec(t);
	if (r.members === null) {
		const w = r.btf.words;
		const n = btf_type_vlen(t);
		const list = new Array<btf_member>(n);
		for (let i = 0, p = r.w + 3; i < n; i++, p += 3)
			list[i] = { name_off: w[p]!, type: w[p + 1]!, offset: w[p + 2]! };
		r.members = list;
	}
	return r.members;
}
export const btf_members: (t: btf_type) => readonly btf_member[] = btf_type_member;
/** include/linux/btf.h: btf_params: the parameters of a FUNC_PROTO */
export function btf_params(t: btf_type): readonly btf_param[] {
	const r = rec(t);
	if (r.params === null) {
		const w = r.btf.words;
		const n = btf_type_vlen(t);
		const list = new Array<btf_param>(n);
		for (let i = 0, p = r.w + 3; i < n; i++, p += 2) list[i] = { name_off: w[p]!, type: w[p + 1]! };
		r.params = list;
	}
	return r.params;
}
/** kernel/bpf/btf.c: btf_type_enum */
export function btf_type_enum(t: btf_type): btf_enum[] {
	const r = rec(t);
	const w = r.btf.words;
	const n = btf_type_vlen(t);
	const list = new Array<btf_enum>(n);
	for (let i = 0, p = r.w + 3; i < n; i++, p += 2) list[i] = { name_off: w[p]!, val: w[p + 1]! | 0 };
	return list;
}
/** kernel/bpf/btf.c: btf_type_enum64 */
export function btf_type_enum64(t: btf_type): btf_enum64[] {
	const r = rec(t);
	const w = r.btf.words;
	const n = btf_type_vlen(t);
	const list = new Array<btf_enum64>(n);
	for (let i = 0, p = r.w + 3; i < n; i++, p += 3)
		list[i] = { name_off: w[p]!, val_lo32: w[p + 1]!, val_hi32: w[p + 2]! };
	return list;
}
export { btf_type_enum as btf_enum, btf_type_enum64 as btf_enum64 };
/** include/linux/btf.h: btf_enum64_value */
export function btf_enum64_value(e: btf_enum64): bigint {
	return (BigInt(e.val_hi32) << 32n) | BigInt(e.val_lo32);
}
/** include/linux/btf.h: btf_type_var_secinfo: the variables of a DATASEC */
export function btf_type_var_secinfo(t: btf_type): btf_var_secinfo[] {
	const r = rec(t);
	const w = r.btf.words;
	const n = btf_type_vlen(t);
	const list = new Array<btf_var_secinfo>(n);
	for (let i = 0, p = r.w + 3; i < n; i++, p += 3)
		list[i] = { type: w[p]!, offset: w[p + 1]!, size: w[p + 2]! };
	return list;
}
/** kernel/bpf/btf.c: btf_type_var */
export function btf_type_var(t: btf_type): { linkage: number } {
	const r = rec(t);
	return { linkage: r.btf.extra(r, 0) };
}
/** kernel/bpf/btf.c: btf_type_decl_tag */
export function btf_type_decl_tag(t: btf_type): { component_idx: number } {
	const r = rec(t);
	return { component_idx: r.btf.extra(r, 0) | 0 };
}
export { btf_type_decl_tag as btf_decl_tag };
/** include/linux/btf.h: __btf_member_bit_offset */
export function __btf_member_bit_offset(struct_type: btf_type, member: btf_member): number {
	return btf_type_kflag(struct_type) ? BTF_MEMBER_BIT_OFFSET(member.offset) : member.offset;
}
/** include/linux/btf.h: __btf_member_bitfield_size */
export function __btf_member_bitfield_size(struct_type: btf_type, member: btf_member): number {
	return btf_type_kflag(struct_type) ? BTF_MEMBER_BITFIELD_SIZE(member.offset) : 0;
}
export function btf_member_bit_offset(t: btf_type, member_idx: number): number {
	return __btf_member_bit_offset(t, btf_type_member(t)[member_idx]!);
}
export function btf_member_bitfield_size(t: btf_type, member_idx: number): number {
	return __btf_member_bitfield_size(t, btf_type_member(t)[member_idx]!);
}

// --- objects, names, types by id ---

/** kernel/bpf/btf.c: btf_is_vmlinux */
export function btf_is_vmlinux(b: btf): boolean {
	return b.kernel_btf && !b.base_btf;
}
/** kernel/bpf/btf.c: btf_is_kernel */
export function btf_is_kernel(b: btf): boolean {
	return b.kernel_btf;
}
/** kernel/bpf/btf.c: btf_is_module */
export function btf_is_module(b: btf): boolean {
	return b.kernel_btf && b.name !== "vmlinux";
}
/** kernel/bpf/btf.c: btf_obj_id */
export function btf_obj_id(b: btf): number {
	return b.id;
}
/** kernel/bpf/btf.c: btf_get_name */
export function btf_get_name(b: btf): string {
	return b.name;
}
/** kernel/bpf/btf.c: btf_base_btf */
export function btf_base_btf(b: btf): btf | null {
	return b.base_btf;
}
/** kernel/bpf/btf.c: btf_nr_types: types of this BTF and of its bases, void included */
export function btf_nr_types(b: btf): number {
	let total = 0;
	for (let p: btf | null = b; p; p = p.base_btf) total += p.nr_types;
	return total;
}
/** kernel/bpf/btf.c: btf_type_by_id */
export function btf_type_by_id(b: btf, type_id: number): btf_type | null {
	let o = impl(b);
	while (type_id < o.start_id) o = o.base_btf!;
	const i = type_id - o.start_id;
	if (i >= o.nr_types) return null;
	return o.local_type(i);
}
/** kernel/bpf/btf.c: btf_name_offset_valid */
export function btf_name_offset_valid(b: btf, offset: number): boolean {
	if (offset > BTF_MAX_NAME_OFFSET) return false;
	let o = impl(b);
	while (offset < o.start_str_off) o = o.base_btf!;
	return offset - o.start_str_off < o.hdr.str_len;
}
/** kernel/bpf/btf.c: btf_str_by_offset */
export function btf_str_by_offset(b: btf, offset: number): string | null {
	let o = impl(b);
	while (offset < o.start_str_off) o = o.base_btf!;
	const at = offset - o.start_str_off;
	if (at < o.hdr.str_len) return o.local_str(at);
	return null;
}
/** kernel/bpf/btf.c: btf_name_by_offset */
export function btf_name_by_offset(b: btf, offset: number): string | null {
	return btf_str_by_offset(b, offset);
}
/** kernel/bpf/btf.c: __btf_name_by_offset: for printing */
export function __btf_name_by_offset(b: btf, offset: number): string {
	if (!offset) return "(anon)";
	return btf_str_by_offset(b, offset) ?? "(invalid-name-offset)";
}
/** The name of a type that was checked: never null. */
export function btf_tname(b: btf, t: btf_type): string {
	return btf_str_by_offset(b, t.name_off) ?? "";
}

/** Ids of types with this very name, ascending, over the BTF and its bases (bases first). */
export function btf_ids_by_name(b: btf, name: string): number[] {
	const o = impl(b);
	const out = o.base_btf ? btf_ids_by_name(o.base_btf, name) : [];
	for (const i of o.bucket(name)) {
		const t = o.local_type(i);
		if (btf_str_by_offset(o, t.name_off) === name) out.push(t.id);
	}
	return out;
}
/** kernel/bpf/btf.c: btf_find_by_name_kind: the first type of that name and kind; -ENOENT */
export function btf_find_by_name_kind(b: btf, name: string, kind: number): number {
	const o = impl(b);
	if (name === "") return find_anonymous(o, kind);
	if (o.base_btf) {
		const id = btf_find_by_name_kind(o.base_btf, name, kind);
		if (id > 0) return id;
	}
	for (const i of o.bucket(name)) {
		const info = o.words[o.offs[i]! + 1]!;
		if (((info >>> 24) & 0x1f) !== kind) continue;
		if (btf_str_by_offset(o, o.words[o.offs[i]!]!) === name) return o.start_id + i;
	}
	return -ENOENT;
}
function find_anonymous(o: btf_obj, kind: number): number {
	const total = btf_nr_types(o);
	for (let i = 1; i < total; i++) {
		const t = btf_type_by_id(o, i)!;
		if (btf_kind(t) === kind && btf_tname(o, t) === "") return i;
	}
	return -ENOENT;
}

/** kernel/bpf/btf.c: btf_get, btf_put. Freeing is the garbage collector's; the id goes with the last reference. */
export function btf_get(b: btf): void {
	b.refcnt++;
}
export function btf_put(b: btf | null): void {
	if (b && --b.refcnt === 0 && b.id) {
		impl(b).kernel?.bpf.btfs.delete(b.id);
		b.id = 0;
	}
}
/** kernel/bpf/btf.c: btf_set_base_btf */
export function btf_set_base_btf(b: btf, base: btf): void {
	const o = impl(b);
	o.base_btf = impl(base);
	o.start_id = btf_nr_types(base);
	o.start_str_off = impl(base).hdr.str_len;
}

/** kernel/bpf/btf.c: btf_type_skip_modifiers; res_id gets the id of what it returns */
export function btf_type_skip_modifiers(b: btf, id: number, res_id?: Ref<number> | null): btf_type {
	let t = btf_type_by_id(b, id)!;
	while (btf_type_is_modifier(t)) {
		id = t.type;
		t = btf_type_by_id(b, id)!;
	}
	if (res_id) res_id.val = id;
	return t;
}
/** kernel/bpf/btf.c: btf_type_skip_qualifiers: modifiers but typedefs */
export function btf_type_skip_qualifiers(b: btf, id: number): btf_type {
	let t = btf_type_by_id(b, id)!;
	while (btf_type_is_modifier(t) && btf_kind(t) !== BTF_KIND_TYPEDEF) t = btf_type_by_id(b, t.type)!;
	return t;
}
/** kernel/bpf/btf.c: btf_type_resolve_ptr: what a pointer points at, past modifiers; null when it is none */
export function btf_type_resolve_ptr(b: btf, id: number, res_id?: Ref<number> | null): btf_type | null {
	const t = btf_type_skip_modifiers(b, id);
	if (!btf_type_is_ptr(t)) return null;
	return btf_type_skip_modifiers(b, t.type, res_id);
}
/** kernel/bpf/btf.c: btf_type_resolve_func_ptr */
export function btf_type_resolve_func_ptr(b: btf, id: number, res_id?: Ref<number> | null): btf_type | null {
	const ptype = btf_type_resolve_ptr(b, id, res_id);
	if (ptype && btf_type_is_func_proto(ptype)) return ptype;
	return null;
}
/** include/linux/btf.h: btf_type_is_struct_ptr */
export function btf_type_is_struct_ptr(b: btf, t: btf_type): boolean {
	if (!btf_type_is_ptr(t)) return false;
	return btf_type_is_struct(btf_type_skip_modifiers(b, t.type));
}

/** What __btf_resolve_size() says besides the type it returns. */
export interface resolved_size {
	size: number;
	elem_type: btf_type;
	/** Id of the (unresolved) element type of the innermost array; 0 when there is none. */
	elem_id: number;
	total_nelems: number;
	/** Id of the last modifier's target; null when no modifier was passed. */
	type_id: number | null;
	/** The array, or the resolved type. */
	type: btf_type;
}

/** kernel/bpf/btf.c: __btf_resolve_size */
export function __btf_resolve_size(b: btf, type: btf_type): resolved_size | number {
	let array_type: btf_type | null = null;
	let array: btf_array | null = null;
	let nelems = 1;
	let id = 0;
	for (let i = 0; i < MAX_RESOLVE_DEPTH; i++) {
		let size = -1;
		switch (btf_kind(type)) {
			case BTF_KIND_INT:
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
			case BTF_KIND_ENUM:
			case BTF_KIND_FLOAT:
			case BTF_KIND_ENUM64:
				size = type.size;
				break;
			case BTF_KIND_PTR:
				size = 8;
				break;
			case BTF_KIND_TYPEDEF:
			case BTF_KIND_VOLATILE:
			case BTF_KIND_CONST:
			case BTF_KIND_RESTRICT:
			case BTF_KIND_TYPE_TAG:
				id = type.type;
				type = btf_type_by_id(b, type.type)!;
				continue;
			case BTF_KIND_ARRAY:
				array_type ??= type;
				array = btf_type_array(type);
				if (nelems && array.nelems > Math.floor(0xffffffff / nelems)) return -EINVAL;
				nelems *= array.nelems;
				type = btf_type_by_id(b, array.type)!;
				continue;
			default:
				return -EINVAL;
		}
		if (nelems && size > Math.floor(0xffffffff / nelems)) return -EINVAL;
		return {
			size: nelems * size,
			elem_type: type,
			elem_id: array ? array.type : 0,
			total_nelems: nelems,
			type_id: id || null,
			type: array_type ?? type,
		};
	}
	return -EINVAL;
}
/** kernel/bpf/btf.c: btf_resolve_size */
export function btf_resolve_size(b: btf, type: btf_type, type_size: Ref<number>): btf_type | number {
	const r = __btf_resolve_size(b, type);
	if (typeof r === "number") return r;
	type_size.val = r.size;
	return r.type;
}

/** kernel/bpf/btf.c: btf_resolved_type_id. A kernel BTF, which is not resolved type by type, is followed here. */
export function btf_resolved_type_id(b: btf, type_id: number): number {
	let o = impl(b);
	while (type_id < o.start_id) o = o.base_btf!;
	if (o.resolved_ids) return o.resolved_ids[type_id - o.start_id]!;
	let t = btf_type_by_id(o, type_id)!;
	while (btf_type_is_modifier(t) || btf_type_is_var(t)) t = btf_type_by_id(o, t.type)!;
	return t.id;
}
/** kernel/bpf/btf.c: btf_type_id_resolve */
export function btf_type_id_resolve(b: btf, type_id: Ref<number>): btf_type {
	type_id.val = btf_resolved_type_id(b, type_id.val);
	return btf_type_by_id(b, type_id.val)!;
}
function btf_resolved_type_size(b: btf, type_id: number): number {
	let o = impl(b);
	while (type_id < o.start_id) o = o.base_btf!;
	if (o.resolved_sizes) return o.resolved_sizes[type_id - o.start_id]!;
	const r = __btf_resolve_size(o, btf_type_by_id(o, type_id)!);
	return typeof r === "number" ? 0 : r.size;
}
/** kernel/bpf/btf.c: btf_type_id_size: the sized type behind a type, its id and its size */
export function btf_type_id_size(
	b: btf,
	type_id: Ref<number>,
	ret_size?: Ref<number> | null,
): btf_type | null {
	let size_type_id = type_id.val;
	let size = 0;
	let size_type = btf_type_by_id(b, size_type_id);
	if (!size_type || btf_type_nosize(size_type)) return null;
	if (btf_type_has_size(size_type)) {
		size = size_type.size;
	} else if (btf_type_is_array(size_type)) {
		size = btf_resolved_type_size(b, size_type_id);
	} else if (btf_type_is_ptr(size_type)) {
		size = 8;
	} else {
		if (!btf_type_is_modifier(size_type) && !btf_type_is_var(size_type)) return null;
		size_type_id = btf_resolved_type_id(b, size_type_id);
		size_type = btf_type_by_id(b, size_type_id);
		if (!size_type || btf_type_nosize(size_type)) return null;
		if (btf_type_has_size(size_type)) size = size_type.size;
		else if (btf_type_is_array(size_type)) size = btf_resolved_type_size(b, size_type_id);
		else if (btf_type_is_ptr(size_type)) size = 8;
		else return null;
	}
	type_id.val = size_type_id;
	if (ret_size) ret_size.val = size;
	return size_type;
}

/** kernel/bpf/btf.c: btf_type_int_is_regular */
export function btf_type_int_is_regular(t: btf_type): boolean {
	const int_data = btf_type_int(t);
	const nr_bits = BTF_INT_BITS(int_data);
	const nr_bytes = BITS_ROUNDUP_BYTES(nr_bits);
	return !(
		nr_bits & 7 ||
		BTF_INT_OFFSET(int_data) ||
		(nr_bytes !== 1 && nr_bytes !== 2 && nr_bytes !== 4 && nr_bytes !== 8 && nr_bytes !== 16)
	);
}
/** kernel/bpf/btf.c: btf_member_is_reg_int */
export function btf_member_is_reg_int(
	b: btf,
	s: btf_type,
	m: btf_member,
	expected_offset: number,
	expected_size: number,
): boolean {
	const t = btf_type_id_size(b, { val: m.type });
	if (!t || !btf_type_is_int(t)) return false;
	const int_data = btf_type_int(t);
	const nr_bits = BTF_INT_BITS(int_data);
	if (btf_type_kflag(s)) {
		return (
			!BTF_MEMBER_BITFIELD_SIZE(m.offset) &&
			BITS_ROUNDUP_BYTES(BTF_MEMBER_BIT_OFFSET(m.offset)) === expected_offset &&
			BITS_ROUNDUP_BYTES(nr_bits) === expected_size
		);
	}
	return !(
		BTF_INT_OFFSET(int_data) ||
		m.offset & 7 ||
		BITS_ROUNDUP_BYTES(m.offset) !== expected_offset ||
		nr_bits & 7 ||
		BITS_ROUNDUP_BYTES(nr_bits) !== expected_size
	);
}

/** Read a header from the blob's start; a short one is padded with zeroes, as btf_parse_hdr() does. */
export function read_btf_header(data: Uint8Array): btf_header {
	const head = new Uint8Array(BTF_HEADER_SIZE);
	head.set(data.subarray(0, BTF_HEADER_SIZE));
	const dv = new DataView(head.buffer);
	return {
		magic: dv.getUint16(0, true),
		version: head[2]!,
		flags: head[3]!,
		hdr_len: dv.getUint32(4, true),
		type_off: dv.getUint32(8, true),
		type_len: dv.getUint32(12, true),
		str_off: dv.getUint32(16, true),
		str_len: dv.getUint32(20, true),
	};
}

/** Lay out words and strings after the header is known. */
export function btf_set_sections(o: btf_obj): void {
	const { hdr, data } = o;
	const at = hdr.hdr_len + hdr.type_off;
	const len = hdr.type_len & ~3;
	const words = new Uint32Array(len >>> 2);
	new Uint8Array(words.buffer).set(data.subarray(at, at + len));
	o.words = words;
	o.str_pos = hdr.hdr_len + hdr.str_off;
}

/**
 * Open a BTF of the kernel itself without the checks that user BTF gets: vmlinux (no base) or a module (on a base).
 * Returns -EINVAL when its sections do not even parse.
 */
export function btf_open_trusted(
	kernel: Kernel | null,
	data: Uint8Array,
	name: string,
	base: btf | null = null,
): btf_obj | number {
	const o = new btf_obj(data, kernel);
	o.hdr = read_btf_header(data);
	if (o.hdr.magic !== 0xeb9f || o.hdr.hdr_len + o.hdr.str_off + o.hdr.str_len > data.length) return -EINVAL;
	btf_set_sections(o);
	if (base) btf_set_base_btf(o, base);
	o.kernel_btf = true;
	o.name = name;
	o.offs = new Int32Array(Math.max(16, o.words.length >>> 3));
	if (!base) o.add_type(-1);
	const words = o.words;
	for (let w = 0; w < words.length; ) {
		const n = btf_type_words(words[w + 1]!);
		if (n < 0 || w + n > words.length) return -EINVAL;
		o.add_type(w);
		w += n;
	}
	return o;
}
