// SPDX-License-Identifier: GPL-2.0-only
/** Printing by type: expectations of upstream's progs/netif_receive_skb.c, and split BTF on a distilled base. */
import { describe, expect, it } from "vitest";
import {
	BTF_SHOW_COMPACT,
	BTF_SHOW_NONAME,
	BTF_SHOW_PTR_RAW,
	BTF_SHOW_ZERO,
} from "../../include/linux/btf.ts";
import {
	BTF_KIND_ENUM,
	BTF_KIND_INT,
	BTF_KIND_STRUCT,
	BTF_KIND_TYPEDEF,
} from "../../include/uapi/linux/btf.ts";
import {
	btf_find_by_name_kind,
	btf_member_path,
	type btf_obj,
	btf_open_trusted,
	btf_relocate,
	btf_type_by_id,
	btf_type_snprintf_show,
} from "./btf.ts";
import { BtfWriter, btf_from_c } from "./btf_writer.ts";

function open(data: Uint8Array, base: btf_obj | null = null): btf_obj {
	const b = btf_open_trusted(null, data, "vmlinux", base);
	if (typeof b === "number") throw new Error(String(b));
	return b;
}

const b = open(
	btf_from_c(`
		typedef unsigned char __u8; typedef short __s16; typedef unsigned int __u32; typedef int __s32;
		typedef struct { int counter; } atomic_t;
		enum cmd { CREATE, LOOKUP };
		struct btf_enum { __u32 name_off; __s32 val; };
		struct list_head { struct list_head *next; struct list_head *prev; };
		struct info { __u32 id; char name[16]; };
		struct skb { __u32 len; __u32 cb[5]; struct btf_enum e; union { int a; unsigned int b; } u; };
		struct insn { __u8 code; __u8 dst_reg : 4; __u8 src_reg : 4; __s16 off; __s32 imm; };
	`),
);

const NONAME = BTF_SHOW_NONAME;
const ZERO = BTF_SHOW_ZERO;

/** Show bytes as a type, all on one line unless `multiline`. */
function show(name: string, kind: number, bytes: readonly number[], flags = 0, multiline = false): string {
	const id = btf_find_by_name_kind(b, name, kind);
	const mem = new Uint8Array(4096);
	mem.set(bytes, 64);
	const src = {
		read: (addr: number, len: number) =>
			addr >= 0x1000 && addr + len <= 0x2000 ? mem.slice(addr - 0x1000, addr - 0x1000 + len) : null,
	};
	const r = btf_type_snprintf_show(b, id, 0x1040, src, 4096, flags | (multiline ? 0 : BTF_SHOW_COMPACT));
	expect(r.ret).toBe(r.text.length);
	return r.text;
}

const le32 = (...v: number[]): number[] =>
	v.flatMap((x) => [x & 255, (x >> 8) & 255, (x >> 16) & 255, x >>> 24]);

