// SPDX-License-Identifier: GPL-2.0-only
/**
 * lib/maple_tree.c: which ranges of small indices are taken, as its users see it: insertion that fails
 * where something lies, the lowest gap of a size, ranges made free again.
 *
 * Behind it stand two bitmaps (taken; first index of an entry) and, over the words of the first, a tree
 * that knows of each part its free run at either end and the longest one inside.
 */
import { EBUSY, EEXIST, EINVAL } from "../include/uapi/asm-generic/errno.ts";

const WORD = 32;
const FIRST_WORDS = 32;

function ctz(w: number): number {
	return w === 0 ? WORD : 31 - Math.clz32(w & -w);
}

/** Longest run of clear bits of a word. */
function longest_free(w: number): number {
	let n = 0;
	for (let x = ~w; x !== 0; x &= x << 1) n++;
	return n;
}

/** Bits of word `i` that lie in [first, last]. */
function mask_of(i: number, first: number, last: number): number {
	const lo = Math.max(first - i * WORD, 0);
	const hi = Math.min(last - i * WORD, WORD - 1);
	return ((0xffffffff << lo) & (0xffffffff >>> (WORD - 1 - hi))) >>> 0;
}

/** struct maple_tree, with MT_FLAGS_ALLOC_RANGE; an index is below 2^31. */
export class maple_tree {
	private words = FIRST_WORDS;
	private taken = new Uint32Array(FIRST_WORDS);
	private heads = new Uint32Array(FIRST_WORDS);
	/** Heap order: node 1 is the root, leaf i is at words + i. */
	private pre = new Int32Array(0);
	private suf = new Int32Array(0);
	private max = new Int32Array(0);

	constructor() {
		this.rebuild();
	}

	private rebuild(): void {
		this.pre = new Int32Array(2 * this.words);
		this.suf = new Int32Array(2 * this.words);
		this.max = new Int32Array(2 * this.words);
		this.refresh(0, this.words - 1);
	}

	/** Room for an index. */
	private grow(index: number): void {
		if (index < this.words * WORD) return;
		while (index >= this.words * WORD) this.words *= 2;
		const taken = new Uint32Array(this.words);
		const heads = new Uint32Array(this.words);
		taken.set(this.taken);
		heads.set(this.heads);
		this.taken = taken;
		this.heads = heads;
		this.rebuild();
	}

	/** Words a to b have changed. */
	private refresh(a: number, b: number): void {
		for (let i = a; i <= b; i++) {
			const w = this.taken[i]!;
			const n = this.words + i;
			this.pre[n] = ctz(w);
			this.suf[n] = Math.clz32(w);
			this.max[n] = w === 0 ? WORD : longest_free(w);
		}
		let lo = this.words + a;
		let hi = this.words + b;
		for (let half = WORD; lo > 1; half *= 2) {
			lo >>= 1;
			hi >>= 1;
			for (let n = lo; n <= hi; n++) {
				const l = 2 * n;
				const r = l + 1;
				this.pre[n] = this.pre[l] === half ? half + this.pre[r]! : this.pre[l]!;
				this.suf[n] = this.suf[r] === half ? half + this.suf[l]! : this.suf[r]!;
				this.max[n] = Math.max(this.max[l]!, this.max[r]!, this.suf[l]! + this.pre[r]!);
			}
		}
	}

	private test(bits: Uint32Array, i: number): boolean {
		return i < this.words * WORD && ((bits[i >>> 5]! >>> (i & 31)) & 1) !== 0;
	}

	private any(first: number, last: number): boolean {
		const end = Math.min(last, this.words * WORD - 1);
		for (let i = first >>> 5; i <= end >>> 5; i++) if (this.taken[i]! & mask_of(i, first, end)) return true;
		return false;
	}

