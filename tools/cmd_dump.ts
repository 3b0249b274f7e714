// SPDX-License-Identifier: GPL-2.0-only
/**
 * `bpf-mirror dump`: an object's programs with source, instructions and the machine code of both architectures side
 * by side; or, as `dump xlated` and `dump jited`, what `bpftool prog dump` shows of them.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Capstone } from "capstone-wasm";
import type { CommandModule } from "yargs";
import { EBADF } from "../include/uapi/asm-generic/errno.ts";
import { ARCHES, parseArches } from "./arches.ts";
import { disassembler, ProgDump, parse_kallsyms } from "./bpf/bpftool/dump.ts";
import { bpf_prog_get_info_by_fd } from "./lib/bpf/bpf.ts";
import { bpf_object__load, bpf_object__open_mem, bpf_object__programs } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { strerror } from "./lib/bpf/strerror.ts";
import { bootMirror, type MirrorArch } from "./mirror.ts";
import { type PlugArgs, pluggedBtf, plugOptions } from "./plug_btf.ts";
import { type LoadedOn, sideBySide, sideBySideText } from "./side_by_side.ts";

interface Args extends PlugArgs {
	object: string | undefined;
	what: string;
	"arm64-object": string | undefined;
	prog: string | undefined;
	opcodes: boolean;
	linum: boolean;
	json: boolean;
	pretty: boolean;
	arch: string | undefined;
}

export function dumpCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "dump <what> [object]",
		describe:
			"Show a program's source, instructions and machine code side by side, or what bpftool prog dump shows",
		builder: (y) =>
			plugOptions(y)
				.positional("what", {
					type: "string",
					demandOption: true,
					describe: "A BPF object; or xlated or jited, and then the object: as bpftool prog dump",
				})
				.positional("object", { type: "string", describe: "A BPF object, after xlated or jited" })
				.option("prog", { type: "string", requiresArg: true, describe: "Only this program" })
				.option("opcodes", { type: "boolean", default: false, describe: "Show raw bytes too" })
				.option("linum", { type: "boolean", default: false, describe: "Show file and line of each line" })
				.option("json", { alias: "j", type: "boolean", default: false, describe: "As JSON" })
				.option("pretty", { alias: "p", type: "boolean", default: false, describe: "As JSON, indented" })
				// what is compiled from C is another object for each architecture
				.option("arm64-object", { type: "string", hidden: true })
				.option("arch", {
					type: "string",
					describe:
						"Architectures of the kernels, with a comma between: both side by side; of xlated and jited one",
				}),
		handler: async (args) => done(await dump(args)),
	};
}

function fail(line: string): number {
	process.stderr.write(`${line}\n`);
	return 1;
}

/** A kernel with the chosen programs of an object loaded; or why they are not. */
function loaded(path: string, arch: MirrorArch, args: Args, insn_maps: boolean) {
	const { prog } = args;
	const plugged = pluggedBtf(args);
	if (typeof plugged === "string") return plugged;
	let bytes: Uint8Array;
	try {
		bytes = readFileSync(path);
	} catch (e) {
		return (e as Error).message;
	}
	const mirror = bootMirror({ ...plugged, arch, config: { insn_maps } });
	const sys = mirror.newProcess();
	const said: string[] = [];
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level === 0) said.push(text);
		},
	});
	const open = () => bpf_object__open_mem(lib, bytes, { object_name: basename(path).split(".")[0]! });
	let obj = open();
	if (typeof obj === "number") return `${said.join("")}${path}: ${strerror(-obj) ?? `errno ${-obj}`}`;
	const names = bpf_object__programs(obj).map((p) => p.name);
	const wanted = (name: string): boolean => prog === undefined || name === prog;
	if (!names.some(wanted)) return `${path} has no program ${prog ?? ""}; it has: ${names.join(", ")}`;
	for (const p of bpf_object__programs(obj)) p.autoload = wanted(p.name);
	let err = bpf_object__load(obj);
	if (err === -EBADF && prog !== undefined) {
		// a prog array that wants the others too
		obj = open();
		if (typeof obj === "number") return `${path}: errno ${-obj}`;
		err = bpf_object__load(obj);
	}
	if (err) return `${said.join("")}${path}: not loaded: ${strerror(-err) ?? `errno ${-err}`}`;
	const chosen = bpf_object__programs(obj).filter((p) => wanted(p.name));
	const kallsyms = sys.readFile("/proc/kallsyms");
	const syms = parse_kallsyms(typeof kallsyms === "number" ? "" : Buffer.from(kallsyms).toString("latin1"));
	return { mirror, sys, lib, obj, chosen, syms };
}

/** Source, instructions and machine code of every architecture. */
async function view(args: Args, path: string, arches: readonly MirrorArch[]): Promise<number> {
	const on = arches.map((arch) =>
		loaded((arch === "arm64" && args["arm64-object"]) || path, arch, args, true),
	);
	const kernels: Exclude<(typeof on)[number], string>[] = [];
	for (const [i, k] of on.entries()) {
		if (typeof k === "string") return fail(on.length > 1 ? `${arches[i]}: ${k}` : k);
		kernels.push(k);
	}
	const cs: Capstone[] = [];
	for (const arch of arches) cs.push(await disassembler(arch));
	const all: unknown[] = [];
	for (const [n, p] of kernels[0]!.chosen.entries()) {
		const programs: LoadedOn[] = [];
		for (const [i, k] of kernels.entries()) {
			const info = bpf_prog_get_info_by_fd(k.lib, k.chosen[n]!.fd);
			if (typeof info === "number") return fail(`${p.name}: ${strerror(-info) ?? `errno ${-info}`}`);
			const dump = new ProgDump(info, info.btf_id ? k.obj.btf : null, k.syms, args);
			const map = k.mirror.insnMap(info.id);
			if (!map) return fail(`${p.name}: the kernel did not keep where its instructions went`);
			programs.push({
				arch: arches[i]!,
				map,
				dump,
				cs: cs[i]!,
				symbol: (addr) => k.syms.at.get(addr) ?? k.mirror.symbol(addr),
			});
		}
		const functions = sideBySide(kernels[0]!.obj, p, programs);
		if (args.json || args.pretty) all.push({ prog: p.name, section: p.sec_name, arches, functions });
		else process.stdout.write(`${n ? "\n" : ""}${sideBySideText(functions, arches, args)}`);
	}
	if (all.length) process.stdout.write(`${JSON.stringify(all, null, args.pretty ? 4 : undefined)}\n`);
	return 0;
}

async function dump(args: Args): Promise<number> {
	const bpftool = args.what === "xlated" || args.what === "jited";
	const path = bpftool ? args.object : args.what;
	if (path === undefined) return fail(`dump ${args.what}: of which object?`);
	if (!bpftool && args.object !== undefined)
		return fail(`dump: ${args.what} is neither xlated nor jited; without them there is one object`);
	const arches = parseArches(args.arch ?? (bpftool ? "x86_64" : ARCHES.join()));
	if (typeof arches === "string") return fail(arches);
	if (!bpftool) return view(args, path, arches);
	if (arches.length > 1) return fail(`dump ${args.what}: one --arch, as bpftool runs on one machine`);
	const arch = arches[0]!;
	const kernel = loaded((arch === "arm64" && args["arm64-object"]) || path, arch, args, false);
	if (typeof kernel === "string") return fail(kernel);
	const { lib, obj, chosen, syms } = kernel;
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
