// SPDX-License-Identifier: GPL-2.0-only
/** Fingerprints of states, 64 bits in two halves, and a set of them. */

function avalanche(h: number): number {
	h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
	h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
	return h ^ (h >>> 16);
}

/** What one word of memory with a value adds; `salt` picks one of several independent functions. */
export function mix_mem(addr: number, v: number, salt: number): number {
	const lo = addr | 0;
	const hi = Math.floor(addr / 0x100000000) | 0;
	return avalanche(
		Math.imul(lo, 0x9e3779b1) ^ avalanche(v ^ Math.imul(salt, 0x85ebca6b)) ^ Math.imul(hi, 0xc2b2ae35 + salt),
	);
}

/** Takes numbers in order. */
export class Hash {
	a = 0x1234567;
	b = 0x89abcde;
	reset(): void {
		this.a = 0x1234567;
		this.b = 0x89abcde;
	}
	copy(from: Hash): void {
		this.a = from.a;
		this.b = from.b;
	}
	add(v: number): void {
		this.a = avalanche(Math.imul(this.a, 31) + v);
		this.b = avalanche(Math.imul(this.b, 0x01000193) ^ Math.imul(v, 0x27d4eb2f));
	}
	add_number(v: number): void {
		this.add(v | 0);
		this.add(Math.floor(v / 0x100000000) | 0);
	}
	/** A result of a step. */
	add_value(v: unknown): void {
		switch (typeof v) {
			case "number":
				this.add_number(v);
				break;
			case "bigint":
				this.add(Number(BigInt.asIntN(32, v)));
				this.add(Number(BigInt.asIntN(32, v >> 32n)));
				break;
			case "boolean":
				this.add(v ? 1 : 0);
				break;
			case "string":
				for (let i = 0; i < v.length; i++) this.add(v.charCodeAt(i));
				break;
			default:
				if (v instanceof Uint8Array) for (const b of v) this.add(b);
				else if (Array.isArray(v)) for (const e of v) this.add_value(e);
				else this.add(7);
		}
	}
}

/** Fingerprints seen; open addressing. */
export class StateSet {
	private a = new Int32Array(1 << 16);
	private b = new Int32Array(1 << 16);
	private mask = (1 << 16) - 1;
	size = 0;

	/** True when it was not there. */
	add(a: number, b: number): boolean {
		// 0, 0 is an empty place
		if (a === 0 && b === 0) b = 1;
		let i = a & this.mask;
		while (this.a[i] !== 0 || this.b[i] !== 0) {
			if (this.a[i] === a && this.b[i] === b) return false;
			i = (i + 1) & this.mask;
		}
		this.a[i] = a;
		this.b[i] = b;
		if (++this.size * 2 > this.mask) this.grow();
		return true;
	}

	private grow(): void {
		const { a, b } = this;
		this.mask = this.mask * 2 + 1;
		this.a = new Int32Array(this.mask + 1);
		this.b = new Int32Array(this.mask + 1);
		this.size = 0;
		for (let i = 0; i < a.length; i++) if (a[i] !== 0 || b[i] !== 0) this.add(a[i]!, b[i]!);
	}
}
