// SPDX-License-Identifier: GPL-2.0-only
/**
 * Printing data by its BTF type: what bpf_snprintf_btf(), bpf_seq_printf_btf() and map files show
 * (kernel/bpf/btf.c: struct btf_show, btf_show_*, *_show, btf_type_snprintf_show()).
 *
 * Data is read in pieces of up to 32 bytes through a copy that cannot fault (show->obj.safe), unless
 * BTF_SHOW_UNSAFE says that it may be touched as it is. Members that are zero are not printed without
 * BTF_SHOW_ZERO; so a struct or array inside another is walked twice: once to see whether anything in it shows.
 */
import {
	BTF_SHOW_COMPACT,
	BTF_SHOW_NONAME,
	BTF_SHOW_PTR_RAW,
	BTF_SHOW_UNSAFE,
	BTF_SHOW_ZERO,
} from "../../include/linux/btf.ts";
import { EFAULT } from "../../include/uapi/asm-generic/errno.ts";
import {
	BTF_INT_CHAR,
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_CONST,
	BTF_KIND_DATASEC,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
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
	__btf_member_bit_offset,
	__btf_member_bitfield_size,
	__btf_name_by_offset,
	BITS_ROUNDDOWN_BYTES,
	BITS_ROUNDUP_BYTES,
	BTF_INT_BITS,
	BTF_INT_ENCODING,
	BTF_INT_OFFSET,
	btf_enum64_value,
	btf_impl,
	btf_kind,
	btf_name_by_offset,
	btf_resolve_size,
	btf_type_array,
	btf_type_by_id,
	btf_type_enum,
	btf_type_enum64,
	btf_type_has_size,
	btf_type_id_resolve,
	btf_type_int,
	btf_type_is_int,
	btf_type_kflag,
	btf_type_member,
	btf_type_skip_modifiers,
	btf_type_skip_qualifiers,
	btf_type_var_secinfo,
} from "./btf_obj.ts";
import type { btf, btf_member, btf_type } from "./btf_types.ts";

const BTF_SHOW_OBJ_SAFE_SIZE = 32;
const BTF_SHOW_OBJ_BASE_TYPE_SIZE = 16;
const BTF_SHOW_NAME_SIZE = 80;
const BTF_SHOW_MAX_ITER = 10;

/** Where shown data is read from, and how a pointer is shown when its value is secret. */
export interface ShowSource {
	/** copy_from_kernel_nofault(): null when it faults. */
	read(addr: number, len: number): Uint8Array | null;
	/** The hashed value that "%p" prints; without it the value itself. */
	hash_ptr?(v: bigint): bigint;
}

/** A piece of data in hand: its bytes from the address on. */
interface Piece {
	bytes: DataView;
	at: number;
}

/** struct btf_show */
class Show {
	readonly src: ShowSource;
	readonly flags: number;
	readonly b: btf;
	text = "";
	// show->state
	depth = 0;
	depth_to_show = 0;
	depth_check = 0;
	array_member = false;
	array_terminated = false;
	array_encoding = 0;
	type_id = 0;
	status = 0;
	type: btf_type | null = null;
	member: btf_member | null = null;
	// show->obj
	size = 0;
	head = 0;
	data = 0;
	safe = new Uint8Array(BTF_SHOW_OBJ_SAFE_SIZE);

	constructor(b: btf, src: ShowSource, flags: number) {
		this.b = b;
		this.src = src;
		this.flags = flags;
	}

