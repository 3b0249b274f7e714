// SPDX-License-Identifier: GPL-2.0-only
/** What the tests of arch/, virt/ and mm/ share: snippets of x86-64 machine code. */

/** Little-endian bytes of a number. */
export function le(v: number | bigint, bytes: number): number[] {
	const out: number[] = [];
	let x = BigInt.asUintN(64, BigInt(v));
	for (let i = 0; i < bytes; i++) {
		out.push(Number(x & 255n));
		x >>= 8n;
	}
	return out;
}

/** mov rax, imm64; call rax */
export function call(addr: number): number[] {
	return [0x48, 0xb8, ...le(addr, 8), 0xff, 0xd0];
}

/** A function that keeps the stack aligned around a body. */
export function framed(...body: number[]): number[] {
	return [0x48, 0x83, 0xec, 8, ...body, 0x48, 0x83, 0xc4, 8, 0xc3];
}
