// SPDX-License-Identifier: GPL-2.0-only
/**
 * veristat: what the verifier has to do for each program, as a table or CSV, sorted, filtered and compared.
 * Mirrors tools/testing/selftests/bpf/veristat.c: its flags, columns, filters and output.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Sys } from "../../include/sys.ts";
import { E2BIG, EINVAL, ESRCH } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_CGROUP_DEVICE,
	BPF_CGROUP_INET4_BIND,
	BPF_CGROUP_INET4_POST_BIND,
	BPF_CGROUP_SETSOCKOPT,
	BPF_CGROUP_SOCK_OPS,
	BPF_CGROUP_SYSCTL,
	BPF_F_TEST_REG_INVARIANTS,
	BPF_F_TEST_STATE_FREQ,
	BPF_MAP_TYPE_CGROUP_STORAGE,
	BPF_MAP_TYPE_INODE_STORAGE,
	BPF_MAP_TYPE_SK_STORAGE,
	BPF_MAP_TYPE_TASK_STORAGE,
	BPF_PROG_TYPE_CGROUP_DEVICE,
	BPF_PROG_TYPE_CGROUP_SOCK,
	BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
	BPF_PROG_TYPE_CGROUP_SOCKOPT,
	BPF_PROG_TYPE_CGROUP_SYSCTL,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_KPROBE,
	BPF_PROG_TYPE_PERF_EVENT,
	BPF_PROG_TYPE_RAW_TRACEPOINT,
	BPF_PROG_TYPE_SCHED_CLS,
	BPF_PROG_TYPE_SK_LOOKUP,
	BPF_PROG_TYPE_SK_MSG,
	BPF_PROG_TYPE_SK_REUSEPORT,
	BPF_PROG_TYPE_SOCK_OPS,
	BPF_PROG_TYPE_XDP,
	BPF_SK_LOOKUP,
	BPF_SK_MSG_VERDICT,
	BPF_SK_REUSEPORT_SELECT_OR_MIGRATE,
	BPF_XDP,
} from "../../include/uapi/linux/bpf.ts";
import { BTF_KIND_FUNC } from "../../include/uapi/linux/btf.ts";
import { btf_is_func_proto, btf_is_mod, btf_is_ptr, btf_params, btf_vlen } from "../../tools/lib/bpf/btf.ts";
import { ELFCLASS64, Elf, EM_BPF, ET_REL } from "../../tools/lib/bpf/elf.ts";
import {
	bpf_map__set_max_entries,
	bpf_map__set_pin_path,
	type bpf_object,
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_file,
	bpf_object__programs,
	type bpf_program,
	bpf_program__set_autoload,
	bpf_program__set_expected_attach_type,
	bpf_program__set_flags,
	bpf_program__set_log_buf,
	bpf_program__set_log_level,
	bpf_program__set_type,
	LIBBPF_DEBUG,
	Libbpf,
	read_log,
} from "../../tools/lib/bpf/libbpf.ts";
import { libbpf_bpf_prog_type_str } from "../../tools/lib/bpf/libbpf_strs.ts";

// enum stat_id
const VERDICT = 0;
const DURATION = 1;
const TOTAL_INSNS = 2;
const TOTAL_STATES = 3;
const PEAK_STATES = 4;
const MAX_STATES_PER_INSN = 5;
const MARK_READ_MAX_LEN = 6;
const FILE_NAME = 7;
const PROG_NAME = 8;
const ALL_STATS_CNT = 9;

type StatId = number;
/** enum stat_variant */
type Variant = "_a" | "_b" | "_diff" | "_pct";
const VARIANTS: readonly Variant[] = ["_a", "_b", "_diff", "_pct"];

/** struct verif_stats */
interface VerifStats {
	file_name: string;
	prog_name: string;
	/** By stat_id. */
	stats: number[];
}

interface Join {
	file_name: string;
	prog_name: string;
	a: VerifStats | null;
	b: VerifStats | null;
}

interface StatSpec {
	id: StatId;
	variant: Variant;
	asc: boolean;
	abs: boolean;
}

type Op = "==" | "!=" | "<" | "<=" | ">" | ">=";

type Filter =
	| { kind: "name"; any: string | null; file: string | null; prog: string | null }
	| { kind: "stat"; op: Op; id: StatId; variant: Variant; value: number; abs: boolean };

interface StatDef {
	header: string;
	names: readonly string[];
	asc_by_default: boolean;
	left_aligned: boolean;
}

