// SPDX-License-Identifier: GPL-2.0-only
/**
 * The static linker: several BPF objects become one (tools/lib/bpf/linker.c). Sections of one name follow each
 * other, global symbols find each other by name and type, BTF is put together and each type kept once.
 */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { EINVAL, EIO, ENOENT, EOPNOTSUPP as ENOTSUP } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_CALL } from "../../../include/uapi/linux/bpf.ts";
import { BPF_JMP } from "../../../include/uapi/linux/bpf_common.ts";
import * as K from "../../../include/uapi/linux/btf.ts";
import {
	Btf,
	type BtfType,
	btf__new,
	btf_func_linkage,
	btf_is_datasec,
	btf_is_func,
	btf_is_var,
	btf_kind_str,
	btf_type_info,
	btf_type_size,
	btf_var_linkage,
	btf_var_secinfo_at,
	btf_vlen,
	set_btf_var_secinfo,
} from "./btf.ts";
import { btf__dedup } from "./btf_dedup.ts";
import {
	type btf_ext,
	btf_ext__new,
	type btf_ext_info,
	btf_ext_visit_str_offs,
	btf_ext_visit_type_ids,
} from "./btf_ext.ts";
import { btf_field_offs, field_of, set_field } from "./btf_iter.ts";
import * as E from "./elf.ts";
import { type ElfSection, write_elf } from "./elf_writer.ts";
import type { LibbpfPrinter } from "./libbpf_internal.ts";
import { glob_map_defs_match, glob_sym_btf_matches } from "./linker_match.ts";
import { StrSet } from "./strset.ts";

const BTF_EXTERN_SEC = ".extern";
const BTF_ELF_SEC = ".BTF";
const BTF_EXT_ELF_SEC = ".BTF.ext";
const MAPS_ELF_SEC = ".maps";
const INSN_SZ = 8;
const SHF_STRINGS = 0x20;
// elf.h: BPF relocations
const R_BPF_64_64 = 1;
const R_BPF_64_ABS64 = 2;
const R_BPF_64_ABS32 = 3;
const R_BPF_64_32 = 10;

/** struct src_sec */
interface src_sec {
	readonly sec_name: string;
	readonly id: number;
	/** Section of the output that takes it, and where in it. */
	dst_id: number;
	dst_off: number;
	skipped: boolean;
	/** Only in BTF: .ksyms, .kconfig and the like. */
	readonly ephemeral: boolean;
	readonly sec_idx: number;
	readonly shdr: E.Elf64_Shdr | null;
	readonly data: E.Elf_Data | null;
	/** Its BTF_KIND_DATASEC */
	sec_type_id: number;
}

/** struct src_obj */
interface src_obj {
	readonly filename: string;
	readonly elf: E.Elf;
	symtab_sec_idx: number;
	btf: Btf | null;
	btf_ext: btf_ext | null;
	/** By position; slot 0 is unused. */
	readonly secs: src_sec[];
	sym_map: number[];
	btf_type_map: number[];
}

/** struct btf_ext_sec_data */
interface btf_ext_sec_data {
	rec_sz: number;
	recs: Uint8Array[];
}

/** Elf64_Sym, as it is going to be */
interface dst_sym {
	st_name: number;
	st_info: number;
	st_other: number;
	st_shndx: number;
	st_value: number;
	st_size: number;
}

/** struct glob_sym */
interface glob_sym {
	readonly name: string;
	readonly sym_idx: number;
	sec_id: number;
	btf_id: number;
	/** Type of the variable or function; negative: of the file at hand, not yet led to ours. */
	underlying_btf_id: number;
	var_idx: number;
	is_extern: boolean;
	is_weak: boolean;
}

interface sec_var {
	readonly type: number;
	readonly offset: number;
	size: number;
}

type ExtKind = "func_info" | "line_info" | "core_relo_info";

/** struct dst_sec */
interface dst_sec {
	readonly sec_name: string;
	readonly id: number;
	ephemeral: boolean;
	/** ELF section, 0: none */
	sec_idx: number;
	shdr: ElfSection | null;
	sec_sz: number;
	raw_data: Uint8Array;
	sec_sym_idx: number;
	has_btf: boolean;
	readonly sec_vars: sec_var[];
	readonly ext: Record<ExtKind, btf_ext_sec_data>;
}

/** What a failed call of Node.js says: a positive errno. */
function errno_of(e: unknown): number {
	const { errno } = e as NodeJS.ErrnoException;
	return errno ? Math.abs(errno) : EIO;
}

const ST_INFO = (bind: number, type: number): number => (bind << 4) | type;

function is_dwarf_sec_name(name: string): boolean {
	return name.startsWith(".debug_");
}

function is_pow_of_2(v: number): boolean {
	return v > 0 && Number.isInteger(Math.log2(v));
}

/** tools/lib/bpf/linker.c: is_ignored_sec */
function is_ignored_sec(name: string, shdr: E.Elf64_Shdr): boolean {
	if (shdr.sh_type === E.SHT_STRTAB || shdr.sh_type === E.SHT_LLVM_ADDRSIG) return true;
	if (shdr.sh_type === E.SHT_PROGBITS && shdr.sh_size === 0 && name === ".text") return true;
	if (is_dwarf_sec_name(name)) return true;
	if (!name.startsWith(".rel")) return false;
	const of = name.slice(4);
	return is_dwarf_sec_name(of) || of === BTF_ELF_SEC || of === BTF_EXT_ELF_SEC;
}

function btf_is_non_static(t: BtfType): boolean {
	return (
		(btf_is_var(t) && btf_var_linkage(t) !== K.BTF_VAR_STATIC) ||
		(btf_is_func(t) && btf_func_linkage(t) !== K.BTF_FUNC_STATIC)
	);
}

/** tools/lib/bpf/btf.c: btf__add_type: a type of another BTF, its strings led to ours, its types not. */
export function btf__add_type(dst: Btf, src: Btf, src_type: BtfType): number {
	const offs = btf_field_offs(src_type, "strs") ?? [];
	const rewritten = new Map<number, number>();
	for (const off of offs) rewritten.set(off, dst.add_str(src.name(field_of(src_type, off))));
	const words: number[] = [];
	for (let off = 12; off < btf_type_size(src_type); off += 4)
		words.push(rewritten.get(off) ?? field_of(src_type, off));
	return dst.add_type(src.name(src_type.name_off), src_type.info, src_type.type, words);
}

