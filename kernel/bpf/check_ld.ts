// SPDX-License-Identifier: GPL-2.0-only
/**
 * BPF_LD instructions and what a program may return
 * (kernel/bpf/verifier.c: check_ld_imm, check_ld_abs, check_return_code).
 */
import {
	CONST_PTR_TO_MAP,
	PTR_TO_BTF_ID,
	PTR_TO_CTX,
	PTR_TO_FUNC,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_REG_CTX } from "../../include/linux/filter.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CGROUP_INET_EGRESS,
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET6_BIND,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_DW,
	BPF_LSM_CGROUP,
	BPF_MAP_TYPE_ARENA,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_CGROUP_DEVICE,
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_CGROUP_SYSCTL,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_NETFILTER,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_LOOKUP,
	BPF_PROG_TYPE_SOCK_OPS,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_TRACING,
	BPF_PSEUDO_BTF_ID,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_IDX,
	BPF_PSEUDO_MAP_IDX_VALUE,
	BPF_PSEUDO_MAP_VALUE,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_KPROBE_SESSION,
	BPF_TRACE_RAW_TP,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_ABS, BPF_IND, BPF_MODE, BPF_SIZE } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_FUNC_STATIC } from "../../include/uapi/linux/btf.ts";
import { mark_chain_precision } from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { check_ptr_off_reg, get_func_retval_range, is_pointer_value } from "./check_mem.ts";
import { check_reference_leak, retval_range_within } from "./func_call.ts";
import { check_reg_arg, DST_OP, DST_OP_NO_MARK, SRC_OP } from "./liveness.ts";
import { reg_type_str, verbose } from "./log.ts";
import { base_type, cur_regs, resolve_prog_type, verbose_invalid_scalar } from "./predicates.ts";
import {
	__mark_reg_known,
	__mark_reg_known_s32,
	__mark_reg_known_u32,
	__mark_reg_unknown,
	CALLER_SAVED_REGS,
	caller_saved,
	mark_reg_known_zero,
	mark_reg_not_init,
	mark_reg_unknown,
	retval_range,
	S32_MAX,
	S32_MIN,
} from "./regs.ts";
import { find_subprog } from "./subprogs.ts";
import { tnum_in, tnum_range } from "./tnum.ts";
import type { bpf_verifier_env } from "./verifier_types.ts";

/** enum sk_action */
const SK_DROP = 0;
const SK_PASS = 1;
/** include/uapi/linux/netfilter.h */
const NF_DROP = 0;
const NF_ACCEPT = 1;

