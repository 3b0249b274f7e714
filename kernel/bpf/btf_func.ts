// SPDX-License-Identifier: GPL-2.0-only
/**
 * Functions by their BTF: models of calls for trampolines, matching of extension programs with what they
 * replace, and arguments of subprograms (kernel/bpf/btf.c: btf_distill_func_proto(), btf_check_type_match(),
 * btf_prepare_func_args()).
 */
import {
	ARG_ANYTHING,
	ARG_PTR_TO_ARENA,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_DYNPTR,
	ARG_PTR_TO_MEM,
	BTF_FMODEL_SIGNED_ARG,
	BTF_FMODEL_STRUCT_ARG,
	MAX_BPF_FUNC_ARGS,
	MAX_BPF_FUNC_REG_ARGS,
	MEM_RDONLY,
	PTR_MAYBE_NULL,
	PTR_TRUSTED,
} from "../../include/linux/bpf.ts";
import { EFAULT, EINVAL, ENOENT, EOPNOTSUPP, ESRCH } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_PROG_TYPE_EXT } from "../../include/uapi/linux/bpf.ts";
import { BTF_FUNC_GLOBAL } from "../../include/uapi/linux/btf.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { bpf_core_find_cands } from "./btf_core.ts";
import { btf_is_prog_ctx_type, btf_validate_prog_ctx_type } from "./btf_ctx.ts";
import { btf_find_next_decl_tag } from "./btf_fields.ts";
import {
	__btf_name_by_offset,
	__btf_type_is_struct,
	btf_func_linkage,
	btf_is_any_enum,
	btf_is_module,
	btf_params,
	btf_resolve_size,
	btf_str_by_offset,
	btf_tname,
	btf_type_by_id,
	btf_type_has_size,
	btf_type_is_func,
	btf_type_is_func_proto,
	btf_type_is_fwd,
	btf_type_is_int,
	btf_type_is_modifier,
	btf_type_is_ptr,
	btf_type_is_signed_int,
	btf_type_is_struct,
	btf_type_kflag,
	btf_type_skip_modifiers,
	btf_type_str,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_func_model, btf_type } from "./btf_types.ts";
import { bpf_log } from "./log.ts";
import type { bpf_subprog_arg_info, bpf_verifier_env, bpf_verifier_log } from "./verifier_types.ts";

/** kernel/bpf/btf.c: __get_type_size: the size of a value type, and the type; void has none */
function __get_type_size(b: btf, btf_id: number): { size: number; t: btf_type } {
	const none = btf_type_by_id(b, 0)!;
	if (!btf_id) return { size: 0, t: none };
	let t = btf_type_by_id(b, btf_id);
	while (t && btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type);
	if (!t) return { size: -EINVAL, t: none };
	if (btf_type_is_ptr(t)) return { size: 8, t };
	if (btf_type_is_int(t) || btf_is_any_enum(t) || __btf_type_is_struct(t)) return { size: t.size, t };
	return { size: -EINVAL, t };
}

function __get_type_fmodel_flags(t: btf_type): number {
	let flags = 0;
	if (__btf_type_is_struct(t)) flags |= BTF_FMODEL_STRUCT_ARG;
	if (btf_type_is_signed_int(t)) flags |= BTF_FMODEL_SIGNED_ARG;
	return flags;
}

