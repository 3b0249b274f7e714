// SPDX-License-Identifier: GPL-2.0-only
/**
 * Reading the ELF relocations: which instruction of which program wants what.
 * tools/lib/bpf/libbpf.c: bpf_object__collect_relos and what it calls.
 */
import { EINVAL, ESRCH } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PSEUDO_CALL,
} from "../../../include/uapi/linux/bpf.ts";
import {
	type Btf,
	type BtfType,
	btf_is_func_proto,
	btf_is_ptr,
	btf_member_at,
	btf_member_bit_offset,
	btf_var_secinfo_at,
	btf_vlen,
} from "./btf.ts";
import {
	ELF64_REL_SZ,
	ELF64_ST_BIND,
	ELF64_ST_TYPE,
	type Elf_Data,
	type Elf64_Rel,
	type Elf64_Shdr,
	type Elf64_Sym,
	elf_rel,
	SHN_LORESERVE,
	SHT_REL,
	STB_GLOBAL,
	STB_LOCAL,
	STB_WEAK,
	STT_FUNC,
	STT_SECTION,
} from "./elf.ts";
import {
	bpf_map__is_struct_ops,
	bpf_map_type__is_map_in_map,
	bpf_object__find_map_by_name,
} from "./init_maps.ts";
import { insn_code, insn_imm, insn_src, is_call_insn, is_ldimm64_insn } from "./insn.ts";
import {
	BPF_INSN_SZ,
	LIBBPF_ERRNO__FORMAT,
	LIBBPF_ERRNO__INTERNAL,
	LIBBPF_ERRNO__RELOC,
} from "./libbpf_internal.ts";
import {
	type bpf_map,
	type bpf_object,
	type bpf_program,
	LIBBPF_MAP_BSS,
	LIBBPF_MAP_DATA,
	LIBBPF_MAP_KCONFIG,
	LIBBPF_MAP_RODATA,
	LIBBPF_MAP_UNSPEC,
	prog_is_subprog,
	RELO_CALL,
	RELO_DATA,
	RELO_EXTERN_CALL,
	RELO_EXTERN_LD64,
	RELO_LD64,
	RELO_SUBPROG_ADDR,
	type reloc_desc,
	SEC_BSS,
	SEC_DATA,
	SEC_RELO,
	SEC_RODATA,
	SEC_ST_OPS,
} from "./libbpf_types.ts";
import {
	elf_sec_data,
	elf_sec_hdr,
	elf_sec_name,
	elf_sec_str,
	elf_sym_by_idx,
	elf_sym_str,
	sym_is_extern,
} from "./open.ts";

function sym_is_subprog(sym: Elf64_Sym, text_shndx: number): boolean {
	const bind = ELF64_ST_BIND(sym.st_info);
	const type = ELF64_ST_TYPE(sym.st_info);
	if (sym.st_shndx !== text_shndx) return false;
	if (bind === STB_LOCAL && type === STT_SECTION) return true;
	return (bind === STB_GLOBAL || bind === STB_WEAK) && type === STT_FUNC;
}

function section_to_libbpf_map_type(obj: bpf_object, shndx: number): number {
	if (shndx === obj.efile.symbols_shndx) return LIBBPF_MAP_KCONFIG;
	switch (obj.efile.secs[shndx]?.sec_type) {
		case SEC_BSS:
			return LIBBPF_MAP_BSS;
		case SEC_DATA:
			return LIBBPF_MAP_DATA;
		case SEC_RODATA:
			return LIBBPF_MAP_RODATA;
		default:
			return LIBBPF_MAP_UNSPEC;
	}
}

function shndx_is_data(obj: bpf_object, shndx: number): boolean {
	const type = obj.efile.secs[shndx]?.sec_type;
	return type === SEC_BSS || type === SEC_DATA || type === SEC_RODATA;
}

/** tools/lib/bpf/libbpf.c: find_prog_by_sec_insn */
export function find_prog_by_sec_insn(
	obj: bpf_object,
	sec_idx: number,
	insn_idx: number,
): bpf_program | null {
	if (obj.programs.length === 0) return null;
	let l = 0;
	let r = obj.programs.length - 1;
	while (l < r) {
		const m = l + Math.floor((r - l + 1) / 2);
		const prog = obj.programs[m]!;
		if (prog.sec_idx < sec_idx || (prog.sec_idx === sec_idx && prog.sec_insn_off <= insn_idx)) l = m;
		else r = m - 1;
	}
	const prog = obj.programs[l]!;
	const inside = insn_idx >= prog.sec_insn_off && insn_idx < prog.sec_insn_off + prog.sec_insn_cnt;
	return prog.sec_idx === sec_idx && inside ? prog : null;
}

