// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror`: one command, a subcommand for each tool. */
import yargs, { type Argv } from "yargs";
import { normalizeArgs } from "./args.ts";

type Done = (code: number) => void;
/** Adds a command to the parser. */
type Add = (y: Argv, done: Done) => Argv;

/** The commands; each is loaded when it is asked for, since all together take a quarter of a second. */
const COMMANDS: Readonly<Record<string, () => Promise<Add>>> = {
	test_progs: async () => {
		const { testProgsCommand } = await import("./cmd_test_progs.ts");
		return (y, done) => y.command(testProgsCommand(done));
	},
	test_verifier: async () => {
		const { testVerifierCommand } = await import("./cmd_test_verifier.ts");
		return (y, done) => y.command(testVerifierCommand(done));
	},
	veristat: async () => {
		const { veristatCommand } = await import("./cmd_veristat.ts");
		return (y, done) => y.command(veristatCommand(done));
	},
	run: async () => {
		const { runCommand } = await import("./cmd_run.ts");
		return (y, done) => y.command(runCommand(done));
	},
	dump: async () => {
		const { dumpCommand } = await import("./cmd_dump.ts");
		return (y, done) => y.command(dumpCommand(done));
	},
	arena: async () => {
		const { arenaCommand } = await import("./cmd_arena.ts");
		return (y, done) => y.command(arenaCommand(done));
	},
	gen: async () => {
		const { genCommand } = await import("./cmd_gen.ts");
		return (y, done) => y.command(genCommand(done));
	},
	compare: async () => {
		const { compareCommand } = await import("./cmd_compare.ts");
		return (y, done) => y.command(compareCommand(done));
	},
	record: async () => {
		const { recordCommand } = await import("./cmd_record.ts");
		return (y, done) => y.command(recordCommand(done));
	},
	explore: async () => {
		const { exploreCommand } = await import("./cmd_explore.ts");
		return (y, done) => y.command(exploreCommand(done));
	},
	ring: async () => {
		const { ringCommand } = await import("./cmd_ring.ts");
		return (y, done) => y.command(ringCommand(done));
	},
	bench: async () => {
		const { benchCommand } = await import("./cmd_bench.ts");
		return (y, done) => y.command(benchCommand(done));
	},
	conformance: async () => {
		const { conformanceCommand } = await import("./cmd_conformance.ts");
		return (y, done) => y.command(conformanceCommand(done));
	},
	vm: async () => {
		const { vmCommand } = await import("./cmd_vm.ts");
		return (y, done) => y.command(vmCommand(done));
	},
};

/** Run a command line; returns the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
	let status = 0;
	const done = (code: number) => {
		status = code;
	};
	const asked = Object.hasOwn(COMMANDS, argv[0] ?? "") ? [argv[0]!] : Object.keys(COMMANDS);
	let parser = yargs(normalizeArgs(argv))
		.scriptName("bpf-mirror")
		.usage("$0 <command>\n\nThe Linux v6.12 BPF subsystem, in your terminal.")
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
	for (const name of asked) parser = (await COMMANDS[name]!())(parser, done);
	await parser.parseAsync();
	return status;
}
