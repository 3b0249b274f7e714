// SPDX-License-Identifier: GPL-2.0-only
/**
 * Upstream's own objects of what programs hang on, driven and checked as prog_tests/perf_buffer.c, perf_link.c,
 * attach_probe.c, kprobe_multi_test.c, bpf_cookie.c and syscall.c of v6.12 do. Uprobes are not ported.
 */
import { EINVAL, ENOENT, EOPNOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_F_KPROBE_MULTI_RETURN,
	BPF_LINK_TYPE_PERF_EVENT,
	BPF_PERF_EVENT,
	BPF_TRACE_KPROBE_MULTI,
} from "../../../include/uapi/linux/bpf.ts";
import * as P from "../../../include/uapi/linux/perf_event.ts";
import {
	type bpf_kprobe_multi_opts,
	type bpf_link,
	bpf_link__destroy,
	bpf_link_create,
	bpf_map__fd,
	bpf_map_update_elem,
	bpf_obj_get_info_by_fd,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	bpf_program__attach_kprobe_multi_opts,
	bpf_program__attach_kprobe_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { burnCpu, perfEventOpen, syscallFunc } from "../perf.ts";
import { bpfCookieTest } from "../prog_tests/bpf_cookie.ts";
import { everyCpu } from "../prog_tests/perf_buffer.ts";
import { syscallTest } from "../prog_tests/syscall.ts";
import { key32, read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

type Run = (t: TestEnv, object: Uint8Array) => void | Promise<void>;

/** A test of several subtests on one object. */
const subtests =
	(name: string, all: readonly (readonly [string, Run])[]) =>
	(object: Uint8Array): ProgTest => ({
		name,
		async run(t) {
			for (const [sub, run] of all) if (t.startSubtest(sub)) await run(t, object);
			t.endSubtest();
		},
	});

/** The same of multi-probes, which arm64 has not in 6.12 (DENYLIST.aarch64). */
const multi =
	(all: readonly (readonly [string, Run])[]) =>
	(object: Uint8Array): ProgTest => ({
		name: "kprobe_multi_test",
		async run(t) {
			for (const [sub, run] of all) {
				if (!t.startSubtest(sub)) continue;
				if (t.sys.arch === "arm64") t.skip("multi-probes need fprobes");
				else await run(t, object);
			}
			t.endSubtest();
		},
	});

/** A test without subtests. */
const single =
	(name: string, run: Run) =>
	(object: Uint8Array): ProgTest => ({ name, run: (t) => run(t, object) });

const noUprobes: Run = (t) => t.skip("uprobes are not ported");

function perfLink(t: TestEnv, object: Uint8Array): void {
	const skel = Skel.openAndLoad(t, "test_perf_link", object);
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	sys.setCpu(0);
	const clock = { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_CPU_CLOCK, freq: 1000 };
	const pfd = perfEventOpen(lib, clock);
	const fd = bpf_link_create(lib, skel.prog("handler").fd, pfd, BPF_PERF_EVENT);
	if (t.ASSERT_GE(pfd, 0, "perf_fd") && t.ASSERT_GE(fd, 0, "link_fd")) {
		const info = new Uint8Array(64);
		t.ASSERT_GE(bpf_obj_get_info_by_fd(lib, fd, info), 0, "link_get_info");
		t.ASSERT_EQ(read32(info, 0), BPF_LINK_TYPE_PERF_EVENT, "link_type");
		t.ASSERT_GT(read32(info, 4), 0, "link_id");
		t.ASSERT_GT(read32(info, 8), 0, "link_prog_id");
		burnCpu(sys, 10_000_000);
		t.ASSERT_GT(skel.get("run_cnt"), 0, "run_cnt");
		sys.close(fd);
		const before = skel.get("run_cnt");
		burnCpu(sys, 10_000_000);
		t.ASSERT_EQ(skel.get("run_cnt"), before, "run_cnt_before_after");
	}
	sys.close(pfd);
	skel.destroy();
}

/** Events go from a map with the descriptor they were put in by, unless it preserves them. */
function preserveElems(t: TestEnv, object: Uint8Array): void {
	const skel = Skel.openAndLoad(t, "test_pe_preserve_elems", object);
	if (!skel) return;
	const { lib } = skel;
	const { sys } = t;
	for (const [map, prog, keeps] of [
		["array_1", "read_array_1", false],
		["array_2", "read_array_2", true],
	] as const) {
		const pfd = perfEventOpen(lib, { type: P.PERF_TYPE_SOFTWARE, config: P.PERF_COUNT_SW_CPU_CLOCK }, 0, -1);
		const mfd = bpf_map__fd(skel.map(map));
		t.ASSERT_GE(pfd, 0, "perf_event_open");
		t.ASSERT_OK(bpf_map_update_elem(lib, mfd, key32(0), key32(pfd)), "bpf_map_update_elem");
		sys.close(pfd);
		const run = (): number => {
			const opts = { retval: -1 };
			t.ASSERT_OK(bpf_prog_test_run_opts(lib, skel.prog(prog).fd, opts), "bpf_prog_test_run_opts");
			return opts.retval | 0;
		};
		t.ASSERT_EQ(run(), 0, "bpf_perf_event_read_value");
		sys.close(mfd);
		t.ASSERT_EQ(run(), keeps ? 0 : -ENOENT, "after the map's descriptor");
	}
	// two of its descriptors are closed already, as upstream leaves them
	skel.destroy();
}

const manual =
	(attach_mode: "default" | "perf" | "link"): Run =>
	async (t, object) => {
		const skel = Skel.openAndLoad(t, "test_attach_probe_manual", object);
		if (!skel) return;
		const func = syscallFunc(t.sys, "nanosleep");
		const links = [
			bpf_program__attach_kprobe_opts(skel.prog("handle_kprobe"), func, { attach_mode }),
			bpf_program__attach_kprobe_opts(skel.prog("handle_kretprobe"), func, { attach_mode, retprobe: true }),
		];
		if (t.ASSERT_OK_PTR(links[0], "attach_kprobe") && t.ASSERT_OK_PTR(links[1], "attach_kretprobe")) {
			await t.sys.nanosleep(1000);
			t.ASSERT_EQ(skel.get("kprobe_res"), 1, "check_kprobe_res");
			t.ASSERT_EQ(skel.get("kretprobe_res"), 2, "check_kretprobe_res");
		}
		for (const l of links) bpf_link__destroy(l);
		skel.destroy();
	};

const auto: Run = async (t, object) => {
	const skel = Skel.openAndLoad(t, "test_attach_probe", object);
	if (!skel) return;
	const links: (bpf_link | number)[] = [];
	for (const name of ["handle_kprobe_auto", "handle_kretprobe_auto"]) {
		const l = bpf_program__attach(skel.prog(name));
		t.ASSERT_OK_PTR(l, name);
		links.push(l);
	}
	const old = bpf_program__attach(skel.prog("handle_uprobe_byname"));
	t.ASSERT_EQ(old as number, -EOPNOTSUPP, "auto-attach should fail for old-style name");
	await t.sys.nanosleep(1000);
	t.ASSERT_EQ(skel.get("kprobe2_res"), 11, "check_kprobe_auto_res");
	t.ASSERT_EQ(skel.get("kretprobe2_res"), 22, "check_kretprobe_auto_res");
	for (const l of links) bpf_link__destroy(l);
	skel.destroy();
};

/** bpf_fentry_test1 to 8, in upstream's two orders */
const syms = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `bpf_fentry_test${n}`);
const cookieSyms = [1, 3, 4, 5, 6, 7, 2, 8].map((n) => `bpf_fentry_test${n}`);
const COOKIES = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n];

