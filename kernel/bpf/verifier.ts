// SPDX-License-Identifier: GPL-2.0-only
/**
 * The verifier: bpf_check() and the walk over a program's instructions
 * (kernel/bpf/verifier.c: do_check, do_check_common, do_check_subprogs, bpf_check).
 *
 * The rest of verifier.c stands in the neighbours: check_mem.ts and stack.ts (accesses), alu.ts,
 * cond_jmp.ts, check_ld.ts, regs.ts, states.ts, liveness.ts, backtrack.ts, helper_call.ts, kfunc.ts,
 * func_call.ts, cfg.ts, check_btf.ts, subprogs.ts, resolve.ts, attach.ts, fixups.ts.
 */
import {
	ARG_ANYTHING,
	ARG_PTR_TO_ARENA,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_DYNPTR,
	ARG_PTR_TO_MEM,
	BPF_COMPLEXITY_LIMIT_INSNS,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_READ,
	BPF_WRITE,
	MEM_RDONLY,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TO_CTX,
	PTR_TO_MEM,
	PTR_TRUSTED,
	PTR_UNTRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_LOG_LEVEL,
	BPF_LOG_LEVEL2,
	BPF_LOG_STATS,
	MAX_CALL_FRAMES,
} from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_EXIT,
	BPF_F_ANY_ALIGNMENT,
	BPF_F_STRICT_ALIGNMENT,
	BPF_F_TEST_REG_INVARIANTS,
	BPF_F_TEST_STATE_FREQ,
	BPF_FUNC_spin_unlock,
	BPF_JMP32,
	BPF_MEMSX,
	BPF_PROG_TYPE_EXT,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_KFUNC_CALL,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ALU,
	BPF_CLASS,
	BPF_IMM,
	BPF_IND,
	BPF_JA,
	BPF_JMP,
	BPF_K,
	BPF_LD,
	BPF_LDX,
	BPF_MEM,
	BPF_MODE,
	BPF_OP,
	BPF_SIZE,
	BPF_SRC,
	BPF_ST,
	BPF_STX,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import { bpf_token_capable } from "../security.ts";
import { CAP_BPF, CAP_PERFMON } from "../task.ts";
import { check_alu_op, sanitize_mark_insn_seen } from "./alu.ts";
import { check_attach_btf_id } from "./attach.ts";
import { disasm_kfunc_name, is_jmp_point, push_insn_history } from "./backtrack.ts";
import type { bpf_insn, bpf_prog } from "./bpf_types.ts";
import { btf_prepare_func_args } from "./btf.ts";
import type { btf } from "./btf_types.ts";
import { check_cfg, is_prune_point, mark_fastcall_patterns } from "./cfg.ts";
import { adjust_btf_func, check_btf_info, check_btf_info_early } from "./check_btf.ts";
import { check_ld_abs, check_ld_imm, check_return_code } from "./check_ld.ts";
import { check_atomic, check_mem_access, save_aux_ptr_type } from "./check_mem.ts";
import { check_cond_jmp_op } from "./cond_jmp.ts";
import { type bpf_insn_cbs, print_bpf_insn } from "./disasm.ts";
import {
	convert_ctx_accesses,
	opt_hard_wire_dead_code_branches,
	opt_remove_dead_code,
	opt_remove_nops,
	opt_subreg_zext_lo32_rnd_hi32,
	optimize_bpf_loop,
	remove_fastcall_spills_fills,
	sanitize_dead_code,
} from "./fixups.ts";
import { check_func_call, check_reference_leak, prepare_func_exit } from "./func_call.ts";
import { HeapExhausted, verifier_heap } from "./heap.ts";
import { check_helper_call } from "./helper_call.ts";
import { bpf_jit_needs_zext } from "./jit_caps.ts";
import { fixup_call_args } from "./jit_subprogs.ts";
import { check_kfunc_call, is_bpf_graph_api_kfunc } from "./kfunc.ts";
import { check_reg_arg, DST_OP_NO_MARK, SRC_OP } from "./liveness.ts";
import {
	bpf_vlog_finalize,
	bpf_vlog_init,
	bpf_vlog_reset,
	mark_reg_scratched,
	mark_verifier_state_clean,
	mark_verifier_state_scratched,
	new_verifier_log,
	print_insn_state,
	print_verifier_state,
	verbose,
	verbose_linfo,
	verifier_state_scratched,
} from "./log.ts";
import { do_misc_fixups } from "./misc_fixups.ts";
import {
	base_type,
	cur_regs,
	is_bpf_throw_kfunc,
	subprog_aux,
	subprog_info,
	subprog_is_exc_cb,
	subprog_is_global,
	subprog_name,
} from "./predicates.ts";
import { __mark_dynptr_reg, mark_reg_known_zero, mark_reg_unknown, reg_bounds_sanity_check } from "./regs.ts";
import { convert_pseudo_ld_imm64, release_btfs, release_maps, resolve_pseudo_ldimm64 } from "./resolve.ts";
import { check_max_stack_depth } from "./stack_depth.ts";
import {
	alloc_func_state,
	alloc_verifier_state,
	BPF_MAIN_FUNC,
	free_verifier_state,
	init_func_state,
	is_state_visited,
	pop_stack,
	state_htab_size,
	update_branch_counts,
} from "./states.ts";
import { add_subprog_and_kfunc, check_subprogs } from "./subprogs.ts";
import {
	bpf_insn_aux_data,
	type bpf_prog_load_attr,
	type bpf_verifier_env,
	type bpfptr_t,
	type UserLogBuffer,
} from "./verifier_types.ts";

