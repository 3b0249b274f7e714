// SPDX-License-Identifier: GPL-2.0-only
/** CO-RE: relocations between two BTFs (lib/relo_core.ts, as the kernel and libbpf use it). */
import { describe, expect, it } from "vitest";
import {
	BPF_CORE_ENUMVAL_EXISTS,
	BPF_CORE_ENUMVAL_VALUE,
	BPF_CORE_FIELD_BYTE_OFFSET,
	BPF_CORE_FIELD_BYTE_SIZE,
	BPF_CORE_FIELD_EXISTS,
	BPF_CORE_FIELD_LSHIFT_U64,
	BPF_CORE_FIELD_RSHIFT_U64,
	BPF_CORE_FIELD_SIGNED,
	BPF_CORE_TYPE_EXISTS,
	BPF_CORE_TYPE_ID_LOCAL,
	BPF_CORE_TYPE_ID_TARGET,
	BPF_CORE_TYPE_MATCHES,
	BPF_CORE_TYPE_SIZE,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_ENUM, BTF_KIND_STRUCT, BTF_KIND_TYPEDEF } from "../../include/uapi/linux/btf.ts";
import {
	BPF_CORE_POISON_IMM,
	bpf_core_calc_relo_insn,
	bpf_core_essential_name_len,
	bpf_core_patch_insn,
	type bpf_core_relo_res,
	bpf_core_types_are_compat,
	type CoreCtx,
	type CoreInsn,
} from "../../lib/relo_core.ts";
import { btf_find_by_name_kind, type btf_obj, btf_open_trusted } from "./btf.ts";
import { btf_from_c } from "./btf_writer.ts";

/** A BTF that also holds the access strings, as names of typedefs: their offsets are what relocations name. */
function open(text: string, strings: readonly string[] = []): btf_obj {
	const data = btf_from_c(text);
	const extra = Buffer.from(strings.map((s) => `${s}\0`).join(""), "latin1");
	const out = Buffer.concat([data, extra]);
	const len = out.readUInt32LE(20);
	out.writeUInt32LE(len + extra.length, 20);
	const b = btf_open_trusted(null, new Uint8Array(out), "x");
	if (typeof b === "number") throw new Error(String(b));
	return b;
}

class Ctx implements CoreCtx {
	prog_name = "p";
	types_depth = 32;
	lines: string[] = [];
	warn(s: string): void {
		this.lines.push(s);
	}
	debug(s: string): void {
		this.lines.push(s);
	}
}

const SPECS = ["0", "0:0", "0:1", "0:2", "0:3", "0:4", "1", "0:5", "0:1:2", "0:0:1"] as const;

function run(
	local_text: string,
	targ_text: string | readonly string[],
	type: string,
	kind: number,
	spec: (typeof SPECS)[number],
	bkind = BTF_KIND_STRUCT,
): { res: bpf_core_relo_res | number; ctx: Ctx; local: btf_obj; targets: btf_obj[] } {
	const local = open(local_text, SPECS);
	const tail = SPECS.map((s) => `${s}\0`).join("");
	let off = local.hdr.str_len - tail.length;
	for (const s of SPECS) {
		if (s === spec) break;
		off += s.length + 1;
	}
	const targets = (typeof targ_text === "string" ? [targ_text] : targ_text).map((t) => open(t));
	const name = type.slice(0, bpf_core_essential_name_len(type));
	const cands = targets
		.map((btf) => ({ btf, id: btf_find_by_name_kind(btf, name, bkind) }))
		.filter((c) => c.id > 0);
	const ctx = new Ctx();
	const type_id = btf_find_by_name_kind(local, type, bkind);
	expect(type_id).toBeGreaterThan(0);
	const res = bpf_core_calc_relo_insn(ctx, { insn_off: 8, type_id, access_str_off: off, kind }, 0, local, {
		cands,
	});
	return { res, ctx, local, targets };
}

const LOCAL = "struct s { int a; struct { char c[4]; long l; } n; unsigned int f : 5; void *p; };";
const TARGET =
	"struct s { long pad; void *p; struct { short x; char c[8]; long l; } n; int hole; int a; int g : 3; int f : 6; };";

