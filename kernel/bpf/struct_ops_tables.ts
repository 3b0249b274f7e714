// SPDX-License-Identifier: GPL-2.0-only
/**
 * The struct_ops types of the kernel and of the selftests' modules, as the verifier sees them: which members
 * have a stub, who may sleep, what programs may read and write (net/bpf/bpf_dummy_struct_ops.c,
 * net/ipv4/bpf_tcp_ca.c, kernel/sched/ext.c, drivers/hid/bpf/hid_bpf_struct_ops.c, bpf_testmod.c,
 * bpf_test_no_cfi.c).
 */
import {
	ARG_ANYTHING,
	ARG_PTR_TO_BTF_ID,
	BPF_READ,
	MAX_BPF_FUNC_ARGS,
	NOT_INIT,
	PTR_MAYBE_NULL,
	PTR_TO_BTF_ID,
	PTR_TRUSTED,
	RET_INTEGER,
	SCALAR_VALUE,
} from "../../include/linux/bpf.ts";
import { BPF_BASE_TYPE_MASK, BPF_REG_TRUSTED_MODIFIERS } from "../../include/linux/bpf_verifier.ts";
import { E2BIG, EACCES, EEXIST, EFAULT, EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_DW,
	BPF_F_BEFORE,
	BPF_FUNC_getsockopt,
	BPF_FUNC_ktime_get_coarse_ns,
	BPF_FUNC_setsockopt,
	BPF_FUNC_sk_storage_delete,
	BPF_FUNC_sk_storage_get,
	BPF_FUNC_task_storage_delete,
	BPF_FUNC_task_storage_get,
	BPF_FUNC_tcp_send_ack,
	BPF_REG_0,
	BPF_REG_1,
	BPF_REG_6,
	BPF_REG_7,
	BPF_REG_10,
} from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_MUL } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_STRUCT } from "../../include/uapi/linux/btf.ts";
import {
	bpf_sk_getsockopt_proto,
	bpf_sk_setsockopt_proto,
	bpf_sk_storage_delete_proto,
	bpf_sk_storage_get_proto,
} from "../../net/core/filter_proto.ts";
import { impl } from "../kernel_impl.ts";
import { bpf_tracing_btf_ctx_access } from "../trace/bpf_trace.ts";
import { bpf_base_func_proto } from "./base_proto.ts";
import type { bpf_link } from "./bpf_link.ts";
import {
	type bpf_struct_ops,
	bpf_struct_ops_find,
	btf_add_struct_ops,
	type StructOpsValue,
} from "./bpf_struct_ops.ts";
import type { bpf_func_proto, bpf_insn_access_aux, bpf_prog, bpf_verifier_ops } from "./bpf_types.ts";
import { btf_ctx_access } from "./btf_ctx.ts";
import { btf_vmlinux } from "./btf_find.ts";
import { btf_id_of, btf_member_path, offsetof, sizeof_field, sizeof_struct } from "./btf_ids.ts";
import {
	btf_find_by_name_kind,
	btf_impl,
	btf_str_by_offset,
	btf_type_by_id,
	btf_type_member,
	btf_type_vlen,
} from "./btf_obj.ts";
import type { btf, btf_member, btf_type } from "./btf_types.ts";
import {
	bpf_ktime_get_coarse_ns_proto,
	bpf_task_storage_delete_proto,
	bpf_task_storage_get_proto,
} from "./helpers_proto.ts";
import { BPF_ALU64_IMM, BPF_EXIT_INSN, BPF_LDX_MEM, BPF_MOV64_REG, BPF_STX_MEM } from "./insn_macros.ts";
import { bpf_log, new_verifier_log } from "./log.ts";
import { bpf_obj_name_cpy } from "./map_create.ts";
import type { bpf_reg_state } from "./reg_state.ts";
import type { bpf_verifier_log } from "./verifier_types.ts";

