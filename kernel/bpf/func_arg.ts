// SPDX-License-Identifier: GPL-2.0-only
/**
 * Arguments of helpers (kernel/bpf/verifier.c: check_helper_mem_access to process_dynptr_func, and
 * arg_type_is_mem_size to check_func_arg).
 */
import {
	__BPF_ARG_TYPE_MAX,
	ARG_ANYTHING,
	ARG_CONST_ALLOC_SIZE_OR_ZERO,
	ARG_CONST_MAP_PTR,
	ARG_CONST_SIZE,
	ARG_CONST_SIZE_OR_ZERO,
	ARG_DONTCARE,
	ARG_KPTR_XCHG_DEST,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_BTF_ID_SOCK_COMMON,
	ARG_PTR_TO_CONST_STR,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_DYNPTR,
	ARG_PTR_TO_FUNC,
	ARG_PTR_TO_MAP_KEY,
	ARG_PTR_TO_MAP_VALUE,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_PERCPU_BTF_ID,
	ARG_PTR_TO_RINGBUF_MEM,
	ARG_PTR_TO_SOCK_COMMON,
	ARG_PTR_TO_SOCKET,
	ARG_PTR_TO_SPIN_LOCK,
	ARG_PTR_TO_STACK,
	ARG_PTR_TO_TIMER,
	BPF_KPTR,
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_READ,
	BPF_SPIN_LOCK,
	BPF_TIMER,
	BPF_WRITE,
	CONST_PTR_TO_DYNPTR,
	CONST_PTR_TO_MAP,
	DYNPTR_TYPE_FLAG_MASK,
	MEM_ALIGNED,
	MEM_ALLOC,
	MEM_FIXED_SIZE,
	MEM_PERCPU,
	MEM_RCU,
	MEM_RDONLY,
	MEM_RINGBUF,
	MEM_UNINIT,
	MEM_WRITE,
	NON_OWN_REF,
	OBJ_RELEASE,
	PTR_MAYBE_NULL,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_BUF,
	PTR_TO_CTX,
	PTR_TO_FUNC,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_STACK,
	PTR_TO_TCP_SOCK,
	PTR_TO_XDP_SOCK,
	PTR_TRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_DYNPTR_SIZE, BPF_MAX_VAR_SIZ } from "../../include/linux/bpf_verifier.ts";
import { EACCES, EFAULT, EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_DW,
	BPF_FUNC_kptr_xchg,
	BPF_FUNC_map_peek_elem,
	BPF_FUNC_sk_release,
	BPF_FUNC_spin_lock,
	BPF_FUNC_spin_unlock,
	BPF_MAP_TYPE_BLOOM_FILTER,
	BPF_MAP_TYPE_SOCKHASH,
	BPF_MAP_TYPE_SOCKMAP,
	BPF_REG_1,
	BPF_REG_2,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_B } from "../../include/uapi/linux/bpf_common.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import type { Ref } from "../../lib/err.ts";
import { mark_chain_precision } from "./backtrack.ts";
import { BPF_PTR_POISON, type bpf_func_proto, type bpf_map } from "./bpf_types.ts";
import { btf_record_find, btf_struct_ids_match } from "./btf.ts";
import { btf_id_of } from "./btf_ids.ts";
import type { BtfIdRef, btf, btf_field } from "./btf_types.ts";
import {
	__check_ptr_off_reg,
	bpf_map_is_rdonly,
	check_buffer_access,
	check_map_access,
	check_map_access_type,
	check_mem_access,
	check_mem_region_access,
	check_packet_access,
	check_ptr_alignment,
	check_ptr_to_btf_access,
	is_pointer_value,
	map_kptr_match_type,
	may_access_direct_pkt_data,
} from "./check_mem.ts";
import { func_id_name } from "./disasm.ts";
import { in_rbtree_lock_required_cb, invalidate_non_owning_refs } from "./func_call.ts";
import { check_reg_arg, mark_dynptr_read, SRC_OP } from "./liveness.ts";
import { dynptr_type_str, reg_type_str, verbose } from "./log.ts";
import {
	base_type,
	btf_record_has_field,
	btf_type_name,
	btf_vmlinux,
	cur_regs,
	reg_btf_record,
	type_is_alloc,
	type_is_pkt_pointer,
	type_is_ptr_alloc_obj,
	type_is_rdonly_mem,
	type_may_be_null,
} from "./predicates.ts";
import { type bpf_reg_state, REG_WORDS } from "./reg_state.ts";
import { mark_ptr_not_null_reg, register_is_null } from "./regs.ts";
import { ACCESS_HELPER, check_stack_range_initialized, func } from "./stack.ts";
import {
	arg_to_dynptr_type,
	dynptr_get_spi,
	is_dynptr_reg_valid_init,
	is_dynptr_reg_valid_uninit,
	is_dynptr_type_expected,
	mark_stack_slots_dynptr,
	reg_const_off,
} from "./stack_objs.ts";
import type { bpf_call_arg_meta, bpf_kfunc_call_arg_meta, bpf_verifier_env } from "./verifier_types.ts";

/** A zeroed struct bpf_call_arg_meta. */
export function new_call_arg_meta(): bpf_call_arg_meta {
	return {
		map_ptr: null,
		raw_mode: false,
		pkt_access: false,
		release_regno: 0,
		regno: 0,
		access_size: 0,
		mem_size: 0,
		msize_max_value: 0n,
		ref_obj_id: 0,
		dynptr_id: 0,
		map_uid: 0,
		func_id: 0,
		btf: null,
		btf_id: 0,
		ret_btf: null,
		ret_btf_id: 0,
		subprogno: 0,
		kptr_field: null,
	};
}

