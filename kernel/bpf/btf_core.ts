// SPDX-License-Identifier: GPL-2.0-only
/**
 * CO-RE in the kernel (kernel/bpf/btf.c: bpf_core_find_cands(), bpf_core_apply()): relocations that came with the
 * program, and candidate types for trusted arguments of global functions.
 *
 * Candidates are kept by a hash of their name in two tables of 31 entries, where a new name evicts an old one;
 * a log of level 2 shows the tables, so they are kept as the kernel keeps them.
 */
import { BPF_LOG_LEVEL2 } from "../../include/linux/bpf_verifier.ts";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_CORE_TYPE_ID_LOCAL } from "../../include/uapi/linux/bpf.ts";
import { IS_ERR } from "../../lib/err.ts";
import { jhash } from "../../lib/jhash.ts";
import {
	bpf_core_calc_relo_insn,
	type bpf_core_cand_list,
	bpf_core_essential_name,
	bpf_core_patch_insn,
	type bpf_core_relo,
	type CoreCtx,
} from "../../lib/relo_core.ts";
import type { bpf_insn } from "./bpf_types.ts";
import { module_btfs } from "./btf_find.ts";
import {
	btf_impl,
	btf_kind,
	btf_name_by_offset,
	type btf_obj,
	btf_tname,
	btf_type_by_id,
	btf_type_str,
} from "./btf_obj.ts";
import type { btf } from "./btf_types.ts";
import { bpf_log } from "./log.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

/** struct bpf_cand_cache: the types of a name in the kernel */
export interface bpf_cand_cache {
	name: string;
	kind: number;
	cands: { btf: btf; id: number }[];
}

/** struct bpf_core_ctx */
export interface bpf_core_ctx {
	log: bpf_verifier_log;
	btf: btf;
}

const CAND_CACHE_SIZE = 31;

function hash_cands(name: string): number {
	return jhash(Buffer.from(name, "latin1"), 0) % CAND_CACHE_SIZE;
}

type CandTable = (bpf_cand_cache | null)[];

/** The kernel compares names only: a struct and an enum of one name find each other's entry. */
function check_cand_cache(name: string, cache: CandTable): bpf_cand_cache | null {
	const cc = cache[hash_cands(name)];
	return cc && cc.name === name ? cc : null;
}

function populate_cand_cache(cands: bpf_cand_cache, cache: CandTable): bpf_cand_cache {
	cache[hash_cands(cands.name)] = cands;
	return cands;
}

/** The tables belong to the kernel, and so hang off its vmlinux BTF. */
function tables(vmlinux: btf_obj): { vmlinux: CandTable; module: CandTable } {
	vmlinux.cand_cache ??= {
		vmlinux: new Array<bpf_cand_cache | null>(CAND_CACHE_SIZE).fill(null),
		module: new Array<bpf_cand_cache | null>(CAND_CACHE_SIZE).fill(null),
	};
	return vmlinux.cand_cache;
}

/** kernel/bpf/btf.c: purge_cand_cache: forget candidates of a module (null: of all) */
export function purge_cand_cache(vmlinux: btf, module_btf: btf | null): void {
	const { module } = tables(btf_impl(vmlinux));
	for (let i = 0; i < module.length; i++)
		if (!module_btf || module[i]?.cands.some((c) => c.btf === module_btf)) module[i] = null;
}

/** kernel/bpf/btf.c: bpf_core_add_cands */
function bpf_core_add_cands(cands: bpf_cand_cache, targ: btf_obj): bpf_cand_cache {
	const found = [...cands.cands];
	for (const i of targ.bucket(cands.name)) {
		const t = targ.local_type(i);
		if (btf_kind(t) !== cands.kind) continue;
		if (bpf_core_essential_name(btf_tname(targ, t)) === cands.name) found.push({ btf: targ, id: t.id });
	}
	return { ...cands, cands: found };
}

