// SPDX-License-Identifier: GPL-2.0-only
/** The encoder against an assembler and a disassembler that others wrote. */
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import { beforeAll, describe, expect, it } from "vitest";
import { assembler } from "../../testing.ts";
import * as A from "./insn.ts";

/** Registers at the ends and in the middle; 31 is left out where it is SP in one place and ZR in another. */
const REGS = [0, 1, 7, 9, 18, 29, 30];
const r = (sf: number, n: number): string => (n === 31 ? (sf ? "xzr" : "wzr") : `${sf ? "x" : "w"}${n}`);
const CONDS = ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"];
const IMMS12 = [0, 1, 0x7ff, 0xfff, 0x1000, 0xfff000];
/** Immediates of logical instructions: runs of ones, wherever they begin, in elements of every size. */
const MASKS = [
	1, 2, 0xff, 0xff00, 0x7fffffff, -2, -256, 0x0f0f0f0f, 0x55555555, 0x33333333, 0x00ff00ff, -16711936,
];
const AT = 0x100000;

interface Row {
	readonly word: number;
	readonly text: string;
}

function rows(): Row[] {
	const out: Row[] = [];
	const add = (word: number, text: string) => out.push({ word, text });
	const widths = [0, 1];
	let k = 0;
	/** Registers by turns, so that all stand in all places. */
	const some = (): [number, number, number] => {
		k++;
		return [REGS[k % 7]!, REGS[(k + 2) % 7]!, REGS[(k * 3 + 1) % 7]!];
	};
	for (const sf of widths) {
		const two: [string, (sf: number, d: number, n: number) => number][] = [
			["mvn", A.mvn],
			["neg", A.neg],
			["rev16", A.rev16],
			["cmp", (s, d, n) => A.cmp(s, d, n)],
			["tst", (s, d, n) => A.tst(s, d, n)],
		];
		const three: [string, (sf: number, d: number, n: number, m: number) => number][] = [
			["add", A.add],
			["sub", A.sub],
			["and", A.and],
			["orr", A.orr],
			["eor", A.eor],
			["mul", A.mul],
			["udiv", A.udiv],
			["sdiv", A.sdiv],
			["lsl", A.lslv],
			["lsr", A.lsrv],
			["asr", A.asrv],
		];
		for (let i = 0; i < 7; i++) {
			for (const [name, f] of two) {
				const [d, n] = some();
				add(f(sf, d, n), `${name} ${r(sf, d)}, ${r(sf, n)}`);
			}
			for (const [name, f] of three) {
				const [d, n, m] = some();
				add(f(sf, d, n, m), `${name} ${r(sf, d)}, ${r(sf, n)}, ${r(sf, m)}`);
			}
			const [d, n, m] = some();
			const a = REGS[i]!;
			add(A.msub(sf, d, a, n, m), `msub ${r(sf, d)}, ${r(sf, n)}, ${r(sf, m)}, ${r(sf, a)}`);
			add(A.uxth(sf, d, n), sf ? `ubfx ${r(1, d)}, ${r(1, n)}, #0, #16` : `uxth ${r(0, d)}, ${r(0, n)}`);
			add(A.sxtb(sf, d, n), `sxtb ${r(sf, d)}, ${r(0, n)}`);
			add(A.sxth(sf, d, n), `sxth ${r(sf, d)}, ${r(0, n)}`);
			for (const c of Object.values(A.COND))
				add(A.b_cond(c, i * 5 - 9), `b.${CONDS[c]} #${AT + 4 * (i * 5 - 9)}`);
			add(A.cbz(sf, d, 100 - i), `cbz ${r(sf, d)}, #${AT + 4 * (100 - i)}`);
			add(A.cbnz(sf, d, -1000 - i), `cbnz ${r(sf, d)}, #${AT - 4 * (1000 + i)}`);
			for (const shift of sf ? [1, 31, 32, 63] : [1, 15, 31]) {
				add(A.lsl(sf, d, n, shift), `lsl ${r(sf, d)}, ${r(sf, n)}, #${shift}`);
				add(A.lsr(sf, d, n, shift), `lsr ${r(sf, d)}, ${r(sf, n)}, #${shift}`);
				add(A.asr(sf, d, n, shift), `asr ${r(sf, d)}, ${r(sf, n)}, #${shift}`);
			}
			for (const shift of sf ? [0, 16, 32, 48] : [0, 16]) {
				add(A.movz(sf, d, 0xabcd, shift), `movz ${r(sf, d)}, #0xabcd, lsl #${shift}`);
				add(A.movn(sf, d, 0x1234, shift), `movn ${r(sf, d)}, #0x1234, lsl #${shift}`);
				add(A.movk(sf, d, 0xffff, shift), `movk ${r(sf, d)}, #0xffff, lsl #${shift}`);
			}
		}
		for (const imm of IMMS12) {
			const [d, n] = some();
			add(A.add_i(sf, d, n, imm), `add ${r(sf, d)}, ${r(sf, n)}, #${imm}`);
			add(A.adds_i(sf, d, n, imm), `adds ${r(sf, d)}, ${r(sf, n)}, #${imm}`);
			add(A.sub_i(sf, d, n, imm), `sub ${r(sf, d)}, ${r(sf, n)}, #${imm}`);
			add(A.subs_i(sf, d, n, imm), `subs ${r(sf, d)}, ${r(sf, n)}, #${imm}`);
			add(A.cmp_i(sf, n, imm), `cmp ${r(sf, n)}, #${imm}`);
			add(A.cmn_i(sf, n, imm), `cmn ${r(sf, n)}, #${imm}`);
		}
		for (const imm of MASKS) {
			const [d, n] = some();
			const wide = sf ? BigInt.asUintN(64, BigInt(imm)) : BigInt(imm >>> 0);
			// what 64 bits of it cannot be is the break instruction, which is tested below
			if (A.and_i(sf, d, n, imm) === A.AARCH64_BREAK_FAULT) continue;
			const hex = `#0x${wide.toString(16)}`;
			add(A.and_i(sf, d, n, imm), `and ${r(sf, d)}, ${r(sf, n)}, ${hex}`);
			add(A.orr_i(sf, d, n, imm), `orr ${r(sf, d)}, ${r(sf, n)}, ${hex}`);
			add(A.eor_i(sf, d, n, imm), `eor ${r(sf, d)}, ${r(sf, n)}, ${hex}`);
			add(A.tst_i(sf, n, imm), `tst ${r(sf, n)}, ${hex}`);
		}
	}
	for (let i = 0; i < 7; i++) {
		const [d, n, m] = some();
		add(A.rev32(0, d, n), `rev ${r(0, d)}, ${r(0, n)}`);
		add(A.rev32(1, d, n), `rev32 ${r(1, d)}, ${r(1, n)}`);
		add(A.rev64(d, n), `rev ${r(1, d)}, ${r(1, n)}`);
		add(A.sxtw(1, d, n), `sxtw ${r(1, d)}, ${r(0, n)}`);
		add(A.mov(1, d, A.SP), `mov ${r(1, d)}, sp`);
		add(A.mov(1, A.SP, d), `mov sp, ${r(1, d)}`);
		add(A.b(i * 1000 - 3000), `b #${AT + 4 * (i * 1000 - 3000)}`);
		add(A.bl(i * 1000 - 3000), `bl #${AT + 4 * (i * 1000 - 3000)}`);
		add(A.br(n), `br ${r(1, n)}`);
		add(A.blr(n), `blr ${r(1, n)}`);
		add(A.ret(n), n === 30 ? "ret" : `ret ${r(1, n)}`);
		add(A.push(d, m, A.SP), `stp ${r(1, d)}, ${r(1, m)}, [sp, #-16]!`);
		add(A.pop(d, m === d ? 2 : m, A.SP), `ldp ${r(1, d)}, ${r(1, m === d ? 2 : m)}, [sp], #16`);
		add(A.ldr64_lit(d, 12 + i), `ldr ${r(1, d)}, #${AT + 4 * (12 + i)}`);
		add(A.mrs_tpidr_el1(d), `mrs ${r(1, d)}, tpidr_el1`);
		add(A.mrs_tpidr_el2(d), `mrs ${r(1, d)}, tpidr_el2`);
		add(A.mrs_sp_el0(d), `mrs ${r(1, d)}, sp_el0`);
		for (const size of [0, 1, 2, 3] as const) {
			const suffix = ["b", "h", "", ""][size]!;
			const w = size === 3 ? 1 : 0;
			const off = ((i * 37) & 0xff) << size;
			const at = off ? `[${r(1, n)}, #${off}]` : `[${r(1, n)}]`;
			add(A.ldr_imm(size, d, n, off), `ldr${suffix} ${r(w, d)}, ${at}`);
			add(A.str_imm(size, d, n, off), `str${suffix} ${r(w, d)}, ${at}`);
			add(A.ldr_reg(size, d, n, m), `ldr${suffix} ${r(w, d)}, [${r(1, n)}, ${r(1, m)}]`);
			add(A.str_reg(size, d, n, m), `str${suffix} ${r(w, d)}, [${r(1, n)}, ${r(1, m)}]`);
			if (size === 3) continue;
			const signed = ["sb", "sh", "sw"][size]!;
			add(A.ldrs_imm(size, d, n, off), `ldr${signed} ${r(1, d)}, ${at}`);
			add(A.ldrs_reg(size, d, n, m), `ldr${signed} ${r(1, d)}, [${r(1, n)}, ${r(1, m)}]`);
		}
		for (const sf of widths) {
			add(A.ldxr(sf, d, n), `ldxr ${r(sf, d)}, [${r(1, n)}]`);
			add(A.stxr(sf, 3, 4, 5 + i), `stxr w${5 + i}, ${r(sf, 3)}, [x4]`);
			add(A.stlxr(sf, 3, 4, 5 + i), `stlxr w${5 + i}, ${r(sf, 3)}, [x4]`);
		}
	}
	add(A.NOP, "nop");
	add(A.DMB_ISH, "dmb ish");
	return out;
}

