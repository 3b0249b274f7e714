// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { BTF_FUNC_GLOBAL, BTF_INT_SIGNED } from "../../include/uapi/linux/btf.ts";
import { Btf } from "../../tools/lib/bpf/btf.ts";
import type { bpf_object, bpf_program } from "../../tools/lib/bpf/libbpf.ts";
import { xlated_text } from "./test_loader.ts";
import {
	compile_regex,
	PRIV,
	parse_test_spec,
	type test_spec,
	UNPRIV,
	validate_msgs,
} from "./test_loader_spec.ts";

/** The specification of a program with these tags. */
function spec_of(tags: readonly string[], arch: "x86_64" | "arm64" = "x86_64"): test_spec {
	const btf = new Btf(null);
	const proto = btf.add_func_proto(btf.add_int("int", 4, BTF_INT_SIGNED));
	const other = btf.add_func("other", BTF_FUNC_GLOBAL, proto);
	const func = btf.add_func("prog", BTF_FUNC_GLOBAL, proto);
	btf.add_decl_tag("comment:test_expect_failure", other, -1);
	for (const tag of tags) btf.add_decl_tag(`comment:test_${tag}`, func, -1);
	return parse_test_spec({ btf } as bpf_object, { name: "prog" } as bpf_program, arch);
}

describe("annotations", () => {
	it("are those of the program", () => {
		expect(spec_of([])).toMatchObject({
			mode_mask: PRIV,
			auxiliary: false,
			arch_mask: -1,
			log_level: 0,
			prog_flags: 0,
		});
		expect(spec_of([]).priv).toMatchObject({ name: "prog", expect_failure: false, execute: false });
	});

	it("without privileges are those with them, unless they say otherwise", () => {
		const s = spec_of([
			"description=a test",
			"expect_failure",
			"expect_msg=0=first",
			"expect_success_unpriv",
			"retval=0x10",
		]);
		expect(s.mode_mask).toBe(PRIV | UNPRIV);
		expect(s.priv).toMatchObject({ name: "a test", expect_failure: true, retval: 16, execute: true });
		expect(s.unpriv).toMatchObject({
			name: "a test @unpriv",
			expect_failure: false,
			retval: 16,
			execute: true,
		});
		expect(s.unpriv.expect_msgs.map((m) => m.substr)).toEqual(["first"]);
		const own = spec_of(["expect_msg=0=a", "expect_msg_unpriv=0=b", "retval=1", "retval_unpriv=-2"]);
		expect(own.unpriv.expect_msgs.map((m) => m.substr)).toEqual(["b"]);
		expect(own.unpriv.retval).toBe(-2);
	});

	it("set flags and the log level", () => {
		expect(
			spec_of(["prog_flags=BPF_F_ANY_ALIGNMENT", "prog_flags=BPF_F_TEST_STATE_FREQ", "log_level=2"]),
		).toMatchObject({
			prog_flags: 2 | 8,
			log_level: 2,
		});
		expect(spec_of(["prog_flags=10", "prog_flags=!BPF_F_ANY_ALIGNMENT"]).prog_flags).toBe(8);
	});

	it("name return values", () => {
		expect(spec_of(["retval=INT_MIN"]).priv.retval).toBe(-2147483648);
		expect(spec_of(["retval=POINTER_VALUE"]).priv.retval).toBe(0xcafe4a);
		expect(spec_of(["retval=TEST_DATA_LEN"]).priv.retval).toBe(64);
	});

	it("of machine code count for their architecture", () => {
		const tags = ["arch=X86_64", "jited=0=ret", "jited=1=...", "jited=2=nop", "arch=ARM64", "jited=3=br"];
		expect(spec_of(tags).priv.jited.map((m) => [m.substr, m.on_next_line])).toEqual([
			["ret", true],
			["nop", false],
		]);
		expect(spec_of(tags, "arm64").priv.jited.map((m) => m.substr)).toEqual(["br"]);
		expect(spec_of(tags).arch_mask).toBe(6);
	});

	it("that make no sense are refused", () => {
		expect(() => spec_of(["jited=0=ret"])).toThrow("__jited used before __arch_*");
		expect(() => spec_of(["arch=Z80"])).toThrow("bad arch spec: 'Z80'");
		expect(() => spec_of(["retval=much"])).toThrow("failed to parse __retval from 'much'");
		expect(() => spec_of(["expect_msg=0=a{{b"])).toThrow("Regexp has open '{{' but no closing '}}': 'a{{b'");
	});
});

describe("messages", () => {
	const msg = (substr: string, on_next_line = false) => ({
		substr,
		regex: substr.includes("{{") ? compile_regex(substr) : null,
		on_next_line,
	});

	it("are found one after the other", () => {
		const log = "one\ntwo\nthree\n";
		expect(validate_msgs(log, [msg("one"), msg("three")])).toBeNull();
		expect(validate_msgs(log, [msg("three"), msg("one")])).toMatchObject({ index: 1, wrong_line: false });
		expect(validate_msgs(log, [])).toBeNull();
	});

	it("of a disassembly stand on the next line where they must", () => {
		const text = "0: r0 = 0\n1: exit\n2: exit\n";
		expect(validate_msgs(text, [msg("r0 = 0", true), msg("exit", true)])).toBeNull();
		expect(validate_msgs(text, [msg("r0 = 0", true), msg("2: exit", true)])).toEqual({
			index: 1,
			wrong_line: true,
			expected_line: 1,
			actual_line: 2,
		});
	});

	it("are verbatim but for what is in {{}}", () => {
		expect(validate_msgs("a.b(c) 12", [msg("a.b(c) {{[0-9]+}}")])).toBeNull();
		expect(validate_msgs("aXb(c) 12", [msg("a.b(c) {{[0-9]+}}")])).not.toBeNull();
		// lines are lines: nothing matches across them
		expect(validate_msgs("a\nb", [msg("a{{.*}}b")])).not.toBeNull();
		expect(validate_msgs("a\nb", [msg("a{{[^x]*}}b")])).not.toBeNull();
		expect(validate_msgs("x\ny", [msg("{{^y$}}")])).toBeNull();
	});
});

it("rewritten instructions are shown without codes and helper numbers", () => {
	const insns = new Uint8Array(
		Buffer.from(
			`b700000000000000${"8500000001000000"}1811000001000000000000000000000085100100050000009500000000000000`,
			"hex",
		),
	);
	expect(xlated_text(insns)).toBe(
		"0: r0 = 0\n1: call bpf_map_lookup_elem\n2: r1 = map[id:1]\n4: call pc+1\n5: exit\n".replace(
			"r1 = map[id:1]",
			"r1 = 0x1",
		),
	);
});