const STAT_DEFS: readonly StatDef[] = [
	{ header: "Verdict", names: ["verdict"], asc_by_default: true, left_aligned: true },
	{ header: "Duration (us)", names: ["duration", "dur"], asc_by_default: false, left_aligned: false },
	{ header: "Insns", names: ["total_insns", "insns"], asc_by_default: false, left_aligned: false },
	{ header: "States", names: ["total_states", "states"], asc_by_default: false, left_aligned: false },
	{ header: "Peak states", names: ["peak_states"], asc_by_default: false, left_aligned: false },
	{
		header: "Max states per insn",
		names: ["max_states_per_insn"],
		asc_by_default: false,
		left_aligned: false,
	},
	{
		header: "Max mark read length",
		names: ["max_mark_read_len", "mark_read"],
		asc_by_default: false,
		left_aligned: false,
	},
	{ header: "File", names: ["file_name", "filename", "file"], asc_by_default: true, left_aligned: true },
	{ header: "Program", names: ["prog_name", "progname", "prog"], asc_by_default: true, left_aligned: true },
];

const spec = (id: StatId, asc = false): StatSpec => ({ id, variant: "_a", asc, abs: false });
const DEFAULT_OUTPUT = [FILE_NAME, PROG_NAME, VERDICT, DURATION, TOTAL_INSNS, TOTAL_STATES, PEAK_STATES].map(
	(id) => spec(id),
);
const DEFAULT_CSV_OUTPUT = [...DEFAULT_OUTPUT, spec(MAX_STATES_PER_INSN), spec(MARK_READ_MAX_LEN)];
const BY_NAME = [spec(FILE_NAME, true), spec(PROG_NAME, true)];

/** veristat's command line. */
export interface VeristatOptions {
	files: readonly string[];
	verbose: boolean;
	debug: boolean;
	quiet: boolean;
	log_level: number;
	log_fixed: boolean;
	log_size: number;
	top_n: number;
	emit: readonly string[];
	sort: readonly string[];
	output_format: string;
	compare: boolean;
	replay: boolean;
	filters: readonly string[];
	test_states: boolean;
	test_reg_invariants: boolean;
}

/** Something of the command line or a file that veristat does not take: shown, and the end with this exit status. */
export class VeristatError extends Error {
	readonly status: number;
	constructor(message: string, status = 1) {
		super(message);
		this.status = status;
	}
}

/** argp_help(ARGP_HELP_USAGE) of veristat's options */
const USAGE = `Usage: veristat [-CdqrRtvV] [-e SPEC] [-f FILTER] [-l LEVEL] [-n N] [-o FMT]
            [-s SPEC] [--compare] [--debug] [--emit=SPEC] [--filter=FILTER]
            [--log-fixed] [--log-size=BYTES] [--log-level=LEVEL] [--top-n=N]
            [--output-format=FMT] [--quiet] [--test-reg-invariants] [--replay]
            [--sort=SPEC] [--test-states] [--verbose] [--version]`;

/** A wrong use of the command line. */
const misused = (text: string, status = EINVAL): VeristatError =>
	new VeristatError(`${text}\n\n${USAGE}`, status);

/** tools/testing/selftests/bpf/veristat.c: glob_matches: only `*` is special. */
export function glob_matches(str: string, pat: string): boolean {
	let i = 0;
	while (i < str.length && i < pat.length && pat[i] !== "*") {
		if (str[i] !== pat[i]) return false;
		i++;
	}
	if (pat[i] === "*") {
		let j = i;
		while (pat[j] === "*") j++;
		if (j === pat.length) return true;
		for (let k = i; k < str.length; k++) if (glob_matches(str.slice(k), pat.slice(j))) return true;
		i = str.length;
		return j === pat.length;
	}
	return i === str.length && i === pat.length;
}

/** A stat's name with what it is of: `insns`, `insns_diff`, `|insns_pct|`; null when there is none such. */
function parse_stat_id_var(text: string): { id: StatId; variant: Variant; abs: boolean } | null {
	let name = text;
	const abs = name.length > 2 && name.startsWith("|") && name.endsWith("|");
	if (abs) name = name.slice(1, -1);
	for (const id of [FILE_NAME, PROG_NAME, ...Array.from({ length: FILE_NAME }, (_, i) => i)]) {
		for (const alias of STAT_DEFS[id]!.names) {
			if (name === alias) return { id, variant: "_b", abs };
			const variant = VARIANTS.find((v) => name === alias + v);
			if (variant) return { id, variant, abs };
		}
	}
	return null;
}

/** A name with its order: `^` ascending; `v`, `.`, `!` or `_` descending. */
function parse_stat(text: string, specs: StatSpec[]): void {
	if (specs.length >= ALL_STATS_CNT)
		throw new VeristatError(`Can't specify more than ${ALL_STATS_CNT} stats`, E2BIG);
	let name = text;
	let asc: boolean | null = null;
	const last = name.at(-1)!;
	if (name.length > 1 && "^vV.!_".includes(last)) {
		asc = last === "^";
		name = name.slice(0, -1);
	}
	const found = parse_stat_id_var(name);
	if (!found) throw new VeristatError(`Unrecognized stat name '${text}'`, ESRCH);
	specs.push({ ...found, asc: asc ?? STAT_DEFS[found.id]!.asc_by_default });
}

