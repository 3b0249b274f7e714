// SPDX-License-Identifier: GPL-2.0-only
/**
 * Objects and BTF, cut off and with flipped bits, on the emulated kernel: libbpf opens and loads them, or says
 * in a line what is wrong; the kernel takes or refuses them; nothing stays behind.
 * (tools/lib/bpf/corrupt.test.ts does the like without a kernel.)
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Sys } from "../include/sys.ts";
import { EINVAL } from "../include/uapi/asm-generic/errno.ts";
import { BPF_BTF_LOAD } from "../include/uapi/linux/bpf.ts";
import { bpf_btf_load } from "./lib/bpf/bpf.ts";
import { Elf } from "./lib/bpf/elf.ts";
import { bpf_object__close, bpf_object__load, bpf_object__open_mem } from "./lib/bpf/libbpf.ts";
import { Libbpf } from "./lib/bpf/libbpf_internal.ts";
import { bootMirror, type Mirror } from "./mirror.ts";

const PROGS = join(import.meta.dirname, "../.cache/progs/x86");

const FILES = readdirSync(PROGS)
	.filter((f) => f.endsWith(".bpf.o"))
	.sort();

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
	let x = Math.imul(seed + 1, 0x9e3779b9) >>> 0;
	return () => {
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		x >>>= 0;
		return x;
	};
}

function sections(bytes: Uint8Array): { name: string; off: number; size: number }[] {
	const elf = Elf.memory(bytes) as Elf;
	const out: { name: string; off: number; size: number }[] = [];
	for (let i = 1; i < elf.shnum; i++) {
		const sh = elf.shdr(i)!;
		// the sections that only a debugger reads, and those without bytes
		const name = elf.strptr(elf.shstrndx, sh.sh_name) ?? "";
		if (sh.sh_type === 8 || sh.sh_size === 0 || /^\.(rel)?\.?debug/.test(name)) continue;
		out.push({ name, off: sh.sh_offset, size: sh.sh_size });
	}
	return out;
}

interface Answer {
	err: number;
	said: string[];
}

/** Open and load; what it said. */
function take(sys: Sys, bytes: Uint8Array): Answer {
	const said: string[] = [];
	const lib = new Libbpf(sys, {
		known_kernel: true,
		print: (level, text) => {
			if (level === 0) said.push(text);
		},
	});
	const obj = bpf_object__open_mem(lib, bytes, { object_name: "hostile" });
	if (typeof obj === "number") return { err: obj, said };
	const err = bpf_object__load(obj);
	bpf_object__close(obj);
	return { err, said };
}

describe("on the emulated kernel", () => {
	let mirror: Mirror;
	beforeAll(async () => {
		mirror = bootMirror({ memory: 128 << 20, cpus: 2 });
		const sys = mirror.newProcess();
		// what is made once and stays: the kernel's BTF, page tables of the areas that images lie in
		for (const f of FILES) if (!/^verifier_/.test(f)) take(sys, readFileSync(join(PROGS, f)));
		await mirror.endProcess(sys);
		mirror.leaks();
		mirror.dmesg();
	});

	const clean = async (sys: Sys): Promise<void> => {
		await mirror.endProcess(sys);
		const bugs = mirror.dmesg().filter((l) => l.startsWith("BUG"));
		expect([...new Set(bugs)].slice(0, 5).join("\n")).toBe("");
		expect(mirror.leaks()).toEqual([]);
	};

	it("objects that are cut off say so", async () => {
		const sys = mirror.newProcess();
		for (const file of FILES) {
			const bytes = readFileSync(join(PROGS, file));
			const next = random(bytes.length);
			for (let i = 0; i < 20; i++) {
				const n = 1 + (next() % (bytes.length - 1));
				const { err, said } = take(sys, bytes.subarray(0, n));
				expect(err, `${file} cut to ${n}`).toBeLessThan(0);
				expect(said.length, `${file} cut to ${n}`).toBeGreaterThan(0);
			}
		}
		// libbpf.c: bpf_object__open_mem() has no word for nothing at all
		expect(take(sys, new Uint8Array(0))).toEqual({ err: -EINVAL, said: [] });
		await clean(sys);
	});

	it("objects with flipped bits are taken or refused", async () => {
		let taken = 0;
		let refused = 0;
		for (let round = 0; round < 4; round++) {
			for (const file of FILES) {
				// the annotated tests have hundreds of programs
				if (/^verifier_/.test(file)) continue;
				const bytes = new Uint8Array(readFileSync(join(PROGS, file)));
				const all = sections(bytes);
				const next = random(round * 7919 + bytes.length);
				const sys = mirror.newProcess();
				const what: string[] = [];
				for (let n = 1 + (next() % 3); n > 0; n--) {
					const s = all[next() % all.length]!;
					const at = s.off + (next() % s.size);
					bytes[at] = bytes[at]! ^ (1 << (next() % 8));
					what.push(`${s.name}+${at - s.off}`);
				}
				const { err } = take(sys, bytes);
				expect(Number.isInteger(err), `${file} ${what}`).toBe(true);
				if (err === 0) taken++;
				else {
					refused++;
					expect(err, `${file} ${what}`).toBeLessThan(0);
				}
				await clean(sys);
			}
		}
		expect(taken).toBeGreaterThan(20);
		expect(refused).toBeGreaterThan(20);
	});

	it("BTF that is cut off or has flipped bits is taken or refused", async () => {
		const sys = mirror.newProcess();
		const lib = new Libbpf(sys, { known_kernel: true, print: null });
		// the compiler leaves sizes of sections to libbpf: what it gives to the kernel
		const given: Uint8Array[] = [];
		const spy: Sys = Object.create(sys, {
			bpf: {
				value: (cmd: number, attr: number, size: number): number => {
					if (cmd === BPF_BTF_LOAD)
						given.push(sys.load(Number(sys.load64(attr)), sys.load32(attr + 16)).slice());
					return sys.bpf(cmd, attr, size);
				},
			},
		});
		for (const name of ["test_global_data", "test_maps", "fentry_test"])
			take(spy, readFileSync(join(PROGS, `${name}.bpf.o`)));
		expect(given.length).toBe(3);
		let taken = 0;
		let refused = 0;
		for (const btf of given) {
			const next = random(btf.length);
			for (let i = 0; i < 700; i++) {
				const b = btf.slice(0, i % 4 === 0 ? next() % btf.length : btf.length);
				if (i % 4)
					for (let n = 1 + (next() % 2); n > 0; n--) {
						const where = i % 4 === 1 ? next() % 24 : next() % b.length;
						b[where] = b[where]! ^ (1 << (next() % 8));
					}
				const fd = bpf_btf_load(lib, b);
				expect(Number.isInteger(fd)).toBe(true);
				if (fd >= 0) {
					taken++;
					sys.close(fd);
				} else refused++;
			}
		}
		expect(taken).toBeGreaterThan(100);
		expect(refused).toBeGreaterThan(500);
		await clean(sys);
	});
});
