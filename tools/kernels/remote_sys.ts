// SPDX-License-Identifier: GPL-2.0-only
/**
 * `Sys` for a remote kernel: what a process there is told to do by the agent (tools/vm/agent.c, which describes the
 * frames). Each thread has a connection of its own, so that one that sleeps in a call holds up nobody else.
 *
 * A store into memory that cannot fault (private anonymous memory that this side mapped) travels with the next
 * request of its process: nobody but that process sees the memory, and it does nothing in between.
 */
import { type EpollEvent, type Sys, UserFault } from "../../include/sys.ts";
import { ENAMETOOLONG } from "../../include/uapi/asm-generic/errno.ts";
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_PRIVATE,
	MREMAP_MAYMOVE,
	PROT_READ,
	PROT_WRITE,
} from "../../include/uapi/asm-generic/mman.ts";
import { Disconnected, type RawSocket, ReadTimeout } from "./raw_socket.ts";
import { SYSCALL_NR } from "./syscall_nr.ts";

const OP_SYSCALL = 1;
const OP_LOAD = 2;
const OP_STORE = 3;
const OP_FILL = 4;
const OP_THREAD = 5;
const OP_EXIT = 6;
const OP_PROCESS = 7;
const OP_END = 8;
const OP_CALL = 9;

export const SEQ_HELLO = 0xfffffffe;
const SEQ_DEAD = 0xffffffff;
export const AGENT_VERSION = 2;
/** Ports 2 to this one serve threads; 1 is the control port. */
export const NR_PORTS = 31;

/** Most that one operation carries: the agent's buffers hold 1 MiB. */
const CHUNK = 256 << 10;
/** Stores that wait for the next request, at most. */
const PENDING_MAX = 128 << 10;
const SCRATCH = 64 << 10;
/** Attributes of bpf() up to this size come back with its answer. */
const ATTR_MAX = 256;
const VMLINUX_BTF = "/sys/kernel/btf/vmlinux";
/** A call that takes longer than this (and is not one that sleeps) means that the machine hangs. */
const ANSWER_MS = 180_000;
const SIGBUS = 7;
const SIGKILL = 9;

const AT_FDCWD = -100;
const CLOCK_MONOTONIC = 1;
const PR_SET_NAME = 15;
const O_WRONLY = 1;
const LINUX_CAPABILITY_VERSION_3 = 0x20080522;

/** The remote process ended although nobody asked: a signal, or its own exit. */
export class ProcessEnded extends Error {
	/** As wait(2) gives it. */
	readonly status: number;
	constructor(status: number) {
		const sig = status & 0x7f;
		super(sig ? `the process was ended by signal ${sig}` : `the process ended with status ${status >> 8}`);
		this.name = "ProcessEnded";
		this.status = status;
	}
}

/** The machine is gone, or does not answer. */
export class MachineGone extends Error {}

/** Operations on their way to the agent, as one frame. */
export class Request {
	private buf = Buffer.alloc(4096);
	private len = 8;

	private room(n: number): number {
		const at = this.len;
		if (at + n > this.buf.length) {
			const bigger = Buffer.alloc(Math.max(2 * this.buf.length, at + n));
			this.buf.copy(bigger, 0, 0, at);
			this.buf = bigger;
		}
		this.len += n;
		return at;
	}

	op(op: number, n: number, args: readonly (number | bigint)[]): this {
		const at = this.room(8 + 8 * args.length);
		this.buf.writeUInt32LE(op, at);
		this.buf.writeUInt32LE(n, at + 4);
		for (const [i, a] of args.entries())
			this.buf.writeBigUInt64LE(BigInt.asUintN(64, BigInt(a)), at + 8 + 8 * i);
		return this;
	}

	syscall(nr: number, args: readonly (number | bigint)[]): this {
		return this.op(OP_SYSCALL, 0, [nr, ...Array.from({ length: 6 }, (_, i) => args[i] ?? 0)]);
	}

