// SPDX-License-Identifier: GPL-2.0-only
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bootMirror } from "../../mirror.ts";
import { load_case } from "../../upstream/load_case.ts";
import { loader_of } from "../../upstream/loader.ts";

it("the symbols of a kernel without modules are read in time that goes with their number", () => {
	const mirror = bootMirror();
	const sys = mirror.newProcess();
	const own = Buffer.from(sys.readFile("/proc/kallsyms") as Uint8Array).toString();
	const many = Array.from(
		{ length: 150_000 },
		(_, i) => `ffffffff${(0x81000000 + i * 16).toString(16)} t made_up_${i}\n`,
	);
	const text = new TextEncoder().encode(own.replaceAll("\t", " ") + many.join(""));
	const readFile = sys.readFile.bind(sys);
	sys.readFile = (path) => (path === "/proc/kallsyms" ? text : readFile(path));
	const l = loader_of(sys, 1 << 20);
	const path = fileURLToPath(new URL("../../../.cache/progs/x86/test_attach_probe.bpf.o", import.meta.url));
	const start = performance.now();
	const got = load_case(
		l.lib,
		{ path, prog: "handle_kprobe", unpriv: false, level: 0, flags: 0, map_fixups: [] },
		l.log,
		l.said,
	);
	expect(got.err).toBe(0);
	expect(performance.now() - start).toBeLessThan(5000);
});
