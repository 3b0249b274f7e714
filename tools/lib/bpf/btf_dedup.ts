// SPDX-License-Identifier: GPL-2.0-only
/**
 * Each type once, forward declarations led to what they declare: tools/lib/bpf/btf.c: btf__dedup.
 *
 * Strings first; then types that refer to no others; then structs and unions, whose graphs are compared as
 * a whole under the hypothesis that they are the same; then what refers to types. What is left is moved together.
 */
import { EINVAL, ELOOP } from "../../../include/uapi/asm-generic/errno.ts";
import * as K from "../../../include/uapi/linux/btf.ts";
import {
	type Btf,
	type BtfType,
	btf_array,
	btf_is_array,
	btf_is_composite,
	btf_is_datasec,
	btf_is_fwd,
	btf_is_ptr,
	btf_is_var,
	btf_kflag,
	btf_kind,
	btf_member_at,
	btf_members,
	btf_params,
	btf_vlen,
} from "./btf.ts";
import { type btf_ext, btf_ext_visit_str_offs, btf_ext_visit_type_ids } from "./btf_ext.ts";
import { btf_field_offs, field_of, set_field } from "./btf_iter.ts";
import type { LibbpfPrinter } from "./libbpf_internal.ts";
import { StrSet } from "./strset.ts";

const BTF_MAX_NR_TYPES = 0x7fffffff;
const BTF_UNPROCESSED_ID = 0xffffffff;
const BTF_IN_PROGRESS_ID = 0xfffffffe;
const HASHMAP_MIN_CAP_BITS = 2;

/** struct btf_dedup_opts */
export interface btf_dedup_opts {
	/** Its strings and types are led to the new ones too. */
	btf_ext?: btf_ext | null;
	/** All types are candidates for all. */
	force_collisions?: boolean;
}

function hash_combine(h: number, value: number): number {
	return (Math.imul(h, 31) + value) | 0;
}

/**
 * tools/lib/bpf/hashmap.c as far as the order of candidates hangs on it: the newest comes first, and each time
 * the table grows their order turns around.
 */
class Candidates {
	private readonly by_hash = new Map<number, number[]>();
	private cap_bits = 0;
	private sz = 0;
	private readonly collide: boolean;
	constructor(collide: boolean) {
		this.collide = collide;
	}
	add(hash: number, id: number): void {
		if (this.cap_bits === 0 || Math.floor(((this.sz + 1) * 4) / 3) > 2 ** this.cap_bits) {
			for (const list of this.by_hash.values()) list.reverse();
			this.cap_bits = Math.max(this.cap_bits + 1, HASHMAP_MIN_CAP_BITS);
		}
		const key = this.collide ? 0 : hash;
		const list = this.by_hash.get(key);
		if (list) list.unshift(id);
		else this.by_hash.set(key, [id]);
		this.sz++;
	}
	of(hash: number): readonly number[] {
		return this.by_hash.get(this.collide ? 0 : hash) ?? [];
	}
}

// ---- signatures

function btf_hash_common(t: BtfType): number {
	return hash_combine(hash_combine(hash_combine(0, t.name_off), t.info), t.size);
}

function btf_equal_common(a: BtfType, b: BtfType): boolean {
	return a.name_off === b.name_off && a.info === b.info && a.size === b.size;
}

function btf_hash_int_decl_tag(t: BtfType): number {
	return hash_combine(btf_hash_common(t), t.word(0));
}

function btf_equal_int_tag(a: BtfType, b: BtfType): boolean {
	return btf_equal_common(a, b) && a.word(0) === b.word(0);
}

/** Neither members nor size, so that forward declarations of enums find them. */
function btf_hash_enum(t: BtfType): number {
	return hash_combine(0, t.name_off);
}

function btf_is_any_enum(t: BtfType): boolean {
	return btf_kind(t) === K.BTF_KIND_ENUM || btf_kind(t) === K.BTF_KIND_ENUM64;
}

/** Words behind the header are the same. */
function words_equal(a: BtfType, b: BtfType, n: number): boolean {
	for (let i = 0; i < n; i++) if (a.word(i) !== b.word(i)) return false;
	return true;
}

