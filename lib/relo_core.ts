// SPDX-License-Identifier: GPL-2.0-only
/**
 * CO-RE arithmetic (tools/lib/bpf/relo_core.c): what an access recorded by the compiler means in another BTF,
 * and how the instruction changes. The kernel (bpf_core_apply) and libbpf share this file; each sees its BTF
 * through `CoreBtf`.
 *
 * An access string "0:1:2" is parsed against the local type into a `CoreSpec` (raw indices, and accessors with
 * names where members are named), matched member by member by name against each candidate type, and turned
 * into the value that the relocation asks for.
 */
import { E2BIG, EINVAL, EOPNOTSUPP, ERANGE, EUCLEAN } from "../include/uapi/asm-generic/errno.ts";
import {
	BPF_CORE_ENUMVAL_EXISTS,
	BPF_CORE_ENUMVAL_VALUE,
	BPF_CORE_FIELD_BYTE_OFFSET,
	BPF_CORE_FIELD_BYTE_SIZE,
	BPF_CORE_FIELD_EXISTS,
	BPF_CORE_FIELD_LSHIFT_U64,
	BPF_CORE_FIELD_RSHIFT_U64,
	BPF_CORE_FIELD_SIGNED,
	BPF_CORE_TYPE_EXISTS,
	BPF_CORE_TYPE_ID_LOCAL,
	BPF_CORE_TYPE_ID_TARGET,
	BPF_CORE_TYPE_MATCHES,
	BPF_CORE_TYPE_SIZE,
} from "../include/uapi/linux/bpf.ts";
import {
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_CONST,
	BTF_KIND_DATASEC,
	BTF_KIND_DECL_TAG,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
	BTF_KIND_FLOAT,
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
} from "../include/uapi/linux/btf.ts";

/** A type as CO-RE sees it: struct btf_type and the words after it. */
export interface CoreType {
	readonly name_off: number;
	readonly info: number;
	/** The union word: size or type. */
	readonly size: number;
	/** The i-th u32 after struct btf_type. */
	word(i: number): number;
}

/** A BTF as CO-RE sees it. */
export interface CoreBtf {
	/** btf_type_by_id(); null when there is none. Id 0 is void: info 0. */
	core_type(id: number): CoreType | null;
	/** btf__name_by_offset(); null when the offset is invalid. */
	core_name(off: number): string | null;
}

/** struct bpf_core_relo (include/uapi/linux/bpf.h) */
export interface bpf_core_relo {
	insn_off: number;
	type_id: number;
	access_str_off: number;
	kind: number;
}

export interface bpf_core_cand {
	btf: CoreBtf;
	id: number;
}

/** struct bpf_core_cand_list: bpf_core_calc_relo_insn() shrinks it to the candidates that matched. */
export interface bpf_core_cand_list {
	cands: bpf_core_cand[];
}

export const BPF_CORE_SPEC_MAX_LEN = 64;

/** struct bpf_core_accessor: a named member, or an array index (no name). */
export interface bpf_core_accessor {
	type_id: number;
	idx: number;
	name: string | null;
}

/** struct bpf_core_spec */
export interface bpf_core_spec {
	btf: CoreBtf;
	spec: bpf_core_accessor[];
	root_type_id: number;
	relo_kind: number;
	raw_spec: number[];
	bit_offset: number;
}

/** struct bpf_core_relo_res. Values are u64. */
export interface bpf_core_relo_res {
	orig_val: bigint;
	new_val: bigint;
	poison: boolean;
	validate: boolean;
	fail_memsz_adjust: boolean;
	orig_sz: number;
	orig_type_id: number;
	new_sz: number;
	new_type_id: number;
}

/** Who relocates: what messages say of the program, where they go, how deep types are compared. */
export interface CoreCtx {
	/** The program's name in messages (the kernel leaves it empty). */
	prog_name: string;
	warn(text: string): void;
	debug(text: string): void;
	/** Levels of function prototypes that are compared: 2 in the kernel, 32 in libbpf. */
	types_depth: number;
}

/** An instruction as it is patched (struct bpf_insn). */
export interface CoreInsn {
	code: number;
	dst_reg: number;
	src_reg: number;
	off: number;
	imm: number;
}

/** The imm of a poisoned instruction: 0xbad2310, "bad relo". */
export const BPF_CORE_POISON_IMM = 195896080;

const kind_of = (t: CoreType): number => (t.info >>> 24) & 0x1f;
const vlen_of = (t: CoreType): number => t.info & 0xffff;
const kflag = (t: CoreType): boolean => t.info >>> 31 !== 0;
const int_enc = (t: CoreType): number => (t.word(0) & 0x0f000000) >>> 24;
const int_off = (t: CoreType): number => (t.word(0) & 0x00ff0000) >>> 16;
const is_composite = (t: CoreType): boolean =>
	kind_of(t) === BTF_KIND_STRUCT || kind_of(t) === BTF_KIND_UNION;
const is_any_enum = (t: CoreType): boolean => kind_of(t) === BTF_KIND_ENUM || kind_of(t) === BTF_KIND_ENUM64;
const is_kind = (t: CoreType, kind: number): boolean => kind_of(t) === kind;
const empty = (s: string | null): boolean => s === null || s === "";
const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);

const member_name = (t: CoreType, i: number): number => t.word(3 * i);
const member_type = (t: CoreType, i: number): number => t.word(3 * i + 1);
const member_bit_offset = (t: CoreType, i: number): number =>
	kflag(t) ? t.word(3 * i + 2) & 0xffffff : t.word(3 * i + 2);
const member_bitfield_size = (t: CoreType, i: number): number => (kflag(t) ? t.word(3 * i + 2) >>> 24 : 0);
const enum_name = (t: CoreType, i: number): number => t.word((is_kind(t, BTF_KIND_ENUM) ? 2 : 3) * i);

