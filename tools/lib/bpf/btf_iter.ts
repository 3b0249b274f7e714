// SPDX-License-Identifier: GPL-2.0-only
/** Where a BTF type refers to types and strings: tools/lib/bpf/btf_iter.c. */
import * as K from "../../../include/uapi/linux/btf.ts";
import { type BtfType, btf_kind, btf_vlen } from "./btf.ts";

const TYPE_SZ = 12;

/** Fields of a type itself, then of each of its members of `m_sz` bytes; all from their start. */
interface Fields {
	own: readonly number[];
	m_sz: number;
	of_member: number;
}

const NONE: Fields = { own: [], m_sz: 0, of_member: 0 };

function id_fields(kind: number): Fields | null {
	switch (kind) {
		case K.BTF_KIND_UNKN:
		case K.BTF_KIND_INT:
		case K.BTF_KIND_FLOAT:
		case K.BTF_KIND_ENUM:
		case K.BTF_KIND_ENUM64:
			return NONE;
		case K.BTF_KIND_FWD:
		case K.BTF_KIND_CONST:
		case K.BTF_KIND_VOLATILE:
		case K.BTF_KIND_RESTRICT:
		case K.BTF_KIND_PTR:
		case K.BTF_KIND_TYPEDEF:
		case K.BTF_KIND_FUNC:
		case K.BTF_KIND_VAR:
		case K.BTF_KIND_DECL_TAG:
		case K.BTF_KIND_TYPE_TAG:
			return { own: [8], m_sz: 0, of_member: 0 };
		case K.BTF_KIND_ARRAY:
			return { own: [TYPE_SZ, TYPE_SZ + 4], m_sz: 0, of_member: 0 };
		case K.BTF_KIND_STRUCT:
		case K.BTF_KIND_UNION:
			return { own: [], m_sz: 12, of_member: 4 };
		case K.BTF_KIND_FUNC_PROTO:
			return { own: [8], m_sz: 8, of_member: 4 };
		case K.BTF_KIND_DATASEC:
			return { own: [], m_sz: 12, of_member: 0 };
		default:
			return null;
	}
}

function str_fields(kind: number): Fields | null {
	switch (kind) {
		case K.BTF_KIND_UNKN:
			return NONE;
		case K.BTF_KIND_ENUM:
		case K.BTF_KIND_FUNC_PROTO:
			return { own: [0], m_sz: 8, of_member: 0 };
		case K.BTF_KIND_ENUM64:
		case K.BTF_KIND_STRUCT:
		case K.BTF_KIND_UNION:
			return { own: [0], m_sz: 12, of_member: 0 };
		default:
			return id_fields(kind) && { own: [0], m_sz: 0, of_member: 0 };
	}
}

/**
 * tools/lib/bpf/btf_iter.c: btf_field_iter_init, btf_field_iter_next: byte offsets of the words within the type,
 * in its order; null when its kind is unknown.
 */
export function btf_field_offs(t: BtfType, what: "ids" | "strs"): number[] | null {
	const f = what === "ids" ? id_fields(btf_kind(t)) : str_fields(btf_kind(t));
	if (!f) return null;
	const out = [...f.own];
	if (f.m_sz) for (let i = 0; i < btf_vlen(t); i++) out.push(TYPE_SZ + i * f.m_sz + f.of_member);
	return out;
}

/** The word at such an offset. */
export function field_of(t: BtfType, off: number): number {
	return t.btf.dv.getUint32(t.off + off, true);
}

export function set_field(t: BtfType, off: number, v: number): void {
	t.btf.dv.setUint32(t.off + off, v, true);
}
