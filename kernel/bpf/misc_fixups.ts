// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: do_misc_fixups(): one pass over the verified program that makes divisions safe,
 * writes out packet loads, masks pointer arithmetic against speculation, counts may_goto, and turns the
 * numbers of helpers into addresses or into instructions that do the same.
 */
import { BPF_MAX_LOOPS, BPF_POKE_REASON_TAIL_CALL } from "../../include/linux/bpf.ts";
import {
	BPF_ALU_IMMEDIATE,
	BPF_ALU_NEG_VALUE,
	BPF_ALU_NON_POINTER,
	BPF_ALU_SANITIZE,
	BPF_ALU_SANITIZE_SRC,
	INSN_BUF_SIZE,
} from "../../include/linux/bpf_verifier.ts";
import {
	BPF_PROBE_MEM,
	BPF_PROBE_MEMSX,
	BPF_REG_AX,
	BPF_REG_FP,
	BPF_TAIL_CALL,
	MAX_BPF_STACK,
} from "../../include/linux/filter.ts";
import { EFAULT, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import {
	BPF_ABS,
	BPF_ADD,
	BPF_ALU,
	BPF_AND,
	BPF_DIV,
	BPF_IND,
	BPF_JA,
	BPF_JEQ,
	BPF_JGE,
	BPF_JGT,
	BPF_JMP,
	BPF_K,
	BPF_LD,
	BPF_LDX,
	BPF_LSH,
	BPF_MOD,
	BPF_MUL,
	BPF_NEG,
	BPF_OR,
	BPF_RSH,
	BPF_SUB,
	BPF_W,
	BPF_X,
	BPF_XOR,
} from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn, bpf_jit_poke_descriptor, bpf_map } from "./bpf_types.ts";
import { verifier_inlines_helper_call } from "./cfg.ts";
import { bpf_jit_add_poke_descriptor } from "./core.ts";
import { func_id_name } from "./disasm.ts";
import { fixup_kfunc_call, prog_aux_addr } from "./fixups.ts";
import { allow_tail_call_in_subprogs } from "./func_proto.ts";
import {
	BPF_ALU32_IMM,
	BPF_ALU32_REG,
	BPF_ALU64_IMM,
	BPF_ALU64_REG,
	BPF_ATOMIC_OP,
	BPF_CALL_IMM,
	BPF_CLASS,
	BPF_EMIT_CALL,
	BPF_EXIT_INSN,
	BPF_JMP_A,
	BPF_JMP_IMM,
	BPF_JMP32_REG,
	BPF_LD_IMM64,
	BPF_LDX_MEM,
	BPF_MODE,
	BPF_MOV32_IMM,
	BPF_MOV32_REG,
	BPF_MOV64_IMM,
	BPF_MOV64_PERCPU_REG,
	BPF_MOV64_REG,
	BPF_OP,
	BPF_RAW_INSN,
	BPF_SRC,
	BPF_ST_MEM,
	BPF_STX_MEM,
	MissingSymbol,
} from "./insn_macros.ts";
import { bpf_arch_uaddress_limit } from "./jit.ts";
import { bpf_jit_inlines_helper_call, bpf_jit_supports_ptr_xchg } from "./jit_caps.ts";
import { koffsetof } from "./layout.ts";
import { verbose } from "./log.ts";
import { adjust_jmp_off, bpf_patch_insn_data, PatchSweep } from "./patch.ts";
import {
	bpf_map_key_immediate,
	bpf_map_key_poisoned,
	bpf_map_ptr_poisoned,
	bpf_map_ptr_unpriv,
	in_sleepable,
	is_may_goto_insn,
	is_storage_get_function,
	mark_subprog_exc_cb,
	resolve_prog_type,
} from "./predicates.ts";
import { sort_kfunc_descs_by_imm_off } from "./subprogs.ts";
import { bpf_subprog_info, type bpf_verifier_env } from "./verifier_types.ts";

const { BPF_ALU64, BPF_REG_0, BPF_REG_1, BPF_REG_2, BPF_REG_3, BPF_REG_5, BPF_REG_10, BPF_DW } = U;

const MAX_PACKET_OFF = 0xffff;
/** include/linux/gfp_types.h */
const GFP_ATOMIC = 0x820;
const GFP_KERNEL = 0xcc0;
/** sizeof(struct perf_branch_entry) */
const BR_ENTRY_SIZE = 24;

