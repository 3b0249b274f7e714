// SPDX-License-Identifier: GPL-2.0-only
/** What the tests of arch/, virt/ and mm/ share: pieces of x86-64 assembly. */
import { imm64 } from "../testing.ts";

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

/** A call of any address. */
export function call(addr: number): string {
	return `movabs rax, ${imm64(addr)}; call rax`;
}

/** A function that keeps the stack aligned around a body. */
export function framed(body: string): string {
	return `sub rsp, 8; ${body}; add rsp, 8; ret`;
}
