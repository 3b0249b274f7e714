// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run status`: what of the kernel is ported, file by file, and what is not: helper and kfunc bodies read
 * off a booted kernel, and every place of the source that answers "not ported".
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Table from "cli-table3";
import type { bpf_func_proto } from "../kernel/bpf/bpf_types.ts";
import * as helpers_proto from "../kernel/bpf/helpers_proto.ts";
import { kfunc_sets } from "../kernel/bpf/kfunc_sets.ts";
import * as trace_proto from "../kernel/trace/bpf_trace_proto.ts";
import * as filter_proto from "../net/core/filter_proto.ts";
import { colours } from "../tools/colours.ts";
import { bootMirror } from "../tools/mirror.ts";
import { rootDir } from "./paths.ts";
import { kernelFiles } from "./status_files.ts";

const SOURCES = ["arch", "fs", "kernel", "mm", "net"];

/** What a call of not_ported() names, with its place. */
export function notPortedPlaces(root: string): { place: string; what: string }[] {
	const out: { place: string; what: string }[] = [];
	for (const top of SOURCES) {
		let names: string[];
		try {
			names = readdirSync(join(root, top), { recursive: true }) as string[];
		} catch {
			continue;
		}
		for (const name of names.filter((n) => n.endsWith(".ts") && !n.endsWith(".test.ts")).sort()) {
			const text = readFileSync(join(root, top, name), "utf8");
			for (const m of text.matchAll(/not_ported\(\s*(?:[\w.]+,\s*)?(["`])(.*?)\1/g)) {
				const line = text.slice(0, m.index).split("\n").length;
				out.push({ place: `${top}/${name}:${line}`, what: m[2]!.replace(/\$\{.*?\}/g, "…") });
			}
		}
	}
	return out;
}

/** Kernel symbols of all helpers that have a prototype. */
export function helperSymbols(): string[] {
	const protos = [helpers_proto, filter_proto, trace_proto].flatMap(
		(m) => Object.values(m) as (bpf_func_proto | unknown)[],
	);
	const names = new Set<string>();
	for (const p of protos)
		if (typeof p === "object" && p !== null && "func" in p && typeof p.func === "string") names.add(p.func);
	return [...names].sort();
}

function columns(names: readonly string[]): string {
	const width = Math.max(...names.map((n) => n.length)) + 2;
	const per = Math.max(1, Math.floor(110 / width));
	const rows: string[] = [];
	for (let i = 0; i < names.length; i += per)
		rows.push(
			`  ${names
				.slice(i, i + per)
				.map((n) => n.padEnd(width))
				.join("")}`.trimEnd(),
		);
	return rows.join("\n");
}

/** All that the command prints. */
export function status(root: string): string {
	const out: string[] = [];
	const table = new Table({ head: ["kernel file", "state", "not ported"], style: { head: [], border: [] } });
	let whole = 0;
	for (const f of kernelFiles) {
		const state = !f.missing
			? colours.green("ported")
			: f.here.length
				? colours.yellow("partly")
				: colours.red("not ported");
		if (!f.missing) whole++;
		table.push([f.file, state, f.missing ?? ""]);
	}
	const part = kernelFiles.filter((f) => f.missing && f.here.length).length;
	out.push(table.toString());
	out.push(
		`${kernelFiles.length} files: ${whole} ported, ${part} partly, ${kernelFiles.length - whole - part} not\n`,
	);
	const { bodies } = bootMirror().kernel.bpf;
	const helpers = helperSymbols();
	const noBody = helpers.filter((n) => !bodies.has(n));
	out.push(
		colours.bold(
			`Helpers: ${helpers.length} functions verify, ${helpers.length - noBody.length} run. Without a body:`,
		),
	);
	out.push(`${columns(noBody)}\n`);
	const kfuncs = [
		...new Set(kfunc_sets.filter((s) => !s.module).flatMap((s) => Object.keys(s.kfuncs))),
	].sort();
	const noKfunc = kfuncs.filter((n) => !bodies.has(n));
	out.push(
		colours.bold(`kfuncs: ${kfuncs.length} verify, ${kfuncs.length - noKfunc.length} run. Without a body:`),
	);
	out.push(`${columns(noKfunc)}\n`);
	out.push(colours.bold('Answers "not ported":'));
	for (const { place, what } of notPortedPlaces(root)) out.push(`  ${place}  ${what}`);
	return `${out.join("\n")}\n`;
}

if (process.argv[1]?.endsWith("status.ts")) process.stdout.write(status(rootDir()));
