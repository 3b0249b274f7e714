// SPDX-License-Identifier: GPL-2.0-only
/** Globals of every section, from the program's side and from user space's (prog_tests/global_data.c). */
import { EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import {
	bpf_map__fd,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

function lookup(t: TestEnv, skel: Skel, map: string, key: number, size: number): Uint8Array {
	const value = new Uint8Array(size);
	t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, bpf_map__fd(skel.map(map)), key32(key), value), `lookup_${map}`);
	return value;
}

function numbers(t: TestEnv, skel: Skel): void {
	const want = [0n, 42n, 0xabcdef0123456789n, 4321n, 50n, 64n, 0xfedcn, 0x1234n];
	want.forEach((v, i) => {
		t.ASSERT_EQ(read64(lookup(t, skel, "result_number", i, 8)), v, `number_${i}`);
	});
}

function strings(t: TestEnv, skel: Skel): void {
	const text = (b: Uint8Array) => Buffer.from(b).toString("latin1").replace(/\0+$/, "");
	const want = ["read-only text", "text that changes", "", "text xhat changes", "\0\0hello"];
	want.forEach((s, i) => {
		t.ASSERT_STREQ(text(lookup(t, skel, "result_string", i, 32)), s, `string_${i}`);
	});
}

function structs(t: TestEnv, skel: Skel): void {
	const want: [number, number, bigint][] = [
		[7, 0x01020304, 0x1122334455667788n],
		[9, 5, 6n],
		[0, 0, 0n],
		[9, 16, 6n],
		[0, 0, 1n],
	];
	want.forEach(([a, b, c], i) => {
		const v = new DataView(lookup(t, skel, "result_struct", i, 16).buffer);
		t.ASSERT_EQ(v.getUint8(0), a, `struct_${i}_a`);
		t.ASSERT_EQ(v.getUint32(4, true), b, `struct_${i}_b`);
		t.ASSERT_EQ(v.getBigUint64(8, true), c, `struct_${i}_c`);
	});
}

/** Read-only data stays what it was: for system calls too. */
function rdonly(t: TestEnv, skel: Skel): void {
	const map = skel.map(".rodata");
	const size = map.def.value_size;
	const err = bpf_map_update_elem(skel.lib, bpf_map__fd(map), key32(0), new Uint8Array(size));
	t.ASSERT_EQ(err, -EPERM, "update_rodata");
	t.ASSERT_EQ(skel.get("num2"), BigInt.asIntN(64, 0xabcdef0123456789n), "num2");
}

export const globalData: ProgTest = {
	name: "global_data",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_global_data");
		if (!skel) return;
		const opts = { data_in: new Uint8Array(64), repeat: 1, retval: 1 };
		t.ASSERT_OK(
			bpf_prog_test_run_opts(skel.lib, skel.prog("load_static_data").fd, opts),
			"pass global data run err",
		);
		t.ASSERT_EQ(opts.retval, 0, "pass global data run retval");
		if (t.startSubtest("numbers")) numbers(t, skel);
		if (t.startSubtest("strings")) strings(t, skel);
		if (t.startSubtest("structs")) structs(t, skel);
		if (t.startSubtest("rdonly")) rdonly(t, skel);
		t.endSubtest();
		// What the program wrote is in the mapped sections.
		t.ASSERT_EQ(skel.get("num0"), 4321, "mapped_num0");
		t.ASSERT_EQ(skel.get("num1"), 50, "mapped_num1");
		skel.destroy();
	},
};
