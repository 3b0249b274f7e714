// SPDX-License-Identifier: GPL-2.0-only
import { describe, expect, it } from "vitest";
import { EBUSY, EEXIST, EINVAL } from "../include/uapi/asm-generic/errno.ts";
import { maple_tree } from "./maple_tree.ts";

const TOP = 4000;

/** The same by trial: an array of entry numbers. */
class Plain {
	readonly at = new Int32Array(TOP);
	private next = 1;
	insert(a: number, b: number): number {
		for (let i = a; i <= b; i++) if (this.at[i]) return -EEXIST;
		this.at.fill(this.next++, a, b + 1);
		return 0;
	}
	alloc(size: number, min: number, max: number): number {
		for (let a = min; a + size - 1 <= max; a++)
			if (this.at.subarray(a, a + size).every((v) => v === 0)) {
				this.insert(a, a + size - 1);
				return a;
			}
		return -EBUSY;
	}
	clear(a: number, b: number): void {
		this.at.fill(0, a, b + 1);
		// an entry cut in two is two
		const cut = this.at[b + 1];
		if (!cut || this.at[a - 1] !== cut) return;
		const id = this.next++;
		for (let i = b + 1; this.at[i] === cut; i++) this.at[i] = id;
	}
	erase(i: number): void {
		const id = this.at[i]!;
		if (id) for (let j = 0; j < TOP; j++) if (this.at[j] === id) this.at[j] = 0;
	}
}

describe("maple tree", () => {
	it("does what an array of entries does", () => {
		const mt = new maple_tree();
		const plain = new Plain();
		let seed = 12345;
		const rnd = (n: number): number => {
			seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
			return (seed >>> 8) % n;
		};
		for (let step = 0; step < 6000; step++) {
			const a = rnd(TOP - 200);
			const b = a + rnd(rnd(8) === 0 ? 190 : 12);
			switch (rnd(5)) {
				case 0:
					expect(mt.mtree_insert_range(a, b)).toBe(plain.insert(a, b));
					break;
				case 1:
				case 2: {
					const size = 1 + rnd(rnd(6) === 0 ? 150 : 20);
					const min = rnd(3) === 0 ? rnd(TOP - 400) : 0;
					const max = rnd(4) === 0 ? min + size + rnd(200) : TOP - 200;
					expect(mt.mtree_alloc_range(size, min, max)).toBe(plain.alloc(size, min, max));
					break;
				}
				case 3:
					mt.mtree_erase(a);
					plain.erase(a);
					break;
				default:
					mt.mtree_clear_range(a, b);
					plain.clear(a, b);
			}
			if (step % 100 === 0)
				for (let i = 0; i < TOP; i++) expect(mt.mtree_load(i), `${step}: ${i}`).toBe(plain.at[i] !== 0);
		}
	});

	it("fills 2^20 indices and says when nothing is left", () => {
		const mt = new maple_tree();
		const n = 1 << 20;
		for (let i = 0; i < n; i++) if (mt.mtree_alloc_range(1, 0, n - 1) !== i) throw new Error(`at ${i}`);
		expect(mt.mtree_alloc_range(1, 0, n - 1)).toBe(-EBUSY);
		for (let i = 0; i < n; i += 2) mt.mtree_erase(i);
		expect(mt.mtree_alloc_range(2, 0, n - 1)).toBe(-EBUSY);
		mt.mtree_erase(777777);
		expect(mt.mtree_alloc_range(3, 0, n - 1)).toBe(777776);
		expect(mt.mtree_alloc_range(1, 0, n - 1)).toBe(0);
	});

	it("refuses empty ranges and those that cannot fit", () => {
		const mt = new maple_tree();
		expect(mt.mtree_alloc_range(0, 0, 9)).toBe(-EINVAL);
		expect(mt.mtree_alloc_range(11, 0, 9)).toBe(-EINVAL);
		expect(mt.mtree_alloc_range(10, 0, 9)).toBe(0);
		expect(mt.mtree_insert(9)).toBe(-EEXIST);
		expect(mt.mtree_insert(10)).toBe(0);
	});
});
