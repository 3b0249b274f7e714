// SPDX-License-Identifier: GPL-2.0-only
/** `bpf-mirror record`: writes what a real kernel says of programs into a file that `compare` reads. */
import { readFileSync, writeFileSync } from "node:fs";
import type { CommandModule } from "yargs";
import {
	handled,
	inputOf,
	OBJECTS,
	ownObjects,
	PROGRAM_OPTIONS,
	type ProgramArgs,
	realKernel,
	TEST_MODULES,
	trampolineReader,
	wantedOf,
	withKernel,
	withProcess,
} from "./other_kernel.ts";
import { object_name } from "./upstream/load_case.ts";
import { loader_of } from "./upstream/loader.ts";
import { kernel_files } from "./upstream/machine_facts.ts";
import { pruned_kallsyms, write_record } from "./upstream/record_file.ts";
import type { ProgRecord } from "./upstream/records.ts";
import { take_object } from "./upstream/take_record.ts";

interface Args extends ProgramArgs {
	of: string;
	output: string;
	"all-symbols": boolean;
	"with-objects": boolean;
}

/** Every name that an object's string tables hold: its own symbols and those it wants of the kernel. */
function names_in(files: readonly string[]): Set<string> {
	const out = new Set<string>();
	for (const file of files)
		for (const name of readFileSync(file).toString("latin1").split("\0"))
			if (/^[A-Za-z_][\w.]*$/.test(name)) out.add(name);
	return out;
}

async function record(args: Args): Promise<number> {
	const spec = realKernel(args.of);
	if (!spec) throw new Error(`there is no kernel ${args.of}: host, vm:x86_64 or vm:arm64`);
	const input = inputOf(args);
	const wanted = wantedOf(args);
	const { Comparer } = await import("../scripts/compare.ts");
	return withKernel(spec, async (kernel) => {
		const files = await withProcess(kernel, (sys) => kernel_files(sys, TEST_MODULES));
		const paths = args.objects?.length ? args.objects : ownObjects(files.facts.arch);
		const unpriv = files.facts.unprivileged_bpf_disabled === 0;
		const comparer = new Comparer(files);
		const objects = new Map<string, ProgRecord[]>();
		const elf = new Map<string, Uint8Array>();
		let refused = 0;
		for (const path of paths) {
			const obj = object_name(path);
			const object = { path, bytes: new Uint8Array(readFileSync(path)) };
			const progs: ProgRecord[] = [];
			await withProcess(kernel, (sys) => {
				const l = loader_of(sys);
				const trampolines = trampolineReader(kernel, l, files);
				const mine = (p: string): boolean => wanted(obj, p);
				for (const t of take_object(l, object, { unpriv, input, only: mine, trampolines })) {
					if (t.record) progs.push(t.record);
					else {
						refused++;
						process.stderr.write(`${obj}/${t.prog} is left out: ${t.refused}\n`);
					}
				}
			});
			// the mirror's questions say which symbols a comparison needs, and its trampolines where others end
			for (const rec of progs) {
				const [c] = comparer.compare(object, rec);
				if (rec.trampoline?.code && c?.levels.trampoline === "equal")
					rec.trampoline.code = rec.trampoline.code.slice(0, 2 * comparer.trampoline_size);
			}
			process.stderr.write(`${obj}: ${progs.length} programs\n`);
			if (progs.length === 0) continue;
			objects.set(obj, progs);
			if (args["with-objects"]) elf.set(obj, object.bytes);
		}
		const asked = comparer.symbols_asked;
		const named = names_in(paths);
		const kallsyms = args["all-symbols"]
			? files.kallsyms
			: pruned_kallsyms(files.kallsyms, (name) => asked.has(name) || named.has(name));
		const bytes = write_record({ files: { ...files, kallsyms }, objects, elf });
		writeFileSync(args.output, bytes);
		const n = [...objects.values()].reduce((sum, p) => sum + p.length, 0);
		process.stdout.write(
			`${args.output}: ${n} programs of ${objects.size} objects, ${kernel.name} (${files.facts.release}), ${(bytes.length / (1 << 20)).toFixed(2)} MiB\n`,
		);
		return n > 0 && refused < n ? 0 : 1;
	});
}

export function recordCommand(done: (code: number) => void): CommandModule<object, Args> {
	return {
		command: "record [objects..]",
		describe: "Write what a real kernel says of programs into a file that compare reads",
		builder: (y) =>
			y
				.positional("objects", OBJECTS)
				.option("of", {
					type: "string",
					demandOption: true,
					requiresArg: true,
					describe: "host (the machine's own kernel), vm:x86_64 or vm:arm64 (6.12 under QEMU)",
				})
				.option("output", {
					alias: "o",
					type: "string",
					demandOption: true,
					requiresArg: true,
					describe: "The file: NAME.tar.br",
				})
				.options(PROGRAM_OPTIONS)
				.option("with-objects", {
					type: "boolean",
					default: true,
					describe: "Keep the objects in the record, so that comparing needs no compiler",
				})
				.option("all-symbols", {
					type: "boolean",
					default: false,
					describe: "Keep every kernel symbol, not only those that these programs need",
				}),
		handler: handled(record, done),
	};
}
