// SPDX-License-Identifier: GPL-2.0-only
/**
 * One process of `npm run upstream`: boots a kernel that stands in for the records' one and scores the
 * programs that it is sent.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Libbpf } from "../tools/lib/bpf/libbpf.ts";
import { compare_insns, compare_xlated, first_line_diff, mask_log } from "../tools/upstream/compare.ts";
import { type LoadCase, type LoadResult, type LogBuffer, load_case } from "../tools/upstream/load_case.ts";
import type { ProgRecord, RecordLoad, RecordSet } from "../tools/upstream/records.ts";
import { read_object } from "../tools/upstream/records.ts";
import type { Finding, Job, JobOptions, Level, ProgScore, WorkerMessage } from "../tools/upstream/score.ts";
import { bootRecordKernel, type RecordKernel } from "./record_kernel.ts";

const LOG_SIZE = 64 << 20;

interface Machine {
	kernel: RecordKernel;
	lib: Libbpf;
	log: LogBuffer;
	said: () => string;
}

function machine(set: RecordSet, arch: "x86_64" | "arm64"): Machine {
	const kernel = bootRecordKernel(set.dir, arch);
	let text = "";
	const lib = new Libbpf(kernel.sys, {
		known_kernel: true,
		print: (level, line) => {
			if (level === 0) text += line;
		},
	});
	const said = (): string => {
		const t = text;
		text = "";
		return t;
	};
	return { kernel, lib, log: { addr: lib.heap.alloc(LOG_SIZE), size: LOG_SIZE }, said };
}

/** The last thing a log says before the statistics. */
function last_words(log: string): string {
	const lines = log.split("\n").filter((l) => l && !/^(processed|verification time|stack depth) /.test(l));
	return lines.at(-1) ?? "(no log)";
}

