// SPDX-License-Identifier: GPL-2.0-only
/**
 * The system calls of a task of the emulated kernel: include/sys.ts over kernel/. Each call makes its
 * task the current one, fires the sys_enter and sys_exit tracepoints, and lets deferred work run.
 */

import { abi_of } from "../arch/abis.ts";
import { proc_task_mmu } from "../fs/proc/task_mmu.ts";
import { type EpollEvent, type Sys, UserFault } from "../include/sys.ts";
import { EBADF, EINVAL, ENOENT, ENOSYS, ENOTTY, EPERM, ESRCH } from "../include/uapi/asm-generic/errno.ts";
import {
	PERF_COUNT_SW_CONTEXT_SWITCHES,
	PERF_COUNT_SW_CPU_MIGRATIONS,
} from "../include/uapi/linux/perf_event.ts";
import { GuestFault } from "../mm/guest_memory.ts";
import { sys_bpf } from "./bpf/syscall.ts";
import { do_epoll_create, do_epoll_ctl, do_epoll_wait } from "./eventpoll.ts";
import { sys_perf_event_open } from "./events/core.ts";
import { close_fd, fd_install, fdget, get_unused_fd_flags, O_CLOEXEC } from "./file.ts";
import type { KernelImpl, Task } from "./kernel_impl.ts";
import { NR, type SyscallName } from "./syscall_nr.ts";
import { UserMode } from "./user_mode.ts";

/** Virtual time that one system call takes. */
const SYSCALL_NS = 250n;
const RLIM_NLIMITS = 16;

const u64 = (v: number): bigint => BigInt.asUintN(64, BigInt(Math.trunc(v)));

/** One task's system calls. */
export class TaskSys implements Sys {
	readonly kernel: KernelImpl;
	readonly task: Task;
	readonly arch: "x86_64" | "arm64";
	readonly pageSize = 4096;
	readonly nrCpus: number;
	private user_mode: UserMode | null = null;

	constructor(kernel: KernelImpl, task: Task) {
		this.kernel = kernel;
		this.task = task;
		this.arch = kernel.config.arch;
		this.nrCpus = kernel.config.cpus;
	}

	/** The way into the kernel and out of it. */
	private enter(name: SyscallName, args: readonly number[], body: () => number): number {
		const k = this.kernel;
		k.current = this.task;
		k.time.advance(SYSCALL_NS);
		const nr = NR[this.arch][name];
		const regs = this.trace_enter(nr, args);
		const ret = k.ftrace.any ? this.call_entry(name, nr, args, body) : body();
		this.trace_exit(nr, regs, ret);
		k.syscall_exit();
		return ret;
	}

	/** Tracepoints at the beginning of a system call: its struct pt_regs, if somebody wants it (else 0). */
	private trace_enter(nr: number, args: readonly number[], want_regs = false): number {
		const k = this.kernel;
		const regs = want_regs || k.tracepoints.syscalls ? k.pt_regs(nr, args) : 0;
		if (k.tracepoints.syscalls) k.tracepoints.fire("sys_enter", [u64(regs), u64(nr)]);
		if (k.trace_events.enabled) k.trace_events.syscall_enter(nr, args);
		return regs;
	}

	/** … and at its end. */
	private trace_exit(nr: number, regs: number, ret: number): void {
		const k = this.kernel;
		if (regs || k.trace_events.enabled) {
			k.current = this.task;
			if (regs && k.tracepoints.syscalls) k.tracepoints.fire("sys_exit", [u64(regs), u64(ret)]);
			if (k.trace_events.enabled) k.trace_events.syscall_exit(nr, ret);
		}
		if (regs) k.pt_regs_free(regs);
	}

	/** The same for a call in which the task sleeps. */
	private async enter_sleeping(
		name: SyscallName,
		args: readonly number[],
		body: () => Promise<number>,
	): Promise<number> {
		const k = this.kernel;
		k.current = this.task;
		k.time.advance(SYSCALL_NS);
		const nr = NR[this.arch][name];
		const func = k.ftrace.syscall_symbol(name);
		const regs = this.trace_enter(nr, args, k.ftrace.is_entered(func));
		const ret = await k.ftrace.call_sleeping(func, [regs], async () => {
			k.syscall_exit();
			return await body();
		});
		k.current = this.task;
		this.trace_exit(nr, regs, ret);
		k.syscall_exit();
		return ret;
	}

