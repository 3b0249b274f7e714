// SPDX-License-Identifier: GPL-2.0-only
/**
 * ALU instructions: pointer arithmetic, its sanitation against Spectre v1 for the unprivileged, and
 * the checks of every arithmetic instruction (kernel/bpf/verifier.c: check_reg_sane_offset …
 * adjust_ptr_min_max_vals, maybe_fork_scalars, adjust_reg_min_max_vals, check_alu_op).
 */
import {
	CONST_PTR_TO_DYNPTR,
	CONST_PTR_TO_MAP,
	PTR_MAYBE_NULL,
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
	PTR_TO_PACKET_META,
	PTR_TO_STACK,
	PTR_TO_TP_BUFFER,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_ADD_CONST,
	BPF_ALU_IMMEDIATE,
	BPF_ALU_NEG_VALUE,
	BPF_ALU_NON_POINTER,
	BPF_ALU_SANITIZE_DST,
	BPF_ALU_SANITIZE_SRC,
	BPF_MAX_VAR_OFF,
	REG_LIVE_WRITTEN,
} from "../../include/linux/bpf_verifier.ts";
import { MAX_BPF_STACK } from "../../include/linux/filter.ts";
import { EACCES, EINVAL, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_ALU64, BPF_ARSH, BPF_END, BPF_MOV, BPF_TO_LE } from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_CLASS,
	BPF_DIV,
	BPF_K,
	BPF_LSH,
	BPF_MOD,
	BPF_NEG,
	BPF_OP,
	BPF_OR,
	BPF_RSH,
	BPF_SRC,
	BPF_SUB,
	BPF_X,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import { mark_chain_precision } from "./backtrack.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { check_map_access, is_pointer_value } from "./check_mem.ts";
import { bpf_alu_string } from "./disasm.ts";
import { check_reg_arg, DST_OP, DST_OP_NO_MARK, SRC_OP } from "./liveness.ts";
import { reg_type_str, verbose } from "./log.ts";
import { base_type, cur_regs } from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import { R_RAW1, R_SMAX, R_SMIN, R_UMAX, R_UMIN, R_VAR_VALUE, type StateMemory } from "./reg_state.ts";
import {
	get_reg_width,
	smax_num,
	smin_int,
	smin_num,
	umax_int,
	umax_num,
	var_off_is_const,
	var_off_str,
	var_value_int,
	var_value_num,
	zero_reg,
} from "./reg_words.ts";
import {
	__mark_reg_known,
	__mark_reg_known_s32,
	__mark_reg_known_u32,
	__mark_reg_unknown,
	__mark_reg32_known,
	__mark_reg32_unbounded,
	adjust_scalar_min_max_vals,
	assign_scalar_id_before_mov,
	coerce_reg_to_size_sx,
	coerce_subreg_to_size_sx,
	copy_register_state,
	DEF_NOT_SUBREG,
	is_reg_const,
	mark_reg_unknown,
	reg_bounds_sanity_check,
	reg_bounds_sync,
	reg_is_pkt_pointer,
	S32_MAX,
	zext_32_to_64,
} from "./regs.ts";
import { ACCESS_HELPER } from "./stack.ts";
import { push_stack } from "./states.ts";
import { bpf_insn_aux_data, type bpf_verifier_env, type bpf_verifier_state } from "./verifier_types.ts";

/** off == BPF_ADDR_SPACE_CAST of a BPF_MOV: it converts between address spaces. */
const BPF_ADDR_SPACE_CAST = 1;

/** kernel/bpf/verifier.c: cur_aux */
function cur_aux(env: bpf_verifier_env): bpf_insn_aux_data {
	return env.insn_aux_data[env.insn_idx]!;
}

