// SPDX-License-Identifier: GPL-2.0-only
import { expect, it } from "vitest";
import { Progress } from "./progress.ts";

/** What is written while `seconds` pass, the state told ten times in each. */
function written(isTTY: boolean, seconds: number): string[] {
	const lines: string[] = [];
	let now = 1_000_000;
	const progress = new Progress({ isTTY, write: (t) => lines.push(t) }, () => now);
	for (let i = 0; i < seconds * 10; i++) {
		progress.at(() => `${i}`);
		now += 100;
	}
	progress.clear();
	progress.clear();
	return lines;
}

it("writes a line every half minute to a file, and nothing of what is over sooner", () => {
	expect(written(false, 29)).toEqual([]);
	expect(written(false, 61)).toEqual(["300\n", "600\n"]);
});

it("keeps one line on a terminal, and takes it away", () => {
	expect(written(true, 0.3)).toEqual(["\r\x1b[K0", "\r\x1b[K1", "\r\x1b[K2", "\r\x1b[K"]);
});
