// SPDX-License-Identifier: GPL-2.0-only
/**
 * Which programs may call which kfuncs, and destructors of kptrs (kernel/bpf/btf.c: btf_populate_kfunc_set()
 * to register_btf_id_dtor_kfuncs()). The sets themselves are in kfunc_sets.ts.
 */
import { KF_ITER_DESTROY, KF_ITER_NEW, KF_ITER_NEXT } from "../../include/linux/btf.ts";
import { E2BIG, EINVAL, ENOENT } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_PROG_TYPE_CGROUP_DEVICE,
	BPF_PROG_TYPE_CGROUP_SKB,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_CGROUP_SYSCTL,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_LWT_IN,
	BPF_PROG_TYPE_LWT_OUT,
	BPF_PROG_TYPE_LWT_SEG6LOCAL,
	BPF_PROG_TYPE_LWT_XMIT,
	BPF_PROG_TYPE_NETFILTER,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_SCHED_ACT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_SKB,
	BPF_PROG_TYPE_SOCKET_FILTER,
	BPF_PROG_TYPE_STRUCT_OPS,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACEPOINT,
	BPF_PROG_TYPE_TRACING,
	BPF_PROG_TYPE_UNSPEC,
	BPF_PROG_TYPE_XDP,
} from "../../include/uapi/linux/bpf.ts";
import { IS_ERR } from "../../lib/err.ts";
import type { Kernel } from "../kernel.ts";
import type { bpf_prog } from "./bpf_types.ts";
import { btf_get_module_btf } from "./btf_find.ts";
import {
	__btf_type_is_struct,
	btf_impl,
	btf_name_by_offset,
	btf_params,
	btf_put,
	btf_tname,
	btf_type_by_id,
	btf_type_is_func,
	btf_type_is_func_proto,
	btf_type_is_ptr,
	btf_type_is_void,
	btf_type_skip_modifiers,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_type, kmodule } from "./btf_types.ts";

// enum btf_kfunc_hook
export const BTF_KFUNC_HOOK_COMMON = 0;
export const BTF_KFUNC_HOOK_XDP = 1;
export const BTF_KFUNC_HOOK_TC = 2;
export const BTF_KFUNC_HOOK_STRUCT_OPS = 3;
export const BTF_KFUNC_HOOK_TRACING = 4;
export const BTF_KFUNC_HOOK_SYSCALL = 5;
export const BTF_KFUNC_HOOK_FMODRET = 6;
export const BTF_KFUNC_HOOK_CGROUP = 7;
export const BTF_KFUNC_HOOK_SCHED_ACT = 8;
export const BTF_KFUNC_HOOK_SK_SKB = 9;
export const BTF_KFUNC_HOOK_SOCKET_FILTER = 10;
export const BTF_KFUNC_HOOK_LWT = 11;
export const BTF_KFUNC_HOOK_NETFILTER = 12;
export const BTF_KFUNC_HOOK_KPROBE = 13;
export const BTF_KFUNC_HOOK_MAX = 14;

const BTF_KFUNC_SET_MAX_CNT = 256;
const BTF_DTOR_KFUNC_MAX_CNT = 256;
const BTF_KFUNC_FILTER_MAX_CNT = 16;
const ITER_PREFIX = "bpf_iter_";

/** btf_kfunc_filter_t: not 0 refuses the kfunc to the program */
export type btf_kfunc_filter = (prog: bpf_prog, kfunc_id: number) => number;

/** struct btf_kfunc_id_set */
export interface btf_kfunc_id_set {
	owner: kmodule | null;
	/** Ids with their KF_* flags. */
	set: readonly { id: number; flags: number }[];
	filter?: btf_kfunc_filter | null;
}

/** struct btf_kfunc_set_tab: flags by id, and filters, of each hook */
export interface btf_kfunc_set_tab {
	sets: (Map<number, number> | null)[];
	hook_filters: btf_kfunc_filter[][];
}

/** struct btf_id_dtor_kfunc */
export interface btf_id_dtor {
	btf_id: number;
	kfunc_btf_id: number;
}

/** kernel/bpf/btf.c: btf_relocate_id */
export function btf_relocate_id(b: btf, id: number): number {
	const map = btf_impl(b).base_id_map;
	if (!b.base_btf || !map) return id;
	return map[id]!;
}

/** kernel/bpf/btf.c: btf_try_get_module: the module of a BTF while it is live */
export function btf_try_get_module(b: btf): kmodule | null {
	const o = btf_impl(b);
	return o.module_live ? o.module : null;
}

