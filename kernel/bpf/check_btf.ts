// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: what the program's BTF says of it: func_info, line_info and CO-RE relocations
 * as user space gives them to BPF_PROG_LOAD.
 */
import { E2BIG, EACCES, EFAULT, EINVAL, ENOMEM } from "../../include/uapi/asm-generic/errno.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { bpf_func_info, bpf_func_info_aux, bpf_line_info } from "./bpf_types.ts";
import {
	BTF_INFO_VLEN,
	bpf_core_apply,
	btf_get_by_fd,
	btf_is_any_enum,
	btf_is_kernel,
	btf_name_by_offset,
	btf_put,
	btf_type_by_id,
	btf_type_is_func,
	btf_type_is_func_proto,
	btf_type_is_small_int,
	btf_type_skip_modifiers,
} from "./btf.ts";
import { verbose } from "./log.ts";
import type { bpf_prog_load_attr, bpf_verifier_env, bpfptr_t } from "./verifier_types.ts";

const MIN_BPF_FUNCINFO_SIZE = 8;
const MAX_FUNCINFO_REC_SIZE = 252;
const FUNC_INFO_SIZE = 8;
const MIN_BPF_LINEINFO_SIZE = 16;
const MAX_LINEINFO_REC_SIZE = MAX_FUNCINFO_REC_SIZE;
const LINE_INFO_SIZE = 16;
const CORE_RELO_SIZE = 16;
const MAX_CORE_RELO_SIZE = MAX_FUNCINFO_REC_SIZE;
const INT_MAX = 0x7fffffff;
/** KMALLOC_MAX_SIZE does not bind kvcalloc(); what exceeds INT_MAX does. */
const KVCALLOC_MAX = INT_MAX;

/** Offsets in union bpf_attr of the record sizes that the kernel corrects. */
const OFF_FUNC_INFO_REC_SIZE = 76;
const OFF_LINE_INFO_REC_SIZE = 92;
const OFF_CORE_RELO_REC_SIZE = 136;

/** Records of user space, one after the other: read at once where that is possible. */
class UserRecords {
	private readonly uattr: bpfptr_t;
	private readonly addr: bigint;
	private readonly rec_size: number;
	private readonly all: Uint8Array | null;
	constructor(uattr: bpfptr_t, addr: bigint, rec_size: number, cnt: number) {
		this.uattr = uattr;
		this.addr = addr;
		this.rec_size = rec_size;
		this.all = cnt * rec_size <= 1 << 24 ? uattr.read(addr, cnt * rec_size) : null;
	}
	/** Bytes [from, to) of record i; null: -EFAULT. */
	bytes(i: number, from: number, to: number): Uint8Array | null {
		const at = i * this.rec_size + from;
		if (this.all) return this.all.subarray(at, at + to - from);
		return this.uattr.read(this.addr + BigInt(at), to - from);
	}
	/**
	 * Record i as `expected` bytes, what is missing being zero: bpf_check_uarg_tail_zero() and
	 * copy_from_bpfptr(). -E2BIG when what the kernel does not know is not zero; -EFAULT.
	 */
	record(i: number, expected: number): DataView | number {
		if (this.rec_size > expected) {
			const tail = this.bytes(i, expected, this.rec_size);
			if (!tail) return -EFAULT;
			if (tail.some((b) => b !== 0)) return -E2BIG;
		}
		const ncopy = Math.min(expected, this.rec_size);
		const bytes = this.bytes(i, 0, ncopy);
		if (!bytes) return -EFAULT;
		const out = new Uint8Array(expected);
		out.set(bytes);
		return new DataView(out.buffer);
	}
}

/** Tell user space which record size the kernel knows; -EFAULT when its attr cannot be written. */
function write_rec_size(uattr: bpfptr_t, off: number, size: number, err: number): number {
	const bytes = new Uint8Array(4);
	new DataView(bytes.buffer).setUint32(0, size, true);
	return uattr.write(uattr.addr + BigInt(off), bytes) ? err : -EFAULT;
}

