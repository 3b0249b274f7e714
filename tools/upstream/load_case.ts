// SPDX-License-Identifier: GPL-2.0-only
/**
 * Loading one program of an object alone, as upstream's test_loader does, and what the kernel has to say of
 * it. Works on any Sys: the emulated kernel, or the machine's own.
 */
import {
	BPF_F_ZERO_SEED,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_PERCPU_ARRAY,
	BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
	BPF_MAP_TYPE_PERCPU_HASH,
	BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_MAP_TYPE_RINGBUF,
	BPF_MAP_TYPE_USER_RINGBUF,
	BPF_PROG_TYPE_SYSCALL,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { btf_is_decl_tag } from "../lib/bpf/btf.ts";
import {
	type bpf_map,
	bpf_map__is_internal,
	bpf_map__set_autocreate,
	bpf_map__set_max_entries,
	bpf_map_lookup_elem,
	type bpf_object,
	bpf_object__close,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__open_file,
	bpf_object__programs,
	bpf_prog_get_info_by_fd,
	type bpf_prog_info,
	bpf_prog_test_run_opts,
	type bpf_program,
	bpf_program__set_autoload,
	bpf_program__set_flags,
	bpf_program__set_log_buf,
	bpf_program__set_log_level,
	type bpf_test_run_opts,
	type Libbpf,
} from "../lib/bpf/libbpf.ts";

export const CAP_NET_ADMIN = 12;
export const CAP_SYS_ADMIN = 21;
export const CAP_PERFMON = 38;
export const CAP_BPF = 39;

/** tools/testing/selftests/bpf/test_loader.c: is_unpriv_capable_map */
export function is_unpriv_capable_map(map: bpf_map): boolean {
	switch (map.def.type) {
		case BPF_MAP_TYPE_HASH:
		case BPF_MAP_TYPE_PERCPU_HASH:
		case BPF_MAP_TYPE_HASH_OF_MAPS:
			return !(map.def.map_flags & BPF_F_ZERO_SEED);
		case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		case BPF_MAP_TYPE_ARRAY:
		case BPF_MAP_TYPE_RINGBUF:
		case BPF_MAP_TYPE_PROG_ARRAY:
		case BPF_MAP_TYPE_CGROUP_ARRAY:
		case BPF_MAP_TYPE_PERCPU_ARRAY:
		case BPF_MAP_TYPE_USER_RINGBUF:
		case BPF_MAP_TYPE_ARRAY_OF_MAPS:
		case BPF_MAP_TYPE_CGROUP_STORAGE:
		case BPF_MAP_TYPE_PERF_EVENT_ARRAY:
			return true;
		default:
			return false;
	}
}

/** Drops what test_loader drops, or these; call the result to have it back. */
export function drop_capabilities(
	lib: Libbpf,
	caps: readonly number[] = [CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF],
): () => void {
	const before = lib.sys.capGet();
	lib.sys.capSet(before.filter((c) => !caps.includes(c)));
	return () => {
		lib.sys.capSet(before);
	};
}

export interface LoadCase {
	path: string;
	prog: string;
	unpriv: boolean;
	level: number;
	flags: number;
	/** Names of maps and the max_entries that test_progs gives them. */
	map_fixups: readonly (readonly [string, number])[];
	btf_custom_path?: string | undefined;
	/** Run it after the load, as the records' kernel was asked to; called before: 0, or what went wrong. */
	run?: (obj: bpf_object) => number;
}

export interface RunResult {
	err: number;
	retval: number;
	size_out: number;
	out: string;
	/** Contents of the data maps afterwards, by name. */
	data: Record<string, string>;
}

export interface LoadResult {
	/** 0 or a negative errno. */
	err: number;
	/** Opening the object failed with it. */
	open_err: number;
	/** What libbpf said. */
	libbpf: string;
	log: string;
	/** Instructions processed by the verifier, -1 when it did not say. */
	processed: number;
	insns: Uint8Array;
	/** Name of the map that an instruction loads, by the instruction's index. */
	map_names: Map<number, string>;
	info: bpf_prog_info | null;
	run: RunResult | null;
	ms: number;
}

/** Whether a program is marked to be loaded together with the others (__auxiliary). */
function is_auxiliary(obj: bpf_object, prog: bpf_program, unpriv: boolean): boolean {
	const { btf } = obj;
	const func = btf ? btf.find_by_name_kind(prog.name, BTF_KIND_FUNC) : -1;
	if (!btf || func < 0) return false;
	const tag = unpriv ? "comment:test_auxiliary_unpriv" : "comment:test_auxiliary";
	for (const id of btf.ids_by_name(tag)) {
		const t = btf.type_by_id(id)!;
		if (btf_is_decl_tag(t) && t.type === func) return true;
	}
	return false;
}

/** Memory in the process for logs. */
export interface LogBuffer {
	addr: number;
	size: number;
}

export function read_text(lib: Libbpf, log: LogBuffer): string {
	const parts: string[] = [];
	for (let at = 0; at < log.size; ) {
		const n = Math.min(1 << 16, log.size - at);
		const bytes = lib.sys.load(log.addr + at, n);
		const end = bytes.indexOf(0);
		parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? n : end).toString("latin1"));
		if (end >= 0) break;
		at += n;
	}
	return parts.join("");
}

