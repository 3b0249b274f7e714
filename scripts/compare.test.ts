// SPDX-License-Identifier: GPL-2.0-only
/** The comparison itself: a mirror takes the part of the real kernel, and what is planted in its record is found. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bootMirror, type MirrorArch } from "../tools/mirror.ts";
import { comparison_lines, has_difference, type ProgComparison } from "../tools/upstream/comparison.ts";
import { loader_of } from "../tools/upstream/loader.ts";
import { kernel_files } from "../tools/upstream/machine_facts.ts";
import { type RecordFile, read_record, write_record } from "../tools/upstream/record_file.ts";
import type { ProgRecord, RecordTrampoline } from "../tools/upstream/records.ts";
import { type ObjectFile, take_object } from "../tools/upstream/take_record.ts";
import { buildOne } from "./build_progs.ts";
import { ensureClang } from "./clang.ts";
import { Comparer, comparer_of } from "./compare.ts";
import { cacheDir, rootDir } from "./paths.ts";

function object_of(name: string, arch: MirrorArch): ObjectFile {
	const path = join(cacheDir(), "progs", arch === "arm64" ? "arm64" : "x86", `${name}.bpf.o`);
	return { path, bytes: new Uint8Array(readFileSync(path)) };
}

/** What a mirror says of an object's programs, as if it were another kernel. */
function recorded(name: string, arch: MirrorArch): { record: RecordFile; object: ObjectFile } {
	const sys = bootMirror({ arch, cpus: 2 }).newProcess();
	const object = object_of(name, arch);
	const files = kernel_files(sys);
	const progs: ProgRecord[] = [];
	for (const t of take_object(loader_of(sys, 1 << 20), object, { unpriv: true })) {
		expect(t.refused).toBeUndefined();
		progs.push(t.record!);
	}
	const objects = new Map([[name, progs]]);
	return { record: { files, objects, elf: new Map([[name, object.bytes]]) }, object };
}

const first_text = (c: ProgComparison, level: string): string | undefined =>
	c.findings.find((f) => f.level === level)?.text;

describe.each(["x86_64", "arm64"] as const)("%s", (arch) => {
	const dir = mkdtempSync(join(tmpdir(), "compare."));
	let record: RecordFile;
	let object: ObjectFile;
	let comparer: Comparer;
	/** A program's record with something planted in it, compared. */
	const with_planted = (prog: string, plant: (r: ProgRecord) => void): ProgComparison => {
		const rec = structuredClone(record.objects.get("test_pkt_access")!.find((r) => r.prog === prog)!);
		plant(rec);
		return comparer.compare(object, rec)[0]!;
	};
	beforeAll(() => {
		const made = recorded("test_pkt_access", arch);
		object = made.object;
		const file = join(dir, "record.tar.br");
		writeFileSync(file, write_record(made.record, false));
		// everything below goes through the file
		record = read_record(file);
		comparer = new Comparer(record.files);
	});
	afterAll(() => rmSync(dir, { recursive: true }));

	it("a kernel that is the mirror differs nowhere", () => {
		const all = record.objects.get("test_pkt_access")!.flatMap((r) => comparer.compare(object, r));
		expect(all.length).toBeGreaterThan(0);
		expect(all.flatMap((c) => c.findings)).toEqual([]);
		expect(has_difference(all)).toBe(false);
		expect(Object.keys(all[0]!.levels).sort()).toEqual(
			["insns", "jited", "log", "maps", "run", "stats", "verdict", "xlated"].sort(),
		);
		expect(record.elf.get("test_pkt_access")!.length).toBe(object.bytes.length);
	});

	it("a wrong byte of an image is shown at its place", () => {
		// in the prologue: an address of a map is not known otherwise than from the image
		const at = 12;
		const c = with_planted("test_pkt_access", (r) => {
			const image = Buffer.from(r.g!.jited!, "hex");
			image[at]! ^= 0x01;
			r.g!.jited = image.toString("hex");
		});
		expect(c.levels).toMatchObject({ verdict: "equal", log: "equal", xlated: "equal", jited: "differs" });
		expect(first_text(c, "jited")).toMatch(new RegExp(`^jited func 0 byte ${at} `));
	});

	it("a wrong line of a log is shown with those before it", () => {
		let line = 0;
		let was = "";
		const c = with_planted("test_pkt_access", (r) => {
			const lines = r.g6!.log!.split("\n");
			line = lines.findIndex((l) => l.includes("R0"));
			was = lines[line]!;
			lines[line] = was.replace("R0", "R9");
			r.g6!.log = lines.join("\n");
		});
		expect(c.levels).toMatchObject({ verdict: "equal", log: "differs", jited: "equal" });
		const text = first_text(c, "log")!;
		expect(text.split("\n")[0]).toBe(`line ${line + 1}`);
		expect(text).toContain(`ours ${was.replace(/0xff[0-9a-f]{14}/g, "").slice(0, 12)}`);
		expect(comparison_lines(c)).toContain("R9");
	});

	it("a wrong errno is a wrong verdict", () => {
		const c = with_planted("test_pkt_access", (r) => {
			r.g!.err = -13;
		});
		expect(c.levels.verdict).toBe("differs");
		expect(first_text(c, "verdict")).toMatch(/^err 0, real -13/);
		expect(has_difference([c])).toBe(true);
	});

	it("a wrong instruction, return value and map element are found", () => {
		const insn = with_planted("test_pkt_access", (r) => {
			const xlated = Buffer.from(r.g!.xlated!, "hex");
			xlated.writeInt16LE(77, 2 * 8 + 2);
			r.g!.xlated = xlated.toString("hex");
		});
		expect(first_text(insn, "xlated")).toMatch(/^insn 2: /);
		const run = with_planted("test_pkt_access", (r) => {
			r.g!.run!.retval += 1;
		});
		expect(first_text(run, "run")).toMatch(/^returned /);
		const maps = with_planted("test_pkt_access", (r) => {
			const [name, value] = Object.entries(r.g!.data!)[0]!;
			r.g!.data![name] = `ff${value.slice(2)}`;
		});
		expect(first_text(maps, "maps")).toMatch(/^map \S+, bytes at 0: /);
	});
});

