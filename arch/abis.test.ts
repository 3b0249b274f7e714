// SPDX-License-Identifier: GPL-2.0-only
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { abi_of } from "./abis.ts";
import { ARCHES } from "./arches.ts";

test("nothing above arch/ asks which architecture it is", () => {
	const root = join(import.meta.dirname, "..");
	const found: string[] = [];
	for (const dir of ["kernel", "mm", "net"]) {
		for (const name of readdirSync(join(root, dir), { recursive: true }).map(String)) {
			if (!name.endsWith(".ts") || name.endsWith(".test.ts") || name.endsWith("testing.ts")) continue;
			for (const [i, line] of readFileSync(join(root, dir, name), "utf8")
				.split("\n")
				.entries())
				if (/[=!]== "(x86_64|arm64)"|instanceof (X86|Arm64)/.test(line))
					found.push(`${dir}/${name}:${i + 1}: ${line.trim()}`);
		}
	}
	expect(found).toEqual([]);
});

test("the answers agree with machine and JIT", () => {
	for (const [name, { layout }] of Object.entries(ARCHES)) {
		const abi = abi_of(name as keyof typeof ARCHES);
		expect(abi.task_size).toBe(layout.task_size);
		expect(new Set(abi.bpf_regs).size).toBe(11);
		expect(abi.sizeof_user_pt_regs).toBeLessThanOrEqual(abi.sizeof_pt_regs);
	}
});
