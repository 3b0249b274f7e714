// SPDX-License-Identifier: GPL-2.0-only
/** Hash, per-CPU, queue and stack maps from a program and from system calls (prog_tests/map_ops.c, test_maps.c). */
import { E2BIG, EEXIST, EINVAL, ENOENT } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_EXIST, BPF_MAP_TYPE_HASH, BPF_NOEXIST } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map_create,
	bpf_map_delete_elem,
	bpf_map_get_next_key,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read32, read64, Skel, val64 } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** A global array of 32- or 64-bit integers. */
function ints(skel: Skel, name: string, bytes: 4 | 8): bigint[] {
	const b = skel.bytes(name);
	const out: bigint[] = [];
	for (let i = 0; i < b.length; i += bytes)
		out.push(bytes === 8 ? BigInt.asIntN(64, read64(b, i)) : BigInt(read32(b, i)));
	return out;
}

function fromProgram(t: TestEnv, skel: Skel): void {
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("hash_ops").fd, {}), "hash_ops");
	const errs = ints(skel, "update_errs", 8);
	t.ASSERT_EQ(errs[0]!, -ENOENT, "update_exist");
	t.ASSERT_EQ(errs[1]!, 0, "update_noexist");
	t.ASSERT_EQ(errs[2]!, -EEXIST, "update_noexist_again");
	t.ASSERT_EQ(errs[3]!, 0, "update_noprealloc");
	t.ASSERT_EQ(skel.get("hash_n"), 15, "hash_n");
	const dels = ints(skel, "delete_errs", 8);
	t.ASSERT_EQ(dels[0]!, -ENOENT, "delete_absent");
	t.ASSERT_EQ(dels[1]!, 0, "delete_present");
	// The program wrote on its own CPU alone.
	const value = new Uint8Array(8 * t.sys.nrCpus);
	t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, bpf_map__fd(skel.map("percpu_hash")), key32(1), value), "percpu");
	let sum = 0n;
	for (let i = 0; i < t.sys.nrCpus; i++) sum += read64(value, 8 * i);
	t.ASSERT_EQ(sum, 42, "percpu_sum");
}

function queueStack(t: TestEnv, skel: Skel): void {
	t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("queue_stack_ops").fd, {}), "queue_stack_ops");
	t.ASSERT_EQ(skel.get("queue_full"), -E2BIG, "queue_full");
	t.ASSERT_EQ(skel.get("queue_empty"), -ENOENT, "queue_empty");
	t.ASSERT_EQ(skel.get("stack_peek"), 0, "stack_peek");
	ints(skel, "queue_out", 4).forEach((v, i) => {
		t.ASSERT_EQ(v, 100 + i, `queue_${i}`);
	});
	ints(skel, "stack_out", 4).forEach((v, i) => {
		t.ASSERT_EQ(v, 102 - i, `stack_${i}`);
	});
}

function fromSyscalls(t: TestEnv, skel: Skel): void {
	const { lib } = skel;
	const fd = bpf_map_create(lib, BPF_MAP_TYPE_HASH, "hash", 4, 8, 3);
	if (!t.ASSERT_OK_FD(fd, "create")) return;
	t.ASSERT_EQ(bpf_map_update_elem(lib, fd, key32(1), val64(10), BPF_EXIST), -ENOENT, "exist");
	for (const k of [1, 2, 3])
		t.ASSERT_OK(bpf_map_update_elem(lib, fd, key32(k), val64(k * 10), BPF_NOEXIST), "add");
	t.ASSERT_EQ(bpf_map_update_elem(lib, fd, key32(4), val64(40)), -E2BIG, "full");
	t.ASSERT_EQ(bpf_map_update_elem(lib, fd, key32(1), val64(11), BPF_NOEXIST), -EEXIST, "noexist");
	t.ASSERT_EQ(bpf_map_update_elem(lib, fd, key32(1), val64(11), 99), -EINVAL, "bad_flags");
	const value = new Uint8Array(8);
	t.ASSERT_OK(bpf_map_lookup_elem(lib, fd, key32(2), value), "lookup");
	t.ASSERT_EQ(read64(value), 20, "value");
	const seen = new Set<number>();
	let key: Uint8Array | null = null;
	for (;;) {
		const next = new Uint8Array(4);
		const err = bpf_map_get_next_key(lib, fd, key, next);
		if (err === -ENOENT || seen.size > 3) break;
		t.ASSERT_OK(err, "next_key");
		seen.add(read32(next));
		key = next;
	}
	t.ASSERT_EQ(seen.size, 3, "keys");
	t.ASSERT_OK(bpf_map_delete_elem(lib, fd, key32(2)), "delete");
	t.ASSERT_EQ(bpf_map_delete_elem(lib, fd, key32(2)), -ENOENT, "delete_again");
	t.ASSERT_EQ(bpf_map_lookup_elem(lib, fd, key32(2), value), -ENOENT, "lookup_deleted");
	t.sys.close(fd);
}

export const mapOps: ProgTest = {
	name: "map_ops",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_maps");
		if (!skel) return;
		if (t.startSubtest("from_program")) fromProgram(t, skel);
		if (t.startSubtest("queue_stack")) queueStack(t, skel);
		if (t.startSubtest("from_syscalls")) fromSyscalls(t, skel);
		t.endSubtest();
		skel.destroy();
	},
};