	/** kernel/bpf/btf.c: btf_show_name: `.member = (type)` */
	name(): string {
		if (this.array_member) return "";
		const { b } = this;
		let id = this.type_id;
		let member = "";
		if (this.member) {
			member = btf_name_by_offset(b, this.member.name_off) ?? "";
			id = this.member.type;
		}
		let t = btf_type_by_id(b, id);
		if (!t) return "";
		// go through typedefs, arrays and pointers to the type whose name is shown
		let name: string | null = null;
		let parens = "";
		let arrays = 0;
		let ptrs = 0;
		let typedefs = 0;
		let i = 0;
		for (; i < BTF_SHOW_MAX_ITER; i++) {
			let next: number;
			switch (btf_kind(t)) {
				case BTF_KIND_TYPEDEF:
					name ??= btf_name_by_offset(b, t.name_off);
					typedefs++;
					next = t.type;
					break;
				case BTF_KIND_ARRAY:
					parens = "[";
					arrays++;
					next = btf_type_array(t).type;
					break;
				case BTF_KIND_PTR:
					ptrs++;
					next = t.type;
					break;
				default:
					next = 0;
			}
			if (!next) break;
			t = btf_type_skip_qualifiers(b, next);
		}
		if (i === BTF_SHOW_MAX_ITER) return "";
		name ??= btf_name_by_offset(b, t.name_off) ?? "";
		let prefix = "";
		switch (btf_kind(t)) {
			case BTF_KIND_STRUCT:
			case BTF_KIND_UNION:
				prefix = btf_kind(t) === BTF_KIND_STRUCT ? "struct" : "union";
				// a struct in an array keeps the array's bracket
				if (!arrays) parens = "{";
				break;
			case BTF_KIND_ENUM:
			case BTF_KIND_ENUM64:
				prefix = "enum";
		}
		if (ptrs) parens = "";
		if (typedefs) prefix = "";
		let s = parens;
		if (!(this.flags & BTF_SHOW_NONAME)) {
			const dot = member ? `.${member} = ` : "";
			const space = prefix && name ? " " : "";
			const stars = ptrs ? ` ${"*".repeat(Math.min(ptrs, 10))}` : "";
			s = `${dot}(${prefix}${space}${name}${stars}${"[]".repeat(Math.min(arrays, 10))})${parens}`;
		}
		return s.slice(0, BTF_SHOW_NAME_SIZE - 1);
	}

	indent(): string {
		return this.flags & BTF_SHOW_COMPACT ? "" : " ".repeat(Math.min(this.depth, 32));
	}
	newline(): string {
		return this.flags & BTF_SHOW_COMPACT ? "" : "\n";
	}
	delim(): string {
		if (this.depth === 0) return "";
		if (this.flags & BTF_SHOW_COMPACT && this.type && btf_kind(this.type) === BTF_KIND_UNION) return "|";
		return ",";
	}
	/** kernel/bpf/btf.c: btf_show: nothing is printed while it is only checked whether something would be */
	print(s: string): void {
		if (!this.depth_check) this.text += s;
	}
	/** kernel/bpf/btf.c: btf_show_type_values */
	values(s: string): void {
		this.print(`${this.indent()}${this.name()}${s}${this.delim()}${this.newline()}`);
		this.depth_to_show = Math.max(this.depth_to_show, this.depth);
	}
	/** kernel/bpf/btf.c: btf_show_type_value: unless it is zero and zeroes are not shown */
	value(s: string, is_zero: boolean): void {
		if (!is_zero || this.flags & BTF_SHOW_ZERO || this.depth === 0) this.values(s);
	}

	/** kernel/bpf/btf.c: btf_show_obj_safe */
	obj_safe(t: btf_type, data: number): Piece | null {
		const size = { val: 0 };
		const rt = btf_resolve_size(this.b, t, size);
		if (this.flags & BTF_SHOW_UNSAFE) {
			const len = typeof rt === "number" ? 0 : Math.max(size.val, BTF_SHOW_OBJ_BASE_TYPE_SIZE);
			const bytes = this.src.read(data, Math.min(len, 4096)) ?? this.src.read(data, size.val);
			if (!bytes) {
				this.status = -EFAULT;
				return null;
			}
			return { bytes: padded(bytes), at: 0 };
		}
		if (typeof rt === "number") {
			this.status = rt;
			return null;
		}
		let inside = false;
		if (this.depth === 0) {
			this.size = size.val;
			this.head = data;
		} else {
			const need = Math.min(size.val, BTF_SHOW_OBJ_BASE_TYPE_SIZE);
			inside = data >= this.data && data + need < this.data + BTF_SHOW_OBJ_SAFE_SIZE;
		}
		if (!inside) {
			const left = Math.min(this.head + this.size - data, BTF_SHOW_OBJ_SAFE_SIZE);
			const bytes = left > 0 ? this.src.read(data, left) : new Uint8Array(0);
			if (!bytes) {
				this.status = -EFAULT;
				return null;
			}
			this.status = 0;
			this.safe.set(bytes);
			this.data = data;
		}
		return { bytes: padded(this.safe), at: data - this.data };
	}
	start_type(t: btf_type, type_id: number, data: number): Piece | null {
		this.type = t;
		this.type_id = type_id;
		return this.obj_safe(t, data);
	}
	end_type(): void {
		this.type = null;
		this.type_id = 0;
	}
	start_aggr(t: btf_type, type_id: number, data: number): Piece | null {
		const p = this.start_type(t, type_id, data);
		if (!p) return null;
		this.print(`${this.indent()}${this.name()}${this.newline()}`);
		this.depth++;
		return p;
	}
	end_aggr(suffix: string): void {
		this.depth--;
		this.print(`${this.indent()}${suffix}${this.delim()}${this.newline()}`);
		this.end_type();
	}
}