function find_src_sec_by_name(obj: src_obj, name: string): src_sec | undefined {
	return obj.secs.find((s, i) => i > 0 && s.sec_name === name);
}

/** struct bpf_linker */
export class bpf_linker {
	private readonly pr: LibbpfPrinter;
	/** Of the file to be written, -1 once that is done. */
	private fd: number;
	private readonly secs: dst_sec[] = [];
	private readonly elf_secs: ElfSection[] = [];
	private readonly syms: dst_sym[] = [];
	private readonly strtab_strs = new StrSet();
	private readonly strtab_sec: dst_sec;
	private readonly symtab_sec: dst_sec;
	private readonly btf = new Btf(null);
	private btf_ext: btf_ext | null = null;
	private readonly glob_syms: glob_sym[] = [];
	private readonly glob_by_name = new Map<string, glob_sym>();

	private constructor(pr: LibbpfPrinter, fd: number) {
		this.pr = pr;
		this.fd = fd;
		// slot 0 is unused
		this.add_dst_sec("");
		this.strtab_strs.add_str("");
		this.strtab_sec = this.add_dst_sec(".strtab");
		this.new_elf_sec(this.strtab_sec, {
			sh_type: E.SHT_STRTAB,
			sh_flags: SHF_STRINGS,
			sh_addralign: 1,
			sh_entsize: 0,
		});
		this.symtab_sec = this.add_dst_sec(".symtab");
		this.new_elf_sec(this.symtab_sec, {
			sh_type: E.SHT_SYMTAB,
			sh_flags: 0,
			sh_addralign: 8,
			sh_entsize: E.ELF64_SYM_SZ,
		}).sh_link = this.strtab_sec.sec_idx;
		this.syms.push({ st_name: 0, st_info: 0, st_other: 0, st_shndx: 0, st_value: 0, st_size: 0 });
	}

	/** bpf_linker__new() */
	static create(pr: LibbpfPrinter, filename: string): bpf_linker | number {
		try {
			return new bpf_linker(pr, openSync(filename, "w", 0o644));
		} catch (e) {
			const err = -errno_of(e);
			pr.pr_warn(`failed to create '${filename}': ${err}\n`);
			return err;
		}
	}

	/** bpf_linker__free() */
	free(): void {
		if (this.fd >= 0) closeSync(this.fd);
		this.fd = -1;
	}

	/** bpf_linker__add_file() */
	add_file(filename: string): number {
		if (this.fd < 0) return -EINVAL;
		const obj = this.load_obj_file(filename);
		if (typeof obj === "number") return obj;
		return (
			this.append_sec_data(obj) ||
			this.append_elf_syms(obj) ||
			this.append_elf_relos(obj) ||
			this.append_btf(obj) ||
			this.append_btf_ext(obj)
		);
	}

	/** bpf_linker__finalize() */
	finalize(): number {
		if (this.fd < 0) return -EINVAL;
		const err = this.finalize_btf();
		if (err) return err;
		for (const sec of this.secs) if (sec.shdr) sec.shdr.data = sec.raw_data;
		this.symtab_sec.shdr!.data = this.symtab_bytes();
		this.symtab_sec.shdr!.sh_size = this.symtab_sec.shdr!.data.length;
		this.strtab_sec.shdr!.data = this.strtab_strs.data();
		this.strtab_sec.shdr!.sh_size = this.strtab_sec.shdr!.data.length;
		const out = write_elf(this.elf_secs, this.strtab_sec.sec_idx);
		try {
			for (let at = 0; at < out.length; ) at += writeSync(this.fd, out, at);
		} catch (e) {
			this.pr.pr_warn(`failed to write ELF contents: ${(e as Error).message}\n`);
			return -EINVAL;
		}
		this.free();
		return 0;
	}

	// ---- sections of the output

	private add_dst_sec(sec_name: string): dst_sec {
		const ext = (): btf_ext_sec_data => ({ rec_sz: 0, recs: [] });
		const sec: dst_sec = {
			sec_name,
			id: this.secs.length,
			ephemeral: false,
			sec_idx: 0,
			shdr: null,
			sec_sz: 0,
			raw_data: new Uint8Array(0),
			sec_sym_idx: 0,
			has_btf: false,
			sec_vars: [],
			ext: { func_info: ext(), line_info: ext(), core_relo_info: ext() },
		};
		this.secs.push(sec);
		return sec;
	}

	private new_elf_sec(
		sec: dst_sec,
		like: { sh_type: number; sh_flags: number; sh_addralign: number; sh_entsize: number },
	): ElfSection {
		const shdr: ElfSection = {
			sh_name: this.strtab_strs.add_str(sec.sec_name),
			sh_type: like.sh_type,
			sh_flags: like.sh_flags,
			sh_link: 0,
			sh_info: 0,
			sh_addralign: like.sh_addralign,
			sh_entsize: like.sh_entsize,
			sh_size: 0,
			data: null,
		};
		this.elf_secs.push(shdr);
		sec.shdr = shdr;
		sec.sec_idx = this.elf_secs.length;
		return shdr;
	}

	private init_sec(dst: dst_sec, src: src_sec): void {
		dst.sec_sz = 0;
		dst.sec_idx = 0;
		dst.ephemeral = src.ephemeral;
		if (!src.ephemeral) this.new_elf_sec(dst, src.shdr!);
	}

	private find_dst_sec_by_name(name: string): dst_sec | undefined {
		return this.secs.find((s, i) => i > 0 && s.sec_name === name);
	}

	private secs_match(dst: dst_sec, src: src_sec): boolean {
		if (dst.ephemeral || src.ephemeral) return true;
		for (const [field, what] of [
			["sh_type", "types"],
			["sh_flags", "flags"],
			["sh_entsize", "entsize"],
		] as const) {
			if (dst.shdr![field] === src.shdr![field]) continue;
			this.pr.pr_warn(`sec ${dst.sec_name} ${what} mismatch\n`);
			return false;
		}
		return true;
	}

