// SPDX-License-Identifier: GPL-2.0-only
/** Every arithmetic instruction and conditional jump of RFC 9669, by register and by immediate. */
import type { VerifierTest } from "../test_verifier.ts";
import { aluRows, jmpRows } from "./alu_rows.ts";

/** Whether a value is the sign extension of a 32-bit immediate; 32-bit operations take any 32 bits. */
function immOf(v: bigint, bits: 32 | 64): bigint | null {
	if (bits === 32) return BigInt.asIntN(32, v);
	const s = BigInt.asIntN(64, v);
	return s === BigInt.asIntN(32, s) ? s : null;
}

/** The operand comes through memory, so that neither clang nor the verifier knows it. */
function hidden(reg: string, v: bigint): string {
	return `${reg} = ${v} ll\n*(u64 *)(r10 - 8) = ${reg}\n${reg} = *(u64 *)(r10 - 8)`;
}

function aluTests(): VerifierTest[] {
	const tests: VerifierTest[] = [];
	for (const [op, bits, a, b, want] of aluRows) {
		const kind = bits === 64 ? "r" : "w";
		const check = `
			r2 = ${want} ll
			r0 = 1
			if r1 == r2 goto out
			r0 = 0
			out: exit`;
		const name = (form: string) => `${op} ${bits} by ${form}: 0x${a.toString(16)}, 0x${b.toString(16)}`;
		tests.push({
			descr: name("register"),
			asm: `${hidden("r1", a)}\n${hidden("r3", b)}\n${kind}1 ${op} ${kind}3${check}`,
			result: "ACCEPT",
			retval: 1,
		});
		const imm = immOf(b, bits);
		const divides = op.includes("/") || op.includes("%");
		if (imm === null || (divides && imm === 0n)) continue;
		tests.push({
			descr: name("immediate"),
			asm: `${hidden("r1", a)}\n${kind}1 ${op} ${imm}${check}`,
			result: "ACCEPT",
			retval: 1,
		});
	}
	return tests;
}

function jmpTests(): VerifierTest[] {
	const tests: VerifierTest[] = [];
	for (const [op, bits, a, b, taken] of jmpRows) {
		const kind = bits === 64 ? "r" : "w";
		const tail = "r0 = 0\nexit\nyes: r0 = 1\nexit";
		const name = (form: string) => `if ${op} ${bits} by ${form}: 0x${a.toString(16)}, 0x${b.toString(16)}`;
		tests.push({
			descr: name("register"),
			asm: `${hidden("r1", a)}\n${hidden("r3", b)}\nif ${kind}1 ${op} ${kind}3 goto yes\n${tail}`,
			result: "ACCEPT",
			retval: taken ? 1 : 0,
		});
		const imm = immOf(b, bits);
		if (imm === null) continue;
		tests.push({
			descr: name("immediate"),
			asm: `${hidden("r1", a)}\nif ${kind}1 ${op} ${imm} goto yes\n${tail}`,
			result: "ACCEPT",
			retval: taken ? 1 : 0,
		});
	}
	return tests;
}

export const aluVerifierTests: readonly VerifierTest[] = [...aluTests(), ...jmpTests()];
