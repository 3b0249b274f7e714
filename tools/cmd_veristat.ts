// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror veristat`: statistics of the verifier for the programs of object files. */
import type { CommandModule } from "yargs";
import { Veristat, VeristatError, type VeristatOptions } from "../selftests/bpf/veristat.ts";
import { bootMirror } from "./mirror.ts";
import { type PlugArgs, pluggedBtf, plugOptions } from "./plug_btf.ts";

interface Args extends PlugArgs {
	files: string[] | undefined;
	version: boolean;
	verbose: boolean;
	debug: boolean;
	quiet: boolean;
	"log-level": number;
	"log-fixed": boolean;
	"log-size": number;
	"top-n": number;
	emit: string[] | undefined;
	sort: string[] | undefined;
	"output-format": string;
	compare: boolean;
	replay: boolean;
	filter: string[] | undefined;
	"test-states": boolean;
	"test-reg-invariants": boolean;
	arch: string;
}

export function veristatCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "veristat [files..]",
		describe: "Collect and compare statistics of the verifier",
		builder: (y) =>
			plugOptions(y)
				.positional("files", {
					type: "string",
					array: true,
					describe: "BPF objects; CSV files with -C and -R",
				})
				.option("version", { alias: "V", type: "boolean", default: false, describe: "Print version" })
				.option("verbose", { alias: "v", type: "boolean", default: false, describe: "Verbose mode" })
				.option("debug", {
					alias: "d",
					type: "boolean",
					default: false,
					describe: "Show libbpf's debug messages too",
				})
				.option("log-level", {
					alias: "l",
					type: "number",
					default: 0,
					describe: "Verifier log level (0, or 1 when verbose)",
				})
				.option("log-fixed", { type: "boolean", default: false, describe: "Disable verifier log rotation" })
				.option("log-size", {
					type: "number",
					default: 0,
					describe: "Bytes of the verifier log (16 MiB when verbose)",
				})
				.option("top-n", {
					alias: "n",
					type: "number",
					default: 0,
					describe: "Emit only up to first N results",
				})
				.option("quiet", { alias: "q", type: "boolean", default: false, describe: "Quiet mode" })
				.option("emit", {
					alias: "e",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Stats to be emitted",
				})
				.option("sort", { alias: "s", type: "string", array: true, nargs: 1, describe: "Sort order" })
				.option("output-format", { alias: "o", type: "string", default: "table", describe: "table or csv" })
				.option("compare", { alias: "C", type: "boolean", default: false, describe: "Compare two CSV files" })
				.option("replay", {
					alias: "R",
					type: "boolean",
					default: false,
					describe: "Show the results of a CSV file",
				})
				.option("filter", {
					alias: "f",
					type: "string",
					array: true,
					nargs: 1,
					describe: "Filter, or @file with filters",
				})
				.option("test-states", {
					alias: "t",
					type: "boolean",
					default: false,
					describe: "Set BPF_F_TEST_STATE_FREQ",
				})
				.option("test-reg-invariants", {
					alias: "r",
					type: "boolean",
					default: false,
					describe: "Set BPF_F_TEST_REG_INVARIANTS",
				})
				.option("arch", {
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				}),
		handler: (args) => {
			if (args.version) {
				process.stdout.write("veristat v<kernel>\n");
				return done(0);
			}
			const verbose = args.verbose || args.debug;
			const options: VeristatOptions = {
				files: args.files ?? [],
				verbose,
				debug: args.debug,
				quiet: args.quiet,
				log_level: args["log-level"],
				log_fixed: args["log-fixed"],
				log_size: args["log-size"],
				top_n: args["top-n"],
				emit: args.emit ?? [],
				sort: args.sort ?? [],
				output_format: args["output-format"],
				compare: args.compare,
				replay: args.replay,
				filters: args.filter ?? [],
				test_states: args["test-states"],
				test_reg_invariants: args["test-reg-invariants"],
			};
			const io = {
				out: (text: string) => {
					process.stdout.write(text);
				},
				err: (text: string) => {
					process.stderr.write(text);
				},
			};
			const plugged = pluggedBtf(args);
			if (typeof plugged === "string") {
				io.err(`${plugged}\n`);
				return done(1);
			}
			try {
				const arch = args.arch === "arm64" ? "arm64" : "x86_64";
				const sys = args.compare || args.replay ? null : bootMirror({ arch, ...plugged }).newProcess();
				done(new Veristat(options, sys, io).run());
			} catch (e) {
				if (!(e instanceof VeristatError)) throw e;
				io.err(`${e.message}\n`);
				done(e.status);
			}
		},
	};
}
