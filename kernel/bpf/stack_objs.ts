// SPDX-License-Identifier: GPL-2.0-only
/**
 * Dynptrs and iterators in stack slots (kernel/bpf/verifier.c: stack_slot_obj_get_spi to
 * is_iter_reg_valid_init, iter_ref_obj_id, dynptr_id to dynptr_get_type).
 *
 * A dynptr takes two slots, the first at the higher spi; an iterator as many as its struct is long.
 */
import {
	ARG_PTR_TO_DYNPTR,
	BPF_DYNPTR_TYPE_INVALID,
	BPF_DYNPTR_TYPE_LOCAL,
	BPF_DYNPTR_TYPE_RINGBUF,
	BPF_DYNPTR_TYPE_SKB,
	BPF_DYNPTR_TYPE_XDP,
	CONST_PTR_TO_DYNPTR,
	DYNPTR_TYPE_FLAG_MASK,
	DYNPTR_TYPE_LOCAL,
	DYNPTR_TYPE_RINGBUF,
	DYNPTR_TYPE_SKB,
	DYNPTR_TYPE_XDP,
	MAX_BPF_FUNC_REG_ARGS,
	MEM_RCU,
	PTR_MAYBE_NULL,
	PTR_TO_MEM,
	PTR_TO_STACK,
	PTR_UNTRUSTED,
} from "../../include/linux/bpf.ts";
import {
	BPF_DYNPTR_NR_SLOTS,
	BPF_ITER_STATE_ACTIVE,
	BPF_REG_SIZE,
	REG_LIVE_WRITTEN,
	STACK_DYNPTR,
	STACK_INVALID,
	STACK_ITER,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { KF_RCU_PROTECTED } from "../../include/linux/btf.ts";
import { EFAULT, EINVAL, EPROTO, ERANGE } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_REG_1, MAX_BPF_REG } from "../../include/uapi/linux/bpf.ts";
import type { bpf_func_proto } from "./bpf_types.ts";
import type { btf } from "./btf_types.ts";
import { release_reference } from "./func_call.ts";
import { mark_stack_slot_scratched, verbose } from "./log.ts";
import { base_type, in_rcu_cs } from "./predicates.ts";
import { type bpf_reg_state, R_VAR_VALUE } from "./reg_state.ts";
import { __mark_dynptr_reg, __mark_reg_known_zero, __mark_reg_not_init, __mark_reg_unknown } from "./regs.ts";
import { __get_spi, func, is_spi_bounds_valid } from "./stack.ts";
import { acquire_reference_state } from "./states.ts";
import type {
	bpf_func_state,
	bpf_kfunc_call_arg_meta,
	bpf_verifier_env,
	bpf_verifier_state,
} from "./verifier_types.ts";

/**
 * include/linux/bpf_verifier.h: bpf_for_each_reg_in_vstate_mask: every register of every frame and
 * every stack slot whose last byte's type is in `mask`.
 */
export function bpf_for_each_reg_in_vstate_mask(
	vst: bpf_verifier_state,
	mask: number,
	expr: (reg: bpf_reg_state, state: bpf_func_state) => void,
): void {
	for (let i = 0; i <= vst.curframe; i++) {
		const state = vst.frame[i]!;
		for (let j = 0; j < MAX_BPF_REG; j++) expr(state.regs[j]!, state);
		for (let j = 0; j < state.allocated_stack / BPF_REG_SIZE; j++) {
			const slot = state.stack(j);
			if ((1 << slot.slot_type(BPF_REG_SIZE - 1)) & mask) expr(slot.spilled_ptr, state);
		}
	}
}

/** include/linux/bpf_verifier.h: bpf_for_each_reg_in_vstate */
export function bpf_for_each_reg_in_vstate(
	vst: bpf_verifier_state,
	expr: (reg: bpf_reg_state, state: bpf_func_state) => void,
): void {
	bpf_for_each_reg_in_vstate_mask(vst, 1 << STACK_SPILL, expr);
}

/** `reg->off + reg->var_off.value` as the kernel's int. */
export function reg_const_off(reg: bpf_reg_state): number {
	return (reg.off + reg.h.i32[reg.p + R_VAR_VALUE]!) | 0;
}

