// SPDX-License-Identifier: GPL-2.0-only
/** The `bpf-mirror` command: set-up, then the subcommand. */
import { buildOne } from "./build_progs.ts";
import { findClang } from "./clang.ts";
import { setup } from "./setup.ts";

/** What an option is given, as --name value or --name=value. */
function given(args: readonly string[], name: string): string {
	const at = args.findIndex((a) => a === name || a.startsWith(`${name}=`));
	if (at < 0) return "";
	return args[at]!.includes("=") ? args[at]!.slice(name.length + 1) : (args[at + 1] ?? "");
}

/** The architecture that a command is for: what it says, or that of the kernel that it names. */
function archOf(args: readonly string[]): "x86" | "arm64" {
	const kernel = given(args, "--with") || given(args, "--of");
	if (kernel === "host") return process.arch === "arm64" ? "arm64" : "x86";
	return given(args, "--arch") === "arm64" || /^vm:arm64\b/.test(kernel) ? "arm64" : "x86";
}

if (!(await setup())) process.exit(1);
const argv = process.argv.slice(2);
// A C file is compiled first, with what the selftests' programs are compiled with.
const clang = findClang();
if (["run", "dump", "arena", "explore", "compare", "record"].includes(argv[0] ?? "") && clang) {
	try {
		for (const [source, c] of argv.entries()) {
			if (source === 0 || !c.endsWith(".c")) continue;
			argv[source] = await buildOne(clang, c, archOf(argv));
			// side by side: each architecture's own object
			if (argv[0] === "dump" && archOf(argv) !== "arm64" && !["xlated", "jited"].includes(argv[1]!))
				argv.push("--arm64-object", await buildOne(clang, c, "arm64"));
		}
	} catch (e) {
		process.stderr.write(`${(e as Error).message}\n`);
		process.exit(1);
	}
}
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(argv);
