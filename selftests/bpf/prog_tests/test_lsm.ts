// SPDX-License-Identifier: GPL-2.0-only
/** Programs on security hooks (prog_tests/test_lsm.c, with the hooks of bpf(2)). */
import { EACCES, EBUSY, EOPNOTSUPP, EPERM } from "../../../include/uapi/asm-generic/errno.ts";
import { BPF_MAP_CREATE, BPF_MAP_TYPE_ARRAY } from "../../../include/uapi/linux/bpf.ts";
import {
	bpf_map_create,
	bpf_program__attach,
	bpf_program__set_autoload,
} from "../../../tools/lib/bpf/libbpf.ts";
import { Skel } from "../skel.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

function createMap(t: TestEnv, skel: Skel): number {
	const fd = bpf_map_create(skel.lib, BPF_MAP_TYPE_ARRAY, "m", 4, 8, 1);
	if (fd >= 0) t.sys.close(fd);
	return fd;
}

/** Whether a program that may sleep can be attached to a system call: what may fail by injection takes such programs. */
function hasSleepableCalls(t: TestEnv): boolean {
	return t.kernel.hasConfig?.("FUNCTION_ERROR_INJECTION") !== false;
}

function basic(t: TestEnv, skel: Skel): void {
	if (!t.ASSERT_OK(skel.attach(), "attach")) return;
	t.ASSERT_EQ(bpf_program__attach(skel.prog("on_bpf")) as number, -EBUSY, "attach_link");
	skel.set("monitored_pid", t.sys.getpid());
	t.ASSERT_OK_FD(createMap(t, skel), "create");
	t.ASSERT_EQ(skel.get("bpf_count"), 1, "bpf_count");
	t.ASSERT_EQ(skel.get("map_count"), 1, "map_count");
	const nr = t.sys.arch === "arm64" ? 162 : 170;
	const buf = t.sys.mmap(0, t.sys.pageSize, 3, 0x22, -1, 0);
	t.sys.store32(buf, 1234);
	for (const [addr, len] of [
		[buf, -2],
		[0, -3],
		[-1, -4],
	] as const)
		t.sys.syscall(nr, addr, len);
	t.sys.munmap(buf, t.sys.pageSize);
	if (hasSleepableCalls(t)) t.ASSERT_EQ(skel.get("copy_test"), 3, "copy_test");
	// What a hook returns is what the call returns.
	skel.set("deny_maps", 1);
	t.ASSERT_EQ(createMap(t, skel), -EACCES, "deny a map");
	skel.set("deny_maps", 0);
	skel.set("deny_cmd", BPF_MAP_CREATE);
	t.ASSERT_EQ(createMap(t, skel), -EPERM, "deny a command");
	skel.set("deny_cmd", -1);
	t.ASSERT_OK_FD(createMap(t, skel), "create again");
	skel.set("monitored_pid", 0);
	skel.detach();
	const n = skel.get("bpf_count");
	skel.set("monitored_pid", t.sys.getpid());
	t.ASSERT_OK_FD(createMap(t, skel), "create detached");
	t.ASSERT_EQ(skel.get("bpf_count"), n, "bpf_count detached");
	for (const v of ["monitored_pid", "bpf_count", "map_count", "prog_count", "copy_test"]) skel.set(v, 0);
}

export const testLsm: ProgTest = {
	name: "test_lsm",
	attaches: true,
	run(t) {
		if (t.startSubtest("lsm_basic")) {
			const skel = Skel.open(t, "lsm");
			if (skel) {
				bpf_program__set_autoload(skel.prog("test_sys_setdomainname"), hasSleepableCalls(t));
				if (t.ASSERT_OK(skel.load(), "skel_load")) {
					basic(t, skel);
					basic(t, skel);
				}
				skel.destroy();
			}
		}
		// A hook that nothing calls here takes no program; a real kernel calls every hook.
		if (t.kernel.isMirror && t.startSubtest("lsm_never_called")) {
			const skel = Skel.open(t, "lsm");
			if (skel) {
				bpf_program__set_autoload(skel.prog("never_called"), true);
				t.ASSERT_OK(skel.load(), "load");
				const link = bpf_program__attach(skel.prog("never_called"));
				t.ASSERT_EQ(link as number, -EOPNOTSUPP, "attach");
				skel.destroy();
			}
		}
		t.endSubtest();
	},
};
