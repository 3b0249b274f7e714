// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror run`: load anyone's object, show the verdict and the log, and run it. */
import { readFileSync } from "node:fs";
import type { CommandModule } from "yargs";
import { EINVAL } from "../include/uapi/asm-generic/errno.ts";
import { colours } from "./colours.ts";
import { bpf_prog_test_run_opts, type bpf_test_run_opts } from "./lib/bpf/bpf.ts";
import { bpf_object__load, bpf_object__open_mem, bpf_object__programs, read_log } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { strerror } from "./lib/bpf/strerror.ts";
import { bootMirror, type MirrorArch } from "./mirror.ts";
import { type PlugArgs, pluggedBtf, plugOptions } from "./plug_btf.ts";
import { StepPrinter } from "./trace.ts";

interface Args extends PlugArgs {
	object: string;
	prog: string | undefined;
	"data-in": string | undefined;
	repeat: number;
	arch: string;
	interpret: boolean;
	"log-level": number;
	trace: boolean;
}

const LOG_SIZE = 16 << 20;

/** Bytes of a file, or of a string of hex digits. */
function dataOf(arg: string): Uint8Array {
	const hex = arg.replace(/\s+/g, "");
	if (/^([0-9a-f]{2})+$/i.test(hex)) return Buffer.from(hex, "hex");
	return readFileSync(arg);
}

export function runCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "run <object>",
		describe: "Load an object, show the verifier's verdict and log, and run its programs",
		builder: (y) =>
			plugOptions(y)
				.positional("object", {
					type: "string",
					demandOption: true,
					describe: "An ELF object built by clang -target bpf",
				})
				.option("prog", { type: "string", requiresArg: true, describe: "Only this program" })
				.option("data-in", {
					type: "string",
					requiresArg: true,
					describe: "The packet: a file, or hex digits (default: 64 zero bytes)",
				})
				.option("repeat", { type: "number", default: 1, describe: "How often to run" })
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				})
				.option("interpret", {
					type: "boolean",
					default: false,
					describe: "Run on the interpreter, not the JIT's code",
				})
				.option("log-level", {
					type: "number",
					default: 2,
					describe: "The verifier's log level: 1, 2, 4 or a sum",
				})
				.option("trace", { type: "boolean", default: false, describe: "Print every instruction as it runs" }),
		handler: async (args) => done(run(args, args.trace ? await StepPrinter.load(args.arch) : null)),
	};
}

function run(args: Args, printer: StepPrinter | null): number {
	let bytes: Uint8Array;
	let data: Uint8Array;
	try {
		bytes = readFileSync(args.object);
		data = args["data-in"] === undefined ? new Uint8Array(64) : dataOf(args["data-in"]);
	} catch (e) {
		process.stderr.write(`${(e as Error).message}\n`);
		return 1;
	}
	const plugged = pluggedBtf(args);
	if (typeof plugged === "string") {
		process.stderr.write(`${plugged}\n`);
		return 1;
	}
	const mirror = bootMirror({
		...plugged,
		arch: args.arch as MirrorArch,
		config: { bpf_jit_enable: !args.interpret },
	});
	const sys = mirror.newProcess();
	const warnings: string[] = [];
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level < 2) warnings.push(text);
		},
	});
	const flush = () => {
		for (const w of warnings.splice(0)) process.stderr.write(w);
	};
	const obj = bpf_object__open_mem(lib, bytes, { object_name: args.object });
	if (typeof obj === "number") {
		flush();
		process.stderr.write(`${args.object}: ${strerror(-obj) ?? `errno ${-obj}`}\n`);
		return 1;
	}
	const programs = bpf_object__programs(obj);
	const chosen = programs.filter((p) => args.prog === undefined || p.name === args.prog);
	if (chosen.length === 0) {
		const names = programs.map((p) => p.name).join(", ");
		process.stderr.write(`${args.object} has no program ${args.prog ?? ""}; it has: ${names}\n`);
		return 1;
	}
	for (const p of programs) p.autoload = chosen.includes(p);
	const logs = new Map(chosen.map((p) => [p, lib.heap.alloc(LOG_SIZE)]));
	for (const [p, buf] of logs) {
		sys.store8(buf, 0);
		p.log_level = args["log-level"];
		p.log_buf = buf;
		p.log_size = LOG_SIZE;
	}
	const err = bpf_object__load(obj);
	for (const [p, buf] of logs) {
		process.stdout.write(colours.bold(`${p.name} (${p.sec_name}):\n`));
		process.stdout.write(read_log(lib, buf, LOG_SIZE));
	}
	flush();
	if (err) {
		process.stdout.write(colours.red(`rejected: ${strerror(-err) ?? `errno ${-err}`}\n`));
		return 1;
	}
	process.stdout.write(colours.green("accepted\n"));
	let status = 0;
	for (const p of chosen) {
		let opts: bpf_test_run_opts = {
			data_in: data,
			data_out: new Uint8Array(data.length + 256),
			repeat: args.repeat,
		};
		const stop = printer && mirror.traceInsns((s) => process.stdout.write(printer.line(s, mirror.symbol)));
		let res = bpf_prog_test_run_opts(lib, p.fd, opts);
		if (res === -EINVAL) {
			// Programs that have no packet take none.
			opts = {};
			res = bpf_prog_test_run_opts(lib, p.fd, opts);
		}
		stop?.();
		if (res < 0) {
			process.stdout.write(`${p.name}: not run: ${strerror(-res) ?? `errno ${-res}`}\n`);
			for (const line of mirror.dmesg()) process.stdout.write(`[kernel] ${line}\n`);
			status = 1;
		} else {
			const retval = (opts.retval ?? 0) >>> 0;
			process.stdout.write(`${p.name}: returned ${retval} (0x${retval.toString(16)})\n`);
			const out = opts.data_out?.subarray(0, opts.data_size_out);
			if (out && args["data-in"] !== undefined)
				process.stdout.write(`${p.name}: packet ${Buffer.from(out).toString("hex")}\n`);
		}
	}
	for (const line of mirror.traceLog()) process.stdout.write(`${line}\n`);
	return status;
}
