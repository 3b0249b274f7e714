// SPDX-License-Identifier: GPL-2.0-only
/** Builds .cache/scalar-*.wasm, the verifier's 64-bit arithmetic, unless it is there already. */
import { build_scalar } from "../kernel/bpf/scalar_module.ts";

process.stdout.write(`${build_scalar()}\n`);
