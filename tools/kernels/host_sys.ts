// SPDX-License-Identifier: GPL-2.0-only
/**
 * The machine's own kernel as a `Sys`: raw system calls, buffers in real memory. Loads and stores go through
 * process_vm_readv(2) and process_vm_writev(2) on the process itself, so that a bad address is a UserFault
 * and not the end of Node.
 *
 * Nothing is attached to the running system: programs are loaded, verified and test-run. What would attach,
 * pin, register or change something of the system at large throws SysRefused before the kernel is asked.
 * A "process" here is a set of descriptors and mappings of this one; its threads take turns on one real thread.
 */
import { readFileSync } from "node:fs";
import { type EpollEvent, type Sys, SysRefused, UserFault } from "../../include/sys.ts";
import { EEXIST, EFAULT, EIO, ENOSYS, EPERM } from "../../include/uapi/asm-generic/errno.ts";
import {
	MAP_ANONYMOUS,
	MAP_FIXED,
	MAP_FIXED_NOREPLACE,
	MREMAP_DONTUNMAP,
	MREMAP_FIXED,
} from "../../include/uapi/asm-generic/mman.ts";
import {
	BPF_BTF_GET_FD_BY_ID,
	BPF_BTF_LOAD,
	BPF_ENABLE_STATS,
	BPF_F_LINK,
	BPF_FUNC_sys_bpf,
	BPF_ITER_CREATE,
	BPF_LINK_CREATE,
	BPF_LINK_DETACH,
	BPF_LINK_GET_FD_BY_ID,
	BPF_LINK_UPDATE,
	BPF_MAP_CREATE,
	BPF_MAP_GET_FD_BY_ID,
	BPF_MAP_TYPE_ARRAY,
	BPF_MAP_TYPE_STRUCT_OPS,
	BPF_MAP_UPDATE_ELEM,
	BPF_OBJ_GET,
	BPF_OBJ_PIN,
	BPF_PROG_ATTACH,
	BPF_PROG_DETACH,
	BPF_PROG_GET_FD_BY_ID,
	BPF_PROG_LOAD,
	BPF_PROG_TEST_RUN,
	BPF_PROG_TYPE_EXT,
	BPF_PROG_TYPE_LSM,
	BPF_PROG_TYPE_SYSCALL,
	BPF_PROG_TYPE_TRACING,
	BPF_RAW_TRACEPOINT_OPEN,
	BPF_TOKEN_CREATE,
} from "../../include/uapi/linux/bpf.ts";
import { libbpf_strerror_r } from "../lib/bpf/libbpf.ts";
import {
	HOST_NR,
	type HostArch,
	type HostCall,
	type HostPage,
	host_arch,
	host_memory,
	type RawSyscall,
	raw_syscall,
} from "./host_syscall.ts";

/** Why a test that attaches does not run on the machine's own kernel. */
export const ATTACHES = "it attaches to the running system, and that is left alone";

const REFUSED: ReadonlyMap<number, string> = new Map([
	[BPF_PROG_ATTACH, ATTACHES],
	[BPF_PROG_DETACH, ATTACHES],
	[BPF_RAW_TRACEPOINT_OPEN, ATTACHES],
	[BPF_LINK_CREATE, ATTACHES],
	[BPF_LINK_UPDATE, ATTACHES],
	[BPF_LINK_DETACH, ATTACHES],
	[BPF_OBJ_PIN, "it pins an object in the running system, and that is left alone"],
	[BPF_ENABLE_STATS, "it changes a setting of the running system, and that is left alone"],
]);

/** Commands whose answer is a descriptor. */
const GIVES_FD: ReadonlySet<number> = new Set([
	BPF_MAP_CREATE,
	BPF_PROG_LOAD,
	BPF_OBJ_GET,
	BPF_PROG_GET_FD_BY_ID,
	BPF_MAP_GET_FD_BY_ID,
	BPF_BTF_LOAD,
	BPF_BTF_GET_FD_BY_ID,
	BPF_LINK_GET_FD_BY_ID,
	BPF_ITER_CREATE,
	BPF_TOKEN_CREATE,
]);

const PERF_EVENT_IOC_SET_BPF = 0x40042408;
const CAP_SYS_ADMIN = 21;
const TYPE_NAMES: Readonly<Record<number, string>> = {
	[BPF_PROG_TYPE_TRACING]: "tracing",
	[BPF_PROG_TYPE_LSM]: "lsm",
	[BPF_PROG_TYPE_EXT]: "ext",
};
const BPF_F_TEST_XDP_LIVE_FRAMES = 1 << 1;
const CALL = 0x85;