/** kernel/bpf/btf.c: check_btf_kconfigs: registering without BTF */
export function check_btf_kconfigs(kernel: Kernel, module: kmodule | null, feature: string): number {
	if (!module) {
		kernel.printk(`missing vmlinux BTF, cannot register ${feature}`);
		return -ENOENT;
	}
	kernel.printk(`missing module BTF, cannot register ${feature}`);
	return 0;
}

/** kernel/bpf/btf.c: btf_check_iter_arg: the id of the struct bpf_iter_* that an argument points at */
export function btf_check_iter_arg(b: btf, func: btf_type, arg_idx: number): number {
	if (btf_type_vlen(func) <= arg_idx) return -EINVAL;
	const arg = btf_params(func)[arg_idx]!;
	let t = btf_type_skip_modifiers(b, arg.type);
	if (!btf_type_is_ptr(t)) return -EINVAL;
	const id = { val: 0 };
	t = btf_type_skip_modifiers(b, t.type, id);
	if (!__btf_type_is_struct(t)) return -EINVAL;
	const name = btf_name_by_offset(b, t.name_off);
	if (!name?.startsWith(ITER_PREFIX)) return -EINVAL;
	return id.val;
}

/** kernel/bpf/btf.c: btf_check_iter_kfuncs: bpf_iter_NAME_{new,next,destroy} have the shape iterators need */
function btf_check_iter_kfuncs(b: btf, func_name: string, func: btf_type, func_flags: number): number {
	const flags = func_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY);
	if (!flags || flags & (flags - 1)) return -EINVAL;
	const nr_args = btf_type_vlen(func);
	if (nr_args < 1) return -EINVAL;
	const btf_id = btf_check_iter_arg(b, func, 0);
	if (btf_id < 0) return btf_id;
	const it = btf_type_by_id(b, btf_id)!;
	if (it.size === 0 || it.size % 8) return -EINVAL;
	const iter_name = btf_tname(b, it).slice(ITER_PREFIX.length);
	const sfx = flags & KF_ITER_NEW ? "new" : flags & KF_ITER_NEXT ? "next" : "destroy";
	if (func_name !== `bpf_iter_${iter_name}_${sfx}`.slice(0, 127)) return -EINVAL;
	if (!(flags & KF_ITER_NEW) && nr_args !== 1) return -EINVAL;
	if (flags & KF_ITER_NEXT && !btf_type_is_ptr(btf_type_skip_modifiers(b, func.type))) return -EINVAL;
	if (flags & KF_ITER_DESTROY) {
		const t = btf_type_by_id(b, func.type);
		if (!t || !btf_type_is_void(t)) return -EINVAL;
	}
	return 0;
}

/** kernel/bpf/btf.c: btf_check_kfunc_protos */
function btf_check_kfunc_protos(b: btf, func_id: number, func_flags: number): number {
	const func = btf_type_by_id(b, func_id);
	if (!func || !btf_type_is_func(func)) return -EINVAL;
	const name = btf_name_by_offset(b, func.name_off);
	if (!name) return -EINVAL;
	const proto = btf_type_by_id(b, func.type);
	if (!proto || !btf_type_is_func_proto(proto)) return -EINVAL;
	if (func_flags & (KF_ITER_NEW | KF_ITER_NEXT | KF_ITER_DESTROY))
		return btf_check_iter_kfuncs(b, name, proto, func_flags);
	return 0;
}

/** kernel/bpf/btf.c: btf_populate_kfunc_set */
function btf_populate_kfunc_set(b: btf, hook: number, kset: btf_kfunc_id_set): number {
	const o = btf_impl(b);
	const fail = (err: number): number => {
		o.kfunc_set_tab = null;
		return err;
	};
	if (hook >= BTF_KFUNC_HOOK_MAX) return fail(-EINVAL);
	if (kset.set.length === 0) return 0;
	const { filter } = kset;
	let add_filter = !!filter;
	let tab = o.kfunc_set_tab;
	if (tab && filter) {
		const filters = tab.hook_filters[hook]!;
		if (filters.includes(filter)) add_filter = false;
		if (add_filter && filters.length === BTF_KFUNC_FILTER_MAX_CNT) return fail(-E2BIG);
	}
	if (!tab) {
		tab = {
			sets: new Array<Map<number, number> | null>(BTF_KFUNC_HOOK_MAX).fill(null),
			hook_filters: Array.from({ length: BTF_KFUNC_HOOK_MAX }, () => []),
		};
		o.kfunc_set_tab = tab;
	}
	const have = tab.sets[hook] ?? new Map<number, number>();
	if (have.size + kset.set.length > BTF_KFUNC_SET_MAX_CNT) return fail(-E2BIG);
	for (const { id, flags } of kset.set) {
		const at = btf_relocate_id(b, id);
		if (!have.has(at)) have.set(at, flags);
	}
	tab.sets[hook] = have;
	if (add_filter && filter) tab.hook_filters[hook]!.push(filter);
	return 0;
}

