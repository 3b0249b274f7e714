// SPDX-License-Identifier: GPL-2.0-only
/** All tables of test_verifier, in the order of their numbers. */
import type { VerifierTest } from "../test_verifier.ts";
import { aluVerifierTests } from "./alu.ts";
import { attachVerifierTests } from "./attach.ts";
import { controlVerifierTests } from "./control.ts";
import { helperVerifierTests } from "./helpers.ts";
import { insnVerifierTests } from "./insns.ts";
import { memoryVerifierTests } from "./memory.ts";
import { moreVerifierTests } from "./more.ts";
import { pointerVerifierTests } from "./pointers.ts";
import { rejectedVerifierTests } from "./rejected.ts";

export const verifierTests: readonly VerifierTest[] = [
	...insnVerifierTests,
	...rejectedVerifierTests,
	...attachVerifierTests,
	...controlVerifierTests,
	...helperVerifierTests,
	...memoryVerifierTests,
	...moreVerifierTests,
	...pointerVerifierTests,
	...aluVerifierTests,
];

export { noJitVerifierTests } from "./more.ts";