function parse_specs(lists: readonly string[]): StatSpec[] {
	const specs: StatSpec[] = [];
	for (const list of lists) for (const text of list.split(",")) if (text !== "") parse_stat(text, specs);
	return specs;
}

/** What argp_parse() fails with ends veristat with 1. */
function of_command_line<T>(parse: () => T): T {
	try {
		return parse();
	} catch (e) {
		if (!(e instanceof VeristatError)) throw e;
		throw new VeristatError(e.message);
	}
}

const OPERATORS: readonly (readonly [Op, string])[] = [
	["==", "=="],
	["!=", "!="],
	["!=", "<>"],
	["<=", "<="],
	["<", "<"],
	[">=", ">="],
	[">", ">"],
	["==", "="],
];
const TRUE_WORDS = new Set(["true", "t", "success", "succ", "s", "match", "m"]);
const FALSE_WORDS = new Set(["false", "f", "failure", "fail", "mismatch", "mis"]);

/** tools/testing/selftests/bpf/veristat.c: append_filter: `FILE/PROG` globs, or a stat, an operator and a value. */
export function parse_filter(str: string): Filter {
	for (const [op, text] of OPERATORS) {
		const at = str.indexOf(text);
		if (at < 0) continue;
		const found = parse_stat_id_var(str.slice(0, at));
		if (!found) throw new VeristatError(`Unrecognized stat name in '${str}'!`, EINVAL);
		if (found.id >= FILE_NAME) throw new VeristatError(`Non-integer stat is specified in '${str}'!`, EINVAL);
		const word = str.slice(at + text.length);
		let value: number;
		if (TRUE_WORDS.has(word.toLowerCase())) value = 1;
		else if (FALSE_WORDS.has(word.toLowerCase())) value = 0;
		else if (/^\s*[-+]?\d+$/.test(word)) value = Number(word);
		else throw new VeristatError(`Invalid integer value in '${str}'!`, EINVAL);
		return { kind: "stat", op, id: found.id, variant: found.variant, value, abs: true };
	}
	const slash = str.indexOf("/");
	if (slash < 0) return { kind: "name", any: str, file: null, prog: null };
	return { kind: "name", any: null, file: str.slice(0, slash) || null, prog: str.slice(slash + 1) || null };
}

const HEADER_CHAR = "-";
const COLUMN_SEP = "  ";
const is_key_stat = (id: StatId): boolean => id === FILE_NAME || id === PROG_NAME;
const strcmp = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The text or number of a stat; "N/A" where there are no stats. */
function value_of(s: VerifStats | null, id: StatId): string | number {
	if (id === FILE_NAME) return s ? s.file_name : "N/A";
	if (id === PROG_NAME) return s ? s.prog_name : "N/A";
	if (id === VERDICT) return !s ? "N/A" : s.stats[VERDICT] ? "success" : "failure";
	return s ? s.stats[id]! : 0;
}

/** Where veristat writes. */
export interface VeristatOutput {
	out(text: string): void;
	err(text: string): void;
}

export class Veristat {
	private readonly o: VeristatOptions;
	private readonly io: VeristatOutput;
	private readonly lib: Libbpf | null;
	private readonly table: boolean;
	private readonly allow: Filter[] = [];
	private readonly deny: Filter[] = [];
	private readonly output: StatSpec[];
	private readonly sort: StatSpec[];
	private readonly stats: VerifStats[] = [];
	private files_processed = 0;
	private files_skipped = 0;
	private progs_processed = 0;
	private progs_skipped = 0;

	/** Without a process only CSV files can be looked at. */
	constructor(o: VeristatOptions, sys: Sys | null, io: VeristatOutput) {
		this.o = o;
		this.io = io;
		if (o.output_format !== "table" && o.output_format !== "csv")
			throw new VeristatError(`Unrecognized output format '${o.output_format}'`);
		this.table = o.output_format === "table";
		if (o.verbose && o.quiet)
			throw misused("Verbose and quiet modes are incompatible, please specify just one or neither!", 1);
		if (o.compare && o.replay) throw misused("Can't specify replay and comparison mode at the same time!", 1);
		const emit = of_command_line(() => parse_specs(o.emit));
		this.output = emit.length > 0 ? emit : this.table ? DEFAULT_OUTPUT : DEFAULT_CSV_OUTPUT;
		const sort = of_command_line(() => parse_specs(o.sort));
		this.sort = sort.length > 0 ? sort : BY_NAME;
		for (const f of o.filters) {
			try {
				this.add_filter(f);
			} catch (e) {
				if (!(e instanceof VeristatError)) throw e;
				throw new VeristatError(`${e.message}\nFailed to collect program filter expressions: ${-e.status}`);
			}
		}
		this.lib = sys
			? new Libbpf(sys, {
					print: (level, text) => {
						if (!o.verbose || (level === LIBBPF_DEBUG && !o.debug)) return;
						io.err(text);
					},
				})
			: null;
	}

