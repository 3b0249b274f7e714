// SPDX-License-Identifier: GPL-2.0-only
/**
 * Each access that a program may make to its arena, as machine code of both JITs, through many pairs of registers:
 * on a page that is there, and on one that is not, where loads read 0, and stores and atomics leave memory and
 * registers alone.
 */
import { describe, expect, it } from "vitest";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { assemble } from "../../lib/bpf_asm.ts";
import { boot } from "../boot.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { TaskSys } from "../sys.ts";

const PAGE = 4096;
const SZ_4G = 2 ** 32;
const M = 0x8899aabbccddeeffn;
const VAL = 0xf1e2d3c4b5a69788n;
const IMM = -0x1234567;
/** Where results go: far from what the operations touch, in the page that is there. */
const RESULT = 0x800;

interface Op {
	readonly name: string;
	/** Bytes. */
	readonly width: number;
	/** The instruction on `*(base + off)` with register `v`. */
	readonly text: (mem: string, v: number) => string;
	readonly kind: "load" | "store" | "store_imm" | "atomic" | "fetch" | "xchg" | "cmpxchg";
	readonly calc?: (a: bigint, b: bigint) => bigint;
	readonly only?: "arm64";
}

const ALU: readonly (readonly [string, string, (a: bigint, b: bigint) => bigint])[] = [
	["+=", "add", (a, b) => a + b],
	["|=", "or", (a, b) => a | b],
	["&=", "and", (a, b) => a & b],
	["^=", "xor", (a, b) => a ^ b],
];

function ops(): Op[] {
	const out: Op[] = [];
	for (const width of [1, 2, 4, 8]) {
		const type = `u${width * 8}`;
		out.push(
			{ name: `load ${type}`, width, kind: "load", text: (m, v) => `r${v} = *(${type} *)${m}` },
			{ name: `store ${type}`, width, kind: "store", text: (m, v) => `*(${type} *)${m} = r${v}` },
			{ name: `store ${type} imm`, width, kind: "store_imm", text: (m) => `*(${type} *)${m} = ${IMM}` },
		);
	}
	for (const width of [4, 8]) {
		const type = `u${width * 8}`;
		const r = width === 4 ? "w" : "r";
		for (const [sign, name, calc] of ALU) {
			out.push({
				name: `${name} ${type}`,
				width,
				kind: "atomic",
				calc,
				text: (m, v) => `lock *(${type} *)${m} ${sign} ${r}${v}`,
			});
			out.push({
				name: `fetch ${name} ${type}`,
				width,
				kind: "fetch",
				calc,
				// x86 would need a loop, which the exception table cannot leave
				...(name === "add" ? {} : { only: "arm64" as const }),
				text: (m, v) => `${r}${v} = atomic_fetch_${name}((${type} *)${m}, ${r}${v})`,
			});
		}
		out.push(
			{
				name: `xchg ${type}`,
				width,
				kind: "xchg",
				text: (m, v) => `${r}${v} = xchg((${type} *)${m}, ${r}${v})`,
			},
			{
				name: `cmpxchg ${type}`,
				width,
				kind: "cmpxchg",
				text: (m, v) => `${r}0 = cmpxchg((${type} *)${m}, ${r}0, ${r}${v})`,
			},
		);
	}
	return out;
}

/** What is in memory, the value's register and r0 afterwards. */
interface After {
	readonly mem: bigint;
	readonly val: bigint;
	readonly r0: bigint;
}

/** arm64: offsets of a store that fit its instruction (is_lsi_offset). */
function fits(off: number, width: number): boolean {
	return off >= 0 && off <= 0xfff * width && off % width === 0;
}