/** kernel/bpf/verifier.c: check_abnormal_return */
function check_abnormal_return(env: bpf_verifier_env): number {
	for (let i = 1; i < env.subprog_cnt; i++) {
		if (env.subprog_info[i]!.has_ld_abs) {
			verbose(env, "LD_ABS is not allowed in subprogs without BTF\n");
			return -EINVAL;
		}
		if (env.subprog_info[i]!.has_tail_call) {
			verbose(env, "tail_call is not allowed in subprogs without BTF\n");
			return -EINVAL;
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_btf_func_early */
function check_btf_func_early(env: bpf_verifier_env, attr: bpf_prog_load_attr, uattr: bpfptr_t): number {
	const nfuncs = attr.func_info_cnt;
	if (!nfuncs) return check_abnormal_return(env) ? -EINVAL : 0;

	const urec_size = attr.func_info_rec_size;
	if (urec_size < MIN_BPF_FUNCINFO_SIZE || urec_size > MAX_FUNCINFO_REC_SIZE || urec_size % 4) {
		verbose(env, `invalid func info rec size ${urec_size}\n`);
		return -EINVAL;
	}
	if (nfuncs * FUNC_INFO_SIZE > KVCALLOC_MAX) return -ENOMEM;

	const { prog } = env;
	const btf = prog.aux.btf!;
	const records = new UserRecords(uattr, attr.func_info, urec_size, nfuncs);
	const krecord: bpf_func_info[] = [];
	let prev_offset = 0;
	for (let i = 0; i < nfuncs; i++) {
		const rec = records.record(i, FUNC_INFO_SIZE);
		if (IS_ERR(rec)) {
			if (rec !== -E2BIG) return rec;
			verbose(env, "nonzero tailing record in func info");
			return write_rec_size(uattr, OFF_FUNC_INFO_REC_SIZE, Math.min(FUNC_INFO_SIZE, urec_size), rec);
		}
		const dv = rec as DataView;
		const insn_off = dv.getUint32(0, true);
		const type_id = dv.getUint32(4, true);

		if (i === 0) {
			if (insn_off) {
				verbose(env, `nonzero insn_off ${insn_off} for the first func info record`);
				return -EINVAL;
			}
		} else if (insn_off <= prev_offset) {
			verbose(
				env,
				`same or smaller insn offset (${insn_off}) than previous func info record (${prev_offset})`,
			);
			return -EINVAL;
		}

		const type = btf_type_by_id(btf, type_id);
		if (!type || !btf_type_is_func(type)) {
			verbose(env, `invalid type id ${type_id | 0} in func info`);
			return -EINVAL;
		}
		const func_proto = btf_type_by_id(btf, type.type);
		if (!func_proto || !btf_type_is_func_proto(func_proto)) return -EINVAL;

		krecord.push({ insn_off, type_id });
		prev_offset = insn_off;
	}
	prog.aux.func_info = krecord;
	return 0;
}

/** kernel/bpf/verifier.c: check_btf_func */
function check_btf_func(env: bpf_verifier_env, attr: bpf_prog_load_attr): number {
	const nfuncs = attr.func_info_cnt;
	if (!nfuncs) return check_abnormal_return(env) ? -EINVAL : 0;
	if (nfuncs !== env.subprog_cnt) {
		verbose(env, "number of funcs in func_info doesn't match number of subprogs\n");
		return -EINVAL;
	}

	const { prog } = env;
	const btf = prog.aux.btf!;
	const info_aux: bpf_func_info_aux[] = [];
	for (let i = 0; i < nfuncs; i++) {
		const krecord = prog.aux.func_info[i]!;
		const info = env.subprog_info[i]!;
		if (info.start !== krecord.insn_off) {
			verbose(env, "func_info BTF section doesn't match subprog layout in BPF program\n");
			return -EINVAL;
		}
		const type = btf_type_by_id(btf, krecord.type_id)!;
		info_aux.push({ linkage: BTF_INFO_VLEN(type.info), unreliable: false, called: false, verified: false });
		const func_proto = btf_type_by_id(btf, type.type)!;
		const ret_type = btf_type_skip_modifiers(btf, func_proto.type, null);
		const scalar_return = btf_type_is_small_int(ret_type) || btf_is_any_enum(ret_type);
		if (i && !scalar_return && info.has_ld_abs) {
			verbose(env, "LD_ABS is only allowed in functions that return 'int'.\n");
			return -EINVAL;
		}
		if (i && !scalar_return && info.has_tail_call) {
			verbose(env, "tail_call is only allowed in functions that return 'int'.\n");
			return -EINVAL;
		}
	}
	prog.aux.func_info_aux = info_aux;
	return 0;
}

/** kernel/bpf/verifier.c: adjust_btf_func: func_info follows the subprograms through all rewrites. */
export function adjust_btf_func(env: bpf_verifier_env): void {
	const { aux } = env.prog;
	if (!aux.func_info.length) return;
	for (let i = 0; i < env.subprog_cnt - env.hidden_subprog_cnt; i++)
		aux.func_info[i]!.insn_off = env.subprog_info[i]!.start;
}

/** kernel/bpf/verifier.c: check_btf_line */
function check_btf_line(env: bpf_verifier_env, attr: bpf_prog_load_attr, uattr: bpfptr_t): number {
	const nr_linfo = attr.line_info_cnt;
	if (!nr_linfo) return 0;
	if (nr_linfo > Math.floor(INT_MAX / LINE_INFO_SIZE)) return -EINVAL;
	const rec_size = attr.line_info_rec_size;
	if (rec_size < MIN_BPF_LINEINFO_SIZE || rec_size > MAX_LINEINFO_REC_SIZE || rec_size & 3) return -EINVAL;

	const { prog } = env;
	const btf = prog.aux.btf!;
	const sub = env.subprog_info;
	const linfo: bpf_line_info[] = [];
	const records = new UserRecords(uattr, attr.line_info, rec_size, nr_linfo);
	let s = 0;
	let prev_offset = 0;
	for (let i = 0; i < nr_linfo; i++) {
		const rec = records.record(i, LINE_INFO_SIZE);
		if (IS_ERR(rec)) {
			if (rec !== -E2BIG) return rec;
			verbose(env, "nonzero tailing record in line_info");
			return write_rec_size(uattr, OFF_LINE_INFO_REC_SIZE, LINE_INFO_SIZE, rec);
		}
		const dv = rec as DataView;
		const l: bpf_line_info = {
			insn_off: dv.getUint32(0, true),
			file_name_off: dv.getUint32(4, true),
			line_off: dv.getUint32(8, true),
			line_col: dv.getUint32(12, true),
		};

		if ((i && l.insn_off <= prev_offset) || l.insn_off >= prog.len) {
			verbose(
				env,
				`Invalid line_info[${i}].insn_off:${l.insn_off} (prev_offset:${prev_offset} prog->len:${prog.len})\n`,
			);
			return -EINVAL;
		}
		if (!prog.insnsi[l.insn_off]!.code) {
			verbose(env, `Invalid insn code at line_info[${i}].insn_off\n`);
			return -EINVAL;
		}
		if (btf_name_by_offset(btf, l.line_off) === null || btf_name_by_offset(btf, l.file_name_off) === null) {
			verbose(env, `Invalid line_info[${i}].line_off or .file_name_off\n`);
			return -EINVAL;
		}
		if (s !== env.subprog_cnt) {
			if (l.insn_off === sub[s]!.start) {
				sub[s]!.linfo_idx = i;
				s++;
			} else if (sub[s]!.start < l.insn_off) {
				verbose(env, `missing bpf_line_info for func#${s}\n`);
				return -EINVAL;
			}
		}
		prev_offset = l.insn_off;
		linfo.push(l);
	}

	if (s !== env.subprog_cnt) {
		verbose(env, `missing bpf_line_info for ${env.subprog_cnt - s} funcs starting from func#${s}\n`);
		return -EINVAL;
	}
	prog.aux.linfo = linfo;
	return 0;
}

/** kernel/bpf/verifier.c: check_core_relo: relocations that the kernel does itself */
function check_core_relo(env: bpf_verifier_env, attr: bpf_prog_load_attr, uattr: bpfptr_t): number {
	const { prog } = env;
	const nr_core_relo = attr.core_relo_cnt;
	if (!nr_core_relo) return 0;
	if (nr_core_relo > Math.floor(INT_MAX / CORE_RELO_SIZE)) return -EINVAL;
	const rec_size = attr.core_relo_rec_size;
	if (rec_size < CORE_RELO_SIZE || rec_size > MAX_CORE_RELO_SIZE || rec_size % 4) return -EINVAL;

	const ctx = { kernel: env.kernel, log: env.log, btf: prog.aux.btf! };
	const records = new UserRecords(uattr, attr.core_relos, rec_size, nr_core_relo);
	for (let i = 0; i < nr_core_relo; i++) {
		const rec = records.record(i, CORE_RELO_SIZE);
		if (IS_ERR(rec)) {
			if (rec !== -E2BIG) return rec;
			verbose(env, "nonzero tailing record in core_relo");
			return write_rec_size(uattr, OFF_CORE_RELO_REC_SIZE, CORE_RELO_SIZE, rec);
		}
		const dv = rec as DataView;
		const core_relo = {
			insn_off: dv.getUint32(0, true),
			type_id: dv.getUint32(4, true),
			access_str_off: dv.getUint32(8, true),
			kind: dv.getUint32(12, true),
		};
		if (core_relo.insn_off % 8 || core_relo.insn_off / 8 >= prog.len) {
			verbose(env, `Invalid core_relo[${i}].insn_off:${core_relo.insn_off} prog->len:${prog.len}\n`);
			return -EINVAL;
		}
		const err = bpf_core_apply(ctx, core_relo, i, prog.insnsi, core_relo.insn_off / 8);
		if (err) return err;
	}
	return 0;
}

/** kernel/bpf/verifier.c: check_btf_info_early */
export function check_btf_info_early(
	env: bpf_verifier_env,
	attr: bpf_prog_load_attr,
	uattr: bpfptr_t,
): number {
	if (!attr.func_info_cnt && !attr.line_info_cnt) return check_abnormal_return(env) ? -EINVAL : 0;

	const btf = btf_get_by_fd(env.kernel, attr.prog_btf_fd);
	if (IS_ERR(btf)) return btf;
	if (btf_is_kernel(btf)) {
		btf_put(btf);
		return -EACCES;
	}
	env.prog.aux.btf = btf;
	return check_btf_func_early(env, attr, uattr);
}

/** kernel/bpf/verifier.c: check_btf_info */
export function check_btf_info(env: bpf_verifier_env, attr: bpf_prog_load_attr, uattr: bpfptr_t): number {
	if (!attr.func_info_cnt && !attr.line_info_cnt) return check_abnormal_return(env) ? -EINVAL : 0;
	return check_btf_func(env, attr) || check_btf_line(env, attr, uattr) || check_core_relo(env, attr, uattr);
}
