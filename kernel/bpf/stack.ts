// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reads and writes of the BPF stack: spilling, filling, initialisation and bounds
 * (kernel/bpf/verifier.c: check_stack_write_fixed_off … check_stack_range_initialized).
 *
 * A byte at frame offset `off` (negative) lies in slot -off - 1: stack[slot / 8].slot_type[slot % 8].
 */
import {
	BPF_READ,
	BPF_WRITE,
	CONST_PTR_TO_MAP,
	NOT_INIT,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_BUF,
	PTR_TO_CTX,
	PTR_TO_FLOW_KEYS,
	PTR_TO_FUNC,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_STACK,
	PTR_TO_TCP_SOCK,
	PTR_TO_XDP_SOCK,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_BASE_TYPE_MASK,
	BPF_MAX_VAR_OFF,
	BPF_REG_SIZE,
	REG_LIVE_READ64,
	REG_LIVE_WRITTEN,
	STACK_DYNPTR,
	STACK_INVALID,
	STACK_ITER,
	STACK_MISC,
	STACK_SPILL,
	STACK_ZERO,
} from "../../include/linux/bpf_verifier.ts";
import { MAX_BPF_STACK } from "../../include/linux/filter.ts";
import { EACCES, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_CLASS, BPF_MEM, BPF_MODE, BPF_ST } from "../../include/uapi/linux/bpf_common.ts";
import { insn_stack_access_flags, mark_chain_precision, push_insn_history } from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { mark_reg_read } from "./liveness.ts";
import { mark_stack_slot_scratched, verbose, verbose_linfo } from "./log.ts";
import { cur_regs } from "./predicates.ts";
import type { bpf_reg_state, bpf_stack_state } from "./reg_state.ts";
import { SLOT_TYPE, STACK_WORDS } from "./reg_state.ts";
import {
	get_reg_width,
	smax_int,
	smax_num,
	smin_int,
	smin_num,
	var_off_is_const,
	var_off_is_zero,
	var_off_str,
	var_value_int,
	var_value_num,
	zero_reg,
} from "./reg_words.ts";
import {
	__is_pointer_value,
	__mark_reg_const_zero,
	__mark_reg_known,
	__mark_reg_unknown,
	assign_scalar_id_before_mov,
	copy_register_state,
	mark_reg_unknown,
	register_is_null,
} from "./regs.ts";
import { destroy_if_dynptr_stack_slot } from "./stack_objs.ts";
import { grow_stack_state } from "./states.ts";
import type { bpf_call_arg_meta, bpf_func_state, bpf_verifier_env } from "./verifier_types.ts";

const S16_MIN = -32768;

/** enum bpf_access_src: an instruction makes the access. */
export const ACCESS_DIRECT = 1;
/** enum bpf_access_src: a helper makes the access. */
export const ACCESS_HELPER = 2;

/** kernel/bpf/verifier.c: __get_spi */
export function __get_spi(off: number): number {
	return ((-off - 1) / BPF_REG_SIZE) | 0;
}

/** kernel/bpf/verifier.c: func */
export function func(env: bpf_verifier_env, reg: bpf_reg_state): bpf_func_state {
	return env.cur_state!.frame[reg.frameno]!;
}

/** kernel/bpf/verifier.c: is_spi_bounds_valid; the slots are spi - nr_slots + 1 … spi. */
export function is_spi_bounds_valid(state: bpf_func_state, spi: number, nr_slots: number): boolean {
	return spi - nr_slots + 1 >= 0 && spi < state.allocated_stack >> 3;
}

/** kernel/bpf/verifier.c: is_stack_slot_special */
export function is_stack_slot_special(stack: bpf_stack_state): boolean {
	const type = stack.slot_type(BPF_REG_SIZE - 1);
	return type === STACK_SPILL || type === STACK_DYNPTR || type === STACK_ITER;
}

/** kernel/bpf/verifier.c: is_spilled_reg */
export function is_spilled_reg(stack: bpf_stack_state): boolean {
	return stack.slot_type(BPF_REG_SIZE - 1) === STACK_SPILL;
}

