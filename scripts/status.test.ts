// SPDX-License-Identifier: GPL-2.0-only
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bootMirror } from "../tools/mirror.ts";
import { rootDir } from "./paths.ts";
import { helperSymbols, notPortedPlaces } from "./status.ts";
import { kernelFiles } from "./status_files.ts";

test("every file that status names is there", () => {
	for (const f of kernelFiles)
		for (const here of f.here) expect(existsSync(join(rootDir(), here)), here).toBe(true);
});

test("a file without a counterpart is not called ported", () => {
	for (const f of kernelFiles) if (!f.missing) expect(f.here.length, f.file).toBeGreaterThan(0);
});

test("status finds the answers of the source", () => {
	expect(notPortedPlaces(rootDir()).map((p) => p.what)).toContain("BPF tokens");
});

test("every helper of the tables that has a body is called by its kernel symbol", () => {
	const { bodies } = bootMirror().kernel.bpf;
	const symbols = helperSymbols();
	expect(symbols.length).toBeGreaterThan(250);
	expect(symbols.filter((s) => bodies.has(s)).length).toBeGreaterThan(80);
});
