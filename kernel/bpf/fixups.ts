// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: rewrites after verification: dead code, no-ops, zero extension, context
 * accesses, bpf_loop(), fastcall spills, and the calls of kernel functions.
 */
import {
	BPF_MAX_LOOPS,
	BPF_READ,
	BPF_WRITE,
	MEM_ALLOC,
	NOT_INIT,
	PTR_TO_ARENA,
	PTR_TO_BTF_ID,
	PTR_TO_CTX,
	PTR_TO_SOCK_COMMON,
	PTR_TO_SOCKET,
	PTR_TO_TCP_SOCK,
	PTR_TO_XDP_SOCK,
	PTR_UNTRUSTED,
} from "../../include/linux/bpf.ts";
import { BPF_REG_SIZE, INSN_BUF_SIZE } from "../../include/linux/bpf_verifier.ts";
import {
	BPF_PROBE_ATOMIC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEM32,
	BPF_PROBE_MEMSX,
	BPF_REG_AX,
	BPF_REG_FP,
} from "../../include/linux/filter.ts";
import { E2BIG, EFAULT, EINVAL, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_ALU64,
	BPF_ATOMIC,
	BPF_CALL,
	BPF_DW,
	BPF_EXIT,
	BPF_F_TEST_RND_HI32,
	BPF_FUNC_loop,
	BPF_JLE,
	BPF_JMP32,
	BPF_MEMSX,
	BPF_MOV,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_2,
	BPF_REG_3,
	BPF_REG_4,
	BPF_REG_5,
	BPF_REG_6,
	BPF_REG_7,
	BPF_REG_8,
	BPF_REG_10,
} from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ADD,
	BPF_AND,
	BPF_H,
	BPF_IMM,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_JMP,
	BPF_LD,
	BPF_LDX,
	BPF_LSH,
	BPF_MEM,
	BPF_OR,
	BPF_RSH,
	BPF_ST,
	BPF_STX,
	BPF_W,
	BPF_X,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import {
	bpf_sock_convert_ctx_access,
	bpf_tcp_sock_convert_ctx_access,
	bpf_xdp_sock_convert_ctx_access,
} from "../../net/core/filter_convert.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_insn, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import { btf_id_of } from "./btf_ids.ts";
import type { btf_struct_meta } from "./btf_types.ts";
import { may_access_direct_pkt_data } from "./check_mem.ts";
import {
	BPF_ALU32_IMM,
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_CALL_IMM,
	BPF_CALL_REL,
	BPF_CLASS,
	BPF_JMP_IMM,
	BPF_JMP_REG,
	BPF_JMP32_A,
	BPF_LD_IMM64,
	BPF_LDST_BYTES,
	BPF_LDX_MEM,
	BPF_MODE,
	BPF_MOV32_IMM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_OP,
	BPF_RAW_INSN,
	BPF_SIZE,
	BPF_ST_NOSPEC,
	BPF_STX_MEM,
	BPF_ZEXT_REG,
	bpf_ctx_narrow_access_offset,
	bpf_ctx_off_adjust_machine,
} from "./insn_macros.ts";
import { bpf_jit_needs_zext, bpf_jit_supports_far_kfunc_call } from "./jit_caps.ts";
import { DST_OP, insn_def_regno, is_reg64 } from "./liveness.ts";
import { bpf_log, verbose } from "./log.ts";
import { adjust_jmp_off, bpf_patch_insn_data, PatchSweep, verifier_remove_ranges } from "./patch.ts";
import {
	bpf_pseudo_kfunc_call,
	is_bpf_wq_set_callback_impl_kfunc,
	is_cmpxchg_insn,
	special_kfunc_list,
} from "./predicates.ts";
import { prog_image } from "./prog.ts";
import { add_kfunc_in_insns, find_kfunc_desc } from "./subprogs.ts";
import type { bpf_prog_load_attr, bpf_verifier_env, bpf_verifier_log } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: sanitize_dead_code: what was never seen becomes a jump onto itself. */
export function sanitize_dead_code(env: bpf_verifier_env): void {
	const insns = env.prog.insnsi;
	for (let i = 0; i < insns.length; i++) {
		const aux = env.insn_aux_data[i]!;
		if (aux.seen) continue;
		insns[i] = BPF_JMP_IMM(BPF_JA, 0, 0, -1);
		aux.zext_dst = false;
	}
}

