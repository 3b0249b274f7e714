// SPDX-License-Identifier: GPL-2.0-only
/**
 * Opening an object: the ELF file is taken apart into programs, maps, externs and BTF.
 * tools/lib/bpf/libbpf.c: bpf_object_open and what it calls, maps and relocations aside.
 */
import { readFileSync } from "node:fs";
import {
	EINVAL,
	EIO,
	ENOENT,
	EOPNOTSUPP as ENOTSUP,
	ESRCH,
} from "../../../include/uapi/asm-generic/errno.ts";
import {
	BTF_FUNC_EXTERN,
	BTF_FUNC_GLOBAL,
	BTF_INT_BOOL,
	BTF_INT_SIGNED,
	BTF_KIND_ARRAY,
	BTF_KIND_DATASEC,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
	BTF_KIND_INT,
	BTF_VAR_GLOBAL_ALLOCATED,
	BTF_VAR_GLOBAL_EXTERN,
	BTF_VAR_STATIC,
} from "../../../include/uapi/linux/btf.ts";
import { bpf_core_essential_name_len } from "../../../lib/relo_core.ts";
import {
	type Btf,
	type BtfType,
	btf__new,
	btf_array,
	btf_func_linkage,
	btf_int_bits,
	btf_int_encoding,
	btf_is_datasec,
	btf_is_func,
	btf_is_int,
	btf_is_var,
	btf_kind,
	btf_kind_str,
	btf_var_linkage,
	btf_var_secinfo_at,
	btf_var_secinfos,
	btf_vlen,
	set_btf_var_secinfo,
} from "./btf.ts";
import { btf_ext__new } from "./btf_ext.ts";
import { bpf_object__collect_relos } from "./collect_relos.ts";
import {
	ELF64_REL_SZ,
	ELF64_ST_BIND,
	ELF64_ST_TYPE,
	ELF64_ST_VISIBILITY,
	ELF64_SYM_SZ,
	ELFCLASS64,
	ELFDATA2LSB,
	Elf,
	type Elf_Data,
	type Elf64_Shdr,
	type Elf64_Sym,
	EM_BPF,
	ET_REL,
	elf_sym,
	SHF_EXECINSTR,
	SHN_UNDEF,
	SHT_LLVM_ADDRSIG,
	SHT_NOBITS,
	SHT_PROGBITS,
	SHT_REL,
	SHT_STRTAB,
	SHT_SYMTAB,
	STB_GLOBAL,
	STB_LOCAL,
	STB_WEAK,
	STT_FUNC,
	STT_NOTYPE,
	STT_OBJECT,
	STV_HIDDEN,
	STV_INTERNAL,
} from "./elf.ts";
import { bpf_object__init_maps } from "./init_maps.ts";
import {
	BPF_INSN_SZ,
	BPF_OBJ_NAME_LEN,
	cstring,
	get_kernel_version,
	LIBBPF_ERRNO__ENDIAN,
	LIBBPF_ERRNO__FORMAT,
	LIBBPF_ERRNO__LIBELF,
	type Libbpf,
	libbpf_strerror_r,
	roundup,
} from "./libbpf_internal.ts";
import {
	type bpf_object,
	type bpf_program,
	EXT_KCFG,
	EXT_KSYM,
	EXT_UNKNOWN,
	type extern_desc,
	KCFG_BOOL,
	KCFG_CHAR,
	KCFG_CHAR_ARR,
	KCFG_INT,
	KCFG_TRISTATE,
	KCFG_UNKNOWN,
	SEC_BSS,
	SEC_DATA,
	SEC_RELO,
	SEC_RODATA,
	SEC_ST_OPS,
	SEC_UNUSED,
} from "./libbpf_types.ts";
import { find_sec_def } from "./sec_def.ts";

export const BTF_ELF_SEC = ".BTF";
export const BTF_EXT_ELF_SEC = ".BTF.ext";
export const MAPS_ELF_SEC = ".maps";
export const DATA_SEC = ".data";
export const BSS_SEC = ".bss";
export const RODATA_SEC = ".rodata";
export const KCONFIG_SEC = ".kconfig";
export const KSYMS_SEC = ".ksyms";
export const STRUCT_OPS_SEC = ".struct_ops";
export const STRUCT_OPS_LINK_SEC = ".struct_ops.link";
export const ARENA_SEC = ".addr_space.1";

/** struct bpf_object_open_opts */
export interface bpf_object_open_opts {
	object_name?: string;
	relaxed_maps?: boolean;
	pin_root_path?: string;
	kconfig?: string;
	/** BTF file to relocate against instead of the kernel's. */
	btf_custom_path?: string;
	/** Log of the caller's in the process, for BTF and programs. */
	kernel_log_buf?: number;
	kernel_log_size?: number;
	kernel_log_level?: number;
}

/** A name from the symbols' string table; null (and a message) when the file has none there. */
export function elf_sym_str(obj: bpf_object, off: number): string | null {
	return strptr(obj, obj.efile.strtabidx, off);
}

export function elf_sec_str(obj: bpf_object, off: number): string | null {
	return strptr(obj, obj.efile.elf.shstrndx, off);
}

