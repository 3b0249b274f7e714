// SPDX-License-Identifier: GPL-2.0-only
/** What scalar.wasm exports: see ScalarExports in kernel/bpf/scalar_module.ts. */
export { layout, set_env } from "./layout";
export {
	bounds_violation,
	coerce_reg_to_size,
	coerce_reg_to_size_sx,
	coerce_subreg_to_size_sx,
	mark_reg32_known,
	mark_reg32_unbounded,
	mark_reg64_unbounded,
	mark_reg_known,
	mark_reg_known_keep,
	mark_reg_not_init,
	mark_reg_s32_range,
	mark_reg_unbounded,
	mark_reg_unknown,
	mark_reg_unknown_imprecise,
	reg_assign_32_into_64,
	reg_bounds_sync,
	update_reg_bounds,
	zext_32_to_64,
} from "./bounds";
export {
	is_safe_to_compute_dst_reg_range,
	ptr_alu,
	scalar_alu,
	tnum_in_regs,
	tnum_op,
	tnum_overlap_regs,
	tnum_range_of,
	tnum_shift,
} from "./alu";
export { is_scalar_branch_taken, reg_set_min_max, regs_refine_cond_op } from "./branch";
export {
	bug_reg,
	check_ids,
	clean_func_state,
	connect_parents,
	frame_safe,
	mark_reg_read,
	mark_scalars_imprecise,
	regs_equal,
	regs_exact,
	regsafe,
	reset_idmap,
	stacksafe,
} from "./states";
