// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a process has: system calls, and loads and stores in its own address space. User space
 * (tools/, selftests/) sees the kernel through this interface only; a task of the emulated kernel,
 * the machine's own kernel and a remote one implement it.
 *
 * System calls return what the kernel returns: 0 or a positive value, or a negative errno.
 * Addresses are numbers (user addresses lie below 2^47). Memory arguments are addresses in the
 * process: `UserHeap` (tools/lib/user_heap.ts) hands out such memory.
 */

/** A load or store of user space touched memory that it may not: the process got SIGSEGV (or SIGBUS). */
export class UserFault extends Error {
	readonly addr: number;
	readonly write: boolean;
	readonly signal: "SIGSEGV" | "SIGBUS";
	constructor(addr: number, write: boolean, signal: "SIGSEGV" | "SIGBUS" = "SIGSEGV") {
		super(`${signal}: ${write ? "store to" : "load from"} 0x${addr.toString(16)}`);
		this.name = "UserFault";
		this.addr = addr;
		this.write = write;
		this.signal = signal;
	}
}

/** This way into a kernel does not do what was asked, whatever the kernel would have said; the message is why. */
export class SysRefused extends Error {
	constructor(message: string) {
		super(message);
		this.name = "SysRefused";
	}
}

export interface EpollEvent {
	/** EPOLL* mask */
	events: number;
	/** epoll_data.u64 */
	data: bigint;
}

export interface Sys {
	/** Machine name as uname(2) gives it. */
	readonly arch: "x86_64" | "arm64";
	readonly pageSize: number;
	/** Number of possible CPUs. */
	readonly nrCpus: number;

	/** bpf(2): `attr` is the address of a union bpf_attr, `size` its size in bytes. */
	bpf(cmd: number, attr: number, size: number): number;
	/** mmap(2): address or negative errno. */
	mmap(addr: number, len: number, prot: number, flags: number, fd: number, off: number): number;
	munmap(addr: number, len: number): number;
	mprotect(addr: number, len: number, prot: number): number;
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr?: number): number;
	close(fd: number): number;
	dup(fd: number): number;
	epollCreate1(flags: number): number;
	epollCtl(epfd: number, op: number, fd: number, event: EpollEvent | null): number;
	/** epoll_wait(2): the events, or a negative errno. `timeout` in ms, -1 waits. */
	epollWait(epfd: number, maxEvents: number, timeout: number): Promise<EpollEvent[] | number>;
	/** perf_event_open(2); `attr` is the address of a struct perf_event_attr. */
	perfEventOpen(attr: number, pid: number, cpu: number, groupFd: number, flags: number): number;
	ioctl(fd: number, request: number, arg: number): number;

	getpid(): number;
	gettid(): number;
	/** getpgid(2): upstream's ring buffer tests hang on it. */
	getpgid(pid: number): number;
	/** Any other system call by its number of this architecture; at most six arguments. */
	syscall(nr: number, ...args: number[]): number;
	nanosleep(ns: number): Promise<number>;
	/** Nanoseconds of CLOCK_MONOTONIC. */
	clockMonotonic(): bigint;
	/** Run on a given CPU from now on (sched_setaffinity(2) to one CPU). */
	setCpu(cpu: number): number;
	/** Effective capabilities: the numbers of those held. */
	capGet(): number[];
	/** Set the effective capabilities; a negative errno when not permitted. */
	capSet(caps: readonly number[]): number;

	/** The bytes of a file of the system (`/sys/kernel/btf/vmlinux`, `/proc/kallsyms`, `/proc/config.gz`, `/proc/sys/…`), or a negative errno. */
	readFile(path: string): Uint8Array | number;

	/** Loads and stores in the process's address space; throw UserFault. */
	load(addr: number, len: number): Uint8Array;
	store(addr: number, bytes: Uint8Array): void;
	load8(addr: number): number;
	load32(addr: number): number;
	load64(addr: number): bigint;
	store8(addr: number, v: number): void;
	store32(addr: number, v: number): void;
	store64(addr: number, v: bigint): void;

	/**
	 * Call machine code of the process at an address, as the platform's C calls a function of up to six integers: its
	 * result. It runs at user privilege through the process's page tables; throws UserFault when a fault kills it.
	 * Absent where the kernel is reached through something that cannot do that.
	 */
	callNative?(addr: number, ...args: (number | bigint)[]): bigint;

	/** Start a thread of this process; it has its own Sys. Resolves when the thread's function has returned. */
	thread<T>(fn: (sys: Sys) => Promise<T>): Promise<T>;
	/** Give other tasks a turn (sched_yield(2)). */
	yieldCpu(): Promise<void>;
}
