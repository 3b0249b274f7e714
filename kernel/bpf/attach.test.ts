// SPDX-License-Identifier: GPL-2.0-only
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bootMirror } from "../../tools/mirror.ts";
import { load_case } from "../../tools/upstream/load_case.ts";
import { loader_of } from "../../tools/upstream/loader.ts";
import { default_kconfig } from "../kconfig.ts";

/** Loads a program of an object into a kernel that was built without an option, or with all. */
function load(obj: string, prog: string, without = ""): { err: number; log: string } {
	const lines = [...default_kconfig("x86_64")].map(([k, v]) => `${k}=${v}`);
	const kept = lines.filter((l) => l !== `${without}=y`);
	if (without) expect(kept.length).toBe(lines.length - 1);
	const l = loader_of(bootMirror({ kconfig: kept.join("\n") }).newProcess(), 1 << 20);
	const path = fileURLToPath(new URL(`../../.cache/progs/x86/${obj}.bpf.o`, import.meta.url));
	const c = { path, prog, unpriv: false, level: 2, flags: 0, map_fixups: [] };
	return load_case(l.lib, c, l.log, l.said);
}

it("system calls sleep for programs only where functions may be made to fail", () => {
	expect(load("lsm", "test_sys_setdomainname").err).toBe(0);
	const got = load("lsm", "test_sys_setdomainname", "CONFIG_FUNCTION_ERROR_INJECTION");
	expect(got.err).toBe(-22);
	expect(got.log).toMatch(/^__x64_sys_setdomainname is not sleepable$/m);
});

it("kprobes replace results only where the kernel was built so", () => {
	expect(load("test_attach_probe", "replace").err).toBe(0);
	const got = load("test_attach_probe", "replace", "CONFIG_BPF_KPROBE_OVERRIDE");
	expect(got.err).toBe(-22);
	expect(got.log).toMatch(/^program of this type cannot use helper bpf_override_return#58$/m);
});
