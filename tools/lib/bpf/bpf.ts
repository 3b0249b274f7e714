// SPDX-License-Identifier: GPL-2.0-only
/**
 * bpf(2), command by command: tools/lib/bpf/bpf.c. Each function fills a union bpf_attr in the
 * process's memory and makes the call; results are what the system call returns (a negative errno).
 *
 * Keys, values and buffers are byte arrays of ours; they are copied into the process and back.
 */
import { E2BIG, EAGAIN, EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_BTF_GET_FD_BY_ID,
	BPF_BTF_GET_NEXT_ID,
	BPF_BTF_LOAD,
	BPF_F_ID,
	BPF_ITER_CREATE,
	BPF_LINK_CREATE,
	BPF_LINK_DETACH,
	BPF_LINK_GET_FD_BY_ID,
	BPF_LINK_GET_NEXT_ID,
	BPF_LINK_UPDATE,
	BPF_LSM_MAC,
	BPF_MAP_CREATE,
	BPF_MAP_DELETE_BATCH,
	BPF_MAP_DELETE_ELEM,
	BPF_MAP_FREEZE,
	BPF_MAP_GET_FD_BY_ID,
	BPF_MAP_GET_NEXT_ID,
	BPF_MAP_GET_NEXT_KEY,
	BPF_MAP_LOOKUP_AND_DELETE_BATCH,
	BPF_MAP_LOOKUP_AND_DELETE_ELEM,
	BPF_MAP_LOOKUP_BATCH,
	BPF_MAP_LOOKUP_ELEM,
	BPF_MAP_UPDATE_BATCH,
	BPF_MAP_UPDATE_ELEM,
	BPF_MODIFY_RETURN,
	BPF_NETFILTER,
	BPF_NETKIT_PEER,
	BPF_NETKIT_PRIMARY,
	BPF_OBJ_GET,
	BPF_OBJ_GET_INFO_BY_FD,
	BPF_OBJ_PIN,
	BPF_PERF_EVENT,
	BPF_PROG_ATTACH,
	BPF_PROG_BIND_MAP,
	BPF_PROG_DETACH,
	BPF_PROG_GET_FD_BY_ID,
	BPF_PROG_GET_NEXT_ID,
	BPF_PROG_LOAD,
	BPF_PROG_TEST_RUN,
	BPF_RAW_TRACEPOINT_OPEN,
	BPF_TCX_EGRESS,
	BPF_TCX_INGRESS,
	BPF_TRACE_FENTRY,
	BPF_TRACE_FEXIT,
	BPF_TRACE_ITER,
	BPF_TRACE_KPROBE_MULTI,
	BPF_TRACE_KPROBE_SESSION,
	BPF_TRACE_RAW_TP,
	BPF_TRACE_UPROBE_MULTI,
} from "../../../include/uapi/linux/bpf.ts";
import type { HeapScope } from "../user_heap.ts";
import { cstring, type Libbpf, obj_name } from "./libbpf_internal.ts";

/** sys_bpf_prog_load tries again this often when the verifier was interrupted. */
const PROG_LOAD_ATTEMPTS = 5;

/** A union bpf_attr being filled; words go where include/uapi/linux/bpf.h has them. */
class Attr {
	readonly lib: Libbpf;
	readonly scope: HeapScope;
	readonly addr: number;
	readonly size: number;
	private readonly buf: Uint8Array;
	private readonly dv: DataView;
	constructor(lib: Libbpf, scope: HeapScope, size: number) {
		this.lib = lib;
		this.scope = scope;
		this.size = size;
		this.addr = scope.alloc(size);
		this.buf = new Uint8Array(size);
		this.dv = new DataView(this.buf.buffer);
	}
	u32(off: number, v: number | undefined): void {
		if (v) this.dv.setUint32(off, v >>> 0, true);
	}
	u64(off: number, v: bigint | number | undefined): void {
		if (v) this.dv.setBigUint64(off, BigInt.asUintN(64, BigInt(v)), true);
	}
	raw(off: number, bytes: Uint8Array): void {
		this.buf.set(bytes, off);
	}
	call(cmd: number): number {
		this.lib.sys.store(this.addr, this.buf);
		return this.lib.sys.bpf(cmd, this.addr, this.size);
	}
	out32(off: number): number {
		return this.lib.sys.load32(this.addr + off);
	}
	out64(off: number): bigint {
		return this.lib.sys.load64(this.addr + off);
	}
}

function with_attr<T>(lib: Libbpf, size: number, fn: (a: Attr, s: HeapScope) => T): T {
	return lib.heap.scope((s) => fn(new Attr(lib, s, size), s));
}

