// SPDX-License-Identifier: GPL-2.0-only
/** State and log of a BTF's verification (kernel/bpf/btf.c: struct btf_verifier_env, btf_verifier_log*). */
import { BPF_LOG_KERNEL } from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EEXIST } from "../../include/uapi/asm-generic/errno.ts";
import { btf_log_details } from "./btf_check.ts";
import {
	__btf_name_by_offset,
	BTF_MEMBER_BIT_OFFSET,
	BTF_MEMBER_BITFIELD_SIZE,
	type btf_obj,
	btf_type_is_array,
	btf_type_is_modifier,
	btf_type_is_ptr,
	btf_type_is_struct,
	btf_type_kflag,
	btf_type_needs_resolve,
	btf_type_str,
	MAX_RESOLVE_DEPTH,
} from "./btf_obj.ts";
import type { btf_member, btf_type, btf_var_secinfo } from "./btf_types.ts";
import { bpf_verifier_log_needed, bpf_verifier_vlog } from "./log.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

// enum verifier_phase
export const CHECK_META = 0;
export const CHECK_TYPE = 1;

// enum visit_state
const NOT_VISITED = 0;
const VISITED = 1;
const RESOLVED = 2;

// enum resolve_mode
export const RESOLVE_TBD = 0;
const RESOLVE_PTR = 1;
const RESOLVE_STRUCT_OR_ARRAY = 2;

/** struct resolve_vertex */
export interface resolve_vertex {
	t: btf_type;
	type_id: number;
	next_member: number;
}

/** struct btf_verifier_env */
export interface btf_verifier_env {
	btf: btf_obj;
	visit_states: Uint8Array;
	/** stack.length is top_stack. */
	stack: resolve_vertex[];
	log: bpf_verifier_log;
	log_type_id: number;
	phase: number;
	resolve_mode: number;
}

/** kernel/bpf/btf.c: btf_verifier_log */
export function btf_verifier_log(env: btf_verifier_env, text: string): void {
	if (bpf_verifier_log_needed(env.log)) bpf_verifier_vlog(env.log, text);
}

/** kernel/bpf/btf.c: __btf_verifier_log_type: `[id] KIND name details text` */
function __btf_verifier_log_type(
	env: btf_verifier_env,
	t: btf_type,
	log_details: boolean,
	text: string | null,
): void {
	const { log } = env;
	if (!bpf_verifier_log_needed(log)) return;
	// the kernel's own BTFs: only what is wrong
	if (log.level === BPF_LOG_KERNEL && text === null) return;
	bpf_verifier_vlog(
		log,
		`[${env.log_type_id}] ${btf_type_str(t)} ${__btf_name_by_offset(env.btf, t.name_off)}${log_details ? " " : ""}`,
	);
	if (log_details) btf_log_details(env, t);
	if (text) bpf_verifier_vlog(log, ` ${text}`);
	bpf_verifier_vlog(log, "\n");
}

/** kernel/bpf/btf.c: btf_verifier_log_type */
export function btf_verifier_log_type(env: btf_verifier_env, t: btf_type, text: string | null): void {
	__btf_verifier_log_type(env, t, true, text);
}

/** kernel/bpf/btf.c: btf_verifier_log_basic: without the details, which may not be there */
export function btf_verifier_log_basic(env: btf_verifier_env, t: btf_type, text: string | null): void {
	__btf_verifier_log_type(env, t, false, text);
}

/** kernel/bpf/btf.c: btf_verifier_log_member */
export function btf_verifier_log_member(
	env: btf_verifier_env,
	struct_type: btf_type,
	member: btf_member,
	text: string | null,
): void {
	const { log } = env;
	if (!bpf_verifier_log_needed(log)) return;
	if (log.level === BPF_LOG_KERNEL && text === null) return;
	// in the second phase the struct was logged long before: name it again
	if (env.phase !== CHECK_META) btf_verifier_log_type(env, struct_type, null);
	const name = __btf_name_by_offset(env.btf, member.name_off);
	if (btf_type_kflag(struct_type))
		bpf_verifier_vlog(
			log,
			`\t${name} type_id=${member.type} bitfield_size=${BTF_MEMBER_BITFIELD_SIZE(member.offset)} bits_offset=${BTF_MEMBER_BIT_OFFSET(member.offset)}`,
		);
	else bpf_verifier_vlog(log, `\t${name} type_id=${member.type} bits_offset=${member.offset}`);
	if (text) bpf_verifier_vlog(log, ` ${text}`);
	bpf_verifier_vlog(log, "\n");
}

