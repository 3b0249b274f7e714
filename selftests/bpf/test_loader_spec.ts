// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a program's decl tags say it must do: tools/testing/selftests/bpf/test_loader.c: parse_test_spec.
 * The tags are those that bpf_misc.h's __success, __failure, __msg and their kin leave in BTF.
 */
import {
	BPF_F_ANY_ALIGNMENT,
	BPF_F_SLEEPABLE,
	BPF_F_STRICT_ALIGNMENT,
	BPF_F_TEST_REG_INVARIANTS,
	BPF_F_TEST_RND_HI32,
	BPF_F_TEST_STATE_FREQ,
	BPF_F_XDP_HAS_FRAGS,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_DECL_TAG, BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { btf_decl_tag_component_idx } from "../../tools/lib/bpf/btf.ts";
import type { bpf_object, bpf_program } from "../../tools/lib/bpf/libbpf.ts";

export const PRIV = 1;
export const UNPRIV = 2;

const INT_MIN = -2147483648;
/** Any return value is fine. Upstream's spelling is 0xcafe4all, whose `ll` is a suffix. */
export const POINTER_VALUE = 0xcafe4a;
export const TEST_DATA_LEN = 64;

export const ARCH_UNKNOWN = 1;
export const ARCH_X86_64 = 2;
export const ARCH_ARM64 = 4;
export const ARCH_RISCV64 = 8;

/** struct expect_msg */
export interface expect_msg {
	/** The pattern as written. */
	readonly substr: string;
	readonly regex: RegExp | null;
	readonly on_next_line: boolean;
}

/** struct test_subspec: what is expected with, or without, privileges. */
export interface test_subspec {
	name: string;
	expect_failure: boolean;
	expect_msgs: expect_msg[];
	expect_xlated: expect_msg[];
	jited: expect_msg[];
	retval: number;
	execute: boolean;
}

/** struct test_spec */
export interface test_spec {
	prog_name: string;
	priv: test_subspec;
	unpriv: test_subspec;
	btf_custom_path: string | null;
	log_level: number;
	prog_flags: number;
	mode_mask: number;
	/** -1: all. */
	arch_mask: number;
	auxiliary: boolean;
}

/** A tag that makes no sense; test_loader says the message and gives the program up. */
export class BadSpec extends Error {}

const new_subspec = (): test_subspec => ({
	name: "",
	expect_failure: false,
	expect_msgs: [],
	expect_xlated: [],
	jited: [],
	retval: 0,
	execute: false,
});

/** POSIX classes that upstream's patterns use, in ECMAScript. */
function posix_to_js(source: string): string {
	return source
		.replaceAll("[[:xdigit:]]", "[0-9a-fA-F]")
		.replaceAll("[[:digit:]]", "[0-9]")
		.replaceAll("[[:space:]]", "\\s")
		.replaceAll("[:xdigit:]", "0-9a-fA-F")
		.replaceAll("[:digit:]", "0-9")
		.replaceAll("[:space:]", "\\s");
}

/**
 * tools/testing/selftests/bpf/test_loader.c: compile_regex: verbatim text with `{{regex}}` in it. Lines are
 * REG_NEWLINE's: `.` and sets do not match a newline, `^` and `$` match at one.
 */
export function compile_regex(pattern: string): RegExp {
	let out = "";
	let in_regex = false;
	for (let i = 0; i < pattern.length; ) {
		if (!in_regex && pattern.startsWith("{{", i)) {
			in_regex = true;
			i += 2;
		} else if (in_regex && pattern.startsWith("}}", i)) {
			in_regex = false;
			i += 2;
		} else {
			const c = pattern[i++]!;
			out += !in_regex && ".[]\\()*+?{}|^$".includes(c) ? `\\${c}` : c;
		}
	}
	if (out.length >= 254) throw new BadSpec(`Regexp too long: '${pattern}'`);
	if (in_regex) throw new BadSpec(`Regexp has open '{{' but no closing '}}': '${pattern}'`);
	try {
		return new RegExp(posix_to_js(out).replace(/\[\^(?!\\n)/g, "[^\\n"), "m");
	} catch (e) {
		throw new BadSpec(`Regexp compilation error in '${out}': '${(e as Error).message}'`);
	}
}

function message(pattern: string, on_next_line: boolean): expect_msg {
	return { substr: pattern, regex: pattern.includes("{{") ? compile_regex(pattern) : null, on_next_line };
}

/** Lines of a disassembly follow each other unless `...` stands between them. */
class DisasmMessages {
	on_next_line = true;
	push(pattern: string, to: expect_msg[]): void {
		if (pattern === "...") {
			this.on_next_line = false;
			return;
		}
		to.push(message(pattern, this.on_next_line));
		this.on_next_line = true;
	}
}

function parse_int(text: string, what: string): number {
	const m = /^(0x[0-9a-fA-F]+|[-+]?\d+)$/.exec(text);
	if (!m) throw new BadSpec(`failed to parse ${what} from '${text}'`);
	return Number(text) | 0;
}

function parse_retval(text: string, what: string): number {
	switch (text) {
		case "INT_MIN":
			return INT_MIN;
		case "POINTER_VALUE":
			return POINTER_VALUE;
		case "TEST_DATA_LEN":
			return TEST_DATA_LEN;
		default:
			return parse_int(text, what);
	}
}

const FLAGS: Readonly<Record<string, number>> = {
	BPF_F_STRICT_ALIGNMENT,
	BPF_F_ANY_ALIGNMENT,
	BPF_F_TEST_RND_HI32,
	BPF_F_TEST_STATE_FREQ,
	BPF_F_SLEEPABLE,
	BPF_F_XDP_HAS_FRAGS,
	BPF_F_TEST_REG_INVARIANTS,
};

const ARCHS: Readonly<Record<string, number>> = {
	X86_64: ARCH_X86_64,
	ARM64: ARCH_ARM64,
	RISCV64: ARCH_RISCV64,
};

export function arch_bit(arch: "x86_64" | "arm64"): number {
	return arch === "arm64" ? ARCH_ARM64 : ARCH_X86_64;
}

/** The text of `PFX…=text`, where the part between makes tags different that say the same. */
function skip_dynamic_pfx(s: string, pfx: string): string | null {
	if (!s.startsWith(pfx)) return null;
	const eq = s.indexOf("=", pfx.length);
	return eq < 0 ? null : s.slice(eq + 1);
}

/** tools/testing/selftests/bpf/test_loader.c: parse_test_spec; throws BadSpec. */
export function parse_test_spec(obj: bpf_object, prog: bpf_program, arch: "x86_64" | "arm64"): test_spec {
	const { btf } = obj;
	if (!btf) throw new BadSpec("BPF object has no BTF");
	const func_id = btf.find_by_name_kind(prog.name, BTF_KIND_FUNC);
	if (func_id < 0) throw new BadSpec(`failed to find FUNC BTF type for '${prog.name}'`);

	const spec: test_spec = {
		prog_name: prog.name,
		priv: new_subspec(),
		unpriv: new_subspec(),
		btf_custom_path: null,
		log_level: 0,
		prog_flags: 0,
		mode_mask: 0,
		arch_mask: -1,
		auxiliary: false,
	};
	let description: string | null = null;
	let has_unpriv_result = false;
	let has_unpriv_retval = false;
	let arch_mask = 0;
	let collect_jit = false;
	const xlated = new DisasmMessages();
	const unpriv_xlated = new DisasmMessages();
	let jit = new DisasmMessages();
	let unpriv_jit = new DisasmMessages();

	for (let i = 1; i < btf.type_cnt(); i++) {
		if (btf.kind_of(i) !== BTF_KIND_DECL_TAG) continue;
		const t = btf.type_by_id(i)!;
		if (t.type !== func_id || btf_decl_tag_component_idx(t) !== -1) continue;
		const tag = btf.name(t.name_off);
		if (!tag.startsWith("comment:test_")) continue;
		const s = tag.slice("comment:test_".length);
		const msg = (pfx: string): string | null => skip_dynamic_pfx(s, pfx);
		const expect_msg = msg("expect_msg=");
		const expect_msg_unpriv = msg("expect_msg_unpriv=");
		const jited = msg("jited=");
		const jited_unpriv = msg("jited_unpriv=");
		const expect_xlated = msg("expect_xlated=");
		const expect_xlated_unpriv = msg("expect_xlated_unpriv=");
		if (s.startsWith("description=")) {
			description = s.slice("description=".length);
		} else if (s === "expect_failure") {
			spec.priv.expect_failure = true;
			spec.mode_mask |= PRIV;
		} else if (s === "expect_success") {
			spec.priv.expect_failure = false;
			spec.mode_mask |= PRIV;
		} else if (s === "expect_failure_unpriv") {
			spec.unpriv.expect_failure = true;
			spec.mode_mask |= UNPRIV;
			has_unpriv_result = true;
		} else if (s === "expect_success_unpriv") {
			spec.unpriv.expect_failure = false;
			spec.mode_mask |= UNPRIV;
			has_unpriv_result = true;
		} else if (s === "auxiliary") {
			spec.auxiliary = true;
			spec.mode_mask |= PRIV;
		} else if (s === "auxiliary_unpriv") {
			spec.auxiliary = true;
			spec.mode_mask |= UNPRIV;
		} else if (expect_msg !== null) {
			spec.priv.expect_msgs.push(message(expect_msg, false));
			spec.mode_mask |= PRIV;
		} else if (expect_msg_unpriv !== null) {
			spec.unpriv.expect_msgs.push(message(expect_msg_unpriv, false));
			spec.mode_mask |= UNPRIV;
		} else if (jited !== null) {
			if (arch_mask === 0) throw new BadSpec("__jited used before __arch_*");
			if (collect_jit) {
				jit.push(jited, spec.priv.jited);
				spec.mode_mask |= PRIV;
			}
		} else if (jited_unpriv !== null) {
			if (arch_mask === 0) throw new BadSpec("__unpriv_jited used before __arch_*");
			if (collect_jit) {
				unpriv_jit.push(jited_unpriv, spec.unpriv.jited);
				spec.mode_mask |= UNPRIV;
			}
		} else if (expect_xlated !== null) {
			xlated.push(expect_xlated, spec.priv.expect_xlated);
			spec.mode_mask |= PRIV;
		} else if (expect_xlated_unpriv !== null) {
			unpriv_xlated.push(expect_xlated_unpriv, spec.unpriv.expect_xlated);
			spec.mode_mask |= UNPRIV;
		} else if (s.startsWith("retval=")) {
			spec.priv.retval = parse_retval(s.slice("retval=".length), "__retval");
			spec.priv.execute = true;
			spec.mode_mask |= PRIV;
		} else if (s.startsWith("retval_unpriv=")) {
			spec.unpriv.retval = parse_retval(s.slice("retval_unpriv=".length), "__retval_unpriv");
			spec.mode_mask |= UNPRIV;
			spec.unpriv.execute = true;
			has_unpriv_retval = true;
		} else if (s.startsWith("log_level=")) {
			spec.log_level = parse_int(s.slice("log_level=".length), "test log level");
		} else if (s.startsWith("prog_flags=")) {
			let val = s.slice("prog_flags=".length);
			const clear = val.startsWith("!");
			if (clear) val = val.slice(1);
			const flag = FLAGS[val] ?? parse_int(val, "test prog flags");
			spec.prog_flags = clear ? spec.prog_flags & ~flag : spec.prog_flags | flag;
		} else if (s.startsWith("arch=")) {
			const bit = ARCHS[s.slice("arch=".length)];
			if (bit === undefined) throw new BadSpec(`bad arch spec: '${s.slice("arch=".length)}'`);
			arch_mask |= bit;
			collect_jit = arch_bit(arch) === bit;
			jit = new DisasmMessages();
			unpriv_jit = new DisasmMessages();
		} else if (s.startsWith("btf_path=")) {
			spec.btf_custom_path = s.slice("btf_path=".length);
		}
	}
	spec.arch_mask = arch_mask || -1;
	if (spec.mode_mask === 0) spec.mode_mask = PRIV;
	description ??= prog.name;
	if (spec.mode_mask & PRIV) spec.priv.name = description;
	if (spec.mode_mask & UNPRIV) spec.unpriv.name = `${description} @unpriv`;
	if (!has_unpriv_result) spec.unpriv.expect_failure = spec.priv.expect_failure;
	if (!has_unpriv_retval) {
		spec.unpriv.retval = spec.priv.retval;
		spec.unpriv.execute = spec.priv.execute;
	}
	if (spec.unpriv.expect_msgs.length === 0) spec.unpriv.expect_msgs = spec.priv.expect_msgs;
	if (spec.unpriv.expect_xlated.length === 0) spec.unpriv.expect_xlated = spec.priv.expect_xlated;
	if (spec.unpriv.jited.length === 0) spec.unpriv.jited = spec.priv.jited;
	return spec;
}

/** How far expectations were met. */
export interface Unmatched {
	/** The one that was not found, and those before it. */
	index: number;
	wrong_line: boolean;
	expected_line: number;
	actual_line: number;
}

/** tools/testing/selftests/bpf/test_loader.c: validate_msgs: each after the one before; null when all are there. */
export function validate_msgs(text: string, msgs: readonly expect_msg[]): Unmatched | null {
	let from = 0;
	let prev_match = 0;
	let match_line = 0;
	let prev_match_line = -1;
	for (const [index, msg] of msgs.entries()) {
		let at = -1;
		let end = -1;
		if (msg.regex) {
			const m = msg.regex.exec(text.slice(from));
			if (m) {
				at = from + m.index;
				end = at + m[0].length;
			}
		} else {
			at = text.indexOf(msg.substr, from);
			end = at + msg.substr.length;
		}
		let wrong_line = false;
		if (at >= 0) {
			from = end;
			for (; prev_match < at; prev_match++) if (text[prev_match] === "\n") match_line++;
			wrong_line = msg.on_next_line && prev_match_line >= 0 && prev_match_line + 1 !== match_line;
		}
		if (at < 0 || wrong_line) {
			return { index, wrong_line, expected_line: prev_match_line + 1, actual_line: match_line };
		}
		prev_match_line = match_line;
	}
	return null;
}
