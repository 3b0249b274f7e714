// SPDX-License-Identifier: GPL-2.0-only
/**
 * Putting each program together: CO-RE, subprograms appended behind the main program, addresses of maps,
 * data and externs. tools/lib/bpf/libbpf.c: bpf_object__relocate and what it calls.
 *
 * libbpf reserves a descriptor for every map when the object is opened, and so knows it here. This port
 * notes the instructions and fills the descriptors in when the maps are made (bpf_program__set_map_fds).
 */
import { EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CORE_TYPE_ID_LOCAL,
	BPF_PROG_TYPE_CGROUP_DEVICE,
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_CGROUP_SYSCTL,
	BPF_PROG_TYPE_FLOW_DISSECTOR,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LWT_IN,
	BPF_PROG_TYPE_LWT_OUT,
	BPF_PROG_TYPE_LWT_SEG6LOCAL,
	BPF_PROG_TYPE_LWT_XMIT,
	BPF_PROG_TYPE_NETFILTER,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_LOOKUP,
	BPF_PROG_TYPE_SK_MSG,
	BPF_PROG_TYPE_SK_REUSEPORT,
	BPF_PROG_TYPE_SK_SKB,
	BPF_PROG_TYPE_SOCK_OPS,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_XDP,
	BPF_PSEUDO_BTF_ID,
	BPF_PSEUDO_FUNC,
	BPF_PSEUDO_KFUNC_CALL,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_VALUE,
} from "../../../include/uapi/linux/bpf.ts";
import {
	BTF_FUNC_GLOBAL,
	BTF_KIND_DECL_TAG,
	BTF_KIND_ENUM,
	BTF_KIND_ENUM64,
} from "../../../include/uapi/linux/btf.ts";
import {
	bpf_core_calc_relo_insn,
	type bpf_core_cand_list,
	bpf_core_essential_name_len,
	bpf_core_patch_insn,
	type CoreCtx,
	type CoreKindNames,
} from "../../../lib/relo_core.ts";
import {
	type Btf,
	type BtfType,
	btf_decl_tag_component_idx,
	btf_func_linkage,
	btf_is_decl_tag,
	btf_is_func,
	btf_is_func_proto,
	btf_is_int,
	btf_is_mod,
	btf_is_ptr,
	btf_is_struct,
	btf_is_typedef,
	btf_is_void,
	btf_kind,
	btf_kind_name,
	btf_kind_str,
	btf_params,
	btf_vlen,
} from "./btf.ts";
import { type bpf_core_relo, btf_ext_core_relo, type btf_ext_info } from "./btf_ext.ts";
import { bpf_object__sort_relos, find_prog_by_sec_insn } from "./collect_relos.ts";
import { kernel_supports } from "./features.ts";
import {
	CALL,
	get_insn,
	insn_imm,
	insn_is_pseudo_func,
	insn_is_subprog_call,
	insn_src,
	set_imm,
	set_insn,
	set_off,
	set_src,
} from "./insn.ts";
import {
	BPF_INSN_SZ,
	FEAT_ARG_CTX_TAG,
	FEAT_BTF_DECL_TAG,
	FEAT_BTF_FUNC,
	LIBBPF_ERRNO__RELOC,
} from "./libbpf_internal.ts";
import {
	type bpf_map,
	type bpf_object,
	type bpf_program,
	EXT_KCFG,
	prog_is_subprog,
	RELO_CALL,
	RELO_CORE,
	RELO_DATA,
	RELO_EXTERN_CALL,
	RELO_EXTERN_LD64,
	RELO_LD64,
	RELO_SUBPROG_ADDR,
	type reloc_desc,
} from "./libbpf_types.ts";
import { btf__parse, load_module_btfs } from "./module_btf.ts";

export const POISON_LDIMM64_MAP_BASE = 2001000000;
export const POISON_CALL_KFUNC_BASE = 2002000000;

/** The context that lib/relo_core.ts works for. */
export function core_ctx(obj: bpf_object, prog_name: string): CoreCtx & CoreKindNames {
	return {
		prog_name,
		warn: (text) => obj.lib.pr_warn(text),
		debug: (text) => obj.lib.pr_debug(() => text),
		types_depth: 32,
		kind_str: btf_kind_name,
	};
}

