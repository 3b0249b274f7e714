// SPDX-License-Identifier: GPL-2.0-only
/** Helpers that every program type gets (kernel/bpf/helpers.c: bpf_base_func_proto) and small rules about programs. */
import {
	BPF_FUNC_probe_read_kernel,
	BPF_FUNC_probe_read_kernel_str,
	BPF_FUNC_trace_printk,
	BPF_FUNC_trace_vprintk,
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_TRACING,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
} from "../../include/uapi/linux/bpf.ts";
import { CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN, capable } from "../task.ts";
import {
	bpf_probe_read_kernel_proto,
	bpf_probe_read_kernel_str_proto,
	bpf_trace_printk_proto,
	bpf_trace_vprintk_proto,
} from "../trace/bpf_trace_proto.ts";
import type { bpf_func_proto, bpf_prog } from "./bpf_types.ts";
import { base_helpers, base_helpers_bpf, base_helpers_perfmon } from "./helper_sets.ts";

/** kernel/bpf/token.c: bpf_token_capable, for a program without a token. */
export function bpf_prog_capable(prog: bpf_prog, cap: number): boolean {
	const task = prog.kernel.current;
	return capable(task, cap) || (cap !== CAP_SYS_ADMIN && capable(task, CAP_SYS_ADMIN));
}

/** include/linux/bpf_verifier.h: resolve_prog_type */
export function resolve_prog_type(prog: bpf_prog): number {
	return prog.type === BPF_PROG_TYPE_EXT && prog.aux.saved_dst_prog_type
		? prog.aux.saved_dst_prog_type
		: prog.type;
}

/** include/linux/bpf_verifier.h: bpf_prog_check_recur */
export function bpf_prog_check_recur(prog: bpf_prog): boolean {
	switch (resolve_prog_type(prog)) {
		case BPF_PROG_TYPE_TRACING:
			return prog.expected_attach_type !== BPF_TRACE_ITER;
		case BPF_PROG_TYPE_STRUCT_OPS:
		case BPF_PROG_TYPE_LSM:
			return false;
		default:
			return true;
	}
}

/** kernel/bpf/trampoline.c: bpf_prog_has_trampoline */
export function bpf_prog_has_trampoline(prog: bpf_prog): boolean {
	const eatype = prog.expected_attach_type;
	if (prog.type === BPF_PROG_TYPE_TRACING)
		return eatype === BPF_TRACE_FENTRY || eatype === BPF_TRACE_FEXIT || eatype === BPF_MODIFY_RETURN;
	return prog.type === BPF_PROG_TYPE_LSM && eatype === BPF_LSM_MAC;
}

/** kernel/bpf/helpers.c: bpf_base_func_proto. null: the caller may not use that helper. */
export function bpf_base_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	const base = base_helpers.get(func_id);
	if (base) return base;
	if (!bpf_prog_capable(prog, CAP_BPF)) return null;
	const bpf = base_helpers_bpf.get(func_id);
	if (bpf) return bpf;
	if (!bpf_prog_capable(prog, CAP_PERFMON)) return null;
	switch (func_id) {
		case BPF_FUNC_trace_printk:
			return bpf_trace_printk_proto;
		case BPF_FUNC_trace_vprintk:
			return bpf_trace_vprintk_proto;
		case BPF_FUNC_probe_read_kernel:
			return bpf_probe_read_kernel_proto;
		case BPF_FUNC_probe_read_kernel_str:
			return bpf_probe_read_kernel_str_proto;
		default:
			return base_helpers_perfmon.get(func_id) ?? null;
	}
}
