// SPDX-License-Identifier: GPL-2.0-only
/** Atomic instructions on globals (prog_tests/atomics.c). */
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

/** Globals after each program. */
const expected: Readonly<Record<string, Readonly<Record<string, bigint>>>> = {
	add: {
		add64_value: 3n,
		add64_result: 1n,
		add32_value: 3n,
		add32_result: 1n,
		add_stack_value_copy: 3n,
		add_stack_result: 1n,
		add_noreturn_value: 3n,
	},
	sub: { sub64_value: -1n, sub64_result: 1n, sub32_value: -1n, sub32_result: 1n },
	and: { and64_value: 0x010n << 32n, and32_value: 0x010n, and_noreturn_value: 0x010n << 32n },
	or: { or64_value: 0x111n << 32n, or64_result: 0x110n << 32n, or32_value: 0x111n },
	xor: { xor64_value: 0x101n << 32n, xor32_value: 0x101n, xor32_result: 0x110n },
	cmpxchg: {
		cmpxchg64_value: 2n,
		cmpxchg64_result_fail: 1n,
		cmpxchg64_result_succeed: 1n,
		cmpxchg32_value: 2n,
		cmpxchg32_result_fail: 1n,
		cmpxchg32_result_succeed: 1n,
	},
	xchg: { xchg64_value: 2n, xchg64_result: 1n, xchg32_value: 2n, xchg32_result: 1n },
};

export const atomics: ProgTest = {
	name: "atomics",
	run(t) {
		const skel = Skel.openAndLoad(t, "atomics");
		if (!skel) return;
		skel.set("pid", t.sys.getpid());
		for (const [prog, globals] of Object.entries(expected)) {
			if (!t.startSubtest(prog)) continue;
			const opts = { retval: 1 };
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), "test_run");
			t.ASSERT_EQ(opts.retval, 0, "retval");
			for (const [name, want] of Object.entries(globals)) t.ASSERT_EQ(skel.get(name), want, name);
		}
		t.endSubtest();
		skel.destroy();
	},
};
