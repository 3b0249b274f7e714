// SPDX-License-Identifier: GPL-2.0-only
/**
 * Upstream's selftest programs, built as its Makefile builds them: `npm run upstream -- build [--flavor …]`.
 *
 * Debian's package linux-source-6.12 is unpacked under ~/.cache/bpf-mirror (or $BPF_MIRROR_CACHE), with a private apt
 * state: the system is not touched, and nothing of the kernel's source comes into the project. vmlinux.h is made
 * from the vmlinux BTF the records were taken with, so that the objects are those of the records.
 */
import { spawn, spawnSync } from "node:child_process";
import {
	closeSync,
	cpSync,
	existsSync,
	mkdirSync,
	openSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { decompress } from "fzstd";
import { ensureClang } from "./clang.ts";
import { upstreamCache } from "./paths.ts";
import { apt_files, debian_source } from "./unicorn.ts";

export type Flavor = "default" | "cpuv4" | "no_alu32";

/** Upstream's runners: test_progs, test_progs-cpuv4, test_progs-no_alu32. */
const CPU: Record<Flavor, string> = { default: "v3", cpuv4: "v4", no_alu32: "v2" };

/** What of the source is unpacked. */
const PARTS = ["include", "scripts", "tools", "arch/x86", "arch/arm64", "Makefile", "Kconfig", "Kbuild"];

/** 6.12.95 is what the records were taken with. */
const SUBLEVEL = "95";

/** What is needed is not there; the message says what. */
export class BuildError extends Error {}

function run(
	cmd: string,
	args: string[],
	o: { cwd?: string; env?: NodeJS.ProcessEnv; to?: string } = {},
): string {
	const out = o.to === undefined ? "pipe" : openSync(o.to, "w");
	const r = spawnSync(cmd, args, {
		cwd: o.cwd,
		env: { ...process.env, ...o.env },
		encoding: "utf8",
		stdio: ["ignore", out, "pipe"],
		maxBuffer: 1 << 28,
	});
	if (typeof out === "number") closeSync(out);
	if (r.error) throw new BuildError(`${cmd} does not run: ${r.error.message}`);
	if (r.status !== 0) {
		const said = r.stderr.split("\n").filter((l) => l.trim() !== "");
		throw new BuildError(`${cmd} ${args.join(" ")}: ${said.slice(-3).join("; ") || `status ${r.status}`}`);
	}
	return `${r.stdout ?? ""}${r.stderr}`;
}

/** A private state of apt with this system's suite and its backports; returns what must be in apt's environment. */
function apt_state(cache: string, say: (line: string) => void): { env: NodeJS.ProcessEnv; suites: string[] } {
	const state = join(cache, "apt");
	const conf = join(state, "apt.conf");
	const list = join(state, "sources.list");
	if (!existsSync(conf)) {
		const os = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
		const codename = /^VERSION_CODENAME=(\S+)/m.exec(os)?.[1];
		const source = debian_source(apt_files());
		if (!source || codename === undefined)
			throw new BuildError(
				`This machine has no Debian archive among its apt sources: unpack the source of Linux 6.12.${SUBLEVEL} in ${join(cache, "linux-6.12")}.`,
			);
		for (const d of ["lists/partial", "cache/archives/partial"])
			mkdirSync(join(state, d), { recursive: true });
		const suites = [codename, `${codename}-backports`];
		writeFileSync(
			list,
			suites.map((s) => `deb [signed-by=${source.keyring}] ${source.uri} ${s} main\n`).join(""),
		);
		const tmp = `${conf}.tmp`;
		const settings = [
			`Dir::Etc::sourcelist "${list}";`,
			'Dir::Etc::sourceparts "/dev/null";',
			`Dir::State::lists "${join(state, "lists")}";`,
			`Dir::Cache "${join(state, "cache")}";`,
			'Acquire::Languages "none";',
			...(process.getuid?.() === 0 ? ['APT::Sandbox::User "root";'] : []),
		];
		writeFileSync(tmp, `${settings.join("\n")}\n`);
		say("reading Debian's package lists (about 9 MB)");
		run("apt-get", ["-q", "update"], { env: { APT_CONFIG: tmp } });
		renameSync(tmp, conf);
	}
	const suites = [...readFileSync(list, "utf8").matchAll(/^deb .*\s(\S+-backports) main$/gm)].map(
		(m) => m[1]!,
	);
	return { env: { APT_CONFIG: conf }, suites };
}

/** Download and unpack a Debian package; returns the folder. */
function debian_package(cache: string, name: string, size: string, say: (line: string) => void): string {
	const out = join(cache, "pkg", name);
	if (existsSync(out)) return out;
	const { env, suites } = apt_state(cache, say);
	const debs = join(cache, "debs");
	mkdirSync(debs, { recursive: true });
	const is_it = (f: string): boolean => f.startsWith(`${name}_`) && f.endsWith(".deb");
	if (!readdirSync(debs).some(is_it)) {
		say(`downloading ${name} (about ${size})`);
		const suite = suites[0] === undefined ? [] : ["-t", suites[0]];
		run("apt-get", ["-q", "download", ...suite, name], { cwd: debs, env });
	}
	const deb = readdirSync(debs).filter(is_it).sort().at(-1);
	if (deb === undefined) throw new BuildError(`apt-get download ${name} left no package in ${debs}`);
	const tmp = `${out}.tmp`;
	rmSync(tmp, { recursive: true, force: true });
	mkdirSync(tmp, { recursive: true });
	run("dpkg", ["-x", join(debs, deb), tmp]);
	renameSync(tmp, out);
	return out;
}

/** The kernel's source, unpacked. */
function kernel_source(cache: string, say: (line: string) => void): string {
	const src = join(cache, "linux-6.12");
	if (!existsSync(join(src, "tools/testing/selftests/bpf/Makefile"))) {
		const dir = join(debian_package(cache, "linux-source-6.12", "150 MB", say), "usr/src");
		const tar = readdirSync(dir).find((f) => f.startsWith("linux-source-6.12.tar."));
		if (tar === undefined) throw new BuildError(`no source in ${dir}`);
		say("unpacking the kernel's source");
		const tmp = `${src}.tmp`;
		rmSync(tmp, { recursive: true, force: true });
		mkdirSync(tmp, { recursive: true });
		const parts = PARTS.map((p) => `linux-source-6.12/${p}`);
		run("tar", ["-xf", join(dir, tar), "-C", tmp, "--strip-components=1", ...parts]);
		rmSync(src, { recursive: true, force: true });
		renameSync(tmp, src);
	}
	const sublevel = /^SUBLEVEL = (\d+)/m.exec(readFileSync(join(src, "Makefile"), "utf8"))?.[1];
	if (sublevel !== SUBLEVEL)
		say(
			`this is the source of 6.12.${sublevel}; the records are of 6.12.${SUBLEVEL}: some objects may differ`,
		);
	return src;
}

/**
 * The BTF that vmlinux.h of the records' objects was made from: of the records' own kernel on x86, of Debian's
 * stock kernel on arm64. Taken from the records' folder, once.
 */
function vmlinux_btf(cache: string, arch: "x86" | "arm64", records: string | undefined): string {
	const name = arch === "x86" ? "vmlinux-6.12-x86.btf" : "vmlinux-6.12-arm64-debian.btf";
	const file = join(cache, name);
	if (existsSync(file)) return file;
	const from = arch === "x86" ? `${name}.zst` : "arm64/deb-verifier.tar.zst";
	const packed = records === undefined ? null : join(records, from);
	if (packed === null || !existsSync(packed))
		throw new BuildError(
			`There is no ${file}: put the vmlinux BTF there, or give the folder of records, with ${from} in it, by --records DIR.`,
		);
	const tmp = `${file}.${process.pid}.tmp`;
	const bytes = decompress(readFileSync(packed));
	if (arch === "x86") {
		writeFileSync(tmp, bytes);
	} else {
		writeFileSync(`${tmp}.tar`, bytes);
		const members = run("tar", ["-tf", `${tmp}.tar`]).split("\n");
		const member = members.find((m) => /(^|\/)vmlinux\.btf$/.test(m));
		if (member === undefined) throw new BuildError(`${packed} has no vmlinux.btf in it`);
		run("tar", ["-xOf", `${tmp}.tar`, member], { to: tmp });
		rmSync(`${tmp}.tar`);
	}
	renameSync(tmp, file);
	return file;
}

/** vmlinux.h and libbpf's headers. */
function headers(
	cache: string,
	arch: "x86" | "arm64",
	src: string,
	records: string | undefined,
	say: (line: string) => void,
): string {
	const inc = join(cache, arch === "x86" ? "inc-x86" : "inc-arm64-debian");
	if (existsSync(join(inc, "bpf"))) return inc;
	mkdirSync(inc, { recursive: true });
	const btf = vmlinux_btf(cache, arch, records);
	const bpftool = join(debian_package(cache, "bpftool", "2 MB", say), "usr/sbin/bpftool");
	run(bpftool, ["btf", "dump", "file", btf, "format", "c"], { to: join(inc, "vmlinux.h") });
	const build = join(cache, "libbpf-build");
	mkdirSync(build, { recursive: true });
	const to = [`OUTPUT=${build}/`, `DESTDIR=${build}/inst`, "prefix=/usr"];
	run("make", ["-s", "-C", join(src, "tools/lib/bpf"), ...to, "install_headers"]);
	cpSync(join(build, "inst/usr/include/bpf"), `${inc}/bpf.tmp`, { recursive: true });
	renameSync(`${inc}/bpf.tmp`, join(inc, "bpf"));
	return inc;
}

/** The C library's headers for another architecture than this machine's: two Debian packages, unpacked. */
function cross_includes(cache: string, arch: "x86" | "arm64", say: (line: string) => void): string[] {
	const [debian, triplet] = arch === "arm64" ? ["arm64", "aarch64-linux-gnu"] : ["amd64", "x86_64-linux-gnu"];
	return [`libc6-dev-${debian}-cross`, `linux-libc-dev-${debian}-cross`].map((name) =>
		join(debian_package(cache, name, "2 MB", say), "usr", triplet, "include"),
	);
}

/** Flags a single file has in upstream's Makefile. */
export function file_cflags(makefile: string): Map<string, string[]> {
	return new Map(
		[...makefile.matchAll(/^progs\/(\S+\.c)-CFLAGS := (.*)$/gm)].map((m) => [
			m[1]!,
			m[2]!.trim().split(/\s+/),
		]),
	);
}

/** The folders of system headers a compiler says it looks in. */
export function system_includes(said: string): string[] {
	const listed = /<\.\.\.> search starts here:\n([\s\S]*?)End of search list/.exec(said)?.[1] ?? "";
	return listed
		.split("\n")
		.map((l) => l.trim())
		.filter((l) => l !== "");
}

export interface BuildOptions {
	arch: "x86" | "arm64";
	flavors: readonly Flavor[];
	only: RegExp;
	jobs: number;
	/** Folder of records, for the vmlinux BTF. */
	records?: string | undefined;
	/** Build also what is there. */
	force: boolean;
}

/** Builds what is not there; returns how many did not build. */
export async function build_upstream(o: BuildOptions, say: (line: string) => void): Promise<number> {
	const cache = upstreamCache();
	mkdirSync(cache, { recursive: true });
	const src = kernel_source(cache, say);
	const tests = join(src, "tools/testing/selftests/bpf");
	const inc = headers(cache, o.arch, src, o.records, say);
	const clang = ensureClang(true);
	const said = run(clang.path, ["-v", "-E", "-x", "c", "/dev/null"], { env: clang.env });
	let sysinc = system_includes(said);
	if (process.arch !== (o.arch === "x86" ? "x64" : "arm64"))
		sysinc = [...sysinc.filter((d) => !/^\/usr\/include/.test(d)), ...cross_includes(cache, o.arch, say)];
	const extra = file_cflags(readFileSync(join(tests, "Makefile"), "utf8"));
	const base = [
		...["-g", "-Wall", "-Werror", `-D__TARGET_ARCH_${o.arch}`, "-mlittle-endian", `-I${inc}`, `-I${tests}`],
		...[`-I${src}/tools/include/uapi`, "-Wno-compare-distinct-pointer-types"],
		...sysinc.flatMap((d) => ["-idirafter", d]),
	];

	const jobs: { name: string; flavor: Flavor; obj: string }[] = [];
	for (const flavor of o.flavors) {
		const dir = join(cache, "objs", o.arch, flavor);
		mkdirSync(dir, { recursive: true });
		for (const name of readdirSync(join(tests, "progs")).sort()) {
			if (!name.endsWith(".c") || !o.only.test(name)) continue;
			const obj = join(dir, name.replace(/\.c$/, ".bpf.o"));
			if (o.force || !existsSync(obj)) jobs.push({ name, flavor, obj });
		}
	}
	if (jobs.length === 0) return 0;
	say(`building ${jobs.length} objects with ${clang.path}`);
	const start = Date.now();
	const total = jobs.length;
	let done = 0;
	let bad = 0;
	const one = (job: (typeof jobs)[number]): Promise<void> =>
		new Promise((resolve) => {
			const atomics = job.flavor === "no_alu32" ? [] : ["-DENABLE_ATOMICS_TESTS"];
			const flags = [...base, ...atomics, ...(extra.get(job.name) ?? []), "-O2", "--target=bpf"];
			const tmp = `${job.obj}.${process.pid}.tmp`;
			const files = ["-c", `progs/${job.name}`, `-mcpu=${CPU[job.flavor]}`, "-o", tmp];
			const p = spawn(clang.path, [...flags, ...files], {
				cwd: tests,
				env: { ...process.env, ...clang.env },
				stdio: ["ignore", "ignore", "pipe"],
			});
			let err = "";
			p.stderr.on("data", (d: Buffer) => (err += d.toString()));
			const end = (why: string | null): void => {
				if (why === null) renameSync(tmp, job.obj);
				else {
					bad++;
					rmSync(tmp, { force: true });
					say(`${job.flavor} ${job.name}: ${/.*error.*/.exec(why)?.[0] ?? why.trim()}`);
				}
				if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${++done} of ${total}`);
				resolve();
			};
			p.on("error", (e) => end(e.message));
			p.on("close", (code) => end(code === 0 ? null : err || `status ${code}`));
		});
	const worker = async (): Promise<void> => {
		for (let job = jobs.shift(); job; job = jobs.shift()) await one(job);
	};
	await Promise.all(Array.from({ length: Math.max(1, o.jobs || cpus().length) }, worker));
	if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
	say(`${total - bad} of ${total} objects built in ${((Date.now() - start) / 1000).toFixed(0)} s`);
	return bad;
}
