// SPDX-License-Identifier: GPL-2.0-only
/**
 * A program as its source, its instructions as libbpf gave them, the instructions that the verifier made of them, and
 * the machine code of each architecture, aligned by the original instruction: `bpf-mirror dump OBJECT`.
 */
import type { Capstone } from "capstone-wasm";
import { BPF_DW, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC } from "../include/uapi/linux/bpf.ts";
import { BPF_IMM, BPF_LD } from "../include/uapi/linux/bpf_common.ts";
import { type DisasmInsn, func_id_name, print_bpf_insn } from "../lib/bpf_disasm.ts";
import type { Linfo, ProgDump } from "./bpf/bpftool/dump.ts";
import { get_insn } from "./lib/bpf/insn.ts";
import type { bpf_object, bpf_program } from "./lib/bpf/libbpf.ts";
import type { InsnMap, MirrorArch } from "./mirror.ts";

/** A machine instruction. */
export interface CodeLine {
	/** Offset in the function's image. */
	readonly pc: number;
	readonly text: string;
	/** What an address in it is, where that has a name. */
	readonly symbol?: string;
	readonly bytes: string;
}

/** A rewritten instruction with its code. */
export interface XlatedLine {
	readonly insn: number;
	readonly text: string;
	readonly code: readonly CodeLine[];
}

/** An original instruction and all that became of it; insn is null for prologue and epilogue. */
export interface Row {
	readonly insn: number | null;
	readonly part: "prologue" | "insn" | "epilogue";
	readonly source?: {
		readonly file: string;
		readonly line: number;
		readonly column: number;
		readonly text: string;
	};
	readonly bpf: string;
	readonly arch: Partial<Record<MirrorArch, readonly XlatedLine[]>>;
}

/** A function of a program, on every architecture. */
export interface FunctionView {
	readonly proto: string;
	readonly symbol: string;
	readonly rows: readonly Row[];
}

/** A program loaded on one architecture's kernel. */
export interface LoadedOn {
	readonly arch: MirrorArch;
	readonly map: InsnMap;
	readonly dump: ProgDump;
	readonly cs: Capstone;
	readonly symbol: (addr: bigint) => string | null;
}

