// SPDX-License-Identifier: GPL-2.0-only
/**
 * `bpftool prog dump xlated|jited` (tools/bpf/bpftool: prog.c, xlated_dumper.c, jit_disasm.c, btf_dumper.c): a
 * loaded program's instructions in bpftool's plain form and as what its JSON says. Machine code is disassembled
 * by capstone in AT&T syntax, where bpftool asks LLVM: the text is nearly always the same.
 */
import { Capstone, Const, loadCapstone } from "capstone-wasm";
import {
	BPF_CALL,
	BPF_DW,
	BPF_PSEUDO_CALL,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_IDX_VALUE,
	BPF_PSEUDO_MAP_VALUE,
} from "../../../include/uapi/linux/bpf.ts";
import { BPF_IMM, BPF_JMP, BPF_LD } from "../../../include/uapi/linux/bpf_common.ts";
import * as B from "../../../include/uapi/linux/btf.ts";
import { type DisasmInsn, print_bpf_insn } from "../../../lib/bpf_disasm.ts";
import type { bpf_prog_info } from "../../lib/bpf/bpf.ts";
import { type Btf, type BtfType, btf_array, btf_kflag, btf_kind, btf_params } from "../../lib/bpf/btf.ts";
import { libbpf_bpf_prog_type_str } from "../../lib/bpf/libbpf_strs.ts";

const CS_OPT_SYNTAX = 1;
const CS_OPT_SYNTAX_ATT = 2;

export interface DumpOptions {
	/** Bytes of each instruction too. */
	readonly opcodes: boolean;
	/** File, line and column of each source line. */
	readonly linum: boolean;
}

/** Symbols by address. */
export type Kallsyms = ReadonlyMap<bigint, string>;

/** /proc/kallsyms as bpftool reads it: the name is all up to white space. */
export function parse_kallsyms(text: string): { at: Kallsyms; call_base: bigint } {
	const at = new Map<bigint, string>();
	let call_base = 0n;
	for (const line of text.split("\n")) {
		const m = /^([0-9a-f]+) . (\S+)/.exec(line);
		if (!m) continue;
		const addr = BigInt(`0x${m[1]}`);
		if (addr) at.set(addr, m[2]!);
		if (m[2] === "__bpf_call_base") call_base = addr;
	}
	return { at, call_base };
}

/** tools/bpf/bpftool/btf_dumper.c: btf_dumper_type_only: a type in C, "" where it cannot be written. */
export function btf_dumper_type_only(btf: Btf | null, type_id: number): string {
	if (!btf) return "";
	let out = "";
	const name = (t: BtfType): string => btf.str_by_offset(t.name_off) ?? "";
	const func = (proto: BtfType, fn: BtfType | null): boolean => {
		if (!put(proto.type)) return false;
		out += fn ? `${name(fn)}(` : "(";
		for (const [i, arg] of btf_params(proto).entries()) {
			if (i) out += ", ";
			if (!arg.type) {
				out += "...";
				continue;
			}
			if (!put(arg.type)) return false;
			if (arg.name_off) out += btf.str_by_offset(arg.name_off) ?? "";
			else if (out.endsWith(" ")) out = out.slice(0, -1);
		}
		out += ")";
		return true;
	};
	const put = (id: number): boolean => {
		if (!id) {
			out += "void ";
			return true;
		}
		const t = btf.type_by_id(id);
		if (!t) return false;
		switch (btf_kind(t)) {
			case B.BTF_KIND_INT:
			case B.BTF_KIND_TYPEDEF:
			case B.BTF_KIND_FLOAT:
				out += `${name(t)} `;
				return true;
			case B.BTF_KIND_STRUCT:
				out += `struct ${name(t)} `;
				return true;
			case B.BTF_KIND_UNION:
				out += `union ${name(t)} `;
				return true;
			case B.BTF_KIND_ENUM:
			case B.BTF_KIND_ENUM64:
				out += `enum ${name(t)} `;
				return true;
			case B.BTF_KIND_FWD:
				out += `${btf_kflag(t) ? "union" : "struct"} ${name(t)} `;
				return true;
			case B.BTF_KIND_ARRAY: {
				const a = btf_array(t);
				if (!put(a.type)) return false;
				out += `[${a.nelems}]`;
				return true;
			}
			case B.BTF_KIND_PTR:
				if (!put(t.type)) return false;
				out += "* ";
				return true;
			case B.BTF_KIND_VOLATILE:
				out += "volatile ";
				return put(t.type);
			case B.BTF_KIND_CONST:
				out += "const ";
				return put(t.type);
			case B.BTF_KIND_RESTRICT:
				out += "restrict ";
				return put(t.type);
			case B.BTF_KIND_FUNC_PROTO:
				return func(t, null);
			case B.BTF_KIND_FUNC: {
				const proto = btf.type_by_id(t.type);
				return proto !== null && proto !== undefined && func(proto, t);
			}
			default:
				return false;
		}
	};
	return put(type_id) ? out : "";
}

