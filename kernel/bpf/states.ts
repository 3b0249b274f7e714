// SPDX-License-Identifier: GPL-2.0-only
/** Verifier states: their copies, the stack of branches to explore, and pruning (kernel/bpf/verifier.c). */
import { SCALAR_VALUE } from "../../include/linux/bpf.ts";
import {
	BPF_ITER_STATE_ACTIVE,
	BPF_LOG_LEVEL2,
	BPF_REG_SIZE,
	REG_LIVE_DONE,
	REG_LIVE_READ,
	STACK_ITER,
	STACK_SPILL,
} from "../../include/linux/bpf_verifier.ts";
import { BPF_REG_FP } from "../../include/linux/filter.ts";
import { EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import { __MAX_BPF_REG, BPF_REG_1, BPF_REG_6 } from "../../include/uapi/linux/bpf.ts";
import type { Ref } from "../../lib/err.ts";
import {
	bt_set_frame_reg,
	bt_set_frame_slot,
	is_jmp_point,
	mark_all_scalars_imprecise,
	mark_chain_precision_batch,
	push_insn_history,
} from "./backtrack.ts";
import { calls_callback, is_force_checkpoint } from "./cfg.ts";
import type { VerifierHeap } from "./heap.ts";
import { clean_live_states, propagate_liveness } from "./liveness.ts";
import {
	bpf_vlog_reset,
	mark_verifier_state_scratched,
	print_verifier_state,
	verbose,
	verbose_linfo,
} from "./log.ts";
import { is_may_goto_insn_at } from "./predicates.ts";
import {
	bpf_reg_state,
	bpf_stack_state,
	R_LIVE,
	R_PRECISE,
	R_RAW2_HI,
	R_TYPE,
	REG_WORDS,
	SLOT_TYPE,
	STACK_WORDS,
} from "./reg_state.ts";
import { init_reg_state, MAX_BPF_REG, retval_range } from "./regs.ts";
import { __get_spi, func } from "./stack.ts";
import type {
	bpf_active_lock,
	bpf_func_state,
	bpf_reference_state,
	bpf_retval_range,
	bpf_verifier_env,
	bpf_verifier_stack_elem,
	bpf_verifier_state,
	bpf_verifier_state_list,
} from "./verifier_types.ts";

export { retval_range } from "./regs.ts";

export const BPF_COMPLEXITY_LIMIT_JMP_SEQ = 8192;
export const BPF_COMPLEXITY_LIMIT_STATES = 64;
/** callsite of a frame that no instruction called */
export const BPF_MAIN_FUNC = -1;

// enum exact_level
export const NOT_EXACT = 0;
export const EXACT = 1;
export const RANGE_WITHIN = 2;

const FRAME_REG_WORDS = __MAX_BPF_REG * REG_WORDS;
const NO_REFS: bpf_reference_state[] = [];
const NO_RANGE: bpf_retval_range = { minval: 0, maxval: 0 };

/** A frame on the heap. Handles on its registers are made when first asked for. */
class FuncState implements bpf_func_state {
	readonly heap: VerifierHeap;
	readonly regs_p: number;
	callsite = 0;
	frameno = 0;
	subprogno = 0;
	async_entry_cnt = 0;
	callback_ret_range: bpf_retval_range = NO_RANGE;
	in_callback_fn = false;
	in_async_callback_fn = false;
	in_exception_callback_fn = false;
	callback_depth = 0;
	refs: bpf_reference_state[] = [];
	allocated_stack = 0;
	stack_p = 0;
	/** Slots that the block at stack_p has room for. */
	stack_cap = 0;
	private reg_handles: bpf_reg_state[] | null = null;
	private slot_handles: bpf_stack_state[] = [];

	constructor(heap: VerifierHeap) {
		this.heap = heap;
		this.regs_p = heap.alloc_raw(FRAME_REG_WORDS);
	}
	get regs(): readonly bpf_reg_state[] {
		let regs = this.reg_handles;
		if (regs === null) {
			regs = [];
			for (let i = 0; i < MAX_BPF_REG; i++)
				regs.push(new bpf_reg_state(this.heap, this.regs_p + i * REG_WORDS));
			this.reg_handles = regs;
		}
		return regs;
	}
	stack(spi: number): bpf_stack_state {
		const p = this.stack_p + spi * STACK_WORDS;
		let h = this.slot_handles[spi];
		if (h === undefined || h.p !== p) {
			h = new bpf_stack_state(this.heap, p);
			while (this.slot_handles.length < spi)
				this.slot_handles.push(
					new bpf_stack_state(this.heap, this.stack_p + this.slot_handles.length * STACK_WORDS),
				);
			this.slot_handles[spi] = h;
		}
		return h;
	}
	/** Make room for `n` slots; what the stack held is kept when `keep`. */
	reserve(n: number, keep: boolean): void {
		if (n <= this.stack_cap) return;
		const cap = keep ? Math.max(n, Math.min(this.stack_cap * 2, 64)) : n;
		const heap = this.heap;
		const p = heap.alloc_raw(cap * STACK_WORDS);
		const old = this.stack_p;
		if (keep && old !== 0) heap.i32.copyWithin(p, old, old + (this.allocated_stack >> 3) * STACK_WORDS);
		if (old !== 0) heap.free(old, this.stack_cap * STACK_WORDS);
		this.stack_p = p;
		this.stack_cap = cap;
	}
}

/** struct bpf_verifier_state, zeroed */
class VerifierState implements bpf_verifier_state {
	readonly frame: (bpf_func_state | null)[] = [null, null, null, null, null, null, null, null];
	parent: bpf_verifier_state | null = null;
	branches = 0;
	insn_idx = 0;
	curframe = 0;
	active_lock: bpf_active_lock = { ptr: null, id: 0 };
	speculative = false;
	active_rcu_lock = false;
	active_preempt_lock = 0;
	used_as_loop_entry = false;
	in_sleepable = false;
	first_insn_idx = 0;
	last_insn_idx = 0;
	loop_entry: bpf_verifier_state | null = null;
	insn_hist_start = 0;
	insn_hist_end = 0;
	dfs_depth = 0;
	callback_unroll_depth = 0;
	may_goto_depth = 0;
}

/** kzalloc(sizeof(struct bpf_verifier_state)) */
export function alloc_verifier_state(_env?: bpf_verifier_env): bpf_verifier_state {
	return new VerifierState();
}

/** A frame whose registers are yet to be written. */
function raw_func_state(heap: VerifierHeap): FuncState {
	return (heap.frames.pop() as FuncState | undefined) ?? new FuncState(heap);
}

/** kzalloc(sizeof(struct bpf_func_state)) */
export function alloc_func_state(env: bpf_verifier_env): bpf_func_state {
	const heap = env.heap;
	const s = raw_func_state(heap);
	heap.i32.fill(0, s.regs_p, s.regs_p + FRAME_REG_WORDS);
	s.callsite = 0;
	s.frameno = 0;
	s.subprogno = 0;
	s.async_entry_cnt = 0;
	s.callback_ret_range = NO_RANGE;
	s.in_callback_fn = false;
	s.in_async_callback_fn = false;
	s.in_exception_callback_fn = false;
	s.callback_depth = 0;
	s.refs = [];
	s.allocated_stack = 0;
	return s;
}

/** kernel/bpf/verifier.c: copy_reference_state; entries are shared, since none changes once it is made */
export function copy_reference_state(dst: bpf_func_state, src: bpf_func_state): number {
	dst.refs = src.refs.length === 0 && dst.refs.length === 0 ? dst.refs : src.refs.slice();
	return 0;
}

/** kernel/bpf/verifier.c: copy_stack_state */
function copy_stack_state(dst: FuncState, src: bpf_func_state): void {
	const n = src.allocated_stack >> 3;
	dst.reserve(n, false);
	if (n !== 0) dst.heap.i32.copyWithin(dst.stack_p, src.stack_p, src.stack_p + n * STACK_WORDS);
	dst.allocated_stack = src.allocated_stack;
}

/**
 * kernel/bpf/verifier.c: grow_stack_state: the frame's stack has at least `size` bytes, and its
 * subprogram's depth says so.
 */
export function grow_stack_state(env: bpf_verifier_env, state: bpf_func_state, size: number): number {
	const s = state as FuncState;
	const old_n = s.allocated_stack >> 3;
	const n = (size + BPF_REG_SIZE - 1) >> 3;
	const bytes = n << 3;
	if (old_n >= n) return 0;
	s.reserve(n, true);
	env.heap.i32.fill(0, s.stack_p + old_n * STACK_WORDS, s.stack_p + n * STACK_WORDS);
	s.allocated_stack = bytes;
	const sub = env.subprog_info[s.subprogno]!;
	if (sub.stack_depth < bytes) sub.stack_depth = bytes;
	return 0;
}

/** kernel/bpf/verifier.c: acquire_reference_state; the new reference's id, or a negative errno */
export function acquire_reference_state(env: bpf_verifier_env, insn_idx: number): number {
	const cur = env.cur_state!;
	const state = cur.frame[cur.curframe]!;
	const id = ++env.id_gen;
	state.refs.push({ id, insn_idx, callback_ref: state.in_callback_fn ? state.frameno : 0 });
	return id;
}

/** kernel/bpf/verifier.c: release_reference_state */
export function release_reference_state(state: bpf_func_state, ptr_id: number): number {
	const refs = state.refs;
	for (let i = 0; i < refs.length; i++) {
		const ref = refs[i]!;
		if (ref.id !== ptr_id) continue;
		// A callback cannot release what its caller holds.
		if (state.in_callback_fn && ref.callback_ref !== state.frameno) return -EINVAL;
		const last = refs.pop()!;
		if (i !== refs.length) refs[i] = last;
		return 0;
	}
	return -EINVAL;
}

/** kernel/bpf/verifier.c: free_func_state */
export function free_func_state(env: bpf_verifier_env, state: bpf_func_state | null): void {
	if (state !== null) {
		state.refs = NO_REFS;
		env.heap.frames.push(state);
	}
}

/** kernel/bpf/verifier.c: free_verifier_state */
export function free_verifier_state(
	env: bpf_verifier_env,
	state: bpf_verifier_state | null,
	_free_self: boolean,
): void {
	if (state === null) return;
	for (let i = 0; i <= state.curframe; i++) {
		free_func_state(env, state.frame[i]!);
		state.frame[i] = null;
	}
}

/** kernel/bpf/verifier.c: copy_func_state */
function copy_func_state(dst: FuncState, src: bpf_func_state): void {
	dst.heap.i32.copyWithin(dst.regs_p, src.regs_p, src.regs_p + FRAME_REG_WORDS);
	dst.callsite = src.callsite;
	dst.frameno = src.frameno;
	dst.subprogno = src.subprogno;
	dst.async_entry_cnt = src.async_entry_cnt;
	dst.callback_ret_range = src.callback_ret_range;
	dst.in_callback_fn = src.in_callback_fn;
	dst.in_async_callback_fn = src.in_async_callback_fn;
	dst.in_exception_callback_fn = src.in_exception_callback_fn;
	dst.callback_depth = src.callback_depth;
	dst.refs = src.refs.slice();
	copy_stack_state(dst, src);
}

/** All of copy_verifier_state() but the frames. */
function copy_outer_state(dst: bpf_verifier_state, src: bpf_verifier_state): void {
	dst.speculative = src.speculative;
	dst.active_rcu_lock = src.active_rcu_lock;
	dst.active_preempt_lock = src.active_preempt_lock;
	dst.in_sleepable = src.in_sleepable;
	dst.curframe = src.curframe;
	dst.active_lock.ptr = src.active_lock.ptr;
	dst.active_lock.id = src.active_lock.id;
	dst.branches = src.branches;
	dst.parent = src.parent;
	dst.first_insn_idx = src.first_insn_idx;
	dst.last_insn_idx = src.last_insn_idx;
	dst.insn_hist_start = src.insn_hist_start;
	dst.insn_hist_end = src.insn_hist_end;
	dst.dfs_depth = src.dfs_depth;
	dst.callback_unroll_depth = src.callback_unroll_depth;
	dst.used_as_loop_entry = src.used_as_loop_entry;
	dst.may_goto_depth = src.may_goto_depth;
	dst.loop_entry = src.loop_entry;
}

/** kernel/bpf/verifier.c: copy_verifier_state */
export function copy_verifier_state(
	env: bpf_verifier_env,
	dst_state: bpf_verifier_state,
	src: bpf_verifier_state,
): number {
	// An exceptional exit leaves more than one frame at once.
	for (let i = src.curframe + 1; i <= dst_state.curframe; i++) {
		free_func_state(env, dst_state.frame[i]!);
		dst_state.frame[i] = null;
	}
	copy_outer_state(dst_state, src);
	for (let i = 0; i <= src.curframe; i++) {
		let dst = dst_state.frame[i] as FuncState | null;
		if (dst === null) {
			dst = raw_func_state(env.heap);
			dst_state.frame[i] = dst;
		}
		copy_func_state(dst, src.frame[i]!);
	}
	return 0;
}

/** kernel/bpf/verifier.c: state_htab_size */
export function state_htab_size(env: bpf_verifier_env): number {
	return env.prog.len;
}

/** kernel/bpf/verifier.c: explored_state; the states kept for an instruction (and others), newest first */
export function explored_state(env: bpf_verifier_env, idx: number): bpf_verifier_state_list[] {
	const cur = env.cur_state!;
	const callsite = cur.frame[cur.curframe]!.callsite;
	// The kernel's int becomes unsigned in the division: a callsite of -1 turns all bits over.
	const n = ((idx ^ callsite) >>> 0) % env.prog.len;
	let list = env.explored_states[n];
	if (list === undefined) {
		while (env.explored_states.length < n) env.explored_states.push([]);
		list = [];
		env.explored_states[n] = list;
	}
	return list;
}

/** kernel/bpf/verifier.c: same_callsites */
export function same_callsites(a: bpf_verifier_state, b: bpf_verifier_state): boolean {
	if (a.curframe !== b.curframe) return false;
	for (let fr = a.curframe; fr >= 0; fr--) if (a.frame[fr]!.callsite !== b.frame[fr]!.callsite) return false;
	return true;
}

/** kernel/bpf/verifier.c: get_loop_entry; the topmost entry of the loop that the state is in, or null */
export function get_loop_entry(state: bpf_verifier_state): bpf_verifier_state | null {
	let topmost = state.loop_entry;
	while (topmost?.loop_entry && topmost !== topmost.loop_entry) topmost = topmost.loop_entry;
	// Shorten the way for the next time.
	let st: bpf_verifier_state | null = state;
	while (st && st.loop_entry !== topmost) {
		const old: bpf_verifier_state | null = st.loop_entry;
		st.loop_entry = topmost;
		st = old;
	}
	return topmost;
}

/** kernel/bpf/verifier.c: update_loop_entry */
export function update_loop_entry(cur: bpf_verifier_state, hdr: bpf_verifier_state): void {
	const cur1 = get_loop_entry(cur) ?? cur;
	const hdr1 = get_loop_entry(hdr) ?? hdr;
	// Without branches left the entry is not on the current path: cur and hdr share no loop.
	if (hdr1.branches && hdr1.dfs_depth <= cur1.dfs_depth) {
		cur.loop_entry = hdr;
		hdr.used_as_loop_entry = true;
	}
}

/** kernel/bpf/verifier.c: update_branch_counts */
export function update_branch_counts(env: bpf_verifier_env, state: bpf_verifier_state | null): void {
	let st = state;
	while (st) {
		const br = --st.branches;
		// All below was explored: the parent belongs to the loop too.
		if (br === 0 && st.parent && st.loop_entry) update_loop_entry(st.parent, st.loop_entry);
		if (br < 0) env.kernel.printk(`BUG update_branch_counts:branches_to_explore=${br}`);
		if (br) break;
		st = st.parent;
	}
}

/** kernel/bpf/verifier.c: pop_stack */
export function pop_stack(
	env: bpf_verifier_env,
	prev_insn_idx: Ref<number> | null,
	insn_idx: Ref<number> | null,
	pop_log: boolean,
): number {
	const cur = env.cur_state;
	const head = env.head;
	if (head === null) return -ENOENT;

	if (cur) copy_verifier_state(env, cur, head.st);
	if (pop_log) bpf_vlog_reset(env.log, head.log_pos);
	if (insn_idx) insn_idx.val = head.insn_idx;
	if (prev_insn_idx) prev_insn_idx.val = head.prev_insn_idx;
	free_verifier_state(env, head.st, false);
	env.head = head.next;
	env.stack_size--;
	return 0;
}

/** The error exit of push_stack() and push_async_cb(): nothing is left to explore. */
function drop_all_states(env: bpf_verifier_env): null {
	free_verifier_state(env, env.cur_state, true);
	env.cur_state = null;
	while (!pop_stack(env, null, null, false));
	return null;
}

function new_stack_elem(
	env: bpf_verifier_env,
	insn_idx: number,
	prev_insn_idx: number,
): bpf_verifier_stack_elem {
	const elem: bpf_verifier_stack_elem = {
		st: new VerifierState(),
		insn_idx,
		prev_insn_idx,
		next: env.head,
		log_pos: env.log.end_pos,
	};
	env.head = elem;
	env.stack_size++;
	return elem;
}

/** kernel/bpf/verifier.c: push_stack; null when there are too many jumps, and nothing is left then */
export function push_stack(
	env: bpf_verifier_env,
	insn_idx: number,
	prev_insn_idx: number,
	speculative: boolean,
): bpf_verifier_state | null {
	const cur = env.cur_state!;
	const st = new_stack_elem(env, insn_idx, prev_insn_idx).st;
	copy_verifier_state(env, st, cur);
	st.speculative ||= speculative;
	if (env.stack_size > BPF_COMPLEXITY_LIMIT_JMP_SEQ) {
		verbose(env, `The sequence of ${env.stack_size} jumps is too complex.\n`);
		return drop_all_states(env);
	}
	if (st.parent) ++st.parent.branches;
	return st;
}

/** kernel/bpf/verifier.c: init_func_state */
export function init_func_state(
	env: bpf_verifier_env,
	state: bpf_func_state,
	callsite: number,
	frameno: number,
	subprogno: number,
): void {
	state.callsite = callsite;
	state.frameno = frameno;
	state.subprogno = subprogno;
	state.callback_ret_range = retval_range(0, 0);
	init_reg_state(env, state);
	mark_verifier_state_scratched(env);
}

/** kernel/bpf/verifier.c: push_async_cb; like push_stack(), but the callback starts on a fresh stack */
export function push_async_cb(
	env: bpf_verifier_env,
	insn_idx: number,
	prev_insn_idx: number,
	subprog: number,
	is_sleepable: boolean,
): bpf_verifier_state | null {
	const st = new_stack_elem(env, insn_idx, prev_insn_idx).st;
	if (env.stack_size > BPF_COMPLEXITY_LIMIT_JMP_SEQ) {
		verbose(env, `The sequence of ${env.stack_size} jumps is too complex for async cb.\n`);
		return drop_all_states(env);
	}
	st.branches = 1;
	st.in_sleepable = is_sleepable;
	st.insn_hist_start = env.cur_state!.insn_hist_end;
	st.insn_hist_end = st.insn_hist_start;
	const frame = alloc_func_state(env);
	init_func_state(env, frame, BPF_MAIN_FUNC, 0, subprog);
	st.frame[0] = frame;
	return st;
}

/** kernel/bpf/verifier.c: reset_idmap_scratch */
export function reset_idmap_scratch(env: bpf_verifier_env): void {
	env.heap.x.reset_idmap(env.id_gen);
}

/** kernel/bpf/verifier.c: check_ids, with env->idmap_scratch */
export function check_ids(env: bpf_verifier_env, old_id: number, cur_id: number): boolean {
	return env.heap.x.check_ids(old_id, cur_id) !== 0;
}

/** kernel/bpf/verifier.c: regs_exact, with env->idmap_scratch */
export function regs_exact(env: bpf_verifier_env, rold: bpf_reg_state, rcur: bpf_reg_state): boolean {
	return env.heap.x.regs_exact(rold.p, rcur.p) !== 0;
}

/** kernel/bpf/verifier.c: refsafe */
function refsafe(env: bpf_verifier_env, old: bpf_func_state, cur: bpf_func_state): boolean {
	if (old.refs.length !== cur.refs.length) return false;
	for (let i = 0; i < old.refs.length; i++)
		if (!check_ids(env, old.refs[i]!.id, cur.refs[i]!.id)) return false;
	return true;
}

/** kernel/bpf/verifier.c: func_states_equal */
function func_states_equal(
	env: bpf_verifier_env,
	old: bpf_func_state,
	cur: bpf_func_state,
	exact: number,
): boolean {
	if (old.callback_depth > cur.callback_depth) return false;
	return (
		env.heap.x.frame_safe(
			old.regs_p,
			cur.regs_p,
			old.stack_p,
			old.allocated_stack,
			cur.stack_p,
			cur.allocated_stack,
			exact,
		) !== 0 && refsafe(env, old, cur)
	);
}

/** Tell the arithmetic what this verification allows. */
function set_scalar_env(env: bpf_verifier_env): void {
	env.heap.x.set_env(
		env.bpf_capable ? 1 : 0,
		env.allow_uninit_stack ? 1 : 0,
		env.explore_alu_limits ? 1 : 0,
		env.embedding ? 1 : 0,
	);
}

/** kernel/bpf/verifier.c: states_equal: is all that `cur` may do something that `old` was safe with? */
export function states_equal(
	env: bpf_verifier_env,
	old: bpf_verifier_state,
	cur: bpf_verifier_state,
	exact: number,
): boolean {
	if (old.curframe !== cur.curframe) return false;
	set_scalar_env(env);
	reset_idmap_scratch(env);

	// What was only speculated must not prune what happens.
	if (old.speculative && !cur.speculative) return false;
	if (old.active_lock.ptr !== cur.active_lock.ptr) return false;
	if ((old.active_lock.id !== 0) !== (cur.active_lock.id !== 0)) return false;
	if (old.active_lock.id && !check_ids(env, old.active_lock.id, cur.active_lock.id)) return false;
	if (old.active_rcu_lock !== cur.active_rcu_lock) return false;
	if (old.active_preempt_lock !== cur.active_preempt_lock) return false;
	if (old.in_sleepable !== cur.in_sleepable) return false;

	for (let i = 0; i <= old.curframe; i++) {
		const fold = old.frame[i]!;
		const fcur = cur.frame[i]!;
		if (fold.callsite !== fcur.callsite) return false;
		if (!func_states_equal(env, fold, fcur, exact)) return false;
	}
	return true;
}

/** Is it a precise scalar that was read? */
function is_read_precise_scalar(i32: Int32Array, p: number): boolean {
	return (
		i32[p + R_TYPE] === SCALAR_VALUE && i32[p + R_PRECISE] !== 0 && (i32[p + R_LIVE]! & REG_LIVE_READ) !== 0
	);
}

/** kernel/bpf/verifier.c: propagate_precision: what the equivalent state needs precise, this path needs too */
function propagate_precision(env: bpf_verifier_env, old: bpf_verifier_state): number {
	const { i32, u8 } = env.heap;
	const log2 = (env.log.level & BPF_LOG_LEVEL2) !== 0;
	for (let fr = old.curframe; fr >= 0; fr--) {
		const state = old.frame[fr]!;
		let first = true;
		for (let i = 0, p = state.regs_p; i < BPF_REG_FP; i++, p += REG_WORDS) {
			if (!is_read_precise_scalar(i32, p)) continue;
			if (log2) verbose(env, first ? `frame ${fr}: propagating r${i}` : `,r${i}`);
			bt_set_frame_reg(env.bt, fr, i);
			first = false;
		}
		const slots = state.allocated_stack >> 3;
		for (let i = 0, p = state.stack_p; i < slots; i++, p += STACK_WORDS) {
			if (u8[((p + SLOT_TYPE) << 2) + 7] !== STACK_SPILL || !is_read_precise_scalar(i32, p)) continue;
			const off = (-i - 1) * BPF_REG_SIZE;
			if (log2) verbose(env, first ? `frame ${fr}: propagating fp${off}` : `,fp${off}`);
			bt_set_frame_slot(env.bt, fr, i);
			first = false;
		}
		if (!first) verbose(env, "\n");
	}
	const err = mark_chain_precision_batch(env);
	return Math.min(err, 0);
}

/** kernel/bpf/verifier.c: states_maybe_looping */
function states_maybe_looping(
	env: bpf_verifier_env,
	old: bpf_verifier_state,
	cur: bpf_verifier_state,
): boolean {
	const fr = cur.curframe;
	if (old.curframe !== fr) return false;
	return env.heap.x.regs_equal(old.frame[fr]!.regs_p, cur.frame[fr]!.regs_p) !== 0;
}

/** kernel/bpf/verifier.c: iter_active_depths_differ: another turn of an open-coded iterator is no infinite loop */
function iter_active_depths_differ(
	env: bpf_verifier_env,
	old: bpf_verifier_state,
	cur: bpf_verifier_state,
): boolean {
	const { i32, u8 } = env.heap;
	for (let fr = old.curframe; fr >= 0; fr--) {
		const state = old.frame[fr]!;
		const slots = state.allocated_stack >> 3;
		for (let i = 0, p = state.stack_p; i < slots; i++, p += STACK_WORDS) {
			if (u8[(p + SLOT_TYPE) << 2] !== STACK_ITER) continue;
			const word = i32[p + R_RAW2_HI]!;
			if ((word & 3) !== BPF_ITER_STATE_ACTIVE) continue;
			const cur_word = i32[cur.frame[fr]!.stack_p + i * STACK_WORDS + R_RAW2_HI]!;
			if (cur_word >> 2 !== word >> 2) return true;
		}
	}
	return false;
}

/** The end of is_state_visited() when an equivalent state was found: 1, or a negative errno. */
function prune(env: bpf_verifier_env, sl: bpf_verifier_state_list, cur: bpf_verifier_state): number {
	sl.hit_cnt++;
	// Registers that the continuation reads are read by us, and what it needs precise …
	let err = propagate_liveness(env, sl.state, cur);
	if (is_jmp_point(env, env.insn_idx)) err = err || push_insn_history(env, cur, 0, 0n);
	err = err || propagate_precision(env, sl.state);
	return err || 1;
}

/** Is the iterator whose next() is called here still active in `cur`? */
function iter_is_active(env: bpf_verifier_env, cur: bpf_verifier_state): boolean {
	const iter_reg = cur.frame[cur.curframe]!.regs[BPF_REG_1]!;
	const spi = __get_spi((iter_reg.off + iter_reg.var_off_s32) | 0);
	return func(env, iter_reg).stack(spi).spilled_ptr.iter_state === BPF_ITER_STATE_ACTIVE;
}

/**
 * kernel/bpf/verifier.c: is_state_visited: 1 when an equivalent state was explored before, 0 when not
 * (and then the state may have been remembered), or a negative errno.
 */
export function is_state_visited(env: bpf_verifier_env, insn_idx: number): number {
	const cur = env.cur_state!;
	let states_cnt = 0;
	const force_new_state =
		env.test_state_freq ||
		is_force_checkpoint(env, insn_idx) ||
		// Avoid an ever longer jump history.
		cur.insn_hist_end - cur.insn_hist_start > 40;

	// States are kept after two jumps and eight instructions at the earliest.
	let add_new_state = force_new_state;
	if (env.jmps_processed - env.prev_jmps_processed >= 2 && env.insn_processed - env.prev_insn_processed >= 8)
		add_new_state = true;

	const list = explored_state(env, insn_idx);
	set_scalar_env(env);
	clean_live_states(env, list, insn_idx, cur);

	for (let k = 0; k < list.length; ) {
		const sl = list[k]!;
		const st = sl.state;
		states_cnt++;
		if (st.insn_idx !== insn_idx) {
			k++;
			continue;
		}
		if (st.branches) {
			const verdict = check_open_state(env, insn_idx, st, cur);
			if (verdict < 0) return verdict;
			if (verdict === HIT) return prune(env, sl, cur);
			// Iterations of a loop that are kept too often do not help to prune.
			if (
				!force_new_state &&
				env.jmps_processed - env.prev_jmps_processed < 20 &&
				env.insn_processed - env.prev_insn_processed < 100
			)
				add_new_state = false;
		} else {
			// A state in a loop whose entry is still being explored has marks that are not final.
			const loop_entry = get_loop_entry(st);
			const force_exact = loop_entry !== null && loop_entry.branches > 0;
			if (states_equal(env, st, cur, force_exact ? RANGE_WITHIN : NOT_EXACT)) {
				if (force_exact) update_loop_entry(cur, loop_entry);
				return prune(env, sl, cur);
			}
		}
		// miss
		if (add_new_state) sl.miss_cnt++;
		// Checkpoints stay longer: evicting them early would keep iterators from converging.
		const n = is_force_checkpoint(env, insn_idx) && st.branches > 0 ? 64 : 3;
		if (sl.miss_cnt > sl.hit_cnt * n + n) {
			list.splice(k, 1);
			if (env.heap.i32[st.frame[0]!.regs_p + R_LIVE]! & REG_LIVE_DONE && !st.used_as_loop_entry) {
				if (st.branches) env.kernel.printk(`BUG live_done but branches_to_explore ${st.branches}`);
				free_verifier_state(env, st, false);
				env.peak_states--;
			} else {
				// The parentage chain may still lead through it.
				env.free_list.push(sl);
			}
			continue;
		}
		k++;
	}

	if (env.max_states_per_insn < states_cnt) env.max_states_per_insn = states_cnt;
	if (!env.bpf_capable && states_cnt > BPF_COMPLEXITY_LIMIT_STATES) return 0;
	if (!add_new_state) return 0;

	env.total_states++;
	env.peak_states++;
	env.prev_jmps_processed = env.jmps_processed;
	env.prev_insn_processed = env.insn_processed;

	// Precise marks that were inherited are forgotten (see __mark_chain_precision in the kernel).
	if (env.bpf_capable) mark_all_scalars_imprecise(env, cur);

	const fresh = new VerifierState();
	copy_verifier_state(env, fresh, cur);
	fresh.insn_idx = insn_idx;
	if (fresh.branches !== 1)
		env.kernel.printk(`BUG is_state_visited:branches_to_explore=${fresh.branches} insn ${insn_idx}`);

	cur.parent = fresh;
	cur.first_insn_idx = insn_idx;
	cur.insn_hist_start = cur.insn_hist_end;
	cur.dfs_depth = fresh.dfs_depth + 1;
	list.unshift({ state: fresh, miss_cnt: 0, hit_cnt: 0 });

	// Connect the parentage chains: of callers only r6 - r9 live on. What was written so far does not
	// screen off what comes from here on.
	for (let j = 0; j <= cur.curframe; j++) {
		const frame = cur.frame[j]!;
		const newframe = fresh.frame[j]!;
		env.heap.x.connect_parents(
			frame.regs_p,
			newframe.regs_p,
			j < cur.curframe ? BPF_REG_6 : 0,
			frame.stack_p,
			newframe.stack_p,
			frame.allocated_stack >> 3,
		);
	}
	return 0;
}

const HIT = 1;
const MISS = 0;

/**
 * The part of is_state_visited() for a state that is still being explored, so that reaching it again
 * is a loop: HIT, MISS, or a negative errno for an infinite loop.
 */
function check_open_state(
	env: bpf_verifier_env,
	insn_idx: number,
	st: bpf_verifier_state,
	cur: bpf_verifier_state,
): number {
	const frame = st.frame[st.curframe]!;
	// Another entry into an async callback: neither a loop nor a proof of safety.
	if (frame.in_async_callback_fn && frame.async_entry_cnt !== cur.frame[cur.curframe]!.async_entry_cnt)
		return MISS;
	if (env.insn_aux_data[insn_idx]!.is_iter_next) {
		// Iterators are expected to come to the same state; their contract ends the loop. Compared
		// exactly, since marks inside the loop are not final.
		if (states_equal(env, st, cur, RANGE_WITHIN) && iter_is_active(env, cur)) {
			update_loop_entry(cur, st);
			return HIT;
		}
		return MISS;
	}
	if (is_may_goto_insn_at(env, insn_idx)) {
		if (st.may_goto_depth !== cur.may_goto_depth && states_equal(env, st, cur, RANGE_WITHIN)) {
			update_loop_entry(cur, st);
			return HIT;
		}
	}
	if (calls_callback(env, insn_idx)) return states_equal(env, st, cur, RANGE_WITHIN) ? HIT : MISS;
	if (
		states_maybe_looping(env, st, cur) &&
		states_equal(env, st, cur, EXACT) &&
		!iter_active_depths_differ(env, st, cur) &&
		st.may_goto_depth === cur.may_goto_depth &&
		st.callback_unroll_depth === cur.callback_unroll_depth
	) {
		verbose_linfo(env, insn_idx, "; ");
		verbose(env, `infinite loop detected at insn ${insn_idx}\n`);
		verbose(env, "cur state:");
		print_verifier_state(env, cur.frame[cur.curframe]!, true);
		verbose(env, "old state:");
		print_verifier_state(env, st.frame[cur.curframe]!, true);
		return -EINVAL;
	}
	return MISS;
}
