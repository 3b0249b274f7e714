// SPDX-License-Identifier: GPL-2.0-only
/**
 * Runs made-up programs on kernels that live in one process, with the interpreter and with the JIT of each
 * architecture, and compares: the verdict and its errno, and for what was accepted R0, maps, ring buffer and packet. A program that is
 * rejected has to leave an errno and, from the verifier, a log; nothing may throw, fault or leak.
 */
import type { Sys } from "../../../include/sys.ts";
import { E2BIG, ENOSPC, ENOTSUPP } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_SHARED, PROT_READ } from "../../../include/uapi/asm-generic/mman.ts";
import * as U from "../../../include/uapi/linux/bpf.ts";
import { ATTR_END, ATTR_OFF, bpf_attr } from "../../../include/uapi/linux/bpf_attr.ts";
import { type BootOptions, bootMirror, type Mirror } from "../../../tools/mirror.ts";
import {
	ARRAY_ENTRIES,
	ARRAY_VALUE,
	type FuzzProgram,
	generate,
	HASH_ENTRIES,
	HASH_VALUE,
	MAP_ARRAY,
	MAP_HASH,
	MAP_PERCPU,
	MAP_RINGBUF,
	MAP_SINGLE,
	MAP_TAIL,
	mutate,
	noise,
	PERCPU_ENTRIES,
	PERCPU_VALUE,
	TAIL_AGAIN,
	TAIL_ENTRIES,
	TAIL_PLAIN,
	TYPES,
	tail_target,
} from "./gen.ts";
import { Rng } from "./rng.ts";

export type FuzzMode = "gen" | "mutate" | "noise";

export interface FuzzOptions {
	seed: number;
	count: number;
	/** First index; with count 1 this replays one program. */
	first?: number;
	/** How programs are made. */
	mode?: FuzzMode;
	/** Every n-th accepted program also runs with the state-embedding check; 0: none. */
	embedding?: number;
	/** Whose JITs; x86_64 when not given. */
	arch?: "x86_64" | "arm64" | "both" | undefined;
	/** Without the JIT: no emulated CPU is needed. */
	interpretOnly?: boolean;
	/** Called now and then with the number done. */
	progress?: (done: number, report: FuzzReport) => void;
	/** Stop after so many findings. */
	maxFindings?: number;
}

export interface Finding {
	mode: FuzzMode;
	index: number;
	what: string;
	detail: string;
}

export interface FuzzReport {
	done: number;
	accepted: number;
	/** Runs that were compared. */
	compared: number;
	embedded: number;
	/** Why programs were rejected: errno and the log's last words, numbers left out. */
	causes: Map<string, number>;
	findings: Finding[];
	seconds: number;
}

export function emptyReport(): FuzzReport {
	return { done: 0, accepted: 0, compared: 0, embedded: 0, causes: new Map(), findings: [], seconds: 0 };
}

/** Add up what several processes did; the time is the caller's. */
export function addReport(to: FuzzReport, r: FuzzReport): void {
	to.done += r.done;
	to.accepted += r.accepted;
	to.compared += r.compared;
	to.embedded += r.embedded;
	for (const [what, n] of r.causes) to.causes.set(what, (to.causes.get(what) ?? 0) + n);
	to.findings.push(...r.findings);
}

const PROT_RW = 3;
const MAP_PRIVATE_ANON = 0x22;

const LOG_SIZE = 1 << 16;
const RINGBUF_SIZE = 4096;
const PAGE = 4096;
/** Places in the process's memory. */
const AT_ATTR = 0;
const AT_LICENSE = 0x200;
const AT_KEY = 0x300;
const AT_VALUE = 0x400;
const AT_DATA = 0x1000;
const AT_OUT = 0x2000;
const AT_INSNS = 0x4000;
const INSNS_MAX = 0x10000;
const AT_LOG = AT_INSNS + INSNS_MAX;
const MEM_SIZE = AT_LOG + LOG_SIZE;

const ALL_CAPS = Array.from({ length: 41 }, (_, i) => i);
const CAP_SYS_ADMIN = 21;
const CAP_PERFMON = 38;
const CAPS = {
	root: ALL_CAPS,
	bpf: ALL_CAPS.filter((c) => c !== CAP_PERFMON && c !== CAP_SYS_ADMIN),
	none: [] as number[],
};