	private extend_sec(dst: dst_sec, src: src_sec): void {
		if (src.ephemeral) return;
		// a section that had only declarations gets its first definition
		if (dst.ephemeral) this.init_sec(dst, src);
		const shdr = dst.shdr!;
		const align = Math.max(shdr.sh_addralign || 1, src.shdr!.sh_addralign);
		const at = Math.ceil(dst.sec_sz / align) * align;
		const size = at + src.shdr!.sh_size;
		if (src.shdr!.sh_type !== E.SHT_NOBITS) {
			const bytes = new Uint8Array(size);
			bytes.set(dst.raw_data);
			bytes.set(src.data!.d_buf!, at);
			dst.raw_data = bytes;
		}
		dst.sec_sz = size;
		shdr.sh_size = size;
		shdr.sh_addralign = align;
		src.dst_off = at;
	}

	// ---- reading an object

	private load_obj_file(filename: string): src_obj | number {
		const { pr } = this;
		pr.pr_debug(() => `linker: adding object file '${filename}'...\n`);
		let bytes: Uint8Array;
		try {
			bytes = readFileSync(filename);
		} catch (e) {
			const err = -errno_of(e);
			pr.pr_warn(`failed to open file '${filename}': ${err}\n`);
			return err;
		}
		const elf = E.Elf.memory(bytes);
		if (typeof elf === "string") {
			pr.pr_warn(`failed to parse ELF file '${filename}': ${elf}\n`);
			return -EINVAL;
		}
		if (!elf) {
			pr.pr_warn(`failed to get ELF header for ${filename}: invalid \`Elf' handle\n`);
			return -EINVAL;
		}
		if (elf.ei_data !== E.ELFDATA2LSB) {
			pr.pr_warn(`unsupported byte order of ELF file ${filename}: ${elf.errmsg}\n`);
			return -ENOTSUP;
		}
		if (elf.ei_class !== E.ELFCLASS64 || elf.e_type !== E.ET_REL || elf.e_machine !== E.EM_BPF) {
			pr.pr_warn(`unsupported kind of ELF file ${filename}: ${elf.errmsg}\n`);
			return -ENOTSUP;
		}
		const obj: src_obj = {
			filename,
			elf,
			symtab_sec_idx: 0,
			btf: null,
			btf_ext: null,
			secs: [],
			sym_map: [],
			btf_type_map: [],
		};
		this.add_src_sec(obj, "", null, null);
		for (let i = 1; i < elf.shnum; i++) {
			const err = this.load_section(obj, i);
			if (err) return err;
		}
		const err =
			this.sanity_check_elf(obj) || sanity_check_btf(obj) || sanity_check_btf_ext(obj) || this.fixup_btf(obj);
		return err || obj;
	}

	private add_src_sec(
		obj: src_obj,
		sec_name: string,
		shdr: E.Elf64_Shdr | null,
		data: E.Elf_Data | null,
	): src_sec {
		const sec: src_sec = {
			sec_name,
			id: obj.secs.length,
			dst_id: 0,
			dst_off: 0,
			skipped: false,
			ephemeral: shdr === null,
			sec_idx: shdr?.index ?? 0,
			shdr,
			data,
			sec_type_id: 0,
		};
		obj.secs.push(sec);
		return sec;
	}

	private load_section(obj: src_obj, i: number): number {
		const { pr } = this;
		const { elf, filename } = obj;
		const fail = (text: string): number => {
			pr.pr_warn(`${text}: ${elf.errmsg}\n`);
			return -EINVAL;
		};
		const shdr = elf.shdr(i);
		if (!shdr) return fail(`failed to get section #${i} header for ${filename}`);
		const name = elf.strptr(elf.shstrndx, shdr.sh_name);
		if (name === null) return fail(`failed to get section #${i} name for ${filename}`);
		const data = elf.data(shdr);
		if (!data) return fail(`failed to get section #${i} (${name}) data from ${filename}`);
		const sec = this.add_src_sec(obj, name, shdr, data);
		if (is_ignored_sec(name, shdr)) {
			sec.skipped = true;
			return 0;
		}
		switch (shdr.sh_type) {
			case E.SHT_SYMTAB:
				if (obj.symtab_sec_idx) {
					pr.pr_warn("multiple SYMTAB sections found, not supported\n");
					return -ENOTSUP;
				}
				obj.symtab_sec_idx = i;
				return 0;
			case E.SHT_PROGBITS:
				if (name === BTF_ELF_SEC) {
					const btf = btf__new(pr, data.d_buf!);
					if (typeof btf === "number") {
						pr.pr_warn(`failed to parse .BTF from ${filename}: ${btf}\n`);
						return btf;
					}
					obj.btf = btf;
					sec.skipped = true;
				} else if (name === BTF_EXT_ELF_SEC) {
					const ext = btf_ext__new(pr, data.d_buf!);
					if (typeof ext === "number") {
						pr.pr_warn(`failed to parse .BTF.ext from '${filename}': ${ext}\n`);
						return ext;
					}
					obj.btf_ext = ext;
					sec.skipped = true;
				}
				return 0;
			case E.SHT_NOBITS:
			case E.SHT_REL:
				return 0;
			default:
				pr.pr_warn(`unrecognized section #${i} (${name}) in ${filename}\n`);
				return -EINVAL;
		}
	}

	/** linker_sanity_check_elf() */
	private sanity_check_elf(obj: src_obj): number {
		const { filename } = obj;
		const bad = (text: string): number => {
			this.pr.pr_warn(`${text}\n`);
			return -EINVAL;
		};
		if (!obj.symtab_sec_idx) return bad(`ELF is missing SYMTAB section in ${filename}`);
		if (!obj.elf.shstrndx) return bad(`ELF is missing section headers STRTAB section in ${filename}`);
		for (const sec of obj.secs.slice(1)) {
			const shdr = sec.shdr!;
			if (sec.sec_name === "") return bad(`ELF section #${sec.sec_idx} has empty name in ${filename}`);
			if (is_dwarf_sec_name(sec.sec_name)) continue;
			if (shdr.sh_addralign && !is_pow_of_2(shdr.sh_addralign))
				return bad(
					`ELF section #${sec.sec_idx} alignment ${shdr.sh_addralign} is non pow-of-2 alignment in ${filename}`,
				);
			// libelf's data is aligned to 1 where the header says nothing
			if (!shdr.sh_addralign)
				return bad(`ELF section #${sec.sec_idx} has inconsistent alignment addr=0 != d=1 in ${filename}`);
			let err = 0;
			switch (shdr.sh_type) {
				case E.SHT_SYMTAB:
					err = this.sanity_check_elf_symtab(obj, sec);
					break;
				case E.SHT_STRTAB:
				case E.SHT_NOBITS:
				case E.SHT_LLVM_ADDRSIG:
					break;
				case E.SHT_PROGBITS:
					if (shdr.sh_flags & E.SHF_EXECINSTR && shdr.sh_size % INSN_SZ)
						return bad(
							`ELF section #${sec.sec_idx} has unexpected size alignment ${shdr.sh_size} in ${filename}`,
						);
					break;
				case E.SHT_REL:
					err = this.sanity_check_elf_relos(obj, sec);
					break;
				default:
					return bad(
						`ELF section #${sec.sec_idx} (${sec.sec_name}) has unrecognized type ${shdr.sh_type} in ${filename}`,
					);
			}
			if (err) return err;
		}
		return 0;
	}

