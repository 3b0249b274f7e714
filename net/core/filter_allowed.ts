// SPDX-License-Identifier: GPL-2.0-only
/** `allowed` callbacks of the helper prototypes of net/core. */
import {
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_RAW_TP,
} from "../../include/uapi/linux/bpf.ts";
import type { bpf_prog } from "../../kernel/bpf/bpf_types.ts";
import { btf_name_by_offset, btf_type_by_id } from "../../kernel/bpf/btf_obj.ts";

/** net/core/bpf_sk_storage.c: bpf_sk_storage_tracing_allowed */
export function bpf_sk_storage_tracing_allowed(prog: bpf_prog): boolean {
	if (prog.aux.dst_prog) return false;
	switch (prog.expected_attach_type) {
		case BPF_TRACE_ITER:
		case BPF_TRACE_RAW_TP:
			return true;
		case BPF_TRACE_FENTRY:
		case BPF_TRACE_FEXIT: {
			// A program that traces the storage functions themselves would recurse.
			const vmlinux = prog.kernel.bpf.bpf_get_btf_vmlinux();
			if (typeof vmlinux === "number") return false;
			const t = btf_type_by_id(vmlinux, prog.aux.attach_btf_id);
			return t !== null && !(btf_name_by_offset(vmlinux, t.name_off) ?? "").startsWith("bpf_sk_storage");
		}
		default:
			return false;
	}
}
