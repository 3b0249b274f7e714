// SPDX-License-Identifier: GPL-2.0-only
/** Liveness of registers and stack slots, and register arguments of instructions (kernel/bpf/verifier.c). */
import { CONST_PTR_TO_DYNPTR, NOT_INIT, SCALAR_VALUE } from "../../include/linux/bpf.ts";
import {
	REG_LIVE_DONE,
	REG_LIVE_READ,
	REG_LIVE_READ32,
	REG_LIVE_READ64,
	REG_LIVE_WRITTEN,
} from "../../include/linux/bpf_verifier.ts";
import { BPF_PROBE_ATOMIC, BPF_REG_FP } from "../../include/linux/filter.ts";
import { EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_CMPXCHG,
	BPF_DW,
	BPF_END,
	BPF_EXIT,
	BPF_FETCH,
	BPF_JMP32,
	BPF_MEMSX,
	BPF_PSEUDO_CALL,
	BPF_REG_0,
	BPF_REG_6,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ALU,
	BPF_IMM,
	BPF_JMP,
	BPF_LD,
	BPF_LDX,
	BPF_ST,
	BPF_STX,
} from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { mark_reg_scratched, mark_stack_slot_scratched, reg_type_str, verbose } from "./log.ts";
import {
	type bpf_reg_state,
	R_LIVE,
	R_PARENT,
	R_SUBREG_DEF,
	R_TYPE,
	REG_WORDS,
	STACK_WORDS,
} from "./reg_state.ts";
import { __mark_reg_unknown, DEF_NOT_SUBREG, MAX_BPF_REG } from "./regs.ts";
import { func } from "./stack.ts";
import { dynptr_get_spi } from "./stack_objs.ts";
import { get_loop_entry, same_callsites } from "./states.ts";
import type {
	bpf_func_state,
	bpf_verifier_env,
	bpf_verifier_state,
	bpf_verifier_state_list,
} from "./verifier_types.ts";

export { CALLER_SAVED_REGS, caller_saved, DEF_NOT_SUBREG } from "./regs.ts";

// enum reg_arg_type
/** register is used as source operand */
export const SRC_OP = 0;
/** register is used as destination operand */
export const DST_OP = 1;
/** same as above, check only, don't mark */
export const DST_OP_NO_MARK = 2;

/** mark_reg_read() by word index of the register */
function read_mark(env: bpf_verifier_env, p: number, parent: number, flag: number): number {
	const cnt = env.heap.x.mark_reg_read(p, parent, flag);
	if (cnt < 0) {
		const bug = env.heap.reg_at(env.heap.x.bug_reg())!;
		verbose(
			env,
			`verifier BUG type ${reg_type_str(env, bug.type)} var_off ${BigInt.asIntN(64, bug.var_off_value)} off ${bug.off}\n`,
		);
		return -EFAULT;
	}
	if (env.longest_mark_read_walk < cnt) env.longest_mark_read_walk = cnt;
	return 0;
}

/**
 * kernel/bpf/verifier.c: mark_reg_read; `parent` is a word index, as bpf_reg_state.parent is
 *
 * Whether a write screens the read off is decided by comparing addresses, and the parent of an explored
 * state may have been freed: once its memory serves another frame, a read can be lost. Which states that
 * hits depends on the allocator, here as in the kernel (test_cls_redirect_subprogs takes 57,581
 * instructions on the recorded x86 kernel, 57,544 on the arm64 one and here).
 */
export function mark_reg_read(
	env: bpf_verifier_env,
	state: bpf_reg_state,
	parent: number,
	flag: number,
): number {
	return read_mark(env, state.p, parent, flag);
}

/** kernel/bpf/verifier.c: mark_dynptr_read */
export function mark_dynptr_read(env: bpf_verifier_env, reg: bpf_reg_state): number {
	const state = func(env, reg);
	if (reg.type === CONST_PTR_TO_DYNPTR) return 0;
	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return spi;
	// The caller saw that the dynptr is valid: spi is its first slot, spi - 1 its second.
	const a = state.stack(spi).spilled_ptr;
	const ret = mark_reg_read(env, a, a.parent, REG_LIVE_READ64);
	if (ret) return ret;
	const b = state.stack(spi - 1).spilled_ptr;
	return mark_reg_read(env, b, b.parent, REG_LIVE_READ64);
}

