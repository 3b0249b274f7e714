// SPDX-License-Identifier: GPL-2.0-only
/** BPF_OBJ_GET_INFO_BY_FD and the commands that find objects by id (kernel/bpf/syscall.c). */
import { BPF_CALL_ARGS, BPF_PROBE_MEM, BPF_PROBE_MEM32, BPF_TAIL_CALL } from "../../include/linux/filter.ts";
import { EBADFD, EFAULT, EINVAL, ENOENT, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CALL,
	BPF_DW,
	BPF_F_RDONLY,
	BPF_F_WRONLY,
	BPF_FUNC_tail_call,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_PSEUDO_MAP_FD,
	BPF_PSEUDO_MAP_VALUE,
} from "../../include/uapi/linux/bpf.ts";
import {
	ATTR_END,
	ATTR_OFF,
	type bpf_attr,
	bpf_link_info,
	bpf_map_info,
	bpf_prog_info,
} from "../../include/uapi/linux/bpf_attr.ts";
import {
	BPF_CLASS,
	BPF_IMM,
	BPF_JMP,
	BPF_LD,
	BPF_LDX,
	BPF_MEM,
	BPF_MODE,
	BPF_SIZE,
	BPF_ST,
	BPF_STX,
} from "../../include/uapi/linux/bpf_common.ts";
import type { Ref } from "../../lib/err.ts";
import { USER_BPFPTR, u64_to_user_ptr } from "../bpfptr.ts";
import { fdget } from "../file.ts";
import type { Kernel } from "../kernel.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_dump_raw_ok } from "../security.ts";
import { bpf_capable, CAP_SYS_ADMIN, capable } from "../task.ts";
import { attr_tail_nonzero, bpf_check_uarg_tail_zero } from "./attr.ts";
import { type bpf_link, is_link_file } from "./bpf_link.ts";
import type { Idr } from "./bpf_state.ts";
import { bpf_map_struct_ops_info_fill } from "./bpf_struct_ops_map.ts";
import { type bpf_insn, type bpf_map, type bpf_prog, encode_insns } from "./bpf_types.ts";
import { btf_fops, btf_get_fd_by_id, btf_get_info_by_fd, btf_obj_id } from "./btf.ts";
import type { btf } from "./btf_types.ts";
import {
	__bpf_map_inc_not_zero,
	bpf_get_file_flag,
	bpf_map_fops,
	bpf_map_new_fd,
	bpf_map_put_with_uref,
} from "./map_create.ts";
import {
	bpf_prog_fops,
	bpf_prog_get_stats,
	bpf_prog_inc_not_zero,
	bpf_prog_new_fd,
	bpf_prog_put,
} from "./prog.ts";

const INT_MAX = 0x7fffffff;

/** kernel/bpf/syscall.c: bpf_map_from_imm */
function bpf_map_from_imm(prog: bpf_prog, addr: bigint, off: Ref<number>, type: Ref<number>): bpf_map | null {
	off.val = 0;
	for (const map of prog.aux.used_maps) {
		if (map.kaddr === addr) {
			type.val = BPF_PSEUDO_MAP_FD;
			return map;
		}
		if (!map.ops.map_direct_value_meta) continue;
		if (!map.ops.map_direct_value_meta(map, addr, off)) {
			type.val = BPF_PSEUDO_MAP_VALUE;
			return map;
		}
	}
	return null;
}

