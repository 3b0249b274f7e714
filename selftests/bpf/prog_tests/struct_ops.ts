// SPDX-License-Identifier: GPL-2.0-only
/**
 * Maps and links of struct_ops (prog_tests/test_struct_ops_module.c, test_struct_ops_multi_pages.c,
 * dummy_st_ops.c, pro_epilogue.c), and what the system calls answer in each of their states.
 */
import {
	E2BIG,
	EBUSY,
	EEXIST,
	EINPROGRESS,
	EINVAL,
	ENOENT,
	EOPNOTSUPP,
} from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_STRUCT_OPS } from "../../../include/uapi/linux/bpf.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_link__detach,
	bpf_link__update_map,
	bpf_link_create,
	bpf_link_update,
	type bpf_map,
	bpf_map__attach_struct_ops,
	bpf_map_delete_elem,
	bpf_map_get_info_by_fd,
	bpf_map_get_next_key,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
	type bpf_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read32, read64, Skel, val64 } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const EPOLL_CTL_ADD = 1;
const EPOLLHUP = 0x10;

// struct bpf_struct_ops_common_value
const STATE = 4;
const INIT = 0;
const INUSE = 1;
const TOBEFREE = 2;
const READY = 3;

function attach(t: TestEnv, map: bpf_map): bpf_link | null {
	const link = bpf_map__attach_struct_ops(map);
	return t.ASSERT_OK(typeof link === "number" ? link : 0, `attach ${map.name}`) ? (link as bpf_link) : null;
}

/** The one value of a map, and its state. */
function lookup(skel: Skel, map: bpf_map): { err: number; state: number; value: Uint8Array } {
	const value = new Uint8Array(map.def.value_size);
	const err = bpf_map_lookup_elem(skel.lib, map.fd, key32(0), value);
	return { err, state: read32(value, STATE), value };
}

function states(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "struct_ops");
	if (!skel) return;
	const map = skel.map("plain");
	const { lib } = skel;
	const kern = map.st_ops!.kern_vdata!;
	const update = (value: Uint8Array, key = 0, flags = 0): number =>
		bpf_map_update_elem(lib, map.fd, key32(key), value, flags);
	const with_byte = (at: number): Uint8Array => {
		const v = kern.slice();
		v[at] = 1;
		return v;
	};
	const empty = lookup(skel, map);
	t.ASSERT_EQ(empty.state, INIT, "state at first");
	t.ASSERT_FALSE(
		empty.value.some((b) => b !== 0),
		"value at first",
	);
	t.ASSERT_EQ(bpf_map_delete_elem(lib, map.fd, key32(0)), -ENOENT, "delete nothing");
	t.ASSERT_EQ(update(kern, 1), -E2BIG, "update of key 1");
	t.ASSERT_EQ(update(kern, 0, 1), -EINVAL, "update with flags");
	t.ASSERT_EQ(update(with_byte(STATE)), -EINVAL, "update of the state");
	t.ASSERT_EQ(update(with_byte(16)), -EINVAL, "update of a hole before the structure");
	// onebyte is data that the module does not take
	t.ASSERT_EQ(update(with_byte(64 + 32)), -EINVAL, "update of a member that must be zero");
	t.ASSERT_EQ(update(with_byte(64 + 33)), -EINVAL, "update of a hole in the structure");
	t.ASSERT_EQ(lookup(skel, map).state, INIT, "state after errors");
	t.ASSERT_EQ(skel.get("test_1_calls"), 0, "calls before");

	t.ASSERT_EQ(update(kern), 0, "update");
	t.ASSERT_EQ(skel.get("test_1_calls"), 1, "test_1 called");
	t.ASSERT_EQ(skel.get("test_2_sum"), 4 + 7, "test_2 called");
	const used = lookup(skel, map);
	t.ASSERT_EQ(used.state, INUSE, "state in use");
	t.ASSERT_EQ(read32(used.value, 0), 1, "refcnt in use");
	const info = skel.prog("test_1");
	t.ASSERT_GT(read64(used.value, 64), 0, `id of ${info.name}`);
	t.ASSERT_EQ(update(kern), -EBUSY, "second update");
	t.ASSERT_EQ(bpf_link_create(lib, map.fd, 0, BPF_STRUCT_OPS), -EINVAL, "link of a map without BPF_F_LINK");
	const next = key32(5);
	t.ASSERT_EQ(bpf_map_get_next_key(lib, map.fd, null, next), 0, "first key");
	t.ASSERT_EQ(read32(next), 0, "first key is 0");
	t.ASSERT_EQ(bpf_map_get_next_key(lib, map.fd, key32(0), next), -ENOENT, "key after 0");
	t.ASSERT_EQ(
		bpf_map_lookup_elem(lib, map.fd, key32(1), new Uint8Array(map.def.value_size)),
		-ENOENT,
		"lookup of key 1",
	);

	t.ASSERT_EQ(bpf_map_delete_elem(lib, map.fd, key32(0)), 0, "delete");
	t.ASSERT_EQ(lookup(skel, map).state, TOBEFREE, "state after delete");
	t.ASSERT_EQ(bpf_map_delete_elem(lib, map.fd, key32(0)), -EINPROGRESS, "second delete");
	t.ASSERT_EQ(update(kern), -EBUSY, "update after delete");
	skel.destroy();
}

