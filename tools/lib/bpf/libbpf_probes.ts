// SPDX-License-Identifier: GPL-2.0-only
/** Which program types, map types and helpers the kernel has, found out by trying: tools/lib/bpf/libbpf_probes.c. */
import { EINVAL, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import * as U from "../../../include/uapi/linux/bpf.ts";
import { BTF_INT_SIGNED } from "../../../include/uapi/linux/btf.ts";
import {
	bpf_btf_load,
	bpf_map_create,
	type bpf_map_create_opts,
	bpf_prog_load,
	type bpf_prog_load_opts,
} from "./bpf.ts";
import { Btf } from "./btf.ts";
import { CALL, set_insn } from "./insn.ts";
import { get_kernel_version, type Libbpf } from "./libbpf_internal.ts";
import { read_log } from "./load.ts";

const ENOTSUPP = 524;
const LOG_SIZE = 4096;
const EXIT = 0x95;
const MOV64_IMM = 0xb7;

/** What a type is tried with, and how the kernel turns it down when it knows it. */
interface Expected {
	err?: number;
	msg?: string;
}

function prog_attrs(lib: Libbpf, type: number, opts: bpf_prog_load_opts): Expected | number {
	switch (type) {
		case U.BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
			opts.expected_attach_type = U.BPF_CGROUP_INET4_CONNECT;
			return {};
		case U.BPF_PROG_TYPE_CGROUP_SOCKOPT:
			opts.expected_attach_type = U.BPF_CGROUP_GETSOCKOPT;
			return {};
		case U.BPF_PROG_TYPE_SK_LOOKUP:
			opts.expected_attach_type = U.BPF_SK_LOOKUP;
			return {};
		case U.BPF_PROG_TYPE_KPROBE:
			opts.kern_version = get_kernel_version(lib);
			return {};
		case U.BPF_PROG_TYPE_LIRC_MODE2:
			opts.expected_attach_type = U.BPF_LIRC_MODE2;
			return {};
		case U.BPF_PROG_TYPE_TRACING:
		case U.BPF_PROG_TYPE_LSM:
			opts.expected_attach_type = type === U.BPF_PROG_TYPE_TRACING ? U.BPF_TRACE_FENTRY : U.BPF_MODIFY_RETURN;
			opts.attach_btf_id = 1;
			return { err: -EINVAL, msg: "attach_btf_id 1 is not a function" };
		case U.BPF_PROG_TYPE_EXT:
			opts.attach_btf_id = 1;
			return { err: -EINVAL, msg: "Cannot replace kernel functions" };
		case U.BPF_PROG_TYPE_SYSCALL:
			opts.prog_flags = U.BPF_F_SLEEPABLE;
			return {};
		case U.BPF_PROG_TYPE_STRUCT_OPS:
			return { err: -ENOTSUPP };
		case U.BPF_PROG_TYPE_NETFILTER:
			opts.expected_attach_type = U.BPF_NETFILTER;
			return {};
		default:
			return type <= U.BPF_PROG_TYPE_NETFILTER ? {} : -EOPNOTSUPP;
	}
}

/** tools/lib/bpf/libbpf_probes.c: probe_prog_load: 1, 0 or a negative errno, and what the kernel said */
function probe_prog_load(
	lib: Libbpf,
	type: number,
	insns: Uint8Array,
	with_log: boolean,
): { ret: number; log: string } {
	const opts: bpf_prog_load_opts = {};
	const expected = prog_attrs(lib, type, opts);
	if (typeof expected === "number") return { ret: expected, log: "" };
	const buf = lib.heap.alloc(LOG_SIZE);
	lib.sys.store8(buf, 0);
	if (with_log || expected.msg !== undefined) {
		opts.log_buf = buf;
		opts.log_size = LOG_SIZE;
		opts.log_level = 1;
	}
	const fd = bpf_prog_load(lib, type, null, "GPL", insns, opts);
	if (fd >= 0) lib.sys.close(fd);
	const log = read_log(lib, buf, LOG_SIZE);
	lib.heap.free(buf);
	const ok =
		expected.err === undefined
			? fd >= 0
			: fd === expected.err && (expected.msg === undefined || log.includes(expected.msg));
	return { ret: ok ? 1 : 0, log };
}

/** tools/lib/bpf/libbpf_probes.c: libbpf_probe_bpf_prog_type: 1, 0 or a negative errno */
export function libbpf_probe_bpf_prog_type(lib: Libbpf, prog_type: number): number {
	const insns = new Uint8Array(16);
	set_insn(insns, 0, { code: MOV64_IMM, dst_reg: 0, src_reg: 0, off: 0, imm: 0 });
	set_insn(insns, 1, { code: EXIT, dst_reg: 0, src_reg: 0, off: 0, imm: 0 });
	return probe_prog_load(lib, prog_type, insns, false).ret;
}

/** tools/lib/bpf/libbpf_probes.c: load_local_storage_btf: struct val { int cnt; struct bpf_spin_lock l; } is type 3 */
function load_local_storage_btf(lib: Libbpf): number {
	const btf = new Btf(null);
	const int = btf.add_int("int", 4, BTF_INT_SIGNED);
	btf.add_struct("bpf_spin_lock", 4);
	btf.add_field("val", int, 0);
	btf.add_struct("val", 8);
	btf.add_field("cnt", int, 0);
	btf.add_field("l", 2, 32);
	return bpf_btf_load(lib, btf.raw_data());
}

/** tools/lib/bpf/libbpf_probes.c: probe_map_create */
function probe_map_create(lib: Libbpf, type: number): number {
	const opts: bpf_map_create_opts = {};
	let key_size = 4;
	let value_size = 4;
	let max_entries = 1;
	let exp_err = 0;
	const close: number[] = [];
	switch (type) {
		case U.BPF_MAP_TYPE_STACK_TRACE:
			value_size = 8;
			break;
		case U.BPF_MAP_TYPE_LPM_TRIE:
			key_size = 8;
			value_size = 8;
			opts.map_flags = U.BPF_F_NO_PREALLOC;
			break;
		case U.BPF_MAP_TYPE_CGROUP_STORAGE:
		case U.BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
			// struct bpf_cgroup_storage_key
			key_size = 16;
			value_size = 8;
			max_entries = 0;
			break;
		case U.BPF_MAP_TYPE_QUEUE:
		case U.BPF_MAP_TYPE_STACK:
		case U.BPF_MAP_TYPE_BLOOM_FILTER:
			key_size = 0;
			break;
		case U.BPF_MAP_TYPE_SK_STORAGE:
		case U.BPF_MAP_TYPE_INODE_STORAGE:
		case U.BPF_MAP_TYPE_TASK_STORAGE:
		case U.BPF_MAP_TYPE_CGRP_STORAGE: {
			const btf_fd = load_local_storage_btf(lib);
			if (btf_fd < 0) return btf_fd;
			close.push(btf_fd);
			Object.assign(opts, { btf_fd, btf_key_type_id: 1, btf_value_type_id: 3 });
			opts.map_flags = U.BPF_F_NO_PREALLOC;
			value_size = 8;
			max_entries = 0;
			break;
		}
		case U.BPF_MAP_TYPE_RINGBUF:
		case U.BPF_MAP_TYPE_USER_RINGBUF:
			key_size = 0;
			value_size = 0;
			max_entries = lib.sys.pageSize;
			break;
		case U.BPF_MAP_TYPE_STRUCT_OPS:
			opts.btf_vmlinux_value_type_id = 1;
			opts.value_type_btf_obj_fd = -1;
			exp_err = -ENOTSUPP;
			break;
		case U.BPF_MAP_TYPE_ARENA:
			key_size = 0;
			value_size = 0;
			opts.map_flags = U.BPF_F_MMAPABLE;
			break;
		case U.BPF_MAP_TYPE_ARRAY_OF_MAPS:
		case U.BPF_MAP_TYPE_HASH_OF_MAPS: {
			const inner = bpf_map_create(lib, U.BPF_MAP_TYPE_HASH, null, 4, 4, 1);
			if (inner < 0) return 0;
			close.push(inner);
			opts.inner_map_fd = inner;
			break;
		}
		default:
			if (type === U.BPF_MAP_TYPE_UNSPEC || type > U.BPF_MAP_TYPE_ARENA) return -EOPNOTSUPP;
	}
	const fd = bpf_map_create(lib, type, null, key_size, value_size, max_entries, opts);
	for (const f of [...close, fd]) if (f >= 0) lib.sys.close(f);
	return (exp_err ? fd === exp_err : fd >= 0) ? 1 : 0;
}

/** tools/lib/bpf/libbpf_probes.c: libbpf_probe_bpf_map_type: 1, 0 or a negative errno */
export function libbpf_probe_bpf_map_type(lib: Libbpf, map_type: number): number {
	return probe_map_create(lib, map_type);
}

/** tools/lib/bpf/libbpf_probes.c: libbpf_probe_bpf_helper: whether programs of a type may call it; 1, 0 or a negative errno */
export function libbpf_probe_bpf_helper(lib: Libbpf, prog_type: number, helper_id: number): number {
	switch (prog_type) {
		case U.BPF_PROG_TYPE_TRACING:
		case U.BPF_PROG_TYPE_EXT:
		case U.BPF_PROG_TYPE_LSM:
		case U.BPF_PROG_TYPE_STRUCT_OPS:
			return -EOPNOTSUPP;
	}
	const insns = new Uint8Array(16);
	set_insn(insns, 0, { code: CALL, dst_reg: 0, src_reg: 0, off: 0, imm: helper_id });
	set_insn(insns, 1, { code: EXIT, dst_reg: 0, src_reg: 0, off: 0, imm: 0 });
	const { ret, log } = probe_prog_load(lib, prog_type, insns, true);
	if (ret < 0) return ret;
	// any other complaint is about arguments
	const unknown = ["invalid func ", "unknown func ", "program of this type cannot use helper "];
	return ret === 0 && unknown.some((m) => log.includes(m)) ? 0 : 1;
}