	private sanity_check_elf_symtab(obj: src_obj, sec: src_sec): number {
		const shdr = sec.shdr!;
		const bad = (text: string): number => {
			this.pr.pr_warn(`${text}\n`);
			return -EINVAL;
		};
		if (shdr.sh_entsize !== E.ELF64_SYM_SZ || shdr.sh_size % shdr.sh_entsize) return -EINVAL;
		const link = obj.secs[shdr.sh_link];
		const where = `ELF SYMTAB section #${sec.sec_idx} points to`;
		if (!shdr.sh_link || !link)
			return bad(`${where} missing STRTAB section #${shdr.sh_link} in ${obj.filename}`);
		if (link.shdr!.sh_type !== E.SHT_STRTAB)
			return bad(`${where} invalid STRTAB section #${shdr.sh_link} in ${obj.filename}`);
		const n = shdr.sh_size / shdr.sh_entsize;
		for (let i = 0; i < n; i++) {
			const sym = E.elf_sym(sec.data!, i)!;
			const type = E.ELF64_ST_TYPE(sym.st_info);
			const bind = E.ELF64_ST_BIND(sym.st_info);
			const vis = E.ELF64_ST_VISIBILITY(sym.st_other);
			const at = `ELF sym #${i} in section #${sec.sec_idx}`;
			if (i === 0) {
				if (Object.values(sym).some((v) => v !== 0)) return bad(`ELF sym #0 is invalid in ${obj.filename}`);
				continue;
			}
			if (bind !== E.STB_LOCAL && bind !== E.STB_GLOBAL && bind !== E.STB_WEAK)
				return bad(`${at} has unsupported symbol binding ${bind}`);
			if (vis !== E.STV_DEFAULT && vis !== E.STV_HIDDEN)
				return bad(`${at} has unsupported symbol visibility ${vis}`);
			if (sym.st_shndx === E.SHN_UNDEF) {
				if (type !== E.STT_NOTYPE || bind === E.STB_LOCAL || sym.st_value || sym.st_size)
					return bad(`ELF sym #${i} is invalid extern symbol in ${obj.filename}`);
				continue;
			}
			if (sym.st_shndx < E.SHN_LORESERVE && sym.st_shndx >= obj.secs.length)
				return bad(`${at} points to missing section #${sym.st_shndx} in ${obj.filename}`);
			if (type === E.STT_SECTION && sym.st_value) return -EINVAL;
		}
		return 0;
	}

	private sanity_check_elf_relos(obj: src_obj, sec: src_sec): number {
		const shdr = sec.shdr!;
		const bad = (text: string): number => {
			this.pr.pr_warn(`${text} in ${obj.filename}\n`);
			return -EINVAL;
		};
		const where = `ELF relo section #${sec.sec_idx}`;
		if (shdr.sh_entsize !== E.ELF64_REL_SZ || shdr.sh_size % shdr.sh_entsize) return -EINVAL;
		if (shdr.sh_link !== obj.symtab_sec_idx)
			return bad(`${where} points to invalid SYMTAB section #${shdr.sh_link}`);
		const linked = obj.secs[shdr.sh_info];
		if (!shdr.sh_info || !linked) return bad(`${where} points to missing section #${shdr.sh_info}`);
		if (sec.sec_name !== `.rel${linked.sec_name}`) return bad(`${where} name has invalid name`);
		if (linked.skipped) return 0;
		const { sh_type, sh_flags } = linked.shdr!;
		if (sh_type !== E.SHT_PROGBITS && sh_type !== E.SHT_NOBITS)
			return bad(`${where} points to invalid section #${shdr.sh_info}`);
		const symtab_size = obj.secs[obj.symtab_sec_idx]!.shdr!.sh_size;
		for (let i = 0; i < shdr.sh_size / shdr.sh_entsize; i++) {
			const relo = E.elf_rel(sec.data!, i)!;
			const at = `ELF relo #${i} in section #${sec.sec_idx}`;
			if (![R_BPF_64_64, R_BPF_64_32, R_BPF_64_ABS64, R_BPF_64_ABS32].includes(relo.r_type))
				return bad(`${at} has unexpected type ${relo.r_type}`);
			if (!relo.r_sym || relo.r_sym * E.ELF64_SYM_SZ >= symtab_size)
				return bad(`${at} points to invalid symbol #${relo.r_sym}`);
			if (sh_flags & E.SHF_EXECINSTR && relo.r_offset % INSN_SZ)
				return bad(`${at} points to missing symbol #${relo.r_sym}`);
		}
		return 0;
	}

	/** linker_fixup_btf(): sizes and offsets that the compiler leaves to the linker, and sections that only BTF has */
	private fixup_btf(obj: src_obj): number {
		const { btf } = obj;
		if (!btf) return 0;
		for (let i = 1; i < btf.type_cnt(); i++) {
			const t = btf.type_by_id(i)!;
			if (!btf_is_datasec(t)) continue;
			const sec_name = btf.name(t.name_off);
			let sec = find_src_sec_by_name(obj, sec_name);
			if (sec) {
				if (sec.shdr) t.size = sec.shdr.sh_size;
			} else {
				// externs to be resolved here, not by libbpf or the kernel
				if (sec_name === BTF_EXTERN_SEC) continue;
				sec = this.add_src_sec(obj, sec_name, null, null);
			}
			sec.sec_type_id = i;
			for (let j = 0; j < btf_vlen(t); j++) {
				const vi = btf_var_secinfo_at(t, j);
				const vt = btf.type_by_id(vi.type)!;
				if (!btf_is_var(vt) || btf_var_linkage(vt) !== K.BTF_VAR_GLOBAL_ALLOCATED) continue;
				const name = btf.name(vt.name_off);
				const sym = find_sym_by_name(obj, sec.sec_idx, E.STT_OBJECT, name);
				if (!sym) {
					this.pr.pr_warn(`failed to find symbol for variable '${name}' in section '${sec_name}'\n`);
					return -ENOENT;
				}
				set_btf_var_secinfo(t, j, { ...vi, offset: sym.st_value });
			}
		}
		return 0;
	}