/** kernel/bpf/btf.c: btf_verifier_log_vsi */
export function btf_verifier_log_vsi(
	env: btf_verifier_env,
	datasec_type: btf_type,
	vsi: btf_var_secinfo,
	text: string | null,
): void {
	const { log } = env;
	if (!bpf_verifier_log_needed(log)) return;
	if (log.level === BPF_LOG_KERNEL && text === null) return;
	if (env.phase !== CHECK_META) btf_verifier_log_type(env, datasec_type, null);
	bpf_verifier_vlog(log, `\t type_id=${vsi.type} offset=${vsi.offset} size=${vsi.size}`);
	if (text) bpf_verifier_vlog(log, ` ${text}`);
	bpf_verifier_vlog(log, "\n");
}

/** kernel/bpf/btf.c: btf_verifier_log_hdr */
export function btf_verifier_log_hdr(env: btf_verifier_env, btf_data_size: number): void {
	const { log } = env;
	if (!bpf_verifier_log_needed(log) || log.level === BPF_LOG_KERNEL) return;
	const { hdr } = env.btf;
	bpf_verifier_vlog(
		log,
		`magic: 0x${hdr.magic.toString(16)}\nversion: ${hdr.version}\nflags: 0x${hdr.flags.toString(16)}\n` +
			`hdr_len: ${hdr.hdr_len}\ntype_off: ${hdr.type_off}\ntype_len: ${hdr.type_len}\n` +
			`str_off: ${hdr.str_off}\nstr_len: ${hdr.str_len}\nbtf_total_size: ${btf_data_size}\n`,
	);
}

/** kernel/bpf/btf.c: env_type_is_resolve_sink: resolving need not go into the type */
export function env_type_is_resolve_sink(env: btf_verifier_env, next_type: btf_type): boolean {
	switch (env.resolve_mode) {
		case RESOLVE_PTR:
			// a pointer to a struct or array ends here: they may point back
			return !btf_type_is_modifier(next_type) && !btf_type_is_ptr(next_type);
		case RESOLVE_STRUCT_OR_ARRAY:
			// pointers in a struct are resolved on their own, since what they point at may not be complete
			return (
				!btf_type_is_modifier(next_type) && !btf_type_is_array(next_type) && !btf_type_is_struct(next_type)
			);
		default:
			return !btf_type_needs_resolve(next_type);
	}
}

/** kernel/bpf/btf.c: env_type_is_resolved */
export function env_type_is_resolved(env: btf_verifier_env, type_id: number): boolean {
	// base BTF: resolved when it was loaded
	if (type_id < env.btf.start_id) return true;
	return env.visit_states[type_id - env.btf.start_id] === RESOLVED;
}

/** kernel/bpf/btf.c: env_stack_push */
export function env_stack_push(env: btf_verifier_env, t: btf_type, type_id: number): number {
	const i = type_id - env.btf.start_id;
	if (env.stack.length === MAX_RESOLVE_DEPTH) return -E2BIG;
	if (i < 0 || env.visit_states[i] !== NOT_VISITED) return -EEXIST;
	env.visit_states[i] = VISITED;
	env.stack.push({ t, type_id, next_member: 0 });
	if (env.resolve_mode === RESOLVE_TBD) {
		if (btf_type_is_ptr(t)) env.resolve_mode = RESOLVE_PTR;
		else if (btf_type_is_struct(t) || btf_type_is_array(t)) env.resolve_mode = RESOLVE_STRUCT_OR_ARRAY;
	}
	return 0;
}

/** kernel/bpf/btf.c: env_stack_set_next_member */
export function env_stack_set_next_member(env: btf_verifier_env, next_member: number): void {
	env.stack[env.stack.length - 1]!.next_member = next_member & 0xffff;
}

/** kernel/bpf/btf.c: env_stack_pop_resolved */
export function env_stack_pop_resolved(
	env: btf_verifier_env,
	resolved_type_id: number,
	resolved_size: number,
): void {
	const { btf } = env;
	const i = env.stack.pop()!.type_id - btf.start_id;
	btf.resolved_sizes![i] = resolved_size;
	btf.resolved_ids![i] = resolved_type_id;
	env.visit_states[i] = RESOLVED;
}
