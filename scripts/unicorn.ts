// SPDX-License-Identifier: GPL-2.0-only
/**
 * Get libunicorn for the emulated CPUs.
 *
 *     npx tsx scripts/unicorn.ts            find it, or download it into .cache/unicorn; prints its path
 *     npx tsx scripts/unicorn.ts --quiet    say nothing unless something must be downloaded
 *
 * Downloads use the machine's own Debian archive and keyring with a private apt state, so that
 * neither root nor a change to the system is needed. Nothing outside .cache/unicorn is written.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
	probe_unicorn,
	search_unicorn,
	UNICORN_ENV,
	UNICORN_MIN_VERSION,
	UnicornMissing,
	unicorn_cache_dir,
} from "../virt/library.ts";

const PACKAGE = "libunicorn2t64";
const SUITES = ["forky", "sid"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

interface DebianSource {
	uri: string;
	keyring: string;
}

function say(line: string): void {
	process.stderr.write(`unicorn: ${line}\n`);
}

/** The end of every failure: what the user can do by hand. */
function by_hand(why: string): UnicornMissing {
	return new UnicornMissing(
		`No Unicorn ${UNICORN_MIN_VERSION} or later here, and it could not be downloaded: ${why}.\n` +
			`By hand: put a libunicorn.so.2 (Debian's package ${PACKAGE} of ${SUITES.join(" or ")} has one; it needs only ` +
			`libm and glibc 2.34)\nsomewhere and set ${UNICORN_ENV} to its path, or unpack the package: ` +
			`dpkg -x ${PACKAGE}_*.deb ${unicorn_cache_dir()}`,
	);
}

/** The main Debian archive among the machine's apt sources (both formats), with its keyring. */
export function debian_source(files: readonly { name: string; text: string }[]): DebianSource | null {
	const is_main = (uri: string) =>
		/\/debian\/?$/.test(uri) && !/ports|security|backports|archive\./.test(uri);
	for (const { name, text } of files) {
		if (name.endsWith(".sources")) {
			for (const block of text.split(/\n\s*\n/)) {
				const field = (key: string) => new RegExp(`^${key}:[ \\t]*(.+)$`, "im").exec(block)?.[1]?.trim();
				const uri = field("URIs")?.split(/\s+/).find(is_main);
				const signed = field("Signed-By");
				if (uri && field("Enabled") !== "no")
					return { uri, keyring: signed?.startsWith("/") ? signed : KEYRING };
			}
		} else {
			for (const line of text.split("\n")) {
				const m = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)/.exec(line.trim());
				if (!m || !is_main(m[2]!)) continue;
				return { uri: m[2]!, keyring: /signed-by=(\/\S+)/.exec(m[1] ?? "")?.[1] ?? KEYRING };
			}
		}
	}
	return null;
}

export function apt_files(): { name: string; text: string }[] {
	const names: string[] = [];
	if (existsSync("/etc/apt/sources.list")) names.push("/etc/apt/sources.list");
	if (existsSync("/etc/apt/sources.list.d"))
		for (const f of readdirSync("/etc/apt/sources.list.d"))
			if (/\.(list|sources)$/.test(f)) names.push(join("/etc/apt/sources.list.d", f));
	return names.map((name) => ({ name, text: readFileSync(name, "utf8") }));
}

