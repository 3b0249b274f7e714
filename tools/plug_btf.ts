// SPDX-License-Identifier: GPL-2.0-only
/** `--vmlinux-btf FILE` and `--module-btf NAME=FILE`: a real kernel's types for the emulated one. */
import { readFileSync } from "node:fs";
import type { Argv } from "yargs";
import { type Btf, btf__new } from "./lib/bpf/btf.ts";
import { LibbpfPrinter } from "./lib/bpf/libbpf_internal.ts";

export interface PlugArgs {
	"vmlinux-btf": string | undefined;
	"module-btf": string[] | undefined;
}

/** What boot() is given of them. */
export interface PluggedBtf {
	vmlinuxBtf?: Uint8Array;
	moduleBtfs?: Record<string, Uint8Array>;
}

/** The two options, for a command that boots a kernel. */
export function plugOptions<T>(y: Argv<T>): Argv<T & PlugArgs> {
	return y
		.option("vmlinux-btf", {
			type: "string",
			requiresArg: true,
			describe: "The vmlinux BTF of a real kernel, instead of the built-in one",
		})
		.option("module-btf", {
			type: "string",
			array: true,
			nargs: 1,
			describe: "The BTF of a module of that kernel: NAME=FILE",
		}) as Argv<T & PlugArgs>;
}

/** The files' bytes, or in a line what is wrong with them. */
export function pluggedBtf(args: PlugArgs): PluggedBtf | string {
	const out: PluggedBtf = {};
	let said = "";
	const pr = new LibbpfPrinter((_level, text) => {
		said = text.trim();
	});
	let base: Btf | null = null;
	const read = (file: string): Uint8Array | string => {
		let bytes: Uint8Array;
		try {
			bytes = readFileSync(file);
		} catch (e) {
			return (e as Error).message;
		}
		const btf = btf__new(pr, bytes, base);
		if (typeof btf === "number") return `${file} is no BTF: ${said.replace(/^libbpf: /, "")}`;
		base ??= btf;
		return bytes;
	};
	const modules: (readonly [string, string])[] = [];
	for (const given of args["module-btf"] ?? []) {
		const [name, file] = given.split("=", 2);
		if (!name || !file) return `--module-btf takes NAME=FILE, not ${given}`;
		modules.push([name, file]);
	}
	const vmlinux = args["vmlinux-btf"];
	if (vmlinux !== undefined) {
		const bytes = read(vmlinux);
		if (typeof bytes === "string") return bytes;
		out.vmlinuxBtf = bytes;
	} else if (modules.length > 0) {
		return "--module-btf goes with --vmlinux-btf: a module's types build on those of its kernel";
	}
	for (const [name, file] of modules) {
		const bytes = read(file);
		if (typeof bytes === "string") return bytes;
		out.moduleBtfs = { ...out.moduleBtfs, [name]: bytes };
	}
	return out;
}