const INT_MAX = 0x7fffffff;
const TCP_CA_NAME_MAX = 16;
const TCP_CONG_MASK = 3;
const SCX_OPS_NAME_LEN = 128;
const SCX_OPS_ALL_FLAGS = 0x1000fn;
const SCX_WATCHDOG_MAX_TIMEOUT_MS = 30000;
const SCX_EXIT_DUMP_DFL_LEN = 32768;

/** A struct_ops type: it is registered anew in each BTF that has it. */
export interface StructOpsType {
	name: string;
	/** Module that registers it; the kernel itself otherwise. */
	module?: string;
	verifier_ops: bpf_verifier_ops;
	init?(b: btf): number;
	check_member?(t: btf_type, member: btf_member, prog: bpf_prog): number;
	/** Members that are data; functions and what must be zero are nobody's (0). */
	init_member?(name: string, v: StructOpsValue): number;
	validate?(v: StructOpsValue): number;
	/** Missing where the subsystem is not here. */
	reg?(v: StructOpsValue, link: bpf_link | null): number;
	unreg?(v: StructOpsValue): void;
	update?(v: StructOpsValue, old: StructOpsValue, link: bpf_link): number;
	cfi_stubs: Readonly<Record<string, string>>;
	/** Stubs that are set after the registration: such members have no model. */
	late_stubs?: Readonly<Record<string, string>>;
}

function member_name(t: btf_type, member: btf_member): string {
	return btf_str_by_offset(t.btf, member.name_off) ?? "";
}

/** Only these members' programs may sleep. */
function sleepable_only(names: readonly string[]) {
	return (t: btf_type, member: btf_member, prog: bpf_prog): number =>
		prog.sleepable && !names.includes(member_name(t, member)) ? -EINVAL : 0;
}

/** Offset of a member of the structure, which may lie within another. */
function offset_of(v: StructOpsValue, member: string): number {
	const name = btf_str_by_offset(v.btf, v.type.name_off) ?? "";
	const at = btf_member_path(v.btf, name, member);
	if (!at) throw new Error(`struct ${name} has no ${member}`);
	return at.bit_offset / 8;
}

/** Copies a member as it is, which user space may so set to anything. */
function copy_member(v: StructOpsValue, member: string, size: number): number {
	const { kmem } = impl(v.kernel);
	const off = offset_of(v, member);
	kmem.copy(v.kdata + off, v.udata + off, size);
	return 1;
}

/** bpf_obj_name_cpy() of a member: its length, or -EINVAL */
function copy_name(v: StructOpsValue, size: number): number {
	const { kmem } = impl(v.kernel);
	const off = offset_of(v, "name");
	const name = bpf_obj_name_cpy(kmem.read(v.udata + off, size));
	if (typeof name === "number") return name;
	kmem.fill(v.kdata + off, size, 0);
	kmem.write(
		v.kdata + off,
		Uint8Array.from(name, (c) => c.charCodeAt(0)),
	);
	return name.length;
}

/** A function of the kernel's value: its address, 0n where no program stands behind it. */
function op_of(v: StructOpsValue, member: string): bigint {
	return impl(v.kernel).kmem.r64(v.kdata + offset_of(v, member));
}

function has_structs(b: btf, names: readonly string[]): number {
	return names.every((n) => btf_find_by_name_kind(b, n, BTF_KIND_STRUCT) >= 0) ? 0 : -EINVAL;
}

// --- net/bpf/bpf_dummy_struct_ops.c ---

/** net/bpf/bpf_dummy_struct_ops.c: bpf_dummy_ops_btf_struct_access */
function bpf_dummy_ops_btf_struct_access(
	log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
): number {
	const b = reg.btf!;
	const type_id = btf_find_by_name_kind(b, "bpf_dummy_ops_state", BTF_KIND_STRUCT);
	if (type_id < 0) return -EINVAL;
	const state = btf_type_by_id(b, type_id)!;
	if (btf_type_by_id(b, reg.btf_id) !== state) {
		bpf_log(log, "only access to bpf_dummy_ops_state is supported\n");
		return -EACCES;
	}
	if (off + size > state.size) {
		bpf_log(log, `write access at off ${off} with size ${size}\n`);
		return -EACCES;
	}
	return NOT_INIT;
}

