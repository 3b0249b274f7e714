// SPDX-License-Identifier: GPL-2.0-only
// @ts-check
/** A thread begins without TypeScript: this brings it. */
import { register } from "tsx/esm/api";

register();
await import("./test_progs_worker.ts");