/** What a run leaves behind. */
interface Outcome {
	err: number;
	retval: number;
	data: string;
	maps: string;
}

/** A kernel with a process, maps, and places for what goes in and out. */
export class Subject {
	readonly mirror: Mirror;
	readonly sys: Sys;
	readonly fds: number[] = [];
	private readonly base: number;
	private array = 0;
	private single = 0;
	private rb_consumer = 0;
	private rb_producer = 0;
	private caps: readonly number[] = ALL_CAPS;

	constructor(options: BootOptions) {
		this.mirror = bootMirror(options);
		this.sys = this.mirror.newProcess();
		this.base = this.sys.mmap(0, MEM_SIZE, PROT_RW, MAP_PRIVATE_ANON, -1, 0);
		if (this.base < 0) throw new Error(`mmap: ${this.base}`);
		this.sys.store(this.base + AT_LICENSE, Buffer.from("GPL\0"));
		this.map(U.BPF_MAP_TYPE_ARRAY, 4, ARRAY_VALUE, ARRAY_ENTRIES, U.BPF_F_MMAPABLE);
		this.map(U.BPF_MAP_TYPE_HASH, 8, HASH_VALUE, HASH_ENTRIES, 0);
		this.map(U.BPF_MAP_TYPE_PERCPU_ARRAY, 4, PERCPU_VALUE, PERCPU_ENTRIES, 0);
		this.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, RINGBUF_SIZE, 0);
		this.map(U.BPF_MAP_TYPE_ARRAY, 4, ARRAY_VALUE, 1, U.BPF_F_MMAPABLE);
		for (const _type of TYPES) this.map(U.BPF_MAP_TYPE_PROG_ARRAY, 4, 4, TAIL_ENTRIES, 0);
		this.tails();
		const rb = this.fds[MAP_RINGBUF]!;
		this.array = this.mapped(PAGE, PROT_RW, this.fds[MAP_ARRAY]!, 0);
		this.single = this.mapped(PAGE, PROT_RW, this.fds[MAP_SINGLE]!, 0);
		this.rb_consumer = this.mapped(PAGE, PROT_RW, rb, 0);
		this.rb_producer = this.mapped(PAGE + 2 * RINGBUF_SIZE, PROT_READ, rb, PAGE);
	}
	/** What tail calls lead to. */
	private tails(): void {
		for (const [i, type] of TYPES.entries())
			for (const [key, again] of [
				[TAIL_PLAIN, false],
				[TAIL_AGAIN, true],
			] as const) {
				const { fd, log } = this.load(tail_target(type, this.fds, again), 1, 0);
				if (fd < 0) throw new Error(`target of tail calls: ${fd}\n${log}`);
				this.sys.store32(this.base + AT_KEY, key);
				this.sys.store32(this.base + AT_VALUE, fd);
				const err = this.elem(U.BPF_MAP_UPDATE_ELEM, this.fds[MAP_TAIL + i]!);
				if (err) throw new Error(`array of programs: ${err}`);
				this.sys.close(fd);
			}
	}
	private mapped(len: number, prot: number, fd: number, off: number): number {
		const at = this.sys.mmap(0, len, prot, MAP_SHARED, fd, off);
		if (at < 0) throw new Error(`mmap of a map: ${at}`);
		return at;
	}
	private map(type: number, key: number, value: number, max: number, flags: number): void {
		const attr = new bpf_attr();
		attr.map_type = type;
		attr.key_size = key;
		attr.value_size = value;
		attr.max_entries = max;
		attr.map_flags = flags;
		const fd = this.call(U.BPF_MAP_CREATE, attr, ATTR_END.BPF_MAP_CREATE);
		if (fd < 0) throw new Error(`BPF_MAP_CREATE: ${fd}`);
		this.fds.push(fd);
	}
	private call(cmd: number, attr: bpf_attr, size: number): number {
		this.sys.store(this.base + AT_ATTR, attr.bytes.subarray(0, size));
		return this.sys.bpf(cmd, this.base + AT_ATTR, size);
	}
	private elem(cmd: number, fd: number, flags = 0n): number {
		const attr = new bpf_attr();
		attr.map_fd = fd;
		attr.key = BigInt(this.base + AT_KEY);
		if (cmd !== U.BPF_MAP_DELETE_ELEM) attr.value = BigInt(this.base + AT_VALUE);
		attr.flags = flags;
		return this.call(cmd, attr, 32);
	}

	/** BPF_PROG_LOAD; the log's text with `log_level`. */
	load(p: FuzzProgram, log_level: number, flags: number): { fd: number; log: string } {
		const caps = CAPS[p.privilege];
		if (caps !== this.caps) {
			this.sys.capSet(caps);
			this.caps = caps;
		}
		this.sys.store(this.base + AT_INSNS, p.insns);
		const attr = new bpf_attr();
		attr.prog_type = p.type;
		attr.insn_cnt = p.insns.length / 8;
		attr.insns = BigInt(this.base + AT_INSNS);
		attr.license = BigInt(this.base + AT_LICENSE);
		attr.prog_flags = flags;
		if (log_level) {
			attr.log_level = log_level;
			attr.log_size = LOG_SIZE;
			attr.log_buf = BigInt(this.base + AT_LOG);
			this.sys.store8(this.base + AT_LOG, 0);
		}
		const fd = this.call(U.BPF_PROG_LOAD, attr, ATTR_END.BPF_PROG_LOAD);
		let log = "";
		if (log_level) {
			const raw = this.sys.load(this.base + AT_LOG, LOG_SIZE);
			log = Buffer.from(raw.subarray(0, raw.indexOf(0))).toString("latin1");
		}
		return { fd, log };
	}

	/** Put the maps in their first state. */
	reset(maps: number): void {
		const { sys } = this;
		if (maps & (1 << MAP_ARRAY)) {
			const bytes = new Uint8Array(ARRAY_VALUE * ARRAY_ENTRIES);
			for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 37) ^ (i >> 3);
			sys.store(this.array, bytes);
		}
		if (maps & (1 << MAP_SINGLE)) {
			const bytes = new Uint8Array(ARRAY_VALUE);
			for (let i = 0; i < bytes.length; i++) bytes[i] = 255 - i * 5;
			sys.store(this.single, bytes);
		}
		if (maps & (1 << MAP_HASH)) {
			for (const key of this.keys()) {
				sys.store64(this.base + AT_KEY, key);
				this.elem(U.BPF_MAP_DELETE_ELEM, this.fds[MAP_HASH]!);
			}
			const value = new Uint8Array(HASH_VALUE);
			for (let k = 0; k < 3; k++) {
				sys.store64(this.base + AT_KEY, BigInt(k));
				sys.store(this.base + AT_VALUE, value.fill(0x11 * (k + 7)));
				this.elem(U.BPF_MAP_UPDATE_ELEM, this.fds[MAP_HASH]!);
			}
		}
		if (maps & (1 << MAP_PERCPU)) {
			const n = PERCPU_VALUE * sys.nrCpus;
			for (let k = 0; k < PERCPU_ENTRIES; k++) {
				sys.store32(this.base + AT_KEY, k);
				sys.store(this.base + AT_VALUE, new Uint8Array(n).fill(k + 3));
				this.elem(U.BPF_MAP_UPDATE_ELEM, this.fds[MAP_PERCPU]!);
			}
		}
		if (maps & (1 << MAP_RINGBUF)) sys.store64(this.rb_consumer, sys.load64(this.rb_producer));
	}

	private keys(): bigint[] {
		const out: bigint[] = [];
		const attr = new bpf_attr();
		attr.map_fd = this.fds[MAP_HASH]!;
		attr.value = BigInt(this.base + AT_KEY);
		while (this.call(U.BPF_MAP_GET_NEXT_KEY, attr, 32) === 0) {
			out.push(this.sys.load64(this.base + AT_KEY));
			attr.key = BigInt(this.base + AT_KEY);
		}
		return out;
	}

	/** All that maps hold now. */
	private contents(maps: number): string {
		const { sys } = this;
		const hex = (b: Uint8Array): string => Buffer.from(b).toString("hex");
		let out = "";
		if (maps & (1 << MAP_ARRAY)) out += `array ${hex(sys.load(this.array, ARRAY_VALUE * ARRAY_ENTRIES))}\n`;
		if (maps & (1 << MAP_SINGLE)) out += `single ${hex(sys.load(this.single, ARRAY_VALUE))}\n`;
		if (maps & (1 << MAP_HASH)) {
			const lines: string[] = [];
			for (const key of this.keys()) {
				sys.store64(this.base + AT_KEY, key);
				const err = this.elem(U.BPF_MAP_LOOKUP_ELEM, this.fds[MAP_HASH]!);
				lines.push(`hash ${key}: ${err} ${hex(sys.load(this.base + AT_VALUE, HASH_VALUE))}\n`);
			}
			// the order is of the table's seed
			out += lines.sort().join("");
		}
		if (maps & (1 << MAP_PERCPU)) {
			for (let k = 0; k < PERCPU_ENTRIES; k++) {
				sys.store32(this.base + AT_KEY, k);
				const err = this.elem(U.BPF_MAP_LOOKUP_ELEM, this.fds[MAP_PERCPU]!);
				out += `percpu ${k}: ${err} ${hex(sys.load(this.base + AT_VALUE, PERCPU_VALUE * sys.nrCpus))}\n`;
			}
		}
		if (maps & (1 << MAP_RINGBUF)) {
			const from = Number(sys.load64(this.rb_consumer));
			const to = Number(sys.load64(this.rb_producer));
			const at = this.rb_producer + PAGE + (from % RINGBUF_SIZE);
			out += `ringbuf ${to - from} ${hex(sys.load(at, Math.min(to - from, RINGBUF_SIZE)))}\n`;
		}
		return out;
	}

	run(fd: number, p: FuzzProgram): Outcome {
		const { sys } = this;
		const attr = new bpf_attr();
		const is_raw = p.type === U.BPF_PROG_TYPE_RAW_TRACEPOINT;
		attr.test_prog_fd = fd;
		sys.store(this.base + AT_DATA, p.input);
		if (is_raw) {
			attr.test_ctx_in = BigInt(this.base + AT_DATA);
			attr.test_ctx_size_in = p.input.length;
		} else {
			attr.test_data_in = BigInt(this.base + AT_DATA);
			attr.test_data_size_in = p.input.length;
			attr.test_data_out = BigInt(this.base + AT_OUT);
			attr.test_data_size_out = 0x1000;
			attr.test_repeat = 1;
		}
		const err = this.call(U.BPF_PROG_TEST_RUN, attr, ATTR_END.BPF_PROG_TEST_RUN);
		const retval = sys.load32(this.base + AT_ATTR + ATTR_OFF.test_retval);
		let data = "";
		if (!is_raw && err >= 0) {
			const n = sys.load32(this.base + AT_ATTR + ATTR_OFF.test_data_size_out);
			data = Buffer.from(sys.load(this.base + AT_OUT, Math.min(n, 0x1000))).toString("hex");
		}
		return { err, retval, data, maps: this.contents(p.maps) };
	}
}

