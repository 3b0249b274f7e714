// SPDX-License-Identifier: GPL-2.0-only
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bootMirror } from "../../tools/mirror.ts";
import { load_case } from "../../tools/upstream/load_case.ts";
import { loader_of } from "../../tools/upstream/loader.ts";
import { default_kconfig } from "../kconfig.ts";

const path = fileURLToPath(new URL("../../.cache/progs/x86/lsm.bpf.o", import.meta.url));

/** Loads a sleepable program on a system call's entry. */
function on_syscall(kconfig: string): { err: number; log: string } {
	const mirror = bootMirror({ kconfig });
	const l = loader_of(mirror.newProcess(), 1 << 20);
	const c = { path, prog: "test_sys_setdomainname", unpriv: false, level: 2, flags: 0, map_fixups: [] };
	return load_case(l.lib, c, l.log, l.said);
}

it("system calls sleep for programs only where functions may be made to fail", () => {
	const lines = [...default_kconfig("x86_64")].map(([k, v]) => `${k}=${v}`);
	expect(on_syscall(lines.join("\n")).err).toBe(0);
	const without = lines.filter((l) => !l.startsWith("CONFIG_FUNCTION_ERROR_INJECTION="));
	const got = on_syscall(without.join("\n"));
	expect(got.err).toBe(-22);
	expect(got.log).toMatch(/^__x64_sys_setdomainname is not sleepable$/m);
});
