// SPDX-License-Identifier: GPL-2.0-only
/** Table-driven tests of raw instructions: each is loaded, privileged and not, and run where it says so (test_verifier.c). */

import type { Sys } from "../../include/sys.ts";
import { BPF_MAP_TYPE_ARRAY, BPF_PROG_TYPE_SOCKET_FILTER } from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC, BTF_KIND_VAR } from "../../include/uapi/linux/btf.ts";
import { assemble } from "../../lib/bpf_asm.ts";
import {
	bpf_btf_load,
	bpf_map_create,
	bpf_map_freeze,
	bpf_map_update_elem,
	bpf_prog_load,
	type bpf_prog_load_opts,
	bpf_prog_test_run_opts,
} from "../../tools/lib/bpf/bpf.ts";
import { Btf } from "../../tools/lib/bpf/btf.ts";
import { Libbpf } from "../../tools/lib/bpf/libbpf_internal.ts";
import {
	btf__load_vmlinux_btf,
	libbpf_find_prog_btf_id,
	libbpf_find_vmlinux_btf_id,
} from "../../tools/lib/bpf/module_btf.ts";
import { parseNumList } from "./filter.ts";
import type { TestKernel } from "./test_env.ts";

/** A map that a test's program uses: `map[i]` of its text. */
export interface VerifierMap {
	readonly type: number;
	readonly key: number;
	readonly value: number;
	readonly max: number;
	readonly flags?: number;
	readonly extra?: bigint;
	/** Contents of element 0. */
	readonly fill?: Uint8Array;
	/** No system call writes it any more. */
	readonly frozen?: boolean;
	/** What the maps in it are like. */
	readonly inner?: VerifierMap;
}

/** BTF of a test's program, and its records; null records: none are passed. */
export interface VerifierBtf {
	readonly func_info?: readonly (readonly number[])[];
	readonly line_info?: readonly (readonly number[])[];
}

/** struct bpf_test */
export interface VerifierTest {
	readonly descr: string;
	/** The program, in the syntax of lib/bpf_asm.ts. */
	readonly asm: string;
	/** Makes it of the kernel's BTF instead. */
	readonly make_asm?: (kernel: Btf) => string;
	readonly prog_type?: number;
	readonly expected_attach_type?: number;
	readonly prog_flags?: number;
	readonly maps?: readonly VerifierMap[];
	readonly result: "ACCEPT" | "REJECT";
	/** Where it differs without capabilities; undefined: the same. */
	readonly result_unpriv?: "ACCEPT" | "REJECT";
	/** Words that the log holds when rejected: several messages in order, separated by tabs. */
	readonly errstr?: string;
	readonly errstr_unpriv?: string;
	/** What the program returns on `data`; undefined: it is not run. */
	readonly retval?: number;
	/** Bytes of the packet it runs on (64 zeros). */
	readonly data?: Uint8Array;
	readonly license?: string;
	readonly log_level?: number;
	/**
	 * What it attaches to: a name in the kernel's BTF, completed by the attach type as libbpf does;
	 * `__sys_NAME` is the system call's function of the architecture.
	 */
	readonly attach?: string;
	/** The same as an id, looked for in the kernel's BTF. */
	readonly attach_id?: (b: Btf) => number;
	/** A program that is loaded first, for `attach` to be a function of. */
	readonly target?: VerifierTest;
	/** Anything else of BPF_PROG_LOAD; -1 in fd_array is the descriptor of the program's BTF. */
	readonly load?: Partial<bpf_prog_load_opts>;
	/** BTF of the program: the types go into `b`. */
	readonly btf?: (b: Btf) => VerifierBtf;
	/** -errno of the load, where it matters. */
	readonly err?: number;
	/** Capabilities of the privileged run, if not all. */
	readonly caps?: readonly number[];
	/** Only privileged (the type or the map asks for it). */
	readonly priv_only?: boolean;
	/** The verdict is another where programs are not JITed. */
	readonly jit_only?: boolean;
}

export interface TestVerifierOptions {
	/** Numbers to run, or null for all. */
	readonly only: ReadonlySet<number> | null;
	readonly verbose: boolean;
	/** Whether the kernel has a JIT: without, tests that need one are skipped. */
	readonly jit: boolean;
	readonly out: (text: string) => void;
}

const LOG_SIZE = 1 << 20;

/** `test_verifier [-v] [FIRST [LAST]]`: the numbers of the arguments; null where they are none. */
export function rangeOf(args: readonly string[]): Set<number> | null {
	if (args.length === 1) return parseNumList(args[0]!);
	if (args.length === 2) return parseNumList(`${args[0]}-${args[1]}`);
	return null;
}

interface Outcome {
	readonly fd: number;
	readonly log: string;
	readonly retval: number | null;
	readonly runErr: number;
}