/** The log's last words, without numbers. */
function cause(err: number, log: string): string {
	const lines = log.split("\n").filter((l) => l && !/^(processed|verification time|stack depth) /.test(l));
	const last = lines[lines.length - 1] ?? "(no log)";
	const text = last.startsWith("old state:") ? "infinite loop detected" : last;
	return `${err} ${text
		.replace(/0x[0-9a-f]+/g, "N")
		.replace(/\b[0-9a-f]{2}$/, "N")
		.replace(/-?\d+/g, "N")}`;
}

/** The program's instructions as hexadecimal words, for a report. */
export function dump(insns: Uint8Array): string {
	const lines: string[] = [];
	for (let i = 0; i < insns.length; i += 8)
		lines.push(`${i / 8}: ${Buffer.from(insns.subarray(i, i + 8)).toString("hex")}`);
	return lines.join("\n");
}

const MAKERS = { gen: generate, mutate, noise };

/** Everything that is loose in a line of a kernel's log that a fuzzer must not see. */
const BAD_LINE = /BUG|WARN|not ported|oops|verifier bug/i;

/** Runs the programs; see the head of this file. */
export class Fuzzer {
	private readonly o: FuzzOptions;
	private readonly mode: FuzzMode;
	private jits: { name: string; subject: Subject }[] = [];
	private interp!: Subject;
	/** Kernels that hold every instruction against the verifier's states. */
	private checked: Subject[] = [];
	private readonly settled: WeakSet<Subject> = new WeakSet();
	readonly report: FuzzReport = emptyReport();

