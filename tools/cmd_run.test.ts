// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { main } from "./cli.ts";

const xdp = join(import.meta.dirname, "../.cache/progs/x86/test_xdp.bpf.o");

afterEach(() => vi.restoreAllMocks());

/** What the command prints, and its exit status. */
async function run(...args: string[]): Promise<{ out: string; err: string; code: number }> {
	let out = "";
	let err = "";
	vi.spyOn(process.stdout, "write").mockImplementation((text) => {
		out += text;
		return true;
	});
	vi.spyOn(process.stderr, "write").mockImplementation((text) => {
		err += text;
		return true;
	});
	const code = await main(["run", ...args]);
	vi.restoreAllMocks();
	return { out, err, code };
}

test("a program that passes the verifier is run on the packet", async () => {
	const packet = `ffffffffffff${"000102030405"}86dd${"00".repeat(50)}`;
	const { out, code } = await run(xdp, "--prog", "swap_macs", "--data-in", packet);
	expect(code).toBe(0);
	expect(out).toMatch(/^processed \d+ insns/m);
	expect(out).toMatch(/^swap_macs: returned [1-9]\d* \(0x[0-9a-f]+\)$/m);
	expect(out).toContain(`packet `);
});

test("the interpreter answers as the JIT does", async () => {
	const packet = `ffffffffffff${"000102030405"}0800${"45".repeat(50)}`;
	const line = (out: string) => /^\w+: returned .*$/m.exec(out)?.[0];
	const jit = line((await run(xdp, "--prog", "swap_macs", "--data-in", packet)).out);
	const interp = line((await run(xdp, "--prog", "swap_macs", "--data-in", packet, "--interpret")).out);
	expect(jit).toBeDefined();
	expect(interp).toBe(jit);
});

test("what is not there is said in one line", async () => {
	expect(await run("/no/such/object.o")).toMatchObject({
		code: 1,
		err: expect.stringMatching(/^ENOENT.*object\.o'\n$/),
	});
	const { code, err } = await run(xdp, "--prog", "nothing");
	expect(code).toBe(1);
	expect(err).toMatch(/has no program nothing; it has: .*\n$/);
});