/** kernel/bpf/verifier.c: insn_is_cond_jump */
function insn_is_cond_jump(code: number): boolean {
	const op = BPF_OP(code);
	if (BPF_CLASS(code) === BPF_JMP32) return op !== BPF_JA;
	if (BPF_CLASS(code) !== BPF_JMP) return false;
	return op !== BPF_JA && op !== BPF_EXIT && op !== BPF_CALL;
}

/** kernel/bpf/verifier.c: opt_hard_wire_dead_code_branches: branches of which one side is dead become jumps. */
export function opt_hard_wire_dead_code_branches(env: bpf_verifier_env): void {
	const insns = env.prog.insnsi;
	const aux_data = env.insn_aux_data;
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		if (!insn_is_cond_jump(insn.code)) continue;
		let off: number;
		if (!aux_data[i + 1]?.seen) off = insn.off;
		else if (!aux_data[i + 1 + insn.off]?.seen) off = 0;
		else continue;
		insns[i] = BPF_JMP_IMM(BPF_JA, 0, 0, off);
	}
}

/** kernel/bpf/verifier.c: opt_remove_dead_code */
export function opt_remove_dead_code(env: bpf_verifier_env): number {
	const n = env.prog.len;
	const ranges: [number, number][] = [];
	for (let i = 0; i < n; i++) {
		let j = i;
		while (j < n && !env.insn_aux_data[j]!.seen) j++;
		if (j > i) {
			ranges.push([i, j]);
			i = j;
		}
	}
	return verifier_remove_ranges(env, ranges);
}

/** A jump to the next instruction, all other fields zero. */
function is_nop(insn: bpf_insn): boolean {
	return (
		insn.code === (BPF_JMP | BPF_JA) &&
		insn.dst_reg === 0 &&
		insn.src_reg === 0 &&
		insn.off === 0 &&
		insn.imm === 0
	);
}

/** kernel/bpf/verifier.c: opt_remove_nops */
export function opt_remove_nops(env: bpf_verifier_env): number {
	const ranges: [number, number][] = [];
	env.prog.insnsi.forEach((insn, i) => {
		if (is_nop(insn)) ranges.push([i, i + 1]);
	});
	return verifier_remove_ranges(env, ranges);
}

/**
 * kernel/bpf/verifier.c: opt_subreg_zext_lo32_rnd_hi32: zero extensions where the JIT (or CMPXCHG) wants
 * them; with BPF_F_TEST_RND_HI32, noise in the upper halves that are said not to matter.
 */
export function opt_subreg_zext_lo32_rnd_hi32(env: bpf_verifier_env, attr: bpf_prog_load_attr): number {
	const rnd_hi32 = (attr.prog_flags & BPF_F_TEST_RND_HI32) !== 0;
	const insns = env.prog.insnsi;
	const sweep = new PatchSweep(env);
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		const aux = env.insn_aux_data[i]!;
		const load_reg = insn_def_regno(insn);
		if (!aux.zext_dst) {
			if (!rnd_hi32) continue;
			const cls = BPF_CLASS(insn.code);
			if (load_reg === -1) continue;
			if (is_reg64(insn, NOT_INIT, DST_OP)) {
				if (cls === BPF_LD && BPF_MODE(insn.code) === BPF_IMM) i++;
				continue;
			}
			// a context load may have become a wider one
			if (cls === BPF_LDX && aux.ptr_type === PTR_TO_CTX) continue;

			sweep.replace(i, [
				insn.clone(),
				BPF_ALU64_IMM(BPF_MOV, BPF_REG_AX, env.kernel.get_random_u32()),
				BPF_ALU64_IMM(BPF_LSH, BPF_REG_AX, 32),
				BPF_ALU64_REG(BPF_OR, load_reg, BPF_REG_AX),
			]);
			continue;
		}

		// CMPXCHG loads R0 on every architecture only when it is told so
		if (!bpf_jit_needs_zext(env.kernel) && !is_cmpxchg_insn(insn)) continue;
		// the caller of a kfunc extends
		if (bpf_pseudo_kfunc_call(insn)) continue;
		if (load_reg === -1) {
			verbose(env, "verifier bug. zext_dst is set, but no reg is defined\n");
			return -EFAULT;
		}
		sweep.replace(i, [insn.clone(), BPF_ZEXT_REG(load_reg)]);
	}
	return sweep.apply();
}

