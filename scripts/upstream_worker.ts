// SPDX-License-Identifier: GPL-2.0-only
/**
 * One process of `npm run upstream`: boots a kernel that stands in for the records' one and scores the
 * programs that it is sent.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TestLoader } from "../selftests/bpf/test_loader.ts";
import type { bpf_object } from "../tools/lib/bpf/libbpf.ts";
import { compare_run, judge_load, plain } from "../tools/upstream/judge.ts";
import { type LoadCase, type LoadResult, load_case } from "../tools/upstream/load_case.ts";
import { enter_test, pre_execution } from "../tools/upstream/prog_tests.ts";
import { has_log, is_unpriv, load_raw } from "../tools/upstream/raw_case.ts";
import type { ProgRecord, RecordLoad, RecordSet } from "../tools/upstream/records.ts";
import { type RawRecord, read_object, read_raw } from "../tools/upstream/records.ts";
import type { Job, JobOptions, Level, ProgScore, WorkerMessage } from "../tools/upstream/score.ts";
import { read_kernel_files } from "./record_kernel.ts";
import {
	load_as_recorded,
	type Machine,
	machine_of,
	type RunMachine,
	run_as_recorded,
	run_machine_of,
} from "./record_machine.ts";

function case_of(rec: ProgRecord, load: RecordLoad, unpriv: boolean, o: JobOptions): LoadCase {
	const btf = rec.tags?.find((t) => t.startsWith("comment:test_btf_path="))?.split("=")[1];
	return {
		path: join(o.objects, `${rec.obj}.bpf.o`),
		prog: rec.prog!,
		unpriv,
		level: load.level,
		flags: load.flags,
		map_fixups: load.map_fixups,
		btf_custom_path: btf && join(o.objects, btf),
	};
}

/** A kernel that runs programs, and the annotations of the object at hand. */
interface Runner extends RunMachine {
	readonly dir: string;
	loader: TestLoader | null;
	obj: string;
	broken: boolean;
}

function runner(set: RecordSet, arch: "x86_64" | "arm64"): Runner {
	const machine = run_machine_of(read_kernel_files(set.dir, arch));
	return { ...machine, dir: set.dir, loader: null, obj: "", broken: false };
}

/** Runs a program and holds it against its annotations; adds to the score. */
function score_run(
	r: Runner,
	rec: ProgRecord,
	brief: RecordLoad,
	unpriv: boolean,
	o: JobOptions,
	s: ProgScore,
): void {
	const note = (level: Level, diff: string | null): void => {
		s.levels[level] = diff === null;
		if (diff !== null) s.findings.push({ level, cause: plain(diff), text: diff });
	};
	const guard = (level: Level, fn: () => string | null): void => {
		try {
			note(level, fn());
		} catch (e) {
			const err = e as Error;
			r.broken = true;
			note(
				level,
				`throws ${err.name}: ${err.message}\n${err.stack
					?.split("\n")
					.slice(1, o.show ? 20 : 3)
					.join("\n")}`,
			);
		}
	};
	if (o.run && brief.run && !unpriv) {
		guard("run", () => {
			const c = {
				...case_of(rec, brief, unpriv, o),
				level: 0,
				run: (obj: bpf_object) => pre_execution(obj, rec.obj),
			};
			const got = run_as_recorded(r, c, brief);
			if (got.err) return `run: does not load: ${got.err} ${got.libbpf}`;
			return compare_run(got, brief, rec.tags);
		});
	}
	const up = unpriv ? rec.up_unpriv : rec.up_priv;
	if (o.expect && up) {
		guard("expect", () => {
			if (!r.loader || r.obj !== rec.obj) {
				r.loader?.close();
				r.loader = new TestLoader(r.lib, readFileSync(join(o.objects, `${rec.obj}.bpf.o`)), {
					object_name: rec.obj,
					resolve_path: (path) => join(o.objects, path),
					pre_execution_cb: (obj) => pre_execution(obj, rec.obj),
				});
				r.obj = rec.obj;
			}
			const spec = r.loader.specs.get(rec.prog!);
			if (!spec) return `annotations: ${r.loader.bad.find((b) => b.prog === rec.prog)?.why}`;
			const leave = enter_test(r.lib, rec.obj);
			const got = r.loader.run_subtest(spec, unpriv);
			leave();
			r.settle();
			// test_loader skipped what it could not disassemble for lack of an LLVM library
			if (got.res === up.res || (up.res === "skip" && got.res === "pass")) return null;
			return `${got.res}, real ${up.res}: ${got.res === "pass" ? "" : got.why} ${r.said()}`;
		});
	}
}

function score_load(
	m: Machine,
	rec: ProgRecord,
	brief: RecordLoad,
	full: RecordLoad,
	unpriv: boolean,
	o: JobOptions,
): ProgScore {
	const with_log = full.log !== undefined && full.level >= 2 && o.log;
	const c: LoadCase = { ...case_of(rec, brief, unpriv, o), level: with_log ? full.level : brief.level };
	const who = { obj: rec.obj, prog: rec.prog!, unpriv };
	const got = attempt(m, o, who, () => load_as_recorded(m, c, brief));
	return "levels" in got ? got : judge(m, who, brief, full, with_log, got, o);
}

