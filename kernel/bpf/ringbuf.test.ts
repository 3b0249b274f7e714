// SPDX-License-Identifier: GPL-2.0-only
/** Ring buffers filled by programs, on the interpreter and on the emulated CPU, and epoll that waits for them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as E from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { BPF_ADD, BPF_JEQ, BPF_W } from "../../include/uapi/linux/bpf_common.ts";
import { booted, Process } from "../testing.ts";
import {
	BPF_ALU64_IMM,
	BPF_EXIT_INSN,
	BPF_JMP_IMM,
	BPF_LD_MAP_FD,
	BPF_LDX_MEM,
	BPF_MOV64_IMM,
	BPF_MOV64_REG,
	BPF_RAW_INSN,
	BPF_ST_MEM,
	BPF_STX_MEM,
} from "./insn_macros.ts";
import { __bpf_ringbuf_reserve, bpf_ringbuf_commit } from "./ringbuf.ts";

const PAGE = 4096;
const BUSY = 0x80000000;
const DISCARD = 0x40000000;
const EPOLLIN = 1;
const EPOLLET = 0x80000000;
const EPOLLONESHOT = 0x40000000;
const [ADD, DEL, MOD] = [1, 2, 3];
const call = (id: number) => BPF_RAW_INSN(0x85, 0, 0, 0, id);

/** The first word of the packet, sixteen bytes of it, into the ring: what bpf_ringbuf_output() says. */
function output(p: Process, ring: number, flags: number): number {
	return p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
		BPF_LDX_MEM(BPF_W, 2, 1, 16), // mark
		BPF_STX_MEM(U.BPF_DW, 10, 2, -16),
		BPF_ST_MEM(U.BPF_DW, 10, -8, 0x77),
		BPF_LD_MAP_FD(1, ring),
		BPF_MOV64_REG(2, 10),
		BPF_ALU64_IMM(BPF_ADD, 2, -16),
		BPF_MOV64_IMM(3, 16),
		BPF_MOV64_IMM(4, flags),
		call(U.BPF_FUNC_ringbuf_output),
		BPF_EXIT_INSN(),
	]);
}

/** Reserve 32 bytes, write 5, and give them back as `id` does. */
function reserve(p: Process, ring: number, id: number): number {
	return p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
		BPF_LD_MAP_FD(1, ring),
		BPF_MOV64_IMM(2, 32),
		BPF_MOV64_IMM(3, 0),
		call(U.BPF_FUNC_ringbuf_reserve),
		BPF_JMP_IMM(U.BPF_JNE, 0, 0, 2),
		BPF_MOV64_IMM(0, -1),
		BPF_EXIT_INSN(),
		BPF_ST_MEM(U.BPF_DW, 0, 0, 5),
		BPF_MOV64_REG(1, 0),
		BPF_MOV64_IMM(2, 0),
		call(id),
		BPF_MOV64_IMM(0, 0),
		BPF_EXIT_INSN(),
	]);
}

