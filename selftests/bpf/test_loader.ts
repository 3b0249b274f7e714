// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs the annotated programs of an object: each is loaded alone, with and without privileges, and verdict,
 * messages, rewritten instructions and return value are held against its annotations.
 * Mirrors tools/testing/selftests/bpf/test_loader.c: run_subtest, process_subtest.
 */
import { EINVAL, EOPNOTSUPP } from "../../include/uapi/asm-generic/errno.ts";
import { BPF_MAP_TYPE_STRUCT_OPS, BPF_PROG_TYPE_SYSCALL } from "../../include/uapi/linux/bpf.ts";
import { type DisasmInsn, print_bpf_insn } from "../../lib/bpf_disasm.ts";
import { get_insn, insn_code } from "../../tools/lib/bpf/insn.ts";
import {
	type bpf_link,
	bpf_link__destroy,
	bpf_map__attach_struct_ops,
	bpf_map__set_autocreate,
	type bpf_object,
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_mem,
	bpf_object__programs,
	bpf_prog_get_info_by_fd,
	bpf_prog_test_run_opts,
	bpf_program__set_autoload,
	bpf_program__set_flags,
	bpf_program__set_log_buf,
	bpf_program__set_log_level,
	type Libbpf,
	libbpf_strerror_r,
	read_log,
} from "../../tools/lib/bpf/libbpf.ts";
import { drop_capabilities, is_unpriv_capable_map } from "../../tools/upstream/load_case.ts";
import { CannotDisasm, get_jited_program_text } from "./jit_disasm_helpers.ts";
import {
	arch_bit,
	BadSpec,
	type expect_msg,
	POINTER_VALUE,
	PRIV,
	parse_test_spec,
	TEST_DATA_LEN,
	type test_spec,
	UNPRIV,
	type Unmatched,
	validate_msgs,
} from "./test_loader_spec.ts";

const TEST_LOADER_LOG_BUF_SZ = 2097152;
const PSEUDO_CALL = 1;
const LDIMM64 = 0x18;

export type SubtestResult =
	| { name: string; prog: string; unpriv: boolean; res: "pass" }
	| { name: string; prog: string; unpriv: boolean; res: "skip"; why: string }
	| { name: string; prog: string; unpriv: boolean; res: "fail"; why: string; log: string };

export interface TestLoaderOptions {
	/** Name that the object is opened with. */
	object_name: string;
	/** Where __btf_path objects are. */
	resolve_path?: (path: string) => string;
	/** Whether a subtest is wanted. */
	filter?: (name: string, prog: string) => boolean;
	/** Called before a program runs: 0, or what went wrong. */
	pre_execution_cb?: (obj: bpf_object) => number;
	/** Log levels of -v and -vv. */
	min_log_level?: number;
	/** A newer kernel's log in the words of 6.12's, which annotations expect. */
	log_as_of_6_12?: (log: string) => string;
}

/** tools/testing/selftests/bpf/disasm_helpers.c: disasm_insn, for a whole program: `N: text` a line. */
export function xlated_text(insns: Uint8Array): string {
	let out = "";
	for (let i = 0; i < insns.length / 8; ) {
		let text = "";
		print_bpf_insn<null, DisasmInsn>(
			{
				cb_print: (_, t) => {
					text += t;
				},
				cb_call: (_, insn) => (insn.src_reg === PSEUDO_CALL ? `${insn.off < 0 ? "" : "+"}${insn.off}` : null),
				private_data: null,
			},
			get_insn(insns, i),
			true,
			(i + 1) * 8 < insns.length ? get_insn(insns, i + 1) : undefined,
		);
		// "(85) call foo#10\n" becomes "call foo"
		let line = text.slice(5).replace(/\n$/, "");
		if (line.startsWith("call ") && line.includes("#")) line = line.slice(0, line.lastIndexOf("#"));
		out += `${i}: ${line}\n`;
		i += insn_code(insns, i) === LDIMM64 ? 2 : 1;
	}
	return out;
}