/** kernel/bpf/btf.c: bpf_core_find_cands: types of the kernel with the local type's kind and essential name */
export function bpf_core_find_cands(ctx: bpf_core_ctx, local_type_id: number): bpf_cand_cache | number {
	const kernel = btf_impl(ctx.btf).kernel;
	if (!kernel) return -EINVAL;
	const main = kernel.bpf.bpf_get_btf_vmlinux();
	if (IS_ERR(main)) return main;
	if (!main) return -EINVAL;
	const local_type = btf_type_by_id(ctx.btf, local_type_id);
	if (!local_type) return -EINVAL;
	const name = btf_name_by_offset(ctx.btf, local_type.name_off);
	if (!name) return -EINVAL;

	const main_btf = btf_impl(main);
	const cache = tables(main_btf);
	const local: bpf_cand_cache = {
		name: bpf_core_essential_name(name),
		kind: btf_kind(local_type),
		cands: [],
	};
	let cc = check_cand_cache(local.name, cache.vmlinux);
	if (!cc) cc = populate_cand_cache(bpf_core_add_cands(local, main_btf), cache.vmlinux);
	if (cc.cands.length) return cc;

	// modules are searched when vmlinux has none
	cc = check_cand_cache(local.name, cache.module);
	if (cc) return cc;
	let cands = local;
	for (const mod of module_btfs(kernel)) cands = bpf_core_add_cands(cands, btf_impl(mod));
	return populate_cand_cache(cands, cache.module);
}

function __print_cand_cache(log: bpf_verifier_log, cache: CandTable): void {
	cache.forEach((cc, i) => {
		if (cc) bpf_log(log, `[${i}]${cc.name}(${cc.cands.map((c) => c.id).join(" ")}), `);
	});
}

function print_cand_cache(log: bpf_verifier_log, vmlinux: btf): void {
	const cache = tables(btf_impl(vmlinux));
	bpf_log(log, "vmlinux_cand_cache:");
	__print_cand_cache(log, cache.vmlinux);
	bpf_log(log, "\nmodule_cand_cache:");
	__print_cand_cache(log, cache.module);
	bpf_log(log, "\n");
}

/**
 * kernel/bpf/btf.c: bpf_core_apply: do one relocation on the instruction at `insns[insn_idx]`.
 * Messages of relo_core.c have no program name here, and all go to the verifier's log.
 */
export function bpf_core_apply(
	ctx: bpf_core_ctx,
	relo: bpf_core_relo,
	relo_idx: number,
	insns: readonly bpf_insn[],
	insn_idx: number,
): number {
	const need_cands = relo.kind !== BPF_CORE_TYPE_ID_LOCAL;
	const type = btf_type_by_id(ctx.btf, relo.type_id);
	if (!type) {
		bpf_log(ctx.log, `relo #${relo_idx}: bad type id ${relo.type_id}\n`);
		return -EINVAL;
	}
	const err = apply(ctx, relo, relo_idx, insns, insn_idx, need_cands);
	if (need_cands && ctx.log.level & BPF_LOG_LEVEL2) {
		const vmlinux = btf_impl(ctx.btf).kernel?.bpf.bpf_get_btf_vmlinux();
		if (vmlinux && !IS_ERR(vmlinux)) print_cand_cache(ctx.log, vmlinux);
	}
	return err;
}

function apply(
	ctx: bpf_core_ctx,
	relo: bpf_core_relo,
	relo_idx: number,
	insns: readonly bpf_insn[],
	insn_idx: number,
	need_cands: boolean,
): number {
	const cands: bpf_core_cand_list = { cands: [] };
	if (need_cands) {
		const cc = bpf_core_find_cands(ctx, relo.type_id);
		if (IS_ERR(cc)) {
			bpf_log(ctx.log, `target candidate search failed for ${relo.type_id}\n`);
			return cc;
		}
		for (const cand of cc.cands) {
			const kind = btf_type_str(btf_type_by_id(cand.btf, cand.id)!);
			bpf_log(ctx.log, `CO-RE relocating ${kind} ${cc.name}: found target candidate [${cand.id}]\n`);
			cands.cands.push({ btf: btf_impl(cand.btf), id: cand.id });
		}
	}
	const say = (text: string): void => bpf_log(ctx.log, text);
	const core: CoreCtx = { prog_name: "", warn: say, debug: say, types_depth: 2 };
	const res = bpf_core_calc_relo_insn(core, relo, relo_idx, btf_impl(ctx.btf), cands);
	if (typeof res === "number") return res;
	return bpf_core_patch_insn(core, insns, insn_idx, relo.insn_off >>> 3, relo_idx, res);
}
