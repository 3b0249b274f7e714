// SPDX-License-Identifier: GPL-2.0-only
/**
 * Assembly in tests and benches, by keystone: an assembler that others wrote. The kernel's own stubs are made by it
 * too (stubs.ts); the JITs use the encoders of arch/x86/lib and arch/arm64/lib, which this one checks.
 */
import { Const, Keystone, loadKeystone } from "keystone-wasm";

/** Assembles instructions with `;` or newlines between; x86 in Intel's syntax. */
export type Assembler = (text: string, address?: number | bigint) => number[];

/** An address as assembly takes it: its 64 bits in hex. */
export function imm64(v: number | bigint): string {
	return `0x${BigInt.asUintN(64, BigInt(v)).toString(16)}`;
}

/** Load keystone and make an assembler for an architecture. */
export async function assembler(arch: "x86_64" | "arm64"): Promise<Assembler> {
	await loadKeystone();
	const ks =
		arch === "x86_64"
			? new Keystone(Const.KS_ARCH_X86, Const.KS_MODE_64)
			: new Keystone(Const.KS_ARCH_ARM64, Const.KS_MODE_LITTLE_ENDIAN);
	return (text, address = 0) => {
		try {
			return [...ks.asm(text, { address })];
		} catch (e) {
			throw new Error(`${text}: ${(e as Error).message}`);
		}
	};
}
