// SPDX-License-Identifier: GPL-2.0-only
/**
 * Records of a real kernel: what it said to each program of upstream's selftests. A folder of records has
 * kallsyms, kconfig and BTF files, and OBJ.jsonl with a line a program; a set is one such folder.
 */
import { spawnSync } from "node:child_process";
import {
	createReadStream,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	utimesSync,
	writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import type { RecordMap } from "./compare.ts";
import { MACHINE_JSON, type MachineFacts } from "./machine_facts.ts";
import { decompress } from "./record_file.ts";
import { untar } from "./tar.ts";

/** One BPF_PROG_TEST_RUN of a record. */
export interface RecordRun {
	err: number;
	retval: number;
	size_out: number;
	out: string;
}

/** Where two runs of one program differ (times, random numbers): by name, offsets of eight bytes each. */
export interface VolatileRun {
	retval?: boolean;
	out?: number[];
	data?: Record<string, number[]>;
	/** Maps whose elements are not the same. */
	entries?: string[];
}

/** One load of a record. */
export interface RecordLoad {
	skipped?: boolean;
	map_fixups: [string, number][];
	flags: number;
	level: number;
	err: number;
	/** -1 with an error: user space failed before the verifier. */
	processed: number;
	log?: string;
	insns?: string;
	maps?: (RecordMap & {
		type: number;
		key: number;
		value: number;
		max: number;
		flags: number;
		extra: number;
	})[];
	libbpf?: string;
	tag?: string;
	verified_insns?: number;
	xlated?: string;
	jited?: string;
	jited_ksyms?: string[];
	jited_func_lens?: number[];
	jited_lines?: [number, string][];
	/** What the program was run with, where that is not 64 zero bytes (hex). */
	run_in?: { data?: string; ctx?: string; repeat?: number };
	run?: RecordRun;
	/** Where the process had the arena (hex). */
	arena?: string;
	data?: Record<string, string>;
	/** Elements of arrays and hashes after the run: key and value. */
	entries?: Record<string, [string, string][]>;
	/** A second run of the same gave something else: what of it is not to be compared. */
	volatile?: VolatileRun;
}

/** A program attached with those of its object that came before it, and the trampoline that the kernel then made. */
export interface RecordTrampoline {
	/** 0 or a negative errno; the rest is only there with 0. */
	err: number;
	addr?: string;
	/** From its beginning; where the kernel's own ends is not recorded. */
	code?: string;
	/** The first bytes of the function that it is for; where these could be read. */
	head?: string;
	/** Programs of the object that are attached, in that order, to whatever function, and where their code is. */
	attached: [string, string][];
}

/** A program's record. */
export interface ProgRecord {
	obj: string;
	prog?: string;
	sec?: string;
	type?: number;
	attach_type?: number;
	tags?: string[];
	open_err?: number;
	libbpf?: string;
	/** Privileged, at level 4 and with the whole log. */
	g?: RecordLoad;
	g6?: RecordLoad;
	/** Without capabilities. */
	u?: RecordLoad;
	u6?: RecordLoad;
	trampoline?: RecordTrampoline;
	up_priv?: { res: string };
	up_unpriv?: { res: string };
}

/** A run of test_verifier's. */
export interface RawRecord {
	/** "#12/p name", or u without capabilities. */
	test: string;
	prog_type: number;
	attach: number;
	flags: number;
	btf_id: number;
	log_level: number;
	/** Positive. */
	errno: number;
	insns: string;
	maps: NonNullable<RecordLoad["maps"]>;
	func_info: string;
	func_info_cnt: number;
	fd_array: number;
	/** At level 6. */
	log6?: string;
	xlated?: string;
	jited?: string;
}

/** A folder of records. */
export interface RecordSet {
	readonly name: string;
	/** Where the kernel's symbols, types and configuration are. */
	readonly dir: string;
	/** File of raw programs, those of test_verifier; the set then has one object of that name. */
	readonly raw?: string;
	/** Objects, by name. */
	readonly objects: readonly string[];
}

const TEST_VERIFIER = "test_verifier";

function sets_in(dir: string): RecordSet[] {
	const names = readdirSync(dir).sort();
	const objects = names.filter((n) => n.endsWith(".jsonl")).map((n) => n.slice(0, -6));
	if (existsSync(join(dir, "kallsyms"))) return [{ name: basename(dir), dir, objects }];
	// deb-…: another kernel's records, to be named to be used
	return names
		.filter((n) => !n.startsWith("deb"))
		.map((n) => join(dir, n))
		.filter((p) => statSync(p).isDirectory())
		.flatMap(sets_in);
}

/** What `bpf-mirror record` wrote: unpacked without other programs. */
function unpack_here(dir: string, file: string, cache: string, say: (line: string) => void): void {
	const from = join(dir, file);
	const out = join(cache, file.replace(/\.tar\.(br|gz)$/, ""));
	if (existsSync(out) && statSync(out).mtimeMs >= statSync(from).mtimeMs) return;
	say(`unpacking ${from}`);
	rmSync(out, { recursive: true, force: true });
	const tmp = `${out}.tmp`;
	rmSync(tmp, { recursive: true, force: true });
	mkdirSync(tmp);
	for (const [name, bytes] of untar(decompress(file, readFileSync(from))))
		writeFileSync(join(tmp, basename(name)), bytes);
	renameSync(tmp, out);
}

/** Whether a set is of another architecture than asked for, as far as it says. */
function of_other_arch(set: RecordSet, arch: string): boolean {
	const file = join(set.dir, MACHINE_JSON);
	if (!existsSync(file)) return false;
	const facts = JSON.parse(readFileSync(file, "utf8")) as MachineFacts;
	return facts.arch !== (arch === "x86" ? "x86_64" : arch);
}

/** Archives SET.tar.zst are unpacked next to each other in a cache, once. */
function unpack(dir: string, cache: string, say: (line: string) => void): string {
	mkdirSync(cache, { recursive: true });
	for (const file of readdirSync(dir)) {
		if (/\.tar\.(br|gz)$/.test(file)) {
			unpack_here(dir, file, cache, say);
			continue;
		}
		const [, name, kind] = /^(.*)\.(tar|jsonl)\.zst$/.exec(file) ?? [];
		if (name === undefined || name.startsWith("deb-")) continue;
		if (kind === "jsonl" && name !== TEST_VERIFIER) continue;
		const out = join(cache, kind === "tar" ? name : `${name}.jsonl`);
		const from = join(dir, file);
		if (existsSync(out) && statSync(out).mtimeMs >= statSync(from).mtimeMs) continue;
		say(`unpacking ${from}`);
		const tmp = `${out}.tmp`;
		rmSync(tmp, { recursive: true, force: true });
		rmSync(out, { recursive: true, force: true });
		mkdirSync(tmp);
		const zstd = spawnSync("zstd", ["-dqf", from, "-o", `${tmp}/a`], { encoding: "utf8" });
		if (zstd.error || zstd.status !== 0) {
			throw new Error(
				`cannot unpack ${from}: the command zstd is needed (${zstd.error?.message ?? zstd.stderr})`,
			);
		}
		if (kind === "jsonl") {
			renameSync(`${tmp}/a`, out);
			rmSync(tmp, { recursive: true });
			const now = new Date();
			utimesSync(out, now, now);
			continue;
		}
		const tar = spawnSync("tar", ["-xf", "a"], { cwd: tmp, encoding: "utf8" });
		if (tar.status !== 0) throw new Error(`cannot unpack ${from}: ${tar.stderr}`);
		rmSync(`${tmp}/a`);
		renameSync(tmp, out);
	}
	return cache;
}

/**
 * The sets under a folder: unpacked ones, or archives as real-kernel/ARCH has them (then `cache` gets
 * what is in them). `arch` chooses a subfolder of that name where there is one.
 */
export function find_sets(
	dir: string,
	arch: string,
	cache: string,
	say: (line: string) => void,
): RecordSet[] {
	const own = join(dir, arch);
	const from = existsSync(own) ? own : dir;
	const packed = readdirSync(from).some((n) => /\.tar\.(zst|br|gz)$/.test(n));
	const unpacked = packed ? unpack(from, join(cache, arch), say) : from;
	// the cache may hold other folders' sets too
	const mine = new Set(readdirSync(from).map((n) => n.replace(/\.tar\.(zst|br|gz)$/, "")));
	const sets = sets_in(unpacked).filter((s) => (!packed || mine.has(s.name)) && !of_other_arch(s, arch));
	const first = sets[0];
	if (!first) throw new Error(`no records in ${from}: there is no folder with kallsyms in it`);
	const raw = join(unpacked, `${TEST_VERIFIER}.jsonl`);
	if (existsSync(raw)) {
		const { dir } = sets.find((s) => s.name === "verifier") ?? first;
		sets.push({ name: TEST_VERIFIER, dir, raw, objects: [TEST_VERIFIER] });
	}
	return sets;
}

async function* read_lines(file: string): AsyncGenerator<string> {
	const input = createReadStream(file, { encoding: "utf8" });
	for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }))
		if (line) yield line;
}

