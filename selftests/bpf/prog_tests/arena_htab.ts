// SPDX-License-Identifier: GPL-2.0-only
/** A hash table in the arena, filled and searched from both sides (prog_tests/arena_htab.c). */
import { bpf_map__fd, bpf_prog_test_run_opts } from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";
import { fillAndLookUp } from "../upstream_objects/arena.ts";

const XDP_DROP = 1;
const XDP_TX = 3;

/** struct elem { next; int key; int value; }; struct htab { buckets; int n_buckets; } */
class Htab {
	private readonly t: TestEnv;
	private readonly buckets: number;
	private readonly n: number;
	constructor(t: TestEnv, at: number) {
		this.t = t;
		this.buckets = Number(t.sys.load64(at));
		this.n = t.sys.load32(at + 8);
	}
	bucket(key: number): number {
		return this.buckets + 8 * ((Math.imul(key, 0x9e3779b1) >>> 0) & (this.n - 1));
	}
	find(key: number): number {
		const { sys } = this.t;
		let at = Number(sys.load64(this.bucket(key)));
		while (at !== 0 && (sys.load32(at + 8) | 0) !== key) at = Number(sys.load64(at));
		return at;
	}
	lookup(key: number): number {
		const at = this.find(key);
		return at === 0 ? -1 : this.t.sys.load32(at + 12) | 0;
	}
	/** Put an element that lies at `at` in front of its chain. */
	insert(at: number, key: number, value: number): void {
		const { sys } = this.t;
		const bucket = this.bucket(key);
		sys.store64(at, sys.load64(bucket));
		sys.store32(at + 8, key);
		sys.store32(at + 12, value);
		sys.store64(bucket, BigInt(at));
	}
}

export const arenaHtab: ProgTest = {
	name: "arena_htab",
	run(t) {
		if (t.startSubtest("arena_htab_asm")) fillAndLookUp(t, "arena_htab_asm", "arena_htab_asm");
		t.endSubtest();
		const skel = Skel.openAndLoad(t, "arena_htab");
		if (!skel) return;
		const { sys } = t;
		const area = skel.map("arena").mmaped;
		const run = (prog: string): number => {
			const opts = { retval: -1 };
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), `${prog} ret`);
			return opts.retval;
		};
		const xdp = (key: number): { verdict: number; value: number } => {
			const pkt = new Uint8Array(64);
			const dv = new DataView(pkt.buffer);
			dv.setInt32(0, key, true);
			const opts = { data_in: pkt, data_out: new Uint8Array(64), repeat: 1, retval: 0 };
			t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("arena_xdp").fd, opts), "xdp");
			const value = new DataView(opts.data_out.buffer).getInt32(0, true);
			return { verdict: opts.retval, value };
		};

		if (t.startSubtest("program_fills")) {
			// the first page belongs to user space: the program's allocations go around it
			sys.store32(area, 0x55aa);
			t.ASSERT_EQ(run("arena_htab"), 0, "retval");
			t.ASSERT_EQ(sys.load32(area), 0x55aa, "page of user space");
			const htab = new Htab(t, Number(skel.get("htab_for_user")));
			let wrong = 0;
			for (let i = 0; i < 1000; i++) if (htab.lookup(i) !== (i % 4 ? i : i + 1000000)) wrong++;
			t.ASSERT_EQ(wrong, 0, "elements");
			t.ASSERT_EQ(htab.lookup(1000), -1, "no such key");
			t.ASSERT_EQ(xdp(7).value, 7, "packet's answer");
			t.ASSERT_EQ(xdp(8).value, 1000008, "packet's other answer");
		}
		if (t.startSubtest("user_fills")) {
			const htab = new Htab(t, Number(skel.get("htab_for_user")));
			t.ASSERT_EQ(xdp(4711).verdict, XDP_DROP, "not there yet");
			// a page that only user space has touched so far
			const page = area + 50 * sys.pageSize;
			htab.insert(page, 4711, 815);
			htab.insert(page + 16, 4712, 816);
			skel.set("lookup_key", 4711);
			t.ASSERT_EQ(run("arena_lookup"), 0, "found");
			t.ASSERT_EQ(skel.get("lookup_value"), 815, "value of user space");
			const answer = xdp(4712);
			t.ASSERT_EQ(answer.verdict, XDP_TX, "verdict");
			t.ASSERT_EQ(answer.value, 816, "answer");
			sys.store32(page + 16 + 12, 817);
			t.ASSERT_EQ(xdp(4712).value, 817, "answer after an update");
		}
		t.endSubtest();
		t.ASSERT_GT(bpf_map__fd(skel.map("arena")), 0, "fd");
		skel.destroy();
	},
};