/** kernel/bpf/verifier.c: check_reg_sane_offset */
export function check_reg_sane_offset(env: bpf_verifier_env, reg: bpf_reg_state, type: number): boolean {
	if (var_off_is_const(reg)) {
		const val = var_value_num(reg);
		if (val >= BPF_MAX_VAR_OFF || val <= -BPF_MAX_VAR_OFF) {
			verbose(
				env,
				`math between ${reg_type_str(env, type)} pointer and ${BigInt.asIntN(64, reg.var_off_value)} is not allowed\n`,
			);
			return false;
		}
	}

	const off = reg.off;
	if (off >= BPF_MAX_VAR_OFF || off <= -BPF_MAX_VAR_OFF) {
		verbose(env, `${reg_type_str(env, type)} pointer offset ${off} is not allowed\n`);
		return false;
	}

	const i32 = reg.h.i32;
	if (i32[reg.p + R_SMIN + 1] === -2147483648 && i32[reg.p + R_SMIN] === 0) {
		verbose(
			env,
			`math between ${reg_type_str(env, type)} pointer and register with unbounded min value is not allowed\n`,
		);
		return false;
	}

	const smin = smin_num(reg);
	if (smin >= BPF_MAX_VAR_OFF || smin <= -BPF_MAX_VAR_OFF) {
		verbose(env, `value ${reg.smin_value} makes ${reg_type_str(env, type)} pointer be out of bounds\n`);
		return false;
	}
	return true;
}

const REASON_BOUNDS = -1;
const REASON_TYPE = -2;
const REASON_PATHS = -3;
const REASON_LIMIT = -4;
const REASON_STACK = -5;

/** kernel/bpf/verifier.c: retrieve_ptr_limit; the limit as u32, or a negative REASON_* */
function retrieve_ptr_limit(ptr_reg: bpf_reg_state, mask_to_left: boolean): number {
	let max: number;
	let ptr_limit: number;
	switch (ptr_reg.type) {
		case PTR_TO_STACK:
			// Offset 0 is out of bounds but a fair start for going left.
			max = MAX_BPF_STACK + (mask_to_left ? 1 : 0);
			ptr_limit = -(var_value_int(ptr_reg) + ptr_reg.off) >>> 0;
			break;
		case PTR_TO_MAP_VALUE:
			max = ptr_reg.map_ptr!.value_size;
			ptr_limit = ((mask_to_left ? smin_int(ptr_reg) : umax_int(ptr_reg)) + ptr_reg.off) >>> 0;
			break;
		default:
			return REASON_TYPE;
	}
	return ptr_limit >= max ? REASON_LIMIT : ptr_limit;
}

/** kernel/bpf/verifier.c: can_skip_alu_sanitation */
function can_skip_alu_sanitation(env: bpf_verifier_env, insn: bpf_insn): boolean {
	return env.bypass_spec_v1 || BPF_SRC(insn.code) === BPF_K;
}

/** kernel/bpf/verifier.c: update_alu_sanitation_state; all paths must agree on what do_misc_fixups() will emit */
function update_alu_sanitation_state(aux: bpf_insn_aux_data, alu_state: number, alu_limit: number): number {
	if (aux.alu_state && (aux.alu_state !== alu_state || aux.alu_limit !== alu_limit)) return REASON_PATHS;
	aux.alu_state = alu_state;
	aux.alu_limit = alu_limit;
	return 0;
}

/** kernel/bpf/verifier.c: sanitize_val_alu */
export function sanitize_val_alu(env: bpf_verifier_env, insn: bpf_insn): number {
	if (can_skip_alu_sanitation(env, insn)) return 0;
	return update_alu_sanitation_state(cur_aux(env), BPF_ALU_NON_POINTER, 0);
}

/** kernel/bpf/verifier.c: sanitize_needed */
export function sanitize_needed(opcode: number): boolean {
	return opcode === BPF_ADD || opcode === BPF_SUB;
}

interface bpf_sanitize_info {
	aux: bpf_insn_aux_data;
	mask_to_left: boolean;
}

/** kernel/bpf/verifier.c: sanitize_speculative_path: verify what a mispredicted CPU would run */
export function sanitize_speculative_path(
	env: bpf_verifier_env,
	insn: bpf_insn | null,
	next_idx: number,
	curr_idx: number,
): bpf_verifier_state | null {
	const branch = push_stack(env, next_idx, curr_idx, true);
	if (branch && insn) {
		const regs = branch.frame[branch.curframe]!.regs;
		mark_reg_unknown(env, regs, insn.dst_reg);
		if (BPF_SRC(insn.code) === BPF_X) mark_reg_unknown(env, regs, insn.src_reg);
	}
	return branch;
}

