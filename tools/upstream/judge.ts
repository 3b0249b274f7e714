// SPDX-License-Identifier: GPL-2.0-only
/** Holding what the mirror made of a program against what a real kernel did, level by level. */

import type { bpf_prog_info } from "../lib/bpf/libbpf.ts";
import { compare_insns, compare_xlated, first_line_diff, mask_log } from "./compare.ts";
import { first_word_diff } from "./compare_run.ts";
import type { LoadResult } from "./load_case.ts";
import type { RecordLoad } from "./records.ts";
import type { Finding, Level, ProgScore } from "./score.ts";

/** What knows the other kernel's addresses. */
export interface Yardstick {
	/** Whether a call (by its immediate) goes to a function whose address is not known. */
	is_stand_in(imm: number): boolean;
	/** The image against the record's; null when equal. */
	compare_jited(info: bpf_prog_info, load: RecordLoad): string | null;
}

/** Text without its numbers, for what differs in them only. */
export function plain(text: string): string {
	return text
		.split("\n")[0]!
		.replace(/0x[0-9a-f]+/g, "0xX")
		.replace(/-?\d+/g, "N")
		.slice(0, 110);
}

/** The last thing a log says before the statistics. */
function last_words(log: string): string {
	const lines = log.split("\n").filter((l) => l && !/^(processed|verification time|stack depth) /.test(l));
	return lines.at(-1) ?? "(no log)";
}

/** Holds a load against its record: `brief` is the one at level 4, `full` the one with the log. */
export function judge_load(
	yardstick: Yardstick,
	brief: RecordLoad,
	full: RecordLoad,
	with_log: boolean,
	got: LoadResult,
	o: { readonly jit: boolean; readonly show: boolean },
): Pick<ProgScore, "levels" | "findings"> {
	const levels: ProgScore["levels"] = {};
	const findings: Finding[] = [];
	const note = (level: Level, ok: boolean, finding: () => Omit<Finding, "level">): void => {
		levels[level] = ok;
		if (!ok) findings.push({ level, ...finding() });
	};
	if (brief.processed < 0 && brief.err && brief.insns !== undefined) {
		// user space gave up, or the kernel before its verifier
		note("verdict", got.err !== 0 || got.open_err !== 0, () => ({
			cause: `accepted, real ${brief.err}: ${plain(brief.libbpf?.split("\n")[0] ?? "")}`,
			text: `accepted, real ${brief.err}: ${brief.libbpf}`,
		}));
		levels.before = true;
		return { levels, findings };
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
	if (brief.processed >= 0 || with_log)
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
			? compare_xlated(got.info.xlated_prog_insns, Buffer.from(brief.xlated, "hex"), yardstick.is_stand_in)
			: "no info";
		note("xlated", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	if (o.jit && brief.jited && got.err === 0) {
		const diff = got.info ? yardstick.compare_jited(got.info, brief) : "no info";
		note("jited", diff === null, () => ({ cause: plain(diff!), text: diff! }));
	}
	return { levels, findings };
}

/** What a test run left against a record's run; null when equal. `tags`: the program's annotations. */
export function compare_run(
	got: LoadResult,
	want: RecordLoad,
	tags: readonly string[] | undefined,
): string | null {
	const run = got.run!;
	const real = want.run!;
	if (run.err !== -real.err) return `run: err ${run.err}, real ${-real.err}`;
	if (real.err) return null;
	const any = tags?.includes("comment:test_retval=POINTER_VALUE") ?? false;
	if (!any && run.retval !== real.retval >>> 0) return `run: retval ${run.retval}, real ${real.retval}`;
	if (run.size_out !== real.size_out) return `run: size_out ${run.size_out}, real ${real.size_out}`;
	if (run.out !== real.out) return `run: out ${run.out}, real ${real.out}`;
	for (const [name, hex] of Object.entries(want.data ?? {})) {
		const ours = run.data[name];
		const diff = ours === undefined ? null : first_word_diff(ours, hex, want.volatile?.data?.[name]);
		if (diff) return `run: ${name}, ${diff}`;
	}
	return null;
}