/** `saved_reg = *reg` */
function save_reg(reg: bpf_reg_state): Int32Array {
	return reg.h.i32.slice(reg.p, reg.p + REG_WORDS);
}

/** `*reg = saved_reg` */
function restore_reg(reg: bpf_reg_state, saved: Int32Array): void {
	reg.h.i32.set(saved, reg.p);
}

/** kernel/bpf/verifier.c: check_helper_mem_access */
export function check_helper_mem_access(
	env: bpf_verifier_env,
	regno: number,
	access_size: number,
	access_type: number,
	zero_size_allowed: boolean,
	meta: bpf_call_arg_meta | null,
): number {
	const regs = cur_regs(env);
	const reg = regs[regno]!;

	switch (base_type(reg.type)) {
		case PTR_TO_PACKET:
		case PTR_TO_PACKET_META:
			return check_packet_access(env, regno, reg.off, access_size, zero_size_allowed);
		case PTR_TO_MAP_KEY:
			if (access_type === BPF_WRITE) {
				verbose(env, `R${regno} cannot write into ${reg_type_str(env, reg.type)}\n`);
				return -EACCES;
			}
			return check_mem_region_access(env, regno, reg.off, access_size, reg.map_ptr!.key_size, false);
		case PTR_TO_MAP_VALUE:
			if (check_map_access_type(env, regno, reg.off, access_size, access_type)) return -EACCES;
			return check_map_access(env, regno, reg.off, access_size, zero_size_allowed, ACCESS_HELPER);
		case PTR_TO_MEM:
			if (type_is_rdonly_mem(reg.type) && access_type === BPF_WRITE) {
				verbose(env, `R${regno} cannot write into ${reg_type_str(env, reg.type)}\n`);
				return -EACCES;
			}
			return check_mem_region_access(env, regno, reg.off, access_size, reg.mem_size, zero_size_allowed);
		case PTR_TO_BUF: {
			const rdonly = type_is_rdonly_mem(reg.type);
			if (rdonly && access_type === BPF_WRITE) {
				verbose(env, `R${regno} cannot write into ${reg_type_str(env, reg.type)}\n`);
				return -EACCES;
			}
			return check_buffer_access(
				env,
				reg,
				regno,
				reg.off,
				access_size,
				zero_size_allowed,
				rdonly ? "max_rdonly_access" : "max_rdwr_access",
			);
		}
		case PTR_TO_STACK:
			return check_stack_range_initialized(
				env,
				regno,
				reg.off,
				access_size,
				zero_size_allowed,
				ACCESS_HELPER,
				meta,
			);
		case PTR_TO_BTF_ID:
			return check_ptr_to_btf_access(env, regs, regno, reg.off, access_size, BPF_READ, -1);
		case PTR_TO_CTX:
			/* A context of unknown layout (BPF_PROG_TYPE_SYSCALL) is checked by its largest offset. */
			if (!env.ops.convert_ctx_access) {
				const offset = access_size - 1;

				if (access_size === 0) return zero_size_allowed ? 0 : -EACCES;

				return check_mem_access(env, env.insn_idx, regno, offset, BPF_B, access_type, -1, false, false);
			}
			break;
		default:
			break;
	}

	/* Zero bytes may be read from NULL, whatever the pointer is for. */
	if (zero_size_allowed && access_size === 0 && register_is_null(reg)) return 0;

	verbose(env, `R${regno} type=${reg_type_str(env, reg.type)} `);
	verbose(env, `expected=${reg_type_str(env, PTR_TO_STACK)}\n`);
	return -EACCES;
}

/** kernel/bpf/verifier.c: check_mem_size_reg; `regno` holds the size, the register before it the pointer */
export function check_mem_size_reg(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	access_type: number,
	zero_size_allowed: boolean,
	meta: bpf_call_arg_meta | null,
): number {
	const umax = reg.umax_value;
	const umin = reg.umin_value;

	/* do_refine_retval_range() makes this the bound of what such helpers return. */
	meta!.msize_max_value = umax;

	/* Of a variable size no part may be left uninitialized. */
	if (!reg.var_off_is_const) meta = null;

	if (reg.smin_value < 0n) {
		verbose(env, `R${regno} min value is negative, either use unsigned or 'var &= const'\n`);
		return -EACCES;
	}

	if (umin === 0n && !zero_size_allowed) {
		verbose(
			env,
			`R${regno} invalid zero-sized read: u64=[${BigInt.asIntN(64, umin)},${BigInt.asIntN(64, umax)}]\n`,
		);
		return -EACCES;
	}

	if (umax >= BigInt(BPF_MAX_VAR_SIZ)) {
		verbose(env, `R${regno} unbounded memory access, use 'var &= const' or 'if (var < const)'\n`);
		return -EACCES;
	}
	let err = check_helper_mem_access(env, regno - 1, Number(umax), access_type, zero_size_allowed, meta);
	if (!err) err = mark_chain_precision(env, regno);
	return err;
}

/** kernel/bpf/verifier.c: check_mem_reg */
export function check_mem_reg(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	mem_size: number,
): number {
	const may_be_null = type_may_be_null(reg.type);

	if (register_is_null(reg)) return 0;

	/* The check is made as if the pointer were there; the caller must not see that. */
	let saved_reg: Int32Array | null = null;
	if (may_be_null) {
		saved_reg = save_reg(reg);
		mark_ptr_not_null_reg(reg);
	}

	const err =
		check_helper_mem_access(env, regno, mem_size, BPF_READ, true, null) ||
		check_helper_mem_access(env, regno, mem_size, BPF_WRITE, true, null);

	if (saved_reg) restore_reg(reg, saved_reg);

	return err;
}

