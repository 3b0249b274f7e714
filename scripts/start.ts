// SPDX-License-Identifier: GPL-2.0-only
/** `npm start`: set-up, then the ported selftests on both architectures; flags go to test_progs. */
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const { main } = await import("../tools/cli.ts");
const { ARCHES } = await import("../tools/arches.ts");
const flags = process.argv.slice(2);
const given = (...names: string[]): boolean =>
	flags.some((f) => names.some((n) => f === n || f.startsWith(n.startsWith("--") ? `${n}=` : n)));
const arch: string[] = [];
if (!given("--arch", "-l", "--list", "-c", "--count", "--kernel")) {
	// who names tests waits for them: one architecture, unless both are asked for
	const named = given("-t", "--name", "-a", "--allow", "-n", "--num", "--object");
	arch.push("--arch", named ? ARCHES[0]! : ARCHES.join(","));
	if (named) process.stdout.write(`${ARCHES[0]} (--arch ${ARCHES[1]} or ${ARCHES.join()} for more):\n`);
}
process.exitCode = await main(["test_progs", ...arch, ...flags]);
