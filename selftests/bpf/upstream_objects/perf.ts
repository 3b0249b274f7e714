// SPDX-License-Identifier: GPL-2.0-only
import { syscallTest } from "../prog_tests/syscall.ts";
import type { ProgTest } from "../test_env.ts";
export const perfObjects: Readonly<Record<string, (object: Uint8Array) => ProgTest>> = {
	syscall: syscallTest,
};
