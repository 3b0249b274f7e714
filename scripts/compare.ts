// SPDX-License-Identifier: GPL-2.0-only
/**
 * The mirror held against another kernel, program by program: what the record of a program says of each
 * level, and where the mirror first parts from it.
 */

import { canonical_log, compare_xlated } from "../tools/upstream/compare.ts";
import { compare_entries, compare_output } from "../tools/upstream/compare_run.ts";
import type { Finding, ProgComparison } from "../tools/upstream/comparison.ts";
import { judge_load } from "../tools/upstream/judge.ts";
import type { LoadResult, RunResult } from "../tools/upstream/load_case.ts";
import type { KernelFiles } from "../tools/upstream/machine_facts.ts";
import type { ProgRecord, RecordLoad, RecordTrampoline, VolatileRun } from "../tools/upstream/records.ts";
import {
	case_of,
	type ObjectFile,
	type ProgramOf,
	programs_of,
	volatile_in_either,
	volatile_of,
} from "../tools/upstream/take_record.ts";
import { type Differing, explain_by_version, walk_known } from "../tools/upstream/version_diffs.ts";
import { Disassembler } from "./code_diff.ts";
import { MirrorTrampolines } from "./record_attach.ts";
import {
	load_as_recorded,
	type Machine,
	machine_of,
	type RunMachine,
	run_as_recorded,
	run_machine_of,
} from "./record_machine.ts";

/** How many lines of each log are shown where they part. */
const SHOWN = 3;

/** The first lines in which two logs differ, known differences between the releases left out. */
function log_text(release: string, ours: string, theirs: string): string {
	const { at, line } = walk_known(release, ours, theirs);
	if (!at) return "";
	return [
		`line ${line}`,
		...at.before.map((l) => `       ${l}`),
		...at.theirs.slice(0, SHOWN).map((l) => `  real ${l}`),
		...at.ours.slice(0, SHOWN).map((l) => `  ours ${l}`),
	].join("\n");
}

/** What the stack is filled with before a run: seeds of bytes, and zeros. */
const LITTER = [0x5eed, 0x1ea5e, 0];

/** A mirror of another kernel, and what it makes of programs. */
export class Comparer {
	private readonly files: KernelFiles;
	private machine: Machine | null = null;
	private runner: RunMachine | null = null;
	private displaced: RunMachine | null = null;
	private programs: { object: ObjectFile; list: ReadonlyMap<string, ProgramOf> } | null = null;

	/** What is attached on the mirror now. */
	private attached: { object: ObjectFile; machine: Machine; trampolines: MirrorTrampolines } | null = null;

	/** With a disassembler, differences of machine code are shown as instructions too. */
	private readonly disasm: Disassembler | null;

	constructor(files: KernelFiles, disasm: Disassembler | null = null) {
		this.files = files;
		this.disasm = disasm;
	}

	private get machine_now(): Machine {
		if (!this.machine || this.machine.kernel.broken) {
			this.machine = machine_of(this.files);
			this.machine.kernel.names.disasm = this.disasm;
		}
		return this.machine;
	}
	private get runner_now(): RunMachine {
		this.runner ??= run_machine_of(this.files);
		return this.runner;
	}

	/** Symbols of the other kernel that were asked for until now. */
	get symbols_asked(): ReadonlySet<string> {
		return this.machine_now.kernel.symbols_asked;
	}

	/** A program of an object as the mirror sees it; a string is what is wrong. */
	private program(object: ObjectFile, prog: string): ProgramOf | string {
		if (this.programs?.object !== object) {
			const list = programs_of(this.machine_now, object);
			if (typeof list === "string") return list;
			this.programs = { object, list: new Map(list.map((p) => [p.prog, p])) };
		}
		return this.programs.list.get(prog) ?? `${object.path} has no program ${prog}`;
	}

	/** Each load of a record against what the mirror makes of the same program of an object. */
	compare(object: ObjectFile, rec: ProgRecord): ProgComparison[] {
		const p = this.program(object, rec.prog!);
		const who = { obj: rec.obj, prog: rec.prog! };
		if (typeof p === "string")
			return [
				{ ...who, unpriv: false, levels: { insns: "differs" }, findings: [{ level: "insns", text: p }] },
			];
		const out: ProgComparison[] = [];
		if (rec.g && rec.g6) {
			const one = this.one(p, rec, rec.g, rec.g6, false);
			if (rec.trampoline) this.trampoline(object, rec, rec.trampoline, one);
			out.push(one);
		}
		if (rec.u && rec.u6) out.push(this.one(p, rec, rec.u, rec.u6, true));
		return out;
	}

	/** Bytes of the trampoline that was made last. */
	get trampoline_size(): number {
		return this.attached?.trampolines.size ?? 0;
	}

	/** Attaches the program here as it was attached there, and holds the trampolines against each other. */
	private trampoline(
		object: ObjectFile,
		rec: ProgRecord,
		theirs: RecordTrampoline,
		result: ProgComparison,
	): void {
		if (result.levels.verdict !== "equal") return;
		const m = this.machine_now;
		if (this.attached?.object !== object || this.attached.machine !== m) {
			this.attached?.trampolines.end();
			this.attached = { object, machine: m, trampolines: new MirrorTrampolines(m, object) };
		}
		const diff = this.attached.trampolines.compare(rec.prog!, theirs, (name) => {
			const p = this.program(object, name);
			return typeof p === "string" ? null : p;
		});
		if (diff === undefined) return;
		result.levels.trampoline = diff === null ? "equal" : "differs";
		if (diff !== null) result.findings.push({ level: "trampoline", text: diff });
	}