/** Bytes that one process_vm_readv() brings at most. */
const BOUNCE = 1 << 20;
const IOVECS = 64;
const PAGE = 4096;
const PR_SET_NAME = 15;

const whole_pages = (len: number): number => Math.ceil(len / PAGE) * PAGE;

const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
/** How long a wait sleeps before it looks again, ms. */
const POLL_MS = 2;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What all processes on this kernel share. */
export class HostKernel {
	readonly arch: HostArch;
	readonly call: RawSyscall;
	/** Iovecs, then the bytes that travel. */
	readonly page: HostPage;
	readonly view: DataView;
	readonly nrCpus: number;
	/** Number of the process: those of loads and stores. */
	readonly pid: number;

	constructor() {
		this.arch = host_arch();
		this.call = raw_syscall(this.arch);
		this.page = host_memory(PAGE + BOUNCE);
		this.view = new DataView(this.page.bytes.buffer, this.page.bytes.byteOffset);
		this.pid = this.nr("getpid");
		const cpus = /(\d+)\s*$/.exec(readFileSync("/sys/devices/system/cpu/possible", "latin1"));
		this.nrCpus = Number(cpus?.[1] ?? 0) + 1;
		const why = this.not_permitted();
		if (why) throw new SysRefused(why);
	}

	nr(name: HostCall, ...args: number[]): number {
		return this.call(HOST_NR[this.arch][name], ...args);
	}

	/** What bpf_get_current_comm() gives programs: the thread's name. */
	set_name(name: string): void {
		const { addr, bytes } = this.page;
		bytes.fill(0, 0, 16);
		bytes.set(new TextEncoder().encode(name.slice(0, 15)));
		this.nr("prctl", PR_SET_NAME, addr);
	}

	/** Asks for a small map; null when there is one, else what to tell the user. */
	private not_permitted(): string | null {
		const { addr, bytes } = this.page;
		bytes.fill(0, 0, 128);
		for (const [i, v] of [BPF_MAP_TYPE_ARRAY, 4, 4, 1].entries()) this.view.setUint32(i * 4, v, true);
		const fd = this.nr("bpf", BPF_MAP_CREATE, addr, 72);
		if (fd >= 0) {
			this.nr("close", fd);
			return null;
		}
		if (fd === -ENOSYS) return "the machine's own kernel has no bpf(2)";
		const hint = fd === -EPERM ? ": be root, or have CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN" : "";
		return `bpf(2) is not permitted on the machine's own kernel (${libbpf_strerror_r(fd)})${hint}`;
	}
}

/** One "process" of the machine's own kernel. */
export class HostSys implements Sys {
	readonly host: HostKernel;
	readonly arch: HostArch;
	readonly pageSize = PAGE;
	readonly nrCpus: number;
	private readonly fds: Set<number>;
	private readonly maps: Map<number, number>;
	/** Descriptors of struct_ops maps: an update registers what is in them. */
	private readonly struct_ops: Set<number>;
	private affinity: Uint8Array | null = null;
	private readonly caps: readonly number[];

	constructor(host: HostKernel, parent?: HostSys) {
		this.host = host;
		this.arch = host.arch;
		this.nrCpus = host.nrCpus;
		this.fds = parent?.fds ?? new Set();
		this.maps = parent?.maps ?? new Map();
		this.struct_ops = parent?.struct_ops ?? new Set();
		this.caps = parent?.caps ?? this.capGet();
	}

	/** Everything that this process still has goes back to the kernel. */
	end(): void {
		this.capSet(this.caps);
		for (const [addr, len] of this.maps) this.host.nr("munmap", addr, len);
		this.maps.clear();
		for (const fd of this.fds) this.host.nr("close", fd);
		this.fds.clear();
		this.struct_ops.clear();
		if (!this.affinity) return;
		this.host.page.bytes.set(this.affinity);
		this.host.nr("sched_setaffinity", 0, this.affinity.length, this.host.page.addr);
		this.affinity = null;
	}

	private opened(fd: number): number {
		if (fd >= 0) this.fds.add(fd);
		return fd;
	}

	bpf(cmd: number, attr: number, size: number): number {
		this.permit(cmd, attr, size);
		const u32 = (at: number): number => (at + 4 <= size ? this.load32(attr + at) : 0);
		const type = cmd === BPF_MAP_CREATE && size >= 4 ? u32(0) : -1;
		const ret = this.host.nr("bpf", cmd, attr, size);
		if (ret === -EPERM && cmd === BPF_PROG_LOAD) this.explain_eperm(u32(0));
		if (ret < 0 || !GIVES_FD.has(cmd)) return ret;
		this.opened(ret);
		if (type === BPF_MAP_TYPE_STRUCT_OPS && !(u32(16) & BPF_F_LINK)) this.struct_ops.add(ret);
		return ret;
	}