const bpf_dummy_ops: StructOpsType = {
	name: "bpf_dummy_ops",
	verifier_ops: {
		is_valid_access: (off, size, type, prog, info) => bpf_tracing_btf_ctx_access(off, size, type, prog, info),
		btf_struct_access: bpf_dummy_ops_btf_struct_access,
	},
	check_member: sleepable_only(["test_sleepable"]),
	init_member: () => -EOPNOTSUPP,
	reg: () => -EOPNOTSUPP,
	cfi_stubs: {
		test_1: "bpf_dummy_ops__test_1",
		test_2: "bpf_dummy_test_2",
		test_sleepable: "bpf_dummy_test_sleepable",
	},
};

// --- net/ipv4/bpf_tcp_ca.c ---

/** net/ipv4/bpf_tcp_ca.c: bpf_tcp_ca_is_valid_access: a socket is known to be a TCP socket */
function bpf_tcp_ca_is_valid_access(
	off: number,
	size: number,
	type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (!bpf_tracing_btf_ctx_access(off, size, type, prog, info)) return false;
	const flags = info.reg_type & ~BPF_BASE_TYPE_MASK;
	if (
		(info.reg_type & BPF_BASE_TYPE_MASK) === PTR_TO_BTF_ID &&
		!(flags & ~BPF_REG_TRUSTED_MODIFIERS) &&
		info.btf_id === btf_id_of(prog.kernel, { kind: "struct", name: "sock" })
	)
		info.btf_id = btf_id_of(prog.kernel, { kind: "struct", name: "tcp_sock" });
	return true;
}

/** Members that congestion control may write: struct and path; icsk_ca_priv at any offset, others from their start. */
const tcp_ca_writable: readonly (readonly [string, string])[] = [
	["sock", "sk_pacing_rate"],
	["sock", "sk_pacing_status"],
	["inet_connection_sock", "icsk_ca_priv"],
	["inet_connection_sock", "icsk_ack.pending"],
	["tcp_sock", "snd_cwnd"],
	["tcp_sock", "snd_cwnd_cnt"],
	["tcp_sock", "snd_cwnd_stamp"],
	["tcp_sock", "snd_ssthresh"],
	["tcp_sock", "ecn_flags"],
	["tcp_sock", "app_limited"],
];

/** net/ipv4/bpf_tcp_ca.c: bpf_tcp_ca_btf_struct_access */
function bpf_tcp_ca_btf_struct_access(
	log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
	prog: bpf_prog,
): number {
	const { kernel } = prog;
	const vmlinux = btf_vmlinux(kernel)!;
	const tcp_sock = btf_type_by_id(vmlinux, btf_id_of(kernel, { kind: "struct", name: "tcp_sock" }));
	if (btf_type_by_id(reg.btf!, reg.btf_id) !== tcp_sock) {
		bpf_log(log, "only read is supported\n");
		return -EACCES;
	}
	for (const [s, path] of tcp_ca_writable) {
		const start = offsetof(kernel, s, path);
		const end = start + sizeof_field(kernel, s, path);
		if (path === "icsk_ca_priv" ? off < start || off >= end : off !== start) continue;
		if (off + size > end) {
			bpf_log(
				log,
				`write access at off ${off} with size ${size} beyond the member of tcp_sock ended at ${end}\n`,
			);
			return -EACCES;
		}
		return 0;
	}
	bpf_log(log, `no write support to tcp_sock at off ${off}\n`);
	return -EACCES;
}

const bpf_tcp_send_ack_proto: bpf_func_proto = {
	func: "bpf_tcp_send_ack",
	gpl_only: false,
	ret_type: RET_INTEGER,
	arg_type: [ARG_PTR_TO_BTF_ID, ARG_ANYTHING],
	arg_btf_id: { 0: { kind: "struct", name: "tcp_sock" } },
};

