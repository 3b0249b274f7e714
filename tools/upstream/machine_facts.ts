// SPDX-License-Identifier: GPL-2.0-only
/**
 * What of a real machine changes programs' images and verdicts: found out by asking its kernel to load a few
 * small programs and looking at what its JIT made of them, and from a few files. A mirror that is to be held
 * against it is configured so.
 */
import { gunzipSync } from "node:zlib";
import type { Sys } from "../../include/sys.ts";
import {
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_PROG_ARRAY,
	BPF_PROG_TYPE_SOCKET_FILTER,
} from "../../include/uapi/linux/bpf.ts";
import { set_insn } from "../lib/bpf/insn.ts";
import {
	bpf_map_create,
	bpf_prog_get_info_by_fd,
	bpf_prog_load,
	Libbpf,
	libbpf_strerror_r,
} from "../lib/bpf/libbpf.ts";
import { moved_value, row_from } from "./arm64_moves.ts";

/** Of x86: as the kernel's own JIT sees its configuration and CPU. */
export interface X86Facts {
	ibt: boolean;
	retpoline: "off" | "thunk" | "lfence";
	rethunk: boolean;
	/** Address of the thunk that functions return through (hex): mitigations choose one of several. */
	return_thunk?: string | undefined;
	sls: boolean;
	bmi2: boolean;
	pgtable_levels: 4 | 5;
	clear_bhb: boolean;
}

export interface Arm64Facts {
	lse_atomics: boolean;
	bti: boolean;
	pac: boolean;
	va_bits: 48 | 52;
}

/** machine.json of a folder of records. */
export interface MachineFacts {
	/** Of this file's format. */
	format: 1;
	release: string;
	arch: "x86_64" | "arm64";
	x86?: X86Facts;
	arm64?: Arm64Facts;
	/** Possible CPUs; 1 where a record does not say. */
	cpus?: number;
	/** Of the process that asked; 1 where a record does not say. */
	threads?: number;
	mitigations_off: boolean;
	bpf_jit_harden: number;
	unprivileged_bpf_disabled: number;
}

/** Name of the file with the facts in a folder of records. */
export const MACHINE_JSON = "machine.json";

/** What of another kernel is plugged into a mirror that is held against it. */
export interface KernelFiles {
	/** /proc/kallsyms */
	kallsyms: Uint8Array;
	/** /proc/config.gz, as text */
	kconfig: string;
	vmlinuxBtf: Uint8Array;
	moduleBtfs: Readonly<Record<string, Uint8Array>>;
	facts: MachineFacts;
}

const text_of = (sys: Sys, path: string): string => {
	const got = sys.readFile(path);
	return typeof got === "number" ? "" : Buffer.from(got).toString("latin1");
};

/** The kernel's configuration as text; "" where it is nowhere to be read. */
export function kconfig_of(sys: Sys): string {
	const gz = sys.readFile("/proc/config.gz");
	if (typeof gz !== "number") return gunzipSync(gz).toString("latin1");
	return text_of(sys, `/boot/config-${text_of(sys, "/proc/sys/kernel/osrelease").trim()}`);
}

type Insn = readonly [code: number, dst: number, src: number, off: number, imm: number];

const EXIT: Insn = [0x95, 0, 0, 0, 0];
const mov = (dst: number, imm: number): Insn => [0xb7, dst, 0, 0, imm];

/** The image and the rewritten instructions of a socket filter; null where the kernel does not show them. */
function made_of(lib: Libbpf, insns: readonly Insn[]): { image: Buffer; addr: bigint } | null {
	const bytes = new Uint8Array(insns.length * 8);
	for (const [i, [code, dst_reg, src_reg, off, imm]] of insns.entries())
		set_insn(bytes, i, { code, dst_reg, src_reg, off, imm });
	const fd = bpf_prog_load(lib, BPF_PROG_TYPE_SOCKET_FILTER, "facts", "GPL", bytes);
	if (fd < 0) return null;
	const info = bpf_prog_get_info_by_fd(lib, fd);
	lib.sys.close(fd);
	if (typeof info === "number") return null;
	return { image: Buffer.from(info.jited_prog_insns), addr: info.jited_ksyms[0] ?? 0n };
}

function with_map<T>(lib: Libbpf, type: number, fn: (fd: number) => T): T | null {
	const fd = bpf_map_create(lib, type, "facts", 4, 4, 1);
	if (fd < 0) return null;
	const out = fn(fd);
	lib.sys.close(fd);
	return out;
}

const has = (image: Buffer | undefined, hex: string): boolean =>
	image?.includes(Buffer.from(hex, "hex")) ?? false;

/** Where the jump at a place of an image goes (hex); without addresses, nowhere. */
function target(made: { image: Buffer; addr: bigint }, at: number): string | undefined {
	if (made.addr === 0n) return undefined;
	return (made.addr + BigInt(at + 5) + BigInt(made.image.readInt32LE(at + 1))).toString(16);
}