/** kernel/bpf/syscall.c: bpf_insn_prepare_dump: the instructions as user space may see them. */
export function bpf_insn_prepare_dump(prog: bpf_prog): bpf_insn[] {
	const raw_ok = bpf_dump_raw_ok(prog.kernel);
	const insns = prog.insnsi.map((i) => i.clone());
	const off: Ref<number> = { val: 0 };
	const type: Ref<number> = { val: 0 };
	for (let i = 0; i < insns.length; i++) {
		const insn = insns[i]!;
		const { code } = insn;
		if (code === (BPF_JMP | BPF_TAIL_CALL)) {
			insn.code = BPF_JMP | BPF_CALL;
			insn.imm = BPF_FUNC_tail_call;
		}
		if (code === (BPF_JMP | BPF_CALL) || code === (BPF_JMP | BPF_CALL_ARGS)) {
			if (code === (BPF_JMP | BPF_CALL_ARGS)) insn.code = BPF_JMP | BPF_CALL;
			if (!raw_ok) insn.imm = 0;
			continue;
		}
		const cls = BPF_CLASS(code);
		if (cls === BPF_LDX && BPF_MODE(code) === BPF_PROBE_MEM) {
			insn.code = BPF_LDX | BPF_SIZE(code) | BPF_MEM;
			continue;
		}
		if ((cls === BPF_LDX || cls === BPF_STX || cls === BPF_ST) && BPF_MODE(code) === BPF_PROBE_MEM32) {
			insn.code = cls | BPF_SIZE(code) | BPF_MEM;
			continue;
		}
		if (code !== (BPF_LD | BPF_IMM | BPF_DW)) continue;
		const next = insns[i + 1]!;
		const imm = (BigInt(next.imm >>> 0) << 32n) | BigInt(insn.imm >>> 0);
		const map = bpf_map_from_imm(prog, imm, off, type);
		if (map) {
			insn.src_reg = type.val;
			insn.imm = map.id;
			next.imm = off.val;
		}
	}
	return insns;
}

/** kernel/bpf/syscall.c: set_info_rec_size */
function set_info_rec_size(info: bpf_prog_info): number {
	if ((info.nr_func_info || info.func_info_rec_size) && info.func_info_rec_size !== 8) return -EINVAL;
	if ((info.nr_line_info || info.line_info_rec_size) && info.line_info_rec_size !== 16) return -EINVAL;
	if ((info.nr_jited_line_info || info.jited_line_info_rec_size) && info.jited_line_info_rec_size !== 8)
		return -EINVAL;
	info.func_info_rec_size = 8;
	info.line_info_rec_size = 16;
	info.jited_line_info_rec_size = 8;
	return 0;
}

function name_bytes(name: string): Uint8Array {
	const out = new Uint8Array(16);
	for (let i = 0; i < name.length && i < 15; i++) out[i] = name.charCodeAt(i);
	return out;
}

function u32s(values: readonly number[]): Uint8Array {
	return new Uint8Array(Uint32Array.from(values).buffer);
}

function u64s(values: readonly bigint[]): Uint8Array {
	return new Uint8Array(BigUint64Array.from(values).buffer);
}