	/** The task sleeps until `done`: another has its CPU (schedule()). */
	private async asleep<T>(done: Promise<T>): Promise<T> {
		const k = this.kernel;
		const { task } = this;
		k.perf.sw_event(PERF_COUNT_SW_CONTEXT_SWITCHES, 1n);
		k.trace_events.fire_sched_switch(task, false);
		task.asleep = true;
		k.perf.task_switch();
		try {
			return await done;
		} finally {
			task.asleep = false;
			k.current = task;
			k.perf.task_switch();
			k.trace_events.fire_sched_switch(task, true);
		}
	}

	/** Through the entry of the call's own function, while something is attached there. */
	private call_entry(name: SyscallName, nr: number, args: readonly number[], body: () => number): number {
		const k = this.kernel;
		const func = k.ftrace.syscall_symbol(name);
		if (!k.ftrace.is_entered(func)) return body();
		const regs = k.pt_regs(nr, args);
		const ret = k.ftrace.call(func, [regs], body);
		k.pt_regs_free(regs);
		return Number(BigInt.asIntN(64, ret));
	}

	bpf(cmd: number, attr: number, size: number): number {
		return this.enter("bpf", [cmd, attr, size], () => sys_bpf(this.kernel, cmd, attr, size));
	}
	mmap(addr: number, len: number, prot: number, flags: number, fd: number, off: number): number {
		return this.enter("mmap", [addr, len, prot, flags, fd, off], () => {
			const f = flags & 0x20 ? null : fdget(this.kernel, fd);
			if (!(flags & 0x20) && !f) return -EBADF;
			return this.task.mm.mmap(addr, len, prot, flags, f, off);
		});
	}
	munmap(addr: number, len: number): number {
		return this.enter("munmap", [addr, len], () => this.task.mm.munmap(addr, len));
	}
	mprotect(addr: number, len: number, prot: number): number {
		return this.enter("mprotect", [addr, len, prot], () => this.task.mm.mprotect(addr, len, prot));
	}
	mremap(addr: number, oldLen: number, newLen: number, flags: number, newAddr = 0): number {
		return this.enter("mremap", [addr, oldLen, newLen, flags, newAddr], () =>
			this.task.mm.mremap(addr, oldLen, newLen, flags, newAddr),
		);
	}
	close(fd: number): number {
		return this.enter("close", [fd], () => close_fd(this.kernel, fd));
	}
	dup(fd: number): number {
		return this.enter("dup", [fd], () => {
			const f = fdget(this.kernel, fd);
			if (!f) return -EBADF;
			const nfd = get_unused_fd_flags(this.kernel, 0);
			if (nfd < 0) return nfd;
			f.f_count++;
			fd_install(this.kernel, nfd, f);
			return nfd;
		});
	}
	epollCreate1(flags: number): number {
		return this.enter("epoll_create1", [flags], () => do_epoll_create(this.kernel, flags));
	}
	epollCtl(epfd: number, op: number, fd: number, event: EpollEvent | null): number {
		return this.enter("epoll_ctl", [epfd, op, fd, 0], () => do_epoll_ctl(this.kernel, epfd, op, fd, event));
	}
	async epollWait(epfd: number, maxEvents: number, timeout: number): Promise<EpollEvent[] | number> {
		const name = abi_of(this.arch).epoll_wait;
		let got: EpollEvent[] | number = 0;
		await this.enter_sleeping(name, [epfd, 0, maxEvents, timeout], async () => {
			got = await this.asleep(do_epoll_wait(this.kernel, epfd, maxEvents, timeout));
			return typeof got === "number" ? got : got.length;
		});
		return got;
	}
	perfEventOpen(attr: number, pid: number, cpu: number, groupFd: number, flags: number): number {
		return this.enter("perf_event_open", [attr, pid, cpu, groupFd, flags], () =>
			sys_perf_event_open(this.kernel, attr, pid, cpu, groupFd, flags),
		);
	}
	ioctl(fd: number, request: number, arg: number): number {
		return this.enter("ioctl", [fd, request, arg], () => {
			const f = fdget(this.kernel, fd);
			if (!f) return -EBADF;
			return f.f_op.unlocked_ioctl?.(f, request, arg) ?? -ENOTTY;
		});
	}
	getpid(): number {
		return this.enter("getpid", [], () => this.task.tgid);
	}
	gettid(): number {
		return this.enter("gettid", [], () => this.task.pid);
	}
	getpgid(pid: number): number {
		return this.enter("getpgid", [pid], () => {
			if (pid === 0) return this.task.pgid;
			return this.kernel.tasks.get(pid)?.pgid ?? -ESRCH;
		});
	}
	syscall(nr: number, ...args: number[]): number {
		const table = NR[this.arch];
		const a = (i: number): number => args[i] ?? 0;
		switch (nr) {
			case table.bpf:
				return this.bpf(a(0), a(1), a(2));
			case table.mmap:
				return this.mmap(a(0), a(1), a(2), a(3), a(4), a(5));
			case table.munmap:
				return this.munmap(a(0), a(1));
			case table.mprotect:
				return this.mprotect(a(0), a(1), a(2));
			case table.mremap:
				return this.mremap(a(0), a(1), a(2), a(3), a(4));
			case table.close:
				return this.close(a(0));
			case table.dup:
				return this.dup(a(0));
			case table.getpid:
				return this.getpid();
			case table.gettid:
				return this.gettid();
			case table.getpgid:
				return this.getpgid(a(0));
			case table.ioctl:
				return this.ioctl(a(0), a(1), a(2));
			case table.epoll_create1:
				return this.epollCreate1(a(0));
			case table.perf_event_open:
				return this.perfEventOpen(a(0), a(1), a(2), a(3), a(4));
			default: {
				// what has no body still passes the tracepoints, as any number does
				for (const [name, n] of Object.entries(table))
					if (n === nr)
						return this.enter(name as SyscallName, args, () => this.plain(name as SyscallName, args));
				return this.enter_raw(nr, args);
			}
		}
	}
	/** Calls that tests make for their tracepoints or their plain answer. */
	private plain(name: SyscallName, args: readonly number[]): number {
		switch (name) {
			case "read": {
				const f = fdget(this.kernel, args[0] ?? -1);
				if (!f) return -EBADF;
				return f.f_op.read?.(f, args[1] ?? 0, args[2] ?? 0) ?? -EINVAL;
			}
			case "prctl":
				// no option is ported; 0 is none of the kernel's
				return args[0] ? -ENOSYS : -EINVAL;
			case "prlimit64":
				// asked for nothing, and given nothing
				return args[2] || args[3] ? -ENOSYS : (args[1] ?? 0) < RLIM_NLIMITS ? 0 : -EINVAL;
			case "getuid":
			case "geteuid":
				return this.task.uid;
			case "getgid":
			case "getegid":
				return this.task.gid;
			case "getppid":
				return 1;
			case "sched_yield":
			case "nanosleep":
				return 0;
			case "getpgrp":
				return this.task.pgid;
			default:
				return -ENOSYS;
		}
	}
	private enter_raw(nr: number, args: readonly number[]): number {
		const k = this.kernel;
		k.current = this.task;
		this.trace_exit(nr, this.trace_enter(nr, args), -ENOSYS);
		k.syscall_exit();
		return -ENOSYS;
	}
	async nanosleep(ns: number): Promise<number> {
		if (ns < 0) return -EINVAL;
		return this.enter_sleeping("nanosleep", [0, 0], async () => {
			await this.asleep(this.kernel.sleep_until(this.kernel.time.now + BigInt(Math.floor(ns))).done);
			return 0;
		});
	}
	clockMonotonic(): bigint {
		// the vdso answers: no system call
		this.kernel.time.advance(25n);
		return this.kernel.time.now;
	}
	setCpu(cpu: number): number {
		return this.enter("sched_setaffinity", [0, 8, 0], () => {
			if (cpu < 0 || cpu >= this.nrCpus) return -EINVAL;
			const { perf } = this.kernel;
			if (cpu !== this.task.cpu) {
				this.task.cpu = cpu;
				this.kernel.cpu = cpu;
				perf.task_switch();
				perf.sw_event(PERF_COUNT_SW_CPU_MIGRATIONS, 1n);
			}
			return 0;
		});
	}
	capGet(): number[] {
		return [...this.task.caps].sort((a, b) => a - b);
	}
	capSet(caps: readonly number[]): number {
		return this.enter("capset", [0, 0], () => {
			for (const c of caps) if (!this.task.permitted.has(c)) return -EPERM;
			this.task.caps.clear();
			for (const c of caps) this.task.caps.add(c);
			return 0;
		});
	}
	readFile(path: string): Uint8Array | number {
		const f = this.kernel.pseudo_files.get(path);
		if (f) {
			this.kernel.current = this.task;
			return f();
		}
		const of_module = this.kernel.module_files.get(path);
		if (of_module) {
			this.kernel.current = this.task;
			const got = of_module();
			this.kernel.syscall_exit();
			return got;
		}
		const fdinfo = /^\/proc\/self\/fdinfo\/(\d+)$/.exec(path);
		if (fdinfo) {
			this.kernel.current = this.task;
			const file = fdget(this.kernel, Number(fdinfo[1]));
			if (!file) return -ENOENT;
			const text = `pos:\t0\nflags:\t0${(file.f_flags | O_CLOEXEC).toString(8)}\nmnt_id:\t15\nino:\t1\n`;
			return new TextEncoder().encode(text + (file.f_op.show_fdinfo?.(file) ?? ""));
		}
		const event = /^\/sys\/kernel\/(?:debug\/)?tracing\/events\/([^/]+)\/([^/]+)\/(\w+)$/.exec(path);
		const text = event && this.kernel.trace_events.file(event[1]!, event[2]!, event[3]!);
		const found = text || proc_task_mmu(this.task, path);
		return found === null ? -ENOENT : new TextEncoder().encode(found);
	}