/** The object's programs are run by the functions that a test run calls. */
function multiRun(t: TestEnv, skel: Skel, returns: boolean): void {
	const opts = { retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("trigger").fd, opts), "test_run");
	t.ASSERT_EQ(opts.retval, 0, "test_run");
	for (let n = 1; n <= 8; n++) {
		t.ASSERT_EQ(skel.get(`kprobe_test${n}_result`), 1, `kprobe_test${n}_result`);
		if (returns) t.ASSERT_EQ(skel.get(`kretprobe_test${n}_result`), 1, `kretprobe_test${n}_result`);
	}
}

function openMulti(t: TestEnv, object: Uint8Array): Skel | null {
	const skel = Skel.openAndLoad(t, "kprobe_multi", object);
	skel?.set("pid", t.sys.getpid());
	return skel;
}

/** Addresses of functions, from a link to them: in ascending order. */
function addresses(t: TestEnv, skel: Skel): bigint[] {
	const { lib } = skel;
	const l = bpf_program__attach_kprobe_multi_opts(skel.prog("test_kprobe_manual"), null, { syms });
	if (!t.ASSERT_OK_PTR(l, "addresses") || typeof l === "number") return [];
	const at = lib.heap.zalloc(8 * syms.length);
	const info = new Uint8Array(64);
	const dv = new DataView(info.buffer);
	dv.setBigUint64(16, BigInt(at), true);
	dv.setUint32(24, syms.length, true);
	t.ASSERT_GE(bpf_obj_get_info_by_fd(lib, l.fd, info), 0, "info");
	const bytes = t.sys.load(at, 8 * syms.length);
	lib.heap.free(at);
	bpf_link__destroy(l);
	return syms.map((_, i) => read64(bytes, 8 * i));
}