const KIND_STR = [
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

/**
 * The names libbpf prints are in lower case (btf_kind_str of libbpf.c), the kernel's in upper case; both go
 * through the context of the caller's choice.
 */
export interface CoreKindNames {
	kind_str?(kind: number): string;
}

function kind_str(ctx: CoreCtx & CoreKindNames, t: CoreType): string {
	return ctx.kind_str ? ctx.kind_str(kind_of(t)) : (KIND_STR[kind_of(t)] ?? "(null)");
}

interface Resolved {
	t: CoreType;
	id: number;
}

/** skip_mods_and_typedefs() */
function skip(btf: CoreBtf, id: number): Resolved | null {
	let t = btf.core_type(id);
	while (t) {
		switch (kind_of(t)) {
			case BTF_KIND_TYPEDEF:
			case BTF_KIND_VOLATILE:
			case BTF_KIND_CONST:
			case BTF_KIND_RESTRICT:
			case BTF_KIND_TYPE_TAG:
				id = t.size;
				t = btf.core_type(id);
				continue;
		}
		return { t, id };
	}
	return null;
}

/** btf__resolve_size() */
function resolve_size(btf: CoreBtf, id: number): number {
	let nelems = 1;
	for (let i = 0; i < 32; i++) {
		const t = btf.core_type(id);
		if (!t) return -EINVAL;
		let size = 0;
		switch (kind_of(t)) {
			case BTF_KIND_INT:
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
			case BTF_KIND_ENUM:
			case BTF_KIND_ENUM64:
			case BTF_KIND_FLOAT:
			case BTF_KIND_DATASEC:
				size = t.size;
				break;
			case BTF_KIND_PTR:
				size = 8;
				break;
			case BTF_KIND_TYPEDEF:
			case BTF_KIND_VOLATILE:
			case BTF_KIND_CONST:
			case BTF_KIND_RESTRICT:
			case BTF_KIND_VAR:
			case BTF_KIND_DECL_TAG:
			case BTF_KIND_TYPE_TAG:
				id = t.size;
				continue;
			case BTF_KIND_ARRAY:
				if (nelems && t.word(2) > Math.floor(0xffffffff / nelems)) return -EINVAL;
				nelems *= t.word(2);
				id = t.word(0);
				continue;
			default:
				return -EINVAL;
		}
		if (nelems && size > Math.floor(0xffffffff / nelems)) return -EINVAL;
		return nelems * size;
	}
	return -EINVAL;
}

/**
 * kernel/bpf/btf.c, tools/lib/bpf/libbpf.c: bpf_core_essential_name_len: the length of a name less its
 * flavor, which starts at the last "___" between characters that are no underscores.
 */
export function bpf_core_essential_name_len(name: string): number {
	for (let i = name.length - 5; i >= 0; i--)
		if (name[i] !== "_" && name.startsWith("___", i + 1) && name[i + 4] !== "_") return i + 1;
	return name.length;
}

/** The name less its flavor. */
export function bpf_core_essential_name(name: string): string {
	return name.slice(0, bpf_core_essential_name_len(name));
}

/** include/linux/btf.h: btf_kind_core_compat */
function kind_core_compat(a: CoreType, b: CoreType): boolean {
	return kind_of(a) === kind_of(b) || (is_any_enum(a) && is_any_enum(b));
}

/** tools/lib/bpf/relo_core.c: core_relo_kind_str */
export function core_relo_kind_str(kind: number): string {
	switch (kind) {
		case BPF_CORE_FIELD_BYTE_OFFSET:
			return "byte_off";
		case BPF_CORE_FIELD_BYTE_SIZE:
			return "byte_sz";
		case BPF_CORE_FIELD_EXISTS:
			return "field_exists";
		case BPF_CORE_FIELD_SIGNED:
			return "signed";
		case BPF_CORE_FIELD_LSHIFT_U64:
			return "lshift_u64";
		case BPF_CORE_FIELD_RSHIFT_U64:
			return "rshift_u64";
		case BPF_CORE_TYPE_ID_LOCAL:
			return "local_type_id";
		case BPF_CORE_TYPE_ID_TARGET:
			return "target_type_id";
		case BPF_CORE_TYPE_EXISTS:
			return "type_exists";
		case BPF_CORE_TYPE_MATCHES:
			return "type_matches";
		case BPF_CORE_TYPE_SIZE:
			return "type_size";
		case BPF_CORE_ENUMVAL_EXISTS:
			return "enumval_exists";
		case BPF_CORE_ENUMVAL_VALUE:
			return "enumval_value";
		default:
			return "unknown";
	}
}

function is_field_based(kind: number): boolean {
	return kind >= BPF_CORE_FIELD_BYTE_OFFSET && kind <= BPF_CORE_FIELD_RSHIFT_U64;
}
function is_type_based(kind: number): boolean {
	return (kind >= BPF_CORE_TYPE_ID_LOCAL && kind <= BPF_CORE_TYPE_SIZE) || kind === BPF_CORE_TYPE_MATCHES;
}
function is_enumval_based(kind: number): boolean {
	return kind === BPF_CORE_ENUMVAL_EXISTS || kind === BPF_CORE_ENUMVAL_VALUE;
}

/** tools/lib/bpf/relo_core.c: __bpf_core_types_are_compat: 1, 0 or a negative errno */
export function __bpf_core_types_are_compat(
	ctx: CoreCtx,
	local_btf: CoreBtf,
	local_id: number,
	targ_btf: CoreBtf,
	targ_id: number,
	level: number,
): number {
	const first_l = local_btf.core_type(local_id);
	const first_t = targ_btf.core_type(targ_id);
	if (!first_l || !first_t) return -EINVAL;
	// a type and a modifier of it differ at the root, and only there
	if (!kind_core_compat(first_l, first_t)) return 0;
	for (let depth = 32; ; ) {
		if (--depth < 0) return -EINVAL;
		const l = skip(local_btf, local_id);
		const t = skip(targ_btf, targ_id);
		if (!l || !t) return -EINVAL;
		local_id = l.id;
		targ_id = t.id;
		if (!kind_core_compat(l.t, t.t)) return 0;
		switch (kind_of(l.t)) {
			case BTF_KIND_UNKN:
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
			case BTF_KIND_ENUM:
			case BTF_KIND_FWD:
			case BTF_KIND_ENUM64:
				return 1;
			case BTF_KIND_INT:
				// only old BTF encodes bitfields in the INT; they are never compatible
				return int_off(l.t) === 0 && int_off(t.t) === 0 ? 1 : 0;
			case BTF_KIND_PTR:
				local_id = l.t.size;
				targ_id = t.t.size;
				continue;
			case BTF_KIND_ARRAY:
				local_id = l.t.word(0);
				targ_id = t.t.word(0);
				continue;
			case BTF_KIND_FUNC_PROTO: {
				const n = vlen_of(l.t);
				if (n !== vlen_of(t.t)) return 0;
				for (let i = 0; i < n; i++) {
					if (level <= 0) return -EINVAL;
					const lp = skip(local_btf, l.t.word(2 * i + 1));
					const tp = skip(targ_btf, t.t.word(2 * i + 1));
					if (!lp || !tp) return -EINVAL;
					const err = __bpf_core_types_are_compat(ctx, local_btf, lp.id, targ_btf, tp.id, level - 1);
					if (err <= 0) return err;
				}
				const lr = skip(local_btf, l.t.size);
				const tr = skip(targ_btf, t.t.size);
				if (!lr || !tr) return -EINVAL;
				local_id = lr.id;
				targ_id = tr.id;
				continue;
			}
			default:
				ctx.warn(
					`unexpected kind ${kind_str(ctx, l.t)} relocated, local [${local_id}], target [${targ_id}]\n`,
				);
				return 0;
		}
	}
}

/** bpf_core_types_are_compat */
export function bpf_core_types_are_compat(
	ctx: CoreCtx,
	local_btf: CoreBtf,
	local_id: number,
	targ_btf: CoreBtf,
	targ_id: number,
): number {
	return __bpf_core_types_are_compat(ctx, local_btf, local_id, targ_btf, targ_id, ctx.types_depth);
}

function is_flex_arr(btf: CoreBtf, acc: bpf_core_accessor, nelems: number): boolean {
	if (!acc.name || nelems > 0) return false;
	return acc.idx === vlen_of(btf.core_type(acc.type_id)!) - 1;
}

function new_spec(btf: CoreBtf, root_type_id: number, relo_kind: number): bpf_core_spec {
	return { btf, spec: [], root_type_id, relo_kind, raw_spec: [], bit_offset: 0 };
}

/** tools/lib/bpf/relo_core.c: bpf_core_parse_spec: the access string of a relocation against the local type */
export function bpf_core_parse_spec(ctx: CoreCtx, btf: CoreBtf, relo: bpf_core_relo): bpf_core_spec | number {
	const spec_str = btf.core_name(relo.access_str_off);
	if (spec_str === null || spec_str === "" || spec_str[0] === ":") return -EINVAL;
	const spec = new_spec(btf, relo.type_id, relo.kind);

	// type-based relocations have no field access string
	if (is_type_based(relo.kind)) return spec_str === "0" ? spec : -EINVAL;

	for (let rest = spec_str; rest !== ""; ) {
		if (rest[0] === ":") rest = rest.slice(1);
		const m = /^\s*[+-]?\d+/.exec(rest);
		if (!m) return -EINVAL;
		const idx = Number(m[0]) | 0;
		if (idx < 0) return -EINVAL;
		if (spec.raw_spec.length === BPF_CORE_SPEC_MAX_LEN) return -E2BIG;
		rest = rest.slice(m[0].length);
		spec.raw_spec.push(idx);
	}
	if (spec.raw_spec.length === 0) return -EINVAL;

	const root = skip(btf, relo.type_id);
	if (!root) return -EINVAL;
	let { t, id } = root;
	let access_idx = spec.raw_spec[0]!;
	const first: bpf_core_accessor = { type_id: id, idx: access_idx, name: null };
	spec.spec.push(first);

	if (is_enumval_based(relo.kind)) {
		if (!is_any_enum(t) || spec.raw_spec.length > 1 || access_idx >= vlen_of(t)) return -EINVAL;
		first.name = btf.core_name(enum_name(t, access_idx));
		return spec;
	}
	if (!is_field_based(relo.kind)) return -EINVAL;

	const sz = resolve_size(btf, id);
	if (sz < 0) return sz;
	spec.bit_offset = (access_idx * sz * 8) >>> 0;

	for (let i = 1; i < spec.raw_spec.length; i++) {
		const next = skip(btf, id);
		if (!next) return -EINVAL;
		({ t, id } = next);
		access_idx = spec.raw_spec[i]!;
		if (is_composite(t)) {
			if (access_idx >= vlen_of(t)) return -EINVAL;
			spec.bit_offset = (spec.bit_offset + member_bit_offset(t, access_idx)) >>> 0;
			const name_off = member_name(t, access_idx);
			if (name_off) {
				const name = btf.core_name(name_off);
				if (empty(name)) return -EINVAL;
				spec.spec.push({ type_id: id, idx: access_idx, name });
			}
			id = member_type(t, access_idx);
		} else if (is_kind(t, BTF_KIND_ARRAY)) {
			const nelems = t.word(2);
			const elem = skip(btf, t.word(0));
			if (!elem) return -EINVAL;
			id = elem.id;
			const flex = is_flex_arr(btf, spec.spec[spec.spec.length - 1]!, nelems);
			if (!flex && access_idx >= nelems) return -EINVAL;
			spec.spec.push({ type_id: id, idx: access_idx, name: null });
			const elem_sz = resolve_size(btf, id);
			if (elem_sz < 0) return elem_sz;
			spec.bit_offset = (spec.bit_offset + access_idx * elem_sz * 8) >>> 0;
		} else {
			// the kernel's text shows what is left of the string: nothing
			ctx.warn(
				`prog '${ctx.prog_name}': relo for [${relo.type_id}]  (at idx ${i}) captures type [${id}] of unexpected kind ${kind_str(ctx, t)}\n`,
			);
			return -EINVAL;
		}
	}
	return spec;
}

/** tools/lib/bpf/relo_core.c: bpf_core_fields_are_compat */
function bpf_core_fields_are_compat(
	local_btf: CoreBtf,
	local_id: number,
	targ_btf: CoreBtf,
	targ_id: number,
): number {
	for (;;) {
		const l = skip(local_btf, local_id);
		const t = skip(targ_btf, targ_id);
		if (!l || !t) return -EINVAL;
		if (is_composite(l.t) && is_composite(t.t)) return 1;
		if (!kind_core_compat(l.t, t.t)) return 0;
		switch (kind_of(l.t)) {
			case BTF_KIND_PTR:
			case BTF_KIND_FLOAT:
				return 1;
			case BTF_KIND_FWD:
			case BTF_KIND_ENUM64:
			case BTF_KIND_ENUM: {
				// anonymous on either side: assume compatible
				const ln = bpf_core_essential_name(local_btf.core_name(l.t.name_off) ?? "");
				const tn = bpf_core_essential_name(targ_btf.core_name(t.t.name_off) ?? "");
				return ln === "" || tn === "" || ln === tn ? 1 : 0;
			}
			case BTF_KIND_INT:
				return int_off(l.t) === 0 && int_off(t.t) === 0 ? 1 : 0;
			case BTF_KIND_ARRAY:
				local_id = l.t.word(0);
				targ_id = t.t.word(0);
				continue;
			default:
				return 0;
		}
	}
}

/** tools/lib/bpf/relo_core.c: bpf_core_match_member: find the local member by name, through anonymous ones */
function bpf_core_match_member(
	local_btf: CoreBtf,
	local_acc: bpf_core_accessor,
	targ_btf: CoreBtf,
	targ_id: number,
	spec: bpf_core_spec,
	next: { id: number },
): number {
	const targ = skip(targ_btf, targ_id);
	if (!targ) return -EINVAL;
	if (!is_composite(targ.t)) return 0;
	const lt = local_btf.core_type(local_acc.type_id)!;
	const local_name = local_btf.core_name(member_name(lt, local_acc.idx));
	const n = vlen_of(targ.t);
	for (let i = 0; i < n; i++) {
		const bit_offset = member_bit_offset(targ.t, i);
		if (spec.raw_spec.length === BPF_CORE_SPEC_MAX_LEN) return -E2BIG;
		spec.bit_offset = (spec.bit_offset + bit_offset) >>> 0;
		spec.raw_spec.push(i);
		const targ_name = targ_btf.core_name(member_name(targ.t, i));
		const mtype = member_type(targ.t, i);
		if (empty(targ_name)) {
			const found = bpf_core_match_member(local_btf, local_acc, targ_btf, mtype, spec, next);
			if (found) return found;
		} else if (targ_name === local_name) {
			spec.spec.push({ type_id: targ.id, idx: i, name: targ_name });
			next.id = mtype;
			const found = bpf_core_fields_are_compat(local_btf, member_type(lt, local_acc.idx), targ_btf, mtype);
			if (!found) spec.spec.pop();
			return found;
		}
		spec.bit_offset = (spec.bit_offset - bit_offset) >>> 0;
		spec.raw_spec.pop();
	}
	return 0;
}

/** tools/lib/bpf/relo_core.c: bpf_core_spec_match: 1, 0 or a negative errno; `targ_spec` is what was found so far */
function bpf_core_spec_match(
	ctx: CoreCtx,
	local_spec: bpf_core_spec,
	targ_btf: CoreBtf,
	targ_id: number,
	targ_spec: bpf_core_spec,
): number {
	const kind = local_spec.relo_kind;
	if (is_type_based(kind)) {
		const match = kind === BPF_CORE_TYPE_MATCHES ? bpf_core_types_match : bpf_core_types_are_compat;
		return match(ctx, local_spec.btf, local_spec.root_type_id, targ_btf, targ_id);
	}
	if (is_enumval_based(kind)) {
		const targ = skip(targ_btf, targ_id);
		if (!targ || !is_any_enum(targ.t)) return 0;
		const want = bpf_core_essential_name(local_spec.spec[0]!.name ?? "");
		for (let i = 0; i < vlen_of(targ.t); i++) {
			const name = targ_btf.core_name(enum_name(targ.t, i)) ?? "";
			if (bpf_core_essential_name(name) !== want) continue;
			targ_spec.spec.push({ type_id: targ.id, idx: i, name });
			targ_spec.raw_spec.push(i);
			return 1;
		}
		return 0;
	}
	if (!is_field_based(kind)) return -EINVAL;

	for (let i = 0; i < local_spec.spec.length; i++) {
		const local_acc = local_spec.spec[i]!;
		const targ = skip(targ_btf, targ_id);
		if (!targ) return -EINVAL;
		targ_id = targ.id;
		if (local_acc.name) {
			const next = { id: targ_id };
			const matched = bpf_core_match_member(local_spec.btf, local_acc, targ_btf, targ_id, targ_spec, next);
			if (matched <= 0) return matched;
			targ_id = next.id;
		} else {
			// i === 0 is the dereference of the root pointer, and so no array of the type
			if (i > 0) {
				if (!is_kind(targ.t, BTF_KIND_ARRAY)) return 0;
				const nelems = targ.t.word(2);
				const prev = targ_spec.spec[i - 1]!;
				const flex = is_flex_arr(targ_btf, prev, nelems);
				if (!flex && local_acc.idx >= nelems) return 0;
				const elem = skip(targ_btf, targ.t.word(0));
				if (!elem) return -EINVAL;
				targ_id = elem.id;
			}
			if (targ_spec.raw_spec.length === BPF_CORE_SPEC_MAX_LEN) return -E2BIG;
			targ_spec.spec.push({ type_id: targ_id, idx: local_acc.idx, name: null });
			targ_spec.raw_spec.push(local_acc.idx);
			const sz = resolve_size(targ_btf, targ_id);
			if (sz < 0) return sz;
			targ_spec.bit_offset = (targ_spec.bit_offset + local_acc.idx * sz * 8) >>> 0;
		}
	}
	return 1;
}

/** A value, and for memory accesses the size and type of what is accessed. */
interface CalcOut {
	val: bigint;
	sz: number;
	type_id: number;
	validate: boolean;
}

/** tools/lib/bpf/relo_core.c: bpf_core_calc_field_relo */
function bpf_core_calc_field_relo(
	ctx: CoreCtx,
	relo: bpf_core_relo,
	spec: bpf_core_spec | null,
	out: CalcOut,
): number {
	out.sz = 0;
	if (relo.kind === BPF_CORE_FIELD_EXISTS) {
		out.val = spec ? 1n : 0n;
		return 0;
	}
	if (!spec) return -EUCLEAN;
	const acc = spec.spec[spec.spec.length - 1]!;
	const t = spec.btf.core_type(acc.type_id)!;

	// the last accessor is an array element
	if (!acc.name) {
		if (relo.kind === BPF_CORE_FIELD_BYTE_OFFSET) {
			out.val = BigInt(Math.floor(spec.bit_offset / 8));
			const sz = resolve_size(spec.btf, acc.type_id);
			if (sz < 0) return -EINVAL;
			out.sz = sz;
			out.type_id = acc.type_id;
		} else if (relo.kind === BPF_CORE_FIELD_BYTE_SIZE) {
			const sz = resolve_size(spec.btf, acc.type_id);
			if (sz < 0) return -EINVAL;
			out.val = BigInt(sz);
		} else {
			ctx.warn(
				`prog '${ctx.prog_name}': relo ${relo.kind} at insn #${relo.insn_off >>> 3} can't be applied to array access\n`,
			);
			return -EINVAL;
		}
		out.validate = true;
		return 0;
	}

	const field = skip(spec.btf, member_type(t, acc.idx))!;
	const bit_off = spec.bit_offset;
	let bit_sz = member_bitfield_size(t, acc.idx);
	let byte_sz = 0;
	let byte_off = 0;
	const bitfield = bit_sz > 0;
	if (bitfield) {
		byte_sz = field.t.size;
		byte_off = Math.floor(Math.floor(bit_off / 8) / byte_sz) * byte_sz;
		// widen until the whole bitfield is in one aligned load
		while (bit_off + bit_sz - byte_off * 8 > byte_sz * 8) {
			if (byte_sz >= 8) {
				ctx.warn(
					`prog '${ctx.prog_name}': relo ${relo.kind} at insn #${relo.insn_off >>> 3} can't be satisfied for bitfield\n`,
				);
				return -E2BIG;
			}
			byte_sz *= 2;
			byte_off = Math.floor(Math.floor(bit_off / 8) / byte_sz) * byte_sz;
		}
	} else {
		const sz = resolve_size(spec.btf, field.id);
		if (sz < 0) return -EINVAL;
		byte_sz = sz;
		byte_off = Math.floor(spec.bit_offset / 8);
		bit_sz = byte_sz * 8;
	}
	// the compiler's own value of a bitfield's offset may be of another load size
	out.validate = !bitfield;

	switch (relo.kind) {
		case BPF_CORE_FIELD_BYTE_OFFSET:
			out.val = BigInt(byte_off);
			if (!bitfield) {
				out.sz = byte_sz;
				out.type_id = field.id;
			}
			break;
		case BPF_CORE_FIELD_BYTE_SIZE:
			out.val = BigInt(byte_sz);
			break;
		case BPF_CORE_FIELD_SIGNED:
			out.val =
				(is_any_enum(field.t) && kflag(field.t)) ||
				(is_kind(field.t, BTF_KIND_INT) && int_enc(field.t) & BTF_INT_SIGNED)
					? 1n
					: 0n;
			out.validate = true;
			break;
		case BPF_CORE_FIELD_LSHIFT_U64:
			out.val = BigInt((64 - (bit_off + bit_sz - byte_off * 8)) >>> 0);
			break;
		case BPF_CORE_FIELD_RSHIFT_U64:
			out.val = BigInt((64 - bit_sz) >>> 0);
			out.validate = true;
			break;
		default:
			return -EOPNOTSUPP;
	}
	return 0;
}

/** tools/lib/bpf/relo_core.c: bpf_core_calc_type_relo */
function bpf_core_calc_type_relo(relo: bpf_core_relo, spec: bpf_core_spec | null, out: CalcOut): number {
	out.validate = true;
	// a type that the target lacks is 0: unlike a field, its id or size is never an error
	if (!spec) {
		out.val = 0n;
		return 0;
	}
	switch (relo.kind) {
		case BPF_CORE_TYPE_ID_TARGET:
			out.val = BigInt(spec.root_type_id);
			out.validate = false;
			break;
		case BPF_CORE_TYPE_EXISTS:
		case BPF_CORE_TYPE_MATCHES:
			out.val = 1n;
			break;
		case BPF_CORE_TYPE_SIZE: {
			const sz = resolve_size(spec.btf, spec.root_type_id);
			if (sz < 0) return -EINVAL;
			out.val = BigInt(sz);
			break;
		}
		default:
			return -EOPNOTSUPP;
	}
	return 0;
}

function enum_value(t: CoreType, idx: number): bigint {
	if (is_kind(t, BTF_KIND_ENUM)) return u64(BigInt(t.word(2 * idx + 1) | 0));
	return (BigInt(t.word(3 * idx + 2)) << 32n) | BigInt(t.word(3 * idx + 1));
}

/** tools/lib/bpf/relo_core.c: bpf_core_calc_enumval_relo */
function bpf_core_calc_enumval_relo(relo: bpf_core_relo, spec: bpf_core_spec | null, out: CalcOut): number {
	switch (relo.kind) {
		case BPF_CORE_ENUMVAL_EXISTS:
			out.val = spec ? 1n : 0n;
			break;
		case BPF_CORE_ENUMVAL_VALUE: {
			if (!spec) return -EUCLEAN;
			const acc = spec.spec[0]!;
			out.val = enum_value(spec.btf.core_type(acc.type_id)!, acc.idx);
			break;
		}
		default:
			return -EOPNOTSUPP;
	}
	return 0;
}

/** tools/lib/bpf/relo_core.c: bpf_core_calc_relo: fills `res` from what local and target spec say */
function bpf_core_calc_relo(
	ctx: CoreCtx,
	relo: bpf_core_relo,
	relo_idx: number,
	local_spec: bpf_core_spec,
	targ_spec: bpf_core_spec | null,
	res: bpf_core_relo_res,
): number {
	let err = -EOPNOTSUPP;
	const orig: CalcOut = { val: 0n, sz: 0, type_id: 0, validate: true };
	const now: CalcOut = { val: 0n, sz: 0, type_id: 0, validate: true };
	res.poison = false;
	res.fail_memsz_adjust = false;

	if (is_field_based(relo.kind)) {
		err = bpf_core_calc_field_relo(ctx, relo, local_spec, orig);
		if (!err) err = bpf_core_calc_field_relo(ctx, relo, targ_spec, now);
		// a load of another width is possible only where widening cannot change the value
		if (!err && orig.sz !== now.sz) {
			const orig_t = local_spec.btf.core_type(orig.type_id)!;
			const new_t = targ_spec!.btf.core_type(now.type_id)!;
			const pointers = is_kind(orig_t, BTF_KIND_PTR) && is_kind(new_t, BTF_KIND_PTR);
			const unsigned =
				is_kind(orig_t, BTF_KIND_INT) &&
				is_kind(new_t, BTF_KIND_INT) &&
				int_enc(orig_t) !== BTF_INT_SIGNED &&
				int_enc(new_t) !== BTF_INT_SIGNED;
			if (!pointers && !unsigned) res.fail_memsz_adjust = true;
		}
	} else if (is_type_based(relo.kind)) {
		err = bpf_core_calc_type_relo(relo, local_spec, orig);
		if (!err) err = bpf_core_calc_type_relo(relo, targ_spec, now);
	} else if (is_enumval_based(relo.kind)) {
		err = bpf_core_calc_enumval_relo(relo, local_spec, orig);
		if (!err) err = bpf_core_calc_enumval_relo(relo, targ_spec, now);
	}
	res.orig_val = orig.val;
	res.new_val = now.val;
	res.validate = orig.validate;
	res.orig_sz = orig.sz;
	res.new_sz = now.sz;
	res.orig_type_id = orig.type_id;
	res.new_type_id = now.type_id;

	if (err === -EUCLEAN) {
		// EUCLEAN: the target lacks it; the instruction is poisoned, and fails only if it can be reached
		res.poison = true;
		err = 0;
	} else if (err === -EOPNOTSUPP) {
		ctx.warn(
			`prog '${ctx.prog_name}': relo #${relo_idx}: unrecognized CO-RE relocation ${core_relo_kind_str(relo.kind)} (${relo.kind}) at insn #${relo.insn_off >>> 3}\n`,
		);
	}
	return err;
}

function bpf_core_poison_insn(ctx: CoreCtx, relo_idx: number, insn_idx: number, insn: CoreInsn): void {
	ctx.debug(`prog '${ctx.prog_name}': relo #${relo_idx}: substituting insn #${insn_idx} w/ invalid insn\n`);
	insn.code = 0x85;
	insn.dst_reg = 0;
	insn.src_reg = 0;
	insn.off = 0;
	insn.imm = BPF_CORE_POISON_IMM;
}

const SIZE_BYTES: Readonly<Record<number, number>> = { 0: 4, 8: 2, 16: 1, 24: 8 };
const BYTES_SIZE: Readonly<Record<number, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };
const LDIMM64 = 0x18;

