// SPDX-License-Identifier: GPL-2.0-only
/** struct_ops variables fitted to the kernel's types: tools/lib/bpf/libbpf.c: bpf_map__init_kern_struct_ops and its kin. */
import { EINVAL, EOPNOTSUPP as ENOTSUP } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_PROG_TYPE_STRUCT_OPS } from "../../../include/uapi/linux/bpf.ts";
import { BTF_KIND_STRUCT } from "../../../include/uapi/linux/btf.ts";
import { bpf_core_essential_name } from "../../../lib/relo_core.ts";
import {
	btf_is_func_proto,
	btf_is_ptr,
	btf_kind,
	btf_member_at,
	btf_member_bitfield_size,
	btf_members,
	btf_vlen,
} from "./btf.ts";
import { bpf_map__is_struct_ops } from "./init_maps.ts";
import type { bpf_map, bpf_object } from "./libbpf_types.ts";
import { find_ksym_btf_id } from "./module_btf.ts";

/** tools/lib/bpf/libbpf.c: find_struct_ops_kern_types: the struct and the map value the kernel wraps it in. */
function find_struct_ops_kern_types(obj: bpf_object, tname_raw: string) {
	const { lib } = obj;
	const tname = bpf_core_essential_name(tname_raw);
	const stname = `bpf_struct_ops_${tname}`;
	const found = find_ksym_btf_id(obj, stname, BTF_KIND_STRUCT);
	if (typeof found === "number") {
		lib.pr_warn(`struct_ops init_kern: struct ${stname} is not found in kernel BTF\n`);
		return found;
	}
	const { btf, mod_btf, id: vtype_id } = found;
	const vtype = btf.type_by_id(vtype_id)!;
	const type_id = btf.find_by_name_kind(tname, BTF_KIND_STRUCT);
	if (type_id < 0) {
		lib.pr_warn(`struct_ops init_kern: struct ${tname} is not found in kernel BTF\n`);
		return type_id;
	}
	const data_member = btf_members(vtype).find((m) => m.type === type_id);
	if (!data_member) {
		lib.pr_warn(`struct_ops init_kern: struct ${tname} data is not found in struct ${stname}\n`);
		return -EINVAL;
	}
	return { btf, mod_btf, type: btf.type_by_id(type_id)!, type_id, vtype, vtype_id, data_member };
}