/** kernel/bpf/syscall.c: bpf_prog_get_info_by_fd */
function bpf_prog_get_info_by_fd(kernel: Kernel, prog: bpf_prog, attr: bpf_attr, uattr: number): number {
	const k = impl(kernel);
	const { aux } = prog;
	const uinfo = u64_to_user_ptr(attr.info_info);
	let info_len = attr.info_info_len;
	let err = bpf_check_uarg_tail_zero(kernel, USER_BPFPTR(uinfo), bpf_prog_info.SIZE, info_len);
	if (err) return err;
	info_len = Math.min(bpf_prog_info.SIZE, info_len);
	const info = new bpf_prog_info();
	const given = k.copy_from_user(uinfo, info_len);
	if (!given) return -EFAULT;
	info.bytes.set(given);

	info.type = prog.type;
	info.id = aux.id;
	info.load_time = aux.load_time;
	info.created_by_uid = aux.created_by_uid;
	info.wu32(84, prog.gpl_compatible ? info.ru32(84) | 1 : info.ru32(84) & ~1);
	info.tag.set(prog.tag);
	info.name.set(name_bytes(aux.name));

	let ulen = info.nr_map_ids;
	info.nr_map_ids = aux.used_maps.length;
	ulen = Math.min(info.nr_map_ids, ulen);
	if (ulen) {
		const ids = u32s(aux.used_maps.slice(0, ulen).map((m) => m.id));
		if (!k.copy_to_user(u64_to_user_ptr(info.map_ids), ids)) return -EFAULT;
	}
	err = set_info_rec_size(info);
	if (err) return err;

	const stats = bpf_prog_get_stats(prog);
	info.run_time_ns = stats.nsecs;
	info.run_cnt = stats.cnt;
	info.recursion_misses = stats.misses;
	info.verified_insns = aux.verified_insns;
	if (aux.btf) info.btf_id = btf_obj_id(aux.btf);

	const done = (): number => {
		if (!k.copy_to_user(uinfo, info.bytes.subarray(0, info_len))) return -EFAULT;
		if (!k.put_user32(uattr + ATTR_OFF.info_info_len, info_len)) return -EFAULT;
		return 0;
	};
	if (!bpf_capable(kernel.current)) {
		info.jited_prog_len = 0;
		info.xlated_prog_len = 0;
		info.nr_jited_ksyms = 0;
		info.nr_jited_func_lens = 0;
		info.nr_func_info = 0;
		info.nr_line_info = 0;
		info.nr_jited_line_info = 0;
		return done();
	}
	const raw_ok = bpf_dump_raw_ok(kernel);

	ulen = info.xlated_prog_len;
	info.xlated_prog_len = prog.len * 8;
	if (info.xlated_prog_len && ulen) {
		if (prog.blinded && !raw_ok) {
			info.xlated_prog_insns = 0n;
			return done();
		}
		const bytes = encode_insns(bpf_insn_prepare_dump(prog));
		ulen = Math.min(info.xlated_prog_len, ulen);
		if (!k.copy_to_user(u64_to_user_ptr(info.xlated_prog_insns), bytes.subarray(0, ulen))) return -EFAULT;
	}

	// what the program consists of: its functions, or itself
	const funcs: readonly bpf_prog[] = aux.func_cnt ? aux.func!.slice(0, aux.func_cnt) : [prog];

	ulen = info.jited_prog_len;
	info.jited_prog_len = funcs.reduce((n, f) => n + f.jited_len, 0);
	if (info.jited_prog_len && ulen) {
		if (raw_ok) {
			let uinsns = u64_to_user_ptr(info.jited_prog_insns);
			let free = Math.min(info.jited_prog_len, ulen);
			for (const f of funcs) {
				const len = Math.min(f.jited_len, free);
				const img = f.jited ? k.bpf.jit!.live_image(f, len) : new Uint8Array(len);
				if (!k.copy_to_user(uinsns, img)) return -EFAULT;
				uinsns += len;
				free -= len;
				if (!free) break;
			}
		} else info.jited_prog_insns = 0n;
	}

	ulen = info.nr_jited_ksyms;
	info.nr_jited_ksyms = aux.func_cnt || 1;
	if (ulen) {
		if (raw_ok) {
			ulen = Math.min(info.nr_jited_ksyms, ulen);
			const addrs = u64s(funcs.slice(0, ulen).map((f) => BigInt.asUintN(64, f.bpf_func)));
			if (!k.copy_to_user(u64_to_user_ptr(info.jited_ksyms), addrs)) return -EFAULT;
		} else info.jited_ksyms = 0n;
	}

	ulen = info.nr_jited_func_lens;
	info.nr_jited_func_lens = aux.func_cnt || 1;
	if (ulen) {
		if (raw_ok) {
			ulen = Math.min(info.nr_jited_func_lens, ulen);
			const lens = u32s(funcs.slice(0, ulen).map((f) => f.jited_len));
			if (!k.copy_to_user(u64_to_user_ptr(info.jited_func_lens), lens)) return -EFAULT;
		} else info.jited_func_lens = 0n;
	}

	info.attach_btf_id = aux.attach_btf_id;
	const attach_btf = aux.attach_btf ?? aux.dst_prog?.aux.btf ?? null;
	if (attach_btf) info.attach_btf_obj_id = btf_obj_id(attach_btf);

	ulen = info.nr_func_info;
	info.nr_func_info = aux.func_info.length;
	if (info.nr_func_info && ulen) {
		ulen = Math.min(info.nr_func_info, ulen);
		const recs = aux.func_info.slice(0, ulen).flatMap((f) => [f.insn_off, f.type_id]);
		if (!k.copy_to_user(u64_to_user_ptr(info.func_info), u32s(recs))) return -EFAULT;
	}
	ulen = info.nr_line_info;
	info.nr_line_info = aux.linfo.length;
	if (info.nr_line_info && ulen) {
		ulen = Math.min(info.nr_line_info, ulen);
		const recs = aux.linfo
			.slice(0, ulen)
			.flatMap((l) => [l.insn_off, l.file_name_off, l.line_off, l.line_col]);
		if (!k.copy_to_user(u64_to_user_ptr(info.line_info), u32s(recs))) return -EFAULT;
	}
	ulen = info.nr_jited_line_info;
	info.nr_jited_line_info = aux.jited_linfo ? aux.linfo.length : 0;
	if (info.nr_jited_line_info && ulen) {
		if (raw_ok) {
			ulen = Math.min(info.nr_jited_line_info, ulen);
			const addrs = aux.jited_linfo!.slice(0, ulen).map((a) => BigInt.asUintN(64, a));
			if (!k.copy_to_user(u64_to_user_ptr(info.jited_line_info), u64s(addrs))) return -EFAULT;
		} else info.jited_line_info = 0n;
	}
	ulen = info.nr_prog_tags;
	info.nr_prog_tags = aux.func_cnt || 1;
	if (ulen) {
		ulen = Math.min(info.nr_prog_tags, ulen);
		const tags = new Uint8Array(8 * ulen);
		for (const [i, f] of funcs.slice(0, ulen).entries()) tags.set(f.tag, 8 * i);
		if (!k.copy_to_user(u64_to_user_ptr(info.prog_tags), tags)) return -EFAULT;
	}
	return done();
}

