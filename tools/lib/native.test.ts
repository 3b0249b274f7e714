// SPDX-License-Identifier: GPL-2.0-only
/** Machine code of user space: what an object must be, and how calls end. */
import { describe, expect, it } from "vitest";
import { readProg } from "../../selftests/bpf/skel.ts";
import { bootMirror } from "../mirror.ts";
import { Native } from "./native.ts";

/** An ELF object with these bytes as its code, and one function `f`. */
function object(machine: number, code: Uint8Array): Uint8Array {
	const b = Buffer.alloc(0x400);
	b.write("\x7fELF\x02\x01\x01", 0, "latin1");
	b.writeUInt16LE(1, 16);
	b.writeUInt16LE(machine, 18);
	b.writeBigUInt64LE(0x200n, 40);
	b.writeUInt16LE(4, 60);
	b.set(code, 0x100);
	b.write("\0f\0", 0x180, "latin1");
	b.writeUInt32LE(1, 0x140 + 24);
	b[0x140 + 28] = 2;
	b.writeUInt16LE(1, 0x140 + 30);
	const section = (i: number, type: number, flags: number, off: number, size: number, link: number): void => {
		const at = 0x200 + 64 * i;
		b.writeUInt32LE(type, at + 4);
		b.writeBigUInt64LE(BigInt(flags), at + 8);
		b.writeBigUInt64LE(BigInt(off), at + 24);
		b.writeBigUInt64LE(BigInt(size), at + 32);
		b.writeUInt32LE(link, at + 40);
	};
	section(1, 1, 6, 0x100, code.length, 0);
	section(2, 2, 0, 0x140, 48, 3);
	section(3, 3, 0, 0x180, 3, 0);
	return b;
}

describe.each([
	["x86_64", 62, "0f0b", "cc", "488d043ec3", "31c0ff10"],
	["arm64", 183, "00000000", "000020d4", "0000018bc0035fd6", "000080d200003fd6"],
] as const)("%s", (arch, machine, undefined_insn, breakpoint, sum, null_call) => {
	const mirror = bootMirror({ arch, cpus: 1, memory: 64 << 20 });
	const sys = mirror.newProcess();
	const load = (hex: string): Native => Native.load(sys, object(machine, Buffer.from(hex, "hex")));

	it("calls a function with integers", () => {
		const f = load(sum);
		expect(f.call("f", 40, 2n)).toBe(42n);
		expect(f.call("f", -1, 0)).toBe(2n ** 64n - 1n);
		expect(() => f.call("g")).toThrow("no function g in the object");
		f.unload();
		expect(f.signal("f", 1, 2)).toBe("SIGSEGV");
	});

	it("says by which signal it ended", () => {
		expect(() => load(undefined_insn).call("f")).toThrow("SIGILL");
		expect(() => load(breakpoint).call("f")).toThrow("SIGTRAP");
		expect(load(null_call).signal("f")).toBe("SIGSEGV");
	});

	it("refuses what is no code of this machine", () => {
		expect(() => Native.load(sys, new Uint8Array(10))).toThrow("no ELF object");
		const other = readProg("arena_walk", arch === "arm64" ? "x86_64" : "arm64", ".native.o");
		expect(() => Native.load(sys, other)).toThrow(`an object for another machine than ${arch}`);
		expect(() => Native.load(sys, readProg("arena_walk", arch))).toThrow("another machine");
		const good = readProg("arena_walk", arch, ".native.o");
		for (const at of [40, 60, 62])
			for (const v of [0, 0x7f, 0xff]) {
				const bad = Uint8Array.from(good);
				bad.fill(v, at, at + 2);
				try {
					Native.load(sys, bad).unload();
				} catch (e) {
					expect((e as Error).message).toMatch(/ELF object|no code|relocations/);
				}
			}
	});
});