/** kernel/bpf/btf.c: btf_distill_func_proto: fill the model of a call from a FUNC_PROTO (null: five u64) */
export function btf_distill_func_proto(
	log: bpf_verifier_log | null,
	b: btf | null,
	func: btf_type | null,
	tname: string | null,
	m: btf_func_model,
): number {
	if (!func || !b) {
		m.arg_size = [8, 8, 8, 8, 8];
		m.arg_flags = [0, 0, 0, 0, 0];
		m.ret_size = 8;
		m.ret_flags = 0;
		m.nr_args = MAX_BPF_FUNC_REG_ARGS;
		return 0;
	}
	const args = btf_params(func);
	const nargs = args.length;
	if (nargs > MAX_BPF_FUNC_ARGS) {
		bpf_log(log, `The function ${tname} has ${nargs} arguments. Too many.\n`);
		return -EINVAL;
	}
	const ret = __get_type_size(b, func.type);
	if (ret.size < 0 || __btf_type_is_struct(ret.t)) {
		bpf_log(log, `The function ${tname} return type ${btf_type_str(ret.t)} is unsupported.\n`);
		return -EINVAL;
	}
	m.ret_size = ret.size;
	m.ret_flags = __get_type_fmodel_flags(ret.t);
	m.arg_size = [];
	m.arg_flags = [];
	for (let i = 0; i < nargs; i++) {
		if (i === nargs - 1 && args[i]!.type === 0) {
			bpf_log(log, `The function ${tname} with variable args is unsupported.\n`);
			return -EINVAL;
		}
		const { size, t } = __get_type_size(b, args[i]!.type);
		// two registers at most
		if (size < 0 || size > 16) {
			bpf_log(log, `The function ${tname} arg${i} type ${btf_type_str(t)} is unsupported.\n`);
			return -EINVAL;
		}
		if (size === 0) {
			bpf_log(log, `The function ${tname} has malformed void argument.\n`);
			return -EINVAL;
		}
		m.arg_size[i] = size;
		m.arg_flags[i] = __get_type_fmodel_flags(t);
	}
	m.nr_args = nargs;
	return 0;
}