/** kernel/bpf/syscall.c: bpf_map_get_info_by_fd */
function bpf_map_get_info_by_fd(kernel: Kernel, map: bpf_map, attr: bpf_attr, uattr: number): number {
	const k = impl(kernel);
	const uinfo = u64_to_user_ptr(attr.info_info);
	let info_len = attr.info_info_len;
	const err = bpf_check_uarg_tail_zero(kernel, USER_BPFPTR(uinfo), bpf_map_info.SIZE, info_len);
	if (err) return err;
	info_len = Math.min(bpf_map_info.SIZE, info_len);
	const info = new bpf_map_info();
	info.type = map.map_type;
	info.id = map.id;
	info.key_size = map.key_size;
	info.value_size = map.value_size;
	info.max_entries = map.max_entries;
	info.map_flags = map.map_flags;
	info.map_extra = map.map_extra;
	info.name.set(name_bytes(map.name));
	if (map.btf) {
		info.btf_id = btf_obj_id(map.btf);
		info.btf_key_type_id = map.btf_key_type_id;
		info.btf_value_type_id = map.btf_value_type_id;
	}
	info.btf_vmlinux_value_type_id = map.btf_vmlinux_value_type_id;
	if (map.map_type === BPF_MAP_TYPE_STRUCT_OPS) info.btf_vmlinux_id = bpf_map_struct_ops_info_fill(map);
	if (!k.copy_to_user(uinfo, info.bytes.subarray(0, info_len))) return -EFAULT;
	return k.put_user32(uattr + ATTR_OFF.info_info_len, info_len) ? 0 : -EFAULT;
}

/** kernel/bpf/syscall.c: bpf_link_get_info_by_fd */
function bpf_link_get_info_by_fd(kernel: Kernel, link: bpf_link, attr: bpf_attr, uattr: number): number {
	const k = impl(kernel);
	const uinfo = u64_to_user_ptr(attr.info_info);
	let info_len = attr.info_info_len;
	let err = bpf_check_uarg_tail_zero(kernel, USER_BPFPTR(uinfo), bpf_link_info.SIZE, info_len);
	if (err) return err;
	info_len = Math.min(bpf_link_info.SIZE, info_len);
	const info = new bpf_link_info();
	const given = k.copy_from_user(uinfo, info_len);
	if (!given) return -EFAULT;
	info.bytes.set(given);
	info.type = link.type;
	info.id = link.id;
	if (link.prog) info.prog_id = link.prog.aux.id;
	if (link.ops.fill_link_info) {
		err = link.ops.fill_link_info(link, info);
		if (err) return err;
	}
	if (!k.copy_to_user(uinfo, info.bytes.subarray(0, info_len))) return -EFAULT;
	return k.put_user32(uattr + ATTR_OFF.info_info_len, info_len) ? 0 : -EFAULT;
}