type Convert = NonNullable<bpf_verifier_ops["convert_ctx_access"]>;

/** Reads: BPF_READ; writes: BPF_WRITE; anything else: 0. */
function access_type(code: number): number {
	const cls = BPF_CLASS(code);
	const mode = BPF_MODE(code);
	if (cls === BPF_LDX) {
		if (mode === BPF_MEM) return BPF_READ;
		return mode === BPF_MEMSX && BPF_SIZE(code) !== BPF_DW ? BPF_READ : 0;
	}
	return (cls === BPF_STX || cls === BPF_ST) && mode === BPF_MEM ? BPF_WRITE : 0;
}

/**
 * kernel/bpf/verifier.c: convert_ctx_accesses: loads and stores of fields of the context become those of
 * the kernel's structure behind it; pointers that may fault get probing loads; prologue and epilogue.
 */
export function convert_ctx_accesses(env: bpf_verifier_env): number {
	const subprogs = env.subprog_info;
	const { ops } = env;
	const insn_cnt = env.prog.len;
	let epilogue: bpf_insn[] = [];
	let delta = 0;

	if (ops.gen_epilogue) {
		epilogue = ops.gen_epilogue(env.prog, -(subprogs[0]!.stack_depth + 8));
		if (epilogue.length >= INSN_BUF_SIZE) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		} else if (epilogue.length) {
			// the epilogue finds the context on the stack
			subprogs[0]!.stack_depth += 8;
			const buf = [
				BPF_STX_MEM(BPF_DW, BPF_REG_FP, BPF_REG_1, -subprogs[0]!.stack_depth),
				env.prog.insnsi[0]!,
			];
			if (!bpf_patch_insn_data(env, 0, buf)) return -ENOMEM;
			delta += buf.length - 1;
			const ret = add_kfunc_in_insns(env, epilogue, epilogue.length - 1);
			if (ret < 0) return ret;
		}
	}

	if (ops.gen_prologue || env.seen_direct_write) {
		if (!ops.gen_prologue) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		}
		const prologue = ops.gen_prologue(env.seen_direct_write, env.prog);
		if (prologue.length >= INSN_BUF_SIZE) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		} else if (prologue.length) {
			if (!bpf_patch_insn_data(env, 0, prologue)) return -ENOMEM;
			delta += prologue.length - 1;
			const ret = add_kfunc_in_insns(env, prologue, prologue.length - 1);
			if (ret < 0) return ret;
		}
	}

	if (delta) adjust_jmp_off(env.prog, 0, delta);

	const insns = env.prog.insnsi;
	const sweep = new PatchSweep(env);
	let epilogue_idx = 0;
	for (let i = delta; i < delta + insn_cnt; i++) {
		const insn = insns[i]!;
		const aux = env.insn_aux_data[i]!;
		const type = access_type(insn.code);
		if (!type) {
			if (
				(insn.code === (BPF_STX | BPF_ATOMIC | BPF_W) || insn.code === (BPF_STX | BPF_ATOMIC | BPF_DW)) &&
				aux.ptr_type === PTR_TO_ARENA
			) {
				insn.code = BPF_STX | BPF_PROBE_ATOMIC | BPF_SIZE(insn.code);
				env.prog.aux.num_exentries++;
			} else if (insn.code === (BPF_JMP | BPF_EXIT) && epilogue.length && i < subprogs[1]!.start) {
				// the first exit gets the epilogue, later ones jump to it
				const at = i + sweep.delta;
				if (epilogue_idx) {
					sweep.replace(i, [BPF_JMP32_A(epilogue_idx - at - 1)]);
				} else {
					epilogue_idx = at;
					sweep.replace(
						i,
						epilogue.map((e) => e.clone()),
					);
				}
			}
			continue;
		}

		if (type === BPF_WRITE && aux.sanitize_stack_spill) {
			sweep.replace(i, [insn.clone(), BPF_ST_NOSPEC()]);
			continue;
		}

		let convert: Convert;
		switch (aux.ptr_type) {
			case PTR_TO_CTX:
				if (!ops.convert_ctx_access) continue;
				convert = ops.convert_ctx_access;
				break;
			case PTR_TO_SOCKET:
			case PTR_TO_SOCK_COMMON:
				convert = bpf_sock_convert_ctx_access;
				break;
			case PTR_TO_TCP_SOCK:
				convert = bpf_tcp_sock_convert_ctx_access;
				break;
			case PTR_TO_XDP_SOCK:
				convert = bpf_xdp_sock_convert_ctx_access;
				break;
			case PTR_TO_BTF_ID:
			case PTR_TO_BTF_ID | PTR_UNTRUSTED:
			case PTR_TO_BTF_ID | MEM_ALLOC | PTR_UNTRUSTED:
				if (type === BPF_READ) {
					const mode = BPF_MODE(insn.code) === BPF_MEM ? BPF_PROBE_MEM : BPF_PROBE_MEMSX;
					insn.code = BPF_LDX | mode | BPF_SIZE(insn.code);
					env.prog.aux.num_exentries++;
				}
				continue;
			case PTR_TO_ARENA:
				if (BPF_MODE(insn.code) === BPF_MEMSX) {
					verbose(env, "sign extending loads from arena are not supported yet\n");
					return -EOPNOTSUPP;
				}
				insn.code = BPF_CLASS(insn.code) | BPF_PROBE_MEM32 | BPF_SIZE(insn.code);
				env.prog.aux.num_exentries++;
				continue;
			default:
				continue;
		}

		const ctx_field_size = aux.ctx_field_size;
		const size = BPF_LDST_BYTES(insn);
		const mode = BPF_MODE(insn.code);

		// a load of part of a field loads the field and masks
		const is_narrower_load = size < ctx_field_size;
		const size_default = bpf_ctx_off_adjust_machine(ctx_field_size);
		const off = insn.off;
		if (is_narrower_load) {
			if (type === BPF_WRITE) {
				verbose(env, "bpf verifier narrow ctx access misconfigured\n");
				return -EINVAL;
			}
			let size_code = BPF_H;
			if (ctx_field_size === 4) size_code = BPF_W;
			else if (ctx_field_size === 8) size_code = BPF_DW;
			insn.off = off & ~(size_default - 1);
			insn.code = BPF_LDX | BPF_MEM | size_code;
		}

		const target_size: Ref<number> = { val: 0 };
		const buf = convert(type, insn, env.prog, target_size);
		if (buf.length === 0 || buf.length >= INSN_BUF_SIZE || (ctx_field_size && !target_size.val)) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		}

		if (is_narrower_load && size < target_size.val) {
			const shift = bpf_ctx_narrow_access_offset(off, size, size_default) * 8;
			if (shift && buf.length + 1 >= INSN_BUF_SIZE) {
				verbose(env, "bpf verifier narrow ctx load misconfigured\n");
				return -EINVAL;
			}
			if (ctx_field_size <= 4) {
				if (shift) buf.push(BPF_ALU32_IMM(BPF_RSH, insn.dst_reg, shift));
				buf.push(BPF_ALU32_IMM(BPF_AND, insn.dst_reg, 2 ** (size * 8) - 1));
			} else {
				if (shift) buf.push(BPF_ALU64_IMM(BPF_RSH, insn.dst_reg, shift));
				buf.push(BPF_ALU32_IMM(BPF_AND, insn.dst_reg, 2 ** (size * 8) - 1));
			}
		}
		if (mode === BPF_MEMSX)
			buf.push(BPF_RAW_INSN(BPF_ALU64 | BPF_MOV | BPF_X, insn.dst_reg, insn.dst_reg, size * 8, 0));
		sweep.replace(i, buf);
	}
	return sweep.apply();
}

