// SPDX-License-Identifier: GPL-2.0-only
/** kernel/bpf/syscall.c: BPF_PROG_LOAD: who may load what, and the way of a program to its descriptor. */

import { BPF_COMPLEXITY_LIMIT_INSNS } from "../../include/linux/bpf.ts";
import { E2BIG, EFAULT, EINVAL, ENOTSUPP, EOPNOTSUPP, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { ATTR_END, type bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { BPF_MAXINSNS } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_MAX_TYPE } from "../../include/uapi/linux/btf.ts";
import { IS_ERR, type Ref } from "../../lib/err.ts";
import {
	copy_from_bpfptr,
	copy_to_bpfptr_offset,
	make_bpfptr,
	type bpfptr_t as raw_bpfptr_t,
	strncpy_from_bpfptr,
} from "../bpfptr.ts";
import type { Kernel } from "../kernel.ts";
import { bpf_token_capable } from "../security.ts";
import { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON } from "../task.ts";
import { attr_tail_nonzero, bpf_token_get_from_fd } from "./attr.ts";
import { BPF_INSN_SIZE, type bpf_prog, decode_insns } from "./bpf_types.ts";
import { btf_get, btf_get_by_fd, btf_is_kernel, btf_put } from "./btf.ts";
import type { btf } from "./btf_types.ts";
import { bpf_prog_alloc, bpf_prog_kallsyms_add, bpf_prog_select_runtime } from "./core.ts";
import { bpf_obj_name_cpy } from "./map_create.ts";
import {
	__bpf_prog_put_noref,
	bpf_prog_alloc_id,
	bpf_prog_free,
	bpf_prog_get,
	bpf_prog_new_fd,
	bpf_prog_put,
} from "./prog.ts";
import { bpf_check } from "./verifier.ts";
import type { bpf_prog_load_attr, bpfptr_t } from "./verifier_types.ts";

const LICENSE_LEN = 128;
const LO_IFINDEX = 1;

const PROG_LOAD_FLAGS =
	U.BPF_F_STRICT_ALIGNMENT |
	U.BPF_F_ANY_ALIGNMENT |
	U.BPF_F_TEST_STATE_FREQ |
	U.BPF_F_SLEEPABLE |
	U.BPF_F_TEST_RND_HI32 |
	U.BPF_F_XDP_HAS_FRAGS |
	U.BPF_F_XDP_DEV_BOUND_ONLY |
	U.BPF_F_TEST_REG_INVARIANTS |
	U.BPF_F_TOKEN_FD;

/** include/linux/license.h: license_is_gpl_compatible */
export function license_is_gpl_compatible(license: string): boolean {
	return [
		"GPL",
		"GPL v2",
		"GPL and additional rights",
		"Dual BSD/GPL",
		"Dual MIT/GPL",
		"Dual MPL/GPL",
	].includes(license);
}

/** kernel/bpf/syscall.c: bpf_prog_load_fixup_attach_type: types that once had no attach type */
function bpf_prog_load_fixup_attach_type(attr: { prog_type: number; expected_attach_type: number }): void {
	if (attr.expected_attach_type) return;
	switch (attr.prog_type) {
		case U.BPF_PROG_TYPE_CGROUP_SOCK:
			attr.expected_attach_type = U.BPF_CGROUP_INET_SOCK_CREATE;
			break;
		case U.BPF_PROG_TYPE_SK_REUSEPORT:
			attr.expected_attach_type = U.BPF_SK_REUSEPORT_SELECT;
			break;
	}
}

/** Attach types that a program type must be loaded for; other types take any. */
const ATTACH_TYPES: ReadonlyMap<number, ReadonlySet<number>> = new Map([
	[
		U.BPF_PROG_TYPE_CGROUP_SOCK,
		new Set([
			U.BPF_CGROUP_INET_SOCK_CREATE,
			U.BPF_CGROUP_INET_SOCK_RELEASE,
			U.BPF_CGROUP_INET4_POST_BIND,
			U.BPF_CGROUP_INET6_POST_BIND,
		]),
	],
	[
		U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		new Set([
			U.BPF_CGROUP_INET4_BIND,
			U.BPF_CGROUP_INET6_BIND,
			U.BPF_CGROUP_INET4_CONNECT,
			U.BPF_CGROUP_INET6_CONNECT,
			U.BPF_CGROUP_UNIX_CONNECT,
			U.BPF_CGROUP_INET4_GETPEERNAME,
			U.BPF_CGROUP_INET6_GETPEERNAME,
			U.BPF_CGROUP_UNIX_GETPEERNAME,
			U.BPF_CGROUP_INET4_GETSOCKNAME,
			U.BPF_CGROUP_INET6_GETSOCKNAME,
			U.BPF_CGROUP_UNIX_GETSOCKNAME,
			U.BPF_CGROUP_UDP4_SENDMSG,
			U.BPF_CGROUP_UDP6_SENDMSG,
			U.BPF_CGROUP_UNIX_SENDMSG,
			U.BPF_CGROUP_UDP4_RECVMSG,
			U.BPF_CGROUP_UDP6_RECVMSG,
			U.BPF_CGROUP_UNIX_RECVMSG,
		]),
	],
	[U.BPF_PROG_TYPE_CGROUP_SKB, new Set([U.BPF_CGROUP_INET_INGRESS, U.BPF_CGROUP_INET_EGRESS])],
	[U.BPF_PROG_TYPE_CGROUP_SOCKOPT, new Set([U.BPF_CGROUP_SETSOCKOPT, U.BPF_CGROUP_GETSOCKOPT])],
	[U.BPF_PROG_TYPE_SK_LOOKUP, new Set([U.BPF_SK_LOOKUP])],
	[U.BPF_PROG_TYPE_SK_REUSEPORT, new Set([U.BPF_SK_REUSEPORT_SELECT, U.BPF_SK_REUSEPORT_SELECT_OR_MIGRATE])],
	[U.BPF_PROG_TYPE_NETFILTER, new Set([U.BPF_NETFILTER])],
	[U.BPF_PROG_TYPE_SYSCALL, new Set([0])],
	[U.BPF_PROG_TYPE_EXT, new Set([0])],
]);

/** kernel/bpf/syscall.c: bpf_prog_load_check_attach */
export function bpf_prog_load_check_attach(
	prog_type: number,
	expected_attach_type: number,
	attach_btf: btf | null,
	btf_id: number,
	dst_prog: bpf_prog | null,
): number {
	if (btf_id) {
		if (btf_id > BTF_MAX_TYPE) return -EINVAL;
		if (!attach_btf && !dst_prog) return -EINVAL;
		switch (prog_type) {
			case U.BPF_PROG_TYPE_TRACING:
			case U.BPF_PROG_TYPE_LSM:
			case U.BPF_PROG_TYPE_STRUCT_OPS:
			case U.BPF_PROG_TYPE_EXT:
				break;
			default:
				return -EINVAL;
		}
	}
	if (attach_btf && (!btf_id || dst_prog)) return -EINVAL;
	if (dst_prog && prog_type !== U.BPF_PROG_TYPE_TRACING && prog_type !== U.BPF_PROG_TYPE_EXT) return -EINVAL;

	const allowed = ATTACH_TYPES.get(prog_type);
	return !allowed || allowed.has(expected_attach_type) ? 0 : -EINVAL;
}

const NET_ADMIN_TYPES: ReadonlySet<number> = new Set([
	U.BPF_PROG_TYPE_SCHED_CLS,
	U.BPF_PROG_TYPE_SCHED_ACT,
	U.BPF_PROG_TYPE_XDP,
	U.BPF_PROG_TYPE_LWT_IN,
	U.BPF_PROG_TYPE_LWT_OUT,
	U.BPF_PROG_TYPE_LWT_XMIT,
	U.BPF_PROG_TYPE_LWT_SEG6LOCAL,
	U.BPF_PROG_TYPE_SK_SKB,
	U.BPF_PROG_TYPE_SK_MSG,
	U.BPF_PROG_TYPE_FLOW_DISSECTOR,
	U.BPF_PROG_TYPE_CGROUP_DEVICE,
	U.BPF_PROG_TYPE_CGROUP_SOCK,
	U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	U.BPF_PROG_TYPE_CGROUP_SOCKOPT,
	U.BPF_PROG_TYPE_CGROUP_SYSCTL,
	U.BPF_PROG_TYPE_SOCK_OPS,
	U.BPF_PROG_TYPE_EXT,
	U.BPF_PROG_TYPE_NETFILTER,
]);

const PERFMON_TYPES: ReadonlySet<number> = new Set([
	U.BPF_PROG_TYPE_KPROBE,
	U.BPF_PROG_TYPE_TRACEPOINT,
	U.BPF_PROG_TYPE_PERF_EVENT,
	U.BPF_PROG_TYPE_RAW_TRACEPOINT,
	U.BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE,
	U.BPF_PROG_TYPE_TRACING,
	U.BPF_PROG_TYPE_LSM,
	U.BPF_PROG_TYPE_STRUCT_OPS,
	U.BPF_PROG_TYPE_EXT,
]);

/** kernel/bpf/syscall.c: find_prog_type */
function find_prog_type(type: number, prog: bpf_prog): number {
	if (type === U.BPF_PROG_TYPE_UNSPEC || type >= U.__MAX_BPF_PROG_TYPE) return -EINVAL;
	prog.type = type;
	return 0;
}

/** The bytes of union bpf_attr as BPF_PROG_LOAD reads them; `prog_name` stays with the bytes. */
export function decode_prog_load_attr(attr: bpf_attr): bpf_prog_load_attr {
	const u32 = (off: number): number => attr.ru32(off);
	const u64 = (off: number): bigint => attr.ru64(off);
	const name = attr.bytes.subarray(48, 64);
	const nul = name.indexOf(0);
	return {
		prog_type: u32(0),
		insn_cnt: u32(4),
		insns: u64(8),
		license: u64(16),
		log_level: u32(24),
		log_size: u32(28),
		log_buf: u64(32),
		kern_version: u32(40),
		prog_flags: u32(44),
		prog_name: String.fromCharCode(...name.subarray(0, nul < 0 ? name.length : nul)),
		prog_ifindex: u32(64),
		expected_attach_type: u32(68),
		prog_btf_fd: u32(72),
		func_info_rec_size: u32(76),
		func_info: u64(80),
		func_info_cnt: u32(88),
		line_info_rec_size: u32(92),
		line_info: u64(96),
		line_info_cnt: u32(104),
		attach_btf_id: u32(108),
		attach_prog_fd: u32(112),
		core_relo_cnt: u32(116),
		fd_array: u64(120),
		core_relos: u64(128),
		core_relo_rec_size: u32(136),
		log_true_size: u32(140),
		prog_token_fd: attr.rs32(144),
	};
}

/** What the verifier reads and writes of the caller, through the caller's pointers. */
function caller_memory(kernel: Kernel, uattr: raw_bpfptr_t): bpfptr_t {
	const { is_kernel } = uattr;
	const read = (addr: bigint, len: number, from_kernel: boolean): Uint8Array | null => {
		const bytes = copy_from_bpfptr(kernel, make_bpfptr(addr, from_kernel), len);
		return typeof bytes === "number" ? null : bytes;
	};
	const write = (addr: bigint, bytes: Uint8Array, to_kernel: boolean): boolean =>
		copy_to_bpfptr_offset(kernel, make_bpfptr(addr, to_kernel), 0, bytes) === 0;
	return {
		addr: BigInt.asUintN(64, BigInt(uattr.addr)),
		is_kernel,
		read: (addr, len) => read(addr, len, is_kernel),
		write: (addr, bytes) => write(addr, bytes, is_kernel),
		read_user: (addr, len) => read(addr, len, false),
		write_user: (addr, bytes) => write(addr, bytes, false),
	};
}

/** kernel/bpf/syscall.c: bpf_prog_load: a descriptor or a negative errno */
export function bpf_prog_load(
	kernel: Kernel,
	attr_bytes: bpf_attr,
	uattr: raw_bpfptr_t,
	uattr_size: number,
): number {
	if (attr_tail_nonzero(attr_bytes, ATTR_END.BPF_PROG_LOAD)) return -EINVAL;
	const attr = decode_prog_load_attr(attr_bytes);
	const type = attr.prog_type;
	if (attr.prog_flags & ~PROG_LOAD_FLAGS) return -EINVAL;

	bpf_prog_load_fixup_attach_type(attr);

	// tokens cannot be made yet: whatever this descriptor is, it is none
	if (attr.prog_flags & U.BPF_F_TOKEN_FD) return bpf_token_get_from_fd(kernel, attr.prog_token_fd);

	const bpf_cap = bpf_token_capable(kernel, CAP_BPF);
	if (kernel.config.unprivileged_bpf_disabled && !bpf_cap) return -EPERM;
	if (attr.insn_cnt === 0 || attr.insn_cnt > (bpf_cap ? BPF_COMPLEXITY_LIMIT_INSNS : BPF_MAXINSNS))
		return -E2BIG;
	if (type !== U.BPF_PROG_TYPE_SOCKET_FILTER && type !== U.BPF_PROG_TYPE_CGROUP_SKB && !bpf_cap)
		return -EPERM;
	if (NET_ADMIN_TYPES.has(type) && !bpf_token_capable(kernel, CAP_NET_ADMIN)) return -EPERM;
	if (PERFMON_TYPES.has(type) && !bpf_token_capable(kernel, CAP_PERFMON)) return -EPERM;

	// the same word of attr is a program's descriptor or a BTF's
	let dst_prog: bpf_prog | null = null;
	let attach_btf: btf | null = null;
	if (attr.attach_prog_fd) {
		const dst = bpf_prog_get(kernel, attr.attach_prog_fd);
		if (IS_ERR(dst)) {
			const b = btf_get_by_fd(kernel, attr.attach_prog_fd);
			if (IS_ERR(b)) return -EINVAL;
			if (!btf_is_kernel(b)) {
				btf_put(b);
				return -ENOTSUPP;
			}
			attach_btf = b;
		} else {
			dst_prog = dst as bpf_prog;
		}
	} else if (attr.attach_btf_id) {
		const b = kernel.bpf.bpf_get_btf_vmlinux();
		if (IS_ERR(b)) return b;
		attach_btf = b as btf;
		btf_get(attach_btf);
	}

	if (bpf_prog_load_check_attach(type, attr.expected_attach_type, attach_btf, attr.attach_btf_id, dst_prog)) {
		if (dst_prog) bpf_prog_put(dst_prog);
		if (attach_btf) btf_put(attach_btf);
		return -EINVAL;
	}

	const prog = bpf_prog_alloc(kernel);
	prog.expected_attach_type = attr.expected_attach_type;
	prog.sleepable = (attr.prog_flags & U.BPF_F_SLEEPABLE) !== 0;
	prog.aux.attach_btf = attach_btf;
	prog.aux.attach_btf_id = attr.attach_btf_id;
	prog.aux.dst_prog = dst_prog;
	prog.aux.dev_bound = attr.prog_ifindex !== 0;
	prog.aux.xdp_has_frags = (attr.prog_flags & U.BPF_F_XDP_HAS_FRAGS) !== 0;

	prog.aux.created_by_uid = kernel.current.uid;

	const err = read_program(kernel, prog, attr, attr_bytes, uattr);
	if (err < 0) {
		if (attach_btf) btf_put(attach_btf);
		bpf_prog_free(prog);
		return err;
	}
	return verify_and_publish(kernel, prog, attr, uattr, uattr_size);
}

/** From the instructions to the name: what bpf_prog_load() does before the verifier. */
function read_program(
	kernel: Kernel,
	prog: bpf_prog,
	attr: bpf_prog_load_attr,
	attr_bytes: bpf_attr,
	uattr: raw_bpfptr_t,
): number {
	const bytes = copy_from_bpfptr(
		kernel,
		make_bpfptr(attr.insns, uattr.is_kernel),
		attr.insn_cnt * BPF_INSN_SIZE,
	);
	if (typeof bytes === "number") return -EFAULT;
	prog.insnsi = decode_insns(bytes);

	const license = strncpy_from_bpfptr(kernel, make_bpfptr(attr.license, uattr.is_kernel), LICENSE_LEN - 1);
	if (typeof license === "number") return -EFAULT;
	prog.gpl_compatible = license_is_gpl_compatible(String.fromCharCode(...license));

	if (prog.aux.dev_bound) {
		// kernel/bpf/offload.c: bpf_prog_dev_bound_init(); the one device is lo, which has no ndo_bpf
		if (attr.prog_type !== U.BPF_PROG_TYPE_SCHED_CLS && attr.prog_type !== U.BPF_PROG_TYPE_XDP)
			return -EINVAL;
		if (attr.prog_flags & ~(U.BPF_F_XDP_DEV_BOUND_ONLY | U.BPF_F_XDP_HAS_FRAGS)) return -EINVAL;
		if (attr.prog_flags & U.BPF_F_XDP_HAS_FRAGS && !(attr.prog_flags & U.BPF_F_XDP_DEV_BOUND_ONLY))
			return -EINVAL;
		if (attr.prog_type === U.BPF_PROG_TYPE_SCHED_CLS && attr.prog_flags & U.BPF_F_XDP_DEV_BOUND_ONLY)
			return -EINVAL;
		return attr.prog_ifindex === LO_IFINDEX ? -EOPNOTSUPP : -EINVAL;
	}

	const type = attr.prog_type;
	if (type === U.BPF_PROG_TYPE_TRACING && prog.aux.dst_prog?.type === U.BPF_PROG_TYPE_TRACING)
		prog.aux.attach_tracing_prog = true;

	const err = find_prog_type(type, prog);
	if (err < 0) return err;

	prog.aux.load_time = kernel.ktime_get_ns();
	const name = bpf_obj_name_cpy(attr_bytes.bytes.subarray(48, 64));
	if (typeof name === "number") return name;
	prog.aux.name = name;
	return 0;
}

/** The verifier, the JIT, the id, the descriptor. */
function verify_and_publish(
	kernel: Kernel,
	loaded: bpf_prog,
	attr: bpf_prog_load_attr,
	uattr: raw_bpfptr_t,
	uattr_size: number,
): number {
	const ref: Ref<bpf_prog> = { val: loaded };
	let err = bpf_check(ref, attr, caller_memory(kernel, uattr), uattr_size);
	let prog = ref.val;
	if (err >= 0) {
		const sel: Ref<number> = { val: 0 };
		prog = bpf_prog_select_runtime(prog, sel);
		err = sel.val;
	}
	if (err >= 0) err = bpf_prog_alloc_id(prog);
	if (err < 0) {
		__bpf_prog_put_noref(prog, prog.aux.real_func_cnt !== 0);
		return err;
	}

	bpf_prog_kallsyms_add(prog);
	err = bpf_prog_new_fd(prog);
	if (err < 0) bpf_prog_put(prog);
	return err;
}