describe("values of relocations", () => {
	const field = (kind: number, spec: (typeof SPECS)[number]): bpf_core_relo_res => {
		const { res, ctx } = run(LOCAL, TARGET, "s", kind, spec);
		expect(typeof res, ctx.lines.join("")).toBe("object");
		return res as bpf_core_relo_res;
	};

	it("are offsets, sizes, signs and existence of fields", () => {
		expect(field(BPF_CORE_FIELD_BYTE_OFFSET, "0:0")).toMatchObject({
			orig_val: 0n,
			new_val: 44n,
			orig_sz: 4,
			new_sz: 4,
			validate: true,
			poison: false,
		});
		expect(field(BPF_CORE_FIELD_BYTE_OFFSET, "0:3")).toMatchObject({ orig_val: 32n, new_val: 8n });
		expect(field(BPF_CORE_FIELD_BYTE_SIZE, "0:1")).toMatchObject({ orig_val: 16n, new_val: 24n });
		expect(field(BPF_CORE_FIELD_SIGNED, "0:0")).toMatchObject({ orig_val: 1n, new_val: 1n });
		expect(field(BPF_CORE_FIELD_SIGNED, "0:2")).toMatchObject({ orig_val: 0n, new_val: 1n });
		expect(field(BPF_CORE_FIELD_EXISTS, "0:0").new_val).toBe(1n);
	});

	it("are loads and shifts of bitfields", () => {
		// f: bits 3…8 of the int at 48
		expect(field(BPF_CORE_FIELD_BYTE_OFFSET, "0:2")).toMatchObject({ new_val: 48n, validate: false });
		expect(field(BPF_CORE_FIELD_LSHIFT_U64, "0:2").new_val).toBe(64n - 9n);
		expect(field(BPF_CORE_FIELD_RSHIFT_U64, "0:2").new_val).toBe(64n - 6n);
	});

	it("poison what the target lacks, but not questions whether it is there", () => {
		const gone = "struct s { int b; };";
		expect(run(LOCAL, gone, "s", BPF_CORE_FIELD_BYTE_OFFSET, "0:0").res).toMatchObject({ poison: true });
		expect(run(LOCAL, gone, "s", BPF_CORE_FIELD_EXISTS, "0:0").res).toMatchObject({
			poison: false,
			new_val: 0n,
		});
		expect(run(LOCAL, [], "s", BPF_CORE_TYPE_SIZE, "0").res).toMatchObject({ poison: false, new_val: 0n });
	});

	it("look through unnamed members and past flavors", () => {
		const r = run(
			"struct s___v2 { int a; };",
			"struct s { long x; union { long y; struct { int z; int a; }; }; };",
			"s___v2",
			BPF_CORE_FIELD_BYTE_OFFSET,
			"0:0",
		);
		expect(r.res).toMatchObject({ new_val: 12n });
		expect(r.ctx.lines.at(-1)).toBe(
			"prog 'p': relo #0: matching candidate #0 <byte_off> [15] STRUCT s.a (0:1:1:1 @ offset 12)\n",
		);
	});

	it("must agree over all candidates", () => {
		const { res, ctx } = run(
			"struct s { int a; };",
			["struct s { int a; };", "struct s { int x; int a; };"],
			"s",
			BPF_CORE_FIELD_BYTE_OFFSET,
			"0:0",
		);
		expect(res).toBe(-22);
		expect(ctx.lines.at(-1)).toBe("prog 'p': relo #0: field offset ambiguity: 32 != 0\n");
	});

	it("are values of enumerators, and of enums of 64 bits", () => {
		const local = "enum e { A, B };";
		expect(
			run(local, "enum e { A = 7, B = -2 };", "e", BPF_CORE_ENUMVAL_VALUE, "1", BTF_KIND_ENUM).res,
		).toMatchObject({ orig_val: 1n, new_val: 0xfffffffffffffffen });
		expect(run(local, "enum e { A };", "e", BPF_CORE_ENUMVAL_EXISTS, "1", BTF_KIND_ENUM).res).toMatchObject({
			new_val: 0n,
			poison: false,
		});
		expect(run(local, "enum e { A };", "e", BPF_CORE_ENUMVAL_VALUE, "1", BTF_KIND_ENUM).res).toMatchObject({
			poison: true,
		});
	});

	it("are ids and matches of types", () => {
		const r = run(
			"struct s { int a; };",
			"struct t { int q; }; struct s { int a; long b; };",
			"s",
			BPF_CORE_TYPE_ID_TARGET,
			"0",
		);
		expect((r.res as bpf_core_relo_res).new_val).toBe(
			BigInt(btf_find_by_name_kind(r.targets[0]!, "s", BTF_KIND_STRUCT)),
		);
		expect((run(LOCAL, [], "s", BPF_CORE_TYPE_ID_LOCAL, "0").res as bpf_core_relo_res).poison).toBe(false);
		const matches = (l: string, t: string): bigint =>
			(run(l, t, "s", BPF_CORE_TYPE_MATCHES, "0").res as bpf_core_relo_res).new_val;
		expect(matches("struct s { int a; };", "struct s { long b; int a; };")).toBe(1n);
		expect(matches("struct s { int a; };", "struct s { long a; };")).toBe(0n);
		expect(matches("struct s { struct x *a; };", "struct s { struct y *a; };")).toBe(0n);
		expect(
			run("struct s { int a; };", "struct s { long a; };", "s", BPF_CORE_TYPE_EXISTS, "0").res,
		).toMatchObject({
			new_val: 1n,
		});
	});
});