/** kernel/bpf/verifier.c: add_hidden_subprog: `patch` begins with a copy of the program's last instruction. */
function add_hidden_subprog(env: bpf_verifier_env, patch: readonly bpf_insn[]): number {
	const info = env.subprog_info;
	const cnt = env.subprog_cnt;
	if (env.hidden_subprog_cnt) {
		verbose(env, "verifier internal error: only one hidden subprog supported\n");
		return -EFAULT;
	}
	const prog = bpf_patch_insn_data(env, env.prog.len - 1, patch);
	if (!prog) return -ENOMEM;
	info[cnt + 1] ??= new bpf_subprog_info();
	info[cnt + 1]!.start = info[cnt]!.start;
	info[cnt]!.start = prog.len - patch.length + 1;
	env.subprog_cnt++;
	env.hidden_subprog_cnt++;
	return 0;
}

/** Divisions: no exception for a divisor of zero, nor for the smallest number by -1. */
function safe_division(insn: bpf_insn): bpf_insn[] {
	const is64 = BPF_CLASS(insn.code) === BPF_ALU64;
	const isdiv = BPF_OP(insn.code) === BPF_DIV;
	const is_signed = insn.off === 1;
	const jmp = is64 ? BPF_JMP : U.BPF_JMP32;
	const alu = is64 ? BPF_ALU64 : BPF_ALU;
	const { src_reg: src, dst_reg: dst } = insn;

	if (is_signed) {
		// AX = src + 1: 0 and 1 are the two divisors to look out for
		const head = (over: number, second: number, on: number): bpf_insn[] => [
			BPF_MOV64_REG(BPF_REG_AX, src),
			BPF_RAW_INSN(alu | BPF_ADD | BPF_K, BPF_REG_AX, 0, 0, 1),
			BPF_RAW_INSN(jmp | BPF_JGT | BPF_K, BPF_REG_AX, 0, over, 1),
			BPF_RAW_INSN(jmp | BPF_JEQ | BPF_K, BPF_REG_AX, 0, second, on),
		];
		if (isdiv)
			return [
				...head(4, 1, 0),
				BPF_RAW_INSN(alu | U.BPF_MOV | BPF_K, dst, 0, 0, 0),
				BPF_RAW_INSN(alu | BPF_NEG | BPF_K, dst, 0, 0, 0),
				BPF_JMP_IMM(BPF_JA, 0, 0, 1),
				insn.clone(),
			];
		const smod = [
			...head(3, 3 + (is64 ? 0 : 1), 1),
			BPF_MOV32_IMM(dst, 0),
			BPF_JMP_IMM(BPF_JA, 0, 0, 1),
			insn.clone(),
		];
		if (!is64) smod.push(BPF_JMP_IMM(BPF_JA, 0, 0, 1), BPF_MOV32_REG(dst, dst));
		return smod;
	}
	if (isdiv)
		return [
			BPF_RAW_INSN(jmp | U.BPF_JNE | BPF_K, src, 0, 2, 0),
			BPF_ALU32_REG(BPF_XOR, dst, dst),
			BPF_JMP_IMM(BPF_JA, 0, 0, 1),
			insn.clone(),
		];
	const mod = [BPF_RAW_INSN(jmp | BPF_JEQ | BPF_K, src, 0, 1 + (is64 ? 0 : 1), 0), insn.clone()];
	if (!is64) mod.push(BPF_JMP_IMM(BPF_JA, 0, 0, 1), BPF_MOV32_REG(dst, dst));
	return mod;
}

