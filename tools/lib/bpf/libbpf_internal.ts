// SPDX-License-Identifier: GPL-2.0-only
/**
 * What is one per process in libbpf: where its messages go, what it found out about the kernel,
 * the kernel's BTF. Mirrors tools/lib/bpf/libbpf_internal.h and the static state of libbpf.c, which
 * here hangs off a `Libbpf` object made for a process's Sys.
 */
import type { Sys } from "../../../include/sys.ts";
import { UserHeap } from "../user_heap.ts";
import type { Btf } from "./btf.ts";
import { strerror } from "./strerror.ts";

export const LIBBPF_WARN = 0;
export const LIBBPF_INFO = 1;
export const LIBBPF_DEBUG = 2;
export type libbpf_print_level = 0 | 1 | 2;
export type libbpf_print_fn_t = (level: libbpf_print_level, text: string) => void;

// tools/lib/bpf/libbpf.h: enum libbpf_errno
export const LIBBPF_ERRNO__LIBELF = 4000;
export const LIBBPF_ERRNO__FORMAT = 4001;
export const LIBBPF_ERRNO__KVERSION = 4002;
export const LIBBPF_ERRNO__ENDIAN = 4003;
export const LIBBPF_ERRNO__INTERNAL = 4004;
export const LIBBPF_ERRNO__RELOC = 4005;
export const LIBBPF_ERRNO__LOAD = 4006;
export const LIBBPF_ERRNO__VERIFY = 4007;
export const LIBBPF_ERRNO__PROG2BIG = 4008;
export const LIBBPF_ERRNO__KVER = 4009;
export const LIBBPF_ERRNO__PROGTYPE = 4010;

export const BPF_OBJ_NAME_LEN = 16;
export const BPF_INSN_SZ = 8;
/** UINT32_MAX >> 8: what a kernel before 6.4 took at most. */
export const BPF_LOG_BUF_SIZE = 0xffffff;
export const BPF_FS_DEFAULT_PATH = "/sys/fs/bpf";

/** tools/lib/bpf/libbpf_internal.h: enum kern_feature_id */
export const FEAT_PROG_NAME = 0;
export const FEAT_GLOBAL_DATA = 1;
export const FEAT_BTF = 2;
export const FEAT_BTF_FUNC = 3;
export const FEAT_BTF_DATASEC = 4;
export const FEAT_ARRAY_MMAP = 5;
export const FEAT_EXP_ATTACH_TYPE = 6;
export const FEAT_PROBE_READ_KERN = 7;
export const FEAT_PROG_BIND_MAP = 8;
export const FEAT_MODULE_BTF = 9;
export const FEAT_BTF_GLOBAL_FUNC = 10;
export const FEAT_BTF_FLOAT = 11;
export const FEAT_PERF_LINK = 12;
export const FEAT_BTF_DECL_TAG = 13;
export const FEAT_BTF_TYPE_TAG = 14;
export const FEAT_MEMCG_ACCOUNT = 15;
export const FEAT_BPF_COOKIE = 16;
export const FEAT_BTF_ENUM64 = 17;
export const FEAT_SYSCALL_WRAPPER = 18;
export const FEAT_UPROBE_MULTI_LINK = 19;
export const FEAT_ARG_CTX_TAG = 20;
export const FEAT_BTF_QMARK_DATASEC = 21;

/** A module's BTF as the kernel gave it out. */
export interface module_btf_data {
	readonly name: string;
	readonly btf: Btf;
}

export interface LibbpfOptions {
	/** Where messages go; the default writes warnings and informations to stderr. */
	print?: libbpf_print_fn_t | null;
	/** Take the kernel to be v6.12 and do not probe what it can do. */
	known_kernel?: boolean;
}

/** Where libbpf's messages go. */
export class LibbpfPrinter {
	private print_fn: libbpf_print_fn_t | null;

	constructor(print?: libbpf_print_fn_t | null) {
		this.print_fn = print === undefined ? base_pr() : print;
	}

	/** tools/lib/bpf/libbpf.c: libbpf_set_print; null keeps quiet. Returns the one before. */
	libbpf_set_print(fn: libbpf_print_fn_t | null): libbpf_print_fn_t | null {
		const old = this.print_fn;
		this.print_fn = fn;
		return old;
	}

