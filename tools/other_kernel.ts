// SPDX-License-Identifier: GPL-2.0-only
/** What `compare` and `record` have in common: objects, a real kernel to ask, input of test runs. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Sys } from "../include/sys.ts";
import type { TestKernel } from "../selftests/bpf/test_env.ts";
import { NotToBeSeen } from "./kernels/kernel_memory.ts";
import { type KernelSpec, openTestKernel, parseKernel } from "./kernels/open_kernel.ts";
import type { RunInput } from "./upstream/load_case.ts";
import type { Loader } from "./upstream/loader.ts";
import type { KernelFiles } from "./upstream/machine_facts.ts";
import { TrampolineReader } from "./upstream/trampolines.ts";

type Arch = "x86_64" | "arm64";

/** The project's own selftest objects for an architecture. */
export function ownObjects(arch: Arch): string[] {
	const root = join(dirname(fileURLToPath(import.meta.url)), "..");
	const dir = join(root, ".cache/progs", arch === "arm64" ? "arm64" : "x86");
	if (!existsSync(dir)) throw new Error(`${dir} is not built: npm run setup`);
	return readdirSync(dir)
		.filter((n) => n.endsWith(".bpf.o"))
		.sort()
		.map((n) => join(dir, n));
}

/** Modules of upstream's selftests, whose BTF programs may want. */
export const TEST_MODULES: readonly string[] = [
	"bpf_testmod",
	"bpf_test_no_cfi",
	"bpf_test_modorder_x",
	"bpf_test_modorder_y",
];

/** A real kernel by its name, or null when the name is none of a kernel. */
export function realKernel(name: string): Exclude<KernelSpec, { kind: "mirror" }> | null {
	const spec = parseKernel(name);
	return typeof spec === "string" || spec.kind === "mirror" ? null : spec;
}

/** Runs `fn` with a kernel, and ends what was booted for it. */
export async function withKernel<T>(
	spec: Exclude<KernelSpec, { kind: "mirror" }>,
	fn: (kernel: TestKernel) => Promise<T>,
): Promise<T> {
	const kernel = await openTestKernel(spec);
	try {
		return await fn(kernel);
	} finally {
		await kernel.close?.();
	}
}

/** Runs `fn` with a new process of a kernel. */
export async function withProcess<T>(kernel: TestKernel, fn: (sys: Sys) => T | Promise<T>): Promise<T> {
	const sys = kernel.newProcess();
	try {
		return await fn(sys);
	} finally {
		await kernel.endProcess(sys);
	}
}

/**
 * What looks at a kernel's trampolines, when it is asked for; undefined where programs are not attached.
 * `attaching` is told which program is attached next.
 */
export function trampolineReader(
	kernel: TestKernel,
	l: Loader,
	files: KernelFiles,
	attaching: (prog: string) => void = () => {},
): (() => TrampolineReader | undefined) | undefined {
	if (kernel.noAttach !== undefined) return undefined;
	return () => {
		try {
			return new TrampolineReader(l, files.kallsyms, attaching);
		} catch (e) {
			if (!(e instanceof NotToBeSeen)) throw e;
			process.stderr.write(`trampolines of ${kernel.name} cannot be looked at: ${e.message}\n`);
			return undefined;
		}
	};
}

/** What both commands are told: which programs, and what they are run with. */
export interface ProgramArgs {
	objects: string[] | undefined;
	only: string | undefined;
	"data-in": string | undefined;
	"ctx-in": string | undefined;
	repeat: number | undefined;
	seed: number | undefined;
}

/** Hex digits, or @FILE. */
function bytesOf(text: string): string {
	if (text.startsWith("@")) return readFileSync(text.slice(1)).toString("hex");
	if (!/^([0-9a-f]{2})+$/i.test(text)) throw new Error(`'${text}' is neither hex digits nor @FILE`);
	return text.toLowerCase();
}

/** 64 to 255 bytes that a seed stands for (xorshift32). */
function generated(seed: number): string {
	let x = seed >>> 0 || 1;
	const next = (): number => {
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		x >>>= 0;
		return x;
	};
	const bytes = Uint8Array.from({ length: 64 + (next() % 192) }, () => next() & 255);
	return Buffer.from(bytes).toString("hex");
}

/** The input, or undefined where nothing was said of it. */
export function inputOf(args: ProgramArgs): RunInput | undefined {
	const input: RunInput = {};
	if (args.seed !== undefined) input.data = generated(args.seed);
	if (args["data-in"] !== undefined) input.data = bytesOf(args["data-in"]);
	if (args["ctx-in"] !== undefined) input.ctx = bytesOf(args["ctx-in"]);
	if (args.repeat !== undefined) input.repeat = args.repeat;
	return Object.keys(input).length ? input : undefined;
}

/** What is wrong with a file, before anything is booted for it; null where nothing is to be seen. */
function wrongWith(path: string): string | null {
	if (!existsSync(path)) return "there is no such file";
	if (!statSync(path).isFile()) return "this is no file";
	const magic = readFileSync(path).subarray(0, 4).toString("latin1");
	return magic === "\x7fELF" ? null : "this is no ELF object";
}

/** Which programs a command line wants. Throws where it names what is no object. */
export function wantedOf(args: ProgramArgs): (obj: string, prog: string) => boolean {
	for (const file of args.objects ?? []) {
		const wrong = wrongWith(file);
		if (wrong !== null) throw new Error(`${file}: ${wrong}`);
	}
	const only = new RegExp(args.only ?? "");
	return (obj, prog) => only.test(`${obj}/${prog}`);
}

/** A command's handler: its exit status, or 2 behind one line that says what is wrong. */
export const handled =
	<A>(run: (args: A) => Promise<number>, done: (code: number) => void) =>
	async (args: A): Promise<void> => {
		try {
			done(await run(args));
		} catch (e) {
			process.stderr.write(`${(e as Error).message}\n`);
			done(2);
		}
	};

/** Arguments of both commands, for yargs. */
export const OBJECTS = {
	type: "string",
	array: true,
	describe: "Objects to load; the project's own selftests without any",
} as const;

/** Options of both commands, for yargs. */
export const PROGRAM_OPTIONS = {
	"data-in": {
		type: "string",
		requiresArg: true,
		describe: "Data of the test runs: hex digits, or @FILE; 64 zero bytes by themselves",
	},
	"ctx-in": { type: "string", requiresArg: true, describe: "Context of the test runs: hex digits, or @FILE" },
	repeat: { type: "number", requiresArg: true, describe: "How often a test run repeats the program" },
	seed: {
		type: "number",
		requiresArg: true,
		describe: "Generate the data of the test runs from this number",
	},
	only: { type: "string", requiresArg: true, describe: "Regular expression on OBJECT/PROGRAM" },
} as const;