	constructor(o: FuzzOptions) {
		this.o = o;
		this.mode = o.mode ?? "gen";
		this.boot();
	}

	private boot(): void {
		const hw = { cpus: 1, memory: 64 << 20 };
		const off = { bpf_jit_enable: false, bpf_jit_always_on: false };
		const [first] = this.arches();
		this.interp = new Subject({ ...hw, arch: first, cpu: "none", config: off });
		this.jits = [];
		for (const arch of this.o.interpretOnly ? [] : this.arches()) {
			const subject = new Subject({ ...hw, arch, cpu: "unicorn" });
			this.jits.push({ name: `JIT of ${arch}`, subject });
			if (subject.fds.join() !== this.interp.fds.join()) throw new Error("descriptors differ");
		}
		this.checked = [];
		for (const s of this.subjects()) {
			s.mirror.leaks();
			s.mirror.dmesg();
		}
	}
	private arches(): ["x86_64" | "arm64", ...("x86_64" | "arm64")[]] {
		return this.o.arch === "both" ? ["x86_64", "arm64"] : [this.o.arch ?? "x86_64"];
	}
	private subjects(): Subject[] {
		return [this.interp, ...this.jits.map((j) => j.subject)];
	}

	/** The same kernels with the state-embedding check on. */
	private with_states(): Subject[] {
		if (this.checked.length === 0) {
			const hw = { cpus: 1, memory: 64 << 20 };
			const off = { bpf_jit_enable: false, bpf_jit_always_on: false, state_embedding: true };
			this.checked.push(new Subject({ ...hw, arch: this.arches()[0], cpu: "none", config: off }));
			for (const arch of this.o.interpretOnly ? [] : this.arches())
				this.checked.push(new Subject({ ...hw, arch, cpu: "unicorn", config: { state_embedding: true } }));
		}
		return this.checked;
	}

