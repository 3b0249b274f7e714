// SPDX-License-Identifier: GPL-2.0-only
/** Programs that the verifier takes or turns down, as their annotations say (prog_tests/verifier.c). */
import { SysRefused } from "../../../include/sys.ts";
import { LIBBPF_DEBUG, Libbpf } from "../../../tools/lib/bpf/libbpf.ts";
import { log_as_of_6_12 } from "../../../tools/upstream/version_diffs.ts";
import { readProg } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";
import { type SubtestResult, TestLoader } from "../test_loader.ts";

/** Objects of progs/ whose programs are annotated. */
const OBJECTS = [
	"dynptr_fail",
	"user_ringbuf_fail",
	"verifier_arena",
	"verifier_arena_large",
	"verifier_functions",
	"verifier_jited",
	"verifier_kfuncs",
	"verifier_objects",
] as const;

/** What a subtest came to, or why this way into a kernel does not do it. */
function attempt(run: () => SubtestResult): SubtestResult | string {
	try {
		return run();
	} catch (e) {
		if (e instanceof SysRefused) return e.message;
		throw e;
	}
}

/** A test of all annotated programs of an object (RUN_TESTS): one of progs/, or the bytes of any. */
export function annotated(name: string, object?: Uint8Array): ProgTest {
	return {
		name,
		run(t) {
			let said = "";
			const lib = new Libbpf(t.sys, {
				known_kernel: true,
				print: (level, text) => {
					if (level !== LIBBPF_DEBUG) said += text;
				},
			});
			const loader = new TestLoader(lib, object ?? readProg(name, t.sys.arch), {
				object_name: name,
				min_log_level: t.logLevel,
				log_as_of_6_12: (log) => log_as_of_6_12(t.kernel.release, log),
			});
			for (const { prog, why } of loader.bad) t.printFail(`${prog}: ${why}\n${said}`);
			for (const spec of loader.specs.values()) {
				if (spec.auxiliary) continue;
				for (const unpriv of [false, true]) {
					if (!(spec.mode_mask & (unpriv ? 2 : 1))) continue;
					if (!t.startSubtest((unpriv ? spec.unpriv : spec.priv).name)) continue;
					said = "";
					const r = attempt(() => loader.run_subtest(spec, unpriv));
					if (typeof r === "string") {
						t.skip(r);
						continue;
					}
					if (r.res === "skip") t.skip(r.why);
					if (r.res === "fail") t.printFail(`${r.why}\n${said}${r.log}\n`);
				}
			}
			t.endSubtest();
			loader.close();
		},
	};
}

export const verifierProgTests: readonly ProgTest[] = OBJECTS.map((name) => annotated(name));