/** kernel/bpf/verifier.c: is_spilled_scalar_reg */
export function is_spilled_scalar_reg(stack: bpf_stack_state): boolean {
	return stack.slot_type(BPF_REG_SIZE - 1) === STACK_SPILL && stack.spilled_ptr.type === SCALAR_VALUE;
}

/** kernel/bpf/verifier.c: is_spilled_scalar_reg64 */
export function is_spilled_scalar_reg64(stack: bpf_stack_state): boolean {
	return stack.slot_type(0) === STACK_SPILL && stack.spilled_ptr.type === SCALAR_VALUE;
}

/**
 * kernel/bpf/verifier.c: mark_stack_slot_misc on byte `i` of a slot. Invalid bytes stay so (an
 * unprivileged program must not read them) and known zeroes are the more precise of the two.
 */
export function mark_stack_slot_misc(_env: bpf_verifier_env, stack: bpf_stack_state, i: number): void {
	const t = stack.slot_type(i);
	if (t === STACK_ZERO || t === STACK_INVALID) return;
	stack.set_slot_type(i, STACK_MISC);
}

/** kernel/bpf/verifier.c: scrub_spilled_slot on byte `i` of a slot */
export function scrub_spilled_slot(stack: bpf_stack_state, i: number): void {
	if (stack.slot_type(i) !== STACK_INVALID) stack.set_slot_type(i, STACK_MISC);
}

/** kernel/bpf/verifier.c: is_spillable_regtype */
export function is_spillable_regtype(type: number): boolean {
	switch (type & BPF_BASE_TYPE_MASK) {
		case PTR_TO_MAP_VALUE:
		case PTR_TO_STACK:
		case PTR_TO_CTX:
		case PTR_TO_PACKET:
		case PTR_TO_PACKET_META:
		case PTR_TO_PACKET_END:
		case PTR_TO_FLOW_KEYS:
		case CONST_PTR_TO_MAP:
		case PTR_TO_SOCKET:
		case PTR_TO_SOCK_COMMON:
		case PTR_TO_TCP_SOCK:
		case PTR_TO_XDP_SOCK:
		case PTR_TO_BTF_ID:
		case PTR_TO_BUF:
		case PTR_TO_MEM:
		case PTR_TO_FUNC:
		case PTR_TO_MAP_KEY:
		case PTR_TO_ARENA:
			return true;
		default:
			return false;
	}
}

/** kernel/bpf/verifier.c: save_register_state */
function save_register_state(
	env: bpf_verifier_env,
	state: bpf_func_state,
	spi: number,
	reg: bpf_reg_state,
	size: number,
): void {
	const stack = state.stack(spi);
	copy_register_state(stack.spilled_ptr, reg);
	if (size === BPF_REG_SIZE) stack.spilled_ptr.live |= REG_LIVE_WRITTEN;
	let i = BPF_REG_SIZE;
	for (; i > BPF_REG_SIZE - size; i--) stack.set_slot_type(i - 1, STACK_SPILL);
	for (; i; i--) mark_stack_slot_misc(env, stack, i - 1);
}

/** kernel/bpf/verifier.c: is_bpf_st_mem */
export function is_bpf_st_mem(insn: bpf_insn): boolean {
	return BPF_CLASS(insn.code) === BPF_ST && BPF_MODE(insn.code) === BPF_MEM;
}

/**
 * kernel/bpf/verifier.c: check_fastcall_stack_contract. An access from outside a fastcall pattern to
 * the region that such patterns spill to takes the whole subprogram's patterns away.
 */
export function check_fastcall_stack_contract(
	env: bpf_verifier_env,
	state: bpf_func_state,
	insn_idx: number,
	off: number,
): void {
	const subprog = env.subprog_info[state.subprogno]!;
	const aux = env.insn_aux_data;
	if (subprog.fastcall_stack_off <= off || aux[insn_idx]!.fastcall_pattern) return;
	subprog.fastcall_stack_off = S16_MIN;
	const end = env.subprog_info[state.subprogno + 1]!.start;
	for (let i = subprog.start; i < end; i++) {
		aux[i]!.fastcall_spills_num = 0;
		aux[i]!.fastcall_pattern = 0;
	}
}

