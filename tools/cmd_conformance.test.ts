// SPDX-License-Identifier: GPL-2.0-only
import { afterEach, describe, expect, test, vi } from "vitest";
import { assemble } from "../lib/bpf_asm.ts";
import { main } from "./cli.ts";

afterEach(() => vi.restoreAllMocks());

/** The plugin's answer: what it prints, and its exit status. */
async function plugin(source: string, memory: string[], ...flags: string[]): Promise<[string, number]> {
	let out = "";
	const write = (text: string | Uint8Array): boolean => {
		out += text.toString();
		return true;
	};
	vi.spyOn(process.stdout, "write").mockImplementation(write);
	vi.spyOn(process.stderr, "write").mockImplementation(write);
	const program = Buffer.from(assemble(source).bytes).toString("hex").replace(/(..)/g, "$1 ").trim();
	const code = await main(["conformance", ...memory, "--program", program, ...flags]);
	vi.restoreAllMocks();
	return [out, code];
}

describe.each(["--jit", "--interpret"])("bpf_conformance plugin, %s", (engine) => {
	test("prints r0 in hex", async () => {
		expect(await plugin("r0 = 42\nexit", [], engine)).toEqual(["2a\n", 0]);
	});
	test("a program that the verifier rejects is an error", async () => {
		const [out, code] = await plugin("exit", [], engine);
		expect(code).not.toBe(0);
		expect(out).not.toBe("");
	});
});

test("both engines at once are refused", async () => {
	const [out, code] = await plugin("r0 = 0\nexit", [], "--jit", "--interpret");
	expect([out, code]).toEqual(["conformance: --interpret and --jit exclude each other\n", 1]);
});

test("memory and program that are no hex are named", async () => {
	expect((await plugin("r0 = 0\nexit", ["0g"]))[0]).toBe("conformance: the memory is no hex\n");
});