/** kernel/bpf/verifier.c: check_ld_imm */
export function check_ld_imm(env: bpf_verifier_env, insn: bpf_insn): number {
	const aux = env.insn_aux_data[env.insn_idx]!;
	const regs = cur_regs(env);

	if (BPF_SIZE(insn.code) !== BPF_DW) {
		verbose(env, "invalid BPF_LD_IMM insn\n");
		return -EINVAL;
	}
	if (insn.off !== 0) {
		verbose(env, "BPF_LD_IMM64 uses reserved fields\n");
		return -EINVAL;
	}

	const err = check_reg_arg(env, insn.dst_reg, DST_OP);
	if (err) return err;

	const dst_reg = regs[insn.dst_reg]!;
	if (insn.src_reg === 0) {
		const hi = env.prog.insnsi[env.insn_idx + 1]!.imm;
		dst_reg.type = SCALAR_VALUE;
		if (hi === 0) __mark_reg_known_u32(dst_reg, insn.imm);
		else if (hi === insn.imm >> 31) __mark_reg_known_s32(dst_reg, insn.imm);
		else __mark_reg_known(dst_reg, BigInt.asUintN(64, (BigInt(hi) << 32n) | BigInt(insn.imm >>> 0)));
		return 0;
	}

	// From here on a special value: a pointer with offset zero, or a rejection.
	mark_reg_known_zero(env, regs, insn.dst_reg);

	if (insn.src_reg === BPF_PSEUDO_BTF_ID) {
		dst_reg.type = aux.btf_var.reg_type;
		switch (base_type(dst_reg.type)) {
			case PTR_TO_MEM:
				dst_reg.mem_size = aux.btf_var.mem_size;
				break;
			case PTR_TO_BTF_ID:
				dst_reg.btf = aux.btf_var.btf;
				dst_reg.btf_id = aux.btf_var.btf_id;
				break;
			default:
				verbose(env, "bpf verifier is misconfigured\n");
				return -EFAULT;
		}
		return 0;
	}

	if (insn.src_reg === BPF_PSEUDO_FUNC) {
		const prog_aux = env.prog.aux;
		const subprogno = find_subprog(env, env.insn_idx + insn.imm + 1);

		if (!prog_aux.func_info.length) {
			verbose(env, "missing btf func_info\n");
			return -EINVAL;
		}
		if (prog_aux.func_info_aux[subprogno]!.linkage !== BTF_FUNC_STATIC) {
			verbose(env, "callback function not static\n");
			return -EINVAL;
		}
		dst_reg.type = PTR_TO_FUNC;
		dst_reg.subprogno = subprogno;
		return 0;
	}

	const map = env.used_maps[aux.map_index]!;
	dst_reg.map_ptr = map;

	if (insn.src_reg === BPF_PSEUDO_MAP_VALUE || insn.src_reg === BPF_PSEUDO_MAP_IDX_VALUE) {
		if (map.map_type === BPF_MAP_TYPE_ARENA) {
			__mark_reg_unknown(env, dst_reg);
			return 0;
		}
		dst_reg.type = PTR_TO_MAP_VALUE;
		dst_reg.off = aux.map_off;
		// id stays 0: there is but one value
	} else if (insn.src_reg === BPF_PSEUDO_MAP_FD || insn.src_reg === BPF_PSEUDO_MAP_IDX) {
		dst_reg.type = CONST_PTR_TO_MAP;
	} else {
		verbose(env, "bpf verifier is misconfigured\n");
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/verifier.c: may_access_skb */
function may_access_skb(type: number): boolean {
	return (
		type === BPF_PROG_TYPE_SOCKET_FILTER ||
		type === BPF_PROG_TYPE_SCHED_CLS ||
		type === BPF_PROG_TYPE_SCHED_ACT
	);
}

/**
 * kernel/bpf/verifier.c: check_ld_abs. BPF_LD | BPF_ABS and BPF_IND are calls in disguise: R6 is the
 * skb, R1 to R5 are lost, R0 gets the packet's bytes in the CPU's order.
 */
export function check_ld_abs(env: bpf_verifier_env, insn: bpf_insn): number {
	const regs = cur_regs(env);
	const ctx_reg = BPF_REG_CTX;
	const mode = BPF_MODE(insn.code);
	let err: number;

	if (!may_access_skb(resolve_prog_type(env.prog))) {
		verbose(env, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n");
		return -EINVAL;
	}

	if (!env.ops.gen_ld_abs) {
		verbose(env, "bpf verifier is misconfigured\n");
		return -EINVAL;
	}

	if (
		insn.dst_reg !== 0 ||
		insn.off !== 0 ||
		BPF_SIZE(insn.code) === BPF_DW ||
		(mode === BPF_ABS && insn.src_reg !== 0)
	) {
		verbose(env, "BPF_LD_[ABS|IND] uses reserved fields\n");
		return -EINVAL;
	}

	err = check_reg_arg(env, ctx_reg, SRC_OP);
	if (err) return err;

	// It may end the program, with whatever is held then.
	err = check_reference_leak(env, false);
	if (err) {
		verbose(env, "BPF_LD_[ABS|IND] cannot be mixed with socket references\n");
		return err;
	}

	const state = env.cur_state!;
	if (state.active_lock.ptr) {
		verbose(env, "BPF_LD_[ABS|IND] cannot be used inside bpf_spin_lock-ed region\n");
		return -EINVAL;
	}
	if (state.active_rcu_lock) {
		verbose(env, "BPF_LD_[ABS|IND] cannot be used inside bpf_rcu_read_lock-ed region\n");
		return -EINVAL;
	}
	if (state.active_preempt_lock) {
		verbose(env, "BPF_LD_[ABS|IND] cannot be used inside bpf_preempt_disable-ed region\n");
		return -EINVAL;
	}

	if (regs[ctx_reg]!.type !== PTR_TO_CTX) {
		verbose(env, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n");
		return -EINVAL;
	}

	if (mode === BPF_IND) {
		err = check_reg_arg(env, insn.src_reg, SRC_OP);
		if (err) return err;
	}

	err = check_ptr_off_reg(env, regs[ctx_reg]!, ctx_reg);
	if (err < 0) return err;

	for (let i = 0; i < CALLER_SAVED_REGS; i++) {
		mark_reg_not_init(env, regs, caller_saved[i]!);
		check_reg_arg(env, caller_saved[i]!, DST_OP_NO_MARK);
	}

	mark_reg_unknown(env, regs, 0);
	// at most 32 bits are loaded
	regs[0]!.subreg_def = env.insn_idx + 1;
	return 0;
}

/** kernel/bpf/verifier.c: check_return_code */
export function check_return_code(env: bpf_verifier_env, regno: number, reg_name: string): number {
	let exit_ctx = "At program exit";
	let enforce_attach_type_range = false;
	const prog = env.prog;
	let range = retval_range(0, 1);
	const prog_type = resolve_prog_type(env.prog);
	const frame = env.cur_state!.frame[0]!;
	const is_subprog = frame.subprogno !== 0;
	let return_32bit = false;

	// A hook or an operation may return void.
	if (!is_subprog || frame.in_exception_callback_fn) {
		if (
			(prog_type === BPF_PROG_TYPE_LSM && prog.expected_attach_type !== BPF_LSM_CGROUP) ||
			prog_type === BPF_PROG_TYPE_STRUCT_OPS
		) {
			if (!prog.aux.attach_func_proto!.type) return 0;
		}
	}

	let err = check_reg_arg(env, regno, SRC_OP);
	if (err) return err;

	if (is_pointer_value(env, regno)) {
		verbose(env, `R${regno} leaks addr as return value\n`);
		return -EACCES;
	}

	const reg = cur_regs(env)[regno]!;

	if (frame.in_async_callback_fn) {
		exit_ctx = "At async callback return";
		range = retval_range(0, 0);
	} else if (is_subprog && !frame.in_exception_callback_fn) {
		if (reg.type !== SCALAR_VALUE) {
			verbose(
				env,
				`At subprogram exit the register R${regno} is not a scalar value (${reg_type_str(env, reg.type)})\n`,
			);
			return -EINVAL;
		}
		return 0;
	} else {
		const attach_type = prog.expected_attach_type;
		switch (prog_type) {
			case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
				switch (attach_type) {
					case BPF_CGROUP_UDP4_RECVMSG:
					case BPF_CGROUP_UDP6_RECVMSG:
					case BPF_CGROUP_UNIX_RECVMSG:
					case BPF_CGROUP_INET4_GETPEERNAME:
					case BPF_CGROUP_INET6_GETPEERNAME:
					case BPF_CGROUP_UNIX_GETPEERNAME:
					case BPF_CGROUP_INET4_GETSOCKNAME:
					case BPF_CGROUP_INET6_GETSOCKNAME:
					case BPF_CGROUP_UNIX_GETSOCKNAME:
						range = retval_range(1, 1);
						break;
					case BPF_CGROUP_INET4_BIND:
					case BPF_CGROUP_INET6_BIND:
						range = retval_range(0, 3);
						break;
				}
				break;
			case BPF_PROG_TYPE_CGROUP_SKB:
				if (attach_type === BPF_CGROUP_INET_EGRESS) {
					range = retval_range(0, 3);
					enforce_attach_type_range = true;
				}
				break;
			case BPF_PROG_TYPE_CGROUP_SOCK:
			case BPF_PROG_TYPE_SOCK_OPS:
			case BPF_PROG_TYPE_CGROUP_DEVICE:
			case BPF_PROG_TYPE_CGROUP_SYSCTL:
			case BPF_PROG_TYPE_CGROUP_SOCKOPT:
				break;
			case BPF_PROG_TYPE_RAW_TRACEPOINT:
				if (!prog.aux.attach_btf_id) return 0;
				range = retval_range(0, 0);
				break;
			case BPF_PROG_TYPE_TRACING:
				switch (attach_type) {
					case BPF_TRACE_FENTRY:
					case BPF_TRACE_FEXIT:
						range = retval_range(0, 0);
						break;
					case BPF_TRACE_RAW_TP:
					case BPF_MODIFY_RETURN:
						return 0;
					case BPF_TRACE_ITER:
						break;
					default:
						return -ENOTSUPP;
				}
				break;
			case BPF_PROG_TYPE_KPROBE:
				if (attach_type !== BPF_TRACE_KPROBE_SESSION) return 0;
				range = retval_range(0, 1);
				break;
			case BPF_PROG_TYPE_SK_LOOKUP:
				range = retval_range(SK_DROP, SK_PASS);
				break;

			case BPF_PROG_TYPE_LSM:
				if (attach_type !== BPF_LSM_CGROUP) {
					if (!get_func_retval_range(prog, range)) return 0;
					if (range.minval === S32_MIN && range.maxval === S32_MAX) return 0;
					return_32bit = true;
				} else if (!prog.aux.attach_func_proto!.type) {
					// a void hook's return value is not to be changed
					range = retval_range(1, 1);
				}
				break;

			case BPF_PROG_TYPE_NETFILTER:
				range = retval_range(NF_DROP, NF_ACCEPT);
				break;
			// an extension (BPF_PROG_TYPE_EXT) returns what the function that it replaces does
			default:
				return 0;
		}
	}

	if (reg.type !== SCALAR_VALUE) {
		verbose(
			env,
			`${exit_ctx} the register R${regno} is not a known value (${reg_type_str(env, reg.type)})\n`,
		);
		return -EINVAL;
	}

	err = mark_chain_precision(env, regno);
	if (err) return err;

	if (!retval_range_within(range, reg, return_32bit)) {
		verbose_invalid_scalar(env, reg, range, exit_ctx, reg_name);
		if (
			!is_subprog &&
			prog.expected_attach_type === BPF_LSM_CGROUP &&
			prog_type === BPF_PROG_TYPE_LSM &&
			!prog.aux.attach_func_proto!.type
		)
			verbose(env, "Note, BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!\n");
		return -EINVAL;
	}

	if (
		enforce_attach_type_range &&
		tnum_in(tnum_range(2n, 3n), { value: reg.var_off_value, mask: reg.var_off_mask })
	)
		env.prog.enforce_expected_attach_type = true;
	return 0;
}
