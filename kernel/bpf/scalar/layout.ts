// SPDX-License-Identifier: GPL-2.0-only
/**
 * struct bpf_reg_state and struct bpf_stack_state as kernel/bpf/reg_state.ts lays them out (its drawing
 * gives the words), and the few words of scratch below the heap.
 */

@unmanaged
export class Reg {
	type: i32;
	off: i32;
	raw1: u64;
	raw2: u64;
	/** var_off */
	value: u64;
	mask: u64;
	smin: i64;
	smax: i64;
	umin: u64;
	umax: u64;
	s32_min: i32;
	s32_max: i32;
	u32_min: u32;
	u32_max: u32;
	id: u32;
	ref_obj_id: u32;
	parent: i32;
	frameno: u32;
	subreg_def: i32;
	live: i32;
	precise: i32;
	pad: i32;
}

/** Words of a register and of a stack slot; bytes of the same. */
export const REG_WORDS: i32 = 30;
export const REG_BYTES: i32 = 120;
export const STACK_WORDS: i32 = 32;
export const STACK_BYTES: i32 = 128;

// Scratch: word indices, all below HEAP_BASE (kernel/bpf/scalar_module.ts).
export const IDMAP: i32 = 4096;
export const UNBOUND_REG: i32 = 8256;

export const S64_MIN: i64 = i64.MIN_VALUE;
export const S64_MAX: i64 = i64.MAX_VALUE;
export const U64_MAX: u64 = u64.MAX_VALUE;
export const S32_MIN: i32 = i32.MIN_VALUE;
export const S32_MAX: i32 = i32.MAX_VALUE;
export const U32_MAX: u32 = u32.MAX_VALUE;

export const NOT_INIT: i32 = 0;
export const SCALAR_VALUE: i32 = 1;

/** The register at a word index. */
// @ts-ignore: decorator
@inline
export function R(p: i32): Reg {
	return changetype<Reg>(<usize>p << 2);
}

/** What the arithmetic must know of the verification that runs. */
export let bpf_capable: bool = true;
export let allow_uninit_stack: bool = true;
export let explore_alu_limits: bool = false;
/** Ranges of all scalars count when states are compared (kernel/bpf/embed.ts), not of precise ones only. */
export let all_precise: bool = false;

export function set_env(capable: i32, uninit_stack: i32, alu_limits: i32, every_scalar: i32): void {
	bpf_capable = capable != 0;
	allow_uninit_stack = uninit_stack != 0;
	explore_alu_limits = alu_limits != 0;
	all_precise = every_scalar != 0;
}

/** Byte offset of a field, in the order of the class: the test holds it against reg_state.ts. */
export function layout(field: i32): i32 {
	switch (field) {
		case 0: return <i32>offsetof<Reg>("type");
		case 1: return <i32>offsetof<Reg>("off");
		case 2: return <i32>offsetof<Reg>("raw1");
		case 3: return <i32>offsetof<Reg>("raw2");
		case 4: return <i32>offsetof<Reg>("value");
		case 5: return <i32>offsetof<Reg>("mask");
		case 6: return <i32>offsetof<Reg>("smin");
		case 7: return <i32>offsetof<Reg>("smax");
		case 8: return <i32>offsetof<Reg>("umin");
		case 9: return <i32>offsetof<Reg>("umax");
		case 10: return <i32>offsetof<Reg>("s32_min");
		case 11: return <i32>offsetof<Reg>("s32_max");
		case 12: return <i32>offsetof<Reg>("u32_min");
		case 13: return <i32>offsetof<Reg>("u32_max");
		case 14: return <i32>offsetof<Reg>("id");
		case 15: return <i32>offsetof<Reg>("ref_obj_id");
		case 16: return <i32>offsetof<Reg>("parent");
		case 17: return <i32>offsetof<Reg>("frameno");
		case 18: return <i32>offsetof<Reg>("subreg_def");
		case 19: return <i32>offsetof<Reg>("live");
		case 20: return <i32>offsetof<Reg>("precise");
		case 21: return <i32>offsetof<Reg>();
		case 22: return REG_BYTES;
		case 23: return STACK_BYTES;
		default: return -1;
	}
}
