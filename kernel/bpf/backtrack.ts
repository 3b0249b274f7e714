// SPDX-License-Identifier: GPL-2.0-only
/**
 * Instruction history and precision tracking: back from where a scalar's exact value mattered, through
 * this state and its parents, to what that value was made of (kernel/bpf/verifier.c).
 */
import { SCALAR_VALUE } from "../../include/linux/bpf.ts";
import {
	BPF_LOG_LEVEL2,
	BPF_REGMASK_ARGS,
	INSN_F_DST_REG_STACK,
	INSN_F_FRAMENO_MASK,
	INSN_F_SPI_MASK,
	INSN_F_SPI_SHIFT,
	INSN_F_SRC_REG_STACK,
	INSN_F_STACK_ACCESS,
	MAX_CALL_FRAMES,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { BPF_REG_FP } from "../../include/linux/filter.ts";
import { EFAULT, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_CALL,
	BPF_END,
	BPF_EXIT,
	BPF_JMP32,
	BPF_MOV,
	BPF_PSEUDO_KFUNC_CALL,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_5,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ALU,
	BPF_IND,
	BPF_JMP,
	BPF_LD,
	BPF_LDX,
	BPF_NEG,
	BPF_ST,
	BPF_STX,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { btf_name_by_offset, btf_type_by_id } from "./btf.ts";
import { calls_callback } from "./cfg.ts";
import { type bpf_insn_cbs, print_bpf_insn } from "./disasm.ts";
import { print_verifier_state, verbose } from "./log.ts";
import { bpf_pseudo_call, is_sync_callback_calling_insn, subprog_is_global } from "./predicates.ts";
import { R_PRECISE, R_TYPE, REG_WORDS, SLOT_TYPE, STACK_WORDS } from "./reg_state.ts";
import { BPF_MAIN_FUNC } from "./states.ts";
import { find_kfunc_desc_btf, find_subprog } from "./subprogs.ts";
import type {
	backtrack_state,
	bpf_insn_hist_entry,
	bpf_verifier_env,
	bpf_verifier_state,
} from "./verifier_types.ts";

/** kernel/bpf/verifier.c: insn_stack_access_flags */
export function insn_stack_access_flags(frameno: number, spi: number): number {
	return INSN_F_STACK_ACCESS | (spi << INSN_F_SPI_SHIFT) | frameno;
}
/** kernel/bpf/verifier.c: insn_stack_access_spi */
function insn_stack_access_spi(insn_flags: number): number {
	return (insn_flags >> INSN_F_SPI_SHIFT) & INSN_F_SPI_MASK;
}
/** kernel/bpf/verifier.c: insn_stack_access_frameno */
function insn_stack_access_frameno(insn_flags: number): number {
	return insn_flags & INSN_F_FRAMENO_MASK;
}

/** kernel/bpf/verifier.c: mark_jmp_point */
export function mark_jmp_point(env: bpf_verifier_env, idx: number): void {
	env.insn_aux_data[idx]!.jmp_point = true;
}
/** kernel/bpf/verifier.c: is_jmp_point */
export function is_jmp_point(env: bpf_verifier_env, insn_idx: number): boolean {
	return env.insn_aux_data[insn_idx]!.jmp_point;
}

export const LINKED_REGS_MAX = 6;

/** struct linked_reg; `spi` is the register's number when is_reg */
export interface linked_reg {
	frameno: number;
	spi: number;
	is_reg: boolean;
}

/** struct linked_regs */
export interface linked_regs {
	cnt: number;
	entries: linked_reg[];
}

/** kernel/bpf/verifier.c: linked_regs_push; null when there is no room */
export function linked_regs_push(s: linked_regs): linked_reg | null {
	if (s.cnt >= LINKED_REGS_MAX) return null;
	const i = s.cnt++;
	let e = s.entries[i];
	if (e === undefined) {
		e = { frameno: 0, spi: 0, is_reg: false };
		s.entries.push(e);
	}
	return e;
}

/**
 * kernel/bpf/verifier.c: linked_regs_pack
 *
 *   63 … 54   …   13 … 4   3 … 0      an entry:  9       8 … 3        2 … 0
 *   first         last     count                 is_reg  spi or reg   frame
 */
export function linked_regs_pack(s: linked_regs): bigint {
	let val = 0n;
	for (let i = 0; i < s.cnt; i++) {
		const e = s.entries[i]!;
		val = (val << 10n) | BigInt(e.frameno | (e.spi << 3) | (e.is_reg ? 1 << 9 : 0));
	}
	return BigInt.asUintN(64, (val << 4n) | BigInt(s.cnt));
}

/** kernel/bpf/verifier.c: linked_regs_unpack; the last entry comes first */
export function linked_regs_unpack(packed: bigint): linked_regs {
	const cnt = Number(packed & 15n);
	const entries: linked_reg[] = [];
	let val = packed >> 4n;
	for (let i = 0; i < cnt; i++) {
		const e = Number(val & 1023n);
		entries.push({ frameno: e & 7, spi: (e >> 3) & 63, is_reg: e >> 9 !== 0 });
		val >>= 10n;
	}
	return { cnt, entries };
}

/** kernel/bpf/verifier.c: push_insn_history */
export function push_insn_history(
	env: bpf_verifier_env,
	cur: bpf_verifier_state,
	insn_flags: number,
	linked_regs: bigint,
): number {
	const ent = env.cur_hist_ent;
	if (ent) {
		// Atomic instructions come twice, for the read and for the write.
		const both = ent.flags & insn_flags;
		if (both && both !== insn_flags)
			env.kernel.printk(
				`verifier insn history bug: insn_idx ${env.insn_idx} cur flags ${ent.flags.toString(16)} new flags ${insn_flags.toString(16)}`,
			);
		ent.flags = (ent.flags | insn_flags) & 0xfff;
		ent.linked_regs = linked_regs;
		return 0;
	}
	const hist = env.insn_hist;
	const at = cur.insn_hist_end;
	let p = hist[at];
	if (p === undefined) {
		p = { idx: 0, prev_idx: 0, flags: 0, linked_regs: 0n };
		while (hist.length < at) hist.push({ idx: 0, prev_idx: 0, flags: 0, linked_regs: 0n });
		hist[at] = p;
	}
	p.idx = env.insn_idx;
	p.prev_idx = env.prev_insn_idx & 0xfffff;
	p.flags = insn_flags & 0xfff;
	p.linked_regs = linked_regs;
	cur.insn_hist_end = at + 1;
	env.cur_hist_ent = p;
	return 0;
}

/** kernel/bpf/verifier.c: disasm_kfunc_name */
export function disasm_kfunc_name(env: bpf_verifier_env, insn: bpf_insn): string | null {
	if (insn.src_reg !== BPF_PSEUDO_KFUNC_CALL) return null;
	const desc_btf = find_kfunc_desc_btf(env, insn.off);
	if (IS_ERR(desc_btf) || typeof desc_btf === "number") return "<error>";
	return btf_name_by_offset(desc_btf, btf_type_by_id(desc_btf, insn.imm)!.name_off);
}

/** How the verifier's log prints instructions. */
export function verifier_insn_cbs(env: bpf_verifier_env): bpf_insn_cbs<bpf_verifier_env, bpf_insn> {
	return { cb_call: disasm_kfunc_name, cb_print: verbose, private_data: env };
}

/** A zeroed struct backtrack_state. */
export function new_backtrack_state(): backtrack_state {
	return {
		frame: 0,
		reg_masks: new Uint32Array(MAX_CALL_FRAMES),
		stack_masks: new Uint32Array(2 * MAX_CALL_FRAMES),
	};
}

function bt_reset(bt: backtrack_state): void {
	bt.frame = 0;
	bt.reg_masks.fill(0);
	bt.stack_masks.fill(0);
}

function bt_empty(bt: backtrack_state): boolean {
	let mask = 0;
	for (let i = 0; i <= bt.frame; i++)
		mask |= bt.reg_masks[i]! | bt.stack_masks[2 * i]! | bt.stack_masks[2 * i + 1]!;
	return mask === 0;
}

function bt_subprog_enter(env: bpf_verifier_env, bt: backtrack_state): number {
	if (bt.frame === MAX_CALL_FRAMES - 1) {
		verbose(env, `BUG subprog enter from frame ${bt.frame}\n`);
		backtracking_bug(env);
		return -EFAULT;
	}
	bt.frame++;
	return 0;
}

function bt_subprog_exit(env: bpf_verifier_env, bt: backtrack_state): number {
	if (bt.frame === 0) {
		verbose(env, "BUG subprog exit from frame 0\n");
		backtracking_bug(env);
		return -EFAULT;
	}
	bt.frame--;
	return 0;
}

/** kernel/bpf/verifier.c: bt_set_frame_reg */
export function bt_set_frame_reg(bt: backtrack_state, frame: number, reg: number): void {
	bt.reg_masks[frame]! |= 1 << reg;
}
function bt_clear_frame_reg(bt: backtrack_state, frame: number, reg: number): void {
	bt.reg_masks[frame]! &= ~(1 << reg);
}
function bt_set_reg(bt: backtrack_state, reg: number): void {
	bt.reg_masks[bt.frame]! |= 1 << reg;
}
function bt_clear_reg(bt: backtrack_state, reg: number): void {
	bt.reg_masks[bt.frame]! &= ~(1 << reg);
}
/** kernel/bpf/verifier.c: bt_set_frame_slot */
export function bt_set_frame_slot(bt: backtrack_state, frame: number, slot: number): void {
	bt.stack_masks[2 * frame + (slot >> 5)]! |= 1 << (slot & 31);
}
function bt_clear_frame_slot(bt: backtrack_state, frame: number, slot: number): void {
	bt.stack_masks[2 * frame + (slot >> 5)]! &= ~(1 << (slot & 31));
}
function bt_reg_mask(bt: backtrack_state): number {
	return bt.reg_masks[bt.frame]!;
}
function bt_stack_is_zero(bt: backtrack_state): boolean {
	return (bt.stack_masks[2 * bt.frame]! | bt.stack_masks[2 * bt.frame + 1]!) === 0;
}
function bt_is_reg_set(bt: backtrack_state, reg: number): boolean {
	return (bt.reg_masks[bt.frame]! & (1 << reg)) !== 0;
}
function bt_is_frame_reg_set(bt: backtrack_state, frame: number, reg: number): boolean {
	return (bt.reg_masks[frame]! & (1 << reg)) !== 0;
}
function bt_is_frame_slot_set(bt: backtrack_state, frame: number, slot: number): boolean {
	return (bt.stack_masks[2 * frame + (slot >> 5)]! & (1 << (slot & 31))) !== 0;
}

/** kernel/bpf/verifier.c: fmt_reg_mask; "r0,r2,r4" for 0x15 */
function fmt_reg_mask(mask: number): string {
	let s = "";
	for (let i = 0; i < 32; i++) if ((mask >>> i) & 1) s += s ? `,r${i}` : `r${i}`;
	return s;
}

/** kernel/bpf/verifier.c: fmt_stack_mask; "-8,-24,-40" for 0x15 */
export function fmt_stack_mask(lo: number, hi: number): string {
	let s = "";
	for (let i = 0; i < 64; i++)
		if (((i < 32 ? lo : hi) >>> (i & 31)) & 1) s += s ? `,${-(i + 1) * 8}` : `${-(i + 1) * 8}`;
	return s;
}

function stack_mask_hex(bt: backtrack_state): string {
	const v = (BigInt(bt.stack_masks[2 * bt.frame + 1]!) << 32n) | BigInt(bt.stack_masks[2 * bt.frame]!);
	return v.toString(16);
}

function backtracking_bug(env: bpf_verifier_env, what = ""): void {
	env.kernel.printk(`verifier backtracking bug${what}`);
}

/** "BUG regs …": registers are wanted where none can be. */
function bug_regs(env: bpf_verifier_env, bt: backtrack_state): number {
	verbose(env, `BUG regs ${bt_reg_mask(bt).toString(16)}\n`);
	backtracking_bug(env);
	return -EFAULT;
}

/** kernel/bpf/verifier.c: bt_sync_linked_regs: if one register of a linked set is wanted, all are */
function bt_sync_linked_regs(bt: backtrack_state, hist: bpf_insn_hist_entry | null): void {
	if (hist === null || hist.linked_regs === 0n) return;
	const { entries } = linked_regs_unpack(hist.linked_regs);
	const some_precise = entries.some((e) =>
		e.is_reg ? bt_is_frame_reg_set(bt, e.frameno, e.spi) : bt_is_frame_slot_set(bt, e.frameno, e.spi),
	);
	if (!some_precise) return;
	for (const e of entries) {
		if (e.is_reg) bt_set_frame_reg(bt, e.frameno, e.spi);
		else bt_set_frame_slot(bt, e.frameno, e.spi);
	}
}

/** The part of backtrack_insn() for calls, exits and jumps. */
function backtrack_jmp(
	env: bpf_verifier_env,
	insn: bpf_insn,
	idx: number,
	subseq_idx: number,
	hist: bpf_insn_hist_entry | null,
	bt: backtrack_state,
): number | undefined {
	const opcode = insn.code & 0xf0;

	if (bpf_pseudo_call(insn)) {
		const subprog = find_subprog(env, idx + insn.imm + 1);
		if (subprog < 0) return -EFAULT;

		if (subprog_is_global(env, subprog)) {
			// Global functions are verified on their own: the history never enters them.
			if (idx + 1 !== subseq_idx) backtracking_bug(env);
			if (bt_reg_mask(bt) & BPF_REGMASK_ARGS) return bug_regs(env, bt);
			bt_clear_reg(bt, BPF_REG_0);
			return 0;
		}
		// Backwards this leaves the callee: only its arguments can still be wanted.
		if (bt_reg_mask(bt) & ~BPF_REGMASK_ARGS) return bug_regs(env, bt);
		if (!bt_stack_is_zero(bt)) {
			verbose(env, `BUG stack slots ${stack_mask_hex(bt)}\n`);
			backtracking_bug(env, " (subprog leftover stack slots)");
			return -EFAULT;
		}
		for (let i = BPF_REG_1; i <= BPF_REG_5; i++) {
			if (bt_is_reg_set(bt, i)) {
				bt_clear_reg(bt, i);
				bt_set_frame_reg(bt, bt.frame - 1, i);
			}
		}
		return bt_subprog_exit(env, bt) ? -EFAULT : 0;
	}
	if (is_sync_callback_calling_insn(env, insn) && idx !== subseq_idx - 1) {
		// Backwards out of a callback; r1 - r5 were not passed by the caller, and are not wanted there.
		if (bt_reg_mask(bt) & ~BPF_REGMASK_ARGS) return bug_regs(env, bt);
		if (!bt_stack_is_zero(bt)) {
			verbose(env, `BUG stack slots ${stack_mask_hex(bt)}\n`);
			backtracking_bug(env, " (callback leftover stack slots)");
			return -EFAULT;
		}
		for (let i = BPF_REG_1; i <= BPF_REG_5; i++) bt_clear_reg(bt, i);
		return bt_subprog_exit(env, bt) ? -EFAULT : 0;
	}
	if (opcode === BPF_CALL) {
		// An invalid kfunc, which fixup_kfunc_call() will report.
		if (insn.src_reg === BPF_PSEUDO_KFUNC_CALL && insn.imm === 0) return -ENOTSUPP;
		bt_clear_reg(bt, BPF_REG_0);
		if (bt_reg_mask(bt) & BPF_REGMASK_ARGS) return bug_regs(env, bt);
		return undefined;
	}
	if (opcode === BPF_EXIT) {
		// Backwards into a callee or a callback, whose r1 - r5 its caller sets.
		if (subseq_idx >= 0 && calls_callback(env, subseq_idx))
			for (let i = BPF_REG_1; i <= BPF_REG_5; i++) bt_clear_reg(bt, i);
		if (bt_reg_mask(bt) & BPF_REGMASK_ARGS) return bug_regs(env, bt);

		// r0 is the callee's, unless it was a callback.
		const r0_precise =
			subseq_idx - 1 >= 0 &&
			bpf_pseudo_call(env.prog.insnsi[subseq_idx - 1]!) &&
			bt_is_reg_set(bt, BPF_REG_0);
		bt_clear_reg(bt, BPF_REG_0);
		if (bt_subprog_enter(env, bt)) return -EFAULT;
		if (r0_precise) bt_set_reg(bt, BPF_REG_0);
		return 0;
	}
	if (insn.code & BPF_X) {
		const { dst_reg: dreg, src_reg: sreg } = insn;
		if (!bt_is_reg_set(bt, dreg) && !bt_is_reg_set(bt, sreg)) return 0;
		// The comparison told something of the one by the other.
		if (hist === null || !(hist.flags & INSN_F_SRC_REG_STACK)) bt_set_reg(bt, sreg);
		if (hist === null || !(hist.flags & INSN_F_DST_REG_STACK)) bt_set_reg(bt, dreg);
	}
	return undefined;
}

/**
 * kernel/bpf/verifier.c: backtrack_insn: what was wanted after the instruction becomes what is wanted
 * before it. `subseq_idx` is the instruction that ran next.
 */
function backtrack_insn(
	env: bpf_verifier_env,
	idx: number,
	subseq_idx: number,
	hist: bpf_insn_hist_entry | null,
	bt: backtrack_state,
): number {
	const insn = env.prog.insnsi[idx]!;
	const cls = insn.code & 7;
	const opcode = insn.code & 0xf0;
	const dreg = insn.dst_reg;
	const sreg = insn.src_reg;

	if (insn.code === 0) return 0;
	if (env.log.level & BPF_LOG_LEVEL2) {
		verbose(env, `mark_precise: frame${bt.frame}: regs=${fmt_reg_mask(bt_reg_mask(bt))} `);
		verbose(
			env,
			`stack=${fmt_stack_mask(bt.stack_masks[2 * bt.frame]!, bt.stack_masks[2 * bt.frame + 1]!)} before `,
		);
		verbose(env, `${idx}: `);
		print_bpf_insn(verifier_insn_cbs(env), insn, env.allow_ptr_leaks, env.prog.insnsi[idx + 1]);
	}
	// Registers that got their range here, from one that is wanted …
	bt_sync_linked_regs(bt, hist);

	switch (cls) {
		case BPF_ALU:
		case BPF_ALU64:
			if (!bt_is_reg_set(bt, dreg)) return 0;
			if (opcode === BPF_END || opcode === BPF_NEG) return 0;
			if (opcode === BPF_MOV) bt_clear_reg(bt, dreg);
			if (insn.code & BPF_X && sreg !== BPF_REG_FP) bt_set_reg(bt, sreg);
			break;
		case BPF_LDX:
			if (!bt_is_reg_set(bt, dreg)) return 0;
			bt_clear_reg(bt, dreg);
			// Only a fill from the stack leads further.
			if (hist === null || !(hist.flags & INSN_F_STACK_ACCESS)) return 0;
			bt_set_frame_slot(bt, insn_stack_access_frameno(hist.flags), insn_stack_access_spi(hist.flags));
			break;
		case BPF_STX:
		case BPF_ST: {
			// A scalar as address: pointers were subtracted.
			if (bt_is_reg_set(bt, dreg)) return -ENOTSUPP;
			if (hist === null || !(hist.flags & INSN_F_STACK_ACCESS)) return 0;
			const spi = insn_stack_access_spi(hist.flags);
			const fr = insn_stack_access_frameno(hist.flags);
			if (!bt_is_frame_slot_set(bt, fr, spi)) return 0;
			bt_clear_frame_slot(bt, fr, spi);
			if (cls === BPF_STX) bt_set_reg(bt, sreg);
			break;
		}
		case BPF_JMP:
		case BPF_JMP32: {
			const ret = backtrack_jmp(env, insn, idx, subseq_idx, hist, bt);
			if (ret !== undefined) return ret;
			break;
		}
		case BPF_LD: {
			if (!bt_is_reg_set(bt, dreg)) return 0;
			bt_clear_reg(bt, dreg);
			const mode = insn.code & 0xe0;
			if (mode === BPF_IND || mode === BPF_ABS) return -ENOTSUPP;
			break;
		}
		default:
			break;
	}
	// … and those linked to registers that are wanted now.
	bt_sync_linked_regs(bt, hist);
	return 0;
}

/** kernel/bpf/verifier.c: mark_all_scalars_precise, in all parents of the state */
function mark_all_scalars_precise(env: bpf_verifier_env, cur: bpf_verifier_state): void {
	const { i32, u8 } = env.heap;
	const log2 = (env.log.level & BPF_LOG_LEVEL2) !== 0;
	if (log2) verbose(env, `mark_precise: frame${cur.curframe}: falling back to forcing all scalars precise\n`);
	for (let st = cur.parent; st; st = st.parent) {
		for (let i = 0; i <= st.curframe; i++) {
			const func = st.frame[i]!;
			for (let j = 0, p = func.regs_p; j < BPF_REG_FP; j++, p += REG_WORDS) {
				if (i32[p + R_TYPE] !== SCALAR_VALUE || i32[p + R_PRECISE] !== 0) continue;
				i32[p + R_PRECISE] = 1;
				if (log2) verbose(env, `force_precise: frame${i}: forcing r${j} to be precise\n`);
			}
			const slots = func.allocated_stack >> 3;
			for (let j = 0, p = func.stack_p; j < slots; j++, p += STACK_WORDS) {
				if (u8[((p + SLOT_TYPE) << 2) + 7] !== STACK_SPILL) continue;
				if (i32[p + R_TYPE] !== SCALAR_VALUE || i32[p + R_PRECISE] !== 0) continue;
				i32[p + R_PRECISE] = 1;
				if (log2) verbose(env, `force_precise: frame${i}: forcing fp${-(j + 1) * 8} to be precise\n`);
			}
		}
	}
}

/** kernel/bpf/verifier.c: mark_all_scalars_imprecise */
export function mark_all_scalars_imprecise(env: bpf_verifier_env, st: bpf_verifier_state): void {
	for (let i = 0; i <= st.curframe; i++) {
		const func = st.frame[i]!;
		env.heap.x.mark_scalars_imprecise(func.regs_p, func.stack_p, func.allocated_stack >> 3);
	}
}

/** At the entry of a global function: only its scalar arguments may be wanted. */
function precise_at_entry(env: bpf_verifier_env, st: bpf_verifier_state, bt: backtrack_state): number {
	const i32 = env.heap.i32;
	const f0 = st.frame[0]!;
	const mask = bt_reg_mask(bt);
	if (
		st.curframe === 0 &&
		f0.subprogno > 0 &&
		f0.callsite === BPF_MAIN_FUNC &&
		bt_stack_is_zero(bt) &&
		(mask & ~BPF_REGMASK_ARGS) === 0
	) {
		for (let i = 0; i < 32; i++) {
			if (!((mask >>> i) & 1)) continue;
			bt_clear_reg(bt, i);
			const p = f0.regs_p + i * REG_WORDS;
			if (i32[p + R_TYPE] === SCALAR_VALUE) i32[p + R_PRECISE] = 1;
		}
		return 0;
	}
	verbose(
		env,
		`BUG backtracking func entry subprog ${f0.subprogno} reg_mask ${mask.toString(16)} stack_mask ${stack_mask_hex(bt)}\n`,
	);
	backtracking_bug(env);
	return -EFAULT;
}

/** Mark what is wanted in a checkpointed state; what was precise already needs no going further. */
function precise_in_parent(env: bpf_verifier_env, st: bpf_verifier_state, bt: backtrack_state): number {
	const { i32, u8 } = env.heap;
	for (let fr = bt.frame; fr >= 0; fr--) {
		const func = st.frame[fr]!;
		for (let mask = bt.reg_masks[fr]!; mask !== 0; mask &= mask - 1) {
			const i = 31 - Math.clz32(mask & -mask);
			const p = func.regs_p + i * REG_WORDS;
			if (i32[p + R_TYPE] !== SCALAR_VALUE || i32[p + R_PRECISE] !== 0) bt_clear_frame_reg(bt, fr, i);
			else i32[p + R_PRECISE] = 1;
		}
		const slots = func.allocated_stack >> 3;
		for (let half = 0; half < 2; half++) {
			for (let mask = bt.stack_masks[2 * fr + half]!; mask !== 0; mask &= mask - 1) {
				const i = 32 * half + 31 - Math.clz32(mask & -mask);
				if (i >= slots) {
					verbose(env, `BUG backtracking (stack slot ${i}, total slots ${slots})\n`);
					backtracking_bug(env, " (stack slot out of bounds)");
					return -EFAULT;
				}
				const p = func.stack_p + i * STACK_WORDS;
				if (
					u8[((p + SLOT_TYPE) << 2) + 7] !== STACK_SPILL ||
					i32[p + R_TYPE] !== SCALAR_VALUE ||
					i32[p + R_PRECISE] !== 0
				)
					bt_clear_frame_slot(bt, fr, i);
				else i32[p + R_PRECISE] = 1;
			}
		}
		if (env.log.level & BPF_LOG_LEVEL2) {
			verbose(env, `mark_precise: frame${fr}: parent state regs=${fmt_reg_mask(bt.reg_masks[fr]!)} `);
			verbose(env, `stack=${fmt_stack_mask(bt.stack_masks[2 * fr]!, bt.stack_masks[2 * fr + 1]!)}: `);
			print_verifier_state(env, func, true);
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: __mark_chain_precision */
function __mark_chain_precision(env: bpf_verifier_env, regno: number): number {
	const bt = env.bt;
	const hist = env.insn_hist;
	let st: bpf_verifier_state | null = env.cur_state!;
	let first_idx = st.first_insn_idx;
	let last_idx = env.insn_idx;
	let subseq_idx = -1;
	let skip_first = true;

	if (!env.bpf_capable) return 0;

	bt.frame = st.curframe;
	// The current state itself needs no marks: it matters only once it is a checkpoint.
	if (regno >= 0) {
		if (env.heap.i32[st.frame[bt.frame]!.regs_p + regno * REG_WORDS + R_TYPE] !== SCALAR_VALUE) {
			env.kernel.printk("backtracing misuse");
			return -EFAULT;
		}
		bt_set_reg(bt, regno);
	}
	if (bt_empty(bt)) return 0;

	for (;;) {
		const hist_start: number = st.insn_hist_start;
		let hist_end: number = st.insn_hist_end;

		if (env.log.level & BPF_LOG_LEVEL2)
			verbose(
				env,
				`mark_precise: frame${bt.frame}: last_idx ${last_idx} first_idx ${first_idx} subseq_idx ${subseq_idx} \n`,
			);
		if (last_idx < 0) return precise_at_entry(env, st, bt);

		for (let i = last_idx; ; ) {
			const top: bpf_insn_hist_entry | null = hist_end > hist_start ? hist[hist_end - 1]! : null;
			const ent = top !== null && top.idx === i ? top : null;
			let err = 0;
			if (skip_first) skip_first = false;
			else err = backtrack_insn(env, i, subseq_idx, ent, bt);
			if (err === -ENOTSUPP) {
				mark_all_scalars_precise(env, env.cur_state!);
				bt_reset(bt);
				return 0;
			}
			if (err) return err;
			// All that was wanted was assigned in this state.
			if (bt_empty(bt)) return 0;
			subseq_idx = i;

			// get_prev_insn_idx: the history says where a jump came from, else it is the one before
			const cnt = hist_end - hist_start;
			if (i === st.first_insn_idx && (cnt === 0 || (cnt === 1 && ent !== null))) break;
			if (ent !== null) {
				hist_end--;
				i = ent.prev_idx;
			} else {
				i--;
			}
			if (i < 0 || i >= env.prog.len) {
				// Instruction 0 was passed and something is still wanted.
				verbose(env, `BUG backtracking idx ${i}\n`);
				backtracking_bug(env);
				return -EFAULT;
			}
		}
		st = st.parent;
		if (st === null) break;

		const err = precise_in_parent(env, st, bt);
		if (err) return err;
		if (bt_empty(bt)) return 0;

		subseq_idx = first_idx;
		last_idx = st.last_insn_idx;
		first_idx = st.first_insn_idx;
	}

	// Something was missed, a stack access through another register than r10 perhaps.
	if (!bt_empty(bt)) {
		mark_all_scalars_precise(env, env.cur_state!);
		bt_reset(bt);
	}
	return 0;
}

/** kernel/bpf/verifier.c: mark_chain_precision */
export function mark_chain_precision(env: bpf_verifier_env, regno: number): number {
	return __mark_chain_precision(env, regno);
}

/** kernel/bpf/verifier.c: mark_chain_precision_batch; env->bt says what is wanted */
export function mark_chain_precision_batch(env: bpf_verifier_env): number {
	return __mark_chain_precision(env, -1);
}