/** Pointer arithmetic that is masked when the offset would leave its object under speculation. */
function masked_arithmetic(insn: bpf_insn, alu_state: number, alu_limit: number): bpf_insn[] {
	const code_add = BPF_ALU64 | BPF_ADD | BPF_X;
	const code_sub = BPF_ALU64 | BPF_SUB | BPF_X;
	const isneg = (alu_state & BPF_ALU_NEG_VALUE) !== 0;
	const issrc = (alu_state & BPF_ALU_SANITIZE) === BPF_ALU_SANITIZE_SRC;
	const isimm = (alu_state & BPF_ALU_IMMEDIATE) !== 0;
	const off_reg = issrc ? insn.src_reg : insn.dst_reg;
	const patch: bpf_insn[] = [];
	if (isimm) {
		patch.push(BPF_MOV32_IMM(BPF_REG_AX, alu_limit));
	} else {
		if (isneg) patch.push(BPF_ALU64_IMM(BPF_MUL, off_reg, -1));
		patch.push(
			BPF_MOV32_IMM(BPF_REG_AX, alu_limit),
			BPF_ALU64_REG(BPF_SUB, BPF_REG_AX, off_reg),
			BPF_ALU64_REG(BPF_OR, BPF_REG_AX, off_reg),
			BPF_ALU64_IMM(BPF_NEG, BPF_REG_AX, 0),
			BPF_ALU64_IMM(U.BPF_ARSH, BPF_REG_AX, 63),
			BPF_ALU64_REG(BPF_AND, BPF_REG_AX, off_reg),
		);
	}
	if (!issrc) patch.push(BPF_MOV64_REG(insn.dst_reg, insn.src_reg));
	insn.src_reg = BPF_REG_AX;
	if (isneg) insn.code = insn.code === code_add ? code_sub : code_add;
	patch.push(insn.clone());
	if (issrc && isneg && !isimm) patch.push(BPF_ALU64_IMM(BPF_MUL, off_reg, -1));
	return patch;
}

/** Helpers of maps that are called without going through the generic helper: which operation of the map they are. */
const MAP_OPS_HELPERS: ReadonlyMap<number, string> = new Map([
	[U.BPF_FUNC_map_lookup_elem, "map_lookup_elem"],
	[U.BPF_FUNC_map_update_elem, "map_update_elem"],
	[U.BPF_FUNC_map_delete_elem, "map_delete_elem"],
	[U.BPF_FUNC_map_push_elem, "map_push_elem"],
	[U.BPF_FUNC_map_pop_elem, "map_pop_elem"],
	[U.BPF_FUNC_map_peek_elem, "map_peek_elem"],
	[U.BPF_FUNC_redirect_map, "map_redirect"],
	[U.BPF_FUNC_for_each_map_elem, "map_for_each_callback"],
	[U.BPF_FUNC_map_lookup_percpu_elem, "map_lookup_percpu_elem"],
]);

/** Address of a kernel symbol that instructions embed. */
function symbol(env: bpf_verifier_env, name: string): bigint {
	const addr = env.kernel.symbols.addr(name);
	if (addr === undefined) throw new MissingSymbol(name);
	return addr;
}

/** kernel/bpf/verifier.c: do_misc_fixups */
export function do_misc_fixups(env: bpf_verifier_env): number {
	try {
		return __do_misc_fixups(env);
	} catch (e) {
		if (!(e instanceof MissingSymbol)) throw e;
		verbose(env, `not ported: ${e.symbol}\n`);
		return -EOPNOTSUPP;
	}
}