const skelApi: Run = (t, object) => {
	const skel = openMulti(t, object);
	if (!skel) return;
	// those without a target do not attach by themselves
	const links = ["test_kprobe", "test_kretprobe"].map((name) => bpf_program__attach(skel.prog(name)));
	if (links.every((l) => t.ASSERT_OK_PTR(l, "attach"))) multiRun(t, skel, true);
	for (const l of links) bpf_link__destroy(l);
	skel.destroy();
};

type Targets = { syms?: string[]; addrs?: bigint[]; cookies?: bigint[] };

/** By bpf_link_create(). */
function linkApi(t: TestEnv, object: Uint8Array, targets: (skel: Skel) => Targets): void {
	const skel = openMulti(t, object);
	if (!skel) return;
	const kprobe_multi = targets(skel);
	const { cookies } = kprobe_multi;
	if (cookies) skel.set("test_cookie", 1);
	const entry = bpf_link_create(skel.lib, skel.prog("test_kprobe").fd, 0, BPF_TRACE_KPROBE_MULTI, {
		kprobe_multi,
	});
	const leave = bpf_link_create(skel.lib, skel.prog("test_kretprobe").fd, 0, BPF_TRACE_KPROBE_MULTI, {
		kprobe_multi: {
			...kprobe_multi,
			flags: BPF_F_KPROBE_MULTI_RETURN,
			...(cookies ? { cookies: [...cookies].reverse() } : {}),
		},
	});
	if (t.ASSERT_GE(entry, 0, "link_fd") && t.ASSERT_GE(leave, 0, "link_fd")) multiRun(t, skel, true);
	for (const fd of [entry, leave]) if (fd >= 0) t.sys.close(fd);
	skel.destroy();
}

/** By bpf_program__attach_kprobe_multi_opts(); without opts entries only. */
function attachApi(
	t: TestEnv,
	object: Uint8Array,
	pattern: string | null,
	targets: ((skel: Skel) => Targets) | null,
): void {
	const skel = openMulti(t, object);
	if (!skel) return;
	const opts: bpf_kprobe_multi_opts = targets?.(skel) ?? {};
	const { cookies } = opts;
	if (cookies) skel.set("test_cookie", 1);
	const links = [bpf_program__attach_kprobe_multi_opts(skel.prog("test_kprobe_manual"), pattern, opts)];
	if (targets)
		links.push(
			bpf_program__attach_kprobe_multi_opts(skel.prog("test_kretprobe_manual"), pattern, {
				...opts,
				retprobe: true,
				...(cookies ? { cookies: [...cookies].reverse() } : {}),
			}),
		);
	if (links.every((l) => t.ASSERT_OK_PTR(l, "bpf_program__attach_kprobe_multi_opts")))
		multiRun(t, skel, targets !== null);
	for (const l of links) bpf_link__destroy(l);
	skel.destroy();
}