	/** Run a program where states are checked; its results must be as without. */
	private embed(index: number, p: FuzzProgram, flags: number, seed: number, want: Outcome): void {
		this.report.embedded++;
		for (const s of this.with_states()) {
			s.mirror.reseed(seed);
			const { fd } = s.load(p, 0, flags);
			// all scalars precise: limits may be met earlier
			if (fd < 0) continue;
			s.reset(p.maps);
			s.mirror.reseed(seed);
			const out = s.run(fd, p);
			s.sys.close(fd);
			for (const v of s.mirror.stateViolations()) this.find(index, v, dump(p.insns));
			s.mirror.dmesg();
			if (!p.wild && out.retval !== want.retval)
				this.find(index, `with states checked R0 is ${out.retval}, without ${want.retval}`, dump(p.insns));
		}
	}

	private find(index: number, what: string, detail: string): void {
		this.report.findings.push({ mode: this.mode, index, what, detail });
	}

	/** Run all of them. */
	run(): FuzzReport {
		const { o, report } = this;
		const start = performance.now();
		const first = o.first ?? 0;
		for (let i = first; i < first + o.count; i++) {
			const p = MAKERS[this.mode](o.seed, i, this.interp.fds, o.arch === "arm64");
			try {
				this.one(i, p);
			} catch (e) {
				const err = e as Error;
				this.find(i, `exception: ${err.message}`, err.stack ?? "");
				this.boot();
			}
			report.done++;
			if (report.done % 500 === 0) {
				this.check_leaks(i);
				report.seconds = (performance.now() - start) / 1000;
				o.progress?.(report.done, report);
			}
			if (report.findings.length >= (o.maxFindings ?? 20)) break;
		}
		this.check_leaks(first + o.count - 1);
		report.seconds = (performance.now() - start) / 1000;
		return report;
	}