function __do_misc_fixups(env: bpf_verifier_env): number {
	const subprogs = env.subprog_info;
	const insn_cnt = env.prog.len;

	if (env.seen_exception && !env.exception_callback_subprog) {
		const ret = add_hidden_subprog(env, [
			env.prog.insnsi[insn_cnt - 1]!,
			BPF_MOV64_REG(BPF_REG_0, BPF_REG_1),
			BPF_EXIT_INSN(),
		]);
		if (ret < 0) return ret;
		env.exception_callback_subprog = env.subprog_cnt - 1;
		mark_subprog_exc_cb(env, env.exception_callback_subprog);
	}

	const { prog } = env;
	const insns = prog.insnsi;
	const sweep = new PatchSweep(env);
	let cur_subprog = 0;
	let stack_depth = subprogs[0]!.stack_depth;
	const stack = { depth: stack_depth, extra: 0 };
	for (let i = 0; i < insn_cnt; i++) {
		const ret = fixup_insn(env, insns[i]!, i, sweep, stack);
		if (ret < 0) return ret;
		if (subprogs[cur_subprog + 1]!.start === i + 1) {
			const info = subprogs[cur_subprog]!;
			info.stack_depth += stack.extra;
			info.stack_extra = stack.extra;

			stack_depth = info.stack_depth;
			if (stack_depth > MAX_BPF_STACK && !prog.jit_requested) {
				verbose(env, `stack size ${stack_depth}(extra ${stack.extra}) is too large\n`);
				return -EINVAL;
			}
			cur_subprog++;
			stack.depth = subprogs[cur_subprog]!.stack_depth;
			stack.extra = 0;
		}
	}
	const err = sweep.apply();
	if (err) return err;

	prog.aux.stack_depth = subprogs[0]!.stack_depth;
	for (let i = 0; i < env.subprog_cnt; i++) {
		const subprog_start = subprogs[i]!.start;
		const stack_slots = Math.floor(subprogs[i]!.stack_extra / 8);
		if (!stack_slots) continue;
		if (stack_slots > 1) {
			verbose(env, "verifier bug: stack_slots supports may_goto only\n");
			return -EFAULT;
		}
		// the counter of may_goto starts full; jumps to the first instruction go behind its setting
		const buf = [
			BPF_ST_MEM(BPF_DW, BPF_REG_FP, -subprogs[i]!.stack_depth, BPF_MAX_LOOPS),
			prog.insnsi[subprog_start]!,
		];
		if (!bpf_patch_insn_data(env, subprog_start, buf)) return -ENOMEM;
		adjust_jmp_off(prog, subprog_start, 1);
	}

	// the table of direct tail calls is complete: the prog arrays may know of it
	for (const poke of prog.aux.poke_tab) {
		const map = poke.tail_call.map;
		if (!map.ops.map_poke_track || !map.ops.map_poke_untrack) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		}
		const ret = map.ops.map_poke_track(map, prog.aux);
		if (ret < 0) {
			verbose(env, "tracking tail call prog failed\n");
			return ret;
		}
	}

	sort_kfunc_descs_by_imm_off(prog);
	return 0;
}

