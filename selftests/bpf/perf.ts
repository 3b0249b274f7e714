// SPDX-License-Identifier: GPL-2.0-only
/** What tests of perf events share: opening one, reading it, the time that a process spends. */
import type { Sys } from "../../include/sys.ts";
import { MAP_ANONYMOUS, MAP_POPULATE, MAP_PRIVATE } from "../../include/uapi/asm-generic/mman.ts";
import { PERF_ATTR_SIZE, perf_event_attr } from "../../include/uapi/linux/perf_event.ts";
import type { Libbpf } from "../../tools/lib/bpf/libbpf.ts";

/** Fields of struct perf_event_attr that tests set. */
export interface EventSpec {
	type: number;
	config: number | bigint;
	period?: number;
	freq?: number;
	sample_type?: number;
	read_format?: number;
	wakeup_events?: number;
	watermark?: number;
	disabled?: boolean;
	write_backward?: boolean;
}

export function eventAttr(spec: EventSpec): perf_event_attr {
	const attr = new perf_event_attr();
	attr.size = PERF_ATTR_SIZE;
	attr.type = spec.type;
	attr.config = BigInt(spec.config);
	attr.sample_period = BigInt(spec.freq ?? spec.period ?? 0);
	if (spec.freq) attr.set_bit("freq");
	attr.sample_type = BigInt(spec.sample_type ?? 0);
	attr.read_format = BigInt(spec.read_format ?? 0);
	attr.wakeup_events = spec.watermark ?? spec.wakeup_events ?? 0;
	if (spec.watermark) attr.set_bit("watermark");
	if (spec.disabled) attr.set_bit("disabled");
	if (spec.write_backward) attr.set_bit("write_backward");
	return attr;
}

/** perf_event_open(2): a descriptor or a negative errno. */
export function perfEventOpen(
	lib: Libbpf,
	spec: EventSpec,
	pid = -1,
	cpu = 0,
	group = -1,
	flags = 0,
): number {
	return lib.heap.scope((s) => lib.sys.perfEventOpen(s.bytes(eventAttr(spec).bytes), pid, cpu, group, flags));
}

const NR_read = { x86_64: 0, arm64: 63 } as const;

/** The words that read(2) of an event gives, or a negative errno. */
export function readEvent(lib: Libbpf, fd: number, words: number): bigint[] | number {
	return lib.heap.scope((s) => {
		const at = s.zalloc(8 * words);
		const n = lib.sys.syscall(NR_read[lib.sys.arch], fd, at, 8 * words);
		if (n < 0) return n;
		const out: bigint[] = [];
		for (let i = 0; i < n / 8; i++) out.push(lib.sys.load64(at + 8 * i));
		return out;
	});
}

const POPULATED = 16 << 20;
const PROT_RW = 3;

/** Spend at least `ns` of the clock in system calls. */
export function burnCpu(sys: Sys, ns: number): void {
	const end = sys.clockMonotonic() + BigInt(ns);
	do {
		for (let i = 0; i < 100; i++) sys.getpid();
		// a process elsewhere sleeps between its calls: one that is long
		const at = sys.mmap(0, POPULATED, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (at > 0) sys.munmap(at, POPULATED);
	} while (sys.clockMonotonic() < end);
}

/** Name of the function behind a system call. */
export function syscallFunc(sys: Sys, name: string): string {
	return `__${sys.arch === "arm64" ? "arm64" : "x64"}_sys_${name}`;
}
