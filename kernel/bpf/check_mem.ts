// SPDX-License-Identifier: GPL-2.0-only
/**
 * Every memory access of a program: which pointers may be read or written, where, and what a load
 * leaves in its register (kernel/bpf/verifier.c: check_map_access_type … check_mem_access, check_atomic).
 */
import {
	BPF_KPTR,
	BPF_KPTR_PERCPU,
	BPF_KPTR_REF,
	BPF_KPTR_UNREF,
	BPF_MAP_CAN_READ,
	BPF_MAP_CAN_WRITE,
	BPF_READ,
	BPF_WRITE,
	CONST_PTR_TO_MAP,
	MEM_ALLOC,
	MEM_PERCPU,
	MEM_RCU,
	MEM_USER,
	NOT_INIT,
	PTR_MAYBE_NULL,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_BUF,
	PTR_TO_CTX,
	PTR_TO_FLOW_KEYS,
	PTR_TO_MAP_KEY,
	PTR_TO_MAP_VALUE,
	PTR_TO_MEM,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_PACKET_META,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_STACK,
	PTR_TO_TCP_SOCK,
	PTR_TO_TP_BUFFER,
	PTR_TO_XDP_SOCK,
	PTR_TRUSTED,
	PTR_UNTRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import {
	BPF_MAX_VAR_OFF,
	BPF_REG_SIZE,
	BPF_REG_TRUSTED_MODIFIERS,
} from "../../include/linux/bpf_verifier.ts";
import { EACCES, EFAULT, EINVAL, ENOTSUPP, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CMPXCHG,
	BPF_DW,
	BPF_F_RDONLY_PROG,
	BPF_F_WRONLY_PROG,
	BPF_FETCH,
	BPF_LSM_MAC,
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_FLOW_DISSECTOR,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_LWT_IN,
	BPF_PROG_TYPE_LWT_OUT,
	BPF_PROG_TYPE_LWT_SEG6LOCAL,
	BPF_PROG_TYPE_LWT_XMIT,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_MSG,
	BPF_PROG_TYPE_SK_REUSEPORT,
	BPF_PROG_TYPE_SK_SKB,
	BPF_PROG_TYPE_XDP,
	BPF_XCHG,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_CLASS,
	BPF_LDX,
	BPF_MEM,
	BPF_MODE,
	BPF_OR,
	BPF_SIZE,
	BPF_ST,
	BPF_STX,
	BPF_W,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { Ref } from "../../lib/err.ts";
import { IS_ERR } from "../../lib/err.ts";
import {
	bpf_sock_common_is_valid_access,
	bpf_sock_is_valid_access,
	bpf_tcp_sock_is_valid_access,
	bpf_xdp_sock_is_valid_access,
} from "../../net/core/filter_access.ts";
import { bpf_lsm_get_retval_range } from "./bpf_lsm.ts";
import type { bpf_insn, bpf_insn_access_aux, bpf_map, bpf_prog } from "./bpf_types.ts";
import {
	btf_field_type_name,
	btf_find_by_name_kind,
	btf_is_kernel,
	btf_name_by_offset,
	btf_record_find,
	btf_struct_access,
	btf_struct_ids_match,
	btf_type_by_id,
} from "./btf.ts";
import type { BtfIdRef, btf, btf_field } from "./btf_types.ts";
import { bpf_size_to_bytes } from "./insn_macros.ts";
import { bpf_jit_supports_insn } from "./jit_caps.ts";
import { check_reg_arg, DST_OP, SRC_OP } from "./liveness.ts";
import { reg_type_str, verbose, verbose_linfo } from "./log.ts";
import {
	base_type,
	bpf_type_has_unsafe_modifiers,
	btf_ld_kptr_type,
	btf_type_name,
	cur_regs,
	in_rcu_cs,
	resolve_prog_type,
	type_flag,
	type_is_alloc,
	type_is_non_owning_ref,
	type_is_pkt_pointer,
	type_is_ptr_alloc_obj,
	type_is_rcu,
	type_is_rcu_or_null,
	type_is_rdonly_mem,
	type_is_sk_pointer,
	type_is_trusted,
	type_is_trusted_or_null,
	type_may_be_null,
} from "./predicates.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import {
	smin_int,
	smin_num,
	umax_int,
	umax_num,
	var_off_is_const,
	var_off_is_zero,
	var_off_str,
	var_value_int,
	var_value_num,
	zero_reg,
} from "./reg_words.ts";
import {
	__is_pointer_value,
	__mark_reg_known,
	__mark_reg_s32_range,
	coerce_reg_to_size,
	coerce_reg_to_size_sx,
	DEF_NOT_SUBREG,
	mark_btf_ld_reg,
	mark_reg_known_zero,
	mark_reg_unknown,
	reg_is_pkt_pointer,
	register_is_null,
} from "./regs.ts";
import {
	ACCESS_DIRECT,
	check_stack_access_within_bounds,
	check_stack_read,
	check_stack_write,
	reg_state,
} from "./stack.ts";
import { tnum_add, tnum_const, tnum_is_aligned } from "./tnum.ts";
import type { bpf_call_arg_meta, bpf_retval_range, bpf_verifier_env } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: MAX_PACKET_OFF */
export const MAX_PACKET_OFF = 0xffff;

/** sizeof(struct bpf_flow_keys) */
const SIZEOF_BPF_FLOW_KEYS = 56;

/** include/linux/bpf.h: bpf_map_flags_to_cap */
export function bpf_map_flags_to_cap(map: bpf_map): number {
	if (map.map_flags & BPF_F_RDONLY_PROG) return BPF_MAP_CAN_READ;
	if (map.map_flags & BPF_F_WRONLY_PROG) return BPF_MAP_CAN_WRITE;
	return BPF_MAP_CAN_READ | BPF_MAP_CAN_WRITE;
}

/** kernel/bpf/verifier.c: check_map_access_type */
export function check_map_access_type(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	size: number,
	type: number,
): number {
	const map = cur_regs(env)[regno]!.map_ptr!;
	const cap = bpf_map_flags_to_cap(map);

	if (type === BPF_WRITE && !(cap & BPF_MAP_CAN_WRITE)) {
		verbose(env, `write into map forbidden, value_size=${map.value_size | 0} off=${off} size=${size}\n`);
		return -EACCES;
	}
	if (type === BPF_READ && !(cap & BPF_MAP_CAN_READ)) {
		verbose(env, `read from map forbidden, value_size=${map.value_size | 0} off=${off} size=${size}\n`);
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: __check_mem_access; mem_size is a u32 */
export function __check_mem_access(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	size: number,
	mem_size: number,
	zero_size_allowed: boolean,
): number {
	const size_ok = size > 0 || (size === 0 && zero_size_allowed);
	if (off >= 0 && size_ok && off + size <= mem_size) return 0;

	const reg = cur_regs(env)[regno]!;
	switch (reg.type) {
		case PTR_TO_MAP_KEY:
			verbose(env, `invalid access to map key, key_size=${mem_size | 0} off=${off} size=${size}\n`);
			break;
		case PTR_TO_MAP_VALUE:
			verbose(env, `invalid access to map value, value_size=${mem_size | 0} off=${off} size=${size}\n`);
			break;
		case PTR_TO_PACKET:
		case PTR_TO_PACKET_META:
		case PTR_TO_PACKET_END:
			verbose(
				env,
				`invalid access to packet, off=${off} size=${size}, R${regno}(id=${reg.id | 0},off=${off},r=${mem_size | 0})\n`,
			);
			break;
		default:
			verbose(env, `invalid access to memory, mem_size=${mem_size >>> 0} off=${off} size=${size}\n`);
	}
	return -EACCES;
}

const NEGATIVE_MIN = "min value is negative, either use unsigned index or do a if (index >=0) check.\n";

/** kernel/bpf/verifier.c: check_mem_region_access; both ends of the variable offset must do. */
export function check_mem_region_access(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	size: number,
	mem_size: number,
	zero_size_allowed: boolean,
): number {
	const reg = cur_regs(env)[regno]!;
	const smin = smin_num(reg);
	if (smin < 0 && smin + off < 0) {
		verbose(env, `R${regno} ${NEGATIVE_MIN}`);
		return -EACCES;
	}
	let err = __check_mem_access(env, regno, (smin_int(reg) + off) | 0, size, mem_size, zero_size_allowed);
	if (err) {
		verbose(env, `R${regno} min value is outside of the allowed memory range\n`);
		return err;
	}

	// Without a bound, or with one whose sum could overflow, nothing is safe.
	if (umax_num(reg) >= BPF_MAX_VAR_OFF) {
		verbose(env, `R${regno} unbounded memory access, make sure to bounds check any such access\n`);
		return -EACCES;
	}
	err = __check_mem_access(env, regno, (umax_int(reg) + off) | 0, size, mem_size, zero_size_allowed);
	if (err) {
		verbose(env, `R${regno} max value is outside of the allowed memory range\n`);
		return err;
	}
	return 0;
}

/** kernel/bpf/verifier.c: __check_ptr_off_reg; the pointer must be as it was given. */
export function __check_ptr_off_reg(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	fixed_off_ok: boolean,
): number {
	if (reg.off < 0) {
		verbose(env, `negative offset ${reg_type_str(env, reg.type)} ptr R${regno} off=${reg.off} disallowed\n`);
		return -EACCES;
	}
	if (!fixed_off_ok && reg.off) {
		verbose(
			env,
			`dereference of modified ${reg_type_str(env, reg.type)} ptr R${regno} off=${reg.off} disallowed\n`,
		);
		return -EACCES;
	}
	if (!var_off_is_zero(reg)) {
		verbose(env, `variable ${reg_type_str(env, reg.type)} access var_off=${var_off_str(reg)} disallowed\n`);
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_ptr_off_reg */
export function check_ptr_off_reg(env: bpf_verifier_env, reg: bpf_reg_state, regno: number): number {
	return __check_ptr_off_reg(env, reg, regno, false);
}

/** kernel/bpf/verifier.c: map_kptr_match_type */
export function map_kptr_match_type(
	env: bpf_verifier_env,
	kptr_field: btf_field,
	reg: bpf_reg_state,
	regno: number,
): number {
	const kptr = kptr_field.kptr!;
	const targ_name = btf_type_name(kptr.btf, kptr.btf_id);
	let reg_name = "";

	const matches = (): number | undefined => {
		if (base_type(reg.type) !== PTR_TO_BTF_ID) return undefined;
		let perm_flags: number;
		if (btf_is_kernel(reg.btf!)) {
			perm_flags = PTR_MAYBE_NULL | PTR_TRUSTED | MEM_RCU;
			if (kptr_field.type === BPF_KPTR_UNREF) perm_flags |= PTR_UNTRUSTED;
		} else {
			perm_flags = PTR_MAYBE_NULL | MEM_ALLOC;
			if (kptr_field.type === BPF_KPTR_PERCPU) perm_flags |= MEM_PERCPU;
		}
		if (type_flag(reg.type) & ~perm_flags) return undefined;

		reg_name = btf_type_name(reg.btf!, reg.btf_id);

		// A referenced kptr went through check_func_arg_reg_off(); a plain store may have a fixed offset.
		if (__check_ptr_off_reg(env, reg, regno, true)) return -EACCES;

		// An embedded first member matches too, except where the reference itself is stored.
		if (
			!btf_struct_ids_match(
				env.log,
				reg.btf!,
				reg.btf_id,
				reg.off,
				kptr.btf,
				kptr.btf_id,
				kptr_field.type !== BPF_KPTR_UNREF,
			)
		)
			return undefined;
		return 0;
	};
	const ret = matches();
	if (ret !== undefined) return ret;

	verbose(env, `invalid kptr access, R${regno} type=${reg_type_str(env, reg.type)}${reg_name} `);
	verbose(env, `expected=${reg_type_str(env, PTR_TO_BTF_ID)}${targ_name}`);
	if (kptr_field.type === BPF_KPTR_UNREF)
		verbose(env, ` or ${reg_type_str(env, PTR_TO_BTF_ID | PTR_UNTRUSTED)}${targ_name}\n`);
	else verbose(env, "\n");
	return -EINVAL;
}

/** kernel/bpf/verifier.c: check_map_kptr_access */
function check_map_kptr_access(
	env: bpf_verifier_env,
	_regno: number,
	value_regno: number,
	insn_idx: number,
	kptr_field: btf_field,
): number {
	const insn = env.prog.insnsi[insn_idx]!;
	const cls = BPF_CLASS(insn.code);

	if (BPF_MODE(insn.code) !== BPF_MEM) {
		verbose(env, "kptr in map can only be accessed using BPF_MEM instruction mode\n");
		return -EACCES;
	}

	// A referenced kptr may be loaded (untrusted); it is stored by bpf_kptr_xchg() only.
	if (cls !== BPF_LDX && (kptr_field.type === BPF_KPTR_REF || kptr_field.type === BPF_KPTR_PERCPU)) {
		verbose(env, "store to referenced kptr disallowed\n");
		return -EACCES;
	}

	if (cls === BPF_LDX) {
		const kptr = kptr_field.kptr!;
		mark_btf_ld_reg(
			env,
			cur_regs(env),
			value_regno,
			PTR_TO_BTF_ID,
			kptr.btf,
			kptr.btf_id,
			btf_ld_kptr_type(env, kptr_field),
		);
	} else if (cls === BPF_STX) {
		const val_reg = reg_state(env, value_regno);
		if (!register_is_null(val_reg) && map_kptr_match_type(env, kptr_field, val_reg, value_regno))
			return -EACCES;
	} else if (cls === BPF_ST) {
		if (insn.imm) {
			verbose(env, `BPF_ST imm must be 0 when storing to kptr at off=${kptr_field.offset}\n`);
			return -EACCES;
		}
	} else {
		verbose(env, "kptr in map can only be accessed using BPF_LDX/BPF_STX/BPF_ST\n");
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_map_access */
export function check_map_access(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	size: number,
	zero_size_allowed: boolean,
	src: number,
): number {
	const reg = cur_regs(env)[regno]!;
	const map = reg.map_ptr!;
	const err = check_mem_region_access(env, regno, off, size, map.value_size, zero_size_allowed);
	if (err) return err;

	const rec = map.record;
	if (!rec) return 0;
	for (let i = 0; i < rec.cnt; i++) {
		const field = rec.fields[i]!;
		const p = field.offset;
		// [x1, x2) meets [y1, y2) when x1 < y2 and y1 < x2.
		if (smin_num(reg) + off < p + field.size && p < umax_num(reg) + off + size) {
			switch (field.type) {
				case BPF_KPTR_UNREF:
				case BPF_KPTR_REF:
				case BPF_KPTR_PERCPU:
					if (src !== ACCESS_DIRECT) {
						verbose(env, "kptr cannot be accessed indirectly by helper\n");
						return -EACCES;
					}
					if (!var_off_is_const(reg)) {
						verbose(env, "kptr access cannot have variable offset\n");
						return -EACCES;
					}
					if (p !== off + var_value_num(reg)) {
						const at = BigInt.asUintN(64, BigInt(off) + reg.var_off_value);
						verbose(env, `kptr access misaligned expected=${p} off=${at}\n`);
						return -EACCES;
					}
					if (size !== bpf_size_to_bytes(BPF_DW)) {
						verbose(env, "kptr access size must be BPF_DW\n");
						return -EACCES;
					}
					break;
				default:
					verbose(env, `${btf_field_type_name(field.type)} cannot be accessed directly by load/store\n`);
					return -EACCES;
			}
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: may_access_direct_pkt_data */
export function may_access_direct_pkt_data(
	env: bpf_verifier_env,
	meta: bpf_call_arg_meta | null,
	t: number,
): boolean {
	switch (resolve_prog_type(env.prog)) {
		// read only
		case BPF_PROG_TYPE_LWT_IN:
		case BPF_PROG_TYPE_LWT_OUT:
		case BPF_PROG_TYPE_LWT_SEG6LOCAL:
		case BPF_PROG_TYPE_SK_REUSEPORT:
		case BPF_PROG_TYPE_FLOW_DISSECTOR:
		case BPF_PROG_TYPE_CGROUP_SKB:
			if (t === BPF_WRITE) return false;
			break;

		// read and write
		case BPF_PROG_TYPE_SCHED_CLS:
		case BPF_PROG_TYPE_SCHED_ACT:
		case BPF_PROG_TYPE_XDP:
		case BPF_PROG_TYPE_LWT_XMIT:
		case BPF_PROG_TYPE_SK_SKB:
		case BPF_PROG_TYPE_SK_MSG:
			break;

		case BPF_PROG_TYPE_CGROUP_SOCKOPT:
			if (t === BPF_WRITE) env.seen_direct_write = true;
			return true;

		default:
			return false;
	}
	if (meta) return meta.pkt_access;
	env.seen_direct_write = true;
	return true;
}

/** kernel/bpf/verifier.c: check_packet_access */
export function check_packet_access(
	env: bpf_verifier_env,
	regno: number,
	off: number,
	size: number,
	zero_size_allowed: boolean,
): number {
	const reg = cur_regs(env)[regno]!;

	// reg->range was found after any variable part was added: only the fixed part counts here.
	if (smin_num(reg) < 0) {
		verbose(env, `R${regno} ${NEGATIVE_MIN}`);
		return -EACCES;
	}

	const range = reg.range;
	const err = range < 0 ? -EINVAL : __check_mem_access(env, regno, off, size, range, zero_size_allowed);
	if (err) {
		verbose(env, `R${regno} offset is outside of the packet\n`);
		return err;
	}

	const aux = env.prog.aux;
	const last = (off + umax_int(reg) + size - 1) >>> 0;
	if (last > aux.max_pkt_offset) aux.max_pkt_offset = last;
	return err;
}

/** kernel/bpf/verifier.c: check_ctx_access; `info` takes reg_type in, and what the access yields out. */
function check_ctx_access(
	env: bpf_verifier_env,
	insn_idx: number,
	off: number,
	size: number,
	t: number,
	info: bpf_insn_access_aux,
): number {
	if (env.ops.is_valid_access?.(off, size, t, env.prog, info)) {
		// A field that has a size may be loaded in part: the whole is loaded and masked then.
		if (base_type(info.reg_type) !== PTR_TO_BTF_ID)
			env.insn_aux_data[insn_idx]!.ctx_field_size = info.ctx_field_size;
		if (env.prog.aux.max_ctx_offset < off + size) env.prog.aux.max_ctx_offset = off + size;
		return 0;
	}
	verbose(env, `invalid bpf_context access off=${off} size=${size}\n`);
	return -EACCES;
}

/** kernel/bpf/verifier.c: check_flow_keys_access */
function check_flow_keys_access(env: bpf_verifier_env, off: number, size: number): number {
	if (size < 0 || off < 0 || off + size > SIZEOF_BPF_FLOW_KEYS) {
		verbose(env, `invalid access to flow keys off=${off} size=${size}\n`);
		return -EACCES;
	}
	return 0;
}

function empty_access_aux(env: bpf_verifier_env, reg_type: number, is_ldsx: boolean): bpf_insn_access_aux {
	return { reg_type, is_ldsx, ctx_field_size: 0, btf: null, btf_id: 0, log: env.log, is_retval: false };
}

/** kernel/bpf/verifier.c: check_sock_access */
function check_sock_access(
	env: bpf_verifier_env,
	insn_idx: number,
	regno: number,
	off: number,
	size: number,
	t: number,
): number {
	const reg = cur_regs(env)[regno]!;
	const info = empty_access_aux(env, 0, false);
	let valid: boolean;

	if (smin_num(reg) < 0) {
		verbose(env, `R${regno} ${NEGATIVE_MIN}`);
		return -EACCES;
	}

	switch (reg.type) {
		case PTR_TO_SOCK_COMMON:
			valid = bpf_sock_common_is_valid_access(off, size, t, info);
			break;
		case PTR_TO_SOCKET:
			valid = bpf_sock_is_valid_access(off, size, t, info);
			break;
		case PTR_TO_TCP_SOCK:
			valid = bpf_tcp_sock_is_valid_access(off, size);
			break;
		case PTR_TO_XDP_SOCK:
			valid = bpf_xdp_sock_is_valid_access(off, size);
			break;
		default:
			valid = false;
	}

	if (valid) {
		env.insn_aux_data[insn_idx]!.ctx_field_size = info.ctx_field_size;
		return 0;
	}

	verbose(env, `R${regno} invalid ${reg_type_str(env, reg.type)} access off=${off} size=${size}\n`);
	return -EACCES;
}

/** kernel/bpf/verifier.c: is_pointer_value */
export function is_pointer_value(env: bpf_verifier_env, regno: number): boolean {
	return __is_pointer_value(env.allow_ptr_leaks, reg_state(env, regno));
}

function is_ctx_reg(env: bpf_verifier_env, regno: number): boolean {
	return reg_state(env, regno).type === PTR_TO_CTX;
}

function is_sk_reg(env: bpf_verifier_env, regno: number): boolean {
	return type_is_sk_pointer(reg_state(env, regno).type);
}

function is_pkt_reg(env: bpf_verifier_env, regno: number): boolean {
	return type_is_pkt_pointer(reg_state(env, regno).type);
}

function is_flow_key_reg(env: bpf_verifier_env, regno: number): boolean {
	return reg_state(env, regno).type === PTR_TO_FLOW_KEYS;
}

function is_arena_reg(env: bpf_verifier_env, regno: number): boolean {
	return reg_state(env, regno).type === PTR_TO_ARENA;
}

/** kernel/bpf/verifier.c: reg2btf_ids: the kernel's struct behind a register type that is no BTF pointer. */
export const reg2btf_ids: Readonly<Record<number, BtfIdRef>> = {
	[PTR_TO_SOCKET]: { kind: "struct", name: "sock" },
	[PTR_TO_SOCK_COMMON]: { kind: "struct", name: "sock_common" },
	[PTR_TO_TCP_SOCK]: { kind: "struct", name: "tcp_sock" },
	[CONST_PTR_TO_MAP]: { kind: "struct", name: "bpf_map" },
};

/** kernel/bpf/verifier.c: is_trusted_reg */
export function is_trusted_reg(reg: bpf_reg_state): boolean {
	// A reference is trusted, and so is what reg2btf_ids lists.
	if (reg.ref_obj_id) return true;
	const type = reg.type;
	if (reg2btf_ids[base_type(type)] && !bpf_type_has_unsafe_modifiers(type)) return true;
	return !!(type_flag(type) & BPF_REG_TRUSTED_MODIFIERS) && !bpf_type_has_unsafe_modifiers(type);
}

/** kernel/bpf/verifier.c: is_rcu_reg */
export function is_rcu_reg(reg: bpf_reg_state): boolean {
	return !!(reg.type & MEM_RCU);
}

/** kernel/bpf/verifier.c: clear_trusted_flags */
export function clear_trusted_flags(flag: number): number {
	return flag & ~(BPF_REG_TRUSTED_MODIFIERS | MEM_RCU);
}

/** kernel/bpf/verifier.c: check_pkt_ptr_alignment */
function check_pkt_ptr_alignment(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	off: number,
	size: number,
	strict: boolean,
): number {
	if (!strict || size === 1) return 0;

	// NET_IP_ALIGN of an architecture that cannot load unaligned: what strict mode stands for.
	const ip_align = 2;
	const reg_off = tnum_add(
		{ value: reg.var_off_value, mask: reg.var_off_mask },
		tnum_const(BigInt.asUintN(64, BigInt((ip_align + reg.off + off) | 0))),
	);
	if (!tnum_is_aligned(reg_off, BigInt(size))) {
		verbose(
			env,
			`misaligned packet access off ${ip_align}+${var_off_str(reg)}+${reg.off}+${off} size ${size}\n`,
		);
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_generic_ptr_alignment */
function check_generic_ptr_alignment(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	pointer_desc: string,
	off: number,
	size: number,
	strict: boolean,
): number {
	if (!strict || size === 1) return 0;

	// A constant offset needs its low bits only (the sum's high bits cannot unalign it).
	if (var_off_is_const(reg)) {
		if (((var_value_int(reg) + reg.off + off) & (size - 1)) === 0) return 0;
	} else {
		const reg_off = tnum_add(
			{ value: reg.var_off_value, mask: reg.var_off_mask },
			tnum_const(BigInt.asUintN(64, BigInt((reg.off + off) | 0))),
		);
		if (tnum_is_aligned(reg_off, BigInt(size))) return 0;
	}
	verbose(env, `misaligned ${pointer_desc}access off ${var_off_str(reg)}+${reg.off}+${off} size ${size}\n`);
	return -EACCES;
}

/** kernel/bpf/verifier.c: check_ptr_alignment */
export function check_ptr_alignment(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	off: number,
	size: number,
	strict_alignment_once: boolean,
): number {
	let strict = env.strict_alignment || strict_alignment_once;
	let pointer_desc = "";

	switch (reg.type) {
		case PTR_TO_PACKET:
		case PTR_TO_PACKET_META:
			return check_pkt_ptr_alignment(env, reg, off, size, strict);
		case PTR_TO_FLOW_KEYS:
			pointer_desc = "flow keys ";
			break;
		case PTR_TO_MAP_KEY:
			pointer_desc = "key ";
			break;
		case PTR_TO_MAP_VALUE:
			pointer_desc = "value ";
			break;
		case PTR_TO_CTX:
			pointer_desc = "context ";
			break;
		case PTR_TO_STACK:
			pointer_desc = "stack ";
			// Tracking of spills relies on aligned accesses.
			strict = true;
			break;
		case PTR_TO_SOCKET:
			pointer_desc = "sock ";
			break;
		case PTR_TO_SOCK_COMMON:
			pointer_desc = "sock_common ";
			break;
		case PTR_TO_TCP_SOCK:
			pointer_desc = "tcp_sock ";
			break;
		case PTR_TO_XDP_SOCK:
			pointer_desc = "xdp_sock ";
			break;
		case PTR_TO_ARENA:
			return 0;
		default:
			break;
	}
	return check_generic_ptr_alignment(env, reg, pointer_desc, off, size, strict);
}

/** kernel/bpf/verifier.c: __check_buffer_access */
function __check_buffer_access(
	env: bpf_verifier_env,
	buf_info: string,
	reg: bpf_reg_state,
	regno: number,
	off: number,
	size: number,
): number {
	if (off < 0) {
		verbose(env, `R${regno} invalid ${buf_info} buffer access: off=${off}, size=${size}\n`);
		return -EACCES;
	}
	if (!var_off_is_zero(reg)) {
		verbose(env, `R${regno} invalid variable buffer offset: off=${off}, var_off=${var_off_str(reg)}\n`);
		return -EACCES;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_tp_buffer_access */
export function check_tp_buffer_access(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	off: number,
	size: number,
): number {
	const err = __check_buffer_access(env, "tracepoint", reg, regno, off, size);
	if (err) return err;
	if (off + size > env.prog.aux.max_tp_access) env.prog.aux.max_tp_access = off + size;
	return 0;
}

/** kernel/bpf/verifier.c: check_buffer_access; `max_access` names the counter of the program that it raises. */
export function check_buffer_access(
	env: bpf_verifier_env,
	reg: bpf_reg_state,
	regno: number,
	off: number,
	size: number,
	_zero_size_allowed: boolean,
	max_access: "max_rdonly_access" | "max_rdwr_access",
): number {
	const buf_info = type_is_rdonly_mem(reg.type) ? "rdonly" : "rdwr";
	const err = __check_buffer_access(env, buf_info, reg, regno, off, size);
	if (err) return err;
	const end = (off + size) >>> 0;
	if (end > env.prog.aux[max_access]) env.prog.aux[max_access] = end;
	return 0;
}

/** kernel/bpf/verifier.c: bpf_map_is_rdonly: neither side can change the contents any more. */
export function bpf_map_is_rdonly(map: bpf_map): boolean {
	return !!(map.map_flags & BPF_F_RDONLY_PROG) && map.frozen && map.writecnt === 0;
}

/** kernel/bpf/verifier.c: bpf_map_direct_read */
function bpf_map_direct_read(
	map: bpf_map,
	off: number,
	size: number,
	val: Ref<bigint>,
	is_ldsx: boolean,
): number {
	const addr: Ref<bigint> = { val: 0n };
	const err = map.ops.map_direct_value_addr!(map, addr, off);
	if (err) return err;
	const mem = map.kernel.mem;
	const ptr = u64_to_addr(addr.val) + off;
	switch (size) {
		case 1: {
			const v = mem.r8(ptr);
			val.val = addr_to_u64(is_ldsx ? (v << 24) >> 24 : v);
			break;
		}
		case 2: {
			const v = mem.r16(ptr);
			val.val = addr_to_u64(is_ldsx ? (v << 16) >> 16 : v);
			break;
		}
		case 4:
			val.val = addr_to_u64(is_ldsx ? mem.rs32(ptr) : mem.r32(ptr));
			break;
		case 8:
			val.val = mem.r64(ptr);
			break;
		default:
			return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_ptr_to_btf_access */
export function check_ptr_to_btf_access(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
	off: number,
	size: number,
	atype: number,
	value_regno: number,
): number {
	const reg = regs[regno]!;
	const reg_btf = reg.btf!;
	const t = btf_type_by_id(reg_btf, reg.btf_id)!;
	const tname = btf_name_by_offset(reg_btf, t.name_off);
	const field_name: Ref<string | null> = { val: null };
	const flag_ref: Ref<number> = { val: 0 };
	const btf_id: Ref<number> = { val: 0 };
	let ret: number;

	if (!env.allow_ptr_leaks) {
		verbose(env, `'struct ${tname}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n`);
		return -EPERM;
	}
	if (!env.prog.gpl_compatible && btf_is_kernel(reg_btf)) {
		verbose(env, `Cannot access kernel 'struct ${tname}' from non-GPL compatible program\n`);
		return -EINVAL;
	}
	if (off < 0) {
		verbose(env, `R${regno} is ptr_${tname} invalid negative access: off=${off}\n`);
		return -EACCES;
	}
	if (!var_off_is_zero(reg)) {
		verbose(
			env,
			`R${regno} is ptr_${tname} invalid variable offset: off=${off}, var_off=${var_off_str(reg)}\n`,
		);
		return -EACCES;
	}
	if (reg.type & MEM_USER) {
		verbose(env, `R${regno} is ptr_${tname} access user memory: off=${off}\n`);
		return -EACCES;
	}
	if (reg.type & MEM_PERCPU) {
		verbose(env, `R${regno} is ptr_${tname} access percpu memory: off=${off}\n`);
		return -EACCES;
	}

	if (env.ops.btf_struct_access && !type_is_alloc(reg.type) && atype === BPF_WRITE) {
		if (!btf_is_kernel(reg_btf)) {
			verbose(env, "verifier internal error: reg->btf must be kernel btf\n");
			return -EFAULT;
		}
		ret = env.ops.btf_struct_access(env.log, reg, off, size, env.prog);
	} else {
		// Objects that the program allocated (and holds a reference of) are its own to write.
		if (atype !== BPF_READ && !type_is_ptr_alloc_obj(reg.type)) {
			verbose(env, "only read is supported\n");
			return -EACCES;
		}
		if (
			type_is_alloc(reg.type) &&
			!type_is_non_owning_ref(reg.type) &&
			!(reg.type & MEM_RCU) &&
			!reg.ref_obj_id
		) {
			verbose(env, "verifier internal error: ref_obj_id for allocated object must be non-zero\n");
			return -EFAULT;
		}
		ret = btf_struct_access(env.log, reg, off, size, atype, btf_id, flag_ref, field_name);
	}

	if (ret < 0) return ret;

	let flag = flag_ref.val;
	if (ret !== PTR_TO_BTF_ID) {
		// a scalar: mark it below
	} else if (type_flag(reg.type) & PTR_UNTRUSTED) {
		// What an untrusted pointer leads to is untrusted.
		flag = PTR_UNTRUSTED;
	} else if (is_trusted_reg(reg) || is_rcu_reg(reg)) {
		// A field keeps its parent's trust only where it is listed or tagged; see type_is_*().
		const fname = field_name.val!;
		const id = btf_id.val;
		if (type_is_trusted(env, reg, fname, id)) {
			flag |= PTR_TRUSTED;
		} else if (type_is_trusted_or_null(env, reg, fname, id)) {
			flag |= PTR_TRUSTED | PTR_MAYBE_NULL;
		} else if (in_rcu_cs(env) && !type_may_be_null(reg.type)) {
			if (type_is_rcu(env, reg, fname, id)) {
				flag |= MEM_RCU;
			} else if (flag & MEM_RCU || type_is_rcu_or_null(env, reg, fname, id)) {
				flag |= MEM_RCU | PTR_MAYBE_NULL;
				if (type_is_rcu_or_null(env, reg, fname, id) && flag & PTR_UNTRUSTED) flag &= ~PTR_UNTRUSTED;
			} else if (flag & (MEM_PERCPU | MEM_USER)) {
				// keep as it is
			} else {
				flag = clear_trusted_flags(flag);
			}
		} else {
			// Outside of an RCU section, or maybe NULL: a plain pointer would pass into helpers.
			flag = PTR_UNTRUSTED;
		}
	} else {
		flag = clear_trusted_flags(flag);
	}

	if (atype === BPF_READ && value_regno >= 0)
		mark_btf_ld_reg(env, regs, value_regno, ret, reg_btf, btf_id.val, flag);
	return 0;
}

/** kernel/bpf/verifier.c: check_ptr_to_map_access */
function check_ptr_to_map_access(
	env: bpf_verifier_env,
	regs: readonly bpf_reg_state[],
	regno: number,
	off: number,
	size: number,
	atype: number,
	value_regno: number,
): number {
	const map = regs[regno]!.map_ptr!;
	const vmlinux = env.kernel.bpf.bpf_get_btf_vmlinux();

	if (IS_ERR(vmlinux)) {
		verbose(env, "map_ptr access not supported without CONFIG_DEBUG_INFO_BTF\n");
		return -ENOTSUPP;
	}
	const btf_vmlinux = vmlinux as btf;
	const map_btf_id = map.ops.map_btf_name
		? btf_find_by_name_kind(btf_vmlinux, map.ops.map_btf_name, BTF_KIND_STRUCT)
		: 0;
	if (map_btf_id <= 0) {
		verbose(env, `map_ptr access not supported for map type ${map.map_type}\n`);
		return -ENOTSUPP;
	}

	const t = btf_type_by_id(btf_vmlinux, map_btf_id)!;
	const tname = btf_name_by_offset(btf_vmlinux, t.name_off);

	if (!env.allow_ptr_leaks) {
		verbose(env, `'struct ${tname}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n`);
		return -EPERM;
	}
	if (off < 0) {
		verbose(env, `R${regno} is ${tname} invalid negative access: off=${off}\n`);
		return -EACCES;
	}
	if (atype !== BPF_READ) {
		verbose(env, `only read from ${tname} is supported\n`);
		return -EACCES;
	}

	// The access is one of a PTR_TO_BTF_ID.
	const map_reg = env.tmp_reg[0];
	zero_reg(map_reg);
	mark_btf_ld_reg(env, [map_reg], 0, PTR_TO_BTF_ID, btf_vmlinux, map_btf_id, 0);
	const btf_id: Ref<number> = { val: 0 };
	const flag: Ref<number> = { val: 0 };
	const ret = btf_struct_access(env.log, map_reg, off, size, atype, btf_id, flag, null);
	if (ret < 0) return ret;

	if (value_regno >= 0) mark_btf_ld_reg(env, regs, value_regno, ret, btf_vmlinux, btf_id.val, flag.val);
	return 0;
}

/** kernel/bpf/verifier.c: get_func_retval_range */
export function get_func_retval_range(prog: bpf_prog, range: bpf_retval_range): boolean {
	return (
		prog.type === BPF_PROG_TYPE_LSM &&
		prog.expected_attach_type === BPF_LSM_MAC &&
		!bpf_lsm_get_retval_range(prog, range)
	);
}

/**
 * kernel/bpf/verifier.c: check_mem_access. Is memory at (regno + off) accessible for t (read or write)?
 * value_regno is the register stored or loaded; -1: an unknown value is stored, or nobody asks what is read.
 */
export function check_mem_access(
	env: bpf_verifier_env,
	insn_idx: number,
	regno: number,
	off: number,
	bpf_size: number,
	t: number,
	value_regno: number,
	strict_alignment_once: boolean,
	is_ldsx: boolean,
): number {
	const regs = cur_regs(env);
	const reg = regs[regno]!;
	const size = bpf_size_to_bytes(bpf_size);
	if (size < 0) return size;

	// the alignment checks add reg->off themselves
	let err = check_ptr_alignment(env, reg, off, size, strict_alignment_once);
	if (err) return err;

	off = (off + reg.off) | 0;
	const type = reg.type;

	if (type === PTR_TO_STACK) {
		err = check_stack_access_within_bounds(env, regno, off, size, ACCESS_DIRECT, t);
		if (err) return err;
		if (t === BPF_READ) err = check_stack_read(env, regno, off, size, value_regno);
		else err = check_stack_write(env, regno, off, size, value_regno, insn_idx);
	} else if (type === PTR_TO_MAP_KEY) {
		if (t === BPF_WRITE) {
			verbose(env, `write to change key R${regno} not allowed\n`);
			return -EACCES;
		}
		err = check_mem_region_access(env, regno, off, size, reg.map_ptr!.key_size, false);
		if (err) return err;
		if (value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else if (type === PTR_TO_MAP_VALUE) {
		let kptr_field: btf_field | null = null;

		if (t === BPF_WRITE && value_regno >= 0 && is_pointer_value(env, value_regno)) {
			verbose(env, `R${value_regno} leaks addr into map\n`);
			return -EACCES;
		}
		err = check_map_access_type(env, regno, off, size, t);
		if (err) return err;
		err = check_map_access(env, regno, off, size, false, ACCESS_DIRECT);
		if (err) return err;
		const map = reg.map_ptr!;
		const is_const = var_off_is_const(reg);
		if (is_const && map.record)
			kptr_field = btf_record_find(map.record, (off + var_value_int(reg)) >>> 0, BPF_KPTR);
		if (kptr_field) {
			err = check_map_kptr_access(env, regno, value_regno, insn_idx, kptr_field);
		} else if (t === BPF_READ && value_regno >= 0) {
			// the contents of a frozen read-only map are known scalars
			if (is_const && bpf_map_is_rdonly(map) && map.ops.map_direct_value_addr) {
				const map_off = (off + var_value_int(reg)) | 0;
				const val: Ref<bigint> = { val: 0n };
				err = bpf_map_direct_read(map, map_off, size, val, is_ldsx);
				if (err) return err;
				regs[value_regno]!.type = SCALAR_VALUE;
				__mark_reg_known(regs[value_regno]!, val.val);
			} else {
				mark_reg_unknown(env, regs, value_regno);
			}
		}
	} else if (base_type(type) === PTR_TO_MEM) {
		const rdonly_mem = type_is_rdonly_mem(type);

		if (type_may_be_null(type)) {
			verbose(env, `R${regno} invalid mem access '${reg_type_str(env, type)}'\n`);
			return -EACCES;
		}
		if (t === BPF_WRITE && rdonly_mem) {
			verbose(env, `R${regno} cannot write into ${reg_type_str(env, type)}\n`);
			return -EACCES;
		}
		if (t === BPF_WRITE && value_regno >= 0 && is_pointer_value(env, value_regno)) {
			verbose(env, `R${value_regno} leaks addr into mem\n`);
			return -EACCES;
		}
		err = check_mem_region_access(env, regno, off, size, reg.mem_size, false);
		if (!err && value_regno >= 0 && (t === BPF_READ || rdonly_mem)) mark_reg_unknown(env, regs, value_regno);
	} else if (type === PTR_TO_CTX) {
		if (t === BPF_WRITE && value_regno >= 0 && is_pointer_value(env, value_regno)) {
			verbose(env, `R${value_regno} leaks addr into ctx\n`);
			return -EACCES;
		}
		err = check_ptr_off_reg(env, reg, regno);
		if (err < 0) return err;

		const info = empty_access_aux(env, SCALAR_VALUE, is_ldsx);
		err = check_ctx_access(env, insn_idx, off, size, t, info);
		if (err) verbose_linfo(env, insn_idx, "; ");
		if (!err && t === BPF_READ && value_regno >= 0) {
			const dst = regs[value_regno]!;
			// A field is a scalar or a pointer (to a packet, say) that has offset zero.
			if (info.reg_type === SCALAR_VALUE) {
				const range: bpf_retval_range = { minval: 0, maxval: 0 };
				if (info.is_retval && get_func_retval_range(env.prog, range)) {
					err = __mark_reg_s32_range(env, regs, value_regno, range.minval, range.maxval);
					if (err) return err;
				} else {
					mark_reg_unknown(env, regs, value_regno);
				}
			} else {
				mark_reg_known_zero(env, regs, value_regno);
				if (type_may_be_null(info.reg_type)) dst.id = ++env.id_gen;
				// The real load may be wider than the instruction's: a pointer is never a sub-register.
				dst.subreg_def = DEF_NOT_SUBREG;
				if (base_type(info.reg_type) === PTR_TO_BTF_ID) {
					dst.btf = info.btf;
					dst.btf_id = info.btf_id;
				}
			}
			dst.type = info.reg_type;
		}
	} else if (reg_is_pkt_pointer(reg)) {
		if (t === BPF_WRITE && !may_access_direct_pkt_data(env, null, t)) {
			verbose(env, "cannot write into packet\n");
			return -EACCES;
		}
		if (t === BPF_WRITE && value_regno >= 0 && is_pointer_value(env, value_regno)) {
			verbose(env, `R${value_regno} leaks addr into packet\n`);
			return -EACCES;
		}
		err = check_packet_access(env, regno, off, size, false);
		if (!err && t === BPF_READ && value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else if (type === PTR_TO_FLOW_KEYS) {
		if (t === BPF_WRITE && value_regno >= 0 && is_pointer_value(env, value_regno)) {
			verbose(env, `R${value_regno} leaks addr into flow keys\n`);
			return -EACCES;
		}
		err = check_flow_keys_access(env, off, size);
		if (!err && t === BPF_READ && value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else if (type_is_sk_pointer(type)) {
		if (t === BPF_WRITE) {
			verbose(env, `R${regno} cannot write into ${reg_type_str(env, type)}\n`);
			return -EACCES;
		}
		err = check_sock_access(env, insn_idx, regno, off, size, t);
		if (!err && value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else if (type === PTR_TO_TP_BUFFER) {
		err = check_tp_buffer_access(env, reg, regno, off, size);
		if (!err && t === BPF_READ && value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else if (base_type(type) === PTR_TO_BTF_ID && !type_may_be_null(type)) {
		err = check_ptr_to_btf_access(env, regs, regno, off, size, t, value_regno);
	} else if (type === CONST_PTR_TO_MAP) {
		err = check_ptr_to_map_access(env, regs, regno, off, size, t, value_regno);
	} else if (base_type(type) === PTR_TO_BUF && !type_may_be_null(type)) {
		const rdonly_mem = type_is_rdonly_mem(type);
		if (rdonly_mem && t === BPF_WRITE) {
			verbose(env, `R${regno} cannot write into ${reg_type_str(env, type)}\n`);
			return -EACCES;
		}
		const max_access = rdonly_mem ? "max_rdonly_access" : "max_rdwr_access";
		err = check_buffer_access(env, reg, regno, off, size, false, max_access);
		if (!err && value_regno >= 0 && (rdonly_mem || t === BPF_READ)) mark_reg_unknown(env, regs, value_regno);
	} else if (type === PTR_TO_ARENA) {
		if (t === BPF_READ && value_regno >= 0) mark_reg_unknown(env, regs, value_regno);
	} else {
		verbose(env, `R${regno} invalid mem access '${reg_type_str(env, type)}'\n`);
		return -EACCES;
	}

	if (
		!err &&
		size < BPF_REG_SIZE &&
		value_regno >= 0 &&
		t === BPF_READ &&
		regs[value_regno]!.type === SCALAR_VALUE
	) {
		// narrow loads extend with zeroes, or with the sign
		if (!is_ldsx) coerce_reg_to_size(regs[value_regno]!, size);
		else coerce_reg_to_size_sx(regs[value_regno]!, size);
	}
	return err;
}

/** kernel/bpf/verifier.c: check_atomic */
export function check_atomic(env: bpf_verifier_env, insn_idx: number, insn: bpf_insn): number {
	let load_reg: number;
	let err: number;

	switch (insn.imm) {
		case BPF_ADD:
		case BPF_ADD | BPF_FETCH:
		case BPF_AND:
		case BPF_AND | BPF_FETCH:
		case BPF_OR:
		case BPF_OR | BPF_FETCH:
		case BPF_XOR:
		case BPF_XOR | BPF_FETCH:
		case BPF_XCHG:
		case BPF_CMPXCHG:
			break;
		default:
			verbose(
				env,
				`BPF_ATOMIC uses invalid atomic opcode ${(insn.imm >>> 0).toString(16).padStart(2, "0")}\n`,
			);
			return -EINVAL;
	}

	const bpf_size = BPF_SIZE(insn.code);
	if (bpf_size !== BPF_W && bpf_size !== BPF_DW) {
		verbose(env, "invalid atomic operand size\n");
		return -EINVAL;
	}

	err = check_reg_arg(env, insn.src_reg, SRC_OP);
	if (err) return err;
	err = check_reg_arg(env, insn.dst_reg, SRC_OP);
	if (err) return err;

	if (insn.imm === BPF_CMPXCHG) {
		// R0 is compared with the memory
		err = check_reg_arg(env, 0, SRC_OP);
		if (err) return err;
		if (is_pointer_value(env, 0)) {
			verbose(env, "R0 leaks addr into mem\n");
			return -EACCES;
		}
	}

	if (is_pointer_value(env, insn.src_reg)) {
		verbose(env, `R${insn.src_reg} leaks addr into mem\n`);
		return -EACCES;
	}

	if (
		is_ctx_reg(env, insn.dst_reg) ||
		is_pkt_reg(env, insn.dst_reg) ||
		is_flow_key_reg(env, insn.dst_reg) ||
		is_sk_reg(env, insn.dst_reg) ||
		(is_arena_reg(env, insn.dst_reg) && !bpf_jit_supports_insn(env.kernel, insn, true))
	) {
		verbose(
			env,
			`BPF_ATOMIC stores into R${insn.dst_reg} ${reg_type_str(env, reg_state(env, insn.dst_reg).type)} is not allowed\n`,
		);
		return -EACCES;
	}

	if (insn.imm & BPF_FETCH) {
		load_reg = insn.imm === BPF_CMPXCHG ? 0 : insn.src_reg;
		err = check_reg_arg(env, load_reg, DST_OP);
		if (err) return err;
	} else {
		load_reg = -1;
	}

	// The second read is the one that fills the register.
	err = check_mem_access(env, insn_idx, insn.dst_reg, insn.off, bpf_size, BPF_READ, -1, true, false);
	if (!err && load_reg >= 0)
		err = check_mem_access(env, insn_idx, insn.dst_reg, insn.off, bpf_size, BPF_READ, load_reg, true, false);
	if (err) return err;

	if (is_arena_reg(env, insn.dst_reg)) {
		err = save_aux_ptr_type(env, PTR_TO_ARENA, false);
		if (err) return err;
	}
	return check_mem_access(env, insn_idx, insn.dst_reg, insn.off, bpf_size, BPF_WRITE, -1, true, false);
}

/** kernel/bpf/verifier.c: reg_type_mismatch_ok: may one instruction see this type and another? */
function reg_type_mismatch_ok(type: number): boolean {
	switch (base_type(type)) {
		case PTR_TO_CTX:
		case PTR_TO_SOCKET:
		case PTR_TO_SOCK_COMMON:
		case PTR_TO_TCP_SOCK:
		case PTR_TO_XDP_SOCK:
		case PTR_TO_BTF_ID:
		case PTR_TO_ARENA:
			return false;
		default:
			return true;
	}
}

function reg_type_mismatch(src: number, prev: number): boolean {
	return src !== prev && (!reg_type_mismatch_ok(src) || !reg_type_mismatch_ok(prev));
}

/** kernel/bpf/verifier.c: save_aux_ptr_type. An access that gets rewritten must be of one kind on all paths. */
export function save_aux_ptr_type(
	env: bpf_verifier_env,
	type: number,
	allow_trust_mismatch: boolean,
): number {
	const aux = env.insn_aux_data[env.insn_idx]!;
	if (aux.ptr_type === NOT_INIT) {
		aux.ptr_type = type;
	} else if (reg_type_mismatch(type, aux.ptr_type)) {
		// Trusted here and untrusted there: both can be read as untrusted (BPF_PROBE_MEM).
		if (
			allow_trust_mismatch &&
			base_type(type) === PTR_TO_BTF_ID &&
			base_type(aux.ptr_type) === PTR_TO_BTF_ID
		) {
			aux.ptr_type = PTR_TO_BTF_ID | PTR_UNTRUSTED;
		} else {
			verbose(env, "same insn cannot be used with different pointers\n");
			return -EINVAL;
		}
	}
	return 0;
}