	store(addr: number, bytes: Uint8Array): this {
		this.op(OP_STORE, bytes.length, [addr]);
		const padded = (bytes.length + 7) & ~7;
		const at = this.room(padded);
		this.buf.set(bytes, at);
		this.buf.fill(0, at + bytes.length, at + padded);
		return this;
	}

	get bytes(): number {
		return this.len - 8;
	}

	/** The operations of another one before these. */
	prepend(first: Request): void {
		const mine = Buffer.from(this.buf.subarray(8, this.len));
		this.len = 8;
		// room() may give a larger buffer: ask for it first
		const at = this.room(first.bytes + mine.length);
		this.buf.set(first.buf.subarray(8, first.len), at);
		this.buf.set(mine, at + first.bytes);
	}

	frame(seq: number): Uint8Array {
		this.buf.writeUInt32LE(this.bytes, 0);
		this.buf.writeUInt32LE(seq, 4);
		return this.buf.subarray(0, this.len);
	}
}

interface Result {
	readonly ret: number;
	/** The same, all 64 bits of it. */
	readonly bits: bigint;
	readonly addr: number;
	readonly signal: number;
	readonly data: Buffer;
}

/** Requests and answers on one connection. */
class Channel {
	private readonly socket: RawSocket;
	private readonly gone: (why: string) => MachineGone;
	private readonly header = Buffer.alloc(8);
	private seq = 0;
	/** A call that sleeps is under way. */
	busy = false;

	constructor(socket: RawSocket, gone: (why: string) => MachineGone) {
		this.socket = socket;
		this.gone = gone;
	}

	send(req: Request): void {
		if (this.busy) throw new Error("this thread is in a call that sleeps: await it, or use another thread");
		this.seq = (this.seq + 1) % SEQ_HELLO;
		try {
			this.socket.send(req.frame(this.seq));
		} catch (e) {
			throw this.lost(e);
		}
	}

	private lost(e: unknown): unknown {
		return e instanceof Disconnected || e instanceof ReadTimeout ? this.gone(e.message) : e;
	}

	/** A frame, whatever it is. */
	frame(timeout: number): { seq: number; body: Buffer } {
		try {
			this.socket.receive(this.header, timeout);
			const body = Buffer.alloc(this.header.readUInt32LE(0));
			this.socket.receive(body, timeout);
			return { seq: this.header.readUInt32LE(4), body };
		} catch (e) {
			throw this.lost(e);
		}
	}

	/** The results of the request sent last. */
	answer(): Result[] {
		for (;;) {
			const { seq, body } = this.frame(ANSWER_MS);
			if (seq === SEQ_DEAD) throw new ProcessEnded(Number(body.readBigInt64LE(0)));
			// an answer that nobody waited for, of the port's user before
			if (seq !== this.seq) continue;
			const out: Result[] = [];
			for (let at = 0; at < body.length; ) {
				const n = body.readUInt32LE(at + 20);
				out.push({
					ret: Number(body.readBigInt64LE(at)),
					bits: body.readBigUInt64LE(at),
					addr: Number(BigInt.asIntN(64, body.readBigUInt64LE(at + 8))),
					signal: body.readUInt32LE(at + 16),
					data: body.subarray(at + 24, at + 24 + n),
				});
				at += 24 + ((n + 7) & ~7);
			}
			return out;
		}
	}

	get readable(): boolean {
		return this.socket.readable();
	}

	/** Forget what came for the port's user before. */
	drain(): void {
		while (this.readable) this.frame(ANSWER_MS);
	}
}

/** What the threads of a process share on this side. */
class Process {
	readonly kernel: RemoteKernel;
	/** Ports of its threads. */
	readonly ports = new Set<number>();
	/** Memory that cannot fault: start and end. */
	private readonly safe = new Map<number, number>();
	pending = new Request();
	/** What a bpf() call left in its attributes: as it is until the next request or store. */
	fresh: { readonly addr: number; readonly bytes: Uint8Array } | null = null;
	/** It was ended from here. */
	ended = false;