	/** A process that has all that programs need is told EPERM: then this kernel was set up to take none of that type. */
	private explain_eperm(type: number): void {
		if (type !== BPF_PROG_TYPE_TRACING && type !== BPF_PROG_TYPE_LSM && type !== BPF_PROG_TYPE_EXT) return;
		if (!this.capGet().includes(CAP_SYS_ADMIN)) return;
		throw new SysRefused(`the machine's own kernel takes no programs of type ${TYPE_NAMES[type]}`);
	}

	/** Throws for what would reach beyond this process. */
	private permit(cmd: number, attr: number, size: number): void {
		const why = REFUSED.get(cmd);
		if (why) throw new SysRefused(why);
		let a: DataView;
		try {
			const bytes = this.load(attr, Math.min(size, 128));
			a = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
		} catch {
			// the kernel says EFAULT itself
			return;
		}
		const u32 = (at: number): number => (at + 4 <= a.byteLength ? a.getUint32(at, true) : 0);
		if (cmd === BPF_MAP_UPDATE_ELEM && this.struct_ops.has(u32(0)))
			throw new SysRefused("it registers operations with the running system, and that is left alone");
		if (cmd === BPF_PROG_TEST_RUN && u32(64) & BPF_F_TEST_XDP_LIVE_FRAMES)
			throw new SysRefused("it sends frames into the running system, and that is left alone");
		if (cmd === BPF_PROG_LOAD && u32(0) === BPF_PROG_TYPE_SYSCALL && a.byteLength >= 16) {
			if (this.calls_bpf(Number(a.getBigUint64(8, true)), u32(4)))
				throw new SysRefused("it makes bpf system calls of its own, which cannot be seen from here");
		}
	}

	private calls_bpf(insns: number, count: number): boolean {
		if (count > 1 << 20) return false;
		let code: Uint8Array;
		try {
			code = this.load(insns, count * 8);
		} catch {
			return false;
		}
		const dv = new DataView(code.buffer, code.byteOffset, code.length);
		for (let i = 0; i < count; i++)
			if (code[i * 8] === CALL && code[i * 8 + 1] === 0 && dv.getInt32(i * 8 + 4, true) === BPF_FUNC_sys_bpf)
				return true;
		return false;
	}