/** Names what addresses in machine code are, one instruction after the other. */
class Namer {
	private readonly on: LoadedOn;
	private readonly base: bigint;
	private readonly size: number;
	/** arm64: what movz, movn and movk have put into registers so far */
	private readonly regs = new Map<string, bigint>();
	constructor(on: LoadedOn, base: bigint, size: number) {
		this.on = on;
		this.base = base;
		this.size = size;
	}
	private name(addr: bigint): string | null {
		const a = BigInt.asUintN(64, addr);
		// user addresses and small numbers are no symbols
		return a >> 47n ? this.on.symbol(a) : null;
	}
	/** The operands as shown, and the symbol that they mean. */
	line(op: string, args: string): { args: string; symbol: string | null } {
		const target = /^(?:.*, )?#?(0x[0-9a-f]+)$/.exec(args)?.[1];
		if (target !== undefined && /^(?:call|j|bl?$|b\.|cbn?z|tbn?z)/.test(op)) {
			const to = BigInt(target);
			const at = to - this.base;
			if (at >= 0n && at < BigInt(this.size))
				return { args: args.replace(/#?0x[0-9a-f]+$/, `+${at.toString(16)}`), symbol: null };
			return { args, symbol: this.name(to) };
		}
		// capstone writes large constants in decimal
		const shown = args.replace(/\$(\d{15,})/, (_m, n: string) => `$0x${BigInt(n).toString(16)}`);
		const imm = /^\$(-?0x[0-9a-f]+|-?\d+), /.exec(shown)?.[1];
		if (/^mov(abs)?q$/.test(op) && imm !== undefined) return { args: shown, symbol: this.name(signed(imm)) };
		const wide = /^(x\d+), #(-?0x[0-9a-f]+|-?\d+)(?:, lsl #(\d+))?$/.exec(args);
		if (wide && /^mov[zkn]?$/.test(op)) {
			const [, reg, v, shift] = wide;
			const at = BigInt(shift ?? 0);
			const part = signed(v!);
			const had = this.regs.get(reg!) ?? 0n;
			const now =
				op === "movk" ? (had & ~(0xffffn << at)) | (part << at) : op === "movn" ? ~(part << at) : part << at;
			this.regs.set(reg!, now);
			return { args, symbol: op === "movk" ? this.name(now) : null };
		}
		return { args: shown, symbol: null };
	}
}

function signed(text: string): bigint {
	return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

/** An original instruction as text: maps, functions and helpers by name. */
function original(obj: bpf_object, prog: bpf_program, i: number): string {
	const insn: DisasmInsn = get_insn(prog.insns, i);
	const next: DisasmInsn | undefined =
		(i + 1) * 8 < prog.insns.length ? get_insn(prog.insns, i + 1) : undefined;
	let out = "";
	print_bpf_insn(
		{
			private_data: null,
			cb_print: (_p, text) => {
				out += text;
			},
			cb_call: (_p, c) => (c.src_reg === BPF_PSEUDO_CALL ? `${c.imm >= 0 ? "+" : ""}${c.imm}` : null),
			cb_imm: (_p, c, full) => {
				if (c.src_reg === BPF_PSEUDO_FUNC) return `pc${c.imm >= 0 ? "+" : ""}${c.imm}`;
				const map = c.src_reg ? obj.maps.find((m) => m.fd === c.imm) : undefined;
				if (map) return `map[${map.name}]${next?.imm ? `+${next.imm}` : ""}`;
				return `0x${BigInt.asUintN(64, full).toString(16)}`;
			},
		},
		insn,
		true,
		next,
	);
	return out.trimEnd();
}

/** What one architecture made of a function: rewritten instructions with their code. */
interface Made {
	readonly name: string;
	readonly proto: string;
	readonly prologue: CodeLine[];
	readonly insns: { line: XlatedLine; origin: number; linfo: Linfo | null }[];
	readonly epilogue: CodeLine[];
}

/** A call by name alone: bpftool adds its distance from __bpf_call_base, or shows that of a helper that the JIT inlines. */
function called(text: string): string {
	const call = /^(\(85\) call )(?:0x[0-9a-f]+#(\d+)|(\w+)#-?\d+)$/.exec(text);
	if (!call) return text;
	return `${call[1]}${call[3] ?? func_id_name(Number(call[2]))}`;
}

function make(on: LoadedOn): Made[] {
	const xlated = [...on.dump.xlated()];
	const jited = [...on.dump.jited(on.cs)];
	return on.map.funcs.map((f, n) => {
		const image = jited[n];
		const code: CodeLine[] = [];
		if (image) {
			const namer = new Namer(on, image.addr, image.len);
			for (const c of image.insns) {
				const { args, symbol } = namer.line(c.op, c.args);
				code.push({
					pc: c.pc,
					text: args ? `${c.op} ${args}` : c.op,
					...(symbol === null ? {} : { symbol }),
					bytes: Buffer.from(c.bytes).toString("hex"),
				});
			}
		}
		let at = 0;
		const until = (end: number): CodeLine[] => {
			const from = at;
			while (at < code.length && code[at]!.pc < end) at++;
			return code.slice(from, at);
		};
		const ends = f.ends ?? new Int32Array(f.len + 1);
		const prologue = until(ends[0]!);
		const insns: Made["insns"] = [];
		for (const x of xlated) {
			const k = x.i - f.start;
			if (k < 0 || k >= f.len) continue;
			const wide = x.bytes.length - 1;
			const line = { insn: x.i, text: called(x.text), code: until(ends[k + 1 + wide]!) };
			insns.push({ line, origin: on.map.origin[x.i]!, linfo: x.linfo });
		}
		return { name: image?.name ?? "", proto: image?.proto ?? "", prologue, insns, epilogue: until(Infinity) };
	});
}

/** The program as loaded on each architecture's kernel; `obj` and `prog` are those of the first. */
export function sideBySide(obj: bpf_object, prog: bpf_program, on: readonly LoadedOn[]): FunctionView[] {
	const made = on.map((o) => make(o));
	const total = prog.insns.length / 8;
	const first = made[0]!;
	const each = <T>(f: (m: Made) => T, n: number): Partial<Record<MirrorArch, T>> =>
		Object.fromEntries(on.map((o, a) => [o.arch, f(made[a]![n]!)]));
	const edge = (part: "prologue" | "epilogue", n: number): Row => ({
		insn: null,
		part,
		bpf: "",
		arch: each((m) => [{ insn: -1, text: "", code: m[part] }], n),
	});
	// where functions begin among the original instructions; those without are the kernel's own
	const starts = first.map((f) => Math.min(...f.insns.map((i) => i.origin)));
	return first.map((f, n) => {
		const rows: Row[] = [edge("prologue", n)];
		const end = n + 1 < first.length ? starts[n + 1]! : total;
		for (let i = starts[n]!; i < end; i++) {
			const linfo = f.insns.find((x) => x.origin === i && x.linfo)?.linfo;
			rows.push({
				insn: i,
				part: "insn",
				...(linfo
					? { source: { file: linfo.file, line: linfo.line_num, column: linfo.line_col, text: linfo.line } }
					: {}),
				bpf: original(obj, prog, i),
				arch: each((m) => m.insns.filter((x) => x.origin === i).map((x) => x.line), n),
			});
			if (get_insn(prog.insns, i).code === (BPF_LD | BPF_IMM | BPF_DW)) i++;
		}
		rows.push(edge("epilogue", n));
		return { proto: f.proto, symbol: f.name, rows };
	});
}

/** The text of rewritten instructions without what differs from one kernel to another: distances and addresses. */
function plain(lines: readonly XlatedLine[]): string {
	return lines.map((l) => l.text.replace(/0x[0-9a-f]{12,}/g, "0x")).join("\n");
}

/** The functions as a table, as wide as it must be. */
export function sideBySideText(
	views: readonly FunctionView[],
	arches: readonly MirrorArch[],
	options: { opcodes: boolean; linum: boolean },
): string {
	const code = (c: CodeLine): string =>
		`${c.pc.toString(16).padStart(4)}: ${options.opcodes ? `${c.bytes.padEnd(8)} ` : ""}${c.text}${c.symbol ? ` <${c.symbol}>` : ""}`;
	let source = "";
	/** A cell for each column: BPF, xlated, the architectures; or a line across all of them. */
	const table: (string | string[])[] = [];
	const block = (
		bpf: string,
		lines: readonly { text: string; code: readonly (readonly CodeLine[])[] }[],
	): void => {
		if (lines.length === 0) table.push([bpf, "(gone)", ...arches.map(() => "")]);
		for (const [i, l] of lines.entries()) {
			const height = Math.max(1, ...l.code.map((c) => c.length));
			for (let k = 0; k < height; k++)
				table.push([
					i || k ? "" : bpf,
					k ? "" : l.text,
					...arches.map((_x, a) => {
						const at = l.code[a]?.[k];
						return at ? code(at) : "";
					}),
				]);
		}
	};
	for (const v of views) {
		if (table.length) table.push("");
		if (v.proto) table.push(`${v.proto}:`);
		table.push([v.symbol, "xlated", ...arches]);
		source = "";
		for (const row of v.rows) {
			if (row.source) {
				const { file, line, column, text } = row.source;
				const was = source;
				source = `; ${text}${options.linum ? ` [file:${file} line_num:${line} line_col:${column}]` : ""}`;
				if (source !== was) table.push(source);
			}
			const bpf = row.insn === null ? "" : `${String(row.insn).padStart(4)}: ${row.bpf}`;
			const lines = arches.map((a) => row.arch[a] ?? []);
			const text = (l: XlatedLine): string =>
				row.insn === null ? `(${row.part})` : `${String(l.insn).padStart(4)}: ${l.text}`;
			const same = lines.every((l) => plain(l) === plain(lines[0]!));
			if (same) {
				block(
					bpf,
					lines[0]!.map((l, i) => ({ text: text(l), code: lines.map((of) => of[i]!.code) })),
				);
				continue;
			}
			// each architecture has its own rewriting: one after the other
			for (const [a, arch] of arches.entries())
				block(a ? "" : bpf, [
					{ text: `${arch}:`, code: [] },
					...lines[a]!.map((l) => ({ text: text(l), code: arches.map((_x, b) => (a === b ? l.code : [])) })),
				]);
		}
	}
	const width: number[] = [];
	for (const cells of table)
		if (typeof cells !== "string")
			for (const [i, c] of cells.entries()) width[i] = Math.max(width[i] ?? 0, c.length);
	return table
		.map((cells) =>
			(typeof cells === "string" ? cells : cells.map((c, i) => c.padEnd(width[i]!)).join(" | ")).trimEnd(),
		)
		.map((l) => `${l}\n`)
		.join("");
}