	private check_leaks(index: number): void {
		for (const s of this.subjects()) {
			s.reset(31);
			const lines = s.mirror.leaks();
			// at the first look user space has touched its pages, and the kernel made what it keeps
			if (!this.settled.has(s)) this.settled.add(s);
			else for (const l of lines) this.find(index, `leak: ${l}`, "");
		}
	}

	private one(index: number, p: FuzzProgram): void {
		const rng = new Rng(this.o.seed ^ 0x1b873593, index);
		if (p.insns.length > INSNS_MAX) return;
		let flags = 0;
		if (rng.chance(10)) flags |= U.BPF_F_TEST_RND_HI32;
		if (p.privilege === "root" && rng.chance(10)) flags |= U.BPF_F_TEST_STATE_FREQ;
		const seed = rng.u32();
		const fds: number[] = [];
		for (const s of this.subjects()) {
			s.mirror.reseed(seed);
			fds.push(s.load(p, 0, flags).fd);
		}
		try {
			this.judge(index, p, flags, fds, seed);
		} finally {
			this.subjects().forEach((s, i) => {
				if (fds[i]! >= 0) s.sys.close(fds[i]!);
			});
		}
		for (const s of this.subjects())
			for (const line of s.mirror.dmesg())
				if (BAD_LINE.test(line)) this.find(index, `kernel log: ${line}`, "");
	}

	private judge(index: number, p: FuzzProgram, flags: number, fds: number[], seed: number): void {
		const { report } = this;
		const fd = fds[0]!;
		const errs = fds.map((x) => Math.min(x, 0));
		// kernel functions can be called by JITed programs only
		if (errs[0] === -ENOTSUPP) return;
		if (errs.some((e) => e !== errs[0])) {
			const others = this.jits.map((j, i) => `${j.name} ${fds[i + 1]}`).join(", ");
			this.find(index, `verdict: interpreter ${fds[0]}, ${others}`, dump(p.insns));
			return;
		}
		if (fd < 0) {
			// a million instructions make a long log: one of them in sixteen is enough
			if (fd === -E2BIG && index % 16 && this.o.count > 1) {
				report.causes.set("-7 (no log asked for)", (report.causes.get("-7 (no log asked for)") ?? 0) + 1);
				return;
			}
			const again = this.interp.load(p, 1, flags);
			if (again.fd >= 0) this.interp.sys.close(again.fd);
			// a log longer than the buffer loses its head, and the call says ENOSPC
			if (again.fd !== fd && again.fd !== -ENOSPC)
				this.find(index, `verdict: ${fd} without a log, ${again.fd} with one`, again.log);
			const why = cause(fd, again.log);
			if (this.o.count === 1) process.stdout.write(again.log);
			report.causes.set(why, (report.causes.get(why) ?? 0) + 1);
			if (why.endsWith("(no log)")) this.find(index, `rejected with ${fd} and no log`, dump(p.insns));
			if (/verifier bug|not ported/.test(again.log)) this.find(index, `log: ${why}`, again.log);
			return;
		}
		report.accepted++;
		const began = performance.now();
		const out = this.subjects().map((s, i) => {
			s.reset(p.maps);
			s.mirror.reseed(seed);
			return s.run(fds[i]!, p);
		});
		const every = this.o.embedding ?? 0;
		// millions of instructions would take minutes one by one
		const slow = performance.now() - began > 50;
		if (every && !slow && report.accepted % every === 0 && !(flags & U.BPF_F_TEST_RND_HI32))
			this.embed(index, p, flags, seed, out[0]!);
		if (p.wild || out.length < 2) return;
		report.compared++;
		for (const [i, { name }] of this.jits.entries()) {
			const want = out[0]!;
			const got = out[i + 1]!;
			const k = (["err", "retval", "data", "maps"] as const).find((x) => want[x] !== got[x]);
			if (k === undefined) continue;
			const what = `${k} differs: interpreter ${String(want[k])}, ${name} ${String(got[k])}`;
			this.find(index, what, dump(p.insns));
		}
	}
}

/** Run made-up programs; findings are what went wrong. */
export function fuzz(options: FuzzOptions): FuzzReport {
	return new Fuzzer(options).run();
}
