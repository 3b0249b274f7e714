// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "vitest";
import { wantsColours } from "./colours.ts";

test("pipes stay plain, on CI too", () => {
	expect(wantsColours({ CI: "true" }, false)).toBe(false);
	expect(wantsColours({}, true)).toBe(true);
	expect(wantsColours({ TERM: "dumb" }, true)).toBe(false);
});

test("NO_COLOR and FORCE_COLOR decide", () => {
	expect(wantsColours({ NO_COLOR: "1", FORCE_COLOR: "1" }, true)).toBe(false);
	expect(wantsColours({ FORCE_COLOR: "1" }, false)).toBe(true);
	expect(wantsColours({ FORCE_COLOR: "0" }, true)).toBe(false);
});