/** kernel/bpf/offload.c: bpf_dev_bound_kfunc_id: kfuncs that read metadata of a network device */
function bpf_dev_bound_kfunc_id(kernel: Kernel, btf_id: number): boolean {
	return (
		["bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash", "bpf_xdp_metadata_rx_vlan_tag"] as const
	).some((name) => btf_id_of(kernel, { kind: "func", name }) === btf_id);
}

/** kernel/bpf/offload.c: bpf_dev_bound_kfunc_check */
export function bpf_dev_bound_kfunc_check(env: bpf_verifier_env, func_id: number): number {
	if (!bpf_dev_bound_kfunc_id(env.kernel, func_id)) return 0;
	const log: bpf_verifier_log = env.log;
	if (!env.prog.aux.dev_bound) {
		bpf_log(log, "metadata kfuncs require device-bound program\n");
		return -EINVAL;
	}
	if (env.prog.aux.offload_requested) {
		bpf_log(log, "metadata kfuncs can't be offloaded\n");
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/verifier.c: specialize_kfunc: the address that a call of the kfunc really goes to */
export function specialize_kfunc(
	env: bpf_verifier_env,
	func_id: number,
	offset: number,
	addr: bigint,
): bigint {
	if (offset) return addr;
	if (func_id !== special_kfunc_list(env).bpf_dynptr_from_skb) return addr;
	// asking notes a write, which this is not
	const seen_direct_write = env.seen_direct_write;
	const is_rdonly = !may_access_direct_pkt_data(env, null, BPF_WRITE);
	env.seen_direct_write = seen_direct_write;
	return is_rdonly ? (env.kernel.symbols.addr("bpf_dynptr_from_skb_rdonly") ?? addr) : addr;
}

/** The pointer that instructions carry for the program's struct bpf_prog_aux. */
export function prog_aux_addr(prog: bpf_prog): bigint {
	if (prog.aux.foreign_addr === null && !prog.aux.addr) prog_image(prog);
	return prog.aux.kaddr;
}

/** First of the addresses that struct btf_struct_meta get as pointers; nothing is mapped there. */
const STRUCT_META_BASE = 0xffffeaff00000000n;
const STRUCT_META_STRIDE = 32n;

/** The pointer that instructions carry for a struct btf_struct_meta; NULL has none. */
export function struct_meta_addr(kernel: Kernel, meta: btf_struct_meta | null): bigint {
	if (!meta) return 0n;
	if (meta.addr !== undefined) return meta.addr;
	kernel.bpf.struct_metas ??= new Map();
	const metas = kernel.bpf.struct_metas;
	const addr = STRUCT_META_BASE + BigInt(metas.size) * STRUCT_META_STRIDE;
	meta.addr = addr;
	metas.set(addr, meta);
	return addr;
}

/** The struct btf_struct_meta behind a pointer that a kfunc was passed. */
export function struct_meta_at(kernel: Kernel, addr: bigint): btf_struct_meta | null {
	return kernel.bpf.struct_metas?.get(addr) ?? null;
}

/**
 * kernel/bpf/verifier.c: fixup_kfunc_call: the call's immediate, and arguments that the verifier adds.
 * Returns the instructions that replace the call (none: it stays), or an errno.
 */
export function fixup_kfunc_call(
	env: bpf_verifier_env,
	insn: bpf_insn,
	insn_idx: number,
): bpf_insn[] | number {
	if (!insn.imm) {
		verbose(env, "invalid kernel function call not eliminated in verifier pass\n");
		return -EINVAL;
	}

	const desc = find_kfunc_desc(env.prog, insn.imm, insn.off);
	if (!desc) {
		verbose(
			env,
			`verifier internal error: kernel function descriptor not found for func_id ${insn.imm >>> 0}\n`,
		);
		return -EFAULT;
	}

	const { kernel } = env;
	if (!bpf_jit_supports_far_kfunc_call(kernel)) insn.imm = BPF_CALL_IMM(kernel, desc.addr);
	if (insn.off) return [];
	const special = special_kfunc_list(env);
	const aux = env.insn_aux_data[insn_idx]!;
	const meta = aux.kptr_struct_meta;
	const id = desc.func_id;
	const meta_expected = (expected: boolean): number => {
		verbose(
			env,
			`verifier internal error: ${expected ? "" : "NULL "}kptr_struct_meta expected at insn_idx ${insn_idx}\n`,
		);
		return -EFAULT;
	};

	if (id === special.bpf_obj_new_impl || id === special.bpf_percpu_obj_new_impl) {
		if (id === special.bpf_percpu_obj_new_impl && meta) return meta_expected(false);
		return [
			BPF_MOV64_IMM(BPF_REG_1, Number(BigInt.asIntN(32, aux.obj_new_size))),
			...BPF_LD_IMM64(BPF_REG_2, struct_meta_addr(kernel, meta)),
			insn.clone(),
		];
	}
	if (
		id === special.bpf_obj_drop_impl ||
		id === special.bpf_percpu_obj_drop_impl ||
		id === special.bpf_refcount_acquire_impl
	) {
		if (id === special.bpf_percpu_obj_drop_impl && meta) return meta_expected(false);
		if (id === special.bpf_refcount_acquire_impl && !meta) return meta_expected(true);
		return [...BPF_LD_IMM64(BPF_REG_2, struct_meta_addr(kernel, meta)), insn.clone()];
	}
	if (
		id === special.bpf_list_push_back_impl ||
		id === special.bpf_list_push_front_impl ||
		id === special.bpf_rbtree_add_impl
	) {
		const rbtree = id === special.bpf_rbtree_add_impl;
		if (!meta) return meta_expected(true);
		// rbtree_add has a `less` before them
		return [
			...BPF_LD_IMM64(rbtree ? BPF_REG_4 : BPF_REG_3, struct_meta_addr(kernel, meta)),
			BPF_MOV64_IMM(rbtree ? BPF_REG_5 : BPF_REG_4, Number(BigInt.asIntN(32, aux.insert_off))),
			insn.clone(),
		];
	}
	if (id === special.bpf_cast_to_kern_ctx || id === special.bpf_rdonly_cast)
		return [BPF_MOV64_REG(BPF_REG_0, BPF_REG_1)];
	if (is_bpf_wq_set_callback_impl_kfunc(env, id))
		return [...BPF_LD_IMM64(BPF_REG_4, prog_aux_addr(env.prog)), insn.clone()];
	return [];
}

/** kernel/bpf/verifier.c: inline_bpf_loop: the program, or null */
function inline_bpf_loop(
	env: bpf_verifier_env,
	position: number,
	stack_base: number,
	callback_subprogno: number,
	total_cnt: Ref<number>,
): bpf_prog | null {
	const r6_offset = stack_base + 0 * BPF_REG_SIZE;
	const r7_offset = stack_base + 1 * BPF_REG_SIZE;
	const r8_offset = stack_base + 2 * BPF_REG_SIZE;
	const reg_loop_max = BPF_REG_6;
	const reg_loop_cnt = BPF_REG_7;
	const reg_loop_ctx = BPF_REG_8;
	const buf = [
		// too many rounds: an error, and over
		BPF_JMP_IMM(BPF_JLE, BPF_REG_1, BPF_MAX_LOOPS, 2),
		BPF_MOV32_IMM(BPF_REG_0, -E2BIG),
		BPF_JMP_IMM(BPF_JA, 0, 0, 16),
		// R6 to R8 become the loop's variables
		BPF_STX_MEM(BPF_DW, BPF_REG_10, BPF_REG_6, r6_offset),
		BPF_STX_MEM(BPF_DW, BPF_REG_10, BPF_REG_7, r7_offset),
		BPF_STX_MEM(BPF_DW, BPF_REG_10, BPF_REG_8, r8_offset),
		BPF_MOV64_REG(reg_loop_max, BPF_REG_1),
		BPF_MOV32_IMM(reg_loop_cnt, 0),
		BPF_MOV64_REG(reg_loop_ctx, BPF_REG_3),
		// head of the loop
		BPF_JMP_REG(BPF_JGE, reg_loop_cnt, reg_loop_max, 5),
		// the callback; where it is follows below
		BPF_MOV64_REG(BPF_REG_1, reg_loop_cnt),
		BPF_MOV64_REG(BPF_REG_2, reg_loop_ctx),
		BPF_CALL_REL(0),
		BPF_ALU64_IMM(BPF_ADD, reg_loop_cnt, 1),
		BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, -6),
		// done: the number of rounds
		BPF_MOV64_REG(BPF_REG_0, reg_loop_cnt),
		BPF_LDX_MEM(BPF_DW, BPF_REG_6, BPF_REG_10, r6_offset),
		BPF_LDX_MEM(BPF_DW, BPF_REG_7, BPF_REG_10, r7_offset),
		BPF_LDX_MEM(BPF_DW, BPF_REG_8, BPF_REG_10, r8_offset),
	];
	total_cnt.val = buf.length;
	const new_prog = bpf_patch_insn_data(env, position, buf);
	if (!new_prog) return null;

	const callback_start = env.subprog_info[callback_subprogno]!.start;
	const call_insn_offset = position + 12;
	new_prog.insnsi[call_insn_offset]!.imm = callback_start - call_insn_offset - 1;
	return new_prog;
}

/** kernel/bpf/verifier.c: is_bpf_loop_call */
function is_bpf_loop_call(insn: bpf_insn): boolean {
	return insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg === 0 && insn.imm === BPF_FUNC_loop;
}

const round_up8 = (v: number): number => (v + 7) & ~7;

/** kernel/bpf/verifier.c: optimize_bpf_loop: calls of bpf_loop() with one known callback become loops. */
export function optimize_bpf_loop(env: bpf_verifier_env): number {
	const subprogs = env.subprog_info;
	const insn_cnt = env.prog.len;
	let cur_subprog = 0;
	let delta = 0;
	let stack_depth = subprogs[0]!.stack_depth;
	let stack_depth_roundup = round_up8(stack_depth) - stack_depth;
	let stack_depth_extra = 0;

	for (let i = 0; i < insn_cnt; i++) {
		const insn = env.prog.insnsi[i + delta]!;
		if (is_bpf_loop_call(insn)) {
			const inline_state = env.insn_aux_data[i + delta]!.loop_inline_state;
			if (inline_state.fit_for_inline) {
				stack_depth_extra = BPF_REG_SIZE * 3 + stack_depth_roundup;
				const cnt: Ref<number> = { val: 0 };
				const new_prog = inline_bpf_loop(
					env,
					i + delta,
					-(stack_depth + stack_depth_extra),
					inline_state.callback_subprogno,
					cnt,
				);
				if (!new_prog) return -ENOMEM;
				delta += cnt.val - 1;
				env.prog = new_prog;
			}
		}
		if (subprogs[cur_subprog + 1]!.start === i + delta + 1) {
			subprogs[cur_subprog]!.stack_depth += stack_depth_extra;
			cur_subprog++;
			stack_depth = subprogs[cur_subprog]!.stack_depth;
			stack_depth_roundup = round_up8(stack_depth) - stack_depth;
			stack_depth_extra = 0;
		}
	}

	env.prog.aux.stack_depth = env.subprog_info[0]!.stack_depth;
	return 0;
}

/** kernel/bpf/verifier.c: remove_fastcall_spills_fills: spills around inlined calls become no-ops. */
export function remove_fastcall_spills_fills(env: bpf_verifier_env): number {
	const insns = env.prog.insnsi;
	let s = 0;
	let modified = false;
	for (let i = 0; i < insns.length; i++) {
		const spills_num = env.insn_aux_data[i]!.fastcall_spills_num;
		if (spills_num > 0) {
			for (let j = 1; j <= spills_num; j++) {
				insns[i - j] = BPF_JMP_IMM(BPF_JA, 0, 0, 0);
				insns[i + j] = BPF_JMP_IMM(BPF_JA, 0, 0, 0);
			}
			modified = true;
		}
		if (env.subprog_info[s + 1]!.start === i + 1) {
			const subprog = env.subprog_info[s]!;
			if (modified && !subprog.keep_fastcall_stack) subprog.stack_depth = -subprog.fastcall_stack_off;
			s++;
			modified = false;
		}
	}
	return 0;
}