/** Instructions that came after keystone's LLVM. */
function young(): Row[] {
	const out: Row[] = [];
	const names: [number, string][] = [
		[A.LSE.ADD, "add"],
		[A.LSE.CLR, "clr"],
		[A.LSE.EOR, "eor"],
		[A.LSE.SET, "set"],
	];
	for (const sf of [0, 1])
		for (let i = 0; i < 6; i++) {
			const [t, n, s] = [REGS[i]!, REGS[i + 1]!, REGS[(i * 2 + 3) % 7]!];
			for (const [op, name] of names) {
				out.push({ word: A.st_op(sf, op, n, s), text: `st${name} ${r(sf, s)}, [${r(1, n)}]` });
				out.push({
					word: A.ld_op_al(sf, op, t, n, s),
					text: `ld${name}al ${r(sf, s)}, ${r(sf, t)}, [${r(1, n)}]`,
				});
			}
			out.push({
				word: A.ld_op_al(sf, A.LSE.SWP, t, n, s),
				text: `swpal ${r(sf, s)}, ${r(sf, t)}, [${r(1, n)}]`,
			});
			out.push({ word: A.casal(sf, t, n, s), text: `casal ${r(sf, s)}, ${r(sf, t)}, [${r(1, n)}]` });
		}
	out.push({ word: A.PACIASP, text: "paciasp" }, { word: A.AUTIASP, text: "autiasp" });
	// bti, which capstone reads as the hints that they are to older CPUs: c, j, jc
	for (const [word, n] of [
		[A.BTI_C, 0x22],
		[A.BTI_J, 0x24],
		[A.BTI_JC, 0x26],
	] as const)
		out.push({ word, text: `hint #0x${n.toString(16)}` });
	return out;
}

