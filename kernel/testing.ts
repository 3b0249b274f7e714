// SPDX-License-Identifier: GPL-2.0-only
/** For tests of the kernel: a process with memory for attributes, keys and values, and what it leaves behind. */

import * as U from "../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../include/uapi/linux/bpf_attr.ts";
import { net_release } from "../net/core/skb.ts";
import { type BootOptions, boot } from "./boot.ts";
import { type bpf_insn, encode_insns } from "./bpf/bpf_types.ts";
import type { KernelImpl } from "./kernel_impl.ts";
import { TaskSys } from "./sys.ts";

const KEY = 0x2000;
const VALUE = 0x20000;
const OUT = 0x28000;
const LOG = 0x40000;
const LOG_SIZE = 0x20000;

/** A process. */
export class Process {
	readonly kernel: KernelImpl;
	readonly sys: TaskSys;
	readonly mem: number;
	/** attributes as the last call left them */
	attr = new bpf_attr();
	constructor(kernel: KernelImpl) {
		this.kernel = kernel;
		this.sys = new TaskSys(kernel, kernel.new_task());
		this.mem = this.sys.mmap(0, 0x100000, 3, 0x22, -1, 0);
	}
	bpf(cmd: number, set: (a: bpf_attr) => void, size: number = bpf_attr.SIZE): number {
		const attr = new bpf_attr();
		set(attr);
		this.sys.store(this.mem, attr.bytes);
		const ret = this.sys.bpf(cmd, this.mem, size);
		this.attr = new bpf_attr();
		this.attr.bytes.set(this.sys.load(this.mem, bpf_attr.SIZE));
		return ret;
	}

	// ---- maps
	map(type: number, key: number, value: number, max: number, flags = 0, set?: (a: bpf_attr) => void): number {
		return this.bpf(U.BPF_MAP_CREATE, (a) => {
			a.map_type = type;
			a.key_size = key;
			a.value_size = value;
			a.max_entries = max;
			a.map_flags = flags;
			set?.(a);
		});
	}
	update(fd: number, key: Uint8Array | null, value: Uint8Array, flags = 0n): number {
		if (key) this.sys.store(this.mem + KEY, key);
		this.sys.store(this.mem + VALUE, value);
		return this.bpf(U.BPF_MAP_UPDATE_ELEM, (a) => {
			a.map_fd = fd;
			a.key = key ? BigInt(this.mem + KEY) : 0n;
			a.value = BigInt(this.mem + VALUE);
			a.flags = flags;
		});
	}
	/** The value, or a negative errno. */
	lookup(
		fd: number,
		key: Uint8Array | null,
		value_size: number,
		cmd: number = U.BPF_MAP_LOOKUP_ELEM,
	): Uint8Array | number {
		if (key) this.sys.store(this.mem + KEY, key);
		const ret = this.bpf(cmd, (a) => {
			a.map_fd = fd;
			a.key = key ? BigInt(this.mem + KEY) : 0n;
			a.value = BigInt(this.mem + OUT);
		});
		return ret < 0 ? ret : this.sys.load(this.mem + OUT, value_size);
	}
	pop(fd: number, value_size: number): Uint8Array | number {
		return this.lookup(fd, null, value_size, U.BPF_MAP_LOOKUP_AND_DELETE_ELEM);
	}
	delete(fd: number, key: Uint8Array): number {
		this.sys.store(this.mem + KEY, key);
		return this.bpf(U.BPF_MAP_DELETE_ELEM, (a) => {
			a.map_fd = fd;
			a.key = BigInt(this.mem + KEY);
		});
	}
	/** The next key, or a negative errno. */
	next_key(fd: number, key: Uint8Array | null, key_size: number): Uint8Array | number {
		if (key) this.sys.store(this.mem + KEY, key);
		const ret = this.bpf(U.BPF_MAP_GET_NEXT_KEY, (a) => {
			a.map_fd = fd;
			a.key = key ? BigInt(this.mem + KEY) : 0n;
			a.next_key = BigInt(this.mem + OUT);
		});
		return ret < 0 ? ret : this.sys.load(this.mem + OUT, key_size);
	}
	/** All keys in the map's order. */
	keys(fd: number, key_size: number): Uint8Array[] {
		const out: Uint8Array[] = [];
		let key: Uint8Array | null = null;
		for (;;) {
			const next = this.next_key(fd, key, key_size);
			if (typeof next === "number") return out;
			out.push(next);
			key = next;
		}
	}

	// ---- programs
	/** A program's descriptor; the verifier's log is the error. */
	load(type: number, insns: readonly (bpf_insn | bpf_insn[])[], set?: (a: bpf_attr) => void): number {
		const flat = insns.flat();
		this.sys.store(this.mem + 0x10000, encode_insns(flat));
		this.sys.store(this.mem + 0x1800, Uint8Array.of(0x47, 0x50, 0x4c, 0));
		const fd = this.bpf(U.BPF_PROG_LOAD, (a) => {
			a.prog_type = type;
			a.insn_cnt = flat.length;
			a.insns = BigInt(this.mem + 0x10000);
			a.license = BigInt(this.mem + 0x1800);
			a.log_level = 1;
			a.log_size = LOG_SIZE;
			a.log_buf = BigInt(this.mem + LOG);
			set?.(a);
		});
		if (fd < 0) throw new Error(`${fd}: ${this.text(this.mem + LOG)}`);
		return fd;
	}
	private text(at: number): string {
		const bytes = this.sys.load(at, LOG_SIZE);
		return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
	}
	/** Run it on a packet: what it returned, and the packet afterwards. */
	run(
		fd: number,
		packet: Uint8Array = new Uint8Array(64),
		repeat = 1,
		room = 4096,
	): { ret: number; retval: number; out: Uint8Array } {
		this.sys.store(this.mem + VALUE, packet);
		const ret = this.bpf(U.BPF_PROG_TEST_RUN, (a) => {
			a.test_prog_fd = fd;
			a.test_data_in = BigInt(this.mem + VALUE);
			a.test_data_size_in = packet.length;
			a.test_data_out = BigInt(this.mem + OUT);
			a.test_data_size_out = room;
			a.test_repeat = repeat;
		});
		const { attr } = this;
		return { ret, retval: attr.test_retval, out: this.sys.load(this.mem + OUT, attr.test_data_size_out) };
	}

	/** End the process; what was deferred happens. */
	end(): void {
		this.kernel.exit_task(this.sys.task);
		this.kernel.settle();
	}
}

/** A kernel, and a check that nothing is left of what ran on it. */
export function booted(options: BootOptions = {}): { kernel: KernelImpl; left: () => string[] } {
	const kernel = boot({ cpu: "none", cpus: 2, memory: 64 << 20, ...options });
	kernel.bpf.bpf_get_btf_vmlinux();
	kernel.settle();
	const count = (): number[] => [
		kernel.kmem.pages_in_use,
		kernel.kmem.objects_in_use,
		kernel.bpf.maps.size,
		kernel.bpf.progs.size,
		kernel.bpf.links.size,
	];
	const before = count();
	const names = ["pages", "objects", "maps", "programs", "links"];
	return {
		kernel,
		left: () => {
			net_release(kernel);
			return count().flatMap((n, i) => (n === before[i] ? [] : [`${names[i]}: ${n - before[i]!} more`]));
		},
	};
}

export function le32(...v: number[]): Uint8Array {
	return new Uint8Array(Uint32Array.from(v).buffer);
}
export function le64(...v: bigint[]): Uint8Array {
	return new Uint8Array(BigUint64Array.from(v.map((x) => BigInt.asUintN(64, x))).buffer);
}
