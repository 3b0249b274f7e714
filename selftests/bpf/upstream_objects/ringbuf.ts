// SPDX-License-Identifier: GPL-2.0-only
/**
 * Upstream's own ring buffer and dynptr objects, driven and checked as prog_tests/ringbuf.c, ringbuf_multi.c,
 * user_ringbuf.c and dynptr.c of v6.12 do; and the parts of them that objects of progs/ share.
 */
import { E2BIG, EINVAL, ENOSPC } from "../../../include/uapi/asm-generic/errno.ts";
import {
	BPF_MAP_TYPE_RINGBUF,
	BPF_RB_FORCE_WAKEUP,
	BPF_RB_NO_WAKEUP,
	BPF_RINGBUF_HDR_SZ,
} from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map__set_inner_map_fd,
	bpf_map__set_max_entries,
	bpf_map_create,
	bpf_map_lookup_elem,
	ring__avail_data_size,
	ring__consume,
	ring__consumer_pos,
	ring__map_fd,
	ring__producer_pos,
	ring__size,
	type ring_buffer,
	ring_buffer__add,
	ring_buffer__consume,
	ring_buffer__consume_n,
	ring_buffer__free,
	ring_buffer__new,
	ring_buffer__poll,
	ring_buffer__ring,
	type ring_buffer_sample_fn,
	type user_ring_buffer,
	user_ring_buffer__discard,
	user_ring_buffer__free,
	user_ring_buffer__new,
	user_ring_buffer__reserve,
	user_ring_buffer__reserve_blocking,
	user_ring_buffer__submit,
} from "../../../tools/lib/bpf/libbpf.ts";
import { dynptrSuccess } from "../prog_tests/dynptr.ts";
import { read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const EDONE = 7777;
const N_TOT_SAMPLES = 32;
const N_SAMPLES = 4;
const SAMPLE_VALUE = 42n;
const SAMPLE = 32;

/** An object with a map `ringbuf` of a size, attached, and a consumer of it. */
function withRing(
	t: TestEnv,
	name: string,
	object: Uint8Array | undefined,
	size: number,
	sample: (skel: Skel) => ring_buffer_sample_fn,
	run: (skel: Skel, rb: ring_buffer) => void | Promise<void>,
	before?: (skel: Skel) => void,
): void | Promise<void> {
	const skel = Skel.open(t, name, object);
	if (!skel) return;
	bpf_map__set_max_entries(skel.map("ringbuf"), size);
	skel.set("pid", t.sys.getpid());
	const done = (rb: ring_buffer | null): void => {
		ring_buffer__free(rb);
		skel.destroy();
	};
	if (!t.ASSERT_OK(skel.load(), "skel_load")) return done(null);
	before?.(skel);
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("ringbuf")), sample(skel));
	if (!t.ASSERT_OK_PTR(rb, "ring_buffer__new") || typeof rb === "number") return done(null);
	if (!t.ASSERT_OK(skel.attach(), "skel_attach")) return done(rb);
	const r = run(skel, rb);
	if (r) return r.then(() => done(rb));
	done(rb);
}

/** Samples are consumed so many at a time (test_ringbuf_n). */
export function ringbufN(t: TestEnv, object?: Uint8Array): void {
	void withRing(
		t,
		"test_ringbuf_n",
		object,
		t.sys.pageSize,
		() => (addr) => {
			t.ASSERT_EQ(t.sys.load64(addr + 8), SAMPLE_VALUE, "sample_value");
			return 0;
		},
		(skel, rb) => {
			skel.set("value", SAMPLE_VALUE);
			for (let i = 0; i < N_TOT_SAMPLES; i++) t.sys.getpgid(0);
			for (let i = 0; i < N_TOT_SAMPLES; i += N_SAMPLES)
				if (!t.ASSERT_EQ(ring_buffer__consume_n(rb, N_SAMPLES), N_SAMPLES, "rb_consume")) return;
			t.ASSERT_EQ(ring_buffer__consume_n(rb, N_SAMPLES), 0, "nothing is left");
		},
	);
}