const attachFails: Run = (t, object) => {
	const skel = openMulti(t, object);
	if (!skel) return;
	const addrs = addresses(t, skel).slice(0, 2);
	const fail = (what: string, pattern: string | null, opts: bpf_kprobe_multi_opts): void => {
		const l = bpf_program__attach_kprobe_multi_opts(skel.prog("test_kprobe_manual"), pattern, opts);
		t.ASSERT_EQ(l as number, -EINVAL, what);
	};
	fail("fail_1", null, {});
	fail("fail_2", null, { addrs, syms: syms.slice(0, 2) });
	fail("fail_3", "ksys_*", { addrs });
	fail("fail_5", "ksys_*", { cookies: [1n, 2n] });
	skel.destroy();
};

const session: Run = (t, object) => {
	const skel = Skel.openAndLoad(t, "kprobe_multi_session", object);
	if (!skel) return;
	skel.set("pid", t.sys.getpid());
	const l = bpf_program__attach(skel.prog("test_kprobe"));
	if (t.ASSERT_OK_PTR(l, "attach")) {
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("trigger").fd, { repeat: 0 }), "test_run");
		const result = skel.bytes("kprobe_session_result");
		// the last four say that their return is not wanted
		for (let i = 0; i < 8; i++) t.ASSERT_EQ(read64(result, 8 * i), i < 4 ? 2 : 1, "kprobe_session_result");
	}
	bpf_link__destroy(l);
	skel.destroy();
};

const sessionCookie: Run = (t, object) => {
	const skel = Skel.openAndLoad(t, "kprobe_multi_session_cookie", object);
	if (!skel) return;
	skel.set("pid", t.sys.getpid());
	const links = [1, 2, 3].map((n) => bpf_program__attach(skel.prog(`test_kprobe_${n}`)));
	if (links.every((l) => t.ASSERT_OK_PTR(l, "attach"))) {
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("trigger").fd, { repeat: 0 }), "test_run");
		for (const n of [1, 2, 3]) t.ASSERT_EQ(skel.get(`test_kprobe_${n}_result`), n, `test_kprobe_${n}_result`);
	}
	for (const l of links) bpf_link__destroy(l);
	skel.destroy();
};

/** By object. */
export const perfObjects: Readonly<Record<string, (object: Uint8Array) => ProgTest>> = {
	syscall: syscallTest,
	test_bpf_cookie: bpfCookieTest,
	test_perf_buffer: single("perf_buffer", everyCpu),
	test_perf_link: single("perf_link", perfLink),
	test_pe_preserve_elems: single("pe_preserve_elems", preserveElems),
	test_attach_probe_manual: subtests("attach_probe", [
		["manual-default", manual("default")],
		["manual-perf", manual("perf")],
		["manual-link", manual("link")],
	]),
	test_attach_probe: subtests("attach_probe", [
		["auto", auto],
		["uprobe-lib", noUprobes],
		["uprobe-sleepable", noUprobes],
		["uprobe-ref_ctr", noUprobes],
	]),
	kprobe_multi: multi([
		["skel_api", skelApi],
		["link_api_addrs", (t, o) => linkApi(t, o, (skel) => ({ addrs: addresses(t, skel) }))],
		["link_api_syms", (t, o) => linkApi(t, o, () => ({ syms }))],
		[
			"attach_api_pattern",
			(t, o) => {
				attachApi(t, o, "bpf_fentry_test*", () => ({}));
				attachApi(t, o, "bpf_fentry_test?", null);
			},
		],
		["attach_api_addrs", (t, o) => attachApi(t, o, null, (skel) => ({ addrs: addresses(t, skel) }))],
		["attach_api_syms", (t, o) => attachApi(t, o, null, () => ({ syms }))],
		["attach_api_fails", attachFails],
		["cookie_link_api", (t, o) => linkApi(t, o, () => ({ syms: cookieSyms, cookies: COOKIES }))],
		["cookie_attach_api", (t, o) => attachApi(t, o, null, () => ({ syms: cookieSyms, cookies: COOKIES }))],
	]),
	kprobe_multi_session: multi([["session", session]]),
	kprobe_multi_session_cookie: multi([["session_cookie", sessionCookie]]),
};