/** kernel/bpf/verifier.c: check_kfunc_mem_size_reg */
export function check_kfunc_mem_size_reg(env: bpf_verifier_env, reg: bpf_reg_state, regno: number): number {
	const mem_reg = cur_regs(env)[regno - 1]!;
	const may_be_null = type_may_be_null(mem_reg.type);
	const meta = new_call_arg_meta();

	let saved_reg: Int32Array | null = null;
	if (may_be_null) {
		saved_reg = save_reg(mem_reg);
		mark_ptr_not_null_reg(mem_reg);
	}

	const err =
		check_mem_size_reg(env, reg, regno, BPF_READ, true, meta) ||
		check_mem_size_reg(env, reg, regno, BPF_WRITE, true, meta);

	if (saved_reg) restore_reg(mem_reg, saved_reg);

	return err;
}

/** `val + reg->off` with a constant var_off, as the kernel's u64 read as s64. */
function full_off(reg: bpf_reg_state): bigint {
	return BigInt.asIntN(64, reg.var_off_value + BigInt(reg.off));
}

/**
 * kernel/bpf/verifier.c: process_spin_lock. One lock may be held at a time; it is known by the map or
 * BTF that it lies in and by the id of the register that it was taken through.
 */
export function process_spin_lock(env: bpf_verifier_env, regno: number, is_lock: boolean): number {
	const reg = cur_regs(env)[regno]!;
	const cur = env.cur_state!;
	let map: bpf_map | null = null;
	let btf: btf | null = null;

	if (!reg.var_off_is_const) {
		verbose(env, `R${regno} doesn't have constant offset. bpf_spin_lock has to be at the constant offset\n`);
		return -EINVAL;
	}
	if (reg.type === PTR_TO_MAP_VALUE) {
		map = reg.map_ptr!;
		if (!map.btf) {
			verbose(env, `map '${map.name}' has to have BTF in order to use bpf_spin_lock\n`);
			return -EINVAL;
		}
	} else {
		btf = reg.btf;
	}

	const rec = reg_btf_record(reg);
	if (!rec || !btf_record_has_field(rec, BPF_SPIN_LOCK)) {
		verbose(env, `${map ? "map" : "local"} '${map ? map.name : "kptr"}' has no valid bpf_spin_lock\n`);
		return -EINVAL;
	}
	const off = full_off(reg);
	if (BigInt(rec.spin_lock_off) !== off) {
		verbose(env, `off ${off} doesn't point to 'struct bpf_spin_lock' that is at ${rec.spin_lock_off}\n`);
		return -EINVAL;
	}
	const ptr = map ?? btf;
	if (is_lock) {
		if (cur.active_lock.ptr) {
			verbose(env, "Locking two bpf_spin_locks are not allowed\n");
			return -EINVAL;
		}
		cur.active_lock.ptr = ptr;
		cur.active_lock.id = reg.id;
	} else {
		if (!cur.active_lock.ptr) {
			verbose(env, "bpf_spin_unlock without taking a lock\n");
			return -EINVAL;
		}
		if (cur.active_lock.ptr !== ptr || cur.active_lock.id !== reg.id) {
			verbose(env, "bpf_spin_unlock of different lock\n");
			return -EINVAL;
		}

		invalidate_non_owning_refs(env);

		cur.active_lock.ptr = null;
		cur.active_lock.id = 0;
	}
	return 0;
}

function process_timer_func(env: bpf_verifier_env, regno: number, meta: bpf_call_arg_meta): number {
	const reg = cur_regs(env)[regno]!;
	const map = reg.map_ptr!;

	if (!reg.var_off_is_const) {
		verbose(env, `R${regno} doesn't have constant offset. bpf_timer has to be at the constant offset\n`);
		return -EINVAL;
	}
	if (!map.btf) {
		verbose(env, `map '${map.name}' has to have BTF in order to use bpf_timer\n`);
		return -EINVAL;
	}
	if (!map.record || !btf_record_has_field(map.record, BPF_TIMER)) {
		verbose(env, `map '${map.name}' has no valid bpf_timer\n`);
		return -EINVAL;
	}
	const off = full_off(reg);
	if (BigInt(map.record.timer_off) !== off) {
		verbose(env, `off ${off} doesn't point to 'struct bpf_timer' that is at ${map.record.timer_off}\n`);
		return -EINVAL;
	}
	if (meta.map_ptr) {
		verbose(env, "verifier bug. Two map pointers in a timer helper\n");
		return -EFAULT;
	}
	if (env.kernel.config.kconfig.get("CONFIG_PREEMPT_RT") === "y") {
		verbose(env, "bpf_timer cannot be used for PREEMPT_RT.\n");
		return -EOPNOTSUPP;
	}
	meta.map_uid = reg.map_uid;
	meta.map_ptr = map;
	return 0;
}

/** kernel/bpf/verifier.c: process_wq_func */
export function process_wq_func(env: bpf_verifier_env, regno: number, meta: bpf_kfunc_call_arg_meta): number {
	const reg = cur_regs(env)[regno]!;
	const map = reg.map_ptr!;
	const off = full_off(reg);
	/* A map without a record would be an oops there; it is "no workqueue at that offset" here. */
	const wq_off = map.record ? map.record.wq_off : -EINVAL;

	if (BigInt(wq_off) !== off) {
		verbose(env, `off ${off} doesn't point to 'struct bpf_wq' that is at ${wq_off}\n`);
		return -EINVAL;
	}
	meta.map.uid = reg.map_uid;
	meta.map.ptr = map;
	return 0;
}

