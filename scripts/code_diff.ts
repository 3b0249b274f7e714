// SPDX-License-Identifier: GPL-2.0-only
/** Where machine code parts from other machine code: the bytes, and the instructions around them. */
import { Capstone, Const, loadCapstone } from "capstone-wasm";

/** Bytes shown before the first that differs, and from it on. */
const BEFORE = 8;
const AFTER = 16;
/** Instructions shown before the one that differs, and of each side from there on. */
const INSNS_BEFORE = 3;
const INSNS_AFTER = 3;

/** Shows code as instructions. */
export class Disassembler {
	private readonly cs: Capstone;
	private constructor(cs: Capstone) {
		this.cs = cs;
	}

	static async load(arch: "x86_64" | "arm64"): Promise<Disassembler> {
		await loadCapstone();
		return new Disassembler(
			arch === "arm64"
				? new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM)
				: new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64),
		);
	}

	/** Instructions with the offsets at which they begin; what follows bytes that are none is left out. */
	insns(code: Uint8Array, addr: bigint): { at: number; text: string; target: bigint | null }[] {
		let at = 0;
		return this.cs.disasm(code, { address: addr }).map((i) => {
			const text = `${i.mnemonic} ${i.opStr}`.trim();
			const to = /^(?:call|j\w+|b|bl|b\.\w+|cbn?z|tbn?z)\s.*?#?(0x[0-9a-f]+)$/.exec(text)?.[1];
			const insn = { at, text, target: to === undefined ? null : BigInt.asUintN(64, BigInt(to)) };
			at += i.size;
			return insn;
		});
	}
}

/** What makes differences readable. */
export interface CodeNames {
	readonly disasm: Disassembler | null;
	symbol(addr: bigint): string | null;
}

const hex = (code: Uint8Array, from: number, to: number): string =>
	Buffer.from(code.subarray(from, to)).toString("hex");

/** The first byte that is not the same; where one is the beginning of the other, its length. -1: they are equal. */
export function first_byte_diff(ours: Uint8Array, theirs: Uint8Array): number {
	const n = Math.min(ours.length, theirs.length);
	for (let at = 0; at < n; at++) if (ours[at] !== theirs[at]) return at;
	return ours.length === theirs.length ? -1 : n;
}

/** The bytes at a difference, and the instructions on further lines. `addr`: where the code lies. */
export function code_difference(
	ours: Uint8Array,
	theirs: Uint8Array,
	at: number,
	addr: bigint,
	names: CodeNames,
): string {
	const from = Math.max(0, at - BEFORE);
	const bytes = `${hex(ours, from, at)}[${hex(ours, at, at + AFTER)}], real [${hex(theirs, at, at + AFTER)}]`;
	if (!names.disasm) return bytes;
	const mine = names.disasm.insns(ours, addr);
	const real = names.disasm.insns(theirs, addr);
	// the last instruction that begins at or before the byte, on both sides
	const first = mine.findLastIndex((m, i) => m.at <= at && real[i]?.at === m.at);
	const line = (who: string, x: (typeof mine)[number]): string => {
		const name = x.target === null ? null : names.symbol(x.target);
		return `  ${who} ${x.at.toString(16).padStart(4)}: ${x.text}${name ? ` <${name}>` : ""}`;
	};
	return [
		bytes,
		...mine.slice(Math.max(0, first - INSNS_BEFORE), Math.max(0, first)).map((x) => line("    ", x)),
		...real.slice(Math.max(0, first), first + INSNS_AFTER).map((x) => line("real", x)),
		...mine.slice(Math.max(0, first), first + INSNS_AFTER).map((x) => line("ours", x)),
	].join("\n");
}
