// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: subprograms and where they start, and the tables of kernel functions that a
 * program calls (bpf_kfunc_desc_tab by id and offset until the fixups, then by imm and offset).
 */
import { BPF_LOG_LEVEL2, BPF_MAX_SUBPROGS } from "../../include/linux/bpf_verifier.ts";
import {
	E2BIG,
	EEXIST,
	EFAULT,
	EINVAL,
	ENOENT,
	ENOTSUPP,
	ENXIO,
	EPERM,
	EPROTO,
} from "../../include/uapi/asm-generic/errno.ts";
import { BPF_CALL, BPF_EXIT, BPF_FUNC_tail_call, BPF_JMP32 } from "../../include/uapi/linux/bpf.ts";
import { BPF_ABS, BPF_IND, BPF_JA, BPF_JMP, BPF_LD } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_FUNC_GLOBAL, BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { bpf_insn, bpf_kfunc_desc, bpf_prog } from "./bpf_types.ts";
import {
	btf_distill_func_proto,
	btf_find_by_name_kind,
	btf_find_decl_tag_value,
	btf_func_linkage,
	btf_get_by_fd,
	btf_is_module,
	btf_name_by_offset,
	btf_put,
	btf_try_get_module,
	btf_type_by_id,
	btf_type_is_func,
	btf_type_is_func_proto,
} from "./btf.ts";
import type { btf, btf_func_model } from "./btf_types.ts";
import { bpf_dev_bound_kfunc_check, specialize_kfunc } from "./fixups.ts";
import { BPF_CLASS, BPF_MODE, BPF_OP, bpf_pseudo_func } from "./insn_macros.ts";
import { bpf_jit_supports_far_kfunc_call, bpf_jit_supports_kfunc_call } from "./jit_caps.ts";
import { verbose } from "./log.ts";
import { bpf_pseudo_call, bpf_pseudo_kfunc_call, mark_subprog_exc_cb } from "./predicates.ts";
import { bpf_subprog_info, type bpf_verifier_env } from "./verifier_types.ts";

const MAX_KFUNC_DESCS = 256;
const MAX_KFUNC_BTFS = 256;

/** Index of the subprogram that holds instruction `off`; -1 when there is none. */
function containing_subprog(env: bpf_verifier_env, off: number): number {
	const vals = env.subprog_info;
	if (off >= env.prog.len || off < 0 || env.subprog_cnt === 0) return -1;
	let l = 0;
	let r = env.subprog_cnt - 1;
	while (l < r) {
		const m = l + ((r - l + 1) >> 1);
		if (vals[m]!.start <= off) l = m;
		else r = m - 1;
	}
	return l;
}

/** kernel/bpf/verifier.c: find_containing_subprog */
export function find_containing_subprog(env: bpf_verifier_env, off: number): bpf_subprog_info | null {
	const i = containing_subprog(env, off);
	return i < 0 ? null : env.subprog_info[i]!;
}

/** kernel/bpf/verifier.c: find_subprog: number of the subprogram that starts at `off`, or -ENOENT */
export function find_subprog(env: bpf_verifier_env, off: number): number {
	const i = containing_subprog(env, off);
	if (i < 0 || env.subprog_info[i]!.start !== off) return -ENOENT;
	return i;
}

/** kernel/bpf/verifier.c: add_subprog */
export function add_subprog(env: bpf_verifier_env, off: number): number {
	const insn_cnt = env.prog.len;

	if (off >= insn_cnt || off < 0) {
		verbose(env, "call to invalid destination\n");
		return -EINVAL;
	}
	const ret = find_subprog(env, off);
	if (ret >= 0) return ret;
	if (env.subprog_cnt >= BPF_MAX_SUBPROGS) {
		verbose(env, "too many subprograms\n");
		return -E2BIG;
	}
	const info = env.subprog_info[env.subprog_cnt] ?? new bpf_subprog_info();
	info.start = off;
	let at = env.subprog_cnt++;
	for (; at > 0 && env.subprog_info[at - 1]!.start > off; at--)
		env.subprog_info[at] = env.subprog_info[at - 1]!;
	env.subprog_info[at] = info;
	return env.subprog_cnt - 1;
}

