// SPDX-License-Identifier: GPL-2.0-only
/** Builds tools/vm/agent.c, without a libc: clang's object linked by whatever linker is there for that architecture. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { ensureClang } from "../clang.ts";
import { rootDir } from "../paths.ts";
import { debianTool, VmMissing, vmCache } from "./debian.ts";

const FLAGS = [
	"-O2",
	"-Wall",
	"-Wextra",
	"-Werror",
	"-ffreestanding",
	"-fno-stack-protector",
	"-fno-pic",
	"-fno-asynchronous-unwind-tables",
];

interface Linker {
	readonly path: string;
	readonly env: Readonly<Record<string, string>>;
}

/** A program on the PATH. */
export function onPath(names: readonly string[]): string | null {
	for (const name of names)
		for (const dir of (process.env.PATH ?? "").split(delimiter))
			if (dir !== "" && existsSync(join(dir, name))) return join(dir, name);
	return null;
}

function linker(triple: string): Linker {
	const here = onPath(["ld.lld", "ld.lld-19", "ld.lld-20", "ld.lld-21", `${triple}-ld`]);
	if (here !== null) return { path: here, env: {} };
	const tool = debianTool("lld-19", "about 40 MB with LLVM, for the agent");
	const dir = join(tool.root, "usr/bin");
	const name = existsSync(dir) ? readdirSync(dir).find((f) => /^ld\.lld/.test(f)) : undefined;
	if (name === undefined) throw new VmMissing("the package lld-19 has no linker");
	return { path: join(dir, name), env: tool.env };
}

function run(cmd: string, args: string[], env: Readonly<Record<string, string>>): void {
	const r = spawnSync(cmd, args, { encoding: "utf8", env: { ...process.env, ...env } });
	if (r.error) throw new VmMissing(`${cmd}: ${r.error.message}`);
	if (r.status !== 0) throw new VmMissing(`the agent does not build: ${r.stderr.trimEnd()}`);
}

/** The agent for an architecture: built once for each version of its source. */
export function buildAgent(arch: "x86_64" | "arm64"): Uint8Array {
	const source = join(rootDir(), "tools/vm/agent.c");
	const hash = createHash("sha1")
		.update(readFileSync(source))
		.update(FLAGS.join(" "))
		.digest("hex")
		.slice(0, 12);
	const to = join(vmCache(), `agent-${arch}-${hash}`);
	if (!existsSync(to)) {
		const triple = `${arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
		mkdirSync(vmCache(), { recursive: true });
		const clang = ensureClang(true);
		const ld = linker(triple);
		const tmp = `${to}.${process.pid}`;
		run(clang.path, [`--target=${triple}`, ...FLAGS, "-c", source, "-o", `${tmp}.o`], clang.env);
		run(ld.path, ["-static", "-o", tmp, `${tmp}.o`], ld.env);
		rmSync(`${tmp}.o`);
		renameSync(tmp, to);
	}
	return readFileSync(to);
}