export interface Linfo {
	readonly insn_off: number;
	readonly file: string;
	readonly line: string;
	readonly line_num: number;
	readonly line_col: number;
}

interface Func {
	readonly insn_off: number;
	readonly proto: string;
}

/** A program as it is dumped. */
export class ProgDump {
	private readonly info: bpf_prog_info;
	private readonly syms: { at: Kallsyms; call_base: bigint };
	private readonly linfo: Linfo[] = [];
	private readonly funcs: Func[] = [];
	private readonly options: DumpOptions;

	constructor(
		info: bpf_prog_info,
		btf: Btf | null,
		syms: { at: Kallsyms; call_base: bigint },
		options: DumpOptions,
	) {
		this.info = info;
		this.syms = syms;
		this.options = options;
		if (!btf) return;
		const records = (bytes: Uint8Array, size: number): DataView[] =>
			size === 0
				? []
				: Array.from(
						{ length: Math.floor(bytes.length / size) },
						(_, i) => new DataView(bytes.buffer, bytes.byteOffset + i * size, size),
					);
		for (const r of records(info.func_info, info.func_info_rec_size))
			this.funcs.push({
				insn_off: r.getUint32(0, true),
				proto: btf_dumper_type_only(btf, r.getUint32(4, true)),
			});
		for (const r of records(info.line_info, info.line_info_rec_size)) {
			const col = r.getUint32(12, true);
			this.linfo.push({
				insn_off: r.getUint32(0, true),
				file: btf.str_by_offset(r.getUint32(4, true)) ?? "",
				line: (btf.str_by_offset(r.getUint32(8, true)) ?? "").trimStart(),
				line_num: col >>> 10,
				line_col: col & 0x3ff,
			});
		}
	}

	/** prog.c: print_prog_header_plain */
	header(): string {
		const { info } = this;
		const type = libbpf_bpf_prog_type_str(info.type);
		const name = info.name ? `name ${info.name}  ` : "";
		const tag = Buffer.from(info.tag).toString("hex");
		return `${info.id}: ${type ? `${type}  ` : `type ${info.type}  `}${name}tag ${tag}${info.gpl_compatible ? "  gpl" : ""}\n`;
	}

	/** prog.c: print_prog_header_json */
	header_json(): Record<string, unknown> {
		const { info } = this;
		return {
			id: info.id,
			type: libbpf_bpf_prog_type_str(info.type) ?? info.type,
			...(info.name ? { name: info.name } : {}),
			tag: Buffer.from(info.tag).toString("hex"),
			gpl_compatible: info.gpl_compatible,
		};
	}

	private linfo_plain(l: Linfo): string {
		if (!this.options.linum) return `; ${l.line}\n`;
		return `; ${l.line} [file:${l.file} line_num:${l.line_num} line_col:${l.line_col}]\n`;
	}

	private linfo_json(l: Linfo): Record<string, unknown> {
		if (!this.options.linum) return { src: l.line };
		const out: Record<string, unknown> = { src: l.line, file: l.file };
		if (l.line_num) out.line_num = l.line_num;
		if (l.line_col) out.line_col = l.line_col;
		return out;
	}

	private insns(): DisasmInsn[] {
		const b = this.info.xlated_prog_insns;
		const dv = new DataView(b.buffer, b.byteOffset, b.byteLength);
		return Array.from({ length: b.length / 8 }, (_, i) => ({
			code: b[i * 8]!,
			dst_reg: b[i * 8 + 1]! & 15,
			src_reg: b[i * 8 + 1]! >> 4,
			off: dv.getInt16(i * 8 + 2, true),
			imm: dv.getInt32(i * 8 + 4, true),
		}));
	}

	/** xlated_dumper.c: print_call */
	private call(insn: DisasmInsn): string {
		const { jited_ksyms } = this.info;
		const pcrel = insn.src_reg === BPF_PSEUDO_CALL;
		let addr = BigInt.asUintN(64, this.syms.call_base + BigInt(insn.imm));
		if (pcrel && insn.imm >>> 0 < jited_ksyms.length) addr = jited_ksyms[insn.imm]!;
		const text = this.syms.at.get(addr) ?? `0x${addr.toString(16)}`;
		if (!pcrel) return text;
		const off = `${insn.off >= 0 ? "+" : ""}${insn.off}`;
		return jited_ksyms.length ? `${off}#${text}` : off;
	}