function stack_slot_obj_get_spi(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	obj_kind: string,
	nr_slots: number,
): number {
	if (!reg.var_off_is_const) {
		verbose(env, `${obj_kind} has to be at a constant offset\n`);
		return -EINVAL;
	}

	const off = reg_const_off(reg);
	if (off % BPF_REG_SIZE) {
		verbose(env, `cannot pass in ${obj_kind} at an offset=${off}\n`);
		return -EINVAL;
	}

	const spi = __get_spi(off);
	if (spi + 1 < nr_slots) {
		verbose(env, `cannot pass in ${obj_kind} at an offset=${off}\n`);
		return -EINVAL;
	}

	if (!is_spi_bounds_valid(func(env, reg), spi, nr_slots)) return -ERANGE;
	return spi;
}

/** kernel/bpf/verifier.c: dynptr_get_spi */
export function dynptr_get_spi(env: bpf_verifier_env, reg: bpf_reg_state): number {
	return stack_slot_obj_get_spi(env, reg, "dynptr", BPF_DYNPTR_NR_SLOTS);
}

/** kernel/bpf/verifier.c: iter_get_spi */
export function iter_get_spi(env: bpf_verifier_env, reg: bpf_reg_state, nr_slots: number): number {
	return stack_slot_obj_get_spi(env, reg, "iter", nr_slots);
}

/** kernel/bpf/verifier.c: arg_to_dynptr_type */
export function arg_to_dynptr_type(arg_type: number): number {
	switch (arg_type & DYNPTR_TYPE_FLAG_MASK) {
		case DYNPTR_TYPE_LOCAL:
			return BPF_DYNPTR_TYPE_LOCAL;
		case DYNPTR_TYPE_RINGBUF:
			return BPF_DYNPTR_TYPE_RINGBUF;
		case DYNPTR_TYPE_SKB:
			return BPF_DYNPTR_TYPE_SKB;
		case DYNPTR_TYPE_XDP:
			return BPF_DYNPTR_TYPE_XDP;
		default:
			return BPF_DYNPTR_TYPE_INVALID;
	}
}

/** kernel/bpf/verifier.c: get_dynptr_type_flag */
export function get_dynptr_type_flag(type: number): number {
	switch (type) {
		case BPF_DYNPTR_TYPE_LOCAL:
			return DYNPTR_TYPE_LOCAL;
		case BPF_DYNPTR_TYPE_RINGBUF:
			return DYNPTR_TYPE_RINGBUF;
		case BPF_DYNPTR_TYPE_SKB:
			return DYNPTR_TYPE_SKB;
		case BPF_DYNPTR_TYPE_XDP:
			return DYNPTR_TYPE_XDP;
		default:
			return 0;
	}
}

/** kernel/bpf/verifier.c: dynptr_type_refcounted */
export function dynptr_type_refcounted(type: number): boolean {
	return type === BPF_DYNPTR_TYPE_RINGBUF;
}

function mark_dynptr_stack_regs(
	env: bpf_verifier_env,
	sreg1: bpf_reg_state,
	sreg2: bpf_reg_state,
	type: number,
): void {
	const id = ++env.id_gen;

	__mark_dynptr_reg(sreg1, type, true, id);
	__mark_dynptr_reg(sreg2, type, false, id);
}

/** kernel/bpf/verifier.c: mark_dynptr_cb_reg */
export function mark_dynptr_cb_reg(env: bpf_verifier_env, reg: bpf_reg_state, type: number): void {
	__mark_dynptr_reg(reg, type, true, ++env.id_gen);
}

function set_slot_types(state: bpf_func_state, spi: number, type: number): void {
	const slot = state.stack(spi);
	for (let i = 0; i < BPF_REG_SIZE; i++) slot.set_slot_type(i, type);
}

