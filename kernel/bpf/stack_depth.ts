// SPDX-License-Identifier: GPL-2.0-only
/** How deep the stack of a program and of what it calls gets (kernel/bpf/verifier.c: check_max_stack_depth). */
import {
	MAX_CALL_FRAMES,
	NO_PRIV_STACK,
	PRIV_STACK_ADAPTIVE,
	PRIV_STACK_UNKNOWN,
} from "../../include/linux/bpf_verifier.ts";
import { MAX_BPF_STACK } from "../../include/linux/filter.ts";
import { E2BIG, EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
} from "../../include/uapi/linux/bpf.ts";
import { bpf_prog_check_recur } from "./base_proto.ts";
import type { bpf_insn, bpf_prog } from "./bpf_types.ts";
import { bpf_pseudo_func } from "./insn_macros.ts";
import { bpf_jit_supports_private_stack } from "./jit_caps.ts";
import { verbose } from "./log.ts";
import { bpf_pseudo_call, bpf_pseudo_kfunc_call, is_bpf_throw_kfunc } from "./predicates.ts";
import { find_subprog } from "./subprogs.ts";
import type { bpf_verifier_env } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: BPF_PRIV_STACK_MIN_SIZE: less is not worth a private stack. */
const BPF_PRIV_STACK_MIN_SIZE = 64;

/** kernel/bpf/verifier.c: bpf_enable_priv_stack */
function bpf_enable_priv_stack(prog: bpf_prog): number {
	if (!bpf_jit_supports_private_stack(prog.kernel)) return NO_PRIV_STACK;

	switch (prog.type) {
		case BPF_PROG_TYPE_KPROBE:
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_PERF_EVENT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
			return PRIV_STACK_ADAPTIVE;
		case BPF_PROG_TYPE_TRACING:
		case BPF_PROG_TYPE_LSM:
		case BPF_PROG_TYPE_STRUCT_OPS:
			if (bpf_prog_check_recur(prog)) return PRIV_STACK_ADAPTIVE;
			break;
		default:
			break;
	}
	return NO_PRIV_STACK;
}

/** kernel/bpf/verifier.c: round_up_stack_depth: 16 bytes for a JIT, 32 (and not none) for the interpreter */
function round_up_stack_depth(env: bpf_verifier_env, stack_depth: number): number {
	if (env.prog.jit_requested) return (stack_depth + 15) & ~15;
	return (Math.max(stack_depth, 1) + 31) & ~31;
}

/**
 * kernel/bpf/verifier.c: check_max_stack_depth_subprog. Walks all instructions of a subprogram and, at
 * each call, those of the callee; check_cfg() has excluded recursion.
 */