/** kernel/bpf/verifier.c: sanitize_ptr_alu; `commit_window` is the second call, after the arithmetic */
function sanitize_ptr_alu(
	env: bpf_verifier_env,
	insn: bpf_insn,
	ptr_reg: bpf_reg_state,
	off_reg: bpf_reg_state,
	dst_reg: bpf_reg_state,
	info: bpf_sanitize_info,
	commit_window: boolean,
): number {
	if (can_skip_alu_sanitation(env, insn)) return 0;

	const aux = commit_window ? cur_aux(env) : info.aux;
	const vstate = env.cur_state!;
	const off_is_imm = var_off_is_const(off_reg);
	const off_is_neg = smin_num(off_reg) < 0;
	const ptr_is_dst_reg = ptr_reg.p === dst_reg.p;
	const opcode = BPF_OP(insn.code);

	// A speculative path finds the masking that the real paths have set up.
	if (!vstate.speculative) {
		if (!commit_window) {
			if (!off_is_imm && off_is_neg !== smax_num(off_reg) < 0) return REASON_BOUNDS;
			info.mask_to_left = (opcode === BPF_ADD && off_is_neg) || (opcode === BPF_SUB && !off_is_neg);
		}

		let alu_limit = retrieve_ptr_limit(ptr_reg, info.mask_to_left);
		if (alu_limit < 0) return alu_limit;

		let alu_state: number;
		if (commit_window) {
			// The window narrows to the move that was seen.
			alu_state = info.aux.alu_state;
			alu_limit = Math.abs((info.aux.alu_limit - alu_limit) | 0) >>> 0;
		} else {
			alu_state = off_is_neg ? BPF_ALU_NEG_VALUE : 0;
			alu_state |= off_is_imm ? BPF_ALU_IMMEDIATE : 0;
			alu_state |= ptr_is_dst_reg ? BPF_ALU_SANITIZE_SRC : BPF_ALU_SANITIZE_DST;
			// Pruning must not hide that other paths would mask differently.
			if (!off_is_imm) env.explore_alu_limits = true;
		}

		const err = update_alu_sanitation_state(aux, alu_state, alu_limit);
		if (err < 0) return err;
	}

	// A known constant becomes an immediate and is never masked.
	if (commit_window || off_is_imm) return 0;

	// What happens when the mask cuts the offset to zero: the pointer itself, in dst.
	const tmp = env.tmp_reg[1];
	if (!ptr_is_dst_reg) {
		tmp.assign(dst_reg);
		copy_register_state(dst_reg, ptr_reg);
	}
	const ret = sanitize_speculative_path(env, null, env.insn_idx + 1, env.insn_idx);
	if (!ptr_is_dst_reg && ret) dst_reg.assign(tmp);
	return !ret ? REASON_STACK : 0;
}

/** kernel/bpf/verifier.c: sanitize_mark_insn_seen; dead code on speculative paths only is sanitised later */
export function sanitize_mark_insn_seen(env: bpf_verifier_env): void {
	if (!env.cur_state!.speculative) env.insn_aux_data[env.insn_idx]!.seen = env.pass_cnt;
}

/** kernel/bpf/verifier.c: sanitize_err */
export function sanitize_err(
	env: bpf_verifier_env,
	insn: bpf_insn,
	reason: number,
	off_reg: bpf_reg_state | null,
	dst_reg: bpf_reg_state | null,
): number {
	const err = "pointer arithmetic with it prohibited for !root";
	const op = BPF_OP(insn.code) === BPF_ADD ? "add" : "sub";
	const dst = insn.dst_reg;
	const src = insn.src_reg;
	const same = (off_reg ? off_reg.p : 0) === (dst_reg ? dst_reg.p : 0);

	switch (reason) {
		case REASON_BOUNDS:
			verbose(env, `R${same ? dst : src} has unknown scalar with mixed signed bounds, ${err}\n`);
			break;
		case REASON_TYPE:
			verbose(env, `R${same ? src : dst} has pointer with unsupported alu operation, ${err}\n`);
			break;
		case REASON_PATHS:
			verbose(env, `R${dst} tried to ${op} from different maps, paths or scalars, ${err}\n`);
			break;
		case REASON_LIMIT:
			verbose(env, `R${dst} tried to ${op} beyond pointer bounds, ${err}\n`);
			break;
		case REASON_STACK:
			verbose(env, `R${dst} could not be pushed for speculative verification, ${err}\n`);
			break;
		default:
			verbose(env, `verifier internal error: unknown reason (${reason})\n`);
			break;
	}
	return -EACCES;
}

