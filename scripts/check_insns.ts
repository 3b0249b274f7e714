// SPDX-License-Identifier: GPL-2.0-only
/**
 * Holds what libbpf hands to BPF_PROG_LOAD against records of a real kernel, without any kernel:
 *
 *   npx tsx scripts/check_insns.ts RECORDS OBJECTS [REGEX]
 *
 * RECORDS is a folder of OBJ.jsonl files (or of such folders) with kallsyms, kconfig and BTF beside them,
 * OBJECTS the folder of OBJ.bpf.o. The system calls are answered by a stand-in that gives out descriptors.
 */
import { createReadStream, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
	bpf_object__close,
	bpf_object__find_program_by_name,
	bpf_object__load,
	bpf_object__open_file,
	bpf_object__programs,
	bpf_program__set_autoload,
	Libbpf,
} from "../tools/lib/bpf/libbpf.ts";
import { compare_insns } from "../tools/upstream/compare.ts";
import { FakeSys } from "../tools/upstream/fake_sys.ts";

interface Load {
	err: number;
	processed: number;
	insns: string;
	maps: { name: string; fd: number }[];
	libbpf?: string;
}
interface Rec {
	obj: string;
	prog?: string;
	open_err?: number;
	libbpf?: string;
	g?: Load;
	tags?: string[];
}

const [records, objects, only] = process.argv.slice(2);
if (!records || !objects) throw new Error("usage: check_insns RECORDS OBJECTS [REGEX]");
const re = new RegExp(only ?? "");

function folders(dir: string): string[] {
	const names = readdirSync(dir);
	if (names.includes("kallsyms")) return [dir];
	return names
		.map((n) => join(dir, n))
		.filter((p) => statSync(p).isDirectory())
		.flatMap(folders);
}

const causes = new Map<string, string[]>();
let good = 0;
let total = 0;
for (const dir of folders(records)) {
	const sys = FakeSys.ofRecords(dir, /arm64/.test(dir) ? "arm64" : "x86_64");
	let said = "";
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level === 0) said += text;
		},
	});
	for (const file of readdirSync(dir)
		.filter((n) => n.endsWith(".jsonl"))
		.sort()) {
		const name = file.slice(0, -6);
		for await (const line of createInterface({ input: createReadStream(join(dir, file)) })) {
			const rec = JSON.parse(line) as Rec;
			const id = `${rec.obj}/${rec.prog ?? ""}`;
			if (!re.test(id)) continue;
			total++;
			said = "";
			sys.reset();
			const fail = (why: string): void => {
				const key = why.replace(/\d+/g, "N").slice(0, 100);
				causes.set(key, [...(causes.get(key) ?? []), `${id}: ${why}`]);
			};
			const btf_path = rec.tags?.find((t) => t.includes("test_btf_path="))?.split("=")[1];
			const btf_custom_path = btf_path && join(objects, btf_path);
			const obj = bpf_object__open_file(lib, join(objects, `${name}.bpf.o`), { btf_custom_path });
			if (typeof obj === "number") {
				if (rec.open_err === -obj && rec.libbpf?.trim() === said.trim()) good++;
				else fail(`open ${obj}: ${said}`);
				continue;
			}
			const prog = bpf_object__find_program_by_name(obj, rec.prog!);
			if (!prog) {
				fail("no such program");
				continue;
			}
			for (const p of bpf_object__programs(obj)) bpf_program__set_autoload(p, p === prog);
			const err = bpf_object__load(obj);
			const want = rec.g!;
			const load = sys.loads.find((l) => l.name === rec.prog!.slice(0, 15));
			if (load) {
				const diff = compare_insns(
					load.insns,
					Buffer.from(want.insns, "hex"),
					(_i, fd) => sys.map_name(fd),
					want.maps,
				);
				if (diff === null) good++;
				else fail(diff);
			} else if (want.processed === -1 && want.libbpf !== undefined) {
				const first = want.libbpf.split("\n")[0];
				if (said.split("\n")[0] === first || /failed to create: Invalid/.test(first!)) good++;
				else fail(`says ${said.split("\n")[0]}`);
			} else {
				fail(`load ${err}: ${said.split("\n")[0]}`);
			}
			bpf_object__close(obj);
		}
	}
}
for (const [why, ids] of [...causes].sort((a, b) => b[1].length - a[1].length)) {
	console.log(`${ids.length}  ${why}`);
	for (const id of ids.slice(0, 3)) console.log(`      ${id}`);
}
console.log(`${good} of ${total}`);
