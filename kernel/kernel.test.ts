// SPDX-License-Identifier: GPL-2.0-only
/** RCU, virtual time, work queues, spin locks, processes and their descriptors. */
import { describe, expect, it } from "vitest";
import * as E from "../include/uapi/asm-generic/errno.ts";
import { irq_work } from "./irq_work.ts";
import { KernelDeadlock, raw_spinlock } from "./spinlock.ts";
import { booted, Process } from "./testing.ts";
import { VirtualTime } from "./time.ts";

describe("RCU", () => {
	it("runs callbacks after a grace period, never inside a reader", () => {
		const { kernel } = booted();
		const done: number[] = [];
		kernel.rcu.read_lock();
		for (let i = 0; i < 20; i++) kernel.rcu.call(() => done.push(i));
		for (let i = 0; i < 10; i++) kernel.rcu.quiescent();
		expect(done).toEqual([]);
		expect(kernel.rcu.synchronize()).toBe(false);
		expect(kernel.log.at(-1)).toContain("read-side critical section");
		kernel.rcu.read_unlock();
		kernel.rcu.quiescent();
		// a grace period takes a seeded number of quiescent states: some are over, some are not
		expect(done.length).toBeGreaterThan(0);
		expect(done.length).toBeLessThan(20);
		kernel.rcu.barrier();
		expect(done.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
		expect(kernel.rcu.pending).toBe(0);
	});

	it("does the same for the same seed", () => {
		const order = (seed: number): string => {
			const { kernel } = booted({ seed });
			const done: string[] = [];
			for (let i = 0; i < 30; i++) kernel.rcu.call(() => done.push(`${i}`));
			for (let i = 0; i < 4; i++) {
				kernel.rcu.quiescent();
				done.push("|");
			}
			return done.join(" ");
		};
		expect(order(1)).toBe(order(1));
		expect(order(1)).not.toBe(order(2));
	});

	it("survives a callback that goes wrong", () => {
		const { kernel } = booted();
		let after = false;
		kernel.rcu.call(() => {
			throw new Error("oops");
		});
		kernel.rcu.call(() => {
			after = true;
		});
		kernel.rcu.barrier();
		expect(after).toBe(true);
		expect(kernel.log.some((l) => l.startsWith("BUG: rcu callback"))).toBe(true);
	});
});

describe("virtual time", () => {
	it("runs timers in order, each at its own moment", () => {
		const time = new VirtualTime(100n);
		const seen: string[] = [];
		const at = (name: string, ns: bigint) => time.start(ns, () => seen.push(`${name}@${time.now}`));
		at("c", 300n);
		at("a", 200n);
		at("b", 200n);
		const gone = at("x", 250n);
		expect(time.cancel(gone)).toBe(true);
		expect(time.cancel(gone)).toBe(false);
		time.advance(150n);
		expect(seen).toEqual(["a@200", "b@200"]);
		expect(time.now).toBe(250n);
		expect(time.jump()).toBe(true);
		expect(seen.at(-1)).toBe("c@300");
		expect(time.jump()).toBe(false);
		// one that is late runs now, and time does not go back
		at("late", 1n);
		time.advance(5n);
		expect(seen.at(-1)).toBe("late@300");
		expect(time.now).toBe(305n);
	});

	it("a sleep costs nothing and takes as long as it should", async () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const begin = p.sys.clockMonotonic();
		const real = performance.now();
		await p.sys.nanosleep(3_600_000_000_000);
		expect(p.sys.clockMonotonic() - begin).toBeGreaterThanOrEqual(3_600_000_000_000n);
		expect(performance.now() - real).toBeLessThan(5_000);
		p.end();
	});
});

describe("reads of the kernel that may fault", () => {
	it("are refused where the architecture does not even try", () => {
		for (const arch of ["x86_64", "arm64"] as const) {
			const { kernel } = booted({ arch, cpu: "unicorn" });
			const at = kernel.kmem.kzalloc(8);
			kernel.kmem.w32(at, 5);
			expect(kernel.copy_from_kernel_nofault(at, 4)).toEqual(Uint8Array.of(5, 0, 0, 0));
			kernel.kmem.kfree(at);
			const user = arch === "arm64" ? -E.EFAULT : -E.ERANGE;
			expect(kernel.copy_from_kernel_nofault(0x1000, 4)).toBe(user);
			expect(kernel.copy_from_kernel_nofault(-10 * 0x100000 + 8, 4)).toBe(
				arch === "arm64" ? -E.EFAULT : -E.ERANGE,
			);
			expect(kernel.copy_from_kernel_nofault(-0x1000, 4)).toBe(-E.EFAULT);
		}
	});
});

describe("spin locks", () => {
	it("say that they would be waited for without end", () => {
		const { kernel } = booted();
		const lock = new raw_spinlock(kernel, "a lock");
		lock.lock();
		expect(lock.trylock()).toBe(false);
		expect(() => lock.lock()).toThrow(KernelDeadlock);
		expect(kernel.log.at(-1)).toBe("BUG: spinlock recursion on a lock");
		lock.unlock();
		lock.unlock();
		expect(kernel.log.at(-1)).toContain("already unlocked");
	});
});

describe("work", () => {
	it("is done at the end of a system call, interrupt work when interrupts are on", () => {
		const { kernel } = booted();
		const p = new Process(kernel);
		const seen: string[] = [];
		kernel.queue_work(() => {
			seen.push("work");
			kernel.queue_work(() => seen.push("more work"));
		});
		expect(seen).toEqual([]);
		p.sys.getpid();
		expect(seen).toEqual(["work", "more work"]);
		kernel.irq_work_queue(new irq_work(() => seen.push("at once")));
		kernel.local_irq_save();
		const later = new irq_work(() => seen.push("later"));
		kernel.irq_work_queue(later);
		// it is queued already
		kernel.irq_work_queue(later);
		expect(seen.at(-1)).toBe("at once");
		kernel.local_irq_restore();
		expect(seen.at(-1)).toBe("later");
		p.end();
	});
});

describe("processes", () => {
	it("have their own descriptors and memory, threads share them", async () => {
		const { kernel, left } = booted();
		const a = new Process(kernel);
		const b = new Process(kernel);
		const fd = a.sys.epollCreate1(0);
		expect(fd).toBe(3);
		expect(b.sys.close(fd)).toBe(-E.EBADF);
		const copy = a.sys.dup(fd);
		expect(copy).toBe(4);
		a.sys.store64(a.mem, 42n);
		const seen = await a.sys.thread(async (sys) => {
			expect(sys.getpid()).toBe(a.sys.getpid());
			expect(sys.gettid()).not.toBe(a.sys.gettid());
			sys.close(copy);
			return sys.load64(a.mem);
		});
		expect(seen).toBe(42n);
		expect(a.sys.close(copy)).toBe(-E.EBADF);
		expect(b.sys.load64(b.mem)).toBe(0n);
		expect(() => a.sys.load8(8)).toThrow("SIGSEGV");
		a.end();
		b.end();
		expect(left()).toEqual([]);
	});
});
