// SPDX-License-Identifier: GPL-2.0-only
/** Seeded randomness (drivers/char/random.c stands behind the kernel's): xorshift128, the same each run. */
export class Random {
	private readonly s = new Uint32Array(4);
	constructor(seed: number) {
		this.seed(seed);
	}
	/** Start again from a seed. */
	seed(seed: number): void {
		let x = (seed >>> 0) + 0x9e3779b9;
		for (let i = 0; i < 4; i++) {
			x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
			x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
			x = (x ^ (x >>> 16)) + 0x9e3779b9;
			this.s[i] = x | (i === 0 ? 1 : 0);
		}
	}
	/** get_random_u32() */
	u32(): number {
		const s = this.s;
		let t = s[3]!;
		const w = s[0]!;
		s[3] = s[2]!;
		s[2] = s[1]!;
		s[1] = w;
		t ^= t << 11;
		t ^= t >>> 8;
		s[0] = t ^ w ^ (w >>> 19);
		return s[0]! >>> 0;
	}
	/** get_random_u64() */
	u64(): bigint {
		return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
	}
}