/** Byte offset of log_true_size in union bpf_attr. */
const OFFSETOF_LOG_TRUE_SIZE = 0x8c;

/** What an instruction makes of the path. */
const GO_ON = 0;
const PROCESS_BPF_EXIT_FULL = 1;
const PROCESS_BPF_EXIT = 2;

const insn_cbs_of = (env: bpf_verifier_env): bpf_insn_cbs<bpf_verifier_env, bpf_insn> => ({
	cb_call: disasm_kfunc_name,
	cb_print: verbose,
	private_data: env,
});

/** kernel/bpf/verifier.c: do_check */
function do_check(env: bpf_verifier_env): number {
	const pop_log = !(env.log.level & BPF_LOG_LEVEL2);
	const insns = env.prog.insnsi;
	const insn_cnt = insns.length;
	const cbs = insn_cbs_of(env);
	const aux_data = env.insn_aux_data;
	const state = env.cur_state!;
	const notes = env.embedding ?? null;
	const idx: Ref<number> = { val: 0 };
	const prev: Ref<number> = { val: -1 };
	let do_print_state = false;
	let err: number;

	for (;;) {
		let next = GO_ON;
		let exception_exit = false;

		env.cur_hist_ent = null;
		env.prev_insn_idx = prev.val;
		const insn_idx = env.insn_idx;
		if (insn_idx >= insn_cnt) {
			verbose(env, `invalid insn idx ${insn_idx} insn_cnt ${insn_cnt}\n`);
			return -EFAULT;
		}

		const insn = insns[insn_idx]!;
		const code = insn.code;
		const cls = BPF_CLASS(code);

		if (++env.insn_processed > BPF_COMPLEXITY_LIMIT_INSNS) {
			verbose(env, `BPF program is too large. Processed ${env.insn_processed} insn\n`);
			return -E2BIG;
		}

		state.last_insn_idx = env.prev_insn_idx;

		if (is_prune_point(env, insn_idx)) {
			err = is_state_visited(env, insn_idx);
			if (err < 0) return err;
			if (err === 1) {
				// an equal state was found safe
				if (env.log.level & BPF_LOG_LEVEL) {
					if (do_print_state)
						verbose(
							env,
							`\nfrom ${env.prev_insn_idx} to ${insn_idx}${state.speculative ? " (speculative execution)" : ""}: safe\n`,
						);
					else verbose(env, `${insn_idx}: safe\n`);
				}
				next = PROCESS_BPF_EXIT;
			}
		}

		if (next === GO_ON) {
			if (is_jmp_point(env, insn_idx)) {
				err = push_insn_history(env, state, 0, 0n);
				if (err) return err;
			}

			const log_level = env.log.level;
			if (do_print_state && log_level & BPF_LOG_LEVEL2) {
				verbose(
					env,
					`\nfrom ${env.prev_insn_idx} to ${insn_idx}${state.speculative ? " (speculative execution)" : ""}:`,
				);
				print_verifier_state(env, state.frame[state.curframe]!, true);
				do_print_state = false;
			}

			if (log_level & BPF_LOG_LEVEL) {
				if (verifier_state_scratched(env)) print_insn_state(env, state.frame[state.curframe]!);

				verbose_linfo(env, insn_idx, "; ");
				env.prev_log_pos = env.log.end_pos;
				verbose(env, `${insn_idx}: `);
				print_bpf_insn(cbs, insn, env.allow_ptr_leaks, insns[insn_idx + 1]);
				env.prev_insn_print_pos = env.log.end_pos - env.prev_log_pos;
				env.prev_log_pos = env.log.end_pos;
			}

			const regs = cur_regs(env);
			if (notes) notes.record(env, state, insn, insn_idx);
			if (!state.speculative) aux_data[insn_idx]!.seen = env.pass_cnt;
			prev.val = insn_idx;

			switch (cls) {
				case BPF_ALU:
				case BPF_ALU64:
					err = check_alu_op(env, insn);
					if (err) return err;
					break;

				case BPF_LDX: {
					err = check_reg_arg(env, insn.src_reg, SRC_OP);
					if (err) return err;
					err = check_reg_arg(env, insn.dst_reg, DST_OP_NO_MARK);
					if (err) return err;

					const src_reg_type = regs[insn.src_reg]!.type;
					err = check_mem_access(
						env,
						insn_idx,
						insn.src_reg,
						insn.off,
						BPF_SIZE(code),
						BPF_READ,
						insn.dst_reg,
						false,
						BPF_MODE(code) === BPF_MEMSX,
					);
					err = err || save_aux_ptr_type(env, src_reg_type, true);
					err = err || reg_bounds_sanity_check(env, regs[insn.dst_reg]!, "ldx");
					if (err) return err;
					break;
				}

				case BPF_STX: {
					if (BPF_MODE(code) === BPF_ATOMIC) {
						err = check_atomic(env, insn_idx, insn);
						if (err) return err;
						break;
					}
					if (BPF_MODE(code) !== BPF_MEM || insn.imm !== 0) {
						verbose(env, "BPF_STX uses reserved fields\n");
						return -EINVAL;
					}
					err = check_reg_arg(env, insn.src_reg, SRC_OP);
					if (err) return err;
					err = check_reg_arg(env, insn.dst_reg, SRC_OP);
					if (err) return err;

					const dst_reg_type = regs[insn.dst_reg]!.type;
					err = check_mem_access(
						env,
						insn_idx,
						insn.dst_reg,
						insn.off,
						BPF_SIZE(code),
						BPF_WRITE,
						insn.src_reg,
						false,
						false,
					);
					if (err) return err;
					err = save_aux_ptr_type(env, dst_reg_type, false);
					if (err) return err;
					break;
				}

				case BPF_ST: {
					if (BPF_MODE(code) !== BPF_MEM || insn.src_reg !== 0) {
						verbose(env, "BPF_ST uses reserved fields\n");
						return -EINVAL;
					}
					err = check_reg_arg(env, insn.dst_reg, SRC_OP);
					if (err) return err;

					const dst_reg_type = regs[insn.dst_reg]!.type;
					err = check_mem_access(
						env,
						insn_idx,
						insn.dst_reg,
						insn.off,
						BPF_SIZE(code),
						BPF_WRITE,
						-1,
						false,
						false,
					);
					if (err) return err;
					err = save_aux_ptr_type(env, dst_reg_type, false);
					if (err) return err;
					break;
				}

				case BPF_JMP:
				case BPF_JMP32: {
					const opcode = BPF_OP(code);
					env.jmps_processed++;
					if (opcode === BPF_CALL) {
						const src = insn.src_reg;
						if (
							BPF_SRC(code) !== BPF_K ||
							(src !== BPF_PSEUDO_KFUNC_CALL && insn.off !== 0) ||
							(src !== 0 && src !== BPF_PSEUDO_CALL && src !== BPF_PSEUDO_KFUNC_CALL) ||
							insn.dst_reg !== 0 ||
							cls === BPF_JMP32
						) {
							verbose(env, "BPF_CALL uses reserved fields\n");
							return -EINVAL;
						}

						if (state.active_lock.ptr) {
							if (
								(src === 0 && insn.imm !== BPF_FUNC_spin_unlock) ||
								(src === BPF_PSEUDO_KFUNC_CALL && (insn.off !== 0 || !is_bpf_graph_api_kfunc(env, insn.imm)))
							) {
								verbose(env, "function calls are not allowed while holding a lock\n");
								return -EINVAL;
							}
						}
						idx.val = insn_idx;
						if (src === BPF_PSEUDO_CALL) {
							err = check_func_call(env, insn, idx);
						} else if (src === BPF_PSEUDO_KFUNC_CALL) {
							err = check_kfunc_call(env, insn, idx);
							if (!err && is_bpf_throw_kfunc(env, insn)) {
								exception_exit = true;
								next = PROCESS_BPF_EXIT_FULL;
							}
						} else {
							err = check_helper_call(env, insn, idx);
						}
						env.insn_idx = idx.val;
						if (err) return err;
						if (next === GO_ON) mark_reg_scratched(env, 0);
					} else if (opcode === BPF_JA) {
						if (
							BPF_SRC(code) !== BPF_K ||
							insn.src_reg !== 0 ||
							insn.dst_reg !== 0 ||
							(cls === BPF_JMP && insn.imm !== 0) ||
							(cls === BPF_JMP32 && insn.off !== 0)
						) {
							verbose(env, "BPF_JA uses reserved fields\n");
							return -EINVAL;
						}
						env.insn_idx = insn_idx + (cls === BPF_JMP ? insn.off : insn.imm) + 1;
						continue;
					} else if (opcode === BPF_EXIT) {
						if (
							BPF_SRC(code) !== BPF_K ||
							insn.imm !== 0 ||
							insn.src_reg !== 0 ||
							insn.dst_reg !== 0 ||
							cls === BPF_JMP32
						) {
							verbose(env, "BPF_EXIT uses reserved fields\n");
							return -EINVAL;
						}
						next = PROCESS_BPF_EXIT_FULL;
					} else {
						idx.val = insn_idx;
						err = check_cond_jmp_op(env, insn, idx);
						env.insn_idx = idx.val;
						if (err) return err;
					}
					break;
				}

				case BPF_LD: {
					const mode = BPF_MODE(code);
					if (mode === BPF_ABS || mode === BPF_IND) {
						err = check_ld_abs(env, insn);
						if (err) return err;
					} else if (mode === BPF_IMM) {
						err = check_ld_imm(env, insn);
						if (err) return err;
						env.insn_idx++;
						sanitize_mark_insn_seen(env);
					} else {
						verbose(env, "invalid BPF_LD mode\n");
						return -EINVAL;
					}
					break;
				}

				default:
					verbose(env, `unknown insn class ${cls}\n`);
					return -EINVAL;
			}

			if (next === GO_ON) {
				env.insn_idx++;
				continue;
			}
		}

		if (next === PROCESS_BPF_EXIT_FULL) {
			if (state.active_lock.ptr && !state.curframe) {
				verbose(env, "bpf_spin_unlock is missing\n");
				return -EINVAL;
			}
			if (state.active_rcu_lock && !state.curframe) {
				verbose(env, "bpf_rcu_read_unlock is missing\n");
				return -EINVAL;
			}
			if (state.active_preempt_lock && !state.curframe) {
				const n = state.active_preempt_lock;
				verbose(env, `${n} bpf_preempt_enable${n === 1 ? " is" : "(s) are"} missing\n`);
				return -EINVAL;
			}

			// A callback has to leave its caller's references as they were, so before prepare_func_exit().
			err = check_reference_leak(env, exception_exit);
			if (err) return err;

			// After an exception nobody looks at return values, and pop_stack() frees the frames.
			if (!exception_exit) {
				if (state.curframe) {
					idx.val = env.insn_idx;
					err = prepare_func_exit(env, idx);
					env.insn_idx = idx.val;
					if (err) return err;
					do_print_state = true;
					continue;
				}
				err = check_return_code(env, 0, "R0");
				if (err) return err;
			}
		}

		mark_verifier_state_scratched(env);
		update_branch_counts(env, env.cur_state!);
		idx.val = env.insn_idx;
		err = pop_stack(env, prev, idx, pop_log);
		env.insn_idx = idx.val;
		if (err < 0) {
			if (err !== -ENOENT) return err;
			break;
		}
		if (env.cur_state!.loop_entry) {
			verbose(env, "verifier bug: env->cur_state->loop_entry != NULL\n");
			return -EFAULT;
		}
		do_print_state = true;
	}
	return 0;
}

