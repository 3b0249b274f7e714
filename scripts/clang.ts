// SPDX-License-Identifier: GPL-2.0-only
/**
 * Get clang 19 or later, which builds the BPF programs of the selftests.
 *
 * Looked for, in this order: $BPF_MIRROR_CLANG, clang-19 to clang-22 and clang on the PATH, one unpacked earlier into
 * .cache/clang. Else Debian's package clang-19 and what it needs are unpacked there, without root.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { cacheDir } from "./paths.ts";
import { apt_files, debian_source } from "./unicorn.ts";

export const CLANG_ENV = "BPF_MIRROR_CLANG";
const MIN_MAJOR = 19;
const PACKAGE = "clang-19";

/** A compiler: its path and what its environment must hold besides. */
export interface Clang {
	readonly path: string;
	readonly env: Readonly<Record<string, string>>;
}

/** clang could not be found or fetched; the message says what to do. */
export class ClangMissing extends Error {}

function clangDir(): string {
	return join(cacheDir(), "clang");
}

function byHand(why: string): ClangMissing {
	return new ClangMissing(
		`No clang ${MIN_MAJOR} or later here, and it could not be downloaded: ${why}.\n` +
			`By hand: install Debian's package ${PACKAGE} (apt-get install ${PACKAGE}), or set ${CLANG_ENV} to a clang with the BPF target.`,
	);
}

/** The compiler's major version; null where it does not run or has no BPF target. */
function majorOf(clang: Clang): number | null {
	const r = spawnSync(clang.path, ["--print-targets"], {
		encoding: "utf8",
		env: { ...process.env, ...clang.env },
	});
	if (r.status !== 0 || !/^\s+bpf\b/m.test(r.stdout)) return null;
	const v = spawnSync(clang.path, ["-dumpversion"], {
		encoding: "utf8",
		env: { ...process.env, ...clang.env },
	});
	return v.status === 0 ? Number.parseInt(v.stdout, 10) : null;
}

function onPath(name: string): string | null {
	for (const dir of (process.env.PATH ?? "").split(delimiter)) {
		const path = join(dir, name);
		if (dir !== "" && existsSync(path)) return path;
	}
	return null;
}

/** The compiler as Debian's packages lay it out in a folder. */
function unpacked(dir: string): Clang | null {
	const path = join(dir, "usr/bin/clang-19");
	if (!existsSync(path)) return null;
	const libs = readdirSync(join(dir, "usr/lib"))
		.filter((d) => d.endsWith("-linux-gnu"))
		.map((d) => join(dir, "usr/lib", d));
	libs.push(join(dir, "usr/lib/llvm-19/lib"));
	const before = process.env.LD_LIBRARY_PATH;
	return { path, env: { LD_LIBRARY_PATH: [...libs, ...(before ? [before] : [])].join(":") } };
}

/** A clang that will do, without asking it much: the path alone decides on a second run. */
export function findClang(): Clang | null {
	const given = process.env[CLANG_ENV];
	if (given) return { path: given, env: {} };
	for (const name of ["clang-19", "clang-20", "clang-21", "clang-22"]) {
		const path = onPath(name);
		if (path) return { path, env: {} };
	}
	const own = unpacked(clangDir());
	if (own) return own;
	const path = onPath("clang");
	if (path === null) return null;
	const clang = { path, env: {} };
	return (majorOf(clang) ?? 0) >= MIN_MAJOR ? clang : null;
}

function run(cmd: string, args: string[], cwd: string): { out: string; why: string | null } {
	const r = spawnSync(cmd, args, {
		cwd,
		encoding: "utf8",
		stdio: ["ignore", "pipe", "pipe"],
		maxBuffer: 1 << 26,
	});
	if (r.error) return { out: "", why: `${cmd}: ${r.error.message}` };
	if (r.status === 0) return { out: r.stdout, why: null };
	const words = r.stderr.split("\n").filter((l) => /^(E|Err):|rror/.test(l));
	const fetch = words.find((l) => /^E: Failed to fetch/.test(l));
	return { out: "", why: (fetch ?? words.slice(-2).join("; ")) || `${cmd} ended with status ${r.status}` };
}

