// SPDX-License-Identifier: GPL-2.0-only
/** Seeded random numbers of the fuzzer (xorshift128): the same seed makes the same program. */

/** Values that arithmetic trips over. */
const EDGES32: readonly number[] = [
	0, 1, -1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000,
	0x7ffffffe, 0x7fffffff, -0x80000000, -0x7fffffff, -2, -3, -8, -128, -129, -255, -32768, 10, 100,
];

const EDGES64: readonly bigint[] = [
	0n,
	1n,
	0xffffffffffffffffn,
	0x7fffffffffffffffn,
	0x8000000000000000n,
	0x8000000000000001n,
	0xffffffffn,
	0x100000000n,
	0x80000000n,
	0xffffffff80000000n,
	0xffffffff00000000n,
	0x7fffffffn,
	0x8182838485868788n,
	0x7fffffff00000000n,
	0xfffffffen,
	0xfffffffffffffffen,
	0x100000001n,
	0x0123456789abcdefn,
];

export class Rng {
	private a: number;
	private b: number;
	private c: number;
	private d: number;

	constructor(seed: number, stream = 0) {
		this.a = (seed ^ 0x9e3779b9) >>> 0;
		this.b = (stream ^ 0x243f6a88) >>> 0;
		this.c = Math.imul(seed + 1, 0x85ebca6b) >>> 0;
		this.d = (Math.imul(stream + 1, 0xc2b2ae35) | 1) >>> 0;
		for (let i = 0; i < 12; i++) this.u32();
	}

	u32(): number {
		const t = this.a ^ (this.a << 11);
		this.a = this.b;
		this.b = this.c;
		this.c = this.d;
		this.d = (this.d ^ (this.d >>> 19) ^ t ^ (t >>> 8)) >>> 0;
		return this.d;
	}
	/** 0 ≤ result < n */
	below(n: number): number {
		return this.u32() % n;
	}
	/** lo ≤ result ≤ hi */
	range(lo: number, hi: number): number {
		return lo + this.below(hi - lo + 1);
	}
	/** True `percent` times of a hundred. */
	chance(percent: number): boolean {
		return this.below(100) < percent;
	}
	pick<T>(list: readonly T[]): T {
		return list[this.below(list.length)]!;
	}
	/** A signed 32-bit number, often one at an edge. */
	imm32(): number {
		const k = this.below(10);
		if (k < 4) return this.pick(EDGES32);
		if (k < 7) return this.range(-64, 64);
		if (k < 8) return 1 << this.below(32);
		return this.u32() | 0;
	}
	imm64(): bigint {
		const k = this.below(4);
		if (k < 2) return this.pick(EDGES64);
		if (k < 3) return BigInt.asUintN(64, 1n << BigInt(this.below(64)));
		return (BigInt(this.u32()) << 32n) | BigInt(this.u32());
	}
	bytes(n: number): Uint8Array {
		const out = new Uint8Array(n);
		for (let i = 0; i < n; i++) out[i] = this.u32() >>> 13;
		return out;
	}
}