/** kernel/bpf/verifier.c: mark_stack_slots_dynptr */
export function mark_stack_slots_dynptr(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	arg_type: number,
	insn_idx: number,
	clone_ref_obj_id: number,
): number {
	const state = func(env, reg);

	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return spi;

	/* The two slots may belong to two other dynptrs: both must go. */
	let err = destroy_if_dynptr_stack_slot(env, state, spi);
	if (err) return err;
	err = destroy_if_dynptr_stack_slot(env, state, spi - 1);
	if (err) return err;

	set_slot_types(state, spi, STACK_DYNPTR);
	set_slot_types(state, spi - 1, STACK_DYNPTR);

	const type = arg_to_dynptr_type(arg_type);
	if (type === BPF_DYNPTR_TYPE_INVALID) return -EINVAL;

	const sreg1 = state.stack(spi).spilled_ptr;
	const sreg2 = state.stack(spi - 1).spilled_ptr;
	mark_dynptr_stack_regs(env, sreg1, sreg2, type);

	if (dynptr_type_refcounted(type)) {
		const id = clone_ref_obj_id ? clone_ref_obj_id : acquire_reference_state(env, insn_idx);

		if (id < 0) return id;

		sreg1.ref_obj_id = id;
		sreg2.ref_obj_id = id;
	}

	sreg1.live |= REG_LIVE_WRITTEN;
	sreg2.live |= REG_LIVE_WRITTEN;

	return 0;
}

function invalidate_dynptr(env: bpf_verifier_env, state: bpf_func_state, spi: number): void {
	set_slot_types(state, spi, STACK_INVALID);
	set_slot_types(state, spi - 1, STACK_INVALID);

	const sreg1 = state.stack(spi).spilled_ptr;
	const sreg2 = state.stack(spi - 1).spilled_ptr;
	__mark_reg_not_init(env, sreg1);
	__mark_reg_not_init(env, sreg2);

	/* Later partial reads of the slot must not propagate read marks past this point. */
	sreg1.live |= REG_LIVE_WRITTEN;
	sreg2.live |= REG_LIVE_WRITTEN;
}

/** kernel/bpf/verifier.c: unmark_stack_slots_dynptr */
export function unmark_stack_slots_dynptr(env: bpf_verifier_env, reg: bpf_reg_state): number {
	const state = func(env, reg);

	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return spi;

	const first = state.stack(spi).spilled_ptr;
	if (!dynptr_type_refcounted(first.dynptr_type)) {
		invalidate_dynptr(env, state, spi);
		return 0;
	}

	const ref_obj_id = first.ref_obj_id;

	/* Slices of this dynptr go with the reference, then its clones. */
	if (release_reference(env, ref_obj_id)) env.kernel.printk("WARNING: release_reference of a dynptr failed");

	for (let i = 1; i < state.allocated_stack / BPF_REG_SIZE; i++) {
		const slot = state.stack(i);
		if (slot.spilled_ptr.ref_obj_id !== ref_obj_id) continue;

		if (slot.slot_type(0) !== STACK_DYNPTR) {
			verbose(env, "verifier internal error: misconfigured ref_obj_id\n");
			return -EFAULT;
		}
		if (slot.spilled_ptr.dynptr_first_slot) invalidate_dynptr(env, state, i);
	}

	return 0;
}

/** kernel/bpf/verifier.c: mark_reg_invalid */
export function mark_reg_invalid(env: bpf_verifier_env, reg: bpf_reg_state): void {
	if (!env.allow_ptr_leaks) __mark_reg_not_init(env, reg);
	else __mark_reg_unknown(env, reg);
}

/** kernel/bpf/verifier.c: destroy_if_dynptr_stack_slot */
export function destroy_if_dynptr_stack_slot(
	env: bpf_verifier_env,
	state: bpf_func_state,
	spi: number,
): number {
	/* STACK_DYNPTR is never set partially, so one byte tells. */
	if (state.stack(spi).slot_type(0) !== STACK_DYNPTR) return 0;

	if (!state.stack(spi).spilled_ptr.dynptr_first_slot) spi = spi + 1;

	const sreg1 = state.stack(spi).spilled_ptr;
	const sreg2 = state.stack(spi - 1).spilled_ptr;
	if (dynptr_type_refcounted(sreg1.dynptr_type)) {
		verbose(env, "cannot overwrite referenced dynptr\n");
		return -EINVAL;
	}

	mark_stack_slot_scratched(env, spi);
	mark_stack_slot_scratched(env, spi - 1);

	set_slot_types(state, spi, STACK_INVALID);
	set_slot_types(state, spi - 1, STACK_INVALID);

	const dynptr_id = sreg1.id;
	bpf_for_each_reg_in_vstate(env.cur_state!, (dreg) => {
		if (dreg.type !== (PTR_TO_MEM | PTR_MAYBE_NULL) && dreg.type !== PTR_TO_MEM) return;
		if (dreg.dynptr_id === dynptr_id) mark_reg_invalid(env, dreg);
	});

	/* The reference, if any, stays: only the slots are overwritten. */
	__mark_reg_not_init(env, sreg1);
	__mark_reg_not_init(env, sreg2);

	sreg1.live |= REG_LIVE_WRITTEN;
	sreg2.live |= REG_LIVE_WRITTEN;

	return 0;
}

