// SPDX-License-Identifier: GPL-2.0-only
/** What bpftool's skeletons give a test: an object of progs/, its programs, maps and globals by name. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sys } from "../../include/sys.ts";
import { BTF_KIND_DATASEC } from "../../include/uapi/linux/btf.ts";
import { IS_ERR } from "../../lib/err.ts";
import { btf_kind, btf_var_secinfos } from "../../tools/lib/bpf/btf.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	type bpf_map,
	type bpf_object,
	bpf_object__attach,
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_mem,
	type bpf_program,
	bpf_program__set_log_buf,
	bpf_program__set_log_level,
	LIBBPF_DEBUG,
	Libbpf,
	read_log,
} from "../../tools/lib/bpf/libbpf.ts";
import type { TestEnv } from "./test_env.ts";

/** Where the compiler puts variables of address space 1. */
const ARENA_SEC = ".addr_space.1";
const LOG_SIZE = 1 << 20;

interface Global {
	readonly map: bpf_map;
	readonly off: number;
	readonly size: number;
}

/** Bytes of a built object: of progs/, or with ext `.native.o` of native/. */
export function readProg(name: string, arch: "x86_64" | "arm64", ext = ".bpf.o"): Uint8Array {
	const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
	const path = join(root, ".cache/progs", arch === "arm64" ? "arm64" : "x86", `${name}${ext}`);
	if (!existsSync(path)) throw new Error(`${path} is not built: npm run setup`);
	return readFileSync(path);
}

/** What a skeleton needs of who opens it. */
type SkelHost = Pick<TestEnv, "sys" | "logLevel" | "verifierLog">;

/** An object of selftests/bpf/progs, opened, loaded, attached by a test. */
export class Skel {
	readonly lib: Libbpf;
	readonly obj: bpf_object;
	private readonly globals = new Map<string, Global>();
	private links: Map<string, bpf_link> = new Map();
	private readonly t: SkelHost;

	private constructor(t: SkelHost, lib: Libbpf, obj: bpf_object) {
		this.t = t;
		this.lib = lib;
		this.obj = obj;
		const { btf } = obj;
		if (!btf) return;
		for (let id = 1; id < btf.type_cnt(); id++) {
			const sec = btf.type_by_id(id);
			if (!sec || btf_kind(sec) !== BTF_KIND_DATASEC) continue;
			const name = btf.str_by_offset(sec.name_off);
			// variables of the arena lie at its beginning
			const map =
				name === ARENA_SEC ? obj.maps[obj.arena_map_idx] : obj.maps.find((m) => m.real_name === name);
			if (!map) continue;
			for (const v of btf_var_secinfos(sec)) {
				const t = btf.type_by_id(v.type);
				if (t) this.globals.set(btf.str_by_offset(t.name_off) ?? "", { map, off: v.offset, size: v.size });
			}
		}
	}

	/** skel__open() of an object of progs/, or of the bytes of any; null with a failed check when it does not open. */
	static open(t: TestEnv, name: string, object?: Uint8Array): Skel | null {
		const lib = new Libbpf(t.sys, {
			known_kernel: true,
			print: (level, text) => {
				if (level !== LIBBPF_DEBUG) t.printf(text);
			},
		});
		const obj = bpf_object__open_mem(lib, object ?? readProg(name, t.sys.arch), { object_name: name });
		return t.ASSERT_OK_PTR(obj, "skel_open") && !IS_ERR(obj) ? new Skel(t, lib, obj as bpf_object) : null;
	}

	/** skel__open() for a tool: a negative errno when it does not open. */
	static openFor(lib: Libbpf, name: string): Skel | number {
		const obj = bpf_object__open_mem(lib, readProg(name, lib.sys.arch), { object_name: name });
		if (typeof obj === "number") return obj;
		return new Skel({ sys: lib.sys, logLevel: 0, verifierLog: () => {} }, lib, obj);
	}

