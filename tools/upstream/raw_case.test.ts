// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { Libbpf } from "../lib/bpf/libbpf.ts";
import { FakeSys } from "./fake_sys.ts";
import { has_log, is_unpriv, load_raw } from "./raw_case.ts";
import type { RawRecord } from "./records.ts";

const record = (o: Partial<RawRecord>): RawRecord => ({
	test: "#1/p a test",
	prog_type: 1,
	attach: 0,
	flags: 0,
	btf_id: 0,
	log_level: 4,
	errno: 0,
	insns: "b7000000000000009500000000000000",
	maps: [],
	func_info: "",
	func_info_cnt: 0,
	fd_array: 0,
	...o,
});

function load(o: Partial<RawRecord>) {
	const sys = new FakeSys();
	const lib = new Libbpf(sys, { known_kernel: true, print: () => {} });
	const result = load_raw(lib, record(o), { addr: lib.heap.alloc(4096), size: 4096 }, () => "");
	return { sys, result };
}

it("instructions go as they are, but for descriptors of maps", () => {
	const map = { fd: 3, name: "", type: 2, key: 4, value: 8, max: 1, flags: 0, extra: 0 };
	const ld = "1811000003000000 0000000000000000".replace(" ", "");
	const other = "1801000003000000 0000000000000000".replace(" ", "");
	const { sys, result } = load({ maps: [map], insns: `${ld}${other}9500000000000000` });
	expect(result.err).toBe(0);
	const [prog] = sys.loads;
	const insns = Buffer.from(prog!.insns);
	expect(insns.readInt32LE(4)).not.toBe(3);
	expect(insns.subarray(16, 32).toString("hex")).toBe(other);
	expect(prog!.name).toBe("");
});

it("programs with functions and maps with kptrs get their types", () => {
	const kptrs = { fd: 3, name: "test_map", type: 2, key: 4, value: 24, max: 1, flags: 0, extra: 0 };
	const { sys, result } = load({
		maps: [kptrs],
		func_info_cnt: 2,
		func_info: "00000000060000000200000007000000",
	});
	expect(result.err).toBe(0);
	expect(sys.loads[0]!.func_info_cnt).toBe(2);
});

it("names say who loads, and logs that were too big are none", () => {
	expect(is_unpriv(record({ test: "#12/u a /p b" }))).toBe(true);
	expect(is_unpriv(record({ test: "#12/p a #1/u b" }))).toBe(false);
	expect(has_log(record({}))).toBe(false);
	expect(has_log(record({ log6: "TOO BIG" }))).toBe(false);
	expect(has_log(record({ log6: "" }))).toBe(true);
});
