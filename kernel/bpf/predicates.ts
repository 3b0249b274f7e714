// SPDX-License-Identifier: GPL-2.0-only
/**
 * Small predicates of kernel/bpf/verifier.c and include/linux/bpf_verifier.h: type flags, kinds of
 * calls, what a helper or kfunc id means, per-instruction map state, RCU and trust of BTF pointers.
 */
import {
	BPF_GRAPH_NODE,
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_SPIN_LOCK,
	CONST_PTR_TO_MAP,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_RDONLY,
	NON_OWN_REF,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_TCP_SOCK,
	PTR_TO_XDP_SOCK,
	PTR_UNTRUSTED,
} from "../../include/linux/bpf.ts";
import { BPF_BASE_TYPE_MASK, BPF_REG_TRUSTED_MODIFIERS } from "../../include/linux/bpf_verifier.ts";
import {
	BPF_ATOMIC,
	BPF_CALL,
	BPF_CMPXCHG,
	BPF_FUNC_cgrp_storage_get,
	BPF_FUNC_dynptr_data,
	BPF_FUNC_find_vma,
	BPF_FUNC_for_each_map_elem,
	BPF_FUNC_inode_storage_get,
	BPF_FUNC_kptr_xchg,
	BPF_FUNC_loop,
	BPF_FUNC_map_lookup_elem,
	BPF_FUNC_ringbuf_reserve,
	BPF_FUNC_sk_fullsock,
	BPF_FUNC_sk_lookup_tcp,
	BPF_FUNC_sk_lookup_udp,
	BPF_FUNC_sk_storage_get,
	BPF_FUNC_skc_lookup_tcp,
	BPF_FUNC_skc_to_mptcp_sock,
	BPF_FUNC_skc_to_tcp_request_sock,
	BPF_FUNC_skc_to_tcp_sock,
	BPF_FUNC_skc_to_tcp_timewait_sock,
	BPF_FUNC_skc_to_tcp6_sock,
	BPF_FUNC_skc_to_udp6_sock,
	BPF_FUNC_task_storage_get,
	BPF_FUNC_tcp_sock,
	BPF_FUNC_timer_set_callback,
	BPF_FUNC_user_ringbuf_drain,
	BPF_JCOND,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_MAP_TYPE_UNSPEC,
	BPF_MAY_GOTO,
	BPF_PROG_TYPE_EXT,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_KFUNC_CALL,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_JMP, BPF_STX } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_FUNC_GLOBAL } from "../../include/uapi/linux/btf.ts";
import type { bpf_func_info_aux, bpf_insn, bpf_map, bpf_prog } from "./bpf_types.ts";
import {
	btf_find_struct_meta,
	btf_is_kernel,
	btf_name_by_offset,
	btf_nested_type_is_trusted,
	btf_type_by_id,
} from "./btf.ts";
import { btf_id_of } from "./btf_ids.ts";
import type { BtfIdRef, btf, btf_field, btf_record } from "./btf_types.ts";
import { is_trusted_reg } from "./check_mem.ts";
import { verbose } from "./log.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import type {
	bpf_func_state,
	bpf_insn_aux_data,
	bpf_retval_range,
	bpf_subprog_info,
	bpf_verifier_env,
} from "./verifier_types.ts";

/** Flags of bpf_insn_aux_data.map_key_state (include/linux/bpf_verifier.h). */
export const BPF_MAP_KEY_POISON = 1n << 63n;
export const BPF_MAP_KEY_SEEN = 1n << 62n;

const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;

/** include/linux/bpf_verifier.h: base_type */
export function base_type(type: number): number {
	return type & BPF_BASE_TYPE_MASK;
}

/** include/linux/bpf_verifier.h: type_flag */
export function type_flag(type: number): number {
	return type & ~BPF_BASE_TYPE_MASK;
}

/** include/linux/bpf_verifier.h: type_may_be_null */
export function type_may_be_null(type: number): boolean {
	return (type & PTR_MAYBE_NULL) !== 0;
}

/** include/linux/bpf_verifier.h: bpf_type_has_unsafe_modifiers */
export function bpf_type_has_unsafe_modifiers(type: number): boolean {
	return (type_flag(type) & ~BPF_REG_TRUSTED_MODIFIERS) !== 0;
}

/** include/linux/bpf_verifier.h: type_is_ptr_alloc_obj */
export function type_is_ptr_alloc_obj(type: number): boolean {
	return base_type(type) === PTR_TO_BTF_ID && (type & MEM_ALLOC) !== 0;
}

