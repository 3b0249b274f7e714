// SPDX-License-Identifier: GPL-2.0-only
/**
 * arch/arm64/net/bpf_jit_comp.c: ex_handler_bpf. The `fixup` word of an entry holds
 *
 *     31:27 register to clear, 5: none | 26:0 distance from the word back to where to go on
 *
 * which is always the instruction after the access.
 */
import type { Cpu, ExceptionEntry } from "../arch.ts";

/** a register that BPF code has no use for */
export const DONT_CLEAR = 5;

export class BpfExtableEntry implements ExceptionEntry {
	readonly insn: number;
	private readonly reg: number;

	constructor(insn: number, fixup_word: number) {
		this.insn = insn;
		this.reg = fixup_word >>> 27;
	}

	fixup(cpu: Cpu): number {
		if (this.reg !== DONT_CLEAR) cpu.set_reg(this.reg, 0n);
		return this.insn + 4;
	}
}
