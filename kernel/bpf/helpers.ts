// SPDX-License-Identifier: GPL-2.0-only
/** Bodies of the basic helpers (kernel/bpf/helpers.c). */
import type { KernelImpl } from "../kernel_impl.ts";
import { all_map_ops } from "./map_types.ts";

/** Hang the bodies on the kernel, by kernel symbol. */
export function register_helpers(kernel: KernelImpl): void {
	const { bodies } = kernel.bpf;
	for (const ops of all_map_ops())
		for (const sym of Object.values(ops.symbols))
			if (!bodies.has(sym))
				bodies.set(sym, () => {
					throw new Error(`not ported: ${sym}`);
				});
}
