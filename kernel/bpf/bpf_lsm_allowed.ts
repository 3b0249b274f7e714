// SPDX-License-Identifier: GPL-2.0-only
/** `allowed` callbacks of the helper prototypes of kernel/bpf/bpf_lsm.c. */
import { bpf_lsm_is_sleepable_hook } from "./bpf_lsm_hooks.ts";
import type { bpf_prog } from "./bpf_types.ts";

/** kernel/bpf/bpf_lsm.c: bpf_ima_inode_hash_allowed */
export function bpf_ima_inode_hash_allowed(prog: bpf_prog): boolean {
	return bpf_lsm_is_sleepable_hook(prog, prog.aux.attach_btf_id);
}
