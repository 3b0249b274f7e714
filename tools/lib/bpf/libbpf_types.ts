// SPDX-License-Identifier: GPL-2.0-only
/** The objects of libbpf: tools/lib/bpf/libbpf.c: struct bpf_object, bpf_program, bpf_map and what hangs off them. */
import type { Btf } from "./btf.ts";
import type { bpf_core_relo, btf_ext } from "./btf_ext.ts";
import type { Elf, Elf_Data, Elf64_Shdr } from "./elf.ts";
import type { Libbpf } from "./libbpf_internal.ts";
import type { bpf_sec_def } from "./sec_def.ts";

// enum reloc_type
export const RELO_LD64 = 0;
export const RELO_CALL = 1;
export const RELO_DATA = 2;
export const RELO_EXTERN_LD64 = 3;
export const RELO_EXTERN_CALL = 4;
export const RELO_SUBPROG_ADDR = 5;
export const RELO_CORE = 6;

/** struct reloc_desc */
export interface reloc_desc {
	type: number;
	insn_idx: number;
	core_relo: bpf_core_relo | null;
	map_idx: number;
	sym_off: number;
	ext_idx: number;
}

/** struct bpf_program */
export interface bpf_program {
	readonly obj: bpf_object;
	name: string;
	sec_name: string;
	sec_idx: number;
	sec_def: bpf_sec_def | null;
	/** Where it begins in its section, in instructions; and how many it has there, subprograms aside. */
	sec_insn_off: number;
	sec_insn_cnt: number;
	/** Where a subprogram lies in the main program being put together; 0 while it does not. */
	sub_insn_off: number;
	insns: Uint8Array;
	reloc_desc: reloc_desc[];
	/** Address and size of a log of the caller's, in the process. */
	log_buf: number;
	log_size: number;
	log_level: number;
	fd: number;
	autoload: boolean;
	autoattach: boolean;
	sym_global: boolean;
	mark_btf_static: boolean;
	type: number;
	expected_attach_type: number;
	exception_cb_idx: number;
	prog_ifindex: number;
	attach_btf_obj_fd: number;
	attach_btf_id: number;
	attach_prog_fd: number;
	func_info: Uint8Array | null;
	func_info_rec_size: number;
	func_info_cnt: number;
	line_info: Uint8Array | null;
	line_info_rec_size: number;
	line_info_cnt: number;
	prog_flags: number;
	/** Loads of map addresses whose descriptor is not known before the maps are made. */
	map_fd_insns: { insn_idx: number; map: bpf_map }[];
}

/** struct bpf_map_def */
export interface bpf_map_def {
	type: number;
	key_size: number;
	value_size: number;
	max_entries: number;
	map_flags: number;
}

// enum libbpf_map_type
export const LIBBPF_MAP_UNSPEC = 0;
export const LIBBPF_MAP_DATA = 1;
export const LIBBPF_MAP_BSS = 2;
export const LIBBPF_MAP_RODATA = 3;
export const LIBBPF_MAP_KCONFIG = 4;

/** struct bpf_struct_ops */
export interface bpf_struct_ops {
	/** Program of each member, null for the others. */
	progs: (bpf_program | null)[];
	kern_func_off: number[];
	/** The variable as the object has it, without its function pointers … */
	data: Uint8Array;
	/** … which are here, by byte offset. */
	data_progs: Map<number, bpf_program>;
	kern_vdata: Uint8Array | null;
	type_id: number;
}

