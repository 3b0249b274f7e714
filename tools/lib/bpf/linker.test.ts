// SPDX-License-Identifier: GPL-2.0-only
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import * as K from "../../../include/uapi/linux/btf.ts";
import { main } from "../../cli.ts";
import { bootMirror } from "../../mirror.ts";
import { Btf } from "./btf.ts";
import * as E from "./elf.ts";
import { write_elf } from "./elf_writer.ts";
import {
	bpf_object__load,
	bpf_object__open_file,
	bpf_prog_test_run_opts,
	type bpf_test_run_opts,
	Libbpf,
} from "./libbpf.ts";
import { LibbpfPrinter } from "./libbpf_internal.ts";
import { bpf_linker__add_file, bpf_linker__finalize, bpf_linker__free, bpf_linker__new } from "./linker.ts";
import { StrSet } from "./strset.ts";

const root = join(import.meta.dirname, "../../..");
const progs = join(root, ".cache/progs/x86");
const cache = process.env.BPF_MIRROR_CACHE ?? join(homedir(), ".cache/bpf-mirror");
const bpftool = join(cache, "pkg/bpftool/usr/sbin/bpftool");
const upstream = join(cache, "objs/x86/default");
const dir = mkdtempSync(join(tmpdir(), "linker-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** Links; what came of it, and what was said. */
function link(out: string, inputs: readonly string[]): { err: number; said: string } {
	let said = "";
	const pr = new LibbpfPrinter((level, text) => {
		if (level === 0) said += text.replaceAll(`${dir}/`, "");
	});
	const linker = bpf_linker__new(pr, out);
	if (typeof linker === "number") return { err: linker, said };
	let err = 0;
	for (const input of inputs) err ||= bpf_linker__add_file(linker, input);
	err ||= bpf_linker__finalize(linker);
	bpf_linker__free(linker);
	return { err, said };
}

const parts = (...names: string[]): string[] => names.map((n) => join(progs, `${n}.bpf.o`));

describe("two halves", () => {
	it("become one object, which loads and runs", () => {
		const out = join(dir, "linked.o");
		expect(link(out, parts("linked_1", "linked_2"))).toEqual({ err: 0, said: "" });
		const lib = new Libbpf(bootMirror().newProcess(), { known_kernel: true });
		const obj = bpf_object__open_file(lib, out);
		if (typeof obj === "number") throw new Error(`${obj}`);
		expect(bpf_object__load(obj)).toBe(0);
		expect(obj.maps.map((m) => m.name).filter((n) => !n.includes("."))).toEqual(["counts", "only_1"]);
		const run = (name: string): number => {
			const prog = obj.programs.find((p) => p.name === name)!;
			const opts: bpf_test_run_opts = { data_in: new Uint8Array(64), repeat: 1 };
			expect(bpf_prog_test_run_opts(lib, prog.fd, opts)).toBe(0);
			return opts.retval!;
		};
		// helper(2) of the second half, the strong both(3), variables of the other half, the kernel's version
		expect(run("prog_1")).toBe(402 + 7000003 + 5 + 40000 + 500000 + 1);
		// the map's value, helper(3) of the first half, variables
		expect(run("prog_2")).toBe(11 + 104 + 5 + 77);
	});

	it("may come in the other order, and through a file that was linked before", () => {
		const lone = join(dir, "lone.o");
		expect(link(lone, parts("linked_2")).err).toBe(0);
		expect(link(join(dir, "other.o"), [lone, ...parts("linked_1")])).toEqual({ err: 0, said: "" });
		// an object linked alone again is the same
		const again = join(dir, "again.o");
		expect(link(again, [lone]).err).toBe(0);
		expect(readFileSync(again).equals(readFileSync(lone))).toBe(true);
	});

	it("do not define the same twice", () => {
		const twice = link(join(dir, "twice.o"), parts("linked_1", "linked_1"));
		expect(twice.err).toBe(-22);
		expect(twice.said).toMatch(
			/^libbpf: conflicting non-weak symbol #\d+ \(\w+\) definition in '.*linked_1.bpf.o'\n$/,
		);
	});
});

describe.runIf(existsSync(bpftool))("bpftool gen object", () => {
	const { LD_LIBRARY_PATH: _, ...env } = process.env;
	const same = (inputs: readonly string[]): void => {
		const theirs = join(dir, "theirs.o");
		const ours = join(dir, "ours.o");
		const r = spawnSync(bpftool, ["gen", "object", theirs, ...inputs], { encoding: "utf8", env });
		const { err, said } = link(ours, inputs);
		expect(said).toBe(r.stderr.replace(/^Error: .*\n/gm, ""));
		expect(err === 0).toBe(r.status === 0);
		if (err === 0) expect(readFileSync(ours).equals(readFileSync(theirs)), inputs.join(" ")).toBe(true);
	};

	it("writes the same bytes for our programs", () => {
		same(parts("linked_1", "linked_2"));
		same(parts("linked_2", "linked_1"));
		same(parts("linked_1", "linked_1"));
		for (const f of readdirSync(progs).filter((f) => f.endsWith(".bpf.o"))) same([join(progs, f)]);
	}, 60_000);

	it.runIf(existsSync(join(upstream, "linked_vars2.bpf.o")))("writes the same bytes for upstream's", () => {
		for (const name of ["linked_funcs", "linked_maps", "linked_vars", "test_static_linked"])
			same([1, 2].map((n) => join(upstream, `${name}${n}.bpf.o`)));
	});
});

describe("bpf-mirror gen object", () => {
	const gen = async (...args: string[]): Promise<{ code: number; err: string }> => {
		let err = "";
		vi.spyOn(process.stderr, "write").mockImplementation((text) => {
			err += text;
			return true;
		});
		const code = await main(["gen", "object", ...args]);
		vi.restoreAllMocks();
		return { code, err };
	};

	it("links, or says why not as bpftool does", async () => {
		const out = join(dir, "gen.o");
		expect(await gen(out, ...parts("linked_1", "linked_2"))).toEqual({ code: 0, err: "" });
		expect(await gen(out, "/nowhere/a.o")).toEqual({
			code: 255,
			err: "libbpf: failed to open file '/nowhere/a.o': -2\nError: failed to link '/nowhere/a.o': No such file or directory (2)\n",
		});
		expect(await gen("/nowhere/out.o", ...parts("linked_1"))).toEqual({
			code: 255,
			err: "libbpf: failed to create '/nowhere/out.o': -2\nError: failed to create BPF linker instance\n",
		});
	});
});

// ---- objects that no compiler makes

interface Sym {
	name: string;
	shndx?: number;
	bind?: number;
	type?: number;
	vis?: number;
	value?: number;
	size?: number;
}

interface Section {
	name: string;
	type?: number;
	flags?: number;
	align?: number;
	entsize?: number;
	link?: number;
	info?: number;
	bytes?: Uint8Array;
}

const FUNC = { bind: E.STB_GLOBAL, type: E.STT_FUNC };
const TEXT: Section = { name: "tc", flags: E.SHF_EXECINSTR, align: 8, bytes: new Uint8Array(16) };

/** An object in a file: sections 1 and 2 are .strtab and .symtab, those given begin at 3. */
function object(name: string, sections: readonly Section[], syms: readonly Sym[], btf?: Btf): string {
	const strs = new StrSet();
	strs.add_str("");
	const table = new Uint8Array((syms.length + 1) * E.ELF64_SYM_SZ);
	const dv = new DataView(table.buffer);
	for (const [i, s] of syms.entries()) {
		const at = (i + 1) * E.ELF64_SYM_SZ;
		dv.setUint32(at, strs.add_str(s.name), true);
		dv.setUint8(at + 4, ((s.bind ?? 0) << 4) | (s.type ?? 0));
		dv.setUint8(at + 5, s.vis ?? 0);
		dv.setUint16(at + 6, s.shndx ?? 0, true);
		dv.setBigUint64(at + 8, BigInt(s.value ?? 0), true);
		dv.setBigUint64(at + 16, BigInt(s.size ?? 0), true);
	}
	const all: Section[] = [
		{ name: ".strtab", type: E.SHT_STRTAB },
		{ name: ".symtab", type: E.SHT_SYMTAB, align: 8, entsize: E.ELF64_SYM_SZ, link: 1, bytes: table },
		...sections,
		...(btf ? [{ name: ".BTF", align: 8, bytes: btf.raw_data() }] : []),
	];
	const headers = all.map((s) => ({
		sh_name: strs.add_str(s.name),
		sh_type: s.type ?? E.SHT_PROGBITS,
		sh_flags: s.flags ?? 0,
		sh_link: s.link ?? 0,
		sh_info: s.info ?? 0,
		sh_addralign: s.align ?? 1,
		sh_entsize: s.entsize ?? 0,
		sh_size: s.bytes?.length ?? 0,
		data: s.bytes ?? null,
	}));
	headers[0]!.data = strs.data();
	headers[0]!.sh_size = headers[0]!.data.length;
	const path = join(dir, name);
	writeFileSync(path, write_elf(headers, 1));
	return path;
}

/** What linking these says; the first must be linked before. */
function refused(...objects: string[]): string {
	const { err, said } = link(join(dir, "refused.o"), objects);
	expect(err).toBeLessThan(0);
	return said;
}

describe("objects that cannot be linked", () => {
	it("are no objects, or lack what must be there", () => {
		const junk = join(dir, "junk.o");
		writeFileSync(junk, "no object");
		expect(refused(junk)).toMatch(/^libbpf: failed to get ELF header for junk.o: /);
		const arm = readFileSync(object("arm.o", [TEXT], []));
		arm.writeUInt16LE(183, 18);
		writeFileSync(join(dir, "arm.o"), arm);
		expect(refused(join(dir, "arm.o"))).toBe("libbpf: unsupported kind of ELF file arm.o: no error\n");
		const bare = join(dir, "bare.o");
		const strs = new TextEncoder().encode("\0.strtab\0");
		const header = { sh_type: E.SHT_STRTAB, sh_flags: 0, sh_link: 0, sh_info: 0, sh_addralign: 1 };
		writeFileSync(
			bare,
			write_elf([{ ...header, sh_name: 1, sh_entsize: 0, sh_size: strs.length, data: strs }], 1),
		);
		expect(refused(bare)).toBe("libbpf: ELF is missing SYMTAB section in bare.o\n");
	});

	it("have sections that make no sense", () => {
		const one = (s: Section): string => refused(object("s.o", [s], []));
		expect(one({ ...TEXT, align: 3 })).toBe(
			"libbpf: ELF section #3 alignment 3 is non pow-of-2 alignment in s.o\n",
		);
		expect(one({ ...TEXT, bytes: new Uint8Array(12) })).toBe(
			"libbpf: ELF section #3 has unexpected size alignment 12 in s.o\n",
		);
		expect(one({ name: "note", type: 7 })).toBe("libbpf: unrecognized section #3 (note) in s.o\n");
		expect(one({ name: ".symtab", type: E.SHT_SYMTAB, align: 8, entsize: 24, link: 1 })).toBe(
			"libbpf: multiple SYMTAB sections found, not supported\n",
		);
		const rel: Section = { name: ".reltc", type: E.SHT_REL, align: 8, entsize: 16, link: 2, info: 3 };
		const word = (sym: number, type: number, off = 0): Uint8Array =>
			new Uint8Array(BigUint64Array.from([BigInt(off), (BigInt(sym) << 32n) | BigInt(type)]).buffer);
		const relo = (s: Partial<Section>): string =>
			refused(object("r.o", [TEXT, { ...rel, ...s }], [{ name: "x", shndx: 3 }]));
		expect(relo({ link: 1 })).toBe(
			"libbpf: ELF relo section #4 points to invalid SYMTAB section #1 in r.o\n",
		);
		expect(relo({ info: 99 })).toBe("libbpf: ELF relo section #4 points to missing section #99 in r.o\n");
		expect(relo({ name: ".relxdp" })).toBe("libbpf: ELF relo section #4 name has invalid name in r.o\n");
		expect(relo({ bytes: word(1, 7) })).toBe(
			"libbpf: ELF relo #0 in section #4 has unexpected type 7 in r.o\n",
		);
		expect(relo({ bytes: word(2, 10) })).toBe(
			"libbpf: ELF relo #0 in section #4 points to invalid symbol #2 in r.o\n",
		);
		expect(relo({ bytes: word(1, 10, 4) })).toBe(
			"libbpf: ELF relo #0 in section #4 points to missing symbol #1 in r.o\n",
		);
	});

	it("have symbols that make no sense", () => {
		const one = (s: Partial<Sym>): string =>
			refused(object("y.o", [TEXT], [{ name: "f", shndx: 3, ...FUNC, ...s }]));
		expect(one({ bind: 5 })).toBe("libbpf: ELF sym #1 in section #2 has unsupported symbol binding 5\n");
		expect(one({ vis: 3 })).toBe("libbpf: ELF sym #1 in section #2 has unsupported symbol visibility 3\n");
		expect(one({ shndx: 0 })).toBe("libbpf: ELF sym #1 is invalid extern symbol in y.o\n");
		expect(one({ shndx: 44 })).toBe(
			"libbpf: ELF sym #1 in section #2 points to missing section #44 in y.o\n",
		);
		expect(one({})).toBe("libbpf: failed to find BTF info for object 'y.o'\n");
		expect(one({ shndx: 0, type: E.STT_NOTYPE })).toBe(
			"libbpf: externs without BTF info are not supported\n",
		);
	});

	it("have sections that do not go together", () => {
		const license = (text: string, flags = 3): Section => ({
			name: "license",
			flags,
			bytes: new TextEncoder().encode(`${text}\0`),
		});
		const a = object("a.o", [license("GPL")], []);
		expect(link(join(dir, "ok.o"), [a, a])).toEqual({ err: 0, said: "" });
		expect(refused(a, object("b.o", [license("MIT")], []))).toBe(
			"libbpf: non-identical contents of section 'license' are not supported\n",
		);
		expect(refused(a, object("b.o", [license("GPL", 2)], []))).toBe(
			"libbpf: sec license flags mismatch\nlibbpf: ELF sections license are incompatible\n",
		);
	});
});

describe("damaged objects", () => {
	it("are refused or linked, without a crash", () => {
		const whole = readFileSync(parts("linked_1")[0]!);
		const path = join(dir, "damaged.o");
		let seed = 1;
		const random = (n: number): number => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return Math.floor((seed / 2 ** 32) * n);
		};
		let refusals = 0;
		for (let i = 0; i < 600; i++) {
			const bytes = Buffer.from(whole);
			// headers and tables more often than code
			const at = random(2) ? bytes.length - 1 - random(bytes.length >> 1) : random(bytes.length);
			for (let j = 0; j <= random(3); j++) bytes[Math.min(at + j, bytes.length - 1)] = random(256);
			writeFileSync(path, random(20) ? bytes : bytes.subarray(0, at));
			if (link(join(dir, "d.o"), [path, ...parts("linked_2")]).err) refusals++;
		}
		expect(refusals).toBeGreaterThan(50);
		expect(refusals).toBeLessThan(550);
	});
});

describe("names that mean different things", () => {
	/** A file with a function of these arguments' types, or only its declaration. */
	const func = (name: string, declare: boolean, arg: (b: Btf) => number, params = 1): string => {
		const btf = new Btf(null);
		const int = btf.add_int("int", 4, K.BTF_INT_SIGNED);
		const type = arg(btf);
		const proto = btf.add_func_proto(int);
		for (let i = 0; i < params; i++) btf.add_func_param(declare ? "" : `a${i}`, type);
		btf.add_func("f", declare ? K.BTF_FUNC_EXTERN : K.BTF_FUNC_GLOBAL, proto);
		const sym: Sym = declare ? { name: "f", bind: E.STB_GLOBAL } : { name: "f", shndx: 3, size: 16, ...FUNC };
		return object(name, [TEXT], [sym], btf);
	};
	const int = (b: Btf): number => b.add_int("int", 4, K.BTF_INT_SIGNED);
	const struct_ptr = (name: string) => (b: Btf) => b.add_ptr(b.add_struct(name, 4));
	const fwd_ptr = (name: string, union: boolean) => (b: Btf) => b.add_ptr(b.add_fwd(name, union));

	it("are told apart by number, kind, name and size of what they take", () => {
		const a = func("a.o", false, int);
		const b = (arg: (b: Btf) => number, params = 1): string =>
			refused(a, func("b.o", true, arg, params)).replace("libbpf: global 'f': ", "");
		expect(b(int, 2)).toBe("incompatible number of func_proto params 1 and 2\n");
		expect(b(struct_ptr("s"))).toBe("incompatible BTF kinds int and ptr\n");
		expect(b((x) => x.add_int("long", 8, 0))).toBe("incompatible int '(null)' size 4 and 8\n");
	});

	it("take structures by name behind a pointer, declared or defined", () => {
		const a = func("a.o", false, struct_ptr("s"));
		const b = (arg: (b: Btf) => number): { err: number; said: string } =>
			link(join(dir, "x.o"), [a, func("b.o", true, arg)]);
		expect(b(struct_ptr("s"))).toEqual({ err: 0, said: "" });
		expect(b(fwd_ptr("s", false))).toEqual({ err: 0, said: "" });
		expect(b(fwd_ptr("t", false)).said).toBe(
			"libbpf: global 'f': incompatible forward declaration names 's' and 't'\n",
		);
		expect(b(fwd_ptr("s", true)).said).toBe(
			"libbpf: global 'f': incompatible union forward declaration and concrete kind struct\n",
		);
		expect(b(struct_ptr("t")).said).toBe("libbpf: global 'f': incompatible struct names 's' and 't'\n");
	});

	it("are variables whose structures differ in a member", () => {
		const variable = (name: string, field: string, off: number): string => {
			const btf = new Btf(null);
			const type = btf.add_int("int", 4, K.BTF_INT_SIGNED);
			const s = btf.add_struct("s", 8);
			btf.add_field(field, type, off);
			const id = btf.add_var("v", K.BTF_VAR_GLOBAL_ALLOCATED, s);
			btf.add_datasec(".data", 8);
			btf.add_datasec_var_info(id, 0, 8);
			const data: Section = { name: ".data", flags: 3, align: 8, bytes: new Uint8Array(8) };
			const sym: Sym = { name: "v", shndx: 3, bind: E.STB_WEAK, type: E.STT_OBJECT, size: 8 };
			return object(name, [data], [sym], btf);
		};
		const a = variable("a.o", "x", 0);
		expect(link(join(dir, "x.o"), [a, variable("b.o", "x", 0)])).toEqual({ err: 0, said: "" });
		expect(refused(a, variable("b.o", "y", 0))).toBe(
			"libbpf: global 'v': incompatible field #0 names 'x' and 'y'\n",
		);
		expect(refused(a, variable("b.o", "x", 32))).toBe(
			"libbpf: global 'v': incompatible field #0 ('x') offsets\n",
		);
	});
});
