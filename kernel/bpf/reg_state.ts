// SPDX-License-Identifier: GPL-2.0-only
/**
 * struct bpf_reg_state and struct bpf_stack_state in linear memory (include/linux/bpf_verifier.h).
 *
 * All register states of one verification lie in one linear memory, addressed by word index (units of
 * 4 bytes); the 64-bit arithmetic (kernel/bpf/scalar/, compiled to WebAssembly) works on the same
 * memory. A `bpf_reg_state` is a handle: a memory and a word index. Copying a state copies words.
 *
 *   word  0  type              word  6  var_off.value (u64)   word 18  s32_min_value
 *         1  off                     8  var_off.mask  (u64)        19  s32_max_value
 *         2  raw1, low  half        10  smin_value    (s64)        20  u32_min_value
 *         3  raw1, high half        12  smax_value    (s64)        21  u32_max_value
 *         4  raw2, low  half        14  umin_value    (u64)        22  id
 *         5  raw2, high half        16  umax_value    (u64)        23  ref_obj_id
 *        24  parent (word index)    25  frameno   26  subreg_def   27  live   28  precise   29  -
 *
 * The union of the kernel's struct keeps its overlaps, since states are compared through raw1 and raw2:
 *
 *   member            word 2        word 3        word 4       word 5
 *   packet            range         -             -            -
 *   map               map_ptr       -             map_uid      -
 *   PTR_TO_BTF_ID     btf           -             btf_id       -
 *   PTR_TO_MEM        mem_size      dynptr_id     -            -
 *   dynptr            type          first_slot    -            -
 *   iter              btf           -             btf_id       state:2 depth:30
 *   PTR_TO_FUNC       subprogno     -             -            -
 *
 * map_ptr and btf are stored as handles: indices into the memory's object table (0 is NULL).
 */
import type { bpf_map } from "./bpf_types.ts";
import type { btf } from "./btf_types.ts";

export const R_TYPE = 0;
export const R_OFF = 1;
export const R_RAW1 = 2;
export const R_RAW1_HI = 3;
export const R_RAW2 = 4;
export const R_RAW2_HI = 5;
export const R_VAR_VALUE = 6;
export const R_VAR_MASK = 8;
export const R_SMIN = 10;
export const R_SMAX = 12;
export const R_UMIN = 14;
export const R_UMAX = 16;
export const R_S32_MIN = 18;
export const R_S32_MAX = 19;
export const R_U32_MIN = 20;
export const R_U32_MAX = 21;
export const R_ID = 22;
export const R_REF_OBJ_ID = 23;
export const R_PARENT = 24;
export const R_FRAMENO = 25;
export const R_SUBREG_DEF = 26;
export const R_LIVE = 27;
export const R_PRECISE = 28;
/** Words in a bpf_reg_state. */
export const REG_WORDS = 30;
/** Word of slot_type[8] (8 bytes) within a bpf_stack_state; the spilled register stands at word 0. */
export const SLOT_TYPE = 30;
/** Words in a bpf_stack_state. */
export const STACK_WORDS = 32;

/** What the state handles need of the memory that holds them; `VerifierHeap` (heap.ts) is it. */
export interface StateMemory {
	readonly i32: Int32Array;
	readonly u32: Uint32Array;
	readonly u8: Uint8Array;
	readonly i64: BigInt64Array;
	readonly u64: BigUint64Array;
	/** Objects that registers point at, by handle; entry 0 is null. */
	handle_of(obj: bpf_map | btf | null): number;
	object_of(handle: number): bpf_map | btf | null;
}

/** A struct bpf_reg_state: a handle on `REG_WORDS` words of a memory. */
export class bpf_reg_state {
	readonly h: StateMemory;
	/** Word index of the state. */
	readonly p: number;
	constructor(h: StateMemory, p: number) {
		this.h = h;
		this.p = p;
	}