/** btf_kind_core_compat: the same kind, or both an enum of some width. */
function btf_kind_core_compat(a: number, b: number): boolean {
	const is_enum = (k: number): boolean => k === BTF_KIND_ENUM || k === BTF_KIND_ENUM64;
	return a === b || (is_enum(a) && is_enum(b));
}

/** tools/lib/bpf/libbpf.c: bpf_core_add_cands */
function bpf_core_add_cands(essent_name: string, kind: number, targ: Btf, cands: bpf_core_cand_list): void {
	for (const id of targ.ids_by_essential_name(essent_name)) {
		if (btf_kind_core_compat(targ.kind_of(id), kind)) cands.cands.push({ btf: targ, id });
	}
}

/** tools/lib/bpf/libbpf.c: bpf_core_find_cands */
function bpf_core_find_cands(
	obj: bpf_object,
	local_btf: Btf,
	local_type_id: number,
): bpf_core_cand_list | number {
	const local_t = local_btf.type_by_id(local_type_id);
	if (!local_t) return -EINVAL;
	const local_name = local_btf.name(local_t.name_off);
	if (!local_name) return -EINVAL;
	const essent_name = local_name.slice(0, bpf_core_essential_name_len(local_name));
	const cands: bpf_core_cand_list = { cands: [] };
	const main_btf = obj.btf_vmlinux_override ?? obj.btf_vmlinux;
	if (main_btf) bpf_core_add_cands(essent_name, btf_kind(local_t), main_btf, cands);
	if (cands.cands.length > 0 || obj.btf_vmlinux_override) return cands;
	const err = load_module_btfs(obj);
	if (err) return err;
	for (const mod of obj.btf_modules) bpf_core_add_cands(essent_name, btf_kind(local_t), mod.btf, cands);
	return cands;
}