/** kernel/bpf/verifier.c: free_states */
function free_states(env: bpf_verifier_env): void {
	for (const sl of env.free_list) free_verifier_state(env, sl.state, false);
	env.free_list = [];
	for (const list of env.explored_states) {
		for (const sl of list) free_verifier_state(env, sl.state, false);
		list.length = 0;
	}
}

/** Registers of a global subprogram's arguments, from its BTF. */
function set_up_args(env: bpf_verifier_env, subprog: number): number {
	const sub = subprog_info(env, subprog);
	const frame = env.cur_state!.frame[0]!;
	const regs = frame.regs;

	verbose(env, `Validating ${subprog_name(env, subprog)}() func#${subprog}...\n`);
	const ret = btf_prepare_func_args(env, subprog);
	if (ret) return ret;

	if (subprog_is_exc_cb(env, subprog)) {
		frame.in_exception_callback_fn = true;
		// That it returns an integer is known by now, as of all global subprograms.
		if (sub.arg_cnt !== 1 || sub.args[0]!.arg_type !== ARG_ANYTHING) {
			verbose(env, "exception cb only supports single integer argument\n");
			return -EINVAL;
		}
	}
	for (let i = 1; i <= sub.arg_cnt; i++) {
		const arg = sub.args[i - 1]!;
		const reg = regs[i]!;
		const arg_type = arg.arg_type;

		if (arg_type === ARG_PTR_TO_CTX) {
			reg.type = PTR_TO_CTX;
			mark_reg_known_zero(env, regs, i);
		} else if (arg_type === ARG_ANYTHING) {
			reg.type = SCALAR_VALUE;
			mark_reg_unknown(env, regs, i);
		} else if (arg_type === (ARG_PTR_TO_DYNPTR | MEM_RDONLY)) {
			__mark_dynptr_reg(reg, BPF_DYNPTR_TYPE_LOCAL, true, ++env.id_gen);
		} else if (base_type(arg_type) === ARG_PTR_TO_MEM) {
			reg.type = PTR_TO_MEM;
			if (arg_type & PTR_MAYBE_NULL) reg.type |= PTR_MAYBE_NULL;
			mark_reg_known_zero(env, regs, i);
			reg.mem_size = arg.mem_size;
			reg.id = ++env.id_gen;
		} else if (base_type(arg_type) === ARG_PTR_TO_BTF_ID) {
			reg.type = PTR_TO_BTF_ID | (arg_type & (PTR_MAYBE_NULL | PTR_UNTRUSTED | PTR_TRUSTED));
			mark_reg_known_zero(env, regs, i);
			reg.btf = env.kernel.bpf.bpf_get_btf_vmlinux() as btf;
			reg.btf_id = arg.btf_id;
			reg.id = ++env.id_gen;
		} else if (base_type(arg_type) === ARG_PTR_TO_ARENA) {
			// the caller may pass a scalar as well
			mark_reg_unknown(env, regs, i);
		} else {
			env.kernel.printk(`BUG: unhandled arg#${i - 1} type ${arg_type}`);
			return -EFAULT;
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: do_check_common */
function do_check_common(env: bpf_verifier_env, subprog: number): number {
	const pop_log = !(env.log.level & BPF_LOG_LEVEL2);
	let ret: number;

	env.prev_linfo = null;
	env.pass_cnt++;

	const state = alloc_verifier_state(env);
	state.curframe = 0;
	state.speculative = false;
	state.branches = 1;
	const frame = alloc_func_state(env);
	state.frame[0] = frame;
	env.cur_state = state;
	init_func_state(env, frame, BPF_MAIN_FUNC, 0, subprog);
	state.first_insn_idx = env.subprog_info[subprog]!.start;
	state.last_insn_idx = -1;

	if (subprog || env.prog.type === BPF_PROG_TYPE_EXT) {
		ret = set_up_args(env, subprog);
	} else {
		// The main program's BTF may disagree with its type, and is then not relied on.
		const func_info_aux = env.prog.aux.func_info_aux;
		if (func_info_aux.length) {
			const sub = subprog_info(env, subprog);
			ret = btf_prepare_func_args(env, 0);
			if (ret || sub.arg_cnt !== 1 || sub.args[0]!.arg_type !== ARG_PTR_TO_CTX)
				func_info_aux[0]!.unreliable = true;
		}
		frame.regs[1]!.type = PTR_TO_CTX;
		mark_reg_known_zero(env, frame.regs, 1);
		ret = 0;
	}

	if (!ret) ret = do_check(env);

	if (env.cur_state) {
		free_verifier_state(env, env.cur_state, true);
		env.cur_state = null;
	}
	while (!pop_stack(env, null, null, false));
	if (!ret && pop_log) bpf_vlog_reset(env.log, 0);
	free_states(env);
	return ret;
}

/**
 * kernel/bpf/verifier.c: do_check_subprogs. Global functions that are called from what is verified get
 * verified themselves, once, for any arguments that their BTF allows.
 */
function do_check_subprogs(env: bpf_verifier_env): number {
	const aux = env.prog.aux;
	if (!aux.func_info.length) return 0;

	// an exception may be thrown: its callback counts as called
	if (env.exception_callback_subprog) subprog_aux(env, env.exception_callback_subprog).called = true;

	for (;;) {
		let new_cnt = 0;
		for (let i = 1; i < env.subprog_cnt; i++) {
			if (!subprog_is_global(env, i)) continue;
			const sub_aux = subprog_aux(env, i);
			if (!sub_aux.called || sub_aux.verified) continue;

			env.insn_idx = env.subprog_info[i]!.start;
			const ret = do_check_common(env, i);
			if (ret) return ret;
			if (env.log.level & BPF_LOG_LEVEL)
				verbose(env, `Func#${i} ('${subprog_name(env, i)}') is safe for any args that match its prototype\n`);

			// it may have called others
			sub_aux.verified = true;
			new_cnt++;
		}
		if (!new_cnt) return 0;
	}
}

/** kernel/bpf/verifier.c: do_check_main */
function do_check_main(env: bpf_verifier_env): number {
	env.insn_idx = 0;
	const ret = do_check_common(env, 0);
	if (!ret) env.prog.aux.stack_depth = env.subprog_info[0]!.stack_depth;
	return ret;
}

/** kernel/bpf/verifier.c: print_verification_stats */
function print_verification_stats(env: bpf_verifier_env): void {
	if (env.log.level & BPF_LOG_STATS) {
		verbose(env, `verification time ${env.verification_time / 1000n} usec\n`);
		verbose(env, "stack depth ");
		for (let i = 0; i < env.subprog_cnt; i++) {
			verbose(env, `${env.subprog_info[i]!.stack_depth}`);
			if (i + 1 < env.subprog_cnt) verbose(env, "+");
		}
		verbose(env, "\n");
	}
	verbose(
		env,
		`processed ${env.insn_processed} insns (limit ${BPF_COMPLEXITY_LIMIT_INSNS}) ` +
			`max_states_per_insn ${env.max_states_per_insn} total_states ${env.total_states} ` +
			`peak_states ${env.peak_states} mark_read ${env.longest_mark_read_walk}\n`,
	);
}

/** An env for one bpf_check() (kvzalloc and what follows it in bpf_check). */
function alloc_env(
	kernel: Kernel,
	prog: bpf_prog,
	attr: bpf_prog_load_attr,
	uattr: bpfptr_t,
): bpf_verifier_env {
	const heap = verifier_heap(kernel);
	heap.reset();
	const len = prog.len;
	const insn_aux_data = new Array<bpf_insn_aux_data>(len);
	for (let i = 0; i < len; i++) {
		insn_aux_data[i] = new bpf_insn_aux_data();
		insn_aux_data[i]!.orig_idx = i;
	}
	const fd_array = (i: number): number => {
		const b = uattr.read(attr.fd_array + BigInt(i * 4), 4);
		if (!b) return -EFAULT;
		return new DataView(b.buffer, b.byteOffset, 4).getInt32(0, true);
	};
	return {
		kernel,
		heap,
		insn_idx: 0,
		prev_insn_idx: 0,
		prog,
		embedding: kernel.bpf.embedding?.begin(prog, attr) ?? null,
		ops: kernel.bpf.verifier_ops(prog.type) ?? {},
		attach_btf_mod: null,
		head: null,
		stack_size: 0,
		strict_alignment: false,
		test_state_freq: false,
		test_reg_invariants: false,
		cur_state: null,
		explored_states: [],
		free_list: [],
		used_maps: [],
		used_btfs: [],
		id_gen: 0,
		hidden_subprog_cnt: 0,
		exception_callback_subprog: 0,
		explore_alu_limits: false,
		allow_ptr_leaks: false,
		allow_uninit_stack: false,
		bpf_capable: false,
		bypass_spec_v1: false,
		bypass_spec_v4: false,
		seen_direct_write: false,
		seen_exception: false,
		insn_aux_data,
		insn_hist: [],
		cur_hist_ent: null,
		prev_linfo: null,
		log: new_verifier_log(kernel.message_tap),
		subprog_info: [],
		cfg: { insn_state: new Int32Array(0), insn_stack: new Int32Array(0), cur_stack: 0 },
		bt: {
			frame: 0,
			reg_masks: new Uint32Array(MAX_CALL_FRAMES),
			stack_masks: new Uint32Array(2 * MAX_CALL_FRAMES),
		},
		pass_cnt: 0,
		subprog_cnt: 0,
		prev_insn_processed: 0,
		insn_processed: 0,
		prev_jmps_processed: 0,
		jmps_processed: 0,
		verification_time: 0n,
		max_states_per_insn: 0,
		total_states: 0,
		peak_states: 0,
		longest_mark_read_walk: 0,
		fd_array: attr.fd_array ? fd_array : null,
		scratched_regs: 0,
		scratched_stack_slots: [0, 0],
		prev_log_pos: 0,
		prev_insn_print_pos: 0,
		fake_reg: [heap.alloc_reg(), heap.alloc_reg()],
		insn_buf: [],
		tmp_reg: [heap.alloc_reg(), heap.alloc_reg()],
	};
}

/** The user's log buffer at attr->log_buf. */
function user_log_buffer(attr: bpf_prog_load_attr, uattr: bpfptr_t): UserLogBuffer | null {
	if (!attr.log_buf) return null;
	return {
		write: (at, bytes) => uattr.write_user(attr.log_buf + BigInt(at), bytes),
		read: (at, len) => uattr.read_user(attr.log_buf + BigInt(at), len),
	};
}

/** The checks, from BTF to the last path; 0 or a negative errno. */
function full_check(env: bpf_verifier_env, attr: bpf_prog_load_attr, uattr: bpfptr_t): number {
	const vmlinux = env.kernel.bpf.bpf_get_btf_vmlinux();
	if (IS_ERR(vmlinux)) {
		verbose(env, "in-kernel BTF is malformed\n");
		return vmlinux;
	}
	if (!env.kernel.bpf.verifier_ops(env.prog.type)) {
		verbose(env, `not ported: program type ${env.prog.type}\n`);
		return -EOPNOTSUPP;
	}

	// Both architectures access unaligned memory efficiently.
	env.strict_alignment = !!(attr.prog_flags & BPF_F_STRICT_ALIGNMENT);
	if (attr.prog_flags & BPF_F_ANY_ALIGNMENT) env.strict_alignment = false;

	if (env.bpf_capable) env.test_state_freq = !!(attr.prog_flags & BPF_F_TEST_STATE_FREQ);
	env.test_reg_invariants = !!(attr.prog_flags & BPF_F_TEST_REG_INVARIANTS);

	env.explored_states = Array.from({ length: state_htab_size(env) }, () => []);

	let ret = check_btf_info_early(env, attr, uattr);
	if (ret < 0) return ret;

	ret = add_subprog_and_kfunc(env);
	if (ret < 0) return ret;

	ret = check_subprogs(env);
	if (ret < 0) return ret;

	ret = check_btf_info(env, attr, uattr);
	if (ret < 0) return ret;

	ret = resolve_pseudo_ldimm64(env);
	if (ret < 0) return ret;

	ret = check_cfg(env);
	if (ret < 0) return ret;

	ret = check_attach_btf_id(env);
	if (ret) return ret;

	ret = mark_fastcall_patterns(env);
	if (ret < 0) return ret;

	return do_check_main(env) || do_check_subprogs(env);
}

/** The rewriting of a program that was found safe, and what is still checked on the way. */
function rewrite(env: bpf_verifier_env, attr: bpf_prog_load_attr, is_priv: boolean): number {
	// may lower the stack depth, so it precedes whatever allocates slots
	let ret = remove_fastcall_spills_fills(env);
	if (ret === 0) ret = check_max_stack_depth(env);

	// from here on instructions change
	if (ret === 0) ret = optimize_bpf_loop(env);

	if (is_priv) {
		if (ret === 0) opt_hard_wire_dead_code_branches(env);
		if (ret === 0) ret = opt_remove_dead_code(env);
		if (ret === 0) ret = opt_remove_nops(env);
	} else if (ret === 0) {
		sanitize_dead_code(env);
	}

	if (ret === 0) ret = convert_ctx_accesses(env);
	if (ret === 0) ret = do_misc_fixups(env);

	// after all patching, which it has to cover
	if (ret === 0) {
		ret = opt_subreg_zext_lo32_rnd_hi32(env, attr);
		env.prog.aux.verifier_zext = bpf_jit_needs_zext(env.kernel) ? !ret : false;
	}

	if (ret === 0) ret = fixup_call_args(env);
	return ret;
}

/**
 * kernel/bpf/verifier.c: bpf_check. Verifies *prog and rewrites it for the JIT or the interpreter; 0 or
 * a negative errno. `attr` is BPF_PROG_LOAD's, `uattr` where user space keeps it (log_true_size goes
 * there when uattr_size has room for it).
 */
export function bpf_check(
	prog: Ref<bpf_prog>,
	attr: bpf_prog_load_attr,
	uattr: bpfptr_t,
	uattr_size: number,
): number {
	const kernel = prog.val.kernel;
	const start_time = kernel.ktime_get_ns();
	const env = alloc_env(kernel, prog.val, attr, uattr);

	const perfmon = bpf_token_capable(kernel, CAP_PERFMON);
	env.allow_ptr_leaks = perfmon;
	env.allow_uninit_stack = perfmon;
	env.bypass_spec_v1 = kernel.config.mitigations_off || perfmon;
	env.bypass_spec_v4 = kernel.config.mitigations_off || perfmon;
	const is_priv = bpf_token_capable(kernel, CAP_BPF);
	env.bpf_capable = is_priv;

	env.log.printk = (line) => kernel.printk(line);
	let ret = bpf_vlog_init(env.log, attr.log_level, user_log_buffer(attr, uattr), attr.log_size);
	if (ret) return ret;

	mark_verifier_state_clean(env);

	try {
		ret = full_check(env, attr, uattr);
		env.explored_states = [];
		if (ret === 0) ret = rewrite(env, attr, is_priv);
	} catch (e) {
		if (!(e instanceof HeapExhausted)) throw e;
		ret = -ENOMEM;
	}

	env.verification_time = kernel.ktime_get_ns() - start_time;
	print_verification_stats(env);
	env.prog.aux.verified_insns = env.insn_processed;

	// the first error stands, unless the log itself fails
	const log_true_size: Ref<number> = { val: 0 };
	const err = bpf_vlog_finalize(env.log, log_true_size);
	if (err) ret = err;

	if (uattr_size >= OFFSETOF_LOG_TRUE_SIZE + 4) {
		const bytes = new Uint8Array(4);
		new DataView(bytes.buffer).setUint32(0, log_true_size.val, true);
		if (!uattr.write(uattr.addr + BigInt(OFFSETOF_LOG_TRUE_SIZE), bytes)) ret = -EFAULT;
	}

	if (ret === 0) {
		env.embedding?.finish(env);
		kernel.bpf.insn_maps?.finish(env);
		const aux = env.prog.aux;
		aux.used_maps = env.used_maps.slice();
		aux.used_btfs = env.used_btfs.slice();
		if (env.used_maps.length || env.used_btfs.length) convert_pseudo_ld_imm64(env);
		adjust_btf_func(env);
	} else {
		release_maps(env);
		release_btfs(env);
	}

	// An extension had its target's attach type for the while.
	if (env.prog.type === BPF_PROG_TYPE_EXT) env.prog.expected_attach_type = 0;

	prog.val = env.prog;
	return ret;
}