	/** xlated_dumper.c: print_imm */
	private imm(insn: DisasmInsn, next: DisasmInsn | undefined, full: bigint): string {
		switch (insn.src_reg) {
			case BPF_PSEUDO_MAP_FD:
				return `map[id:${insn.imm >>> 0}]`;
			case BPF_PSEUDO_MAP_VALUE:
				return `map[id:${insn.imm >>> 0}][0]+${(next?.imm ?? 0) >>> 0}`;
			case BPF_PSEUDO_MAP_IDX_VALUE:
				return `map[idx:${insn.imm >>> 0}]+${(next?.imm ?? 0) >>> 0}`;
			case BPF_PSEUDO_FUNC:
				return `subprog[${insn.imm >= 0 ? "+" : ""}${insn.imm}]`;
			default:
				return `0x${full.toString(16)}`;
		}
	}

	private disasm(insn: DisasmInsn, next: DisasmInsn | undefined): string {
		// the kernels that bpftool knows lie further from __bpf_call_base than helpers have numbers; ours does not
		if (insn.code === (BPF_JMP | BPF_CALL) && insn.src_reg !== BPF_PSEUDO_CALL)
			return `(85) call ${this.call(insn)}#${insn.imm}`;
		let out = "";
		print_bpf_insn(
			{
				private_data: null,
				cb_print: (_p, text) => {
					out += text;
				},
				cb_call: (_p, i) => this.call(i),
				cb_imm: (_p, i, full) => this.imm(i, next, full),
			},
			insn,
			true,
			next,
		);
		return out.trimEnd();
	}

	/** What stands before each instruction, as both forms walk it. */
	*xlated(): Generator<{
		i: number;
		proto: string;
		linfo: Linfo | null;
		text: string;
		bytes: Uint8Array[];
	}> {
		const insns = this.insns();
		const raw = this.info.xlated_prog_insns;
		let func = 0;
		let nr_skip = 0;
		for (let i = 0; i < insns.length; i++) {
			const insn = insns[i]!;
			let proto = "";
			if (this.funcs[func]?.insn_off === i) proto = this.funcs[func++]!.proto;
			const linfo = this.lfind(i, nr_skip);
			if (linfo) nr_skip++;
			const wide = insn.code === (BPF_LD | BPF_IMM | BPF_DW);
			const bytes = [raw.subarray(i * 8, i * 8 + 8)];
			if (wide) bytes.push(raw.subarray(i * 8 + 8, i * 8 + 16));
			yield { i, proto, linfo, text: this.disasm(insn, insns[i + 1]), bytes };
			if (wide) i++;
		}
	}

	/** tools/lib/bpf/bpf_prog_linfo.c: bpf_prog_linfo__lfind: the last line at or before, past those shown */
	private lfind(insn_off: number, nr_skip: number): Linfo | null {
		if (nr_skip >= this.linfo.length || insn_off < this.linfo[nr_skip]!.insn_off) return null;
		let i = nr_skip;
		while (i < this.linfo.length && insn_off >= this.linfo[i]!.insn_off) i++;
		return this.linfo[i - 1]!;
	}

	/** xlated_dumper.c: dump_xlated_plain */
	xlated_plain(): string {
		let out = "";
		for (const { i, proto, linfo, text, bytes } of this.xlated()) {
			if (proto) out += `${proto}:\n`;
			if (linfo) out += this.linfo_plain(linfo);
			out += `${String(i).padStart(4)}: ${text}\n`;
			if (this.options.opcodes) out += `       ${bytes.map((b) => hex(b).join(" ")).join(" ")}\n`;
		}
		return out;
	}

	/** xlated_dumper.c: dump_xlated_json */
	xlated_json(): unknown[] {
		const out: unknown[] = [];
		for (const { proto, linfo, text, bytes } of this.xlated()) {
			const x = (b: Uint8Array): string[] => hex(b).map((h) => `0x${h}`);
			const [b, second] = bytes as [Uint8Array, Uint8Array | undefined];
			out.push({
				...(proto ? { proto } : {}),
				...(linfo ? this.linfo_json(linfo) : {}),
				disasm: text,
				...(this.options.opcodes
					? {
							opcodes: {
								code: `0x${b[0]!.toString(16).padStart(2, "0")}`,
								src_reg: `0x${(b[1]! >> 4).toString(16)}`,
								dst_reg: `0x${(b[1]! & 15).toString(16)}`,
								off: x(b.subarray(2, 4)),
								imm: [...x(b.subarray(4, 8)), ...(second ? x(second) : [])],
							},
						}
					: {}),
			});
		}
		return out;
	}

