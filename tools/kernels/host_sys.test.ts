// SPDX-License-Identifier: GPL-2.0-only
/** The machine's own kernel, where bpf(2) is permitted. */
import { afterEach, expect, it } from "vitest";
import { type Sys, SysRefused, UserFault } from "../../include/sys.ts";
import { EBADF, EFAULT, EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_LINK_CREATE,
	BPF_MAP_TYPE_ARRAY,
	BPF_OBJ_PIN,
	BPF_PROG_ATTACH,
	BPF_PROG_LOAD,
	BPF_PROG_TEST_RUN,
	BPF_RAW_TRACEPOINT_OPEN,
} from "../../include/uapi/linux/bpf.ts";
import { bpf_map_create, bpf_map_lookup_elem, bpf_map_update_elem, Libbpf } from "../lib/bpf/libbpf.ts";
import { HostKernel, HostSys } from "./host_sys.ts";
import { parseKernel } from "./open_kernel.ts";

const PAGE = 4096;
const RW = 3;
const PRIVATE_ANONYMOUS = 0x22;
const EPOLLIN = 1;
const EPOLLERR = 8;
const EPOLL_CTL_ADD = 1;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;

/** The kernel, or null where the machine does not let one in. */
function open(): HostKernel | null {
	try {
		return new HostKernel();
	} catch {
		return null;
	}
}
const kernel = open();
const processes: HostSys[] = [];
function process_of(k: HostKernel): HostSys {
	const sys = new HostSys(k);
	processes.push(sys);
	return sys;
}
afterEach(() => {
	for (const sys of processes.splice(0)) sys.end();
});
const on_host = it.skipIf(kernel === null);

/** What a step throws. */
function thrown(fn: () => void): unknown {
	try {
		fn();
	} catch (e) {
		return e;
	}
	return null;
}

on_host("a bad address is a fault at its place, and what lies before it is written", () => {
	const sys = process_of(kernel!);
	const at = sys.mmap(0, 2 * PAGE, RW, PRIVATE_ANONYMOUS, -1, 0);
	expect(sys.munmap(at + PAGE, PAGE)).toBe(0);
	const fault = thrown(() => sys.store(at + PAGE - 3, Uint8Array.of(1, 2, 3, 4, 5)));
	expect(fault).toBeInstanceOf(UserFault);
	expect(fault).toMatchObject({ addr: at + PAGE, write: true });
	expect([...sys.load(at + PAGE - 3, 3)]).toEqual([1, 2, 3]);
	expect(thrown(() => sys.load8(0))).toMatchObject({ addr: 0, write: false });
	expect(sys.mprotect(at, PAGE, 1)).toBe(0);
	expect(thrown(() => sys.store8(at, 1))).toMatchObject({ addr: at, write: true });
	sys.mprotect(at, PAGE, RW);
	sys.store64(at, 0x8877665544332211n);
	expect(sys.load32(at)).toBe(0x44332211);
	expect(sys.load64(at)).toBe(0x8877665544332211n);
});

on_host("what a process has unmapped is not its own at its end", () => {
	const sys = process_of(kernel!);
	const other = process_of(kernel!);
	const at = sys.mmap(0, 4 * PAGE, RW, PRIVATE_ANONYMOUS, -1, 0);
	// three pieces: the one in the middle goes to somebody else
	expect(sys.munmap(at + PAGE, 2 * PAGE)).toBe(0);
	const MAP_FIXED = 0x10;
	expect(other.mmap(at + PAGE, 2 * PAGE, RW, PRIVATE_ANONYMOUS | MAP_FIXED, -1, 0)).toBe(at + PAGE);
	other.store64(at + PAGE, 5n);
	sys.end();
	expect(other.load64(at + PAGE)).toBe(5n);
	expect(thrown(() => other.load8(at))).toBeInstanceOf(UserFault);
	expect(thrown(() => other.load8(at + 3 * PAGE))).toBeInstanceOf(UserFault);
});

