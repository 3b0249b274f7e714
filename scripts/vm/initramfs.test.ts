// SPDX-License-Identifier: GPL-2.0-only
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { initramfs } from "./initramfs.ts";

const entries = [
	{ path: "dev", mode: 0o755 },
	{ path: "dev/console", mode: 0o600, device: [5, 1] as const },
	{ path: "init", mode: 0o755, data: Buffer.from("hello") },
];

it("writes headers and padding where the kernel's unpacker looks for them", () => {
	const cpio = initramfs(entries);
	expect(cpio.length % 4).toBe(0);
	const names: string[] = [];
	for (let at = 0; at < cpio.length; ) {
		expect(cpio.toString("latin1", at, at + 6)).toBe("070701");
		const field = (i: number): number =>
			Number.parseInt(cpio.toString("latin1", at + 6 + 8 * i, at + 14 + 8 * i), 16);
		const [size, nameSize] = [field(6), field(11)];
		names.push(cpio.toString("latin1", at + 110, at + 109 + nameSize));
		const data = (at + 110 + nameSize + 3) & ~3;
		if (names.at(-1) === "init") expect(cpio.toString("latin1", data, data + size)).toBe("hello");
		at = (data + size + 3) & ~3;
	}
	expect(names).toEqual(["dev", "dev/console", "init", "TRAILER!!!"]);
});

it.skipIf(spawnSync("cpio", ["--version"]).error !== undefined)("is what cpio lists", () => {
	const r = spawnSync("cpio", ["-itv", "--quiet"], { input: initramfs(entries), encoding: "utf8" });
	expect(r.stdout).toMatch(/^drwxr-xr-x.* dev\ncrw-------.* 5, +1 .*dev\/console\n-rwxr-xr-x.* 5 .*init\n$/);
});