/** kernel/bpf/verifier.c: is_dynptr_reg_valid_uninit */
export function is_dynptr_reg_valid_uninit(env: bpf_verifier_env, reg: bpf_reg_state): boolean {
	if (reg.type === CONST_PTR_TO_DYNPTR) return false;

	const spi = dynptr_get_spi(env, reg);

	/* -ERANGE: the stack has not grown there yet; check_mem_access() will see to it. */
	return spi >= 0 || spi === -ERANGE;
}

/** kernel/bpf/verifier.c: is_dynptr_reg_valid_init */
export function is_dynptr_reg_valid_init(env: bpf_verifier_env, reg: bpf_reg_state): boolean {
	if (reg.type === CONST_PTR_TO_DYNPTR) return true;

	const state = func(env, reg);
	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return false;
	if (!state.stack(spi).spilled_ptr.dynptr_first_slot) return false;

	const slot1 = state.stack(spi);
	const slot2 = state.stack(spi - 1);
	for (let i = 0; i < BPF_REG_SIZE; i++) {
		if (slot1.slot_type(i) !== STACK_DYNPTR || slot2.slot_type(i) !== STACK_DYNPTR) return false;
	}

	return true;
}

/** kernel/bpf/verifier.c: is_dynptr_type_expected */
export function is_dynptr_type_expected(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	arg_type: number,
): boolean {
	if (arg_type === ARG_PTR_TO_DYNPTR) return true;

	const dynptr_type = arg_to_dynptr_type(arg_type);
	if (reg.type === CONST_PTR_TO_DYNPTR) return reg.dynptr_type === dynptr_type;

	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return false;
	return func(env, reg).stack(spi).spilled_ptr.dynptr_type === dynptr_type;
}

/** kernel/bpf/verifier.c: is_kfunc_rcu_protected */
export function is_kfunc_rcu_protected(meta: bpf_kfunc_call_arg_meta): boolean {
	return (meta.kfunc_flags & KF_RCU_PROTECTED) !== 0;
}

/** kernel/bpf/verifier.c: mark_stack_slots_iter */
export function mark_stack_slots_iter(
	env: bpf_verifier_env,
	meta: bpf_kfunc_call_arg_meta,
	reg: bpf_reg_state,
	insn_idx: number,
	btf: btf,
	btf_id: number,
	nr_slots: number,
): number {
	const state = func(env, reg);

	const spi = iter_get_spi(env, reg, nr_slots);
	if (spi < 0) return spi;

	const id = acquire_reference_state(env, insn_idx);
	if (id < 0) return id;

	for (let i = 0; i < nr_slots; i++) {
		const st = state.stack(spi - i).spilled_ptr;

		__mark_reg_known_zero(st);
		st.type = PTR_TO_STACK;
		if (is_kfunc_rcu_protected(meta)) {
			if (in_rcu_cs(env)) st.type |= MEM_RCU;
			else st.type |= PTR_UNTRUSTED;
		}
		st.live |= REG_LIVE_WRITTEN;
		st.ref_obj_id = i === 0 ? id : 0;
		st.iter_btf = btf;
		st.iter_btf_id = btf_id;
		st.iter_state = BPF_ITER_STATE_ACTIVE;
		st.iter_depth = 0;

		set_slot_types(state, spi - i, STACK_ITER);

		mark_stack_slot_scratched(env, spi - i);
	}

	return 0;
}

/** kernel/bpf/verifier.c: unmark_stack_slots_iter */
export function unmark_stack_slots_iter(env: bpf_verifier_env, reg: bpf_reg_state, nr_slots: number): number {
	const state = func(env, reg);

	const spi = iter_get_spi(env, reg, nr_slots);
	if (spi < 0) return spi;

	for (let i = 0; i < nr_slots; i++) {
		const st = state.stack(spi - i).spilled_ptr;

		if (i === 0 && release_reference(env, st.ref_obj_id))
			env.kernel.printk("WARNING: release_reference of an iterator failed");

		__mark_reg_not_init(env, st);

		st.live |= REG_LIVE_WRITTEN;

		set_slot_types(state, spi - i, STACK_INVALID);

		mark_stack_slot_scratched(env, spi - i);
	}

	return 0;
}

