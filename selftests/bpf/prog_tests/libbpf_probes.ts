// SPDX-License-Identifier: GPL-2.0-only
/** What libbpf finds the kernel to have: prog_tests/libbpf_probes.c. */
import * as U from "../../../include/uapi/linux/bpf.ts";
import { BTF_KIND_ENUM } from "../../../include/uapi/linux/btf.ts";
import { type Btf, btf__new, btf_vlen } from "../../../tools/lib/bpf/btf.ts";
import { Libbpf } from "../../../tools/lib/bpf/libbpf.ts";
import {
	libbpf_probe_bpf_helper,
	libbpf_probe_bpf_map_type,
	libbpf_probe_bpf_prog_type,
} from "../../../tools/lib/bpf/libbpf_probes.ts";
import type { ProgTest, TestEnv } from "../test_env.ts";

/** Options of the kernel that a type hangs on, where not every kernel has them. */
const NEEDS: Readonly<Record<string, string>> = { BPF_PROG_TYPE_LIRC_MODE2: "BPF_LIRC_MODE2" };

/** Each value of an enum of the kernel's BTF is probed. */
function each(t: TestEnv, name: string, probe: (lib: Libbpf, type: number) => number): void {
	const lib = new Libbpf(t.sys);
	const bytes = t.sys.readFile("/sys/kernel/btf/vmlinux");
	if (!t.ASSERT_OK(typeof bytes === "number" ? bytes : 0, "read BTF")) return;
	const btf = btf__new(lib, bytes as Uint8Array) as Btf;
	const id = btf.find_by_name_kind(name, BTF_KIND_ENUM);
	if (!t.ASSERT_GT(id, 0, name)) return;
	const e = btf.type_by_id(id)!;
	for (let i = 0; i < btf_vlen(e); i++) {
		const type = btf.name(e.word(2 * i));
		const value = e.word(2 * i + 1);
		if (value === 0 || type.startsWith("__MAX_")) continue;
		if (!t.startSubtest(type)) continue;
		const option = NEEDS[type];
		if (option !== undefined && t.kernel.hasConfig?.(option) === false) t.skip(`needs CONFIG_${option}`);
		else t.ASSERT_EQ(probe(lib, value), 1, type);
	}
}

export const libbpfProbeProgTypes: ProgTest = {
	name: "libbpf_probe_prog_types",
	run: (t) => each(t, "bpf_prog_type", libbpf_probe_bpf_prog_type),
};

export const libbpfProbeMapTypes: ProgTest = {
	name: "libbpf_probe_map_types",
	run: (t) => each(t, "bpf_map_type", libbpf_probe_bpf_map_type),
};

/** Program type, helper, whether the one may call the other. */
const HELPERS: readonly (readonly [string, number, string, number, number])[] = [
	["KPROBE", U.BPF_PROG_TYPE_KPROBE, "unspec", 0, 0],
	["KPROBE", U.BPF_PROG_TYPE_KPROBE, "map_lookup_elem", U.BPF_FUNC_map_lookup_elem, 1],
	["KPROBE", U.BPF_PROG_TYPE_KPROBE, "loop", U.BPF_FUNC_loop, 1],
	["KPROBE", U.BPF_PROG_TYPE_KPROBE, "ktime_get_coarse_ns", U.BPF_FUNC_ktime_get_coarse_ns, 0],
	["SOCKET_FILTER", U.BPF_PROG_TYPE_SOCKET_FILTER, "ktime_get_coarse_ns", U.BPF_FUNC_ktime_get_coarse_ns, 1],
	["KPROBE", U.BPF_PROG_TYPE_KPROBE, "sys_bpf", U.BPF_FUNC_sys_bpf, 0],
	["SYSCALL", U.BPF_PROG_TYPE_SYSCALL, "sys_bpf", U.BPF_FUNC_sys_bpf, 1],
	["XDP", U.BPF_PROG_TYPE_XDP, "no such helper", 100000, 0],
	["TRACING", U.BPF_PROG_TYPE_TRACING, "loop", U.BPF_FUNC_loop, -95],
];

export const libbpfProbeHelpers: ProgTest = {
	name: "libbpf_probe_helpers",
	run(t) {
		const lib = new Libbpf(t.sys);
		for (const [type_name, type, helper, id, supported] of HELPERS) {
			const name = `BPF_PROG_TYPE_${type_name}+bpf_${helper}`;
			if (t.startSubtest(name)) t.ASSERT_EQ(libbpf_probe_bpf_helper(lib, type, id), supported, name);
		}
	},
};