function process_kptr_func(env: bpf_verifier_env, regno: number, meta: bpf_call_arg_meta): number {
	const reg = cur_regs(env)[regno]!;
	let rec = null;

	if (type_is_ptr_alloc_obj(reg.type)) {
		rec = reg_btf_record(reg);
	} else {
		const map_ptr = reg.map_ptr!;
		if (!map_ptr.btf) {
			verbose(env, `map '${map_ptr.name}' has to have BTF in order to use bpf_kptr_xchg\n`);
			return -EINVAL;
		}
		rec = map_ptr.record;
		meta.map_ptr = map_ptr;
	}

	if (!reg.var_off_is_const) {
		verbose(env, `R${regno} doesn't have constant offset. kptr has to be at the constant offset\n`);
		return -EINVAL;
	}

	if (!rec || !btf_record_has_field(rec, BPF_KPTR)) {
		verbose(env, `R${regno} has no valid kptr\n`);
		return -EINVAL;
	}

	const kptr_off = reg_const_off(reg);
	const kptr_field = btf_record_find(rec, kptr_off >>> 0, BPF_KPTR);
	if (!kptr_field) {
		verbose(env, `off=${kptr_off} doesn't point to kptr\n`);
		return -EACCES;
	}
	if (kptr_field.type !== BPF_KPTR_REF && kptr_field.type !== BPF_KPTR_PERCPU) {
		verbose(env, `off=${kptr_off} kptr isn't referenced kptr\n`);
		return -EACCES;
	}
	meta.kptr_field = kptr_field;
	return 0;
}

/**
 * kernel/bpf/verifier.c: process_dynptr_func. MEM_UNINIT: two stack slots to make a dynptr in.
 * MEM_RDONLY: an initialized dynptr that stays as it is. Neither: one that may be changed or destroyed.
 */
export function process_dynptr_func(
	env: bpf_verifier_env,
	regno: number,
	insn_idx: number,
	arg_type: number,
	clone_ref_obj_id: number,
): number {
	const reg = cur_regs(env)[regno]!;

	if (reg.type !== PTR_TO_STACK && reg.type !== CONST_PTR_TO_DYNPTR) {
		verbose(env, `arg#${regno - 1} expected pointer to stack or const struct bpf_dynptr\n`);
		return -EINVAL;
	}

	if ((arg_type & (MEM_UNINIT | MEM_RDONLY)) === (MEM_UNINIT | MEM_RDONLY)) {
		verbose(env, "verifier internal error: misconfigured dynptr helper type flags\n");
		return -EFAULT;
	}

	if (arg_type & MEM_UNINIT) {
		if (!is_dynptr_reg_valid_uninit(env, reg)) {
			verbose(env, "Dynptr has to be an uninitialized dynptr\n");
			return -EINVAL;
		}

		for (let i = 0; i < BPF_DYNPTR_SIZE; i += 8) {
			const err = check_mem_access(env, insn_idx, regno, i, BPF_DW, BPF_WRITE, -1, false, false);
			if (err) return err;
		}

		return mark_stack_slots_dynptr(env, reg, arg_type, insn_idx, clone_ref_obj_id);
	}

	/* A dynptr on the stack is never const. */
	if (reg.type === CONST_PTR_TO_DYNPTR && !(arg_type & MEM_RDONLY)) {
		verbose(env, "cannot pass pointer to const bpf_dynptr, the helper mutates it\n");
		return -EINVAL;
	}

	if (!is_dynptr_reg_valid_init(env, reg)) {
		verbose(env, `Expected an initialized dynptr as arg #${regno - 1}\n`);
		return -EINVAL;
	}

	if (!is_dynptr_type_expected(env, reg, arg_type & ~MEM_RDONLY)) {
		verbose(
			env,
			`Expected a dynptr of type ${dynptr_type_str(arg_to_dynptr_type(arg_type))} as arg #${regno - 1}\n`,
		);
		return -EINVAL;
	}

	return mark_dynptr_read(env, reg);
}

/** kernel/bpf/verifier.c: arg_type_is_mem_size */
export function arg_type_is_mem_size(type: number): boolean {
	return type === ARG_CONST_SIZE || type === ARG_CONST_SIZE_OR_ZERO;
}

/** kernel/bpf/verifier.c: arg_type_is_raw_mem */
export function arg_type_is_raw_mem(type: number): boolean {
	return base_type(type) === ARG_PTR_TO_MEM && (type & MEM_UNINIT) !== 0;
}

/** kernel/bpf/verifier.c: arg_type_is_release */
export function arg_type_is_release(type: number): boolean {
	return (type & OBJ_RELEASE) !== 0;
}

/** kernel/bpf/verifier.c: arg_type_is_dynptr */
export function arg_type_is_dynptr(type: number): boolean {
	return base_type(type) === ARG_PTR_TO_DYNPTR;
}