describe("compatibility of types", () => {
	it("goes through pointers, arrays and prototypes, to the depth allowed", () => {
		const a = open(
			"typedef int (*f)(struct s *, long); typedef int *p; typedef int (*g)(int (*)(int (*)(int)));",
		);
		const b = open(
			"typedef int (*f)(struct t *, int); typedef long p; typedef int (*g)(int (*)(int (*)(int)));",
		);
		const id = (x: btf_obj, n: string): number => btf_find_by_name_kind(x, n, BTF_KIND_TYPEDEF);
		const compat = (n: string, depth: number): number => {
			const ctx = new Ctx();
			ctx.types_depth = depth;
			return bpf_core_types_are_compat(ctx, a, id(a, n), b, id(b, n));
		};
		expect(compat("f", 2)).toBe(1);
		expect(compat("p", 2)).toBe(0);
		expect(compat("g", 32)).toBe(1);
		expect(compat("g", 2)).toBe(-22);
	});
});

describe("patched instructions", () => {
	const res = (over: Partial<bpf_core_relo_res>): bpf_core_relo_res => ({
		orig_val: 0n,
		new_val: 0n,
		poison: false,
		validate: true,
		fail_memsz_adjust: false,
		orig_sz: 4,
		orig_type_id: 0,
		new_sz: 4,
		new_type_id: 0,
		...over,
	});
	const insn = (code: number, off = 0, imm = 0): CoreInsn => ({ code, dst_reg: 1, src_reg: 0, off, imm });

	it("get the offset, and the width of the target's field", () => {
		const i = insn(0x61, 8);
		expect(bpf_core_patch_insn(new Ctx(), [i], 0, 0, 0, res({ orig_val: 8n, new_val: 40n, new_sz: 8 }))).toBe(
			0,
		);
		expect(i).toMatchObject({ code: 0x79, off: 40 });
	});

	it("must hold what the compiler recorded", () => {
		const ctx = new Ctx();
		expect(bpf_core_patch_insn(ctx, [insn(0xb7, 0, 5)], 0, 3, 1, res({ orig_val: 4n, new_val: 9n }))).toBe(
			-22,
		);
		expect(ctx.lines).toEqual([
			"prog 'p': relo #1: unexpected insn #3 (ALU/ALU64) value: got 5, exp 4 -> 9\n",
		]);
		expect(bpf_core_patch_insn(ctx, [insn(0x61)], 0, 0, 0, res({ new_val: 0x8000n }))).toBe(-34);
	});

	it("take 64 bits in an ldimm64, and are poisoned in both halves", () => {
		const pair = [insn(0x18, 0, 1), { ...insn(0), dst_reg: 0 }];
		expect(
			bpf_core_patch_insn(new Ctx(), pair, 0, 0, 0, res({ orig_val: 1n, new_val: 0xfffffffe00000003n })),
		).toBe(0);
		expect(pair.map((i) => i.imm)).toEqual([3, -2]);
		expect(bpf_core_patch_insn(new Ctx(), pair, 0, 0, 0, res({ poison: true }))).toBe(0);
		expect(pair.map((i) => [i.code, i.imm])).toEqual([
			[0x85, BPF_CORE_POISON_IMM],
			[0x85, BPF_CORE_POISON_IMM],
		]);
	});

	it("are poisoned where another width would change the value", () => {
		const i = insn(0x61, 8);
		bpf_core_patch_insn(new Ctx(), [i], 0, 0, 0, res({ orig_val: 8n, fail_memsz_adjust: true }));
		expect(i).toMatchObject({ code: 0x85, imm: BPF_CORE_POISON_IMM });
	});
});

describe("names", () => {
	it("end before their flavor", () => {
		expect(
			["task_struct___old", "a___b___c", "x____y", "___x", "x___"].map(bpf_core_essential_name_len),
		).toEqual([11, 5, 6, 4, 4]);
	});
});
