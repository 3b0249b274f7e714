// SPDX-License-Identifier: GPL-2.0-only
/**
 * A process whose kernel takes everything: for checks of user space alone. Descriptors are given out,
 * memory is there, files are those of a real kernel's records; nothing is verified or run.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type EpollEvent, type Sys, UserFault } from "../../include/sys.ts";
import { EBADF, EINVAL, ENOENT, ENOSYS } from "../../include/uapi/asm-generic/errno.ts";
import {
	BPF_BTF_GET_FD_BY_ID,
	BPF_BTF_GET_NEXT_ID,
	BPF_BTF_LOAD,
	BPF_LINK_CREATE,
	BPF_MAP_CREATE,
	BPF_OBJ_GET_INFO_BY_FD,
	BPF_PROG_LOAD,
} from "../../include/uapi/linux/bpf.ts";

interface FakeFd {
	kind: "map" | "prog" | "btf" | "link" | "other";
	name: string;
	btf?: Uint8Array;
	id?: number;
	max_entries?: number;
}

const BASE = 0x10000;
const FAR = 2 ** 44;

/** The arguments of one BPF_PROG_LOAD. */
export interface FakeProgLoad {
	insns: Uint8Array;
	prog_type: number;
	expected_attach_type: number;
	prog_flags: number;
	attach_btf_id: number;
	name: string;
	func_info_cnt: number;
	line_info_cnt: number;
}

export class FakeSys implements Sys {
	readonly arch: "x86_64" | "arm64";
	readonly pageSize = 4096;
	readonly nrCpus = 1;
	readonly loads: FakeProgLoad[] = [];
	readonly files = new Map<string, Uint8Array>();
	/** Kernel BTFs by id, vmlinux first. */
	private readonly kernel_btfs: { name: string; data: Uint8Array }[] = [];
	private memory = new Uint8Array(2 << 20);
	private dv = new DataView(this.memory.buffer);
	private brk = 0;
	private far = 0;
	private readonly fds = new Map<number, FakeFd>();
	private next_fd = 10;

	constructor(arch: "x86_64" | "arm64" = "x86_64") {
		this.arch = arch;
	}

	/** With the files of a folder of records: kallsyms, kconfig, vmlinux.btf and modules' BTF. */
	static ofRecords(dir: string, arch: "x86_64" | "arm64" = "x86_64"): FakeSys {
		const sys = new FakeSys(arch);
		const path = (name: string): string => join(dir, name);
		if (existsSync(path("vmlinux.btf"))) sys.add_kernel_btf("vmlinux", readFileSync(path("vmlinux.btf")));
		const modules = readdirSync(dir).filter((n) => n.endsWith(".btf") && n !== "vmlinux.btf");
		for (const name of modules.sort()) sys.add_kernel_btf(basename(name, ".btf"), readFileSync(path(name)));
		if (existsSync(path("kallsyms"))) sys.files.set("/proc/kallsyms", readFileSync(path("kallsyms")));
		if (existsSync(path("kconfig")))
			sys.files.set("/proc/config.gz", gzipSync(readFileSync(path("kconfig"))));
		sys.files.set("/proc/sys/kernel/osrelease", Buffer.from("6.12.95\n"));
		return sys;
	}

	add_kernel_btf(name: string, data: Uint8Array): void {
		this.kernel_btfs.push({ name, data });
		if (name === "vmlinux") this.files.set("/sys/kernel/btf/vmlinux", data);
	}

	/** Forget the programs that were loaded. */
	reset(): void {
		this.loads.length = 0;
	}
	map_name(fd: number): string | undefined {
		return this.fds.get(fd)?.name;
	}
	open_fds(): number {
		return this.fds.size;
	}

	private new_fd(what: FakeFd): number {
		const fd = this.next_fd++;
		this.fds.set(fd, what);
		return fd;
	}
	private name_at(addr: number): string {
		const bytes = this.load(addr, 16);
		return Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString();
	}