/** struct bpf_map_create_opts */
export interface bpf_map_create_opts {
	btf_fd?: number;
	btf_key_type_id?: number;
	btf_value_type_id?: number;
	btf_vmlinux_value_type_id?: number;
	value_type_btf_obj_fd?: number;
	inner_map_fd?: number;
	map_flags?: number;
	map_extra?: bigint;
	numa_node?: number;
	map_ifindex?: number;
	token_fd?: number;
}

/** tools/lib/bpf/bpf.c: bpf_map_create */
export function bpf_map_create(
	lib: Libbpf,
	map_type: number,
	map_name: string | null,
	key_size: number,
	value_size: number,
	max_entries: number,
	opts: bpf_map_create_opts = {},
): number {
	return with_attr(lib, 80, (a) => {
		a.u32(0, map_type);
		a.u32(4, key_size);
		a.u32(8, value_size);
		a.u32(12, max_entries);
		a.u32(16, opts.map_flags);
		a.u32(20, opts.inner_map_fd);
		a.u32(24, opts.numa_node);
		if (map_name !== null) a.raw(28, obj_name(map_name));
		a.u32(44, opts.map_ifindex);
		a.u32(48, opts.btf_fd);
		a.u32(52, opts.btf_key_type_id);
		a.u32(56, opts.btf_value_type_id);
		a.u32(60, opts.btf_vmlinux_value_type_id);
		a.u64(64, opts.map_extra);
		a.u32(72, opts.value_type_btf_obj_fd);
		a.u32(76, opts.token_fd);
		return a.call(BPF_MAP_CREATE);
	});
}

/** struct bpf_prog_load_opts */
export interface bpf_prog_load_opts {
	expected_attach_type?: number;
	prog_btf_fd?: number;
	prog_flags?: number;
	prog_ifindex?: number;
	kern_version?: number;
	attach_btf_id?: number;
	attach_prog_fd?: number;
	attach_btf_obj_fd?: number;
	/** Descriptors of module BTFs by index. */
	fd_array?: readonly number[];
	func_info?: Uint8Array | null;
	func_info_cnt?: number;
	func_info_rec_size?: number;
	line_info?: Uint8Array | null;
	line_info_cnt?: number;
	line_info_rec_size?: number;
	/** struct bpf_core_relo, for the kernel to do (libbpf itself leaves them to it in light skeletons only). */
	core_relos?: Uint8Array;
	core_relo_rec_size?: number;
	log_level?: number;
	log_size?: number;
	/** Address of the log in the process; the caller's memory. */
	log_buf?: number;
	token_fd?: number;
	attempts?: number;
	/** Set by the call. */
	log_true_size?: number;
}

/** Bytes of attr that bpf_prog_load() passes: up to prog_token_fd. */
const PROG_LOAD_ATTR_SZ = 148;

/** tools/lib/bpf/bpf.c: bpf_prog_load: a descriptor or a negative errno. */
export function bpf_prog_load(
	lib: Libbpf,
	prog_type: number,
	prog_name: string | null,
	license: string,
	insns: Uint8Array,
	opts: bpf_prog_load_opts = {},
): number {
	if ((opts.log_buf ? 1 : 0) !== (opts.log_size ? 1 : 0)) return -EINVAL;
	if (opts.attach_prog_fd && opts.attach_btf_obj_fd) return -EINVAL;
	return with_attr(lib, PROG_LOAD_ATTR_SZ, (a, s) => {
		a.u32(0, prog_type);
		a.u32(4, Math.floor(insns.length / 8));
		a.u64(8, s.bytes(insns));
		a.u64(16, s.cstr(license));
		a.u32(40, opts.kern_version);
		a.u32(44, opts.prog_flags);
		if (prog_name !== null) a.raw(48, obj_name(prog_name));
		a.u32(64, opts.prog_ifindex);
		a.u32(68, opts.expected_attach_type);
		a.u32(72, opts.prog_btf_fd);
		a.u32(76, opts.func_info_rec_size);
		if (opts.func_info) a.u64(80, s.bytes(opts.func_info));
		a.u32(88, opts.func_info_cnt);
		a.u32(92, opts.line_info_rec_size);
		if (opts.line_info) a.u64(96, s.bytes(opts.line_info));
		a.u32(104, opts.line_info_cnt);
		a.u32(108, opts.attach_btf_id);
		a.u32(112, opts.attach_prog_fd ? opts.attach_prog_fd : opts.attach_btf_obj_fd);
		if (opts.fd_array?.length) {
			const fds = new Uint8Array(opts.fd_array.length * 4);
			const dv = new DataView(fds.buffer);
			opts.fd_array.forEach((fd, i) => {
				dv.setInt32(i * 4, fd, true);
			});
			a.u64(120, s.bytes(fds));
		}
		if (opts.core_relos) {
			const size = opts.core_relo_rec_size ?? 16;
			a.u32(116, Math.floor(opts.core_relos.length / size));
			a.u64(128, s.bytes(opts.core_relos));
			a.u32(136, size);
		}
		a.u32(144, opts.token_fd);
		const load = (log_level: number): number => {
			if (log_level) {
				a.u64(32, opts.log_buf);
				a.u32(28, opts.log_size);
				a.u32(24, log_level);
			}
			let fd = 0;
			let attempts = opts.attempts || PROG_LOAD_ATTEMPTS;
			do {
				fd = a.call(BPF_PROG_LOAD);
			} while (fd === -EAGAIN && --attempts > 0);
			opts.log_true_size = a.out32(140);
			return fd;
		};
		// bpf.c shortens longer func_info and line_info records after E2BIG only for kernels that answer with
		// a smaller record size in attr; 6.12 zeroes nothing there, so what is left is the retry with a log.
		const fd = load(opts.log_level ?? 0);
		if (fd >= 0 || fd === -E2BIG) return fd;
		if (!opts.log_level && opts.log_buf) return load(1);
		return fd;
	});
}

