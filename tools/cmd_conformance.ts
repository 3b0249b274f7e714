// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror conformance`: the plugin protocol of the public bpf_conformance suite. */
import { readFileSync } from "node:fs";
import type { CommandModule } from "yargs";
import { BPF_MAP_TYPE_ARRAY, BPF_PROG_TYPE_XDP, BPF_XDP } from "../include/uapi/linux/bpf.ts";
import { bpf_map_create, bpf_map_lookup_elem, bpf_prog_load, bpf_prog_test_run_opts } from "./lib/bpf/bpf.ts";
import { bpf_object__load, bpf_object__open_mem } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { bootMirror, type Mirror, type MirrorArch } from "./mirror.ts";

/** bpf_prog_test_run_xdp() takes no packet shorter than an Ethernet header. */
const ETH_HLEN = 14;
const LOG_SIZE = 1 << 20;

/** Bytes of hex digits with spaces between; null where they are none. */
export function decodeHex(s: string): Uint8Array | null {
	const parts = s
		.trim()
		.split(/\s+/)
		.filter((p) => p !== "");
	if (!parts.every((p) => /^[0-9a-f]{1,2}$/i.test(p))) return null;
	return Uint8Array.from(parts, (p) => Number.parseInt(p, 16));
}

/** Six instructions' worth of the suite's own XDP prolog: r1 = packet, r2 = its length. */
export function xdpProlog(size: number): Uint8Array {
	const out = new Uint8Array(9 * 8);
	const dv = new DataView(out.buffer);
	const insns: readonly (readonly [number, number, number, number, number])[] = [
		[0xb7, 0, 0, 0, -1],
		[0xbf, 6, 1, 0, 0],
		[0x61, 1, 6, 0, 0],
		[0x61, 2, 6, 4, 0],
		[0xbf, 3, 1, 0, 0],
		[0x07, 3, 0, 0, size],
		[0xbd, 3, 2, 1, 0],
		[0x95, 0, 0, 0, 0],
		[0xb7, 2, 0, 0, size],
	];
	insns.forEach(([code, dst, src, off, imm], i) => {
		dv.setUint8(i * 8, code);
		dv.setUint8(i * 8 + 1, (src << 4) | dst);
		dv.setInt16(i * 8 + 2, off, true);
		dv.setInt32(i * 8 + 4, imm, true);
	});
	return out;
}

/** The program as it is loaded: behind the prolog, unless the suite (--xdp_prolog true) has put one there. */
export function withProlog(program: Uint8Array, memory: Uint8Array): Uint8Array {
	if (memory.length === 0) return program;
	const prolog = xdpProlog(memory.length);
	if (Buffer.compare(program.subarray(0, prolog.length), prolog) === 0) return program;
	return Buffer.concat([prolog, program]);
}

/**
 * In front of the program, which becomes a function: BPF_PROG_TEST_RUN returns 32 bits, so all 64 of r0 go to element 0
 * of an array.
 *
 *     call +4; r1 = map_value[fd][0]; *(u64 *)r1 = r0; exit
 */
function storeResult(fd: number): Uint8Array {
	const out = new Uint8Array(5 * 8);
	const dv = new DataView(out.buffer);
	const insns: readonly (readonly [number, number, number])[] = [
		[0x85, 0x10, 4],
		[0x18, 0x21, fd],
		[0, 0, 0],
		[0x7b, 0x01, 0],
		[0x95, 0, 0],
	];
	for (const [i, [code, regs, imm]] of insns.entries()) {
		dv.setUint8(i * 8, code);
		dv.setUint8(i * 8 + 1, regs);
		dv.setInt32(i * 8 + 4, imm, true);
	}
	return out;
}

interface Args {
	memory: string | undefined;
	program: string | undefined;
	elf: boolean;
	debug: boolean;
	interpret: boolean;
	jit: boolean;
	arch: string;
}

export function conformanceCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "conformance [memory]",
		describe: "Run one program for the bpf_conformance suite: hex on stdin, r0 in hex on stdout",
		builder: (y) =>
			y
				.positional("memory", { type: "string", describe: "The program's memory: hex bytes with spaces" })
				.option("program", { type: "string", requiresArg: true, describe: "The program, instead of stdin" })
				.option("elf", { type: "boolean", default: false, describe: "The program is an ELF object" })
				.option("debug", { type: "boolean", default: false, describe: "Show the verifier's log" })
				.option("interpret", { type: "boolean", default: false, describe: "Run on the interpreter" })
				.option("jit", { type: "boolean", default: false, describe: "Run the JIT's code (the default)" })
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				}),
		handler: (args) => done(conformance(args)),
	};
}

