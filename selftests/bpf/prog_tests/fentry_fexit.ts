// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs before and after functions, each alone and both at once
 * (prog_tests/fentry_test.c, fexit_test.c, fentry_fexit.c).
 */
import { EBUSY } from "../../../include/uapi/asm-generic/errno.ts";
import { bpf_prog_test_run_opts, bpf_program__attach } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const RESULTS = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `test${n}_result`);

function run(t: TestEnv, skel: Skel): void {
	const opts = { repeat: 0, retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("test1").fd, opts), "test_run");
	t.ASSERT_EQ(opts.retval, 0, "test_run retval");
}

function common(t: TestEnv, skel: Skel): boolean {
	if (!t.ASSERT_OK(skel.attach(), "attach")) return false;
	// A program that is attached cannot be attached again.
	t.ASSERT_EQ(bpf_program__attach(skel.prog("test1")) as number, -EBUSY, "attach_link");
	run(t, skel);
	for (const r of RESULTS) t.ASSERT_EQ(skel.get(r), 1, r);
	skel.detach();
	for (const r of RESULTS) skel.set(r, 0);
	// Detached, nothing runs.
	run(t, skel);
	for (const r of RESULTS) t.ASSERT_EQ(skel.get(r), 0, `${r} detached`);
	return true;
}

function alone(name: string): (t: TestEnv) => void {
	return (t) => {
		const skel = Skel.openAndLoad(t, name);
		if (!skel) return;
		if (common(t, skel)) common(t, skel);
		skel.destroy();
	};
}

export const fentryTest: ProgTest = { name: "fentry_test", run: alone("fentry_test") };
export const fexitTest: ProgTest = { name: "fexit_test", run: alone("fexit_test") };

export const fentryFexit: ProgTest = {
	name: "fentry_fexit",
	attaches: true,
	run(t) {
		const fentry = Skel.openAndLoad(t, "fentry_test");
		const fexit = Skel.openAndLoad(t, "fexit_test");
		if (fentry && fexit) {
			t.ASSERT_OK(fentry.attach(), "fentry_attach");
			t.ASSERT_OK(fexit.attach(), "fexit_attach");
			run(t, fexit);
			for (const r of RESULTS) {
				t.ASSERT_EQ(fentry.get(r), 1, `fentry ${r}`);
				t.ASSERT_EQ(fexit.get(r), 1, `fexit ${r}`);
			}
			// One goes, the other stays.
			fentry.detach();
			for (const r of RESULTS) {
				fentry.set(r, 0);
				fexit.set(r, 0);
			}
			run(t, fexit);
			for (const r of RESULTS) {
				t.ASSERT_EQ(fentry.get(r), 0, `fentry gone ${r}`);
				t.ASSERT_EQ(fexit.get(r), 1, `fexit stays ${r}`);
			}
		}
		fentry?.destroy();
		fexit?.destroy();
	},
};
