// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { openMessageTap } from "../../lib/message_tap.ts";
import { btf_kind, type btf_obj, btf_parse_bytes } from "./btf.ts";
import { type RawBtfTest, raw_btf_tests, type Word } from "./btf_raw_tests.ts";
import { bpf_vlog_finalize, new_verifier_log } from "./log.ts";

/** The bytes of a raw test. */
function blob(test: RawBtfTest): Uint8Array {
	let strings = "\0";
	const offs = new Map<string, number>();
	const name_at = (s: string): number => {
		if (test.strings !== undefined) return test.strings.indexOf(`\0${s}\0`) + 1;
		let off = offs.get(s);
		if (off === undefined) {
			off = strings.length;
			strings += `${s}\0`;
			offs.set(s, off);
		}
		return off;
	};
	const word = (w: Word): number => (typeof w === "number" ? w : typeof w === "string" ? name_at(w) : w.at);
	const words = test.types.flat().map(word);
	const str = Buffer.from(test.strings ?? strings, "latin1");
	const out = Buffer.alloc(24 + words.length * 4 + str.length);
	out.writeUInt16LE(0xeb9f, 0);
	out.writeUInt8(1, 2);
	out.writeUInt32LE((24 + (test.hdr_len_delta ?? 0)) >>> 0, 4);
	out.writeUInt32LE((test.type_off_delta ?? 0) >>> 0, 8);
	out.writeUInt32LE(words.length * 4, 12);
	out.writeUInt32LE((words.length * 4 + (test.str_off_delta ?? 0)) >>> 0, 16);
	out.writeUInt32LE((str.length + (test.str_len_delta ?? 0)) >>> 0, 20);
	words.forEach((w, i) => {
		out.writeUInt32LE(w, 24 + i * 4);
	});
	str.copy(out, 24 + words.length * 4);
	return new Uint8Array(out);
}

const tap = openMessageTap();

/** Parse with a log of level 2; what it says comes too. */
function load(data: Uint8Array): { btf: btf_obj | number; log: string } {
	const buf = new Uint8Array(1 << 20);
	const log = new_verifier_log(tap);
	log.level = 2;
	log.len_total = buf.length;
	log.ubuf = {
		write(at, bytes) {
			buf.set(bytes, at);
			return true;
		},
		read: (at, len) => buf.slice(at, at + len),
	};
	const btf = btf_parse_bytes(null, data, log);
	bpf_vlog_finalize(log, { val: 0 });
	return { btf, log: Buffer.from(buf.subarray(0, buf.indexOf(0))).toString("latin1") };
}

describe("raw BTFs of upstream's btf test", () => {
	it.each(raw_btf_tests.map((t) => [t.name, t] as const))("%s", (_name, test) => {
		const { btf, log } = load(blob(test));
		if (test.err === undefined) {
			expect(typeof btf, log).toBe("object");
		} else {
			expect(typeof btf, log).toBe("number");
			expect(log).toContain(test.err);
		}
	});
});

describe("the log of a BTF", () => {
	it("describes header and types as the kernel does", () => {
		const { log } = load(
			blob({
				name: "",
				types: [
					["int", 0x01000000, 4, 0x01000020],
					["A", 0x84000002, 4],
					["x", 1, 0x03000000],
					["y", 1, 0x1d000003],
				],
			}),
		);
		expect(log).toBe(
			[
				"magic: 0xeb9f",
				"version: 1",
				"flags: 0x0",
				"hdr_len: 24",
				"type_off: 0",
				"type_len: 52",
				"str_off: 52",
				"str_len: 11",
				"btf_total_size: 87",
				"[1] INT int size=4 bits_offset=0 nr_bits=32 encoding=SIGNED",
				"[2] STRUCT A size=4 vlen=2",
				"\tx type_id=1 bitfield_size=3 bits_offset=0",
				"\ty type_id=1 bitfield_size=29 bits_offset=3",
				"",
			].join("\n"),
		);
	});

	it("names the struct again when a member fails in the second phase", () => {
		const { btf, log } = load(
			blob({
				name: "",
				types: [
					["int", 0x01000000, 4, 0x01000020],
					["A", 0x04000001, 4],
					["x", 1, 8],
				],
			}),
		);
		expect(btf).toBe(-22);
		expect(log.split("\n").slice(-3)).toEqual([
			"[2] STRUCT A size=4 vlen=1",
			"\tx type_id=1 bits_offset=8 Member exceeds struct_size",
			"",
		]);
	});

	it("refuses unknown encodings with ENOTSUPP", () => {
		const { btf } = load(blob({ name: "", types: [["int", 0x01000000, 4, 0x03000020]] }));
		expect(btf).toBe(-524);
	});
});

