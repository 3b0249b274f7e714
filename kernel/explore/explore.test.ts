// SPDX-License-Identifier: GPL-2.0-only
/**
 * The ring buffer under every schedule of small scenarios, and the same with bugs planted in it: those must be
 * found, and come again when the schedule is replayed.
 */
import { afterEach, describe, expect, it } from "vitest";
import type { Sys } from "../../include/sys.ts";
import { BPF_RB_NO_WAKEUP } from "../../include/uapi/linux/bpf.ts";
import { u64_to_addr } from "../../lib/addr.ts";
import { readProg } from "../../selftests/bpf/skel.ts";
import { type Scenario, ScenarioRun } from "../../tools/explore/scenario.ts";
import { scenarioByName } from "../../tools/explore/scenarios.ts";
import { type ring_buffer, ring_buffer__consume } from "../../tools/lib/bpf/libbpf.ts";
import { bpf_ringbuf_commit, type bpf_ringbuf_map } from "../bpf/ringbuf.ts";
import { Hash, StateGraph, StateSet } from "./hash.ts";
import { parse_schedule, type SearchResult, schedule_text } from "./search.ts";

const PAGE = 4096;
const BUSY = 0x80000000;

let run: ScenarioRun | null = null;
afterEach(() => {
	run?.close();
	run = null;
});

type Engine = "x86_64" | "arm64" | "interpreter";

function start(name: string | Scenario, engine: Engine = "x86_64"): ScenarioRun {
	const s = typeof name === "string" ? scenarioByName(name)! : name;
	const arch = engine === "arm64" ? "arm64" : "x86_64";
	run = new ScenarioRun(readProg("explore", arch), s, { arch, interpret: engine === "interpreter" });
	return run;
}

function all(r: ScenarioRun, preemptions = Number.POSITIVE_INFINITY): SearchResult {
	return r.exploration.search({ outcome: () => r.outcome(), preemptions }).exhaustive();
}

const ends = (r: SearchResult): string[] => [...r.outcomes.keys()].sort();
const got = (seen: number, dropped: number, returned: string): string =>
	`${seen} received, ${dropped} dropped; returned ${returned}`;

describe("the consumer's protocol under every schedule", () => {
	const cases: [string, string[]][] = [
		["rb+1p1c+bounded", [got(1, 2, "0,1,1"), got(2, 1, "0,0,1"), got(2, 1, "0,1,0"), got(3, 0, "0,0,0")]],
		["rb+1p1c+unbound", [got(3, 0, "0,0,0")]],
		["rb+2p1c+bounded", [got(1, 1, "0 1"), got(1, 1, "1 0"), got(2, 0, "0 0")]],
		["rb+2p1c+unbound", [got(2, 0, "0 0")]],
	];
	for (const engine of ["x86_64", "arm64", "interpreter"] as const)
		it.each(cases)(`%s on ${engine}`, (name, expected) => {
			const r = all(start(name, engine));
			expect(r.finding).toBeNull();
			expect(r.complete).toBe(true);
			expect(ends(r)).toEqual(expected);
		});

	it("both JITs' code goes through the same states", () => {
		const x86 = all(start("rb+2p1c+bounded"));
		run!.close();
		const arm64 = all(start("rb+2p1c+bounded", "arm64"));
		expect([arm64.states, arm64.steps]).toEqual([x86.states, x86.steps]);
	});

	it("what is discarded does not come out", () => {
		const r = all(start("discard"));
		expect(r.finding).toBeNull();
		expect(ends(r)).toEqual([got(1, 0, "0 0")]);
	});

	it("a consumer that sleeps is always woken", () => {
		for (const name of ["wakeup", "wakeup-edge"]) {
			const r = all(start(name));
			expect(r.finding).toBeNull();
			expect(ends(r)).toEqual([got(2, 0, "0 0")]);
			run!.close();
			run = null;
		}
	});
});

