// SPDX-License-Identifier: GPL-2.0-only
/**
 * The value that a program gets from its attachment (prog_tests/bpf_cookie.c: kprobe, tracepoint, perf_event,
 * trampoline, raw_tp, tp_btf).
 */
import { EEXIST, EOPNOTSUPP, EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_prog_test_run_opts,
	bpf_program__attach_kprobe_opts,
	bpf_program__attach_perf_event_opts,
	bpf_program__attach_raw_tracepoint,
	bpf_program__attach_trace,
	bpf_program__attach_tracepoint_opts,
	bpf_raw_tracepoint_open,
} from "../../../tools/lib/bpf/libbpf.ts";
import { burnCpu, perfEventOpen, syscallFunc } from "../perf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

type Links = (bpf_link | number)[];

function attached(t: TestEnv, links: Links): boolean {
	return links.every((l, i) => t.ASSERT_OK_PTR(l, `link${i + 1}`));
}

function drop(links: Links): void {
	for (const l of links.splice(0)) bpf_link__destroy(l);
}

async function kprobe(t: TestEnv, skel: Skel): Promise<void> {
	const func = syscallFunc(t.sys, "nanosleep");
	const links: Links = [];
	for (const bpf_cookie of [1n, 2n])
		links.push(bpf_program__attach_kprobe_opts(skel.prog("handle_kprobe"), func, { bpf_cookie }));
	for (const bpf_cookie of [0x10n, 0x20n])
		links.push(
			bpf_program__attach_kprobe_opts(skel.prog("handle_kretprobe"), func, { bpf_cookie, retprobe: true }),
		);
	if (attached(t, links)) {
		await t.sys.nanosleep(1000);
		t.ASSERT_EQ(skel.get("kprobe_res"), 0x3, "kprobe_res");
		t.ASSERT_EQ(skel.get("kretprobe_res"), 0x30, "kretprobe_res");
	}
	drop(links);
}

async function tracepoint(t: TestEnv, skel: Skel): Promise<void> {
	const attach = (name: string, bpf_cookie: bigint): bpf_link | number =>
		bpf_program__attach_tracepoint_opts(skel.prog(name), "syscalls", "sys_enter_nanosleep", { bpf_cookie });
	const links = [attach("handle_tp1", 1n), attach("handle_tp2", 2n)];
	if (attached(t, links)) {
		t.ASSERT_EQ(attach("handle_tp2", 8n) as number, -EEXIST, "the same program again");
		await t.sys.nanosleep(1000);
		t.ASSERT_EQ(skel.get("tp_res"), 3, "tp_res1");
		skel.set("tp_res", 0);
		links.push(attach("handle_tp3", 4n));
		bpf_link__destroy(links.shift()!);
		await t.sys.nanosleep(1000);
		t.ASSERT_EQ(skel.get("tp_res"), 2 | 4, "tp_res2");
	}
	drop(links);
}

function perfEvent(t: TestEnv, skel: Skel): void {
	// where the event counts
	t.sys.setCpu(0);
	for (const bpf_cookie of [0x100000n, 0x200000n]) {
		const spec = { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_CPU_CLOCK, period: 100_000 };
		const pfd = perfEventOpen(skel.lib, spec);
		const links = [bpf_program__attach_perf_event_opts(skel.prog("handle_pe"), pfd, { bpf_cookie })];
		if (attached(t, links)) {
			skel.set("pe_res", 0);
			burnCpu(t.sys, 1_000_000);
			t.ASSERT_EQ(skel.get("pe_res"), bpf_cookie, "pe_res");
		}
		drop(links);
	}
}

