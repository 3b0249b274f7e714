// SPDX-License-Identifier: GPL-2.0-only
/** Comparison and cleaning of whole frames (kernel/bpf/verifier.c: regsafe, stacksafe, clean_func_state). */
import { not_init, unbound_reg } from "./bounds";
import {
	all_precise,
	allow_uninit_stack,
	explore_alu_limits,
	IDMAP,
	NOT_INIT,
	R,
	Reg,
	REG_BYTES,
	REG_WORDS,
	SCALAR_VALUE,
	STACK_BYTES,
	STACK_WORDS,
} from "./layout";
import { tnum_in } from "./tnum";

const BPF_REG_FP: i32 = 10;
const MAX_BPF_REG: i32 = 11;
const BPF_REG_SIZE: i32 = 8;
const BPF_ID_MAP_SIZE: i32 = 600;
const BPF_ADD_CONST: u32 = 0x80000000;

const REG_LIVE_READ64: i32 = 2;
const REG_LIVE_READ32: i32 = 1;
const REG_LIVE_READ: i32 = 3;
const REG_LIVE_WRITTEN: i32 = 4;
const REG_LIVE_DONE: i32 = 8;

const STACK_INVALID: u8 = 0;
const STACK_SPILL: u8 = 1;
const STACK_MISC: u8 = 2;
const STACK_ZERO: u8 = 3;
const STACK_DYNPTR: u8 = 4;
const STACK_ITER: u8 = 5;

const PTR_TO_MAP_VALUE: i32 = 4;
const PTR_TO_MAP_KEY: i32 = 5;
const PTR_TO_STACK: i32 = 6;
const PTR_TO_PACKET_META: i32 = 7;
const PTR_TO_PACKET: i32 = 8;
const PTR_TO_TP_BUFFER: i32 = 14;
const PTR_TO_MEM: i32 = 17;
const PTR_TO_ARENA: i32 = 18;
const PTR_TO_BUF: i32 = 19;

const NOT_EXACT: i32 = 0;
const EXACT: i32 = 1;

/** memcmp() == 0 of the first `n` 64-bit words */
// @ts-ignore: decorator
@inline
function same(a: Reg, b: Reg, n: i32): bool {
	let x = changetype<usize>(a);
	let y = changetype<usize>(b);
	const end = x + (<usize>n << 3);
	while (x < end) {
		if (load<u64>(x) != load<u64>(y)) return false;
		x += 8;
		y += 8;
	}
	return true;
}
/** 64-bit words before var_off, id and parent */
const TO_VAR_OFF: i32 = 3;
const TO_ID: i32 = 11;
const TO_PARENT: i32 = 12;

let idmap_cnt: i32 = 0;
let tmp_id_gen: u32 = 0;

export function reset_idmap(id_gen: i32): void {
	idmap_cnt = 0;
	tmp_id_gen = <u32>id_gen;
}

function ids(old_id: u32, cur_id: u32): bool {
	if ((old_id != 0) != (cur_id != 0)) return false;
	if (old_id == 0) return true;
	const base = <usize>IDMAP << 2;
	const end = base + (<usize>idmap_cnt << 3);
	for (let p = base; p < end; p += 8) {
		if (load<u32>(p) == old_id) return load<u32>(p, 4) == cur_id;
		if (load<u32>(p, 4) == cur_id) return false;
	}
	if (idmap_cnt >= BPF_ID_MAP_SIZE) return false;
	store<u32>(end, old_id);
	store<u32>(end, cur_id, 4);
	idmap_cnt++;
	return true;
}

export function check_ids(old_id: i32, cur_id: i32): i32 {
	return ids(<u32>old_id, <u32>cur_id) ? 1 : 0;
}

function scalar_ids(old_id: u32, cur_id: u32): bool {
	// An old register that stood alone is content with any.
	if (old_id == 0) return true;
	if (cur_id == 0) cur_id = ++tmp_id_gen;
	if (!ids(old_id, cur_id)) return false;
	// r + const: the register that it is linked to must map as well
	if (old_id & BPF_ADD_CONST) return ids(old_id & ~BPF_ADD_CONST, cur_id & ~BPF_ADD_CONST);
	return true;
}

// @ts-ignore: decorator
@inline
function range_within(o: Reg, c: Reg): bool {
	return (
		o.umin <= c.umin && o.umax >= c.umax && o.smin <= c.smin && o.smax >= c.smax &&
		o.u32_min <= c.u32_min && o.u32_max >= c.u32_max && o.s32_min <= c.s32_min && o.s32_max >= c.s32_max
	);
}

// @ts-ignore: decorator
@inline
function in_old(o: Reg, c: Reg): bool {
	return range_within(o, c) && tnum_in(o.value, o.mask, c.value, c.mask);
}

