// SPDX-License-Identifier: GPL-2.0-only
/** bpf(2) against senseless attributes, exact errnos of the commonest mistakes, and what is left afterwards. */
import { describe, expect, it } from "vitest";
import * as E from "../../include/uapi/asm-generic/errno.ts";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { boot } from "../boot.ts";
import type { KernelImpl } from "../kernel_impl.ts";
import { Random } from "../random.ts";
import { TaskSys } from "../sys.ts";

/** A process with some memory for attributes, keys and values. */
class Process {
	readonly kernel: KernelImpl;
	readonly sys: TaskSys;
	readonly mem: number;
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.sys = new TaskSys(kernel, kernel.new_task());
		this.mem = this.sys.mmap(0, 0x20000, 3, 0x22, -1, 0);
	}
	bpf(cmd: number, set: (a: bpf_attr) => void, size: number = bpf_attr.SIZE): number {
		const attr = new bpf_attr();
		set(attr);
		this.sys.store(this.mem, attr.bytes);
		return this.sys.bpf(cmd, this.mem, size);
	}
	map(type: number, key: number, value: number, max: number, flags = 0): number {
		return this.bpf(U.BPF_MAP_CREATE, (a) => {
			a.map_type = type;
			a.key_size = key;
			a.value_size = value;
			a.max_entries = max;
			a.map_flags = flags;
		});
	}
	/** A program that returns 0. */
	prog(type = U.BPF_PROG_TYPE_SOCKET_FILTER): number {
		this.sys.store(this.mem + 0x1000, Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0));
		this.sys.store(this.mem + 0x1800, Uint8Array.of(0x47, 0x50, 0x4c, 0));
		return this.bpf(U.BPF_PROG_LOAD, (a) => {
			a.prog_type = type;
			a.insn_cnt = 2;
			a.insns = BigInt(this.mem + 0x1000);
			a.license = BigInt(this.mem + 0x1800);
		});
	}
	end(): void {
		this.kernel.exit_task(this.sys.task);
		this.kernel.settle();
	}
}

function booted(): { kernel: KernelImpl; pages: number; objects: number } {
	const kernel = boot({ cpu: "none", cpus: 2, memory: 64 << 20 });
	kernel.bpf.bpf_get_btf_vmlinux();
	kernel.settle();
	return { kernel, pages: kernel.kmem.pages_in_use, objects: kernel.kmem.objects_in_use };
}

const COMMANDS: number[] = [];
for (let cmd = 0; cmd <= U.__MAX_BPF_CMD + 1; cmd++) COMMANDS.push(cmd);

