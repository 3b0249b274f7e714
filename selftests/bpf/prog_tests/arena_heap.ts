// SPDX-License-Identifier: GPL-2.0-only
/** An arena as a program's own heap, without pointers of user space (BPF_F_NO_USER_CONV). Also an example: `bpf-mirror arena heap`. */
import { BPF_F_MMAPABLE } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__set_map_flags,
	bpf_prog_get_info_by_fd,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import { areaAt } from "../smaps.ts";
import { type ProgTest, say, type TestEnv } from "../test_env.ts";

const PAGE = 4096;
const SZ_4G = 2 ** 32;
/** struct flow of progs/arena_heap.c, and how many of them follow a page's head. */
const FLOW = 64;
const PER_PAGE = PAGE / FLOW - 1;
const INSN = 8;

/** addr_space_cast of a pointer of the arena to one of user space, as it is left to the JIT. */
function conversions(skel: Skel): number {
	const info = bpf_prog_get_info_by_fd(skel.lib, skel.prog("heap_count").fd);
	if (typeof info === "number") return info;
	const { xlated_prog_insns: insns } = info;
	let n = 0;
	for (let at = 0; at < insns.length; at += INSN)
		if (insns[at] === 0xbf && insns[at + 2] === 1 && insns[at + 6] === 1) n++;
	return n;
}

/** The same flows by a Map, which keeps the order in which they were last seen. */
class Flows {
	readonly at = new Map<number, { packets: number; bytes: number }>();
	evicted = 0;
	private readonly room: number;
	constructor(room: number) {
		this.room = room;
	}
	packet(src: number, len: number): void {
		const f = this.at.get(src) ?? { packets: 0, bytes: 0 };
		if (!this.at.delete(src) && this.at.size === this.room) {
			this.at.delete(this.at.keys().next().value!);
			this.evicted++;
		}
		f.packets++;
		f.bytes += len;
		this.at.set(src, f);
	}
}

function test(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const base = skel.map("arena").mmaped;
	const run = (prog: string): number => {
		const opts = { retval: -1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), prog);
		return opts.retval;
	};
	const packet = new Uint8Array(128);
	const send = (src: number, len: number): number => {
		new DataView(packet.buffer).setUint32(26, src, true);
		const opts = { data_in: packet.subarray(0, len), repeat: 1, retval: -1 };
		return bpf_prog_test_run_opts(skel.lib, skel.prog("heap_count").fd, opts);
	};
	const query = (src: number): { packets: number; bytes: number } => {
		skel.set("query_src", src);
		run("heap_query");
		return { packets: Number(skel.get("query_packets")), bytes: Number(skel.get("query_bytes")) };
	};
	const pages = 3;
	const flows = new Flows(pages * PER_PAGE);

	if (t.startSubtest("empty")) {
		say(t, "A packet comes before there is a heap: it is not counted.");
		t.ASSERT_OK(send(1, 64), "send");
		t.ASSERT_EQ(skel.get("dropped"), 1, "dropped");
		t.ASSERT_EQ(skel.get("live"), 0, "live");
	}
	if (t.startSubtest("count")) {
		say(
			t,
			`heap_grow() cuts ${pages} pages into ${pages * PER_PAGE} objects; the XDP program takes them from there.`,
		);
		skel.set("grow_by", pages);
		t.ASSERT_EQ(run("heap_grow"), 0, "heap_grow");
		let seed = 1;
		let failed = 0;
		for (let i = 0; i < 2000; i++) {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			// some sources come often, most seldom
			const src = (seed >>> 16) % (i % 3 ? 400 : 20);
			const len = 60 + (i % 50);
			if (send(src, len)) failed++;
			flows.packet(src, len);
		}
		t.ASSERT_EQ(failed, 0, "test runs");
		t.ASSERT_EQ(skel.get("live"), flows.at.size, "live");
		t.ASSERT_EQ(skel.get("evicted"), flows.evicted, "evicted");
		t.ASSERT_GT(flows.evicted, 0, "some were");
		let wrong = 0;
		for (let src = 0; src < 400; src++) {
			const want = flows.at.get(src) ?? { packets: 0, bytes: 0 };
			const got = query(src);
			if (got.packets !== want.packets || got.bytes !== want.bytes) wrong++;
		}
		t.ASSERT_EQ(wrong, 0, "flows");
	}
	if (t.startSubtest("pointers")) {
		say(
			t,
			"What the program stores are low halves: user space that wants to follow them adds the arena's address.",
		);
		const high = Math.floor(base / SZ_4G) * SZ_4G;
		let n = 0;
		let wide = 0;
		let last = 0;
		for (let at = Number(skel.get("newest")); at !== 0; n++) {
			if (at >= SZ_4G) wide++;
			last = sys.load32(high + (at % SZ_4G) + 40);
			at = Number(sys.load64(high + (at % SZ_4G) + 16));
		}
		t.ASSERT_EQ(n, flows.at.size, "flows by user space's walk");
		t.ASSERT_EQ(last, flows.at.keys().next().value ?? -1, "the oldest");
		t.ASSERT_EQ(wide, 0, "pointers with an upper half");
		t.ASSERT_EQ(conversions(skel), 0, "conversions in the program");
		const other = Skel.open(t, "arena_heap");
		if (other) {
			bpf_map__set_map_flags(other.map("arena"), BPF_F_MMAPABLE);
			t.ASSERT_OK(other.load(), "load without BPF_F_NO_USER_CONV");
			t.ASSERT_GT(conversions(other), 0, "conversions without the flag");
			other.destroy();
		}
	}
	if (t.startSubtest("drop")) {
		say(t, "heap_drop() gives all pages back, those that user space looked at too.");
		const { end } = areaAt(sys, base) ?? { end: base };
		t.ASSERT_EQ(areaAt(sys, base)?.pages ?? -1, pages + 1, "pages that user space has");
		t.ASSERT_EQ(run("heap_drop"), 0, "heap_drop");
		t.ASSERT_EQ(areaAt(sys, base)?.pages ?? -1, 1, "the page of variables is left");
		skel.set("grow_by", (end - base) / PAGE - 1);
		t.ASSERT_EQ(run("heap_grow"), 0, "all other pages can be had again");
		skel.set("grow_by", 1);
		t.ASSERT_EQ(run("heap_grow"), 1, "and no more");
		t.ASSERT_EQ(run("heap_drop"), 0, "heap_drop again");
	}
}

export const arenaHeap: ProgTest = {
	name: "arena_heap",
	run(t) {
		const skel = Skel.openAndLoad(t, "arena_heap");
		if (!skel) return;
		test(t, skel);
		t.endSubtest();
		skel.destroy();
	},
};
