// SPDX-License-Identifier: GPL-2.0-only
/** Programs go while a task sleeps in the function they were attached to (prog_tests/fexit_sleep.c). */
import { nrGetpgid, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

export const fexitSleep: ProgTest = {
	name: "fexit_sleep",
	attaches: true,
	async run(t) {
		const skel = Skel.openAndLoad(t, "fexit_sleep");
		if (!skel) return;
		if (t.ASSERT_OK(skel.attach(), "attach")) {
			skel.set("pid", t.sys.getpid());
			t.ASSERT_EQ(t.sys.syscall(nrGetpgid(t.sys.arch), 0), t.sys.getpgid(0), "getpgid");
			t.ASSERT_EQ(skel.get("pgid_ret"), t.sys.getpgid(0), "pgid_ret");
			// The program behind the call still sees it fail.
			t.ASSERT_ERR(t.sys.getpgid(-5), "getpgid of none");
			t.ASSERT_EQ(skel.get("pgid_ret"), -3, "pgid_ret -ESRCH");
			const child = t.sys.thread(async (sys) => {
				t.ASSERT_EQ(await sys.nanosleep(1), 0, "first sleep");
				t.ASSERT_EQ(await sys.nanosleep(3_000_000_000), 0, "second sleep");
			});
			// Until the first sleep has ended and the second has begun.
			while (skel.get("fentry_cnt") !== 2n) await t.sys.yieldCpu();
			t.ASSERT_EQ(skel.get("fexit_cnt"), 1, "fexit_cnt");
			// The sleeper is in the trampoline; it must find its way out past the program that is gone.
			skel.detach();
			for (let i = 0; i < 8; i++) await t.sys.yieldCpu();
			await child;
			t.ASSERT_EQ(skel.get("fexit_cnt"), 1, "fexit_cnt after");
			t.ASSERT_EQ(skel.get("fentry_cnt"), 2, "fentry_cnt after");
		}
		skel.destroy();
	},
};