	mmap(addr: number, len: number, prot: number, flags: number, fd: number, off: number): number {
		// over what is not this process's own nothing may be put: Node lives there
		const careful = flags & MAP_FIXED && !this.owns(addr, len) ? MAP_FIXED_NOREPLACE : 0;
		const at = this.host.nr("mmap", addr, len, prot, flags | careful, flags & MAP_ANONYMOUS ? -1 : fd, off);
		if (careful && at === -EEXIST) throw new SysRefused("it maps over memory of Node's");
		if (at >= 0) this.mapped(at, len);
		return at;
	}
	munmap(addr: number, len: number): number {
		// what is wrong with the arguments the kernel says
		if (len <= 0 || addr % PAGE !== 0) return this.host.nr("munmap", addr, len);
		const end = addr + whole_pages(len);
		for (const [start, size] of [...this.maps]) {
			const from = Math.max(start, addr);
			const to = Math.min(start + size, end);
			if (from >= to) continue;
			const ret = this.host.nr("munmap", from, to - from);
			if (ret !== 0) return ret;
			this.unmapped(from, to - from);
		}
		return 0;
	}
	/** Whether all of a range is mapped by this process. */
	private owns(addr: number, len: number): boolean {
		const end = addr + whole_pages(len);
		let at = addr;
		for (const [start, size] of [...this.maps].sort(([a], [b]) => a - b))
			if (start <= at && at < start + size) at = start + size;
		return at >= end;
	}
	/** Remembers what is this process's to unmap at its end. */
	private mapped(addr: number, len: number): void {
		this.unmapped(addr, len);
		this.maps.set(addr, whole_pages(len));
	}
	/** Nothing of this range is: by then something else of Node's may be there. */
	private unmapped(addr: number, len: number): void {
		const end = addr + whole_pages(len);
		for (const [start, size] of [...this.maps]) {
			const stop = start + size;
			if (stop <= addr || start >= end) continue;
			this.maps.delete(start);
			if (start < addr) this.maps.set(start, addr - start);
			if (stop > end) this.maps.set(end, stop - end);
		}
	}
	mprotect(addr: number, len: number, prot: number): number {
		if (len > 0 && addr % PAGE === 0 && !this.owns(addr, len))
			throw new SysRefused("it protects memory that it has not mapped");
		return this.host.nr("mprotect", addr, len, prot);
	}
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr = 0): number {
		if (oldLen > 0 && !this.owns(addr, oldLen))
			throw new SysRefused("it moves memory that it has not mapped");
		if (flags & MREMAP_FIXED && !this.owns(newAddr, newLen))
			throw new SysRefused("it moves memory over what it has not mapped");
		const at = this.host.nr("mremap", addr, oldLen, newLen, flags, newAddr);
		if (at >= 0) {
			if (!(flags & MREMAP_DONTUNMAP)) this.unmapped(addr, oldLen);
			this.mapped(at, newLen);
		}
		return at;
	}
	close(fd: number): number {
		this.fds.delete(fd);
		this.struct_ops.delete(fd);
		return this.host.nr("close", fd);
	}
	dup(fd: number): number {
		const to = this.opened(this.host.nr("dup", fd));
		if (to >= 0 && this.struct_ops.has(fd)) this.struct_ops.add(to);
		return to;
	}
	epollCreate1(flags: number): number {
		return this.opened(this.host.nr("epoll_create1", flags));
	}
	/** sizeof(struct epoll_event), which is packed on x86. */
	private get event_size(): number {
		return this.arch === "x86_64" ? 12 : 16;
	}
	epollCtl(epfd: number, op: number, fd: number, event: EpollEvent | null): number {
		const { view, page } = this.host;
		if (!event) return this.host.nr("epoll_ctl", epfd, op, fd, 0);
		view.setUint32(0, event.events, true);
		view.setBigUint64(this.event_size - 8, event.data, true);
		return this.host.nr("epoll_ctl", epfd, op, fd, page.addr);
	}
	/** Looks again and again: other threads of this process run meanwhile. */
	async epollWait(epfd: number, maxEvents: number, timeout: number): Promise<EpollEvent[] | number> {
		const end = performance.now() + timeout;
		const { view, page } = this.host;
		const size = this.event_size;
		const max = Math.min(maxEvents, Math.floor(BOUNCE / size));
		for (;;) {
			const n = this.host.nr("epoll_pwait", epfd, page.addr, max, 0, 0, 8);
			if (n < 0) return n;
			if (n > 0)
				return Array.from({ length: n }, (_, i) => ({
					events: view.getUint32(i * size, true),
					data: view.getBigUint64(i * size + size - 8, true),
				}));
			if (timeout >= 0 && performance.now() >= end) return [];
			await sleep(POLL_MS);
		}
	}
	perfEventOpen(attr: number, pid: number, cpu: number, groupFd: number, flags: number): number {
		return this.opened(this.host.nr("perf_event_open", attr, pid, cpu, groupFd, flags));
	}
	ioctl(fd: number, request: number, arg: number): number {
		if (request === PERF_EVENT_IOC_SET_BPF) throw new SysRefused(ATTACHES);
		return this.host.nr("ioctl", fd, request, arg);
	}

	getpid(): number {
		return this.host.nr("getpid");
	}
	gettid(): number {
		return this.host.nr("gettid");
	}
	getpgid(pid: number): number {
		return this.host.nr("getpgid", pid);
	}
	syscall(nr: number, ...args: number[]): number {
		const a = (i: number): number => args[i] ?? 0;
		const table = HOST_NR[this.arch];
		switch (nr) {
			case table.bpf:
				return this.bpf(a(0), a(1), a(2));
			case table.ioctl:
				return this.ioctl(a(0), a(1), a(2));
			case table.mmap:
				return this.mmap(a(0), a(1), a(2), a(3), a(4), a(5));
			case table.munmap:
				return this.munmap(a(0), a(1));
			case table.mremap:
				return this.mremap(a(0), a(1), a(2), a(3), a(4));
			case table.close:
				return this.close(a(0));
			case table.dup:
				return this.dup(a(0));
			case table.epoll_create1:
				return this.epollCreate1(a(0));
			case table.perf_event_open:
				return this.perfEventOpen(a(0), a(1), a(2), a(3), a(4));
			default:
				return this.host.call(nr, ...args);
		}
	}
	async nanosleep(ns: number): Promise<number> {
		const end = process.hrtime.bigint() + BigInt(Math.floor(Math.max(0, ns)));
		for (let left = ns; left > 0; left = Number(end - process.hrtime.bigint()))
			await sleep(Math.ceil(left / 1e6));
		return 0;
	}
	clockMonotonic(): bigint {
		return process.hrtime.bigint();
	}
	setCpu(cpu: number): number {
		const { page, view } = this.host;
		const size = Math.ceil(this.nrCpus / 64) * 8;
		if (!this.affinity) {
			const n = this.host.nr("sched_getaffinity", 0, 128, page.addr);
			if (n > 0) this.affinity = page.bytes.slice(0, n);
		}
		page.bytes.fill(0, 0, size);
		if (cpu >= 0 && cpu < size * 8) view.setUint8(cpu >> 3, 1 << (cpu & 7));
		return this.host.nr("sched_setaffinity", 0, size, page.addr);
	}
	/** capget(2) into the shared page, the header at 0 and the two data structs at 8. */
	private cap_data(): number {
		const { page, view } = this.host;
		view.setUint32(0, LINUX_CAPABILITY_VERSION_3, true);
		view.setUint32(4, 0, true);
		return this.host.nr("capget", page.addr, page.addr + 8);
	}
	capGet(): number[] {
		const { view } = this.host;
		if (this.cap_data() < 0) return [];
		const held = (cap: number): boolean =>
			((view.getUint32(8 + (cap >> 5) * 12, true) >>> (cap & 31)) & 1) === 1;
		return Array.from({ length: 64 }, (_, i) => i).filter(held);
	}
	capSet(caps: readonly number[]): number {
		const { page, view } = this.host;
		const err = this.cap_data();
		if (err < 0) return err;
		for (let half = 0; half < 2; half++) {
			let mask = 0;
			for (const cap of caps) if (cap >> 5 === half) mask |= 1 << (cap & 31);
			view.setUint32(8 + half * 12, mask >>> 0, true);
		}
		return this.host.nr("capset", page.addr, page.addr + 8);
	}

	readFile(path: string): Uint8Array | number {
		try {
			return new Uint8Array(readFileSync(path));
		} catch (e) {
			return (e as NodeJS.ErrnoException).errno ?? -EIO;
		}
	}

	/** Moves bytes between the shared page and the process; the number that went, or a negative errno. */
	private transfer(call: "process_vm_readv" | "process_vm_writev", addr: number, len: number): number {
		const { page, view, pid } = this.host;
		view.setBigUint64(0, BigInt(page.addr + IOVECS), true);
		view.setBigUint64(8, BigInt(len), true);
		view.setBigUint64(16, BigInt.asUintN(64, BigInt(addr)), true);
		view.setBigUint64(24, BigInt(len), true);
		return this.host.nr(call, pid, page.addr, 1, page.addr + 16, 1, 0);
	}
	/** How many bytes go at once from `at`: as many as there are, or to the end of the page after a fault. */
	private static piece(addr: number, left: number, careful: boolean): number {
		return Math.min(left, careful ? PAGE - (addr % PAGE) : BOUNCE);
	}
	load(addr: number, len: number): Uint8Array {
		const out = new Uint8Array(len);
		for (let at = 0, careful = false; at < len; ) {
			const want = HostSys.piece(addr + at, len - at, careful);
			const n = this.transfer("process_vm_readv", addr + at, want);
			if (n !== want && careful) throw this.fault(n, addr + at, false);
			if (n > 0) out.set(this.host.page.bytes.subarray(IOVECS, IOVECS + n), at);
			careful = n !== want;
			at += Math.max(0, n);
		}
		return out;
	}
	store(addr: number, bytes: Uint8Array): void {
		for (let at = 0, careful = false; at < bytes.length; ) {
			const want = HostSys.piece(addr + at, bytes.length - at, careful);
			this.host.page.bytes.set(bytes.subarray(at, at + want), IOVECS);
			const n = this.transfer("process_vm_writev", addr + at, want);
			if (n !== want && careful) throw this.fault(n, addr + at, true);
			careful = n !== want;
			at += Math.max(0, n);
		}
	}
	private fault(n: number, addr: number, write: boolean): Error {
		if (n >= 0 || n === -EFAULT) return new UserFault(addr + Math.max(0, n), write);
		return new Error(
			`${write ? "process_vm_writev" : "process_vm_readv"} on the process itself: ${libbpf_strerror_r(n)}`,
		);
	}
	load8(addr: number): number {
		return this.load(addr, 1)[0]!;
	}
	load32(addr: number): number {
		return new DataView(this.load(addr, 4).buffer).getUint32(0, true);
	}
	load64(addr: number): bigint {
		return new DataView(this.load(addr, 8).buffer).getBigUint64(0, true);
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
		await this.yieldCpu();
		return fn(new HostSys(this.host, this));
	}
	yieldCpu(): Promise<void> {
		return new Promise((resolve) => setImmediate(resolve));
	}
}