/** A record's memory is a map's key (test_ringbuf_map_key). */
export async function ringbufMapKey(t: TestEnv, object?: Uint8Array): Promise<void> {
	await withRing(
		t,
		"test_ringbuf_map_key",
		object,
		t.sys.pageSize,
		(skel) => (addr, size) => {
			const s = t.sys.load(addr, size);
			if (read32(s, 4) !== 1) return 0;
			t.ASSERT_EQ(read64(s, 8), 42, "sample_value");
			const val = new Uint8Array(4);
			const err = bpf_map_lookup_elem(skel.lib, bpf_map__fd(skel.map("hash_map")), s, val);
			t.ASSERT_OK(err, "hash_map bpf_map_lookup_elem");
			t.ASSERT_EQ(read32(val), 1, "hash_map val");
			return -EDONE;
		},
		async (skel, rb) => {
			t.sys.getpgid(0);
			t.ASSERT_EQ(skel.get("seq"), 1, "seq");
			t.ASSERT_EQ(await ring_buffer__poll(rb, -1), -EDONE, "ring_buffer__poll");
			if (!object) t.ASSERT_EQ(skel.get("found"), 1, "found by the record's memory");
		},
	);
}

/** User space writes a position that it has not reached (test_ringbuf_write). */
export function ringbufWrite(t: TestEnv, object?: Uint8Array): void {
	const { sys } = t;
	void withRing(
		t,
		"test_ringbuf_write",
		object,
		0x40000,
		() => () => 0,
		(skel) => {
			skel.set("discarded", 0);
			skel.set("passed", 0);
			sys.getpgid(0);
			sys.getpgid(0);
			t.ASSERT_EQ(skel.get("discarded"), 2, "discarded");
			t.ASSERT_EQ(skel.get("passed"), 0, "passed");
		},
		(skel) => {
			const page = sys.pageSize;
			const p = sys.mmap(0, page, 3, 1, bpf_map__fd(skel.map("ringbuf")), 0);
			if (!t.ASSERT_GT(p, 0, "rw_cons_pos")) return;
			sys.store64(p, 0x30000n);
			t.ASSERT_OK(sys.munmap(p, page), "unmap_rw");
		},
	);
}