/** kernel/bpf/btf.c: btf_check_func_type_match: two global functions take and return the same */
function btf_check_func_type_match(
	log: bpf_verifier_log | null,
	btf1: btf,
	func1: btf_type,
	btf2: btf,
	func2: btf_type,
): number {
	const fn1 = btf_tname(btf1, func1);
	const fn2 = btf_tname(btf2, func2);
	if (btf_func_linkage(func1) !== BTF_FUNC_GLOBAL) {
		bpf_log(log, `${fn1}() is not a global function\n`);
		return -EINVAL;
	}
	if (btf_func_linkage(func2) !== BTF_FUNC_GLOBAL) {
		bpf_log(log, `${fn2}() is not a global function\n`);
		return -EINVAL;
	}
	const proto1 = btf_type_by_id(btf1, func1.type);
	if (!proto1 || !btf_type_is_func_proto(proto1)) return -EFAULT;
	const proto2 = btf_type_by_id(btf2, func2.type);
	if (!proto2 || !btf_type_is_func_proto(proto2)) return -EFAULT;
	const args1 = btf_params(proto1);
	const args2 = btf_params(proto2);
	if (args1.length !== args2.length) {
		bpf_log(log, `${fn1}() has ${args1.length} args while ${fn2}() has ${args2.length} args\n`);
		return -EINVAL;
	}
	let t1 = btf_type_skip_modifiers(btf1, proto1.type);
	let t2 = btf_type_skip_modifiers(btf2, proto2.type);
	if (t1.info !== t2.info) {
		bpf_log(
			log,
			`Return type ${btf_type_str(t1)} of ${fn1}() doesn't match type ${btf_type_str(t2)} of ${fn2}()\n`,
		);
		return -EINVAL;
	}
	for (let i = 0; i < args1.length; i++) {
		t1 = btf_type_skip_modifiers(btf1, args1[i]!.type);
		t2 = btf_type_skip_modifiers(btf2, args2[i]!.type);
		if (t1.info !== t2.info) {
			bpf_log(log, `arg${i} in ${fn1}() is ${btf_type_str(t1)} while ${fn2}() has ${btf_type_str(t2)}\n`);
			return -EINVAL;
		}
		if (btf_type_has_size(t1) && t1.size !== t2.size) {
			bpf_log(log, `arg${i} in ${fn1}() has size ${t1.size} while ${fn2}() has ${t2.size}\n`);
			return -EINVAL;
		}
		// scalars of one kind and size are alike, whatever their names
		if (btf_type_is_int(t1) || btf_is_any_enum(t1)) continue;
		if (!btf_type_is_ptr(t1)) {
			bpf_log(log, `arg${i} in ${fn1}() has unrecognized type\n`);
			return -EINVAL;
		}
		t1 = btf_type_skip_modifiers(btf1, t1.type);
		t2 = btf_type_skip_modifiers(btf2, t2.type);
		if (!btf_type_is_struct(t1)) {
			bpf_log(log, `arg${i} in ${fn1}() is not a pointer to context\n`);
			return -EINVAL;
		}
		if (!btf_type_is_struct(t2)) {
			bpf_log(log, `arg${i} in ${fn2}() is not a pointer to context\n`);
			return -EINVAL;
		}
		const s1 = btf_tname(btf1, t1);
		const s2 = btf_tname(btf2, t2);
		if (s1 !== s2) {
			bpf_log(log, `arg${i} ${fn1}(struct ${s1} *) doesn't match ${fn2}(struct ${s2} *)\n`);
			return -EINVAL;
		}
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_check_type_match: an extension program against the function it replaces */
export function btf_check_type_match(
	log: bpf_verifier_log | null,
	prog: bpf_prog,
	btf2: btf,
	t2: btf_type,
): number {
	const btf1 = prog.aux.btf;
	if (!btf1 || prog.aux.func_info.length === 0) {
		bpf_log(log, "Program extension requires BTF\n");
		return -EINVAL;
	}
	const btf_id = prog.aux.func_info[0]!.type_id;
	if (!btf_id) return -EFAULT;
	const t1 = btf_type_by_id(btf1, btf_id);
	if (!t1 || !btf_type_is_func(t1)) return -EFAULT;
	return btf_check_func_type_match(log, btf1, t1, btf2, t2);
}

/** kernel/bpf/btf.c: btf_is_dynptr_ptr */
function btf_is_dynptr_ptr(b: btf, ptr: btf_type): boolean {
	let t = btf_type_by_id(b, ptr.type)!;
	while (btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type)!;
	if (btf_type_is_struct(t) || (btf_type_is_fwd(t) && !btf_type_kflag(t)))
		return btf_str_by_offset(b, t.name_off) === "bpf_dynptr";
	return false;
}

/** kernel/bpf/btf.c: btf_get_ptr_to_btf_id: the one type of vmlinux with the pointee's name */
function btf_get_ptr_to_btf_id(log: bpf_verifier_log, arg_idx: number, b: btf, ptr: btf_type): number {
	let type_id = ptr.type;
	let t = btf_type_by_id(b, type_id)!;
	while (btf_type_is_modifier(t)) {
		type_id = t.type;
		t = btf_type_by_id(b, type_id)!;
	}
	const what = `arg#${arg_idx} reference type('${btf_type_str(t)} ${__btf_name_by_offset(b, t.name_off)}')`;
	const cc = bpf_core_find_cands({ btf: b, log }, type_id);
	if (IS_ERR(cc)) {
		bpf_log(log, `${what} candidate matching error: ${cc}\n`);
		return cc;
	}
	if (cc.cands.length !== 1) {
		const none = cc.cands.length === 0;
		bpf_log(log, `${what} ${none ? "has no matches" : "is ambiguous"}\n`);
		return none ? -ENOENT : -ESRCH;
	}
	const cand = cc.cands[0]!;
	if (btf_is_module(cand.btf)) {
		bpf_log(log, `${what} points to kernel module type (unsupported)\n`);
		return -EOPNOTSUPP;
	}
	return cand.id;
}

// enum btf_arg_tag
const ARG_TAG_CTX = 1;
const ARG_TAG_NONNULL = 2;
const ARG_TAG_TRUSTED = 4;
const ARG_TAG_NULLABLE = 8;
const ARG_TAG_ARENA = 16;

const ARG_TAGS: Readonly<Record<string, number>> = {
	ctx: ARG_TAG_CTX,
	trusted: ARG_TAG_TRUSTED,
	nonnull: ARG_TAG_NONNULL,
	nullable: ARG_TAG_NULLABLE,
	arena: ARG_TAG_ARENA,
};

/** kernel/bpf/btf.c: btf_prepare_func_args: what a subprogram's BTF says of its arguments, into its subprog_info */
export function btf_prepare_func_args(env: bpf_verifier_env, subprog: number): number {
	const is_global = env.prog.aux.func_info_aux[subprog]!.linkage === BTF_FUNC_GLOBAL;
	const sub = env.subprog_info[subprog]!;
	const { log, prog } = env;
	let prog_type = prog.type;
	const b = prog.aux.btf!;

	if (sub.args_cached) return 0;
	if (prog.aux.func_info.length === 0) {
		bpf_log(log, "Verifier bug\n");
		return -EFAULT;
	}
	const btf_id = prog.aux.func_info[subprog]!.type_id;
	if (!btf_id) {
		// a static function without BTF is verified at each call
		if (!is_global) return -EINVAL;
		bpf_log(log, "Global functions need valid BTF\n");
		return -EFAULT;
	}
	const fn_t = btf_type_by_id(b, btf_id);
	if (!fn_t || !btf_type_is_func(fn_t)) {
		bpf_log(log, `BTF of func#${subprog} doesn't point to KIND_FUNC\n`);
		return -EFAULT;
	}
	const tname = btf_tname(b, fn_t);
	if (prog.aux.func_info_aux[subprog]!.unreliable) {
		bpf_log(log, `Verifier bug in function ${tname}()\n`);
		return -EFAULT;
	}
	if (prog_type === BPF_PROG_TYPE_EXT) prog_type = prog.aux.dst_prog!.type;

	const proto = btf_type_by_id(b, fn_t.type);
	if (!proto || !btf_type_is_func_proto(proto)) {
		bpf_log(log, `Invalid type of function ${tname}()\n`);
		return -EFAULT;
	}
	const args = btf_params(proto);
	const nargs = btf_type_vlen(proto);
	if (nargs > MAX_BPF_FUNC_REG_ARGS) {
		if (!is_global) return -EINVAL;
		bpf_log(
			log,
			`Global function ${tname}() with ${nargs} > ${MAX_BPF_FUNC_REG_ARGS} args. Buggy compiler.\n`,
		);
		return -EINVAL;
	}
	let ret_t = btf_type_by_id(b, proto.type)!;
	while (btf_type_is_modifier(ret_t)) ret_t = btf_type_by_id(b, ret_t.type)!;
	if (!btf_type_is_int(ret_t) && !btf_is_any_enum(ret_t)) {
		if (!is_global) return -EINVAL;
		bpf_log(log, `Global function ${tname}() doesn't return scalar. Only those are supported.\n`);
		return -EINVAL;
	}

	for (let i = 0; i < nargs; i++) {
		let tags = 0;
		let id = 0;
		// biome-ignore lint/suspicious/noAssignInExpressions: as the kernel walks the tags
		while ((id = btf_find_next_decl_tag(b, fn_t, i, "arg:", id)) > 0) {
			const tag = __btf_name_by_offset(b, btf_type_by_id(b, id)!.name_off).slice(4);
			// static functions are verified with their callers' registers
			if (!is_global) {
				bpf_log(log, `arg#${i} type tag is not supported in static functions\n`);
				return -EOPNOTSUPP;
			}
			const bit = ARG_TAGS[tag];
			if (bit === undefined) {
				bpf_log(log, `arg#${i} has unsupported set of tags\n`);
				return -EOPNOTSUPP;
			}
			tags |= bit;
		}
		if (id !== -ENOENT) {
			bpf_log(log, `arg#${i} type tag fetching failure: ${id}\n`);
			return id;
		}
		let t = btf_type_by_id(b, args[i]!.type)!;
		while (btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type)!;
		sub.args[i] ??= { arg_type: 0, mem_size: 0, btf_id: 0 };
		const err = btf_type_is_ptr(t)
			? prepare_pointer_arg(env, b, t, i, tags, is_global, prog_type, sub.args[i]!)
			: NOT_A_POINTER;
		if (err === 0) continue;
		if (err !== NOT_A_POINTER) return err;

		if (tags) {
			bpf_log(log, `arg#${i} has pointer tag, but is not a pointer type\n`);
			return -EINVAL;
		}
		if (btf_type_is_int(t) || btf_is_any_enum(t)) {
			sub.args[i]!.arg_type = ARG_ANYTHING;
			continue;
		}
		if (!is_global) return -EINVAL;
		bpf_log(log, `Arg#${i} type ${btf_type_str(t)} in ${tname}() is not supported yet.\n`);
		return -EINVAL;
	}
	sub.arg_cnt = nargs;
	sub.args_cached = true;
	return 0;
}

/** No kind of pointer that is known: falls to what scalars are asked. */
const NOT_A_POINTER = 1;

function prepare_pointer_arg(
	env: bpf_verifier_env,
	b: btf,
	t: btf_type,
	i: number,
	tags: number,
	is_global: boolean,
	prog_type: number,
	out: bpf_subprog_arg_info,
): number {
	const { log, prog } = env;
	const bad_tags = (): number => {
		bpf_log(log, `arg#${i} has invalid combination of tags\n`);
		return -EINVAL;
	};
	if (tags & ARG_TAG_CTX || btf_is_prog_ctx_type(log, b, t, prog_type, i)) {
		if (tags & ~ARG_TAG_CTX) return bad_tags();
		if (tags & ARG_TAG_CTX && btf_validate_prog_ctx_type(log, b, t, i, prog_type, prog.expected_attach_type))
			return -EINVAL;
		out.arg_type = ARG_PTR_TO_CTX;
		return 0;
	}
	if (btf_is_dynptr_ptr(b, t)) {
		if (tags) return bad_tags();
		out.arg_type = ARG_PTR_TO_DYNPTR | MEM_RDONLY;
		return 0;
	}
	if (tags & ARG_TAG_TRUSTED) {
		if (tags & ARG_TAG_NONNULL) return bad_tags();
		const kern_type_id = btf_get_ptr_to_btf_id(log, i, b, t);
		if (kern_type_id < 0) return kern_type_id;
		out.arg_type = ARG_PTR_TO_BTF_ID | PTR_TRUSTED;
		if (tags & ARG_TAG_NULLABLE) out.arg_type |= PTR_MAYBE_NULL;
		out.btf_id = kern_type_id;
		return 0;
	}
	if (tags & ARG_TAG_ARENA) {
		if (tags & ~ARG_TAG_ARENA) {
			bpf_log(log, `arg#${i} arena cannot be combined with any other tags\n`);
			return -EINVAL;
		}
		out.arg_type = ARG_PTR_TO_ARENA;
		return 0;
	}
	if (!is_global) return NOT_A_POINTER;
	if (tags & ARG_TAG_NULLABLE) return bad_tags();
	const pointee = btf_type_skip_modifiers(b, t.type);
	const mem_size = { val: 0 };
	const ref_t = btf_resolve_size(b, pointee, mem_size);
	if (typeof ref_t === "number") {
		bpf_log(
			log,
			`arg#${i} reference type('${btf_type_str(pointee)} ${btf_tname(b, pointee)}') size cannot be determined: ${ref_t}\n`,
		);
		return -EINVAL;
	}
	out.arg_type = ARG_PTR_TO_MEM | PTR_MAYBE_NULL;
	if (tags & ARG_TAG_NONNULL) out.arg_type &= ~PTR_MAYBE_NULL;
	out.mem_size = mem_size.val;
	return 0;
}