function resolve_map_arg_type(env: bpf_verifier_env, meta: bpf_call_arg_meta, arg_type: Ref<number>): number {
	if (!meta.map_ptr) {
		verbose(env, "invalid map_ptr to access map->type\n");
		return -EACCES;
	}

	switch (meta.map_ptr.map_type) {
		case BPF_MAP_TYPE_SOCKMAP:
		case BPF_MAP_TYPE_SOCKHASH:
			if (arg_type.val === ARG_PTR_TO_MAP_VALUE) {
				arg_type.val = ARG_PTR_TO_BTF_ID_SOCK_COMMON;
			} else {
				verbose(env, "invalid arg_type for sockmap/sockhash\n");
				return -EINVAL;
			}
			break;
		case BPF_MAP_TYPE_BLOOM_FILTER:
			if (meta.func_id === BPF_FUNC_map_peek_elem) arg_type.val = ARG_PTR_TO_MAP_VALUE;
			break;
		default:
			break;
	}
	return 0;
}

interface bpf_reg_types {
	readonly types: readonly number[];
	readonly btf_id?: BtfIdRef;
}

/** ARRAY_SIZE(bpf_reg_types.types) */
const NR_REG_TYPES = 10;

const sock_types: bpf_reg_types = {
	types: [PTR_TO_SOCK_COMMON, PTR_TO_SOCKET, PTR_TO_TCP_SOCK, PTR_TO_XDP_SOCK],
};

const btf_id_sock_common_types: bpf_reg_types = {
	types: [
		PTR_TO_SOCK_COMMON,
		PTR_TO_SOCKET,
		PTR_TO_TCP_SOCK,
		PTR_TO_XDP_SOCK,
		PTR_TO_BTF_ID,
		PTR_TO_BTF_ID | PTR_TRUSTED,
	],
	btf_id: { kind: "struct", name: "sock_common" },
};

const mem_types: bpf_reg_types = {
	types: [
		PTR_TO_STACK,
		PTR_TO_PACKET,
		PTR_TO_PACKET_META,
		PTR_TO_MAP_KEY,
		PTR_TO_MAP_VALUE,
		PTR_TO_MEM,
		PTR_TO_MEM | MEM_RINGBUF,
		PTR_TO_BUF,
		PTR_TO_BTF_ID | PTR_TRUSTED,
	],
};

const map_value_or_alloc_types: bpf_reg_types = { types: [PTR_TO_MAP_VALUE, PTR_TO_BTF_ID | MEM_ALLOC] };
const scalar_types: bpf_reg_types = { types: [SCALAR_VALUE] };
const map_value_types: bpf_reg_types = { types: [PTR_TO_MAP_VALUE] };

const compatible_reg_types: Readonly<Record<number, bpf_reg_types>> = {
	[ARG_PTR_TO_MAP_KEY]: mem_types,
	[ARG_PTR_TO_MAP_VALUE]: mem_types,
	[ARG_CONST_SIZE]: scalar_types,
	[ARG_CONST_SIZE_OR_ZERO]: scalar_types,
	[ARG_CONST_ALLOC_SIZE_OR_ZERO]: scalar_types,
	[ARG_CONST_MAP_PTR]: { types: [CONST_PTR_TO_MAP] },
	[ARG_PTR_TO_CTX]: { types: [PTR_TO_CTX] },
	[ARG_PTR_TO_SOCK_COMMON]: sock_types,
	[ARG_PTR_TO_BTF_ID_SOCK_COMMON]: btf_id_sock_common_types,
	[ARG_PTR_TO_SOCKET]: { types: [PTR_TO_SOCKET] },
	[ARG_PTR_TO_BTF_ID]: {
		types: [PTR_TO_BTF_ID, PTR_TO_BTF_ID | PTR_TRUSTED, PTR_TO_BTF_ID | MEM_RCU],
	},
	[ARG_PTR_TO_SPIN_LOCK]: map_value_or_alloc_types,
	[ARG_PTR_TO_MEM]: mem_types,
	[ARG_PTR_TO_RINGBUF_MEM]: { types: [PTR_TO_MEM | MEM_RINGBUF] },
	[ARG_PTR_TO_PERCPU_BTF_ID]: {
		types: [
			PTR_TO_BTF_ID | MEM_PERCPU,
			PTR_TO_BTF_ID | MEM_PERCPU | MEM_RCU,
			PTR_TO_BTF_ID | MEM_PERCPU | PTR_TRUSTED,
		],
	},
	[ARG_PTR_TO_FUNC]: { types: [PTR_TO_FUNC] },
	[ARG_PTR_TO_STACK]: { types: [PTR_TO_STACK] },
	[ARG_PTR_TO_CONST_STR]: map_value_types,
	[ARG_PTR_TO_TIMER]: map_value_types,
	[ARG_KPTR_XCHG_DEST]: map_value_or_alloc_types,
	[ARG_PTR_TO_DYNPTR]: { types: [PTR_TO_STACK, CONST_PTR_TO_DYNPTR] },
};

/**
 * kernel/bpf/verifier.c: check_reg_type. `arg_btf_id` is the prototype's reference, an id already
 * resolved (global functions' arguments), or null.
 */
