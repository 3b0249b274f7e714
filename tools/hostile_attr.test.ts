// SPDX-License-Identifier: GPL-2.0-only
/**
 * bpf(2) with attributes of ill will: those that libbpf passed for real objects, then changed: words, bits,
 * pointers, sizes, and plain noise. Every one ends in an errno (or succeeds), and nothing stays behind.
 * (kernel/bpf/syscall.test.ts does the like with attributes made of nothing.)
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Sys } from "../include/sys.ts";
import * as U from "../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../include/uapi/linux/bpf_attr.ts";
import { bpf_object__attach, bpf_object__load, bpf_object__open_mem } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { bootMirror, type Mirror } from "./mirror.ts";

const OBJECTS = ["test_ringbuf", "test_maps", "fentry_test", "test_xdp"];
const EACH = 1000;
const TEST_REPEAT = 32;

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
	let x = Math.imul(seed + 1, 0x9e3779b9) >>> 0;
	return () => {
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		x >>>= 0;
		return x;
	};
}

/** A process with objects loaded and attached, and the attributes that this took, by command. */
class Victim {
	readonly sys: Sys;
	readonly good = new Map<number, Uint8Array[]>();
	readonly fds: number;
	/** Room for attributes (the last page of a mapping) and for data. */
	readonly attr: number;
	readonly mem: number;

	constructor(mirror: Mirror) {
		this.sys = mirror.newProcess();
		const spy: Sys = Object.create(this.sys, {
			bpf: {
				value: (cmd: number, attr: number, size: number): number => {
					this.keep(cmd, this.sys.load(attr, size).slice());
					return this.sys.bpf(cmd, attr, size);
				},
			},
		});
		const lib = new Libbpf(spy, { known_kernel: true, print: null });
		let prog = -1;
		let map = -1;
		for (const name of OBJECTS) {
			const bytes = readFileSync(join(import.meta.dirname, `../.cache/progs/x86/${name}.bpf.o`));
			const obj = bpf_object__open_mem(lib, bytes, { object_name: name });
			if (typeof obj === "number") throw new Error(`${name}: ${obj}`);
			for (const m of obj.maps) if (m.def.type === U.BPF_MAP_TYPE_RINGBUF) m.def.max_entries = 4096;
			expect(bpf_object__load(obj), name).toBe(0);
			bpf_object__attach(obj);
			prog = obj.programs[0]!.fd;
			if (name === "test_maps") map = obj.maps.find((m) => m.def.key_size === 4)!.fd;
		}
		this.mem = this.sys.mmap(0, 0x8000, 3, 0x22, -1, 0);
		this.attr = this.mem + 0x7000;
		this.sys.store(this.mem, new Uint8Array(0x8000));
		const data = BigInt(this.mem + 0x1000);
		// the commands that libbpf had no reason for
		for (let cmd = 0; cmd < U.__MAX_BPF_CMD; cmd++) {
			const a = new bpf_attr();
			for (const [at, v] of COMMAND_ATTRS[cmd] ?? []) {
				if (v === "prog") a.wu32(at, prog);
				else if (v === "map") a.wu32(at, map);
				else if (v === "data") a.wu64(at, data);
				else if (v === "id") a.wu32(at, this.first_id(cmd));
				else a.wu32(at, v);
			}
			this.keep(cmd, a.bytes);
		}
		let top = 0;
		for (let fd = 0; fd < 512; fd++) {
			const copy = this.sys.dup(fd);
			if (copy < 0) continue;
			this.sys.close(copy);
			top = fd;
		}
		this.fds = top + 1;
	}
	/** The id that BPF_*_GET_NEXT_ID gives first for the objects of BPF_*_GET_FD_BY_ID. */
	private first_id(cmd: number): number {
		const next: Record<number, number> = {
			[U.BPF_PROG_GET_FD_BY_ID]: U.BPF_PROG_GET_NEXT_ID,
			[U.BPF_MAP_GET_FD_BY_ID]: U.BPF_MAP_GET_NEXT_ID,
			[U.BPF_BTF_GET_FD_BY_ID]: U.BPF_BTF_GET_NEXT_ID,
			[U.BPF_LINK_GET_FD_BY_ID]: U.BPF_LINK_GET_NEXT_ID,
		};
		this.sys.store(this.attr, new Uint8Array(12));
		expect(this.sys.bpf(next[cmd]!, this.attr, 12)).toBe(0);
		return this.sys.load32(this.attr + 4);
	}
	private keep(cmd: number, bytes: Uint8Array): void {
		const list = this.good.get(cmd) ?? [];
		if (list.length < 64) list.push(bytes);
		this.good.set(cmd, list);
	}
}