function x86_facts(sys: Sys, lib: Libbpf): X86Facts {
	const made = made_of(lib, [mov(0, 0), EXIT]);
	const image = made?.image;
	// jmp to the thunk at the end; with SLS mitigated an int3 behind it
	const jump = [5, 6].map((n) => (image?.length ?? 0) - n).find((at) => image?.[at] === 0xe9);
	const tail = with_map(lib, BPF_MAP_TYPE_PROG_ARRAY, (fd) =>
		// tail_call(ctx, map, r3), the index unknown so that it stays an indirect jump
		made_of(lib, [
			[0x61, 3, 1, 0, 0],
			[0x18, 2, 1, 0, fd],
			[0, 0, 0, 0, 0],
			[0x85, 0, 0, 0, 12],
			mov(0, 0),
			EXIT,
		]),
	)?.image;
	const cpuinfo = text_of(sys, "/proc/cpuinfo");
	const spectre = text_of(sys, "/sys/devices/system/cpu/vulnerabilities/spectre_v2");
	const ends = (hex: string): boolean => image?.subarray(-hex.length / 2).toString("hex") === hex;
	// jmp *%rcx, with or without lfence before it; or jmp to a thunk
	const direct = has(tail, "ffe1");
	return {
		ibt: has(image?.subarray(0, 4), "f30f1efa"),
		retpoline: direct ? (has(tail, "0faee8ffe1") ? "lfence" : "off") : "thunk",
		rethunk: jump !== undefined,
		return_thunk: made && jump !== undefined ? target(made, jump) : undefined,
		sls: ends("c3cc") || image?.at(-6) === 0xe9,
		bmi2: /\bbmi2\b/.test(cpuinfo),
		pgtable_levels: /\bla57\b/.test(cpuinfo) ? 5 : 4,
		clear_bhb: /BHI: SW loop/.test(spectre),
	};
}

const PACIASP = "3f2303d5";
/** bti c, or bti jc */
const BTI = ["5f2403d5", "df2403d5"];

function arm64_facts(sys: Sys, lib: Libbpf): Arm64Facts {
	const image = made_of(lib, [mov(0, 0), EXIT])?.image;
	// the address of a map lies in the linear map
	const map = with_map(lib, BPF_MAP_TYPE_ARRAY, (fd) =>
		made_of(lib, [[0x18, 1, 1, 0, fd], [0, 0, 0, 0, 0], mov(0, 0), EXIT]),
	)?.image;
	const cpuinfo = text_of(sys, "/proc/cpuinfo");
	return {
		lse_atomics: /\batomics\b/.test(cpuinfo),
		bti: BTI.some((b) => has(image?.subarray(0, 16), b)),
		pac: has(image, PACIASP),
		va_bits: linear_top(map) === 0xffffn ? 48 : 52,
	};
}

/** The upper 16 bits of the highest address that an arm64 image loads. */
function linear_top(image: Buffer | undefined): bigint {
	let top = 0n;
	if (!image) return top;
	for (let at = row_from(image, 0, image.length); at >= 0; at = row_from(image, at + 4, image.length)) {
		const value = moved_value(image, at) ?? 0n;
		if (value >> 48n > top) top = value >> 48n;
	}
	return top;
}

/**
 * Everything of a kernel that a mirror of it needs. Modules whose BTF is not to be read (it is none of the
 * kernel's release, or there is none) are left out. `kconfig`: where the kernel itself does not say.
 */
export function kernel_files(sys: Sys, modules: readonly string[] = [], kconfig = ""): KernelFiles {
	const file = (path: string): Uint8Array => {
		const got = sys.readFile(path);
		if (typeof got === "number") throw new Error(`${path} is not to be read: ${libbpf_strerror_r(got)}`);
		return got;
	};
	const moduleBtfs: Record<string, Uint8Array> = {};
	for (const name of modules) {
		const got = sys.readFile(`/sys/kernel/btf/${name}`);
		if (typeof got !== "number") moduleBtfs[name] = got;
	}
	return {
		kallsyms: file("/proc/kallsyms"),
		kconfig: kconfig_of(sys) || kconfig,
		vmlinuxBtf: file("/sys/kernel/btf/vmlinux"),
		moduleBtfs,
		facts: machine_facts(sys),
	};
}

/** Asks a kernel what of its machine matters. */
export function machine_facts(sys: Sys): MachineFacts {
	const lib = new Libbpf(sys, { known_kernel: true, print: () => {} });
	const number = (path: string): number => Number(text_of(sys, path).trim() || 0);
	const facts: MachineFacts = {
		format: 1,
		release: text_of(sys, "/proc/sys/kernel/osrelease").trim(),
		arch: sys.arch,
		cpus: sys.nrCpus,
		threads: Number(/^Threads:\s*(\d+)/m.exec(text_of(sys, "/proc/self/status"))?.[1] ?? 1),
		mitigations_off: /\bmitigations=off\b/.test(text_of(sys, "/proc/cmdline")),
		bpf_jit_harden: number("/proc/sys/net/core/bpf_jit_harden"),
		unprivileged_bpf_disabled: number("/proc/sys/kernel/unprivileged_bpf_disabled"),
	};
	if (sys.arch === "x86_64") facts.x86 = x86_facts(sys, lib);
	else facts.arm64 = arm64_facts(sys, lib);
	return facts;
}