/** kernel/bpf/verifier.c: bpf_find_exception_callback_insn_off: 0 when the program names none */
function bpf_find_exception_callback_insn_off(env: bpf_verifier_env): number {
	const { aux } = env.prog;
	if (!aux.func_info.length) return 0;
	const btf = aux.btf!;

	let t = btf_type_by_id(btf, aux.func_info[0]!.type_id);
	if (!t) {
		verbose(env, "invalid btf id for main subprog in func_info\n");
		return -EINVAL;
	}

	const name = btf_find_decl_tag_value(btf, t, -1, "exception_callback:");
	if (IS_ERR(name)) {
		if (name === -ENOENT) return 0;
		if (name === -EEXIST) verbose(env, "multiple exception callback tags for main subprog\n");
		return name;
	}

	const id = btf_find_by_name_kind(btf, name as string, BTF_KIND_FUNC);
	if (id < 0) {
		verbose(env, `exception callback '${name}' could not be found in BTF\n`);
		return id;
	}
	t = btf_type_by_id(btf, id)!;
	if (btf_func_linkage(t) !== BTF_FUNC_GLOBAL) {
		verbose(env, `exception callback '${name}' must have global linkage\n`);
		return -EINVAL;
	}
	let ret = 0;
	for (const info of aux.func_info) {
		if (info.type_id !== id) continue;
		ret = info.insn_off;
		if (!ret) {
			verbose(env, "invalid exception callback insn_off in func_info: 0\n");
			ret = -EINVAL;
		}
	}
	if (!ret) {
		verbose(env, "exception callback type id not found in func_info\n");
		ret = -EINVAL;
	}
	return ret;
}

/** kernel/bpf/verifier.c: find_kfunc_desc (offset is the 16-bit value of the instruction) */
export function find_kfunc_desc(prog: bpf_prog, func_id: number, offset: number): bpf_kfunc_desc | null {
	const tab = prog.aux.kfunc_tab;
	if (!tab) return null;
	for (const d of tab) if (d.func_id === func_id && d.offset === (offset & 0xffff)) return d;
	return null;
}

/** kernel/bpf/verifier.c: bpf_get_kfunc_addr: the address, or -EFAULT */
export function bpf_get_kfunc_addr(prog: bpf_prog, func_id: number, btf_fd_idx: number): bigint | number {
	const desc = find_kfunc_desc(prog, func_id, btf_fd_idx);
	return desc ? desc.addr : -EFAULT;
}

/** kernel/bpf/verifier.c: __find_kfunc_desc_btf */
function __find_kfunc_desc_btf(env: bpf_verifier_env, offset: number): btf | number {
	const tab = env.prog.aux.kfunc_btf_tab!;
	const b = tab.find((d) => d.offset === offset);
	if (b) return b.btf;

	if (tab.length === MAX_KFUNC_BTFS) {
		verbose(env, "too many different module BTFs\n");
		return -E2BIG;
	}
	if (!env.fd_array) {
		verbose(env, "kfunc offset > 0 without fd_array is invalid\n");
		return -EPROTO;
	}
	const btf_fd = env.fd_array(offset);
	if (btf_fd === -EFAULT) return -EFAULT;

	const btf = btf_get_by_fd(env.kernel, btf_fd);
	if (IS_ERR(btf)) {
		verbose(env, "invalid module BTF fd specified\n");
		return btf;
	}
	if (!btf_is_module(btf)) {
		verbose(env, "BTF fd for kfunc is not a module BTF\n");
		btf_put(btf);
		return -EINVAL;
	}
	const module = btf_try_get_module(btf);
	if (!module) {
		btf_put(btf);
		return -ENXIO;
	}
	tab.push({ btf, module, offset });
	tab.sort((x, y) => x.offset - y.offset);
	return btf;
}

/** kernel/bpf/verifier.c: find_kfunc_desc_btf */
export function find_kfunc_desc_btf(env: bpf_verifier_env, offset: number): btf | number {
	if (offset) {
		if (offset < 0) {
			verbose(env, "negative offset disallowed for kernel module function call\n");
			return -EINVAL;
		}
		return __find_kfunc_desc_btf(env, offset);
	}
	return vmlinux(env) ?? -ENOENT;
}

function vmlinux(env: bpf_verifier_env): btf | null {
	const b = env.kernel.bpf.bpf_get_btf_vmlinux();
	return IS_ERR(b) ? null : (b as btf);
}

/** kernel/bpf/verifier.c: bpf_free_kfunc_btf_tab */
export function bpf_free_kfunc_btf_tab(prog: bpf_prog): void {
	for (const d of prog.aux.kfunc_btf_tab ?? []) btf_put(d.btf);
	prog.aux.kfunc_btf_tab = null;
}