	private one(
		p: ProgramOf,
		rec: ProgRecord,
		brief: RecordLoad,
		full: RecordLoad,
		unpriv: boolean,
	): ProgComparison {
		const result: ProgComparison = { obj: rec.obj, prog: p.prog, unpriv, levels: {}, findings: [] };
		const with_log = full.log !== undefined;
		const c = { ...case_of(p, unpriv, with_log ? full.level : brief.level), flags: brief.flags };
		const canonical = with_log ? { ...full, log: canonical_log(full.log!) } : full;
		try {
			const m = this.machine_now;
			const got = load_as_recorded(m, c, brief);
			const { release } = this.files.facts;
			const judged = judge_load(
				m.kernel,
				brief,
				canonical,
				with_log,
				{ ...got, log: canonical_log(got.log) },
				{
					jit: true,
					show: false,
				},
			);
			for (const [level, ok] of Object.entries(judged.levels))
				if (level !== "before" && level !== "expect")
					result.levels[level as Finding["level"]] = ok ? "equal" : "differs";
			const differing: Omit<Differing, "level" | "text"> = {
				type: p.type,
				ours: { err: got.err, log: got.log, xlated: got.info?.xlated_prog_insns },
				theirs: {
					err: brief.err,
					log: full.log ?? "",
					xlated: brief.xlated === undefined ? undefined : Buffer.from(brief.xlated, "hex"),
				},
				compare_xlated: ({ ours, theirs }) => compare_xlated(ours, theirs, m.kernel.is_stand_in),
				called: m.kernel.called,
			};
			for (const f of judged.findings) {
				const why = explain_by_version(release, { ...differing, level: f.level, text: f.text });
				result.findings.push({
					level: f.level as Finding["level"],
					text: f.level === "log" && !why ? log_text(release, got.log, full.log ?? "") : f.text,
					...(why && { version: why.map((d) => d.id) }),
				});
				if (why) result.levels[f.level as Finding["level"]] = "version";
			}
			// other instructions make another image
			const xlated = result.findings.find((f) => f.level === "xlated" && f.version);
			const jited = result.findings.find((f) => f.level === "jited");
			if (xlated?.version && jited) {
				jited.version ??= xlated.version;
				result.levels.jited = "version";
			}
			if (brief.run && !unpriv && got.err === 0 && !this.sees_threads(got)) this.run(p, brief, result);
		} catch (e) {
			const err = e as Error;
			if (this.machine) this.machine.kernel.broken = true;
			this.runner = null;
			this.displaced = null;
			result.levels.verdict = "differs";
			result.findings.push({ level: "verdict", text: `the mirror throws ${err.stack ?? err.message}` });
		}
		return result;
	}

	/** Whether a program goes through tasks, of which the other kernel's process is several. */
	private sees_threads(got: LoadResult): boolean {
		return (this.files.facts.threads ?? 1) > 1 && /\(85\) call bpf_iter_task_new#/.test(got.log);
	}

	/** What a mirror makes of a test run. */
	private run_on(r: RunMachine, p: ProgramOf, brief: RecordLoad): LoadResult {
		const c = {
			...case_of(p, false, 0),
			flags: brief.flags,
			run: () => 0,
			input: brief.run_in,
			rest: r.rest,
		};
		return run_as_recorded(r, c, brief);
	}

	/**
	 * What of a run the program does not decide: it is not the same on a mirror with other addresses, times and
	 * random numbers, and other bytes on the stack where the program reads what it never wrote.
	 */
	private undecided(p: ProgramOf, brief: RecordLoad, first: RunResult): VolatileRun {
		this.displaced ??= run_machine_of(this.files, true);
		let all: VolatileRun = {};
		for (const seed of LITTER) {
			this.displaced.litter(seed);
			const { run } = this.run_on(this.displaced, p, brief);
			if (run) all = volatile_in_either(all, volatile_of(first, run));
		}
		return all;
	}

	/** The test run, on a mirror with addresses of its own. */
	private run(p: ProgramOf, brief: RecordLoad, result: ProgComparison): void {
		const r = this.runner_now;
		r.lacked();
		const got = this.run_on(r, p, brief);
		const { run } = got;
		const lacked = r.lacked();
		let want = brief;
		const differs = (): boolean =>
			run !== null &&
			(compare_output(run, want) !== null || (run.err === 0 && compare_entries(run, want) !== null));
		if (differs() && lacked.length) {
			result.lacks = lacked.join(", ");
			return;
		}
		if (run && differs()) {
			const more = this.undecided(p, brief, run);
			want = { ...brief, volatile: volatile_in_either(brief.volatile, more) };
		}
		const note = (level: Finding["level"], diff: string | null): void => {
			result.levels[level] = diff === null ? "equal" : "differs";
			if (diff !== null) result.findings.push({ level, text: diff });
		};
		if (!run) {
			note("run", `does not load on the kernel that runs programs: ${got.err} ${got.libbpf}`);
			return;
		}
		note("run", compare_output(run, want));
		if (brief.run!.err === 0) note("maps", compare_entries(run, want));
	}
}

/** A comparer that shows machine code as instructions. */
export async function comparer_of(files: KernelFiles): Promise<Comparer> {
	return new Comparer(files, await Disassembler.load(files.facts.arch));
}
