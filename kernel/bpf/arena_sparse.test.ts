// SPDX-License-Identifier: GPL-2.0-only
/** 4 GiB of arena on a machine of 4 GiB: what nobody touches costs the host nothing. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as U from "../../include/uapi/linux/bpf.ts";
import { bpf_attr } from "../../include/uapi/linux/bpf_attr.ts";
import { boot } from "../boot.ts";
import { TaskSys } from "../sys.ts";

const PAGE = 4096;
const SZ_4G = 2 ** 32;
const MIB = 1 << 20;

/** Resident bytes of this process, without those of V8's heap. */
function resident(): number {
	const status = readFileSync("/proc/self/status", "latin1");
	return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) * 1024 - process.memoryUsage().heapTotal;
}

describe("a sparse arena of 4 GiB", () => {
	it.each(["x86_64", "arm64"] as const)("%s: costs what is touched", (arch) => {
		const kernel = boot({ arch, cpu: "unicorn", cpus: 1, memory: 4096 * MIB });
		const sys = new TaskSys(kernel, kernel.new_task());
		const mem = sys.mmap(0, PAGE, 3, 0x22, -1, 0);
		const attr = new bpf_attr();
		attr.map_type = U.BPF_MAP_TYPE_ARENA;
		attr.max_entries = SZ_4G / PAGE;
		attr.map_flags = U.BPF_F_MMAPABLE;
		sys.store(mem, attr.bytes);
		const fd = sys.bpf(U.BPF_MAP_CREATE, mem, attr.bytes.length);
		const base = sys.mmap(0, SZ_4G, 3, 1, fd, 0);
		expect(base).toBeGreaterThan(0);
		const before = resident();
		const pages = kernel.kmem.pages_in_use;
		const N = 1000;
		const step = Math.floor(SZ_4G / PAGE / N) * PAGE;
		for (let i = 0; i < N; i++) sys.store64(base + i * step, BigInt(i));
		sys.store64(base + SZ_4G - 8, 99n);
		for (let i = 0; i < N; i++) expect(sys.load64(base + i * step)).toBe(BigInt(i));
		// a page each, and one of page tables on either side
		expect(kernel.kmem.pages_in_use - pages).toBeLessThan(3 * N + 50);
		expect(resident() - before).toBeLessThan(64 * MIB);
		expect(sys.munmap(base, SZ_4G)).toBe(0);
		sys.close(fd);
		kernel.settle();
		kernel.machine!.close();
	});
});
