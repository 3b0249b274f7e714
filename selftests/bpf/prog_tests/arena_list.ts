// SPDX-License-Identifier: GPL-2.0-only
/** A list that a program builds in the arena and user space walks by the same pointers (prog_tests/arena_list.c). */
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** struct node: next, pprev, value */
const VALUE = 16;

/** Follow the pointers as user code does: the sum, and how many there were. */
function walk(t: TestEnv, head: bigint): { sum: number; n: number } {
	let sum = 0;
	let n = 0;
	for (let at = Number(head); at !== 0; at = Number(t.sys.load64(at))) {
		sum += Number(t.sys.load64(at + VALUE));
		n++;
	}
	return { sum, n };
}

function addDel(t: TestEnv, cnt: number): void {
	const skel = Skel.openAndLoad(t, "arena_list");
	if (!skel) return;
	const expected = (cnt * (cnt - 1)) / 2;
	const run = (prog: string): void => {
		const opts = { retval: -1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), `${prog} ret`);
		t.ASSERT_EQ(opts.retval, 0, `${prog} retval`);
	};
	skel.set("cnt", cnt);
	run("arena_list_add");
	const list = walk(t, skel.get("first"));
	t.ASSERT_EQ(list.sum, expected, "sum of elems");
	t.ASSERT_EQ(list.n, cnt, "elems");
	t.ASSERT_EQ(skel.get("arena_sum"), expected, "__arena sum of elems");
	t.ASSERT_EQ(skel.get("test_val"), cnt + 1, "num of elems");

	// what user space writes into an element, the program reads
	const first = Number(skel.get("first"));
	t.sys.store64(first + VALUE, t.sys.load64(first + VALUE) + 7n);

	run("arena_list_del");
	t.ASSERT_EQ(walk(t, skel.get("first")).sum, 0, "sum of list elems after del");
	t.ASSERT_EQ(skel.get("list_sum"), expected + 7, "sum of list elems computed by prog");
	t.ASSERT_EQ(skel.get("arena_sum"), expected + 7, "__arena sum of elems after del");
	// the page of the first element was freed with it: user space faults in a new one
	t.ASSERT_EQ(t.sys.load64(first + VALUE), 0, "freed page is gone");
	skel.destroy();
}

/** Each CPU allocates from a page of its own; either may free what the other allocated. */
function twoCpus(t: TestEnv): void {
	const { sys } = t;
	if (sys.nrCpus < 2) {
		t.skip("one CPU");
		return;
	}
	const skel = Skel.openAndLoad(t, "arena_list");
	if (!skel) return;
	const page = (): bigint => BigInt.asUintN(64, skel.get("first")) & ~4095n;
	const run = (prog: string, cpu: number): void => {
		t.ASSERT_OK(sys.setCpu(cpu), `CPU ${cpu}`);
		const opts = { retval: -1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), `${prog} ret`);
		t.ASSERT_EQ(opts.retval, 0, `${prog} retval`);
	};
	skel.set("cnt", 5);
	const pages: bigint[] = [];
	for (const cpu of [0, 1, 0, 1]) {
		run("arena_list_add", cpu);
		pages.push(page());
	}
	t.ASSERT_EQ(pages[2]!, pages[0]!, "CPU 0 goes on in its page");
	t.ASSERT_EQ(pages[3]!, pages[1]!, "CPU 1 goes on in its page");
	t.ASSERT_NEQ(pages[1]!, pages[0]!, "which is another");
	t.ASSERT_EQ(walk(t, skel.get("first")).sum, 40, "sum of elems");
	run("arena_list_del", 0);
	t.ASSERT_EQ(skel.get("list_sum"), 40, "sum of list elems computed by prog");
	for (const p of pages) t.ASSERT_EQ(sys.load64(Number(p)), 0, "freed page is gone");
	sys.setCpu(0);
	skel.destroy();
}

export const arenaList: ProgTest = {
	name: "arena_list",
	run(t) {
		if (t.startSubtest("arena_list_1")) addDel(t, 1);
		if (t.startSubtest("arena_list_1000")) addDel(t, 1000);
		if (t.startSubtest("two_cpus")) twoCpus(t);
		t.endSubtest();
	},
};
