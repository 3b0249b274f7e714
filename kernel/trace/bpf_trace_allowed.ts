// SPDX-License-Identifier: GPL-2.0-only
/** `allowed` callbacks of the helper prototypes of kernel/trace/bpf_trace.c. */
import { BPF_PROG_TYPE_LSM, BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER } from "../../include/uapi/linux/bpf.ts";
import { bpf_lsm_is_sleepable_hook, btf_func_in_set } from "../bpf/bpf_lsm_hooks.ts";
import type { bpf_prog } from "../bpf/bpf_types.ts";

const btf_allowlist_d_path: ReadonlySet<string> = new Set([
	"security_file_permission",
	"security_inode_getattr",
	"security_file_open",
	"security_path_truncate",
	"vfs_truncate",
	"vfs_fallocate",
	"dentry_open",
	"vfs_getattr",
	"filp_close",
]);

/** kernel/trace/bpf_trace.c: bpf_d_path_allowed */
export function bpf_d_path_allowed(prog: bpf_prog): boolean {
	if (prog.type === BPF_PROG_TYPE_TRACING && prog.expected_attach_type === BPF_TRACE_ITER) return true;
	if (prog.type === BPF_PROG_TYPE_LSM) return bpf_lsm_is_sleepable_hook(prog, prog.aux.attach_btf_id);
	return btf_func_in_set(prog, btf_allowlist_d_path, prog.aux.attach_btf_id);
}