/**
 * tools/lib/bpf/relo_core.c: bpf_core_patch_insn: write the result into the instruction at `insns[at]` (and the
 * second half of an ldimm64 after it). `insn_idx` is its number in messages.
 */
export function bpf_core_patch_insn(
	ctx: CoreCtx,
	insns: readonly CoreInsn[],
	at: number,
	insn_idx: number,
	relo_idx: number,
	res: bpf_core_relo_res,
): number {
	const insn = insns[at]!;
	const who = `prog '${ctx.prog_name}': relo #${relo_idx}`;
	const poison = (): number => {
		if (insn.code === LDIMM64) bpf_core_poison_insn(ctx, relo_idx, insn_idx + 1, insns[at + 1]!);
		bpf_core_poison_insn(ctx, relo_idx, insn_idx, insn);
		return 0;
	};
	if (res.poison) return poison();
	const { orig_val, new_val } = res;
	switch (insn.code & 7) {
		case 4: // BPF_ALU
		case 7: // BPF_ALU64
			if (insn.code & 8) return -EINVAL;
			if (res.validate && u64(BigInt(insn.imm)) !== orig_val) {
				ctx.warn(
					`${who}: unexpected insn #${insn_idx} (ALU/ALU64) value: got ${insn.imm >>> 0}, exp ${orig_val} -> ${new_val}\n`,
				);
				return -EINVAL;
			}
			ctx.debug(`${who}: patched insn #${insn_idx} (ALU/ALU64) imm ${u64(BigInt(insn.imm))} -> ${new_val}\n`);
			insn.imm = Number(BigInt.asIntN(32, new_val));
			return 0;
		case 1: // BPF_LDX
		case 2: // BPF_ST
		case 3: {
			// BPF_STX
			if (res.validate && u64(BigInt(insn.off)) !== orig_val) {
				ctx.warn(
					`${who}: unexpected insn #${insn_idx} (LDX/ST/STX) value: got ${insn.off >>> 0}, exp ${orig_val} -> ${new_val}\n`,
				);
				return -EINVAL;
			}
			if (new_val > 0x7fffn) {
				ctx.warn(`${who}: insn #${insn_idx} (LDX/ST/STX) value too big: ${new_val}\n`);
				return -ERANGE;
			}
			if (res.fail_memsz_adjust) {
				ctx.warn(
					`${who}: insn #${insn_idx} (LDX/ST/STX) accesses field incorrectly. Make sure you are accessing pointers, unsigned integers, or fields of matching type and size.\n`,
				);
				return poison();
			}
			ctx.debug(
				`${who}: patched insn #${insn_idx} (LDX/ST/STX) off ${u64(BigInt(insn.off))} -> ${new_val}\n`,
			);
			insn.off = Number(new_val);
			if (res.new_sz !== res.orig_sz) {
				const bytes = SIZE_BYTES[insn.code & 0x18]!;
				if (bytes !== res.orig_sz) {
					ctx.warn(
						`${who}: insn #${insn_idx} (LDX/ST/STX) unexpected mem size: got ${bytes}, exp ${res.orig_sz}\n`,
					);
					return -EINVAL;
				}
				const size = BYTES_SIZE[res.new_sz];
				if (size === undefined) {
					ctx.warn(`${who}: insn #${insn_idx} (LDX/ST/STX) invalid new mem size: ${res.new_sz}\n`);
					return -EINVAL;
				}
				insn.code = (insn.code & 0xe0) | size | (insn.code & 7);
				ctx.debug(`${who}: patched insn #${insn_idx} (LDX/ST/STX) mem_sz ${res.orig_sz} -> ${res.new_sz}\n`);
			}
			return 0;
		}
		case 0: {
			// BPF_LD
			const hi = insns[at + 1];
			if (
				insn.code !== LDIMM64 ||
				insn.src_reg !== 0 ||
				insn.off !== 0 ||
				!hi ||
				hi.code !== 0 ||
				hi.dst_reg !== 0 ||
				hi.src_reg !== 0 ||
				hi.off !== 0
			) {
				ctx.warn(`${who}: insn #${insn_idx} (LDIMM64) has unexpected form\n`);
				return -EINVAL;
			}
			const imm = BigInt(insn.imm >>> 0) | (BigInt(hi.imm >>> 0) << 32n);
			if (res.validate && imm !== orig_val) {
				ctx.warn(
					`${who}: unexpected insn #${insn_idx} (LDIMM64) value: got ${imm}, exp ${orig_val} -> ${new_val}\n`,
				);
				return -EINVAL;
			}
			insn.imm = Number(BigInt.asIntN(32, new_val));
			hi.imm = Number(BigInt.asIntN(32, new_val >> 32n));
			ctx.debug(`${who}: patched insn #${insn_idx} (LDIMM64) imm64 ${imm} -> ${new_val}\n`);
			return 0;
		}
		default:
			ctx.warn(
				`${who}: trying to relocate unrecognized insn #${insn_idx}, code:0x${insn.code.toString(16)}, src:0x${insn.src_reg.toString(16)}, dst:0x${insn.dst_reg.toString(16)}, off:0x${(insn.off >>> 0).toString(16)}, imm:0x${(insn.imm >>> 0).toString(16)}\n`,
			);
			return -EINVAL;
	}
}