on_host("more than a buffer's length goes both ways", () => {
	const sys = process_of(kernel!);
	const len = (1 << 20) * 2 + 5;
	const at = sys.mmap(0, len, RW, PRIVATE_ANONYMOUS, -1, 0);
	const bytes = Uint8Array.from({ length: len }, (_, i) => i * 7);
	sys.store(at, bytes);
	expect(Buffer.compare(sys.load(at, len), bytes)).toBe(0);
});

on_host("system calls give the kernel's errnos", () => {
	const sys = process_of(kernel!);
	expect(sys.close(12345)).toBe(-EBADF);
	expect(sys.bpf(BPF_PROG_LOAD, 0, 64)).toBe(-EFAULT);
	expect(sys.bpf(9999, 0, 0)).toBe(-EINVAL);
	expect(sys.readFile("/proc/no such file")).toBe(-2);
	expect(sys.getpid()).toBe(process.pid);
});

on_host("maps keep what is put in, and go with their process", async () => {
	const sys = process_of(kernel!);
	const lib = new Libbpf(sys, { known_kernel: true });
	const fd = bpf_map_create(lib, BPF_MAP_TYPE_ARRAY, "a", 4, 8, 2);
	expect(fd).toBeGreaterThan(2);
	const key = new Uint8Array(4);
	expect(bpf_map_update_elem(lib, fd, key, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))).toBe(0);
	const value = new Uint8Array(8);
	expect(bpf_map_lookup_elem(lib, fd, key, value)).toBe(0);
	expect([...value]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
	const epfd = sys.epollCreate1(0);
	expect(sys.epollCtl(epfd, EPOLL_CTL_ADD, fd, { events: EPOLLIN, data: 1n })).toBe(0);
	// a map that has no poll of its own is in error
	expect(await sys.epollWait(epfd, 4, 5)).toEqual([{ events: EPOLLERR, data: 1n }]);
	sys.end();
	expect(sys.close(fd)).toBe(-EBADF);
});

on_host("capabilities are dropped and come back", () => {
	const sys = process_of(kernel!);
	const all = sys.capGet();
	expect(sys.capSet(all.filter((c) => c !== 21))).toBe(0);
	expect(sys.capGet()).toEqual(all.filter((c) => c !== 21));
	sys.end();
	expect(sys.capGet()).toEqual(all);
});

on_host("nothing is attached, pinned or registered", () => {
	const sys = process_of(kernel!);
	const attr = sys.mmap(0, PAGE, RW, PRIVATE_ANONYMOUS, -1, 0);
	for (const cmd of [BPF_PROG_ATTACH, BPF_LINK_CREATE, BPF_RAW_TRACEPOINT_OPEN, BPF_OBJ_PIN])
		expect(thrown(() => sys.bpf(cmd, attr, 64))).toBeInstanceOf(SysRefused);
	expect(thrown(() => sys.ioctl(0, PERF_EVENT_IOC_SET_BPF, 0))).toBeInstanceOf(SysRefused);
	const raw: Sys = sys;
	expect(
		thrown(() => raw.syscall(sys.arch === "arm64" ? 280 : 321, BPF_PROG_ATTACH, attr, 64)),
	).toBeInstanceOf(SysRefused);
	// live frames: the flags of a test run
	sys.store32(attr + 64, 2);
	expect(thrown(() => sys.bpf(BPF_PROG_TEST_RUN, attr, 80))).toBeInstanceOf(SysRefused);
});

it("kernels have names", () => {
	expect(parseKernel("mirror")).toEqual({ kind: "mirror" });
	expect(parseKernel("host")).toEqual({ kind: "host" });
	expect(parseKernel("vm:arm64")).toEqual({ kind: "vm", arch: "arm64" });
	expect(parseKernel("vm:arm64:/tmp/a:b")).toEqual({ kind: "vm", arch: "arm64", kernel: "/tmp/a:b" });
	for (const bad of ["vm", "vm:", "vm:mips", "hosts", ""])
		expect(parseKernel(bad)).toMatch(/^there is no kernel/);
});
