// SPDX-License-Identifier: GPL-2.0-only
import { expect, test } from "vitest";
import { Request } from "./remote_sys.ts";

test("stores that waited go before a request, however many they are", () => {
	const first = new Request();
	for (let i = 0; i < 40; i++) first.store(0x1000 * i, new Uint8Array(300).fill(i + 1));
	const req = new Request().syscall(39, []);
	const alone = Buffer.from(req.frame(7).subarray(8));
	req.prepend(first);
	const frame = Buffer.from(req.frame(7));
	expect(frame.readUInt32LE(0)).toBe(frame.length - 8);
	expect(frame.readUInt32LE(4)).toBe(7);
	expect(frame.subarray(8, 8 + first.bytes)).toEqual(Buffer.from(first.frame(0).subarray(8)));
	expect(frame.subarray(8 + first.bytes)).toEqual(alone);
});
