// SPDX-License-Identifier: GPL-2.0-only
/** `npm run test:vm [-- x86_64|arm64]`: the tests that boot real kernels, which take minutes under emulation. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { rootDir } from "../paths.ts";

const arches = process.argv.slice(2);
const r = spawnSync(
	join(rootDir(), "node_modules/.bin/vitest"),
	["run", "tools/kernels/remote_sys.test.ts"],
	{
		cwd: rootDir(),
		stdio: "inherit",
		env: { ...process.env, BPF_MIRROR_TEST_VM: arches.length ? arches.join(",") : "1" },
	},
);
process.exitCode = r.status ?? 1;
