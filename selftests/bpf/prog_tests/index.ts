// SPDX-License-Identifier: GPL-2.0-only
/** The ported tests, in alphabetical order as upstream's prog_tests/tests.h lists its own. */
import type { ProgTest } from "../test_env.ts";

export const progTests: readonly ProgTest[] = [];