function btf_equal_enum(a: BtfType, b: BtfType): boolean {
	return btf_equal_common(a, b) && words_equal(a, b, btf_vlen(a) * (btf_kind(a) === K.BTF_KIND_ENUM ? 2 : 3));
}

function btf_is_enum_fwd(t: BtfType): boolean {
	return btf_is_any_enum(t) && btf_vlen(t) === 0;
}

function btf_compat_enum(a: BtfType, b: BtfType): boolean {
	if (!btf_is_enum_fwd(a) && !btf_is_enum_fwd(b)) return btf_equal_enum(a, b);
	// an enum may be declared before it is known to need 64 bits: neither kind nor size counts
	return a.name_off === b.name_off && btf_is_any_enum(a) && btf_is_any_enum(b);
}

function btf_hash_struct(t: BtfType): number {
	let h = btf_hash_common(t);
	for (const m of btf_members(t)) h = hash_combine(hash_combine(h, m.name_off), m.offset);
	return h;
}

function btf_shallow_equal_struct(a: BtfType, b: BtfType): boolean {
	if (!btf_equal_common(a, b)) return false;
	for (let i = 0; i < btf_vlen(a); i++) {
		const x = btf_member_at(a, i);
		const y = btf_member_at(b, i);
		if (x.name_off !== y.name_off || x.offset !== y.offset) return false;
	}
	return true;
}

function btf_hash_array(t: BtfType): number {
	const a = btf_array(t);
	return hash_combine(hash_combine(hash_combine(btf_hash_common(t), a.type), a.index_type), a.nelems);
}

function btf_equal_array(a: BtfType, b: BtfType): boolean {
	return btf_equal_common(a, b) && words_equal(a, b, 3);
}

function btf_compat_array(a: BtfType, b: BtfType): boolean {
	return btf_equal_common(a, b) && btf_array(a).nelems === btf_array(b).nelems;
}

function btf_hash_fnproto(t: BtfType): number {
	let h = btf_hash_common(t);
	for (const p of btf_params(t)) h = hash_combine(hash_combine(h, p.name_off), p.type);
	return h;
}

function btf_equal_fnproto(a: BtfType, b: BtfType): boolean {
	return btf_equal_common(a, b) && words_equal(a, b, 2 * btf_vlen(a));
}

/** What it returns is compared elsewhere. */
function btf_compat_fnproto(a: BtfType, b: BtfType): boolean {
	if (a.name_off !== b.name_off || a.info !== b.info) return false;
	const params = btf_params(b);
	return btf_params(a).every((p, i) => p.name_off === params[i]!.name_off);
}

/** struct btf_dedup */
class Dedup {
	private readonly btf: Btf;
	private readonly ext: btf_ext | null;
	private readonly table: Candidates;
	/** The canonical type of each. */
	private readonly map: Uint32Array;
	private readonly hypot_map: Uint32Array;
	private hypot_list: number[] = [];
	private hypot_adjust_canon = false;
	private readonly pr: LibbpfPrinter;

	constructor(pr: LibbpfPrinter, btf: Btf, opts: btf_dedup_opts) {
		this.pr = pr;
		this.btf = btf;
		this.ext = opts.btf_ext ?? null;
		this.table = new Candidates(opts.force_collisions ?? false);
		const n = btf.type_cnt();
		this.map = new Uint32Array(n).fill(BTF_UNPROCESSED_ID);
		this.map[0] = 0;
		for (let i = 1; i < n; i++) {
			const t = this.t(i);
			if (btf_is_var(t) || btf_is_datasec(t)) this.map[i] = i;
		}
		this.hypot_map = new Uint32Array(n).fill(BTF_UNPROCESSED_ID);
	}

	private t(id: number): BtfType {
		return this.btf.type_by_id(id)!;
	}