/** Is the program for this member of tcp_congestion_ops? */
function is_tcp_ca_member(prog: bpf_prog, name: string): boolean {
	const b = btf_vmlinux(prog.kernel)!;
	const t = btf_type_by_id(b, btf_id_of(prog.kernel, { kind: "struct", name: "tcp_congestion_ops" }))!;
	const m = btf_type_member(t)[prog.expected_attach_type];
	return m !== undefined && member_name(t, m) === name;
}

/** net/ipv4/bpf_tcp_ca.c: bpf_tcp_ca_get_func_proto */
function bpf_tcp_ca_get_func_proto(func_id: number, prog: bpf_prog): bpf_func_proto | null {
	switch (func_id) {
		case BPF_FUNC_tcp_send_ack:
			return bpf_tcp_send_ack_proto;
		case BPF_FUNC_sk_storage_get:
			return bpf_sk_storage_get_proto;
		case BPF_FUNC_sk_storage_delete:
			return bpf_sk_storage_delete_proto;
		// release() may not change the algorithm again: its own module would never be freed
		case BPF_FUNC_setsockopt:
			return is_tcp_ca_member(prog, "release") ? null : bpf_sk_setsockopt_proto;
		case BPF_FUNC_getsockopt:
			return is_tcp_ca_member(prog, "release") ? null : bpf_sk_getsockopt_proto;
		case BPF_FUNC_ktime_get_coarse_ns:
			return bpf_ktime_get_coarse_ns_proto;
		default:
			return bpf_base_func_proto(func_id, prog);
	}
}

const tcp_congestion_ops: StructOpsType = {
	name: "tcp_congestion_ops",
	verifier_ops: {
		get_func_proto: bpf_tcp_ca_get_func_proto,
		is_valid_access: bpf_tcp_ca_is_valid_access,
		btf_struct_access: bpf_tcp_ca_btf_struct_access,
	},
	init: (b) => has_structs(b, ["sock", "tcp_sock", "tcp_congestion_ops"]),
	/** net/ipv4/bpf_tcp_ca.c: bpf_tcp_ca_init_member */
	init_member(name, v) {
		if (name === "flags") {
			const flags = impl(v.kernel).kmem.r32(v.udata + offset_of(v, "flags"));
			return flags & ~TCP_CONG_MASK ? -EINVAL : copy_member(v, "flags", 4);
		}
		if (name === "name") return copy_name(v, TCP_CA_NAME_MAX) <= 0 ? -EINVAL : 1;
		return 0;
	},
	/** net/ipv4/tcp_cong.c: tcp_validate_congestion_control */
	validate(v) {
		const has = (op: string): boolean => op_of(v, op) !== 0n;
		if (has("ssthresh") && has("undo_cwnd") && (has("cong_avoid") || has("cong_control"))) return 0;
		const name = impl(v.kernel).kmem.read(v.kdata + offset_of(v, "name"), TCP_CA_NAME_MAX);
		const end = name.indexOf(0);
		v.kernel.printk(`TCP: ${String.fromCharCode(...name.subarray(0, end))} does not implement required ops`);
		return -EINVAL;
	},
	cfi_stubs: {
		ssthresh: "bpf_tcp_ca_ssthresh",
		cong_avoid: "bpf_tcp_ca_cong_avoid",
		set_state: "bpf_tcp_ca_set_state",
		cwnd_event: "bpf_tcp_ca_cwnd_event",
		in_ack_event: "bpf_tcp_ca_in_ack_event",
		pkts_acked: "bpf_tcp_ca_pkts_acked",
		min_tso_segs: "bpf_tcp_ca_min_tso_segs",
		cong_control: "bpf_tcp_ca_cong_control",
		undo_cwnd: "bpf_tcp_ca_undo_cwnd",
		sndbuf_expand: "bpf_tcp_ca_sndbuf_expand",
		init: "__bpf_tcp_ca_init",
		release: "__bpf_tcp_ca_release",
	},
};

// --- kernel/sched/ext.c ---

