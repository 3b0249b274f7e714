// SPDX-License-Identifier: GPL-2.0-only
/** The scenarios that `bpf-mirror explore` knows by name; their programs are selftests/bpf/progs/explore.c. */
import type { Scenario, ThreadSpec } from "./scenario.ts";

const task = (prog: string, cpu: number, runs = 1): ThreadSpec => ({ prog, cpu, flavour: "task", runs });
const irq = (prog: string, cpu: number): ThreadSpec => ({ prog, cpu, flavour: "irq", runs: 1 });
const nmi = (prog: string, cpu: number): ThreadSpec => ({ prog, cpu, flavour: "nmi", runs: 1 });
/** Of a ring of 4096 bytes only one such record can be there. */
const ONE_FITS = { rec_size: 2040 };

/** Producers on CPUs of their own and one consumer: the configurations that the first patches checked as litmus tests. */
function litmus(producers: number, bounded: boolean): Scenario {
	const what = bounded ? "in which one record fits" : "in which all records fit";
	return {
		name: `rb+${producers}p1c+${bounded ? "bounded" : "unbound"}`,
		about: `${producers === 1 ? "one producer" : `${producers} producers`}, one consumer, a ring ${what}`,
		threads: Array.from({ length: producers }, (_, cpu) => task("produce", cpu, producers === 1 ? 3 : 1)),
		consumer: "poll",
		...(bounded ? { rodata: ONE_FITS } : {}),
	};
}

export const SCENARIOS: readonly Scenario[] = [
	litmus(1, true),
	litmus(1, false),
	litmus(2, true),
	litmus(2, false),
	litmus(3, true),
	litmus(3, false),
	{
		name: "output",
		about: "bpf_ringbuf_output on two CPUs, its copy a step for every eight bytes",
		threads: [task("output", 0), task("output", 1)],
		consumer: "poll",
	},
	{
		name: "discard",
		about: "one CPU submits, the other discards: nothing of that may come out",
		threads: [task("produce", 0), task("discard", 1)],
		consumer: "poll",
	},
	{
		name: "reverse",
		about: "two records reserved at once, the later one submitted first, beside another producer",
		threads: [task("reverse", 0), task("produce", 1)],
		consumer: "poll",
	},
	{
		name: "irq",
		about: "an interrupt's program produces at any point of the program it interrupts",
		threads: [task("produce", 0), irq("interrupt", 0)],
		consumer: "poll",
	},
	{
		name: "nmi",
		about: "the same from a non-maskable interrupt: within the reservation the lock is not to be had",
		threads: [task("produce", 0), nmi("interrupt", 0)],
		consumer: "poll",
	},
	{
		name: "nested",
		about: "an NMI in an interrupt in a program, all of them producing on one CPU",
		threads: [task("produce", 0), irq("interrupt", 0), nmi("nmi_event", 0)],
		consumer: "poll",
	},
	{
		name: "nmi-2cpu",
		about: "an NMI on one of two producing CPUs",
		threads: [task("produce", 0), task("produce", 1), nmi("interrupt", 0)],
		consumer: "poll",
	},
	{
		name: "recursion",
		about: "an interrupt that would run the program it interrupts: that run is missed, and counted",
		threads: [task("produce", 0), irq("produce", 0)],
		consumer: "poll",
	},
	{
		name: "wakeup",
		about: "the consumer sleeps in epoll_wait until irq_work wakes it; two producers, no wake-up may be lost",
		threads: [task("produce", 0), task("produce", 1)],
		consumer: "epoll",
	},
	{
		name: "wakeup-edge",
		about:
			"the same with an edge-triggered epoll: only looking again before it sleeps keeps the consumer up to date",
		threads: [task("produce", 0), task("produce", 1)],
		consumer: "epoll",
		edge: true,
	},
	{
		name: "spin-lock",
		about: "two CPUs add to a value under its bpf_spin_lock, while a third adds atomically to another",
		threads: [task("locked", 0), task("locked", 1), task("atomic", 2)],
		consumer: "none",
		expect: { locked_sum: 2n, atomic_sum: 1n },
	},
	{
		name: "user-ring",
		about: "user space produces two samples, two CPUs drain: one of two at the same time gets EBUSY",
		threads: [task("drain", 0), task("drain", 1)],
		consumer: "none",
		jitOnly: true,
		userSamples: 2,
	},
];

export function scenarioByName(name: string): Scenario | undefined {
	return SCENARIOS.find((s) => s.name === name);
}
