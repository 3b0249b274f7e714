// SPDX-License-Identifier: GPL-2.0-only
/**
 * Programs around a function whose result a program may replace
 * (prog_tests/modify_return.c, get_func_args_test.c, get_func_ip_test.c, trampoline_count.c).
 */
import { E2BIG, EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	bpf_program__attach_trace,
} from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** BPF_MAX_TRAMP_LINKS of v6.12 */
const BPF_MAX_TRAMP_LINKS = 38;

function testRun(t: TestEnv, skel: Skel, prog: string): number {
	const opts = { repeat: 0, retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), `test_run ${prog}`);
	return opts.retval >>> 0;
}

function modify(t: TestEnv, input: number, side_effect: number, ret: number): void {
	const skel = Skel.openAndLoad(t, "modify_return");
	if (!skel) return;
	if (t.ASSERT_OK(skel.attach(), "attach")) {
		skel.set("input_retval", input);
		const out = testRun(t, skel, "fmod_ret_test");
		t.ASSERT_EQ((out << 16) >> 16, ret, "test_run ret");
		t.ASSERT_EQ(out >>> 16, side_effect, "side_effect");
		for (const r of ["fentry_result", "fmod_ret_result", "fexit_result"]) {
			t.ASSERT_EQ(skel.get(r), 1, r);
			t.ASSERT_EQ(skel.get(`${r}2`), 1, `${r}2`);
		}
	}
	skel.destroy();
}

export const modifyReturn: ProgTest = {
	name: "modify_return",
	attaches: true,
	run(t) {
		modify(t, 0, 2, 33);
		modify(t, -EINVAL, 0, -EINVAL * 2);
	},
};

export const getFuncArgsTest: ProgTest = {
	name: "get_func_args_test",
	attaches: true,
	run(t) {
		const skel = Skel.openAndLoad(t, "get_func_args_test");
		if (!skel) return;
		if (t.ASSERT_OK(skel.attach(), "attach")) {
			t.ASSERT_EQ(testRun(t, skel, "test1"), 0, "test_run");
			const out = testRun(t, skel, "fmod_ret_test");
			t.ASSERT_EQ(out >>> 16, 1, "side_effect");
			t.ASSERT_EQ(out & 0xffff, 1234 + 29, "ret");
			for (const n of [1, 2, 3, 4]) t.ASSERT_EQ(skel.get(`test${n}_result`), 1, `test${n}_result`);
		}
		skel.destroy();
	},
};

export const getFuncIpTest: ProgTest = {
	name: "get_func_ip_test",
	attaches: true,
	run(t) {
		const skel = Skel.openAndLoad(t, "get_func_ip_test");
		if (!skel) return;
		const links: (bpf_link | number)[] = [];
		const attach = (prog: string, cookie: bigint): void => {
			const link = bpf_program__attach_trace(skel.prog(prog), cookie);
			t.ASSERT_OK_PTR(link, `attach ${prog}`);
			links.push(link);
		};
		attach("test1", 0x10n);
		attach("test2", 0x1234_5678_9abc_def0n);
		attach("test5", 0n);
		skel.set("fmod_ret_cookie", 1);
		t.ASSERT_EQ(testRun(t, skel, "test1"), 0, "test_run");
		testRun(t, skel, "test5");
		for (const n of [1, 2, 5]) t.ASSERT_EQ(skel.get(`test${n}_result`), 1, `test${n}_result`);
		t.ASSERT_EQ(skel.get("fentry_cookie"), 0x10, "fentry_cookie");
		t.ASSERT_EQ(skel.get("fexit_cookie"), 0x1234_5678_9abc_def0n, "fexit_cookie");
		t.ASSERT_EQ(skel.get("fmod_ret_cookie"), 0, "fmod_ret_cookie");
		for (const link of links) bpf_link__destroy(link);
		skel.destroy();
	},
};

export const trampolineCount: ProgTest = {
	name: "trampoline_count",
	attaches: true,
	run(t) {
		const progs = ["fentry_test", "fmod_ret_test", "fexit_test"];
		const skels: Skel[] = [];
		const links: (bpf_link | number)[] = [];
		const load = (): Skel | null => {
			const skel = Skel.openAndLoad(t, "test_trampoline_count");
			if (skel) skels.push(skel);
			return skel;
		};
		for (let i = 0; i < BPF_MAX_TRAMP_LINKS; i++) {
			const skel = load();
			if (!skel) break;
			const link = bpf_program__attach(skel.prog(progs[i % progs.length]!));
			if (!t.ASSERT_OK_PTR(link, "attach_prog")) break;
			links.push(link);
		}
		const extra = load();
		if (extra && links.length === BPF_MAX_TRAMP_LINKS) {
			t.ASSERT_EQ(bpf_program__attach(extra.prog("fmod_ret_test")) as number, -E2BIG, "E2BIG");
			const out = testRun(t, extra, "fmod_ret_test");
			t.ASSERT_EQ(out & 0xffff, 33, "result");
			t.ASSERT_EQ(out >>> 16, 2, "side_effect");
		}
		for (const link of links) bpf_link__destroy(link);
		for (const skel of skels) skel.destroy();
	},
};