describe("interrupts", () => {
	it("cannot come while the lock is held, and so lose nothing", () => {
		const r = all(start("irq"));
		expect(r.finding).toBeNull();
		expect(ends(r)).toEqual([got(2, 0, "0 0")]);
	});

	it("that are not maskable find the lock taken, and drop their record", () => {
		for (const engine of ["x86_64", "arm64", "interpreter"] as const) {
			const r = all(start("nmi", engine));
			expect(r.finding).toBeNull();
			expect(ends(r)).toEqual([got(1, 1, "0 1"), got(2, 0, "0 0")]);
			run!.close();
			run = null;
		}
	});

	it("between any two instructions end as between two shared accesses", () => {
		for (const arch of ["x86_64", "arm64"] as const)
			for (const [name, want] of [
				["irq", [got(2, 0, "0 0")]],
				["nmi", [got(1, 1, "0 1"), got(2, 0, "0 0")]],
			] as const) {
				const coarse = all(start(name, arch));
				run!.close();
				run = new ScenarioRun(readProg("explore", arch), scenarioByName(name)!, {
					arch,
					interpret: false,
					everyInstruction: true,
				});
				const r = all(run);
				expect(r.finding).toBeNull();
				expect(ends(r)).toEqual(want);
				expect(r.states).toBeGreaterThan(coarse.states);
				run.close();
				run = null;
			}
	});

	it("that would run the program they interrupt are missed", () => {
		const r = all(start("recursion"));
		expect(r.finding).toBeNull();
		expect(ends(r)).toEqual([got(1, 0, "0 missed"), got(2, 0, "0 0")]);
	});
});

describe("drains of a user ring buffer", () => {
	it("exclude each other, and take each sample once", () => {
		const r = all(start("user-ring"));
		expect(r.finding).toBeNull();
		const returned = ends(r).map((e) => e.replace(/.*returned /, ""));
		// someone may come too early, or while the other one drains
		const two = returned.filter((e) => e.split(" ").includes("2"));
		expect(two.sort()).toEqual(["-16 2", "0 2", "2 -16", "2 0"]);
		expect(returned).toContain("1 1");
		for (const e of returned) {
			const taken = e.split(" ").map((v) => Math.max(0, Number(v)));
			expect(taken[0]! + taken[1]!).toBeLessThanOrEqual(2);
		}
	});
});

describe("memory that programs share", () => {
	const counting = (prog: string, flavour: "task" | "irq", expect: Record<string, bigint>): Scenario => ({
		name: prog,
		about: "",
		threads: [
			{ prog, cpu: 0, flavour: "task", runs: 1 },
			{ prog, cpu: flavour === "irq" ? 0 : 1, flavour, runs: 1 },
		],
		consumer: "none",
		expect,
	});
	const search = (r: ScenarioRun): SearchResult =>
		r.exploration.search({ check: () => r.check(), outcome: () => r.outcome() }).exhaustive();

	for (const engine of ["x86_64", "arm64", "interpreter"] as const)
		it(`additions are lost where nothing keeps them apart, on ${engine}`, () => {
			for (const flavour of ["task", "irq"] as const) {
				const r = start(counting("plain", flavour, { plain_sum: 2n }), engine);
				expect(search(r).finding).toEqual({ kind: "assertion", text: "plain_sum is 1, not 2" });
				run!.close();
				const a = start(counting("atomic", flavour, { atomic_sum: 2n }), engine);
				expect(search(a).finding).toBeNull();
				run!.close();
				run = null;
			}
		});

	it("a spin lock keeps them apart, and interrupts too", () => {
		const r = start("spin-lock");
		const found = search(r);
		expect(found.finding).toBeNull();
		expect(found.complete).toBe(true);
		run!.close();
		const irq = start(counting("locked", "irq", { locked_sum: 2n }));
		expect(search(irq).finding).toBeNull();
	});
});

/** How a reservation goes wrong. */
interface Bug {
	lock?: boolean;
	busy?: boolean;
	/** the position is published before the header */
	early?: boolean;
	/** in an NMI the lock is waited for */
	wait?: boolean;
}

/** Replace the reservation by one with a bug; without any it does what the kernel's does, on a ring that never wraps. */
function plant(r: ScenarioRun, bug: Bug): void {
	const k = r.mirror.kernel;
	k.bpf.bodies.set("bpf_ringbuf_reserve", (_c, map, size) => {
		const { rb } = k.bpf.map_of(map) as bpf_ringbuf_map;
		const { shared } = k;
		const locked = bug.lock ?? true;
		const cons = rb.consumer_pos;
		if (locked) {
			k.local_irq_save();
			if (k.in_nmi && !bug.wait) {
				if (!rb.spinlock.trylock()) {
					k.local_irq_restore();
					return 0n;
				}
			} else rb.spinlock.lock();
		}
		const pos = rb.producer_pos;
		const next = pos + ((size + 15n) / 8n) * 8n;
		const end = (v: number): bigint => {
			if (locked) {
				rb.spinlock.unlock();
				k.local_irq_restore();
			}
			return BigInt.asUintN(64, BigInt(v));
		};
		if (next - cons > BigInt(rb.mask)) return end(0);
		const hdr = rb.at(pos);
		if (bug.early) rb.producer_pos = next;
		shared.w32(hdr, (Number(size) | ((bug.busy ?? true) ? BUSY : 0)) >>> 0);
		shared.w32(hdr + 4, Math.floor((hdr - rb.addr) / PAGE));
		if (!bug.early) rb.producer_pos = next;
		return end(hdr + 8);
	});
	if (bug.busy === false) k.bpf.bodies.set("bpf_ringbuf_submit", () => 0n);
}