/** A view that may be read a little past its end. */
function padded(bytes: Uint8Array): DataView {
	const copy = new Uint8Array(bytes.length + 16);
	copy.set(bytes);
	return new DataView(copy.buffer);
}

function show_int128(s: Show, v: bigint): void {
	const hi = v >> 64n;
	const lo = BigInt.asUintN(64, v);
	if (hi === 0n) s.value(`0x${lo.toString(16)}`, lo === 0n);
	else s.values(`0x${hi.toString(16)}${lo.toString(16).padStart(16, "0")}`);
}

/** kernel/bpf/btf.c: btf_bitfield_show */
function btf_bitfield_show(s: Show, p: Piece, bits_offset: number, nr_bits: number): void {
	const nr_copy_bytes = BITS_ROUNDUP_BYTES((nr_bits + bits_offset) & 0xff);
	let v = 0n;
	for (let i = 0; i < nr_copy_bytes; i++) v |= BigInt(p.bytes.getUint8(p.at + i)) << BigInt(8 * i);
	show_int128(s, BigInt.asUintN(nr_bits, v >> BigInt(bits_offset)));
}

/** kernel/bpf/btf.c: btf_int_bits_show */
function btf_int_bits_show(s: Show, t: btf_type, p: Piece, bits_offset: number): void {
	const int_data = btf_type_int(t);
	const total = (bits_offset + BTF_INT_OFFSET(int_data)) & 0xff;
	btf_bitfield_show(
		s,
		{ bytes: p.bytes, at: p.at + BITS_ROUNDDOWN_BYTES(total) },
		total & 7,
		BTF_INT_BITS(int_data),
	);
}

function isprint(c: number): boolean {
	return (c >= 0x20 && c <= 0x7e) || c >= 0xa0;
}

/** kernel/bpf/btf.c: btf_int_show */
function btf_int_show(s: Show, t: btf_type, type_id: number, data: number, bits_offset: number): void {
	const int_data = btf_type_int(t);
	const sign = (BTF_INT_ENCODING(int_data) & BTF_INT_SIGNED) !== 0;
	const nr_bits = BTF_INT_BITS(int_data);
	const p = s.start_type(t, type_id, data);
	if (!p) return;
	const { bytes, at } = p;
	if (bits_offset || BTF_INT_OFFSET(int_data) || nr_bits & 7) {
		btf_int_bits_show(s, t, p, bits_offset);
		s.end_type();
		return;
	}
	switch (nr_bits) {
		case 128:
			show_int128(s, bytes.getBigUint64(at, true) | (bytes.getBigUint64(at + 8, true) << 64n));
			break;
		case 64: {
			const v = sign ? bytes.getBigInt64(at, true) : bytes.getBigUint64(at, true);
			s.value(String(v), v === 0n);
			break;
		}
		case 32: {
			const v = sign ? bytes.getInt32(at, true) : bytes.getUint32(at, true);
			s.value(String(v), v === 0);
			break;
		}
		case 16: {
			const v = sign ? bytes.getInt16(at, true) : bytes.getUint16(at, true);
			s.value(String(v), v === 0);
			break;
		}
		case 8: {
			const c = bytes.getUint8(at);
			if (s.array_encoding === BTF_INT_CHAR) {
				// a string: characters up to NUL
				if (s.array_terminated) break;
				if (c === 0) {
					s.array_terminated = true;
					break;
				}
				if (isprint(c)) {
					s.value(`'${String.fromCharCode(c)}'`, false);
					break;
				}
			}
			s.value(String(sign ? bytes.getInt8(at) : c), c === 0);
			break;
		}
		default:
			btf_int_bits_show(s, t, p, bits_offset);
	}
	s.end_type();
}

