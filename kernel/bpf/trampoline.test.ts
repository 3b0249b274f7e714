// SPDX-License-Identifier: GPL-2.0-only
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EBUSY, EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr, bpf_link_info } from "../../include/uapi/linux/bpf_attr.ts";
import { BPF_ADD } from "../../include/uapi/linux/bpf_common.ts";
import { BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { boot } from "../boot.ts";
import { close_fd } from "../file.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { type bpf_insn, encode_insns } from "./bpf_types.ts";
import { btf_find_by_name_kind } from "./btf.ts";
import {
	BPF_ALU64_IMM,
	BPF_EXIT_INSN,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_RAW_INSN,
	BPF_STX_MEM,
} from "./insn_macros.ts";
import { sys_bpf } from "./syscall.ts";

const AREA = 1 << 16;

let k: KernelImpl;
let at: number;

beforeEach(() => {
	k = boot({ cpus: 1, memory: 64 << 20, cpu: "unicorn" });
	at = k.task.mm.mmap(0, AREA, 3, 0x22, null, 0);
});
afterEach(() => k.machine?.close());

function put(off: number, bytes: Uint8Array): bigint {
	if (!k.copy_to_user(at + off, bytes)) throw new Error("copy_to_user");
	return BigInt(at + off);
}

function bpf(cmd: number, attr: bpf_attr): number {
	put(0, attr.bytes);
	return sys_bpf(k, cmd, at, attr.bytes.length);
}

const ret = (v: number): bpf_insn[] => [BPF_MOV64_IMM(0, v), BPF_EXIT_INSN()];

/** A tracing program on a kernel function, or an LSM program on a hook. */
function load(func: string, attach_type: number, insns = ret(0), type = U.BPF_PROG_TYPE_TRACING): number {
	const attr = new bpf_attr();
	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.insns = put(0x1000, encode_insns(insns));
	attr.insn_cnt = insns.length;
	attr.license = put(0x800, new TextEncoder().encode("GPL\0"));
	const btf = k.bpf.bpf_get_btf_vmlinux();
	if (typeof btf === "number") throw new Error("no BTF");
	attr.attach_btf_id = btf_find_by_name_kind(btf, func, BTF_KIND_FUNC);
	const fd = bpf(U.BPF_PROG_LOAD, attr);
	if (fd < 0) throw new Error(`BPF_PROG_LOAD for ${func}: ${fd}`);
	return fd;
}

function attach(prog: number): number {
	const attr = new bpf_attr();
	attr.raw_tracepoint_prog_fd = prog;
	return bpf(U.BPF_RAW_TRACEPOINT_OPEN, attr);
}

function test_run(prog: number): number {
	const attr = new bpf_attr();
	attr.test_prog_fd = prog;
	const err = bpf(U.BPF_PROG_TEST_RUN, attr);
	if (err) return err;
	return new DataView(k.copy_from_user(at + 4, 4)!.buffer).getUint32(0, true);
}

/** An array of one u64. */
function bpf_array(): number {
	const attr = new bpf_attr();
	attr.map_type = U.BPF_MAP_TYPE_ARRAY;
	attr.key_size = 4;
	attr.value_size = 8;
	attr.max_entries = 1;
	return bpf(U.BPF_MAP_CREATE, attr);
}

/** A program that stores a word of its context there. */
function store_in(map: number, off: number): bpf_insn[] {
	return [
		BPF_LDX_MEM(U.BPF_DW, 6, 1, off),
		BPF_RAW_INSN(0x18, 7, U.BPF_PSEUDO_MAP_VALUE, 0, map),
		BPF_RAW_INSN(0, 0, 0, 0, 0),
		BPF_STX_MEM(U.BPF_DW, 7, 6, 0),
		...ret(0),
	];
}

function first_value(map: number): bigint {
	const attr = new bpf_attr();
	attr.map_fd = map;
	attr.key = put(0x3000, new Uint8Array(16));
	attr.value = BigInt(at + 0x3008);
	expect(bpf(U.BPF_MAP_LOOKUP_ELEM, attr)).toBe(0);
	return new DataView(k.copy_from_user(at + 0x3008, 8)!.buffer).getBigUint64(0, true);
}

/** The bytes at the entry of a function. */
function entry(func: string): string {
	return Buffer.from(k.kmem.read(u64_to_addr(k.symbols.addr(func)!), 9)).toString("hex");
}

const NOP5 = "f30f1efa0f1f440000";
const MOD = "bpf_modify_return_test";

function in_use(): Record<string, number> {
	k.settle();
	return {
		pages: k.kmem.pages_in_use,
		objects: k.kmem.objects_in_use,
		trampolines: k.bpf.trampolines?.size ?? 0,
		images: k.bpf.tramp_images.size,
		links: k.bpf.links.size,
		progs: k.bpf.progs.size,
	};
}

describe("trampolines", () => {
	it("patch the entry of the function while something is attached", () => {
		const prog = load(MOD, U.BPF_TRACE_FENTRY);
		const link = attach(prog);
		expect(link).toBeGreaterThan(0);
		const bytes = entry(MOD);
		expect(bytes.slice(0, 10)).toBe("f30f1efae8");
		const [im] = [...k.bpf.tramp_images.values()];
		const from = u64_to_addr(k.symbols.addr(MOD)!) + 9;
		const rel = Buffer.from(bytes, "hex").readInt32LE(5);
		expect(from + rel).toBe(u64_to_addr(im!.image));
		expect(k.symbols.lookup(im!.image)?.name).toMatch(/^bpf_trampoline_\d+$/);
		close_fd(k, link);
		expect(entry(MOD)).toBe(NOP5);
		expect(k.ftrace.traced.size).toBe(0);
	});

	it("leave nothing behind", () => {
		// what is made once and stays: the program's types, the function's stub
		close_fd(k, load(MOD, U.BPF_TRACE_FENTRY));
		const before = in_use();
		const fds: number[] = [];
		for (const type of [U.BPF_TRACE_FENTRY, U.BPF_MODIFY_RETURN, U.BPF_TRACE_FEXIT, U.BPF_TRACE_FEXIT]) {
			const prog = load(MOD, type);
			const link = attach(prog);
			expect(link).toBeGreaterThan(0);
			fds.push(prog, link);
			expect(test_run(prog)).toBe(type === U.BPF_MODIFY_RETURN ? (2 << 16) | 33 : 0);
		}
		k.settle();
		// the images that were replaced are gone, the last one stays
		expect(k.bpf.tramp_images.size).toBe(1);
		for (const fd of fds) close_fd(k, fd);
		expect(in_use()).toEqual(before);
	});

	it("go on without a program that is closed before its link", () => {
		const before = in_use();
		const prog = load(MOD, U.BPF_MODIFY_RETURN, ret(-EINVAL));
		const link = attach(prog);
		const runner = load(MOD, U.BPF_MODIFY_RETURN);
		close_fd(k, prog);
		k.settle();
		// the link holds it: one function answers -22, the other runs
		expect(test_run(runner)).toBe((1 << 16) | ((29 - EINVAL) & 0xffff));
		close_fd(k, link);
		expect(test_run(runner)).toBe((2 << 16) | 33);
		close_fd(k, runner);
		k.settle();
		expect(k.bpf.progs.size).toBe(before.progs);
		expect(k.bpf.trampolines?.size).toBe(0);
	});

	it("give the last program's result, and stop at the first that has one", () => {
		const progs = [0, 7, 9].map((v) => load(MOD, U.BPF_MODIFY_RETURN, ret(v)));
		for (const p of progs) expect(attach(p)).toBeGreaterThan(0);
		// the newest stands first in the list
		expect(test_run(progs[0]!)).toBe((1 << 16) | (9 + 29));
	});

	it("hand programs what the function was called with, and what came before", () => {
		// the first to run answers a + 4, which ends it; the exit program finds that behind the arguments
		const sum = [BPF_LDX_MEM(U.BPF_DW, 0, 1, 0), BPF_ALU64_IMM(BPF_ADD, 0, 4), BPF_EXIT_INSN()];
		const late = load(MOD, U.BPF_MODIFY_RETURN, ret(1));
		const prog = load(MOD, U.BPF_MODIFY_RETURN, sum);
		const map = bpf_array();
		for (const fd of [late, prog, load(MOD, U.BPF_TRACE_FEXIT, store_in(map, 16))])
			expect(attach(fd)).toBeGreaterThan(0);
		expect(test_run(prog)).toBe((1 << 16) | (5 + 29));
		expect(first_value(map)).toBe(5n);
	});

	it("refuse a program that is attached already", () => {
		const prog = load(MOD, U.BPF_TRACE_FENTRY);
		expect(attach(prog)).toBeGreaterThan(0);
		expect(attach(prog)).toBe(-EBUSY);
	});

	it("count runs while statistics are on", () => {
		const prog = load(MOD, U.BPF_TRACE_FEXIT);
		expect(attach(prog)).toBeGreaterThan(0);
		const runner = load(MOD, U.BPF_MODIFY_RETURN);
		test_run(runner);
		expect(k.bpf.prog_stats.size).toBe(0);
		k.bpf.stats_enabled = 1;
		test_run(runner);
		test_run(runner);
		expect([...k.bpf.prog_stats.values()].map((s) => [s.cnt, s.misses])).toEqual([[2n, 0n]]);
	});

	it("tell about their links", () => {
		const link = attach(load(MOD, U.BPF_TRACE_FEXIT));
		const attr = new bpf_attr();
		const info = new bpf_link_info();
		attr.info_bpf_fd = link;
		attr.info_info_len = info.bytes.length;
		attr.info_info = put(0x2000, info.bytes);
		expect(bpf(U.BPF_OBJ_GET_INFO_BY_FD, attr)).toBe(0);
		info.bytes.set(k.copy_from_user(at + 0x2000, info.bytes.length)!);
		expect(info.type).toBe(U.BPF_LINK_TYPE_TRACING);
		expect(info.tracing_attach_type).toBe(U.BPF_TRACE_FEXIT);
		expect(info.tracing_target_obj_id).toBe(1);
		const btf = k.bpf.bpf_get_btf_vmlinux();
		if (typeof btf === "number") throw new Error("no BTF");
		expect(info.tracing_target_btf_id).toBe(btf_find_by_name_kind(btf, MOD, BTF_KIND_FUNC));
	});

	it("are not made for functions that nothing here calls", () => {
		const before = in_use().trampolines;
		const prog = load("bpf_lsm_file_open", U.BPF_LSM_MAC, ret(0), U.BPF_PROG_TYPE_LSM);
		expect(attach(prog)).toBe(-EOPNOTSUPP);
		expect(k.log).toContain("not ported: LSM hook bpf_lsm_file_open is never called");
		close_fd(k, prog);
		expect(in_use().trampolines).toBe(before);
	});
});
