// SPDX-License-Identifier: GPL-2.0-only
/**
 * Debian packages for the virtual machine, of this architecture and of others, without root: the machine's own
 * archive and keyring with a private state of apt, in the user's cache.
 */
import { spawnSync } from "node:child_process";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { upstreamCache } from "../paths.ts";
import { apt_files, debian_source } from "../unicorn.ts";

/** Something that the virtual machine needs could not be had; the message says what to do by hand. */
export class VmMissing extends Error {}

/** Where all that belongs to virtual machines lies. */
export function vmCache(): string {
	return join(upstreamCache(), "vm");
}

/** Progress, for people. */
export function say(line: string): void {
	process.stderr.write(`vm: ${line}\n`);
}

/** Run a command; its output, or an error that ends with its last words. */
export function command(
	cmd: string,
	args: readonly string[],
	cwd: string,
	env: NodeJS.ProcessEnv = {},
): string {
	const r = spawnSync(cmd, args, {
		cwd,
		encoding: "utf8",
		env: { ...process.env, ...env },
		stdio: ["ignore", "pipe", "pipe"],
		maxBuffer: 1 << 28,
	});
	if (r.error) throw new VmMissing(`${cmd}: ${r.error.message}`);
	if (r.status === 0) return r.stdout;
	const words = r.stderr.split("\n").filter((l) => /^(E|Err):|rror/.test(l));
	throw new VmMissing(`${cmd} ${args.at(-1)}: ${words.slice(-2).join("; ") || `status ${r.status}`}`);
}

const ARCHITECTURES = ["amd64", "arm64"];

/** apt's environment: a state of its own, read from the archive once. */
function aptState(): NodeJS.ProcessEnv {
	const dir = join(vmCache(), "apt");
	const conf = join(dir, "apt.conf");
	if (existsSync(conf)) return { APT_CONFIG: conf };
	const os = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
	const codename = /^VERSION_CODENAME=(\S+)/m.exec(os)?.[1];
	const source = debian_source(apt_files());
	if (!source || codename === undefined)
		throw new VmMissing("no Debian archive among this machine's apt sources");
	for (const d of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(dir, d), { recursive: true });
	const native = command("dpkg", ["--print-architecture"], dir).trim();
	const arches = [native, ...ARCHITECTURES.filter((a) => a !== native)];
	const list = join(dir, "sources.list");
	writeFileSync(
		list,
		[codename, `${codename}-backports`]
			.map((s) => `deb [arch=${arches.join(",")} signed-by=${source.keyring}] ${source.uri} ${s} main\n`)
			.join(""),
	);
	const settings = [
		`Dir::Etc::sourcelist "${list}";`,
		'Dir::Etc::sourceparts "/dev/null";',
		'Dir::Etc::preferencesparts "/dev/null";',
		`Dir::State::lists "${join(dir, "lists")}";`,
		`Dir::Cache "${join(dir, "cache")}";`,
		`APT::Architectures { ${arches.map((a) => `"${a}";`).join(" ")} };`,
		'Acquire::Languages "none";',
		'APT::Update::Post-Invoke { "true"; };',
		'APT::Update::Post-Invoke-Success { "true"; };',
		// as root apt would drop to the user _apt, who may not write here
		...(process.getuid?.() === 0 ? ['APT::Sandbox::User "root";'] : []),
	];
	const tmp = `${conf}.${process.pid}`;
	writeFileSync(tmp, `${settings.join("\n")}\n`);
	say(`reading Debian's package lists of ${arches.join(" and ")} (about 19 MB)`);
	command("apt-get", ["-q", "update"], dir, { APT_CONFIG: tmp });
	renameSync(tmp, conf);
	return { APT_CONFIG: conf };
}

/** Names of all packages that begin so. */
export function packagesNamed(prefix: string): string[] {
	const env = aptState();
	return command("apt-cache", ["pkgnames", prefix], vmCache(), env).split("\n").filter(Boolean);
}

/** Download packages (`name` or `name:architecture`) and unpack them all into a new folder `to`. */
function unpack(names: readonly string[], to: string): void {
	const env = aptState();
	const tmp = mkdtempSync(join(vmCache(), "get."));
	try {
		command("apt-get", ["-q", "download", ...names], tmp, env);
		const debs = readdirSync(tmp).filter((f) => f.endsWith(".deb"));
		if (!debs.length) throw new VmMissing(`apt-get download ${names[0]} left no package`);
		for (const deb of debs) {
			command("dpkg", ["-x", deb, join(tmp, "root")], tmp);
			rmSync(join(tmp, deb));
		}
		mkdirSync(join(to, ".."), { recursive: true });
		rmSync(to, { recursive: true, force: true });
		renameSync(join(tmp, "root"), to);
	} finally {
		rmSync(tmp, { recursive: true, force: true });
	}
}

/** One package alone, unpacked into the folder that is returned. */
export function debianPackage(name: string, what: string): string {
	const to = join(vmCache(), "pkg", name.replace(":", "_"));
	if (existsSync(to)) return to;
	mkdirSync(vmCache(), { recursive: true });
	say(`downloading ${name} (${what})`);
	unpack([name], to);
	return to;
}

/** A tool with all that this machine lacks to run it; returns the folder and what the environment must hold. */
export function debianTool(name: string, what: string): { root: string; env: Record<string, string> } {
	const root = join(vmCache(), "tools", name);
	if (!existsSync(root)) {
		mkdirSync(vmCache(), { recursive: true });
		const env = aptState();
		const plan = command("apt-get", ["-q", "-s", "--no-install-recommends", "install", name], vmCache(), env);
		const names = [...plan.matchAll(/^Inst (\S+)/gm)].map((m) => m[1]!);
		if (!names.length) names.push(name);
		say(`downloading ${name} and what it needs: ${names.length} packages (${what})`);
		unpack(names, root);
	}
	const libs = existsSync(join(root, "usr/lib")) ? readdirSync(join(root, "usr/lib")) : [];
	const dirs = libs.filter((d) => /-linux-gnu$|^llvm-/.test(d)).map((d) => join(root, "usr/lib", d));
	const path = [
		...dirs,
		...dirs.map((d) => join(d, "lib")).filter(existsSync),
		...dirs.map((d) => join(d, "pulseaudio")),
	];
	const before = process.env.LD_LIBRARY_PATH;
	return {
		root,
		env: { LD_LIBRARY_PATH: [...path.filter(existsSync), ...(before ? [before] : [])].join(":") },
	};
}