describe("bpf(2)", () => {
	it.each(COMMANDS)(
		"command %i answers 1,000 senseless attributes with an errno and leaves nothing behind",
		(cmd) => {
			const { kernel, pages, objects } = booted();
			const p = new Process(kernel);
			// descriptors that some commands will hit
			p.map(U.BPF_MAP_TYPE_HASH, 4, 8, 4);
			p.map(U.BPF_MAP_TYPE_ARRAY, 4, 8, 4);
			p.map(U.BPF_MAP_TYPE_QUEUE, 0, 8, 4);
			p.map(U.BPF_MAP_TYPE_PERCPU_HASH, 4, 8, 4, U.BPF_F_NO_PREALLOC);
			p.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, 4096);
			expect(p.prog()).toBe(8);
			const rnd = new Random(cmd + 1);
			const small = (): number => rnd.u32() % 8;
			for (let i = 0; i < 1000; i++) {
				const size = rnd.u32() % 10 === 0 ? rnd.u32() % 300 : bpf_attr.SIZE;
				const ret = p.bpf(
					cmd,
					(a) => {
						// words: mostly zero or small, sometimes addresses, sometimes anything
						const used = 8 + (rnd.u32() % 144);
						for (let at = 0; at + 8 <= used; at += 8) {
							const kind = rnd.u32() % 8;
							if (kind < 3) {
								a.wu32(at, small());
								a.wu32(at + 4, small());
							} else if (kind === 3) a.wu64(at, BigInt(p.mem + 0x2000 + (rnd.u32() % 0x1000)));
							else if (kind === 4) a.wu64(at, rnd.u64());
							else if (kind === 5) a.wu32(at, rnd.u32());
						}
					},
					size,
				);
				expect(Number.isInteger(ret) && ret > -4096).toBe(true);
				// nothing new stays open, or the table of descriptors grows for ever
				if (ret > 8) p.sys.close(ret);
				p.sys.task.files.fd.slice(16).forEach((_, fd) => {
					p.sys.close(fd + 16);
				});
			}
			expect(kernel.log.filter((l) => l.startsWith("BUG"))).toEqual([]);
			p.end();
			expect({ pages: kernel.kmem.pages_in_use, objects: kernel.kmem.objects_in_use }).toEqual({
				pages,
				objects,
			});
			expect(kernel.bpf.maps.size + kernel.bpf.progs.size + kernel.bpf.links.size).toBe(0);
		},
	);

	it("checks the size of the attributes", () => {
		const p = new Process(booted().kernel);
		const { sys, mem } = p;
		sys.store(mem, new Uint8Array(4096));
		expect(sys.bpf(U.BPF_MAP_CREATE, mem, 5000)).toBe(-E.E2BIG);
		expect(sys.bpf(U.BPF_MAP_CREATE, mem, 200)).toBe(-E.EINVAL);
		sys.store8(mem + 199, 1);
		expect(sys.bpf(U.BPF_MAP_CREATE, mem, 200)).toBe(-E.E2BIG);
		expect(sys.bpf(U.BPF_MAP_CREATE, 8, 16)).toBe(-E.EFAULT);
		expect(sys.bpf(1000, mem, 16)).toBe(-E.EINVAL);
		// a byte behind the command's last field
		expect(
			p.bpf(U.BPF_MAP_FREEZE, (a) => {
				a.wu32(4, 1);
			}),
		).toBe(-E.EINVAL);
	});

	it("refuses maps as the kernel does", () => {
		const p = new Process(booted().kernel);
		expect(p.map(U.BPF_MAP_TYPE_UNSPEC, 4, 4, 1)).toBe(-E.EINVAL);
		expect(p.map(U.__MAX_BPF_MAP_TYPE, 4, 4, 1)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_ARRAY, 8, 4, 1)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_ARRAY, 4, 0x80000000, 1)).toBe(-E.E2BIG);
		expect(p.map(U.BPF_MAP_TYPE_HASH, 4, 4, 0)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_HASH, 0x300000, 0x300000, 1)).toBe(-E.E2BIG);
		expect(p.map(U.BPF_MAP_TYPE_LRU_HASH, 4, 4, 1, U.BPF_F_NO_PREALLOC)).toBe(-E.ENOTSUPP);
		expect(p.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, 4095)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_RINGBUF, 0, 0, 12288)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4, 1, U.BPF_F_RDONLY | U.BPF_F_WRONLY)).toBe(-E.EINVAL);
		expect(p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4, 1, U.BPF_F_TOKEN_FD)).toBe(-E.EINVAL);
		p.sys.capSet([]);
		expect(p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4, 1)).toBe(3);
		expect(p.map(U.BPF_MAP_TYPE_LRU_HASH, 4, 4, 1)).toBe(-E.EPERM);
		expect(p.map(U.BPF_MAP_TYPE_DEVMAP, 4, 4, 1)).toBe(-E.EPERM);
		expect(p.map(U.BPF_MAP_TYPE_HASH, 4, 4, 1, U.BPF_F_ZERO_SEED)).toBe(-E.EPERM);
	});

	it("heeds what a descriptor and a frozen map allow", () => {
		const p = new Process(booted().kernel);
		const { mem } = p;
		const elem = (cmd: number, fd: number): number =>
			p.bpf(cmd, (a) => {
				a.map_fd = fd;
				a.key = BigInt(mem + 0x2000);
				a.value = BigInt(mem + 0x3000);
			});
		const ro = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 8, 1, U.BPF_F_RDONLY);
		const wo = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 8, 1, U.BPF_F_WRONLY);
		expect(elem(U.BPF_MAP_UPDATE_ELEM, ro)).toBe(-E.EPERM);
		expect(elem(U.BPF_MAP_LOOKUP_ELEM, ro)).toBe(0);
		expect(elem(U.BPF_MAP_LOOKUP_ELEM, wo)).toBe(-E.EPERM);
		expect(elem(U.BPF_MAP_UPDATE_ELEM, wo)).toBe(0);
		const fd = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 4096, 1, U.BPF_F_MMAPABLE);
		const freeze = (): number =>
			p.bpf(U.BPF_MAP_FREEZE, (a) => {
				a.map_fd = fd;
			});
		const at = p.sys.mmap(0, 4096, 3, 1, fd, 0);
		expect(at).toBeGreaterThan(0);
		expect(freeze()).toBe(-E.EBUSY);
		p.sys.munmap(at, 4096);
		expect(freeze()).toBe(0);
		expect(freeze()).toBe(-E.EPERM);
		expect(p.sys.mmap(0, 4096, 3, 1, fd, 0)).toBe(-E.EPERM);
		expect(elem(U.BPF_MAP_UPDATE_ELEM, fd)).toBe(-E.EPERM);
		const seen = p.sys.mmap(0, 4096, 1, 1, fd, 0);
		expect(seen).toBeGreaterThan(0);
		expect(p.sys.mprotect(seen, 4096, 3)).toBe(-E.EACCES);
	});

	it("walks ids and hands out descriptors by id", () => {
		const p = new Process(booted().kernel);
		const fd = p.map(U.BPF_MAP_TYPE_ARRAY, 4, 8, 1);
		const next = (start: number): number => {
			const ret = p.bpf(U.BPF_MAP_GET_NEXT_ID, (a) => {
				a.start_id = start;
			});
			return ret < 0 ? ret : p.sys.load32(p.mem + 4);
		};
		const id = next(0);
		expect(id).toBeGreaterThan(0);
		expect(next(id)).toBe(-E.ENOENT);
		const again = p.bpf(U.BPF_MAP_GET_FD_BY_ID, (a) => {
			a.map_id = id;
		});
		expect(again).toBeGreaterThan(fd);
		p.sys.close(fd);
		expect(next(0)).toBe(id);
		p.sys.close(again);
		expect(next(0)).toBe(-E.ENOENT);
		p.sys.capSet([]);
		expect(next(0)).toBe(-E.EPERM);
	});
});