	// ---- putting it behind what there is

	private append_sec_data(obj: src_obj): number {
		for (const src of obj.secs.slice(1)) {
			if (!is_data_sec(src)) continue;
			let dst = this.find_dst_sec_by_name(src.sec_name);
			if (!dst) {
				dst = this.add_dst_sec(src.sec_name);
				this.init_sec(dst, src);
			} else {
				if (!this.secs_match(dst, src)) {
					this.pr.pr_warn(`ELF sections ${src.sec_name} are incompatible\n`);
					return -EINVAL;
				}
				if (src.sec_name === "license" || src.sec_name === "version") {
					if (Buffer.compare(dst.raw_data, src.data!.d_buf ?? new Uint8Array(0)) !== 0) {
						this.pr.pr_warn(`non-identical contents of section '${src.sec_name}' are not supported\n`);
						return -EINVAL;
					}
					src.skipped = true;
					src.dst_id = dst.id;
					continue;
				}
			}
			src.dst_id = dst.id;
			this.extend_sec(dst, src);
		}
		return 0;
	}

	private append_elf_syms(obj: src_obj): number {
		const symtab = obj.secs[obj.symtab_sec_idx]!;
		const n = symtab.shdr!.sh_size / symtab.shdr!.sh_entsize;
		obj.sym_map = new Array<number>(n + 1).fill(0);
		for (let i = 1; i < n; i++) {
			const sym = E.elf_sym(symtab.data!, i)!;
			const name = obj.elf.strptr(symtab.shdr!.sh_link, sym.st_name);
			if (name === null) {
				this.pr.pr_warn(`can't fetch symbol name for symbol #${i} in '${obj.filename}'\n`);
				return -EINVAL;
			}
			const err = this.append_elf_sym(obj, sym, name, i);
			if (err) return err;
		}
		return 0;
	}

	/** find_glob_sym_btf(): the symbol's type and its section in BTF, 0: none */
	private find_glob_sym_btf(obj: src_obj, sym_name: string): { sec: number; id: number } | number {
		const { btf } = obj;
		if (!btf) {
			this.pr.pr_warn(`failed to find BTF info for object '${obj.filename}'\n`);
			return -EINVAL;
		}
		let btf_id = 0;
		for (let i = 1; i < btf.type_cnt(); i++) {
			const t = btf.type_by_id(i)!;
			if (btf_is_non_static(t)) {
				// functions that are declared are in no section
				if (btf.name(t.name_off) === sym_name) btf_id = i;
				continue;
			}
			if (!btf_is_datasec(t)) continue;
			for (let j = 0; j < btf_vlen(t); j++) {
				const { type } = btf_var_secinfo_at(t, j);
				const vt = btf.type_by_id(type)!;
				if (btf.name(vt.name_off) !== sym_name) continue;
				if ((btf_is_var(vt) || btf_is_func(vt)) && !btf_is_non_static(vt)) continue;
				if (btf_id && btf_id !== type) {
					this.pr.pr_warn(
						`global/extern '${sym_name}' BTF is ambiguous: both types #${btf_id} and #${type} match\n`,
					);
					return -EINVAL;
				}
				return { sec: i, id: type };
			}
		}
		if (btf_id) return { sec: 0, id: btf_id };
		this.pr.pr_warn(`failed to find BTF info for global/extern symbol '${sym_name}'\n`);
		return -ENOENT;
	}

	private glob_syms_match(name: string, glob: glob_sym, obj: src_obj, btf_id: number): boolean {
		if (!glob.btf_id || !btf_id) {
			this.pr.pr_warn(`BTF info is missing for global symbol '${name}'\n`);
			return false;
		}
		const t = obj.btf!.type_by_id(btf_id)!;
		if (!btf_is_var(t) && !btf_is_func(t)) {
			this.pr.pr_warn(
				`only extern variables and functions are supported, but got '${btf_kind_str(t)}' for '${name}'\n`,
			);
			return false;
		}
		if (glob.sec_id && this.secs[glob.sec_id]!.sec_name === MAPS_ELF_SEC)
			return glob_map_defs_match(this.pr, name, this.btf, glob.btf_id, obj.btf!, btf_id);
		return glob_sym_btf_matches(this.pr, name, true, this.btf, glob.btf_id, obj.btf!, btf_id);
	}

	/** linker_append_elf_sym() */
	private append_elf_sym(obj: src_obj, sym: E.Elf64_Sym, name: string, src_idx: number): number {
		const type = E.ELF64_ST_TYPE(sym.st_info);
		const bind = E.ELF64_ST_BIND(sym.st_info);
		const vis = E.ELF64_ST_VISIBILITY(sym.st_other);
		const is_extern = sym.st_shndx === E.SHN_UNDEF;
		let src: src_sec | null = null;
		let dst: dst_sec | null = null;
		if (is_extern) {
			if (!obj.btf) {
				this.pr.pr_warn("externs without BTF info are not supported\n");
				return -ENOTSUP;
			}
		} else if (sym.st_shndx < E.SHN_LORESERVE) {
			src = obj.secs[sym.st_shndx]!;
			if (src.skipped) return 0;
			dst = this.secs[src.dst_id]!;
			// a section has one symbol of its own
			if (type === E.STT_SECTION && dst.sec_sym_idx) {
				obj.sym_map[src_idx] = dst.sec_sym_idx;
				return 0;
			}
		}
		if (bind !== E.STB_LOCAL) {
			const found = this.find_glob_sym_btf(obj, name);
			if (typeof found === "number") return found;
			if (is_extern && found.sec) {
				const sec_name = obj.btf!.name(obj.btf!.type_by_id(found.sec)!.name_off);
				if (sec_name !== BTF_EXTERN_SEC) {
					src = find_src_sec_by_name(obj, sec_name) ?? null;
					if (!src) {
						this.pr.pr_warn(`failed to find matching ELF sec '${sec_name}'\n`);
						return -ENOENT;
					}
					dst = this.secs[src.dst_id]!;
				}
			}
			const glob = this.glob_by_name.get(name);
			if (glob) {
				obj.sym_map[src_idx] = glob.sym_idx;
				if (!is_extern && !glob.is_extern && !glob.is_weak && bind !== E.STB_WEAK) {
					this.pr.pr_warn(
						`conflicting non-weak symbol #${src_idx} (${name}) definition in '${obj.filename}'\n`,
					);
					return -EINVAL;
				}
				if (!this.glob_syms_match(name, glob, obj, found.id)) return -EINVAL;
				return this.resolve_sym(obj, glob, sym, src, dst, { type, bind, vis, is_extern }, found.id);
			}
		}

		const name_off = this.strtab_strs.add_str(name);
		const idx = this.syms.length;
		this.syms.push({
			st_name: name_off,
			st_info: sym.st_info,
			st_other: sym.st_other,
			st_shndx: dst ? dst.sec_idx : sym.st_shndx,
			st_value: (src ? src.dst_off : 0) + sym.st_value,
			st_size: sym.st_size,
		});
		obj.sym_map[src_idx] = idx;
		if (type === E.STT_SECTION && dst) {
			dst.sec_sym_idx = idx;
			this.syms[idx]!.st_value = 0;
		}
		if (bind !== E.STB_LOCAL) {
			const glob: glob_sym = {
				name,
				sym_idx: idx,
				sec_id: dst ? dst.id : 0,
				btf_id: 0,
				underlying_btf_id: 0,
				var_idx: -1,
				is_extern,
				is_weak: bind === E.STB_WEAK,
			};
			this.glob_syms.push(glob);
			this.glob_by_name.set(name, glob);
		}
		return 0;
	}