describe.each([
	["x86_64", "none"],
	["x86_64", "unicorn"],
	["arm64", "unicorn"],
] as const)("ring buffers, %s, CPU %s", (arch, cpu) => {
	let p: Process;
	let left: () => string[];
	let ring: number;
	let cons: number;
	let prod: number;
	beforeEach(() => {
		const k = booted({ arch, cpu });
		left = k.left;
		p = new Process(k.kernel);
		ring = p.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, PAGE);
		cons = p.sys.mmap(0, PAGE, 3, 1, ring, 0);
		prod = p.sys.mmap(0, 3 * PAGE, 1, 1, ring, PAGE);
		expect(Math.min(cons, prod)).toBeGreaterThan(0);
	});
	afterEach(async () => {
		p.end();
		await new Promise<void>((resolve) => setImmediate(resolve));
		p.kernel.settle();
		expect(left()).toEqual([]);
	});
	const s32 = (v: number): number => v | 0;
	const data = (): number => prod + PAGE;
	const position = (): number => Number(p.sys.load64(prod));

	it("records follow one another, over the end as well", () => {
		const prog = output(p, ring, 0);
		let at = 0;
		for (let i = 0; i < 500; i++) {
			expect(p.run(prog).retval).toBe(0);
			const offset = at % PAGE;
			// the second mapping goes on where the first one ends
			expect(p.sys.load32(data() + offset)).toBe(16);
			expect(p.sys.load64(data() + offset + 16)).toBe(0x77n);
			at += 24;
			expect(position()).toBe(at);
			p.sys.store64(cons, BigInt(at));
		}
	});

	it("a full ring takes nothing more", () => {
		const prog = output(p, ring, 0);
		for (let i = 0; i < Math.floor((PAGE - 1) / 24); i++) expect(p.run(prog).retval).toBe(0);
		expect(s32(p.run(prog).retval)).toBe(-E.EAGAIN);
		const before = position();
		expect(s32(p.run(prog).retval)).toBe(-E.EAGAIN);
		expect(position()).toBe(before);
		p.sys.store64(cons, 24n);
		expect(p.run(prog).retval).toBe(0);
	});

	it("what is discarded is marked so", () => {
		expect(p.run(reserve(p, ring, U.BPF_FUNC_ringbuf_submit)).retval).toBe(0);
		expect(p.run(reserve(p, ring, U.BPF_FUNC_ringbuf_discard)).retval).toBe(0);
		expect(p.sys.load32(data())).toBe(32);
		expect(p.sys.load64(data() + 8)).toBe(5n);
		expect(p.sys.load32(data() + 40) >>> 0).toBe((DISCARD | 32) >>> 0);
		expect(p.sys.load32(data() + 40) & BUSY).toBe(0);
	});

	it("says how full it is", () => {
		const prog = output(p, ring, 0);
		p.run(prog);
		p.run(prog);
		p.sys.store64(cons, 24n);
		const query = (what: number): number =>
			p.run(
				p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
					BPF_LD_MAP_FD(1, ring),
					BPF_MOV64_IMM(2, what),
					call(U.BPF_FUNC_ringbuf_query),
					BPF_EXIT_INSN(),
				]),
			).retval;
		const all = [U.BPF_RB_AVAIL_DATA, U.BPF_RB_RING_SIZE, U.BPF_RB_CONS_POS, U.BPF_RB_PROD_POS, 9].map(query);
		expect(all).toEqual([24, PAGE, 24, 48, 0]);
	});

	it("only the consumer's page may be written, of a user ring only the others", () => {
		expect(p.sys.mmap(0, PAGE, 3, 1, ring, PAGE)).toBe(-E.EPERM);
		expect(p.sys.mmap(0, 2 * PAGE, 3, 1, ring, 0)).toBe(-E.EPERM);
		expect(p.sys.mmap(0, 5 * PAGE, 1, 1, ring, 0)).toBe(-E.EINVAL);
		expect(p.sys.mmap(0, PAGE, 1, 2, ring, 0)).toBe(-E.EINVAL);
		expect(() => p.sys.store64(prod, 1n)).toThrow();
		const user = p.map(U.BPF_MAP_TYPE_USER_RINGBUF, 0, 0, PAGE);
		expect(p.sys.mmap(0, PAGE, 3, 1, user, 0)).toBe(-E.EPERM);
		expect(p.sys.mmap(0, PAGE, 1, 1, user, 0)).toBeGreaterThan(0);
		expect(p.sys.mmap(0, 3 * PAGE, 3, 1, user, PAGE)).toBeGreaterThan(0);
	});

	it("takes what user space says it has consumed as 64 bits without sign", () => {
		const prog = output(p, ring, U.BPF_RB_NO_WAKEUP);
		const at = (v: bigint): number => {
			p.sys.store64(cons, v);
			return s32(p.run(prog).retval);
		};
		expect(at(0n)).toBe(0);
		expect(at(0n)).toBe(0);
		// what it would end at is 72: nothing is ahead of that
		expect(at(80n)).toBe(-E.EAGAIN);
		expect(at(1n << 63n)).toBe(-E.EAGAIN);
		expect(at((1n << 63n) - 1n)).toBe(-E.EAGAIN);
		expect(at((1n << 60n) + 24n)).toBe(-E.EAGAIN);
		expect(at(0xffffffffffffffffn - BigInt(PAGE))).toBe(-E.EAGAIN);
		expect(position()).toBe(48);
		expect(at(72n)).toBe(0);
		// 97 behind, across the end of 64 bits
		expect(at(0xffffffffffffffffn)).toBe(0);
		expect(position()).toBe(96);
		// oldest records that are busy are not overtaken, whatever it says
		const hold = p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
			BPF_LD_MAP_FD(1, ring),
			BPF_MOV64_IMM(2, 2400),
			BPF_MOV64_IMM(3, 0),
			call(U.BPF_FUNC_ringbuf_reserve),
			BPF_MOV64_REG(6, 0),
			BPF_LD_MAP_FD(1, ring),
			BPF_MOV64_IMM(2, 2400),
			BPF_MOV64_IMM(3, 0),
			call(U.BPF_FUNC_ringbuf_reserve),
			BPF_MOV64_IMM(7, 0),
			BPF_JMP_IMM(BPF_JEQ, 0, 0, 4),
			BPF_MOV64_IMM(7, 1),
			BPF_MOV64_REG(1, 0),
			BPF_MOV64_IMM(2, 0),
			call(U.BPF_FUNC_ringbuf_discard),
			BPF_JMP_IMM(BPF_JEQ, 6, 0, 4),
			BPF_ALU64_IMM(BPF_ADD, 7, 2),
			BPF_MOV64_REG(1, 6),
			BPF_MOV64_IMM(2, 0),
			call(U.BPF_FUNC_ringbuf_discard),
			BPF_MOV64_REG(0, 7),
			BPF_EXIT_INSN(),
		]);
		p.sys.store64(cons, 2500n);
		expect(p.run(hold).retval).toBe(2);
	});

	it("tells who has caught up, by the low bits of a position of any size", async () => {
		const ep = p.sys.epollCreate1(0);
		expect(p.sys.epollCtl(ep, ADD, ring, { events: EPOLLIN, data: 7n })).toBe(0);
		// reserves, makes the consumer's position what it must be, submits
		const k = p.kernel;
		const [rb] = k.bpf.ringbufs.values();
		const rec = __bpf_ringbuf_reserve(rb!, 8);
		p.sys.store64(cons, 1n << 60n);
		bpf_ringbuf_commit(k, rec, 0, false);
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 7n }]);
	});

	it("reserves no more than there is, and no more than a record may be", () => {
		const sized = (size: number): number =>
			p.run(
				p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
					BPF_LD_MAP_FD(1, ring),
					BPF_MOV64_IMM(2, size),
					BPF_MOV64_IMM(3, 0),
					call(U.BPF_FUNC_ringbuf_reserve),
					BPF_JMP_IMM(U.BPF_JNE, 0, 0, 2),
					BPF_MOV64_IMM(0, 0),
					BPF_EXIT_INSN(),
					BPF_MOV64_REG(1, 0),
					BPF_MOV64_IMM(2, 0),
					call(U.BPF_FUNC_ringbuf_discard),
					BPF_MOV64_IMM(0, 1),
					BPF_EXIT_INSN(),
				]),
			).retval;
		// with its header one byte less than all of it, rounded down to eight
		expect(sized(PAGE - 16)).toBe(1);
		p.sys.store64(cons, BigInt(position()));
		expect([PAGE - 15, PAGE - 8, PAGE - 7, PAGE, 0x3fffffff, 0x40000000].map(sized)).toEqual([
			0, 0, 0, 0, 0, 0,
		]);
		// with flags it reserves nothing
		const flags = p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
			BPF_LD_MAP_FD(1, ring),
			BPF_MOV64_IMM(2, 8),
			BPF_MOV64_IMM(3, 1),
			call(U.BPF_FUNC_ringbuf_reserve),
			BPF_JMP_IMM(U.BPF_JNE, 0, 0, 2),
			BPF_MOV64_IMM(0, 0),
			BPF_EXIT_INSN(),
			BPF_MOV64_REG(1, 0),
			BPF_MOV64_IMM(2, 0),
			call(U.BPF_FUNC_ringbuf_discard),
			BPF_MOV64_IMM(0, 1),
			BPF_EXIT_INSN(),
		]);
		expect(p.run(flags).retval).toBe(0);
	});

	it("wakes who waits, as the flags say", async () => {
		const ep = p.sys.epollCreate1(0);
		expect(p.sys.epollCtl(ep, ADD, ring, { events: EPOLLIN, data: 7n })).toBe(0);
		expect(await p.sys.epollWait(ep, 4, 5)).toEqual([]);
		const silent = output(p, ring, U.BPF_RB_NO_WAKEUP);
		const loud = output(p, ring, U.BPF_RB_FORCE_WAKEUP);
		const quiet = p.sys.epollWait(ep, 4, 5);
		p.run(silent);
		expect(await quiet).toEqual([]);
		const waiting = p.sys.epollWait(ep, 4, -1);
		p.run(loud);
		expect(await waiting).toEqual([{ events: EPOLLIN, data: 7n }]);
		// level triggered: as long as there is something
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 7n }]);
		p.sys.store64(cons, p.sys.load64(prod));
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([]);
		// only who has read everything is woken again
		const normal = output(p, ring, 0);
		const again = p.sys.epollWait(ep, 4, -1);
		p.run(normal);
		expect(await again).toEqual([{ events: EPOLLIN, data: 7n }]);
	});

	it("edges and single shots", async () => {
		const loud = output(p, ring, U.BPF_RB_FORCE_WAKEUP);
		const ep = p.sys.epollCreate1(0);
		p.sys.epollCtl(ep, ADD, ring, { events: (EPOLLIN | EPOLLET) >>> 0, data: 1n });
		p.run(loud);
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 1n }]);
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([]);
		p.run(loud);
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 1n }]);
		p.sys.epollCtl(ep, MOD, ring, { events: EPOLLIN | EPOLLONESHOT, data: 2n });
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 2n }]);
		p.run(loud);
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([]);
		p.sys.epollCtl(ep, MOD, ring, { events: EPOLLIN, data: 3n });
		expect(await p.sys.epollWait(ep, 4, 0)).toEqual([{ events: EPOLLIN, data: 3n }]);
	});

	it("epoll's errors", async () => {
		const { sys } = p;
		const ep = sys.epollCreate1(0);
		const event = { events: EPOLLIN, data: 0n };
		expect(sys.epollCreate1(1)).toBe(-E.EINVAL);
		expect(sys.epollCtl(ep, DEL, ring, null)).toBe(-E.ENOENT);
		expect(sys.epollCtl(ep, MOD, ring, event)).toBe(-E.ENOENT);
		expect(sys.epollCtl(ep, ADD, ring, event)).toBe(0);
		expect(sys.epollCtl(ep, ADD, ring, event)).toBe(-E.EEXIST);
		expect(sys.epollCtl(ep, 9, ring, event)).toBe(-E.EINVAL);
		expect(sys.epollCtl(ep, ADD, ep, event)).toBe(-E.EINVAL);
		expect(sys.epollCtl(ep, ADD, 99, event)).toBe(-E.EBADF);
		expect(sys.epollCtl(99, ADD, ring, event)).toBe(-E.EBADF);
		expect(sys.epollCtl(ring, ADD, ep, event)).toBe(-E.EINVAL);
		// a program has nothing to poll
		expect(sys.epollCtl(ep, ADD, output(p, ring, 0), event)).toBe(-E.EPERM);
		expect(await sys.epollWait(ep, 0, 0)).toBe(-E.EINVAL);
		expect(await sys.epollWait(ring, 1, 0)).toBe(-E.EINVAL);
		const outer = sys.epollCreate1(0);
		expect(sys.epollCtl(outer, ADD, ep, { events: EPOLLIN, data: 5n })).toBe(0);
		expect(sys.epollCtl(ep, ADD, outer, event)).toBe(-E.ELOOP);
		p.run(output(p, ring, 0));
		expect(await sys.epollWait(outer, 1, 0)).toEqual([{ events: EPOLLIN, data: 5n }]);
		// a descriptor that is closed for good leaves the list
		const copy = sys.dup(ring);
		sys.close(ring);
		expect(await sys.epollWait(ep, 1, 0)).toEqual([{ events: EPOLLIN, data: 0n }]);
		sys.close(copy);
		expect(sys.epollCtl(ep, DEL, ring, null)).toBe(-E.EBADF);
	});
});

