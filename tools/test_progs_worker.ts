// SPDX-License-Identifier: GPL-2.0-only
/** The thread's side of `test_progs -j`: a number comes, the test's state goes back. */
import { parentPort, workerData } from "node:worker_threads";
import { progTests } from "../selftests/bpf/prog_tests/index.ts";
import { TestProgs } from "../selftests/bpf/test_progs.ts";
import { selectorOf } from "./cmd_test_progs.ts";
import { bootTestKernel, type MirrorArch } from "./mirror.ts";
import type { WorkerOptions } from "./test_progs_workers.ts";

const { select, verbosity, verifierStats, arch, stateEmbedding } = workerData as WorkerOptions;
const selector = selectorOf(select);
if (typeof selector === "string") throw new Error(selector);
const progs = new TestProgs(progTests, {
	selector,
	verbosity,
	verifierStats,
	count: false,
	list: false,
	json: null,
	worker: true,
	out: () => {},
});
const kernel = await bootTestKernel({ arch: arch as MirrorArch, verbosity, stateEmbedding });
parentPort!.on("message", async (num: number) => {
	parentPort!.postMessage(await progs.runNumber(num, kernel));
});