function load(t: TestEnv): void {
	const skel = Skel.open(t, "struct_ops");
	if (!skel) return;
	// as a skeleton's shadow of the structure is written: another program, another number
	const { st_ops } = skel.map("linked");
	st_ops!.data_progs.set(8, skel.prog("test_2_product"));
	new DataView(st_ops!.data.buffer, st_ops!.data.byteOffset).setInt32(28, 11, true);
	if (!t.ASSERT_OK(skel.load(), "load")) return;
	const map = skel.map("linked");
	t.ASSERT_EQ(lookup(skel, map).state, INIT, "state at first");
	t.ASSERT_EQ(bpf_link_create(skel.lib, map.fd, 0, BPF_STRUCT_OPS), -EINVAL, "link before the update");
	const link = attach(t, map);
	if (link) {
		t.ASSERT_EQ(skel.get("test_2_sum"), 4 * 11, "product of 4 and data");
		t.ASSERT_EQ(lookup(skel, map).state, READY, "state with a link");
		t.ASSERT_EQ(bpf_map_delete_elem(skel.lib, map.fd, key32(0)), -EOPNOTSUPP, "delete with links");
		t.ASSERT_EQ(bpf_link_update(skel.lib, link.fd, skel.map("plain").fd), -EINVAL, "map without links");
		t.ASSERT_EQ(bpf_link__update_map(link, skel.map("other")), -EOPNOTSUPP, "update of the module's link");
		t.ASSERT_EQ(bpf_link__destroy(link), 0, "destroy");
		// the map stays ready: it is linked again
		const again = attach(t, map);
		if (again) bpf_link__destroy(again);
	}
	const info = bpf_map_get_info_by_fd(skel.lib, map.fd);
	t.ASSERT_GT(typeof info === "number" ? info : info.btf_vmlinux_id, 0, "BTF of the value");
	skel.destroy();
}

async function detach(t: TestEnv): Promise<void> {
	const skel = Skel.openAndLoad(t, "struct_ops");
	if (!skel) return;
	const link = attach(t, skel.map("linked"));
	if (link) {
		const ep = t.sys.epollCreate1(0);
		t.ASSERT_EQ(t.sys.epollCtl(ep, EPOLL_CTL_ADD, link.fd, { events: EPOLLHUP, data: 77n }), 0, "epoll_ctl");
		const none = await t.sys.epollWait(ep, 2, 0);
		t.ASSERT_EQ(typeof none === "number" ? none : none.length, 0, "no event yet");
		t.ASSERT_OK(bpf_link__detach(link), "detach");
		const events = await t.sys.epollWait(ep, 2, 500);
		if (t.ASSERT_EQ(typeof events === "number" ? events : events.length, 1, "epoll_wait")) {
			const [event] = events as { events: number; data: bigint }[];
			t.ASSERT_EQ(event!.data, 77, "event of the link");
			t.ASSERT_EQ(event!.events & EPOLLHUP, EPOLLHUP, "EPOLLHUP");
		}
		t.ASSERT_OK(bpf_link__detach(link), "detached already");
		t.sys.close(ep);
		bpf_link__destroy(link);
	}
	skel.destroy();
}

