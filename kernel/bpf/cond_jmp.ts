// SPDX-License-Identifier: GPL-2.0-only
/**
 * Conditional jumps: which way they go, and what each way teaches about the registers compared
 * (kernel/bpf/verifier.c: find_good_pkt_pointers, is_branch_taken … check_cond_jmp_op).
 */
import {
	PTR_TO_BTF_ID,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_STACK,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_ADD_CONST,
	BPF_LOG_LEVEL,
	INSN_F_DST_REG_STACK,
	INSN_F_SRC_REG_STACK,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { BPF_REG_FP } from "../../include/linux/filter.ts";
import { EACCES, EFAULT, EINVAL, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_JCOND,
	BPF_JLE,
	BPF_JLT,
	BPF_JMP32,
	BPF_JNE,
	BPF_MAY_GOTO,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_CLASS,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_JGT,
	BPF_JMP,
	BPF_K,
	BPF_OP,
	BPF_SRC,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import { sanitize_speculative_path } from "./alu.ts";
import {
	type linked_regs,
	linked_regs_pack,
	linked_regs_push,
	mark_chain_precision,
	push_insn_history,
} from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { is_pointer_value, is_rcu_reg, MAX_PACKET_OFF } from "./check_mem.ts";
import { AT_PKT_END, BEYOND_PKT_END, mark_pkt_end } from "./func_call.ts";
import { find_prev_entry, widen_imprecise_scalars } from "./iterators.ts";
import { check_reg_arg, SRC_OP } from "./liveness.ts";
import { print_insn_state, verbose } from "./log.ts";
import {
	base_type,
	cur_regs,
	reg_may_point_to_spin_lock,
	reg_not_null,
	type_is_non_owning_ref,
	type_is_ptr_alloc_obj,
	type_may_be_null,
} from "./predicates.ts";
import {
	type bpf_reg_state,
	R_ID,
	R_RAW1,
	R_SMAX,
	R_SMIN,
	R_TYPE,
	R_VAR_VALUE,
	REG_WORDS,
	SLOT_TYPE,
	STACK_WORDS,
} from "./reg_state.ts";
import { umax_num, var_off_is_zero, zero_reg } from "./reg_words.ts";
import {
	__is_pointer_value,
	__mark_reg_known_s32,
	copy_register_state,
	flip_opcode,
	is_reg_const,
	is_scalar_branch_taken,
	mark_ptr_not_null_reg,
	reg_is_init_pkt_pointer,
	reg_is_pkt_pointer_any,
	reg_set_min_max,
	S32_MAX,
	S32_MIN,
	U32_MAX,
} from "./regs.ts";
import { push_stack, release_reference_state } from "./states.ts";
import type { bpf_func_state, bpf_verifier_env, bpf_verifier_state } from "./verifier_types.ts";

const ID_MASK = ~BPF_ADD_CONST;

/**
 * kernel/bpf/verifier.c: find_good_pkt_pointers. After `dst_reg <= pkt_end` (or `<`: range_right_open)
 * all pointers to the same packet base may reach as far as dst_reg's fixed offset.
 */
function find_good_pkt_pointers(
	vstate: bpf_verifier_state,
	dst_reg: bpf_reg_state,
	type: number,
	range_right_open: boolean,
): void {
	const off = dst_reg.off;
	if (off < 0 || (off === 0 && range_right_open)) return;

	// An overflowing pointer may be below pkt_end without being in the packet.
	const umax = umax_num(dst_reg);
	if (umax > MAX_PACKET_OFF || umax + off > MAX_PACKET_OFF) return;

	const new_range = range_right_open ? off + 1 : off;
	const h = dst_reg.h;
	const id = h.i32[dst_reg.p + R_ID]!;
	const widen = (p: number) => {
		if (h.i32[p + R_TYPE] === type && h.i32[p + R_ID] === id && h.i32[p + R_RAW1]! < new_range)
			h.i32[p + R_RAW1] = new_range;
	};
	each_reg(vstate, widen);
}

/** include/linux/bpf_verifier.h: bpf_for_each_reg_in_vstate, by word index */
function each_reg(vstate: bpf_verifier_state, fn: (p: number) => void): void {
	for (let i = 0; i <= vstate.curframe; i++) {
		const state = vstate.frame[i]!;
		for (let j = 0, p = state.regs_p; j <= BPF_REG_FP; j++, p += REG_WORDS) fn(p);
		const u8 = state.regs[0]!.h.u8;
		const slots = state.allocated_stack >> 3;
		for (let j = 0, p = state.stack_p; j < slots; j++, p += STACK_WORDS)
			if (u8[((p + SLOT_TYPE) << 2) + 7] === STACK_SPILL) fn(p);
	}
}

/** kernel/bpf/verifier.c: is_pkt_ptr_branch_taken */
function is_pkt_ptr_branch_taken(dst_reg: bpf_reg_state, src_reg: bpf_reg_state, opcode: number): number {
	let pkt: bpf_reg_state;
	if (src_reg.type === PTR_TO_PACKET_END) {
		pkt = dst_reg;
	} else if (dst_reg.type === PTR_TO_PACKET_END) {
		pkt = src_reg;
		opcode = flip_opcode(opcode);
	} else {
		return -1;
	}

	const range = pkt.range;
	if (range >= 0) return -1;

	switch (opcode) {
		case BPF_JLE:
		case BPF_JGT:
			// at least one byte beyond the end
			if (range === BEYOND_PKT_END) return opcode === BPF_JGT ? 1 : 0;
			break;
		case BPF_JLT:
		case BPF_JGE:
			if (range === BEYOND_PKT_END || range === AT_PKT_END) return opcode === BPF_JGE ? 1 : 0;
			break;
	}
	return -1;
}

/** kernel/bpf/verifier.c: is_branch_taken: 1 (taken), 0 (not taken) or -1 (may go either way) */
export function is_branch_taken(
	reg1: bpf_reg_state,
	reg2: bpf_reg_state,
	opcode: number,
	is_jmp32: boolean,
): number {
	if (reg1.type === SCALAR_VALUE && reg2.type === SCALAR_VALUE)
		return is_scalar_branch_taken(reg1, reg2, opcode, is_jmp32);

	if (reg_is_pkt_pointer_any(reg1) && reg_is_pkt_pointer_any(reg2) && !is_jmp32)
		return is_pkt_ptr_branch_taken(reg1, reg2, opcode);

	// one of them is a pointer: let it be reg1, and reg2 a constant
	if (!is_reg_const(reg2, is_jmp32)) {
		opcode = flip_opcode(opcode);
		const t = reg1;
		reg1 = reg2;
		reg2 = t;
	}
	if (!is_reg_const(reg2, is_jmp32)) return -1;
	if (!reg_not_null(reg1)) return -1;

	// A pointer that is surely not NULL decides comparisons with zero.
	const i32 = reg2.h.i32;
	const v = reg2.p + R_VAR_VALUE;
	if (i32[v] !== 0 || (!is_jmp32 && i32[v + 1] !== 0)) return -1;
	switch (opcode) {
		case BPF_JEQ:
			return 0;
		case BPF_JNE:
			return 1;
		default:
			return -1;
	}
}

/** kernel/bpf/verifier.c: mark_ptr_or_null_reg */
function mark_ptr_or_null_reg(env: bpf_verifier_env, reg: bpf_reg_state, id: number, is_null: boolean): void {
	if (!type_may_be_null(reg.type) || reg.id !== id) return;
	if (!is_rcu_reg(reg) && !reg.id) {
		env.kernel.printk("WARNING: mark_ptr_or_null_reg: !reg->id");
		return;
	}
	// A pointer that may be NULL has no offsets, but for those that helpers return within an object.
	const i32 = reg.h.i32;
	const p = reg.p;
	if (
		i32[p + R_SMIN]! | i32[p + R_SMIN + 1]! | i32[p + R_SMAX]! | i32[p + R_SMAX + 1]! ||
		!var_off_is_zero(reg)
	) {
		env.kernel.printk("WARNING: mark_ptr_or_null_reg: variable offset");
		return;
	}
	if (!(type_is_ptr_alloc_obj(reg.type) || type_is_non_owning_ref(reg.type)) && reg.off) {
		env.kernel.printk("WARNING: mark_ptr_or_null_reg: reg->off");
		return;
	}

	if (is_null) {
		reg.type = SCALAR_VALUE;
		// The ids have done their work; without them more states are equal.
		reg.id = 0;
		reg.ref_obj_id = 0;
		return;
	}

	mark_ptr_not_null_reg(reg);

	// A reference keeps ref_obj_id till its release; id is for locks from here on.
	if (!reg_may_point_to_spin_lock(reg)) reg.id = 0;
}

/** kernel/bpf/verifier.c: mark_ptr_or_null_regs: all registers that came of the same value, at once */
function mark_ptr_or_null_regs(
	env: bpf_verifier_env,
	vstate: bpf_verifier_state,
	regno: number,
	is_null: boolean,
): void {
	const state = vstate.frame[vstate.curframe]!;
	const { ref_obj_id, id } = state.regs[regno]!;

	// NULL was never a reference.
	if (ref_obj_id && ref_obj_id === id && is_null && release_reference_state(state, id))
		env.kernel.printk("WARNING: mark_ptr_or_null_regs: no such reference");

	const h = env.heap;
	const uid = id | 0;
	each_reg(vstate, (p) => {
		if (h.i32[p + R_ID] === uid && h.i32[p + R_TYPE]! > 255)
			mark_ptr_or_null_reg(env, h.reg_at(p)!, id, is_null);
	});
}

/** kernel/bpf/verifier.c: try_match_pkt_pointers */
function try_match_pkt_pointers(
	insn: bpf_insn,
	dst_reg: bpf_reg_state,
	src_reg: bpf_reg_state,
	this_branch: bpf_verifier_state,
	other_branch: bpf_verifier_state,
): boolean {
	if (BPF_SRC(insn.code) !== BPF_X) return false;
	// pointers are 64 bits wide
	if (BPF_CLASS(insn.code) === BPF_JMP32) return false;

	const op = BPF_OP(insn.code);
	if (op !== BPF_JGT && op !== BPF_JLT && op !== BPF_JGE && op !== BPF_JLE) return false;

	// pkt <op> pkt_end or pkt_meta <op> pkt_data; or the other way round
	const dst_first =
		(dst_reg.type === PTR_TO_PACKET && src_reg.type === PTR_TO_PACKET_END) ||
		(dst_reg.type === PTR_TO_PACKET_META && reg_is_init_pkt_pointer(src_reg, PTR_TO_PACKET));
	const src_first =
		!dst_first &&
		((dst_reg.type === PTR_TO_PACKET_END && src_reg.type === PTR_TO_PACKET) ||
			(reg_is_init_pkt_pointer(dst_reg, PTR_TO_PACKET) && src_reg.type === PTR_TO_PACKET_META));
	if (!dst_first && !src_first) return false;

	const reg = dst_first ? dst_reg : src_reg;
	const regno = dst_first ? insn.dst_reg : insn.src_reg;
	switch (op) {
		case BPF_JGT:
			if (dst_first) {
				find_good_pkt_pointers(this_branch, reg, reg.type, false);
				mark_pkt_end(other_branch, regno, true);
			} else {
				find_good_pkt_pointers(other_branch, reg, reg.type, true);
				mark_pkt_end(this_branch, regno, false);
			}
			break;
		case BPF_JLT:
			if (dst_first) {
				find_good_pkt_pointers(other_branch, reg, reg.type, true);
				mark_pkt_end(this_branch, regno, false);
			} else {
				find_good_pkt_pointers(this_branch, reg, reg.type, false);
				mark_pkt_end(other_branch, regno, true);
			}
			break;
		case BPF_JGE:
			if (dst_first) {
				find_good_pkt_pointers(this_branch, reg, reg.type, true);
				mark_pkt_end(other_branch, regno, false);
			} else {
				find_good_pkt_pointers(other_branch, reg, reg.type, false);
				mark_pkt_end(this_branch, regno, true);
			}
			break;
		default:
			if (dst_first) {
				find_good_pkt_pointers(other_branch, reg, reg.type, false);
				mark_pkt_end(this_branch, regno, true);
			} else {
				find_good_pkt_pointers(this_branch, reg, reg.type, true);
				mark_pkt_end(other_branch, regno, false);
			}
			break;
	}
	return true;
}

/** kernel/bpf/verifier.c: __collect_linked_regs, by word index */
function __collect_linked_regs(
	env: bpf_verifier_env,
	reg_set: linked_regs,
	p: number,
	id: number,
	frameno: number,
	spi_or_reg: number,
	is_reg: boolean,
): void {
	const i32 = env.heap.i32;
	if (i32[p + R_TYPE] !== SCALAR_VALUE || (i32[p + R_ID]! & ID_MASK) !== id) return;
	const e = linked_regs_push(reg_set);
	if (e) {
		e.frameno = frameno;
		e.is_reg = is_reg;
		e.spi = spi_or_reg;
	} else {
		i32[p + R_ID] = 0;
	}
}

/**
 * kernel/bpf/verifier.c: collect_linked_regs: the scalars, in registers and spilled, that share an id;
 * those for whom there is no room lose it.
 */
function collect_linked_regs(
	env: bpf_verifier_env,
	vstate: bpf_verifier_state,
	id: number,
	linked_regs: linked_regs,
): void {
	const { u8 } = env.heap;
	id = id & ID_MASK;
	for (let i = vstate.curframe; i >= 0; i--) {
		const func = vstate.frame[i]!;
		for (let j = 0, p = func.regs_p; j < BPF_REG_FP; j++, p += REG_WORDS)
			__collect_linked_regs(env, linked_regs, p, id, i, j, true);
		const slots = func.allocated_stack >> 3;
		for (let j = 0, p = func.stack_p; j < slots; j++, p += STACK_WORDS)
			if (u8[((p + SLOT_TYPE) << 2) + 7] === STACK_SPILL)
				__collect_linked_regs(env, linked_regs, p, id, i, j, false);
	}
}

/** kernel/bpf/verifier.c: scalar32_min_max_add */
function scalar32_min_max_add(dst: bpf_reg_state, src: bpf_reg_state): void {
	const smin = dst.s32_min_value + src.s32_min_value;
	const smax = dst.s32_max_value + src.s32_max_value;
	const s_ok = smin === (smin | 0) && smax === (smax | 0);
	dst.s32_min_value = s_ok ? smin : S32_MIN;
	dst.s32_max_value = s_ok ? smax : S32_MAX;
	const umin = dst.u32_min_value + src.u32_min_value;
	const umax = dst.u32_max_value + src.u32_max_value;
	const u_ok = umin <= U32_MAX && umax <= U32_MAX;
	dst.u32_min_value = u_ok ? umin : 0;
	dst.u32_max_value = u_ok ? umax : U32_MAX;
}

/** kernel/bpf/verifier.c: sync_linked_regs: what is known of known_reg holds for the others too */
function sync_linked_regs(
	env: bpf_verifier_env,
	vstate: bpf_verifier_state,
	known_reg: bpf_reg_state,
	linked_regs: linked_regs,
): void {
	const fake_reg = env.tmp_reg[0];
	for (let i = 0; i < linked_regs.cnt; i++) {
		const e = linked_regs.entries[i]!;
		const frame: bpf_func_state = vstate.frame[e.frameno]!;
		const reg = e.is_reg ? frame.regs[e.spi]! : frame.stack(e.spi).spilled_ptr;
		if (reg.type !== SCALAR_VALUE || reg.p === known_reg.p) continue;
		const id = reg.id;
		const known_id = known_reg.id;
		if ((id & ID_MASK) !== (known_id & ID_MASK)) continue;

		const saved_subreg_def = reg.subreg_def;
		const saved_off = reg.off;
		if (((id | known_id) & BPF_ADD_CONST) === 0 || saved_off === known_reg.off) {
			copy_register_state(reg, known_reg);
			reg.subreg_def = saved_subreg_def;
		} else {
			fake_reg.type = SCALAR_VALUE;
			__mark_reg_known_s32(fake_reg, (saved_off - known_reg.off) | 0);

			// reg = known_reg; reg += delta, the distance itself kept for the next time
			copy_register_state(reg, known_reg);
			reg.off = saved_off;
			reg.id = id;
			reg.subreg_def = saved_subreg_def;
			scalar32_min_max_add(reg, fake_reg);
			// scalar_min_max_add() and tnum_add()
			env.heap.x.ptr_alu(BPF_ADD, reg.p, reg.p, fake_reg.p);
		}
	}
}

/** kernel/bpf/verifier.c: check_cond_jmp_op */
export function check_cond_jmp_op(env: bpf_verifier_env, insn: bpf_insn, insn_idx: Ref<number>): number {
	const this_branch = env.cur_state!;
	const regs = cur_regs(env);
	const code = insn.code;
	const opcode = BPF_OP(code);
	const is_x = BPF_SRC(code) === BPF_X;
	let insn_flags = 0;
	let err = 0;

	if (opcode === BPF_JA || opcode > BPF_JCOND) {
		verbose(env, `invalid BPF_JMP/JMP32 opcode ${opcode.toString(16)}\n`);
		return -EINVAL;
	}

	if (opcode === BPF_JCOND) {
		const idx = insn_idx.val;
		if (
			code !== (BPF_JMP | BPF_JCOND) ||
			insn.src_reg !== BPF_MAY_GOTO ||
			insn.dst_reg ||
			insn.imm ||
			insn.off === 0
		) {
			verbose(env, `invalid may_goto off ${insn.off} imm ${insn.imm}\n`);
			return -EINVAL;
		}
		const prev_st = find_prev_entry(env, this_branch.parent!, idx);

		// the fall-through is the state to explore later
		const queued_st = push_stack(env, idx + 1, idx, false);
		if (!queued_st) return -ENOMEM;
		queued_st.may_goto_depth++;
		if (prev_st) widen_imprecise_scalars(env, prev_st, queued_st);
		insn_idx.val += insn.off;
		return 0;
	}

	err = check_reg_arg(env, insn.dst_reg, SRC_OP);
	if (err) return err;

	const dst_reg = regs[insn.dst_reg]!;
	let src_reg: bpf_reg_state;
	if (is_x) {
		if (insn.imm !== 0) {
			verbose(env, "BPF_JMP/JMP32 uses reserved fields\n");
			return -EINVAL;
		}
		err = check_reg_arg(env, insn.src_reg, SRC_OP);
		if (err) return err;

		src_reg = regs[insn.src_reg]!;
		if (
			!(reg_is_pkt_pointer_any(dst_reg) && reg_is_pkt_pointer_any(src_reg)) &&
			is_pointer_value(env, insn.src_reg)
		) {
			verbose(env, `R${insn.src_reg} pointer comparison prohibited\n`);
			return -EACCES;
		}
		if (src_reg.type === PTR_TO_STACK) insn_flags |= INSN_F_SRC_REG_STACK;
		if (dst_reg.type === PTR_TO_STACK) insn_flags |= INSN_F_DST_REG_STACK;
	} else {
		if (insn.src_reg !== 0) {
			verbose(env, "BPF_JMP/JMP32 uses reserved fields\n");
			return -EINVAL;
		}
		src_reg = env.fake_reg[0];
		zero_reg(src_reg);
		src_reg.type = SCALAR_VALUE;
		__mark_reg_known_s32(src_reg, insn.imm);
		if (dst_reg.type === PTR_TO_STACK) insn_flags |= INSN_F_DST_REG_STACK;
	}

	if (insn_flags) {
		err = push_insn_history(env, this_branch, insn_flags, 0n);
		if (err) return err;
	}

	const is_jmp32 = BPF_CLASS(code) === BPF_JMP32;
	const pred = is_branch_taken(dst_reg, src_reg, opcode, is_jmp32);
	if (pred >= 0) {
		// A pointer here was compared with zero: its precision is no question.
		if (!__is_pointer_value(false, dst_reg)) err = mark_chain_precision(env, insn.dst_reg);
		if (is_x && !err && !__is_pointer_value(false, src_reg)) err = mark_chain_precision(env, insn.src_reg);
		if (err) return err;
	}

	if (pred === 1) {
		// The way not taken matters under speculation only.
		if (!env.bypass_spec_v1 && !sanitize_speculative_path(env, insn, insn_idx.val + 1, insn_idx.val))
			return -EFAULT;
		if (env.log.level & BPF_LOG_LEVEL) print_insn_state(env, this_branch.frame[this_branch.curframe]!);
		insn_idx.val += insn.off;
		return 0;
	}
	if (pred === 0) {
		if (
			!env.bypass_spec_v1 &&
			!sanitize_speculative_path(env, insn, insn_idx.val + insn.off + 1, insn_idx.val)
		)
			return -EFAULT;
		if (env.log.level & BPF_LOG_LEVEL) print_insn_state(env, this_branch.frame[this_branch.curframe]!);
		return 0;
	}

	// Before the states part, so that both have this in their history.
	let linked: linked_regs | null = null;
	if (is_x && src_reg.type === SCALAR_VALUE && src_reg.id) {
		linked = linked ?? { cnt: 0, entries: [] };
		collect_linked_regs(env, this_branch, src_reg.id, linked);
	}
	if (dst_reg.type === SCALAR_VALUE && dst_reg.id) {
		linked = linked ?? { cnt: 0, entries: [] };
		collect_linked_regs(env, this_branch, dst_reg.id, linked);
	}
	if (linked && linked.cnt > 1) {
		err = push_insn_history(env, this_branch, 0, linked_regs_pack(linked));
		if (err) return err;
	}

	const other_branch = push_stack(env, insn_idx.val + insn.off + 1, insn_idx.val, false);
	if (!other_branch) return -EFAULT;
	const other_branch_regs = other_branch.frame[other_branch.curframe]!.regs;
	const other_dst = other_branch_regs[insn.dst_reg]!;

	if (is_x) {
		err = reg_set_min_max(
			env,
			other_dst,
			other_branch_regs[insn.src_reg]!,
			dst_reg,
			src_reg,
			opcode,
			is_jmp32,
		);
	} else {
		// The immediate gets refined too, differently on each side.
		env.fake_reg[1].assign(env.fake_reg[0]);
		err = reg_set_min_max(env, other_dst, env.fake_reg[0], dst_reg, env.fake_reg[1], opcode, is_jmp32);
	}
	if (err) return err;

	if (linked) {
		if (is_x && src_reg.type === SCALAR_VALUE && src_reg.id) {
			const other_src = other_branch_regs[insn.src_reg]!;
			if (src_reg.id === other_src.id) {
				sync_linked_regs(env, this_branch, src_reg, linked);
				sync_linked_regs(env, other_branch, other_src, linked);
			}
		}
		if (dst_reg.type === SCALAR_VALUE && dst_reg.id && dst_reg.id === other_dst.id) {
			sync_linked_regs(env, this_branch, dst_reg, linked);
			sync_linked_regs(env, other_branch, other_dst, linked);
		}
	}

	// Equal to a pointer that is not NULL is not NULL; a PTR_TO_BTF_ID may be NULL without saying so.
	if (
		!is_jmp32 &&
		is_x &&
		__is_pointer_value(false, src_reg) &&
		__is_pointer_value(false, dst_reg) &&
		type_may_be_null(src_reg.type) !== type_may_be_null(dst_reg.type) &&
		base_type(src_reg.type) !== PTR_TO_BTF_ID &&
		base_type(dst_reg.type) !== PTR_TO_BTF_ID
	) {
		const eq_branch_regs = opcode === BPF_JEQ ? other_branch_regs : opcode === BPF_JNE ? regs : null;
		if (eq_branch_regs) {
			if (type_may_be_null(src_reg.type)) mark_ptr_not_null_reg(eq_branch_regs[insn.src_reg]!);
			else mark_ptr_not_null_reg(eq_branch_regs[insn.dst_reg]!);
		}
	}

	// `R == 0` of what bpf_map_lookup_elem() and the like returned.
	if (
		!is_jmp32 &&
		BPF_SRC(code) === BPF_K &&
		insn.imm === 0 &&
		(opcode === BPF_JEQ || opcode === BPF_JNE) &&
		type_may_be_null(dst_reg.type)
	) {
		mark_ptr_or_null_regs(env, this_branch, insn.dst_reg, opcode === BPF_JNE);
		mark_ptr_or_null_regs(env, other_branch, insn.dst_reg, opcode === BPF_JEQ);
	} else if (
		!try_match_pkt_pointers(insn, dst_reg, regs[insn.src_reg]!, this_branch, other_branch) &&
		is_pointer_value(env, insn.dst_reg)
	) {
		verbose(env, `R${insn.dst_reg} pointer comparison prohibited\n`);
		return -EACCES;
	}
	if (env.log.level & BPF_LOG_LEVEL) print_insn_state(env, this_branch.frame[this_branch.curframe]!);
	return 0;
}