/** kernel/bpf/verifier.c: is_iter_reg_valid_uninit */
export function is_iter_reg_valid_uninit(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	nr_slots: number,
): boolean {
	const state = func(env, reg);

	const spi = iter_get_spi(env, reg, nr_slots);
	if (spi === -ERANGE) return true;
	if (spi < 0) return false;

	for (let i = 0; i < nr_slots; i++) {
		const slot = state.stack(spi - i);
		for (let j = 0; j < BPF_REG_SIZE; j++) if (slot.slot_type(j) === STACK_ITER) return false;
	}

	return true;
}

/** kernel/bpf/verifier.c: is_iter_reg_valid_init */
export function is_iter_reg_valid_init(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	btf: btf,
	btf_id: number,
	nr_slots: number,
): number {
	const state = func(env, reg);

	const spi = iter_get_spi(env, reg, nr_slots);
	if (spi < 0) return -EINVAL;

	for (let i = 0; i < nr_slots; i++) {
		const slot = state.stack(spi - i);
		const st = slot.spilled_ptr;

		if (st.type & PTR_UNTRUSTED) return -EPROTO;
		/* Only the first slot carries the reference. */
		if (i === 0 && !st.ref_obj_id) return -EINVAL;
		if (i !== 0 && st.ref_obj_id) return -EINVAL;
		if (st.iter_btf !== btf || st.iter_btf_id !== btf_id) return -EINVAL;

		for (let j = 0; j < BPF_REG_SIZE; j++) if (slot.slot_type(j) !== STACK_ITER) return -EINVAL;
	}

	return 0;
}

/** kernel/bpf/verifier.c: iter_ref_obj_id */
export function iter_ref_obj_id(env: bpf_verifier_env, reg: bpf_reg_state, spi: number): number {
	return func(env, reg).stack(spi).spilled_ptr.ref_obj_id;
}

/** kernel/bpf/verifier.c: get_dynptr_arg_reg */
export function get_dynptr_arg_reg(
	env: bpf_verifier_env,
	fn: bpf_func_proto,
	regs: readonly bpf_reg_state[],
): bpf_reg_state | null {
	let state: bpf_reg_state | null = null;

	for (let i = 0; i < MAX_BPF_FUNC_REG_ARGS; i++) {
		if (base_type(fn.arg_type[i] ?? 0) !== ARG_PTR_TO_DYNPTR) continue;
		if (state) {
			verbose(env, "verifier internal error: multiple dynptr args\n");
			return null;
		}
		state = regs[BPF_REG_1 + i]!;
	}

	if (!state) verbose(env, "verifier internal error: no dynptr arg found\n");

	return state;
}

/** kernel/bpf/verifier.c: dynptr_id */
export function dynptr_id(env: bpf_verifier_env, reg: bpf_reg_state): number {
	if (reg.type === CONST_PTR_TO_DYNPTR) return reg.id;
	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return spi;
	return func(env, reg).stack(spi).spilled_ptr.id;
}

/** kernel/bpf/verifier.c: dynptr_ref_obj_id */
export function dynptr_ref_obj_id(env: bpf_verifier_env, reg: bpf_reg_state): number {
	if (reg.type === CONST_PTR_TO_DYNPTR) return reg.ref_obj_id;
	const spi = dynptr_get_spi(env, reg);
	if (spi < 0) return spi;
	return func(env, reg).stack(spi).spilled_ptr.ref_obj_id;
}

/** kernel/bpf/verifier.c: dynptr_get_type */
export function dynptr_get_type(env: bpf_verifier_env, reg: bpf_reg_state): number {
	if (reg.type === CONST_PTR_TO_DYNPTR) return reg.dynptr_type;

	const spi = __get_spi(reg.off);
	if (spi < 0) {
		verbose(env, "verifier internal error: invalid spi when querying dynptr type\n");
		return BPF_DYNPTR_TYPE_INVALID;
	}

	return func(env, reg).stack(spi).spilled_ptr.dynptr_type;
}