	constructor(kernel: RemoteKernel) {
		this.kernel = kernel;
	}

	mapped(addr: number, len: number): void {
		this.safe.set(addr, addr + len);
	}

	/** What lies there may fault from now on. */
	changed(addr: number, len: number): void {
		for (const [start, end] of this.safe) if (start < addr + len && addr < end) this.safe.delete(start);
	}

	forgetAll(): void {
		this.safe.clear();
	}

	isSafe(addr: number, len: number): boolean {
		for (const [start, end] of this.safe) if (start <= addr && addr + len <= end) return true;
		return false;
	}
}

/** A thread of a remote process. */
export class RemoteSys implements Sys {
	readonly arch: "x86_64" | "arm64";
	readonly pageSize = 4096;
	readonly process: Process;
	readonly port: number;
	private readonly channel: Channel;
	private readonly nr: (typeof SYSCALL_NR)["x86_64"];
	private scratch_addr = 0;

	constructor(process: Process, port: number) {
		this.process = process;
		this.port = port;
		this.arch = process.kernel.arch;
		this.nr = SYSCALL_NR[this.arch];
		this.channel = process.kernel.channel(port);
	}

	get nrCpus(): number {
		return this.process.kernel.nrCpus;
	}

	private send(req: Request): void {
		const { pending } = this.process;
		this.process.fresh = null;
		if (pending.bytes) {
			req.prepend(pending);
			this.process.pending = new Request();
		}
		this.channel.send(req);
	}

	private results(): Result[] {
		const results = this.channel.answer();
		// what faults although it could not: a store that had waited, into memory that the process itself unmapped
		for (const r of results)
			if (r.signal) throw new UserFault(r.addr, true, r.signal === SIGBUS ? "SIGBUS" : "SIGSEGV");
		return results;
	}

	/** Operations at once, in order; their results. */
	private call(req: Request): Result[] {
		this.send(req);
		return this.results();
	}

	private enter(nr: number, ...args: (number | bigint)[]): number {
		return this.call(new Request().syscall(nr, args))[0]!.ret;
	}

	/** A call that sleeps: others go on meanwhile. */
	private async sleep(req: Request): Promise<Result[]> {
		this.send(req);
		this.channel.busy = true;
		try {
			await this.process.kernel.answered(() => this.process.ended || this.channel.readable);
			if (this.process.ended) throw new ProcessEnded(SIGKILL);
		} finally {
			// the port may have another user by now
			if (!this.process.ended) this.channel.busy = false;
		}
		return this.results();
	}

	/** Memory of this thread for what its calls need. */
	private get scratch(): number {
		if (!this.scratch_addr) this.scratch_addr = this.anonymous(SCRATCH);
		return this.scratch_addr;
	}

	private anonymous(len: number): number {
		const addr = this.mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (addr < 0) throw new Error(`mmap of ${len} bytes in the remote process: errno ${-addr}`);
		return addr;
	}