const UNDECIDED = `
#include "bpf_helpers.h"

char _license[] SEC("license") = "GPL";

SEC("socket")
__attribute__((naked)) int unwritten(void *ctx)
{
	asm volatile("r0 = *(u32 *)(r10 - 8); exit;" ::: "r0");
}

SEC("socket")
__attribute__((naked)) int whether(void *ctx)
{
	asm volatile("r0 = *(u32 *)(r10 - 8); if r0 == 0 goto +1; r0 = 1; exit;" ::: "r0");
}

SEC("socket")
__attribute__((naked)) int upper(void *ctx)
{
	asm volatile("w0 = w1; w0 >>= 16; exit;" ::: "r0");
}

unsigned int where;

SEC("socket")
int address(void *ctx)
{
	where = (unsigned int)(long)ctx;
	return 7;
}
`;

it("what a program does not decide is not compared, and what it does decide is", async () => {
	const dir = mkdtempSync(join(tmpdir(), "compare."));
	const source = join(dir, `undecided${process.pid}.c`);
	writeFileSync(source, UNDECIDED);
	const path = await buildOne(await ensureClang(), source, "x86");
	const object: ObjectFile = { path, bytes: new Uint8Array(readFileSync(path)) };
	for (const p of [path, dir]) rmSync(p, { recursive: true });
	const sys = bootMirror({ cpus: 2 }).newProcess();
	const comparer = new Comparer(kernel_files(sys));
	const records = [...take_object(loader_of(sys, 1 << 20), object, { unpriv: false })].map((t) => t.record!);
	const compared = (prog: string, plant: (r: ProgRecord) => void): ProgComparison => {
		const rec = structuredClone(records.find((r) => r.prog === prog)!);
		plant(rec);
		return comparer.compare(object, rec)[0]!;
	};
	expect(records.find((r) => r.prog === "address")!.g!.run!.retval).toBe(7);
	const flip = (r: ProgRecord): void => {
		r.g!.run!.retval ^= 0x5a5a5a;
	};
	for (const prog of ["unwritten", "whether", "upper"]) expect(compared(prog, flip).findings).toEqual([]);
	expect(first_text(compared("address", flip), "run")).toMatch(/^returned 7, real /);
	const moved = compared("address", (r) => {
		const [name] = Object.keys(r.g!.data!);
		r.g!.data![name!] = "00f0ff12";
	});
	expect(moved.findings).toEqual([]);
	expect(moved.levels.maps).toBe("equal");
});

/** A byte in each place where a text is in bytes becomes another one. */
function respelled(bytes: Uint8Array, from: string, to: string): Uint8Array {
	const out = Buffer.from(bytes);
	for (let at = out.indexOf(from); at >= 0; at = out.indexOf(from, at + 1)) out.write(to, at, "latin1");
	return out;
}

