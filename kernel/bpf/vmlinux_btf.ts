// SPDX-License-Identifier: GPL-2.0-only
/** The built-in vmlinux BTF: the declarations of vmlinux_types.ts and its kin, written as BTF. */
import { abi_of } from "../../arch/abis.ts";
import type { ArchName, Kernel } from "../kernel.ts";
import { btf_parse_vmlinux } from "./btf_load.ts";
import { btf_impl } from "./btf_obj.ts";
import type { btf } from "./btf_types.ts";
import { btf_from_c } from "./btf_writer.ts";
import { module_types } from "./testmod_types.ts";
import { with_arm64_layout } from "./vmlinux_arm64.ts";
import { vmlinux_functions, vmlinux_variables } from "./vmlinux_funcs.ts";
import { vmlinux_object_types } from "./vmlinux_objects.ts";
import { vmlinux_socket_types } from "./vmlinux_sockets.ts";
import { vmlinux_base_types, vmlinux_context_types, vmlinux_regs } from "./vmlinux_types.ts";

/** The declarations are those of x86-64; what another architecture lays out otherwise. */
const LAYOUTS: Readonly<Record<ArchName, (text: string) => string>> = {
	x86_64: (text) => text,
	arm64: with_arm64_layout,
};

/** The blob, as /sys/kernel/btf/vmlinux of the mirror shows it. */
export function builtin_vmlinux_btf(arch: ArchName): Uint8Array {
	const text = [
		vmlinux_base_types,
		vmlinux_regs[arch],
		vmlinux_context_types,
		vmlinux_object_types,
		vmlinux_socket_types,
		// system calls are named after the architecture
		vmlinux_functions.replaceAll("__x64_sys_", abi_of(arch).syscall_prefix),
		vmlinux_variables,
	].join("\n");
	return btf_from_c(LAYOUTS[arch](text));
}

/** Open the built-in BTF as the kernel's own. */
export function boot_vmlinux_btf(kernel: Kernel): btf | number {
	return btf_parse_vmlinux(kernel, builtin_vmlinux_btf(kernel.config.arch));
}

/** Modules whose types are built in, for `moduleBtfs` of the boot options. */
export const builtin_modules: readonly string[] = Object.keys(module_types);

/** The split BTF of a built-in module on the vmlinux BTF that the kernel has; null when it is not known. */
export function builtin_module_btf(name: string, vmlinux: btf): Uint8Array | null {
	const text = module_types[name];
	return text === undefined ? null : btf_from_c(text, btf_impl(vmlinux));
}