function download(say: (line: string) => void): Clang {
	if (process.platform !== "linux") throw byHand(`this is ${process.platform}, not Linux`);
	const codename = /^VERSION_CODENAME=(\S+)/m.exec(
		existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "",
	)?.[1];
	for (const tool of ["apt-get", "dpkg"])
		if (onPath(tool) === null) throw byHand(`this system has no ${tool} (only Debian's way is known here)`);
	const source = debian_source(apt_files());
	if (!source || codename === undefined) throw byHand("no Debian archive among this machine's apt sources");

	// unpacked beside and moved in at the end: what an interrupted run leaves is never taken for a compiler
	const dir = `${clangDir()}.${process.pid}`;
	const apt = join(dir, "apt");
	for (const d of ["lists/partial", "cache/archives/partial", "debs"])
		mkdirSync(join(apt, d), { recursive: true });
	const conf = join(apt, "apt.conf");
	writeFileSync(
		join(apt, "sources.list"),
		`deb [signed-by=${source.keyring}] ${source.uri} ${codename} main\n`,
	);
	const settings = [
		`Dir::Etc::sourcelist "${join(apt, "sources.list")}";`,
		'Dir::Etc::sourceparts "/dev/null";',
		`Dir::State::lists "${join(apt, "lists")}";`,
		`Dir::Cache "${join(apt, "cache")}";`,
		'Acquire::Languages "none";',
		// an archive out of reach is an error, not a warning with old lists
		'APT::Update::Error-Mode "any";',
		'APT::Update::Post-Invoke { "true"; };',
		'APT::Update::Post-Invoke-Success { "true"; };',
	];
	if (process.getuid?.() === 0) settings.push('APT::Sandbox::User "root";');
	writeFileSync(conf, `${settings.join("\n")}\n`);

	say(`reading the package list of Debian ${codename} (about 9 MB)`);
	let r = run("apt-get", ["-q", "-c", conf, "update"], dir);
	if (r.why) throw byHand(r.why);
	// What the machine lacks of the package and its dependencies, as apt would install them.
	r = run("apt-get", ["-q", "-s", "-c", conf, "--no-install-recommends", "install", PACKAGE], dir);
	if (r.why) throw byHand(r.why);
	const names = [...r.out.matchAll(/^Inst (\S+)/gm)].map((m) => m[1]!);
	const debs = join(apt, "debs");
	for (const [i, name] of names.entries()) {
		say(`downloading ${name} (${i + 1} of ${names.length})`);
		const got = run("apt-get", ["-q", "-c", conf, "download", name], debs);
		if (got.why) throw byHand(got.why);
	}
	say(`unpacking ${names.length} packages into .cache/clang`);
	for (const deb of readdirSync(debs)) {
		const got = run("dpkg", ["-x", join(debs, deb), dir], debs);
		if (got.why) throw byHand(got.why);
	}
	rmSync(apt, { recursive: true, force: true });
	const there = unpacked(dir);
	if (!there || (majorOf(there) ?? 0) < MIN_MAJOR) throw byHand("what was unpacked does not run");
	rmSync(clangDir(), { recursive: true, force: true });
	renameSync(dir, clangDir());
	return unpacked(clangDir())!;
}

/** Folders of set-ups that were interrupted; those whose process still runs are left alone. */
function sweep(): void {
	if (!existsSync(cacheDir())) return;
	for (const name of readdirSync(cacheDir())) {
		const pid = /^clang\.(\d+)$/.exec(name)?.[1];
		if (pid !== undefined && !existsSync(`/proc/${pid}`))
			rmSync(join(cacheDir(), name), { recursive: true, force: true });
	}
}

/** Find clang, or get it. */
export function ensureClang(quiet = false): Clang {
	const say = (line: string) => process.stderr.write(`clang: ${line}\n`);
	const found = findClang();
	if (found) {
		if (!quiet) say(found.path);
		return found;
	}
	say(`none found; getting ${PACKAGE} into .cache/clang`);
	sweep();
	const clang = download(say);
	say(`ready: ${clang.path}`);
	return clang;
}