/** kernel/sched/ext.c: set_arg_maybe_null */
function set_arg_maybe_null(
	op: string,
	arg_n: number,
	off: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (off !== arg_n * 8) return false;
	const vmlinux = btf_vmlinux(prog.kernel)!;
	const desc = bpf_struct_ops_find(vmlinux, prog.aux.attach_btf_id);
	if (!desc) return false;
	const t = desc.type;
	if (prog.expected_attach_type >= btf_type_vlen(t)) return false;
	if (member_name(t, btf_type_member(t)[prog.expected_attach_type]!) !== op) return false;
	info.reg_type = PTR_MAYBE_NULL | PTR_TO_BTF_ID | PTR_TRUSTED;
	info.btf = vmlinux;
	info.btf_id = btf_id_of(prog.kernel, { kind: "struct", name: "task_struct" });
	return true;
}

/** kernel/sched/ext.c: bpf_scx_is_valid_access */
function bpf_scx_is_valid_access(
	off: number,
	size: number,
	type: number,
	prog: bpf_prog,
	info: bpf_insn_access_aux,
): boolean {
	if (type !== BPF_READ) return false;
	if (set_arg_maybe_null("dispatch", 1, off, prog, info) || set_arg_maybe_null("yield", 1, off, prog, info))
		return true;
	if (off < 0 || off >= 8 * MAX_BPF_FUNC_ARGS) return false;
	if (off % size !== 0) return false;
	return btf_ctx_access(off, size, type, prog, info);
}

/** kernel/sched/ext.c: bpf_scx_btf_struct_access */
function bpf_scx_btf_struct_access(
	_log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
	prog: bpf_prog,
): number {
	const { kernel } = prog;
	const task = btf_type_by_id(
		btf_vmlinux(kernel)!,
		btf_id_of(kernel, { kind: "struct", name: "task_struct" }),
	);
	if (btf_type_by_id(reg.btf!, reg.btf_id) === task) {
		for (const path of ["scx.slice", "scx.dsq_vtime", "scx.disallow"]) {
			const start = offsetof(kernel, "task_struct", path);
			if (off >= start && off + size <= start + sizeof_field(kernel, "task_struct", path))
				return SCALAR_VALUE;
		}
	}
	return -EACCES;
}

const scx_members = [
	"select_cpu",
	"enqueue",
	"dequeue",
	"dispatch",
	"tick",
	"runnable",
	"running",
	"stopping",
	"quiescent",
	"yield",
	"core_sched_before",
	"set_weight",
	"set_cpumask",
	"update_idle",
	"cpu_acquire",
	"cpu_release",
	"init_task",
	"exit_task",
	"enable",
	"disable",
	"cgroup_init",
	"cgroup_exit",
	"cgroup_prep_move",
	"cgroup_move",
	"cgroup_cancel_move",
	"cgroup_set_weight",
	"cpu_online",
	"cpu_offline",
	"init",
	"exit",
	"dump",
	"dump_cpu",
	"dump_task",
] as const;

const sched_ext_ops: StructOpsType = {
	name: "sched_ext_ops",
	verifier_ops: {
		get_func_proto(func_id, prog) {
			switch (func_id) {
				case BPF_FUNC_task_storage_get:
					return bpf_task_storage_get_proto;
				case BPF_FUNC_task_storage_delete:
					return bpf_task_storage_delete_proto;
				default:
					return bpf_base_func_proto(func_id, prog);
			}
		},
		is_valid_access: bpf_scx_is_valid_access,
		btf_struct_access: bpf_scx_btf_struct_access,
	},
	check_member: sleepable_only([
		"init_task",
		"cgroup_init",
		"cgroup_exit",
		"cgroup_prep_move",
		"cpu_online",
		"cpu_offline",
		"init",
		"exit",
	]),
	init: (b) => has_structs(b, ["task_struct"]),
	/** kernel/sched/ext.c: bpf_scx_init_member */
	init_member(name, v) {
		const { kmem } = impl(v.kernel);
		switch (name) {
			case "dispatch_max_batch":
				return kmem.r32(v.udata + offset_of(v, name)) > INT_MAX ? -E2BIG : copy_member(v, name, 4);
			case "flags":
				return kmem.r64(v.udata + offset_of(v, name)) & ~SCX_OPS_ALL_FLAGS
					? -EINVAL
					: copy_member(v, name, 8);
			case "name": {
				const ret = copy_name(v, SCX_OPS_NAME_LEN);
				return ret < 0 ? ret : ret === 0 ? -EINVAL : 1;
			}
			case "timeout_ms":
				return kmem.r32(v.udata + offset_of(v, name)) > SCX_WATCHDOG_MAX_TIMEOUT_MS
					? -E2BIG
					: copy_member(v, name, 4);
			case "exit_dump_len": {
				const off = offset_of(v, name);
				kmem.w32(v.kdata + off, kmem.r32(v.udata + off) || SCX_EXIT_DUMP_DFL_LEN);
				return 1;
			}
			case "hotplug_seq":
				return copy_member(v, name, 8);
			default:
				return 0;
		}
	},
	update: () => -EOPNOTSUPP,
	cfi_stubs: Object.fromEntries(scx_members.map((m) => [m, `${m}_stub`])),
};