/** kernel/bpf/btf.c: btf_ptr_show */
function btf_ptr_show(s: Show, t: btf_type, type_id: number, data: number): void {
	const p = s.start_type(t, type_id, data);
	if (!p) return;
	const v = p.bytes.getBigUint64(p.at, true);
	// NULL and error values are no addresses: they are never hashed
	const plain = s.flags & BTF_SHOW_PTR_RAW || v === 0n || v >= 0xfffffffffffff001n;
	const shown = plain ? v : (s.src.hash_ptr?.(v) ?? v);
	s.value(`0x${shown.toString(16).padStart(16, "0")}`, v === 0n);
	s.end_type();
}

/** kernel/bpf/btf.c: btf_enum_show, btf_enum64_show */
function btf_enum_show(s: Show, t: btf_type, type_id: number, data: number): void {
	const p = s.start_type(t, type_id, data);
	if (!p) return;
	const wide = btf_kind(t) === BTF_KIND_ENUM64;
	const bits = wide ? 64 : 32;
	const v = wide ? p.bytes.getBigUint64(p.at, true) : BigInt(p.bytes.getUint32(p.at, true));
	const entries = wide
		? btf_type_enum64(t).map((e) => ({ name_off: e.name_off, v: btf_enum64_value(e) }))
		: btf_type_enum(t).map((e) => ({ name_off: e.name_off, v: BigInt(e.val >>> 0) }));
	const found = entries.find((e) => e.v === v);
	// a name is not zero, whatever it stands for
	if (found) s.value(__btf_name_by_offset(s.b, found.name_off), false);
	else s.value(String(btf_type_kflag(t) ? BigInt.asIntN(bits, v) : v), v === 0n);
	s.end_type();
}

/** kernel/bpf/btf.c: __btf_array_show */
function __btf_array_show(s: Show, t: btf_type, type_id: number, data: number, bits_offset: number): void {
	const array = btf_type_array(t);
	const elem_type = btf_type_skip_modifiers(s.b, array.type);
	const elem_size = btf_type_has_size(elem_type) ? elem_type.size : 0;
	let encoding = 0;
	if (btf_type_is_int(elem_type)) {
		encoding = BTF_INT_ENCODING(btf_type_int(elem_type));
		// bytes are shown as characters, with or without the encoding
		if (elem_size === 1) encoding = BTF_INT_CHAR;
	}
	s.array_encoding = encoding;
	s.array_terminated = false;
	if (!s.start_aggr(t, type_id, data)) return;
	for (let i = 0; i < array.nelems; i++) {
		s.array_member = true;
		s.member = null;
		btf_show(s, elem_type, array.type, data, bits_offset);
		data += elem_size;
		s.array_member = false;
		s.member = null;
		if (s.array_terminated) break;
	}
	s.array_encoding = 0;
	s.array_terminated = false;
	s.end_aggr("]");
}

/** kernel/bpf/btf.c: __btf_struct_show */
function __btf_struct_show(s: Show, t: btf_type, type_id: number, data: number): void {
	if (!s.start_aggr(t, type_id, data)) return;
	for (const member of btf_type_member(t)) {
		const member_type = btf_type_by_id(s.b, member.type)!;
		s.member = member;
		const off = __btf_member_bit_offset(t, member);
		const bitfield_size = __btf_member_bitfield_size(t, member);
		const at = data + BITS_ROUNDDOWN_BYTES(off);
		if (bitfield_size) {
			const p = s.start_type(member_type, member.type, at);
			if (p) btf_bitfield_show(s, p, off & 7, bitfield_size);
			s.end_type();
		} else {
			btf_show(s, member_type, member.type, at, off & 7);
		}
		s.member = null;
	}
	s.end_aggr("}");
}

