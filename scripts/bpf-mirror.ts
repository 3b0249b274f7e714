// SPDX-License-Identifier: GPL-2.0-only
/** The `bpf-mirror` command: set-up, then the subcommand. */
import { buildOne } from "./build_progs.ts";
import { findClang } from "./clang.ts";
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const argv = process.argv.slice(2);
// A C file is compiled first, with what the selftests' programs are compiled with.
const clang = findClang();
if (["run", "dump", "arena", "explore"].includes(argv[0] ?? "") && clang) {
	const source = argv.findIndex((a, i) => i > 0 && a.endsWith(".c"));
	try {
		if (source > 0) {
			const at = argv.findIndex((a) => /^--arch(=|$)/.test(a));
			const given = at < 0 ? "" : argv[at]!.includes("=") ? argv[at]!.slice(7) : (argv[at + 1] ?? "");
			const c = argv[source]!;
			argv[source] = await buildOne(clang, c, given === "arm64" ? "arm64" : "x86");
			// side by side: each architecture's own object
			if (argv[0] === "dump" && given !== "arm64" && !["xlated", "jited"].includes(argv[1]!))
				argv.push("--arm64-object", await buildOne(clang, c, "arm64"));
		}
	} catch (e) {
		process.stderr.write(`${(e as Error).message}\n`);
		process.exit(1);
	}
}
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(argv);