	/** Lines of a function's code by address, past those shown (bpf_prog_linfo__lfind_addr_func). */
	private lines_of(func: number): { addr: bigint; linfo: Linfo }[] {
		const { jited_line_info, jited_ksyms } = this.info;
		const start = jited_ksyms[func]!;
		const end = start + BigInt(this.info.jited_func_lens[func]!);
		return jited_line_info
			.map((addr, i) => ({ addr, linfo: this.linfo[i]! }))
			.filter(({ addr, linfo }) => linfo && addr >= start && addr < end);
	}

	/** jit_disasm.c: disasm_print_insn, of every function */
	*jited(cs: Capstone): Generator<{
		name: string;
		addr: bigint;
		len: number;
		proto: string;
		insns: { pc: number; linfo: Linfo | null; op: string; args: string; bytes: Uint8Array }[];
	}> {
		const { info } = this;
		let at = 0;
		for (const [f, len] of info.jited_func_lens.entries()) {
			const img = info.jited_prog_insns.subarray(at, at + len);
			at += len;
			const ksym = info.jited_ksyms[f];
			const lines = ksym === undefined ? [] : this.lines_of(f);
			const insns: { pc: number; linfo: Linfo | null; op: string; args: string; bytes: Uint8Array }[] = [];
			let nr_skip = 0;
			for (let pc = 0; pc < len; ) {
				const addr = (ksym ?? 0n) + BigInt(pc);
				let linfo: Linfo | null = null;
				if (nr_skip < lines.length && addr >= lines[nr_skip]!.addr) {
					let i = nr_skip++;
					while (i < lines.length && addr >= lines[i]!.addr) i++;
					linfo = lines[i - 1]!.linfo;
				}
				const [insn] = cs.disasm(img.subarray(pc, pc + 16), { address: addr, count: 1 });
				const size = insn?.size ?? 1;
				const bytes = img.subarray(pc, pc + size);
				insns.push({ pc, linfo, op: insn?.mnemonic ?? "<unknown>", args: insn?.opStr ?? "", bytes });
				pc += size;
			}
			yield {
				name:
					ksym === undefined
						? "unknown"
						: (this.syms.at.get(ksym) ?? `0x${ksym.toString(16).padStart(16, "0")}`),
				addr: ksym ?? 0n,
				len,
				proto: this.funcs[f]?.proto ?? "",
				insns,
			};
		}
	}

	jited_plain(cs: Capstone): string {
		let out = "";
		for (const { name, proto, insns } of this.jited(cs)) {
			if (proto) out += `${proto}:\n`;
			out += `${name}:\n`;
			for (const { pc, linfo, op, args, bytes } of insns) {
				if (linfo) out += this.linfo_plain(linfo);
				out += `${pc.toString(16).padStart(4)}:\t${op}${args ? `\t${args}` : ""}`;
				if (this.options.opcodes)
					out += `\n\t${hex(bytes)
						.map((h) => `${h} `)
						.join("")}`;
				out += "\n";
			}
			out += "\n";
		}
		return out;
	}

	jited_json(cs: Capstone): unknown[] {
		return [...this.jited(cs)].map(({ name, proto, insns }) => ({
			...(proto ? { proto } : {}),
			name,
			insns: insns.map(({ pc, linfo, op, args, bytes }) => ({
				...(linfo ? this.linfo_json(linfo) : {}),
				pc: `0x${pc.toString(16)}`,
				operation: op,
				operands: args ? args.split(/[ \t,()]+/).filter((s) => s !== "") : [null],
				...(this.options.opcodes ? { opcodes: hex(bytes).map((h) => `0x${h}`) } : {}),
			})),
		}));
	}
}

const hex = (b: Uint8Array): string[] => Array.from(b, (x) => x.toString(16).padStart(2, "0"));

/** The disassembler of an architecture's images. */
export async function disassembler(arch: "x86_64" | "arm64"): Promise<Capstone> {
	await loadCapstone();
	if (arch === "arm64") return new Capstone(Const.CS_ARCH_ARM64, Const.CS_MODE_ARM);
	const cs = new Capstone(Const.CS_ARCH_X86, Const.CS_MODE_64);
	cs.setOption(CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	return cs;
}