describe("against a newer kernel", () => {
	const OBJ = "test_ringbuf_multi";
	let record: RecordFile;
	let object: ObjectFile;
	/** The mirror in the part of a 6.18: without pcpu_hot in its BTF and data in its kallsyms. */
	const newer = (): Comparer => {
		const { files } = record;
		const kallsyms = Buffer.from(files.kallsyms).toString("latin1");
		return new Comparer({
			...files,
			facts: { ...files.facts, release: "6.18.1" },
			vmlinuxBtf: respelled(files.vmlinuxBtf, "\0pcpu_hot\0", "\0pcpu_h0t\0"),
			kallsyms: new Uint8Array(
				Buffer.from(kallsyms.replace(/^\w+ \w (?:pcpu_hot|this_cpu_off|jiffies)\b.*\n/gm, ""), "latin1"),
			),
		});
	};
	/** A program's record in the words of 6.18, and something else planted. */
	const with_planted = (plant: (r: ProgRecord) => void): ProgComparison => {
		const rec = structuredClone(record.objects.get(OBJ)![0]!);
		const g6 = rec.g6!;
		g6.log = g6
			.log!.replace(/\b(R\d+|fp-\d+)_r?w?D?=/g, "$1=")
			.replace(/ R10=fp0(?= |$)/gm, "")
			.replace(/ mark_read \d+$/m, " mark_read 0")
			.replace(/^(15: .*?) +;(.*)$/m, "$1\nSCC enter (1)\n16:$2");
		// the CPU's number is loaded by a move of 64 bits
		rec.g!.xlated = rec.g!.xlated!.replace(/^((?:.{16})*?)b4(000000.{8}bf00ffff00000000)/, "$1b7$2");
		expect(rec.g!.xlated).not.toBe(record.objects.get(OBJ)![0]!.g!.xlated);
		expect(g6.log).toContain("SCC enter");
		plant(rec);
		return newer().compare(object, rec)[0]!;
	};
	beforeAll(() => {
		const made = recorded(OBJ, "x86_64");
		({ record, object } = made);
	});

	it("per-CPU data are where its instructions have them", () => {
		const c = newer().compare(object, record.objects.get(OBJ)![0]!)[0]!;
		expect(c.findings).toEqual([]);
		expect(c.levels).toMatchObject({ verdict: "equal", xlated: "equal", jited: "equal" });
	});

	it("what is known of its release is no defect", () => {
		const c = with_planted(() => {});
		expect(has_difference([c])).toBe(false);
		expect(c.levels).toMatchObject({ verdict: "equal", log: "version", xlated: "version", jited: "equal" });
		const by = (level: string): readonly string[] | undefined =>
			c.findings.find((f) => f.level === level)?.version;
		expect(by("log")).toEqual(["no-register-liveness", "backedges"]);
		expect(by("xlated")).toEqual(["cpu-number"]);
	});

	it("a defect beside it is found, and shown at its place", () => {
		const log = with_planted((r) => {
			r.g6!.log = r.g6!.log!.replace(/^(2\d: .*)R0=/m, "$1R5=");
		});
		expect(log.levels).toMatchObject({ verdict: "equal", log: "differs", xlated: "version" });
		expect(first_text(log, "log")).toMatch(/^line \d+\n(?:.*\n)* {2}real 2\d: .*R5=/);
		const insn = with_planted((r) => {
			const xlated = Buffer.from(r.g!.xlated!, "hex");
			xlated.writeInt32LE(77, xlated.length - 12);
			r.g!.xlated = xlated.toString("hex");
		});
		expect(insn.levels).toMatchObject({ verdict: "equal", log: "version", xlated: "differs" });
		const err = with_planted((r) => {
			r.g!.err = -13;
		});
		expect(err.levels.verdict).toBe("differs");
		const image = with_planted((r) => {
			const jited = Buffer.from(r.g!.jited!, "hex");
			jited[5]! ^= 1;
			r.g!.jited = jited.toString("hex");
			r.g!.xlated = record.objects.get(OBJ)![0]!.g!.xlated!;
		});
		expect(image.levels).toMatchObject({ xlated: "equal", jited: "differs" });
	});
});

