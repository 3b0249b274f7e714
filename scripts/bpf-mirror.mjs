#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only
// @ts-check
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

process.argv.splice(2, 0, join(dirname(fileURLToPath(import.meta.url)), "bpf-mirror.ts"));
await import("./bootstrap.mjs");
