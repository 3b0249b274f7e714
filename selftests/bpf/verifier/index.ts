// SPDX-License-Identifier: GPL-2.0-only
/** All tables of test_verifier, in the order of their numbers. */
import type { VerifierTest } from "../test_verifier.ts";
import { aluVerifierTests } from "./alu.ts";
import { insnVerifierTests } from "./insns.ts";
import { rejectedVerifierTests } from "./rejected.ts";

export const verifierTests: readonly VerifierTest[] = [
	...insnVerifierTests,
	...rejectedVerifierTests,
	...aluVerifierTests,
];
