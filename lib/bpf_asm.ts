// SPDX-License-Identifier: GPL-2.0-only
/**
 * An assembler for BPF in the syntax of LLVM and of the verifier's own listings, one instruction a line:
 *
 *     r1 = *(u64 *)(r10 - 8)      w2 s>>= 3        if r1 s> 5 goto out
 *     r1 = 0x1122334455667788 ll  lock *(u32 *)(r1 + 4) += w2
 *     r1 = map[0] ll              r0 = atomic_fetch_add((u64 *)(r1 + 0), r0)
 *     call bpf_ktime_get_ns       call sub         out: exit
 *     call kfunc[bpf_throw]       r1 = ksym[bpf_prog_active] ll
 *
 * Labels end with a colon; `//`, `#` and `;` begin a comment. Registers are r0 to r10 and w0 to w10.
 */
import * as uapi from "../include/uapi/linux/bpf.ts";

const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;

/** A reference that whoever loads the program fills in. */
export interface AsmReloc {
	/** Index of the instruction. */
	readonly insn: number;
	readonly kind: "map" | "map_value" | "kfunc" | "ksym";
	/** Which of the program's maps. */
	readonly index: number;
	/** A function or variable of the kernel. */
	readonly name?: string;
}

/** An assembled program: 8 bytes an instruction, and what is still open. */
export interface AsmProgram {
	readonly bytes: Uint8Array;
	readonly relocs: readonly AsmReloc[];
}

/** A line that is no instruction; the message names the line. */
export class AsmError extends Error {}

interface Fix {
	readonly insn: number;
	readonly label: string;
	/** Where the distance goes. */
	readonly into: "off" | "imm";
	readonly line: number;
}

const ALU_OPS: Readonly<Record<string, readonly [number, number]>> = {
	"+=": [0x00, 0],
	"-=": [0x10, 0],
	"*=": [0x20, 0],
	"/=": [0x30, 0],
	"s/=": [0x30, 1],
	"|=": [0x40, 0],
	"&=": [0x50, 0],
	"<<=": [0x60, 0],
	">>=": [0x70, 0],
	"%=": [0x90, 0],
	"s%=": [0x90, 1],
	"^=": [0xa0, 0],
	"s>>=": [0xc0, 0],
};

const JMP_OPS: Readonly<Record<string, number>> = {
	"==": 0x10,
	">": 0x20,
	">=": 0x30,
	"&": 0x40,
	"!=": 0x50,
	"s>": 0x60,
	"s>=": 0x70,
	"<": 0xa0,
	"<=": 0xb0,
	"s<": 0xc0,
	"s<=": 0xd0,
};

const SIZES: Readonly<Record<string, number>> = { "8": 0x10, "16": 0x08, "32": 0x00, "64": 0x18 };
const ATOMICS: Readonly<Record<string, number>> = { add: 0x00, or: 0x40, and: 0x50, xor: 0xa0 };
const LOCK_OPS: Readonly<Record<string, number>> = { "+=": 0x00, "|=": 0x40, "&=": 0x50, "^=": 0xa0 };

const REG = "([rw])(10|[0-9])";
const NUM = "[-+]?\\s*(?:0x[0-9a-f]+|\\d+)";
const MEM = `\\(\\s*r(10|[0-9])\\s*(?:([-+])\\s*(0x[0-9a-f]+|\\d+)\\s*)?\\)`;

function number(s: string): bigint {
	const t = s.replace(/\s+/g, "");
	const neg = t.startsWith("-");
	const v = BigInt(t.replace(/^[-+]/, ""));
	return neg ? -v : v;
}

/** A 32-bit immediate: any value from -2^31 to 2^32-1. */
function imm32(s: string): number {
	const v = number(s);
	if (v < -(1n << 31n) || v >= 1n << 32n) throw new AsmError(`immediate ${s.trim()} does not fit 32 bits`);
	return Number(BigInt.asIntN(32, v));
}

class Assembler {
	readonly words: { code: number; dst: number; src: number; off: number; imm: number }[] = [];
	readonly relocs: AsmReloc[] = [];
	readonly labels = new Map<string, number>();
	readonly fixes: Fix[] = [];
	line = 0;

	emit(code: number, dst: number, src: number, off: number, imm: number): void {
		this.words.push({ code, dst, src, off, imm });
	}

	private target(t: string, into: "off" | "imm"): number {
		if (/^[-+]\d+$/.test(t)) return Number(t);
		this.fixes.push({ insn: this.words.length, label: t, into, line: this.line });
		return 0;
	}

	/** One instruction, trimmed. */
	insn(s: string): void {
		for (const [re, fn] of RULES) {
			const m = re.exec(s);
			if (m) {
				fn(this, m.slice(1));
				return;
			}
		}
		throw new AsmError(`no such instruction: ${s}`);
	}

