// SPDX-License-Identifier: GPL-2.0-only
/** Kprobes and kretprobes of every kind (prog_tests/attach_probe.c, kprobe_multi_test.c; uprobes are not ported). */
import { EINVAL, EOPNOTSUPP, ESRCH } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_PERF_EVENT_KPROBE, BPF_PERF_EVENT_KRETPROBE } from "../../../include/uapi/linux/bpf.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_obj_get_info_by_fd,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	bpf_program__attach_kprobe_multi_opts,
	bpf_program__attach_kprobe_opts,
	bpf_program__set_autoload,
	type probe_attach_mode,
} from "../../../tools/lib/bpf/libbpf.ts";
import { syscallFunc } from "../perf.ts";
import { read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

function open(t: TestEnv, also?: string): Skel | null {
	const skel = Skel.open(t, "test_attach_probe");
	if (!skel) return null;
	if (also !== undefined) bpf_program__set_autoload(skel.prog(also), true);
	if (!t.ASSERT_OK(skel.load(), "skel_load")) {
		skel.destroy();
		return null;
	}
	skel.set("my_tid", t.sys.gettid());
	return skel;
}

/** bpf_fentry_test1(1) and its kin are called. */
function testRun(t: TestEnv, skel: Skel): void {
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("trigger").fd, { repeat: 0 }), "test_run");
}

async function manual(t: TestEnv, attach_mode: probe_attach_mode): Promise<void> {
	const skel = open(t);
	if (!skel) return;
	const func = syscallFunc(t.sys, "nanosleep");
	const links = [
		bpf_program__attach_kprobe_opts(skel.prog("handle_kprobe"), func, { attach_mode }),
		bpf_program__attach_kprobe_opts(skel.prog("handle_kretprobe"), func, { attach_mode, retprobe: true }),
	];
	if (t.ASSERT_OK_PTR(links[0], "attach_kprobe") && t.ASSERT_OK_PTR(links[1], "attach_kretprobe")) {
		skel.set("rc", 77);
		await t.sys.nanosleep(1000);
		t.ASSERT_EQ(skel.get("kprobe_res"), 1, "check_kprobe_res");
		t.ASSERT_EQ(skel.get("kretprobe_res"), 1, "check_kretprobe_res");
		t.ASSERT_EQ(skel.get("rc"), 0, "what nanosleep returned");
		for (const l of links) bpf_link__destroy(l);
		await t.sys.nanosleep(1000);
		t.ASSERT_EQ(skel.get("kprobe_res"), 1, "gone");
		t.ASSERT_EQ(skel.get("kretprobe_res"), 1, "gone");
	}
	skel.destroy();
}

/** Attached as their sections say. */
async function auto(t: TestEnv): Promise<void> {
	const skel = open(t);
	if (!skel) return;
	const links: (bpf_link | number)[] = [];
	for (const name of ["handle_kprobe_auto", "handle_kretprobe_auto", "entry", "leave"]) {
		const l = bpf_program__attach(skel.prog(name));
		t.ASSERT_OK_PTR(l, name);
		links.push(l);
	}
	t.ASSERT_EQ(bpf_program__attach(skel.prog("handle_kprobe")) as number, -EOPNOTSUPP, "no target");
	await t.sys.nanosleep(1000);
	t.ASSERT_EQ(skel.get("kprobe2_res"), 11, "check_kprobe_auto_res");
	t.ASSERT_EQ(skel.get("kretprobe2_res"), 22, "check_kretprobe_auto_res");
	testRun(t, skel);
	t.ASSERT_EQ(skel.get("arg"), 1, "the function's argument");
	t.ASSERT_EQ(skel.get("rc"), 2, "and result");
	t.ASSERT_EQ(skel.get("func_ip"), 1, "func_ip at entry");
	t.ASSERT_EQ(skel.get("ret_ip"), 1, "func_ip at return");
	for (const l of links) bpf_link__destroy(l);
	skel.destroy();
}

