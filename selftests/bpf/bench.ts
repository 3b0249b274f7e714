// SPDX-License-Identifier: GPL-2.0-only
/**
 * The benchmark runner (tools/testing/selftests/bpf/bench.c): producer and consumer threads, a measurement each
 * second, upstream's lines. Threads are tasks that take turns; time on the mirror is virtual, so that rates are by
 * the host's clock: they say how fast the mirror is, not how fast a kernel would be.
 */
import type { Sys } from "../../include/sys.ts";
import { LIBBPF_DEBUG, Libbpf } from "../../tools/lib/bpf/libbpf.ts";
import { benchPbCustom, benchPbLibbpf, benchRbCustom, benchRbLibbpf } from "./benchs/bench_ringbufs.ts";

/** struct env of bench.c */
export interface BenchEnv {
	warmup_sec: number;
	duration_sec: number;
	affinity: boolean;
	quiet: boolean;
	verbose: boolean;
	consumer_cnt: number;
	producer_cnt: number;
	/** CPUs by number, when they were named. */
	prod_cpus: readonly number[] | null;
	cons_cpus: readonly number[] | null;
	/** Length of what upstream counts as a second, in ms. */
	second_ms: number;
}

export const defaultEnv: BenchEnv = {
	warmup_sec: 1,
	duration_sec: 5,
	affinity: false,
	quiet: false,
	verbose: false,
	consumer_cnt: 0,
	producer_cnt: 1,
	prod_cpus: null,
	cons_cpus: null,
	second_ms: 1000,
};

/** The ring buffer benchmarks' own flags (bench_ringbufs.c: args). */
export interface RingbufArgs {
	back2back: boolean;
	batch_cnt: number;
	sampled: boolean;
	sample_rate: number;
	/** bytes */
	ringbuf_sz: number;
	ringbuf_use_output: boolean;
	/** pages for each CPU */
	perfbuf_sz: number;
}

export const defaultRingbufArgs: RingbufArgs = {
	back2back: false,
	batch_cnt: 500,
	sampled: false,
	sample_rate: 500,
	ringbuf_sz: 512 * 1024,
	ringbuf_use_output: false,
	perfbuf_sz: 128,
};

/** struct bench_res */
export interface BenchRes {
	hits: number;
	drops: number;
	/** CPU time that the mirror took for it, in ns: what a machine that does other things too does not change. */
	cpu_ns?: number;
}

/** What ends a benchmark before it begins: a line for stderr. */
export class BenchError extends Error {}

/** A running benchmark, as its functions see it. */
export interface BenchRun {
	readonly sys: Sys;
	readonly lib: Libbpf;
	readonly env: BenchEnv;
	readonly args: RingbufArgs;
	/** It is over: threads return. */
	done: boolean;
}

/** struct bench */
export interface Bench {
	readonly name: string;
	validate?(env: BenchEnv, args: RingbufArgs): void;
	/** Throws BenchError. */
	setup(run: BenchRun): BenchInstance;
}

/** A benchmark that is set up. Its threads get the system calls of their own task. */
export interface BenchInstance {
	producer(sys: Sys, idx: number): Promise<void>;
	consumer(sys: Sys, idx: number): Promise<void>;
	/** Make records, as a producer does. */
	trigger(sys: Sys): void;
	/** Hits and drops since the last call. */
	measure(): BenchRes;
	destroy(): void;
}

export const benchs: readonly Bench[] = [benchRbLibbpf, benchRbCustom, benchPbLibbpf, benchPbCustom];

/** Batches to wake consumers with at the end, however rarely they are told of any. */
const MAX_WAKES = 1000;

const pad = (v: number, width: number, digits = 3): string => v.toFixed(digits).padStart(width);

/** bench.c: hits_drops_report_progress */
export function hits_drops_report_progress(
	env: BenchEnv,
	iter: number,
	res: BenchRes,
	delta_ns: number,
): string {
	const hits = res.hits / 1e6 / (delta_ns / 1e9);
	const drops = res.drops / 1e6 / (delta_ns / 1e9);
	return (
		`Iter ${String(iter).padStart(3)} (${pad((delta_ns - env.second_ms * 1e6) / 1000, 7)}us): ` +
		`hits ${pad(hits, 8)}M/s (${pad(hits / env.producer_cnt, 7)}M/prod), drops ${pad(drops, 8)}M/s, ` +
		`total operations ${pad(hits + drops, 8)}M/s\n`
	);
}

/** Mean and standard deviation of a sample, in millions. */
function stats(values: readonly number[]): { mean: number; stddev: number } {
	const mean = values.reduce((s, v) => s + v / 1e6, 0) / values.length;
	if (values.length < 2) return { mean, stddev: 0 };
	const sum = values.reduce((s, v) => s + (mean - v / 1e6) ** 2, 0);
	return { mean, stddev: Math.sqrt(sum / (values.length - 1)) };
}