	private store(first: number, last: number): void {
		this.grow(last);
		for (let i = first >>> 5; i <= last >>> 5; i++) {
			const m = mask_of(i, first, last);
			this.taken[i]! |= m;
			this.heads[i]! &= ~m;
		}
		this.heads[first >>> 5]! |= 1 << (first & 31);
		this.refresh(first >>> 5, last >>> 5);
	}

	private clear(first: number, last0: number): void {
		const last = Math.min(last0, this.words * WORD - 1);
		if (first > last) return;
		for (let i = first >>> 5; i <= last >>> 5; i++) {
			const m = mask_of(i, first, last);
			this.taken[i]! &= ~m;
			this.heads[i]! &= ~m;
		}
		// what is left of an entry behind the range is one of its own
		if (this.test(this.taken, last + 1)) this.heads[(last + 1) >>> 5]! |= 1 << ((last + 1) & 31);
		this.refresh(first >>> 5, last >>> 5);
	}

	/** lib/maple_tree.c: mtree_load: whether an index is taken. */
	mtree_load(index: number): boolean {
		return this.test(this.taken, index);
	}

	/** lib/maple_tree.c: mtree_insert_range: 0, or -EEXIST when any of [first, last] is taken. */
	mtree_insert_range(first: number, last: number): number {
		if (first > last) return -EINVAL;
		if (this.any(first, last)) return -EEXIST;
		this.store(first, last);
		return 0;
	}

	/** lib/maple_tree.c: mtree_insert */
	mtree_insert(index: number): number {
		return this.mtree_insert_range(index, index);
	}

	/** lib/maple_tree.c: mtree_alloc_range: the lowest gap of `size` indices in [min, max], taken; or -EBUSY. */
	mtree_alloc_range(size: number, min: number, max: number): number {
		if (min > max || size === 0 || max - min < size - 1) return -EINVAL;
		const at = this.find(size, min);
		if (at + size - 1 > max) return -EBUSY;
		this.store(at, at + size - 1);
		return at;
	}

	/** Start of the lowest free run of `size` at or above `min`; beyond the bitmap all is free. */
	private find(size: number, min: number): number {
		const top = this.words * WORD;
		if (min >= top) return min;
		// the free run that ends where the search stands
		let run = 0;
		const walk = (n: number, base: number, span: number): number => {
			if (base + span <= min) return -1;
			if (base >= min) {
				if (run + this.pre[n]! >= size) return base - run;
				if (this.max[n]! < size) {
					run = this.pre[n] === span ? run + span : this.suf[n]!;
					return -1;
				}
			}
			if (n >= this.words) {
				const w = this.taken[n - this.words]!;
				for (let b = Math.max(0, min - base); b < WORD; b++) {
					run = (w >>> b) & 1 ? 0 : run + 1;
					if (run >= size) return base + b + 1 - size;
				}
				return -1;
			}
			const l = walk(2 * n, base, span / 2);
			return l >= 0 ? l : walk(2 * n + 1, base + span / 2, span / 2);
		};
		const at = walk(1, 0, top);
		return at >= 0 ? at : top - run;
	}

	/** lib/maple_tree.c: mtree_erase: the whole entry that an index lies in. */
	mtree_erase(index: number): void {
		if (!this.mtree_load(index)) return;
		let first = index;
		while (!this.test(this.heads, first)) first--;
		let last = index;
		while (this.test(this.taken, last + 1) && !this.test(this.heads, last + 1)) last++;
		this.clear(first, last);
	}

	/** lib/maple_tree.c: mtree_store_range of NULL: free all of [first, last], cutting entries in two. */
	mtree_clear_range(first: number, last: number): void {
		if (first <= last) this.clear(first, last);
	}

	/** lib/maple_tree.c: mtree_destroy */
	mtree_destroy(): void {
		this.words = FIRST_WORDS;
		this.taken = new Uint32Array(FIRST_WORDS);
		this.heads = new Uint32Array(FIRST_WORDS);
		this.rebuild();
	}
}