export function bpf_map_update_elem(
	lib: Libbpf,
	fd: number,
	key: Uint8Array | null,
	value: Uint8Array,
	flags = 0,
): number {
	return with_attr(lib, 32, (a, s) => {
		a.u32(0, fd);
		if (key) a.u64(8, s.bytes(key));
		a.u64(16, s.bytes(value));
		a.u64(24, flags);
		return a.call(BPF_MAP_UPDATE_ELEM);
	});
}

function lookup(
	lib: Libbpf,
	cmd: number,
	fd: number,
	key: Uint8Array | null,
	value: Uint8Array,
	flags: number,
): number {
	return with_attr(lib, 32, (a, s) => {
		const out = s.zalloc(Math.max(value.length, 1));
		a.u32(0, fd);
		if (key) a.u64(8, s.bytes(key));
		a.u64(16, out);
		a.u64(24, flags);
		const ret = a.call(cmd);
		if (ret >= 0) value.set(lib.sys.load(out, value.length));
		return ret;
	});
}

export function bpf_map_lookup_elem(
	lib: Libbpf,
	fd: number,
	key: Uint8Array | null,
	value: Uint8Array,
	flags = 0,
): number {
	return lookup(lib, BPF_MAP_LOOKUP_ELEM, fd, key, value, flags);
}

export function bpf_map_lookup_and_delete_elem(
	lib: Libbpf,
	fd: number,
	key: Uint8Array | null,
	value: Uint8Array,
	flags = 0,
): number {
	return lookup(lib, BPF_MAP_LOOKUP_AND_DELETE_ELEM, fd, key, value, flags);
}

export function bpf_map_delete_elem(lib: Libbpf, fd: number, key: Uint8Array | null, flags = 0): number {
	return with_attr(lib, 32, (a, s) => {
		a.u32(0, fd);
		if (key) a.u64(8, s.bytes(key));
		a.u64(24, flags);
		return a.call(BPF_MAP_DELETE_ELEM);
	});
}

export function bpf_map_get_next_key(
	lib: Libbpf,
	fd: number,
	key: Uint8Array | null,
	next_key: Uint8Array,
): number {
	return with_attr(lib, 24, (a, s) => {
		const out = s.zalloc(Math.max(next_key.length, 1));
		a.u32(0, fd);
		if (key) a.u64(8, s.bytes(key));
		a.u64(16, out);
		const ret = a.call(BPF_MAP_GET_NEXT_KEY);
		if (ret >= 0) next_key.set(lib.sys.load(out, next_key.length));
		return ret;
	});
}

export function bpf_map_freeze(lib: Libbpf, fd: number): number {
	return with_attr(lib, 4, (a) => {
		a.u32(0, fd);
		return a.call(BPF_MAP_FREEZE);
	});
}

/** Arguments of the batch commands; buffers are filled and `count` is set by the call. */
export interface bpf_map_batch {
	in_batch?: Uint8Array | null;
	out_batch?: Uint8Array | null;
	keys?: Uint8Array | null;
	values?: Uint8Array | null;
	count: number;
	elem_flags?: number;
	flags?: number;
}

