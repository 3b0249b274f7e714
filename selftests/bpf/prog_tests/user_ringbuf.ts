// SPDX-License-Identifier: GPL-2.0-only
/** The ring buffer that user space fills and a program drains (prog_tests/user_ringbuf.c). */
import { E2BIG, EACCES, EBUSY, EINVAL, ENOSPC, EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import {
	MAP_SHARED,
	MREMAP_MAYMOVE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../../../include/uapi/asm-generic/mman.ts";
import { BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map__set_max_entries,
	ring_buffer__consume,
	ring_buffer__free,
	ring_buffer__new,
	type user_ring_buffer,
	user_ring_buffer__discard,
	user_ring_buffer__free,
	user_ring_buffer__new,
	user_ring_buffer__reserve,
	user_ring_buffer__reserve_blocking,
	user_ring_buffer__submit,
} from "../../../tools/lib/bpf/libbpf.ts";
import { nrGetpgid, read32, read64, Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** BPF_MAX_USER_RINGBUF_SAMPLES */
const MAX_SAMPLES = 128 * 1024;
const HEADER = 8;
/** struct sample { int pid, seq; long value; char comm[16]; } */
const SAMPLE = 32;
const OPS = 4;

/** An object with its ring of one page, which getpgid(2) drains. */
class Ring {
	readonly t: TestEnv;
	readonly skel: Skel;
	readonly rb: user_ring_buffer;
	private constructor(t: TestEnv, skel: Skel, rb: user_ring_buffer) {
		this.t = t;
		this.skel = skel;
		this.rb = rb;
	}
	static create(t: TestEnv, size = t.sys.pageSize): Ring | null {
		const skel = Skel.open(t, "user_ringbuf");
		if (!skel) return null;
		for (const m of ["user_ringbuf", "kernel_ringbuf"]) bpf_map__set_max_entries(skel.map(m), size);
		if (t.ASSERT_OK(skel.load(), "skel_load")) {
			skel.set("pid", t.sys.getpid());
			skel.set("drain_nr", nrGetpgid(t.sys.arch));
			const rb = user_ring_buffer__new(skel.lib, bpf_map__fd(skel.map("user_ringbuf")));
			if (t.ASSERT_OK_PTR(rb, "user_ringbuf_create") && typeof rb !== "number") {
				if (t.ASSERT_OK(skel.attach(), "skel_attach")) return new Ring(t, skel, rb);
				user_ring_buffer__free(rb);
			}
		}
		skel.destroy();
		return null;
	}
	get size(): number {
		return this.rb.mask + 1;
	}
	get read(): number {
		return Number(this.skel.get("read"));
	}
	/** Have the program drain: what it says. */
	drain(): number {
		this.t.sys.getpgid(0);
		return Number(this.skel.get("ret"));
	}
	/** Samples, as many as fit: how many. */
	write(n: number): number {
		const { sys } = this.t;
		const sample = new Uint8Array(16);
		const dv = new DataView(sample.buffer);
		dv.setUint32(0, sys.getpid(), true);
		for (let i = 0; i < n; i++) {
			const at = user_ring_buffer__reserve(this.rb, SAMPLE);
			if (at < 0) {
				if (at !== -ENOSPC) this.t.printFail(`reserve: ${at}\n`);
				return i;
			}
			dv.setUint32(4, i, true);
			dv.setBigUint64(8, BigInt(i * i), true);
			// at once: each store is a journey where the process is elsewhere
			sys.store(at, sample);
			user_ring_buffer__submit(this.rb, at);
		}
		return n;
	}
	/** Tokens of 8 bytes until there is no room: how many. */
	fill(end: (rb: user_ring_buffer, sample: number) => void): number {
		let n = 0;
		for (;;) {
			const at = user_ring_buffer__reserve(this.rb, 8);
			if (at < 0) return n;
			this.t.sys.store64(at, 0xdeadbeefn);
			end(this.rb, at);
			n++;
		}
	}
	destroy(): void {
		user_ring_buffer__free(this.rb);
		this.skel.destroy();
	}
}

/** What may be mapped, and how: the consumer's position is the kernel's to write. */
function mappings(r: Ring): void {
	const { t } = r;
	const { sys } = t;
	const page = sys.pageSize;
	const fd = bpf_map__fd(r.skel.map("user_ringbuf"));
	const rw = PROT_READ | PROT_WRITE;
	let p = sys.mmap(0, page, PROT_READ, MAP_SHARED, fd, 0);
	t.ASSERT_GT(p, 0, "ro_cons_pos");
	t.ASSERT_EQ(sys.mprotect(p, page, PROT_WRITE), -EACCES, "write_cons_pos_protect");
	t.ASSERT_EQ(sys.mprotect(p, page, PROT_EXEC), -EACCES, "exec_cons_pos_protect");
	t.ASSERT_ERR(sys.mremap(p, 0, 4 * page, MREMAP_MAYMOVE), "wr_prod_pos");
	t.ASSERT_OK(sys.munmap(p, page), "unmap_ro_cons");
	t.ASSERT_EQ(sys.mmap(0, page, rw, MAP_SHARED, fd, 0), -EPERM, "rw_cons_pos");

	p = sys.mmap(0, page, rw, MAP_SHARED, fd, page);
	t.ASSERT_GT(p, 0, "rw_prod_pos");
	t.ASSERT_EQ(sys.mprotect(p, page, PROT_EXEC), -EACCES, "exec_prod_pos_protect");
	t.ASSERT_OK(sys.munmap(p, page), "unmap_rw_prod");

	p = sys.mmap(0, page, PROT_WRITE, MAP_SHARED, fd, 2 * page);
	t.ASSERT_GT(p, 0, "rw_data");
	t.ASSERT_EQ(sys.mprotect(p, page, PROT_EXEC), -EACCES, "exec_data_protect");
	t.ASSERT_OK(sys.munmap(p, page), "unmap_rw_data");
}

/** A header and a position that the library would never write. */
function invalid(header: (r: Ring) => number, prod: (r: Ring) => number, err: number): (r: Ring) => void {
	return (r) => {
		const { t } = r;
		t.sys.store32(r.rb.data, header(r) >>> 0);
		t.sys.store32(r.rb.data + 4, 0);
		t.sys.store64(r.rb.producer_pos, BigInt(prod(r)));
		t.ASSERT_EQ(r.drain(), err, "drain");
		t.ASSERT_EQ(r.read, 0, "read");
		t.ASSERT_EQ(t.sys.load64(r.rb.consumer_pos), 0, "consumer's position");
	};
}

function basic(r: Ring): void {
	const { t } = r;
	t.ASSERT_EQ(r.read, 0, "num_samples_read_before");
	t.ASSERT_EQ(r.drain(), 0, "nothing to drain");
	t.ASSERT_EQ(r.write(2), 2, "write_samples");
	t.ASSERT_EQ(r.drain(), 2, "drain");
	t.ASSERT_EQ(r.read, 2, "num_samples_read_after");
	t.ASSERT_EQ(r.skel.get("last_seq"), 1, "seq");
	t.ASSERT_EQ(r.skel.get("value_sum"), 1, "values");
	// a sample that is not finished holds up those behind it
	const at = user_ring_buffer__reserve(r.rb, SAMPLE);
	r.write(1);
	t.ASSERT_EQ(r.drain(), 0, "busy");
	user_ring_buffer__submit(r.rb, at);
	t.ASSERT_EQ(r.drain(), 2, "no longer busy");
}

function full(r: Ring): void {
	const { t } = r;
	t.ASSERT_EQ(user_ring_buffer__reserve(r.rb, r.size - HEADER + 1), -E2BIG, "larger than the ring");
	const at = user_ring_buffer__reserve(r.rb, r.size - HEADER);
	t.ASSERT_OK_PTR(at, "full_sample");
	t.ASSERT_EQ(user_ring_buffer__reserve(r.rb, 0), -ENOSPC, "no room for a header");
	user_ring_buffer__submit(r.rb, at);
	t.ASSERT_EQ(r.drain(), 1, "drain");
	t.ASSERT_EQ(r.read, 1, "num_samples_read_after");
}

function autoadjust(r: Ring): void {
	const { t } = r;
	const at = user_ring_buffer__reserve(r.rb, SAMPLE + 1);
	t.ASSERT_OK_PTR(at, "reserve_autoaligned");
	user_ring_buffer__submit(r.rb, at);
	t.ASSERT_EQ(r.drain(), 1, "drain");
	t.ASSERT_EQ(t.sys.load64(r.rb.consumer_pos), SAMPLE + HEADER + 8, "consumer's position");
}

function overfill(r: Ring): void {
	const { t } = r;
	const max = Math.floor(r.size / (SAMPLE + HEADER));
	t.ASSERT_EQ(r.write(max * 5), max, "write_samples");
	t.ASSERT_EQ(r.drain(), max, "max_entries");
}

function discards(r: Ring): void {
	const { t } = r;
	t.ASSERT_EQ(r.fill(user_ring_buffer__discard), r.size / 16, "num_discarded");
	t.ASSERT_EQ(r.drain(), 0, "drain");
	t.ASSERT_EQ(r.read, 0, "num_post_kick");
	// among others
	const [a, b, c] = [0, 1, 2].map(() => user_ring_buffer__reserve(r.rb, 8));
	t.ASSERT_OK_PTR(a!, "new_token");
	user_ring_buffer__submit(r.rb, a!);
	user_ring_buffer__discard(r.rb, b!);
	user_ring_buffer__submit(r.rb, c!);
	t.ASSERT_EQ(r.drain(), 2, "drain of two");
}

function loop(r: Ring): void {
	const { t } = r;
	const max = Math.floor(r.size / (SAMPLE + HEADER));
	const total = 8192;
	let wrong = 0;
	for (let left = total; left > 0; ) {
		const n = Math.min(left, max);
		if (r.write(n) !== n || r.drain() !== n || r.skel.get("last_seq") !== BigInt(n - 1)) wrong++;
		left -= n;
		if (r.read !== total - left) wrong++;
	}
	t.ASSERT_EQ(wrong, 0, "batches");
	t.ASSERT_EQ(r.read, total, "total_batched_entries");
}

/** Messages with operations to both sides, which end with the same number. */
function protocol(r: Ring): void {
	const { t, skel } = r;
	const { sys } = t;
	const nr = sys.arch === "arm64" ? 173 : 110; // getppid
	skel.set("msg_nr", nr);
	let user = 0n;
	let expected = 0n;
	const apply = (v: bigint, op: number, operand: bigint): bigint => (op < 2 ? v + operand : v * operand);
	const rb = ring_buffer__new(skel.lib, bpf_map__fd(skel.map("kernel_ringbuf")), (addr, size) => {
		const msg = sys.load(addr, size);
		const op = read32(msg, 0);
		user = BigInt.asIntN(64, apply(user, op, op % 2 ? BigInt(read32(msg, 8)) : read64(msg, 8)));
		return 0;
	});
	if (!t.ASSERT_OK_PTR(rb, "kern_ringbuf_create") || typeof rb === "number") return;
	let from_kernel = 0n;
	for (let i = 0; i < 64; i++) {
		const op = i % OPS;
		const operand = op % 2 ? 2n : 4n;
		const at = user_ring_buffer__reserve(r.rb, 16);
		if (!t.ASSERT_OK_PTR(at, "reserve_msg")) break;
		sys.store32(at, op);
		if (op % 2) sys.store32(at + 8, Number(operand));
		else sys.store64(at + 8, operand);
		user_ring_buffer__submit(r.rb, at);
		expected = BigInt.asIntN(64, apply(expected, op, operand));
		if (i % 8) continue;
		sys.syscall(nr);
		if (skel.get("kern_mutated") !== expected || skel.get("err") !== 0n)
			t.printFail(
				`message ${i}: ${skel.get("kern_mutated")}, expected ${expected}, err ${skel.get("err")}\n`,
			);
		if (ring_buffer__consume(rb) !== 8) t.printFail("consume_kern_ringbuf\n");
		for (let j = 0; j < 8; j++)
			from_kernel = BigInt.asIntN(64, apply(from_kernel, j % OPS, j % OPS === 0 || j % OPS === 2 ? 4n : 2n));
	}
	t.ASSERT_EQ(skel.get("err"), 0, "bpf_prog_err");
	t.ASSERT_EQ(user, from_kernel, "user_mutated");
	ring_buffer__free(rb);
}

async function blocking(r: Ring): Promise<void> {
	const { t } = r;
	const written = r.fill(user_ring_buffer__submit);
	t.ASSERT_EQ(r.read, 0, "num_pre_kick");
	const before = t.sys.clockMonotonic();
	t.ASSERT_EQ(await user_ring_buffer__reserve_blocking(r.rb, 8, 1000), -ENOSPC, "pre_kick_timeout_token");
	t.ASSERT_GE(t.sys.clockMonotonic() - before, 1_000_000_000, "waited");
	t.ASSERT_EQ(await user_ring_buffer__reserve_blocking(r.rb, 8, -2), -EINVAL, "timeout");
	const kick = t.sys.thread(async (sys) => {
		await sys.yieldCpu();
		return sys.getpgid(0);
	});
	const at = await user_ring_buffer__reserve_blocking(r.rb, 8, 10000);
	await kick;
	if (!t.ASSERT_OK_PTR(at, "block_token")) return;
	t.ASSERT_EQ(r.read, written, "num_post_kill");
	user_ring_buffer__discard(r.rb, at);
}

/** Who is told of a drain. */
async function wakeups(r: Ring): Promise<void> {
	const { t } = r;
	const woken = async (flags: number, fill: boolean): Promise<boolean> => {
		r.skel.set("flags", flags);
		if (fill) r.fill(user_ring_buffer__submit);
		// who begins to wait when there is room already needs nobody to wake him
		const thread = t.sys.thread(async (sys) => {
			await sys.nanosleep(200_000_000);
			return sys.getpgid(0);
		});
		const events = await t.sys.epollWait(r.rb.epoll_fd, 1, 1000);
		await thread;
		return typeof events !== "number" && events.length > 0;
	};
	t.ASSERT_TRUE(await woken(0, true), "after samples");
	t.ASSERT_FALSE(await woken(BPF_RB_NO_WAKEUP, true), "told not to");
	t.ASSERT_TRUE(await woken(BPF_RB_FORCE_WAKEUP, true), "forced");
	r.skel.set("flags", 8);
	t.ASSERT_EQ(r.drain(), -EINVAL, "unknown flags");
}

/** The callback ends the drain, or tries to begin another one. */
function callbacks(r: Ring): void {
	const { t, skel } = r;
	r.write(5);
	skel.set("stop_at", 2);
	t.ASSERT_EQ(r.drain(), 2, "stopped at the second");
	skel.set("stop_at", -1);
	t.ASSERT_EQ(r.drain(), 3, "the rest");
	t.ASSERT_EQ(skel.get("last_seq"), 4, "the last");
	skel.set("nested", 1);
	r.write(1);
	t.ASSERT_EQ(r.drain(), 1, "outer drain");
	t.ASSERT_EQ(skel.get("nested_ret"), -EBUSY, "inner drain");
	t.ASSERT_EQ(skel.get("err"), 0, "inner callback");
}

/** A drain takes so many samples at most. */
function limit(t: TestEnv): void {
	const r = Ring.create(t, 4 << 20);
	if (!r) return;
	const { sys } = t;
	// empty samples, written as raw as the positions
	const n = MAX_SAMPLES + 1000;
	for (let at = 0; at < n * HEADER; at += 1 << 16)
		sys.store(r.rb.data + at, new Uint8Array(Math.min(1 << 16, n * HEADER - at)));
	sys.store64(r.rb.producer_pos, BigInt(n * HEADER));
	t.ASSERT_EQ(r.drain(), MAX_SAMPLES, "first drain");
	t.ASSERT_EQ(r.drain(), 1000, "second drain");
	t.ASSERT_EQ(r.read, n, "read");
	r.destroy();
}

export const userRingbuf: ProgTest = {
	name: "user_ringbuf",
	attaches: true,
	async run(t) {
		const tests: readonly [string, (r: Ring) => void | Promise<void>][] = [
			["test_user_ringbuf_mappings", mappings],
			[
				"test_user_ringbuf_post_misaligned",
				invalid(
					() => 39,
					() => 39 + HEADER,
					-EINVAL,
				),
			],
			[
				"test_user_ringbuf_post_producer_wrong_offset",
				invalid(
					() => 32,
					() => 24 + HEADER,
					-EINVAL,
				),
			],
			[
				"test_user_ringbuf_post_larger_than_ringbuf_sz",
				invalid(
					(r) => r.size,
					(r) => r.size + HEADER,
					-E2BIG,
				),
			],
			[
				"larger_than_dynptr",
				invalid(
					() => 1 << 24,
					() => 2 ** 25,
					-E2BIG,
				),
			],
			["test_user_ringbuf_basic", basic],
			["test_user_ringbuf_sample_full_ring_buffer", full],
			["test_user_ringbuf_post_alignment_autoadjust", autoadjust],
			["test_user_ringbuf_overfill", overfill],
			["test_user_ringbuf_discards_properly_ignored", discards],
			["test_user_ringbuf_loop", loop],
			["test_user_ringbuf_msg_protocol", protocol],
			["test_user_ringbuf_blocking_reserve", blocking],
			["wakeups", wakeups],
			["callbacks", callbacks],
		];
		for (const [name, test] of tests) {
			if (!t.startSubtest(name)) continue;
			const r = Ring.create(t);
			if (!r) continue;
			await test(r);
			r.destroy();
		}
		if (t.startSubtest("sample_limit")) limit(t);
		t.endSubtest();
	},
};