function model(op: Op, r0: bigint, present: boolean, arch: string, off: number): After {
	const bits = 8 * op.width;
	const u = (v: bigint): bigint => BigInt.asUintN(bits, v);
	const put = (v: bigint): bigint => M - u(M) + u(v);
	if (!present) return { mem: 0n, val: op.kind === "load" ? 0n : VAL, r0 };
	// v6.12 has the offset overwrite the address (tmp2 holds both): the store goes nowhere
	if (arch === "arm64" && op.kind === "store_imm" && !fits(off, op.width)) return { mem: M, val: VAL, r0 };
	const old = u(M);
	switch (op.kind) {
		case "load":
			return { mem: M, val: old, r0 };
		case "store":
			return { mem: put(VAL), val: VAL, r0 };
		case "store_imm":
			return { mem: put(BigInt(IMM)), val: VAL, r0 };
		case "atomic":
			return { mem: put(op.calc!(M, VAL)), val: VAL, r0 };
		case "fetch":
			return { mem: put(op.calc!(M, VAL)), val: old, r0 };
		case "xchg":
			return { mem: put(VAL), val: old, r0 };
		case "cmpxchg":
			return { mem: old === u(r0) ? put(VAL) : M, val: VAL, r0: old };
	}
}

/** A process with an arena of two pages: one is there, the other not. */
class Arena {
	readonly kernel: KernelImpl;
	readonly sys: TaskSys;
	readonly base: number;
	private readonly mem: number;
	private readonly fd: number;
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.sys = new TaskSys(kernel, kernel.new_task());
		this.mem = this.sys.mmap(0, 16 * PAGE, 3, 0x22, -1, 0);
		this.fd = this.call(U.BPF_MAP_CREATE, (a) => {
			a.map_type = U.BPF_MAP_TYPE_ARENA;
			a.max_entries = 2;
			a.map_flags = U.BPF_F_MMAPABLE;
		});
		this.base = this.sys.mmap(0, 2 * PAGE, 3, 1, this.fd, 0);
		this.sys.store64(this.base, 0n);
	}
	private call(cmd: number, set: (a: bpf_attr) => void): number {
		const attr = new bpf_attr();
		set(attr);
		this.sys.store(this.mem, attr.bytes);
		const ret = this.sys.bpf(cmd, this.mem, attr.bytes.length);
		if (ret < 0) {
			const log = Buffer.from(this.sys.load(this.mem + 4 * PAGE, 8 * PAGE)).toString("latin1");
			throw new Error(`bpf ${cmd}: ${ret} ${log.slice(0, log.indexOf("\0"))}`);
		}
		return ret;
	}
	/** Load and run a program once. */
	run(text: string): void {
		const { bytes, relocs } = assemble(text);
		const dv = new DataView(bytes.buffer, bytes.byteOffset);
		for (const r of relocs) dv.setInt32(8 * r.insn + 4, this.fd, true);
		this.sys.store(this.mem + 2 * PAGE, bytes);
		this.sys.store(this.mem + PAGE, Buffer.from("GPL\0"));
		const prog = this.call(U.BPF_PROG_LOAD, (a) => {
			a.prog_type = U.BPF_PROG_TYPE_SYSCALL;
			a.prog_flags = U.BPF_F_SLEEPABLE;
			a.insns = BigInt(this.mem + 2 * PAGE);
			a.insn_cnt = bytes.length / 8;
			a.license = BigInt(this.mem + PAGE);
			a.log_level = 1;
			a.log_buf = BigInt(this.mem + 4 * PAGE);
			a.log_size = 8 * PAGE;
		});
		this.call(U.BPF_PROG_TEST_RUN, (a) => {
			a.test_prog_fd = prog;
		});
		this.sys.close(prog);
	}
	/** One operation on the word at an address. */
	operate(op: Op, addr: number, base: number, v: number, off: number, r0: bigint): After {
		const { sys } = this;
		const low = (a: number): string => `0x${(a % SZ_4G).toString(16)} ll`;
		const result = [4, 3, 1].find((r) => r !== base && r !== v)!;
		const lines = ["r1 = map[0] ll"];
		if (base !== 0 && v !== 0) lines.push(`r0 = ${r0} ll`);
		if (v !== base) lines.push(`r${v} = ${v === 0 && op.kind === "cmpxchg" ? r0 : VAL} ll`);
		lines.push(
			`r${base} = ${low(addr - off)}`,
			`r${base} = addr_space_cast(r${base}, 0, 1)`,
			op.text(`(r${base} ${off < 0 ? "-" : "+"} ${Math.abs(off)})`, v),
			`r${result} = ${low(this.base + RESULT)}`,
			`r${result} = addr_space_cast(r${result}, 0, 1)`,
			`*(u64 *)(r${result} + 0) = r${v}`,
			`*(u64 *)(r${result} + 8) = r0`,
			"r0 = 0",
			"exit",
		);
		if (base === 0) lines.splice(lines.length - 3, 1);
		this.run(lines.join("\n"));
		const at = this.base + RESULT;
		return {
			mem: addr < this.base + PAGE ? sys.load64(addr) : 0n,
			val: sys.load64(at),
			r0: sys.load64(at + 8),
		};
	}
}

