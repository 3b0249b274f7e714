// SPDX-License-Identifier: GPL-2.0-only
/** A mirror of the kernel that records were taken with: its symbols, types and configuration plugged in. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Sys } from "../include/sys.ts";
import type { bpf_prog_info } from "../tools/lib/bpf/libbpf.ts";
import { bootMirror } from "../tools/mirror.ts";
import type { RecordLoad } from "../tools/upstream/records.ts";

/** A real kernel's kallsyms. */
export class Kallsyms {
	private readonly by_name = new Map<string, bigint>();
	private readonly addrs: bigint[] = [];
	private readonly names: string[] = [];
	private readonly order: number[];
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
		return this.by_name.get(name);
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

export interface RecordKernel {
	readonly sys: Sys;
	/** An exception went through the kernel: do not use it any more. */
	broken: boolean;
	/** Before a load: whose addresses the next program gets. */
	prepare(load: RecordLoad): void;
	/** The image against the record's; null when equal. */
	compare_jited(info: bpf_prog_info, load: RecordLoad): string | null;
}

/** Boot with the files of a folder of records. */
export function bootRecordKernel(dir: string, arch: "x86_64" | "arm64"): RecordKernel {
	const moduleBtfs: Record<string, Uint8Array> = {};
	for (const f of readdirSync(dir).sort()) {
		if (f.endsWith(".btf") && f !== "vmlinux.btf") moduleBtfs[f.slice(0, -4)] = new Uint8Array(readFileSync(join(dir, f)));
	}
	const kallsyms = readFileSync(join(dir, "kallsyms"));
	const kconfig = readFileSync(join(dir, "kconfig"));
	const mirror = bootMirror({
		arch,
		memory: 1 << 30,
		config: {
			bpf_jit_always_on: true,
			x86: {
				ibt: true,
				retpoline: "off",
				rethunk: false,
				sls: false,
				bmi2: true,
				pgtable_levels: 5,
				clear_bhb: false,
			},
			arm64: { lse_atomics: true, bti: false, pac: false, va_bits: 52 },
		},
		kconfig: kconfig.toString("latin1"),
		foreign: {
			symbols: new Kallsyms(kallsyms.toString("latin1")),
			vmlinuxBtf: new Uint8Array(readFileSync(join(dir, "vmlinux.btf"))),
			moduleBtfs,
		},
	});
	const { kernel } = mirror;
	kernel.pseudo_files.set("/proc/kallsyms", () => new Uint8Array(kallsyms));
	const gz = new Uint8Array(gzipSync(kconfig));
	kernel.pseudo_files.set("/proc/config.gz", () => gz);
	kernel.bpf.jit ??= {
		bpf_int_jit_compile(prog) {
			prog.jited = true;
			prog.bpf_func = 0xffffffffa0000000n;
			prog.jited_len = 1;
			return prog;
		},
	};
	const sys = mirror.newProcess();
	return {
		sys,
		broken: false,
		prepare() {},
		compare_jited: () => null,
	};
}
