// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror bench`: upstream's benchmarks of ring and perf buffers, with upstream's flags and output. */
import type { CommandModule } from "yargs";
import {
	type BenchEnv,
	BenchError,
	benchs,
	defaultEnv,
	defaultRingbufArgs,
	type RingbufArgs,
	runBench,
} from "../selftests/bpf/bench.ts";
import { bootMirror, type MirrorArch } from "./mirror.ts";

/** EX_USAGE: what argp exits with after a wrong argument */
const EX_USAGE = 64;

interface Args {
	bench?: string;
	list?: boolean;
	duration?: string;
	warmup?: string;
	producers?: string;
	consumers?: string;
	verbose?: boolean;
	affinity?: boolean;
	quiet?: boolean;
	"prod-affinity"?: string;
	"cons-affinity"?: string;
	"rb-b2b"?: boolean;
	"rb-use-output"?: boolean;
	"rb-batch-cnt"?: string;
	"rb-sampled"?: boolean;
	"rb-sample-rate"?: string;
	arch: string;
	cpus?: number;
}

/** strtol(): leading digits; 0 without any. */
function strtol(text: string): number {
	const n = Number.parseInt(text, 10);
	return Number.isNaN(n) ? 0 : n;
}

/** parse_num_list() of testing_helpers.c: `0,2-4`; null when it is none. */
export function parseNumList(text: string): number[] | null {
	const out = new Set<number>();
	for (const part of text.split(",")) {
		const m = /^(\d+)(?:-(\d+))?$/.exec(part);
		if (!m) return null;
		const first = Number(m[1]);
		const last = Number(m[2] ?? m[1]);
		if (last < first) return null;
		for (let i = first; i <= last; i++) out.add(i);
	}
	return [...out].sort((a, b) => a - b);
}

class UsageError extends Error {}

function parse(args: Args): { env: BenchEnv; rb: RingbufArgs } {
	const env = { ...defaultEnv };
	const rb = { ...defaultRingbufArgs };
	const number = (text: string | undefined, min: number, bad: string, set: (n: number) => void): void => {
		if (text === undefined) return;
		const n = strtol(text);
		if (n < min) throw new UsageError(bad);
		set(n);
	};
	number(args.duration, 1, `Invalid duration: ${args.duration}`, (n) => {
		env.duration_sec = n;
	});
	number(args.warmup, 1, `Invalid warm-up duration: ${args.warmup}`, (n) => {
		env.warmup_sec = n;
	});
	number(args.producers, 0, `Invalid producer count: ${args.producers}`, (n) => {
		env.producer_cnt = n;
	});
	number(args.consumers, 0, `Invalid consumer count: ${args.consumers}`, (n) => {
		env.consumer_cnt = n;
	});
	number(args["rb-batch-cnt"], 0, "Invalid batch count.", (n) => {
		rb.batch_cnt = n;
	});
	number(args["rb-sample-rate"], 0, "Invalid perfbuf sample rate.", (n) => {
		rb.sample_rate = n;
	});
	env.affinity = args.affinity ?? false;
	env.quiet = args.quiet ?? false;
	env.verbose = args.verbose ?? false;
	const cpus = (text: string | undefined, whose: string): number[] | null => {
		if (text === undefined) return null;
		env.affinity = true;
		const list = parseNumList(text);
		if (!list) throw new UsageError(`Invalid format of CPU set for ${whose}.`);
		return list;
	};
	env.prod_cpus = cpus(args["prod-affinity"], "producers");
	env.cons_cpus = cpus(args["cons-affinity"], "consumers");
	rb.back2back = args["rb-b2b"] ?? false;
	rb.sampled = args["rb-sampled"] ?? false;
	rb.ringbuf_use_output = args["rb-use-output"] ?? false;
	return { env, rb };
}

async function handle(args: Args): Promise<number> {
	const fail = (text: string, status: number): number => {
		process.stderr.write(`${text}\n`);
		return status;
	};
	if (args.list) {
		process.stdout.write(`Available benchmarks:\n${benchs.map((b) => `- ${b.name}\n`).join("")}`);
		return 0;
	}
	let parsed: ReturnType<typeof parse>;
	try {
		parsed = parse(args);
	} catch (e) {
		if (e instanceof UsageError) return fail(e.message, EX_USAGE);
		throw e;
	}
	if (args.bench === undefined) return fail("benchmark name is not specified", 1);
	const bench = benchs.find((b) => b.name === args.bench);
	if (!bench) return fail(`benchmark '${args.bench}' not found`, 1);
	const { env, rb } = parsed;
	const named = [...(env.prod_cpus ?? []), ...(env.cons_cpus ?? [])];
	const cpus = args.cpus ?? Math.max(2, env.producer_cnt + env.consumer_cnt, ...named.map((c) => c + 1));
	const mirror = bootMirror({ arch: args.arch as MirrorArch, cpus });
	try {
		await runBench(mirror.newProcess(), bench, env, rb, (text) => process.stdout.write(text));
		return 0;
	} catch (e) {
		if (e instanceof BenchError) return fail(e.message, 1);
		throw e;
	}
}

export function benchCommand(done: (status: number) => void): CommandModule<object, Args> {
	return {
		command: "bench [bench]",
		describe:
			"Benchmarks of ring and perf buffers (rb-libbpf, rb-custom, pb-libbpf, pb-custom), by the host's clock",
		builder: (y) =>
			y
				.positional("bench", { type: "string", describe: "Benchmark; --list shows them" })
				.option("list", { alias: "l", type: "boolean", describe: "List available benchmarks" })
				.option("duration", { alias: "d", type: "string", describe: "Duration of benchmark, seconds" })
				.option("warmup", { alias: "w", type: "string", describe: "Warm-up period, seconds" })
				.option("producers", { alias: "p", type: "string", describe: "Number of producer threads" })
				.option("consumers", { alias: "c", type: "string", describe: "Number of consumer threads" })
				.option("verbose", { alias: "v", type: "boolean", describe: "Verbose debug output" })
				.option("affinity", {
					alias: "a",
					type: "boolean",
					describe: "Set consumer/producer thread affinity",
				})
				.option("quiet", { alias: "q", type: "boolean", describe: "Be more quiet" })
				.option("prod-affinity", {
					type: "string",
					describe: "Set of CPUs for producer threads; implies --affinity",
				})
				.option("cons-affinity", {
					type: "string",
					describe: "Set of CPUs for consumer threads; implies --affinity",
				})
				.option("rb-b2b", { type: "boolean", describe: "Back-to-back mode" })
				.option("rb-use-output", {
					type: "boolean",
					describe: "Use bpf_ringbuf_output() instead of bpf_ringbuf_reserve()",
				})
				.option("rb-batch-cnt", { type: "string", describe: "Set BPF-side record batch count" })
				.option("rb-sampled", { type: "boolean", describe: "Notification sampling" })
				.option("rb-sample-rate", { type: "string", describe: "Notification sample rate" })
				.option("arch", {
					choices: ["x86_64", "arm64"] as const,
					default: "x86_64",
					describe: "Architecture",
				})
				.option("cpus", { type: "number", describe: "CPUs of the kernel (one for each thread)" }) as never,
		handler: async (args) => done(await handle(args)),
	};
}
