// SPDX-License-Identifier: GPL-2.0-only
/** `npm start`: set-up, then the ported selftests; flags go to test_progs. */
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(["test_progs", ...process.argv.slice(2)]);