/**
 * tools/lib/bpf/relo_core.c: bpf_core_format_spec:
 * `<byte_off> [2] struct task_struct.se.vruntime (0:1:2 @ offset 16)`
 */
export function bpf_core_format_spec(ctx: CoreCtx, spec: bpf_core_spec): string {
	const t = spec.btf.core_type(spec.root_type_id)!;
	const name = spec.btf.core_name(t.name_off);
	let s = `<${core_relo_kind_str(spec.relo_kind)}> [${spec.root_type_id}] ${kind_str(ctx, t)} ${empty(name) ? "<anon>" : name}`;
	if (is_type_based(spec.relo_kind)) return s;
	if (is_enumval_based(spec.relo_kind)) {
		const e = skip(spec.btf, spec.root_type_id)!.t;
		const idx = spec.raw_spec[0] ?? 0;
		const ename = spec.btf.core_name(enum_name(e, idx));
		const v = enum_value(e, idx);
		const bits = is_kind(e, BTF_KIND_ENUM) ? 32 : 64;
		s += `::${ename} = ${kflag(e) ? BigInt.asIntN(bits, v) : BigInt.asUintN(bits, v)}`;
		return s;
	}
	if (is_field_based(spec.relo_kind)) {
		spec.spec.forEach((acc, i) => {
			if (acc.name) s += `.${acc.name}`;
			else if (i > 0 || acc.idx > 0) s += `[${acc.idx}]`;
		});
		s += ` (${spec.raw_spec.join(":")}`;
		const bytes = Math.floor(spec.bit_offset / 8);
		s += spec.bit_offset % 8 ? ` @ offset ${bytes}.${spec.bit_offset % 8})` : ` @ offset ${bytes})`;
	}
	return s;
}

