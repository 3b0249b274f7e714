// SPDX-License-Identifier: GPL-2.0-only
/**
 * The structures of include/linux/bpf_verifier.h. Register and stack states lie in linear memory
 * (reg_state.ts, heap.ts); what is around them are ordinary objects with the kernel's field names.
 */
import type { MessageTap } from "../../lib/message_tap.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_insn, bpf_line_info, bpf_map, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import type { btf, btf_field, btf_mod_pair, btf_struct_meta, btf_type, kmodule } from "./btf_types.ts";
import type { VerifierNotes } from "./embed.ts";
import type { VerifierHeap } from "./heap.ts";
import type { bpf_reg_state, bpf_stack_state } from "./reg_state.ts";

/** struct bpf_verifier_log; log.ts holds its functions. `write` copies to the user's buffer. */
export interface bpf_verifier_log {
	start_pos: number;
	end_pos: number;
	level: number;
	len_total: number;
	len_max: number;
	/**
	 * Copy bytes to offset `at` of the user's buffer; returns false on a fault. null: no buffer
	 * (log discarded, or BPF_LOG_KERNEL). The bytes are Latin-1 of what was logged, as the kernel's are.
	 */
	ubuf: UserLogBuffer | null;
	/** Text not yet copied to `ubuf` (log.ts): `pending_len` bytes that end at end_pos. */
	pending?: Uint8Array;
	pending_len?: number;
	/** Where BPF_LOG_KERNEL writes. */
	printk?: (line: string) => void;
	/** Sees every text (lib/message_tap.ts). */
	tap?: MessageTap | undefined;
}

/** The user's log buffer, seen through copy_to_user / copy_from_user. */
export interface UserLogBuffer {
	write(at: number, bytes: Uint8Array): boolean;
	read(at: number, len: number): Uint8Array | null;
}

/** struct bpf_reference_state */
export interface bpf_reference_state {
	id: number;
	insn_idx: number;
	callback_ref: number;
}

export interface bpf_retval_range {
	minval: number;
	maxval: number;
}

/** struct bpf_func_state: one frame. Registers and stack are handles on the heap. */
export interface bpf_func_state {
	/** regs[0..10], and their first word index. */
	readonly regs: readonly bpf_reg_state[];
	readonly regs_p: number;
	callsite: number;
	frameno: number;
	subprogno: number;
	async_entry_cnt: number;
	callback_ret_range: bpf_retval_range;
	in_callback_fn: boolean;
	in_async_callback_fn: boolean;
	in_exception_callback_fn: boolean;
	callback_depth: number;
	/** refs.length is acquired_refs. */
	refs: bpf_reference_state[];
	/** Bytes; stack slots are allocated_stack / 8. */
	allocated_stack: number;
	/** Word index of stack[0]; 0 when there is none. */
	stack_p: number;
	/** Handle on stack[spi]. */
	stack(spi: number): bpf_stack_state;
}

/** struct bpf_active_lock: the map or btf that holds the lock, and the register's id. */
export interface bpf_active_lock {
	ptr: bpf_map | btf | null;
	id: number;
}

/** struct bpf_verifier_state */
export interface bpf_verifier_state {
	readonly frame: (bpf_func_state | null)[];
	parent: bpf_verifier_state | null;
	branches: number;
	insn_idx: number;
	curframe: number;
	active_lock: bpf_active_lock;
	speculative: boolean;
	active_rcu_lock: boolean;
	active_preempt_lock: number;
	used_as_loop_entry: boolean;
	in_sleepable: boolean;
	first_insn_idx: number;
	last_insn_idx: number;
	loop_entry: bpf_verifier_state | null;
	insn_hist_start: number;
	insn_hist_end: number;
	dfs_depth: number;
	callback_unroll_depth: number;
	may_goto_depth: number;
}

/** struct bpf_verifier_state_list */
export interface bpf_verifier_state_list {
	state: bpf_verifier_state;
	miss_cnt: number;
	hit_cnt: number;
}

/** struct bpf_verifier_stack_elem */
export interface bpf_verifier_stack_elem {
	st: bpf_verifier_state;
	insn_idx: number;
	prev_insn_idx: number;
	next: bpf_verifier_stack_elem | null;
	log_pos: number;
}

