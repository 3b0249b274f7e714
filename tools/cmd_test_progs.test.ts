// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCli } from "./run_cli.ts";

/** What test_progs prints, and its exit status. */
async function testProgs(...args: string[]): Promise<{ out: string; code: number }> {
	const { all, code } = await runCli("test_progs", ...args);
	return { out: all, code };
}

const object = join(import.meta.dirname, "../.cache/progs/x86/verifier_kfuncs.bpf.o");

test("the annotated programs of a given object are its tests", async () => {
	const { out, code } = await testProgs("--object", object);
	expect(out).toMatch(/^#1 {7}verifier_kfuncs:OK$/m);
	expect(out).toMatch(/^Summary: 1\/\d+ PASSED, 0 SKIPPED, 0 FAILED$/m);
	expect(code).toBe(0);
});

test("an object that upstream drives by hand is driven so", async () => {
	const htab = join(import.meta.dirname, "../.cache/progs/x86/arena_htab_asm.bpf.o");
	const { out, code } = await testProgs("--object", htab);
	expect(out).toMatch(/^#1\/1 {5}arena_htab_asm\/arena_htab_asm:OK$/m);
	expect(code).toBe(0);
	const write = join(import.meta.dirname, "../.cache/progs/x86/test_ringbuf_write.bpf.o");
	expect((await testProgs("--object", write)).out).toMatch(/^#1\/1 {5}ringbuf\/ringbuf_write:OK$/m);
});

test("an object or BTF that cannot be read is named", async () => {
	expect(await testProgs("--object", "/no/such.bpf.o")).toEqual({
		out: "ENOENT: no such file or directory, open '/no/such.bpf.o'\n",
		code: 1,
	});
	expect(await testProgs("--module-btf", "nothing")).toEqual({
		out: "--module-btf takes NAME=FILE, not nothing\n",
		code: 1,
	});
});

test("both architectures one after the other, each named", async () => {
	const { out, code } = await testProgs("--arch", "arm64,x86_64", "-a", "ringbuf_multi");
	expect(out).toMatch(
		/^x86_64:\n#\d+ +ringbuf_multi:OK\nSummary: 1\/0 .*\narm64:\n#\d+ +ringbuf_multi:OK\nSummary: 1\/0 .*\n$/,
	);
	expect(code).toBe(0);
	expect(await testProgs("--arch", "arm64,mips")).toEqual({
		out: "--arch takes x86_64, arm64 or both with a comma between, not 'mips'\n",
		code: 1,
	});
});

test("a report for each architecture", async () => {
	const dir = mkdtempSync(join(tmpdir(), "bpf-mirror-"));
	try {
		await testProgs("--arch", "x86_64,arm64", "-a", "ringbuf_multi", "-J", join(dir, "out.json"));
		expect(readdirSync(dir).sort()).toEqual(["out.arm64.json", "out.x86_64.json"]);
		for (const f of readdirSync(dir))
			expect(JSON.parse(readFileSync(join(dir, f), "utf8"))).toMatchObject({ success: 1, failed: 0 });
	} finally {
		rmSync(dir, { recursive: true });
	}
});