/** Run a command; its last words on failure. */
function run(cmd: string, args: string[], cwd: string): string | null {
	const r = spawnSync(cmd, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
	if (r.error) return `${cmd}: ${r.error.message}`;
	if (r.status === 0) return null;
	const words = `${r.stdout}\n${r.stderr}`.split("\n").filter((l) => /^(E|Err|W):|rror/.test(l));
	const why = words.find((l) => /^E: Failed to fetch/.test(l)) ?? words.slice(-2).join("; ");
	return `${cmd} ${args[args.length - 1]}: ${why || `exit status ${r.status}`}`;
}

/** Download and unpack; returns the library's path. */
function download(): string {
	if (process.platform !== "linux") throw by_hand(`this is ${process.platform}, not Linux`);
	for (const tool of ["apt-get", "dpkg"])
		if (!["/usr/bin", "/bin", "/usr/sbin"].some((d) => existsSync(join(d, tool))))
			throw by_hand(`this system has no ${tool} (only Debian's way is known here)`);
	const source = debian_source(apt_files());
	if (!source) throw by_hand("no Debian archive among this machine's apt sources");
	if (!existsSync(source.keyring)) throw by_hand(`the archive's keyring ${source.keyring} is missing`);

	const dir = unicorn_cache_dir();
	const apt = join(dir, "apt");
	for (const d of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(apt, d), { recursive: true });
	const conf = join(apt, "apt.conf");
	const list = join(apt, "sources.list");
	const settings = [
		`Dir::Etc::sourcelist "${list}";`,
		'Dir::Etc::sourceparts "/dev/null";',
		'Dir::Etc::preferencesparts "/dev/null";',
		`Dir::State::lists "${join(apt, "lists")}";`,
		`Dir::Cache "${join(apt, "cache")}";`,
		'Acquire::Languages "none";',
		// an archive out of reach is an error, not a warning with old lists
		'APT::Update::Error-Mode "any";',
		'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
		'APT::Update::Post-Invoke { "true"; };',
		'APT::Update::Post-Invoke-Success { "true"; };',
	];
	// as root apt would drop to the user _apt, who may not write here
	if (process.getuid?.() === 0) settings.push('APT::Sandbox::User "root";');
	writeFileSync(conf, `${settings.join("\n")}\n`);

	const failures: string[] = [];
	for (const suite of SUITES) {
		writeFileSync(list, `deb [signed-by=${source.keyring}] ${source.uri} ${suite} main\n`);
		say(`reading the package list of Debian ${suite} from ${source.uri} (about 10 MB)`);
		let why = run("apt-get", ["-q", "-c", conf, "update"], dir);
		if (!why) {
			say(`downloading ${PACKAGE} of ${suite} (about 3 MB)`);
			why = run("apt-get", ["-q", "-c", conf, "download", PACKAGE], dir);
		}
		const deb = readdirSync(dir).find((f) => f.startsWith(`${PACKAGE}_`) && f.endsWith(".deb"));
		if (!why && !deb) why = `${suite} has no ${PACKAGE}`;
		if (!why && deb) {
			say(`unpacking ${deb} into .cache/unicorn`);
			// unpack beside and move in, so that an interrupted run leaves nothing half done
			const tmp = join(dir, `unpack.${process.pid}`);
			why = run("dpkg", ["-x", join(dir, deb), tmp], dir);
			if (!why) {
				rmSync(join(dir, "usr"), { recursive: true, force: true });
				renameSync(join(tmp, "usr"), join(dir, "usr"));
			}
			rmSync(tmp, { recursive: true, force: true });
			rmSync(join(dir, deb), { force: true });
		}
		if (why) {
			failures.push(`${suite}: ${why}`);
			say(`${suite}: ${why}`);
			continue;
		}
		rmSync(apt, { recursive: true, force: true });
		const { library, rejected } = search_unicorn();
		if (library) return library.path;
		failures.push(`${suite}: ${rejected.join("; ")}`);
	}
	throw by_hand(failures.join("; "));
}

/** Find the library, or get it. Returns its path. */
export function ensure_unicorn(quiet = false): string {
	const { library, rejected } = search_unicorn();
	if (library) {
		if (!quiet) say(`${library.version} (${library.origin}: ${library.path})`);
		return library.path;
	}
	for (const r of rejected) say(`not usable: ${r}`);
	say(`none found; getting ${PACKAGE} into .cache/unicorn`);
	const path = download();
	const p = probe_unicorn(path);
	say(`ready: Unicorn ${"version" in p ? p.version : "?"} in ${path}`);
	return path;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
	try {
		const path = ensure_unicorn(process.argv.includes("--quiet"));
		process.stdout.write(`${path}\n`);
	} catch (e) {
		if (!(e instanceof UnicornMissing)) throw e;
		process.stderr.write(`${e.message}\n`);
		process.exitCode = 1;
	}
}