/** The body of do_misc_fixups()'s loop, for instruction i (its index before any of the pass's patches). */
function fixup_insn(
	env: bpf_verifier_env,
	insn: bpf_insn,
	i: number,
	sweep: PatchSweep,
	stack: { readonly depth: number; extra: number },
): number {
	const { prog, kernel } = env;
	const aux = env.insn_aux_data[i]!;

	if (insn.code === (BPF_ALU64 | U.BPF_MOV | BPF_X) && insn.imm) {
		if (
			(insn.off === U.BPF_ADDR_SPACE_CAST && insn.imm === 1) ||
			prog.aux.arena!.map_flags & U.BPF_F_NO_USER_CONV
		) {
			// a plain 32-bit move clears the upper half; the cast the other way is the JIT's
			insn.code = BPF_ALU | U.BPF_MOV | BPF_X;
			insn.off = 0;
			insn.imm = 0;
		}
		return 0;
	}

	if (aux.needs_zext) insn.code = BPF_ALU | BPF_OP(insn.code) | BPF_SRC(insn.code);

	const cls = BPF_CLASS(insn.code);
	const op = BPF_OP(insn.code);
	const is_alu = cls === BPF_ALU64 || cls === BPF_ALU;
	if (is_alu && (op === BPF_MOD || op === BPF_DIV)) {
		if (BPF_SRC(insn.code) === BPF_X) {
			sweep.replace(i, safe_division(insn));
			return 0;
		}
		if (insn.off === 1 && insn.imm === -1) {
			const is64 = cls === BPF_ALU64;
			sweep.replace(i, [
				op === BPF_DIV
					? BPF_RAW_INSN((is64 ? BPF_ALU64 : BPF_ALU) | BPF_NEG | BPF_K, insn.dst_reg, 0, 0, 0)
					: BPF_MOV32_IMM(insn.dst_reg, 0),
			]);
			return 0;
		}
	}

	// user addresses read as zero where the JIT does not see to that itself
	if (cls === BPF_LDX && (BPF_MODE(insn.code) === BPF_PROBE_MEM || BPF_MODE(insn.code) === BPF_PROBE_MEMSX)) {
		const limit = bpf_arch_uaddress_limit(kernel);
		if (!limit) return 0;
		const patch = [BPF_MOV64_REG(BPF_REG_AX, insn.src_reg)];
		if (insn.off) patch.push(BPF_ALU64_IMM(BPF_ADD, BPF_REG_AX, insn.off));
		patch.push(
			BPF_ALU64_IMM(BPF_RSH, BPF_REG_AX, 32),
			BPF_JMP_IMM(U.BPF_JLE, BPF_REG_AX, Number(limit >> 32n), 2),
			insn.clone(),
			BPF_JMP_IMM(BPF_JA, 0, 0, 1),
			BPF_MOV64_IMM(insn.dst_reg, 0),
		);
		sweep.replace(i, patch);
		return 0;
	}

	if (cls === BPF_LD && (BPF_MODE(insn.code) === BPF_ABS || BPF_MODE(insn.code) === BPF_IND)) {
		const buf = env.ops.gen_ld_abs?.(insn, prog) ?? [];
		if (buf.length === 0 || buf.length >= INSN_BUF_SIZE) {
			verbose(env, "bpf verifier is misconfigured\n");
			return -EINVAL;
		}
		sweep.replace(i, buf);
		return 0;
	}

	if (insn.code === (BPF_ALU64 | BPF_ADD | BPF_X) || insn.code === (BPF_ALU64 | BPF_SUB | BPF_X)) {
		if (!aux.alu_state || aux.alu_state === BPF_ALU_NON_POINTER) return 0;
		sweep.replace(i, masked_arithmetic(insn, aux.alu_state, aux.alu_limit));
		return 0;
	}

	if (is_may_goto_insn(insn)) {
		const stack_off = -stack.depth - 8;
		stack.extra = 8;
		const off = sweep.dist(i, insn.off);
		sweep.replace(i, [
			BPF_LDX_MEM(BPF_DW, BPF_REG_AX, BPF_REG_10, stack_off),
			BPF_JMP_IMM(BPF_JEQ, BPF_REG_AX, 0, off >= 0 ? off + 2 : off - 1),
			BPF_ALU64_IMM(BPF_SUB, BPF_REG_AX, 1),
			BPF_STX_MEM(BPF_DW, BPF_REG_10, BPF_REG_AX, stack_off),
		]);
		return 0;
	}

	if (insn.code !== (BPF_JMP | U.BPF_CALL)) return 0;
	if (insn.src_reg === U.BPF_PSEUDO_CALL) return 0;
	if (insn.src_reg === U.BPF_PSEUDO_KFUNC_CALL) {
		const buf = fixup_kfunc_call(env, insn, i);
		if (typeof buf === "number") return buf;
		if (buf.length) sweep.replace(i, buf);
		return 0;
	}
	if (bpf_jit_inlines_helper_call(kernel, insn.imm)) return 0;
	return fixup_helper_call(env, insn, i, sweep);
}

