// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { type FuzzMode, fuzz } from "./fuzz.ts";

/** A few of each; `npm run fuzz` does many. */
function run(mode: FuzzMode, count: number, accepted: number, arch?: "x86_64" | "arm64" | "both"): void {
	const r = fuzz({ seed: 20241117, count, mode, embedding: 10, arch });
	expect(r.findings).toEqual([]);
	expect(r.done).toBe(count);
	// a generator whose programs are all rejected would find nothing
	expect(r.accepted).toBeGreaterThan(accepted);
	if (mode === "gen") expect(r.compared).toBe(r.accepted);
}

describe("made-up programs", () => {
	it("do the same on interpreter and both JITs in one process", () => run("gen", 300, 200, "both"));
	it("do the same on interpreter and arm64's JIT", () => run("gen", 150, 90, "arm64"));
	it("with bits flipped are rejected or run without a fault", () => run("mutate", 300, 30, "both"));
	it("of noise are rejected with an errno", () => run("noise", 300, 0));
});