/** struct bpf_insn_aux_data. The kernel's union members stand side by side: each use sets what it reads. */
export class bpf_insn_aux_data {
	ptr_type = 0;
	map_ptr_state: { map_ptr: bpf_map | null; poison: boolean; unpriv: boolean } = {
		map_ptr: null,
		poison: false,
		unpriv: false,
	};
	call_imm = 0;
	alu_limit = 0;
	map_index = 0;
	map_off = 0;
	btf_var: { reg_type: number; btf: btf | null; btf_id: number; mem_size: number } = {
		reg_type: 0,
		btf: null,
		btf_id: 0,
		mem_size: 0,
	};
	loop_inline_state = { initialized: false, fit_for_inline: false, callback_subprogno: 0 };
	obj_new_size = 0n;
	insert_off = 0n;
	kptr_struct_meta: btf_struct_meta | null = null;
	map_key_state = 0n;
	ctx_field_size = 0;
	seen = 0;
	sanitize_stack_spill = false;
	zext_dst = false;
	needs_zext = false;
	storage_get_func_atomic = false;
	is_iter_next = false;
	call_with_percpu_alloc_ptr = false;
	alu_state = 0;
	fastcall_pattern = 0;
	fastcall_spills_num = 0;
	orig_idx = 0;
	/** Put in before another instruction, which has the original's index (embed.ts). */
	patched_in = false;
	jmp_point = false;
	prune_point = false;
	force_checkpoint = false;
	calls_callback = false;
}

/** struct bpf_subprog_arg_info */
export interface bpf_subprog_arg_info {
	arg_type: number;
	mem_size: number;
	btf_id: number;
}

/** struct bpf_subprog_info */
export class bpf_subprog_info {
	start = 0;
	linfo_idx = 0;
	stack_depth = 0;
	stack_extra = 0;
	fastcall_stack_off = 0;
	has_tail_call = false;
	tail_call_reachable = false;
	has_ld_abs = false;
	is_cb = false;
	is_async_cb = false;
	is_exception_cb = false;
	args_cached = false;
	keep_fastcall_stack = false;
	changes_pkt_data = false;
	priv_stack_mode = 0;
	arg_cnt = 0;
	args: bpf_subprog_arg_info[] = [];
}

/** struct bpf_insn_hist_entry */
export interface bpf_insn_hist_entry {
	idx: number;
	prev_idx: number;
	/** INSN_F_* */
	flags: number;
	/** As linked_regs_pack() packs them; 0n: none. */
	linked_regs: bigint;
}

/** struct backtrack_state: which registers and stack slots of each frame are still to be made precise. */
export interface backtrack_state {
	frame: number;
	reg_masks: Uint32Array;
	/** Two words a frame, low first. */
	stack_masks: Uint32Array;
}

/** struct bpf_call_arg_meta (kernel/bpf/verifier.c) */
export interface bpf_call_arg_meta {
	map_ptr: bpf_map | null;
	raw_mode: boolean;
	pkt_access: boolean;
	release_regno: number;
	regno: number;
	access_size: number;
	mem_size: number;
	msize_max_value: bigint;
	ref_obj_id: number;
	dynptr_id: number;
	map_uid: number;
	func_id: number;
	btf: btf | null;
	btf_id: number;
	ret_btf: btf | null;
	ret_btf_id: number;
	subprogno: number;
	kptr_field: btf_field | null;
}

/** struct bpf_kfunc_call_arg_meta (kernel/bpf/verifier.c) */
export interface bpf_kfunc_call_arg_meta {
	btf: btf;
	func_id: number;
	kfunc_flags: number;
	func_proto: btf_type;
	func_name: string;
	ref_obj_id: number;
	release_regno: number;
	r0_rdonly: boolean;
	ret_btf_id: number;
	r0_size: bigint;
	subprogno: number;
	arg_constant: { value: bigint; found: boolean };
	arg_btf: btf | null;
	arg_btf_id: number;
	arg_owning_ref: boolean;
	arg_list_head: { field: btf_field | null };
	arg_rbtree_root: { field: btf_field | null };
	initialized_dynptr: { type: number; id: number; ref_obj_id: number };
	iter: { spi: number; frameno: number };
	map: { ptr: bpf_map | null; uid: number };
	mem_size: bigint;
}