function batch(lib: Libbpf, cmd: number, fd: number, b: bpf_map_batch): number {
	return with_attr(lib, 56, (a, s) => {
		const place = (bytes: Uint8Array | null | undefined): number => (bytes ? s.bytes(bytes) : 0);
		const in_batch = place(b.in_batch);
		const out_batch = place(b.out_batch);
		const keys = place(b.keys);
		const values = place(b.values);
		a.u64(0, in_batch);
		a.u64(8, out_batch);
		a.u64(16, keys);
		a.u64(24, values);
		a.u32(32, b.count);
		a.u32(36, fd);
		a.u64(40, b.elem_flags);
		a.u64(48, b.flags);
		const ret = a.call(cmd);
		b.count = a.out32(32);
		const back = (bytes: Uint8Array | null | undefined, addr: number): void => {
			if (bytes) bytes.set(lib.sys.load(addr, bytes.length));
		};
		back(b.out_batch, out_batch);
		back(b.keys, keys);
		back(b.values, values);
		return ret;
	});
}
export const bpf_map_delete_batch = (lib: Libbpf, fd: number, b: bpf_map_batch): number =>
	batch(lib, BPF_MAP_DELETE_BATCH, fd, b);
export const bpf_map_lookup_batch = (lib: Libbpf, fd: number, b: bpf_map_batch): number =>
	batch(lib, BPF_MAP_LOOKUP_BATCH, fd, b);
export const bpf_map_lookup_and_delete_batch = (lib: Libbpf, fd: number, b: bpf_map_batch): number =>
	batch(lib, BPF_MAP_LOOKUP_AND_DELETE_BATCH, fd, b);
export const bpf_map_update_batch = (lib: Libbpf, fd: number, b: bpf_map_batch): number =>
	batch(lib, BPF_MAP_UPDATE_BATCH, fd, b);

export function bpf_obj_pin(lib: Libbpf, fd: number, pathname: string): number {
	return with_attr(lib, 20, (a, s) => {
		a.u64(0, s.cstr(pathname));
		a.u32(8, fd);
		return a.call(BPF_OBJ_PIN);
	});
}

export function bpf_obj_get(lib: Libbpf, pathname: string, file_flags = 0): number {
	return with_attr(lib, 20, (a, s) => {
		a.u64(0, s.cstr(pathname));
		a.u32(12, file_flags);
		return a.call(BPF_OBJ_GET);
	});
}

/** struct bpf_test_run_opts; the last four are set by the call, data_out and ctx_out are filled. */
export interface bpf_test_run_opts {
	data_in?: Uint8Array | null;
	data_out?: Uint8Array | null;
	ctx_in?: Uint8Array | null;
	ctx_out?: Uint8Array | null;
	/** Overrides for sizes that do not follow from the buffers. */
	data_size_in?: number;
	data_size_out?: number;
	ctx_size_in?: number;
	ctx_size_out?: number;
	repeat?: number;
	flags?: number;
	cpu?: number;
	batch_size?: number;
	retval?: number;
	duration?: number;
}

/** tools/lib/bpf/bpf.c: bpf_prog_test_run_opts */
export function bpf_prog_test_run_opts(lib: Libbpf, prog_fd: number, opts: bpf_test_run_opts): number {
	return with_attr(lib, 76, (a, s) => {
		const data_out = opts.data_out ? s.bytes(opts.data_out) : 0;
		const ctx_out = opts.ctx_out ? s.bytes(opts.ctx_out) : 0;
		a.u32(0, prog_fd);
		a.u32(8, opts.data_size_in ?? opts.data_in?.length ?? 0);
		a.u32(12, opts.data_size_out ?? opts.data_out?.length ?? 0);
		if (opts.data_in) a.u64(16, s.bytes(opts.data_in));
		a.u64(24, data_out);
		a.u32(32, opts.repeat);
		a.u32(40, opts.ctx_size_in ?? opts.ctx_in?.length ?? 0);
		a.u32(44, opts.ctx_size_out ?? opts.ctx_out?.length ?? 0);
		const ctx_in = opts.ctx_in ? s.bytes(opts.ctx_in) : 0;
		a.u64(48, ctx_in);
		a.u64(56, ctx_out);
		a.u32(64, opts.flags);
		a.u32(68, opts.cpu);
		a.u32(72, opts.batch_size);
		const ret = a.call(BPF_PROG_TEST_RUN);
		opts.retval = a.out32(4);
		opts.duration = a.out32(36);
		opts.data_size_out = a.out32(12);
		opts.ctx_size_out = a.out32(44);
		if (opts.data_out) opts.data_out.set(lib.sys.load(data_out, opts.data_out.length));
		if (opts.ctx_out) opts.ctx_out.set(lib.sys.load(ctx_out, opts.ctx_out.length));
		// a system call program's context is the caller's memory
		if (opts.ctx_in) opts.ctx_in.set(lib.sys.load(ctx_in, opts.ctx_in.length));
		return ret;
	});
}

