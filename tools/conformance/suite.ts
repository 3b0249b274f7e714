// SPDX-License-Identifier: GPL-2.0-only
/**
 * The test files of the public bpf_conformance suite (github.com/Alan-Jowett/bpf_conformance), read and assembled as
 * its own runner does: sections begin with `-- asm`, `-- raw`, `-- mem`, `-- result` or `-- error`. None of its
 * files is part of this project.
 *
 *     -- asm                 instructions, one a line; labels end with a colon; # begins a comment
 *     mov32 %r0, 0           a plain mnemonic is 64 bits wide
 *     lock fetch add [%r10-8], %r1
 *     -- mem                 hex bytes that r1 points at, r2 is their number
 *     -- result              r0
 */

/** struct bpf_insn, its immediate as a signed number. */
export interface SuiteInsn {
	readonly opcode: number;
	readonly dst: number;
	readonly src: number;
	offset: number;
	imm: number;
}

export interface SuiteTest {
	readonly memory: Uint8Array;
	readonly insns: readonly SuiteInsn[];
	readonly result: bigint;
	/** The message that the runtime is to fail with; "" where it is to succeed. */
	readonly error: string;
}

/** A test file that cannot be read: the runner skips some, and fails at others. */
export class SuiteError extends Error {}

const ALU: Readonly<Record<string, number>> = {
	add: 0x00,
	sub: 0x10,
	mul: 0x20,
	div: 0x30,
	sdiv: 0x30,
	or: 0x40,
	and: 0x50,
	lsh: 0x60,
	rsh: 0x70,
	neg: 0x80,
	mod: 0x90,
	smod: 0x90,
	xor: 0xa0,
	mov: 0xb0,
	movsx: 0xb0,
	arsh: 0xc0,
};
const JMP: Readonly<Record<string, number>> = {
	jeq: 0x10,
	jgt: 0x20,
	jge: 0x30,
	jset: 0x40,
	jne: 0x50,
	jsgt: 0x60,
	jsge: 0x70,
	jlt: 0xa0,
	jle: 0xb0,
	jslt: 0xc0,
	jsle: 0xd0,
};
const SIZE: Readonly<Record<string, number>> = { w: 0x00, h: 0x08, b: 0x10, dw: 0x18 };
const ATOMIC: Readonly<Record<string, number>> = {
	add: 0x00,
	or: 0x40,
	and: 0x50,
	xor: 0xa0,
	xchg: 0xe1,
	cmpxchg: 0xf1,
};

function number(text: string): bigint {
	const m = /^([+-]?)(0x[0-9a-f]+|\d+)$/i.exec(text);
	if (!m) throw new SuiteError(`not a number: ${text}`);
	return m[1] === "-" ? -BigInt(m[2]!) : BigInt(m[2]!);
}

const imm32 = (text: string): number => Number(BigInt.asIntN(32, number(text)));

function register(text: string): number {
	const m = /^%?r(\d+)$/.exec(text);
	// r11 to r15 stand in tests of what must be refused
	if (!m || Number(m[1]) > 15) throw new SuiteError(`Invalid register: ${text}`);
	return Number(m[1]);
}

function memory(text: string): { reg: number; off: number } {
	const m = /^\[(%?r\d+)([+-].+)?\]$/.exec(text);
	if (!m) throw new SuiteError(`Failed to decode register and offset: ${text}`);
	return { reg: register(m[1]!), off: m[2] ? Number(BigInt.asIntN(16, number(m[2]))) : 0 };
}

const isRegister = (text: string): boolean => /^%?r\d/.test(text);

