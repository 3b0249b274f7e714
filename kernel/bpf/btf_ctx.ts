// SPDX-License-Identifier: GPL-2.0-only
/**
 * Context types: what a program of a type gets as its context, and what fentry, raw tracepoint and struct_ops
 * programs may read of theirs (kernel/bpf/btf.c: bpf_ctx_convert, btf_is_prog_ctx_type() …, btf_ctx_access()).
 */
import { abi_of } from "../../arch/abis.ts";
import {
	MAX_BPF_FUNC_REG_ARGS,
	MEM_PERCPU,
	MEM_USER,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TO_BUF,
	PTR_TRUSTED,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_BASE_TYPE_MASK } from "../../include/linux/bpf_verifier.ts";
import { EFAULT, EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LSM_CGROUP,
	BPF_LSM_MAC,
	BPF_MODIFY_RETURN,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_RAW_TP,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import type { Kernel } from "../kernel.ts";
import { untrusted_lsm_hooks } from "./bpf_lsm_hooks.ts";
import type { bpf_insn_access_aux, bpf_prog } from "./bpf_types.ts";
import { btf_param_match_suffix } from "./btf_access.ts";
import { btf_vmlinux } from "./btf_find.ts";
import {
	__btf_name_by_offset,
	__btf_type_is_struct,
	btf_find_by_name_kind,
	btf_impl,
	btf_is_any_enum,
	btf_is_module,
	btf_name_by_offset,
	btf_params,
	btf_resolve_size,
	btf_tname,
	btf_type_by_id,
	btf_type_is_int,
	btf_type_is_modifier,
	btf_type_is_ptr,
	btf_type_is_small_int,
	btf_type_is_struct,
	btf_type_is_type_tag,
	btf_type_is_typedef,
	btf_type_is_void,
	btf_type_member,
	btf_type_skip_modifiers,
	btf_type_str,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_member, btf_type } from "./btf_types.ts";
import { bpf_log } from "./log.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

/** Names of program types by number (enum bpf_prog_type less its prefix), as struct bpf_ctx_convert spells its members. */
const PROG_TYPE_NAMES = [
	"UNSPEC",
	"SOCKET_FILTER",
	"KPROBE",
	"SCHED_CLS",
	"SCHED_ACT",
	"TRACEPOINT",
	"XDP",
	"PERF_EVENT",
	"CGROUP_SKB",
	"CGROUP_SOCK",
	"LWT_IN",
	"LWT_OUT",
	"LWT_XMIT",
	"SOCK_OPS",
	"SK_SKB",
	"CGROUP_DEVICE",
	"SK_MSG",
	"RAW_TRACEPOINT",
	"CGROUP_SOCK_ADDR",
	"LWT_SEG6LOCAL",
	"LIRC_MODE2",
	"SK_REUSEPORT",
	"FLOW_DISSECTOR",
	"CGROUP_SYSCTL",
	"RAW_TRACEPOINT_WRITABLE",
	"CGROUP_SOCKOPT",
	"TRACING",
	"STRUCT_OPS",
	"EXT",
	"LSM",
	"SK_LOOKUP",
	"SYSCALL",
	"NETFILTER",
] as const;

/** bpf_ctx_convert.t: the struct whose members pair the contexts of all program types, or null */
function bpf_ctx_convert(vmlinux: btf | null): btf_type | null {
	if (!vmlinux) return null;
	const o = btf_impl(vmlinux);
	if (!o.ctx_convert) {
		const id = btf_find_by_name_kind(vmlinux, "bpf_ctx_convert", BTF_KIND_STRUCT);
		if (id > 0) o.ctx_convert = btf_type_by_id(vmlinux, id);
	}
	return o.ctx_convert;
}

/** The pair of members of a program type; a type that is not configured falls to the first, as the kernel's map of zeroes does. */
function ctx_member(vmlinux: btf, conv: btf_type, prog_type: number, kern: boolean): btf_member {
	const members = btf_type_member(conv);
	const want = `BPF_PROG_TYPE_${PROG_TYPE_NAMES[prog_type] ?? "?"}_prog`;
	let at = members.findIndex((m) => btf_name_by_offset(vmlinux, m.name_off) === want);
	if (at < 0) at = 0;
	return members[kern ? at + 1 : at]!;
}

/** kernel/bpf/btf.c: find_canonical_prog_ctx_type */
function find_canonical_prog_ctx_type(vmlinux: btf | null, prog_type: number): btf_type | null {
	const conv = bpf_ctx_convert(vmlinux);
	if (!conv || !vmlinux) return null;
	return btf_type_by_id(vmlinux, ctx_member(vmlinux, conv, prog_type, false).type);
}

/** kernel/bpf/btf.c: find_kern_ctx_type_id */
function find_kern_ctx_type_id(vmlinux: btf | null, prog_type: number): number {
	const conv = bpf_ctx_convert(vmlinux);
	if (!conv || !vmlinux) return -EFAULT;
	return ctx_member(vmlinux, conv, prog_type, true).type;
}

/** kernel/bpf/btf.c: btf_is_projection_of: the user's view of the kernel's struct */
export function btf_is_projection_of(pname: string, tname: string): boolean {
	if (pname === "__sk_buff" && tname === "sk_buff") return true;
	return pname === "xdp_md" && tname === "xdp_buff";
}

/** kernel/bpf/btf.c: btf_is_prog_ctx_type: does pointer type `t` point at the context of the program type? */
export function btf_is_prog_ctx_type(
	log: bpf_verifier_log,
	b: btf,
	t: btf_type,
	prog_type: number,
	arg: number,
): boolean {
	const vmlinux = btf_vmlinux(btf_impl(b).kernel);
	t = btf_type_by_id(b, t.type)!;
	// bpf_user_pt_regs_t is a typedef on purpose, since its struct differs by architecture
	if (prog_type === BPF_PROG_TYPE_KPROBE) {
		while (btf_type_is_modifier(t) && !btf_type_is_typedef(t)) t = btf_type_by_id(b, t.type)!;
		if (btf_type_is_typedef(t) && btf_name_by_offset(b, t.name_off) === "bpf_user_pt_regs_t") return true;
	}
	while (btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type)!;
	// only a pointer to a struct can be the context
	if (!btf_type_is_struct(t)) return false;
	const tname = btf_name_by_offset(b, t.name_off);
	if (tname === null) {
		bpf_log(log, `arg#${arg} struct doesn't have a name\n`);
		return false;
	}
	let ctx_type = find_canonical_prog_ctx_type(vmlinux, prog_type);
	if (!ctx_type || !vmlinux) {
		bpf_log(log, "btf_vmlinux is malformed\n");
		return false;
	}
	for (;;) {
		const ctx_tname = btf_name_by_offset(vmlinux, ctx_type.name_off);
		if (ctx_tname === null) {
			bpf_log(log, "Please fix kernel include/linux/bpf_types.h\n");
			return false;
		}
		// programs without context type
		if (ctx_tname === "") return false;
		if (btf_is_projection_of(ctx_tname, tname)) return true;
		if (ctx_tname === tname) return true;
		// a typedef of the context may be spelled as its struct
		if (!btf_type_is_modifier(ctx_type)) return false;
		while (btf_type_is_modifier(ctx_type)) ctx_type = btf_type_by_id(vmlinux, ctx_type.type)!;
	}
}

/** What bpf_user_pt_regs_t is on the architecture. */
function user_pt_regs_name(kernel: Kernel | null): string {
	return kernel ? abi_of(kernel.config.arch).user_pt_regs : "pt_regs";
}

/** kernel/bpf/btf.c: btf_validate_prog_ctx_type: an argument tagged as context: is its type one? */
export function btf_validate_prog_ctx_type(
	log: bpf_verifier_log,
	b: btf,
	t: btf_type,
	arg: number,
	prog_type: number,
	attach_type: number,
): number {
	const kernel = btf_impl(b).kernel;
	const vmlinux = btf_vmlinux(kernel);
	if (!btf_type_is_ptr(t)) {
		bpf_log(log, `arg#${arg} type isn't a pointer\n`);
		return -EINVAL;
	}
	t = btf_type_by_id(b, t.type)!;
	if (prog_type === BPF_PROG_TYPE_KPROBE || prog_type === BPF_PROG_TYPE_PERF_EVENT) {
		while (btf_type_is_modifier(t) && !btf_type_is_typedef(t)) t = btf_type_by_id(b, t.type)!;
		if (btf_type_is_typedef(t) && btf_name_by_offset(b, t.name_off) === "bpf_user_pt_regs_t") return 0;
	}
	while (btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type)!;
	// `void *ctx __arg_ctx` is always fine
	if (btf_type_is_void(t)) return 0;
	const tname = btf_name_by_offset(b, t.name_off);
	if (!tname) {
		bpf_log(log, `arg#${arg} type doesn't have a name\n`);
		return -EINVAL;
	}
	const u64_ptr = btf_type_is_int(t) && t.size === 8;
	switch (prog_type) {
		case BPF_PROG_TYPE_KPROBE:
			if (__btf_type_is_struct(t) && tname === "pt_regs") return 0;
			break;
		case BPF_PROG_TYPE_PERF_EVENT:
			if (__btf_type_is_struct(t) && tname === user_pt_regs_name(kernel)) return 0;
			break;
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
		case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
			if (u64_ptr) return 0;
			break;
		case BPF_PROG_TYPE_TRACING:
			switch (attach_type) {
				case BPF_TRACE_RAW_TP:
					if (__btf_type_is_struct(t) && tname === "bpf_raw_tracepoint_args") return 0;
					if (u64_ptr) return 0;
					break;
				case BPF_TRACE_ITER:
					if (__btf_type_is_struct(t) && tname.startsWith("bpf_iter__")) return 0;
					break;
				case BPF_TRACE_FENTRY:
				case BPF_TRACE_FEXIT:
				case BPF_MODIFY_RETURN:
					if (u64_ptr) return 0;
					break;
			}
			break;
		case BPF_PROG_TYPE_LSM:
		case BPF_PROG_TYPE_STRUCT_OPS:
			if (u64_ptr) return 0;
			break;
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_SYSCALL:
		case BPF_PROG_TYPE_EXT:
			return 0;
	}
	let ctx_type = find_canonical_prog_ctx_type(vmlinux, prog_type);
	if (!ctx_type || !vmlinux) {
		bpf_log(log, "btf_vmlinux is malformed\n");
		return -EINVAL;
	}
	while (btf_type_is_modifier(ctx_type)) ctx_type = btf_type_by_id(vmlinux, ctx_type.type)!;
	if (!__btf_type_is_struct(ctx_type)) {
		bpf_log(log, `arg#${arg} should be void pointer\n`);
		return -EINVAL;
	}
	const ctx_tname = btf_tname(vmlinux, ctx_type);
	if (!__btf_type_is_struct(t) || ctx_tname !== tname) {
		bpf_log(log, `arg#${arg} should be \`struct ${ctx_tname} *\`\n`);
		return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_translate_to_vmlinux */
function btf_translate_to_vmlinux(
	log: bpf_verifier_log,
	b: btf,
	t: btf_type,
	prog_type: number,
	arg: number,
): number {
	if (!btf_is_prog_ctx_type(log, b, t, prog_type, arg)) return -ENOENT;
	return find_kern_ctx_type_id(btf_vmlinux(btf_impl(b).kernel), prog_type);
}

/** kernel/bpf/btf.c: get_kern_ctx_btf_id: the id of the kernel's own context struct of a program type */
export function get_kern_ctx_btf_id(kernel: Kernel, log: bpf_verifier_log, prog_type: number): number {
	const vmlinux = btf_vmlinux(kernel);
	const conv = bpf_ctx_convert(vmlinux);
	if (!vmlinux || !conv) return -EINVAL;
	const id = ctx_member(vmlinux, conv, prog_type, true).type;
	if (!btf_type_is_struct(btf_type_by_id(vmlinux, id)!)) {
		bpf_log(log, `kern ctx type id ${id} is not a struct\n`);
		return -EINVAL;
	}
	return id;
}

/** kernel/bpf/btf.c: bpf_prog_get_target_btf */
export function bpf_prog_get_target_btf(prog: bpf_prog): btf | null {
	const tgt = prog.aux.dst_prog;
	return tgt ? tgt.aux.btf : prog.aux.attach_btf;
}

function is_int_ptr(b: btf, t: btf_type): boolean {
	return btf_type_is_int(btf_type_skip_modifiers(b, t.type));
}

function roundup8(n: number): number {
	return (n + 7) & ~7;
}

/** kernel/bpf/btf.c: get_ctx_arg_idx: which argument an offset of the context is; structs take several slots */
function get_ctx_arg_idx(b: btf, func_proto: btf_type | null, off: number): number {
	if (!func_proto) return Math.floor(off / 8);
	let offset = 0;
	const args = btf_params(func_proto);
	for (let i = 0; i < args.length; i++) {
		const t = btf_type_skip_modifiers(b, args[i]!.type);
		offset += btf_type_is_ptr(t) ? 8 : roundup8(t.size);
		if (off < offset) return i;
	}
	const t = btf_type_skip_modifiers(b, func_proto.type);
	offset += btf_type_is_ptr(t) ? 8 : roundup8(t.size);
	if (off < offset) return args.length;
	return args.length + 1;
}

/**
 * kernel/bpf/bpf_lsm.c: bpf_lsm_is_trusted, from the table alone: bpf_lsm.ts stands above this file (it calls
 * btf_ctx_access), and a cycle of modules with tables cannot be loaded in every order.
 */
function bpf_lsm_is_trusted(prog: bpf_prog): boolean {
	const vmlinux = btf_vmlinux(prog.kernel);
	const t = vmlinux && btf_type_by_id(vmlinux, prog.aux.attach_btf_id);
	return !t || !untrusted_lsm_hooks.has(btf_tname(vmlinux, t));
}

/** kernel/bpf/btf.c: prog_args_trusted */
function prog_args_trusted(prog: bpf_prog): boolean {
	const atype = prog.expected_attach_type;
	switch (prog.type) {
		case BPF_PROG_TYPE_TRACING:
			return atype === BPF_TRACE_RAW_TP || atype === BPF_TRACE_ITER;
		case BPF_PROG_TYPE_LSM:
			return bpf_lsm_is_trusted(prog);
		case BPF_PROG_TYPE_STRUCT_OPS:
			return true;
		default:
			return false;
	}
}

/** kernel/bpf/btf.c: btf_ctx_arg_offset: offset of an argument in the context */
export function btf_ctx_arg_offset(b: btf, func_proto: btf_type, arg_no: number): number {
	let off = 0;
	const args = btf_params(func_proto);
	const sz = { val: 0 };
	for (let i = 0; i < arg_no; i++) {
		const t = btf_resolve_size(b, btf_type_by_id(b, args[i]!.type)!, sz);
		if (typeof t === "number") return t;
		off += roundup8(sz.val);
	}
	return off;
}

/**
 * Tracepoints whose pointer arguments may be NULL (nibble 1) or an ERR_PTR (nibble 2), a nibble an argument
 * (kernel/bpf/btf.c: raw_tp_null_args).
 */
const raw_tp_null_args: ReadonlyMap<string, bigint> = new Map<string, bigint>([
	["sched_pi_setprio", 0x10n],
	["sched_stick_numa", 0x100n],
	["sched_swap_numa", 0x100n],
	["afs_make_fs_call", 0x10n],
	["afs_make_fs_calli", 0x10n],
	["afs_make_fs_call1", 0x10n],
	["afs_make_fs_call2", 0x10n],
	["afs_protocol_error", 0x1n],
	["afs_flock_ev", 0x10n],
	["cachefiles_lookup", 0x201n],
	["cachefiles_unlink", 0x1n],
	["cachefiles_rename", 0x1n],
	["cachefiles_prep_read", 0x1n],
	["cachefiles_mark_active", 0x1n],
	["cachefiles_mark_failed", 0x1n],
	["cachefiles_mark_inactive", 0x1n],
	["cachefiles_vfs_error", 0x1n],
	["cachefiles_io_error", 0x1n],
	["cachefiles_ondemand_open", 0x1n],
	["cachefiles_ondemand_copen", 0x1n],
	["cachefiles_ondemand_close", 0x1n],
	["cachefiles_ondemand_read", 0x1n],
	["cachefiles_ondemand_cread", 0x1n],
	["cachefiles_ondemand_fd_write", 0x1n],
	["cachefiles_ondemand_fd_release", 0x1n],
	["ext4_mballoc_discard", 0x10n],
	["ext4_mballoc_free", 0x10n],
	["fib_table_lookup", 0x100n],
	["posix_lock_inode", 0x10n],
	["fcntl_setlk", 0x10n],
	["locks_remove_posix", 0x10n],
	["flock_lock_inode", 0x10n],
	["break_lease_noblock", 0x10n],
	["break_lease_block", 0x10n],
	["break_lease_unblock", 0x10n],
	["generic_delete_lease", 0x10n],
	["time_out_leases", 0x10n],
	["host1x_cdma_push_gather", 0x10000n],
	["mm_khugepaged_scan_pmd", 0x10n],
	["mm_collapse_huge_page_isolate", 0x1n],
	["mm_khugepaged_scan_file", 0x10n],
	["mm_khugepaged_collapse_file", 0x10n],
	["mm_page_alloc", 0x1n],
	["mm_page_pcpu_drain", 0x1n],
	["mm_page_alloc_zone_locked", 0x1n],
	["netfs_failure", 0x10n],
	["device_pm_callback_start", 0x10n],
	["qdisc_dequeue", 0x1000n],
	["rxrpc_recvdata", 0x1n],
	["rxrpc_resend", 0x10n],
	["kfree_skb", 0x1000n],
	["xs_stream_read_data", 0x1n],
	["xprt_reserve_cong", 0x10n],
	["xprt_release_cong", 0x10n],
	["xprt_get_cong", 0x10n],
	["xprt_put_cong", 0x10n],
	["tcp_send_reset", 0x11n],
	["tegra_dma_tx_status", 0x100n],
	["tmigr_update_events", 0x1n],
	["writeback_dirty_folio", 0x10n],
	["folio_wait_writeback", 0x10n],
	["mr_integ_alloc", 0x2000n],
	["bpf_testmod_test_read", 0x0n],
]);

/**
 * kernel/bpf/btf.c: btf_ctx_access: may the program read its context (the arguments of what it is attached
 * to) there, and what is loaded? The answer's type goes to `info`.
 */
export function btf_ctx_access(
	off: number,
	size: number,
	_type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	let t = prog.aux.attach_func_proto;
	const tgt_prog = prog.aux.dst_prog;
	const b = bpf_prog_get_target_btf(prog)!;
	const tname = prog.aux.attach_func_name;
	const { log } = info;
	let ptr_err_raw_tp = false;

	if (off % 8) {
		bpf_log(log, `func '${tname}' offset ${off} is not multiple of 8\n`);
		return false;
	}
	const arg = get_ctx_arg_idx(b, t, off);
	let args = t ? btf_params(t) : [];
	// a NULL prototype: any function, whose five first arguments are scalars
	let nr_args = t ? btf_type_vlen(t) : MAX_BPF_FUNC_REG_ARGS;
	if (prog.aux.attach_btf_trace) {
		// the first argument of the typedef's function is void *__data
		args = args.slice(1);
		nr_args--;
	}
	if (arg > nr_args) {
		bpf_log(log, `func '${tname}' doesn't have ${arg + 1}-th argument\n`);
		return false;
	}
	if (arg === nr_args) {
		switch (prog.expected_attach_type) {
			case BPF_LSM_MAC:
			case BPF_LSM_CGROUP:
			case BPF_TRACE_FEXIT:
				if (prog.expected_attach_type === BPF_LSM_MAC) info.is_retval = true;
				// the return value; a NULL prototype returns a scalar
				if (!t) return true;
				t = btf_type_by_id(b, t.type)!;
				break;
			case BPF_MODIFY_RETURN:
				// fmod_ret reads the value that an earlier program left
				if (!t) return false;
				t = btf_type_skip_modifiers(b, t.type);
				if (!btf_type_is_small_int(t)) {
					bpf_log(log, `ret type ${btf_type_str(t)} not allowed for fmod_ret\n`);
					return false;
				}
				break;
			default:
				bpf_log(log, `func '${tname}' doesn't have ${arg + 1}-th argument\n`);
				return false;
		}
	} else {
		if (!t) return true;
		t = btf_type_by_id(b, args[arg]!.type)!;
	}

	while (btf_type_is_modifier(t)) t = btf_type_by_id(b, t.type)!;
	if (btf_type_is_small_int(t) || btf_is_any_enum(t) || __btf_type_is_struct(t)) return true;
	if (!btf_type_is_ptr(t)) {
		bpf_log(
			log,
			`func '${tname}' arg${arg} '${__btf_name_by_offset(b, t.name_off)}' has type ${btf_type_str(t)}. Only pointer access is allowed\n`,
		);
		return false;
	}
	if (size !== 8) {
		bpf_log(log, `func '${tname}' size ${size} must be 8\n`);
		return false;
	}

	// a buffer that may be absent: its rdonly or rdwr bounds are the iterator's
	for (const aux of prog.aux.ctx_arg_info) {
		if (
			aux.offset === off &&
			(aux.reg_type & BPF_BASE_TYPE_MASK) === PTR_TO_BUF &&
			aux.reg_type & PTR_MAYBE_NULL
		) {
			info.reg_type = aux.reg_type;
			return true;
		}
	}

	// pointers to void and to ints are scalars
	if (t.type === 0) return true;
	if (is_int_ptr(b, t)) return true;

	for (const aux of prog.aux.ctx_arg_info) {
		if (aux.offset === off) {
			if (!aux.btf_id) {
				bpf_log(log, `invalid btf_id for context argument offset ${off >>> 0}\n`);
				return false;
			}
			info.reg_type = aux.reg_type;
			info.btf = aux.btf ?? btf_vmlinux(prog.kernel);
			info.btf_id = aux.btf_id;
			return true;
		}
	}

	info.reg_type = PTR_TO_BTF_ID;
	if (prog_args_trusted(prog)) info.reg_type |= PTR_TRUSTED;
	if (arg < args.length && btf_param_match_suffix(b, args[arg]!, "__nullable"))
		info.reg_type |= PTR_MAYBE_NULL;

	if (prog.expected_attach_type === BPF_TRACE_RAW_TP) {
		const ab = prog.aux.attach_btf!;
		const at = btf_type_by_id(ab, prog.aux.attach_btf_id);
		if (!at) return false;
		const name = btf_name_by_offset(ab, at.name_off);
		if (name === null) return false;
		const mask = raw_tp_null_args.get(name.slice("btf_trace_".length));
		if (mask !== undefined) {
			const shift = BigInt(arg * 4);
			if (mask & (1n << shift)) info.reg_type |= PTR_MAYBE_NULL;
			if (mask & (2n << shift)) ptr_err_raw_tp = true;
		} else if (btf_is_module(ab)) {
			// a module's tracepoint that is not listed: any argument may be NULL
			info.reg_type |= PTR_MAYBE_NULL;
		}
	}

	if (tgt_prog) {
		const tgt_type = tgt_prog.type === BPF_PROG_TYPE_EXT ? tgt_prog.aux.saved_dst_prog_type : tgt_prog.type;
		const ret = btf_translate_to_vmlinux(log, b, t, tgt_type, arg);
		if (ret > 0) {
			info.btf = btf_vmlinux(prog.kernel);
			info.btf_id = ret;
			return true;
		}
		return false;
	}

	info.btf = b;
	info.btf_id = t.type;
	t = btf_type_by_id(b, t.type)!;
	if (btf_type_is_type_tag(t)) {
		const tag = __btf_name_by_offset(b, t.name_off);
		if (tag === "user") info.reg_type |= MEM_USER;
		if (tag === "percpu") info.reg_type |= MEM_PERCPU;
	}
	while (btf_type_is_modifier(t)) {
		info.btf_id = t.type;
		t = btf_type_by_id(b, t.type)!;
	}
	if (!btf_type_is_struct(t)) {
		bpf_log(log, `func '${tname}' arg${arg} type ${btf_type_str(t)} is not a struct\n`);
		return false;
	}
	bpf_log(
		log,
		`func '${tname}' arg${arg} has btf_id ${info.btf_id} type ${btf_type_str(t)} '${__btf_name_by_offset(b, t.name_off)}'\n`,
	);
	// the value may be an error: a scalar, then, which a probe read can follow
	if (ptr_err_raw_tp) {
		bpf_log(log, `marking pointer arg${arg} as scalar as it may encode error`);
		info.reg_type = SCALAR_VALUE;
	}
	return true;
}