function createMap(lib: Libbpf, m: VerifierMap): number {
	const inner = m.inner ? createMap(lib, m.inner) : 0;
	if (inner < 0) return inner;
	const opts = { map_flags: m.flags ?? 0, inner_map_fd: inner, map_extra: m.extra ?? 0n };
	const fd = bpf_map_create(lib, m.type, "test_map", m.key, m.value, m.max, opts);
	if (inner) lib.sys.close(inner);
	if (fd < 0) return fd;
	if (m.fill) bpf_map_update_elem(lib, fd, new Uint8Array(m.key), m.fill);
	if (m.frozen) bpf_map_freeze(lib, fd);
	return fd;
}

/** Ids of the kernel's functions and variables that the program names. */
function kernelId(lib: Libbpf, name: string, kind: number): number {
	const btf = btf__load_vmlinux_btf(lib);
	const id = typeof btf === "number" ? btf : btf.find_by_name_kind(name, kind);
	if (id <= 0) throw new Error(`the kernel's BTF has no ${name}`);
	return id;
}

function records(rows: readonly (readonly number[])[]): Uint8Array {
	return new Uint8Array(Uint32Array.from(rows.flat()).buffer);
}

/** The program's BTF, loaded, with its records, as options of the load. */
function loadBtf(lib: Libbpf, fill: (b: Btf) => VerifierBtf): Partial<bpf_prog_load_opts> | number {
	const btf = new Btf(null);
	const { func_info, line_info } = fill(btf);
	const fd = bpf_btf_load(lib, btf.raw_data());
	if (fd < 0) return fd;
	return {
		prog_btf_fd: fd,
		...(func_info && {
			func_info: records(func_info),
			func_info_cnt: func_info.length,
			func_info_rec_size: 8,
		}),
		...(line_info && {
			line_info: records(line_info),
			line_info_cnt: line_info.length,
			line_info_rec_size: 16,
		}),
	};
}

/** What it attaches to, as options of the load. */
function attachTo(lib: Libbpf, test: VerifierTest, target: number): Partial<bpf_prog_load_opts> {
	if (target > 0)
		return {
			attach_prog_fd: target,
			attach_btf_id: test.attach ? libbpf_find_prog_btf_id(lib, test.attach, target) : 0,
		};
	if (test.attach) {
		const name = test.attach.replace(/^__sys_/, lib.sys.arch === "arm64" ? "__arm64_sys_" : "__x64_sys_");
		return { attach_btf_id: libbpf_find_vmlinux_btf_id(lib, name, test.expected_attach_type ?? 0) };
	}
	const btf = test.attach_id ? btf__load_vmlinux_btf(lib) : 0;
	return test.attach_id && typeof btf !== "number" ? { attach_btf_id: test.attach_id(btf) } : {};
}

/** Load a test's program in a process, and run it if it asks for that. */
function loadTest(sys: Sys, test: VerifierTest, run: boolean, keep = false): Outcome {
	const lib = new Libbpf(sys, { print: null, known_kernel: true });
	const vmlinux = test.make_asm ? btf__load_vmlinux_btf(lib) : 0;
	const made = test.make_asm && typeof vmlinux !== "number" ? test.make_asm(vmlinux) : test.asm;
	const { bytes, relocs } = assemble(made);
	const insns = new Uint8Array(bytes);
	const dv = new DataView(insns.buffer);
	const fds: number[] = [];
	const failed = (what: string, fd: number): Outcome => ({
		fd,
		log: `${what}: ${fd}`,
		retval: null,
		runErr: 0,
	});
	// Descriptor 0 would mean none in attributes.
	const zero = bpf_map_create(lib, BPF_MAP_TYPE_ARRAY, "zero", 4, 4, 1);
	if (zero > 0) sys.close(zero);
	for (const m of test.maps ?? []) {
		const fd = createMap(lib, m);
		if (fd < 0) return failed("map", fd);
		fds.push(fd);
	}
	for (const r of relocs) {
		let imm = fds[r.index] ?? -1;
		if (r.kind === "kfunc") imm = kernelId(lib, r.name!, BTF_KIND_FUNC);
		if (r.kind === "ksym") imm = kernelId(lib, r.name!, BTF_KIND_VAR);
		dv.setInt32(r.insn * 8 + 4, imm, true);
	}
	const btf = test.btf ? loadBtf(lib, test.btf) : {};
	if (typeof btf === "number") return failed("btf", btf);
	const attach_type = test.expected_attach_type ?? 0;
	const target = test.target ? loadTest(sys, test.target, false, true) : null;
	if (target && target.fd < 0) return failed(`target: ${target.log}`, target.fd);
	const attach = attachTo(lib, test, target?.fd ?? 0);
	const log_buf = lib.heap.alloc(LOG_SIZE);
	sys.store8(log_buf, 0);
	const fd = bpf_prog_load(
		lib,
		test.prog_type ?? BPF_PROG_TYPE_SOCKET_FILTER,
		"test",
		test.license ?? "GPL",
		insns,
		{
			log_buf,
			log_size: LOG_SIZE,
			log_level: test.log_level ?? 1,
			prog_flags: test.prog_flags ?? 0,
			expected_attach_type: attach_type,
			...attach,
			...btf,
			...test.load,
			...(test.load?.fd_array && {
				fd_array: test.load.fd_array.map((fd) => (fd === -1 ? (btf.prog_btf_fd ?? -1) : fd)),
			}),
		},
	);
	const raw = sys.load(log_buf, LOG_SIZE);
	const log = Buffer.from(raw.subarray(0, raw.indexOf(0))).toString("latin1");
	let retval: number | null = null;
	let runErr = 0;
	if (fd >= 0 && run && test.retval !== undefined) {
		const opts = { data_in: test.data ?? new Uint8Array(64), repeat: 1, retval: 0 };
		runErr = bpf_prog_test_run_opts(lib, fd, opts);
		retval = opts.retval >>> 0;
	}
	if (btf.prog_btf_fd) sys.close(btf.prog_btf_fd);
	if (fd >= 0 && !keep) sys.close(fd);
	if (target) sys.close(target.fd);
	for (const f of fds) sys.close(f);
	return { fd, log, retval, runErr };
}

