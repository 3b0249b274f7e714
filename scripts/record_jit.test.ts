// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "vitest";
import { RecordMemory } from "./record_jit.ts";

test("an image stays when one that was at its place before is freed late", () => {
	const mem = new RecordMemory(0x1000n);
	mem.write(0x5000n, Uint8Array.of(1, 2, 3));
	mem.write(0x5000n, Uint8Array.of(4, 5, 6));
	mem.free(0x5000n);
	expect([...mem.read(0x5000n, 3)]).toEqual([4, 5, 6]);
	mem.free(0x5000n);
	expect([...mem.read(0x5000n, 3)]).toEqual([0, 0, 0]);
});
