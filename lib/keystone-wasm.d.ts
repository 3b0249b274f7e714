// SPDX-License-Identifier: GPL-2.0-only
/** The package has types of its own, but its "exports" do not name them. */
declare module "keystone-wasm" {
	export class Keystone {
		constructor(arch: number, mode: number);
		setOption(opt: number, value: number): number;
		/** Throws where the text is no instruction it knows. */
		asm(text: string, options?: { address?: number | bigint }): Uint8Array;
		close(): void;
	}
	export const Const: Readonly<Record<string, number>> & {
		readonly KS_ARCH_X86: number;
		readonly KS_ARCH_ARM64: number;
		readonly KS_MODE_64: number;
		readonly KS_MODE_LITTLE_ENDIAN: number;
	};
	export function loadKeystone(args?: Record<string, unknown>): Promise<void>;
}
