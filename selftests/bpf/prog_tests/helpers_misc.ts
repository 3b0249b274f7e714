// SPDX-License-Identifier: GPL-2.0-only
/** Identity, time, strings and bad memory; spin locks in map values (prog_tests/ns_current_pid_tgid.c, strncmp.c, spin_lock.c). */
import { EFAULT, EINVAL, ERANGE } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_F_LOCK } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
	bpf_prog_test_run_opts,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read32, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

export const helpersMisc: ProgTest = {
	name: "helpers_misc",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_helpers_misc");
		if (!skel) return;
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("misc").fd, {}), "run");
		const pid = BigInt(t.sys.getpid());
		t.ASSERT_EQ(skel.get("pid_tgid"), (pid << 32n) | BigInt(t.sys.gettid()), "pid_tgid");
		t.ASSERT_EQ(skel.get("uid_gid"), 0, "uid_gid");
		t.ASSERT_STREQ(Buffer.from(skel.bytes("comm")).toString().replace(/\0+$/, ""), "test_progs", "comm");
		t.ASSERT_LT(skel.get("cpu"), t.sys.nrCpus, "cpu");
		t.ASSERT_EQ(skel.get("strncmp_same"), 0, "strncmp_same");
		t.ASSERT_LT(skel.get("strncmp_less"), 0, "strncmp_less");
		// x86 does not try addresses of user space (copy_from_kernel_nofault_allowed); arm64 does, and faults
		t.ASSERT_EQ(skel.get("probe_bad"), t.sys.arch === "arm64" ? -EFAULT : -ERANGE, "probe_bad");
		t.ASSERT_EQ(skel.get("probe_good"), 0, "probe_good");
		t.ASSERT_EQ(skel.get("probe_dst"), 0x1122334455667788n, "probe_dst");
		t.ASSERT_GT(skel.get("t0"), 0, "t0");
		t.ASSERT_GE(skel.get("t1"), skel.get("t0"), "time goes on");
		skel.destroy();
	},
};

export const spinLock: ProgTest = {
	name: "spin_lock",
	run(t) {
		const skel = Skel.openAndLoad(t, "test_helpers_misc");
		if (!skel) return;
		const fd = bpf_map__fd(skel.map("locks"));
		const opts = { data_in: new Uint8Array(64), repeat: 3, retval: 1 };
		t.ASSERT_OK(bpf_prog_test_run_opts(skel.lib, skel.prog("spin").fd, opts), "run");
		const value = new Uint8Array(8);
		t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, fd, key32(0), value, BPF_F_LOCK), "lookup_locked");
		t.ASSERT_EQ(read32(value, 4), 3, "count");
		// The lock's own bytes are not for user space.
		t.ASSERT_EQ(read32(value, 0), 0, "lock_hidden");
		value.set([1, 1, 1, 1, 9, 0, 0, 0]);
		t.ASSERT_OK(bpf_map_update_elem(skel.lib, fd, key32(0), value, BPF_F_LOCK), "update_locked");
		t.ASSERT_OK(bpf_map_lookup_elem(skel.lib, fd, key32(0), value), "lookup");
		t.ASSERT_EQ(read32(value, 4), 9, "updated");
		t.ASSERT_EQ(read32(value, 0), 0, "lock_untouched");
		t.ASSERT_EQ(bpf_map_lookup_elem(skel.lib, fd, key32(0), value, 1), -EINVAL, "bad_flags");
		skel.destroy();
	},
};
