// SPDX-License-Identifier: GPL-2.0-only
/** LSM programs: which hooks they may use and how (kernel/bpf/bpf_lsm.c). */
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_FUNC_get_attach_cookie,
	BPF_FUNC_getsockopt,
	BPF_FUNC_setsockopt,
	BPF_LSM_CGROUP,
} from "../../include/uapi/linux/bpf.ts";
import {
	bpf_sk_getsockopt_proto,
	bpf_sk_setsockopt_proto,
	bpf_unlocked_sk_getsockopt_proto,
	bpf_unlocked_sk_setsockopt_proto,
} from "../../net/core/filter_proto.ts";
import { tracing_prog_func_proto } from "../trace/bpf_trace.ts";
import { bpf_prog_has_trampoline } from "./base_proto.ts";
import {
	bool_lsm_hooks,
	bpf_lsm_disabled_hooks,
	bpf_lsm_hooks,
	bpf_lsm_locked_sockopt_hooks,
	bpf_lsm_unlocked_sockopt_hooks,
	btf_func_in_set,
	untrusted_lsm_hooks,
} from "./bpf_lsm_hooks.ts";
import type { bpf_func_proto, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import { btf_ctx_access } from "./btf.ts";
import { cgroup_common_func_proto } from "./cgroup_proto.ts";
import { bpf_lsm_helpers } from "./helper_sets.ts";
import { bpf_get_attach_cookie_proto } from "./helpers_proto.ts";
import { bpf_log } from "./log.ts";
import type { bpf_retval_range, bpf_verifier_log } from "./verifier_types.ts";

export { bpf_lsm_is_sleepable_hook, btf_func_in_set } from "./bpf_lsm_hooks.ts";

const MAX_ERRNO = 4095;

/** kernel/bpf/bpf_lsm.c: bpf_lsm_verify_prog. 0, or -EINVAL with a line in the log. */
export function bpf_lsm_verify_prog(vlog: bpf_verifier_log, prog: bpf_prog): number {
	const btf_id = prog.aux.attach_btf_id;
	const func_name = prog.aux.attach_func_name ?? "";

	if (!prog.gpl_compatible) {
		bpf_log(vlog, "LSM programs must have a GPL compatible license\n");
		return -EINVAL;
	}
	if (btf_func_in_set(prog, bpf_lsm_disabled_hooks, btf_id)) {
		bpf_log(vlog, `attach_btf_id ${btf_id} points to disabled hook ${func_name}\n`);
		return -EINVAL;
	}
	if (!btf_func_in_set(prog, bpf_lsm_hooks, btf_id)) {
		bpf_log(vlog, `attach_btf_id ${btf_id} points to wrong type name ${func_name}\n`);
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/bpf_lsm.c: bpf_lsm_is_trusted */
export function bpf_lsm_is_trusted(prog: bpf_prog): boolean {
	return !btf_func_in_set(prog, untrusted_lsm_hooks, prog.aux.attach_btf_id);
}

/** kernel/bpf/bpf_lsm.c: bpf_lsm_get_retval_range. -EINVAL for hooks that return nothing. */
export function bpf_lsm_get_retval_range(prog: bpf_prog, range: bpf_retval_range): number {
	if (!prog.aux.attach_func_proto?.type) return -EINVAL;
	if (btf_func_in_set(prog, bool_lsm_hooks, prog.aux.attach_btf_id)) {
		range.minval = 0;
		range.maxval = 1;
	} else {
		range.minval = -MAX_ERRNO;
		range.maxval = 0;
	}
	return 0;
}

function sockopt_proto(
	prog: bpf_prog,
	locked: bpf_func_proto,
	unlocked: bpf_func_proto,
): bpf_func_proto | null {
	if (prog.expected_attach_type !== BPF_LSM_CGROUP) return null;
	const id = prog.aux.attach_btf_id;
	if (btf_func_in_set(prog, bpf_lsm_locked_sockopt_hooks, id)) return locked;
	if (btf_func_in_set(prog, bpf_lsm_unlocked_sockopt_hooks, id)) return unlocked;
	return null;
}

function bpf_lsm_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	if (prog.expected_attach_type === BPF_LSM_CGROUP) {
		const func_proto = cgroup_common_func_proto(func_id, prog);
		if (func_proto) return func_proto;
	}
	switch (func_id) {
		case BPF_FUNC_get_attach_cookie:
			return bpf_prog_has_trampoline(prog) ? bpf_get_attach_cookie_proto : null;
		case BPF_FUNC_setsockopt:
			return sockopt_proto(prog, bpf_sk_setsockopt_proto, bpf_unlocked_sk_setsockopt_proto);
		case BPF_FUNC_getsockopt:
			return sockopt_proto(prog, bpf_sk_getsockopt_proto, bpf_unlocked_sk_getsockopt_proto);
		default:
			return bpf_lsm_helpers.get(func_id) ?? tracing_prog_func_proto(func_id, prog);
	}
}

export const lsm_verifier_ops: bpf_verifier_ops = {
	get_func_proto: bpf_lsm_func_proto,
	is_valid_access: btf_ctx_access,
};
