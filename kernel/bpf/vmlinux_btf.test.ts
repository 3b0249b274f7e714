// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { BTF_KIND_FUNC, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF } from "../../include/uapi/linux/btf.ts";
import {
	__btf_resolve_size,
	btf_find_by_name_kind,
	btf_find_dtor_kfunc,
	btf_member_path,
	type btf_obj,
	btf_open_trusted,
	btf_params,
	btf_parse_bytes,
	btf_register_tables,
	btf_str_by_offset,
	btf_type_by_id,
	btf_type_member,
	kfunc_sets,
} from "./btf.ts";
import { btf_from_c } from "./btf_writer.ts";
import { new_verifier_log } from "./log.ts";
import { with_arm64_layout } from "./vmlinux_arm64.ts";
import { builtin_module_btf, builtin_vmlinux_btf } from "./vmlinux_btf.ts";

function open(text: string): btf_obj {
	const b = btf_open_trusted(null, btf_from_c(text), "vmlinux");
	if (typeof b === "number") throw new Error(String(b));
	return b;
}

function vmlinux(arch: "x86_64" | "arm64"): btf_obj {
	const b = btf_open_trusted(null, builtin_vmlinux_btf(arch), "vmlinux");
	if (typeof b === "number") throw new Error(String(b));
	return b;
}

const at = (b: btf_obj, s: string, path: string): number => btf_member_path(b, s, path)!.bit_offset / 8;

describe("layout of C declarations", () => {
	it("follows alignment, bitfields, unions, nesting and given offsets", () => {
		const b = open(`
			typedef unsigned long u64;
			struct inner { char c; u64 l; };
			struct s {
				char a; short b; int x : 3, y : 30; char z;
				struct inner in;
				union { u64 u; char bytes[9]; };
				struct { int p, q; } pair[2];
				void *far @200; int tail;
			} @256;
			struct opaque @24;
			struct t { char c; struct opaque o; struct s *s; int (*fn)(struct t *t, ...); };
		`);
		expect([at(b, "s", "a"), at(b, "s", "b")]).toEqual([0, 2]);
		// y does not fit into the int that holds x
		expect(btf_member_path(b, "s", "x")).toMatchObject({ bit_offset: 32, bitfield_size: 3 });
		expect(btf_member_path(b, "s", "y")).toMatchObject({ bit_offset: 64, bitfield_size: 30 });
		expect(at(b, "s", "z")).toBe(12);
		expect(at(b, "s", "in.l")).toBe(24);
		expect([at(b, "s", "u"), at(b, "s", "bytes[3]")]).toEqual([32, 35]);
		expect(at(b, "s", "pair[1].q")).toBe(60);
		expect([at(b, "s", "far"), at(b, "s", "tail")]).toEqual([200, 208]);
		expect(btf_type_by_id(b, btf_find_by_name_kind(b, "s", BTF_KIND_STRUCT))!.size).toBe(256);
		expect([at(b, "t", "o"), at(b, "t", "s"), at(b, "t", "fn")]).toEqual([8, 32, 40]);
	});

	it("passes the checks that user space's BTF gets", () => {
		for (const arch of ["x86_64", "arm64"] as const)
			expect(typeof btf_parse_bytes(null, builtin_vmlinux_btf(arch), new_verifier_log())).toBe("object");
	});
});