	bpf(cmd: number, attr: number, size: number): number {
		if (size <= 0 || size > ATTR_MAX || !this.process.isSafe(attr, size))
			return this.enter(this.nr.bpf, cmd, attr, size);
		// who calls it looks at its attributes next: they come with the answer
		const req = new Request().syscall(this.nr.bpf, [cmd, attr, size]).op(OP_LOAD, size, [attr]);
		const [call, load] = this.call(req) as [Result, Result];
		this.process.fresh = { addr: attr, bytes: load.data };
		return call.ret;
	}
	mmap(addr: number, len: number, prot: number, flags: number, fd: number, off: number): number {
		if (flags & MAP_FIXED) this.process.changed(addr, len);
		const ret = this.enter(this.nr.mmap, addr, len, prot, flags, fd, off);
		const mine = MAP_PRIVATE | MAP_ANONYMOUS;
		if (ret > 0 && (flags & mine) === mine && (prot & 3) === (PROT_READ | PROT_WRITE))
			this.process.mapped(ret, len);
		return ret;
	}
	munmap(addr: number, len: number): number {
		this.process.changed(addr, len);
		return this.enter(this.nr.munmap, addr, len);
	}
	mprotect(addr: number, len: number, prot: number): number {
		this.process.changed(addr, len);
		return this.enter(this.nr.mprotect, addr, len, prot);
	}
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr = 0): number {
		this.process.changed(addr, oldLen);
		this.process.changed(newAddr, newLen);
		return this.enter(this.nr.mremap, addr, oldLen, newLen, flags, newAddr);
	}
	close(fd: number): number {
		return this.enter(this.nr.close, fd);
	}
	dup(fd: number): number {
		return this.enter(this.nr.dup, fd);
	}
	epollCreate1(flags: number): number {
		return this.enter(this.nr.epoll_create1, flags);
	}
	/** struct epoll_event: packed on x86-64 only */
	private get epollEventSize(): number {
		return this.arch === "x86_64" ? 12 : 16;
	}
	epollCtl(epfd: number, op: number, fd: number, event: EpollEvent | null): number {
		if (!event) return this.enter(this.nr.epoll_ctl, epfd, op, fd, 0);
		const size = this.epollEventSize;
		const bytes = Buffer.alloc(size);
		bytes.writeUInt32LE(event.events >>> 0, 0);
		bytes.writeBigUInt64LE(BigInt.asUintN(64, event.data), size - 8);
		const at = this.scratch;
		return this.call(new Request().store(at, bytes).syscall(this.nr.epoll_ctl, [epfd, op, fd, at]))[0]!.ret;
	}
	async epollWait(epfd: number, maxEvents: number, timeout: number): Promise<EpollEvent[] | number> {
		const size = this.epollEventSize;
		const max = Math.min(maxEvents, Math.floor(SCRATCH / size));
		const at = this.scratch;
		const got = (
			await this.sleep(new Request().syscall(this.nr.epoll_wait, [epfd, at, max, timeout, 0, 8]))
		)[0]!;
		if (got.ret <= 0) return got.ret < 0 ? got.ret : [];
		const bytes = Buffer.from(this.load(at, got.ret * size));
		return Array.from({ length: got.ret }, (_, i) => ({
			events: bytes.readUInt32LE(i * size),
			data: bytes.readBigUInt64LE(i * size + size - 8),
		}));
	}
	perfEventOpen(attr: number, pid: number, cpu: number, groupFd: number, flags: number): number {
		return this.enter(this.nr.perf_event_open, attr, pid, cpu, groupFd, flags);
	}
	ioctl(fd: number, request: number, arg: number): number {
		return this.enter(this.nr.ioctl, fd, request, arg);
	}
	getpid(): number {
		return this.enter(this.nr.getpid);
	}
	gettid(): number {
		return this.enter(this.nr.gettid);
	}
	getpgid(pid: number): number {
		return this.enter(this.nr.getpgid, pid);
	}
	syscall(nr: number, ...args: number[]): number {
		const { mmap, munmap, mprotect, mremap, madvise } = this.nr;
		// these and what this side does not know of may take memory away
		if ([mmap, munmap, mprotect, mremap, madvise].includes(nr)) this.process.forgetAll();
		return this.enter(nr, ...args);
	}
	/** Any system call that may sleep; one that its process's end cuts short is ProcessEnded. */
	async syscallSleeping(nr: number, ...args: number[]): Promise<number> {
		this.process.forgetAll();
		return (await this.sleep(new Request().syscall(nr, args)))[0]!.ret;
	}
	async nanosleep(ns: number): Promise<number> {
		const ts = Buffer.alloc(16);
		ts.writeBigInt64LE(BigInt(Math.floor(ns / 1e9)), 0);
		ts.writeBigInt64LE(BigInt(Math.floor(ns % 1e9)), 8);
		const at = this.scratch;
		return (await this.sleep(new Request().store(at, ts).syscall(this.nr.nanosleep, [at, 0])))[0]!.ret;
	}
	callNative(addr: number, ...args: (number | bigint)[]): bigint {
		// it may make system calls of its own
		this.process.forgetAll();
		this.send(new Request().op(OP_CALL, 0, [addr, ...Array.from({ length: 6 }, (_, i) => args[i] ?? 0)]));
		const r = this.channel.answer()[0]!;
		if (r.signal) throw new UserFault(r.addr, false, r.signal === SIGBUS ? "SIGBUS" : "SIGSEGV");
		return r.bits;
	}
	clockMonotonic(): bigint {
		const at = this.scratch;
		const req = new Request().syscall(this.nr.clock_gettime, [CLOCK_MONOTONIC, at]).op(OP_LOAD, 16, [at]);
		const ts = this.call(req)[1]!.data;
		return ts.readBigInt64LE(0) * 1_000_000_000n + ts.readBigInt64LE(8);
	}
	setCpu(cpu: number): number {
		const mask = Buffer.alloc(128);
		if (cpu >= 0 && cpu < 1024) mask[cpu >> 3]! |= 1 << (cpu & 7);
		const at = this.scratch;
		return this.call(new Request().store(at, mask).syscall(this.nr.sched_setaffinity, [0, 128, at]))[0]!.ret;
	}
	/** struct __user_cap_header_struct at `at`, two of __user_cap_data_struct behind it */
	private caps(at: number): { head: Buffer; data: Buffer } {
		const head = Buffer.alloc(8);
		head.writeUInt32LE(LINUX_CAPABILITY_VERSION_3, 0);
		const req = new Request()
			.store(at, head)
			.syscall(this.nr.capget, [at, at + 8])
			.op(OP_LOAD, 24, [at + 8]);
		return { head, data: this.call(req)[1]!.data };
	}
	capGet(): number[] {
		const { data } = this.caps(this.scratch);
		const bits = BigInt(data.readUInt32LE(0)) | (BigInt(data.readUInt32LE(12)) << 32n);
		return Array.from({ length: 64 }, (_, i) => i).filter((i) => (bits >> BigInt(i)) & 1n);
	}
	capSet(caps: readonly number[]): number {
		const at = this.scratch;
		const { head, data } = this.caps(at);
		const bits = caps.reduce((b, c) => b | (1n << BigInt(c)), 0n);
		const next = Buffer.from(data);
		next.writeUInt32LE(Number(bits & 0xffffffffn), 0);
		next.writeUInt32LE(Number(bits >> 32n), 12);
		const req = new Request()
			.store(at, head)
			.store(at + 8, next)
			.syscall(this.nr.capset, [at, at + 8]);
		return this.call(req)[0]!.ret;
	}

	/** openat(2) of a file that is there: a descriptor or a negative errno. */
	open(path: string, flags = 0): number {
		const name = Buffer.from(`${path}\0`);
		if (name.length > SCRATCH) return -ENAMETOOLONG;
		const at = this.scratch;
		const req = new Request().store(at, name).syscall(this.nr.openat, [AT_FDCWD, at, flags, 0]);
		return this.call(req)[0]!.ret;
	}

	/** read(2) of at most 64 KiB: the bytes, or a negative errno. */
	read(fd: number, len: number): Uint8Array | number {
		const at = this.scratch;
		const got = this.enter(this.nr.read, fd, at, Math.min(len, SCRATCH));
		return got < 0 ? got : this.load(at, got);
	}

	/** The name that bpf_get_current_comm() gives: prctl(PR_SET_NAME). */
	setName(name: string): void {
		const at = this.scratch;
		this.call(
			new Request()
				.store(at, Buffer.from(`${name.slice(0, 15)}\0`))
				.syscall(this.nr.prctl, [PR_SET_NAME, at]),
		);
	}

	readFile(path: string): Uint8Array | number {
		const { constant } = this.process.kernel;
		const known = constant.get(path);
		if (known) return known.slice();
		const got = this.readNow(path);
		if (path === VMLINUX_BTF && typeof got !== "number") constant.set(path, got.slice());
		return got;
	}

	private readNow(path: string): Uint8Array | number {
		const fd = this.open(path);
		if (fd < 0) return fd;
		let len = 1 << 20;
		let buf = this.anonymous(len);
		let have = 0;
		for (;;) {
			const got = this.call(new Request().op(OP_FILL, 0, [fd, buf + have, len - have]))[0]!.ret;
			if (got < 0) {
				have = got;
				break;
			}
			have += got;
			if (have < len) break;
			const next = this.mremap(buf, len, 4 * len, MREMAP_MAYMOVE);
			if (next < 0) {
				have = next;
				break;
			}
			buf = next;
			len *= 4;
		}
		const out = have < 0 ? have : this.load(buf, have);
		this.munmap(buf, len);
		this.close(fd);
		return out;
	}

	/** Write a file that is there already (a sysctl, a file of tracefs): 0 or a negative errno. */
	writeFile(path: string, text: string): number {
		const fd = this.open(path, O_WRONLY);
		if (fd < 0) return fd;
		const at = this.scratch;
		const bytes = Buffer.from(text);
		const ret = this.call(new Request().store(at, bytes).syscall(this.nr.write, [fd, at, bytes.length]))[0]!
			.ret;
		this.close(fd);
		return Math.min(ret, 0);
	}

	load(addr: number, len: number): Uint8Array {
		const { fresh } = this.process;
		if (fresh && addr >= fresh.addr && addr + len <= fresh.addr + fresh.bytes.length)
			return new Uint8Array(fresh.bytes.subarray(addr - fresh.addr, addr - fresh.addr + len));
		const out = new Uint8Array(len);
		for (let done = 0; done < len; done += CHUNK) {
			const n = Math.min(CHUNK, len - done);
			this.send(new Request().op(OP_LOAD, n, [addr + done]));
			const r = this.channel.answer()[0]!;
			if (r.signal)
				throw new UserFault(r.addr || addr + done, false, r.signal === SIGBUS ? "SIGBUS" : "SIGSEGV");
			out.set(r.data, done);
		}
		return out;
	}
	store(addr: number, bytes: Uint8Array): void {
		this.process.fresh = null;
		for (let done = 0; done < bytes.length; done += CHUNK) {
			const part = bytes.subarray(done, done + CHUNK);
			if (this.process.isSafe(addr + done, part.length)) {
				this.process.pending.store(addr + done, part);
				if (this.process.pending.bytes >= PENDING_MAX) this.call(new Request());
			} else {
				this.call(new Request().store(addr + done, part));
			}
		}
	}
	load8(addr: number): number {
		return this.load(addr, 1)[0]!;
	}
	load32(addr: number): number {
		const b = this.load(addr, 4);
		return new DataView(b.buffer, b.byteOffset).getUint32(0, true);
	}
	load64(addr: number): bigint {
		const b = this.load(addr, 8);
		return new DataView(b.buffer, b.byteOffset).getBigUint64(0, true);
	}
	store8(addr: number, v: number): void {
		this.store(addr, Uint8Array.of(v));
	}
	store32(addr: number, v: number): void {
		const b = new Uint8Array(4);
		new DataView(b.buffer).setUint32(0, v >>> 0, true);
		this.store(addr, b);
	}
	store64(addr: number, v: bigint): void {
		const b = new Uint8Array(8);
		new DataView(b.buffer).setBigUint64(0, BigInt.asUintN(64, v), true);
		this.store(addr, b);
	}

	async thread<T>(fn: (sys: Sys) => Promise<T>): Promise<T> {
		const { kernel } = this.process;
		const port = kernel.takePort(this.process);
		const tid = this.call(new Request().op(OP_THREAD, 0, [port]))[0]!.ret;
		if (tid < 0) {
			kernel.givePort(this.process, port);
			throw new Error(`a thread of the remote process: errno ${-tid}`);
		}
		const sys = new RemoteSys(this.process, port);
		try {
			return await fn(sys);
		} finally {
			// a process that has ended took its threads with it; one that sleeps in a call ends with its process
			if (this.process.ports.has(port) && !sys.channel.busy) {
				sys.call(new Request().op(OP_EXIT, 0, [0]));
				kernel.givePort(this.process, port);
			}
		}
	}
	async yieldCpu(): Promise<void> {
		this.enter(this.nr.sched_yield);
		await new Promise<void>((resolve) => setImmediate(resolve));
	}
}