	/** tools/lib/bpf/btf.c: btf__dedup */
	run(): number {
		const steps: readonly (readonly [string, () => number])[] = [
			["btf_dedup_prep", () => this.prep()],
			["btf_dedup_strings", () => this.strings()],
			["btf_dedup_prim_types", () => this.each((id) => this.prim_type(id))],
			["btf_dedup_struct_types", () => this.each((id) => this.struct_type(id))],
			["btf_dedup_resolve_fwds", () => this.resolve_fwds()],
			["btf_dedup_ref_types", () => this.each((id) => Math.min(this.ref_type(id), 0))],
			["btf_dedup_compact_types", () => this.compact_types()],
			["btf_dedup_remap_types", () => this.remap_types()],
		];
		for (const [name, step] of steps) {
			const err = step();
			if (err) {
				this.pr.pr_debug(() => `${name} failed:${err}\n`);
				return err;
			}
		}
		return 0;
	}

	private each(fn: (id: number) => number): number {
		const end = this.btf.type_cnt();
		for (let id = this.btf.start_id; id < end; id++) {
			const err = fn(id);
			if (err) return err;
		}
		return 0;
	}

	/** btf_dedup_prep(): the types of the base are candidates as they are. */
	private prep(): number {
		if (!this.btf.base_btf) return 0;
		for (let id = 1; id < this.btf.start_id; id++) {
			const t = this.t(id);
			this.map[id] = id;
			switch (btf_kind(t)) {
				case K.BTF_KIND_VAR:
				case K.BTF_KIND_DATASEC:
					continue;
				case K.BTF_KIND_INT:
				case K.BTF_KIND_DECL_TAG:
					this.table.add(btf_hash_int_decl_tag(t), id);
					break;
				case K.BTF_KIND_ENUM:
				case K.BTF_KIND_ENUM64:
					this.table.add(btf_hash_enum(t), id);
					break;
				case K.BTF_KIND_STRUCT:
				case K.BTF_KIND_UNION:
					this.table.add(btf_hash_struct(t), id);
					break;
				case K.BTF_KIND_ARRAY:
					this.table.add(btf_hash_array(t), id);
					break;
				case K.BTF_KIND_FUNC_PROTO:
					this.table.add(btf_hash_fnproto(t), id);
					break;
				default:
					this.table.add(btf_hash_common(t), id);
			}
		}
		return 0;
	}

	/** btf_dedup_strings(): those that something refers to, each once. */
	private strings(): number {
		const { btf } = this;
		if (btf.strs_deduped) return 0;
		const set = new StrSet();
		if (!btf.base_btf) set.add_str("");
		const remap = (off: number): number => {
			if (off === 0 || off < btf.start_str_off) return off;
			const s = btf.str_by_offset(off)!;
			const known = btf.base_btf?.find_str(s) ?? -1;
			return known >= 0 ? known : btf.start_str_off + set.add_str(s);
		};
		const err = this.each((id) => {
			const t = this.t(id);
			const offs = btf_field_offs(t, "strs");
			if (!offs) return -EINVAL;
			for (const off of offs) set_field(t, off, remap(field_of(t, off)));
			return 0;
		});
		if (err) return err;
		if (this.ext) btf_ext_visit_str_offs(this.ext, remap);
		btf.replace_strs(set.data());
		return 0;
	}

	// ---- types that refer to none

	private prim_type(id: number): number {
		const t = this.t(id);
		let new_id = id;
		let h: number;
		const find = (eq: (cand: BtfType) => boolean): void => {
			for (const cand of this.table.of(h)) {
				if (!eq(this.t(cand))) continue;
				new_id = cand;
				break;
			}
		};
		switch (btf_kind(t)) {
			case K.BTF_KIND_INT:
				h = btf_hash_int_decl_tag(t);
				find((c) => btf_equal_int_tag(t, c));
				break;
			case K.BTF_KIND_ENUM:
			case K.BTF_KIND_ENUM64:
				h = btf_hash_enum(t);
				for (const cand of this.table.of(h)) {
					const c = this.t(cand);
					if (btf_equal_enum(t, c)) {
						new_id = cand;
						break;
					}
					if (!btf_compat_enum(t, c)) continue;
					if (btf_is_enum_fwd(t)) {
						new_id = cand;
						break;
					}
					// what was only declared is this one
					this.map[cand] = id;
				}
				break;
			case K.BTF_KIND_FWD:
			case K.BTF_KIND_FLOAT:
				h = btf_hash_common(t);
				find((c) => btf_equal_common(t, c));
				break;
			default:
				return 0;
		}
		this.map[id] = new_id;
		if (id === new_id) this.table.add(h, id);
		return 0;
	}

