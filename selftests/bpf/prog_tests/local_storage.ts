// SPDX-License-Identifier: GPL-2.0-only
/** Storage of tasks, sockets and inodes as system calls reach it: by descriptor (prog_tests/test_local_storage.c). */
import { EBADF, EEXIST, EINVAL, ENOENT, ENOTSOCK } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map__fd,
	bpf_map_delete_elem,
	bpf_map_get_next_key,
	bpf_map_lookup_elem,
	bpf_map_update_elem,
} from "../../../tools/lib/bpf/libbpf.ts";
import { key32, read64, Skel } from "../skel.ts";
import type { ProgTest } from "../test_env.ts";

const ENOTSUPP = 524;
const NO_FD = 4000;

export const localStorage: ProgTest = {
	name: "local_storage",
	run(t) {
		const skel = Skel.openAndLoad(t, "task_kfunc_success");
		if (!skel) return;
		const { lib } = skel;
		const value = new Uint8Array(8);
		const some = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
		const fds = { tasks: 0, socks: 0, inodes: 0 };
		for (const name of ["tasks", "socks", "inodes"] as const) fds[name] = bpf_map__fd(skel.map(name));
		// a descriptor of another sort, and none
		const owner = key32(fds.tasks);
		const none = key32(NO_FD);
		for (const fd of Object.values(fds)) {
			t.ASSERT_EQ(bpf_map_lookup_elem(lib, fd, none, value), -EBADF, "lookup without descriptor");
			t.ASSERT_EQ(bpf_map_update_elem(lib, fd, none, some, 0), -EBADF, "update without descriptor");
			t.ASSERT_EQ(bpf_map_delete_elem(lib, fd, none), -EBADF, "delete without descriptor");
			t.ASSERT_EQ(bpf_map_get_next_key(lib, fd, null, value), -ENOTSUPP, "get_next_key");
		}
		t.ASSERT_EQ(bpf_map_update_elem(lib, fds.tasks, owner, some, 0), -EBADF, "no pidfd");
		t.ASSERT_EQ(bpf_map_update_elem(lib, fds.socks, owner, some, 0), -ENOTSOCK, "no socket");

		t.ASSERT_EQ(bpf_map_lookup_elem(lib, fds.inodes, owner, value), -ENOENT, "nothing yet");
		t.ASSERT_EQ(bpf_map_delete_elem(lib, fds.inodes, owner), -ENOENT, "nothing to delete");
		t.ASSERT_EQ(bpf_map_update_elem(lib, fds.inodes, owner, some, BPF_EXIST), -ENOENT, "BPF_EXIST");
		t.ASSERT_EQ(bpf_map_update_elem(lib, fds.inodes, owner, some, BPF_F_LOCK), -EINVAL, "no lock in it");
		t.ASSERT_OK(bpf_map_update_elem(lib, fds.inodes, owner, some, BPF_NOEXIST), "BPF_NOEXIST");
		t.ASSERT_EQ(bpf_map_update_elem(lib, fds.inodes, owner, some, BPF_NOEXIST), -EEXIST, "again");
		t.ASSERT_OK(bpf_map_lookup_elem(lib, fds.inodes, owner, value), "lookup");
		t.ASSERT_EQ(read64(value, 0), 0x0807060504030201n, "value");
		some[0] = 9;
		t.ASSERT_OK(bpf_map_update_elem(lib, fds.inodes, owner, some, BPF_EXIST), "replaced");
		t.ASSERT_OK(bpf_map_lookup_elem(lib, fds.inodes, owner, value), "lookup");
		t.ASSERT_EQ(read64(value, 0), 0x0807060504030209n, "new value");
		t.ASSERT_OK(bpf_map_delete_elem(lib, fds.inodes, owner), "delete");
		t.ASSERT_EQ(bpf_map_lookup_elem(lib, fds.inodes, owner, value), -ENOENT, "gone");
		// what the map still has goes with it
		t.ASSERT_OK(bpf_map_update_elem(lib, fds.inodes, owner, some, 0), "left in the map");
		skel.destroy();
	},
};
