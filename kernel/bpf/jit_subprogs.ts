// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: programs with subprograms: each is compiled on its own, and once all addresses
 * are known, once more; or calls are made ready for the interpreter.
 */
import {
	BPF_PROBE_ATOMIC,
	BPF_PROBE_MEM,
	BPF_PROBE_MEM32,
	BPF_PROBE_MEMSX,
} from "../../include/linux/filter.ts";
import { EFAULT, EINVAL, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_LDX, BPF_ST, BPF_STX } from "../../include/uapi/linux/bpf_common.ts";
import type { bpf_insn, bpf_prog } from "./bpf_types.ts";
import {
	bpf_patch_call_args,
	bpf_prog_alloc,
	bpf_prog_alloc_jited_linfo,
	bpf_prog_calc_tag,
	bpf_prog_has_kfunc_call,
	bpf_prog_jit_attempt_done,
	bpf_prog_kallsyms_add,
} from "./core.ts";
import { BPF_CALL_IMM, BPF_CLASS, BPF_MODE, bpf_pseudo_func } from "./insn_macros.ts";
import { bpf_int_jit_compile, bpf_jit_free, jit_placeholder_addr } from "./jit.ts";
import { verbose } from "./log.ts";
import { bpf_pseudo_call } from "./predicates.ts";
import { get_callee_stack_depth } from "./stack_depth.ts";
import { find_subprog } from "./subprogs.ts";
import type { bpf_verifier_env } from "./verifier_types.ts";

function set_imm64(insns: readonly bpf_insn[], i: number, v: bigint): void {
	insns[i]!.imm = Number(BigInt.asIntN(32, v));
	insns[i + 1]!.imm = Number(BigInt.asIntN(32, v >> 32n));
}

/** Loads, stores and atomics of a subprogram that may fault. */
function count_exentries(insns: readonly bpf_insn[]): number {
	let n = 0;
	for (const insn of insns) {
		const cls = BPF_CLASS(insn.code);
		const mode = BPF_MODE(insn.code);
		if (cls === BPF_LDX && (mode === BPF_PROBE_MEM || mode === BPF_PROBE_MEM32 || mode === BPF_PROBE_MEMSX))
			n++;
		if ((cls === BPF_STX || cls === BPF_ST) && mode === BPF_PROBE_MEM32) n++;
		if (cls === BPF_STX && mode === BPF_PROBE_ATOMIC) n++;
	}
	return n;
}

/** kernel/bpf/verifier.c: jit_subprogs */
function jit_subprogs(env: bpf_verifier_env): number {
	const { prog, kernel } = env;
	const insns = prog.insnsi;
	if (env.subprog_cnt <= 1) return 0;

	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		if (!bpf_pseudo_func(insn) && !bpf_pseudo_call(insn)) continue;
		const subprog = find_subprog(env, i + insn.imm + 1);
		if (subprog < 0) {
			kernel.printk(`verifier bug. No program starts at insn ${i + insn.imm + 1}\n`);
			return -EFAULT;
		}
		// the subprogram's number goes along with the instruction when that is copied out below
		insn.off = subprog;
		// kept for the interpreter, should the JIT fail
		env.insn_aux_data[i]!.call_imm = insn.imm;
		insn.imm = 1;
		// the JIT's code for a pointer depends on its size: something near the images to come
		if (bpf_pseudo_func(insn)) set_imm64(insns, i, jit_placeholder_addr(kernel));
	}

	const func: bpf_prog[] = [];
	let err = bpf_prog_alloc_jited_linfo(prog);
	if (!err) err = jit_all(env, func);
	if (!err) return finish(env, func);

	if (func.length) {
		for (const poke of prog.aux.poke_tab) {
			const map = poke.tail_call.map;
			map.ops.map_poke_untrack?.(map, prog.aux);
		}
		for (const f of func) {
			f.aux.poke_tab = [];
			bpf_jit_free(f);
		}
	}
	// what is left is for the interpreter
	prog.jit_requested = false;
	prog.blinding_requested = false;
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		if (!bpf_pseudo_call(insn)) continue;
		insn.off = 0;
		insn.imm = env.insn_aux_data[i]!.call_imm;
	}
	bpf_prog_jit_attempt_done(prog);
	return err;
}