function test_run(lib: Libbpf, obj: bpf_object, prog: bpf_program): RunResult {
	const out = new Uint8Array(256);
	const opts: bpf_test_run_opts =
		prog.type === BPF_PROG_TYPE_SYSCALL ? {} : { data_in: new Uint8Array(64), data_out: out, repeat: 1 };
	const err = bpf_prog_test_run_opts(lib, prog.fd, opts);
	const size_out = opts.data_size_out ?? 0;
	const data: Record<string, string> = {};
	for (const map of obj.maps) {
		if (!bpf_map__is_internal(map) || map.fd < 0) continue;
		const value = new Uint8Array(map.def.value_size);
		if (bpf_map_lookup_elem(lib, map.fd, new Uint8Array(4), value) >= 0)
			data[map.name] = Buffer.from(value).toString("hex");
	}
	return {
		err,
		retval: opts.retval ?? 0,
		size_out,
		out: Buffer.from(out.subarray(0, Math.min(size_out, 256))).toString("hex"),
		data,
	};
}

/** Opens the object, loads the one program, looks at it, closes everything. `said` returns libbpf's messages since the last call. */
export function load_case(lib: Libbpf, c: LoadCase, log: LogBuffer, said: () => string): LoadResult {
	const start = performance.now();
	const result: LoadResult = {
		err: 0,
		open_err: 0,
		libbpf: "",
		log: "",
		processed: -1,
		insns: new Uint8Array(0),
		map_names: new Map(),
		info: null,
		run: null,
		ms: 0,
	};
	said();
	const done = (): LoadResult => {
		result.libbpf = said();
		result.ms = performance.now() - start;
		return result;
	};
	const restore = c.unpriv ? drop_capabilities(lib) : () => {};
	const obj = bpf_object__open_file(lib, c.path, { btf_custom_path: c.btf_custom_path });
	if (typeof obj === "number") {
		restore();
		result.open_err = obj;
		return done();
	}
	try {
		const prog = bpf_object__find_program_by_name(obj, c.prog);
		if (!prog) throw new Error(`${c.path} has no program ${c.prog}`);
		for (const p of bpf_object__programs(obj))
			bpf_program__set_autoload(p, p === prog || is_auxiliary(obj, p, c.unpriv));
		for (const [name, max] of c.map_fixups)
			for (const map of obj.maps) if (map.name === name) bpf_map__set_max_entries(map, max);
		for (const map of obj.maps)
			bpf_map__set_autocreate(map, map.autocreate && (!c.unpriv || is_unpriv_capable_map(map)));
		lib.sys.store8(log.addr, 0);
		bpf_program__set_log_buf(prog, log.addr, log.size);
		bpf_program__set_log_level(prog, c.level);
		bpf_program__set_flags(prog, prog.prog_flags | c.flags);
		result.err = bpf_object__load(obj);
		result.insns = prog.insns;
		for (const { insn_idx, map } of prog.map_fd_insns) result.map_names.set(insn_idx, map.name);
		result.log = read_text(lib, log);
		result.processed = Number(/^processed (\d+) insns /m.exec(result.log)?.[1] ?? -1);
		restore();
		if (result.err === 0 && prog.fd >= 0) {
			const info = bpf_prog_get_info_by_fd(lib, prog.fd);
			if (typeof info !== "number") result.info = info;
			if (c.run) {
				const err = c.run(obj);
				if (err) throw new Error(`preparing the run of ${c.prog}: ${err}`);
				result.run = test_run(lib, obj, prog);
			}
		}
		return done();
	} finally {
		restore();
		bpf_object__close(obj);
	}
}