	// ---- loads and stores in user mode
	load(addr: number, len: number): Uint8Array {
		const b = this.task.mm.read(addr, len);
		if (b) return b;
		throw new UserFault(this.task.mm.fault_addr, false, this.task.mm.fault_signal);
	}
	store(addr: number, bytes: Uint8Array): void {
		if (this.task.mm.write(addr, bytes)) return;
		throw new UserFault(this.task.mm.fault_addr, true, this.task.mm.fault_signal);
	}
	/** A fault of user memory as the process sees it; anything else is passed on. */
	private fault(e: unknown, write: boolean): never {
		if (!(e instanceof GuestFault)) throw e;
		throw new UserFault(this.task.mm.fault_addr, write, this.task.mm.fault_signal);
	}
	load8(addr: number): number {
		const { user } = this.task.mm;
		if (!user) return this.load(addr, 1)[0]!;
		try {
			return user.r8(addr);
		} catch (e) {
			return this.fault(e, false);
		}
	}
	load32(addr: number): number {
		const { user } = this.task.mm;
		if (!user) return new DataView(this.load(addr, 4).buffer).getUint32(0, true);
		try {
			return user.r32(addr);
		} catch (e) {
			return this.fault(e, false);
		}
	}
	load64(addr: number): bigint {
		const { user } = this.task.mm;
		if (!user) return new DataView(this.load(addr, 8).buffer).getBigUint64(0, true);
		try {
			return user.r64(addr);
		} catch (e) {
			return this.fault(e, false);
		}
	}
	store8(addr: number, v: number): void {
		const { user } = this.task.mm;
		if (!user) {
			this.store(addr, Uint8Array.of(v));
			return;
		}
		try {
			user.w8(addr, v);
		} catch (e) {
			this.fault(e, true);
		}
	}
	store32(addr: number, v: number): void {
		const { user } = this.task.mm;
		if (!user) {
			this.store(addr, new Uint8Array(Uint32Array.of(v).buffer));
			return;
		}
		try {
			user.w32(addr, v >>> 0);
		} catch (e) {
			this.fault(e, true);
		}
	}
	store64(addr: number, v: bigint): void {
		const { user } = this.task.mm;
		if (!user) {
			this.store(addr, new Uint8Array(BigUint64Array.of(v).buffer));
			return;
		}
		try {
			user.w64(addr, BigInt.asUintN(64, v));
		} catch (e) {
			this.fault(e, true);
		}
	}

	callNative(addr: number, ...args: (number | bigint)[]): bigint {
		const k = this.kernel;
		if (!k.machine) throw new Error("not ported: machine code of user space without a CPU");
		k.current = this.task;
		this.user_mode ??= new UserMode(k.machine, this.task);
		const got = this.user_mode.call(
			addr,
			args.map((a) => BigInt(a)),
			(nr, a) => this.syscall(nr, ...a),
		);
		if (typeof got === "bigint") return got;
		if (got.signal === "SIGSEGV" || got.signal === "SIGBUS")
			throw new UserFault(got.addr, got.write, got.signal);
		throw new Error(`${got.signal} at 0x${got.addr.toString(16)}`);
	}

	async thread<T>(fn: (sys: Sys) => Promise<T>): Promise<T> {
		const t = this.kernel.new_task(this.task);
		const sys = new TaskSys(this.kernel, t);
		try {
			return await fn(sys);
		} finally {
			this.kernel.exit_task(t);
		}
	}
	async yieldCpu(): Promise<void> {
		this.enter("sched_yield", [], () => 0);
		this.kernel.yielding++;
		await new Promise<void>((resolve) => setImmediate(resolve));
		this.kernel.yielding--;
		this.kernel.current = this.task;
	}
}