// --- drivers/hid/bpf/hid_bpf_struct_ops.c ---

/** Ranges that HID programs may write; a string keeps its terminating NUL. */
const hid_write_ranges: readonly (readonly [string, string, boolean])[] = [
	["hid_bpf_ctx", "retval", false],
	["hid_device", "name", true],
	["hid_device", "uniq", true],
	["hid_device", "phys", true],
];

/** drivers/hid/bpf/hid_bpf_struct_ops.c: hid_bpf_ops_btf_struct_access */
function hid_bpf_ops_btf_struct_access(
	log: bpf_verifier_log,
	reg: bpf_reg_state,
	off: number,
	size: number,
	prog: bpf_prog,
): number {
	const { kernel } = prog;
	const b = reg.btf!;
	const t = btf_type_by_id(b, reg.btf_id);
	let state: btf_type | null = null;
	let cur: string | null = null;
	for (const [name, field, is_string] of hid_write_ranges) {
		if (t === state && name !== cur) break;
		if (name !== cur) {
			const id = btf_find_by_name_kind(b, name, BTF_KIND_STRUCT);
			if (id < 0) return -EINVAL;
			state = btf_type_by_id(b, id);
		}
		if (t !== state) {
			cur = name;
			continue;
		}
		if (cur !== name && off + size > sizeof_struct(kernel, name)) {
			bpf_log(log, `write access for struct ${name} at off ${off} with size ${size}\n`);
			return -EACCES;
		}
		const start = offsetof(kernel, name, field);
		const end = start + sizeof_field(kernel, name, field) - (is_string ? 1 : 0);
		if (off >= start && off + size <= end) return NOT_INIT;
		cur = name;
	}
	if (t !== state) bpf_log(log, "write access to this struct is not supported\n");
	else bpf_log(log, `write access at off ${off} with size ${size} on read-only part of ${cur}\n`);
	return -EACCES;
}

const hid_bpf_ops: StructOpsType = {
	name: "hid_bpf_ops",
	verifier_ops: {
		get_func_proto: (func_id, prog) => bpf_base_func_proto(func_id, prog),
		is_valid_access: (off, size, type, prog, info) => bpf_tracing_btf_ctx_access(off, size, type, prog, info),
		btf_struct_access: hid_bpf_ops_btf_struct_access,
	},
	/** drivers/hid/bpf/hid_bpf_struct_ops.c: hid_bpf_ops_init_member */
	init_member(name, v) {
		if (name === "hid_id") return copy_member(v, "hid_id", 4);
		if (name !== "flags") return 0;
		const flags = impl(v.kernel).kmem.r32(v.udata + offset_of(v, "flags"));
		return flags & ~BPF_F_BEFORE ? -EINVAL : copy_member(v, "flags", 4);
	},
	check_member: sleepable_only(["hid_rdesc_fixup", "hid_hw_request", "hid_hw_output_report"]),
	cfi_stubs: {
		hid_device_event: "__hid_bpf_device_event",
		hid_rdesc_fixup: "__hid_bpf_rdesc_fixup",
		hid_hw_request: "__hid_bpf_hw_request",
		hid_hw_output_report: "__hid_bpf_hw_output_report",
	},
};