/** Messages quote a spec from a buffer of 256 bytes. */
function spec_text(ctx: CoreCtx, spec: bpf_core_spec): string {
	return bpf_core_format_spec(ctx, spec).slice(0, 255);
}

/**
 * tools/lib/bpf/relo_core.c: bpf_core_calc_relo_insn: what the relocation comes to, over all candidates, which
 * must agree. `cands` keeps those that matched. Returns the result or a negative errno.
 */
export function bpf_core_calc_relo_insn(
	ctx: CoreCtx,
	relo: bpf_core_relo,
	relo_idx: number,
	local_btf: CoreBtf,
	cands: bpf_core_cand_list,
): bpf_core_relo_res | number {
	const who = `prog '${ctx.prog_name}': relo #${relo_idx}`;
	const local_type = local_btf.core_type(relo.type_id);
	if (!local_type) return -EINVAL;
	const local_name = local_btf.core_name(local_type.name_off);
	if (local_name === null) return -EINVAL;

	const local_spec = bpf_core_parse_spec(ctx, local_btf, relo);
	if (typeof local_spec === "number") {
		const spec_str = local_btf.core_name(relo.access_str_off);
		ctx.warn(
			`${who}: parsing [${relo.type_id}] ${kind_str(ctx, local_type)} ${empty(local_name) ? "<anon>" : local_name} + ${spec_str ?? "<?>"} failed: ${local_spec}\n`,
		);
		return -EINVAL;
	}
	ctx.debug(`${who}: ${spec_text(ctx, local_spec)}\n`);

	const res: bpf_core_relo_res = {
		orig_val: 0n,
		new_val: 0n,
		poison: false,
		validate: false,
		fail_memsz_adjust: false,
		orig_sz: 0,
		orig_type_id: 0,
		new_sz: 0,
		new_type_id: 0,
	};
	// the local id needs no candidates
	if (relo.kind === BPF_CORE_TYPE_ID_LOCAL) {
		res.orig_val = BigInt(local_spec.root_type_id);
		res.new_val = res.orig_val;
		return res;
	}
	if (empty(local_name)) {
		ctx.warn(
			`${who}: <${core_relo_kind_str(relo.kind)}> (${relo.kind}) relocation doesn't support anonymous types\n`,
		);
		return -EOPNOTSUPP;
	}

	let targ_spec: bpf_core_spec | null = null;
	const matched: bpf_core_cand[] = [];
	for (const [i, cand] of cands.cands.entries()) {
		const cand_spec = new_spec(cand.btf, cand.id, local_spec.relo_kind);
		let err = bpf_core_spec_match(ctx, local_spec, cand.btf, cand.id, cand_spec);
		const text = spec_text(ctx, cand_spec);
		if (err < 0) {
			ctx.warn(`${who}: error matching candidate #${i} ${text}: ${err}\n `);
			return err;
		}
		ctx.debug(`${who}: ${err === 0 ? "non-matching" : "matching"} candidate #${i} ${text}\n`);
		if (err === 0) continue;

		const cand_res: bpf_core_relo_res = { ...res };
		err = bpf_core_calc_relo(ctx, relo, relo_idx, local_spec, cand_spec, cand_res);
		if (err) return err;
		if (targ_spec === null) {
			Object.assign(res, cand_res);
			targ_spec = cand_spec;
		} else if (cand_spec.bit_offset !== targ_spec.bit_offset) {
			ctx.warn(`${who}: field offset ambiguity: ${cand_spec.bit_offset} != ${targ_spec.bit_offset}\n`);
			return -EINVAL;
		} else if (cand_res.poison !== res.poison || cand_res.new_val !== res.new_val) {
			const word = (poison: boolean): string => (poison ? "failure" : "success");
			ctx.warn(
				`${who}: relocation decision ambiguity: ${word(cand_res.poison)} ${cand_res.new_val} != ${word(res.poison)} ${res.new_val}\n`,
			);
			return -EINVAL;
		}
		matched.push(cand);
	}
	if (matched.length > 0) {
		cands.cands = matched;
	} else {
		ctx.debug(`${who}: no matching targets found\n`);
		const err = bpf_core_calc_relo(ctx, relo, relo_idx, local_spec, null, res);
		if (err) return err;
	}
	return res;
}

