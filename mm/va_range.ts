// SPDX-License-Identifier: GPL-2.0-only
/** First-fit allocator of a range of virtual addresses, for areas of whole pages. */

export class VaRange {
	/** free pieces in order of address: starts and ends */
	private readonly starts: number[];
	private readonly ends: number[];

	constructor(start: number, end: number) {
		this.starts = [start];
		this.ends = [end];
	}

	/** Lowest free address for `size` bytes, aligned to `align` (a power of two); null when there is none. */
	alloc(size: number, align = 4096): number | null {
		for (let i = 0; i < this.starts.length; i++) {
			const start = this.starts[i]!;
			const end = this.ends[i]!;
			const at = Math.ceil(start / align) * align;
			if (at + size > end) continue;
			this.take(i, at, at + size);
			return at;
		}
		return null;
	}

	/** Highest free address, like the top-down search of mmap(2). */
	alloc_top(size: number, align = 4096): number | null {
		for (let i = this.starts.length - 1; i >= 0; i--) {
			const at = Math.floor((this.ends[i]! - size) / align) * align;
			if (at < this.starts[i]!) continue;
			this.take(i, at, at + size);
			return at;
		}
		return null;
	}

	private take(i: number, from: number, to: number): void {
		const start = this.starts[i]!;
		const end = this.ends[i]!;
		if (start === from && end === to) {
			this.starts.splice(i, 1);
			this.ends.splice(i, 1);
		} else if (start === from) this.starts[i] = to;
		else if (end === to) this.ends[i] = from;
		else {
			this.ends[i] = from;
			this.starts.splice(i + 1, 0, to);
			this.ends.splice(i + 1, 0, end);
		}
	}

	free(from: number, size: number): void {
		const to = from + size;
		let lo = 0;
		let hi = this.starts.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (this.starts[mid]! < from) lo = mid + 1;
			else hi = mid;
		}
		if ((lo > 0 && this.ends[lo - 1]! > from) || (lo < this.starts.length && this.starts[lo]! < to))
			throw new Error("BUG: range freed twice");
		const left = lo > 0 && this.ends[lo - 1] === from;
		const right = lo < this.starts.length && this.starts[lo] === to;
		if (left && right) {
			this.ends[lo - 1] = this.ends[lo]!;
			this.starts.splice(lo, 1);
			this.ends.splice(lo, 1);
		} else if (left) this.ends[lo - 1] = to;
		else if (right) this.starts[lo] = from;
		else {
			this.starts.splice(lo, 0, from);
			this.ends.splice(lo, 0, to);
		}
	}
}