/** include/linux/bpf_verifier.h: type_is_non_owning_ref */
export function type_is_non_owning_ref(type: number): boolean {
	return type_is_ptr_alloc_obj(type) && (type & NON_OWN_REF) !== 0;
}

/** include/linux/bpf.h: type_is_alloc */
export function type_is_alloc(type: number): boolean {
	return (type & MEM_ALLOC) !== 0;
}

/** include/linux/bpf_verifier.h: type_is_pkt_pointer */
export function type_is_pkt_pointer(type: number): boolean {
	const t = base_type(type);
	return t === PTR_TO_PACKET || t === PTR_TO_PACKET_META;
}

/** include/linux/bpf_verifier.h: type_is_sk_pointer */
export function type_is_sk_pointer(type: number): boolean {
	return (
		type === PTR_TO_SOCKET ||
		type === PTR_TO_SOCK_COMMON ||
		type === PTR_TO_TCP_SOCK ||
		type === PTR_TO_XDP_SOCK
	);
}

/** include/linux/bpf_verifier.h: resolve_prog_type; only after check_attach_btf_id() */
export function resolve_prog_type(prog: bpf_prog): number {
	return prog.type === BPF_PROG_TYPE_EXT && prog.aux.saved_dst_prog_type
		? prog.aux.saved_dst_prog_type
		: prog.type;
}

/** include/linux/bpf_verifier.h: cur_func */
export function cur_func(env: bpf_verifier_env): bpf_func_state {
	const cur = env.cur_state!;
	return cur.frame[cur.curframe]!;
}

/** include/linux/bpf_verifier.h: cur_regs */
export function cur_regs(env: bpf_verifier_env): readonly bpf_reg_state[] {
	const cur = env.cur_state!;
	return cur.frame[cur.curframe]!.regs;
}

/** include/linux/bpf_verifier.h: subprog_info */
export function subprog_info(env: bpf_verifier_env, subprog: number): bpf_subprog_info {
	return env.subprog_info[subprog]!;
}

/** include/linux/bpf_verifier.h: subprog_aux */
export function subprog_aux(env: bpf_verifier_env, subprog: number): bpf_func_info_aux {
	return env.prog.aux.func_info_aux[subprog]!;
}

/** include/linux/bpf.h: btf_record_has_field */
export function btf_record_has_field(rec: btf_record | number | null, type: number): boolean {
	if (rec === null || typeof rec === "number") return false;
	return (rec.field_mask & type) !== 0;
}

/** kernel/bpf/verifier.c: bpf_map_ptr_poisoned */
export function bpf_map_ptr_poisoned(aux: bpf_insn_aux_data): boolean {
	return aux.map_ptr_state.poison;
}

/** kernel/bpf/verifier.c: bpf_map_ptr_unpriv */
export function bpf_map_ptr_unpriv(aux: bpf_insn_aux_data): boolean {
	return aux.map_ptr_state.unpriv;
}

/** kernel/bpf/verifier.c: bpf_map_ptr_store */
export function bpf_map_ptr_store(
	aux: bpf_insn_aux_data,
	map: bpf_map | null,
	unpriv: boolean,
	poison: boolean,
): void {
	aux.map_ptr_state.unpriv = unpriv || bpf_map_ptr_unpriv(aux);
	aux.map_ptr_state.poison = poison;
	aux.map_ptr_state.map_ptr = map;
}

/** kernel/bpf/verifier.c: bpf_map_key_poisoned */
export function bpf_map_key_poisoned(aux: bpf_insn_aux_data): boolean {
	return (aux.map_key_state & BPF_MAP_KEY_POISON) !== 0n;
}

/** kernel/bpf/verifier.c: bpf_map_key_unseen */
export function bpf_map_key_unseen(aux: bpf_insn_aux_data): boolean {
	return (aux.map_key_state & BPF_MAP_KEY_SEEN) === 0n;
}

/** kernel/bpf/verifier.c: bpf_map_key_immediate */
export function bpf_map_key_immediate(aux: bpf_insn_aux_data): bigint {
	return BigInt.asUintN(62, aux.map_key_state);
}

/** kernel/bpf/verifier.c: bpf_map_key_store */
export function bpf_map_key_store(aux: bpf_insn_aux_data, state: bigint): void {
	const poisoned = bpf_map_key_poisoned(aux);
	aux.map_key_state = BigInt.asUintN(64, state) | BPF_MAP_KEY_SEEN | (poisoned ? BPF_MAP_KEY_POISON : 0n);
}

