// SPDX-License-Identifier: GPL-2.0-only
/**
 * A process keeps a key/value store in an arena; an XDP program answers look-ups from it. Also an example:
 * `bpf-mirror arena kv`.
 */
import type { Sys } from "../../../include/sys.ts";
import { bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import { areaAt } from "../smaps.ts";
import { type ProgTest, say, type TestEnv } from "../test_env.ts";

const XDP_PASS = 2;
const XDP_TX = 3;
const PAGE = 4096;
const PORT = 11222;
const VALUE_MAX = 40;
/** struct slot of progs/arena_kv.c */
const SLOT = 64;
const SEQ = 8;
const STATE = 12;
const VALUE = 16;
const HITS = 56;
const DELETED = 0xffffffff;
/** struct table */
const TABLE = 16;
const QUERY = 14 + 20 + 8 + 12;
const ANSWER = 14 + 20 + 8 + 16 + VALUE_MAX;

/** The process's side: an open hash table that it alone writes, in pages that its first touch brings in. */
export class KvStore {
	private readonly sys: Sys;
	/** Address of the program's variable kv_table. */
	private readonly root: number;
	private table = 0;
	private slots = 0;
	private mask = 0;
	/** The next page of the arena that nothing was put into. */
	private free: number;
	private readonly seen = new Map<bigint, Uint8Array>();

	constructor(sys: Sys, root: number, free: number, slots: number) {
		this.sys = sys;
		this.root = root;
		this.free = free;
		this.publish(slots);
	}

	/** A table of `n` slots, a power of two, shown to the program by one store. Returns the old one's place. */
	private publish(n: number): { addr: number; pages: number } {
		const old = { addr: this.table, pages: this.table ? this.pages(this.mask + 1) : 0 };
		this.table = this.free;
		this.slots = this.table + SLOT;
		this.mask = n - 1;
		this.free += this.pages(n) * PAGE;
		this.sys.store64(this.table, BigInt(this.mask));
		this.sys.store64(this.table + 8, BigInt(this.slots));
		for (const [key, value] of this.seen) this.write(this.slot(key)!, key, value);
		this.sys.store64(this.root, BigInt(this.table));
		return old;
	}
	private pages(n: number): number {
		return Math.ceil((SLOT + TABLE + n * SLOT) / PAGE);
	}

	/** The slot that has a key, or would take it; null when the table is full. */
	private slot(key: bigint): number | null {
		const at = Number((BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n) >> 32n) & 0xffffffffn);
		let room: number | null = null;
		for (let i = 0; i <= this.mask; i++) {
			const s = this.slots + SLOT * ((at + i) & this.mask);
			const state = this.sys.load32(s + STATE);
			if (state === 0) return room ?? s;
			if (state === DELETED) room ??= s;
			else if (this.sys.load64(s) === key) return s;
		}
		return room;
	}
	private write(s: number, key: bigint, value: Uint8Array): void {
		this.begin(s);
		this.sys.store64(s, key);
		this.sys.store(s + VALUE, value);
		this.sys.store32(s + STATE, value.length + 1);
		this.end(s);
	}
	/** The slot's sequence is odd from here on … */
	private begin(s: number): void {
		this.sys.store32(s + SEQ, this.sys.load32(s + SEQ) | 1);
	}
	/** … to here. */
	private end(s: number): void {
		this.sys.store32(s + SEQ, this.sys.load32(s + SEQ) + 1);
	}

	/** False when there is no room. */
	put(key: bigint, value: Uint8Array): boolean {
		const s = this.slot(key);
		if (s === null) return false;
		this.write(s, key, value);
		this.seen.set(key, value);
		return true;
	}
	delete(key: bigint): boolean {
		const s = this.slot(key);
		if (s === null || !this.seen.delete(key)) return false;
		this.begin(s);
		this.sys.store32(s + STATE, DELETED);
		this.end(s);
		return true;
	}
	/** Look-ups that the program answered from a key's slot. */
	hits(key: bigint): number {
		return Number(this.sys.load64(this.slot(key)! + HITS));
	}
	/** Twice as many slots; the place of the table that nobody looks into any more. */
	grow(): { addr: number; pages: number } {
		return this.publish(2 * (this.mask + 1));
	}
	/** Do something while the slot of a key is being written. */
	whileWriting(key: bigint, what: () => void): void {
		const s = this.slot(key)!;
		this.begin(s);
		what();
		this.end(s);
	}
}

/** A look-up as it comes from the wire. */
export function query(key: bigint): Uint8Array {
	const b = new Uint8Array(QUERY);
	const dv = new DataView(b.buffer);
	b.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45]);
	dv.setUint16(16, QUERY - 14);
	b[22] = 64;
	b[23] = 17;
	b.set([10, 0, 0, 2, 10, 0, 0, 1], 26);
	dv.setUint16(34, 40000);
	dv.setUint16(36, PORT);
	dv.setUint16(38, 20);
	b.set(Buffer.from("KVGT"), 42);
	dv.setBigUint64(46, BigInt.asUintN(64, key), true);
	return b;
}

/** The value in an answer, or what is wrong with it. */
function readAnswer(key: bigint, b: Uint8Array): Uint8Array | string {
	const dv = new DataView(b.buffer, b.byteOffset, b.length);
	if (b.length !== ANSWER) return `${b.length} bytes`;
	let sum = 0;
	for (let i = 14; i < 34; i += 2) sum += dv.getUint16(i);
	while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
	if (sum !== 0xffff) return "checksum";
	if (dv.getUint16(16) !== ANSWER - 14 || dv.getUint16(38) !== ANSWER - 34) return "lengths";
	if (dv.getUint16(34) !== PORT || dv.getUint16(36) !== 40000) return "ports";
	if (b[5] !== 2 || b[11] !== 1 || b[29] !== 1 || b[33] !== 2) return "addresses";
	if (Buffer.from(b.subarray(42, 46)).toString() !== "KVOK" || dv.getBigUint64(46, true) !== key)
		return "reply";
	return b.subarray(58, 58 + dv.getUint32(54, true));
}