describe("special fields", () => {
	// struct bpf_spin_lock { u32 val; }; struct bpf_list_head, bpf_list_node { u64 … };
	// struct node { struct bpf_list_node n; }; struct root { lock; head contains:node:n }
	const list = (tag: string): RawBtfTest => ({
		name: "",
		types: [
			["u32", 0x01000000, 4, 0x00000020],
			["u64", 0x01000000, 8, 0x00000040],
			["bpf_spin_lock", 0x04000001, 4],
			["val", 1, 0],
			["bpf_list_head", 0x04000002, 16],
			["a", 2, 0],
			["b", 2, 64],
			["bpf_list_node", 0x04000003, 24],
			["a", 2, 0],
			["b", 2, 64],
			["c", 2, 128],
			["node", 0x04000001, 24],
			["n", 5, 0],
			["root", 0x04000002, 24],
			["lock", 3, 0],
			["head", 4, 64],
			[tag, 0x11000000, 7, 1],
		],
	});

	it("are found with their records", () => {
		const { btf, log } = load(blob(list("contains:node:n")));
		expect(typeof btf, log).toBe("object");
		const metas = (btf as btf_obj).struct_meta_tab!;
		expect(metas.map((m) => m.btf_id)).toEqual([6, 7]);
		const root = metas[1]!.record;
		expect(root.spin_lock_off).toBe(0);
		expect(root.fields.map((f) => [f.type, f.offset, f.size])).toEqual([
			[1, 0, 4],
			[32, 8, 16],
		]);
		expect(root.fields[1]!.graph_root).toMatchObject({ value_btf_id: 6, node_offset: 0 });
		expect(root.fields[1]!.graph_root!.value_rec).toBe(metas[0]!.record);
		expect(btf_kind((btf as btf_obj).local_type(7))).toBe(4);
	});

	it("need a tag that names a node", () => {
		expect(load(blob(list("contains:node:m"))).btf).toBe(-2);
		expect(load(blob(list("contains:nothing:n"))).btf).toBe(-2);
		expect(load(blob(list("contains:node"))).btf).toBe(-22);
		expect(load(blob(list("holds:node:n"))).btf).toBe(-22);
	});
});

describe("more that is refused", () => {
	const int: Word[] = ["int", 0x01000000, 4, 0x01000020];
	const constOf = (type: number): Word[] => [0, 0x0a000000, type];
	const cases: readonly RawBtfTest[] = [
		{
			name: "an enumerator's name",
			types: [int, ["E", 0x06000001, 4], [9999, 0]],
			err: "Invalid name_offset:9999",
		},
		{ name: "a type's name", types: [[99999, 0x01000000, 4, 32]], err: "[1] Invalid name_offset:99999" },
		{ name: "a kind", types: [["x", 0x19000000, 4]], err: "[1] Invalid kind:25" },
		{ name: "a rest that is no type", types: [int, [0]], err: "[2] meta_left:4 meta_needed:12" },
		{
			name: "strings before types",
			types: [int],
			strings: "\0int",
			type_off_delta: 4,
			str_off_delta: -16,
			err: "String section is not at the end",
		},
		{
			name: "modifiers of what comes later, too many",
			types: [...Array.from({ length: 34 }, (_, i) => constOf(i + 2)), int],
			err: "Exceeded max resolving depth:32",
		},
	];
	it.each(cases.map((t) => [t.name, t] as const))("%s", (_name, test) => {
		const { btf, log } = load(blob(test));
		expect(typeof btf, log).toBe("number");
		expect(log).toContain(test.err);
	});
});