/** kernel/bpf/btf.c: __btf_kfunc_id_set_contains: KF_* flags; null when the hook lacks the kfunc */
function __btf_kfunc_id_set_contains(
	b: btf,
	hook: number,
	kfunc_btf_id: number,
	prog: bpf_prog,
): number | null {
	if (hook >= BTF_KFUNC_HOOK_MAX) return null;
	const tab = btf_impl(b).kfunc_set_tab;
	if (!tab) return null;
	for (const filter of tab.hook_filters[hook]!) if (filter(prog, kfunc_btf_id)) return null;
	return tab.sets[hook]?.get(kfunc_btf_id) ?? null;
}

/** kernel/bpf/btf.c: bpf_prog_type_to_kfunc_hook */
export function bpf_prog_type_to_kfunc_hook(prog_type: number): number {
	switch (prog_type) {
		case BPF_PROG_TYPE_UNSPEC:
			return BTF_KFUNC_HOOK_COMMON;
		case BPF_PROG_TYPE_XDP:
			return BTF_KFUNC_HOOK_XDP;
		case BPF_PROG_TYPE_SCHED_CLS:
			return BTF_KFUNC_HOOK_TC;
		case BPF_PROG_TYPE_STRUCT_OPS:
			return BTF_KFUNC_HOOK_STRUCT_OPS;
		case BPF_PROG_TYPE_TRACING:
		case BPF_PROG_TYPE_TRACEPOINT:
		case BPF_PROG_TYPE_PERF_EVENT:
		case BPF_PROG_TYPE_LSM:
			return BTF_KFUNC_HOOK_TRACING;
		case BPF_PROG_TYPE_SYSCALL:
			return BTF_KFUNC_HOOK_SYSCALL;
		case BPF_PROG_TYPE_CGROUP_SKB:
		case BPF_PROG_TYPE_CGROUP_SOCK:
		case BPF_PROG_TYPE_CGROUP_DEVICE:
		case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
		case BPF_PROG_TYPE_CGROUP_SOCKOPT:
		case BPF_PROG_TYPE_CGROUP_SYSCTL:
			return BTF_KFUNC_HOOK_CGROUP;
		case BPF_PROG_TYPE_SCHED_ACT:
			return BTF_KFUNC_HOOK_SCHED_ACT;
		case BPF_PROG_TYPE_SK_SKB:
			return BTF_KFUNC_HOOK_SK_SKB;
		case BPF_PROG_TYPE_SOCKET_FILTER:
			return BTF_KFUNC_HOOK_SOCKET_FILTER;
		case BPF_PROG_TYPE_LWT_OUT:
		case BPF_PROG_TYPE_LWT_IN:
		case BPF_PROG_TYPE_LWT_XMIT:
		case BPF_PROG_TYPE_LWT_SEG6LOCAL:
			return BTF_KFUNC_HOOK_LWT;
		case BPF_PROG_TYPE_NETFILTER:
			return BTF_KFUNC_HOOK_NETFILTER;
		case BPF_PROG_TYPE_KPROBE:
			return BTF_KFUNC_HOOK_KPROBE;
		default:
			return BTF_KFUNC_HOOK_MAX;
	}
}

/**
 * kernel/bpf/btf.c: btf_kfunc_id_set_contains: the kfunc's KF_* flags (0 is a valid answer), null when the
 * program may not call it.
 */
export function btf_kfunc_id_set_contains(b: btf, kfunc_btf_id: number, prog: bpf_prog): number | null {
	const flags = __btf_kfunc_id_set_contains(b, BTF_KFUNC_HOOK_COMMON, kfunc_btf_id, prog);
	if (flags !== null) return flags;
	// resolve_prog_type(): an extension program is of the type that it extends
	const type =
		prog.type === BPF_PROG_TYPE_EXT && prog.aux.saved_dst_prog_type
			? prog.aux.saved_dst_prog_type
			: prog.type;
	const hook = bpf_prog_type_to_kfunc_hook(type);
	return __btf_kfunc_id_set_contains(b, hook, kfunc_btf_id, prog);
}