export function check_reg_type(
	env: bpf_verifier_env,
	regno: number,
	arg_type: number,
	arg_btf_id: BtfIdRef | typeof BPF_PTR_POISON | number | null,
	meta: bpf_call_arg_meta,
): number {
	const reg = cur_regs(env)[regno]!;
	let type = reg.type;

	const arg_base = base_type(arg_type);
	const compatible = arg_base < __BPF_ARG_TYPE_MAX ? compatible_reg_types[arg_base] : undefined;
	if (!compatible) {
		verbose(env, `verifier internal error: unsupported arg type ${arg_type}\n`);
		return -EFAULT;
	}

	/* Flags that the argument allows are folded out of the register's type before it is compared. */
	if (arg_type & MEM_RDONLY) type &= ~MEM_RDONLY;
	if (arg_type & PTR_MAYBE_NULL) type &= ~PTR_MAYBE_NULL;
	if (arg_base === ARG_PTR_TO_MEM) type &= ~DYNPTR_TYPE_FLAG_MASK;

	/* bpf_kptr_xchg() takes local kptrs as its source. */
	if (meta.func_id === BPF_FUNC_kptr_xchg && type_is_alloc(type) && regno === BPF_REG_2) {
		type &= ~MEM_ALLOC;
		type &= ~MEM_PERCPU;
	}

	if (!compatible.types.includes(type)) {
		const n = Math.min(compatible.types.length, NR_REG_TYPES);
		verbose(env, `R${regno} type=${reg_type_str(env, reg.type)} expected=`);
		for (let j = 0; j + 1 < n; j++) verbose(env, `${reg_type_str(env, compatible.types[j]!)}, `);
		verbose(env, `${reg_type_str(env, compatible.types[n - 1]!)}\n`);
		return -EACCES;
	}

	if (base_type(reg.type) !== PTR_TO_BTF_ID) return 0;

	if (compatible === mem_types) {
		if (!(arg_type & MEM_RDONLY)) {
			verbose(
				env,
				`${func_id_name(meta.func_id)}() may write into memory pointed by R${regno} type=${reg_type_str(env, reg.type)}\n`,
			);
			return -EACCES;
		}
		return 0;
	}

	switch (reg.type) {
		case PTR_TO_BTF_ID:
		case PTR_TO_BTF_ID | PTR_TRUSTED:
		case PTR_TO_BTF_ID | PTR_TRUSTED | PTR_MAYBE_NULL:
		case PTR_TO_BTF_ID | MEM_RCU:
		case PTR_TO_BTF_ID | PTR_MAYBE_NULL:
		case PTR_TO_BTF_ID | PTR_MAYBE_NULL | MEM_RCU: {
			/* bpf_sk_release() takes any kind of socket: they all begin with a sock_common. */
			const strict_type_match = arg_type_is_release(arg_type) && meta.func_id !== BPF_FUNC_sk_release;

			if (type_may_be_null(reg.type) && (!type_may_be_null(arg_type) || arg_type_is_release(arg_type))) {
				verbose(env, `Possibly NULL pointer passed to helper arg${regno}\n`);
				return -EACCES;
			}

			let want = arg_btf_id;
			if (want === null) {
				if (!compatible.btf_id) {
					verbose(env, "verifier internal error: missing arg compatible BTF ID\n");
					return -EFAULT;
				}
				want = compatible.btf_id;
			}

			if (meta.func_id === BPF_FUNC_kptr_xchg) {
				if (map_kptr_match_type(env, meta.kptr_field!, reg, regno)) return -EACCES;
			} else {
				if (want === BPF_PTR_POISON) {
					verbose(env, "verifier internal error:");
					verbose(env, `R${regno} has non-overwritten BPF_PTR_POISON type\n`);
					return -EACCES;
				}

				const want_id = typeof want === "number" ? want : btf_id_of(env.kernel, want);
				if (
					!btf_struct_ids_match(
						env.log,
						reg.btf!,
						reg.btf_id,
						reg.off,
						btf_vmlinux(env),
						want_id,
						strict_type_match,
					)
				) {
					verbose(
						env,
						`R${regno} is of type ${btf_type_name(reg.btf!, reg.btf_id)} but ${btf_type_name(btf_vmlinux(env), want_id)} is expected\n`,
					);
					return -EACCES;
				}
			}
			break;
		}
		case PTR_TO_BTF_ID | MEM_ALLOC:
		case PTR_TO_BTF_ID | MEM_PERCPU | MEM_ALLOC:
			if (
				meta.func_id !== BPF_FUNC_spin_lock &&
				meta.func_id !== BPF_FUNC_spin_unlock &&
				meta.func_id !== BPF_FUNC_kptr_xchg
			) {
				verbose(env, "verifier internal error: unimplemented handling of MEM_ALLOC\n");
				return -EFAULT;
			}
			if (meta.func_id === BPF_FUNC_kptr_xchg && regno === BPF_REG_2) {
				if (map_kptr_match_type(env, meta.kptr_field!, reg, regno)) return -EACCES;
			}
			break;
		case PTR_TO_BTF_ID | MEM_PERCPU:
		case PTR_TO_BTF_ID | MEM_PERCPU | MEM_RCU:
		case PTR_TO_BTF_ID | MEM_PERCPU | PTR_TRUSTED:
			/* The helpers' own checks see to these. */
			break;
		default:
			verbose(env, "verifier internal error: invalid PTR_TO_BTF_ID register for type match\n");
			return -EFAULT;
	}
	return 0;
}

/** kernel/bpf/verifier.c: reg_find_field_offset */
export function reg_find_field_offset(reg: bpf_reg_state, off: number, fields: number): btf_field | null {
	const rec = reg_btf_record(reg);
	if (!rec) return null;
	return btf_record_find(rec, off >>> 0, fields);
}

