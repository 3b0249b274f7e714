// SPDX-License-Identifier: GPL-2.0-only
import { afterEach, describe, expect, it, vi } from "vitest";
import { CannotDisasm, disasm_one_func } from "./jit_disasm_helpers.ts";
import { LLVM_ENV, open_llvm_disasm } from "./llvm.ts";

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex"));

/** The text of a function, without the columns of its bytes. */
function lines(arch: "x86_64" | "arm64", hex: string): string[] {
	const ctx = open_llvm_disasm(arch)!;
	expect(ctx).not.toBeNull();
	try {
		return disasm_one_func(ctx, bytes(hex))
			.trimEnd()
			.split("\n")
			.map((l) => l.slice(l.indexOf("\t") + 1 + 36));
	} finally {
		ctx.close();
	}
}

describe("machine code as text", () => {
	afterEach(() => vi.unstubAllEnvs());

	it("is AT&T's on x86, with labels where branches of the function go", () => {
		// two jumps to the same place have two labels: the branch says the first, the place the one found first
		expect(lines("x86_64", "4883f821 7708 7306 e8d21f0000 90 c9 c3")).toEqual([
			"\tcmpq\t$0x21, %rax",
			"\tja\tL0",
			"\tjae\tL0",
			"\tcallq\t0x1fdf",
			"\tnop",
			"L1:\tleave",
			"\tretq",
		]);
	});

	it("names no place outside of the function", () => {
		expect(lines("x86_64", "e9fbefffff 7f00 c3")).toEqual([
			"\tjmp\t0xfffffffffffff000",
			"\tjg\tL0",
			"L0:\tretq",
		]);
	});

	it("is LLVM's on arm64", () => {
		expect(lines("arm64", "27008052 a0000054 e0000091 c0035fd6")).toEqual([
			"\tmov\tw7, #0x1",
			"\tb.eq\t0x18",
			"\tadd\tx0, x7, #0x0",
			"\tret",
		]);
		expect(lines("arm64", "40000054 1f2003d5 c0035fd6")).toEqual(["\tb.eq\tL0", "\tnop", "L0:\tret"]);
	});

	it("says where there is no instruction", () => {
		const ctx = open_llvm_disasm("x86_64")!;
		expect(() => disasm_one_func(ctx, bytes("90 06"))).toThrow(CannotDisasm);
		expect(() => disasm_one_func(ctx, bytes("90 06"))).toThrow("Can't disasm instruction at offset 1: 06");
		ctx.close();
	});

	it("is not to be had without a library", () => {
		vi.stubEnv(LLVM_ENV, "/nowhere/libLLVM.so");
		expect(open_llvm_disasm("x86_64")).toBeNull();
	});
});
