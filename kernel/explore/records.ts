// SPDX-License-Identifier: GPL-2.0-only
/**
 * What programs put into ring buffers, and what a consumer takes out: every record that was submitted comes out
 * once, with the bytes it had when it was submitted, and those of one thread in the order in which it reserved them.
 */
import { addr_to_u64, u64_to_addr } from "../../lib/addr.ts";
import type { Explorer } from "./explorer.ts";
import { Hash } from "./hash.ts";

const HEADER = 8;
const LEN_MASK = 0x3fffffff;
const RESERVED = 0;
const SUBMITTED = 1;
const DISCARDED = 2;
const SEEN = 3;

interface Rec {
	readonly thread: number;
	/** Address of the sample; 0: not known (bpf_ringbuf_output). */
	readonly sample: number;
	state: number;
	bytes: Uint8Array;
	/** Fingerprint of the bytes. */
	mark: number;
}

function mark_of(bytes: Uint8Array): number {
	const h = new Hash();
	h.add_value(bytes);
	return h.a;
}

const hex = (b: Uint8Array): string =>
	Buffer.from(b.subarray(0, 32)).toString("hex") + (b.length > 32 ? "…" : "");

export class RingRecords {
	private readonly x: Explorer;
	private readonly list: Rec[] = [];
	/** Someone takes records out. */
	consumer = false;
	/** Records that came out. */
	seen = 0;
	/** Reservations and outputs that failed. */
	dropped = 0;

	constructor(x: Explorer) {
		this.x = x;
	}

	private push(r: Rec): void {
		this.list.push(r);
		this.x.on_undo(() => {
			this.list.splice(this.list.indexOf(r), 1);
		});
	}
	private set(r: Rec, state: number, bytes: Uint8Array = r.bytes): void {
		const was = r.state;
		const had = r.bytes;
		const mark = r.mark;
		r.state = state;
		if (bytes !== had) {
			r.bytes = bytes;
			r.mark = mark_of(bytes);
		}
		this.x.on_undo(() => {
			r.state = was;
			r.bytes = had;
			r.mark = mark;
		});
	}
	private drop(): void {
		this.dropped++;
		this.x.on_undo(() => {
			this.dropped--;
		});
	}

	/** A ring buffer helper is entered. */
	before(name: string, args: readonly bigint[]): void {
		const { x } = this;
		const { kmem } = x.kernel;
		if (name === "bpf_ringbuf_output")
			x.local(() => {
				const bytes = kmem.read(u64_to_addr(args[1]!), Number(args[2]!));
				this.push({ thread: x.current!.id, sample: 0, state: SUBMITTED, bytes, mark: mark_of(bytes) });
			});
		const m = /^bpf_ringbuf_(submit|discard)(_dynptr)?$/.exec(name);
		if (!m) return;
		x.local(() => {
			const at = u64_to_addr(args[0]!);
			const sample = m[2] ? kmem.rptr(at) : at;
			if (sample === 0) return;
			const r = this.list.find((e) => e.sample === sample && e.state === RESERVED);
			if (!r) {
				x.fail("assertion", `${x.current!.name} gives back ${x.describe(sample)}, which it has not reserved`);
				return;
			}
			const bytes = kmem.read(sample, kmem.r32(sample - HEADER) & LEN_MASK);
			this.set(r, m[1] === "submit" ? SUBMITTED : DISCARDED, bytes);
		});
	}

	/** It returns. */
	after(name: string, args: readonly bigint[], ret: bigint): void {
		const { x } = this;
		const { kmem } = x.kernel;
		const thread = x.current!.id;
		switch (name) {
			case "bpf_ringbuf_reserve":
				x.local(() => {
					if (ret === 0n) this.drop();
					else this.reserved(thread, u64_to_addr(ret));
				});
				return;
			case "bpf_ringbuf_reserve_dynptr":
				x.local(() => {
					if (ret !== 0n) this.drop();
					else this.reserved(thread, kmem.rptr(u64_to_addr(args[3]!)));
				});
				return;
			case "bpf_ringbuf_output":
				if (ret === 0n) return;
				x.local(() => {
					this.drop();
					const r = this.list.findLast((e) => e.thread === thread && e.sample === 0);
					if (r) this.set(r, DISCARDED);
				});
		}
	}

	private reserved(thread: number, sample: number): void {
		const other = this.list.find((e) => e.sample === sample && e.state === RESERVED);
		if (other)
			this.x.fail(
				"lost",
				`${this.x.threads[thread]!.name} was given ${this.x.describe(sample)}, ` +
					`which ${this.x.threads[other.thread]!.name} has reserved`,
			);
		this.push({ thread, sample, state: RESERVED, bytes: new Uint8Array(0), mark: 0 });
	}

	/** A consumer was handed a record: the address of its sample, as the kernel knows it, its size, and its first bytes. */
	consumed(sample: number, size: number, bytes: Uint8Array): void {
		const { x } = this;
		const at = x.describe(sample);
		const same = (b: Uint8Array): boolean =>
			b.length === size && Buffer.compare(b.subarray(0, bytes.length), bytes) === 0;
		const here = this.list.filter((e) => e.sample === sample);
		const r =
			here.find((e) => e.state === SUBMITTED) ??
			this.list.find((e) => e.sample === 0 && e.state === SUBMITTED && same(e.bytes));
		if (!r) {
			if (here.some((e) => e.state === RESERVED))
				x.fail("torn", `the record at ${at} came out before it was submitted: ${hex(bytes)}`);
			else if (here.some((e) => e.state === DISCARDED))
				x.fail("torn", `the record at ${at} came out though it was discarded`);
			else if (here.some((e) => e.state === SEEN)) x.fail("duplicate", `the record at ${at} came out again`);
			else x.fail("torn", `what came out at ${at} no one has submitted: ${hex(bytes)}`);
			return;
		}
		if (!same(r.bytes)) {
			x.fail("torn", `the record at ${at} came out as ${hex(bytes)}, it was submitted as ${hex(r.bytes)}`);
			return;
		}
		for (const e of this.list) {
			if (e === r) break;
			if (e.thread === r.thread && (e.state === SUBMITTED || e.state === RESERVED)) {
				const name = x.threads[r.thread]!.name;
				x.fail("misordered", `the record at ${at} came out before one that ${name} reserved earlier`);
				return;
			}
		}
		this.set(r, SEEN);
		this.seen++;
		x.on_undo(() => {
			this.seen--;
		});
	}

	/** Everything has ended: what should have come out has. */
	check_end(): void {
		for (const r of this.list) {
			const who = this.x.threads[r.thread]!.name;
			const at = r.sample ? ` at ${this.x.describe(r.sample)}` : "";
			if (r.state === SUBMITTED && this.consumer)
				this.x.fail("lost", `the record that ${who} submitted${at} never came out: ${hex(r.bytes)}`);
			else if (r.state === RESERVED)
				this.x.fail("lost", `${who} reserved a record${at} and never gave it back`);
		}
	}

	add_state(h: Hash): void {
		h.add(this.seen);
		h.add(this.dropped);
		for (const r of this.list) {
			h.add(r.thread * 4 + r.state);
			if (r.state === SEEN) continue;
			h.add_value(addr_to_u64(r.sample));
			h.add(r.mark);
		}
	}
}