/** Whether a log holds all parts of a message, in order. */
function hasMessages(log: string, errstr: string): boolean {
	let at = 0;
	for (const part of errstr.split("\t")) {
		at = log.indexOf(part, at);
		if (at < 0) return false;
		at += part.length;
	}
	return true;
}

/** One run of a test: null when as expected, else why not. */
export function checkTest(sys: Sys, test: VerifierTest, unpriv: boolean): string | null {
	const expected = (unpriv ? test.result_unpriv : undefined) ?? test.result;
	const errstr = (unpriv ? test.errstr_unpriv : undefined) ?? test.errstr;
	const got = loadTest(sys, test, !unpriv);
	if (expected === "ACCEPT") {
		if (got.fd < 0) return `Failed to load prog '${got.fd}'!\n${got.log}`;
	} else {
		if (got.fd >= 0) return `Unexpected success to load!\n${got.log}`;
		if (test.err !== undefined && got.fd !== test.err) return `errno ${got.fd}, not ${test.err}\n${got.log}`;
		if (errstr === undefined && test.err === undefined) return "the test names no message";
		if (errstr !== undefined && !hasMessages(got.log, errstr))
			return `Unexpected error message!\n\tEXP: ${errstr}\n\tRES: ${got.log}`;
	}
	if (got.runErr) return `Failed to run: ${got.runErr}`;
	if (got.retval !== null && test.retval !== undefined && got.retval !== test.retval >>> 0)
		return `FAIL retval ${got.retval | 0} != ${test.retval | 0}`;
	return null;
}

/** Run the tables on a kernel; 0 when all passed. */
export async function testVerifier(
	tests: readonly VerifierTest[],
	kernel: TestKernel,
	options: TestVerifierOptions,
): Promise<number> {
	const { out } = options;
	let passed = 0;
	let failed = 0;
	let skipped = 0;
	for (const [i, test] of tests.entries()) {
		if (options.only && !options.only.has(i)) continue;
		for (const unpriv of test.priv_only ? [false] : [true, false]) {
			const sys = kernel.newProcess();
			if (unpriv) sys.capSet([]);
			else if (test.caps) sys.capSet(test.caps);
			const why = checkTest(sys, test, unpriv);
			await kernel.endProcess(sys);
			const leaks = await kernel.leaks();
			if (why !== null && !options.jit && (test.jit_only || /JITed|JIT is required/.test(why))) {
				skipped++;
				out(`#${i}/${unpriv ? "u" : "p"} ${test.descr} SKIP (needs the JIT)\n`);
				continue;
			}
			const ok = why === null && leaks.length === 0;
			if (ok) passed++;
			else failed++;
			out(`#${i}/${unpriv ? "u" : "p"} ${test.descr} ${ok ? "OK" : "FAIL"}\n`);
			if (why !== null) out(`${why}\n`);
			for (const line of leaks) out(`left behind: ${line}\n`);
			if (!ok || options.verbose) for (const line of kernel.dmesg()) out(`[kernel] ${line}\n`);
		}
	}
	out(`Summary: ${passed} PASSED, ${skipped} SKIPPED, ${failed} FAILED\n`);
	return failed ? 1 : 0;
}
