// SPDX-License-Identifier: GPL-2.0-only
/** The package has types of its own, but its "exports" do not name them. */
declare module "capstone-wasm" {
	export interface Insn {
		id: number;
		address: number | bigint;
		size: number;
		bytes: Uint8Array;
		mnemonic: string;
		opStr: string;
	}
	export class Capstone {
		constructor(arch: number, mode: number);
		setOption(opt: number, value: number): number;
		disasm(data: number[] | Uint8Array, options?: { address?: number | bigint; count?: number }): Insn[];
		close(): void;
	}
	export const Const: Readonly<Record<string, number>> & {
		readonly CS_ARCH_X86: number;
		readonly CS_ARCH_ARM64: number;
		readonly CS_MODE_64: number;
		readonly CS_MODE_ARM: number;
	};
	export function loadCapstone(args?: Record<string, unknown>): Promise<void>;
}
