// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run messages`: which messages of the verifier no test reaches.
 *
 * Every call that logs is found in the source and its text made a pattern; the tests, run with
 * $BPF_MIRROR_MESSAGES, leave behind what was logged (lib/message_tap.ts). Two calls with the same text count as one.
 *
 *     npm run messages                   run the tests, then report
 *     npm run messages -- --from DIR     report on what an earlier run left in DIR; --max SHARE fails above it
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { MESSAGES_ENV, plainMessage } from "../lib/message_tap.ts";
import { cacheDir, rootDir } from "./paths.ts";

const CALL =
	/(?<!function )\b(verbose|bpf_log|bpf_verifier_vlog|btf_verifier_log(?:_type|_basic|_member|_vsi)?|verbose_linfo)\(/g;
const DIRS = ["kernel/bpf", "kernel/trace", "net"];

/** What the verifier says when it finds a mistake of its own, which no program should make it say. */
const GUARD = /internal (error|bug)|verifier bug|\bBUG\b|^bug:|misconfigured|malformed|^mark_reg_/i;

/** A message as the source has it: null in it is anything. */
type Template = readonly (string | null)[];

export interface Message {
	readonly file: string;
	readonly line: number;
	readonly template: Template;
}

/** Where a string, a comment or a bracketed part that begins at `i` ends. */
function skip(s: string, i: number): number {
	const c = s[i]!;
	if (s.startsWith("//", i)) return s.indexOf("\n", i);
	if (s.startsWith("/*", i)) return s.indexOf("*/", i) + 2;
	if (c === '"' || c === "'") {
		for (i++; s[i] !== c; i++) if (s[i] === "\\") i++;
		return i + 1;
	}
	if (c === "`") {
		for (i++; s[i] !== "`"; i++) {
			if (s[i] === "\\") i++;
			else if (s.startsWith("${", i)) i = skip(s, i + 1) - 1;
		}
		return i + 1;
	}
	if ("([{".includes(c)) {
		for (i++; !")]}".includes(s[i]!); ) i = skip(s, i);
		return i + 1;
	}
	return i + 1;
}

/** Parts of an expression between an operator that stands outside of all brackets. */
function split(s: string, op: string): string[] {
	const out: string[] = [];
	let from = 0;
	for (let i = 0; i < s.length; ) {
		if (s.startsWith(op, i) && !(op === "?" && (s[i + 1] === "?" || s[i + 1] === "." || s[i - 1] === "?"))) {
			out.push(s.slice(from, i));
			i += op.length;
			from = i;
		} else i = skip(s, i);
	}
	out.push(s.slice(from));
	return out;
}

function plainText(s: string): string {
	return s.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t" })[c] ?? c);
}

function literal(s: string): Template | null {
	if (skip(s, 0) !== s.length) return null;
	if (s[0] === '"' || s[0] === "'") return [plainText(s.slice(1, -1))];
	if (s[0] !== "`") return null;
	const out: (string | null)[] = [];
	let from = 1;
	for (let i = 1; i < s.length - 1; i++) {
		if (s[i] === "\\") i++;
		else if (s.startsWith("${", i)) {
			out.push(plainText(s.slice(from, i)), null);
			i = skip(s, i + 1) - 1;
			from = i + 1;
		}
	}
	out.push(plainText(s.slice(from, -1)));
	return out;
}

/** What an expression can be: the branches of conditionals, sums of strings. */
export function templates(expr: string): Template[] {
	const s = expr.trim();
	if (s.startsWith("(") && skip(s, 0) === s.length) return templates(s.slice(1, -1));
	const cond = split(s, "?");
	if (cond.length > 1) {
		const rest = s.slice(cond[0]!.length + 1);
		const [yes, ...no] = split(rest, ":");
		return [...templates(yes!), ...templates(no.join(":"))];
	}
	const sum = split(s, "+");
	if (sum.length > 1)
		return sum
			.map(templates)
			.reduce((all, part) => all.flatMap((a) => part.map((b) => [...a, ...b])), [[]] as Template[]);
	return [literal(s) ?? [null]];
}

/** Messages that a file can log. */
export function messagesOf(file: string, source: string): Message[] {
	const out: Message[] = [];
	for (const m of source.matchAll(CALL)) {
		const open = m.index + m[0].length - 1;
		const args = split(source.slice(open + 1, skip(source, open) - 1), ",").filter((a) => a.trim() !== "");
		const line = source.slice(0, m.index).split("\n").length;
		for (const template of templates(args.at(-1) ?? "")) {
			const fixed = template.filter((p) => p !== null).join("");
			if (/[a-z]{3}/i.test(fixed)) out.push({ file, line, template });
		}
	}
	return out;
}

/** The pattern of a message among logged texts, where digits are 0. */
function patternOf(t: Template): string {
	const body = t.map((p) => (p === null ? "[^]*" : plainMessage(p).replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
	return `^ ?${body.join("")}$`;
}

export interface Report {
	readonly all: readonly Message[];
	readonly unreached: readonly Message[];
}

/** All messages of the source against the texts that tests left in a folder. */
export function report(dir: string): Report {
	const root = rootDir();
	const files = DIRS.flatMap((d) =>
		readdirSync(join(root, d), { recursive: true, encoding: "utf8" })
			.filter((f) => f.endsWith(".ts") && !f.endsWith(".test.ts"))
			.map((f) => join(root, d, f)),
	);
	const distinct = new Map<string, Message>();
	for (const f of files.sort())
		for (const m of messagesOf(relative(root, f), readFileSync(f, "utf8"))) {
			const p = patternOf(m.template);
			if (!distinct.has(p)) distinct.set(p, m);
		}
	const said = new Set<string>();
	for (const f of readdirSync(dir).filter((f) => f.endsWith(".jsonl")))
		for (const line of readFileSync(join(dir, f), "utf8").split("\n"))
			if (line.endsWith('"')) said.add(JSON.parse(line) as string);
	const texts = [...said];
	const all = [...distinct.values()];
	const unreached = [...distinct].filter(([p]) => {
		const re = new RegExp(p);
		return !texts.some((t) => re.test(t));
	});
	return { all, unreached: unreached.map(([, m]) => m) };
}

function show(r: Report): void {
	let file = "";
	for (const m of r.unreached) {
		if (m.file !== file) process.stdout.write(`${m.file}\n`);
		file = m.file;
		const text = m.template.map((p) => p ?? "…").join("");
		process.stdout.write(`\t${m.line}: ${text.trim().replaceAll("\n", "\\n")}\n`);
	}
	const guards = r.unreached.filter((m) => GUARD.test(m.template.map((p) => p ?? "").join("")));
	process.stdout.write(
		`${r.unreached.length} not reached, ${guards.length} of which say that the verifier itself is wrong\n`,
	);
	const n = r.all.length - r.unreached.length;
	const share = ((100 * n) / r.all.length).toFixed(1);
	process.stdout.write(`verifier messages: ${n} of ${r.all.length} reached by a test (${share} %)\n`);
}

function main(): number {
	const { values } = parseArgs({ options: { from: { type: "string" }, max: { type: "string" } } });
	const dir = values.from ?? join(cacheDir(), "messages");
	if (values.from === undefined) {
		if (existsSync(dir)) rmSync(dir, { recursive: true });
		const env = { ...process.env, [MESSAGES_ENV]: dir };
		const node = (args: string[]) =>
			spawnSync(process.execPath, args, { cwd: rootDir(), env, stdio: ["ignore", "ignore", "inherit"] });
		node(["node_modules/vitest/vitest.mjs", "run"]);
		node(["scripts/bootstrap.mjs", "scripts/bpf-mirror.ts", "test_progs"]);
		node(["scripts/bootstrap.mjs", "scripts/bpf-mirror.ts", "test_verifier"]);
		node(["scripts/bootstrap.mjs", "scripts/bpf-mirror.ts", "test_verifier", "--interpret"]);
	}
	if (!existsSync(dir)) {
		process.stderr.write(`${dir}: no such folder\n`);
		return 1;
	}
	const r = report(dir);
	show(r);
	const max = values.max === undefined ? 1 : Number(values.max);
	return r.unreached.length > max * r.all.length ? 1 : 0;
}

if (process.argv[1]?.endsWith("messages.ts")) process.exitCode = main();
