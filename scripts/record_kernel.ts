// SPDX-License-Identifier: GPL-2.0-only
/** A mirror of the kernel that records were taken with: its symbols, types and configuration plugged in. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Sys } from "../include/sys.ts";
import { BPF_MAP_CREATE, BPF_PROG_LOAD } from "../include/uapi/linux/bpf.ts";
import { koffsetof } from "../kernel/bpf/layout.ts";
import type { KernelConfig } from "../kernel/kernel.ts";
import type { bpf_prog_info } from "../tools/lib/bpf/libbpf.ts";
import { bootMirror } from "../tools/mirror.ts";
import { compare_moved } from "../tools/upstream/compare.ts";
import type { Yardstick } from "../tools/upstream/judge.ts";
import type { KernelFiles, MachineFacts } from "../tools/upstream/machine_facts.ts";
import { kernel_files_of } from "../tools/upstream/record_file.ts";
import type { RecordLoad } from "../tools/upstream/records.ts";
import { type CodeNames, code_difference, type Disassembler, first_byte_diff } from "./code_diff.ts";
import { RecordJit, STAND_INS } from "./record_jit.ts";
import { compare_moved_arm64 } from "./record_jit_arm64.ts";
import type { RecordProgramJit } from "./record_trampoline.ts";

/**
 * Data of the records' kernels, which their kallsyms leave out: read off images and rewritten
 * instructions (a load of jiffies, the CPU's number, the JIT's this_cpu_off). Other kernels have the latter
 * two elsewhere: there the first record that shows them says where, and all others must agree.
 */
const DATA: Readonly<Record<"x86_64" | "arm64", readonly (readonly [string, bigint])[]>> = {
	x86_64: [
		["pcpu_hot", 0x2ec00n],
		["this_cpu_off", 0x15a50n],
		["jiffies", 0xffffffff82407a00n],
	],
	arm64: [],
};

/** A real kernel's kallsyms. */
export class Kallsyms {
	private readonly by_name = new Map<string, bigint>();
	private readonly addrs: bigint[] = [];
	private readonly names: string[] = [];
	private readonly order: number[];
	/** Names that were asked for. */
	readonly asked = new Set<string>();
	constructor(text: string) {
		for (const line of text.split("\n")) {
			if (line.length < 20) continue;
			const addr = BigInt(`0x${line.slice(0, 16)}`);
			const name = line.slice(19).split("\t")[0]!;
			if (!this.by_name.has(name)) this.by_name.set(name, addr);
			this.addrs.push(addr);
			this.names.push(name);
		}
		const { addrs } = this;
		this.order = addrs
			.map((_, i) => i)
			.sort((a, b) => (addrs[a]! < addrs[b]! ? -1 : addrs[a]! > addrs[b]! ? 1 : a - b));
	}
	addr(name: string): bigint | undefined {
		this.asked.add(name);
		return this.by_name.get(name);
	}
	define(name: string, addr: bigint): void {
		if (!this.by_name.has(name)) this.by_name.set(name, addr);
	}
	redefine(name: string, addr: bigint): void {
		this.by_name.set(name, addr);
	}
	lookup(addr: bigint): { name: string; offset: bigint } | undefined {
		let lo = 0;
		let hi = this.order.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.addrs[this.order[mid]!]! <= addr) lo = mid + 1;
			else hi = mid;
		}
		if (lo === 0) return undefined;
		const i = this.order[lo - 1]!;
		return { name: this.names[i]!, offset: addr - this.addrs[i]! };
	}
}

export interface RecordKernel extends Yardstick {
	readonly sys: Sys;
	/** An exception went through the kernel: do not use it any more. */
	broken: boolean;
	/** Before a load: whose addresses the next program gets. */
	prepare(load: RecordLoad, prog: string): void;
	/** Name of the function that a call's immediate stands for. */
	called(imm: number): string | undefined;
	/** Makes differences of code readable, when a disassembler is put there. */
	readonly names: { disasm: Disassembler | null; symbol(addr: bigint): string | null };
	/** Makes the trampolines. */
	readonly jit: RecordProgramJit;
	/** Symbols that the mirror asked for until now. */
	readonly symbols_asked: ReadonlySet<string>;
}