	jump(cls: number, op: number, dst: number, src: number, imm: number, byReg: boolean, target: string): void {
		const off = this.target(target, "off");
		this.emit(cls | op | (byReg ? 8 : 0), dst, src, off, imm);
	}

	goto_(target: string, long: boolean): void {
		const d = this.target(target, long ? "imm" : "off");
		if (long) this.emit(CLASS.JMP32, 0, 0, 0, d);
		else this.emit(CLASS.JMP, 0, 0, d, 0);
	}

	callFunc(target: string): void {
		const d = this.target(target, "imm");
		this.emit(CLASS.JMP | 0x80, 0, 1, 0, d);
	}

	ldimm64(dst: number, src: number, lo: number, hi: number): void {
		this.emit(0x18, dst, src, 0, lo);
		this.emit(0, 0, 0, 0, hi);
	}

	ldFunc(dst: number, label: string): void {
		this.fixes.push({ insn: this.words.length, label, into: "imm", line: this.line });
		this.ldimm64(dst, 4, 0, 0);
	}

	link(): void {
		for (const f of this.fixes) {
			const at = this.labels.get(f.label);
			this.line = f.line;
			if (at === undefined) throw new AsmError(`no label ${f.label}`);
			const d = at - f.insn - 1;
			if (f.into === "off" && (d < -32768 || d > 32767)) throw new AsmError(`${f.label} is too far away`);
			this.words[f.insn]![f.into] = d;
		}
	}

	bytes(): Uint8Array {
		const out = new Uint8Array(this.words.length * 8);
		const dv = new DataView(out.buffer);
		this.words.forEach((w, i) => {
			dv.setUint8(i * 8, w.code);
			dv.setUint8(i * 8 + 1, (w.src << 4) | w.dst);
			dv.setInt16(i * 8 + 2, w.off, true);
			dv.setInt32(i * 8 + 4, w.imm, true);
		});
		return out;
	}
}

type Rule = readonly [RegExp, (a: Assembler, g: (string | undefined)[]) => void];

function rule(pattern: string, fn: (a: Assembler, g: string[]) => void): Rule {
	const re = new RegExp(
		`^${pattern.replaceAll("REG", REG).replaceAll("NUM", `(${NUM})`).replaceAll("MEM", MEM)}$`,
		"i",
	);
	return [re, fn as (a: Assembler, g: (string | undefined)[]) => void];
}

function cls(kind: string): number {
	return kind === "w" ? CLASS.ALU : CLASS.ALU64;
}

function same(a: string, b: string): void {
	if (a !== b) throw new AsmError("registers of different width");
}

function off(sign: string | undefined, n: string | undefined): number {
	const v = n === undefined ? 0 : Number(n);
	return sign === "-" ? -v : v;
}

function size(bits: string): number {
	const s = SIZES[bits];
	if (s === undefined) throw new AsmError(`no access of ${bits} bits`);
	return s;
}

/** The atomic `imm` on *(u32 or u64 *)(reg + off). */
function atomic(
	a: Assembler,
	bits: string,
	base: string,
	sign: string,
	o: string,
	src: string,
	imm: number,
): void {
	a.emit(CLASS.STX | 0xc0 | size(bits), Number(base), Number(src), off(sign, o), imm);
}

