// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { ringRecords } from "./ring_records.ts";
import { runCli } from "./run_cli.ts";

const options = { records: 20_000, cpus: 2, size: 16 << 10 } as const;

describe("records through a ring buffer", () => {
	it.each(["x86_64", "arm64"] as const)(
		"none is lost, on %s, though the ring is full again and again",
		(arch) => {
			const told: number[] = [];
			const r = ringRecords({ ...options, arch, every: 5000, progress: (n) => told.push(n) });
			expect(r.errors).toEqual([]);
			expect(r.seen).toBe(20_000);
			expect(r.full).toBeGreaterThan(10);
			expect(told.length).toBeGreaterThanOrEqual(3);
		},
	);

	it("one that is changed on its way is seen", () => {
		const bad = (word: number, v: bigint): readonly string[] =>
			ringRecords({
				...options,
				arch: "x86_64",
				records: 2000,
				tamper: (nr, store) => {
					if (nr === 1000) store(word, v);
				},
			}).errors;
		expect(bad(2, 77n)[0]).toMatch(/^record 1000: its checksum is wrong/);
		expect(bad(0, 5n)[0]).toMatch(/^record 1000: its checksum is wrong/);
	});

	it("one that is missing is seen by the number of the next", () => {
		// the third record of CPU 0 becomes the one after it, with the right checksum
		const r = ringRecords({
			...options,
			arch: "x86_64",
			cpus: 1,
			records: 100,
			tamper: (nr, store) => {
				if (nr !== 3) return;
				store(0, 5n);
				store(1, 3n << 32n);
				store(2, 5n ^ (3n << 32n));
			},
		});
		expect(r.errors[0]).toBe("record 3: CPU 0 goes from number 2 to 5");
	});
});

describe("bpf-mirror ring", () => {
	const run = (...args: string[]) => runCli("ring", ...args);

	it("says how many came out", async () => {
		const { out, code } = await run("--records", "3000", "--cpus", "1");
		expect(code).toBe(0);
		expect(out).toMatch(/^3000 of 3000 records, /);
		expect(out).toContain("none lost; every number and checksum is right");
	});

	it("a mistake is one line", async () => {
		for (const args of [
			["--records", "0"],
			["--cpus", "9"],
			["--size", "5000"],
		])
			expect(await run(...args)).toMatchObject({
				out: "",
				code: 1,
				err: expect.stringMatching(/^--\w+: .*\n$/),
			});
	});
});
