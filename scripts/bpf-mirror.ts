// SPDX-License-Identifier: GPL-2.0-only
/** The `bpf-mirror` command: set-up, then the subcommand. */
import { buildOne } from "./build_progs.ts";
import { findClang } from "./clang.ts";
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const argv = process.argv.slice(2);
// `run prog.c` and `dump prog.c` compile first, with what the selftests' programs are compiled with.
const clang = findClang();
if (["run", "dump"].includes(argv[0] ?? "") && clang) {
	const source = argv.findIndex((a, i) => i > 0 && a.endsWith(".c"));
	try {
		if (source > 0) {
			const arm64 = argv.some((a, i) => a === "--arch=arm64" || (a === "arm64" && argv[i - 1] === "--arch"));
			argv[source] = await buildOne(clang, argv[source]!, arm64 ? "arm64" : "x86");
		}
	} catch (e) {
		process.stderr.write(`${(e as Error).message}\n`);
		process.exit(1);
	}
}
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(argv);
