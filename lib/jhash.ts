// SPDX-License-Identifier: GPL-2.0-only
/** Bob Jenkins' lookup3 hash as the kernel has it (include/linux/jhash.h), over little-endian bytes. */

const JHASH_INITVAL = 0xdeadbeef;

function rol32(x: number, k: number): number {
	return (x << k) | (x >>> (32 - k));
}

/** include/linux/jhash.h: jhash */
export function jhash(k: Uint8Array, initval: number): number {
	let length = k.length;
	let a = (JHASH_INITVAL + length + initval) | 0;
	let b = a;
	let c = a;
	let p = 0;
	const word = (at: number): number => k[at]! | (k[at + 1]! << 8) | (k[at + 2]! << 16) | (k[at + 3]! << 24);
	while (length > 12) {
		a = (a + word(p)) | 0;
		b = (b + word(p + 4)) | 0;
		c = (c + word(p + 8)) | 0;
		[a, b, c] = mix(a, b, c);
		length -= 12;
		p += 12;
	}
	if (length === 0) return c >>> 0;
	const tail = new Uint8Array(12);
	tail.set(k.subarray(p, p + length));
	const t = (at: number): number =>
		tail[at]! | (tail[at + 1]! << 8) | (tail[at + 2]! << 16) | (tail[at + 3]! << 24);
	return final((a + t(0)) | 0, (b + t(4)) | 0, (c + t(8)) | 0);
}

/** include/linux/jhash.h: jhash2: the same over whole words, with its own start value. */
export function jhash2(k: Uint8Array, initval: number): number {
	const words = k.length >>> 2;
	let left = words;
	let a = (JHASH_INITVAL + (words << 2) + initval) | 0;
	let b = a;
	let c = a;
	let p = 0;
	const word = (at: number): number => k[at]! | (k[at + 1]! << 8) | (k[at + 2]! << 16) | (k[at + 3]! << 24);
	while (left > 3) {
		a = (a + word(p)) | 0;
		b = (b + word(p + 4)) | 0;
		c = (c + word(p + 8)) | 0;
		[a, b, c] = mix(a, b, c);
		left -= 3;
		p += 12;
	}
	if (left === 0) return c >>> 0;
	if (left >= 3) c = (c + word(p + 8)) | 0;
	if (left >= 2) b = (b + word(p + 4)) | 0;
	a = (a + word(p)) | 0;
	return final(a, b, c);
}

function mix(a: number, b: number, c: number): [number, number, number] {
	a = (a - c) | 0;
	a ^= rol32(c, 4);
	c = (c + b) | 0;
	b = (b - a) | 0;
	b ^= rol32(a, 6);
	a = (a + c) | 0;
	c = (c - b) | 0;
	c ^= rol32(b, 8);
	b = (b + a) | 0;
	a = (a - c) | 0;
	a ^= rol32(c, 16);
	c = (c + b) | 0;
	b = (b - a) | 0;
	b ^= rol32(a, 19);
	a = (a + c) | 0;
	c = (c - b) | 0;
	c ^= rol32(b, 4);
	b = (b + a) | 0;
	return [a, b, c];
}

function final(a: number, b: number, c: number): number {
	c ^= b;
	c = (c - rol32(b, 14)) | 0;
	a ^= c;
	a = (a - rol32(c, 11)) | 0;
	b ^= a;
	b = (b - rol32(a, 25)) | 0;
	c ^= b;
	c = (c - rol32(b, 16)) | 0;
	a ^= c;
	a = (a - rol32(c, 4)) | 0;
	b ^= a;
	b = (b - rol32(a, 14)) | 0;
	c ^= b;
	c = (c - rol32(b, 24)) | 0;
	return c >>> 0;
}
