// SPDX-License-Identifier: GPL-2.0-only
/**
 * What kernel functions do when programs run: exceptions, iterators, CPU masks, objects in lists and trees,
 * tasks and storage. The programs check themselves and say by their return value how it went.
 */
import type { ProgTest } from "../test_env.ts";
import { annotated } from "./verifier.ts";

/** prog_tests/exceptions.c, iters.c, cpumask.c, linked_list.c with rbtree.c, task_kfunc.c */
export const kfuncProgTests: readonly ProgTest[] = [
	annotated("cpumask_success"),
	annotated("exceptions"),
	annotated("iters"),
	annotated("linked_list"),
	annotated("task_kfunc_success"),
];