/** kernel/bpf/verifier.c: scrub_special_slot */
function scrub_special_slot(state: bpf_func_state, spi: number): void {
	const stack = state.stack(spi);
	stack.spilled_ptr.type = NOT_INIT;
	if (is_stack_slot_special(stack)) for (let i = 0; i < BPF_REG_SIZE; i++) scrub_spilled_slot(stack, i);
}

/** kernel/bpf/verifier.c: check_stack_write_fixed_off; the access is aligned and within the stack. */
function check_stack_write_fixed_off(
	env: bpf_verifier_env,
	state: bpf_func_state,
	off: number,
	size: number,
	value_regno: number,
	insn_idx: number,
): number {
	const slot = -off - 1;
	const spi = slot >> 3;
	const insn = env.prog.insnsi[insn_idx]!;
	let insn_flags = insn_stack_access_flags(state.frameno, spi);
	const stack = state.stack(spi);

	if (
		!env.allow_ptr_leaks &&
		is_spilled_reg(stack) &&
		!is_spilled_scalar_reg(stack) &&
		size !== BPF_REG_SIZE
	) {
		verbose(env, "attempt to corrupt spilled pointer on stack\n");
		return -EACCES;
	}

	const cur = env.cur_state!.frame[env.cur_state!.curframe]!;
	const reg = value_regno >= 0 ? cur.regs[value_regno]! : null;
	if (!env.bypass_spec_v4) {
		let sanitize = reg !== null && is_spillable_regtype(reg.type);
		for (let i = 0; i < size; i++) {
			const type = stack.slot_type(i);
			if (type !== STACK_MISC && type !== STACK_ZERO) {
				sanitize = true;
				break;
			}
		}
		if (sanitize) env.insn_aux_data[insn_idx]!.sanitize_stack_spill = true;
	}

	let err = destroy_if_dynptr_stack_slot(env, state, spi);
	if (err) return err;

	check_fastcall_stack_contract(env, state, insn_idx, off);
	mark_stack_slot_scratched(env, spi);
	if (reg && (off & 7) === 0 && reg.type === SCALAR_VALUE && env.bpf_capable) {
		const reg_value_fits = get_reg_width(reg) <= 8 * size;
		// A spill that loses nothing ties register and slot together.
		if (reg_value_fits) assign_scalar_id_before_mov(env, reg);
		save_register_state(env, state, spi, reg, size);
		if (!reg_value_fits) stack.spilled_ptr.id = 0;
	} else if (!reg && (off & 7) === 0 && is_bpf_st_mem(insn) && env.bpf_capable) {
		const tmp_reg = env.fake_reg[0];
		zero_reg(tmp_reg);
		__mark_reg_known(tmp_reg, BigInt(insn.imm));
		tmp_reg.type = SCALAR_VALUE;
		save_register_state(env, state, spi, tmp_reg, size);
	} else if (reg && is_spillable_regtype(reg.type)) {
		if (size !== BPF_REG_SIZE) {
			verbose_linfo(env, insn_idx, "; ");
			verbose(env, "invalid size of register spill\n");
			return -EACCES;
		}
		if (state !== cur && reg.type === PTR_TO_STACK) {
			verbose(env, "cannot spill pointers to stack into stack frame of the caller\n");
			return -EINVAL;
		}
		save_register_state(env, state, spi, reg, size);
	} else {
		let type = STACK_MISC;
		scrub_special_slot(state, spi);
		// A partial write must not screen off reads of the rest of the slot.
		if (size === BPF_REG_SIZE) stack.spilled_ptr.live |= REG_LIVE_WRITTEN;
		if ((reg && register_is_null(reg)) || (!reg && is_bpf_st_mem(insn) && insn.imm === 0)) {
			// Zeroes that later states rely on make their source precise.
			err = mark_chain_precision(env, value_regno);
			if (err) return err;
			type = STACK_ZERO;
		}
		for (let i = 0; i < size; i++) stack.set_slot_type((slot - i) & 7, type);
		insn_flags = 0;
	}

	if (insn_flags) return push_insn_history(env, env.cur_state!, insn_flags, 0n);
	return 0;
}

