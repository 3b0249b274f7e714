// SPDX-License-Identifier: GPL-2.0-only
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { find_sets, outline, type RawRecord, read_object, read_raw } from "./records.ts";

let dir = "";
const raw = (test: string): string =>
	JSON.stringify({ prog_type: 1, log6: 'says "test": "#9/p no"', insns: "", test, result: "OK" });
beforeAll(() => {
	dir = mkdtempSync(join(tmpdir(), "records-"));
	for (const set of ["verifier", "heavy", "deb-verifier"]) {
		mkdirSync(join(dir, "x86", set), { recursive: true });
		writeFileSync(join(dir, "x86", set, "kallsyms"), "");
		writeFileSync(
			join(dir, "x86", set, `${set}_obj.jsonl`),
			'{"obj": "o", "prog": "a", "g": {"processed": 7}}\n{"obj": "o", "prog": "b", "g": {"processed": -1}}\n',
		);
	}
	writeFileSync(join(dir, "x86", "test_verifier.jsonl"), `${raw("#0/u one")}\n${raw('#1/p say "two"')}\n`);
	mkdirSync(join(dir, "arm64"));
});
afterAll(() => rmSync(dir, { recursive: true }));

const sets = () => find_sets(dir, "x86", join(dir, "cache"), () => {});

it("sets are folders with kallsyms; another kernel's are left out, raw programs have the first one's kernel", () => {
	expect(sets().map((s) => [s.name, s.dir.slice(dir.length), s.objects])).toEqual([
		["heavy", "/x86/heavy", ["heavy_obj"]],
		["verifier", "/x86/verifier", ["verifier_obj"]],
		["test_verifier", "/x86/verifier", ["test_verifier"]],
	]);
	expect(() => find_sets(dir, "arm64", join(dir, "cache"), () => {})).toThrow(/no records in .*arm64/);
});

it("programs are listed and read", async () => {
	const [heavy] = sets();
	expect(outline(heavy!, "heavy_obj").map(([name]) => name)).toEqual(["a", "b"]);
	const progs: (string | undefined)[] = [];
	for await (const rec of read_object(heavy!, "heavy_obj")) progs.push(rec.prog);
	expect(progs).toEqual(["a", "b"]);
});

it("raw programs are found by their own name, not by one in a log", async () => {
	const set = sets().find((s) => s.raw)!;
	expect(outline(set, "test_verifier").map(([name]) => name)).toEqual(["#0/u one", '#1/p say "two"']);
	const found: RawRecord[] = [];
	for await (const r of read_raw(set.raw!, ['#1/p say "two"', "#9/p no"])) found.push(r);
	expect(found.map((r) => r.test)).toEqual(['#1/p say "two"']);
});