/** test_ringbuf: what is sampled, counted, announced and held back. */
async function ringbufSubtest(t: TestEnv, object: Uint8Array): Promise<void> {
	const { sys } = t;
	const rec = BPF_RINGBUF_HDR_SZ + SAMPLE;
	let seen = 0;
	const sample: ring_buffer_sample_fn = (addr) => {
		seen++;
		const seq = sys.load32(addr + 4);
		if (seq > 1) return 0;
		t.ASSERT_EQ(sys.load64(addr + 8), seq === 0 ? 333 : 777, `sample${seq + 1}_value`);
		return 0;
	};
	const take = (): number => {
		const n = seen;
		seen = 0;
		return n;
	};
	await withRing(
		t,
		"test_ringbuf",
		object,
		sys.pageSize,
		() => sample,
		async (skel, rb) => {
			const reset = (): void => {
				for (const v of ["dropped", "total", "discarded"]) skel.set(v, 0);
			};
			const trigger = (): void => {
				reset();
				for (const value of [333, 777]) {
					skel.set("value", value);
					sys.getpgid(0);
				}
			};
			const counted = (): void => {
				t.ASSERT_EQ(skel.get("dropped"), 0, "err_dropped");
				t.ASSERT_EQ(skel.get("total"), 2, "err_total");
				t.ASSERT_EQ(skel.get("discarded"), 1, "err_discarded");
			};
			trigger();
			const ring = ring_buffer__ring(rb, 0)!;
			for (const [name, value] of [
				["avail_data", 3 * rec],
				["ring_size", sys.pageSize],
				["cons_pos", 0],
				["prod_pos", 3 * rec],
			] as const)
				t.ASSERT_EQ(skel.get(name), value, `err_${name}`);
			t.ASSERT_EQ(ring__avail_data_size(ring), 3 * rec, "ring_avail_size");
			t.ASSERT_EQ(ring__size(ring), sys.pageSize, "ring_ring_size");
			t.ASSERT_EQ(ring__consumer_pos(ring), 0, "ring_cons_pos");
			t.ASSERT_EQ(ring__producer_pos(ring), 3 * rec, "ring_prod_pos");
			t.ASSERT_EQ(ring__map_fd(ring), bpf_map__fd(skel.map("ringbuf")), "ring_map_fd");
			t.ASSERT_EQ(await ring_buffer__poll(rb, -1), 2, "poll_res");
			counted();
			t.ASSERT_EQ(take(), 2, "cnt");
			t.ASSERT_EQ(ring__consumer_pos(ring), 3 * rec, "ring_cons_pos");
			t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "extra_samples");

			// in adaptive mode a consumer that has caught up is woken
			const bg: { ret: number | null } = { ret: null };
			const poll = (): Promise<void> =>
				sys.thread(async () => {
					bg.ret = await ring_buffer__poll(rb, 10000);
				});
			let poller = poll();
			await sys.yieldCpu();
			t.ASSERT_TRUE(bg.ret === null, "blocked");
			trigger();
			await poller;
			t.ASSERT_EQ(bg.ret ?? -1, 2, "bg_ret");
			counted();
			t.ASSERT_EQ(take(), 2, "cnt");

			// told not to, the program wakes no one
			t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "drained");
			bg.ret = null;
			poller = poll();
			await sys.yieldCpu();
			skel.set("flags", BPF_RB_NO_WAKEUP);
			trigger();
			await sys.yieldCpu();
			t.ASSERT_TRUE(bg.ret === null, "still blocked");
			counted();
			t.ASSERT_EQ(take(), 0, "cnt");
			// and in adaptive mode a consumer that is behind is not woken
			skel.set("flags", 0);
			trigger();
			await sys.yieldCpu();
			t.ASSERT_TRUE(bg.ret === null, "blocked while behind");
			t.ASSERT_EQ(take(), 0, "cnt");
			reset();
			skel.set("value", 333);
			sys.getpgid(0);
			skel.set("flags", BPF_RB_FORCE_WAKEUP);
			skel.set("value", 777);
			sys.getpgid(0);
			await poller;
			t.ASSERT_GT(bg.ret ?? 0, 0, "bg_ret");
			t.ASSERT_GE(ring_buffer__consume(rb), 0, "rb_consume");
			t.ASSERT_GE(ring__consume(ring), 0, "ring_consume");
			t.ASSERT_EQ(take(), 6, "cnt");
			counted();
		},
	);
}

/** One subtest of a test of upstream's. */
const single =
	(test: string, subtest: string | null, run: (t: TestEnv, object: Uint8Array) => void | Promise<void>) =>
	(object: Uint8Array): ProgTest => ({
		name: test,
		async run(t) {
			if (subtest !== null && !t.startSubtest(subtest)) return t.endSubtest();
			await run(t, object);
			t.endSubtest();
		},
	});