/** The part of fixup_insn() for calls of helpers. */
function fixup_helper_call(env: bpf_verifier_env, insn: bpf_insn, i: number, sweep: PatchSweep): number {
	const { prog, kernel } = env;
	const aux = env.insn_aux_data[i]!;
	const tracing = resolve_prog_type(prog) === U.BPF_PROG_TYPE_TRACING;
	const eatype = prog.expected_attach_type;

	if (insn.imm === U.BPF_FUNC_get_route_realm) prog.dst_needed = true;
	if (insn.imm === U.BPF_FUNC_override_return) prog.kprobe_override = true;
	if (insn.imm === U.BPF_FUNC_tail_call) return fixup_tail_call(env, insn, i, sweep);

	if (insn.imm === U.BPF_FUNC_timer_set_callback) {
		insn = sweep.replace(i, [...BPF_LD_IMM64(BPF_REG_3, prog_aux_addr(prog)), insn.clone()]);
		return patch_call_imm(env, insn);
	}

	if (is_storage_get_function(insn.imm)) {
		const atomic = !in_sleepable(env) || aux.storage_get_func_atomic;
		insn = sweep.replace(i, [BPF_MOV64_IMM(BPF_REG_5, atomic ? GFP_ATOMIC : GFP_KERNEL), insn.clone()]);
		return patch_call_imm(env, insn);
	}

	// a pointer to per-CPU memory of the allocator is one to the per-CPU pointer
	if (aux.call_with_percpu_alloc_ptr) {
		insn = sweep.replace(i, [BPF_LDX_MEM(BPF_DW, BPF_REG_1, BPF_REG_1, 0), insn.clone()]);
		return patch_call_imm(env, insn);
	}

	const map_op = MAP_OPS_HELPERS.get(insn.imm);
	if (prog.jit_requested && map_op !== undefined) {
		if (bpf_map_ptr_poisoned(aux)) return patch_call_imm(env, insn);
		const map = aux.map_ptr_state.map_ptr!;
		if (insn.imm === U.BPF_FUNC_map_lookup_elem && map.ops.map_gen_lookup) {
			const buf = map.ops.map_gen_lookup(map);
			if (buf !== -EOPNOTSUPP) {
				if (typeof buf === "number" || buf.length === 0 || buf.length >= INSN_BUF_SIZE) {
					verbose(env, "bpf verifier is misconfigured\n");
					return -EINVAL;
				}
				sweep.replace(i, buf);
				return 0;
			}
		}
		const func = map.ops.symbols[map_op];
		if (func === undefined) throw new MissingSymbol(`${map_op} of map type ${map.map_type}`);
		insn.imm = BPF_CALL_IMM(kernel, func);
		return 0;
	}

	if (prog.jit_requested && insn.imm === U.BPF_FUNC_jiffies64) {
		sweep.replace(i, [
			...BPF_LD_IMM64(BPF_REG_0, symbol(env, "jiffies")),
			BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_0, 0),
		]);
		return 0;
	}

	if (insn.imm === U.BPF_FUNC_get_smp_processor_id && verifier_inlines_helper_call(env, insn.imm)) {
		const cpu_number = symbol(env, "pcpu_hot") + BigInt(koffsetof(kernel, "pcpu_hot", "cpu_number"));
		sweep.replace(i, [
			BPF_MOV32_IMM(BPF_REG_0, Number(BigInt.asIntN(32, cpu_number))),
			BPF_MOV64_PERCPU_REG(BPF_REG_0, BPF_REG_0),
			BPF_LDX_MEM(BPF_W, BPF_REG_0, BPF_REG_0, 0),
		]);
		return 0;
	}

	if (tracing && insn.imm === U.BPF_FUNC_get_func_arg) {
		// the number of arguments is at ctx - 8
		sweep.replace(i, [
			BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, -8),
			BPF_JMP32_REG(BPF_JGE, BPF_REG_2, BPF_REG_0, 6),
			BPF_ALU64_IMM(BPF_LSH, BPF_REG_2, 3),
			BPF_ALU64_REG(BPF_ADD, BPF_REG_2, BPF_REG_1),
			BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_2, 0),
			BPF_STX_MEM(BPF_DW, BPF_REG_3, BPF_REG_0, 0),
			BPF_MOV64_IMM(BPF_REG_0, 0),
			BPF_JMP_A(1),
			BPF_MOV64_IMM(BPF_REG_0, -EINVAL),
		]);
		return 0;
	}

	if (tracing && insn.imm === U.BPF_FUNC_get_func_ret) {
		if (eatype === U.BPF_TRACE_FEXIT || eatype === U.BPF_MODIFY_RETURN)
			sweep.replace(i, [
				BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, -8),
				BPF_ALU64_IMM(BPF_LSH, BPF_REG_0, 3),
				BPF_ALU64_REG(BPF_ADD, BPF_REG_0, BPF_REG_1),
				BPF_LDX_MEM(BPF_DW, BPF_REG_3, BPF_REG_0, 0),
				BPF_STX_MEM(BPF_DW, BPF_REG_2, BPF_REG_3, 0),
				BPF_MOV64_IMM(BPF_REG_0, 0),
			]);
		else sweep.replace(i, [BPF_MOV64_IMM(BPF_REG_0, -EOPNOTSUPP)]);
		return 0;
	}

	if (tracing && insn.imm === U.BPF_FUNC_get_func_arg_cnt) {
		sweep.replace(i, [BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, -8)]);
		return 0;
	}

	if (tracing && insn.imm === U.BPF_FUNC_get_func_ip) {
		// the address of the function is at ctx - 16
		sweep.replace(i, [BPF_LDX_MEM(BPF_DW, BPF_REG_0, BPF_REG_1, -16)]);
		return 0;
	}

	if (prog.jit_requested && insn.imm === U.BPF_FUNC_get_branch_snapshot) {
		sweep.replace(i, [
			// flags must be 0
			BPF_JMP_IMM(U.BPF_JNE, BPF_REG_3, 0, 7),
			// bytes to entries: times 0xaaaaaaab, shifted right by 36, is a division by 24
			BPF_MOV32_IMM(BPF_REG_0, 0xaaaaaaab),
			BPF_ALU64_REG(BPF_MUL, BPF_REG_2, BPF_REG_0),
			BPF_ALU64_IMM(BPF_RSH, BPF_REG_2, 36),
			BPF_EMIT_CALL(kernel, "__static_call_return0"),
			BPF_JMP_IMM(BPF_JEQ, BPF_REG_0, 0, 4),
			BPF_ALU32_IMM(BPF_MUL, BPF_REG_0, BR_ENTRY_SIZE),
			BPF_JMP_A(3),
			BPF_MOV64_IMM(BPF_REG_0, -EINVAL),
			BPF_JMP_A(1),
			BPF_MOV64_IMM(BPF_REG_0, -ENOENT),
		]);
		return 0;
	}

	if (prog.jit_requested && insn.imm === U.BPF_FUNC_kptr_xchg && bpf_jit_supports_ptr_xchg(kernel)) {
		sweep.replace(i, [
			BPF_MOV64_REG(BPF_REG_0, BPF_REG_2),
			BPF_ATOMIC_OP(BPF_DW, U.BPF_XCHG, BPF_REG_1, BPF_REG_0, 0),
		]);
		return 0;
	}

	return patch_call_imm(env, insn);
}

