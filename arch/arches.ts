// SPDX-License-Identifier: GPL-2.0-only
/** The architectures: for each its machine and its JIT. With abis.ts the one place above ARCH/ that names them all. */
import type { Ram } from "../virt/ram.ts";
import type { ArchName } from "./abis.ts";
import type { KernelLayout, TablePages } from "./arch.ts";
import { Arm64Arch } from "./arm64/arm64.ts";
import { ARM64_LAYOUT } from "./arm64/layout.ts";
import { Arm64Jit, type Arm64JitConfig } from "./arm64/net/bpf_jit_comp.ts";
import type { ArchOptions, BaseArch } from "./base_arch.ts";
import type { Jit, JitKernel } from "./jit.ts";
import { X86_LAYOUT } from "./x86/layout.ts";
import { X86Jit, type X86JitConfig } from "./x86/net/bpf_jit_comp.ts";
import { X86Arch } from "./x86/x86.ts";

/** What the kernel's configuration says to the JITs. */
export interface JitConfigs {
	readonly x86: X86JitConfig;
	readonly arm64: Omit<Arm64JitConfig, "vhe">;
}

export interface Architecture {
	readonly layout: KernelLayout;
	/** The machine, without the memory management that mm/ adds. */
	machine(ram: Ram, tables: TablePages, options: ArchOptions): BaseArch;
	jit(kernel: JitKernel, config: JitConfigs): Jit;
}

export const ARCHES: Readonly<Record<ArchName, Architecture>> = {
	x86_64: {
		layout: X86_LAYOUT,
		machine: (ram, tables, options) => new X86Arch(ram, tables, options),
		jit: (kernel, config) => new X86Jit(kernel, config.x86),
	},
	arm64: {
		layout: ARM64_LAYOUT,
		machine: (ram, tables, options) => new Arm64Arch(ram, tables, options),
		// the emulated kernel runs at EL1, as one without virtualization host extensions does
		jit: (kernel, config) => new Arm64Jit(kernel, { ...config.arm64, vhe: false }),
	},
};