function fail(line: string): number {
	process.stderr.write(`${line}\n`);
	return 1;
}

/** Load an ELF object; the descriptor of its first program. */
function loadElf(lib: Libbpf, bytes: Uint8Array): number {
	const obj = bpf_object__open_mem(lib, bytes, { object_name: "conformance" });
	if (typeof obj === "number") return obj;
	for (const p of obj.programs) if (p.type === 0) p.type = BPF_PROG_TYPE_XDP;
	const err = bpf_object__load(obj);
	return err < 0 ? err : (obj.programs[0]?.fd ?? -2);
}

/** A kernel that runs one program after another for the suite. */
export class ConformancePlugin {
	private readonly mirror: Mirror;
	private readonly lib: Libbpf;
	private readonly log_buf: number;
	private readonly debug: boolean;
	private readonly result: number;

	constructor(arch: MirrorArch, jit: boolean, debug = false) {
		this.debug = debug;
		this.mirror = bootMirror({ arch, config: { bpf_jit_enable: jit } });
		this.lib = new Libbpf(this.mirror.newProcess(), { known_kernel: true, print: debug ? undefined : null });
		this.log_buf = this.lib.heap.alloc(LOG_SIZE);
		this.result = bpf_map_create(this.lib, BPF_MAP_TYPE_ARRAY, "r0", 4, 8, 1);
	}

	/** Load and run a program: r0, or why there is none. */
	run(program: Uint8Array, memory: Uint8Array, elf: boolean): bigint | string {
		const { lib, log_buf } = this;
		const { sys } = lib;
		let fd: number;
		if (elf) {
			fd = loadElf(lib, program);
			if (fd < 0) return `Failed to load ELF file: ${fd}`;
		} else {
			sys.store8(log_buf, 0);
			const insns = Buffer.concat([storeResult(this.result), withProlog(program, memory)]);
			fd = bpf_prog_load(lib, BPF_PROG_TYPE_XDP, "conformance", "MIT", insns, {
				expected_attach_type: BPF_XDP,
				log_buf,
				log_size: LOG_SIZE,
			});
			if (fd < 0) {
				const raw = sys.load(log_buf, LOG_SIZE);
				const log = Buffer.from(raw.subarray(0, raw.indexOf(0))).toString("latin1");
				const why = this.debug ? log : (log.trim().split("\n").at(-2) ?? String(fd));
				return `Failed to load program: ${why}`;
			}
		}
		const data_in = new Uint8Array(Math.max(memory.length, ETH_HLEN));
		data_in.set(memory);
		const opts = { data_in, repeat: 1, retval: 0 };
		const err = bpf_prog_test_run_opts(lib, fd, opts);
		const said = this.mirror.dmesg();
		sys.close(fd);
		if (err < 0) return `Failed to run program: ${err}${said.map((l) => `\n${l}`).join("")}`;
		// the first function of an object has no such prefix
		if (elf) return BigInt(opts.retval >>> 0);
		const r0 = new Uint8Array(8);
		const read = bpf_map_lookup_elem(lib, this.result, new Uint8Array(4), r0);
		return read < 0 ? `Failed to read the result: ${read}` : new DataView(r0.buffer).getBigUint64(0, true);
	}
}

function conformance(args: Args): number {
	if (args.interpret && args.jit) return fail("conformance: --interpret and --jit exclude each other");
	const text = args.program ?? readFileSync(0, "utf8");
	const program = decodeHex(text);
	const memory = decodeHex(args.memory ?? "");
	if (!program || program.length === 0) return fail("conformance: the program is no hex");
	if (!memory) return fail("conformance: the memory is no hex");
	if (!args.elf && program.length % 8 !== 0) return fail("conformance: a program is a multiple of 8 bytes");
	const r0 = new ConformancePlugin(args.arch as MirrorArch, !args.interpret, args.debug).run(
		program,
		memory,
		args.elf,
	);
	if (typeof r0 === "string") return fail(r0);
	process.stdout.write(`${r0.toString(16)}\n`);
	return 0;
}
