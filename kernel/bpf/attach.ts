// SPDX-License-Identifier: GPL-2.0-only
/**
 * kernel/bpf/verifier.c: what a tracing, LSM, struct_ops or extension program may attach to:
 * bpf_check_attach_target(), check_attach_btf_id() and check_struct_ops_btf_id().
 */
import { BPF_TRAMP_F_TAIL_CALL_CTX } from "../../include/linux/bpf.ts";
import { KF_SLEEPABLE } from "../../include/linux/btf.ts";
import { EINVAL, ENOENT, ENOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LSM_CGROUP,
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACING,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_RAW_TP,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { bpf_iter_prog_supported } from "./bpf_iter_targets.ts";
import { bpf_lsm_is_sleepable_hook, bpf_lsm_verify_prog, btf_func_in_set } from "./bpf_lsm.ts";
import { bpf_struct_ops_find, bpf_struct_ops_supported } from "./bpf_struct_ops.ts";
import type { bpf_prog } from "./bpf_types.ts";
import {
	btf_check_type_match,
	btf_distill_func_proto,
	btf_find_by_name_kind,
	btf_get_name,
	btf_is_module,
	btf_kfunc_is_modify_return,
	btf_name_by_offset,
	btf_nr_types,
	btf_params,
	btf_try_get_module,
	btf_type_by_id,
	btf_type_is_func,
	btf_type_is_func_proto,
	btf_type_is_ptr,
	btf_type_is_typedef,
	btf_type_member,
	btf_type_resolve_func_ptr,
	btf_type_vlen,
} from "./btf.ts";
import type { btf, btf_type } from "./btf_types.ts";
import { bpf_log, verbose } from "./log.ts";
import { type bpf_attach_target_info, bpf_trampoline_compute_key, bpf_trampoline_get } from "./trampoline.ts";
import type { bpf_verifier_env, bpf_verifier_log } from "./verifier_types.ts";

/** kernel/bpf/verifier.c: check_struct_ops_btf_id */
function check_struct_ops_btf_id(env: bpf_verifier_env): number {
	const { prog } = env;
	const { aux } = prog;

	if (!prog.gpl_compatible) {
		verbose(env, "struct ops programs must have a GPL compatible license\n");
		return -EINVAL;
	}
	if (!aux.attach_btf_id) return -ENOTSUPP;

	const btf = aux.attach_btf!;
	if (btf_is_module(btf)) {
		env.attach_btf_mod = btf_try_get_module(btf);
		if (!env.attach_btf_mod) {
			verbose(env, `struct_ops module ${btf_get_name(btf)} is not found\n`);
			return -ENOTSUPP;
		}
	}

	const btf_id = aux.attach_btf_id;
	const desc = bpf_struct_ops_find(btf, btf_id);
	if (!desc) {
		verbose(env, `attach_btf_id ${btf_id} is not a supported struct\n`);
		return -ENOTSUPP;
	}
	const { st_ops } = desc;

	const t = desc.type;
	const member_idx = prog.expected_attach_type;
	if (member_idx >= btf_type_vlen(t)) {
		verbose(env, `attach to invalid member idx ${member_idx} of struct ${st_ops.name}\n`);
		return -EINVAL;
	}

	const member = btf_type_member(t)[member_idx]!;
	const mname = btf_name_by_offset(btf, member.name_off)!;
	const func_proto = btf_type_resolve_func_ptr(btf, member.type, null);
	if (!func_proto) {
		verbose(env, `attach to invalid member ${mname}(@idx ${member_idx}) of struct ${st_ops.name}\n`);
		return -EINVAL;
	}

	let err = bpf_struct_ops_supported(st_ops, mname);
	if (err) {
		verbose(env, `attach to unsupported member ${mname} of struct ${st_ops.name}\n`);
		return err;
	}
	err = st_ops.check_member?.(t, member, prog) ?? 0;
	if (err) {
		verbose(env, `attach to unsupported member ${mname} of struct ${st_ops.name}\n`);
		return err;
	}

	// what btf_ctx_access() is told of the arguments
	aux.ctx_arg_info = desc.arg_info[member_idx]!.info;
	aux.attach_func_proto = func_proto;
	aux.attach_func_name = mname;
	env.ops = st_ops.verifier_ops;
	return 0;
}

/** Functions marked ALLOW_ERROR_INJECTION, but for system calls; the last two are the selftests' module's. */
const ERROR_INJECTION: ReadonlySet<string> = new Set([
	"page_pool_alloc_pages",
	"__filemap_add_folio",
	"should_failslab",
	"should_fail_alloc_page",
	"bpf_testmod_test_read",
	"bpf_testmod_test_write",
]);

/** lib/error-inject.c: within_error_injection_list, by name: every system call is in it. A kernel built without has no list. */
export function within_error_injection_list(kernel: Kernel, func_name: string): boolean {
	if (kernel.config.kconfig.get("CONFIG_FUNCTION_ERROR_INJECTION") !== "y") return false;
	if (ERROR_INJECTION.has(func_name)) return true;
	if (kernel.bpf.error_injection?.has(func_name)) return true;
	return /^__(x64|ia32|ia32_compat|x64_compat|arm64|arm64_compat)_(compat_)?sys_/.test(func_name);
}

/** kernel/bpf/verifier.c: check_attach_modify_return */
function check_attach_modify_return(kernel: Kernel, func_name: string): number {
	return within_error_injection_list(kernel, func_name) || func_name.startsWith("security_") ? 0 : -EINVAL;
}

/** kernel/bpf/verifier.c: btf_non_sleepable_error_inject */
const btf_non_sleepable_error_inject: ReadonlySet<string> = new Set([
	"__filemap_add_folio",
	"should_fail_alloc_page",
	"should_failslab",
]);

/**
 * The FUNC whose parameters have the names of a tracepoint's arguments: the kernel takes
 * __bpf_trace_<class> from its table of tracepoints. Events of a class have no function of their own
 * name; any template with the same parameter types tells the same.
 */
function tracepoint_template(btf: btf, tname: string, typedef: btf_type): number {
	const own = btf_find_by_name_kind(btf, `__bpf_trace_${tname}`, BTF_KIND_FUNC);
	if (own >= 0) return own;
	const ptr = btf_type_by_id(btf, typedef.type);
	const proto = ptr && btf_type_is_ptr(ptr) ? btf_type_by_id(btf, ptr.type) : null;
	if (!proto || !btf_type_is_func_proto(proto)) return own;
	const want = btf_params(proto).map((p) => p.type);
	let best = -ENOENT;
	let common = -1;
	for (let id = 1; id < btf_nr_types(btf); id++) {
		const t = btf_type_by_id(btf, id)!;
		if (!btf_type_is_func(t)) continue;
		const name = btf_name_by_offset(btf, t.name_off) ?? "";
		if (!name.startsWith("__bpf_trace_")) continue;
		const p = btf_params(btf_type_by_id(btf, t.type)!);
		if (p.length !== want.length || p.some((x, i) => x.type !== want[i])) continue;
		const cls = name.slice("__bpf_trace_".length);
		let same = 0;
		while (same < cls.length && cls[same] === tname[same]) same++;
		if (same > common) {
			common = same;
			best = id;
		}
	}
	return best;
}

/** kernel/bpf/verifier.c: bpf_check_attach_target */
export function bpf_check_attach_target(
	log: bpf_verifier_log | null,
	prog: bpf_prog,
	tgt_prog: bpf_prog | null,
	btf_id: number,
	tgt_info: bpf_attach_target_info,
): number {
	const { kernel } = prog;
	const prog_extension = prog.type === BPF_PROG_TYPE_EXT;
	const prog_tracing = prog.type === BPF_PROG_TYPE_TRACING;
	let subprog = -1;
	let conservative = true;

	if (!btf_id) {
		bpf_log(log, "Tracing programs must provide btf_id\n");
		return -EINVAL;
	}
	const btf = tgt_prog ? tgt_prog.aux.btf : prog.aux.attach_btf;
	if (!btf) {
		bpf_log(log, "FENTRY/FEXIT program can only be attached to another program annotated with BTF\n");
		return -EINVAL;
	}
	let t: btf_type | null = btf_type_by_id(btf, btf_id);
	if (!t) {
		bpf_log(log, `attach_btf_id ${btf_id} is invalid\n`);
		return -EINVAL;
	}
	let tname = btf_name_by_offset(btf, t.name_off);
	if (tname === null) {
		bpf_log(log, `attach_btf_id ${btf_id} doesn't have a name\n`);
		return -EINVAL;
	}
	if (tgt_prog) {
		const { aux } = tgt_prog;
		subprog = aux.func_info.findIndex((f) => f.type_id === btf_id);
		if (subprog === -1) {
			bpf_log(log, `Subprog ${tname} doesn't exist\n`);
			return -EINVAL;
		}
		if (aux.func?.[subprog]?.aux.exception_cb) {
			bpf_log(
				log,
				`${prog_extension ? "Extension" : "FENTRY/FEXIT"} programs cannot attach to exception callback\n`,
			);
			return -EINVAL;
		}
		conservative = aux.func_info_aux[subprog]!.unreliable;
		if (prog_extension) {
			if (conservative) {
				bpf_log(log, "Cannot replace static functions\n");
				return -EINVAL;
			}
			if (!prog.jit_requested) {
				bpf_log(log, "Extension programs should be JITed\n");
				return -EINVAL;
			}
			const tgt_changes_pkt_data = aux.func ? aux.func[subprog]!.aux.changes_pkt_data : aux.changes_pkt_data;
			if (prog.aux.changes_pkt_data && !tgt_changes_pkt_data) {
				bpf_log(log, "Extension program changes packet data, while original does not\n");
				return -EINVAL;
			}
		}
		if (!tgt_prog.jited) {
			bpf_log(log, "Can attach to only JITed progs\n");
			return -EINVAL;
		}
		if (prog_tracing) {
			if (aux.attach_tracing_prog) {
				bpf_log(log, "Cannot nest tracing program attach more than once\n");
				return -EINVAL;
			}
		} else if (tgt_prog.type === prog.type) {
			// an extension of an extension could close a circle of calls
			bpf_log(log, "Cannot recursively attach\n");
			return -EINVAL;
		}
		if (
			tgt_prog.type === BPF_PROG_TYPE_TRACING &&
			prog_extension &&
			(tgt_prog.expected_attach_type === BPF_TRACE_FENTRY ||
				tgt_prog.expected_attach_type === BPF_TRACE_FEXIT)
		) {
			// fentry of an extension of an fentry of … would make chains without end
			bpf_log(log, "Cannot extend fentry/fexit\n");
			return -EINVAL;
		}
	} else if (prog_extension) {
		bpf_log(log, "Cannot replace kernel functions\n");
		return -EINVAL;
	}

	let addr = 0n;
	tgt_info.tgt_mod = null;
	switch (prog.expected_attach_type) {
		case BPF_TRACE_RAW_TP: {
			if (tgt_prog) {
				bpf_log(log, "Only FENTRY/FEXIT progs are attachable to another BPF prog\n");
				return -EINVAL;
			}
			if (!btf_type_is_typedef(t)) {
				bpf_log(log, `attach_btf_id ${btf_id} is not a typedef\n`);
				return -EINVAL;
			}
			const prefix = "btf_trace_";
			if (!tname.startsWith(prefix)) {
				bpf_log(log, `attach_btf_id ${btf_id} points to wrong type name ${tname}\n`);
				return -EINVAL;
			}
			tname = tname.slice(prefix.length);

			const ret = tracepoint_template(btf, tname, t);
			if (ret < 0) {
				bpf_log(log, `Cannot find btf of tracepoint template, fall back to ${prefix}${tname}.\n`);
				t = btf_type_by_id(btf, t.type)!;
				if (!btf_type_is_ptr(t)) return -EINVAL;
			} else {
				t = btf_type_by_id(btf, ret)!;
				if (!btf_type_is_func(t)) return -EINVAL;
			}
			t = btf_type_by_id(btf, t.type)!;
			if (!btf_type_is_func_proto(t)) return -EINVAL;
			break;
		}
		case BPF_TRACE_ITER: {
			if (!btf_type_is_func(t)) {
				bpf_log(log, `attach_btf_id ${btf_id} is not a function\n`);
				return -EINVAL;
			}
			t = btf_type_by_id(btf, t.type)!;
			if (!btf_type_is_func_proto(t)) return -EINVAL;
			const ret = btf_distill_func_proto(log, btf, t, tname, tgt_info.fmodel);
			if (ret) return ret;
			break;
		}
		default: {
			switch (prog.expected_attach_type) {
				case BPF_MODIFY_RETURN:
				case BPF_LSM_MAC:
				case BPF_LSM_CGROUP:
				case BPF_TRACE_FENTRY:
				case BPF_TRACE_FEXIT:
					break;
				default:
					if (!prog_extension) return -EINVAL;
			}
			if (!btf_type_is_func(t)) {
				bpf_log(log, `attach_btf_id ${btf_id} is not a function\n`);
				return -EINVAL;
			}
			if (prog_extension && btf_check_type_match(log, prog, btf, t)) return -EINVAL;
			t = btf_type_by_id(btf, t.type)!;
			if (!btf_type_is_func_proto(t)) return -EINVAL;

			const { saved_dst_prog_type, saved_dst_attach_type } = prog.aux;
			if (
				(saved_dst_prog_type || saved_dst_attach_type) &&
				(!tgt_prog ||
					saved_dst_prog_type !== tgt_prog.type ||
					saved_dst_attach_type !== tgt_prog.expected_attach_type)
			)
				return -EINVAL;

			if (tgt_prog && conservative) t = null;
			const ret = btf_distill_func_proto(log, btf, t, tname, tgt_info.fmodel);
			if (ret < 0) return ret;

			if (tgt_prog) {
				addr = subprog === 0 ? tgt_prog.bpf_func : tgt_prog.aux.func![subprog]!.bpf_func;
			} else {
				if (btf_is_module(btf)) {
					tgt_info.tgt_mod = btf_try_get_module(btf);
					addr = tgt_info.tgt_mod ? (kernel.symbols.addr(tname) ?? 0n) : 0n;
				} else {
					addr = kernel.symbols.addr(tname) ?? 0n;
				}
				if (!addr) {
					tgt_info.tgt_mod = null;
					bpf_log(log, `The address of function ${tname} cannot be found\n`);
					return -ENOENT;
				}
			}
			const err = check_target_kind(log, prog, tgt_prog, btf, btf_id, tname);
			if (err) {
				tgt_info.tgt_mod = null;
				return err;
			}
			break;
		}
	}
	tgt_info.tgt_addr = addr;
	tgt_info.tgt_name = tname;
	tgt_info.tgt_type = t;
	return 0;
}

/** Whether a program that sleeps, or that changes what the function returns, may attach. */
function check_target_kind(
	log: bpf_verifier_log | null,
	prog: bpf_prog,
	tgt_prog: bpf_prog | null,
	btf: btf,
	btf_id: number,
	tname: string,
): number {
	const { kernel } = prog;
	if (prog.sleepable) {
		let ret = -EINVAL;
		switch (prog.type) {
			case BPF_PROG_TYPE_TRACING:
				if (
					!btf_func_in_set(prog, btf_non_sleepable_error_inject, btf_id) &&
					within_error_injection_list(kernel, tname)
				) {
					ret = 0;
				} else {
					const flags = btf_kfunc_is_modify_return(btf, btf_id, prog);
					if (flags !== null && flags & KF_SLEEPABLE) ret = 0;
				}
				break;
			case BPF_PROG_TYPE_LSM:
				if (bpf_lsm_is_sleepable_hook(prog, btf_id)) ret = 0;
				break;
		}
		if (ret) {
			bpf_log(log, `${tname} is not sleepable\n`);
			return ret;
		}
	} else if (prog.expected_attach_type === BPF_MODIFY_RETURN) {
		if (tgt_prog) {
			bpf_log(log, "can't modify return codes of BPF programs\n");
			return -EINVAL;
		}
		if (btf_kfunc_is_modify_return(btf, btf_id, prog) === null && check_attach_modify_return(kernel, tname)) {
			bpf_log(log, `${tname}() is not modifiable\n`);
			return -EINVAL;
		}
	}
	return 0;
}

/** kernel/bpf/verifier.c: btf_id_deny, as this kernel's configuration has it */
function btf_id_deny(kernel: Kernel): ReadonlySet<string> {
	const y = (name: string): boolean => kernel.config.kconfig.get(name) === "y";
	const set = new Set<string>(["migrate_disable", "migrate_enable"]);
	const preempt_rcu = y("CONFIG_PREEMPT_RCU");
	if (!preempt_rcu && !y("CONFIG_TINY_RCU")) set.add("rcu_read_unlock_strict");
	if (y("CONFIG_DEBUG_PREEMPT") || y("CONFIG_TRACE_PREEMPT_TOGGLE")) {
		set.add("preempt_count_add");
		set.add("preempt_count_sub");
	}
	if (preempt_rcu) {
		set.add("__rcu_read_lock");
		set.add("__rcu_read_unlock");
	}
	return set;
}

/** kernel/bpf/verifier.c: noreturn_deny: functions that never return have no exit to attach to. */
const noreturn_deny: ReadonlySet<string> = new Set([
	"__ia32_sys_exit",
	"__ia32_sys_exit_group",
	"__kunit_abort",
	"kunit_try_catch_throw",
	"__module_put_and_kthread_exit",
	"__x64_sys_exit",
	"__x64_sys_exit_group",
	"do_exit",
	"do_group_exit",
	"kthread_complete_and_exit",
	"kthread_exit",
	"make_task_dead",
]);

/** kernel/bpf/verifier.c: can_be_sleepable */
function can_be_sleepable(prog: bpf_prog): boolean {
	if (prog.type === BPF_PROG_TYPE_TRACING) {
		switch (prog.expected_attach_type) {
			case BPF_TRACE_FENTRY:
			case BPF_TRACE_FEXIT:
			case BPF_MODIFY_RETURN:
			case BPF_TRACE_ITER:
				return true;
			default:
				return false;
		}
	}
	return (
		prog.type === BPF_PROG_TYPE_LSM ||
		prog.type === BPF_PROG_TYPE_KPROBE ||
		prog.type === BPF_PROG_TYPE_STRUCT_OPS
	);
}

/** kernel/bpf/verifier.c: check_attach_btf_id */
export function check_attach_btf_id(env: bpf_verifier_env): number {
	const { prog, kernel } = env;
	const { aux } = prog;
	const tgt_prog = aux.dst_prog;
	const btf_id = aux.attach_btf_id;

	if (prog.type === BPF_PROG_TYPE_SYSCALL) {
		if (prog.sleepable) return 0;
		verbose(env, "Syscall programs can only be sleepable\n");
		return -EINVAL;
	}
	if (prog.sleepable && !can_be_sleepable(prog)) {
		verbose(env, "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable\n");
		return -EINVAL;
	}
	if (prog.type === BPF_PROG_TYPE_STRUCT_OPS) return check_struct_ops_btf_id(env);
	if (
		prog.type !== BPF_PROG_TYPE_TRACING &&
		prog.type !== BPF_PROG_TYPE_LSM &&
		prog.type !== BPF_PROG_TYPE_EXT
	)
		return 0;

	const tgt_info: bpf_attach_target_info = {
		fmodel: { ret_size: 0, ret_flags: 0, nr_args: 0, arg_size: [], arg_flags: [] },
		tgt_addr: 0n,
		tgt_mod: null,
		tgt_name: "",
		tgt_type: null,
	};
	let ret = bpf_check_attach_target(env.log, prog, tgt_prog, btf_id, tgt_info);
	if (ret) return ret;

	if (tgt_prog && prog.type === BPF_PROG_TYPE_EXT) {
		// an extension is verified as what it replaces
		env.ops = kernel.bpf.verifier_ops(tgt_prog.type) ?? env.ops;
		prog.expected_attach_type = tgt_prog.expected_attach_type;
	}

	aux.attach_func_proto = tgt_info.tgt_type;
	aux.attach_func_name = tgt_info.tgt_name;
	aux.mod = tgt_info.tgt_mod;

	if (tgt_prog) {
		aux.saved_dst_prog_type = tgt_prog.type;
		aux.saved_dst_attach_type = tgt_prog.expected_attach_type;
	}

	if (prog.expected_attach_type === BPF_TRACE_RAW_TP) {
		aux.attach_btf_trace = true;
		return 0;
	} else if (prog.expected_attach_type === BPF_TRACE_ITER) {
		return bpf_iter_prog_supported(prog) ? 0 : -EINVAL;
	}

	if (prog.type === BPF_PROG_TYPE_LSM) {
		ret = bpf_lsm_verify_prog(env.log, prog);
		if (ret < 0) return ret;
	} else if (prog.type === BPF_PROG_TYPE_TRACING && btf_func_in_set(prog, btf_id_deny(kernel), btf_id)) {
		return -EINVAL;
	} else if (
		(prog.expected_attach_type === BPF_TRACE_FEXIT || prog.expected_attach_type === BPF_MODIFY_RETURN) &&
		btf_func_in_set(prog, noreturn_deny, btf_id)
	) {
		verbose(env, "Attaching fexit/fmod_ret to __noreturn functions is rejected.\n");
		return -EINVAL;
	}

	const key = bpf_trampoline_compute_key(tgt_prog, aux.attach_btf, btf_id);
	const tr = bpf_trampoline_get(kernel, key, tgt_info);
	if (tgt_prog?.aux.tail_call_reachable) tr.flags = BPF_TRAMP_F_TAIL_CALL_CTX;
	aux.dst_trampoline = tr;
	return 0;
}