describe("data shown by its type", () => {
	it("ints, typedefs and enums", () => {
		expect(show("int", BTF_KIND_INT, le32(1234))).toBe("(int)1234");
		expect(show("int", BTF_KIND_INT, le32(-4567), NONAME)).toBe("-4567");
		expect(show("int", BTF_KIND_INT, [])).toBe("(int)0");
		expect(show("char", BTF_KIND_INT, [100])).toBe("(char)100");
		expect(show("atomic_t", BTF_KIND_TYPEDEF, le32(1))).toBe("(atomic_t){.counter = (int)1,}");
		expect(show("atomic_t", BTF_KIND_TYPEDEF, [])).toBe("(atomic_t){}");
		expect(show("atomic_t", BTF_KIND_TYPEDEF, [], NONAME | ZERO)).toBe("{0,}");
		expect(show("cmd", BTF_KIND_ENUM, [])).toBe("(enum cmd)CREATE");
		expect(show("cmd", BTF_KIND_ENUM, le32(2000), NONAME)).toBe("2000");
	});

	it("structs, less what is zero", () => {
		expect(show("btf_enum", BTF_KIND_STRUCT, le32(3, -1))).toBe(
			"(struct btf_enum){.name_off = (__u32)3,.val = (__s32)-1,}",
		);
		expect(show("btf_enum", BTF_KIND_STRUCT, le32(0, -1), NONAME)).toBe("{-1,}");
		expect(show("btf_enum", BTF_KIND_STRUCT, le32(0, -1), NONAME | ZERO)).toBe("{0,-1,}");
		expect(show("list_head", BTF_KIND_STRUCT, [1], BTF_SHOW_PTR_RAW)).toBe(
			"(struct list_head){.next = (struct list_head *)0x0000000000000001,}",
		);
	});

	it("arrays: characters as a string, others as numbers", () => {
		const name = (s: string): number[] => [0, 0, 0, 0, ...Buffer.from(s)];
		expect(show("info", BTF_KIND_STRUCT, name("foo"))).toBe("(struct info){.name = (char[])['f','o','o',],}");
		expect(show("info", BTF_KIND_STRUCT, name("\0foo"))).toBe("(struct info){}");
		expect(show("info", BTF_KIND_STRUCT, name("\x01\x02"), NONAME)).toBe("{[1,2,],}");
		expect(show("skb", BTF_KIND_STRUCT, le32(0, 0, 0, 1))).toBe("(struct skb){.cb = (__u32[])[1,],}");
	});

	it("bitfields in hexadecimal", () => {
		expect(show("insn", BTF_KIND_STRUCT, [1, 0x32, 4, 0, ...le32(5)])).toBe(
			"(struct insn){.code = (__u8)1,.dst_reg = (__u8)0x2,.src_reg = (__u8)0x3,.off = (__s16)4,.imm = (__s32)5,}",
		);
	});

	it("over lines, a member each, with what is inside further in", () => {
		expect(show("skb", BTF_KIND_STRUCT, le32(7, 0, 0, 0, 0, 0, 1, 2, 3), 0, true)).toBe(
			[
				"(struct skb){",
				" .len = (__u32)7,",
				" .e = (struct btf_enum){",
				"  .name_off = (__u32)1,",
				"  .val = (__s32)2,",
				" },",
				" .u = (union){",
				"  .a = (int)3,",
				"  .b = (unsigned int)3,",
				" },",
				"}",
				"",
			].join("\n"),
		);
	});

	it("is cut to the buffer, but counted whole, and faults are errors", () => {
		const id = btf_find_by_name_kind(b, "int", BTF_KIND_INT);
		const src = { read: () => new Uint8Array([210, 4, 0, 0]) };
		expect(btf_type_snprintf_show(b, id, 0, src, 5, 0)).toEqual({ text: "(int", ret: 10 });
		expect(btf_type_snprintf_show(b, id, 0, { read: () => null }, 5, 0).ret).toBe(-14);
	});
});

describe("a split BTF on a distilled base", () => {
	/** Base: int, struct foo (12 bytes), forward of bar; module: struct m { struct foo f; struct bar *b; int i; }. */
	function module_on(foo_size: number): { dist: btf_obj; mod: btf_obj } {
		const d = new BtfWriter();
		d.int("int", 4, 1);
		d.add("foo", BTF_KIND_STRUCT, 0, foo_size);
		d.add("bar", BTF_KIND_STRUCT, 0, 0);
		const dist = open(d.bytes());
		const base_str = dist.hdr.str_len;
		// ids of the module start at 4; its strings behind those of the base
		const strings = "\0m\0f\0b\0i\0";
		const off = (s: string): number => base_str + strings.indexOf(`\0${s}\0`) + 1;
		const words = [0, 0x02000000, 3, off("m"), 0x04000003, foo_size + 16];
		words.push(off("f"), 2, 0, off("b"), 4, foo_size * 8, off("i"), 1, foo_size * 8 + 64);
		const blob = Buffer.alloc(24 + words.length * 4 + strings.length);
		blob.writeUInt16LE(0xeb9f, 0);
		blob[2] = 1;
		blob.writeUInt32LE(24, 4);
		blob.writeUInt32LE(words.length * 4, 12);
		blob.writeUInt32LE(words.length * 4, 16);
		blob.writeUInt32LE(strings.length, 20);
		words.forEach((w, i) => {
			blob.writeUInt32LE(w, 24 + 4 * i);
		});
		blob.write(strings, 24 + words.length * 4, "latin1");
		return { dist, mod: open(new Uint8Array(blob), dist) };
	}
	const real = (): btf_obj =>
		open(btf_from_c("struct x { long l; }; struct bar { int q; }; struct foo { int a, b, c; };"));

	it("finds the real types by name", () => {
		const { mod } = module_on(12);
		const base = real();
		expect(btf_relocate(mod, base)).toBe(0);
		expect(mod.base_btf).toBe(base);
		const at = btf_member_path(mod, "m", "f.c")!;
		expect(at.bit_offset).toBe(64);
		const ptr = btf_type_by_id(mod, btf_member_path(mod, "m", "b")!.type_id)!;
		expect(ptr.type).toBe(btf_find_by_name_kind(base, "bar", BTF_KIND_STRUCT));
	});

	it("refuses an embedded struct of another size, and types that are gone", () => {
		expect(btf_relocate(module_on(16).mod, real())).toBe(-22);
		expect(btf_relocate(module_on(12).mod, open(btf_from_c("struct foo { int a, b, c; };")))).toBe(-22);
	});
});
