// SPDX-License-Identifier: GPL-2.0-only
/**
 * Upstream's own arena objects, driven and checked as prog_tests/arena_list.c, arena_htab.c and arena_atomics.c
 * of v6.12 do. Their user side follows the programs' pointers by loads of its own.
 */
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** struct elem of progs/arena_list.c: its struct arena_list_node (next, pprev) comes first. */
const ELEM_VALUE = 16;

/** Run a program of an object: false when it failed, with the checks upstream's driver makes. */
function run(t: TestEnv, skel: Skel, prog: string, err = "ret", ret = "retval"): boolean {
	const opts = { retval: -1 };
	if (!t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), err)) return false;
	return t.ASSERT_OK(opts.retval, ret);
}

/** list_sum() of user space, over struct arena_list_head. */
function listSum(t: TestEnv, head: number): number {
	let sum = 0;
	for (let at = Number(t.sys.load64(head)); at !== 0; at = Number(t.sys.load64(at)))
		sum = (sum + Number(BigInt.asIntN(32, t.sys.load64(at + ELEM_VALUE)))) | 0;
	return sum;
}

function addDel(t: TestEnv, object: Uint8Array, cnt: number): void {
	const skel = Skel.openAndLoad(t, "arena_list", object);
	if (!skel) return;
	const expected = (cnt * (cnt - 1)) / 2;
	skel.set("cnt", cnt);
	run(t, skel, "arena_list_add", "ret_add");
	if (skel.get("skip")) t.skip("compiler doesn't support arena_cast");
	else {
		const head = Number(skel.get("list_head"));
		t.ASSERT_EQ(listSum(t, head), expected, "sum of elems");
		t.ASSERT_EQ(skel.get("arena_sum"), expected, "__arena sum of elems");
		t.ASSERT_EQ(skel.get("test_val"), cnt + 1, "num of elems");
		run(t, skel, "arena_list_del", "ret_del");
		t.ASSERT_EQ(listSum(t, head), 0, "sum of list elems after del");
		t.ASSERT_EQ(skel.get("list_sum"), expected, "sum of list elems computed by prog");
		t.ASSERT_EQ(skel.get("arena_sum"), expected, "__arena sum of elems after del");
	}
	skel.destroy();
}

const arenaList = (object: Uint8Array): ProgTest => ({
	name: "arena_list",
	run(t) {
		for (const cnt of [1, 1000]) if (t.startSubtest(`arena_list_${cnt}`)) addDel(t, object, cnt);
		t.endSubtest();
	},
});

/** struct hashtab_elem: hash, key, value, and the struct arena_list_node that its bucket's list goes through. */
const ELEM_KEY = 4;
const HASH_VALUE = 8;
const HASH_NODE = 16;

/** htab_lookup_elem() of user space, over struct htab { buckets; n_buckets; }. */
function htabLookup(t: TestEnv, htab: number, key: number): number {
	const { sys } = t;
	const buckets = Number(sys.load64(htab));
	const n = sys.load32(htab + 8);
	let at = Number(sys.load64(buckets + 8 * (key & (n - 1))));
	for (; at !== 0; at = Number(sys.load64(at))) {
		const elem = at - HASH_NODE;
		if (sys.load32(elem) === key && sys.load32(elem + ELEM_KEY) === key) return sys.load32(elem + HASH_VALUE);
	}
	return 0;
}

/** Load a table's object (of progs/, without bytes), let its program fill it, and look up in it as user space does. */
export function fillAndLookUp(t: TestEnv, name: string, prog: string, object?: Uint8Array): void {
	const skel = Skel.openAndLoad(t, name, object);
	if (!skel) return;
	// the page of user space's own comes in first: the program's go around it
	t.sys.store32(skel.map("arena").mmaped, 0x55aa);
	run(t, skel, prog);
	if (skel.get("skip")) t.skip("compiler doesn't support arena_cast");
	else {
		const htab = Number(skel.get("htab_for_user"));
		t.ASSERT_NEQ(t.sys.load64(htab), 0, "htab->buckets shouldn't be NULL");
		for (let i = 0; i < 16; i += 4) t.ASSERT_EQ(htabLookup(t, htab, i), i, "key == value");
	}
	skel.destroy();
}

/** arena_htab_asm casts by hand-placed instructions where the compiler does it in arena_htab. */
const arenaHtab =
	(name: string, prog: string) =>
	(object: Uint8Array): ProgTest => ({
		name,
		run(t) {
			if (t.startSubtest(prog)) fillAndLookUp(t, name, prog, object);
			t.endSubtest();
		},
	});

/** What each program of progs/arena_atomics.c leaves in the arena. */
const ATOMICS: Readonly<Record<string, Readonly<Record<string, bigint>>>> = {
	add: {
		add64_value: 3n,
		add64_result: 1n,
		add32_value: 3n,
		add32_result: 1n,
		add_stack_value_copy: 3n,
		add_stack_result: 1n,
		add_noreturn_value: 3n,
	},
	sub: {
		sub64_value: -1n,
		sub64_result: 1n,
		sub32_value: -1n,
		sub32_result: 1n,
		sub_stack_value_copy: -1n,
		sub_stack_result: 1n,
		sub_noreturn_value: -1n,
	},
	and: { and64_value: 0x010n << 32n, and32_value: 0x010n },
	or: { or64_value: 0x111n << 32n, or32_value: 0x111n },
	xor: { xor64_value: 0x101n << 32n, xor32_value: 0x101n },
	cmpxchg: {
		cmpxchg64_value: 2n,
		cmpxchg64_result_fail: 1n,
		cmpxchg64_result_succeed: 1n,
		cmpxchg32_value: 2n,
		cmpxchg32_result_fail: 1n,
		cmpxchg32_result_succeed: 1n,
	},
	xchg: { xchg64_value: 2n, xchg64_result: 1n, xchg32_value: 2n, xchg32_result: 1n },
	uaf: { uaf_recovery_fails: 0n },
};

const arenaAtomics = (object: Uint8Array): ProgTest => ({
	name: "arena_atomics",
	run(t) {
		const skel = Skel.open(t, "arena_atomics", object);
		if (!skel) return;
		if (skel.get("skip_tests")) t.skip("no ENABLE_ATOMICS_TESTS or no addr_space_cast support in clang");
		else if (t.ASSERT_OK(skel.load(), "arena atomics skeleton load")) {
			skel.set("pid", t.sys.getpid());
			for (const [name, want] of Object.entries(ATOMICS)) {
				if (!t.startSubtest(name)) continue;
				if (!run(t, skel, name, "test_run_opts err", "test_run_opts retval")) continue;
				for (const [variable, value] of Object.entries(want))
					t.ASSERT_EQ(skel.get(variable), value, variable);
			}
			t.endSubtest();
		}
		skel.destroy();
	},
});

/** By object. */
export const arenaObjects: Readonly<Record<string, (object: Uint8Array) => ProgTest>> = {
	arena_list: arenaList,
	arena_htab: arenaHtab("arena_htab", "arena_htab_llvm"),
	arena_htab_asm: arenaHtab("arena_htab_asm", "arena_htab_asm"),
	arena_atomics: arenaAtomics,
};