function score_load(
	m: Machine,
	rec: ProgRecord,
	brief: RecordLoad,
	full: RecordLoad,
	unpriv: boolean,
	objects: string,
	o: JobOptions,
): ProgScore {
	const levels: ProgScore["levels"] = {};
	const findings: Finding[] = [];
	const note = (level: Level, ok: boolean, finding: () => Omit<Finding, "level">): void => {
		levels[level] = ok;
		if (!ok) findings.push({ level, ...finding() });
	};
	const with_log = full.log !== undefined && full.level >= 2 && o.log;
	const btf = rec.tags?.find((t) => t.startsWith("comment:test_btf_path="))?.split("=")[1];
	const c: LoadCase = {
		path: join(objects, `${rec.obj}.bpf.o`),
		prog: rec.prog!,
		unpriv,
		level: with_log ? full.level : brief.level,
		flags: brief.flags,
		map_fixups: brief.map_fixups,
		btf_custom_path: btf && join(objects, btf),
		run: o.run && brief.run !== undefined,
	};
	m.kernel.prepare(brief, rec.prog!);
	let got: LoadResult;
	try {
		got = load_case(m.lib, c, m.log, m.said);
	} catch (e) {
		const err = e as Error;
		const place = err.stack
			?.split("\n")
			.slice(1, o.show ? 30 : 4)
			.join("\n");
		m.kernel.broken = true;
		return {
			obj: rec.obj,
			prog: rec.prog!,
			unpriv,
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
	if (o.dump) {
		const dir = o.dump;
		writeDump(dir, `${rec.obj}.${rec.prog}${unpriv ? ".u" : ""}`, got, full);
	}
	const plain = (text: string): string =>
		text
			.replace(/0x[0-9a-f]+/g, "0xX")
			.replace(/-?\d+/g, "N")
			.slice(0, 110);
	if (brief.processed < 0 && brief.err) {
		// user space gave up, or the kernel before its verifier
		note("verdict", got.err !== 0 || got.open_err !== 0, () => ({
			cause: `accepted, real ${brief.err}: ${plain(brief.libbpf?.split("\n")[0] ?? "")}`,
			text: `accepted, real ${brief.err}: ${brief.libbpf}`,
		}));
		levels.before = true;
		return { obj: rec.obj, prog: rec.prog!, unpriv, levels, findings, ms: got.ms };
	}
	if (brief.insns && got.open_err === 0) {
		const diff = compare_insns(
			got.insns,
			Buffer.from(brief.insns, "hex"),
			(i) => got.map_names.get(i),
			brief.maps ?? [],
		);
		note("insns", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	const err = got.open_err || got.err;
	note("verdict", err === brief.err, () => ({
		cause: `err ${err}, real ${brief.err}: ${plain(brief.err === 0 || got.processed < 0 ? (got.processed < 0 ? (got.libbpf.split("\n")[0] ?? "") : last_words(got.log)) : last_words(full.log ?? ""))}`,
		text: `err ${err}, real ${brief.err}\nours: ${got.processed < 0 ? got.libbpf : ""}${last_words(got.log)}\nreal: ${last_words(full.log ?? "")}`,
	}));
	note("stats", got.processed === brief.processed, () => ({
		cause: "processed",
		text: `processed ${got.processed}, real ${brief.processed}`,
	}));
	if (with_log) {
		const diff = first_line_diff(mask_log(got.log), mask_log(full.log!), o.show ? 25 : 3, o.show ? 8 : 3);
		note("log", diff === null, () => ({
			cause: `${plain(diff!.ours[0] ?? "(end)")}  |real|  ${plain(diff!.theirs[0] ?? "(end)")}`,
			text: [
				`line ${diff!.line}`,
				...diff!.before.map((l) => `       ${l}`),
				...diff!.theirs.map((l) => `  real ${l}`),
				...diff!.ours.map((l) => `  ours ${l}`),
			].join("\n"),
		}));
	}
	if (brief.xlated && got.err === 0) {
		const diff = got.info
			? compare_xlated(got.info.xlated_prog_insns, Buffer.from(brief.xlated, "hex"), m.kernel.is_stand_in)
			: "no info";
		note("xlated", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	if (o.jit && brief.jited && got.err === 0) {
		const diff = got.info ? m.kernel.compare_jited(got.info, brief) : "no info";
		note("jited", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	if (o.run && brief.run && got.run) {
		const diff = compare_run(got, brief);
		note("run", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	return { obj: rec.obj, prog: rec.prog!, unpriv, levels, findings, ms: got.ms };
}

function compare_run(got: LoadResult, want: RecordLoad): string | null {
	const run = got.run!;
	const real = want.run!;
	if (run.err !== real.err) return `run: err ${run.err}, real ${real.err}`;
	if (run.retval !== real.retval >>> 0) return `run: retval ${run.retval}, real ${real.retval}`;
	if (run.size_out !== real.size_out) return `run: size_out ${run.size_out}, real ${real.size_out}`;
	if (run.out !== real.out) return `run: out ${run.out}, real ${real.out}`;
	for (const [name, hex] of Object.entries(want.data ?? {})) {
		if (run.data[name] !== undefined && run.data[name] !== hex)
			return `run: ${name} ${run.data[name]}, real ${hex}`;
	}
	return null;
}

function writeDump(dir: string, name: string, got: LoadResult, want: RecordLoad): void {
	mkdirSync(dir, { recursive: true });
	writeFileSync(join(dir, `${name}.ours`), got.log);
	writeFileSync(join(dir, `${name}.real`), want.log ?? "");
}

async function work(job: Job, m: () => Machine, send: (msg: WorkerMessage) => void): Promise<void> {
	const { set, obj, options: o } = job;
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
			send({ score: score_load(m(), rec, rec.g, rec.g6, false, o.objects, o) });
		}
		if (rec.u && rec.u6 && o.unpriv) {
			send({ begin: `${obj}/${rec.prog} (unprivileged)` });
			send({ score: score_load(m(), rec, rec.u, rec.u6, true, o.objects, o) });
		}
	}
}

/** Reads jobs from the parent until it has no more. */
function main(): void {
	let current: Machine | null = null;
	let dir = "";
	const send = (msg: WorkerMessage): void => {
		process.send?.(msg);
	};
	process.on("message", (job: Job) => {
		const get = (): Machine => {
			if (!current || dir !== job.set.dir || current.kernel.broken) {
				current = machine(job.set, job.options.arch);
				dir = job.set.dir;
			}
			return current;
		};
		work(job, get, send).then(
			() => send({ done: true }),
			(e: Error) => send({ done: true, error: e.stack ?? String(e) }),
		);
	});
	send({ done: true });
}

main();