/**
 * kernel/bpf/verifier.c: check_stack_write_var_off. Every slot in the range may be written, none surely
 * is: spilled pointers are destroyed, nothing counts as written for liveness.
 */
function check_stack_write_var_off(
	env: bpf_verifier_env,
	state: bpf_func_state,
	ptr_regno: number,
	off: number,
	size: number,
	value_regno: number,
	insn_idx: number,
): number {
	const insn = env.prog.insnsi[insn_idx]!;
	const cur = env.cur_state!.frame[env.cur_state!.curframe]!;
	const ptr_reg = cur.regs[ptr_regno]!;
	const min_off = (smin_int(ptr_reg) + off) | 0;
	const max_off = (smax_int(ptr_reg) + off + size) | 0;
	const value_reg = value_regno >= 0 ? cur.regs[value_regno]! : null;
	const writing_zero = !!(
		(value_reg && register_is_null(value_reg)) ||
		(!value_reg && is_bpf_st_mem(insn) && insn.imm === 0)
	);
	let zero_used = false;
	let err: number;

	for (let i = min_off; i < max_off; i++) {
		err = destroy_if_dynptr_stack_slot(env, state, __get_spi(i));
		if (err) return err;
	}

	check_fastcall_stack_contract(env, state, insn_idx, min_off);
	for (let i = min_off; i < max_off; i++) {
		const slot = -i - 1;
		const spi = slot >> 3;
		const stack = state.stack(spi);
		mark_stack_slot_scratched(env, spi);

		const stype = stack.slot_type(slot & 7);
		if (!env.allow_ptr_leaks && stype !== STACK_MISC && stype !== STACK_ZERO) {
			// Erasing what may survive the write would open a leak.
			verbose(env, `spilled ptr in range of var-offset stack write; insn ${insn_idx}, ptr off: ${i}`);
			return -EINVAL;
		}

		// A spilled zero stays what it is when another zero may land on it.
		if (writing_zero && stype === STACK_SPILL && is_spilled_scalar_reg(stack)) {
			if (var_off_is_zero(stack.spilled_ptr)) {
				zero_used = true;
				continue;
			}
		}

		scrub_special_slot(state, spi);

		const now = stack.slot_type(slot & 7);
		let new_type = STACK_MISC;
		if (writing_zero && now === STACK_ZERO) {
			new_type = STACK_ZERO;
			zero_used = true;
		}
		// To call an invalid slot initialised is right for the privileged only.
		if (now === STACK_INVALID && !env.allow_uninit_stack) {
			verbose(
				env,
				`uninit stack in range of var-offset write prohibited for !root; insn ${insn_idx}, off: ${i}`,
			);
			return -EINVAL;
		}
		stack.set_slot_type(slot & 7, new_type);
	}
	if (zero_used) {
		err = mark_chain_precision(env, value_regno);
		if (err) return err;
	}
	return 0;
}

/**
 * kernel/bpf/verifier.c: mark_reg_stack_read. The register gets zero when all bytes read are known
 * zeroes, an unknown scalar otherwise.
 */
function mark_reg_stack_read(
	env: bpf_verifier_env,
	ptr_state: bpf_func_state,
	min_off: number,
	max_off: number,
	dst_regno: number,
): void {
	const vstate = env.cur_state!;
	const state = vstate.frame[vstate.curframe]!;
	const h = env.heap;
	let zeros = 0;
	for (let i = min_off; i < max_off; i++) {
		const slot = -i - 1;
		const spi = slot >> 3;
		mark_stack_slot_scratched(env, spi);
		const at = (ptr_state.stack_p + spi * STACK_WORDS + SLOT_TYPE) << 2;
		if (h.u8[at + (slot & 7)] !== STACK_ZERO) break;
		zeros++;
	}
	if (zeros === max_off - min_off) __mark_reg_const_zero(env, state.regs[dst_regno]!);
	else mark_reg_unknown(env, state.regs, dst_regno);
	state.regs[dst_regno]!.live |= REG_LIVE_WRITTEN;
}

