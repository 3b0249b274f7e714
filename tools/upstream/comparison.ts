// SPDX-License-Identifier: GPL-2.0-only
/** What a comparison with another kernel found, and how it is shown. */
import Table from "cli-table3";
import { colours } from "../colours.ts";
import { VERSION_DIFFS } from "./version_diffs.ts";

/** In the order in which a program goes through them. */
export const COMPARE_LEVELS = [
	"insns",
	"verdict",
	"log",
	"stats",
	"xlated",
	"jited",
	"trampoline",
	"run",
	"maps",
] as const;
export type CompareLevel = (typeof COMPARE_LEVELS)[number];

/** `version`: a known difference between the releases, no defect. */
export type LevelResult = "equal" | "version" | "differs";

export interface Finding {
	level: CompareLevel;
	/** The first difference, with its place. */
	text: string;
	/** The known version differences that explain it. */
	version?: string[];
}

/** One load of one program. */
export interface ProgComparison {
	obj: string;
	prog: string;
	unpriv: boolean;
	levels: Partial<Record<CompareLevel, LevelResult>>;
	findings: Finding[];
	/** What the program asked for in its test run that the mirror has not: that run is not compared. */
	lacks?: string;
}

/** A program that one side does not load at all, for a reason that is not the program's. */
export interface Skipped {
	obj: string;
	prog: string;
	why: string;
}

/** A test run that is not compared, for what the mirror lacks. */
export function lacking(c: ProgComparison): Skipped {
	return { obj: c.obj, prog: c.prog, why: `test run, not ported: ${c.lacks}` };
}

/** What is not compared as it stands, for `--explain`. */
export const NORMALISATIONS: readonly string[] = [
	"insns: descriptors of maps stand for the maps' names, those of BTF objects are not compared. Instructions that differ mean that the object is not the one of the record.",
	"log: kernel addresses are numbered in the order in which they first appear, so that one address must be one other address throughout. `verification time N usec` is a time. Nothing else is touched.",
	"stats: the statistics line is part of the log; this level is the number of instructions processed, also where the log is too long to be recorded.",
	"xlated: map ids and kernel addresses stand for what they name, one for one throughout the program. Calls are compared as they are: by the other kernel's symbols, which are plugged into the mirror.",
	"jited: compared whole, byte for byte, with the line table and the places of functions. The mirror's image is made for the other kernel's addresses: helpers are at its symbols, images where it had them, maps and data where its image loads them from.",
	"xlated, jited: the CPU's number and this_cpu_off are where the other kernel has them: the first program that uses one says where, and all others must agree.",
	"trampoline: a kernel in a virtual machine has each program that goes on a trampoline (fentry, fexit, fmod_ret, LSM) attached on top of those of its object before it, and what it made is read through /proc/kcore. Compared whole: the mirror's is made for the same addresses, of the image, the programs, the function and the kernel's own. The addresses of struct bpf_tramp_image and struct bpf_prog, which no system call tells, are read off the other image and must be the same one throughout. What lies behind the last instruction is not compared, nor what cannot be attached because ftrace does not know the function. Trampolines of struct_ops are not: the mirror attaches none but those of bpf_dummy_ops, which last only as long as a test run.",
	"run, maps: the other kernel runs each program twice; eight bytes that are not the same both times (times, random numbers) are not compared, nor is such a return value or such a map of elements.",
	"run, maps: a program that goes through tasks (bpf_iter_task_new) meets the threads of the process that asks: where that has more than one, as on the machine's own kernel, neither is compared.",
	"run, maps: where the mirror differs, it runs the program again, with other addresses, times and random numbers, and other bytes on the stack (privileged programs may read what they never wrote): what is then not the same for the mirror itself is not compared.",
	"run: where the program asks for something that the mirror says is not ported, the run is listed with that reason, and not compared.",
	"maps: eight bytes that are a kernel address on both sides are not compared (list heads, nodes of trees).",
	"run: programs run on CPU 0. They get 64 zero bytes, or what --data-in, --ctx-in or --seed say; programs of type syscall get the context only.",
	"Maps are not pinned, whatever the object says.",
	"An arena is mapped in the mirror where the other kernel's process had it.",
	"The mirror has the other kernel's vmlinux BTF, configuration, mitigations and CPU features.",
];

/** The text of --explain. */
export function explanation(): string {
	const known = VERSION_DIFFS.map(
		(d) =>
			`  ${d.id} (since ${d.since}${d.backported ? `, later in ${d.backported.join(", ")}` : ""}): ${d.what}\n      ${d.commit}`,
	);
	return [
		"What is compared, and what stands for something else in the comparison:",
		...NORMALISATIONS.map((n) => `  - ${n}`),
		"",
		"Differences between 6.12 and later kernels that are known, and are no defects:",
		...known,
		"",
	].join("\n");
}

const MARK: Readonly<Record<LevelResult, string>> = { equal: "=", version: "v", differs: "≠" };

function count(of: readonly ProgComparison[], level: CompareLevel): string {
	const all = of.filter((c) => c.levels[level] !== undefined);
	if (all.length === 0) return colours.dim("-");
	const good = all.filter((c) => c.levels[level] === "equal").length;
	const version = all.filter((c) => c.levels[level] === "version").length;
	if (good === all.length) return colours.green(`${good}`);
	const text = `${good}/${all.length}${version ? ` (${version} v)` : ""}`;
	return good + version === all.length ? colours.yellow(text) : colours.red(text);
}

/** A line an object: how many loads are equal at each level. */
export function comparison_table(all: readonly ProgComparison[]): string {
	const table = new Table({
		head: ["", "loads", ...COMPARE_LEVELS],
		style: { head: [], border: [], compact: true },
		colAligns: ["left", "right", ...COMPARE_LEVELS.map(() => "right" as const)],
	});
	const row = (name: string, of: readonly ProgComparison[]): void => {
		table.push([name, String(of.length), ...COMPARE_LEVELS.map((l) => count(of, l))]);
	};
	const objects = [...new Set(all.map((c) => c.obj))];
	for (const obj of objects)
		row(
			obj,
			all.filter((c) => c.obj === obj),
		);
	if (objects.length !== 1) row(colours.bold("all"), all);
	return table.toString();
}

/** A program's line: its levels, and the first difference of each. */
export function comparison_lines(c: ProgComparison): string {
	const levels = COMPARE_LEVELS.filter((l) => c.levels[l]).map((l) => {
		const r = c.levels[l]!;
		const text = `${l} ${MARK[r]}`;
		return r === "equal" ? colours.dim(text) : r === "version" ? colours.yellow(text) : colours.red(text);
	});
	const name = `${c.obj}/${c.prog}${c.unpriv ? " (unprivileged)" : ""}`;
	const lines = [`${colours.bold(name)}: ${levels.join("  ")}`];
	for (const f of c.findings) {
		const known = f.version && VERSION_DIFFS.filter((d) => f.version?.includes(d.id));
		const head = known
			? `${f.level}, by version: ${known.map((d) => `${d.what} (${d.id}, since ${d.since})`).join("; ")}`
			: `${f.level}:`;
		lines.push(
			`  ${head}`,
			...(known
				? []
				: f.text
						.trimEnd()
						.split("\n")
						.map((l) => `    ${l}`)),
		);
	}
	return `${lines.join("\n")}\n`;
}

/** Whether something differs that no known difference explains. */
export function has_difference(all: readonly ProgComparison[]): boolean {
	return all.some((c) => c.findings.some((f) => f.version === undefined));
}
