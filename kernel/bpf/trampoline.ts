// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/trampoline.c: the bookkeeping of trampolines: one for each function that fentry, fexit and
 * LSM programs attach to. Linking programs into them is not ported.
 */
import type { Kernel } from "../kernel.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { btf_obj_id } from "./btf.ts";
import type { btf, btf_func_model, btf_type, kmodule } from "./btf_types.ts";

/** struct bpf_attach_target_info */
export interface bpf_attach_target_info {
	fmodel: btf_func_model;
	tgt_addr: bigint;
	tgt_mod: kmodule | null;
	tgt_name: string;
	tgt_type: btf_type | null;
}

/** struct bpf_trampoline */
export interface bpf_trampoline {
	readonly key: bigint;
	refcnt: number;
	flags: number;
	func: { model: btf_func_model; addr: bigint };
}

/** include/linux/bpf_verifier.h: bpf_trampoline_compute_key: low bit of the high half: the target is a function of BTF. */
export function bpf_trampoline_compute_key(
	tgt_prog: bpf_prog | null,
	btf: btf | null,
	btf_id: number,
): bigint {
	const id = BigInt(btf_id >>> 0);
	if (tgt_prog) return (BigInt(tgt_prog.aux.id >>> 0) << 32n) | id;
	return (BigInt(btf_obj_id(btf!) >>> 0) << 32n) | 0x80000000n | id;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_get */
export function bpf_trampoline_get(kernel: Kernel, key: bigint, tgt: bpf_attach_target_info): bpf_trampoline {
	kernel.bpf.trampolines ??= new Map();
	const all = kernel.bpf.trampolines;
	let tr = all.get(key);
	if (tr) {
		tr.refcnt++;
		return tr;
	}
	tr = { key, refcnt: 1, flags: 0, func: { model: tgt.fmodel, addr: tgt.tgt_addr } };
	all.set(key, tr);
	return tr;
}

/** kernel/bpf/trampoline.c: bpf_trampoline_put */
export function bpf_trampoline_put(kernel: Kernel, tr: bpf_trampoline): void {
	if (--tr.refcnt === 0) kernel.bpf.trampolines?.delete(tr.key);
}
