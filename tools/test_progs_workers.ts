// SPDX-License-Identifier: GPL-2.0-only
/** `test_progs -j`: threads that each boot a kernel of their own and run the tests they are given. */
import { Worker } from "node:worker_threads";
import type { TestStateData, TestWorker } from "../selftests/bpf/test_progs.ts";
import type { SelectArgs } from "./cmd_test_progs.ts";

/** What a thread is started with. */
export interface WorkerOptions {
	readonly select: SelectArgs;
	readonly verbosity: number;
	readonly verifierStats: boolean;
	readonly arch: string;
	readonly stateEmbedding: boolean;
}

class ThreadWorker implements TestWorker {
	private readonly thread: Worker;
	constructor(options: WorkerOptions) {
		this.thread = new Worker(new URL("./test_progs_worker.mjs", import.meta.url), {
			workerData: options,
		});
	}
	run(num: number): Promise<TestStateData> {
		return new Promise((resolve, reject) => {
			const settle = () => {
				this.thread.off("message", got);
				this.thread.off("error", failed);
			};
			const got = (state: TestStateData) => {
				settle();
				resolve(state);
			};
			const failed = (e: Error) => {
				settle();
				reject(e);
			};
			this.thread.on("message", got);
			this.thread.on("error", failed);
			this.thread.postMessage(num);
		});
	}
	async end(): Promise<void> {
		await this.thread.terminate();
	}
}

/** Start `n` threads. */
export function startWorkers(n: number, options: WorkerOptions): TestWorker[] {
	return Array.from({ length: n }, () => new ThreadWorker(options));
}