/** tools/lib/bpf/libbpf.c: bpf_core_resolve_relo, bpf_core_patch_insn on a program */
function resolve_and_patch(
	prog: bpf_program,
	relo: bpf_core_relo,
	relo_idx: number,
	insn_idx: number,
	local_btf: Btf,
	cand_cache: Map<number, bpf_core_cand_list>,
): number {
	const { obj } = prog;
	const { lib } = obj;
	const local_type = local_btf.type_by_id(relo.type_id);
	const failed = (err: number): number => {
		lib.pr_warn(`prog '${prog.name}': relo #${relo_idx}: failed to relocate: ${err}\n`);
		return err;
	};
	if (!local_type) return failed(-EINVAL);
	let cands = cand_cache.get(relo.type_id);
	if (relo.kind !== BPF_CORE_TYPE_ID_LOCAL && !cands) {
		const found = bpf_core_find_cands(obj, local_btf, relo.type_id);
		if (typeof found === "number") {
			lib.pr_warn(
				`prog '${prog.name}': relo #${relo_idx}: target candidate search failed for [${relo.type_id}] ${btf_kind_str(local_type)} ${local_btf.name(local_type.name_off)}: ${found}\n`,
			);
			return failed(found);
		}
		cands = found;
		cand_cache.set(relo.type_id, cands);
	}
	const ctx = core_ctx(obj, prog.name);
	const res = bpf_core_calc_relo_insn(ctx, relo, relo_idx, local_btf, cands ?? { cands: [] });
	if (typeof res === "number") return failed(res);
	const both = (insn_idx + 2) * BPF_INSN_SZ <= prog.insns.length;
	const window = [get_insn(prog.insns, insn_idx)];
	// An ldimm64 at the very end of a section has no second half; a stand-in that fits no form takes its place.
	window.push(
		both ? get_insn(prog.insns, insn_idx + 1) : { code: 0xff, dst_reg: 0, src_reg: 0, off: 0, imm: 0 },
	);
	const err = bpf_core_patch_insn(ctx, window, 0, insn_idx, relo_idx, res);
	if (err) {
		lib.pr_warn(`prog '${prog.name}': relo #${relo_idx}: failed to patch insn #${insn_idx}: ${err}\n`);
		return err;
	}
	set_insn(prog.insns, insn_idx, window[0]!);
	if (both) set_insn(prog.insns, insn_idx + 1, window[1]!);
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__relocate_core */
function bpf_object__relocate_core(obj: bpf_object, targ_btf_path: string | null): number {
	const { lib } = obj;
	const ext = obj.btf_ext!;
	const btf = obj.btf!;
	if (ext.core_relo_info.len === 0) return 0;
	if (targ_btf_path) {
		const override = btf__parse(lib, targ_btf_path);
		if (typeof override === "number") {
			lib.pr_warn(`failed to parse target BTF: ${override}\n`);
			return override;
		}
		obj.btf_vmlinux_override = override;
	}
	const cand_cache = new Map<number, bpf_core_cand_list>();
	for (const sec of ext.core_relo_info.secs) {
		const sec_name = btf.name(sec.sec_name_off);
		if (!sec_name) return -EINVAL;
		lib.pr_debug(() => `sec '${sec_name}': found ${sec.num_info} CO-RE relocations\n`);
		for (let i = 0; i < sec.num_info; i++) {
			const rec = btf_ext_core_relo(ext, sec, i);
			if (rec.insn_off % BPF_INSN_SZ) return -EINVAL;
			let insn_idx = rec.insn_off / BPF_INSN_SZ;
			const prog = find_prog_by_sec_insn(obj, sec.sec_idx, insn_idx);
			if (!prog) {
				lib.pr_debug(
					() =>
						`sec '${sec_name}': skipping CO-RE relocation #${i} for insn #${insn_idx} belonging to eliminated weak subprogram\n`,
				);
				continue;
			}
			// Nothing of a program that is not to be loaded is relocated. Subprograms always are.
			if (!prog.autoload) continue;
			insn_idx -= prog.sec_insn_off;
			if (insn_idx >= prog.insns.length / BPF_INSN_SZ) return -EINVAL;
			prog.reloc_desc.push({ type: RELO_CORE, insn_idx, core_relo: rec, map_idx: 0, sym_off: 0, ext_idx: 0 });
			const err = resolve_and_patch(prog, rec, i, insn_idx, btf, cand_cache);
			if (err) return err;
		}
	}
	obj.btf_vmlinux_override = null;
	return 0;
}

/** A map that will not be made: its loads become calls of a helper that is none, which the log then explains. */
function poison_map_ldimm64(
	prog: bpf_program,
	relo_idx: number,
	insn_idx: number,
	map_idx: number,
	map: bpf_map,
): void {
	prog.obj.lib.pr_debug(
		() =>
			`prog '${prog.name}': relo #${relo_idx}: poisoning insn #${insn_idx} that loads map #${map_idx} '${map.name}'\n`,
	);
	for (let i = 0; i < 2; i++) {
		set_insn(prog.insns, insn_idx + i, {
			code: CALL,
			dst_reg: 0,
			src_reg: 0,
			off: 0,
			imm: POISON_LDIMM64_MAP_BASE + map_idx,
		});
	}
}

/** tools/lib/bpf/libbpf.c: bpf_object__relocate_data */
function bpf_object__relocate_data(obj: bpf_object, prog: bpf_program): number {
	const { insns } = prog;
	for (const [i, relo] of prog.reloc_desc.entries()) {
		const at = relo.insn_idx;
		switch (relo.type) {
			case RELO_LD64:
			case RELO_DATA: {
				const map = obj.maps[relo.map_idx]!;
				if (relo.type === RELO_DATA) set_imm(insns, at + 1, insn_imm(insns, at) + relo.sym_off);
				if (map.autocreate) {
					set_src(insns, at, relo.type === RELO_DATA ? BPF_PSEUDO_MAP_VALUE : BPF_PSEUDO_MAP_FD);
					prog.map_fd_insns.push({ insn_idx: at, map });
				} else {
					poison_map_ldimm64(prog, i, at, relo.map_idx, map);
				}
				break;
			}
			case RELO_EXTERN_LD64: {
				const ext = obj.externs[relo.ext_idx]!;
				if (ext.type === EXT_KCFG) {
					set_src(insns, at, BPF_PSEUDO_MAP_VALUE);
					prog.map_fd_insns.push({ insn_idx: at, map: obj.maps[obj.kconfig_map_idx]! });
					set_imm(insns, at + 1, ext.kcfg.data_off);
				} else if (ext.ksym.type_id && ext.is_set) {
					set_src(insns, at, BPF_PSEUDO_BTF_ID);
					set_imm(insns, at, ext.ksym.kernel_btf_id);
					set_imm(insns, at + 1, ext.ksym.kernel_btf_obj_fd);
				} else {
					set_imm(insns, at, Number(BigInt.asIntN(32, ext.ksym.addr)));
					set_imm(insns, at + 1, Number(BigInt.asIntN(32, ext.ksym.addr >> 32n)));
				}
				break;
			}
			case RELO_EXTERN_CALL: {
				const ext = obj.externs[relo.ext_idx]!;
				set_src(insns, at, BPF_PSEUDO_KFUNC_CALL);
				if (ext.is_set) {
					set_imm(insns, at, ext.ksym.kernel_btf_id);
					set_off(insns, at, ext.ksym.btf_fd_idx);
				} else {
					obj.lib.pr_debug(
						() => `prog '${prog.name}': relo #${i}: poisoning insn #${at} that calls kfunc '${ext.name}'\n`,
					);
					set_insn(insns, at, {
						code: CALL,
						dst_reg: 0,
						src_reg: 0,
						off: 0,
						imm: POISON_CALL_KFUNC_BASE + relo.ext_idx,
					});
				}
				break;
			}
			case RELO_SUBPROG_ADDR:
				if (insn_src(insns, at) !== BPF_PSEUDO_FUNC) {
					obj.lib.pr_warn(`prog '${prog.name}': relo #${i}: bad insn\n`);
					return -EINVAL;
				}
				break;
			case RELO_CALL:
			case RELO_CORE:
				break;
			default:
				obj.lib.pr_warn(`prog '${prog.name}': relo #${i}: bad relo type ${relo.type}\n`);
				return -EINVAL;
		}
	}
	return 0;
}

/** Descriptors of maps, once they are made. */
export function bpf_program__set_map_fds(prog: bpf_program): void {
	for (const { insn_idx, map } of prog.map_fd_insns) set_imm(prog.insns, insn_idx, map.fd);
}

/** Records of one program, made relative to the main program; null when there are none (-ENOENT). */
function adjust_prog_btf_ext_info(
	obj: bpf_object,
	prog: bpf_program,
	info: btf_ext_info,
	have: Uint8Array | null,
): Uint8Array | null {
	const { data, dv } = obj.btf_ext!;
	for (const sec of info.secs) {
		if (prog.sec_idx !== sec.sec_idx) continue;
		let start = -1;
		let end = -1;
		for (let i = 0; i < sec.num_info; i++) {
			const rec = sec.recs + i * info.rec_size;
			const insn_off = Math.floor(dv.getUint32(rec, true) / BPF_INSN_SZ);
			if (insn_off < prog.sec_insn_off) continue;
			if (insn_off >= prog.sec_insn_off + prog.sec_insn_cnt) break;
			if (start < 0) start = rec;
			end = rec + info.rec_size;
		}
		if (start < 0) return null;
		const old_sz = have?.length ?? 0;
		const out = new Uint8Array(old_sz + end - start);
		if (have) out.set(have);
		out.set(data.subarray(start, end), old_sz);
		const out_dv = new DataView(out.buffer);
		const off_adj = prog.sub_insn_off - prog.sec_insn_off;
		for (let at = old_sz; at < out.length; at += info.rec_size)
			out_dv.setUint32(at, Math.floor(out_dv.getUint32(at, true) / BPF_INSN_SZ) + off_adj, true);
		return out;
	}
	return null;
}

/** tools/lib/bpf/libbpf.c: reloc_prog_func_and_line_info */
function reloc_prog_func_and_line_info(obj: bpf_object, main_prog: bpf_program, prog: bpf_program): number {
	const ext = obj.btf_ext;
	if (!ext || !kernel_supports(obj.lib, FEAT_BTF_FUNC)) return 0;
	if (main_prog === prog || main_prog.func_info) {
		const info = adjust_prog_btf_ext_info(obj, prog, ext.func_info, main_prog.func_info);
		if (info) {
			main_prog.func_info = info;
			main_prog.func_info_rec_size = ext.func_info.rec_size;
			main_prog.func_info_cnt = info.length / ext.func_info.rec_size;
		} else {
			if (main_prog.func_info) {
				obj.lib.pr_warn(`prog '${prog.name}': missing .BTF.ext function info.\n`);
				return -ENOENT;
			}
			obj.lib.pr_warn(
				`prog '${prog.name}': missing .BTF.ext function info for the main program, skipping all of .BTF.ext func info.\n`,
			);
		}
	}
	if (main_prog !== prog && !main_prog.line_info) return 0;
	const info = adjust_prog_btf_ext_info(obj, prog, ext.line_info, main_prog.line_info);
	if (info) {
		main_prog.line_info = info;
		main_prog.line_info_rec_size = ext.line_info.rec_size;
		main_prog.line_info_cnt = info.length / ext.line_info.rec_size;
		return 0;
	}
	if (main_prog.line_info) {
		obj.lib.pr_warn(`prog '${prog.name}': missing .BTF.ext line info.\n`);
		return -ENOENT;
	}
	obj.lib.pr_warn(
		`prog '${prog.name}': missing .BTF.ext line info for the main program, skipping all of .BTF.ext line info.\n`,
	);
	return 0;
}

/** bsearch(3) as glibc does it: where two relocations share an instruction, the choice is its. */
function find_prog_insn_relo(prog: bpf_program, insn_idx: number): reloc_desc | null {
	let l = 0;
	let u = prog.reloc_desc.length;
	while (l < u) {
		const idx = Math.floor((l + u) / 2);
		const relo = prog.reloc_desc[idx]!;
		if (insn_idx < relo.insn_idx) u = idx;
		else if (insn_idx > relo.insn_idx) l = idx + 1;
		else return relo;
	}
	return null;
}

/** tools/lib/bpf/libbpf.c: bpf_object__append_subprog_code */
function bpf_object__append_subprog_code(
	obj: bpf_object,
	main_prog: bpf_program,
	subprog: bpf_program,
): void {
	subprog.sub_insn_off = main_prog.insns.length / BPF_INSN_SZ;
	const insns = new Uint8Array(main_prog.insns.length + subprog.insns.length);
	insns.set(main_prog.insns);
	insns.set(subprog.insns, main_prog.insns.length);
	main_prog.insns = insns;
	obj.lib.pr_debug(
		() =>
			`prog '${main_prog.name}': added ${subprog.insns.length / BPF_INSN_SZ} insns from sub-prog '${subprog.name}'\n`,
	);
	if (main_prog === subprog) return;
	for (const relo of subprog.reloc_desc)
		main_prog.reloc_desc.push({ ...relo, insn_idx: relo.insn_idx + subprog.sub_insn_off });
}

/** tools/lib/bpf/libbpf.c: bpf_object__reloc_code */
function bpf_object__reloc_code(obj: bpf_object, main_prog: bpf_program, prog: bpf_program): number {
	const { lib } = obj;
	const err = reloc_prog_func_and_line_info(obj, main_prog, prog);
	if (err) return err;
	for (let insn_idx = 0; insn_idx < prog.sec_insn_cnt; insn_idx++) {
		const at = prog.sub_insn_off + insn_idx;
		const pseudo_func = insn_is_pseudo_func(main_prog.insns, at);
		if (!insn_is_subprog_call(main_prog.insns, at) && !pseudo_func) continue;
		const relo = find_prog_insn_relo(prog, insn_idx);
		if (relo && relo.type === RELO_EXTERN_CALL) continue;
		if (relo && relo.type !== RELO_CALL && relo.type !== RELO_SUBPROG_ADDR) {
			lib.pr_warn(`prog '${prog.name}': unexpected relo for insn #${insn_idx}, type ${relo.type}\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		const imm = insn_imm(main_prog.insns, at);
		let sub_insn_idx: number;
		if (relo) {
			sub_insn_idx =
				relo.type === RELO_CALL
					? relo.sym_off / BPF_INSN_SZ + imm + 1
					: Math.floor((relo.sym_off + imm) / BPF_INSN_SZ);
		} else if (pseudo_func) {
			lib.pr_warn(`prog '${prog.name}': missing subprog addr relo for insn #${insn_idx}\n`);
			return -LIBBPF_ERRNO__RELOC;
		} else {
			// a call within .text that needed no relocation
			sub_insn_idx = prog.sec_insn_off + insn_idx + imm + 1;
		}
		const subprog = find_prog_by_sec_insn(obj, obj.efile.text_shndx, sub_insn_idx);
		if (!subprog) {
			lib.pr_warn(`prog '${prog.name}': no .text section found yet sub-program call exists\n`);
			return -LIBBPF_ERRNO__RELOC;
		}
		if (subprog.sub_insn_off === 0) {
			bpf_object__append_subprog_code(obj, main_prog, subprog);
			const sub_err = bpf_object__reloc_code(obj, main_prog, subprog);
			if (sub_err) return sub_err;
		}
		set_imm(main_prog.insns, at, subprog.sub_insn_off - at - 1);
		lib.pr_debug(
			() =>
				`prog '${prog.name}': insn #${insn_idx} relocated, imm ${subprog.sub_insn_off - at - 1} points to subprog '${subprog.name}' (now at ${subprog.sub_insn_off} offset)\n`,
		);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_prog_assign_exc_cb: the subprogram that a decl tag names as exception callback. */
function bpf_prog_assign_exc_cb(obj: bpf_object, prog: bpf_program): number {
	const { lib, btf } = obj;
	const prefix = "exception_callback:";
	if (!btf || !kernel_supports(lib, FEAT_BTF_DECL_TAG)) return 0;
	for (let i = 1; i < btf.type_cnt(); i++) {
		if (btf.kind_of(i) !== BTF_KIND_DECL_TAG) continue;
		const tag = btf.type_by_id(i)!;
		if (btf_decl_tag_component_idx(tag) !== -1) continue;
		const text = btf.name(tag.name_off);
		if (!text.startsWith(prefix)) continue;
		const t = btf.type_by_id(tag.type)!;
		if (!btf_is_func(t) || btf_func_linkage(t) !== BTF_FUNC_GLOBAL) {
			lib.pr_warn(
				`prog '${prog.name}': exception_callback:<value> decl tag not applied to the main program\n`,
			);
			return -EINVAL;
		}
		if (prog.name !== btf.name(t.name_off)) continue;
		// Several callbacks: none is chosen, the kernel will complain.
		if (prog.exception_cb_idx >= 0) {
			prog.exception_cb_idx = -1;
			break;
		}
		const name = text.slice(prefix.length);
		if (!name) {
			lib.pr_warn(`prog '${prog.name}': exception_callback:<value> decl tag contains empty value\n`);
			return -EINVAL;
		}
		const j = obj.programs.findIndex((p) => prog_is_subprog(obj, p) && p.name === name);
		if (j < 0) {
			lib.pr_warn(`prog '${prog.name}': cannot find exception callback '${name}'\n`);
			return -ENOENT;
		}
		const subprog = obj.programs[j]!;
		if (!subprog.sym_global || subprog.mark_btf_static) {
			lib.pr_warn(
				`prog '${prog.name}': exception callback ${subprog.name} must be a global non-hidden function\n`,
			);
			return -EINVAL;
		}
		prog.exception_cb_idx = j;
	}
	return 0;
}

/** What a global function's context argument is called, by program type. */
const global_ctx_map: ReadonlyMap<number, string> = new Map([
	[BPF_PROG_TYPE_CGROUP_DEVICE, "bpf_cgroup_dev_ctx"],
	[BPF_PROG_TYPE_CGROUP_SKB, "__sk_buff"],
	[BPF_PROG_TYPE_CGROUP_SOCK, "bpf_sock"],
	[BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "bpf_sock_addr"],
	[BPF_PROG_TYPE_CGROUP_SOCKOPT, "bpf_sockopt"],
	[BPF_PROG_TYPE_CGROUP_SYSCTL, "bpf_sysctl"],
	[BPF_PROG_TYPE_FLOW_DISSECTOR, "__sk_buff"],
	[BPF_PROG_TYPE_KPROBE, "bpf_user_pt_regs_t"],
	[BPF_PROG_TYPE_LWT_IN, "__sk_buff"],
	[BPF_PROG_TYPE_LWT_OUT, "__sk_buff"],
	[BPF_PROG_TYPE_LWT_SEG6LOCAL, "__sk_buff"],
	[BPF_PROG_TYPE_LWT_XMIT, "__sk_buff"],
	[BPF_PROG_TYPE_NETFILTER, "bpf_nf_ctx"],
	[BPF_PROG_TYPE_PERF_EVENT, "bpf_perf_event_data"],
	[BPF_PROG_TYPE_RAW_TRACEPOINT, "bpf_raw_tracepoint_args"],
	[BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, "bpf_raw_tracepoint_args"],
	[BPF_PROG_TYPE_SCHED_ACT, "__sk_buff"],
	[BPF_PROG_TYPE_SCHED_CLS, "__sk_buff"],
	[BPF_PROG_TYPE_SK_LOOKUP, "bpf_sk_lookup"],
	[BPF_PROG_TYPE_SK_MSG, "sk_msg_md"],
	[BPF_PROG_TYPE_SK_REUSEPORT, "sk_reuseport_md"],
	[BPF_PROG_TYPE_SK_SKB, "__sk_buff"],
	[BPF_PROG_TYPE_SOCK_OPS, "bpf_sock_ops"],
	[BPF_PROG_TYPE_SOCKET_FILTER, "__sk_buff"],
	[BPF_PROG_TYPE_XDP, "xdp_md"],
]);

/** tools/lib/bpf/libbpf.c: need_func_arg_type_fixup */
function need_func_arg_type_fixup(
	obj: bpf_object,
	btf: Btf,
	prog: bpf_program,
	subprog_name: string,
	arg_idx: number,
	arg_type_id: number,
	ctx_name: string,
): boolean {
	const ptr = btf.skip_mods_and_typedefs(arg_type_id);
	if (btf_is_ptr(ptr)) {
		let t: BtfType = ptr;
		while (btf_is_mod(t)) t = btf.type_by_id(t.type)!;
		if (btf_is_typedef(t) && (prog.type === BPF_PROG_TYPE_KPROBE || prog.type === BPF_PROG_TYPE_PERF_EVENT)) {
			if (btf.name(t.name_off) === "bpf_user_pt_regs_t") return false;
		}
		t = btf.skip_mods_and_typedefs(t.type);
		if (btf_is_void(t)) return true;
		const tname = btf.name(t.name_off) || "<anon>";
		if (btf_is_struct(t) && tname === ctx_name) return false;
		switch (prog.type) {
			case BPF_PROG_TYPE_KPROBE:
				if (btf_is_struct(t) && tname === "pt_regs") return true;
				break;
			case BPF_PROG_TYPE_PERF_EVENT: {
				const regs = obj.lib.sys.arch === "arm64" ? "user_pt_regs" : "pt_regs";
				if (btf_is_struct(t) && tname === regs) return true;
				break;
			}
			case BPF_PROG_TYPE_RAW_TRACEPOINT:
			case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
				if (btf_is_int(t) && t.size === 8) return true;
				break;
			default:
				break;
		}
	}
	obj.lib.pr_warn(
		`prog '${prog.name}': subprog '${subprog_name}' arg#${arg_idx} is expected to be of \`struct ${ctx_name} *\` type\n`,
	);
	return false;
}

/** tools/lib/bpf/libbpf.c: clone_func_btf_info */
function clone_func_btf_info(btf: Btf, orig_fn_id: number, prog: bpf_program): number {
	const fn = btf.type_by_id(orig_fn_id)!;
	const name_off = fn.name_off;
	const linkage = btf_func_linkage(fn);
	const proto = btf.type_by_id(fn.type)!;
	const params = btf_params(proto);
	const proto_id = btf.add_func_proto(proto.type);
	params.forEach((p, i) => {
		btf.add_func_param("", p.type);
		btf.type_by_id(proto_id)!.set_word(i * 2, p.name_off);
	});
	const fn_id = btf.add_func(prog.name, linkage, proto_id);
	btf.type_by_id(fn_id)!.name_off = name_off;
	btf.invalidate_index();
	return fn_id;
}

/** tools/lib/bpf/libbpf.c: bpf_program_fixup_func_info: `arg:ctx` on kernels that do not know it. */
function bpf_program_fixup_func_info(obj: bpf_object, prog: bpf_program): number {
	const { btf } = obj;
	if (!obj.btf_ext || !btf || !prog.func_info) return 0;
	if (kernel_supports(obj.lib, FEAT_ARG_CTX_TAG)) return 0;
	const ctx_name = global_ctx_map.get(prog.type);
	if (!ctx_name) return 0;
	const dv = new DataView(prog.func_info.buffer, prog.func_info.byteOffset);
	const type_at = (i: number): number => i * prog.func_info_rec_size + 4;
	const orig_ids = Array.from({ length: prog.func_info_cnt }, (_, i) => dv.getUint32(type_at(i), true));
	let ptr_id = 0;
	const n = btf.type_cnt();
	for (let i = 1; i < n; i++) {
		const t = btf.type_by_id(i)!;
		if (!btf_is_decl_tag(t) || btf.name(t.name_off) !== "arg:ctx") continue;
		const orig_fn_id = t.type;
		const fn = btf.type_by_id(orig_fn_id)!;
		if (!btf_is_func(fn) || btf_func_linkage(fn) !== BTF_FUNC_GLOBAL) continue;
		const proto = btf.type_by_id(fn.type);
		if (!proto || !btf_is_func_proto(proto)) continue;
		const rec = orig_ids.indexOf(orig_fn_id);
		if (rec < 0) continue;
		const arg_idx = btf_decl_tag_component_idx(t);
		if (arg_idx < 0 || arg_idx >= btf_vlen(proto)) continue;
		const fn_name = btf.name(fn.name_off) || "<anon>";
		const arg_type = proto.word(arg_idx * 2 + 1);
		if (!need_func_arg_type_fixup(obj, btf, prog, fn_name, arg_idx, arg_type, ctx_name)) continue;
		if (dv.getUint32(type_at(rec), true) === orig_fn_id)
			dv.setUint32(type_at(rec), clone_func_btf_info(btf, orig_fn_id, prog), true);
		if (ptr_id === 0) ptr_id = btf.add_ptr(btf.add_struct(ctx_name, 0));
		const type_id = dv.getUint32(type_at(rec), true);
		btf.add_decl_tag("arg:ctx", type_id, arg_idx);
		btf.type_by_id(btf.type_by_id(type_id)!.type)!.set_word(arg_idx * 2 + 1, ptr_id);
	}
	return 0;
}

/** tools/lib/bpf/libbpf.c: bpf_object__relocate */
export function bpf_object__relocate(obj: bpf_object, targ_btf_path: string | null): number {
	const { lib } = obj;
	if (obj.btf_ext) {
		const err = bpf_object__relocate_core(obj, targ_btf_path);
		if (err) {
			lib.pr_warn(`failed to perform CO-RE relocations: ${err}\n`);
			return err;
		}
		bpf_object__sort_relos(obj);
	}
	// Loads of subprogram addresses are marked before anything is copied, for bpf_object__reloc_code() to find.
	for (const prog of obj.programs) {
		for (const relo of prog.reloc_desc)
			if (relo.type === RELO_SUBPROG_ADDR) set_src(prog.insns, relo.insn_idx, BPF_PSEUDO_FUNC);
	}
	for (const prog of obj.programs) {
		if (prog_is_subprog(obj, prog) || !prog.autoload) continue;
		for (const subprog of obj.programs) if (prog_is_subprog(obj, subprog)) subprog.sub_insn_off = 0;
		let err = bpf_object__reloc_code(obj, prog, prog);
		if (err) {
			lib.pr_warn(`prog '${prog.name}': failed to relocate calls: ${err}\n`);
			return err;
		}
		err = bpf_prog_assign_exc_cb(obj, prog);
		if (err) return err;
		if (prog.exception_cb_idx >= 0) {
			const subprog = obj.programs[prog.exception_cb_idx]!;
			if (subprog.sub_insn_off === 0) {
				bpf_object__append_subprog_code(obj, prog, subprog);
				err = bpf_object__reloc_code(obj, prog, subprog);
				if (err) return err;
			}
		}
	}
	for (const prog of obj.programs) {
		if (prog_is_subprog(obj, prog) || !prog.autoload) continue;
		let err = bpf_object__relocate_data(obj, prog);
		if (err) {
			lib.pr_warn(`prog '${prog.name}': failed to relocate data references: ${err}\n`);
			return err;
		}
		err = bpf_program_fixup_func_info(obj, prog);
		if (err) {
			lib.pr_warn(`prog '${prog.name}': failed to perform .BTF.ext fix ups: ${err}\n`);
			return err;
		}
	}
	return 0;
}