/** tools/lib/bpf/libbpf.c: bpf_map__init_kern_struct_ops */
function bpf_map__init_kern_struct_ops(map: bpf_map): number {
	const { obj } = map;
	const { lib } = obj;
	const btf = obj.btf!;
	const st_ops = map.st_ops!;
	const type = btf.type_by_id(st_ops.type_id)!;
	const kern = find_struct_ops_kern_types(obj, btf.name(type.name_off));
	if (typeof kern === "number") return kern;
	const kern_btf = kern.btf;
	lib.pr_debug(
		() =>
			`struct_ops init_kern ${map.name}: type_id:${st_ops.type_id} kern_type_id:${kern.type_id} kern_vtype_id:${kern.vtype_id}\n`,
	);
	map.mod_btf_fd = kern.mod_btf ? kern.mod_btf.fd : -1;
	map.def.value_size = kern.vtype.size;
	map.btf_vmlinux_value_type_id = kern.vtype_id;
	st_ops.kern_vdata = new Uint8Array(kern.vtype.size);
	const kern_data_off = kern.data_member.offset / 8;
	const warn = (text: string): void => lib.pr_warn(`struct_ops init_kern ${map.name}${text}\n`);

	for (let i = 0; i < btf_vlen(type); i++) {
		const member = btf_member_at(type, i);
		const mname = btf.name(member.name_off);
		const moff = member.offset / 8;
		const msize = btf.resolve_size(member.type);
		if (msize < 0) {
			warn(`: failed to resolve the size of member ${mname}`);
			return msize;
		}
		const kern_members = btf_members(kern.type);
		const kern_idx = kern_members.findIndex((m) => kern_btf.name(m.name_off) === mname);
		if (kern_idx < 0) {
			// A member the kernel does not have may only stay empty.
			const bytes = st_ops.data.subarray(Math.floor(moff), Math.floor(moff) + msize);
			if (bytes.some((b) => b !== 0) || st_ops.data_progs.has(moff)) {
				warn(`: Cannot find member ${mname} in kernel BTF`);
				return -ENOTSUP;
			}
			const prog = st_ops.progs[i];
			if (prog) {
				prog.autoload = false;
				st_ops.progs[i] = null;
			}
			lib.pr_info(
				`struct_ops ${map.name}: member ${mname} not found in kernel, skipping it as it's set to zero\n`,
			);
			continue;
		}
		const kern_member = kern_members[kern_idx]!;
		if (btf_member_bitfield_size(type, i) || btf_member_bitfield_size(kern.type, kern_idx)) {
			warn(`: bitfield ${mname} is not supported`);
			return -ENOTSUP;
		}
		const kern_moff = kern_member.offset / 8;
		const mtype = btf.skip_mods_and_typedefs(member.type);
		const kern_mtype = kern_btf.skip_mods_and_typedefs(kern_member.type);
		if (btf_kind(mtype) !== btf_kind(kern_mtype)) {
			warn(`: Unmatched member type ${mname} ${btf_kind(mtype)} != ${btf_kind(kern_mtype)}(kernel)`);
			return -ENOTSUP;
		}
		if (btf_is_ptr(mtype)) {
			// What is set now counts, not what the object file had.
			const prog = st_ops.data_progs.get(moff) ?? null;
			const before = st_ops.progs[i];
			if (before && before !== prog) before.autoload = false;
			st_ops.progs[i] = prog;
			if (!prog) continue;
			if (prog.type !== BPF_PROG_TYPE_STRUCT_OPS || !obj.programs.includes(prog)) {
				warn(`: member ${mname} is not a struct_ops program`);
				return -ENOTSUP;
			}
			if (!btf_is_func_proto(kern_btf.skip_mods_and_typedefs(kern_mtype.type))) {
				warn(`: kernel member ${mname} is not a func ptr`);
				return -ENOTSUP;
			}
			if (kern.mod_btf) prog.attach_btf_obj_fd = kern.mod_btf.fd;
			if (!prog.attach_btf_id) {
				prog.attach_btf_id = kern.type_id;
				prog.expected_attach_type = kern_idx;
			}
			const reuse = ` func ptr ${mname}: invalid reuse of prog ${prog.name} in sec ${prog.sec_name} with type ${prog.type}`;
			if (prog.attach_btf_id !== kern.type_id) {
				warn(`${reuse}: attach_btf_id ${prog.attach_btf_id} != kern_type_id ${kern.type_id}`);
				return -EINVAL;
			}
			if (prog.expected_attach_type !== kern_idx) {
				warn(`${reuse}: expected_attach_type ${prog.expected_attach_type} != kern_member_idx ${kern_idx}`);
				return -EINVAL;
			}
			st_ops.kern_func_off[i] = kern_data_off + kern_moff;
			continue;
		}
		const kern_msize = kern_btf.resolve_size(kern_mtype.id);
		if (kern_msize < 0 || msize !== kern_msize) {
			warn(`: Error in size of member ${mname}: ${msize} != ${kern_msize}(kernel)`);
			return -ENOTSUP;
		}
		st_ops.kern_vdata.set(st_ops.data.subarray(moff, moff + msize), kern_data_off + kern_moff);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_kern_struct_ops_maps */
export function bpf_object__init_kern_struct_ops_maps(obj: bpf_object): number {
	for (const map of obj.maps) {
		if (!bpf_map__is_struct_ops(map) || !map.autocreate) continue;
		const err = bpf_map__init_kern_struct_ops(map);
		if (err) return err;
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object_adjust_struct_ops_autoload: a program loads when a map that is made wants it. */
export function bpf_object_adjust_struct_ops_autoload(obj: bpf_object): number {
	for (const prog of obj.programs) {
		if (prog.type !== BPF_PROG_TYPE_STRUCT_OPS) continue;
		const users = obj.maps.filter((m) => bpf_map__is_struct_ops(m) && m.st_ops!.progs.includes(prog));
		if (users.length > 0) prog.autoload = users.some((m) => m.autocreate);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object_prepare_struct_ops: descriptors of the programs into the value. */
export function bpf_object_prepare_struct_ops(obj: bpf_object): number {
	for (const map of obj.maps) {
		if (!bpf_map__is_struct_ops(map) || !map.autocreate) continue;
		const st_ops = map.st_ops!;
		const dv = new DataView(st_ops.kern_vdata!.buffer);
		for (const [i, prog] of st_ops.progs.entries()) {
			if (prog) dv.setBigInt64(st_ops.kern_func_off[i]!, BigInt(prog.fd >= 0 ? prog.fd : -2), true);
		}
	}
	return 0;
}
