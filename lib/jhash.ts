// SPDX-License-Identifier: GPL-2.0-only
/** Bob Jenkins' hash as the kernel has it (include/linux/jhash.h). All values are u32. */

const JHASH_INITVAL = 0xdeadbeef;

function rol(v: number, n: number): number {
	return (v << n) | (v >>> (32 - n));
}

/** Three words of state; the mixing steps of the header, in place. */
class State {
	a: number;
	b: number;
	c: number;
	constructor(seed: number) {
		this.a = seed | 0;
		this.b = seed | 0;
		this.c = seed | 0;
	}
	mix(): void {
		let { a, b, c } = this;
		a = (a - c) ^ rol(c, 4);
		c = (c + b) | 0;
		b = (b - a) ^ rol(a, 6);
		a = (a + c) | 0;
		c = (c - b) ^ rol(b, 8);
		b = (b + a) | 0;
		a = (a - c) ^ rol(c, 16);
		c = (c + b) | 0;
		b = (b - a) ^ rol(a, 19);
		a = (a + c) | 0;
		c = (c - b) ^ rol(b, 4);
		b = (b + a) | 0;
		this.a = a;
		this.b = b;
		this.c = c;
	}
	final(): void {
		let { a, b, c } = this;
		c = ((c ^ b) - rol(b, 14)) | 0;
		a = ((a ^ c) - rol(c, 11)) | 0;
		b = ((b ^ a) - rol(a, 25)) | 0;
		c = ((c ^ b) - rol(b, 16)) | 0;
		a = ((a ^ c) - rol(c, 4)) | 0;
		b = ((b ^ a) - rol(a, 14)) | 0;
		c = ((c ^ b) - rol(b, 24)) | 0;
		this.a = a;
		this.b = b;
		this.c = c;
	}
}

/** include/linux/jhash.h: jhash: of bytes */
export function jhash_bytes(key: Uint8Array, initval: number): number {
	const s = new State(JHASH_INITVAL + key.length + initval);
	const dv = new DataView(key.buffer, key.byteOffset, key.byteLength);
	let at = 0;
	let length = key.length;
	while (length > 12) {
		s.a = (s.a + dv.getInt32(at, true)) | 0;
		s.b = (s.b + dv.getInt32(at + 4, true)) | 0;
		s.c = (s.c + dv.getInt32(at + 8, true)) | 0;
		s.mix();
		length -= 12;
		at += 12;
	}
	if (length > 0) {
		const word = (from: number): number => {
			let v = 0;
			for (let i = 0; i < 4 && from + i < length; i++) v |= key[at + from + i]! << (8 * i);
			return v;
		};
		s.c = (s.c + word(8)) | 0;
		s.b = (s.b + word(4)) | 0;
		s.a = (s.a + word(0)) | 0;
		s.final();
	}
	return s.c >>> 0;
}

/** include/linux/jhash.h: jhash2: of 32-bit words */
export function jhash2(k: Uint32Array, initval: number): number {
	const s = new State(JHASH_INITVAL + k.length * 4 + initval);
	let at = 0;
	let length = k.length;
	while (length > 3) {
		s.a = (s.a + k[at]!) | 0;
		s.b = (s.b + k[at + 1]!) | 0;
		s.c = (s.c + k[at + 2]!) | 0;
		s.mix();
		length -= 3;
		at += 3;
	}
	if (length > 2) s.c = (s.c + k[at + 2]!) | 0;
	if (length > 1) s.b = (s.b + k[at + 1]!) | 0;
	if (length > 0) {
		s.a = (s.a + k[at]!) | 0;
		s.final();
	}
	return s.c >>> 0;
}
