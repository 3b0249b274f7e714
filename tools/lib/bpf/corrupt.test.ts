// SPDX-License-Identifier: GPL-2.0-only
/** Files that are cut off or changed: a message and an error, or an object; never a crash. */
import { describe, expect, it } from "vitest";
import { BTF_INT_SIGNED, BTF_KIND_CONST } from "../../../include/uapi/linux/btf.ts";
import { Btf, btf__new } from "./btf.ts";
import { Elf } from "./elf.ts";
import {
	bpf_object__close,
	bpf_object__load,
	bpf_object__open_file,
	bpf_object__open_mem,
} from "./libbpf.ts";
import { object_bytes, small_vmlinux, test_process } from "./testing.ts";

/** Opens and, if that works, loads. */
function take(bytes: Uint8Array): { err: number; said: string[] } {
	const { lib, said } = test_process();
	const obj = bpf_object__open_mem(lib, bytes, { object_name: "broken.o" });
	if (typeof obj === "number") return { err: obj, said };
	const err = bpf_object__load(obj);
	bpf_object__close(obj);
	return { err, said };
}

/** Numbers that are the same in every run. */
function random(seed: number): () => number {
	let x = seed;
	return () => {
		x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
		return x;
	};
}

const section = (elf: Elf, name: string) => {
	for (let i = 1; i < elf.shnum; i++) {
		const sh = elf.shdr(i)!;
		if (elf.strptr(elf.shstrndx, sh.sh_name) === name) return sh;
	}
	throw new Error(`no ${name}`);
};

describe("ELF files", () => {
	const bytes = object_bytes("test_libbpf");
	const elf = Elf.memory(bytes) as Elf;

	it("that are none are called so", () => {
		expect(take(new Uint8Array(100))).toEqual({
			err: -4001,
			said: ["libbpf: elf: 'broken.o' is not a proper ELF object\n"],
		});
		expect(take(bytes.slice(0, 10)).said).toEqual(["libbpf: elf: 'broken.o' is not a proper ELF object\n"]);
	});

	it("cut anywhere say where they broke", () => {
		for (let n = 16; n < bytes.length; n += 97) {
			const { err, said } = take(bytes.slice(0, n));
			expect(err, `cut to ${n} bytes`).toBeLessThan(0);
			expect(said[0], `cut to ${n} bytes`).toMatch(/^libbpf: elf: .*broken\.o/);
			expect(said[0]!.split("\n").length).toBe(2);
		}
	});

	it("of other kinds are refused by name", () => {
		const with_byte = (at: number, v: number): Uint8Array => {
			const b = bytes.slice();
			b[at] = v;
			return b;
		};
		expect(take(with_byte(4, 1)).said).toEqual(["libbpf: elf: 'broken.o' is not a 64-bit ELF object\n"]);
		expect(take(with_byte(5, 2))).toEqual({
			err: -4003,
			said: ["libbpf: elf: endianness mismatch in broken.o.\n"],
		});
		expect(take(with_byte(18, 62)).said).toEqual(["libbpf: elf: broken.o is not a valid eBPF object file\n"]);
		expect(take(with_byte(16, 2)).said).toEqual(["libbpf: elf: broken.o is not a valid eBPF object file\n"]);
	});

	it("that are not there are an error of the system", () => {
		const { lib, said } = test_process();
		expect(bpf_object__open_file(lib, "/nonexistent/x.o")).toBe(-2);
		expect(said).toEqual(["libbpf: elf: failed to open /nonexistent/x.o: No such file or directory\n"]);
	});

	it("with a symbol beyond its section are corrupted programs", () => {
		const b = bytes.slice();
		const symtab = section(elf, ".symtab");
		const dv = new DataView(b.buffer);
		for (let at = symtab.sh_offset; at < symtab.sh_offset + symtab.sh_size; at += 24) {
			if ((b[at + 4]! & 0xf) === 2) dv.setBigUint64(at + 16, 1n << 20n, true);
		}
		const { err, said } = take(b);
		expect(err).toBe(-4001);
		expect(said[0]).toMatch(/^libbpf: sec '.*': program at offset \d+ crosses section boundary\n$/);
	});

	it("with flipped bits end in an answer", () => {
		const next = random(7);
		let refused = 0;
		for (let n = 0; n < 1500; n++) {
			const b = bytes.slice();
			const at = n % 2 ? next() % b.length : next() % 64;
			b[at] = b[at]! ^ (1 << (next() % 8));
			const { err } = take(b);
			expect(Number.isInteger(err), `bit at ${at}`).toBe(true);
			if (err < 0) refused++;
		}
		expect(refused).toBeGreaterThan(200);
	});

	it("with flipped bits in headers, symbols, relocations and BTF end in an answer", () => {
		const next = random(11);
		const where = [".symtab", ".BTF", ".BTF.ext", ".relraw_tp/sys_enter", ".rel.maps", ".rel.text"].map((n) =>
			section(elf, n),
		);
		for (let n = 0; n < 3000; n++) {
			const sh = where[n % where.length]!;
			const b = bytes.slice();
			const at = sh.sh_offset + (next() % sh.sh_size);
			b[at] = b[at]! ^ (1 << (next() % 8));
			expect(Number.isInteger(take(b).err), `bit at ${at}`).toBe(true);
		}
	});
});

describe("BTF", () => {
	const raw = small_vmlinux();
	const { lib } = test_process();

	it("is read as it was written", () => {
		const btf = btf__new(lib, raw);
		if (typeof btf === "number") throw new Error(`${btf}`);
		expect(btf.raw_data()).toEqual(raw);
		expect(btf.find_by_name("task")).toBe(2);
		expect(btf.find_by_name_kind("task", 1)).toBe(-2);
		expect(btf.resolve_size(2)).toBe(24);
	});

	it("cut anywhere is malformed", () => {
		for (let n = 0; n < raw.length; n++)
			expect(btf__new(lib, raw.slice(0, n)), `cut to ${n} bytes`).toBe(-22);
	});

	it("with flipped bits is taken or refused", () => {
		for (let at = 0; at < raw.length; at++) {
			for (let bit = 0; bit < 8; bit++) {
				const b = raw.slice();
				b[at] = b[at]! ^ (1 << bit);
				const btf = btf__new(lib, b);
				if (typeof btf === "number") {
					expect(btf).toBeLessThan(0);
					continue;
				}
				for (let id = 0; id < btf.type_cnt(); id++) {
					btf.skip_mods_and_typedefs(id);
					btf.resolve_size(id);
					btf.align_of(id);
				}
			}
		}
	});

	it("whose modifiers go in a ring is refused", () => {
		const { lib: l, said } = test_process();
		const btf = new Btf(null);
		btf.add_mod(BTF_KIND_CONST, 2);
		btf.add_mod(BTF_KIND_CONST, 1);
		expect(btf__new(l, btf.raw_data())).toBe(-22);
		expect(said).toEqual(["libbpf: btf: type [1]: its modifiers lead back to themselves\n"]);
	});

	it("of a module goes on where its base ends", () => {
		const base = btf__new(lib, raw) as Btf;
		const split = new Btf(base);
		const id = split.add_int("module_int", 8, BTF_INT_SIGNED);
		expect(id).toBe(base.type_cnt());
		expect(split.find_by_name("task")).toBe(2);
		expect(split.find_by_name_kind_own("task", 4)).toBe(-2);
		const again = btf__new(lib, split.raw_data(), base) as Btf;
		expect(again.name(again.type_by_id(id)!.name_off)).toBe("module_int");
		expect(again.resolve_size(id)).toBe(8);
	});
});
