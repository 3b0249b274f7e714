// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror`: one command, a subcommand for each tool. */
import yargs from "yargs";
import { arenaCommand } from "./cmd_arena.ts";
import { benchCommand } from "./cmd_bench.ts";
import { compareCommand } from "./cmd_compare.ts";
import { conformanceCommand } from "./cmd_conformance.ts";
import { dumpCommand } from "./cmd_dump.ts";
import { exploreCommand } from "./cmd_explore.ts";
import { genCommand } from "./cmd_gen.ts";
import { recordCommand } from "./cmd_record.ts";
import { ringCommand } from "./cmd_ring.ts";
import { runCommand } from "./cmd_run.ts";
import { normalizeArgs, testProgsCommand } from "./cmd_test_progs.ts";
import { testVerifierCommand } from "./cmd_test_verifier.ts";
import { veristatCommand } from "./cmd_veristat.ts";
import { vmCommand } from "./cmd_vm.ts";

/** Run a command line; returns the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
	let status = 0;
	const done = (code: number) => {
		status = code;
	};
	const parser = yargs(normalizeArgs(argv))
		.scriptName("bpf-mirror")
		.usage("$0 <command>\n\nThe Linux v6.12 BPF subsystem, in your terminal.")
		.command(testProgsCommand(done))
		.command(testVerifierCommand(done))
		.command(veristatCommand(done))
		.command(runCommand(done))
		.command(dumpCommand(done))
		.command(arenaCommand(done))
		.command(genCommand(done))
		.command(compareCommand(done))
		.command(recordCommand(done))
		.command(exploreCommand(done))
		.command(ringCommand(done))
		.command(benchCommand(done))
		.command(conformanceCommand(done))
		.command(vmCommand(done))
		.demandCommand(1, "Which command? See --help.")
		.strict()
		.recommendCommands()
		.alias("h", "help")
		.version(false)
		.exitProcess(false)
		.fail((msg, err, y) => {
			if (err) throw err;
			process.stderr.write(`${msg}\n\n`);
			y.showHelp("error");
			status = 1;
		});
	await parser.parseAsync();
	return status;
}