	private add_filter(text: string): void {
		if (text.startsWith("@")) {
			let lines: string;
			try {
				lines = readFileSync(text.slice(1), "utf8");
			} catch (e) {
				const { errno = -EINVAL } = e as NodeJS.ErrnoException;
				throw new VeristatError(`Failed to open filters in '${text.slice(1)}': ${errno}`, -errno);
			}
			for (const line of lines.split("\n").map((l) => l.trim())) {
				if (line !== "" && !line.startsWith("#")) this.add_filter(line);
			}
		} else if (text.startsWith("!")) {
			this.deny.push(parse_filter(text.slice(1)));
		} else {
			this.allow.push(parse_filter(text));
		}
	}

	/** What is asked for; 0, or the exit status. */
	run(): number {
		if (this.o.compare) this.compare();
		else if (this.o.replay) this.replay();
		else this.verify();
		return 0;
	}

	/** tools/testing/selftests/bpf/veristat.c: should_process_file_prog */
	private wanted(file: string, prog: string | null): boolean {
		for (const f of this.deny) {
			if (f.kind !== "name") continue;
			if (f.any !== null && glob_matches(file, f.any)) return false;
			if (f.any !== null && prog !== null && glob_matches(prog, f.any)) return false;
			if (f.file !== null && glob_matches(file, f.file)) return false;
			if (f.prog !== null && prog !== null && glob_matches(prog, f.prog)) return false;
		}
		let names = 0;
		for (const f of this.allow) {
			if (f.kind !== "name") continue;
			names++;
			if (f.any !== null) {
				if (glob_matches(file, f.any)) return true;
				if (prog === null || glob_matches(prog, f.any)) return true;
			} else {
				if (f.file !== null && !glob_matches(file, f.file)) continue;
				if (f.prog !== null && prog !== null && !glob_matches(prog, f.prog)) continue;
				return true;
			}
		}
		return names === 0;
	}

	private verify(): void {
		if (this.o.files.length === 0) throw misused("Please provide path to BPF object file!");
		for (const file of this.o.files) this.process_obj(file);
		this.stats.sort((a, b) => this.cmp_stats(a, b));
		this.output_prog_stats();
	}

	private process_obj(file: string): void {
		const lib = this.lib!;
		const base = basename(file);
		if (!this.wanted(base, null)) {
			if (this.o.verbose) this.io.out(`Skipping '${file}' due to filters...\n`);
			this.files_skipped++;
			return;
		}
		if (!is_bpf_obj_file(file)) {
			if (this.o.verbose) this.io.out(`Skipping '${file}' as it's not a BPF object file...\n`);
			this.files_skipped++;
			return;
		}
		if (!this.o.quiet && this.table) this.io.out(`Processing '${base}'...\n`);
		const obj = bpf_object__open_file(lib, file);
		if (typeof obj === "number") {
			this.io.err(`Failed to open '${file}': ${obj}\n`);
			this.files_skipped++;
			return;
		}
		this.files_processed++;
		const progs = bpf_object__programs(obj);
		if (progs.length === 1) {
			bpf_program__set_autoload(progs[0]!, true);
			this.process_prog(file, obj, progs[0]!);
			bpf_object__close(obj);
			return;
		}
		for (const prog of progs) {
			const tobj = bpf_object__open_file(lib, file);
			if (typeof tobj === "number")
				throw new VeristatError(
					`Failed to open '${file}': ${tobj}\nFailed to process '${file}': ${tobj}`,
					-tobj,
				);
			let lprog: bpf_program | null = null;
			for (const tprog of bpf_object__programs(tobj)) {
				const same = tprog.name === prog.name;
				bpf_program__set_autoload(tprog, same);
				if (same) lprog = tprog;
			}
			this.process_prog(file, tobj, lprog!);
			bpf_object__close(tobj);
		}
		bpf_object__close(obj);
	}

	private process_prog(file: string, obj: bpf_object, prog: bpf_program): void {
		const { o } = this;
		const lib = this.lib!;
		const base = basename(file);
		if (!this.wanted(base, prog.name)) {
			this.progs_skipped++;
			return;
		}
		const size = o.verbose ? o.log_size || 16 << 20 : 64 << 10;
		const log_level = (o.verbose ? o.log_level || 1 : 0) | 4 | (o.log_fixed ? 8 : 0);
		const buf = lib.heap.alloc(size);
		lib.sys.store8(buf, 0);
		bpf_program__set_log_buf(prog, buf, size);
		bpf_program__set_log_level(prog, log_level);
		this.fixup_obj(obj, prog, base);
		if (o.test_states) bpf_program__set_flags(prog, prog.prog_flags | BPF_F_TEST_STATE_FREQ);
		if (o.test_reg_invariants) bpf_program__set_flags(prog, prog.prog_flags | BPF_F_TEST_REG_INVARIANTS);
		const err = bpf_object__load(obj);
		this.progs_processed++;
		const log = read_log(lib, buf, size);
		lib.heap.free(buf);
		const s: VerifStats = { file_name: base, prog_name: prog.name, stats: new Array(FILE_NAME).fill(0) };
		s.stats[VERDICT] = err === 0 ? 1 : 0;
		parse_verif_log(log, s);
		this.stats.push(s);
		if (o.verbose) {
			this.io.out(
				`PROCESSING ${file}/${prog.name}, DURATION US: ${s.stats[DURATION]}, VERDICT: ${err ? "failure" : "success"}, VERIFIER LOG:\n${log}\n`,
			);
		}
	}