	/** What a further symbol of the same name adds to the one there is. */
	private resolve_sym(
		obj: src_obj,
		glob: glob_sym,
		sym: E.Elf64_Sym,
		src: src_sec | null,
		dst: dst_sec | null,
		is: { type: number; bind: number; vis: number; is_extern: boolean },
		btf_id: number,
	): number {
		const to = this.syms[glob.sym_idx]!;
		// once strong, always strong; once hidden, always hidden
		if (is.bind === E.STB_GLOBAL) {
			to.st_info = ST_INFO(E.STB_GLOBAL, E.ELF64_ST_TYPE(to.st_info));
			glob.is_weak = false;
		}
		if (is.vis > E.ELF64_ST_VISIBILITY(to.st_other)) to.st_other = (to.st_other & ~3) | is.vis;
		if (is.is_extern) return 0;
		if (!glob.is_extern && is.bind === E.STB_WEAK) return 0;
		to.st_info = ST_INFO(E.ELF64_ST_BIND(to.st_info), is.type);
		to.st_shndx = dst!.sec_idx;
		to.st_value = src!.dst_off + sym.st_value;
		to.st_size = sym.st_size;
		glob.sec_id = dst!.id;
		glob.is_extern = false;
		this.complete_extern_btf_info(glob.btf_id, obj.btf!, btf_id);
		// its type is to be replaced when this object's types come
		glob.underlying_btf_id = 0;
		return 0;
	}

	/** complete_extern_btf_info(): a declaration becomes a definition, with names of arguments */
	private complete_extern_btf_info(dst_id: number, src_btf: Btf, src_id: number): void {
		const dst_t = this.btf.type_by_id(dst_id)!;
		if (btf_is_var(dst_t)) {
			dst_t.set_word(0, K.BTF_VAR_GLOBAL_ALLOCATED);
			return;
		}
		dst_t.info = btf_type_info(K.BTF_KIND_FUNC, K.BTF_FUNC_GLOBAL, false);
		const src_proto = src_btf.type_by_id(src_btf.type_by_id(src_id)!.type)!;
		const dst_proto = this.btf.type_by_id(dst_t.type)!;
		for (let i = 0; i < btf_vlen(dst_proto); i++) {
			const name_off = src_proto.word(2 * i);
			if (name_off) dst_proto.set_word(2 * i, this.btf.add_str(src_btf.name(name_off)));
		}
	}

	private append_elf_relos(obj: src_obj): number {
		const src_symtab = obj.secs[obj.symtab_sec_idx]!;
		for (const src of obj.secs.slice(1)) {
			if (src.skipped || src.ephemeral || src.shdr!.sh_type !== E.SHT_REL) continue;
			const src_linked = obj.secs[src.shdr!.sh_info]!;
			if (src_linked.skipped) continue;
			let dst = this.find_dst_sec_by_name(src.sec_name);
			if (!dst) {
				dst = this.add_dst_sec(src.sec_name);
				this.init_sec(dst, src);
			} else if (!this.secs_match(dst, src)) {
				this.pr.pr_warn(`sections ${src.sec_name} are not compatible\n`);
				return -EINVAL;
			}
			dst.shdr!.sh_link = this.symtab_sec.sec_idx;
			const dst_linked = this.secs[src_linked.dst_id]!;
			dst.shdr!.sh_info = dst_linked.sec_idx;
			src.dst_id = dst.id;
			this.extend_sec(dst, src);

			const dv = new DataView(dst.raw_data.buffer);
			const n = src.shdr!.sh_size / src.shdr!.sh_entsize;
			for (let j = 0; j < n; j++) {
				const rel = E.elf_rel(src.data!, j)!;
				const at = src.dst_off + j * E.ELF64_REL_SZ;
				const offset = rel.r_offset + src_linked.dst_off;
				dv.setBigUint64(at, BigInt(offset), true);
				dv.setUint32(at + 8, rel.r_type, true);
				dv.setUint32(at + 12, obj.sym_map[rel.r_sym]!, true);
				const sym = E.elf_sym(src_symtab.data!, rel.r_sym)!;
				if (E.ELF64_ST_TYPE(sym.st_info) !== E.STT_SECTION) continue;
				if (!(src_linked.shdr!.sh_flags & E.SHF_EXECINSTR)) {
					this.pr.pr_warn("relocation against STT_SECTION in non-exec section is not supported!\n");
					return -EINVAL;
				}
				// relative to a section that has moved
				const insns = new DataView(dst_linked.raw_data.buffer);
				const to = obj.secs[sym.st_shndx];
				if (!to || offset + INSN_SZ > insns.byteLength) {
					// libbpf would go beyond the section's end
					this.pr.pr_warn(`relo #${j} in section '${src.sec_name}' of ${obj.filename} leads nowhere\n`);
					return -EINVAL;
				}
				const { dst_off } = to;
				const call = insns.getUint8(offset) === (BPF_JMP | BPF_CALL);
				const imm = insns.getInt32(offset + 4, true) + (call ? dst_off / INSN_SZ : dst_off);
				insns.setInt32(offset + 4, imm, true);
			}
		}
		return 0;
	}