/** kernel/bpf/verifier.c: mark_iter_read */
export function mark_iter_read(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	spi: number,
	nr_slots: number,
): number {
	const state = func(env, reg);
	for (let i = 0; i < nr_slots; i++) {
		const st = state.stack(spi - i).spilled_ptr;
		const err = mark_reg_read(env, st, st.parent, REG_LIVE_READ64);
		if (err) return err;
		mark_stack_slot_scratched(env, spi - i);
	}
	return 0;
}

/**
 * kernel/bpf/verifier.c: is_reg64: does the instruction use all 64 bits of the register?
 * `reg_type` is the type of the register's state (only asked for with SRC_OP).
 */
export function is_reg64(insn: bpf_insn, reg_type: number, t: number): boolean {
	const code = insn.code;
	const cls = code & 7;
	const op = code & 0xf0;
	switch (cls) {
		case BPF_JMP:
			if (op === BPF_EXIT) return true;
			if (op === BPF_CALL) {
				// A call of a subprogram clobbers registers, which are not read again as they are.
				if (insn.src_reg === BPF_PSEUDO_CALL) return false;
				return t === SRC_OP;
			}
			return true;
		case BPF_ALU64:
			return !(op === BPF_END && (insn.imm === 16 || insn.imm === 32));
		case BPF_ALU:
			return op === BPF_END && insn.imm === 64;
		case BPF_JMP32:
			return false;
		case BPF_LDX:
			if (t !== SRC_OP) return (code & 0x18) === BPF_DW || (code & 0xe0) === BPF_MEMSX;
			return true;
		case BPF_STX:
			// One of the sources is the pointer.
			if (t === SRC_OP && reg_type !== SCALAR_VALUE) return true;
			return (code & 0x18) === BPF_DW;
		case BPF_LD:
			if ((code & 0xe0) === BPF_IMM) return true;
			// LD_IND and LD_ABS return 32 bits.
			return t === SRC_OP;
		default:
			return true;
	}
}

/** kernel/bpf/verifier.c: insn_def_regno; the register that the instruction defines, or -1 */
export function insn_def_regno(insn: bpf_insn): number {
	switch (insn.code & 7) {
		case BPF_JMP:
		case BPF_JMP32:
		case BPF_ST:
			return -1;
		case BPF_STX: {
			const mode = insn.code & 0xe0;
			if ((mode === BPF_ATOMIC || mode === BPF_PROBE_ATOMIC) && insn.imm & BPF_FETCH)
				return insn.imm === BPF_CMPXCHG ? BPF_REG_0 : insn.src_reg;
			return -1;
		}
		default:
			return insn.dst_reg;
	}
}

/** kernel/bpf/verifier.c: insn_has_def32 */
export function insn_has_def32(_env: bpf_verifier_env, insn: bpf_insn): boolean {
	return insn_def_regno(insn) !== -1 && !is_reg64(insn, NOT_INIT, DST_OP);
}

function mark_zext_at(env: bpf_verifier_env, p: number): void {
	const i32 = env.heap.i32;
	const def_idx = i32[p + R_SUBREG_DEF]!;
	if (def_idx === DEF_NOT_SUBREG) return;
	env.insn_aux_data[def_idx - 1]!.zext_dst = true;
	// It will be zero-extended, so it is no sub-register any more.
	i32[p + R_SUBREG_DEF] = DEF_NOT_SUBREG;
}

/** kernel/bpf/verifier.c: mark_insn_zext */
export function mark_insn_zext(env: bpf_verifier_env, reg: bpf_reg_state): void {
	mark_zext_at(env, reg.p);
}

