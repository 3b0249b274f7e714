// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror test_verifier`: the tables of raw-instruction tests. */
import type { CommandModule } from "yargs";
import { rangeOf, testVerifier } from "../selftests/bpf/test_verifier.ts";
import { noJitVerifierTests, verifierTests } from "../selftests/bpf/verifier/index.ts";
import { bootTestKernel, type MirrorArch } from "./mirror.ts";
import { type PlugArgs, pluggedBtf, plugOptions } from "./plug_btf.ts";

interface Args extends PlugArgs {
	range?: (string | number)[];
	verbose: boolean;
	interpret: boolean;
	arch: string;
	"state-embedding": boolean;
}

export function testVerifierCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "test_verifier [range..]",
		describe: "Load tables of raw-instruction programs and compare verdict, message and result",
		builder: (y) =>
			plugOptions(y)
				.positional("range", {
					type: "string",
					array: true,
					describe: "A test's number, or the first and the last",
				})
				.option("verbose", { alias: "v", type: "boolean", default: false, describe: "Show the kernel's log" })
				.option("interpret", {
					type: "boolean",
					default: false,
					describe: "Run the programs on the interpreter instead of the JIT's code",
				})
				.option("state-embedding", {
					type: "boolean",
					default: false,
					describe: "Hold every executed instruction against the states that the verifier recorded (slow)",
				})
				.option("arch", {
					type: "string",
					choices: ["x86_64", "arm64"],
					default: "x86_64",
					describe: "Architecture of the kernel",
				}),
		handler: async (args) => {
			const range = (args.range ?? []).map(String);
			const only = range.length ? rangeOf(range) : null;
			if (range.length && !only) {
				process.stderr.write("Usage: test_verifier [-v] [first [last]]\n");
				return done(1);
			}
			const plugged = pluggedBtf(args);
			if (typeof plugged === "string") {
				process.stderr.write(`${plugged}\n`);
				return done(1);
			}
			const kernel = await bootTestKernel({
				arch: args.arch as MirrorArch,
				verbosity: 0,
				stateEmbedding: args["state-embedding"],
				boot: { ...plugged, config: { bpf_jit_enable: !args.interpret } },
			});
			done(
				await testVerifier(
					args.interpret ? [...verifierTests, ...noJitVerifierTests] : verifierTests,
					kernel,
					{
						only,
						verbose: args.verbose,
						jit: !args.interpret,
						out: (text) => process.stdout.write(text),
					},
				),
			);
		},
	};
}