/** kernel/bpf/verifier.c: check_stack_read_fixed_off; dst_regno may be -1 (the value goes nowhere). */
function check_stack_read_fixed_off(
	env: bpf_verifier_env,
	reg_state: bpf_func_state,
	off: number,
	size: number,
	dst_regno: number,
): number {
	const vstate = env.cur_state!;
	const state = vstate.frame[vstate.curframe]!;
	const slot = -off - 1;
	const spi = slot >> 3;
	let insn_flags = insn_stack_access_flags(reg_state.frameno, spi);
	const stack = reg_state.stack(spi);
	const reg = stack.spilled_ptr;

	mark_stack_slot_scratched(env, spi);
	check_fastcall_stack_contract(env, state, env.insn_idx, off);

	if (is_spilled_reg(stack)) {
		let spill_size = 1;
		for (let i = BPF_REG_SIZE - 1; i > 0 && stack.slot_type(i - 1) === STACK_SPILL; i--) spill_size++;

		if (size !== BPF_REG_SIZE || spill_size !== BPF_REG_SIZE) {
			if (reg.type !== SCALAR_VALUE) {
				verbose_linfo(env, env.insn_idx, "; ");
				verbose(env, "invalid size of register fill\n");
				return -EACCES;
			}

			mark_reg_read(env, reg, reg.parent, REG_LIVE_READ64);
			if (dst_regno < 0) return 0;
			const dst = state.regs[dst_regno]!;

			if (size <= spill_size && (off & 7) === 0) {
				// check_reg_arg() has already decided on subreg_def.
				const subreg_def = dst.subreg_def;
				copy_register_state(dst, reg);
				dst.subreg_def = subreg_def;
				if (get_reg_width(reg) > size * 8) dst.id = 0;
			} else {
				let spill_cnt = 0;
				let zero_cnt = 0;
				for (let i = 0; i < size; i++) {
					const type = stack.slot_type((slot - i) & 7);
					if (type === STACK_SPILL) {
						spill_cnt++;
						continue;
					}
					if (type === STACK_MISC) continue;
					if (type === STACK_ZERO) {
						zero_cnt++;
						continue;
					}
					if (type === STACK_INVALID && env.allow_uninit_stack) continue;
					verbose(env, `invalid read from stack off ${off}+${i} size ${size}\n`);
					return -EACCES;
				}

				if (spill_cnt === size && var_off_is_zero(reg)) {
					// This is a fill all the same: the history entry stays.
					__mark_reg_const_zero(env, dst);
				} else if (zero_cnt === size) {
					__mark_reg_const_zero(env, dst);
					insn_flags = 0;
				} else {
					mark_reg_unknown(env, state.regs, dst_regno);
					insn_flags = 0;
				}
			}
			dst.live |= REG_LIVE_WRITTEN;
		} else if (dst_regno >= 0) {
			const dst = state.regs[dst_regno]!;
			copy_register_state(dst, reg);
			dst.live |= REG_LIVE_WRITTEN;
		} else if (__is_pointer_value(env.allow_ptr_leaks, reg)) {
			// dst_regno is -1 when the value is used as a scalar, by an atomic operation for one.
			verbose(env, `leaking pointer from stack off ${off}\n`);
			return -EACCES;
		}
		mark_reg_read(env, reg, reg.parent, REG_LIVE_READ64);
	} else {
		for (let i = 0; i < size; i++) {
			const type = stack.slot_type((slot - i) & 7);
			if (type === STACK_MISC) continue;
			if (type === STACK_ZERO) continue;
			if (type === STACK_INVALID && env.allow_uninit_stack) continue;
			verbose(env, `invalid read from stack off ${off}+${i} size ${size}\n`);
			return -EACCES;
		}
		mark_reg_read(env, reg, reg.parent, REG_LIVE_READ64);
		if (dst_regno >= 0) mark_reg_stack_read(env, reg_state, off, off + size, dst_regno);
		insn_flags = 0;
	}
	if (insn_flags) return push_insn_history(env, env.cur_state!, insn_flags, 0n);
	return 0;
}

/** kernel/bpf/verifier.c: reg_state */
export function reg_state(env: bpf_verifier_env, regno: number): bpf_reg_state {
	return cur_regs(env)[regno]!;
}

