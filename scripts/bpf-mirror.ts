// SPDX-License-Identifier: GPL-2.0-only
/** The `bpf-mirror` command: set-up, then the subcommand. */
import { buildOne } from "./build_progs.ts";
import { findClang } from "./clang.ts";
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const argv = process.argv.slice(2);
// `run prog.c` compiles first, with what the selftests' programs are compiled with.
const clang = findClang();
if (argv[0] === "run" && clang) {
	const source = argv.findIndex((a, i) => i > 0 && a.endsWith(".c"));
	try {
		if (source > 0) argv[source] = await buildOne(clang, argv[source]!);
	} catch (e) {
		process.stderr.write(`${(e as Error).message}\n`);
		process.exit(1);
	}
}
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(argv);
