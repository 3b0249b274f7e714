// SPDX-License-Identifier: GPL-2.0-only
/** Programs of upstream's test_verifier: raw instructions, loaded with maps made for each run. */
import { BPF_MAP_TYPE_ARRAY, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE } from "../../include/uapi/linux/bpf.ts";
import { BTF_INT_SIGNED } from "../../include/uapi/linux/btf.ts";
import {
	bpf_btf_get_fd_by_id,
	bpf_btf_get_info_by_fd,
	bpf_btf_get_next_id,
	bpf_btf_load,
	bpf_map_create,
	bpf_prog_get_info_by_fd,
	bpf_prog_load,
	type bpf_prog_load_opts,
} from "../lib/bpf/bpf.ts";
import { Btf } from "../lib/bpf/btf.ts";
import type { Libbpf } from "../lib/bpf/libbpf_internal.ts";
import { drop_capabilities, type LoadResult, type LogBuffer, read_text } from "./load_case.ts";
import type { RawRecord } from "./records.ts";

const LDIMM64 = 0x18;
const LINKAGE_STATIC = 0;

/** test_verifier.c: btf_raw_types, as far as a map with kptrs has them; returns the value's type with it. */
function kptr_btf(): { raw: Uint8Array; key: number; value: number } {
	const btf = new Btf(null);
	const key = btf.add_int("int", 4, BTF_INT_SIGNED);
	const kfunc = btf.add_struct("prog_test_ref_kfunc", 0);
	const member = btf.add_struct("prog_test_member", 0);
	const kptr = (tag: string, to: number): number => btf.add_ptr(btf.add_type_tag(tag, to));
	const fields = [kptr("kptr_untrusted", kfunc), kptr("kptr", kfunc), kptr("kptr", member)];
	const value = btf.add_struct("btf_ptr", 24);
	for (const [i, type] of fields.entries()) btf.add_field("ptr", type, i * 64);
	return { raw: btf.raw_data(), key, value };
}

/** The types of its programs that call bpf_loop: int main(void *ctx), int callback(int, int *). */
function loop_btf(): Uint8Array {
	const btf = new Btf(null);
	const int = btf.add_int("int", 4, BTF_INT_SIGNED);
	const int_ptr = btf.add_ptr(int);
	const void_ptr = btf.add_ptr(0);
	const main = btf.add_func_proto(int);
	btf.add_func_param("ctx", void_ptr);
	const callback = btf.add_func_proto(int);
	btf.add_func_param("i", int);
	btf.add_func_param("ctx", int_ptr);
	btf.add_func("main", LINKAGE_STATIC, main);
	btf.add_func("callback", LINKAGE_STATIC, callback);
	return btf.raw_data();
}

/** A descriptor of a module's BTF. */
function module_btf_fd(lib: Libbpf, name: string): number {
	for (let id = bpf_btf_get_next_id(lib, 0); id > 0; id = bpf_btf_get_next_id(lib, id)) {
		const fd = bpf_btf_get_fd_by_id(lib, id);
		if (fd < 0) continue;
		const info = bpf_btf_get_info_by_fd(lib, fd, false);
		if (typeof info !== "number" && info.name === name) return fd;
		lib.sys.close(fd);
	}
	return -2;
}

/** "#12/u name" is a run without capabilities. */
export const is_unpriv = (r: RawRecord): boolean => /^#\d+\/u /.test(r.test);

/** Logs of more than some megabytes were not kept. */
export const has_log = (r: RawRecord): boolean => r.log6 !== undefined && r.log6 !== "TOO BIG";

/** Loads one as test_verifier does, at the log level of the record's log. */
export function load_raw(lib: Libbpf, r: RawRecord, log: LogBuffer, said: () => string): LoadResult {
	const start = performance.now();
	said();
	const fds: number[] = [];
	const take = (fd: number, what: string): number => {
		if (fd < 0) throw new Error(`${r.test}: ${what}: ${fd}`);
		fds.push(fd);
		return fd;
	};
	const insns = Buffer.from(r.insns, "hex");
	let restore = (): void => {};
	try {
		const map_fds = new Map<number, number>();
		for (const m of r.maps) {
			const opts = { map_flags: m.flags, map_extra: BigInt(m.extra ?? 0) };
			let types = {};
			if (m.type === BPF_MAP_TYPE_ARRAY && m.name === "test_map" && m.value === 24) {
				const { raw, key, value } = kptr_btf();
				const btf_fd = take(bpf_btf_load(lib, raw), "BTF of a map with kptrs");
				types = { btf_fd, btf_key_type_id: key, btf_value_type_id: value };
			}
			const fd = bpf_map_create(lib, m.type, m.name || null, m.key, m.value, m.max, { ...opts, ...types });
			map_fds.set(m.fd, take(fd, `map of type ${m.type}`));
		}
		for (let at = 0; at + 16 <= insns.length; at += 8) {
			if (insns[at] !== LDIMM64) continue;
			const src = insns[at + 1]! >> 4;
			const fd = map_fds.get(insns.readInt32LE(at + 4));
			if ((src === BPF_PSEUDO_MAP_FD || src === BPF_PSEUDO_MAP_VALUE) && fd !== undefined)
				insns.writeInt32LE(fd, at + 4);
			at += 8;
		}
		const opts: bpf_prog_load_opts = {
			expected_attach_type: r.attach,
			prog_flags: r.flags,
			attach_btf_id: r.btf_id,
			log_level: has_log(r) ? 6 : r.log_level,
			log_buf: log.addr,
			log_size: log.size,
		};
		if (r.func_info_cnt > 0) {
			opts.prog_btf_fd = take(bpf_btf_load(lib, loop_btf()), "BTF of functions");
			opts.func_info = Buffer.from(r.func_info, "hex");
			opts.func_info_cnt = r.func_info_cnt;
			opts.func_info_rec_size = 8;
		}
		if (r.fd_array) opts.fd_array = [-1, take(module_btf_fd(lib, "bpf_testmod"), "bpf_testmod's BTF")];
		lib.sys.store8(log.addr, 0);
		if (is_unpriv(r)) restore = drop_capabilities(lib);
		const fd = bpf_prog_load(lib, r.prog_type, null, "GPL", insns, opts);
		restore();
		restore = () => {};
		if (fd >= 0) fds.push(fd);
		const text = read_text(lib, log);
		const info = fd >= 0 ? bpf_prog_get_info_by_fd(lib, fd) : 0;
		return {
			err: Math.min(0, fd),
			open_err: 0,
			libbpf: said(),
			log: text,
			processed: Number(/^processed (\d+) insns /m.exec(text)?.[1] ?? -1),
			insns,
			map_names: new Map(),
			arena: 0,
			maps: [],
			info: typeof info === "number" ? null : info,
			run: null,
			ms: performance.now() - start,
		};
	} finally {
		restore();
		for (const fd of fds.reverse()) lib.sys.close(fd);
	}
}
