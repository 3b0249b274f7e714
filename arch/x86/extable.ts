// SPDX-License-Identifier: GPL-2.0-only
/**
 * arch/x86/mm/extable.c, arch/x86/include/asm/extable.h: exception tables, and the handler that BPF
 * images use (arch/x86/net/bpf_jit_comp.c: ex_handler_bpf).
 *
 *     struct exception_table_entry { int insn, fixup, data; }
 *
 * `insn` is relative to its own address. For EX_TYPE_BPF `fixup` is no address but
 * (offset of the register in pt_regs << 8) | length of the instruction.
 */
import type { Cpu, ExceptionEntry } from "../arch.ts";

export const EXTABLE_ENTRY_SIZE = 12;
/** arch/x86/include/asm/extable_fixup_types.h */
export const EX_TYPE_BPF = 7;
/** "no register": arch/x86/net/bpf_jit_comp.c */
export const DONT_CLEAR = 1;

/** struct pt_regs: byte offset / 8 → register in encoding order; -1: none of the general ones */
const PT_REGS = [15, 14, 13, 12, 5, 3, 11, 10, 9, 8, 0, 1, 2, 6, 7, -1, -1, -1, -1, 4, -1] as const;

/** ex_handler_bpf() as an entry: clear the register the load was for, and step over the instruction. */
export class BpfExtableEntry implements ExceptionEntry {
	readonly insn: number;
	readonly fixup_word: number;

	constructor(insn: number, fixup_word: number) {
		this.insn = insn;
		this.fixup_word = fixup_word;
	}

	fixup(cpu: Cpu): number {
		const reg = this.fixup_word >>> 8;
		if (reg !== DONT_CLEAR) {
			const n = PT_REGS[reg / 8] ?? -1;
			if (n < 0) throw new Error(`exception table: no register at pt_regs offset ${reg}`);
			cpu.set_reg(n, 0n);
		}
		return this.insn + (this.fixup_word & 0xff);
	}
}

/** Entries of a table in an image: `bytes` as they lie at address `addr`. */
export function parse_extable(bytes: Uint8Array, addr: number): ExceptionEntry[] {
	const dv = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const out: ExceptionEntry[] = [];
	for (let at = 0; at + EXTABLE_ENTRY_SIZE <= bytes.length; at += EXTABLE_ENTRY_SIZE) {
		const type = dv.getInt32(at + 8, true) & 0xff;
		if (type !== EX_TYPE_BPF) throw new Error(`exception table: type ${type} is not ported`);
		out.push(new BpfExtableEntry(addr + at + dv.getInt32(at, true), dv.getUint32(at + 4, true)));
	}
	return out;
}