// --- bpf_testmod, bpf_test_no_cfi ---

const testmod_access: bpf_verifier_ops = {
	is_valid_access: (off, size, type, prog, info) => bpf_tracing_btf_ctx_access(off, size, type, prog, info),
};

/** Offset of `a` in struct st_ops_args of bpf_testmod. */
function st_ops_args_a(prog: bpf_prog): number {
	const b = prog.aux.attach_btf;
	const at = b ? btf_member_path(b, "st_ops_args", "a") : null;
	return at ? at.bit_offset / 8 : 0;
}

const st_ops_verifier_ops: bpf_verifier_ops = {
	...testmod_access,
	// not named here: base_proto.ts may load after this file
	get_func_proto: (func_id, prog) => bpf_base_func_proto(func_id, prog),
	btf_struct_access(_log, _reg, off, size, prog) {
		const b = prog.aux.attach_btf;
		const id = b ? btf_find_by_name_kind(b, "st_ops_args", BTF_KIND_STRUCT) : -1;
		const limit = b && id > 0 ? btf_type_by_id(b, id)!.size : 0;
		return off < 0 || off + size > limit ? -EACCES : 0;
	},
	/** bpf_testmod.c: st_ops_gen_prologue: args->a += 1000 */
	gen_prologue(_direct_write, prog) {
		const name = prog.aux.attach_func_name;
		if (name !== "test_prologue" && name !== "test_pro_epilogue") return [];
		const a = st_ops_args_a(prog);
		return [
			BPF_LDX_MEM(BPF_DW, BPF_REG_6, BPF_REG_1, 0),
			BPF_LDX_MEM(BPF_DW, BPF_REG_7, BPF_REG_6, a),
			BPF_ALU64_IMM(BPF_ADD, BPF_REG_7, 1000),
			BPF_STX_MEM(BPF_DW, BPF_REG_6, BPF_REG_7, a),
			prog.insnsi[0]!.clone(),
		];
	},
	/** bpf_testmod.c: st_ops_gen_epilogue: args->a += 10000; return 2 * args->a */
	gen_epilogue(prog, ctx_stack_off) {
		const name = prog.aux.attach_func_name;
		if (name !== "test_epilogue" && name !== "test_pro_epilogue") return [];
		const a = st_ops_args_a(prog);
		return [
			BPF_LDX_MEM(BPF_DW, BPF_REG_1, BPF_REG_10, ctx_stack_off),
			BPF_LDX_MEM(BPF_DW, BPF_REG_1, BPF_REG_1, 0),
			BPF_LDX_MEM(BPF_DW, BPF_REG_6, BPF_REG_1, a),
			BPF_ALU64_IMM(BPF_ADD, BPF_REG_6, 10000),
			BPF_STX_MEM(BPF_DW, BPF_REG_1, BPF_REG_6, a),
			BPF_MOV64_REG(BPF_REG_0, BPF_REG_6),
			BPF_ALU64_IMM(BPF_MUL, BPF_REG_0, 2),
			BPF_EXIT_INSN(),
		];
	},
};