const kfunc_desc_cmp_by_id_off = (a: bpf_kfunc_desc, b: bpf_kfunc_desc): number =>
	a.func_id - b.func_id || a.offset - b.offset;
const kfunc_desc_cmp_by_imm_off = (a: bpf_kfunc_desc, b: bpf_kfunc_desc): number =>
	a.imm - b.imm || a.offset - b.offset;

/** kernel/bpf/verifier.c: add_kfunc_call */
export function add_kfunc_call(env: bpf_verifier_env, func_id: number, offset: number): number {
	const { kernel } = env;
	const prog_aux = env.prog.aux;
	let tab = prog_aux.kfunc_tab;

	if (!tab) {
		if (!vmlinux(env)) {
			verbose(env, "calling kernel function is not supported without CONFIG_DEBUG_INFO_BTF\n");
			return -ENOTSUPP;
		}
		if (!env.prog.jit_requested) {
			verbose(env, "JIT is required for calling kernel function\n");
			return -ENOTSUPP;
		}
		if (!bpf_jit_supports_kfunc_call(kernel)) {
			verbose(env, "JIT does not support calling kernel function\n");
			return -ENOTSUPP;
		}
		if (!env.prog.gpl_compatible) {
			verbose(env, "cannot call kernel function from non-GPL compatible program\n");
			return -EINVAL;
		}
		tab = [];
		prog_aux.kfunc_tab = tab;
	}

	// an id of 0 is left for dead code elimination to remove; what stays is refused in fixup_kfunc_call()
	if (!func_id && !offset) return 0;

	if (!prog_aux.kfunc_btf_tab && offset) prog_aux.kfunc_btf_tab = [];

	const desc_btf = find_kfunc_desc_btf(env, offset);
	if (IS_ERR(desc_btf)) {
		verbose(env, "failed to find BTF for kernel function\n");
		return desc_btf;
	}

	if (find_kfunc_desc(env.prog, func_id, offset)) return 0;

	if (tab.length === MAX_KFUNC_DESCS) {
		verbose(env, "too many different kernel function calls\n");
		return -E2BIG;
	}

	const func = btf_type_by_id(desc_btf, func_id);
	if (!func || !btf_type_is_func(func)) {
		verbose(env, `kernel btf_id ${func_id >>> 0} is not a function\n`);
		return -EINVAL;
	}
	const func_proto = btf_type_by_id(desc_btf, func.type);
	if (!func_proto || !btf_type_is_func_proto(func_proto)) {
		verbose(env, `kernel function btf_id ${func_id >>> 0} does not have a valid func_proto\n`);
		return -EINVAL;
	}

	const func_name = btf_name_by_offset(desc_btf, func.name_off)!;
	const symbol = kernel.symbols.addr(func_name);
	if (!symbol) {
		verbose(env, `cannot find address for kernel function ${func_name}\n`);
		return -EINVAL;
	}
	const addr = specialize_kfunc(env, func_id, offset, symbol);

	let call_imm: number;
	if (bpf_jit_supports_far_kfunc_call(kernel)) {
		call_imm = func_id;
	} else {
		const distance = BigInt.asIntN(64, addr - (kernel.symbols.addr("__bpf_call_base") ?? 0n));
		call_imm = Number(BigInt.asIntN(32, distance));
		if (BigInt(call_imm) !== distance) {
			verbose(env, `address of kernel function ${func_name} is out of range\n`);
			return -EINVAL;
		}
	}

	const bound = bpf_dev_bound_kfunc_check(env, func_id);
	if (bound) return bound;

	const func_model: btf_func_model = { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] };
	tab.push({ func_id, imm: call_imm, offset: offset & 0xffff, addr, func_model });
	const err = btf_distill_func_proto(env.log, desc_btf, func_proto, func_name, func_model);
	if (!err) tab.sort(kfunc_desc_cmp_by_id_off);
	return err;
}

/** kernel/bpf/verifier.c: sort_kfunc_descs_by_imm_off */
export function sort_kfunc_descs_by_imm_off(prog: bpf_prog): void {
	prog.aux.kfunc_tab?.sort(kfunc_desc_cmp_by_imm_off);
}

export { bpf_prog_has_kfunc_call } from "./core.ts";

