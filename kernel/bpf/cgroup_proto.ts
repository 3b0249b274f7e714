// SPDX-License-Identifier: GPL-2.0-only
/** Program types of cgroups: device, sysctl and sockopt programs (kernel/bpf/cgroup.c). */
import {
	BPF_READ,
	BPF_WRITE,
	PTR_TO_PACKET,
	PTR_TO_PACKET_END,
	PTR_TO_SOCKET,
} from "../../include/linux/bpf.ts";
import {
	BPF_CGROUP_GETSOCKOPT,
	BPF_CGROUP_INET_EGRESS,
	BPF_CGROUP_INET_INGRESS,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_SETSOCKOPT,
	BPF_CGROUP_SOCK_OPS,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_DW,
	BPF_FUNC_get_retval,
	BPF_FUNC_getsockopt,
	BPF_FUNC_set_retval,
	BPF_FUNC_setsockopt,
	BPF_REG_9,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_MEM, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import { bpf_cgroup_dev_ctx, bpf_sockopt, bpf_sysctl } from "../../include/uapi/linux/bpf_ctx.ts";
import type { Ref } from "../../lib/err.ts";
import { bpf_sk_getsockopt_proto, bpf_sk_setsockopt_proto } from "../../net/core/filter_proto.ts";
import { bpf_base_func_proto } from "./base_proto.ts";
import type {
	bpf_func_proto,
	bpf_insn,
	bpf_insn_access_aux,
	bpf_prog,
	bpf_verifier_ops,
} from "./bpf_types.ts";
import { CtxEmitter, in_range, narrow_access_ok } from "./ctx_access.ts";
import {
	cg_sockopt_helpers,
	cgroup_common_helpers,
	cgroup_current_helpers,
	cgroup_dev_helpers,
	sysctl_helpers,
} from "./helper_sets.ts";
import { bpf_get_retval_proto, bpf_set_retval_proto } from "./helpers_proto.ts";

/** Attach types whose return value is not an errno that programs may look at or change. */
const no_retval: ReadonlySet<number> = new Set([
	BPF_CGROUP_INET_INGRESS,
	BPF_CGROUP_INET_EGRESS,
	BPF_CGROUP_SOCK_OPS,
	BPF_CGROUP_UDP4_RECVMSG,
	BPF_CGROUP_UDP6_RECVMSG,
	BPF_CGROUP_UNIX_RECVMSG,
	BPF_CGROUP_INET4_GETPEERNAME,
	BPF_CGROUP_INET6_GETPEERNAME,
	BPF_CGROUP_UNIX_GETPEERNAME,
	BPF_CGROUP_INET4_GETSOCKNAME,
	BPF_CGROUP_INET6_GETSOCKNAME,
	BPF_CGROUP_UNIX_GETSOCKNAME,
]);

/** kernel/bpf/cgroup.c: cgroup_common_func_proto */
export function cgroup_common_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	switch (func_id) {
		case BPF_FUNC_get_retval:
			return no_retval.has(prog.expected_attach_type) ? null : bpf_get_retval_proto;
		case BPF_FUNC_set_retval:
			return no_retval.has(prog.expected_attach_type) ? null : bpf_set_retval_proto;
		default:
			return cgroup_common_helpers.get(func_id) ?? null;
	}
}

/** kernel/bpf/cgroup.c: cgroup_current_func_proto */
export function cgroup_current_func_proto(func_id: number): bpf_func_proto | null {
	return cgroup_current_helpers.get(func_id) ?? null;
}

/** The helpers of cgroup hooks first, then a type's own, then everybody's. */
export function cgroup_func_proto(
	func_id: number,
	prog: bpf_prog,
	own: ReadonlyMap<number, bpf_func_proto>,
): bpf_func_proto | null {
	return (
		cgroup_common_func_proto(func_id, prog) ??
		cgroup_current_func_proto(func_id) ??
		own.get(func_id) ??
		bpf_base_func_proto(func_id, prog)
	);
}

function cg_sockopt_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	const common = cgroup_common_func_proto(func_id, prog) ?? cgroup_current_func_proto(func_id);
	if (common) return common;
	switch (func_id) {
		case BPF_FUNC_setsockopt:
			return prog.expected_attach_type === BPF_CGROUP_SETSOCKOPT ? bpf_sk_setsockopt_proto : null;
		case BPF_FUNC_getsockopt:
			return prog.expected_attach_type === BPF_CGROUP_SETSOCKOPT ? bpf_sk_getsockopt_proto : null;
		default:
			return cg_sockopt_helpers.get(func_id) ?? bpf_base_func_proto(func_id, prog);
	}
}