/** A kernel at the other end of connections to its agent. */
export class RemoteKernel {
	readonly arch: "x86_64" | "arm64";
	nrCpus = 1;
	/** Files that stay as they are while the kernel runs, and are large. */
	readonly constant = new Map<string, Uint8Array>();
	private readonly control: Channel;
	private readonly channels: Channel[];
	private readonly free: number[] = [];

	/**
	 * `sockets[i]` is the connection to port i + 1. `why` says what became of the machine, when a connection ends
	 * or nothing comes.
	 */
	constructor(arch: "x86_64" | "arm64", sockets: readonly RawSocket[], why: () => string) {
		this.arch = arch;
		const gone = (what: string): MachineGone => new MachineGone(`${what}${why()}`);
		this.channels = sockets.map((s) => new Channel(s, gone));
		this.control = this.channels[0]!;
		for (let port = this.channels.length; port >= 2; port--) this.free.push(port);
	}

	/** Whether the agent has said hello; throws when what it said is something else. */
	hello(): boolean {
		if (!this.control.readable) return false;
		const { seq, body } = this.control.frame(1000);
		const version = body.length >= 8 ? Number(body.readBigUInt64LE(0)) : 0;
		if (seq !== SEQ_HELLO || version !== AGENT_VERSION)
			throw new MachineGone(`the agent speaks version ${version}, not ${AGENT_VERSION}`);
		return true;
	}