/** kernel/bpf/btf.c: btf_struct_show, btf_array_show: an inner one is shown when there is something in it */
function btf_aggr_show(s: Show, show: () => void): void {
	const m = s.member;
	if (s.depth > 0 && !(s.flags & BTF_SHOW_ZERO)) {
		if (!s.depth_check) {
			s.depth_check = s.depth + 1;
			s.depth_to_show = 0;
		}
		show();
		s.member = m;
		if (s.depth_check !== s.depth + 1) return;
		s.depth_check = 0;
		if (s.depth_to_show <= s.depth) return;
	}
	show();
}

/** kernel/bpf/btf.c: btf_datasec_show */
function btf_datasec_show(s: Show, t: btf_type, type_id: number, data: number, bits_offset: number): void {
	if (!s.start_type(t, type_id, data)) return;
	s.value(`section ("${__btf_name_by_offset(s.b, t.name_off)}") = {`, false);
	btf_type_var_secinfo(t).forEach((vsi, i) => {
		if (i) s.print(",");
		btf_show(s, btf_type_by_id(s.b, vsi.type)!, vsi.type, data + vsi.offset, bits_offset);
	});
	s.end_type();
}

/** btf_type_ops(t)->show */
function btf_show(s: Show, t: btf_type, type_id: number, data: number, bits_offset: number): void {
	switch (btf_kind(t)) {
		case BTF_KIND_INT:
			btf_int_show(s, t, type_id, data, bits_offset);
			return;
		case BTF_KIND_PTR:
			btf_ptr_show(s, t, type_id, data);
			return;
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
			btf_enum_show(s, t, type_id, data);
			return;
		case BTF_KIND_ARRAY:
			btf_aggr_show(s, () => __btf_array_show(s, t, type_id, data, bits_offset));
			return;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
			btf_aggr_show(s, () => __btf_struct_show(s, t, type_id, data));
			return;
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG: {
			// the kernel's own BTF is not resolved, and the id then stays the modifier's
			const id = { val: type_id };
			const next = btf_impl(s.b).resolved_ids
				? btf_type_id_resolve(s.b, id)
				: btf_type_skip_modifiers(s.b, type_id);
			btf_show(s, next, id.val, data, bits_offset);
			return;
		}
		case BTF_KIND_VAR: {
			const id = { val: type_id };
			const next = btf_type_id_resolve(s.b, id);
			btf_show(s, next, id.val, data, bits_offset);
			return;
		}
		case BTF_KIND_DATASEC:
			btf_datasec_show(s, t, type_id, data, bits_offset);
			return;
		default:
			s.print(`<unsupported kind:${btf_kind(t)}>`);
	}
}

/** kernel/bpf/btf.c: btf_type_show: all that is printed, and 0 or a negative errno */
export function btf_type_show(
	b: btf,
	type_id: number,
	obj: number,
	src: ShowSource,
	flags: number,
): { text: string; status: number } {
	const s = new Show(b, src, flags);
	btf_show(s, btf_type_by_id(b, type_id)!, type_id, obj, 0);
	return { text: s.text, status: s.status };
}

/** kernel/bpf/btf.c: btf_type_seq_show: how map files show keys and values */
export function btf_type_seq_show(b: btf, type_id: number, obj: number, src: ShowSource): string {
	return btf_type_show(
		b,
		type_id,
		obj,
		src,
		BTF_SHOW_NONAME | BTF_SHOW_COMPACT | BTF_SHOW_ZERO | BTF_SHOW_UNSAFE,
	).text;
}

/**
 * kernel/bpf/btf.c: btf_type_snprintf_show: what fits into a buffer of `len` bytes (a NUL included), and the
 * length that the whole would have, or a negative errno
 */
export function btf_type_snprintf_show(
	b: btf,
	type_id: number,
	obj: number,
	src: ShowSource,
	len: number,
	flags: number,
): { text: string; ret: number } {
	const { text, status } = btf_type_show(b, type_id, obj, src, flags);
	return { text: text.slice(0, Math.max(0, len - 1)), ret: status || text.length };
}
