// SPDX-License-Identifier: GPL-2.0-only
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { findClang } from "../../../scripts/clang.ts";
import { type Assembler, assembler } from "../../testing.ts";
import {
	assemble,
	encode,
	encode_form,
	FORMS,
	type Form,
	type Mem,
	mem,
	type Operand,
	type Reg,
	reg,
	reg_name,
} from "./insn.ts";

/** Room for each instruction in clang's output. */
const SLOT = 32;
/** Stands before the first instruction. */
const MARK = "bpf-mirror-begin";
/** Fills a slot behind its instruction. */
const FILL = 0xf1;

/** The slot of each line (its bytes, then FILL), as hex, by the assembler of the clang that builds the BPF programs. */
function clang_assemble(lines: readonly string[]): string[] {
	const clang = findClang();
	if (!clang) throw new Error("no clang: npm run setup");
	const dir = mkdtempSync(join(tmpdir(), "insn-"));
	try {
		const [from, to] = [join(dir, "a.s"), join(dir, "a.o")];
		const body = lines.map((l) => `.p2align 5, ${FILL}\n${l}\n`).join("");
		writeFileSync(
			from,
			`.intel_syntax noprefix\n.data\n.p2align 5\n.ascii "${MARK}"\n${body}.p2align 5, ${FILL}\n`,
		);
		const r = spawnSync(clang.path, ["--target=x86_64-linux-gnu", "-march=x86-64-v3", "-c", from, "-o", to], {
			encoding: "utf8",
			env: { ...process.env, ...clang.env },
		});
		if (r.status !== 0) throw new Error(r.stderr.slice(0, 2000));
		const elf = readFileSync(to);
		const at = elf.indexOf(MARK) + SLOT;
		return lines.map((_, i) => elf.toString("hex", at + i * SLOT, at + (i + 1) * SLOT));
	} finally {
		rmSync(dir, { recursive: true });
	}
}

/** Registers that exercise every REX bit and the special encodings of rsp, rbp, r12 and r13. */
const SAMPLE_REGS = [0, 1, 4, 5, 7, 8, 12, 13, 15];
const r64 = (n: number): Reg => ({ kind: "reg", n, size: 64 });
const SAMPLE_MEMS: ((size: number) => Mem)[] = [
	(s) => mem(s, r64(0)),
	(s) => mem(s, r64(4), 8),
	(s) => mem(s, r64(5)),
	(s) => mem(s, r64(12), -128),
	(s) => mem(s, r64(13), 128),
	(s) => mem(s, r64(3), 0x12345678, { index: r64(9), scale: 4 }),
	(s) => mem(s, r64(13), 0, { index: r64(5), scale: 1 }),
	(s) => mem(s, null, 0x1000, { index: r64(12), scale: 8 }),
	(s) => mem(s, null, -0x7f000000),
	(s) => mem(s, null, 0x30, { seg: "gs" }),
	(s) => mem(s, null, 0x10, { rip: true }),
];
const PTR: Record<number, string> = {
	8: "byte ptr ",
	16: "word ptr ",
	32: "dword ptr ",
	64: "qword ptr ",
	128: "xmmword ptr ",
	0: "",
};

function samples(f: Form, i: number): Operand[] {
	const t = f.operands[i]!;
	const fixed: Record<string, string> = { AL: "al", AX: "ax", EAX: "eax", RAX: "rax", CL: "cl" };
	if (fixed[t]) return [reg(fixed[t])];
	if (t === "1") return [1];
	if (t.startsWith("rel")) return f.imm === 1 ? [5, -100] : [0x1000, -0x12345];
	if (t.startsWith("imm")) {
		const wide = f.imm === 8 ? [0x123456789abcdef0n, -0x7fedcba987654321n] : [];
		return [...{ 1: [5, -3], 2: [0x1234], 4: [0x12345678, -0x12345678], 8: wide }[f.imm]!];
	}
	const out: Operand[] = [];
	const m = /^(r\/m|r|m)(\d+)?/.exec(t)!;
	const size = Number(m[2] ?? 0);
	if (m[1] !== "m") for (const n of SAMPLE_REGS) out.push({ kind: "reg", n, size: size as 8 });
	if (m[1] !== "r") for (const make of SAMPLE_MEMS) out.push(make(size));
	return out;
}

/** Every operand's every sample at least once, without the full product. */
function combinations(f: Form): Operand[][] {
	const lists = f.operands.map((_, i) => samples(f, i));
	if (lists.length === 0) return [[]];
	const n = Math.max(...lists.map((l) => l.length));
	const out: Operand[][] = [];
	for (let k = 0; k < n; k++) out.push(lists.map((l, i) => l[(k + i * 3) % l.length]!));
	return out;
}