/** What cannot be probed, and what a link tells. */
function links(t: TestEnv): void {
	const skel = open(t);
	if (!skel) return;
	const prog = skel.prog("handle_kprobe");
	t.ASSERT_EQ(bpf_program__attach_kprobe_opts(prog, "no_such_function") as number, -2, "no such function");
	t.ASSERT_EQ(bpf_program__attach_kprobe_opts(prog, "x".repeat(600)) as number, -7, "a name too long");
	const info = new Uint8Array(64);
	const dv = new DataView(info.buffer);
	const name = skel.lib.heap.zalloc(64);
	for (const retprobe of [false, true]) {
		const l = bpf_program__attach_kprobe_opts(prog, "bpf_fentry_test1", { retprobe, bpf_cookie: 0x4cn });
		if (!t.ASSERT_OK_PTR(l, "attach") || typeof l === "number") continue;
		info.fill(0);
		dv.setBigUint64(24, BigInt(name), true);
		dv.setUint32(32, 64, true);
		t.ASSERT_GE(bpf_obj_get_info_by_fd(skel.lib, l.fd, info), 0, "info");
		t.ASSERT_EQ(read32(info, 16), retprobe ? BPF_PERF_EVENT_KRETPROBE : BPF_PERF_EVENT_KPROBE, "type");
		t.ASSERT_EQ(read32(info, 32), 17, "name_len");
		t.ASSERT_BYTES(t.sys.load(name, 17), new TextEncoder().encode("bpf_fentry_test1\0"), "name");
		t.ASSERT_NEQ(read64(info, 40), 0n, "addr");
		t.ASSERT_EQ(read64(info, 56), 0x4c, "cookie");
		dv.setUint32(32, 0, true);
		t.ASSERT_EQ(bpf_obj_get_info_by_fd(skel.lib, l.fd, info), -EINVAL, "a buffer of no size");
		bpf_link__destroy(l);
	}
	skel.lib.heap.free(name);
	skel.destroy();
}

/** bpf_override_return(): the function does not run. */
function override(t: TestEnv): void {
	if (t.kernel.hasConfig?.("BPF_KPROBE_OVERRIDE") === false) {
		t.skip("needs CONFIG_BPF_KPROBE_OVERRIDE");
		return;
	}
	const skel = open(t, "replace");
	if (!skel) return;
	const func = syscallFunc(t.sys, "getpgid");
	const prog = skel.prog("replace");
	t.ASSERT_EQ(
		bpf_program__attach_kprobe_opts(prog, "bpf_fentry_test2") as number,
		-EINVAL,
		"a function without error injection",
	);
	const l = bpf_program__attach_kprobe_opts(prog, func);
	if (t.ASSERT_OK_PTR(l, "attach")) {
		t.ASSERT_EQ(t.sys.getpgid(0), 1234, "overridden");
		bpf_link__destroy(l);
		t.ASSERT_NEQ(t.sys.getpgid(0), 1234, "itself again");
	}
	skel.destroy();
}

/** Multi-probes are made of fprobes, which arm64 has not in 6.12: whether they are there; checks the errno where not. */
function hasFprobes(t: TestEnv, skel: Skel, name: string): boolean {
	if (t.sys.arch !== "arm64") return true;
	t.ASSERT_EQ(bpf_program__attach(skel.prog(name)) as number, -EOPNOTSUPP, "no fprobes");
	skel.destroy();
	return false;
}