/** Names in the string section of a BTF: those of functions are among them. */
function functions_of(btf: Uint8Array): string[] {
	const dv = new DataView(btf.buffer, btf.byteOffset, btf.byteLength);
	const at = dv.getUint32(4, true) + dv.getUint32(16, true);
	const text = Buffer.from(btf.buffer, btf.byteOffset + at, dv.getUint32(20, true)).toString("latin1");
	return text.split("\0").filter((s) => /^[A-Za-z_]\w*$/.test(s));
}

/** The image, function by function, and the line table. */
function compare_jited(info: bpf_prog_info, load: RecordLoad, names: CodeNames): string | null {
	const theirs = Buffer.from(load.jited!, "hex");
	const lens = load.jited_func_lens ?? [];
	let at = 0;
	for (const [i, len] of lens.entries()) {
		const mine = info.jited_prog_insns.subarray(at, at + (info.jited_func_lens[i] ?? 0));
		const real = theirs.subarray(at, at + len);
		const diff = first_byte_diff(mine, real);
		if (diff >= 0) {
			const addr = BigInt(`0x${load.jited_ksyms?.[i] ?? "0"}`);
			return `jited func ${i} byte ${diff} (${mine.length} bytes, real ${len}): ${code_difference(mine, real, diff, addr, names)}`;
		}
		at += len;
	}
	if (info.jited_prog_insns.length !== theirs.length)
		return `jited ${info.jited_prog_insns.length} bytes, real ${theirs.length}`;
	for (const [i, addr] of (load.jited_ksyms ?? []).entries()) {
		if (info.jited_ksyms[i] !== BigInt(`0x${addr}`))
			return `jited ksym ${i}: ${info.jited_ksyms[i]?.toString(16)}, real ${addr}`;
	}
	for (const [i, [, addr]] of (load.jited_lines ?? []).entries()) {
		if (info.jited_line_info[i] !== BigInt(`0x${addr}`))
			return `jited line ${i}: ${info.jited_line_info[i]?.toString(16)}, real ${addr}`;
	}
	return null;
}

const MOV32_IMM = 0xb4;
const MOV64_IMM = 0xb7;
const MOV64_REG = 0xbf;
const LDX_W = 0x61;
/** Offset of a move that makes a per-CPU address of what it moves. */
const PERCPU = -1;

/** Where a record's instructions have the CPU's number: what bpf_get_smp_processor_id() was inlined to. */
export function cpu_number_of(xlated: Buffer): bigint | undefined {
	for (let at = 0; at + 24 <= xlated.length; at += 8) {
		const [mov, percpu, load] = [at, at + 8, at + 16];
		if (
			(xlated[mov] === MOV32_IMM || xlated[mov] === MOV64_IMM) &&
			xlated[mov + 1] === 0 &&
			xlated.readUInt16BE(percpu) === MOV64_REG << 8 &&
			xlated.readInt16LE(percpu + 2) === PERCPU &&
			xlated.readUInt32BE(load) === LDX_W << 24
		)
			return BigInt(xlated.readInt32LE(mov + 4));
	}
	return undefined;
}

/** Where a record's x86 image has this_cpu_off: the operand of add REG, gs:[ADDRESS]. */
export function this_cpu_off_of(image: Buffer): bigint | undefined {
	for (let at = 0; at + 9 <= image.length; at++) {
		const add = image[at] === 0x65 && (image[at + 1]! & 0xfb) === 0x48 && image[at + 2] === 0x03;
		if (add && (image[at + 3]! & 0xc7) === 0x04 && image[at + 4] === 0x25)
			return BigInt(image.readInt32LE(at + 5));
	}
	return undefined;
}

/** A process with descriptors 0 to 2 taken, by files that are no maps. */
function with_stdio(sys: Sys): Sys {
	for (let fd = 0; fd < 3; fd++) sys.epollCreate1(0);
	return sys;
}

/** The files of a folder of records. */
export function read_kernel_files(dir: string, arch: "x86_64" | "arm64"): KernelFiles {
	const names = readdirSync(dir).filter((n) => !n.endsWith(".jsonl"));
	return kernel_files_of(new Map(names.map((n) => [n, new Uint8Array(readFileSync(join(dir, n)))])), arch);
}

