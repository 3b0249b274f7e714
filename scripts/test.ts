// SPDX-License-Identifier: GPL-2.0-only
/** `npm test`: set-up, then every check: format and lint with the import rules, types, unit tests, selftests. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { MESSAGES_ENV } from "../lib/message_tap.ts";
import { colours } from "../tools/colours.ts";
import { cacheDir, rootDir } from "./paths.ts";
import { setup } from "./setup.ts";

const root = rootDir();
const bin = (name: string) => join(root, "node_modules", ".bin", name);

interface Stage {
	readonly name: string;
	readonly cmd: string;
	readonly args: readonly string[];
	/** Prints a line for each of thousands of tests: shown when one failed, else the last line is enough. */
	readonly long?: boolean;
}

/** Every instruction that runs is held against the verifier's states. */
const embedding = "--state-embedding";
const testVerifier = ["scripts/bootstrap.mjs", "scripts/bpf-mirror.ts", "test_verifier", embedding];

/** Where the tests leave what the verifier said. */
const messages = join(cacheDir(), "messages");

const stages: readonly Stage[] = [
	{ name: "format and lint, with the import rules", cmd: bin("biome"), args: ["ci", "--error-on-warnings"] },
	{ name: "types", cmd: bin("tsc"), args: ["-p", "."] },
	{ name: "unit tests", cmd: bin("vitest"), args: ["run"] },
	{
		name: "selftests",
		cmd: process.execPath,
		args: ["scripts/bootstrap.mjs", "scripts/start.ts", "--arch", "x86_64", embedding],
	},
	{
		name: "selftests on arm64",
		cmd: process.execPath,
		args: ["scripts/bootstrap.mjs", "scripts/start.ts", "--arch", "arm64", embedding],
		long: true,
	},
	{ name: "instructions, JIT", cmd: process.execPath, args: testVerifier, long: true },
	{
		name: "instructions, interpreter",
		cmd: process.execPath,
		args: [...testVerifier, "--interpret"],
		long: true,
	},
	{
		name: "instructions, JIT on arm64",
		cmd: process.execPath,
		args: [...testVerifier, "--arch", "arm64"],
		long: true,
	},
	{
		name: "messages of the verifier",
		cmd: process.execPath,
		args: ["scripts/bootstrap.mjs", "scripts/messages.ts", "--from", messages, "--max", "0.25"],
		long: true,
	},
	...(["x86_64", "arm64"] as const).map((arch) => ({
		name: `a real 6.12 on ${arch}, from its record`,
		cmd: process.execPath,
		args: [
			...["scripts/bootstrap.mjs", "scripts/bpf-mirror.ts", "compare"],
			...["--with", `selftests/bpf/records/6.12.95-${arch}.tar.br`],
		],
		long: true,
	})),
];

rmSync(messages, { recursive: true, force: true });
if (!(await setup())) process.exit(1);
let failed = 0;
for (const [i, stage] of stages.entries()) {
	process.stdout.write(colours.bold(`\n[${i + 1}/${stages.length}] ${stage.name}\n`));
	const start = Date.now();
	const r = spawnSync(stage.cmd, stage.args, {
		cwd: root,
		stdio: stage.long ? ["ignore", "pipe", "inherit"] : "inherit",
		encoding: "utf8",
		maxBuffer: 1 << 30,
		env: { ...process.env, [MESSAGES_ENV]: messages },
	});
	const ok = r.status === 0;
	if (stage.long) process.stdout.write(ok ? `${r.stdout.trimEnd().split("\n").at(-1)}\n` : r.stdout);
	if (!ok) failed++;
	const took = `${((Date.now() - start) / 1000).toFixed(1)} s`;
	process.stdout.write(
		ok ? colours.green(`${stage.name}: ok (${took})\n`) : colours.red(`${stage.name}: FAILED (${took})\n`),
	);
}
process.stdout.write(`\nstages: ${stages.length - failed} passed, ${failed} failed\n`);
process.exitCode = failed ? 1 : 0;
