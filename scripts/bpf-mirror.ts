// SPDX-License-Identifier: GPL-2.0-only
/** The `bpf-mirror` command: set-up, then the subcommand. */
import { setup } from "./setup.ts";

if (!(await setup())) process.exit(1);
const { main } = await import("../tools/cli.ts");
process.exitCode = await main(process.argv.slice(2));
