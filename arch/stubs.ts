// SPDX-License-Identifier: GPL-2.0-only
/**
 * The machine code that the kernels themselves are made of, assembled by keystone: stubs of functions that TypeScript
 * implements, and the few pieces of real code. Loading keystone takes 80 ms, four times what making the machine takes,
 * so set-up assembles once and keeps the bytes in .cache/ under the digest of their sources.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Sources; keystone is of LLVM 3.9's age, and what it does not know or writes shorter stands as bytes. */
export const STUB_SOURCES = {
	x86_64: {
		/** Stops the CPU: a function that TypeScript implements was called. */
		stop: "hlt",
		/** What a function that may be traced begins with: endbr64; nopl 0(%rax,%rax,1) */
		hook: ".byte 0xf3, 0x0f, 0x1e, 0xfa; .byte 0x0f, 0x1f, 0x44, 0x00, 0x00",
		/** Fills kernel text. */
		trap: "int3",
		ret: "ret",
		/** Enters user mode: what keystone calls sysret is the one of 64 bits. */
		sysret: "sysret",
	},
	arm64: {
		stop: "wfi",
		/** -fpatchable-function-entry=2, the first of which ftrace made a move */
		hook: "mov x9, x30; nop",
		/** AARCH64_BREAK_FAULT, which the kernel fills images with */
		trap: "brk #0x100",
		/** Where the PLTs of programs lead. */
		dummy_tramp: "mov x10, x30; mov x30, x9; ret x10",
		/** Goes to the address behind it (what ftrace_caller does for direct calls). */
		direct_call: "ldr x17, #8; br x17",
		nop: "nop",
	},
} as const;

type Sources = typeof STUB_SOURCES;
type Stubs = { readonly [A in keyof Sources]: { readonly [N in keyof Sources[A]]: readonly number[] } };

const ROOT = new URL("../", import.meta.url);
const CACHE = new URL(".cache/", ROOT);

/** In a process of its own, since keystone loads asynchronously and machines are made synchronously. */
const ASSEMBLE = `
import { readFileSync } from "node:fs";
import { Const, Keystone, loadKeystone } from "keystone-wasm";
await loadKeystone();
const sources = JSON.parse(readFileSync(0, "utf8"));
const out = {};
for (const [arch, pieces] of Object.entries(sources)) {
	const ks = arch === "arm64"
		? new Keystone(Const.KS_ARCH_ARM64, Const.KS_MODE_LITTLE_ENDIAN)
		: new Keystone(Const.KS_ARCH_X86, Const.KS_MODE_64);
	out[arch] = {};
	for (const [name, text] of Object.entries(pieces)) out[arch][name] = [...ks.asm(text, { address: 0 })];
}
process.stdout.write(JSON.stringify(out));
`;

/** Assembles the stubs when that was not done yet or their sources changed; returns the file's path. */
export function build_stubs(): string {
	const text = JSON.stringify(STUB_SOURCES);
	const digest = createHash("sha256").update(text).digest("hex").slice(0, 16);
	const path = fileURLToPath(new URL(`stubs-${digest}.json`, CACHE));
	if (existsSync(path)) return path;
	mkdirSync(CACHE, { recursive: true });
	const r = spawnSync(process.execPath, ["--input-type=module", "-e", ASSEMBLE], {
		cwd: fileURLToPath(ROOT),
		input: text,
		encoding: "utf8",
	});
	if (r.status !== 0 || !r.stdout)
		throw new Error(`cannot assemble the kernel's stubs (${path}); run \`npm run setup\`.\n${r.stderr}`);
	// those of earlier sources are of no use any more
	for (const n of readdirSync(CACHE)) if (/^stubs-[0-9a-f]{16}\.json$/.test(n)) rmSync(new URL(n, CACHE));
	const tmp = `${path}.${process.pid}`;
	writeFileSync(tmp, r.stdout);
	renameSync(tmp, path);
	return path;
}

/** The stubs of an architecture, as bytes. */
export function stubs_of<A extends keyof Stubs>(arch: A): Stubs[A] {
	return (JSON.parse(readFileSync(build_stubs(), "utf8")) as Stubs)[arch];
}