	/** tools/testing/selftests/bpf/veristat.c: fixup_obj: what would only keep the program from the verifier. */
	private fixup_obj(obj: bpf_object, prog: bpf_program, file: string): void {
		for (const map of obj.maps) {
			bpf_map__set_pin_path(map, null);
			switch (map.def.type) {
				case BPF_MAP_TYPE_SK_STORAGE:
				case BPF_MAP_TYPE_TASK_STORAGE:
				case BPF_MAP_TYPE_INODE_STORAGE:
				case BPF_MAP_TYPE_CGROUP_STORAGE:
					break;
				default:
					if (map.def.max_entries === 0) bpf_map__set_max_entries(map, 1);
			}
		}
		if (prog.type !== BPF_PROG_TYPE_EXT) return;
		const ctx_name = only_context(obj, prog);
		if (ctx_name === null) return;
		const guess = CTX_MAP.find(([uapi, kern]) => uapi === ctx_name || kern === ctx_name);
		if (guess) {
			const [, , type, attach_type] = guess;
			bpf_program__set_type(prog, type);
			bpf_program__set_expected_attach_type(prog, attach_type);
			if (!this.o.quiet)
				this.io.out(
					`Using guessed program type '${libbpf_bpf_prog_type_str(type)}' for ${file}/${prog.name}...\n`,
				);
		} else if (!this.o.quiet) {
			this.io.out(
				`Failed to guess program type for freplace program with context type name '${ctx_name}' for ${file}/${prog.name}. Consider using canonical type names to help veristat...\n`,
			);
		}
	}

	private cmp_stats(a: VerifStats, b: VerifStats, by = this.sort): number {
		for (const { id, asc, abs } of by) {
			let cmp: number;
			if (id === FILE_NAME) cmp = strcmp(a.file_name, b.file_name);
			else if (id === PROG_NAME) cmp = strcmp(a.prog_name, b.prog_name);
			else {
				const x = abs ? Math.abs(a.stats[id]!) : a.stats[id]!;
				const y = abs ? Math.abs(b.stats[id]!) : b.stats[id]!;
				cmp = x - y;
			}
			if (cmp !== 0) return asc ? cmp : -cmp;
		}
		return strcmp(a.file_name, b.file_name) || strcmp(a.prog_name, b.prog_name);
	}

	private output_prog_stats(): void {
		const shown = this.stats.filter((s) => this.passes((f) => stat_matches(f, s.stats[f.id]!)));
		const cells = (s: VerifStats): string[] => this.output.map((c) => String(value_of(s, c.id)));
		if (!this.table) {
			this.io.out(`${this.output.map((c) => STAT_DEFS[c.id]!.names[0]).join(",")}\n`);
			for (const s of this.top(shown)) this.io.out(`${cells(s).join(",")}\n`);
			return;
		}
		const lens = this.output.map((c, i) =>
			Math.max(STAT_DEFS[c.id]!.header.length, ...shown.map((s) => cells(s)[i]!.length)),
		);
		const line = (texts: readonly string[], left: (i: number) => boolean): string =>
			`${texts.map((t, i) => (left(i) ? t.padEnd(lens[i]!) : t.padStart(lens[i]!))).join(COLUMN_SEP)}\n`;
		const underline = `${lens.map((n) => HEADER_CHAR.repeat(n)).join(COLUMN_SEP)}\n`;
		this.io.out(
			line(
				this.output.map((c) => STAT_DEFS[c.id]!.header),
				(i) => STAT_DEFS[this.output[i]!.id]!.left_aligned,
			),
		);
		this.io.out(underline);
		const last = shown.at(-1);
		for (const s of this.top(shown)) {
			this.io.out(line(cells(s), (i) => typeof value_of(s, this.output[i]!.id) === "string"));
			// Cut short by --top-n, the table has no end: veristat's has none either.
			if (s !== last) continue;
			this.io.out(underline);
			this.io.out(
				`Done. Processed ${this.files_processed} files, ${this.progs_processed} programs. Skipped ${this.files_skipped} files, ${this.progs_skipped} programs.\n`,
			);
		}
	}

	private top<T>(all: readonly T[]): readonly T[] {
		return this.o.top_n ? all.slice(0, this.o.top_n) : all;
	}

