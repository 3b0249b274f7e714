// SPDX-License-Identifier: GPL-2.0-only
/** `npm run setup`: set-up alone, with a line for each thing found. */
import { ensureClang } from "./clang.ts";
import { setup } from "./setup.ts";
import { ensure_unicorn } from "./unicorn.ts";

if (await setup()) {
	ensure_unicorn();
	ensureClang();
} else {
	process.exitCode = 1;
}