function regs_exact_(o: Reg, c: Reg): bool {
	return same(o, c, TO_ID) && ids(o.id, c.id) && ids(o.ref_obj_id, c.ref_obj_id);
}

export function regs_exact(o: i32, c: i32): i32 {
	return regs_exact_(R(o), R(c)) ? 1 : 0;
}

function safe(o: Reg, c: Reg, exact: i32): bool {
	if (exact == EXACT) return regs_exact_(o, c);
	// The old state did not use this one.
	if (exact == NOT_EXACT && (o.live & REG_LIVE_READ) == 0) return true;
	if (o.type == NOT_INIT && (exact == NOT_EXACT || c.type == NOT_INIT)) return true;
	if (o.type != c.type) return false;

	switch (o.type & 0xff) {
		case SCALAR_VALUE:
			if (explore_alu_limits) return same(o, c, TO_ID) && scalar_ids(o.id, c.id);
			if (!o.precise && exact == NOT_EXACT && !all_precise) return true;
			if (o.id & BPF_ADD_CONST) {
				if (!(c.id & BPF_ADD_CONST) || o.off != c.off) return false;
			} else if (o.id && c.id & BPF_ADD_CONST) {
				return false;
			}
			if (!scalar_ids(o.id, c.id)) return false;
			return in_old(o, c);
		case PTR_TO_MAP_KEY:
		case PTR_TO_MAP_VALUE:
		case PTR_TO_MEM:
		case PTR_TO_BUF:
		case PTR_TO_TP_BUFFER:
			return same(o, c, TO_VAR_OFF) && in_old(o, c) && ids(o.id, c.id) && ids(o.ref_obj_id, c.ref_obj_id);
		case PTR_TO_PACKET_META:
		case PTR_TO_PACKET: {
			const orange = <i32>o.raw1;
			const crange = <i32>c.raw1;
			// [BEYOND|AT]_PKT_END are negative and must be the same; else at least as much range.
			if (orange < 0 || crange < 0) {
				if (orange != crange) return false;
			} else if (orange > crange) {
				return false;
			}
			if (o.off != c.off || !ids(o.id, c.id)) return false;
			return in_old(o, c);
		}
		case PTR_TO_STACK:
			return regs_exact_(o, c) && o.frameno == c.frameno;
		case PTR_TO_ARENA:
			return true;
		default:
			return regs_exact_(o, c);
	}
}

export function regsafe(o: i32, c: i32, exact: i32): i32 {
	return safe(R(o), R(c), exact) ? 1 : 0;
}

// @ts-ignore: decorator
@inline
function slot_type(slot: usize, i: i32): u8 {
	return load<u8>(slot + <usize>REG_BYTES + <usize>i);
}

/** The scalar that a load of the whole slot gives, or 0. */
function scalar_reg_for_stack(slot: usize): usize {
	if (slot_type(slot, 0) == STACK_SPILL && changetype<Reg>(slot).type == SCALAR_VALUE) return slot;
	for (let i = 0; i < BPF_REG_SIZE; i++) {
		const t = slot_type(slot, i);
		if (t == STACK_MISC || (t == STACK_INVALID && allow_uninit_stack)) continue;
		return 0;
	}
	return changetype<usize>(unbound_reg());
}

function stack_safe(old_stack: i32, old_bytes: i32, cur_stack: i32, cur_bytes: i32, exact: i32): bool {
	for (let i = 0; i < old_bytes; i++) {
		const spi = i >> 3;
		const o = (<usize>old_stack << 2) + <usize>(spi * STACK_BYTES);
		const c = (<usize>cur_stack << 2) + <usize>(spi * STACK_BYTES);
		const byte = i & 7;
		const otype = slot_type(o, byte);

		if (exact != NOT_EXACT && (i >= cur_bytes || otype != slot_type(c, byte))) return false;
		if (exact == NOT_EXACT && (changetype<Reg>(o).live & REG_LIVE_READ) == 0) {
			i += BPF_REG_SIZE - 1;
			continue;
		}
		if (otype == STACK_INVALID) continue;
		if (otype == STACK_MISC && allow_uninit_stack) continue;
		if (i >= cur_bytes) return false;

		// A spilled scalar and eight MISC bytes load alike.
		const oreg = scalar_reg_for_stack(o);
		const creg = oreg ? scalar_reg_for_stack(c) : 0;
		if (oreg != 0 && creg != 0) {
			if (!safe(changetype<Reg>(oreg), changetype<Reg>(creg), exact)) return false;
			i += BPF_REG_SIZE - 1;
			continue;
		}
		const ctype = slot_type(c, byte);
		if (otype == STACK_MISC && ctype == STACK_ZERO) continue;
		if (otype != ctype) return false;
		if (byte != BPF_REG_SIZE - 1) continue;
		const or = changetype<Reg>(o);
		const cr = changetype<Reg>(c);
		switch (otype) {
			case STACK_SPILL:
				if (!safe(or, cr, exact)) return false;
				break;
			case STACK_DYNPTR:
				// dynptr.type and first_slot are the halves of raw1
				if (or.raw1 != cr.raw1 || !ids(or.ref_obj_id, cr.ref_obj_id)) return false;
				break;
			case STACK_ITER:
				// btf, btf_id and the state, but not the depth (the upper 30 bits)
				if (
					or.raw1 != cr.raw1 || (or.raw2 & 0x3ffffffff) != (cr.raw2 & 0x3ffffffff) ||
					!ids(or.ref_obj_id, cr.ref_obj_id)
				)
					return false;
				break;
			case STACK_MISC:
			case STACK_ZERO:
				break;
			default:
				return false;
		}
	}
	return true;
}