	private passes(matches: (f: Filter & { kind: "stat" }) => boolean): boolean {
		for (const f of this.deny) if (f.kind === "stat" && matches(f)) return false;
		const allow = this.allow.filter((f) => f.kind === "stat");
		return allow.length === 0 || allow.some(matches);
	}

	private parse_csv(file: string): { specs: StatSpec[]; rows: VerifStats[] } {
		try {
			return this.parse_stats_csv(file);
		} catch (e) {
			if (!(e instanceof VeristatError)) throw e;
			throw new VeristatError(`${e.message}\nFailed to parse stats from '${file}': ${-e.status}`, e.status);
		}
	}

	/** tools/testing/selftests/bpf/veristat.c: parse_stats_csv */
	private parse_stats_csv(file: string): { specs: StatSpec[]; rows: VerifStats[] } {
		let text: string;
		try {
			text = readFileSync(file, "utf8");
		} catch (e) {
			const { errno = -EINVAL } = e as NodeJS.ErrnoException;
			throw new VeristatError(`Failed to open '${file}': ${errno}`, -errno);
		}
		const specs: StatSpec[] = [];
		const rows: VerifStats[] = [];
		for (const [n, line] of text.split("\n").entries()) {
			const fields = line.split(",").filter((f) => f !== "");
			if (n === 0) {
				for (const f of fields) parse_stat(f, specs);
				continue;
			}
			if (line === "" && n === text.split("\n").length - 1) break;
			const row = rows.length + 1;
			const s: VerifStats = { file_name: "", prog_name: "", stats: new Array(FILE_NAME).fill(0) };
			for (const [col, f] of fields.entries()) {
				const c = specs[col];
				if (!c)
					throw new VeristatError(`Found extraneous column #${col} in row #${row} of '${file}'`, EINVAL);
				if (c.id === FILE_NAME) s.file_name = f;
				else if (c.id === PROG_NAME) s.prog_name = f;
				else if (c.id === VERDICT) {
					if (f !== "success" && f !== "failure")
						throw new VeristatError(`Unrecognized verification verdict '${f}'`, EINVAL);
					s.stats[VERDICT] = f === "success" ? 1 : 0;
				} else {
					if (!/^-?\d+$/.test(f)) throw new VeristatError(`Failed to parse '${f}' as integer`, EINVAL);
					s.stats[c.id] = Number(f);
				}
			}
			if (fields.length < specs.length)
				throw new VeristatError(`Not enough columns in row #${row} in '${file}'`, EINVAL);
			if (!s.file_name || !s.prog_name)
				throw new VeristatError(`Row #${row} in '${file}' is missing file and/or program name`, EINVAL);
			if (this.wanted(s.file_name, s.prog_name)) rows.push(s);
		}
		return { specs, rows };
	}

	private replay(): void {
		if (this.o.files.length !== 1) throw misused("Replay mode expects exactly one input CSV file!");
		this.stats.push(...this.parse_csv(this.o.files[0]!).rows);
		this.stats.sort((a, b) => this.cmp_stats(a, b));
		this.output_prog_stats();
	}

	private compare(): void {
		const [file_a, file_b] = this.o.files;
		if (this.o.files.length !== 2) throw misused("Comparison mode expects exactly two input CSV files!");
		const base = this.parse_csv(file_a!);
		const comp = this.parse_csv(file_b!);
		if (base.specs.length !== comp.specs.length) {
			throw new VeristatError(
				`Number of stats in '${file_a}' and '${file_b}' differs (${base.specs.length} != ${comp.specs.length})!`,
				EINVAL,
			);
		}
		for (const [i, s] of base.specs.entries()) {
			const t = comp.specs[i]!;
			if (s.id !== t.id) {
				throw new VeristatError(
					`Stats composition differs between '${file_a}' and '${file_b}' (${STAT_DEFS[s.id]!.names[0]} != ${STAT_DEFS[t.id]!.names[0]})!`,
					EINVAL,
				);
			}
		}
		const joins = join(
			base.rows.sort((a, b) => this.cmp_stats(a, b, BY_NAME)),
			comp.rows.sort((a, b) => this.cmp_stats(a, b, BY_NAME)),
		);
		joins.sort((a, b) => this.cmp_joins(a, b));
		const shown = this.top(joins.filter((j) => this.passes((f) => join_matches(f, j))));
		this.output_comparison(shown);
	}

	private cmp_joins(a: Join, b: Join): number {
		for (const { id, variant, asc, abs } of this.sort) {
			let cmp: number;
			if (is_key_stat(id)) {
				cmp = id === FILE_NAME ? strcmp(a.file_name, b.file_name) : strcmp(a.prog_name, b.prog_name);
			} else {
				const x = join_value(a, id, variant);
				const y = join_value(b, id, variant);
				cmp = abs ? Math.sign(Math.abs(x) - Math.abs(y)) : x < y ? -1 : x > y ? 1 : 0;
			}
			if (cmp !== 0) return asc ? cmp : -cmp;
		}
		return strcmp(a.file_name, b.file_name) || strcmp(a.prog_name, b.prog_name);
	}

