// SPDX-License-Identifier: GPL-2.0-only
/** Dynptrs of map values, ring buffers and packets (prog_tests/dynptr.c). */
import {
	bpf_link__destroy,
	bpf_map__fd,
	bpf_prog_test_run_opts,
	bpf_program__attach,
	bpf_program__set_autoload,
	ring__avail_data_size,
	ring_buffer__consume,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__ring,
} from "../../../tools/lib/bpf/libbpf.ts";
import { read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const HEADER = 8;

function run(t: TestEnv, skel: Skel, prog: string, retval = 0, data: Uint8Array | null = null): Uint8Array {
	const out = new Uint8Array(128);
	const opts = data ? { data_in: data, data_out: out, repeat: 1, retval: -1 } : { retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog(prog).fd, opts), "test_run");
	t.ASSERT_EQ(opts.retval, retval, "retval");
	t.ASSERT_EQ(skel.get("err"), 0, "line of a failed check");
	skel.set("err", 0);
	return out;
}

/** Records of a dynptr arrive as others do, with the size that was asked for at run time. */
function ring(t: TestEnv, skel: Skel): void {
	const sizes: number[] = [];
	const values: bigint[] = [];
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("ringbuf")), (addr, size) => {
		const rec = t.sys.load(addr, size);
		t.ASSERT_EQ(read32(rec, 0), t.sys.getpid(), "pid");
		sizes.push(size);
		values.push(read64(rec, 8));
		return 0;
	});
	if (!t.ASSERT_OK_PTR(rb, "ringbuf_create") || typeof rb === "number") return;
	// what other subtests discarded
	t.ASSERT_EQ(ring_buffer__consume(rb), 0, "discarded records");
	for (const more of [0, 1, 700]) {
		skel.set("size", more);
		run(t, skel, "ring");
	}
	t.ASSERT_EQ(
		ring__avail_data_size(ring_buffer__ring(rb, 0)!),
		3 * HEADER + 16 + 24 + 720,
		"rounded to 8 bytes",
	);
	t.ASSERT_EQ(ring_buffer__consume(rb), 3, "consume");
	t.ASSERT_STREQ(sizes.join(), "16,17,716", "sizes");
	t.ASSERT_STREQ(values.join(), "0,1,700", "values");
	ring_buffer__free(rb);
}

/** How the programs of dynptr_success are run: by nanosleep(2), on a packet, or by the end of another's packet. */
const DYNPTR: readonly [string, "sleep" | "skb" | "kfree_skb"][] = [
	["test_read_write", "sleep"],
	["test_dynptr_data", "sleep"],
	["test_ringbuf", "sleep"],
	["test_skb_readonly", "skb"],
	["test_dynptr_skb_data", "skb"],
	["test_adjust", "sleep"],
	["test_adjust_err", "sleep"],
	["test_zero_size_dynptr", "sleep"],
	["test_dynptr_is_null", "sleep"],
	["test_dynptr_is_rdonly", "skb"],
	["test_dynptr_clone", "skb"],
	["test_dynptr_skb_no_buff", "skb"],
	["test_dynptr_skb_strcmp", "skb"],
	["test_dynptr_skb_tp_btf", "kfree_skb"],
];

/** An Ethernet frame with an IPv4 packet in it. */
function ipv4Packet(): Uint8Array {
	const p = new Uint8Array(54);
	p.set([0x08, 0x00, 0x45, 0, 0, 123], 12);
	p[23] = 6;
	return p;
}

/** Test-run a scheduler classifier: its packet is freed at the end. */
function freePacket(t: TestEnv): void {
	const aux = Skel.openAndLoad(t, "dynptr");
	if (!aux) return;
	const opts = { data_in: ipv4Packet(), retval: -1 };
	t.ASSERT_OK(bpf_prog_test_run_opts(aux.lib, aux.prog("skb").fd, opts), "test_run");
	aux.destroy();
}

/** The programs of upstream's dynptr_success, or of ours of the same names, as test_dynptr() runs them. */
export async function dynptrSuccess(t: TestEnv, object?: Uint8Array): Promise<void> {
	for (const [name, how] of DYNPTR) {
		if (!t.startSubtest(name)) continue;
		if (how !== "skb" && t.kernel.noAttach !== undefined) {
			t.skip(t.kernel.noAttach);
			continue;
		}
		const skel = Skel.open(t, "dynptr_success", object);
		if (!skel) continue;
		skel.set("pid", t.sys.getpid());
		const prog = skel.prog(name);
		bpf_program__set_autoload(prog, true);
		if (t.ASSERT_OK(skel.load(), "dynptr_success__load")) {
			if (how === "skb") {
				const opts = { data_in: ipv4Packet(), data_out: new Uint8Array(64), repeat: 1 };
				t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, prog.fd, opts), "test_run");
			} else {
				const link = bpf_program__attach(prog);
				if (t.ASSERT_OK_PTR(link, "bpf_program__attach") && typeof link !== "number") {
					if (how === "sleep") await t.sys.nanosleep(1000);
					else freePacket(t);
					bpf_link__destroy(link);
				}
			}
			t.ASSERT_EQ(skel.get("err"), 0, "err");
			// ours count, to show that they ran
			if (!object) t.ASSERT_NEQ(skel.get("checks"), 0, "checks");
		}
		skel.destroy();
	}
	t.endSubtest();
}

export const dynptr: ProgTest = {
	name: "dynptr",
	async run(t) {
		await dynptrSuccess(t);
		const skel = Skel.openAndLoad(t, "dynptr");
		if (!skel) return;
		const pkt = new Uint8Array(64).map((_, i) => i);
		pkt.set([0x08, 0x00], 12);
		const want = pkt.slice();
		want.set([0x61, 0x62, 0x63], 40);
		if (t.startSubtest("ring_refused")) run(t, skel, "ring_refused");
		for (const prog of ["read_write", "data", "clone"]) if (t.startSubtest(prog)) run(t, skel, prog);
		if (t.startSubtest("ring")) ring(t, skel);
		if (t.startSubtest("adjust")) run(t, skel, "adjust");
		if (t.startSubtest("skb")) t.ASSERT_BYTES(run(t, skel, "skb", 0, pkt).subarray(0, 64), want, "packet");
		if (t.startSubtest("skb_rdonly")) run(t, skel, "skb_rdonly", 1, pkt);
		if (t.startSubtest("skb_no_buffer")) run(t, skel, "skb_no_buffer", 1, pkt);
		if (t.startSubtest("skb_freed")) {
			const link = bpf_program__attach(skel.prog("skb_freed"));
			if (t.ASSERT_OK_PTR(link, "attach") && typeof link !== "number") {
				run(t, skel, "skb", 0, pkt);
				bpf_link__destroy(link);
				run(t, skel, "skb", 0, pkt);
				t.ASSERT_EQ(skel.get("freed"), 1, "packets freed while attached");
			}
		}
		if (t.startSubtest("xdp"))
			t.ASSERT_BYTES(run(t, skel, "xdp_packet", 2, pkt).subarray(0, 64), want, "packet");
		t.endSubtest();
		skel.destroy();
	},
};
