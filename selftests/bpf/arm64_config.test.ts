// SPDX-License-Identifier: GPL-2.0-only
/** The selftests that lean on frames, entries and atomics, on arm64 kernels of other configurations and CPUs. */
import { expect, test } from "vitest";
import { bootTestKernel } from "../../tools/mirror.ts";
import { Selector } from "./filter.ts";
import { progTests } from "./prog_tests/index.ts";
import { TestProgs } from "./test_progs.ts";

const NAMES = [
	"arena_atomics",
	"atomics",
	"bpf_loop",
	"exceptions",
	"fentry_fexit",
	"fexit_bpf2bpf",
	"fexit_sleep",
	"fentry_many_args",
	"subprogs",
	"tailcalls",
];

test.each([
	{ lse_atomics: true, bti: true, pac: true },
	{ lse_atomics: false, bti: false, pac: false },
])("LSE $lse_atomics, BTI $bti, PAC $pac", async (choice) => {
	const tests = progTests.filter((t) => NAMES.includes(t.name));
	expect(tests).toHaveLength(NAMES.length);
	// without LSE no program may use atomics on arena memory (bpf_jit_supports_insn)
	const chosen = choice.lse_atomics ? tests : tests.filter((t) => t.name !== "arena_atomics");
	let out = "";
	const progs = new TestProgs(chosen, {
		selector: new Selector(),
		verbosity: 0,
		verifierStats: false,
		count: false,
		list: false,
		json: null,
		out: (text) => {
			out += text;
		},
	});
	const config = { arm64: { ...choice, va_bits: 48 as const } };
	const code = await progs.run(await bootTestKernel({ arch: "arm64", boot: { config } }));
	expect(out).toMatch(new RegExp(`^Summary: ${chosen.length}/\\d+ PASSED, 0 SKIPPED, 0 FAILED$`, "m"));
	expect(code).toBe(0);
});