	private output_comparison(shown: readonly Join[]): void {
		const columns = this.output.flatMap(({ id }) =>
			is_key_stat(id) ? [{ id, j: 0 }] : [0, 1, 2].map((j) => ({ id, j })),
		);
		if (!this.table) {
			const suffix = ["_base", "_comp", "_diff"];
			this.io.out(
				`${columns.map((c) => STAT_DEFS[c.id]!.names[0] + (is_key_stat(c.id) ? "" : suffix[c.j]!)).join(",")}\n`,
			);
			for (const s of shown) this.io.out(`${this.output.flatMap(({ id }) => comparison(s, id)).join(",")}\n`);
			return;
		}
		const suffix = [" (A)", " (B)", " (DIFF)"];
		const headers = columns.map((c) => ({
			text: STAT_DEFS[c.id]!.header,
			suffix: is_key_stat(c.id) ? "" : suffix[c.j]!,
		}));
		const rows = shown.map((s) => this.output.flatMap(({ id }) => comparison(s, id)));
		const lens = columns.map((_, i) =>
			Math.max(headers[i]!.text.length + headers[i]!.suffix.length, ...rows.map((r) => r[i]!.length)),
		);
		const underline = `${lens.map((n) => HEADER_CHAR.repeat(n)).join(COLUMN_SEP)}\n`;
		this.io.out(
			`${headers.map((h, i) => h.text.padEnd(lens[i]! - h.suffix.length) + h.suffix).join(COLUMN_SEP)}\n`,
		);
		this.io.out(underline);
		for (const row of rows) {
			const cells = row.map((t, i) => {
				const { id } = columns[i]!;
				return is_key_stat(id) || id === VERDICT ? t.padEnd(lens[i]!) : t.padStart(lens[i]!);
			});
			this.io.out(`${cells.join(COLUMN_SEP)}\n`);
		}
	}
}

/** printf's %.2f: halves that a double holds exactly go to the even digit, where toFixed() goes up. */
export function fixed2(v: number): string {
	const up = v.toFixed(2);
	const thousandths = Math.abs(v) * 1000;
	if (!Number.isInteger(thousandths) || thousandths % 10 !== 5 || !Number.isInteger(v * 8)) return up;
	const low = (thousandths - 5) / 10;
	const even = low % 2 === 0 ? low : low + 1;
	return `${v < 0 ? "-" : ""}${(even / 100).toFixed(2)}`;
}

/** A, B and the difference of one stat, as text. */
function comparison(s: Join, id: StatId): string[] {
	if (is_key_stat(id)) return [String(value_of(s.a ?? s.b, id))];
	const a = value_of(s.a, id);
	const b = value_of(s.b, id);
	if (typeof a === "string" || typeof b === "string")
		return [String(a), String(b), !s.a || !s.b ? "N/A" : a === b ? "MATCH" : "MISMATCH"];
	if (!s.a || !s.b) return [s.a ? String(a) : "N/A", s.b ? String(b) : "N/A", "N/A"];
	const diff = b - a;
	const pct = a === 0 ? (b === a ? 0 : b < a ? -100 : 100) : (diff * 100) / a;
	const sign = (n: number, text: string): string => (n < 0 || Object.is(n, -0) ? text : `+${text}`);
	return [String(a), String(b), `${sign(diff, String(diff))} (${sign(pct, fixed2(pct))}%)`];
}

/** Merges two lists that are sorted by file and program. */
function join(base: readonly VerifStats[], comp: readonly VerifStats[]): Join[] {
	const out: Join[] = [];
	let i = 0;
	let j = 0;
	while (i < base.length || j < comp.length) {
		const a = base[i];
		const b = comp[j];
		const r = !a ? 1 : !b ? -1 : strcmp(a.file_name, b.file_name) || strcmp(a.prog_name, b.prog_name);
		const name = r <= 0 ? a! : b!;
		out.push({
			file_name: name.file_name,
			prog_name: name.prog_name,
			a: r <= 0 ? a! : null,
			b: r >= 0 ? b! : null,
		});
		if (r <= 0) i++;
		if (r >= 0) j++;
	}
	return out;
}

/** tools/testing/selftests/bpf/veristat.c: fetch_join_stat_value, for numbers */
function join_value(s: Join, id: StatId, variant: Variant): number {
	const a = s.a?.stats[id] ?? 0;
	const b = s.b?.stats[id] ?? 0;
	switch (variant) {
		case "_a":
			return s.a ? a : -Number.MAX_VALUE;
		case "_b":
			return s.b ? b : -Number.MAX_VALUE;
		case "_diff":
			if (!s.a || !s.b) return -Number.MAX_VALUE;
			return id === VERDICT ? (a === b ? 1 : 0) : b - a;
		case "_pct":
			if (!s.a || !s.b) return -Number.MAX_VALUE;
			if (a === 0) return a === b ? 0 : b < a ? -100 : 100;
			return ((b - a) * 100) / a;
	}
}

