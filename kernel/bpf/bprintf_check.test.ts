// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { EINVAL } from "../../include/uapi/asm-generic/errno.ts";
import { bpf_bprintf_check } from "./bprintf_check.ts";

/** The format with its terminating zero, Latin-1. */
const c = (s: string): Uint8Array => Uint8Array.from([...s, "\0"].map((x) => x.charCodeAt(0)));

describe("bpf_bprintf_check", () => {
	const good: [string, number][] = [
		["plain", 0],
		["100%%", 0],
		["%d %u %x %X %i", 5],
		["%ld %lld %lu", 3],
		["%08x|%-5d|%+d|% d", 4],
		["%s", 1],
		["%s, %s", 2],
		["%p", 1],
		["%p\n", 1],
		["%px %pK %ps %pS %pB", 5],
		["%pks|%pus", 2],
		["%pI4 %pi6 %pi4 %pI6", 4],
		["%c%c", 2],
		["%d", 2],
		["caf\xe9 %d", 1],
		["tab\tline\n", 0],
	];
	for (const [fmt, args] of good)
		it(`accepts ${JSON.stringify(fmt)} with ${args}`, () => expect(bpf_bprintf_check(c(fmt), args)).toBe(0));

	const bad: [string, number, string][] = [
		["%d", 0, "too few arguments"],
		["%d %d", 1, "too few arguments"],
		["%", 1, "nothing after the percent sign"],
		["%z", 1, "an unknown conversion"],
		["%f", 1, "floating point"],
		["%lld%n", 2, "a conversion that writes"],
		["%sx", 1, "a letter right after a string"],
		["%pksx", 1, "a letter right after a string"],
		["%pI5", 1, "an address of an unknown family"],
		["%pI", 1, "an address of no family"],
		["%pz", 1, "an unknown pointer"],
		["\x01", 0, "a control character"],
		["%\xe9", 1, "a letter that is not ASCII after the percent sign"],
		["%s%%é".replace("é", "\x07"), 1, "a control character later on"],
		["%5", 1, "a width alone"],
		["%.2d", 1, "a precision"],
	];
	for (const [fmt, args, why] of bad)
		it(`rejects ${why}: ${JSON.stringify(fmt)}`, () => expect(bpf_bprintf_check(c(fmt), args)).toBe(-EINVAL));

	it("rejects a format that does not end", () => {
		expect(bpf_bprintf_check(Uint8Array.from([0x61, 0x62]), 0)).toBe(-EINVAL);
	});
});