/** Assemble the lines of an `-- asm` section. */
export function assembleSuite(lines: readonly string[]): SuiteInsn[] {
	const out: SuiteInsn[] = [];
	const labels = new Map<string, number>();
	const jumps: { at: number; label: string; wide: boolean }[] = [];
	let exits = 0;
	const put = (opcode: number, dst = 0, src = 0, offset = 0, imm = 0): void => {
		out.push({ opcode, dst, src, offset, imm });
	};
	const target = (text: string, wide: boolean): number => {
		if (/^[+-]/.test(text)) return Number(BigInt.asIntN(wide ? 32 : 16, number(text)));
		jumps.push({ at: out.length, label: text, wide });
		return 0;
	};
	for (const line of lines) {
		const words = line
			.replace(/#.*/, "")
			.trim()
			.split(/\s+/)
			.filter((w) => w !== "")
			.map((w) => w.replace(/,$/, ""));
		const [name, ...ops] = words;
		if (name === undefined) continue;
		if (name.endsWith(":")) {
			const label = name.slice(0, -1);
			if (labels.has(label)) throw new SuiteError(`Duplicate label (${label})`);
			labels.set(label, out.length);
			continue;
		}
		const want = (n: number): void => {
			if (ops.length !== n) throw new SuiteError(`Invalid number of operands for mnemonic: ${name}`);
		};
		const mem = /^(ldxs?|stx?)(b|h|w|dw)$/.exec(name);
		const end = /^(le|be|swap|bswap)(16|32|64)$/.exec(name);
		const sized = /^(movsx)(8|16|32)(32|64)$/.exec(name) ?? /^([a-z]+?)()(32|64)?$/.exec(name);
		const op = sized?.[1] ?? "";
		const alu32 = sized?.[3] === "32";
		if (name === "exit") {
			want(0);
			// the first exit is a label as well
			if (exits++ === 0) labels.set("exit", out.length);
			put(0x95);
		} else if (name === "lddw") {
			want(2);
			const v = number(ops[1]!);
			put(0x18, register(ops[0]!), 0, 0, Number(BigInt.asIntN(32, v)));
			put(0, 0, 0, 0, Number(BigInt.asIntN(32, v >> 32n)));
		} else if (mem) {
			want(2);
			const [, kind, size] = mem as unknown as [string, string, string];
			const load = kind.startsWith("ldx");
			const { reg, off } = memory(ops[load ? 1 : 0]!);
			if (load) put((kind === "ldxs" ? 0x80 : 0x60) | 0x01 | SIZE[size]!, register(ops[0]!), reg, off);
			else if (kind === "stx") put(0x63 | SIZE[size]!, reg, register(ops[1]!), off);
			else put(0x62 | SIZE[size]!, reg, 0, off, imm32(ops[1]!));
		} else if (end) {
			want(1);
			put(end[1] === "le" ? 0xd4 : end[1] === "be" ? 0xdc : 0xd7, register(ops[0]!), 0, 0, Number(end[2]));
		} else if (name === "ja" || name === "ja32") {
			want(1);
			const wide = name === "ja32";
			const to = target(ops[0]!, wide);
			put(wide ? 0x06 : 0x05, 0, 0, wide ? 0 : to, wide ? to : 0);
		} else if (name === "call") {
			const [mode, to] = ops.length === 1 ? ["helper", ops[0]!] : [ops[0], ops[1]!];
			if (ops.length > 2 || to === undefined)
				throw new SuiteError("Invalid number of operands for mnemonic: call");
			if (mode === "helper" && isRegister(to)) put(0x8d, register(to));
			else if (mode === "helper") put(0x85, 0, 0, 0, imm32(to));
			else if (mode === "runtime") put(0x85, 0, 2, 0, imm32(to));
			else if (mode === "local") put(0x85, 0, 1, 0, target(to, true));
			else throw new SuiteError("Invalid call mode");
		} else if (name === "lock") {
			const fetch = ops[0] === "fetch";
			const [atomic, at, reg] = fetch ? ops.slice(1) : ops;
			const m = /^(add|or|and|xor|xchg|cmpxchg)(32|64)?$/.exec(atomic ?? "");
			if (!m || at === undefined || reg === undefined)
				throw new SuiteError(`Invalid mnemonic: lock ${atomic ?? ""}`);
			const { reg: dst, off } = memory(at);
			put(m[2] === "32" ? 0xc3 : 0xdb, dst, register(reg), off, ATOMIC[m[1]!]! | (fetch ? 1 : 0));
		} else if (JMP[op] !== undefined) {
			want(3);
			const reg = isRegister(ops[1]!);
			put(
				JMP[op] | (alu32 ? 0x06 : 0x05) | (reg ? 0x08 : 0),
				register(ops[0]!),
				reg ? register(ops[1]!) : 0,
				target(ops[2]!, false),
				reg ? 0 : imm32(ops[1]!),
			);
		} else if (ALU[op] !== undefined) {
			want(op === "neg" ? 1 : 2);
			const reg = ops[1] !== undefined && isRegister(ops[1]);
			put(
				ALU[op] | (alu32 ? 0x04 : 0x07) | (reg ? 0x08 : 0),
				register(ops[0]!),
				reg ? register(ops[1]!) : 0,
				sized?.[2] ? Number(sized[2]) : op === "sdiv" || op === "smod" ? 1 : 0,
				ops[1] === undefined || reg ? 0 : imm32(ops[1]),
			);
		} else {
			throw new SuiteError(`Invalid mnemonic: ${name}`);
		}
	}
	for (const { at, label, wide } of jumps) {
		const to = labels.get(label);
		if (to === undefined) throw new SuiteError(`Invalid label: ${label}`);
		if (wide) out[at]!.imm = to - at - 1;
		else out[at]!.offset = to - at - 1;
	}
	return out;
}

const SECTIONS = ["asm", "result", "mem", "raw", "no register offset", " c", "error"] as const;

/** Read a test file; a string where the runner skips it: why. Throws SuiteError. */
export function parseSuiteTest(text: string): SuiteTest | string {
	const parts: Record<string, string[]> = {};
	let section = "";
	for (const raw of text.split("\n")) {
		const line = raw.replace(/\r$/, "");
		if (line.includes("--")) {
			const found = SECTIONS.find((s) => line.includes(s));
			if (found === undefined) return `Unknown directive ${line}`;
			section = found;
			parts[section] ??= [];
		} else if (line !== "") {
			parts[section]?.push(line);
		}
	}
	const error = parts.error?.at(-1) ?? "";
	const result = parts.result?.at(-1) ?? "";
	if (error === "" && result === "") return "No result or error";
	let insns: SuiteInsn[];
	if (parts.raw?.length) {
		insns = parts.raw
			.flatMap((l) => l.split(/\s+/))
			.filter((w) => w !== "")
			.map((w) => {
				const v = BigInt(w);
				return {
					opcode: Number(v & 0xffn),
					dst: Number((v >> 8n) & 15n),
					src: Number((v >> 12n) & 15n),
					offset: Number(BigInt.asIntN(16, v >> 16n)),
					imm: Number(BigInt.asIntN(32, v >> 32n)),
				};
			});
	} else {
		insns = assembleSuite(parts.asm ?? []);
	}
	if (insns.length === 0) return "No instructions";
	const bytes = (parts.mem ?? []).flatMap((l) => l.split(/\s+/)).filter((w) => w !== "");
	return {
		memory: Uint8Array.from(bytes, (b) => Number.parseInt(b, 16)),
		insns,
		result: result === "" ? 0n : BigInt.asUintN(64, number(result.trim())),
		error,
	};
}

/** Instructions as bytes. */
export function suiteBytes(insns: readonly SuiteInsn[]): Uint8Array {
	const out = new Uint8Array(insns.length * 8);
	const dv = new DataView(out.buffer);
	for (const [i, insn] of insns.entries()) {
		dv.setUint8(i * 8, insn.opcode);
		dv.setUint8(i * 8 + 1, insn.dst | (insn.src << 4));
		dv.setInt16(i * 8 + 2, insn.offset, true);
		dv.setInt32(i * 8 + 4, insn.imm, true);
	}
	return out;
}

/** RFC 9669's conformance groups, as the runner names them. */
export const GROUPS = [
	"base32",
	"base64",
	"divmul32",
	"divmul64",
	"atomic32",
	"atomic64",
	"packet",
	"callx",
] as const;
export type Group = (typeof GROUPS)[number];

/** The instruction set version (clang's -mcpu) and the group that an instruction is of. */
export function needs(insn: SuiteInsn): { version: 1 | 2 | 3 | 4; group: Group } {
	const { opcode, offset, imm } = insn;
	const op = opcode & 0xf0;
	const mode = opcode & 0xe0;
	const wide = (opcode & 0x18) === 0x18;
	switch (opcode & 7) {
		case 4:
		case 7: {
			const alu64 = (opcode & 7) === 7;
			if (op === 0xd0) return { version: alu64 ? 4 : 1, group: imm === 64 ? "base64" : "base32" };
			const divmul = op === 0x20 || op === 0x30 || op === 0x90;
			const version = offset && (op === 0x30 || op === 0x90 || op === 0xb0) ? 4 : 1;
			return { version, group: divmul ? (alu64 ? "divmul64" : "divmul32") : alu64 ? "base64" : "base32" };
		}
		case 5:
			if (opcode === 0x8d) return { version: 1, group: "callx" };
			if (op === 0x80) return { version: insn.src ? 3 : 1, group: "base32" };
			if (op === 0x00 || op === 0x90) return { version: 1, group: "base32" };
			return { version: op >= 0xa0 ? 2 : 1, group: "base64" };
		case 6:
			return { version: op === 0x00 ? 4 : 3, group: "base32" };
		case 0:
			return { version: 1, group: mode === 0x00 ? "base64" : "packet" };
		case 3:
			if (mode === 0xc0) return { version: 3, group: wide ? "atomic64" : "atomic32" };
			break;
		default:
	}
	return { version: mode === 0x80 ? 4 : 1, group: wide ? "base64" : "base32" };
}
