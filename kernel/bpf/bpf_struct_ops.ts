// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/bpf_struct_ops.c and the struct_ops part of kernel/bpf/btf.c: which structures of functions
 * programs can implement, and what their stub functions say of arguments. The maps that hold such structures
 * are in bpf_struct_ops_map.ts.
 */
import {
	BPF_STRUCT_OPS_MAX_NR_MEMBERS,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TRUSTED,
} from "../../include/linux/bpf.ts";
import { EEXIST, EINVAL, ENOENT, ENOTSUPP, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BTF_KIND_FUNC, BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_link } from "./bpf_link.ts";
import type { bpf_ctx_arg_aux, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import { btf_param_match_suffix } from "./btf_access.ts";
import { btf_ctx_arg_offset } from "./btf_ctx.ts";
import { btf_vmlinux } from "./btf_find.ts";
import { btf_distill_func_proto } from "./btf_func.ts";
import {
	__btf_member_bitfield_size,
	btf_find_by_name_kind,
	btf_get_name,
	btf_impl,
	btf_name_by_offset,
	btf_params,
	btf_type_by_id,
	btf_type_is_struct,
	btf_type_member,
	btf_type_resolve_func_ptr,
	btf_type_resolve_ptr,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_func_model, btf_member, btf_type, kmodule } from "./btf_types.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

const VALUE_PREFIX = "bpf_struct_ops_";
const VALUE_NAME_MAX = 128;

/** A structure of functions at work: its type, and where its two values lie in the kernel's memory. */
export interface StructOpsValue {
	readonly kernel: Kernel;
	readonly btf: btf;
	readonly type: btf_type;
	readonly kdata: number;
	readonly udata: number;
}

/** struct bpf_struct_ops */
export interface bpf_struct_ops {
	/** Name of the structure in BTF. */
	readonly name: string;
	readonly verifier_ops: bpf_verifier_ops;
	/** Looks up what the type needs of its BTF; a negative errno. */
	readonly init: (btf: btf) => number;
	readonly check_member?: (t: btf_type, member: btf_member, prog: bpf_prog) => number;
	/**
	 * Copies what is no function from user space's value to the kernel's: 1 when that is done, 0 where the
	 * member is left to the caller, or a negative errno.
	 */
	readonly init_member: (member: btf_member, v: StructOpsValue) => number;
	/** Looks at the kernel's value once it is whole. */
	readonly validate?: (v: StructOpsValue) => number;
	/** Tells the subsystem; `link` is null where the map itself stands for the registration. */
	readonly reg: (v: StructOpsValue, link: bpf_link | null) => number;
	readonly unreg: (v: StructOpsValue, link: bpf_link | null) => void;
	readonly update?: (v: StructOpsValue, old: StructOpsValue, link: bpf_link) => number;
	/** The stub function of each member that programs can implement. */
	readonly cfi_stubs: Readonly<Record<string, string>>;
	/** Module that registers it; null: the kernel itself. */
	readonly owner: kmodule | null;
	/** By member. */
	readonly func_models: (btf_func_model | undefined)[];
}

/** struct bpf_struct_ops_arg_info: arguments that are known to be more than their types say. */
export interface bpf_struct_ops_arg_info {
	info: bpf_ctx_arg_aux[];
}

/** struct bpf_struct_ops_desc */
export interface bpf_struct_ops_desc {
	st_ops: bpf_struct_ops;
	type: btf_type;
	value_type: btf_type;
	type_id: number;
	value_id: number;
	/** By member. */
	arg_info: bpf_struct_ops_arg_info[];
}

function pr_warn(b: btf, text: string): void {
	btf_impl(b).kernel?.printk(`${text}\n`);
}

/** kernel/bpf/bpf_struct_ops.c: is_valid_value_type: the map's value is { common value, the structure } */
function is_valid_value_type(b: btf, value_id: number, type: btf_type, value_name: string): boolean {
	const vt = btf_type_by_id(b, value_id)!;
	if (btf_type_vlen(vt) !== 2) {
		pr_warn(b, `The number of ${value_name}'s members should be 2, but we get ${btf_type_vlen(vt)}`);
		return false;
	}
	const [common, data] = btf_type_member(vt);
	const vmlinux = btf_vmlinux(btf_impl(b).kernel) ?? b;
	const common_id = btf_find_by_name_kind(vmlinux, "bpf_struct_ops_common_value", BTF_KIND_STRUCT);
	if (common!.type !== common_id) {
		pr_warn(b, `The first member of ${value_name} should be bpf_struct_ops_common_value`);
		return false;
	}
	if (btf_type_by_id(b, data!.type) !== type) {
		pr_warn(b, `The second member of ${value_name} should be ${btf_name_by_offset(b, type.name_off)}`);
		return false;
	}
	return true;
}

/** kernel/bpf/bpf_struct_ops.c: prepare_arg_info: arguments whose names in the stub end in __nullable */
function prepare_arg_info(
	b: btf,
	st_ops_name: string,
	member_name: string,
	func_proto: btf_type,
	stub_fname: string,
	arg_info: bpf_struct_ops_arg_info,
): number {
	const stub_func_id = btf_find_by_name_kind(b, stub_fname, BTF_KIND_FUNC);
	if (stub_func_id < 0) {
		pr_warn(b, `Cannot find the stub function ${stub_fname} in btf`);
		return -ENOENT;
	}
	const stub_proto = btf_type_by_id(b, btf_type_by_id(b, stub_func_id)!.type)!;
	const args = btf_params(func_proto);
	const stub_args = btf_params(stub_proto);
	if (args.length !== stub_args.length) {
		pr_warn(
			b,
			`the number of arguments of the stub function ${stub_fname} does not match the number of arguments of the member ${member_name} of struct ${st_ops_name}`,
		);
		return -EINVAL;
	}

	const info: bpf_ctx_arg_aux[] = [];
	for (let i = 0; i < args.length; i++) {
		if (!btf_param_match_suffix(b, stub_args[i]!, "__nullable")) continue;
		const id: Ref<number> = { val: 0 };
		const pointed = btf_type_resolve_ptr(b, args[i]!.type, id);
		if (!pointed || !btf_type_is_struct(pointed)) {
			pr_warn(b, `stub function ${stub_fname} has __nullable tagging to an unsupported type`);
			return -EINVAL;
		}
		const offset = btf_ctx_arg_offset(b, func_proto, i);
		if (offset < 0) {
			pr_warn(b, `stub function ${stub_fname} has an invalid trampoline ctx offset for arg#${i}`);
			return -EINVAL;
		}
		if (args[i]!.type !== stub_args[i]!.type) {
			pr_warn(b, `arg#${i} type in stub function ${stub_fname} does not match with its original func_proto`);
			return -EINVAL;
		}
		info.push({ reg_type: PTR_TRUSTED | PTR_TO_BTF_ID | PTR_MAYBE_NULL, btf_id: id.val, btf: b, offset });
	}
	arg_info.info = info;
	return 0;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_supported: whether a member, by name, has a stub */
export function bpf_struct_ops_supported(st_ops: bpf_struct_ops, member: string): number {
	return Object.hasOwn(st_ops.cfi_stubs, member) ? 0 : -ENOTSUPP;
}

/** kernel/bpf/bpf_struct_ops.c: bpf_struct_ops_desc_init: the description, or a negative errno */
export function bpf_struct_ops_desc_init(
	st_ops: bpf_struct_ops,
	b: btf,
	log: bpf_verifier_log,
): bpf_struct_ops_desc | number {
	const value_name = `${VALUE_PREFIX}${st_ops.name}`;
	if (value_name.length >= VALUE_NAME_MAX) {
		pr_warn(b, `struct_ops name ${st_ops.name} is too long`);
		return -EINVAL;
	}
	const type_id = btf_find_by_name_kind(b, st_ops.name, BTF_KIND_STRUCT);
	if (type_id < 0) {
		pr_warn(b, `Cannot find struct ${st_ops.name} in ${btf_get_name(b)}`);
		return -EINVAL;
	}
	const t = btf_type_by_id(b, type_id)!;
	if (btf_type_vlen(t) > BPF_STRUCT_OPS_MAX_NR_MEMBERS) {
		pr_warn(b, `Cannot support #${btf_type_vlen(t)} members in struct ${st_ops.name}`);
		return -EINVAL;
	}
	const value_id = btf_find_by_name_kind(b, value_name, BTF_KIND_STRUCT);
	if (value_id < 0) {
		pr_warn(b, `Cannot find struct ${value_name} in ${btf_get_name(b)}`);
		return -EINVAL;
	}
	if (!is_valid_value_type(b, value_id, t, value_name)) return -EINVAL;

	const arg_info: bpf_struct_ops_arg_info[] = [];
	const members = btf_type_member(t);
	for (let i = 0; i < members.length; i++) {
		const member = members[i]!;
		arg_info.push({ info: [] });
		const mname = btf_name_by_offset(b, member.name_off) ?? "";
		if (!mname) {
			pr_warn(b, `anon member in struct ${st_ops.name} is not supported`);
			return -EOPNOTSUPP;
		}
		if (__btf_member_bitfield_size(t, member)) {
			pr_warn(b, `bit field member ${mname} in struct ${st_ops.name} is not supported`);
			return -EOPNOTSUPP;
		}
		const func_proto = btf_type_resolve_func_ptr(b, member.type, null);
		if (!func_proto || bpf_struct_ops_supported(st_ops, mname)) continue;

		const model: btf_func_model = { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] };
		if (btf_distill_func_proto(log, b, func_proto, mname, model)) {
			pr_warn(b, `Error in parsing func ptr ${mname} in struct ${st_ops.name}`);
			return -EINVAL;
		}
		st_ops.func_models[i] = model;
		const err = prepare_arg_info(b, st_ops.name, mname, func_proto, st_ops.cfi_stubs[mname]!, arg_info[i]!);
		if (err) return err;
	}

	if (st_ops.init(b)) {
		pr_warn(b, `Error in init bpf_struct_ops ${st_ops.name}`);
		return -EINVAL;
	}
	return { st_ops, type: t, type_id, value_id, value_type: btf_type_by_id(b, value_id)!, arg_info };
}

/** kernel/bpf/btf.c: btf_add_struct_ops */
export function btf_add_struct_ops(b: btf, st_ops: bpf_struct_ops, log: bpf_verifier_log): number {
	const o = btf_impl(b);
	o.struct_ops_tab ??= [];
	if (o.struct_ops_tab.some((d) => d.st_ops === st_ops)) return -EEXIST;
	const desc = bpf_struct_ops_desc_init(st_ops, b, log);
	if (IS_ERR(desc)) return desc;
	o.struct_ops_tab.push(desc as bpf_struct_ops_desc);
	return 0;
}

/** kernel/bpf/btf.c: bpf_struct_ops_find: by the id of the structure */
export function bpf_struct_ops_find(b: btf, type_id: number): bpf_struct_ops_desc | null {
	if (!type_id) return null;
	return btf_impl(b).struct_ops_tab?.find((d) => d.type_id === type_id) ?? null;
}

/** kernel/bpf/btf.c: bpf_struct_ops_find_value: by the id of the map's value */
export function bpf_struct_ops_find_value(b: btf, value_id: number): bpf_struct_ops_desc | null {
	if (!value_id) return null;
	return btf_impl(b).struct_ops_tab?.find((d) => d.value_id === value_id) ?? null;
}