/** kernel/bpf/verifier.c: check_stack_read_var_off */
function check_stack_read_var_off(
	env: bpf_verifier_env,
	ptr_regno: number,
	off: number,
	size: number,
	dst_regno: number,
): number {
	const reg = reg_state(env, ptr_regno);
	const ptr_state = func(env, reg);
	const err = check_stack_range_initialized(env, ptr_regno, off, size, false, ACCESS_DIRECT, null);
	if (err) return err;

	const min_off = (smin_int(reg) + off) | 0;
	const max_off = (smax_int(reg) + off) | 0;
	mark_reg_stack_read(env, ptr_state, min_off, max_off + size, dst_regno);
	check_fastcall_stack_contract(env, ptr_state, env.insn_idx, min_off);
	return 0;
}

/** kernel/bpf/verifier.c: check_stack_read */
export function check_stack_read(
	env: bpf_verifier_env,
	ptr_regno: number,
	off: number,
	size: number,
	dst_regno: number,
): number {
	const reg = reg_state(env, ptr_regno);
	const state = func(env, reg);
	const var_off = !var_off_is_const(reg);

	// Without a destination register a pointer could leak unseen.
	if (dst_regno < 0 && var_off) {
		verbose(
			env,
			`variable offset stack pointer cannot be passed into helper function; var_off=${var_off_str(reg)} off=${off} size=${size}\n`,
		);
		return -EACCES;
	}
	if (!var_off) {
		off = (off + var_value_int(reg)) | 0;
		return check_stack_read_fixed_off(env, state, off, size, dst_regno);
	}
	return check_stack_read_var_off(env, ptr_regno, off, size, dst_regno);
}

/** kernel/bpf/verifier.c: check_stack_write */
export function check_stack_write(
	env: bpf_verifier_env,
	ptr_regno: number,
	off: number,
	size: number,
	value_regno: number,
	insn_idx: number,
): number {
	const reg = reg_state(env, ptr_regno);
	const state = func(env, reg);
	if (var_off_is_const(reg)) {
		off = (off + var_value_int(reg)) | 0;
		return check_stack_write_fixed_off(env, state, off, size, value_regno, insn_idx);
	}
	return check_stack_write_var_off(env, state, ptr_regno, off, size, value_regno, insn_idx);
}

/** kernel/bpf/verifier.c: check_stack_slot_within_bounds; writes may go down to the limit, reads to what is there. */
function check_stack_slot_within_bounds(
	env: bpf_verifier_env,
	off: number,
	state: bpf_func_state,
	t: number,
): number {
	const min_valid_off = t === BPF_WRITE || env.allow_uninit_stack ? -MAX_BPF_STACK : -state.allocated_stack;
	return off < min_valid_off || off > -1 ? -EACCES : 0;
}

/** kernel/bpf/verifier.c: check_stack_access_within_bounds; `off` includes reg->off but not its variable part. */
export function check_stack_access_within_bounds(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	access_size: number,
	src: number,
	type: number,
): number {
	const reg = cur_regs(env)[regno]!;
	const state = func(env, reg);
	const is_const = var_off_is_const(reg);
	let min_off: number;
	let max_off: number;

	if (is_const) {
		min_off = var_value_num(reg) + off;
		max_off = min_off + access_size;
	} else {
		if (smax_num(reg) >= BPF_MAX_VAR_OFF || smin_num(reg) <= -BPF_MAX_VAR_OFF) {
			verbose(env, `invalid unbounded variable-offset${stack_err_extra(src, type)} stack R${regno}\n`);
			return -EACCES;
		}
		min_off = smin_num(reg) + off;
		max_off = smax_num(reg) + off + access_size;
	}

	let err = check_stack_slot_within_bounds(env, min_off, state, type);
	if (!err && max_off > 0) err = -EINVAL;
	if (!err && access_size < 0) err = -EFAULT;

	if (err) {
		const err_extra = stack_err_extra(src, type);
		if (is_const) {
			verbose(env, `invalid${err_extra} stack R${regno} off=${off} size=${access_size}\n`);
		} else {
			verbose(
				env,
				`invalid variable-offset${err_extra} stack R${regno} var_off=${var_off_str(reg)} off=${off} size=${access_size}\n`,
			);
		}
		return err;
	}

	return grow_stack_state(env, state, -min_off);
}