function get_next_id(lib: Libbpf, cmd: number, start_id: number): number {
	return with_attr(lib, 12, (a) => {
		a.u32(0, start_id);
		const err = a.call(cmd);
		return err < 0 ? err : a.out32(4);
	});
}
/** The next id, or a negative errno (-ENOENT at the end). */
export const bpf_prog_get_next_id = (lib: Libbpf, id: number): number =>
	get_next_id(lib, BPF_PROG_GET_NEXT_ID, id);
export const bpf_map_get_next_id = (lib: Libbpf, id: number): number =>
	get_next_id(lib, BPF_MAP_GET_NEXT_ID, id);
export const bpf_btf_get_next_id = (lib: Libbpf, id: number): number =>
	get_next_id(lib, BPF_BTF_GET_NEXT_ID, id);
export const bpf_link_get_next_id = (lib: Libbpf, id: number): number =>
	get_next_id(lib, BPF_LINK_GET_NEXT_ID, id);

function get_fd_by_id(lib: Libbpf, cmd: number, id: number, open_flags: number): number {
	return with_attr(lib, 12, (a) => {
		a.u32(0, id);
		a.u32(8, open_flags);
		return a.call(cmd);
	});
}
export const bpf_prog_get_fd_by_id = (lib: Libbpf, id: number, open_flags = 0): number =>
	get_fd_by_id(lib, BPF_PROG_GET_FD_BY_ID, id, open_flags);
export const bpf_map_get_fd_by_id = (lib: Libbpf, id: number, open_flags = 0): number =>
	get_fd_by_id(lib, BPF_MAP_GET_FD_BY_ID, id, open_flags);
export const bpf_btf_get_fd_by_id = (lib: Libbpf, id: number, open_flags = 0): number =>
	get_fd_by_id(lib, BPF_BTF_GET_FD_BY_ID, id, open_flags);
export const bpf_link_get_fd_by_id = (lib: Libbpf, id: number, open_flags = 0): number =>
	get_fd_by_id(lib, BPF_LINK_GET_FD_BY_ID, id, open_flags);

/** BPF_OBJ_GET_INFO_BY_FD on bytes of ours; pointers within are the caller's. */
export function bpf_obj_get_info_by_fd(lib: Libbpf, bpf_fd: number, info: Uint8Array): number {
	return with_attr(lib, 16, (a, s) => {
		const addr = s.bytes(info);
		a.u32(0, bpf_fd);
		a.u32(4, info.length);
		a.u64(8, addr);
		const err = a.call(BPF_OBJ_GET_INFO_BY_FD);
		if (err >= 0) info.set(lib.sys.load(addr, info.length));
		return err;
	});
}

/** struct bpf_map_info, the numbers of it. */
export interface bpf_map_info {
	type: number;
	id: number;
	key_size: number;
	value_size: number;
	max_entries: number;
	map_flags: number;
	name: string;
	btf_id: number;
	btf_key_type_id: number;
	btf_value_type_id: number;
	btf_vmlinux_id: number;
	map_extra: bigint;
}

export function bpf_map_get_info_by_fd(lib: Libbpf, fd: number): bpf_map_info | number {
	const b = new Uint8Array(88);
	const err = bpf_obj_get_info_by_fd(lib, fd, b);
	if (err < 0) return err;
	const dv = new DataView(b.buffer);
	const u32 = (off: number): number => dv.getUint32(off, true);
	return {
		type: u32(0),
		id: u32(4),
		key_size: u32(8),
		value_size: u32(12),
		max_entries: u32(16),
		map_flags: u32(20),
		name: cstring(b.subarray(24, 40)),
		btf_id: u32(64),
		btf_key_type_id: u32(68),
		btf_value_type_id: u32(72),
		btf_vmlinux_id: u32(76),
		map_extra: dv.getBigUint64(80, true),
	};
}

/** struct bpf_prog_info with its arrays fetched. */
export interface bpf_prog_info {
	type: number;
	id: number;
	tag: Uint8Array;
	jited_prog_len: number;
	xlated_prog_len: number;
	jited_prog_insns: Uint8Array;
	xlated_prog_insns: Uint8Array;
	load_time: bigint;
	created_by_uid: number;
	map_ids: number[];
	name: string;
	gpl_compatible: boolean;
	jited_ksyms: bigint[];
	jited_func_lens: number[];
	btf_id: number;
	func_info_rec_size: number;
	func_info: Uint8Array;
	nr_func_info: number;
	line_info_rec_size: number;
	line_info: Uint8Array;
	nr_line_info: number;
	jited_line_info: bigint[];
	prog_tags: Uint8Array[];
	run_time_ns: bigint;
	run_cnt: bigint;
	recursion_misses: bigint;
	verified_insns: number;
	attach_btf_obj_id: number;
	attach_btf_id: number;
}

const PROG_INFO_SZ = 232;

