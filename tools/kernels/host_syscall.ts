// SPDX-License-Identifier: GPL-2.0-only
/**
 * Raw system calls of the machine's own kernel. A few bytes of machine code make them, so that the answer is
 * the kernel's own word and not errno, which anything may change before JavaScript reads it.
 */
import { arch as nodeArch, platform } from "node:os";
import koffi from "koffi";
import {
	MAP_ANONYMOUS,
	MAP_PRIVATE,
	PROT_EXEC,
	PROT_READ,
	PROT_WRITE,
} from "../../include/uapi/asm-generic/mman.ts";

/** The machines that there are calls for, as `Sys` names them. */
export type HostArch = "x86_64" | "arm64";

/** Numbers of the system calls used here. */
export const HOST_NR: Readonly<Record<HostArch, Readonly<Record<HostCall, number>>>> = {
	x86_64: {
		close: 3,
		mmap: 9,
		mprotect: 10,
		munmap: 11,
		ioctl: 16,
		mremap: 25,
		dup: 32,
		getpid: 39,
		getpgid: 121,
		capget: 125,
		capset: 126,
		gettid: 186,
		sched_setaffinity: 203,
		sched_getaffinity: 204,
		prctl: 157,
		epoll_ctl: 233,
		epoll_pwait: 281,
		epoll_create1: 291,
		perf_event_open: 298,
		process_vm_readv: 310,
		process_vm_writev: 311,
		bpf: 321,
	},
	arm64: {
		epoll_create1: 20,
		epoll_ctl: 21,
		epoll_pwait: 22,
		dup: 23,
		ioctl: 29,
		close: 57,
		capget: 90,
		capset: 91,
		sched_setaffinity: 122,
		sched_getaffinity: 123,
		getpgid: 155,
		prctl: 167,
		getpid: 172,
		gettid: 178,
		munmap: 215,
		mremap: 216,
		mmap: 222,
		mprotect: 226,
		perf_event_open: 241,
		process_vm_readv: 270,
		process_vm_writev: 271,
		bpf: 280,
	},
};

export type HostCall =
	| "bpf"
	| "capget"
	| "capset"
	| "close"
	| "dup"
	| "epoll_create1"
	| "epoll_ctl"
	| "epoll_pwait"
	| "getpgid"
	| "getpid"
	| "gettid"
	| "ioctl"
	| "mmap"
	| "mprotect"
	| "mremap"
	| "munmap"
	| "perf_event_open"
	| "prctl"
	| "process_vm_readv"
	| "process_vm_writev"
	| "sched_getaffinity"
	| "sched_setaffinity";

/** endbr64; mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; mov r10, r8; mov r8, r9; mov r9, [rsp+8]; syscall; ret */
const STUB_X86 = "f30f1efa4889f84889f74889d64889ca4d89c24d89c84c8b4c24080f05c3";

/** mov x8, x0; mov x0, x1; … mov x5, x6; svc #0; ret */
function stub_arm64(): Uint8Array {
	const mov = (to: number, from: number): number => 0xaa0003e0 + from * 0x10000 + to;
	const moves = Array.from({ length: 6 }, (_, i) => mov(i, i + 1));
	return new Uint8Array(Uint32Array.from([mov(8, 0), ...moves, 0xd4000001, 0xd65f03c0]).buffer);
}

/** A system call by its number: its value, or a negative errno. */
export type RawSyscall = (nr: number, ...args: (number | bigint)[]) => number;

/** The machine, or why there are no system calls for it. */
export function host_arch(): HostArch {
	if (platform() !== "linux") throw new Error(`the machine's own kernel is no Linux: ${platform()}`);
	const arch = nodeArch();
	if (arch === "x64") return "x86_64";
	if (arch === "arm64") return "arm64";
	throw new Error(`system calls of ${arch} are not known here: x86-64 and arm64 only`);
}

const PAGE = 4096;

/** Memory of the process that JavaScript sees: its address and a view. */
export interface HostPage {
	readonly addr: number;
	readonly bytes: Uint8Array;
}

/** Maps memory through the C library; it stays for the life of the process. */
export function host_memory(len: number): HostPage {
	const libc = koffi.load("libc.so.6");
	const mmap = libc.func("int64_t mmap(int64_t a, int64_t n, int prot, int flags, int fd, int64_t off)");
	const addr = Number(mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (addr < 0) throw new Error(`no memory for system calls: mmap of ${len} bytes failed`);
	return { addr, bytes: new Uint8Array(koffi.view(BigInt(addr), len)) };
}

/** Puts the machine code into place. */
export function raw_syscall(arch: HostArch): RawSyscall {
	const page = host_memory(PAGE);
	page.bytes.set(arch === "x86_64" ? Buffer.from(STUB_X86, "hex") : stub_arm64());
	const mprotect = koffi.load("libc.so.6").func("int mprotect(int64_t a, int64_t n, int prot)");
	if (mprotect(page.addr, PAGE, PROT_READ | PROT_EXEC) !== 0)
		throw new Error("the system lets no memory be made executable: no raw system calls");
	const i64 = "int64_t";
	const type = koffi.proto(i64, [i64, i64, i64, i64, i64, i64, i64]);
	const stub = BigInt(page.addr);
	return (nr, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) =>
		Number(koffi.call(stub, type, nr, a, b, c, d, e, f));
}