/** kernel/bpf/verifier.c: bpf_jit_find_kfunc_model */
export function bpf_jit_find_kfunc_model(prog: bpf_prog, insn: bpf_insn): btf_func_model | null {
	const off = insn.off & 0xffff;
	return prog.aux.kfunc_tab?.find((d) => d.imm === insn.imm && d.offset === off)?.func_model ?? null;
}

/** kernel/bpf/verifier.c: add_kfunc_in_insns */
export function add_kfunc_in_insns(env: bpf_verifier_env, insns: readonly bpf_insn[], cnt: number): number {
	for (let i = 0; i < cnt; i++) {
		const insn = insns[i]!;
		if (!bpf_pseudo_kfunc_call(insn)) continue;
		const ret = add_kfunc_call(env, insn.imm, insn.off);
		if (ret < 0) return ret;
	}
	return 0;
}

/** kernel/bpf/verifier.c: add_subprog_and_kfunc */
export function add_subprog_and_kfunc(env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	const insn_cnt = insns.length;

	let ret = add_subprog(env, 0);
	if (ret) return ret;

	for (let i = 0; i < insn_cnt; i++) {
		const insn = insns[i]!;
		const local = bpf_pseudo_func(insn) || bpf_pseudo_call(insn);
		if (!local && !bpf_pseudo_kfunc_call(insn)) continue;

		if (!env.bpf_capable) {
			verbose(
				env,
				"loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN\n",
			);
			return -EPERM;
		}

		ret = local ? add_subprog(env, i + insn.imm + 1) : add_kfunc_call(env, insn.imm, insn.off);
		if (ret < 0) return ret;
	}

	ret = bpf_find_exception_callback_insn_off(env);
	if (ret < 0) return ret;
	const ex_cb_insn = ret;
	if (ex_cb_insn) {
		ret = add_subprog(env, ex_cb_insn);
		if (ret < 0) return ret;
		for (let i = 1; i < env.subprog_cnt; i++) {
			if (env.subprog_info[i]!.start !== ex_cb_insn) continue;
			env.exception_callback_subprog = i;
			mark_subprog_exc_cb(env, i);
			break;
		}
	}

	// one more behind the last, so that every subprogram ends where the next starts
	env.subprog_info[env.subprog_cnt] ??= new bpf_subprog_info();
	env.subprog_info[env.subprog_cnt]!.start = insn_cnt;

	if (env.log.level & BPF_LOG_LEVEL2)
		for (let i = 0; i < env.subprog_cnt; i++) verbose(env, `func#${i} @${env.subprog_info[i]!.start}\n`);

	return 0;
}

/** kernel/bpf/verifier.c: check_subprogs: jumps stay within their subprogram, which ends in exit or a jump. */
export function check_subprogs(env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	const insn_cnt = insns.length;
	const subprog = env.subprog_info;
	let cur_subprog = 0;
	let subprog_start = subprog[0]!.start;
	let subprog_end = subprog[1]!.start;

	for (let i = 0; i < insn_cnt; i++) {
		const insn = insns[i]!;
		const code = insn.code;
		const cls = BPF_CLASS(code);

		if (code === (BPF_JMP | BPF_CALL) && insn.src_reg === 0 && insn.imm === BPF_FUNC_tail_call) {
			subprog[cur_subprog]!.has_tail_call = true;
			subprog[cur_subprog]!.tail_call_reachable = true;
		}
		if (cls === BPF_LD && (BPF_MODE(code) === BPF_ABS || BPF_MODE(code) === BPF_IND))
			subprog[cur_subprog]!.has_ld_abs = true;
		if ((cls === BPF_JMP || cls === BPF_JMP32) && BPF_OP(code) !== BPF_EXIT && BPF_OP(code) !== BPF_CALL) {
			const off = i + (code === (BPF_JMP32 | BPF_JA) ? insn.imm : insn.off) + 1;
			if (off < subprog_start || off >= subprog_end) {
				verbose(env, `jump out of range from insn ${i} to ${off}\n`);
				return -EINVAL;
			}
		}
		if (i === subprog_end - 1) {
			// no falling from one subprogram into the next
			if (code !== (BPF_JMP | BPF_EXIT) && code !== (BPF_JMP32 | BPF_JA) && code !== (BPF_JMP | BPF_JA)) {
				verbose(env, "last insn is not an exit or jmp\n");
				return -EINVAL;
			}
			subprog_start = subprog_end;
			cur_subprog++;
			if (cur_subprog < env.subprog_cnt) subprog_end = subprog[cur_subprog + 1]!.start;
		}
	}
	return 0;
}
