// SPDX-License-Identifier: GPL-2.0-only
/**
 * Builds selftests/bpf/progs/*.c, and native/*.c for the processes that talk to them, into .cache/progs: those that
 * are older than their source.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import type { Clang } from "./clang.ts";
import { cacheDir, rootDir } from "./paths.ts";

/** Architectures whose registers programs may look at. */
const ARCHES = ["x86", "arm64"] as const;

/** Where the objects of an architecture lie. */
export function progsDir(arch: "x86_64" | "arm64"): string {
	return join(cacheDir(), "progs", arch === "arm64" ? "arm64" : "x86");
}

function mtime(path: string): number {
	return existsSync(path) ? statSync(path).mtimeMs : 0;
}

function compile(clang: Clang, args: string[]): Promise<string | null> {
	return new Promise((resolve) => {
		const p = spawn(clang.path, args, {
			env: { ...process.env, ...clang.env },
			stdio: ["ignore", "ignore", "pipe"],
		});
		let err = "";
		p.stderr.on("data", (d: Buffer) => {
			err += d.toString();
		});
		p.on("error", (e) => resolve(e.message));
		p.on("close", (code) => resolve(code === 0 ? null : err));
	});
}

function flags(arch: string): string[] {
	const inc = join(rootDir(), "selftests/bpf/include");
	// paths in BTF are the project's: a record may bring its objects along
	const paths = `-ffile-prefix-map=${rootDir()}=.`;
	return ["-g", paths, "-O2", "--target=bpf", "-mcpu=v3", `-I${inc}`, `-D__TARGET_ARCH_${arch}`];
}

/** Code of user space without a C library or data: its text alone can be put anywhere. */
function nativeFlags(arch: string): string[] {
	const inc = join(rootDir(), "selftests/bpf/include");
	const target = arch === "arm64" ? "aarch64-linux-gnu" : "x86_64-linux-gnu";
	return [
		...["-O2", `--target=${target}`, "-ffreestanding", "-fno-stack-protector", "-mgeneral-regs-only"],
		...["-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-fvisibility=hidden", `-I${inc}`],
	].filter((f) => arch === "x86" || f !== "-fcf-protection=none");
}

/** Compile one C file as the selftests' programs are; the object's path. Throws with the compiler's words. */
export async function buildOne(clang: Clang, from: string, arch: (typeof ARCHES)[number]): Promise<string> {
	const out = join(cacheDir(), "run", arch);
	mkdirSync(out, { recursive: true });
	const to = join(out, `${basename(from, ".c")}.bpf.o`);
	const err = await compile(clang, ["-Wall", ...flags(arch), "-c", from, "-o", to]);
	if (err !== null) throw new Error(err.trimEnd());
	return to;
}

/** Build what is out of date; throws with the compiler's words where one does not build. */
export async function buildProgs(clang: Clang): Promise<void> {
	const sources = [
		{ src: join(rootDir(), "selftests/bpf/progs"), ext: ".bpf.o", flags },
		{ src: join(rootDir(), "selftests/bpf/native"), ext: ".native.o", flags: nativeFlags },
	];
	const inc = join(rootDir(), "selftests/bpf/include");
	const headers = Math.max(...readdirSync(inc).map((f) => mtime(join(inc, f))));
	const jobs: { from: string; to: string; flags: string[] }[] = [];
	for (const arch of ARCHES) {
		const out = join(cacheDir(), "progs", arch);
		mkdirSync(out, { recursive: true });
		for (const { src, ext, flags } of sources)
			for (const f of readdirSync(src).filter((f) => f.endsWith(".c"))) {
				const from = join(src, f);
				const to = join(out, f.replace(/\.c$/, ext));
				if (mtime(to) < Math.max(mtime(from), headers)) jobs.push({ from, to, flags: flags(arch) });
			}
	}
	if (jobs.length === 0) return;
	process.stderr.write(`progs: building ${jobs.length} objects with ${clang.path}\n`);
	const failures: string[] = [];
	const worker = async () => {
		for (let job = jobs.pop(); job; job = jobs.pop()) {
			const err = await compile(clang, ["-Wall", "-Werror", ...job.flags, "-c", job.from, "-o", job.to]);
			if (err !== null) failures.push(`${job.from}: ${err}`);
		}
	};
	await Promise.all(cpus().map(worker));
	if (failures.length) throw new Error(`a program does not build\n${failures.join("\n")}`);
}