/** kernel/bpf/verifier.c: __check_reg_arg */
export function __check_reg_arg(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
	t: number,
): number {
	const insn = env.prog.insnsi[env.insn_idx]!;
	if (regno >= MAX_BPF_REG) {
		verbose(env, `R${regno} is invalid\n`);
		return -EINVAL;
	}
	mark_reg_scratched(env, regno);

	const reg = regs[regno]!;
	const p = reg.p;
	const i32 = env.heap.i32;
	const type = i32[p + R_TYPE]!;
	const rw64 = is_reg64(insn, type, t);
	if (t === SRC_OP) {
		if (type === NOT_INIT) {
			verbose(env, `R${regno} !read_ok\n`);
			return -EACCES;
		}
		// The frame pointer is never written.
		if (regno === BPF_REG_FP) return 0;
		if (rw64) mark_zext_at(env, p);
		return read_mark(env, p, i32[p + R_PARENT]!, rw64 ? REG_LIVE_READ64 : REG_LIVE_READ32);
	}
	if (regno === BPF_REG_FP) {
		verbose(env, "frame pointer is read only\n");
		return -EACCES;
	}
	i32[p + R_LIVE]! |= REG_LIVE_WRITTEN;
	i32[p + R_SUBREG_DEF] = rw64 ? DEF_NOT_SUBREG : env.insn_idx + 1;
	if (t === DST_OP) __mark_reg_unknown(env, reg);
	return 0;
}

/** kernel/bpf/verifier.c: check_reg_arg */
export function check_reg_arg(env: bpf_verifier_env, regno: number, t: number): number {
	const vstate = env.cur_state!;
	return __check_reg_arg(env, vstate.frame[vstate.curframe]!.regs, regno, t);
}

/** kernel/bpf/verifier.c: clean_func_state */
export function clean_func_state(env: bpf_verifier_env, st: bpf_func_state): void {
	env.heap.x.clean_func_state(st.regs_p, st.stack_p, st.allocated_stack >> 3);
}

/** kernel/bpf/verifier.c: clean_verifier_state */
export function clean_verifier_state(env: bpf_verifier_env, st: bpf_verifier_state): void {
	if (env.heap.i32[st.frame[0]!.regs_p + R_LIVE]! & REG_LIVE_DONE) return;
	for (let i = 0; i <= st.curframe; i++) clean_func_state(env, st.frame[i]!);
}

/** kernel/bpf/verifier.c: clean_live_states: what the states' finished exploration did not read is forgotten */
export function clean_live_states(
	env: bpf_verifier_env,
	list: readonly bpf_verifier_state_list[],
	insn: number,
	cur: bpf_verifier_state,
): void {
	for (const sl of list) {
		const st = sl.state;
		if (st.branches) continue;
		const loop_entry = get_loop_entry(st);
		if (loop_entry?.branches) continue;
		if (st.insn_idx !== insn || !same_callsites(st, cur)) continue;
		clean_verifier_state(env, st);
	}
}

/** kernel/bpf/verifier.c: propagate_liveness_reg; the bit propagated, 0, or a negative errno */
function propagate_liveness_reg(env: bpf_verifier_env, p: number, parent: number): number {
	const i32 = env.heap.i32;
	const parent_flag = i32[parent + R_LIVE]! & REG_LIVE_READ;
	const flag = i32[p + R_LIVE]! & REG_LIVE_READ;
	if (parent_flag === REG_LIVE_READ64 || flag === 0 || parent_flag === flag) return 0;
	return read_mark(env, p, parent, flag) || flag;
}

/** kernel/bpf/verifier.c: propagate_liveness: what the equivalent state read, this path reads too */
export function propagate_liveness(
	env: bpf_verifier_env,
	vstate: bpf_verifier_state,
	vparent: bpf_verifier_state,
): number {
	if (vparent.curframe !== vstate.curframe) {
		env.kernel.printk(`propagate_live: parent frame ${vparent.curframe} current frame ${vstate.curframe}`);
		return -EFAULT;
	}
	for (let frame = 0; frame <= vstate.curframe; frame++) {
		const parent = vparent.frame[frame]!;
		const state = vstate.frame[frame]!;
		for (let i = frame < vstate.curframe ? BPF_REG_6 : 0; i < BPF_REG_FP; i++) {
			const par = parent.regs_p + i * REG_WORDS;
			const err = propagate_liveness_reg(env, state.regs_p + i * REG_WORDS, par);
			if (err < 0) return err;
			if (err === REG_LIVE_READ64) mark_zext_at(env, par);
		}
		const slots = Math.min(state.allocated_stack, parent.allocated_stack) >> 3;
		for (let i = 0; i < slots; i++) {
			const err = propagate_liveness_reg(
				env,
				state.stack_p + i * STACK_WORDS,
				parent.stack_p + i * STACK_WORDS,
			);
			if (err < 0) return err;
		}
	}
	return 0;
}