/** kernel/bpf/verifier.c: check_stack_access_for_ptr_arithmetic; `off` includes reg->off */
function check_stack_access_for_ptr_arithmetic(
	env: bpf_verifier_env,
	regno: number,
	reg: bpf_reg_state,
	off: number,
): number {
	if (!var_off_is_const(reg)) {
		verbose(
			env,
			`R${regno} variable stack access prohibited for !root, var_off=${var_off_str(reg)} off=${off}\n`,
		);
		return -EACCES;
	}
	if (off >= 0 || off < -MAX_BPF_STACK) {
		verbose(env, `R${regno} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}\n`);
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: sanitize_check_bounds; masking works only from within bounds */
function sanitize_check_bounds(env: bpf_verifier_env, insn: bpf_insn, dst_reg: bpf_reg_state): number {
	const dst = insn.dst_reg;
	if (env.bypass_spec_v1) return 0;

	switch (dst_reg.type) {
		case PTR_TO_STACK:
			if (
				check_stack_access_for_ptr_arithmetic(env, dst, dst_reg, (dst_reg.off + var_value_int(dst_reg)) | 0)
			)
				return -EACCES;
			break;
		case PTR_TO_MAP_VALUE:
			if (check_map_access(env, dst, dst_reg.off, 1, false, ACCESS_HELPER)) {
				verbose(env, `R${dst} pointer arithmetic of map value goes out of range, prohibited for !root\n`);
				return -EACCES;
			}
			break;
		default:
			break;
	}
	return 0;
}

/** Are two 64-bit fields equal? */
function eq64(h: StateMemory, a: number, b: number): boolean {
	return h.i32[a] === h.i32[b] && h.i32[a + 1] === h.i32[b + 1];
}

/** smin > smax, or umin > umax */
function bounds_crossed(reg: bpf_reg_state): boolean {
	const { h, p } = reg;
	const smin_hi = h.i32[p + R_SMIN + 1]!;
	const smax_hi = h.i32[p + R_SMAX + 1]!;
	if (smin_hi > smax_hi) return true;
	if (smin_hi === smax_hi && h.u32[p + R_SMIN]! > h.u32[p + R_SMAX]!) return true;
	const umin_hi = h.u32[p + R_UMIN + 1]!;
	const umax_hi = h.u32[p + R_UMAX + 1]!;
	if (umin_hi > umax_hi) return true;
	return umin_hi === umax_hi && h.u32[p + R_UMIN]! > h.u32[p + R_UMAX]!;
}

/** Copies var_off and the 64-bit bounds. */
function copy_bounds64(dst: bpf_reg_state, src: bpf_reg_state): void {
	if (dst.p === src.p) return;
	dst.h.i32.copyWithin(dst.p + R_VAR_VALUE, src.p + R_VAR_VALUE, src.p + R_UMAX + 2);
}

/** `dst->raw = src->raw` */
function copy_raw(dst: bpf_reg_state, src: bpf_reg_state): void {
	if (dst.p === src.p) return;
	dst.h.i32.copyWithin(dst.p + R_RAW1, src.p + R_RAW1, src.p + R_RAW1 + 4);
}

function zero_raw(dst: bpf_reg_state): void {
	dst.h.i32.fill(0, dst.p + R_RAW1, dst.p + R_RAW1 + 4);
}

/**
 * kernel/bpf/verifier.c: adjust_ptr_min_max_vals. Pointer and scalar in, pointer out in
 * regs[insn->dst_reg]; BPF_MOV is the caller's.
 */
function adjust_ptr_min_max_vals(
	env: bpf_verifier_env,
	insn: bpf_insn,
	ptr_reg: bpf_reg_state,
	off_reg: bpf_reg_state,
): number {
	const regs = cur_regs(env);
	const h = env.heap;
	const known = var_off_is_const(off_reg);
	const opcode = BPF_OP(insn.code);
	const dst = insn.dst_reg;
	const dst_reg = regs[dst]!;

	if (
		(known &&
			(!eq64(h, off_reg.p + R_SMIN, off_reg.p + R_SMAX) ||
				!eq64(h, off_reg.p + R_UMIN, off_reg.p + R_UMAX))) ||
		bounds_crossed(off_reg)
	) {
		// Impossible bounds come from dead branches.
		__mark_reg_unknown(env, dst_reg);
		return 0;
	}

	if (BPF_CLASS(insn.code) !== BPF_ALU64) {
		// The difference of 32-bit halves means nothing, but is a scalar.
		if (opcode === BPF_SUB && env.allow_ptr_leaks) {
			__mark_reg_unknown(env, dst_reg);
			return 0;
		}
		verbose(env, `R${dst} 32-bit pointer arithmetic prohibited\n`);
		return -EACCES;
	}

	const ptr_type = ptr_reg.type;
	if (ptr_type & PTR_MAYBE_NULL) {
		verbose(
			env,
			`R${dst} pointer arithmetic on ${reg_type_str(env, ptr_type)} prohibited, null-check it first\n`,
		);
		return -EACCES;
	}

	let allowed: boolean;
	switch (base_type(ptr_type)) {
		case PTR_TO_CTX:
		case PTR_TO_MAP_VALUE:
		case PTR_TO_MAP_KEY:
		case PTR_TO_STACK:
		case PTR_TO_PACKET_META:
		case PTR_TO_PACKET:
		case PTR_TO_TP_BUFFER:
		case PTR_TO_BTF_ID:
		case PTR_TO_MEM:
		case PTR_TO_BUF:
		case PTR_TO_FUNC:
		case CONST_PTR_TO_DYNPTR:
			allowed = true;
			break;
		case PTR_TO_FLOW_KEYS:
			allowed = known;
			break;
		case CONST_PTR_TO_MAP:
			allowed = known && smin_num(off_reg) === 0 && opcode === BPF_ADD;
			break;
		default:
			allowed = false;
	}
	if (!allowed) {
		verbose(env, `R${dst} pointer arithmetic on ${reg_type_str(env, ptr_type)} prohibited\n`);
		return -EACCES;
	}

	const smin_val = smin_num(off_reg);
	const ptr_off = ptr_reg.off;

	// `scalar += pointer` makes a pointer of dst; a new variable offset may give it another id below.
	dst_reg.type = ptr_type;
	dst_reg.id = ptr_reg.id;

	if (!check_reg_sane_offset(env, off_reg, ptr_type) || !check_reg_sane_offset(env, ptr_reg, ptr_type))
		return -EINVAL;

	// pointers carry no 32-bit bounds
	__mark_reg32_unbounded(dst_reg);

	const needed = sanitize_needed(opcode) && !can_skip_alu_sanitation(env, insn);
	const info: bpf_sanitize_info | null = needed
		? { aux: new bpf_insn_aux_data(), mask_to_left: false }
		: null;
	if (info) {
		const ret = sanitize_ptr_alu(env, insn, ptr_reg, off_reg, dst_reg, info, false);
		if (ret < 0) return sanitize_err(env, insn, ret, off_reg, dst_reg);
	}

	switch (opcode) {
		case BPF_ADD: {
			const sum = ptr_off + smin_val;
			if (known && sum === (sum | 0)) {
				// pointer += K goes into the fixed offset
				copy_bounds64(dst_reg, ptr_reg);
				dst_reg.off = sum;
				copy_raw(dst_reg, ptr_reg);
				break;
			}
			// A variable offset: a new base for packet pointers, whose range is gone.
			h.x.ptr_alu(opcode, dst_reg.p, ptr_reg.p, off_reg.p);
			dst_reg.off = ptr_off;
			copy_raw(dst_reg, ptr_reg);
			if (reg_is_pkt_pointer(ptr_reg)) {
				dst_reg.id = ++env.id_gen;
				zero_raw(dst_reg);
			}
			break;
		}
		case BPF_SUB: {
			if (dst_reg.p === off_reg.p) {
				verbose(env, `R${dst} tried to subtract pointer from scalar\n`);
				return -EACCES;
			}
			// JITs might not manage arithmetic that leaves the frame pointer upwards.
			if (ptr_type === PTR_TO_STACK) {
				verbose(env, `R${dst} subtraction from stack pointer prohibited\n`);
				return -EACCES;
			}
			const diff = ptr_off - smin_val;
			if (known && diff === (diff | 0)) {
				copy_bounds64(dst_reg, ptr_reg);
				dst_reg.id = ptr_reg.id;
				dst_reg.off = diff;
				copy_raw(dst_reg, ptr_reg);
				break;
			}
			h.x.ptr_alu(opcode, dst_reg.p, ptr_reg.p, off_reg.p);
			dst_reg.off = ptr_off;
			copy_raw(dst_reg, ptr_reg);
			if (reg_is_pkt_pointer(ptr_reg)) {
				dst_reg.id = ++env.id_gen;
				// moving back leaves the range good
				if (smin_val < 0) zero_raw(dst_reg);
			}
			break;
		}
		case BPF_AND:
		case BPF_OR:
		case BPF_XOR:
			verbose(env, `R${dst} bitwise operator ${bpf_alu_string[opcode >> 4]} on pointer prohibited\n`);
			return -EACCES;
		default:
			verbose(env, `R${dst} pointer arithmetic with ${bpf_alu_string[opcode >> 4]} operator prohibited\n`);
			return -EACCES;
	}

	if (!check_reg_sane_offset(env, dst_reg, ptr_type)) return -EINVAL;
	reg_bounds_sync(dst_reg);
	if (sanitize_check_bounds(env, insn, dst_reg) < 0) return -EACCES;
	if (info) {
		const ret = sanitize_ptr_alu(env, insn, dst_reg, off_reg, dst_reg, info, true);
		if (ret < 0) return sanitize_err(env, insn, ret, off_reg, dst_reg);
	}
	return 0;
}

/** kernel/bpf/verifier.c: maybe_fork_scalars: a register that is 0 or -1 is verified as each of the two */
export function maybe_fork_scalars(env: bpf_verifier_env, insn: bpf_insn, dst_reg: bpf_reg_state): number {
	const i32 = dst_reg.h.i32;
	const p = dst_reg.p;
	let alu32: boolean;
	if (
		i32[p + R_SMIN] === -1 &&
		i32[p + R_SMIN + 1] === -1 &&
		i32[p + R_SMAX] === 0 &&
		i32[p + R_SMAX + 1] === 0
	)
		alu32 = false;
	else if (dst_reg.s32_min_value === -1 && dst_reg.s32_max_value === 0) alu32 = true;
	else return 0;

	const branch = push_stack(env, env.insn_idx, env.insn_idx, false);
	if (!branch) return -ENOMEM;

	const other = branch.frame[branch.curframe]!.regs[insn.dst_reg]!;
	if (alu32) {
		__mark_reg32_known(other, 0n);
		__mark_reg32_known(dst_reg, -1n);
	} else {
		__mark_reg_known(other, 0n);
		__mark_reg_known(dst_reg, -1n);
	}
	return 0;
}

/** kernel/bpf/verifier.c: adjust_reg_min_max_vals: everything but BPF_END, BPF_NEG and BPF_MOV */
function adjust_reg_min_max_vals(env: bpf_verifier_env, insn: bpf_insn): number {
	const regs = cur_regs(env);
	const code = insn.code;
	const alu32 = BPF_CLASS(code) !== BPF_ALU64;
	const opcode = BPF_OP(code);
	const dst_reg = regs[insn.dst_reg]!;
	const is_x = BPF_SRC(code) === BPF_X;
	let src_reg = is_x ? regs[insn.src_reg]! : env.tmp_reg[0];
	let err: number;

	if (dst_reg.type === PTR_TO_ARENA || (is_x && src_reg.type === PTR_TO_ARENA)) {
		if (dst_reg.type !== PTR_TO_ARENA) dst_reg.assign(src_reg);
		dst_reg.subreg_def = env.insn_idx + 1;
		// The low half is the pointer: a 64-bit operation has to be made a 32-bit one.
		if (!alu32) cur_aux(env).needs_zext = true;
		return 0;
	}

	const ptr_reg = dst_reg.type !== SCALAR_VALUE;

	if (is_x) {
		if (src_reg.type !== SCALAR_VALUE) {
			if (ptr_reg) {
				// Of two pointers nothing but the difference makes sense.
				if (opcode === BPF_SUB && env.allow_ptr_leaks) {
					mark_reg_unknown(env, regs, insn.dst_reg);
					return 0;
				}
				verbose(env, `R${insn.dst_reg} pointer ${bpf_alu_string[opcode >> 4]} pointer prohibited\n`);
				return -EACCES;
			}
			// scalar += pointer: the operands change places
			err = mark_chain_precision(env, insn.dst_reg);
			if (err) return err;
			return adjust_ptr_min_max_vals(env, insn, src_reg, dst_reg);
		}
		if (ptr_reg) {
			err = mark_chain_precision(env, insn.src_reg);
			if (err) return err;
			return adjust_ptr_min_max_vals(env, insn, dst_reg, src_reg);
		}
		if (dst_reg.precise) {
			err = mark_chain_precision(env, insn.src_reg);
			if (err) return err;
		}
	} else {
		src_reg = env.tmp_reg[0];
		zero_reg(src_reg);
		src_reg.type = SCALAR_VALUE;
		__mark_reg_known_s32(src_reg, insn.imm);
		if (ptr_reg) return adjust_ptr_min_max_vals(env, insn, dst_reg, src_reg);
	}

	err = adjust_scalar_min_max_vals(env, insn, dst_reg, src_reg);
	if (err) return err;

	// A constant distance to a linked register is remembered: sync_linked_regs() will use it.
	if (env.bpf_capable && opcode === BPF_ADD && !alu32 && dst_reg.id && is_reg_const(src_reg, false)) {
		const i32 = src_reg.h.i32;
		const lo = i32[src_reg.p + R_VAR_VALUE]!;
		const hi = i32[src_reg.p + R_VAR_VALUE + 1]!;
		if (dst_reg.id & BPF_ADD_CONST || hi !== 0 || lo >>> 0 > S32_MAX) {
			dst_reg.off = 0;
			dst_reg.id = 0;
		} else {
			dst_reg.id |= BPF_ADD_CONST;
			dst_reg.off = lo;
		}
	} else {
		dst_reg.id = 0;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_alu_op */
export function check_alu_op(env: bpf_verifier_env, insn: bpf_insn): number {
	const regs = cur_regs(env);
	const code = insn.code;
	const opcode = BPF_OP(code);
	const cls = BPF_CLASS(code);
	let err: number;

	if (opcode === BPF_END || opcode === BPF_NEG) {
		if (opcode === BPF_NEG) {
			if (BPF_SRC(code) !== BPF_K || insn.src_reg !== 0 || insn.off !== 0 || insn.imm !== 0) {
				verbose(env, "BPF_NEG uses reserved fields\n");
				return -EINVAL;
			}
		} else if (
			insn.src_reg !== 0 ||
			insn.off !== 0 ||
			(insn.imm !== 16 && insn.imm !== 32 && insn.imm !== 64) ||
			(cls === BPF_ALU64 && BPF_SRC(code) !== BPF_TO_LE)
		) {
			verbose(env, "BPF_END uses reserved fields\n");
			return -EINVAL;
		}

		err = check_reg_arg(env, insn.dst_reg, SRC_OP);
		if (err) return err;
		if (is_pointer_value(env, insn.dst_reg)) {
			verbose(env, `R${insn.dst_reg} pointer arithmetic prohibited\n`);
			return -EACCES;
		}
		err = check_reg_arg(env, insn.dst_reg, DST_OP);
		if (err) return err;
	} else if (opcode === BPF_MOV) {
		if (BPF_SRC(code) === BPF_X) {
			if (cls === BPF_ALU) {
				if ((insn.off !== 0 && insn.off !== 8 && insn.off !== 16) || insn.imm) {
					verbose(env, "BPF_MOV uses reserved fields\n");
					return -EINVAL;
				}
			} else if (insn.off === BPF_ADDR_SPACE_CAST) {
				if (insn.imm !== 1 && insn.imm !== 1 << 16) {
					verbose(env, "addr_space_cast insn can only convert between address space 1 and 0\n");
					return -EINVAL;
				}
				if (!env.prog.aux.arena) {
					verbose(env, "addr_space_cast insn can only be used in a program that has an associated arena\n");
					return -EINVAL;
				}
			} else if ((insn.off !== 0 && insn.off !== 8 && insn.off !== 16 && insn.off !== 32) || insn.imm) {
				verbose(env, "BPF_MOV uses reserved fields\n");
				return -EINVAL;
			}

			err = check_reg_arg(env, insn.src_reg, SRC_OP);
			if (err) return err;
		} else if (insn.src_reg !== 0 || insn.off !== 0) {
			verbose(env, "BPF_MOV uses reserved fields\n");
			return -EINVAL;
		}

		err = check_reg_arg(env, insn.dst_reg, DST_OP_NO_MARK);
		if (err) return err;

		const dst_reg = regs[insn.dst_reg]!;
		if (BPF_SRC(code) === BPF_X) {
			const src_reg = regs[insn.src_reg]!;

			if (cls === BPF_ALU64) {
				if (insn.imm) {
					// a cast between address spaces
					mark_reg_unknown(env, regs, insn.dst_reg);
					if (insn.imm === 1) {
						dst_reg.type = PTR_TO_ARENA;
						dst_reg.subreg_def = env.insn_idx + 1;
					}
				} else if (insn.off === 0) {
					assign_scalar_id_before_mov(env, src_reg);
					copy_register_state(dst_reg, src_reg);
					dst_reg.live |= REG_LIVE_WRITTEN;
					dst_reg.subreg_def = DEF_NOT_SUBREG;
				} else if (is_pointer_value(env, insn.src_reg)) {
					verbose(env, `R${insn.src_reg} sign-extension part of pointer\n`);
					return -EACCES;
				} else if (src_reg.type === SCALAR_VALUE) {
					const no_sext = umax_num(src_reg) < 2 ** (insn.off - 1);
					if (no_sext) assign_scalar_id_before_mov(env, src_reg);
					copy_register_state(dst_reg, src_reg);
					if (!no_sext) dst_reg.id = 0;
					coerce_reg_to_size_sx(dst_reg, insn.off >> 3);
					dst_reg.live |= REG_LIVE_WRITTEN;
					dst_reg.subreg_def = DEF_NOT_SUBREG;
				} else {
					mark_reg_unknown(env, regs, insn.dst_reg);
				}
			} else {
				if (is_pointer_value(env, insn.src_reg)) {
					verbose(env, `R${insn.src_reg} partial copy of pointer\n`);
					return -EACCES;
				}
				if (src_reg.type === SCALAR_VALUE) {
					if (insn.off === 0) {
						// The copy is the same value only when it fits 32 bits.
						const is_src_reg_u32 = get_reg_width(src_reg) <= 32;
						if (is_src_reg_u32) assign_scalar_id_before_mov(env, src_reg);
						copy_register_state(dst_reg, src_reg);
						if (!is_src_reg_u32) dst_reg.id = 0;
						dst_reg.live |= REG_LIVE_WRITTEN;
						dst_reg.subreg_def = env.insn_idx + 1;
					} else {
						const no_sext = umax_num(src_reg) < 2 ** (insn.off - 1);
						if (no_sext) assign_scalar_id_before_mov(env, src_reg);
						copy_register_state(dst_reg, src_reg);
						if (!no_sext) dst_reg.id = 0;
						dst_reg.live |= REG_LIVE_WRITTEN;
						dst_reg.subreg_def = env.insn_idx + 1;
						coerce_subreg_to_size_sx(dst_reg, insn.off >> 3);
					}
				} else {
					mark_reg_unknown(env, regs, insn.dst_reg);
				}
				zext_32_to_64(dst_reg);
				reg_bounds_sync(dst_reg);
			}
		} else {
			// what __mark_reg_known() leaves alone is cleared first
			mark_reg_unknown(env, regs, insn.dst_reg);
			dst_reg.type = SCALAR_VALUE;
			if (cls === BPF_ALU64) __mark_reg_known_s32(dst_reg, insn.imm);
			else __mark_reg_known_u32(dst_reg, insn.imm);
		}
	} else if (opcode > BPF_END) {
		verbose(env, `invalid BPF_ALU opcode ${opcode.toString(16)}\n`);
		return -EINVAL;
	} else {
		const off_bad = insn.off !== 0 && (insn.off !== 1 || (opcode !== BPF_MOD && opcode !== BPF_DIV));
		if (BPF_SRC(code) === BPF_X) {
			if (insn.imm !== 0 || off_bad) {
				verbose(env, "BPF_ALU uses reserved fields\n");
				return -EINVAL;
			}
			err = check_reg_arg(env, insn.src_reg, SRC_OP);
			if (err) return err;
		} else if (insn.src_reg !== 0 || off_bad) {
			verbose(env, "BPF_ALU uses reserved fields\n");
			return -EINVAL;
		}

		err = check_reg_arg(env, insn.dst_reg, SRC_OP);
		if (err) return err;

		if ((opcode === BPF_MOD || opcode === BPF_DIV) && BPF_SRC(code) === BPF_K && insn.imm === 0) {
			verbose(env, "div by zero\n");
			return -EINVAL;
		}

		if ((opcode === BPF_LSH || opcode === BPF_RSH || opcode === BPF_ARSH) && BPF_SRC(code) === BPF_K) {
			const size = cls === BPF_ALU64 ? 64 : 32;
			if (insn.imm < 0 || insn.imm >= size) {
				verbose(env, `invalid shift ${insn.imm}\n`);
				return -EINVAL;
			}
		}

		err = check_reg_arg(env, insn.dst_reg, DST_OP_NO_MARK);
		err = err || adjust_reg_min_max_vals(env, insn);
		if (err) return err;
	}

	return reg_bounds_sanity_check(env, regs[insn.dst_reg]!, "alu");
}
