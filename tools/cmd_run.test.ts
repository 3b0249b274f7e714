// SPDX-License-Identifier: GPL-2.0-only
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "./run_cli.ts";

const xdp = join(import.meta.dirname, "../.cache/progs/x86/test_xdp.bpf.o");

const run = (...args: string[]) => runCli("run", ...args);

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

/** Machine instructions are traced between the verdict and the result. */
const traced = (out: string): string[] => out.slice(out.indexOf("accepted\n") + 9).split("\n");

test("a trace shows machine code with its BPF instructions", async () => {
	const { out, code } = await run(xdp, "--prog", "swap_macs", "--trace");
	expect(code).toBe(0);
	const lines = traced(out).map((l) => l.trimEnd());
	expect(lines).toContain("   0: (79) r2 = *(u64 *)(r1 +8)");
	// each BPF instruction is followed by its code
	const at = lines.indexOf("   2: (bf) r3 = r1");
	expect(lines[at + 1]).toMatch(/^ +[0-9a-f]+: {2}mov rdx, rdi$/);
	expect(lines.filter((l) => /: {2}ret$/.test(l)).length).toBe(1);
	// nothing of it without the flag
	const plain = (await run(xdp, "--prog", "swap_macs")).out;
	expect(plain).not.toMatch(/mov rdx, rdi/);
	expect(/returned .*$/m.exec(plain)?.[0]).toBe(/returned .*$/m.exec(out)?.[0]);
});

test("a trace on arm64 shows arm64's code", async () => {
	const arm = xdp.replace("/x86/", "/arm64/");
	const { out, code } = await run(arm, "--prog", "swap_macs", "--trace", "--arch", "arm64");
	expect(code).toBe(0);
	expect(out).toMatch(/^ +2: \(bf\) r3 = r1\n +[0-9a-f]+: {2}(mov|add) x2, x0/m);
	expect(out).toMatch(/: {2}ret$/m);
});

test("a trace of the interpreter shows the registers that changed", async () => {
	const { out, code } = await run(xdp, "--prog", "swap_macs", "--trace", "--interpret");
	expect(code).toBe(0);
	expect(out).toMatch(/^ +2: \(bf\) r3 = r1 +; r3=0x[0-9a-f]+$/m);
	const result = /^ +\d+: \(95\) exit\n(?:.*\n)*?swap_macs: returned (\d+)/m.exec(out);
	expect(result).not.toBeNull();
	// a helper's call gives its result and names it
	const call = await run(xdp.replace("test_xdp", "test_helpers_misc"), "--trace", "--interpret");
	expect(call.out).toMatch(/: \(85\) call bpf_\w+ +; r0=0x/);
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
