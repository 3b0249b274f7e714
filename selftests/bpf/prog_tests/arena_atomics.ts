// SPDX-License-Identifier: GPL-2.0-only
/** Atomic operations on arena memory, and on pages that were freed (prog_tests/arena_atomics.c). */
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** What each operation leaves and returns, from what progs/arena_atomics.c begins with. */
const OPS: Readonly<Record<string, { value: number; result?: number }>> = {
	add: { value: 3, result: 1 },
	sub: { value: -1, result: 1 },
	and: { value: 0x010 },
	or: { value: 0x111 },
	xor: { value: 0x101 },
};

function run(t: TestEnv, skel: Skel, name: string): boolean {
	const opts = { retval: -1 };
	if (!t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(name).fd, opts), "test_run_opts err"))
		return false;
	return t.ASSERT_EQ(opts.retval, 0, "test_run_opts retval");
}

export const arenaAtomics: ProgTest = {
	name: "arena_atomics",
	run(t) {
		const skel = Skel.openAndLoad(t, "arena_atomics");
		if (!skel) return;
		skel.set("pid", t.sys.getpid());
		for (const [name, want] of Object.entries(OPS)) {
			if (!t.startSubtest(name) || !run(t, skel, name)) continue;
			t.ASSERT_EQ(skel.get(`${name}64_value`), want.value, `${name}64_value`);
			t.ASSERT_EQ(skel.get(`${name}32_value`), want.value, `${name}32_value`);
			if (want.result === undefined) continue;
			t.ASSERT_EQ(skel.get(`${name}64_result`), want.result, `${name}64_result`);
			t.ASSERT_EQ(skel.get(`${name}32_result`), want.result, `${name}32_result`);
			t.ASSERT_EQ(skel.get(`${name}_noreturn_value`), want.value, `${name}_noreturn_value`);
		}
		if (t.startSubtest("cmpxchg") && run(t, skel, "cmpxchg"))
			for (const w of ["64", "32"]) {
				t.ASSERT_EQ(skel.get(`cmpxchg${w}_value`), 2, `cmpxchg${w}_value`);
				t.ASSERT_EQ(skel.get(`cmpxchg${w}_fail`), 1, `cmpxchg${w}_result_fail`);
				t.ASSERT_EQ(skel.get(`cmpxchg${w}_succeed`), 1, `cmpxchg${w}_result_succeed`);
			}
		if (t.startSubtest("xchg") && run(t, skel, "xchg"))
			for (const w of ["64", "32"]) {
				t.ASSERT_EQ(skel.get(`xchg${w}_value`), 2, `xchg${w}_value`);
				t.ASSERT_EQ(skel.get(`xchg${w}_result`), 1, `xchg${w}_result`);
			}
		if (t.startSubtest("uaf") && run(t, skel, "uaf")) {
			t.ASSERT_EQ(skel.get("uaf_recovery_fails"), 0, "uaf_recovery_fails");
			// the register of a fetch that faults keeps the operand: 1 of the addition, 1 of each exchange
			t.ASSERT_EQ(skel.get("uaf_sink"), 3, "uaf_sink");
		}
		t.endSubtest();
		skel.destroy();
	},
};
