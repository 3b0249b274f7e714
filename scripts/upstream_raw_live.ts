// SPDX-License-Identifier: GPL-2.0-only
/**
 * `npm run upstream -- test_verifier --with KERNEL`: the instructions of upstream's test_verifier, as records have
 * them, loaded on a kernel that runs now and on the mirror of it.
 */
import { MachineGone, ProcessEnded } from "../tools/kernels/remote_sys.ts";
import { realKernel, TEST_MODULES, withKernel, withProcess } from "../tools/other_kernel.ts";
import { Progress } from "../tools/progress.ts";
import { canonical_log } from "../tools/upstream/compare.ts";
import { judge_load } from "../tools/upstream/judge.ts";
import { loader_of } from "../tools/upstream/loader.ts";
import { kernel_files } from "../tools/upstream/machine_facts.ts";
import { is_unpriv, load_raw } from "../tools/upstream/raw_case.ts";
import { find_sets, outline, type RawRecord, read_raw } from "../tools/upstream/records.ts";
import type { ProgScore } from "../tools/upstream/score.ts";
import { record_of } from "../tools/upstream/take_record.ts";
import { machine_of } from "./record_machine.ts";

/** Most that a log is at its longest. */
const LOG_SIZE = 64 << 20;

/** What the run found; a string is why it could not be. */
export async function scoreRawLive(
	name: string,
	o: { records: string; cache: string; arch: "x86" | "arm64"; only: RegExp },
	say: (line: string) => void,
): Promise<{ scores: ProgScore[]; skipped: string[] } | string> {
	const spec = realKernel(name);
	if (!spec) return `there is no kernel ${name}: host, vm:x86_64, vm:arm64`;
	const set = find_sets(o.records, o.arch, o.cache, say).find((s) => s.raw);
	if (!set?.raw) return `there are no instructions of test_verifier in ${o.records}`;
	const tests = set.objects.flatMap((obj) => outline(set, obj).map(([test]) => test));
	const wanted = tests.filter((t) => o.only.test(`${set.name}/test_verifier/${t}`));
	const progress = new Progress();
	const scores: ProgScore[] = [];
	const skipped: string[] = [];
	await withKernel(spec, async (kernel) => {
		const files = await withProcess(kernel, (sys) => kernel_files(sys, TEST_MODULES));
		const m = machine_of(files);
		const unprivileged = files.facts.unprivileged_bpf_disabled === 0;
		await withProcess(kernel, async (sys) => {
			const l = loader_of(sys, LOG_SIZE);
			for await (const recorded of read_raw(set.raw!, wanted)) {
				progress.at(() => `${scores.length} of ${wanted.length}: ${recorded.test}`);
				if (is_unpriv(recorded) && !unprivileged) continue;
				// the record's own log and images are another kernel's
				const raw: RawRecord = { ...recorded, log6: "" };
				try {
					scores.push(one(raw));
				} catch (e) {
					if (e instanceof MachineGone || e instanceof ProcessEnded) {
						say(`${raw.test}: the real kernel did not outlive it: ${e.message}`);
						throw e;
					}
					skipped.push((e as Error).message);
				}
			}

			function one(raw: RawRecord): ProgScore {
				const real = load_raw(l.lib, raw, l.log, l.said);
				const c = {
					path: "test_verifier",
					prog: raw.test,
					unpriv: is_unpriv(raw),
					level: 6,
					flags: raw.flags,
				};
				const { insns: _, ...want } = record_of({ ...c, map_fixups: [] }, real);
				m.kernel.prepare(want, "");
				const got = load_raw(m.lib, raw, m.log, m.said);
				const full = { ...want, log: canonical_log(real.log) };
				const mine = { ...got, log: canonical_log(got.log) };
				const judged = judge_load(m.kernel, want, full, true, mine, { jit: true, show: false });
				return {
					set: set!.name,
					obj: "test_verifier",
					prog: raw.test,
					unpriv: c.unpriv,
					...judged,
					ms: got.ms,
				};
			}
		});
	});
	progress.clear();
	return { scores, skipped };
}