	/** skel__open_and_load() */
	static openAndLoad(t: TestEnv, name: string, object?: Uint8Array): Skel | null {
		const skel = Skel.open(t, name, object);
		if (!skel) return null;
		if (t.ASSERT_OK(skel.load(), "skel_load")) return skel;
		skel.destroy();
		return null;
	}

	load(): number {
		const { logLevel } = this.t;
		if (!logLevel) return bpf_object__load(this.obj);
		const logs = this.obj.programs.map((p) => {
			const addr = this.lib.heap.alloc(LOG_SIZE);
			this.t.sys.store8(addr, 0);
			bpf_program__set_log_buf(p, addr, LOG_SIZE);
			bpf_program__set_log_level(p, logLevel);
			return addr;
		});
		const err = bpf_object__load(this.obj);
		for (const addr of logs) {
			this.t.verifierLog(read_log(this.lib, addr, LOG_SIZE));
			this.lib.heap.free(addr);
		}
		return err;
	}

	/** skel__attach(): every program that attaches by itself. */
	attach(): number {
		const links = bpf_object__attach(this.obj);
		if (typeof links === "number") return links;
		this.links = links;
		return 0;
	}

	detach(): void {
		for (const link of this.links.values()) bpf_link__destroy(link);
		this.links = new Map();
	}

	destroy(): void {
		this.detach();
		bpf_object__close(this.obj);
	}

	prog(name: string): bpf_program {
		const p = this.obj.programs.find((x) => x.name === name);
		if (!p) throw new Error(`${this.obj.name} has no program ${name}`);
		return p;
	}

	map(name: string): bpf_map {
		const m = this.obj.maps.find((x) => x.name === name || x.real_name === name);
		if (!m) throw new Error(`${this.obj.name} has no map ${name}`);
		return m;
	}

	private global(name: string): Global {
		const g = this.globals.get(name);
		if (!g) throw new Error(`${this.obj.name} has no global ${name}`);
		return g;
	}

	/** Where a global lies in its section: of a variable of the arena, its distance from the arena's beginning. */
	offsetOf(name: string): number {
		return this.global(name).off;
	}

	/** Bytes of a global: of the mapped section, or of what it will begin with. */
	bytes(name: string): Uint8Array {
		const { map, off, size } = this.global(name);
		if (map.mmaped) return this.t.sys.load(map.mmaped + off, size);
		return map.init_data!.slice(off, off + size);
	}

	/** `sys`: the thread that stores, where it is not the test's first. */
	setBytes(name: string, bytes: Uint8Array, sys: Sys = this.t.sys): void {
		const { map, off } = this.global(name);
		if (map.mmaped) sys.store(map.mmaped + off, bytes);
		else map.init_data!.set(bytes, off);
	}

	/** A global integer of 1 to 8 bytes, signed. */
	get(name: string): bigint {
		const b = this.bytes(name);
		let v = 0n;
		for (let i = b.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(b[i]!);
		return BigInt.asIntN(8 * b.length, v);
	}

	set(name: string, value: number | bigint, sys?: Sys): void {
		const { size } = this.global(name);
		const out = new Uint8Array(size);
		let v = BigInt.asUintN(8 * size, BigInt(value));
		for (let i = 0; i < size; i++) {
			out[i] = Number(v & 0xffn);
			v >>= 8n;
		}
		this.setBytes(name, out, sys);
	}
}

/** A 32-bit key, as maps take it. */
export function key32(v: number): Uint8Array {
	const out = new Uint8Array(4);
	new DataView(out.buffer).setUint32(0, v, true);
	return out;
}

export function val64(v: number | bigint): Uint8Array {
	const out = new Uint8Array(8);
	new DataView(out.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(v)), true);
	return out;
}

export function read64(b: Uint8Array, at = 0): bigint {
	return new DataView(b.buffer, b.byteOffset).getBigUint64(at, true);
}

export function read32(b: Uint8Array, at = 0): number {
	return new DataView(b.buffer, b.byteOffset).getInt32(at, true);
}

/** Number of the getpgid system call. */
export function nrGetpgid(arch: "x86_64" | "arm64"): number {
	return arch === "arm64" ? 155 : 121;
}
