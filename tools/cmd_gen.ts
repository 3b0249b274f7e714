// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror gen object`: objects linked to one, as `bpftool gen object` does it. */
import type { CommandModule } from "yargs";
import { LibbpfPrinter } from "./lib/bpf/libbpf_internal.ts";
import {
	bpf_linker__add_file,
	bpf_linker__finalize,
	bpf_linker__free,
	bpf_linker__new,
} from "./lib/bpf/linker.ts";
import { strerror } from "./lib/bpf/strerror.ts";

interface Args {
	output: string;
	input: string[];
	debug: boolean;
}

export function genCommand(done: (code: number) => void): CommandModule {
	return {
		command: "gen <what>",
		describe: "Link objects to one (gen object OUTPUT INPUT...) as bpftool gen does",
		builder: (y) => y.command(objectCommand(done)).demandCommand(1, "What to generate? See --help."),
		handler: () => {},
	};
}

function objectCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "object <output> <input..>",
		describe: "Link one or more BPF objects statically into OUTPUT",
		builder: (y) =>
			y
				.positional("output", { type: "string", demandOption: true, describe: "The object to write" })
				.positional("input", {
					type: "string",
					array: true,
					demandOption: true,
					describe: "Objects to be linked",
				})
				.option("debug", {
					alias: "d",
					type: "boolean",
					default: false,
					describe: "libbpf's debug messages",
				}),
		handler: (args) => done(do_object(args)),
	};
}

/** tools/bpf/bpftool/gen.c: do_object */
function do_object(args: Args): number {
	const p_err = (text: string): number => {
		process.stderr.write(`Error: ${text}\n`);
		return 255;
	};
	const said = (err: number): string => `${strerror(-err) ?? `Unknown error ${-err}`} (${-err})`;
	const pr = new LibbpfPrinter((level, text) => {
		if (level < 2 || args.debug) process.stderr.write(text);
	});
	const linker = bpf_linker__new(pr, args.output);
	if (typeof linker === "number") return p_err("failed to create BPF linker instance");
	try {
		for (const file of args.input) {
			const err = bpf_linker__add_file(linker, file);
			if (err) return p_err(`failed to link '${file}': ${said(err)}`);
		}
		const err = bpf_linker__finalize(linker);
		return err ? p_err(`failed to finalize ELF file: ${said(err)}`) : 0;
	} finally {
		bpf_linker__free(linker);
	}
}