	channel(port: number): Channel {
		return this.channels[port - 1]!;
	}

	takePort(process: Process): number {
		const port = this.free.pop();
		if (port === undefined) throw new Error(`more than ${NR_PORTS - 1} threads on the remote kernel`);
		process.ports.add(port);
		this.channel(port).drain();
		return port;
	}

	givePort(process: Process, port: number): void {
		if (process.ports.delete(port)) this.free.push(port);
	}

	/** Resolves when `ready` says so: soon after, without keeping this process busy. */
	async answered(ready: () => boolean): Promise<void> {
		for (let i = 0; !ready(); i++)
			await new Promise<void>((r) => (i < 20 ? setImmediate(r) : setTimeout(r, 1)));
	}

	private ask(op: number, port: number): number {
		this.control.send(new Request().op(op, 0, [port]));
		return this.control.answer()[0]!.ret;
	}

	/** A new process with all capabilities. */
	newProcess(): RemoteSys {
		const process = new Process(this);
		const port = this.takePort(process);
		const pid = this.ask(OP_PROCESS, port);
		if (pid < 0) {
			this.givePort(process, port);
			throw new Error(`a process of the remote kernel: errno ${-pid}`);
		}
		return new RemoteSys(process, port);
	}

	/** End a process; resolves when the kernel has taken everything back that it takes back with a process. */
	async endProcess(sys: RemoteSys): Promise<void> {
		sys.process.ended = true;
		this.ask(OP_END, sys.port);
		for (const port of [...sys.process.ports]) {
			this.channel(port).busy = false;
			this.givePort(sys.process, port);
		}
	}
}