/** kernel/bpf/verifier.c: check_func_arg_reg_off */
export function check_func_arg_reg_off(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	arg_type: number,
): number {
	const type = reg.type;

	if (arg_type_is_release(arg_type)) {
		/* The dynptr may lie anywhere on the stack: it is not itself what is released. */
		if (arg_type_is_dynptr(arg_type) && type === PTR_TO_STACK) return 0;

		/* __check_ptr_off_reg() would find this too, with a less helpful message. */
		if (reg.off) {
			verbose(env, `R${regno} must have zero offset when passed to release func or trusted arg to kfunc\n`);
			return -EINVAL;
		}
		return __check_ptr_off_reg(env, reg, regno, false);
	}

	switch (type) {
		/* Fixed and variable offsets are both fine with these. */
		case PTR_TO_STACK:
		case PTR_TO_PACKET:
		case PTR_TO_PACKET_META:
		case PTR_TO_MAP_KEY:
		case PTR_TO_MAP_VALUE:
		case PTR_TO_MEM:
		case PTR_TO_MEM | MEM_RDONLY:
		case PTR_TO_MEM | MEM_RINGBUF:
		case PTR_TO_BUF:
		case PTR_TO_BUF | MEM_RDONLY:
		case PTR_TO_ARENA:
		case SCALAR_VALUE:
			return 0;
		/* A fixed offset only. */
		case PTR_TO_BTF_ID:
		case PTR_TO_BTF_ID | MEM_ALLOC:
		case PTR_TO_BTF_ID | PTR_TRUSTED:
		case PTR_TO_BTF_ID | MEM_RCU:
		case PTR_TO_BTF_ID | MEM_ALLOC | NON_OWN_REF:
		case PTR_TO_BTF_ID | MEM_ALLOC | NON_OWN_REF | MEM_RCU:
			return __check_ptr_off_reg(env, reg, regno, true);
		default:
			return __check_ptr_off_reg(env, reg, regno, false);
	}
}

/** kernel/bpf/verifier.c: check_reg_const_str */
export function check_reg_const_str(env: bpf_verifier_env, reg: bpf_reg_state, regno: number): number {
	if (reg.type !== PTR_TO_MAP_VALUE) return -EINVAL;

	const map = reg.map_ptr!;
	if (!bpf_map_is_rdonly(map)) {
		verbose(env, `R${regno} does not point to a readonly map'\n`);
		return -EACCES;
	}

	if (!reg.var_off_is_const) {
		verbose(env, `R${regno} is not a constant address'\n`);
		return -EACCES;
	}

	if (!map.ops.map_direct_value_addr) {
		verbose(env, "no direct value access support for this map type\n");
		return -EACCES;
	}

	let err = check_map_access(env, regno, reg.off, map.value_size - reg.off, false, ACCESS_HELPER);
	if (err) return err;

	const map_off = reg_const_off(reg);
	const map_addr: Ref<bigint> = { val: 0n };
	err = map.ops.map_direct_value_addr(map, map_addr, map_off);
	if (err) {
		verbose(env, "direct value access on string failed\n");
		return err;
	}

	const str = map_value_bytes(env, map, map_addr.val, map_off);
	if (!str.includes(0)) {
		verbose(env, "string is not zero-terminated\n");
		return -EINVAL;
	}
	return 0;
}

/** The bytes of a map value from `map_off` on, given what map_direct_value_addr() said. */
export function map_value_bytes(
	env: bpf_verifier_env,
	map: bpf_map,
	map_addr: bigint,
	map_off: number,
): Uint8Array {
	return env.kernel.mem.read(u64_to_addr(map_addr) + map_off, map.value_size - map_off);
}