/** bench.c: hits_drops_report_final: counts are taken for those of a second. */
export function hits_drops_report_final(env: BenchEnv, res: readonly BenchRes[]): string {
	const hits = stats(res.map((r) => r.hits));
	const drops = stats(res.map((r) => r.drops));
	const total = stats(res.map((r) => r.hits + r.drops));
	return (
		`Summary: hits ${pad(hits.mean, 8)} ± ${pad(hits.stddev, 5)}M/s (${pad(hits.mean / env.producer_cnt, 7)}M/prod), ` +
		`drops ${pad(drops.mean, 8)} ± ${pad(drops.stddev, 5)}M/s, ` +
		`total operations ${pad(total.mean, 8)} ± ${pad(total.stddev, 5)}M/s\n`
	);
}

/** bench.c: next_cpu: CPUs for threads, one after the other. */
class CpuSet {
	private readonly cpus: readonly number[] | null;
	private readonly nr_cpus: number;
	next = 0;
	constructor(cpus: readonly number[] | null, nr_cpus: number) {
		this.cpus = cpus;
		this.nr_cpus = nr_cpus;
	}
	get named(): boolean {
		return this.cpus !== null;
	}
	take(): number {
		if (!this.cpus) return this.next++ % this.nr_cpus;
		const cpu = this.cpus.find((c) => c >= this.next);
		if (cpu === undefined) {
			const need = Math.max(this.next, (this.cpus.at(-1) ?? -1) + 1);
			throw new BenchError(`Not enough CPUs specified, need CPU #${need} or higher.`);
		}
		this.next = cpu + 1;
		return cpu;
	}
}

function pin(sys: Sys, cpu: number): void {
	const err = sys.setCpu(cpu);
	if (err) throw new BenchError(`setting affinity to CPU #${cpu} failed: ${-err}`);
}

/**
 * bench.c: main(), from setup_benchmark() on: `print` gets upstream's lines. The results of all seconds, those of
 * the warm-up first. Throws BenchError.
 */
export async function runBench(
	sys: Sys,
	bench: Bench,
	env: BenchEnv,
	args: RingbufArgs,
	print: (text: string) => void,
): Promise<BenchRes[]> {
	if (!env.quiet) print(`Setting up benchmark '${bench.name}'...\n`);
	bench.validate?.(env, args);
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level !== LIBBPF_DEBUG || env.verbose) process.stderr.write(text);
		},
	});
	const run: BenchRun = { sys, lib, env, args, done: false };
	const inst = bench.setup(run);
	const cons = new CpuSet(env.cons_cpus, sys.nrCpus);
	const prod = new CpuSet(env.prod_cpus, sys.nrCpus);
	const failures: unknown[] = [];
	let alive = 0;
	const start = (cpu: number, body: (sys: Sys) => Promise<void>): void => {
		alive++;
		sys
			.thread(async (own) => {
				if (cpu >= 0) pin(own, cpu);
				await body(own);
			})
			.catch((e: unknown) => failures.push(e))
			.finally(() => alive--);
	};
	for (let i = 0; i < env.consumer_cnt; i++)
		start(env.affinity ? cons.take() : -1, (own) => inst.consumer(own, i));
	// unless they are named, the producers' CPUs go on behind the consumers'
	if (!prod.named) prod.next = cons.next;
	for (let i = 0; i < env.producer_cnt; i++)
		start(env.affinity ? prod.take() : -1, (own) => inst.producer(own, i));
	if (!env.quiet) print(`Benchmark '${bench.name}' started.\n`);

	const results: BenchRes[] = [];
	let last = performance.now();
	let used = process.cpuUsage();
	for (let iter = 0; iter <= env.duration_sec + env.warmup_sec; iter++) {
		await new Promise<void>((resolve) => setTimeout(resolve, last + env.second_ms - performance.now()));
		if (failures.length) break;
		const now = performance.now();
		const res = inst.measure();
		const spent = process.cpuUsage(used);
		used = process.cpuUsage();
		res.cpu_ns = 1000 * (spent.user + spent.system);
		results.push(res);
		print(hits_drops_report_progress(env, iter, res, (now - last) * 1e6));
		last = now;
	}
	run.done = true;
	// upstream's process ends here; our threads have to see that it is over, which those that wait for records do
	// with the next ones
	for (let i = 0; i < MAX_WAKES && alive > 0; i++) {
		inst.trigger(sys);
		await sys.yieldCpu();
	}
	inst.destroy();
	if (failures.length) throw failures[0];
	print(hits_drops_report_final(env, results.slice(env.warmup_sec)));
	return results;
}