/** Fields of attributes by offset, for every command: descriptors, `data` (an address), `id` (of what the command is about), numbers. */
const COMMAND_ATTRS: Readonly<
	Record<number, readonly (readonly [number, number | "prog" | "map" | "data" | "id"])[]>
> = {
	[U.BPF_MAP_LOOKUP_ELEM]: [
		[0, "map"],
		[8, "data"],
		[16, "data"],
	],
	[U.BPF_MAP_UPDATE_ELEM]: [
		[0, "map"],
		[8, "data"],
		[16, "data"],
	],
	[U.BPF_MAP_DELETE_ELEM]: [
		[0, "map"],
		[8, "data"],
	],
	[U.BPF_MAP_GET_NEXT_KEY]: [
		[0, "map"],
		[16, "data"],
	],
	[U.BPF_OBJ_PIN]: [
		[0, "data"],
		[8, "prog"],
	],
	[U.BPF_OBJ_GET]: [[0, "data"]],
	[U.BPF_PROG_ATTACH]: [[4, "prog"]],
	[U.BPF_PROG_DETACH]: [[4, "prog"]],
	[U.BPF_PROG_TEST_RUN]: [
		[0, "prog"],
		[8, 64],
		[12, 256],
		[16, "data"],
		[24, "data"],
		[32, 1],
	],
	[U.BPF_PROG_GET_NEXT_ID]: [],
	[U.BPF_PROG_GET_FD_BY_ID]: [[0, "id"]],
	[U.BPF_MAP_GET_FD_BY_ID]: [[0, "id"]],
	[U.BPF_OBJ_GET_INFO_BY_FD]: [
		[0, "prog"],
		[4, 232],
		[8, "data"],
	],
	[U.BPF_PROG_QUERY]: [
		[4, 0],
		[16, "data"],
	],
	[U.BPF_RAW_TRACEPOINT_OPEN]: [[8, "prog"]],
	[U.BPF_BTF_GET_FD_BY_ID]: [[0, "id"]],
	[U.BPF_TASK_FD_QUERY]: [
		[0, 1],
		[4, 4],
		[12, 64],
		[16, "data"],
	],
	[U.BPF_MAP_LOOKUP_AND_DELETE_ELEM]: [
		[0, "map"],
		[8, "data"],
		[16, "data"],
	],
	[U.BPF_MAP_FREEZE]: [[0, "map"]],
	[U.BPF_MAP_LOOKUP_BATCH]: [
		[8, "data"],
		[16, "data"],
		[24, "data"],
		[32, 4],
		[36, "map"],
	],
	[U.BPF_MAP_LOOKUP_AND_DELETE_BATCH]: [
		[8, "data"],
		[16, "data"],
		[24, "data"],
		[32, 4],
		[36, "map"],
	],
	[U.BPF_MAP_UPDATE_BATCH]: [
		[16, "data"],
		[24, "data"],
		[32, 4],
		[36, "map"],
	],
	[U.BPF_MAP_DELETE_BATCH]: [
		[16, "data"],
		[32, 4],
		[36, "map"],
	],
	[U.BPF_LINK_CREATE]: [
		[0, "prog"],
		[8, 24],
	],
	[U.BPF_LINK_UPDATE]: [[4, "prog"]],
	[U.BPF_LINK_GET_FD_BY_ID]: [[0, "id"]],
	[U.BPF_ENABLE_STATS]: [],
	[U.BPF_ITER_CREATE]: [[0, 5]],
	[U.BPF_LINK_DETACH]: [[0, 5]],
	[U.BPF_PROG_BIND_MAP]: [
		[0, "prog"],
		[4, "map"],
	],
};