function multi(t: TestEnv): void {
	const skel = open(t);
	if (!skel || !hasFprobes(t, skel, "multi")) return;
	const { lib } = skel;
	const prog = skel.prog("multi");
	let l = bpf_program__attach(prog);
	if (t.ASSERT_OK_PTR(l, "by pattern")) {
		testRun(t, skel);
		t.ASSERT_EQ(skel.get("multi_entries"), 9, "entries");
		t.ASSERT_EQ(skel.get("multi_ip"), 1, "func_ip");
		t.ASSERT_EQ(skel.get("multi_cookies"), 0, "no cookies");
		bpf_link__destroy(l);
	}
	t.ASSERT_EQ(bpf_program__attach(skel.prog("multi_bad")) as number, -2, "a pattern of no function");
	const syms = ["bpf_fentry_test2", "bpf_fentry_test1", "bpf_fentry_test3"];
	l = bpf_program__attach_kprobe_multi_opts(prog, null, { syms, cookies: [2n, 1n, 4n] });
	if (t.ASSERT_OK_PTR(l, "by names") && typeof l !== "number") {
		skel.set("multi_entries", 0);
		testRun(t, skel);
		t.ASSERT_EQ(skel.get("multi_entries"), 3, "entries");
		t.ASSERT_EQ(skel.get("multi_cookies"), 7, "cookies");
		// addresses and cookies come out in the order of addresses
		const at = lib.heap.zalloc(48);
		const info = new Uint8Array(64);
		const dv = new DataView(info.buffer);
		dv.setBigUint64(16, BigInt(at), true);
		dv.setUint32(24, 3, true);
		dv.setBigUint64(40, BigInt(at + 24), true);
		t.ASSERT_GE(bpf_obj_get_info_by_fd(lib, l.fd, info), 0, "info");
		t.ASSERT_EQ(read32(info, 24), 3, "count");
		const addrs = [0, 8, 16].map((o) => t.sys.load64(at + o));
		const cookies = [24, 32, 40].map((o) => t.sys.load64(at + o));
		t.ASSERT_TRUE(addrs[0]! < addrs[1]! && addrs[1]! < addrs[2]!, "sorted");
		t.ASSERT_EQ(cookies[0]! | cookies[1]! | cookies[2]!, 7, "all cookies");
		dv.setUint32(24, 2, true);
		t.ASSERT_EQ(bpf_obj_get_info_by_fd(lib, l.fd, info), -28, "room for two");
		lib.heap.free(at);
		bpf_link__destroy(l);
		// the same by address
		skel.set("multi_entries", 0);
		l = bpf_program__attach_kprobe_multi_opts(prog, null, { addrs });
		if (t.ASSERT_OK_PTR(l, "by addresses")) {
			testRun(t, skel);
			t.ASSERT_EQ(skel.get("multi_entries"), 3, "entries");
			bpf_link__destroy(l);
		}
	}
	l = bpf_program__attach_kprobe_multi_opts(skel.prog("multi_ret"), null, {
		syms: ["bpf_fentry_test1"],
		retprobe: true,
	});
	if (t.ASSERT_OK_PTR(l, "returns")) {
		testRun(t, skel);
		t.ASSERT_EQ(skel.get("multi_returns"), 1, "returns");
		t.ASSERT_EQ(skel.get("rc"), 2, "result");
		bpf_link__destroy(l);
	}
	t.ASSERT_EQ(
		bpf_program__attach_kprobe_multi_opts(prog, null, {
			syms: ["bpf_fentry_test1", "no_such_function"],
		}) as number,
		-ESRCH,
		"no such function",
	);
	t.ASSERT_EQ(bpf_program__attach_kprobe_multi_opts(prog, null, { syms: [] }) as number, -EINVAL, "none");
	skel.destroy();
}

/** Entry and return as one: with a word of their own. */
function session(t: TestEnv): void {
	const skel = open(t);
	if (!skel || !hasFprobes(t, skel, "session")) return;
	const l = bpf_program__attach(skel.prog("session"));
	if (t.ASSERT_OK_PTR(l, "attach")) {
		testRun(t, skel);
		const n = Number(skel.get("session_entries"));
		t.ASSERT_GE(n, 9, "entries");
		t.ASSERT_EQ(skel.get("session_returns"), n >> 1, "returns");
		t.ASSERT_EQ(skel.get("session_sum"), (n >> 1) * ((n >> 1) + 1), "cookies");
		bpf_link__destroy(l);
	}
	skel.destroy();
}

export const attachProbe: ProgTest = {
	name: "attach_probe",
	async run(t) {
		for (const mode of ["default", "perf", "link"] as const)
			if (t.startSubtest(`manual-${mode}`)) await manual(t, mode);
		if (t.startSubtest("auto")) await auto(t);
		if (t.startSubtest("links")) links(t);
		if (t.startSubtest("override")) override(t);
		t.endSubtest();
	},
};

export const kprobeMultiTest: ProgTest = {
	name: "kprobe_multi_test",
	run(t) {
		if (t.startSubtest("attach")) multi(t);
		if (t.startSubtest("session")) session(t);
		t.endSubtest();
	},
};
