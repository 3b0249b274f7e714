// SPDX-License-Identifier: GPL-2.0-only
/** A run against a kernel that does not outlive one of the programs. A mirror takes the kernel's part. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Sys } from "../include/sys.ts";
import { BPF_PROG_LOAD } from "../include/uapi/linux/bpf.ts";
import type { TestKernel } from "../selftests/bpf/test_env.ts";
import { MachineGone, ProcessEnded } from "../tools/kernels/remote_sys.ts";
import { bootMirror, testKernelOf } from "../tools/mirror.ts";
import { type LiveOutcome, runLive } from "../tools/upstream/live.ts";
import { loader_of } from "../tools/upstream/loader.ts";
import { kernel_files } from "../tools/upstream/machine_facts.ts";
import { type ObjectFile, take_object } from "../tools/upstream/take_record.ts";
import { Comparer } from "./compare.ts";
import { cacheDir } from "./paths.ts";

const OBJECTS = ["verifier_arena", "test_pkt_access"];
const objects = (): ObjectFile[] =>
	OBJECTS.map((name) => {
		const path = join(cacheDir(), "progs/x86", `${name}.bpf.o`);
		return { path, bytes: new Uint8Array(readFileSync(path)) };
	});

/** A kernel whose processes throw when a program of that name is loaded. */
function kernel(fatal: string, death: () => Error, closed: () => void): TestKernel {
	const of = testKernelOf(bootMirror({ cpus: 2 }));
	let dead: Error | null = null;
	const newProcess = (): Sys => {
		const sys = of.newProcess();
		const bpf = sys.bpf.bind(sys);
		sys.bpf = (cmd, attr, size) => {
			if (cmd === BPF_PROG_LOAD) {
				const name = Buffer.from(sys.load(attr + 48, 16)).toString("latin1");
				if (name.slice(0, name.indexOf("\0")) === fatal.slice(0, 15)) dead = death();
			}
			if (dead) throw dead;
			return bpf(cmd, attr, size);
		};
		return sys;
	};
	return { ...of, newProcess, close: async () => closed() };
}

async function run(
	fatal: string,
	death: () => Error,
): Promise<{ outcome: LiveOutcome; said: string[]; opened: number; closed: number }> {
	const said: string[] = [];
	let opened = 0;
	let closed = 0;
	const outcome = await runLive(
		{
			open: async () => {
				opened++;
				return kernel(fatal, death, () => closed++);
			},
			filesOf: (sys) => kernel_files(sys),
			comparerOf: async (files) => new Comparer(files),
			take: (_kernel, _files, sys, object, only) =>
				take_object(loader_of(sys, 1 << 20), object, { unpriv: true, only }),
			wanted: () => true,
			seen: () => {},
			progress: () => {},
			say: (line) => said.push(line),
		},
		objects,
	);
	return { outcome, said, opened, closed };
}

const names = (o: LiveOutcome): string[] => [...new Set(o.programs.map((c) => `${c.obj}/${c.prog}`))].sort();

it.each([
	["the machine", () => new MachineGone("the connection is closed; it said last:\nKernel panic")],
	["its process", () => new ProcessEnded(9)],
] as const)("goes on behind a program that ends %s, and names it", async (_what, death) => {
	const whole = await run("nothing", death);
	expect([whole.opened, whole.closed, whole.said]).toEqual([1, 1, []]);
	expect(whole.outcome.programs.flatMap((c) => c.findings)).toEqual([]);
	const all = names(whole.outcome);
	expect(all.length).toBeGreaterThan(4);
	const fatal = whole.outcome.programs.map((c) => c.prog)[1]!;
	const { outcome, said, opened, closed } = await run(fatal, death);
	expect([opened, closed, outcome.boots]).toEqual([2, 2, 1]);
	expect(said).toEqual([`${OBJECTS[0]}/${fatal}: ${death().message.split("\n")[0]}; booting again`]);
	// every program is there, once a load, and the others are equal
	expect(names(outcome)).toEqual(all);
	const bad = outcome.programs.filter((c) => c.findings.length);
	expect(bad.map((c) => c.prog)).toEqual([fatal]);
	expect(bad[0]!.findings[0]!.text).toBe(`the real kernel did not outlive it: ${death().message}`);
	const loads = (o: LiveOutcome): string[] =>
		o.programs
			.filter((c) => c.prog !== fatal)
			.map((c) => `${c.prog} ${c.unpriv}`)
			.sort();
	expect(loads(outcome)).toEqual(loads(whole.outcome));
});