/** What a search finds, a replay of its schedule finds too; and random schedules find it as well, by their seed. */
function found(r: ScenarioRun, kinds: readonly string[]): void {
	const first = all(r);
	expect(kinds).toContain(first.finding?.kind);
	const text = schedule_text(first.schedule);
	const steps: string[] = [];
	const again = r.exploration.search().replay(parse_schedule(text)!, (t) => steps.push(t.thread));
	expect(again.finding).toEqual(first.finding);
	expect(steps.length).toBe(first.schedule.length);
	const some = r.exploration.search().random(1, 20_000);
	expect(kinds).toContain(some.finding?.kind);
	expect(some.seed).not.toBeNull();
	const by_seed = r.exploration.search().replay(some.seed!, () => {});
	expect(by_seed.finding).toEqual(some.finding);
	expect(by_seed.schedule).toEqual(some.schedule);
}

describe("planted bugs", () => {
	it("none: the replacement itself is right", () => {
		const r = start("rb+2p1c+unbound");
		plant(r, {});
		const got = all(r);
		expect(got.finding).toBeNull();
		expect(got.complete).toBe(true);
	});

	it("no lock: two producers get one place", () => {
		const r = start("rb+2p1c+unbound");
		plant(r, { lock: false });
		found(r, ["lost", "torn"]);
	});

	it("a length without the busy bit: the record comes out before it is filled", () => {
		const r = start("rb+1p1c+unbound");
		plant(r, { busy: false });
		found(r, ["torn"]);
	});

	it("the position before the header: the consumer reads what was there before", () => {
		const r = start("rb+2p1c+unbound");
		plant(r, { early: true });
		found(r, ["torn", "lost", "duplicate", "misordered"]);
	});

	it("an NMI that waits for the lock: a deadlock that names who waits and who holds", () => {
		const r = start("nmi");
		plant(r, { wait: true });
		found(r, ["deadlock"]);
		expect(all(r).finding?.text).toBe(
			"produce/cpu0 is interrupted: unlock bpf_ringbuf.spinlock; " +
				"interrupt/nmi cpu0 waits: lock bpf_ringbuf.spinlock, held by produce/cpu0",
		);
	});

	it("a discard that wakes no one: what is behind it is never told of", () => {
		const threads = scenarioByName("discard")!.threads;
		const epoll: Scenario = { name: "discard", about: "", threads, consumer: "epoll" };
		expect(all(start(epoll)).finding).toBeNull();
		run!.close();
		const r = start(epoll);
		const k = r.mirror.kernel;
		k.bpf.bodies.set("bpf_ringbuf_discard", (_c, sample) => {
			bpf_ringbuf_commit(k, u64_to_addr(sample), BPF_RB_NO_WAKEUP, true);
			return 0n;
		});
		found(r, ["lost"]);
	});

	/** One record by hand: what libbpf does, with `busy` telling what to do about one that is not finished. */
	const take_one = (
		sys: Sys,
		rb: ring_buffer,
		sample: (addr: number, size: number) => number,
		cons: bigint,
		busy: boolean,
	): bigint | null => {
		const ring = rb.rings[0]!;
		const at = ring.data + Number(cons % BigInt(ring.mask + 1));
		const len = sys.load32(at);
		if (len >= BUSY && busy) return null;
		sample(at + 8, len & 0x3fffffff);
		const next = cons + BigInt(Math.ceil(((len & 0x3fffffff) + 8) / 8) * 8);
		sys.store64(ring.consumer_pos, next);
		return next;
	};

	it("a consumer that does not look for the busy bit", () => {
		const r = start({
			...scenarioByName("rb+1p1c+unbound")!,
			consume: (sys, rb, sample) => {
				const ring = rb.rings[0]!;
				const cons = sys.load64(ring.consumer_pos);
				if (cons >= sys.load64(ring.producer_pos)) return true;
				take_one(sys, rb, sample, cons, false);
				return false;
			},
		});
		found(r, ["torn"]);
	});

	it("a consumer that does not look again before it sleeps", () => {
		const r = start({
			...scenarioByName("wakeup-edge")!,
			consume: (sys, rb, sample) => {
				const ring = rb.rings[0]!;
				let cons: bigint | null = sys.load64(ring.consumer_pos);
				const prod = sys.load64(ring.producer_pos);
				while (cons !== null && cons < prod) cons = take_one(sys, rb, sample, cons, true);
				return true;
			},
		});
		found(r, ["lost"]);
	});

	it("a consumer that gives a record back before it has read it", () => {
		const base = scenarioByName("rb+1p1c+bounded")!;
		const r = start({
			...base,
			// the second record lies over the first
			threads: [0, 1].map((cpu) => ({ prog: "produce", cpu, flavour: "task", runs: 1 })),
			rodata: { rec_size: 4080 },
			consume: (sys, rb, sample) => {
				const ring = rb.rings[0]!;
				const cons = sys.load64(ring.consumer_pos);
				if (cons >= sys.load64(ring.producer_pos)) return true;
				const at = ring.data + Number(cons % BigInt(ring.mask + 1));
				const len = sys.load32(at);
				if (len >= BUSY) return true;
				sys.store64(ring.consumer_pos, cons + BigInt(Math.ceil((len + 8) / 8) * 8));
				sample(at + 8, len);
				return true;
			},
		});
		found(r, ["torn"]);
	});
});