const bytes = (...w: number[]): Uint8Array => new Uint8Array(Uint32Array.from(w).buffer);
const hex = (w: number): string => (w >>> 0).toString(16).padStart(8, "0");

describe("the encoder", () => {
	beforeAll(async () => {
		await loadCapstone();
	});

	it("makes what an assembler makes of the same text", async () => {
		const asm = await assembler("arm64");
		const bad: string[] = [];
		const all = rows();
		for (const { word, text } of all) {
			const theirs = new Uint32Array(Uint8Array.from(asm(text, AT)).buffer);
			if (theirs.length !== 1 || theirs[0] !== word >>> 0)
				bad.push(`${text}: ${hex(word)}, keystone ${[...theirs].map(hex)}`);
		}
		expect(bad.join("\n")).toBe("");
		expect(all.length).toBeGreaterThan(800);
	});

	it("makes what a disassembler reads as the text, for the younger instructions", () => {
		const cs = new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM);
		const read = (w: number) => {
			const [i] = cs.disasm(bytes(w), { address: AT });
			return i ? `${i.mnemonic} ${i.opStr}`.trim() : "nothing";
		};
		for (const { word, text } of young()) expect(read(word), hex(word)).toBe(text);
		cs.close();
	});

	it("says by a break what cannot be encoded", () => {
		for (const v of [0, -1]) {
			expect(A.and_i(1, 0, 1, v)).toBe(A.AARCH64_BREAK_FAULT);
			expect(A.and_i(0, 0, 1, v)).toBe(A.AARCH64_BREAK_FAULT);
		}
		expect(A.orr_i(1, 0, 1, 0x12345)).toBe(A.AARCH64_BREAK_FAULT);
		expect(A.add_i(1, 0, 1, 0x1001)).toBe(A.AARCH64_BREAK_FAULT);
		expect(A.add_i(1, 0, 1, 0x1000000)).toBe(A.AARCH64_BREAK_FAULT);
	});
});
