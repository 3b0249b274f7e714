// SPDX-License-Identifier: GPL-2.0-only
/** Arrays in the memory of a process: what may be mapped, frozen, and seen through it (prog_tests/mmap.c). */
import { UserFault } from "../../../include/sys.ts";
import { EBUSY, EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import { MAP_SHARED, PROT_READ, PROT_WRITE } from "../../../include/uapi/asm-generic/mman.ts";
import {
	bpf_map__fd,
	bpf_map_freeze,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read64, Skel, val64 } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

const ENTRIES = 512 * 4;

/** Frozen maps and writable mappings exclude each other. */
function rdonly(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const fd = bpf_map__fd(skel.map("rdonly_map"));
	const page = sys.pageSize;
	const rw = sys.mmap(0, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t.ASSERT_GT(rw, 0, "rdonly_write_mmap");
	t.ASSERT_EQ(bpf_map_freeze(skel.lib, fd), -EBUSY, "rdonly_freeze_while_mapped");
	t.ASSERT_OK(sys.munmap(rw, page), "rdonly_unmap");
	t.ASSERT_OK(bpf_map_freeze(skel.lib, fd), "rdonly_freeze");
	t.ASSERT_EQ(
		sys.mmap(0, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
		-EPERM,
		"rdonly_write_after_freeze",
	);
	const ro = sys.mmap(0, page, PROT_READ, MAP_SHARED, fd, 0);
	t.ASSERT_GT(ro, 0, "rdonly_read_mmap");
	t.ASSERT_ERR(sys.mprotect(ro, page, PROT_READ | PROT_WRITE), "rdonly_mprotect");
	let fault: unknown = null;
	try {
		sys.store8(ro, 1);
	} catch (e) {
		fault = e;
	}
	t.ASSERT_TRUE(fault instanceof UserFault, "rdonly_store_faults");
	t.ASSERT_OK(sys.munmap(ro, page), "rdonly_unmap_ro");
}

/** One memory: program, system calls and mapping see the same. */
function data(t: TestEnv, skel: Skel): void {
	const { sys } = t;
	const fd = bpf_map__fd(skel.map("data_map"));
	const size = ENTRIES * 8;
	const m = sys.mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!t.ASSERT_GT(m, 0, "data_mmap")) return;
	skel.set("in_val", 123);
	sys.store64(m, 111n);
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("test_mmap").fd, {}), "run");
	t.ASSERT_EQ(skel.get("out_val"), 123, "out_val");
	t.ASSERT_EQ(sys.load64(m), 111, "data0");
	t.ASSERT_EQ(sys.load64(m + 8), 222, "data1");
	t.ASSERT_EQ(sys.load64(m + 16), 123, "data2");
	t.ASSERT_EQ(sys.load64(m + 1500 * 8), 369, "far");

	const value = new Uint8Array(8);
	t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, fd, key32(1500), value), "lookup");
	t.ASSERT_EQ(read64(value), 369, "looked_up");
	t.ASSERT_OK(bpf_map_update_elem(skel.lib, fd, key32(3), val64(77)), "update");
	t.ASSERT_EQ(sys.load64(m + 24), 77, "updated");

	// Part of the mapping goes; the rest stays.
	const page = sys.pageSize;
	t.ASSERT_OK(sys.munmap(m + page, page), "unmap_middle");
	let fault: unknown = null;
	try {
		sys.load8(m + page);
	} catch (e) {
		fault = e;
	}
	t.ASSERT_TRUE(fault instanceof UserFault, "hole_faults");
	t.ASSERT_EQ(sys.load64(m), 111, "before_hole");
	t.ASSERT_EQ(sys.load64(m + 1500 * 8), 369, "after_hole");
	t.ASSERT_OK(sys.munmap(m, size), "unmap_all");
	// More than there is cannot be mapped.
	t.ASSERT_ERR(sys.mmap(0, size + page, PROT_READ, MAP_SHARED, fd, 0), "too_long");
	t.ASSERT_ERR(sys.mmap(0, page, PROT_READ, MAP_SHARED, fd, size), "beyond");
}

/** A mapping keeps the map alive after its descriptors. */
function outlive(t: TestEnv): void {
	const skel = Skel.openAndLoad(t, "test_mmap");
	if (!skel) return;
	const m = t.sys.mmap(
		0,
		t.sys.pageSize,
		PROT_READ | PROT_WRITE,
		MAP_SHARED,
		bpf_map__fd(skel.map("data_map")),
		0,
	);
	skel.destroy();
	t.sys.store64(m + 8, 5n);
	t.ASSERT_EQ(t.sys.load64(m + 8), 5, "still_there");
	t.ASSERT_OK(t.sys.munmap(m, t.sys.pageSize), "unmap");
}

export const mmap: ProgTest = {
	name: "mmap",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_mmap");
		if (!skel) return;
		if (t.startSubtest("rdonly")) rdonly(t, skel);
		if (t.startSubtest("data")) data(t, skel);
		t.endSubtest();
		skel.destroy();
		if (t.startSubtest("outlive")) outlive(t);
	},
};
