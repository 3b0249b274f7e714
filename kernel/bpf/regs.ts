// SPDX-License-Identifier: GPL-2.0-only
/**
 * Register states: marking, bounds, scalar arithmetic and what a branch teaches about its operands
 * (kernel/bpf/verifier.c). The 64-bit arithmetic itself is in scalar/, compiled to WebAssembly.
 */
import {
	BPF_TIMER,
	BPF_WORKQUEUE,
	CONST_PTR_TO_DYNPTR,
	CONST_PTR_TO_MAP,
	DYNPTR_TYPE_SKB,
	DYNPTR_TYPE_XDP,
	MEM_ALLOC,
	NOT_INIT,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_SOCKET,
	PTR_TO_STACK,
	PTR_TO_XDP_SOCK,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_ADD_CONST, REG_LIVE_NONE } from "../../include/linux/bpf_verifier.ts";
import { BPF_REG_FP } from "../../include/linux/filter.ts";
import { EFAULT } from "../../include/uapi/asm-generic/errno.ts";
import {
	__MAX_BPF_REG,
	BPF_ALU64,
	BPF_JLE,
	BPF_JLT,
	BPF_JNE,
	BPF_JSGE,
	BPF_JSGT,
	BPF_JSLE,
	BPF_JSLT,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_XSKMAP,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_AND,
	BPF_JEQ,
	BPF_JGE,
	BPF_JGT,
	BPF_JSET,
	BPF_OR,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import { maybe_fork_scalars, sanitize_err, sanitize_needed, sanitize_val_alu } from "./alu.ts";
import type { bpf_insn } from "./bpf_types.ts";
import type { btf, btf_field_graph_root } from "./btf_types.ts";
import type { VerifierHeap } from "./heap.ts";
import { verbose } from "./log.ts";
import {
	type bpf_reg_state,
	R_LIVE,
	R_PARENT,
	R_TYPE,
	R_VAR_MASK,
	R_VAR_VALUE,
	REG_WORDS,
} from "./reg_state.ts";
import type { bpf_func_state, bpf_retval_range, bpf_verifier_env } from "./verifier_types.ts";

export const MAX_BPF_REG = __MAX_BPF_REG;
export const CALLER_SAVED_REGS = 6;
export const caller_saved: readonly number[] = [0, 1, 2, 3, 4, 5];
/** A register whose subreg_def is this was last defined as 64 bits. */
export const DEF_NOT_SUBREG = 0;
export const S64_MIN = -(1n << 63n);
export const S64_MAX = (1n << 63n) - 1n;
export const U64_MAX = (1n << 64n) - 1n;
export const S32_MIN = -2147483648;
export const S32_MAX = 2147483647;
export const U32_MAX = 4294967295;

function x_of(reg: bpf_reg_state) {
	return (reg.h as VerifierHeap).x;
}

/** kernel/bpf/verifier.c: ___mark_reg_known; keeps id, off and what the register points at */
export function ___mark_reg_known(reg: bpf_reg_state, imm: bigint): void {
	x_of(reg).mark_reg_known_keep(reg.p, Number(BigInt.asIntN(32, imm)), Number(BigInt.asIntN(32, imm >> 32n)));
}

/** kernel/bpf/verifier.c: __mark_reg_known */
export function __mark_reg_known(reg: bpf_reg_state, imm: bigint): void {
	x_of(reg).mark_reg_known(reg.p, Number(BigInt.asIntN(32, imm)), Number(BigInt.asIntN(32, imm >> 32n)));
}

/** __mark_reg_known() of an s32 immediate, sign-extended: spares the bigint. */
export function __mark_reg_known_s32(reg: bpf_reg_state, imm: number): void {
	x_of(reg).mark_reg_known(reg.p, imm, imm >> 31);
}

/** __mark_reg_known() of a u32, zero-extended. */
export function __mark_reg_known_u32(reg: bpf_reg_state, imm: number): void {
	x_of(reg).mark_reg_known(reg.p, imm, 0);
}

/** kernel/bpf/verifier.c: __mark_reg32_known */
export function __mark_reg32_known(reg: bpf_reg_state, imm: bigint | number): void {
	x_of(reg).mark_reg32_known(reg.p, typeof imm === "bigint" ? Number(BigInt.asIntN(32, imm)) : imm | 0);
}

/** kernel/bpf/verifier.c: __mark_reg_known_zero */
export function __mark_reg_known_zero(reg: bpf_reg_state): void {
	x_of(reg).mark_reg_known(reg.p, 0, 0);
}

/** kernel/bpf/verifier.c: __mark_reg_const_zero */
export function __mark_reg_const_zero(env: bpf_verifier_env, reg: bpf_reg_state): void {
	__mark_reg_known_zero(reg);
	reg.type = SCALAR_VALUE;
	reg.precise = !env.bpf_capable;
}

/** kernel/bpf/verifier.c: mark_reg_known_zero */
export function mark_reg_known_zero(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
): void {
	if (regno >= MAX_BPF_REG) {
		verbose(env, `mark_reg_known_zero(regs, ${regno})\n`);
		for (let i = 0; i < MAX_BPF_REG; i++) __mark_reg_not_init(env, regs[i]!);
		return;
	}
	__mark_reg_known_zero(regs[regno]!);
}

/** kernel/bpf/verifier.c: __mark_dynptr_reg */
export function __mark_dynptr_reg(
	reg: bpf_reg_state,
	type: number,
	first_slot: boolean,
	dynptr_id: number,
): void {
	__mark_reg_known_zero(reg);
	// Means nothing in a stack slot, but callback arguments need it.
	reg.type = CONST_PTR_TO_DYNPTR;
	reg.id = dynptr_id;
	reg.dynptr_type = type;
	reg.dynptr_first_slot = first_slot;
}

/** kernel/bpf/verifier.c: mark_ptr_not_null_reg */
export function mark_ptr_not_null_reg(reg: bpf_reg_state): void {
	if ((reg.type & 0xff) === PTR_TO_MAP_VALUE) {
		const map = reg.map_ptr!;
		const inner = map.inner_map_meta;

		if (inner) {
			reg.type = CONST_PTR_TO_MAP;
			reg.map_ptr = inner;
			// The id is unique to each lookup: it becomes the inner map's.
			if (inner.record && inner.record.field_mask & (BPF_TIMER | BPF_WORKQUEUE)) reg.map_uid = reg.id;
		} else if (map.map_type === BPF_MAP_TYPE_XSKMAP) {
			reg.type = PTR_TO_XDP_SOCK;
		} else if (map.map_type === BPF_MAP_TYPE_SOCKMAP || map.map_type === BPF_MAP_TYPE_SOCKHASH) {
			reg.type = PTR_TO_SOCKET;
		} else {
			reg.type = PTR_TO_MAP_VALUE;
		}
		return;
	}
	reg.type &= ~PTR_MAYBE_NULL;
}

/** kernel/bpf/verifier.c: mark_reg_graph_node */
export function mark_reg_graph_node(
	regs: readonly bpf_reg_state[],
	regno: number,
	ds_head: btf_field_graph_root,
): void {
	const reg = regs[regno]!;
	__mark_reg_known_zero(reg);
	reg.type = PTR_TO_BTF_ID | MEM_ALLOC;
	reg.btf = ds_head.btf;
	reg.btf_id = ds_head.value_btf_id;
	reg.off = ds_head.node_offset;
}

/** kernel/bpf/verifier.c: reg_is_pkt_pointer */
export function reg_is_pkt_pointer(reg: bpf_reg_state): boolean {
	const t = reg.type & 0xff;
	return t === PTR_TO_PACKET || t === PTR_TO_PACKET_META;
}

/** kernel/bpf/verifier.c: reg_is_pkt_pointer_any */
export function reg_is_pkt_pointer_any(reg: bpf_reg_state): boolean {
	return reg_is_pkt_pointer(reg) || reg.type === PTR_TO_PACKET_END;
}

/** kernel/bpf/verifier.c: reg_is_dynptr_slice_pkt */
export function reg_is_dynptr_slice_pkt(reg: bpf_reg_state): boolean {
	return (reg.type & 0xff) === PTR_TO_MEM && (reg.type & (DYNPTR_TYPE_SKB | DYNPTR_TYPE_XDP)) !== 0;
}

/** kernel/bpf/verifier.c: reg_is_init_pkt_pointer */
export function reg_is_init_pkt_pointer(reg: bpf_reg_state, which: number): boolean {
	return reg.type === which && reg.id === 0 && reg.off === 0 && reg.var_off_equals(0);
}

/** kernel/bpf/verifier.c: __mark_reg_unbounded */
export function __mark_reg_unbounded(reg: bpf_reg_state): void {
	x_of(reg).mark_reg_unbounded(reg.p);
}
/** kernel/bpf/verifier.c: __mark_reg64_unbounded */
export function __mark_reg64_unbounded(reg: bpf_reg_state): void {
	x_of(reg).mark_reg64_unbounded(reg.p);
}
/** kernel/bpf/verifier.c: __mark_reg32_unbounded */
export function __mark_reg32_unbounded(reg: bpf_reg_state): void {
	x_of(reg).mark_reg32_unbounded(reg.p);
}
/** kernel/bpf/verifier.c: __update_reg_bounds */
export function __update_reg_bounds(reg: bpf_reg_state): void {
	x_of(reg).update_reg_bounds(reg.p);
}
/** kernel/bpf/verifier.c: reg_bounds_sync */
export function reg_bounds_sync(reg: bpf_reg_state): void {
	x_of(reg).reg_bounds_sync(reg.p);
}

/** "%#llx" and "%#x": the kernel prefixes zero too. */
function hex64(v: bigint): string {
	return `0x${BigInt.asUintN(64, v).toString(16)}`;
}
function hex32(v: number): string {
	return `0x${(v >>> 0).toString(16)}`;
}

/** kernel/bpf/verifier.c: reg_bounds_sanity_check */
export function reg_bounds_sanity_check(env: bpf_verifier_env, reg: bpf_reg_state, ctx: string): number {
	const why = x_of(reg).bounds_violation(reg.p);
	if (why === 0) return 0;
	const msg =
		why === 1
			? "range bounds violation"
			: why === 2
				? "const tnum out of sync with range bounds"
				: "const subreg tnum out of sync with range bounds";
	verbose(
		env,
		`REG INVARIANTS VIOLATION (${ctx}): ${msg} u64=[${hex64(reg.umin_value)}, ${hex64(reg.umax_value)}] ` +
			`s64=[${hex64(reg.smin_value)}, ${hex64(reg.smax_value)}] ` +
			`u32=[${hex32(reg.u32_min_value)}, ${hex32(reg.u32_max_value)}] ` +
			`s32=[${hex32(reg.s32_min_value)}, ${hex32(reg.s32_max_value)}] ` +
			`var_off=(${hex64(reg.var_off_value)}, ${hex64(reg.var_off_mask)})\n`,
	);
	if (env.test_reg_invariants) return -EFAULT;
	__mark_reg_unbounded(reg);
	return 0;
}

/** kernel/bpf/verifier.c: __reg_assign_32_into_64 */
export function __reg_assign_32_into_64(reg: bpf_reg_state): void {
	x_of(reg).reg_assign_32_into_64(reg.p);
}
/** kernel/bpf/verifier.c: __mark_reg_unknown_imprecise */
export function __mark_reg_unknown_imprecise(reg: bpf_reg_state): void {
	x_of(reg).mark_reg_unknown_imprecise(reg.p);
}
/** kernel/bpf/verifier.c: __mark_reg_unknown */
export function __mark_reg_unknown(env: bpf_verifier_env, reg: bpf_reg_state): void {
	x_of(reg).mark_reg_unknown_imprecise(reg.p);
	if (!env.bpf_capable) reg.precise = true;
}

/** kernel/bpf/verifier.c: mark_reg_unknown */
export function mark_reg_unknown(env: bpf_verifier_env, regs: readonly bpf_reg_state[], regno: number): void {
	if (regno >= MAX_BPF_REG) {
		verbose(env, `mark_reg_unknown(regs, ${regno})\n`);
		for (let i = 0; i < BPF_REG_FP; i++) __mark_reg_not_init(env, regs[i]!);
		return;
	}
	__mark_reg_unknown(env, regs[regno]!);
}

/** kernel/bpf/verifier.c: __mark_reg_s32_range */
export function __mark_reg_s32_range(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
	s32_min: number,
	s32_max: number,
): number {
	const reg = regs[regno]!;
	x_of(reg).mark_reg_s32_range(reg.p, s32_min, s32_max);
	return reg_bounds_sanity_check(env, reg, "s32_range");
}

/** kernel/bpf/verifier.c: __mark_reg_not_init */
export function __mark_reg_not_init(env: bpf_verifier_env, reg: bpf_reg_state): void {
	__mark_reg_unknown(env, reg);
	reg.type = NOT_INIT;
}

/** kernel/bpf/verifier.c: mark_reg_not_init */
export function mark_reg_not_init(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
): void {
	if (regno >= MAX_BPF_REG) {
		verbose(env, `mark_reg_not_init(regs, ${regno})\n`);
		for (let i = 0; i < BPF_REG_FP; i++) __mark_reg_not_init(env, regs[i]!);
		return;
	}
	__mark_reg_not_init(env, regs[regno]!);
}

/** kernel/bpf/verifier.c: mark_btf_ld_reg */
export function mark_btf_ld_reg(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
	reg_type: number,
	btf: btf | null,
	btf_id: number,
	flag: number,
): void {
	if (reg_type === SCALAR_VALUE) {
		mark_reg_unknown(env, regs, regno);
		return;
	}
	mark_reg_known_zero(env, regs, regno);
	const reg = regs[regno]!;
	reg.type = PTR_TO_BTF_ID | flag;
	reg.btf = btf;
	reg.btf_id = btf_id;
	if (flag & PTR_MAYBE_NULL) reg.id = ++env.id_gen;
}

/** kernel/bpf/verifier.c: init_reg_state */
export function init_reg_state(env: bpf_verifier_env, state: bpf_func_state): void {
	const regs = state.regs;
	for (let i = 0; i < MAX_BPF_REG; i++) {
		const reg = regs[i]!;
		__mark_reg_not_init(env, reg);
		reg.live = REG_LIVE_NONE;
		reg.parent = 0;
		reg.subreg_def = DEF_NOT_SUBREG;
	}
	const fp = regs[BPF_REG_FP]!;
	fp.type = PTR_TO_STACK;
	__mark_reg_known_zero(fp);
	fp.frameno = state.frameno;
}

/** kernel/bpf/verifier.c: retval_range */
export function retval_range(minval: number, maxval: number): bpf_retval_range {
	return { minval, maxval };
}

/** kernel/bpf/verifier.c: register_is_null */
export function register_is_null(reg: bpf_reg_state): boolean {
	return reg.type === SCALAR_VALUE && reg.var_off_equals(0);
}

/** kernel/bpf/verifier.c: is_reg_const */
export function is_reg_const(reg: bpf_reg_state, subreg32: boolean): boolean {
	const w = reg.h.i32;
	const p = reg.p;
	if (w[p + R_TYPE] !== SCALAR_VALUE) return false;
	return w[p + R_VAR_MASK] === 0 && (subreg32 || w[p + R_VAR_MASK + 1] === 0);
}

/** kernel/bpf/verifier.c: reg_const_value */
export function reg_const_value(reg: bpf_reg_state, subreg32: boolean): bigint {
	return subreg32 ? BigInt(reg.h.u32[reg.p + R_VAR_VALUE]!) : reg.var_off_value;
}

/** kernel/bpf/verifier.c: __is_pointer_value */
export function __is_pointer_value(allow_ptr_leaks: boolean, reg: bpf_reg_state): boolean {
	return !allow_ptr_leaks && reg.type !== SCALAR_VALUE;
}

/** kernel/bpf/verifier.c: assign_scalar_id_before_mov */
export function assign_scalar_id_before_mov(env: bpf_verifier_env, src_reg: bpf_reg_state): void {
	if (src_reg.type !== SCALAR_VALUE) return;
	if ((src_reg.id & BPF_ADD_CONST) !== 0) {
		// A second addition to a linked register is not tracked.
		src_reg.id = 0;
		src_reg.off = 0;
	}
	// The id goes to dst with the copy, and links the two for sync_linked_regs().
	if (src_reg.id === 0 && !src_reg.var_off_is_const) src_reg.id = ++env.id_gen;
}

/** kernel/bpf/verifier.c: copy_register_state; keeps dst's parent and live */
export function copy_register_state(dst: bpf_reg_state, src: bpf_reg_state): void {
	const w = dst.h.i32;
	const d = dst.p;
	const parent = w[d + R_PARENT]!;
	const live = w[d + R_LIVE]!;
	w.copyWithin(d, src.p, src.p + REG_WORDS);
	w[d + R_PARENT] = parent;
	w[d + R_LIVE] = live;
}

/** kernel/bpf/verifier.c: zext_32_to_64 */
export function zext_32_to_64(reg: bpf_reg_state): void {
	x_of(reg).zext_32_to_64(reg.p);
}
/** kernel/bpf/verifier.c: coerce_reg_to_size; size < 8 */
export function coerce_reg_to_size(reg: bpf_reg_state, size: number): void {
	x_of(reg).coerce_reg_to_size(reg.p, size);
}
/** kernel/bpf/verifier.c: coerce_reg_to_size_sx */
export function coerce_reg_to_size_sx(reg: bpf_reg_state, size: number): void {
	x_of(reg).coerce_reg_to_size_sx(reg.p, size);
}
/** kernel/bpf/verifier.c: coerce_subreg_to_size_sx */
export function coerce_subreg_to_size_sx(reg: bpf_reg_state, size: number): void {
	x_of(reg).coerce_subreg_to_size_sx(reg.p, size);
}

/**
 * kernel/bpf/verifier.c: adjust_scalar_min_max_vals
 *
 * The kernel passes src_reg by value; here it may be dst_reg itself, and is copied then.
 */
export function adjust_scalar_min_max_vals(
	env: bpf_verifier_env,
	insn: bpf_insn,
	dst_reg: bpf_reg_state,
	src_reg: bpf_reg_state,
): number {
	const opcode = insn.code & 0xf0;
	const alu32 = (insn.code & 7) !== BPF_ALU64 ? 1 : 0;
	const x = env.heap.x;

	if (!x.is_safe_to_compute_dst_reg_range(opcode, alu32, src_reg.p)) {
		__mark_reg_unknown(env, dst_reg);
		return 0;
	}
	let src = src_reg;
	if (src.p === dst_reg.p) {
		src = env.heap.scratch_reg;
		src.assign(src_reg);
	}
	if (sanitize_needed(opcode)) {
		const ret = sanitize_val_alu(env, insn);
		if (ret < 0) return sanitize_err(env, insn, ret, null, null);
	}
	if ((opcode === BPF_AND || opcode === BPF_OR) && src.var_off_is_const) {
		const ret = maybe_fork_scalars(env, insn, dst_reg);
		if (ret) return ret;
	}
	x.scalar_alu(opcode, alu32, dst_reg.p, src.p);
	return 0;
}

/** kernel/bpf/verifier.c: is_scalar_branch_taken; 1 taken, 0 not, -1 unknown */
export function is_scalar_branch_taken(
	reg1: bpf_reg_state,
	reg2: bpf_reg_state,
	opcode: number,
	is_jmp32: boolean,
): number {
	return x_of(reg1).is_scalar_branch_taken(reg1.p, reg2.p, opcode, is_jmp32 ? 1 : 0);
}

/** kernel/bpf/verifier.c: flip_opcode; a <op> b as b <op'> a */
export function flip_opcode(opcode: number): number {
	switch (opcode) {
		case BPF_JEQ:
		case BPF_JNE:
		case BPF_JSET:
			return opcode;
		case BPF_JGE:
			return BPF_JLE;
		case BPF_JGT:
			return BPF_JLT;
		case BPF_JLE:
			return BPF_JGE;
		case BPF_JLT:
			return BPF_JGT;
		case BPF_JSGE:
			return BPF_JSLE;
		case BPF_JSGT:
			return BPF_JSLT;
		case BPF_JSLE:
			return BPF_JSGE;
		case BPF_JSLT:
			return BPF_JSGT;
		default:
			return 0;
	}
}

/** kernel/bpf/verifier.c: rev_opcode; the condition of the branch not taken */
export function rev_opcode(opcode: number): number {
	switch (opcode) {
		case BPF_JEQ:
			return BPF_JNE;
		case BPF_JNE:
			return BPF_JEQ;
		// JSET has no reverse: BPF_X marks it.
		case BPF_JSET:
			return BPF_JSET | BPF_X;
		case BPF_JSET | BPF_X:
			return BPF_JSET;
		case BPF_JGE:
			return BPF_JLT;
		case BPF_JGT:
			return BPF_JLE;
		case BPF_JLE:
			return BPF_JGT;
		case BPF_JLT:
			return BPF_JGE;
		case BPF_JSGE:
			return BPF_JSLT;
		case BPF_JSGT:
			return BPF_JSLE;
		case BPF_JSLE:
			return BPF_JSGT;
		case BPF_JSLT:
			return BPF_JSGE;
		default:
			return 0;
	}
}

/** kernel/bpf/verifier.c: regs_refine_cond_op */
export function regs_refine_cond_op(
	reg1: bpf_reg_state,
	reg2: bpf_reg_state,
	opcode: number,
	is_jmp32: boolean,
): void {
	x_of(reg1).regs_refine_cond_op(reg1.p, reg2.p, opcode, is_jmp32 ? 1 : 0);
}

/** kernel/bpf/verifier.c: reg_set_min_max */
export function reg_set_min_max(
	env: bpf_verifier_env,
	true_reg1: bpf_reg_state,
	true_reg2: bpf_reg_state,
	false_reg1: bpf_reg_state,
	false_reg2: bpf_reg_state,
	opcode: number,
	is_jmp32: boolean,
): number {
	if (false_reg1.type !== SCALAR_VALUE || false_reg2.type !== SCALAR_VALUE) return 0;
	const bad = env.heap.x.reg_set_min_max(
		true_reg1.p,
		true_reg2.p,
		false_reg1.p,
		false_reg2.p,
		opcode,
		is_jmp32 ? 1 : 0,
	);
	if (bad === 0) return 0;
	return (
		reg_bounds_sanity_check(env, true_reg1, "true_reg1") ||
		reg_bounds_sanity_check(env, true_reg2, "true_reg2") ||
		reg_bounds_sanity_check(env, false_reg1, "false_reg1") ||
		reg_bounds_sanity_check(env, false_reg2, "false_reg2")
	);
}