describe.each(["x86_64", "arm64"] as const)("a ring of 512 MiB, %s", (arch) => {
	it("takes one record as large as itself, on a machine with 4 GiB, and costs the host what is touched", () => {
		const size = 512 << 20;
		const { kernel, left } = booted({ arch, cpu: "unicorn", memory: 4 * 2 ** 30 });
		const p = new Process(kernel);
		const touched = (): number => process.memoryUsage.rss();
		const before = touched();
		const ring = p.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, size);
		expect(ring).toBeGreaterThan(0);
		const cons = p.sys.mmap(0, PAGE, 3, 1, ring, 0);
		const prod = p.sys.mmap(0, PAGE + 2 * size, 1, 1, ring, PAGE);
		expect(Math.min(cons, prod)).toBeGreaterThan(0);
		const len = size - 16;
		const whole = p.load(U.BPF_PROG_TYPE_SCHED_CLS, [
			BPF_LD_MAP_FD(1, ring),
			BPF_MOV64_IMM(2, len),
			BPF_MOV64_IMM(3, 0),
			call(U.BPF_FUNC_ringbuf_reserve),
			BPF_JMP_IMM(U.BPF_JNE, 0, 0, 2),
			BPF_MOV64_IMM(0, 1),
			BPF_EXIT_INSN(),
			BPF_ST_MEM(U.BPF_DW, 0, 0, 0x11),
			BPF_MOV64_REG(6, 0),
			BPF_ALU64_IMM(BPF_ADD, 6, len - 8),
			BPF_ST_MEM(U.BPF_DW, 6, 0, 0x22),
			BPF_MOV64_REG(1, 0),
			BPF_MOV64_IMM(2, 0),
			call(U.BPF_FUNC_ringbuf_submit),
			BPF_MOV64_IMM(0, 0),
			BPF_EXIT_INSN(),
		]);
		const data = prod + PAGE;
		let pos = 0;
		for (let i = 0; i < 3; i++) {
			expect(p.run(whole).retval).toBe(0);
			// nothing fits beside it
			expect(p.run(whole).retval).toBe(1);
			const at = pos % size;
			expect(p.sys.load32(data + at)).toBe(len);
			expect(p.sys.load64(data + at + 8)).toBe(0x11n);
			// from the second record on its end lies in the second mapping
			expect(p.sys.load64(data + at + 8 + len - 8)).toBe(0x22n);
			pos += len + 8;
			expect(p.sys.load64(prod)).toBe(BigInt(pos));
			p.sys.store64(cons, BigInt(pos));
		}
		expect(touched() - before).toBeLessThan(256 << 20);
		p.end();
		expect(left()).toEqual([]);
	});
});