async function ringbufMulti(t: TestEnv, object: Uint8Array): Promise<void> {
	const { sys } = t;
	const page = sys.pageSize;
	const skel = Skel.open(t, "test_ringbuf_multi", object);
	if (!skel) return;
	const first = skel.map("ringbuf1");
	t.ASSERT_EQ(first.def.max_entries, page, "rb1_size_before");
	t.ASSERT_OK(bpf_map__set_max_entries(first, page + 1), "rb1_resize");
	t.ASSERT_EQ(first.def.max_entries, 2 * page, "rb1_size_after");
	t.ASSERT_OK(bpf_map__set_max_entries(first, page), "rb1_reset");
	t.ASSERT_EQ(first.def.max_entries, page, "rb1_size_final");
	const proto = bpf_map_create(skel.lib, BPF_MAP_TYPE_RINGBUF, null, 0, 0, page);
	t.ASSERT_OK_FD(proto, "bpf_map_create");
	t.ASSERT_OK(bpf_map__set_inner_map_fd(skel.map("ringbuf_hash"), proto), "bpf_map__set_inner_map_fd");
	const loaded = t.ASSERT_OK(skel.load(), "skel_load");
	sys.close(proto);
	if (!loaded) return skel.destroy();
	t.ASSERT_ERR(bpf_map__set_max_entries(first, 3 * page), "rb1_resize_after_load");
	skel.set("pid", sys.getpid());
	const sample = (ring: number) => (addr: number) => {
		const seq = sys.load32(addr + 4);
		t.ASSERT_EQ(ring, seq + 1, `sample${seq + 1}_ring`);
		t.ASSERT_EQ(sys.load64(addr + 8), seq === 0 ? 333 : 777, `sample${seq + 1}_value`);
		return 0;
	};
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(first), sample(1));
	if (!t.ASSERT_OK_PTR(rb, "ringbuf_create") || typeof rb === "number") return skel.destroy();
	const ring = ring_buffer__ring(rb, 0);
	t.ASSERT_TRUE(ring_buffer__ring(rb, 1) === null, "ring_buffer__ring_idx_1");
	t.ASSERT_OK(ring_buffer__add(rb, bpf_map__fd(skel.map("ringbuf2")), sample(2)), "ringbuf_add");
	t.ASSERT_TRUE(ring_buffer__ring(rb, 0) === ring, "ring_buffer__ring_again");
	if (t.ASSERT_OK(skel.attach(), "skel_attach")) {
		for (const [slot, value] of [
			[0, 333],
			[1, 555],
			[2, 777],
		] as const) {
			skel.set("target_ring", slot);
			skel.set("value", value);
			sys.getpgid(0);
		}
		t.ASSERT_EQ(await ring_buffer__poll(rb, -1), 2, "poll_res");
		t.ASSERT_EQ(await ring_buffer__poll(rb, 0), 0, "extra_samples");
		t.ASSERT_EQ(skel.get("dropped"), 0, "err_dropped");
		t.ASSERT_EQ(skel.get("skipped"), 1, "err_skipped");
		t.ASSERT_EQ(skel.get("total"), 2, "err_total");
	}
	ring_buffer__free(rb);
	skel.destroy();
}

/** user_ringbuf_success: its object, its rings of a page, and user space's side of the first. */
class UserRing {
	readonly t: TestEnv;
	readonly skel: Skel;
	readonly rb: user_ring_buffer;
	private constructor(t: TestEnv, skel: Skel, rb: user_ring_buffer) {
		this.t = t;
		this.skel = skel;
		this.rb = rb;
	}
	static create(t: TestEnv, object: Uint8Array): UserRing | null {
		const skel = Skel.open(t, "user_ringbuf_success", object);
		if (!skel) return null;
		for (const m of ["user_ringbuf", "kernel_ringbuf"]) bpf_map__set_max_entries(skel.map(m), t.sys.pageSize);
		skel.set("pid", t.sys.getpid());
		if (t.ASSERT_OK(skel.load(), "skel_load")) {
			const rb = user_ring_buffer__new(skel.lib, bpf_map__fd(skel.map("user_ringbuf")));
			if (t.ASSERT_OK_PTR(rb, "user_ringbuf_create") && typeof rb !== "number") {
				if (t.ASSERT_OK(skel.attach(), "skel_attach")) return new UserRing(t, skel, rb);
				user_ring_buffer__free(rb);
			}
		}
		skel.destroy();
		return null;
	}
	get read(): number {
		return Number(this.skel.get("read"));
	}
	/** getpgid(2) drains: what the program got from it. */
	drain(): number {
		this.t.sys.getpgid(0);
		return Number(this.skel.get("err"));
	}
	write(n: number): number {
		for (let i = 0; i < n; i++) {
			const at = user_ring_buffer__reserve(this.rb, SAMPLE);
			if (at < 0) {
				this.t.ASSERT_EQ(at, -ENOSPC, "reserve");
				return i;
			}
			this.t.sys.store32(at, this.t.sys.getpid());
			this.t.sys.store32(at + 4, i);
			this.t.sys.store64(at + 8, BigInt(i * i));
			user_ring_buffer__submit(this.rb, at);
		}
		return n;
	}
	/** Empty samples until there is no room. */
	fill(end: (rb: user_ring_buffer, at: number) => void): number {
		for (let n = 0; ; n++) {
			const at = user_ring_buffer__reserve(this.rb, 8);
			if (at < 0) return n;
			end(this.rb, at);
		}
	}
	destroy(): void {
		user_ring_buffer__free(this.rb);
		this.skel.destroy();
	}
}