	get type(): number {
		return this.h.i32[this.p + R_TYPE]!;
	}
	set type(v: number) {
		this.h.i32[this.p + R_TYPE] = v;
	}
	get off(): number {
		return this.h.i32[this.p + R_OFF]!;
	}
	set off(v: number) {
		this.h.i32[this.p + R_OFF] = v;
	}
	/** Packet pointers: bytes known to be there (int). */
	get range(): number {
		return this.h.i32[this.p + R_RAW1]!;
	}
	set range(v: number) {
		this.h.i32[this.p + R_RAW1] = v;
	}
	get map_ptr(): bpf_map | null {
		return this.h.object_of(this.h.i32[this.p + R_RAW1]!) as bpf_map | null;
	}
	set map_ptr(m: bpf_map | null) {
		this.h.i32[this.p + R_RAW1] = this.h.handle_of(m);
		this.h.i32[this.p + R_RAW1_HI] = 0;
	}
	get map_uid(): number {
		return this.h.u32[this.p + R_RAW2]!;
	}
	set map_uid(v: number) {
		this.h.u32[this.p + R_RAW2] = v;
	}
	get btf(): btf | null {
		return this.h.object_of(this.h.i32[this.p + R_RAW1]!) as btf | null;
	}
	set btf(b: btf | null) {
		this.h.i32[this.p + R_RAW1] = this.h.handle_of(b);
		this.h.i32[this.p + R_RAW1_HI] = 0;
	}
	get btf_id(): number {
		return this.h.u32[this.p + R_RAW2]!;
	}
	set btf_id(v: number) {
		this.h.u32[this.p + R_RAW2] = v;
	}
	get mem_size(): number {
		return this.h.u32[this.p + R_RAW1]!;
	}
	set mem_size(v: number) {
		this.h.u32[this.p + R_RAW1] = v;
	}
	get dynptr_id(): number {
		return this.h.u32[this.p + R_RAW1_HI]!;
	}
	set dynptr_id(v: number) {
		this.h.u32[this.p + R_RAW1_HI] = v;
	}
	/** dynptr.type */
	get dynptr_type(): number {
		return this.h.i32[this.p + R_RAW1]!;
	}
	set dynptr_type(v: number) {
		this.h.i32[this.p + R_RAW1] = v;
	}
	/** dynptr.first_slot */
	get dynptr_first_slot(): boolean {
		return this.h.i32[this.p + R_RAW1_HI] !== 0;
	}
	set dynptr_first_slot(v: boolean) {
		this.h.i32[this.p + R_RAW1_HI] = v ? 1 : 0;
	}
	/** iter.btf (the same words as btf) */
	get iter_btf(): btf | null {
		return this.btf;
	}
	set iter_btf(b: btf | null) {
		this.btf = b;
	}
	/** iter.btf_id (the same word as btf_id) */
	get iter_btf_id(): number {
		return this.btf_id;
	}
	set iter_btf_id(v: number) {
		this.btf_id = v;
	}
	/** iter.state, 2 bits */
	get iter_state(): number {
		return this.h.i32[this.p + R_RAW2_HI]! & 3;
	}
	set iter_state(v: number) {
		const i = this.p + R_RAW2_HI;
		this.h.i32[i] = (this.h.i32[i]! & ~3) | (v & 3);
	}
	/** iter.depth, 30 bits signed */
	get iter_depth(): number {
		return this.h.i32[this.p + R_RAW2_HI]! >> 2;
	}
	set iter_depth(v: number) {
		const i = this.p + R_RAW2_HI;
		this.h.i32[i] = (v << 2) | (this.h.i32[i]! & 3);
	}
	get subprogno(): number {
		return this.h.u32[this.p + R_RAW1]!;
	}
	set subprogno(v: number) {
		this.h.u32[this.p + R_RAW1] = v;
	}
	/** var_off.value; not for hot paths, as are all the 64-bit accessors. */
	get var_off_value(): bigint {
		return this.h.u64[(this.p + R_VAR_VALUE) >> 1]!;
	}
	set var_off_value(v: bigint) {
		this.h.u64[(this.p + R_VAR_VALUE) >> 1] = v;
	}
	get var_off_mask(): bigint {
		return this.h.u64[(this.p + R_VAR_MASK) >> 1]!;
	}
	set var_off_mask(v: bigint) {
		this.h.u64[(this.p + R_VAR_MASK) >> 1] = v;
	}
	get smin_value(): bigint {
		return this.h.i64[(this.p + R_SMIN) >> 1]!;
	}
	set smin_value(v: bigint) {
		this.h.i64[(this.p + R_SMIN) >> 1] = v;
	}
	get smax_value(): bigint {
		return this.h.i64[(this.p + R_SMAX) >> 1]!;
	}
	set smax_value(v: bigint) {
		this.h.i64[(this.p + R_SMAX) >> 1] = v;
	}
	get umin_value(): bigint {
		return this.h.u64[(this.p + R_UMIN) >> 1]!;
	}
	set umin_value(v: bigint) {
		this.h.u64[(this.p + R_UMIN) >> 1] = v;
	}
	get umax_value(): bigint {
		return this.h.u64[(this.p + R_UMAX) >> 1]!;
	}
	set umax_value(v: bigint) {
		this.h.u64[(this.p + R_UMAX) >> 1] = v;
	}
	get s32_min_value(): number {
		return this.h.i32[this.p + R_S32_MIN]!;
	}
	set s32_min_value(v: number) {
		this.h.i32[this.p + R_S32_MIN] = v;
	}
	get s32_max_value(): number {
		return this.h.i32[this.p + R_S32_MAX]!;
	}
	set s32_max_value(v: number) {
		this.h.i32[this.p + R_S32_MAX] = v;
	}
	get u32_min_value(): number {
		return this.h.u32[this.p + R_U32_MIN]!;
	}
	set u32_min_value(v: number) {
		this.h.u32[this.p + R_U32_MIN] = v;
	}
	get u32_max_value(): number {
		return this.h.u32[this.p + R_U32_MAX]!;
	}
	set u32_max_value(v: number) {
		this.h.u32[this.p + R_U32_MAX] = v;
	}
	/** u32; the top bit is BPF_ADD_CONST */
	get id(): number {
		return this.h.u32[this.p + R_ID]!;
	}
	set id(v: number) {
		this.h.u32[this.p + R_ID] = v;
	}
	get ref_obj_id(): number {
		return this.h.u32[this.p + R_REF_OBJ_ID]!;
	}
	set ref_obj_id(v: number) {
		this.h.u32[this.p + R_REF_OBJ_ID] = v;
	}
	/** Word index of the parent register state; 0 is NULL. */
	get parent(): number {
		return this.h.i32[this.p + R_PARENT]!;
	}
	set parent(v: number) {
		this.h.i32[this.p + R_PARENT] = v;
	}
	get frameno(): number {
		return this.h.i32[this.p + R_FRAMENO]!;
	}
	set frameno(v: number) {
		this.h.i32[this.p + R_FRAMENO] = v;
	}
	get subreg_def(): number {
		return this.h.i32[this.p + R_SUBREG_DEF]!;
	}
	set subreg_def(v: number) {
		this.h.i32[this.p + R_SUBREG_DEF] = v;
	}
	get live(): number {
		return this.h.i32[this.p + R_LIVE]!;
	}
	set live(v: number) {
		this.h.i32[this.p + R_LIVE] = v;
	}
	get precise(): boolean {
		return this.h.i32[this.p + R_PRECISE] !== 0;
	}
	set precise(v: boolean) {
		this.h.i32[this.p + R_PRECISE] = v ? 1 : 0;
	}
	/** `*this = *src`, every word (parent and live too: see copy_register_state for the careful copy). */
	assign(src: bpf_reg_state): void {
		this.h.i32.copyWithin(this.p, src.p, src.p + REG_WORDS);
	}
	/** (s32)var_off.value, for hot paths. */
	get var_off_s32(): number {
		return this.h.i32[this.p + R_VAR_VALUE]!;
	}
	/** tnum_equals_const(var_off, imm) for an s32 immediate, sign-extended. */
	var_off_equals(imm: number): boolean {
		const w = this.h.i32;
		const p = this.p;
		return (
			(w[p + R_VAR_MASK]! | w[p + R_VAR_MASK + 1]!) === 0 &&
			w[p + R_VAR_VALUE] === imm &&
			w[p + R_VAR_VALUE + 1] === imm >> 31
		);
	}
	/** tnum_is_unknown(var_off) */
	get var_off_is_unknown(): boolean {
		const i = this.p + R_VAR_MASK;
		return (this.h.i32[i]! & this.h.i32[i + 1]!) === -1;
	}
	/** Bounds as doubles: exact up to 2^53, and comparisons with numbers below that are right. */
	get smin_number(): number {
		return this.h.i32[this.p + R_SMIN + 1]! * 4294967296 + this.h.u32[this.p + R_SMIN]!;
	}
	get smax_number(): number {
		return this.h.i32[this.p + R_SMAX + 1]! * 4294967296 + this.h.u32[this.p + R_SMAX]!;
	}
	get umin_number(): number {
		return this.h.u32[this.p + R_UMIN + 1]! * 4294967296 + this.h.u32[this.p + R_UMIN]!;
	}
	get umax_number(): number {
		return this.h.u32[this.p + R_UMAX + 1]! * 4294967296 + this.h.u32[this.p + R_UMAX]!;
	}
	/** tnum_is_const(var_off) */
	get var_off_is_const(): boolean {
		const i = this.p + R_VAR_MASK;
		return (this.h.i32[i]! | this.h.i32[i + 1]!) === 0;
	}
}

/** A struct bpf_stack_state: 8 bytes of stack, what was spilled there and the kind of each byte. */
export class bpf_stack_state {
	readonly h: StateMemory;
	readonly p: number;
	readonly spilled_ptr: bpf_reg_state;
	constructor(h: StateMemory, p: number) {
		this.h = h;
		this.p = p;
		this.spilled_ptr = new bpf_reg_state(h, p);
	}
	/** slot_type[i]: STACK_* of byte i, 0 ≤ i < 8. */
	slot_type(i: number): number {
		return this.h.u8[((this.p + SLOT_TYPE) << 2) + i]!;
	}
	set_slot_type(i: number, v: number): void {
		this.h.u8[((this.p + SLOT_TYPE) << 2) + i] = v;
	}
}
