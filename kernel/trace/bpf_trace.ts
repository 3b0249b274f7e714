// SPDX-License-Identifier: GPL-2.0-only
/** Tracing program types: helpers and contexts (kernel/trace/bpf_trace.c). */
import { abi_of } from "../../arch/abis.ts";
import { BPF_READ, MAX_BPF_FUNC_ARGS, PTR_TO_TP_BUFFER } from "../../include/linux/bpf.ts";
import {
	BPF_DW,
	BPF_FUNC_get_attach_cookie,
	BPF_FUNC_get_func_arg,
	BPF_FUNC_get_func_arg_cnt,
	BPF_FUNC_get_func_ip,
	BPF_FUNC_get_func_ret,
	BPF_FUNC_get_stack,
	BPF_FUNC_get_task_stack,
	BPF_FUNC_getsockopt,
	BPF_FUNC_override_return,
	BPF_FUNC_probe_read,
	BPF_FUNC_probe_read_kernel,
	BPF_FUNC_probe_read_kernel_str,
	BPF_FUNC_probe_read_str,
	BPF_FUNC_probe_write_user,
	BPF_FUNC_seq_printf,
	BPF_FUNC_seq_printf_btf,
	BPF_FUNC_seq_write,
	BPF_FUNC_setsockopt,
	BPF_FUNC_task_storage_delete,
	BPF_FUNC_task_storage_get,
	BPF_FUNC_trace_printk,
	BPF_FUNC_trace_vprintk,
	BPF_PROG_TYPE_TRACING,
	BPF_TRACE_ITER,
	BPF_TRACE_KPROBE_MULTI,
	BPF_TRACE_KPROBE_SESSION,
	BPF_TRACE_RAW_TP,
	BPF_TRACE_UPROBE_MULTI,
} from "../../include/uapi/linux/bpf.ts";
import { bpf_perf_event_data } from "../../include/uapi/linux/bpf_ctx.ts";
import type { Ref } from "../../lib/err.ts";
import { bpf_sk_getsockopt_proto, bpf_sk_setsockopt_proto } from "../../net/core/filter_proto.ts";
import {
	bpf_base_func_proto,
	bpf_prog_capable,
	bpf_prog_check_recur,
	bpf_prog_has_trampoline,
} from "../bpf/base_proto.ts";
import type {
	bpf_func_proto,
	bpf_insn,
	bpf_insn_access_aux,
	bpf_prog,
	bpf_verifier_ops,
} from "../bpf/bpf_types.ts";
import { btf_ctx_access, btf_name_by_offset, btf_type_by_id } from "../bpf/btf.ts";
import { CtxEmitter, in_range, narrow_access_ok } from "../bpf/ctx_access.ts";
import {
	bpf_get_stack_proto,
	bpf_get_stack_sleepable_proto,
	bpf_get_task_stack_proto,
	bpf_get_task_stack_sleepable_proto,
	bpf_task_storage_delete_proto,
	bpf_task_storage_delete_recur_proto,
	bpf_task_storage_get_proto,
	bpf_task_storage_get_recur_proto,
} from "../bpf/helpers_proto.ts";
import { CAP_SYS_ADMIN } from "../task.ts";
import * as proto from "./bpf_trace_proto.ts";
import {
	bpf_tracing_helpers,
	kprobe_prog_helpers,
	pe_prog_helpers,
	raw_tp_prog_helpers,
	tp_prog_helpers,
	tracing_prog_helpers,
} from "./bpf_trace_sets.ts";

const PERF_MAX_TRACE_SIZE = 8192;

/** kernel/trace/bpf_trace.c: bpf_tracing_func_proto */
export function bpf_tracing_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	switch (func_id) {
		case BPF_FUNC_trace_printk:
			return proto.bpf_trace_printk_proto;
		case BPF_FUNC_trace_vprintk:
			return proto.bpf_trace_vprintk_proto;
		case BPF_FUNC_probe_write_user:
			return bpf_prog_capable(prog, CAP_SYS_ADMIN) ? proto.bpf_probe_write_user_proto : null;
		case BPF_FUNC_probe_read_kernel:
			return proto.bpf_probe_read_kernel_proto;
		case BPF_FUNC_probe_read_kernel_str:
			return proto.bpf_probe_read_kernel_str_proto;
		case BPF_FUNC_probe_read:
			return proto.bpf_probe_read_compat_proto;
		case BPF_FUNC_probe_read_str:
			return proto.bpf_probe_read_compat_str_proto;
		case BPF_FUNC_get_task_stack:
			return prog.sleepable ? bpf_get_task_stack_sleepable_proto : bpf_get_task_stack_proto;
		case BPF_FUNC_task_storage_get:
			return bpf_prog_check_recur(prog) ? bpf_task_storage_get_recur_proto : bpf_task_storage_get_proto;
		case BPF_FUNC_task_storage_delete:
			return bpf_prog_check_recur(prog) ? bpf_task_storage_delete_recur_proto : bpf_task_storage_delete_proto;
		default:
			return bpf_tracing_helpers.get(func_id) ?? bpf_base_func_proto(func_id, prog);
	}
}