	// ---- types

	private append_btf(obj: src_obj): number {
		const src = obj.btf;
		if (!src) return 0;
		const { btf } = this;
		const start_id = btf.type_cnt();
		const map = new Array<number>(src.type_cnt() + 1).fill(0);
		obj.btf_type_map = map;
		for (let i = 1; i < src.type_cnt(); i++) {
			const t = src.type_by_id(i)!;
			if (btf_is_datasec(t)) continue;
			let glob: glob_sym | undefined;
			if (btf_is_non_static(t)) {
				// without a symbol it is of a section that was left out, as license
				glob = this.glob_by_name.get(src.name(t.name_off));
				if (!glob) continue;
				if (glob.underlying_btf_id === 0) glob.underlying_btf_id = -t.type;
				if (glob.btf_id) {
					map[i] = glob.btf_id;
					continue;
				}
			}
			const id = btf__add_type(btf, src, t);
			map[i] = id;
			if (glob) {
				glob.btf_id = id;
				glob.underlying_btf_id = -t.type;
			}
		}
		for (let i = start_id; i < btf.type_cnt(); i++) {
			const t = btf.type_by_id(i)!;
			const offs = btf_field_offs(t, "ids");
			if (!offs) return -EINVAL;
			for (const off of offs) {
				const id = field_of(t, off);
				if (map[id] === 0 && id !== 0) {
					this.pr.pr_warn(`failed to find new ID mapping for original BTF type ID ${id}\n`);
					return -EINVAL;
				}
				set_field(t, off, map[id]!);
			}
		}
		for (const glob of this.glob_syms) {
			if (glob.underlying_btf_id >= 0) continue;
			glob.underlying_btf_id = map[-glob.underlying_btf_id]!;
			btf.type_by_id(glob.btf_id)!.type = glob.underlying_btf_id;
		}
		for (const sec of obj.secs.slice(1)) {
			if (!sec.sec_type_id || sec.skipped) continue;
			const err = this.append_sec_vars(obj, sec);
			if (err) return err;
		}
		return 0;
	}

	private append_sec_vars(obj: src_obj, sec: src_sec): number {
		const { btf } = this;
		const dst = this.secs[sec.dst_id]!;
		// also where it has no variables: its size counts
		dst.has_btf = true;
		const t = obj.btf!.type_by_id(sec.sec_type_id)!;
		for (let j = 0; j < btf_vlen(t); j++) {
			const v = btf_var_secinfo_at(t, j);
			const type = obj.btf_type_map[v.type]!;
			const vt = btf.type_by_id(type)!;
			let glob: glob_sym | undefined;
			if (btf_is_non_static(vt)) {
				const name = btf.name(vt.name_off);
				glob = this.glob_by_name.get(name);
				if (glob?.sec_id !== dst.id) {
					this.pr.pr_warn(`global '${name}': section mismatch ${glob?.sec_id ?? 0} vs ${dst.id}\n`);
					return -EINVAL;
				}
			}
			if (glob && glob.var_idx >= 0) {
				const size = btf.resolve_size(glob.underlying_btf_id);
				if (size < 0) {
					this.pr.pr_warn(`global '${glob.name}': failed to resolve size of underlying type: ${size}\n`);
					return -EINVAL;
				}
				dst.sec_vars[glob.var_idx]!.size = size;
				continue;
			}
			dst.sec_vars.push({ type, size: v.size, offset: sec.dst_off + v.offset });
			if (glob) glob.var_idx = dst.sec_vars.length - 1;
		}
		return 0;
	}

	private append_btf_ext(obj: src_obj): number {
		const ext = obj.btf_ext;
		if (!ext) return 0;
		const str = (off: number): number => this.btf.add_str(obj.btf!.name(off));
		const kinds: readonly (readonly [ExtKind, btf_ext_info])[] = [
			["func_info", ext.func_info],
			["line_info", ext.line_info],
			["core_relo_info", ext.core_relo_info],
		];
		for (const [kind, info] of kinds) {
			for (const ext_sec of info.secs) {
				const sec_name = obj.btf!.name(ext_sec.sec_name_off);
				const src = find_src_sec_by_name(obj, sec_name);
				if (!src) {
					this.pr.pr_warn(`can't find section '${sec_name}' referenced from .BTF.ext\n`);
					return -EINVAL;
				}
				const dst = this.secs[src.dst_id]!.ext[kind];
				if (dst.rec_sz === 0) dst.rec_sz = info.rec_size;
				if (dst.rec_sz !== info.rec_size) {
					this.pr.pr_warn(`incompatible .BTF.ext record sizes for section '${sec_name}'\n`);
					return -EINVAL;
				}
				for (let i = 0; i < ext_sec.num_info; i++) {
					const at = ext_sec.recs + i * info.rec_size;
					const rec = ext.data.slice(at, at + info.rec_size);
					const dv = new DataView(rec.buffer);
					const word = (off: number, to: (v: number) => number): void =>
						dv.setUint32(off, to(dv.getUint32(off, true)), true);
					word(0, (insn_off) => insn_off + src.dst_off);
					if (kind === "line_info") word(4, str);
					else word(4, (id) => obj.btf_type_map[id]!);
					if (kind !== "func_info") word(8, str);
					dst.recs.push(rec);
				}
			}
		}
		return 0;
	}

	// ---- the end

	private symtab_bytes(): Uint8Array {
		const out = new Uint8Array(this.syms.length * E.ELF64_SYM_SZ);
		const dv = new DataView(out.buffer);
		for (const [i, s] of this.syms.entries()) {
			const at = i * E.ELF64_SYM_SZ;
			dv.setUint32(at, s.st_name, true);
			dv.setUint8(at + 4, s.st_info);
			dv.setUint8(at + 5, s.st_other);
			dv.setUint16(at + 6, s.st_shndx, true);
			dv.setBigUint64(at + 8, BigInt(s.st_value), true);
			dv.setBigUint64(at + 16, BigInt(s.st_size), true);
		}
		return out;
	}