const RULES: readonly Rule[] = [
	rule("exit", (a) => a.emit(CLASS.JMP | 0x90, 0, 0, 0, 0)),
	rule("\\.8byte\\s+NUM", (a, [v]) => {
		const n = BigInt.asUintN(64, number(v!));
		const lo = Number(n & 0xffffffffn);
		a.emit(lo & 0xff, (lo >> 8) & 15, (lo >> 12) & 15, (lo >> 16) | 0, Number(BigInt.asIntN(32, n >> 32n)));
	}),
	rule("goto\\s+([-+]\\d+|\\w+)", (a, [t]) => a.goto_(t!, false)),
	rule("gotol\\s+([-+]\\d+|\\w+)", (a, [t]) => a.goto_(t!, true)),
	rule("may_goto\\s+([-+]\\d+|\\w+)", (a, [t]) => a.jump(CLASS.JMP, 0xe0, 0, 0, 0, false, t!)),
	rule("call\\s+kfunc\\[(\\w+)\\]", (a, [name]) => {
		a.relocs.push({ insn: a.words.length, kind: "kfunc", index: 0, name: name! });
		a.emit(CLASS.JMP | 0x80, 0, 2, 0, 0);
	}),
	rule("r(10|[0-9])\\s*=\\s*ksym\\[(\\w+)\\]\\s*ll", (a, [dst, name]) => {
		a.relocs.push({ insn: a.words.length, kind: "ksym", index: 0, name: name! });
		a.ldimm64(Number(dst), 3, 0, 0);
	}),
	rule("call\\s+(\\d+)", (a, [n]) => a.emit(CLASS.JMP | 0x80, 0, 0, 0, Number(n))),
	rule("call\\s+bpf_(\\w+)", (a, [n]) => {
		const id = (uapi as unknown as Record<string, unknown>)[`BPF_FUNC_${n!}`];
		if (typeof id !== "number") throw new AsmError(`no helper bpf_${n}`);
		a.emit(CLASS.JMP | 0x80, 0, 0, 0, id);
	}),
	rule("call\\s+([-+]\\d+|\\w+)", (a, [t]) => a.callFunc(t!)),
	rule("if\\s+REG\\s*(==|!=|s>=|s<=|s>|s<|>=|<=|>|<|&)\\s*REG\\s+goto\\s+([-+]\\d+|\\w+)", (a, g) => {
		same(g[0]!, g[3]!);
		const c = g[0] === "w" ? CLASS.JMP32 : CLASS.JMP;
		a.jump(c, JMP_OPS[g[2]!]!, Number(g[1]), Number(g[4]), 0, true, g[5]!);
	}),
	rule("if\\s+REG\\s*(==|!=|s>=|s<=|s>|s<|>=|<=|>|<|&)\\s*NUM\\s+goto\\s+([-+]\\d+|\\w+)", (a, g) => {
		const c = g[0] === "w" ? CLASS.JMP32 : CLASS.JMP;
		a.jump(c, JMP_OPS[g[2]!]!, Number(g[1]), 0, imm32(g[3]!), false, g[4]!);
	}),
	rule("r(10|[0-9])\\s*=\\s*map\\[(\\d+)\\]\\s*ll", (a, [dst, n]) => {
		a.relocs.push({ insn: a.words.length, kind: "map", index: Number(n) });
		a.ldimm64(Number(dst), 1, 0, 0);
	}),
	rule("r(10|[0-9])\\s*=\\s*map_value\\[(\\d+)\\]\\s*(?:\\+\\s*(\\d+))?\\s*ll", (a, [dst, n, o]) => {
		a.relocs.push({ insn: a.words.length, kind: "map_value", index: Number(n) });
		a.ldimm64(Number(dst), 2, 0, Number(o ?? 0));
	}),
	rule("r(10|[0-9])\\s*=\\s*func\\[(\\w+)\\]\\s*ll", (a, [dst, label]) => a.ldFunc(Number(dst), label!)),
	rule("r(10|[0-9])\\s*=\\s*NUM\\s*ll", (a, [dst, v]) => {
		const n = BigInt.asUintN(64, number(v!));
		a.ldimm64(Number(dst), 0, Number(BigInt.asIntN(32, n)), Number(BigInt.asIntN(32, n >> 32n)));
	}),
	rule(
		"r(10|[0-9])\\s*=\\s*addr_space_cast\\(\\s*r(10|[0-9])\\s*,\\s*(\\d+)\\s*,\\s*(\\d+)\\s*\\)",
		(a, [d, s, to, from]) => a.emit(0xbf, Number(d), Number(s), 1, (Number(to) << 16) | Number(from)),
	),
	rule("REG\\s*=\\s*-\\s*REG", (a, g) => {
		same(g[0]!, g[2]!);
		if (g[1] !== g[3]) throw new AsmError("neg has one register");
		a.emit(cls(g[0]!) | 0x80, Number(g[1]), 0, 0, 0);
	}),
	rule("r(10|[0-9])\\s*=\\s*(be|le|bswap)(16|32|64)\\s+r(10|[0-9])", (a, [d, kind, bits, s]) => {
		if (d !== s) throw new AsmError("byte swaps have one register");
		a.emit(kind === "bswap" ? 0xd7 : kind === "be" ? 0xdc : 0xd4, Number(d), 0, 0, Number(bits));
	}),
	rule("REG\\s*=\\s*\\(s(8|16|32)\\)\\s*REG", (a, g) => {
		same(g[0]!, g[3]!);
		a.emit(cls(g[0]!) | 0xb8, Number(g[1]), Number(g[4]), Number(g[2]), 0);
	}),
	rule("REG\\s*=\\s*\\*\\(([us])(8|16|32|64)\\s*\\*\\)\\s*MEM", (a, g) => {
		const mode = g[2] === "s" ? 0x80 : 0x60;
		a.emit(CLASS.LDX | mode | size(g[3]!), Number(g[1]), Number(g[4]), off(g[5], g[6]), 0);
	}),
	rule("r0\\s*=\\s*\\*\\(u(8|16|32)\\s*\\*\\)\\s*skb\\[\\s*NUM\\s*\\]", (a, [bits, v]) =>
		a.emit(CLASS.LD | 0x20 | size(bits!), 0, 0, 0, imm32(v!)),
	),
	rule(
		"r0\\s*=\\s*\\*\\(u(8|16|32)\\s*\\*\\)\\s*skb\\[\\s*r(10|[0-9])\\s*(?:\\+\\s*NUM)?\\s*\\]",
		(a, [bits, r, v]) =>
			a.emit(CLASS.LD | 0x40 | size(bits!), 0, Number(r), 0, v === undefined ? 0 : imm32(v)),
	),
	rule("lock\\s+\\*\\(u(32|64)\\s*\\*\\)\\s*MEM\\s*(\\+=|\\|=|&=|\\^=)\\s*REG", (a, g) =>
		atomic(a, g[0]!, g[1]!, g[2]!, g[3]!, g[6]!, LOCK_OPS[g[4]!]!),
	),
	rule(
		"REG\\s*=\\s*atomic_fetch_(add|or|and|xor)\\(\\(u(32|64)\\s*\\*\\)\\s*MEM\\s*,\\s*REG\\s*\\)",
		(a, g) => {
			if (g[1] !== g[8]) throw new AsmError("a fetch goes to its own source register");
			atomic(a, g[3]!, g[4]!, g[5]!, g[6]!, g[8]!, ATOMICS[g[2]!]! | 1);
		},
	),
	rule("REG\\s*=\\s*xchg\\(\\(u(32|64)\\s*\\*\\)\\s*MEM\\s*,\\s*REG\\s*\\)", (a, g) => {
		if (g[1] !== g[7]) throw new AsmError("xchg goes to its own source register");
		atomic(a, g[2]!, g[3]!, g[4]!, g[5]!, g[7]!, 0xe1);
	}),
	rule("[rw]0\\s*=\\s*cmpxchg\\(\\(u(32|64)\\s*\\*\\)\\s*MEM\\s*,\\s*[rw]0\\s*,\\s*REG\\s*\\)", (a, g) =>
		atomic(a, g[0]!, g[1]!, g[2]!, g[3]!, g[5]!, 0xf1),
	),
	rule("\\*\\(u(8|16|32|64)\\s*\\*\\)\\s*MEM\\s*=\\s*REG", (a, g) =>
		a.emit(CLASS.STX | 0x60 | size(g[0]!), Number(g[1]), Number(g[5]), off(g[2], g[3]), 0),
	),
	rule("\\*\\(u(8|16|32|64)\\s*\\*\\)\\s*MEM\\s*=\\s*NUM", (a, g) =>
		a.emit(CLASS.ST | 0x60 | size(g[0]!), Number(g[1]), 0, off(g[2], g[3]), imm32(g[4]!)),
	),
	rule("REG\\s*(s/=|s%=|s>>=|<<=|>>=|\\+=|-=|\\*=|/=|%=|\\|=|&=|\\^=)\\s*REG", (a, g) => {
		same(g[0]!, g[3]!);
		const [op, o] = ALU_OPS[g[2]!]!;
		a.emit(cls(g[0]!) | op | 8, Number(g[1]), Number(g[4]), o, 0);
	}),
	rule("REG\\s*(s/=|s%=|s>>=|<<=|>>=|\\+=|-=|\\*=|/=|%=|\\|=|&=|\\^=)\\s*NUM", (a, g) => {
		const [op, o] = ALU_OPS[g[2]!]!;
		a.emit(cls(g[0]!) | op, Number(g[1]), 0, o, imm32(g[3]!));
	}),
	rule("REG\\s*=\\s*REG", (a, g) => {
		same(g[0]!, g[2]!);
		a.emit(cls(g[0]!) | 0xb8, Number(g[1]), Number(g[3]), 0, 0);
	}),
	rule("REG\\s*=\\s*NUM", (a, g) => a.emit(cls(g[0]!) | 0xb0, Number(g[1]), 0, 0, imm32(g[2]!))),
];

/** Assemble a program; throws AsmError naming the line. */
export function assemble(text: string): AsmProgram {
	const a = new Assembler();
	const run = (fn: () => void) => {
		try {
			fn();
		} catch (e) {
			if (e instanceof AsmError) throw new AsmError(`line ${a.line}: ${e.message}`);
			throw e;
		}
	};
	for (const [i, raw] of text.split("\n").entries()) {
		a.line = i + 1;
		let s = raw.replace(/(\/\/|#|;).*/, "").trim();
		for (let m = /^(\w+):\s*/.exec(s); m; m = /^(\w+):\s*/.exec(s)) {
			a.labels.set(m[1]!, a.words.length);
			s = s.slice(m[0].length);
		}
		if (s !== "") run(() => a.insn(s));
	}
	run(() => a.link());
	return { bytes: a.bytes(), relocs: a.relocs };
}