function describe_unmatched(u: Unmatched, msgs: readonly expect_msg[]): string {
	let text = "expect_msg\n";
	for (let j = 0; j <= u.index; j++) {
		const msg = msgs[j]!;
		const status = j < u.index ? "MATCHED   " : u.wrong_line ? "WRONG LINE" : "EXPECTED  ";
		text += `${status} ${msg.regex ? " REGEX" : "SUBSTR"}: '${msg.substr}'\n`;
	}
	if (u.wrong_line)
		text += `expecting match at line ${u.expected_line}, actual match is at line ${u.actual_line}\n`;
	return text;
}

/** An object's annotated programs, ready to be run on a process. */
export class TestLoader {
	private readonly lib: Libbpf;
	private readonly bytes: Uint8Array;
	private readonly o: TestLoaderOptions;
	private readonly log: number;
	/** By program. */
	readonly specs = new Map<string, test_spec>();
	/** Programs whose annotations make no sense, and why. */
	readonly bad: { prog: string; why: string }[] = [];

	constructor(lib: Libbpf, bytes: Uint8Array, o: TestLoaderOptions) {
		this.lib = lib;
		this.bytes = bytes;
		this.o = o;
		this.log = lib.heap.alloc(TEST_LOADER_LOG_BUF_SZ);
		const obj = bpf_object__open_mem(lib, bytes, { object_name: o.object_name });
		if (typeof obj === "number") {
			this.bad.push({ prog: "", why: `obj_open_mem: ${obj}` });
			return;
		}
		for (const prog of bpf_object__programs(obj)) {
			try {
				this.specs.set(prog.name, parse_test_spec(obj, prog, lib.sys.arch));
			} catch (e) {
				if (!(e instanceof BadSpec)) throw e;
				this.bad.push({ prog: prog.name, why: e.message });
			}
		}
		bpf_object__close(obj);
	}

	/** test_loader_fini */
	close(): void {
		this.lib.heap.free(this.log);
	}

	/** tools/testing/selftests/bpf/test_loader.c: process_subtest */
	*run(): Generator<SubtestResult> {
		for (const { prog, why } of this.bad)
			yield { name: prog, prog, unpriv: false, res: "fail", why: `Can't parse test spec: ${why}`, log: "" };
		for (const spec of this.specs.values()) {
			if (spec.auxiliary) continue;
			for (const unpriv of [false, true]) {
				if (!(spec.mode_mask & (unpriv ? UNPRIV : PRIV))) continue;
				const { name } = unpriv ? spec.unpriv : spec.priv;
				if (this.o.filter && !this.o.filter(name, spec.prog_name)) continue;
				yield this.run_subtest(spec, unpriv);
			}
		}
	}