	// ---- canonical types

	private is_type_mapped(id: number): boolean {
		return this.map[id]! <= BTF_MAX_NR_TYPES;
	}

	private resolve_type_id(id: number): number {
		let at = id;
		while (this.is_type_mapped(at) && this.map[at] !== at) at = this.map[at]!;
		return at;
	}

	/** The struct or union behind a forward declaration, if it is known. */
	private resolve_fwd_id(id: number): number {
		if (!btf_is_fwd(this.t(id))) return id;
		const at = this.resolve_type_id(id);
		return btf_is_fwd(this.t(at)) ? id : at;
	}

	private identical_arrays(id1: number, id2: number): boolean {
		const a = this.t(id1);
		const b = this.t(id2);
		return btf_is_array(a) && btf_is_array(b) && btf_equal_array(a, b);
	}

	private identical_structs(id1: number, id2: number): boolean {
		const a = this.t(id1);
		const b = this.t(id2);
		if (!btf_is_composite(a) || btf_kind(a) !== btf_kind(b)) return false;
		if (!btf_shallow_equal_struct(a, b)) return false;
		for (let i = 0; i < btf_vlen(a); i++) {
			const x = btf_member_at(a, i).type;
			const y = btf_member_at(b, i).type;
			if (x !== y && !this.identical_arrays(x, y) && !this.identical_structs(x, y)) return false;
		}
		return true;
	}

	private identical_ptrs(id1: number, id2: number): boolean {
		const a = this.t(id1);
		const b = this.t(id2);
		return btf_is_ptr(a) && btf_is_ptr(b) && a.type === b.type;
	}

	// ---- structs and unions

	/** btf_dedup_is_equiv(): 1, 0, or a negative errno */
	private is_equiv(cand_id: number, canon: number): number {
		if (this.resolve_type_id(cand_id) === this.resolve_type_id(canon)) return 1;
		const canon_id = this.resolve_fwd_id(canon);
		const hypot = this.hypot_map[canon_id]!;
		if (hypot <= BTF_MAX_NR_TYPES) {
			if (hypot === cand_id) return 1;
			// compilers may write the same array, struct or pointer twice in one unit
			return this.identical_arrays(hypot, cand_id) ||
				this.identical_structs(hypot, cand_id) ||
				this.identical_ptrs(hypot, cand_id)
				? 1
				: 0;
		}
		this.hypot_list.push(canon_id);
		this.hypot_map[canon_id] = cand_id;

		const a = this.t(cand_id);
		const b = this.t(canon_id);
		const kind = btf_kind(a);
		const canon_kind = btf_kind(b);
		if (a.name_off !== b.name_off) return 0;
		const fwd_kind = (t: BtfType): number => (btf_kflag(t) ? K.BTF_KIND_UNION : K.BTF_KIND_STRUCT);
		if ((kind === K.BTF_KIND_FWD || canon_kind === K.BTF_KIND_FWD) && kind !== canon_kind) {
			if (kind === K.BTF_KIND_FWD) return fwd_kind(a) === canon_kind ? 1 : 0;
			if (fwd_kind(b) !== kind) return 0;
			if (canon_id < this.btf.start_id) this.hypot_adjust_canon = true;
			return 1;
		}
		if (kind !== canon_kind) return 0;
		switch (kind) {
			case K.BTF_KIND_INT:
				return btf_equal_int_tag(a, b) ? 1 : 0;
			case K.BTF_KIND_ENUM:
			case K.BTF_KIND_ENUM64:
				return btf_compat_enum(a, b) ? 1 : 0;
			case K.BTF_KIND_FWD:
			case K.BTF_KIND_FLOAT:
				return btf_equal_common(a, b) ? 1 : 0;
			case K.BTF_KIND_CONST:
			case K.BTF_KIND_VOLATILE:
			case K.BTF_KIND_RESTRICT:
			case K.BTF_KIND_PTR:
			case K.BTF_KIND_TYPEDEF:
			case K.BTF_KIND_FUNC:
			case K.BTF_KIND_TYPE_TAG:
				return a.info !== b.info ? 0 : this.is_equiv(a.type, b.type);
			case K.BTF_KIND_ARRAY: {
				if (!btf_compat_array(a, b)) return 0;
				const eq = this.is_equiv(btf_array(a).index_type, btf_array(b).index_type);
				return eq <= 0 ? eq : this.is_equiv(btf_array(a).type, btf_array(b).type);
			}
			case K.BTF_KIND_STRUCT:
			case K.BTF_KIND_UNION:
				if (!btf_shallow_equal_struct(a, b)) return 0;
				for (let i = 0; i < btf_vlen(a); i++) {
					const eq = this.is_equiv(btf_member_at(a, i).type, btf_member_at(b, i).type);
					if (eq <= 0) return eq;
				}
				return 1;
			case K.BTF_KIND_FUNC_PROTO: {
				if (!btf_compat_fnproto(a, b)) return 0;
				const ret = this.is_equiv(a.type, b.type);
				if (ret <= 0) return ret;
				const canon_params = btf_params(b);
				for (const [i, p] of btf_params(a).entries()) {
					const eq = this.is_equiv(p.type, canon_params[i]!.type);
					if (eq <= 0) return eq;
				}
				return 1;
			}
			default:
				return -EINVAL;
		}
	}

