// SPDX-License-Identifier: GPL-2.0-only
/**
 * Offsets of the kernel's structs, as the plugged-in vmlinux BTF lays them out: what the compiler's
 * offsetof() and sizeof() are to the kernel's own code.
 */
import { BTF_KIND_STRUCT, BTF_KIND_UNION } from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import {
	__btf_type_is_struct,
	btf_find_by_name_kind,
	btf_member_bit_offset,
	btf_name_by_offset,
	btf_resolve_size,
	btf_type_by_id,
	btf_type_is_struct,
	btf_type_member,
	btf_type_skip_modifiers,
} from "./btf.ts";
import type { btf, btf_type } from "./btf_types.ts";

function vmlinux(kernel: Kernel): btf {
	const b = kernel.bpf.bpf_get_btf_vmlinux();
	if (typeof b === "number") throw new Error(`no vmlinux BTF (${b})`);
	return b;
}

function struct_type(kernel: Kernel, name: string): btf_type {
	const b = vmlinux(kernel);
	let id = btf_find_by_name_kind(b, name, BTF_KIND_STRUCT);
	if (id < 0) id = btf_find_by_name_kind(b, name, BTF_KIND_UNION);
	if (id < 0) throw new Error(`vmlinux BTF has no struct ${name}`);
	return btf_type_by_id(b, id)!;
}

/** Find a member, looking into unnamed structs and unions. */
function find_member(b: btf, t: btf_type, name: string): { off: number; type: number; bits: number } | null {
	const members = btf_type_member(t);
	for (let i = 0; i < members.length; i++) {
		const m = members[i]!;
		const mname = btf_name_by_offset(b, m.name_off) ?? "";
		const bit_off = btf_member_bit_offset(t, i);
		if (mname === name) return { off: bit_off >>> 3, type: m.type, bits: bit_off & 7 };
		if (mname === "") {
			const mt = btf_type_skip_modifiers(b, m.type);
			if (!__btf_type_is_struct(mt) && !btf_type_is_struct(mt)) continue;
			const in_it = find_member(b, mt, name);
			if (in_it) return { ...in_it, off: in_it.off + (bit_off >>> 3) };
		}
	}
	return null;
}

/**
 * Structs that a BTF may leave out: those inside skb->cb, which no program names, and pcpu_hot, which is gone
 * since 6.15: a newer kernel's BTF may be plugged in.
 */
const PRIVATE_OFFSETS: Readonly<Record<string, number>> = {
	"qdisc_skb_cb.pkt_len": 0,
	"qdisc_skb_cb.data": 8,
	"bpf_skb_data_end.data_meta": 32,
	"bpf_skb_data_end.data_end": 40,
	"pcpu_hot.cpu_number": 12,
};

/** offsetof(struct s, a.b.c) by the vmlinux BTF; -1 when it has no such struct or member. */
export function try_offsetof(kernel: Kernel, s: string, path: string): number {
	const cache = impl(kernel).bpf.layout_cache;
	const key = `${s}.${path}`;
	const known = cache.get(key);
	if (known !== undefined) return known;
	let off = -1;
	const b = vmlinux(kernel);
	const kinds = [BTF_KIND_STRUCT, BTF_KIND_UNION];
	for (const kind of kinds) {
		const id = btf_find_by_name_kind(b, s, kind);
		if (id < 0) continue;
		let t: btf_type | null = btf_type_by_id(b, id);
		let sum = 0;
		for (const part of path.split(".")) {
			const m: { off: number; type: number } | null = t ? find_member(b, t, part) : null;
			if (!m) {
				sum = -1;
				break;
			}
			sum += m.off;
			t = btf_type_skip_modifiers(b, m.type);
		}
		if (sum >= 0) {
			off = sum;
			break;
		}
	}
	if (off < 0) off = PRIVATE_OFFSETS[key] ?? -1;
	cache.set(key, off);
	return off;
}

/** offsetof(struct s, a.b.c) by the vmlinux BTF. */
export function koffsetof(kernel: Kernel, s: string, path: string): number {
	const off = try_offsetof(kernel, s, path);
	if (off < 0) throw new Error(`vmlinux BTF has no ${s}.${path}`);
	return off;
}

/** sizeof(struct s) by the vmlinux BTF. */
export function ksizeof(kernel: Kernel, s: string): number {
	const cache = impl(kernel).bpf.layout_cache;
	const key = `sizeof ${s}`;
	const known = cache.get(key);
	if (known !== undefined) return known;
	const size = struct_type(kernel, s).size;
	cache.set(key, size);
	return size;
}

/** sizeof(((struct s *)0)->a.b): size of a member. */
export function member_size(kernel: Kernel, s: string, path: string): number {
	const cache = impl(kernel).bpf.layout_cache;
	const key = `size ${s}.${path}`;
	const known = cache.get(key);
	if (known !== undefined) return known;
	const b = vmlinux(kernel);
	let t: btf_type = struct_type(kernel, s);
	for (const part of path.split(".")) {
		const m = find_member(b, t, part);
		if (!m) throw new Error(`vmlinux BTF has no ${s}.${path}`);
		t = btf_type_skip_modifiers(b, m.type);
	}
	const ref = { val: 0 };
	btf_resolve_size(b, t, ref);
	cache.set(key, ref.val);
	return ref.val;
}
