// SPDX-License-Identifier: GPL-2.0-only
/**
 * Finding libunicorn on this machine. Nothing is spawned and nothing is downloaded here
 * (scripts/unicorn.ts does that); a library already there is found in about a millisecond.
 */
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";

/** Below this, guest page tables are ignored (2.0) or cached code goes stale through aliases (2.1.1). */
export const UNICORN_MIN_VERSION = "2.1.2";
/** The variable that names a library by hand. */
export const UNICORN_ENV = "BPF_MIRROR_UNICORN";

const SONAMES = ["libunicorn.so.2", "libunicorn.2.dylib"];

/** A library found: its file and its version. */
export interface UnicornLibrary {
	path: string;
	/** "2.1.4" */
	version: string;
	/** How it was found, for the one line that says so. */
	origin: "environment" | "system" | "project";
}

/** Thrown when there is no usable library; `message` says what, why and what to do. */
export class UnicornMissing extends Error {
	constructor(message: string) {
		super(message);
		this.name = "UnicornMissing";
	}
}

/** The project's own folder for it: `.cache/unicorn`. */
export function unicorn_cache_dir(): string {
	return fileURLToPath(new URL("../.cache/unicorn", import.meta.url));
}

/** Whether an ELF file is as long as its section headers say: the loader maps a truncated one, and dies of it later. */
function is_whole(path: string): boolean {
	const fd = openSync(path, "r");
	try {
		const head = new DataView(new ArrayBuffer(64));
		if (readSync(fd, head, 0, 64, 0) < 64 || head.getUint32(0) !== 0x7f454c46 || head.getUint8(4) !== 2)
			return true;
		const end = Number(head.getBigUint64(40, true)) + head.getUint16(58, true) * head.getUint16(60, true);
		return fstatSync(fd).size >= end;
	} finally {
		closeSync(fd);
	}
}

/** Version of a libunicorn file, or the reason why it cannot be used. */
export function probe_unicorn(path: string): { version: string; usable: boolean } | { error: string } {
	try {
		if (path.includes("/") && !is_whole(path)) return { error: "the file is truncated" };
		const lib = koffi.load(path);
		const uc_version = lib.func("unsigned int uc_version(void *, void *)");
		const v = uc_version(null, null) as number;
		const version = `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}`;
		return { version, usable: compare_versions(version, UNICORN_MIN_VERSION) >= 0 };
	} catch (e) {
		return { error: e instanceof Error ? e.message : String(e) };
	}
}

function compare_versions(a: string, b: string): number {
	const x = a.split(".").map(Number);
	const y = b.split(".").map(Number);
	for (let i = 0; i < 3; i++) if (x[i] !== y[i]) return (x[i] ?? 0) - (y[i] ?? 0);
	return 0;
}

/** Files in the project's folder, as `dpkg -x` lays them out: usr/lib/TRIPLET/libunicorn.so.2 */
function project_candidates(): string[] {
	const lib = join(unicorn_cache_dir(), "usr", "lib");
	const found: string[] = [];
	if (!existsSync(lib)) return found;
	for (const triplet of readdirSync(lib)) {
		for (const so of SONAMES) {
			const path = join(lib, triplet, so);
			if (existsSync(path)) found.push(path);
		}
	}
	return found;
}

/** Directories of the dynamic linker: the usual ones and what ld.so.conf names. */
function system_candidates(): string[] {
	const dirs = new Set<string>(["/usr/local/lib", "/usr/lib", "/usr/lib64", "/opt/homebrew/lib"]);
	const triplet = process.arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
	for (const dir of [`/usr/lib/${triplet}`, `/usr/local/lib/${triplet}`, `/lib/${triplet}`]) dirs.add(dir);
	try {
		for (const conf of readdirSync("/etc/ld.so.conf.d"))
			for (const line of readFileSync(join("/etc/ld.so.conf.d", conf), "utf8").split("\n"))
				if (line.startsWith("/")) dirs.add(line.trim());
	} catch {
		// no such folder: the usual directories must do
	}
	const found: string[] = [];
	for (const dir of dirs) for (const so of SONAMES) if (existsSync(join(dir, so))) found.push(join(dir, so));
	return found;
}

/** What was looked at and why it would not do, for the message. */
export interface UnicornSearch {
	library: UnicornLibrary | null;
	rejected: string[];
}

/**
 * Look for a usable library: `$BPF_MIRROR_UNICORN`, then the system's, then the project's own.
 * A path given by hand that does not work is an error, never passed over.
 */
export function search_unicorn(): UnicornSearch {
	const rejected: string[] = [];
	const given = process.env[UNICORN_ENV];
	if (given) {
		const p = probe_unicorn(given);
		if ("error" in p) throw new UnicornMissing(`${UNICORN_ENV}=${given} cannot be loaded: ${p.error}`);
		if (!p.usable)
			throw new UnicornMissing(
				`${UNICORN_ENV}=${given} is Unicorn ${p.version}; at least ${UNICORN_MIN_VERSION} is needed ` +
					"(older ones ignore guest page tables or run stale code)",
			);
		return { library: { path: given, version: p.version, origin: "environment" }, rejected };
	}
	const lists = [
		{ origin: "system" as const, paths: system_candidates() },
		{ origin: "project" as const, paths: project_candidates() },
	];
	for (const { origin, paths } of lists) {
		for (const path of paths) {
			const p = probe_unicorn(path);
			if ("error" in p) rejected.push(`${path}: ${p.error}`);
			else if (!p.usable) rejected.push(`${path}: version ${p.version} is older than ${UNICORN_MIN_VERSION}`);
			else return { library: { path, version: p.version, origin }, rejected };
		}
	}
	return { library: null, rejected };
}

/** The library to use; throws `UnicornMissing` with instructions when there is none. */
export function find_unicorn(): UnicornLibrary {
	const { library, rejected } = search_unicorn();
	if (library) return library;
	const seen = rejected.length ? `\nLooked at:\n  ${rejected.join("\n  ")}` : "";
	throw new UnicornMissing(
		`No Unicorn ${UNICORN_MIN_VERSION} or later was found; the emulated CPUs need it.\n` +
			"Get it with `npx tsx scripts/unicorn.ts`, install a package that has it (Debian: libunicorn2t64 of " +
			`forky or sid), or name a libunicorn.so.2 in ${UNICORN_ENV}.${seen}`,
	);
}