function test(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const base = skel.map("arena").mmaped;
	const send = (packet: Uint8Array): { verdict: number; out: Uint8Array } => {
		const opts = { data_in: packet, data_out: new Uint8Array(256), data_size_out: 0, repeat: 1, retval: -1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("kv_lookup").fd, opts), "test run");
		return { verdict: opts.retval, out: opts.data_out.subarray(0, opts.data_size_out) };
	};
	const answers = (key: bigint, want: string): void => {
		const { verdict, out } = send(query(key));
		t.ASSERT_EQ(verdict, XDP_TX, `verdict of key ${key}`);
		const got = readAnswer(key, out);
		t.ASSERT_STREQ(typeof got === "string" ? `bad ${got}` : Buffer.from(got).toString(), want, `key ${key}`);
	};
	const passes = (packet: Uint8Array, what: string): void => {
		const { verdict, out } = send(packet);
		t.ASSERT_EQ(verdict, XDP_PASS, what);
		t.ASSERT_BYTES(out, packet, `${what}: packet`);
	};
	const bytes = (s: string): Uint8Array => Buffer.from(s);
	const name = (i: number): string => `value of ${i}`;

	passes(query(1n), "no table yet");
	// variables of the arena lie in its first page, where the process reads and writes them too
	const first = 1;
	const root = base + skel.offsetOf("kv_table");
	say(
		t,
		"The process puts a table of 256 slots into the arena and 100 values into it: its stores bring the pages in.",
	);
	const kv = new KvStore(sys, root, base + first * PAGE, 256);
	for (let i = 1; i <= 100; i++) t.ASSERT_TRUE(kv.put(BigInt(i), bytes(name(i))), `put ${i}`);

	if (t.startSubtest("lookup")) {
		say(
			t,
			"Packets come; the program answers from the table. It never allocates: the pages are the process's.",
		);
		for (const i of [1, 2, 50, 100]) answers(BigInt(i), name(i));
		passes(query(101n), "no such key");
		t.ASSERT_EQ(kv.hits(50n), 1, "hits of a key");
		t.ASSERT_EQ(skel.get("kv_hits"), 4, "hits");
		t.ASSERT_EQ(skel.get("kv_misses"), 2, "misses");
	}
	if (t.startSubtest("update")) {
		say(t, "A value is changed, one deleted, one put in its place: the next packet sees it.");
		kv.put(50n, bytes("another"));
		answers(50n, "another");
		kv.put(50n, bytes(""));
		answers(50n, "");
		kv.put(50n, bytes("x".repeat(VALUE_MAX)));
		answers(50n, "x".repeat(VALUE_MAX));
		t.ASSERT_TRUE(kv.delete(50n), "delete");
		passes(query(50n), "deleted");
		kv.put(50n, bytes("back"));
		answers(50n, "back");
	}
	if (t.startSubtest("busy")) {
		say(t, "While the process writes a slot, the program leaves the question to it.");
		kv.whileWriting(7n, () => passes(query(7n), "being written"));
		t.ASSERT_EQ(skel.get("kv_busy"), 1, "busy");
		answers(7n, name(7));
	}
	if (t.startSubtest("others")) {
		const with_byte = (at: number, v: number): Uint8Array => {
			const q = query(1n);
			q[at] = v;
			return q;
		};
		passes(query(1n).subarray(0, QUERY - 1), "short");
		passes(with_byte(12, 0x86), "not IPv4");
		passes(with_byte(14, 0x46), "options");
		passes(with_byte(23, 6), "TCP");
		passes(with_byte(37, 0), "another port");
		passes(with_byte(42, 0), "no request");
		// a longer packet is answered by one of the right length
		const long = new Uint8Array(300);
		long.set(query(2n));
		t.ASSERT_EQ(send(long).out.length, ANSWER, "length of the answer");
	}
	if (t.startSubtest("grow")) {
		say(
			t,
			"The table is full to the last slot; the process builds a larger one and shows it by one store of a pointer.",
		);
		let i = 101;
		while (kv.put(BigInt(i), bytes(name(i)))) i++;
		t.ASSERT_EQ(i - 1, 256, "values that fit");
		answers(256n, name(256));
		passes(query(5000n), "a search through all of them");
		const pages = areaAt(sys, base)?.pages ?? -1;
		const old = kv.grow();
		// 512 slots behind their head are 8 pages and a slot, which no key came to
		t.ASSERT_EQ(areaAt(sys, base)?.pages ?? -1, pages + 8, "pages of both tables");
		for (const k of [1, 100, 256]) answers(BigInt(k), name(k));
		say(t, "The old table's pages go back; only a program can do that.");
		skel.set("release_addr", old.addr);
		skel.set("release_pages", old.pages);
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("kv_release").fd, {}), "kv_release");
		t.ASSERT_EQ(areaAt(sys, base)?.pages ?? -1, pages + 8 - old.pages, "pages of the new one");
		for (const k of [1, 100, 256]) answers(BigInt(k), name(k));
	}
}

export const arenaKv: ProgTest = {
	name: "arena_kv",
	run(t) {
		const skel = Skel.openAndLoad(t, "arena_kv");
		if (!skel) return;
		test(t, skel);
		t.endSubtest();
		skel.destroy();
	},
};
