// SPDX-License-Identifier: GPL-2.0-only
/**
 * Loading one program of an object alone, as upstream's test_loader does, and what the kernel has to say of
 * it. Works on any Sys: the emulated kernel, or the machine's own.
 */
import { basename } from "node:path";
import {
	BPF_F_ZERO_SEED,
	BPF_MAP_TYPE_ARENA,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_ARRAY_OF_MAPS,
	BPF_MAP_TYPE_CGROUP_ARRAY,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_HASH,
	BPF_MAP_TYPE_HASH_OF_MAPS,
	BPF_MAP_TYPE_LRU_HASH,
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
	bpf_map__set_pin_path,
	bpf_map_get_next_key,
	bpf_map_lookup_elem,
	type bpf_object,
	bpf_object__close,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__open_file,
	bpf_object__open_mem,
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

import type { RecordLoad } from "./records.ts";

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
	/** What the file has in it, where it need not be there. */
	bytes?: Uint8Array;
	prog: string;
	unpriv: boolean;
	level: number;
	flags: number;
	/** Names of maps and the max_entries that test_progs gives them. */
	map_fixups: readonly (readonly [string, number])[];
	btf_custom_path?: string | undefined;
	/** Run it after the load, as the records' kernel was asked to; called before: 0, or what went wrong. */
	run?: (obj: bpf_object) => number;
	/** Lets what the run has begun (timers, work) come to its end, before maps are looked at. */
	rest?: () => void;
	/** What it is run with; 64 zero bytes of data by themselves. */
	input?: RunInput | undefined;
}

/** Input of a test run, in hex where a record has it. */
export interface RunInput {
	data?: string | undefined;
	ctx?: string | undefined;
	repeat?: number | undefined;
}

export interface RunResult {
	err: number;
	retval: number;
	size_out: number;
	out: string;
	/** Contents of the data maps afterwards, by name. */
	data: Record<string, string>;
	/** What is in arrays and hashes, by name: key and value, in the order of keys. */
	entries: Record<string, [string, string][]>;
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
	/** Where the process mapped its arena; 0 without one. */
	arena: number;
	/** Maps that were made, in the object's order. */
	maps: NonNullable<RecordLoad["maps"]>;
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

/** `arena_list` of `some/where/arena_list.bpf.o`. */
export function object_name(path: string): string {
	return basename(path).replace(/(\.bpf)?\.o$/, "");
}

/** Memory in the process for logs. */
export interface LogBuffer {
	addr: number;
	size: number;
}

export function read_text(lib: Libbpf, log: LogBuffer): string {
	const parts: string[] = [];
	// most logs are short, and a remote kernel's come a long way
	let piece = 1 << 12;
	for (let at = 0; at < log.size; piece = 1 << 16) {
		const n = Math.min(piece, log.size - at);
		const bytes = lib.sys.load(log.addr + at, n);
		const end = bytes.indexOf(0);
		parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? n : end).toString("latin1"));
		if (end >= 0) break;
		at += n;
	}
	return parts.join("");
}

function map_of(map: bpf_map): NonNullable<RecordLoad["maps"]>[number] {
	const { type, key_size, value_size, max_entries, map_flags } = map.def;
	return {
		name: map.name,
		fd: map.fd,
		type,
		key: key_size,
		value: value_size,
		max: max_entries,
		flags: map_flags,
		extra: Number(map.map_extra),
	};
}

/** Maps whose elements can be read one by one, and are the same for every CPU. */
const PLAIN_MAPS: readonly number[] = [BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH];
/** Elements that are looked at, at most. */
const MAX_ENTRIES = 256;

const to_hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function entries_of(lib: Libbpf, map: bpf_map): [string, string][] {
	const out: [string, string][] = [];
	const key = new Uint8Array(map.def.key_size);
	const value = new Uint8Array(map.def.value_size);
	for (let prev: Uint8Array | null = null; out.length < MAX_ENTRIES; prev = key.slice()) {
		if (bpf_map_get_next_key(lib, map.fd, prev, key) < 0) break;
		if (bpf_map_lookup_elem(lib, map.fd, key, value) >= 0) out.push([to_hex(key), to_hex(value)]);
	}
	return out.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function test_run(
	lib: Libbpf,
	obj: bpf_object,
	prog: bpf_program,
	input: RunInput,
	rest: (() => void) | undefined,
): RunResult {
	const out = new Uint8Array(256);
	const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
	const ctx: bpf_test_run_opts = input.ctx === undefined ? {} : { ctx_in: bytes(input.ctx) };
	const data_in = input.data === undefined ? new Uint8Array(64) : bytes(input.data);
	const opts: bpf_test_run_opts =
		prog.type === BPF_PROG_TYPE_SYSCALL ? ctx : { ...ctx, data_in, data_out: out, repeat: input.repeat ?? 1 };
	const err = bpf_prog_test_run_opts(lib, prog.fd, opts);
	rest?.();
	const size_out = opts.data_size_out ?? 0;
	const data: Record<string, string> = {};
	const entries: RunResult["entries"] = {};
	for (const map of obj.maps) {
		if (map.fd < 0) continue;
		if (!bpf_map__is_internal(map)) {
			if (PLAIN_MAPS.includes(map.def.type)) entries[map.name] = entries_of(lib, map);
			continue;
		}
		const value = new Uint8Array(map.def.value_size);
		if (bpf_map_lookup_elem(lib, map.fd, new Uint8Array(4), value) >= 0) data[map.name] = to_hex(value);
	}
	return {
		err,
		retval: opts.retval ?? 0,
		size_out,
		out: to_hex(out.subarray(0, Math.min(size_out, 256))),
		data,
		entries,
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
		arena: 0,
		maps: [],
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
	const obj = c.bytes
		? bpf_object__open_mem(lib, c.bytes, {
				object_name: object_name(c.path),
				btf_custom_path: c.btf_custom_path,
			})
		: bpf_object__open_file(lib, c.path, { btf_custom_path: c.btf_custom_path });
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
		// nothing stays behind, and nothing is found that somebody left
		for (const map of obj.maps) bpf_map__set_pin_path(map, null);
		lib.sys.store8(log.addr, 0);
		bpf_program__set_log_buf(prog, log.addr, log.size);
		bpf_program__set_log_level(prog, c.level);
		bpf_program__set_flags(prog, prog.prog_flags | c.flags);
		result.err = bpf_object__load(obj);
		result.insns = prog.insns;
		result.maps = obj.maps.filter((m) => m.fd >= 0).map(map_of);
		result.arena = obj.maps.find((m) => m.def.type === BPF_MAP_TYPE_ARENA)?.mmaped ?? 0;
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
				result.run = test_run(lib, obj, prog, c.input ?? {}, c.rest);
			}
		}
		return done();
	} finally {
		restore();
		bpf_object__close(obj);
	}
}
