// SPDX-License-Identifier: GPL-2.0-only
/**
 * Where the instructions of a program went: from those given to BPF_PROG_LOAD to the rewritten ones to the places
 * in the images (`bpf-mirror dump` shows them side by side). The kernel forgets this after the load, so it is kept
 * only with the option `insn_maps`.
 */
import type { bpf_prog, bpf_prog_aux } from "./bpf_types.ts";
import type { bpf_verifier_env } from "./verifier_types.ts";

/** A function's image. */
export interface FuncMap {
	/** First rewritten instruction of the function, and how many there are. */
	readonly start: number;
	readonly len: number;
	/** Byte offset of the end of each of them in the image; index 0: of the prologue. Null: not JITed. */
	readonly ends: Int32Array | null;
}

export interface InsnMap {
	/** Of each rewritten instruction: the original one that it stands for. */
	readonly origin: Int32Array;
	readonly funcs: readonly FuncMap[];
}

/** The maps of one kernel's programs. */
export class InsnMaps {
	private readonly origins = new WeakMap<bpf_prog_aux, Int32Array>();

	/** bpf_check() accepted and rewrote the program. */
	finish(env: bpf_verifier_env): void {
		const { insn_aux_data } = env;
		const origin = new Int32Array(insn_aux_data.length);
		let start = 0;
		for (let i = 0; i < origin.length; i++) {
			// what a patch puts before an instruction belongs to it
			if (insn_aux_data[i]!.patched_in && i + 1 < origin.length) continue;
			origin.fill(insn_aux_data[i]!.orig_idx, start, i + 1);
			start = i + 1;
		}
		this.origins.set(env.prog.aux, origin);
	}

	/** The map of a loaded program; null when it was not kept. */
	of(prog: bpf_prog): InsnMap | null {
		const origin = this.origins.get(prog.aux);
		if (!origin) return null;
		const ends = (f: bpf_prog): Int32Array | null => prog.kernel.bpf.jit?.insn_ends?.(f) ?? null;
		const { func } = prog.aux;
		if (!func?.length) return { origin, funcs: [{ start: 0, len: origin.length, ends: ends(prog) }] };
		let start = 0;
		const funcs = func.map((f) => {
			const len = f.insnsi.length;
			start += len;
			return { start: start - len, len, ends: ends(f) };
		});
		return { origin, funcs };
	}
}