	bpf(cmd: number, attr: number, size: number): number {
		const u32 = (off: number): number => (off + 4 <= size ? this.load32(attr + off) : 0);
		const ptr = (off: number): number => Number(this.load64(attr + off));
		switch (cmd) {
			case BPF_MAP_CREATE:
				return this.new_fd({ kind: "map", name: this.name_at(attr + 28), max_entries: u32(12) });
			case BPF_PROG_LOAD:
				this.loads.push({
					insns: this.load(ptr(8), u32(4) * 8),
					prog_type: u32(0),
					expected_attach_type: u32(68),
					prog_flags: u32(44),
					attach_btf_id: u32(108),
					name: this.name_at(attr + 48),
					func_info_cnt: u32(88),
					line_info_cnt: u32(104),
				});
				return this.new_fd({ kind: "prog", name: this.name_at(attr + 48) });
			case BPF_BTF_LOAD:
				return this.new_fd({ kind: "btf", name: "", btf: this.load(ptr(0), u32(16)) });
			case BPF_BTF_GET_NEXT_ID: {
				const id = u32(0) + 1;
				if (id > this.kernel_btfs.length) return -ENOENT;
				this.store32(attr + 4, id);
				return 0;
			}
			case BPF_BTF_GET_FD_BY_ID: {
				const btf = this.kernel_btfs[u32(0) - 1];
				return btf ? this.new_fd({ kind: "btf", name: btf.name, btf: btf.data, id: u32(0) }) : -ENOENT;
			}
			case BPF_OBJ_GET_INFO_BY_FD: {
				const fd = this.fds.get(u32(0));
				const info = ptr(8);
				if (!fd) return -EBADF;
				if (fd.kind !== "btf" || !fd.btf) return -EINVAL;
				const room = this.load32(info + 8);
				const buf = Number(this.load64(info));
				if (buf) this.store(buf, fd.btf.subarray(0, room));
				this.store32(info + 8, fd.btf.length);
				this.store32(info + 12, fd.id ?? 0);
				const name = Number(this.load64(info + 16));
				if (name) this.store(name, Buffer.from(`${fd.name}\0`));
				this.store32(info + 28, fd.id ? 1 : 0);
				return 0;
			}
			case BPF_LINK_CREATE:
				return this.new_fd({ kind: "link", name: "" });
			default:
				return 0;
		}
	}

	/** Memory behind a descriptor is not kept: it reads as zero. */
	mmap(_addr: number, len: number, _prot: number, _flags: number, fd: number): number {
		if (fd >= 0) {
			const addr = FAR + this.far;
			this.far += Math.ceil(len / 4096) * 4096;
			return addr;
		}
		const at = this.brk;
		this.brk += Math.ceil(len / 4096) * 4096;
		if (this.brk > this.memory.length) {
			const bigger = new Uint8Array(this.brk * 2);
			bigger.set(this.memory);
			this.memory = bigger;
			this.dv = new DataView(bigger.buffer);
		}
		return at + BASE;
	}
	munmap(): number {
		return 0;
	}
	mprotect(): number {
		return 0;
	}
	mremap(): number {
		return -ENOSYS;
	}
	close(fd: number): number {
		return this.fds.delete(fd) ? 0 : -EBADF;
	}
	dup(fd: number): number {
		const what = this.fds.get(fd);
		return what ? this.new_fd(what) : -EBADF;
	}
	epollCreate1(): number {
		return this.new_fd({ kind: "other", name: "epoll" });
	}
	epollCtl(): number {
		return 0;
	}
	epollWait(): Promise<EpollEvent[] | number> {
		return Promise.resolve([]);
	}
	perfEventOpen(): number {
		return this.new_fd({ kind: "other", name: "perf" });
	}
	ioctl(): number {
		return 0;
	}
	getpid(): number {
		return 1;
	}
	gettid(): number {
		return 1;
	}
	getpgid(): number {
		return 1;
	}
	syscall(): number {
		return -ENOSYS;
	}
	nanosleep(): Promise<number> {
		return Promise.resolve(0);
	}
	clockMonotonic(): bigint {
		return 0n;
	}
	setCpu(): number {
		return 0;
	}
	capGet(): number[] {
		return [];
	}
	capSet(): number {
		return 0;
	}
	readFile(path: string): Uint8Array | number {
		return this.files.get(path) ?? -ENOENT;
	}

	private at(addr: number, len: number, write: boolean): number {
		const at = addr - BASE;
		if (at < 0 || at + len > this.brk) throw new UserFault(addr, write);
		return at;
	}
	load(addr: number, len: number): Uint8Array {
		if (addr >= FAR) return new Uint8Array(len);
		const at = this.at(addr, len, false);
		return this.memory.slice(at, at + len);
	}
	store(addr: number, bytes: Uint8Array): void {
		if (addr < FAR) this.memory.set(bytes, this.at(addr, bytes.length, true));
	}
	load8(addr: number): number {
		return this.memory[this.at(addr, 1, false)]!;
	}
	load32(addr: number): number {
		return this.dv.getUint32(this.at(addr, 4, false), true);
	}
	load64(addr: number): bigint {
		return this.dv.getBigUint64(this.at(addr, 8, false), true);
	}
	store8(addr: number, v: number): void {
		this.memory[this.at(addr, 1, true)] = v;
	}
	store32(addr: number, v: number): void {
		this.dv.setUint32(this.at(addr, 4, true), v, true);
	}
	store64(addr: number, v: bigint): void {
		this.dv.setBigUint64(this.at(addr, 8, true), v, true);
	}
	thread<T>(fn: (sys: Sys) => Promise<T>): Promise<T> {
		return fn(this);
	}
	yieldCpu(): Promise<void> {
		return Promise.resolve();
	}
}