it("runs of programs that go through tasks are not compared with a process of several threads", () => {
	const { record, object } = recorded("iters", "x86_64");
	const task = record.objects.get("iters")!.find((r) => r.prog === "task")!;
	expect(new Comparer(record.files).compare(object, task)[0]!.levels.maps).toBe("equal");
	task.g!.data = Object.fromEntries(
		Object.entries(task.g!.data!).map(([name, value]) => [name, value.replace(/[^0]/, "7")]),
	);
	expect(new Comparer(record.files).compare(object, task)[0]!.levels.maps).toBe("differs");
	const facts = { ...record.files.facts, threads: 13 };
	const c = new Comparer({ ...record.files, facts }).compare(object, task)[0]!;
	expect(c.findings).toEqual([]);
	expect(c.levels.maps).toBeUndefined();
	const num = record.objects.get("iters")!.find((r) => r.prog === "num")!;
	expect(new Comparer({ ...record.files, facts }).compare(object, num)[0]!.levels.maps).toBe("equal");
});

it("records that are none, or of a later format, are refused by name", () => {
	const dir = mkdtempSync(join(tmpdir(), "compare."));
	const file = join(dir, "bad.tar");
	writeFileSync(file, "no archive".repeat(200));
	expect(() => read_record(file)).toThrow(`${file}: no tar archive: there is no header at 0`);
	expect(() => read_record(join(dir, "none.tar.br"))).toThrow(/none\.tar\.br/);
	writeFileSync(join(dir, "machine.json"), '{"format": 9}');
	expect(() => read_record(dir)).toThrow(`${dir}: the record has format 9: this version reads format 1`);
	rmSync(dir, { recursive: true });
});

describe.each(["x86_64", "arm64"] as const)("trampolines of a real %s kernel", (arch) => {
	const record = read_record(join(rootDir(), `selftests/bpf/records/6.12.95-${arch}.tar.br`));
	const name = "modify_return";
	const object: ObjectFile = { path: `${name}.bpf.o`, bytes: record.elf.get(name)! };
	const recs = record.objects.get(name)!;
	let comparer: Comparer;
	beforeAll(async () => {
		comparer = await comparer_of(record.files);
	});
	/** All programs of the object, one of them with something planted; what is said of its trampoline. */
	const compared = (prog: string, plant: (t: RecordTrampoline) => void): string | undefined => {
		let text: string | undefined;
		for (const rec of structuredClone(recs)) {
			if (rec.prog === prog) plant(rec.trampoline!);
			const c = comparer.compare(object, rec)[0]!;
			if (rec.prog === prog) text = c.levels.trampoline === "equal" ? "equal" : first_text(c, "trampoline");
		}
		return text;
	};
	const poke = (t: RecordTrampoline, at: number): void => {
		const code = Buffer.from(t.code!, "hex");
		code[at]! ^= 0x20;
		t.code = code.toString("hex");
	};

	it("are those of the mirror, one to three programs on them", () => {
		for (const rec of recs) expect([rec.prog, compared(rec.prog!, () => {})]).toEqual([rec.prog, "equal"]);
		expect(Math.max(...recs.map((r) => r.trampoline!.attached.length))).toBe(recs.length);
	});

	it("a wrong byte is shown at its place", () => {
		const last = recs.at(-1)!;
		const size = last.trampoline!.code!.length / 2;
		for (const at of [0, 40, size - 4]) {
			expect(compared(last.prog!, (t) => poke(t, at))).toMatch(
				new RegExp(`^trampoline byte ${at} of ${size}: `),
			);
		}
	});

	it.runIf(arch === "x86_64")(
		"the original function is called behind its endbr, also one that was sealed",
		() => {
			const { prog } = recs.at(-1)!;
			const with_head = (head: string): string | undefined =>
				compared(prog!, (t) => {
					t.head = head;
				});
			for (const endbr of ["f30f1efa", "f30f1efb", "660f1f00"]) expect(with_head(endbr)).toBe("equal");
			expect(with_head("0f1f4400")).toMatch(
				/^trampoline byte \d+ of \d+: .*\n(?:.*\n)* {2}ours +[\da-f]+: call 0x/,
			);
		},
	);

	it("another place of the image, of a program or none to attach to is another trampoline", () => {
		const { prog } = recs[0]!;
		const moved = compared(prog!, (t) => {
			t.addr = (BigInt(`0x${t.addr}`) + 64n).toString(16);
		});
		expect(moved).toMatch(/^trampoline byte \d+ of \d+: /);
		const called = compared(prog!, (t) => {
			t.attached[0]![1] = (BigInt(`0x${t.attached[0]![1]}`) + 64n).toString(16);
		});
		expect(called).toMatch(/^trampoline byte \d+ of \d+: /);
		const refused = compared(prog!, (t) => {
			t.err = -22;
		});
		expect(refused).toBe("attaching: err 0, real -22");
		const unseen = compared(prog!, (t) => {
			delete t.code;
		});
		expect(unseen).toBe("the real kernel's trampoline was not found in its memory");
	});
});