function strptr(obj: bpf_object, section: number, off: number): string | null {
	const name = obj.efile.elf.strptr(section, off);
	if (name === null)
		obj.lib.pr_warn(
			`elf: failed to get section name string at offset ${off} from ${obj.path}: ${obj.efile.elf.errmsg}\n`,
		);
	return name;
}

export function elf_sec_hdr(obj: bpf_object, idx: number): Elf64_Shdr | null {
	const sh = obj.efile.elf.shdr(idx);
	if (!sh) obj.lib.pr_warn(`elf: failed to get section(${idx}) from ${obj.path}: ${obj.efile.elf.errmsg}\n`);
	return sh;
}

export function elf_sec_name(obj: bpf_object, sh: Elf64_Shdr | null): string | null {
	if (!sh) return null;
	const name = elf_sec_str(obj, sh.sh_name);
	if (name === null)
		obj.lib.pr_warn(
			`elf: failed to get section(${sh.index}) name from ${obj.path}: ${obj.efile.elf.errmsg}\n`,
		);
	return name;
}

export function elf_sec_data(obj: bpf_object, sh: Elf64_Shdr | null): Elf_Data | null {
	if (!sh) return null;
	const data = obj.efile.elf.data(sh);
	if (!data) {
		const { errmsg } = obj.efile.elf;
		obj.lib.pr_warn(
			`elf: failed to get section(${sh.index}) ${elf_sec_name(obj, sh) ?? "<?>"} data from ${obj.path}: ${errmsg}\n`,
		);
	}
	return data;
}

function elf_sec_by_name(obj: bpf_object, name: string): Elf64_Shdr | null {
	for (let i = 1; i < obj.efile.elf.shnum; i++) {
		const sh = elf_sec_hdr(obj, i);
		const sec_name = elf_sec_name(obj, sh);
		if (sec_name === null) return null;
		if (sec_name === name) return sh;
	}
	return null;
}

export function elf_sym_by_idx(obj: bpf_object, idx: number): Elf64_Sym | null {
	return obj.efile.symbols ? elf_sym(obj.efile.symbols, idx) : null;
}

function bpf_object__new(lib: Libbpf, path: string, obj_name: string | null, elf: Elf): bpf_object {
	let name: string;
	if (obj_name !== null) {
		name = obj_name.slice(0, BPF_OBJ_NAME_LEN - 1);
	} else {
		name = path.slice(path.lastIndexOf("/") + 1).slice(0, BPF_OBJ_NAME_LEN - 1);
		const dot = name.indexOf(".");
		if (dot >= 0) name = name.slice(0, dot);
	}
	return {
		lib,
		name,
		path,
		license: "",
		kern_version: 0,
		programs: [],
		maps: [],
		kconfig: null,
		externs: [],
		kconfig_map_idx: -1,
		loaded: false,
		has_rodata: false,
		efile: {
			elf,
			symbols: null,
			arena_data: null,
			strtabidx: 0,
			secs: [],
			btf_maps_shndx: -1,
			btf_maps_sec_btf_id: 0,
			text_shndx: 0,
			symbols_shndx: 0,
			has_st_ops: false,
			arena_data_shndx: 0,
		},
		btf: null,
		btf_ext: null,
		btf_vmlinux: null,
		btf_custom_path: null,
		btf_vmlinux_override: null,
		btf_modules: [],
		btf_modules_loaded: false,
		log_buf: 0,
		log_size: 0,
		log_level: 0,
		fd_array: [],
		arena_map_idx: -1,
		arena_data: null,
	};
}