	private emit_elf_data_sec(sec_name: string, data: Uint8Array): void {
		this.elf_secs.push({
			sh_name: this.strtab_strs.add_str(sec_name),
			sh_type: E.SHT_PROGBITS,
			sh_flags: 0,
			sh_link: 0,
			sh_info: 0,
			sh_addralign: 8,
			sh_entsize: 0,
			sh_size: data.length,
			data,
		});
	}

	private finalize_btf(): number {
		const { btf } = this;
		if (btf.type_cnt() === 1) return 0;
		for (const sec of this.secs) {
			if (!sec.has_btf) continue;
			btf.add_datasec(sec.sec_name, sec.sec_sz);
			for (const v of sec.sec_vars) btf.add_datasec_var_info(v.type, v.offset, v.size);
		}
		let err = this.finalize_btf_ext();
		if (err) {
			this.pr.pr_warn(`.BTF.ext generation failed: ${err}\n`);
			return err;
		}
		err = btf__dedup(this.pr, btf, { btf_ext: this.btf_ext });
		if (err) {
			this.pr.pr_warn(`BTF dedup failed: ${err}\n`);
			return err;
		}
		this.emit_elf_data_sec(BTF_ELF_SEC, btf.raw_data());
		if (this.btf_ext) this.emit_elf_data_sec(BTF_EXT_ELF_SEC, this.btf_ext.data);
		return 0;
	}

	private finalize_btf_ext(): number {
		const kinds: readonly (readonly [ExtKind, string])[] = [
			["func_info", "func_info"],
			["line_info", "line_info"],
			["core_relo_info", "core_relo_info"],
		];
		const rec_sz: Record<ExtKind, number> = { func_info: 0, line_info: 0, core_relo_info: 0 };
		for (const sec of this.secs) {
			for (const [kind, name] of kinds) {
				const d = sec.ext[kind];
				if (d.recs.length === 0) continue;
				if (rec_sz[kind] === 0) rec_sz[kind] = d.rec_sz;
				if (rec_sz[kind] !== d.rec_sz) {
					this.pr.pr_warn(`mismatch in ${name} record size ${rec_sz[kind]} != ${d.rec_sz}\n`);
					return -EINVAL;
				}
			}
		}
		const u32 = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
		const lens: number[] = [];
		const parts: Uint8Array[] = [];
		for (const [kind] of kinds) {
			const segment: Uint8Array[] = [];
			for (const sec of this.secs) {
				const { recs } = sec.ext[kind];
				if (recs.length) segment.push(u32(this.btf.add_str(sec.sec_name), recs.length), ...recs);
			}
			if (segment.length) segment.unshift(u32(rec_sz[kind]));
			lens.push(segment.reduce((n, p) => n + p.length, 0));
			parts.push(...segment);
		}
		const [funcs = 0, lines = 0, relos = 0] = lens;
		if (!funcs && !lines && !relos) return 0;
		const magic = K.BTF_MAGIC | (K.BTF_VERSION << 16);
		const header = u32(magic, 32, 0, funcs, funcs, lines, funcs + lines, relos);
		const ext = btf_ext__new(this.pr, Buffer.concat([header, ...parts]));
		if (typeof ext === "number") {
			this.pr.pr_warn(`failed to parse final .BTF.ext data: ${ext}\n`);
			return ext;
		}
		this.btf_ext = ext;
		return 0;
	}
}

function is_data_sec(sec: src_sec): boolean {
	if (sec.skipped) return false;
	if (sec.ephemeral) return true;
	return sec.shdr!.sh_type === E.SHT_PROGBITS || sec.shdr!.sh_type === E.SHT_NOBITS;
}

function find_sym_by_name(obj: src_obj, sec_idx: number, type: number, name: string): E.Elf64_Sym | null {
	const symtab = obj.secs[obj.symtab_sec_idx]!;
	const n = symtab.shdr!.sh_size / symtab.shdr!.sh_entsize;
	for (let i = 0; i < n; i++) {
		const sym = E.elf_sym(symtab.data!, i)!;
		if (sym.st_shndx !== sec_idx || E.ELF64_ST_TYPE(sym.st_info) !== type) continue;
		const s = obj.elf.strptr(symtab.shdr!.sh_link, sym.st_name);
		if (s === null) return null;
		if (s === name) return sym;
	}
	return null;
}

/** linker_sanity_check_btf() */
function sanity_check_btf(obj: src_obj): number {
	const { btf } = obj;
	if (!btf) return 0;
	for (let i = 1; i < btf.type_cnt(); i++) {
		const t = btf.type_by_id(i)!;
		const ids = btf_field_offs(t, "ids");
		const strs = btf_field_offs(t, "strs");
		if (!ids || !strs) return -EINVAL;
		if (ids.some((off) => field_of(t, off) >= btf.type_cnt())) return -EINVAL;
		if (strs.some((off) => btf.str_by_offset(field_of(t, off)) === null)) return -EINVAL;
	}
	return 0;
}

/** linker_sanity_check_btf_ext() */
function sanity_check_btf_ext(obj: src_obj): number {
	const { btf, btf_ext: ext } = obj;
	if (!ext) return 0;
	if (!btf) return -EINVAL;
	let ok = true;
	btf_ext_visit_type_ids(ext, (id) => {
		if (id >= btf.type_cnt()) ok = false;
		return id;
	});
	btf_ext_visit_str_offs(ext, (off) => {
		if (btf.str_by_offset(off) === null) ok = false;
		return off;
	});
	return ok ? 0 : -EINVAL;
}

/** tools/lib/bpf/linker.c: bpf_linker__new: creates the file; a negative errno when that fails. */
export function bpf_linker__new(pr: LibbpfPrinter, filename: string): bpf_linker | number {
	return bpf_linker.create(pr, filename);
}

/** tools/lib/bpf/linker.c: bpf_linker__add_file: 0 or a negative errno. */
export function bpf_linker__add_file(linker: bpf_linker, filename: string): number {
	return linker.add_file(filename);
}

/** tools/lib/bpf/linker.c: bpf_linker__finalize: writes the file; 0 or a negative errno. */
export function bpf_linker__finalize(linker: bpf_linker): number {
	return linker.finalize();
}

/** tools/lib/bpf/linker.c: bpf_linker__free */
export function bpf_linker__free(linker: bpf_linker): void {
	linker.free();
}