/** What a mirror's configuration takes from a machine. */
function config_of(facts: MachineFacts): Partial<KernelConfig> {
	const { mitigations_off, bpf_jit_harden, unprivileged_bpf_disabled } = facts;
	const config: Partial<KernelConfig> = { mitigations_off, bpf_jit_harden, unprivileged_bpf_disabled };
	config.cpus = facts.cpus ?? 1;
	if (facts.x86) config.x86 = facts.x86;
	if (facts.arm64) config.arm64 = facts.arm64;
	return config;
}

/** Of a CPU's kernel stack. */
const STACK_BYTES = 16 << 10;
/** Virtual time for what a run has begun. */
const REST_NS = 50_000_000n;

/** A kernel that runs programs. */
export interface RunKernel {
	readonly sys: Sys;
	settle(): void;
	/** Timers go off, work is done. */
	rest(): void;
	/** What programs asked for since the last call that is not ported. */
	lacked(): string[];
	/** Fill the CPUs' stacks, as whoever was in the kernel before may have left them. */
	litter(seed: number): void;
}

/** Symbols of its own, and what it has not, from the other kernel: so that programs that name any of them load. */
function all_symbols(own: Uint8Array, other: Uint8Array): Uint8Array {
	const text = Buffer.from(own).toString("latin1");
	const names = new Set(text.split("\n").map((l) => l.slice(19).split("\t")[0]));
	const lines = Buffer.from(other).toString("latin1").split("\n");
	const more = lines.filter((l) => l.length >= 20 && !names.has(l.slice(19).split("\t")[0]));
	return Buffer.from(`${text}${more.join("\n")}\n`, "latin1");
}

/** Of each size: more than the lower half of a 32-bit address counts. */
const DISPLACED_BYTES = 1 << 17;

/** Take memory away, so that everything is elsewhere than on a kernel that just booted. */
function displace(kernel: ReturnType<typeof bootMirror>["kernel"]): void {
	for (let i = 0; i < 37; i++) kernel.kmem.alloc_page();
	for (let size = 8; size <= 4096; size *= 2)
		for (let used = 0; used <= DISPLACED_BYTES; used += size) kernel.kmem.kzalloc(size);
	kernel.kmem.alloc_percpu(64, 8);
}

/**
 * The same types and configuration on a kernel that runs programs, at addresses of its own. `displaced`: with other
 * addresses, random numbers and times than it would have without.
 */
export function bootRunKernel(files: KernelFiles, displaced = false): RunKernel {
	const { arch } = files.facts;
	const mirror = bootMirror({
		arch,
		memory: 1 << 30,
		kconfig: files.kconfig,
		vmlinuxBtf: files.vmlinuxBtf,
		moduleBtfs: files.moduleBtfs,
		...(displaced && { seed: 77 }),
	});
	const { kernel } = mirror;
	if (displaced) {
		displace(kernel);
		kernel.time.advance(77_777_777_777n);
	}
	const own = kernel.pseudo_files.get("/proc/kallsyms");
	let symbols: Uint8Array | null = null;
	kernel.pseudo_files.set("/proc/kallsyms", () => {
		symbols ??= all_symbols(own!(), files.kallsyms);
		return symbols;
	});
	mirror.dmesg();
	return {
		sys: with_stdio(mirror.newProcess()),
		settle: () => kernel.settle(),
		rest: () => {
			kernel.time.advance(REST_NS);
			kernel.settle();
		},
		lacked: () => {
			// it is said once only
			kernel.bpf.warned.clear();
			const said = mirror.dmesg().flatMap((l) => /\bnot ported: (.*)/.exec(l)?.[1] ?? []);
			return [...new Set(said)];
		},
		litter: (seed) => {
			const bytes = new Uint8Array(STACK_BYTES);
			let x = seed;
			for (let i = 0; seed !== 0 && i < bytes.length; i++) {
				x = Math.imul(x, 1_103_515_245) + 12_345;
				bytes[i] = x >>> 16;
			}
			for (const top of kernel.machine?.stacks ?? []) kernel.kmem.write(top - bytes.length, bytes);
		},
	};
}

