// SPDX-License-Identifier: GPL-2.0-only
// @ts-check
/**
 * The door of every npm script and of `bpf-mirror`: plain JavaScript, since nothing is installed yet when
 * it runs first. It brings the npm packages up to the lock file, then hands over to TypeScript.
 *
 *     node scripts/bootstrap.mjs FILE.ts [ARG...]
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** @param {string} line */
function fail(line) {
	process.stderr.write(`${line}\n`);
	process.exit(1);
}

/** Install the npm packages unless those of this lock file are there. */
function packages() {
	const stamp = join(root, "node_modules", ".cache", "bpf-mirror-lock");
	const hash = createHash("sha1")
		.update(readFileSync(join(root, "package-lock.json")))
		.digest("hex");
	if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return;
	process.stderr.write("npm: installing the packages of package-lock.json into node_modules\n");
	const r = spawnSync(
		"npm",
		[
			"ci",
			"--include=dev",
			"--no-audit",
			"--no-fund",
			"--loglevel=error",
			"--progress",
			"--fetch-retry-mintimeout=2000",
			"--fetch-retry-maxtimeout=10000",
		],
		{
			cwd: root,
			stdio: ["ignore", 2, 2],
		},
	);
	if (r.error || r.status !== 0)
		fail(
			`npm ci failed${r.error ? ` (${r.error.message})` : ""}: the packages of package.json are needed, and the ` +
				"registry could not give them.\nBy hand: run `npm ci` in this folder where there is a network, or bring " +
				"a node_modules folder made by it.",
		);
	mkdirSync(dirname(stamp), { recursive: true });
	writeFileSync(stamp, hash);
}

if (Number(process.versions.node.split(".")[0]) < 20)
	fail(`bpf-mirror needs Node.js 20 or later; this is ${process.versions.node}.`);
packages();
// a reader that has seen enough (`| head`) is no error
process.stdout.on("error", (e) => {
	if (/** @type {NodeJS.ErrnoException} */ (e).code !== "EPIPE") throw e;
	process.exit();
});
const { register } = await import("tsx/esm/api");
register();
const entry = resolve(process.argv[2] ?? fail("usage: node scripts/bootstrap.mjs FILE.ts [ARG...]"));
process.argv.splice(1, 2, entry);
await import(pathToFileURL(entry).href);
