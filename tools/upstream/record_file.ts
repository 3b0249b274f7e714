// SPDX-License-Identifier: GPL-2.0-only
/**
 * A record of a real kernel in one file: NAME.tar.br, a tar archive compressed with brotli, which Node has. In it:
 *
 *     machine.json   format (1), release, architecture, and what of the machine changes images (MachineFacts)
 *     kallsyms       the symbols that verifying and JITing these programs asks for, as /proc/kallsyms has them
 *     kconfig        the kernel's configuration
 *     vmlinux.btf    its types; NAME.btf those of a module
 *     OBJ.jsonl      an object: a line of JSON for each program (ProgRecord)
 *     OBJ.bpf.o      the object itself, so that the comparison needs no compiler
 *
 * Folders and archives of the same files, unpacked or compressed by gzip or zstd, are read as well.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync } from "node:zlib";
import { type KernelFiles, MACHINE_JSON, type MachineFacts } from "./machine_facts.ts";
import type { ProgRecord } from "./records.ts";
import { BadArchive, tar, untar } from "./tar.ts";

const VMLINUX = "vmlinux.btf";

/** The machine that the first records were taken on: they do not say. */
export function selftest_machine(arch: "x86_64" | "arm64"): MachineFacts {
	return {
		format: 1,
		release: "6.12.95",
		arch,
		x86: {
			ibt: true,
			retpoline: "off",
			rethunk: false,
			sls: false,
			bmi2: true,
			pgtable_levels: 5,
			clear_bhb: false,
		},
		arm64: { lse_atomics: true, bti: false, pac: false, va_bits: 52 },
		mitigations_off: false,
		bpf_jit_harden: 0,
		unprivileged_bpf_disabled: 0,
	};
}

/** A record: the kernel, and what it said to each object's programs. */
export interface RecordFile {
	readonly files: KernelFiles;
	readonly objects: ReadonlyMap<string, readonly ProgRecord[]>;
	/** The objects themselves, where the record brings them: by name. */
	readonly elf: ReadonlyMap<string, Uint8Array>;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text_of = (bytes: Uint8Array): string =>
	Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");

/** The kernel's files among those of a record. `arch` is for those that do not say. */
export function kernel_files_of(
	files: ReadonlyMap<string, Uint8Array>,
	arch: "x86_64" | "arm64",
): KernelFiles {
	const get = (name: string): Uint8Array => {
		const f = files.get(name);
		if (!f) throw new BadArchive(`the record has no ${name}`);
		return f;
	};
	const machine = files.get(MACHINE_JSON);
	const facts = machine ? (JSON.parse(text_of(machine)) as MachineFacts) : selftest_machine(arch);
	if (facts.format !== 1)
		throw new BadArchive(`the record has format ${String(facts.format)}: this version reads format 1`);
	const moduleBtfs: Record<string, Uint8Array> = {};
	for (const [name, bytes] of files)
		if (name.endsWith(".btf") && name !== VMLINUX) moduleBtfs[name.slice(0, -4)] = bytes;
	return {
		kallsyms: get("kallsyms"),
		kconfig: text_of(get("kconfig")),
		vmlinuxBtf: get(VMLINUX),
		moduleBtfs,
		facts,
	};
}

function parse_objects(files: ReadonlyMap<string, Uint8Array>): Map<string, ProgRecord[]> {
	const out = new Map<string, ProgRecord[]>();
	for (const [name, bytes] of files) {
		if (!name.endsWith(".jsonl")) continue;
		const lines = text_of(bytes).split("\n");
		out.set(
			name.slice(0, -6),
			lines.filter((l) => l !== "").map((l) => JSON.parse(l) as ProgRecord),
		);
	}
	return out;
}

const ELF = ".bpf.o";

function elf_of(files: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
	const names = [...files.keys()].filter((n) => n.endsWith(ELF));
	return new Map(names.map((n) => [n.slice(0, -ELF.length), files.get(n)!]));
}

/** Decompresses by what the name ends with. */
export function decompress(name: string, bytes: Uint8Array): Uint8Array {
	if (name.endsWith(".br")) return brotliDecompressSync(bytes);
	if (name.endsWith(".gz")) return gunzipSync(bytes);
	if (!name.endsWith(".zst")) return bytes;
	const zstd = spawnSync("zstd", ["-dqc"], { input: bytes, maxBuffer: 1 << 30 });
	if (zstd.error || zstd.status !== 0)
		throw new Error(`${name}: the command zstd is needed (${zstd.error?.message ?? zstd.stderr.toString()})`);
	return zstd.stdout;
}

/** Whether a name is that of a packed record. */
export function is_record_file(name: string): boolean {
	return /\.tar(\.br|\.gz|\.zst)?$/.test(name);
}

/** Reads a record: a packed file, or a folder of its files. Errors name the file and what is wrong with it. */
export function read_record(path: string, arch: "x86_64" | "arm64" = "x86_64"): RecordFile {
	let files: Map<string, Uint8Array>;
	try {
		if (statSync(path).isDirectory()) {
			const names = readdirSync(path).filter((n) =>
				/\.(btf|jsonl)$|\.bpf\.o$|^(kallsyms|kconfig|machine\.json)$/.test(n),
			);
			files = new Map(names.map((n) => [n, readFileSync(join(path, n))]));
		} else files = untar(decompress(path, readFileSync(path)));
		return { files: kernel_files_of(files, arch), objects: parse_objects(files), elf: elf_of(files) };
	} catch (e) {
		throw new Error(`${path}: ${(e as Error).message}`);
	}
}

/** Only the symbols of these names. */
export function pruned_kallsyms(kallsyms: Uint8Array, wanted: (name: string) => boolean): Uint8Array {
	const lines = Buffer.from(kallsyms).toString("latin1").split("\n");
	// those of modules have "\t[module]" behind them; images of programs are no symbols of the kernel
	const keep = lines.filter((l) => wanted(l.slice(19).split("\t")[0]!) && !l.endsWith("\t[bpf]"));
	return utf8(`${keep.join("\n")}\n`);
}

/** Packs a record. */
export function write_record(record: RecordFile, best = true): Uint8Array {
	const { kallsyms, kconfig, vmlinuxBtf, moduleBtfs, facts } = record.files;
	const files: [string, Uint8Array][] = [
		[MACHINE_JSON, utf8(`${JSON.stringify(facts, null, "\t")}\n`)],
		["kallsyms", kallsyms],
		["kconfig", utf8(kconfig)],
		[VMLINUX, vmlinuxBtf],
	];
	for (const [name, bytes] of Object.entries(moduleBtfs)) files.push([`${basename(name)}.btf`, bytes]);
	for (const [obj, progs] of record.objects)
		files.push([`${obj}.jsonl`, utf8(progs.map((p) => `${JSON.stringify(p)}\n`).join(""))]);
	for (const [obj, bytes] of record.elf) files.push([`${obj}${ELF}`, bytes]);
	const archive = tar(files);
	return brotliCompressSync(archive, {
		params: {
			[constants.BROTLI_PARAM_QUALITY]: best ? constants.BROTLI_MAX_QUALITY : 5,
			[constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
			[constants.BROTLI_PARAM_SIZE_HINT]: archive.length,
		},
	});
}