/** BPF_OBJ_GET_INFO_BY_FD of a program: asked for sizes first, then for everything. */
export function bpf_prog_get_info_by_fd(lib: Libbpf, fd: number): bpf_prog_info | number {
	const first = new Uint8Array(PROG_INFO_SZ);
	let err = bpf_obj_get_info_by_fd(lib, fd, first);
	if (err < 0) return err;
	const have = new DataView(first.buffer);
	const n = (off: number): number => have.getUint32(off, true);
	return lib.heap.scope((s) => {
		const b = new Uint8Array(PROG_INFO_SZ);
		const dv = new DataView(b.buffer);
		const ask = (count_off: number, ptr_off: number, elem: number): { addr: number; len: number } => {
			const count = n(count_off);
			const len = count * elem;
			if (count === 0) return { addr: 0, len: 0 };
			const addr = s.zalloc(len);
			dv.setUint32(count_off, count, true);
			dv.setBigUint64(ptr_off, BigInt(addr), true);
			return { addr, len };
		};
		for (const off of [132, 172, 176]) dv.setUint32(off, n(off), true);
		const jited = ask(16, 24, 1);
		const xlated = ask(20, 32, 1);
		const map_ids = ask(52, 56, 4);
		const ksyms = ask(104, 112, 8);
		const lens = ask(108, 120, 4);
		const funcs = ask(144, 136, n(132));
		const lines = ask(148, 152, n(172));
		const jited_lines = ask(168, 160, n(176));
		const tags = ask(180, 184, 8);
		err = bpf_obj_get_info_by_fd(lib, fd, b);
		if (err < 0) return err;
		const get = (p: { addr: number; len: number }): Uint8Array =>
			p.len ? lib.sys.load(p.addr, p.len) : new Uint8Array(0);
		const u32s = (bytes: Uint8Array): number[] => {
			const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
			return Array.from({ length: bytes.length / 4 }, (_, i) => v.getUint32(i * 4, true));
		};
		const u64s = (bytes: Uint8Array): bigint[] => {
			const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
			return Array.from({ length: bytes.length / 8 }, (_, i) => v.getBigUint64(i * 8, true));
		};
		const tag_bytes = get(tags);
		const u32 = (off: number): number => dv.getUint32(off, true);
		return {
			type: u32(0),
			id: u32(4),
			tag: b.slice(8, 16),
			jited_prog_len: u32(16),
			xlated_prog_len: u32(20),
			jited_prog_insns: get(jited),
			xlated_prog_insns: get(xlated),
			load_time: dv.getBigUint64(40, true),
			created_by_uid: u32(48),
			map_ids: u32s(get(map_ids)),
			name: cstring(b.subarray(64, 80)),
			gpl_compatible: (u32(84) & 1) !== 0,
			jited_ksyms: u64s(get(ksyms)),
			jited_func_lens: u32s(get(lens)),
			btf_id: u32(128),
			func_info_rec_size: u32(132),
			func_info: get(funcs),
			nr_func_info: u32(144),
			nr_line_info: u32(148),
			line_info: get(lines),
			line_info_rec_size: u32(172),
			jited_line_info: u64s(get(jited_lines)),
			prog_tags: Array.from({ length: tag_bytes.length / 8 }, (_, i) => tag_bytes.slice(i * 8, i * 8 + 8)),
			run_time_ns: dv.getBigUint64(192, true),
			run_cnt: dv.getBigUint64(200, true),
			recursion_misses: dv.getBigUint64(208, true),
			verified_insns: u32(216),
			attach_btf_obj_id: u32(220),
			attach_btf_id: u32(224),
		};
	});
}

/** BPF_OBJ_GET_INFO_BY_FD of a BTF object: its bytes and name. */
export function bpf_btf_get_info_by_fd(
	lib: Libbpf,
	fd: number,
	want_data: boolean,
): { btf: Uint8Array; btf_size: number; id: number; name: string; kernel_btf: boolean } | number {
	return lib.heap.scope((s) => {
		const name = s.zalloc(64);
		const ask = (addr: number, size: number): Uint8Array | number => {
			const b = new Uint8Array(40);
			const dv = new DataView(b.buffer);
			dv.setBigUint64(0, BigInt(addr), true);
			dv.setUint32(8, size, true);
			dv.setBigUint64(16, BigInt(name), true);
			dv.setUint32(24, 64, true);
			// struct bpf_btf_info is 32 bytes
			const info = b.subarray(0, 32);
			const err = bpf_obj_get_info_by_fd(lib, fd, info);
			return err < 0 ? err : info;
		};
		let info = ask(0, 0);
		if (typeof info === "number") return info;
		let size = new DataView(info.buffer).getUint32(8, true);
		let data: Uint8Array = new Uint8Array(0);
		if (want_data) {
			const addr = s.alloc(size);
			info = ask(addr, size);
			if (typeof info === "number") return info;
			const now = new DataView(info.buffer).getUint32(8, true);
			if (now > size) return -E2BIG;
			size = now;
			data = lib.sys.load(addr, size);
		}
		const dv = new DataView(info.buffer);
		return {
			btf: data,
			btf_size: size,
			id: dv.getUint32(12, true),
			name: cstring(lib.sys.load(name, 64)),
			kernel_btf: dv.getUint32(28, true) !== 0,
		};
	});
}

