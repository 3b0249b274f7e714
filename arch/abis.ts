// SPDX-License-Identifier: GPL-2.0-only
/** The architectures' answers by name, without their machines. */
import type { ArchAbi } from "./abi.ts";
import { ARM64_ABI } from "./arm64/abi.ts";
import { X86_ABI } from "./x86/abi.ts";

export type ArchName = "x86_64" | "arm64";

const ABIS: Readonly<Record<ArchName, ArchAbi>> = { x86_64: X86_ABI, arm64: ARM64_ABI };

export function abi_of(arch: ArchName): ArchAbi {
	return ABIS[arch];
}