/** kernel/bpf/syscall.c: bpf_obj_get_info_by_fd */
export function bpf_obj_get_info_by_fd(kernel: Kernel, attr: bpf_attr, uattr: number): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_OBJ_GET_INFO_BY_FD)) return -EINVAL;
	const f = fdget(kernel, attr.info_bpf_fd);
	if (!f) return -EBADFD;
	if (f.f_op === bpf_prog_fops)
		return bpf_prog_get_info_by_fd(kernel, f.private_data as bpf_prog, attr, uattr);
	if (f.f_op === bpf_map_fops) return bpf_map_get_info_by_fd(kernel, f.private_data as bpf_map, attr, uattr);
	if (f.f_op === btf_fops) {
		// sizeof(struct bpf_btf_info)
		const err = bpf_check_uarg_tail_zero(
			kernel,
			USER_BPFPTR(u64_to_user_ptr(attr.info_info)),
			32,
			attr.info_info_len,
		);
		if (err) return err;
		return btf_get_info_by_fd(kernel, f.private_data as btf, attr, uattr);
	}
	if (is_link_file(f)) return bpf_link_get_info_by_fd(kernel, f.private_data as bpf_link, attr, uattr);
	return -EINVAL;
}

/** kernel/bpf/syscall.c: bpf_obj_get_next_id */
export function bpf_obj_get_next_id<T>(kernel: Kernel, attr: bpf_attr, uattr: number, idr: Idr<T>): number {
	const next_id = attr.start_id;
	if (attr_tail_nonzero(attr, ATTR_END.BPF_OBJ_GET_NEXT_ID) || next_id >= INT_MAX) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	const found = idr.get_next(next_id + 1);
	if (!found) return -ENOENT;
	return impl(kernel).put_user32(uattr + ATTR_OFF.next_id, found.id) ? 0 : -EFAULT;
}

/** kernel/bpf/syscall.c: bpf_prog_by_id */
export function bpf_prog_by_id(kernel: Kernel, id: number): bpf_prog | number {
	if (!id) return -ENOENT;
	const prog = impl(kernel).bpf.prog_idr.find(id);
	return prog ? bpf_prog_inc_not_zero(prog) : -ENOENT;
}

/** kernel/bpf/syscall.c: bpf_prog_get_fd_by_id */
export function bpf_prog_get_fd_by_id(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_PROG_GET_FD_BY_ID)) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	const prog = bpf_prog_by_id(kernel, attr.prog_id);
	if (typeof prog === "number") return prog;
	const fd = bpf_prog_new_fd(prog);
	if (fd < 0) bpf_prog_put(prog);
	return fd;
}

/** kernel/bpf/syscall.c: bpf_map_get_fd_by_id */
export function bpf_map_get_fd_by_id(kernel: Kernel, attr: bpf_attr): number {
	if (
		attr_tail_nonzero(attr, ATTR_END.BPF_MAP_GET_FD_BY_ID) ||
		attr.open_flags & ~(BPF_F_RDONLY | BPF_F_WRONLY)
	)
		return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	const f_flags = bpf_get_file_flag(attr.open_flags);
	if (f_flags < 0) return f_flags;
	const found = impl(kernel).bpf.map_idr.find(attr.map_id);
	const map = found ? __bpf_map_inc_not_zero(found, true) : -ENOENT;
	if (typeof map === "number") return map;
	const fd = bpf_map_new_fd(map, f_flags);
	if (fd < 0) bpf_map_put_with_uref(map);
	return fd;
}

/** kernel/bpf/syscall.c: bpf_btf_get_fd_by_id */
export function bpf_btf_get_fd_by_id(kernel: Kernel, attr: bpf_attr): number {
	if (attr_tail_nonzero(attr, ATTR_END.BPF_BTF_GET_FD_BY_ID)) return -EINVAL;
	if (!capable(kernel.current, CAP_SYS_ADMIN)) return -EPERM;
	return btf_get_fd_by_id(kernel, attr.btf_id);
}