/** kernel/bpf/verifier.c: bpf_helper_call */
export function bpf_helper_call(insn: bpf_insn): boolean {
	return insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg === 0;
}

/** kernel/bpf/verifier.c: bpf_pseudo_call */
export function bpf_pseudo_call(insn: bpf_insn): boolean {
	return insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg === BPF_PSEUDO_CALL;
}

/** kernel/bpf/verifier.c: bpf_pseudo_kfunc_call */
export function bpf_pseudo_kfunc_call(insn: bpf_insn): boolean {
	return insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg === BPF_PSEUDO_KFUNC_CALL;
}

/** kernel/bpf/verifier.c: btf_vmlinux; the program would not have got here without one */
export function btf_vmlinux(env: bpf_verifier_env): btf {
	const vmlinux = env.kernel.bpf.bpf_get_btf_vmlinux();
	if (typeof vmlinux === "number") throw new Error(`no vmlinux BTF: ${vmlinux}`);
	return vmlinux;
}

/** kernel/bpf/verifier.c: btf_type_name */
export function btf_type_name(btf: btf, id: number): string {
	return btf_name_by_offset(btf, btf_type_by_id(btf, id)!.name_off)!;
}

/** kernel/bpf/verifier.c: verbose_invalid_scalar */
export function verbose_invalid_scalar(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	range: bpf_retval_range,
	ctx: string,
	reg_name: string,
): void {
	let unknown = true;

	verbose(env, `${ctx} the register ${reg_name} has`);
	if (reg.smin_value > S64_MIN) {
		verbose(env, ` smin=${reg.smin_value}`);
		unknown = false;
	}
	if (reg.smax_value < S64_MAX) {
		verbose(env, ` smax=${reg.smax_value}`);
		unknown = false;
	}
	if (unknown) verbose(env, " unknown scalar value");
	verbose(env, ` should have been in [${range.minval}, ${range.maxval}]\n`);
}

/** kernel/bpf/verifier.c: reg_not_null */
export function reg_not_null(reg: bpf_reg_state): boolean {
	let type = reg.type;
	if (type_may_be_null(type)) return false;

	type = base_type(type);
	return (
		type === PTR_TO_SOCKET ||
		type === PTR_TO_TCP_SOCK ||
		type === PTR_TO_MAP_VALUE ||
		type === PTR_TO_MAP_KEY ||
		type === PTR_TO_SOCK_COMMON ||
		(type === PTR_TO_BTF_ID && is_trusted_reg(reg)) ||
		type === PTR_TO_MEM ||
		type === CONST_PTR_TO_MAP
	);
}

/** kernel/bpf/verifier.c: reg_btf_record */
export function reg_btf_record(reg: bpf_reg_state): btf_record | null {
	if (reg.type === PTR_TO_MAP_VALUE) return reg.map_ptr!.record;
	if (type_is_ptr_alloc_obj(reg.type)) {
		const meta = btf_find_struct_meta(reg.btf!, reg.btf_id);
		if (meta) return meta.record;
	}
	return null;
}

/** kernel/bpf/verifier.c: subprog_is_global */
export function subprog_is_global(env: bpf_verifier_env, subprog: number): boolean {
	return env.prog.aux.func_info_aux[subprog]?.linkage === BTF_FUNC_GLOBAL;
}

/** kernel/bpf/verifier.c: subprog_name */
export function subprog_name(env: bpf_verifier_env, subprog: number): string {
	const info = env.prog.aux.func_info[subprog];
	if (!info) return "";
	return btf_type_name(env.prog.aux.btf!, info.type_id);
}

/** kernel/bpf/verifier.c: mark_subprog_exc_cb */
export function mark_subprog_exc_cb(env: bpf_verifier_env, subprog: number): void {
	const info = subprog_info(env, subprog);
	info.is_cb = true;
	info.is_async_cb = true;
	info.is_exception_cb = true;
}

/** kernel/bpf/verifier.c: subprog_is_exc_cb */
export function subprog_is_exc_cb(env: bpf_verifier_env, subprog: number): boolean {
	return subprog_info(env, subprog).is_exception_cb;
}

/** kernel/bpf/verifier.c: reg_may_point_to_spin_lock */
export function reg_may_point_to_spin_lock(reg: bpf_reg_state): boolean {
	return btf_record_has_field(reg_btf_record(reg), BPF_SPIN_LOCK);
}