/** struct bpf_map */
export interface bpf_map {
	readonly obj: bpf_object;
	name: string;
	/** Name of the section, for maps made of one. */
	real_name: string | null;
	fd: number;
	sec_idx: number;
	sec_offset: number;
	map_ifindex: number;
	inner_map_fd: number;
	def: bpf_map_def;
	numa_node: number;
	btf_var_idx: number;
	mod_btf_fd: number;
	btf_key_type_id: number;
	btf_value_type_id: number;
	btf_vmlinux_value_type_id: number;
	libbpf_type: number;
	/** Contents before the map is made; what is written here is what the map starts with. */
	init_data: Uint8Array | null;
	/** Address of the map in the process once it is made and can be mapped; 0 otherwise. */
	mmaped: number;
	st_ops: bpf_struct_ops | null;
	inner_map: bpf_map | null;
	init_slots: (bpf_map | bpf_program | null)[];
	pin_path: string | null;
	pinned: boolean;
	reused: boolean;
	autocreate: boolean;
	autoattach: boolean;
	map_extra: bigint;
}

// enum extern_type
export const EXT_UNKNOWN = 0;
export const EXT_KCFG = 1;
export const EXT_KSYM = 2;

// enum kcfg_type
export const KCFG_UNKNOWN = 0;
export const KCFG_CHAR = 1;
export const KCFG_BOOL = 2;
export const KCFG_INT = 3;
export const KCFG_TRISTATE = 4;
export const KCFG_CHAR_ARR = 5;

/** struct extern_desc */
export interface extern_desc {
	type: number;
	sym_idx: number;
	btf_id: number;
	sec_btf_id: number;
	name: string;
	/** The name without its `___flavor`, where it has one. */
	essent_name: string | null;
	is_set: boolean;
	is_weak: boolean;
	kcfg: { type: number; sz: number; align: number; data_off: number; is_signed: boolean };
	ksym: {
		addr: bigint;
		kernel_btf_obj_fd: number;
		kernel_btf_id: number;
		type_id: number;
		btf_fd_idx: number;
	};
}

/** struct module_btf */
export interface module_btf {
	btf: Btf;
	name: string;
	id: number;
	fd: number;
	fd_array_idx: number;
}

// enum sec_type
export const SEC_UNUSED = 0;
export const SEC_RELO = 1;
export const SEC_BSS = 2;
export const SEC_DATA = 3;
export const SEC_RODATA = 4;
export const SEC_ST_OPS = 5;

/** struct elf_sec_desc */
export interface elf_sec_desc {
	sec_type: number;
	shdr: Elf64_Shdr | null;
	data: Elf_Data | null;
}

/** struct elf_state: the file, while the object is being opened. */
export interface elf_state {
	elf: Elf;
	symbols: Elf_Data | null;
	arena_data: Elf_Data | null;
	strtabidx: number;
	secs: elf_sec_desc[];
	btf_maps_shndx: number;
	btf_maps_sec_btf_id: number;
	text_shndx: number;
	symbols_shndx: number;
	has_st_ops: boolean;
	arena_data_shndx: number;
}

/** struct bpf_object */
export interface bpf_object {
	readonly lib: Libbpf;
	name: string;
	path: string;
	license: string;
	kern_version: number;
	programs: bpf_program[];
	maps: bpf_map[];
	/** Extra Kconfig text. */
	kconfig: string | null;
	externs: extern_desc[];
	kconfig_map_idx: number;
	loaded: boolean;
	has_rodata: boolean;
	efile: elf_state;
	btf: Btf | null;
	btf_ext: btf_ext | null;
	btf_vmlinux: Btf | null;
	btf_custom_path: string | null;
	btf_vmlinux_override: Btf | null;
	btf_modules: module_btf[];
	btf_modules_loaded: boolean;
	log_buf: number;
	log_size: number;
	log_level: number;
	fd_array: number[];
	arena_map_idx: number;
	arena_data: Uint8Array | null;
}

/** Whether a map was made from a section (.data, .rodata, .bss, .kconfig). */
export function bpf_map__is_internal(map: bpf_map): boolean {
	return map.libbpf_type !== LIBBPF_MAP_UNSPEC;
}

/** tools/lib/bpf/libbpf.c: prog_is_subprog */
export function prog_is_subprog(obj: bpf_object, prog: bpf_program): boolean {
	return prog.sec_idx === obj.efile.text_shndx;
}