export interface bpf_btf_load_opts {
	/** Address of the log in the process. */
	log_buf?: number;
	log_size?: number;
	log_level?: number;
	btf_flags?: number;
	token_fd?: number;
	log_true_size?: number;
}

/** tools/lib/bpf/bpf.c: bpf_btf_load */
export function bpf_btf_load(lib: Libbpf, data: Uint8Array, opts: bpf_btf_load_opts = {}): number {
	if (opts.log_size && !opts.log_buf) return -EINVAL;
	return with_attr(lib, 40, (a, s) => {
		a.u64(0, s.bytes(data));
		a.u32(16, data.length);
		a.u32(32, opts.btf_flags);
		a.u32(36, opts.token_fd);
		const log = (level: number): void => {
			a.u64(8, opts.log_buf);
			a.u32(20, opts.log_size);
			a.u32(24, level);
		};
		if (opts.log_level) log(opts.log_level);
		let fd = a.call(BPF_BTF_LOAD);
		if (fd < 0 && opts.log_buf && !opts.log_level) {
			log(1);
			fd = a.call(BPF_BTF_LOAD);
		}
		opts.log_true_size = a.out32(28);
		return fd;
	});
}

export function bpf_raw_tracepoint_open(
	lib: Libbpf,
	name: string | null,
	prog_fd: number,
	cookie = 0n,
): number {
	return with_attr(lib, 24, (a, s) => {
		if (name !== null) a.u64(0, s.cstr(name));
		a.u32(8, prog_fd);
		a.u64(16, cookie);
		return a.call(BPF_RAW_TRACEPOINT_OPEN);
	});
}

/** struct bpf_link_create_opts */
export interface bpf_link_create_opts {
	flags?: number;
	target_btf_id?: number;
	iter_info?: Uint8Array;
	perf_event?: { bpf_cookie?: bigint };
	kprobe_multi?: {
		flags?: number;
		syms?: readonly string[];
		addrs?: readonly bigint[];
		cookies?: readonly bigint[];
	};
	uprobe_multi?: {
		flags?: number;
		path?: string;
		offsets?: readonly bigint[];
		ref_ctr_offsets?: readonly bigint[];
		cookies?: readonly bigint[];
		pid?: number;
	};
	tracing?: { cookie?: bigint };
	netfilter?: { pf?: number; hooknum?: number; priority?: number; flags?: number };
	tcx?: { relative_fd?: number; relative_id?: number; expected_revision?: bigint };
	netkit?: { relative_fd?: number; relative_id?: number; expected_revision?: bigint };
}

function u64_array(s: HeapScope, values: readonly bigint[] | undefined): number {
	if (!values) return 0;
	const bytes = new Uint8Array(values.length * 8);
	const dv = new DataView(bytes.buffer);
	values.forEach((v, i) => {
		dv.setBigUint64(i * 8, BigInt.asUintN(64, v), true);
	});
	return s.bytes(bytes);
}