/** tools/lib/bpf/libbpf.c: bpf_object__elf_init, bpf_object__check_endianness */
function elf_init(lib: Libbpf, path: string, bytes: Uint8Array): Elf | number {
	const elf = Elf.memory(bytes);
	if (typeof elf === "string") {
		lib.pr_warn(`elf: failed to open ${path} as ELF file: ${elf}\n`);
		return -LIBBPF_ERRNO__LIBELF;
	}
	if (elf === null) {
		lib.pr_warn(`elf: '${path}' is not a proper ELF object\n`);
		return -LIBBPF_ERRNO__FORMAT;
	}
	if (elf.ei_class !== ELFCLASS64) {
		lib.pr_warn(`elf: '${path}' is not a 64-bit ELF object\n`);
		return -LIBBPF_ERRNO__FORMAT;
	}
	if (elf.ei_data !== ELFDATA2LSB) {
		lib.pr_warn(`elf: endianness mismatch in ${path}.\n`);
		return -LIBBPF_ERRNO__ENDIAN;
	}
	const names = elf.shdr(elf.shstrndx);
	if (!names || !elf.data(names)) {
		lib.pr_warn(`elf: failed to get section names strings from ${path}: ${elf.errmsg}\n`);
		return -LIBBPF_ERRNO__FORMAT;
	}
	if (elf.e_type !== ET_REL || (elf.e_machine !== 0 && elf.e_machine !== EM_BPF)) {
		lib.pr_warn(`elf: ${path} is not a valid eBPF object file\n`);
		return -LIBBPF_ERRNO__FORMAT;
	}
	return elf;
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_prog */
function bpf_object__init_prog(
	obj: bpf_object,
	name: string,
	sec_idx: number,
	sec_name: string,
	sec_off: number,
	insn_data: Uint8Array,
): bpf_program | number {
	if (insn_data.length === 0 || insn_data.length % BPF_INSN_SZ || sec_off % BPF_INSN_SZ) {
		obj.lib.pr_warn(
			`sec '${sec_name}': corrupted program '${name}', offset ${sec_off}, size ${insn_data.length}\n`,
		);
		return -EINVAL;
	}
	return {
		obj,
		name,
		sec_name: sec_name.startsWith("?") ? sec_name.slice(1) : sec_name,
		sec_idx,
		sec_def: null,
		sec_insn_off: sec_off / BPF_INSN_SZ,
		sec_insn_cnt: insn_data.length / BPF_INSN_SZ,
		sub_insn_off: 0,
		insns: insn_data.slice(),
		reloc_desc: [],
		log_buf: 0,
		log_size: 0,
		log_level: obj.log_level,
		fd: -1,
		autoload: !sec_name.startsWith("?"),
		autoattach: true,
		sym_global: false,
		mark_btf_static: false,
		type: 0,
		expected_attach_type: 0,
		exception_cb_idx: -1,
		prog_ifindex: 0,
		attach_btf_obj_fd: 0,
		attach_btf_id: 0,
		attach_prog_fd: 0,
		func_info: null,
		func_info_rec_size: 0,
		func_info_cnt: 0,
		line_info: null,
		line_info_rec_size: 0,
		line_info_cnt: 0,
		prog_flags: 0,
		map_fd_insns: [],
	};
}

/** tools/lib/bpf/libbpf.c: bpf_object__add_programs */
function bpf_object__add_programs(
	obj: bpf_object,
	sec_data: Elf_Data,
	sec_name: string,
	sec_idx: number,
): number {
	const { lib } = obj;
	const symbols = obj.efile.symbols!;
	const nr_syms = Math.floor(symbols.d_size / ELF64_SYM_SZ);
	for (let i = 0; i < nr_syms; i++) {
		const sym = elf_sym(symbols, i)!;
		if (sym.st_shndx !== sec_idx || ELF64_ST_TYPE(sym.st_info) !== STT_FUNC) continue;
		const prog_sz = sym.st_size;
		const sec_off = sym.st_value;
		const name = elf_sym_str(obj, sym.st_name);
		if (name === null) {
			lib.pr_warn(`sec '${sec_name}': failed to get symbol name for offset ${sec_off}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		if (sec_off + prog_sz > sec_data.d_size) {
			lib.pr_warn(`sec '${sec_name}': program at offset ${sec_off} crosses section boundary\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const local = ELF64_ST_BIND(sym.st_info) === STB_LOCAL;
		if (sec_idx !== obj.efile.text_shndx && local) {
			lib.pr_warn(`sec '${sec_name}': program '${name}' is static and not supported\n`);
			return -ENOTSUP;
		}
		lib.pr_debug(
			() =>
				`sec '${sec_name}': found program '${name}' at insn offset ${Math.floor(sec_off / 8)} (${sec_off} bytes), code size ${Math.floor(prog_sz / 8)} insns (${prog_sz} bytes)\n`,
		);
		const prog = bpf_object__init_prog(
			obj,
			name,
			sec_idx,
			sec_name,
			sec_off,
			sec_data.d_buf!.subarray(sec_off, sec_off + prog_sz),
		);
		if (typeof prog === "number") return prog;
		prog.sym_global = !local;
		const visibility = ELF64_ST_VISIBILITY(sym.st_other);
		prog.mark_btf_static = prog.sym_global && (visibility === STV_HIDDEN || visibility === STV_INTERNAL);
		obj.programs.push(prog);
	}
	return 0;
}

function is_sec_name_dwarf(name: string): boolean {
	return name.startsWith(".debug_");
}

/** tools/lib/bpf/libbpf.c: ignore_elf_section */
function ignore_elf_section(hdr: Elf64_Shdr, name: string): boolean {
	if (hdr.sh_type === SHT_STRTAB || hdr.sh_type === SHT_LLVM_ADDRSIG) return true;
	if (hdr.sh_type === SHT_PROGBITS && hdr.sh_size === 0 && name === ".text") return true;
	if (is_sec_name_dwarf(name)) return true;
	if (name.startsWith(".rel")) {
		const of = name.slice(4);
		return is_sec_name_dwarf(of) || of === BTF_ELF_SEC || of === BTF_EXT_ELF_SEC;
	}
	return false;
}

const ST_OPS_SECS = [STRUCT_OPS_SEC, STRUCT_OPS_LINK_SEC, `?${STRUCT_OPS_SEC}`, `?${STRUCT_OPS_LINK_SEC}`];

/** tools/lib/bpf/libbpf.c: bpf_object__elf_collect */
function bpf_object__elf_collect(obj: bpf_object): number {
	const { lib, efile } = obj;
	const { elf } = efile;
	efile.secs = Array.from({ length: elf.shnum }, () => ({ sec_type: SEC_UNUSED, shdr: null, data: null }));
	for (let idx = 1; idx < elf.shnum; idx++) {
		const sh = elf_sec_hdr(obj, idx);
		if (!sh) return -LIBBPF_ERRNO__FORMAT;
		if (sh.sh_type !== SHT_SYMTAB) continue;
		if (efile.symbols) {
			lib.pr_warn(`elf: multiple symbol tables in ${obj.path}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const data = elf_sec_data(obj, sh);
		if (!data) return -LIBBPF_ERRNO__FORMAT;
		efile.symbols = data;
		efile.symbols_shndx = idx;
		efile.strtabidx = sh.sh_link;
	}
	if (!efile.symbols) {
		lib.pr_warn(`elf: couldn't find symbol table in ${obj.path}, stripped object file?\n`);
		return -ENOENT;
	}
	let btf_data: Elf_Data | null = null;
	let btf_ext_data: Elf_Data | null = null;
	let last = 0;
	for (let idx = 1; idx < elf.shnum; idx++) {
		last = idx;
		const sec_desc = efile.secs[idx]!;
		const sh = elf_sec_hdr(obj, idx);
		if (!sh) return -LIBBPF_ERRNO__FORMAT;
		const name = elf_sec_str(obj, sh.sh_name);
		if (name === null) return -LIBBPF_ERRNO__FORMAT;
		if (ignore_elf_section(sh, name)) continue;
		const data = elf_sec_data(obj, sh);
		if (!data) return -LIBBPF_ERRNO__FORMAT;
		lib.pr_debug(
			() =>
				`elf: section(${idx}) ${name}, size ${data.d_size}, link ${sh.sh_link}, flags ${sh.sh_flags.toString(16)}, type=${sh.sh_type}\n`,
		);
		const keep = (type: number): void => {
			sec_desc.sec_type = type;
			sec_desc.shdr = sh;
			sec_desc.data = data;
		};
		if (name === "license") {
			if (!data.d_buf) {
				lib.pr_warn(`invalid license section in ${obj.path}\n`);
				return -LIBBPF_ERRNO__FORMAT;
			}
			obj.license = cstring(data.d_buf.subarray(0, 63));
			lib.pr_debug(() => `license of ${obj.path} is ${obj.license}\n`);
		} else if (name === "version") {
			if (!data.d_buf || data.d_size !== 4) {
				lib.pr_warn(`invalid kver section in ${obj.path}\n`);
				return -LIBBPF_ERRNO__FORMAT;
			}
			obj.kern_version = new DataView(data.d_buf.buffer, data.d_buf.byteOffset).getUint32(0, true);
			lib.pr_debug(() => `kernel version of ${obj.path} is ${obj.kern_version.toString(16)}\n`);
		} else if (name === "maps") {
			lib.pr_warn("elf: legacy map definitions in 'maps' section are not supported by libbpf v1.0+\n");
			return -ENOTSUP;
		} else if (name === MAPS_ELF_SEC) {
			efile.btf_maps_shndx = idx;
		} else if (name === BTF_ELF_SEC) {
			if (sh.sh_type !== SHT_PROGBITS) return -LIBBPF_ERRNO__FORMAT;
			btf_data = data;
		} else if (name === BTF_EXT_ELF_SEC) {
			if (sh.sh_type !== SHT_PROGBITS) return -LIBBPF_ERRNO__FORMAT;
			btf_ext_data = data;
		} else if (sh.sh_type === SHT_SYMTAB) {
			// seen above
		} else if (sh.sh_type === SHT_PROGBITS && data.d_size > 0) {
			if (sh.sh_flags % (SHF_EXECINSTR * 2) >= SHF_EXECINSTR) {
				if (name === ".text") efile.text_shndx = idx;
				const err = bpf_object__add_programs(obj, data, name, idx);
				if (err) return err;
			} else if (name === DATA_SEC || name.startsWith(`${DATA_SEC}.`)) {
				keep(SEC_DATA);
			} else if (name === RODATA_SEC || name.startsWith(`${RODATA_SEC}.`)) {
				keep(SEC_RODATA);
			} else if (ST_OPS_SECS.includes(name)) {
				keep(SEC_ST_OPS);
				efile.has_st_ops = true;
			} else if (name === ARENA_SEC) {
				efile.arena_data = data;
				efile.arena_data_shndx = idx;
			} else {
				lib.pr_info(`elf: skipping unrecognized data section(${idx}) ${name}\n`);
			}
		} else if (sh.sh_type === SHT_REL) {
			const targ = sh.sh_info;
			if (sh.sh_entsize !== ELF64_REL_SZ || targ >= elf.shnum) return -LIBBPF_ERRNO__FORMAT;
			const targ_sh = elf_sec_hdr(obj, targ);
			const exec = targ_sh !== null && targ_sh.sh_flags % (SHF_EXECINSTR * 2) >= SHF_EXECINSTR;
			if (!exec && !ST_OPS_SECS.some((s) => name === `.rel${s}`) && name !== `.rel${MAPS_ELF_SEC}`) {
				lib.pr_info(
					`elf: skipping relo section(${idx}) ${name} for section(${targ}) ${elf_sec_name(obj, targ_sh) ?? "<?>"}\n`,
				);
				continue;
			}
			keep(SEC_RELO);
		} else if (sh.sh_type === SHT_NOBITS && (name === BSS_SEC || name.startsWith(`${BSS_SEC}.`))) {
			keep(SEC_BSS);
		} else {
			lib.pr_info(`elf: skipping section(${idx}) ${name} (size ${sh.sh_size})\n`);
		}
	}
	if (!efile.strtabidx || efile.strtabidx > last) {
		lib.pr_warn(`elf: symbol strings section missing or invalid in ${obj.path}\n`);
		return -LIBBPF_ERRNO__FORMAT;
	}
	obj.programs.sort((a, b) => a.sec_idx - b.sec_idx || a.sec_insn_off - b.sec_insn_off);
	return bpf_object__init_btf(obj, btf_data, btf_ext_data);
}

/** tools/lib/bpf/libbpf.c: bpf_object__init_btf */
function bpf_object__init_btf(obj: bpf_object, btf_data: Elf_Data | null, ext_data: Elf_Data | null): number {
	const { lib } = obj;
	let err = -ENOENT;
	const done = (): number => {
		if (err && (obj.efile.btf_maps_shndx >= 0 || obj.efile.has_st_ops || obj.externs.length > 0)) {
			lib.pr_warn("BTF is required, but is missing or corrupted.\n");
			return err;
		}
		return 0;
	};
	if (btf_data) {
		const btf = btf__new(lib, btf_data.d_buf ?? new Uint8Array(0));
		if (typeof btf === "number") {
			err = btf;
			lib.pr_warn(`Error loading ELF section ${BTF_ELF_SEC}: ${err}.\n`);
			return done();
		}
		err = 0;
		obj.btf = btf;
	}
	if (ext_data) {
		if (!obj.btf) {
			lib.pr_debug(
				() =>
					`Ignore ELF section ${BTF_EXT_ELF_SEC} because its depending ELF section ${BTF_ELF_SEC} is not found.\n`,
			);
			return done();
		}
		const ext = btf_ext__new(lib, ext_data.d_buf ?? new Uint8Array(0));
		if (typeof ext === "number") {
			err = ext;
			lib.pr_warn(`Error loading ELF section ${BTF_EXT_ELF_SEC}: ${err}. Ignored and continue.\n`);
			return done();
		}
		obj.btf_ext = ext;
		for (const seg of [ext.func_info, ext.line_info, ext.core_relo_info]) {
			for (const sec of seg.secs) {
				const sec_name = obj.btf.name(sec.sec_name_off);
				if (sec_name === "") continue;
				sec.sec_idx = elf_sec_by_name(obj, sec_name)?.index ?? 0;
			}
		}
	}
	return done();
}

/** tools/lib/bpf/libbpf.c: sym_is_extern */
export function sym_is_extern(sym: Elf64_Sym): boolean {
	const bind = ELF64_ST_BIND(sym.st_info);
	return (
		sym.st_shndx === SHN_UNDEF &&
		(bind === STB_GLOBAL || bind === STB_WEAK) &&
		ELF64_ST_TYPE(sym.st_info) === STT_NOTYPE
	);
}

function find_extern_btf_id(btf: Btf | null, ext_name: string): number {
	if (!btf) return -ESRCH;
	for (let i = 1; i < btf.type_cnt(); i++) {
		const t = btf.type_by_id(i)!;
		if (!btf_is_var(t) && !btf_is_func(t)) continue;
		if (btf.name(t.name_off) !== ext_name) continue;
		if (btf_is_var(t) && btf_var_linkage(t) !== BTF_VAR_GLOBAL_EXTERN) return -EINVAL;
		if (btf_is_func(t) && btf_func_linkage(t) !== BTF_FUNC_EXTERN) return -EINVAL;
		return i;
	}
	return -ENOENT;
}

function find_extern_sec_btf_id(btf: Btf | null, ext_btf_id: number): number {
	if (!btf) return -ESRCH;
	for (let i = 1; i < btf.type_cnt(); i++) {
		if (btf.kind_of(i) !== BTF_KIND_DATASEC) continue;
		if (btf_var_secinfos(btf.type_by_id(i)!).some((v) => v.type === ext_btf_id)) return i;
	}
	return -ENOENT;
}

/** tools/lib/bpf/libbpf.c: find_kcfg_type */
function find_kcfg_type(btf: Btf, id: number): { type: number; is_signed: boolean } {
	const t = btf.skip_mods_and_typedefs(id);
	const name = btf.name(t.name_off);
	let type = KCFG_UNKNOWN;
	let is_signed = false;
	switch (btf_kind(t)) {
		case BTF_KIND_INT: {
			const enc = btf_int_encoding(t);
			if (enc & BTF_INT_BOOL) {
				type = t.size === 1 ? KCFG_BOOL : KCFG_UNKNOWN;
				break;
			}
			is_signed = (enc & BTF_INT_SIGNED) !== 0;
			if (t.size === 1) type = KCFG_CHAR;
			else if (t.size >= 1 && t.size <= 8 && (t.size & (t.size - 1)) === 0) type = KCFG_INT;
			break;
		}
		case BTF_KIND_ENUM:
			if (t.size === 4 && name === "libbpf_tristate") type = KCFG_TRISTATE;
			break;
		case BTF_KIND_ENUM64:
			if (name === "libbpf_tristate") type = KCFG_TRISTATE;
			break;
		case BTF_KIND_ARRAY: {
			const a = btf_array(t);
			const elem = btf.skip_mods_and_typedefs(a.type);
			if (a.nelems !== 0 && btf_is_int(elem) && find_kcfg_type(btf, a.type).type === KCFG_CHAR)
				type = KCFG_CHAR_ARR;
			break;
		}
		default:
			break;
	}
	return { type, is_signed };
}

/** Kconfig externs first, by falling alignment and rising size; then by name. */
function cmp_externs(a: extern_desc, b: extern_desc): number {
	if (a.type !== b.type) return a.type - b.type;
	if (a.type === EXT_KCFG) {
		if (a.kcfg.align !== b.kcfg.align) return b.kcfg.align - a.kcfg.align;
		if (a.kcfg.sz !== b.kcfg.sz) return a.kcfg.sz - b.kcfg.sz;
	}
	return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

function find_int_btf_id(btf: Btf): number {
	for (let i = 1; i < btf.type_cnt(); i++) {
		if (btf.kind_of(i) === BTF_KIND_INT && btf_int_bits(btf.type_by_id(i)!) === 32) return i;
	}
	return 0;
}

function add_dummy_ksym_var(btf: Btf | null): number {
	if (!btf) return 0;
	const sec_btf_id = btf.find_by_name_kind(KSYMS_SEC, BTF_KIND_DATASEC);
	if (sec_btf_id < 0) return 0;
	const sec = btf.type_by_id(sec_btf_id)!;
	if (!btf_var_secinfos(sec).some((vs) => btf_is_func(btf.type_by_id(vs.type)!))) return 0;
	return btf.add_var("dummy_ksym", BTF_VAR_GLOBAL_ALLOCATED, find_int_btf_id(btf));
}

export function find_extern_by_name(obj: bpf_object, name: string): extern_desc | null {
	return obj.externs.find((e) => e.name === name) ?? null;
}

/** tools/lib/bpf/libbpf.c: bpf_object__collect_externs */
function bpf_object__collect_externs(obj: bpf_object): number {
	const { lib, btf } = obj;
	if (!obj.efile.symbols) return 0;
	const sh = elf_sec_hdr(obj, obj.efile.symbols_shndx);
	if (!sh || sh.sh_entsize !== ELF64_SYM_SZ) return -LIBBPF_ERRNO__FORMAT;
	const dummy_var_btf_id = add_dummy_ksym_var(btf);
	if (dummy_var_btf_id < 0) return dummy_var_btf_id;
	const n = Math.floor(sh.sh_size / sh.sh_entsize);
	lib.pr_debug(() => `looking for externs among ${n} symbols...\n`);
	let kcfg_sec: BtfType | null = null;
	let ksym_sec: BtfType | null = null;
	for (let i = 0; i < n; i++) {
		const sym = elf_sym_by_idx(obj, i);
		if (!sym) return -LIBBPF_ERRNO__FORMAT;
		if (!sym_is_extern(sym)) continue;
		const ext_name = elf_sym_str(obj, sym.st_name);
		if (!ext_name) continue;
		const btf_id = find_extern_btf_id(btf, ext_name);
		if (btf_id <= 0 || !btf) {
			lib.pr_warn(`failed to find BTF for extern '${ext_name}': ${btf_id}\n`);
			return btf_id;
		}
		const t = btf.type_by_id(btf_id)!;
		const essent_len = bpf_core_essential_name_len(ext_name);
		const ext: extern_desc = {
			type: EXT_UNKNOWN,
			sym_idx: i,
			btf_id,
			sec_btf_id: find_extern_sec_btf_id(btf, btf_id),
			name: ext_name,
			essent_name: essent_len === ext_name.length ? null : ext_name.slice(0, essent_len),
			is_set: false,
			is_weak: ELF64_ST_BIND(sym.st_info) === STB_WEAK,
			kcfg: { type: KCFG_UNKNOWN, sz: 0, align: 0, data_off: 0, is_signed: false },
			ksym: { addr: 0n, kernel_btf_obj_fd: 0, kernel_btf_id: 0, type_id: 0, btf_fd_idx: 0 },
		};
		obj.externs.push(ext);
		if (ext.sec_btf_id <= 0) {
			lib.pr_warn(`failed to find BTF for extern '${ext_name}' [${btf_id}] section: ${ext.sec_btf_id}\n`);
			return ext.sec_btf_id;
		}
		const sec = btf.type_by_id(ext.sec_btf_id)!;
		const sec_name = btf.name(sec.name_off);
		if (sec_name === KCONFIG_SEC) {
			if (btf_is_func(t)) {
				lib.pr_warn(`extern function ${ext.name} is unsupported under ${KCONFIG_SEC} section\n`);
				return -ENOTSUP;
			}
			kcfg_sec = sec;
			ext.type = EXT_KCFG;
			ext.kcfg.sz = btf.resolve_size(t.type);
			if (ext.kcfg.sz <= 0) {
				lib.pr_warn(`failed to resolve size of extern (kcfg) '${ext_name}': ${ext.kcfg.sz}\n`);
				return ext.kcfg.sz;
			}
			ext.kcfg.align = btf.align_of(t.type);
			if (ext.kcfg.align <= 0) {
				lib.pr_warn(`failed to determine alignment of extern (kcfg) '${ext_name}': ${ext.kcfg.align}\n`);
				return -EINVAL;
			}
			const kcfg = find_kcfg_type(btf, t.type);
			ext.kcfg.type = kcfg.type;
			ext.kcfg.is_signed = kcfg.is_signed;
			if (ext.kcfg.type === KCFG_UNKNOWN) {
				lib.pr_warn(`extern (kcfg) '${ext_name}': type is unsupported\n`);
				return -ENOTSUP;
			}
		} else if (sec_name === KSYMS_SEC) {
			ksym_sec = sec;
			ext.type = EXT_KSYM;
			ext.ksym.type_id = btf.skip_mods_and_typedefs(t.type).id;
		} else {
			lib.pr_warn(`unrecognized extern section '${sec_name}'\n`);
			return -ENOTSUP;
		}
	}
	lib.pr_debug(() => `collected ${obj.externs.length} externs total\n`);
	if (obj.externs.length === 0 || !btf) return 0;
	obj.externs.sort(cmp_externs);
	if (ksym_sec) {
		const err = fixup_ksyms_sec(obj, btf, ksym_sec, dummy_var_btf_id);
		if (err) return err;
	}
	if (kcfg_sec) {
		let off = 0;
		for (const ext of obj.externs) {
			if (ext.type !== EXT_KCFG) continue;
			ext.kcfg.data_off = roundup(off, ext.kcfg.align);
			off = ext.kcfg.data_off + ext.kcfg.sz;
		}
		kcfg_sec.size = off;
		for (let i = 0; i < btf_vlen(kcfg_sec); i++) {
			const vs = btf_var_secinfo_at(kcfg_sec, i);
			const t = btf.type_by_id(vs.type)!;
			const ext_name = btf.name(t.name_off);
			const ext = find_extern_by_name(obj, ext_name);
			if (!ext) {
				lib.pr_warn(`failed to find extern definition for BTF var '${ext_name}'\n`);
				return -ESRCH;
			}
			t.set_word(0, BTF_VAR_GLOBAL_ALLOCATED);
			set_btf_var_secinfo(kcfg_sec, i, { type: vs.type, offset: ext.kcfg.data_off, size: vs.size });
		}
	}
	return 0;
}

/**
 * The kernel takes no DATASEC of externs: variables become ints of this object, functions global ones
 * with a stand-in variable in their place.
 */
function fixup_ksyms_sec(obj: bpf_object, btf: Btf, sec: BtfType, dummy_var_btf_id: number): number {
	const int_btf_id = find_int_btf_id(btf);
	const dummy_name_off = btf.type_by_id(dummy_var_btf_id)!.name_off;
	let off = 0;
	for (let i = 0; i < btf_vlen(sec); i++, off += 4) {
		let type = btf_var_secinfo_at(sec, i).type;
		const vt = btf.type_by_id(type)!;
		const ext_name = btf.name(vt.name_off);
		if (!find_extern_by_name(obj, ext_name)) {
			obj.lib.pr_warn(`failed to find extern definition for BTF ${btf_kind_str(vt)} '${ext_name}'\n`);
			return -ESRCH;
		}
		if (btf_is_func(vt)) {
			const proto = btf.type_by_id(vt.type)!;
			for (let j = 0; j < btf_vlen(proto); j++) {
				if (proto.word(j * 2 + 1) && !proto.word(j * 2)) proto.set_word(j * 2, dummy_name_off);
			}
			type = dummy_var_btf_id;
			vt.info = ((vt.info & ~0xffff) | BTF_FUNC_GLOBAL) >>> 0;
		} else {
			vt.set_word(0, BTF_VAR_GLOBAL_ALLOCATED);
			vt.type = int_btf_id;
		}
		set_btf_var_secinfo(sec, i, { type, offset: off, size: 4 });
	}
	sec.size = off;
	return 0;
}

function find_elf_var_sym(obj: bpf_object, name: string): Elf64_Sym | number {
	const symbols = obj.efile.symbols!;
	for (let si = 0; si < Math.floor(symbols.d_size / ELF64_SYM_SZ); si++) {
		const sym = elf_sym(symbols, si)!;
		if (ELF64_ST_TYPE(sym.st_info) !== STT_OBJECT) continue;
		const bind = ELF64_ST_BIND(sym.st_info);
		if (bind !== STB_GLOBAL && bind !== STB_WEAK) continue;
		const sname = elf_sym_str(obj, sym.st_name);
		if (sname === null) {
			obj.lib.pr_warn(`failed to get sym name string for var ${name}\n`);
			return -EIO;
		}
		if (sname === name) return sym;
	}
	return -ENOENT;
}

/** tools/lib/bpf/libbpf.c: btf_fixup_datasec: sizes and offsets that clang leaves to the linker. */
function btf_fixup_datasec(obj: bpf_object, btf: Btf, t: BtfType): number {
	const { lib } = obj;
	const vars = btf_vlen(t);
	const sec_name = btf.name(t.name_off);
	if (sec_name !== KCONFIG_SEC && sec_name !== KSYMS_SEC) {
		let fixup_offsets = false;
		if (t.size === 0) {
			const size = elf_sec_data(obj, elf_sec_by_name(obj, sec_name))?.d_size ?? 0;
			if (!size) {
				lib.pr_debug(
					() => `sec '${sec_name}': failed to determine size from ELF: size ${size}, err ${-ENOENT}\n`,
				);
				return -ENOENT;
			}
			t.size = size;
			fixup_offsets = true;
		}
		for (let i = 0; i < vars; i++) {
			const vsi = btf_var_secinfo_at(t, i);
			const t_var = btf.type_by_id(vsi.type);
			if (!t_var || !btf_is_var(t_var)) {
				lib.pr_debug(() => `sec '${sec_name}': unexpected non-VAR type found\n`);
				return -EINVAL;
			}
			const linkage = btf_var_linkage(t_var);
			if (linkage === BTF_VAR_STATIC || linkage === BTF_VAR_GLOBAL_EXTERN) continue;
			const var_name = btf.name(t_var.name_off);
			const sym = find_elf_var_sym(obj, var_name);
			if (typeof sym === "number") {
				lib.pr_debug(() => `sec '${sec_name}': failed to find ELF symbol for VAR '${var_name}'\n`);
				return -ENOENT;
			}
			if (fixup_offsets) set_btf_var_secinfo(t, i, { ...vsi, offset: sym.st_value });
			const visibility = ELF64_ST_VISIBILITY(sym.st_other);
			if (visibility === STV_HIDDEN || visibility === STV_INTERNAL) t_var.set_word(0, BTF_VAR_STATIC);
		}
	}
	btf_var_secinfos(t)
		.sort((a, b) => (a.offset | 0) - (b.offset | 0))
		.forEach((v, i) => {
			set_btf_var_secinfo(t, i, v);
		});
	return 0;
}

function bpf_object_fixup_btf(obj: bpf_object): number {
	const { btf } = obj;
	if (!btf) return 0;
	for (let i = 1; i < btf.type_cnt(); i++) {
		const t = btf.type_by_id(i)!;
		if (!btf_is_datasec(t)) continue;
		const err = btf_fixup_datasec(obj, btf, t);
		if (err) return err;
	}
	return 0;
}

function bpf_object_init_progs(obj: bpf_object): number {
	for (const prog of obj.programs) {
		prog.sec_def = find_sec_def(prog.sec_name);
		if (!prog.sec_def) {
			obj.lib.pr_debug(() => `prog '${prog.name}': unrecognized ELF section name '${prog.sec_name}'\n`);
			continue;
		}
		prog.type = prog.sec_def.prog_type;
		prog.expected_attach_type = prog.sec_def.expected_attach_type;
	}
	return 0;
}

function bpf_object_open(
	lib: Libbpf,
	path: string,
	bytes: Uint8Array,
	obj_name: string | null,
	opts: bpf_object_open_opts,
): bpf_object | number {
	if (opts.kernel_log_size && !opts.kernel_log_buf) return -EINVAL;
	// A Buffer's slice() is no copy; a plain array's is.
	const elf = elf_init(lib, path, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
	if (typeof elf === "number") return elf;
	const obj = bpf_object__new(lib, path, opts.object_name ?? obj_name, elf);
	obj.kern_version = get_kernel_version(lib);
	obj.log_buf = opts.kernel_log_buf ?? 0;
	obj.log_size = opts.kernel_log_size ?? 0;
	obj.log_level = opts.kernel_log_level ?? 0;
	obj.btf_custom_path = opts.btf_custom_path ?? null;
	obj.kconfig = opts.kconfig ?? null;
	const err =
		bpf_object__elf_collect(obj) ||
		bpf_object__collect_externs(obj) ||
		bpf_object_fixup_btf(obj) ||
		bpf_object__init_maps(obj, opts) ||
		bpf_object_init_progs(obj) ||
		bpf_object__collect_relos(obj);
	return err ? err : obj;
}

/** tools/lib/bpf/libbpf.c: bpf_object__open_file: a file of the machine this runs on; a negative errno. */
export function bpf_object__open_file(
	lib: Libbpf,
	path: string,
	opts: bpf_object_open_opts = {},
): bpf_object | number {
	lib.pr_debug(() => `loading object from ${path}\n`);
	let bytes: Uint8Array;
	try {
		bytes = readFileSync(path);
	} catch (e) {
		const { errno } = e as NodeJS.ErrnoException;
		const err = errno === undefined ? -EIO : errno;
		lib.pr_warn(`elf: failed to open ${path}: ${libbpf_strerror_r(err)}\n`);
		return err;
	}
	return bpf_object_open(lib, path, bytes, null, opts);
}

/** tools/lib/bpf/libbpf.c: bpf_object__open_mem: from bytes; without a name the size makes one. */
export function bpf_object__open_mem(
	lib: Libbpf,
	bytes: Uint8Array,
	opts: bpf_object_open_opts = {},
): bpf_object | number {
	if (bytes.length === 0) return -EINVAL;
	const name = opts.object_name ?? `0-${bytes.length.toString(16)}`;
	lib.pr_debug(() => `loading object '${name}' from buffer\n`);
	return bpf_object_open(lib, name, bytes, name, opts);
}