function pro_epilogue(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "struct_ops");
	if (!skel) return;
	const call = (what: string): { a: bigint; retval: number } => {
		const opts: bpf_test_run_opts = { ctx_in: val64(0) };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(`call_${what}`).fd, opts), what);
		return { a: read64(opts.ctx_in!), retval: (opts.retval ?? 0) | 0 };
	};
	t.ASSERT_EQ(call("prologue").retval, -1, "nothing is registered");
	const link = attach(t, skel.map("st_ops"));
	if (link) {
		const p = call("prologue");
		t.ASSERT_EQ(p.a, 1001, "a before and in the program");
		t.ASSERT_EQ(p.retval, 1001, "what the program returns");
		const e = call("epilogue");
		t.ASSERT_EQ(e.a, 10002, "a in and after the program");
		t.ASSERT_EQ(e.retval, 20004, "what the epilogue returns");
		const both = call("pro_epilogue");
		t.ASSERT_EQ(both.a, 11003, "a around the program");
		t.ASSERT_EQ(both.retval, 22006, "what both return");
		t.ASSERT_EQ(bpf_map__attach_struct_ops(skel.map("st_ops_2")) as number, -EEXIST, "a second one");
		bpf_link__destroy(link);
	}
	const second = attach(t, skel.map("st_ops_2"));
	if (second) {
		t.ASSERT_EQ(call("prologue").a, 1001, "the second one's program");
		t.ASSERT_EQ(call("epilogue").retval, -1, "which has no other");
		bpf_link__destroy(second);
	}
	t.ASSERT_EQ(call("prologue").retval, -1, "nothing is registered any more");
	skel.destroy();
}

export const structOps: ProgTest = {
	name: "struct_ops_module",
	needs: "bpf_testmod",
	async run(t) {
		if (t.startSubtest("states")) states(t);
		if (t.startSubtest("struct_ops_load")) load(t);
		if (t.startSubtest("test_detach_link")) await detach(t);
		if (t.startSubtest("pro_epilogue")) pro_epilogue(t);
	},
};

export const structOpsMultiPages: ProgTest = {
	name: "struct_ops_multi_pages",
	needs: "bpf_testmod",
	run(t) {
		const skel = Skel.openAndLoad(t, "struct_ops_multi");
		if (!skel) return;
		const link = attach(t, skel.map("multi_pages"));
		if (link) bpf_link__destroy(link);
		skel.destroy();
	},
};

export const dummyStOps: ProgTest = {
	name: "dummy_st_ops",
	run(t) {
		const skel = Skel.openAndLoad(t, "dummy_st_ops");
		if (!skel) return;
		const run = (prog: string, args: readonly (number | bigint)[]): { err: number; retval: number } => {
			const ctx_in = new Uint8Array(8 * args.length);
			for (const [i, a] of args.entries()) ctx_in.set(val64(a), 8 * i);
			const opts: bpf_test_run_opts = { ctx_in };
			const err = bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts);
			return { err, retval: opts.retval ?? 0 };
		};
		const state = skel.lib.heap.alloc(8);
		const set = (v: number): void => {
			t.sys.store(state, key32(v));
		};
		if (t.startSubtest("dummy_st_ops_attach"))
			t.ASSERT_EQ(bpf_map__attach_struct_ops(skel.map("dummy")) as number, -EOPNOTSUPP, "attach");
		if (t.startSubtest("dummy_init_ret_value")) {
			const r = run("test_1", [0]);
			t.ASSERT_EQ(r.err, 0, "test_run");
			t.ASSERT_EQ(r.retval, 0x12345, "NULL is seen as such");
		}
		if (t.startSubtest("dummy_init_ptr_arg")) {
			set(0xbeef);
			const r = run("test_1", [state]);
			t.ASSERT_EQ(r.err, 0, "test_run");
			t.ASSERT_EQ(r.retval, 0xbeef, "what was there");
			t.ASSERT_EQ(read32(t.sys.load(state, 4)), 90, "what was written");
		}
		if (t.startSubtest("dummy_multiple_args")) {
			set(7);
			t.ASSERT_EQ(run("test_2", [state, -100, 0x8a5f, 99, 0x1234567887654321n]).err, 0, "test_run");
			const got = skel.bytes("args");
			const want = [7n, -100n, 0x8a5fn, 99n, 0x1234567887654321n].map((v) => BigInt.asUintN(64, v));
			for (const [i, v] of want.entries()) t.ASSERT_EQ(read64(got, 8 * i), v, `arg ${i}`);
		}
		if (t.startSubtest("dummy_sleepable")) t.ASSERT_EQ(run("test_sleepable", [state]).retval, 5, "retval");
		if (t.startSubtest("dummy_sleepable_reject_null"))
			t.ASSERT_EQ(run("test_sleepable", [0]).err, -EINVAL, "NULL where none may be");
		if (t.startSubtest("sizes")) {
			t.ASSERT_EQ(run("test_1", [0, 0]).err, -EINVAL, "more arguments than there are");
			t.ASSERT_EQ(run("test_2", [0]).err, -EINVAL, "less arguments than there are");
		}
		t.endSubtest();
		skel.lib.heap.free(state);
		skel.destroy();
	},
};