function bpf_core_names_match(
	local_btf: CoreBtf,
	local_off: number,
	targ_btf: CoreBtf,
	targ_off: number,
): boolean {
	const local_n = local_btf.core_name(local_off) ?? "";
	const targ_n = targ_btf.core_name(targ_off) ?? "";
	if (targ_n === "") return local_n === "";
	return bpf_core_essential_name(local_n) === bpf_core_essential_name(targ_n);
}

function bpf_core_enums_match(local_btf: CoreBtf, lt: CoreType, targ_btf: CoreBtf, tt: CoreType): number {
	if (lt.size !== tt.size || vlen_of(lt) > vlen_of(tt)) return 0;
	for (let i = 0; i < vlen_of(lt); i++) {
		let matched = false;
		for (let j = 0; j < vlen_of(tt) && !matched; j++)
			matched = bpf_core_names_match(local_btf, enum_name(lt, i), targ_btf, enum_name(tt, j));
		if (!matched) return 0;
	}
	return 1;
}

function bpf_core_composites_match(
	ctx: CoreCtx,
	local_btf: CoreBtf,
	lt: CoreType,
	targ_btf: CoreBtf,
	tt: CoreType,
	behind_ptr: boolean,
	level: number,
): number {
	if (vlen_of(lt) > vlen_of(tt)) return 0;
	for (let i = 0; i < vlen_of(lt); i++) {
		let matched = false;
		for (let j = 0; j < vlen_of(tt); j++) {
			if (!bpf_core_names_match(local_btf, member_name(lt, i), targ_btf, member_name(tt, j))) continue;
			const err = __bpf_core_types_match(
				ctx,
				local_btf,
				member_type(lt, i),
				targ_btf,
				member_type(tt, j),
				behind_ptr,
				level - 1,
			);
			if (err < 0) return err;
			if (err > 0) {
				matched = true;
				break;
			}
		}
		if (!matched) return 0;
	}
	return 1;
}