	pr_warn(text: string): void {
		this.print_fn?.(LIBBPF_WARN, `libbpf: ${text}`);
	}
	pr_info(text: string): void {
		this.print_fn?.(LIBBPF_INFO, `libbpf: ${text}`);
	}
	/** The text is made only when somebody listens. */
	pr_debug(text: () => string): void {
		this.print_fn?.(LIBBPF_DEBUG, `libbpf: ${text()}`);
	}
	pr(level: libbpf_print_level, text: string): void {
		this.print_fn?.(level, `libbpf: ${text}`);
	}
}

/** libbpf of one process. */
export class Libbpf extends LibbpfPrinter {
	readonly sys: Sys;
	readonly heap: UserHeap;
	readonly known_kernel: boolean;
	/** kern_feature_cache: undefined when not yet probed */
	readonly features: (boolean | undefined)[] = [];
	/** The kernel's BTF, parsed once. */
	btf_vmlinux: Btf | null = null;
	/** Modules' BTF by BTF object id. */
	readonly btf_modules = new Map<number, module_btf_data>();
	private release_text: string | null = null;

	constructor(sys: Sys, opts: LibbpfOptions = {}) {
		super(opts.print);
		this.sys = sys;
		this.heap = new UserHeap(sys);
		this.known_kernel = opts.known_kernel ?? false;
	}

	/** uname(2).release of the kernel, "" when it does not say. */
	release(): string {
		if (this.release_text === null) this.release_text = read_release(this);
		return this.release_text;
	}
}

const __NR_uname = { x86_64: 63, arm64: 160 } as const;

function read_release(lib: Libbpf): string {
	const text = lib.heap.scope((s) => {
		const addr = s.zalloc(6 * 65);
		if (lib.sys.syscall(__NR_uname[lib.sys.arch], addr) < 0) return "";
		return cstring(lib.sys.load(addr + 2 * 65, 65));
	});
	if (text) return text;
	const file = lib.sys.readFile("/proc/sys/kernel/osrelease");
	return typeof file === "number" ? "" : new TextDecoder().decode(file).trim();
}

/** tools/lib/bpf/libbpf_probes.c: get_kernel_version: KERNEL_VERSION(a, b, c), 0 when unknown. */
export function get_kernel_version(lib: Libbpf): number {
	const m = /^(\d+)\.(\d+)\.(\d+)/.exec(lib.release());
	if (!m) return 0;
	return Number(m[1]) * 65536 + Number(m[2]) * 256 + Math.min(Number(m[3]), 255);
}

/** The default printer: LIBBPF_LOG_LEVEL chooses what is shown (tools/lib/bpf/libbpf.c: __base_pr). */
function base_pr(): libbpf_print_fn_t {
	let min: number = LIBBPF_INFO;
	const verbosity = process.env.LIBBPF_LOG_LEVEL;
	if (verbosity !== undefined) {
		const level = { warn: LIBBPF_WARN, info: LIBBPF_INFO, debug: LIBBPF_DEBUG }[verbosity.toLowerCase()];
		if (level === undefined) {
			process.stderr.write(
				`libbpf: unrecognized 'LIBBPF_LOG_LEVEL' envvar value: '${verbosity}', should be one of 'warn', 'debug', or 'info'.\n`,
			);
		} else {
			min = level;
		}
	}
	return (level, text) => {
		if (level <= min) process.stderr.write(text);
	};
}

/** tools/lib/bpf/str_error.c: libbpf_strerror_r */
export function libbpf_strerror_r(err: number): string {
	const n = Math.abs(err);
	return strerror(n) ?? `unknown error (${-n})`;
}

/** Bytes up to the first NUL, as text. */
export function cstring(bytes: Uint8Array): string {
	const end = bytes.indexOf(0);
	return new TextDecoder("latin1").decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A name as the kernel takes it: at most 15 characters. */
export function obj_name(text: string): Uint8Array {
	const out = new Uint8Array(BPF_OBJ_NAME_LEN);
	out.set(new TextEncoder().encode(text).subarray(0, BPF_OBJ_NAME_LEN - 1));
	return out;
}

/** The next multiple of `to` at or above `n`. */
export function roundup(n: number, to: number): number {
	return Math.ceil(n / to) * to;
}