function holds(op: Op, value: number, than: number, eps: number): boolean {
	switch (op) {
		case "==":
			return eps ? value > than - eps && value < than + eps : value === than;
		case "!=":
			return eps ? value < than - eps || value > than + eps : value !== than;
		case "<":
			return value < than - eps;
		case "<=":
			return value <= than + eps;
		case ">":
			return value > than + eps;
		case ">=":
			return value >= than - eps;
	}
}

function stat_matches(f: Filter & { kind: "stat" }, value: number): boolean {
	return holds(f.op, f.abs ? Math.abs(value) : value, f.value, 0);
}

function join_matches(f: Filter & { kind: "stat" }, s: Join): boolean {
	const value = join_value(s, f.id, f.variant);
	return holds(f.op, f.abs ? Math.abs(value) : value, f.value, 1e-9);
}

/** tools/testing/selftests/bpf/veristat.c: is_bpf_obj_file: what cannot be read counts as one, to be complained about. */
function is_bpf_obj_file(path: string): boolean {
	let bytes: Uint8Array;
	try {
		bytes = readFileSync(path);
	} catch {
		return true;
	}
	const elf = Elf.memory(bytes);
	if (elf === null || typeof elf === "string") return false;
	if (elf.ei_class !== ELFCLASS64) return false;
	return elf.e_type === ET_REL && (elf.e_machine === 0 || elf.e_machine === EM_BPF);
}

/** Statistics are in the last lines of a log, which may have lost its beginning. */
function parse_verif_log(log: string, s: VerifStats): void {
	for (const line of log.split("\n").slice(-100)) {
		const time = /^verification time (-?\d+) usec/.exec(line);
		if (time) s.stats[DURATION] = Number(time[1]);
		const m =
			/^processed (-?\d+) insns \(limit -?\d+\) max_states_per_insn (-?\d+) total_states (-?\d+) peak_states (-?\d+) mark_read (-?\d+)/.exec(
				line,
			);
		if (!m) continue;
		s.stats[TOTAL_INSNS] = Number(m[1]);
		s.stats[MAX_STATES_PER_INSN] = Number(m[2]);
		s.stats[TOTAL_STATES] = Number(m[3]);
		s.stats[PEAK_STATES] = Number(m[4]);
		s.stats[MARK_READ_MAX_LEN] = Number(m[5]);
	}
}

/** Type of the single context argument of a freplace program; null when it has no such argument. */
function only_context(obj: bpf_object, prog: bpf_program): string | null {
	const { btf } = obj;
	if (!btf) return null;
	const id = btf.find_by_name_kind(prog.name, BTF_KIND_FUNC);
	const func = id > 0 ? btf.type_by_id(id) : null;
	if (!func) return null;
	const proto = btf.type_by_id(func.type);
	if (!proto || !btf_is_func_proto(proto) || btf_vlen(proto) !== 1) return null;
	let t = btf.type_by_id(btf_params(proto)[0]!.type);
	while (t && btf_is_mod(t)) t = btf.type_by_id(t.type);
	if (!t || !btf_is_ptr(t)) return null;
	t = btf.type_by_id(t.type);
	while (t && btf_is_mod(t)) t = btf.type_by_id(t.type);
	return t ? btf.name(t.name_off) : null;
}

/** Context types by the names of user space and of the kernel, and what programs have them. */
const CTX_MAP: readonly (readonly [string, string | null, number, number])[] = [
	["__sk_buff", "sk_buff", BPF_PROG_TYPE_SCHED_CLS, 0],
	["bpf_sock", "sock", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND],
	["bpf_sock_addr", "bpf_sock_addr_kern", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_BIND],
	["bpf_sock_ops", "bpf_sock_ops_kern", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS],
	["sk_msg_md", "sk_msg", BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT],
	["bpf_cgroup_dev_ctx", "bpf_cgroup_dev_ctx", BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE],
	["bpf_sysctl", "bpf_sysctl_kern", BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_CGROUP_SYSCTL],
	["bpf_sockopt", "bpf_sockopt_kern", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT],
	["sk_reuseport_md", "sk_reuseport_kern", BPF_PROG_TYPE_SK_REUSEPORT, BPF_SK_REUSEPORT_SELECT_OR_MIGRATE],
	["bpf_sk_lookup", "bpf_sk_lookup_kern", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP],
	["xdp_md", "xdp_buff", BPF_PROG_TYPE_XDP, BPF_XDP],
	["bpf_user_pt_regs_t", "pt_regs", BPF_PROG_TYPE_KPROBE, 0],
	["bpf_perf_event_data", "bpf_perf_event_data_kern", BPF_PROG_TYPE_PERF_EVENT, 0],
	["bpf_raw_tracepoint_args", null, BPF_PROG_TYPE_RAW_TRACEPOINT, 0],
];