/** kernel/bpf/verifier.c: check_func_arg */
export function check_func_arg(
	env: bpf_verifier_env,
	arg: number,
	meta: bpf_call_arg_meta,
	fn: bpf_func_proto,
	insn_idx: number,
): number {
	const regno = BPF_REG_1 + arg;
	const reg = cur_regs(env)[regno]!;
	let arg_type = fn.arg_type[arg] ?? ARG_DONTCARE;
	const type = reg.type;
	let err = 0;

	if (arg_type === ARG_DONTCARE) return 0;

	err = check_reg_arg(env, regno, SRC_OP);
	if (err) return err;

	if (arg_type === ARG_ANYTHING) {
		if (is_pointer_value(env, regno)) {
			verbose(env, `R${regno} leaks addr into helper function\n`);
			return -EACCES;
		}
		return 0;
	}

	if (type_is_pkt_pointer(type) && !may_access_direct_pkt_data(env, meta, BPF_READ)) {
		verbose(env, "helper access to the packet is not allowed\n");
		return -EACCES;
	}

	if (base_type(arg_type) === ARG_PTR_TO_MAP_VALUE) {
		const resolved: Ref<number> = { val: arg_type };
		err = resolve_map_arg_type(env, meta, resolved);
		if (err) return err;
		arg_type = resolved.val;
	}

	/* NULL is a scalar: its type is not looked at where NULL is allowed. */
	if (!(register_is_null(reg) && type_may_be_null(arg_type))) {
		const base = base_type(arg_type);
		const arg_btf_id =
			base === ARG_PTR_TO_BTF_ID || base === ARG_PTR_TO_SPIN_LOCK ? (fn.arg_btf_id?.[arg] ?? null) : null;

		err = check_reg_type(env, regno, arg_type, arg_btf_id, meta);
		if (err) return err;

		err = check_func_arg_reg_off(env, reg, regno, arg_type);
		if (err) return err;
	}

	if (arg_type_is_release(arg_type)) {
		if (arg_type_is_dynptr(arg_type)) {
			/* Only dynptrs on the stack can be released. */
			if (reg.type === PTR_TO_STACK) {
				const spi = dynptr_get_spi(env, reg);
				if (spi < 0 || !func(env, reg).stack(spi).spilled_ptr.ref_obj_id) {
					verbose(env, `arg ${regno} is an unacquired reference\n`);
					return -EINVAL;
				}
			} else {
				verbose(env, "cannot release unowned const bpf_dynptr\n");
				return -EINVAL;
			}
		} else if (!reg.ref_obj_id && !register_is_null(reg)) {
			verbose(env, `R${regno} must be referenced when passed to release function\n`);
			return -EINVAL;
		}
		if (meta.release_regno) {
			verbose(env, "verifier internal error: more than one release argument\n");
			return -EFAULT;
		}
		meta.release_regno = regno;
	}

	if (reg.ref_obj_id && base_type(arg_type) !== ARG_KPTR_XCHG_DEST) {
		if (meta.ref_obj_id) {
			verbose(
				env,
				`verifier internal error: more than one arg with ref_obj_id R${regno} ${reg.ref_obj_id} ${meta.ref_obj_id}\n`,
			);
			return -EFAULT;
		}
		meta.ref_obj_id = reg.ref_obj_id;
	}

	switch (base_type(arg_type)) {
		case ARG_CONST_MAP_PTR:
			if (meta.map_ptr) {
				/* map_uid tells inner maps of one outer map apart, which share their map_ptr here. */
				if (meta.map_ptr !== reg.map_ptr || meta.map_uid !== reg.map_uid) {
					verbose(
						env,
						`timer pointer in R1 map_uid=${meta.map_uid} doesn't match map pointer in R2 map_uid=${reg.map_uid}\n`,
					);
					return -EINVAL;
				}
			}
			meta.map_ptr = reg.map_ptr;
			meta.map_uid = reg.map_uid;
			break;
		case ARG_PTR_TO_MAP_KEY:
			if (!meta.map_ptr) {
				verbose(env, "invalid map_ptr to access map->key\n");
				return -EACCES;
			}
			err = check_helper_mem_access(env, regno, meta.map_ptr.key_size, BPF_READ, false, null);
			break;
		case ARG_PTR_TO_MAP_VALUE:
			if (type_may_be_null(arg_type) && register_is_null(reg)) return 0;

			if (!meta.map_ptr) {
				verbose(env, "invalid map_ptr to access map->value\n");
				return -EACCES;
			}
			meta.raw_mode = (arg_type & MEM_UNINIT) !== 0;
			err = check_helper_mem_access(
				env,
				regno,
				meta.map_ptr.value_size,
				arg_type & MEM_WRITE ? BPF_WRITE : BPF_READ,
				false,
				meta,
			);
			break;
		case ARG_PTR_TO_PERCPU_BTF_ID:
			if (!reg.btf_id) {
				verbose(env, `Helper has invalid btf_id in R${regno}\n`);
				return -EACCES;
			}
			meta.ret_btf = reg.btf;
			meta.ret_btf_id = reg.btf_id;
			break;
		case ARG_PTR_TO_SPIN_LOCK:
			if (in_rbtree_lock_required_cb(env)) {
				verbose(env, "can't spin_{lock,unlock} in rbtree cb\n");
				return -EACCES;
			}
			if (meta.func_id === BPF_FUNC_spin_lock) {
				err = process_spin_lock(env, regno, true);
				if (err) return err;
			} else if (meta.func_id === BPF_FUNC_spin_unlock) {
				err = process_spin_lock(env, regno, false);
				if (err) return err;
			} else {
				verbose(env, "verifier internal error\n");
				return -EFAULT;
			}
			break;
		case ARG_PTR_TO_TIMER:
			err = process_timer_func(env, regno, meta);
			if (err) return err;
			break;
		case ARG_PTR_TO_FUNC:
			meta.subprogno = reg.subprogno;
			break;
		case ARG_PTR_TO_MEM:
			/* Unless its size is fixed, the access is checked with the size argument that follows. */
			meta.raw_mode = (arg_type & MEM_UNINIT) !== 0;
			if (arg_type & MEM_FIXED_SIZE) {
				const size = fn.arg_size?.[arg] ?? 0;
				err = check_helper_mem_access(
					env,
					regno,
					size,
					arg_type & MEM_WRITE ? BPF_WRITE : BPF_READ,
					false,
					meta,
				);
				if (err) return err;
				if (arg_type & MEM_ALIGNED) err = check_ptr_alignment(env, reg, 0, size, true);
			}
			break;
		case ARG_CONST_SIZE:
		case ARG_CONST_SIZE_OR_ZERO:
			err = check_mem_size_reg(
				env,
				reg,
				regno,
				(fn.arg_type[arg - 1] ?? 0) & MEM_WRITE ? BPF_WRITE : BPF_READ,
				base_type(arg_type) === ARG_CONST_SIZE_OR_ZERO,
				meta,
			);
			break;
		case ARG_PTR_TO_DYNPTR:
			err = process_dynptr_func(env, regno, insn_idx, arg_type, 0);
			if (err) return err;
			break;
		case ARG_CONST_ALLOC_SIZE_OR_ZERO:
			if (!reg.var_off_is_const) {
				verbose(env, `R${regno} is not a known constant'\n`);
				return -EACCES;
			}
			meta.mem_size = Number(BigInt.asIntN(32, reg.var_off_value));
			err = mark_chain_precision(env, regno);
			if (err) return err;
			break;
		case ARG_PTR_TO_CONST_STR:
			err = check_reg_const_str(env, reg, regno);
			if (err) return err;
			break;
		case ARG_KPTR_XCHG_DEST:
			err = process_kptr_func(env, regno, meta);
			if (err) return err;
			break;
		default:
			break;
	}

	return err;
}
