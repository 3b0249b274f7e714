// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import * as K from "../../../include/uapi/linux/btf.ts";
import { Btf, btf__new, btf_kind, btf_kind_str, btf_members, btf_params, btf_vlen } from "./btf.ts";
import { btf__dedup, type btf_dedup_opts } from "./btf_dedup.ts";
import { LibbpfPrinter } from "./libbpf_internal.ts";

const pr = new LibbpfPrinter(null);
const SIGNED = K.BTF_INT_SIGNED;

/** Types, a line each: kind, name, what they refer to. */
function lines(b: Btf): string[] {
	const out: string[] = [];
	for (let i = b.start_id; i < b.type_cnt(); i++) {
		const t = b.type_by_id(i)!;
		let s = `${i} ${btf_kind_str(t)} ${b.name(t.name_off)}`.trimEnd();
		switch (btf_kind(t)) {
			case K.BTF_KIND_STRUCT:
			case K.BTF_KIND_UNION:
				s += ` {${btf_members(t)
					.map((m) => `${b.name(m.name_off)}:${m.type}`)
					.join(" ")}}`;
				break;
			case K.BTF_KIND_FUNC_PROTO:
				s += ` (${btf_params(t)
					.map((p) => p.type)
					.join(" ")}) ${t.type}`;
				break;
			case K.BTF_KIND_INT:
			case K.BTF_KIND_FWD:
				break;
			case K.BTF_KIND_ENUM:
			case K.BTF_KIND_ENUM64:
				s += ` ${btf_vlen(t)}`;
				break;
			default:
				s += ` ${t.type}`;
		}
		out.push(s);
	}
	return out;
}

function dedup(build: (b: Btf) => void, opts: btf_dedup_opts = {}): string[] {
	const b = new Btf(null);
	build(b);
	expect(btf__dedup(pr, b, opts)).toBe(0);
	return lines(b);
}

/** A list whose nodes point at each other, as one unit of translation has it. */
function list(b: Btf, extra = false): number {
	const int = b.add_int("int", 4, SIGNED);
	const id = b.type_cnt();
	const ptr = id + 1;
	b.add_struct("node", 16);
	b.add_field("next", ptr, 0);
	b.add_field(extra ? "other" : "data", int, 64);
	b.add_ptr(id);
	return id;
}

describe("deduplication", () => {
	it.each([false, true])("keeps each type once (all in one bucket: %s)", (force_collisions) => {
		const out = dedup(
			(b) => {
				for (let i = 0; i < 3; i++) {
					const int = b.add_int("int", 4, SIGNED);
					const t = b.add_typedef("num", b.add_mod(K.BTF_KIND_CONST, int));
					b.add_array(int, t, 4);
					const proto = b.add_func_proto(int);
					b.add_func_param("a", t);
					b.add_func("f", K.BTF_FUNC_GLOBAL, proto);
					b.add_decl_tag("tag", proto + 1, 0);
				}
				b.add_int("int", 4, 0);
			},
			{ force_collisions },
		);
		expect(out).toEqual([
			"1 int int",
			"2 const 1",
			"3 typedef num 2",
			"4 array 0",
			"5 func_proto (3) 1",
			"6 func f 5",
			"7 decl_tag tag 6",
			"8 int int",
		]);
	});

	it("sees that graphs with rings are the same, or are not", () => {
		const same = dedup((b) => {
			list(b);
			list(b);
		});
		expect(same).toEqual(["1 int int", "2 struct node {next:3 data:1}", "3 ptr 2"]);
		const differ = dedup((b) => {
			list(b);
			list(b, true);
		});
		expect(differ).toEqual([
			"1 int int",
			"2 struct node {next:3 data:1}",
			"3 ptr 2",
			"4 struct node {next:5 other:1}",
			"5 ptr 4",
		]);
	});

	it("leads declarations to what they declare, within a graph and by a name that only one has", () => {
		const graph = dedup((b) => {
			// one unit knows struct in, the other only its name
			const fwd = b.add_fwd("in", false);
			b.add_struct("out", 8);
			b.add_field("p", b.type_cnt(), 0);
			b.add_ptr(fwd);
			const inner = b.add_struct("in", 4);
			b.add_struct("out", 8);
			b.add_field("p", b.type_cnt(), 0);
			b.add_ptr(inner);
		});
		expect(graph).toEqual(["1 struct out {p:2}", "2 ptr 3", "3 struct in {}"]);
		expect(
			dedup((b) => {
				b.add_ptr(b.add_fwd("s", false));
				b.add_ptr(b.add_struct("s", 4));
			}),
		).toEqual(["1 ptr 2", "2 struct s {}"]);
		// a union of the name, or two structures: nobody knows
		expect(
			dedup((b) => {
				b.add_ptr(b.add_fwd("s", true));
				b.add_struct("s", 4);
			}),
		).toEqual(["1 fwd s", "2 ptr 1", "3 struct s {}"]);
		expect(
			dedup((b) => {
				b.add_ptr(b.add_fwd("s", false));
				b.add_struct("s", 4);
				b.add_struct("s", 8);
			}),
		).toEqual(["1 fwd s", "2 ptr 1", "3 struct s {}", "4 struct s {}"]);
	});

	it("leads declared enums to full ones, whichever comes first", () => {
		const full = (b: Btf): void => {
			b.add_enum("e", 4);
			b.add_enum_value("A", 1);
		};
		expect(
			dedup((b) => {
				b.add_enum("e", 4);
				full(b);
				b.add_ptr(1);
			}),
		).toEqual(["1 enum e 1", "2 ptr 1"]);
		expect(
			dedup((b) => {
				full(b);
				b.add_enum("e", 4);
				b.add_ptr(2);
			}),
		).toEqual(["1 enum e 1", "2 ptr 1"]);
	});

	it("leaves variables and sections as they are", () => {
		const out = dedup((b) => {
			for (let i = 0; i < 2; i++) {
				const v = b.add_var("v", K.BTF_VAR_STATIC, b.add_int("int", 4, SIGNED));
				b.add_datasec(".bss", 4);
				b.add_datasec_var_info(v, 0, 4);
			}
		});
		expect(out.map((l) => l.split(" ")[1])).toEqual(["int", "var", "datasec", "var", "datasec"]);
	});

	it("keeps strings that something refers to, each once", () => {
		const b = new Btf(null);
		b.add_int("int", 4, SIGNED);
		b.add_str("nobody's");
		const parsed = btf__new(pr, b.raw_data()) as Btf;
		expect(parsed.find_str("nobody's")).toBeGreaterThan(0);
		expect(btf__dedup(pr, parsed)).toBe(0);
		expect(Buffer.from(parsed.strs.subarray(0, parsed.strs_len)).toString()).toBe("\0int\0");
		expect(lines(btf__new(pr, parsed.raw_data()) as Btf)).toEqual(["1 int int"]);
	});

	it("of a split BTF finds what the base has", () => {
		const base = new Btf(null);
		list(base);
		const split = new Btf(btf__new(pr, base.raw_data()) as Btf);
		list(split);
		const own = split.add_struct("own", 8);
		split.add_field("list", own - 1, 0);
		expect(btf__dedup(pr, split)).toBe(0);
		expect(lines(split)).toEqual(["4 struct own {list:3}"]);
	});
});