const PRCTL = { x86_64: 157, arm64: 167 } as const;
const PRLIMIT64 = { x86_64: 302, arm64: 261 } as const;

/** A header and a producer's position that no library writes. */
const invalid =
	(len: (size: number) => number, prod: (size: number) => number, err: number) =>
	(r: UserRing): void => {
		const { sys } = r.t;
		const size = r.rb.mask + 1;
		sys.store32(r.rb.data, len(size));
		sys.store64(r.rb.producer_pos, BigInt(prod(size)));
		r.t.ASSERT_EQ(r.drain(), err, "drain");
		r.t.ASSERT_EQ(r.read, 0, "read");
	};

/** Four operations in turn, as both sides of the protocol apply them. */
function apply(v: bigint, op: number, operand: bigint): bigint {
	return BigInt.asUintN(64, op < 2 ? v + operand : v * operand);
}

function protocol(r: UserRing): void {
	const { t, skel } = r;
	const { sys } = t;
	const operand = (op: number): bigint => (op % 2 === 0 ? 4n : 2n);
	let user = 0n;
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("kernel_ringbuf")), (addr) => {
		const op = sys.load32(addr);
		const v = op % 2 === 0 ? sys.load64(addr + 8) : BigInt(sys.load32(addr + 8));
		user = apply(user, op, v);
		skel.set("user_mutated", user);
		return 0;
	});
	if (!t.ASSERT_OK_PTR(rb, "kern_ringbuf_create") || typeof rb === "number") return;
	let expected = 0n;
	for (let i = 0; i < 64; i++) {
		const op = i % 4;
		const at = user_ring_buffer__reserve(r.rb, 16);
		if (!t.ASSERT_OK_PTR(at, "reserve_msg")) break;
		sys.store32(at, op);
		if (op % 2 === 0) sys.store64(at + 8, operand(op));
		else sys.store32(at + 8, Number(operand(op)));
		user_ring_buffer__submit(r.rb, at);
		expected = apply(expected, op, operand(op));
		if (i % 8) continue;
		sys.syscall(PRCTL[sys.arch]);
		t.ASSERT_EQ(BigInt.asUintN(64, skel.get("kern_mutated")), expected, "expected_kern");
		t.ASSERT_EQ(skel.get("err"), 0, "bpf_prog_err");
		t.ASSERT_EQ(ring_buffer__consume(rb), 8, "consume_kern_ringbuf");
	}
	t.ASSERT_EQ(user, BigInt.asUintN(64, skel.get("expected_user_mutated")), "user_mutated");
	ring_buffer__free(rb);
}

async function blocking(r: UserRing): Promise<void> {
	const { t } = r;
	const written = r.fill(user_ring_buffer__submit);
	t.ASSERT_EQ(r.read, 0, "num_pre_kick");
	t.ASSERT_EQ(await user_ring_buffer__reserve_blocking(r.rb, 8, 1000), -ENOSPC, "pre_kick_timeout_token");
	const kick = t.sys.thread(async (sys) => {
		await sys.yieldCpu();
		return sys.syscall(PRLIMIT64[sys.arch], 0, 1, 0, 0);
	});
	const at = await user_ring_buffer__reserve_blocking(r.rb, 8, 10000);
	await kick;
	if (!t.ASSERT_OK_PTR(at, "block_token")) return;
	t.ASSERT_EQ(r.read, written, "num_post_kill");
	t.ASSERT_EQ(r.skel.get("err"), 0, "err");
	user_ring_buffer__discard(r.rb, at);
}

