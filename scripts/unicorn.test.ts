// SPDX-License-Identifier: GPL-2.0-only
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { find_unicorn, probe_unicorn, UNICORN_ENV, UnicornMissing } from "../virt/library.ts";
import { debian_source } from "./unicorn.ts";

describe("the Debian archive of a machine", () => {
	it("is found in both formats of apt's sources, and nothing else is taken for it", () => {
		const deb822 = (text: string) =>
			debian_source([{ name: "/etc/apt/sources.list.d/debian.sources", text }]);
		const list = (text: string) => debian_source([{ name: "/etc/apt/sources.list", text }]);
		const ring = "/usr/share/keyrings/debian-archive-keyring.gpg";
		expect(
			deb822(
				"Types: deb\nURIs: http://security.debian.org/debian-security\nSuites: x\n\n" +
					"Types: deb\n# a comment\nURIs: http://deb.debian.org/debian\nSuites: bookworm\nSigned-By: /k/own.gpg\n",
			),
		).toEqual({ uri: "http://deb.debian.org/debian", keyring: "/k/own.gpg" });
		expect(deb822("Types: deb\nURIs: http://deb.debian.org/debian\nEnabled: no\n")).toBeNull();
		expect(
			list(
				"# deb http://old/debian x main\ndeb [arch=amd64 signed-by=/k/a.gpg] https://mirror.example/debian/ trixie main\n",
			),
		).toEqual({ uri: "https://mirror.example/debian/", keyring: "/k/a.gpg" });
		expect(list("deb http://deb.debian.org/debian bookworm main")).toEqual({
			uri: "http://deb.debian.org/debian",
			keyring: ring,
		});
		expect(
			list("deb http://archive.ubuntu.com/ubuntu noble main\ndeb https://x/debian-backports y main"),
		).toBeNull();
	});
});

describe("a library given by hand", () => {
	const before = process.env[UNICORN_ENV];
	afterEach(() => {
		if (before === undefined) delete process.env[UNICORN_ENV];
		else process.env[UNICORN_ENV] = before;
	});

	it("that cannot be used is an error that says so", () => {
		process.env[UNICORN_ENV] = "/nowhere/libunicorn.so.2";
		expect(() => find_unicorn()).toThrow(UnicornMissing);
		expect(() => find_unicorn()).toThrow(/\/nowhere\/libunicorn.so.2 cannot be loaded/);
		expect(probe_unicorn("/nowhere")).toHaveProperty("error");
	});

	it("that a broken download cut short is seen before it is loaded", () => {
		const dir = mkdtempSync(join(tmpdir(), "bpf-mirror-"));
		try {
			const whole = readFileSync(find_unicorn().path);
			const path = join(dir, "libunicorn.so.2");
			// all segments are there, or half of them: the loader itself would take the first
			for (const len of [whole.length - 100, whole.length >> 1, 100]) {
				writeFileSync(path, whole.subarray(0, len));
				expect(probe_unicorn(path)).toEqual({ error: expect.any(String) });
			}
			process.env[UNICORN_ENV] = path;
			writeFileSync(path, whole.subarray(0, whole.length >> 1));
			expect(() => find_unicorn()).toThrow(/libunicorn.so.2 cannot be loaded: the file is truncated/);
		} finally {
			rmSync(dir, { recursive: true });
		}
	});
});