function trampoline(t: TestEnv, skel: Skel): void {
	const links = [
		bpf_program__attach_trace(skel.prog("fentry_test1"), 0x10000000000000n),
		bpf_program__attach_trace(skel.prog("fexit_test1"), 0x20000000000000n),
	];
	const run = (): void =>
		void t.ASSERT_OK(
			bpf_prog_test_run_opts(skel.lib, skel.prog("fentry_test1").fd, { repeat: 0 }),
			"test_run",
		);
	if (attached(t, links)) {
		run();
		t.ASSERT_EQ(skel.get("fentry_res"), 0x10000000000000n, "fentry_res");
		t.ASSERT_EQ(skel.get("fexit_res"), 0x20000000000000n, "fexit_res");
	}
	drop(links);
	// the older command has a cookie for raw tracepoints only
	skel.set("fentry_res", 0);
	const fd = bpf_raw_tracepoint_open(skel.lib, null, skel.prog("fentry_test1").fd, 7n);
	if (t.ASSERT_OK_FD(fd, "raw_tracepoint_open")) {
		run();
		t.ASSERT_EQ(skel.get("fentry_res"), 0, "fentry_res without a cookie");
		t.sys.close(fd);
	}
}

function rawTp(t: TestEnv, skel: Skel): void {
	for (const cookie of [1n, 2n]) {
		const links = [bpf_program__attach_raw_tracepoint(skel.prog("handle_raw_tp"), "sys_enter", cookie)];
		if (attached(t, links)) {
			skel.set("raw_tp_res", 0);
			t.sys.getpgid(0);
			t.ASSERT_EQ(skel.get("raw_tp_res"), cookie, "raw_tp_res");
		}
		drop(links);
	}
}

function tpBtf(t: TestEnv, skel: Skel): void {
	for (const cookie of [0x11n, 0x22n]) {
		const links = [bpf_program__attach_trace(skel.prog("handle_tp_btf"), cookie)];
		if (attached(t, links)) {
			skel.set("tp_btf_res", 0);
			t.sys.getpgid(0);
			t.ASSERT_EQ(skel.get("tp_btf_res"), cookie, "tp_btf_res");
		}
		drop(links);
	}
}

/** What only upstream's object has: a function whose return is modified, and a security hook that refuses. */
function modifyReturn(t: TestEnv, skel: Skel): void {
	const links = [bpf_program__attach_trace(skel.prog("fmod_ret_test"), 0x30000000000000n)];
	if (attached(t, links)) {
		const { fd } = skel.prog("fmod_ret_test");
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, fd, { repeat: 0 }), "test_run");
		t.ASSERT_EQ(skel.get("fmod_ret_res"), 0x30000000000000n, "fmod_ret_res");
	}
	drop(links);
}

function lsm(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const page = sys.mmap(0, sys.pageSize, 3, 0x22, -1, 0);
	const links = [bpf_program__attach_trace(skel.prog("test_int_hook"), 0x90000000000090n)];
	if (links[0] === -EOPNOTSUPP) {
		t.skip("the security hook file_mprotect is not ported");
	} else if (attached(t, links)) {
		t.ASSERT_EQ(sys.mprotect(page, sys.pageSize, 1), -EPERM, "mprotect");
		t.ASSERT_EQ(skel.get("lsm_res"), 0x90000000000090n, "lsm_res");
	}
	drop(links);
	sys.munmap(page, sys.pageSize);
}

/** Of our own object, or upstream's. */
export function bpfCookieTest(object?: Uint8Array): ProgTest {
	return {
		name: "bpf_cookie",
		async run(t) {
			const skel = Skel.openAndLoad(t, "test_bpf_cookie", object);
			if (!skel) return;
			skel.set("my_tid", t.sys.gettid());
			if (t.startSubtest("kprobe")) await kprobe(t, skel);
			if (object && t.startSubtest("uprobe")) t.skip("uprobes are not ported");
			if (t.startSubtest("tracepoint")) await tracepoint(t, skel);
			if (t.startSubtest("perf_event")) perfEvent(t, skel);
			if (t.startSubtest("trampoline")) {
				trampoline(t, skel);
				if (object) modifyReturn(t, skel);
			}
			if (object && t.startSubtest("lsm")) lsm(t, skel);
			if (t.startSubtest("raw_tp")) rawTp(t, skel);
			if (t.startSubtest("tp_btf")) tpBtf(t, skel);
			t.endSubtest();
			skel.destroy();
		},
	};
}

export const bpfCookie = bpfCookieTest();