	/** tools/testing/selftests/bpf/test_loader.c: run_subtest */
	run_subtest(spec: test_spec, unpriv: boolean): SubtestResult {
		const { lib, o } = this;
		const subspec = unpriv ? spec.unpriv : spec.priv;
		const who = { name: subspec.name, prog: spec.prog_name, unpriv };
		const fail = (why: string): SubtestResult => ({
			...who,
			res: "fail",
			why,
			log: read_log(lib, this.log, TEST_LOADER_LOG_BUF_SZ),
		});
		if ((spec.arch_mask & arch_bit(lib.sys.arch)) === 0)
			return { ...who, res: "skip", why: "not for this architecture" };
		if (unpriv && this.unpriv_disabled()) return { ...who, res: "skip", why: "unprivileged_bpf_disabled" };
		lib.sys.store8(this.log, 0);
		const restore = unpriv ? drop_capabilities(lib) : () => {};
		const links: bpf_link[] = [];
		const path = spec.btf_custom_path;
		const obj = bpf_object__open_mem(lib, this.bytes, {
			object_name: o.object_name,
			btf_custom_path: path === null ? undefined : (o.resolve_path?.(path) ?? path),
		});
		if (typeof obj === "number") {
			restore();
			return fail(`obj_open_mem: unexpected error: ${obj}`);
		}
		try {
			const prog = bpf_object__programs(obj).find((p) => p.name === spec.prog_name)!;
			for (const p of bpf_object__programs(obj)) {
				const other = this.specs.get(p.name);
				const aux = other?.auxiliary === true && (other.mode_mask & (unpriv ? UNPRIV : PRIV)) !== 0;
				bpf_program__set_autoload(p, p === prog || aux);
			}
			bpf_program__set_log_buf(prog, this.log, TEST_LOADER_LOG_BUF_SZ);
			const min = o.min_log_level ?? 0;
			bpf_program__set_log_level(
				prog,
				(spec.log_level & 3) < min ? (spec.log_level & 4) | min : spec.log_level,
			);
			bpf_program__set_flags(prog, prog.prog_flags | spec.prog_flags);
			for (const map of obj.maps) bpf_map__set_autocreate(map, !unpriv || is_unpriv_capable_map(map));

			const err = bpf_object__load(obj);
			if (subspec.expect_failure && err === 0) return fail("unexpected_load_success: unexpected success: 0");
			if (!subspec.expect_failure && err !== 0)
				return fail(`unexpected_load_failure: unexpected error: ${err} (errno ${-err})`);
			const text = read_log(lib, this.log, TEST_LOADER_LOG_BUF_SZ);
			const missed = validate_msgs(o.log_as_of_6_12?.(text) ?? text, subspec.expect_msgs);
			if (missed) return fail(describe_unmatched(missed, subspec.expect_msgs));
			// Programs are looked at and run with all capabilities.
			restore();
			if (subspec.expect_xlated.length > 0) {
				const info = bpf_prog_get_info_by_fd(lib, prog.fd);
				if (typeof info === "number") return fail(`get_xlated_program: ${info}`);
				const xlated = xlated_text(info.xlated_prog_insns);
				const bad = validate_msgs(xlated, subspec.expect_xlated);
				if (bad)
					return { ...who, res: "fail", why: describe_unmatched(bad, subspec.expect_xlated), log: xlated };
			}
			if (subspec.jited.length > 0) {
				let jited: string | number;
				try {
					jited = get_jited_program_text(lib, prog.fd);
				} catch (e) {
					if (!(e instanceof CannotDisasm)) throw e;
					return fail(`${e.message}\nget_jited_program_text: ${-EINVAL}`);
				}
				if (jited === -EOPNOTSUPP)
					return { ...who, res: "skip", why: "jited programs disassembly is not supported: no libLLVM here" };
				if (typeof jited === "number") return fail(`get_jited_program_text: ${jited}`);
				const bad = validate_msgs(jited, subspec.jited);
				if (bad) return { ...who, res: "fail", why: describe_unmatched(bad, subspec.jited), log: jited };
			}
			// Both architectures access unaligned memory efficiently: alignment keeps nothing from running.
			if (!subspec.execute || subspec.expect_failure) return { ...who, res: "pass" };
			for (const map of obj.maps) {
				if (!map.autocreate || map.def.type !== BPF_MAP_TYPE_STRUCT_OPS) continue;
				const link = bpf_map__attach_struct_ops(map);
				if (typeof link === "number")
					return fail(`bpf_map__attach_struct_ops failed for map ${map.name}: err=${link}`);
				links.push(link);
			}
			const cb = o.pre_execution_cb?.(obj) ?? 0;
			if (cb) return fail(`pre_execution_cb failed: ${cb}`);
			const opts =
				prog.type === BPF_PROG_TYPE_SYSCALL
					? {}
					: {
							data_in: new Uint8Array(TEST_DATA_LEN),
							data_out: new Uint8Array(TEST_DATA_LEN << 2),
							repeat: 1,
						};
			const run: { retval?: number } & typeof opts = opts;
			const run_err = bpf_prog_test_run_opts(lib, prog.fd, run);
			if (run_err)
				return fail(`FAIL: Unexpected bpf_prog_test_run error: ${-run_err} (${libbpf_strerror_r(run_err)})`);
			const retval = (run.retval ?? 0) | 0;
			if (retval !== subspec.retval && subspec.retval !== POINTER_VALUE)
				return fail(`Unexpected retval: ${retval} != ${subspec.retval}`);
			return { ...who, res: "pass" };
		} finally {
			for (const link of links.reverse()) bpf_link__destroy(link);
			bpf_object__close(obj);
			restore();
		}
	}

	private unpriv_disabled(): boolean {
		const file = this.lib.sys.readFile("/proc/sys/kernel/unprivileged_bpf_disabled");
		return typeof file !== "number" && new TextDecoder().decode(file).trim() !== "0";
	}
}