function check_max_stack_depth_subprog(
	env: bpf_verifier_env,
	idx: number,
	priv_stack_supported: boolean,
): number {
	const subprog = env.subprog_info;
	const insns = env.prog.insnsi;
	let depth = 0;
	let frame = 0;
	let tail_call_reachable = false;
	const ret_insn: number[] = [];
	const ret_prog: number[] = [];
	let i = subprog[idx]!.start;
	let entering = true;

	if (!priv_stack_supported) subprog[idx]!.priv_stack_mode = NO_PRIV_STACK;

	for (;;) {
		if (entering) {
			// A tail call keeps its callers' frames: 33 times 256 bytes make 8 KiB at worst.
			if (idx && subprog[idx]!.has_tail_call && depth >= 256) {
				verbose(
					env,
					`tail_calls are not allowed when call stack of previous frames is ${depth} bytes. Too large\n`,
				);
				return -EACCES;
			}

			const subprog_depth = round_up_stack_depth(env, subprog[idx]!.stack_depth);
			if (
				priv_stack_supported &&
				subprog[idx]!.priv_stack_mode === PRIV_STACK_UNKNOWN &&
				subprog_depth >= BPF_PRIV_STACK_MIN_SIZE
			)
				subprog[idx]!.priv_stack_mode = PRIV_STACK_ADAPTIVE;

			if (subprog[idx]!.priv_stack_mode === PRIV_STACK_ADAPTIVE) {
				if (subprog_depth > MAX_BPF_STACK) {
					verbose(env, `stack size of subprog ${idx} is ${subprog_depth}. Too large\n`);
					return -EACCES;
				}
			} else {
				depth += subprog_depth;
				if (depth > MAX_BPF_STACK) {
					verbose(env, `combined stack size of ${frame + 1} calls is ${depth}. Too large\n`);
					return -EACCES;
				}
			}
			entering = false;
		}

		const subprog_end = subprog[idx + 1]!.start;
		for (; i < subprog_end; i++) {
			const insn: bpf_insn = insns[i]!;

			if (bpf_pseudo_kfunc_call(insn) && !insn.off) {
				if (!is_bpf_throw_kfunc(env, insn)) continue;
				let err = subprog[idx]!.is_cb;
				for (let c = 0; c < frame && !err; c++) err = subprog[ret_prog[c]!]!.is_cb;
				if (!err) continue;
				verbose(env, `bpf_throw kfunc (insn ${i}) cannot be called from callback subprog ${idx}\n`);
				return -EINVAL;
			}

			if (!bpf_pseudo_call(insn) && !bpf_pseudo_func(insn)) continue;
			ret_insn[frame] = i + 1;
			ret_prog[frame] = idx;

			const next_insn = i + insn.imm + 1;
			const sidx = find_subprog(env, next_insn);
			if (sidx < 0) {
				env.kernel.printk(`verifier bug. No program starts at insn ${next_insn}`);
				return -EFAULT;
			}
			if (subprog[sidx]!.is_async_cb) {
				if (subprog[sidx]!.has_tail_call) {
					verbose(env, "verifier bug. subprog has tail_call and async cb\n");
					return -EFAULT;
				}
				// An async callback has a stack of its own, unless it is called.
				if (!bpf_pseudo_call(insn)) continue;
				if (subprog[sidx]!.is_exception_cb) {
					verbose(env, `insn ${i} cannot call exception cb directly\n`);
					return -EINVAL;
				}
			}
			i = next_insn;
			idx = sidx;
			if (!priv_stack_supported) subprog[idx]!.priv_stack_mode = NO_PRIV_STACK;
			if (subprog[idx]!.has_tail_call) tail_call_reachable = true;

			frame++;
			if (frame >= MAX_CALL_FRAMES) {
				verbose(env, `the call stack of ${frame} frames is too deep !\n`);
				return -E2BIG;
			}
			entering = true;
			break;
		}
		if (entering) continue;

		// The JIT keeps the tail call counter in all frames above a tail call.
		if (tail_call_reachable) {
			for (let j = 0; j < frame; j++) {
				if (subprog[ret_prog[j]!]!.is_exception_cb) {
					verbose(env, "cannot tail call within exception cb\n");
					return -EINVAL;
				}
				subprog[ret_prog[j]!]!.tail_call_reachable = true;
			}
		}
		if (subprog[0]!.tail_call_reachable) env.prog.aux.tail_call_reachable = true;

		if (frame === 0) return 0;
		if (subprog[idx]!.priv_stack_mode !== PRIV_STACK_ADAPTIVE)
			depth -= round_up_stack_depth(env, subprog[idx]!.stack_depth);
		frame--;
		i = ret_insn[frame]!;
		idx = ret_prog[frame]!;
	}
}

/** kernel/bpf/verifier.c: check_max_stack_depth */
export function check_max_stack_depth(env: bpf_verifier_env): number {
	let priv_stack_mode = PRIV_STACK_UNKNOWN;
	const si = env.subprog_info;

	for (let i = 0; i < env.subprog_cnt; i++) {
		if (si[i]!.has_tail_call) {
			priv_stack_mode = NO_PRIV_STACK;
			break;
		}
	}
	if (priv_stack_mode === PRIV_STACK_UNKNOWN) priv_stack_mode = bpf_enable_priv_stack(env.prog);

	// Backwards: async callbacks use the kernel's stack, and mark so what the main program shares with them.
	for (let i = env.subprog_cnt - 1; i >= 0; i--) {
		if (!i || si[i]!.is_async_cb) {
			const priv_stack_supported = !i && priv_stack_mode === PRIV_STACK_ADAPTIVE;
			const ret = check_max_stack_depth_subprog(env, i, priv_stack_supported);
			if (ret < 0) return ret;
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: get_callee_stack_depth */
export function get_callee_stack_depth(env: bpf_verifier_env, insn: bpf_insn, idx: number): number {
	const start = idx + insn.imm + 1;
	const subprog = find_subprog(env, start);
	if (subprog < 0) {
		env.kernel.printk(`verifier bug. No program starts at insn ${start}`);
		return -EFAULT;
	}
	return env.subprog_info[subprog]!.stack_depth;
}