describe("the built-in vmlinux BTF", () => {
	const b = vmlinux("x86_64");

	it("has the offsets of 6.12.95", () => {
		expect(at(b, "bpf_array", "value")).toBe(264);
		expect(at(b, "bpf_array", "index_mask")).toBe(252);
		expect(at(b, "task_struct", "pid")).toBe(1608);
		expect(at(b, "task_struct", "comm")).toBe(2096);
		expect(at(b, "sk_buff", "len")).toBe(112);
		expect(at(b, "sk_buff", "data")).toBe(200);
		expect(at(b, "sk_buff", "__pkt_type_offset")).toBe(128);
		expect(at(b, "xdp_rxq_info", "dev")).toBe(0);
		expect(at(b, "pt_regs", "di")).toBe(112);
		expect(at(vmlinux("arm64"), "pt_regs", "user_regs.pc")).toBe(256);
	});

	it("has arm64's own layout there", () => {
		const arm = vmlinux("arm64");
		expect(at(arm, "thread_info", "cpu")).toBe(16);
		expect(at(arm, "task_struct", "pid")).toBe(1592);
		expect(btf_member_path(arm, "task_struct", "frozen")).toMatchObject({ bit_offset: 1520 * 8 + 7 });
		expect(at(arm, "bpf_cpumask", "usage")).toBe(32);
		expect(at(arm, "module", "refcnt")).toBe(1200);
		const size = (name: string) =>
			btf_type_by_id(arm, btf_find_by_name_kind(arm, name, BTF_KIND_STRUCT))!.size;
		expect([size("task_struct"), size("kmem_cache"), size("cpumask")]).toEqual([8576, 320, 32]);
		// what is the same stays
		expect(at(arm, "bpf_array", "value")).toBe(264);
		expect(at(arm, "sk_buff", "data")).toBe(200);
		expect(() => with_arm64_layout("struct cpumask {\n\tunsigned long bits[2];\n};")).toThrow(
			/no struct task_struct/,
		);
	});

	it("has contexts of all program types, in pairs", () => {
		const conv = btf_type_by_id(b, btf_find_by_name_kind(b, "bpf_ctx_convert", BTF_KIND_STRUCT))!;
		const names = btf_type_member(conv).map((m) => btf_str_by_offset(b, m.name_off)!);
		expect(names.length % 2).toBe(0);
		for (let i = 0; i < names.length; i += 2) expect(names[i + 1]).toBe(names[i]!.replace(/_prog$/, "_kern"));
		expect(names).toContain("BPF_PROG_TYPE_SYSCALL_prog");
	});

	it("has tracepoints with their arguments", () => {
		const t = btf_type_by_id(b, btf_find_by_name_kind(b, "btf_trace_sys_enter", BTF_KIND_TYPEDEF))!;
		const proto = btf_type_by_id(b, btf_type_by_id(b, t.type)!.type)!;
		expect(btf_params(proto).length).toBe(3);
	});

	it("has the kfuncs of the sets that every kernel has, and their destructors", () => {
		for (const name of ["generic_btf_ids", "common_btf_ids", "arena_kfuncs", "cpumask_kfunc_btf_ids"])
			for (const f of Object.keys(kfunc_sets.find((s) => s.name === name)!.kfuncs))
				expect(btf_find_by_name_kind(b, f, BTF_KIND_FUNC), f).toBeGreaterThan(0);
		btf_register_tables(b);
		const task = btf_find_by_name_kind(b, "task_struct", BTF_KIND_STRUCT);
		expect(btf_find_dtor_kfunc(b, task)).toBe(
			btf_find_by_name_kind(b, "bpf_task_release_dtor", BTF_KIND_FUNC),
		);
	});

	it("gives sizes of what programs embed", () => {
		const size = (name: string): number => {
			const r = __btf_resolve_size(b, btf_type_by_id(b, btf_find_by_name_kind(b, name, BTF_KIND_STRUCT))!);
			return typeof r === "number" ? r : r.size;
		};
		expect(["bpf_spin_lock", "bpf_timer", "bpf_list_node", "bpf_rb_node", "bpf_dynptr"].map(size)).toEqual([
			4, 16, 24, 32, 16,
		]);
	});
});

describe("built-in module BTFs", () => {
	it("stand on the kernel's types and bring kfuncs of their own", () => {
		const base = vmlinux("x86_64");
		const m = btf_open_trusted(null, builtin_module_btf("bpf_testmod", base)!, "bpf_testmod", base);
		if (typeof m === "number") throw new Error(String(m));
		btf_register_tables(m);
		const id = btf_find_by_name_kind(m, "bpf_kfunc_call_test1", BTF_KIND_FUNC);
		expect(id).toBeGreaterThanOrEqual(base.nr_types);
		// its argument is the kernel's struct sock
		const proto = btf_type_by_id(m, btf_type_by_id(m, id)!.type)!;
		const ptr = btf_type_by_id(m, btf_params(proto)[0]!.type)!;
		expect(ptr.type).toBe(btf_find_by_name_kind(base, "sock", BTF_KIND_STRUCT));
		expect(btf_find_dtor_kfunc(m, btf_find_by_name_kind(m, "bpf_testmod_ctx", BTF_KIND_STRUCT))).toBe(
			btf_find_by_name_kind(m, "bpf_testmod_ctx_release", BTF_KIND_FUNC),
		);
		expect(at(m, "bpf_testmod_ops", "tramp_40") - at(m, "bpf_testmod_ops", "tramp_1")).toBe(39 * 8);
	});

	it("are known by name only", () => {
		expect(builtin_module_btf("no_such_module", vmlinux("x86_64"))).toBe(null);
	});
});