/** kernel/bpf/verifier.c: type_is_rdonly_mem */
export function type_is_rdonly_mem(type: number): boolean {
	return (type & MEM_RDONLY) !== 0;
}

/** kernel/bpf/verifier.c: is_acquire_function */
export function is_acquire_function(func_id: number, map: bpf_map | null): boolean {
	const map_type = map ? map.map_type : BPF_MAP_TYPE_UNSPEC;

	if (
		func_id === BPF_FUNC_sk_lookup_tcp ||
		func_id === BPF_FUNC_sk_lookup_udp ||
		func_id === BPF_FUNC_skc_lookup_tcp ||
		func_id === BPF_FUNC_ringbuf_reserve ||
		func_id === BPF_FUNC_kptr_xchg
	)
		return true;

	return (
		func_id === BPF_FUNC_map_lookup_elem &&
		(map_type === BPF_MAP_TYPE_SOCKMAP || map_type === BPF_MAP_TYPE_SOCKHASH)
	);
}

/** kernel/bpf/verifier.c: is_ptr_cast_function */
export function is_ptr_cast_function(func_id: number): boolean {
	return (
		func_id === BPF_FUNC_tcp_sock ||
		func_id === BPF_FUNC_sk_fullsock ||
		func_id === BPF_FUNC_skc_to_tcp_sock ||
		func_id === BPF_FUNC_skc_to_tcp6_sock ||
		func_id === BPF_FUNC_skc_to_udp6_sock ||
		func_id === BPF_FUNC_skc_to_mptcp_sock ||
		func_id === BPF_FUNC_skc_to_tcp_timewait_sock ||
		func_id === BPF_FUNC_skc_to_tcp_request_sock
	);
}

/** kernel/bpf/verifier.c: is_dynptr_ref_function */
export function is_dynptr_ref_function(func_id: number): boolean {
	return func_id === BPF_FUNC_dynptr_data;
}

/** kernel/bpf/verifier.c: is_sync_callback_calling_function */
export function is_sync_callback_calling_function(func_id: number): boolean {
	return (
		func_id === BPF_FUNC_for_each_map_elem ||
		func_id === BPF_FUNC_find_vma ||
		func_id === BPF_FUNC_loop ||
		func_id === BPF_FUNC_user_ringbuf_drain
	);
}

/** kernel/bpf/verifier.c: is_async_callback_calling_function */
export function is_async_callback_calling_function(func_id: number): boolean {
	return func_id === BPF_FUNC_timer_set_callback;
}

/** kernel/bpf/verifier.c: is_callback_calling_function */
export function is_callback_calling_function(func_id: number): boolean {
	return is_sync_callback_calling_function(func_id) || is_async_callback_calling_function(func_id);
}

/** kernel/bpf/verifier.c: is_sync_callback_calling_insn (env: kfunc ids belong to one kernel) */
export function is_sync_callback_calling_insn(env: bpf_verifier_env, insn: bpf_insn): boolean {
	return (
		(bpf_helper_call(insn) && is_sync_callback_calling_function(insn.imm)) ||
		(bpf_pseudo_kfunc_call(insn) && is_sync_callback_calling_kfunc(env, insn.imm))
	);
}

/** kernel/bpf/verifier.c: is_async_callback_calling_insn (env as above) */
export function is_async_callback_calling_insn(env: bpf_verifier_env, insn: bpf_insn): boolean {
	return (
		(bpf_helper_call(insn) && is_async_callback_calling_function(insn.imm)) ||
		(bpf_pseudo_kfunc_call(insn) && is_async_callback_calling_kfunc(env, insn.imm))
	);
}

/** kernel/bpf/verifier.c: is_may_goto_insn */
export function is_may_goto_insn(insn: bpf_insn): boolean {
	return insn.code === (BPF_JMP | BPF_JCOND) && insn.src_reg === BPF_MAY_GOTO;
}

/** kernel/bpf/verifier.c: is_may_goto_insn_at */
export function is_may_goto_insn_at(env: bpf_verifier_env, insn_idx: number): boolean {
	return is_may_goto_insn(env.prog.insnsi[insn_idx]!);
}

/** kernel/bpf/verifier.c: is_storage_get_function */
export function is_storage_get_function(func_id: number): boolean {
	return (
		func_id === BPF_FUNC_sk_storage_get ||
		func_id === BPF_FUNC_inode_storage_get ||
		func_id === BPF_FUNC_task_storage_get ||
		func_id === BPF_FUNC_cgrp_storage_get
	);
}