/** Both passes of the JIT over all subprograms. */
function jit_all(env: bpf_verifier_env, func: bpf_prog[]): number {
	const { prog, kernel } = env;
	const { aux } = prog;
	let subprog_end = 0;
	for (let i = 0; i < env.subprog_cnt; i++) {
		const subprog_start = subprog_end;
		subprog_end = env.subprog_info[i + 1]!.start;
		const info = env.subprog_info[i]!;

		const f = bpf_prog_alloc(kernel);
		func.push(f);
		f.insnsi = prog.insnsi.slice(subprog_start, subprog_end).map((insn) => insn.clone());
		f.type = prog.type;
		kernel.bpf.embedding?.subprog(f, aux, subprog_start);
		bpf_prog_calc_tag(f);
		f.is_func = true;
		f.sleepable = prog.sleepable;
		f.aux.func_idx = i;
		f.aux.btf = aux.btf;
		f.aux.func_info = aux.func_info;
		f.aux.poke_tab = aux.poke_tab;
		for (const poke of aux.poke_tab)
			if (poke.insn_idx < subprog_end && poke.insn_idx >= subprog_start) poke.aux = f.aux;

		f.aux.name = "F";
		f.aux.stack_depth = info.stack_depth;
		f.jit_requested = true;
		f.blinding_requested = prog.blinding_requested;
		f.aux.kfunc_tab = aux.kfunc_tab;
		f.aux.kfunc_btf_tab = aux.kfunc_btf_tab;
		f.aux.linfo = aux.linfo;
		f.aux.jited_linfo = aux.jited_linfo;
		f.aux.linfo_idx = info.linfo_idx;
		f.aux.arena = aux.arena;
		f.aux.num_exentries = count_exentries(f.insnsi);
		f.aux.tail_call_reachable = info.tail_call_reachable;
		f.aux.exception_cb = info.is_exception_cb;
		f.aux.changes_pkt_data = info.changes_pkt_data;
		if (!i) f.aux.exception_boundary = env.seen_exception;
		func[i] = bpf_int_jit_compile(f);
		if (!func[i]!.jited) return -ENOTSUPP;
	}

	// every address is known now
	for (const f of func) {
		for (let j = 0; j < f.insnsi.length; j++) {
			const insn = f.insnsi[j]!;
			if (bpf_pseudo_func(insn)) set_imm64(f.insnsi, j, func[insn.off]!.bpf_func);
			else if (bpf_pseudo_call(insn)) insn.imm = BPF_CALL_IMM(kernel, func[insn.off]!.bpf_func);
		}
		f.aux.func = func;
		f.aux.func_cnt = env.subprog_cnt - env.hidden_subprog_cnt;
		f.aux.real_func_cnt = env.subprog_cnt;
	}
	for (let i = 0; i < func.length; i++) {
		const old_bpf_func = func[i]!.bpf_func;
		const tmp = bpf_int_jit_compile(func[i]!);
		if (tmp !== func[i] || func[i]!.bpf_func !== old_bpf_func) {
			verbose(env, "JIT doesn't support bpf-to-bpf calls\n");
			return -ENOTSUPP;
		}
	}
	return 0;
}

/** All subprograms are compiled: the program itself becomes what dumps show. */
function finish(env: bpf_verifier_env, func: bpf_prog[]): number {
	const { prog } = env;
	const { aux } = prog;
	const insns = prog.insnsi;
	for (let i = 1; i < func.length; i++) bpf_prog_kallsyms_add(func[i]!);

	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		const { call_imm } = env.insn_aux_data[i]!;
		if (bpf_pseudo_func(insn)) {
			insn.imm = call_imm;
			insns[i + 1]!.imm = insn.off;
			insn.off = 0;
		} else if (bpf_pseudo_call(insn)) {
			insn.off = (call_imm << 16) >> 16;
			insn.imm = find_subprog(env, i + insn.off + 1);
		}
	}

	prog.jited = true;
	prog.bpf_func = func[0]!.bpf_func;
	prog.image = func[0]!.image;
	prog.jited_len = func[0]!.jited_len;
	aux.extable = func[0]!.aux.extable;
	aux.num_exentries = func[0]!.aux.num_exentries;
	aux.func = func;
	aux.func_cnt = env.subprog_cnt - env.hidden_subprog_cnt;
	aux.real_func_cnt = env.subprog_cnt;
	aux.bpf_exception_cb = func[env.exception_callback_subprog]!.bpf_func;
	aux.exception_boundary = func[0]!.aux.exception_boundary;
	bpf_prog_jit_attempt_done(prog);
	return 0;
}

/** kernel/bpf/verifier.c: fixup_call_args */
export function fixup_call_args(env: bpf_verifier_env): number {
	const { prog, kernel } = env;
	const has_kfunc_call = bpf_prog_has_kfunc_call(prog);
	let err = 0;

	if (prog.jit_requested) {
		err = jit_subprogs(env);
		if (err === 0) return 0;
		if (err === -EFAULT) return err;
	}
	if (kernel.config.bpf_jit_always_on) return err;

	if (has_kfunc_call) {
		verbose(env, "calling kernel functions are not allowed in non-JITed programs\n");
		return -EINVAL;
	}
	if (env.subprog_cnt > 1 && prog.aux.tail_call_reachable) {
		verbose(env, "tail_calls are not allowed in non-JITed programs with bpf-to-bpf calls\n");
		return -EINVAL;
	}
	for (let i = 0; i < prog.insnsi.length; i++) {
		const insn = prog.insnsi[i]!;
		if (bpf_pseudo_func(insn)) {
			verbose(env, "callbacks are not allowed in non-JITed programs\n");
			return -EINVAL;
		}
		if (!bpf_pseudo_call(insn)) continue;
		const depth = get_callee_stack_depth(env, insn, i);
		if (depth < 0) return depth;
		bpf_patch_call_args(kernel, insn, depth);
	}
	return 0;
}