const USER_RING: readonly [string, (r: UserRing) => void | Promise<void>][] = [
	[
		"test_user_ringbuf_post_misaligned",
		invalid(
			() => 39,
			() => 39 + 8,
			-EINVAL,
		),
	],
	[
		"test_user_ringbuf_post_producer_wrong_offset",
		invalid(
			() => 32,
			() => 24 + 8,
			-EINVAL,
		),
	],
	[
		"test_user_ringbuf_post_larger_than_ringbuf_sz",
		invalid(
			(n) => n,
			(n) => n + 8,
			-E2BIG,
		),
	],
	[
		"test_user_ringbuf_basic",
		(r) => {
			r.t.ASSERT_EQ(r.write(2), 2, "write_samples");
			r.t.ASSERT_EQ(r.drain(), 2, "drain");
			r.t.ASSERT_EQ(r.read, 2, "num_samples_read_after");
		},
	],
	[
		"test_user_ringbuf_sample_full_ring_buffer",
		(r) => {
			const at = user_ring_buffer__reserve(r.rb, r.rb.mask + 1 - 8);
			r.t.ASSERT_OK_PTR(at, "full_sample");
			user_ring_buffer__submit(r.rb, at);
			r.drain();
			r.t.ASSERT_EQ(r.read, 1, "num_samples_read_after");
		},
	],
	[
		"test_user_ringbuf_post_alignment_autoadjust",
		(r) => {
			const at = user_ring_buffer__reserve(r.rb, SAMPLE + 1);
			r.t.ASSERT_OK_PTR(at, "reserve_autoaligned");
			user_ring_buffer__submit(r.rb, at);
			r.drain();
			r.t.ASSERT_EQ(r.read, 1, "num_samples_read");
		},
	],
	[
		"test_user_ringbuf_overfill",
		(r) => {
			const max = Math.floor((r.rb.mask + 1) / (SAMPLE + 8));
			r.t.ASSERT_EQ(r.write(max * 5), max, "write_samples");
			r.drain();
			r.t.ASSERT_EQ(r.read, max, "max_entries");
		},
	],
	[
		"test_user_ringbuf_discards_properly_ignored",
		(r) => {
			r.t.ASSERT_EQ(r.fill(user_ring_buffer__discard), (r.rb.mask + 1) / 16, "num_discarded");
			r.drain();
			r.t.ASSERT_EQ(r.read, 0, "num_post_kick");
			r.t.ASSERT_OK_PTR(user_ring_buffer__reserve(r.rb, 8), "new_token");
		},
	],
	[
		"test_user_ringbuf_loop",
		(r) => {
			const max = Math.floor((r.rb.mask + 1) / (SAMPLE + 8));
			let wrong = 0;
			for (let left = 8192; left > 0; ) {
				const n = Math.min(left, max);
				if (r.write(n) !== n || r.drain() !== n) wrong++;
				left -= n;
			}
			r.t.ASSERT_EQ(wrong, 0, "batches");
			r.t.ASSERT_EQ(r.read, 8192, "total_batched_entries");
		},
	],
	["test_user_ringbuf_msg_protocol", protocol],
	["test_user_ringbuf_blocking_reserve", blocking],
];

const userRingbuf = (object: Uint8Array): ProgTest => ({
	name: "user_ringbuf",
	async run(t) {
		for (const [name, test] of USER_RING) {
			if (!t.startSubtest(name)) continue;
			const r = UserRing.create(t, object);
			if (!r) continue;
			await test(r);
			r.destroy();
		}
		t.endSubtest();
	},
});

const dynptr = (object: Uint8Array): ProgTest => ({
	name: "dynptr",
	run: (t) => dynptrSuccess(t, object),
});

/** By object. */
export const ringbufObjects: Readonly<Record<string, (object: Uint8Array) => ProgTest>> = {
	test_ringbuf: single("ringbuf", "ringbuf", ringbufSubtest),
	test_ringbuf_n: single("ringbuf", "ringbuf_n", ringbufN),
	test_ringbuf_map_key: single("ringbuf", "ringbuf_map_key", ringbufMapKey),
	test_ringbuf_write: single("ringbuf", "ringbuf_write", ringbufWrite),
	test_ringbuf_multi: single("ringbuf_multi", null, ringbufMulti),
	user_ringbuf_success: userRingbuf,
	dynptr_success: dynptr,
};