/** Values that break assumptions. */
const WILD = [
	0n,
	1n,
	7n,
	0xfffn,
	0x7fffffffn,
	0x80000000n,
	0xffffffffn,
	1n << 32n,
	0x7ffffffff000n,
	0x800000000000n,
];
const WILD_TOP = [
	0xffff888000000000n,
	0xffffc90000000000n,
	0xffffffff81000000n,
	0xffffffffffffffffn,
	1n << 63n,
];

/** One attribute, changed: its bytes and the size that is passed. */
function mutate(
	v: Victim,
	cmd: number,
	next: () => number,
): { bytes: Uint8Array; size: number; addr: number } {
	const list = v.good.get(cmd) ?? [new Uint8Array(bpf_attr.SIZE)];
	const bytes = new Uint8Array(256);
	let size: number = bpf_attr.SIZE;
	let addr = v.attr;
	if (next() % 8 === 0) {
		for (let at = 0; at < 160; at += 4) new DataView(bytes.buffer).setUint32(at, next(), true);
		size = next() % 200;
	} else {
		const from = list[next() % list.length]!;
		bytes.set(from);
		size = from.length;
		const dv = new DataView(bytes.buffer);
		for (let n = 1 + (next() % 3); n > 0; n--) {
			const at = next() % Math.max(from.length, 8);
			switch (next() % 6) {
				case 0:
					bytes[at] = bytes[at]! ^ (1 << (next() % 8));
					break;
				case 1:
					dv.setUint32(at & ~3, next() % 48, true);
					break;
				case 2:
					dv.setUint32(at & ~3, next(), true);
					break;
				case 3:
					dv.setBigUint64(at & ~7, [...WILD, ...WILD_TOP][next() % 15]!, true);
					break;
				case 4:
					// an address near the end of what is mapped
					dv.setBigUint64(at & ~7, BigInt(v.mem + 0x8000 - (next() % 64)), true);
					break;
				default:
					size = [0, 1, 4, size - 1, size + 1, 152, 200, 4096, 5000, 0xffffffff][next() % 10]!;
			}
		}
	}
	if (next() % 40 === 0) addr = [0, v.mem + 0x8000, v.mem + 0x7ffc, -0x778000000000, 2 ** 47][next() % 5]!;
	// how long a test run lasts is the caller's own choice, and only a signal ends it
	if (cmd === U.BPF_PROG_TEST_RUN)
		new DataView(bytes.buffer).setUint32(
			TEST_REPEAT,
			new DataView(bytes.buffer).getUint32(TEST_REPEAT, true) % 4,
			true,
		);
	return { bytes, size, addr };
}

describe("bpf(2)", () => {
	let mirror: Mirror;
	beforeAll(() => {
		mirror = bootMirror({ memory: 128 << 20, cpus: 2 });
	});

	it(`answers ${EACH} changed attributes of every command with an errno, and leaves nothing behind`, async () => {
		// what is made once and stays (the kernel's BTF, its functions' entries) is made here
		await mirror.endProcess(new Victim(mirror).sys);
		mirror.leaks();
		mirror.dmesg();
		const seen: string[] = [];
		for (let cmd = 0; cmd < U.__MAX_BPF_CMD; cmd++) {
			const v = new Victim(mirror);
			const next = random(cmd);
			const dv = (fd: number) => v.sys.close(fd);
			let errors = 0;
			for (let i = 0; i < EACH; i++) {
				const { bytes, size, addr } = mutate(v, cmd, next);
				v.sys.store(v.attr, bytes);
				const ret = v.sys.bpf(cmd, addr, size);
				if (!Number.isInteger(ret) || ret <= -4096) seen.push(`command ${cmd}, ${i}: ${ret}`);
				if (ret < 0) errors++;
				else if (ret >= v.fds) dv(ret);
			}
			const bugs = mirror.dmesg().filter((l) => l.startsWith("BUG"));
			for (const b of new Set(bugs.map((l) => l.split("\n").slice(0, 4).join("\n"))))
				seen.push(`command ${cmd}: ${b}`);
			await mirror.endProcess(v.sys);
			for (const l of mirror.leaks()) seen.push(`command ${cmd}: ${l}`);
			expect(errors, `command ${cmd}`).toBeGreaterThan(EACH / 10);
		}
		expect(seen.join("\n")).toBe("");
	});
});
