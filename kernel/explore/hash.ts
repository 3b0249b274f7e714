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

/** Fingerprints seen, numbered in the order in which they came; open addressing. */
export class StateSet {
	private a = new Int32Array(1 << 16);
	private b = new Int32Array(1 << 16);
	private nr = new Int32Array(1 << 16);
	private mask = (1 << 16) - 1;
	size = 0;
	/** Number of the fingerprint that was last added or found. */
	last = -1;

	/** True when it was not there. */
	add(a: number, b: number): boolean {
		// 0, 0 is an empty place
		if (a === 0 && b === 0) b = 1;
		let i = a & this.mask;
		while (this.a[i] !== 0 || this.b[i] !== 0) {
			if (this.a[i] === a && this.b[i] === b) {
				this.last = this.nr[i]!;
				return false;
			}
			i = (i + 1) & this.mask;
		}
		this.last = this.size;
		this.put(i, a, b, this.size++);
		if (this.size * 2 > this.mask) this.grow();
		return true;
	}

	private put(i: number, a: number, b: number, nr: number): void {
		this.a[i] = a;
		this.b[i] = b;
		this.nr[i] = nr;
	}

	private grow(): void {
		const { a, b, nr } = this;
		this.mask = this.mask * 2 + 1;
		this.a = new Int32Array(this.mask + 1);
		this.b = new Int32Array(this.mask + 1);
		this.nr = new Int32Array(this.mask + 1);
		for (let i = 0; i < a.length; i++) {
			if (a[i] === 0 && b[i] === 0) continue;
			let j = a[i]! & this.mask;
			while (this.a[j] !== 0 || this.b[j] !== 0) j = (j + 1) & this.mask;
			this.put(j, a[i]!, b[i]!, nr[i]!);
		}
	}
}

/** Numbers, as many as come. */
export class Numbers {
	list = new Int32Array(1 << 12);
	length = 0;
	push(v: number): void {
		if (this.length === this.list.length) {
			const more = new Int32Array(this.length * 2);
			more.set(this.list);
			this.list = more;
		}
		this.list[this.length++] = v;
	}
}

/** Steps between states: which states come to one of some ends. */
export class StateGraph {
	private readonly from = new Numbers();
	private readonly to = new Numbers();
	/** By state: the one that it was first reached from, and the thread that made the step. */
	private readonly parent = new Numbers();
	private readonly by = new Numbers();
	private readonly ends = new Numbers();

	/** A state is reached for the first time. */
	state(parent: number, thread: number): void {
		this.parent.push(parent);
		this.by.push(thread);
	}
	step(from: number, to: number): void {
		this.from.push(from);
		this.to.push(to);
	}
	end(state: number): void {
		this.ends.push(state);
	}

	/** Threads in the order of their steps from the first state to one. */
	schedule(state: number): number[] {
		const out: number[] = [];
		for (let s = state; this.parent.list[s]! >= 0; s = this.parent.list[s]!) out.push(this.by.list[s]!);
		return out.reverse();
	}

	/** The first state from which no end can be reached; -1: there is none. */
	first_without_end(): number {
		const n = this.parent.length;
		// predecessors of each state, one after the other
		const at = new Int32Array(n + 1);
		for (let i = 0; i < this.to.length; i++) at[this.to.list[i]! + 1]!++;
		for (let i = 0; i < n; i++) at[i + 1]! += at[i]!;
		const next = at.slice();
		const before = new Int32Array(this.from.length);
		for (let i = 0; i < this.from.length; i++) before[next[this.to.list[i]!]!++] = this.from.list[i]!;
		const good = new Uint8Array(n);
		const todo = new Numbers();
		const reach = (s: number): void => {
			if (good[s]) return;
			good[s] = 1;
			todo.push(s);
		};
		for (let i = 0; i < this.ends.length; i++) reach(this.ends.list[i]!);
		while (todo.length > 0) {
			const s = todo.list[--todo.length]!;
			for (let i = at[s]!; i < at[s + 1]!; i++) reach(before[i]!);
		}
		return good.indexOf(0);
	}
}