/** Loads; where that throws, the score says so. */
function attempt(m: Machine, o: JobOptions, who: Who, load: () => LoadResult): LoadResult | ProgScore {
	try {
		return load();
	} catch (e) {
		const err = e as Error;
		const place = err.stack
			?.split("\n")
			.slice(1, o.show ? 30 : 4)
			.join("\n");
		m.kernel.broken = true;
		return {
			...who,
			levels: { verdict: false },
			findings: [
				{
					level: "verdict",
					cause: `throws ${err.name}: ${err.message.slice(0, 120)} ${/at (.*?)[\s(]/.exec(place ?? "")?.[1] ?? ""}`,
					text: `${err.name}: ${err.message}\n${place}`,
				},
			],
			ms: 0,
		};
	}
}

/** A raw program of test_verifier. */
function score_raw(m: Machine, r: RawRecord, o: JobOptions): ProgScore {
	const full: RecordLoad = {
		map_fixups: [],
		flags: r.flags,
		level: has_log(r) ? 6 : r.log_level,
		err: r.errno ? -r.errno : 0,
		processed: -1,
	};
	if (has_log(r)) {
		full.log = r.log6!;
		full.processed = Number(/^processed (\d+) insns /m.exec(full.log)?.[1] ?? -1);
	}
	if (r.xlated) full.xlated = r.xlated;
	if (r.jited) full.jited = r.jited;
	m.kernel.prepare(full, "");
	const who = { obj: "test_verifier", prog: r.test, unpriv: is_unpriv(r) };
	const got = attempt(m, o, who, () => load_raw(m.lib, r, m.log, m.said));
	return "levels" in got ? got : judge(m, who, full, full, has_log(r) && o.log, got, o);
}

type Who = Pick<ProgScore, "obj" | "prog" | "unpriv">;

/** Holds a load against its record. */
function judge(
	m: Machine,
	who: Who,
	brief: RecordLoad,
	full: RecordLoad,
	with_log: boolean,
	got: LoadResult,
	o: JobOptions,
): ProgScore {
	if (o.dump)
		writeDump(o.dump, `${who.obj}.${who.prog.replaceAll("/", "_")}${who.unpriv ? ".u" : ""}`, got, full);
	return { ...who, ...judge_load(m.kernel, brief, full, with_log, got, o), ms: got.ms };
}

function writeDump(dir: string, name: string, got: LoadResult, want: RecordLoad): void {
	mkdirSync(dir, { recursive: true });
	writeFileSync(join(dir, `${name}.ours`), got.log);
	writeFileSync(join(dir, `${name}.real`), want.log ?? "");
}

async function work(
	job: Job,
	m: () => Machine,
	run: () => Runner,
	send: (msg: WorkerMessage) => void,
): Promise<void> {
	const { set, obj, options: o } = job;
	if (set.raw) {
		for await (const r of read_raw(set.raw, job.progs)) {
			if (!(is_unpriv(r) ? o.unpriv : o.priv)) continue;
			send({ begin: `${obj}/${r.test}` });
			send({ score: score_raw(m(), r, o) });
		}
		return;
	}
	for await (const rec of read_object(set, obj)) {
		if (rec.open_err !== undefined) {
			if (!job.progs.includes("")) continue;
			const mm = m();
			mm.said();
			const c: LoadCase = {
				path: join(o.objects, `${obj}.bpf.o`),
				prog: "",
				unpriv: false,
				level: 0,
				flags: 0,
				map_fixups: [],
			};
			const got = load_case(mm.lib, c, mm.log, mm.said);
			const ok = got.open_err === -rec.open_err && got.libbpf.trim() === rec.libbpf?.trim();
			send({
				score: {
					obj,
					prog: "",
					unpriv: false,
					levels: { verdict: ok, before: true },
					findings: ok ? [] : [{ level: "verdict", cause: "open", text: `${got.libbpf} real ${rec.libbpf}` }],
					ms: got.ms,
				},
			});
			continue;
		}
		if (!job.progs.includes(rec.prog!)) continue;
		if (rec.g && rec.g6 && o.priv) {
			send({ begin: `${obj}/${rec.prog}` });
			const s = score_load(m(), rec, rec.g, rec.g6, false, o);
			if (!s.levels.before) score_run(run(), rec, rec.g, false, o, s);
			send({ score: s });
		}
		if (rec.u && rec.u6 && o.unpriv) {
			send({ begin: `${obj}/${rec.prog} (unprivileged)` });
			const s = score_load(m(), rec, rec.u, rec.u6, true, o);
			if (!s.levels.before) score_run(run(), rec, rec.u, true, o, s);
			send({ score: s });
		}
	}
}

/** Reads jobs from the parent until it has no more. */
function main(): void {
	let current: Machine | null = null;
	let current_runner: Runner | null = null;
	let dir = "";
	const send = (msg: WorkerMessage): void => {
		process.send?.(msg);
	};
	process.on("message", (job: Job) => {
		const get = (): Machine => {
			if (!current || dir !== job.set.dir || current.kernel.broken) {
				current = machine_of(read_kernel_files(job.set.dir, job.options.arch));
				dir = job.set.dir;
			}
			return current;
		};
		const get_runner = (): Runner => {
			if (!current_runner || current_runner.dir !== job.set.dir || current_runner.broken)
				current_runner = runner(job.set, job.options.arch);
			return current_runner;
		};
		work(job, get, get_runner, send).then(
			() => send({ done: true }),
			(e: Error) => send({ done: true, error: e.stack ?? String(e) }),
		);
	});
	send({ done: true });
}

main();