function cgroup_dev_is_valid_access(
	off: number,
	size: number,
	type: number,
	_prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (type === BPF_WRITE) return false;
	if (off < 0 || off + size > bpf_cgroup_dev_ctx.sizeof) return false;
	if (off % size !== 0) return false;
	if (in_range(off, bpf_cgroup_dev_ctx.access_type)) {
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	return size === 4;
}

export const cg_dev_verifier_ops: bpf_verifier_ops = {
	get_func_proto: (func_id, prog) => cgroup_func_proto(func_id, prog, cgroup_dev_helpers),
	is_valid_access: cgroup_dev_is_valid_access,
};

function sysctl_is_valid_access(
	off: number,
	size: number,
	type: number,
	_prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (off < 0 || off + size > bpf_sysctl.sizeof || off % size) return false;
	if (in_range(off, bpf_sysctl.write)) {
		if (type !== BPF_READ) return false;
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	if (in_range(off, bpf_sysctl.file_pos)) {
		if (type !== BPF_READ) return size === 4;
		info.ctx_field_size = 4;
		return narrow_access_ok(size, 4);
	}
	return false;
}

function sysctl_convert_ctx_access(
	type: number,
	si: bpf_insn,
	prog: bpf_prog,
	target_size: Ref<number>,
): bpf_insn[] {
	const e = new CtxEmitter(prog, si, target_size);
	switch (si.off) {
		case bpf_sysctl.write[0]:
			e.ldx(e.size, si.dst_reg, si.src_reg, e.target_off("bpf_sysctl_kern", "write"));
			break;
		case bpf_sysctl.file_pos[0]:
			// The position is behind a pointer; a store needs a third register.
			if (type === BPF_WRITE) {
				const treg = e.spare_reg();
				e.stx(BPF_DW, si.dst_reg, treg, e.off("bpf_sysctl_kern", "tmp_reg"));
				e.ldx_field(treg, si.dst_reg, "bpf_sysctl_kern", "ppos");
				e.raw(e.cls | BPF_MEM | BPF_W, treg, si.src_reg, 0, si.imm);
				e.ldx(BPF_DW, treg, si.dst_reg, e.off("bpf_sysctl_kern", "tmp_reg"));
			} else {
				e.ldx_field(si.dst_reg, si.src_reg, "bpf_sysctl_kern", "ppos");
				e.ldx(e.size, si.dst_reg, si.dst_reg, 0);
			}
			target_size.val = 4;
			break;
	}
	return e.insns;
}

export const cg_sysctl_verifier_ops: bpf_verifier_ops = {
	get_func_proto: (func_id, prog) => cgroup_func_proto(func_id, prog, sysctl_helpers),
	is_valid_access: sysctl_is_valid_access,
	convert_ctx_access: sysctl_convert_ctx_access,
};

function cg_sockopt_is_valid_access(
	off: number,
	size: number,
	type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (off < 0 || off >= bpf_sockopt.sizeof) return false;
	if (off % size !== 0) return false;

	if (type === BPF_WRITE) {
		switch (off) {
			case bpf_sockopt.retval[0]:
				return size === 4 && prog.expected_attach_type === BPF_CGROUP_GETSOCKOPT;
			case bpf_sockopt.optname[0]:
			case bpf_sockopt.level[0]:
				return size === 4 && prog.expected_attach_type === BPF_CGROUP_SETSOCKOPT;
			case bpf_sockopt.optlen[0]:
				return size === 4;
			default:
				return false;
		}
	}

	if (in_range(off, bpf_sockopt.sk)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_SOCKET;
	} else if (in_range(off, bpf_sockopt.optval)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_PACKET;
	} else if (in_range(off, bpf_sockopt.optval_end)) {
		if (size !== 8) return false;
		info.reg_type = PTR_TO_PACKET_END;
	} else if (in_range(off, bpf_sockopt.retval)) {
		return size === 4 && prog.expected_attach_type === BPF_CGROUP_GETSOCKOPT;
	} else if (size !== 4) {
		return false;
	}
	return true;
}

function cg_sockopt_convert_ctx_access(
	type: number,
	si: bpf_insn,
	prog: bpf_prog,
	target_size: Ref<number>,
): bpf_insn[] {
	const e = new CtxEmitter(prog, si, target_size);
	const kern = "bpf_sockopt_kern";
	const read = (f: string) => e.ldx_field(si.dst_reg, si.src_reg, kern, f);
	const read_or_write = (f: string) => {
		if (type === BPF_WRITE)
			e.raw(e.field_size(kern, f) | BPF_MEM | e.cls, si.dst_reg, si.src_reg, e.off(kern, f), si.imm);
		else read(f);
	};
	switch (si.off) {
		case bpf_sockopt.sk[0]:
			read("sk");
			break;
		case bpf_sockopt.level[0]:
			read_or_write("level");
			break;
		case bpf_sockopt.optname[0]:
			read_or_write("optname");
			break;
		case bpf_sockopt.optlen[0]:
			read_or_write("optlen");
			break;
		case bpf_sockopt.retval[0]:
			if (type === BPF_WRITE) {
				const treg = e.spare_reg(BPF_REG_9);
				e.stx(BPF_DW, si.dst_reg, treg, e.off(kern, "tmp_reg"));
				e.ldx_field(treg, si.dst_reg, kern, "current_task");
				e.ldx_field(treg, treg, "task_struct", "bpf_ctx");
				e.raw(
					e.cls | BPF_MEM | e.field_size("bpf_cg_run_ctx", "retval"),
					treg,
					si.src_reg,
					e.off("bpf_cg_run_ctx", "retval"),
					si.imm,
				);
				e.ldx(BPF_DW, treg, si.dst_reg, e.off(kern, "tmp_reg"));
			} else {
				read("current_task");
				e.ldx_field(si.dst_reg, si.dst_reg, "task_struct", "bpf_ctx");
				e.ldx_field(si.dst_reg, si.dst_reg, "bpf_cg_run_ctx", "retval");
			}
			break;
		case bpf_sockopt.optval[0]:
			read("optval");
			break;
		case bpf_sockopt.optval_end[0]:
			read("optval_end");
			break;
	}
	return e.insns;
}

export const cg_sockopt_verifier_ops: bpf_verifier_ops = {
	get_func_proto: cg_sockopt_func_proto,
	is_valid_access: cg_sockopt_is_valid_access,
	convert_ctx_access: cg_sockopt_convert_ctx_access,
	gen_prologue: () => [],
};