export const struct_ops_types: readonly StructOpsType[] = [
	bpf_dummy_ops,
	tcp_congestion_ops,
	sched_ext_ops,
	hid_bpf_ops,
	{
		name: "bpf_testmod_ops",
		module: "bpf_testmod",
		verifier_ops: testmod_access,
		/** bpf_testmod.c: bpf_testmod_ops_init_member */
		init_member: (name, v) => (name === "data" ? copy_member(v, "data", 4) : 0),
		/** bpf_testmod.c: bpf_dummy_reg: calls what there is */
		reg(v) {
			const k = impl(v.kernel);
			const test_1 = op_of(v, "test_1");
			if (test_1) k.call_guest(test_1, []);
			const test_2 = op_of(v, "test_2");
			const data = k.kmem.r32(v.kdata + offset_of(v, "data"));
			if (test_2) k.call_guest(test_2, [4n, BigInt(data)]);
			return 0;
		},
		cfi_stubs: {
			test_1: "bpf_testmod_test_1",
			test_2: "bpf_testmod_test_2",
			test_maybe_null: "bpf_testmod_ops__test_maybe_null",
		},
		late_stubs: Object.fromEntries(
			Array.from({ length: 40 }, (_, i) => [`tramp_${i + 1}`, "bpf_testmod_tramp"]),
		),
	},
	{
		name: "bpf_testmod_ops2",
		module: "bpf_testmod",
		verifier_ops: testmod_access,
		/** bpf_testmod.c: bpf_dummy_reg2 */
		reg(v) {
			const test_1 = op_of(v, "test_1");
			if (!test_1) {
				// the module calls it unasked
				v.kernel.printk("BUG: kernel NULL pointer dereference, address: 0000000000000000");
				return -EFAULT;
			}
			impl(v.kernel).call_guest(test_1, []);
			return 0;
		},
		cfi_stubs: { test_1: "bpf_testmod_test_1" },
	},
	{
		name: "bpf_testmod_st_ops",
		module: "bpf_testmod",
		verifier_ops: st_ops_verifier_ops,
		/** bpf_testmod.c: st_ops_reg: one at a time */
		reg(v) {
			const { bpf } = impl(v.kernel);
			if (bpf.testmod_st_ops) {
				v.kernel.printk("st_ops has already been registered");
				return -EEXIST;
			}
			bpf.testmod_st_ops = v.kdata;
			return 0;
		},
		unreg(v) {
			impl(v.kernel).bpf.testmod_st_ops = 0;
		},
		cfi_stubs: {
			test_prologue: "bpf_test_mod_st_ops__test_prologue",
			test_epilogue: "bpf_test_mod_st_ops__test_epilogue",
			test_pro_epilogue: "bpf_test_mod_st_ops__test_pro_epilogue",
		},
	},
	{
		name: "bpf_test_no_cfi_ops",
		module: "bpf_test_no_cfi",
		verifier_ops: {},
		reg: () => 0,
		cfi_stubs: { fn_1: "bpf_test_no_cfi_ops__fn_1", fn_2: "bpf_test_no_cfi_ops__fn_2" },
	},
];

function not_registered(v: StructOpsValue, name: string): number {
	impl(v.kernel).bpf.not_ported(`registering struct ${name}`);
	return -EOPNOTSUPP;
}

/** The stubs of members that the struct has in this configuration. */
function stubs_of(b: btf, id: number, stubs: Readonly<Record<string, string>>): Record<string, string> {
	const t = btf_type_by_id(b, id)!;
	const names = new Set(btf_type_member(t).map((m) => member_name(t, m)));
	return Object.fromEntries(Object.entries(stubs).filter(([m]) => names.has(m)));
}

/** Register the struct_ops types that a BTF just opened (vmlinux or a module) has. */
export function btf_register_struct_ops(b: btf): void {
	const o = btf_impl(b);
	const module = b.base_btf ? b.name : null;
	for (const s of struct_ops_types) {
		if ((s.module ?? null) !== module) continue;
		const id = btf_find_by_name_kind(b, s.name, BTF_KIND_STRUCT);
		if (id < 0 || id < b.start_id) continue;
		const cfi_stubs = stubs_of(b, id, s.cfi_stubs);
		const st_ops: bpf_struct_ops = {
			name: s.name,
			verifier_ops: s.verifier_ops,
			init: s.init ?? (() => 0),
			check_member: s.check_member,
			init_member: (m, v) => s.init_member?.(member_name(v.type, m), v) ?? 0,
			validate: s.validate,
			reg: s.reg ?? ((v) => not_registered(v, s.name)),
			unreg: s.unreg ?? (() => {}),
			update: s.update,
			cfi_stubs,
			owner: o.module,
			func_models: [],
		};
		const err = btf_add_struct_ops(b, st_ops, new_verifier_log());
		if (err) o.kernel?.printk(`struct_ops ${s.name} not registered: ${err}`);
		else Object.assign(cfi_stubs, s.late_stubs);
	}
}