function is_kprobe_multi(prog: bpf_prog): boolean {
	return (
		prog.expected_attach_type === BPF_TRACE_KPROBE_MULTI ||
		prog.expected_attach_type === BPF_TRACE_KPROBE_SESSION
	);
}

function kprobe_prog_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	switch (func_id) {
		case BPF_FUNC_get_stack:
			return prog.sleepable ? bpf_get_stack_sleepable_proto : bpf_get_stack_proto;
		case BPF_FUNC_override_return:
			// compiled in with the option only
			return prog.kernel.config.kconfig.get("CONFIG_BPF_KPROBE_OVERRIDE") === "y"
				? proto.bpf_override_return_proto
				: null;
		case BPF_FUNC_get_func_ip:
			if (is_kprobe_multi(prog)) return proto.bpf_get_func_ip_proto_kprobe_multi;
			if (prog.expected_attach_type === BPF_TRACE_UPROBE_MULTI)
				return proto.bpf_get_func_ip_proto_uprobe_multi;
			return proto.bpf_get_func_ip_proto_kprobe;
		case BPF_FUNC_get_attach_cookie:
			if (is_kprobe_multi(prog)) return proto.bpf_get_attach_cookie_proto_kmulti;
			if (prog.expected_attach_type === BPF_TRACE_UPROBE_MULTI)
				return proto.bpf_get_attach_cookie_proto_umulti;
			return proto.bpf_get_attach_cookie_proto_trace;
		default:
			return kprobe_prog_helpers.get(func_id) ?? bpf_tracing_func_proto(func_id, prog);
	}
}

/** kernel/trace/bpf_trace.c: raw_tp_prog_func_proto */
export function raw_tp_prog_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	return raw_tp_prog_helpers.get(func_id) ?? bpf_tracing_func_proto(func_id, prog);
}

/** kernel/bpf/bpf_iter.c: bpf_iter_get_func_proto: the tcp and unix iterators may set socket options. */
function bpf_iter_get_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	if (func_id !== BPF_FUNC_setsockopt && func_id !== BPF_FUNC_getsockopt) return null;
	const vmlinux = prog.kernel.bpf.bpf_get_btf_vmlinux();
	if (typeof vmlinux === "number") return null;
	const t = btf_type_by_id(vmlinux, prog.aux.attach_btf_id);
	const name = t === null ? "" : btf_name_by_offset(vmlinux, t.name_off);
	if (name !== "bpf_iter_tcp" && name !== "bpf_iter_unix") return null;
	return func_id === BPF_FUNC_setsockopt ? bpf_sk_setsockopt_proto : bpf_sk_getsockopt_proto;
}

/** kernel/trace/bpf_trace.c: tracing_prog_func_proto */
export function tracing_prog_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	const iter = prog.expected_attach_type === BPF_TRACE_ITER;
	switch (func_id) {
		case BPF_FUNC_seq_printf:
			return iter ? proto.bpf_seq_printf_proto : null;
		case BPF_FUNC_seq_write:
			return iter ? proto.bpf_seq_write_proto : null;
		case BPF_FUNC_seq_printf_btf:
			return iter ? proto.bpf_seq_printf_btf_proto : null;
		case BPF_FUNC_get_func_arg:
			return bpf_prog_has_trampoline(prog) ? proto.bpf_get_func_arg_proto : null;
		case BPF_FUNC_get_func_ret:
			return bpf_prog_has_trampoline(prog) ? proto.bpf_get_func_ret_proto : null;
		case BPF_FUNC_get_func_arg_cnt:
			return bpf_prog_has_trampoline(prog) ? proto.bpf_get_func_arg_cnt_proto : null;
		case BPF_FUNC_get_attach_cookie:
			if (prog.type === BPF_PROG_TYPE_TRACING && prog.expected_attach_type === BPF_TRACE_RAW_TP)
				return proto.bpf_get_attach_cookie_proto_tracing;
			return bpf_prog_has_trampoline(prog) ? proto.bpf_get_attach_cookie_proto_tracing : null;
		default: {
			const fn = tracing_prog_helpers.get(func_id) ?? raw_tp_prog_func_proto(func_id, prog);
			return fn ?? (iter ? bpf_iter_get_func_proto(func_id, prog) : null);
		}
	}
}