function stack_err_extra(src: number, type: number): string {
	if (src === ACCESS_HELPER) return " indirect access to";
	return type === BPF_READ ? " read from" : " write to";
}

/**
 * kernel/bpf/verifier.c: check_stack_range_initialized. A read of the stack, by an instruction or a
 * helper: within bounds, all of it initialised (as privileges demand), and marked as read.
 */
export function check_stack_range_initialized(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	access_size: number,
	zero_size_allowed: boolean,
	type: number,
	meta: bpf_call_arg_meta | null,
): number {
	const reg = reg_state(env, regno);
	const state = func(env, reg);
	const err_extra = type === ACCESS_HELPER ? " indirect" : "";
	let min_off: number;
	let max_off: number;

	if (access_size === 0 && !zero_size_allowed) {
		verbose(env, "invalid zero-sized read\n");
		return -EACCES;
	}

	// A helper may write as well as read, so its bounds are those of a write.
	const clobber = type === ACCESS_HELPER;
	const bounds_check_type = clobber ? BPF_WRITE : BPF_READ;
	const err = check_stack_access_within_bounds(env, regno, off, access_size, type, bounds_check_type);
	if (err) return err;

	if (var_off_is_const(reg)) {
		min_off = max_off = (var_value_int(reg) + off) | 0;
	} else {
		// Masking of stack arithmetic against Spectre has no variable offsets.
		if (!env.bypass_spec_v1) {
			verbose(
				env,
				`R${regno}${err_extra} variable offset stack access prohibited for !root, var_off=${var_off_str(reg)}\n`,
			);
			return -EACCES;
		}
		// Uninitialised memory at a variable offset could not be marked initialised afterwards.
		if (meta?.raw_mode) meta = null;
		min_off = (smin_int(reg) + off) | 0;
		max_off = (smax_int(reg) + off) | 0;
	}

	if (meta?.raw_mode) {
		// The helper's bytes must not land on a dynptr, perhaps on one that it is given too.
		for (let i = min_off; i < max_off + access_size; i++) {
			const stack_off = -i - 1;
			const spi = __get_spi(i);
			if (state.allocated_stack <= stack_off) continue;
			if (state.stack(spi).slot_type(stack_off & 7) === STACK_DYNPTR) {
				verbose(env, `potential write to dynptr at off=${i} disallowed\n`);
				return -EACCES;
			}
		}
		meta.access_size = access_size;
		meta.regno = regno;
		return 0;
	}

	for (let i = min_off; i < max_off + access_size; i++) {
		const slot = -i - 1;
		const spi = slot >> 3;
		if (state.allocated_stack <= slot) {
			verbose(env, "verifier bug: allocated_stack too small");
			return -EFAULT;
		}

		const stack = state.stack(spi);
		const stype = stack.slot_type(slot & 7);
		if (stype === STACK_MISC) {
			// initialised
		} else if (stype === STACK_ZERO || (stype === STACK_INVALID && env.allow_uninit_stack)) {
			if (clobber) stack.set_slot_type(slot & 7, STACK_MISC);
		} else if (is_spilled_reg(stack) && (stack.spilled_ptr.type === SCALAR_VALUE || env.allow_ptr_leaks)) {
			if (clobber) {
				__mark_reg_unknown(env, stack.spilled_ptr);
				for (let j = 0; j < BPF_REG_SIZE; j++) scrub_spilled_slot(stack, j);
			}
		} else {
			if (var_off_is_const(reg)) {
				verbose(
					env,
					`invalid${err_extra} read from stack R${regno} off ${min_off}+${i - min_off} size ${access_size}\n`,
				);
			} else {
				verbose(
					env,
					`invalid${err_extra} read from stack R${regno} var_off ${var_off_str(reg)}+${i - min_off} size ${access_size}\n`,
				);
			}
			return -EACCES;
		}
		// One byte read counts as a read of the slot; a helper's write never screens it off.
		mark_reg_read(env, stack.spilled_ptr, stack.spilled_ptr.parent, REG_LIVE_READ64);
	}
	return 0;
}