/** kernel/bpf/verifier.c: helper_multiple_ref_obj_use */
export function helper_multiple_ref_obj_use(func_id: number, map: bpf_map | null): boolean {
	let ref_obj_uses = 0;

	if (is_ptr_cast_function(func_id)) ref_obj_uses++;
	if (is_acquire_function(func_id, map)) ref_obj_uses++;
	if (is_dynptr_ref_function(func_id)) ref_obj_uses++;

	return ref_obj_uses > 1;
}

/** kernel/bpf/verifier.c: is_cmpxchg_insn */
export function is_cmpxchg_insn(insn: bpf_insn): boolean {
	return (insn.code & 7) === BPF_STX && (insn.code & 0xe0) === BPF_ATOMIC && insn.imm === BPF_CMPXCHG;
}

const special_kfunc_names = [
	"bpf_obj_new_impl",
	"bpf_obj_drop_impl",
	"bpf_refcount_acquire_impl",
	"bpf_list_push_front_impl",
	"bpf_list_push_back_impl",
	"bpf_list_pop_front",
	"bpf_list_pop_back",
	"bpf_cast_to_kern_ctx",
	"bpf_rdonly_cast",
	"bpf_rcu_read_lock",
	"bpf_rcu_read_unlock",
	"bpf_rbtree_remove",
	"bpf_rbtree_add_impl",
	"bpf_rbtree_first",
	"bpf_dynptr_from_skb",
	"bpf_dynptr_from_xdp",
	"bpf_dynptr_slice",
	"bpf_dynptr_slice_rdwr",
	"bpf_dynptr_clone",
	"bpf_percpu_obj_new_impl",
	"bpf_percpu_obj_drop_impl",
	"bpf_throw",
	"bpf_wq_set_callback_impl",
	"bpf_preempt_disable",
	"bpf_preempt_enable",
	"bpf_iter_css_task_new",
	"bpf_session_cookie",
] as const;

/** BTF ids of the kfuncs that the verifier knows by name (special_kfunc_list); -1: this kernel has none. */
export type SpecialKfuncs = Readonly<Record<(typeof special_kfunc_names)[number], number>>;

/** Names of special_kfunc_list that special_kfunc_set leaves out. */
const not_in_special_set: ReadonlySet<string> = new Set([
	"bpf_rcu_read_lock",
	"bpf_rcu_read_unlock",
	"bpf_preempt_disable",
	"bpf_preempt_enable",
	"bpf_session_cookie",
]);

/** kernel/bpf/verifier.c: kf_arg_btf_ids, rcu_protected_types, special_kfunc_list and _set, resolved. */
export interface VerifierBtfIds {
	readonly special: SpecialKfuncs;
	readonly special_set: ReadonlySet<number>;
	readonly rcu_protected: ReadonlySet<number>;
}

/** Ids of the kernel's BTF that the verifier compares with; resolved at first use and kept with the kernel. */
export function verifier_btf_ids(env: bpf_verifier_env): VerifierBtfIds {
	const bpf = env.kernel.bpf;
	if (bpf.verifier_ids) return bpf.verifier_ids;

	const id_of = (kind: BtfIdRef["kind"], name: string): number => {
		const id = btf_id_of(env.kernel, { kind, name });
		return id > 0 ? id : -1;
	};
	const special: Record<string, number> = {};
	const special_set = new Set<number>();
	for (const name of special_kfunc_names) {
		const id = id_of("func", name);
		special[name] = id;
		if (id > 0 && !not_in_special_set.has(name)) special_set.add(id);
	}
	const rcu_protected = new Set<number>();
	for (const name of ["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"]) {
		const id = id_of("struct", name);
		if (id > 0) rcu_protected.add(id);
	}
	const ids: VerifierBtfIds = { special: special as SpecialKfuncs, special_set, rcu_protected };
	bpf.verifier_ids = ids;
	return ids;
}

/** kernel/bpf/verifier.c: special_kfunc_list, by kfunc name */
export function special_kfunc_list(env: bpf_verifier_env): SpecialKfuncs {
	return verifier_btf_ids(env).special;
}

/** kernel/bpf/verifier.c: is_sync_callback_calling_kfunc */
export function is_sync_callback_calling_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return btf_id === special_kfunc_list(env).bpf_rbtree_add_impl;
}

/** kernel/bpf/verifier.c: is_async_callback_calling_kfunc */
export function is_async_callback_calling_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return btf_id === special_kfunc_list(env).bpf_wq_set_callback_impl;
}