/** tools/lib/bpf/relo_core.c: __bpf_core_types_match: 1, 0 or a negative errno */
export function __bpf_core_types_match(
	ctx: CoreCtx,
	local_btf: CoreBtf,
	local_id: number,
	targ_btf: CoreBtf,
	targ_id: number,
	behind_ptr: boolean,
	level: number,
): number {
	if (level <= 0) return -EINVAL;
	for (let depth = 32; ; ) {
		if (--depth < 0) return -EINVAL;
		const l = skip(local_btf, local_id);
		const t = skip(targ_btf, targ_id);
		if (!l || !t) return -EINVAL;
		local_id = l.id;
		targ_id = t.id;
		if (!bpf_core_names_match(local_btf, l.t.name_off, targ_btf, t.t.name_off)) return 0;
		const local_k = kind_of(l.t);
		const targ_k = kind_of(t.t);
		switch (local_k) {
			case BTF_KIND_UNKN:
				return local_k === targ_k ? 1 : 0;
			case BTF_KIND_FWD: {
				const local_f = kflag(l.t);
				if (local_k === targ_k) return local_f === kflag(t.t) ? 1 : 0;
				if (!behind_ptr) return 0;
				return targ_k === (local_f ? BTF_KIND_UNION : BTF_KIND_STRUCT) ? 1 : 0;
			}
			case BTF_KIND_ENUM:
			case BTF_KIND_ENUM64:
				if (!is_any_enum(t.t)) return 0;
				return bpf_core_enums_match(local_btf, l.t, targ_btf, t.t);
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
				if (behind_ptr) {
					if (local_k === targ_k) return 1;
					if (targ_k !== BTF_KIND_FWD) return 0;
					return (local_k === BTF_KIND_UNION) === kflag(t.t) ? 1 : 0;
				}
				if (local_k !== targ_k) return 0;
				return bpf_core_composites_match(ctx, local_btf, l.t, targ_btf, t.t, behind_ptr, level);
			case BTF_KIND_INT:
				if (local_k !== targ_k) return 0;
				return l.t.size === t.t.size && (int_enc(l.t) & BTF_INT_SIGNED) === (int_enc(t.t) & BTF_INT_SIGNED)
					? 1
					: 0;
			case BTF_KIND_PTR:
				if (local_k !== targ_k) return 0;
				behind_ptr = true;
				local_id = l.t.size;
				targ_id = t.t.size;
				continue;
			case BTF_KIND_ARRAY:
				if (local_k !== targ_k || l.t.word(2) !== t.t.word(2)) return 0;
				local_id = l.t.word(0);
				targ_id = t.t.word(0);
				continue;
			case BTF_KIND_FUNC_PROTO:
				if (local_k !== targ_k || vlen_of(l.t) !== vlen_of(t.t)) return 0;
				for (let i = 0; i < vlen_of(l.t); i++) {
					const err = __bpf_core_types_match(
						ctx,
						local_btf,
						l.t.word(2 * i + 1),
						targ_btf,
						t.t.word(2 * i + 1),
						behind_ptr,
						level - 1,
					);
					if (err <= 0) return err;
				}
				local_id = l.t.size;
				targ_id = t.t.size;
				continue;
			default:
				ctx.warn(
					`unexpected kind ${kind_str(ctx, l.t)} relocated, local [${local_id}], target [${targ_id}]\n`,
				);
				return 0;
		}
	}
}

/** bpf_core_types_match */
export function bpf_core_types_match(
	ctx: CoreCtx,
	local_btf: CoreBtf,
	local_id: number,
	targ_btf: CoreBtf,
	targ_id: number,
): number {
	return __bpf_core_types_match(ctx, local_btf, local_id, targ_btf, targ_id, false, ctx.types_depth);
}
