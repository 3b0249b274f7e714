// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs on a real kernel that runs now, one after the other, each held against the mirror. A kernel that a
 * program ends, or that does not answer any more, is booted again, and the run goes on behind that program.
 */
import type { Sys } from "../../include/sys.ts";
import type { TestKernel } from "../../selftests/bpf/test_env.ts";
import { MachineGone, ProcessEnded } from "../kernels/remote_sys.ts";
import { lacking, type ProgComparison, type Skipped } from "./comparison.ts";
import { object_name } from "./load_case.ts";
import type { KernelFiles } from "./machine_facts.ts";
import type { ProgRecord } from "./records.ts";
import type { ObjectFile } from "./take_record.ts";

/** What one program came to on the real kernel; `refused` is why there is no record of it. */
export interface LiveTaken {
	readonly prog: string;
	readonly record?: ProgRecord;
	readonly refused?: string;
}

/** The mirror of a kernel. */
export interface LiveComparer {
	compare(object: ObjectFile, rec: ProgRecord): ProgComparison[];
}

/** How the kernel is had, what is asked of it, and who is told. */
export interface LiveRun {
	open(): Promise<TestKernel>;
	/** What of a kernel its mirror needs. */
	filesOf(sys: Sys): KernelFiles;
	comparerOf(files: KernelFiles): Promise<LiveComparer>;
	/**
	 * The programs of an object that `only` lets through, in a new process of the kernel; `attaching` is told
	 * which one is attached next.
	 */
	take(
		kernel: TestKernel,
		files: KernelFiles,
		sys: Sys,
		object: ObjectFile,
		only: (prog: string) => boolean,
		attaching: (prog: string) => void,
	): Iterable<LiveTaken>;
	wanted(obj: string, prog: string): boolean;
	seen(c: ProgComparison): void;
	/** Before each program: how far it is. */
	progress(at: { objects: number; loads: number; name: string }): void;
	/** The kernel was lost, or booted again. */
	say(line: string): void;
}

/** Everything that a run found. */
export interface LiveOutcome {
	with: string;
	release: string;
	programs: ProgComparison[];
	skipped: Skipped[];
	/** How often the kernel was booted again. */
	boots: number;
	/** Where the time went, ms: in the real kernel and on the way to it; in the mirror. */
	ms: { real: number; mirror: number };
}

interface Machine {
	readonly kernel: TestKernel;
	readonly files: KernelFiles;
	readonly comparer: LiveComparer;
}

/** Whether an error means that the kernel, or the process in it, is no more. */
const isLoss = (e: unknown): e is Error => e instanceof MachineGone || e instanceof ProcessEnded;

/** Give up after as many boots that went wrong in a row. */
const MAX_BOOTS = 3;

class Live {
	private readonly run: LiveRun;
	private machine: Machine | null = null;
	readonly outcome: LiveOutcome = {
		with: "",
		release: "",
		programs: [],
		skipped: [],
		boots: -1,
		ms: { real: 0, mirror: 0 },
	};

	constructor(run: LiveRun) {
		this.run = run;
	}

	private async boot(): Promise<Machine> {
		const kernel = await this.run.open();
		try {
			const sys = kernel.newProcess();
			const files = this.run.filesOf(sys);
			await kernel.endProcess(sys);
			const comparer = await this.run.comparerOf(files);
			this.outcome.with = kernel.name;
			this.outcome.release = files.facts.release;
			this.outcome.boots++;
			this.machine = { kernel, files, comparer };
			return this.machine;
		} catch (e) {
			await kernel.close?.();
			throw e;
		}
	}

	/** The kernel that runs; the first one's boot may fail, a later one is tried again. */
	async now(): Promise<Machine> {
		if (this.machine) return this.machine;
		if (this.outcome.boots < 0) return this.boot();
		for (let i = 1; ; i++) {
			try {
				return await this.boot();
			} catch (e) {
				if (i === MAX_BOOTS) throw e;
				this.run.say(`it does not boot again: ${(e as Error).message}`);
			}
		}
	}

	async close(): Promise<void> {
		const { machine } = this;
		this.machine = null;
		// one that is gone has nothing to say to it
		await machine?.kernel.close?.();
	}

	private add(c: ProgComparison): void {
		const { outcome } = this;
		outcome.programs.push(c);
		if (c.lacks) outcome.skipped.push(lacking(c));
		this.run.seen(c);
	}

	private took(object: ObjectFile, machine: Machine, t: LiveTaken): void {
		const obj = object_name(object.path);
		if (!t.record) {
			this.outcome.skipped.push({ obj, prog: t.prog, why: t.refused ?? "" });
			return;
		}
		for (const c of machine.comparer.compare(object, t.record)) this.add(c);
	}

	/** Programs of an object that are not `done`, in one process. Throws what ends that process. */
	private async inProcess(
		object: ObjectFile,
		only: (prog: string) => boolean,
		attaching: (prog: string) => void,
		done: Set<string>,
	): Promise<void> {
		const machine = await this.now();
		const { ms } = this.outcome;
		const sys = machine.kernel.newProcess();
		const list = this.run
			.take(machine.kernel, machine.files, sys, object, only, attaching)
			[Symbol.iterator]();
		for (;;) {
			const before = performance.now();
			const next = list.next();
			const between = performance.now();
			ms.real += between - before;
			if (next.done) break;
			this.took(object, machine, next.value);
			done.add(next.value.prog);
			ms.mirror += performance.now() - between;
		}
		await machine.kernel.endProcess(sys);
	}

	/** All programs of an object. */
	async object(object: ObjectFile, nr: number): Promise<void> {
		const obj = object_name(object.path);
		const done = new Set<string>();
		for (;;) {
			let at = "";
			const only = (prog: string): boolean => {
				if (done.has(prog) || !this.run.wanted(obj, prog)) return false;
				at = prog;
				this.run.progress({ objects: nr, loads: this.outcome.programs.length, name: `${obj}/${prog}` });
				return true;
			};
			const attaching = (prog: string): void => {
				at = prog;
			};
			try {
				return await this.inProcess(object, only, attaching, done);
			} catch (e) {
				if (!isLoss(e)) throw e;
				this.lost(obj, at, e);
				await this.close();
				// between two objects, or behind the last program: there is nothing to leave out
				if (at === "" || done.has(at)) return;
				done.add(at);
			}
		}
	}

	/** A program ended the kernel, or its process: that is a difference. */
	private lost(obj: string, prog: string, why: Error): void {
		this.run.say(`${obj}/${prog}: ${why.message.split("\n")[0]!}; booting again`);
		const text = `the real kernel did not outlive it: ${why.message}`;
		this.add({
			obj,
			prog,
			unpriv: false,
			levels: { verdict: "differs" },
			findings: [{ level: "verdict", text }],
		});
	}
}

/** Holds all programs of objects on a real kernel against the mirror. */
export async function runLive(
	run: LiveRun,
	objects: (arch: "x86_64" | "arm64") => Iterable<ObjectFile>,
): Promise<LiveOutcome> {
	const live = new Live(run);
	try {
		const { files } = await live.now();
		let nr = 0;
		for (const object of objects(files.facts.arch)) await live.object(object, nr++);
		return live.outcome;
	} finally {
		await live.close();
	}
}
