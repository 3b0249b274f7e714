// SPDX-License-Identifier: GPL-2.0-only
/**
 * Ids, offsets and sizes of the kernel's own types, looked up by name in the vmlinux BTF that is plugged in
 * (what BTF_ID(), offsetof() and sizeof() are to the kernel's C code; include/linux/btf_ids.h).
 */
import {
	BTF_KIND_DATASEC,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
	BTF_KIND_FUNC,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPEDEF,
	BTF_KIND_UNION,
	BTF_KIND_VAR,
} from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { btf_vmlinux } from "./btf_find.ts";
import {
	__btf_member_bitfield_size,
	__btf_resolve_size,
	btf_find_by_name_kind,
	btf_impl,
	btf_member_bit_offset,
	btf_str_by_offset,
	btf_type_array,
	btf_type_by_id,
	btf_type_is_array,
	btf_type_is_struct,
	btf_type_member,
	btf_type_skip_modifiers,
} from "./btf_obj.ts";
import type { BtfIdRef, btf, btf_type } from "./btf_types.ts";

const KINDS: Readonly<Record<BtfIdRef["kind"], readonly number[]>> = {
	struct: [BTF_KIND_STRUCT],
	union: [BTF_KIND_UNION],
	enum: [BTF_KIND_ENUM, BTF_KIND_ENUM64],
	typedef: [BTF_KIND_TYPEDEF],
	func: [BTF_KIND_FUNC],
	datasec: [BTF_KIND_DATASEC],
	var: [BTF_KIND_VAR],
};

/** The id of a type of the vmlinux BTF; 0 when it is not there, as an unresolved BTF_ID() is. */
export function btf_id_of(kernel: Kernel, ref: BtfIdRef): number {
	const b = btf_vmlinux(kernel);
	if (!b) return 0;
	const cache = btf_impl(b).id_cache;
	const key = `${ref.kind} ${ref.name}`;
	let id = cache.get(key);
	if (id === undefined) {
		id = 0;
		for (const kind of KINDS[ref.kind]) {
			const found = btf_find_by_name_kind(b, ref.name, kind);
			if (found > 0) {
				id = found;
				break;
			}
		}
		cache.set(key, id);
	}
	return id;
}

/** A member found by its path: where it lies and what it is. */
export interface member_at {
	/** Bits from the start of the outermost struct. */
	bit_offset: number;
	/** Bits of a bitfield; 0 for other members. */
	bitfield_size: number;
	/** Id of the member's type, modifiers included. */
	type_id: number;
}

/** A member of a struct or union by name, looked for in unnamed members too. */
export function btf_find_member(b: btf, t: btf_type, name: string): member_at | null {
	const members = btf_type_member(t);
	for (let i = 0; i < members.length; i++) {
		const m = members[i]!;
		const bit_offset = btf_member_bit_offset(t, i);
		if (m.name_off !== 0) {
			if (btf_str_by_offset(b, m.name_off) === name)
				return { bit_offset, bitfield_size: __btf_member_bitfield_size(t, m), type_id: m.type };
			continue;
		}
		const mt = btf_type_skip_modifiers(b, m.type);
		if (!btf_type_is_struct(mt)) continue;
		const inner = btf_find_member(b, mt, name);
		if (inner) return { ...inner, bit_offset: bit_offset + inner.bit_offset };
	}
	return null;
}

/** The type that a struct's name stands for: a struct, a union, or a typedef of one. */
export function btf_struct_named(b: btf, name: string): btf_type | null {
	for (const kind of [BTF_KIND_STRUCT, BTF_KIND_UNION, BTF_KIND_TYPEDEF]) {
		const id = btf_find_by_name_kind(b, name, kind);
		if (id > 0) {
			const t = btf_type_skip_modifiers(b, id);
			if (btf_type_is_struct(t)) return t;
		}
	}
	return null;
}

