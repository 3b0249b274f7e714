// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror dump`: what `bpftool prog dump` shows of an object's programs. */
import { readFileSync } from "node:fs";
import type { CommandModule } from "yargs";
import { disassembler, ProgDump, parse_kallsyms } from "./bpf/bpftool/dump.ts";
import { bpf_prog_get_info_by_fd } from "./lib/bpf/bpf.ts";
import { bpf_object__load, bpf_object__open_mem, bpf_object__programs } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { strerror } from "./lib/bpf/strerror.ts";
import { bootMirror, type MirrorArch } from "./mirror.ts";

interface Args {
	object: string;
	what: string;
	prog: string | undefined;
	opcodes: boolean;
	linum: boolean;
	json: boolean;
	pretty: boolean;
	arch: string;
}

export function dumpCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "dump <what> <object>",
		describe: "Show the instructions of an object's programs as bpftool prog dump does",
		builder: (y) =>
			y
				.positional("what", {
					type: "string",
					demandOption: true,
					choices: ["xlated", "jited"],
					describe: "Rewritten instructions, or machine code",
				})
				.positional("object", { type: "string", demandOption: true, describe: "A BPF object" })
				.option("prog", { type: "string", requiresArg: true, describe: "Only this program" })
				.option("opcodes", { type: "boolean", default: false, describe: "Show raw bytes too" })
				.option("linum", { type: "boolean", default: false, describe: "Show file and line of each line" })
				.option("json", { alias: "j", type: "boolean", default: false, describe: "As JSON" })
				.option("pretty", { alias: "p", type: "boolean", default: false, describe: "As JSON, indented" })
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				}),
		handler: async (args) => done(await dump(args)),
	};
}

function fail(line: string): number {
	process.stderr.write(`${line}\n`);
	return 1;
}

async function dump(args: Args): Promise<number> {
	let bytes: Uint8Array;
	try {
		bytes = readFileSync(args.object);
	} catch (e) {
		return fail((e as Error).message);
	}
	const arch = args.arch as MirrorArch;
	const sys = bootMirror({ arch }).newProcess();
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level === 0) process.stderr.write(text);
		},
	});
	const obj = bpf_object__open_mem(lib, bytes, { object_name: args.object });
	if (typeof obj === "number") return fail(`${args.object}: ${strerror(-obj) ?? `errno ${-obj}`}`);
	const programs = bpf_object__programs(obj);
	const chosen = programs.filter((p) => args.prog === undefined || p.name === args.prog);
	if (chosen.length === 0)
		return fail(
			`${args.object} has no program ${args.prog ?? ""}; it has: ${programs.map((p) => p.name).join(", ")}`,
		);
	for (const p of programs) p.autoload = chosen.includes(p);
	const err = bpf_object__load(obj);
	if (err) return fail(`${args.object}: not loaded: ${strerror(-err) ?? `errno ${-err}`}`);
	const kallsyms = sys.readFile("/proc/kallsyms");
	const syms = parse_kallsyms(typeof kallsyms === "number" ? "" : Buffer.from(kallsyms).toString("latin1"));
	const cs = args.what === "jited" ? await disassembler(arch) : null;
	const json = args.json || args.pretty;
	const dumps: unknown[] = [];
	for (const [i, p] of chosen.entries()) {
		const info = bpf_prog_get_info_by_fd(lib, p.fd);
		if (typeof info === "number") return fail(`${p.name}: ${strerror(-info) ?? `errno ${-info}`}`);
		const d = new ProgDump(info, info.btf_id ? obj.btf : null, syms, args);
		if (json) {
			const insns = cs ? d.jited_json(cs) : d.xlated_json();
			dumps.push(chosen.length > 1 ? { ...d.header_json(), insns } : insns);
			continue;
		}
		if (chosen.length > 1) process.stdout.write(d.header());
		process.stdout.write(cs ? d.jited_plain(cs) : d.xlated_plain());
		if (i < chosen.length - 1) process.stdout.write("\n");
	}
	if (json) {
		const all = chosen.length > 1 ? dumps : dumps[0];
		process.stdout.write(`${JSON.stringify(all, null, args.pretty ? 4 : undefined)}\n`);
	}
	return 0;
}
