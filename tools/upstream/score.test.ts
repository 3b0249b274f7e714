// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { type ProgScore, totals } from "./score.ts";

const score = (levels: ProgScore["levels"]): ProgScore => ({
	obj: "o",
	prog: "p",
	unpriv: false,
	levels,
	findings: [],
	ms: 0,
});

describe("totals", () => {
	it("count what reached a level, and what of it is equal", () => {
		const t = totals([
			score({ verdict: true, stats: true, log: false }),
			score({ verdict: true, stats: false }),
			// the real kernel's verifier was not reached
			score({ verdict: true, before: true }),
		]);
		expect(t.verdict).toEqual({ equal: 2, total: 2 });
		expect(t.stats).toEqual({ equal: 1, total: 2 });
		expect(t.log).toEqual({ equal: 0, total: 1 });
		expect(t.jited).toEqual({ equal: 0, total: 0 });
	});
});