/** kernel/bpf/verifier.c: is_bpf_throw_kfunc */
export function is_bpf_throw_kfunc(env: bpf_verifier_env, insn: bpf_insn): boolean {
	return bpf_pseudo_kfunc_call(insn) && insn.off === 0 && insn.imm === special_kfunc_list(env).bpf_throw;
}

/** kernel/bpf/verifier.c: is_bpf_wq_set_callback_impl_kfunc */
export function is_bpf_wq_set_callback_impl_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return btf_id === special_kfunc_list(env).bpf_wq_set_callback_impl;
}

/** kernel/bpf/verifier.c: is_callback_calling_kfunc */
export function is_callback_calling_kfunc(env: bpf_verifier_env, btf_id: number): boolean {
	return is_sync_callback_calling_kfunc(env, btf_id) || is_async_callback_calling_kfunc(env, btf_id);
}

/** kernel/bpf/verifier.c: in_sleepable */
export function in_sleepable(env: bpf_verifier_env): boolean {
	return env.prog.sleepable || (env.cur_state?.in_sleepable ?? false);
}

/**
 * kernel/bpf/verifier.c: in_rcu_cs. Programs that cannot sleep always are in one; a held spin lock
 * makes one too.
 */
export function in_rcu_cs(env: bpf_verifier_env): boolean {
	const cur = env.cur_state!;
	return cur.active_rcu_lock || cur.active_lock.ptr !== null || !in_sleepable(env);
}

/** kernel/bpf/verifier.c: rcu_protected_object */
export function rcu_protected_object(env: bpf_verifier_env, btf: btf, btf_id: number): boolean {
	if (!btf_is_kernel(btf)) return true;
	return verifier_btf_ids(env).rcu_protected.has(btf_id);
}

/** kernel/bpf/verifier.c: kptr_pointee_btf_record */
export function kptr_pointee_btf_record(kptr_field: btf_field): btf_record | null {
	const kptr = kptr_field.kptr!;
	if (btf_is_kernel(kptr.btf)) return null;
	return btf_find_struct_meta(kptr.btf, kptr.btf_id)?.record ?? null;
}

/** kernel/bpf/verifier.c: rcu_safe_kptr */
export function rcu_safe_kptr(env: bpf_verifier_env, field: btf_field): boolean {
	const kptr = field.kptr!;
	return (
		field.type === BPF_KPTR_PERCPU ||
		(field.type === BPF_KPTR_REF && rcu_protected_object(env, kptr.btf, kptr.btf_id))
	);
}

/** kernel/bpf/verifier.c: btf_ld_kptr_type */
export function btf_ld_kptr_type(env: bpf_verifier_env, kptr_field: btf_field): number {
	let ret = PTR_MAYBE_NULL;

	if (rcu_safe_kptr(env, kptr_field) && in_rcu_cs(env)) {
		ret |= MEM_RCU;
		if (kptr_field.type === BPF_KPTR_PERCPU) ret |= MEM_PERCPU;
		else if (!btf_is_kernel(kptr_field.kptr!.btf)) ret |= MEM_ALLOC;

		const rec = kptr_pointee_btf_record(kptr_field);
		if (rec && btf_record_has_field(rec, BPF_GRAPH_NODE)) ret |= NON_OWN_REF;
	} else {
		ret |= PTR_UNTRUSTED;
	}

	return ret;
}

/** kernel/bpf/verifier.c: type_is_rcu */
export function type_is_rcu(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	field_name: string,
	btf_id: number,
): boolean {
	return btf_nested_type_is_trusted(env.log, reg, field_name, btf_id, "__safe_rcu");
}

/** kernel/bpf/verifier.c: type_is_rcu_or_null */
export function type_is_rcu_or_null(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	field_name: string,
	btf_id: number,
): boolean {
	return btf_nested_type_is_trusted(env.log, reg, field_name, btf_id, "__safe_rcu_or_null");
}

/** kernel/bpf/verifier.c: type_is_trusted */
export function type_is_trusted(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	field_name: string,
	btf_id: number,
): boolean {
	return btf_nested_type_is_trusted(env.log, reg, field_name, btf_id, "__safe_trusted");
}

/** kernel/bpf/verifier.c: type_is_trusted_or_null */
export function type_is_trusted_or_null(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	field_name: string,
	btf_id: number,
): boolean {
	return btf_nested_type_is_trusted(env.log, reg, field_name, btf_id, "__safe_trusted_or_null");
}