/** The records of one object, one at a time. */
export async function* read_object(set: RecordSet, obj: string): AsyncGenerator<ProgRecord> {
	for await (const line of read_lines(join(set.dir, `${obj}.jsonl`))) yield JSON.parse(line) as ProgRecord;
}

/** Name of a raw program, at the end of its line. */
function raw_name(line: string): string {
	const at = line.lastIndexOf('"test":');
	return at < 0 ? "" : (JSON.parse(/"(?:[^"\\]|\\.)*"/.exec(line.slice(at + 7))?.[0] ?? '""') as string);
}

/** The raw programs of these names, one at a time. */
export async function* read_raw(file: string, names: readonly string[]): AsyncGenerator<RawRecord> {
	const wanted = new Set(names);
	for await (const line of read_lines(file))
		if (wanted.has(raw_name(line))) yield JSON.parse(line) as RawRecord;
}

/** Names and costs of an object's programs, without their logs: [program, instructions processed]. */
export function outline(set: RecordSet, obj: string): [string, number][] {
	const text = readFileSync(set.raw ?? join(set.dir, `${obj}.jsonl`), set.raw ? "utf8" : "latin1");
	const out: [string, number][] = [];
	if (set.raw) {
		for (const line of text.split("\n")) if (line) out.push([raw_name(line), line.length / 10]);
		return out;
	}
	for (const line of text.split("\n")) {
		if (!line) continue;
		const prog = /"prog": ?"([^"]*)"/.exec(line)?.[1] ?? "";
		const cost = /"processed": ?(-?\d+)/.exec(line)?.[1] ?? "0";
		out.push([prog, Math.max(0, Number(cost)) + line.length / 200]);
	}
	return out;
}