/** struct bpf_verifier_env: all that one bpf_check() works on. */
export interface bpf_verifier_env {
	readonly kernel: Kernel;
	/** Memory of register and stack states, with the 64-bit arithmetic on it. */
	readonly heap: VerifierHeap;
	insn_idx: number;
	prev_insn_idx: number;
	prog: bpf_prog;
	ops: bpf_verifier_ops;
	attach_btf_mod: kmodule | null;
	head: bpf_verifier_stack_elem | null;
	stack_size: number;
	strict_alignment: boolean;
	test_state_freq: boolean;
	test_reg_invariants: boolean;
	cur_state: bpf_verifier_state | null;
	/** explored_states[]: a bucket an instruction and callsite, newest last or as states.ts keeps it. */
	explored_states: bpf_verifier_state_list[][];
	free_list: bpf_verifier_state_list[];
	used_maps: bpf_map[];
	used_btfs: btf_mod_pair[];
	id_gen: number;
	hidden_subprog_cnt: number;
	exception_callback_subprog: number;
	explore_alu_limits: boolean;
	allow_ptr_leaks: boolean;
	allow_uninit_stack: boolean;
	bpf_capable: boolean;
	bypass_spec_v1: boolean;
	bypass_spec_v4: boolean;
	seen_direct_write: boolean;
	seen_exception: boolean;
	insn_aux_data: bpf_insn_aux_data[];
	prev_linfo: bpf_line_info | null;
	log: bpf_verifier_log;
	subprog_info: bpf_subprog_info[];
	cfg: { insn_state: Int32Array; insn_stack: Int32Array; cur_stack: number };
	bt: backtrack_state;
	/** Instruction history of all states; each has its range. Entries past a state's end are free to reuse. */
	insn_hist: bpf_insn_hist_entry[];
	/** The history entry of the current instruction, if it has one. */
	cur_hist_ent: bpf_insn_hist_entry | null;
	pass_cnt: number;
	subprog_cnt: number;
	prev_insn_processed: number;
	insn_processed: number;
	prev_jmps_processed: number;
	jmps_processed: number;
	/** nanoseconds */
	verification_time: bigint;
	max_states_per_insn: number;
	total_states: number;
	peak_states: number;
	longest_mark_read_walk: number;
	/** Reads entry `i` of the user's fd_array; returns a negative errno on a fault; null: none was given. */
	fd_array: ((i: number) => number) | null;
	/** bit i: register i was touched since it was last printed */
	scratched_regs: number;
	/** the same for stack slots: low and high 32 bits */
	scratched_stack_slots: [number, number];
	prev_log_pos: number;
	prev_insn_print_pos: number;
	/** Two scratch registers on the heap. */
	fake_reg: [bpf_reg_state, bpf_reg_state];
	/** Scratch for helpers that build instruction sequences. */
	insn_buf: bpf_insn[];
	/** Notes for the state-embedding check, when that is on (embed.ts). */
	embedding?: VerifierNotes | null;
	/** Two more registers on the heap, for what the kernel keeps on its C stack: an operand and a saved copy. */
	tmp_reg: [bpf_reg_state, bpf_reg_state];
}

/** What bpf(2) was called with, seen through copy_from_bpfptr / copy_to_bpfptr (addresses as the caller gave them). */
export interface bpfptr_t {
	/** Address of the caller's union bpf_attr. */
	readonly addr: bigint;
	readonly is_kernel: boolean;
	/** null: -EFAULT */
	read(addr: bigint, len: number): Uint8Array | null;
	/** false: -EFAULT */
	write(addr: bigint, bytes: Uint8Array): boolean;
	/** The log, which is in user space whoever calls. */
	read_user(addr: bigint, len: number): Uint8Array | null;
	write_user(addr: bigint, bytes: Uint8Array): boolean;
}

/** union bpf_attr of BPF_PROG_LOAD, decoded. */
export interface bpf_prog_load_attr {
	prog_type: number;
	insn_cnt: number;
	insns: bigint;
	license: bigint;
	log_level: number;
	log_size: number;
	log_buf: bigint;
	kern_version: number;
	prog_flags: number;
	prog_name: string;
	prog_ifindex: number;
	expected_attach_type: number;
	prog_btf_fd: number;
	func_info_rec_size: number;
	func_info: bigint;
	func_info_cnt: number;
	line_info_rec_size: number;
	line_info: bigint;
	line_info_cnt: number;
	attach_btf_id: number;
	/** the same word as attach_btf_obj_fd */
	attach_prog_fd: number;
	core_relo_cnt: number;
	fd_array: bigint;
	core_relos: bigint;
	core_relo_rec_size: number;
	log_true_size: number;
	prog_token_fd: number;
}