/** Boot with another kernel's symbols, types and configuration. */
export function bootRecordKernel(files: KernelFiles): RecordKernel {
	const { moduleBtfs, kallsyms, kconfig } = files;
	const { arch } = files.facts;
	const symbols = new Kallsyms(Buffer.from(kallsyms).toString("latin1"));
	const known = new Set(DATA[arch].map(([name]) => name).filter((name) => symbols.addr(name) !== undefined));
	for (const [name, addr] of DATA[arch]) symbols.define(name, addr);
	const thunk = files.facts.x86?.return_thunk;
	if (thunk !== undefined) symbols.redefine("__x86_return_thunk", BigInt(`0x${thunk}`));
	let stand_in = STAND_INS[arch].from;
	for (const data of Object.values(moduleBtfs)) {
		for (const name of functions_of(data)) {
			symbols.define(name, stand_in);
			stand_in += 16n;
		}
	}
	const mirror = bootMirror({
		arch,
		memory: 1 << 30,
		config: { bpf_jit_always_on: true, ...config_of(files.facts) },
		kconfig,
		foreign: { symbols, vmlinuxBtf: files.vmlinuxBtf, moduleBtfs },
	});
	const { kernel } = mirror;
	kernel.pseudo_files.set("/proc/kallsyms", () => kallsyms);
	const gz = new Uint8Array(gzipSync(kconfig));
	kernel.pseudo_files.set("/proc/config.gz", () => gz);
	const unseen = new Set(DATA[arch].map(([name]) => name).filter((name) => !known.has(name)));
	const see = (name: string, addr: bigint | undefined): void => {
		if (addr !== undefined && unseen.delete(name)) symbols.redefine(name, addr);
	};
	const learn_data = (load: RecordLoad): void => {
		if (unseen.has("pcpu_hot")) {
			const number = cpu_number_of(Buffer.from(load.xlated ?? "", "hex"));
			if (number !== undefined) see("pcpu_hot", number - BigInt(koffsetof(kernel, "pcpu_hot", "cpu_number")));
		}
		if (unseen.has("this_cpu_off"))
			see("this_cpu_off", this_cpu_off_of(Buffer.from(load.jited ?? "", "hex")));
	};
	const jit = new RecordJit(kernel);
	kernel.bpf.jit = jit.jit;
	const sys = with_stdio(mirror.newProcess());
	const bpf = sys.bpf.bind(sys);
	sys.bpf = (cmd, attr, size) => {
		const name = (at: number): string => {
			const bytes = Buffer.from(sys.load(attr + at, 16));
			return bytes.toString("latin1", 0, bytes.indexOf(0));
		};
		if (cmd === BPF_PROG_LOAD) {
			const head = Buffer.from(sys.load(attr, 16));
			const insns = sys.load(Number(head.readBigUInt64LE(8)), head.readUInt32LE(4) * 8);
			jit.begin(name(48), insns);
		}
		const map = cmd === BPF_MAP_CREATE && size >= 44 ? name(28) : null;
		const ret = bpf(cmd, attr, size);
		if (map !== null && ret >= 0) jit.map_names.set(ret, map);
		return ret;
	};
	const names: RecordKernel["names"] = {
		disasm: null,
		symbol: (addr) => {
			const sym = symbols.lookup(addr);
			return sym?.offset === 0n ? sym.name : null;
		},
	};
	return {
		sys,
		names,
		broken: false,
		symbols_asked: symbols.asked,
		prepare: (load, prog) => {
			learn_data(load);
			jit.prepare(load, prog);
		},
		jit: jit.jit,
		is_stand_in: (imm) => {
			const addr = (symbols.addr("__bpf_call_base") ?? 0n) + BigInt(imm);
			return addr >= STAND_INS[arch].from && addr < stand_in;
		},
		called: (imm) => {
			const at = symbols.lookup(BigInt.asUintN(64, (symbols.addr("__bpf_call_base") ?? 0n) + BigInt(imm)));
			return at?.offset === 0n ? at.name : undefined;
		},
		compare_jited: (info, load) => {
			if (load.jited_ksyms) return compare_jited(info, load, names);
			const theirs = Buffer.from(load.jited!, "hex");
			return arch === "arm64"
				? compare_moved_arm64(info.jited_prog_insns, theirs, info.jited_func_lens)
				: compare_moved(info.jited_prog_insns, theirs, info.jited_func_lens);
		},
	};
}