/** A member by a path such as "a.b[2].c"; null when there is none. */
export function btf_member_path(b: btf, struct_name: string, path: string): member_at | null {
	let t = btf_struct_named(b, struct_name);
	let at: member_at | null = null;
	let base = 0;
	for (const part of path.split(".")) {
		const m = /^([^[]+)((?:\[\d+\])*)$/.exec(part);
		if (!t || !m) return null;
		const found: member_at | null = btf_find_member(b, t, m[1]!);
		if (!found) return null;
		let type_id = found.type_id;
		let bits = base + found.bit_offset;
		for (const idx of m[2]!.matchAll(/\d+/g)) {
			const array = btf_type_skip_modifiers(b, type_id);
			if (!btf_type_is_array(array)) return null;
			type_id = btf_type_array(array).type;
			const elem = __btf_resolve_size(b, btf_type_by_id(b, type_id)!);
			if (typeof elem === "number") return null;
			bits += Number(idx[0]) * elem.size * 8;
		}
		at = { bit_offset: bits, bitfield_size: found.bitfield_size, type_id };
		base = bits;
		const next = btf_type_skip_modifiers(b, type_id);
		t = btf_type_is_struct(next) ? next : null;
	}
	return at;
}

function cached(kernel: Kernel, key: string, find: (b: btf) => number | null): number {
	const b = btf_vmlinux(kernel);
	if (!b) throw new Error(`${key}: no vmlinux BTF`);
	const cache = btf_impl(b).id_cache;
	let v = cache.get(key);
	if (v === undefined) {
		const found = find(b);
		if (found === null) throw new Error(`${key}: not in the vmlinux BTF`);
		v = found;
		cache.set(key, v);
	}
	return v;
}

/** offsetof(struct NAME, member): bytes. The member may be a path with dots and indices. Throws when it is not there. */
export function offsetof(kernel: Kernel, struct_name: string, member: string): number {
	return cached(kernel, `offsetof(${struct_name}, ${member})`, (b) => {
		const at = btf_member_path(b, struct_name, member);
		return at ? Math.floor(at.bit_offset / 8) : null;
	});
}

/** sizeof_field(struct NAME, member) */
export function sizeof_field(kernel: Kernel, struct_name: string, member: string): number {
	return cached(kernel, `sizeof_field(${struct_name}, ${member})`, (b) => {
		const at = btf_member_path(b, struct_name, member);
		if (!at) return null;
		const r = __btf_resolve_size(b, btf_type_by_id(b, at.type_id)!);
		return typeof r === "number" ? null : r.size;
	});
}

/** sizeof(struct NAME) (or union, or typedef of one) */
export function sizeof_struct(kernel: Kernel, struct_name: string): number {
	return cached(kernel, `sizeof(${struct_name})`, (b) => btf_struct_named(b, struct_name)?.size ?? null);
}

const struct = (name: string): BtfIdRef => ({ kind: "struct", name });

/** net/core/filter.c: btf_sock_ids, by enum BTF_SOCK_TYPE_* */
export const btf_sock_ids = {
	BTF_SOCK_TYPE_INET: struct("inet_sock"),
	BTF_SOCK_TYPE_INET_CONN: struct("inet_connection_sock"),
	BTF_SOCK_TYPE_INET_REQ: struct("inet_request_sock"),
	BTF_SOCK_TYPE_INET_TW: struct("inet_timewait_sock"),
	BTF_SOCK_TYPE_REQ: struct("request_sock"),
	BTF_SOCK_TYPE_SOCK: struct("sock"),
	BTF_SOCK_TYPE_SOCK_COMMON: struct("sock_common"),
	BTF_SOCK_TYPE_TCP: struct("tcp_sock"),
	BTF_SOCK_TYPE_TCP_REQ: struct("tcp_request_sock"),
	BTF_SOCK_TYPE_TCP_TW: struct("tcp_timewait_sock"),
	BTF_SOCK_TYPE_TCP6: struct("tcp6_sock"),
	BTF_SOCK_TYPE_UDP: struct("udp_sock"),
	BTF_SOCK_TYPE_UDP6: struct("udp6_sock"),
	BTF_SOCK_TYPE_UNIX: struct("unix_sock"),
	BTF_SOCK_TYPE_MPTCP: struct("mptcp_sock"),
	BTF_SOCK_TYPE_SOCKET: struct("socket"),
} as const;

/** kernel/bpf/btf.c: btf_tracing_ids, by enum BTF_TRACING_TYPE_* */
export const btf_tracing_ids = {
	BTF_TRACING_TYPE_TASK: struct("task_struct"),
	BTF_TRACING_TYPE_FILE: struct("file"),
	BTF_TRACING_TYPE_VMA: struct("vm_area_struct"),
} as const;

/** kernel/bpf/cgroup_iter.c: bpf_cgroup_btf_id; kernel/bpf/bpf_local_storage.c and its kin */
export const bpf_cgroup_btf_id = struct("cgroup");
export const bpf_local_storage_map_btf_id = struct("bpf_local_storage_map");
/** net/core/skmsg.c, net/netfilter: contexts that programs write to by BTF */
export const btf_nf_conn_ids = [struct("nf_conn"), struct("nf_conn___init")] as const;
