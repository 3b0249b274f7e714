// SPDX-License-Identifier: GPL-2.0-only
/** What compare says of objects that are none, before anything is booted for them. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runCli } from "./run_cli.ts";

const dir = mkdtempSync(join(tmpdir(), "compare."));
afterAll(() => rmSync(dir, { recursive: true }));
const record = join(import.meta.dirname, "../selftests/bpf/records/6.12.95-x86_64.tar.br");

it.each([
	["none.bpf.o", null, "there is no such file"],
	["folder", "folder", "this is no file"],
	["text.bpf.o", "hello\n", "this is no ELF object"],
	["empty.bpf.o", "", "this is no ELF object"],
] as const)("%s is named with what is wrong with it", async (name, content, wrong) => {
	const path = join(dir, name);
	if (content === "folder") mkdirSync(path);
	else if (content !== null) writeFileSync(path, content);
	for (const other of [record, "vm:x86_64"])
		expect(await runCli("compare", path, "--with", other)).toMatchObject({
			all: `${path}: ${wrong}\n`,
			code: 2,
		});
});

it("an object that is cut off is not compared", async () => {
	const path = join(dir, "test_xdp.bpf.o");
	const whole = readFileSync(join(import.meta.dirname, "../.cache/progs/x86/test_xdp.bpf.o"));
	writeFileSync(path, whole.subarray(0, 1000));
	const { all, code } = await runCli("compare", path, "--with", record);
	expect(code).not.toBe(0);
	expect(all).toMatch(/failed to open test_xdp as ELF file|no program/);
	expect(all).not.toMatch(/no difference/);
});
