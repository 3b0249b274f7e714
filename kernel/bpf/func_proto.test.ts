// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import {
	ARG_ANYTHING,
	ARG_CONST_SIZE,
	ARG_PTR_TO_BTF_ID,
	ARG_PTR_TO_FIXED_SIZE_MEM,
	ARG_PTR_TO_MEM,
	ARG_PTR_TO_SPIN_LOCK,
	ARG_PTR_TO_UNINIT_MEM,
	RET_INTEGER,
} from "../../include/linux/bpf.ts";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import * as filter from "../../net/core/filter_proto.ts";
import * as trace from "../trace/bpf_trace_proto.ts";
import type { bpf_func_proto } from "./bpf_types.ts";
import { check_func_proto } from "./func_proto.ts";
import * as helpers from "./helpers_proto.ts";

const is_proto = (x: unknown): x is bpf_func_proto =>
	typeof x === "object" && x !== null && "arg_type" in x && "ret_type" in x && "func" in x;

describe("check_func_proto", () => {
	const tables = { filter, trace, helpers };
	for (const [table, module] of Object.entries(tables)) {
		const protos = Object.entries(module).filter((e): e is [string, bpf_func_proto] => is_proto(e[1]));
		it(`accepts every prototype of ${table} (${protos.length})`, () => {
			const bad = protos.filter(([, p]) => check_func_proto(p, 0) !== 0).map(([name]) => name);
			expect(bad).toEqual([]);
		});
	}
	it("saw the prototypes", () => {
		const n = Object.values(tables).flatMap((m) => Object.values(m).filter(is_proto)).length;
		expect(n).toBeGreaterThan(200);
	});

	const wrong: [string, Partial<bpf_func_proto>][] = [
		["a size first", { arg_type: [ARG_CONST_SIZE] }],
		["memory without its size", { arg_type: [ARG_PTR_TO_MEM, ARG_ANYTHING] }],
		["memory of fixed size without the size", { arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM] }],
		[
			"memory of fixed size and a size",
			{ arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM, ARG_CONST_SIZE], arg_size: { 0: 8 } },
		],
		["a size after what is no memory", { arg_type: [ARG_ANYTHING, ARG_CONST_SIZE] }],
		[
			"two buffers to fill",
			{ arg_type: [ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE, ARG_PTR_TO_UNINIT_MEM, ARG_CONST_SIZE] },
		],
		["a BTF pointer to no type", { arg_type: [ARG_PTR_TO_BTF_ID] }],
		[
			"a lock with a type of its own",
			{ arg_type: [ARG_PTR_TO_SPIN_LOCK], arg_btf_id: { 0: { kind: "struct", name: "bpf_spin_lock" } } },
		],
		[
			"a type for what is no BTF pointer",
			{ arg_type: [ARG_ANYTHING], arg_btf_id: { 0: { kind: "struct", name: "task_struct" } } },
		],
	];
	for (const [what, p] of wrong)
		it(`rejects ${what}`, () => {
			const proto: bpf_func_proto = { func: "x", ret_type: RET_INTEGER, arg_type: [], ...p };
			expect(check_func_proto(proto, 0)).toBe(-EINVAL);
		});
	it("accepts memory of a fixed size", () => {
		const proto: bpf_func_proto = {
			func: "x",
			ret_type: RET_INTEGER,
			arg_type: [ARG_PTR_TO_FIXED_SIZE_MEM],
			arg_size: { 0: 8 },
		};
		expect(check_func_proto(proto, 0)).toBe(0);
	});
});