function text_of(o: Operand, at_end: number): string {
	if (typeof o !== "object") return String(o);
	if (o.kind === "reg") return reg_name(o);
	const terms: string[] = [];
	if (o.rip) terms.push("rip");
	if (o.base) terms.push(reg_name(o.base));
	if (o.index) terms.push(o.scale === 1 ? reg_name(o.index) : `${reg_name(o.index)}*${o.scale}`);
	let s = terms.join(" + ");
	if (o.disp !== 0 || s === "") s += s === "" ? `${o.disp}` : o.disp < 0 ? ` - ${-o.disp}` : ` + ${o.disp}`;
	void at_end;
	return `${PTR[o.size]}${o.seg ? `${o.seg}:` : ""}[${s}]`;
}

function wanted(f: Form, ops: Operand[], bytes: number, address: number): string {
	const parts = ops.map((o, i) => {
		if (f.operands[i]!.startsWith("rel")) return String(address + bytes + Number(o));
		return text_of(o, address + bytes);
	});
	return `${f.mnemonic} ${parts.join(", ")}`.trim();
}

/** Numbers as unsigned 64-bit ones, so that signs and bases do not matter. */
function normal(s: string, bits: number): string {
	const mask = (v: bigint) => BigInt.asUintN(bits, v).toString(16);
	const mem_part = /\[[^\]]*\]/.exec(s)?.[0];
	let t = s;
	if (mem_part) {
		const inner = mem_part
			.replace(/\s+/g, "")
			.replace(/-(0x[0-9a-f]+|\d+)/g, (_m, n) => `+${BigInt.asUintN(64, -BigInt(n)).toString(16)}h`)
			.replace(
				/(?<=[+[])(0x[0-9a-f]+|\d+)(?=[\]+])/g,
				(n) => `${BigInt.asUintN(64, BigInt(n)).toString(16)}h`,
			);
		t = t.replace(mem_part, inner.replace("[+", "["));
	}
	return t.replace(/(?<=(?:^|[, ]))-?(0x[0-9a-f]+|\d+)(?=$|,)/g, (n) =>
		mask(n.startsWith("-") ? -BigInt(n.slice(1)) : BigInt(n)),
	);
}

/** Bits that an immediate of the form is compared in. */
function imm_bits(f: Form): number {
	if (f.operands.some((t) => t.startsWith("rel"))) return 64;
	if (/^(sh|sa|ro|rc|bt|int|rorx)/.test(f.mnemonic)) return 8;
	const first = /(8|16|32|64)/.exec(f.operands[0] ?? "");
	return first
		? Math.min(Number(first[1]), 64)
		: ({ AL: 8, AX: 16, EAX: 32, RAX: 64 }[f.operands[0] ?? ""] ?? 64);
}

