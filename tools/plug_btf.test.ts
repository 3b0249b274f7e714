// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bootMirror } from "./mirror.ts";
import { runCli } from "./run_cli.ts";

const dir = mkdtempSync(join(tmpdir(), "plug-"));
const vmlinux = join(dir, "vmlinux.btf");
const testmod = join(dir, "bpf_testmod.btf");
const prog = (name: string): string => join(import.meta.dirname, `../.cache/progs/x86/${name}.bpf.o`);

beforeAll(() => {
	const sys = bootMirror({ modules: ["bpf_testmod"] }).newProcess();
	const save = (from: string, to: string): void => {
		const bytes = sys.readFile(`/sys/kernel/btf/${from}`);
		if (typeof bytes === "number") throw new Error(`${bytes}`);
		writeFileSync(to, bytes);
	};
	save("vmlinux", vmlinux);
	save("bpf_testmod", testmod);
});
afterAll(() => rmSync(dir, { recursive: true }));

const plugs = (): string[] => ["--vmlinux-btf", vmlinux, "--module-btf", `bpf_testmod=${testmod}`];

test("types that are plugged in are those that programs are held against", async () => {
	// kfuncs of the module: without its BTF there are none
	const object = prog("struct_ops_multi");
	expect((await runCli("run", object, "--log-level", "0")).code).toBe(1);
	expect(await runCli("run", object, "--log-level", "0", "--prog", "test_1", ...plugs())).toMatchObject({
		err: expect.not.stringContaining("libbpf"),
		out: expect.stringContaining("accepted"),
	});
});

test("every command that boots a kernel takes them", async () => {
	const object = prog("struct_ops_multi");
	expect((await runCli("veristat", prog("test_pkt_access"), ...plugs())).out).toMatch(/ success /);
	expect((await runCli("dump", "xlated", object, "--prog", "tramp_7", ...plugs())).out).toContain("w0 = 7");
	expect((await runCli("test_verifier", "1", "2", ...plugs())).code).toBe(0);
});

test("what cannot be plugged in is named, and why", async () => {
	const bad = async (...args: string[]): Promise<string> => {
		const r = await runCli("run", prog("test_xdp"), ...args);
		expect(r.code).toBe(1);
		return r.err;
	};
	const junk = join(dir, "junk.btf");
	writeFileSync(junk, "no types in here, just words");
	expect(await bad("--vmlinux-btf", junk)).toBe(`${junk} is no BTF: Invalid BTF magic: 6f6e\n`);
	expect(await bad("--vmlinux-btf", "/nowhere/btf")).toMatch(/^ENOENT: .*\/nowhere\/btf'\n$/);
	expect(await bad("--module-btf", `m=${testmod}`)).toBe(
		"--module-btf goes with --vmlinux-btf: a module's types build on those of its kernel\n",
	);
	expect(await bad("--vmlinux-btf", vmlinux, "--module-btf", "m")).toBe(
		"--module-btf takes NAME=FILE, not m\n",
	);
	expect(await bad("--vmlinux-btf", vmlinux, "--module-btf", `m=${junk}`)).toBe(
		`${junk} is no BTF: Invalid BTF magic: 6f6e\n`,
	);
});