	private clear_hypot_map(): void {
		for (const id of this.hypot_list) this.hypot_map[id] = BTF_UNPROCESSED_ID;
		this.hypot_list = [];
		this.hypot_adjust_canon = false;
	}

	/** btf_dedup_merge_hypot_map(): the hypothesis held: what it says of structs and declarations is so. */
	private merge_hypot_map(): void {
		for (const canon of this.hypot_list) {
			const t_id = this.resolve_type_id(this.hypot_map[canon]!);
			const c_id = this.resolve_type_id(canon);
			const t_kind = btf_kind(this.t(t_id));
			const c_kind = btf_kind(this.t(c_id));
			if (t_kind !== K.BTF_KIND_FWD && c_kind === K.BTF_KIND_FWD) this.map[c_id] = t_id;
			if (this.hypot_adjust_canon) continue;
			if (t_kind === K.BTF_KIND_FWD && c_kind !== K.BTF_KIND_FWD) this.map[t_id] = c_id;
			if (
				(t_kind === K.BTF_KIND_STRUCT || t_kind === K.BTF_KIND_UNION) &&
				c_kind !== K.BTF_KIND_FWD &&
				this.is_type_mapped(c_id) &&
				!this.is_type_mapped(t_id)
			)
				this.map[t_id] = c_id;
		}
	}

	private struct_type(id: number): number {
		if (this.map[id]! <= BTF_MAX_NR_TYPES) return 0;
		const t = this.t(id);
		if (!btf_is_composite(t)) return 0;
		const h = btf_hash_struct(t);
		let new_id = id;
		for (const cand of this.table.of(h)) {
			if (!btf_shallow_equal_struct(t, this.t(cand))) continue;
			this.clear_hypot_map();
			const eq = this.is_equiv(id, cand);
			if (eq < 0) return eq;
			if (!eq) continue;
			this.merge_hypot_map();
			if (this.hypot_adjust_canon) continue;
			new_id = cand;
			break;
		}
		this.map[id] = new_id;
		if (id === new_id) this.table.add(h, id);
		return 0;
	}

	/** btf_dedup_resolve_fwds(): a declaration whose name only one struct or union has is that one. */
	private resolve_fwds(): number {
		const names = new Map<number, number>();
		for (let id = 1; id < this.btf.type_cnt(); id++) {
			const t = this.t(id);
			if (!btf_is_composite(t) || this.map[id] !== id) continue;
			names.set(t.name_off, names.has(t.name_off) ? 0 : id);
		}
		return this.each((id) => {
			const t = this.t(id);
			if (!btf_is_fwd(t) || this.map[id] !== id) return 0;
			const cand = names.get(t.name_off);
			if (!cand) return 0;
			const union = btf_kind(this.t(cand)) === K.BTF_KIND_UNION;
			if (union === btf_kflag(t)) this.map[id] = cand;
			return 0;
		});
	}

