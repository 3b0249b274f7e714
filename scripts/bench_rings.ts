// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run bench -- ringbuf`: records per second through ring and perf buffers in the configurations of upstream's
 * run_bench_ringbufs.sh. The mirror runs in one thread, so a rate is by the CPU time that it took: that of an idle
 * machine, whatever else this one does.
 */
import {
	benchs,
	defaultEnv,
	defaultRingbufArgs,
	type RingbufArgs,
	runBench,
} from "../selftests/bpf/bench.ts";
import { bootMirror, type MirrorArch } from "../tools/mirror.ts";
import type { Row } from "./bench.ts";

interface Config {
	readonly title: string;
	readonly args?: Partial<RingbufArgs>;
	readonly producers?: number;
	readonly same_cpu?: boolean;
	/** Benchmarks, and what the mail that brought them in measured for a kernel: millions of records a second. */
	readonly published: Readonly<Record<string, number>>;
}

/**
 * Published with the benchmarks in May 2020 ("bpf: add BPF ringbuf and perf buffer benchmarks"): two Xeon
 * E5-2680 v4 at 2.40 GHz, producer and consumer on CPUs of their own unless it is said otherwise.
 */
const CONFIGS: readonly Config[] = [
	{
		title: "parallel",
		published: { "rb-libbpf": 12.054, "rb-custom": 8.158, "pb-libbpf": 0.931, "pb-custom": 0.965 },
	},
	{
		title: "parallel, sampled",
		args: { sampled: true },
		published: { "rb-libbpf": 11.563, "rb-custom": 15.895, "pb-libbpf": 9.889, "pb-custom": 9.866 },
	},
	{
		title: "back-to-back",
		args: { back2back: true },
		published: { "rb-libbpf": 15.507, "rb-custom": 21.449, "pb-libbpf": 1.601, "pb-custom": 1.607 },
	},
	{
		title: "back-to-back, sampled",
		args: { back2back: true, sampled: true },
		published: { "rb-libbpf": 14.692, "rb-custom": 20.024, "pb-libbpf": 8.545, "pb-custom": 8.988 },
	},
	{
		title: "back-to-back, output",
		args: { back2back: true, ringbuf_use_output: true },
		published: { "rb-custom": 18.906 },
	},
	{
		title: "parallel, sampled, output",
		args: { sampled: true, ringbuf_use_output: true },
		published: { "rb-custom": 14.195 },
	},
	{
		title: "same CPU, batches of 1",
		args: { batch_cnt: 1, sample_rate: 1 },
		same_cpu: true,
		published: { "rb-libbpf": 3.045, "pb-libbpf": 1.393 },
	},
	{
		title: "2 producers, batches of 50",
		args: { batch_cnt: 50 },
		producers: 2,
		published: { "rb-libbpf": 4.931 },
	},
];

/** Rate of one benchmark in one configuration, M/s, and what share of the records was dropped. */
async function rate(arch: MirrorArch, name: string, c: Config): Promise<{ rate: number; dropped: number }> {
	const producer_cnt = c.producers ?? 1;
	const mirror = bootMirror({ arch, cpus: producer_cnt + 1 });
	const sys = mirror.newProcess();
	const cpus = c.same_cpu ? [0] : null;
	const env = {
		...defaultEnv,
		consumer_cnt: 1,
		producer_cnt,
		affinity: true,
		prod_cpus: cpus,
		cons_cpus: cpus,
		quiet: true,
		duration_sec: 3,
		second_ms: 200,
	};
	const args = { ...defaultRingbufArgs, ...c.args };
	const bench = benchs.find((b) => b.name === name)!;
	const res = (await runBench(sys, bench, env, args, () => {})).slice(env.warmup_sec);
	await mirror.endProcess(sys);
	// the best of the seconds: what disturbs only takes away
	const best = Math.max(...res.map((r) => (r.hits / (r.cpu_ns ?? 1)) * 1000));
	const all = res.reduce((n, r) => n + r.hits + r.drops, 0);
	return { rate: best, dropped: all ? res.reduce((n, r) => n + r.drops, 0) / all : 0 };
}

/** The rows of every configuration. */
export async function ringRows(arch: MirrorArch): Promise<Row[]> {
	const rows: Row[] = [];
	for (const c of CONFIGS)
		for (const [name, kernel] of Object.entries(c.published)) {
			process.stderr.write(`ringbuf: ${name}, ${c.title}\r`);
			const r = await rate(arch, name, c);
			const dropped = r.dropped > 0.0005 ? `, ${(100 * r.dropped).toFixed(1)} % dropped` : "";
			rows.push([
				`${name}, ${c.title}`,
				`${r.rate.toFixed(3)} M/s${dropped}`,
				`a kernel, as published: ${kernel} M/s`,
				`${(kernel / r.rate).toFixed(kernel / r.rate < 10 ? 2 : 0)} x`,
			]);
		}
	process.stderr.write("\x1b[K");
	return rows;
}