/** include/linux/bpf.h: bpf_tracing_ctx_access */
export function bpf_tracing_ctx_access(off: number, size: number, type: number): boolean {
	if (off < 0 || off >= 8 * MAX_BPF_FUNC_ARGS) return false;
	if (type !== BPF_READ) return false;
	return off % size === 0;
}

/** include/linux/bpf.h: bpf_tracing_btf_ctx_access */
export function bpf_tracing_btf_ctx_access(
	off: number,
	size: number,
	type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	return bpf_tracing_ctx_access(off, size, type) && btf_ctx_access(off, size, type, prog, info);
}

export const kprobe_verifier_ops: bpf_verifier_ops = {
	get_func_proto: kprobe_prog_func_proto,
	is_valid_access(off, size, type, prog) {
		const end = abi_of(prog.kernel.config.arch).sizeof_pt_regs;
		if (off < 0 || off >= end) return false;
		if (type !== BPF_READ) return false;
		if (off % size !== 0) return false;
		return off + size <= end;
	},
};

export const tracepoint_verifier_ops: bpf_verifier_ops = {
	get_func_proto: (func_id, prog) => tp_prog_helpers.get(func_id) ?? bpf_tracing_func_proto(func_id, prog),
	is_valid_access: (off, size, type) =>
		off >= 8 && off < PERF_MAX_TRACE_SIZE && type === BPF_READ && off % size === 0,
};

export const raw_tracepoint_verifier_ops: bpf_verifier_ops = {
	get_func_proto: raw_tp_prog_func_proto,
	is_valid_access: bpf_tracing_ctx_access,
};

export const tracing_verifier_ops: bpf_verifier_ops = {
	get_func_proto: tracing_prog_func_proto,
	is_valid_access: bpf_tracing_btf_ctx_access,
};

export const raw_tracepoint_writable_verifier_ops: bpf_verifier_ops = {
	get_func_proto: raw_tp_prog_func_proto,
	is_valid_access(off, size, type, _prog, info) {
		if (off === 0) {
			if (size !== 8 || type !== BPF_READ) return false;
			info.reg_type = PTR_TO_TP_BUFFER;
		}
		return bpf_tracing_ctx_access(off, size, type);
	},
};

/** Members of struct bpf_perf_event_data after the registers. */
function perf_fields(prog: bpf_prog): {
	sample_period: [number, number];
	addr: [number, number];
	size: number;
} {
	const regs = abi_of(prog.kernel.config.arch).sizeof_user_pt_regs;
	return { sample_period: [regs, 8], addr: [regs + 8, 8], size: regs + bpf_perf_event_data.sizeof - 168 };
}

function pe_prog_is_valid_access(
	off: number,
	size: number,
	type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	const f = perf_fields(prog);
	if (off < 0 || off >= f.size) return false;
	if (type !== BPF_READ) return false;
	if (off % size !== 0) return false;
	if (in_range(off, f.sample_period) || in_range(off, f.addr)) {
		info.ctx_field_size = 8;
		return narrow_access_ok(size, 8);
	}
	return size === 8;
}

function pe_prog_convert_ctx_access(
	_type: number,
	si: bpf_insn,
	prog: bpf_prog,
	target_size: Ref<number>,
): bpf_insn[] {
	const e = new CtxEmitter(prog, si, target_size);
	const f = perf_fields(prog);
	const kern = "bpf_perf_event_data_kern";
	if (si.off === f.sample_period[0]) {
		e.ldx_field(si.dst_reg, si.src_reg, kern, "data");
		e.ldx(BPF_DW, si.dst_reg, si.dst_reg, e.target_off("perf_sample_data", "period", 8));
	} else if (si.off === f.addr[0]) {
		e.ldx_field(si.dst_reg, si.src_reg, kern, "data");
		e.ldx(BPF_DW, si.dst_reg, si.dst_reg, e.target_off("perf_sample_data", "addr", 8));
	} else {
		e.ldx_field(si.dst_reg, si.src_reg, kern, "regs");
		e.ldx(BPF_DW, si.dst_reg, si.dst_reg, si.off);
	}
	return e.insns;
}

export const perf_event_verifier_ops: bpf_verifier_ops = {
	get_func_proto: (func_id, prog) => pe_prog_helpers.get(func_id) ?? bpf_tracing_func_proto(func_id, prog),
	is_valid_access: pe_prog_is_valid_access,
	convert_ctx_access: pe_prog_convert_ctx_access,
};