/** tools/lib/bpf/libbpf.c: bpf_program__record_reloc: what one relocation is, or a negative error. */
function bpf_program__record_reloc(
	prog: bpf_program,
	insn_idx: number,
	sym_name: string,
	sym: Elf64_Sym,
	rel: Elf64_Rel,
): reloc_desc | number {
	const { obj } = prog;
	const { lib, efile } = obj;
	const { insns } = prog;
	const shdr_idx = sym.st_shndx;
	const desc = (type: number, map_idx = 0, sym_off = 0, ext_idx = 0): reloc_desc => ({
		type,
		insn_idx,
		core_relo: null,
		map_idx,
		sym_off,
		ext_idx,
	});
	if (!is_call_insn(insns, insn_idx) && !is_ldimm64_insn(insns, insn_idx)) {
		lib.pr_warn(
			`prog '${prog.name}': invalid relo against '${sym_name}' for insns[${insn_idx}].code 0x${insn_code(insns, insn_idx).toString(16)}\n`,
		);
		return -LIBBPF_ERRNO__RELOC;
	}
	if (sym_is_extern(sym)) {
		const i = obj.externs.findIndex((e) => e.sym_idx === rel.r_sym);
		if (i < 0) {
			lib.pr_warn(
				`prog '${prog.name}': extern relo failed to find extern for '${sym_name}' (${rel.r_sym})\n`,
			);
			return -LIBBPF_ERRNO__RELOC;
		}
		lib.pr_debug(
			() =>
				`prog '${prog.name}': found extern #${i} '${obj.externs[i]!.name}' (sym ${rel.r_sym}) for insn #${insn_idx}\n`,
		);
		return desc(is_call_insn(insns, insn_idx) ? RELO_EXTERN_CALL : RELO_EXTERN_LD64, 0, 0, i);
	}
	const sec_name = (): string => elf_sec_name(obj, elf_sec_hdr(obj, shdr_idx)) ?? "(null)";
	if (is_call_insn(insns, insn_idx)) {
		if (insn_src(insns, insn_idx) !== BPF_PSEUDO_CALL) {
			lib.pr_warn(`prog '${prog.name}': incorrect bpf_call opcode\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		if (!shdr_idx || shdr_idx !== efile.text_shndx) {
			lib.pr_warn(`prog '${prog.name}': bad call relo against '${sym_name}' in section '${sec_name()}'\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		if (sym.st_value % BPF_INSN_SZ) {
			lib.pr_warn(`prog '${prog.name}': bad call relo against '${sym_name}' at offset ${sym.st_value}\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		return desc(RELO_CALL, 0, sym.st_value);
	}
	if (!shdr_idx || shdr_idx >= SHN_LORESERVE) {
		lib.pr_warn(
			`prog '${prog.name}': invalid relo against '${sym_name}' in special section 0x${shdr_idx.toString(16)}; forgot to initialize global var?..\n`,
		);
		return -LIBBPF_ERRNO__RELOC;
	}
	if (sym_is_subprog(sym, efile.text_shndx)) {
		const imm = insn_imm(insns, insn_idx);
		if (sym.st_value % BPF_INSN_SZ || imm % BPF_INSN_SZ) {
			lib.pr_warn(
				`prog '${prog.name}': bad subprog addr relo against '${sym_name}' at offset ${sym.st_value}+${imm}\n`,
			);
			return -LIBBPF_ERRNO__RELOC;
		}
		return desc(RELO_SUBPROG_ADDR, 0, sym.st_value);
	}
	const type = section_to_libbpf_map_type(obj, shdr_idx);
	if (shdr_idx === efile.arena_data_shndx) {
		if (obj.arena_map_idx < 0) {
			lib.pr_warn(
				`prog '${prog.name}': bad arena data relocation at insn ${insn_idx}, no arena maps defined\n`,
			);
			return -LIBBPF_ERRNO__RELOC;
		}
		return desc(RELO_DATA, obj.arena_map_idx, sym.st_value);
	}
	if (type === LIBBPF_MAP_UNSPEC) {
		if (shdr_idx !== efile.btf_maps_shndx) {
			lib.pr_warn(`prog '${prog.name}': bad map relo against '${sym_name}' in section '${sec_name()}'\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		const map_idx = obj.maps.findIndex(
			(m) => m.libbpf_type === type && m.sec_idx === shdr_idx && m.sec_offset === sym.st_value,
		);
		if (map_idx < 0) {
			lib.pr_warn(
				`prog '${prog.name}': map relo failed to find map for section '${sec_name()}', off ${sym.st_value}\n`,
			);
			return -LIBBPF_ERRNO__RELOC;
		}
		return desc(RELO_LD64, map_idx);
	}
	if (!shndx_is_data(obj, shdr_idx)) {
		lib.pr_warn(`prog '${prog.name}': bad data relo against section '${sec_name()}'\n`);
		return -LIBBPF_ERRNO__RELOC;
	}
	const map_idx = obj.maps.findIndex((m) => m.libbpf_type === type && m.sec_idx === shdr_idx);
	if (map_idx < 0) {
		lib.pr_warn(`prog '${prog.name}': data relo failed to find map for section '${sec_name()}'\n`);
		return -LIBBPF_ERRNO__RELOC;
	}
	return desc(RELO_DATA, map_idx, sym.st_value);
}

/** tools/lib/bpf/libbpf.c: bpf_object__collect_prog_relos */
function bpf_object__collect_prog_relos(obj: bpf_object, shdr: Elf64_Shdr, data: Elf_Data): number {
	const { lib } = obj;
	const sec_idx = shdr.sh_info;
	const scn = elf_sec_hdr(obj, sec_idx);
	const scn_data = elf_sec_data(obj, scn);
	if (!scn_data) return -LIBBPF_ERRNO__FORMAT;
	const relo_sec_name = elf_sec_str(obj, shdr.sh_name);
	const sec_name = elf_sec_name(obj, scn);
	if (relo_sec_name === null || sec_name === null) return -EINVAL;
	lib.pr_debug(() => `sec '${relo_sec_name}': collecting relocation for section(${sec_idx}) '${sec_name}'\n`);
	const nrels = Math.floor(shdr.sh_size / ELF64_REL_SZ);
	for (let i = 0; i < nrels; i++) {
		const rel = elf_rel(data, i);
		if (!rel) {
			lib.pr_warn(`sec '${relo_sec_name}': failed to get relo #${i}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const sym = elf_sym_by_idx(obj, rel.r_sym);
		if (!sym) {
			lib.pr_warn(`sec '${relo_sec_name}': symbol #${rel.r_sym} not found for relo #${i}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		if (sym.st_shndx >= obj.efile.secs.length) {
			lib.pr_warn(
				`sec '${relo_sec_name}': corrupted symbol #${rel.r_sym} pointing to invalid section #${sym.st_shndx} for relo #${i}\n`,
			);
			return -LIBBPF_ERRNO__FORMAT;
		}
		if (rel.r_offset % BPF_INSN_SZ || rel.r_offset >= scn_data.d_size) {
			lib.pr_warn(`sec '${relo_sec_name}': invalid offset 0x${rel.r_offset.toString(16)} for relo #${i}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		let insn_idx = rel.r_offset / BPF_INSN_SZ;
		const sym_name =
			(ELF64_ST_TYPE(sym.st_info) === STT_SECTION && sym.st_name === 0
				? elf_sec_name(obj, elf_sec_hdr(obj, sym.st_shndx))
				: elf_sym_str(obj, sym.st_name)) ?? "<?";
		lib.pr_debug(() => `sec '${relo_sec_name}': relo #${i}: insn #${insn_idx} against '${sym_name}'\n`);
		const prog = find_prog_by_sec_insn(obj, sec_idx, insn_idx);
		if (!prog) {
			lib.pr_debug(
				() =>
					`sec '${relo_sec_name}': relo #${i}: couldn't find program in section '${sec_name}' for insn #${insn_idx}, probably overridden weak function, skipping...\n`,
			);
			continue;
		}
		insn_idx -= prog.sec_insn_off;
		const relo = bpf_program__record_reloc(prog, insn_idx, sym_name, sym, rel);
		if (typeof relo === "number") return relo;
		prog.reloc_desc.push(relo);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__collect_map_relos: `values[]` of maps of maps and program arrays. */
function bpf_object__collect_map_relos(obj: bpf_object, shdr: Elf64_Shdr, data: Elf_Data): number {
	const { lib, btf, efile } = obj;
	if (!efile.btf_maps_sec_btf_id || !btf) return -EINVAL;
	const sec = btf.type_by_id(efile.btf_maps_sec_btf_id);
	if (!sec) return -EINVAL;
	const nrels = Math.floor(shdr.sh_size / ELF64_REL_SZ);
	for (let i = 0; i < nrels; i++) {
		const rel = elf_rel(data, i);
		if (!rel) {
			lib.pr_warn(`.maps relo #${i}: failed to get ELF relo\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const sym = elf_sym_by_idx(obj, rel.r_sym);
		if (!sym) {
			lib.pr_warn(`.maps relo #${i}: symbol ${rel.r_sym.toString(16)} not found\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const name = elf_sym_str(obj, sym.st_name) ?? "<?>";
		const map = obj.maps.find((m) => {
			if (m.sec_idx !== efile.btf_maps_shndx) return false;
			const vi = btf_var_secinfo_at(sec, m.btf_var_idx);
			return vi.offset <= rel.r_offset && rel.r_offset + 8 <= vi.offset + vi.size;
		});
		if (!map) {
			lib.pr_warn(`.maps relo #${i}: cannot find map '${name}' at rel->r_offset ${rel.r_offset}\n`);
			return -EINVAL;
		}
		const vi = btf_var_secinfo_at(sec, map.btf_var_idx);
		let targ: bpf_map | bpf_program | null;
		if (bpf_map_type__is_map_in_map(map.def.type)) {
			if (sym.st_shndx !== efile.btf_maps_shndx) {
				lib.pr_warn(`.maps relo #${i}: '${name}' isn't a BTF-defined map\n`);
				return -LIBBPF_ERRNO__RELOC;
			}
			if (map.def.type === BPF_MAP_TYPE_HASH_OF_MAPS && map.def.key_size !== 4) {
				lib.pr_warn(`.maps relo #${i}: hash-of-maps '${map.name}' should have key size 4.\n`);
				return -EINVAL;
			}
			targ = bpf_object__find_map_by_name(obj, name);
			if (!targ) {
				lib.pr_warn(`.maps relo #${i}: '${name}' isn't a valid map reference\n`);
				return -ESRCH;
			}
		} else if (map.def.type === BPF_MAP_TYPE_PROG_ARRAY) {
			const prog = obj.programs.find((p) => !prog_is_subprog(obj, p) && p.name === name);
			if (!prog) {
				lib.pr_warn(`.maps relo #${i}: '${name}' isn't a valid program reference\n`);
				return -ESRCH;
			}
			if (prog.sec_idx !== sym.st_shndx || prog.sec_insn_off * 8 !== sym.st_value) {
				lib.pr_warn(`.maps relo #${i}: '${name}' isn't an entry-point program\n`);
				return -LIBBPF_ERRNO__RELOC;
			}
			targ = prog;
		} else {
			return -EINVAL;
		}
		const def = btf.skip_mods_and_typedefs(btf.type_by_id(vi.type)!.type);
		const vlen = btf_vlen(def);
		if (vlen === 0) return -EINVAL;
		if (btf.name(btf_member_at(def, vlen - 1).name_off) !== "values") return -EINVAL;
		let moff = btf_member_bit_offset(def, vlen - 1) / 8;
		if (rel.r_offset - vi.offset < moff) return -EINVAL;
		moff = rel.r_offset - vi.offset - moff;
		if (moff % 8) return -EINVAL;
		moff /= 8;
		while (map.init_slots.length <= moff) map.init_slots.push(null);
		map.init_slots[moff] = targ;
		lib.pr_debug(() => `.maps relo #${i}: map '${map.name}' slot [${moff}] points to '${name}'\n`);
	}
	return 0;
}

/** Whether a member's type is a pointer to a function. */
function is_func_ptr(btf: Btf, id: number): boolean {
	const t: BtfType = btf.skip_mods_and_typedefs(id);
	return btf_is_ptr(t) && btf_is_func_proto(btf.skip_mods_and_typedefs(t.type));
}

/** tools/lib/bpf/libbpf.c: bpf_object__collect_st_ops_relos: function pointers of struct_ops variables. */
function bpf_object__collect_st_ops_relos(obj: bpf_object, shdr: Elf64_Shdr, data: Elf_Data): number {
	const { lib } = obj;
	const btf = obj.btf!;
	const nrels = Math.floor(shdr.sh_size / ELF64_REL_SZ);
	for (let i = 0; i < nrels; i++) {
		const rel = elf_rel(data, i);
		if (!rel) {
			lib.pr_warn(`struct_ops reloc: failed to get ${i} reloc\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const sym = elf_sym_by_idx(obj, rel.r_sym);
		if (!sym) {
			lib.pr_warn(`struct_ops reloc: symbol ${rel.r_sym.toString(16)} not found\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const map = obj.maps.find(
			(m) =>
				bpf_map__is_struct_ops(m) &&
				m.sec_idx === shdr.sh_info &&
				m.sec_offset <= rel.r_offset &&
				rel.r_offset - m.sec_offset < m.def.value_size,
		);
		if (!map) {
			lib.pr_warn(`struct_ops reloc: cannot find map at rel->r_offset ${rel.r_offset}\n`);
			return -EINVAL;
		}
		const moff = rel.r_offset - map.sec_offset;
		const shdr_idx = sym.st_shndx;
		const st_ops = map.st_ops!;
		if (shdr_idx >= SHN_LORESERVE) {
			lib.pr_warn(
				`struct_ops reloc ${map.name}: rel->r_offset ${rel.r_offset} shdr_idx ${shdr_idx} unsupported non-static function\n`,
			);
			return -LIBBPF_ERRNO__RELOC;
		}
		if (sym.st_value % BPF_INSN_SZ) {
			lib.pr_warn(`struct_ops reloc ${map.name}: invalid target program offset ${sym.st_value}\n`);
			return -LIBBPF_ERRNO__FORMAT;
		}
		const type = btf.type_by_id(st_ops.type_id)!;
		let member_idx = 0;
		while (member_idx < btf_vlen(type) && btf_member_bit_offset(type, member_idx) !== moff * 8) member_idx++;
		if (member_idx === btf_vlen(type)) {
			lib.pr_warn(`struct_ops reloc ${map.name}: cannot find member at moff ${moff}\n`);
			return -EINVAL;
		}
		const member = btf_member_at(type, member_idx);
		const name = btf.name(member.name_off);
		if (!is_func_ptr(btf, member.type)) {
			lib.pr_warn(`struct_ops reloc ${map.name}: cannot relocate non func ptr ${name}\n`);
			return -EINVAL;
		}
		const prog = find_prog_by_sec_insn(obj, shdr_idx, sym.st_value / BPF_INSN_SZ);
		if (!prog) {
			lib.pr_warn(
				`struct_ops reloc ${map.name}: cannot find prog at shdr_idx ${shdr_idx} to relocate func ptr ${name}\n`,
			);
			return -EINVAL;
		}
		if (prog.type !== BPF_PROG_TYPE_STRUCT_OPS) {
			lib.pr_warn(`struct_ops reloc ${map.name}: prog ${prog.name} is not struct_ops BPF program\n`);
			return -EINVAL;
		}
		st_ops.progs[member_idx] = prog;
		st_ops.data_progs.set(moff, prog);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__sort_relos */
export function bpf_object__sort_relos(obj: bpf_object): void {
	for (const p of obj.programs) p.reloc_desc.sort((a, b) => a.insn_idx - b.insn_idx || a.type - b.type);
}

/** tools/lib/bpf/libbpf.c: bpf_object__collect_relos */
export function bpf_object__collect_relos(obj: bpf_object): number {
	for (const desc of obj.efile.secs) {
		if (desc.sec_type !== SEC_RELO) continue;
		const shdr = desc.shdr!;
		const data = desc.data!;
		const idx = shdr.sh_info;
		if (shdr.sh_type !== SHT_REL || idx >= obj.efile.secs.length) {
			obj.lib.pr_warn("internal error at bpf_object__collect_relos\n");
			return -LIBBPF_ERRNO__INTERNAL;
		}
		let err: number;
		if (obj.efile.secs[idx]!.sec_type === SEC_ST_OPS) err = bpf_object__collect_st_ops_relos(obj, shdr, data);
		else if (idx === obj.efile.btf_maps_shndx) err = bpf_object__collect_map_relos(obj, shdr, data);
		else err = bpf_object__collect_prog_relos(obj, shdr, data);
		if (err) return err;
	}
	bpf_object__sort_relos(obj);
	return 0;
}