/** do_misc_fixups() at "patch_call_imm": the helper's number becomes its address. */
function patch_call_imm(env: bpf_verifier_env, insn: bpf_insn): number {
	const fn = env.ops.get_func_proto?.(insn.imm, env.prog);
	if (!fn?.func) {
		verbose(env, `kernel subsystem misconfigured func ${func_id_name(insn.imm)}#${insn.imm}\n`);
		return -EFAULT;
	}
	insn.imm = BPF_CALL_IMM(env.kernel, fn.func);
	return 0;
}

/** bpf_tail_call(): its own opcode; a direct jump where map and index are known, else bounds checks. */
function fixup_tail_call(env: bpf_verifier_env, insn: bpf_insn, i: number, sweep: PatchSweep): number {
	const { prog } = env;
	const aux = env.insn_aux_data[i]!;
	// what is tail called may be anything
	prog.cb_access = true;
	if (!allow_tail_call_in_subprogs(env)) prog.aux.stack_depth = MAX_BPF_STACK;
	prog.aux.max_pkt_offset = MAX_PACKET_OFF;

	insn.imm = 0;
	insn.code = BPF_JMP | BPF_TAIL_CALL;

	if (
		env.bpf_capable &&
		!prog.blinding_requested &&
		prog.jit_requested &&
		!bpf_map_key_poisoned(aux) &&
		!bpf_map_ptr_poisoned(aux) &&
		!bpf_map_ptr_unpriv(aux)
	) {
		const desc: bpf_jit_poke_descriptor = {
			tailcall_target: 0n,
			tailcall_bypass: 0n,
			bypass_addr: 0n,
			aux: null,
			tail_call: {
				map: aux.map_ptr_state.map_ptr!,
				key: Number(BigInt.asUintN(32, bpf_map_key_immediate(aux))),
			},
			tailcall_target_stable: false,
			adj_off: 0,
			reason: BPF_POKE_REASON_TAIL_CALL,
			insn_idx: i,
		};
		const ret = bpf_jit_add_poke_descriptor(prog, desc);
		if (ret < 0) {
			verbose(env, "adding tail call poke descriptor failed\n");
			return ret;
		}
		insn.imm = ret + 1;
		return 0;
	}

	if (!bpf_map_ptr_unpriv(aux)) return 0;

	// no speculation past the end of the array
	if (bpf_map_ptr_poisoned(aux)) {
		verbose(env, "tail_call abusing map_ptr\n");
		return -EINVAL;
	}
	const map = aux.map_ptr_state.map_ptr! as bpf_map & { index_mask: number };
	sweep.replace(i, [
		BPF_JMP_IMM(BPF_JGE, BPF_REG_3, map.max_entries, 2),
		BPF_ALU32_IMM(BPF_AND, BPF_REG_3, map.index_mask),
		insn.clone(),
	]);
	return 0;
}