describe("the encoder", () => {
	beforeAll(async () => {
		await loadCapstone();
	});

	it("makes what a disassembler reads back, for every row of the table", () => {
		const cs = new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64);
		const bad: string[] = [];
		let n = 0;
		for (const f of FORMS) {
			for (const ops of combinations(f)) {
				const bytes = encode_form(f, ops);
				const [insn] = cs.disasm(Uint8Array.from(bytes), { address: 0x10000 });
				const want = wanted(f, ops, bytes.length, 0x10000);
				let got = insn ? `${insn.mnemonic} ${insn.opStr}`.trim() : "nothing";
				got = got.replace(/^movabs/, "mov");
				// string instructions are printed with the operands they imply
				if (ops.length === 0) got = got.replace(/ .*/, "");
				// an instruction without operand size in memory is printed with one, or none, at will
				const bare = (s: string) =>
					s.replace(
						/(byte|word|dword|qword|xmmword) ptr /g,
						f.operands.some((t) => /^m(\d|$)/.test(t)) ? "" : "$&",
					);
				n++;
				const bits = imm_bits(f);
				if (insn?.size !== bytes.length || bare(normal(got, bits)) !== bare(normal(want, bits)))
					bad.push(
						`${Buffer.from(bytes).toString("hex")}: want ${normal(want, bits)}, got ${normal(got, bits)}`,
					);
			}
		}
		cs.close();
		expect(n).toBeGreaterThan(3000);
		expect(bad.join("\n")).toBe("");
	});

	it("makes what another assembler makes of the same text, for every row of the table", async () => {
		const asm: Assembler = await assembler("x86_64");
		const cs = new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64);
		const unknown = new Set<string>();
		const bad: string[] = [];
		let same = 0;
		let other = 0;
		for (const f of FORMS) {
			for (const ops of combinations(f)) {
				// xchg of two registers has two right encodings; an address alone it makes relative to rip
				if (f.mnemonic === "xchg" && ops.every((o) => typeof o === "object" && o.kind === "reg")) continue;
				if (ops.some((o) => typeof o === "object" && o.kind === "mem" && !o.base && !o.index && !o.rip))
					continue;
				const name = f.mnemonic === "mov" && f.imm === 8 ? "movabs" : f.mnemonic;
				// its branches take addresses, ours distances
				const at = 0x100000;
				const bytes = f.operands.some((t) => t.startsWith("rel"))
					? encode_form(f, ops)
					: encode(name, ...ops);
				const text = f.operands.some((t) => t.startsWith("rel"))
					? wanted(f, ops, bytes.length, at)
					: `${name} ${ops.map((o) => text_of(o, 0)).join(", ")}`;
				let theirs: Uint8Array;
				try {
					theirs = Uint8Array.from(asm(text, at));
				} catch {
					unknown.add(f.mnemonic);
					continue;
				}
				const hex = Buffer.from(theirs).toString("hex");
				if (hex === Buffer.from(bytes).toString("hex")) {
					same++;
					continue;
				}
				// another right encoding reads back as the same instruction
				const read = (b: Uint8Array) => cs.disasm(b, { address: at }).map((i) => `${i.mnemonic} ${i.opStr}`);
				const [a, b] = [read(theirs), read(Uint8Array.from(bytes))];
				if (
					a.length === 1 &&
					b.length === 1 &&
					a[0]!.replace(/^movabs/, "mov") === b[0]!.replace(/^movabs/, "mov")
				)
					other++;
				else bad.push(`${text}: ${Buffer.from(bytes).toString("hex")} (${b}), keystone ${hex} (${a})`);
			}
		}
		cs.close();
		expect(bad.join("\n")).toBe("");
		// keystone is of LLVM 3.9's age
		expect([...unknown]).toEqual(["endbr64", "sysretq"]);
		expect(same).toBeGreaterThan(6000);
		expect(other).toBeLessThan(40);
	});

	it("chooses the same bytes as the assembler of clang 19", () => {
		const lines: string[] = [];
		const ours: string[] = [];
		for (const f of FORMS) {
			if (f.operands.some((t) => t.startsWith("rel"))) continue;
			for (const ops of combinations(f)) {
				// xchg of two registers has two right encodings
				if (f.mnemonic === "xchg" && ops.every((o) => typeof o === "object" && o.kind === "reg")) continue;
				const name = f.mnemonic === "mov" && f.imm === 8 ? "movabs" : f.mnemonic;
				lines.push(`${name} ${ops.map((o) => text_of(o, 0)).join(", ")}`);
				ours.push(Buffer.from(encode(name, ...ops)).toString("hex"));
			}
		}
		const theirs = clang_assemble(lines);
		const slot = (hex: string) => hex.padEnd(2 * SLOT, FILL.toString(16));
		const bad = lines.flatMap((l, i) =>
			slot(ours[i]!) === theirs[i] ? [] : [`${l}: ${ours[i]}, clang ${theirs[i]}`],
		);
		expect(lines.length).toBeGreaterThan(5000);
		expect(bad.join("\n")).toBe("");
	});
});

describe("the assembler", () => {
	const hex = (s: string, ...more: [number?, Map<string, number>?]) =>
		Buffer.from(assemble(s, ...more)).toString("hex");

	it("reads Intel syntax", () => {
		expect(hex("mov rax, qword ptr [rdi + 8]; lock xadd [r12+rbx*4-0x10], r9\nret # done")).toBe(
			"488b4708f04d0fc14c9cf0c3",
		);
		expect(hex("mov eax, gs:[0x30]; mov byte [rsi], -1; rep stosq")).toBe("658b042530000000c606fff348ab");
		expect(() => hex("mov [rdi], 5")).toThrow(/no encoding/);
		expect(() => hex("frob rax")).toThrow(/no encoding/);
		expect(() => hex("mov rax, [nowhere]")).toThrow(/bad operand/);
		expect(() => hex("jmp nowhere")).toThrow(/unknown name/);
	});

	it("takes short jumps where they reach and long ones where they do not", () => {
		expect(hex("a: dec ecx; jnz a; jmp b; nop; b: ret")).toBe("ffc975fceb0190c3");
		const far = assemble(`jmp b; ${"nop; ".repeat(200)}b: jz b`);
		expect([...far.subarray(0, 5)]).toEqual([0xe9, 200, 0, 0, 0]);
		expect([...far.subarray(-2)]).toEqual([0x74, 0xfe]);
		expect(hex("call f; mov rax, f", 0x1000, new Map([["f", 0x2000]]))).toBe("e8fb0f000048c7c000200000");
	});
});