/** kernel/bpf/btf.c: btf_kfunc_is_modify_return: flags when fmod_ret programs may attach to the function; null */
export function btf_kfunc_is_modify_return(b: btf, kfunc_btf_id: number, prog: bpf_prog): number | null {
	return __btf_kfunc_id_set_contains(b, BTF_KFUNC_HOOK_FMODRET, kfunc_btf_id, prog);
}

function __register_btf_kfunc_id_set(kernel: Kernel, hook: number, kset: btf_kfunc_id_set): number {
	const b = btf_get_module_btf(kernel, kset.owner);
	if (b === null) return check_btf_kconfigs(kernel, kset.owner, "kfunc");
	if (IS_ERR(b)) return b;
	const ret = btf_register_kfuncs(b, hook, kset);
	btf_put(b);
	return ret;
}

/** The registration proper, when the BTF is at hand. */
export function btf_register_kfuncs(b: btf, hook: number, kset: btf_kfunc_id_set): number {
	for (const { id, flags } of kset.set) {
		const ret = btf_check_kfunc_protos(b, btf_relocate_id(b, id), flags);
		if (ret) return ret;
	}
	return btf_populate_kfunc_set(b, hook, kset);
}

/** kernel/bpf/btf.c: register_btf_kfunc_id_set */
export function register_btf_kfunc_id_set(kernel: Kernel, prog_type: number, kset: btf_kfunc_id_set): number {
	return __register_btf_kfunc_id_set(kernel, bpf_prog_type_to_kfunc_hook(prog_type), kset);
}

/** kernel/bpf/btf.c: register_btf_fmodret_id_set */
export function register_btf_fmodret_id_set(kernel: Kernel, kset: btf_kfunc_id_set): number {
	return __register_btf_kfunc_id_set(kernel, BTF_KFUNC_HOOK_FMODRET, kset);
}

/** kernel/bpf/btf.c: btf_find_dtor_kfunc: the id of the function that releases objects of a type; -ENOENT */
export function btf_find_dtor_kfunc(b: btf, btf_id: number): number {
	const dtor = btf_impl(b).dtor_kfunc_tab?.find((d) => d.btf_id === btf_id);
	return dtor ? dtor.kfunc_btf_id : -ENOENT;
}

/** kernel/bpf/btf.c: btf_check_dtor_kfuncs: void f(void *) */
function btf_check_dtor_kfuncs(b: btf, dtors: readonly btf_id_dtor[]): number {
	for (const d of dtors) {
		const func = btf_type_by_id(b, btf_relocate_id(b, d.kfunc_btf_id));
		if (!func || !btf_type_is_func(func)) return -EINVAL;
		const proto = btf_type_by_id(b, func.type);
		if (!proto || !btf_type_is_func_proto(proto)) return -EINVAL;
		let t = btf_type_by_id(b, proto.type);
		if (!t || !btf_type_is_void(t)) return -EINVAL;
		if (btf_type_vlen(proto) !== 1) return -EINVAL;
		t = btf_type_by_id(b, btf_params(proto)[0]!.type);
		// the argument may be any pointer: the compiler's CFI decides the exact type
		if (!t || !btf_type_is_ptr(t)) return -EINVAL;
	}
	return 0;
}

/** Registration of destructors, when the BTF is at hand. */
export function btf_register_dtors(b: btf, dtors: readonly btf_id_dtor[]): number {
	const o = btf_impl(b);
	if (dtors.length >= BTF_DTOR_KFUNC_MAX_CNT) return -E2BIG;
	const err = btf_check_dtor_kfuncs(b, dtors);
	if (err < 0) return err;
	const tab = o.dtor_kfunc_tab ?? [];
	if (tab.length + dtors.length >= BTF_DTOR_KFUNC_MAX_CNT) return -E2BIG;
	o.dtor_kfunc_tab = [
		...tab,
		...dtors.map((d) => ({
			btf_id: btf_relocate_id(b, d.btf_id),
			kfunc_btf_id: btf_relocate_id(b, d.kfunc_btf_id),
		})),
	].sort((x, y) => x.btf_id - y.btf_id);
	return 0;
}

/** kernel/bpf/btf.c: register_btf_id_dtor_kfuncs */
export function register_btf_id_dtor_kfuncs(
	kernel: Kernel,
	dtors: readonly btf_id_dtor[],
	owner: kmodule | null,
): number {
	const b = btf_get_module_btf(kernel, owner);
	if (b === null) return check_btf_kconfigs(kernel, owner, "dtor kfuncs");
	if (IS_ERR(b)) return b;
	const ret = btf_register_dtors(b, dtors);
	btf_put(b);
	return ret;
}
