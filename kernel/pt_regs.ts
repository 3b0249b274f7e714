// SPDX-License-Identifier: GPL-2.0-only
/** struct pt_regs in kernel memory, as the architecture fills it in and the kernel's types lay it out. */
import type { RegValues } from "../arch/abi.ts";
import { koffsetof } from "./bpf/layout.ts";
import type { KernelImpl } from "./kernel_impl.ts";

/** Store registers into the struct pt_regs at `at`. */
export function put_regs(k: KernelImpl, at: number, regs: RegValues): void {
	for (const [member, index, value] of regs)
		k.kmem.w64(at + koffsetof(k, "pt_regs", member) + 8 * index, BigInt.asUintN(64, value));
}