/** tools/lib/bpf/bpf.c: bpf_link_create */
export function bpf_link_create(
	lib: Libbpf,
	prog_fd: number,
	target_fd: number,
	attach_type: number,
	opts: bpf_link_create_opts = {},
): number {
	return with_attr(lib, 64, (a, s) => {
		let flags = opts.flags ?? 0;
		a.u32(0, prog_fd);
		a.u32(4, target_fd);
		a.u32(8, attach_type);
		if (opts.iter_info && opts.target_btf_id) return -EINVAL;
		if (opts.target_btf_id) {
			a.u32(16, opts.target_btf_id);
		} else {
			switch (attach_type) {
				case BPF_TRACE_ITER:
					if (opts.iter_info) {
						a.u64(16, s.bytes(opts.iter_info));
						a.u32(24, opts.iter_info.length);
					}
					break;
				case BPF_PERF_EVENT:
					a.u64(16, opts.perf_event?.bpf_cookie);
					break;
				case BPF_TRACE_KPROBE_MULTI:
				case BPF_TRACE_KPROBE_SESSION: {
					const k = opts.kprobe_multi ?? {};
					a.u32(16, k.flags);
					a.u32(20, k.syms?.length ?? k.addrs?.length ?? 0);
					a.u64(
						24,
						k.syms
							? u64_array(
									s,
									k.syms.map((sym) => BigInt(s.cstr(sym))),
								)
							: 0,
					);
					a.u64(32, u64_array(s, k.addrs));
					a.u64(40, u64_array(s, k.cookies));
					break;
				}
				case BPF_TRACE_UPROBE_MULTI: {
					const u = opts.uprobe_multi ?? {};
					if (u.path !== undefined) a.u64(16, s.cstr(u.path));
					a.u64(24, u64_array(s, u.offsets));
					a.u64(32, u64_array(s, u.ref_ctr_offsets));
					a.u64(40, u64_array(s, u.cookies));
					a.u32(48, u.offsets?.length ?? 0);
					a.u32(52, u.flags);
					a.u32(56, u.pid);
					break;
				}
				case BPF_TRACE_RAW_TP:
				case BPF_TRACE_FENTRY:
				case BPF_TRACE_FEXIT:
				case BPF_MODIFY_RETURN:
				case BPF_LSM_MAC:
					a.u64(24, opts.tracing?.cookie);
					break;
				case BPF_NETFILTER:
					a.u32(16, opts.netfilter?.pf);
					a.u32(20, opts.netfilter?.hooknum);
					a.u32(24, opts.netfilter?.priority);
					a.u32(28, opts.netfilter?.flags);
					break;
				case BPF_TCX_INGRESS:
				case BPF_TCX_EGRESS:
				case BPF_NETKIT_PRIMARY:
				case BPF_NETKIT_PEER: {
					const t =
						(attach_type === BPF_TCX_INGRESS || attach_type === BPF_TCX_EGRESS ? opts.tcx : opts.netkit) ??
						{};
					if (t.relative_fd && t.relative_id) return -EINVAL;
					if (t.relative_id) {
						a.u32(16, t.relative_id);
						flags |= BPF_F_ID;
					} else {
						a.u32(16, t.relative_fd);
					}
					a.u64(24, t.expected_revision);
					break;
				}
				default:
					break;
			}
		}
		a.u32(12, flags);
		const fd = a.call(BPF_LINK_CREATE);
		if (fd >= 0 || fd !== -EINVAL) return fd;
		if (target_fd || opts.target_btf_id || Object.keys(opts).length > 0) return fd;
		switch (attach_type) {
			case BPF_TRACE_RAW_TP:
			case BPF_LSM_MAC:
			case BPF_TRACE_FENTRY:
			case BPF_TRACE_FEXIT:
			case BPF_MODIFY_RETURN:
				return bpf_raw_tracepoint_open(lib, null, prog_fd);
			default:
				return fd;
		}
	});
}

export function bpf_link_update(
	lib: Libbpf,
	link_fd: number,
	new_prog_fd: number,
	opts: { flags?: number; old_prog_fd?: number; old_map_fd?: number } = {},
): number {
	if (opts.old_prog_fd && opts.old_map_fd) return -EINVAL;
	return with_attr(lib, 16, (a) => {
		a.u32(0, link_fd);
		a.u32(4, new_prog_fd);
		a.u32(8, opts.flags);
		a.u32(12, opts.old_prog_fd ?? opts.old_map_fd);
		return a.call(BPF_LINK_UPDATE);
	});
}

export function bpf_link_detach(lib: Libbpf, link_fd: number): number {
	return with_attr(lib, 4, (a) => {
		a.u32(0, link_fd);
		return a.call(BPF_LINK_DETACH);
	});
}

export function bpf_iter_create(lib: Libbpf, link_fd: number): number {
	return with_attr(lib, 8, (a) => {
		a.u32(0, link_fd);
		return a.call(BPF_ITER_CREATE);
	});
}

export function bpf_prog_bind_map(lib: Libbpf, prog_fd: number, map_fd: number): number {
	return with_attr(lib, 12, (a) => {
		a.u32(0, prog_fd);
		a.u32(4, map_fd);
		return a.call(BPF_PROG_BIND_MAP);
	});
}

export function bpf_prog_attach(
	lib: Libbpf,
	prog_fd: number,
	target_fd: number,
	type: number,
	flags = 0,
): number {
	return with_attr(lib, 32, (a) => {
		a.u32(0, target_fd);
		a.u32(4, prog_fd);
		a.u32(8, type);
		a.u32(12, flags);
		return a.call(BPF_PROG_ATTACH);
	});
}

export function bpf_prog_detach2(lib: Libbpf, prog_fd: number, target_fd: number, type: number): number {
	return with_attr(lib, 32, (a) => {
		a.u32(0, target_fd);
		a.u32(4, prog_fd);
		a.u32(8, type);
		return a.call(BPF_PROG_DETACH);
	});
}