export function stacksafe(old_stack: i32, old_bytes: i32, cur_stack: i32, cur_bytes: i32, exact: i32): i32 {
	return stack_safe(old_stack, old_bytes, cur_stack, cur_bytes, exact) ? 1 : 0;
}

export function frame_safe(
	old_regs: i32,
	cur_regs: i32,
	old_stack: i32,
	old_bytes: i32,
	cur_stack: i32,
	cur_bytes: i32,
	exact: i32,
): i32 {
	for (let i = 0; i < MAX_BPF_REG; i++)
		if (!safe(R(old_regs + i * REG_WORDS), R(cur_regs + i * REG_WORDS), exact)) return 0;
	return stack_safe(old_stack, old_bytes, cur_stack, cur_bytes, exact) ? 1 : 0;
}

/** states_maybe_looping */
export function regs_equal(a: i32, b: i32): i32 {
	for (let i = 0; i < MAX_BPF_REG; i++)
		if (!same(R(a + i * REG_WORDS), R(b + i * REG_WORDS), TO_PARENT)) return 0;
	return 1;
}

export function clean_func_state(regs: i32, stack: i32, slots: i32): void {
	for (let i = 0; i < BPF_REG_FP; i++) {
		const r = R(regs + i * REG_WORDS);
		const live = r.live;
		r.live = live | REG_LIVE_DONE;
		if ((live & REG_LIVE_READ) == 0) not_init(r);
	}
	for (let i = 0; i < slots; i++) {
		const r = R(stack + i * STACK_WORDS);
		const live = r.live;
		r.live = live | REG_LIVE_DONE;
		if ((live & REG_LIVE_READ) == 0) {
			not_init(r);
			store<u64>(changetype<usize>(r) + <usize>REG_BYTES, 0); // STACK_INVALID
		}
	}
}

// @ts-ignore: decorator
@inline
function spilled(r: Reg): bool {
	return slot_type(changetype<usize>(r), BPF_REG_SIZE - 1) == STACK_SPILL;
}

export function mark_scalars_imprecise(regs: i32, stack: i32, slots: i32): void {
	for (let i = 0; i < BPF_REG_FP; i++) {
		const r = R(regs + i * REG_WORDS);
		if (r.type == SCALAR_VALUE) r.precise = 0;
	}
	for (let i = 0; i < slots; i++) {
		const r = R(stack + i * STACK_WORDS);
		if (spilled(r) && r.type == SCALAR_VALUE) r.precise = 0;
	}
}

export function connect_parents(regs: i32, new_regs: i32, first: i32, stack: i32, new_stack: i32, slots: i32): void {
	for (let i = first; i < BPF_REG_FP; i++) R(regs + i * REG_WORDS).parent = new_regs + i * REG_WORDS;
	for (let i = 0; i < BPF_REG_FP; i++) R(regs + i * REG_WORDS).live = 0;
	for (let i = 0; i < slots; i++) {
		const r = R(stack + i * STACK_WORDS);
		r.live = 0;
		r.parent = new_stack + i * STACK_WORDS;
	}
}

let bug: i32 = 0;

export function bug_reg(): i32 {
	return bug;
}

export function mark_reg_read(p: i32, parent: i32, flag: i32): i32 {
	let state = R(p);
	let writes = parent == state.parent;
	let cnt = 0;
	while (parent != 0) {
		// An earlier write screens the read off.
		if (writes && state.live & REG_LIVE_WRITTEN) break;
		const par = R(parent);
		const live = par.live;
		if (live & REG_LIVE_DONE) {
			bug = parent;
			return -1;
		}
		// The rest of the chain was marked before.
		if ((live & REG_LIVE_READ) == flag || live & REG_LIVE_READ64) break;
		par.live = flag == REG_LIVE_READ64 ? (live | flag) & ~REG_LIVE_READ32 : live | flag;
		state = par;
		parent = par.parent;
		writes = true;
		cnt++;
	}
	return cnt;
}
