// SPDX-License-Identifier: GPL-2.0-only
/** Programs on functions of another program, and in place of them (prog_tests/fexit_bpf2bpf.c). */
import { EBUSY, EINVAL } from "../../../include/uapi/asm-generic/errno.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	bpf_program__attach_freplace,
	bpf_program__set_attach_target,
	bpf_program__set_autoload,
} from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** sub(skb, 7) + 1 */
const PLAIN = 13;

function testRun(t: TestEnv, skel: Skel): number {
	const opts = { data_in: new Uint8Array(64), repeat: 1, retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("main_prog").fd, opts), "test_run");
	return opts.retval;
}

/** The object with some of its programs, for the target. */
function load(t: TestEnv, target: Skel, progs: readonly [name: string, func: string][]): Skel | null {
	const skel = Skel.open(t, "fexit_bpf2bpf");
	if (!skel) return null;
	for (const [name, func] of progs) {
		const prog = skel.prog(name);
		bpf_program__set_autoload(prog, true);
		const fd = target.prog("main_prog").fd;
		t.ASSERT_OK(bpf_program__set_attach_target(prog, fd, func), `set_attach_target ${name}`);
	}
	if (t.ASSERT_OK(skel.load(), "load")) return skel;
	skel.destroy();
	return null;
}

function traced(t: TestEnv, target: Skel): void {
	const skel = load(t, target, [
		["on_entry", "sub"],
		["on_exit", "sub"],
	]);
	if (!skel) return;
	const links = ["on_entry", "on_exit"].map((name) => bpf_program__attach(skel.prog(name)));
	for (const link of links) t.ASSERT_OK_PTR(link, "attach");
	t.ASSERT_EQ(testRun(t, target), PLAIN, "retval");
	t.ASSERT_EQ(skel.get("entered"), 1, "entered");
	t.ASSERT_EQ(skel.get("entry_arg"), 7, "entry_arg");
	t.ASSERT_EQ(skel.get("exit_arg"), 7, "exit_arg");
	t.ASSERT_EQ(skel.get("exit_ret"), 12, "exit_ret");
	// What is traced cannot be replaced.
	const ext = load(t, target, [["instead", "sub"]]);
	if (ext) {
		t.ASSERT_EQ(bpf_program__attach(ext.prog("instead")) as number, -EBUSY, "replace traced");
		ext.destroy();
	}
	for (const link of links) bpf_link__destroy(link);
	t.ASSERT_EQ(testRun(t, target), PLAIN, "retval after");
	t.ASSERT_EQ(skel.get("entered"), 1, "entered after");
	skel.destroy();
}

function mainProg(t: TestEnv, target: Skel): void {
	const skel = load(t, target, [["on_main_exit", "main_prog"]]);
	if (!skel) return;
	const link = bpf_program__attach(skel.prog("on_main_exit"));
	t.ASSERT_OK_PTR(link, "attach");
	t.ASSERT_EQ(testRun(t, target), PLAIN, "retval");
	t.ASSERT_EQ(skel.get("exit_ret"), PLAIN, "exit_ret");
	bpf_link__destroy(link);
	skel.destroy();
}

function replaced(t: TestEnv, target: Skel): void {
	const skel = load(t, target, [["instead", "sub"]]);
	if (!skel) return;
	const prog = skel.prog("instead");
	const link = bpf_program__attach(prog);
	t.ASSERT_OK_PTR(link, "attach");
	t.ASSERT_EQ(testRun(t, target), 701, "retval");
	// Attached, it has no target left of its own; and the place is taken.
	t.ASSERT_EQ(bpf_program__attach(prog) as number, -EINVAL, "attach again");
	const fd = target.prog("main_prog").fd;
	t.ASSERT_EQ(bpf_program__attach_freplace(prog, fd, "sub") as number, -EBUSY, "attach over it");
	const trace = load(t, target, [["on_entry", "sub"]]);
	if (trace) {
		t.ASSERT_EQ(bpf_program__attach(trace.prog("on_entry")) as number, -EBUSY, "trace replaced");
		trace.destroy();
	}
	bpf_link__destroy(link);
	t.ASSERT_EQ(testRun(t, target), PLAIN, "retval after");
	// A target named at attachment serves as well.
	const second: bpf_link | number = bpf_program__attach_freplace(prog, fd, "sub");
	t.ASSERT_OK_PTR(second, "attach to a named target");
	t.ASSERT_EQ(testRun(t, target), 701, "retval again");
	bpf_link__destroy(second);
	t.ASSERT_EQ(testRun(t, target), PLAIN, "retval at last");
	skel.destroy();
}

export const fexitBpf2bpf: ProgTest = {
	name: "fexit_bpf2bpf",
	attaches: true,
	run(t) {
		const subtests: [string, (t: TestEnv, target: Skel) => void][] = [
			["target_yes_callees", traced],
			["target_no_callees", mainProg],
			["func_replace", replaced],
		];
		for (const [name, fn] of subtests) {
			if (!t.startSubtest(name)) continue;
			const target = Skel.openAndLoad(t, "fexit_bpf2bpf_target");
			if (!target) continue;
			fn(t, target);
			target.destroy();
		}
		t.endSubtest();
	},
};