/** Base and value: of each kind of machine register; the same one for loads. */
const PAIRS: readonly (readonly [number, number])[] = [
	[1, 5],
	[5, 2],
	[2, 6],
	[7, 3],
	[8, 9],
	[9, 8],
	[5, 5],
];

/** What r0 is before: for a cmpxchg, what is in memory, and what is not. */
function expected(op: Op, present: boolean): bigint[] {
	if (op.kind !== "cmpxchg") return [0x1122334455667788n];
	const old = BigInt.asUintN(8 * op.width, M);
	// the upper half of r0 is cleared after a cmpxchg of 32 bits, but not in an arena (is_cmpxchg_insn)
	return present ? [old, old ^ 1n] : [old, M];
}

describe.each(["x86_64", "arm64"] as const)("arena accesses of %s", (arch) => {
	const kernel = boot({ arch, cpu: "unicorn", cpus: 1, memory: 64 << 20 });
	const arena = new Arena(kernel);
	const there = arena.base + 0x100;
	const missing = arena.base + PAGE + 0x100;

	it.each(ops().filter((o) => !o.only || o.only === arch))("$name", (op) => {
		for (const [base, v] of PAIRS) {
			if (base === v && op.kind !== "load") continue;
			for (const off of [0, -40, 0x7ff8, -0x8000])
				for (const present of [true, false])
					for (const r0 of expected(op, present)) {
						const addr = present ? there : missing;
						arena.sys.store64(there, M);
						const got = arena.operate(op, addr, base, v, off, r0);
						expect(got, `r${base}${off >= 0 ? "+" : ""}${off}, r${v}, ${present}`).toEqual(
							model(op, r0, present, arch, off),
						);
					}
		}
		// nothing of it brought the page in, or was worth a word
		expect(kernel.kmem.virt_to_pfn(kern(kernel, missing))).toBe(-1);
		expect(kernel.log.filter((l) => /BUG|oops|WARN/i.test(l))).toEqual([]);
	});
});

/** The kernel's address of one in the only arena. */
function kern(kernel: KernelImpl, addr: number): number {
	const [map] = [...kernel.bpf.maps.values()].filter((m) => m.map_type === U.BPF_MAP_TYPE_ARENA);
	return (map as unknown as { kern_base: number }).kern_base + (addr % SZ_4G);
}

describe("an arm64 without LSE atomics", () => {
	const kernel = boot({
		arch: "arm64",
		cpu: "unicorn",
		cpus: 1,
		memory: 64 << 20,
		config: { arm64: { lse_atomics: false, bti: false, pac: false, va_bits: 48 } },
	});
	const arena = new Arena(kernel);
	const there = arena.base + 0x100;

	it.each(ops())("$name", (op) => {
		const refused = ["atomic", "fetch", "xchg", "cmpxchg"].includes(op.kind);
		const run = (): unknown => arena.operate(op, there, 1, 2, 0, M);
		if (refused) expect(run).toThrow("BPF_ATOMIC stores into R1 arena is not allowed");
		else expect(run).not.toThrow();
	});
});
