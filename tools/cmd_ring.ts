// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror ring`: do all records that programs put into a ring buffer come out, whole and in order? */
import type { CommandModule } from "yargs";
import { colours } from "./colours.ts";
import type { MirrorArch } from "./mirror.ts";
import { ringRecords } from "./ring_records.ts";

interface Args {
	records: number;
	cpus: number;
	size: number;
	arch: string;
	json: boolean;
}

const TELL_MS = 2000;

export function ringCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "ring",
		describe: "Pass records through a ring buffer and check number and checksum of each",
		builder: (y) =>
			y
				.option("records", { type: "number", default: 10_000_000, describe: "How many" })
				.option("cpus", { type: "number", default: 2, describe: "CPUs that make them in turn (1 to 8)" })
				.option("size", { type: "number", default: 32 << 10, describe: "Bytes of the ring" })
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				})
				.option("json", { type: "boolean", default: false, describe: "As JSON" }),
		handler: (args) => done(ring(args)),
	};
}

function ring(args: Args): number {
	const { records, cpus, size } = args;
	const whole = (n: number, min: number, max: number): boolean => Number.isInteger(n) && n >= min && n <= max;
	const bad = !whole(records, 1, 2 ** 40)
		? "--records: a whole number from 1 on"
		: !whole(cpus, 1, 8)
			? "--cpus: 1 to 8"
			: !whole(size, 4096, 512 << 20) || (size & (size - 1)) !== 0
				? "--size: a power of two from 4096 to 536870912"
				: null;
	if (bad) {
		process.stderr.write(`${bad}\n`);
		return 1;
	}
	const begin = performance.now();
	let told = begin;
	const progress = (seen: number): void => {
		const now = performance.now();
		if (now - told < TELL_MS) return;
		told = now;
		const left = ((now - begin) / seen) * (records - seen);
		process.stderr.write(`${seen} of ${records} records, ${(left / 1000).toFixed(0)} s to go\n`);
	};
	const r = ringRecords({ arch: args.arch as MirrorArch, records, cpus, size, progress, every: 10_000 });
	if (args.json) process.stdout.write(`${JSON.stringify({ arch: args.arch, records, cpus, size, ...r })}\n`);
	else {
		const rate = (r.seen / r.ms / 1000).toFixed(2);
		process.stdout.write(
			`${r.seen} of ${records} records, ${(r.bytes / 1e6).toFixed(0)} MB, from ${cpus} CPUs through ${size} bytes; ` +
				`full ${r.full} times; ${(r.ms / 1000).toFixed(1)} s, ${rate} M/s\n`,
		);
		for (const e of r.errors) process.stdout.write(`${colours.red(e)}\n`);
		if (r.errors.length === 0)
			process.stdout.write(`${colours.green("none lost; every number and checksum is right")}\n`);
	}
	return r.errors.length === 0 ? 0 : 1;
}
