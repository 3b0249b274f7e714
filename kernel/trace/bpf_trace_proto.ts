// SPDX-License-Identifier: GPL-2.0-only
/**
 * Prototypes of helpers, as the verifier sees them, of:
 * kernel/trace/bpf_trace.c
 */
import {
	ARG_ANYTHING,
	ARG_CONST_MAP_PTR,
	ARG_CONST_SIZE,
	ARG_CONST_SIZE_OR_ZERO,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_CTX,
	ARG_PTR_TO_FIXED_SIZE_MEM,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_MEM_OR_NULL,
	ARG_PTR_TO_UNINIT_MEM,
	MEM_ALIGNED,
	MEM_RDONLY,
	MEM_UNINIT,
	MEM_WRITE,
	PTR_MAYBE_NULL,
	RET_INTEGER,
	RET_PTR_TO_BTF_ID,
	RET_PTR_TO_BTF_ID_TRUSTED,
} from "../../include/linux/bpf.ts";
import type { bpf_func_proto } from "../bpf/bpf_types.ts";
import { bpf_d_path_allowed } from "./bpf_trace_allowed.ts";

// kernel/trace/bpf_trace.c
export const bpf_override_return_proto: bpf_func_proto = {
	func: "bpf_override_return",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING],
};
export const bpf_probe_read_user_proto: bpf_func_proto = {
	func: "bpf_probe_read_user",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_read_user_str_proto: bpf_func_proto = {
	func: "bpf_probe_read_user_str",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_read_kernel_proto: bpf_func_proto = {
	func: "bpf_probe_read_kernel",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_read_kernel_str_proto: bpf_func_proto = {
	func: "bpf_probe_read_kernel_str",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_read_compat_proto: bpf_func_proto = {
	func: "bpf_probe_read_compat",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_read_compat_str_proto: bpf_func_proto = {
	func: "bpf_probe_read_compat_str",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_probe_write_user_proto: bpf_func_proto = {
	func: "bpf_probe_write_user",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_trace_printk_proto: bpf_func_proto = {
	func: "bpf_trace_printk",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE],
};
export const bpf_trace_vprintk_proto: bpf_func_proto = {
	func: "bpf_trace_vprintk",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_seq_printf_proto: bpf_func_proto = {
	func: "bpf_seq_printf",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_BTF_ID,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE,
		ARG_PTR_TO_MEM | PTR_MAYBE_NULL | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
	arg_btf_id: { 0: { kind: "struct", name: "seq_file" } },
};
export const bpf_seq_write_proto: bpf_func_proto = {
	func: "bpf_seq_write",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO],
	arg_btf_id: { 0: { kind: "struct", name: "seq_file" } },
};
export const bpf_seq_printf_btf_proto: bpf_func_proto = {
	func: "bpf_seq_printf_btf",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "seq_file" } },
};
export const bpf_perf_event_read_proto: bpf_func_proto = {
	func: "bpf_perf_event_read",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_perf_event_read_value_proto: bpf_func_proto = {
	func: "bpf_perf_event_read_value",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_CONST_MAP_PTR, ARG_ANYTHING, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_perf_event_output_proto: bpf_func_proto = {
	func: "bpf_perf_event_output",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_get_current_task_proto: bpf_func_proto = {
	func: "bpf_get_current_task",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [],
};
export const bpf_get_current_task_btf_proto: bpf_func_proto = {
	func: "bpf_get_current_task_btf",
	gpl_only: true,
	ret_type: RET_PTR_TO_BTF_ID_TRUSTED,
	arg_type: [],
	ret_btf_id: { kind: "struct", name: "task_struct" },
};
export const bpf_task_pt_regs_proto: bpf_func_proto = {
	func: "bpf_task_pt_regs",
	gpl_only: true,
	ret_type: RET_PTR_TO_BTF_ID,
	arg_type: [ARG_PTR_TO_BTF_ID],
	arg_btf_id: { 0: { kind: "struct", name: "task_struct" } },
	ret_btf_id: { kind: "struct", name: "pt_regs" },
};
export const bpf_send_signal_proto: bpf_func_proto = {
	func: "bpf_send_signal",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING],
};
export const bpf_send_signal_thread_proto: bpf_func_proto = {
	func: "bpf_send_signal_thread",
	ret_type: RET_INTEGER,
	arg_type: [ARG_ANYTHING],
};
export const bpf_d_path_proto: bpf_func_proto = {
	func: "bpf_d_path",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_PTR_TO_MEM, ARG_CONST_SIZE_OR_ZERO],
	arg_btf_id: { 0: { kind: "struct", name: "path" } },
	allowed: bpf_d_path_allowed,
};
export const bpf_snprintf_btf_proto: bpf_func_proto = {
	func: "bpf_snprintf_btf",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_MEM, ARG_CONST_SIZE, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE, ARG_ANYTHING],
};
export const bpf_get_func_ip_proto_tracing: bpf_func_proto = {
	func: "bpf_get_func_ip_tracing",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_func_ip_proto_kprobe: bpf_func_proto = {
	func: "bpf_get_func_ip_kprobe",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_func_ip_proto_kprobe_multi: bpf_func_proto = {
	func: "bpf_get_func_ip_kprobe_multi",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_attach_cookie_proto_kmulti: bpf_func_proto = {
	func: "bpf_get_attach_cookie_kprobe_multi",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_func_ip_proto_uprobe_multi: bpf_func_proto = {
	func: "bpf_get_func_ip_uprobe_multi",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_attach_cookie_proto_umulti: bpf_func_proto = {
	func: "bpf_get_attach_cookie_uprobe_multi",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_attach_cookie_proto_trace: bpf_func_proto = {
	func: "bpf_get_attach_cookie_trace",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_attach_cookie_proto_pe: bpf_func_proto = {
	func: "bpf_get_attach_cookie_pe",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_attach_cookie_proto_tracing: bpf_func_proto = {
	func: "bpf_get_attach_cookie_tracing",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_get_branch_snapshot_proto: bpf_func_proto = {
	func: "bpf_get_branch_snapshot",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO],
};
export const bpf_get_func_arg_proto: bpf_func_proto = {
	func: "get_func_arg",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_ANYTHING, ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED],
	arg_size: { 2: 8 },
};
export const bpf_get_func_ret_proto: bpf_func_proto = {
	func: "get_func_ret",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_FIXED_SIZE_MEM | MEM_UNINIT | MEM_WRITE | MEM_ALIGNED],
	arg_size: { 1: 8 },
};
export const bpf_get_func_arg_cnt_proto: bpf_func_proto = {
	func: "get_func_arg_cnt",
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX],
};
export const bpf_perf_event_output_proto_tp: bpf_func_proto = {
	func: "bpf_perf_event_output_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_get_stackid_proto_tp: bpf_func_proto = {
	func: "bpf_get_stackid_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_get_stack_proto_tp: bpf_func_proto = {
	func: "bpf_get_stack_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_perf_prog_read_value_proto: bpf_func_proto = {
	func: "bpf_perf_prog_read_value",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE],
};
export const bpf_read_branch_records_proto: bpf_func_proto = {
	func: "bpf_read_branch_records",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM_OR_NULL, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
export const bpf_perf_event_output_proto_raw_tp: bpf_func_proto = {
	func: "bpf_perf_event_output_raw_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [
		ARG_PTR_TO_CTX,
		ARG_CONST_MAP_PTR,
		ARG_ANYTHING,
		ARG_PTR_TO_MEM | MEM_RDONLY,
		ARG_CONST_SIZE_OR_ZERO,
	],
};
export const bpf_get_stackid_proto_raw_tp: bpf_func_proto = {
	func: "bpf_get_stackid_raw_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_CONST_MAP_PTR, ARG_ANYTHING],
};
export const bpf_get_stack_proto_raw_tp: bpf_func_proto = {
	func: "bpf_get_stack_raw_tp",
	gpl_only: true,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_CTX, ARG_PTR_TO_MEM | MEM_RDONLY, ARG_CONST_SIZE_OR_ZERO, ARG_ANYTHING],
};