describe("livelocks", () => {
	it("are found: a consumer that waits actively for a record that was dropped", () => {
		const r = start({
			...scenarioByName("rb+2p1c+bounded")!,
			consume: (sys, rb) => {
				ring_buffer__consume(rb);
				return sys.load64(rb.rings[0]!.consumer_pos) >= 4096n;
			},
		});
		const found = all(r);
		expect(found.finding?.kind).toBe("deadlock");
		expect(found.finding?.text).toBe("livelock: whatever comes next, consumer will not end");
		expect(found.schedule.length).toBeGreaterThan(0);
	});

	it("are none where everyone can end", () => {
		const graph = new StateGraph();
		for (const parent of [-1, 0, 1, 0]) graph.state(parent, 7);
		for (const [from, to] of [
			[0, 1],
			[1, 2],
			[2, 1],
			[0, 3],
		] as const)
			graph.step(from, to);
		graph.end(3);
		expect(graph.first_without_end()).toBe(1);
		expect(graph.schedule(2)).toEqual([7, 7]);
		graph.step(2, 3);
		expect(graph.first_without_end()).toBe(-1);
	});
});

describe("schedules and states", () => {
	it("a schedule's text can be read back", () => {
		const s = [0, 0, 0, 2, 1, 1];
		expect(schedule_text(s)).toBe("0*3,2,1*2");
		expect(parse_schedule("0*3,2,1*2")).toEqual(s);
		for (const bad of ["", "x", "1*", "0,,1", "1*99999999", "-1"]) expect(parse_schedule(bad)).toBeNull();
	});

	it("a schedule that does not fit is not taken for a run", () => {
		const r = start("nmi");
		const got = r.exploration.search().replay([5, 5], () => {});
		expect(got.complete).toBe(false);
	});

	it("fewer preemptions are fewer states, and a limit on states is said", () => {
		const r = start("irq");
		const none = all(r, 0);
		const two = all(r, 2);
		const any = all(r);
		expect(none.finding ?? two.finding ?? any.finding).toBeNull();
		expect(none.steps).toBeLessThan(two.steps);
		const few = r.exploration.search({ maxStates: 100 }).exhaustive();
		expect(few.complete).toBe(false);
		// the search leaves everything as it was
		expect(all(r)).toEqual(any);
	});

	it("the kernel is its own again afterwards", () => {
		const r = start("irq");
		all(r);
		const k = r.mirror.kernel;
		r.close();
		run = null;
		expect(k.explore).toBeNull();
		expect(k.shared).toBe(k.kmem);
		expect(Object.hasOwn(k.kmem, "w32")).toBe(false);
		const rb = [...k.bpf.ringbufs.values()][0]!;
		expect([rb.consumer_pos, rb.producer_pos, rb.spinlock.held]).toEqual([0n, 0n, false]);
	});

	it("fingerprints are remembered over a grown table", () => {
		const set = new StateSet();
		const h = new Hash();
		const add = (i: number): boolean => {
			h.reset();
			h.add(i);
			return set.add(h.a, h.b);
		};
		let known = 0;
		for (let i = 0; i < 100_000; i++) if (!add(i)) known++;
		expect(known).toBe(0);
		for (let i = 0; i < 100_000; i += 7) if (!add(i)) known++;
		expect(known).toBe(14_286);
		expect(set.size).toBe(100_000);
		expect(set.add(0, 0)).toBe(true);
		expect(set.add(0, 0)).toBe(false);
	});
});
