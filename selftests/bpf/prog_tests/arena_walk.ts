// SPDX-License-Identifier: GPL-2.0-only
/**
 * A program builds a list, a hash table and a tree in its arena; machine code of user space walks them by the same
 * pointers. Also an example: `bpf-mirror arena walk`.
 */
import { MAP_FIXED, MAP_SHARED, PROT_READ } from "../../../include/uapi/asm-generic/mman.ts";
import {
	bpf_map__fd,
	bpf_map_get_fd_by_id,
	bpf_map_get_info_by_fd,
	bpf_prog_test_run_opts,
	Libbpf,
} from "../../../tools/lib/bpf/libbpf.ts";
import { Native } from "../../../tools/lib/native.ts";
import { readProg, Skel } from "../skel.ts";
import { areaAt } from "../smaps.ts";
import { type ProgTest, say, type TestEnv } from "../test_env.ts";

const N = 1000;
const SEED = 20240308n;
const NONE = 2n ** 64n - 1n;
const RW = 3;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const PAGE = 4096;
const u64 = (v: bigint): bigint => BigInt.asUintN(64, v);

/** The keys that progs/arena_walk.c makes. */
function key(i: number): bigint {
	let v = u64(SEED + BigInt(i) + 0x9e3779b97f4a7c15n);
	v = u64((v ^ (v >> 30n)) * 0xbf58476d1ce4e5b9n);
	v = u64((v ^ (v >> 27n)) * 0x94d049bb133111ebn);
	return v ^ (v >> 31n);
}

function test(t: TestEnv, skel: Skel, native: Native): void {
	const { sys } = t;
	const base = skel.map("arena").mmaped;
	const sum = (N * (N - 1)) / 2;
	const pages = (): number => areaAt(sys, base)?.pages ?? -1;
	const run = (prog: string): void => {
		const opts = { retval: -1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), prog);
		t.ASSERT_EQ(opts.retval, 0, `${prog} retval`);
	};

	say(
		t,
		`The program build() puts ${N} values into a list, a hash table and a tree, on pages that it allocates.`,
	);
	skel.set("n", N);
	skel.set("seed", SEED);
	run("build");
	const root = Number(skel.get("root"));
	t.ASSERT_EQ(pages(), 0, "nothing is mapped by user space yet");

	if (t.startSubtest("list")) {
		say(
			t,
			"User code walks the list: each page that it touches first comes by a fault, and is the program's own.",
		);
		t.ASSERT_EQ(native.call("list_sum", root), sum, "sum");
		const touched = pages();
		t.ASSERT_GT(touched, 0, "pages came by faults");
		t.ASSERT_EQ(native.call("list_sum", root), sum, "sum again");
		t.ASSERT_EQ(pages(), touched, "without any fault");
	}
	if (t.startSubtest("htab")) {
		say(t, "It walks the hash table, and looks up keys.");
		t.ASSERT_EQ(native.call("htab_sum", root), sum, "sum");
		for (const i of [0, 1, 500, N - 1]) t.ASSERT_EQ(native.call("htab_find", root, key(i)), i, `key ${i}`);
		t.ASSERT_EQ(native.call("htab_find", root, key(N)), NONE, "no such key");
	}
	if (t.startSubtest("tree")) {
		say(t, "It walks the tree in the order of its keys.");
		t.ASSERT_EQ(native.call("tree_sum", root), sum, "sum");
		for (const i of [0, 1, 500, N - 1]) t.ASSERT_EQ(native.call("tree_find", root, key(i)), i, `key ${i}`);
		t.ASSERT_EQ(native.call("tree_find", root, key(N)), NONE, "no such key");
	}
	if (t.startSubtest("write")) {
		say(t, "It adds 5 to each value of the list; the program walk() reads them.");
		t.ASSERT_EQ(native.call("list_add_to_each", root, 5), N, "values");
		run("walk");
		t.ASSERT_EQ(skel.get("list_sum"), sum + 5 * N, "the program's sum of the list");
		t.ASSERT_EQ(skel.get("htab_sum"), sum, "the program's sum of the hash table");
		t.ASSERT_EQ(skel.get("tree_sum"), sum, "the program's sum of the tree");
		t.ASSERT_EQ(native.call("list_add_to_each", root, -5), N, "and back");
	}
	if (t.startSubtest("privilege")) {
		t.ASSERT_EQ(native.call("system_call", sys.arch === "arm64" ? 172 : 39, 0), sys.getpid(), "getpid");
		t.ASSERT_STREQ(native.signal("list_sum", 0) ?? "none", "SIGSEGV", "page 0");
		const kernel = sys.arch === "arm64" ? -0x1000000000000n : -0x800000000000n;
		t.ASSERT_STREQ(native.signal("list_sum", kernel) ?? "none", "SIGSEGV", "the kernel's memory");
		const { end } = areaAt(sys, base)!;
		const gone = sys.mmap(0, PAGE, RW, MAP_PRIVATE_ANONYMOUS, -1, 0);
		sys.munmap(gone, PAGE);
		t.ASSERT_STREQ(native.signal("list_sum", gone) ?? "none", "SIGSEGV", "nothing mapped");
		say(t, "With the mapping read-only, walks go on, and a store is the end of the process.");
		t.ASSERT_OK(sys.mprotect(base, end - base, PROT_READ), "mprotect");
		t.ASSERT_EQ(native.call("tree_sum", root), sum, "walk");
		t.ASSERT_STREQ(native.signal("list_add_to_each", root, 5) ?? "none", "SIGSEGV", "store");
		t.ASSERT_OK(sys.mprotect(base, end - base, RW), "mprotect back");
		t.ASSERT_EQ(native.call("list_add_to_each", root, 0), N, "store again");
	}
}

/** Another process has page tables of its own, and the same pointers. */
async function elsewhere(t: TestEnv, skel: Skel): Promise<void> {
	if (!t.startSubtest("other_process")) return;
	const base = skel.map("arena").mmaped;
	const root = Number(skel.get("root"));
	const info = bpf_map_get_info_by_fd(skel.lib, bpf_map__fd(skel.map("arena")));
	if (typeof info === "number") {
		t.printFail(`info: ${info}\n`);
		return;
	}
	say(
		t,
		"Another process maps the arena at the same address: its code walks by the same pointers, by faults of its own.",
	);
	const other = t.kernel.newProcess();
	const fd = bpf_map_get_fd_by_id(new Libbpf(other, { known_kernel: true }), info.id);
	const { end } = areaAt(t.sys, base)!;
	t.ASSERT_EQ(other.mmap(base, end - base, RW, MAP_SHARED | MAP_FIXED, fd, 0), base, "mmap");
	t.ASSERT_EQ(areaAt(other, base)?.pages ?? -1, 0, "no page yet");
	const native = Native.load(other, readProg("arena_walk", other.arch, ".native.o"));
	t.ASSERT_EQ(native.call("tree_sum", root), (N * (N - 1)) / 2, "sum");
	t.ASSERT_GT(areaAt(other, base)?.pages ?? -1, 0, "pages");
	await t.kernel.endProcess(other);
}

export const arenaWalk: ProgTest = {
	name: "arena_walk",
	async run(t) {
		if (!Native.possible(t.sys)) {
			t.skip("this kernel is reached through something that runs no machine code of ours");
			return;
		}
		const skel = Skel.openAndLoad(t, "arena_walk");
		if (!skel) return;
		const native = Native.load(t.sys, readProg("arena_walk", t.sys.arch, ".native.o"));
		test(t, skel, native);
		await elsewhere(t, skel);
		t.endSubtest();
		native.unload();
		skel.destroy();
	},
};
