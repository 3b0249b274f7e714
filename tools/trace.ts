// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror run --trace`: executed instructions as lines, machine code by capstone. */
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { colours } from "./colours.ts";
import type { Step } from "./mirror.ts";

/** Bytes of the longest instruction. */
const LONGEST = 15;

export class StepPrinter {
	private readonly cs: Capstone;
	private prog = "";
	private constructor(cs: Capstone) {
		this.cs = cs;
	}
	/** A printer for an architecture's code. */
	static async load(arch: string): Promise<StepPrinter> {
		await loadCapstone();
		return new StepPrinter(
			arch === "arm64"
				? new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM)
				: new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64),
		);
	}

	/** The lines of one step, each with its newline. */
	line(step: Step, symbol: (addr: bigint) => string | null): string {
		let out = "";
		if (step.prog !== this.prog) out += colours.bold(`${step.prog}:\n`);
		this.prog = step.prog;
		if (step.kind === "interp") {
			const changed = step.changed.map(([r, v]) => `r${r}=0x${v.toString(16)}`).join(" ");
			return `${out}${`${String(step.insn).padStart(4)}: ${step.text}`.padEnd(changed ? 46 : 0)}${changed && `; ${changed}`}\n`;
		}
		if (step.insn === -1 && step.offset === 0) out += colours.dim("  ; prologue\n");
		if (step.text !== null) out += colours.cyan(`${String(step.insn).padStart(4)}: ${step.text}\n`);
		const [insn] = this.cs.disasm(step.code.subarray(0, LONGEST), { address: step.pc, count: 1 });
		const text = insn ? `${insn.mnemonic} ${insn.opStr}`.trim() : "?";
		const to = /(?:call|jmp|b|bl)\S* #?(0x[0-9a-f]+)$/.exec(text)?.[1];
		const name = to ? symbol(BigInt.asUintN(64, BigInt(to))) : null;
		return `${out}        ${step.offset.toString(16).padStart(4)}:  ${text}${name ? colours.dim(`  <${name}>`) : ""}\n`;
	}
}