	// ---- types that refer to others

	/** btf_dedup_ref_type(): its canonical type, or a negative errno */
	private ref_type(id: number): number {
		if (this.map[id] === BTF_IN_PROGRESS_ID) return -ELOOP;
		if (this.map[id]! <= BTF_MAX_NR_TYPES) return this.resolve_type_id(id);
		const t = this.t(id);
		this.map[id] = BTF_IN_PROGRESS_ID;
		let h: number;
		let equal: (a: BtfType, b: BtfType) => boolean;
		/** Leads the words at these offsets to canonical types. */
		const resolve = (offs: readonly number[]): number => {
			for (const off of offs) {
				const ref = this.ref_type(field_of(t, off));
				if (ref < 0) return ref;
				set_field(t, off, ref);
			}
			return 0;
		};
		const err = resolve(btf_field_offs(t, "ids") ?? []);
		if (err) return err;
		switch (btf_kind(t)) {
			case K.BTF_KIND_CONST:
			case K.BTF_KIND_VOLATILE:
			case K.BTF_KIND_RESTRICT:
			case K.BTF_KIND_PTR:
			case K.BTF_KIND_TYPEDEF:
			case K.BTF_KIND_FUNC:
			case K.BTF_KIND_TYPE_TAG:
				h = btf_hash_common(t);
				equal = btf_equal_common;
				break;
			case K.BTF_KIND_DECL_TAG:
				h = btf_hash_int_decl_tag(t);
				equal = btf_equal_int_tag;
				break;
			case K.BTF_KIND_ARRAY:
				h = btf_hash_array(t);
				equal = btf_equal_array;
				break;
			case K.BTF_KIND_FUNC_PROTO:
				h = btf_hash_fnproto(t);
				equal = btf_equal_fnproto;
				break;
			default:
				return -EINVAL;
		}
		const new_id = this.table.of(h).find((cand) => equal(t, this.t(cand))) ?? id;
		this.map[id] = new_id;
		if (id === new_id) this.table.add(h, id);
		return new_id;
	}

	/** btf_dedup_compact_types(): canonical types alone, one behind the other */
	private compact_types(): number {
		const { btf } = this;
		const end = btf.type_cnt();
		this.hypot_map[0] = 0;
		for (let id = 1; id < btf.start_id; id++) this.hypot_map[id] = id;
		let next = btf.start_id;
		const kept: number[] = [];
		for (let id = btf.start_id; id < end; id++) {
			this.hypot_map[id] = BTF_UNPROCESSED_ID;
			if (this.map[id] !== id) continue;
			kept.push(id);
			this.hypot_map[id] = next++;
		}
		btf.keep_types(kept);
		return 0;
	}

	private remap_types(): number {
		const remap = (id: number): number => this.hypot_map[this.resolve_type_id(id)]!;
		const err = this.each((id) => {
			const t = this.t(id);
			for (const off of btf_field_offs(t, "ids") ?? []) {
				const to = remap(field_of(t, off));
				if (to > BTF_MAX_NR_TYPES) return -EINVAL;
				set_field(t, off, to);
			}
			return 0;
		});
		if (err || !this.ext) return err;
		let bad = 0;
		btf_ext_visit_type_ids(this.ext, (id) => {
			const to = remap(id);
			if (to > BTF_MAX_NR_TYPES) bad = -EINVAL;
			return to;
		});
		return bad;
	}
}

/** tools/lib/bpf/btf.c: btf__dedup: in place; 0 or a negative errno */
export function btf__dedup(pr: LibbpfPrinter, btf: Btf, opts: btf_dedup_opts = {}): number {
	btf.ensure_modifiable();
	return new Dedup(pr, btf, opts).run();
}
